package bridge

import (
	"errors"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// busySeconds is what a sender is told to wait when a queue is full: the longest
// that a silent destination holds its slot (Timer F).
const busySeconds = 32

// Messages that were sent before they were on the disk are bounded in number and
// age. Beyond that a message leaves after its commit.
const (
	maxUnjournaled    = 1000
	maxUnjournaledAge = 50 * time.Millisecond
)

// FromXMPP takes what the XMPP side has read in one go. Every message is journaled
// and ends either with a 2xx from SIP or with one error stanza.
//
// A message to an idle destination leaves at once, while its commit runs (early
// send): until it was read it was at risk, and a 2xx ends that sooner than the disk
// does. Everything else leaves after its commit.
func (b *Bridge) FromXMPP(batch []mapping.XMPP) {
	out := b.gather()
	p := b.policy.Load()
	var late []*mapping.XMPPError
	var receipts []*mapping.XMPPReceipt
	var states []*saying
	var dropped uint64       // receipts and chat states
	var other []mapping.XMPP // see takeOther
	owners := b.formats.owners.Load()
	for _, v := range batch {
		if b.tooMany(p, v, out.now) {
			dropped++
			continue
		}
		switch v := v.(type) {
		case *mapping.XMPPMessage:
			if v.To.Local() == "" && v.From.Local() != "" && p.Access.Allows(v.From) {
				other = append(other, v)
			} else if o := b.takeXMPP(out, p, v); o != nil {
				out.taken = append(out.taken, o)
				states = withoutStates(states, o)
			}
		case *mapping.XMPPState:
			if s := b.readState(out, p, v); s != nil {
				states = append(states, s)
			}
		case *mapping.XMPPError:
			late = append(late, v)
		case *mapping.XMPPReceipt:
			receipts = append(receipts, v)
		case *mapping.XMPPPresence, *mapping.XMPPReady:
			other = append(other, v)
		}
	}
	b.mu.Lock()
	for _, e := range late {
		b.takeLate(out, p, e)
	}
	b.tally.Signals += dropped
	for _, o := range out.taken {
		b.wroteText(o)
	}
	b.enqueue(out, out.taken, owners)
	for _, v := range receipts { // behind the messages: they are not to be in their way
		b.takeReceipt(out, p, v)
	}
	for _, s := range states { // behind the texts: they are not to be in their way
		b.takeSaying(out, p, s)
	}
	for _, v := range other {
		b.takeOther(out, p, v)
	}
	b.release(out)
}

// takeOther takes what goes no further: presence, and what is said to the gateway itself.
// b.mu is held.
func (b *Bridge) takeOther(out *work, p *Policy, v mapping.XMPP) {
	switch v := v.(type) {
	case *mapping.XMPPMessage:
		b.help(out, p, v)
	case *mapping.XMPPPresence:
		b.takePresence(out, p, v)
	case *mapping.XMPPReady:
		b.announce(out, v.Name)
		out.presences = append(out.presences, v)
	}
}

// takeXMPP translates a message; nil if nothing is left to be done.
func (b *Bridge) takeXMPP(out *work, p *Policy, m *mapping.XMPPMessage) *outbound {
	o := b.newOutbound()
	o.from, o.to, o.id, o.sender = m.From, m.To, m.ID, m.From.Bare()
	o.read, o.expire = out.now, out.now.Add(p.expire())
	// Access comes before the address is looked at: whoever may not send learns
	// nothing about addresses (SEC-13).
	if !p.Access.Allows(m.From) {
		out.refuse(o, p.blockedSender(out, m.From)) // no trail: strangers could push out that of others
		return nil
	}
	if f := b.tooFast(p, m.From, out.now); f != nil {
		out.tooFast++
		out.refuse(o, f) // no trail: one user could push out that of others
		return nil
	}
	m.Device = b.talks.device(m.From, m.To, out.now)
	parts, err := translate(b.log, p.Rules.ToSIP, mapping.XMPP(m))
	o.number = b.unnumbered.Add(1) | noteWithoutRow // until it has a row
	if err != nil {
		out.refused(o, asFailure(err))
		return nil
	}
	if len(parts) == 0 {
		return nil
	}
	takes := b.formats.known(m.To, out.now)
	own := takes.ownCallID.is > 0
	for _, part := range parts {
		s, ok := part.(*mapping.SIPMessage)
		if !ok {
			return nil
		}
		if m.Thread != "" && (s.CallID == "" || own) {
			s.CallID = b.talks.callID(m.From, m.To, m.Thread, own, out.now)
		}
		b.ids.fill(s)
	}
	o.parts = parts
	if p.Texts && len(m.Bodies) > 0 {
		o.text = m.Bodies[0].Value
	}
	// Nothing at all goes to whom nothing may be sent, not even a question (see shape).
	f := p.blockedContact(out, o)
	if f == nil {
		f = b.dial(out, p, o)
	}
	if f != nil {
		out.refused(o, f)
		return nil
	}
	o.wish(p, m)
	b.shape(out, p, o, takes)
	o.measure()
	return o
}

// enqueue journals messages and gives each its place. owners is what formats.owners was
// before they were taken. b.mu is held.
func (b *Bridge) enqueue(out *work, batch []*outbound, owners uint64) {
	if b.formats.owners.Load() != owners {
		for _, o := range batch {
			if b.formats.ownCallID(o.to, out.now) {
				b.renewAll(o, out.now)
			}
		}
	}
	early := 0 // of this batch
	taken := batch[:0]
	for _, o := range batch {
		if b.closing && (!b.sealed || b.volatile) {
			b.notDialled(o)
			out.refused(o, mapping.FailShutdown())
			continue
		}
		b.nextRow++
		o.row, o.rev, o.number = b.nextRow, 1, b.nextRow
		if b.early(out, early) && b.lanes.takeSlot(o) {
			o.sent, o.attempts = true, 1
			early++
		} else {
			f := b.lanes.push(o)
			if f == nil {
				b.notDialled(o)
				out.refused(o, mapping.FailBusy(busySeconds))
				continue
			}
			if f.lane.waiting <= b.ahead && f.lane.until.IsZero() && !b.closing {
				o.sent, o.attempts = true, 1
			}
		}
		taken = append(taken, o)
	}
	if len(taken) == 0 {
		return
	}
	n, err := b.journal.Append(out.encode(taken))
	for i := len(taken) - 1; i >= n; i-- { // in reverse: each is the last of its FIFO
		b.notJournaled(out, taken[i], err)
	}
	for _, o := range taken[:n] {
		b.rows[o.row] = o
		out.noteRead(o)
		b.welcome(out, o.sender, o.to.DomainJID(), false)
		if o.slot != nil {
			b.unjournaled, o.unkept = append(b.unjournaled, o), true
			b.stats.Early++
			b.send(out, o)
		} else if f := b.front(o); f != nil {
			b.stir(out, f)
		}
	}
}

// notJournaled takes back what enqueue did with o.
func (b *Bridge) notJournaled(out *work, o *outbound, err error) {
	l := b.lanes.byKey[o.lane]
	if l.open == o {
		b.lanes.release(o)
		b.lanes.tidyLane(l)
	} else {
		f := l.of(o.sender)
		b.lanes.remove(f, len(f.queue)-1)
		b.lanes.tidy(f)
	}
	o.row = 0
	b.notDialled(o)
	f := mapping.FailStore()
	if f.Err = err; b.full(err) {
		f = mapping.FailBusy(busySeconds)
	}
	out.refused(o, f)
}

// early reports whether a message may leave before its row is on the disk, if so many
// more are about to.
func (b *Bridge) early(out *work, more int) bool {
	for len(b.unjournaled) > 0 && (b.unjournaled[0].kept > 0 || b.unjournaled[0].over) {
		if o := b.unjournaled[0]; o.spent {
			out.sentOut = append(out.sentOut, o)
		} else {
			o.unkept = false
		}
		b.unjournaled[0] = nil
		b.unjournaled = b.unjournaled[1:]
	}
	if b.closing || b.noEarly || b.failing {
		return false
	}
	n := len(b.unjournaled)
	if n+more >= maxUnjournaled {
		return false
	}
	return n == 0 || out.now.Sub(b.unjournaled[0].read) < maxUnjournaledAge
}

// Committed takes what the store reports of commits, in the order of Append and
// Update. With an error these were new rows and are gone.
func (b *Bridge) Committed(marks []Mark, err error) {
	out := b.gather()
	b.mu.Lock()
	b.failing = err != nil
	for _, m := range marks {
		o := b.rows[m.ID]
		switch {
		case o == nil: // it is done, or waits in the store
		case err != nil:
			b.lost(out, o, err)
		default:
			if o.kept == 0 {
				out.note(o, noteJournaled)
			}
			o.kept = max(o.kept, m.Rev)
			b.settled(out, o)
		}
	}
	b.release(out)
}

// settled is told that a version of the row of o is on the disk.
func (b *Bridge) settled(out *work, o *outbound) {
	if f := b.front(o); f != nil {
		b.stir(out, f)
	}
	l := o.slot
	if l != nil {
		b.sendPart(out, o)
	} else if l = b.lanes.byKey[o.lane]; l == nil {
		return
	}
	if !out.now.Before(l.until) && b.lanes.stored == 0 {
		return // there is nothing to be left to the store
	}
	f := l.of(o.sender)
	if f == nil || len(f.queue) == 0 || b.closing {
		return
	}
	// What is behind one that is in the store only is left to the store as well: else it
	// might take the room that is needed to read that one.
	if out.now.Before(l.until) || f.queue[0].o == nil {
		b.unmark(out, f)
		b.park(f)
	}
}

// front is the FIFO whose first message o is, nil if it is not the first of one.
func (b *Bridge) front(o *outbound) *fifo {
	if f := o.waits; f != nil && f.queue[0].o == o {
		return f
	}
	return nil
}

// lost is told that the row of o could not be written. What is under way decides by
// itself; what is not has to be refused, since it could not be sent again.
func (b *Bridge) lost(out *work, o *outbound, err error) {
	delete(b.rows, o.row)
	row := o.row
	o.row = 0
	l := b.lanes.byKey[o.lane]
	if o.reported != nil || l == nil {
		return
	}
	if l.open == o {
		b.sendPart(out, o)
		return
	}
	f := l.of(o.sender)
	if f == nil {
		return
	}
	for i := range f.queue {
		if f.queue[i].row == row {
			b.lanes.remove(f, i)
			fail := o.problem // it has left before, and may even have arrived
			if fail == nil {
				fail = mapping.FailStore()
				fail.Err = err
			}
			b.giveUp(out, o, fail)
			b.stir(out, f)
			return
		}
	}
}

// SIPOutcomes takes what became of requests.
func (b *Bridge) SIPOutcomes(batch []mapping.Result) {
	out := b.gather()
	p := b.policy.Load()
	b.mu.Lock()
	for _, r := range batch {
		switch ref := r.Ref.(type) {
		case *claim[outbound]:
			if o := ref.end(); o != nil {
				b.settle(out, o, r.Outcome)
			} else {
				b.toldTwice("xmpp-sip")
			}
		case *query:
			b.formats.answered(ref, r.Outcome, out.now)
		case *typist:
			b.said(out, p, ref, r.Outcome)
		}
	}
	b.release(out)
}

// sendSilent sends a message of the gateway itself, in its turn like any other. It is
// not journaled, and nobody is told what becomes of it.
func (b *Bridge) sendSilent(out *work, o *outbound) {
	o.sent, o.attempts, o.rev, o.kept = true, 1, 1, 1
	if b.lanes.takeSlot(o) {
		b.send(out, o)
	} else if f := b.lanes.push(o); f != nil {
		b.stir(out, f)
	}
}

// finish ends a message that has been delivered.
func (b *Bridge) finish(out *work, o *outbound, res mapping.Outcome) {
	if b.debugs() {
		b.log.Debug("delivered", "dir", "xmpp-sip", "from", o.from, "to", o.to, "id", o.id, "call_id", o.callID(), "status", res.Status)
	}
	if !o.silent {
		out.delivered(o, res)
		out.noteEnd(o, "", eventDelivered, nil)
		b.stats.ToSIP.delivered(out.now.Sub(o.read))
		b.accepted(out, o, res)
	}
	b.end(out, o)
	b.spend(out, o)
}

// finishNotified ends a message of which a notification has said that it has arrived.
func (b *Bridge) finishNotified(out *work, o *outbound) {
	b.log.Debug("delivered, as a notification has said", "dir", "xmpp-sip", "from", o.from, "to", o.to, "id", o.id, "call_id", o.callID())
	out.trail(o, eventDelivered, nil)
	out.noteEnd(o, "", eventDelivered, nil)
	b.stats.ToSIP.delivered(out.now.Sub(o.read))
	b.accepted(out, o, mapping.Outcome{})
	b.end(out, o)
}

// end ends the row of o.
func (b *Bridge) end(out *work, o *outbound) {
	o.over = true
	if o.row != 0 {
		delete(b.rows, o.row)
		out.done = append(out.done, o.row)
	}
}

// asFailure returns the Failure in err. mapping returns nothing else; should
// it ever, the sender gets an internal error and not silence.
func asFailure(err error) *mapping.Failure {
	var f *mapping.Failure
	if errors.As(err, &f) {
		return f
	}
	return mapping.FailInternal(err)
}
