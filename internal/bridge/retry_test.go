package bridge

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// running is a bridge whose Run runs in the bubble of the test.
type running struct {
	*Bridge
	*side
	t    *testing.T
	disk *journalFake
}

func run(t *testing.T, f func(r *running)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b, s := newBridge(t)
		start(t, b)
		f(&running{b, s, t, s.journal})
	})
}

func start(t *testing.T, b *Bridge) {
	done := make(chan struct{})
	go func() { defer close(done); _ = b.Run(t.Context()) }()
	t.Cleanup(func() { <-done })
}

// text sends one message to romeo.
func (r *running) text(id, from string) {
	r.FromXMPP([]mapping.XMPP{fromXMPP(id, from, "romeo@sip.example.com", "text of "+id)})
	r.settle()
}

// settle lets everything happen that does not take time.
func (r *running) settle() {
	synctest.Wait()
	r.disk.commit()
	synctest.Wait()
}

// last is the request that was sent last, of n in all.
func (r *running) last(n int) (any, *mapping.SIPMessage) {
	r.t.Helper()
	r.side.mu.Lock()
	defer r.side.mu.Unlock()
	if len(r.requests) != n {
		r.t.Fatalf("%d requests have left, want %d", len(r.requests), n)
	}
	p := r.requests[n-1]
	return p.Ref, p.Value.(*mapping.SIPMessage)
}

// sent is how many requests have left.
func (r *running) sent() int {
	r.side.mu.Lock()
	defer r.side.mu.Unlock()
	return len(r.requests)
}

// told is how many stanzas have been written.
func (r *running) told() int {
	r.side.mu.Lock()
	defer r.side.mu.Unlock()
	return len(r.stanzas)
}

// answer gives the last request its outcome.
func (r *running) answer(o mapping.Outcome) {
	ref, _ := r.last(r.sent())
	r.SIPOutcomes([]mapping.Result{{Ref: ref, Outcome: o}})
	r.settle()
}

// errors are the error stanzas so far, as "id condition".
func (r *running) errors() string {
	r.side.mu.Lock()
	defer r.side.mu.Unlock()
	var all []string
	for _, p := range r.stanzas {
		if e, ok := p.Value.(*mapping.XMPPError); ok {
			all = append(all, e.ID+" "+string(e.Failure.Condition))
		}
	}
	return strings.Join(all, ", ")
}

func timeout() mapping.Outcome {
	return mapping.Outcome{Kind: mapping.Unknown, Failure: mapping.FailTimeout()}
}

func more(o mapping.Outcome) mapping.Outcome {
	o.More = true
	return o
}

func retryAfter(status int, d time.Duration) mapping.Outcome {
	return mapping.Outcome{Kind: mapping.Answered, Status: status, Failure: mapping.FailureFromStatus(status, "", d, nil)}
}

// IM-59, SIP-23: a request that was certainly refused for now is sent again with the
// next CSeq, not before Retry-After, and within a minute.
func TestTemporaryIsTriedAgain(t *testing.T) {
	for name, out := range map[string]mapping.Outcome{
		"503": retryAfter(503, 0), "503 with Retry-After": retryAfter(503, 40*time.Second), "430": answered(430),
		"refused":          {Kind: mapping.NotWritten, Failure: mapping.FailUnreachable()},
		"too long for UDP": {Kind: mapping.NotWritten, Failure: mapping.FailNeedsTCP(1300)},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(r *running) {
				r.text("m", "juliet@example.com/x")
				_, first := r.last(1)
				sent := time.Now()
				r.answer(out)
				r.last(1)
				for r.sent() == 1 && time.Since(sent) < 2*time.Minute {
					time.Sleep(100 * time.Millisecond)
					r.settle()
				}
				_, second := r.last(2)
				if d := time.Since(sent); d < time.Second || d > time.Minute+time.Second || out.Failure.RetryAfter > d {
					t.Errorf("tried again after %v", d)
				}
				if second.CallID != first.CallID || second.FromTag != first.FromTag || second.CSeq != first.CSeq+1 {
					t.Errorf("second request: %s %s %d after %s %s %d", second.CallID, second.FromTag, second.CSeq, first.CallID, first.FromTag, first.CSeq)
				}
				r.answer(answered(200))
				if got := r.errors(); got != "" || len(r.disk.rows()) != 0 {
					t.Errorf("errors %q and %d rows after a 200", got, len(r.disk.rows()))
				}
			})
		})
	}
}

