package component

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/internal/xmpptest"
	"github.com/stoxgw/stox/mapping"
)

// A written message is Unknown 200 ms after it was written, not earlier, not
// later than a mark's span.
func TestUnknownAfterBounceWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, conn := memory(t, xmpptest.Options{}, nil)
		r.Deliver(parcels(message("m1", "x")))
		conn.Next()
		time.Sleep(100 * time.Millisecond)
		r.Deliver(parcels(message("m2", "x")))
		time.Sleep(100*time.Millisecond - time.Nanosecond)
		if _, n := r.sink.count(); n != 0 {
			t.Fatal("settled too early")
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if o := r.sink.outcome(t, "m1"); o.Kind != mapping.Unknown || o.Failure != nil {
			t.Errorf("m1 is %v, want Unknown", o)
		}
		if _, n := r.sink.count(); n != 1 {
			t.Fatal("m2 settled too early")
		}
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		if o := r.sink.outcome(t, "m2"); o.Kind != mapping.Unknown {
			t.Errorf("m2 is %v, want Unknown", o)
		}
		r.stop()
	})
}

// SEC-22: who may bounce a message.
func TestBounce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, conn := memory(t, xmpptest.Options{}, nil)
		n := 0
		for _, tt := range []struct {
			name, to, bouncer string
			id, ours          string // of the bounce; "" as sent
			want              mapping.OutcomeKind
		}{
			{"bare JID", "juliet@example.com", "juliet@example.com", "", "", mapping.Bounced},
			{"a full JID of it", "juliet@example.com", "juliet@example.com/b", "", "", mapping.Bounced},
			{"its domain", "juliet@example.com", "example.com", "", "", mapping.Bounced},
			{"full JID, its own", "juliet@example.com/b", "juliet@example.com/b", "", "", mapping.Bounced},
			{"full JID, bare", "juliet@example.com/b", "juliet@example.com", "", "", mapping.Bounced},
			{"normalised", "juliet@example.com", "JULIET@Example.COM", "", "", mapping.Bounced},
			{"domain, itself", "example.com", "example.com", "", "", mapping.Bounced},
			{"another user", "juliet@example.com", "nurse@example.com", "", "", mapping.Unknown},
			{"another domain", "juliet@example.com", "example.net", "", "", mapping.Unknown},
			{"its domain with a resource", "juliet@example.com", "example.com/x", "", "", mapping.Unknown},
			{"another id", "juliet@example.com", "juliet@example.com", "other", "", mapping.Unknown},
			{"to another of ours", "juliet@example.com", "juliet@example.com", "", "tybalt@sip.example.com", mapping.Unknown},
			{"to our bare form of a full one", "juliet@example.com", "juliet@example.com", "", "romeo@sip.example.com", mapping.Unknown},
		} {
			n++
			m := message(fmt.Sprint("id", n), "x")
			m.From, m.To = mapping.MustParseJID("romeo@sip.example.com/orchard"), mapping.MustParseJID(tt.to)
			r.Deliver([]mapping.Parcel[mapping.XMPP]{{Ref: tt.name, Value: m}})
			st := conn.Next()
			if tt.id != "" {
				st.ID = tt.id
			}
			if tt.ours != "" {
				st.From = tt.ours
			}
			conn.BounceFrom(st, tt.bouncer, "item-not-found")
			conn.BounceFrom(st, tt.bouncer, "item-not-found") // ejabberd may send it twice
			time.Sleep(time.Second)
			o := r.sink.outcome(t, tt.name)
			if o.Kind != tt.want {
				t.Errorf("%s: %v, want %v", tt.name, o.Kind, tt.want)
			}
			if o.Kind == mapping.Bounced && (o.Failure == nil || o.Failure.Condition != mapping.CondItemNotFound || o.Failure.Status != 404) {
				t.Errorf("%s: %v", tt.name, o.Failure)
			}
		}
		r.stop()
	})
}

