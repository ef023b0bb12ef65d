package presence

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// XMPPSide is what the engine asks of the XMPP side.
type XMPPSide interface {
	// Deliver takes stanzas to be written. It returns at once; what became of each is told
	// later, once, through XMPPOutcomes.
	Deliver(batch []mapping.Parcel[mapping.XMPP])
}

// SIPSide is what the engine asks of the SIP side.
type SIPSide interface {
	// Deliver takes requests to be sent. It returns at once; what became of each is told
	// later, once, through SIPOutcomes.
	Deliver(batch []mapping.Parcel[mapping.SIP])
	// Answer gives requests that came through FromSIP their final answer.
	Answer(batch []mapping.Result)
}

// Policy is what an admin may change while the engine runs. It is swapped whole.
type Policy struct {
	Rules  *mapping.Rules
	Access mapping.Access // who may watch, and be watched
	// Mode says how presence is exchanged with a SIP address (sip.route.presence). nil:
	// ModeSubscribe for all.
	Mode func(mapping.URI) Mode
	// Alone: there is one user domain only, which may have all the room.
	Alone bool
	// Blocks tells whom nobody wants to hear of; nil: nobody is blocked.
	Blocks Blocks
	// Publish are the servers that users' presence is published at: the routes with
	// ModePublish.
	Publish []Server
}

// Mode is how presence is exchanged with the contacts of a route.
type Mode string

// The values of sip.route.presence.
const (
	ModeSubscribe Mode = "subscribe" // by subscriptions, both ways
	ModePublish   Mode = "publish"   // the same, and users' presence is published there
	ModeNone      Mode = "none"      // not at all
)

func (p *Policy) mode(u mapping.URI) Mode {
	if p.Mode == nil {
		return ModeSubscribe
	}
	return p.Mode(u)
}

// asks reports whether a contact is asked for its presence. A telephone number is not, as
// it is not asked for anything: behind a trunk there is nobody who would answer, and a refusal
// would end the user's subscription.
func (p *Policy) asks(contact mapping.URI) bool { return !contact.Phone && p.mode(contact) != ModeNone }

// Options of an Engine.
type Options struct {
	Policy Policy
	Book   Book      // nil: nothing outlives the process
	Now    time.Time // where CSeq begins; zero: time.Now()
}

// Engine is the presence service between the two sides. Make it with New, give it what an
// earlier run has kept (Restore), then Run.
type Engine struct {
	xmpp    XMPPSide
	sip     SIPSide
	book    Book
	log     *slog.Logger
	policy  atomic.Pointer[Policy]
	wake    chan struct{} // capacity 1: Run has to look
	handing sync.Mutex    // of whoever hands on; taken with mu held, and held without it

	mu        sync.Mutex // guards the following
	relations relations
	timers    timers
	next      time.Time // when Run looks again; zero: never
	ticked    time.Time // when it has looked for the last time; zero: not yet
	closing   bool      // Drain has begun
	tally     Tally

	subscriber subscriber
	notifier   notifier
	compositor compositor
	publisher  publisher
}

// New makes an engine between the two sides.
func New(x XMPPSide, s SIPSide, o Options, log *slog.Logger) *Engine {
	if o.Now.IsZero() {
		o.Now = time.Now()
	}
	e := &Engine{xmpp: x, sip: s, book: o.Book, log: log, wake: make(chan struct{}, 1),
		relations: newRelations(), subscriber: newSubscriber(o.Now), notifier: newNotifier(o.Now),
		compositor: newCompositor(), publisher: newPublisher()}
	e.SetPolicy(o.Policy)
	return e
}

// SetPolicy swaps the rules for everything that happens from now on.
func (e *Engine) SetPolicy(p Policy) {
	out := e.lock()
	e.policy.Store(&p)
	out.policy = &p
	e.relations.alone = p.Alone
	e.notifierPolicy(out)
	e.publisherPolicy(out)
	e.unlock(out)
}

// Rules are the address rules in force.
func (e *Engine) Rules() *mapping.Rules { return e.policy.Load().Rules }

// Ref is what the engine gives with the values that it hands to the sides: what comes back
// with one is for it, and for nobody else.
type Ref interface{ presence() }

