package cli

import (
	"runtime/debug"
	"testing"
)

// What an admin has set stays.
func TestSetCollector(t *testing.T) {
	before := debug.SetGCPercent(120)
	t.Cleanup(func() { debug.SetGCPercent(before) })
	if setCollector([]string{"HOME=/root", "GOGC=300"}) {
		t.Error("set although the environment has GOGC")
	}
	if got := debug.SetGCPercent(120); got != 120 {
		t.Errorf("%d percent, want 120", got)
	}
	if !setCollector([]string{"HOME=/root", "GOGCX=1"}) {
		t.Error("not set")
	}
	if got := debug.SetGCPercent(120); got != collectAt {
		t.Errorf("%d percent, want %d", got, collectAt)
	}
}
