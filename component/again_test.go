package component

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/internal/xmpptest"
	"github.com/stoxgw/stox/mapping"
)

// GW-07, EL-017: what was written when the link broke is written once more, with
// the same id and in its order, if the link returns within the deadline; the
// outcome of the second copy counts. It is counted and logged as uncertain, without text.
func TestSecondCopy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h held
		r, conn := memory(t, h.options(), mode(BarrierSingle))
		r.Deliver(parcels(message("done", "x")))
		conn.Echo(h.takeN(t, 1)[0])
		secret := message("ok", "secret text")
		r.Deliver(parcels(secret, to("far", "x@example.net"), message("bad", "x"), message("lost", "x")))
		first := conn.NextN(5)[1:]
		h.take()
		conn.Drop()
		r.expect(t, "lost", map[string]mapping.OutcomeKind{"done": mapping.Processed, "ok": none, "far": none, "bad": none})
		r.Deliver(parcels(message("down", "x")))
		r.expect(t, "down", map[string]mapping.OutcomeKind{"down": mapping.NotWritten})
		conn = accept2(t, r.srv)
		for i, st := range conn.NextN(4) {
			if st.Raw != first[i].Raw {
				t.Errorf("second copy %s, want %s", st.Raw, first[i].Raw)
			}
		}
		conn.Bounce(first[2], "item-not-found")
		for _, p := range h.takeN(t, 2) {
			if p.To == testDomain {
				conn.Echo(p)
			} else {
				conn.Result(p)
			}
		}
		r.expect(t, "second", map[string]mapping.OutcomeKind{"ok": mapping.Processed, "far": mapping.Processed, "bad": mapping.Bounced, "lost": mapping.Processed})
		r.doubtful(t, "ok", "far", "bad", "lost")
		if c := r.Counts(); c.Uncertain != 4 || c.Rewritten != 4 {
			t.Errorf("counts %+v", c)
		}
		if l := r.log.lines("level=WARN msg=\"uncertain"); len(l) != 1 || !strings.Contains(l[0], "count=4") || !strings.Contains(l[0], "[ok far bad lost]") {
			t.Errorf("log:\n%s", r.log)
		}
		if strings.Contains(r.log.String(), "secret text") {
			t.Error("a text is in the log (SEC-14)")
		}
		r.stop()
	})
}

// doubtful checks that these and no other outcomes say that there were two copies.
func (r *rig) doubtful(t *testing.T, want ...string) {
	t.Helper()
	r.sink.mu.Lock()
	defer r.sink.mu.Unlock()
	var got []string
	for ref, outcomes := range r.sink.outcomes {
		for _, o := range outcomes {
			if o.Doubtful {
				got = append(got, ref.(string))
			}
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("doubtful are %v, want %v", got, want)
	}
}

// accept2 is accept for a link that begins with second copies.
func accept2(t *testing.T, srv *xmpptest.Server) *xmpptest.Conn {
	t.Helper()
	conn := srv.Accept()
	if !conn.Echoed(xmpptest.LinkCheck) {
		t.Fatal("the link did not come up")
	}
	return conn
}

// EL-017: a link that does not return in time leaves Uncertain, at the deadline;
// so does a second loss, at once, since it is written once more and not twice.
func TestUncertain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h held
		r, conn := memory(t, h.options(), mode(BarrierSingle))
		r.Deliver(parcels(message("a", "x")))
		begin := time.Now()
		h.takeN(t, 1)
		time.Sleep(time.Second)
		r.srv.Refuse(fmt.Errorf("down"))
		conn.Drop()
		time.Sleep(4*time.Second - time.Nanosecond)
		r.expect(t, "before", map[string]mapping.OutcomeKind{"a": none})
		time.Sleep(time.Nanosecond)
		r.expect(t, "at the deadline", map[string]mapping.OutcomeKind{"a": mapping.Uncertain})
		if d := time.Since(begin); d != 5*time.Second {
			t.Fatalf("after %v", d)
		}
		r.srv.Refuse(nil)
		conn = accept(t, r.srv) // nothing is written again
		time.Sleep(goodLife)    // the next attempt comes soon
		h.take()                // the idle check
		r.Deliver(parcels(message("b", "x")))
		h.takeN(t, 1)
		time.Sleep(time.Second)
		conn.Drop()
		conn = accept2(t, r.srv)
		if st := conn.Next(); st.ID != "b" {
			t.Errorf("got %s", st.Raw)
		}
		conn.Drop()
		r.expect(t, "lost twice", map[string]mapping.OutcomeKind{"b": mapping.Uncertain})
		accept(t, r.srv)
		r.doubtful(t)
		if c := r.Counts(); c.Uncertain != 2 || c.Rewritten != 1 {
			t.Errorf("counts %+v", c)
		}
		r.stop()
	})
}

// The second copy has the whole time for its barrier, then it is Unknown.
func TestSecondCopyUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h held
		r, conn := memory(t, h.options(), mode(BarrierSingle))
		r.Deliver(parcels(message("a", "x")))
		h.takeN(t, 1)
		time.Sleep(3 * time.Second)
		conn.Drop()
		accept2(t, r.srv)
		synctest.Wait()
		begin := time.Now()
		time.Sleep(5*time.Second - time.Nanosecond)
		r.expect(t, "before", map[string]mapping.OutcomeKind{"a": none})
		time.Sleep(time.Nanosecond)
		r.expect(t, fmt.Sprint(time.Since(begin)), map[string]mapping.OutcomeKind{"a": mapping.Unknown})
		r.doubtful(t, "a")
		r.stop()
	})
}

