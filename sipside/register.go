package sipside

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stoxgw/stox/mapping"
	"github.com/stoxgw/stox/sipside/locate"
)

const (
	askedBinding   = 10 * time.Minute // what a registrar is asked for
	longestBinding = 24 * time.Hour   // what it may want instead (Min-Expires), or grant
	mostServers    = 8                // that are asked one after the other before the next pause
)

// registration keeps one binding at a registrar (RFC 3261 §10): that of a route's user name,
// or of a user's account, with us, so that what is for that user comes here. One goroutine
// runs it.
type registration struct {
	u         *UA
	of        holder
	watch     *watch      // of the route; nil if it is of an account
	aor       mapping.URI // whose binding it is: From and To
	registrar mapping.URI // Request-URI: the domain alone (§10.2)
	user      string      // of Contact
	unique    bool        // nobody else has that in a Contact
	name      string      // display name in From, "" if none
	regID     int         // by which the registrar tells the flows of one instance apart (RFC 5626 §4.2)
	callID    string      // the same for all requests, as the tag is (§10.2)
	tag       string
	newest    atomic.Pointer[target]
	woken     chan struct{} // the flow is lost
	changed   chan struct{} // it is to be made anew

	// Of the goroutine.
	way      target // newest, for one attempt
	cseq     uint32
	expiry   time.Duration // that is asked for
	plain    bool          // without outbound and path, which the registrar refused
	paces    paces
	frail    bool          // the last binding lost its flow as soon as it was made
	patience time.Duration // how long one server is waited for at most; 0: as long as it may take
	late     []lateAnswer  // of servers that were not waited for

	mu    sync.Mutex // guards the following
	state registered
	since time.Time
	why   string    // what the last request came to if it was no grant
	code  int       // its status, 0 if it had no answer
	at    time.Time // of the last grant
	until time.Time // the end of the binding
	to    locate.Target
	flow  *stream // the connection that it was made over; nil over UDP, and once it is lost
	nat   *flow   // over UDP
	lost  bool    // the flow: the binding leads nowhere
}

// holder is whose registration it is: it is told how that does, and says when it may ask. Its
// methods are called by the goroutine of the registration, with no lock held.
type holder interface {
	// admit waits until the registration may ask the registrar; false if ctx ends before.
	admit(ctx context.Context, r *registration) bool
	// leaves waits until the registration may take its binding back, for as long as the new
	// ctx says; false if ctx ends before. done says that it has.
	leaves(ctx context.Context) (may context.Context, done func(), ok bool)
	// found is told where the servers are.
	found(at []locate.Target)
	// bound is told of a binding where there was none, left of one that was not taken back.
	bound(r *registration, a *ownAnswer, g grant)
	left(r *registration, until time.Time)
	// turned is told that there is no binding any more, or still none for another reason.
	turned(r *registration, to registered, a *ownAnswer, why string, wait time.Duration)
	// keep has a flow over UDP kept open, instead of another one; either may be nil.
	keep(r *registration, before, now *flow)
}

// target is the next hop of a registration, and the route that has it; nil if none has.
type target struct {
	route *Route
	hop   hop
	fault *mapping.Failure // the hop leads nowhere
}

// loose reports whether requests carry the next hop in a Route header.
func (t *target) loose() bool { return t.route != nil && t.route.Loose }

// registered is what an operator is told of a registration.
type registered string

const (
	notYet      registered = ""
	isBound     registered = "registered"
	isLost      registered = "lost"    // for now: it is tried again soon
	wasRefused  registered = "refused" // until somebody mends something
	isUnbinding registered = "ending"
)

// settleRegistrations gives each route with Register its registration: that which there was
// for the same user at the same place, if there was one.
func (u *UA) settleRegistrations(s, before *settings) {
	var left []*registration
	for _, r := range before.routes { // in their order
		if g := before.registrations[r]; g != nil {
			left = append(left, g)
		}
	}
	for _, r := range s.routes {
		if !r.Register {
			continue
		}
		to, w := target{route: r}, s.watches[r]
		to.hop, to.fault = u.hopOf(r, s.logins[r])
		to.hop.watch = w
		aor := u.aorOf(r)
		if i := slices.IndexFunc(left, func(g *registration) bool { return g.aor == aor && g.watch == w }); i >= 0 {
			s.registrations[r] = left[i]
			s.aims = append(s.aims, aim{left[i], to})
			left = slices.Delete(left, i, i+1)
		} else {
			s.registrations[r] = newRegistration(u, aor, to)
		}
	}
}

