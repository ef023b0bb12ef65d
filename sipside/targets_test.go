package sipside

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/mapping"
	"github.com/stoxgw/stox/sipside/locate"
)

func addrs(all ...string) (list []netip.Addr) {
	for _, a := range all {
		list = append(list, netip.MustParseAddr(a))
	}
	return list
}

// fixed gives the same addresses to every host.
func fixed(addrs []netip.Addr) Locator {
	return byAddress(func(string) ([]netip.Addr, error) { return addrs, nil })
}

// TestTargets: the list for a next hop, without what we cannot send to.
func TestTargets(t *testing.T) {
	u, _ := memUA(t, testConfig(), newBridge(nil)) // has one UDP socket, for IPv4
	for _, tt := range []struct{ all, want string }{
		{"udp 192.0.2.8:5060", "udp 192.0.2.8:5060"},
		{"udp 192.0.2.8:5070, udp [2001:db8::1]:5070, udp 192.0.2.7:5070", "udp 192.0.2.8:5070, udp 192.0.2.7:5070"},
		{"tcp [2001:db8::1]:5060, tcp 192.0.2.8:5060, tcp 192.0.2.7:5060", "tcp 192.0.2.8:5060, tcp 192.0.2.7:5060, tcp [2001:db8::1]:5060"},
		{"udp [2001:db8::1]:5060, udp [2001:db8::2]:5060", "udp [2001:db8::1]:5060, udp [2001:db8::2]:5060"},
	} {
		var list []locate.Target
		for one := range strings.SplitSeq(tt.all, ", ") {
			transport, addr, _ := strings.Cut(one, " ")
			tr, _ := locate.ParseTransport(transport)
			list = append(list, locate.Target{Transport: tr, Addr: netip.MustParseAddrPort(addr)})
		}
		var got []string
		for _, to := range u.reachable(list) {
			got = append(got, to.String())
		}
		if got := strings.Join(got, ", "); got != tt.want {
			t.Errorf("%s: %s\nwant %s", tt.all, got, tt.want)
		}
	}
}

// IM-59: SIPMessage.Target chooses among the targets of the next hop, and
// Outcome.More says whether there is one that has not been tried.
func TestTargetOfRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := testConfig()
		cfg.Locator = fixed(addrs("192.0.2.7", "192.0.2.8", "2001:db8::9", "192.0.2.9"))
		b := newBridge(nil)
		u, m := memUA(t, cfg, b)
		for i, tt := range []struct {
			target, status int
			to             string
			more           bool
		}{
			{0, 503, "192.0.2.7:5060", true},
			{1, 503, "192.0.2.8:5060", true},
			{2, 503, "192.0.2.9:5060", false},
			{3, 503, "192.0.2.7:5060", false}, // round
			{5, 503, "192.0.2.9:5060", false},
			{0, 404, "192.0.2.7:5060", true},
			{0, 302, "192.0.2.7:5060", true},
			{0, 200, "192.0.2.7:5060", false},
			{0, 202, "192.0.2.7:5060", false},
		} {
			v := toMem(i + 1)
			v.RequestURI.Host, v.Target = "trunk.example", tt.target
			u.Deliver(parcel(i, v))
			synctest.Wait()
			sent := m.all()
			if len(sent) != i+1 || sent[i].to.String() != tt.to {
				t.Fatalf("%+v: %d packets, the last to %s", tt, len(sent), sent[len(sent)-1].to)
			}
			req, _, err := siptest.Parse(sent[i].data)
			if err != nil {
				t.Fatal(err)
			}
			m.in <- packet{b: []byte(req.Reply(tt.status, "Why")), to: sent[i].to}
			synctest.Wait()
			if o := b.outcome(i); o.Status != tt.status || o.More != tt.more {
				t.Errorf("%+v: %+v", tt, o)
			}
		}
	})
}