// A stop while the link is down does not wait: Uncertain.
func TestStopWithoutLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h held
		r, conn := memory(t, h.options(), nil)
		r.Deliver(parcels(message("a", "x")))
		h.take()
		conn.Drop()
		synctest.Wait()
		r.stop()
		r.expect(t, "stopped", map[string]mapping.OutcomeKind{"a": mapping.Uncertain})
	})
}

// A server that closes its stream may not have read what was written.
func TestServerCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h held
		r, conn := memory(t, h.options(), mode(BarrierSingle))
		r.Deliver(parcels(message("m1", "x")))
		h.takeN(t, 1)
		conn.EndStream()
		if !conn.WaitEnd() {
			t.Error("our end of the stream did not follow")
		}
		synctest.Wait()
		if st := r.Status(); st.Reason != "closed" {
			t.Errorf("status %+v", st)
		}
		conn = accept2(t, r.srv)
		if st := conn.Next(); st.ID != "m1" {
			t.Errorf("got %s", st.Raw)
		}
		conn.Echo(h.takeN(t, 1)[0])
		r.expect(t, "second copy", map[string]mapping.OutcomeKind{"m1": mapping.Processed})
		r.stop()
	})
}

// A link that breaks between two octets: what the server can have understood is
// written once more, the rest NotWritten at once (GW-07, EL-008).
func TestDropMidBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, conn := memory(t, xmpptest.Options{}, nil)
		stall(conn)
		one := len(appendValue(nil, message("id0000", "x"), testDomain, 1<<20))
		var batch []mapping.XMPP
		for i := range 3000 {
			batch = append(batch, message(fmt.Sprintf("id%04d", i), "x"))
		}
		r.Deliver(parcels(batch...)) // the read under way takes a buffer full of it
		synctest.Wait()
		conn.Drop()
		// A pipe hands over exactly what is read: one 64 KiB piece.
		whole := (64 << 10) / one
		r.sink.waitSettled(3000 - whole)
		synctest.Wait()
		for i := range 3000 {
			want := none
			if i >= whole {
				want = mapping.NotWritten
			}
			r.expect(t, "dropped", map[string]mapping.OutcomeKind{fmt.Sprintf("id%04d", i): want})
		}
		conn = accept2(t, r.srv)
		for i, st := range conn.NextN(whole) {
			if st.ID != fmt.Sprintf("id%04d", i) {
				t.Fatalf("second copy %d is %s", i, st.Raw)
			}
		}
		r.Deliver(parcels(message("up", "x")))
		if st := conn.Next(); st.ID != "up" {
			t.Errorf("after them comes %s", st.Raw)
		}
		r.sink.waitSettled(3001)
		for i := range whole {
			r.expect(t, "second copy", map[string]mapping.OutcomeKind{fmt.Sprintf("id%04d", i): mapping.Processed})
		}
		r.stop()
	})
}

// One octet decides: without its last one a stanza cannot have been understood.
// How the link ended decides the rest; a second copy is never NotWritten.
func TestLoseAtTheOctet(t *testing.T) {
	const again = mapping.OutcomeKind(0)
	for _, tt := range []struct {
		written uint64
		how     ending
		second  bool
		want    [2]mapping.OutcomeKind
	}{
		{0, endLost, false, [2]mapping.OutcomeKind{mapping.NotWritten, mapping.NotWritten}},
		{99, endLost, false, [2]mapping.OutcomeKind{mapping.NotWritten, mapping.NotWritten}},
		{100, endLost, false, [2]mapping.OutcomeKind{again, mapping.NotWritten}},
		{199, endClean, false, [2]mapping.OutcomeKind{mapping.Unknown, mapping.NotWritten}},
		{199, endSplit, false, [2]mapping.OutcomeKind{mapping.Unknown, mapping.NotWritten}},
		{200, endLost, false, [2]mapping.OutcomeKind{again, again}},
		{100, endLost, true, [2]mapping.OutcomeKind{mapping.Uncertain, mapping.Uncertain}},
		{100, endClean, true, [2]mapping.OutcomeKind{mapping.Unknown, mapping.Uncertain}},
	} {
		c, err := New(Config{Server: "x:1", Domain: testDomain, Secret: "s"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		q, now := c.q, time.Now()
		for i, id := range []string{"a", "b"} {
			q.enqueue(&q.own, &pending{ref: i, value: message(id, "x"), bounces: i == 0, end: uint64(100 * (i + 1)), due: now.Add(q.timeout), again: tt.second}, id, now)
		}
		q.written = tt.written
		q.lose(tt.how, now)
		var got [2]mapping.OutcomeKind
		for _, r := range q.results {
			got[r.Ref.(int)] = r.Outcome.Kind
		}
		if got != tt.want {
			t.Errorf("%d octets written, end %d, second %v: %v, want %v", tt.written, tt.how, tt.second, got, tt.want)
		}
	}
}