// aorOf is whose binding a route registers.
func (u *UA) aorOf(r *Route) mapping.URI {
	domain := r.Domain
	if domain == "*" {
		domain = u.cfg.SIPDomain
	}
	return mapping.URI{Scheme: "sip", User: r.Login.Username, Host: canonicalHost(domain)}
}

// newRegistration is for a route with Register. Nothing is sent before run.
func newRegistration(u *UA, aor mapping.URI, to target) *registration {
	g := freshRegistration(u, aor, to)
	g.of, g.watch, g.user = routeHolder{}, to.hop.watch, aor.User
	return g
}

// freshRegistration has all but whose it is.
func freshRegistration(u *UA, aor mapping.URI, to target) *registration {
	g := &registration{u: u, aor: aor, regID: 1, callID: freshCallID(), tag: freshTag(),
		woken: make(chan struct{}, 1), changed: make(chan struct{}, 1), expiry: askedBinding}
	g.registrar = mapping.URI{Scheme: "sip", Host: aor.Host}
	g.newest.Store(&to)
	return g
}

// route is that of the registration.
func (r *registration) route() *Route { return r.newest.Load().route }

// goTo makes the registration one of another route to the same place. With another login it
// is made anew at once, even if it was refused.
func (r *registration) goTo(to target) {
	before := r.newest.Swap(&to)
	if before.hop.login == to.hop.login && before.loose() == to.loose() {
		return
	}
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// run registers and keeps the binding until ctx is done; then it takes it back, which inner
// may break off.
func (r *registration) run(ctx, inner context.Context) {
	r.keepUp(ctx, inner, r.guarded(ctx, inner))
	r.leave(inner)
}

// keepUp makes the binding again and again until ctx is done, first after wait.
func (r *registration) keepUp(ctx, inner context.Context, wait time.Duration) {
	for ctx.Err() == nil && r.pause(ctx, wait) {
		wait = r.guarded(ctx, inner)
	}
}

// guarded is an attempt that may fail for a fault of ours, which what a server says must not
// turn into the end of the process: it is tried again as after any failure.
func (r *registration) guarded(ctx, inner context.Context) (wait time.Duration) {
	if !guard(r.u, func() { wait = r.attempt(ctx, inner) }) {
		wait = r.paces.failed(0)
	}
	return wait
}

// pause waits until the next attempt is due; false if ctx ends before. The loss of the flow
// makes it due (RFC 5626 §4.4), unless the binding had only just been made: a registrar that
// hangs up each time is not asked any sooner for that.
func (r *registration) pause(ctx context.Context, wait time.Duration) bool {
	due := time.NewTimer(wait)
	defer due.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-due.C:
			if _, lost := r.age(); !lost {
				r.frail = false
			}
			return true
		case <-r.changed:
			r.paces.worked()
			return true
		case <-r.woken:
			if soon, yes := r.broken(); yes {
				due.Reset(soon)
			}
		}
	}
}

// broken says when to register again after the loss of the flow; false if it is not lost.
func (r *registration) broken() (time.Duration, bool) {
	age, lost := r.age()
	if !lost {
		return 0, false
	}
	if r.frail = age < shortestPause; !r.frail {
		return atOnce(), true
	}
	wait := r.paces.failed(0)
	r.missed(nil, "the connection broke", wait)
	return wait, true
}

// age is that of the binding, and says whether its flow is lost.
func (r *registration) age() (age time.Duration, lost bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Since(r.at), r.lost
}

