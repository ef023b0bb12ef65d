package bridge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// XMPPSide is what the bridge asks of the XMPP side.
type XMPPSide interface {
	// Deliver takes stanzas to be written. It returns at once; what became of
	// each is told later, once, through XMPPOutcomes.
	Deliver(batch []mapping.Parcel[mapping.XMPP])
	// Up reports whether any link to an XMPP server takes messages.
	Up() bool
}

// SIPSide is what the bridge asks of the SIP side.
type SIPSide interface {
	// Deliver takes requests to be sent. It returns at once; what became of each
	// is told later, once, through SIPOutcomes.
	Deliver(batch []mapping.Parcel[mapping.SIP])
	// Answer gives requests that came through FromSIP their final answer.
	Answer(batch []mapping.Result)
}

// Policy is what an admin may change while the bridge runs. It is swapped whole.
type Policy struct {
	Rules  *mapping.Rules
	Access mapping.Access // who may send, and who may be reached

	Expire time.Duration // a message to SIP is tried for so long; zero: 5 min
	Notice bool          // a late error is also told in an ordinary message (xmpp.failure_notice)
	Late   LateErrors    // how an error is told that comes after the answer to SIP
}

// LateErrors says how SIP is told of an error that comes after the answer (IM-61).
type LateErrors string

// The values of sip.late_errors.
const (
	LateIMDN    LateErrors = "imdn"
	LateMessage LateErrors = "message"
	LateNone    LateErrors = "none"
)

// Options of a Bridge.
type Options struct {
	Policy Policy
	Secret []byte // the stanza ids are keyed with a value derived from it
	Limits Limits
	Now    time.Time // where CSeq begins; zero: time.Now()
}

// Bridge carries values from one side to the other.
type Bridge struct {
	xmpp    XMPPSide
	sip     SIPSide
	journal Journal
	log     *slog.Logger
	ids     *ids
	policy  atomic.Pointer[Policy]

	mu       sync.Mutex    // guards the following
	lanes    *lanes        //
	incoming int           // SIP requests that wait for their outcome, without repeats
	repeats  repeats       //
	late     late          //
	tally    Tally         //
	reports  int           // error stanzas that wait for theirs
	closing  bool          // Drain has begun
	idle     chan struct{} // closed by Drain's wait when nothing is left; nil before
}

// New makes a bridge between the two sides.
func New(x XMPPSide, s SIPSide, j Journal, o Options, log *slog.Logger) *Bridge {
	if o.Now.IsZero() {
		o.Now = time.Now()
	}
	if j == nil {
		j = noJournal{}
	}
	b := &Bridge{xmpp: x, sip: s, journal: j, log: log, ids: newIDs(o.Secret, o.Now), lanes: newLanes(o.Limits),
		repeats: newRepeats(time.Now()), late: newLate()}
	b.SetPolicy(o.Policy)
	return b
}

// Run does what time demands - retries, expiry, what waits in the store - until ctx
// is done. Call it once, after Restore; the sides and the store outlive it.
func (b *Bridge) Run(ctx context.Context) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		wait := time.Hour
		if next := b.tickLate(time.Now()); !next.IsZero() {
			wait = time.Until(next)
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return nil
		case <-b.late.soon:
		case <-timer.C:
		}
	}
}

// SetPolicy swaps the rules for everything that is read from now on.
func (b *Bridge) SetPolicy(p Policy) { b.policy.Store(&p) }

// ErrDrain is returned by Drain when its time was up: what was still open has
// been reported to the senders as far as that was possible.
var ErrDrain = errors.New("bridge: not everything was finished in time")

// Drain refuses everything new, waits until what is open has ended or ctx is
// done, and then reports what never left to its senders. Call it once, while
// both sides still run.
func (b *Bridge) Drain(ctx context.Context) error {
	b.mu.Lock()
	b.closing = true
	b.idle = make(chan struct{})
	b.wakeDrain()
	idle := b.idle
	b.mu.Unlock()

	select {
	case <-idle:
		return nil
	case <-ctx.Done():
	}

	b.mu.Lock()
	left := b.lanes.clear()
	open, incoming := b.lanes.open, b.incoming
	var out work
	for _, m := range left {
		b.report(&out, m, mapping.FailShutdown())
	}
	b.mu.Unlock()
	b.do(out)
	return fmt.Errorf("%w: %d messages to SIP without an answer, %d never sent, %d messages from SIP without an outcome",
		ErrDrain, open, len(left), incoming)
}

// wakeDrain ends Drain's wait when nothing is open any more. b.mu is held.
func (b *Bridge) wakeDrain() {
	if b.idle == nil || b.lanes.open > 0 || b.incoming > 0 || b.reports > 0 {
		return
	}
	select {
	case <-b.idle:
	default:
		close(b.idle)
	}
}

// work collects what is to be handed to the sides once the lock is released: a
// batch in makes at most one batch out per kind.
type work struct {
	stanzas  []mapping.Parcel[mapping.XMPP]
	requests []mapping.Parcel[mapping.SIP]
	answers  []mapping.Result
	seen     []Seen
	events   []Event
}

func (b *Bridge) do(w work) {
	if len(w.requests) > 0 {
		b.sip.Deliver(w.requests)
	}
	if len(w.stanzas) > 0 {
		b.xmpp.Deliver(w.stanzas)
	}
	if len(w.answers) > 0 {
		b.sip.Answer(w.answers)
	}
	if len(w.seen) > 0 {
		b.journal.PutSeen(w.seen)
	}
	if len(w.events) > 0 {
		b.journal.PutTrail(w.events)
	}
}
