package bridge

import (
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
	domains domains // by the domain of the sender
	alarms  alarms  // FIFOs that have to be looked at at some time
	starved []*lane // have a message that could go, but for the limit on open slots

	// Lanes and FIFOs come and go with nearly every message, so some are used again: those in
	// gone and left once nobody can be looking at them any more (see reuse).
	gone, spare     []*lane
	left, spareFIFO []*fifo
}

// maxSpare is how many lanes and FIFOs are kept to be used again.
const maxSpare = 512

// lane exists while its slot is held or something waits; an idle destination costs
// nothing.
type lane struct {
	key      string
	open     *outbound // has the slot
	fifos    map[mapping.JID]*fifo
	recent   *fifo   // one of fifos: the one asked for last
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
	empty  []entry // the memory of queue while that is empty
	inTurn bool    // in lane.turn
	wanted bool    // in Bridge.wanted
	loaded bool    // has been there: Run may look at it without the lock

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
	return &lanes{limits: l.withDefaults(), byKey: make(map[string]*lane), domains: domains{all: make(map[string]held)}}
}

// room reports whether there is room for h more of that domain, in all and for it.
func (ls *lanes) room(domain string, h held) bool {
	return ls.held.room(ls.limits, h) && ls.domains.of(domain).room(ls.limits.share(), h)
}

// tryCount is count, if there is room.
func (ls *lanes) tryCount(domain string, h held) bool {
	if !ls.held.room(ls.limits, h) {
		return false
	}
	d := ls.domains.of(domain)
	if !d.room(ls.limits.share(), h) {
		return false
	}
	ls.held.add(h)
	d.add(h)
	return true
}

// count notes what is taken or given back.
func (ls *lanes) count(domain string, h held) {
	ls.held.add(h)
	ls.domains.of(domain).add(h)
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
	for i, f := range ls.left {
		ls.left[i] = nil
		if len(ls.spareFIFO) < maxSpare && !f.loaded && cap(f.empty) <= maxSpareQueue {
			clear(f.empty[:cap(f.empty)]) // it is older than the queue, if that has grown
			*f = fifo{queue: f.empty, empty: f.empty}
			ls.spareFIFO = append(ls.spareFIFO, f)
		}
	}
	ls.left = ls.left[:0]
	for i, l := range ls.gone {
		ls.gone[i] = nil
		if len(ls.spare) < maxSpare && !l.starving && !l.wide {
			ls.spare = append(ls.spare, l)
		}
	}
	ls.gone = ls.gone[:0]
}

// maxSpareQueue is how long the queue may be of a FIFO that is used again.
const maxSpareQueue = 16

// push lets o wait; nil if there is no room for it.
func (ls *lanes) push(o *outbound) *fifo {
	h := held{waiting: 1, bytes: o.size}
	l := ls.byKey[o.lane]
	if !ls.room(o.sender.Domain(), h) || l != nil && l.waiting >= ls.limits.Lane {
		return nil
	}
	if l != nil {
		if f := l.of(o.sender); f != nil && len(f.queue) >= ls.limits.FIFO {
			return nil
		}
	}
	ls.count(o.sender.Domain(), h)
	f := ls.fifo(o.lane, o.sender)
	f.append(entry{row: o.row, o: o, expire: o.expire})
	return f
}

// append adds what waits.
func (f *fifo) append(e entry) {
	f.queue = append(f.queue, e)
	if len(f.queue) == 1 {
		f.empty = f.queue[:0]
	}
	f.lane.waiting++
	if e.o != nil {
		e.o.waits = f
	}
}

// pushStored lets a message wait whose row an earlier run has left. It has been
// taken before: no limit is asked.
func (ls *lanes) pushStored(key string, sender mapping.JID, e entry) *fifo {
	f := ls.fifo(key, sender)
	ls.count(sender.Domain(), held{stored: 1})
	f.append(e)
	return f
}

// of is the FIFO of a sender, nil if there is none.
func (l *lane) of(sender mapping.JID) *fifo {
	if l.recent == nil || l.recent.sender != sender {
		if len(l.fifos) == 0 {
			return nil
		}
		l.recent = l.fifos[sender]
	}
	return l.recent
}

// fifo finds or makes the FIFO of a sender.
func (ls *lanes) fifo(key string, sender mapping.JID) *fifo {
	l := ls.byKey[key]
	if l == nil {
		l = ls.add(key)
	}
	f := l.of(sender)
	if f == nil {
		if n := len(ls.spareFIFO) - 1; n >= 0 {
			f = ls.spareFIFO[n]
			ls.spareFIFO = ls.spareFIFO[:n]
		} else {
			f = new(fifo)
		}
		f.lane, f.sender, f.index = l, sender, -1
		if l.fifos == nil {
			l.fifos = make(map[mapping.JID]*fifo)
		}
		l.fifos[sender], l.recent = f, f
		l.wide = l.wide || len(l.fifos) > 8
	}
	return f
}

// back takes the slot away from o, which goes to the front of its FIFO.
func (ls *lanes) back(o *outbound) *fifo {
	f := ls.fifo(o.lane, o.sender)
	f.lane.open, o.slot = nil, nil
	ls.count(o.sender.Domain(), held{open: -1, waiting: 1})
	e := entry{row: o.row, o: o, expire: o.expire}
	f.append(e)
	copy(f.queue[1:], f.queue)
	f.queue[0] = e
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
	if o := f.queue[i].o; o != nil {
		o.waits = nil
		ls.count(f.sender.Domain(), held{waiting: -1, bytes: -o.size})
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
	if len(f.queue) == 0 {
		f.queue = f.empty
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
	e.o.waits = nil
	e.o = nil
}

// unpark puts a message that was read from the store into the first place of f.
func (ls *lanes) unpark(f *fifo, o *outbound) {
	ls.count(f.sender.Domain(), held{waiting: 1, bytes: o.size, stored: -1})
	f.queue[0].o, o.waits = o, f
}

// tidy forgets f and its lane if there is nothing in them.
func (ls *lanes) tidy(f *fifo) {
	l := f.lane
	if len(f.queue) == 0 {
		ls.setAlarm(f, time.Time{})
		l.leave(f)
		if l.of(f.sender) == f {
			delete(l.fifos, f.sender)
			l.recent = nil
			if len(ls.left) < maxSpare {
				ls.left = append(ls.left, f)
			}
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
