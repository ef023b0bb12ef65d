package presence

import (
	"testing"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// PRES-20, PRES-21, PRES-22 (P-013, P-014): documents are complete; there is one in 5 s at
// most; and when the last resource goes, it is closed.
func TestDevices(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		h.watcher("c1")
		h.grant()
		h.wantTold("c1 active 3600")
		h.show("a", mapping.Available, nil)
		h.wantTold("c1 active 3600 ID-a=open")
		h.show("b", mapping.Available, &mapping.Resource{Show: mapping.ShowAway})
		h.show("b", mapping.Available, &mapping.Resource{Show: mapping.ShowXA})
		h.show("c", mapping.Available, nil)
		h.wait(5*time.Second - time.Millisecond)
		h.wantTold()
		h.wait(time.Millisecond)
		h.wantTold("c1 active 3595 ID-a=open ID-b=openxa ID-c=open")
		h.show("c", mapping.Available, nil) // nothing new
		h.wait(5 * time.Second)
		h.wantTold()
		h.show("a", mapping.Unavailable, nil)
		h.wantTold("c1 active 3590 ID-b=openxa ID-c=open")
		h.show("b", mapping.Unavailable, nil)
		h.show("c", mapping.Unavailable, &mapping.Resource{Status: []mapping.Text{{Value: "good night"}}})
		h.wait(5 * time.Second)
		h.wantTold("c1 active 3585 ID-c=closedgood night")
		h.presence(julietJID, romeoJID, mapping.Unavailable) // all of them: known
		h.wait(5 * time.Second)
		h.wantTold()
		h.show("a", mapping.Available, nil)
		h.wantTold("c1 active 3580 ID-a=open")
		h.show("b", mapping.Available, nil)
		h.presence(julietJID, romeoJID, mapping.Unavailable) // all of them
		h.wait(5 * time.Second)
		h.wantTold("c1 active 3575 ID-a=closed")
	})
}

// Several resources that come in one go are said in one go.
func TestDevicesTogether(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		h.watcher("c1")
		h.grant()
		h.wantTold("c1 active 3600")
		h.FromXMPP([]mapping.XMPP{
			&mapping.XMPPPresence{From: mapping.MustParseJID(julietJID + "/a"), To: mapping.MustParseJID(romeoJID)},
			&mapping.XMPPPresence{From: mapping.MustParseJID(julietJID + "/b"), To: mapping.MustParseJID(romeoJID)},
		})
		h.settle()
		h.wantTold("c1 active 3600 ID-a=open ID-b=open")
	})
}

// PRES-25: what is shown to one contact is said to that one only, and only once it is let in.
func TestShownToOne(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		h.watcher("c1")
		tybalt := func(v *mapping.SIPSubscribe) { v.From = mapping.MustParseURI("sip:tybalt@example.net") }
		h.watcher("c2", tybalt)
		h.show("a", mapping.Available, nil)
		h.wantTold()
		h.presence(julietJID, "tybalt@example.net", mapping.Subscribed)
		h.wantTold("c2 active 3600")
		h.grant()
		h.wantTold("c1 active 3600 ID-a=open")
		h.presence("nurse@example.com/x", romeoJID, mapping.Available)
		h.presence("nurse@example.com", romeoJID, mapping.Unsubscribed)
		h.presence("nurse@example.com/x", "tybalt@example.net", mapping.Available)
		h.wait(time.Minute)
		h.wantTold()
		h.wantXMPP()
	})
}
