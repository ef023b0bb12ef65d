package sipside

import (
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"testing"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/mapping"
)

// crowds are headers with n of something that is read one by one.
var crowds = []struct {
	name   string
	header func(n int) string
	most   int
	status int // with one more
}{
	{"Via parameters", func(n int) string { return "Via: SIP/2.0/UDP a;rport;branch=z9hG4bKx" + strings.Repeat(";a=b", n-2) }, maxViaParams, 513},
	{"empty Via parameters", func(n int) string { return "Via: SIP/2.0/UDP a;rport;branch=z9hG4bKx" + strings.Repeat(";", n-2) }, maxViaParams, 513},
	{"Via values", func(n int) string {
		return "Via: SIP/2.0/UDP a;rport;branch=z9hG4bKx" + strings.Repeat(",SIP/2.0/UDP a", n-1)
	}, maxVias, 513},
	{"empty Via values", func(n int) string { return "Via: SIP/2.0/UDP a;rport;branch=z9hG4bKx" + strings.Repeat(",", n-1) }, maxVias, 513},
	{"Via rows", func(n int) string {
		return strings.TrimSuffix(strings.Repeat("Via: SIP/2.0/UDP a;rport;branch=z9hG4bKx\r\n", n), "\r\n")
	}, maxVias, 513},
	{"From parameters", func(n int) string { return "From: <sip:romeo@example.net>;tag=a" + strings.Repeat(";a", n-1) }, maxParams, 400},
	{"parameters of the URI in From", func(n int) string {
		return "From: <sip:romeo@example.net" + strings.Repeat(";a=b", n-1) + ">;tag=a"
	}, maxParams, 400},
	{"To parameters", func(n int) string { return "To: <sip:juliet@example.com>" + strings.Repeat(";a", n) }, maxParams, 400},
	{"Content-Type parameters", func(n int) string { return "Content-Type: text/plain" + strings.Repeat(";a=b", n) }, maxParams, 400},
	{"Content-Disposition parameters", func(n int) string { return "Content-Disposition: render" + strings.Repeat(";a=b", n) }, maxParams, 400},
	{"codings", func(n int) string { return "Content-Encoding: identity" + strings.Repeat(",identity", n) }, maxParams, 400},
	{"rows of codings", func(n int) string {
		return "Content-Encoding: identity" + strings.Repeat("\r\nContent-Encoding: identity", n)
	}, maxParams, 400},
	{"parameters of the Request-URI", func(n int) string {
		return "MESSAGE sip:juliet@example.com" + strings.Repeat(";a=b", n) + " SIP/2.0"
	}, maxParams, 400},
	{"headers of the Request-URI", func(n int) string {
		return "MESSAGE sip:juliet@example.com?a=b" + strings.Repeat("&a=b", n) + " SIP/2.0"
	}, maxParams, 400},
}

// TestCrowded: what a header has of parameters and values is bounded, over any transport,
// and a message that has more costs only itself (SIP-29, SEC-24).
func TestCrowded(t *testing.T) {
	b := newBridge(processed)
	u := start(t, testConfig(), b)
	peer := siptest.Listen(t, "udp")
	for _, tt := range crowds {
		t.Run(tt.name, func(t *testing.T) {
			vias := func(n int) string { // each with a branch of its own, that Final may find it
				return strings.Replace(message("udp", tt.header(n)), "branch=z9hG4bKx", "branch="+fresh(), 1)
			}
			most, over := peer.Request(addr(u, "udp"), vias(tt.most)), peer.Request(addr(u, "udp"), vias(tt.most+1))
			// What is wrong with it for another reason is not what is asked here.
			if most.Status() == tt.status {
				t.Errorf("%d are refused: %s", tt.most, most.First)
			}
			if over.Status() != tt.status {
				t.Errorf("%d are answered: %s", tt.most+1, over.First)
			}
			tcp := func(n int) string { return message("tcp", tt.header(n)) }
			got := statuses(t, exchange(t, addr(u, "tcp"), tcp(tt.most+1)+message("tcp")))
			if len(got) != 2 || got[0] != tt.status || got[1] != 200 {
				t.Errorf("over TCP: %v", got)
			}
		})
	}
	before := b.count()
	many := make([]string, 65)
	for i := range many {
		many[i] = fmt.Sprint("t", i)
	}
	for n, status := range map[int]int{64: 420, 65: 400} {
		for _, sep := range []string{", ", "\r\nRequire: "} {
			if res := peer.Request(addr(u, "udp"), message("udp", "Require: "+strings.Join(many[:n], sep))); res.Status() != status {
				t.Errorf("%d option tags: %s", n, res.First)
			}
		}
	}
	if b.count() != before {
		t.Error("one of them was handed over")
	}
}

