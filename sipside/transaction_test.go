package sipside

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/mapping"
)

// fromMem is a MESSAGE of memPeer's.
func fromMem(branch string, edits ...string) packet {
	edits = append([]string{"Via: SIP/2.0/UDP 192.0.2.9;rport;branch=" + branch}, edits...)
	return packet{b: []byte(siptest.Text("hi", lines("udp", branch, edits...)...)), to: memPeer}
}

// firsts are the start lines of what was sent since the last call.
func (m *memNet) firsts(seen *int) (all []string) {
	for _, p := range m.all()[*seen:] {
		*seen++
		first, _, _ := strings.Cut(string(p.data), "\r\n")
		all = append(all, first)
	}
	return all
}

func same(t *testing.T, got []string, want ...string) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("sent %q, want %q", got, want)
	}
}

// SIP-12, SIP-13, M-036, M-051: a request is handed over once, whatever is
// retransmitted; 100 at 3.5 s; the same response again within Timer J.
func TestServerTransaction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBridge(nil)
		u, m := memUA(t, testConfig(), b)
		seen := 0
		at := func(d time.Duration) { time.Sleep(d); synctest.Wait() }

		for _, wait := range []time.Duration{0, 500, 1000} { // 0, 0.5, 1.5 s: absorbed
			at(wait * time.Millisecond)
			m.in <- fromMem("z9hG4bKa")
		}
		at(1999 * time.Millisecond) // 3.499
		same(t, m.firsts(&seen))
		at(2 * time.Millisecond)
		same(t, m.firsts(&seen), "SIP/2.0 100 Trying")
		m.in <- fromMem("z9hG4bKa")
		synctest.Wait()
		same(t, m.firsts(&seen), "SIP/2.0 100 Trying")
		if b.count() != 1 {
			t.Fatalf("%d requests were handed over", b.count())
		}

		gone := mapping.FailNotServed()
		gone.Reason = "Not Here"
		res := []mapping.Result{{Ref: b.refs[0], Outcome: mapping.Outcome{Kind: mapping.Refused, Failure: gone}}}
		u.Answer(res)
		u.Answer(res) // ignored
		synctest.Wait()
		same(t, m.firsts(&seen), "SIP/2.0 404 Not Here")
		at(31 * time.Second)
		m.in <- fromMem("z9hG4bKa")
		synctest.Wait()
		same(t, m.firsts(&seen), "SIP/2.0 404 Not Here")
		all := m.all()
		first, again := all[len(all)-2].data, all[len(all)-1].data
		if string(first) != string(again) {
			t.Errorf("the repeated response differs:\n%s\n%s", first, again)
		}
		if b.count() != 1 {
			t.Errorf("%d requests were handed over", b.count())
		}
		// Long after, the memory is empty again and the request is a new one.
		at(2 * time.Minute)
		if n := u.server.answered.count(); n != 0 {
			t.Errorf("%d answers are still kept", n)
		}
		m.in <- fromMem("z9hG4bKa")
		synctest.Wait()
		if b.count() != 2 {
			t.Errorf("%d requests were handed over", b.count())
		}
		// Its client gives up after Timer F: no answer any more (RFC 4320 §4.2).
		at(33 * time.Second)
		m.firsts(&seen)
		u.Answer([]mapping.Result{{Ref: b.refs[1], Outcome: mapping.Outcome{Kind: mapping.Processed}}})
		synctest.Wait()
		same(t, m.firsts(&seen))
	})
}

// Another method, sent-by or branch is another transaction; clients of RFC 2543
// have no cookie (RFC 3261 §17.2.3, SIP-15).
func TestServerMatching(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBridge(processed)
		_, m := memUA(t, testConfig(), b)
		for _, p := range []packet{
			fromMem("z9hG4bKa"), fromMem("z9hG4bKb"),
			fromMem("z9hG4bKa", "Via: SIP/2.0/UDP 192.0.2.10;rport;branch=z9hG4bKa"),
			// A branch used twice is a client's mistake; it must not cost it a message.
			fromMem("z9hG4bKa", "Call-ID: other"), fromMem("z9hG4bKa", "CSeq: 2 MESSAGE"),
			fromMem("old"), fromMem("old", "CSeq: 2 MESSAGE"), fromMem("old", "MESSAGE sip:nurse@example.com SIP/2.0"),
		} {
			m.in <- p
			m.in <- p
		}
		synctest.Wait()
		if b.count() != 8 {
			t.Errorf("%d requests were handed over, want 8", b.count())
		}
		if n := len(m.all()); n != 16 {
			t.Errorf("%d responses, want 16", n)
		}
	})
}

