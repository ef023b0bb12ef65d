package sipside

import (
	"context"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/mapping"
)

// office is a UA in memory with one route that registers, and the registrar at its other end.
// It belongs into a synctest bubble.
type office struct {
	siptest.Registrar
	t      *testing.T
	net    *siptest.Memory
	ua     *UA
	bridge *bridge
	log    *siptest.Buffer
	stop   func()

	mu    sync.Mutex
	times []time.Time      // of all REGISTERs
	to    []netip.AddrPort // where they went
	asked []netip.AddrPort // where OPTIONS went
	askAt []time.Time
	mute  bool                       // OPTIONS get no answer
	hold  bool                       // nor do messages
	deny  func(*siptest.Wire) string // how OPTIONS are answered; nil: 200
}

const officeVia = "192.0.2.9"

// newOffice starts both; edit may be nil.
func newOffice(t *testing.T, edit func(o *office, c *Config)) *office {
	t.Helper()
	o := &office{t: t, bridge: newBridge(processed), log: &siptest.Buffer{}}
	o.net = siptest.NewMemory(t, netip.MustParseAddr(officeVia), o.received)
	cfg := testConfig()
	cfg.Listen = []string{"udp://192.0.2.1:5060", "tcp://192.0.2.1:5060"}
	cfg.Network, cfg.Locator = o.net, o.net
	cfg.Advertise, cfg.Instance, cfg.DrainTimeout = "gw.example.org", "urn:uuid:f81d4fae-7dec-51d0-a765-00a0c91e6bf6", 5*time.Second
	cfg.Routes = []Route{{Domain: "trunk.example", Via: mapping.URI{Scheme: "sip", Host: officeVia}, Login: Login{"stox", "hunter2"}, Register: true}}
	if edit != nil {
		edit(o, &cfg)
	}
	u, err := New(cfg, slog.New(slog.NewTextHandler(o.log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	if err := u.Listen(); err != nil {
		t.Fatal(err)
	}
	o.ua, o.bridge.ua = u, u
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- u.Run(ctx, o.bridge) }()
	o.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(o.stop)
	synctest.Wait()
	return o
}

func (o *office) received(w *siptest.Wire) {
	if w.Status() != 0 {
		return
	}
	answer := ""
	o.mu.Lock()
	switch w.Method() {
	case "REGISTER":
		o.times, o.to = append(o.times, time.Now()), append(o.to, w.Source)
	case "OPTIONS":
		o.askAt, o.asked = append(o.askAt, time.Now()), append(o.asked, w.Source)
		if o.deny != nil {
			answer = o.deny(w)
		}
	}
	mute := o.mute && w.Method() == "OPTIONS" || o.hold && w.Method() == "MESSAGE"
	o.mu.Unlock()
	if mute {
		return
	}
	if answer == "" {
		answer = o.Answer(w.Message)
	}
	if answer != "" && answer != "-" {
		o.net.Answer(w, answer)
	}
}

// after lets time pass.
func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// gaps are the times between the REGISTERs.
func (o *office) gaps() (out []time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := 1; i < len(o.times); i++ {
		out = append(out, o.times[i].Sub(o.times[i-1]))
	}
	return out
}

func (o *office) went() (to []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, a := range o.to {
		to = append(to, a.String())
	}
	return to
}

func (o *office) route() RouteState {
	o.t.Helper()
	all := o.ua.Routes()
	if len(all) != 1 {
		o.t.Fatalf("%d routes: %+v", len(all), all)
	}
	return all[0]
}

// logged counts the lines of the log that contain s.
func (o *office) logged(s string) int { return strings.Count(o.log.String(), s) }

func between(t *testing.T, what string, d, least, most time.Duration) {
	t.Helper()
	if d < least || d > most {
		t.Errorf("%s: %v, want %v to %v", what, d, least, most)
	}
}
