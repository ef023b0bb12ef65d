package vectors

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/stoxgw/stox/internal/app"
	"github.com/stoxgw/stox/internal/config"
	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/internal/xmpptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const secret = "component secret"

// patience is how long the gateway may take to do what it must, and how long it is
// watched at the end for what it must not.
const patience = time.Second

// began is when a vector begins that does not say it.
var began = time.Date(2026, 1, 15, 10, 0, 0, 0, time.UTC)

// world is a daemon in a bubble of its own, and everybody that it talks to.
type world struct {
	t       *testing.T
	sip     *siptest.Memory
	servers map[string]*xmpptest.Server // by component name
	conns   map[string]*xmpptest.Conn
	log     siptest.Buffer
	stop    func()

	presence bool // that contacts ask for presence is part of the exchange

	mu      sync.Mutex // guards the following
	playing bool
	came    map[string][]event // what the gateway has written and no step has asked for, by net
	arrived chan struct{}      // one slot: something was added to came or held
	held    []barrier
	silent  bool
	split   string                  // a component name under which somebody else is connected too
	missing map[*xmpptest.Conn]bool // connections of it that have lost a ping
	errors  map[string]string       // what the server of a domain answers pings with
}

// event is what the gateway wrote: a stanza or a SIP message.
type event struct {
	raw string
	sip *siptest.Wire // nil: a stanza
	at  time.Time
}

// barrier is an iq of the gateway that has not been answered.
type barrier struct {
	conn   *xmpptest.Conn
	stanza xmpptest.Stanza
}

// newWorld starts the daemon and waits until its links are up. It must be called in a
// synctest bubble.
func newWorld(t *testing.T, v *vector, cfg *config.Config) (*world, error) {
	w := &world{t: t, servers: make(map[string]*xmpptest.Server), conns: make(map[string]*xmpptest.Conn),
		came: make(map[string][]event), missing: make(map[*xmpptest.Conn]bool), errors: make(map[string]string), arrived: make(chan struct{}, 1), silent: v.state("barrier") == "silent", presence: v.ofPresence()}
	start := began
	if now := v.settings.Now; !now.IsZero() {
		start = now
	}
	time.Sleep(time.Until(start))

	names := []string{v.settings.GatewayDomain}
	for _, d := range v.settings.DomainMap {
		names = append(names, d.XMPP)
	}
	w.split = v.state("split")
	var up []string
	for _, name := range names {
		down := v.state("link") == "down" || v.state("link") == name
		s := xmpptest.NewMemory(t, xmpptest.Options{Domain: name, Secret: secret, OnIQ: w.onIQ, OnStanza: w.onStanza})
		if down {
			s.Refuse(errors.New("connection refused"))
		}
		w.servers[name] = s
		if down || name == w.split {
			continue
		}
		up = append(up, name)
	}
	w.sip = siptest.NewMemory(t, netip.MustParseAddr(nextHop), w.fromSIP)
	a, err := app.NewOn(app.Network{DialXMPP: w.dial, SIP: w.sip, Locator: w.sip}, cfg,
		slog.New(slog.NewTextHandler(&w.log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := a.Run(ctx); err != nil {
			t.Errorf("stop: %v", err)
		}
	}()
	w.stop = sync.OnceFunc(func() {
		w.mu.Lock()
		w.silent = false
		w.mu.Unlock()
		w.release()
		w.mu.Lock()
		w.playing = false
		w.mu.Unlock()
		cancel()
		<-ended
		w.sip.Close()
		for _, s := range w.servers {
			s.Close()
		}
	})
	for _, name := range up {
		c := w.servers[name].Accept()
		c.Echoed(xmpptest.LinkCheck)
		w.conns[name] = c
	}
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.playing = true
	return w, nil
}

// dial connects the daemon to the server of a component name, which is the host of its address.
func (w *world) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	return w.servers[host].Dial(ctx, network, address)
}

// onIQ keeps the barriers, and the pings that are barriers of a domain, until release. A
// link that comes up has its answers at once, and so has the question what the server is.
func (w *world) onIQ(c *xmpptest.Conn, st xmpptest.Stanza) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case strings.Contains(st.Raw, "jabber:iq:version"):
		return false
	case !w.playing:
		lost := st.From == w.split && !w.missing[c]
		w.missing[c] = true
		return lost
	}
	w.held = append(w.held, barrier{c, st})
	w.wake()
	return true
}

// release answers the barriers that are held, in the order of the stream. What comes
// next on a stream is behind the answer.
func (w *world) release() {
	for {
		w.mu.Lock()
		held := w.held
		if w.silent {
			held = nil
		} else {
			w.held = nil
		}
		w.mu.Unlock()
		if len(held) == 0 {
			return
		}
		for _, b := range held {
			w.answer(b)
		}
		synctest.Wait()
	}
}

func (w *world) answer(b barrier) {
	w.mu.Lock()
	condition := w.errors[b.stanza.To]
	w.mu.Unlock()
	switch {
	case b.stanza.To == b.stanza.From:
		b.conn.Echo(b.stanza)
	case condition != "":
		b.conn.Bounce(b.stanza, condition)
	default:
		b.conn.Result(b.stanza)
	}
}

// onStanza keeps what the gateway writes. That it introduces contacts that have written
// for the first time is no part of an exchange of messages.
func (w *world) onStanza(_ *xmpptest.Conn, st xmpptest.Stanza) bool {
	if st.Name == "presence" && st.Type == "subscribe" && !w.presence {
		return true
	}
	w.add(netXMPP, event{raw: st.Raw})
	return true
}

func (w *world) add(network string, e event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	e.at = time.Now()
	w.came[network] = append(w.came[network], e)
	w.wake()
}

func (w *world) wake() {
	select {
	case w.arrived <- struct{}{}:
	default:
	}
}

// next takes what the gateway has written on a net. If there is nothing it answers the
// barriers that are held, and those to come, and waits that long.
func (w *world) next(network string, patience time.Duration) (event, bool) {
	synctest.Wait()
	late := time.After(patience)
	for {
		if e, ok := w.take(network); ok {
			return e, true
		}
		w.release()
		synctest.Wait()
		if e, ok := w.take(network); ok {
			return e, true
		}
		select {
		case <-w.arrived:
		case <-late:
			return event{}, false
		}
	}
}

func (w *world) take(network string) (e event, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if all := w.came[network]; len(all) > 0 {
		w.came[network] = all[1:]
		return all[0], true
	}
	return e, false
}

// left is what has come on a net and was not asked for.
func (w *world) left(network string) (texts []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.came[network] {
		texts = append(texts, e.raw)
	}
	return texts
}

// server is the connection that a stanza to the gateway comes over.
func (w *world) server(to string) *xmpptest.Conn {
	_, domain, ok := strings.Cut(to, "@")
	if !ok {
		domain = to
	}
	domain, _, _ = strings.Cut(domain, "/")
	return w.conns[domain]
}

// fromSIP takes what the gateway sends to SIP. Now and then it asks by itself whether the
// next hop is there, which is in no exchange: it is.
func (w *world) fromSIP(m *siptest.Wire) {
	if m.Method() == "OPTIONS" && m.Status() == 0 && !strings.Contains(m.Get("From"), "@") {
		w.sip.Answer(m, m.Reply(200, "OK"))
		return
	}
	w.add(netSIP, event{raw: m.Raw, sip: m})
}