// One target after another, and no request goes to two of them by itself. The order
// is kept although the name server gives another one with each answer, and the
// answer is forgotten while the first target is waited for.
func TestNextTargetAfterTimeout(t *testing.T) {
	for _, via := range []string{"", "trunk.example"} {
		t.Run("route "+via, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := testConfig()
				cfg.Locator = fixed(addrs("192.0.2.7", "192.0.2.8", "192.0.2.9"))
				if via != "" {
					cfg.Routes = []Route{{Domain: "*", Via: mapping.URI{Scheme: "sip", Host: via}}}
				}
				b := newBridge(nil)
				u, m := memUA(t, cfg, b)
				synctest.Wait() // for the addresses of the route
				met := make(map[string]bool)
				for i := range 3 {
					v := toMem(i + 1)
					v.RequestURI.Host, v.Target = "trunk.example", i
					before := len(m.all())
					u.Deliver(parcel(i, v))
					time.Sleep(timerF + 30*time.Second) // and a refresh of the route's name comes
					synctest.Wait()
					if o := b.outcome(i); o.Kind != mapping.Unknown || o.More != (i < 2) {
						t.Errorf("target %d: %+v", i, o)
					}
					sent := m.all()[before:]
					for _, p := range sent {
						if p.to != sent[0].to {
							t.Errorf("target %d: sent to %s and %s", i, sent[0].to, p.to)
						}
					}
					met[sent[0].to.String()] = true
				}
				if len(met) != 3 {
					t.Errorf("targets met: %v", met)
				}
			})
		})
	}
}

// What fails before a target is known has none to follow; what fails at one may.
func TestMoreWhenNothingLeft(t *testing.T) {
	cfg := testConfig()
	closed := siptest.Listen(t, "tcp")
	closed.Close()
	via := func(host string) mapping.URI {
		return mapping.URI{Scheme: "sip", Host: host, Port: closed.Addr().Port(), Transport: "tcp"}
	}
	cfg.Locator = &fakeDNS{hosts: map[string]string{"pbx.example": "127.0.0.1"}} // and an IPv6 address
	cfg.Routes = []Route{{Domain: "two.example", Via: via("pbx.example")}, {Domain: "none.example", Via: via("nowhere.example")}, {Domain: "one.example", Via: via("127.0.0.1")}}
	b := newBridge(nil)
	u := start(t, cfg, b)
	for host, more := range map[string]bool{"two.example": true, "none.example": false, "one.example": false} {
		m := outgoing(closed, 1)
		m.RequestURI = mapping.URI{Scheme: "sip", User: "romeo", Host: host}
		u.Deliver(parcel(host, m))
		if o := b.outcome(host); o.Kind != mapping.NotWritten || o.More != more {
			t.Errorf("%s: %+v", host, o)
		}
	}
}

// SEC-30: no next hop holds more than a quarter of the open requests, whatever the
// Request-URIs; what is over gives its place back.
func TestShareOfNextHop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := testConfig()
		cfg.MaxPending = 8
		cfg.Routes = []Route{{Domain: "trunk.example", Via: mapping.URI{Scheme: "sip", Host: "192.0.2.10"}}}
		b := newBridge(nil)
		u, m := memUA(t, cfg, b)
		n := 0
		deliver := func(host string) mapping.Outcome {
			t.Helper()
			n++
			v := toMem(n)
			v.RequestURI.User, v.RequestURI.Host = fmt.Sprint("u", n), host
			u.Deliver(parcel(n, v))
			synctest.Wait()
			if !b.ready(n) {
				return mapping.Outcome{}
			}
			return b.outcome(n)
		}
		refused := func(host string) {
			t.Helper()
			if o := deliver(host); o.Kind != mapping.NotWritten || o.Failure == nil || o.Failure.Condition != mapping.CondResourceConstraint || o.Failure.RetryAfter != 0 {
				t.Errorf("%s: one too many: %+v", host, o)
			}
		}
		taken := func(host string) {
			t.Helper()
			if o := deliver(host); o != (mapping.Outcome{}) {
				t.Errorf("%s: %+v %v", host, o, o.Failure)
			}
		}
		for range 2 {
			taken("trunk.example")
			taken("192.0.2.11")
		}
		refused("trunk.example")
		refused("192.0.2.11")
		req, _, err := siptest.Parse(m.all()[0].data)
		if err != nil {
			t.Fatal(err)
		}
		m.in <- packet{b: []byte(req.Reply(200, "OK")), to: memPeer}
		synctest.Wait()
		taken("trunk.example")
		refused("trunk.example")
		for _, host := range []string{"192.0.2.12", "192.0.2.13"} {
			taken(host)
			taken(host)
		}
		refused("192.0.2.14") // all eight places are taken
		time.Sleep(timerF + time.Second)
		synctest.Wait()
		u.client.mu.Lock()
		defer u.client.mu.Unlock()
		if u.client.open.count != 0 || len(u.client.held) != 0 {
			t.Errorf("after all are over: %d open, %v", u.client.open.count, u.client.held)
		}
	})
}

