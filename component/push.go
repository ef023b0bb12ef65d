package component

import (
	"slices"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// Waking another goroutine costs more than most of what it would do here. So whoever
// appends to the buffer and finds nobody writing writes at once, as much as the connection
// takes without waiting; only the rest is the writer's, who has the deadlines and finds out
// what is wrong with the connection. In the same way the reader tells what it has found out
// itself. Both are done by one at a time: who finds somebody at it leaves it to him.
//
// q.mu is never held meanwhile. Whoever is busy looks again before he goes, so nothing is
// left lying; but nobody does the work of others for long.

// piece is how much is written in one go: within its deadline, slow is not stalled.
const piece = 64 << 10

// pushRounds is how often one who has written looks for what has come meanwhile, before
// that is the writer's too.
const pushRounds = 2

// release unlocks q.mu, writes what can be written at once, and wakes whoever has got
// something to do.
func (q *queue) release() {
	handed := q.push()
	write := handed
	if !q.busy { // else whoever is looks again
		write = len(q.buf) > 0 && q.alive() || !q.taking()
	}
	tell := q.rearm || len(q.results) > 0 && !q.telling && !q.expected
	slot := q.freed
	q.freed = false
	q.mu.Unlock()
	if write {
		wake(q.writer)
	}
	if tell {
		wake(q.teller)
	}
	if slot {
		wake(q.slot)
	}
}

// releaseInTurn is release for the reader in the middle of what it has read: it calls turn
// before it waits for anything.
func (q *queue) releaseInTurn() {
	q.expected = true
	q.mu.Unlock()
}

// turn does what has gathered while the reader went through what it had read: the rest of
// the buffer is written, and then is told what barriers and bounces have settled, unless
// somebody is at that already.
func (q *queue) turn(h Handler) {
	q.mu.Lock()
	q.expected = false
	batch := q.startTelling()
	q.release()
	if len(batch) == 0 {
		return
	}
	h.XMPPOutcomes(batch)
	clear(batch) // the values are not ours any more
	q.mu.Lock()
	q.endTelling(batch)
	q.release()
}

// startTelling returns what the caller is to tell, nothing if somebody else is telling. He
// gives the slice back by endTelling. q.mu is held.
func (q *queue) startTelling() (batch []mapping.Result) {
	if q.telling || len(q.results) == 0 {
		return nil
	}
	q.telling = true
	batch, q.results, q.told = q.results, q.told, nil
	return batch
}

// endTelling takes back what was told, emptied. q.mu is held.
func (q *queue) endTelling(batch []mapping.Result) {
	const keep = 4096 // a bigger one is left to the collector
	q.telling = false
	if cap(batch) <= keep {
		q.told = batch[:0]
	}
}

// push writes what is in the buffer if nobody else is at it and the connection can write
// without waiting. It unlocks q.mu while it does. It reports whether something is left to
// the writer, who is the one that is busy then. q.mu is held.
func (q *queue) push() (handed bool) {
	for range pushRounds {
		if q.direct == nil || q.busy || len(q.buf) == 0 || q.state == queueClosed || q.state == queueStopped {
			break
		}
		out, direct := q.seize(), q.direct
		q.mu.Unlock()
		n, err := direct(out[:min(piece, len(out))])
		now := time.Now()
		q.mu.Lock()
		q.took(n, now)
		if n < len(out) {
			q.rest, q.broken = out[n:], err
			return true
		}
		q.restore(out)
	}
	return false
}

// seize takes the whole buffer; whoever calls it is busy. q.mu is held.
func (q *queue) seize() (out []byte) {
	out, q.buf, q.spare = q.buf, q.spare, nil
	q.busy = true
	if q.show != nil {
		q.show(out)
	}
	return out
}

// restore gives back a buffer that has been written; nobody is busy any more. q.mu is held.
func (q *queue) restore(out []byte) {
	const keep = 1 << 20 // a bigger buffer is left to the collector
	q.busy = false
	if cap(out) <= keep {
		q.spare = out[:0]
	}
}

// took counts n more octets that the kernel has taken, at time now. q.mu is held.
func (q *queue) took(n int, now time.Time) {
	q.written += uint64(n)
	q.barriersLeft(now)
	if q.blocked {
		q.blocked = false
		q.lookAt(now)
	}
	freed := 0
	for freed < len(q.replies) && q.replies[freed].end <= q.written {
		q.repSize -= q.replies[freed].size
		freed++
	}
	if freed > 0 {
		q.replies = slices.Delete(q.replies, 0, freed)
		q.freed = true
		q.slotsOut.Store(!q.slotsLeft())
	}
}

// take hands the writer all that is to be written. It gives back what it has written of the
// time before. more is false when the writer has to end. err is what another one has found
// wrong with the connection when he wrote what was before that.
func (q *queue) take(back []byte) (out []byte, more bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(back) > 0 {
		q.restore(back)
	}
	switch {
	case len(q.rest) > 0:
		out, q.rest = q.rest, nil
		return out, true, q.broken
	case q.busy:
		return nil, true, nil // he wakes the writer if he is the last one
	case q.state == queueStopped, q.state == queueClosed:
	case len(q.buf) > 0:
		return q.seize(), true, nil
	case q.state != queueFlushing && (q.state != queueDraining || q.pending.open > 0):
		return nil, true, nil
	}
	q.direct = nil // nothing may follow what the link writes now
	return nil, false, nil
}

// desert is for a writer that ends without having been told to by take: when it returns,
// nobody writes any more, and what the kernel has taken is known.
func (q *queue) desert() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.state, q.direct = queueStopped, nil
	for q.busy && q.rest == nil {
		q.mu.Unlock()
		<-q.writer
		q.mu.Lock()
	}
}

// wrote tells that the kernel has taken n more octets from the writer, at time now.
func (q *queue) wrote(n int, now time.Time) {
	q.mu.Lock()
	q.took(n, now)
	q.release()
}

// collect ends what the caller has been telling, and returns what is to be told next and
// when to look again (zero: when woken).
func (q *queue) collect(back []mapping.Result, now time.Time) (batch []mapping.Result, next time.Time) {
	clear(back) // the values are not ours any more
	q.mu.Lock()
	if len(back) > 0 {
		q.endTelling(back)
	}
	if !q.due.IsZero() && !now.Before(q.due) {
		q.look(now)
	}
	q.rearm = false
	batch, next = q.startTelling(), q.due
	q.release()
	return batch, next
}

// tell is the teller's goroutine.
func (q *queue) tell(h Handler, stop <-chan struct{}) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var batch []mapping.Result
	for last := false; ; {
		var next time.Time
		batch, next = q.collect(batch, time.Now())
		if len(batch) > 0 {
			h.XMPPOutcomes(batch)
			continue // more may have come meanwhile
		}
		if last {
			return
		}
		wait := time.Hour
		if !next.IsZero() {
			wait = time.Until(next)
		}
		timer.Reset(wait)
		select {
		case <-q.teller:
		case <-timer.C:
		case <-stop:
			last = true
		}
	}
}
