package sipside

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/mapping"
	"github.com/stoxgw/stox/sipside/locate"
)

// said is what an office was sent as REGISTER after the first n: user, expiry and where.
func (o *office) said(n int) (all []string) {
	to := o.went()
	for i, m := range o.Requests() {
		if i >= n {
			user, _, _ := strings.Cut(strings.TrimPrefix(m.Get("To"), "<sip:"), "@")
			all = append(all, user+" "+m.Get("Expires")+" "+to[i])
		}
	}
	return all
}

// Registrations go on, begin, end and change with the routes, each at once and no other one.
func TestReloadRegistrations(t *testing.T) {
	const here, there = "192.0.2.9:5060", "192.0.2.8:5060"
	for _, tt := range []struct {
		name   string
		change func(c *Config)
		want   []string
		bound  []string
		same   bool // Call-ID as before
	}{
		{name: "nothing", change: func(*Config) {}, bound: []string{"stox"}},
		{name: "what does not concern it", change: func(c *Config) {
			c.Routes[0].Size, c.Routes[0].MaxBytes, c.Accept = SizeReject, 900, 202
		}, bound: []string{"stox"}},
		{name: "a route before it", change: func(c *Config) {
			c.Routes = slices.Insert(c.Routes, 0, Route{Domain: "a.example", Via: mapping.MustParseURI("sip:192.0.2.7")})
		}, bound: []string{"stox"}},
		{name: "another password", change: func(c *Config) { c.Routes[0].Login.Password = "new" }, want: []string{"stox 600 " + here}, bound: []string{"stox"}, same: true},
		{name: "no registration", change: func(c *Config) { c.Routes[0].Register = false }, want: []string{"stox 0 " + here}, same: true},
		{name: "no route", change: func(c *Config) { c.Routes = nil }, want: []string{"stox 0 " + here}, same: true},
		{name: "another user", change: func(c *Config) { c.Routes[0].Login.Username = "other" }, want: []string{"other 600 " + here, "stox 0 " + here}, bound: []string{"other"}},
		{name: "another place", change: func(c *Config) { c.Routes[0].Via.Host = "192.0.2.8" }, want: []string{"stox 0 " + here, "stox 600 " + there}, bound: []string{"stox"}},
		{name: "one more", change: func(c *Config) {
			more := c.Routes[0]
			more.Login.Username, more.Domain = "more", "more.example"
			c.Routes = append(c.Routes, more)
		}, want: []string{"more 600 " + here}, bound: []string{"stox", "more"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var cfg Config
				o := newOffice(t, func(_ *office, c *Config) { cfg = *c })
				after(time.Second)
				cfg.Routes = slices.Clone(cfg.Routes)
				tt.change(&cfg)
				if err := o.ua.Reload(cfg); err != nil {
					t.Fatal(err)
				}
				after(time.Second)
				said := o.said(1)
				if slices.Contains(tt.want, "other 600 "+here) { // these two concern nobody else's binding
					slices.Sort(said)
				}
				if !slices.Equal(said, tt.want) {
					t.Errorf("%q, want %q", said, tt.want)
				}
				var bound []string
				for _, b := range o.Bindings() {
					user, _, _ := strings.Cut(strings.TrimPrefix(b, "sip:"), "@")
					bound = append(bound, user)
				}
				if !slices.Equal(bound, tt.bound) {
					t.Errorf("bound: %q, want %q", bound, tt.bound)
				}
				all := o.Requests()
				if last := all[len(all)-1]; tt.same && (last.Get("Call-ID") != all[0].Get("Call-ID") || last.Get("CSeq") != "2 REGISTER") {
					t.Errorf("%s, %s", last.Get("CSeq"), last.Get("Call-ID"))
				}
				registered := 0
				for _, s := range o.ua.Routes() {
					if s.Registered {
						registered++
					}
				}
				if registered != len(tt.bound) {
					t.Errorf("%d are registered: %+v", registered, o.ua.Routes())
				}
				n := len(o.Requests())
				o.stop()
				for _, s := range o.said(n) {
					if !strings.Contains(s, " 0 ") {
						t.Errorf("at the end: %s", s)
					}
				}
				if got := len(o.said(n)); got != len(tt.bound) || len(o.Bindings()) > 0 {
					t.Errorf("%d are taken back at the end, %q stay", got, o.Bindings())
				}
			})
		})
	}
}

// What was refused is tried at once with another password, and not before its time without.
func TestReloadAfterRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cfg Config
		o := newOffice(t, func(o *office, c *Config) {
			cfg = *c
			o.Script(func(n int, m *siptest.Message) string {
				if n == 0 {
					return m.Reply(403, "No")
				}
				return ""
			})
		})
		if s := o.route(); s.State != "refused" {
			t.Fatalf("%+v", s)
		}
		if err := o.ua.Reload(cfg); err != nil {
			t.Fatal(err)
		}
		after(time.Minute)
		if n := len(o.Requests()); n != 1 {
			t.Errorf("%d requests", n)
		}
		cfg.Routes = slices.Clone(cfg.Routes)
		cfg.Routes[0].Login.Password = "mended"
		if err := o.ua.Reload(cfg); err != nil {
			t.Fatal(err)
		}
		after(time.Second)
		if s := o.route(); s.State != "registered" {
			t.Errorf("%+v", s)
		}
	})
}