// work collects what is to be handed on once the lock is released.
type work struct {
	now    time.Time
	policy *Policy

	relations []Relation
	dialogs   []Dialog
	answers   []mapping.Result
	requests  []mapping.Parcel[mapping.SIP]
	stanzas   []mapping.Parcel[mapping.XMPP]
	wake      bool // Run has to look
}

// lock takes the lock and begins a work. Time and policy are those of when it has the lock:
// who has waited for it does not act by rules that were taken away meanwhile.
func (e *Engine) lock() *work {
	e.mu.Lock()
	return &work{now: time.Now(), policy: e.policy.Load()}
}

// unlock releases the lock and hands on what is in out, after what was decided before it: the
// turn is taken while the lock is still held. Who hands on does so for himself only, so that a
// reader of one side waits for a few others at most, and never works for all of them.
func (e *Engine) unlock(out *work) {
	e.handing.Lock()
	defer e.handing.Unlock()
	e.mu.Unlock()
	if out.wake {
		select {
		case e.wake <- struct{}{}:
		default:
		}
	}
	if e.book != nil && len(out.relations) > 0 {
		e.book.PutRelations(out.relations)
	}
	if e.book != nil && len(out.dialogs) > 0 {
		e.book.PutDialogs(out.dialogs)
	}
	if len(out.answers) > 0 {
		e.sip.Answer(out.answers)
	}
	if len(out.requests) > 0 {
		e.sip.Deliver(out.requests)
	}
	if len(out.stanzas) > 0 {
		e.xmpp.Deliver(out.stanzas)
	}
}

// FromXMPP takes what the XMPP side has read of presence: stanzas of users who may use the
// gateway that are addressed to contacts, or to the gateway itself, which answers them
// elsewhere; and the news that a link has come up.
func (e *Engine) FromXMPP(batch []mapping.XMPP) {
	out := e.lock()
	for _, v := range batch {
		switch v := v.(type) {
		case *mapping.XMPPPresence:
			e.takePresence(out, v)
		case *mapping.XMPPReady:
			e.linkUp(out, v.Name)
		}
	}
	e.unlock(out)
}

// takePresence sends a presence stanza to the role that it concerns. e.mu is held.
func (e *Engine) takePresence(out *work, v *mapping.XMPPPresence) {
	if v.To.Local() == "" { // to the gateway itself
		e.takeGateway(out, v)
		return
	}
	switch v.Type {
	case mapping.Subscribe:
		e.wantedByUser(out, v)
		e.subscribe(out, v)
		e.askToPublish(out, v.From.Bare(), v.To.DomainJID())
	case mapping.Unsubscribe:
		e.unsubscribe(out, v)
	case mapping.Probe:
		e.probe(out, v)
	case mapping.Subscribed:
		e.approved(out, v)
	case mapping.Unsubscribed:
		e.declined(out, v)
	case mapping.Available, mapping.Unavailable:
		e.shown(out, v)   // to those who watch him
		e.session(out, v) // whose refreshes depend on it
	case mapping.PresenceError:
		e.unreachable(out, v)
	}
}

// linkUp takes the news that the link of a component name has come up: what was said before
// may be forgotten on the other side (GW-08). e.mu is held.
func (e *Engine) linkUp(out *work, name mapping.JID) {
	e.subscriberLinkUp(out, name)
	e.notifierLinkUp(out, name)
	e.publisherLinkUp(out, name)
}

// FromSIP takes requests about events that the SIP side has read in one go. Each gets
// exactly one answer, at once: none waits for XMPP.
func (e *Engine) FromSIP(batch []mapping.Parcel[mapping.SIP]) {
	out := e.lock()
	for _, p := range batch {
		switch v := p.Value.(type) {
		case *mapping.SIPSubscribe:
			e.takeSubscribe(out, p.Ref, v)
		case *mapping.SIPNotify:
			e.takeNotify(out, p.Ref, v)
		case *mapping.SIPPublish:
			e.takePublish(out, p.Ref, v)
		default:
			out.refuse(p.Ref, mapping.FailMethod())
		}
	}
	e.unlock(out)
}

// SIPOutcomes takes what became of requests of ours.
func (e *Engine) SIPOutcomes(batch []mapping.Result) {
	out := e.lock()
	for _, r := range batch {
		switch ref := r.Ref.(type) {
		case *subscribing:
			e.subscribed(out, ref, r.Outcome)
		case *notifying:
			e.notified(out, ref, r.Outcome)
		case *publishing:
			e.publishedAt(out, ref, r.Outcome)
		}
	}
	e.unlock(out)
}

