package bridge

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// hear has a message come from SIP and be delivered; it returns what else is said.
func hear(b *Bridge, s *side, n int, from, to string) []string {
	m := fromSIP(fmt.Sprint("call", n), from, to, "hi")
	m.CSeq, m.Name = uint32(n+1), "Romeo M."
	b.FromSIP([]mapping.Parcel[mapping.SIP]{{Ref: n, Value: m}})
	got := s.said(b)
	return slices.DeleteFunc(got, func(v string) bool { return strings.HasSuffix(v, " hi") })
}

// A contact that writes for the first time is made known to the user once, ever, and what
// he says to that is kept across restarts.
func TestIntroductions(t *testing.T) {
	const romeo, juliet = "sip:romeo@pbx.example.net", "sip:juliet@example.com"
	for _, c := range []struct {
		name string
		says []mapping.PresenceType // the user, to the contact
	}{
		{"nothing", nil}, {"yes", []mapping.PresenceType{mapping.Subscribed}}, {"no", []mapping.PresenceType{mapping.Unsubscribed}},
		{"removes it", []mapping.PresenceType{mapping.Subscribed, mapping.Subscribe, mapping.Unsubscribe, mapping.Unsubscribed}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				book := newBook()
				b, s := acquainted(t, book, nil)
				expect(t, "the first message", hear(b, s, 1, romeo, juliet), romeoIntroduced)
				expect(t, "the second", hear(b, s, 2, romeo, juliet))
				for _, typ := range c.says {
					b.FromXMPP([]mapping.XMPP{presence(typ, "juliet@example.com", "romeo@sip.example.com")})
				}
				s.said(b)
				time.Sleep(2 * introduceEvery)
				expect(t, "later", hear(b, s, 3, romeo, juliet))
				b, s = acquainted(t, book, nil)
				expect(t, "after a restart", hear(b, s, 4, romeo, juliet))
			})
		})
	}

	t.Run("whom the user has added himself", func(t *testing.T) {
		b, s := acquainted(t, newBook(), nil)
		b.FromXMPP([]mapping.XMPP{presence(mapping.Subscribe, "juliet@example.com", "romeo@sip.example.com")})
		s.said(b)
		expect(t, "the first message", hear(b, s, 1, romeo, juliet), "romeo@sip.example.com>juliet@example.com subscribe")
		expect(t, "the second", hear(b, s, 2, romeo, juliet))
	})

	t.Run("one that did not leave is made again", func(t *testing.T) {
		book := newBook()
		b, s := acquainted(t, book, nil)
		b.FromSIP([]mapping.Parcel[mapping.SIP]{{Ref: 1, Value: fromSIP("c", romeo, juliet, "hi")}})
		b.XMPPOutcomes([]mapping.Result{{Ref: s.stanzas[0].Ref, Outcome: mapping.Outcome{Kind: mapping.Processed}}})
		s.stanzas = s.stanzas[1:]
		expect(t, "first", s.said(b, mapping.NotWritten), `romeo@sip.example.com>juliet@example.com introduced as ""`)
		if len(book.rows) != 0 {
			t.Errorf("it is remembered: %v", book.rows)
		}
		expect(t, "again", hear(b, s, 2, romeo, juliet), romeoIntroduced)
	})

	t.Run("one that has not left yet when the next message comes", func(t *testing.T) {
		b, s := acquainted(t, newBook(), nil)
		for i := range 3 {
			b.FromSIP([]mapping.Parcel[mapping.SIP]{{Ref: i, Value: fromSIP(fmt.Sprint("c", i), romeo, juliet, "hi")}})
			last := len(s.stanzas) - 1
			text := s.stanzas[last]
			s.stanzas = s.stanzas[:last]
			b.XMPPOutcomes([]mapping.Result{{Ref: text.Ref, Outcome: mapping.Outcome{Kind: mapping.Processed}}})
		}
		expect(t, "first", s.said(b, mapping.NotWritten), `romeo@sip.example.com>juliet@example.com introduced as ""`)
		expect(t, "again", hear(b, s, 9, romeo, juliet), romeoIntroduced)
	})

	t.Run("not for what did not arrive", func(t *testing.T) {
		b, s := acquainted(t, newBook(), nil)
		b.FromSIP([]mapping.Parcel[mapping.SIP]{{Ref: 1, Value: fromSIP("c", romeo, juliet, "hi")}})
		expect(t, "bounced", s.said(b, mapping.Bounced), "romeo@sip.example.com>juliet@example.com hi")
	})

	t.Run("strangers cannot pester a user", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b, s := acquainted(t, newBook(), nil)
			asked := 0
			for n := range 4 * maxIntroductions {
				asked += len(hear(b, s, n, fmt.Sprintf("sip:u%d@pbx.example.net", n), juliet))
				time.Sleep(introduceEvery / 4)
			}
			if asked != maxIntroductions {
				t.Errorf("%d introductions, want one a minute: %d", asked, maxIntroductions)
			}
			time.Sleep(introduceEvery)
			expect(t, "one more", hear(b, s, 1<<20, "sip:late@pbx.example.net", juliet))
			b.FromXMPP([]mapping.XMPP{presence(mapping.Subscribe, "juliet@example.com", "romeo@sip.example.com")})
			s.said(b)
			if b.contacts.marks(mapping.MustParseJID("juliet@example.com"), mapping.MustParseJID("romeo@sip.example.com")) == 0 {
				t.Error("there is no room for what the user does himself")
			}
			expect(t, "another user", hear(b, s, 2<<20, romeo, "sip:nurse@example.com"), `romeo@sip.example.com>nurse@example.com introduced as "Romeo M."`)
		})
	})

	t.Run("who is anonymous has nobody to add", func(t *testing.T) {
		b, s := acquainted(t, newBook(), nil)
		expect(t, "the first message", hear(b, s, 1, "sip:anonymous@anonymous.invalid", juliet))
	})

	t.Run("what is forgotten would be asked again", func(t *testing.T) {
		b, s := acquainted(t, newBook(), func(o *Options) { o.Volatile = true })
		expect(t, "the first message", hear(b, s, 1, romeo, juliet))
	})

	t.Run("without a book nobody is asked", func(t *testing.T) {
		b, s := acquainted(t, nil, nil)
		expect(t, "the first message", hear(b, s, 1, romeo, juliet))
	})
}