// The servers of a route are asked whether they are there as long as there is the route.
func TestReloadProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cfg Config
		o := newOffice(t, func(_ *office, c *Config) {
			c.Routes = []Route{{Domain: "a.example", Via: mapping.MustParseURI("sip:192.0.2.7")}, {Domain: "b.example", Via: mapping.MustParseURI("sip:192.0.2.8")}}
			cfg = *c
		})
		asked := func() string {
			after(5 * time.Minute)
			o.mu.Lock()
			defer o.mu.Unlock()
			n := make(map[string]int)
			for _, a := range o.asked {
				n[a.Addr().String()]++
			}
			o.asked = nil
			for a, times := range n { // seven if six of the intervals are among the shortest
				between(t, a+" in five minutes", time.Duration(times), 5, 1+5*time.Minute/probeAtLeast)
			}
			return fmt.Sprint(n["192.0.2.7"] > 0, n["192.0.2.8"] > 0, n["192.0.2.6"] > 0)
		}
		if got := asked(); got != "true true false" {
			t.Errorf("at first: %s", got)
		}
		since := o.ua.Routes()[1].ProbeSince
		cfg.Routes = []Route{{Domain: "c.example", Via: mapping.MustParseURI("sip:192.0.2.6")}, {Domain: "d.example", Via: mapping.MustParseURI("sip:192.0.2.8")}}
		if err := o.ua.Reload(cfg); err != nil {
			t.Fatal(err)
		}
		if got := asked(); got != "false true true" {
			t.Errorf("then: %s", got)
		}
		if all := o.ua.Routes(); len(all) != 2 || all[0].Probe != Alive || all[1].Domain != "d.example" || !all[1].ProbeSince.Equal(since) {
			t.Errorf("%+v", all)
		}
	})
}

// A host that a route leads to by name is a peer as soon as that is known, and none any more
// without the route.
func TestReloadNamedRoutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cfg Config
		o := newOffice(t, func(_ *office, c *Config) { c.Routes = nil; cfg = *c })
		isPeer := func() bool { return o.ua.current().peers.find(netip.MustParseAddr(officeVia)) != nil }
		if isPeer() {
			t.Fatal("without a route")
		}
		for range 3 {
			cfg.Routes = []Route{{Domain: "a.example", Via: mapping.MustParseURI("sip:named.example")}}
			if err := o.ua.Reload(cfg); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if !isPeer() {
				t.Error("not with a route")
			}
			cfg.Routes = append(cfg.Routes, Route{Domain: "b.example", Via: mapping.MustParseURI("sip:other.example")})
			if err := o.ua.Reload(cfg); err != nil || !isPeer() { // not even for a moment
				t.Errorf("not with another route: %v", err)
			}
			cfg.Routes = nil
			if err := o.ua.Reload(cfg); err != nil || isPeer() {
				t.Errorf("still: %v", err)
			}
			synctest.Wait()
			if isPeer() {
				t.Error("again, without the route")
			}
		}
	})
}

// What a connection has proved counts as long as there is that peer: who is none any more is
// one no longer over the connection that it has, and who still is need not say so again.
func TestReloadPeersOfConnections(t *testing.T) {
	login := Peer{Name: "phone", Login: Login{"phone", "secret"}}
	for _, tt := range []struct {
		name   string
		before Peer
		after  []Peer
		want   string // of the second request
	}{
		{"certificate, still there", Peer{Name: "pbx", TLSNames: []string{"pbx.example"}}, []Peer{{Name: "new", TLSNames: []string{"other.example", "pbx.example"}}}, "200"},
		{"certificate, gone", Peer{Name: "pbx", TLSNames: []string{"pbx.example"}}, []Peer{{Name: "pbx", TLSNames: []string{"other.example"}}}, "403"},
		{"address, gone", Peer{Name: "pbx", Addresses: []netip.Prefix{netip.PrefixFrom(stranger.Addr(), 32)}}, nil, "403"},
		{"address, now by certificate", Peer{Name: "pbx", Addresses: []netip.Prefix{netip.PrefixFrom(stranger.Addr(), 32)}}, []Peer{{Name: "pbx", TLSNames: []string{"pbx.example"}}}, "200"},
		{"login, still there", login, []Peer{login, {Name: "more", Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.77/32")}}}, "200"},
		{"login, another password", login, []Peer{{Name: "phone", Login: Login{"phone", "other"}}}, "401"},
		{"login, gone", login, nil, "403"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := siptest.NewCA(t, "Test CA")
				cfg := testConfig()
				cfg.Peers = []Peer{tt.before}
				u, l := secured(t, locate.TLS, cfg, ca, newBridge(processed), nil)
				c := tlsClient(t, l, stranger, []tls.Certificate{ca.Issue(nil, "pbx.example").Certificate}...)
				defer c.Close()
				got := readAll(c)
				seen := 0
				ask := func(edits ...string) *siptest.Message {
					t.Helper()
					io.WriteString(c, message("tls", edits...))
					synctest.Wait()
					text := got()[seen:]
					m, n, err := siptest.Parse([]byte(text))
					if err != nil {
						t.Fatalf("%q: %v", text, err)
					}
					seen += n
					return m
				}
				send := func() *siptest.Message {
					m := ask()
					if m.Status() == 401 {
						m = ask(credentials(t, "phone", "secret", "MESSAGE", asks(t, m)...))
					}
					return m
				}
				if m := send(); m.Status() != 200 {
					t.Fatalf("at first: %s", m.First)
				}
				next := cfg
				next.Peers = tt.after
				if err := u.Reload(next); err != nil {
					t.Fatal(err)
				}
				time.Sleep(frameTimeout + time.Minute) // a stranger would have had to speak by then
				if m := send(); fmt.Sprint(m.Status()) != tt.want {
					t.Errorf("then: %s, want %s", m.First, tt.want)
				}
			})
		})
	}
}

