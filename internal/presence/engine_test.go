package presence

import (
	"log/slog"
	"strconv"
	"sync"
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

// What was decided later comes later, whoever has decided it.
func TestHandedOnInOrder(t *testing.T) {
	const deciders, each = 8, 500
	side := &fakeSide{}
	e := New(fakeXMPP{side}, fakeSIP{side}, Options{Policy: testPolicy(t)}, slog.New(slog.DiscardHandler))
	decided := 0 // guarded by e.mu
	var wg sync.WaitGroup
	for range deciders {
		wg.Go(func() {
			for range each {
				out := e.lock()
				decided++
				out.stanza(&mapping.XMPPPresence{ID: strconv.Itoa(decided)})
				e.unlock(out)
			}
		})
	}
	wg.Wait()
	if len(side.stanzas) != deciders*each {
		t.Fatalf("%d stanzas, want %d", len(side.stanzas), deciders*each)
	}
	for i, p := range side.stanzas {
		if id := p.Value.(*mapping.XMPPPresence).ID; id != strconv.Itoa(i+1) {
			t.Fatalf("the %dth stanza was decided as number %s", i+1, id)
		}
	}
}