// Two messages with one id: the bounce belongs to the one that was sent there,
// and of two equal ones to the older.
func TestBounceSameID(t *testing.T) {
	q := newPendingTable()
	jid := mapping.MustParseJID
	from := jid("romeo@sip.example.com")
	for i, to := range []string{"a@example.com", "b@example.com", "b@example.com", "c@example.com"} {
		q.add(i, addressed{id: "x", from: from, to: jid(to), bounces: true}, uint64(10*(i+1)))
	}
	for _, tt := range []struct {
		from string
		want any
	}{{"b@example.com", 1}, {"c@example.com", 3}, {"b@example.com", 2}, {"b@example.com", nil}, {"a@example.com", 0}, {"a@example.com", nil}} {
		if got, ok := q.bounce("x", jid(tt.from), from); got != tt.want || ok != (tt.want != nil) {
			t.Errorf("bounce from %s is of %v, want %v", tt.from, got, tt.want)
		}
	}
	if len(q.byID) != 0 {
		t.Errorf("%d ids left", len(q.byID))
	}
	if out := q.lose(nil, 40, false); len(out) != 0 {
		t.Errorf("settled twice: %v", out)
	}
}

// The marks decide up to their position, and are few.
func TestMarks(t *testing.T) {
	q := newPendingTable()
	t0 := time.Unix(1000, 0)
	a := addressed{from: mapping.MustParseJID("romeo@sip.example.com"), to: mapping.MustParseJID("a@example.com"), bounces: true}
	const n = 10000
	for i := range n { // one write per message, one each 10 µs: 100 ms in all
		a.id = fmt.Sprint(i)
		q.add(i, a, uint64(i+1))
		q.mark(uint64(i+1), t0.Add(time.Duration(i)*10*time.Microsecond))
	}
	if len(q.marks) > 21 {
		t.Errorf("%d marks", len(q.marks))
	}
	const wait = 200 * time.Millisecond
	var settled int
	for now := t0; settled < n; {
		out, next := q.expire(nil, now, wait)
		for _, r := range out {
			i := r.Ref.(int)
			if i != settled {
				t.Fatalf("settled %d, want %d", i, settled)
			}
			age := now.Sub(t0.Add(time.Duration(i) * 10 * time.Microsecond))
			if age < wait || age > wait+markSpan {
				t.Fatalf("%d settled after %v", i, age)
			}
			settled++
		}
		if next.IsZero() {
			break
		}
		now = next
	}
	if settled != n || len(q.byID) != 0 || q.len() != 0 {
		t.Errorf("%d settled, %d ids and %d entries left", settled, len(q.byID), q.len())
	}
}

// What is refused, and how (SEC-16, SEC-10); nothing of it reaches the stream.
func TestDeliverRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, conn := memory(t, xmpptest.Options{}, func(c *Config) { c.MaxStanzaBytes = 1000 })
		foreign := message("foreign", "secret text")
		foreign.From = mapping.MustParseJID("romeo@example.com")
		below := message("below", "x")
		below.From = mapping.MustParseJID("romeo@evil.sip.example.com")
		noFrom := message("nofrom", "x")
		noFrom.From = mapping.JID{}
		noTo := message("noto", "x")
		noTo.To = mapping.JID{}
		typ := message("type", "x")
		typ.Type = "error"
		group := message("group", "x")
		group.Type = "groupchat"
		big := message("big", strings.Repeat("x", 1000))
		cases := []struct {
			ref    string
			v      mapping.XMPP
			kind   mapping.OutcomeKind
			status int
		}{
			{"foreign", foreign, mapping.NotWritten, 500},
			{"below", below, mapping.NotWritten, 500},
			{"nofrom", noFrom, mapping.NotWritten, 500},
			{"noto", noTo, mapping.Refused, 500},
			{"type", typ, mapping.Refused, 500},
			{"group", group, mapping.Refused, 500},
			{"big", big, mapping.Refused, 413},
			{"nil", nil, mapping.Refused, 500},
			{"nil message", (*mapping.XMPPMessage)(nil), mapping.Refused, 500},
			{"nil failure", &mapping.XMPPError{From: message("", "").From, To: message("", "").To}, mapping.Refused, 500},
		}
		var batch []mapping.Parcel[mapping.XMPP]
		for _, c := range cases {
			batch = append(batch, mapping.Parcel[mapping.XMPP]{Ref: c.ref, Value: c.v})
		}
		batch = append(batch, mapping.Parcel[mapping.XMPP]{Ref: "good", Value: message("good", "x")})
		r.Deliver(batch)
		if st := conn.Next(); st.ID != "good" {
			t.Errorf("wrote %s", st.Raw)
		}
		time.Sleep(time.Second)
		for _, c := range cases {
			o := r.sink.outcome(t, c.ref)
			if o.Kind != c.kind || o.Failure == nil || o.Failure.Status != c.status {
				t.Errorf("%s: %v", c.ref, o)
			}
		}
		if o := r.sink.outcome(t, "good"); o.Kind != mapping.Unknown {
			t.Errorf("good: %v", o)
		}
		if strings.Contains(r.log.String(), "secret text") {
			t.Error("a text is in the log (SEC-14)")
		}
		if len(r.log.lines("level=ERROR")) != 3 {
			t.Errorf("log:\n%s", r.log)
		}
		r.stop()
	})
}

