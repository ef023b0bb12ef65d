package bridge

import (
	"container/heap"
	"slices"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// RFC 3428 §8: a user agent must not have two MESSAGE requests outside of a
// dialog pending to one URI. A lane is that rule for one destination: the
// canonical address of record of the Request-URI. Its slot is held by an open
// transaction and by nothing else. What waits does so in one FIFO per sender, and
// the senders are served in turn, so that nobody's burst, and nobody's message
// that has to be tried again, holds up somebody else's (IM-58).
//
// This file knows who is next. When the first message of a FIFO may leave is
// decided in flow.go.

// lanes is not safe for concurrent use: the bridge's mutex guards it.
type lanes struct {
	limits Limits
	byKey  map[string]*lane
	held
	domains map[string]held // by the domain of the sender
	alarms  alarms          // FIFOs that have to be looked at at some time
	starved []*lane         // have a message that could go, but for the limit on open slots

	// Lanes come and go with nearly every message, so some are used again: those in gone
	// once nobody can be looking at them any more (see reuse).
	gone, spare []*lane
}

// maxSpare is how many lanes are kept to be used again.
const maxSpare = 512

// lane exists while its slot is held or something waits; an idle destination costs
// nothing.
type lane struct {
	key      string
	open     *outbound // has the slot
	fifos    map[mapping.JID]*fifo
	turn     []*fifo // whose first message may go, next one first
	waiting  int     // entries of all FIFOs
	starving bool    // in lanes.starved
	wide     bool    // has had many FIFOs
	there    bool    // in lanes.byKey

	// The circuit: after failures in a row nothing is sent before the time.
	failures int
	until    time.Time
}

// onTrial reports whether nothing has got there since the circuit was opened: messages are tried
// one by one.
func (l *lane) onTrial() bool { return !l.until.IsZero() }

// fifo has what one sender has waiting for one destination. A message that is under
// way is not in it; if it has to be tried again it comes back to the front.
type fifo struct {
	lane   *lane
	sender mapping.JID // bare
	queue  []entry
	inTurn bool // in lane.turn
	wanted bool // in Bridge.wanted

	at    time.Time // when it has to be looked at
	index int       // in lanes.alarms, -1 if not
}

// entry is a message that waits: in memory, or in the store only.
type entry struct {
	row      uint64
	o        *outbound // nil: in the store
	expire   time.Time
	restored bool // its row is from an earlier run
	hurry    bool // the operator wants it tried now
}

// due reports whether nothing but its turn keeps the message from leaving.
func (e *entry) due(now time.Time) bool {
	return e.o != nil && !now.Before(e.o.notBefore) && now.Before(e.o.expire)
}

func newLanes(l Limits) *lanes {
	return &lanes{limits: l.withDefaults(), byKey: make(map[string]*lane), domains: make(map[string]held)}
}

// room reports whether there is room for h more of that domain, in all and for it.
func (ls *lanes) room(domain string, h held) bool {
	return ls.held.room(ls.limits, h) && ls.domains[domain].room(ls.limits.share(), h)
}

// tryCount is count, if there is room.
func (ls *lanes) tryCount(domain string, h held) bool {
	if !ls.held.room(ls.limits, h) {
		return false
	}
	d := ls.domains[domain]
	if !d.room(ls.limits.share(), h) {
		return false
	}
	ls.held.add(h)
	d.add(h)
	ls.domains[domain] = d
	return true
}

// count notes what is taken or given back.
func (ls *lanes) count(domain string, h held) {
	d := ls.domains[domain]
	ls.held.add(h)
	d.add(h)
	if d == (held{}) {
		delete(ls.domains, domain)
	} else {
		ls.domains[domain] = d
	}
}

// takeSlot gives o the slot of a destination for which nothing waits or is under
// way; false if something does, or the limits forbid it.
func (ls *lanes) takeSlot(o *outbound) bool {
	if ls.byKey[o.lane] != nil || !ls.tryCount(o.sender.Domain(), held{open: 1, bytes: o.size}) {
		return false
	}
	l := ls.add(o.lane)
	l.open, o.slot = o, l
	return true
}

// add makes a lane.
func (ls *lanes) add(key string) *lane {
	var l *lane
	if n := len(ls.spare) - 1; n >= 0 {
		l = ls.spare[n]
		ls.spare = ls.spare[:n]
		*l = lane{key: key, fifos: l.fifos, turn: l.turn[:0]}
	} else {
		l = &lane{key: key}
	}
	l.there = true
	ls.byKey[key] = l
	return l
}

// reuse is told that nobody looks at lanes at the moment: those that are gone may be used
// again. One that had much in it is left to the collector, and one that is starved too.
func (ls *lanes) reuse() {
	for i, l := range ls.gone {
		ls.gone[i] = nil
		if len(ls.spare) < maxSpare && !l.starving && !l.wide {
			ls.spare = append(ls.spare, l)
		}
	}
	ls.gone = ls.gone[:0]
}

// push lets o wait; nil if there is no room for it.
func (ls *lanes) push(o *outbound) *fifo {
	h := held{waiting: 1, bytes: o.size}
	l := ls.byKey[o.lane]
	if !ls.room(o.sender.Domain(), h) || l != nil && l.waiting >= ls.limits.Lane {
		return nil
	}
	if l != nil {
		if f := l.fifos[o.sender]; f != nil && len(f.queue) >= ls.limits.FIFO {
			return nil
		}
	}
	ls.count(o.sender.Domain(), h)
	f := ls.fifo(o.lane, o.sender)
	f.queue = append(f.queue, entry{row: o.row, o: o, expire: o.expire})
	f.lane.waiting++
	return f
}

// pushStored lets a message wait whose row an earlier run has left. It has been
// taken before: no limit is asked.
func (ls *lanes) pushStored(key string, sender mapping.JID, e entry) *fifo {
	f := ls.fifo(key, sender)
	ls.count(sender.Domain(), held{stored: 1})
	f.queue = append(f.queue, e)
	f.lane.waiting++
	return f
}

// fifo finds or makes the FIFO of a sender.
func (ls *lanes) fifo(key string, sender mapping.JID) *fifo {
	l := ls.byKey[key]
	if l == nil {
		l = ls.add(key)
	}
	f := l.fifos[sender]
	if f == nil {
		f = &fifo{lane: l, sender: sender, index: -1}
		if l.fifos == nil {
			l.fifos = make(map[mapping.JID]*fifo)
		}
		l.fifos[sender] = f
		l.wide = l.wide || len(l.fifos) > 8
	}
	return f
}

// back takes the slot away from o, which goes to the front of its FIFO.
func (ls *lanes) back(o *outbound) *fifo {
	f := ls.fifo(o.lane, o.sender)
	f.lane.open, o.slot = nil, nil
	ls.count(o.sender.Domain(), held{open: -1, waiting: 1})
	f.queue = append(f.queue, entry{})
	copy(f.queue[1:], f.queue)
	f.queue[0] = entry{row: o.row, o: o, expire: o.expire}
	f.lane.waiting++
	return f
}

// release takes the slot away from o, which has ended.
func (ls *lanes) release(o *outbound) *lane {
	l := o.slot
	l.open, o.slot = nil, nil
	ls.count(o.sender.Domain(), held{open: -1, bytes: -o.size})
	return l
}

// remove takes the i-th entry out of f.
func (ls *lanes) remove(f *fifo, i int) {
	e := f.queue[i]
	if e.o != nil {
		ls.count(f.sender.Domain(), held{waiting: -1, bytes: -e.o.size})
	} else {
		ls.count(f.sender.Domain(), held{stored: -1})
	}
	if i == 0 {
		f.queue[0] = entry{} // the array is shared with what follows: do not keep the message alive
		f.queue = f.queue[1:]
	} else {
		copy(f.queue[i:], f.queue[i+1:])
		f.queue[len(f.queue)-1] = entry{}
		f.queue = f.queue[:len(f.queue)-1]
	}
	f.lane.waiting--
}

// start gives the slot to the first message of f.
func (ls *lanes) start(f *fifo) *outbound {
	o := f.queue[0].o
	ls.remove(f, 0)
	ls.count(f.sender.Domain(), held{open: 1, bytes: o.size})
	f.lane.open, o.slot = o, f.lane
	return o
}

// park leaves the i-th message of f to the store.
func (ls *lanes) park(f *fifo, i int) {
	e := &f.queue[i]
	ls.count(f.sender.Domain(), held{waiting: -1, bytes: -e.o.size, stored: 1})
	e.o = nil
}

// unpark puts a message that was read from the store into the first place of f.
func (ls *lanes) unpark(f *fifo, o *outbound) {
	ls.count(f.sender.Domain(), held{waiting: 1, bytes: o.size, stored: -1})
	f.queue[0].o = o
}

// tidy forgets f and its lane if there is nothing in them.
func (ls *lanes) tidy(f *fifo) {
	l := f.lane
	if len(f.queue) == 0 {
		ls.setAlarm(f, time.Time{})
		l.leave(f)
		if l.fifos[f.sender] == f {
			delete(l.fifos, f.sender)
		}
	}
	ls.tidyLane(l)
}

func (ls *lanes) tidyLane(l *lane) {
	if l.open == nil && len(l.fifos) == 0 && l.there {
		l.there = false
		delete(ls.byKey, l.key)
		if len(ls.gone) < maxSpare {
			ls.gone = append(ls.gone, l)
		}
	}
}

// ready puts f among those whose turn comes. Who has the slot is having a turn, and so
// comes after whoever else is there by the time that it is over.
func (l *lane) ready(f *fifo) {
	if f.inTurn {
		return
	}
	f.inTurn = true
	at := len(l.turn)
	if at > 0 && l.open != nil && l.turn[at-1].sender == l.open.sender {
		at--
	}
	l.turn = slices.Insert(l.turn, at, f)
}

// leave takes f out of the turn.
func (l *lane) leave(f *fifo) {
	if f.inTurn {
		f.inTurn = false
		l.turn = slices.DeleteFunc(l.turn, func(g *fifo) bool { return g == f })
	}
}

// starve notes that l has something that could go but for the limit on slots.
func (ls *lanes) starve(l *lane) {
	if !l.starving {
		l.starving = true
		ls.starved = append(ls.starved, l)
	}
}

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
