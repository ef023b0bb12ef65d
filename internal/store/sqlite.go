package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
)

// sqliteStore is the engine of a single machine: one file, one connection that
// writes, few that read. Rows go in by statements of up to insertRows rows, which
// costs half of what single ones do, and out by ranges.
type sqliteStore struct {
	path string
	o    Options
	lock *os.File

	// The writer belongs to the goroutine that commits.
	writer  *sql.DB
	conn    *sql.Conn
	inserts map[int]*sql.Stmt // by number of rows
	del     *sql.Stmt
	buf     []byte
	args    []any
	seen    int64 // outcomes on the disk
	trail   int64 // bytes of the trail on the disk

	reader *sql.DB
}

// insertRows at most go into one statement.
const insertRows = 64

// expireBytes of trail at most are removed in one commit, which would take long otherwise.
const expireBytes = 16 << 20

var (
	bg            = context.Background()
	errReaderBusy = errors.New("a reader is in the way")
)

func (b *sqliteStore) commit(w *work) error {
	if err := b.tryCommit(w); err != nil {
		return classify(err)
	}
	return nil
}

func (b *sqliteStore) tryCommit(w *work) (err error) {
	if len(w.put) <= insertRows && len(w.spans) == 0 && w.beside() == 0 && w.expire == nil && !w.probe {
		return b.putRows(w.put) // one statement is a transaction by itself
	}
	if _, err := b.conn.ExecContext(bg, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	seen, trail := b.seen, b.trail
	defer func() {
		if err != nil {
			b.seen, b.trail = seen, trail
			_, _ = b.conn.ExecContext(bg, "ROLLBACK") // may be over already
		}
	}()
	for _, step := range []func(*work) error{b.deleteRows, b.putAll, b.putSeen, b.putTrail, b.putContacts, b.putRelations, b.putDialogs, b.expireOld, b.probe} {
		if err := step(w); err != nil {
			return err
		}
	}
	_, err = b.conn.ExecContext(bg, "COMMIT")
	return err
}

func (b *sqliteStore) deleteRows(w *work) error {
	if len(w.spans) > 0 && b.del == nil {
		st, err := b.conn.PrepareContext(bg, "DELETE FROM journal WHERE id BETWEEN ? AND ?")
		if err != nil {
			return err
		}
		b.del = st
	}
	for _, s := range w.spans {
		if _, err := b.del.ExecContext(bg, int64(s.lo), int64(s.hi)); err != nil {
			return err
		}
	}
	return nil
}

func (b *sqliteStore) putAll(w *work) error {
	for rest := w.put; len(rest) > 0; {
		n := min(len(rest), insertRows)
		if err := b.putRows(rest[:n]); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}

// putRows writes up to insertRows rows by one statement. A row that is there is
// replaced: that is an Update, or one whose commit failed and yet reached the disk.
func (b *sqliteStore) putRows(rows []Entry) error {
	st := b.inserts[len(rows)]
	if st == nil {
		var err error
		st, err = b.conn.PrepareContext(bg, "INSERT INTO journal (id, row) VALUES (?, ?)"+
			strings.Repeat(", (?, ?)", len(rows)-1)+" ON CONFLICT (id) DO UPDATE SET row = excluded.row")
		if err != nil {
			return err
		}
		b.inserts[len(rows)] = st
	}
	b.buf, b.args = b.buf[:0], b.args[:0]
	for i := range rows {
		at := len(b.buf)
		b.buf = appendRow(b.buf, &rows[i])
		b.args = append(b.args, int64(rows[i].ID), b.buf[at:len(b.buf):len(b.buf)])
	}
	_, err := st.ExecContext(bg, b.args...)
	clear(b.args)
	if cap(b.buf) > 1<<20 {
		b.buf = nil
	}
	return err
}

func (b *sqliteStore) putSeen(w *work) error {
	if len(w.seen) == 0 {
		return nil
	}
	last := w.seen[0].At
	for i := range w.seen {
		if w.seen[i].At.After(last) {
			last = w.seen[i].At
		}
	}
	b.seen += int64(len(w.seen))
	_, err := b.conn.ExecContext(bg, "INSERT INTO seen (last, size, data) VALUES (?, ?, ?)",
		millis(last), len(w.seen), packSeen(w.seen))
	return err
}

func (b *sqliteStore) putTrail(w *work) error {
	if len(w.trail) == 0 {
		return nil
	}
	last := w.trail[0].At
	for i := range w.trail {
		if w.trail[i].At.After(last) {
			last = w.trail[i].At
		}
	}
	data, filter := packTrail(w.trail), trailFilter(w.trail)
	size := int64(len(data) + len(filter))
	b.trail += size
	_, err := b.conn.ExecContext(bg, "INSERT INTO trail (last, size, filter, data) VALUES (?, ?, ?, ?)",
		millis(last), size, filter, data)
	return err
}

func (b *sqliteStore) expireOld(w *work) error {
	x := w.expire
	if x == nil {
		return nil
	}
	if _, err := b.expireTable("seen", &b.seen, millis(x.seenBefore), int64(x.maxSeen), 1<<40); err != nil {
		return err
	}
	gone, err := b.expireTable("trail", &b.trail, millis(x.trailBefore), x.maxTrailBytes, expireBytes)
	x.more = gone >= expireBytes
	return err
}

// expireTable removes the oldest batches while they are older than before or the
// total is above bound, but not more than most.
func (b *sqliteStore) expireTable(table string, total *int64, before, bound, most int64) (gone int64, err error) {
	rows, err := b.conn.QueryContext(bg, "SELECT batch, last, size FROM "+table+" ORDER BY batch")
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	var upTo int64
	for rows.Next() && gone < most {
		var batch, last, size int64
		if err := rows.Scan(&batch, &last, &size); err != nil {
			return 0, err
		}
		if last >= before && *total-gone <= bound {
			break
		}
		upTo, gone = batch, gone+size
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil || gone == 0 {
		return 0, err
	}
	*total -= gone
	_, err = b.conn.ExecContext(bg, "DELETE FROM "+table+" WHERE batch <= ?", upTo)
	return gone, err
}

// probe asks for so much room that it does not pass where rows would not.
func (b *sqliteStore) probe(w *work) error {
	if !w.probe {
		return nil
	}
	if _, err := b.conn.ExecContext(bg, "INSERT INTO probe (data) VALUES (zeroblob(65536))"); err != nil {
		return err
	}
	_, err := b.conn.ExecContext(bg, "DELETE FROM probe")
	return err
}

// recover starts over with a fresh connection: after an I/O error the old one may
// hold a transaction that it cannot end.
func (b *sqliteStore) recover() error {
	b.closeWriter()
	if err := b.openWriter(); err != nil {
		return err
	}
	_ = b.checkpoint() // gives the room of the log back, if the disk is full
	return nil
}

func (b *sqliteStore) checkpoint() error {
	// Not wait for readers: commits would wait as well.
	if _, err := b.conn.ExecContext(bg, "PRAGMA busy_timeout = 0"); err != nil {
		return classify(err)
	}
	var busy, frames, moved int
	err := b.conn.QueryRowContext(bg, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &frames, &moved)
	_, err2 := b.conn.ExecContext(bg, fmt.Sprintf("PRAGMA busy_timeout = %d", b.o.BusyTimeout.Milliseconds()))
	if err := errors.Join(err, err2); err != nil {
		return classify(err)
	}
	if busy != 0 {
		return errReaderBusy
	}
	return nil
}

func (b *sqliteStore) closeWriter() {
	for _, st := range b.inserts {
		_ = st.Close()
	}
	if b.del != nil {
		_ = b.del.Close()
	}
	b.inserts, b.del = nil, nil
	if b.conn != nil {
		_ = b.conn.Close()
		b.conn = nil
	}
	if b.writer != nil {
		_ = b.writer.Close()
		b.writer = nil
	}
}

func (b *sqliteStore) close() error {
	var err error
	if b.reader != nil {
		err = b.reader.Close()
	}
	b.closeWriter() // last: it moves the log into the file and removes it
	if b.lock != nil {
		err = errors.Join(err, b.lock.Close())
		b.lock = nil
	}
	return err
}