// IM-59: what is tried in vain until queue.expire ends with what the last attempt
// came to; a Retry-After beyond that ends it at once.
func TestTemporaryExpires(t *testing.T) {
	run(t, func(r *running) {
		r.text("m", "juliet@example.com/x")
		begun := time.Now()
		for n := 1; r.errors() == "" && time.Since(begun) < time.Hour; {
			if r.sent() == n {
				n++
				r.answer(retryAfter(503, 0))
			}
			time.Sleep(time.Second)
			r.settle()
		}
		if got, want := r.errors(), "m "+string(answered(503).Failure.Condition); got != want {
			t.Errorf("errors %q, want the one of 503, %q", got, want)
		}
		if d := time.Since(begun); d > 5*time.Minute+2*time.Second || d < 4*time.Minute {
			t.Errorf("given up after %v, want about queue.expire", d)
		}
		r.text("n", "juliet@example.com/x")
		r.answer(retryAfter(503, time.Hour))
		if !strings.Contains(r.errors(), "n ") {
			t.Errorf("errors %q after a Retry-After beyond the expiry", r.errors())
		}
	})
}

// IM-59, ERR-14: a request without a clear end is repeated as it was, at most twice,
// then the sender learns that it may have arrived.
func TestAmbiguousIsRepeated(t *testing.T) {
	for name, out := range map[string]mapping.Outcome{"Timer F": timeout(), "408": answered(408)} {
		t.Run(name, func(t *testing.T) {
			run(t, func(r *running) {
				r.text("m", "juliet@example.com/x")
				_, first := r.last(1)
				for n := 2; n <= 3; n++ {
					r.answer(out)
					if _, m := r.last(n); m.CallID != first.CallID || m.FromTag != first.FromTag || m.CSeq != first.CSeq {
						t.Errorf("request %d is not the first one again", n)
					}
				}
				r.answer(out)
				r.last(3)
				if got := r.errors(); got != "m remote-server-timeout" {
					t.Errorf("errors %q", got)
				}
			})
		})
	}
}

// Where the SIP side had to say who we are, the next hop has seen a higher CSeq than was
// handed over. A repeat is the identical request, so it has that one; after a refusal the
// next number is the one behind it (RFC 3261 §22.2).
func TestRepeatAfterLogin(t *testing.T) {
	run(t, func(r *running) {
		r.text("m", "juliet@example.com/x")
		_, first := r.last(1)
		for n, tt := range []struct {
			out  mapping.Outcome
			said uint32 // the number that the next hop has seen last
			want uint32 // that of the next request
		}{
			{retryAfter(503, 0), first.CSeq + 1, first.CSeq + 2},
			{timeout(), first.CSeq + 3, first.CSeq + 3},
			{timeout(), 0, first.CSeq + 3},
		} {
			tt.out.CSeq = tt.said
			r.answer(tt.out)
			time.Sleep(firstBackoff)
			r.settle()
			if _, m := r.last(n + 2); m.CSeq != tt.want || m.CallID != first.CallID || m.FromTag != first.FromTag {
				t.Errorf("after outcome %d: CSeq %d (%s %s), want %d", n, m.CSeq, m.CallID, m.FromTag, tt.want)
			}
		}
		out := answered(482)
		out.CSeq = first.CSeq + 4
		r.answer(out)
		if got := r.errors(); got != "" { // it had arrived
			t.Errorf("errors %q", got)
		}
	})
}

