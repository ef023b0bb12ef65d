package bridge

import (
	"fmt"
	"strconv"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// A message that is too long for its way, and may go in several requests (IM-62): the SIP
// side says how much text there is room for, in bytes and on the way to an SMS trunk in
// characters, and the parts are steps of the message's row.
// Each leaves when the one before it has its 2xx and the row says that this one may have
// left. They have the slot of the destination until the last has ended, unless one of them
// has to wait: for its back-off, as any message, or for a store that takes no rows.
//
// What became of a part counts for that part: the one that failed is tried again, and
// nothing of those before it is said twice. The message as a whole has one time to expire
// and one error, which says how much of it has arrived.

// A part holds the slot for so long while its row does not get to the disk.
const maxPartWait = 5 * time.Second

// total is the number of requests that the message goes in.
func (o *outbound) total() int { return o.arrived + len(o.parts) }

// part says which of the requests of the message is next, "" if there is only one.
func (o *outbound) part() string {
	if o.total() < 2 {
		return ""
	}
	return "part " + strconv.Itoa(o.arrived+1) + " of " + strconv.Itoa(o.total())
}

// failure is what the sender is told of f: besides, how much has arrived.
func (o *outbound) failure(f *mapping.Failure) *mapping.Failure {
	if o.arrived == 0 || len(o.parts) == 0 {
		return f
	}
	g := *f
	g.Text = mapping.PartsArrived(f.Text, o.arrived, o.total())
	return &g
}

// changeable reports whether the request that is next may become another one after out:
// not if a copy of it may have arrived, for whoever has that could not tell. But what is
// too long to be sent now has not left before a restart either.
func (o *outbound) changeable(out mapping.Outcome) bool {
	return o.ambiguous == 0 || o.restart && o.ambiguous == 1 && tooLong(out)
}

// cut makes parts of the request of o, if that is too long for its way and its text may
// be sent in parts. With a Failure it may not be sent at all: it would count too often.
func (b *Bridge) cut(out *work, o *outbound, res mapping.Outcome) (bool, *mapping.Failure) {
	if res.Room <= 0 || !tooLong(res) || o.total() != 1 || !o.changeable(res) {
		return false, nil
	}
	m := o.message()
	// The other parts have Call-IDs that may be longer than the one that was measured.
	room := res.Room - max(callIDLen-len(m.CallID), 0)
	parts, ok := m.Split(room, res.Chars)
	if !ok || len(parts) < 2 {
		return false, nil
	}
	if f := b.dialParts(out, o, len(parts)-1); f != nil {
		return false, f
	}
	b.withdraw(o)
	o.parts = make([]mapping.SIP, len(parts))
	for i, part := range parts {
		if i > 0 {
			part.Target = 0
			// Who takes a second request with the same Call-ID for a repeat (see formats)
			// would show the first part alone, and not everybody who does says so.
			part.CallID = b.talks.another(o.from, o.to, part.CallID, out.now)
		}
		b.ids.fill(part)
		o.parts[i] = part
	}
	size := o.size
	o.measure()
	b.lanes.count(o.sender.Domain(), held{bytes: o.size - size})
	o.fresh()
	o.attempts = 0
	out.inParts(o)
	return true, nil
}

// fresh forgets what became of the requests before the one that is next.
func (o *outbound) fresh() {
	o.attempts, o.ambiguous, o.nextTried, o.restart, o.problem = 1, 0, false, false, nil
	o.left = false
	o.notBefore = time.Time{}
}

// nextPart goes on with the part behind the one that has arrived.
func (b *Bridge) nextPart(out *work, o *outbound, res mapping.Outcome) {
	out.partArrived(o, res)
	o.unsure = o.unsure || res.Status != 200
	o.parts = o.parts[1:]
	o.arrived++
	o.fresh()
	o.partNext = true
	b.update(out, o)
	b.sendPart(out, o)
	if o.partNext {
		at := out.now.Add(maxPartWait)
		b.waiting[o] = at
		b.partsDue = earliest(b.partsDue, at)
		b.wakeAt(out, at)
	}
}

// sendPart sends the next part of o, which has the slot, as soon as its row says so.
func (b *Bridge) sendPart(out *work, o *outbound) {
	switch {
	case !o.partNext:
	case !out.now.Before(o.expire):
		b.yield(out, o, o.expired())
	case o.row == 0 || o.safe():
		o.partNext = false
		delete(b.waiting, o)
		b.send(out, o)
	}
}

// yield takes the slot away from o, whose next part cannot leave: because of f, or else for
// now, and then the part is the first to go when it can.
func (b *Bridge) yield(out *work, o *outbound, f *mapping.Failure) {
	o.partNext = false
	delete(b.waiting, o)
	l := b.lanes.byKey[o.lane]
	if f == nil && b.closing && b.volatile {
		f = mapping.FailShutdown()
	}
	if f != nil {
		b.lanes.release(o)
		b.giveUp(out, o, f)
		if next := l.of(o.sender); next != nil {
			b.stir(out, next)
		}
	} else {
		back := b.lanes.back(o)
		if b.closing {
			b.unmark(out, back)
		}
		b.stir(out, back)
	}
	b.hold(out, l)
	b.serve(out, l)
	b.feed(out)
}

// tickParts looks at the parts that wait for their rows.
func (b *Bridge) tickParts(out *work) {
	if b.partsDue.IsZero() {
		return
	}
	if !out.now.Before(b.partsDue) {
		b.partsDue = time.Time{}
		for o, at := range b.waiting {
			if out.now.Before(at) {
				b.partsDue = earliest(b.partsDue, at)
				continue
			}
			b.log.Debug("the next part of a message waits for the store; others go first", "dir", "xmpp-sip", "id", o.id, "part", o.part())
			b.yield(out, o, nil)
		}
	}
	b.wakeAt(out, b.partsDue)
}

// earliest is the earlier of two times of which the zero one is none.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() {
		return b
	}
	return earlier(a, b)
}

// inParts notes that the text of o goes in several requests.
func (w *work) inParts(o *outbound) {
	w.note(o, noteSplit).Of = o.total()
	w.add(Event{ID: o.id, Other: o.callID(), At: w.now, Kind: eventSplit,
		Detail: fmt.Sprintf("%s in %d parts: it is too long for one request", o.way(), o.total())})
}

// partArrived notes that the request of o that is next, one of several, was accepted.
func (w *work) partArrived(o *outbound, res mapping.Outcome) {
	w.add(Event{ID: o.id, Other: o.callID(), At: w.now, Kind: eventPart, Detail: o.way() + " " + o.part() + ": " + answer(w, o, res)})
}
