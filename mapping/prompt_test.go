package mapping

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestPrompt: GW-18, ADDR-20. What people type, and what the contact is.
func TestPrompt(t *testing.T) {
	rules := eachRules(t)
	for _, c := range []struct{ config, in, want string }{
		{"vectors", "sip:romeo@example.org", `romeo\40example.org@sip.example.com`},
		{"vectors", "  SIP:Romeo@Example.ORG ", `romeo\40example.org@sip.example.com`},
		{"vectors", `"Romeo" <sip:romeo@example.org;transport=tcp>;tag=1`, `romeo\40example.org@sip.example.com`},
		{"vectors", "sip:romeo:s3cret@example.org;gr=phone?subject=hi", `romeo\40example.org@sip.example.com`},
		{"vectors", "sips:romeo@example.org", `romeo\40example.org@sip.example.com`},
		{"vectors", "im:romeo@example.org", `romeo\40example.org@sip.example.com`},
		{"vectors", "pres:romeo@example.net", "romeo@net.sip.example.com"},
		{"vectors", "sip:f%C3%BC@voip.example", "fü@sip.example.com"},
		{"vectors", "romeo@voip.example", "romeo@sip.example.com"},
		{"vectors", "romeo@example.net", "romeo@net.sip.example.com"},
		{"vectors", "o'malley@example.org", `o\27malley\40example.org@sip.example.com`},
		{"vectors", "a<b@example.org", `a\3cb\40example.org@sip.example.com`},
		{"vectors", "a<b>c@sip.example.com", `a\3cb\3ec@sip.example.com`},
		{"vectors", "john doe@example.org", `john\20doe\40example.org@sip.example.com`},
		{"vectors", "100%25@example.org", `100%25\40example.org@sip.example.com`}, // percent signs mean something in URIs only
		{"vectors", "bob@[2001:DB8::9]:5070", `bob\40[2001\3adb8\3a\3a9]\3a5070@sip.example.com`},
		{"vectors", "hans@bücher.shop", `hans\40xn--bcher-kva.shop@sip.example.com`},
		{"vectors", "j@s0n@example.org", `j\40s0n\40example.org@sip.example.com`},
		{"vectors", "romeo@example.org:5070", `romeo\40example.org\3a5070@sip.example.com`},

		{"vectors", "romeo@sip.example.com", "romeo@sip.example.com"},
		{"vectors", "Romeo@SIP.example.com/phone", "romeo@sip.example.com"},
		{"vectors", `romeo\40voip.example@sip.example.com`, "romeo@sip.example.com"}, // a spelling that would be refused as an address
		{"vectors", `romeo\40example.net@sip.example.com`, "romeo@net.sip.example.com"},
		{"vectors", `o\27malley\40example.org@sip.example.com`, `o\27malley\40example.org@sip.example.com`},
		{"vectors", "o'malley@example.org@sip.example.com", `o\27malley\40example.org@sip.example.com`},
		{"vectors", `o'malley\40example.org@sip.example.com/x`, `o\27malley\40example.org@sip.example.com`},
		{"vectors", "a/b@sip.example.com", `a\2fb@sip.example.com`},
		{"vectors", "xmpp:o%5C27malley%5C40example.org@sip.example.com?message", `o\27malley\40example.org@sip.example.com`},
		{"vectors", "romeo@net.sip.example.com", "romeo@net.sip.example.com"},

		{"vectors", "+1 (212) 555-0123", "+12125550123@sip.example.com"},
		{"vectors", "+1\u202f212\u2011555/0123", "+12125550123@sip.example.com"},
		{"vectors", "tel:+1-212-555-0123", "+12125550123@sip.example.com"},
		{"vectors", "+12125550123@sip.example.com", "+12125550123@sip.example.com"},
		{"vectors", "7042;phone-context=example.com@sip.example.com", "7042;phone-context=example.com@sip.example.com"},
		{"phone", "(212) 555-0123", "+12125550123@sip.example.com"},
		{"phone", "1 212 555 0123", "+12125550123@sip.example.com"},
		{"phone", "sip:2125550123@pstn.example.net", "+12125550123@sip.example.com"},
		{"phone", "2125550123@pstn.example.net", "+12125550123@sip.example.com"},
		{"phone", "011 44 20 7946 0123", "+442079460123@sip.example.com"},
		{"national", "(030) 123456", "+4930123456@sip.example.com"},
		{"national", "(0) 30 123456", "+4930123456@sip.example.com"},
		{"mapped phone domain", "+39 06 123456", "+3906123456@tel.example.com"},
		{"mapped phone domain", "+3906123456@gw.example.com", ""},
		{"identity", "romeo@example.net", "romeo@example.net"},
		{"phone", "romeo@192.0.2.4", `romeo\40192.0.2.4@sip.example.com`}, // our host, another port

		{"vectors", "", ""},
		{"vectors", " <> ", ""},
		{"vectors", "romeo", ""},
		{"vectors", "hello world", ""},
		{"vectors", "example.org", ""},
		{"vectors", "sip.example.com", ""},
		{"vectors", "net.sip.example.com", ""},
		{"vectors", "sip:example.net", ""},
		{"vectors", "xmpp:sip.example.com", ""},
		{"vectors", "sip:sip.example.com", ""},
		{"vectors", "sip:romeo@sip.example.com", ""}, // our own host: it would come back
		{"vectors", "juliet@example.com", ""},
		{"vectors", "sip:juliet@example.com", ""},
		{"vectors", "xmpp:juliet@example.com", ""},
		{"vectors", "sip:juliet%40elsewhere.example@sip.example.com", ""},
		{"phone", "+1 212 555 0100", ""}, // an alias
		{"phone", "7001@pbx.example.net", ""},
		{"vectors", "mailto:romeo@example.org", ""},
		{"vectors", "https://example.org/romeo@example.org", ""},
		{"vectors", "@example.org", ""},
		{"vectors", "romeo@", ""},
		{"vectors", "romeo@example.org/phone", ""},
		{"vectors", "romeo@-.example", ""},
		{"vectors", "romeo@example.org;transport=tcp", ""},
		{"vectors", "sip:a b@example.org", ""},
		{"vectors", "sip:%zz@example.org", ""},
		{"vectors", "a\x00b@example.org", ""},
		{"vectors", "a\x00b@sip.example.com", ""},
		{"vectors", "\xff@example.org", ""},
		{"vectors", "xmpp:%zz", ""},
		{"vectors", "030 123456", ""}, // no country
		{"phone", "7001", ""},         // no full number
		{"vectors", "+49", ""},
		{"vectors", "+", ""},
		{"vectors", "-", ""},
		{"vectors", "+0 212 555 0123", ""},
		{"vectors", "+1234567890123456", ""},
		{"vectors", "+49 (0)30 123456", ""},
		{"national", "0049 (0) 30 123456", ""},
		{"vectors", "+1 212 555 0123 ext 5", ""},
		{"vectors", strings.Repeat("a", 1024) + "@example.org", ""},
		{"vectors", strings.Repeat("a", 1<<20), ""},
	} {
		j, err := rules[c.config].Prompt(c.in)
		if j.String() != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s: %.80q is %q, %v; want %q", c.config, c.in, j, err, c.want)
		}
		if err != nil {
			checkAddressError(t, err)
			f := err.(*Failure)
			if ReasonOf(f) == "" || f.Text == "" || strings.Contains(f.Text, "s3cret") || strings.Contains(f.Text, "juliet") {
				t.Errorf("%s: %.80q: %+v", c.config, c.in, f)
			}
		}
	}
}