// A connection is kept alive for as long as a route leads over it.
func TestReloadKeepsConnectionsOfRoutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBridge(nil)
		cfg := testConfig()
		cfg.Routes = []Route{{Domain: "*", Via: mapping.URI{Scheme: "sip", Host: "192.0.2.9", Transport: "tcp"}}}
		u, _, dialed := memTCP(t, cfg, b)
		u.Deliver(parcel(1, toMem(1)))
		var p pinged
		var far sync.WaitGroup
		c := <-dialed
		far.Go(func() { p.serve(c) })
		kept := func() bool {
			synctest.Wait()
			u.conns.mu.Lock()
			defer u.conns.mu.Unlock()
			for _, s := range u.conns.streams {
				return s.isKept()
			}
			return false
		}
		if !kept() {
			t.Error("not kept at first")
		}
		for i, step := range []struct {
			routes []Route
			want   bool
		}{
			{[]Route{{Domain: "*", Via: cfg.Routes[0].Via, Size: SizeReject}}, true}, // another route, the same way
			{nil, false},
			{cfg.Routes, false}, // nothing has gone over it since
		} {
			next := cfg
			next.Routes = step.routes
			if err := u.Reload(next); err != nil {
				t.Fatal(err)
			}
			if got := kept(); got != step.want {
				t.Errorf("%d: %v", i, got)
			}
		}
		before, _ := p.state()
		time.Sleep(pingAtMost / 2)
		u.Deliver(parcel(2, toMem(2)))
		if !kept() {
			t.Error("not kept at the end")
		}
		if now, other := p.state(); len(now) != len(before) || other != "" || len(dialed) != 0 {
			t.Errorf("%d pings, %q, %d more connections", len(now)-len(before), other, len(dialed))
		}
		c.Close()
		far.Wait()
	})
}

// A request that is under way goes on by what was in force, and what comes after it goes by
// what is: a route that is gone while a message waits is not taken.
func TestReloadWhileRequestsAreOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBridge(nil) // nothing is answered by itself
		cfg := testConfig()
		u, m := memUA(t, cfg, b)
		seen := 0
		next := cfg
		next.Peers = []Peer{{Name: "mem", Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.9/32")}}}
		m.in <- from(memPeer)
		synctest.Wait()
		for range 3 {
			next.Accept = 202
			if err := u.Reload(next); err != nil {
				t.Fatal(err)
			}
		}
		b.mu.Lock()
		ref := b.refs[0]
		b.mu.Unlock()
		u.Answer([]mapping.Result{{Ref: ref, Outcome: mapping.Outcome{Kind: mapping.Processed}}})
		synctest.Wait()
		same(t, m.firsts(&seen), "SIP/2.0 202 Accepted")
		u.server.mu.Lock()
		if n := u.current().peers.configured[0].share.pending; n != 0 {
			t.Errorf("%d are pending of the peer", n)
		}
		u.server.mu.Unlock()
	})
}

// A Config with faults changes nothing.
func TestReloadRefused(t *testing.T) {
	cfg := testConfig()
	cfg.Routes = []Route{{Domain: "a.example", Via: mapping.MustParseURI("sip:192.0.2.7")}}
	u, err := New(cfg, testLog(t, nil))
	if err != nil {
		t.Fatal(err)
	}
	before := u.current()
	next := cfg
	next.Accept, next.PeerRate, next.Routes = 299, 7, []Route{{Domain: ""}}
	if err := u.Reload(next); err == nil || !strings.Contains(err.Error(), "sip.accept_status") || !strings.Contains(err.Error(), "sip.route[0].domain") {
		t.Errorf("%v", err)
	}
	if u.current() != before || u.server.accept.Load() != 200 || !u.rates.off() {
		t.Error("something has changed")
	}
}
