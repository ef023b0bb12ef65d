package component

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stoxgw/stox/internal/xmpptest"
	"github.com/stoxgw/stox/mapping"
)

const (
	omemoKey     = `<encrypted xmlns='eu.siacs.conversations.axolotl'><header sid='1'><key rid='2'>AA==</key></header></encrypted>`
	omemoText    = `<encrypted xmlns='eu.siacs.conversations.axolotl'><header sid='1'/><payload>AA==</payload></encrypted>`
	omemo2Text   = `<encrypted xmlns='urn:xmpp:omemo:2'><header sid='1'/><payload>AA==</payload></encrypted>`
	sayOMEMO     = `<encryption xmlns='urn:xmpp:eme:0' namespace='eu.siacs.conversations.axolotl' name='OMEMO'/>`
	sayUnknown   = `<encryption xmlns='urn:xmpp:eme:0' namespace='urn:x:vault:1'/>`
	reactions    = `<reactions xmlns='urn:xmpp:reactions:0' id='m1'><reaction>👍</reaction></reactions>`
	markable     = `<request xmlns='urn:xmpp:receipts'/><markable xmlns='urn:xmpp:chat-markers:0'/><origin-id xmlns='urn:xmpp:sid:0' id='o'/>`
	forwarded    = `<forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' stamp='2026-01-15T09:00:00Z'/><message xmlns='jabber:client' from='a@example.com' to='b@example.com'><body>theirs</body>` + sayOMEMO + omemoText + `<x xmlns='jabber:x:oob'><url>https://example.com/theirs</url></x></message></forwarded>`
	invitation   = `<x xmlns='jabber:x:conference' jid='room@muc.example.com'/>`
	wholeReacton = `<fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:reactions:0'>`
)

