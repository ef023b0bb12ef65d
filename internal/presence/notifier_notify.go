package presence

import (
	"time"

	"github.com/stoxgw/stox/mapping"
)

// What watchers are told. A NOTIFY has all that is known (RFC 3856 §6.7), so the latest one
// is enough: a watcher has no queue of its own, only the knowledge of what it was told last.
// One request of a dialog is on its way at a time. All go through one outbox, at a bounded
// rate: what a SUBSCRIBE or a decision waits for before what users show, and the peers in
// turn.

const (
	notifySpacing = 5 * time.Second          // between what a user shows (RFC 3856 §6.10, PRES-22)
	notifyEvery   = 5 * time.Millisecond     // in all, in the long run ...
	notifyBurst   = 200                      // ... and at once
	urgentInARow  = 3                        // before one of the others has its turn
	notifyPause   = 30 * time.Second         // after a NOTIFY that has failed
	notifyBusy    = 10 * time.Second         // after one that there was no room for here
	notifyFails   = 4                        // in a row end a subscription; one without an answer counts twice
	notifyLongest = maxExpires * time.Second // that a Retry-After is honoured for
)

// outbox has the watchers that are to be told something.
type outbox struct {
	urgent, rest turns[*watcher]
	inARow       int // of urgent
	tokens       tokens
	timer        timer
}

func newOutbox() outbox {
	return outbox{urgent: newTurns[*watcher](), rest: newTurns[*watcher](), tokens: tokens{every: notifyEvery, burst: notifyBurst}}
}

// queued says in which parts of the outbox a watcher is.
type queued uint8

const (
	queuedUrgent queued = 1 << iota
	queuedRest
)

// notifying is a NOTIFY on its way.
type notifying struct {
	w    *watcher
	last bool // the last one
}

func (*notifying) presence() {}

// due is when w is to be told something, the zero time if never, and whether somebody waits
// for it.
func (w *watcher) due(now time.Time) (at time.Time, urgent bool) {
	switch {
	case w.open || w.phase == phaseReleased:
		return time.Time{}, false
	case w.owed:
		at, urgent = now, true
	case w.phase == phaseActive && w.told != w.relation.devices.version:
		if at = w.said.Add(notifySpacing); at.Before(now) {
			at = now
		}
	default:
		return time.Time{}, false
	}
	if w.after.After(at) {
		at = w.after
	}
	return at, urgent
}

// readyWatcher has w told what it is to be told, now or when it is time. e.mu is held.
func (e *Engine) readyWatcher(out *work, w *watcher) {
	at, urgent := w.due(out.now)
	box := &e.notifier.outbox
	switch {
	case at.IsZero():
		return
	case at.After(out.now):
		e.at(out, &w.again, at, func(out *work) { e.readyWatcher(out, w) })
		return
	case urgent && w.queued&queuedUrgent == 0:
		w.queued |= queuedUrgent
		box.urgent.push(w.peer, w)
	case !urgent && w.queued == 0:
		w.queued |= queuedRest
		box.rest.push(w.peer, w)
	}
	// Not at once: what has come together is said together.
	e.at(out, &box.timer, box.tokens.next(out.now), e.post)
}

// post tells watchers what they are to be told, as many as may be told now. e.mu is held.
func (e *Engine) post(out *work) {
	box := &e.notifier.outbox
	for n := 0; n < notifyBurst && !box.empty(); n++ {
		if at := box.tokens.next(out.now); at.After(out.now) {
			break
		}
		w := box.pop()
		if at, _ := w.due(out.now); at.IsZero() || at.After(out.now) {
			e.readyWatcher(out, w)
		} else {
			e.notify(out, w)
		}
	}
	if !box.empty() {
		e.at(out, &box.timer, box.tokens.next(out.now), e.post)
	}
}

func (b *outbox) empty() bool { return b.urgent.empty() && b.rest.empty() }

// pop takes out who is next. The outbox must not be empty.
func (b *outbox) pop() *watcher {
	if b.urgent.empty() || b.inARow >= urgentInARow && !b.rest.empty() {
		b.inARow = 0
		w := b.rest.pop()
		w.queued &^= queuedRest
		return w
	}
	b.inARow++
	w := b.urgent.pop()
	w.queued &^= queuedUrgent
	return w
}

