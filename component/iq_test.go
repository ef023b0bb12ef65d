package component

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/stoxgw/stox/internal/xmpptest"
	"github.com/stoxgw/stox/mapping"
)

// iqRules are the addresses that the tests of services go by.
func iqRules(t testing.TB) *mapping.Rules {
	t.Helper()
	r, err := mapping.NewRules(mapping.RulesConfig{
		GatewayDomain: testDomain, UserDomains: []string{"example.com"}, DefaultSIPDomain: "pbx.example.net", PhoneDomain: "pstn.example.net",
		Domains: []mapping.DomainPair{{XMPP: "net.sip.example.com", SIP: "example.net"}},
		Routes:  []mapping.RouteRule{{Domain: "pstn.example.net", Country: "US", Numbers: "nanp10"}},
		Aliases: []mapping.Alias{{SIP: mapping.MustParseURI("sip:+12125550100@pstn.example.net"), XMPP: mapping.MustParseJID("juliet@example.com")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// withServices lets users of example.com ask a component that has everything.
func withServices(t testing.TB) func(*Config) {
	rules := iqRules(t)
	return func(c *Config) {
		c.Name, c.Version = "Bob's <gateway>", "1.2"
		c.Allow = func(j mapping.JID) bool { return j.Domain() == "example.com" }
		c.Contact, c.Prompt, c.Numbers = rules.SIPAddress, rules.Prompt, true
		c.ContactFeatures = []string{FeatureReceipts, FeatureMarkers, FeatureChatStates}
	}
}

// iqCase is a question, and its only answer. in is a whole stanza without addresses and
// id, or, if it begins with another element, the payload of a get.
type iqCase struct {
	name, to, in string
	typ, want    string // the payload of a result, type/condition of an error; typ "": no answer
}

const iqFrom = "juliet@example.com/b"

func (c iqCase) run(t *testing.T, conn *xmpptest.Conn) {
	t.Helper()
	in := c.in
	if !strings.HasPrefix(in, "<iq") {
		in = "<iq type='get'>" + in + "</iq>"
	}
	attrs := fmt.Sprintf("<iq from='%s' to='%s' id='i1' ", iqFrom, c.to)
	checkAnswer(t, conn, strings.Replace(in, "<iq ", attrs, 1), c)
}

// checkAnswer sends a whole stanza and looks at what comes.
func checkAnswer(t *testing.T, conn *xmpptest.Conn, in string, c iqCase) {
	t.Helper()
	send(t, conn, in)
	got := fence(t, conn)
	if c.typ == "" {
		if len(got) != 0 {
			t.Errorf("answered %s", got[0].Raw)
		}
		return
	}
	if len(got) != 1 {
		t.Fatalf("%d answers", len(got))
	}
	st := got[0]
	asked := parse(t, strings.Replace(in, "<iq", "<iq xmlns='jabber:component:accept'", 1))
	if st.Name != "iq" || st.Type != c.typ || st.ID != asked.attr("id") || st.To != asked.attr("from") {
		t.Errorf("answer is %s", st.Raw)
	}
	if to := asked.attr("to"); to != "@sip.example.com" && st.From != to {
		t.Errorf("answer comes from %s", st.From)
	}
	if c.typ == "error" {
		if s := st.ErrorType + "/" + st.Condition; s != c.want {
			t.Errorf("got %s, want %s", s, c.want)
		}
		return
	}
	_, rest, _ := strings.Cut(st.Raw, ">")
	if inner := strings.TrimSuffix(rest, "</iq>"); inner != c.want {
		t.Errorf("\n got %s\nwant %s", inner, c.want)
	}
}

const (
	askInfo     = `<query xmlns='http://jabber.org/protocol/disco#info'/>`
	askItems    = `<query xmlns='http://jabber.org/protocol/disco#items'/>`
	askPing     = `<ping xmlns='urn:xmpp:ping'/>`
	askSoftware = `<query xmlns='jabber:iq:version'/>`
	askLast     = `<query xmlns='jabber:iq:last'/>`
	askVCard    = `<vCard xmlns='vcard-temp'/>`
	askVCard4   = `<vcard xmlns='urn:ietf:params:xml:ns:vcard-4.0'/>`
	askPrompt   = `<query xmlns='jabber:iq:gateway'/>`
	askAvatar   = `<pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:xmpp:avatar:metadata'/></pubsub>`
)

const (
	gateway = testDomain
	romeo   = "romeo@sip.example.com"
)

// TestIQ: GW-01, GW-11, GW-12, GW-15, GW-16, GW-26, SEC-13. Every get and set has exactly
// one answer.
func TestIQ(t *testing.T) {
	r, conn := memory(t, xmpptest.Options{}, withServices(t))
	for _, c := range []iqCase{
		{"ping", gateway, askPing, "result", ""},
		{"ping a resource", gateway + "/x", askPing, "result", ""},
		{"version", gateway, askSoftware, "result", `<query xmlns='jabber:iq:version'><name>stox</name><version>1.2</version></query>`},
		{"version of a resource", gateway + "/x", askSoftware, "error", "cancel/service-unavailable"},
		{"prompt of a resource", gateway + "/x", askPrompt, "error", "cancel/service-unavailable"},
		{"unknown payload", gateway, `<query xmlns='urn:odd'/>`, "error", "cancel/service-unavailable"},
		{"a known name in another namespace", gateway, `<ping xmlns='urn:odd'/>`, "error", "cancel/service-unavailable"},
		{"another name in a known namespace", gateway, `<pong xmlns='urn:xmpp:ping'/>`, "error", "cancel/service-unavailable"},
		{"registration", gateway, `<query xmlns='jabber:iq:register'/>`, "error", "cancel/service-unavailable"},
		{"a set of what is only told", gateway, `<iq type='set'>` + askSoftware + `</iq>`, "error", "cancel/service-unavailable"},
		{"avatar", gateway, askAvatar, "error", "cancel/service-unavailable"},

		{"contact, ping", romeo, askPing, "result", ""},
		{"contact, ping a resource", romeo + "/r", askPing, "error", "cancel/service-unavailable"},
		{"contact, version", romeo, askSoftware, "error", "cancel/service-unavailable"},
		{"contact, version of a resource", romeo + "/r", askSoftware, "error", "cancel/service-unavailable"},
		{"contact, last activity", romeo, askLast, "error", "cancel/service-unavailable"},
		{"contact, items", romeo, askItems, "error", "cancel/service-unavailable"},
		{"contact, prompt", romeo, askPrompt, "error", "cancel/service-unavailable"},
		{"contact, avatar", romeo, askAvatar, "error", "cancel/service-unavailable"},
		{"contact, a file", romeo + "/r", `<iq type='set'><jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' sid='s'/></iq>`, "error", "cancel/service-unavailable"},
		{"contact, set of a ping", romeo, `<iq type='set'>` + askPing + `</iq>`, "error", "cancel/service-unavailable"},
		{"contact, another spelling", `romeo\40pbx.example.net@sip.example.com`, askPing, "error", "cancel/item-not-found"},
		{"contact, no address", `romeo\40@sip.example.com`, askPing, "error", "modify/jid-malformed"},
		{"contact, no address, unknown payload", `romeo\40@sip.example.com`, `<query xmlns='urn:odd'/>`, "error", "modify/jid-malformed"},
		{"contact, an alias", "+12125550100@sip.example.com", askPing, "error", "cancel/item-not-found"},
		{"contact, bad address", "@sip.example.com", askPing, "error", "modify/jid-malformed"},

		{"no child", gateway, "<iq type='get'></iq>", "error", "modify/bad-request"},
		{"two children", gateway, askPing + askPing, "error", "modify/bad-request"},
		{"contact, two children", romeo, askPing + askPing, "error", "modify/bad-request"},
		{"text only", gateway, "<iq type='get'>x</iq>", "error", "modify/bad-request"},
		{"odd type", gateway, `<iq type='give'>` + askPing + `</iq>`, "error", "modify/bad-request"},
		{"contact, odd type", romeo, `<iq type='give'>` + askPing + `</iq>`, "error", "modify/bad-request"},
		{"no type", gateway, `<iq >` + askPing + `</iq>`, "error", "modify/bad-request"},
		{"huge", gateway, askPing + strings.Repeat(" ", 256<<10), "error", "modify/policy-violation"},
		{"contact, huge", romeo, `<vCard xmlns='vcard-temp'><FN>` + strings.Repeat("x", 256<<10) + `</FN></vCard>`, "error", "modify/policy-violation"},
		{"result", gateway, `<iq type='result'>` + askPing + `</iq>`, "", ""},
		{"error", gateway, `<iq type='error'>` + askPing + `</iq>`, "", ""},
		{"contact, result", romeo, `<iq type='result'/>`, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, conn) })
	}
	t.Run("no id", func(t *testing.T) {
		checkAnswer(t, conn, `<iq type='get' from='juliet@example.com/b' to='romeo@sip.example.com'>`+askPing+`</iq>`, iqCase{typ: "error", want: "modify/bad-request"})
	})
	if n, _ := r.sink.count(); n != 0 {
		t.Error("an iq reached the handler")
	}
}

// Strangers learn nothing, not even whether there is something to learn (SEC-13): to each
// question, however odd, they get the same answer.
func TestIQStrangers(t *testing.T) {
	_, conn := memory(t, xmpptest.Options{}, withServices(t))
	for _, to := range []string{gateway, gateway + "/x", romeo, romeo + "/r", `romeo\40@sip.example.com`, "+12125550100@sip.example.com"} {
		for _, in := range []string{askInfo, askItems, askPing, askSoftware, askLast, askVCard, askVCard4, askPrompt, askAvatar, "<query xmlns='urn:odd'/>", "", askPing + askPing} {
			for _, typ := range []string{"get", "set"} {
				checkAnswer(t, conn, fmt.Sprintf(`<iq type='%s' id='s1' from='mallory@evil.example/b' to='%s'>%s</iq>`, typ, to, in), iqCase{typ: "error", want: "auth/forbidden"})
			}
		}
		checkAnswer(t, conn, fmt.Sprintf(`<iq type='result' id='s1' from='mallory@evil.example/b' to='%s'>%s</iq>`, to, askInfo), iqCase{})
	}
}

// Without a way to know contacts and addresses there is nothing to say of them, and
// nothing is announced.
func TestIQWithoutContacts(t *testing.T) {
	_, conn := memory(t, xmpptest.Options{}, nil)
	for _, c := range []iqCase{
		{"ping", gateway, askPing, "result", ""},
		{"info", gateway, askInfo, "result", `<query xmlns='http://jabber.org/protocol/disco#info'><identity category='gateway' type='simple' name='SIP gateway'/>` +
			features(`http://jabber.org/protocol/caps`, `http://jabber.org/protocol/disco#info`, `http://jabber.org/protocol/disco#items`,
				`jabber:iq:last`, `jabber:iq:version`, `jid\20escaping`, `urn:ietf:params:xml:ns:vcard-4.0`, `urn:xmpp:ping`, `vcard-temp`) + `</query>`},
		{"prompt", gateway, askPrompt, "error", "cancel/service-unavailable"},
		{"contact, info", romeo, askInfo, "error", "cancel/service-unavailable"},
		{"contact, ping", romeo, askPing, "error", "cancel/service-unavailable"},
		{"contact, vcard", romeo, askVCard, "error", "cancel/service-unavailable"},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, conn) })
	}
}

