package main

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// stalls knows how long the disk has taken at times: a commit of stox takes as long,
// and what it has read meanwhile is in the gap for as long.
type stalls struct {
	mu   sync.Mutex // guards the following
	slow []stall
}

type stall struct{ from, to time.Time }

const (
	probeEvery = 25 * time.Millisecond
	stalled    = 50 * time.Millisecond // what is quicker is nothing to speak of
)

// watch writes and syncs a file in dir, over and over, until ctx is done.
func (s *stalls) watch(ctx context.Context, dir string) error {
	f, err := os.Create(filepath.Join(dir, "probe"))
	if err != nil {
		return err
	}
	defer f.Close()
	beat := time.NewTicker(probeEvery)
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-beat.C:
		}
		from := time.Now()
		if _, err := f.WriteAt([]byte("probe"), 0); err != nil {
			return err
		}
		if err := f.Sync(); err != nil {
			return err
		}
		s.note(from, time.Now())
	}
}

func (s *stalls) note(from, to time.Time) {
	if to.Sub(from) < stalled {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.slow = append(s.slow, stall{from, to})
}

// before is how long the slowest sync took of those that were under way in the last
// second before t.
func (s *stalls) before(t time.Time) (longest time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range s.slow {
		if st.from.Before(t) && st.to.After(t.Add(-time.Second)) {
			longest = max(longest, st.to.Sub(st.from))
		}
	}
	return longest
}