// XMPPOutcomes takes what became of stanzas of ours.
func (e *Engine) XMPPOutcomes(batch []mapping.Result) {
	out := e.lock()
	for _, r := range batch {
		if ref, ok := r.Ref.(*asking); ok {
			e.asked(out, ref, r.Outcome)
		}
	}
	e.unlock(out)
}

// Run does what time demands until ctx is done. Call it once, after Restore; the sides and
// the book outlive it.
func (e *Engine) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		if next := e.tick(); next.IsZero() {
			timer.Stop()
		} else {
			timer.Reset(time.Until(next))
		}
		select {
		case <-e.wake:
		case <-timer.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// tick does everything that is due, and tells when to look again.
func (e *Engine) tick() time.Time {
	out := e.lock()
	e.ticked = out.now
	for n := 0; n < timersAtOnce; n++ {
		t := e.timers.pop(out.now)
		if t == nil {
			break
		}
		t.f(out)
	}
	next := e.timers.first()
	e.next = next
	out.wake = false
	e.unlock(out)
	return next
}

// timersAtOnce is how many timers are worked off under one lock: what comes meanwhile is not
// to wait for all that are due.
const timersAtOnce = 256

// at has f called with e.mu held when that time has come, in place of what t was for
// before. e.mu is held.
func (e *Engine) at(out *work, t *timer, when time.Time, f func(out *work)) {
	e.timers.set(t, when, f)
	if e.next.IsZero() || when.Before(e.next) {
		e.next = when
		out.wake = true
	}
}

// Restore takes what an earlier run has kept, relations before dialogs. Call it before Run;
// it may be called in batches.
func (e *Engine) Restore(relations []Relation, dialogs []Dialog) {
	out := e.lock()
	for _, r := range relations {
		e.relations.restore(r)
	}
	for _, d := range dialogs {
		e.restoreDialog(out, d)
	}
	e.subscriberRestored(out)
	e.unlock(out)
}

// Drain begins the end: nothing new is begun, and who is shown to XMPP users is shown no
// longer (GW-10). Dialogs stay as they are, for the next run.
func (e *Engine) Drain() {
	out := e.lock()
	if !e.closing {
		e.closing = true
		e.subscriberFarewell(out)
		e.publisherFarewell(out)
	}
	e.unlock(out)
}

// refuse answers a request that is not to be had.
func (w *work) refuse(ref any, f *mapping.Failure) {
	w.answers = append(w.answers, mapping.Result{Ref: ref, Outcome: mapping.Outcome{Kind: mapping.Refused, Failure: f}})
}

// refuseWith is refuse with something besides.
func (w *work) refuseWith(ref any, f *mapping.Failure, a *mapping.EventAnswer) {
	w.answers = append(w.answers, mapping.Result{Ref: ref, Outcome: mapping.Outcome{Kind: mapping.Refused, Failure: f, Event: a}})
}

// accept answers a request with 200.
func (w *work) accept(ref any, a *mapping.EventAnswer) {
	w.answers = append(w.answers, mapping.Result{Ref: ref, Outcome: mapping.Outcome{Kind: mapping.Answered, Status: 200, Event: a}})
}

// request has a request sent.
func (w *work) request(ref Ref, v mapping.SIP) {
	w.requests = append(w.requests, mapping.Parcel[mapping.SIP]{Ref: ref, Value: v})
}

// stanza has a presence stanza written that nobody waits for.
func (w *work) stanza(v *mapping.XMPPPresence) {
	w.stanzas = append(w.stanzas, mapping.Parcel[mapping.XMPP]{Value: v})
}

// say has a presence stanza of a type written.
func (w *work) say(from, to mapping.JID, typ mapping.PresenceType) {
	w.stanza(&mapping.XMPPPresence{From: from, To: to, Type: typ})
}

// sayError has v answered with an error.
func (w *work) sayError(v *mapping.XMPPPresence, f *mapping.Failure) {
	w.stanza(&mapping.XMPPPresence{From: v.To, To: v.From, ID: v.ID, Type: mapping.PresenceError, Failure: f})
}
