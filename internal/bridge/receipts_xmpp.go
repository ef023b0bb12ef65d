package bridge

import (
	"strings"

	"github.com/stoxgw/stox/mapping"
)

// Messages from XMPP whose senders want a receipt: notifications of SIP become receipts
// (IM-40 to IM-43), and so does a 200 from a contact who is not known to send notifications
// (IM-46).
//
// A notification names the message by the identifier in its message/cpim, or, if it was a
// plain text, by its Call-ID: there are user agents that notify of every text, asked or
// not. It counts from the contact who was written to, whatever the device.

// IMDN says from whom notifications are asked.
type IMDN string

// The values of sip.imdn. The zero value is IMDNIfKnown.
const (
	IMDNAlways  IMDN = "always"   // from everybody, but for those who have refused a message/cpim
	IMDNIfKnown IMDN = "if-known" // from those who are known to take a message/cpim
	IMDNNever   IMDN = "never"
)

// wish is a message from XMPP whose sender wants to be told what becomes of it.
type wish struct {
	id       string // of the stanza
	name     string // what notifications call it
	from, to mapping.JID
	typ      string
	wants    mapping.Notice
	told     mapping.Notice
	row      uint64 // 0: it is of an earlier run, and has ended
	lane     string // where the row is
	open     bool   // the message has not ended
	shared   bool   // there are several with this name: nobody knows which one is meant
	failed   bool   // a notification has said so before the request was answered
	number   uint64 // of the message in its notes; 0: it is of an earlier run
}

// wishKey names a message to whoever has received it.
type wishKey struct {
	user, contact mapping.JID // bare
	name          string
}

func (w *wish) key() wishKey { return wishKey{w.from.Bare(), w.to.Bare(), w.name} }

func (w *wish) way() string { return dirFromXMPP + " " + w.from.String() + " -> " + w.to.String() }

func (w *wish) size() int { return 500 + len(w.id) + len(w.name) + len(w.from.Resource()) }

// wish takes from a stanza what its sender wants to be told, if that can be remembered.
func (o *outbound) wish(p *Policy, m *mapping.XMPPMessage) {
	if m.ID == "" || len(m.ID) > maxWantedID || !keepable(m.From) || !keepable(m.To) {
		return
	}
	if m.WantReceipt {
		o.wants |= mapping.NoticeDelivered
	}
	if m.Markable {
		o.wants |= mapping.NoticeDisplayed
	}
	if o.wants == 0 {
		return
	}
	o.wants |= mapping.NoticeFailed
	o.typ = m.Type
	if p.IMDN != IMDNNever {
		o.messageID = newCallID() // 130 bits (IM-43)
	}
}

// request are the message headers with which notifications of m, which o goes in, are
// asked for; none if they are not.
func (o *outbound) request(m *mapping.SIPMessage) []mapping.CPIMHeader {
	if o.messageID == "" {
		return nil
	}
	q := mapping.IMDNRequest{MessageID: o.messageID, Wants: o.wants}
	if m.Date.IsZero() { // otherwise it is there already
		q.DateTime = mapping.NewDateTime(o.read).Value
	}
	return q.Headers()
}

// name is what notifications call o.
func (o *outbound) name() string {
	if o.asks() {
		return o.messageID
	}
	return o.callID()
}

// asks reports whether the request of o asks for notifications.
func (o *outbound) asks() bool {
	return o.messageID != "" && o.message().ContentType == typeCPIM
}

// expect remembers o, which is about to leave, by the name that it has now. Of a text that
// goes in parts the last one stands for all, if those before it have had a 200. b.mu is held.
func (b *Bridge) expect(out *work, o *outbound) {
	if o.silent {
		return
	}
	if o.wants == 0 || len(o.parts) > 1 || o.unsure {
		b.shareName(out, o)
		return
	}
	w, name := o.wished, o.name()
	if w != nil && w.name == name {
		return
	}
	b.withdraw(o) // what was said of it under another name was said of a request that was refused
	w = o.newWish()
	w.row, w.lane, w.open, o.wished = o.row, o.lane, true, w
	key := w.key()
	other, ok := b.receipts.fromXMPP.get(key)
	if ok {
		other.shared = true
	}
	if w.shared = ok || b.receipts.shared.has(key); !w.shared {
		b.receipts.fromXMPP.put(key, w, w.size(), out.now)
	}
}

