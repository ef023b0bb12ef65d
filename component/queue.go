package component

import (
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// queueState says what the queue takes.
type queueState uint8

const (
	queueClosed   queueState = iota // no link: nothing; what comes is NotWritten
	queueOpen                       // everything
	queueDraining                   // nothing new; the writer empties the buffer and ends
	queueStopped                    // nothing; the writer ends after what it has in hand
)

// queue is the way out: the buffer that stanzas are appended to, and the
// memory of what is to become of them. One mutex covers both, so that a stanza's
// place in the buffer, its position and its pending record are one step; that
// order is what bounces (and later barriers) rely on. It outlives the links;
// each link is an epoch.
type queue struct {
	domain     mapping.JID
	from       string // domain as text
	log        *slog.Logger
	maxBytes   int
	maxStanza  int
	maxPending int
	maxReplies int
	replyBytes int
	bounceWait time.Duration

	writer chan struct{} // capacity 1: there is something for the writer
	teller chan struct{} // capacity 1: there is something for the teller
	slot   chan struct{} // capacity 1: a reply has been written

	mu      sync.Mutex // guards everything below
	state   queueState
	epoch   uint64 // counts links
	buf     []byte // to be written
	spare   []byte // the other buffer, when the writer has given it back
	end     uint64 // position of the last octet in buf
	written uint64 // position of the last octet that the kernel has taken
	replies []replyMark
	repSize int // octets of replies
	pending pendingTable
	settled []mapping.Result // for the teller
}

// replyMark is an answer in the buffer, the reader's or the bridge's, that
// occupies a reply slot.
type replyMark struct {
	end  uint64
	size int
}

func newQueue(cfg Config, domain mapping.JID, log *slog.Logger) *queue {
	return &queue{
		domain: domain, from: domain.String(), log: log,
		maxBytes: cfg.QueueBytes, maxStanza: cfg.MaxStanzaBytes, maxPending: cfg.MaxPending,
		maxReplies: cfg.ReplySlots, replyBytes: cfg.ReplyBytes, bounceWait: cfg.BounceWait,
		writer: make(chan struct{}, 1), teller: make(chan struct{}, 1), slot: make(chan struct{}, 1),
		pending: newPendingTable(),
	}
}

// wake puts a token into a channel of capacity 1.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// deliver appends what can be appended and settles the rest. See Component.Deliver.
func (q *queue) deliver(batch []mapping.Parcel[mapping.XMPP]) {
	if len(batch) == 0 {
		return
	}
	q.mu.Lock()
	settled := len(q.settled)
	before := q.end
	for i := range batch {
		q.deliverOne(&batch[i])
	}
	settledNow, appended := len(q.settled) > settled, q.end > before
	q.mu.Unlock()
	if settledNow {
		wake(q.teller)
	}
	if appended {
		wake(q.writer)
	}
}

func (q *queue) deliverOne(p *mapping.Parcel[mapping.XMPP]) {
	settle := func(k mapping.OutcomeKind, f *mapping.Failure) {
		q.settled = append(q.settled, mapping.Result{Ref: p.Ref, Outcome: mapping.Outcome{Kind: k, Failure: f}})
	}
	if q.state != queueOpen {
		settle(mapping.NotWritten, mapping.FailNoLink())
		return
	}
	a, err := address(p.Value)
	if err != nil {
		settle(mapping.Refused, mapping.FailInternal(err))
		return
	}
	if a.from.Domain() != q.domain.Domain() {
		// SEC-16: such a stanza would end the stream for everybody.
		err := fmt.Errorf("refusing to write a stanza from %q: not in %s", a.from, q.from)
		q.log.Error("stanza with a foreign sender refused; this is a fault of stox", "from", a.from.String(), "id", a.id)
		settle(mapping.NotWritten, mapping.FailInternal(err))
		return
	}
	// An error is the answer to a stanza that was read. There is always room for it:
	// it takes a reply slot, and the reader pauses when those run out.
	unwritten := int(q.end - q.written)
	if a.bounces && (unwritten >= q.maxBytes || q.pending.len() >= q.maxPending) {
		settle(mapping.NotWritten, mapping.FailBusy(1))
		return
	}
	start := len(q.buf)
	q.buf = appendValue(q.buf, p.Value, q.from)
	size := len(q.buf) - start
	if size > q.maxStanza {
		q.buf = q.buf[:start]
		settle(mapping.Refused, mapping.FailTooLarge(q.maxStanza))
		return
	}
	if a.bounces && unwritten+size > q.maxBytes {
		q.buf = q.buf[:start]
		settle(mapping.NotWritten, mapping.FailBusy(1))
		return
	}
	q.end += uint64(size)
	q.pending.add(p.Ref, a, q.end)
	if !a.bounces {
		q.takeSlot(size)
	}
}

// takeSlot notes that an answer of so many octets ends the buffer. q.mu is held.
func (q *queue) takeSlot(size int) {
	q.replies = append(q.replies, replyMark{q.end, size})
	q.repSize += size
}

// control appends a stanza of our own that nobody waits for.
func (q *queue) control(stanza []byte) {
	q.mu.Lock()
	if q.state == queueOpen {
		q.buf = append(q.buf, stanza...)
		q.end += uint64(len(stanza))
	}
	q.mu.Unlock()
	wake(q.writer)
}

// reply appends an answer that build writes. The reader calls it, at most once
// for each stanza, after slotFree. Once the stream is being closed answers
// are dropped: nothing may follow the end of the stream. It reports false for
// one that is too big for the server and was dropped too: the id of a stanza
// comes back in its answer and may have almost any length.
func (q *queue) reply(build func([]byte) []byte) (fits bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.state != queueOpen {
		return true
	}
	start := len(q.buf)
	q.buf = build(q.buf)
	size := len(q.buf) - start
	if size > q.maxStanza {
		q.buf = q.buf[:start]
		return false
	}
	q.end += uint64(size)
	q.takeSlot(size)
	wake(q.writer)
	return true
}

// slotFree reports whether the reader may take another stanza.
func (q *queue) slotFree() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.state != queueOpen || len(q.replies) < q.maxReplies && q.repSize < q.replyBytes
}