// SIP-11: Timers E and F; the outcome of silence is Unknown (EL-001).
func TestClientTimers(t *testing.T) {
	for _, tt := range []struct {
		name  string
		reply func(m *siptest.Message) string // to the first transmission
		want  []float64                       // seconds
	}{
		{"silence", nil, []float64{0, .5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5}},
		{"100", func(m *siptest.Message) string { return m.Reply(100, "Trying") }, []float64{0, 4, 8, 12, 16, 20, 24, 28}},
		{"silence for a query", nil, []float64{0, .5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5}},
		{"100 for a query", func(m *siptest.Message) string { return m.Reply(100, "Trying") }, []float64{0, 4, 8, 12, 16, 20, 24, 28}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBridge(nil)
				u, m := memUA(t, testConfig(), b)
				begun := time.Now()
				if strings.HasSuffix(tt.name, "query") {
					u.Deliver(queries("x", queryTo(toMem(1))))
				} else {
					u.Deliver(parcel("x", toMem(1)))
				}
				synctest.Wait()
				if tt.reply != nil {
					req, _, err := siptest.Parse(m.all()[0].data)
					if err != nil {
						t.Fatal(err)
					}
					m.in <- packet{b: []byte(tt.reply(req)), to: memPeer}
				}
				time.Sleep(31999 * time.Millisecond)
				synctest.Wait()
				if b.ready("x") {
					t.Fatal("told before Timer F")
				}
				time.Sleep(2 * time.Millisecond)
				synctest.Wait()
				if !b.ready("x") || b.outcomes["x"].Kind != mapping.Unknown || b.outcomes["x"].Failure.Condition != mapping.CondRemoteServerTimeout {
					t.Fatalf("outcome %+v", b.outcomes["x"])
				}
				var got []float64
				for _, p := range m.all() {
					got = append(got, p.at.Sub(begun).Seconds())
					if string(p.data) != string(m.all()[0].data) || p.to != memPeer {
						t.Error("a retransmission differs")
					}
				}
				if fmt.Sprint(got) != fmt.Sprint(tt.want) {
					t.Errorf("sent at %v, want %v", got, tt.want)
				}
				time.Sleep(time.Minute)
				if len(m.all()) != len(got) {
					t.Error("still sending")
				}
			})
		})
	}
}

// flip changes every hex digit.
func flip(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '0' {
			return '1'
		}
		return '0'
	}, s)
}

func toMem(n int) *mapping.SIPMessage {
	return &mapping.SIPMessage{
		RequestURI: mapping.URI{Scheme: "sip", User: "romeo", Host: "192.0.2.9"},
		To:         mapping.URI{Scheme: "sip", User: "romeo", Host: "example.net"},
		From:       mapping.URI{Scheme: "sip", User: "juliet", Host: "example.com"},
		CallID:     fmt.Sprintf("call-%d", n), FromTag: "t", CSeq: uint32(n), ContentType: "text/plain", Body: []byte("x"),
	}
}

// SIP-16: only the response to this request counts. A server with several
// addresses may send it from another one (RFC 3261 §17.1.3).
func TestClientMatching(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBridge(nil)
		u, m := memUA(t, testConfig(), b)
		u.Deliver(parcel("x", toMem(1)))
		synctest.Wait()
		req, _, err := siptest.Parse(m.all()[0].data)
		if err != nil {
			t.Fatal(err)
		}
		good := req.Reply(404, "Gone away")
		via := req.Get("Via")
		bad := []packet{
			{b: []byte(strings.Replace(good, "192.0.2.1;", "192.0.2.1:5061;", 1)), to: memPeer},
			{b: []byte(strings.Replace(good, "Via: ", "Via: SIP/2.0/UDP x;branch=z9hG4bKx\r\nVia: ", 1)), to: memPeer},
			{b: []byte(strings.Replace(good, via, via+", SIP/2.0/UDP x;branch=z9hG4bKx", 1)), to: memPeer},
			{b: []byte(strings.Replace(good, " MESSAGE", " OPTIONS", 1)), to: memPeer},
			{b: []byte(strings.Replace(good, req.Branch(), u.client.branch(77), 1)), to: memPeer},
			{b: []byte(strings.Replace(good, req.Branch(), req.Branch()[:29]+"zz", 1)), to: memPeer},
			{b: []byte(strings.Replace(good, req.Branch(), req.Branch()[:23]+flip(req.Branch()[23:]), 1)), to: memPeer},
			{b: []byte(strings.Replace(good, "Length: 0", "Length: 10", 1)), to: memPeer},
			{b: []byte(strings.Replace(good, "404", "999", 1)), to: memPeer},
			{b: []byte(strings.Replace(good, "CSeq", "X", 1)), to: memPeer},
		}
		for i, p := range bad {
			m.in <- p
			synctest.Wait()
			if b.ready("x") {
				t.Fatalf("response %d was taken:\n%s", i, p.b)
			}
		}
		m.in <- packet{b: []byte(good), to: netip.MustParseAddrPort("192.0.2.10:5062")}
		synctest.Wait()
		if !b.ready("x") {
			t.Error("an answer from another address of the server was dropped")
		}
		m.in <- packet{b: []byte(good), to: memPeer} // late: dropped
		synctest.Wait()
		o := b.outcomes["x"]
		if o.Kind != mapping.Answered || o.Status != 404 || o.Failure == nil || !strings.Contains(o.Failure.Text, "404") {
			t.Errorf("outcome %+v", o)
		}
	})
}

