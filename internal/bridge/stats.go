package bridge

import (
	"maps"
	"time"

	"github.com/stoxgw/stox/internal/hist"
	"github.com/stoxgw/stox/mapping"
)

// What is counted of messages, for metrics and diagnosis. All of it is counted where b.mu
// is held anyway. No address is part of it.

// Flow is what became of the messages of one direction since New. Each message is counted
// once, when nothing more is going to happen to it, repeats of a request not at all, and
// what the gateway itself has to say neither.
type Flow struct {
	Delivered uint64 // processed by the XMPP server, or accepted by SIP
	Failed    uint64 // taken, and its sender was told that it did not arrive
	Refused   uint64 // not taken, and its sender was told so
	Unknown   uint64 // from SIP: handed over, and nothing confirmed it in time
	Uncertain uint64 // from SIP: it may have arrived twice, or once although SIP was told that it failed

	Reasons map[mapping.Condition]uint64 // of Failed and Refused; one of mapping.Conditions
	Took    hist.Histogram               // of Delivered: from reading it to that, in seconds
}

func newFlow() Flow { return Flow{Reasons: make(map[mapping.Condition]uint64)} }

// because counts why a message failed or was refused. Another end may make up conditions.
func (f *Flow) because(c mapping.Condition) {
	if !c.Known() {
		c = mapping.CondUndefinedCondition
	}
	f.Reasons[c]++
}

func (f *Flow) delivered(took time.Duration) {
	f.Delivered++
	f.Took.Took(max(took, 0))
}

func (f Flow) copy() Flow {
	f.Reasons = maps.Clone(f.Reasons)
	return f
}

// Notices are receipts and notifications that were told in one direction since New.
type Notices struct{ Delivered, Displayed, Failed uint64 }

func (n *Notices) count(what mapping.Notice) {
	switch what {
	case mapping.NoticeDelivered:
		n.Delivered++
	case mapping.NoticeDisplayed:
		n.Displayed++
	case mapping.NoticeFailed:
		n.Failed++
	}
}

// Stats is how the bridge does.
type Stats struct {
	Tally
	ToSIP, ToXMPP             Flow
	ReceiptsToSIP             Notices
	ReceiptsToXMPP            Notices
	TypingToSIP, TypingToXMPP uint64 // that somebody has begun to type or stopped, as it was told
	Early                     uint64 // messages that left before they were on the disk
	Retries                   uint64 // requests that were tried again
	TooFast                   uint64 // messages beyond what their senders may send
	Denied

	Lanes       int // destinations for which something is under way or waits
	Open        int // of these, with a request under way
	Starved     int // of these, with a message that could go but for the limits
	Waiting     int // messages in memory that wait
	Stored      int // messages that wait in the store only
	Bytes       int // octets of messages in memory, about
	Unjournaled int // messages that have left and are not on the disk
	Incoming    int // requests from SIP without an outcome, without repeats
	Reports     int // errors that have not been confirmed yet

	Behind time.Duration // how long something has been due that Run has not seen to; 0 as a rule
}

// Stats returns how the bridge does at this moment.
func (b *Bridge) Stats() Stats {
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.stats
	s.Tally, s.Retries = b.tally, b.retries
	s.ToSIP, s.ToXMPP = s.ToSIP.copy(), s.ToXMPP.copy()
	ls := b.lanes
	s.Lanes, s.Open, s.Starved = len(ls.byKey), ls.open, len(ls.starved)
	s.Waiting, s.Stored, s.Bytes = ls.waiting, ls.stored, ls.bytes
	s.Unjournaled, s.Incoming = len(b.unjournaled), b.incoming
	s.Reports = b.reports.open + len(b.reports.again) + len(b.reports.stored)
	if !b.next.IsZero() && !b.reading {
		s.Behind = max(now.Sub(b.next), 0)
	}
	return s
}

// countOutbound counts messages from XMPP of which a report is going to tell their senders.
// b.mu is held.
func (b *Bridge) countOutbound(reports []*report) {
	for _, r := range reports {
		if r.taken {
			b.stats.ToSIP.Failed++
		} else {
			b.stats.ToSIP.Refused++
		}
		b.stats.ToSIP.because(r.o.reported.Condition)
	}
}

// countInbound counts a request from SIP that has its outcome. b.mu is held.
func (b *Bridge) countInbound(in *incoming, now time.Time) {
	f := &b.stats.ToXMPP
	switch o := in.outcome; {
	case o.Doubtful || o.Kind == mapping.Uncertain:
		f.Uncertain++
	case o.Kind == mapping.Processed:
		f.delivered(now.Sub(in.taken))
	case o.Kind == mapping.Unknown:
		f.Unknown++
	default:
		f.Failed++
		_, why := o.Final(200)
		f.because(conditionOf(why))
	}
}

// conditionOf is that of a Failure, if there is one.
func conditionOf(f *mapping.Failure) mapping.Condition {
	if f == nil {
		return mapping.CondUndefinedCondition
	}
	return f.Condition
}
