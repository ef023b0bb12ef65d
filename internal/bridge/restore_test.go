package bridge

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// stored puts a message on the disk as an earlier run may have left it.
func stored(t *testing.T, s *side, b *Bridge, row uint64, id, from, to string, change func(o *outbound)) {
	t.Helper()
	parts, err := b.policy.Load().Rules.ToSIP(fromXMPP(id, from, to, "text of "+id))
	if err != nil {
		t.Fatal(err)
	}
	o := &outbound{id: id, from: mapping.MustParseJID(from), to: mapping.MustParseJID(to), parts: parts, row: row, rev: 1,
		read: time.Now(), expire: time.Now().Add(5 * time.Minute)}
	o.sender = o.from.Bare()
	b.ids.fill(o.message())
	o.measure()
	if change != nil {
		change(o)
	}
	r := o.encode()
	s.journal.disk[row] = r
	if err := b.Restore(r); err != nil {
		t.Fatal(err)
	}
}

func restored(t *testing.T, limits Limits, prepare func(s *side, b *Bridge), f func(r *running)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b, s := newBridge(t)
		b.lanes.limits = limits.withDefaults()
		prepare(s, b)
		start(t, b)
		f(&running{b, s, t, s.journal})
	})
}

func sent(o *outbound) { o.sent, o.attempts = true, 1 }

// IM-59: a stop in the middle of a request is an end without an answer like any other;
// after three of them the request is not repeated.
func TestRestartsDoNotRepeatForEver(t *testing.T) {
	restored(t, Limits{}, func(s *side, b *Bridge) {
		stored(t, s, b, 1, "m", "juliet@example.com/x", "romeo@sip.example.com", func(o *outbound) {
			o.sent, o.attempts, o.ambiguous, o.problem = true, 3, 2, mapping.FailTimeout()
		})
	}, func(r *running) {
		r.settle()
		if r.sent() != 0 || r.errors() != "m remote-server-timeout" {
			t.Errorf("%d requests and errors %q after three requests without an answer; want none and that it may have arrived", r.sent(), r.errors())
		}
	})
}

// IM-59: that a request may have left before the start is not forgotten when the
// message goes back to the store.
func TestRestartIsRememberedInTheStore(t *testing.T) {
	const n = markAhead + 3 // the last ones are not marked ahead again
	restored(t, Limits{}, func(s *side, b *Bridge) {
		for i := range uint64(n) {
			stored(t, s, b, 1+i, fmt.Sprint(i), fmt.Sprintf("u%d@example.com/x", i), "romeo@sip.example.com", sent)
		}
	}, func(r *running) {
		r.settle()
		r.Bridge.mu.Lock()
		for _, l := range r.lanes.byKey {
			l.failures = circuitAfter - 1
		}
		r.Bridge.mu.Unlock()
		r.answer(answered(503)) // opens the circuit
		r.Bridge.mu.Lock()
		stored := r.lanes.stored
		r.Bridge.mu.Unlock()
		if stored != n {
			t.Fatalf("%d messages are left to the store, want %d", stored, n)
		}
		time.Sleep(2 * time.Second)
		r.settle()
		for i := range n {
			if r.sent() == i+1 { // the first one waits longer than the circuit
				time.Sleep(2 * time.Second)
				r.settle()
			}
			r.last(i + 2)
			r.answer(answered(482))
		}
		for _, told := range strings.Split(r.errors(), ", ") {
			if !strings.HasSuffix(told, "remote-server-timeout") {
				t.Errorf("error %q after a 482 to a repeat, want that it may have arrived", told)
			}
		}
	})
}

// What comes out of the store finds an open circuit and stays there.
func TestLoadedBehindAnOpenCircuit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := newBridge(t)
		stored(t, s, b, 1, "m", "juliet@example.com/x", "romeo@sip.example.com", nil)
		from, _ := b.tick()
		if len(from.rows) != 1 {
			t.Fatalf("to be read: %v, want one row", from.rows)
		}
		b.mu.Lock()
		for _, l := range b.lanes.byKey {
			l.until = time.Now().Add(time.Second)
		}
		b.mu.Unlock()
		b.load(from)
		if want := (held{stored: 1}); b.lanes.held != want || len(b.rows) != 0 {
			t.Errorf("held %+v, want %+v", b.lanes.held, want)
		}
		start(t, b)
		time.Sleep(time.Second)
		r := &running{b, s, t, s.journal}
		r.settle()
		r.last(1)
	})
}

