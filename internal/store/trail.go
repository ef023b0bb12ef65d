package store

import (
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"time"
)

// TrailEvent is one step in the life of a message. It never holds its text.
type TrailEvent struct {
	ID     string    // of the stanza; the first 255 bytes are kept
	Other  string    // a second id of the same message, its Call-ID; likewise
	At     time.Time // kept in milliseconds
	Kind   string    // what happened, one word; the first 64 bytes are kept
	Detail string    // status, reason, address; the first 512 bytes are kept
}

// is reports whether e is an event of the message with this id.
func (e *TrailEvent) is(id string) bool { return e.ID == id || e.Other == id }

const (
	maxTrailID     = 255
	maxTrailKind   = 64
	maxTrailDetail = 512
)

// PutTrail keeps events that have an id, at least one of the two. They are written in packed batches, at 4096 or after 1 s,
// without a report; after TrailFor, or beyond MaxTrailBytes, the oldest go. During
// a fault at most 65,536 wait, the oldest are dropped.
func (s *Store) PutTrail(batch []TrailEvent) {
	if len(batch) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.o.TrailFor < 0 {
		return
	}
	if len(s.trail) == 0 {
		s.trailSince = time.Now()
	}
	for _, e := range batch {
		if e.ID == "" && e.Other == "" {
			continue
		}
		e.ID, e.Other = clip(e.ID, maxTrailID), clip(e.Other, maxTrailID)
		e.Kind, e.Detail = clip(e.Kind, maxTrailKind), clip(e.Detail, maxTrailDetail)
		e.At = fromMillis(millis(e.At))
		s.trail = append(s.trail, e)
	}
	s.boundLocked()
	s.signal()
}

// Lookup returns what is known of the message with this id, either of its two, in
// the order of time, also what is not yet on the disk. Different senders may have
// used the same id.
func (s *Store) Lookup(id string) ([]TrailEvent, error) { return s.lookup(id, 0) }

// LookupFew is Lookup for an id that a stranger names, who may have had any number of
// messages under it: if there are more than most events, it returns none.
func (s *Store) LookupFew(id string, most int) ([]TrailEvent, error) {
	found, err := s.lookup(id, most)
	if errors.Is(err, errMany) || most > 0 && len(found) > most {
		return nil, nil
	}
	return found, err
}

func (s *Store) lookup(id string, most int) ([]TrailEvent, error) {
	if id == "" {
		return nil, nil
	}
	id = clip(id, maxTrailID)
	var out []TrailEvent
	pick := func(from []TrailEvent) {
		for _, e := range from {
			if most > 0 && len(out) > most {
				return
			}
			if e.is(id) {
				out = append(out, e)
			}
		}
	}
	// Memory before disk: an event that moves in between is found twice, not missed.
	s.mu.Lock()
	if s.running != nil {
		pick(s.running.trail)
	}
	pick(s.trail)
	s.mu.Unlock()
	if most > 0 && len(out) > most {
		return nil, errMany
	}
	disk, err := s.b.lookup(id, most)
	if err != nil {
		return nil, err
	}
	return sortTrail(append(disk, slices.DeleteFunc(out, func(e TrailEvent) bool {
		return slices.Contains(disk, e)
	})...)), nil
}

func sortTrail(ev []TrailEvent) []TrailEvent {
	slices.SortStableFunc(ev, func(a, b TrailEvent) int { return a.At.Compare(b.At) })
	return ev
}

func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "")
}

// A batch of the trail is one row: a filter that says which ids may be in it, so
// that Lookup need not read every batch, and a blob: a version byte, then for each
// event its ID, its Other, milliseconds since the event before it, Kind and Detail.
const trailVersion = 1

func packTrail(batch []TrailEvent) []byte {
	b := make([]byte, 0, 64*len(batch))
	b = append(b, trailVersion)
	var last TrailEvent
	var lastAt int64
	for i := range batch {
		e := &batch[i]
		b = appendAgain(b, e.ID, last.ID)
		b = appendAgain(b, e.Other, last.Other)
		last = *e
		at := millis(e.At)
		b = binary.AppendVarint(b, at-lastAt)
		lastAt = at
		b = appendString(b, e.Kind)
		b = appendString(b, e.Detail)
	}
	return b
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
// which lets through one foreign id in 300.
const (
	filterBits   = 12
	filterProbes = 4
)

func trailFilter(batch []TrailEvent) []byte {
	n := 0
	eachID(batch, func(string) { n++ })
	f := make([]byte, (n*filterBits+7)/8)
	eachID(batch, func(id string) {
		probe(f, id, func(b *byte, bit byte) bool { *b |= bit; return true })
	})
	return f
}

// eachID calls f with the ids of a batch, once for events in a row that share one.
func eachID(batch []TrailEvent, f func(id string)) {
	var last TrailEvent
	for i := range batch {
		e := &batch[i]
		if e.ID != last.ID && e.ID != "" {
			f(e.ID)
		}
		if e.Other != last.Other && e.Other != "" {
			f(e.Other)
		}
		last = *e
	}
}

func mayHold(filter []byte, id string) bool {
	return probe(filter, id, func(b *byte, bit byte) bool { return *b&bit != 0 })
}

// probe calls f for the bits of id as long as f returns true.
func probe(filter []byte, id string, f func(b *byte, bit byte) bool) bool {
	h := uint64(14695981039346656037) // FNV-1a: the same in every process
	for i := range len(id) {
		h = (h ^ uint64(id[i])) * 1099511628211
	}
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
