package presence

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// subscribeTo has many users subscribe to a contact of each host in turn.
func (h *harness) subscribeTo(n int, user func(i int) string, host func(i int) string) {
	for i := range n {
		h.FromXMPP([]mapping.XMPP{&mapping.XMPPPresence{From: mapping.MustParseJID(user(i)),
			To: mapping.MustParseJID(fmt.Sprintf(`r%d\40%s@sip.example.com`, i, host(i))), Type: mapping.Subscribe}})
	}
	h.settle()
}

func userOf(i int) string { return fmt.Sprintf("u%d@example.com", i) }

// A destination that does not answer has eight requests open and no more, and is in nobody
// else's way.
func TestDeadDestination(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t)
		h.subscribeTo(200, userOf, func(int) string { return "dead.example" })
		if got := len(h.takeRequests()); got != maxOpenAt {
			t.Fatalf("%d requests are open, want %d", got, maxOpenAt)
		}
		h.wait(10 * time.Second)
		h.wantNothingToSIP()
		h.presence(juliet, romeo, mapping.Subscribe)
		d := h.wantSubscribe(3600)
		h.accept(d, 3600)
		h.wantStatus(200, d.notify("active;expires=3600", document("x open")))
	})
}

// The pace: fifty at once and fifty a second, whoever they are for.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t)
		h.subscribeTo(1000, userOf, func(i int) string { return fmt.Sprintf("h%d.example", i) })
		if got := len(h.takeRequests()); got != paceAtOnce {
			t.Errorf("%d at once, want %d", got, paceAtOnce)
		}
		for i := range 10 {
			h.wait(time.Second)
			if got := len(h.takeRequests()); got < paceRate-1 || got > paceRate+1 {
				t.Errorf("%d in second %d, want %v", got, i+1, paceRate)
			}
		}
		if got := h.Tally(); got.Waiting == 0 || got.Waiting > 1000 {
			t.Errorf("counted %+v", got)
		}
	})
}

// Within a destination it is first come, first served; the destinations take turns.
func TestTurnsOfDestinations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t)
		h.subscribeTo(100, userOf, func(i int) string { return []string{"a.example", "b.example"}[i/99] })
		last := map[string]int{"a.example": -1, "b.example": -1}
		seen := 0
		for range 40 {
			for _, p := range h.takeRequests() {
				v := p.Value.(*mapping.SIPSubscribe)
				var i int
				fmt.Sscanf(v.To.User, "r%d", &i)
				if i <= last[v.To.Host] {
					t.Errorf("%d goes after %d", i, last[v.To.Host])
				}
				last[v.To.Host] = i
				if seen++; v.To.Host == "b.example" && seen > 2*maxOpenAt {
					t.Errorf("the other destination had its turn only after %d", seen)
				}
				h.outcome(p.Ref, answer(404, nil))
			}
			h.wait(time.Second)
		}
		if seen != 100 {
			t.Errorf("%d were sent, want all", seen)
		}
		h.wantNothingLeft()
	})
}

// One user does not take the pace away from all others: so many dialogs at once, and four a
// second after that, however often he changes his mind.
func TestOneUserBegins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t)
		sent := 0
		for second := range 30 {
			for i := range 20 {
				contact := fmt.Sprintf(`r%d\40h%d.example@sip.example.com`, i, i)
				h.presence(juliet, contact, mapping.Subscribe)
				h.presence(juliet, contact, mapping.Unsubscribe)
			}
			h.presence(juliet, fmt.Sprintf(`k%d\40k.example@sip.example.com`, second), mapping.Subscribe)
			h.wait(time.Second)
			for _, p := range h.takeRequests() {
				sent++
				h.outcome(p.Ref, answer(404, nil))
			}
		}
		if most := beginAtOnce + 4*31; sent > most {
			t.Errorf("%d dialogs were begun in 30 s, want %d at most", sent, most)
		}
		for range 300 {
			h.wait(time.Second)
			for _, p := range h.takeRequests() {
				h.outcome(p.Ref, answer(404, nil))
			}
		}
		h.wantNothingLeft()
	})
}

// What nobody wants any more does not take a turn.
func TestTurnGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t)
		h.subscribeTo(20, userOf, func(int) string { return "a.example" })
		open := h.takeRequests()
		for i := range 20 {
			h.presence(userOf(i), fmt.Sprintf(`r%d\40a.example@sip.example.com`, i), mapping.Unsubscribe)
		}
		for _, p := range open {
			h.outcome(p.Ref, answer(200, nil))
		}
		h.wait(time.Minute)
		h.wantNothingToSIP()
		h.wantNothingLeft()
	})
}

// Thousands of refreshes do not come at the same time.
func TestRefreshesAreSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t)
		h.watchMany(2000)
		begin := time.Now()
		most, n := 0, 0
		for time.Since(begin) < 31*time.Minute {
			h.wait(500 * time.Millisecond)
			all := h.takeRequests()
			for _, p := range all {
				h.outcome(p.Ref, answer(200, &mapping.EventAnswer{Expires: 3600}))
			}
			n += len(all)
			most = max(most, len(all))
		}
		if n != 2000 || most > maxOpenAt {
			t.Errorf("%d refreshes, up to %d in half a second", n, most)
		}
	})
}

// Contacts of one user that do not answer are not in the way of other users at the same
// destination.
func TestDeadContactsOfOneUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t)
		for i := range 60 {
			h.presence("tybalt@example.com", fmt.Sprintf("r%d@example.net", i), mapping.Subscribe)
		}
		if got := len(h.takeRequests()); got != maxOpenOf {
			t.Fatalf("%d requests of one user are open, want %d", got, maxOpenOf)
		}
		h.presence(juliet, romeo, mapping.Subscribe)
		h.accept(h.wantSubscribe(3600), 3600)
		h.presence("nurse@example.com", romeo, mapping.Subscribe)
		h.accept(h.wantSubscribe(3600), 3600)
	})
}

// Ends of dialogs do not pile up behind a destination that does not answer.
func TestEndsDoNotPileUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t)
		h.watching("x open")
		for i := range maxOpenAt {
			h.presence(userOf(i), fmt.Sprintf("r%d@example.net", i), mapping.Subscribe)
		}
		if got := len(h.takeRequests()); got != maxOpenAt {
			t.Fatalf("%d requests are open, want %d", got, maxOpenAt)
		}
		h.presence(juliet, romeo, mapping.Unsubscribe)
		h.wantXMPP("unavailable romeo@example.net/x > juliet@example.com")
		h.wait(endWithin)
		h.mu.Lock()
		if got := len(h.subscriber.ending); got != 0 {
			t.Errorf("%d ends wait, want none", got)
		}
		h.mu.Unlock()
		for _, p := range h.takeStanzas() {
			if describe(p.Value) == "unsubscribed romeo@example.net > juliet@example.com" {
				return
			}
		}
		t.Error("she is not told that it has ended")
	})
}
