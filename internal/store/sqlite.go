package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"os"
	"strings"
)

// sqliteStore is the engine of a single machine: one file, one connection that
// writes, few that read. Rows go into slots, and those that stay from there to the table journal, by statements of
// up to insertRows rows, which costs half of what single ones do, and out of it by ranges.
type sqliteStore struct {
	path string
	o    Options
	lock *os.File

	// These belong to the goroutine that commits.
	writer *writer
	slots  slotTable
	buf    []byte
	values []driver.Value
	seen   int64 // outcomes on the disk
	trail  int64 // bytes of the trail on the disk

	reader *sql.DB
	ranges slotRanges
}

// insertRows at most go into one statement.
const insertRows = 64

// expireBytes of trail at most are removed in one commit, which would take long otherwise.
const expireBytes = 16 << 20

var (
	bg            = context.Background()
	errReaderBusy = errors.New("a reader is in the way")
	errNotOpen    = errors.New("the file could not be opened again")
)

func (b *sqliteStore) commit(w *work) error {
	if err := b.tryCommit(w); err != nil {
		return classify(err)
	}
	return nil
}

func (b *sqliteStore) tryCommit(w *work) (err error) {
	if err := b.knowSlots(); err != nil {
		return err
	}
	t := &b.slots
	defer func() {
		if err != nil {
			t.known = false // what became of it is found out before the next one
		} else if !t.used() {
			b.ranges.set(t.all)
		}
		t.finish()
	}()
	spans := t.bury(w.dead)
	short := len(w.put) > 0 && t.free() < maxSlots/4 && t.free() < need(w.put)
	if !short {
		b.placeRows(w.put)
		one := len(t.out) == 1 && len(t.apart) == 0 || len(t.out) == 0 && len(t.apart) <= insertRows
		if one && !spans && w.beside() == 0 && w.expire == nil && !w.probe { // one statement is a transaction by itself
			return errors.Join(b.putSlots(), b.putAll(t.apart))
		}
	}
	if err := b.writer.exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	seen, trail := b.seen, b.trail
	defer func() {
		if err != nil {
			b.seen, b.trail = seen, trail
			_ = b.writer.exec("ROLLBACK") // may be over already
		}
	}()
	if short {
		if err := b.makeRoom(need(w.put)); err != nil {
			return err
		}
		b.placeRows(w.put)
	}
	if spans {
		if err := b.deleteRows(w); err != nil {
			return err
		}
	}
	if err := b.putSlots(); err != nil {
		return err
	}
	if err := b.putAll(t.apart); err != nil {
		return err
	}
	if w.beside() > 0 || w.expire != nil || w.probe {
		for _, step := range []func(*work) error{b.putSeen, b.putTrail, b.putContacts, b.putRelations, b.putDialogs, b.putAccounts, b.putBlocks, b.putUsage, b.expireOld, b.probe} {
			if err := step(w); err != nil {
				return err
			}
		}
	}
	return b.writer.exec("COMMIT")
}

func (b *sqliteStore) deleteRows(w *work) error {
	for _, s := range w.spans {
		if err := b.writer.exec("DELETE FROM journal WHERE id BETWEEN ? AND ?", int64(s.lo), int64(s.hi)); err != nil {
			return err
		}
	}
	return nil
}

