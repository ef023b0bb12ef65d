package locate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/stoxgw/stox/internal/dnstest"
)

var plainQuery = Query{Host: example, Port: 5060, Supports: all}

var plainZone = zone{example: {"60 A 192.0.2.9"}}

const plainTarget = "udp 192.0.2.9:5060"

// What a name server may do wrong, over real sockets.
func TestFaults(t *testing.T) {
	many := zone{example: nil}
	for i := range 100 {
		many[example] = append(many[example], fmt.Sprintf("60 A 192.0.2.%d", i+1))
	}
	for _, c := range []struct {
		name   string
		fault  dnstest.Fault
		zone   zone
		want   string
		reason Reason
		asked  string // of the first server, for A
		step   string
	}{
		{name: "SERVFAIL", fault: dnstest.ServFail, reason: Temporary, asked: "udp", step: "SERVFAIL"},
		{name: "refused in twelve bytes", fault: dnstest.Refused, reason: Temporary, asked: "udp", step: "REFUSED"},
		{name: "no EDNS0", fault: dnstest.FormErr, zone: plainZone, want: plainTarget, asked: "udp udp"},
		{name: "garbage", fault: dnstest.Garbage, reason: Temporary, asked: "udp udp", step: "not DNS"},
		{name: "forged answers before the right one", fault: dnstest.WrongFirst, zone: plainZone, want: plainTarget, asked: "udp"},
		{name: "truncated", fault: dnstest.Truncated, zone: plainZone, want: plainTarget, asked: "udp tcp"},
		{name: "truncated over TCP too", fault: dnstest.TruncatedAlways, reason: Temporary, asked: "udp tcp udp tcp", step: "truncated over TCP"},
		{name: "lame", fault: dnstest.Lame, reason: Temporary, asked: "udp", step: "refers to other servers"},
		{name: "more than UDP takes", fault: dnstest.None, zone: many, want: plainTarget, asked: "udp tcp"},
		{name: "64 KiB of others' records", fault: dnstest.Huge, zone: plainZone, want: plainTarget, asked: "udp tcp"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := dnstest.Listen(t, c.zone)
			s.Fault(example, c.fault)
			l := newOn(newClock(), s.Addr)
			a, err := l.Locate(t.Context(), plainQuery)
			got := list(a.Targets)
			if len(a.Targets) == maxAddrs {
				got = plainTarget // the order is the server's, the number is bounded
			}
			if got != c.want || reasonOf(t, err) != c.reason || !strings.Contains(steps(a), c.step) {
				t.Errorf("got %q, %v; want %q, %v\n%s", got, err, c.want, c.reason, steps(a))
			}
			var networks []string
			for _, q := range s.Asked() {
				if f := strings.Fields(q); f[1] == "A" {
					networks = append(networks, f[0])
				}
			}
			if got := strings.Join(networks, " "); got != c.asked {
				t.Errorf("asked over %q, want %q", got, c.asked)
			}
		})
	}
}

// Another server is asked if the first does not help, and then first.
func TestNextServer(t *testing.T) {
	for _, f := range []dnstest.Fault{dnstest.ServFail, dnstest.Refused, dnstest.Garbage, dnstest.Lame, dnstest.TruncatedAlways} {
		bad, good := dnstest.Listen(t, plainZone), dnstest.Listen(t, plainZone)
		bad.Fault("", f)
		l := newOn(newClock(), bad.Addr, good.Addr)
		a, err := l.Locate(t.Context(), plainQuery)
		if err != nil || list(a.Targets) != plainTarget {
			t.Errorf("fault %d: %v, %v", f, list(a.Targets), err)
		}
	}
	closed, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := closed.LocalAddr().(*net.UDPAddr).AddrPort()
	closed.Close()
	good := dnstest.Listen(t, plainZone)
	l := newOn(newClock(), addr, good.Addr)
	if a, err := l.Locate(t.Context(), plainQuery); err != nil || list(a.Targets) != plainTarget {
		t.Errorf("nobody listens at the first server: %v, %v", list(a.Targets), err)
	}
	if got := l.servers.ordered([]netip.AddrPort{addr, good.Addr}); got[0] != good.Addr {
		t.Errorf("the silent server is still asked first: %v", got)
	}
}