// What a stanza says beside its subject and thread: CT-14, CT-16, IM-26.
func TestReadMessage(t *testing.T) {
	said := func(s ...string) []string { return s }
	nine := "2026-01-15T09:00:00Z"
	for _, tt := range []struct {
		name, in  string
		bodies    []string
		urls      []string
		delay     string
		encrypted bool
	}{
		{name: "what clients add to a text", in: `<body>x</body>` + markable + `<active xmlns='http://jabber.org/protocol/chatstates'/><no-copy xmlns='urn:xmpp:hints'/>`, bodies: said("x")},
		{name: "XEP-0308", in: `<body>corrected</body><replace xmlns='urn:xmpp:message-correct:0' id='m1'/>`, bodies: said("corrected")},
		{name: "XEP-0424", in: `<retract xmlns='urn:xmpp:message-retract:1' id='m1'/><fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:message-retract:1'/><body>took it back</body>`, bodies: said("took it back")},
		{name: "XEP-0461", in: `<body>&gt; x
yes</body><reply xmlns='urn:xmpp:reply:0' id='m1'/><fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:reply:0'><body start='0' end='4'/></fallback>`, bodies: said("> x\nyes")},
		{name: "XEP-0245", in: `<body>/me laughs</body>`, bodies: said("/me laughs")},

		// XEP-0203 and what was before it.
		{name: "delay", in: `<body>x</body><delay xmlns='urn:xmpp:delay' from='example.com' stamp='2026-01-15T09:00:00Z'>Offline</delay>`, bodies: said("x"), delay: nine},
		{name: "delay with a fraction", in: `<delay xmlns='urn:xmpp:delay' stamp='2026-01-15T09:00:00.5Z'/>`, delay: "2026-01-15T09:00:00.5Z"},
		{name: "delay with an offset", in: `<delay xmlns='urn:xmpp:delay' stamp='2026-01-15T14:30:00.000000123456+05:30'/>`, delay: "2026-01-15T09:00:00.000000123Z"},
		{name: "delay behind UTC", in: `<delay xmlns='urn:xmpp:delay' stamp='2026-01-14T23:00:00-10:00'/>`, delay: nine},
		{name: "delay with spaces", in: `<delay xmlns='urn:xmpp:delay' stamp=' 2026-01-15T09:00:00Z
'/>`, delay: nine},
		{name: "old delay", in: `<x xmlns='jabber:x:delay' stamp='20260115T09:00:00'>Offline</x>`, delay: nine},
		{name: "the first delay", in: `<delay xmlns='urn:xmpp:delay' stamp='2026-01-15T09:00:00Z'/><x xmlns='jabber:x:delay' stamp='20020910T23:08:25'/><delay xmlns='urn:xmpp:delay' stamp='2025-01-15T09:00:00Z'/>`, delay: nine},
		{name: "the first delay that can be read", in: `<delay xmlns='urn:xmpp:delay' stamp='yesterday'/><delay xmlns='urn:xmpp:delay'/><x xmlns='jabber:x:delay' stamp='20260115T09:00:00'/>`, delay: nine},
		{name: "no offset", in: `<delay xmlns='urn:xmpp:delay' stamp='2026-01-15T09:00:00'/>`},
		{name: "no such day", in: `<delay xmlns='urn:xmpp:delay' stamp='2026-02-30T09:00:00Z'/>`},
		{name: "a clock that was never set", in: `<delay xmlns='urn:xmpp:delay' stamp='1970-01-01T00:00:09Z'/>`},
		{name: "the year 0", in: `<delay xmlns='urn:xmpp:delay' stamp='0000-01-01T00:00:00+23:00'/>`},
		{name: "the year 10000", in: `<delay xmlns='urn:xmpp:delay' stamp='9999-12-31T23:59:59-01:00'/>`},
		{name: "endless", in: `<delay xmlns='urn:xmpp:delay' stamp='2026-01-15T09:00:00.` + strings.Repeat("0", 1000) + `Z'/>`},
		{name: "other elements with stamps", in: `<delay stamp='2026-01-15T09:00:00Z'/><x xmlns='urn:xmpp:delay' stamp='2026-01-15T09:00:00Z'/><delay xmlns='jabber:x:delay' stamp='20260115T09:00:00'/>`},

		// XEP-0066.
		{name: "link", in: `<body>x</body><x xmlns='jabber:x:oob'><url> https://example.com/a?b&amp;c
</url><desc>d</desc></x>`, bodies: said("x"), urls: said("https://example.com/a?b&c")},
		{name: "links", in: `<x xmlns='jabber:x:oob'><url>https://example.com/1</url></x><x xmlns='jabber:x:oob'><url>https://example.com/2</url><url>https://example.com/3</url></x>`,
			urls: said("https://example.com/1", "https://example.com/2", "https://example.com/3")},
		{name: "no links", in: `<x xmlns='jabber:x:oob'><url/><url xmlns='urn:x'>https://example.com/</url><a><url>https://example.com/</url></a></x><url xmlns='jabber:x:oob'>https://example.com/</url>`},

		// XEP-0380, 0384, 0027, 0373, RFC 3923.
		{name: "M-046", in: `<body>This message is encrypted</body>` + sayOMEMO + `<encrypted xmlns='eu.siacs.conversations.axolotl'><header sid='1'/></encrypted>`, bodies: said("This message is encrypted"), encrypted: true},
		{name: "OMEMO without a mark", in: omemoText + `<body>I sent you an OMEMO message</body>`, bodies: said("I sent you an OMEMO message"), encrypted: true},
		{name: "OMEMO without a body", in: omemoText + `<store xmlns='urn:xmpp:hints'/>`, encrypted: true},
		{name: "OMEMO 2", in: omemo2Text + `<encryption xmlns='urn:xmpp:eme:0' namespace='urn:xmpp:omemo:2'/>`, encrypted: true},
		{name: "OMEMO with an empty body", in: `<body/>` + omemo2Text, bodies: said(""), encrypted: true},
		{name: "OMEMO keys", in: omemoKey},
		{name: "OMEMO keys with a mark", in: omemoKey + sayOMEMO},
		{name: "OMEMO keys before a body", in: omemoKey + `<body>encrypted</body>`, bodies: said("encrypted"), encrypted: true},
		{name: "a payload that is not OMEMO's", in: `<encrypted xmlns='urn:xmpp:omemo:1'><payload xmlns='urn:x'/><a><payload/></a></encrypted>`},
		{name: "old OpenPGP", in: `<body>This is encrypted</body><x xmlns='jabber:x:encrypted'>qANQR1</x>`, bodies: said("This is encrypted"), encrypted: true},
		{name: "old OpenPGP without a body", in: `<x xmlns='jabber:x:encrypted'>qANQR1</x>`, encrypted: true},
		{name: "old OpenPGP, only signed", in: `<body>x</body><x xmlns='jabber:x:signed'>iQA</x>`, bodies: said("x")},
		{name: "OpenPGP", in: `<openpgp xmlns='urn:xmpp:openpgp:0'>BASE64</openpgp>`, encrypted: true},
		{name: "RFC 3923", in: `<e2e xmlns='urn:ietf:params:xml:ns:xmpp-e2e'>Content-type: multipart/encrypted</e2e>`, encrypted: true},
		{name: "a mark and a body", in: `<body>x</body>` + sayUnknown, bodies: said("x"), encrypted: true},
		{name: "a mark and an unknown ciphertext", in: sayUnknown + `<vault xmlns='urn:x:vault:1'>z</vault>`, encrypted: true},
		{name: "a mark alone", in: sayUnknown + sayOMEMO + `<encryption xmlns='urn:xmpp:eme:0'/>`},
		{name: "elements with such names", in: `<body>x</body><encrypted xmlns='urn:x'/><encrypted/><encryption/><x xmlns='urn:xmpp:openpgp:0'/><openpgp xmlns='jabber:x:encrypted'/>`, bodies: said("x")},

		// XEP-0444.
		{name: "reaction", in: reactions},
		{name: "reaction and its fallback", in: reactions + `<body>👍</body>` + wholeReacton + `</fallback>`},
		{name: "reaction and its fallback, all of it", in: `<body>&gt; Hi
👍</body>` + wholeReacton + `<body/></fallback>` + reactions},
		{name: "reaction and its fallback, from to", in: reactions + `<body>&gt; žluť
👍 </body>` + wholeReacton + `<body start='0' end='8'/></fallback>`},
		{name: "reaction and its fallback beyond the end", in: reactions + `<body>👍</body>` + wholeReacton + `<body start='0' end='4000000000'/><body start='0' end='99'/></fallback>`},
		{name: "reaction and its fallback in two languages", in: reactions + `<body>👍</body><body xml:lang='de'>Daumen</body>` + wholeReacton + `<body/></fallback>`},
		{name: "reaction and its fallback between spaces", in: reactions + `<body> 👍
 </body>` + wholeReacton + `<body start='1' end='2'/></fallback>`},
		{name: "reaction and a fallback of spaces", in: reactions + `<body>  </body>` + wholeReacton + `<body start='1' end='1'/></fallback>`},
		{name: "reaction, older mark", in: reactions + `<body>👍</body><fallback xmlns='urn:xmpp:fallback:0'/>`},
		{name: "reaction and a text", in: reactions + `<body>👍 and more</body>` + wholeReacton + `<body start='0' end='1'/></fallback>`, bodies: said("👍 and more")},
		{name: "reaction and a text before it", in: reactions + `<body>more 👍</body>` + wholeReacton + `<body start='5' end='6'/></fallback>`, bodies: said("more 👍")},
		{name: "reaction and a text that nothing marks", in: reactions + `<body>yes</body>`, bodies: said("yes")},
		{name: "reaction and a mark for something else", in: reactions + `<body>yes</body><fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:reply:0'/>`, bodies: said("yes")},
		{name: "reaction and a mark upside down", in: reactions + `<body>yes</body>` + wholeReacton + `<body start='3' end='1'/><subject/></fallback>`, bodies: said("yes")},
		{name: "reaction and a mark of nonsense", in: reactions + `<body>yes</body>` + wholeReacton + `<body start='1' end='-1'/></fallback>`, bodies: said("yes")},
		{name: "a fallback without reaction", in: `<body>👍</body>` + wholeReacton + `</fallback>`, bodies: said("👍")},

		// What others said.
		{name: "forwarded", in: forwarded},
		{name: "forwarded with a comment", in: `<body>mine</body>` + forwarded, bodies: said("mine")},
		{name: "carbon copy", in: `<sent xmlns='urn:xmpp:carbons:2'>` + forwarded + `</sent>`},
		{name: "archive", in: `<result xmlns='urn:xmpp:mam:2' id='1'>` + forwarded + `</result>`},
		{name: "event", in: `<event xmlns='http://jabber.org/protocol/pubsub#event'><items node='n'><item><body xmlns='jabber:client'>x</body></item></items></event>`},
		{name: "invitation", in: invitation + `<x xmlns='http://jabber.org/protocol/muc#user'><invite from='a@example.com'><reason>come</reason></invite></x>`},
		{name: "invitation with a text", in: `<body>come</body>` + invitation, bodies: said("come")},
		{name: "receipt", in: `<received xmlns='urn:xmpp:receipts' id='1'/>`},
		{name: "markup", in: `<html xmlns='http://jabber.org/protocol/xhtml-im'><body xmlns='http://www.w3.org/1999/xhtml'><p>x</p></body></html>`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := messageOf(parse(t, `<message xmlns='jabber:component:accept' from='a@b' to='c@d' id='i'>`+tt.in+`</message>`))
			var bodies []string
			for _, b := range m.Bodies {
				bodies = append(bodies, b.Value)
			}
			delay := ""
			if !m.Delay.IsZero() {
				delay = m.Delay.Format(time.RFC3339Nano)
			}
			if d := cmp.Diff(tt.bodies, bodies); d != "" {
				t.Errorf("bodies: -want +got\n%s", d)
			}
			if d := cmp.Diff(tt.urls, m.URLs); d != "" {
				t.Errorf("links: -want +got\n%s", d)
			}
			if delay != tt.delay || m.Encrypted != tt.encrypted {
				t.Errorf("delay %q, encrypted %t; want %q, %t", delay, m.Encrypted, tt.delay, tt.encrypted)
			}
			if m.Markup != nil || m.Nick != "" || m.Device {
				t.Errorf("what only goes to XMPP was read: %+v", m)
			}
		})
	}
}

