package history

import (
	"math/bits"
	"math/rand/v2"
)

// index finds places by their keys. Those with the same hash are a chain, which goes through
// the places themselves, the newest first: so that there is next to nothing to be read that is
// not needed anyway. The hash is one that nobody outside can know, since some of the keys are made
// of what strangers have chosen.
type index struct {
	heads []uint32 // by hash: the first place of a chain, by its number in the ring, from 1
	odd   uint64   // what keys are multiplied with
	shift int
}

const headBytes = 4 // of each chain

// newIndex is for so many places; nearly all of the chains have one or none.
func newIndex(places int) index {
	width := bits.Len(uint(2 * places))
	return index{heads: make([]uint32, 1<<width), odd: rand.Uint64() | 1, shift: 64 - width}
}

func (x *index) chain(key uint64) *uint32 { return &x.heads[key*x.odd>>x.shift] }

// find is where a message is in the ring, from 1; 0 if it is not.
func (x *index) find(ring []place, key uint64) uint32 {
	at := *x.chain(key)
	for at != 0 && ring[at-1].key != key {
		at = ring[at-1].next
	}
	return at
}

// add is for a place that has got its key and is not found yet.
func (x *index) add(ring []place, at uint32) {
	p := &ring[at-1]
	head := x.chain(p.key)
	p.next, *head = *head, at
}

// remove is for one that is found.
func (x *index) remove(ring []place, at uint32) {
	p := &ring[at-1]
	link := x.chain(p.key)
	for *link != at {
		link = &ring[*link-1].next
	}
	*link = p.next
}
