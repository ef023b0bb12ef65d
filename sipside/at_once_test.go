package sipside

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/mapping"
)

// atOnceIO gives all its datagrams in one read.
type atOnceIO struct {
	listIO
	given bool
}

func (a *atOnceIO) read(into []packet) (int, error) {
	if a.given {
		return (&onceIO{done: true}).read(nil)
	}
	a.given = true
	for i, d := range a.list {
		into[i].b, into[i].to = into[i].b[:copy(into[i].b, d)], a.from
	}
	return len(a.list), nil
}

// takeAtOnce gives datagrams to s in one read, and returns the status of each answer by the
// branch of its request.
func takeAtOnce(t *testing.T, s *udpSocket, source netip.AddrPort, list ...packet) map[string][]int {
	t.Helper()
	in := &atOnceIO{listIO: listIO{from: source}}
	for _, p := range list {
		in.list = append(in.list, p.b)
	}
	s.io, s.queue, s.reads = in, nil, udpBatch
	s.serve()
	got := make(map[string][]int)
	for _, p := range s.queue {
		res, _, err := siptest.Parse(p.b)
		if err != nil {
			t.Fatal(err)
		}
		branch := branchOf(t, res)
		got[branch] = append(got[branch], res.Status())
	}
	return got
}

func branchOf(t *testing.T, m *siptest.Message) string {
	t.Helper()
	v, ok := parseVia(m.Get("Via"))
	if !ok {
		t.Fatalf("%q", m.Get("Via"))
	}
	return v.branch
}

// rated is a socket of a UA that takes ten requests a second of memPeer.
func rated(t *testing.T, b *bridge) *udpSocket {
	cfg := testConfig()
	cfg.PeerRate = 10
	cfg.Peers = []Peer{{Name: "mem", Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.9/32")}}}
	u := fuzzUAWith(t, cfg)
	b.ua, u.handler = u, b
	return newUDPSocket(u, nil, memSelf)
}

// TestCopiesInOneRead: a copy that was read together with its request is one, gets no answer
// of its own yet, and costs nothing of the rate, wherever it stands.
func TestCopiesInOneRead(t *testing.T) {
	for _, order := range []string{"each behind its request", "all behind all"} {
		t.Run(order, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBridge(processed)
				s := rated(t, b)
				var list []packet
				for range 10 {
					list = append(list, from(memPeer))
				}
				asked := slices.Clone(list)
				if order == "all behind all" {
					asked = append(asked, list...)
				} else {
					for i, p := range list {
						asked = slices.Insert(asked, 2*i, p)
					}
				}
				got := takeAtOnce(t, s, memPeer, asked...)
				if len(got) != 10 || len(b.requests) != 10 {
					t.Errorf("%d requests are answered, %d handed over", len(got), len(b.requests))
				}
				for branch, all := range got {
					if fmt.Sprint(all) != "[200]" {
						t.Errorf("%s: %d", branch, all)
					}
				}
				if n := s.u.stats.Limited.Load(); n != 0 {
					t.Errorf("%d are refused for their number", n)
				}
				for _, all := range takeAtOnce(t, s, memPeer, from(memPeer)) {
					if fmt.Sprint(all) != "[503]" {
						t.Errorf("the eleventh gets %d", all)
					}
				}
			})
		})
	}
}

// TestCancelInOneRead: a CANCEL finds the request that was read together with it.
func TestCancelInOneRead(t *testing.T) {
	b := newBridge(processed)
	s := rated(t, b)
	m := from(memPeer)
	req, _, err := siptest.Parse(m.b)
	if err != nil {
		t.Fatal(err)
	}
	cancel := from(memPeer, "CANCEL sip:juliet@example.com SIP/2.0", "Via: "+req.Get("Via"), "CSeq: 1 CANCEL")
	stray := from(memPeer, "CANCEL sip:juliet@example.com SIP/2.0", "CSeq: 1 CANCEL")
	got := takeAtOnce(t, s, memPeer, m, cancel, stray)
	if of := got[branchOf(t, req)]; len(got) != 2 || len(of) != 2 || of[0] != 200 || of[1] != 200 {
		t.Errorf("%v", got)
	}
	for branch, of := range got {
		if branch != branchOf(t, req) && fmt.Sprint(of) != "[481]" {
			t.Errorf("the stray one gets %d", of)
		}
	}
}

// TestFullInOneRead: beyond what one peer may have open the rest of a read is refused, and
// stays refused.
func TestFullInOneRead(t *testing.T) {
	b := newBridge(nil)
	s := rated(t, b)
	s.u.server.maxPending = 12 // of which a peer has a quarter
	var list []packet
	for range 5 {
		list = append(list, from(memPeer))
	}
	refused := takeAtOnce(t, s, memPeer, list...)
	if len(refused) != 2 || len(b.requests) != 3 {
		t.Fatalf("%v are answered, %d handed over", refused, len(b.requests))
	}
	var results []mapping.Result
	for _, ref := range b.refs {
		results = append(results, mapping.Result{Ref: ref, Outcome: processed(nil)})
	}
	s.u.Answer(results)
	got := takeAtOnce(t, s, memPeer, list...)
	for branch, all := range got {
		want := "[200]"
		if refused[branch] != nil {
			want = "[503]"
		}
		if fmt.Sprint(all) != want {
			t.Errorf("a copy gets %d, want %s", all, want)
		}
	}
	if len(got) != 5 || len(b.requests) != 3 {
		t.Errorf("%d copies are answered, %d requests handed over", len(got), len(b.requests))
	}
}

// TestSpeakersAfterReload: for whom a peer may speak is looked up again when that has changed,
// and is remembered of nobody else.
func TestSpeakersAfterReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		second := netip.MustParseAddrPort("192.0.2.8:5060")
		config := func(domain string) Config {
			cfg := testConfig()
			cfg.Listen = []string{"udp://192.0.2.1:5060"}
			cfg.Peers = []Peer{{Name: "first", Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.9/32")}, Domains: []string{domain}},
				{Name: "second", Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.8/32")}, Domains: []string{"other.example"}}}
			return cfg
		}
		u, m := memUA(t, config("a.example"), newBridge(processed))
		check := func(want int, source netip.AddrPort, host string) {
			t.Helper()
			for range 2 {
				if got := m.status(t, from(source, "From: <sip:romeo@"+host+">;tag=x")); got != want {
					t.Errorf("%s as %s gets %d, want %d", source, host, got, want)
				}
			}
		}
		check(200, memPeer, "a.example")
		check(403, memPeer, "b.example")
		check(403, second, "a.example")
		check(200, second, "other.example")
		check(200, memPeer, "a.example")
		check(403, memPeer, "other.example")
		if err := u.Reload(config("b.example")); err != nil {
			t.Fatal(err)
		}
		check(403, memPeer, "a.example")
		check(200, memPeer, "b.example")
	})
}
