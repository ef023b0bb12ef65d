package locate

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"go.uber.org/goleak"

	"github.com/stoxgw/stox/internal/dnstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var all = SetOf(UDP, TCP, TLS, WS, WSS)

// clock is one that a test moves.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.Unix(1_800_000_000, 0)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) forward(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// bothFamilies is a machine that has IPv4 and IPv6.
func bothFamilies(to netip.Addr) netip.Addr {
	if to.IsLoopback() {
		return to
	}
	if to.Is4() {
		return netip.MustParseAddr("192.0.2.254")
	}
	return netip.MustParseAddr("2001:db8::fe")
}

// testConfig is one without the system's files and without chance: a draw is always 0.
func testConfig(c *clock, servers ...netip.AddrPort) Config {
	return Config{Servers: servers, ResolvConf: "testdata/none", Hosts: "testdata/hosts", Now: c.now,
		Intn: func(int) int { return 0 }, Source: bothFamilies}
}

// direct lets a Locator ask a server without a socket.
func direct(s *dnstest.Server) func(context.Context, netip.AddrPort, string, *dns.Msg) (*dns.Msg, error) {
	return func(ctx context.Context, _ netip.AddrPort, network string, q *dns.Msg) (*dns.Msg, error) {
		for _, b := range s.Respond(network, q) {
			m, err := match(q, b)
			if !errors.Is(err, errNotOurs) {
				return m, err
			}
		}
		<-ctx.Done()
		return nil, ctx.Err()
	}
}

var nowhere = netip.MustParseAddrPort("192.0.2.53:53")

// newDirect is a Locator that asks s without a socket.
func newDirect(s *dnstest.Server, c *clock) *Locator {
	l := New(testConfig(c, nowhere))
	l.servers.exchange = direct(s)
	return l
}

func list(targets []Target) string {
	var out []string
	for _, t := range targets {
		out = append(out, t.String())
	}
	return strings.Join(out, ", ")
}

func reasonOf(t *testing.T, err error) Reason {
	t.Helper()
	if err == nil {
		return 0
	}
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("%v is not an *Error", err)
	}
	return e.Reason
}

func steps(a Answer) string {
	var out []string
	for _, s := range a.Steps {
		out = append(out, s.String())
	}
	return strings.Join(out, "\n")
}

// newOn is a Locator that asks servers on sockets, with patience: a machine under load
// must not look like a server that is silent.
func newOn(c *clock, servers ...netip.AddrPort) *Locator {
	l := New(testConfig(c, servers...))
	conf := l.servers.conf(c.now())
	conf.timeout = questionTimeout
	l.servers.conf = func(time.Time) resolver { return conf }
	return l
}
