package bridge

import (
	"crypto/rand"
	"strings"
	"time"

	"github.com/stoxgw/stox/internal/texts"
	"github.com/stoxgw/stox/mapping"
)

// Desk is where users ask the gateway itself for something. Its functions return at once, and
// do not call the bridge; what is nil is not there.
type Desk struct {
	// Chat takes a message to the gateway itself if it is a command, which is answered then.
	Chat func(*mapping.XMPPMessage) bool
	// Language is the one in which a user is spoken to whose client has said that one, or "".
	Language func(user mapping.JID, said string) string
	// Commands are the words of the commands that a user may give, in that language.
	Commands func(user mapping.JID, said string) string
}

// How often a user is told how to use the gateway: one who asks for help, and one who
// writes something else. A program that answers whatever it gets is told an error in between,
// and ends the conversation with that.
const (
	helpEvery   = 5 * time.Second
	helpUnasked = time.Hour
)

// help answers a message to the gateway itself, whatever it says, unless it is for the desk.
// b.mu is held.
func (b *Bridge) help(out *work, p *Policy, m *mapping.XMPPMessage) {
	user, name := m.From.Bare(), m.To.DomainJID()
	o := &outbound{from: m.From, to: m.To, id: m.ID, sender: user, read: out.now}
	if b.closing {
		out.refuse(o, mapping.FailShutdown())
		return
	}
	if b.desk.Chat != nil && b.desk.Chat(m) {
		if asksForHelp(m) {
			b.mark(out, user, name, MarkWelcomed, 0)
		}
		return
	}
	if !b.mark(out, user, name, MarkWelcomed, 0) {
		out.refuse(o, mapping.FailBusy(int(helpEvery/time.Second)))
		return
	}
	switch since := out.now.Sub(b.contacts.people[user].helpAt); {
	case !asksForHelp(m) && since < helpUnasked:
		out.refuse(o, mapping.FailGateway())
		return
	case since < helpEvery:
		out.refuse(o, mapping.FailBusy(int(helpEvery/time.Second)))
		return
	}
	b.contacts.people[user].helpAt = out.now
	if m.WantReceipt && m.ID != "" {
		out.stanzas = append(out.stanzas, mapping.Parcel[mapping.XMPP]{
			Value: &mapping.XMPPReceipt{From: m.To, To: m.From, ID: rand.Text(), Type: m.Type, About: m.ID}})
	}
	answer := b.helpMessage(p, name, m.From, asksIn(m))
	answer.Thread = m.Thread
	out.stanzas = append(out.stanzas, mapping.Parcel[mapping.XMPP]{Value: answer})
}

// asksForHelp reports whether a message says just that, in any language.
func asksForHelp(m *mapping.XMPPMessage) bool { return wordForHelp(m) != nil }

func wordForHelp(m *mapping.XMPPMessage) *texts.Texts {
	for _, t := range m.Bodies {
		word := strings.Trim(t.Value, " \t\r\n\"'.!?")
		if node, in := texts.ByWord(word); node == "help" {
			return in
		}
	}
	return nil
}

// asksIn is the language in which somebody writes to the gateway: that of the word for help
// that is not the English one, else what his client says.
func asksIn(m *mapping.XMPPMessage) string {
	if in := wordForHelp(m); in != nil && in != texts.For("") {
		return in.Lang
	}
	return m.Lang
}

// texts are those in the language of a user, whose client has said that one, or "".
func (b *Bridge) texts(user mapping.JID, said string) *texts.Texts {
	if b.desk.Language != nil {
		said = b.desk.Language(user.Bare(), said)
	}
	return texts.For(said)
}

func (b *Bridge) helpMessage(p *Policy, name, to mapping.JID, said string) *mapping.XMPPMessage {
	t := b.texts(to, said)
	var commands string
	if b.desk.Commands != nil {
		commands = b.desk.Commands(to, said)
	}
	var examples []texts.Example
	for _, e := range p.Rules.Examples(name) {
		examples = append(examples, texts.Example{Contact: e.Contact.String(), Means: e.Means, Number: e.Number, Others: e.Others})
	}
	return &mapping.XMPPMessage{From: name, To: to, ID: rand.Text(), Type: "chat", Lang: lang(t), Bodies: []mapping.Text{{Value: t.Helping(name.Domain(), examples, commands)}}}
}

