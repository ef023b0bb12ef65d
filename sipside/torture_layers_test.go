package sipside

import (
	"testing"
	"testing/synctest"

	"github.com/stoxgw/stox/mapping"
)

// RFC 4475 §3.2 to §3.4: transactions, what the application has to make of a message, and
// clients of RFC 2543.
func tortureLayers() []tortured {
	const (
		uri  = "sip:juliet@example.com"
		from = "<sip:romeo@example.net>"
	)
	with := func(header string) string { return edited("Content-Type", header+"\nContent-Type") }
	return []tortured{
		{
			name: "badbranch", section: "3.2.1", what: "a branch that is the cookie and nothing else", text: edited("{branch}", "z9hG4bK"),
			udp: gets(200), tcp: gets(200), also: map[string]int{"OPTIONS": 200},
			why: "matched by the rules of RFC 2543 then, as the RFC allows: see TestBareCookie",
		},
		{
			name: "insuf", section: "3.3.1", what: "no To, From and Call-ID",
			text: edited("To: <sip:juliet@example.com>\n", "", "From: <sip:romeo@example.net>;tag=134161461246\n", "", "Call-ID: broken\n", ""),
			udp:  gets(400), tcp: gets(400), also: map[string]int{"INVITE": 400},
		},
		{
			name: "unkscm", section: "3.3.2", what: "a Request-URI of a kind that nobody knows", text: edited(uri, "nobodyKnowsThis:opaque"), udp: gets(416), tcp: gets(416), also: map[string]int{"OPTIONS": 416},
		},
		{
			name: "novelsc", section: "3.3.3", what: "a Request-URI that is no address of SIP", text: edited(uri, "soap.beep://192.0.2.103:3002"), udp: gets(416), tcp: gets(416), also: map[string]int{"OPTIONS": 416},
		},
		{
			name: "unksm2", section: "3.3.4", what: "such addresses in To and Contact", text: edited("<"+uri+">", "isbn:2983792873", "Content-Type", "Contact: <name:John_Smith>\nContent-Type"),
			udp: gets(200), tcp: gets(200), also: map[string]int{"REGISTER": 405}, is: []string{"To=" + uri},
			why: "To decides nothing (RFC 3261 §8.2.2.1)",
		},
		{
			name: "unksm2", section: "3.3.4", what: "and in From", text: edited(from, "<http://www.example.net>"), udp: gets(400), tcp: gets(400), also: map[string]int{"OPTIONS": 200},
			why: "who sends a MESSAGE has to be somebody that can be answered",
		},
		{
			name: "bext01", section: "3.3.5", what: "Require and Proxy-Require", text: with("Require: nothingSupportsThis, norThis\nProxy-Require: noProxy, anyProxy"),
			udp: gets(420), tcp: gets(420), also: map[string]int{"OPTIONS": 420}, has: []string{"Unsupported: nothingSupportsThis, norThis"},
		},
		{
			name: "invut", section: "3.3.6", what: "a Content-Type that nobody knows", text: edited("text/plain", "application/unknownformat"), answer: translated,
			udp: gets(415), tcp: gets(415), has: []string{"Accept: " + mapping.AcceptTypes}, also: map[string]int{"INVITE": 405}, is: []string{"type=application/unknownformat"},
		},
		{
			name: "regaut01", section: "3.3.7", what: "a scheme of authorization that nobody knows", text: with("Authorization: NoOneKnowsThisScheme opaque-data=here"),
			udp: gets(200), tcp: gets(200), also: map[string]int{"REGISTER": 405}, why: "nobody asked for it: the peer is known by its address",
		},
		{
			name: "multi01", section: "3.3.8", what: "headers twice that may stand once", text: with("CSeq: 59 {method}\nCall-ID: second\nFrom: sip:nurse@example.net;tag=2\nTo: sip:other@example.net\nMax-Forwards: 5"),
			udp: gets(400), tcp: gets(400), also: map[string]int{"INVITE": 400},
		},
		{name: "multi01", section: "3.3.8", what: "two CSeqs", text: with("CSeq: 59 {method}"), udp: gets(400), tcp: gets(400)},
		{name: "multi01", section: "3.3.8", what: "two Call-IDs", text: with("I: second"), udp: gets(400), tcp: gets(400)},
		{name: "multi01", section: "3.3.8", what: "two To", text: with("To: sip:other@example.net"), udp: gets(400), tcp: gets(400)},
		{name: "multi01", section: "3.3.8", what: "two From", text: with("From: sip:nurse@example.net;tag=2"), udp: gets(400), tcp: gets(400)},
		{name: "multi01", section: "3.3.8", what: "two Max-Forwards", text: with("Max-Forwards: 5"), udp: gets(400), tcp: gets(400)},
		{
			name: "mcl01", section: "3.3.9", what: "two lengths", text: edited("Content-Length: {length}", "Content-Length: 13\nContent-Length: 5"), udp: gets(400), tcp: fate{[]int{400}, ends}, also: nil,
		},
		{
			name: "zeromf", section: "3.3.11", what: "no hops left", text: edited("Max-Forwards: 7", "Max-Forwards: 0"), udp: gets(483), tcp: gets(483), also: map[string]int{"OPTIONS": 200},
			why: "the gateway would take a MESSAGE further, so it ends here as at a proxy; an OPTIONS is for the gateway itself",
		},
		{
			name: "cparam01", section: "3.3.12", what: "an unknown parameter of Contact", text: with("Contact: sip:+19725552222@gw1.example.net;unknownparam"), udp: gets(200), tcp: gets(200), also: map[string]int{"REGISTER": 405},
			why: "no registrar; what is read of the Contact of a redirection is in TestTortureAnswers",
		},
		{
			name: "cparam02", section: "3.3.13", what: "an unknown parameter of the address in it", text: with("Contact: <sip:+19725552222@gw1.example.net;unknownparam>"), udp: gets(200), tcp: gets(200), also: map[string]int{"REGISTER": 405},
			why: "as before",
		},
		{
			name: "regescrt", section: "3.3.14", what: "headers in the address in it", text: with("M: <sip:user@example.net?Route=%3Csip:sip.example.net%3E>"), udp: gets(200), tcp: gets(200), also: map[string]int{"REGISTER": 405},
			why: "as before",
		},
		{
			name: "sdp01", section: "3.3.15", what: "an Accept that nothing fits", text: with("Accept: text/nobodyKnowsThis"), udp: gets(200), tcp: gets(200), also: map[string]int{"OPTIONS": 200, "INVITE": 405},
			why: "406 is for answers that have a body; ours have none",
		},
		{
			name: "inv2543", section: "3.4.1", what: "RFC 2543: no branch, no Max-Forwards, no Content-Length, From without <>",
			text: edited(";rport;branch={branch}", "", "Max-Forwards: 7\n", "", "Content-Length: {length}\n", "", from, "sip:+13035551111@example.net;user=phone"),
			udp:  gets(200), tcp: fate{[]int{400}, ends}, is: []string{"body=hi"},
			why: "in a stream nothing else says where the message ends",
		},
		{
			name: "inv2543", section: "3.4.1", what: "RFC 2543: no tag in From", text: edited(";tag=134161461246", ""), udp: gets(400), tcp: gets(400), also: map[string]int{"INVITE": 400},
			why: "MESSAGE is younger than tags: no client of RFC 2543 sends one, and a repeat is known by its tag (IM-57)",
		},
	}
}

// translated answers as the bridge does to what has no form in XMPP.
func translated(m *mapping.SIPMessage) mapping.Outcome {
	rules, err := mapping.NewRules(mapping.RulesConfig{GatewayDomain: "sip.example.com", SIPHost: "gw.example.com", UserDomains: []string{"example.com"}, DefaultSIPDomain: "example.net"})
	if err != nil {
		panic(err)
	}
	if _, err := rules.ToXMPP(m); err != nil {
		return mapping.Outcome{Kind: mapping.Refused, Failure: asFailure(err)}
	}
	return processed(m)
}

// RFC 4475 §3.2.1: messages with a bare cookie for a branch are told apart by the rest of
// them, and a retransmission is still one.
func TestBareCookie(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBridge(processed)
		_, m := memUA(t, testConfig(), b)
		for _, id := range []string{"a", "b", "a", "b"} {
			m.in <- fromMem("z9hG4bK", "Call-ID: "+id)
		}
		synctest.Wait()
		if b.count() != 2 || len(m.all()) != 4 {
			t.Errorf("%d messages were handed over, %d answers", b.count(), len(m.all()))
		}
	})
}