// shareName has nobody told what a notification says of the Call-ID of o, which is about to
// leave and of which nothing is to be told: it may be that of other messages. b.mu is held.
func (b *Bridge) shareName(out *work, o *outbound) {
	if o.asks() || !keepable(o.from) || !keepable(o.to) {
		return
	}
	key := wishKey{o.sender, o.to.Bare(), o.callID()}
	if other, ok := b.receipts.fromXMPP.get(key); ok {
		other.shared = true
	} else if !b.formats.ownCallID(o.to, out.now) {
		b.receipts.shared.add(key, out.now)
	}
}

// withdraw forgets o and the name that it has: it is about to be another request, or its
// sender is told that it has not arrived, and nobody is told both. b.mu is held.
func (b *Bridge) withdraw(o *outbound) {
	if w := o.wished; w != nil && !w.shared {
		b.receipts.fromXMPP.drop(w.key())
	}
	o.wished = nil
}

func (o *outbound) newWish() *wish {
	return &wish{id: o.id, name: o.name(), from: o.from, to: o.to, typ: o.typ, wants: o.wants, number: o.number}
}

// adopt gives o, which was read from the store, what is remembered of it. b.mu is held.
func (b *Bridge) adopt(o *outbound) {
	if o.wants == 0 || o.row == 0 || len(o.parts) != 1 || o.wished != nil {
		return
	}
	w, ok := b.receipts.fromXMPP.get(wishKey{o.from.Bare(), o.to.Bare(), o.name()})
	if ok && w.row == o.row && !w.shared {
		o.wished = w
	}
}

// hasArrived reports whether a notification has said that o has arrived, whatever its
// requests came to.
func (o *outbound) hasArrived() bool {
	return o.confirmed || o.wished != nil && o.wished.told&(mapping.NoticeDelivered|mapping.NoticeDisplayed) != 0
}

// hasFailed reports whether a notification that came before the answer has said that o has
// not arrived.
func (o *outbound) hasFailed() bool {
	return o.wished != nil && o.wished.failed && !contradicts(o.wished.told, mapping.NoticeFailed)
}

// confirm notes in the row of w that it has arrived, and ends it if it waits to be sent
// again: that is not needed any more. One that waits in the store only is read for that.
// b.mu is held.
func (b *Bridge) confirm(out *work, w *wish) {
	if o := b.rows[w.row]; o != nil && o.wished == w {
		o.confirmed = true
		b.update(out, o)
		if f := b.front(o); f != nil {
			b.stir(out, f)
		}
		return
	}
	if l := b.lanes.byKey[w.lane]; l != nil {
		if f := l.of(w.from.Bare()); f != nil && len(f.queue) > 0 && f.queue[0].row == w.row && f.queue[0].o == nil {
			b.fetch(f)
		}
	}
}

// accepted is told that o has ended with res, which is no failure. b.mu is held.
func (b *Bridge) accepted(out *work, o *outbound, res mapping.Outcome) {
	if o.wants == 0 || o.unsure {
		return
	}
	w := o.wished
	if w == nil {
		w = o.newWish() // it has left before the process was started
	}
	w.open = false
	out.askedEvent(w.id, w.name, w.way(), w.values())
	// RFC 3428 §4: 202 is no delivery. A 200 is the word of the contact's user agent, if that
	// has no better one.
	if w.wants.Has(mapping.NoticeDelivered) && res.Kind == mapping.Answered && res.Status == 200 && !o.asks() &&
		!b.formats.notifies(o.to, out.now) && !contradicts(w.told, mapping.NoticeDelivered) {
		b.tellReceipt(out, nil, w, o.to, newCallID(), mapping.NoticeDelivered)
	}
}

// takeNotice takes a notification from SIP. b.mu is held.
func (b *Bridge) takeNotice(out *work, p *Policy, in *incoming) {
	b.incoming++
	b.repeats.pending.add(in)
	n := in.notice
	key := wishKey{n.To.Bare(), n.From.Bare(), n.MessageID}
	if w, ok := b.receipts.fromXMPP.get(key); ok {
		b.noticed(out, p, in, w)
		return
	}
	if n.MessageID == "" || b.receipts.shared.has(key) || n.Says == 0 || !b.find(lookup{id: n.MessageID, in: in}) {
		b.noticed(out, p, in, nil)
	}
}

