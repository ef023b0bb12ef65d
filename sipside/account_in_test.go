package sipside

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stoxgw/stox/mapping"
)

// TestAccountReceives: what a registrar sends to the contact that it was given is for that
// account, whichever way it is read; and nobody else may use the contact, nor the registrar
// anything else (SEC-29).
func TestAccountReceives(t *testing.T) {
	elsewhere := netip.MustParseAddr("198.51.100.1")
	juliet, nurse, romeo := account("juliet", "provider.example"), account("nurse", "other.example"), account("romeo", "pbx.example")
	const friend = "sip:friend@provider.example"
	const julietAt, nurseAt, romeoAt = "sip:juliet@provider.example", "sip:nurse@other.example", "sip:romeo@pbx.example"
	for _, tt := range []struct {
		name    string
		from    netip.Addr
		method  string
		to      string
		sender  string
		more    []string
		status  int
		account string
	}{
		{name: "its registrar", from: providerAt, to: juliet.contact(), sender: friend, status: 200, account: julietAt},
		{name: "a name that the registrar vouches for", from: providerAt, to: juliet.contact(), sender: "sip:friend@somewhere.example", status: 200, account: julietAt},
		{name: "with the default port", from: providerAt, to: "sip:" + juliet.Token + "@gw.example.org:5060", sender: friend, status: 200, account: julietAt},
		{name: "the other registrar", from: otherAt, to: nurse.contact(), sender: friend, status: 200, account: nurseAt},
		{name: "the route", from: pbxAt, to: romeo.contact(), sender: "sip:friend@pbx.example", status: 200, account: romeoAt},
		{name: "a question", from: providerAt, method: "OPTIONS", to: juliet.contact(), sender: friend, status: 200},

		{name: "a stranger", from: elsewhere, to: juliet.contact(), sender: friend, status: 403},
		{name: "a stranger's question", from: elsewhere, method: "OPTIONS", to: juliet.contact(), sender: friend, status: 403},
		{name: "the registrar of another account", from: otherAt, to: juliet.contact(), sender: friend, status: 403},
		{name: "no such contact", from: providerAt, to: "sip:tok-other@gw.example.org", sender: friend, status: 403},
		{name: "a user", from: providerAt, to: "sip:juliet@example.com", sender: friend, status: 403},
		{name: "not here", from: providerAt, to: "sip:" + juliet.Token + "@example.com", sender: friend, status: 403},
		{name: "a contact in To only", from: providerAt, to: "sip:juliet@example.com", sender: friend, more: []string{"X: " + juliet.contact()}, status: 403},
		{name: "another port", from: providerAt, to: juliet.contact() + ":5070", sender: friend, status: 403},

		{name: "in the name of a user", from: providerAt, to: juliet.contact(), sender: "sip:romeo@example.com", status: 403},
		{name: "of sip.domain", from: providerAt, to: juliet.contact(), sender: "sip:boss@example.net", status: 403},
		{name: "of a number", from: providerAt, to: juliet.contact(), sender: "tel:+15551234", status: 403},
		{name: "of a route's domain", from: providerAt, to: juliet.contact(), sender: "sip:boss@pbx.example", status: 403},
		{name: "of a domain that has a name of its own", from: providerAt, to: juliet.contact(), sender: "sip:boss@branch.example", status: 403},
		{name: "of a peer's domain", from: providerAt, to: juliet.contact(), sender: "sip:boss@peer.example", status: 403},
		{name: "of the domain of a route without a next hop", from: providerAt, to: juliet.contact(), sender: "sip:boss@other.example", status: 403},
		{name: "the same, from where DNS leads", from: otherAt, to: nurse.contact(), sender: "sip:boss@other.example", status: 200, account: nurseAt},
		{name: "asserted", from: providerAt, to: juliet.contact(), sender: "sip:x@somewhere.example", more: []string{"P-Asserted-Identity: <sip:boss@example.net>"}, status: 200, account: julietAt},

		{name: "a peer is one still", from: pbxAt, to: "sip:juliet@example.com", sender: "sip:friend@pbx.example", status: 200},
		{name: "a peer that is not the registrar", from: pbxAt, to: juliet.contact(), sender: "sip:friend@pbx.example", status: 200}, // who knows no such user here
	} {
		for _, way := range []string{"direct", "parser", "tcp"} {
			t.Run(tt.name+"/"+way, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					x := newCarriers(t, func(x *carriers) {
						x.cfg.Routes = []Route{{Domain: "pbx.example", Via: mapping.MustParseURI("sip:192.0.2.11")}, {Domain: "other.example"}}
						x.cfg.Peers = []Peer{{Name: "peer", Addresses: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}, Domains: []string{"peer.example"}}}
						x.cfg.OwnDomains = []string{"Branch.example"}
					})
					x.ua.SetAccounts([]Account{juliet, nurse, romeo})
					after(1e9)
					x.ua.udp[0].rd.whole = way == "parser"
					network, method := "udp", tt.method
					if way == "tcp" {
						network = "tcp"
					}
					if method == "" {
						method = "MESSAGE"
					}
					status, account := x.call(network, tt.from, method, tt.to, tt.sender, tt.more...)
					if status != tt.status || account != tt.account {
						t.Errorf("%d for %q, want %d for %q", status, account, tt.status, tt.account)
					}
					for _, m := range x.bridge.requests {
						if strings.Contains(m.From.String(), "boss@example.net") {
							t.Errorf("from %s", m.From)
						}
					}
				})
			})
		}
	}
}

