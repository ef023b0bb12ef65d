package app

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stoxgw/stox/internal/admin"
	"github.com/stoxgw/stox/internal/config"
	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/internal/store"
)

func storeAt(path string) func(*config.Config) {
	return func(cfg *config.Config) { cfg.Store.Path = path }
}

// A message that waits when the daemon stops is sent by the next one, once, and
// its sender is told nothing but what becomes of it then.
func TestRestartKeepsAQueuedMessage(t *testing.T) {
	eachNetwork(t, func(t *testing.T, network string) {
		path := filepath.Join(t.TempDir(), "stox.db")
		first := newGateway(t, network, storeAt(path), func(cfg *config.Config) { cfg.ShutdownTimeout = time.Millisecond })
		first.peer.Answer(func(m *siptest.Message) string { return m.Reply(503, "Service Unavailable") })
		first.run()
		first.message("kept", "romeo@sip.example.com", "hello")
		first.peer.Await(1)
		if err := first.stop(); err != nil {
			t.Fatalf("stop: %v", err)
		}
		if n := first.xmpp.Waiting(); n != 0 {
			t.Fatalf("the sender was told: %s", first.xmpp.Next().Raw)
		}
		if !first.xmpp.WaitEnd() {
			t.Error("the stream was not closed")
		}

		second := newGateway(t, network, storeAt(path))
		second.peer.Answer(func(m *siptest.Message) string { return m.Reply(200, "OK") })
		second.run()
		m := second.peer.Await(1)[0]
		if got := string(m.Body); got != "hello" || m.First != "MESSAGE sip:romeo@pbx.example.net SIP/2.0" {
			t.Errorf("sent %s with %q", m.First, got)
		}
		if err := second.stop(); err != nil {
			t.Fatalf("stop: %v", err)
		}
		if n := len(second.peer.Requests()); network == "tcp" && n != 1 {
			t.Errorf("sent %d times", n)
		}
		if rows := rowsIn(t, path); len(rows) != 0 {
			t.Errorf("%d rows are left", len(rows))
		}
	})
}

// A row that cannot be read is somebody's message: it stays, it is told by its id,
// and it stops nobody.
func TestUnreadableRow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stox.db")
	putRow(t, path, store.Entry{ID: 4711, Lane: "sip:romeo@pbx.example.net", Data: []byte("\xffno row of ours"), Read: time.Now(), Expire: time.Now().Add(time.Hour)})
	g := newGateway(t, "udp", storeAt(path))
	g.run()
	g.log.await("level=ERROR", "a message in the journal cannot be read; it is kept and not sent", "row=4711")
	g.log.await("level=ERROR", "messages in the journal cannot be read", "count=1", "remedy=")
	g.peer.Answer(func(m *siptest.Message) string { return m.Reply(200, "OK") })
	g.message("m1", "romeo@sip.example.com", "hello")
	g.peer.Await(1)
	if err := g.stop(); err != nil {
		t.Fatalf("stop: %v", err)
	}
	if rows := rowsIn(t, path); len(rows) != 1 || rows[0].ID != 4711 {
		t.Errorf("rows %v", rows)
	}
	if strings.Contains(g.log.String(), "no row of ours") {
		t.Error("what is in the row is in the log (SEC-14)")
	}
}

// What is damaged in the file so far that nothing of a row is known, not even when
// it came, keeps nobody from working: the daemon runs, and the operator sees the row
// and ends it.
func TestDamagedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stox.db")
	withStore(t, path, func(st *store.Store) {
		if _, err := st.Append([]store.Entry{{ID: 4711, Data: []byte("x")}, {ID: 4712, Data: []byte("x")}}); err != nil {
			t.Fatal(err)
		}
		st.PutSeen([]store.Seen{{Outcome: 200, At: time.Now()}})
	})
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{"UPDATE journal SET row = x'ff' WHERE id = 4711", "UPDATE seen SET data = x'ff'"} {
		if _, err := db.Exec(q); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}

	g := newGateway(t, "udp", storeAt(path))
	g.cfg.Admin.Socket = filepath.Join(t.TempDir(), "stox.sock")
	g.peer.Answer(func(m *siptest.Message) string { return m.Reply(200, "OK") })
	g.run()
	g.log.await("level=ERROR", "a message in the journal cannot be read; it is kept and not sent", "row=4711")
	g.log.await("level=ERROR", "messages in the journal cannot be read", "count=2")
	g.log.await("level=WARN", "outcomes of requests in the journal cannot be read", "batches=1")
	g.message("m1", "romeo@sip.example.com", "hello")
	g.peer.Await(1)
	c, err := admin.Dial(t.Context(), g.cfg.Admin.Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if m, err := c.Show(t.Context(), "4711"); err != nil || m.State != admin.Damaged {
		t.Errorf("%+v, %v", m, err)
	}
	if _, err := c.Retry(t.Context(), "4711"); !errors.Is(err, admin.ErrFailed) || !strings.Contains(err.Error(), "cannot be read") {
		t.Errorf("retry: %v", err)
	}
	if m, err := c.Drop(t.Context(), "4711"); err != nil || m.State != admin.Damaged {
		t.Errorf("drop: %+v, %v", m, err)
	}
	if err := g.stop(); err != nil {
		t.Fatalf("stop: %v", err)
	}
	g.log.await("level=INFO", "action=drop row=4711")
	q := openFile(t, path)
	if steps, err := q.Trail(t.Context(), "4711"); err != nil || len(steps) != 1 || steps[0].Kind != "operator" {
		t.Errorf("trail: %v, %v", steps, err)
	}
	if _, err := q.Drop(t.Context(), "4712"); err != nil {
		t.Errorf("drop: %v", err)
	}
	if p, err := q.List(t.Context(), 0, 10); err != nil || len(p.Messages) != 0 {
		t.Errorf("left: %+v, %v", p, err)
	}
}

