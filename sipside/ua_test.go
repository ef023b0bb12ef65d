package sipside

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/mapping"
)

// testLog writes all levels to w, or nowhere.
func testLog(_ testing.TB, w *siptest.Buffer) *slog.Logger {
	if w == nil {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// TestConfigFaults: all at once, each with its key.
func TestConfigFaults(t *testing.T) {
	_, err := New(Config{
		Listen: []string{"udp://127.0.0.1", "tls://127.0.0.1:80", "5060", "any://127.0.0.1:80"}, Advertise: "a b", Accept: 204,
		Routes:     []Route{{Via: mapping.URI{Scheme: "sip", Host: "x"}}, {Domain: "*", Via: mapping.URI{Scheme: "tel", User: "+1"}}, {Domain: "*", Via: mapping.URI{Scheme: "sip", Host: "x", Transport: "sctp"}, Size: "cut", MaxBytes: -1}},
		Peers:      []Peer{{Name: "p"}},
		MaxPending: -1, MaxHeaderBytes: 1 << 20, UserAgent: "a\r\nb",
	}, testLog(t, nil))
	for _, want := range []string{"sip.listen[0]", "sip.tls_cert", "sip.listen[2]", "sip.listen[3]", "sip.advertise", "sip.accept_status", "User-Agent",
		"sip.route[0].domain", "sip.route[1].via", "sip.route[2].via", "sip.route[2].size", "sip.route[2].max_message_bytes", "sip.peer[0]", "limits.max_pending", "limits.max_header_bytes"} {
		if err == nil || !strings.Contains(err.Error(), want+":") {
			t.Errorf("no fault for %s in: %v", want, err)
		}
	}
	if _, err := New(Config{}, testLog(t, nil)); err == nil || !strings.Contains(err.Error(), "sip.listen: is empty") {
		t.Errorf("%v", err)
	}
}

// TestPortTaken: Listen says which and whose fault it is, and leaves nothing open.
func TestPortTaken(t *testing.T) {
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	cfg := testConfig()
	cfg.Listen = []string{"udp://127.0.0.1:0", "tcp://" + other.Addr().String()}
	u, err := New(cfg, testLog(t, nil))
	if err != nil {
		t.Fatal(err)
	}
	err = u.Listen()
	want := "tcp " + other.Addr().String() + " is taken by another program: "
	if err == nil || !strings.HasPrefix(err.Error(), want) || !strings.HasSuffix(err.Error(), "; ss -lnptu shows which: stop it, or change sip.listen") {
		t.Fatalf("%v, want %s...", err, want)
	}
	other.Close()
	if err := u.Listen(); err != nil { // nothing was kept from the first time
		t.Fatal(err)
	}
	u.closeSockets()
	cfg.Listen = []string{"udp://192.0.2.1:5060"}
	if u, err = New(cfg, testLog(t, nil)); err != nil {
		t.Fatal(err)
	}
	if err := u.Listen(); err == nil || !strings.Contains(err.Error(), "is no address of this machine") {
		t.Errorf("%v", err)
	}
}

// TestPeers: who may send, and for whom (SEC-28, SEC-29).
func TestPeers(t *testing.T) {
	via := func(host string) mapping.URI { return mapping.URI{Scheme: "sip", Host: host} }
	prefix := netip.MustParsePrefix
	p := newPeers(&Config{
		SIPDomain: "Sip.Example", PhoneDomain: "Phone.example", XMPPDomains: []string{"xmpp.example"},
		Peers: []Peer{
			{Name: "trunk", Addresses: []netip.Prefix{prefix("10.0.0.0/24")}, Domains: []string{"trunk.example", "Bücher.example"}},
			{Name: "pbx", Addresses: []netip.Prefix{prefix("10.0.1.1/32"), prefix("2001:db8::/64")}},
			{Name: "any", Addresses: []netip.Prefix{prefix("10.0.2.1/32")}, Domains: []string{"*"}},
			{Name: "proxy", Addresses: []netip.Prefix{prefix("10.0.3.0/24")}},
			{Name: "near", Addresses: []netip.Prefix{prefix("fe80::/64")}, Domains: []string{"Phone.Example"}},
		},
		Routes: []Route{
			{Domain: "a.example", Via: via("10.0.1.1")},
			{Domain: "b.example", Via: via("10.0.9.9")},
			{Domain: "c.example", Via: via("named.example")},
			{Domain: "d.example"}, // by DNS: names nobody as a peer
			{Domain: "*", Via: via("10.0.3.7")},
		},
	})
	p.resolved.Store(&map[netip.Addr][]string{netip.MustParseAddr("10.0.8.8"): {"named.example"}})
	for _, tt := range []struct {
		addr string
		peer string // "" for a stranger
		may  string
		not  string
	}{
		{"10.0.0.77", "trunk", "trunk.example xn--bcher-kva.example", "sip.example a.example xmpp.example"},
		{"10.0.1.1", "pbx", "sip.example a.example", "b.example trunk.example xmpp.example"},
		{"2001:db8::5", "pbx", "sip.example a.example", "b.example"},
		{"10.0.2.1", "any", "sip.example whatever.example", "xmpp.example"},
		{"10.0.3.1", "proxy", "sip.example whatever.example", "xmpp.example"}, // a route for all leads into its prefix
		{"127.0.0.1", "loopback", "sip.example a.example b.example d.example whatever.example", "xmpp.example"},
		{"::1", "loopback", "b.example", "xmpp.example"},
		{"10.0.9.9", "route 10.0.9.9", "sip.example b.example", "a.example c.example"},
		{"10.0.8.8", "route named.example", "sip.example c.example", "a.example b.example"},
		{"fe80::1%eth0", "near", "phone.example", "sip.example"},
		{"10.0.9.10", "", "", ""},
		{"192.0.2.1", "", "", ""},
	} {
		a := netip.MustParseAddr(tt.addr)
		q := p.find(a)
		if q == nil {
			if tt.peer != "" {
				t.Errorf("%s is nobody, want %s", a, tt.peer)
			}
			continue
		}
		if q.name != tt.peer {
			t.Errorf("%s is %s, want %q", a, q.name, tt.peer)
		}
		for _, d := range strings.Fields(tt.may) {
			if !p.maySpeak(q, a, mapping.MustParseURI("sip:x@"+d)) {
				t.Errorf("%s may not speak for %s", a, d)
			}
		}
		for _, d := range strings.Fields(tt.not) {
			if p.maySpeak(q, a, mapping.MustParseURI("sip:x@"+d)) {
				t.Errorf("%s may speak for %s", a, d)
			}
		}
	}
	// A number without a domain will be one of the phone domain's.
	for a, want := range map[string]bool{"::1": true, "10.0.2.1": true, "fe80::1": true, "10.0.1.1": false, "10.0.0.77": false} {
		from := netip.MustParseAddr(a)
		if got := p.maySpeak(p.find(from), from, mapping.MustParseURI("tel:+1234567")); got != want {
			t.Errorf("%s may speak for a number: %v", a, got)
		}
	}
}

// TestIPv4Only: 0.0.0.0 is every IPv4 address and no other.
func TestIPv4Only(t *testing.T) {
	cfg := testConfig()
	cfg.Listen = []string{"udp://0.0.0.0:0", "tcp://0.0.0.0:0"}
	u := start(t, cfg, newBridge(nil))
	for _, a := range u.Addrs() {
		if addrPortOf(a).Addr() != netip.IPv4Unspecified() {
			t.Errorf("%s %s", a.Network(), a)
		}
	}
}

// TestStranger: a source that is no peer gets 403 whatever it asks (SEC-29).
func TestStranger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBridge(processed)
		_, m := memUA(t, testConfig(), b)
		for _, edit := range []string{"Max-Forwards: 70", "Max-Forwards: 0", "OPTIONS sip:x SIP/2.0"} {
			p := fromMem(fresh(), edit)
			if strings.HasPrefix(edit, "OPTIONS") {
				p = fromMem(fresh(), edit, "CSeq: 1 OPTIONS")
			}
			p.to = netip.MustParseAddrPort("198.51.100.1:5060")
			m.in <- p
		}
		synctest.Wait()
		seen := 0
		same(t, m.firsts(&seen), "SIP/2.0 403 Forbidden", "SIP/2.0 403 Forbidden", "SIP/2.0 403 Forbidden")
		if b.count() != 0 {
			t.Error("a stranger's message was handed over")
		}
	})
}