// A registrar that an admin has blocked is a stranger, to whose packets there are few answers
// (SEC-24), by the contact of an account as well.
func TestAccountRegistrarIsBlocked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newCarriers(t, nil)
		a := account("juliet", "provider.example")
		x.ua.SetAccounts([]Account{a})
		after(1e9)
		x.ua.SetBlocked([]netip.Prefix{netip.PrefixFrom(providerAt, 32)})
		got := ""
		for range 5 {
			status, account := x.call("udp", providerAt, "MESSAGE", a.contact(), "sip:friend@provider.example")
			got += fmt.Sprint(status, account, " ")
		}
		if got != "403 403 403 0 0 " {
			t.Errorf("it gets %s", got)
		}
		x.ua.SetBlocked(nil)
		if status, account := x.call("udp", providerAt, "MESSAGE", a.contact(), "sip:friend@provider.example"); status != 200 || account != "sip:juliet@provider.example" {
			t.Errorf("unblocked: %d for %q", status, account)
		}
	})
}

// A registrar that a user has entered does not speak for the domain of a route that leads
// elsewhere, even if it has the name of that domain.
func TestAccountRouteLeadsElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newCarriers(t, func(x *carriers) {
			x.cfg.Routes = []Route{{Domain: "other.example", Via: mapping.MustParseURI("sip:192.0.2.77")}}
		})
		a := account("juliet", "provider.example")
		a.Registrar = mapping.MustParseURI("sip:other.example")
		x.ua.SetAccounts([]Account{a})
		synctest.Wait()
		if status, got := x.call("udp", otherAt, "MESSAGE", a.contact(), "sip:friend@provider.example"); status != 200 || got == "" {
			t.Errorf("%d for %q", status, got)
		}
		if status, _ := x.call("udp", otherAt, "MESSAGE", a.contact(), "sip:boss@other.example"); status != 403 {
			t.Errorf("%d for another one's domain", status)
		}
	})
}

// TestAccountReceivesEvents: the same for requests about events.
func TestAccountReceivesEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newCarriers(t, nil)
		a := account("juliet", "provider.example")
		x.ua.SetAccounts([]Account{a})
		synctest.Wait()
		for method, more := range map[string][]string{
			"SUBSCRIBE": {"Event: presence", "Contact: <sip:friend@192.0.2.9>"},
			"NOTIFY":    {"Event: presence", "Contact: <sip:friend@192.0.2.9>", "Subscription-State: active"},
			"PUBLISH":   {"Event: presence"},
		} {
			if _, got := x.call("udp", providerAt, method, a.contact(), "sip:friend@provider.example", more...); got != "sip:juliet@provider.example" {
				t.Errorf("%s is for %q", method, got)
			}
			if status, got := x.call("udp", otherAt, method, a.contact(), "sip:friend@provider.example", more...); got != "" || status != 403 {
				t.Errorf("%s from elsewhere: %d, for %q", method, status, got)
			}
		}
	})
}

// TestAccountReceivesNoMore: an account that is gone is as if it had never been.
func TestAccountReceivesNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newCarriers(t, nil)
		a := account("juliet", "provider.example")
		x.ua.SetAccounts([]Account{a})
		synctest.Wait()
		if status, _ := x.call("udp", providerAt, "MESSAGE", a.contact(), "sip:friend@provider.example"); status != 200 {
			t.Fatal(status)
		}
		x.ua.SetAccounts(nil)
		if status, got := x.call("udp", providerAt, "MESSAGE", a.contact(), "sip:friend@provider.example"); status != 403 || got != "" {
			t.Errorf("%d for %q", status, got)
		}
	})
}

