package component

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stoxgw/stox/internal/hist"
	"github.com/stoxgw/stox/mapping"
)

// queueState says what the queue takes.
type queueState uint8

const (
	queueClosed   queueState = iota // no link: nothing; what comes is NotWritten
	queueChecking                   // a new link: errors only, until its barriers have come home
	queueOpen                       // everything
	queueDraining                   // nothing new; the writer ends when nothing is pending any more
	queueFlushing                   // nothing new; the writer empties the buffer and ends
	queueStopped                    // nothing; the writer ends after what it has in hand
)

// queue is the way out: the buffer that stanzas are appended to, and the
// memory of what is to become of them. One mutex covers both, so that a stanza's
// place in the buffer, its position and its pending record are one step; that
// order is what bounces and barriers rely on. It outlives the links; each link is
// an epoch.
type queue struct {
	domain      mapping.JID
	from        string // domain as text
	by          string // Config.Gateway
	parent      string // the domain of the server: the parent of ours, "" if there is none
	log         *slog.Logger
	maxBytes    int
	maxStanza   int
	maxPending  int
	maxReplies  int
	replyBytes  int
	mode        BarrierMode
	caps        func(b []byte) []byte  // appends what available presence of from says it can do
	allow       func(mapping.JID) bool // Config.Allow
	timeout     time.Duration          // of a barrier
	pingTimeout time.Duration

	writer chan struct{} // capacity 1: there is something for the writer
	teller chan struct{} // capacity 1: there is something for the teller
	slot   chan struct{} // capacity 1: a reply has been written
	fault  chan error    // capacity 1: why the link has to go

	slotsOut atomic.Bool // no slotsLeft; written under mu

	mu       sync.Mutex // guards everything below
	state    queueState
	epoch    uint64       // counts links
	pingID   string       // of this epoch, unguessable; the ids of our pings begin with it
	buf      []byte       // to be written
	spare    []byte       // the other buffer, when it has been written and given back
	busy     bool         // somebody writes what he has taken out of buf
	direct   direct       // how anybody may write at once; nil: only the writer can
	rest     []byte       // what somebody could not write at once: the writer is busy with it
	broken   error        // why not, if the connection is to blame
	show     func([]byte) // is shown what is taken out of buf, with mu held; nil: nobody is
	freed    bool         // reply slots have become free
	end      uint64       // position of the last octet in buf
	written  uint64       // position of the last octet that the kernel has taken
	replies  []replyMark
	repSize  int // octets of replies
	pending  pendingTable
	own      track             // our own domain
	domains  map[string]*track // others
	recent   *track            // the one of domains that was asked for last; nil: none, or it is gone
	touched  []*track          // those that have been appended to and have no barrier yet
	unsent   []sentBarrier     // in the order of positions
	again    []*pending        // to be written once more when the link returns
	due      time.Time         // when there is something to be looked after; zero: nothing
	rearm    bool              // due has become earlier: the teller has to know
	blocked  bool              // something is due that the kernel has not taken
	results  []mapping.Result  // to be told
	told     []mapping.Result  // what was, to be used again
	telling  bool              // somebody tells
	expected bool              // the reader calls turn before it waits for anything
	counts   Counts
	trips    hist.Histogram // of barriers of our own domain

	inquiries []inquiry // in the order of their due times

	granted map[string]bool // domains whose server lets us into the rosters of its users
	asked   []*asking       // questions to rosters, the oldest first
	askings uint64          // numbers them, on this link
}

// replyMark is an answer in the buffer, the reader's or the bridge's, that
// occupies a reply slot.
type replyMark struct {
	end  uint64
	size int
}

func newQueue(cfg Config, domain mapping.JID, log *slog.Logger) *queue {
	_, parent, _ := strings.Cut(domain.Domain(), ".")
	return &queue{
		domain: domain, from: domain.String(), by: cfg.Gateway, parent: parent, log: log,
		maxBytes: cfg.QueueBytes, maxStanza: cfg.MaxStanzaBytes, maxPending: cfg.MaxPending,
		maxReplies: cfg.ReplySlots, replyBytes: cfg.ReplyBytes,
		mode: cfg.Barrier, allow: cfg.Allow, timeout: cfg.BarrierTimeout, pingTimeout: cfg.PingTimeout,
		writer: make(chan struct{}, 1), teller: make(chan struct{}, 1), slot: make(chan struct{}, 1), fault: make(chan error, 1),
		pending: newPendingTable(),
		own:     ownTrack(domain.String(), cfg.BarrierTimeout), domains: make(map[string]*track),
	}
}