// lang is what a stanza says of the language of its text: nothing for English, as where
// nothing else is spoken.
func lang(t *texts.Texts) string {
	if t == texts.For("") {
		return ""
	}
	return t.Lang
}

// greeting is a welcome on its way.
type greeting struct{ user, name mapping.JID }

// welcome tells a user once, and never again, how the gateway is used. asked says that he
// has turned to the gateway itself; one who has not is left alone if nothing could keep in
// mind that he was told. b.mu is held.
func (b *Bridge) welcome(out *work, user, name mapping.JID, asked bool) {
	if b.closing || b.contacts.book == nil || b.volatile && !asked || user.Local() == "" {
		return
	}
	if known := b.contacts.people[user]; known != nil && known.welcomed {
		return
	}
	if !b.contacts.set(user, name, b.contacts.marks(user, name)|MarkWelcomed) {
		return
	}
	m := b.helpMessage(b.policy.Load(), name, user, "")
	m.Nick = b.texts(user, "").Help.Nick // XEP-0172
	out.stanzas = append(out.stanzas, mapping.Parcel[mapping.XMPP]{Ref: greeting{user, name}, Value: m})
}

// welcomed takes what became of a welcome: it is kept in mind when it has left. b.mu is
// held.
func (b *Bridge) welcomed(out *work, g greeting, o mapping.Outcome) {
	if o.Kind == mapping.NotWritten {
		if known := b.contacts.people[g.user]; known != nil {
			known.welcomed = false
		}
		b.mark(out, g.user, g.name, 0, MarkWelcomed)
		return
	}
	b.keepMarks(out, g.user, g.name)
}

// anonymousHost is where senders are who keep their names to themselves (RFC 3323 §4.1.1.3).
const anonymousHost = "anonymous.invalid"

// introduction is a contact that is being made known to a user.
type introduction struct{ user, contact mapping.JID }

// introduce makes a contact known to the user to whom it has written for the first time:
// his client sends receipts and fetches files only for contacts that he has. Once, ever: a
// user who does not want it, or has removed it, is not asked again, so nobody is where
// nothing outlives the process. Nor is he for somebody who has not said who he is. b.mu is
// held.
func (b *Bridge) introduce(out *work, p *Policy, in *incoming) {
	c := &b.contacts
	if _, met := c.met[in.pair]; met || c.book == nil || b.volatile || b.closing {
		return
	}
	user, contact, nick := in.to.Bare(), in.from.Bare(), in.nick
	if user.Local() == "" || contact.Local() == "" {
		return
	}
	if c.marks(user, contact).met() {
		c.meet(in.pair)
		return
	}
	if u, err := p.Rules.SIPAddress(contact); err != nil || u.Host == anonymousHost {
		return
	}
	if known := c.people[user]; known != nil && out.now.Sub(known.toldAt) < introduceEvery {
		return
	}
	if !c.roomToIntroduce(user) || !c.set(user, contact, c.marks(user, contact)|MarkIntroduced) {
		return
	}
	c.people[user].toldAt = out.now
	var v mapping.XMPP = &mapping.XMPPIntroduction{From: contact, To: user, Nick: nick}
	if c.marks(user, contact)&MarkSubscribed != 0 { // it is in his roster, and only has to ask
		v = &mapping.XMPPPresence{From: contact, To: user, Type: mapping.Subscribe, Nick: nick}
	}
	out.stanzas = append(out.stanzas, mapping.Parcel[mapping.XMPP]{Ref: introduction{user, contact}, Value: v})
}

// introduced takes what became of an introduction. b.mu is held.
func (b *Bridge) introduced(out *work, i introduction, o mapping.Outcome) {
	if o.Kind == mapping.NotWritten {
		b.mark(out, i.user, i.contact, 0, MarkIntroduced)
		return
	}
	b.keepMarks(out, i.user, i.contact)
}
