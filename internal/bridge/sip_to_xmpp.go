package bridge

import (
	"fmt"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// incoming is a request from SIP whose stanzas are on their way.
type incoming struct {
	ref     any // the SIP side's
	left    int // stanzas without an outcome
	outcome mapping.Outcome
	id      string
	host    string // of From: whom a new address is for

	from, to mapping.JID // for the log, as is callID
	callID   string
}

// FromSIP takes requests that the SIP side has read in one go. Each gets exactly
// one answer, as soon as the fate of its stanza is known (IM-56).
func (b *Bridge) FromSIP(batch []mapping.Parcel[mapping.SIP]) {
	p := b.policy.Load()
	var out work
	for _, parcel := range batch {
		if m, ok := parcel.Value.(*mapping.SIPMessage); ok {
			b.takeSIP(&out, p, parcel.Ref, m)
		} else {
			out.answers = append(out.answers, refused(parcel.Ref, mapping.FailInternal(fmt.Errorf("bridge: no way for a %T", parcel.Value))))
		}
	}
	b.do(out)
}

func (b *Bridge) takeSIP(out *work, p *Policy, ref any, m *mapping.SIPMessage) {
	stanzas, err := translate(b.log, p.Rules.ToXMPP, mapping.SIP(m))
	if err != nil {
		f := asFailure(err)
		b.log.Debug("not delivered", "dir", "sip-xmpp", "from", m.From, "to", m.RequestURI, "call_id", m.CallID, "reason", f.Condition, "err", f, "remedy", f.Remedy)
		out.answers = append(out.answers, refused(ref, f))
		return
	}
	if len(stanzas) == 0 {
		// There was nothing to say (an empty body): nothing is left to be done.
		out.answers = append(out.answers, mapping.Result{Ref: ref, Outcome: mapping.Outcome{Kind: mapping.Processed}})
		return
	}
	in := &incoming{ref: ref, left: len(stanzas), host: m.From.Host, callID: m.CallID}
	for _, v := range stanzas {
		x, ok := v.(*mapping.XMPPMessage)
		if !ok {
			continue
		}
		if !p.Access.Allows(x.To) {
			f := mapping.FailForbidden()
			b.log.Debug("not delivered", "dir", "sip-xmpp", "from", m.From, "to", m.RequestURI, "call_id", m.CallID, "reason", "access", "remedy", f.Remedy)
			out.answers = append(out.answers, refused(ref, f))
			return
		}
		x.ID = b.ids.stanzaID(m, x.To)
		in.id, in.from, in.to = x.ID, x.From, x.To
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closing {
		out.answers = append(out.answers, refused(ref, mapping.FailShutdown()))
		return
	}
	b.incoming++
	for _, v := range stanzas {
		out.stanzas = append(out.stanzas, mapping.Parcel[mapping.XMPP]{Ref: in, Value: v})
	}
}

// XMPPOutcomes takes what became of stanzas: it answers the SIP transactions
// they came from.
func (b *Bridge) XMPPOutcomes(batch []mapping.Result) {
	out := work{now: time.Now()}
	b.mu.Lock()
	b.settleXMPP(&out, batch)
	b.unlock(&out)
}

// settleXMPP does so with b.mu held.
func (b *Bridge) settleXMPP(out *work, batch []mapping.Result) {
	p := b.policy.Load()
	for _, r := range batch {
		switch ref := r.Ref.(type) {
		case *incoming:
			ref.outcome = worse(ref.outcome, r.Outcome)
			if ref.left--; ref.left > 0 {
				continue
			}
			b.incoming--
			if ref.outcome.Kind == mapping.Bounced && ref.outcome.Failure != nil {
				ref.outcome.Failure = p.Rules.FailureToSIP(ref.outcome.Failure, ref.host)
			}
			if _, f := ref.outcome.Final(200); f != nil {
				b.log.Debug("not delivered", "dir", "sip-xmpp", "from", ref.from, "to", ref.to, "id", ref.id, "call_id", ref.callID,
					"reason", f.Condition, "err", f, "remedy", f.Remedy)
			} else {
				b.log.Debug("delivered", "dir", "sip-xmpp", "from", ref.from, "to", ref.to, "id", ref.id, "call_id", ref.callID)
			}
			out.answers = append(out.answers, mapping.Result{Ref: ref.ref, Outcome: ref.outcome})
		case *report:
			b.settleReport(out, ref, r.Outcome.Kind, false)
		case notice:
			b.settleReport(out, ref.report, r.Outcome.Kind, true)
		}
	}
}

// worse is the outcome of two stanzas of one request: what failed for certain
// outranks what may have failed, and that what did not.
func worse(a, b mapping.Outcome) mapping.Outcome {
	rank := func(o mapping.Outcome) int {
		switch o.Kind {
		case 0: // none yet
			return 0
		case mapping.Processed:
			return 1
		case mapping.Unknown:
			return 2
		case mapping.Uncertain:
			return 3
		}
		return 4
	}
	if rank(b) > rank(a) {
		return b
	}
	return a
}

func refused(ref any, f *mapping.Failure) mapping.Result {
	return mapping.Result{Ref: ref, Outcome: mapping.Outcome{Kind: mapping.Refused, Failure: f}}
}
