package component

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/internal/xmpptest"
	"github.com/stoxgw/stox/mapping"
)

func TestSettleWait(t *testing.T) {
	const ms = time.Millisecond
	type event struct {
		after      time.Duration // since the event before
		trip, late time.Duration
		want       time.Duration // right after it
	}
	for name, events := range map[string][]event{
		"cold":                       {{0, 0, 0, coldSettle}, {time.Hour, 0, 0, coldSettle}},
		"cold, fast":                 {{0, 10 * ms, 0, coldSettle}},
		"cold, slow":                 {{0, 100 * ms, 0, 400 * ms}, {settleHalf, 0, 0, coldSettle}},
		"warm":                       {{0, 0, ms, settleTime}},
		"a late bounce":              {{0, 0, 50 * ms, 100 * ms}, {settleHalf - 1, 0, 0, 100 * ms}, {1, 0, 0, 50 * ms}, {settleHalf, 0, 0, 25 * ms}, {settleHalf, 0, 0, settleTime}, {time.Hour, 0, 0, settleTime}},
		"the longer counts":          {{0, 0, 50 * ms, 100 * ms}, {0, 24 * ms, 0, 100 * ms}, {0, 26 * ms, 0, 104 * ms}, {0, 0, 53 * ms, 106 * ms}},
		"as long again":              {{0, 0, 50 * ms, 100 * ms}, {settleHalf - 1, 0, 50 * ms, 100 * ms}, {settleHalf - 1, 0, 0, 100 * ms}},
		"more than half, later":      {{0, 0, 50 * ms, 100 * ms}, {settleHalf, 0, 0, 50 * ms}, {0, 0, 30 * ms, 60 * ms}, {settleHalf, 0, 0, 30 * ms}},
		"by a clock read earlier":    {{0, 0, 50 * ms, 100 * ms}, {-time.Minute, 0, 0, 100 * ms}},
		"never more than settleMost": {{0, 30 * time.Second, 0, settleMost}, {settleHalf, 0, 0, settleMost / 2}, {0, 0, 3 * time.Second, settleMost}},
	} {
		s := settle{most: settleMost}
		now := time.Now()
		for i, e := range events {
			now = now.Add(e.after)
			if e.trip > 0 {
				s.trip(e.trip, now)
			}
			if e.late > 0 {
				s.late(e.late, now)
			}
			if got := s.wait(now); got != e.want {
				t.Errorf("%s, event %d: waits %v, want %v", name, i, got, e.want)
			}
		}
	}
}

// secondAfter echoes the one barrier that is there and returns how long after that
// the second is written, which it echoes too.
func secondAfter(t *testing.T, h *held, conn *xmpptest.Conn) time.Duration {
	t.Helper()
	conn.Echo(h.takeN(t, 1)[0])
	synctest.Wait()
	begin := time.Now()
	for {
		if pings := h.take(); len(pings) > 0 {
			conn.Echo(pings[0])
			synctest.Wait()
			return time.Since(begin)
		}
		time.Sleep(time.Millisecond)
	}
}

// GW-33: a link waits long until a bounce has come after its barrier; one that came
// before shows nothing, and a new link is as cold as the first.
func TestSettleCold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h held
		r, conn := memory(t, h.options(), mode(BarrierSettled))
		try := func(id string, want time.Duration) {
			t.Helper()
			r.Deliver(parcels(message(id, "x")))
			if got := secondAfter(t, &h, conn); got != want {
				t.Errorf("%s: the second barrier was written after %v, want %v", id, got, want)
			}
			r.expect(t, id, map[string]mapping.OutcomeKind{id: mapping.Processed})
		}
		try("cold", coldSettle)
		bounce := func(id string, late time.Duration) {
			r.Deliver(parcels(message(id, "x")))
			st := conn.Next()
			for st.ID != id {
				st = conn.Next()
			}
			first := h.takeN(t, 1)[0]
			if late > 0 {
				conn.Echo(first)
				time.Sleep(late)
			}
			conn.Bounce(st, "service-unavailable")
			r.expect(t, id, map[string]mapping.OutcomeKind{id: mapping.Bounced})
			if late == 0 {
				conn.Echo(first)
			}
			time.Sleep(time.Second) // nothing waits for what is behind it
			for _, b := range h.take() {
				conn.Echo(b)
			}
			synctest.Wait()
		}
		bounce("early", 0)
		try("still cold", coldSettle)
		bounce("late", time.Millisecond)
		try("warm", settleTime)
		conn.Drop()
		conn = accept(t, r.srv)
		try("a new link", coldSettle)
		r.stop()
	})
}