// attempt asks the servers of the route in turn until one has decided, and says how long
// it is until the next attempt. The end of ctx breaks off nothing that has been sent: what
// that came to has to be known, and its numbers are used up, before a binding can be taken
// back. Inner breaks it off.
func (r *registration) attempt(ctx, inner context.Context) time.Duration {
	if !r.of.admit(ctx, r) {
		return 0
	}
	r.way = *r.newest.Load()
	r.mu.Lock()
	r.lost = false
	r.mu.Unlock()
	if r.way.fault != nil {
		wait := r.paces.refused()
		r.refused(nil, "its transport is not in use here", wait)
		return wait
	}
	targets, f := r.u.targetsOf(ctx, r.way.hop)
	r.of.found(targets)
	if f != nil {
		if ctx.Err() != nil {
			return 0
		}
		wait := r.paces.failed(0)
		r.missed(nil, "no server was found for "+r.way.hop.query.Host, wait)
		return wait
	}
	var last ownAnswer
	var later time.Duration // Retry-After
	why := ""
	for _, t := range r.order(targets, time.Now()) {
		if ctx.Err() != nil {
			return 0
		}
		a, ok := r.register(ctx, inner, t)
		if !ok {
			return 0
		}
		last = a
		verdict := judgeRegister(&a.Outcome)
		switch verdict {
		case regAccepted:
			g, ok := readGrant(a.fields, r.contactURI(a.to), r.u.cfg.Instance, r.expiry, r.unique)
			if ok {
				return r.granted(&a, g)
			}
			why = fmt.Sprintf("answered %d without our binding", a.Status)
		case regRefused:
			wait := r.paces.refused()
			r.refused(&a, cameTo(&a), wait)
			return wait
		default:
			why = cameTo(&a)
		}
		if a.Failure != nil && a.Failure.RetryAfter > 0 && (later == 0 || a.Failure.RetryAfter < later) {
			later = a.Failure.RetryAfter
		}
		if verdict != regNext {
			break
		}
	}
	wait := r.paces.failed(later)
	r.missed(&last, why, wait)
	return wait
}

// order is the servers to ask: where the binding is first, so that what comes in goes on
// coming over the same flow; and none that is avoided, unless all are.
func (r *registration) order(targets []locate.Target, now time.Time) []locate.Target {
	out := slices.DeleteFunc(slices.Clone(targets), func(t locate.Target) bool {
		_, avoided := r.u.client.health.Avoided(t, now)
		return avoided
	})
	if len(out) == 0 {
		out = slices.Clone(targets)
	}
	r.mu.Lock()
	current := r.to
	r.mu.Unlock()
	if i := slices.IndexFunc(out, func(t locate.Target) bool { return connTo(t) == connTo(current) }); i > 0 {
		first := out[i]
		out = slices.Insert(slices.Delete(out, i, i+1), 0, first)
	}
	return out[:min(len(out), mostServers)]
}

// register asks one server, and once more each if it wants a longer binding or does not
// know an extension.
func (r *registration) register(ctx, inner context.Context, t locate.Target) (a ownAnswer, ok bool) {
	longer := false
	for {
		if a, ok = r.ask(inner, t, r.expiry); !ok || ctx.Err() != nil || a.Kind != mapping.Answered || a.fields == nil {
			return a, ok
		}
		switch {
		case a.Status == 423 && !longer:
			least, ok := parseExpiry(a.fields.minExpires)
			if !ok || least <= r.expiry {
				return a, true
			}
			r.expiry, longer = least, true
		case a.Status == 420 && !r.plain && dislikes(a.fields.unsupported):
			r.plain = true
		default:
			return a, true
		}
	}
}

// dislikes reports whether Unsupported names an extension that we can do without.
func dislikes(unsupported []string) bool {
	for _, row := range unsupported {
		for row != "" {
			var tag string
			tag, row = cutList(row)
			if strings.EqualFold(tag, "outbound") || strings.EqualFold(tag, "path") {
				return true
			}
		}
	}
	return false
}

// ask sends one REGISTER for a binding of that length; 0 takes it back.
func (r *registration) ask(ctx context.Context, t locate.Target, expiry time.Duration) (a ownAnswer, ok bool) {
	r.cseq++
	seconds := fmt.Sprint(int(expiry / time.Second))
	req := ownRequest(methodRegister, r.registrar, r.aor, r.aor, r.callID, r.tag, r.cseq)
	req.Name = r.name
	user, params := r.user, ";expires="+seconds
	if !r.plain {
		req.extra = "Supported: path, outbound\r\n"
		if id := r.u.cfg.Instance; id != "" {
			params += ";+sip.instance=\"<" + id + ">\";reg-id=" + fmt.Sprint(r.regID)
		}
	}
	req.extra += "Expires: " + seconds + "\r\n"
	req.contact = func(transport, sentBy string) string {
		return "<" + contactURI(user, transport, sentBy).String() + ">" + params
	}
	if a, ok = r.wait(ctx, req, t); a.CSeq > r.cseq {
		r.cseq = a.CSeq // a challenge was answered
	}
	return a, ok
}