// SEC-30: what one domain has in the store does not fill the memory that the others
// need.
func TestStoredMessagesLeaveRoom(t *testing.T) {
	limits := Limits{Total: 4, Open: 4}
	restored(t, limits, func(s *side, b *Bridge) {
		for i := range uint64(12) {
			stored(t, s, b, 1+i, fmt.Sprint("a", i), "juliet@example.com/x", fmt.Sprintf("c%d@sip.example.com", i), nil)
		}
		stored(t, s, b, 20, "b", "nurse@example.org/x", "romeo@sip.example.com", nil)
	}, func(r *running) {
		r.settle()
		r.Bridge.mu.Lock()
		defer r.Bridge.mu.Unlock()
		if h := *r.lanes.domains.of("example.com"); h.waiting > 2 || h.open != 1 {
			t.Errorf("example.com holds %+v, more than its share", h)
		}
		if h := *r.lanes.domains.of("example.org"); h.open != 1 {
			t.Errorf("example.org holds %+v: its message has not left", h)
		}
	})
}

// A message that waits in memory behind one in the store does not take the room that
// is needed to read that one.
func TestStoredHeadIsNotLockedOut(t *testing.T) {
	restored(t, Limits{Total: 2}, func(s *side, b *Bridge) { // half of it is one
		stored(t, s, b, 1, "a", "juliet@example.com/x", "romeo@sip.example.com", nil)
		s.journal.fault = errFull // of the journal, for Get
	}, func(r *running) {
		synctest.Wait()
		r.disk.mu.Lock()
		r.disk.fault = nil
		r.disk.mu.Unlock()
		r.text("b", "juliet@example.com/x")
		time.Sleep(3 * time.Second)
		r.settle()
		_, m := r.last(1)
		if string(m.Body) != "text of a" {
			t.Errorf("%q has left first", m.Body)
		}
		r.answer(answered(200))
		r.last(2)
	})
}

// SIGTERM with a journal that keeps nothing: whoever waits is told, also if the
// message waits in the store, or comes back for another try.
func TestDrainTellsOfWhatIsStored(t *testing.T) {
	run(t, func(r *running) {
		r.volatile = true
		for _, u := range []string{"juliet", "nurse"} {
			r.text(u, u+"@example.com/x")
		}
		r.Bridge.mu.Lock()
		out := work{now: time.Now()}
		for _, l := range r.lanes.byKey {
			l.until = time.Now().Add(time.Minute)
			r.hold(&out, l)
		}
		r.unlock(&out)
		r.settle()
		r.Bridge.mu.Lock()
		parked := r.lanes.stored
		r.Bridge.mu.Unlock()
		if parked != 1 {
			t.Fatalf("%d messages are in the store only, want 1", parked)
		}
		done := make(chan error, 1)
		go func() { done <- r.Drain(context.Background()) }()
		synctest.Wait()
		r.answer(answered(503))
		if got := r.errors(); got != "nurse resource-constraint, juliet internal-server-error" {
			t.Errorf("errors %q, want one for each", got)
		}
		r.side.mu.Lock()
		stanzas := r.stanzas
		r.side.mu.Unlock()
		for _, p := range stanzas {
			r.XMPPOutcomes([]mapping.Result{{Ref: p.Ref, Outcome: mapping.Outcome{Kind: mapping.Processed}}})
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// What was written ahead of its turn and has not left is not uncertain after a stop.
func TestDrainTakesMarksBack(t *testing.T) {
	run(t, func(r *running) {
		for _, u := range []string{"juliet", "nurse"} {
			r.text(u, u+"@example.com/x")
		}
		done := make(chan error, 1)
		go func() { done <- r.Drain(context.Background()) }()
		r.settle()
		r.answer(answered(200))
		if err := <-done; err != nil {
			t.Error(err)
		}
		rows := r.disk.rows()
		if len(rows) != 1 {
			t.Fatalf("%d rows, want 1", len(rows))
		}
		if w, err := ReadRow(rows[0]); err != nil || w.State != Queued || w.Attempts != 0 || w.Stanza != "nurse" {
			t.Errorf("%+v, %v; want the message of nurse queued and never sent", w, err)
		}
	})
}
