package bridge

import (
	"fmt"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// An error stanza may come when SIP has been given its 2xx: from a user's session
// that answers just behind the barrier, or minutes later from one that timed out.
// It is only half true, since another device may have the message. It is looked
// at once for each message, and believed only if it bears the id of a stanza whose
// outcome is remembered as 200 or 202: so it is told to SIP only where SIP was
// told otherwise, an error to an error or notice of ours is never looked at, and
// nobody can make up one without having received the message (IM-61, IM-47).

const (
	receiptTime   = 30 * time.Second // a receipt that comes so soon after the error outweighs it
	toldEvery     = time.Minute      // one sender is told at most one late error
	maxLate       = 1024             // that wait for a receipt; beyond that they are counted only
	maxToldSender = 4096             // that are remembered; the same
)

// late has the errors that wait for a receipt. The bridge's mutex guards it.
type late struct {
	queue   []*lateError // in the order of due
	waiting map[stanzaKey]*lateError
	told    map[string]time.Time // by canonical address: when a sender was told the last one
	sweepAt time.Time            // when to look which outcomes are over; zero: there are none
}

type lateError struct {
	key stanzaKey
	due time.Time
	err *mapping.XMPPError
}

func newLate() late {
	return late{waiting: make(map[stanzaKey]*lateError), told: make(map[string]time.Time)}
}

// sweepSeen has the table of outcomes, which is not empty, looked through in time.
func (b *Bridge) sweepSeen(out *work) {
	if b.late.sweepAt.IsZero() {
		b.late.sweepAt = out.now.Add(seenFor)
		b.wakeAt(out, b.late.sweepAt)
	}
}

// takeLate takes an error stanza that answers nothing pending on the XMPP side.
// b.mu is held.
func (b *Bridge) takeLate(out *work, p *Policy, e *mapping.XMPPError) {
	key, ok := keyOf(e.ID)
	if !ok {
		b.log.Debug("error stanza dropped: it answers nothing of ours", "from", e.From, "to", e.To, "id", e.ID)
		return
	}
	if in := b.repeats.pending.get(key); in != nil {
		// It has overtaken the outcome, which is told from another goroutine.
		if e.To.Bare() == in.from.Bare() && (e.From.Bare() == in.to.Bare() || e.From == in.to.DomainJID()) {
			in.late = e
		}
		return
	}
	b.noteLate(out, p, key, e)
}

// noteLate deals with a late error. b.mu is held.
func (b *Bridge) noteLate(out *work, p *Policy, key stanzaKey, e *mapping.XMPPError) {
	seen := b.repeats.seen.get(key, b.repeats.ms(out.now))
	if seen == nil || seen.meta&(seenLate|seenReceived) != 0 || seen.meta&seenStatus >= 300 {
		b.log.Debug("error stanza dropped: too late, or told before", "from", e.From, "to", e.To, "id", e.ID)
		return
	}
	if !p.Access.Allows(e.From) && !p.server(e.From) {
		b.log.Debug("error stanza dropped: its sender may not use the gateway", "from", e.From, "to", e.To, "id", e.ID)
		return
	}
	seen.meta |= seenLate
	b.tally.Late++
	b.log.Debug("an error came after SIP had been told that the message arrived", "dir", "sip-xmpp",
		"from", e.To, "to", e.From, "id", e.ID, "reason", e.Failure.Condition)
	out.noteLater(key, e.ID, e.From, e.To, noteLate, string(e.Failure.Condition))
	out.add(Event{ID: e.ID, At: out.now, Kind: eventLate,
		Detail: fmt.Sprintf("sip-xmpp %s -> %s %s", e.To, e.From, e.Failure.Condition)})
	wanted := p.Late == LateMessage || p.Late == LateIMDN && seen.meta&seenAsked != 0
	if !wanted || len(b.late.queue) >= maxLate {
		return
	}
	l := &lateError{key: key, due: out.now.Add(receiptTime), err: e}
	b.late.queue = append(b.late.queue, l)
	b.late.waiting[key] = l
	b.wakeAt(out, l.due)
}

// server reports whether j is the server of a domain that we serve.
func (p *Policy) server(j mapping.JID) bool {
	_, served := p.Rules.Serves(j.Domain())
	return served && j == j.DomainJID()
}

// received takes a receipt for the stanza with this id: an error of the same
// message that comes, or has come but is not told yet, is dropped. b.mu is held.
func (b *Bridge) received(id string, now time.Time) {
	key, ok := keyOf(id)
	if !ok {
		return
	}
	if seen := b.repeats.seen.get(key, b.repeats.ms(now)); seen != nil {
		seen.meta |= seenReceived
	}
	delete(b.late.waiting, key)
}

// tickLate tells the late errors that are due, and forgets outcomes that are over.
// b.mu is held.
func (b *Bridge) tickLate(out *work) {
	p, l := b.policy.Load(), &b.late
	done := 0
	for done < len(l.queue) && !out.now.Before(l.queue[done].due) {
		e := l.queue[done]
		l.queue[done] = nil
		done++
		if l.waiting[e.key] == e {
			delete(l.waiting, e.key)
			b.tellLate(out, p, e)
		}
	}
	l.queue = l.queue[:copy(l.queue, l.queue[done:])]
	if len(l.queue) > 0 {
		b.wakeAt(out, l.queue[0].due)
	}
	if !l.sweepAt.IsZero() && !out.now.Before(l.sweepAt) {
		l.sweepAt = time.Time{}
		if b.repeats.seen.drop(b.repeats.ms(out.now)) {
			b.sweepSeen(out)
		}
	}
	b.wakeAt(out, l.sweepAt)
}

// tellLate makes the notification that tells a SIP sender of a late error, or the message,
// unless it has just been told one in a message. b.mu is held.
func (b *Bridge) tellLate(out *work, p *Policy, l *lateError) {
	e := l.err
	switch {
	case b.closing:
		return
	case p.Late == LateIMDN:
		b.tellBounced(out, p, l)
		return
	case p.Late != LateMessage:
		return
	}
	to, err := p.Rules.SIPAddress(e.To)
	if err != nil {
		b.log.Debug("a late error is not told: its addressee is no SIP address", "to", e.To, "id", e.ID, "err", err)
		return
	}
	if !b.late.mayTell(to.AOR(), out.now) {
		b.log.Debug("a late error is not told: another one was just before", "to", to, "id", e.ID)
		return
	}
	b.tally.LateTold++
	m := &mapping.SIPMessage{
		RequestURI: to, To: to, From: p.Rules.Itself(),
		ContentType: "text/plain;charset=utf-8",
		Body: fmt.Appendf(nil, "Your message to %s may not have arrived: the XMPP server had taken it and reported an error later (%s).",
			e.From.Bare(), e.Failure.Condition),
	}
	b.ids.fill(m)
	o := &outbound{silent: true, id: e.ID, from: e.To.DomainJID(), to: e.To, sender: e.To.DomainJID(), parts: []mapping.SIP{m},
		read: out.now, expire: out.now.Add(p.expire())}
	o.measure()
	b.sendSilent(out, o)
}

// mayTell reports whether that sender may be told a late error now, and notes it.
func (l *late) mayTell(aor string, now time.Time) bool {
	if at, ok := l.told[aor]; ok && now.Sub(at) < toldEvery {
		return false
	}
	if len(l.told) >= maxToldSender {
		for a, at := range l.told {
			if now.Sub(at) >= toldEvery {
				delete(l.told, a)
			}
		}
		if len(l.told) >= maxToldSender {
			return false
		}
	}
	l.told[aor] = now
	return true
}
