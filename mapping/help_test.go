package mapping

import (
	"strings"
	"testing"
)

// What Examples shows leads somewhere, and to what it says.
func TestExamples(t *testing.T) {
	base := RulesConfig{
		GatewayDomain: "sip.example.com", UserDomains: []string{"example.com"}, DefaultSIPDomain: "pbx.example.net",
		Domains: []DomainPair{{XMPP: "lab.example.com", SIP: "lab.example"}},
		Routes:  []RouteRule{{Domain: "pbx.example.net"}, {Domain: "lab.example"}},
	}
	with := func(mod func(*RulesConfig)) RulesConfig {
		c := base
		mod(&c)
		return c
	}
	for _, c := range []struct {
		name, at string
		config   RulesConfig
		want     []string // JID, SIP address
	}{
		{"one domain", "sip.example.com", base, []string{"romeo@sip.example.com", "sip:romeo@pbx.example.net"}},
		{"a name of its own", "lab.example.com", base, []string{"romeo@lab.example.com", "sip:romeo@lab.example"}},
		{"everywhere", "sip.example.com", with(func(c *RulesConfig) { c.Routes = []RouteRule{{Domain: "*"}} }),
			[]string{"romeo@sip.example.com", "sip:romeo@pbx.example.net", `romeo\40example.org@sip.example.com`, "sip:romeo@example.org"}},
		{"one more domain", "sip.example.com", with(func(c *RulesConfig) { c.Routes = append(c.Routes[:2:2], RouteRule{Domain: "x.example"}) }),
			[]string{"romeo@sip.example.com", "sip:romeo@pbx.example.net", `romeo\40x.example@sip.example.com`, "sip:romeo@x.example"}},
		{"telephones", "sip.example.com", with(func(c *RulesConfig) { c.Routes = []RouteRule{{Domain: "pbx.example.net", Country: "US"}} }),
			[]string{"+12025550123@sip.example.com", "sip:+12025550123@pbx.example.net;user=phone"}},
		{"telephones beside", "sip.example.com", with(func(c *RulesConfig) {
			c.PhoneDomain = "trunk.example"
			c.Routes = append(c.Routes[:2:2], RouteRule{Domain: "trunk.example", Country: "US"})
		}), []string{"romeo@sip.example.com", "sip:romeo@pbx.example.net", "+12025550123@sip.example.com", "sip:+12025550123@trunk.example;user=phone"}},
		{"telephones elsewhere", "lab.example.com", with(func(c *RulesConfig) { c.Routes = []RouteRule{{Domain: "pbx.example.net", Country: "US"}} }),
			[]string{"romeo@lab.example.com", "sip:romeo@lab.example"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := NewRules(c.config)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, e := range r.Examples(MustParseJID(c.at)) {
				u, err := r.SIPAddress(e.Contact)
				if err != nil {
					t.Errorf("%s leads nowhere: %v", e.Contact, err)
				}
				switch {
				case e.Number != (u.User == "+12025550123"), e.Others != strings.Contains(e.Contact.String(), `\40`),
					!e.Number && e.Means != u.String(), e.Number && e.Means != "+1 202 555 0123":
					t.Errorf("%s is %s, and said to be %+v", e.Contact, u, e)
				}
				got = append(got, e.Contact.String(), u.String())
			}
			if strings.Join(got, " ") != strings.Join(c.want, " ") {
				t.Errorf("shows %q, want %q", got, c.want)
			}
		})
	}
}
