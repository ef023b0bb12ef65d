package component

import (
	"math"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// addressed is what the pending table has to know about a value.
type addressed struct {
	id       string
	from, to mapping.JID
	bounces  bool // a message: a bounce is an outcome of it; that of an error is dropped
}

// pending is a value that has been appended to the stream and whose outcome is open.
type pending struct {
	ref any
	addressed
	end  uint64   // its position
	next *pending // with the same id
	done bool     // bounced; still in the FIFO
}

// mark is a point of the stream, and when it was written. Everything up to it is
// decided together: in this version when bounceWait has passed.
type mark struct {
	end         uint64
	since, last time.Time // of the first and of the last write that it covers
}

// markSpan is how much time one mark may cover: it keeps their number small.
const markSpan = 5 * time.Millisecond

// pendingTable holds the pending values of one link: a FIFO in order of
// position, an index by stanza id, and the marks. The queue's mutex guards it.
type pendingTable struct {
	fifo  []*pending
	head  int // of fifo
	byID  map[string]*pending
	marks []mark
}

func newPendingTable() pendingTable { return pendingTable{byID: make(map[string]*pending)} }

func (t *pendingTable) len() int { return len(t.fifo) - t.head }

func (t *pendingTable) add(ref any, a addressed, end uint64) {
	p := &pending{ref: ref, addressed: a, end: end}
	if t.head > 1024 && t.head*2 > len(t.fifo) {
		n := copy(t.fifo, t.fifo[t.head:])
		clear(t.fifo[n:])
		t.fifo, t.head = t.fifo[:n], 0
	}
	t.fifo = append(t.fifo, p)
	if !a.bounces || a.id == "" {
		return
	}
	// The oldest of an id comes first; there is hardly ever a second.
	if first := t.byID[a.id]; first == nil {
		t.byID[a.id] = p
	} else {
		for first.next != nil {
			first = first.next
		}
		first.next = p
	}
}

// bounce finds the message that an error stanza answers: same id, sent by our
// address to, and from being the addressee's bare JID, one of its full JIDs, or
// its domain (SEC-22). The message is done with then.
func (t *pendingTable) bounce(id string, from, to mapping.JID) (ref any, ok bool) {
	for p := t.byID[id]; p != nil; p = p.next {
		if p.from == to && (from.Bare() == p.to.Bare() || from == p.to.DomainJID()) {
			p.done = true
			t.forget(p)
			return p.ref, true
		}
	}
	return nil, false
}

// forget takes p out of the index.
func (t *pendingTable) forget(p *pending) {
	if !p.bounces || p.id == "" {
		return
	}
	first := t.byID[p.id]
	if first == p {
		if p.next == nil {
			delete(t.byID, p.id)
		} else {
			t.byID[p.id] = p.next
		}
		return
	}
	for ; first != nil; first = first.next {
		if first.next == p {
			first.next = p.next
			return
		}
	}
}

// mark notes that everything up to end has been written, if anything is waiting.
// It reports whether there was no mark before.
func (t *pendingTable) mark(end uint64, now time.Time) (first bool) {
	if t.len() == 0 {
		return false
	}
	if n := len(t.marks); n > 0 && now.Sub(t.marks[n-1].since) < markSpan {
		t.marks[n-1].end, t.marks[n-1].last = end, now
		return false
	}
	t.marks = append(t.marks, mark{end: end, since: now, last: now})
	return len(t.marks) == 1
}

// expire settles as Unknown what was written wait ago and has not bounced, and
// says when the next mark falls due; zero if there is none.
func (t *pendingTable) expire(out []mapping.Result, now time.Time, wait time.Duration) ([]mapping.Result, time.Time) {
	due := 0
	for due < len(t.marks) && !now.Before(t.marks[due].last.Add(wait)) {
		out = t.settle(out, t.marks[due].end, mapping.Unknown)
		due++
	}
	if due > 0 {
		t.marks = t.marks[:copy(t.marks, t.marks[due:])]
	}
	if len(t.marks) == 0 {
		return out, time.Time{}
	}
	return out, t.marks[0].last.Add(wait)
}

// settle ends everything up to a position.
func (t *pendingTable) settle(out []mapping.Result, end uint64, kind mapping.OutcomeKind) []mapping.Result {
	for t.head < len(t.fifo) && t.fifo[t.head].end <= end {
		p := t.fifo[t.head]
		t.fifo[t.head] = nil
		t.head++
		if p.done {
			continue
		}
		t.forget(p)
		out = append(out, mapping.Result{Ref: p.ref, Outcome: mapping.Outcome{Kind: kind}})
	}
	if t.head == len(t.fifo) {
		t.fifo, t.head = t.fifo[:0], 0
	}
	return out
}

// lose settles everything, and empties the table for the next link.
func (t *pendingTable) lose(out []mapping.Result, written uint64, clean bool) []mapping.Result {
	kind := mapping.Uncertain
	if clean {
		kind = mapping.Unknown
	}
	out = t.settle(out, written, kind)
	rest := len(out)
	out = t.settle(out, math.MaxUint64, mapping.NotWritten)
	for i := rest; i < len(out); i++ {
		out[i].Outcome.Failure = mapping.FailNoLink()
	}
	*t = newPendingTable()
	return out
}
