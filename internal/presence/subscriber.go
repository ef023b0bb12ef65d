package presence

import (
	"errors"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// The gateway as subscriber: an XMPP user watches a SIP contact (RFC 8048 §5.2).
//
// A stanza becomes a subscription here; subscriber_dialog.go has its dialogs,
// subscriber_answer.go what is answered to SUBSCRIBE, subscriber_notify.go what comes in
// NOTIFY, subscriber_show.go what the user sees of it.

// subscriber is what the role has for all relations. The engine's mutex guards it.
type subscriber struct {
	began  time.Time                // of this process: who has not been heard of since then was there
	byCall map[string]*subscription // dialogs that there are or may come to be, by Call-ID
	ending map[pair]*subscription   // which a user has ended, who is to be told so
	polls  map[poll]*subscription
	polled map[mapping.JID]int // polls by user
	pace   pace
	rounds map[mapping.JID]*round // by the name of the gateway
	resume timer                  // what an earlier run has left is taken up
	sweep  timer                  // sessions of users who have no relation any more are forgotten
}

func newSubscriber(now time.Time) subscriber {
	return subscriber{began: now, byCall: make(map[string]*subscription), ending: make(map[pair]*subscription),
		polls: make(map[poll]*subscription), polled: make(map[mapping.JID]int), pace: newPace(), rounds: make(map[mapping.JID]*round)}
}

// maxStanzaID is the longest id of a stanza that an error answers: a longer one is left out.
const maxStanzaID = 256

// subscribe takes a user's wish to see a contact. It is for good: he is told that he may
// when a NOTIFY says so, and not before (PRES-02). e.mu is held.
func (e *Engine) subscribe(out *work, v *mapping.XMPPPresence) {
	user, contact := v.From.Bare(), v.To.Bare()
	to, err := out.policy.Rules.SIPAddress(contact)
	if err == nil {
		_, err = out.policy.Rules.SIPIdentity(user, to.Host)
	}
	if err != nil {
		out.sayError(v, out.policy.Rules.FailureToXMPP(asFailure(err)))
		return
	}
	if out.policy.blocked(to) {
		out.sayError(v, mapping.FailBlockedAddress())
		return
	} else if out.policy.ignores(pair{user, contact}) {
		out.sayError(v, mapping.FailBlocked())
		return
	}
	none := !out.policy.asks(to)
	r := e.relations.get(user, contact, false)
	if r == nil && !none && e.makeRoom(out, pair{user, contact}, false) {
		r = e.relations.get(user, contact, false)
	}
	if r == nil {
		if none { // it costs nothing
			out.say(contact, user, mapping.Subscribed)
		} else {
			out.sayError(v, noRoom())
		}
		return
	}
	e.seen(out, user)
	delete(e.subscriber.ending, r.pair) // or the end of the last one would be taken for that of this one
	switch {
	case none: // nothing is known, so nothing is given away
		e.enter(out, r, WatchGranted, WatchPending)
		out.say(contact, user, mapping.Subscribed)
	case r.state&WatchGranted != 0:
		out.say(contact, user, mapping.Subscribed)
		e.tellOrBegin(out, r, user)
	default:
		e.enter(out, r, WatchPending, 0)
		e.watch(out, r)
		if s := r.watch; s != nil && s.remoteTag == "" {
			if s.owed, s.id = true, v.ID; len(s.id) > maxStanzaID {
				s.id = ""
			}
		}
	}
}

// watch has the contact of a relation asked for its presence, unless that is under way. One
// that waits because it has failed goes now, since the user himself asks for it, but not so
// often that it costs more than waiting does. e.mu is held.
func (e *Engine) watch(out *work, r *relation) {
	switch s := r.watch; {
	case e.closing: // the next run does
	case s == nil:
		r.watch = &subscription{relation: r, pair: r.pair}
		e.begin(out, r.watch)
	case s.callID == "" && out.now.Sub(s.began) >= firstRetry:
		e.begin(out, s)
	default:
		e.wanted(out, s)
	}
}

// address is that of the contact in SIP; zero if the rules give it none.
func (r *relation) address(p *Policy) mapping.URI {
	u, err := p.Rules.SIPAddress(r.contact)
	if err != nil {
		return mapping.URI{}
	}
	return u
}

// unsubscribe takes the end of it. He is told that it has ended when SIP has answered
// (PRES-08), and sees nothing of the contact any more from now on. A repeat finds nothing
// (GW-30). e.mu is held.
func (e *Engine) unsubscribe(out *work, v *mapping.XMPPPresence) {
	r := e.relations.find(v.From, v.To)
	if r == nil || r.state&(WatchPending|WatchGranted) == 0 {
		return
	}
	s := r.watch
	if s != nil {
		e.hide(out, s)
	}
	e.enter(out, r, 0, WatchPending|WatchGranted)
	r.watch = nil
	switch {
	case s != nil && s.remoteTag != "":
		s.relation, s.ended = nil, true
		e.subscriber.ending[s.pair] = s
		e.forgetDialog(out, s)
		e.endInTime(out, s)
	case s != nil:
		e.drop(out, s)
		fallthrough
	default:
		out.say(r.contact, r.user, mapping.Unsubscribed)
	}
	e.log.Info("a user does not watch a contact any more", "dir", dirToSIP, "from", r.user, "to", r.contact)
	e.relations.tidy(r)
}

// probe answers the question how a contact is: from what is known, or by asking for it.
// e.mu is held.
func (e *Engine) probe(out *work, v *mapping.XMPPPresence) {
	to, err := out.policy.Rules.SIPAddress(v.To.Bare())
	if err != nil {
		return
	}
	if !out.policy.asks(to) || !out.policy.tells(pair{v.From.Bare(), v.To.Bare()}) {
		out.say(v.To.Bare(), v.From, mapping.Unavailable)
		return
	}
	e.seen(out, v.From)
	switch r := e.relations.find(v.From, v.To); {
	case r == nil || r.state&(WatchPending|WatchGranted) == 0:
		e.ask(out, v)
	case r.state&WatchGranted != 0:
		e.tellOrBegin(out, r, v.From)
	default: // the contact has not decided yet, so nothing is told
		e.watch(out, r)
	}
}

// tellOrBegin tells a user, or a device of his, what is known of a contact whom he may see,
// and has it asked for where nothing is. e.mu is held.
func (e *Engine) tellOrBegin(out *work, r *relation, to mapping.JID) {
	s := r.watch
	switch {
	case s == nil:
		if !out.policy.asks(r.address(out.policy)) {
			out.say(r.contact, to, mapping.Unavailable)
		} else {
			e.watch(out, r)
		}
		return
	case s.known:
		e.tell(out, s, to)
	case s.remoteTag == "" && s.callID == "": // it waits after a failure
		out.say(r.contact, to, mapping.Unavailable)
	}
	e.wanted(out, s)
}

// subscribing is a SUBSCRIBE on its way.
type subscribing struct {
	s  *subscription
	to *destination
}

func (*subscribing) presence() {}

// The directions, as in the logs of messages.
const (
	dirToSIP   = "xmpp-sip"
	dirFromSIP = "sip-xmpp"
)

// asFailure is the Failure in err.
func asFailure(err error) *mapping.Failure {
	var f *mapping.Failure
	if errors.As(err, &f) {
		return f
	}
	return mapping.FailInternal(err)
}

// noRoom is for a subscription that there is no room for.
func noRoom() *mapping.Failure {
	return &mapping.Failure{Status: 503, Condition: mapping.CondResourceConstraint, Type: mapping.TypeWait,
		Text: "The gateway has no room for another subscription."}
}
