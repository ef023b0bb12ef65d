package store

import (
	"database/sql"
	"slices"
	"strings"
	"time"
)

// Dialog is a dialog that the next run goes on with. What is in Data is the caller's
// business; without any it is forgotten.
type Dialog struct {
	Key     string
	Expires time.Time // kept in milliseconds
	Data    []byte    // must not be changed after PutDialogs
}

func (d Dialog) key() string { return d.Key }

func (d Dialog) size() int64 { return int64(len(d.Key) + len(d.Data) + rowOverhead) }

// Bounds of what waits during a fault: what is more is looked through, which leaves half of
// it at most. And of one dialog.
const (
	maxDialogsWait      = 131072
	maxDialogsWaitBytes = 64 << 20
	maxDialogData       = 16 << 10
)

// PutDialogs keeps new versions, which replace older ones. They are written as contacts are,
// in batches and without a report; during a fault at most 131072 wait, of 64 MiB. Of more,
// what has a newer version is dropped first, then the oldest down to half of it. One with
// more than 16 KiB of Data is not kept.
func (s *Store) PutDialogs(batch []Dialog) {
	s.putSide(len(batch), func() {
		for _, d := range batch {
			if len(d.Data) > maxDialogData {
				d.Data = nil // nor what there was before, which is not true any more
				s.dropped++
			}
			s.dialogs = append(s.dialogs, d)
			s.dialogBytes += d.size()
		}
	})
}

func (q *queue) boundDialogsLocked() {
	if len(q.dialogs) <= maxDialogsWait && q.dialogBytes <= maxDialogsWaitBytes {
		return
	}
	q.dialogs = newest(q.dialogs, Dialog.key)
	q.dialogBytes = sizeOfDialogs(q.dialogs)
	n := 0
	for left := len(q.dialogs); left > maxDialogsWait/2 || q.dialogBytes > maxDialogsWaitBytes/2; left-- {
		q.dialogBytes -= q.dialogs[n].size()
		n++
	}
	q.dialogs = dropOldest(q.dialogs, n)
	q.dropped += uint64(n)
}

func sizeOfDialogs(all []Dialog) (n int64) {
	for _, d := range all {
		n += d.size()
	}
	return n
}

// LoadDialogs calls f with all dialogs on the disk that have not expired, in batches, in the
// order of keys, and stops with the first error. The slice is valid only during the call.
// Open removes those that have expired.
func (s *Store) LoadDialogs(f func([]Dialog) error) error { return s.b.loadDialogs(time.Now(), f) }

// LoadDialogs is Store.LoadDialogs. The file of a version that had none has none.
func (r *Reader) LoadDialogs(f func([]Dialog) error) error {
	if has, err := r.hasTable("dialogs"); !has {
		return err
	}
	return r.b.loadDialogs(time.Now(), f)
}

// forgetExpired removes what is of no use any more. If the disk does not take that now, the
// next start has it to do again: LoadDialogs does not return it.
func (b *sqliteStore) forgetExpired(now time.Time) {
	_ = b.writer.exec("DELETE FROM dialogs WHERE expires <= ?", millis(now))
}

func (b *sqliteStore) putDialogs(w *work) error {
	all := newest(slices.Clone(w.dialogs), Dialog.key)
	for _, d := range all { // first what makes room
		if len(d.Data) > 0 {
			continue
		}
		if err := b.writer.exec("DELETE FROM dialogs WHERE key = ?", d.Key); err != nil {
			return err
		}
	}
	for _, d := range all {
		if len(d.Data) == 0 {
			continue
		}
		err := b.writer.exec("INSERT INTO dialogs (key, expires, data) VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET expires = excluded.expires, data = excluded.data",
			d.Key, millis(d.Expires), d.Data)
		if err != nil {
			return err
		}
	}
	return nil
}

func (b *sqliteStore) loadDialogs(now time.Time, f func([]Dialog) error) error {
	return loadPages(func(last Dialog) ([]Dialog, error) {
		page, err := query(b.reader, func(rows *sql.Rows, d *Dialog) error {
			var expires int64
			err := rows.Scan(&d.Key, &expires, &d.Data)
			d.Expires = fromMillis(expires)
			return err
		}, "SELECT key, expires, data FROM dialogs WHERE key > ? AND expires > ? ORDER BY key LIMIT ?", last.Key, millis(now), readRows)
		if err != nil {
			err = withRemedy(b.path, err)
		}
		return page, err
	}, f)
}

func (m *memory) putDialogs(batch []Dialog) {
	for _, d := range batch {
		if len(d.Data) == 0 {
			delete(m.dialogs, d.Key)
			continue
		}
		d.Expires = fromMillis(millis(d.Expires))
		m.dialogs[d.Key] = d
	}
}

func (m *memory) loadDialogs(now time.Time, f func([]Dialog) error) error {
	m.mu.Lock()
	var all []Dialog
	for _, d := range m.dialogs {
		if millis(d.Expires) > millis(now) {
			all = append(all, d)
		}
	}
	m.mu.Unlock()
	if len(all) == 0 {
		return nil
	}
	slices.SortFunc(all, func(a, b Dialog) int { return strings.Compare(a.Key, b.Key) })
	return f(all)
}
