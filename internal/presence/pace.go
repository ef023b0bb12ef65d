package presence

import "time"

// tokens let so many things pass in a time, and a number of them at once. They are the time
// at which all would be there again, so that nothing has to be done while time passes.
type tokens struct {
	every time.Duration // for one
	burst int
	full  time.Time
}

// next is when there is one: now, or later.
func (t *tokens) next(now time.Time) time.Time {
	if at := t.full.Add(-time.Duration(t.burst-1) * t.every); at.After(now) {
		return at
	}
	return now
}

// take takes one, if there is one.
func (t *tokens) take(now time.Time) bool {
	if t.next(now).After(now) {
		return false
	}
	if t.full.Before(now) {
		t.full = now
	}
	t.full = t.full.Add(t.every)
	return true
}

// quota has tokens for each of many. It remembers of how many have used theirs of late; there
// are none for others while it can remember no more.
type quota[K comparable] struct {
	each  tokens // full is not used
	room  int
	full  map[K]time.Time
	swept time.Time
}

func newQuota[K comparable](every time.Duration, burst, room int) quota[K] {
	return quota[K]{each: tokens{every: every, burst: burst}, room: room, full: make(map[K]time.Time)}
}

// has reports whether there is a token for k.
func (q *quota[K]) has(k K, now time.Time) bool {
	t := q.each
	t.full = q.full[k]
	if t.next(now).After(now) {
		return false
	}
	if _, known := q.full[k]; known || len(q.full) < q.room {
		return true
	}
	if now.Sub(q.swept) < time.Minute {
		return false
	}
	q.swept = now
	for k, full := range q.full {
		if !full.After(now) {
			delete(q.full, k)
		}
	}
	return len(q.full) < q.room
}

// take takes the token that has has seen.
func (q *quota[K]) take(k K, now time.Time) {
	t := q.each
	t.full = q.full[k]
	t.take(now)
	q.full[k] = t.full
}

// turns is a queue in which everybody who has put something in has his turn, so that one who
// has much does not keep the others waiting.
type turns[V any] struct {
	of   map[string]*turn[V]
	ring []*turn[V] // those who have something, the next one first
}

type turn[V any] struct {
	who   string
	queue []V
}

func newTurns[V any]() turns[V] { return turns[V]{of: make(map[string]*turn[V])} }

func (t *turns[V]) empty() bool { return len(t.ring) == 0 }

// push puts v behind what who has put in before.
func (t *turns[V]) push(who string, v V) {
	mine := t.of[who]
	if mine == nil {
		mine = &turn[V]{who: who}
		t.of[who] = mine
		t.ring = append(t.ring, mine)
	}
	mine.queue = append(mine.queue, v)
}

// pop takes out what is next. The queue must not be empty.
func (t *turns[V]) pop() V {
	var zero V
	mine := t.ring[0]
	t.ring[0] = nil
	t.ring = t.ring[1:]
	v := mine.queue[0]
	mine.queue[0] = zero
	if mine.queue = mine.queue[1:]; len(mine.queue) == 0 {
		delete(t.of, mine.who)
	} else {
		t.ring = append(t.ring, mine)
	}
	return v
}