// notify sends w a NOTIFY. What may be in it is decided here, whatever was so when it became
// due. e.mu is held.
func (e *Engine) notify(out *work, w *watcher) {
	r := w.relation
	allowed := out.policy.lets(r.pair)
	granted := allowed && r.sees(out.policy)
	if !allowed && w.phase < phaseEnded || !granted && w.phase == phaseActive {
		e.endWatcher(out, w, reasonRejected) // which comes back here
		return
	}
	e.notifier.outbox.tokens.take(out.now)
	v := &mapping.SIPNotify{
		SIPEvent: mapping.SIPEvent{
			RequestURI: w.target, RemoteTarget: w.literal, From: w.us, To: w.them, CallID: w.callID, FromTag: w.local, ToTag: w.remote,
			CSeq: e.nextCSeq(out, w), Package: eventPresence, EventID: w.eventID,
			Contact: w.contact(), Routes: w.routes, Flow: w.flow,
		},
		State: w.state(), Expires: mapping.NoExpires,
	}
	switch w.phase {
	case phasePending:
		v.Expires = w.left(out.now)
	case phaseActive:
		v.Expires = w.left(out.now)
		w.told = r.devices.version
		if len(r.devices.known) > 0 {
			out.document(v, r, w, false)
			w.said = out.now
		}
	default:
		v.Reason = w.reason
		if granted && w.reason == reasonTimeout && (!w.poll || len(r.devices.known) > 0) {
			out.document(v, r, w, !w.poll)
		}
	}
	w.owed, w.open = false, true
	e.tally.Notified++
	out.request(&notifying{w, w.phase == phaseEnded}, v)
}

// left is for how many seconds w goes on, as Subscription-State says it.
func (w *watcher) left(now time.Time) int {
	return max(int((w.until.Sub(now)+time.Second-1)/time.Second), 1)
}

// notified takes what became of a NOTIFY. e.mu is held.
func (e *Engine) notified(out *work, ref *notifying, o mapping.Outcome) {
	w, fails := ref.w, ref.w.fails
	w.open = false
	w.ours = max(w.ours, o.CSeq)
	var wait time.Duration
	switch o.Kind {
	case mapping.Answered:
		if o.Status/100 == 2 {
			w.fails = 0
			break
		}
		e.tally.NotNotified++
		if endsSubscription(o.Status) { // PRES-33
			w.fails = notifyFails
			break
		}
		if o.Failure != nil && o.Failure.RetryAfter > 0 {
			// It asks for patience, which costs nothing.
			wait = min(max(o.Failure.RetryAfter, notifyBusy), notifyLongest)
			break
		}
		w.fails++
		wait = notifyPause
	case mapping.NotWritten:
		e.tally.NotNotified++
		e.log.Debug("a NOTIFY could not be sent", "dir", "xmpp-sip", "from", w.relation.user, "to", w.relation.contact, "call_id", w.callID, "err", o.Failure)
		if wait = notifyBusy; o.Failure == nil || o.Failure.Condition != mapping.CondResourceConstraint {
			w.fails++
			wait *= time.Duration(w.fails)
		}
	case mapping.Unknown: // no answer is as good as the end (RFC 6665 §4.2.2), but a connection may break
		e.tally.NotNotified++
		w.fails += notifyFails / 2
		wait = notifyBusy
	default:
		e.tally.NotNotified++
		w.fails = notifyFails
	}
	if ref.last && wait > 0 {
		w.fails = max(w.fails, fails+1) // nothing ends it any more but this
	}
	switch {
	case w.fails >= notifyFails:
		if w.phase < phaseEnded {
			e.log.Debug("a subscription ends: its NOTIFY is not taken", "dir", "xmpp-sip", "from", w.relation.user, "to", w.relation.contact, "call_id", w.callID, "status", o.Status)
			e.leaveWatcher(out, w)
		}
		e.releaseWatcher(w)
	case wait > 0:
		w.owed, w.after = true, out.now.Add(wait)
		e.readyWatcher(out, w)
	case w.phase == phaseEnded && (ref.last || !w.owed):
		e.releaseWatcher(w)
	default:
		e.readyWatcher(out, w)
	}
}

// endsSubscription reports whether an answer to NOTIFY with that status ends it (RFC 6665
// §4.2.2, RFC 5057).
func endsSubscription(status int) bool {
	switch status {
	case 404, 405, 410, 416, 480, 481, 482, 483, 484, 485, 489, 501, 604:
		return true
	}
	return false
}