// What is said to whoever typed something else.
func TestPromptTexts(t *testing.T) {
	rules := eachRules(t)
	for in, want := range map[string]string{
		"romeo":                "This is neither a SIP address nor a phone number. The address of a user of voip.example is user@voip.example.",
		"030 123456":           "This is not a full phone number. Write it with + and the country code.",
		"+49 (0)30 123456":     "Write the number as it is dialled from abroad, without the zero in brackets.",
		"juliet@example.com":   "This is the address of an XMPP user, who is not reached through the gateway.",
		"sip.example.com":      "This is neither a SIP address nor a phone number. The address of a user of voip.example is user@voip.example.",
		"xmpp:sip.example.com": "This is the address of the gateway itself. A SIP address is user@domain.",
		"sip:example.org":      "The address has no user: a SIP address is user@domain.",
		"romeo@":               "What follows the @ is not a domain.",
	} {
		if _, err := rules["vectors"].Prompt(in); err == nil || err.(*Failure).Text != want {
			t.Errorf("%q: %v, want %q", in, err, want)
		}
	}
}

// checkPrompt is what holds for everything that may be typed: a contact that can be
// written to and answers, and that is found again by each of its addresses.
func checkPrompt(t fataler, name string, r *Rules, text string) {
	j, err := r.Prompt(text)
	if err != nil {
		checkAddressError(t, err)
		return
	}
	checkOut(t, name, j)
	if !j.IsBare() || j.Local() == "" || !r.component(j.Domain()) {
		t.Fatalf("%s: %q is %s", name, text, j)
	}
	u, err := r.SIPAddress(j)
	if err != nil {
		t.Fatalf("%s: %q is %s, which cannot be written to: %v", name, text, j, err)
	}
	if back, err := r.Sender(reparse(t, u)); err != nil || back != j {
		t.Fatalf("%s: %q is %s, which answers as %s, %v", name, text, j, back, err)
	}
	for _, again := range []string{j.String(), j.String() + "/x", iri(j), u.String(), "<" + u.String() + ">"} {
		if k, err := r.Prompt(again); err != nil || k != j {
			t.Fatalf("%s: %q is %s; %q is %s, %v", name, text, j, again, k, err)
		}
	}
}

