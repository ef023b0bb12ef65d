package component

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/internal/xmpptest"
	"github.com/stoxgw/stox/mapping"
)

// held is a server that keeps the pings of the component, after those of the
// link check, until the test answers them.
type held struct {
	mu    sync.Mutex
	pings []xmpptest.Stanza
	count map[*xmpptest.Conn]int
}

func (h *held) options() xmpptest.Options {
	h.count = make(map[*xmpptest.Conn]int)
	return xmpptest.Options{OnIQ: func(c *xmpptest.Conn, st xmpptest.Stanza) bool {
		if !strings.Contains(st.Raw, nsPing) {
			return false
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		if st.To == testDomain {
			if h.count[c]++; h.count[c] <= xmpptest.LinkCheck {
				return false
			}
		}
		h.pings = append(h.pings, st)
		return true
	}}
}

// take waits until nothing moves and returns the pings that have come since.
func (h *held) take() []xmpptest.Stanza {
	synctest.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	out := h.pings
	h.pings = nil
	return out
}

func (h *held) takeN(t *testing.T, n int) []xmpptest.Stanza {
	t.Helper()
	got := h.take()
	if len(got) != n {
		t.Fatalf("%d pings, want %d: %v", len(got), n, got)
	}
	return got
}

func to(id, addr string) *mapping.XMPPMessage {
	m := message(id, "x")
	m.To = mapping.MustParseJID(addr)
	return m
}

// expect waits until nothing moves and compares the outcomes so far; "" is none yet.
func (r *rig) expect(t *testing.T, what string, want map[string]mapping.OutcomeKind) {
	t.Helper()
	synctest.Wait()
	r.sink.mu.Lock()
	defer r.sink.mu.Unlock()
	for ref, k := range want {
		got := r.sink.outcomes[ref]
		switch {
		case k == 0 && len(got) != 0, k != 0 && (len(got) != 1 || got[0].Kind != k):
			t.Errorf("%s: %s is %v, want %v", what, ref, got, k)
		}
	}
}

const none = mapping.OutcomeKind(0)

func mode(m BarrierMode) func(*Config) { return func(c *Config) { c.Barrier = m } }

// GW-33, single: one barrier confirms all before it, nothing behind it; at most
// two are on their way; the next is written when one comes home.
func TestBarrierCumulative(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h held
		r, conn := memory(t, h.options(), mode(BarrierSingle))
		r.Deliver(parcels(message("a1", "x"), message("a2", "x")))
		b1 := h.takeN(t, 1)[0]
		r.Deliver(parcels(message("b", "x")))
		b2 := h.takeN(t, 1)[0]
		r.Deliver(parcels(message("c", "x")))
		r.Deliver(parcels(message("d", "x")))
		h.takeN(t, 0) // two are open
		r.expect(t, "nothing is home", map[string]mapping.OutcomeKind{"a1": none, "a2": none, "b": none, "c": none})
		conn.Echo(b1)
		r.expect(t, "first", map[string]mapping.OutcomeKind{"a1": mapping.Processed, "a2": mapping.Processed, "b": none, "c": none})
		b3 := h.takeN(t, 1)[0] // covers c and d
		conn.Echo(b2)
		r.expect(t, "second", map[string]mapping.OutcomeKind{"b": mapping.Processed, "c": none, "d": none})
		h.takeN(t, 0) // nothing is uncovered
		conn.Echo(b3)
		r.expect(t, "third", map[string]mapping.OutcomeKind{"c": mapping.Processed, "d": mapping.Processed})
		if b1.From != testDomain || b1.To != testDomain || b1.Type != "get" {
			t.Errorf("the barrier is %s", b1.Raw)
		}
		conn.Echo(b2) // again: it confirms nothing
		r.Deliver(parcels(message("e", "x")))
		h.takeN(t, 1)
		conn.Echo(b3)
		r.expect(t, "old barriers", map[string]mapping.OutcomeKind{"e": none})
		r.stop()
	})
}

