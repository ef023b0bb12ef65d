package bridge

import (
	"context"
	"log/slog"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// This file moves what waits: from the store into memory, onto the disk, into the
// slot of its lane. All of it runs with b.mu held and hands what is to be done to
// out.
//
// Before a request leaves, its row is on the disk and says that it may have left:
// after a crash a request is either repeated as one that may have arrived, or has
// certainly not been sent. The first transmission to an idle destination is the
// exception (early, see xmpp_to_sip.go).

const (
	// So many of those that wait for a destination, the next ones in turn, are written as ones
	// that may have left: so they leave without waiting for the disk, and share a commit. After
	// a crash they are listed as uncertain although they have not left. Marks stay when more
	// senders come and the share of each gets smaller, so that there may be 50 of them.
	markAhead = 16
	// After so many failures in a row the circuit of a destination opens: nothing is
	// sent to it for a while, which grows with each further failure.
	circuitAfter = 3
)

// stir looks at the first message of f: whether it may go, and if not, what it
// waits for.
func (b *Bridge) stir(out *work, f *fifo) {
	if b.look(out, f) && f.lane.open == nil {
		b.serve(out, f.lane) // those behind may have waited for what is gone
	}
}

// look is stir, and reports whether messages have ended without having had their turn.
func (b *Bridge) look(out *work, f *fifo) (ended bool) {
	for len(f.queue) > 0 {
		if b.closing {
			return ended
		}
		e := &f.queue[0]
		o := e.o
		expired := !out.now.Before(e.expire)
		switch {
		case o != nil && o.hasArrived():
			b.lanes.remove(f, 0)
			b.finishNotified(out, o)
			ended = true
			continue
		case o == nil && (expired || !out.now.Before(f.lane.until)):
			b.fetch(f)
			return ended
		case expired:
			b.lanes.remove(f, 0)
			b.giveUp(out, o, o.expired())
			ended = true
			continue
		case o == nil || out.now.Before(o.notBefore) || out.now.Before(f.lane.until):
			at := f.lane.until
			if o != nil && o.notBefore.After(at) {
				at = o.notBefore
			}
			b.alarmAt(out, f, earlier(at, e.expire))
			return ended
		}
		b.alarmAt(out, f, e.expire)
		if o.kept > 0 {
			f.lane.ready(f)
			b.serve(out, f.lane)
		}
		return ended
	}
	b.lanes.tidy(f)
	return ended
}

// serve gives the slot of l to the next message, if it is free, and has the rows of
// those after it written as ones that may have left.
func (b *Bridge) serve(out *work, l *lane) {
	for !b.closing {
		f, short := b.eligible(out, l)
		if l.open != nil {
			break
		}
		if f == nil {
			if short {
				b.lanes.starve(l)
			}
			break
		}
		l.leave(f)
		b.send(out, b.lanes.start(f))
		b.stir(out, f)
	}
	b.lanes.tidyLane(l)
}

// eligible is the FIFO whose message may leave now; if there is none, short reports
// whether that is for want of slots. It has those that are next in turn written as ones
// that may leave, and takes out those that may not any more. Senders of a domain that
// has all the slots that it may have hold up nobody (SEC-30).
func (b *Bridge) eligible(out *work, l *lane) (found *fifo, short bool) {
	slot := b.lanes.held.room(b.lanes.limits, held{open: 1})
	i, marked, passed := 0, false, false
	ahead, trial := b.ahead, l.onTrial()
	if trial {
		ahead = 1
	}
	for n := 0; i < len(l.turn) && n < ahead && (slot || i < b.ahead); {
		f := l.turn[i]
		if len(f.queue) == 0 || !f.queue[0].due(out.now) || out.now.Before(l.until) {
			l.leave(f) // stir sees to it
			continue
		}
		o := f.queue[0].o
		room := slot && b.lanes.room(f.sender.Domain(), held{open: 1})
		if room {
			n++
			marked = marked || o.sent && o.safe()
			passed = passed || !marked && !o.sent
		}
		if o.safe() && !room {
			short = true
		} else if o.safe() && o.sent && found == nil {
			found = f
		}
		i++
	}
	// Who is passed over, as with a message that is tried again, does not wait for others.
	b.markNext(out, l.turn[:i], slot, trial, marked && !passed)
	return found, short
}

// markNext has the next messages of these FIFOs, a share of each, written as ones that may
// leave; in a trial only the first whose sender has room, when the slot is free. While one of
// them is, it waits until there are as many that are not: one commit for all.
func (b *Bridge) markNext(out *work, fifos []*fifo, slot, trial, marked bool) {
	if len(fifos) == 0 || trial && fifos[0].lane.open != nil {
		return
	}
	share := max(b.ahead/len(fifos), 1)
	if trial {
		share = 1
	}
	var room [2 * markAhead]*outbound
	todo := room[:0]
	have := 0
	for i, f := range fifos {
		if (trial || i >= b.ahead) && !(slot && b.lanes.room(f.sender.Domain(), held{open: 1})) {
			continue
		}
		for _, e := range f.queue[:min(share, len(f.queue))] {
			if !e.due(out.now) {
				break
			}
			if e.o.sent {
				have++
			} else {
				todo = append(todo, e.o)
			}
		}
	}
	if marked && have > len(todo) {
		return
	}
	for _, o := range todo {
		o.sent = true
		o.attempts++
		b.update(out, o)
	}
}

// feed serves lanes that had to wait for a free slot.
func (b *Bridge) feed(out *work) {
	for n := min(len(b.lanes.starved), 8); n > 0; n-- {
		l := b.lanes.starved[0]
		b.lanes.starved[0] = nil
		b.lanes.starved = b.lanes.starved[1:]
		l.starving = false
		b.serve(out, l)
	}
}

// send hands the next request of o to the SIP side.
func (b *Bridge) send(out *work, o *outbound) {
	b.expect(out, o)
	out.noteSent(o)
	out.requests = append(out.requests, mapping.Parcel[mapping.SIP]{Ref: b.requested.to(o), Value: o.parts[0]})
}

// update gives the store the row of o as it will be when the lock is released.
func (b *Bridge) update(out *work, o *outbound) {
	if o.row == 0 {
		return
	}
	o.rev++
	out.updates = append(out.updates, o)
}

// settle takes what became of one request.
func (b *Bridge) settle(out *work, o *outbound, res mapping.Outcome) {
	l := o.slot
	o.left = o.left || res.Kind != mapping.NotWritten
	if !o.silent {
		b.formats.learn(o.to, o.message(), res, out.now)
	}
	if needsOwnCallID(res.Agent) && (l.waiting > 0 || len(o.parts) > 1) {
		b.renew(out, l, o)
	}
	out.noteOutcome(o, &res)
	v, f := b.decide(out, o, res)
	b.circuit(out, l, v, f, res)
	if v == again || v == later {
		if f != nil {
			b.logRetry(out, o, f)
			out.trail(o, eventRetry, f)
			out.noteRetry(o)
		}
		o.sent = false
		back := b.lanes.back(o)
		b.update(out, o)
		if v == later {
			b.unmark(out, back) // it is not soon that their turn comes
		}
		b.stir(out, back)
		b.hold(out, l)
		b.serve(out, l)
		b.feed(out)
		return
	}
	if v != failed && len(o.parts) > 1 {
		// The slot stays with the message until its last part has ended.
		b.nextPart(out, o, res)
		return
	}
	b.lanes.release(o)
	if v == failed {
		b.giveUp(out, o, f)
	} else {
		b.finish(out, o, res)
	}
	if f := l.of(o.sender); f != nil {
		b.stir(out, f)
	}
	b.hold(out, l)
	b.serve(out, l)
	b.feed(out)
}

// decide is judge, for a message that may not be in the journal and may have to go in
// parts. Without a Failure one that is to be sent again has only got another form.
func (b *Bridge) decide(out *work, o *outbound, res mapping.Outcome) (verdict, *mapping.Failure) {
	if o.hasArrived() {
		return arrived, nil
	}
	kept := o.row != 0 && !(b.closing && b.volatile)
	if kept {
		if done, f := b.cut(out, o, res); f != nil {
			return failed, f
		} else if done {
			return again, nil
		}
	}
	v, f := o.judge(res, out.now)
	if (v == delivered || v == arrived) && o.hasFailed() {
		return failed, mapping.FailNotified() // told like any error, until it has been heard
	}
	if kept || v == again && o.silent && !b.closing && res.Kind == mapping.Answered && res.Status == 488 {
		return v, f // the other form of a notification needs no row: Linphone takes it bare
	}
	if v == again || v == later {
		v = failed // what is not in the journal, or will not be, is not tried again
	}
	if v == failed && res.Room > 0 && o.arrived == 0 {
		// It is not too long, but its parts would have to be in the journal.
		if f = mapping.FailStore(); b.closing {
			f = mapping.FailShutdown()
		}
	}
	return v, f
}

// A trunk that is down fails every message: the log says so this often, and each time
// only at debug level.
const retryLogEvery = 10 * time.Second

func (b *Bridge) logRetry(out *work, o *outbound, f *mapping.Failure) {
	level := slog.LevelDebug
	b.retries++
	if out.now.Sub(b.retryLogged) >= retryLogEvery {
		level = slog.LevelInfo
		b.retryLogged = out.now
	}
	b.log.Log(context.Background(), level, "not delivered yet, to be tried again; stox queue list shows what waits", "dir", "xmpp-sip", "from", o.from, "to", o.to,
		"id", o.id, "call_id", o.callID(), "err", f, "remedy", f.Remedy, "attempts", o.attempts, "retries_so_far", b.retries)
}

// circuit counts the failures in a row of a destination.
func (b *Bridge) circuit(out *work, l *lane, v verdict, f *mapping.Failure, res mapping.Outcome) {
	if ours(res) || tooLong(res) {
		return // it says nothing about the destination
	}
	if f == nil || !ambiguous(res) && !temporary(res, f) {
		open := !l.until.IsZero()
		l.failures, l.until = 0, time.Time{}
		if open {
			for _, f := range l.fifos {
				b.stir(out, f)
			}
		}
		return
	}
	if !res.More {
		l.failures++
	}
	if l.failures >= circuitAfter && v != again {
		l.until = out.now.Add(backoff(l.failures - circuitAfter + 1))
	}
}

// hold leaves what waits behind an open circuit to the store.
func (b *Bridge) hold(out *work, l *lane) {
	if b.closing || !out.now.Before(l.until) {
		return
	}
	for _, f := range l.fifos {
		b.unmark(out, f)
		b.park(f)
		b.stir(out, f)
	}
}

// park leaves what is in f to the store, as far as it is there.
func (b *Bridge) park(f *fifo) {
	for i := range f.queue {
		if o := f.queue[i].o; o != nil && o.row != 0 && !o.sent && o.safe() {
			delete(b.rows, o.row)
			delete(b.refused, o) // a newer version has been taken
			b.lanes.park(f, i)
		}
	}
}

// alarmAt has f looked at then.
func (b *Bridge) alarmAt(out *work, f *fifo, at time.Time) {
	b.lanes.setAlarm(f, at)
	b.wakeAt(out, at)
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