// A property of everything that looks like an address.
func TestPromptProperty(t *testing.T) {
	rules := eachRules(t)
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(anyJID(), anyURI(), anyUser(), rapid.StringMatching(`[+]?[0-9 ()./-]{3,20}`)).Draw(t, "text")
		for name, r := range rules {
			checkPrompt(t, name, r, text)
		}
	})
}

func FuzzPrompt(f *testing.F) {
	for _, s := range []string{"sip:romeo@example.org", "o'malley@example.org@sip.example.com", "+1 (212) 555-0123", "(030) 123456", "xmpp:a@b", `a\5c40b@sip.example.com`, "<tel:+1-212>", "sips:a@b"} {
		f.Add(s)
	}
	rules := eachRules(f)
	f.Fuzz(func(t *testing.T, text string) {
		for name, r := range rules {
			checkPrompt(t, name, r, text)
		}
	})
}

// Numbers lead to telephones only where the configuration says so, and under one name.
func TestNumbers(t *testing.T) {
	for _, c := range []struct {
		name  string
		c     RulesConfig
		names string
	}{
		{"no route", RulesConfig{}, ""},
		{"a trunk for everything", RulesConfig{Routes: []RouteRule{{Domain: "*"}}}, ""},
		{"a PBX", RulesConfig{Routes: []RouteRule{{Domain: "voip.example"}}}, ""},
		{"a country", RulesConfig{Routes: []RouteRule{{Domain: "voip.example", Country: "DE"}}}, "sip.example.com"},
		{"ten digits", RulesConfig{Routes: []RouteRule{{Domain: "*", Numbers: "nanp10"}}}, "sip.example.com"},
		{"the first that applies", RulesConfig{Routes: []RouteRule{{Domain: "voip.example"}, {Domain: "*", Country: "DE"}}}, ""},
		{"another domain's", RulesConfig{Routes: []RouteRule{{Domain: "example.org", Country: "DE"}}}, ""},
		{"a phone domain without a route", RulesConfig{PhoneDomain: "pstn.example.net"}, ""},
		{"a phone domain and a route for all", RulesConfig{PhoneDomain: "pstn.example.net", Routes: []RouteRule{{Domain: "*"}}}, ""},
		{"a trunk", RulesConfig{PhoneDomain: "pstn.example.net", Routes: []RouteRule{{Domain: "pstn.example.net"}}}, "sip.example.com"},
		{"a trunk with a name of its own", RulesConfig{PhoneDomain: "pstn.example.net", Domains: []DomainPair{{"tel.example.com", "pstn.example.net"}},
			Routes: []RouteRule{{Domain: "pstn.example.net"}}}, "tel.example.com"},
	} {
		c.c.GatewayDomain, c.c.UserDomains, c.c.DefaultSIPDomain = "sip.example.com", []string{"example.com"}, "voip.example"
		r, err := NewRules(c.c)
		if err != nil {
			t.Fatal(err)
		}
		for _, domain := range []string{"sip.example.com", "tel.example.com", "example.com"} {
			if got := r.Numbers(MustParseJID(domain)); got != (domain == c.names) {
				t.Errorf("%s: %s: %v", c.name, domain, got)
			}
		}
	}
}
