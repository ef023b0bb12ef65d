package presence

import (
	"fmt"
	"testing"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// PRES-14: who does not watch a contact asks for it once, and for himself alone.
func TestPoll(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		h.presence(juliet+"/balcony", romeo, mapping.Probe)
		d := h.wantSubscribe(0)
		if d.ToTag != "" || d.RequestURI.String() != "sip:romeo@example.net" {
			t.Errorf("the poll is %+v", d.SIPEvent)
		}
		h.presence(juliet+"/balcony", romeo, mapping.Probe) // once is enough
		h.wantNothingToSIP()
		h.accept(d, 0)
		h.wantXMPP()
		h.wantStatus(200, d.notify("terminated;reason=timeout", document("a open", "b closed")))
		h.wantXMPP("available romeo@example.net/a > juliet@example.com/balcony", "unavailable romeo@example.net/b > juliet@example.com/balcony")
		h.wantStatus(481, d.notify("active;expires=3", document("c open")))
		h.wait(time.Minute)
		h.wantXMPP()
		h.wantNothingLeft()
	})
}

// A poll that gives nothing tells nothing.
func TestPollFails(t *testing.T) {
	for name, f := range map[string]func(h *harness, d *asked){
		"refused":   func(h *harness, d *asked) { h.outcome(d.ref, answer(403, nil)) },
		"unknown":   func(h *harness, d *asked) { h.outcome(d.ref, answer(404, nil)) },
		"no answer": func(h *harness, d *asked) { h.outcome(d.ref, mapping.Outcome{Kind: mapping.Unknown}) },
		"no notify": func(h *harness, d *asked) { h.accept(d, 0) },
		"pending": func(h *harness, d *asked) {
			h.wantStatus(200, d.notify("pending;expires=0", document("x open")))
			h.accept(d, 0)
		},
		"without body": func(h *harness, d *asked) {
			h.wantStatus(200, d.notify("terminated;reason=rejected", ""))
			h.accept(d, 0)
		},
		"not a document": func(h *harness, d *asked) {
			h.wantStatus(400, d.notify("terminated;reason=timeout", "x"))
			h.accept(d, 0)
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, h *harness) {
				h.presence(juliet, romeo, mapping.Probe)
				f(h, h.wantSubscribe(0))
				h.wait(5 * time.Minute)
				h.wantXMPP()
				h.wantNothingToSIP()
				h.wantNothingLeft()
			})
		})
	}
}

// Probes for nobody, or from a storm, cost little.
func TestPollBounds(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		h.presence(juliet, "romeo@elsewhere.example", mapping.Probe)
		for i := range 100 {
			h.presence(juliet, fmt.Sprintf("r%d@example.net", i), mapping.Probe)
		}
		n := 0
		for all := h.takeRequests(); len(all) > 0; all = h.takeRequests() {
			for _, p := range all {
				n++
				h.outcome(p.Ref, answer(404, nil))
			}
		}
		if n != maxPollsOf {
			t.Errorf("%d polls of one user at once, want %d", n, maxPollsOf)
		}
		h.presence(juliet, romeo, mapping.Probe)
		h.wantNothingToSIP() // the places are taken for a while
		h.wait(pollEvery)
		h.presence(juliet, romeo, mapping.Probe)
		h.outcome(h.wantSubscribe(0).ref, answer(404, nil))
		h.wait(time.Minute)
		h.wantNothingLeft()
	})
}

// PRES-03: who is not granted yet learns nothing by a probe.
func TestProbeWhilePending(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		h.presence(juliet, romeo, mapping.Subscribe)
		d := h.wantSubscribe(3600)
		h.wantStatus(200, d.notify("pending;expires=3600", ""))
		h.presence(juliet, romeo, mapping.Probe)
		h.wantXMPP()
		h.wantNothingToSIP()
	})
}