// XEP-0012: the time since the component came to be.
func TestLastActivity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, conn := memory(t, xmpptest.Options{}, withServices(t))
		time.Sleep(75*time.Second + 300*time.Millisecond)
		iqCase{"last", gateway, askLast, "result", `<query xmlns='jabber:iq:last' seconds='75'/>`}.run(t, conn)
		iqCase{"set", gateway, "<iq type='set'>" + askLast + "</iq>", "error", "cancel/service-unavailable"}.run(t, conn)
		r.stop()
	})
}

// TestIQWellFormed: SEC-20. Whoever asks what, for whatever address, the answers are XML
// and each has the id of its question.
func TestIQWellFormed(t *testing.T) {
	_, conn := memory(t, xmpptest.Options{}, withServices(t))
	locals := []string{"romeo", "+12125550123", "+1;ext=5", `o\27malley`, `a\3cb\3e\26\40example.org`, `x\22y`, "fü", `b\40[2001\3adb8\3a\3a9]\3a5070`, `\40`, "7042;phone-context=example.com", `a\2fb`}
	payloads := []string{askInfo, askItems, askPing, askSoftware, askLast, askVCard, askVCard4, askPrompt,
		`<query xmlns='http://jabber.org/protocol/disco#info' node='%s'/>`, `<query xmlns='jabber:iq:gateway'><prompt>%s</prompt></query>`}
	text := rapid.OneOf(rapid.String(), rapid.SampledFrom(locals), rapid.StringMatching(`[+]?[0-9 ()-]{3,14}`), rapid.StringMatching(`[a-z<>&'"/:]{1,9}@[a-z]{1,9}\.example`))
	rapid.Check(t, func(rt *rapid.T) {
		to := testDomain
		if rapid.Bool().Draw(rt, "contact") {
			to = rapid.SampledFrom(locals).Draw(rt, "local") + "@" + to
		}
		if rapid.Bool().Draw(rt, "resource") {
			to += "/r'<&"
		}
		payload := rapid.SampledFrom(payloads).Draw(rt, "payload")
		if strings.Contains(payload, "%s") {
			payload = fmt.Sprintf(payload, appendEscaped(nil, text.Draw(rt, "text"), true))
		}
		id := rapid.OneOf(rapid.Just("i'<1>"), rapid.StringN(1, 20, 80)).Draw(rt, "id")
		typ := rapid.SampledFrom([]string{"get", "set"}).Draw(rt, "type")
		b := appendOpen(nil, "iq", iqFrom, to, id, typ)
		b = append(append(b, '>'), payload+"</iq>"...)
		send(t, conn, string(b))
		got := fence(t, conn)
		if len(got) != 1 {
			rt.Fatalf("%s has %d answers", b, len(got))
		}
		asked, answer := parse(t, string(b)), parse(t, got[0].Raw)
		if answer.attr("id") != asked.attr("id") || answer.attr("to") != iqFrom || len(answer.children) > 1 {
			rt.Fatalf("%s is answered %s", b, got[0].Raw)
		}
	})
}

// A ping from our own name that this link has not sent is answered like any other.
func TestForeignPingFromOurDomain(t *testing.T) {
	_, conn := memory(t, xmpptest.Options{NoEcho: true}, nil)
	send(t, conn, `<iq type='get' from='sip.example.com' to='sip.example.com' id='x-1'><ping xmlns='urn:xmpp:ping'/></iq>`)
	if st := conn.Next(); st.ID != "x-1" || st.Type != "result" || st.To != testDomain {
		t.Errorf("got %s", st.Raw)
	}
}