// No cost when nothing is written: no barrier without a message.
func TestNoBarrierWhenIdle(t *testing.T) {
	for _, m := range []BarrierMode{BarrierSingle, BarrierSettled} {
		synctest.Test(t, func(t *testing.T) {
			var h held
			r, conn := memory(t, h.options(), mode(m))
			time.Sleep(30 * time.Second)
			h.takeN(t, 0)
			r.Deliver(parcels(message("a", "x")))
			for range 5 {
				for _, b := range h.take() {
					conn.Echo(b)
				}
				time.Sleep(coldSettle)
			}
			r.expect(t, string(m), map[string]mapping.OutcomeKind{"a": mapping.Processed})
			want := uint64(xmpptest.LinkCheck + 1)
			if m == BarrierSettled {
				want++
			}
			if n := r.Counts().Barriers; n != want {
				t.Errorf("%s: %d barriers, want %d", m, n, want)
			}
			r.stop()
		})
	}
}

// GW-33, settled: the second barrier confirms, and it is not written before its time
// after the first came home. A bounce between them counts.
func TestBarrierSettled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h held
		r, conn := memory(t, h.options(), mode(BarrierSettled))
		r.Deliver(parcels(message("a", "x"), message("blocked", "x")))
		conn.Next()
		blocked := conn.Next()
		conn.Echo(h.takeN(t, 1)[0])
		conn.Bounce(blocked, "not-acceptable")
		r.expect(t, "after the first", map[string]mapping.OutcomeKind{"a": none, "blocked": mapping.Bounced})
		time.Sleep(coldSettle - time.Nanosecond)
		h.takeN(t, 0)
		// A barrier for something newer comes home too early to settle a.
		r.Deliver(parcels(message("b", "x")))
		early := h.takeN(t, 1)[0]
		time.Sleep(time.Nanosecond)
		second := h.takeN(t, 1)[0]
		conn.Echo(early)
		r.expect(t, "one written too early", map[string]mapping.OutcomeKind{"a": none, "b": none})
		conn.Echo(second)
		r.expect(t, "the second", map[string]mapping.OutcomeKind{"a": mapping.Processed, "b": none})
		time.Sleep(settleTime)
		conn.Echo(h.takeN(t, 1)[0])
		r.expect(t, "b's second", map[string]mapping.OutcomeKind{"b": mapping.Processed})
		r.stop()
	})
}

// IM-56, EL-016: link alive and no barrier within the deadline is Unknown, at the
// deadline and not before; a barrier that comes home later confirms the rest.
func TestUnknownAtDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h held
		r, conn := memory(t, h.options(), mode(BarrierSingle))
		r.Deliver(parcels(message("a", "x")))
		b := h.takeN(t, 1)[0]
		time.Sleep(3 * time.Second)
		r.Deliver(parcels(message("b", "x")))
		time.Sleep(2*time.Second - time.Nanosecond)
		r.expect(t, "before", map[string]mapping.OutcomeKind{"a": none})
		time.Sleep(time.Nanosecond)
		r.expect(t, "at", map[string]mapping.OutcomeKind{"a": mapping.Unknown, "b": none})
		conn.Bounce(conn.Next(), "item-not-found") // late: it belongs to nothing
		conn.Echo(b)
		conn.Echo(h.takeN(t, 1)[0])
		r.expect(t, "home", map[string]mapping.OutcomeKind{"a": mapping.Unknown, "b": mapping.Processed})
		if c := r.Counts(); c.LateBounces != 1 || c.Uncertain != 0 {
			t.Errorf("counts %+v", c)
		}
		r.stop()
	})
}

// IM-61: a bounce after the barrier changes nothing, and is not matched to a
// later message to the same address.
func TestLateBounce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h held
		r, conn := memory(t, h.options(), mode(BarrierSingle))
		r.Deliver(parcels(message("a", "x")))
		st := conn.Next()
		conn.Echo(h.takeN(t, 1)[0])
		r.Deliver(parcels(message("b", "x")))
		b := h.takeN(t, 1)[0]
		conn.Bounce(st, "service-unavailable")
		conn.Bounce(st, "service-unavailable")
		conn.Echo(b)
		r.expect(t, "late", map[string]mapping.OutcomeKind{"a": mapping.Processed, "b": mapping.Processed})
		if c := r.Counts(); c.LateBounces != 2 {
			t.Errorf("counts %+v", c)
		}
		want := fmt.Sprint([]string{"a juliet@example.com romeo@sip.example.com service-unavailable", "a juliet@example.com romeo@sip.example.com service-unavailable"})
		if got := fmt.Sprint(r.sink.lateOnes()); got != want {
			t.Errorf("handed over %s, want %s", got, want)
		}
		if len(r.log.lines("level=WARN")) != 0 {
			t.Errorf("log:\n%s", r.log)
		}
		r.stop()
	})
}

