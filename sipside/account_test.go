package sipside

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/mapping"
	"github.com/stoxgw/stox/sipside/locate"
)

// TestAccount: what a REGISTER of an account says, that the binding is kept, that the user's
// phone goes on working beside it, and that it is taken back in the end.
func TestAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newCarriers(t, nil)
		a := account("juliet", "provider.example")
		a.Name, a.Username = "Juliet \"J\"", "jc"
		x.knows(a)
		phone := "sip:juliet@198.51.100.7:5062"
		x.Bind("sip:juliet@provider.example", phone)
		x.ua.SetAccounts([]Account{a})
		synctest.Wait()
		s := x.state(a)
		if s.State != "registered" || !s.Registered || s.Status != 200 || s.Reason != "" || s.Server != "udp 192.0.2.9:5060" || time.Until(s.Until) != 10*time.Minute {
			t.Errorf("%+v", s)
		}
		all := x.Requests()
		if len(all) != 1 { // with the answer to the challenge
			t.Fatalf("%d requests", len(all))
		}
		m := all[0]
		if m.First != "REGISTER sip:provider.example SIP/2.0" || m.Get("To") != "<sip:juliet@provider.example>" ||
			!strings.HasPrefix(m.Get("From"), `"Juliet \"J\"" <sip:juliet@provider.example>;tag=`) || !strings.Contains(m.Get("Authorization"), `username="jc"`) ||
			m.Get("Contact") != "<"+a.contact()+`>;expires=600;+sip.instance="<`+testInstance+`>";reg-id=1` {
			t.Errorf("%+v", m)
		}
		after(time.Hour)
		if n := len(x.Requests()) - 1; n < 6 || n > 8 {
			t.Errorf("%d requests more in an hour", n)
		}
		if b := x.BindingsOf("sip:juliet@provider.example"); len(b) != 2 || b[0] != phone || b[1] != a.contact() {
			t.Errorf("bindings: %q", b)
		}
		x.ua.SetAccounts(nil)
		synctest.Wait()
		if b := x.BindingsOf("sip:juliet@provider.example"); len(b) != 1 || b[0] != phone {
			t.Errorf("bindings: %q", b)
		}
		if s, ok := x.ua.AccountState(a.AOR); ok {
			t.Errorf("%+v", s)
		}
		for _, s := range []string{fmt.Sprintf("%v %+v %#v %s", a, a, a, a), fmt.Sprint(a.LogValue())} {
			if strings.Contains(s, password) {
				t.Error(s)
			}
		}
		if n := x.ua.lines; len(n.byToken)+len(n.hosts)+len(n.providers)+len(n.leaving)+len(n.nat.flows) != 0 {
			t.Errorf("left: %d %d %d %d %d", len(n.byToken), len(n.hosts), len(n.providers), len(n.leaving), len(n.nat.flows))
		}
	})
}

// TestAccountWay: where accounts register.
func TestAccountWay(t *testing.T) {
	route := func(domain, via string) Route {
		r := Route{Domain: domain}
		if via != "" {
			r.Via = mapping.MustParseURI(via)
		}
		return r
	}
	for _, tt := range []struct {
		name      string
		routes    []Route
		registrar string
		to, line  string // "" is nowhere
	}{
		{"DNS", nil, "", "192.0.2.9:5060", "sip:provider.example"},
		{"another registrar", nil, "sip:other.example:5070", "192.0.2.10:5070", "sip:other.example"},
		{"a route", []Route{route("pbx.example", "sip:192.0.2.77"), route("provider.example", "sip:pbx.example:5080"), route("*", "sip:192.0.2.78")}, "", "192.0.2.11:5080", "sip:provider.example"},
		{"a route and another registrar", []Route{route("provider.example", "sip:pbx.example:5080")}, "sip:other.example", "192.0.2.11:5080", "sip:other.example"},
		{"a route for all", []Route{route("*", "sip:192.0.2.78")}, "", "192.0.2.78:5060", "sip:provider.example"},
		{"a route without a next hop", []Route{route("provider.example", ""), route("*", "sip:192.0.2.78")}, "", "192.0.2.9:5060", "sip:provider.example"},
		{"this machine", nil, "sip:127.0.0.1", "", ""},
		{"this machine, where the route says nothing of it", []Route{route("provider.example", "")}, "sip:127.0.0.1:5070", "", ""},
		{"no such transport", nil, "sip:provider.example;transport=sctp", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := newCarriers(t, func(x *carriers) { x.cfg.Routes, x.cfg.Local = tt.routes, false })
				a := account("juliet", "provider.example")
				if tt.registrar != "" {
					a.Registrar = mapping.MustParseURI(tt.registrar)
				}
				x.ua.SetAccounts([]Account{a})
				after(time.Second)
				all := x.Requests()
				if tt.to == "" {
					if s := x.state(a); len(all) != 0 || s.Registered || s.Reason == "" {
						t.Errorf("%d requests, %+v", len(all), s)
					}
					return
				}
				if len(all) != 1 || all[0].Source.String() != tt.to || all[0].First != "REGISTER "+tt.line+" SIP/2.0" || !x.state(a).Registered {
					t.Errorf("%d requests, %+v", len(all), all)
				}
			})
		})
	}
}