// change takes over what of cfg may be changed, and what is asked of srv. What is pending has
// the deadline that it was given, or what it would be given now if that is sooner: nothing
// behind it is to wait for longer than that.
func (q *queue) change(cfg Config, srv *services) {
	q.mu.Lock()
	defer q.release()
	q.allow, q.caps, q.timeout = cfg.Allow, srv.caps, cfg.BarrierTimeout
	q.own.settle.most = mostOf(q.timeout)
	now := time.Now()
	latest := now.Add(q.timeout)
	q.own.hurry(latest)
	for _, t := range q.domains {
		t.hurry(latest)
	}
	for _, p := range q.again {
		p.due = sooner(p.due, latest)
	}
	q.lookAt(now)
}

// alive reports whether there is a link. q.mu is held.
func (q *queue) alive() bool { return q.state != queueClosed }

// writing reports whether barriers are written. q.mu is held.
func (q *queue) writing() bool {
	return q.state == queueChecking || q.state == queueOpen || q.state == queueDraining
}

// taking reports whether anything is appended. q.mu is held.
func (q *queue) taking() bool { return q.state == queueOpen || q.state == queueChecking }

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
	now := time.Now()
	q.mu.Lock()
	defer q.release()
	q.touched = q.touched[:0]
	due := now.Add(q.timeout)
	for i := range batch {
		q.deliverOne(&batch[i], now, due)
	}
	q.coverTouched(now)
}

// coverTouched writes the barriers behind what has been appended. q.mu is held.
func (q *queue) coverTouched(now time.Time) {
	for _, t := range q.touched {
		q.writeBarriers(t, now)
	}
	clear(q.touched)
}

// deliverOne is deliver of one. Its outcome is due at that time. q.mu is held.
func (q *queue) deliverOne(p *mapping.Parcel[mapping.XMPP], now, due time.Time) {
	var a addressed
	err := address(p.Value, &a)
	if q.state != queueOpen && (q.state != queueChecking || err != nil || a.bounces) {
		q.tellLater(p.Ref, mapping.NotWritten, mapping.FailNoLink())
		return
	}
	at := -1 // the inquiry that it answers
	if a.answers {
		at = q.inquired(&a)
	}
	if err != nil {
		q.reject(p, at, mapping.Refused, mapping.FailInternal(err), &errBadReply)
		return
	}
	if a.from.Domain() != q.domain.Domain() {
		// SEC-16: such a stanza would end the stream for everybody. It may be about a
		// message from before its component name was taken out of the configuration.
		err := fmt.Errorf("refusing to write a stanza from %q: not in %s", a.from, q.from)
		q.log.Error("stanza with a foreign sender refused; unless its component name was taken out of the configuration this is a fault of stox", "from", a.from.String(), "id", a.id)
		q.tellLater(p.Ref, mapping.Refused, mapping.FailInternal(err))
		return
	}
	if a.answers && at < 0 {
		q.tellLater(p.Ref, mapping.Refused, mapping.FailInternal(errors.New("an answer that nobody waits for")))
		return
	}
	// An error is the answer to a stanza that was read. There is always room for it:
	// it takes a reply slot, and the reader pauses when those run out. The result of an IQ
	// may be long: in its place there is always room for an error.
	unwritten := int(q.end - q.written)
	if (a.bounces || a.answers) && (unwritten >= q.maxBytes || q.pending.entries >= q.maxPending || q.pending.held >= heldFactor*q.maxBytes) {
		q.reject(p, at, mapping.NotWritten, mapping.FailBusy(1), &errInquiries)
		return
	}
	t := q.trackOf(&a, now)
	if t == nil {
		q.tellLater(p.Ref, mapping.NotWritten, mapping.FailBusy(1))
		return
	}
	start := len(q.buf)
	q.buf = q.append(q.buf, p.Value)
	size := len(q.buf) - start
	if size > q.maxStanza {
		q.buf = q.buf[:start]
		q.reject(p, at, mapping.Refused, mapping.FailTooLarge(q.maxStanza), &errLargeReply)
		return
	}
	if (a.bounces || a.answers) && unwritten+size > q.maxBytes {
		q.buf = q.buf[:start]
		q.reject(p, at, mapping.NotWritten, mapping.FailBusy(1), &errInquiries)
		return
	}
	if a.answers {
		q.inquiries = slices.Delete(q.inquiries, at, at+1)
	}
	q.end += uint64(size)
	r := q.pending.make()
	r.ref, r.value, r.size, r.end, r.due, r.bounces = p.Ref, p.Value, size, q.end, due, a.bounces
	q.enqueue(t, r, a.id, now)
	if !a.bounces {
		q.takeSlot(size)
	}
}

// reject settles what is not written. at is the inquiry that it was to answer, which is
// answered otherwise; below 0: none. q.mu is held.
func (q *queue) reject(p *mapping.Parcel[mapping.XMPP], at int, k mapping.OutcomeKind, f *mapping.Failure, instead *stanzaError) {
	if at >= 0 {
		q.closeInquiry(at, *instead)
	}
	q.tellLater(p.Ref, k, f)
}