// SEC-10, SEC-22: of the error stanzas that answer nothing only those are handed
// over that could belong to a stanza of ours, and none is answered.
func TestStrayErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, conn := memory(t, xmpptest.Options{}, nil)
		for _, addresses := range []string{
			"id='1' from='eve@example.org/x' to='romeo@sip.example.com'",
			"id='2' from='eve@example.org/x' to='romeo@example.net'",
			"id='3' from='@' to='romeo@sip.example.com'",
			"id='4' from='eve@example.org/x'",
			"from='eve@example.org/x' to='romeo@sip.example.com'",
		} {
			send(t, conn, "<message type='error' "+addresses+"><error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>")
		}
		if st := fence(t, conn); len(st) != 0 {
			t.Errorf("an error was answered: %s", st[0].Raw)
		}
		synctest.Wait()
		if got := fmt.Sprint(r.sink.lateOnes()); got != "[1 eve@example.org/x romeo@sip.example.com gone]" {
			t.Errorf("handed over %s", got)
		}
		r.stop()
	})
}

// A server that is alive and keeps our pings for good: the link is given up.
func TestBarrierNeverHome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h held
		r, conn := memory(t, h.options(), mode(BarrierSingle))
		r.Deliver(parcels(message("a", "x")))
		for range 29 {
			time.Sleep(time.Second)
			send(t, conn, " ")
		}
		if st := r.Status(); st.State != StateUp {
			t.Fatalf("status %+v", st)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if st := r.Status(); st.Reason != "unanswered" {
			t.Errorf("status %+v", st)
		}
		r.expect(t, "lost", map[string]mapping.OutcomeKind{"a": mapping.Unknown})
		accept(t, r.srv)
		r.stop()
	})
}

// GW-34, EL-018: a new link is up when all 16 are home. Fewer, or in a wrong
// order: split, an error with the remedy, 503 for everything, again with back-off.
func TestLinkCheck(t *testing.T) {
	for _, tt := range []struct {
		name   string
		echo   func(n int) bool
		at     time.Duration // after the connect
		home   string
		itself bool // heals at the third link
	}{
		{"one is missing at the end", func(n int) bool { return n != 16 }, 10 * time.Second, "15 of 16", true},
		{"none comes", func(n int) bool { return false }, 10 * time.Second, "0 of 16", true},
		{"every second", func(n int) bool { return n%2 == 0 }, 0, "before an older one", true},
		{"the first is missing", func(n int) bool { return n != 1 }, 0, "before an older one", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				links, n := 0, 0
				opt := xmpptest.Options{Domain: testDomain, Secret: testSecret, OnIQ: func(c *xmpptest.Conn, st xmpptest.Stanza) bool {
					if st.To != testDomain {
						return false
					}
					mu.Lock()
					defer mu.Unlock()
					if n++; strings.HasSuffix(st.ID, "-b1") {
						links, n = links+1, 1
					}
					return links < 3 && !tt.echo(n)
				}}
				srv := xmpptest.NewMemory(t, opt)
				r := start(t, srv, nil)
				begin := time.Now()
				srv.Accept()
				if tt.at > 0 {
					time.Sleep(tt.at - time.Nanosecond)
					synctest.Wait()
					if st := r.Status(); st.State != StateConnecting {
						t.Errorf("status %+v", st)
					}
					time.Sleep(time.Nanosecond)
				}
				r.Deliver(parcels(message("a", "x")))
				r.expect(t, "split", map[string]mapping.OutcomeKind{"a": mapping.NotWritten})
				st := r.Status()
				if st.State != StateSplit || st.Reason != "split" || !strings.Contains(st.Text, "another program is connected as this component") ||
					!strings.Contains(st.Text, "ejabberd allows several") || st.RetryAt.Sub(begin) != tt.at+time.Second {
					t.Errorf("status %+v", st)
				}
				if len(r.log.lines("level=ERROR")) != 1 || len(r.log.lines(tt.home)) != 1 || len(r.log.lines("connected to")) != 0 {
					t.Errorf("log:\n%s", r.log)
				}
				srv.Accept()
				synctest.Wait()
				if st := r.Status(); st.State != StateSplit {
					t.Errorf("while it tries again: %+v", st)
				}
				accept(t, srv)
				if st := r.Status(); st.State != StateUp {
					t.Errorf("at the third: %+v", st)
				}
				r.Deliver(parcels(message("b", "x")))
				time.Sleep(time.Second)
				r.expect(t, "up", map[string]mapping.OutcomeKind{"b": mapping.Processed})
				r.stop()
			})
		})
	}
}

