package bridge

import (
	"errors"
	"fmt"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// incoming is a request from SIP.
type incoming struct {
	ref     any       // the SIP side's
	joined  []any     // of its repeats
	taken   time.Time // when it came
	sender  string    // the URI of From ...
	host    string    // ... and the host in that
	callID  string
	request *mapping.SIPMessage // until it is known what becomes of it

	key      stanzaKey // its identity
	next     *incoming // in pending
	seen     uint16    // what its repeats are told, 0 if it has not ended; see recall
	id       string    // of its stanzas
	number   uint64    // of it in its notes
	from, to mapping.JID
	pair     uint64               // a hash of the two
	nick     string               // that the stanza tells
	stanzas  []mapping.XMPP       // until they are handed over
	asks     *mapping.IMDNRequest // what its sender wants to be notified of
	notice   *mapping.IMDN        // it is a notification ...
	wish     *wish                // ... about this message, whose sender is told
	quiet    bool                 // it has no text: nothing of it is in the trail
	state    *mapping.XMPPState   // it says only whether its sender is typing

	left    int // stanzas without an outcome
	outcome mapping.Outcome
	late    *mapping.XMPPError // an error that came before the outcome was told
}

// awayFor is what a SIP peer is told to wait while no link is up.
const awayFor = 5 * time.Second

// FromSIP takes requests that the SIP side has read in one go. Each gets exactly
// one answer, as soon as the fate of its stanza is known (IM-56).
func (b *Bridge) FromSIP(batch []mapping.Parcel[mapping.SIP]) {
	p := b.policy.Load()
	out := b.gather()
	for _, parcel := range batch {
		if m, ok := parcel.Value.(*mapping.SIPMessage); !ok {
			out.answers = append(out.answers, refused(parcel.Ref, mapping.FailInternal(fmt.Errorf("bridge: no way for a %T", parcel.Value))))
		} else if in := b.readSIP(out, p, parcel.Ref, m); in != nil {
			out.read = append(out.read, in)
		}
	}
	b.mu.Lock()
	b.recall(out)
	for _, in := range out.read {
		b.takeSIP(out, p, in)
		in.request = nil
	}
	b.release(out)
}

// readSIP translates a request. It returns nil if that has already answered it.
func (b *Bridge) readSIP(out *work, p *Policy, ref any, m *mapping.SIPMessage) *incoming {
	in := b.newIncoming()
	in.ref, in.taken, in.request = ref, out.now, m
	in.sender, in.host, in.callID = m.From.String(), m.From.Host, m.CallID
	in.quiet = hasType(m, mapping.TypeComposing)
	b.formats.notified(p.Rules, m, out.now)
	stanzas, err := translate(b.log, p.toXMPP, m)
	switch {
	case errors.Is(err, errAccess):
		b.refuseSIP(out, in, mapping.FailForbidden(), "reason", "access")
		return nil
	case errors.Is(err, errBlocked):
		out.denied.Unwanted++
		b.refuseSIP(out, in, mapping.FailForbidden(), "reason", "blocked by an admin")
		return nil
	case errors.Is(err, errIgnored):
		out.denied.Unwanted++
		b.ignore(out, in, p, stanzas)
		return nil
	case err != nil:
		f := asFailure(err)
		b.refuseSIP(out, in, f, "reason", f.Condition, "err", f)
		return nil
	case len(stanzas) == 0:
		// There was nothing to say (an empty body): nothing is left to be done.
		out.answers = append(out.answers, mapping.Result{Ref: ref, Outcome: mapping.Outcome{Kind: mapping.Processed}})
		return nil
	}
	for _, v := range stanzas {
		if x, ok := v.(*mapping.XMPPMessage); ok {
			in.key = b.ids.identity(m, in.sender, x.To)
			in.id, in.number = stanzaID(in.key), numberOf(in.key)
			in.from, in.to, x.ID = x.From, x.To, in.id
			in.pair = b.pairs.of(pair{x.To.Bare(), x.From.Bare()})
			b.talks.incoming(x, out.now)
			b.formats.wrote(x.From, m, out.now)
			in.nick = x.Nick
			in.wishes(x)
		} else if n, ok := v.(*mapping.IMDN); ok {
			in.key = b.ids.identity(m, in.sender, n.To)
			in.id, in.number = stanzaID(in.key), numberOf(in.key)
			in.from, in.to, in.notice = n.From, n.To, n
			b.formats.wrote(n.From, m, out.now)
			b.formats.noteNotifies(n.From, out.now)
			return in
		} else if x, ok := v.(*mapping.XMPPState); ok {
			in.key = b.ids.identity(m, in.sender, x.To)
			in.id, in.number = stanzaID(in.key), numberOf(in.key)
			in.from, in.to, x.ID = x.From, x.To, in.id
			in.pair = b.pairs.of(pair{x.To.Bare(), x.From.Bare()})
			in.quiet, in.state = true, x
			b.formats.wrote(x.From, m, out.now)
			b.formats.saysComposing(x.From, out.now)
		}
	}
	in.stanzas = stanzas
	return in
}

var errAccess = errors.New("bridge: access does not allow the recipient")

// toXMPP is Rules.ToXMPP for those who may be reached. Of others SIP is told just
// that, whatever else is wrong with the request (SEC-13): errAccess.
func (p *Policy) toXMPP(m *mapping.SIPMessage) ([]mapping.XMPP, error) {
	stanzas, err := p.Rules.ToXMPP(m)
	if (err != nil || len(stanzas) == 0) && p.Rules.Denies(p.Access, m) {
		return nil, errAccess
	}
	for _, v := range stanzas {
		if !p.Access.Allows(recipientOf(v)) {
			return nil, errAccess
		}
	}
	if why := p.unwanted(stanzas, m.From); why != nil {
		return stanzas, why
	}
	return stanzas, err
}

// takeSIP hands over the stanzas of a request, unless it is a repeat. b.mu is held.
func (b *Bridge) takeSIP(out *work, p *Policy, in *incoming) {
	if b.repeat(out, in) {
		return
	}
	if b.closing {
		b.refuseSIP(out, in, mapping.FailShutdown(), "reason", "shutdown")
		return
	}
	if in.notice != nil {
		b.takeNotice(out, p, in)
		return
	}
	if in.state != nil {
		b.takeState(out, in)
		return
	}
	b.wroteBack(out, p, in)
	b.handOver(out, in)
}

// handOver hands over the stanzas of a request that is not a repeat. b.mu is held.
func (b *Bridge) handOver(out *work, in *incoming) {
	b.incoming++
	b.repeats.pending.add(in)
	b.noteTaken(out, in)
	b.remind(out, in)
	in.left = len(in.stanzas)
	for _, v := range in.stanzas {
		out.stanzas = append(out.stanzas, mapping.Parcel[mapping.XMPP]{Ref: b.handed.to(in), Value: v})
	}
	in.stanzas = nil
}

// refuseSIP answers a request that is not taken, and logs why. Nothing of it is
// remembered.
func (b *Bridge) refuseSIP(out *work, in *incoming, f *mapping.Failure, why ...any) {
	if b.debugs() {
		attrs := append([]any{"dir", "sip-xmpp", "from", in.sender, "to", in.request.RequestURI, "call_id", in.callID}, why...)
		b.log.Debug("not delivered", append(attrs, "remedy", f.Remedy)...)
	}
	r := refused(in.ref, f)
	in.outcome = r.Outcome
	out.answers = append(out.answers, r)
	if !in.quiet {
		out.events = append(out.events, in.finished(in.taken))
		if in.notice == nil {
			b.noteRefused(out, in, f)
		}
		if in.notice == nil {
			out.refusals = append(out.refusals, f.Condition)
		}
	}
}

// XMPPOutcomes takes what became of stanzas: it answers the SIP transactions
// they came from.
func (b *Bridge) XMPPOutcomes(batch []mapping.Result) {
	out := b.gather()
	p := b.policy.Load()
	down := false
	for i := range batch {
		if batch[i].Outcome.Kind == mapping.NotWritten {
			down = !b.xmpp.Up() // not with the lock held
			break
		}
	}
	b.mu.Lock()
	for i := range batch {
		r := &batch[i]
		switch ref := r.Ref.(type) {
		case *claim[incoming]:
			if in := ref.end(); in == nil {
				b.toldTwice("sip-xmpp")
			} else if in.came(&r.Outcome); in.left == 0 {
				b.finishSIP(out, p, in, down)
			}
		case *report:
			b.settleReport(out, ref, r.Outcome.Kind, false)
		case notice:
			b.settleReport(out, ref.report, r.Outcome.Kind, true)
		case *round:
			b.told(out, ref, r.Outcome)
		case greeting:
			b.welcomed(out, ref, r.Outcome)
		case introduction:
			b.introduced(out, ref, r.Outcome)
		}
	}
	b.release(out)
}

// finishSIP answers a request whose outcome is known, and its repeats. down says
// that no link is up. b.mu is held.
func (b *Bridge) finishSIP(out *work, p *Policy, in *incoming, down bool) {
	b.incoming--
	b.repeats.pending.remove(in)
	if in.notice != nil {
		in.untoldNotice()
	}
	switch o := &in.outcome; {
	case o.Kind == mapping.Bounced && o.Failure != nil:
		o.Failure = p.failureToSIP(o.Failure, in.host)
	case o.Kind == mapping.NotWritten && down && (o.Failure == nil || o.Failure.Status == 503):
		// Only while every link is down: whoever is told to stay away sends us nothing
		// at all (SIP-30).
		f := mapping.FailNoLinks(awayFor)
		if o.Failure != nil {
			f.Err = o.Failure.Err
		}
		o.Failure = f
	}
	if !b.debugs() {
		// Nothing is said.
	} else if _, f := in.outcome.Final(200); f != nil {
		b.log.Debug("not delivered", "dir", "sip-xmpp", "from", in.from, "to", in.to, "id", in.id, "call_id", in.callID,
			"reason", f.Condition, "err", f, "remedy", f.Remedy)
	} else if in.notice == nil || in.wish != nil {
		b.log.Debug("delivered", "dir", "sip-xmpp", "from", in.from, "to", in.to, "id", in.id, "call_id", in.callID)
	}
	out.answers = append(out.answers, mapping.Result{Ref: in.ref, Outcome: in.outcome})
	for _, ref := range in.joined {
		out.answers = append(out.answers, mapping.Result{Ref: ref, Outcome: in.outcome})
	}
	if in.notice != nil {
		return // a repeat is told what the memory of the message says: nothing
	}
	if in.state != nil {
		b.finishState(out, in)
		return
	}
	b.countInbound(in, out.now)
	b.remember(out, in)
	if in.nick != "" && in.outcome.Kind == mapping.Processed {
		b.talks.told(in.to, in.from, in.nick, out.now)
	}
	if in.outcome.Kind == mapping.Processed {
		b.introduce(out, p, in)
	}
	e := in.finished(out.now)
	if e.Kind == eventUncertain {
		b.tally.Uncertain++
	}
	out.events = append(out.events, e)
	out.noteFinished(in, &e)
	b.replied(out, p, in)
	if in.late != nil {
		b.noteLate(out, p, in.key, in.late)
	}
	out.answered = append(out.answered, in)
}

// failureToSIP is Rules.FailureToSIP without addresses that access would refuse.
func (p *Policy) failureToSIP(f *mapping.Failure, toward string) *mapping.Failure {
	told := p.Rules.FailureToSIP(f, toward)
	if told.Alternate == "" {
		return told
	}
	if u, err := mapping.ParseURI(told.Alternate); err == nil {
		if j, err := p.Rules.Recipient(u); err == nil && !p.Access.Allows(j) {
			without := *told
			without.Alternate = ""
			without.Status = mapping.Default.Status(told.Condition, false, false)
			return &without
		}
	}
	return told
}

// came takes the outcome of one stanza. That of a request with several is the worst of
// them: what failed for certain outranks what may have failed, and that what did not.
func (in *incoming) came(o *mapping.Outcome) {
	in.left--
	doubtful := in.outcome.Doubtful || o.Doubtful
	if rank(o.Kind) > rank(in.outcome.Kind) {
		in.outcome = *o
	}
	in.outcome.Doubtful = doubtful
}

func rank(k mapping.OutcomeKind) int {
	switch k {
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

func refused(ref any, f *mapping.Failure) mapping.Result {
	return mapping.Result{Ref: ref, Outcome: mapping.Outcome{Kind: mapping.Refused, Failure: f}}
}
