package presence

import (
	"encoding/binary"
	"time"
)

// What the book keeps of a dialog, so that the next run goes on with it: its CSeq is ahead
// of the last one that was sent, so that not each of them has to be written down.
const (
	reserveCSeq   = 64
	dialogVersion = 1
	maxDialogData = 64 << 10
)

// reserve sees to it that the CSeq that the book knows is ahead, even if it is somewhat
// behind. e.mu is held.
func (e *Engine) reserve(out *work, s *subscription) {
	if s.reserved >= s.cseq+reserveCSeq/2 {
		return
	}
	s.reserved = s.cseq + reserveCSeq
	if s.kept != 0 {
		e.keep(out, s)
	}
}

// keep has the book keep the dialog of s. e.mu is held.
func (e *Engine) keep(out *work, s *subscription) {
	if s.relation == nil || s.remoteTag == "" || s.expires.IsZero() {
		return
	}
	s.kept = s.expires.Unix()
	out.dialogs = append(out.dialogs, Dialog{Key: s.key(), Expires: s.expires, Data: s.append(nil)})
}

// forgetDialog has the book forget it. e.mu is held.
func (e *Engine) forgetDialog(out *work, s *subscription) {
	if s.kept != 0 {
		s.kept = 0
		out.dialogs = append(out.dialogs, Dialog{Key: s.key()})
	}
}

func (s *subscription) key() string { return "s" + s.callID }

// append writes the dialog.
func (s *subscription) append(b []byte) []byte {
	b = append(b, dialogOfSubscriber, dialogVersion)
	for _, t := range []string{s.user.String(), s.contact.String(), s.callID, s.tag, s.gr, s.from.String(), s.to.String(),
		s.remoteTag, s.remote, s.peer} {
		b = appendText(b, t)
	}
	b = binary.AppendUvarint(b, uint64(len(s.routes)))
	for _, t := range s.routes {
		b = appendText(b, t)
	}
	for _, n := range []uint64{uint64(s.reserved), uint64(s.theirs), uint64(s.asked), uint64(max(s.expires.Unix(), 0))} {
		b = binary.AppendUvarint(b, n)
	}
	return b
}

// readSubscription reads what append has written; false for anything else.
func readSubscription(b []byte) (*subscription, bool) {
	if len(b) < 2 || len(b) > maxDialogData || b[0] != dialogOfSubscriber || b[1] != dialogVersion {
		return nil, false
	}
	d := rowReader{rest: b[2:]}
	s := &subscription{}
	d.unmarshal(&s.user)
	d.unmarshal(&s.contact)
	s.callID, s.tag, s.gr = d.text(), d.text(), d.text()
	d.unmarshal(&s.from)
	d.unmarshal(&s.to)
	s.remoteTag = d.text()
	s.remote, s.peer = d.text(), d.text()
	n := d.number(64)
	s.routes = make([]string, 0, n)
	for range n {
		s.routes = append(s.routes, d.text())
	}
	s.reserved, s.theirs = uint32(d.number(1<<31)), uint32(d.number(1<<32-1))
	s.asked = int(d.number(longest))
	s.expires = time.Unix(int64(d.number(1<<40)), 0)
	if d.bad || len(d.rest) > 0 || s.callID == "" || s.tag == "" || s.remoteTag == "" || s.user.IsZero() || s.contact.IsZero() {
		return nil, false
	}
	s.cseq, s.kept = s.reserved, s.expires.Unix()
	return s, true
}

// After a start the dialogs that there are are refreshed, so that it is known what they say,
// within this time or half of what is left of them.
const refreshRestored = 10 * time.Minute

// Subscriptions without a dialog are begun anew at this rate, which leaves half of the pace
// to users, and within an hour.
const (
	resumeRate   = paceRate / 2
	resumeWithin = time.Hour
)

// restoreSubscription takes a dialog that an earlier run has kept. What it says of its end
// is believed only if it is not far ahead: the clock may have been set. e.mu is held.
func (e *Engine) restoreSubscription(out *work, d Dialog) {
	s, ok := readSubscription(d.Data)
	var r *relation
	if ok {
		r = e.relations.find(s.user, s.contact)
	}
	if r == nil || r.state&(WatchPending|WatchGranted) == 0 || r.watch != nil || e.subscriber.byCall[s.callID] != nil || !s.expires.After(out.now) {
		out.dialogs = append(out.dialogs, Dialog{Key: d.Key})
		return
	}
	if last := out.now.Add(longest * time.Second); s.expires.After(last) {
		s.expires = last
	}
	// From here on time is that of the process, whatever becomes of the clock.
	left := s.expires.Sub(out.now)
	s.expires = out.now.Add(left)
	s.pair, s.relation, r.watch = r.pair, r, s
	s.began = out.now
	e.subscriber.byCall[s.callID] = s
	e.at(out, &s.timer, out.now.Add(jitter(min(left/2, refreshRestored))), func(out *work) { e.due(out, s) })
}

// subscriberRestored has everybody asked for anew of whom nothing is known but that a user
// watches them. It happens when Run begins. e.mu is held.
func (e *Engine) subscriberRestored(out *work) {
	e.at(out, &e.subscriber.resume, out.now, func(out *work) {
		var idle []*relation
		for _, r := range e.relations.all {
			if r.state&(WatchPending|WatchGranted) != 0 && r.watch == nil && out.policy.mode(r.address(out.policy)) != ModeNone {
				idle = append(idle, r)
			}
		}
		within := min(max(time.Duration(float64(len(idle))/resumeRate*float64(time.Second)), time.Second), resumeWithin)
		for _, r := range idle {
			s := &subscription{relation: r, pair: r.pair}
			r.watch = s
			e.at(out, &s.timer, out.now.Add(jitter(within)), func(out *work) { e.retry(out, s) })
		}
	})
}
