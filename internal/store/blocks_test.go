package store

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func blocksIn(t *testing.T, s *Store) (all []Block) {
	t.Helper()
	if err := s.LoadBlocks(func(batch []Block) error { all = append(all, batch...); return nil }); err != nil {
		t.Fatal(err)
	}
	return all
}

func usageIn(t *testing.T, s *Store, day string) (all []Usage) {
	t.Helper()
	if err := s.LoadUsage(day, func(batch []Usage) error { all = append(all, batch...); return nil }); err != nil {
		t.Fatal(err)
	}
	return all
}

// reopened is what another run finds, where there is a file.
func reopened(t *testing.T, r *running, path string) *Store {
	t.Helper()
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	if path == "" {
		return r.Store
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	s := mustOpen(t, path, Options{})
	t.Cleanup(func() { s.Close() })
	return s
}

// What is blocked is there after a restart, in order, and what was taken back is not.
func TestBlocks(t *testing.T) {
	engines(t, func(t *testing.T, path string) {
		r := start(t, mustOpen(t, path, Options{}))
		if got := blocksIn(t, r.Store); len(got) != 0 {
			t.Errorf("a new store has %v", got)
		}
		at := time.UnixMilli(1_800_000_000_123)
		r.PutBlocks([]Block{{"", "sip:a@x", at}, {"u@x", "sip:a@x", at}, {"u@x", "sip:b@x", at}})
		r.flushed()
		r.PutBlocks([]Block{{"u@x", "sip:a@x", at.Add(time.Hour + time.Microsecond)}, {"u@x", "sip:b@x", time.Time{}}, {"v@x", "sip:b@x", time.Time{}}})
		want := []Block{{"", "sip:a@x", at}, {"u@x", "sip:a@x", at.Add(time.Hour)}}
		var more []Block
		for i := range 2*readRows + 1 { // several reads
			more = append(more, Block{"w@x", fmt.Sprintf("sip:%06d@x", i), at})
		}
		r.PutBlocks(more)
		r.PutBlocks(nil)
		if got := blocksIn(t, reopened(t, r, path)); !slices.Equal(got, append(want, more...)) {
			t.Errorf("%d blocks: %v", len(got), got[:min(len(got), 5)])
		}
	})
}

// The last count of a user and a day is kept, and days go when they are old.
func TestUsage(t *testing.T) {
	engines(t, func(t *testing.T, path string) {
		now := time.Now()
		today, old, last := now.Format(time.DateOnly), now.AddDate(0, 0, -usageDays-2).Format(time.DateOnly), now.AddDate(0, 0, -usageDays+2).Format(time.DateOnly)
		r := start(t, mustOpen(t, path, Options{}))
		r.PutUsage([]Usage{{today, "u@x", 1}, {old, "u@x", 7}, {last, "u@x", 8}})
		r.flushed()
		var want []Usage
		for i := range readRows + 1 {
			u := Usage{today, fmt.Sprintf("t%06d@x", i), i}
			r.PutUsage([]Usage{{u.Day, u.User, 99999}, u})
			want = append(want, u)
		}
		r.PutUsage([]Usage{{today, "u@x", 3}, {today, "u@x", 2}})
		r.PutUsage(nil)
		s := reopened(t, r, path)
		if got := usageIn(t, s, today); !slices.Equal(got, append(want, Usage{today, "u@x", 2})) {
			t.Errorf("%d counts: %v", len(got), got[:min(len(got), 5)])
		}
		if got := usageIn(t, s, last); !slices.Equal(got, []Usage{{last, "u@x", 8}}) {
			t.Errorf("a day that is kept: %v", got)
		}
		if got := usageIn(t, s, old); len(got) != 0 {
			t.Errorf("an old day: %v", got)
		}
	})
}

// What a failed commit had is written by the next one, in its newest version; and what waits
// is bounded.
func TestBlocksAndUsageAcrossAFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f := openFlaky(t, Options{})
		at := time.UnixMilli(1_800_000_000_123)
		day := time.Now().Format(time.DateOnly)
		r := start(t, s)
		f.set(ErrIO)
		r.PutBlocks([]Block{{"u@x", "a", at}, {"u@x", "b", at}})
		r.PutUsage([]Usage{{day, "u@x", 1}, {day, "v@x", 1}, {day, "u@x", 2}})
		r.await("the fault", func() bool { return r.Ready() != nil })
		r.PutBlocks([]Block{{"u@x", "b", time.Time{}}})
		r.PutUsage([]Usage{{day, "u@x", 3}})
		f.set(nil)
		r.flushed()
		if got := blocksIn(t, s); !slices.Equal(got, []Block{{"u@x", "a", at}}) {
			t.Errorf("blocks: %v", got)
		}
		if got := usageIn(t, s, day); !slices.Equal(got, []Usage{{day, "u@x", 3}, {day, "v@x", 1}}) {
			t.Errorf("usage: %v", got)
		}
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
	var q queue
	for i := range maxBlocksWait + 1 {
		q.blocks = append(q.blocks, Block{"u@x", fmt.Sprint(i), time.Now()})
		q.usage = append(q.usage, Usage{"2026-03-01", fmt.Sprint(i), 1})
	}
	q.boundBlocksLocked()
	q.boundUsageLocked()
	if len(q.blocks) != maxBlocksWait/2 || len(q.usage) != maxUsageWait/2 || q.dropped != maxBlocksWait/2+maxUsageWait/2+2 {
		t.Errorf("%d blocks and %d counts wait, %d were dropped", len(q.blocks), len(q.usage), q.dropped)
	}
}
