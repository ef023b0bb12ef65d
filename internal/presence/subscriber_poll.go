package presence

import (
	"time"

	"github.com/stoxgw/stox/mapping"
)

// Polls: somebody asks how a contact is whom he does not watch (RFC 8048 §7.1). What comes
// of it is for him alone; that nothing comes tells nothing.
const (
	maxPolls   = 1024
	maxPollsOf = 16              // of one user
	pollEvery  = 5 * time.Second // each takes one of these for so long at least
)

// poll is who asks, and about whom.
type poll struct{ prober, contact mapping.JID }

// ask polls a contact. e.mu is held.
func (e *Engine) ask(out *work, v *mapping.XMPPPresence) {
	w := &e.subscriber
	k := poll{v.From, v.To.Bare()}
	user := v.From.Bare()
	if e.closing || w.polls[k] != nil || len(w.polls) >= maxPolls || w.polled[user] >= maxPollsOf {
		return
	}
	s := &subscription{pair: pair{user, k.contact}, prober: v.From, began: out.now}
	w.polls[k] = s
	w.polled[user]++
	if e.answerPoll(out, v) {
		e.endPoll(out, s)
		return
	}
	e.begin(out, s)
}

// polledNotify takes the answer to a poll: one document. e.mu is held.
func (e *Engine) polledNotify(out *work, s *subscription, v *mapping.SIPNotify) (f *mapping.Failure) {
	if (v.State == mapping.StateActiveSub || v.State == mapping.StateTerminated) && len(v.Body) > 0 && out.policy.tells(s.pair) {
		var document []mapping.Resource
		if document, f = readDocument(v); f == nil {
			for i := range document {
				e.tellOf(out, s, s.prober, &document[i], v.Lang)
			}
		}
	}
	e.drop(out, s)
	return f
}

// endPoll makes room for the next poll, unless s is none. e.mu is held.
func (e *Engine) endPoll(out *work, s *subscription) {
	w := &e.subscriber
	k := poll{s.prober, s.contact}
	if s.prober.IsZero() || w.polls[k] != s {
		return
	}
	free := func(*work) {
		if w.polls[k] == s {
			delete(w.polls, k)
			less(w.polled, s.user)
		}
	}
	e.at(out, &s.timer, s.began.Add(pollEvery), free)
}
