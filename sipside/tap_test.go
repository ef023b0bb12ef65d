package sipside

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/mapping"
	"github.com/stoxgw/stox/sipside/locate"
)

// tapped is a Tap that remembers.
type tapped struct {
	off  atomic.Bool
	mu   sync.Mutex
	seen []shownPacket
}

type shownPacket struct {
	in            bool
	transport     string
	local, remote netip.AddrPort
	text          string
}

func (s shownPacket) String() string {
	way := "out"
	if s.in {
		way = "in"
	}
	first, _, _ := strings.Cut(s.text, "\r\n")
	return way + " " + s.transport + " " + first
}

func (t *tapped) On() bool { return !t.off.Load() }

func (t *tapped) Packet(in bool, transport string, local, remote netip.AddrPort, data []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seen = append(t.seen, shownPacket{in, transport, local, remote, string(data)})
	clear(data[:0]) // only lent
}

func (t *tapped) all() []shownPacket {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.seen)
}

// TestTap: over each transport, what one side shows as sent the other shows as received, octet
// for octet, with the addresses the other way round, and an answer after its request.
func TestTap(t *testing.T) {
	ca := siptest.NewCA(t, "Test CA")
	for _, kind := range append(linkKinds, locate.TCP, locate.UDP) {
		t.Run(kind.String(), func(t *testing.T) {
			var far, near tapped
			fb := newBridge(processed)
			cfg := testConfig()
			cfg.Listen = []string{kind.String() + "://127.0.0.1:0"}
			cfg.SIPDomain, cfg.XMPPDomains, cfg.Tap = "example.com", []string{"example.org"}, &far
			cfg.TLS = tlsOf(t, ca, ca.Issue(nil, "127.0.0.1"))
			fu := start(t, cfg, fb)

			b := newBridge(nil)
			cfg = routedTo(fu.bound[0], kind, tlsOf(t, ca, siptest.Cert{}))
			cfg.Tap = &near
			u := start(t, cfg, b)
			const n = 20
			for i := range n {
				m := toExample(i)
				m.Body = bytes.Repeat([]byte{'a' + byte(i)}, 1+40*i)
				u.Deliver(parcel(i, m))
			}
			for i := range n {
				if o := b.outcome(i); o.Kind != mapping.Answered || o.Status != 200 {
					t.Fatalf("%d: %+v", i, o)
				}
			}
			// Over UDP from socket to socket, so both have each packet in their own order.
			mine, theirs := near.all(), far.all()
			if len(mine) != 2*n || len(theirs) != 2*n {
				t.Fatalf("%d and %d shown, not %d", len(mine), len(theirs), 2*n)
			}
			for _, p := range mine {
				turned := shownPacket{!p.in, p.transport, p.remote, p.local, p.text}
				if !slices.Contains(theirs, turned) {
					t.Errorf("only one side has %v %v %v\n%s", p, p.local, p.remote, p.text)
				}
				if p.transport != kind.String() || p.remote != fu.bound[0] {
					t.Errorf("%v with %v", p, p.remote)
				}
			}
			for i := range n {
				id := fmt.Sprintf("CSeq: %d MESSAGE\r\n", i+1)
				for who, all := range map[string][]shownPacket{"near": mine, "far": theirs} {
					request := slices.IndexFunc(all, func(p shownPacket) bool { return strings.HasPrefix(p.text, "MESSAGE ") && strings.Contains(p.text, id) })
					answer := slices.IndexFunc(all, func(p shownPacket) bool {
						return strings.HasPrefix(p.text, "SIP/2.0 200 ") && strings.Contains(p.text, id)
					})
					if request < 0 || answer < request {
						t.Errorf("%s: %s at %d, answered at %d", who, id, request, answer)
					}
				}
			}
		})
	}
}

// TestTapOfTheBad: what is refused, and what is no SIP, is shown as it came, once.
func TestTapOfTheBad(t *testing.T) {
	for _, tt := range []struct{ network, raw, want string }{
		{"udp", message("udp", "-CSeq"), "in udp MESSAGE sip:juliet@example.com SIP/2.0\nout udp SIP/2.0 400 "},
		{"tcp", message("tcp", "-CSeq", "Content-Length: 2"), "in tcp MESSAGE sip:juliet@example.com SIP/2.0\nout tcp SIP/2.0 400 "},
		{"udp", message("udp", "INVITE sip:juliet@example.com SIP/2.0", "CSeq: 1 INVITE"), "in udp INVITE sip:juliet@example.com SIP/2.0\nout udp SIP/2.0 405 "},
		{"tcp", message("tcp", "Content-Length: -1"), "in tcp MESSAGE sip:juliet@example.com SIP/2.0\nout tcp SIP/2.0 400 "},
		{"tcp", message("tcp", "X: "+strings.Repeat("x", 20<<10), "Content-Length: 2"), "in tcp MESSAGE sip:juliet@example.com SIP/2.0\nout tcp SIP/2.0 513 "},
	} {
		var tap tapped
		cfg := testConfig()
		cfg.Tap = &tap
		u := start(t, cfg, newBridge(processed))
		p := siptest.Listen(t, tt.network)
		p.Request(addr(u, tt.network), tt.raw)
		var got []string
		for _, s := range tap.all() {
			got = append(got, s.String())
		}
		if g := strings.Join(got, "\n"); !strings.HasPrefix(g, tt.want) || len(got) != 2 {
			t.Errorf("%.60q: %.300s\nwant %s", tt.raw, g, tt.want)
		}
		if s := tap.all()[0]; !strings.HasPrefix(tt.raw, s.text) || s.remote != p.Addr() && tt.network == "udp" {
			t.Errorf("%q from %v\nwant %q", s.text, s.remote, tt.raw)
		}
	}
}

// TestTapOff: nothing is shown while nobody looks, and what keeps connections open never is.
func TestTapOff(t *testing.T) {
	var tap tapped
	tap.off.Store(true)
	cfg := testConfig()
	cfg.Tap = &tap
	u := start(t, cfg, newBridge(processed))
	for _, network := range []string{"udp", "tcp"} {
		p := siptest.Listen(t, network)
		p.Request(addr(u, network), message(network, "Content-Length: 2"))
		tap.off.Store(false)
		p.Send(addr(u, network), "\r\n\r\n")
		m := message(network, "Content-Length: 2")
		p.Request(addr(u, network), m)
		tap.off.Store(true)
		if all := tap.all(); len(all) != 2 || all[0].text != m || !all[0].in || all[1].in {
			t.Errorf("%s: %v", network, all)
		}
		tap.mu.Lock()
		tap.seen = nil
		tap.mu.Unlock()
	}
}