// A repeat that is refused says nothing about the copy before it: the sender learns
// both.
func TestRefusedAfterAmbiguous(t *testing.T) {
	run(t, func(r *running) {
		r.text("m", "juliet@example.com/x")
		r.answer(timeout())
		r.answer(answered(480))
		if len(r.stanzas) != 1 {
			t.Fatalf("%d stanzas, want the error", len(r.stanzas))
		}
		f := r.stanzas[0].Value.(*mapping.XMPPError).Failure
		if f.Condition != answered(480).Failure.Condition || !strings.HasPrefix(f.Text, "480 ") || !strings.Contains(f.Text, "may have arrived") {
			t.Errorf("%s %q", f.Condition, f.Text)
		}
	})
}

// IM-59: 482 to a repeat says that the first request had arrived; to a first request
// it is a failure like any other.
func TestLoopDetected(t *testing.T) {
	run(t, func(r *running) {
		r.text("m", "juliet@example.com/x")
		r.answer(timeout())
		r.answer(answered(482))
		if got := r.errors(); got != "" || len(r.disk.rows()) != 0 {
			t.Errorf("errors %q, %d rows; want it taken as arrived", got, len(r.disk.rows()))
		}
		r.text("n", "juliet@example.com/x")
		r.answer(answered(482))
		if !strings.HasPrefix(r.errors(), "n ") {
			t.Errorf("errors %q for a 482 to the first request", r.errors())
		}
	})
}

// IM-59: the next target is tried at once, after a 500 or 504 one of them only.
func TestNextTarget(t *testing.T) {
	run(t, func(r *running) {
		r.text("m", "juliet@example.com/x")
		_, first := r.last(1)
		r.answer(more(answered(503)))
		_, second := r.last(2)
		if second.Target != 1 || second.CSeq != first.CSeq {
			t.Errorf("target %d cseq %d after target 0 cseq %d", second.Target, second.CSeq, first.CSeq)
		}
		r.answer(more(answered(500)))
		if _, third := r.last(3); third.Target != 2 {
			t.Errorf("target %d, want 2", third.Target)
		}
		r.answer(more(answered(504)))
		r.last(3)
		if got := r.errors(); got != "m remote-server-timeout" {
			t.Errorf("errors %q, want that of the 504", got)
		}
	})
}

// IM-58: a message in back-off holds up its own FIFO only, until the circuit of the
// destination opens; then what waits is in the store only.
func TestBackoffHoldsItsFIFO(t *testing.T) {
	run(t, func(r *running) {
		r.text("a1", "juliet@example.com/x")
		r.text("a2", "juliet@example.com/x")
		r.answer(retryAfter(503, 30*time.Second))
		r.last(1)
		r.text("b1", "nurse@example.com/x")
		if _, m := r.last(2); string(m.Body) != "text of b1" {
			t.Errorf("sent %q, want the message of the other sender", m.Body)
		}
		r.answer(retryAfter(503, 30*time.Second))
		r.text("c1", "tybalt@example.com/x")
		r.answer(retryAfter(503, 30*time.Second))
		r.last(3)
		r.text("d1", "paris@example.com/x")
		r.last(3)
		if r.lanes.waiting != 0 || r.lanes.stored != 5 {
			t.Errorf("%d messages in memory and %d in the store only, want 0 and 5", r.lanes.waiting, r.lanes.stored)
		}
		order := []string{}
		for n := 4; n <= 8; n++ {
			for r.sent() < n {
				time.Sleep(time.Second)
				r.settle()
			}
			order = append(order, string(r.requests[n-1].Value.(*mapping.SIPMessage).Body))
			r.answer(answered(200))
		}
		got := strings.Join(order, ", ")
		if a1, a2 := strings.Index(got, "a1"), strings.Index(got, "a2"); a1 < 0 || a2 < a1 || !strings.HasPrefix(got, "text of d1") {
			t.Errorf("order %s; want d1 first, which has no back-off of its own, and a1 before a2", got)
		}
		if r.lanes.held != (held{}) || len(r.lanes.byKey) != 0 || len(r.rows) != 0 || len(r.disk.rows()) != 0 {
			t.Errorf("left behind: %+v, %d lanes, %d rows", r.lanes.held, len(r.lanes.byKey), len(r.disk.rows()))
		}
	})
}

