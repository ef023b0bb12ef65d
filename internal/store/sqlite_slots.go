package store

import (
	"bytes"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"slices"
	"strings"
)

// evictSlots at least are emptied when room is made, so that it is not made for each commit.
const evictSlots = 8

// knowSlots reads what is in slots, unless that is known: at the start, and after a commit that failed and
// may have happened all the same.
func (b *sqliteStore) knowSlots() error {
	if b.slots.known {
		return nil
	}
	var newest int64
	err := b.writer.query(func(row []driver.Value) bool {
		newest = integer(row[0])
		return true
	}, "SELECT max(id) FROM journal")
	if err != nil {
		return err
	}
	var all []packed
	err = b.writer.query(func(row []driver.Value) bool {
		all = append(all, packed{integer(row[0]), octets(row[1])})
		return true
	}, "SELECT slot, data FROM slots ORDER BY slot")
	if err != nil {
		return err
	}
	b.slots.learn(all, uint64(newest))
	b.ranges.set(b.slots.all)
	return nil
}

// placeRows has rows packed into slots, and what is done noted. Readers know before this is committed that they
// have to look there.
func (b *sqliteStore) placeRows(rows []Entry) {
	t := &b.slots
	t.place(rows)
	if t.marks && (len(t.out) > 0 || !t.emptyOne()) {
		t.register()
	}
	b.ranges.change(t.all, t.out)
}

const putSlot = "REPLACE INTO slots (slot, data) VALUES (?, ?)"

// putSlots writes what was placed.
func (b *sqliteStore) putSlots() error {
	t := &b.slots
	for i, number := range t.out {
		image := t.image[i*slotSize : (i+1)*slotSize : (i+1)*slotSize]
		b.values = append(b.values[:0], int64(number), image)
		if err := b.writer.exec(putSlot, b.values...); err != nil {
			return err
		}
	}
	clear(b.values)
	return nil
}

// makeRoom moves rows that have stayed longer than those beside them to the table journal, so that
// their slots can be used again.
func (b *sqliteStore) makeRoom(slots int) error {
	t := &b.slots
	for n := max(slots-t.free(), evictSlots); n > 0; n-- {
		at := t.mostlyDone()
		if at < 0 {
			return nil
		}
		if err := b.moveRows(at); err != nil {
			return err
		}
		t.all[at].endAll()
		t.marks = true
	}
	return nil
}

// moveRows moves those rows of a slot that are not done.
func (b *sqliteStore) moveRows(at int) error {
	rows, err := b.rowsIn(at, nil)
	if err != nil {
		return err
	}
	return b.putPacked(rows)
}

// rowsIn appends those rows of a slot that are not done.
func (b *sqliteStore) rowsIn(at int, rows []slotRow) ([]slotRow, error) {
	s := &b.slots.all[at]
	image, err := b.slotData(at)
	if err != nil {
		return nil, err
	}
	writing, err := unpackSlot(image, func(i int, id uint64, row []byte) {
		if s.lives(i) {
			rows = append(rows, slotRow{id, row})
		}
	})
	if err != nil || writing != s.writing {
		return nil, fmt.Errorf("slot %d: %w", at+1, errRow)
	}
	return rows, nil
}

func (b *sqliteStore) slotData(at int) (image []byte, err error) {
	err = b.writer.query(func(row []driver.Value) bool {
		image = octets(row[0])
		return false
	}, "SELECT data FROM slots WHERE slot = ?", int64(at+1))
	return image, err
}

// octets returns a copy of a blob. Text is taken for one: others may have written to the file.
func octets(v driver.Value) []byte {
	switch v := v.(type) {
	case []byte:
		return bytes.Clone(v)
	case string:
		return []byte(v)
	}
	return nil
}

// putPacked writes rows that are packed already into the table journal.
func (b *sqliteStore) putPacked(rows []slotRow) error {
	for len(rows) > 0 {
		n := min(len(rows), insertRows)
		b.values = b.values[:0]
		for _, r := range rows[:n] {
			b.values = append(b.values, int64(r.id), r.row)
		}
		if err := b.writer.exec(insertQueries[n], b.values...); err != nil {
			return err
		}
		rows = rows[n:]
	}
	clear(b.values)
	return nil
}

