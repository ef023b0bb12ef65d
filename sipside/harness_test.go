package sipside

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/mapping"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bridge stands in for the bridge: it answers requests by a function and keeps
// what it is told.
type bridge struct {
	ua     *UA
	answer func(m *mapping.SIPMessage) mapping.Outcome // nil: no answer
	reply  func(v mapping.SIP) mapping.Outcome         // the same for requests about events; nil: as answer says
	probes bool                                        // the servers of routes are asked whether they are there

	mu       sync.Mutex
	cond     *sync.Cond
	requests []*mapping.SIPMessage // of requests about events only what is common to all
	events   []mapping.SIP
	refs     []any
	outcomes map[any]mapping.Outcome
	twice    bool
}

func processed(*mapping.SIPMessage) mapping.Outcome { return mapping.Outcome{Kind: mapping.Processed} }

func newBridge(answer func(m *mapping.SIPMessage) mapping.Outcome) *bridge {
	b := &bridge{answer: answer, outcomes: make(map[any]mapping.Outcome)}
	b.cond = sync.NewCond(&b.mu)
	return b
}

func (b *bridge) FromSIP(batch []mapping.Parcel[mapping.SIP]) {
	var results []mapping.Result
	b.mu.Lock()
	for _, p := range batch {
		b.requests = append(b.requests, common(p.Value))
		if _, ok := p.Value.(*mapping.SIPMessage); !ok {
			b.events = append(b.events, p.Value)
		}
		b.refs = append(b.refs, p.Ref)
	}
	b.cond.Broadcast()
	b.mu.Unlock()
	for _, p := range batch {
		_, message := p.Value.(*mapping.SIPMessage)
		switch {
		case !message && b.reply != nil:
			results = append(results, mapping.Result{Ref: p.Ref, Outcome: b.reply(p.Value)})
		case b.answer != nil:
			results = append(results, mapping.Result{Ref: p.Ref, Outcome: b.answer(common(p.Value))})
		}
	}
	b.ua.Answer(results)
}

// common is a MESSAGE, or what another request has in common with one.
func common(v mapping.SIP) *mapping.SIPMessage {
	of := func(e *mapping.SIPEvent) *mapping.SIPMessage {
		return &mapping.SIPMessage{RequestURI: e.RequestURI, From: e.From, To: e.To, CallID: e.CallID, FromTag: e.FromTag, CSeq: e.CSeq, Received: time.Now()}
	}
	switch v := v.(type) {
	case *mapping.SIPMessage:
		return v
	case *mapping.SIPSubscribe:
		return of(&v.SIPEvent)
	case *mapping.SIPNotify:
		return of(&v.SIPEvent)
	case *mapping.SIPPublish:
		return of(&v.SIPEvent)
	}
	panic(fmt.Sprintf("a %T was handed over", v))
}

// event is one of the requests about events that came.
func (b *bridge) event(i int) mapping.SIP {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.events[i]
}

// first is the first request that came.
func (b *bridge) first() *mapping.SIPMessage {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.requests[0]
}

func (b *bridge) SIPOutcomes(batch []mapping.Result) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range batch {
		if _, ok := b.outcomes[r.Ref]; ok {
			b.twice = true
		}
		b.outcomes[r.Ref] = r.Outcome
	}
	b.cond.Broadcast()
}

// wait blocks until done, which is called with the lock held. It has no time-out:
// that of the test binary tells where it hangs.
func (b *bridge) wait(done func() bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for !done() {
		b.cond.Wait()
	}
}

func (b *bridge) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.requests)
}

// outcome waits for the Result with ref.
func (b *bridge) outcome(ref any) (o mapping.Outcome) {
	b.wait(func() (ok bool) { o, ok = b.outcomes[ref]; return })
	return o
}

// ready reports whether there is a Result with ref.
func (b *bridge) ready(ref any) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, ok := b.outcomes[ref]
	return ok
}

// told is what SIPOutcomes has been given so far.
func (b *bridge) told() map[any]mapping.Outcome {
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.outcomes)
}

// testConfig lets loopback speak for example.net and serves example.com.
func testConfig() Config {
	return Config{
		Listen:    []string{"udp://127.0.0.1:0", "tcp://127.0.0.1:0"},
		SIPDomain: "example.net", XMPPDomains: []string{"example.com"},
		UserAgent: "stox-test", DrainTimeout: 100 * time.Millisecond,
		Local: true, // or there would be nobody to send to
	}
}

// start runs a UA until the test ends, and checks its ending.
func start(t testing.TB, cfg Config, b *bridge) *UA {
	t.Helper()
	u, err := New(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return run(t, u, b)
}

func run(t testing.TB, u *UA, b *bridge) *UA {
	t.Helper()
	if err := u.Listen(); err != nil {
		t.Fatal(err)
	}
	b.ua = u
	if !b.probes {
		u.current().watching = nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- u.Run(ctx, b) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		if b.twice {
			t.Error("two Results for one Parcel")
		}
		u.server.mu.Lock()
		defer u.server.mu.Unlock()
		for _, p := range append(u.current().peers.configured, u.current().peers.loopback) {
			if n := p.share.pending; n != 0 && len(u.server.pending) == 0 {
				t.Errorf("peer %s counts %d pending requests, none is", p.name, n)
			}
		}
	})
	return u
}

