package store

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/internal/hist"
)

// Commits are measured, those that fail and the one that runs, too.
func TestStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f := openFlaky(t, Options{})
		r := start(t, s)
		synctest.Wait()
		was := s.Stats()
		f.gate = make(chan struct{})
		mustAppend(t, s, entry(1, "a"), entry(2, "b"), entry(3, "c"))
		synctest.Wait()
		if st := s.Stats(); st.Running.IsZero() || !st.Running.Equal(time.Now()) {
			t.Errorf("it runs since %v", st.Running)
		}
		time.Sleep(2 * time.Second)
		close(f.gate)
		r.committed(1, 2, 3)
		synctest.Wait()
		st := s.Stats()
		var rows hist.Histogram
		rows.Add(3, hist.Sizes)
		if took := st.CommitTime.Sum - was.CommitTime.Sum; took < 2 || took > 2.1 || st.CommitTime.N != was.CommitTime.N+1 {
			t.Errorf("it took %v s, %d commits", took, st.CommitTime.N-was.CommitTime.N)
		}
		if st.CommitRows != rows || st.Faults != 0 || st.Written != 3 {
			t.Errorf("%+v", st)
		}
		f.set(fault(ErrDiskFull, errors.New("boom")))
		mustAppend(t, s, entry(4, "d"))
		synctest.Wait()
		if st := s.Stats(); st.Faults != 1 || st.Failing == nil || !st.Running.IsZero() {
			t.Errorf("%+v", st)
		}
		f.set(nil)
		_ = r.stop()
	})
}