// TestOwnName: what DNS says of our own name leads to us only if it is a port of ours:
// another server may share the name, and the machine.
func TestOwnName(t *testing.T) {
	for name, tt := range map[string]struct {
		via  mapping.URI
		port uint16 // that DNS says
		loop bool
	}{
		"our port, by SRV":         {mapping.URI{Scheme: "sip", Host: "gw.example.org"}, 5060, true},
		"another port, by SRV":     {mapping.URI{Scheme: "sip", Host: "gw.example.org"}, 5080, false},
		"our port, written":        {mapping.URI{Scheme: "sip", Host: "gw.example.org", Port: 5060}, 5060, true},
		"a name that leads to it":  {mapping.URI{Scheme: "sip", Host: "other.example.org"}, 5060, false},
		"another transport's port": {mapping.URI{Scheme: "sip", Host: "gw.example.org", Transport: "tls"}, 5061, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := testConfig()
				cfg.Advertise = "gw.example.org" // 203.0.113.5, behind NAT
				cfg.Routes = []Route{{Domain: "*", Via: tt.via}}
				cfg.Locator = located(func(q locate.Query) []locate.Target {
					return []locate.Target{{Transport: max(q.Transport, locate.UDP), Addr: netip.AddrPortFrom(netip.MustParseAddr("203.0.113.5"), tt.port), Name: q.Host}}
				})
				b := newBridge(nil)
				u, m := memUA(t, cfg, b)
				dialed := make(chan struct{}, 1)
				u.dial = func(context.Context, string, string) (net.Conn, error) {
					dialed <- struct{}{}
					return nil, syscall.ECONNREFUSED
				}
				u.Deliver(parcel(0, toMem(1)))
				synctest.Wait()
				if sent := len(m.all()) + len(dialed); (sent == 0) != tt.loop {
					t.Errorf("%d sent", sent)
				}
			})
		})
	}
}

// located is a Locator that knows the targets at once.
type located func(q locate.Query) []locate.Target

func (f located) Locate(_ context.Context, q locate.Query) (locate.Answer, error) {
	return locate.Answer{Targets: f(q), Until: time.Now().Add(time.Minute)}, nil
}

// TestSilentServers: servers that do not answer are dialled for as long as that takes, and
// there may be many of them, since users choose whom they write to. Requests to a route do
// not wait for them, not even if one of those names leads to the very same server.
func TestSilentServers(t *testing.T) {
	trunk := netip.MustParseAddrPort("192.0.2.9:5060")
	for name, before := range map[string]bool{"a route": false, "a route that a user's domain leads to as well": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := testConfig()
				cfg.Routes = []Route{{Domain: "example.org", Via: mapping.URI{Scheme: "sip", Host: trunk.Addr().String(), Transport: "tcp"}}}
				cfg.Locator = located(func(q locate.Query) []locate.Target {
					var n byte
					fmt.Sscanf(q.Host, "silent%d.", &n)
					to := netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, 100, n}), 5060)
					if q.Host == "same.example" {
						to = trunk
					}
					return []locate.Target{{Transport: locate.TCP, Addr: to, Name: q.Host}}
				})
				b := newBridge(nil)
				u, err := New(cfg, slog.New(slog.DiscardHandler))
				if err != nil {
					t.Fatal(err)
				}
				u.listenUDP = func(string) (datagrams, netip.AddrPort, error) { return newMemNet(), memSelf, nil }
				u.listenTCP = func(string) (net.Listener, error) {
					return &memListener{conns: make(chan any), done: make(chan struct{})}, nil
				}
				var dials atomic.Int32 // of the trunk
				u.dial = func(ctx context.Context, _, addr string) (net.Conn, error) {
					if addr == trunk.String() {
						dials.Add(1)
						return nil, syscall.ECONNREFUSED
					}
					<-ctx.Done()
					return nil, ctx.Err()
				}
				run(t, u, b)
				synctest.Wait()
				send := func(ref any, host string) {
					v := toMem(1)
					v.RequestURI.Host = host
					u.Deliver(parcel(ref, v))
					synctest.Wait()
				}
				for i := range 200 {
					send(i, fmt.Sprintf("silent%d.example", i))
				}
				if before {
					send("same", "same.example")
				}
				send("route", "example.org")
				if !b.ready("route") || before && !b.ready("same") {
					t.Error("the request to the route waits for servers that are silent")
				}
				b.outcome(199) // of the last
				synctest.Wait()
				want := 201
				if before {
					want++
				}
				if n := len(b.told()); n != want || dials.Load() != 1 {
					t.Errorf("%d outcomes, want %d; %d dials of the route", n, want, dials.Load())
				}
			})
		})
	}
}

