package sipside

import (
	"io"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/mapping"
	"github.com/stoxgw/stox/sipside/digest"
)

// TestPeerRate: a source that sends too much gets 503, it alone, and no Retry-After (SEC-24,
// SIP-30).
func TestPeerRate(t *testing.T) {
	options := []string{"OPTIONS sip:juliet@example.com SIP/2.0", "CSeq: 1 OPTIONS"}
	peer, second, routed := memPeer, netip.MustParseAddrPort("192.0.2.8:5060"), netip.MustParseAddrPort("192.0.2.7:5060")
	here, listed := netip.MustParseAddrPort("127.0.0.1:5060"), netip.MustParseAddrPort("127.0.0.2:5060")
	for name, tt := range map[string]struct {
		rate   int
		source netip.AddrPort
		edits  []string
		want   int // how many of 100 at once are taken
		then   int // and of 100 two seconds later
	}{
		"no limit":            {rate: 0, source: peer, want: 100, then: 100},
		"a peer":              {rate: 20, source: peer, want: 20, then: 20},
		"OPTIONS":             {rate: 20, source: peer, edits: options, want: 20, then: 20},
		"a small rate":        {rate: 1, source: peer, want: minBurst, then: 2},
		"refused ones count":  {rate: 20, source: peer, edits: []string{"Max-Forwards: 0"}, want: 20, then: 20},
		"the host of a route": {rate: 20, source: routed, want: 20, then: 20},
		"this machine":        {rate: 20, source: here, want: 100, then: 100},
		"this machine, named": {rate: 20, source: listed, want: 20, then: 20},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log siptest.Buffer
				cfg := testConfig()
				cfg.PeerRate = tt.rate
				cfg.Routes = []Route{{Domain: "r.example", Via: mapping.MustParseURI("sip:192.0.2.7")}}
				cfg.Peers = []Peer{{Name: "two", Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.8/31"), netip.MustParsePrefix("127.0.0.2/32")}}}
				u, m := memUA(t, cfg, newBridge(processed))
				u.log = testLog(t, &log)
				send := func(source netip.AddrPort, n int) (taken, over int) {
					for range n {
						answers := m.ask(from(source, tt.edits...))
						if len(answers) != 1 {
							t.Fatalf("%d answers", len(answers))
						}
						if answers[0].Status() != 503 {
							taken++
							continue
						}
						if over++; answers[0].Get("Retry-After") != "" {
							t.Errorf("Retry-After: %s", answers[0].Get("Retry-After"))
						}
					}
					return taken, over
				}
				taken, over := send(tt.source, 100)
				if taken != tt.want || over != 100-tt.want {
					t.Errorf("%d are taken, %d not; want %d", taken, over, tt.want)
				}
				if n := int(u.stats.Limited.Load()); n != over {
					t.Errorf("%d are counted", n)
				}
				if n := strings.Count(log.String(), "level=WARN"); (n == 1) != (over > 0) || n > 1 {
					t.Errorf("%d warnings:\n%s", n, log.String())
				}
				// Another address, though of the same peer.
				if tt.source == peer {
					if taken, _ := send(second, 1); taken != 1 {
						t.Error("another source is concerned")
					}
				}
				time.Sleep(2 * time.Second)
				if taken, _ := send(tt.source, 100); taken != tt.then {
					t.Errorf("two seconds later %d are taken, want %d", taken, tt.then)
				}
			})
		})
	}
}

// TestPeerRateCopies: a retransmission of what was taken is answered from memory and costs
// nothing of the rate; one of what was not stays refused.
func TestPeerRateCopies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBridge(processed)
		cfg := testConfig()
		cfg.PeerRate = 10
		_, m := memUA(t, cfg, b)
		taken := from(memPeer)
		if got := m.status(t, taken); got != 200 {
			t.Fatalf("%d", got)
		}
		for range 50 {
			if got := m.status(t, taken); got != 200 {
				t.Fatalf("a copy gets %d", got)
			}
		}
		for range 9 {
			if got := m.status(t, from(memPeer)); got != 200 {
				t.Fatalf("%d, though only copies came", got)
			}
		}
		refused := from(memPeer)
		if got := m.status(t, refused); got != 503 {
			t.Fatalf("%d, want 503", got)
		}
		for range 20 {
			time.Sleep(time.Second)
			if got := m.status(t, refused); got != 503 {
				t.Fatalf("a copy of what was refused gets %d", got)
			}
			if got := m.status(t, taken); got != 200 {
				t.Fatalf("a copy of what was taken gets %d", got)
			}
		}
		if got := m.status(t, from(memPeer)); got != 200 || b.count() != 11 {
			t.Errorf("%d, %d messages", got, b.count())
		}
	})
}

// TestPeerRateStream: over a connection the same; it stays open.
func TestPeerRateStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := testConfig()
		cfg.PeerRate = 10
		_, l, _ := memTCP(t, cfg, newBridge(processed))
		c := l.dial(memPeer)
		defer c.Close()
		got := readAll(c)
		for range 30 {
			io.WriteString(c, message("tcp"))
		}
		synctest.Wait()
		s := got()
		if ok, over := strings.Count(s, "SIP/2.0 200 "), strings.Count(s, "SIP/2.0 503 "); ok != 10 || over != 20 || strings.Contains(s, "Retry-After") || strings.Contains(s, "<end>") {
			t.Errorf("%d taken, %d refused: %q", ok, over, s)
		}
	})
}

