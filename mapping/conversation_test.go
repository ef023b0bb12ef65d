package mapping

import (
	"slices"
	"testing"
)

// A conversation through a trunk stays one conversation, in whatever form the trunk
// writes the numbers of its answers (ADDR-16, ADDR-25, ADDR-26).
func TestTrunkConversation(t *testing.T) {
	juliet, plain := MustParseJID("juliet@example.com"), MustParseJID("mercutio@example.com")
	for _, c := range []struct {
		name  string
		route RouteRule
		did   string   // the alias of juliet
		peer  string   // E.164
		dial  string   // how a message to it leaves
		from  []string // how the peer may stand in the From of an answer
		to    []string // how juliet's number may stand in its Request-URI
	}{
		{"ten digits", RouteRule{Numbers: "nanp10", From: "alias"}, "+12125550100", "+15555550123", "5555550123",
			[]string{"5555550123", "15555550123", "+15555550123", "(555)555-0123", "+1-555-555-0123"},
			[]string{"2125550100", "12125550100", "+12125550100"}},
		{"ten digits, the DID in ten digits", RouteRule{Numbers: "nanp10", From: "alias"}, "2125550100", "+15555550123", "5555550123",
			[]string{"5555550123", "15555550123", "+15555550123"},
			[]string{"2125550100", "12125550100", "+12125550100"}},
		{"ten digits, abroad", RouteRule{Numbers: "nanp10", From: "alias"}, "+12125550100", "+442079460123", "011442079460123",
			[]string{"011442079460123", "+442079460123"},
			[]string{"2125550100", "12125550100", "+12125550100"}},
		{"national, country code 1", RouteRule{Numbers: "national", Country: "CA", From: "alias"}, "+14165550100", "+15555550123", "15555550123",
			[]string{"5555550123", "15555550123", "+15555550123"},
			[]string{"4165550100", "14165550100", "+14165550100"}},
		{"national", RouteRule{Numbers: "national", Country: "DE", From: "alias"}, "+4930901820", "+491711234567", "01711234567",
			[]string{"01711234567", "00491711234567", "+491711234567", "0171-1234567"},
			[]string{"030901820", "004930901820", "+4930901820"}},
		{"national, without a trunk prefix", RouteRule{Numbers: "national", Country: "ES", From: "alias"}, "+34910123456", "+34612345678", "612345678",
			[]string{"612345678", "0034612345678", "+34612345678"},
			[]string{"910123456", "0034910123456", "+34910123456"}},
		{"E.164, national forms read", RouteRule{Numbers: "e164", Country: "GB", From: "alias"}, "+442079460100", "+447700900123", "+447700900123",
			[]string{"+447700900123", "07700900123", "00447700900123"},
			[]string{"+442079460100", "02079460100"}},
		{"E.164 alone", RouteRule{From: "alias"}, "+442079460100", "+447700900123", "+447700900123",
			[]string{"+447700900123", "+44-7700-900123"},
			[]string{"+442079460100"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.route.Domain = "sms.example.net"
			r, err := NewRules(RulesConfig{
				GatewayDomain: "sip.example.com", SIPHost: "gw.example.com", UserDomains: []string{"example.com"},
				DefaultSIPDomain: "pbx.example.net", PhoneDomain: "sms.example.net", Routes: []RouteRule{c.route},
				Aliases: []Alias{{SIP: MustParseURI("sip:" + c.did + "@sms.example.net;user=phone"), XMPP: juliet}},
			})
			if err != nil {
				t.Fatal(err)
			}
			contact := MustParseJID(c.peer + "@sip.example.com")
			out, err := r.ToSIP(&XMPPMessage{From: mustResource(t, juliet, "balcony"), To: contact, Bodies: []Text{{Value: "Romeo?"}}})
			if err != nil || len(out) != 1 {
				t.Fatal(out, err)
			}
			sent := out[0].(*SIPMessage)
			if got, want := sent.RequestURI.String(), "sip:"+c.dial+"@sms.example.net;user=phone"; got != want {
				t.Errorf("it goes to %s, want %s", got, want)
			}
			if got, want := sent.From.String(), "sip:"+c.did+"@sms.example.net;user=phone"; got != want {
				t.Errorf("it comes from %s, want %s", got, want)
			}

			answers := 0
			for _, from := range append(slices.Clone(c.from), sent.RequestURI.User) {
				for _, to := range append(slices.Clone(c.to), sent.From.User) {
					for _, param := range []string{"", ";user=phone"} {
						back, err := r.ToXMPP(&SIPMessage{
							From: MustParseURI("sip:" + from + "@sms.example.net" + param), RequestURI: MustParseURI("sip:" + to + "@sms.example.net" + param),
							ContentType: "text/plain", Body: []byte("I take thee at thy word."),
						})
						if err != nil || len(back) != 1 {
							t.Fatalf("from %s to %s%s: %v, %v", from, to, param, back, err)
						}
						m := back[0].(*XMPPMessage)
						if m.From != contact || m.To != juliet {
							t.Errorf("from %s to %s%s: from %s to %s", from, to, param, m.From, m.To)
						}
						answers++
					}
				}
			}
			if want := 2 * (len(c.from) + 1) * (len(c.to) + 1); answers != want {
				t.Errorf("%d answers, want %d", answers, want)
			}

			// The conversation is the same from the other end: the alias is who writes there,
			// and nobody in SIP can write as that number.
			for _, to := range c.to {
				if _, err := r.Sender(MustParseURI("sip:" + to + "@sms.example.net")); ReasonOf(err) != ReasonForbidden {
					t.Errorf("%s can be played from SIP: %v", to, err)
				}
			}
			// A user without an alias stays who it is, also on a route with from = "alias".
			if u, err := r.SIPIdentity(plain, "sms.example.net"); err != nil || u.String() != "sip:mercutio@example.com" {
				t.Errorf("mercutio is %s, %v", u, err)
			}
		})
	}
}

