//go:build !race

package bench

import (
	"runtime"
	"testing"
)

// What a message may cost in allocations, all of the daemon counted: what is measured, and a
// fifth more, since how many messages share a batch is not always the same. More than that
// is a step back that somebody should have meant to make.
func TestAllocations(t *testing.T) {
	const n, window = 20_000, 16
	for name, c := range map[string]struct {
		run  func(w *world) func(n int)
		most float64
	}{
		"SIP to XMPP over UDP": {func(w *world) func(int) {
			c := w.caller("udp", 100, text(100))
			return func(n int) { w.fromSIP(c, n, window) }
		}, 11},
		"SIP to XMPP over TCP": {func(w *world) func(int) {
			c := w.caller("tcp", 100, text(100))
			return func(n int) { w.fromSIP(c, n, window) }
		}, 11},
		"XMPP to SIP": {func(w *world) func(int) {
			return func(n int) { w.fromXMPP(n, window, 100, text(100)) }
		}, 10},
	} {
		t.Run(name, func(t *testing.T) {
			run := c.run(start(t))
			run(2000) // connections, contacts, lanes: what is made once
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			run(n)
			runtime.ReadMemStats(&after)
			got := float64(after.Mallocs-before.Mallocs) / n
			t.Logf("%.1f allocations, %.0f octets a message", got, float64(after.TotalAlloc-before.TotalAlloc)/n)
			if got > c.most {
				t.Errorf("%.1f allocations a message, %.0f are allowed", got, c.most)
			}
			if got < c.most/2 {
				t.Errorf("%.1f allocations a message are less than half of the %.0f that are allowed: lower the bound", got, c.most)
			}
		})
	}
}
