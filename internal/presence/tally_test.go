package presence

import (
	"testing"
	"testing/synctest"
	"time"
)

// What is due and not seen to shows, from the moment on at which Run could have seen to it.
func TestBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t)
		due := func(after time.Duration) {
			out := h.lock()
			h.at(out, new(timer), out.now.Add(after), func(*work) {})
			h.unlock(out)
		}
		due(10 * time.Second)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if got := h.Tally().Behind; got != 0 {
			t.Errorf("behind by %v with nothing due", got)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := h.Tally().Behind; got != 0 {
			t.Errorf("behind by %v although Run has seen to it", got)
		}
		h.stop() // stands for a Run that does not get on
		due(10 * time.Second)
		time.Sleep(time.Minute)
		if got := h.Tally().Behind; got != 50*time.Second {
			t.Errorf("behind by %v, want 50s", got)
		}
		h.tick()
		due(-time.Hour) // as an earlier run may leave it
		time.Sleep(time.Second)
		if got := h.Tally().Behind; got != time.Second {
			t.Errorf("behind by %v, want 1s", got)
		}
	})
}
