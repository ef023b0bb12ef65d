package sipside

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/mapping"
	"github.com/stoxgw/stox/sipside/locate"
)

// TestRequest: the request on the wire (SIP-01, IM-09, SEC-06).
func TestRequest(t *testing.T) {
	for _, network := range []string{"udp", "tcp"} {
		b := newBridge(nil)
		cfg := testConfig()
		cfg.Advertise = "gw.example.com"
		u := start(t, cfg, b)
		p := siptest.Listen(t, network)
		p.Answer(func(m *siptest.Message) string { return m.Reply(200, "OK") })
		v := outgoing(p, 6)
		v.Subject, v.Lang, v.Name = "O Romeo", "en", `Juliet "C" \`
		v.Date = time.Date(2026, 1, 15, 10, 0, 0, 5e8, time.FixedZone("", 3600)) // IM-26, M-037
		u.Deliver(parcel("x", v))
		if o := b.outcome("x"); o.Kind != mapping.Answered || o.Status != 200 || o.Failure != nil {
			t.Fatalf("outcome %+v", o)
		}
		m := p.Await(1)[0]
		branch := m.Branch()
		if len(branch) != 7+24 || !strings.HasPrefix(branch, "z9hG4bK") {
			t.Errorf("branch %q", branch)
		}
		sentBy := fmt.Sprintf("gw.example.com:%d", addr(u, network).Port())
		want := strings.Join([]string{
			"MESSAGE " + v.RequestURI.String() + " SIP/2.0",
			"Via: SIP/2.0/" + strings.ToUpper(network) + " " + sentBy + ";rport;branch=" + branch,
			"Max-Forwards: 70",
			`From: "Juliet \"C\" \\" <sip:juliet@example.com;gr=balcony>;tag=tag6`,
			"To: <sip:romeo@example.net>",
			"Call-ID: call-6",
			"CSeq: 7 MESSAGE",
			"Date: Thu, 15 Jan 2026 09:00:00 GMT",
			"Subject: O Romeo",
			"Content-Language: en",
			"User-Agent: stox-test",
			"Content-Type: text/plain;charset=utf-8",
			"Content-Length: 19",
		}, "\n")
		got := m.First
		for _, f := range m.Fields {
			got += "\n" + f.Name + ": " + f.Value
		}
		if got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", network, got, want)
		}
		if string(m.Body) != "Art thou not Romeo?" {
			t.Errorf("body %q", m.Body)
		}
		if network == "udp" && m.Source != addr(u, "udp") {
			t.Errorf("sent from %v, not from the listening socket", m.Source)
		}
	}
}

// TestAnswers: what comes of final responses (ERR-06, ERR-12).
func TestAnswers(t *testing.T) {
	b := newBridge(nil)
	u := start(t, testConfig(), b)
	p := siptest.Listen(t, "udp")
	for i, tt := range []struct {
		status int
		lines  []string
		check  func(f *mapping.Failure) bool
	}{
		{202, nil, func(f *mapping.Failure) bool { return f == nil }},
		{404, nil, func(f *mapping.Failure) bool { return strings.Contains(f.Text, "404 SIP what") }},
		{503, []string{"Retry-After: 18 (I'm in a meeting);duration=3600"}, func(f *mapping.Failure) bool { return f.RetryAfter.Seconds() == 18 }},
		{606, []string{`Warning: 304 [::1]:5060 "Media type not available", 399 a "x"`, `Warning: 399 b "y, z"`}, func(f *mapping.Failure) bool {
			return f.Text == "606 SIP what (Media type not available; x)" && f.Warning == ""
		}},
		{302, []string{`Contact: "x, y" <mailto:a@b>, <sip:other@example.org;x=y?Subject=z>;q=0.3`, "m: <sip:low@example.org>;q=0.1"}, func(f *mapping.Failure) bool { return strings.Contains(f.Alternate, "other") }},
	} {
		p.Answer(func(m *siptest.Message) string { return m.Reply(tt.status, "SIP what", tt.lines...) })
		u.Deliver(parcel(i, outgoing(p, i)))
		o := b.outcome(i)
		if o.Kind != mapping.Answered || o.Status != tt.status || !tt.check(o.Failure) {
			t.Errorf("%d: outcome %+v %+v", tt.status, o, o.Failure)
		}
	}
}

// TestNothingEndsAHeader: SEC-21, tried with every field that goes into a header.
func TestNothingEndsAHeader(t *testing.T) {
	b := newBridge(nil)
	u := start(t, testConfig(), b)
	p := siptest.Listen(t, "udp")
	n := 0
	for _, evil := range []string{"a\r\nEvil: 1", "a\nEvil: 1", "a\rb", "a\x00b", "a\x7fb", "a\tb", "a\xff"} {
		for name, edit := range map[string]func(m *mapping.SIPMessage){
			"name":        func(m *mapping.SIPMessage) { m.Name = evil },
			"call-id":     func(m *mapping.SIPMessage) { m.CallID = evil },
			"tag":         func(m *mapping.SIPMessage) { m.FromTag = evil },
			"subject":     func(m *mapping.SIPMessage) { m.Subject = evil },
			"lang":        func(m *mapping.SIPMessage) { m.Lang = evil },
			"type":        func(m *mapping.SIPMessage) { m.ContentType = evil },
			"scheme":      func(m *mapping.SIPMessage) { m.From.Scheme = evil },
			"from host":   func(m *mapping.SIPMessage) { m.From.Host = evil },
			"to host":     func(m *mapping.SIPMessage) { m.To.Host = evil },
			"target host": func(m *mapping.SIPMessage) { m.RequestURI.Host = evil },
			"transport":   func(m *mapping.SIPMessage) { m.RequestURI.Transport = evil },
		} {
			m := outgoing(p, n)
			edit(m)
			u.Deliver(parcel(n, m))
			if o := b.outcome(n); o.Kind != mapping.NotWritten || o.Failure == nil {
				t.Errorf("%s %q: %+v", name, evil, o)
			}
			n++
		}
	}
	for _, edit := range []func(m *mapping.SIPMessage){
		func(m *mapping.SIPMessage) { m.CallID = "" },
		func(m *mapping.SIPMessage) { m.CallID = "a b" },
		func(m *mapping.SIPMessage) { m.FromTag = "a;b" },
		func(m *mapping.SIPMessage) { m.CSeq = 0 },
		func(m *mapping.SIPMessage) { m.From.Host = "a>;x=<b" },
		func(m *mapping.SIPMessage) { m.ContentType = "" },
	} {
		m := outgoing(p, n)
		edit(m)
		u.Deliver(parcel(n, m))
		if o := b.outcome(n); o.Kind != mapping.NotWritten {
			t.Errorf("%+v: %+v", m, o)
		}
		n++
	}
	if got := p.Requests(); len(got) != 0 {
		t.Errorf("%d were sent: %v", len(got), got[0])
	}
}

// fakeDNS answers from a table; "" is NXDOMAIN.
type fakeDNS struct {
	hosts   map[string]string
	lookups atomic.Int32
	takes   time.Duration
}

func (d *fakeDNS) lookup(host string) ([]netip.Addr, error) {
	d.lookups.Add(1)
	time.Sleep(d.takes)
	switch a := d.hosts[host]; a {
	case "":
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	case "broken":
		return nil, errors.New("server misbehaving")
	default:
		return []netip.Addr{netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr(a)}, nil
	}
}

func (d *fakeDNS) Locate(ctx context.Context, q locate.Query) (locate.Answer, error) {
	return byAddress(d.lookup).Locate(ctx, q)
}

// TestNextHop: routes, names, what cannot be reached and what must not.
func TestNextHop(t *testing.T) {
	udp, tcp := siptest.Listen(t, "udp"), siptest.Listen(t, "tcp")
	for _, p := range []*siptest.Peer{udp, tcp} {
		p.Answer(func(m *siptest.Message) string { return m.Reply(200, "OK") })
	}
	closed := siptest.Listen(t, "tcp")
	closed.Close()
	via := func(p *siptest.Peer, host, transport string) mapping.URI {
		return mapping.URI{Scheme: "sip", Host: host, Port: p.Addr().Port(), Transport: transport}
	}
	dns := &fakeDNS{hosts: map[string]string{"pbx.example": "127.0.0.1", "lame.example": "broken", "self.example": "127.0.0.1", "gw.example": "198.51.100.1"}}
	cfg := testConfig()
	cfg.Locator = dns
	cfg.Advertise = "gw.example"
	cfg.Routes = []Route{
		{Domain: "Udp.Example", Via: via(udp, "pbx.example", "")},
		{Domain: "tcp.example", Via: via(tcp, "127.0.0.1", "tcp"), Loose: true},
		{Domain: "closed.example", Via: via(closed, "127.0.0.1", "tcp")},
		{Domain: "gone.example", Via: via(udp, "nowhere.example", "")},
		{Domain: "lame.example", Via: via(udp, "lame.example", "")},
	}
	b := newBridge(nil)
	u := start(t, cfg, b)
	big := strings.Repeat("x", 1300)
	for i, tt := range []struct {
		host string
		port uint16
		body string
		kind mapping.OutcomeKind
		cond mapping.Condition
		peer *siptest.Peer
	}{
		{host: "udp.example", kind: mapping.Answered, peer: udp},
		{host: "udp.example", port: 9, kind: mapping.Answered, peer: udp}, // the route's port counts
		{host: "tcp.example", kind: mapping.Answered, peer: tcp},
		{host: "tcp.example", body: strings.Repeat("x", 60000), kind: mapping.Answered, peer: tcp},
		{host: "tcp.example", body: strings.Repeat("x", 66000), kind: mapping.NotWritten, cond: mapping.CondPolicyViolation},
		{host: "127.0.0.1", port: udp.Addr().Port(), kind: mapping.Answered, peer: udp},
		{host: "127.0.0.1", port: udp.Addr().Port(), body: big, kind: mapping.NotWritten, cond: mapping.CondPolicyViolation}, // EL-005
		{host: "pbx.example", port: udp.Addr().Port(), kind: mapping.Answered, peer: udp},                                    // no route: A
		{host: "closed.example", kind: mapping.NotWritten, cond: mapping.CondRemoteServerTimeout},                            // EL-002
		{host: "gone.example", kind: mapping.NotWritten, cond: mapping.CondRemoteServerNotFound},                             // EL-003
		{host: "lame.example", kind: mapping.NotWritten, cond: mapping.CondRemoteServerTimeout},
		{host: "127.0.0.1", port: addr(u, "udp").Port(), kind: mapping.NotWritten, cond: mapping.CondPolicyViolation},  // a loop
		{host: "gw.example", port: addr(u, "udp").Port(), kind: mapping.NotWritten, cond: mapping.CondPolicyViolation}, // what we advertise
		{host: "self.example", port: addr(u, "udp").Port(), kind: mapping.NotWritten, cond: mapping.CondPolicyViolation},
	} {
		m := outgoing(udp, i)
		m.RequestURI = mapping.URI{Scheme: "sip", User: "romeo", Host: tt.host, Port: tt.port}
		if tt.body != "" {
			m.Body = []byte(tt.body)
		}
		before := 0
		if tt.peer != nil {
			before = len(tt.peer.Requests())
		}
		u.Deliver(parcel(i, m))
		o := b.outcome(i)
		if o.Kind != tt.kind || tt.cond != "" && (o.Failure == nil || o.Failure.Condition != tt.cond) {
			t.Errorf("%s: %+v %v", tt.host, o, o.Failure)
			continue
		}
		if tt.peer != nil {
			got := tt.peer.Await(before + 1)[before]
			if got.First != "MESSAGE "+m.RequestURI.String()+" SIP/2.0" {
				t.Errorf("%s: the Request-URI became %s", tt.host, got.First)
			}
			if want := map[bool]string{true: "<" + cfg.Routes[1].Via.String() + ";lr>"}[tt.host == "tcp.example"]; got.Get("Route") != want {
				t.Errorf("%s: Route %q, want %q", tt.host, got.Get("Route"), want)
			}
		}
	}
}

// TestRouteByDNS: a route without a next hop ends the search: its domain is looked
// up, and has the limit of what has no route.
func TestRouteByDNS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := testConfig()
		cfg.Locator = &fakeDNS{hosts: map[string]string{"dns.example": "198.51.100.7"}}
		cfg.Routes = []Route{{Domain: "dns.example"}, {Domain: "*", Via: mapping.URI{Scheme: "sip", Host: "198.51.100.8"}}}
		b := newBridge(nil)
		u, m := memUA(t, cfg, b)
		v := toMem(1)
		v.RequestURI.Host = "dns.example"
		u.Deliver(parcel("x", v))
		synctest.Wait()
		if sent := m.all(); len(sent) != 1 || sent[0].to.String() != "198.51.100.7:5060" {
			t.Errorf("%+v", sent)
		}
		v = toMem(2)
		v.RequestURI.Host = "dns.example"
		v.Body = []byte(strings.Repeat("x", 1300))
		u.Deliver(parcel("big", v))
		synctest.Wait()
		if o := b.outcomes["big"]; o.Kind != mapping.NotWritten || o.Failure.Condition != mapping.CondPolicyViolation {
			t.Errorf("%+v", o)
		}
	})
}

// TestManyOut: 10,000 requests to one peer, none lost, none told twice.
func TestManyOut(t *testing.T) {
	const total, window = 10000, 100
	for _, network := range []string{"udp", "tcp"} {
		t.Run(network, func(t *testing.T) {
			b := newBridge(nil)
			u := start(t, testConfig(), b)
			p := siptest.Listen(t, network)
			p.Answer(func(m *siptest.Message) string { return m.Reply(200, "OK") })
			for n := 0; n < total; n += window {
				var batch []mapping.Parcel[mapping.SIP]
				for i := range window {
					batch = append(batch, mapping.Parcel[mapping.SIP]{Ref: n + i, Value: outgoing(p, n+i)})
				}
				u.Deliver(batch)
				b.wait(func() bool { return len(b.outcomes) == n+window })
			}
			for ref, o := range b.outcomes {
				if o.Kind != mapping.Answered || o.Status != 200 {
					t.Fatalf("%v: %+v", ref, o)
				}
			}
			seen := make(map[string]bool)
			for _, m := range p.Requests() {
				seen[m.Get("Call-ID")] = true
			}
			if len(seen) != total {
				t.Errorf("%d of %d arrived", len(seen), total)
			}
			if network == "tcp" {
				u.conns.mu.Lock()
				defer u.conns.mu.Unlock()
				if len(u.conns.streams) != 1 {
					t.Errorf("%d connections (SIP-25)", len(u.conns.streams))
				}
			}
		})
	}
}

// TestManyIn: 10,000 requests from one peer, all handed over once and answered.
func TestManyIn(t *testing.T) {
	const total, window = 10000, 100
	for _, network := range []string{"udp", "tcp"} {
		t.Run(network, func(t *testing.T) {
			b := newBridge(processed)
			u := start(t, testConfig(), b)
			p := siptest.Listen(t, network)
			var texts, names []string
			for range total {
				name := fresh()
				names = append(names, name)
				texts = append(texts, siptest.Text("hi", lines(network, name, "Call-ID: "+name)...))
			}
			for n := 0; n < total; n += window {
				if network == "tcp" {
					p.Send(addr(u, network), strings.Join(texts[n:n+window], ""))
				} else {
					for _, text := range texts[n : n+window] {
						p.Send(addr(u, network), text)
					}
				}
				for _, name := range names[n : n+window] {
					if res := p.Final(name); res.Status() != 200 {
						t.Fatalf("%s", res.First)
					}
				}
			}
			if b.count() != total {
				t.Fatalf("%d of %d", b.count(), total)
			}
			for i, m := range b.requests { // in order, also over UDP on loopback
				if m.CallID != names[i] {
					t.Fatalf("request %d is %s, want %s", i, m.CallID, names[i])
				}
			}
		})
	}
}

// TestPipelined looks at the order with all requests in flight at once (one TCP
// connection, 2000 pipelined).
func TestPipelined(t *testing.T) {
	b := newBridge(nil)
	cfg := testConfig()
	cfg.MaxPending = 8000
	u := start(t, cfg, b)
	p := siptest.Listen(t, "tcp")
	var all strings.Builder
	const total = 2000
	for i := range total {
		all.WriteString(siptest.Text("hi", lines("tcp", fresh(), fmt.Sprintf("Call-ID: %d", i))...))
	}
	p.Send(addr(u, "tcp"), all.String())
	b.wait(func() bool { return len(b.requests) == total })
	for i, m := range b.requests {
		if m.CallID != fmt.Sprint(i) {
			t.Fatalf("request %d is %s", i, m.CallID)
		}
	}
}

// A request comes back from a socket of ours, and not from another program that has the same
// port of the other kind.
func TestSelf(t *testing.T) {
	cfg := testConfig()
	cfg.Advertise = "gw.example"
	u := start(t, cfg, newBridge(nil))
	udp, tcp := addr(u, "udp"), addr(u, "tcp")
	for _, tt := range []struct {
		host string
		kind locate.Transport
		at   netip.AddrPort
		want bool
	}{
		{"127.0.0.1", locate.UDP, udp, true},
		{"127.0.0.1", locate.TCP, tcp, true},
		{"127.0.0.1", locate.TLS, tcp, true},
		{"127.0.0.1", locate.UDP, tcp, udp == tcp},
		{"127.0.0.1", locate.TCP, udp, udp == tcp},
		{"GW.example", locate.UDP, netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), udp.Port()), true},
		{"gw.example", locate.UDP, netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), tcp.Port()), udp.Port() == tcp.Port()},
		{"pbx.example", locate.UDP, netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), udp.Port()), false},
	} {
		if got := u.isSelf(tt.host, locate.Target{Transport: tt.kind, Addr: tt.at}); got != tt.want {
			t.Errorf("%s %s %s: %t", tt.host, tt.kind, tt.at, got)
		}
	}
}