// TestRouteHostIsPeer: a route's host may send once its name has been looked up,
// and lookups are shared and kept.
func TestRouteHostIsPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := &fakeDNS{hosts: map[string]string{"pbx.example": "198.51.100.7"}, takes: time.Second}
		cfg := testConfig()
		cfg.Locator = dns
		cfg.Routes = []Route{{Domain: "example.org", Via: mapping.URI{Scheme: "sip", Host: "pbx.example"}}}
		b := newBridge(processed)
		u, m := memUA(t, cfg, b)
		send := func() {
			p := fromMem(fresh(), "From: <sip:romeo@example.org>;tag=x")
			p.to = netip.MustParseAddrPort("198.51.100.7:5060")
			m.in <- p
			synctest.Wait()
		}
		seen := 0
		send()
		same(t, m.firsts(&seen), "SIP/2.0 403 Forbidden")
		time.Sleep(2 * time.Second)
		send()
		same(t, m.firsts(&seen), "SIP/2.0 200 OK")
		for i := range 5 {
			v := toMem(i + 1)
			v.RequestURI.Host = "example.org"
			u.Deliver(parcel(i, v))
		}
		time.Sleep(1100 * time.Millisecond)
		synctest.Wait()
		if got := m.all()[seen:]; len(got) < 5 || got[0].to.String() != "198.51.100.7:5060" {
			t.Errorf("%d packets", len(got))
		}
		if n := dns.lookups.Load(); n != 1 {
			t.Errorf("%d lookups, want one for the peer and 5 requests", n)
		}
	})
}

