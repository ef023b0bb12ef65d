package store

import (
	"errors"
	"slices"
	"strings"
	"sync"
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

// trailQueue is the part of the trail that is not yet on the disk. It has a lock of its own, so
// that nobody who appends or ends rows waits while events are packed. Whoever holds the lock of the queue may take it,
// not the other way round.
type trailQueue struct {
	mu      sync.Mutex    // guards what follows
	off     bool          // nothing is kept
	batches []*trailBatch // what is in the last one may become more
	n       int           // events in all of them
	since   time.Time     // when the first of them came
	dropped uint64
	free    []*trailBatch // for reuse
}

// What is kept for reuse: as many batches, of so many bytes each.
const (
	trailFree  = 2
	trailReuse = 1 << 20
)

// PutTrail keeps events that have an id, at least one of the two. They are written in packed batches, at 4096 or after 1 s,
// without a report; after TrailFor, or beyond MaxTrailBytes, the oldest go. During
// a fault at most 65,536 wait, the oldest are dropped.
func (s *Store) PutTrail(batch []TrailEvent) {
	if s.trail.put(batch) {
		s.signal()
	}
}

// put reports whether Run has to look: for the first event and for a full batch.
func (q *trailQueue) put(batch []TrailEvent) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.off {
		return false
	}
	had := q.n
	for i := range batch {
		e := batch[i]
		e.ID, e.Other = clip(e.ID, maxTrailID), clip(e.Other, maxTrailID)
		if e.ID == "" && e.Other == "" { // of what is no UTF-8 nothing may be left
			continue
		}
		e.Kind, e.Detail = clip(e.Kind, maxTrailKind), clip(e.Detail, maxTrailDetail)
		q.openLocked().add(&e)
		q.n++
	}
	if had == 0 && q.n > 0 {
		q.since = time.Now()
	}
	q.boundLocked()
	return q.n > 0 && (had == 0 || had < trailCount && q.n >= trailCount)
}

// openLocked returns the batch that has room.
func (q *trailQueue) openLocked() *trailBatch {
	if n := len(q.batches); n > 0 && q.batches[n-1].n < trailCount {
		return q.batches[n-1]
	}
	t := &trailBatch{}
	if n := len(q.free); n > 0 {
		t = q.free[n-1]
		q.free = q.free[:n-1]
	}
	q.batches = append(q.batches, t)
	return t
}

// boundLocked drops the oldest if too much waits.
func (q *trailQueue) boundLocked() {
	for more := q.n - maxTrailWait; more > 0; more = q.n - maxTrailWait {
		t := q.batches[0]
		n := min(more, t.live())
		t.skip += n
		q.n -= n
		q.dropped += uint64(n)
		if t.live() == 0 {
			q.batches[0] = nil
			q.batches = q.batches[1:]
		}
	}
}

// take returns what is to be written now, or how long it has to wait (negative: there is none).
func (q *trailQueue) take(now time.Time, all bool) ([]*trailBatch, time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.n == 0 {
		return nil, -1
	}
	if left := trailDelay - now.Sub(q.since); !all && q.n < trailCount && left > 0 {
		return nil, left
	}
	taken := q.batches
	q.batches, q.n = nil, 0
	return taken, 0
}

// giveBack puts what could not be written before what came meanwhile.
func (q *trailQueue) giveBack(batches []*trailBatch, now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.n == 0 {
		q.since = now
	}
	q.batches = append(batches, q.batches...)
	q.n += trailEvents(batches)
	q.boundLocked()
}

// reuse takes what was written.
func (q *trailQueue) reuse(batches []*trailBatch) {
	if len(batches) == 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, t := range batches {
		if len(q.free) < trailFree && cap(t.data) <= trailReuse {
			t.reset()
			q.free = append(q.free, t)
		}
	}
}

func (q *trailQueue) setOff(off bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.off = off
}

// state returns how many events wait, and how many were dropped.
func (q *trailQueue) state() (n int, dropped uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.n, q.dropped
}

// holding returns copies of the batches that may have events with this id.
func (q *trailQueue) holding(id string) []*trailBatch {
	q.mu.Lock()
	defer q.mu.Unlock()
	return holding(q.batches, id)
}

// holding copies what is to be read with no lock held: to take a batch apart takes long, and
// whoever asks must not hold up those who write.
func holding(batches []*trailBatch, id string) (out []*trailBatch) {
	h := hashID(id)
	for _, t := range batches {
		if slices.Contains(t.ids, h) {
			out = append(out, &trailBatch{data: slices.Clone(t.data), n: t.n, skip: t.skip})
		}
	}
	return out
}

func trailEvents(batches []*trailBatch) (n int) {
	for _, t := range batches {
		n += t.live()
	}
	return n
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
	// Memory before disk: an event that moves in between is found twice, not missed.
	s.mu.Lock()
	var held []*trailBatch
	if s.running != nil {
		held = holding(s.running.trail, id)
	}
	held = append(held, s.trail.holding(id)...)
	s.mu.Unlock()
	var out []TrailEvent
	for _, t := range held {
		out = append(out, t.pick(id, most)...)
	}
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

// NewestTrail returns the last n events that are on the disk, or fewer, in the order of time.
// It reads no more than these take. A batch that cannot be read is passed over.
func (s *Store) NewestTrail(n int) ([]TrailEvent, error) {
	if n <= 0 {
		return nil, nil
	}
	events, err := s.b.newestTrail(n)
	return sortTrail(events), err
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
