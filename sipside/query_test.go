package sipside

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/mapping"
)

// queryTo asks whoever outgoing writes to.
func queryTo(m *mapping.SIPMessage) *mapping.SIPQuery {
	return &mapping.SIPQuery{RequestURI: m.RequestURI, From: m.From, To: m.To, CallID: m.CallID, FromTag: m.FromTag, CSeq: m.CSeq}
}

func queries(ref any, q *mapping.SIPQuery) []mapping.Parcel[mapping.SIP] {
	return []mapping.Parcel[mapping.SIP]{{Ref: ref, Value: q}}
}

// RFC 3261 §11.1: the request on the wire, to the next hop that a message would take.
func TestQuery(t *testing.T) {
	for _, network := range []string{"udp", "tcp"} {
		p := siptest.Listen(t, network)
		p.Answer(func(m *siptest.Message) string {
			return m.Reply(200, "OK", "Accept: text/plain,", "Accept: ", "accept:  message/cpim;q=0.5, */*;q=0 ")
		})
		cfg := testConfig()
		cfg.Advertise = "gw.example.com"
		cfg.Routes = []Route{{Domain: "example.net", Via: mapping.URI{Scheme: "sip", Host: "127.0.0.1", Port: p.Addr().Port(), Transport: network}, Loose: true}}
		b := newBridge(nil)
		u := start(t, cfg, b)
		q := queryTo(outgoing(p, 6))
		q.RequestURI = mapping.URI{Scheme: "sip", Host: "example.net"}
		u.Deliver(queries("x", q))
		o := b.outcome("x")
		if o.Kind != mapping.Answered || o.Status != 200 || o.Failure != nil || o.More {
			t.Errorf("%s: %+v", network, o)
		}
		for media, want := range map[string]bool{"text/plain": true, "message/cpim": true, "text/html": false} {
			if mapping.Accepts(o.Accept, media) != want {
				t.Errorf("%s: %s of %q: %t", network, media, o.Accept, !want)
			}
		}
		m := p.Await(1)[0]
		want := strings.Join([]string{
			"OPTIONS sip:example.net SIP/2.0",
			fmt.Sprintf("Via: SIP/2.0/%s gw.example.com:%d;rport;branch=%s", strings.ToUpper(network), addr(u, network).Port(), m.Branch()),
			"Route: <" + cfg.Routes[0].Via.String() + ";lr>",
			"Max-Forwards: 70",
			"From: <sip:juliet@example.com;gr=balcony>;tag=tag6",
			"To: <sip:romeo@example.net>",
			"Call-ID: call-6",
			"CSeq: 7 OPTIONS",
			"Accept: application/sdp",
			"User-Agent: stox-test",
			"Content-Length: 0",
		}, "\n")
		got := m.First
		for _, f := range m.Fields {
			got += "\n" + f.Name + ": " + f.Value
		}
		if got != want || len(m.Body) != 0 {
			t.Errorf("%s: got\n%s\nwant\n%s", network, got, want)
		}
	}
}

// What the answer says of itself: Accept only where it is about bodies that we send.
func TestAcceptTold(t *testing.T) {
	b := newBridge(nil)
	u := start(t, testConfig(), b)
	p := siptest.Listen(t, "udp")
	for i, tt := range []struct {
		query  bool
		status int
		lines  []string
		want   string
	}{
		{true, 200, []string{"Accept: application/sdp", "Accept: text/plain"}, "application/sdp, text/plain"},
		{true, 200, []string{"Accept: text/plain;\r\n\tcharset=utf-8"}, "text/plain; charset=utf-8"},
		{true, 200, []string{"Accept: text/plain\t,\ta/b\xff"}, "text/plain , a/b\ufffd"},
		{true, 200, []string{"Accept:"}, ""},
		{true, 200, nil, ""},
		{true, 202, []string{"Accept: text/plain"}, "text/plain"},
		{true, 405, []string{"Accept: text/plain", "Allow: MESSAGE"}, ""},
		{true, 481, nil, ""},
		{true, 404, nil, ""},
		{true, 415, []string{"Accept: text/plain"}, "text/plain"},
		{false, 415, []string{"Accept: text/plain", "Accept: message/cpim;q=0.5", "Accept-Encoding: gzip"}, "text/plain, message/cpim;q=0.5"},
		{false, 415, nil, ""},
		{false, 200, []string{"Accept: text/plain"}, ""},
		{false, 488, []string{"Accept: text/plain"}, ""},
	} {
		p.Answer(func(m *siptest.Message) string { return m.Reply(tt.status, "What", tt.lines...) })
		m := outgoing(p, i)
		if tt.query {
			u.Deliver(queries(i, queryTo(m)))
		} else {
			u.Deliver(parcel(i, m))
		}
		o := b.outcome(i)
		if o.Kind != mapping.Answered || o.Status != tt.status || o.Accept != tt.want || (o.Failure == nil) != (tt.status < 300) {
			t.Errorf("%d %q: %+v, want %q", tt.status, tt.lines, o, tt.want)
		}
	}
}