// open starts an epoch.
func (q *queue) open() {
	q.mu.Lock()
	q.epoch++
	q.state = queueOpen
	q.mu.Unlock()
}

// drain refuses new values and lets the writer finish.
func (q *queue) drain() { q.shut(queueDraining) }

// stop ends the writer after what it has in hand.
func (q *queue) stop() { q.shut(queueStopped) }

func (q *queue) shut(s queueState) {
	q.mu.Lock()
	q.state = s
	q.mu.Unlock()
	wake(q.writer)
	wake(q.slot)
}

// take hands the whole buffer to the writer, who gives back the one before. It
// returns more = false when the writer has to end.
func (q *queue) take(back []byte) (out []byte, more bool) {
	const keep = 1 << 20 // a bigger buffer is left to the collector
	q.mu.Lock()
	defer q.mu.Unlock()
	if cap(back) > 0 && cap(back) <= keep {
		q.spare = back[:0]
	}
	switch {
	case q.state == queueStopped, q.state == queueClosed:
		return nil, false
	case len(q.buf) == 0:
		return nil, q.state == queueOpen
	}
	out, q.buf, q.spare = q.buf, q.spare, nil
	return out, true
}

// wrote tells that the kernel has taken n more octets, at time now.
func (q *queue) wrote(n int, now time.Time) {
	q.mu.Lock()
	q.written += uint64(n)
	first := q.pending.mark(q.written, now)
	freed := 0
	for freed < len(q.replies) && q.replies[freed].end <= q.written {
		q.repSize -= q.replies[freed].size
		freed++
	}
	if freed > 0 {
		q.replies = q.replies[:copy(q.replies, q.replies[freed:])]
	}
	q.mu.Unlock()
	if freed > 0 {
		wake(q.slot)
	}
	if first {
		wake(q.teller)
	}
}

// bounced settles the message that a bounce belongs to, and reports whether
// there was one (SEC-22). The reader calls it in stream order.
func (q *queue) bounced(id string, from, to mapping.JID, f *mapping.Failure) bool {
	q.mu.Lock()
	ref, ok := q.pending.bounce(id, from, to)
	if ok {
		q.settled = append(q.settled, mapping.Result{Ref: ref, Outcome: mapping.Outcome{Kind: mapping.Bounced, Failure: f}})
	}
	q.mu.Unlock()
	if ok {
		wake(q.teller)
	}
	return ok
}

// close ends the epoch when reader and writer are gone, and settles whatever
// is still pending. clean says that the server has closed the stream in answer to
// us: it has read to the end, so what was written is Unknown and not Uncertain.
func (q *queue) close(clean bool) {
	q.mu.Lock()
	q.state = queueClosed
	var lost [mapping.Refused + 1]int
	before := len(q.settled)
	q.settled = q.pending.lose(q.settled, q.written, clean)
	for _, r := range q.settled[before:] {
		lost[r.Outcome.Kind]++
	}
	q.buf, q.spare, q.replies = nil, nil, nil
	q.end, q.written, q.repSize = 0, 0, 0
	q.mu.Unlock()
	wake(q.teller)
	if lost[mapping.Uncertain]+lost[mapping.NotWritten] > 0 {
		// One line for the link and not one for each stanza.
		q.log.Warn("stanzas were lost with the link, or may have been: SIP senders are told so, XMPP users do not get their errors",
			"uncertain", lost[mapping.Uncertain], "not_written", lost[mapping.NotWritten])
	}
}

// collect moves everything that is settled by now to the caller, and says when
// to look again (zero: when woken). The caller gives the slice back with the
// next call.
func (q *queue) collect(back []mapping.Result, now time.Time) (batch []mapping.Result, next time.Time) {
	clear(back) // the values are not ours any more
	q.mu.Lock()
	defer q.mu.Unlock()
	q.settled, next = q.pending.expire(q.settled, now, q.bounceWait)
	batch = q.settled
	q.settled = back[:0]
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
