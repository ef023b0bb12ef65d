package locate

import (
	"context"
	"fmt"
	"time"
)

const (
	staleFor    = time.Hour        // after its time an answer is still used if there is no new one
	staleTTL    = 30 * time.Second // until it is asked again
	maxAtOnce   = 64               // questions that are being asked
	maxEntries  = 8192             // questions that are remembered
	evictSample = 64
)

// entry is an answer that is remembered.
type entry struct {
	*records
	until time.Time // it has to be asked again
	good  time.Time // until when the records were right by their own TTL
	drawn time.Time // when their order was made
	stale bool
	note  string // why it is stale
}

// flight is a question that is being asked: whoever else has it waits.
type flight struct {
	done  chan struct{}
	entry *entry // nil if who asked gave up
}

// known is the answer if it need not be asked.
func (l *Locator) known(q question) *entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.entries[q]; e != nil && l.now().Before(e.until) {
		return e
	}
	return nil
}

// ask gives the answer to a question, from memory or by asking. However many callers
// have the same question, it is asked once at a time. It always returns something.
func (l *Locator) ask(ctx context.Context, q question) *entry {
	for {
		l.mu.Lock()
		if e := l.entries[q]; e != nil && l.now().Before(e.until) {
			l.mu.Unlock()
			return e
		}
		f := l.flights[q]
		if f == nil {
			f = &flight{done: make(chan struct{})}
			l.flights[q] = f
			l.mu.Unlock()
			return l.lead(ctx, q, f)
		}
		l.mu.Unlock()
		select {
		case <-f.done:
			if f.entry != nil {
				return f.entry
			}
		case <-ctx.Done():
			return l.gaveUp(ctx, q)
		}
	}
}

// lead asks for all who wait for f.
func (l *Locator) lead(ctx context.Context, q question, f *flight) *entry {
	var r *records
	select {
	case l.atOnce <- struct{}{}:
		r = l.servers.fetch(ctx, q)
		<-l.atOnce
	case <-ctx.Done():
	}
	e := (*entry)(nil)
	if r != nil && (r.reason != Temporary || ctx.Err() == nil) {
		e = l.remember(q, r)
	}
	l.mu.Lock()
	f.entry = e
	delete(l.flights, q)
	l.mu.Unlock()
	close(f.done)
	if e == nil {
		return l.gaveUp(ctx, q)
	}
	return e
}

// gaveUp is the answer for a caller whose time is over: the old one if there is one.
func (l *Locator) gaveUp(ctx context.Context, q question) *entry {
	now := l.now()
	l.mu.Lock()
	e := l.entries[q]
	l.mu.Unlock()
	if e != nil && e.usable(now) {
		return e.asStale(now)
	}
	r := failed(Temporary, failureTTL, "no answer in time")
	r.err = context.Cause(ctx)
	return &entry{records: r, until: now.Add(failureTTL)}
}

// usable reports whether an old answer may stand in for one that cannot be had.
func (e *entry) usable(now time.Time) bool {
	return e.reason == 0 && now.Before(e.good.Add(staleFor))
}

func (e *entry) asStale(now time.Time) *entry {
	s := *e
	s.stale, s.until = true, now.Add(staleTTL)
	return &s
}

// remember keeps an answer. A failure does not replace a good answer of the last hour.
func (l *Locator) remember(q question, r *records) *entry {
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	old := l.entries[q]
	var e *entry
	if r.reason == Temporary && old != nil && old.usable(now) {
		e = old.asStale(now)
		e.note = fmt.Sprintf(" (an old answer: %s)", clip(r.text))
	} else {
		e = &entry{records: r, until: now.Add(r.ttl), good: now.Add(r.ttl)}
		if old != nil {
			e.drawn = r.arrange(old.records, old.drawn, now, l.intn)
		} else {
			e.drawn = r.arrange(nil, now, now, l.intn)
		}
	}
	if old == nil && len(l.entries) >= maxEntries {
		l.evict(now)
	}
	l.entries[q] = e
	return e
}

// evict makes room: of a few entries the one that is missed least. A map is walked in
// random order, so nobody can choose which.
func (l *Locator) evict(now time.Time) {
	var worst question
	least, n := time.Duration(1<<62), 0
	for q, e := range l.entries {
		worth := e.until.Sub(now)
		if e.usable(now) {
			worth += staleFor // what leads somewhere is worth more than that there is nothing
		}
		if worth < least {
			worst, least = q, worth
		}
		if n++; n >= evictSample {
			break
		}
	}
	delete(l.entries, worst)
}
