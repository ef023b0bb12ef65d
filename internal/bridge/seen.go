package bridge

import (
	"encoding/binary"
	"math/bits"
	"time"
)

// seenFor is how long the outcome of a request is kept for its repeats (IM-57).
const seenFor = 10 * time.Minute

const (
	seenShards    = 256
	seenEntries   = 1953                     // of a generation of a shard; two of them in 256 shards are at most a million
	seenMaxSlots  = 64 << 10 / seenEntrySize // of the same: 64 KiB, 72 % full
	seenMinSlots  = 8                        //
	seenFull      = 3                        // quarters of the slots that may be taken
	seenEntrySize = 24
)

// seenTable is the memory of outcomes: some 24 octets each, at most a million and
// 32 MiB, nothing while it is empty. It has no pointers for the collector to
// follow, and no step of it takes longer than to move one shard's few thousand
// entries. When it is full the oldest go, half a shard at a time.
//
// Keys are keyed hashes (ids.identity): they are spread evenly, and nobody can choose
// them. It is not safe for concurrent use.
type seenTable struct {
	shards [seenShards]seenShard
}

// seenShard has two generations: entries are put into cur; when that is full, or
// older than they are kept, it becomes old, and what was old is dropped.
type seenShard struct{ cur, old seenGeneration }

// seenGeneration is an open-addressed hash table from which nothing is removed.
type seenGeneration struct {
	slots       []seenEntry
	n           int
	first, last int64 // when the first entry was put, and the latest; ms
}

// seenEntry is free while meta is 0: an outcome is never 0.
type seenEntry struct {
	key  stanzaKey
	meta uint64 // ms << 16 | outcome
}

func (e *seenEntry) at() int64 { return int64(e.meta >> 16) }

// get returns what was put for key no longer than seenFor before now, in ms; nil
// if there is nothing. The pointer is valid until the next put.
func (t *seenTable) get(key stanzaKey, now int64) *seenEntry {
	s := &t.shards[key[0]]
	for _, g := range [...]*seenGeneration{&s.cur, &s.old} {
		if e := g.find(key); e != nil && e.meta != 0 {
			if now-e.at() >= seenFor.Milliseconds() {
				return nil // that in the older generation is older still
			}
			return e
		}
	}
	return nil
}

// put keeps an outcome, which is not 0, as of at, in ms. A former one of the key is
// replaced.
func (t *seenTable) put(key stanzaKey, outcome uint16, at int64) {
	s := &t.shards[key[0]]
	if s.cur.n >= seenEntries || s.cur.n > 0 && at-s.cur.first >= seenFor.Milliseconds() {
		// The next one will have about as many: that saves the growing.
		s.cur, s.old = seenGeneration{slots: make([]seenEntry, slotsFor(s.cur.n))}, s.cur
	}
	s.cur.put(key, uint64(at)<<16|uint64(outcome))
	s.cur.last = max(s.cur.last, at)
}

// drop forgets what nobody can ask for any more, and reports whether anything is
// left.
func (t *seenTable) drop(now int64) (any bool) {
	for i := range t.shards {
		s := &t.shards[i]
		for _, g := range [...]*seenGeneration{&s.cur, &s.old} {
			if g.n > 0 && now-g.last < seenFor.Milliseconds() {
				any = true
			} else {
				*g = seenGeneration{}
			}
		}
	}
	return any
}

// find returns the entry of key, or the free one where it belongs; nil if there
// are no slots at all.
func (g *seenGeneration) find(key stanzaKey) *seenEntry {
	n := uint64(len(g.slots))
	if n == 0 {
		return nil
	}
	// The first octet has chosen the shard.
	i, _ := bits.Mul64(binary.BigEndian.Uint64(key[1:9]), n)
	for g.slots[i].meta != 0 && g.slots[i].key != key {
		if i++; i == n {
			i = 0
		}
	}
	return &g.slots[i]
}

func (g *seenGeneration) put(key stanzaKey, meta uint64) {
	e := g.find(key)
	if e != nil && e.meta != 0 {
		e.meta = meta
		return
	}
	if want := slotsFor(g.n + 1); want > len(g.slots) {
		grown := seenGeneration{slots: make([]seenEntry, want)}
		for _, e := range g.slots {
			if e.meta != 0 {
				*grown.find(e.key) = e
			}
		}
		g.slots = grown.slots
		e = g.find(key)
	}
	if g.n == 0 {
		g.first = int64(meta >> 16)
	}
	*e = seenEntry{key, meta}
	g.n++
}

// slotsFor is how many slots n entries need.
func slotsFor(n int) int {
	slots := seenMinSlots
	for slots*seenFull/4 < n {
		slots *= 2
	}
	return min(slots, seenMaxSlots)
}