// takeSlot notes that an answer of so many octets ends the buffer. q.mu is held.
func (q *queue) takeSlot(size int) {
	q.replies = append(q.replies, replyMark{q.end, size})
	q.repSize += size
	q.slotsOut.Store(!q.slotsLeft())
}

// heldFactor is how much more than may be unwritten may be pending.
const heldFactor = 4

// enqueue takes in p, which has just been appended to the buffer, and is due as it says
// unless its domain is not waited for. q.mu is held.
func (q *queue) enqueue(t *track, p *pending, id string, now time.Time) {
	if t.suspended() {
		p.due = now
	}
	t.push(p)
	q.pending.add(p, id)
	q.lookAt(p.due)
	if !slices.Contains(q.touched, t) {
		q.touched = append(q.touched, t)
	}
}

// control appends a stanza of our own that nobody waits for.
func (q *queue) control(stanza []byte) {
	q.mu.Lock()
	if q.taking() {
		q.buf = append(q.buf, stanza...)
		q.end += uint64(len(stanza))
	}
	q.release()
}

// reply appends an answer that build writes. The reader calls it, at most once
// for each stanza, after slotFree. Once the stream is being closed answers
// are dropped: nothing may follow the end of the stream. It reports false for
// one that is too big for the server and was dropped too: the id of a stanza
// comes back in its answer and may have almost any length.
func (q *queue) reply(build func([]byte) []byte) (fits bool) {
	q.mu.Lock()
	defer q.releaseInTurn()
	if !q.taking() {
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
	return true
}

// slotFree reports whether the reader may take another stanza. It is asked for each: as a
// rule without the lock.
func (q *queue) slotFree() bool {
	if !q.slotsOut.Load() {
		return true
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return !q.taking() || q.slotsLeft()
}

// slotsLeft reports whether there is room for another answer. q.mu is held.
func (q *queue) slotsLeft() bool {
	return len(q.replies) < q.maxReplies && q.repSize < q.replyBytes
}

// open starts an epoch with the check of the link: the barriers that must come
// home before it is up, and the question what the server is. pingID begins the
// ids of its pings.
func (q *queue) open(pingID string) { q.openOver(pingID, nil) }

// openOver is open for a connection to which anybody may write at once; nil: nobody may.
func (q *queue) openOver(pingID string, d direct) {
	now := time.Now()
	q.mu.Lock()
	defer q.release()
	q.direct = d
	q.epoch++
	q.state = queueChecking
	q.pingID, q.own.prosody = pingID, false
	q.granted, q.asked, q.askings = nil, nil, 0
	select {
	case <-q.fault: // of the link before
	default:
	}
	for range linkCheck {
		q.writeBarrier(&q.own, now)
	}
	q.askSoftware(&q.own)
	if len(q.inquiries) > 0 {
		q.lookAt(q.inquiries[0].due)
	}
}

// showTo has show be shown what is written from now on.
func (q *queue) showTo(show func([]byte)) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.show = show
}

// atHome is how many barriers of the link check have come home.
func (q *queue) atHome() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return int(q.own.numbers) - len(q.own.open)
}

// drain refuses new values and lets the writer finish when nothing is pending.
func (q *queue) drain() { q.shut(queueDraining) }

// flush lets the writer finish when the buffer is empty.
func (q *queue) flush() { q.shut(queueFlushing) }

// stop ends the writer after what it has in hand.
func (q *queue) stop() { q.shut(queueStopped) }

func (q *queue) shut(s queueState) {
	q.mu.Lock()
	q.state = s
	q.mu.Unlock()
	wake(q.writer)
	wake(q.slot)
}

// bounced settles the message that a bounce belongs to, and reports whether
// there was one (SEC-22). The reader calls it in stream order.
func (q *queue) bounced(id string, from, to mapping.JID, f *mapping.Failure) bool {
	q.mu.Lock()
	defer q.releaseInTurn()
	p := q.pending.bounce(id, from, to)
	if p == nil {
		q.counts.LateBounces++
		return false
	}
	if a := p.addressed(); q.isOwn(&a) {
		q.own.refused(p.end, time.Now())
	}
	q.finish(p, mapping.Bounced, f)
	return true
}

// close ends the epoch when reader and writer are gone. What is pending is
// settled or kept for the next link: see lose.
func (q *queue) close(how ending) {
	now := time.Now()
	q.mu.Lock()
	defer q.release()
	q.state = queueClosed
	q.lose(how, now)
	q.buf, q.spare, q.replies, q.unsent = nil, nil, nil, nil
	q.busy, q.direct, q.rest, q.broken = false, nil, nil, nil
	q.end, q.written, q.repSize = 0, 0, 0
	q.slotsOut.Store(false)
}
