package presence

import (
	"slices"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// Whether a user is there: his subscriptions are refreshed while he is, and only then
// (RFC 8048 §5.2.2, PRES-07). His server tells the contacts that he lets see him, and may be
// asked in their names (PRES-26); of others it only asks when he comes, by a probe, and then
// he is taken to be there for a while.

const (
	thereFor     = 12 * time.Hour      // since he was heard of, unless he was heard to go
	pendingFor   = 14 * 24 * time.Hour // a request is kept up whether he is there or not
	answerWithin = 30 * time.Second    // to a probe
	maxDevices   = 16                  // of one user that are told apart
)

// Dialogs that a user may begin: so many at once, and so many a second after that.
const (
	beginAtOnce = 64
	beginRate   = 4.0
	beginDebt   = maxRelationsOf // at most so many wait for that
)

// session is what is known of a user for whom there is a relation.
type session struct {
	devices []string  // that are there, by resource
	gone    bool      // he was heard to go, and not to come again
	seen    time.Time // when he was heard of last; zero: not since the start

	debt float64   // dialogs that he has begun ...
	paid time.Time // ... of which some are paid for by time
}

// sessionOf is the session of a user, nil if there is no relation of his. e.mu is held.
func (e *Engine) sessionOf(out *work, user mapping.JID) *session {
	rs := &e.relations
	user = user.Bare()
	if rs.of[user] == 0 {
		return nil
	}
	if rs.sessions[user] == nil {
		rs.sessions[user] = &session{}
		if e.subscriber.sweep.index == 0 {
			e.at(out, &e.subscriber.sweep, out.now.Add(sweepEvery), e.forgetSessions)
		}
	}
	return rs.sessions[user]
}

// sweepEvery is how often sessions are looked at whose users have no relation any more. What
// such a user owes is forgotten with it, which is paid for by then.
const sweepEvery = (beginAtOnce + beginDebt) / beginRate * time.Second

// forgetSessions forgets those. e.mu is held.
func (e *Engine) forgetSessions(out *work) {
	rs := &e.relations
	for user, u := range rs.sessions {
		if rs.of[user] == 0 && out.now.Sub(u.paid) >= sweepEvery {
			delete(rs.sessions, user)
		}
	}
	if len(rs.sessions) > 0 {
		e.at(out, &e.subscriber.sweep, out.now.Add(sweepEvery), e.forgetSessions)
	}
}

// seen takes a sign of a user. e.mu is held.
func (e *Engine) seen(out *work, user mapping.JID) {
	if u := e.sessionOf(out, user); u != nil {
		u.seen, u.gone = out.now, false
	}
}

// session takes that a device of a user has come or gone. e.mu is held.
func (e *Engine) session(out *work, v *mapping.XMPPPresence) {
	u := e.sessionOf(out, v.From)
	if u == nil {
		return
	}
	device := v.From.Resource()
	if v.Type == mapping.Unavailable {
		if v.From.IsBare() {
			u.devices = nil
		} else {
			u.devices = slices.DeleteFunc(u.devices, func(d string) bool { return d == device })
		}
		if len(u.devices) == 0 {
			u.gone, u.devices = true, nil
		}
		return
	}
	u.seen, u.gone = out.now, false
	if device != "" && len(u.devices) < maxDevices && !slices.Contains(u.devices, device) {
		u.devices = append(u.devices, device)
	}
	if r := e.relations.find(v.From, v.To); r != nil && r.state&(WatchPending|WatchGranted) != 0 {
		if r.watch != nil {
			e.wanted(out, r.watch)
		} else if out.policy.mode(r.address(out.policy)) != ModeNone {
			e.watch(out, r)
		}
	}
}

// wanted takes that the user of s is there: what has been put off until then is done.
// e.mu is held.
func (e *Engine) wanted(out *work, s *subscription) {
	switch {
	case s.still || e.closing:
	case s.callID == "":
		if s.asking || out.now.Sub(s.began) >= firstRetry {
			e.begin(out, s)
		}
	case s.remoteTag == "" || s.open != nil || s.queued != nil:
	case s.asking || s.sent.IsZero(): // or it was restored, and nothing is known
		s.asking, s.lapsing = false, false
		e.at(out, &s.timer, s.expires, func(out *work) { e.expired(out, s) })
		e.enqueue(out, s)
	case s.lapsing:
		s.lapsing = false
		e.plan(out, s)
	}
}

// there is what is known of a user.
type there int

const (
	isAway  there = iota
	isThere       // or is taken to be
	isAsked       // and will have answered within answerWithin; see subscription.asking
)

// presence tells whether the user of s is there, so that it is worth while to go on. e.mu is
// held.
func (e *Engine) presence(out *work, s *subscription) there {
	r := s.relation
	if r == nil || e.closing {
		return isThere
	}
	if !out.policy.Access.Allows(r.user) || out.policy.mode(r.address(out.policy)) == ModeNone {
		return isAway
	}
	if r.state&WatchGranted == 0 && out.now.Sub(r.since) < pendingFor {
		return isThere
	}
	var u session
	if known := e.relations.sessions[r.user]; known != nil {
		u = *known
	}
	if u.seen.IsZero() {
		u.seen = e.subscriber.began
	}
	switch {
	case len(u.devices) > 0:
		return isThere
	case r.state&WatcherGranted != 0 && !s.asking:
		s.asking = true
		out.say(r.contact, r.user, mapping.Probe)
		return isAsked
	case u.gone || out.now.Sub(u.seen) >= thereFor:
		return isAway
	}
	return isThere
}

// turn tells how long a user has to wait until he may begin another dialog. e.mu is held.
func (e *Engine) turn(out *work, user mapping.JID) time.Duration {
	u := e.sessionOf(out, user)
	if u == nil {
		return 0 // polls have a limit of their own
	}
	u.debt = max(0, u.debt-out.now.Sub(u.paid).Seconds()*beginRate)
	u.paid = out.now
	if u.debt < beginAtOnce+beginDebt {
		u.debt++
	}
	return time.Duration(max(0, u.debt-beginAtOnce) / beginRate * float64(time.Second))
}
