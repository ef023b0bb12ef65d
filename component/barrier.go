package component

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"gosrc.io/xmpp/stanza"

	"github.com/stoxgw/stox/mapping"
)

// XEP-0114 has no acknowledgement, so a barrier makes one (GW-33): a ping from
// the component to its own domain, appended behind the messages in the same
// critical section. The server handles one component stream in order; when the
// barrier comes home, what was appended before it has been handled, and its
// bounces have been read. A domain other than that of the server has barriers of
// its own, pings to it: see domain.go.

// BarrierMode says when a barrier confirms what was written before it.
type BarrierMode string

// The modes. A bounce that a user's own session makes may come just after the
// barrier on some servers; BarrierSettled waits for it, at the cost of that time:
// see settle.go.
const (
	BarrierAuto    BarrierMode = "auto"    // Single for domains whose server says that it is Prosody, else Settled
	BarrierSingle  BarrierMode = "single"  // at the first barrier
	BarrierSettled BarrierMode = "settled" // at the second, which is written a while after the first came home
)

const (
	maxOpen   = 2                      // barriers of one track that are on their way
	linkCheck = 16                     // barriers that must come home before a link is up (GW-34)
	waveSpan  = 100 * time.Microsecond // waves that are so near to each other are one
)

// errSplit ends a link whose barriers do not come home, or not in the order
// written: the server gives what is ours to somebody else too.
var errSplit = errors.New("barriers are missing")

type splitError struct{ home, of int }

func (e *splitError) Error() string {
	if e.of == 0 {
		return "a barrier came home before an older one"
	}
	return fmt.Sprintf("%d of %d barriers came home", e.home, e.of)
}

func (e *splitError) Is(target error) bool { return target == errSplit }

// barrier is a ping that is on its way.
type barrier struct {
	n      uint64    // its number in the track
	covers uint64    // it confirms what was appended up to this position
	end    uint64    // its own position
	at     time.Time // when it was appended; it is the second of the waves that were ripe then
	left   time.Time // when the kernel took it; zero before
}

// wave is what the first barrier has confirmed and the second has not. Waves
// that are near to each other are taken together, to keep them few.
type wave struct {
	upTo  uint64
	since time.Time // when the first barrier in it came home
	ripe  time.Time // when the second may be written; not before that of the wave ahead
}

// track is one row of stanzas with the barriers behind them: that of our own
// domain, or that of another. Positions are those of the stream. The queue's
// mutex guards it.
type track struct {
	domain string // whom the barriers are addressed to
	home   bool   // our own

	fifo    []*pending // in the order of positions
	head    int        // of fifo
	overdue []*pending // errors out of fifo whose deadline is over; all are before what is in fifo

	last    uint64 // position of the last stanza
	covered uint64 // up to here barriers have been written
	numbers uint64 // of barriers written
	open    []barrier
	waves   []wave
	settle  settle // how long a wave waits

	prosody bool   // what its server says it is
	askedIn uint64 // on which link it was asked, by epoch
	askedID bool   // and then who it is

	domainHealth // not used for our own
}

func (t *track) push(p *pending) {
	if t.head > 1024 && t.head*2 > len(t.fifo) {
		n := copy(t.fifo, t.fifo[t.head:])
		clear(t.fifo[n:])
		t.fifo, t.head = t.fifo[:n], 0
	}
	t.fifo = append(t.fifo, p)
	t.last = p.end
}

// front is the oldest entry, nil if there is none.
func (t *track) front() *pending {
	if len(t.overdue) > 0 {
		return t.overdue[0]
	}
	return t.first()
}

// first is the oldest entry of fifo, nil if there is none.
func (t *track) first() *pending {
	if t.head == len(t.fifo) {
		return nil
	}
	return t.fifo[t.head]
}

// pop takes out the front.
func (t *track) pop() {
	if len(t.overdue) == 0 {
		t.popFirst()
		return
	}
	t.overdue[0] = nil
	if t.overdue = t.overdue[1:]; len(t.overdue) == 0 {
		t.overdue = nil
	}
}

// popFirst takes out the first.
func (t *track) popFirst() {
	t.fifo[t.head] = nil
	if t.head++; t.head == len(t.fifo) {
		t.fifo, t.head = t.fifo[:0], 0
	}
}

// hurry gives nothing in fifo a deadline after latest.
func (t *track) hurry(latest time.Time) {
	for _, p := range t.fifo[t.head:] {
		p.due = sooner(p.due, latest)
	}
}

// wants reports whether a barrier is to be written now. Under load that is when
// one comes home, so there are never more than two.
func (t *track) wants(now time.Time) bool {
	switch {
	case len(t.open) >= maxOpen:
		return false
	case t.suspended():
		return len(t.open) == 0 && !now.Before(t.probeAt)
	}
	return t.last > t.covered || t.ripe(now) > t.settling()
}

