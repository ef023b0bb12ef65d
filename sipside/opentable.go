package sipside

// openTable has the requests that are open, by their ids. These are random bits of ours
// (branch.go), so they are the places in the table as they are, without a hash: nobody can
// choose where in it something goes. It grows with what is in it, which is bounded by who
// enters something, and is guarded by its owner's lock.
type openTable struct {
	slots []openSlot // a power of two of them, at most half in use; what its place is taken for comes behind it
	count int
}

// openSlot is a place; it is free if tx is nil.
type openSlot struct {
	id uint64
	tx *clientTx
}

// fewestOpen is how many places there are at least.
const fewestOpen = 64

// get gives the request with an id, nil if there is none.
func (t *openTable) get(id uint64) *clientTx {
	if t.count == 0 {
		return nil
	}
	mask := uint64(len(t.slots) - 1)
	for i := id & mask; ; i = (i + 1) & mask {
		if s := &t.slots[i]; s.id == id || s.tx == nil {
			return s.tx
		}
	}
}

// put enters a request under its id, which no other one has.
func (t *openTable) put(tx *clientTx) {
	if 2*(t.count+1) > len(t.slots) {
		t.grow()
	}
	t.count++
	t.place(tx)
}

func (t *openTable) place(tx *clientTx) {
	mask := uint64(len(t.slots) - 1)
	i := tx.id & mask
	for t.slots[i].tx != nil {
		i = (i + 1) & mask
	}
	t.slots[i] = openSlot{tx.id, tx}
}

func (t *openTable) grow() {
	old := t.slots
	t.slots = make([]openSlot, max(2*len(old), fewestOpen))
	for _, s := range old {
		if s.tx != nil {
			t.place(s.tx)
		}
	}
}

// remove takes out what has an id, if anything.
func (t *openTable) remove(id uint64) {
	if t.count == 0 {
		return
	}
	mask := uint64(len(t.slots) - 1)
	i := id & mask
	for t.slots[i].tx == nil || t.slots[i].id != id {
		if t.slots[i].tx == nil {
			return
		}
		i = (i + 1) & mask
	}
	t.count--
	// What stands behind it and would not be found any more moves up into the gap.
	for j := (i + 1) & mask; t.slots[j].tx != nil; j = (j + 1) & mask {
		if from := t.slots[j].id & mask; (j-from)&mask >= (j-i)&mask {
			t.slots[i] = t.slots[j]
			i = j
		}
	}
	t.slots[i] = openSlot{}
}

// all gives what there is at this moment.
func (t *openTable) all() []*clientTx {
	list := make([]*clientTx, 0, t.count)
	for _, s := range t.slots {
		if s.tx != nil {
			list = append(list, s.tx)
		}
	}
	return list
}
