package bridge

import (
	"crypto/rand"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// In which form a contact takes messages is learned: every user agent has to take
// text/plain (RFC 3428 §7), and that is what is sent unless a message says more than
// that can carry, such as a subject in another language than the text, or that its sender
// wants to be notified. A message/cpim
// says it all, and is sent to those who are known to take it: they have sent one, have
// said so in an answer to OPTIONS or in a 415, or have taken one before. Whoever is not
// known is asked, for the next time, and whoever answers 415 gets the message in the
// other form, once (RFC 3862, RFC 3261 §21.4.13).
//
// Besides, there are user agents that take a request with a Call-ID they have seen for a
// repeat: they answer 200 and show nothing. They are known by the name that they give
// themselves in what they send and answer, or, since not every one has a name, by their
// delivery notifications: one that does not come in a message/cpim names its message by
// the Call-ID (RFC 5438 §6.3 knows ids of message/cpim only). Every message to them has a
// Call-ID of its own, whatever its thread.
//
// A contact stands for all devices of its address of record: the one that refuses
// decides.
//
// A telephone number gets text/plain and is not asked. Behind it is a telephone, or a
// trunk that relays to one: SMS has nothing but text, and there are trunks to which a
// request of another type does harm, in that they refuse what comes after it, too.

const (
	formatsFor = 24 * time.Hour // what was learned is believed for so long
	maxFormats = 1 << 15        // contacts, in each of two generations
	maxQueries = 64             // OPTIONS requests that are open
	typeCPIM   = "message/cpim"
	typePlain  = "text/plain"
	typeIMDN   = "message/imdn+xml"
)

// known is what has been learned about one form: nothing, yes, or no.
type known int8

func yes(b bool) known {
	if b {
		return 1
	}
	return -1
}

// belief is what is known about a form, and since when. The zero value is nothing.
type belief struct {
	is    known
	since time.Time
}

// format is what is known of a contact.
type format struct {
	plain, cpim belief
	ownCallID   belief    // it takes a second request with the same Call-ID for a repeat
	notifies    belief    // it sends notifications
	composing   belief    // no: it does not understand that somebody is typing
	asked       time.Time // when it was asked last
}

// formats is what is known of all contacts. It is safe for concurrent use.
type formats struct {
	// owners grows whenever a contact begins to need own Call-IDs: what was taken before may
	// not have one.
	owners atomic.Uint64

	mu         sync.Mutex // guards the following
	young, old map[mapping.JID]format
	turned     time.Time
	queries    int // open ones
}

// query is the Ref of an OPTIONS request.
type query struct{ contact mapping.JID }

func newFormats() *formats { return &formats{young: make(map[mapping.JID]format)} }

// shape gives the requests of o the form in which they leave, by what is known of the
// contact's user agent, and asks that if it has to be known.
func (b *Bridge) shape(out *work, p *Policy, o *outbound, takes format) {
	contact, m := o.to.Bare(), o.message()
	if m.RequestURI.Phone {
		return
	}
	more := m.Subjects != nil || o.messageID != ""
	if more && takes.cpim.is == 0 && (m.Subjects != nil || p.IMDN != IMDNAlways) && b.formats.ask(contact, out.now) {
		itself := p.Rules.Itself()
		q := &mapping.SIPQuery{RequestURI: m.RequestURI, To: m.To, From: itself, CallID: rand.Text()}
		q.FromTag, q.CSeq = b.ids.tag()
		out.requests = append(out.requests, mapping.Parcel[mapping.SIP]{Ref: &query{contact}, Value: q})
	}
	always := o.messageID != "" && p.IMDN == IMDNAlways && takes.cpim.is == 0
	if always || takes.cpim.is > 0 && (more || takes.plain.is < 0) {
		o.wrap()
	}
}

// wrap makes a message/cpim of each request. The last one asks for the notifications that
// are to be asked for.
func (o *outbound) wrap() {
	for i, part := range o.parts {
		m := part.(*mapping.SIPMessage)
		var ask []mapping.CPIMHeader
		if i == len(o.parts)-1 {
			ask = o.request(m)
		}
		o.parts[i] = m.Wrap(ask...)
	}
}

// unwrap takes the content out of each message/cpim; false if there is none.
func unwrap(parts []mapping.SIP) bool {
	plain := make([]mapping.SIP, len(parts))
	for i, part := range parts {
		m, ok := part.(*mapping.SIPMessage).Unwrap()
		if !ok {
			return false
		}
		plain[i] = m
	}
	copy(parts, plain)
	return true
}

// otherForm gives what is left of o its other form, once, if the one it has was refused
// (415) or is too long to be sent, and the other may do. A request of which a copy may
// have arrived stays as it is.
func (o *outbound) otherForm(out mapping.Outcome) bool {
	if o.reshaped || !o.changeable(out) {
		return false
	}
	cpim := o.message().ContentType == typeCPIM
	switch {
	case cpim && (tooLong(out) || notThis(out)):
		o.reshaped = unwrap(o.parts)
	case out.Kind != mapping.Answered || out.Status != 415:
	case cpim:
		o.reshaped = (out.Accept == "" || mapping.Accepts(out.Accept, typePlain)) && unwrap(o.parts)
	case o.message().RequestURI.Phone: // whatever it says that it takes
	case !mapping.Accepts(out.Accept, typePlain) && mapping.Accepts(out.Accept, typeCPIM):
		o.wrap()
		o.reshaped = true
	}
	return o.reshaped
}

// notThis reports whether an answer to a message/cpim may be about its form, besides 415: so
// Linphone answers with 488 one whose From is not, to the letter, that of the request, and
// others have 400 for what they cannot read, or 406 or 606.
func notThis(out mapping.Outcome) bool {
	if out.Kind != mapping.Answered {
		return false
	}
	switch out.Status {
	case 400, 406, 488, 606:
		return true
	}
	return false
}

// renew gives what waits in memory in l behind answered, whose destination has seen the
// Call-ID of that, Call-IDs of their own. A request of which a copy may have arrived stays
// as it is.
func (b *Bridge) renew(out *work, l *lane, answered *outbound) {
	seen := map[string]bool{answered.callID(): true}
	b.renewParts(answered, 1, seen, out.now)
	for _, f := range l.fifos {
		for _, e := range f.queue {
			if o := e.o; o != nil && o.ambiguous == 0 && !o.restart && b.renewParts(o, 0, seen, out.now) {
				b.update(out, o)
			}
		}
	}
}

// renewAll gives all requests of o, which waited in the store or has just come, other
// Call-IDs: what it had may have been seen since.
func (b *Bridge) renewAll(o *outbound, now time.Time) {
	seen := make(map[string]bool)
	for _, part := range o.parts {
		seen[part.(*mapping.SIPMessage).CallID] = true
	}
	b.renewParts(o, 0, seen, now)
}

// renewParts gives the requests of o, but for the first few, Call-IDs that are not among
// those seen, and adds them. It reports whether it had to.
func (b *Bridge) renewParts(o *outbound, first int, seen map[string]bool, now time.Time) (changed bool) {
	for i := first; i < len(o.parts); i++ {
		m := o.parts[i].(*mapping.SIPMessage)
		if seen[m.CallID] {
			copied := *m // the SIP side may still read the one that it was given
			copied.CallID = b.talks.another(o.from, o.to, m.CallID, now)
			o.parts[i], m, changed = &copied, &copied, true
		}
		seen[m.CallID] = true
	}
	return changed
}

// known is what is known of contact.
func (f *formats) known(contact mapping.JID, now time.Time) format {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.get(contact.Bare(), now)
}

// ask reports whether contact, of whom it is not known whether it takes a message/cpim, is to
// be asked now.
func (f *formats) ask(contact mapping.JID, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	is := f.get(contact, now)
	if is.cpim.is != 0 || now.Sub(is.asked) < formatsFor || f.queries >= maxQueries || !memorable(contact) {
		return false
	}
	f.queries++
	is.asked = now
	f.put(contact, is, now)
	return true
}

// learn takes what a final answer to a request says about the contact's user agent.
func (f *formats) learn(contact mapping.JID, m *mapping.SIPMessage, o mapping.Outcome, now time.Time) {
	cpim := m.ContentType == typeCPIM
	switch {
	case o.Kind != mapping.Answered:
	case o.Status/100 == 2 && cpim:
		f.note(contact, 0, 1, now)
	case o.Status == 415 && o.Accept != "":
		f.noteAccept(contact, o.Accept, now)
	case (o.Status == 415 || notThis(o)) && cpim:
		f.note(contact, 0, -1, now)
	}
	if needsOwnCallID(o.Agent) {
		f.noteOwnCallID(contact, now)
	}
}

// needsOwnCallID reports whether a user agent of this name takes a second request with
// the same Call-ID for a repeat. Seen in Linphone 5.1; belle-sip is what it is made with,
// as are others.
func needsOwnCallID(agent string) bool {
	for i := range len(agent) { // of every request and answer: no copy
		name := ""
		switch agent[i] | 0x20 {
		case 'l':
			name = "linphone"
		case 'b':
			name = "belle-sip"
		default:
			continue
		}
		if len(agent)-i >= len(name) && strings.EqualFold(agent[i:i+len(name)], name) {
			return true
		}
	}
	return false
}

// ownCallID reports whether contact needs a Call-ID of its own for each message.
func (f *formats) ownCallID(contact mapping.JID, now time.Time) bool {
	return f.owners.Load() > 0 && f.known(contact, now).ownCallID.is > 0
}

// noteOwnCallID remembers that it does.
func (f *formats) noteOwnCallID(contact mapping.JID, now time.Time) {
	contact = contact.Bare()
	f.mu.Lock()
	defer f.mu.Unlock()
	is := f.get(contact, now)
	if is.ownCallID.is == 0 {
		f.owners.Add(1)
	}
	is.ownCallID = belief{1, now}
	f.put(contact, is, now)
}

// noteNotifies remembers that contact sends notifications.
func (f *formats) noteNotifies(contact mapping.JID, now time.Time) {
	contact = contact.Bare()
	f.mu.Lock()
	defer f.mu.Unlock()
	is := f.get(contact, now)
	is.notifies = belief{1, now}
	f.put(contact, is, now)
}

// notifies reports whether contact is known to send notifications.
func (f *formats) notifies(contact mapping.JID, now time.Time) bool {
	return f.known(contact, now).notifies.is > 0
}

// answered takes the answer to a query. One without Accept says nothing about messages
// (RFC 3261 §11.2).
func (f *formats) answered(q *query, o mapping.Outcome, now time.Time) {
	f.mu.Lock()
	f.queries--
	f.mu.Unlock()
	if o.Kind == mapping.Answered && o.Status/100 == 2 && o.Accept != "" {
		f.noteAccept(q.contact, o.Accept, now)
	}
}

// wrote takes a message that contact has sent: a type that it sends it can read.
func (f *formats) wrote(contact mapping.JID, m *mapping.SIPMessage, now time.Time) {
	if needsOwnCallID(m.Agent) {
		f.noteOwnCallID(contact, now)
	}
	if hasType(m, typeCPIM) {
		f.note(contact, 0, 1, now)
	}
}

// notified takes a request that contact has sent, whatever becomes of it: a delivery
// notification is not for the user.
func (f *formats) notified(r *mapping.Rules, m *mapping.SIPMessage, now time.Time) {
	if !hasType(m, typeIMDN) {
		return
	}
	if contact, err := r.Sender(m.From); err == nil {
		f.noteOwnCallID(contact, now)
	}
}

// hasType reports whether the media type of m is, or begins with, one in lower case.
func hasType(m *mapping.SIPMessage, typ string) bool {
	return len(m.ContentType) >= len(typ) && strings.EqualFold(m.ContentType[:len(typ)], typ)
}

func (f *formats) noteAccept(contact mapping.JID, accept string, now time.Time) {
	f.note(contact, yes(mapping.Accepts(accept, typePlain)), yes(mapping.Accepts(accept, typeCPIM)), now)
}

// note keeps what has been learned; 0 leaves what is known as it is.
func (f *formats) note(contact mapping.JID, plain, cpim known, now time.Time) {
	contact = contact.Bare()
	f.mu.Lock()
	defer f.mu.Unlock()
	is := f.get(contact, now)
	if plain != 0 {
		is.plain = belief{plain, now}
	}
	if cpim != 0 {
		is.cpim = belief{cpim, now}
	}
	f.put(contact, is, now)
}

// get is what is known of contact and still believed: each thing as long as it has been
// heard of, whatever was heard of the others. f.mu is held.
func (f *formats) get(contact mapping.JID, now time.Time) format {
	is, ok := f.young[contact]
	if !ok {
		if is, ok = f.old[contact]; !ok {
			return is
		}
	}
	for _, b := range [...]*belief{&is.plain, &is.cpim, &is.ownCallID, &is.notifies, &is.composing} {
		if b.is != 0 && now.Sub(b.since) >= formatsFor {
			*b = belief{}
		}
	}
	return is
}

// put keeps what is known of a contact that is memorable. When there is too much of it, or
// it is old, a new generation begins; what is not learned again is forgotten with the next
// one. f.mu is held.
func (f *formats) put(contact mapping.JID, is format, now time.Time) {
	if !memorable(contact) {
		return
	}
	if len(f.young) >= maxFormats || now.Sub(f.turned) >= formatsFor {
		f.old, f.young, f.turned = f.young, make(map[mapping.JID]format), now
	}
	f.young[contact] = is
}
