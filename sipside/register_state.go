package sipside

import (
	"context"
	"time"

	"github.com/stoxgw/stox/mapping"
	"github.com/stoxgw/stox/sipside/locate"
)

// flow is a way to a server that is kept open by what we send, since NAT forgets it else.
type flow struct {
	to    locate.Target
	every time.Duration // at most, between two requests
}

// natFlow is what keeps a binding open over UDP if the server does not say (RFC 5626 §4.4.2).
const natFlow = 29 * time.Second

// granted notes a binding and says when it is to be made again.
func (r *registration) granted(a *ownAnswer, g grant) time.Duration {
	now := time.Now()
	var nat *flow
	if a.stream == nil {
		nat = &flow{to: a.to, every: natFlow}
		if g.flowTimer > 0 {
			nat.every = g.flowTimer
		}
	} else if g.flowTimer > 0 {
		a.stream.timer.Store(int64(g.flowTimer))
	}
	r.mu.Lock()
	was := r.state
	if was != isBound {
		r.since = now
	}
	r.state, r.code, r.why = isBound, a.Status, ""
	r.at, r.until, r.to = now, now.Add(g.expires), a.to
	r.goOver(a.stream)
	before := r.nat
	r.nat, r.lost = nat, false
	if a.stream != nil && a.stream.gone() { // before it could be told that it is ours
		r.goOver(nil)
		r.lost = true
		r.wake()
	}
	r.mu.Unlock()
	if a.stream != nil {
		a.stream.signal() // it may wait for longer than it is to
	}
	r.of.keep(r, before, nat)
	if !r.frail {
		r.paces.worked()
	}
	if was != isBound {
		r.of.bound(r, a, g)
	}
	return refreshAfter(g.expires)
}

// goOver notes the connection that the binding was made over; nil: there is none any more.
// The lock is held.
func (r *registration) goOver(s *stream) {
	if r.flow != nil {
		r.flow.bindings.Add(-1)
	}
	if r.flow = s; s != nil {
		s.bindings.Add(1)
	}
}

// refused notes that somebody has to mend something.
func (r *registration) refused(a *ownAnswer, why string, wait time.Duration) {
	if r.turn(a, why, wasRefused, true) {
		r.of.turned(r, wasRefused, a, why, wait)
	}
}

// missed notes that an attempt came to nothing for now. While the binding that there is
// leads here, nothing has changed.
func (r *registration) missed(a *ownAnswer, why string, wait time.Duration) {
	r.mu.Lock()
	stands := r.leadsHere(time.Now())
	r.mu.Unlock()
	if r.turn(a, why, isLost, !stands) {
		r.of.turned(r, isLost, a, why, wait)
	}
}

// leadsHere reports whether there is a binding, and a way on which it brings something. The
// lock is held.
func (r *registration) leadsHere(now time.Time) bool {
	return r.state == isBound && now.Before(r.until) && (r.flow != nil || r.nat != nil)
}

// turn enters what an attempt came to, and with now the state that it leads to. It reports
// whether that is a new one, of which the log is to be told.
func (r *registration) turn(a *ownAnswer, why string, to registered, now bool) bool {
	nat, turned := r.enter(a, why, to, now)
	if turned && nat != nil {
		r.of.keep(r, nat, nil)
	}
	return turned
}

// enter is turn, up to the flow over UDP that is not to be kept open any more.
func (r *registration) enter(a *ownAnswer, why string, to registered, now bool) (nat *flow, turned bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.why, r.code = why, 0
	if a != nil && a.Kind == mapping.Answered {
		r.code = a.Status
	}
	if !now || r.state == to {
		return nil, false
	}
	r.state, r.since = to, time.Now()
	nat, r.nat = r.nat, nil
	return nat, true
}

// routeHolder is that of a route's registration.
type routeHolder struct{}

func (routeHolder) admit(context.Context, *registration) bool { return true }
func (routeHolder) found([]locate.Target)                     {}

func (routeHolder) leaves(ctx context.Context) (may context.Context, done func(), ok bool) {
	return ctx, func() {}, true
}

func (routeHolder) bound(r *registration, a *ownAnswer, g grant) {
	r.u.log.Info("registered: the SIP server sends us what is for this user", "route", r.route().Domain, "user", r.aor.User,
		"server", a.to.String(), "for", g.expires.String(), "outbound", g.outbound)
}

func (routeHolder) left(r *registration, until time.Time) {
	r.u.log.Warn("the registration of a route was not taken back: until it ends there, requests may be sent here", "route", r.route().Domain, "until", until)
}

func (routeHolder) turned(r *registration, to registered, a *ownAnswer, why string, wait time.Duration) {
	attrs := []any{"route", r.route().Domain, "user", r.aor.User, "reason", why, "retry_in", wait.Round(time.Second).String()}
	if to == wasRefused {
		r.u.log.Warn("the SIP server refuses the registration of a route: it sends us nothing", append(attrs, "remedy", remedyRefused(a))...)
		return
	}
	r.u.log.Warn("a route is not registered: the SIP server sends us nothing until it is", append(attrs, "remedy", remedyMissed(a))...)
}

func (routeHolder) keep(r *registration, before, now *flow) {
	if now != nil {
		r.watch.keep(now)
	} else if before != nil {
		r.watch.flow.CompareAndSwap(before, nil)
	}
}

func remedyMissed(a *ownAnswer) string {
	if a != nil && a.Accepted() {
		return "something on the way changes what is sent, mostly a router that takes care of SIP (ALG): switch that off in it, or use TLS (sip.route.via)"
	}
	return "does the server at sip.route.via run, and is it reached? stox doctor looks"
}

func remedyRefused(a *ownAnswer) string {
	switch {
	case a == nil:
		return "correct sip.route.via, or listen for its transport in sip.listen"
	case a.Status == 404 || a.Status == 604:
		return "does the server know the user? Correct sip.route.username, or sip.route.domain, which is the domain that is registered at"
	case a.Status == 405 || a.Status == 501:
		return "what is at sip.route.via takes no registrations: correct it, or take out sip.route.register"
	case a.Status/100 == 3:
		return "the registrar has moved: the server's log or its provider says where; correct sip.route.via"
	}
	return "correct sip.route.username and sip.route.password; is the account allowed to register from this address?"
}

// flowLost is told of the end of a connection: bindings that were made over it lead nowhere.
func (u *UA) flowLost(s *stream) {
	for _, r := range u.current().registrations {
		r.parted(s)
	}
	if s.dialed.Addr.IsValid() && u.lines.some.Load() {
		u.lines.parted(s)
	}
}

// parted is told of the end of a connection.
func (r *registration) parted(s *stream) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.flow == s {
		r.goOver(nil)
		r.lost = true
		r.wake()
	}
}

// silent is told that the server of a flow over UDP does not answer any more.
func (r *registration) silent(f *flow) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if f != nil && r.nat == f {
		r.nat, r.lost = nil, true
		r.watch.flow.CompareAndSwap(f, nil)
		r.wake()
	}
}

func (r *registration) wake() {
	select {
	case r.woken <- struct{}{}:
	default:
	}
}

// gone reports whether the connection is closed.
func (s *stream) gone() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}