// A barrier that was long on its way makes the next wait; not that of another domain.
func TestSettleSlowTrip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h held
		r, conn := memory(t, h.options(), mode(BarrierSettled))
		r.Deliver(parcels(message("a", "x")))
		synctest.Wait()
		time.Sleep(150 * time.Millisecond)
		if got := secondAfter(t, &h, conn); got != 600*time.Millisecond {
			t.Errorf("the second barrier was written after %v, want 600ms", got)
		}
		r.Deliver(parcels(to("b", "x@example.net")))
		first := h.takeN(t, 1)[0]
		time.Sleep(150 * time.Millisecond)
		conn.Result(first)
		time.Sleep(settleTime)
		conn.Result(h.takeN(t, 1)[0])
		r.expect(t, "another domain", map[string]mapping.OutcomeKind{"a": mapping.Processed, "b": mapping.Processed})
		r.stop()
	})
}

// A late bounce holds up the second barrier of what is behind it, for twice as long
// as it was late itself, but not of what an older barrier covers.
func TestSettleLateBounce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h held
		r, conn := memory(t, h.options(), mode(BarrierSettled))
		r.Deliver(parcels(message("old", "x")))
		conn.Next()
		conn.Echo(h.takeN(t, 1)[0])
		time.Sleep(100 * time.Millisecond)
		r.Deliver(parcels(message("blocked", "x"), message("b", "x")))
		blocked := conn.Next()
		conn.Echo(h.takeN(t, 1)[0])
		time.Sleep(150 * time.Millisecond)
		conn.Bounce(blocked, "service-unavailable") // so b waits for 450 ms in all
		time.Sleep(50 * time.Millisecond)
		conn.Echo(h.takeN(t, 1)[0])
		r.expect(t, "the old one", map[string]mapping.OutcomeKind{"old": mapping.Processed, "blocked": mapping.Bounced, "b": none})
		time.Sleep(250*time.Millisecond - time.Nanosecond)
		h.takeN(t, 0)
		time.Sleep(time.Nanosecond)
		conn.Echo(h.takeN(t, 1)[0])
		r.expect(t, "450 ms", map[string]mapping.OutcomeKind{"b": mapping.Processed})
		r.stop()
	})
}

// What another domain refuses, however late, says nothing of our server.
func TestSettleElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h held
		r, conn := memory(t, h.options(), mode(BarrierSettled))
		r.Deliver(parcels(to("far", "x@example.net"), message("a", "x")))
		far := conn.Next()
		for _, b := range h.takeN(t, 2) {
			if b.To == testDomain {
				conn.Echo(b)
			}
		}
		time.Sleep(200 * time.Millisecond)
		conn.Bounce(far, "service-unavailable")
		time.Sleep(100 * time.Millisecond)
		conn.Echo(h.takeN(t, 1)[0])
		r.expect(t, "after 300 ms", map[string]mapping.OutcomeKind{"far": mapping.Bounced, "a": mapping.Processed})
		r.stop()
	})
}