// TestRouteMoves: where a route leads is asked again when DNS says that the answer is old.
func TestRouteMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const ttl = 10 * time.Second
		began := time.Now()
		cfg := testConfig()
		cfg.Routes = []Route{{Domain: "example.org", Via: mapping.URI{Scheme: "sip", Host: "pbx.example"}}}
		cfg.Locator = locatorFunc(func() locate.Answer {
			to := netip.MustParseAddrPort("192.0.2.7:5060")
			if time.Since(began) >= ttl/2 {
				to = netip.MustParseAddrPort("192.0.2.8:5060")
			}
			return locate.Answer{Targets: []locate.Target{{Transport: locate.UDP, Addr: to}}, Until: time.Now().Add(ttl)}
		})
		u, m := memUA(t, cfg, newBridge(nil))
		time.Sleep(ttl + time.Second)
		synctest.Wait()
		v := toMem(1)
		v.RequestURI.Host = "example.org"
		u.Deliver(parcel(0, v))
		synctest.Wait()
		if sent := m.all(); len(sent) != 1 || sent[0].to.String() != "192.0.2.8:5060" {
			t.Errorf("%d sent, not to where DNS leads now", len(sent))
		}
		if u.current().peers.find(netip.MustParseAddr("192.0.2.8")) == nil || u.current().peers.find(netip.MustParseAddr("192.0.2.7")) != nil {
			t.Error("who is a peer is what DNS said before")
		}
	})
}

type locatorFunc func() locate.Answer

func (f locatorFunc) Locate(context.Context, locate.Query) (locate.Answer, error) { return f(), nil }

// TestNobodyThere: to a group, to everybody, or to whatever listens here nothing is sent, by
// number as little as by name.
func TestNobodyThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBridge(nil)
		u, m := memUA(t, testConfig(), b)
		for _, host := range []string{"224.0.1.75", "255.255.255.255", "0.0.0.0", "ff02::1", "::", "::ffff:224.0.1.75"} {
			v := toMem(1)
			v.RequestURI.Host, v.RequestURI.Port = host, 5070
			u.Deliver(parcel(host, v))
			synctest.Wait()
			if o := b.outcome(host); o.Kind != mapping.NotWritten || o.Failure.Status != 404 || o.More {
				t.Errorf("%s: %+v", host, o)
			}
		}
		if sent := m.all(); len(sent) != 0 {
			t.Errorf("%d packets, the first to %s", len(sent), sent[0].to)
		}
	})
}