// TestAccountChanges: another password is tried with the binding that there is, another token
// or registrar makes another one, and takes back the old one.
func TestAccountChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newCarriers(t, nil)
		a := account("juliet", "provider.example")
		x.knows(a)
		x.ua.SetAccounts([]Account{a})
		synctest.Wait()
		callID := x.Requests()[0].Get("Call-ID")
		before := len(x.Requests())
		x.ua.SetAccounts([]Account{a})
		after(time.Second)
		if n := len(x.Requests()) - before; n != 0 {
			t.Errorf("%d requests for what has not changed", n)
		}

		x.mu.Lock()
		x.passwords["juliet"] = "another"
		x.mu.Unlock()
		b := a
		b.Password = "another"
		x.ua.SetAccounts([]Account{b})
		after(time.Second)
		all := x.Requests()[before:]
		if last := all[len(all)-1]; last.Get("Call-ID") != callID || !x.state(b).Registered || last.Get("Authorization") == "" {
			t.Errorf("%d requests, %+v", len(all), x.state(b))
		}

		c := b
		c.Token = "another-token"
		x.ua.SetAccounts([]Account{c})
		after(time.Second)
		if got := x.contacts(a); !slices.Equal(got, []string{"another-token"}) || !x.state(c).Registered {
			t.Errorf("bound: %q", got)
		}
		for _, m := range x.Requests()[before+len(all):] {
			if want := "reg-id=1"; strings.Contains(m.Get("Contact"), c.Token) != strings.HasSuffix(m.Get("Contact"), "reg-id=2") {
				t.Errorf("%s, want another than %s for the new one", m.Get("Contact"), want)
			}
		}

		d := c
		d.Registrar = mapping.URI{Scheme: "sip", Host: "other.example"}
		x.ua.SetAccounts([]Account{d})
		after(time.Second)
		if got := x.contacts(a); !slices.Equal(got, []string{"another-token"}) || x.state(d).Server != "udp 192.0.2.10:5060" {
			t.Errorf("bound: %q, %+v", got, x.state(d))
		}
		x.stop()
		if got := x.Bindings(); len(got) != 0 {
			t.Errorf("left: %q", got)
		}
	})
}

