package mapping

import (
	"strings"
	"testing"
)

func baseConfig() RulesConfig {
	return RulesConfig{GatewayDomain: "sip.example.com", SIPHost: "gw.example.com:5070", UserDomains: []string{"example.com"}, DefaultSIPDomain: "voip.example"}
}

// Every fault is told with the path of its key (ADDR-14, ADDR-25: a SIP domain
// mapped twice, an alias paired twice).
func TestConfigFaults(t *testing.T) {
	sip := MustParseURI("sip:7001@pbx.example.net")
	juliet := MustParseJID("juliet@example.com")
	for _, c := range []struct {
		name   string
		change func(*RulesConfig)
		paths  []string
	}{
		{"none", func(c *RulesConfig) {}, nil},
		{"no component", func(c *RulesConfig) { c.GatewayDomain = "" }, []string{"xmpp.domain"}},
		{"bad component", func(c *RulesConfig) { c.GatewayDomain = "a@b" }, []string{"xmpp.domain"}},
		{"bad host", func(c *RulesConfig) { c.SIPHost = "user@gw.example.com" }, []string{"sip.advertise"}},
		{"bad port", func(c *RulesConfig) { c.SIPHost = "gw.example.com:x" }, []string{"sip.advertise"}},
		{"IPv6 without brackets", func(c *RulesConfig) { c.SIPHost = "2001:db8::9" }, []string{"sip.advertise"}},
		{"bad user domain", func(c *RulesConfig) { c.UserDomains = []string{"example.com", "ex ample.com"} }, []string{"xmpp.user_domains[1]"}},
		{"user domain SIP cannot have", func(c *RulesConfig) { c.UserDomains = []string{"1.2.3"} }, []string{"xmpp.user_domains[0]"}},
		{"component is user domain", func(c *RulesConfig) { c.UserDomains = []string{"SIP.example.com"} }, []string{"xmpp.user_domains[0]"}},
		{"SIP domain with port", func(c *RulesConfig) { c.DefaultSIPDomain = "voip.example:5060" }, []string{"sip.domain"}},
		{"SIP domain served", func(c *RulesConfig) { c.DefaultSIPDomain = "Example.com" }, []string{"sip.domain"}},
		{"phone domain served", func(c *RulesConfig) { c.PhoneDomain = "example.com" }, []string{"sip.phone_domain"}},
		{"bad phone domain", func(c *RulesConfig) { c.PhoneDomain = "+1" }, []string{"sip.phone_domain"}},
		{"mapped twice", func(c *RulesConfig) {
			c.Domains = []DomainPair{{"a.example.com", "example.org"}, {"b.example.com", "EXAMPLE.org."}}
		}, []string{"domain[1].sip"}},
		{"named twice", func(c *RulesConfig) {
			c.Domains = []DomainPair{{"a.example.com", "example.org"}, {"a.example.com", "example.net"}}
		}, []string{"domain[1].xmpp"}},
		{"default mapped", func(c *RulesConfig) { c.Domains = []DomainPair{{"a.example.com", "voip.example"}} }, []string{"domain[0].sip"}},
		{"served mapped", func(c *RulesConfig) { c.Domains = []DomainPair{{"a.example.com", "example.com"}} }, []string{"domain[0].sip"}},
		{"component named", func(c *RulesConfig) { c.Domains = []DomainPair{{"sip.example.com", "example.org"}} }, []string{"domain[0].xmpp"}},
		{"users' domain named", func(c *RulesConfig) { c.Domains = []DomainPair{{"example.com", "example.org"}} }, []string{"domain[0].xmpp"}},
		{"bad pair", func(c *RulesConfig) { c.Domains = []DomainPair{{"", "a b"}} }, []string{"domain[0].xmpp", "domain[0].sip"}},
		{"bad routes", func(c *RulesConfig) {
			c.Routes = []RouteRule{{Domain: "*"}, {Domain: "a b", Country: "XX", Numbers: "dial", From: "me"}, {Domain: "*", Country: "de"},
				{Domain: "x.example", Numbers: "national"}, {Domain: "x.example", Numbers: "nanp10", Country: "DE"}, {Domain: "x.example", Numbers: "nanp10"}}
		}, []string{"sip.route[1].domain", "sip.route[1].from", "sip.route[1].country", "sip.route[2].country", "sip.route[3].numbers", "sip.route[4].numbers"}},
		{"bad aliases", func(c *RulesConfig) {
			c.Aliases = []Alias{{sip, MustParseJID("example.com")}, {MustParseURI("im:a@b.example"), juliet}, {MustParseURI("sip:b.example"), juliet},
				{URI{}, JID{}}, {MustParseURI("sip:%E2%99%9A@b.example"), MustParseJID("romeo@sip.example.com")}, {MustParseURI("sip:1@b.example"), MustParseJID("a@b/c")}}
		}, []string{"alias[0].xmpp", "alias[1].sip", "alias[2].sip", "alias[3].xmpp", "alias[3].sip", "alias[4].xmpp", "alias[4].sip", "alias[5].xmpp"}},
		{"alias twice", func(c *RulesConfig) {
			c.Aliases = []Alias{{sip, juliet}, {MustParseURI("SIP:7001@PBX.example.net;transport=tcp"), MustParseJID("nurse@example.com")}}
		}, []string{"alias[1].sip"}},
		{"alias twice after folding", func(c *RulesConfig) {
			c.Routes = []RouteRule{{Domain: "*", Country: "US"}}
			c.Aliases = []Alias{{MustParseURI("sip:2125550100@voip.example"), juliet}, {MustParseURI("tel:+12125550100"), MustParseJID("nurse@example.com")}}
		}, []string{"alias[1].sip"}},
		{"two aliases in one domain", func(c *RulesConfig) {
			c.Aliases = []Alias{{sip, juliet}, {MustParseURI("sip:7002@pbx.example.net"), juliet}}
		}, []string{"alias[1].sip"}},
		{"aliases in two domains", func(c *RulesConfig) {
			c.Aliases = []Alias{{sip, juliet}, {MustParseURI("sip:7001@voip.example"), juliet}}
		}, nil},
	} {
		conf := baseConfig()
		c.change(&conf)
		r, err := NewRules(conf)
		var got []string
		if err != nil {
			if r != nil {
				t.Errorf("%s: rules and %v", c.name, err)
			}
			for line := range strings.SplitSeq(err.Error(), "\n") {
				path, what, ok := strings.Cut(line, ": ")
				if !ok || what == "" {
					t.Errorf("%s: %q says nothing", c.name, line)
				}
				got = append(got, path)
			}
		}
		if strings.Join(got, " ") != strings.Join(c.paths, " ") {
			t.Errorf("%s: %v, want %v", c.name, err, c.paths)
		}
	}
}

