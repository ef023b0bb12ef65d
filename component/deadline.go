package component

import (
	"time"

	"github.com/stoxgw/stox/mapping"
)

// One timer, the teller's, serves all deadlines. q.due is when it has to look
// next; it may be too early, never too late.

// lookAt asks for a look at the deadlines at that time. q.mu is held.
func (q *queue) lookAt(at time.Time) {
	if q.due.IsZero() || at.Before(q.due) {
		q.due, q.rearm = at, true
	}
}

// look does everything that is due. q.mu is held.
func (q *queue) look(now time.Time) {
	q.due, q.blocked = time.Time{}, false
	q.lookTrack(&q.own, now)
	if len(q.own.open) > 0 && q.state == queueOpen {
		if b := q.own.open[0]; !b.left.IsZero() {
			if lost := b.left.Add(q.pingTimeout); now.Before(lost) {
				q.lookAt(lost)
			} else {
				select {
				case q.fault <- errNoBarrier:
				default:
				}
			}
		}
	}
	for _, t := range q.domains {
		if next := q.lookAfter(t, now); !next.IsZero() {
			q.lookAt(next)
		}
		q.lookTrack(t, now)
		if t.idle() && t.misses == 0 {
			if gone := t.used.Add(forgetDomain); now.Before(gone) {
				q.lookAt(gone)
			} else {
				delete(q.domains, t.domain)
				q.recent = nil
			}
		}
	}
	n := 0
	for ; n < len(q.again) && !now.Before(q.again[n].due); n++ {
		q.uncertain(q.again[n])
	}
	q.again = q.again[n:]
	q.lookInquiries(now)
	if len(q.again) > 0 {
		q.lookAt(q.again[0].due)
	}
	q.rearm = false // whoever looks knows
}

// lookTrack settles as Unknown what has waited too long for its barrier, and
// writes the second barrier of what the first has confirmed.
//
// Unknown says that it was handed over. What the kernel has not taken yet was
// not, so it waits on: either it is written, or the link is lost.
//
// Only messages have a peer that waits for an answer. An error waits on too: who
// gave it would write it again, and the link has the first copy already.
func (q *queue) lookTrack(t *track, now time.Time) {
	for p := t.first(); p != nil; p = t.first() {
		if !p.done {
			if now.Before(p.due) {
				q.lookAt(p.due)
				break
			}
			if !p.bounces {
				t.popFirst()
				t.overdue = append(t.overdue, p)
				continue
			}
			if p.end > q.written {
				q.blocked = true
				break
			}
			q.finish(p, mapping.Unknown, nil)
		}
		t.popFirst()
		q.pending.entries--
		q.pending.recycle(p)
	}
	if p := t.front(); p == nil {
		t.waves = t.waves[:0]
	} else {
		t.dropWaves(p.end - 1)
	}
	q.writeBarriers(t, now)
}

// sooner is the earlier of two times of which either may be zero.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