// drain moves all rows out of the slots and deletes these, which overwrites them: first, since there may be no
// other room for the rows. A slot that cannot be read stays; with aside, which is for the start, when nobody has asked yet which
// ids are in use, it becomes a row as well.
func (b *sqliteStore) drain(aside bool) (err error) {
	if err := b.knowSlots(); err != nil {
		return err
	}
	t := &b.slots
	if !t.used() && len(t.all) <= 1 { // one is not worth making anew for each message that comes alone
		return nil
	}
	if err := b.writer.exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			t.known = false
			_ = b.writer.exec("ROLLBACK") // may be over already
		}
	}()
	var rows []slotRow
	for at := range t.all {
		switch s := &t.all[at]; {
		case s.bad && aside:
			rows, err = b.setAside(at, rows)
			s.bad = false
		case s.bad:
		case s.alive > 0:
			rows, err = b.rowsIn(at, rows)
		}
		if err != nil {
			return err
		}
	}
	if err := b.deleteSlots(); err != nil {
		return err
	}
	if err := b.putPacked(rows); err != nil {
		return err
	}
	if err := b.writer.exec("COMMIT"); err != nil {
		return err
	}
	t.empty()
	b.ranges.set(t.all)
	return nil
}

// deleteSlots deletes all but those that cannot be read.
func (b *sqliteStore) deleteSlots() error {
	all := b.slots.all
	if !slices.ContainsFunc(all, func(s slot) bool { return s.bad }) {
		return b.writer.exec("DELETE FROM slots")
	}
	for number := range len(all) + 1 { // with the register
		if number > 0 && all[number-1].bad {
			continue
		}
		if err := b.writer.exec("DELETE FROM slots WHERE slot = ?", int64(number)); err != nil {
			return err
		}
	}
	return nil
}

// setAside keeps what is in a slot that cannot be read as a row that cannot be read, which is listed and
// dropped like any other.
func (b *sqliteStore) setAside(at int, rows []slotRow) ([]slotRow, error) {
	image, err := b.slotData(at)
	b.slots.newest++
	return append(rows, slotRow{b.slots.newest, append([]byte{0}, image...)}), err
}

// both returns the rows in slots, and up to n of the table journal with an id over after.
func (b *sqliteStore) both(after uint64, n int) (inSlots, inTable []slotRow, err error) {
	return b.slotsAnd("SELECT id, row, 0 FROM (SELECT id, row FROM journal WHERE id > ? ORDER BY id LIMIT ?)", int64(after), n)
}

// slotsAnd returns the rows in slots, and what q says of the table journal. That is one statement, so that a row
// which moves meanwhile is neither missed nor counted twice.
func (b *sqliteStore) slotsAnd(q string, args ...any) (inSlots, other []slotRow, err error) {
	if !b.ranges.empty() {
		q = "SELECT slot, data, 1 FROM slots UNION ALL " + q
	}
	all, err := querySlots(b.reader, q, args...)
	if err != nil {
		return nil, nil, err
	}
	var slots []packed
	for _, r := range all {
		if r.inSlots {
			slots = append(slots, packed{r.number, r.data})
		} else {
			other = append(other, slotRow{uint64(r.number), r.data})
		}
	}
	return living(slots), other, nil
}

// someSlots at most are read one by one; if there are more, all are read.
const someSlots = 32

// among returns the rows in slots that have one of the sorted ids, and maybe others.
func (b *sqliteStore) among(ids []uint64) ([]slotRow, error) {
	numbers, every := b.ranges.holding(ids)
	if every || len(numbers) > someSlots {
		inSlots, _, err := b.both(0, 0)
		return inSlots, err
	}
	if len(numbers) == 0 {
		return nil, nil
	}
	args := make([]any, len(numbers))
	for i, n := range numbers {
		args[i] = n
	}
	all, err := querySlots(b.reader, "SELECT slot, data, 1 FROM slots WHERE slot IN (0"+strings.Repeat(", ?", len(numbers))+")", args...)
	if err != nil {
		return nil, err
	}
	slots := make([]packed, len(all))
	for i := range all {
		slots[i] = all[i].packed
	}
	return living(slots), nil
}

type slotOrRow struct {
	packed
	inSlots bool
}

func querySlots(db *sql.DB, q string, args ...any) ([]slotOrRow, error) {
	return query(db, func(rows *sql.Rows, r *slotOrRow) error { return rows.Scan(&r.number, &r.data, &r.inSlots) }, q, args...)
}

// hasSlots says whether the file has slots at all: one of an earlier version has none.
func hasSlots(db *sql.DB) (has bool, err error) {
	err = db.QueryRow("SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'slots'").Scan(&has)
	return has, err
}
