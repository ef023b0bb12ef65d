package sipside

import (
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
		a.stream.signal() // it may wait for longer than that
	}
	r.mu.Lock()
	was := r.state
	if was != isBound {
		r.since = now
	}
	r.state, r.code, r.why = isBound, a.Status, ""
	r.at, r.until, r.to, r.flow = now, now.Add(g.expires), a.to, a.stream
	before := r.nat
	r.nat, r.lost = nat, false
	if a.stream != nil && a.stream.gone() { // before it could be told that it is ours
		r.flow, r.lost = nil, true
		r.wake()
	}
	r.mu.Unlock()
	if nat == nil {
		r.watch.flow.CompareAndSwap(before, nil)
	} else {
		r.watch.keep(nat)
	}
	if !r.frail {
		r.paces.worked()
	}
	if was != isBound {
		r.u.log.Info("registered: the SIP server sends us what is for this user", "route", r.route().Domain, "user", r.aor.User,
			"server", a.to.String(), "for", g.expires.String(), "outbound", g.outbound)
	}
	return refreshAfter(g.expires)
}

// refused notes that somebody has to mend something.
func (r *registration) refused(a *ownAnswer, why string, wait time.Duration) {
	if r.turn(a, why, wasRefused, true) {
		r.u.log.Warn("the SIP server refuses the registration of a route: it sends us nothing", "route", r.route().Domain, "user", r.aor.User,
			"reason", why, "retry_in", wait.Round(time.Second).String(), "remedy", remedyRefused(a))
	}
}

// missed notes that an attempt came to nothing for now. While the binding that there is
// leads here, nothing has changed.
func (r *registration) missed(a *ownAnswer, why string, wait time.Duration) {
	r.mu.Lock()
	stands := r.leadsHere(time.Now())
	r.mu.Unlock()
	if r.turn(a, why, isLost, !stands) {
		r.u.log.Warn("a route is not registered: the SIP server sends us nothing until it is", "route", r.route().Domain, "user", r.aor.User,
			"reason", why, "retry_in", wait.Round(time.Second).String(), "remedy", remedyMissed(a))
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
	r.mu.Lock()
	defer r.mu.Unlock()
	r.why, r.code = why, 0
	if a != nil && a.Kind == mapping.Answered {
		r.code = a.Status
	}
	if !now || r.state == to {
		return false
	}
	r.state, r.since = to, time.Now()
	r.watch.flow.CompareAndSwap(r.nat, nil)
	return true
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
		r.mu.Lock()
		if r.flow == s {
			r.flow, r.lost = nil, true
			r.wake()
		}
		r.mu.Unlock()
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
