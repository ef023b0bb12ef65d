package component

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// GW-33, EL-020 to EL-023: what the answer to the ping of another domain means.
func TestDomainAnswers(t *testing.T) {
	for _, tt := range []struct {
		answer string // condition of the error, "" for a result
		kind   mapping.OutcomeKind
		status int
	}{
		{"", mapping.Processed, 0},
		{"service-unavailable", mapping.Processed, 0},
		{"feature-not-implemented", mapping.Processed, 0},
		{"remote-server-not-found", mapping.Bounced, 404},
		{"remote-server-timeout", mapping.Bounced, 504},
		{"internal-server-error", mapping.Bounced, 500},
		{"forbidden", mapping.Unknown, 0}, // says nothing about messages
	} {
		t.Run(tt.answer, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var h held
				r, conn := memory(t, h.options(), mode(BarrierSingle))
				r.Deliver(parcels(to("a", "benvolio@example.net"), to("b", "example.net"), message("home", "x")))
				got := h.takeN(t, 2)
				ping, own := got[0], got[1]
				if ping.To != "example.net" || ping.From != testDomain || own.To != testDomain {
					t.Fatalf("pings %v", got)
				}
				conn.Echo(own)
				r.expect(t, "own domain", map[string]mapping.OutcomeKind{"a": none, "b": none, "home": mapping.Processed})
				// Only the domain itself may answer.
				forged := ping
				forged.To = "evil.example"
				conn.Result(forged)
				forged.To = "benvolio@example.net"
				conn.Result(forged)
				r.expect(t, "forged", map[string]mapping.OutcomeKind{"a": none})
				if tt.answer == "" {
					conn.Result(ping)
				} else {
					conn.Bounce(ping, tt.answer)
				}
				r.expect(t, tt.answer, map[string]mapping.OutcomeKind{"a": tt.kind, "b": tt.kind})
				if tt.status != 0 {
					if o := r.sink.outcome(t, "a"); o.Failure == nil || o.Failure.Status != tt.status || string(o.Failure.Condition) != tt.answer {
						t.Errorf("outcome %v", o)
					}
				}
				r.stop()
			})
		})
	}
}

// Errors that we send need the barrier of our own domain only.
func TestDomainOfErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h held
		r, _ := memory(t, h.options(), mode(BarrierSingle))
		e := &mapping.XMPPError{From: message("", "").From, To: mapping.MustParseJID("benvolio@example.net/x"), ID: "e", Failure: mapping.FailDNS()}
		r.Deliver([]mapping.Parcel[mapping.XMPP]{{Ref: "e", Value: e}})
		if p := h.takeN(t, 1)[0]; p.To != testDomain {
			t.Errorf("ping %s", p.Raw)
		}
		r.stop()
	})
}

// Cumulative, at most two open, each domain by itself; a bounce before the
// answer counts; an answer out of order confirms nothing and harms nobody else.
func TestDomainBarriers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h held
		r, conn := memory(t, h.options(), mode(BarrierSingle))
		r.Deliver(parcels(to("a", "x@example.net"), to("bounced", "y@example.net")))
		p1 := h.takeN(t, 1)[0]
		r.Deliver(parcels(to("b", "x@example.net")))
		p2 := h.takeN(t, 1)[0]
		r.Deliver(parcels(to("c", "x@example.net")))
		h.takeN(t, 0)
		r.Deliver(parcels(to("o", "x@example.org")))
		other := h.takeN(t, 1)[0]
		conn.Next()
		conn.Bounce(conn.Next(), "item-not-found")
		conn.Result(p1)
		r.expect(t, "first", map[string]mapping.OutcomeKind{"a": mapping.Processed, "bounced": mapping.Bounced, "b": none, "o": none})
		p3 := h.takeN(t, 1)[0]
		conn.Result(p3)
		r.expect(t, "out of order", map[string]mapping.OutcomeKind{"b": mapping.Unknown, "c": mapping.Unknown, "o": none})
		conn.Result(p2)
		conn.Result(other)
		r.expect(t, "the other", map[string]mapping.OutcomeKind{"o": mapping.Processed})
		r.Deliver(parcels(to("d", "x@example.net")))
		conn.Result(h.takeN(t, 1)[0])
		r.expect(t, "afterwards", map[string]mapping.OutcomeKind{"d": mapping.Processed})
		if st := r.Status(); st.State != StateUp {
			t.Errorf("status %+v", st)
		}
		r.stop()
	})
}