// IM-60: the row of a message that is given up ends when its error is behind a closed
// barrier; until then the error is written again, also after a restart.
func TestErrorIsToldUntilConfirmed(t *testing.T) {
	run(t, func(r *running) {
		r.text("m", "juliet@example.com/x")
		r.answer(answered(404))
		for n := 1; n <= 3; n++ {
			if r.told() != n {
				t.Fatalf("%d error stanzas, want %d", r.told(), n)
			}
			r.XMPPOutcomes([]mapping.Result{{Ref: r.stanzas[n-1].Ref, Outcome: mapping.Outcome{Kind: []mapping.OutcomeKind{0, mapping.NotWritten, mapping.Uncertain, mapping.Unknown}[n]}}})
			r.settle()
			if len(r.disk.rows()) != 1 {
				t.Fatal("the row has gone before the error was confirmed")
			}
			time.Sleep(maxRetellWait)
			r.settle()
		}
		if strings.Contains(string(r.disk.rows()[0].Data), "text of m") {
			t.Error("the text is still in the row of a message that was given up")
		}

		next := r.again()
		start(r.t, next.Bridge)
		synctest.Wait()
		if next.told() != 1 || next.sent() != 0 {
			t.Fatalf("%d errors and %d requests after a restart, want 1 and 0", next.told(), next.sent())
		}
		if e := next.stanzas[0].Value.(*mapping.XMPPError); e.ID != "m" || e.Failure.Condition != "item-not-found" {
			t.Errorf("error %s %s", e.ID, e.Failure.Condition)
		}
		next.XMPPOutcomes([]mapping.Result{{Ref: next.stanzas[0].Ref, Outcome: mapping.Outcome{Kind: mapping.Processed}}})
		if len(next.disk.rows()) != 0 {
			t.Error("the row is still there")
		}
	})
}

// IM-60: an error later than 30 s also comes as a message, with the same id each
// time, whose own bounce is of no account.
func TestLateErrorComesAsNotice(t *testing.T) {
	run(t, func(r *running) {
		p := *r.policy.Load()
		p.Notice = true
		r.SetPolicy(p)
		r.text("m", "juliet@example.com/x")
		for range 3 {
			time.Sleep(32 * time.Second)
			r.answer(timeout())
		}
		if r.told() != 2 {
			t.Fatalf("%d stanzas, want error and notice", r.told())
		}
		n := r.stanzas[1].Value.(*mapping.XMPPMessage)
		if n.From.String() != "romeo@sip.example.com" || n.To.String() != "juliet@example.com" || n.ID == "" || n.ID == "m" {
			t.Errorf("notice from=%s to=%s id=%q", n.From, n.To, n.ID)
		}
		if !strings.HasPrefix(n.Bodies[0].Value, "Not delivered: ") || strings.Contains(n.Bodies[0].Value, "text of m") {
			t.Errorf("notice %q", n.Bodies[0].Value)
		}
		r.XMPPOutcomes([]mapping.Result{
			{Ref: r.stanzas[0].Ref, Outcome: mapping.Outcome{Kind: mapping.Uncertain}},
			{Ref: r.stanzas[1].Ref, Outcome: mapping.Outcome{Kind: mapping.Uncertain}}})
		time.Sleep(maxRetellWait)
		r.settle()
		if r.told() != 4 || r.stanzas[3].Value.(*mapping.XMPPMessage).ID != n.ID {
			t.Fatalf("%d stanzas after the link was lost, want both again with their ids", r.told())
		}
		r.XMPPOutcomes([]mapping.Result{
			{Ref: r.stanzas[2].Ref, Outcome: mapping.Outcome{Kind: mapping.Processed}},
			{Ref: r.stanzas[3].Ref, Outcome: mapping.Outcome{Kind: mapping.Bounced}}})
		r.settle()
		if len(r.disk.rows()) != 0 || r.reports.open != 0 {
			t.Errorf("%d rows and %d reports are left", len(r.disk.rows()), r.reports.open)
		}
	})
}