// One file, one daemon: the second says who holds it, and that is nothing that
// the configuration is to blame for.
func TestStoreHeldByAnotherDaemon(t *testing.T) {
	g := startGateway(t, "udp")
	other := newGateway(t, "udp", storeAt(g.cfg.Store.Path))
	err := other.app.Run(t.Context())
	var fault *config.Error
	if !errors.Is(err, store.ErrLocked) || errors.As(err, &fault) || !strings.Contains(err.Error(), fmt.Sprintf("process %d holds", os.Getpid())) || !strings.Contains(err.Error(), "set another store.path") {
		t.Errorf("got %v", err)
	}
	branch, raw := g.request(1, "sip:juliet@example.com", "hello")
	g.peer.Send(g.sip, raw)
	if got := g.peer.Final(branch).Status(); got != handedOver {
		t.Errorf("the first one answers %d, want %d", got, handedOver)
	}
}

// Without room for the journal new messages are refused with the words to try
// again; when there is room again, they are taken.
func TestStoreFull(t *testing.T) {
	g := newGateway(t, "tcp")
	g.app.options.MaxPages = 64
	g.run()
	long := strings.Repeat("x", 8000)
	refused := false
	for n := 0; !refused; n++ {
		if n == 1000 {
			t.Fatal("8 MB have been taken, and there is room for 256 KiB")
		}
		id := fmt.Sprint("m", n)
		g.message(id, fmt.Sprintf("u%d@sip.example.com", n), long)
		ping(t, g.xmpp, "sip.example.com", "read "+id)
		for st := g.xmpp.Next(); st.ID != "read "+id; st = g.xmpp.Next() {
			if st.Type != "error" || st.Condition != "resource-constraint" || st.ErrorType != "wait" {
				t.Fatalf("not an error that says wait: %s", st.Raw)
			}
			refused = true
		}
	}
	g.log.await("level=ERROR", "the journal cannot be written: new messages from XMPP are refused", "disk full", "free space")

	// SIP takes what waits; that makes room.
	g.peer.Answer(func(m *siptest.Message) string { return m.Reply(200, "OK") })
	for _, m := range g.peer.Requests() {
		g.peer.Send(m.Source, m.Reply(200, "OK"))
	}
	g.log.await("level=INFO", "the journal is written again")
	g.message("again", "again@sip.example.com", "there is room")
	for n := 1; ; n++ {
		if all := g.peer.Await(n); string(all[len(all)-1].Body) == "there is room" {
			break
		}
	}
	if n := strings.Count(g.log.String(), "the journal cannot be written"); n != 1 {
		t.Errorf("said %d times", n)
	}
}

// What starting again cannot mend is a fault of the configuration, and nothing is
// made or changed where the fault is; what may pass by itself is not.
func TestStoreThatCannotBeUsed(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	foreign := write("foreign.db", "not a database, and long enough for a header of one, which has a hundred octets in its first page ......")
	for _, c := range []struct{ name, path, text string }{
		{"no directory", filepath.Join(dir, "none", "stox.db"), "does not exist; make it for the user that stox runs as"},
		{"a file for a directory", filepath.Join(foreign, "stox.db"), "is not a directory"},
		{"a directory for a file", dir, "is a directory; name the file in it, such as " + filepath.Join(dir, "stox.db")},
		{"of another program", foreign, "damaged"},
	} {
		t.Run(c.name, func(t *testing.T) {
			before, _ := os.ReadFile(c.path)
			err := newGateway(t, "udp", storeAt(c.path)).app.Run(t.Context())
			var fault *config.Error
			if !errors.As(err, &fault) || fault.Faults[0].Path != "store.path" || !strings.Contains(err.Error(), c.text) || strings.Contains(err.Error(), "store: ") {
				t.Errorf("got %v, want a fault of store.path with %q", err, c.text)
			}
			if after, _ := os.ReadFile(c.path); string(after) != string(before) {
				t.Error("the file has been changed")
			}
		})
	}
	a := newGateway(t, "udp").app
	for _, class := range []error{store.ErrDiskFull, store.ErrIO, store.ErrLocked} {
		var fault *config.Error
		if err := a.storeError(fmt.Errorf("store: %w: of the test", class)); errors.As(err, &fault) || !errors.Is(err, class) || !strings.Contains(err.Error(), filepath.Dir(a.config().Store.Path)) {
			t.Errorf("%v became %v", class, err)
		}
	}
}