// Nobody answers: the number of tries and the time are bounded, and no server that is
// silent is asked first for a while.
func TestSilentServers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := dnstest.New(plainZone)
		s.Fault("", dnstest.Silent)
		first, second := nowhere, netip.MustParseAddrPort("192.0.2.54:53")
		cfg := testConfig(nil, first, second)
		cfg.Now = time.Now
		l := New(cfg)
		var tries []netip.AddrPort
		ask := direct(s)
		l.servers.exchange = func(ctx context.Context, a netip.AddrPort, n string, q *dns.Msg) (*dns.Msg, error) {
			if q.Question[0].Qtype == dns.TypeA {
				tries = append(tries, a)
			}
			if a == second {
				return direct(dnstest.New(plainZone))(ctx, a, n, q)
			}
			return ask(ctx, a, n, q)
		}
		begin := time.Now()
		a, err := l.Locate(t.Context(), plainQuery)
		if err != nil || list(a.Targets) != plainTarget || time.Since(begin) != tryTimeout {
			t.Errorf("%v, %v after %v", list(a.Targets), err, time.Since(begin))
		}
		time.Sleep(2 * time.Minute) // longer than the answer lives, and than a server is avoided
		if _, err := l.Locate(t.Context(), plainQuery); err != nil {
			t.Error(err)
		}
		if want := []netip.AddrPort{first, second, first, second}; !slices.Equal(tries, want) {
			t.Errorf("asked %v, want %v", tries, want)
		}

		l.servers.exchange = ask // now the other one is silent as well
		for i, f := range []dnstest.Fault{dnstest.Silent, dnstest.WrongID} {
			s.Fault("", f)
			begin = time.Now()
			other := plainQuery
			other.Host = fmt.Sprintf("other%d.example", i)
			a, err = l.Locate(t.Context(), other)
			if reasonOf(t, err) != Temporary || time.Since(begin) != 2*2*tryTimeout {
				t.Errorf("%v after %v\n%s", err, time.Since(begin), steps(a))
			}
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the cause is not in %v", err)
			}
		}
	})
}

// The whole of a Locate is bounded, however many questions it has.
func TestLongestLocate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := dnstest.New(zone{"_im._sip.example.net": {"60 SRV 0 0 5060 a.example.", "60 SRV 1 0 5060 b.example.", "60 SRV 2 0 5060 c.example.", "60 SRV 3 0 5060 d.example."}})
		for _, name := range []string{"a.example", "b.example", "c.example", "d.example"} {
			s.Fault(name, dnstest.Silent)
		}
		cfg := testConfig(nil, nowhere)
		cfg.Now = time.Now
		l := New(cfg)
		l.servers.exchange = direct(s)
		begin := time.Now()
		_, err := l.Locate(t.Context(), Query{Host: example, Scheme: IM, Supports: all})
		if reasonOf(t, err) != Temporary || time.Since(begin) > locateTimeout {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
	})
}

// A context that ends is obeyed at once, on a real socket too, and nothing is left
// behind: TestMain counts goroutines.
func TestCancelled(t *testing.T) {
	s := dnstest.Listen(t, plainZone)
	arrived := s.Hold()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	l := newOn(newClock(), s.Addr)
	go func() {
		_, err := l.Locate(ctx, plainQuery)
		done <- err
	}()
	<-arrived
	cancel()
	if err := <-done; reasonOf(t, err) != Temporary || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	s.Release()
	if a, err := l.Locate(t.Context(), plainQuery); err != nil || list(a.Targets) != plainTarget {
		t.Errorf("the failure was remembered: %v, %v", list(a.Targets), err)
	}
}

// A server that hands out aliases one at a time is asked on, but not for ever.
func TestAliasesOneByOne(t *testing.T) {
	chain := func(n int) zone {
		z := zone{fmt.Sprintf("c%d.example", n): {"60 A 192.0.2.9"}, example: {"30 CNAME c1.example."}}
		for i := 1; i < n; i++ {
			z[fmt.Sprintf("c%d.example", i)] = []string{fmt.Sprintf("30 CNAME c%d.example.", i+1)}
		}
		return z
	}
	for _, c := range []struct {
		zone   zone
		want   string
		reason Reason
	}{
		{chain(1), plainTarget, 0},
		{chain(maxLinks), plainTarget, 0},
		{chain(maxLinks + 1), "", Malformed},
		{zone{example: {"60 CNAME a.example."}, "a.example": {"60 CNAME example.net."}}, "", Malformed},
	} {
		s := dnstest.New(c.zone)
		s.Fault("", dnstest.NoFollow)
		clock := newClock()
		a, err := newDirect(s, clock).Locate(t.Context(), plainQuery)
		if list(a.Targets) != c.want || reasonOf(t, err) != c.reason {
			t.Errorf("%d names: %v, %v", len(c.zone), list(a.Targets), err)
		}
		if c.reason == 0 && a.Until.Sub(clock.now()) != 30*time.Second {
			t.Errorf("%d names: the aliases' TTL does not count: %v", len(c.zone), a.Until.Sub(clock.now()))
		}
		if n := len(s.Asked()); n > 2*(maxLinks+2) {
			t.Errorf("asked %d times", n)
		}
	}
}

