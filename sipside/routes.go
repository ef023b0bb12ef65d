package sipside

import "time"

// RouteState is how a route with a Via does.
type RouteState struct {
	Index  int // in Config.Routes
	Domain string
	Via    string

	// Of its registration. Without Register all of it is zero.
	Register   bool
	Registered bool      // there is a binding, and it leads here
	State      string    // "registered", "lost" (tried again soon), "refused", "ending"; "": not tried yet
	Server     string    // where the binding is
	Until      time.Time // when it ends unless it is made anew; zero: there was none
	Since      time.Time // of State
	LastStatus int       // of the last REGISTER, 0 if it had no answer
	Reason     string    // why there is no binding, or why it was not made anew

	// Of its servers: Probe is what OPTIONS, or the answers to messages, said last.
	Probe       Liveness
	ProbeSince  time.Time
	ProbeReason string
	RTT         time.Duration // of the last OPTIONS that was answered; 0 if messages were, or nothing
}

// Routes tells how the routes with a Via do, in the order of Config.Routes.
func (u *UA) Routes() []RouteState {
	out := []RouteState{}
	set := u.current()
	for i, r := range set.routes {
		w := set.watches[r]
		if w == nil {
			continue
		}
		s := RouteState{Index: i, Domain: r.Domain, Via: r.Via.String()}
		w.mu.Lock()
		s.Probe, s.ProbeSince, s.ProbeReason, s.RTT = w.state, w.since, w.reason, w.rtt
		w.mu.Unlock()
		if g := set.registrations[r]; g != nil {
			g.describe(&s, time.Now())
		}
		out = append(out, s)
	}
	return out
}

func (r *registration) describe(s *RouteState, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s.Register, s.State, s.Since = true, string(r.state), r.since
	s.Registered = r.leadsHere(now)
	s.Until, s.LastStatus, s.Reason = r.until, r.code, r.why
	if s.Registered {
		s.Server = r.to.String()
	}
}
