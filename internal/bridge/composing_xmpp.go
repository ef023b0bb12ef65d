package bridge

import (
	"slices"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// What XMPP says of who is typing becomes a MESSAGE request (IM-50), to those contacts who
// are to be told (sip.composing) and whose user agents have not refused it: after a 415
// nothing more is said (RFC 3994 §4, IM-53), until the contact is seen typing, or for a day.
//
// RFC 3428 §8 wants one MESSAGE pending at a time to one destination. So it is said only
// while nothing waits for the destination and nothing is under way to it, and one at a
// time; otherwise it is not said at all (IM-54). But a text does not wait for it: it leaves
// at once, beside it. To keep to the letter it would have to wait for the answer of a phone
// that may have gone, up to 32 seconds, for the sake of something that is over with that
// text; and two requests at a time, one of them of 300 bytes, are no congestion. So that
// there cannot be more, it has no slot of the lane, and none of those of all lanes: what is
// said of typing has few of its own, and none while half of the others are taken.

const (
	// refreshAfter is for how long a contact sees a user typing of whom no more is said
	// (RFC 3994 §3.3): nothing is said of it, so it is the default.
	refreshAfter = 120 * time.Second
	// quietFor is how long a contact is not told again to whom it could not be told: who
	// does not answer would be asked eleven times for each word.
	quietFor = time.Minute

	maxSaying = 256 // requests under way; a quarter of it for one domain, if there are others
)

// saying is one request that says whether a user is typing.
type saying struct {
	pair
	active  bool
	lane    string // of the destination
	request *mapping.SIPMessage
}

// readState translates a chat state; nil if nothing is to be said.
func (b *Bridge) readState(out *work, p *Policy, v *mapping.XMPPState) *saying {
	if p.Composing == ComposingNever || !p.Access.Allows(v.From) {
		return nil
	}
	v.Device = b.talks.device(v.From, v.To, out.now)
	parts, err := translate(b.log, p.Rules.ToSIP, mapping.XMPP(v))
	if err != nil || len(parts) != 1 {
		return nil
	}
	m, ok := parts[0].(*mapping.SIPMessage)
	if !ok || p.blocks(v.From, m.RequestURI) {
		return nil
	}
	return &saying{pair: pair{v.From.Bare(), v.To.Bare()}, active: v.State == mapping.StateComposing, lane: m.RequestURI.AOR(), request: m}
}

// withoutStates takes out of states what was said by the author of a text before it.
func withoutStates(states []*saying, o *outbound) []*saying {
	if len(states) == 0 {
		return states
	}
	k := pair{o.sender, o.to.Bare()}
	return slices.DeleteFunc(states, func(s *saying) bool { return s.pair == k })
}

// wroteText is told that a text has been taken: its author has stopped typing, which need
// not be said (RFC 3994 §3.2). b.mu is held.
func (b *Bridge) wroteText(o *outbound) {
	if len(b.composing.told.byPair) == 0 {
		return
	}
	t := b.composing.told.byPair[pair{o.sender, o.to.Bare()}]
	if t == nil {
		return
	}
	t.active, t.overtaken, t.next = false, true, nil
}

// takeSaying says what is news. b.mu is held.
func (b *Bridge) takeSaying(out *work, p *Policy, s *saying) {
	t := b.composing.told.byPair[s.pair]
	switch {
	case t != nil && t.open != nil:
		// The last word counts, and only if it is another one than that under way.
		t.next = nil
		if s.active != (t.open.active && !t.overtaken) {
			t.next = s
		}
	case s.active != t.seen(out.now):
		b.say(out, p, t, s)
	}
}

// seen reports whether the contact sees the user typing.
func (t *typist) seen(now time.Time) bool { return t != nil && t.active && now.Before(t.sees) }

// say hands a request to the SIP side, if it may be said now. t is what the contact knows,
// nil for nothing. b.mu is held.
func (b *Bridge) say(out *work, p *Policy, t *typist, s *saying) {
	c := &b.composing
	if b.closing || b.lanes.byKey[s.lane] != nil || !b.maySay(p, s.pair, out.now) || !b.roomToSay(s.user.Domain()) {
		return
	}
	if t == nil {
		b.forgetTold(out)
		if t = c.told.add(s.pair, out.now); t == nil {
			return
		}
	}
	if out.now.Before(t.quiet) {
		return
	}
	t.open, t.overtaken = s, false
	t.sees = out.now.Add(refreshAfter)
	c.told.move(t, t.sees)
	c.open++
	c.openOf[s.user.Domain()]++
	b.ids.fill(s.request)
	b.stats.TypingToSIP++
	out.requests = append(out.requests, mapping.Parcel[mapping.SIP]{Ref: t, Value: s.request})
}

// maySay reports whether a contact is told of a user at all.
func (b *Bridge) maySay(p *Policy, k pair, now time.Time) bool {
	switch p.Composing {
	case ComposingNever:
		return false
	case ComposingAlways:
	default:
		if !b.composing.heard.has(b.pairs.of(k), now) {
			return false
		}
	}
	return b.formats.takesComposing(k.contact, now)
}

// roomToSay reports whether one more request may be under way.
func (b *Bridge) roomToSay(domain string) bool {
	most := maxSaying
	if !b.lanes.limits.Alone {
		most /= 4
	}
	return b.composing.open < maxSaying && b.composing.openOf[domain] < most && b.lanes.held.open < max(b.lanes.limits.Open/2, 1)
}

// forgetTold forgets what contacts do not see any more. b.mu is held.
func (b *Bridge) forgetTold(out *work) {
	ts := &b.composing.told
	for {
		t, _ := ts.due(out.now)
		switch {
		case t == nil:
			return
		case t.open != nil: // the SIP side takes its time
			ts.move(t, out.now.Add(refreshAfter))
		default:
			ts.remove(t)
		}
	}
}

// said takes what became of a request. b.mu is held.
func (b *Bridge) said(out *work, p *Policy, t *typist, res mapping.Outcome) {
	s, next := t.open, t.next
	t.open, t.next = nil, nil
	b.composing.open--
	domain := s.user.Domain()
	if b.composing.openOf[domain]--; b.composing.openOf[domain] == 0 {
		delete(b.composing.openOf, domain)
	}
	switch {
	case res.Kind == mapping.Answered && res.Status/100 == 2:
		t.active = s.active && !t.overtaken
	case res.Kind == mapping.Answered && (res.Status == 415 || res.Status == 488):
		b.formats.refusesComposing(s.contact, out.now)
		b.composing.told.remove(t)
		return
	default:
		// Whether it got there nobody knows: a user who has stopped is not seen typing for
		// longer than if nothing had been said.
		t.active, t.quiet = false, out.now.Add(quietFor)
	}
	if next != nil && next.active != t.seen(out.now) {
		b.say(out, p, t, next)
	}
	if t.open == nil && !t.active && !out.now.Before(t.quiet) {
		b.composing.told.remove(t)
	}
}

// refusesComposing remembers that contact's user agent does not understand that somebody is
// typing.
func (f *formats) refusesComposing(contact mapping.JID, now time.Time) {
	f.noteComposing(contact, -1, now)
}

// saysComposing remembers that it does: it has said so itself.
func (f *formats) saysComposing(contact mapping.JID, now time.Time) {
	if !f.takesComposing(contact, now) { // otherwise that is assumed anyway
		f.noteComposing(contact, 0, now)
	}
}

func (f *formats) noteComposing(contact mapping.JID, is known, now time.Time) {
	contact = contact.Bare()
	f.mu.Lock()
	defer f.mu.Unlock()
	k := f.get(contact, now)
	k.composing = belief{is, now}
	f.put(contact, k, now)
}

// takesComposing reports whether contact has not refused to be told that somebody is typing.
func (f *formats) takesComposing(contact mapping.JID, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.get(contact.Bare(), now).composing.is >= 0
}
