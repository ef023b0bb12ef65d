package presence

import (
	"time"

	"github.com/stoxgw/stox/mapping"
)

// So many contacts are shown at once when a link has come up, or when the gateway goes: the
// stanzas of others are not to wait behind all of them.
const (
	roundBatch = 128
	roundEvery = 100 * time.Millisecond
)

// round shows contacts to those who watch them.
type round struct {
	left  []*subscription
	timer timer
	tell  func(out *work, s *subscription)
}

// subscriberLinkUp has the contacts of a component name shown again. e.mu is held.
func (e *Engine) subscriberLinkUp(out *work, name mapping.JID) {
	if e.closing {
		return
	}
	for user, u := range e.relations.sessions {
		if len(u.devices) > 0 { // which of them are left is not known
			e.relations.sessions[user].devices, u.seen = nil, out.now
		}
	}
	e.round(out, name, func(s *subscription) bool { return s.known && s.contact.DomainJID() == name.DomainJID() },
		func(out *work, s *subscription) { e.tell(out, s, s.user) })
}

// subscriberFarewell has nobody shown any more, and no more asked for. e.mu is held.
func (e *Engine) subscriberFarewell(out *work) {
	for name, r := range e.subscriber.rounds {
		e.timers.stop(&r.timer)
		delete(e.subscriber.rounds, name)
	}
	for _, r := range e.relations.all {
		if r.watch != nil {
			e.dequeue(r.watch)
		}
	}
	for _, s := range e.subscriber.polls {
		e.drop(out, s)
	}
	e.round(out, mapping.JID{}, func(s *subscription) bool { return anyOpen(s.shown) }, func(out *work, s *subscription) {
		for _, r := range s.shown {
			if from, err := s.contact.WithResource(r.Name); r.Open && err == nil {
				out.say(from, s.user, mapping.Unavailable)
			}
		}
		s.shown = nil
	})
}

// round begins a round, in the place of one of the same name. e.mu is held.
func (e *Engine) round(out *work, name mapping.JID, which func(*subscription) bool, tell func(*work, *subscription)) {
	r := e.subscriber.rounds[name]
	if r == nil {
		r = &round{}
		e.subscriber.rounds[name] = r
	}
	r.left, r.tell = nil, tell
	for _, relation := range e.relations.all {
		if s := relation.watch; s != nil && which(s) {
			r.left = append(r.left, s)
		}
	}
	e.goRound(out, name, r)
}

// goRound takes the next ones of a round, or ends it. e.mu is held.
func (e *Engine) goRound(out *work, name mapping.JID, r *round) {
	n := min(len(r.left), roundBatch)
	for _, s := range r.left[:n] {
		if s.relation != nil && s.known && (e.closing || out.policy.tells(s.pair)) {
			r.tell(out, s)
		}
	}
	if r.left = r.left[n:]; len(r.left) == 0 {
		e.timers.stop(&r.timer)
		delete(e.subscriber.rounds, name)
		return
	}
	e.at(out, &r.timer, out.now.Add(roundEvery), func(out *work) { e.goRound(out, name, r) })
}

// anyOpen reports whether anything of it is there.
func anyOpen(all []mapping.Resource) bool {
	for i := range all {
		if all[i].Open {
			return true
		}
	}
	return false
}
