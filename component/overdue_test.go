package component

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/mapping"
)

func errorStanza(id string) *mapping.XMPPError {
	m := message(id, "")
	return &mapping.XMPPError{From: m.From, To: m.To, ID: id, Failure: mapping.FailDNS()}
}

// stanzas are parcels whose Ref is the id.
func stanzas(values ...mapping.XMPP) []mapping.Parcel[mapping.XMPP] {
	batch := parcels(values...)
	for i, v := range values {
		if e, ok := v.(*mapping.XMPPError); ok {
			batch[i].Ref = e.ID
		}
	}
	return batch
}

// GW-07, IM-60: a server that hangs gets an error once. The messages around it are
// Unknown at their deadline all the same, and leave their room in the table.
func TestErrorWaitsForBarrier(t *testing.T) {
	for _, m := range []BarrierMode{BarrierSingle, BarrierSettled} {
		synctest.Test(t, func(t *testing.T) {
			var h held
			r, conn := memory(t, h.options(), func(c *Config) {
				c.Barrier, c.PingTimeout, c.MaxPending = m, time.Hour, 5
			})
			r.Deliver(stanzas(errorStanza("e1"), message("a", "x"), message("b", "x"), errorStanza("e2"), message("c", "x")))
			time.Sleep(3 * time.Second)
			r.Deliver(stanzas(message("late", "x"), errorStanza("e3")))
			r.expect(t, "the table is full", map[string]mapping.OutcomeKind{"late": mapping.NotWritten})
			time.Sleep(2*time.Second - time.Nanosecond)
			r.expect(t, "before", map[string]mapping.OutcomeKind{"e1": none, "a": none, "b": none, "e2": none, "c": none})
			time.Sleep(time.Nanosecond)
			r.expect(t, "at the deadline", map[string]mapping.OutcomeKind{"e1": none, "a": mapping.Unknown, "b": mapping.Unknown, "e2": none, "c": mapping.Unknown})
			r.Deliver(stanzas(message("room", "x"), message("more", "x"), message("full", "x")))
			time.Sleep(30 * time.Minute)
			r.expect(t, "later", map[string]mapping.OutcomeKind{"e1": none, "e2": none, "e3": none,
				"room": mapping.Unknown, "more": mapping.Unknown, "full": mapping.NotWritten})
			for range 4 {
				for _, b := range h.take() {
					conn.Echo(b)
				}
				time.Sleep(2 * time.Second)
			}
			r.expect(t, string(m), map[string]mapping.OutcomeKind{"e1": mapping.Processed, "e2": mapping.Processed, "e3": mapping.Processed})
			seen := make(map[string]int)
			for range 8 {
				seen[conn.Next().ID]++
			}
			if got, want := fmt.Sprint(seen), "map[a:1 b:1 c:1 e1:1 e2:1 e3:1 more:1 room:1]"; got != want || conn.Waiting() != 0 {
				t.Errorf("%s: written were %s and %d more, want %s", m, got, conn.Waiting(), want)
			}
			if p := r.q.pending; p.entries != 0 || p.open != 0 {
				t.Errorf("%s: %d entries and %d open are left", m, p.entries, p.open)
			}
			r.stop()
		})
	}
}

// GW-09: it does not wait for ever. The link of a server that hangs is given up, and
// then an error is Uncertain at once if it is older than a link is waited for.
func TestErrorEndsWithItsLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h held
		r, conn := memory(t, h.options(), mode(BarrierSingle))
		r.Deliver(stanzas(errorStanza("old")))
		time.Sleep(28 * time.Second)
		r.Deliver(stanzas(errorStanza("young")))
		time.Sleep(2*time.Second - time.Nanosecond)
		r.expect(t, "while the link lives", map[string]mapping.OutcomeKind{"old": none, "young": none})
		time.Sleep(time.Nanosecond)
		r.expect(t, "given up", map[string]mapping.OutcomeKind{"old": mapping.Uncertain, "young": none})
		first := conn.NextN(2)
		conn = accept2(t, r.srv)
		h.take()
		if st := conn.Next(); st.Raw != first[1].Raw || st.ID != "young" {
			t.Errorf("the new link begins with %s", st.Raw)
		}
		time.Sleep(20 * time.Second) // the second copy waits as long
		r.expect(t, "second copy", map[string]mapping.OutcomeKind{"young": none})
		conn.Drop()
		r.expect(t, "lost again", map[string]mapping.OutcomeKind{"young": mapping.Uncertain})
		if c := r.Counts(); c.Uncertain != 2 || c.Rewritten != 1 {
			t.Errorf("counts %+v", c)
		}
		r.stop()
	})
}

// A stop waits for the barrier of an error as long as for that of a message, also if
// it has waited for longer by then.
func TestStopWithOverdueError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h held
		r, conn := memory(t, h.options(), mode(BarrierSingle))
		r.Deliver(stanzas(errorStanza("e")))
		b := h.takeN(t, 1)[0]
		time.Sleep(20 * time.Second)
		stopped := make(chan struct{})
		go func() { r.stop(); close(stopped) }()
		time.Sleep(4 * time.Second)
		r.expect(t, "stopping", map[string]mapping.OutcomeKind{"e": none})
		conn.Echo(b)
		r.expect(t, "home", map[string]mapping.OutcomeKind{"e": mapping.Processed})
		if !conn.WaitEnd() {
			t.Error("the stream was not closed")
		}
		<-stopped
	})
}