// ripe is the position up to which a barrier that was appended at that time is the
// second.
func (t *track) ripe(at time.Time) (upTo uint64) {
	for _, w := range t.waves {
		if at.Before(w.ripe) {
			break
		}
		upTo = w.upTo
	}
	return upTo
}

// settling is the position up to which a second barrier is on its way.
func (t *track) settling() (upTo uint64) {
	if n := len(t.open); n > 0 {
		upTo = t.ripe(t.open[n-1].at)
	}
	return upTo
}

// ripens is when wants has to be asked again because of a wave; zero if never.
func (t *track) ripens() time.Time {
	if t.suspended() || len(t.open) >= maxOpen {
		return time.Time{}
	}
	settling := t.settling()
	for _, w := range t.waves {
		if w.upTo > settling {
			return w.ripe
		}
	}
	return time.Time{}
}

// wave notes that a first barrier has confirmed what is up to a position.
func (t *track) wave(upTo uint64, now time.Time) {
	ripe := t.ripeAt(now)
	if p := t.front(); p == nil || p.end > upTo {
		return
	}
	if n := len(t.waves); n > 0 && now.Sub(t.waves[n-1].since) < waveSpan {
		t.waves[n-1].upTo, t.waves[n-1].ripe = upTo, ripe
		return
	}
	t.waves = append(t.waves, wave{upTo: upTo, since: now, ripe: ripe})
}

// dropWaves forgets the waves up to a position: what they confirmed is settled.
func (t *track) dropWaves(upTo uint64) {
	n := 0
	for n < len(t.waves) && t.waves[n].upTo <= upTo {
		n++
	}
	if n > 0 {
		t.waves = t.waves[:copy(t.waves, t.waves[n:])]
	}
}

// settled reports whether the second barrier decides on a track. What is known of our
// server says nothing of another domain: each is asked what its server is.
func (q *queue) settled(t *track) bool {
	switch q.mode {
	case BarrierSingle:
		return false
	case BarrierSettled:
		return true
	}
	return !t.prosody
}

// askSoftware asks what the server of a track is, once for each link, if that decides on anything.
// q.mu is held.
func (q *queue) askSoftware(t *track) {
	domain := q.softwareAt(t)
	if q.mode != BarrierAuto || domain == "" || t.askedIn == q.epoch {
		return
	}
	t.askedIn, t.askedID, t.prosody = q.epoch, false, false
	start := len(q.buf)
	q.buf = appendVersionQuery(q.buf, q.from, domain, q.pingID+versionID)
	q.end += uint64(len(q.buf) - start)
}

// askIdentity asks a domain that has not said what its server is who it is: once for each
// link, however often it says nothing, since no reply slot is taken by a question.
func (q *queue) askIdentity(domain string) {
	q.mu.Lock()
	defer q.releaseInTurn()
	t := q.trackFrom(domain)
	if t == nil || t.askedID || !q.taking() {
		return
	}
	t.askedID = true
	start := len(q.buf)
	q.buf = appendQuestion(q.buf, q.from, domain, q.pingID+identityID, "query", stanza.NSDiscoInfo)
	q.end += uint64(len(q.buf) - start)
}

// softwareAt is who is asked what the server of a track is: "" if nobody can be.
func (q *queue) softwareAt(t *track) string {
	if t.home {
		return q.parent
	}
	return t.domain
}

// trackFrom is the track of which that domain says what its server is; nil if none.
func (q *queue) trackFrom(domain string) *track {
	if domain == q.parent {
		return &q.own
	}
	return q.domains[domain]
}

// hasAsked reports whether the domain has been asked what its server is, on this link.
func (q *queue) hasAsked(domain string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	t := q.trackFrom(domain)
	return t != nil && t.askedIn == q.epoch
}

// writeBarriers appends the barriers that a track wants. q.mu is held.
func (q *queue) writeBarriers(t *track, now time.Time) {
	if !q.writing() {
		return
	}
	q.askSoftware(t)
	for t.wants(now) {
		q.writeBarrier(t, now)
	}
	if at := t.ripens(); !at.IsZero() {
		q.lookAt(at)
	}
}

func (q *queue) writeBarrier(t *track, now time.Time) {
	t.numbers++
	b := barrier{n: t.numbers, covers: q.end, at: now}
	t.covered = b.covers
	if t.suspended() {
		t.probeAt = now.Add(probeEvery)
	}
	kind := byte('d')
	if t.home {
		kind = 'b'
	}
	start := len(q.buf)
	q.buf = appendBarrier(q.buf, q.from, t.domain, q.pingID, kind, b.n)
	q.end += uint64(len(q.buf) - start)
	b.end = q.end
	t.open = append(t.open, b)
	q.unsent = append(q.unsent, sentBarrier{t, b.n, b.end})
	q.counts.Barriers++
}

// sentBarrier is a barrier that the kernel has not taken yet.
type sentBarrier struct {
	t      *track
	n, end uint64 // as of the barrier
}

