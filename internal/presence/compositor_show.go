package presence

import "github.com/stoxgw/stox/mapping"

// What a contact publishes is shown as what comes in NOTIFY is: to those who watch it, and
// only what has changed. Whoever publishes to the gateway lets its users see it.

// view is what a contact publishes: what its user agents say, put together (RFC 3903 §3.3).
// ok is false for a contact that does not publish; one that has nothing published any more is
// closed. e.mu is held.
func (e *Engine) view(contact mapping.JID) (now []mapping.Resource, lang string, ok bool) {
	of := e.compositor.of[contact]
	if of == nil {
		return nil, "", false
	}
	var all []*mapping.Document
	for _, p := range of.publications {
		d, f := readPublished(p.contentType, "", p.body)
		if f != nil {
			continue // it was read when it came
		}
		all = append(all, d)
		if p.lang != "" {
			lang = p.lang
		}
	}
	if len(all) == 0 {
		return []mapping.Resource{{}}, "", true
	}
	return bounded(mapping.ComposePIDF(all...).Resources()), lang, true
}

// showPublished has those who watch a contact see what it publishes now; or, if it does not
// publish any more, has it asked. e.mu is held.
func (e *Engine) showPublished(out *work, contact mapping.JID) {
	if e.closing {
		return
	}
	now, lang, ok := e.view(contact)
	for r := e.relations.first[contact]; r != nil; {
		next := r.next
		switch s := r.watch; {
		case r.state&(WatchPending|WatchGranted) == 0:
		case !out.policy.tells(r.pair):
			if s != nil && s.still {
				e.lapse(out, s)
			}
		case ok:
			if s == nil || !s.still {
				s = e.undialed(out, r)
			}
			e.seePublished(out, s, now, lang)
		case s != nil && s.published:
			s.still, s.published = false, false
			e.retry(out, s)
		}
		r = next
	}
}

// seePublished has the user of s, which has no dialog, see what the contact publishes. It
// needs none as long as it does. e.mu is held.
func (e *Engine) seePublished(out *work, s *subscription, now []mapping.Resource, lang string) {
	s.still, s.published = true, true
	s.owed, s.id = false, ""
	if r := s.relation; r.state&WatchGranted == 0 {
		e.enter(out, r, WatchGranted, WatchPending)
		out.say(r.contact, r.user, mapping.Subscribed)
		e.log.Info("a contact lets a user see it", "dir", dirFromSIP, "from", r.contact, "to", r.user)
	}
	e.show(out, s, now, lang)
}

// undialed puts in the place of the subscription of r one that has no dialog, in which the
// user sees what he has seen before. The dialog is ended. e.mu is held.
func (e *Engine) undialed(out *work, r *relation) *subscription {
	old := r.watch
	s := &subscription{relation: r, pair: r.pair, began: out.now}
	r.watch = s
	if old == nil {
		return s
	}
	s.shown, s.lang, s.known, s.count, s.since = old.shown, old.lang, old.known, old.count, old.since
	if old.later != nil {
		e.timers.stop(&old.later.timer)
	}
	old.shown, old.known, old.later, old.relation = nil, false, nil, nil
	if old.remoteTag == "" {
		e.drop(out, old)
		return s
	}
	old.ended = true
	e.forgetDialog(out, old)
	e.endInTime(out, old)
	return s
}

// publishes has the user of s see what the contact publishes, if it does; then there is no
// dialog to be begun. e.mu is held.
func (e *Engine) publishes(out *work, s *subscription) bool {
	if s.relation == nil {
		return false
	}
	now, lang, ok := e.view(s.contact)
	if ok {
		e.seePublished(out, s, now, lang)
	}
	return ok
}

// answerPoll tells who asks, and does not watch, what a contact publishes, and reports
// whether it does. e.mu is held.
func (e *Engine) answerPoll(out *work, v *mapping.XMPPPresence) bool {
	now, lang, ok := e.view(v.To.Bare())
	s := &subscription{pair: pair{v.From.Bare(), v.To.Bare()}}
	for i := range now {
		e.tellOf(out, s, v.From, &now[i], lang)
	}
	return ok
}
