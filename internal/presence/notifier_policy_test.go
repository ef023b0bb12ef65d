package presence

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// Once SetPolicy has returned nobody watches who may not, whenever his request came: it was
// there before, and was ended; or it came after, and was refused.
func TestPolicyChangeWhileRequestsCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t)
		closed := h.options.Policy
		closed.Access = mapping.Access{}
		ended := 0
		for i := range 2000 {
			h.SetPolicy(h.options.Policy)
			v := h.agent(fmt.Sprint("c", i)).next
			v.CSeq, v.Expires = 1, 3600
			var both sync.WaitGroup
			both.Go(func() { h.FromSIP([]mapping.Parcel[mapping.SIP]{{Value: &v}}) })
			both.Go(func() { h.SetPolicy(closed) })
			both.Wait()
			h.mu.Lock()
			n := len(h.notifier.dialogs)
			h.mu.Unlock()
			if n != 0 {
				t.Fatalf("at the %d. time %d may watch still", i, n)
			}
			h.wait(time.Second)
			ended += len(h.answerAll(200))
			h.takeStanzas()
		}
		if ended == 0 {
			t.Error("no request was taken")
		}
	})
}

// Who may not watch any more by the configuration of the next start is told so by that.
func TestPolicyChangeOverARestart(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		h.grant()
		h.watcher("c1")
		h.options.Policy.Access = mapping.Access{}
		h.restart()
		h.wantTold("c1 terminated rejected")
		if _, ds := h.book.kept(); len(ds) != 0 {
			t.Errorf("%d dialogs are kept", len(ds))
		}
	})
}
