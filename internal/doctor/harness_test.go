package doctor

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/stoxgw/stox/internal/config"
	"github.com/stoxgw/stox/internal/dnstest"
	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/internal/xmpptest"
	"github.com/stoxgw/stox/sipside/locate"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const secret = "hunter2-hunter2"

// world is a gateway without a fault: each test breaks one thing.
type world struct {
	t     *testing.T
	dir   string
	names map[string]string // what stands in a finding -> what the test calls it
	o     Options
}

// newWorld makes one with an XMPP server and a SIP server over UDP.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := bareWorld(t)
	w.xmpp(xmpptest.Options{})
	w.route(w.peer("udp", nil).Addr(), "udp")
	return w
}

// bareWorld is one without servers: nobody listens where they would be.
func bareWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), names: map[string]string{}}
	w.names[w.dir] = "DIR"
	file := filepath.Join(w.dir, "stox.toml")
	text := fmt.Sprintf(`[xmpp]
domain = "sip.example.com"
secret = %q
[sip]
domain = "pbx.example.net"
listen = ["udp://127.0.0.1:%d"]
[store]
path = "stox.db"
`, secret, w.port("LISTEN", "udp"))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Warnings = nil // that there is no TCP beside UDP: one socket is enough here
	cfg.XMPP.Server = fmt.Sprintf("127.0.0.1:%d", w.port("XMPP", "tcp"))
	// Far longer than anything takes that goes well, and than a test may take.
	w.o = Options{Config: cfg, File: "stox.toml", Patience: time.Minute, Limit: 2 * time.Minute, Machine: goodMachine()}
	w.o.Locate = locate.Config{Hosts: os.DevNull, Servers: []netip.AddrPort{dnstest.Listen(t, dnstest.Zone{"example.com": {"300 A 192.0.2.7"}}).Addr}}
	return w
}

// goodMachine has no faults.
func goodMachine() Machine {
	return Machine{
		Addresses: func() []netip.Addr { return []netip.Addr{netip.MustParseAddr("192.0.2.20")} },
		Files:     func() (uint64, bool) { return 65536, true },
		Space:     func(string) (uint64, uint64, error) { return 20 << 30, 100 << 30, nil },
		Sync:      func(string) (time.Duration, error) { return 2 * time.Millisecond, nil },
	}
}

// port is a free port of this machine; the findings call it by that name.
func (w *world) port(name, network string) int {
	w.t.Helper()
	var port int
	if network == "udp" {
		c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			w.t.Fatal(err)
		}
		port = c.LocalAddr().(*net.UDPAddr).Port
		c.Close()
	} else {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			w.t.Fatal(err)
		}
		port = l.Addr().(*net.TCPAddr).Port
		l.Close()
	}
	w.call(fmt.Sprintf("127.0.0.1:%d", port), name)
	return port
}

// call gives what is in the findings another name, before what it is part of.
func (w *world) call(real, name string) { w.names[real] = name }

// xmpp starts the XMPP server, which knows our secret unless o says another.
func (w *world) xmpp(o xmpptest.Options) *xmpptest.Server {
	w.t.Helper()
	if o.Domain == "" {
		o.Domain = "sip.example.com"
	}
	if o.Secret == "" {
		o.Secret = secret
	}
	srv := xmpptest.New(w.t, o)
	w.o.Config.XMPP.Server = srv.Addr()
	w.call(srv.Addr(), "XMPP")
	return srv
}

// peer is a SIP server; without an answer it says 200.
func (w *world) peer(network string, answer func(*siptest.Message) string) *siptest.Peer {
	w.t.Helper()
	p := siptest.Listen(w.t, network)
	if answer == nil {
		answer = func(m *siptest.Message) string { return m.Reply(200, "OK", "Server: test (1)") }
	}
	p.Answer(answer)
	w.call(p.Addr().String(), "PEER")
	return p
}

// route sends all that is for the SIP domain to an address.
func (w *world) route(to netip.AddrPort, transport string) {
	w.o.Config.SIP.Routes = append(w.o.Config.SIP.Routes, config.Route{Domain: "pbx.example.net", Via: fmt.Sprintf("sip:%s;transport=%s", to, transport)})
}

// dns answers from a zone.
func (w *world) dns(zone dnstest.Zone) *dnstest.Server {
	s := dnstest.Listen(w.t, zone)
	w.o.Locate.Servers = []netip.AddrPort{s.Addr}
	return s
}

var (
	duration  = regexp.MustCompile(`\b[0-9.]+(?:ns|µs|ms|s)\b`)
	ephemeral = regexp.MustCompile(`127\.0\.0\.1:\d+->`)
)

// lines are the findings of the checks named, of all if none is, as text: durations and
// addresses that differ from run to run have names.
func (w *world) lines(checks ...string) []string {
	w.t.Helper()
	var out []string
	Run(w.t.Context(), w.o, func(f Finding) {
		all := f.Text + f.Remedy + strings.Join(f.Steps, " ")
		if strings.Contains(all, secret) { // SEC-14
			w.t.Errorf("the secret is in %+v", f)
		}
		if f.Level == Fail && f.Remedy == "" || strings.Contains(all, "\n") || (f.Level == OK || f.Level == Skip) && f.Remedy != "" {
			w.t.Errorf("no remedy, one too many, or more than a line: %+v", f)
		}
		if len(checks) > 0 && !slices.Contains(checks, f.Check) {
			return
		}
		line := string(f.Level) + " " + f.Check + ": " + f.Text
		if f.Remedy != "" {
			line += " -> " + f.Remedy
		}
		out = append(out, w.plain(line))
	})
	return out
}

func (w *world) plain(line string) string {
	var pairs []string
	for real, name := range w.names {
		pairs = append(pairs, real, name)
	}
	line = strings.NewReplacer(pairs...).Replace(line)
	return duration.ReplaceAllString(ephemeral.ReplaceAllString(line, ""), "TIME")
}

// want compares the lines of some checks.
func (w *world) want(checks []string, want ...string) {
	w.t.Helper()
	if got := w.lines(checks...); !slices.Equal(got, want) {
		w.t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
