package presence

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// Both sides, the policy and who counts may come at the same time.
func TestWatchersAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		const contacts, rounds = 4, 40
		var all sync.WaitGroup
		for c := range contacts {
			contact := fmt.Sprintf("u%d@example.net", c)
			from := mapping.MustParseURI("sip:" + contact)
			user := mapping.MustParseJID(julietJID)
			all.Go(func() {
				for i := range rounds {
					v := h.agent(fmt.Sprintf("c%d-%d", c, i), func(v *mapping.SIPSubscribe) { v.From, v.CSeq, v.Expires = from, 1, 600*(i%2) }).next
					h.FromSIP([]mapping.Parcel[mapping.SIP]{{Ref: contact, Value: &v}})
				}
			})
			all.Go(func() {
				for i := range rounds {
					h.FromXMPP([]mapping.XMPP{
						&mapping.XMPPPresence{From: user, To: mapping.MustParseJID(contact), Type: []mapping.PresenceType{mapping.Subscribed, mapping.Unsubscribed}[i/10%2]},
						&mapping.XMPPPresence{From: mapping.MustParseJID(fmt.Sprintf("%s/r%d", julietJID, i%4)), To: mapping.MustParseJID(contact)},
					})
				}
			})
		}
		all.Go(func() {
			for range rounds {
				for _, p := range h.takeRequests() {
					h.SIPOutcomes([]mapping.Result{{Ref: p.Ref, Outcome: answer(200, nil)}})
				}
				h.SetPolicy(h.options.Policy)
				h.Tally()
			}
		})
		all.Wait()
		h.settle()
		h.side.mu.Lock()
		answered := len(h.side.answers)
		h.side.mu.Unlock()
		if answered != contacts*rounds {
			t.Errorf("%d answers to %d requests", answered, contacts*rounds)
		}
		for range 20 {
			h.answerAll(200)
			h.wait(time.Minute)
		}
		h.wait(time.Hour)
		h.answerAll(200)
		if got := h.Tally(); got.Watchers != 0 {
			t.Errorf("counted %+v", got)
		}
	})
}