// TestSlowNames: names that DNS is slow with, whatever their number, hold up neither
// requests to the host of a route nor each other for long.
func TestSlowNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := &fakeDNS{hosts: map[string]string{"pbx.example": "198.51.100.7"}, takes: lookupTimeout}
		cfg := testConfig()
		cfg.Locator = dns
		cfg.Routes = []Route{{Domain: "example.org", Via: mapping.URI{Scheme: "sip", Host: "pbx.example"}}}
		b := newBridge(nil)
		u, m := memUA(t, cfg, b)
		time.Sleep(lookupTimeout + time.Second)
		const slow = 2000
		for i := range slow {
			v := toMem(i + 1)
			v.RequestURI.Host = fmt.Sprintf("slow%d.example", i)
			u.Deliver(parcel(i, v))
		}
		v := toMem(1)
		v.RequestURI.Host = "example.org"
		u.Deliver(parcel("route", v))
		synctest.Wait()
		if sent := m.all(); len(sent) != 1 || sent[0].to.String() != "198.51.100.7:5060" {
			t.Errorf("%d packets: the request to the route waits for names", len(sent))
		}
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		if n := len(b.outcomes); n != slow+1 {
			t.Errorf("%d of %d have an outcome", n, slow+1)
		}
	})
}

// secret stands for what must never be in a log.
const secret = "wherefore-art-thou"

// TestLogsHaveNoText: not for good messages, bad ones, garbage, nor panics (SEC-14).
func TestLogsHaveNoText(t *testing.T) {
	var out siptest.Buffer
	b := newBridge(func(m *mapping.SIPMessage) mapping.Outcome {
		if m.Subject == "panic" {
			panic(string(m.Body))
		}
		return mapping.Outcome{Kind: mapping.Refused, Failure: mapping.FailNotServed()}
	})
	cfg := testConfig()
	u, err := New(cfg, testLog(t, &out))
	if err != nil {
		t.Fatal(err)
	}
	run(t, u, b)
	for _, network := range []string{"udp", "tcp"} {
		for _, tt := range []struct {
			want int
			edit string
		}{{404, ""}, {500, "Subject: panic"}, {400, "Nonsense " + secret}, {404, "Content-Type: text/" + secret}, {400, "CSeq: " + secret},
			{400, "MESSAGE sip:" + secret + "@[ SIP/2.0"}, {403, "From: \"" + secret + "\" <sip:a@example.com>;tag=x"}} {
			p := siptest.Listen(t, network)
			edits := []string{"X: " + secret}
			if tt.edit != "" {
				edits = append(edits, tt.edit)
			}
			res := p.Request(addr(u, network), siptest.Text(secret, lines(network, fresh(), edits...)...))
			if res.Status() != tt.want {
				t.Errorf("%s %s: %s", network, tt.edit, res.First)
			}
		}
	}
	p := siptest.Listen(t, "udp")
	for _, g := range []string{secret, secret + "\r\n\r\n" + secret, "SIP/2.0 200 " + secret + "\r\n\r\n", "MESSAGE " + secret + "\r\n" + secret + "\r\n\r\n"} {
		p.Send(addr(u, "udp"), g)
		exchange(t, addr(u, "tcp"), g)
	}
	p.Answer(func(m *siptest.Message) string { return m.Reply(404, "Not Found", "X: "+secret) })
	v := outgoing(p, 1)
	v.Body = []byte(secret)
	u.Deliver(parcel("x", v))
	b.outcome("x")
	v = outgoing(p, 2)
	v.Subject = secret + "\r\n"
	u.Deliver(parcel("y", v))
	if o := b.outcome("y"); strings.Contains(fmt.Sprint(o.Failure.Err, o.Failure.Text), secret) {
		t.Errorf("the text is in the failure: %v", o.Failure)
	}
	if u.stats.Panics.Load() != 2 || !strings.Contains(out.String(), "panic while handling") {
		t.Errorf("%d panics were counted; log:\n%s", u.stats.Panics.Load(), out.String())
	}
	if s := out.String(); strings.Contains(s, secret) || !strings.Contains(s, "malformed SIP message") {
		t.Errorf("log:\n%s", s)
	}
}

