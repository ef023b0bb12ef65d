package mapping

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// testConfigs are rules of every kind, for what must hold under all of them.
var testConfigs = map[string]RulesConfig{
	"vectors": {
		GatewayDomain: "sip.example.com", SIPHost: "sip.example.com", UserDomains: []string{"example.com", "xmpp.example", "bücher.example"},
		DefaultSIPDomain: "voip.example", Domains: []DomainPair{{"sip.example", "sip.example"}, {"net.sip.example.com", "example.net"}},
	},
	"phone": {
		GatewayDomain: "sip.example.com", SIPHost: "192.0.2.4:5070", UserDomains: []string{"example.com"}, DefaultSIPDomain: "example.org",
		PhoneDomain: "pstn.example.net", Routes: []RouteRule{{Domain: "pstn.example.net", Country: "US", Numbers: "nanp10"}},
		Aliases: []Alias{{MustParseURI("sip:+12125550100@pstn.example.net;user=phone"), MustParseJID("juliet@example.com")},
			{MustParseURI("sip:7001@pbx.example.net"), MustParseJID("juliet@example.com")}},
	},
	"national": {
		GatewayDomain: "sip.example.com", SIPHost: "[2001:db8::9]", UserDomains: []string{"example.com"}, DefaultSIPDomain: "voip.example",
		Domains: []DomainPair{{"org.sip.example.com", "example.org"}},
		Routes:  []RouteRule{{Domain: "example.org", From: "alias"}, {Domain: "*", Country: "DE", Numbers: "national"}},
		Aliases: []Alias{{MustParseURI("sip:1001@voip.example"), MustParseJID("juliet@elsewhere.example")}, {MustParseURI("tel:+49301001"), MustParseJID("a@example.com")}},
	},
	"mapped phone domain": {
		GatewayDomain: "sip.example.com", SIPHost: "gw.example.com", UserDomains: []string{"example.com"}, DefaultSIPDomain: "voip.example",
		PhoneDomain: "pstn.example.net", Domains: []DomainPair{{"tel.example.com", "pstn.example.net"}},
		Routes: []RouteRule{{Domain: "*", Country: "IT", Numbers: "national"}},
	},
	"several": {
		GatewayDomain: "sip.example.com", SIPHost: "gw.example.com", UserDomains: []string{"example.com", "example.org"}, DefaultSIPDomain: "voip.example",
		PhoneDomain: "pstn.example.net", Domains: []DomainPair{{"pbx.example.com", "pbx.example.net"}, {"sip.example.org", "example.net"}, {"bücher.example", "xn--mnchen-3ya.example"}, {"tel.example.com", "pstn.example.net"}},
		Routes:  []RouteRule{{Domain: "pstn.example.net", Country: "DE", Numbers: "national"}},
		Aliases: []Alias{{MustParseURI("sip:7001@pbx.example.net"), MustParseJID("juliet@example.com")}, {MustParseURI("sip:7001@example.net"), MustParseJID("juliet@example.com")}},
	},
	"identity": {
		GatewayDomain: "example.net", SIPHost: "example.net", UserDomains: []string{"example.com"}, DefaultSIPDomain: "example.net",
	},
	"no default": {
		GatewayDomain: "bücher.example", UserDomains: []string{"example.com"}, Domains: []DomainPair{{"münchen.example", "xn--mnchen-3ya.example"}},
	},
}

func eachRules(t testing.TB) map[string]*Rules {
	all := make(map[string]*Rules)
	for name, c := range testConfigs {
		r, err := NewRules(c)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all[name] = r
	}
	return all
}