// Settled: a failure at the second ping cannot undo what the first has shown.
func TestDomainFailsBetween(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h held
		r, conn := memory(t, h.options(), mode(BarrierSettled))
		r.Deliver(parcels(to("a", "x@example.net")))
		conn.Result(h.takeN(t, 1)[0])
		r.Deliver(parcels(to("b", "x@example.net")))
		conn.Bounce(h.takeN(t, 1)[0], "remote-server-timeout")
		r.expect(t, "failed", map[string]mapping.OutcomeKind{"a": mapping.Unknown, "b": mapping.Bounced})
		r.stop()
	})
}

// EL-019: three in a row missed, Unknown at once for 60 s while it is probed.
func TestDomainSuspended(t *testing.T) {
	for _, heals := range []bool{false, true} {
		t.Run(fmt.Sprint("heals ", heals), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var h held
				r, conn := memory(t, h.options(), mode(BarrierSingle))
				for i := range 3 { // each misses its own
					id := fmt.Sprint("m", i)
					r.Deliver(parcels(to(id, "x@example.net")))
					h.takeN(t, 1)
					time.Sleep(5*time.Second - time.Nanosecond)
					r.expect(t, "waiting", map[string]mapping.OutcomeKind{id: none})
					time.Sleep(time.Nanosecond)
					r.expect(t, "missed", map[string]mapping.OutcomeKind{id: mapping.Unknown})
				}
				begin := time.Now()
				if len(r.log.lines("to=example.net")) != 1 {
					t.Errorf("log:\n%s", r.log)
				}
				probe := h.takeN(t, 1)[0]
				if probe.To != "example.net" {
					t.Errorf("probe %s", probe.Raw)
				}
				r.Deliver(parcels(to("fast", "x@example.net"), to("elsewhere", "x@example.org")))
				conn.NextN(4)
				if st := conn.Next(); st.ID != "elsewhere" {
					t.Errorf("wrote %s: a message is written all the same", st.Raw)
				}
				r.expect(t, "at once", map[string]mapping.OutcomeKind{"fast": mapping.Unknown, "elsewhere": none})
				conn.Result(h.takeN(t, 1)[0])
				if heals {
					conn.Result(probe)
					synctest.Wait() // until that is read the domain is suspended
					r.Deliver(parcels(to("well", "x@example.net")))
					conn.Result(h.takeN(t, 1)[0])
					r.expect(t, "healed", map[string]mapping.OutcomeKind{"well": mapping.Processed})
					r.stop()
					return
				}
				probes := 0
				for time.Since(begin) < suspension-time.Second {
					time.Sleep(time.Second)
					for _, p := range h.take() {
						if p.To != "example.net" {
							t.Errorf("ping %s", p.Raw)
						}
						probes++
					}
				}
				if probes < 4 || probes > 6 {
					t.Errorf("%d probes in a minute", probes)
				}
				r.Deliver(parcels(to("still", "x@example.net")))
				r.expect(t, "for a minute", map[string]mapping.OutcomeKind{"still": mapping.Unknown})
				time.Sleep(time.Second)
				h.take()
				r.Deliver(parcels(to("again", "x@example.net")))
				r.expect(t, "after it", map[string]mapping.OutcomeKind{"again": none})
				var last int
				for _, p := range h.take() {
					conn.Result(p)
					last++
				}
				if last != 1 {
					t.Errorf("%d pings", last)
				}
				r.expect(t, "well again", map[string]mapping.OutcomeKind{"again": mapping.Processed})
				r.stop()
			})
		})
	}
}

// Two in a row and then one in time: nothing is suspended.
func TestDomainMissesInARow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h held
		r, conn := memory(t, h.options(), mode(BarrierSingle))
		for i := range 8 {
			id := fmt.Sprint("m", i)
			r.Deliver(parcels(to(id, "x@example.net")))
			p := h.takeN(t, 1)[0]
			want := mapping.Unknown
			if i%3 == 2 {
				conn.Result(p)
				want = mapping.Processed
			} else {
				r.expect(t, "not at once", map[string]mapping.OutcomeKind{id: none})
				time.Sleep(5 * time.Second)
			}
			r.expect(t, id, map[string]mapping.OutcomeKind{id: want})
		}
		r.stop()
	})
}

