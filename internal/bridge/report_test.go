package bridge

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// to sends one message.
func (r *running) to(id, from, to string) {
	r.FromXMPP([]mapping.XMPP{fromXMPP(id, from, to, "text of "+id)})
	r.settle()
}

// teller gives every stanza from the n-th on the outcome that f says, and returns how
// many there are now.
func (r *running) teller(n int, f func(id string) mapping.OutcomeKind) int {
	r.side.mu.Lock()
	var res []mapping.Result
	for _, p := range r.stanzas[n:] {
		if e, ok := p.Value.(*mapping.XMPPError); ok {
			res = append(res, mapping.Result{Ref: p.Ref, Outcome: mapping.Outcome{Kind: f(e.ID)}})
		}
	}
	n = len(r.stanzas)
	r.side.mu.Unlock()
	if len(res) > 0 {
		r.XMPPOutcomes(res)
	}
	r.settle()
	return n
}

// again is another bridge with the rows of r.
func (r *running) again() *running {
	r.t.Helper()
	next, s := newBridge(r.t)
	for _, row := range r.disk.rows() {
		s.journal.disk[row.ID] = row
		if err := next.Restore(row); err != nil {
			r.t.Fatal(err)
		}
	}
	return &running{next, s, r.t, s.journal}
}

// IM-60: errors over a link that is down hold up nobody whose link is up, also if they
// have to be read from the store.
func TestReportsOfAnotherLink(t *testing.T) {
	run(t, func(r *running) {
		for i := range 400 {
			r.to(fmt.Sprint("m", i), "juliet@example.com/x", fmt.Sprintf("u%d@sip.example.com", i))
			r.answer(answered(404))
		}
		next := r.again()
		start(r.t, next.Bridge)
		next.settle()
		told := map[string]bool{}
		n := 0
		for range 60 {
			n = next.teller(n, func(id string) mapping.OutcomeKind {
				if id == "m7" {
					return mapping.NotWritten
				}
				told[id] = true
				return mapping.Processed
			})
			time.Sleep(time.Second)
			next.settle()
		}
		if len(told) != 399 {
			r.t.Errorf("%d of 399 senders were told in a minute", len(told))
		}
		if rows := len(next.disk.rows()); rows != 1 {
			r.t.Errorf("%d rows are left, want that of the link that is down", rows)
		}
	})
}

// Errors over a link that is down are written again after a back-off of their own,
// however many get through over another one.
func TestReportsBackOff(t *testing.T) {
	run(t, func(r *running) {
		for i := range 50 {
			r.to(fmt.Sprint("b", i), "juliet@example.com/x", fmt.Sprintf("u%d@sip.example.com", i))
			r.answer(answered(404))
		}
		tries := 0
		outcome := func(id string) mapping.OutcomeKind {
			if id[0] == 'b' {
				tries++
				return mapping.NotWritten
			}
			return mapping.Processed
		}
		n := 0
		for i := range 600 {
			r.to(fmt.Sprint("a", i), "juliet@example.com/x", "romeo@sip.example.com")
			r.answer(answered(404))
			n = r.teller(n, outcome)
			time.Sleep(100 * time.Millisecond)
		}
		if most := 50 * (60/int(maxRetellWait/time.Second) + 6); tries > most {
			r.t.Errorf("%d attempts for 50 errors in a minute, want %d at most", tries, most)
		}
	})
}

// IM-60: the error is told once although the notice beside it was not written.
func TestNoticeDoesNotRepeatTheError(t *testing.T) {
	run(t, func(r *running) {
		p := *r.policy.Load()
		p.Notice = true
		r.SetPolicy(p)
		r.text("m", "juliet@example.com/x")
		for range 3 {
			time.Sleep(32 * time.Second)
			r.answer(timeout())
		}
		r.XMPPOutcomes([]mapping.Result{
			{Ref: r.stanzas[0].Ref, Outcome: mapping.Outcome{Kind: mapping.Processed}},
			{Ref: r.stanzas[1].Ref, Outcome: mapping.Outcome{Kind: mapping.NotWritten}}})
		time.Sleep(time.Minute)
		r.settle()
		if got := r.errors(); got != "m remote-server-timeout" || len(r.disk.rows()) != 0 {
			t.Errorf("errors %q and %d rows, want one error and no row", got, len(r.disk.rows()))
		}
	})
}