// barriersLeft notes when barriers were taken by the kernel: their time runs
// from then on. q.mu is held.
func (q *queue) barriersLeft(now time.Time) {
	n := 0
	for n < len(q.unsent) && q.unsent[n].end <= q.written {
		s := &q.unsent[n]
		for i := range s.t.open {
			if b := &s.t.open[i]; b.n == s.n { // else it is at home already
				b.left = now
				q.lookAt(now.Add(q.patience(s.t)))
			}
		}
		n++
	}
	q.unsent = slices.Delete(q.unsent, 0, n)
}

// patience is how long a barrier may be on its way. One of our own domain that is
// missing for longer is a ping without an answer: the link is lost (GW-09).
func (q *queue) patience(t *track) time.Duration {
	if t.home {
		return q.pingTimeout
	}
	return q.timeout
}

// homecoming takes a barrier of our own domain that has come home. The reader
// calls it in stream order. up says that it was the last of the check of a new
// link; an error that the link is split.
func (q *queue) homecoming(n uint64, now time.Time) (up bool, err error) {
	q.mu.Lock()
	defer q.releaseInTurn()
	t := &q.own
	if !q.alive() || len(t.open) == 0 {
		return false, nil
	}
	b := t.open[0]
	if b.n != n {
		for _, later := range t.open[1:] {
			if later.n == n {
				return false, &splitError{}
			}
		}
		return false, nil // never written, or at home before
	}
	t.open = t.open[:copy(t.open, t.open[1:])]
	if !b.left.IsZero() {
		took := now.Sub(b.left)
		t.settle.trip(took, now)
		q.trips.Took(took)
	}
	q.confirm(t, &b, now)
	if q.state == queueChecking && b.n == linkCheck {
		q.state, up = queueOpen, true
		q.writeAgain(now)
	}
	q.writeBarriers(t, now)
	return up, nil
}

// confirm settles what a barrier that has come home confirms. q.mu is held.
func (q *queue) confirm(t *track, b *barrier, now time.Time) {
	if !q.settled(t) {
		q.settleUpTo(t, b.covers, mapping.Processed, nil)
		t.dropWaves(b.covers)
		return
	}
	settles := t.ripe(b.at) // of now: a bounce may have come since that shows that it was early
	q.settleUpTo(t, settles, mapping.Processed, nil)
	t.dropWaves(settles)
	t.wave(b.covers, now)
}

// software takes what the server of a domain says it is (XEP-0092).
func (q *queue) software(domain string, prosody bool, now time.Time) {
	q.mu.Lock()
	defer q.releaseInTurn()
	t := q.trackFrom(domain)
	if t == nil {
		return
	}
	if t.prosody = prosody; !q.settled(t) && len(t.waves) > 0 {
		upTo := t.waves[len(t.waves)-1].upTo
		q.settleUpTo(t, upTo, mapping.Processed, nil)
		t.dropWaves(upTo)
	}
}

// settleUpTo ends everything of a track up to a position. q.mu is held.
func (q *queue) settleUpTo(t *track, pos uint64, k mapping.OutcomeKind, f *mapping.Failure) {
	for p := t.front(); p != nil && p.end <= pos; p = t.front() {
		q.popFront(t)
		if !p.done {
			q.finish(p, k, f)
		}
		q.pending.recycle(p)
	}
}

func (q *queue) popFront(t *track) {
	t.pop()
	q.pending.entries--
}

// finish settles a value. q.mu is held.
func (q *queue) finish(p *pending, k mapping.OutcomeKind, f *mapping.Failure) {
	q.pending.finish(p)
	q.tellLater(p.ref, k, f)
	q.results[len(q.results)-1].Outcome.Doubtful = p.again && k != mapping.Uncertain
}

// tellLater notes a result. q.mu is held.
func (q *queue) tellLater(ref any, k mapping.OutcomeKind, f *mapping.Failure) {
	q.results = append(q.results, mapping.Result{})
	r := &q.results[len(q.results)-1]
	r.Ref, r.Outcome.Kind, r.Outcome.Failure = ref, k, f
}

// appendBarrier is appendPing for an id that is not there yet. pingID has nothing that
// would have to be escaped.
func appendBarrier(b []byte, from, to, pingID string, kind byte, n uint64) []byte {
	b = append(b, "<iq"...)
	b = appendAttr(b, "from", from)
	b = appendAttr(b, "to", to)
	b = append(b, " id='"...)
	b = append(b, pingID...)
	b = append(b, '-', kind)
	b = strconv.AppendUint(b, n, 10)
	return append(b, "' type='get'><ping xmlns='"+nsPing+"'/></iq>"...)
}

// appendPing appends a ping (XEP-0199).
func appendPing(b []byte, from, to, id string) []byte {
	b = appendOpen(b, "iq", from, to, id, string(stanza.IQTypeGet))
	b = append(b, "><ping"...)
	b = appendAttr(b, "xmlns", nsPing)
	return append(b, "/></iq>"...)
}