// wait sends a request and waits for what becomes of it, for no longer than there is patience.
func (r *registration) wait(ctx context.Context, req outRequest, t locate.Target) (a ownAnswer, ok bool) {
	if r.patience == 0 {
		return r.u.askAt(ctx, req, r.way.hop, t)
	}
	told := make(chan ownAnswer, 1)
	r.u.client.ask(req, r.way.hop.at(t), func(a ownAnswer) { told <- a })
	end := time.NewTimer(r.patience)
	defer end.Stop()
	select {
	case a = <-told:
		return a, true
	case <-end.C:
	case <-ctx.Done():
	}
	r.late = append(r.late, lateAnswer{told, t})
	r.cseq += mostAsked // the numbers that it may use yet
	return ownAnswer{Outcome: unknown(nil), to: t}, ctx.Err() == nil
}

// mostAsked is how often a request is sent again for what it was asked, at most.
const mostAsked = 4

// lateAnswer is a request that was not waited for any more.
type lateAnswer struct {
	told <-chan ownAnswer
	to   locate.Target
}

// linger waits for the answers that came too late for a registration that is given up, as
// long as such a request may be open, and takes back the binding that one of them has made,
// if mine says that it is nobody else's by now.
func (r *registration) linger(inner context.Context, mine func() bool) {
	late := r.late
	r.late = nil
	for _, l := range late {
		select {
		case a := <-l.told:
			if a.Accepted() && mine() {
				r.ask(inner, l.to, 0)
			}
		case <-inner.Done():
			return
		}
	}
}

// contactURI is where we take requests for a user: at the socket that a request was sent
// from, or that Via gives out for it. That it says transport=tls is RFC 3261 of old (§26.2.2
// deprecates it) and what registrars look at.
func contactURI(user, transport, sentBy string) mapping.URI {
	host, port, _ := splitSentBy(sentBy)
	u := hostURI(host, port)
	u.User = user
	switch transport {
	case "UDP":
		return u
	case "WSS":
		u.Transport = "ws" // RFC 7118 §5.2
	default:
		u.Transport = strings.ToLower(transport)
	}
	if transport != "TCP" {
		u.Port = port // whose default is another one
	}
	return u
}

// contactURI is the binding as it was sent to a target.
func (r *registration) contactURI(t locate.Target) mapping.URI {
	sentBy := r.u.streamSentBy(t.Transport)
	if s := r.u.udpFor(t.Addr.Addr()); s != nil && t.Transport == locate.UDP {
		sentBy = s.sentBy
	}
	return contactURI(r.user, viaTransport(t.Transport), sentBy)
}

// leave takes the binding back, if there is one, as well as that can be done until ctx ends.
func (r *registration) leave(ctx context.Context) {
	r.way = *r.newest.Load()
	nat := r.part(isUnbinding)
	r.of.keep(r, nat, nil)
	r.mu.Lock()
	to, until := r.to, r.until
	r.mu.Unlock()
	if !time.Now().Before(until) {
		return
	}
	taken := false
	if may, done, ok := r.of.leaves(ctx); ok {
		a, answered := r.ask(may, to, 0)
		taken = answered && a.Accepted()
		done()
	}
	if !taken {
		r.of.left(r, until)
	}
}

// part enters the state that ends a registration, and gives the flow over UDP that is not to
// be kept open any more.
func (r *registration) part(to registered) (nat *flow) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state, r.since = to, time.Now()
	nat = r.nat
	r.goOver(nil)
	r.nat = nil
	return nat
}

// cameTo says in words what an attempt came to. Of the answer it has the number only.
func cameTo(a *ownAnswer) string {
	var setup *setupError
	switch {
	case a.Kind == mapping.Answered:
		return fmt.Sprintf("answered %d", a.Status)
	case a.Failure != nil && errors.As(a.Failure.Err, &setup):
		return "no connection could be made"
	case a.Kind == mapping.Unknown:
		return "no answer"
	case a.Failure != nil && a.Failure.Condition == mapping.CondResourceConstraint:
		return "not sent: stox is short of something"
	}
	return "could not be reached"
}