// TestAccountsUnfit: what cannot be registered is left out, and is nobody else's loss.
func TestAccountsUnfit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newCarriers(t, nil)
		good := account("juliet", "provider.example")
		var all []Account
		for _, edit := range []func(a *Account){
			func(a *Account) { a.AOR.User = "" },
			func(a *Account) { a.AOR.Scheme = "tel" },
			func(a *Account) { a.AOR.Host = "a b" },
			func(a *Account) { a.Token = "" },
			func(a *Account) { a.Token = "a@b" },
			func(a *Account) { a.Token = good.Token },
			func(a *Account) { a.AOR = good.AOR },
			func(a *Account) { a.Username = "x\r\nContact: *" },
			func(a *Account) { a.Registrar = mapping.URI{Scheme: "sip", Host: "a>\r\nX: y"} },
			func(a *Account) { a.Registrar = mapping.URI{Scheme: "sip"} },
		} {
			a := account(fmt.Sprint("romeo", len(all)), "provider.example")
			edit(&a)
			all = append(all, a)
		}
		x.ua.SetAccounts(append([]Account{good}, all...))
		after(5 * time.Second)
		if got := x.Bindings(); len(got) != 1 || got[0] != good.contact() || x.logged("cannot be registered as they are") != 1 || x.logged("accounts=10") != 1 {
			t.Errorf("bound: %q, %d of %d\n%s", got, 1, len(all), x.log)
		}
		for i, a := range all {
			if a.AOR == good.AOR {
				continue
			}
			if s, _ := x.try(a); s.State != "refused" || s.Reason != ReasonInvalid && s.Reason != ReasonTwice {
				t.Errorf("%d: %+v", i, s)
			}
		}
	})
}

// TestAccountFlows: a connection that a binding was made over is kept alive, without any
// route, and when it breaks the account is registered again. Over UDP an OPTIONS is sent
// instead, and who does not answer that any more is registered at anew.
func TestAccountFlows(t *testing.T) {
	t.Run("tcp", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			x := newCarriers(t, nil)
			a := account("juliet", "provider.example")
			a.Registrar = mapping.MustParseURI("sip:provider.example;transport=tcp")
			x.ua.SetAccounts([]Account{a})
			synctest.Wait()
			stream := func() *stream {
				x.ua.conns.mu.Lock()
				defer x.ua.conns.mu.Unlock()
				for _, s := range x.ua.conns.streams {
					return s
				}
				return nil
			}
			s := stream()
			if s == nil || !s.isKept() {
				t.Fatal("the connection is not kept alive")
			}
			after(time.Minute)
			before := len(x.Requests())
			stream().conn.Close()
			after(3 * time.Second)
			if n := len(x.Requests()) - before; n != 1 || !x.state(a).Registered {
				t.Errorf("%d requests, %+v", n, x.state(a))
			}
			s = stream()
			x.ua.SetAccounts(nil)
			synctest.Wait()
			if s.isKept() {
				t.Error("the connection is kept for an account that is gone")
			}
		})
	})
	t.Run("udp", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			x := newCarriers(t, nil)
			a, b := account("juliet", "provider.example"), account("romeo", "provider.example")
			x.ua.SetAccounts([]Account{a, b})
			after(5 * time.Minute)
			x.mu.Lock()
			asked := len(x.sent)
			for _, w := range x.sent {
				if w.Method() != "OPTIONS" || w.Source.Addr() != providerAt || w.Get("Authorization") != "" || strings.Contains(w.Raw, "juliet") {
					t.Errorf("%s", w.Raw)
				}
			}
			x.deaf[providerAt] = true
			x.mu.Unlock()
			if asked < 10 || asked > 13 {
				t.Errorf("%d OPTIONS in five minutes", asked)
			}
			if n := len(x.Requests()); n != 2 {
				t.Errorf("%d requests", n)
			}
			after(70 * time.Second) // the next question, and Timer F
			if n := x.registers(providerAt); n < 4 || x.state(a).Registered || x.state(b).Registered {
				t.Errorf("%d requests, %+v", n, x.state(a))
			}
			x.mu.Lock()
			x.deaf = nil
			x.mu.Unlock()
			after(2 * time.Minute)
			if !x.state(a).Registered || !x.state(b).Registered {
				t.Errorf("%+v", x.state(a))
			}
		})
	})
}

