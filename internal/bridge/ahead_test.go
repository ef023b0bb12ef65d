package bridge

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// flooded is run with the limits that an admin gets.
func flooded(t *testing.T, f func(r *running)) {
	t.Helper()
	restored(t, Limits{}, func(*side, *Bridge) {}, f)
}

// flood has so many messages of one user to one contact come in one go.
func (r *running) flood(n int) {
	var batch []mapping.XMPP
	for i := range n {
		batch = append(batch, fromXMPP(fmt.Sprint("m", i), "juliet@example.com/x", "romeo@sip.example.com", "one of many"))
	}
	r.FromXMPP(batch)
	r.settle()
}

// marked are the rows on the disk that say that their request may have left.
func (r *running) marked() (callIDs map[string]bool) {
	r.t.Helper()
	callIDs = map[string]bool{}
	for _, row := range r.disk.rows() {
		o, err := decode(row)
		if err != nil {
			r.t.Fatal(err)
		}
		if o.sent {
			callIDs[o.callID()] = true
		}
	}
	return callIDs
}

// IM-59: what waits behind a message of the same sender leaves without a commit of its own,
// what leaves is on the disk as what may have left, and so are only a few others.
func TestOneSenderSharesCommits(t *testing.T) {
	flooded(t, func(r *running) {
		const n = 61
		r.flood(n)
		commits := 0
		for i := range n {
			ref, m := r.last(i + 1)
			marked := r.marked()
			if !marked[m.CallID] {
				t.Errorf("request %d has left, and its row does not say so", i)
			}
			if len(marked) > 1+markAhead {
				t.Errorf("with request %d under way %d rows say that theirs may have left, want at most %d more", i, len(marked), markAhead)
			}
			r.SIPOutcomes([]mapping.Result{{Ref: ref, Outcome: answered(200)}})
			synctest.Wait()
			if i+1 < n && r.sent() != i+2 {
				t.Errorf("the request behind %d waits for the disk", i)
			}
			if r.disk.waits() {
				commits++
			}
			r.settle()
		}
		if most := n/(markAhead/2) + 1; commits > most {
			t.Errorf("%d messages took %d commits after the first one, want at most %d", n, commits, most)
		}
		if left := len(r.disk.rows()); left != 0 {
			t.Errorf("%d rows are left", left)
		}
	})
}

// IM-59: when a message has to be tried again later, those behind it are not any more
// written as ones that may have left, and leave all the same when it has.
func TestBackOffTakesMarksBack(t *testing.T) {
	flooded(t, func(r *running) {
		const n = 10
		r.flood(n)
		if got := len(r.marked()); got != n {
			t.Fatalf("%d rows are marked, want %d: else the test shows nothing", got, n)
		}
		r.answer(answered(503))
		if got := len(r.marked()); got != 0 {
			t.Errorf("%d rows say that they may have left while their sender's first message waits for its next attempt", got)
		}
		if again := r.again(); again.uncertain != 0 {
			t.Errorf("%d messages would be uncertain, want none", again.uncertain)
		}
		time.Sleep(firstBackoff)
		for i := range n {
			r.settle()
			r.last(i + 2)
			r.answer(answered(200))
		}
		if left, told := len(r.disk.rows()), r.errors(); left != 0 || told != "" {
			t.Errorf("%d rows are left, errors %q", left, told)
		}
	})
}

// SEC-30: somebody's message that is tried again has its turn, however busy others keep the
// destination.
func TestRetryHasItsTurn(t *testing.T) {
	flooded(t, func(r *running) {
		r.text("retried", nurse)
		_, first := r.last(1)
		const waiting = 4
		r.flood(waiting)
		r.answer(answered(503))
		time.Sleep(firstBackoff)
		r.settle()
		for n := 2; n < 2+markAhead; n++ {
			if _, m := r.last(n); m.CallID == first.CallID {
				return
			}
			r.flood(1)
			r.answer(answered(200))
			r.settle()
		}
		t.Errorf("%d messages of somebody else were sent since the back-off was over, and it has not left", markAhead)
	})
}

// markedAtMost is how many rows of a destination say that their requests may have left, though
// they have not: each new sender gets a share of markAhead, and nobody's marks are taken back.
func markedAtMost() (n int) {
	for senders := 1; senders <= markAhead; senders++ {
		n += markAhead / senders
	}
	return n
}

// What is written ahead is bounded for a destination, however many senders it has.
func TestMarksAreBounded(t *testing.T) {
	flooded(t, func(r *running) {
		r.flood(1)
		for s := range 3 * markAhead {
			var batch []mapping.XMPP
			for i := range markAhead + 1 {
				batch = append(batch, fromXMPP(fmt.Sprint("m", s, i), fmt.Sprintf("user%d@example.com/x", s), "romeo@sip.example.com", "one of many"))
			}
			r.FromXMPP(batch)
			r.settle()
			if got := len(r.marked()); got > 1+markedAtMost() {
				t.Fatalf("with %d senders %d rows say that their requests may have left, want at most %d and the one that has", s+1, got, markedAtMost())
			}
		}
		for n := 1; n < 40; n++ {
			r.last(n)
			r.answer(answered(200))
			r.settle()
			if got := len(r.marked()); got > 1+markedAtMost() {
				t.Fatalf("after %d requests %d rows say that theirs may have left, want at most %d and the one that has", n, got, markedAtMost())
			}
		}
	})
}
