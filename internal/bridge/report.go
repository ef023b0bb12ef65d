package bridge

import (
	"fmt"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// A message that does not reach SIP is reported by exactly one error stanza
// (IM-60). Its row stays until that stanza is itself behind a closed barrier: what
// was lost with the link, or not written, is written again, with the same id.

const (
	// An error later than this also comes as an ordinary message, since servers drop
	// errors to users who are offline.
	noticeAfter = 30 * time.Second
	// So many errors wait in memory for a link; what has a row can wait in the store.
	maxRetell = 1024
	// So many are written at once when it is back.
	retellBatch = 256

	firstRetell   = time.Second
	maxRetellWait = 10 * time.Second
)

// report is an error stanza on its way to the sender of a message.
type report struct {
	o     *outbound
	taken bool // of a message that had been taken: Drain waits for it
	left  int  // stanzas without an outcome
	lost  bool // one of them did not get there
}

// notice is the ordinary message that goes with a report.
type notice struct{ *report }

// reports is what waits to be told. b.mu guards it.
type reports struct {
	open    int       // written, of messages that had been taken; Drain waits for them
	again   []*report // to be written again
	stored  []uint64  // rows to be reported that are in the store only
	at      time.Time // when again and stored are looked at; zero: never
	wait    time.Duration
	load    int    // so many of stored are to be read now
	dropped uint64 // refusals that no link would take
}

// refuse notes that the sender of a message that was not taken is to be told why.
// It needs no lock: unlock makes the stanza.
func (w *work) refuse(o *outbound, f *mapping.Failure) {
	o.reported, o.row, o.over = f, 0, true
	w.trail(o, "refused", f)
	w.reports = append(w.reports, &report{o: o})
}

// giveUp tells the sender of a message that had been taken why it did not arrive.
// o is in no lane any more.
func (b *Bridge) giveUp(out *work, o *outbound, f *mapping.Failure) {
	if o.silent {
		b.log.Debug("a message of the gateway did not arrive", "dir", "xmpp-sip", "to", o.to, "id", o.id, "reason", f.Condition, "err", f)
		return
	}
	out.failed(o, f)
	o.over = true
	o.giveUp(f)
	b.update(out, o)
	out.reports = append(out.reports, &report{o: o, taken: true})
}

// tell makes the stanzas of a report: the error, from the address that had been
// written to and with the id of the message (ERR-11), and if it comes late a
// message. b.mu is held.
func (b *Bridge) tell(out *work, r *report) {
	o, p := r.o, b.policy.Load()
	f := p.Rules.FailureToXMPP(o.reported)
	b.log.Debug("not delivered", "dir", "xmpp-sip", "from", o.from, "to", o.to, "id", o.id, "reason", f.Condition, "err", f, "remedy", f.Remedy)
	r.left, r.lost = 1, false
	if r.taken {
		b.reports.open++
	}
	out.stanzas = append(out.stanzas, mapping.Parcel[mapping.XMPP]{
		Ref:   r,
		Value: &mapping.XMPPError{From: o.to, To: o.from, ID: o.id, Failure: f},
	})
	if !p.Notice || !r.taken || out.now.Sub(o.read) < noticeAfter {
		return
	}
	r.left++
	out.stanzas = append(out.stanzas, mapping.Parcel[mapping.XMPP]{
		Ref:   notice{r},
		Value: &mapping.XMPPMessage{From: o.to, To: o.sender, ID: b.ids.noticeID(o), Type: "chat", Bodies: []mapping.Text{{Value: noticeText(f, o.read)}}},
	})
}

// noticeText says why and which message; the time is that of this machine.
func noticeText(f *mapping.Failure, read time.Time) string {
	text := f.Text
	if text == "" {
		text = string(f.Condition)
	}
	for len(text) > 0 && text[len(text)-1] == '.' {
		text = text[:len(text)-1]
	}
	return fmt.Sprintf("Not delivered: %s, sent %s", text, read.Format("15:04"))
}

// settleReport takes what became of the stanza of a report. b.mu is held.
func (b *Bridge) settleReport(out *work, r *report, k mapping.OutcomeKind, isNotice bool) {
	switch k {
	case mapping.NotWritten, mapping.Uncertain:
		r.lost = true
	case mapping.Unknown:
		r.lost = r.lost || !isNotice // of a notice no more can be known
	case mapping.Refused:
		b.log.Error("an error stanza cannot be written; its sender is not told, please report this", "id", r.o.id)
	}
	if r.left--; r.left > 0 {
		return
	}
	if r.taken {
		b.reports.open--
	}
	if !r.lost {
		b.reports.wait = 0
		if r.taken {
			out.reported(r.o)
			b.end(out, r.o)
		}
		if len(b.reports.again)+len(b.reports.stored) > 0 {
			b.retellAt(out, out.now)
		}
		return
	}
	b.log.Debug("the error did not reach its sender; it is written again", "dir", "xmpp-sip", "id", r.o.id)
	switch {
	case len(b.reports.again) < maxRetell:
		b.reports.again = append(b.reports.again, r)
	case r.o.row != 0 && r.o.safe():
		delete(b.rows, r.o.row)
		b.reports.stored = append(b.reports.stored, r.o.row)
	case r.o.row != 0:
		b.reports.again = append(b.reports.again, r) // few: what the store has not written yet
	default:
		b.reports.dropped++
		b.log.Warn("too many errors wait for the link to the XMPP server: a sender is not told", "id", r.o.id, "dropped", b.reports.dropped)
	}
	b.reports.wait = min(max(2*b.reports.wait, firstRetell), maxRetellWait)
	b.retellAt(out, out.now.Add(b.reports.wait))
}

func (b *Bridge) retellAt(out *work, at time.Time) {
	if b.reports.at.IsZero() || at.Before(b.reports.at) {
		b.reports.at = at
	}
	b.wakeAt(out, b.reports.at)
}

// retell writes the next errors again, and has more read from the store. b.mu is
// held.
func (b *Bridge) retell(out *work) {
	if b.reports.at.IsZero() || out.now.Before(b.reports.at) {
		return
	}
	b.reports.at = time.Time{}
	if b.reports.open >= retellBatch {
		return // the next one that is confirmed brings more
	}
	n := min(len(b.reports.again), retellBatch)
	for _, r := range b.reports.again[:n] {
		b.tell(out, r)
	}
	rest := copy(b.reports.again, b.reports.again[n:])
	clear(b.reports.again[rest:])
	b.reports.again = b.reports.again[:rest]
	if n == 0 {
		b.reports.load = min(len(b.reports.stored), retellBatch)
	}
}

// storedReports takes out the rows that retell wants to be read. b.mu is held.
func (b *Bridge) storedReports() []uint64 {
	ids := b.reports.stored[:b.reports.load]
	b.reports.stored = b.reports.stored[b.reports.load:]
	b.reports.load = 0
	return ids
}
