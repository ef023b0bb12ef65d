package store

import (
	"encoding/binary"
	"math"
	"slices"
)

// The newest rows are packed into slots. A slot is as large as a page of the file, and is overwritten in
// place by later rows when all of its own are done, so that a commit writes as few pages as its rows
// fill, and those that end cost none of their own: which rows are done is written into one slot more, the
// register. Rows that stay, or are too large, are in the table journal, each by itself. How they are packed is in slot_format.go.

// slot is what memory has of one.
type slot struct {
	writing uint64 // 0: nothing is in it
	ids     []uint64
	lo, hi  uint64 // of ids
	done    uint64 // bits
	alive   int
	bad     bool // it cannot be read
}

func (s *slot) add(id uint64) {
	if len(s.ids) == 0 {
		s.lo, s.hi = id, id
	}
	s.lo, s.hi = min(s.lo, id), max(s.hi, id)
	s.ids = append(s.ids, id)
	s.alive++
}

// end notes that row i is done, and reports whether it was not before.
func (s *slot) end(i int) bool {
	if s.done&(1<<i) != 0 {
		return false
	}
	s.done |= 1 << i
	s.alive--
	return true
}

// endAll notes that all rows are done.
func (s *slot) endAll() {
	for i := range s.ids {
		s.end(i)
	}
}

func (s *slot) lives(i int) bool { return s.done&(1<<i) == 0 }

// free reports whether the slot can be overwritten.
func (s slot) free() bool { return s.alive == 0 && !s.bad }

// used reports whether there is anything in the slot, be it done.
func (s slot) used() bool { return s.writing != 0 || s.bad }

// slotTable is what the goroutine that commits knows of the slots: what is on the disk, and while a
// commit is put together what will be.
type slotTable struct {
	known   bool   // otherwise the disk has to be asked
	all     []slot // the first one is slot 1
	writing uint64 // the last one
	newest  uint64 // no row on the disk has a higher id

	// Of the commit that is put together.
	out   []int   // slots to be written
	image []byte  // what is written to them, one after the other
	marks bool    // the register changes
	apart []Entry // rows for the table journal
}

// finish forgets the commit that was put together.
func (t *slotTable) finish() {
	t.out, t.image, t.marks = t.out[:0], t.image[:0], false
	clear(t.apart) // what was written may go
	t.apart = t.apart[:0]
	if cap(t.image) > 1<<18 || cap(t.apart) > spareItems {
		t.image, t.apart = nil, nil
	}
}

// bury notes that rows are done, by their sorted ids, and reports whether some of them are not in slots.
func (t *slotTable) bury(dead []uint64) (elsewhere bool) {
	if len(dead) == 0 {
		return false
	}
	found := 0
	for n := range t.all {
		s := &t.all[n]
		if s.alive == 0 || s.hi < dead[0] || s.lo > dead[len(dead)-1] {
			continue
		}
		from, _ := slices.BinarySearch(dead, s.lo)
		to, _ := slices.BinarySearch(dead, s.hi+1)
		for i, id := range s.ids { // of which there are few, whatever is dead
			if _, ok := slices.BinarySearch(dead[from:to], id); ok && s.end(i) {
				found++
				t.marks = true
			}
		}
	}
	return found < len(dead)
}

// place packs rows into slots. What is not for them is in apart afterwards: rows that are in the table
// journal already or too large for a slot, and all for which no slot is free.
func (t *slotTable) place(rows []Entry) {
	var s *slot // the one that is being filled
	full := false
	for i := range rows {
		e := &rows[i]
		if e.ID <= t.newest {
			if !t.take(e.ID) {
				t.apart = append(t.apart, *e)
				continue
			}
		}
		t.newest = max(t.newest, e.ID)
		most := mostOf(e)
		if full || most > slotSize-slotHead {
			t.apart = append(t.apart, *e)
			continue
		}
		if s == nil || len(s.ids) == slotRows || len(t.image)+most > len(t.out)*slotSize {
			if s = t.open(); s == nil {
				full = true
				t.apart = append(t.apart, *e)
				continue
			}
		}
		at := len(t.image)
		t.image = binary.AppendUvarint(append(t.image, 0, 0), e.ID)
		t.image = appendRow(t.image, e)
		binary.BigEndian.PutUint16(t.image[at:], uint16(len(t.image)-at-2))
		s.add(e.ID)
	}
	t.pad()
}

// take notes that the row with this id is written anew, and reports whether it was in a slot.
func (t *slotTable) take(id uint64) bool {
	for n := range t.all {
		s := &t.all[n]
		if s.alive == 0 || id < s.lo || id > s.hi {
			continue
		}
		if at := slices.Index(s.ids, id); at >= 0 && s.end(at) {
			t.marks = true
			return true
		}
	}
	return false
}