// An error that can never be written, because its component name is gone, ends, and
// the trail does not say that it was told; the operator can end one as well.
func TestHopelessReport(t *testing.T) {
	run(t, func(r *running) {
		kinds := func() (all string) {
			for _, e := range r.disk.trail {
				all += e.ID + " " + e.Kind + ", "
			}
			return all
		}
		r.text("m", "juliet@example.com/x")
		r.answer(answered(404))
		n := r.teller(0, func(string) mapping.OutcomeKind { return mapping.Refused })
		if got := kinds(); got != "m failed, m untold, " || len(r.disk.rows()) != 0 {
			t.Errorf("trail %q, %d rows", got, len(r.disk.rows()))
		}
		r.text("d", "juliet@example.com/x")
		r.answer(answered(404))
		r.teller(n, func(string) mapping.OutcomeKind { return mapping.NotWritten })
		if err := r.Drop(r.disk.rows()[0].ID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		r.settle()
		if got := kinds(); !strings.HasSuffix(got, "d failed, d untold, ") || len(r.disk.rows()) != 0 || r.told() != 2 {
			t.Errorf("trail %q, %d rows, %d errors written", got, len(r.disk.rows()), r.told())
		}
	})
}

// Without a row an error has no other place than memory: all of those that were taken
// have one there.
func TestReportsWithoutARow(t *testing.T) {
	run(t, func(r *running) {
		const n = maxRetell + 500
		r.lanes.limits = Limits{FIFO: n, Lane: n, Alone: true}.withDefaults()
		for i := range n {
			r.FromXMPP([]mapping.XMPP{fromXMPP(fmt.Sprint("m", i), fmt.Sprintf("u%d@example.com/x", i), "romeo@sip.example.com", "x")})
		}
		r.disk.fault = fmt.Errorf("disk full")
		r.settle()
		told := map[string]bool{}
		at := r.teller(0, func(string) mapping.OutcomeKind { return mapping.NotWritten })
		for range 60 {
			time.Sleep(time.Second)
			at = r.teller(at, func(id string) mapping.OutcomeKind { told[id] = true; return mapping.Processed })
		}
		if len(told) != n-1 { // the first one is under way
			t.Errorf("%d senders were told, want %d", len(told), n-1)
		}
	})
}

// GW-36: what has to be refused while the stream is being closed is told at the next
// start.
func TestRefusedAfterSeal(t *testing.T) {
	run(t, func(r *running) {
		if err := r.Drain(r.t.Context()); err != nil {
			t.Fatal(err)
		}
		r.Seal()
		for i := range 4 { // a FIFO holds two
			r.text(fmt.Sprint("m", i), "juliet@example.com/x")
		}
		if got := r.errors(); got != "" {
			t.Errorf("errors into a closed stream: %q", got)
		}
		next := r.again()
		start(r.t, next.Bridge)
		next.settle()
		if got := next.errors(); got != "m2 resource-constraint, m3 resource-constraint" {
			t.Errorf("errors %q at the next start, want those of the two that found no room", got)
		}
	})
	// Refused before, and overtaken by the end of the stream.
	run(t, func(r *running) {
		done := make(chan error, 1)
		go func() { done <- r.Drain(r.t.Context()) }()
		r.settle()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		r.text("m", "juliet@example.com/x")
		r.Seal()
		r.teller(0, func(string) mapping.OutcomeKind { return mapping.NotWritten })
		next := r.again()
		start(r.t, next.Bridge)
		next.settle()
		if got := next.errors(); got != r.errors() || got == "" {
			t.Errorf("errors %q at the next start, want %q", got, r.errors())
		}
	})
}

// What is behind an open circuit and has not left is not uncertain after a kill, nor
// after a stop.
func TestOpenCircuitIsNotUncertain(t *testing.T) {
	for _, end := range []string{"kill", "stop"} {
		run(t, func(r *running) {
			for i := range 20 {
				r.text(fmt.Sprint("m", i), fmt.Sprintf("u%d@example.com/x", i))
			}
			for i := 0; i < 120; i++ {
				if r.Bridge.mu.Lock(); r.lanes.open > 0 {
					r.Bridge.mu.Unlock()
					r.answer(retryAfter(503, 0))
				} else {
					r.Bridge.mu.Unlock()
				}
				time.Sleep(time.Second)
				r.settle()
			}
			if end == "stop" {
				done := make(chan error, 1)
				go func() { done <- r.Drain(r.t.Context()) }()
				r.settle()
				r.Bridge.mu.Lock()
				open := r.lanes.open
				r.Bridge.mu.Unlock()
				if open > 0 {
					r.answer(retryAfter(503, 0))
				}
				if err := <-done; err != nil {
					t.Error(err)
				}
				r.settle()
			}
			r.Bridge.mu.Lock()
			open := r.lanes.open
			r.Bridge.mu.Unlock()
			if next := r.again(); next.uncertain > open {
				t.Errorf("%s: %d under way, %d uncertain: %v", end, open, next.uncertain, next.uncertainIDs)
			}
		})
	}
}

// IM-59: a message whose first copy may have arrived is so after a restart, too, also
// if it was in back-off then.
func TestRestartOfAmbiguousInBackoff(t *testing.T) {
	run(t, func(r *running) {
		r.text("a", "juliet@example.com/x")
		r.answer(timeout())
		r.answer(retryAfter(503, 30*time.Second))
		next := r.again()
		if next.uncertain != 1 {
			t.Errorf("%d uncertain, want 1", next.uncertain)
		}
		start(r.t, next.Bridge)
		time.Sleep(40 * time.Second)
		next.settle()
		next.answer(answered(482))
		if got := next.errors(); got != "a remote-server-timeout" {
			t.Errorf("errors %q, want that it may have arrived", got)
		}
	})
}

// getHook calls a function at the next Get.
type getHook struct {
	*journalFake
	then func()
}

func (h *getHook) Get(ids []uint64) ([]Row, error) {
	if f := h.then; f != nil {
		h.then = nil
		f()
	}
	return h.journalFake.Get(ids)
}

// A circuit that opens while a volatile bridge drains takes no message out of memory
// whose sender has to be told.
func TestVolatileDrainParksNothing(t *testing.T) {
	run(t, func(r *running) {
		r.volatile = true
		h := &getHook{journalFake: r.disk}
		r.Bridge.journal = h
		for i := range 3 {
			r.text(fmt.Sprint("a", i), fmt.Sprintf("u%d@example.com/x", i))
		}
		for range 3 {
			r.answer(retryAfter(503, time.Minute))
		}
		for i := range 3 {
			r.to(fmt.Sprint("c", i), fmt.Sprintf("u%d@example.com/x", i), "carol@sip.example.com")
		}
		for range 2 {
			r.answer(retryAfter(503, time.Minute))
		}
		ref, _ := r.last(r.sent())
		h.then = func() { r.SIPOutcomes([]mapping.Result{{Ref: ref, Outcome: retryAfter(503, time.Minute)}}) }
		go func() { _ = r.Drain(r.t.Context()) }()
		synctest.Wait()
		for _, id := range []string{"a0", "a1", "a2", "c0", "c1", "c2"} {
			if !strings.Contains(r.errors(), id+" ") {
				t.Errorf("the sender of %s is not told: %q", id, r.errors())
			}
		}
	})
}

// The bound on messages that left before their commit holds within a batch.
func TestEarlySendIsBoundedInABatch(t *testing.T) {
	run(t, func(r *running) {
		r.lanes.limits = Limits{Total: 1 << 20, Open: 1 << 20}.withDefaults()
		var batch []mapping.XMPP
		for i := range maxUnjournaled + 500 {
			batch = append(batch, fromXMPP("m", "juliet@example.com/x", fmt.Sprintf("u%d@sip.example.com", i), "x"))
		}
		r.FromXMPP(batch)
		r.last(maxUnjournaled)
		r.settle()
		r.last(maxUnjournaled + 500)
	})
}

// That the SIP side has no room, or a message is too long for the way, is no failure of
// the destination: it holds up nobody else's message there.
func TestWhatOpensNoCircuit(t *testing.T) {
	for name, f := range map[string]*mapping.Failure{"no room": mapping.FailBusy(5), "too long for UDP": mapping.FailNeedsTCP(1300)} {
		run(t, func(r *running) {
			for _, u := range []string{"juliet", "nurse", "paris", "tybalt"} {
				r.text(u, u+"@example.com/x")
			}
			for range 3 {
				r.answer(mapping.Outcome{Kind: mapping.NotWritten, Failure: f})
			}
			if _, m := r.last(4); string(m.Body) != "text of tybalt" {
				t.Errorf("%s: %q has left last", name, m.Body)
			}
		})
	}
}

// A late error is heard from those only who may use the gateway.
func TestLateErrorOfAStranger(t *testing.T) {
	run(t, func(r *running) {
		p := *r.policy.Load()
		p.Late = LateMessage
		r.SetPolicy(p)
		r.FromSIP([]mapping.Parcel[mapping.SIP]{{Ref: 1, Value: fromSIP("c1", "sip:romeo@pbx.example.net", "sip:juliet@example.com", "hi")}})
		m := r.stanzas[0].Value.(*mapping.XMPPMessage)
		r.XMPPOutcomes([]mapping.Result{{Ref: r.stanzas[0].Ref, Outcome: mapping.Outcome{Kind: mapping.Processed}}})
		late := func(from string) {
			r.FromXMPP([]mapping.XMPP{&mapping.XMPPError{ID: m.ID, From: mapping.MustParseJID(from), To: m.From,
				Failure: mapping.FailureFromStanza(mapping.CondServiceUnavailable, "", "", "")}})
		}
		late("mallory@evil.example/x")
		if got := r.Tally().Late; got != 0 {
			t.Errorf("a stranger was heard")
		}
		late("example.com")
		if got := r.Tally().Late; got != 1 {
			t.Errorf("the server of the addressee was not heard")
		}
	})
}

// The operator learns how many messages go before the one that is to be tried again.
func TestRetrySecond(t *testing.T) {
	run(t, func(r *running) {
		r.text("a", "juliet@example.com/x")
		r.text("b", "juliet@example.com/x")
		r.answer(retryAfter(503, time.Minute))
		ahead, err := r.RetryNow(r.disk.rows()[1].ID)
		if err != nil || ahead != 1 {
			t.Errorf("%d ahead, %v; want 1", ahead, err)
		}
		r.settle()
		if _, m := r.last(2); string(m.Body) != "text of a" {
			t.Errorf("%q has left", m.Body)
		}
	})
}

// Whoever drops a message that may have arrived does not make its sender believe that
// it has not.
func TestDropTellsThatItMayHaveArrived(t *testing.T) {
	run(t, func(r *running) {
		r.text("a", "juliet@example.com/x")
		r.text("b", "nurse@example.com/x")
		r.answer(timeout())
		row := r.disk.rows()[0]
		stopped, err := DropRow(row, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		w, err := ReadRow(stopped)
		if err != nil || !strings.Contains(w.Problem, "may have arrived") || w.State != Reporting {
			t.Errorf("%+v, %v", w, err)
		}
		again, err := RetryRow(row, time.Now(), time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		if o, err := decode(again); err != nil || !o.restart || o.sent || o.ambiguous != 1 || time.Until(o.expire) < 59*time.Minute {
			t.Errorf("%+v, %v", o, err)
		}
	})
}
