package presence

import (
	"container/heap"
	"time"
)

// timer is something to be done at a time. The zero timer is not set.
type timer struct {
	at    time.Time
	f     func(out *work)
	index int // in the heap, from 1 on; 0: not set
}

// timers are those that are set. The engine's mutex guards them.
type timers struct{ heap timerHeap }

// set sets t, which may be set already.
func (ts *timers) set(t *timer, at time.Time, f func(out *work)) {
	t.at, t.f = at, f
	if t.index > 0 {
		heap.Fix(&ts.heap, t.index-1)
	} else {
		heap.Push(&ts.heap, t)
	}
}

// stop has t not called.
func (ts *timers) stop(t *timer) {
	if t.index > 0 {
		heap.Remove(&ts.heap, t.index-1)
		t.f = nil
	}
}

// pop takes out the first timer that is due, nil if there is none.
func (ts *timers) pop(now time.Time) *timer {
	if len(ts.heap) == 0 || ts.heap[0].at.After(now) {
		return nil
	}
	return heap.Pop(&ts.heap).(*timer)
}

// first tells when the next timer is due, the zero time if none is set.
func (ts *timers) first() time.Time {
	if len(ts.heap) == 0 {
		return time.Time{}
	}
	return ts.heap[0].at
}

// timerHeap implements heap.Interface.
type timerHeap []*timer

func (h timerHeap) Len() int           { return len(h) }
func (h timerHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }

func (h timerHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i+1, j+1
}

func (h *timerHeap) Push(x any) {
	t := x.(*timer)
	*h = append(*h, t)
	t.index = len(*h)
}

func (h *timerHeap) Pop() any {
	old := *h
	t := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	t.index = 0
	return t
}
