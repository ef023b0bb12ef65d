package bridge

import (
	"github.com/stoxgw/stox/mapping"
)

// RFC 3428 §8: a user agent must not have two MESSAGE requests outside of a
// dialog pending to one URI. A lane is that rule for one destination: the
// canonical address of record of the Request-URI. While its slot is held by an
// open transaction, further messages wait in one FIFO per sender, and the
// senders are served in turn, so that nobody's burst holds up somebody else's
// single message (IM-58).

// Limits of what may wait. Zero values are replaced by the defaults.
type Limits struct {
	FIFO  int // messages of one sender to one destination (64)
	Lane  int // messages to one destination (1024)
	Total int // messages in all (16384)
}

func (l Limits) withDefaults() Limits {
	if l.FIFO <= 0 {
		l.FIFO = 64
	}
	if l.Lane <= 0 {
		l.Lane = 1024
	}
	if l.Total <= 0 {
		l.Total = 16384
	}
	return l
}

// lanes is not safe for concurrent use: the bridge's mutex guards it.
type lanes struct {
	limits  Limits
	byKey   map[string]*lane
	waiting int // messages in all FIFOs
	open    int // slots held
}

// lane exists while its slot is held; an idle destination costs nothing.
type lane struct {
	fifos   map[mapping.JID]*fifo
	turn    []*fifo // the senders that have something waiting, next one first
	waiting int
}

type fifo struct {
	sender mapping.JID // bare
	queue  []*outbound
}

func newLanes(l Limits) *lanes {
	return &lanes{limits: l.withDefaults(), byKey: make(map[string]*lane)}
}

// add puts m into its lane. send tells the caller to send it now (the slot is
// then m's); ok is false if there is no room, and m has not been taken.
func (ls *lanes) add(m *outbound) (send, ok bool) {
	l := ls.byKey[m.lane]
	if l == nil {
		ls.byKey[m.lane] = &lane{}
		ls.open++
		return true, true
	}
	if ls.waiting >= ls.limits.Total || l.waiting >= ls.limits.Lane {
		return false, false
	}
	f := l.fifos[m.sender]
	if f == nil {
		f = &fifo{sender: m.sender}
		if l.fifos == nil {
			l.fifos = make(map[mapping.JID]*fifo)
		}
		l.fifos[m.sender] = f
		l.turn = append(l.turn, f)
	}
	if len(f.queue) >= ls.limits.FIFO {
		return false, false
	}
	f.queue = append(f.queue, m)
	l.waiting++
	ls.waiting++
	return false, true
}

// done gives the slot of the lane back and returns the message that has it
// next, or nil.
func (ls *lanes) done(key string) *outbound {
	l := ls.byKey[key]
	if l == nil {
		return nil
	}
	if len(l.turn) == 0 {
		delete(ls.byKey, key)
		ls.open--
		return nil
	}
	f := l.turn[0]
	l.turn = l.turn[1:]
	m := f.queue[0]
	f.queue[0] = nil // the array is shared with what follows: do not keep the message alive
	f.queue = f.queue[1:]
	if len(f.queue) > 0 {
		l.turn = append(l.turn, f)
	} else {
		delete(l.fifos, f.sender)
	}
	l.waiting--
	ls.waiting--
	return m
}

// clear removes and returns everything that waits; held slots stay held.
func (ls *lanes) clear() []*outbound {
	var all []*outbound
	for _, l := range ls.byKey {
		for _, f := range l.turn {
			all = append(all, f.queue...)
		}
		l.fifos, l.turn, l.waiting = nil, nil, 0
	}
	ls.waiting = 0
	return all
}