// RFC 3261 §10.2.8, §21.5.4: a registrar is given what it asks for.
func TestAccountRegistrarAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newCarriers(t, func(x *carriers) {
			x.Script(func(n int, m *siptest.Message) string {
				switch {
				case n == 0:
					return m.Reply(423, "Interval Too Brief", "Min-Expires: 1800")
				case n == 1:
					return m.Reply(503, "Service Unavailable", "Retry-After: 300")
				}
				return ""
			})
		})
		a := account("juliet", "provider.example")
		x.ua.SetAccounts([]Account{a})
		synctest.Wait()
		if s := x.state(a); s.State != "lost" || s.Status != 503 {
			t.Errorf("%+v", s)
		}
		after(5*time.Minute - time.Second)
		if n := len(x.Requests()); n != 2 {
			t.Errorf("%d requests before Retry-After has passed", n)
		}
		after(time.Minute)
		if all := x.Requests(); len(all) != 3 || all[2].Get("Expires") != "1800" || !x.state(a).Registered {
			t.Errorf("%d requests, %+v", len(all), x.state(a))
		}
		if got := x.told(); !slices.Equal(got, []string{"lost", "registered"}) {
			t.Errorf("told: %q", got)
		}
	})
}

// TestAccountBehindBorder: a border element has changed our contact and dropped its parameters;
// the user's phone is bound, too. Nobody else has that token, so it is ours.
func TestAccountBehindBorder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := account("juliet", "provider.example")
		x := newCarriers(t, func(x *carriers) {
			x.Script(func(_ int, m *siptest.Message) string {
				return m.Reply(200, "OK", "Contact: <sip:juliet@198.51.100.7>;expires=900", "Contact: <sip:"+a.Token+"@10.0.0.9:5999>;expires=300")
			})
		})
		x.ua.SetAccounts([]Account{a})
		synctest.Wait()
		if s := x.state(a); !s.Registered || time.Until(s.Until) != 5*time.Minute {
			t.Errorf("%+v", s)
		}
	})
}

// A registrar that does not answer REGISTER says nothing of how it does with messages: what a
// user has entered must not have others avoid a server.
func TestAccountSaysNothingOfServers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newCarriers(t, func(x *carriers) { x.deaf[providerAt] = true })
		x.ua.SetAccounts([]Account{account("juliet", "provider.example")})
		after(timerF + time.Second)
		at := locate.Target{Transport: locate.UDP, Name: "provider.example", Addr: netip.AddrPortFrom(providerAt, 5060)}
		if _, avoided := x.ua.client.health.Avoided(at, time.Now()); avoided || x.registers(providerAt) == 0 {
			t.Errorf("avoided after %d REGISTERs", x.registers(providerAt))
		}
	})
}

// told are the states of which OnAccount was told.
func (x *carriers) told() (states []string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, s := range x.states {
		states = append(states, s.State)
	}
	return states
}

// TestAccountReload: another route for the domain of an account takes it elsewhere, what else
// is in the configuration does not touch it.
func TestAccountReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newCarriers(t, nil)
		a := account("juliet", "provider.example")
		x.ua.SetAccounts([]Account{a})
		synctest.Wait()
		reload := func(routes ...Route) {
			t.Helper()
			cfg := x.cfg
			cfg.Routes = routes
			if err := x.ua.Reload(cfg); err != nil {
				t.Fatal(err)
			}
			after(5 * time.Second)
		}
		reload(Route{Domain: "trunk.example", Via: mapping.MustParseURI("sip:pbx.example")})
		if n := len(x.Requests()); n != 1 {
			t.Errorf("%d requests after a reload without a change", n)
		}
		reload(Route{Domain: "provider.example", Via: mapping.MustParseURI("sip:pbx.example")})
		all := x.Requests()
		if len(all) != 3 || all[1].Get("Expires") != "0" || all[1].Source.Addr() != providerAt || all[2].Source.Addr() != pbxAt || x.state(a).Server != "udp 192.0.2.11:5060" {
			t.Fatalf("%d requests, %+v", len(all), x.state(a))
		}
		reload(Route{Domain: "provider.example", Via: mapping.MustParseURI("sip:pbx.example"), Login: Login{"stox", "hunter2"}})
		if n := len(x.Requests()); n != 3 {
			t.Errorf("%d requests after a change of the route's login", n)
		}
		reload()
		if x.state(a).Server != "udp 192.0.2.9:5060" || !slices.Equal(x.contacts(a), []string{a.Token}) {
			t.Errorf("%+v", x.state(a))
		}
	})
}
