package component

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/internal/xmpptest"
	"github.com/stoxgw/stox/mapping"
)

// SEC-22: who may bounce a message.
func TestBounce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type row struct {
			name, to, bouncer string
			id, ours          string // of the bounce; "" as sent
			want              mapping.OutcomeKind
		}
		rows := make(chan row, 1)
		r, _ := memory(t, xmpptest.Options{OnStanza: func(c *xmpptest.Conn, st xmpptest.Stanza) bool {
			if st.Name != "message" {
				return false
			}
			tt := <-rows
			if tt.id != "" {
				st.ID = tt.id
			}
			if tt.ours != "" {
				st.From = tt.ours
			}
			c.BounceFrom(st, tt.bouncer, "item-not-found")
			c.BounceFrom(st, tt.bouncer, "item-not-found") // ejabberd may send it twice
			return true
		}}, nil)
		n := 0
		for _, tt := range []row{
			{"bare JID", "juliet@example.com", "juliet@example.com", "", "", mapping.Bounced},
			{"a full JID of it", "juliet@example.com", "juliet@example.com/b", "", "", mapping.Bounced},
			{"its domain", "juliet@example.com", "example.com", "", "", mapping.Bounced},
			{"full JID, its own", "juliet@example.com/b", "juliet@example.com/b", "", "", mapping.Bounced},
			{"full JID, bare", "juliet@example.com/b", "juliet@example.com", "", "", mapping.Bounced},
			{"normalised", "juliet@example.com", "JULIET@Example.COM", "", "", mapping.Bounced},
			{"domain, itself", "example.com", "example.com", "", "", mapping.Bounced},
			{"another user", "juliet@example.com", "nurse@example.com", "", "", mapping.Processed},
			{"another domain", "juliet@example.com", "example.net", "", "", mapping.Processed},
			{"its domain with a resource", "juliet@example.com", "example.com/x", "", "", mapping.Processed},
			{"another id", "juliet@example.com", "juliet@example.com", "other", "", mapping.Processed},
			{"to another of ours", "juliet@example.com", "juliet@example.com", "", "tybalt@sip.example.com", mapping.Processed},
			{"to our bare form of a full one", "juliet@example.com", "juliet@example.com", "", "romeo@sip.example.com", mapping.Processed},
		} {
			n++
			m := message(fmt.Sprint("id", n), "x")
			m.From, m.To = mapping.MustParseJID("romeo@sip.example.com/orchard"), mapping.MustParseJID(tt.to)
			r.Deliver([]mapping.Parcel[mapping.XMPP]{{Ref: tt.name, Value: m}})
			rows <- tt
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
		m := message("x", "x")
		m.From, m.To = from, jid(to)
		q.add(&pending{ref: i, value: m, bounces: true, end: uint64(i + 1)}, m.ID)
	}
	for _, tt := range []struct {
		from string
		want any
	}{{"b@example.com", 1}, {"c@example.com", 3}, {"b@example.com", 2}, {"b@example.com", nil}, {"a@example.com", 0}, {"a@example.com", nil}} {
		p := q.bounce("x", jid(tt.from), from)
		if p == nil {
			if tt.want != nil {
				t.Errorf("bounce from %s is of nothing, want %v", tt.from, tt.want)
			}
			continue
		}
		if p.ref != tt.want {
			t.Errorf("bounce from %s is of %v, want %v", tt.from, p.ref, tt.want)
		}
		q.finish(p)
	}
	if q.ids != 0 || q.open != 0 {
		t.Errorf("%d ids and %d pending left", q.ids, q.open)
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
			{"foreign", foreign, mapping.Refused, 500},
			{"below", below, mapping.Refused, 500},
			{"nofrom", noFrom, mapping.Refused, 500},
			{"error", &mapping.XMPPError{From: foreign.From, To: foreign.To, ID: "error", Failure: mapping.FailDNS()}, mapping.Refused, 500},
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
		if o := r.sink.outcome(t, "good"); o.Kind != mapping.Processed {
			t.Errorf("good: %v", o)
		}
		if strings.Contains(r.log.String(), "secret text") {
			t.Error("a text is in the log (SEC-14)")
		}
		if len(r.log.lines("level=ERROR")) != 4 {
			t.Errorf("log:\n%s", r.log)
		}
		r.stop()
	})
}

// The buffer is bounded for messages. An error is the answer to a stanza that was
// read: there is always room for it, and it takes a reply slot (GW-35).
func TestQueueFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Without echo: the scripted server could not read while it waits for us to.
		r, conn := memory(t, xmpptest.Options{NoEcho: true}, func(c *Config) { c.QueueBytes, c.ReplySlots = 4000, 10 })
		stall(conn)
		r.Deliver(parcels(message("m", "taken by the read under way")))
		synctest.Wait()
		full, size := 0, len(appendValue(nil, message("id00", strings.Repeat("x", 100)), testDomain, 1<<20))
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
		// One barrier is in the buffer too: the other of the two has been taken.
		barrier := len(appendPing(nil, testDomain, testDomain, rand.Text()+"-b18"))
		if want := 40 - (4000-barrier)/size; full != want {
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
		time.Sleep(6 * time.Second) // no barrier comes home
		r.expect(t, "while the link lives", map[string]mapping.OutcomeKind{"m": mapping.Unknown, "e": none, "e19": none})
		r.sink.wait(3)
		time.Sleep(time.Minute) // it is given up
		r.expect(t, "without it", map[string]mapping.OutcomeKind{"e": mapping.Uncertain, "e19": mapping.Uncertain})
		r.stop()
	})
}

func TestPendingBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := memory(t, xmpptest.Options{}, func(c *Config) { c.MaxPending = 10 })
		var batch []mapping.XMPP
		for i := range 15 {
			batch = append(batch, message(fmt.Sprint(i), "x"))
		}
		r.Deliver(parcels(batch...))
		time.Sleep(time.Second)
		for i := 10; i < 15; i++ {
			if o := r.sink.outcome(t, fmt.Sprint(i)); o.Kind != mapping.NotWritten {
				t.Errorf("number %d is %v", i, o)
			}
		}
		if o := r.sink.outcome(t, "9"); o.Kind != mapping.Processed {
			t.Errorf("tenth is %v", o)
		}
		r.Deliver(parcels(message("again", "x")))
		time.Sleep(time.Second)
		if o := r.sink.outcome(t, "again"); o.Kind != mapping.Processed {
			t.Errorf("after that: %v", o)
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
