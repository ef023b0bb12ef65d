package bridge

import (
	"time"

	"github.com/stoxgw/stox/mapping"
)

// A SIP request may come more than once: over two paths of a proxy, or again
// because its answer was lost. Its identity tells (ids.identity), and it becomes one
// stanza (IM-27, IM-57): a repeat of a pending request joins it, and one of a
// finished request is answered as that was, for ten minutes. What was not taken,
// did not leave, or may have left with a link that was lost, is not remembered:
// then a repeat is the sender's second attempt, and becomes a stanza with the same
// id.

// repeats is guarded by the bridge's mutex.
type repeats struct {
	pending pending
	seen    seenTable
	started time.Time // with the monotonic clock: that of the wall may be set
}

func newRepeats(now time.Time) repeats {
	return repeats{started: now}
}

// ms is a time as the table has it.
func (r *repeats) ms(t time.Time) int64 {
	return r.started.UnixMilli() + t.Sub(r.started).Milliseconds()
}

// Tally has totals since New, of what came from SIP unless it says otherwise.
type Tally struct {
	Joined    uint64 // repeats of a pending request
	Repeated  uint64 // repeats that got a stored outcome
	Uncertain uint64 // requests whose stanza may have arrived twice, or once although SIP was told that it failed
	Late      uint64 // errors that came after a 2xx had been given, each message counted once
	LateTold  uint64 // of these, told to their sender in a message
	Signals   uint64 // receipts and chat states from XMPP that were dropped: there were too many of one user
}

// Tally returns what has been counted so far.
func (b *Bridge) Tally() Tally {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.tally
}

// Seen.Outcome is the status that SIP was given as outcome of the stanza: 200 for
// processed whatever sip.accept_status says, 202 for unknown, otherwise that of the
// bounce. In memory three bits say more about it.
const (
	seenStatus   = 1<<10 - 1
	seenLate     = 1 << 15 // an error came after the answer
	seenReceived = 1 << 14 // its recipient has acknowledged it
	seenAsked    = 1 << 13 // its sender wants to be notified of what becomes of it, or may want that
)

// seenOutcome is what is remembered of an outcome; ok is false for those that are not.
func seenOutcome(o mapping.Outcome) (code uint16, ok bool) {
	switch o.Kind {
	case mapping.Processed, mapping.Unknown, mapping.Bounced:
		status, _ := o.Final(200)
		return uint16(status), true
	}
	return 0, false
}

// repeatOutcome is what a repeat is answered. Of a bounce the status is left: its
// reason phrase is the standard one, and a redirect has lost its Contact, for
// which 410 or 480 stands. The sender has had the Contact in the first answer, and
// in every retransmission of it; a proxy that forks prefers a 3xx to these two
// (RFC 3261 §16.7).
func repeatOutcome(code uint16) mapping.Outcome {
	switch status := int(code & seenStatus); status {
	case 200:
		return mapping.Outcome{Kind: mapping.Processed}
	case 202:
		return mapping.Outcome{Kind: mapping.Unknown}
	default:
		return mapping.Outcome{Kind: mapping.Bounced, Failure: mapping.FailRepeated(status)}
	}
}

// RestoreSeen takes outcomes that an earlier run has left, the oldest first.
func (b *Bridge) RestoreSeen(batch []Seen) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.repeats.ms(time.Now())
	for _, s := range batch {
		at := min(s.At.UnixMilli(), now)
		known := s.Outcome == 200 || s.Outcome == 202 || s.Outcome >= 300 && s.Outcome <= 699
		if known && now-at < seenFor.Milliseconds() {
			b.repeats.seen.put(s.Key, s.Outcome|seenAsked, at) // the trail knows
		}
	}
	out := work{now: time.Now()}
	b.sweepSeen(&out)
}

// outcome is what is remembered of a request, 0 if that is nothing.
func (r *repeats) outcome(key stanzaKey, now int64) uint16 {
	if e := r.seen.get(key, now); e != nil {
		return uint16(e.meta)
	}
	return 0
}

