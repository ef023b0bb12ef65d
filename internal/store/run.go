package store

import (
	"context"
	"errors"
	"time"
)

const (
	// What was deleted leaves the disk when nothing was written for so long …
	checkpointIdle = 250 * time.Millisecond
	// … and under steady load as often as this.
	checkpointEvery = 30 * time.Second
	// So often the last commit is tried.
	finalTries = 3
)

type report struct {
	marks []Mark
	err   error
	state *State
	done  []func(error) // of accounts
}

// Run commits until ctx is done, then commits what is left, removes deleted text
// from the disk and returns. The error is that of the last commit: something
// may have been lost. Run may be called once.
func (s *Store) Run(ctx context.Context, ev Events) error {
	s.mu.Lock()
	if s.ran || s.closed {
		s.mu.Unlock()
		return errors.New("store: Run is called twice or after Close")
	}
	s.ran = true
	s.mu.Unlock()

	// Reports have a goroutine of their own, so that the next commit need not wait for them.
	reports := make(chan report, 256)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for r := range reports {
			if r.state != nil && ev.Changed != nil {
				ev.Changed(*r.state)
			}
			if len(r.marks) > 0 && ev.Committed != nil {
				ev.Committed(r.marks, r.err)
			}
			for _, done := range r.done {
				done(r.err)
			}
			s.mu.Lock()
			lay(&s.spare.marks, r.marks)
			s.mu.Unlock()
		}
	}()
	c := committer{s: s, reports: reports}
	err := c.run(ctx)
	close(reports)
	<-done
	return err
}

// committer is the goroutine that writes.
type committer struct {
	s       *Store
	reports chan<- report

	dirty     bool // something was deleted since the last checkpoint …
	dirtyAt   time.Time
	lastWrite time.Time
}

func (c *committer) run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		now := time.Now()
		c.s.mu.Lock()
		failing := c.s.failing != nil
		w, wait := c.s.takeLocked(now, false)
		c.s.mu.Unlock()
		if w != nil {
			_ = c.commit(w, failing) // reported
		} else if c.dirty && !failing {
			idle := checkpointIdle - now.Sub(c.lastWrite)
			if idle <= 0 {
				c.checkpoint(now)
				idle = checkpointIdle
			}
			if c.dirty {
				wait = min(wait, idle)
			}
		}
		if ctx.Err() != nil {
			return c.final()
		}
		if w != nil {
			if c.dirty && now.Sub(c.dirtyAt) >= checkpointEvery {
				c.checkpoint(now)
			}
			continue
		}
		timer.Reset(wait)
		select {
		case <-c.s.wake:
		case <-timer.C:
		case <-ctx.Done():
		}
	}
}

func (c *committer) commit(w *work, failing bool) error {
	var err error
	if failing {
		err = c.s.b.recover()
	}
	if err == nil {
		err = c.s.b.commit(w)
	}
	now := time.Now()
	if len(w.dead) > 0 || len(w.put) > 0 || len(w.accounts) > 0 {
		c.lastWrite = now
	}
	if (len(w.dead) > 0 || len(w.accounts) > 0) && !c.dirty {
		c.dirty, c.dirtyAt = true, now
	}
	c.s.mu.Lock()
	marks := c.s.finishLocked(w, err, now)
	var changed *State
	if (err != nil) != failing {
		st := c.s.stateLocked()
		changed = &st
	}
	c.s.mu.Unlock()
	if done := w.accountsDone(); len(marks) > 0 || changed != nil || len(done) > 0 {
		c.reports <- report{marks, err, changed, done}
	}
	return err
}

// checkpoint leaves dirty set if a reader was in the way: the next idle moment is
// another checkpointIdle away.
func (c *committer) checkpoint(now time.Time) {
	if c.s.b.checkpoint() == nil {
		c.dirty = false
	}
	c.lastWrite, c.dirtyAt = now, now
}

// final commits everything that is left. New rows are refused from here on.
func (c *committer) final() error {
	var err error
	for tries := 0; tries < finalTries; {
		c.s.mu.Lock()
		c.s.closed = true
		c.s.trail.setOff(true)
		failing := c.s.failing != nil
		w, _ := c.s.takeLocked(time.Now(), true)
		c.s.mu.Unlock()
		if err = c.commit(w, failing); err != nil {
			tries++
			time.Sleep(firstBackoff << tries)
			continue
		}
		if st := c.s.State(); st.Unflushed == 0 {
			_ = c.s.b.checkpoint() // what a reader prevents now happens at the next start
			return nil
		}
	}
	return err
}
