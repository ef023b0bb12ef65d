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
	seenMaxSlots  = 64 << 10 / seenEntrySize // of the same: 64 KiB, 48 % full
	seenMinSlots  = 8                        //
	seenFull      = 3                        // quarters of the slots that may be taken
	seenEntrySize = 16
)

// seenTable is the memory of outcomes: 16 octets each in slots of which a third at least
// is taken, at most a million and 32 MiB, nothing while it is empty. It has no pointers for the collector to
// follow, and no step of it takes longer than to move one shard's few thousand
// entries. When it is full the oldest go, half a shard at a time.
//
// Keys are keyed hashes (ids.identity): they are spread evenly, and nobody can choose
// them. Of each 88 bits are kept, eight of them by the place where it is: that among a
// million one is taken for another is as likely as once in 10^20 requests. It is not safe
// for concurrent use.
type seenTable struct {
	shards [seenShards]seenShard
	puts   uint64 // so many times something was put
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
	key  uint64 // octets 1 to 8
	meta uint64 // octets 9 and 10 << 48 | ms modulo 2^32 << 16 | outcome
}

// age is how long before now, in ms, e was put: that is days at most, since drop comes
// within the hour.
func (e *seenEntry) age(now int64) int64 { return int64(int32(uint32(now) - uint32(e.meta>>16))) }

// seenKey is what an entry has of a key.
func seenKey(key stanzaKey) (k, more uint64) {
	return binary.BigEndian.Uint64(key[1:9]), uint64(binary.BigEndian.Uint16(key[9:11])) << 48
}

// get returns what was put for key no longer than seenFor before now, in ms; nil
// if there is nothing. The pointer is valid until the next put.
func (t *seenTable) get(key stanzaKey, now int64) *seenEntry {
	s := &t.shards[key[0]]
	k, more := seenKey(key)
	for _, g := range [...]*seenGeneration{&s.cur, &s.old} {
		if e := g.find(k, more); e != nil && e.meta != 0 {
			if e.age(now) >= seenFor.Milliseconds() {
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
	t.puts++
	s.cur.put(key, outcome, at)
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

// find returns the entry of a key, or the free one where it belongs; nil if there
// are no slots at all.
func (g *seenGeneration) find(k, more uint64) *seenEntry {
	n := uint64(len(g.slots))
	if n == 0 {
		return nil
	}
	// The first octet has chosen the shard.
	i, _ := bits.Mul64(k, n)
	for {
		e := &g.slots[i]
		if e.meta == 0 || e.key == k && (e.meta^more)>>48 == 0 {
			return e
		}
		if i++; i == n {
			i = 0
		}
	}
}

func (g *seenGeneration) put(key stanzaKey, outcome uint16, at int64) {
	k, more := seenKey(key)
	meta := more | uint64(uint32(at))<<16 | uint64(outcome)
	e := g.find(k, more)
	if e != nil && e.meta != 0 {
		e.meta = meta
		return
	}
	if want := slotsFor(g.n + 1); want > len(g.slots) {
		grown := seenGeneration{slots: make([]seenEntry, want)}
		for _, e := range g.slots {
			if e.meta != 0 {
				*grown.find(e.key, e.meta) = e
			}
		}
		g.slots = grown.slots
		e = g.find(k, more)
	}
	if g.n == 0 {
		g.first = at
	}
	*e = seenEntry{k, meta}
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