// SEC-30, SIP-30: bounded both ways, and what each gets for it.
func TestCaps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBridge(nil)
		cfg := testConfig()
		cfg.MaxPending = 8
		cfg.Peers = []Peer{
			{Addresses: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/32")}, Domains: []string{"*"}},
			{Addresses: []netip.Prefix{netip.MustParsePrefix("198.51.100.1/32")}, Domains: []string{"*"}},
			{Addresses: []netip.Prefix{netip.MustParsePrefix("198.51.100.2/32")}, Domains: []string{"*"}},
			{Addresses: []netip.Prefix{netip.MustParsePrefix("198.51.100.3/32")}, Domains: []string{"*"}},
		}
		u, m := memUA(t, cfg, b)
		from := func(i int) {
			p := fromMem(fresh())
			p.to = netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}), 5060)
			m.in <- p
			synctest.Wait()
		}
		seen := 0
		for range 3 {
			from(0)
		}
		same(t, m.firsts(&seen), "SIP/2.0 503 Service Unavailable")
		if s := string(m.all()[0].data); strings.Contains(s, "Retry-After") {
			t.Errorf("one peer's own doing has Retry-After:\n%s", s)
		}
		for i := range 3 {
			from(i + 1)
			from(i + 1)
		}
		same(t, m.firsts(&seen))
		m.in <- fromMem(fresh())
		synctest.Wait()
		same(t, m.firsts(&seen), "SIP/2.0 503 Service Unavailable")
		if s := string(m.all()[1].data); !strings.Contains(s, "\r\nRetry-After: 2\r\n") {
			t.Errorf("overload has no Retry-After:\n%s", s)
		}
		if b.count() != 8 {
			t.Errorf("%d handed over", b.count())
		}
		for i := range 9 {
			v := toMem(i + 1)
			v.RequestURI.Host = fmt.Sprint("192.0.2.", 10+i/2) // of one next hop there may be two
			u.Deliver(parcel(i, v))
		}
		synctest.Wait()
		if len(b.outcomes) != 1 || b.outcomes[8].Kind != mapping.NotWritten {
			t.Errorf("outcomes %+v", b.outcomes)
		}
	})
}

// T-R01 to T-R05: received, rport, and where the response goes (SIP-09, SIP-10).
func TestResponseTarget(t *testing.T) {
	for _, tt := range []struct{ via, source, after, dest string }{
		{"SIP/2.0/UDP ua.example.net;branch=z9hG4bK1", "192.0.2.9:5070", "SIP/2.0/UDP ua.example.net;branch=z9hG4bK1;received=192.0.2.9", "192.0.2.9:5060"},
		{"SIP/2.0/UDP ua.example.net:5080;branch=z9hG4bK1", "192.0.2.9:5070", "SIP/2.0/UDP ua.example.net:5080;branch=z9hG4bK1;received=192.0.2.9", "192.0.2.9:5080"},
		{"SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK1;rport", "192.0.2.9:31000", "SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK1;rport=31000;received=192.0.2.9", "192.0.2.9:31000"},
		{"SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bK1;rport", "192.0.2.9:5060", "SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bK1;rport=5060;received=192.0.2.9", "192.0.2.9:5060"},
		{"SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1", "192.0.2.9:5060", "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1", "192.0.2.9:5060"},
		// what the sender claims does not count
		{"SIP / 2.0 / UDP 192.0.2.9 : 5062 ;Received=6.6.6.6;RPort=9; branch=z9hG4bK1;maddr=6.6.6.6", "192.0.2.9:5070", "SIP / 2.0 / UDP 192.0.2.9 : 5062;rport=5070;branch=z9hG4bK1;maddr=6.6.6.6;received=192.0.2.9", "192.0.2.9:5070"},
		{"SIP/2.0/UDP [2001:db8::9]:5090;branch=z9hG4bK1, SIP/2.0/TCP b.example", "192.0.2.9:5070", "SIP/2.0/UDP [2001:db8::9]:5090;branch=z9hG4bK1;received=192.0.2.9, SIP/2.0/TCP b.example", "192.0.2.9:5090"},
	} {
		synctest.Test(t, func(t *testing.T) {
			_, m := memUA(t, testConfig(), newBridge(processed))
			p := fromMem("z9hG4bK1", "Via: "+tt.via)
			p.to = netip.MustParseAddrPort(tt.source)
			m.in <- p
			synctest.Wait()
			sent := m.all()
			if len(sent) != 1 {
				t.Fatalf("%s: %d packets", tt.via, len(sent))
			}
			res, _, err := siptest.Parse(sent[0].data)
			if err != nil || res.Get("Via") != tt.after || sent[0].to.String() != tt.dest {
				t.Errorf("%v to %s:\n%s\nwant %s\nto %s", err, sent[0].to, sent[0].data, tt.after, tt.dest)
			}
		})
	}
}
