package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(childEnv); path != "" {
		crashChild(path)
		return
	}
	goleak.VerifyTestMain(m)
}

// running is a store with its Run, and what it reported.
type running struct {
	*Store
	t    *testing.T
	stop func() error // ends Run and returns its error

	mu     sync.Mutex
	cond   *sync.Cond
	marks  []Mark
	failed []Mark
	errs   []error
	states []State
}

func start(t *testing.T, s *Store) *running {
	t.Helper()
	r := &running{Store: s, t: t}
	r.cond = sync.NewCond(&r.mu)
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan error, 1)
	go func() {
		over <- s.Run(ctx, Events{
			Committed: func(marks []Mark, err error) {
				r.note(func() {
					if err != nil {
						r.failed, r.errs = append(r.failed, marks...), append(r.errs, err)
						return
					}
					r.marks = append(r.marks, marks...)
				})
			},
			Changed: func(st State) { r.note(func() { r.states = append(r.states, st) }) },
		})
	}()
	r.stop = sync.OnceValue(func() error {
		cancel()
		return <-over
	})
	t.Cleanup(func() {
		_ = r.stop()
		_ = s.Close()
	})
	return r
}

func (r *running) note(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
	r.cond.Broadcast()
}

// await waits until ok, which is called with r.mu held, and gives up after a while.
func (r *running) await(what string, ok func() bool) {
	r.t.Helper()
	late := false
	timer := time.AfterFunc(30*time.Second, func() { r.note(func() { late = true }) })
	defer timer.Stop()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	over := make(chan struct{})
	defer close(over)
	go func() {
		for {
			select {
			case <-tick.C:
				r.note(func() {})
			case <-over:
				return
			}
		}
	}()
	r.mu.Lock()
	defer r.mu.Unlock()
	for !ok() {
		if late {
			r.t.Fatalf("never: %s; %+v", what, r.State())
		}
		r.cond.Wait()
	}
}

func (r *running) committed(ids ...uint64) {
	r.t.Helper()
	r.await(fmt.Sprint("committed ", ids), func() bool {
		for _, id := range ids {
			if !slices.ContainsFunc(r.marks, func(m Mark) bool { return m.ID == id }) {
				return false
			}
		}
		return true
	})
}

func (r *running) flushed() {
	r.t.Helper()
	r.await("flushed", func() bool { st := r.State(); return st.Unflushed == 0 && st.Waiting == 0 })
}

func mustOpen(t *testing.T, path string, o Options) *Store {
	t.Helper()
	s, err := Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustAppend(t *testing.T, s *Store, batch ...Entry) {
	t.Helper()
	if n, err := s.Append(batch); n != len(batch) || err != nil {
		t.Fatalf("Append took %d of %d: %v", n, len(batch), err)
	}
}

func mustLoad(t *testing.T, s interface{ Load(func(Entry) error) error }) []Entry {
	t.Helper()
	var all []Entry
	if err := s.Load(func(e Entry) error { all = append(all, e); return nil }); err != nil {
		t.Fatal(err)
	}
	return all
}

func idsOf(all []Entry) []uint64 {
	var ids []uint64
	for _, e := range all {
		ids = append(ids, e.ID)
	}
	return ids
}

func entry(id uint64, data string) Entry {
	return Entry{ID: id, Lane: "sip:romeo@example.net", Data: []byte(data), Read: time.UnixMilli(1_800_000_000_000), Expire: time.UnixMilli(1_800_000_300_000)}
}

// engines runs f for each engine.
func engines(t *testing.T, f func(t *testing.T, path string)) {
	t.Run("sqlite", func(t *testing.T) { f(t, filepath.Join(t.TempDir(), "stox.db")) })
	t.Run("memory", func(t *testing.T) { f(t, "") })
}

// flaky is an engine in memory whose commits wait for the test and fail on demand.
type flaky struct {
	*memory
	mu      sync.Mutex
	err     error         // what commits return
	after   bool          // the commit happens all the same
	gate    chan struct{} // if not nil, a commit of rows waits for it
	commits []work

	checkpoints int
	busy        bool // a reader is in the way of checkpoints
}

func (f *flaky) checkpoint() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.checkpoints++
	if f.busy {
		return errReaderBusy
	}
	return nil
}

func (f *flaky) commit(w *work) error {
	f.mu.Lock()
	gate := f.gate
	f.mu.Unlock()
	if gate != nil && len(w.put) > 0 {
		<-gate
	}
	f.mu.Lock()
	err, after := f.err, f.after
	had := *w
	had.put = slices.Clone(w.put) // which is used again
	f.commits = append(f.commits, had)
	f.mu.Unlock()
	if err != nil && !after {
		return err
	}
	return errors.Join(f.memory.commit(w), err)
}

// count returns how many commits were tried, and what came of them.
func (f *flaky) count() (commits, seen, trail int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.memory.mu.Lock()
	defer f.memory.mu.Unlock()
	return len(f.commits), len(f.seen), len(f.trail)
}

func (f *flaky) set(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

func openFlaky(t *testing.T, o Options) (*Store, *flaky) {
	s := mustOpen(t, "", o)
	f := &flaky{memory: s.b.(*memory)}
	s.b = f
	return s, f
}