// SEC-30: registrars that users have brought cannot take the places of others, nor one of
// them those of another one.
func TestAccountRegistrarsTakeLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newCarriers(t, func(x *carriers) {
			x.cfg.MaxPending = 64
			x.bridge.answer = nil // everything waits
			x.cfg.Routes = []Route{{Domain: "pbx.example", Via: mapping.MustParseURI("sip:192.0.2.11")}}
		})
		a, b := account("juliet", "provider.example"), account("nurse", "other.example")
		x.ua.SetAccounts([]Account{a, b})
		after(1e9)
		taken := func(from netip.Addr, to string, sender string) (n int) {
			for range 32 {
				if status, _ := x.call("udp", from, "MESSAGE", to, sender); status == 0 {
					n++
				}
			}
			return n
		}
		if n := taken(providerAt, a.contact(), "sip:friend@provider.example"); n != 4 {
			t.Errorf("one took %d places", n)
		}
		if n := taken(otherAt, b.contact(), "sip:friend@other.example"); n != 4 {
			t.Errorf("another one took %d places", n)
		}
		if n := taken(pbxAt, "sip:juliet@example.com", "sip:friend@pbx.example"); n != 16 {
			t.Errorf("a peer took %d places", n)
		}
	})
}

// TestAccountLogin: the login of an account is shown to its own servers, for what is of it,
// and nowhere else (SEC-05).
func TestAccountLogin(t *testing.T) {
	juliet, romeo := account("juliet", "provider.example"), account("romeo", "pbx.example")
	for i, tt := range []struct {
		from, to string
		user     string // by whose login; "": the answer is the challenge
	}{
		{"sip:juliet@provider.example", "sip:friend@provider.example", "juliet"},
		{"sip:romeo@pbx.example", "sip:friend@pbx.example", "romeo"},
		{"sip:romeo@pbx.example", "sip:friend@behind.example", "romeo"}, // the same server
		{"sip:other@pbx.example", "sip:friend@pbx.example", "stox"},     // that of the route

		{"sip:juliet@provider.example", "sip:friend@other.example", ""},
		{"sip:juliet@provider.example", "sip:friend@pbx.example", "stox"},
		{"sip:romeo@pbx.example", "sip:friend@provider.example", ""},
		{"sip:nobody@provider.example", "sip:friend@provider.example", ""},
		{"sip:juliet@other.example", "sip:friend@provider.example", ""},
		{"tel:+15551234", "sip:friend@provider.example", ""},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := newCarriers(t, func(x *carriers) {
					via := mapping.MustParseURI("sip:192.0.2.11")
					x.cfg.Routes = []Route{{Domain: "pbx.example", Via: via, Login: Login{"stox", password}}, {Domain: "behind.example", Via: via}}
					x.passwords["stox"] = password
				})
				x.knows(juliet, romeo)
				x.ua.SetAccounts([]Account{juliet, romeo})
				after(1e9)
				for n := range 2 { // unasked the second time
					m := toMem(n + 1)
					m.From, m.RequestURI = mapping.MustParseURI(tt.from), mapping.MustParseURI(tt.to)
					m.To = m.RequestURI
					x.ua.Deliver(parcel(n, m))
					synctest.Wait()
					o := x.bridge.outcome(n)
					if (o.Status == 200) != (tt.user != "") {
						t.Errorf("%+v", o)
					}
				}
				users := make(map[string]bool)
				x.mu.Lock()
				defer x.mu.Unlock()
				for _, w := range x.sent {
					if _, rest, ok := strings.Cut(w.Get("Authorization"), `username="`); ok {
						user, _, _ := strings.Cut(rest, `"`)
						users[user] = true
					}
				}
				if tt.user == "" && len(users) != 0 || tt.user != "" && (len(users) != 1 || !users[tt.user]) {
					t.Errorf("shown: %v", users)
				}
			})
		})
	}
}

// TestAccountLoginStaysSecure: what was entered for TLS is shown over TLS only.
func TestAccountLoginStaysSecure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newCarriers(t, nil)
		a := account("juliet", "provider.example")
		a.Registrar = mapping.MustParseURI("sip:provider.example;transport=tls")
		x.knows(a)
		x.ua.SetAccounts([]Account{a}) // nobody speaks TLS here
		after(1e9)
		m := toMem(1)
		m.From, m.RequestURI = a.AOR, mapping.MustParseURI("sip:friend@provider.example") // over UDP
		x.ua.Deliver(parcel(1, m))
		synctest.Wait()
		if o := x.bridge.outcome(1); o.Status != 401 {
			t.Errorf("%+v", o)
		}
		x.mu.Lock()
		defer x.mu.Unlock()
		if len(x.sent) != 1 || x.sent[0].Get("Authorization") != "" {
			t.Errorf("%d requests", len(x.sent))
		}
	})
}
