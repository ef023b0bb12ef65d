package sipside

import (
	"context"
	"math"
	"sync/atomic"
	"time"
)

// Timers of RFC 3261 §17. T1 is 500 ms; all that is needed follows from it.
const (
	timerT1     = 500 * time.Millisecond
	timerT2     = 4 * time.Second
	timerF      = 64 * timerT1 // no final answer: the transaction is over
	timerJ      = 64 * timerT1 // how long a UDP answer can be repeated
	tryingAfter = 3500 * time.Millisecond
)

// timerE are the intervals between transmissions of a request over UDP; the last
// one repeats (T1, doubling up to T2).
var timerE = [...]time.Duration{timerT1, 2 * timerT1, 4 * timerT1, timerT2}

// delays is a list of things that are all due the same time after they were put
// in: first in, first out, so setting and stopping a timer costs a few pointers.
// It is guarded by the lock of its owner.
type delays[T any] struct {
	after time.Duration
	root  delayed[T] // ring
}

// delayed is an element; embed one in what is to be delayed, per list it can be in.
type delayed[T any] struct {
	prev, next *delayed[T]
	due        time.Time
	item       T
}

// push puts e at the end; it must be in no list.
func (l *delays[T]) push(e *delayed[T], item T, now time.Time) time.Time {
	if l.root.next == nil {
		l.root.next, l.root.prev = &l.root, &l.root
	}
	e.due, e.item = now.Add(l.after), item
	e.prev, e.next = l.root.prev, &l.root
	e.prev.next, e.next.prev = e, e
	return e.due
}

// stop takes e out of whatever list it is in, if any.
func (e *delayed[T]) stop() {
	if e.next == nil {
		return
	}
	e.prev.next, e.next.prev = e.next, e.prev
	e.prev, e.next = nil, nil
}

// pop takes out the first element that is due; else it tells when the first will be.
func (l *delays[T]) pop(now time.Time) (e *delayed[T], next time.Time) {
	e = l.root.next
	if e == nil || e == &l.root {
		return nil, time.Time{}
	}
	if e.due.After(now) {
		return nil, e.due
	}
	e.stop()
	return e, time.Time{}
}

// alarm wakes the timer goroutine. As due times come in roughly growing order it
// is hardly ever woken: only for a time before the one it sleeps to.
type alarm struct {
	sleeping atomic.Int64 // wakes by itself then (Unix ns), 0 while it is awake
	wake     chan struct{}
}

func newAlarm() *alarm {
	a := &alarm{wake: make(chan struct{}, 1)}
	a.sleeping.Store(math.MaxInt64)
	return a
}

// at asks to be awake at t. It never blocks.
func (a *alarm) at(t time.Time) {
	if t.UnixNano() < a.sleeping.Load() {
		select {
		case a.wake <- struct{}{}:
		default:
		}
	}
}

// run calls tick whenever something may be due, until ctx is done. tick gives the
// time of the next thing, zero if there is none.
func (a *alarm) run(ctx context.Context, tick func(now time.Time) time.Time) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		// Before looking, so that whoever adds something from now on wakes us.
		a.sleeping.Store(math.MaxInt64)
		next := tick(time.Now())
		timer.Stop()
		if !next.IsZero() {
			a.sleeping.Store(next.UnixNano())
			timer.Reset(time.Until(next))
		}
		select {
		case <-ctx.Done():
			return
		case <-a.wake:
		case <-timer.C:
		}
	}
}

// earliest is the earlier of two times, of which zero means never.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