// A query and a message with the same identifiers are two transactions.
func TestQueryBesideMessage(t *testing.T) {
	b := newBridge(nil)
	u := start(t, testConfig(), b)
	p := siptest.Listen(t, "tcp")
	p.Answer(func(m *siptest.Message) string {
		return m.Reply(map[string]int{"OPTIONS": 200, "MESSAGE": 415}[m.Method()], "What", "Accept: of/"+m.Method())
	})
	m := outgoing(p, 1)
	u.Deliver([]mapping.Parcel[mapping.SIP]{{Ref: "m", Value: m}, {Ref: "q", Value: queryTo(m)}})
	if o := b.outcome("q"); o.Status != 200 || o.Accept != "of/OPTIONS" {
		t.Errorf("query: %+v", o)
	}
	if o := b.outcome("m"); o.Status != 415 || o.Accept != "of/MESSAGE" {
		t.Errorf("message: %+v", o)
	}
}

// SIP-16, RFC 3261 §17.1.3: the method of CSeq belongs to the match.
func TestQueryMatching(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBridge(nil)
		u, m := memUA(t, testConfig(), b)
		u.Deliver(queries("x", queryTo(toMem(1))))
		synctest.Wait()
		req, _, err := siptest.Parse(m.all()[0].data)
		if err != nil {
			t.Fatal(err)
		}
		good := req.Reply(200, "OK", "Accept: text/plain")
		for _, method := range []string{"MESSAGE", "options", "OPTION"} {
			m.in <- packet{b: []byte(strings.Replace(good, "1 OPTIONS", "1 "+method, 1)), to: memPeer}
			synctest.Wait()
			if b.ready("x") {
				t.Fatalf("the answer to %s was taken", method)
			}
		}
		m.in <- packet{b: []byte(good), to: memPeer}
		synctest.Wait()
		if o := b.told()["x"]; o.Kind != mapping.Answered || o.Accept != "text/plain" {
			t.Errorf("%+v", o)
		}
	})
}

// A query counts like a message in the limits (SEC-30), and ends with Run.
func TestQueryBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBridge(nil)
		cfg := testConfig()
		cfg.MaxPending = 8
		u, m := memUA(t, cfg, b)
		for i := range 3 { // of one next hop there may be two
			u.Deliver(queries(i, queryTo(toMem(i+1))))
		}
		synctest.Wait()
		if got := b.told(); len(got) != 1 || got[2].Kind != mapping.NotWritten || got[2].Failure.Condition != mapping.CondResourceConstraint {
			t.Errorf("outcomes %+v", got)
		}
		time.Sleep(33 * time.Second)
		synctest.Wait()
		if got := b.told(); len(got) != 3 || got[0].Kind != mapping.Unknown || got[1].Kind != mapping.Unknown {
			t.Errorf("outcomes %+v", got)
		}
		u.client.mu.Lock()
		if n := u.client.open.count; n != 0 {
			t.Errorf("%d are still open", n)
		}
		u.client.mu.Unlock()
		if n := len(m.all()); n != 22 {
			t.Errorf("%d transmissions, want 11 of each", n)
		}
	})
}

// SEC-21: nothing in a query ends its header.
func TestQuerySafe(t *testing.T) {
	b := newBridge(nil)
	u := start(t, testConfig(), b)
	p := siptest.Listen(t, "udp")
	for i, edit := range []func(q *mapping.SIPQuery){
		func(q *mapping.SIPQuery) { q.CallID = "a\r\nEvil: 1" },
		func(q *mapping.SIPQuery) { q.CallID = "" },
		func(q *mapping.SIPQuery) { q.FromTag = "a;b" },
		func(q *mapping.SIPQuery) { q.CSeq = 1 << 31 },
		func(q *mapping.SIPQuery) { q.From.Host = "a\nb" },
		func(q *mapping.SIPQuery) { q.To.Host = "a>b" },
		func(q *mapping.SIPQuery) { q.RequestURI.Host = "a b" },
	} {
		q := queryTo(outgoing(p, i))
		edit(q)
		u.Deliver(queries(i, q))
		if o := b.outcome(i); o.Kind != mapping.NotWritten || o.Failure == nil || o.Failure.Err == nil {
			t.Errorf("%d: %+v", i, o)
		}
	}
	if got := p.Requests(); len(got) != 0 {
		t.Errorf("%d were sent: %v", len(got), got[0])
	}
}
