package presence

import (
	"crypto/rand"
	"slices"
	"strings"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// watcher is a dialog with a user agent of a contact: a subscription that goes on, or one
// that is over but for its last NOTIFY.
type watcher struct {
	relation *relation
	phase    phase
	reason   string // of the end
	nick     string

	// The dialog. us and them are From and To of NOTIFY as the first SUBSCRIBE had them in To
	// and From; user and gr make our Contact.
	callID, local, remote string
	eventID               string
	us, them, target      mapping.URI
	literal               string // target to the letter
	routes                []string
	flow                  uint64
	user, gr              string
	peer                  string
	theirs                uint32 // CSeq of the last SUBSCRIBE
	ours                  uint32 // ... and of the last NOTIFY
	reserved              uint32 // the greatest that may be used without being written down again

	until  time.Time // when it ends unless it is refreshed
	expiry timer

	// What is to be said, see due.
	poll   bool      // it is over, and its last NOTIFY says how the user is, not that he is gone
	owed   bool      // something is to be said at once
	open   bool      // a NOTIFY is on its way: the next one waits for what becomes of it
	told   uint32    // the version of the user's devices that was said last
	said   time.Time // ... and when
	fails  int       // in a row
	after  time.Time // nothing is sent before
	queued queued
	again  timer
}

// phase is how far a watcher is.
type phase uint8

const (
	phasePending phase = iota // the user has not said whether it may see him
	phaseActive
	phaseEnded    // but for the last NOTIFY
	phaseReleased // that, too
)

// state is the phase as Subscription-State says it.
func (w *watcher) state() mapping.SubscriptionState {
	switch w.phase {
	case phasePending:
		return mapping.StatePending
	case phaseActive:
		return mapping.StateActiveSub
	}
	return mapping.StateTerminated
}

// Why a subscription ends (RFC 6665 §4.1.3).
const (
	reasonTimeout    = "timeout"
	reasonRejected   = "rejected"
	reasonNoResource = "noresource"
)

// newWatcher makes the dialog that v begins. It keeps nothing of the memory of v.
func newWatcher(r *relation, v *mapping.SIPSubscribe, nick string) *watcher {
	w := &watcher{
		relation: r, nick: strings.Clone(nick),
		callID: strings.Clone(v.CallID), local: rand.Text()[:16], remote: strings.Clone(v.FromTag),
		eventID: strings.Clone(v.EventID),
		us:      cloneURI(v.To), them: cloneURI(v.From), target: cloneURI(v.Contact), literal: strings.Clone(v.RemoteTarget), flow: v.Flow,
		user: strings.Clone(v.RequestURI.User), gr: rand.Text()[:12],
		peer:   strings.Clone(v.Peer),
		theirs: v.CSeq,
	}
	if !v.Written.IsZero() { // who it is was asserted; the dialog is in the name that stands in From
		w.them = cloneURI(v.Written)
	}
	for _, route := range v.Routes {
		w.routes = append(w.routes, strings.Clone(route))
	}
	return w
}

// size is how many bytes of text w keeps of what came from outside.
func (w *watcher) size() int {
	n := len(w.callID) + len(w.remote) + len(w.eventID) + len(w.user) + len(w.peer) + len(w.nick) + len(w.literal)
	for _, u := range []*mapping.URI{&w.us, &w.them, &w.target} {
		n += len(u.User) + len(u.Host) + len(u.GR) + len(u.Transport)
	}
	for _, route := range w.routes {
		n += len(route)
	}
	return n
}

// matches reports whether v, which has our tag, is in the dialog, and from the peer that has
// begun it (PRES-30).
func (w *watcher) matches(v *mapping.SIPSubscribe) bool {
	return v.CallID == w.callID && v.FromTag == w.remote && v.EventID == w.eventID && v.Peer == w.peer
}

// contact is our end of the dialog: a GRUU (RFC 6665 §4.5.1, PRES-28).
func (w *watcher) contact() mapping.URI {
	return mapping.URI{Scheme: "sip", User: w.user, GR: w.gr}
}

// accepts is what a 200 to a SUBSCRIBE of w says.
func (w *watcher) accepts(expires int) *mapping.EventAnswer {
	return &mapping.EventAnswer{Tag: w.local, Contact: w.contact(), Expires: expires}
}

// extendWatcher has w last for so many seconds. e.mu is held.
func (e *Engine) extendWatcher(out *work, w *watcher, expires int) {
	w.until = out.now.Add(time.Duration(expires) * time.Second)
	e.at(out, &w.expiry, w.until, func(out *work) { e.endWatcher(out, w, reasonTimeout) })
	e.keepWatcher(out, w)
}

// activateWatcher has w see the user from now on. e.mu is held.
func (e *Engine) activateWatcher(out *work, w *watcher) {
	if w.phase != phasePending {
		return
	}
	w.phase, w.owed = phaseActive, true
	e.keepWatcher(out, w)
	e.readyWatcher(out, w)
}

// endWatcher ends a dialog, with a last NOTIFY that says why. e.mu is held.
func (e *Engine) endWatcher(out *work, w *watcher, reason string) {
	if !e.leaveWatcher(out, w) {
		return
	}
	w.reason = reason
	e.log.Debug("a SIP user does not watch an XMPP user any more", "from", w.relation.contact, "to", w.relation.user, "call_id", w.callID, "reason", reason)
	e.readyWatcher(out, w)
}

// forgetWatcher ends a dialog that the other side has not got any more. e.mu is held.
func (e *Engine) forgetWatcher(out *work, w *watcher) {
	if e.leaveWatcher(out, w) && !w.open {
		e.releaseWatcher(w)
	}
	w.owed = false
}

// leaveWatcher takes w out of the dialogs that go on, and tells the user of it if it was the last
// one by which the contact has seen him: unavailable, and never unsubscribe, for it may come
// back (RFC 8048 §5.3.3, PRES-13). It reports whether w was one of them. e.mu is held.
func (e *Engine) leaveWatcher(out *work, w *watcher) bool {
	if w.phase >= phaseEnded {
		return false
	}
	r := w.relation
	seen := w.phase == phaseActive && r.granted()
	w.phase, w.owed = phaseEnded, true
	e.timers.stop(&w.expiry)
	delete(e.notifier.dialogs, w.local)
	r.watchers = slices.DeleteFunc(r.watchers, func(o *watcher) bool { return o == w })
	out.dialogs = append(out.dialogs, Dialog{Key: w.key()})
	left := slices.ContainsFunc(r.watchers, func(o *watcher) bool { return o.phase == phaseActive })
	if seen && !left && out.policy.lets(r.pair) && !e.shows(r) {
		out.say(r.contact, r.user, mapping.Unavailable)
	}
	if len(r.watchers) == 0 {
		if !r.granted() {
			e.unknown(r)
		}
		r.devices.resumed = false
		e.expireAsked(out, r)
	}
	e.relations.tidy(r)
	return true
}

// releaseWatcher forgets a watcher of which nothing is to be said any more. e.mu is held.
func (e *Engine) releaseWatcher(w *watcher) {
	if w.phase == phaseReleased {
		return
	}
	n := &e.notifier
	w.phase = phaseReleased
	e.timers.stop(&w.expiry)
	e.timers.stop(&w.again)
	n.total--
	less(n.from, w.peer)
	less(n.by, w.relation.contact)
}
