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
}

// busySeconds is what a sender is told to wait when a queue is full: the longest
// that a silent destination holds its slot (Timer F).
const busySeconds = 32

// report is an error stanza on its way to the sender of an outbound message.
type report struct{ id string }

// FromXMPP takes what the XMPP side has read in one go. Every message ends
// either with a 2xx from SIP or with one error stanza.
func (b *Bridge) FromXMPP(batch []mapping.XMPP) {
	p := b.policy.Load()
	var out work
	for _, v := range batch {
		if m, ok := v.(*mapping.XMPPMessage); ok {
			b.takeXMPP(&out, p, m)
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
	parts, err := p.Rules.ToSIP(m)
	if err != nil {
		b.refuse(out, o, asFailure(err))
		return
	}
	if len(parts) == 0 {
		return
	}
	for _, part := range parts {
		if s, ok := part.(*mapping.SIPMessage); ok {
			b.ids.fill(s)
			o.lane = s.RequestURI.AOR()
		}
	}
	o.parts = parts

	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closing {
		b.report(out, o, mapping.FailShutdown())
		return
	}
	switch send, ok := b.lanes.add(o); {
	case !ok:
		b.report(out, o, mapping.FailBusy(busySeconds))
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
	b.mu.Lock()
	for _, r := range batch {
		o := r.Ref.(*outbound)
		f := r.Outcome.Report()
		if f == nil && len(o.parts) > 1 {
			o.parts = o.parts[1:]
			b.send(&out, o) // the lane's slot stays with the message until its last part
			continue
		}
		if next := b.lanes.done(o.lane); next != nil {
			b.send(&out, next)
		}
		if f != nil {
			b.report(&out, o, f)
		} else {
			b.log.Debug("delivered", "dir", "xmpp-sip", "from", o.from, "to", o.to, "id", o.id)
		}
	}
	b.wakeDrain()
	b.mu.Unlock()
	b.do(out)
}

// refuse is report for a message that was never taken.
func (b *Bridge) refuse(out *work, o *outbound, f *mapping.Failure) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.report(out, o, f)
}

// report tells the sender of o why it did not arrive: one error stanza from the
// address that had been written to, with the id of the message (ERR-11, IM-60).
// b.mu is held.
func (b *Bridge) report(out *work, o *outbound, f *mapping.Failure) {
	b.log.Debug("not delivered", "dir", "xmpp-sip", "from", o.from, "to", o.to, "id", o.id, "reason", f.Condition, "err", f)
	f = b.policy.Load().Rules.FailureToXMPP(f)
	b.reports++
	out.stanzas = append(out.stanzas, mapping.Parcel[mapping.XMPP]{
		Ref:   &report{id: o.id},
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