// Design of early send: a message that ended before its commit needs no row; what is
// under way when its commit fails is not retried; what waits is refused.
func TestEarlySend(t *testing.T) {
	run(t, func(r *running) {
		r.FromXMPP([]mapping.XMPP{
			fromXMPP("a", "juliet@example.com/x", "romeo@sip.example.com", "one"),
			fromXMPP("b", "juliet@example.com/x", "romeo@sip.example.com", "two"),
		})
		r.last(1)
		r.SIPOutcomes([]mapping.Result{{Ref: r.requests[0].Ref, Outcome: answered(200)}})
		r.last(1) // what waited behind it leaves after its commit
		r.settle()
		r.last(2)
		if n := len(r.disk.rows()); n != 1 {
			t.Errorf("%d rows, want that of the second message", n)
		}
		r.answer(answered(200))

		r.FromXMPP([]mapping.XMPP{
			fromXMPP("c", "juliet@example.com/x", "romeo@sip.example.com", "three"),
			fromXMPP("d", "juliet@example.com/x", "romeo@sip.example.com", "four"),
		})
		r.disk.fault = fmt.Errorf("disk full")
		r.settle()
		if got := r.errors(); got != "d resource-constraint" {
			t.Errorf("errors %q after a failed commit, want what waited refused", got)
		}
		r.answer(retryAfter(503, time.Second))
		if got := r.errors(); !strings.HasPrefix(got, "d resource-constraint, c ") {
			t.Errorf("errors %q, want the 503 reported at once", got)
		}
		r.text("e", "juliet@example.com/x")
		if got := r.errors(); !strings.HasSuffix(got, ", e resource-constraint") || r.sent() != 3 {
			t.Errorf("errors %q and %d requests while the journal fails, want a refusal", got, r.sent())
		}
		r.disk.fault = nil
		r.text("f", "juliet@example.com/x")
		r.last(4)
	})
}

// Early send is bounded in number and in age.
func TestEarlySendIsBounded(t *testing.T) {
	run(t, func(r *running) {
		b := r.Bridge
		b.lanes.limits = Limits{Total: 1 << 20, Open: 1 << 20}.withDefaults()
		send := func(n, from int) {
			for i := range n {
				b.FromXMPP([]mapping.XMPP{fromXMPP("m", "juliet@example.com/x", fmt.Sprintf("u%d@sip.example.com", from+i), "x")})
			}
		}
		send(maxUnjournaled+5, 0)
		r.last(maxUnjournaled)
		r.settle()
		r.last(maxUnjournaled + 5)
		send(1, 5000)
		r.last(maxUnjournaled + 6)
		time.Sleep(maxUnjournaledAge)
		send(1, 5001)
		r.last(maxUnjournaled + 6)
		r.settle()
		r.last(maxUnjournaled + 7)
	})
}

// IM-59: a row found at start whose request may have left is repeated as it was, and
// a 482 to that is not taken as delivered; one that has not left is sent as new.
func TestRestart(t *testing.T) {
	run(t, func(r *running) {
		r.text("a", "juliet@example.com/x")
		_, first := r.last(1)
		for i := range markAhead + 2 {
			r.text(fmt.Sprint("w", i), fmt.Sprintf("u%d@example.com/x", i))
		}
		again := r.again()
		if again.uncertain != 1+markAhead {
			t.Errorf("%d rows are uncertain, want the one under way and %d written ahead", again.uncertain, markAhead)
		}
		start(r.t, again.Bridge)
		again.settle()
		_, m := again.last(1)
		if m.CallID != first.CallID || m.CSeq != first.CSeq || m.FromTag != first.FromTag {
			t.Error("the request is not the same after a restart")
		}
		again.answer(answered(482))
		if got := again.errors(); got != "a remote-server-timeout" {
			t.Errorf("errors %q, want that it may have arrived", got)
		}
		for range markAhead + 2 {
			again.answer(answered(200))
		}
		if got := len(again.disk.rows()); got != 1 { // the report
			t.Errorf("%d rows are left", got)
		}
	})
}
