package component

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/internal/xmpptest"
	"github.com/stoxgw/stox/mapping"
)

// TestFlow: 10,000 messages pipelined each way at the same time over TCP, every
// tenth outward one bounced. Nothing is lost, doubled or reordered.
func TestFlow(t *testing.T) {
	const n = 10000
	r, conn := loopback(t, xmpptest.Options{OnStanza: func(c *xmpptest.Conn, st xmpptest.Stanza) bool {
		if strings.HasSuffix(st.ID, "7") {
			c.Bounce(st, "service-unavailable")
		}
		return false
	}}, func(c *Config) { c.BarrierTimeout = time.Minute }) // no verdict by time in this test
	go func() {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `<message from='juliet@example.com/b' to='romeo@sip.example.com' id='in%d' type='chat'><body>number %d</body></message>`, i, i)
			if i%100 == 99 {
				if conn.Send(b.String()) != nil {
					return
				}
				b.Reset()
			}
		}
	}()
	for i := range n / 50 {
		var batch []mapping.XMPP
		for k := range 50 {
			batch = append(batch, message(fmt.Sprint("out", i*50+k), fmt.Sprint("number ", i*50+k)))
		}
		r.Deliver(parcels(batch...))
	}
	for i := range n {
		if st := conn.Next(); st.ID != fmt.Sprint("out", i) || st.Body != fmt.Sprint("number ", i) {
			t.Fatalf("stanza %d is %s", i, st.Raw)
		}
	}
	for i, m := range r.sink.wait(n) {
		if m.ID != fmt.Sprint("in", i) || m.Bodies[0].Value != fmt.Sprint("number ", i) {
			t.Fatalf("message %d is %v", i, m)
		}
	}
	r.sink.mu.Lock()
	if len(r.sink.batches) > n/10 {
		t.Errorf("%d messages came in %d batches: what is read in one go is handed over in one go", n, len(r.sink.batches))
	}
	for _, k := range r.sink.batches {
		if k > maxBatch {
			t.Errorf("a batch of %d", k)
		}
	}
	r.sink.mu.Unlock()
	r.sink.waitSettled(n)
	for i := range n {
		want := mapping.Processed
		if i%10 == 7 {
			want = mapping.Bounced
		}
		if o := r.sink.outcome(t, fmt.Sprint("out", i)); o.Kind != want {
			t.Fatalf("message %d is %v, want %v", i, o.Kind, want)
		}
	}
}

// The handler may call Deliver: an answer for every message, from inside FromXMPP.
func TestDeliverFromHandler(t *testing.T) {
	var r atomic.Pointer[rig]
	srv := xmpptest.New(t, xmpptest.Options{Domain: testDomain, Secret: testSecret})
	x := start(t, srv, nil)
	x.sink.onMessage = func(m *mapping.XMPPMessage) {
		r.Load().Deliver([]mapping.Parcel[mapping.XMPP]{{Ref: m.ID, Value: &mapping.XMPPError{From: m.To, To: m.From, ID: m.ID, Failure: mapping.FailBusy(3)}}})
	}
	r.Store(x)
	conn := srv.Accept()
	const n = 2000
	for i := range n {
		send(t, conn, fmt.Sprintf(`<message from='juliet@example.com/b' to='romeo@sip.example.com' id='%d'><body>x</body></message>`, i))
	}
	for i := range n {
		if st := conn.Next(); st.ID != fmt.Sprint(i) || st.Condition != "resource-constraint" || st.ErrorType != "wait" {
			t.Fatalf("answer %d is %s", i, st.Raw)
		}
	}
}