// However many records there are, the work is bounded.
func TestBounds(t *testing.T) {
	z := zone{}
	for i := range 300 {
		host := fmt.Sprintf("h%d.example.net", i)
		z["_sip._udp.example.net"] = append(z["_sip._udp.example.net"], fmt.Sprintf("60 SRV %d 0 5060 %s.", i, host))
		for j := range 20 {
			z[host] = append(z[host], fmt.Sprintf("60 A 10.0.%d.%d", i%250, j+1))
		}
	}
	s := dnstest.New(z)
	a, err := newDirect(s, newClock()).Locate(t.Context(), Query{Host: example, Supports: all})
	if err != nil || len(a.Targets) != maxTargets || a.Targets[0].Addr.Addr().As4()[2] != 0 {
		t.Errorf("%d targets, %v, %v", len(a.Targets), a.Targets[0], err)
	}
	if n := len(dnstest.Only(s.Asked(), "A")); n != maxHosts {
		t.Errorf("%d hosts asked", n)
	}
	for _, step := range a.Steps {
		if len(step.String()) > maxText+100 {
			t.Errorf("a step of %d bytes", len(step.String()))
		}
	}
}

// An answer over TCP that breaks off, or is none, is an error and no wait.
func TestBrokenTCP(t *testing.T) {
	query := new(dns.Msg).SetQuestion("example.net.", dns.TypeA)
	wire, err := query.Pack()
	if err != nil {
		t.Fatal(err)
	}
	good, err := new(dns.Msg).SetReply(query).Pack()
	if err != nil {
		t.Fatal(err)
	}
	other := new(dns.Msg).SetReply(query)
	other.Id++
	wrong, err := other.Pack()
	if err != nil {
		t.Fatal(err)
	}
	frame := func(n int, b []byte) []byte { return append([]byte{byte(n >> 8), byte(n)}, b...) }
	for _, c := range []struct {
		name   string
		answer []byte
		ok     bool
	}{
		{"whole", frame(len(good), good), true},
		{"nothing", nil, false},
		{"half a length", []byte{0}, false},
		{"no body", frame(len(good), nil), false},
		{"half a body", frame(len(good), good[:9]), false},
		{"empty", frame(0, nil), false},
		{"to another query", frame(len(wrong), wrong), false},
	} {
		client, server := net.Pipe()
		done := make(chan struct{})
		go func() {
			defer close(done)
			defer server.Close()
			if _, err := io.ReadFull(server, make([]byte, 2+len(wire))); err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			server.Write(c.answer)
		}()
		m, err := exchangeTCP(client, wire, query)
		if (err == nil) != c.ok || (m != nil) != c.ok {
			t.Errorf("%s: %v, %v", c.name, m, err)
		}
		client.Close()
		<-done
	}
	client, server := net.Pipe()
	client.Close()
	server.Close()
	if _, err := exchangeTCP(client, wire, query); err == nil {
		t.Error("a closed connection was written to")
	}
}

// A time that is over while a server is silent ends the wait on a real socket.
func TestDeadline(t *testing.T) {
	s := dnstest.Listen(t, plainZone)
	s.Hold()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := newOn(newClock(), s.Addr).Locate(ctx, plainQuery); reasonOf(t, err) != Temporary {
		t.Errorf("got %v", err)
	}
}

// Servers of earlier configurations are forgotten.
func TestSilentAreBounded(t *testing.T) {
	l := New(testConfig(newClock()))
	for i := range 1000 {
		l.servers.note(netip.AddrPortFrom(nowhere.Addr(), uint16(i)), false)
	}
	if n := len(l.servers.silent); n > 5*maxServers {
		t.Errorf("%d are remembered", n)
	}
	other := netip.MustParseAddrPort("192.0.2.54:53")
	both := []netip.AddrPort{nowhere, other}
	l.servers.note(nowhere, false)
	if got := l.servers.ordered(both); got[0] != other {
		t.Errorf("%v is silent, the order is %v", nowhere, got)
	}
	l.servers.note(nowhere, true)
	if got := l.servers.ordered(both); got[0] != nowhere {
		t.Errorf("%v answers again, the order is %v", nowhere, got)
	}
}

