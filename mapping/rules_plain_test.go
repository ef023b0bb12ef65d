package mapping

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// The short way of plain addresses leads where the whole way leads, under every rules.
func checkPlainRules(t fataler, name string, r *Rules, u URI, j JID, toward string) {
	same := func(what string, in any, got, want JID, f *Failure) {
		if f != nil || got != want {
			t.Fatalf("%s: %s of %v: %s in short, %s, %v else", name, what, in, got, want, f)
		}
	}
	p, prepared := r.prepare(u, nil)
	whole := func(read func() (JID, *Failure)) (JID, *Failure) {
		if prepared != nil {
			return JID{}, prepared
		}
		j, f := read()
		return r.withGR(j, p, f, nil)
	}
	if got, ok := r.plainUserOf(&u); ok {
		want, f := whole(func() (JID, *Failure) {
			j, found, f := r.user(p, nil)
			if f == nil && !found {
				f = notServed()
			}
			return j, f
		})
		same("the user", u, got, want, f)
		want, f = r.xmppAddress(u, &trace{})
		same("the address", u, got, want, f)
	}
	if got, ok := r.plainContactOf(&u); ok {
		want, f := whole(func() (JID, *Failure) {
			if j, found, f := r.user(p, nil); found || f != nil {
				t.Fatalf("%s: %v is the contact %s in short, the user %s, %v else", name, u, got, j, f)
			}
			return r.contact(p, nil)
		})
		same("the contact", u, got, want, f)
		want, f = r.xmppAddress(u, &trace{})
		same("the address", u, got, want, f)
	}
	var got URI
	if r.plainSIP(j.Bare(), &got) {
		var want URI
		if f := r.sipAddress(&want, j.Bare(), &trace{}); f != nil || got != want {
			t.Fatalf("%s: %s is %v in short, %v, %v else", name, j, got, want, f)
		}
	}
	if r.plainIdentity(j, &got) {
		var want URI
		if f := r.sipIdentity(&want, j, toward, &trace{}); f != nil || got != want {
			t.Fatalf("%s: %s is the sender %v in short, %v, %v else", name, j, got, want, f)
		}
	}
}

func TestPlainRules(t *testing.T) {
	rules := eachRules(t)
	for name, r := range rules {
		names, hosts := ownDomains(r)
		for _, user := range []string{"a", "romeo", "7001", "1001", "2125550123", "03012345678", "+12125550123", "12125550123", "011442079460123", "+1-212-555-0123", "+12125550100", "212.555.0123", "+", "+1", "0", "+1" + strings.Repeat("-", maxPart) + "2125550123", strings.Repeat("a", maxPart), strings.Repeat("a", maxPart-10), "-", "a.b", "_", "juliet", "o'malley"} {
			for _, d := range append(append(names, hosts...), someDomains...) {
				u, err := ParseURI("sip:" + user + "@" + d)
				if err != nil {
					u = URI{}
				}
				j, err := NewJID(user, d, "balcony")
				if err != nil {
					j = JID{}
				}
				checkPlainRules(t, name, r, u, j, "example.org")
				u.GR, u.Port = "balcony", 5070
				checkPlainRules(t, name, r, u, j.Bare(), "pbx.example.net")
				if j, err := NewJID(user+`\40`+d, r.gateway, ""); err == nil {
					checkPlainRules(t, name, r, u, j, "")
				}
			}
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom(slices.Sorted(maps.Keys(testConfigs))).Draw(t, "rules")
		r := rules[name]
		names, hosts := ownDomains(r)
		domain := rapid.OneOf(rapid.SampledFrom(append(append(names, hosts...), "example.org")), anyDomain()).Draw(t, "domain")
		user := rapid.OneOf(anyUser(), rapid.StringMatching(`[a-z0-9._~-]{1,6}(\\40[a-z0-9.-]{1,12})?`)).Draw(t, "user")
		u := URI{Scheme: rapid.SampledFrom([]string{"sip", "sip", "sip", "im", "tel"}).Draw(t, "scheme"), User: user, Host: domain,
			Port: rapid.SampledFrom([]uint16{0, 0, 5070}).Draw(t, "port"), GR: rapid.SampledFrom([]string{"", "", "balcony", "My Phone", "\x7f", "♚"}).Draw(t, "gr"),
			Phone: rapid.Bool().Draw(t, "phone")}
		j, err := NewJID(rapid.OneOf(rapid.Just(user), rapid.Just(user+`\40`+domain), rapid.Just(user+`\40example.org`)).Draw(t, "local"),
			rapid.OneOf(rapid.Just(r.gateway), rapid.Just(domain)).Draw(t, "name"), u.GR)
		if err != nil {
			j = JID{}
		}
		checkPlainRules(t, name, r, u, j, rapid.SampledFrom(someDomains).Draw(t, "toward"))
	})
}