// noticed tells the sender of w what a notification says, or else nothing: a notification
// is never an error. b.mu is held.
func (b *Bridge) noticed(out *work, p *Policy, in *incoming, w *wish) {
	what := in.notice.Says
	switch {
	case w == nil || w.shared || what == 0 || !w.wants.Has(what) || contradicts(w.told, what):
		b.log.Debug("notification dropped: nobody waits for it", "dir", dirFromSIP, "from", in.from, "to", in.to, "call_id", in.callID)
	case what == mapping.NoticeFailed && w.open:
		// The answer decides: who refuses a message/cpim may say the same in a notification,
		// and gets the message in another form.
		w.failed = true
	case what == mapping.NoticeFailed:
		b.tellFailed(out, p, in, w)
		return
	default:
		b.tellReceipt(out, in, w, in.from, in.id, what)
		if w.open {
			b.confirm(out, w)
		}
		return
	}
	in.outcome = mapping.Outcome{Kind: mapping.Processed}
	b.finishSIP(out, p, in, false)
}

// tellReceipt tells the sender of w. in is the notification that says so, nil if it is none.
func (b *Bridge) tellReceipt(out *work, in *incoming, w *wish, by mapping.JID, id string, what mapping.Notice) {
	b.tellWish(out, in, w, what, &mapping.XMPPReceipt{From: by, To: w.from, ID: id, Type: w.typ, About: w.id, Read: what == mapping.NoticeDisplayed})
}

// tellFailed tells the sender of w that it has not arrived after all.
func (b *Bridge) tellFailed(out *work, p *Policy, in *incoming, w *wish) {
	b.tellWish(out, in, w, mapping.NoticeFailed, &mapping.XMPPError{From: w.to, To: w.from, ID: w.id, Failure: p.Rules.FailureToXMPP(mapping.FailNotified())})
}

func (b *Bridge) tellWish(out *work, in *incoming, w *wish, what mapping.Notice, v mapping.XMPP) {
	w.told |= what
	b.stats.ReceiptsToXMPP.count(what)
	out.receiptEvent(w.id, w.name, w.way(), what)
	if w.number != 0 {
		n := out.newNote(w.number, noteReceipt)
		n.User, n.Contact, n.ID, n.Text = w.from.String(), w.to.String(), w.id, what.String()
	}
	parcel := mapping.Parcel[mapping.XMPP]{Value: v}
	if in != nil {
		parcel.Ref, in.wish, in.left = b.handed.to(in), w, 1
	}
	out.stanzas = append(out.stanzas, parcel)
}

// untoldNotice takes the outcome of the stanza that a notification has become: SIP is told
// only that it was not written, and then may send it again. b.mu is held.
func (in *incoming) untoldNotice() {
	switch in.outcome.Kind {
	case mapping.Bounced:
		in.outcome = mapping.Outcome{Kind: mapping.Processed}
	case mapping.NotWritten:
		if in.wish != nil {
			in.wish.told &^= in.notice.Says
		}
	}
}

// values is what the trail keeps of w.
func (w *wish) values() values {
	return values{{"contact", w.to.String()}, {"type", w.typ}, {"user", w.from.String()}, {"wants", w.wants.String()}}
}

// wishOf reads the message of key from its events, nil if it is not among them, or several
// are.
func wishOf(events []Event, key wishKey) (w *wish) {
	told := make(map[string]mapping.Notice)
	ids := make(map[string]bool) // of all messages with this name, whatever they want
	for i := range events {
		e := &events[i]
		if e.Other != key.name {
			continue
		}
		if strings.HasPrefix(e.Detail, dirFromXMPP+" ") {
			ids[e.ID] = true
		}
		told[e.ID] |= e.told(dirFromXMPP)
		v, ok := e.values(dirFromXMPP)
		if !ok {
			continue
		}
		from, err1 := mapping.ParseJID(v.Get("user"))
		to, err2 := mapping.ParseJID(v.Get("contact"))
		wants := mapping.ParseNotice(v.Get("wants"))
		if err1 != nil || err2 != nil || wants == 0 || from.Bare() != key.user || to.Bare() != key.contact {
			continue
		}
		w = &wish{id: e.ID, name: key.name, from: from, to: to, typ: v.Get("type"), wants: wants}
	}
	if w == nil || len(ids) > 1 {
		return nil
	}
	w.told = told[w.id]
	return w
}