// The number of domains is bounded; those with nothing to do are forgotten.
func TestDomainsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h held
		r, conn := memory(t, h.options(), mode(BarrierSingle))
		var batch []mapping.XMPP
		for i := range maxDomains + 3 {
			batch = append(batch, to(fmt.Sprint("m", i), fmt.Sprintf("x@d%d.example", i)))
		}
		r.Deliver(parcels(batch...))
		pings := h.takeN(t, maxDomains)
		r.expect(t, "too many", map[string]mapping.OutcomeKind{"m0": none, fmt.Sprint("m", maxDomains): mapping.NotWritten, fmt.Sprint("m", maxDomains+2): mapping.NotWritten})
		for _, p := range pings {
			conn.Result(p)
		}
		r.expect(t, "answered", map[string]mapping.OutcomeKind{"m0": mapping.Processed})
		r.Deliver(parcels(to("new", "x@new.example"))) // an idle one makes room
		conn.Result(h.takeN(t, 1)[0])
		r.expect(t, "new", map[string]mapping.OutcomeKind{"new": mapping.Processed})
		time.Sleep(forgetDomain + time.Second)
		synctest.Wait()
		r.q.mu.Lock()
		n, entries := len(r.q.domains), r.q.pending.entries
		r.q.mu.Unlock()
		if n != 0 || entries != 0 {
			t.Errorf("%d domains and %d entries are kept", n, entries)
		}
		if strings.Contains(r.log.String(), "level=ERROR") {
			t.Errorf("log:\n%s", r.log)
		}
		r.stop()
	})
}

// A track may be forgotten and made anew while a ping of the old one is still on its way:
// the answer to that confirms nothing that was written since.
func TestDomainForgotten(t *testing.T) {
	c, err := New(Config{Server: "x:1", Domain: testDomain, Secret: "s", Barrier: BarrierSingle}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	q, now := openQueue(t, c), time.Now()
	write := func() {
		t.Helper()
		out, _, _ := q.take(nil)
		q.wrote(len(out), now)
		q.take(out)
	}
	c.Deliver(parcels(to("old", "x@example.net")))
	write()
	old := q.domains["example.net"].open[0].n
	now = now.Add(2 * q.timeout)
	batch, _ := q.collect(nil, now) // nobody has answered
	q.collect(batch, now)
	if !q.forgetIdle() {
		t.Fatal("it is not idle")
	}
	c.Deliver(parcels(to("new", "x@example.net")))
	write()
	q.answered("example.net", old, nil, now)
	if q.pending.open != 1 {
		t.Errorf("%d are pending, want that one", q.pending.open)
	}
	q.answered("example.net", q.domains["example.net"].open[0].n, nil, now)
	if q.pending.open != 0 {
		t.Errorf("%d are pending, want none", q.pending.open)
	}
}

// The track that was used last is not found any more when it is gone, however it went.
func TestRecentDomainForgotten(t *testing.T) {
	for name, forget := range map[string]func(q *queue, now time.Time){
		"no room":   func(q *queue, _ time.Time) { q.forgetIdle() },
		"idle":      func(q *queue, now time.Time) { q.collect(nil, now.Add(forgetDomain)) },
		"link lost": func(q *queue, _ time.Time) { q.close(endLost); q.open("p") },
	} {
		c, err := New(Config{Server: "x:1", Domain: testDomain, Secret: "s", Barrier: BarrierSingle}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		q, now := openQueue(t, c), time.Now()
		a := addressed{to: mapping.MustParseJID("x@example.net"), bounces: true}
		before := q.trackOf(&a, now)
		if q.trackOf(&a, now) != before || q.domains["example.net"] != before {
			t.Fatal("a track is made twice")
		}
		forget(q, now)
		if after := q.trackOf(&a, now); after == before || q.domains["example.net"] != after {
			t.Errorf("%s: a track that was forgotten is used", name)
		}
	}
}

// openQueue is the queue of c, whose link is up.
func openQueue(t *testing.T, c *Component) *queue {
	t.Helper()
	q := c.q
	q.open("p")
	for n := range uint64(linkCheck) {
		if _, err := q.homecoming(n+1, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	q.turn(discard{})
	return q
}
