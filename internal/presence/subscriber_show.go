package presence

import (
	"time"

	"github.com/stoxgw/stox/mapping"
)

// Changes that are shown at once, of one contact to one user: what comes beyond them in
// one interval is shown at its end, and of several the last.
const (
	maxChanges    = 5
	changesWithin = time.Second
)

// later is what is to be shown soon.
type later struct {
	timer timer
	now   []mapping.Resource
	lang  string
}

// show shows the user what a contact shows now. e.mu is held.
func (e *Engine) show(out *work, s *subscription, now []mapping.Resource, lang string) {
	s.known = true
	if s.later != nil {
		s.later.now, s.later.lang = now, lang
		return
	}
	if d := out.now.Sub(s.since); d < 0 || d >= changesWithin {
		s.since, s.count = out.now, 0
	}
	if s.count < maxChanges {
		if e.change(out, s, now, lang) {
			s.count++
		}
		return
	}
	l := &later{now: now, lang: lang}
	s.later = l
	e.at(out, &l.timer, s.since.Add(changesWithin), func(out *work) {
		s.later = nil
		s.since, s.count = out.now, maxChanges // once in an interval, as long as it goes on
		e.change(out, s, l.now, l.lang)
	})
}

// change tells the user what has changed (PRES-21), and reports whether anything has.
// e.mu is held.
func (e *Engine) change(out *work, s *subscription, now []mapping.Resource, lang string) bool {
	c := mapping.CompareResources(s.shown, now)
	for i := range c.Changed {
		e.tellOf(out, s, s.user, &c.Changed[i], lang)
	}
	for i := range c.Gone {
		e.tellOf(out, s, s.user, &c.Gone[i], "")
	}
	s.shown, s.lang = now, lang
	return len(c.Changed)+len(c.Gone) > 0
}

// hurry shows at once what was to be shown soon. e.mu is held.
func (e *Engine) hurry(out *work, s *subscription) {
	if l := s.later; l != nil {
		e.timers.stop(&l.timer)
		s.later = nil
		e.change(out, s, l.now, l.lang)
	}
}

// hide has the contact seen no more, and reports whether it was seen. e.mu is held.
func (e *Engine) hide(out *work, s *subscription) (was bool) {
	if s.later != nil {
		e.timers.stop(&s.later.timer)
		s.later = nil
	}
	for i := range s.shown {
		if r := s.shown[i]; r.Open {
			was = true
			e.tellOf(out, s, s.user, &mapping.Resource{Name: r.Name}, "")
		}
	}
	s.shown, s.lang, s.known = nil, "", false
	return was
}

// tell tells a user, or a device of his, how the contact is. e.mu is held.
func (e *Engine) tell(out *work, s *subscription, to mapping.JID) {
	open := false
	for i := range s.shown {
		if s.shown[i].Open {
			open = true
			e.tellOf(out, s, to, &s.shown[i], s.lang)
		}
	}
	if !open {
		out.say(s.contact, to, mapping.Unavailable)
	}
}

// tellOf tells of one resource of the contact. Once the end has begun nobody is shown any
// more. e.mu is held.
func (e *Engine) tellOf(out *work, s *subscription, to mapping.JID, r *mapping.Resource, lang string) {
	if e.closing {
		return
	}
	from, err := s.contact.WithResource(r.Name)
	if err != nil {
		return // the codec gives none that is not possible
	}
	v := &mapping.XMPPPresence{From: from, To: to, Type: mapping.Unavailable}
	if r.Open {
		v.Type = mapping.Available
	}
	if r.Show != "" || len(r.Status) > 0 || r.HasPriority || !r.Idle.IsZero() || !r.Since.IsZero() {
		v.Shows = r
	}
	if len(r.Status) > 0 {
		v.Lang = lang
	}
	out.stanza(v)
}