// A response to us is no different: it is read only as far as its Via goes.
func TestCrowdedResponse(t *testing.T) {
	b := newBridge(nil)
	u := start(t, testConfig(), b)
	p := siptest.Listen(t, "udp")
	p.Answer(func(m *siptest.Message) string {
		return strings.Replace(m.Reply(302, "Moved"), "\r\n\r\n", "\r\nContact: <sip:a@b>"+strings.Repeat(",<sip:a@b>", 1300)+"\r\n\r\n", 1)
	})
	u.Deliver(parcel("x", outgoing(p, 1)))
	if o := b.outcome("x"); o.Kind != mapping.Answered || o.Status != 302 {
		t.Errorf("%+v", o)
	}
}

// BenchmarkHostile is a request of 16 KiB that is made to be expensive, from the datagram
// to its answer: those over a bound, and the dearest ones below it.
func BenchmarkHostile(b *testing.B) {
	full := func(s string) string { return strings.Repeat(s, 15500/len(s)) }
	run := func(name string, edit string) {
		b.Run(strings.ReplaceAll(name, " ", "_"), func(b *testing.B) {
			u := fuzzUA(b)
			u.handler = &accepting{u}
			text := siptest.Text("hi", lines("udp", "z9hG4bK0000000000", edit, "Call-ID: 0000000000")...)
			s := newUDPSocket(u, &manyIO{n: b.N, text: []byte(text), at: strings.Index(text, "Call-ID: ") + 9}, netip.MustParseAddrPort("127.0.0.1:5060"))
			b.ReportAllocs()
			s.serve()
		})
	}
	run("plain", "Subject: x")
	for _, c := range crowds {
		if n := 15500 / (len(c.header(101)) - len(c.header(100))); !strings.Contains(c.name, "rows") {
			run(c.name, c.header(n))
		}
	}
	run("folded lines", "Subject: x"+full("\r\n x"))
	run("a branch", "Via: SIP/2.0/UDP a;branch=z9hG4bK"+full("x"))
	run("a display name", `From: "`+full(`\a`)+`" <sip:romeo@example.net>;tag=a`)
	run("escapes", "MESSAGE sip:"+full("%41")+"@example.com SIP/2.0")
	run("a subject of bad UTF-8", "Subject: "+full("\xff"))
	run("rows", strings.TrimSuffix(strings.Repeat("X: y\r\n", 90), "\r\n"))
}

// TestManyContinuations: what a malformed header costs grows with its length, in however many
// lines it comes (SEC-24): one packet of a stranger once took 400 MB of memory, bit by bit.
func TestManyContinuations(t *testing.T) {
	head := "MESSAGE sip:juliet@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKx\r\nSubject: a\r\n"
	for _, line := range []string{" \n", " x\n", "\tx\r\n"} {
		raw := []byte(head + strings.Repeat(line, 60000/len(line)))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		req := salvage(raw)
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 100*uint64(len(raw)) {
			t.Errorf("%q: %d bytes of memory for %d", line, n, len(raw))
		}
		if f := readFields(req.Headers()); !strings.HasPrefix(f.subject, "a ") || len(f.vias) != 1 {
			t.Errorf("%q: read as %d Vias and %d bytes of Subject", line, len(f.vias), len(f.subject))
		}
	}
}