// What is asked of the gateway itself is answered with how it is used, to nobody else and
// not too often; everybody is told once without asking.
func TestHelpAndWelcome(t *testing.T) {
	ask := func(from, text string) *mapping.XMPPMessage { return fromXMPP("m", from, "sip.example.com", text) }
	const d, help = "juliet@example.com/b", "sip.example.com>juliet@example.com/b HELP"

	t.Run("help", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			book := newBook()
			b, s := acquainted(t, book, nil)
			m := ask(d, "hello?")
			m.WantReceipt, m.Thread = true, "t1"
			b.FromXMPP([]mapping.XMPP{m})
			if len(s.stanzas) != 2 || s.stanzas[1].Value.(*mapping.XMPPMessage).Thread != "t1" {
				t.Errorf("no answer in the same thread: %v", s.stanzas)
			}
			expect(t, "the first", s.said(b), "sip.example.com>"+d+" received m", help)
			b.FromXMPP([]mapping.XMPP{ask(d, "help")})
			expect(t, "at once again", s.said(b), "sip.example.com>"+d+" resource-constraint#m")
			b.FromXMPP([]mapping.XMPP{ask("nurse@example.com/x", "help")})
			expect(t, "somebody else", s.said(b), "sip.example.com>nurse@example.com/x HELP")
			time.Sleep(helpEvery)
			b.FromXMPP([]mapping.XMPP{ask(d, "help")})
			expect(t, "later", s.said(b), help)
			for i := range 3 { // a program that answers everything
				time.Sleep(helpUnasked/4 + time.Second)
				b.FromXMPP([]mapping.XMPP{ask(d, "I am away until Monday.")})
				expect(t, fmt.Sprint("not asked for ", i), s.said(b), "sip.example.com>"+d+" service-unavailable#m")
			}
			b.FromXMPP([]mapping.XMPP{ask(d, " Help!\n")})
			expect(t, "asked for in between", s.said(b), help)
			time.Sleep(helpUnasked)
			b.FromXMPP([]mapping.XMPP{ask(d, "hello?")})
			expect(t, "an hour later", s.said(b), help)
			b.FromXMPP([]mapping.XMPP{fromXMPP("m1", d, "romeo@sip.example.com", "hello")})
			expect(t, "who has asked is not told again", s.said(b))
			b.FromXMPP([]mapping.XMPP{ask("eve@evil.example/x", "help")})
			expect(t, "a stranger", s.said(b), "sip.example.com>eve@evil.example/x forbidden#m")
			b.FromXMPP([]mapping.XMPP{ask("example.com", "help")})
			expect(t, "a server", s.said(b), "sip.example.com>example.com item-not-found#m")
			if s.journal.waiting != nil && len(s.journal.waiting) != 1 {
				t.Errorf("what was for the gateway is in the journal: %v", s.journal.waiting)
			}
		})
	})

	t.Run("what is a command is for the desk", func(t *testing.T) {
		var taken []string
		b, s := acquainted(t, newBook(), func(o *Options) {
			o.Desk = Desk{
				Chat: func(m *mapping.XMPPMessage) bool {
					text := m.Bodies[0].Value
					if text == "status" || text == "hilfe" {
						taken = append(taken, text)
						return true
					}
					return false
				},
				Language: func(_ mapping.JID, said string) string { return cmp.Or(said, "de") },
				Commands: func(user mapping.JID, said string) string {
					return "commands of " + user.String() + " in " + said + "\n"
				},
			}
		})
		b.FromXMPP([]mapping.XMPP{ask(d, "status")})
		expect(t, "a command", s.said(b))
		m := ask(d, "hello?")
		m.Lang = "en"
		b.FromXMPP([]mapping.XMPP{m})
		if got := s.stanzas[0].Value.(*mapping.XMPPMessage); !strings.Contains(got.Bodies[0].Value, "commands of "+d+" in en") || got.Lang != "" {
			t.Errorf("the help is %+v", got)
		}
		expect(t, "something else", s.said(b), help)
		b.FromXMPP([]mapping.XMPP{ask("eve@evil.example/x", "status")})
		expect(t, "a stranger", s.said(b), "sip.example.com>eve@evil.example/x forbidden#m")
		b.FromXMPP([]mapping.XMPP{ask("nurse@example.com/x", "hilfe")})
		b.FromXMPP([]mapping.XMPP{fromXMPP("m1", "nurse@example.com/x", "romeo@sip.example.com", "hello")})
		expect(t, "who has asked the desk for help is not greeted", s.said(b))
		b.FromXMPP([]mapping.XMPP{fromXMPP("m2", "friar@example.com/x", "romeo@sip.example.com", "hello")})
		if got := s.stanzas[0].Value.(*mapping.XMPPMessage); got.Lang != "de" || !strings.HasPrefix(got.Bodies[0].Value, "Dies ist das Gateway zu SIP.") || got.Nick != "SIP-Gateway" {
			t.Errorf("greeted with %+v", got)
		}
		if got := strings.Join(taken, " "); got != "status hilfe" {
			t.Errorf("the desk has taken %q", got)
		}
	})

	t.Run("welcome", func(t *testing.T) {
		const welcome = "lab.example.com>juliet@example.com HELP"
		book := newBook()
		b, s := acquainted(t, book, nil)
		b.FromXMPP([]mapping.XMPP{fromXMPP("m0", d, `romeo\40@sip.example.com`, "hello")})
		expect(t, "a message that was not taken", s.said(b), `romeo\40@sip.example.com>`+d+" jid-malformed#m0")
		b.FromXMPP([]mapping.XMPP{fromXMPP("m1", d, "romeo@lab.example.com", "hello"), fromXMPP("m2", d, "romeo@sip.example.com", "hello")})
		expect(t, "it did not leave", s.said(b, mapping.NotWritten), welcome)
		b.FromXMPP([]mapping.XMPP{fromXMPP("m3", d, "romeo@lab.example.com", "hello")})
		expect(t, "it is told with the next message", s.said(b), welcome)
		b.FromXMPP([]mapping.XMPP{fromXMPP("m4", d, "romeo@sip.example.com", "hello"), presence(mapping.Subscribe, "juliet@example.com", "sip.example.com")})
		expect(t, "once", s.said(b), "sip.example.com>juliet@example.com subscribed", "sip.example.com>juliet@example.com")
		b, s = acquainted(t, book, nil)
		b.FromXMPP([]mapping.XMPP{fromXMPP("m5", d, "romeo@lab.example.com", "hello"), presence(mapping.Subscribe, "juliet@example.com", "lab.example.com")})
		expect(t, "ever", s.said(b), "lab.example.com>juliet@example.com subscribed", "lab.example.com>juliet@example.com")
	})

	t.Run("who is no person is not told", func(t *testing.T) {
		b, s := acquainted(t, newBook(), nil)
		b.FromXMPP([]mapping.XMPP{fromXMPP("m1", "example.com", "romeo@sip.example.com", "hello")})
		expect(t, "a message of a server", s.said(b))
	})

	t.Run("what is forgotten would be told again", func(t *testing.T) {
		b, s := acquainted(t, newBook(), func(o *Options) { o.Volatile = true })
		b.FromXMPP([]mapping.XMPP{fromXMPP("m1", d, "romeo@sip.example.com", "hello")})
		expect(t, "a message", s.said(b))
		b.FromXMPP([]mapping.XMPP{presence(mapping.Subscribe, "juliet@example.com", "sip.example.com")})
		expect(t, "who asks", s.said(b), "sip.example.com>juliet@example.com subscribed", "sip.example.com>juliet@example.com", "sip.example.com>juliet@example.com HELP")
	})
}