// The reader is everybody's: how long a stanza keeps it must not grow with the length of
// the text times the number of marks.
func TestFallbackMarksAreCheap(t *testing.T) {
	mark := `<fallback xmlns='urn:xmpp:fallback:0'><body start='1' end='2'/></fallback>`
	st := parse(t, `<message xmlns='jabber:component:accept'>`+reactions+`<body>`+strings.Repeat("x", 100<<10)+`</body>`+strings.Repeat(mark, 400)+`</message>`)
	bodies := []mapping.Text{{Value: strings.Repeat("x", 100<<10)}}
	if n := testing.AllocsPerRun(1, func() { bodies = withoutReaction(st, bodies) }); n > 10 || len(bodies) != 1 {
		t.Errorf("%v allocations for 400 marks, %d bodies left", n, len(bodies))
	}
}

// Who says nothing to a person is neither handed over nor answered; who says something
// by other means than a body is.
func TestSilentStanzas(t *testing.T) {
	r, conn := memory(t, xmpptest.Options{}, nil)
	silent := []string{omemoKey + sayOMEMO, reactions, reactions + `<body>👍</body>` + wholeReacton + `</fallback>`, forwarded, invitation,
		`<delay xmlns='urn:xmpp:delay' stamp='2026-01-15T09:00:00Z'/>`, `<subject>only that</subject>`, `<body/>`, `<x xmlns='jabber:x:oob'><url/></x>`}
	for _, typ := range []string{"chat", "groupchat", "headline"} {
		for _, s := range silent {
			send(t, conn, fmt.Sprintf(`<message from='juliet@example.com/b' to='romeo@sip.example.com' id='i' type='%s'>%s</message>`, typ, s))
			if got := fence(t, conn); len(got) != 0 {
				t.Errorf("%s: answered with %v", s, got)
			}
		}
	}
	if n, _ := r.sink.count(); n != 0 {
		t.Fatalf("%d messages were handed over", n)
	}
	for i, s := range []string{omemoText, `<x xmlns='jabber:x:oob'><url>https://example.com/</url></x>`} {
		send(t, conn, `<message from='juliet@example.com/b' to='romeo@sip.example.com' id='i'>`+s+`</message>`)
		if got := r.sink.wait(i + 1); len(got[i].Bodies) != 0 {
			t.Errorf("%+v", got[i])
		}
	}
	send(t, conn, `<message from='juliet@example.com/b' to='romeo@sip.example.com' id='i' type='groupchat'>`+omemoText+`</message>`)
	if got := fence(t, conn); len(got) != 1 || got[0].Condition != string(mapping.CondServiceUnavailable) {
		t.Errorf("a room's message: %v", got)
	}
}

// messageOf is what a message says.
func messageOf(e *element) *mapping.XMPPMessage {
	h := e.head()
	return readMessage(e, &h)
}

// What the tag of a stanza says in one go is what it says one by one, also where a prefix of
// its own stands for that of XML.
func TestHead(t *testing.T) {
	for _, tag := range []string{
		`<message/>`,
		`<message from='a' to='b' id='c' type='d' xml:lang='e'/>`,
		`<message xml:lang='e' type='chat' id='' to='b&amp;' from='a'/>`,
		`<message xmlns:p='http://www.w3.org/XML/1998/namespace' p:lang='1' xml:lang='2' p:id='3' lang='4'/>`,
		`<message xmlns:p='http://www.w3.org/XML/1998/namespace' xml:lang='' p:lang='2' xmlns:q='u' q:from='x' q:to='y' q:type='z'/>`,
	} {
		e := parse(t, tag)
		want := head{e.attr("from"), e.attr("to"), e.attr("id"), e.attr("type"), e.lang()}
		if got := e.head(); got != want {
			t.Errorf("%s: %+v, want %+v", tag, got, want)
		}
	}
}
