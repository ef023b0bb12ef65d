package sipside

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stoxgw/stox/mapping"
)

// keeping is a handler that keeps what it is told.
type keeping struct{ results []mapping.Result }

func (k *keeping) FromSIP([]mapping.Parcel[mapping.SIP]) {}
func (k *keeping) SIPOutcomes(batch []mapping.Result)    { k.results = append(k.results, batch...) }

// FuzzAnswer: whatever headers a final response to a request of ours has, it is told once
// or not at all, with the status it has and with texts that can stand anywhere.
func FuzzAnswer(f *testing.F) {
	f.Add(uint16(200), "OK", "Accept: text/plain\r\nAccept: */*;q=0", true)
	f.Add(uint16(415), "Unsupported", "Accept: text/plain,\r\n\tmessage/cpim\r\nAccept-Encoding: gzip", false)
	f.Add(uint16(606), "Not \xff\x01 Acceptable", "Warning: 304 [::1]:5060 \"a \\\" , b\", 399 x \"y\"\r\nWarning: 399 a \"b", false)
	f.Add(uint16(302), "Moved", "Contact: \"x, y\" <mailto:a@b>, <sip:o@example.org;x=y?S=z>;q=0.3\r\nm: *", true)
	f.Add(uint16(503), "", "Retry-After: 99999999999999999999 (a \\) b);duration=1\r\nContent-Length: 0", false)
	f.Add(uint16(401), "U", "Via: SIP/2.0/UDP b\r\nCSeq: 1 OPTIONS\r\nDate: x\r\nDate: y", true)
	u := fuzzUA(f)
	told := &keeping{}
	u.handler = told
	u.sentBys = []sentBy{{"gw.example.com", 5060}}
	s := newUDPSocket(u, nil, netip.MustParseAddrPort("127.0.0.1:5060"))
	const id = 7
	f.Fuzz(func(t *testing.T, status uint16, reason, headers string, query bool) {
		tx := &clientTx{ref: "x", req: outRequest{method: methodMessage}, id: id, sent: true, hop: &hop{}}
		if query {
			tx.req.method = methodOptions
		}
		u.client.open.put(tx)
		raw := fmt.Sprintf("SIP/2.0 %d %s\r\nVia: SIP/2.0/UDP gw.example.com;branch=%s\r\nCSeq: 1 %s\r\n%s\r\nContent-Length: 0\r\n\r\n",
			status, reason, u.client.branch(id), tx.req.method, headers)
		s.io, told.results = &onceIO{b: []byte(raw), from: netip.MustParseAddrPort("127.0.0.1:9")}, nil
		s.serve()
		told := told.results
		if len(told) > 1 || len(told) == 1 == (u.client.open.get(id) == tx) || u.stats.Panics.Load() > 0 {
			t.Fatalf("%d outcomes, %d panics", len(told), u.stats.Panics.Load())
		}
		u.client.open.remove(id)
		if len(told) == 0 {
			return
		}
		o := told[0].Outcome
		if o.Kind != mapping.Answered || o.Status != int(status) || (o.Failure == nil) != (status < 300) {
			t.Fatalf("%d: %+v", status, o)
		}
		if o.Accept != mapping.HeaderText(o.Accept) || o.Accept != "" && status != 415 && !(query && status < 300) {
			t.Errorf("%d: Accept %q", status, o.Accept)
		}
		if g := o.Failure; g != nil {
			if g.Status == 401 || g.Status == 407 || g.Status == 408 || g.RetryAfter < 0 || g.RetryAfter > maxRetryAfter*time.Second ||
				len(g.Text) > 200 || !utf8.ValidString(g.Text) || hasControl(g.Text) || !headerSafe(g.Reason) || !headerSafe(g.Alternate) || strings.ContainsAny(g.Alternate, "<> ") {
				t.Errorf("%+v", g)
			}
		}
	})
}
