package mapping

import (
	"strings"
	"testing"
)

// SEC-13: access.allow.
func TestAccess(t *testing.T) {
	a, err := NewAccess([]string{"example.com", "Nurse@Elsewhere.example/phone", "capulet.example"})
	if err != nil {
		t.Fatal(err)
	}
	for s, want := range map[string]bool{
		"example.com":                    true,
		"juliet@example.com":             true,
		"juliet@example.com/balcony":     true,
		"EXAMPLE.com":                    true,
		"juliet@sub.example.com":         false,
		"juliet@notexample.com":          false,
		"com":                            false,
		"nurse@elsewhere.example":        true,
		"nurse@elsewhere.example/tablet": true,
		"nurse2@elsewhere.example":       false,
		"elsewhere.example":              false,
		"elsewhere.example/nurse":        false,
		"example.com@elsewhere.example":  false,
		"capulet.example/x":              true,
	} {
		if got := a.Allows(MustParseJID(s)); got != want {
			t.Errorf("%s: %v, want %v", s, got, want)
		}
	}
	if a.Allows(JID{}) {
		t.Error("no address at all is allowed")
	}

	all, err := NewAccess([]string{"example.com", "*"})
	if err != nil {
		t.Fatal(err)
	}
	if !all.Allows(MustParseJID("anybody@anywhere.example")) || all.Allows(JID{}) {
		t.Error(`"*" is everybody with an address`)
	}

	none, err := NewAccess(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []Access{none, {}} {
		if a.Allows(MustParseJID("juliet@example.com")) {
			t.Error("an empty list allows somebody")
		}
	}
}

func TestAccessErrors(t *testing.T) {
	bad := []string{"", "@example.com", "a@", "*@example.com", "*.example.com", "a b@example.com"}
	a, err := NewAccess(append(bad, "example.com"))
	if err == nil {
		t.Fatal("no error")
	}
	for _, s := range bad {
		if !strings.Contains(err.Error(), `"`+s+`"`) {
			t.Errorf("%q is not named in: %v", s, err)
		}
	}
	if a.Allows(MustParseJID("a@example.com")) {
		t.Error("a list with errors allows somebody")
	}
}

// SEC-13: access closes an address whatever else is wrong with it, and says nothing of those
// of nobody.
func TestDenies(t *testing.T) {
	rules, err := NewRules(RulesConfig{GatewayDomain: "sip.example.com", SIPHost: "gw.example.com", UserDomains: []string{"example.com", "example.org"}, DefaultSIPDomain: "example.net"})
	if err != nil {
		t.Fatal(err)
	}
	access, err := NewAccess([]string{"juliet@example.com", "example.org"})
	if err != nil {
		t.Fatal(err)
	}
	for uri, want := range map[string]bool{
		"sip:juliet@example.com":                  false,
		"sips:juliet@example.com":                 false,
		"sip:nurse@example.com":                   true,
		"sips:nurse@example.com":                  true,
		"sip:example.com":                         true, // not everybody there may be reached
		"sip:anybody@example.org":                 false,
		"sip:juliet%40example.com@gw.example.com": false,
		"sip:nurse%40example.com@gw.example.com":  true,
		"sip:romeo@example.net":                   false, // nobody's: what is wrong with it is told
	} {
		u, err := ParseURI(uri)
		if err != nil && !strings.HasPrefix(uri, "sips:") {
			t.Fatal(err)
		}
		if err != nil {
			u = MustParseURI("sip" + strings.TrimPrefix(uri, "sips"))
			u.Scheme = "sips"
		}
		if got := rules.Denies(access, &SIPMessage{RequestURI: u, To: u}); got != want {
			t.Errorf("a message to %s: %t, want %t", uri, got, want)
		}
		if got := rules.DeniesWatch(access, &SIPEvent{RequestURI: u, To: u}); got != want {
			t.Errorf("a SUBSCRIBE to %s: %t, want %t", uri, got, want)
		}
	}
}