// Domains in a configuration may be written in any way.
func TestConfigSpellings(t *testing.T) {
	r, err := NewRules(RulesConfig{GatewayDomain: "SIP.Bücher.example.", UserDomains: []string{"xn--bcher-kva.example"},
		DefaultSIPDomain: "BÜCHER.test", Domains: []DomainPair{{"xn--mnchen-3ya.example", "münchen.test"}}, Routes: []RouteRule{{Domain: "Bücher.test", Country: "DE"}}})
	if err != nil {
		t.Fatal(err)
	}
	for uri, want := range map[string]string{
		"sip:romeo@xn--bcher-kva.test":            "romeo@sip.bücher.example",
		"sip:030123456@xn--bcher-kva.test":        "+4930123456@sip.bücher.example",
		"sip:romeo@xn--mnchen-3ya.test":           "romeo@münchen.example",
		"sip:juliet@xn--bcher-kva.example":        "juliet@bücher.example",
		"sip:a%40b.example@sip.bücher.example":    "a@b.example",
		"sip:romeo@xn--mnchen-3ya.test:5060":      `romeo\40xn--mnchen-3ya.test\3a5060@sip.bücher.example`,
		"sip:juliet@sub.xn--bcher-kva.example":    `juliet\40sub.xn--bcher-kva.example@sip.bücher.example`,
		"sip:juliet@SIP.xn--bcher-kva.example":    `juliet\40sip.xn--bcher-kva.example@sip.bücher.example`,
		"sip:%C3%9C%3a@sip.xn--bcher-kva.test":    `ü\3a\40sip.xn--bcher-kva.test@sip.bücher.example`,
		"sip:Romeo@BÜCHER.test;user=phone;gr=%20": "romeo@sip.bücher.example/ ",
	} {
		if j, err := r.XMPPAddress(MustParseURI(uri)); err != nil || j.String() != want {
			t.Errorf("%s: %s, %v, want %s", uri, j, err, want)
		}
	}
}

// An alias is sent as it is written, and read whatever the spelling (ADDR-25).
func TestAliasSpelling(t *testing.T) {
	c := baseConfig()
	c.Routes = []RouteRule{{Domain: "*", Country: "US"}}
	c.Aliases = []Alias{{MustParseURI("sip:(212)555-0100@voip.example;transport=tcp"), MustParseJID("juliet@example.com")},
		{MustParseURI("sip:Reception@pbx.example.net:5070"), MustParseJID("nurse@example.com")}}
	r, err := NewRules(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"sip:+12125550100@voip.example", "sip:12125550100@voip.example;user=phone", "tel:+1-212-555-0100"} {
		if j, err := r.Recipient(MustParseURI(s)); err != nil || j.String() != "juliet@example.com" {
			t.Errorf("%s: %s, %v", s, j, err)
		}
	}
	if u, err := r.SIPIdentity(MustParseJID("juliet@example.com"), "voip.example"); err != nil || u.String() != "sip:(212)555-0100@voip.example;user=phone" {
		t.Errorf("%s, %v", u, err)
	}
	if j, err := r.Recipient(MustParseURI("sip:reception@pbx.example.net:5070")); err != nil || j.String() != "nurse@example.com" {
		t.Errorf("%s, %v", j, err)
	}
	if u, err := r.SIPIdentity(MustParseJID("nurse@example.com"), "pbx.example.net"); err != nil || u.String() != "sip:Reception@pbx.example.net:5070" {
		t.Errorf("%s, %v", u, err)
	}
}