// checkFromURI is what holds for every SIP address under every rules.
func checkFromURI(t fataler, name string, r *Rules, u URI) {
	contact, err := r.Sender(u)
	if err != nil {
		checkAddressError(t, err)
	} else {
		checkOut(t, name, contact)
		// SEC-16, SEC-28: never under a name that is not the component's.
		if !r.component(contact.Domain()) || contact.Bare().String() == r.gateway {
			t.Fatalf("%s: the sender %s is %s", name, u, contact)
		}
		// ADDR-20: every contact can be answered, and the answer comes from it.
		back, err := r.SIPDevice(contact)
		if err != nil {
			t.Fatalf("%s: %s is %s, which cannot be answered: %v", name, u, contact, err)
		}
		again, err := r.Sender(reparse(t, back))
		if err != nil || again != contact {
			t.Fatalf("%s: %s is %s is %s is %s, %v", name, u, contact, back, again, err)
		}
		if plain, err := r.SIPAddress(contact); err != nil || plain.GR != "" || plain.AOR() != back.AOR() {
			t.Fatalf("%s: %s is %s, with resource %s, %v", name, contact, plain, back, err)
		}
		// S->X->S: canonical input comes back as it is.
		if p, _ := r.prepare(u, nil); u.Scheme == "sip" && p.User == u.User && r.dialled(u, nil).User == u.User && back.AOR() != u.AOR() {
			t.Fatalf("%s: %s came back as %s", name, u, back)
		}
	}

	user, err := r.Recipient(u)
	if err != nil {
		checkAddressError(t, err)
	} else {
		checkOut(t, name, user)
		if r.component(user.Domain()) { // SEC-27
			t.Fatalf("%s: the recipient %s is %s", name, u, user)
		}
		// An address that can be written to can write, unless it is one that an alias
		// hides or that answers under another name.
		if back, err := r.SIPIdentity(user, u.Host); err == nil {
			if again, err := r.Recipient(reparse(t, back)); err != nil || again.Bare() != user.Bare() {
				t.Fatalf("%s: %s is %s is %s is %s, %v", name, u, user, back, again, err)
			}
		} else {
			checkAddressError(t, err)
		}
	}
	if !contact.IsZero() && !user.IsZero() {
		t.Fatalf("%s: %s is both the contact %s and the user %s", name, u, contact, user)
	}
	// The two roles together are the whole of XMPPAddress.
	j, err := r.XMPPAddress(u)
	if err != nil {
		checkAddressError(t, err)
	}
	if !contact.IsZero() && j != contact || !user.IsZero() && j != user || contact.IsZero() && user.IsZero() && err == nil {
		t.Fatalf("%s: %s is %s, %v; contact %s, user %s", name, u, j, err, contact, user)
	}
}

// checkFromJID is what holds for every JID under every rules.
func checkFromJID(t fataler, name string, r *Rules, j JID, toward string) {
	u, err := r.SIPDevice(j)
	if err != nil {
		checkAddressError(t, err)
	} else {
		// ADDR-20: X->S->X is the identity.
		back, err := r.Sender(reparse(t, u))
		if err != nil || back.Bare() != j.Bare() {
			t.Fatalf("%s: %s is %s is %s, %v", name, j, u, back, err)
		}
		if j.Resource() != "" && u.User != "" && back != j {
			t.Fatalf("%s: %s is %s is %s", name, j, u, back)
		}
	}
	v, identityErr := r.SIPIdentity(j, toward)
	if identityErr != nil {
		checkAddressError(t, identityErr)
	} else {
		back, err := r.Recipient(reparse(t, v))
		if err != nil || back.Bare() != j.Bare() {
			t.Fatalf("%s: the user %s is %s is %s, %v", name, j, v, back, err)
		}
		if _, err := r.Sender(v); ReasonOf(err) != ReasonForbidden {
			t.Fatalf("%s: the user %s can be played from SIP as %s: %v", name, j, v, err)
		}
	}
	if err == nil && identityErr == nil {
		t.Fatalf("%s: %s is the contact %s and the user %s", name, j, u, v)
	}
}

func reparse(t fataler, u URI) URI {
	again, err := ParseURI(u.String())
	if err != nil || again != u {
		t.Fatalf("%#v printed as %s, parsed as %#v, %v", u, u, again, err)
	}
	return again
}

func checkOut(t fataler, name string, j JID) {
	if again, err := ParseJID(j.String()); err != nil || again != j {
		t.Fatalf("%s: %q is no JID: %v", name, j, err)
	}
	checkJID(t, j.String())
}

func checkAddressError(t fataler, err error) {
	mustFailure(t, err, 0)
	if f := err.(*Failure); ReasonOf(err) == "" || f.Text == "" || hasControl(f.Text) {
		t.Fatalf("%#v has no reason or no good text", f)
	}
}

