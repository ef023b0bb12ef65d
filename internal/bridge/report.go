package bridge

import (
	"fmt"
	"slices"
	"time"

	"github.com/stoxgw/stox/internal/texts"
	"github.com/stoxgw/stox/mapping"
)

// A message that does not reach SIP is reported by exactly one error stanza
// (IM-60). Its row stays until that stanza is itself behind a closed barrier: what
// was lost with the link, or not written, is written again, with the same id.

const (
	// An error later than this also comes as an ordinary message, since servers drop
	// errors to users who are offline.
	noticeAfter = 30 * time.Second
	// So many errors of messages with a row wait in memory for a link; more than that
	// wait in the store.
	maxRetell = 1024
	// So many are read from the store at once.
	retellBatch = 256

	firstRetell   = time.Second
	maxRetellWait = 10 * time.Second
	warnEvery     = 10 * time.Second
)

// report is an error stanza on its way to the sender of a message, with the ordinary
// message beside it if it comes late.
type report struct {
	o        *outbound
	taken    bool // of a message that had been taken: Drain waits for it
	left     int  // stanzas without an outcome
	told     bool // the error is confirmed
	noticed  bool // the notice has been written, or is not needed
	hopeless bool // the error cannot be written at all

	at   time.Time // when it is written again
	wait time.Duration
}

// notice is the ordinary message that goes with a report.
type notice struct{ *report }

// reports is what waits to be told. b.mu guards it.
type reports struct {
	open     int       // written, of messages that had been taken; Drain waits for them
	again    []*report // to be written again, each in its time
	stored   []uint64  // rows to be reported that are in the store only
	storedAt time.Time // when the next of them are read; zero: there are none
	failed   bool      // since the last of them were read, an error was not confirmed
	load     int       // so many of stored are to be read now
	dropped  uint64    // errors without a row that no link would take
	warned   time.Time // when that was logged
}

// refused is refuse, and keeps in the trail why.
func (w *work) refused(o *outbound, f *mapping.Failure) {
	w.trail(o, eventRefused, f)
	w.noteEnd(o, noteRefused, eventRefused, f)
	w.refuse(o, f)
}

// refuse notes that the sender of a message that was not taken is to be told why.
// It needs no lock: unlock makes the stanza.
func (w *work) refuse(o *outbound, f *mapping.Failure) {
	o.reported, o.row, o.over = f, 0, true
	w.reports = append(w.reports, &report{o: o})
}

// giveUp tells the sender of a message that had been taken why it did not arrive.
// o is in no lane any more.
func (b *Bridge) giveUp(out *work, o *outbound, f *mapping.Failure) {
	if o.silent {
		b.log.Debug("a message of the gateway did not arrive", "dir", "xmpp-sip", "to", o.to, "id", o.id, "reason", f.Condition, "err", f)
		return
	}
	b.adopt(o)
	if o.hasArrived() {
		b.finishNotified(out, o)
		return
	}
	b.withdraw(o)
	f = o.failure(f)
	out.failed(o, f)
	b.notDialled(o)
	out.noteEnd(o, "", eventFailed, f)
	o.over = true
	o.giveUp(f)
	b.update(out, o)
	out.reports = append(out.reports, &report{o: o, taken: true})
}

// tell makes the stanzas of a report, as far as they have not got there: the error,
// from the address that had been written to and with the id of the message (ERR-11),
// and if it comes late a message. b.mu is held.
func (b *Bridge) tell(out *work, r *report) {
	if b.sealed {
		b.keep(r)
		return
	}
	o, p := r.o, b.policy.Load()
	f := p.Rules.FailureToXMPP(o.reported)
	b.log.Debug("not delivered", "dir", "xmpp-sip", "from", o.from, "to", o.to, "id", o.id, "call_id", o.callID(), "reason", f.Condition, "err", f, "remedy", f.Remedy)
	if r.taken {
		b.reports.open++
		out.note(o, noteTold)
	}
	r.left = 1
	out.stanzas = append(out.stanzas, mapping.Parcel[mapping.XMPP]{
		Ref:   r,
		Value: &mapping.XMPPError{From: o.to, To: o.from, ID: o.id, Failure: f},
	})
	if r.noticed || !p.Notice || !r.taken || out.now.Sub(o.read) < noticeAfter {
		return
	}
	r.left++
	r.noticed = true
	out.stanzas = append(out.stanzas, mapping.Parcel[mapping.XMPP]{
		Ref:   notice{r},
		Value: &mapping.XMPPMessage{From: o.to, To: o.sender, ID: b.ids.noticeID(o), Bodies: []mapping.Text{{Value: noticeText(b.texts(o.sender, ""), f, o.read)}}},
	})
}

// keep leaves an error to the next start: after Seal no stanza gets there.
func (b *Bridge) keep(r *report) {
	if o := r.o; o.row == 0 && !b.volatile {
		b.nextRow++
		o.row, o.rev = b.nextRow, 1
		if n, err := b.journal.Append([]Row{o.encode()}); n == 0 {
			b.log.Error("an error is lost: the stream is closed, and the journal does not take it", "id", o.id, "err", err)
		}
	}
}

