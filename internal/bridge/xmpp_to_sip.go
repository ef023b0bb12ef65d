package bridge

import (
	"errors"

	"github.com/stoxgw/stox/mapping"
)

// outbound is a message on its way from XMPP to SIP.
type outbound struct {
	from, to mapping.JID // as in the stanza: where an error goes to, and whom it comes from
	id       string
	sender   mapping.JID // bare: whose FIFO
	lane     string      // canonical address of record of the Request-URI
	parts    []mapping.SIP
	size     int // octets in memory, about
}

// busySeconds is what a sender is told to wait when a queue is full: the longest
// that a silent destination holds its slot (Timer F).
const busySeconds = 32

// report is an error stanza on its way to the sender of an outbound message.
type report struct {
	id    string
	taken bool // of a message that had been taken: Drain waits for it
}

// FromXMPP takes what the XMPP side has read in one go. Every message ends
// either with a 2xx from SIP or with one error stanza.
func (b *Bridge) FromXMPP(batch []mapping.XMPP) {
	p := b.policy.Load()
	var out work
	for _, v := range batch {
		switch v := v.(type) {
		case *mapping.XMPPMessage:
			b.takeXMPP(&out, p, v)
		case *mapping.XMPPError:
			b.takeLate(&out, p, v)
		}
	}
	b.do(out)
}

func (b *Bridge) takeXMPP(out *work, p *Policy, m *mapping.XMPPMessage) {
	o := &outbound{from: m.From, to: m.To, id: m.ID, sender: m.From.Bare()}
	// Access comes before the address is looked at: whoever may not send learns
	// nothing about addresses (SEC-13).
	if !p.Access.Allows(m.From) {
		b.refuse(out, o, mapping.FailForbidden())
		return
	}
	parts, err := translate(b.log, p.Rules.ToSIP, mapping.XMPP(m))
	if err != nil {
		b.refuse(out, o, asFailure(err))
		return
	}
	if len(parts) == 0 {
		return
	}
	o.parts = parts
	b.enqueue(out, o)
}

// enqueue puts o into the lane of its destination. All its parts go to one.
func (b *Bridge) enqueue(out *work, o *outbound) {
	o.size = 512 + len(o.id)
	for _, part := range o.parts {
		if s, ok := part.(*mapping.SIPMessage); ok {
			b.ids.fill(s)
			o.lane = s.RequestURI.AOR()
			o.size += len(s.Body) + len(s.Subject) + len(s.CallID)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closing {
		b.refuse(out, o, mapping.FailShutdown())
		return
	}
	switch send, ok := b.lanes.add(o); {
	case !ok:
		b.refuse(out, o, mapping.FailBusy(busySeconds))
	case send:
		b.send(out, o)
	}
}

// send hands the next part of o to the SIP side. b.mu is held.
func (b *Bridge) send(out *work, o *outbound) {
	out.requests = append(out.requests, mapping.Parcel[mapping.SIP]{Ref: o, Value: o.parts[0]})
}

// SIPOutcomes takes what became of requests.
func (b *Bridge) SIPOutcomes(batch []mapping.Result) {
	var out work
	b.settleSIP(&out, batch)
	b.do(out)
}

func (b *Bridge) settleSIP(out *work, batch []mapping.Result) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range batch {
		if b.settleLate(r) {
			continue
		}
		o := r.Ref.(*outbound)
		f := r.Outcome.Report()
		if f == nil && len(o.parts) > 1 {
			o.parts = o.parts[1:]
			b.send(out, o) // the lane's slot stays with the message until its last part
			continue
		}
		if next := b.lanes.done(o); next != nil {
			b.send(out, next)
		}
		if f != nil {
			b.report(out, o, f)
		} else {
			b.log.Debug("delivered", "dir", "xmpp-sip", "from", o.from, "to", o.to, "id", o.id)
		}
	}
	b.wakeDrain()
}

// report tells the sender of a message that had been taken why it did not
// arrive. b.mu is held.
func (b *Bridge) report(out *work, o *outbound, f *mapping.Failure) {
	b.reports++
	b.tell(out, o, f, true)
}

// refuse does the same for a message that was not taken.
func (b *Bridge) refuse(out *work, o *outbound, f *mapping.Failure) { b.tell(out, o, f, false) }

// tell makes the one error stanza of a message: from the address that had been
// written to, with the id of the message (ERR-11, IM-60).
func (b *Bridge) tell(out *work, o *outbound, f *mapping.Failure, taken bool) {
	b.log.Debug("not delivered", "dir", "xmpp-sip", "from", o.from, "to", o.to, "id", o.id, "reason", f.Condition, "err", f, "remedy", f.Remedy)
	f = b.policy.Load().Rules.FailureToXMPP(f)
	out.stanzas = append(out.stanzas, mapping.Parcel[mapping.XMPP]{
		Ref:   &report{id: o.id, taken: taken},
		Value: &mapping.XMPPError{From: o.to, To: o.from, ID: o.id, Failure: f},
	})
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