func (b *sqliteStore) putAll(rows []Entry) error {
	for rest := rows; len(rest) > 0; {
		n := min(len(rest), insertRows)
		if err := b.putRows(rest[:n]); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}

// insertQueries are the statements that write rows, by number of rows.
var insertQueries = func() (q [insertRows + 1]string) {
	for n := 1; n <= insertRows; n++ {
		q[n] = "INSERT INTO journal (id, row) VALUES (?, ?)" + strings.Repeat(", (?, ?)", n-1) + " ON CONFLICT (id) DO UPDATE SET row = excluded.row"
	}
	return q
}()

// putRows writes up to insertRows rows by one statement. A row that is there is
// replaced: that is an Update, or one whose commit failed and yet reached the disk.
func (b *sqliteStore) putRows(rows []Entry) error {
	b.buf, b.values = b.buf[:0], b.values[:0]
	for i := range rows {
		at := len(b.buf)
		b.buf = appendRow(b.buf, &rows[i])
		b.values = append(b.values, int64(rows[i].ID), b.buf[at:len(b.buf):len(b.buf)])
	}
	err := b.writer.exec(insertQueries[len(rows)], b.values...)
	clear(b.values)
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
	return b.writer.exec("INSERT INTO seen (last, size, data) VALUES (?, ?, ?)", millis(last), int64(len(w.seen)), packSeen(w.seen))
}

func (b *sqliteStore) putTrail(w *work) error {
	for _, t := range w.trail {
		t = t.whole()
		filter := t.filter(b.buf[:0])
		size := int64(len(t.data) + len(filter))
		b.trail += size
		if err := b.writer.exec("INSERT INTO trail (last, size, filter, data) VALUES (?, ?, ?, ?)", t.newest, size, filter, t.data); err != nil {
			return err
		}
		b.buf = filter
	}
	return nil
}

func (b *sqliteStore) expireOld(w *work) error {
	x := w.expire
	if x == nil {
		return nil
	}
	if _, err := b.expireTable("seen", &b.seen, millis(x.seenBefore), int64(x.maxSeen), 1<<40); err != nil {
		return err
	}
	if err := b.expireUsage(x); err != nil {
		return err
	}
	gone, err := b.expireTable("trail", &b.trail, millis(x.trailBefore), x.maxTrailBytes, expireBytes)
	x.more = gone >= expireBytes
	return err
}

// expireTable removes the oldest batches while they are older than before or the
// total is above bound, but not more than most.
func (b *sqliteStore) expireTable(table string, total *int64, before, bound, most int64) (gone int64, err error) {
	var upTo int64
	err = b.writer.query(func(row []driver.Value) bool {
		batch, last, size := integer(row[0]), integer(row[1]), integer(row[2])
		if last >= before && *total-gone <= bound {
			return false
		}
		upTo, gone = batch, gone+size
		return gone < most
	}, "SELECT batch, last, size FROM "+table+" ORDER BY batch")
	if err != nil || gone == 0 {
		return 0, err
	}
	*total -= gone
	return gone, b.writer.exec("DELETE FROM "+table+" WHERE batch <= ?", upTo)
}

// integer is 0 for what is none, which only a file that others have written to has.
func integer(v driver.Value) int64 {
	n, _ := v.(int64)
	return n
}

// probe asks for so much room that it does not pass where rows would not.
func (b *sqliteStore) probe(w *work) error {
	if !w.probe {
		return nil
	}
	if err := b.writer.exec("INSERT INTO probe (data) VALUES (zeroblob(65536))"); err != nil {
		return err
	}
	return b.writer.exec("DELETE FROM probe")
}

// recover starts over with a fresh connection: after an I/O error the old one may
// hold a transaction that it cannot end.
func (b *sqliteStore) recover() error {
	b.closeWriter()
	if err := b.openWriter(); err != nil {
		return err
	}
	b.slots.known = false
	_ = b.checkpoint() // gives the room of the log back, if the disk is full
	return nil
}

func (b *sqliteStore) checkpoint() error {
	if b.writer == nil { // since a recover that failed
		return errNotOpen
	}
	// The log is emptied all the same if that fails: when the disk is full, this is what makes room for it.
	drained := b.drain(false)
	// Not wait for readers: commits would wait as well.
	if err := b.writer.set("PRAGMA busy_timeout = 0"); err != nil {
		return classify(err)
	}
	var busy int64
	err := b.writer.query(func(row []driver.Value) bool {
		busy = integer(row[0])
		return true
	}, "PRAGMA wal_checkpoint(TRUNCATE)")
	err2 := b.writer.set(fmt.Sprintf("PRAGMA busy_timeout = %d", b.o.BusyTimeout.Milliseconds()))
	if err := errors.Join(drained, err, err2); err != nil {
		return classify(err)
	}
	if busy != 0 {
		return errReaderBusy
	}
	return nil
}

func (b *sqliteStore) closeWriter() {
	if b.writer != nil {
		_ = b.writer.close()
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
