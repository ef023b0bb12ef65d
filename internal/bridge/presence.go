package bridge

import (
	"maps"

	"github.com/stoxgw/stox/mapping"
)

// The presence of contacts is not the bridge's business: it is handed on to Presences. What
// the bridge keeps in mind of it says whether a contact has to be introduced, and no more.
// The gateway itself is there while it runs, and says so to those who have asked for it
// (GW-22).
//
// Whatever is answered is answered once and with something that nobody answers:
// subscribed, unsubscribed, unavailable and errors are only noted, and available presence
// is answered only to a device, which a gateway has not, and only when it is new.

// Presences keeps the presence of contacts.
type Presences interface {
	// FromXMPP takes presence of users who may use the gateway, in stream order, and the
	// news that a link has come up. What is addressed to the gateway itself is answered by
	// the bridge, and only to be looked at. It does not block.
	FromXMPP(batch []mapping.XMPP)
}

// takePresence takes a presence stanza. b.mu is held.
func (b *Bridge) takePresence(out *work, p *Policy, v *mapping.XMPPPresence) {
	switch {
	case v.From.Local() == "":
		// Not a person. Only a subscription request is owed an answer.
		if v.Type == mapping.Subscribe {
			out.presenceError(v, mapping.FailForbidden())
		}
	case !p.Access.Allows(v.From):
		if v.Type == mapping.Subscribe { // who may not use us learns no more (SEC-13)
			out.presenceError(v, mapping.FailForbidden())
		}
	case v.To.Local() == "":
		b.gatewayPresence(out, v)
		out.presences = append(out.presences, v)
	default:
		b.noteContact(out, p, v)
		out.presences = append(out.presences, v)
	}
}

// gatewayPresence takes presence that is addressed to the gateway itself. b.mu is held.
func (b *Bridge) gatewayPresence(out *work, v *mapping.XMPPPresence) {
	user, name := v.From.Bare(), v.To.DomainJID()
	switch v.Type {
	case mapping.Subscribe:
		b.mark(out, user, name, MarkSubscribed, 0)
		out.presence(name, user, mapping.Subscribed)
		if !b.closing {
			out.presence(name, user, mapping.Available)
			b.welcome(out, user, name, true)
		}
	case mapping.Unsubscribe:
		b.unsubscribe(out, user, name)
	case mapping.Probe:
		// His server asks because he is subscribed, which an earlier run may have forgotten.
		b.mark(out, user, name, MarkSubscribed, 0)
		if !b.closing {
			out.presence(name, v.From, mapping.Available)
		}
	case mapping.Available:
		if !v.From.IsBare() && !b.closing && b.contacts.opened(session{v.From, name}) {
			out.presence(name, v.From, mapping.Available)
		}
	case mapping.Unavailable:
		if b.contacts.closed(session{v.From, name}) {
			out.presence(name, v.From, mapping.Unavailable)
		}
	}
}

// noteContact keeps in mind what a user has said to a contact. b.mu is held.
func (b *Bridge) noteContact(out *work, p *Policy, v *mapping.XMPPPresence) {
	user, contact := v.From.Bare(), v.To.Bare()
	was := b.contacts.marks(user, contact)
	switch v.Type {
	case mapping.Subscribe:
		if _, err := p.Rules.SIPAddress(contact); err == nil {
			b.mark(out, user, contact, MarkSubscribed, MarkDeclined)
		}
	case mapping.Unsubscribe:
		if was&MarkSubscribed != 0 {
			b.mark(out, user, contact, MarkIntroduced, MarkSubscribed) // he knows it, and has had enough of it
		}
	case mapping.Subscribed:
		if was != 0 { // what nobody has asked for gives nothing
			b.mark(out, user, contact, MarkGranted, MarkDeclined)
		}
	case mapping.Unsubscribed:
		if was != 0 {
			b.mark(out, user, contact, MarkDeclined, MarkGranted)
		}
	}
}