// The buffer is bounded for messages. An error is the answer to a stanza that was
// read: there is always room for it, and it takes a reply slot (GW-35).
func TestQueueFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, conn := memory(t, xmpptest.Options{}, func(c *Config) { c.QueueBytes, c.ReplySlots = 4000, 10 })
		conn.Stall()
		r.Deliver(parcels(message("m", "taken by the read under way")))
		synctest.Wait()
		full, size := 0, len(appendValue(nil, message("id00", strings.Repeat("x", 100)), testDomain))
		for i := range 40 {
			r.Deliver(parcels(message(fmt.Sprintf("id%02d", i), strings.Repeat("x", 100))))
		}
		synctest.Wait()
		r.sink.mu.Lock()
		for i := range 40 {
			if o := r.sink.outcomes[fmt.Sprintf("id%02d", i)]; len(o) == 1 && o[0].Kind == mapping.NotWritten && o[0].Failure.Condition == mapping.CondResourceConstraint {
				full++
			}
		}
		r.sink.mu.Unlock()
		if want := 40 - 4000/size; full != want {
			t.Errorf("%d were refused, want %d", full, want)
		}
		e := &mapping.XMPPError{From: message("", "").From, To: message("", "").To, ID: "e", Failure: mapping.FailDNS()}
		r.Deliver([]mapping.Parcel[mapping.XMPP]{{Ref: "e", Value: e}})
		for i := range 20 {
			r.Deliver([]mapping.Parcel[mapping.XMPP]{{Ref: fmt.Sprint("e", i), Value: e}})
		}
		// All slots are taken: but for the stanza that the reader was waiting for,
		// none is read before one is free.
		go conn.Send(strings.Repeat(`<message from='juliet@example.com/b' to='romeo@sip.example.com'><body>hi</body></message>`, 3))
		synctest.Wait()
		if n, _ := r.sink.count(); n != 1 {
			t.Errorf("%d messages were read without a slot, want 1", n)
		}
		conn.Resume()
		for {
			if st := conn.Next(); st.Type == "error" {
				if st.ID != "e" || st.Condition != "remote-server-not-found" {
					t.Errorf("got %s", st.Raw)
				}
				break
			}
		}
		time.Sleep(time.Second)
		if o := r.sink.outcome(t, "e"); o.Kind != mapping.Unknown {
			t.Errorf("error stanza is %v", o)
		}
		if o := r.sink.outcome(t, "e19"); o.Kind != mapping.Unknown {
			t.Errorf("last error stanza is %v: its sender would never be told", o)
		}
		r.sink.wait(3)
		r.stop()
	})
}

func TestPendingBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := memory(t, xmpptest.Options{}, func(c *Config) { c.MaxPending = 10 })
		for i := range 15 {
			r.Deliver(parcels(message(fmt.Sprint(i), "x")))
		}
		synctest.Wait()
		if _, n := r.sink.count(); n != 5 {
			t.Errorf("%d settled at once, want 5", n)
		}
		time.Sleep(time.Second)
		if o := r.sink.outcome(t, "9"); o.Kind != mapping.Unknown {
			t.Errorf("tenth is %v", o)
		}
		r.Deliver(parcels(message("again", "x")))
		time.Sleep(time.Second)
		if o := r.sink.outcome(t, "again"); o.Kind != mapping.Unknown {
			t.Errorf("after that: %v", o)
		}
		r.stop()
	})
}

