package presence

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// Both sides, time and an admin at the same time: every NOTIFY has one answer, and when all
// have unsubscribed nothing is left.
func TestSubscriberRace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t)
		const workers, each = 4, 150
		var wg sync.WaitGroup
		var notifies [workers]int
		for w := range workers {
			wg.Add(1)
			go func() {
				defer wg.Done()
				h.disturb(w, each, &notifies[w], rand.New(rand.NewPCG(uint64(w), 5)))
			}()
		}
		wg.Wait()
		h.settle()
		seen := map[any]int{}
		h.side.mu.Lock()
		for _, a := range h.side.answers {
			seen[a.Ref]++
		}
		h.side.mu.Unlock()
		for ref, n := range seen {
			if n != 1 {
				t.Errorf("NOTIFY %v has got %d answers", ref, n)
			}
		}
		sent := 0
		for _, n := range notifies {
			sent += n
		}
		if len(seen) != sent || sent == 0 {
			t.Errorf("%d of %d NOTIFYs were answered", len(seen), sent)
		}
		for w := range workers {
			for i := range 5 {
				h.presence(userOf(i), fmt.Sprintf("r%d@example.net", w), mapping.Unsubscribe)
			}
		}
		for range 10 {
			for _, p := range h.takeRequests() {
				h.outcome(p.Ref, answer(481, nil))
			}
			h.wait(time.Minute)
		}
		h.wantNothingLeft()
	})
}

// disturb is what one goroutine does; it counts the NOTIFYs.
func (h *harness) disturb(w, n int, notifies *int, rng *rand.Rand) {
	for range n {
		user, contact := mapping.MustParseJID(userOf(rng.IntN(5))), mapping.MustParseJID(fmt.Sprintf("r%d@example.net", rng.IntN(4)))
		switch rng.IntN(8) {
		case 0, 1:
			h.FromXMPP([]mapping.XMPP{&mapping.XMPPPresence{From: user, To: contact, Type: mapping.Subscribe}})
		case 2:
			h.FromXMPP([]mapping.XMPP{&mapping.XMPPPresence{From: user, To: contact, Type: mapping.Unsubscribe}})
		case 3:
			h.FromXMPP([]mapping.XMPP{&mapping.XMPPPresence{From: user, To: contact, Type: mapping.Probe}, &mapping.XMPPReady{Name: contact.DomainJID()}})
		case 4:
			h.SetPolicy(h.options.Policy)
		case 5:
			time.Sleep(time.Duration(rng.IntN(40)) * time.Second)
		default:
			for _, p := range h.takeRequests() {
				d := &asked{SIPSubscribe: p.Value.(*mapping.SIPSubscribe), tag: "ffd2"}
				*notifies++
				h.FromSIP([]mapping.Parcel[mapping.SIP]{{Ref: [2]int{w, *notifies}, Value: d.notify("active;expires=3600", document("x open"))}})
				h.SIPOutcomes([]mapping.Result{{Ref: p.Ref, Outcome: answer([]int{200, 500, 481}[rng.IntN(3)], nil)}})
			}
		}
	}
}
