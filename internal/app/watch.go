package app

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stoxgw/stox/internal/admin"
)

const (
	pulseEvery = 5 * time.Second
	// A part that has not answered for so long does not get on with its work, nor does one
	// that has left undone for so long what was due. Nothing in them takes a second.
	stuckAfter = 30 * time.Second
)

// watch looks after the parts of the daemon while it runs, for its health and its metrics.
type watch struct {
	a        *App
	parts    []part
	stopping atomic.Bool // what is due is not seen to any more then

	mu     sync.Mutex // guards the following
	asking string     // the part that is asked at this moment ...
	since  time.Time  // ... and since when
	behind string     // what was found to be behind with its work
	disk   diskState
}

// part is something that could get stuck. ask takes its locks, and says how far behind it
// is.
type part struct {
	name string
	ask  func() (behind time.Duration)
}

// diskState is what was last seen of the store's files.
type diskState struct {
	database, wal int64     // bytes
	oldest        time.Time // when the oldest row was read; zero: there is none
}

func newWatch(a *App) *watch {
	w := &watch{a: a}
	w.parts = append(w.parts, part{"the bridge", func() time.Duration { return a.bridge.Stats().Behind }},
		part{"presence", func() time.Duration { return a.presence.Tally().Behind }},
		part{"the journal", func() time.Duration { a.journal.store.State(); return 0 }},
		part{"the SIP side", func() time.Duration { a.sip.Load(); a.sip.Routes(); return 0 }})
	for i, c := range a.xmpp.all {
		w.parts = append(w.parts, part{"the link of " + a.xmpp.names[i], func() time.Duration { c.Status(); return c.Stats().Behind }})
	}
	return w
}

// feelPulse asks the parts until ctx is done. It has a goroutine of its own, since one of
// them may not answer.
func (w *watch) feelPulse(ctx context.Context) error {
	every(ctx, pulseEvery, w.round)
	return nil
}

func (w *watch) round() {
	found := ""
	for _, p := range w.parts {
		w.ask(p.name)
		if behind := p.ask(); behind > stuckAfter {
			found = fmt.Sprintf("%s is behind with its work by %v", p.name, behind.Round(time.Second))
		}
	}
	w.ask("")
	w.mu.Lock()
	defer w.mu.Unlock()
	w.behind = found
}

func (w *watch) ask(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asking, w.since = name, time.Now()
}

// stuck says what does not get on with its work, "" if all do.
func (w *watch) stuck(now time.Time) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.stopping.Load():
		return "" // the stop has bounds of its own
	case w.asking != "" && now.Sub(w.since) > stuckAfter:
		return fmt.Sprintf("%s has not answered for %v", w.asking, now.Sub(w.since).Round(time.Second))
	}
	return w.behind
}

// alive reports whether all parts get on with their work.
func (w *watch) alive() bool { return w.stuck(time.Now()) == "" }

// health says how the daemon does. Where a part does not answer the others are not asked:
// whoever wants to know is not to wait as well.
func (w *watch) health(now time.Time) (h admin.Health) {
	if stuck := w.stuck(now); stuck != "" {
		h.Put(admin.CheckProcess, false, stuck+": start stox again, and please report it (/debug/pprof/goroutine?debug=2 says where it is)")
		return h
	}
	h.Put(admin.CheckProcess, true, "all parts are at work")
	if w.stopping.Load() {
		h.Put(admin.CheckStop, false, "stox is being stopped")
	}
	h.Put(w.a.xmpp.check())
	s := w.a.journal.store.Stats()
	h.Put(checkJournal(&s, now))
	h.Put(checkRoutes(w.a.sip.Routes()))
	return h
}

// lookAtDisk looks at the files of the store until ctx is done. It has a goroutine of its
// own, since a disk may take its time.
func (w *watch) lookAtDisk(ctx context.Context) error {
	every(ctx, pulseEvery, func() { w.setDisk(w.a.lookAtStore()) })
	return nil
}

func (w *watch) setDisk(d diskState) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.disk = d
}

func (w *watch) diskState() diskState {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.disk
}

// oldestOf is how many rows are read to find the oldest one that is readable.
const oldestOf = 64

func (a *App) lookAtStore() (d diskState) {
	if path := a.config().Store.Path; path != "" {
		d.database, d.wal = sizeOf(path), sizeOf(path+"-wal")
	}
	rows, err := a.journal.store.Page(0, oldestOf)
	if err != nil {
		return d // the journal's check says more
	}
	for _, r := range rows {
		if !r.Read.IsZero() && (d.oldest.IsZero() || r.Read.Before(d.oldest)) {
			d.oldest = r.Read
		}
	}
	return d
}

func sizeOf(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// every calls f now and then until ctx is done.
func every(ctx context.Context, interval time.Duration, f func()) {
	t := time.NewTicker(interval)
	defer t.Stop()
	for {
		f()
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}
