package mapping

import (
	"strings"
	"testing"
	"time"
)

func telephoneRules(t *testing.T, c RulesConfig) *Rules {
	t.Helper()
	c.GatewayDomain, c.UserDomains = "sip.example.com", []string{"example.com"}
	r, err := NewRules(c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestTelephone(t *testing.T) {
	trunk := telephoneRules(t, RulesConfig{DefaultSIPDomain: "example.net", PhoneDomain: "trunk.example", Routes: []RouteRule{
		{Domain: "trunk.example", Country: "DE", Numbers: "national", Hop: "sbc.trunk.example"}, {Domain: "other.example"}, {Domain: "second.example", Country: "US"},
	}})
	pbx := telephoneRules(t, RulesConfig{DefaultSIPDomain: "example.net", Routes: []RouteRule{{Domain: "*"}}})
	plain := telephoneRules(t, RulesConfig{DefaultSIPDomain: "example.net"})
	for _, c := range []struct {
		rules       *Rules
		uri, number string
		is          bool
		what        string
	}{
		{trunk, "sip:+4930123456@trunk.example;user=phone", "+4930123456", true, "in full"},
		{trunk, "sip:030123456@trunk.example;user=phone", "+4930123456", true, "as it is dialled"},
		{trunk, "sip:0044201234567@trunk.example", "+44201234567", true, "as it is dialled abroad"},
		{trunk, "sip:+4930123456@trunk.example:5070", "+4930123456", true, "at another port"},
		{trunk, "sip:+4930123456;ext=12@trunk.example", "+4930123456", true, "with an extension"},
		{trunk, "sip:110;phone-context=+49@trunk.example", "", true, "a local number"},
		{trunk, "sip:72252@trunk.example", "", true, "a short code"},
		{trunk, "sip:premium@trunk.example", "", true, "a trunk has nobody but telephones"},
		{trunk, "sip:+4930123456@sbc.trunk.example", "+4930123456", true, "at the next hop"},
		{trunk, "sip:+4930123456@192.0.2.9", "+4930123456", true, "at an IP address"},
		{trunk, "sip:+4930123456@[2001:db8::1]", "+4930123456", true, "at an IP address"},
		{trunk, "sip:+4930123456@[2001:db8::a]", "+4930123456", true, "at an IP address"},
		{trunk, "sip:romeo@192.0.2.9", "", false, "a user at an IP address"},
		{trunk, "sip:+4930123456@other.example", "", false, "another domain"},
		{trunk, "sip:+4930123456@example.net", "", false, "a domain of users"},
		{trunk, "sip:2125550123@second.example", "+12125550123", true, "a second trunk"},
		{trunk, "sip:romeo@second.example", "", false, "a user there"},
		{trunk, "sip:romeo@example.net", "", false, "a user"},
		{trunk, "sip:trunk.example", "", false, "a host"},
		{pbx, "sip:+15551234567@example.net", "+15551234567", true, "in full"},
		{pbx, "sip:+15551234567@elsewhere.example", "+15551234567", true, "the same route"},
		{pbx, "sip:0015551234567@example.net", "", true, "as it is dialled"},
		{pbx, "sip:9-1-555-123@example.net", "", true, "with separators"},
		{pbx, "sip:++15551234567@example.net", "", true, "with one sign too many"},
		{pbx, "sip:+1/555/1234567@example.net", "", true, "with other separators"},
		{pbx, "sip:%2B1~555_1234567@example.net", "", true, "with other separators"},
		{pbx, "sip:+1%20555%201234567@example.net", "", true, "with spaces"},
		{pbx, "sip:7001@example.net", "", false, "an extension"},
		{pbx, "sip:romeo1234567@example.net", "", false, "a user"},
		{plain, "sip:+15551234567@example.net", "+15551234567", true, "without routes"},
		{plain, "sip:+15551234567@elsewhere.example", "", false, "another domain"},
	} {
		u, err := ParseURI(c.uri)
		if err != nil {
			t.Fatal(err)
		}
		if number, is := c.rules.Telephone(u); number != c.number || is != c.is {
			t.Errorf("%s, %s: %q, %v; want %q, %v", c.uri, c.what, number, is, c.number, c.is)
		}
	}
	if number, is := trunk.Telephone(URI{Scheme: "tel", User: "+4930123456"}); number != "+4930123456" || !is {
		t.Errorf("tel: %q, %v", number, is)
	}
}

// What a contact is told apart by does not depend on how it is written.
func TestIdentity(t *testing.T) {
	r := telephoneRules(t, RulesConfig{DefaultSIPDomain: "example.net", Routes: []RouteRule{{Domain: "*", Country: "DE", Numbers: "national"}}})
	for uri, want := range map[string]string{
		"sip:Romeo@EXAMPLE.net:5070;gr=x;transport=tcp": "sip:romeo@example.net",
		"sips:romeo@example.net":                        "sip:romeo@example.net",
		"im:romeo@example.net":                          "sip:romeo@example.net",
		"sip:030123456@example.net;user=phone":          "tel:+4930123456",
		"sip:+49-30-123456@example.net:5060":            "tel:+4930123456",
		"tel:+49-30-123456":                             "tel:+4930123456",
		"sip:+4930123456@other.example":                 "sip:+4930123456@other.example",
		"sip:example.org":                               "sip:example.org",
	} {
		u, err := ParseURI(uri)
		if err != nil && ReasonOf(err) != ReasonSIPS {
			t.Fatal(err)
		}
		if err != nil { // as it comes from the wire
			u, _ = ParseURI("sip" + strings.TrimPrefix(uri, "sips"))
			u.Scheme = "sips"
		}
		got, ok := r.Identity(u)
		if !ok || got.AOR() != want {
			t.Errorf("%s: %s, %v; want %s", uri, got.AOR(), ok, want)
		}
		if again, ok := r.Identity(got); !ok || again != got {
			t.Errorf("%s: once more it is %s", got, again)
		}
	}
	if _, ok := r.Identity(URI{}); ok {
		t.Error("no address is somebody")
	}
}

func TestTypedHost(t *testing.T) {
	r := telephoneRules(t, RulesConfig{DefaultSIPDomain: "example.net"})
	for text, want := range map[string]string{
		"@Example.org": "example.org", " sip:example.org ": "example.org", "SIPS:example.org:5061": "example.org", "@192.0.2.1": "192.0.2.1",
		"example.org": "", "romeo@example.org": "", "sip:romeo@example.org": "", "sip:": "", "@": "", "@a b": "", "tel:+1": "",
	} {
		if got, ok := r.TypedHost(text); got != want || ok != (want != "") {
			t.Errorf("%q: %q, %v; want %q", text, got, ok, want)
		}
	}
}

func TestAccessExcept(t *testing.T) {
	a, err := NewAccess([]string{"*"})
	if err != nil {
		t.Fatal(err)
	}
	mallory, err := ParseJID("mallory@example.com/x")
	juliet, err2 := ParseJID("juliet@example.com")
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	a = a.Except(func(j JID) bool { return j.Bare() == mallory.Bare() })
	if a.Allows(mallory) || !a.Allows(juliet) {
		t.Error("not whom is said")
	}
}

func TestWordsOfDenials(t *testing.T) {
	cet := time.Date(2026, 3, 2, 0, 0, 0, 0, time.FixedZone("CET", 3600))
	many := strings.Split("+1 +20 +27 +30 +31 +32 +33 +34 +36 +39 +40 +41 +43 +44", " ")
	for want, f := range map[string]*Failure{
		"You have sent 20 of 20 messages to telephone numbers today. You can send again after midnight (00:00 CET).":                           FailDaily(20, 20, cet),
		"Messages can be sent to telephone numbers that begin with +1, +49 only.":                                                              FailPrefix([]string{"+1", "+49"}, true),
		"Messages can be sent to telephone numbers that begin with +49 only. Write the number in full, with + and the code of the country.":    FailPrefix([]string{"+49"}, false),
		"Messages can be sent to telephone numbers that begin with +1, +20, +27, +30, +31, +32, +33, +34, +36, +39, +40, +41 and 2 more only.": FailPrefix(many, true),
	} {
		if f.Text != want {
			t.Errorf("%s\nwant %s", f.Text, want)
		}
	}
}