// A second barrier that is on its way when a bounce shows that it was written too
// early decides nothing; a third one does.
func TestSettleTooEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h held
		r, conn := memory(t, h.options(), mode(BarrierSettled))
		r.Deliver(parcels(message("blocked", "x"), message("b", "x")))
		blocked := conn.Next()
		conn.Echo(h.takeN(t, 1)[0])
		time.Sleep(coldSettle)
		second := h.takeN(t, 1)[0]
		conn.Bounce(blocked, "service-unavailable")
		synctest.Wait()
		conn.Echo(second)
		r.expect(t, "the second", map[string]mapping.OutcomeKind{"blocked": mapping.Bounced, "b": none})
		time.Sleep(lateFactor*coldSettle - time.Nanosecond)
		h.takeN(t, 0)
		time.Sleep(time.Nanosecond)
		conn.Echo(h.takeN(t, 1)[0])
		r.expect(t, "the third", map[string]mapping.OutcomeKind{"b": mapping.Processed})
		r.stop()
	})
}

// ERR-04: a session that refuses a thousand messages, one after the other, falls far
// behind the barriers. None of them is Processed, and nothing waits for ever:
// what others get is, in time.
func TestSettleBackloggedSession(t *testing.T) {
	for _, each := range []time.Duration{100 * time.Microsecond, time.Millisecond, 3 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			const messages = 1000
			session := make(chan xmpptest.Stanza, 2*messages)
			done := make(chan struct{})
			var conn *xmpptest.Conn
			r, c := memory(t, xmpptest.Options{OnStanza: func(_ *xmpptest.Conn, st xmpptest.Stanza) bool {
				if st.Name != "message" {
					return false
				}
				if st.From == "tybalt@"+testDomain {
					session <- st
				}
				return true
			}}, mode(BarrierSettled))
			conn = c
			go func() {
				defer close(done)
				for st := range session {
					time.Sleep(each)
					conn.Bounce(st, "service-unavailable")
				}
			}()
			for i := range messages {
				bad := message(fmt.Sprint("bad", i), "x")
				bad.From = mapping.MustParseJID("tybalt@" + testDomain)
				r.Deliver(parcels(message(fmt.Sprint("good", i), "x"), bad))
				time.Sleep(time.Millisecond)
			}
			r.sink.waitSettled(2 * messages)
			kinds := map[string]int{}
			for i := range messages {
				kinds["good "+fmt.Sprint(r.sink.outcome(t, fmt.Sprint("good", i)).Kind)]++
				kinds["bad "+fmt.Sprint(r.sink.outcome(t, fmt.Sprint("bad", i)).Kind)]++
			}
			good, bad := "good "+fmt.Sprint(mapping.Processed), "bad "+fmt.Sprint(mapping.Bounced)
			if kinds[good] != messages || kinds[bad] != messages {
				t.Errorf("%v each: %v", each, kinds)
			}
			if n := r.Counts().LateBounces; n != 0 {
				t.Errorf("%v each: %d late bounces", each, n)
			}
			close(session)
			<-done
			r.stop()
		})
	}
}

// However soon nobody waits any more: the second barrier is in time.
func TestSettleShortTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h held
		r, conn := memory(t, h.options(), func(c *Config) {
			c.Barrier, c.BarrierTimeout = BarrierSettled, 100*time.Millisecond
		})
		r.Deliver(parcels(message("a", "x")))
		if got := secondAfter(t, &h, conn); got != 20*time.Millisecond {
			t.Errorf("the second barrier was written after %v, want 20ms", got)
		}
		r.expect(t, "a", map[string]mapping.OutcomeKind{"a": mapping.Processed})
		conn.Drop()
		conn = accept(t, r.srv)
		r.Deliver(parcels(message("b", "x")))
		if got := secondAfter(t, &h, conn); got != 20*time.Millisecond {
			t.Errorf("on the next link: after %v, want 20ms", got)
		}
		r.expect(t, "b", map[string]mapping.OutcomeKind{"b": mapping.Processed})
		r.stop()
	})
}
