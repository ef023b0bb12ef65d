package presence

import (
	"fmt"
	"testing"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// fill has the room for relations taken by contacts who have asked and went away.
func (h *harness) fill(n int, state State) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range n {
		r := h.relations.add(pair{mapping.MustParseJID(fmt.Sprintf("nobody%d@example.com", i/256)), mapping.MustParseJID(fmt.Sprintf("s%d@example.net", i))})
		r.state, r.since = state, time.Now()
	}
}

// Strangers who ask for everybody under many names and go do not keep anybody from
// subscribing for a day.
func TestStrangersTakeAllTheRoom(t *testing.T) {
	for _, alone := range []bool{true, false} {
		t.Run(fmt.Sprint("alone=", alone), func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *harness) {
				p := testPolicy(t)
				p.Alone = alone
				h.SetPolicy(p)
				n := maxRelations
				if !alone {
					n /= 2
				}
				h.fill(n, WatcherAsked)
				h.presence("nurse@example.com", "tybalt@example.net", mapping.Subscribe)
				h.wantSubscribe(3600)
				h.wantXMPP()
				a := h.agent("c1")
				a.wants(a.subscribe(600), 200)
				h.wantTold("c1 pending 600")
				if got := h.Tally().Relations; got != n {
					t.Errorf("%d relations, want %d", got, n)
				}
			})
		})
	}
}

// What users have declined is not forgotten for a contact that gains no room by it.
func TestDeclinedIsNotForgottenInVain(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		h.mu.Lock()
		declined := h.relations.add(pair{mapping.MustParseJID("nurse@example.com"), mapping.MustParseJID("tybalt@example.net")})
		declined.state = WatcherDeclined
		for i := range maxRelationsOf / 2 {
			r := h.relations.add(pair{mapping.MustParseJID(julietJID), mapping.MustParseJID(fmt.Sprintf("u%d@example.net", i))})
			r.state = WatcherGranted
		}
		h.mu.Unlock()
		for i := range 5 {
			a := h.agent(fmt.Sprintf("c%d", i))
			a.wants(a.subscribe(600), 503)
		}
		if got := h.state("nurse@example.com", "tybalt@example.net"); got != WatcherDeclined {
			t.Errorf("what another user has said is %d now", got)
		}
	})
}

// A relation that was written down while the clock was years ahead does not keep a user from
// being asked for as long.
func TestClockWasAhead(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		h.book.PutRelations([]Relation{{User: mapping.MustParseJID(julietJID), Contact: mapping.MustParseJID(romeoJID),
			State: WatcherAsked, Since: time.Now().Add(10 * 365 * 24 * time.Hour)}})
		h.restart()
		h.wait(askAgain + time.Minute)
		a := h.agent("c1")
		a.wants(a.subscribe(600), 200)
		h.wantXMPP("subscribe romeo@example.net > juliet@example.com")
	})
}