// A link that breaks between two octets: what the server can have understood is
// Uncertain, the rest NotWritten, each once (GW-07). The next link works.
func TestDropMidBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, conn := memory(t, xmpptest.Options{}, nil)
		conn.Stall()
		one := len(appendValue(nil, message("id0000", "x"), testDomain))
		var batch []mapping.XMPP
		for i := range 3000 {
			batch = append(batch, message(fmt.Sprintf("id%04d", i), "x"))
		}
		r.Deliver(parcels(batch...)) // the read under way takes a buffer full of it
		synctest.Wait()
		conn.Drop()
		r.sink.waitSettled(3000)
		// A pipe hands over exactly what is read: one 64 KiB piece.
		whole := (64 << 10) / one
		for i := range 3000 {
			want := mapping.Uncertain
			if i >= whole {
				want = mapping.NotWritten
			}
			if o := r.sink.outcome(t, fmt.Sprintf("id%04d", i)); o.Kind != want {
				t.Fatalf("message %d of %d whole ones is %v, want %v", i, whole, o.Kind, want)
			}
		}
		r.Deliver(parcels(message("down", "x")))
		synctest.Wait()
		if o := r.sink.outcome(t, "down"); o.Kind != mapping.NotWritten {
			t.Errorf("without a link: %v", o)
		}
		conn = accept(t, r.srv)
		r.Deliver(parcels(message("up", "x")))
		if st := conn.Next(); st.ID != "up" {
			t.Errorf("the new link begins with %s", st.Raw)
		}
		time.Sleep(time.Second)
		if o := r.sink.outcome(t, "up"); o.Kind != mapping.Unknown {
			t.Errorf("on the new link: %v", o)
		}
		r.stop()
	})
}

// One octet decides: without its last one a stanza cannot have been understood.
func TestLoseAtTheOctet(t *testing.T) {
	for _, tt := range []struct {
		written uint64
		clean   bool
		want    [2]mapping.OutcomeKind
	}{
		{0, false, [2]mapping.OutcomeKind{mapping.NotWritten, mapping.NotWritten}},
		{99, false, [2]mapping.OutcomeKind{mapping.NotWritten, mapping.NotWritten}},
		{100, false, [2]mapping.OutcomeKind{mapping.Uncertain, mapping.NotWritten}},
		{199, true, [2]mapping.OutcomeKind{mapping.Unknown, mapping.NotWritten}},
		{200, false, [2]mapping.OutcomeKind{mapping.Uncertain, mapping.Uncertain}},
	} {
		q := newPendingTable()
		q.add(0, addressed{id: "a", bounces: true}, 100)
		q.add(1, addressed{id: "b"}, 200)
		out := q.lose(nil, tt.written, tt.clean)
		if len(out) != 2 || out[0].Outcome.Kind != tt.want[0] || out[1].Outcome.Kind != tt.want[1] {
			t.Errorf("%d octets written: %v, want %v", tt.written, out, tt.want)
		}
	}
}

// A server that closes its stream may not have read what was written.
func TestServerCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, conn := memory(t, xmpptest.Options{}, nil)
		r.Deliver(parcels(message("m1", "x")))
		conn.Next()
		conn.EndStream()
		if !conn.WaitEnd() {
			t.Error("our end of the stream did not follow")
		}
		synctest.Wait()
		if o := r.sink.outcome(t, "m1"); o.Kind != mapping.Uncertain {
			t.Errorf("m1 is %v, want Uncertain", o)
		}
		if st := r.Status(); st.Reason != "closed" {
			t.Errorf("status %+v", st)
		}
		r.stop()
	})
}

// What is delivered before Run is answered when it runs.
func TestDeliverBeforeRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := xmpptest.NewMemory(t, xmpptest.Options{Domain: testDomain, Secret: testSecret})
		c, err := New(testConfig(srv), nil)
		if err != nil {
			t.Fatal(err)
		}
		c.Deliver(nil)
		c.Deliver(parcels(message("m", "x")))
		h := newSink()
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { c.Run(ctx, h); close(done) }()
		h.waitSettled(1)
		if o := h.outcome(t, "m"); o.Kind != mapping.NotWritten {
			t.Errorf("got %v", o)
		}
		cancel()
		<-done
	})
}