// A referral is one only of a server that would not look further by itself.
func TestLame(t *testing.T) {
	referral := func(f func(*dns.Msg)) *dns.Msg {
		m := &dns.Msg{Ns: []dns.RR{mustRR(t, "example. 60 NS ns.example.")}}
		f(m)
		return m
	}
	for _, c := range []struct {
		name string
		m    *dns.Msg
		want bool
	}{
		{"referral", referral(func(*dns.Msg) {}), true},
		{"empty", &dns.Msg{}, false},
		{"authoritative", referral(func(m *dns.Msg) { m.Authoritative = true }), false},
		{"recursive", referral(func(m *dns.Msg) { m.RecursionAvailable = true }), false},
		{"with SOA", referral(func(m *dns.Msg) { m.Ns = append(m.Ns, mustRR(t, "example. 60 SOA a. b. 1 2 3 4 5")) }), false},
		{"with an answer", referral(func(m *dns.Msg) { m.Answer = append(m.Answer, mustRR(t, "q. 60 CNAME r.")) }), false},
	} {
		if got := lame(c.m); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

// What is the answer to a query, and what is not.
func TestMatch(t *testing.T) {
	query := new(dns.Msg).SetQuestion("example.net.", dns.TypeA)
	reply := func(f func(*dns.Msg)) []byte {
		m := new(dns.Msg).SetReply(query)
		m.Answer = append(m.Answer, mustRR(t, "example.net. 60 A 192.0.2.1"))
		f(m)
		b, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	whole := reply(func(*dns.Msg) {})
	truncated := reply(func(m *dns.Msg) { m.Truncated = true })
	bare := func(m *dns.Msg) { m.Question, m.Answer = nil, nil }
	for _, c := range []struct {
		name string
		raw  []byte
		want error // nil: it is the answer
	}{
		{"whole", whole, nil},
		{"in capitals", reply(func(m *dns.Msg) { m.Question[0].Name = "EXAMPLE.net." }), nil},
		{"cut", whole[:len(whole)-2], errGarbage},
		{"truncated", truncated, nil},
		{"truncated within a record", truncated[:len(truncated)-2], nil},
		{"truncated before the question", truncated[:12], nil},
		{"short", whole[:11], errNotOurs},
		{"empty", nil, errNotOurs},
		{"another id", reply(func(m *dns.Msg) { m.Id++ }), errNotOurs},
		{"a query", reply(func(m *dns.Msg) { m.Response = false }), errNotOurs},
		{"another opcode", reply(func(m *dns.Msg) { m.Opcode = dns.OpcodeNotify }), errNotOurs},
		{"another name", reply(func(m *dns.Msg) { m.Question[0].Name = "example.org." }), errNotOurs},
		{"another type", reply(func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeAAAA }), errNotOurs},
		{"another class", reply(func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS }), errNotOurs},
		{"two questions", reply(func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) }), errNotOurs},
		{"refused without a question", reply(func(m *dns.Msg) { bare(m); m.Rcode = dns.RcodeRefused }), nil},
		{"success without a question", reply(bare), errNotOurs},
		{"no such name without a question", reply(func(m *dns.Msg) { bare(m); m.Rcode = dns.RcodeNameError }), errNotOurs},
	} {
		m, err := match(query, c.raw)
		if !errors.Is(err, c.want) || (m == nil) != (c.want != nil) {
			t.Errorf("%s: %v, %v", c.name, m, err)
		}
	}
}

func TestErrorText(t *testing.T) {
	for _, c := range []struct {
		err       Error
		want      string
		temporary bool
	}{
		{Error{Reason: NotFound, Host: "a.example"}, "locate a.example: no SIP server in DNS", false},
		{Error{Reason: Malformed, Host: "a b", Detail: "not the name of a host"}, "locate a b: not a name that leads anywhere: not the name of a host", false},
		{Error{Reason: Temporary, Host: "a.example", Detail: "A a.example", Err: io.EOF}, "locate a.example: DNS does not answer: A a.example: EOF", true},
	} {
		if got := c.err.Error(); got != c.want || c.err.Temporary() != c.temporary {
			t.Errorf("got %q, %v", got, c.err.Temporary())
		}
	}
}
