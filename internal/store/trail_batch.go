package store

import "encoding/binary"

// A batch of the trail is one row: a filter that says which ids may be in it, so
// that Lookup need not read every batch, and a blob: a version byte, then for each
// event its ID, its Other, milliseconds since the event before it, Kind and Detail.
const trailVersion = 1

// trailBatch is such a batch, packed as the events come: so it costs a few bytes for each of
// them, none of their strings is kept alive, and little is left to do when it is written.
type trailBatch struct {
	data   []byte
	ids    []uint64 // hashes of the ids, for the filter
	n      int      // events
	skip   int      // of them, the first ones: they had to be dropped
	newest int64    // milliseconds since 1970

	// Of the last event.
	id, other string
	at        int64
}

func (t *trailBatch) live() int { return t.n - t.skip }

func (t *trailBatch) add(e *TrailEvent) {
	at := millis(e.At)
	if t.n == 0 {
		t.data = append(t.data, trailVersion)
		t.newest = at
	}
	if e.ID != t.id && e.ID != "" {
		t.ids = append(t.ids, hashID(e.ID))
	}
	if e.Other != t.other && e.Other != "" {
		t.ids = append(t.ids, hashID(e.Other))
	}
	b := appendAgain(t.data, e.ID, t.id)
	b = appendAgain(b, e.Other, t.other)
	b = binary.AppendVarint(b, at-t.at)
	b = appendString(b, e.Kind)
	t.data = appendString(b, e.Detail)
	t.n++
	t.id, t.other, t.at = e.ID, e.Other, at
	t.newest = max(t.newest, at)
}

// reset empties t, and keeps its memory.
func (t *trailBatch) reset() { *t = trailBatch{data: t.data[:0], ids: t.ids[:0]} }

// each calls f with the events that were not dropped.
func (t *trailBatch) each(f func(TrailEvent)) error {
	if t.n == 0 {
		return nil
	}
	n := 0
	return unpackTrail(t.data, func(e TrailEvent) {
		if n++; n > t.skip {
			f(e)
		}
	})
}

// whole returns t, or what is left of it as a batch of its own.
func (t *trailBatch) whole() *trailBatch {
	if t.skip == 0 {
		return t
	}
	rest := &trailBatch{}
	_ = t.each(func(e TrailEvent) { rest.add(&e) }) // it was packed here
	return rest
}

// pick returns the events with this id, and stops after more than most of them, unless that is 0.
func (t *trailBatch) pick(id string, most int) (out []TrailEvent) {
	_ = t.each(func(e TrailEvent) {
		if e.is(id) && (most == 0 || len(out) <= most) {
			out = append(out, e)
		}
	})
	return out
}

// appendAgain writes an id: 0 if it is that of the event before, else one more than
// its length, and the id.
func appendAgain(b []byte, id, last string) []byte {
	if id == last {
		return append(b, 0)
	}
	b = binary.AppendUvarint(b, uint64(len(id))+1)
	return append(b, id...)
}

// again reads what appendAgain wrote.
func (p *parser) again(last string) string {
	n := p.uvarint()
	if n == 0 {
		return last
	}
	return string(p.bytes(n - 1))
}

// unpackTrail calls f with each event until the batch ends.
func unpackTrail(b []byte, f func(TrailEvent)) error {
	if len(b) == 0 || b[0] != trailVersion {
		return errRow
	}
	p := parser{b: b[1:]}
	var e TrailEvent
	var at int64
	for len(p.b) > 0 {
		e.ID, e.Other = p.again(e.ID), p.again(e.Other)
		at += p.varint()
		e.At, e.Kind, e.Detail = fromMillis(at), p.string(), p.string()
		if p.bad {
			return errRow
		}
		f(e)
	}
	return nil
}

// The filter is a Bloom filter of 12 bits and 4 probes for each id of the batch,
// which lets through one foreign id in 300. An id that events in a row share counts once.
const (
	filterBits   = 12
	filterProbes = 4
)

// filter returns the filter of a batch, appended to b.
func (t *trailBatch) filter(b []byte) []byte {
	at := len(b)
	b = append(b, make([]byte, (len(t.ids)*filterBits+7)/8)...)
	for _, h := range t.ids {
		probe(b[at:], h, func(b *byte, bit byte) bool { *b |= bit; return true })
	}
	return b
}

func mayHold(filter []byte, id string) bool {
	return probe(filter, hashID(id), func(b *byte, bit byte) bool { return *b&bit != 0 })
}

// hashID is FNV-1a: the same in every process.
func hashID(id string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(id) {
		h = (h ^ uint64(id[i])) * 1099511628211
	}
	return h
}

// probe calls f for the bits of a hash as long as f returns true.
func probe(filter []byte, h uint64, f func(b *byte, bit byte) bool) bool {
	bits := uint64(len(filter)) * 8
	if bits == 0 {
		return false
	}
	step := h>>32 | 1
	for range filterProbes {
		at := h % bits
		if !f(&filter[at/8], 1<<(at%8)) {
			return false
		}
		h += step
	}
	return true
}
