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

// Limits of what may wait and of what may be under way. Zero values are replaced
// by the defaults. Of the last three no user domain may hold more than a quarter
// (SEC-30).
type Limits struct {
	FIFO  int // waiting messages of one sender to one destination (64)
	Lane  int // waiting messages to one destination (1024)
	Total int // waiting messages (16384)
	Open  int // messages under way, one to a destination (4096, as the SIP side has)
	Bytes int // octets of all of them (64 MiB)
}

func (l Limits) withDefaults() Limits {
	for _, d := range []struct {
		v   *int
		def int
	}{{&l.FIFO, 64}, {&l.Lane, 1024}, {&l.Total, 16384}, {&l.Open, 4096}, {&l.Bytes, 64 << 20}} {
		if *d.v <= 0 {
			*d.v = d.def
		}
	}
	return l
}

// quarter is what one user domain may hold.
func (l Limits) quarter() Limits {
	l.Total, l.Open, l.Bytes = max(l.Total/4, 1), max(l.Open/4, 1), max(l.Bytes/4, 1)
	return l
}

// held is what is held by all, or by the users of one domain.
type held struct {
	waiting int // messages in FIFOs
	open    int // slots
	bytes   int
}

// room reports whether m may wait, or may have a slot.
func (h held) room(l Limits, m *outbound, slot bool) bool {
	if slot && h.open >= l.Open || !slot && h.waiting >= l.Total {
		return false
	}
	return h.bytes+m.size <= l.Bytes
}

// lanes is not safe for concurrent use: the bridge's mutex guards it.
type lanes struct {
	limits Limits
	byKey  map[string]*lane
	held
	domains map[string]held // by the domain of the sender
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
	return &lanes{limits: l.withDefaults(), byKey: make(map[string]*lane), domains: make(map[string]held)}
}

// room reports whether there is room for m, in all and for its domain.
func (ls *lanes) room(m *outbound, slot bool) bool {
	return ls.held.room(ls.limits, m, slot) && ls.domains[m.sender.Domain()].room(ls.limits.quarter(), m, slot)
}

// count notes what m takes or gives back.
func (ls *lanes) count(m *outbound, waiting, open, bytes int) {
	d := ls.domains[m.sender.Domain()]
	for _, h := range []*held{&ls.held, &d} {
		h.waiting += waiting
		h.open += open
		h.bytes += bytes
	}
	if d == (held{}) {
		delete(ls.domains, m.sender.Domain())
	} else {
		ls.domains[m.sender.Domain()] = d
	}
}

// add puts m into its lane. send tells the caller to send it now (the slot is
// then m's); ok is false if there is no room, and m has not been taken.
func (ls *lanes) add(m *outbound) (send, ok bool) {
	l := ls.byKey[m.lane]
	if !ls.room(m, l == nil) {
		return false, false
	}
	if l == nil {
		ls.byKey[m.lane] = &lane{}
		ls.count(m, 0, 1, m.size)
		return true, true
	}
	f := l.fifos[m.sender]
	if l.waiting >= ls.limits.Lane || f != nil && len(f.queue) >= ls.limits.FIFO {
		return false, false
	}
	if f == nil {
		f = &fifo{sender: m.sender}
		if l.fifos == nil {
			l.fifos = make(map[mapping.JID]*fifo)
		}
		l.fifos[m.sender] = f
		l.turn = append(l.turn, f)
	}
	f.queue = append(f.queue, m)
	l.waiting++
	ls.count(m, 1, 0, m.size)
	return false, true
}

// done takes the slot of its lane away from m and returns the message that has
// it next, or nil. That one has waited its turn: the share of its domain is not
// asked again.
func (ls *lanes) done(m *outbound) (next *outbound) {
	l := ls.byKey[m.lane]
	ls.count(m, 0, -1, -m.size)
	if len(l.turn) == 0 {
		delete(ls.byKey, m.lane)
		return nil
	}
	f := l.turn[0]
	l.turn = l.turn[1:]
	next = f.queue[0]
	f.queue[0] = nil // the array is shared with what follows: do not keep the message alive
	f.queue = f.queue[1:]
	if len(f.queue) > 0 {
		l.turn = append(l.turn, f)
	} else {
		delete(l.fifos, f.sender)
	}
	l.waiting--
	ls.count(next, -1, 1, 0)
	return next
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
	for _, m := range all {
		ls.count(m, -1, 0, -m.size)
	}
	return all
}