// from = "alias" is for that route alone; elsewhere the user has its own address, unless
// the alias is of the SIP domain itself.
func TestWhoseIdentity(t *testing.T) {
	juliet := MustParseJID("juliet@example.com/balcony")
	r, err := NewRules(RulesConfig{
		GatewayDomain: "sip.example.com", SIPHost: "gw.example.com", UserDomains: []string{"example.com"},
		DefaultSIPDomain: "pbx.example.net", PhoneDomain: "sms.example.net",
		Routes: []RouteRule{{Domain: "sms.example.net", Country: "US", From: "alias"}, {Domain: "other.example", From: "alias"}, {Domain: "*", From: "user"}},
		Aliases: []Alias{
			{SIP: MustParseURI("sip:+12125550100@sms.example.net;user=phone"), XMPP: juliet.Bare()},
			{SIP: MustParseURI("sip:7001@pbx.example.net"), XMPP: juliet.Bare()},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	for toward, want := range map[string]string{
		"sms.example.net": "sip:+12125550100@sms.example.net;user=phone", // its route, and its domain
		"pbx.example.net": "sip:7001@pbx.example.net",                    // its domain
		"other.example":   "sip:+12125550100@sms.example.net;user=phone", // the first alias: the route asks for one
		"example.org":     "sip:juliet@example.com;gr=balcony",
		"":                "sip:juliet@example.com;gr=balcony",
	} {
		if u, err := r.SIPIdentity(juliet, toward); err != nil || u.String() != want {
			t.Errorf("toward %q: %s, %v; want %s", toward, u, err, want)
		}
	}
	for _, in := range []string{"sip:+12125550100@sms.example.net", "sip:2125550100@sms.example.net", "tel:+1-212-555-0100", "sip:7001@pbx.example.net", "sip:juliet@example.com"} {
		if j, err := r.Recipient(MustParseURI(in)); err != nil || j != juliet.Bare() {
			t.Errorf("%s is %s, %v", in, j, err)
		}
	}
}

func mustResource(t *testing.T, j JID, resource string) JID {
	t.Helper()
	full, err := j.WithResource(resource)
	if err != nil {
		t.Fatal(err)
	}
	return full
}
