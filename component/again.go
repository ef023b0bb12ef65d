package component

import (
	"cmp"
	"slices"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// What was written and not confirmed when the link broke may have arrived. It is
// written once more, with the same id, if the link returns before its deadline
// (GW-07); the outcome of the second copy counts. If the link does not return, or
// breaks again, it is Uncertain. Either way it is counted and logged as uncertain.

// ending says how a link ended.
type ending uint8

const (
	endLost  ending = iota // nobody knows what the server has read
	endClean               // the server has read to our end of the stream
	endSplit               // the server hears us, but we may not hear it
)

// listIDs is how many ids one log line has.
const listIDs = 20

// lose empties the tracks when a link has ended. q.mu is held.
func (q *queue) lose(how ending, now time.Time) {
	var open []*pending
	gather := func(t *track) {
		for p := t.front(); p != nil; p = t.front() {
			q.popFront(t)
			if p.done {
				q.pending.recycle(p)
			} else {
				open = append(open, p)
			}
		}
	}
	gather(&q.own)
	for _, t := range q.domains {
		gather(t)
	}
	slices.SortFunc(open, func(a, b *pending) int { return cmp.Compare(a.end, b.end) })

	var ids []string
	fresh := 0
	for _, p := range open {
		switch {
		case p.again && (how == endLost || p.end > q.written):
			q.uncertain(p)
		case p.end > q.written:
			q.finish(p, mapping.NotWritten, mapping.FailNoLink())
			q.pending.recycle(p)
		case how != endLost:
			q.finish(p, mapping.Unknown, nil)
			q.pending.recycle(p)
		default:
			fresh++
			a := p.addressed()
			if len(ids) < listIDs {
				ids = append(ids, a.id)
			}
			q.log.Debug("uncertain: the link was lost before the server had confirmed it", "dir", "sip-xmpp", "from", a.from.String(), "to", a.to.String(), "id", a.id)
			if !now.Before(p.due) {
				q.uncertain(p)
				continue
			}
			q.again = append(q.again, p)
		}
	}
	q.counts.Uncertain += uint64(fresh)
	if fresh > 0 {
		q.log.Warn("uncertain: the link was lost before the server had confirmed these stanzas; they are written once more if it returns in time, and may arrive twice", "count", fresh, "ids", ids)
	}
	// By due time, which is the order of writing but for what was suspended.
	slices.SortStableFunc(q.again, func(a, b *pending) int { return a.due.Compare(b.due) })
	q.pending.forget(q.again)
	q.own = ownTrack(q.from, q.timeout)
	clear(q.domains)
	q.recent = nil
	if len(q.again) > 0 {
		q.lookAt(q.again[0].due)
	}
}

// writeAgain appends the second copies to a link that has come up. Each has the
// whole time for its barrier. q.mu is held.
func (q *queue) writeAgain(now time.Time) {
	q.touched = q.touched[:0]
	for _, p := range q.again {
		if !now.Before(p.due) {
			q.uncertain(p)
			continue
		}
		a := p.addressed()
		t := q.trackOf(&a, now)
		if t == nil {
			q.uncertain(p)
			continue
		}
		start := len(q.buf)
		q.buf = q.append(q.buf, p.value)
		q.end += uint64(len(q.buf) - start)
		q.pending.open--
		q.pending.held -= p.size
		p.end, p.again, p.due = q.end, true, now.Add(q.timeout)
		q.enqueue(t, p, a.id, now)
		q.counts.Rewritten++
	}
	q.again = nil
	q.coverTouched(now)
}

// uncertain gives up p, which is in no track. q.mu is held.
func (q *queue) uncertain(p *pending) {
	q.finish(p, mapping.Uncertain, nil)
	q.pending.recycle(p)
}

// abandon ends the wait for a link that will not return.
func (q *queue) abandon() {
	q.mu.Lock()
	defer q.release()
	for _, p := range q.again {
		q.uncertain(p)
	}
	q.again, q.inquiries = nil, nil
}