// A stranger's word does not lead to this machine, be it a number or what DNS says of a
// name; a route does, and so does our own domain.
func TestAbroad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct {
			host, addrs string
			routes      []Route
			to          string // "" is nowhere
		}{
			{"127.0.0.1", "", nil, ""},
			{"::1", "", nil, ""},
			{"169.254.169.254", "", nil, ""},
			{"evil.example", "127.0.0.9", nil, ""},
			{"evil.example", "127.0.0.9 192.0.2.7", nil, "192.0.2.7:5060"},
			{"evil.example", "::ffff:127.0.0.9", nil, ""},
			{"10.0.0.7", "", nil, "10.0.0.7:5060"}, // a LAN has PBXs
			{"example.net", "127.0.0.9", nil, "127.0.0.9:5060"},
			{"routed.example", "127.0.0.9", []Route{{Domain: "routed.example"}}, "127.0.0.9:5060"},
			{"evil.example", "127.0.0.9", []Route{{Domain: "*", Size: SizeReject}}, ""},
			{"127.0.0.1", "", []Route{{Domain: "*"}}, ""},
			{"routed.example", "", []Route{{Domain: "*", Via: mapping.MustParseURI("sip:127.0.0.8")}}, "127.0.0.8:5060"},
		} {
			cfg := testConfig()
			cfg.Local, cfg.Routes = false, tt.routes
			cfg.Locator = fixed(addrs(strings.Fields(tt.addrs)...))
			b := newBridge(nil)
			u, m := memUA(t, cfg, b)
			v := toMem(1)
			v.RequestURI.Host = tt.host
			u.Deliver(parcel("x", v))
			synctest.Wait()
			sent := m.all()
			switch {
			case tt.to == "" && len(sent) > 0, tt.to != "" && (len(sent) != 1 || sent[0].to.String() != tt.to):
				t.Errorf("%s (%s): %+v", tt.host, tt.addrs, sent)
			case tt.to == "":
				if o := b.outcome("x"); o.Kind != mapping.NotWritten || o.Failure.Condition != mapping.CondRemoteServerNotFound {
					t.Errorf("%s (%s): %+v", tt.host, tt.addrs, o)
				}
			}
		}
	})
}

// TestWayOfRoute: where a route to a number leads is found out once, and again after a Reload. A
// request that is under way by then stays on its way; a route that leads to us is none.
func TestWayOfRoute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBridge(nil)
		config := func(far string) Config {
			cfg := testConfig()
			cfg.Routes = []Route{{Domain: "far.example", Via: mapping.MustParseURI("sip:" + far)},
				{Domain: "near.example", Via: mapping.MustParseURI("sip:192.0.2.1")}}
			return cfg
		}
		u, m := memUA(t, config("192.0.2.9"), b)
		n := 0
		deliver := func(hosts ...string) (sent []memPacket) {
			t.Helper()
			before := len(m.all())
			var batch []mapping.Parcel[mapping.SIP]
			for _, host := range hosts {
				n++
				v := toMem(n)
				v.RequestURI.Host = host
				batch = append(batch, mapping.Parcel[mapping.SIP]{Ref: n, Value: v})
			}
			u.Deliver(batch)
			synctest.Wait()
			return m.all()[before:]
		}
		check := func(got []memPacket, want ...string) {
			t.Helper()
			var all []string
			for _, p := range got {
				all = append(all, p.to.String())
			}
			if !slices.Equal(all, want) {
				t.Errorf("sent to %v, want %v", all, want)
			}
		}
		open := deliver("far.example", "near.example", "far.example", "near.example")
		check(open, "192.0.2.9:5060", "192.0.2.9:5060")
		for _, ref := range []int{2, 4} {
			if o := b.told()[ref]; o.Kind != mapping.NotWritten || o.Failure.Condition != mapping.CondPolicyViolation {
				t.Errorf("%d, which leads to us: %+v", ref, o)
			}
		}
		next := config("192.0.2.8:5070")
		next.Peers = []Peer{{Name: "mem", Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.9/32")}}}
		if err := u.Reload(next); err != nil {
			t.Fatal(err)
		}
		check(deliver("far.example", "near.example", "far.example"), "192.0.2.8:5070", "192.0.2.8:5070")
		m.in <- okTo(open[0])
		synctest.Wait()
		if o := b.told()[1]; o.Status != 200 {
			t.Errorf("answered after the Reload: %+v", o)
		}
		before := len(m.all())
		time.Sleep(timerT1)
		synctest.Wait()
		check(m.all()[before:], "192.0.2.9:5060", "192.0.2.8:5070", "192.0.2.8:5070")
	})
}
