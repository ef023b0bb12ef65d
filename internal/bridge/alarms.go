package bridge

import (
	"container/heap"
	"time"
)

// setAlarm has f looked at then; the zero time: never.
func (ls *lanes) setAlarm(f *fifo, at time.Time) {
	switch {
	case at.IsZero():
		if f.index >= 0 {
			heap.Remove(&ls.alarms, f.index)
		}
	case f.index < 0:
		f.at = at
		heap.Push(&ls.alarms, f)
	case !f.at.Equal(at):
		f.at = at
		heap.Fix(&ls.alarms, f.index)
	}
}

// due takes out a FIFO whose time has come; nil if there is none, and when there
// will be (zero: never).
func (ls *lanes) due(now time.Time) (*fifo, time.Time) {
	if len(ls.alarms) == 0 {
		return nil, time.Time{}
	}
	if f := ls.alarms[0]; !now.Before(f.at) {
		heap.Pop(&ls.alarms)
		return f, time.Time{}
	}
	return nil, ls.alarms[0].at
}

// alarms is a heap by time.
type alarms []*fifo

func (a alarms) Len() int           { return len(a) }
func (a alarms) Less(i, j int) bool { return a[i].at.Before(a[j].at) }
func (a alarms) Swap(i, j int) {
	a[i], a[j] = a[j], a[i]
	a[i].index, a[j].index = i, j
}
func (a *alarms) Push(x any) {
	f := x.(*fifo)
	f.index = len(*a)
	*a = append(*a, f)
}
func (a *alarms) Pop() any {
	old := *a
	f := old[len(old)-1]
	old[len(old)-1] = nil
	*a = old[:len(old)-1]
	f.index = -1
	return f
}
