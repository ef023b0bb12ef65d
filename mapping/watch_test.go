package mapping

import "testing"

func watchRules(t *testing.T) *Rules {
	t.Helper()
	rules, err := NewRules(RulesConfig{
		GatewayDomain:    "sip.example.com",
		SIPHost:          "gw.example.com",
		UserDomains:      []string{"example.com"},
		DefaultSIPDomain: "voip.example",
		Domains:          []DomainPair{{XMPP: "example.net", SIP: "example.net"}},
		Aliases:          []Alias{{SIP: MustParseURI("sip:7001@trunk.example"), XMPP: MustParseJID("juliet@example.com")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

// Who watches whom is found as who writes to whom is.
func TestWatchOf(t *testing.T) {
	const nobody = Reason("")
	for _, tt := range []struct {
		name, uri, from, display string
		user, contact, nick      string
		reason                   Reason
	}{
		{"a user of ours", "sip:juliet@example.com", "sip:romeo@example.net", "", "juliet@example.com", "romeo@example.net", "", nobody},
		{"devices do not count", "sip:juliet@example.com;gr=balcony", "sip:romeo@example.net;gr=orchard", "Romeo M.", "juliet@example.com", "romeo@example.net", "Romeo M.", nobody},
		{"a name that says no more than the address", "sip:juliet@example.com", "sip:romeo@example.net", "romeo", "juliet@example.com", "romeo@example.net", "", nobody},
		{"a guest", "sip:juliet%40capulet.example@gw.example.com", "sip:romeo@example.net", "", "juliet@capulet.example", "romeo@example.net", "", nobody},
		{"an alias", "sip:7001@trunk.example", "sip:romeo@example.net", "", "juliet@example.com", "romeo@example.net", "", nobody},
		{"the default domain", "sip:juliet@example.com", "sip:100@voip.example", "", "juliet@example.com", "100@sip.example.com", "", nobody},
		{"a SIP account", "sip:mercutio@example.net", "sip:romeo@example.net", "", "", "", "", ReasonNotServed},
		{"a domain", "sip:example.com", "sip:romeo@example.net", "", "", "", "", ReasonNotServed},
		{"the gateway", "sip:gw.example.com", "sip:romeo@example.net", "", "", "", "", ReasonGatewayItself},
		{"under a user's address (SEC-28)", "sip:juliet@example.com", "sip:nurse@example.com", "", "", "", "", ReasonForbidden},
		{"under a domain's address", "sip:juliet@example.com", "sip:example.net", "", "", "", "", ReasonForbidden},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, err := watchRules(t).WatchOf(&SIPEvent{RequestURI: MustParseURI(tt.uri), To: MustParseURI(tt.uri), From: MustParseURI(tt.from), Name: tt.display})
			if got := ReasonOf(err); got != tt.reason {
				t.Fatalf("reason %q (%v), want %q", got, err, tt.reason)
			}
			if w.User.String() != tt.user || w.Contact.String() != tt.contact || w.Nick != tt.nick {
				t.Errorf("got %v watched by %v, called %q", w.User, w.Contact, w.Nick)
			}
		})
	}
}

// A SUBSCRIBE that comes to us as the contact of a registration is for the alias with the
// number in it.
func TestWatchOfRegistered(t *testing.T) {
	v := &SIPEvent{RequestURI: MustParseURI("sip:7001@192.0.2.1:5060"), To: MustParseURI("sip:7001@192.0.2.1"), From: MustParseURI("sip:romeo@example.net"), Here: true}
	w, err := watchRules(t).WatchOf(v)
	if err != nil || w.User.String() != "juliet@example.com" {
		t.Errorf("got %v, %v", w.User, err)
	}
	v.Here = false
	if w, err := watchRules(t).WatchOf(v); ReasonOf(err) != ReasonNotServed {
		t.Errorf("got %v, %v for a socket that is not ours", w.User, err)
	}
}