func checkAll(t fataler, rules map[string]*Rules, s, toward string) {
	u, uriErr := ParseURI(s)
	j, jidErr := ParseJID(s)
	for name, r := range rules {
		if uriErr == nil {
			checkFromURI(t, name, r, u)
		}
		if jidErr == nil {
			checkFromJID(t, name, r, j, toward)
		}
		checkPlainRules(t, name, r, u, j, toward)
		e := r.Explain(s)
		if (e.Err == nil) != (e.Result != "") || len(e.Steps) == 0 {
			t.Fatalf("%s: %q: %+v", name, s, e)
		}
	}
}

// ADDR-20 and what else must hold, for addresses of all kinds.
func TestRulesProperties(t *testing.T) {
	rules := eachRules(t)
	rapid.Check(t, func(t *rapid.T) {
		toward := rapid.SampledFrom(someDomains).Draw(t, "toward")
		for name, r := range rules {
			if u, err := ParseURI(anyURI().Draw(t, "uri")); err == nil {
				checkFromURI(t, name, r, u)
			}
			// Values that no parser has seen.
			checkRaw(t, r, URI{Scheme: rapid.SampledFrom([]string{"sip", "tel", "im", "", "sips", "x"}).Draw(t, "scheme"),
				User: anyUser().Draw(t, "user"), Host: rapid.SampledFrom(someDomains).Draw(t, "host"), GR: rapid.String().Draw(t, "gr")})
			if j, err := ParseJID(anyJID().Draw(t, "jid")); err == nil {
				checkFromJID(t, name, r, j, toward)
			}
			// Those that look like ours are rare among these.
			names, hosts := ownDomains(r)
			if local, err := NewJID(anyUser().Draw(t, "local"), rapid.SampledFrom(names).Draw(t, "name"), ""); err == nil {
				checkFromJID(t, name, r, local, toward)
			}
			if len(hosts) > 0 {
				checkFromURI(t, name, r, URI{Scheme: "sip", User: anyUser().Draw(t, "user at ours"), Host: rapid.SampledFrom(hosts).Draw(t, "ours")})
			}
		}
	})
}

// ownDomains are the component names of some rules and the SIP domains that have
// one.
func ownDomains(r *Rules) (names, hosts []string) {
	names = append(names, r.gateway)
	if r.defaultHost != "" {
		hosts = append(hosts, r.defaultHost)
	}
	for _, name := range slices.Sorted(maps.Keys(r.toSIP)) {
		names, hosts = append(names, name), append(hosts, r.toSIP[name])
	}
	return names, hosts
}

// checkRaw is what holds for URIs that were put together by hand.
func checkRaw(t fataler, r *Rules, u URI) {
	for _, f := range []func(URI) (JID, error){r.Sender, r.Recipient, r.XMPPAddress} {
		if j, err := f(u); err != nil {
			checkAddressError(t, err)
		} else {
			checkJID(t, j.String())
		}
	}
}

func FuzzRules(f *testing.F) {
	rules := eachRules(f)
	for _, v := range readAddresses(f).Vectors {
		f.Add(v.In, v.Toward)
		if v.Out != nil {
			f.Add(*v.Out, v.Toward)
		}
	}
	f.Fuzz(func(t *testing.T, s, toward string) { checkAll(t, rules, s, toward) })
}

// Of every address that some rules make there are enough for the properties to
// mean something. The seeds are fixed: this is about the generators, not about luck.
func TestPropertiesAreNotEmpty(t *testing.T) {
	rules := eachRules(t)
	seen := map[string]int{}
	for seed := range 300 {
		for _, r := range rules {
			if u, err := ParseURI(anyURI().Example(seed)); err == nil {
				if _, err := r.Sender(u); err == nil {
					seen["sender"]++
				}
				if _, err := r.Recipient(u); err == nil {
					seen["recipient"]++
				}
			}
			if j, err := NewJID(anyUser().Example(seed), r.gateway, ""); err == nil {
				if _, err := r.SIPAddress(j); err == nil {
					seen["contact"]++
				} else {
					seen["contact: "+string(ReasonOf(err))]++
				}
			}
			if j, err := ParseJID(anyJID().Example(seed)); err == nil {
				if _, err := r.SIPIdentity(j, ""); err == nil {
					seen["identity"]++
				}
			}
		}
	}
	for _, what := range []string{"sender", "recipient", "contact", "identity", "contact: item-not-found", "contact: jid-malformed"} {
		if seen[what] < 15 { // as 5 of 100
			t.Errorf("%s: only %d of them", what, seen[what])
		}
	}
}