// A file system that is read-only, which the unit makes of all but its own
// directories, is nothing that its owner could mend.
func TestRemedyForReadOnly(t *testing.T) {
	for err, want := range map[error]string{
		&fs.PathError{Op: "access", Path: "/srv/x", Err: syscall.EROFS}: "allow it in the unit (systemctl edit stox: [Service] ReadWritePaths=/srv/x), or mount it read-write",
		syscall.EROFS:  "allow it in the unit (systemctl edit stox: [Service] ReadWritePaths=/srv/x), or mount it read-write",
		syscall.EACCES: "it must belong to the user that stox runs as: chown stox: /srv/x/stox.db*",
	} {
		if got := mend(err, "/srv/x", "/srv/x/stox.db*"); got != want {
			t.Errorf("%v: %s", err, got)
		}
	}
}

// A port that is taken does not leave the store locked.
func TestStoreIsClosedWhenThePortIsTaken(t *testing.T) {
	g := startGateway(t, "tcp")
	path := filepath.Join(t.TempDir(), "stox.db")
	other := newGateway(t, "tcp", storeAt(path), func(cfg *config.Config) { cfg.SIP.Listen = []string{"tcp://" + g.sip.String()} })
	if err := other.app.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "is taken by another program") {
		t.Fatalf("got %v", err)
	}
	rowsIn(t, path)
}

// The service manager and the log are told once when the store begins to fail and
// once when it has recovered.
func TestStoreEvents(t *testing.T) {
	addr := &net.UnixAddr{Name: filepath.Join(t.TempDir(), "notify"), Net: "unixgram"}
	manager, err := net.ListenUnixgram("unixgram", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	t.Setenv("NOTIFY_SOCKET", addr.Name)
	told := func() string {
		t.Helper()
		b := make([]byte, 4096)
		n, err := manager.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		return string(b[:n])
	}
	g := newGateway(t, "udp")
	changed := g.app.storeEvents().Changed
	for _, c := range []struct {
		class  error
		remedy string
	}{
		{store.ErrDiskFull, "free space on the file system of " + filepath.Dir(g.cfg.Store.Path)},
		{store.ErrLocked, "fuser " + g.cfg.Store.Path},
		{store.ErrIO, "dmesg"},
		{store.ErrCorrupt, "docs/security.md"},
	} {
		changed(store.State{Failing: fmt.Errorf("store: %w: one\ntwo", c.class), Since: time.Now()})
		if got := told(); !strings.HasPrefix(got, "STATUS=the journal cannot be written") || strings.Contains(got, "\n") || !strings.Contains(got, c.class.Error()) {
			t.Errorf("%v: the service manager is told %q", c.class, got)
		}
		g.log.await("level=ERROR", "new messages from XMPP are refused", c.class.Error(), c.remedy)
		changed(store.State{})
		if got := told(); got != "STATUS=ready" {
			t.Errorf("%v: the service manager is told %q in the end", c.class, got)
		}
	}
	if n := strings.Count(g.log.String(), "the journal is written again"); n != 4 {
		t.Errorf("%d recoveries in the log", n)
	}
}

// The store takes queue.max_messages and store.trail from the configuration, the
// bridge what is about senders.
func TestSettingsOfTheQueue(t *testing.T) {
	cfg, err := config.Parse("stox.toml", []byte(`
xmpp = {domain = "sip.example.com", secret = "component secret", failure_notice = false}
sip = {domain = "pbx.example.net", late_errors = "message"}
queue = {expire = "1m", max_messages = 7}
store = {path = "stox.db", trail = "2h"}
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	p, err := BuildPolicy(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if p.Expire != time.Minute || p.Notice || p.Late != "message" {
		t.Errorf("policy %+v", p)
	}
	if o := storeOptions(cfg); o.MaxEntries != 7 || o.TrailFor != 2*time.Hour {
		t.Errorf("options %+v", o)
	}
}

// putRow puts a row into a store at rest.
func putRow(t *testing.T, path string, e store.Entry) {
	t.Helper()
	withStore(t, path, func(st *store.Store) {
		if _, err := st.Append([]store.Entry{e}); err != nil {
			t.Fatal(err)
		}
	})
}

// rowsIn are the rows in a store that nobody has open.
func rowsIn(t *testing.T, path string) (rows []store.Entry) {
	t.Helper()
	withStore(t, path, func(st *store.Store) {
		if err := st.Load(func(e store.Entry) error { rows = append(rows, e); return nil }); err != nil {
			t.Fatal(err)
		}
	})
	return rows
}

func withStore(t *testing.T, path string, f func(*store.Store)) {
	t.Helper()
	st, err := store.Open(path, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	f(st)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := errors.Join(st.Run(ctx, store.Events{}), st.Close()); err != nil {
		t.Fatal(err)
	}
}
