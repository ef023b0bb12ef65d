package presence

import (
	"testing"
	"testing/synctest"

	"github.com/stoxgw/stox/mapping"
)

// Whatever is not about events is answered, too: once and at once.
func TestForeignMethod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t)
		if got := statusOf(h.fromSIP(&mapping.SIPMessage{})); got != 405 {
			t.Errorf("a MESSAGE is answered %d, want 405", got)
		}
		h.wantXMPP()
		h.wantNothingToSIP()
		h.wantEmpty()
	})
}
