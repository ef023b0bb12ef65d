package store

import (
	"slices"
	"sync"
)

// slotRanges is what readers know of the slots: which of them may have a row, so that they need not read
// all of them. It may name one too many: it is told of rows before these are committed.
type slotRanges struct {
	mu      sync.Mutex // guards what follows
	unknown bool       // any slot may have any row
	of      []idRange  // the first one is that of slot 1
}

// idRange has both ends in it; hi is 0 if there is nothing.
type idRange struct{ lo, hi uint64 }

// set takes those of all slots.
func (r *slotRanges) set(all []slot) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unknown, r.of = false, r.of[:0]
	for i := range all {
		r.of = append(r.of, idRange{all[i].lo, all[i].hi})
	}
}

// change takes those of slots that are going to be written anew. One that is to be emptied keeps its own: a row of it may be
// about to move to the table.
func (r *slotRanges) change(all []slot, numbers []int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.of) < len(all) {
		r.of = append(r.of, idRange{})
	}
	for _, n := range numbers {
		if n > 0 && all[n-1].hi > 0 { // not the register
			r.of[n-1] = idRange{all[n-1].lo, all[n-1].hi}
		}
	}
}

// empty reports that there is nothing in slots.
func (r *slotRanges) empty() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.unknown && !slices.ContainsFunc(r.of, func(of idRange) bool { return of.hi > 0 })
}

// holding returns the slots that may have one of the sorted ids, or that any may.
func (r *slotRanges) holding(ids []uint64) (numbers []int, every bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for n, of := range r.of {
		if i, _ := slices.BinarySearch(ids, of.lo); of.hi > 0 && i < len(ids) && ids[i] <= of.hi {
			numbers = append(numbers, n+1)
		}
	}
	return numbers, r.unknown
}