// TestPeerLoginRate: who has logged in is a source like others, and so is it before each proof.
func TestPeerLoginRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := loginConfig()
		cfg.PeerRate = 10
		b := newBridge(processed)
		_, m := memUA(t, cfg, b)
		line := credentials(t, "branch", loginPassword, "MESSAGE", asks(t, m.one(t, from(stranger)))...)
		if got := m.status(t, from(stranger, branchFrom, line)); got != 200 {
			t.Fatalf("%d", got)
		}
		asked, over := 0, 0
		for range 30 {
			switch res := m.ask(from(stranger, branchFrom)); {
			case len(res) != 1:
				t.Fatalf("%d answers", len(res))
			case res[0].Status() == 503:
				over++
			default:
				asks(t, res[0])
				asked++
			}
		}
		if asked != 10 || over != 20 {
			t.Errorf("%d times asked, %d times too many", asked, over)
		}
	})
}

// TestRateTables: no number of sources or requests makes the tables grow beyond their bounds,
// and time passed is worth no more than one burst.
func TestRateTables(t *testing.T) {
	r := newRates(100)
	now := time.Unix(1e9, 0)
	a := netip.MustParseAddr("10.0.0.0")
	for range 3 * maxSources {
		a = a.Next()
		if !r.take(a, now) {
			t.Fatal("the first request of a source is one too many")
		}
	}
	if len(r.buckets) != maxSources {
		t.Errorf("%d sources are counted", len(r.buckets))
	}
	v6 := netip.MustParseAddr("2001:db8::")
	taken := 0
	for range 300 {
		v6 = v6.Next()
		if r.take(v6, now) {
			taken++
		}
	}
	if taken != 100 {
		t.Errorf("a network of IPv6 may send %d at once", taken)
	}
	if r.take(v6, now.Add(-time.Hour)) { // a clock that goes back gives nothing
		t.Error("time ran backwards, and one more was taken")
	}
	taken = 0
	for range 300 {
		if r.take(v6, now.Add(24*time.Hour)) {
			taken++
		}
	}
	if taken != 100 {
		t.Errorf("a day later %d may be sent at once", taken)
	}

	var k txKey
	for i := range 3 * maxDenied {
		k[0], k[1], k[2] = byte(i), byte(i>>8), byte(i>>16)
		r.deny(k, now)
	}
	if !r.wasDenied(k, now) || len(r.denied[0])+len(r.denied[1]) > 2*maxDenied {
		t.Errorf("%d refused requests are known", len(r.denied[0])+len(r.denied[1]))
	}
	if !r.wasDenied(k, now.Add(timerJ-1)) {
		t.Error("forgotten before its copies have stopped")
	}
	if r.wasDenied(k, now.Add(2*timerJ)) || len(r.denied[0])+len(r.denied[1]) != 0 {
		t.Error("not forgotten")
	}
}

// TestPeerLoginRateOfOthers: what proves nothing, though it comes from the address of a peer
// that has logged in, takes nothing of the peer's rate; what proves it is bounded.
func TestPeerLoginRateOfOthers(t *testing.T) {
	for name, edits := range map[string][]string{
		"no password":      {branchFrom},
		"no good password": {branchFrom, `Authorization: Digest username="branch", realm="example.net", nonce="x", uri="sip:juliet@example.com", response="x"`},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := loginConfig()
				cfg.PeerRate = 10
				b := newBridge(processed)
				_, m := memUA(t, cfg, b)
				first := asks(t, m.one(t, from(stranger)))
				if got := m.status(t, from(stranger, branchFrom, credentials(t, "branch", loginPassword, "MESSAGE", first...))); got != 200 {
					t.Fatalf("%d", got)
				}
				var fresh [][]string // of the peer
				for range 2 {
					fresh = append(fresh, asks(t, m.one(t, from(stranger))))
				}
				over := 0
				for range 30 {
					if m.status(t, from(netip.AddrPortFrom(stranger.Addr(), 40000), edits...)) == 503 {
						over++
					}
				}
				if over != 22 {
					t.Errorf("%d of 30 that prove nothing were too many, want 22", over)
				}
				var last packet
				got := make(map[int]int)
				for i := range 20 {
					var a digest.Attempt
					r := &digest.Request{Server: "gw", Method: "MESSAGE", URI: "sip:juliet@example.com", Body: []byte("hi")}
					c := digest.NewClient("branch", loginPassword)
					c.Answer(r, &a, fresh[i%2], nil)
					for range i / 2 { // the same nonce, and the next count
						a = digest.Attempt{}
						c.Begin(r, &a)
					}
					last = from(stranger, branchFrom, strings.TrimSuffix(a.Lines(), "\r\n"))
					got[m.status(t, last)]++
				}
				if got[200] != 9 || got[503] != 11 || b.count() != 10 {
					t.Errorf("of 20 that prove it: %v; %d messages", got, b.count())
				}
				time.Sleep(2 * time.Second)
				if s := m.status(t, last); s != 503 {
					t.Errorf("a copy of what was refused gets %d", s)
				}
			})
		})
	}
}