// TestPanicInHandler: it costs the messages of that read, never the process. The
// outcome side too.
func TestPanicInHandler(t *testing.T) {
	b := newBridge(func(m *mapping.SIPMessage) mapping.Outcome {
		if m.Subject == "panic" {
			var s []int
			return mapping.Outcome{Kind: mapping.OutcomeKind(s[len(m.Subject)])}
		}
		return processed(m)
	})
	u := start(t, testConfig(), b)
	for _, network := range []string{"udp", "tcp"} {
		p := siptest.Listen(t, network)
		if res := p.Request(addr(u, network), message(network, "Subject: panic")); res.Status() != 500 {
			t.Errorf("%s", res.First)
		}
		if res := p.Request(addr(u, network), message(network)); res.Status() != 200 {
			t.Errorf("%s", res.First)
		}
	}
}

// TestDrain: at the end new requests get 503, old ones their answer; what was
// delivered is told; no goroutine is left (TestMain).
func TestDrain(t *testing.T) {
	b := newBridge(nil)
	cfg := testConfig()
	cfg.DrainTimeout = time.Hour
	u, err := New(cfg, testLog(t, nil))
	if err != nil {
		t.Fatal(err)
	}
	if err := u.Listen(); err != nil {
		t.Fatal(err)
	}
	b.ua = u
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- u.Run(ctx, b) }()
	p, silent := siptest.Listen(t, "tcp"), siptest.Listen(t, "udp")
	old := fresh()
	p.Send(addr(u, "tcp"), siptest.Text("hi", lines("tcp", old)...))
	b.wait(func() bool { return len(b.refs) == 1 })
	u.Deliver(parcel("open", outgoing(silent, 1)))
	silent.Await(1)
	cancel()
	for !u.server.isDraining() {
		runtime.Gosched()
	}
	for _, text := range []string{message("tcp"), message("tcp", "OPTIONS sip:x@example.com SIP/2.0", "CSeq: 1 OPTIONS")} {
		if res := p.Request(addr(u, "tcp"), text); res.Status() != 503 || res.Get("Retry-After") != "" {
			t.Errorf("while draining: %s", res.First)
		}
	}
	u.Answer([]mapping.Result{{Ref: b.refs[0], Outcome: processed(nil)}})
	if res := p.Final(old); res.Status() != 200 {
		t.Errorf("the old one got %s", res.First)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if o := b.outcomes["open"]; o.Kind != mapping.Unknown {
		t.Errorf("%+v", o)
	}
	p.AwaitHangup()
}

// TestGoroutines: their number does not grow with messages.
func TestGoroutines(t *testing.T) {
	b := newBridge(nil)
	u := start(t, testConfig(), b)
	p := siptest.Listen(t, "udp")
	p.Send(addr(u, "udp"), message("udp"))
	b.wait(func() bool { return len(b.refs) == 1 })
	before := runtime.NumGoroutine()
	for range 500 {
		p.Send(addr(u, "udp"), message("udp"))
	}
	for i := range 500 {
		u.Deliver(parcel(i, outgoing(p, i)))
	}
	b.wait(func() bool { return len(b.refs) == 501 })
	p.Await(500)
	if after := runtime.NumGoroutine(); after > before+5 {
		t.Errorf("%d goroutines before, %d with 1000 messages open", before, after)
	}
}