// addr gives the bound address of a network.
func addr(u *UA, network string) netip.AddrPort {
	for _, a := range u.Addrs() {
		if a.Network() == network {
			return addrPortOf(a)
		}
	}
	panic("not listening on " + network)
}

// lines are those of a good MESSAGE. Each edit replaces the line with the same
// name, or is added; "-Name" takes the line out; one with SIP/2.0 at the end is
// the start line.
func lines(network string, branch string, edits ...string) []string {
	l := []string{
		"MESSAGE sip:juliet@example.com SIP/2.0",
		fmt.Sprintf("Via: SIP/2.0/%s 127.0.0.1;rport;branch=%s", strings.ToUpper(network), branch),
		"Max-Forwards: 70",
		"To: <sip:juliet@example.com>",
		"From: <sip:romeo@example.net>;tag=vwxyz",
		"Call-ID: 9E97FB43-85F4-4A00-8751-1124FD4C7B2E",
		"CSeq: 1 MESSAGE",
		"Content-Type: text/plain",
	}
	name := func(s string) string {
		n, _, _ := strings.Cut(s, ":")
		return strings.ToLower(n)
	}
edits:
	for _, e := range edits {
		if len(e) > 8 && strings.EqualFold(e[len(e)-7:len(e)-3], "SIP/") {
			l[0] = e
			continue
		}
		gone := strings.HasPrefix(e, "-")
		for i, old := range l[1:] {
			if name(old) == name(strings.TrimPrefix(e, "-")) {
				if gone {
					l = append(l[:i+1], l[i+2:]...)
				} else {
					l[i+1] = e
				}
				continue edits
			}
		}
		if !gone {
			l = append(l, e)
		}
	}
	return l
}

var branches struct {
	sync.Mutex
	n int
}

// fresh makes a branch that no other test uses.
func fresh() string {
	branches.Lock()
	defer branches.Unlock()
	branches.n++
	return fmt.Sprintf("z9hG4bKtest%d", branches.n)
}

// message is a good MESSAGE with a branch of its own, changed by edits.
func message(network string, edits ...string) string {
	return siptest.Text("hi", lines(network, fresh(), edits...)...)
}

// outgoing is a value for Deliver, to the peer p.
func outgoing(p *siptest.Peer, n int) *mapping.SIPMessage {
	to := mapping.URI{Scheme: "sip", User: "romeo", Host: p.Addr().Addr().String(), Port: p.Addr().Port()}
	if p.Network() == "tcp" {
		to.Transport = "tcp"
	}
	return &mapping.SIPMessage{
		RequestURI: to, To: mapping.URI{Scheme: "sip", User: "romeo", Host: "example.net"},
		From:   mapping.URI{Scheme: "sip", User: "juliet", Host: "example.com", GR: "balcony"},
		CallID: fmt.Sprintf("call-%d", n), FromTag: fmt.Sprintf("tag%d", n), CSeq: uint32(n + 1),
		ContentType: "text/plain;charset=utf-8", Body: []byte("Art thou not Romeo?"),
	}
}

func parcel(ref any, m *mapping.SIPMessage) []mapping.Parcel[mapping.SIP] {
	return []mapping.Parcel[mapping.SIP]{{Ref: ref, Value: m}}
}

// memNet is a UDP socket in memory: what is sent is kept, what is injected is
// read. It makes time testable.
type memNet struct {
	in   chan packet
	done chan struct{}
	once sync.Once

	mu   sync.Mutex
	deny func(p packet) error // if set: what sending p fails with, nil if it does not
	sent []memPacket
}

type memPacket struct {
	at   time.Time
	to   netip.AddrPort
	data []byte
}

func newMemNet() *memNet { return &memNet{in: make(chan packet, 100), done: make(chan struct{})} }

func (m *memNet) read(into []packet) (int, error) {
	select {
	case p := <-m.in:
		into[0].b = into[0].b[:copy(into[0].b, p.b)]
		into[0].to = p.to
		return 1, nil
	case <-m.done:
		return 0, net.ErrClosed
	}
}

func (m *memNet) write(p []packet) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.deny != nil {
		if err := m.deny(p[0]); err != nil {
			return 0, err
		}
	}
	m.sent = append(m.sent, memPacket{time.Now(), p[0].to, bytes.Clone(p[0].b)})
	return 1, nil
}

func (m *memNet) close() error { m.once.Do(func() { close(m.done) }); return nil }

func (m *memNet) all() []memPacket {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]memPacket(nil), m.sent...)
}

var (
	memSelf = netip.MustParseAddrPort("192.0.2.1:5060")
	memPeer = netip.MustParseAddrPort("192.0.2.9:5060")
)

// memUA is a UA on a memNet, with memPeer's host as a peer.
func memUA(t testing.TB, cfg Config, b *bridge) (*UA, *memNet) {
	t.Helper()
	cfg.Listen = []string{"udp://192.0.2.1:5060"}
	cfg.Peers = append(cfg.Peers, Peer{Name: "mem", Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.9/32")}})
	u, err := New(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	m := newMemNet()
	u.listenUDP = func(string) (datagrams, netip.AddrPort, error) { return m, memSelf, nil }
	return run(t, u, b), m
}
