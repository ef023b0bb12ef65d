package app

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/stoxgw/stox/internal/bridge"
	"github.com/stoxgw/stox/internal/config"
	"github.com/stoxgw/stox/internal/store"
)

func storeOptions(cfg *config.Config) store.Options {
	return store.Options{MaxEntries: cfg.Queue.MaxMessages, TrailFor: cfg.Store.Trail}
}

// openStore opens the store and gives the bridge what an earlier run has left in
// it. If that fails, the store is closed.
func (a *App) openStore() error {
	path := a.config().Store.Path
	if f, bad := StoreFault(a.config()); bad {
		return &config.Error{Faults: []config.Fault{f}}
	}
	st, err := store.Open(path, a.options)
	if err != nil {
		return a.storeError(err)
	}
	a.journal.store = st
	if err := a.restore(); err != nil {
		return errors.Join(a.storeError(err), st.Close())
	}
	return nil
}

// maxUnreadable bounds how many rows that cannot be read are logged one by one.
const maxUnreadable = 20

// restore hands over the rows and outcomes that are in the store, and what is known of users
// and contacts. A row that the
// bridge cannot read stays where it is: it may be of a newer version, and it is
// somebody's message.
func (a *App) restore() error {
	rows, unreadable := 0, 0
	err := a.journal.store.Load(func(e store.Entry) error {
		if err := a.bridge.Restore(rowOf(e)); err != nil {
			if unreadable++; unreadable <= maxUnreadable {
				attrs := []any{"row", e.ID, "err", err}
				if !e.Read.IsZero() {
					attrs = append(attrs, "read", e.Read)
				}
				a.log.Error("a message in the journal cannot be read; it is kept and not sent", attrs...)
			}
			return nil
		}
		rows++
		return nil
	})
	if err != nil {
		return err
	}
	if unreadable > 0 {
		a.log.Error("messages in the journal cannot be read; they are kept and not sent", "count", unreadable,
			"remedy", "if a newer version of stox has run here, run that one; else give them up (stox queue list, stox queue drop)")
	}
	seen := 0
	lost, err := a.journal.store.LoadSeen(func(batch []store.Seen) error {
		seen += len(batch)
		a.bridge.RestoreSeen(seenOf(batch))
		return nil
	})
	if err != nil {
		return err
	}
	if lost > 0 {
		a.log.Warn("outcomes of requests in the journal cannot be read; repeats of these requests are not recognised", "batches", lost)
	}
	a.remember()
	err = a.journal.store.LoadContacts(func(batch []store.Contact) error {
		contacts := contactsOf(batch)
		a.bridge.RestoreContacts(contacts)
		a.languages.restore(contacts)
		return nil
	})
	if err != nil {
		return err
	}
	if err := a.restoreAccounts(); err != nil {
		return err
	}
	// Before presence, which goes by it.
	if err := a.restoreBlocks(); err != nil {
		return err
	}
	relations, dialogs, err := restorePresence(a.journal.store, a.presence.Restore)
	if err != nil {
		return err
	}
	if relations > 0 {
		a.log.Info("read who watches whom", "relations", relations, "dialogs", dialogs)
	}
	if rows > 0 || seen > 0 {
		a.log.Info("read the journal", "messages", rows, "outcomes", seen)
	}
	return nil
}

// storeEvents passes commits on to the bridge, and says once that the store began
// to fail and once that it has recovered.
func (a *App) storeEvents() store.Events {
	var since time.Time
	var committed []bridge.Mark // used again: one report comes at a time
	return store.Events{
		Committed: func(marks []store.Mark, err error) {
			committed = marksOf(committed, marks)
			a.bridge.Committed(committed, err)
		},
		Changed: func(s store.State) {
			if s.Failing != nil {
				since = s.Since
				a.log.Error("the journal cannot be written: new messages from XMPP are refused", "err", s.Failing, "remedy", storeRemedy(s.Failing, a.config().Store.Path))
				notify("STATUS=the journal cannot be written, new messages from XMPP are refused: " + strings.ReplaceAll(s.Failing.Error(), "\n", " "))
				return
			}
			a.log.Info("the journal is written again", "after", time.Since(since).Round(time.Millisecond))
			notify(statusReady)
		},
	}
}

// storeError makes a fault of the configuration of what starting again cannot mend.
func (a *App) storeError(err error) error {
	for _, passing := range []error{store.ErrLocked, store.ErrDiskFull, store.ErrIO} {
		if errors.Is(err, passing) {
			return fmt.Errorf("store.path: %w; %s", err, storeRemedy(err, a.config().Store.Path))
		}
	}
	return &config.Error{Faults: []config.Fault{{Path: "store.path", Text: strings.TrimPrefix(err.Error(), "store: ")}}}
}

// storeRemedy says how to mend a fault of the store.
func storeRemedy(err error, path string) string {
	switch {
	case errors.Is(err, store.ErrDiskFull):
		return "free space on the file system of " + filepath.Dir(path)
	case errors.Is(err, store.ErrLocked):
		return "end the program that holds " + path + " (fuser " + path + " names it)"
	case errors.Is(err, store.ErrCorrupt):
		return "stop stox, and restore " + path + " or move it away (docs/security.md)"
	}
	return "see what the system says about the disk (dmesg), and that the user that stox runs as may write " + path + "*"
}

// StoreFault looks at store.path as far as that is possible without opening or
// making anything, as the user that runs this: whether the directory is there and
// can be written. An empty path has no faults.
func StoreFault(cfg *config.Config) (f config.Fault, bad bool) {
	fault := func(hint, format string, a ...any) (config.Fault, bool) {
		return config.Fault{Path: "store.path", Text: fmt.Sprintf(format, a...), Hint: hint}, true
	}
	path := cfg.Store.Path
	if path == "" {
		return f, false
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	dir := filepath.Dir(path)
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fault("make it for the user that stox runs as: install -d -m 700 -o stox -g stox "+dir+"; or set store.path", "the directory %s does not exist", config.Quote(dir))
	case err != nil:
		return fault(mend(err, dir, dir), "the directory %s cannot be used: %s", config.Quote(dir), reason(err))
	case !info.IsDir():
		return fault("name a file in a directory of its own", "%s is not a directory", config.Quote(dir))
	}
	if err := writable(dir, true); err != nil {
		return fault(mend(err, dir, dir), "the directory %s cannot be written: %s", config.Quote(dir), reason(err))
	}
	info, err = os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return f, false
	case err != nil:
		return fault(mend(err, dir, path), "%s cannot be used: %s", config.Quote(path), reason(err))
	case info.IsDir():
		return fault("name the file in it, such as "+filepath.Join(path, "stox.db"), "%s is a directory", config.Quote(path))
	case !info.Mode().IsRegular():
		return fault("name a file", "%s is not a file", config.Quote(path))
	}
	if err := writable(path, false); err != nil {
		return fault(mend(err, dir, path+"*"), "%s cannot be written: %s", config.Quote(path), reason(err))
	}
	return f, false
}

// mend says how path, in or at dir, comes to be usable after err.
func mend(err error, dir, path string) string {
	if errors.Is(err, syscall.EROFS) { // also what ProtectSystem= of the unit makes of it
		return "allow it in the unit (systemctl edit stox: [Service] ReadWritePaths=" + dir + "), or mount it read-write"
	}
	return "it must belong to the user that stox runs as: chown stox: " + path
}

// reason is what the system says, without the path, which stands in front.
func reason(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return err.Error()
}