// Links that come and go under load: every value has exactly one outcome, and
// what the server got is not NotWritten.
func TestDropsUnderLoad(t *testing.T) {
	got := make(chan string, 100000)
	srv := xmpptest.New(t, xmpptest.Options{Domain: testDomain, Secret: testSecret, OnStanza: func(c *xmpptest.Conn, st xmpptest.Stanza) bool {
		if st.Name == "message" {
			got <- st.ID
		}
		return st.Name == "message"
	}})
	r := start(t, srv, nil)
	const rounds, each = 3, 2000
	for round := range rounds {
		conn := accept(t, srv)
		for i := range each {
			r.Deliver(parcels(message(fmt.Sprintf("r%d-%d", round, i), "x")))
			if i == each/2 {
				conn.Drop()
			}
		}
	}
	r.sink.waitSettled(rounds * each)
	r.stop()
	srv.Close()
	close(got)
	arrived := make(map[string]bool)
	for id := range got {
		arrived[id] = true
	}
	kinds := make(map[mapping.OutcomeKind]int)
	for round := range rounds {
		for i := range each {
			id := fmt.Sprintf("r%d-%d", round, i)
			o := r.sink.outcome(t, id)
			kinds[o.Kind]++
			if o.Kind == mapping.NotWritten && arrived[id] {
				t.Errorf("%s is NotWritten and has arrived", id)
			}
		}
	}
	if kinds[mapping.NotWritten] == 0 {
		t.Errorf("outcomes %v: no link was lost", kinds)
	}
}

// Bad XML ends the link, but not before what came in front of it was handed over.
func TestBadXMLEndsLink(t *testing.T) {
	const good = `<message from='juliet@example.com/b' to='romeo@sip.example.com' id='good'><body>x</body></message>`
	huge := strings.Repeat("x", hardLimit(4096))
	for _, tt := range []struct{ name, text, reason string }{
		{"mismatch", `<message><body></message>`, "bad-xml"},
		{"control character", "<message><body>\x01</body></message>", "bad-xml"},
		{"reference to one", "<message><body>&#1;</body></message>", "bad-xml"},
		{"bad UTF-8", "<message><body>\xff</body></message>", "bad-xml"},
		{"entity", "<message><body>&secret;</body></message>", "bad-xml"},
		{"DTD", "<!DOCTYPE x [<!ENTITY e 'x'>]><message/>", "bad-xml"},
		{"comment", "<!-- x --><message/>", "bad-xml"},
		{"comment inside", "<message><!-- x --></message>", "bad-xml"},
		{"PI", "<?x y?><message/>", "bad-xml"},
		{"second XML declaration", "<?xml version='1.0'?><message/>", "bad-xml"},
		{"hard limit, octets", "<message><body>" + huge, "too-big"},
		{"hard limit, one attribute", "<message x='" + huge, "too-big"},
		{"hard limit, one name", "<" + huge, "too-big"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, conn := memory(t, xmpptest.Options{}, func(c *Config) { c.MaxStanzaBytes = 4096 })
				go conn.Send(good + tt.text)
				if conn.WaitEnd() {
					t.Error("closed cleanly: a broken link is reset")
				}
				if got := r.sink.wait(1); got[0].ID != "good" {
					t.Errorf("got %v", got[0])
				}
				conn = r.srv.Accept() // it comes back
				if len(r.log.lines("reason="+tt.reason)) != 1 {
					t.Errorf("log:\n%s", r.log)
				}
				if strings.Contains(r.log.String(), "secret;") {
					t.Error("text of a stanza in the log (SEC-14)")
				}
				send(t, conn, good)
				r.sink.wait(2)
				r.stop()
			})
		})
	}
}

// A stanza that is larger than the limit is skipped while it comes, not kept.
func TestOversizeStreams(t *testing.T) {
	r, conn := memory(t, xmpptest.Options{}, func(c *Config) { c.MaxStanzaBytes = 1 << 10 })
	send(t, conn, `<message from='juliet@example.com/b' to='romeo@sip.example.com' id='big'><body>`)
	for range 7 {
		send(t, conn, strings.Repeat("x", 1000))
	}
	send(t, conn, `</body></message>`)
	if st := conn.Next(); st.ID != "big" || st.Condition != "policy-violation" || st.ErrorType != "modify" {
		t.Errorf("got %s", st.Raw)
	}
	if n, _ := r.sink.count(); n != 0 {
		t.Error("handed over")
	}
}