// recall looks up the requests of a batch in one go: the table is larger than the caches of
// a processor, which fetches for several of them at a time what it does not have. b.mu is held.
func (b *Bridge) recall(out *work) {
	now := b.repeats.ms(out.now)
	for _, in := range out.read {
		in.seen = b.repeats.outcome(in.key, now)
	}
	out.recalled = b.repeats.seen.puts
}

// repeat deals with in, which was recalled, if it is a repeat. b.mu is held.
func (b *Bridge) repeat(out *work, in *incoming) bool {
	if first := b.repeats.pending.get(in.key); first != nil {
		b.tally.Joined++
		first.joined = append(first.joined, in.ref)
		if !in.quiet && in.notice == nil {
			out.noteOf(in, noteJoined)
		}
		if b.debugs() {
			b.log.Debug("repeat of a request that is pending", "dir", "sip-xmpp", "from", in.from, "to", in.to, "id", in.id, "call_id", in.callID)
		}
		return true
	}
	if out.recalled != b.repeats.seen.puts {
		in.seen = b.repeats.outcome(in.key, b.repeats.ms(in.taken))
	}
	if in.seen == 0 {
		return false
	}
	b.tally.Repeated++
	o := repeatOutcome(in.seen)
	out.answers = append(out.answers, mapping.Result{Ref: in.ref, Outcome: o})
	// The trail of the first one may be lost with the last second before a kill.
	in.outcome = o
	if !in.quiet {
		again := in.finished(out.now)
		again.Kind = eventRepeated
		out.events = append(out.events, again)
		out.noteOf(in, noteRepeated).Status = again.status
	}
	if b.debugs() {
		b.log.Debug("repeat of a request that is finished", "dir", "sip-xmpp", "from", in.from, "to", in.to, "id", in.id, "call_id", in.callID)
	}
	return true
}

// remember keeps the outcome of a finished request. b.mu is held.
func (b *Bridge) remember(out *work, in *incoming) {
	code, ok := seenOutcome(in.outcome)
	if !ok {
		return
	}
	known := code
	if in.asks != nil {
		known |= seenAsked
	}
	if in.asks == nil && in.late == nil {
		out.outcomes = append(out.outcomes, seenOf{in.key, known}) // see keepOutcomes
	} else { // it is needed at once
		b.repeats.seen.put(in.key, known, b.repeats.ms(out.now))
	}
	b.sweepSeen(out)
	out.seen = append(out.seen, Seen{Key: in.key, Outcome: code, At: out.now})
}

// seenOf is what is to be remembered of a request.
type seenOf struct {
	key     stanzaKey
	outcome uint16
}

// keepOutcomes puts what is to be remembered of the requests of a batch, in one go as recall
// does. b.mu is held.
func (b *Bridge) keepOutcomes(out *work) {
	if len(out.outcomes) == 0 {
		return
	}
	now := b.repeats.ms(out.now)
	for i := range out.outcomes {
		o := &out.outcomes[i]
		b.repeats.seen.put(o.key, o.outcome, now)
	}
}

// finished is the event of a request that has been answered: who to whom, status,
// condition, and the time it took.
func (in *incoming) finished(now time.Time) event {
	status, f := in.outcome.Final(200)
	kind := eventFailed
	switch {
	case in.outcome.Doubtful, in.outcome.Kind == mapping.Uncertain:
		kind = eventUncertain
	case in.outcome.Kind == mapping.Processed:
		kind = eventDelivered
	case in.outcome.Kind == mapping.Unknown:
		kind = eventUnknown
	}
	e := event{
		Event: Event{ID: in.id, Other: in.callID, At: now, Kind: kind},
		dir:   dirFromSIP, from: in.sender, to: in.to.String(),
		status: status, condition: conditionIn(f), took: now.Sub(in.taken),
	}
	if in.to.IsZero() && in.request != nil { // refused before it was mapped
		e.to = in.request.RequestURI.String()
	}
	return e
}

// conditionIn is that of a Failure, "" without one.
func conditionIn(f *mapping.Failure) mapping.Condition {
	if f == nil {
		return ""
	}
	return f.Condition
}