// unsubscribe ends the subscription of a user to a name of the gateway, and says so if there
// was one: a contact that is removed is told so in three stanzas, and a client may repeat
// them (GW-30). b.mu is held.
func (b *Bridge) unsubscribe(out *work, user, name mapping.JID) {
	if b.contacts.marks(user, name)&MarkSubscribed != 0 {
		b.mark(out, user, name, 0, MarkSubscribed)
		out.presence(name, user, mapping.Unsubscribed)
	}
}

// Left says that a name of the gateway has taken leave of a user, who is subscribed to it no
// more, nor has to be told when it comes and goes.
func (b *Bridge) Left(user, name mapping.JID) {
	b.Remember(user, name, 0, MarkSubscribed)
}

// presence has a stanza written that nobody waits for.
func (w *work) presence(from, to mapping.JID, typ mapping.PresenceType) {
	w.stanzas = append(w.stanzas, mapping.Parcel[mapping.XMPP]{Value: &mapping.XMPPPresence{From: from, To: to, Type: typ}})
}

// presenceError has v answered with an error.
func (w *work) presenceError(v *mapping.XMPPPresence, f *mapping.Failure) {
	w.stanzas = append(w.stanzas, mapping.Parcel[mapping.XMPP]{
		Value: &mapping.XMPPPresence{From: v.To, To: v.From, ID: v.ID, Type: mapping.PresenceError, Failure: f}})
}

// announceBatch is how many users are told at once that the gateway has come or goes: the
// next ones when the server has taken these, so that nobody else's stanzas wait behind all
// of them.
const announceBatch = 128

// round tells the users who are subscribed to a name of the gateway that it has come, or
// that it goes (GW-08, GW-10).
type round struct {
	name  mapping.JID
	typ   mapping.PresenceType
	users []mapping.JID // who have not been told
	left  int           // stanzas without an outcome
	lost  bool          // the link is gone
}

// announce tells everybody that the gateway is there under that name, whose link has come
// up. What the devices have been told is over: they, or their server, may have been away
// meanwhile, and are answered anew. b.mu is held.
func (b *Bridge) announce(out *work, name mapping.JID) {
	b.contacts.names[name] = struct{}{}
	maps.DeleteFunc(b.contacts.sessions, func(s session, _ struct{}) bool { return s.name == name })
	if !b.closing {
		b.begin(out, name, mapping.Available)
	}
}

// farewell tells everybody that the gateway goes. b.mu is held.
func (b *Bridge) farewell(out *work) {
	for name := range b.contacts.names {
		b.begin(out, name, mapping.Unavailable)
	}
}

// begin begins a round, in the place of one of the same name. Who may not use the gateway
// any more is told nothing (SEC-13). b.mu is held.
func (b *Bridge) begin(out *work, name mapping.JID, typ mapping.PresenceType) {
	r := &round{name: name, typ: typ}
	access := b.policy.Load().Access
	for user, p := range b.contacts.people {
		if p.contacts[name]&MarkSubscribed != 0 && access.Allows(user) {
			r.users = append(r.users, user)
		}
	}
	b.contacts.rounds[name] = r
	b.tellMore(out, r)
}

// tellMore tells the next users of a round, or ends it. b.mu is held.
func (b *Bridge) tellMore(out *work, r *round) {
	if r.lost || len(r.users) == 0 {
		delete(b.contacts.rounds, r.name)
		return
	}
	n := min(len(r.users), announceBatch)
	for _, user := range r.users[:n] {
		out.stanzas = append(out.stanzas, mapping.Parcel[mapping.XMPP]{Ref: r, Value: &mapping.XMPPPresence{From: r.name, To: user, Type: r.typ}})
	}
	r.users, r.left = r.users[n:], n
}

// told takes what became of a stanza of a round. b.mu is held.
func (b *Bridge) told(out *work, r *round, o mapping.Outcome) {
	if o.Kind != mapping.Processed {
		r.lost = true // when the link is back there is another round
	}
	if r.left--; r.left == 0 && b.contacts.rounds[r.name] == r {
		b.tellMore(out, r)
	}
}