// open begins a slot: the first one that is free, so that few pages are in use. It returns nil if there is none.
func (t *slotTable) open() *slot {
	t.pad()
	at := slices.IndexFunc(t.all, slot.free)
	if at < 0 {
		if len(t.all) == maxSlots {
			return nil
		}
		at = len(t.all)
		t.all = append(t.all, slot{})
	}
	s := &t.all[at]
	t.writing++
	*s = slot{writing: t.writing, ids: s.ids[:0]}
	t.image = append(t.image, slotVersion)
	t.image = binary.BigEndian.AppendUint64(t.image, s.writing)
	t.out = append(t.out, at+1)
	return s
}

var zeros [slotSize]byte

// pad ends the slot that is being written.
func (t *slotTable) pad() {
	if n := len(t.out); n > 0 {
		t.image = append(t.image, zeros[:n*slotSize-len(t.image)]...)
	}
}

// free counts the slots that can be opened.
func (t *slotTable) free() int {
	n := maxSlots - len(t.all)
	for i := range t.all {
		if t.all[i].free() {
			n++
		}
	}
	return n
}

// mostOf is how much room a row takes, or a little more.
func mostOf(e *Entry) int { return slotRowHead + len(e.Lane) + len(e.Data) }

// need is about how many slots rows fill.
func need(rows []Entry) int {
	size := 0
	for i := range rows {
		if n := mostOf(&rows[i]); n <= slotSize-slotHead {
			size += n
		}
	}
	return 1 + max(size/(slotSize*7/8), len(rows)/slotRows)
}

// register adds the register to what is written.
func (t *slotTable) register() {
	at := len(t.image)
	t.image = append(t.image, zeros[:]...)
	b := t.image[at:]
	b[0] = slotVersion
	for n := range t.all {
		s := &t.all[n]
		if s.done == 0 {
			continue
		}
		at := b[1+n*registerSize:]
		binary.BigEndian.PutUint64(at, s.writing)
		binary.BigEndian.PutUint64(at[8:], s.done)
	}
	t.out = append(t.out, 0)
}

// learn takes what is on the disk.
func (t *slotTable) learn(all []packed, newest uint64) {
	*t = slotTable{known: true, newest: newest, out: t.out, image: t.image, apart: t.apart}
	var register []byte
	for _, p := range all {
		if p.number == 0 {
			register = p.data
		}
	}
	for n := range int64(maxSlots) {
		// Also where the slot has been emptied since: what is written next must not be taken for that.
		about, _ := mark(register, n+1)
		t.writing = max(t.writing, about)
	}
	for _, p := range all {
		if p.number < 1 || p.number > maxSlots {
			continue
		}
		for int64(len(t.all)) < p.number {
			t.all = append(t.all, slot{})
		}
		s := &t.all[p.number-1]
		writing, err := unpackSlot(p.data, func(_ int, id uint64, _ []byte) { s.add(id) })
		if err != nil {
			*s = slot{bad: true} // it stays, and the next start keeps what is in it as a row
			continue
		}
		s.writing = writing
		done := doneIn(register, p.number, writing)
		for i := range s.ids {
			if done&(1<<i) != 0 {
				s.end(i)
			}
		}
		t.writing = max(t.writing, writing)
		t.newest = max(t.newest, s.hi)
	}
}

// mostlyDone returns the slot that was written longest ago of those that are in use although half of
// their rows or more are done; negative: there is none.
func (t *slotTable) mostlyDone() int {
	oldest, at := uint64(math.MaxUint64), -1
	for n := range t.all {
		s := &t.all[n]
		if s.alive > 0 && 2*s.alive <= len(s.ids) && s.writing < oldest {
			oldest, at = s.writing, n
		}
	}
	return at
}

// empty notes that all slots were deleted but those that cannot be read.
func (t *slotTable) empty() {
	for n := range t.all {
		if s := &t.all[n]; !s.bad {
			*s = slot{ids: s.ids[:0]}
		}
	}
	if !t.used() {
		t.all = t.all[:0]
	}
}

// used reports whether there is anything in slots, be it done.
func (t *slotTable) used() bool { return slices.ContainsFunc(t.all, slot.used) }

// emptyOne has the only slot that there is anything in overwritten, if all of that is done, in the
// place of the register: for a message that comes alone there is no more to do then.
func (t *slotTable) emptyOne() bool {
	at := -1
	for n := range t.all {
		switch s := &t.all[n]; {
		case !s.used():
		case !s.free() || at >= 0:
			return false
		default:
			at = n
		}
	}
	if at < 0 {
		return false
	}
	s := &t.all[at]
	*s = slot{ids: s.ids[:0]}
	t.image = append(t.image, zeros[:]...)
	t.out = append(t.out, at+1)
	return true
}
