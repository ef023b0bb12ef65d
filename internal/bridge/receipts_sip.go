package bridge

import (
	"crypto/rand"
	"slices"
	"strings"

	"github.com/stoxgw/stox/mapping"
)

// Messages from SIP whose senders want to be notified: receipts of XMPP users become
// notifications (IM-40 to IM-42, IM-44).
//
// A notification is a request like any other in its lane, but one of the gateway itself: it
// waits for its turn behind what waits already, is sent once, and whatever becomes of it,
// nobody is told. Only where its message/cpim is refused with 488, as Linphone does for the
// im: URIs in it, it goes once more without.

// asked is a message from SIP whose sender wants to be notified.
type asked struct {
	id, callID string
	user       mapping.JID // bare: whom it was for
	contact    mapping.JID // who has sent it, as in the stanza
	req        *mapping.IMDNRequest
	told       mapping.Notice // what was told
	open       bool           // SIP has not had its answer yet
	early      []*mapping.XMPPReceipt
}

func (a *asked) way() string { return dirFromSIP + " " + a.contact.String() + " -> " + a.user.String() }

func (a *asked) size() int {
	n := 400 + len(a.callID) + len(a.contact.Resource()) + len(a.req.MessageID) + len(a.req.OriginalTo)
	for _, r := range a.req.Route {
		n += len(r)
	}
	return n
}

// wishes takes from a stanza what its sender wants to be notified of. What could not be
// remembered is not asked for in XMPP either.
func (in *incoming) wishes(x *mapping.XMPPMessage) {
	if in.asks = x.Asks; in.asks != nil && !(keepable(x.From) && keepable(x.To)) {
		in.asks, x.WantReceipt, x.Markable = nil, false, false
	}
}

// remind remembers what the sender of a request wants, until its answer and from then on.
// b.mu is held.
func (b *Bridge) remind(out *work, in *incoming) {
	if in.asks == nil {
		return
	}
	// The Call-ID is cut from the head of the request, which is not to be kept for so long.
	a := &asked{id: in.id, callID: strings.Clone(in.callID), user: in.to.Bare(), contact: in.from, req: in.asks, open: true}
	if before, ok := b.receipts.fromSIP.get(in.key); ok {
		a.told = before.told // the same request, long after
	}
	b.receipts.fromSIP.put(in.key, a, a.size(), out.now)
}

// replied is told that a request has had its answer: only what was answered with a 2xx may be
// notified of (RFC 5438 §7.2.1). b.mu is held.
func (b *Bridge) replied(out *work, p *Policy, in *incoming) {
	if in.asks == nil {
		return
	}
	a, ok := b.receipts.fromSIP.get(in.key)
	if !ok {
		return
	}
	if status, _ := in.outcome.Final(200); status >= 300 {
		b.receipts.fromSIP.drop(in.key)
		return
	}
	a.open = false
	out.askedEvent(a.id, a.callID, a.way(), a.values())
	for _, v := range a.early {
		b.acknowledge(out, p, a, v)
	}
	a.early = nil
}

// takeReceipt takes a receipt or marker of an XMPP user. b.mu is held.
func (b *Bridge) takeReceipt(out *work, p *Policy, v *mapping.XMPPReceipt) {
	key, ok := keyOf(v.About)
	if !ok || !p.Access.Allows(v.From) {
		b.log.Debug("receipt dropped: it is for no message of ours, or its sender may not use the gateway", "from", v.From, "to", v.To, "id", v.About)
		return
	}
	if a, ok := b.receipts.fromSIP.get(key); ok {
		b.acknowledge(out, p, a, v)
		return
	}
	b.find(lookup{id: v.About, receipt: v})
}

// acknowledge tells SIP what a receipt says. It counts only from whom the message was for,
// to whom it came from (SEC-22). b.mu is held.
func (b *Bridge) acknowledge(out *work, p *Policy, a *asked, v *mapping.XMPPReceipt) {
	what := mapping.NoticeDelivered
	if v.Read {
		what = mapping.NoticeDisplayed
	}
	switch {
	case v.From.Bare() != a.user || v.To.Bare() != a.contact.Bare():
		b.log.Debug("receipt dropped: it is not from whom the message was for", "from", v.From, "to", v.To, "id", v.About)
	case a.open:
		if !slices.ContainsFunc(a.early, func(w *mapping.XMPPReceipt) bool { return w.Read == v.Read }) {
			a.early = append(a.early, v)
		}
	default:
		b.received(v.About, out.now)
		b.notify(out, p, a, v.From, what)
	}
}

