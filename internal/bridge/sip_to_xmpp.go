package bridge

import "github.com/stoxgw/stox/mapping"

// incoming is a request from SIP whose stanzas are on their way.
type incoming struct {
	ref     any // the SIP side's
	left    int // stanzas without an outcome
	outcome mapping.Outcome
	id      string
	host    string // of From: whom a new address is for
}

// FromSIP takes requests that the SIP side has read in one go. Each gets exactly
// one answer, as soon as the fate of its stanza is known (IM-56).
func (b *Bridge) FromSIP(batch []mapping.Parcel[mapping.SIP]) {
	p := b.policy.Load()
	var out work
	for _, parcel := range batch {
		if m, ok := parcel.Value.(*mapping.SIPMessage); ok {
			b.takeSIP(&out, p, parcel.Ref, m)
		}
	}
	b.do(out)
}

func (b *Bridge) takeSIP(out *work, p *Policy, ref any, m *mapping.SIPMessage) {
	stanzas, err := p.Rules.ToXMPP(m)
	if err != nil {
		f := asFailure(err)
		b.log.Debug("not delivered", "dir", "sip-xmpp", "from", m.From, "to", m.RequestURI, "call_id", m.CallID, "reason", f.Condition, "err", f)
		out.answers = append(out.answers, refused(ref, f))
		return
	}
	if len(stanzas) == 0 {
		// There was nothing to say (an empty body): nothing is left to be done.
		out.answers = append(out.answers, mapping.Result{Ref: ref, Outcome: mapping.Outcome{Kind: mapping.Processed}})
		return
	}
	in := &incoming{ref: ref, left: len(stanzas), host: m.From.Host}
	for _, v := range stanzas {
		x, ok := v.(*mapping.XMPPMessage)
		if !ok {
			continue
		}
		if !p.Access.Allows(x.To) {
			b.log.Debug("not delivered", "dir", "sip-xmpp", "from", m.From, "to", m.RequestURI, "call_id", m.CallID, "reason", "access")
			out.answers = append(out.answers, refused(ref, mapping.FailForbidden()))
			return
		}
		x.ID = b.ids.stanzaID(m, x.To)
		in.id = x.ID
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
	p := b.policy.Load()
	var out work
	b.mu.Lock()
	for _, r := range batch {
		switch ref := r.Ref.(type) {
		case *incoming:
			// Several stanzas of one request: the first that was not processed
			// decides, since only then is the request not delivered as a whole.
			if ref.outcome.Kind == 0 || ref.outcome.Kind == mapping.Processed {
				ref.outcome = r.Outcome
			}
			if ref.left--; ref.left > 0 {
				continue
			}
			b.incoming--
			if ref.outcome.Kind == mapping.Bounced && ref.outcome.Failure != nil {
				ref.outcome.Failure = p.Rules.FailureToSIP(ref.outcome.Failure, ref.host)
			}
			b.log.Debug("outcome", "dir", "sip-xmpp", "id", ref.id, "outcome", ref.outcome.Kind)
			out.answers = append(out.answers, mapping.Result{Ref: ref.ref, Outcome: ref.outcome})
		case *report:
			b.reports--
			if k := r.Outcome.Kind; k == mapping.NotWritten || k == mapping.Uncertain {
				b.log.Warn("an error could not be brought to its sender: the link to the XMPP server was lost", "dir", "sip-xmpp", "id", ref.id)
			}
		}
	}
	b.wakeDrain()
	b.mu.Unlock()
	b.do(out)
}

func refused(ref any, f *mapping.Failure) mapping.Result {
	return mapping.Result{Ref: ref, Outcome: mapping.Outcome{Kind: mapping.Refused, Failure: f}}
}
