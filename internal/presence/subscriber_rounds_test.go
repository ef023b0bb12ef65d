package presence

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// GW-08: when the link is back what is known is told again; not under another name.
func TestLinkUp(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		h.watching("x open", "y closed")
		h.stanza(&mapping.XMPPReady{Name: mapping.MustParseJID("sip.example.com")})
		h.wantXMPP()
		h.stanza(&mapping.XMPPReady{Name: mapping.MustParseJID("example.net")})
		h.wantXMPP("available romeo@example.net/x > juliet@example.com")
		h.wantNothingToSIP()
	})
}

// GW-08, GW-10: thousands are not told of all at once.
func TestRoundsArePaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t)
		const n = 1000
		h.watchMany(n)
		h.stanza(&mapping.XMPPReady{Name: mapping.MustParseJID("example.net")})
		if got := len(h.takeStanzas()); got != roundBatch {
			t.Errorf("%d stanzas at once, want %d", got, roundBatch)
		}
		h.wait(2 * time.Second)
		if got := len(h.takeStanzas()); got != n-roundBatch {
			t.Errorf("%d stanzas in 2 s, want %d", got, n-roundBatch)
		}
		h.Drain()
		h.Drain()
		h.wait(2 * time.Second)
		left := h.takeStanzas()
		if len(left) != n {
			t.Errorf("%d stanzas at the end, want %d", len(left), n)
		}
		for _, p := range left {
			if p.Value.(*mapping.XMPPPresence).Type != mapping.Unavailable {
				t.Fatalf("told %s", describe(p.Value))
			}
		}
		h.wait(time.Hour)
		h.wantXMPP()
		h.wantNothingToSIP()
	})
}

// watchMany has n users watch a contact each, who is there.
func (h *harness) watchMany(n int) {
	h.t.Helper()
	done := 0
	for i := range n {
		h.FromXMPP([]mapping.XMPP{&mapping.XMPPPresence{From: mapping.MustParseJID(fmt.Sprintf("u%d@example.com", i)),
			To: mapping.MustParseJID(fmt.Sprintf("r%d@example.net", i)), Type: mapping.Subscribe}})
	}
	for range n {
		h.settle()
		for _, p := range h.takeRequests() {
			d := &asked{SIPSubscribe: p.Value.(*mapping.SIPSubscribe), ref: p.Ref, tag: "ffd2"}
			h.outcome(p.Ref, answer(200, &mapping.EventAnswer{Expires: 3600}))
			h.wantStatus(200, d.notify("active;expires=3600", document("x open")))
			done++
		}
		if done == n {
			break
		}
		h.wait(100 * time.Millisecond)
	}
	if got := len(h.takeStanzas()); got != 2*n || done != n {
		h.t.Fatalf("%d of %d were asked for, and %d stanzas told of them", done, n, got)
	}
}

// Once the end has begun nobody is shown, nothing is begun, and what there is is answered.
func TestDraining(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		d := h.watching("x open")
		h.Drain()
		h.settle()
		h.wantXMPP("unavailable romeo@example.net/x > juliet@example.com")
		h.wantStatus(200, d.notify("active;expires=3600", document("y open")))
		h.presence(juliet, "tybalt@example.net", mapping.Subscribe)
		h.presence("nurse@example.com", romeo, mapping.Probe)
		h.presence(juliet, romeo, mapping.Probe)
		h.wantNothingToSIP()
		for _, p := range h.takeStanzas() {
			if v := p.Value.(*mapping.XMPPPresence); v.Type == mapping.Available {
				t.Errorf("told %s", describe(v))
			}
		}
		h.restart()
		h.waitForRequest(11 * time.Minute)
		asked := make(map[string]bool) // nobody answers, so that one may be asked several times before the other
		for range 12 {
			for _, p := range h.takeRequests() {
				asked[p.Value.(*mapping.SIPSubscribe).To.String()] = true
				// What has no outcome keeps the turn of the other one from coming.
				h.outcome(p.Ref, mapping.Outcome{Kind: mapping.Unknown, Failure: mapping.FailTimeout()})
			}
			h.wait(time.Minute)
		}
		if len(asked) != 2 || !asked["sip:romeo@example.net"] || !asked["sip:tybalt@example.net"] {
			t.Errorf("asked after the start: %v", asked)
		}
	})
}