// notify sends one notification, from who, unless it is not wanted, or something was told
// already that makes it a repetition or a contradiction (IM-48). b.mu is held.
func (b *Bridge) notify(out *work, p *Policy, a *asked, who mapping.JID, what mapping.Notice) {
	if !a.req.Wants.Has(what) || contradicts(a.told, what) || b.closing {
		return
	}
	m, err := p.notification(a, who, what)
	if err != nil {
		b.log.Debug("a notification cannot be sent", "dir", dirFromSIP, "to", a.contact, "id", a.id, "err", err)
		return
	}
	if p.blocks(a.user, m.RequestURI) {
		return
	}
	a.told |= what
	b.stats.ReceiptsToSIP.count(what)
	out.receiptEvent(a.id, a.callID, a.way(), what)
	if key, ok := keyOf(a.id); ok {
		out.noteLater(key, a.id, a.user, a.contact, noteReceipt, what.String())
	}
	b.ids.fill(m)
	o := &outbound{silent: true, id: a.id, from: who, to: a.contact, sender: a.user, parts: []mapping.SIP{m},
		read: out.now, expire: out.now.Add(p.expire())}
	o.measure()
	b.sendNotice(out, o)
}

// notification is the request that tells the sender of a: from the address that the user
// has toward them, to the one that an answer of the user would go to.
func (p *Policy) notification(a *asked, who mapping.JID, what mapping.Notice) (*mapping.SIPMessage, error) {
	address := p.Rules.SIPAddress
	if a.contact.Resource() != "" { // it has come from a GRUU
		address = p.Rules.SIPDevice
	}
	to, err := address(a.contact)
	if err != nil {
		return nil, err
	}
	from, err := p.Rules.SIPIdentity(who, to.Host)
	if err != nil {
		return nil, err
	}
	return a.req.Notify(from, to, what, rand.Text()), nil
}

// sendNotice is sendSilent, but leaves half of the room of its FIFO to messages.
func (b *Bridge) sendNotice(out *work, o *outbound) {
	if l := b.lanes.byKey[o.lane]; l != nil {
		if f := l.of(o.sender); f != nil && len(f.queue) >= max(b.lanes.limits.FIFO/2, 1) {
			b.log.Debug("a notification is dropped: messages wait already", "to", o.to, "id", o.id)
			return
		}
	}
	b.sendSilent(out, o)
}

// tellBounced is tellLate by a notification: of an error, not of a failure, since another
// device may have the message (IM-47, IM-61). b.mu is held.
func (b *Bridge) tellBounced(out *work, p *Policy, e *lateError) {
	if a, ok := b.receipts.fromSIP.get(e.key); ok {
		b.notifyBounced(out, p, a, e.err)
		return
	}
	b.find(lookup{id: e.err.ID, late: e.err})
}

func (b *Bridge) notifyBounced(out *work, p *Policy, a *asked, e *mapping.XMPPError) {
	if a.open || e.To.Bare() != a.contact.Bare() || e.From.Bare() != a.user && e.From != a.user.DomainJID() {
		return
	}
	told := a.told
	if b.notify(out, p, a, a.user, mapping.NoticeFailed); a.told != told {
		b.tally.LateTold++
	}
}

// values is what the trail keeps of a.
func (a *asked) values() values {
	v := append(make(values, 0, 8), value{"contact", a.contact.String()}, value{"date", a.req.DateTime}, value{"message", a.req.MessageID})
	if a.req.OriginalTo != "" {
		v = append(v, value{"original", a.req.OriginalTo})
	}
	for _, r := range a.req.Route {
		v = append(v, value{"route", r})
	}
	return append(v, value{"user", a.user.String()}, value{"wants", a.req.Wants.String()})
}

// askedOf reads the message with this stanza id from its events, nil if it is not among
// them.
func askedOf(events []Event, id string) (a *asked) {
	var told mapping.Notice
	for i := range events {
		e := &events[i]
		if e.ID != id {
			continue
		}
		told |= e.told(dirFromSIP)
		v, ok := e.values(dirFromSIP)
		if !ok {
			continue
		}
		user, err1 := mapping.ParseJID(v.Get("user"))
		contact, err2 := mapping.ParseJID(v.Get("contact"))
		wants := mapping.ParseNotice(v.Get("wants"))
		if err1 != nil || err2 != nil || wants == 0 || v.Get("message") == "" {
			continue
		}
		a = &asked{id: id, callID: e.Other, user: user, contact: contact, req: &mapping.IMDNRequest{MessageID: v.Get("message"),
			DateTime: v.Get("date"), Wants: wants, OriginalTo: v.Get("original"), Route: v["route"]}}
	}
	if a != nil {
		a.told = told
	}
	return a
}