// noticeText says why and which message; the time is that of this machine.
func noticeText(t *texts.Texts, f *mapping.Failure, read time.Time) string {
	text := f.Text
	if text == "" {
		text = string(f.Condition)
	}
	for len(text) > 0 && text[len(text)-1] == '.' {
		text = text[:len(text)-1]
	}
	return fmt.Sprintf(t.Help.Notice, text, read.Format(t.Help.NoticeAt))
}

// settleReport takes what became of a stanza of a report. b.mu is held.
func (b *Bridge) settleReport(out *work, r *report, k mapping.OutcomeKind, isNotice bool) {
	lost := k == mapping.NotWritten || k == mapping.Uncertain
	switch {
	case isNotice:
		r.noticed = !lost // of what was written and is not confirmed no more can be known
	case k == mapping.Refused:
		r.hopeless = true
		b.log.Error("an error cannot be written; its sender is not told", "from", r.o.to, "to", r.o.from, "id", r.o.id,
			"remedy", "is the component name that was written to still configured? (xmpp.domain, domain.xmpp)")
	default:
		r.told = !lost && k != mapping.Unknown
	}
	if r.left--; r.left > 0 {
		return
	}
	if r.taken {
		b.reports.open--
	}
	if r.told || r.hopeless || r.o.dropped {
		b.endReport(out, r)
		return
	}
	if b.sealed {
		b.keep(r)
		return
	}
	b.log.Debug("the error did not reach its sender; it is written again", "dir", "xmpp-sip", "id", r.o.id)
	b.reports.failed = true
	if len(b.reports.stored) > 0 {
		b.reports.storedAt = out.now.Add(firstRetell)
	}
	r.wait = min(max(2*r.wait, firstRetell), maxRetellWait)
	r.at = out.now.Add(r.wait)
	bound := maxRetell
	if r.o.row == 0 {
		bound += b.lanes.limits.Total // there is no other place for them
	}
	switch {
	case len(b.reports.again) < bound || r.o.row != 0 && !r.o.safe():
		b.reports.again = append(b.reports.again, r)
		b.wakeAt(out, r.at)
	case r.o.row != 0:
		delete(b.rows, r.o.row)
		b.storeReport(out, r.o.row)
	default:
		if b.reports.dropped++; out.now.Sub(b.reports.warned) >= warnEvery {
			b.reports.warned = out.now
			b.log.Warn("too many errors wait for the link to the XMPP server: senders are not told", "count", b.reports.dropped)
		}
	}
}

// endReport ends a report, and with it its row.
func (b *Bridge) endReport(out *work, r *report) {
	if r.taken {
		if r.told {
			out.reported(r.o)
			out.note(r.o, noteReported)
		} else {
			out.untold(r.o)
			out.note(r.o, noteUntold)
		}
		b.end(out, r.o)
	}
	if r.told && !b.reports.failed && len(b.reports.stored) > 0 {
		b.reports.storedAt = out.now
		b.wakeAt(out, out.now)
	}
}

// storeReport leaves an error that is to be told to the store.
func (b *Bridge) storeReport(out *work, row uint64) {
	b.reports.stored = append(b.reports.stored, row)
	if b.reports.storedAt.IsZero() {
		b.reports.storedAt = out.now.Add(firstRetell)
	}
	b.wakeAt(out, b.reports.storedAt)
}

// retell writes again what is due, and has more read from the store. b.mu is held.
func (b *Bridge) retell(out *work) {
	rest := b.reports.again[:0]
	for _, r := range b.reports.again {
		if out.now.Before(r.at) {
			b.wakeAt(out, r.at)
			rest = append(rest, r)
		} else {
			b.tell(out, r)
		}
	}
	clear(b.reports.again[len(rest):])
	b.reports.again = rest
	switch {
	case len(b.reports.stored) == 0:
		b.reports.storedAt = time.Time{}
	case out.now.Before(b.reports.storedAt):
		b.wakeAt(out, b.reports.storedAt)
	default:
		b.reports.load = min(len(b.reports.stored), retellBatch)
		b.reports.failed = false
		b.reports.storedAt = out.now.Add(firstRetell)
		b.wakeAt(out, b.reports.storedAt)
	}
}

// hurryReport has the error of a row told now. It reports false if it is under way.
func (b *Bridge) hurryReport(out *work, row uint64) bool {
	if i := slices.Index(b.reports.stored, row); i >= 0 {
		copy(b.reports.stored[1:i+1], b.reports.stored[:i])
		b.reports.stored[0], b.reports.storedAt = row, out.now
		b.wakeAt(out, out.now)
		return true
	}
	for _, r := range b.reports.again {
		if r.o.row == row {
			r.at = out.now
			b.wakeAt(out, out.now)
			return true
		}
	}
	return false
}

// dropReport ends the error of o, which its sender does not get then.
func (b *Bridge) dropReport(out *work, o *outbound) {
	o.dropped = true
	b.reports.stored = slices.DeleteFunc(b.reports.stored, func(row uint64) bool { return row == o.row })
	b.reports.again = slices.DeleteFunc(b.reports.again, func(r *report) bool { return r.o.row == o.row })
	out.untold(o)
	b.end(out, o)
	o.row = 0
}

// storedReports takes out the rows that retell wants to be read. b.mu is held.
func (b *Bridge) storedReports() []uint64 {
	ids := slices.Clone(b.reports.stored[:b.reports.load])
	b.reports.stored = b.reports.stored[b.reports.load:]
	b.reports.load = 0
	return ids
}
