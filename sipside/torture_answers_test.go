package sipside

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/mapping"
)

// tortureAnswers are the cases of RFC 4475 that are responses, and those whose header only
// is read in one: each is a response to a MESSAGE of ours, as edits of a good one.
var tortureAnswers = []struct {
	name, section string
	what          string
	status        string // code and reason, "" is "200 OK"
	edits         []string
	want          int // the status that is told; 0: nothing yet, the transaction goes on
	text          string
	alternate     string
	after         time.Duration
	why           string
}{
	{name: "unreason", section: "3.1.1.12", what: "a reason in another script", status: "200 = 7 * 11 \u043f\u0440\u043e\u0441\u0442\u043e\u0435 - 100% (sic)", want: 200},
	{name: "unreason", section: "3.1.1.12", what: "the same of a refusal, which is passed on", status: "486 \u0437\u0430\u043d\u044f\u0442\u043e, 2**3", want: 486, text: "486 \u0437\u0430\u043d\u044f\u0442\u043e, 2**3"},
	{name: "noreason", section: "3.1.1.13", what: "no reason, provisional", status: "100 "},
	{name: "noreason", section: "3.1.1.13", what: "no reason", status: "200 ", want: 200},
	{name: "noreason", section: "3.1.1.13", what: "no reason of a refusal", status: "404 ", want: 404, text: "404 Not Found"},

	{name: "scalarlg", section: "3.1.2.5", what: "a CSeq beyond 2^31", edits: []string{"CSeq: 1 ", "CSeq: 9292394834772304023312 "}},
	{name: "scalarlg", section: "3.1.2.5", what: "a Retry-After beyond reason, a Warning that is none", status: "503 Service Unavailable", want: 503, after: 24 * time.Hour,
		edits: []string{"Content-Length", "Retry-After: 949302838503028349304023988\r\nWarning: 1812 overture \"In Progress\"\r\nContent-Length"},
		why:   "a day is the most that is waited for"},
	{name: "bigcode", section: "3.1.2.19", what: "a status that no register holds", status: "4294967301 better not break the receiver"},
	{name: "bigcode", section: "3.1.2.19", what: "a status beyond 699", status: "700 What"},

	{name: "bcast", section: "3.3.10", what: "a second Via below ours", edits: []string{"From:", "Via: SIP/2.0/UDP 255.255.255.255;branch=z9hG4bK1saber23\r\nFrom:"}},
	{name: "bcast", section: "3.3.10", what: "a Via that is not ours", edits: []string{"192.0.2.1", "255.255.255.255"}},

	{name: "cparam01", section: "3.3.12", what: "a parameter of the header", status: "302 Moved", want: 302, edits: []string{"Content-Length", "Contact: sip:romeo@gw1.example.org;unknownparam\r\nContent-Length"}, alternate: "sip:romeo@gw1.example.org"},
	{name: "cparam02", section: "3.3.13", what: "a parameter of the address", status: "302 Moved", want: 302, edits: []string{"Content-Length", "Contact: <sip:romeo@gw1.example.org;unknownparam>\r\nContent-Length"}, alternate: "sip:romeo@gw1.example.org"},
	{name: "regescrt", section: "3.3.14", what: "headers in an address, which are dropped", status: "302 Moved", want: 302, edits: []string{"Content-Length", "m: <sip:romeo@gw1.example.org?Route=%3Csip:evil.example.org%3E>\r\nContent-Length"}, alternate: "sip:romeo@gw1.example.org"},
	{name: "regbadct", section: "3.1.2.13", what: "the same without <>", status: "302 Moved", want: 302, edits: []string{"Content-Length", "Contact: sip:romeo@gw1.example.org?Route=%3Csip:evil.example.org%3E\r\nContent-Length"}, alternate: "sip:romeo@gw1.example.org",
		why: "liberal: without <> the headers cannot be anything else, and they are dropped"},
}

// TestTortureAnswers: what is told of each, that nothing breaks, and that the right answer
// still counts where this one did not.
func TestTortureAnswers(t *testing.T) {
	for _, c := range tortureAnswers {
		for _, network := range []string{"udp", "tcp"} {
			t.Run(network+" "+c.name+" "+c.what, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b := newBridge(nil)
					u, said, answer := asked(t, network, b)
					req, _, err := siptest.Parse([]byte(said))
					if err != nil {
						t.Fatal(err)
					}
					good := req.Reply(200, "OK")
					bad := strings.NewReplacer(c.edits...).Replace(good)
					if c.status != "" {
						bad = strings.Replace(bad, "200 OK", c.status, 1)
					}
					if bad == good {
						t.Fatal("nothing was changed")
					}
					answer(bad)
					synctest.Wait()
					o, told := b.told()["x"]
					if told != (c.want != 0) {
						t.Fatalf("told %t: %+v", told, o)
					}
					if !told {
						answer(good)
						synctest.Wait()
						if o := b.told()["x"]; o.Kind != mapping.Answered || o.Status != 200 {
							t.Errorf("behind it a good answer was told as %+v", o)
						}
						return
					}
					if o.Kind != mapping.Answered || o.Status != c.want || (o.Failure == nil) != (c.want < 300) {
						t.Fatalf("told %+v", o)
					}
					if f := o.Failure; f != nil && (!strings.Contains(f.Text, c.text) || f.Alternate != c.alternate || f.RetryAfter != c.after) {
						t.Errorf("told %+v", f)
					}
					if n := u.stats.Panics.Load(); n != 0 {
						t.Errorf("%d panics", n)
					}
				})
			})
		}
	}
}

// asked sends a MESSAGE to memPeer. It gives the request, and a way to answer it.
func asked(t *testing.T, network string, b *bridge) (u *UA, said string, answer func(string)) {
	m := toMem(1)
	if network == "udp" {
		u, n := memUA(t, testConfig(), b)
		u.Deliver(parcel("x", m))
		synctest.Wait()
		return u, string(n.all()[0].data), func(raw string) { n.in <- packet{b: []byte(raw), to: memPeer} }
	}
	cfg := testConfig()
	cfg.Routes = []Route{{Domain: "*", Via: mapping.URI{Scheme: "sip", Host: "192.0.2.9", Transport: "tcp"}}}
	u, _, dialed := memTCP(t, cfg, b)
	u.Deliver(parcel("x", m))
	c := <-dialed
	t.Cleanup(func() { c.Close() })
	got := readAll(c)
	synctest.Wait()
	return u, got(), func(raw string) {
		if _, err := io.WriteString(c, raw); err != nil {
			panic(fmt.Sprint("the connection is gone: ", err))
		}
	}
}
