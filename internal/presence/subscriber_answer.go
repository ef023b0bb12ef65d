package presence

import (
	"slices"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// What a final answer to SUBSCRIBE says, beyond that it failed.
var (
	// The contact does not want to be seen, for good (RFC 8048 §5.2.2).
	refusals = []int{403, 489, 603}
	// There is no such contact (RFC 3922 §6.1).
	unknowns = []int{404, 410, 484, 485, 604}
	// There is no dialog any more (RFC 6665 §4.1.2.2).
	endings = []int{404, 405, 410, 416, 480, 481, 482, 483, 484, 485, 489, 501, 604}
)

// subscribed takes what became of a SUBSCRIBE. e.mu is held.
func (e *Engine) subscribed(out *work, ref *subscribing, o mapping.Outcome) {
	if ref.to == nil {
		return // there is one outcome, and it was told
	}
	to := ref.to
	ref.to = nil
	defer e.release(out, to, ref.s.user)
	s := ref.s
	if s.open != ref {
		return // something else has ended it meanwhile
	}
	s.open = nil
	if o.CSeq > s.cseq {
		s.cseq = o.CSeq
		if s.remoteTag != "" {
			e.reserve(out, s)
		}
	}
	ok := o.Accepted()
	if !ok {
		e.tally.Failed++
		e.log.Debug("a subscription was not accepted", "dir", dirToSIP, "from", s.user, "to", s.contact,
			"call_id", s.callID, "status", o.Status, "err", failureOf(o))
	}
	switch {
	case s.ended:
		e.endAnswered(out, s)
	case !s.prober.IsZero():
		if !ok {
			e.drop(out, s) // it gives nothing
		}
	case ok:
		e.accepted(out, s, o.Event)
	case o.Status == 423 && o.Event != nil && o.Event.MinExpires > s.asked && o.Event.MinExpires <= longest && !s.brief:
		s.asked, s.brief = o.Event.MinExpires, true
		e.enqueue(out, s)
	case s.remoteTag == "":
		e.fail(out, s, statusOfAnswer(o), failureOf(o))
	default:
		e.unrefreshed(out, s, o)
	}
}

// accepted takes a 2xx. It says no more than how long it holds: whether the user may see
// the contact is for NOTIFY to say (PRES-02). e.mu is held.
func (e *Engine) accepted(out *work, s *subscription, a *mapping.EventAnswer) {
	s.answered = 0
	if a != nil && a.Expires > 0 {
		s.answered = a.Expires
	}
	if s.remoteTag == "" {
		return // timer N runs
	}
	s.brief = false
	if out.now.Sub(s.began) >= firstRetry {
		s.fails = 0
	}
	if s.answered > 0 {
		e.valid(out, s, s.answered)
	} else {
		e.valid(out, s, s.asked)
	}
	e.plan(out, s)
}

// endAnswered takes the answer to a SUBSCRIBE that ends a dialog, or to one that was on its
// way when the user has ended it. e.mu is held.
func (e *Engine) endAnswered(out *work, s *subscription) {
	if s.asked != 0 {
		s.asked = 0 // that was a refresh
		e.enqueue(out, s)
		return
	}
	if e.subscriber.ending[s.pair] == s {
		out.say(s.contact, s.user, mapping.Unsubscribed)
		delete(e.subscriber.ending, s.pair)
	}
	// The last NOTIFY may be on its way.
	e.at(out, &s.timer, out.now.Add(timerN), func(out *work) { e.ended(out, s) })
}

// unrefreshed takes that a dialog was not refreshed. It may hold all the same, until its
// time has run out. e.mu is held.
func (e *Engine) unrefreshed(out *work, s *subscription, o mapping.Outcome) {
	switch status := statusOfAnswer(o); {
	case slices.Contains(refusals, status):
		e.refused(out, s)
	case slices.Contains(endings, status):
		e.soon(out, s)
	default:
		after := min(retryAfter(o.Failure), longestRetry)
		when := out.now.Add(max(after, refreshAfter+jitter(refreshAfter)))
		if when.Add(timerN).After(s.expires) { // there is no time for an answer
			e.at(out, &s.timer, s.expires, func(out *work) { e.expired(out, s) })
			return
		}
		e.at(out, &s.timer, when, func(out *work) { e.due(out, s) })
	}
}

// fail takes that there is no dialog, and why; status is that of the answer, 0 if there was
// none. The user is told once, if he has asked for it and it was never granted; and it is
// tried again. e.mu is held.
func (e *Engine) fail(out *work, s *subscription, status int, f *mapping.Failure) {
	granted := s.relation.state&WatchGranted != 0
	switch {
	case slices.Contains(refusals, status):
		e.refused(out, s)
		return
	case granted: // he has it for good: that the contact is not to be found may pass
	case slices.Contains(unknowns, status):
		e.sayFailure(out, s, f)
		e.enter(out, s.relation, 0, WatchPending)
		e.drop(out, s)
		return
	case s.owed:
		e.sayFailure(out, s, f)
	}
	e.later(out, s, f.RetryAfter)
}

// sayFailure answers the stanza by which the user had asked. e.mu is held.
func (e *Engine) sayFailure(out *work, s *subscription, f *mapping.Failure) {
	s.owed = false
	out.stanza(&mapping.XMPPPresence{From: s.contact, To: s.user, ID: s.id, Type: mapping.PresenceError,
		Failure: out.policy.Rules.FailureToXMPP(f)})
}

// refused takes that the contact does not want to be seen, or not any more (PRES-05,
// PRES-06). The user sees it go before he hears that (RFC 6121 §3.2.2). e.mu is held.
func (e *Engine) refused(out *work, s *subscription) {
	r := s.relation
	granted := r.state&WatchGranted != 0
	saw := e.hide(out, s)
	e.enter(out, r, 0, WatchPending|WatchGranted)
	out.say(r.contact, r.user, mapping.Unsubscribed)
	if granted && !saw {
		out.say(r.contact, r.user, mapping.Unavailable)
	}
	e.log.Info("a contact does not let a user see it", "dir", dirFromSIP, "from", r.contact, "to", r.user)
	e.drop(out, s)
}

// statusOfAnswer is that of the answer, 0 if there was none. It is not the one of the
// Failure, which has another one for what may not be passed on.
func statusOfAnswer(o mapping.Outcome) int {
	if o.Kind != mapping.Answered {
		return 0
	}
	return o.Status
}

// failureOf is what an outcome that is no 2xx says.
func failureOf(o mapping.Outcome) *mapping.Failure {
	switch {
	case o.Failure != nil:
		return o.Failure
	case o.Kind == mapping.NotWritten:
		return mapping.FailUnreachable()
	}
	return noAnswer()
}

// noAnswer is for a contact that does not answer, or not with a NOTIFY.
func noAnswer() *mapping.Failure {
	f := mapping.FailTimeout()
	f.Text = "No answer came in time."
	return f
}

func retryAfter(f *mapping.Failure) time.Duration {
	if f == nil {
		return 0
	}
	return f.RetryAfter
}