// Until a link is up messages are not written. Errors are: the stanzas they
// answer came over this link.
func TestErrorsDuringCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		srv := xmpptest.NewMemory(t, xmpptest.Options{Domain: testDomain, Secret: testSecret, OnIQ: func(c *xmpptest.Conn, st xmpptest.Stanza) bool {
			<-hold
			return false
		}})
		r := start(t, srv, nil)
		conn := srv.Accept()
		synctest.Wait()
		e := &mapping.XMPPError{From: message("", "").From, To: message("", "").To, ID: "e", Failure: mapping.FailDNS()}
		r.Deliver([]mapping.Parcel[mapping.XMPP]{{Ref: "e", Value: e}, {Ref: "m", Value: message("m", "x")}})
		r.expect(t, "checking", map[string]mapping.OutcomeKind{"e": none, "m": mapping.NotWritten})
		close(hold)
		if st := conn.Next(); st.ID != "e" || st.Type != "error" {
			t.Errorf("got %s", st.Raw)
		}
		r.expect(t, "up", map[string]mapping.OutcomeKind{"e": mapping.Processed})
		r.stop()
	})
}

// On an up link too: a barrier that arrives while an older one is missing
// confirms nothing, the link is split, what was written is Unknown and not written again.
func TestSplitWhenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h held
		r, conn := memory(t, h.options(), mode(BarrierSingle))
		r.Deliver(parcels(message("a", "x")))
		h.takeN(t, 1)
		r.Deliver(parcels(message("b", "x")))
		conn.Echo(h.takeN(t, 1)[0])
		r.expect(t, "split", map[string]mapping.OutcomeKind{"a": mapping.Unknown, "b": mapping.Unknown})
		if st := r.Status(); st.State != StateSplit {
			t.Errorf("status %+v", st)
		}
		r.Deliver(parcels(message("c", "x")))
		r.expect(t, "down", map[string]mapping.OutcomeKind{"c": mapping.NotWritten})
		if conn = accept(t, r.srv); conn.Waiting() != 0 {
			t.Errorf("the new link begins with %s", conn.Next().Raw)
		}
		r.stop()
	})
}

// Clean close: the barrier behind the last error is waited for, but not for ever.
func TestGoodbyeWaitsForBarrier(t *testing.T) {
	for _, home := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			var h held
			r, conn := memory(t, h.options(), mode(BarrierSettled))
			e := &mapping.XMPPError{From: message("", "").From, To: message("", "").To, ID: "e", Failure: mapping.FailDNS()}
			r.Deliver([]mapping.Parcel[mapping.XMPP]{{Ref: "e", Value: e}})
			first := h.takeN(t, 1)[0]
			begin := time.Now()
			go r.stop()
			time.Sleep(time.Second)
			if home {
				conn.Echo(first)
				time.Sleep(settleMost) // the first was slow
				conn.Echo(h.takeN(t, 1)[0])
			}
			if !conn.WaitEnd() {
				t.Error("the stream was not closed")
			}
			want, took := mapping.Unknown, 5*time.Second
			if home {
				want, took = mapping.Processed, time.Second+settleMost
			}
			if d := time.Since(begin); d != took {
				t.Errorf("home %v: closed after %v, want %v", home, d, took)
			}
			r.stop()
			r.expect(t, fmt.Sprint(home), map[string]mapping.OutcomeKind{"e": want})
		})
	}
}

func TestBarrierModeChecked(t *testing.T) {
	if _, err := New(Config{Server: "x:1", Domain: testDomain, Secret: "s", Barrier: "twice"}, nil); err == nil || !strings.Contains(err.Error(), "barrier") {
		t.Errorf("got %v", err)
	}
}
