package presence

import (
	"errors"
	"strings"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// The gateway as notifier: a SIP contact watches an XMPP user (RFC 8048 §5.3).
//
// Each SUBSCRIBE is answered at once, by what is known: a stranger gets 200 whether there is
// such a user or not (RFC 6665 §8.3.1, SEC-13), and learns by NOTIFY what the user decides.
// A user who has declined is not asked again before he has granted it, or asks the contact
// for its presence himself. A poll by a stranger is answered with nothing, and asks nobody.

const eventPresence = "presence"

// How long a subscription lasts (RFC 3856 §6.4, PRES-23): as long as asked for, within these.
const (
	maxExpires = 3600 // seconds; also if nothing is said
	minExpires = 60
)

// Bounds of dialogs. Those that only wait for their last NOTIFY to be answered count, too.
const (
	maxWatchers        = 40_000          // in all
	maxWatchersFrom    = maxWatchers / 4 // that one peer has begun
	maxWatchersBy      = 64              // of one contact
	maxWatchersOfPair  = 8               // of one contact for one user
	maxWatcherText     = 4096            // bytes of what is kept of the headers of one
	maxRelationsLooked = 256             // when one has to make room
)

// notifier is what the role has for all relations. The engine's mutex guards it.
type notifier struct {
	dialogs map[string]*watcher // that go on, by our tag
	total   int                 // watchers, be it for a last NOTIFY only ...
	from    map[string]int      // ... by peer
	by      map[mapping.JID]int // ... by contact

	outbox outbox
	probes probes
	asks   asks
	cache  cache
}

func newNotifier(time.Time) notifier {
	return notifier{dialogs: make(map[string]*watcher), from: make(map[string]int), by: make(map[mapping.JID]int),
		outbox: newOutbox(), probes: newProbes(), asks: newAsks(), cache: newCache()}
}

// takeSubscribe takes a SUBSCRIBE. e.mu is held.
func (e *Engine) takeSubscribe(out *work, ref any, v *mapping.SIPSubscribe) {
	expires, f := lifetime(v)
	switch {
	case f != nil:
		e.refuseWatcher(out, ref, v, f)
	case v.ToTag != "":
		e.resumeWatcher(out, ref, v, expires)
	case e.closing:
		e.refuseWatcher(out, ref, v, mapping.FailShutdown())
	default:
		e.beginWatcher(out, ref, v, expires)
	}
}

// lifetime is for how many seconds v may subscribe, if what it asks for is to be had at all
// (RFC 6665 §4.2.1.1, PRES-23, PRES-24).
func lifetime(v *mapping.SIPSubscribe) (int, *mapping.Failure) {
	switch {
	case v.Package != eventPresence:
		return 0, mapping.FailEvent()
	case v.Accept != "" && !mapping.Accepts(v.Accept, mapping.TypePIDF):
		return 0, mapping.FailNoForm()
	case v.Expires < 0 || v.Expires > maxExpires:
		return maxExpires, nil
	case 0 < v.Expires && v.Expires < minExpires:
		return 0, mapping.FailTooBrief()
	}
	return v.Expires, nil
}

// beginWatcher takes a SUBSCRIBE that is in no dialog. e.mu is held.
func (e *Engine) beginWatcher(out *work, ref any, v *mapping.SIPSubscribe, expires int) {
	who, f := out.policy.watch(&v.SIPEvent)
	if f != nil {
		e.refuseWatcher(out, ref, v, f)
		return
	}
	r := e.relations.find(who.User, who.Contact)
	declined := r != nil && r.state&WatcherDeclined != 0
	brief := expires == 0 || declined // there is one NOTIFY, and then nothing
	if !e.roomFor(v, who.Contact) {
		e.refuseWatcher(out, ref, v, failFull())
		return
	}
	if !brief {
		if r, f = e.placeFor(out, v, who); f != nil {
			e.refuseWatcher(out, ref, v, f)
			return
		}
	} else if r == nil {
		// Nothing is remembered of it: one who asks for many addresses costs no room.
		r = &relation{pair: pair{who.User, who.Contact}}
	}
	w := newWatcher(r, v, who.Nick)
	if w.size() > maxWatcherText {
		e.relations.tidy(r)
		e.refuseWatcher(out, ref, v, mapping.FailTooLarge(maxWatcherText))
		return
	}
	e.count(w)
	out.accept(ref, w.accepts(expires))
	e.log.Debug("a SIP user watches an XMPP user", "dir", "sip-xmpp", "from", r.contact, "to", r.user, "call_id", w.callID, "expires", expires)
	switch {
	case declined:
		w.phase, w.reason = phaseEnded, reasonRejected
	case brief:
		w.phase, w.reason, w.poll = phaseEnded, reasonTimeout, true
	default:
		e.notifier.dialogs[w.local] = w
		r.watchers = append(r.watchers, w)
		if r.sees(out.policy) {
			w.phase = phaseActive
		}
		e.extendWatcher(out, w, expires)
	}
	w.owed = true
	e.readyWatcher(out, w)
	e.wonder(out, r, w, brief)
}

// resumeWatcher takes a SUBSCRIBE within a dialog. e.mu is held.
func (e *Engine) resumeWatcher(out *work, ref any, v *mapping.SIPSubscribe, expires int) {
	w := e.notifier.dialogs[v.ToTag]
	switch {
	case w == nil || !w.matches(v):
		e.refuseWatcher(out, ref, v, mapping.FailNoSubscription())
		return
	case v.CSeq <= w.theirs: // RFC 3261 §12.2.2
		e.refuseWatcher(out, ref, v, mapping.FailInternal(errOrder))
		return
	case e.closing && expires > 0: // the next run goes on with it
		e.refuseWatcher(out, ref, v, mapping.FailShutdown())
		return
	}
	w.theirs = v.CSeq
	if !out.policy.lets(w.relation.pair) {
		e.refuseWatcher(out, ref, v, mapping.FailForbidden())
		e.endWatcher(out, w, reasonRejected)
		return
	}
	// A target refresh: where its user agent is now (RFC 3261 §12.2.2). The routes stay.
	target, literal := w.target, w.literal
	w.target, w.literal = cloneURI(v.Contact), strings.Clone(v.RemoteTarget)
	if w.size() > maxWatcherText {
		w.target, w.literal = target, literal
		e.refuseWatcher(out, ref, v, mapping.FailTooLarge(maxWatcherText))
		return
	}
	w.flow = v.Flow
	out.accept(ref, w.accepts(expires))
	w.after = time.Time{} // it is there, whatever became of the last NOTIFY
	if expires == 0 {
		e.endWatcher(out, w, reasonTimeout)
		return
	}
	e.extendWatcher(out, w, expires)
	w.owed = true
	e.readyWatcher(out, w)
	e.wonder(out, w.relation, w, false)
}

var errOrder = errors.New("presence: CSeq has not increased")

// wonder asks the user for what w wants to know and is not known: whether it may, or how he
// is. Who only asks once does not have him asked whether he may. e.mu is held.
func (e *Engine) wonder(out *work, r *relation, w *watcher, brief bool) {
	switch {
	case r.sees(out.policy):
		if len(r.devices.known) == 0 {
			e.inquire(out, r)
		}
	case !brief:
		e.askUser(out, r, w)
	}
}

// placeFor is the relation of a new dialog, if there is room for that. e.mu is held.
func (e *Engine) placeFor(out *work, v *mapping.SIPSubscribe, who mapping.Watch) (*relation, *mapping.Failure) {
	r := e.relations.get(who.User, who.Contact, true)
	if r == nil && e.makeRoom(out, pair{who.User, who.Contact}, true) {
		r = e.relations.get(who.User, who.Contact, true)
	}
	if r == nil {
		return nil, failFull()
	}
	if len(r.watchers) < maxWatchersOfPair {
		return r, nil
	}
	// A user agent that forgets its dialogs when it begins anew has the place of an old one.
	for _, w := range r.watchers {
		if w.peer == v.Peer && w.target == v.Contact && w.literal == v.RemoteTarget && w.eventID == v.EventID {
			e.forgetWatcher(out, w)
			return r, nil
		}
	}
	return nil, failFull()
}

// makeRoom makes room for a relation that has none, by forgetting another one by which there
// is room then, if there is one among a few: the oldest of which nothing is known but that the
// user has declined; or, where all the room there is has been taken, that he was asked, which
// loses nothing but when that was. It reports whether there was one. e.mu is held.
func (e *Engine) makeRoom(out *work, who pair, byContact bool) bool {
	rs := &e.relations
	full := rs.full(who.user.Domain())
	var least *relation
	n := 0
	for _, r := range rs.all {
		if (r.state == WatcherDeclined || full && r.state == WatcherAsked) && r.contact.Local() != "" && r.watch == nil && len(r.watchers) == 0 &&
			rs.fitsWithout(r.pair, who, byContact) && (least == nil || lessToLose(r, least)) {
			least = r
		}
		if n++; n == maxRelationsLooked {
			break
		}
	}
	if least == nil {
		return false
	}
	e.enter(out, least, 0, WatcherDeclined|WatcherAsked)
	rs.tidy(least)
	return true
}

// lessToLose reports whether r is rather to be forgotten than o.
func lessToLose(r, o *relation) bool {
	if r.state != o.state {
		return r.state == WatcherAsked
	}
	return r.since.Before(o.since)
}

// roomFor reports whether there is room for one more watcher of a contact. e.mu is held.
func (e *Engine) roomFor(v *mapping.SIPSubscribe, contact mapping.JID) bool {
	n := &e.notifier
	return n.total < maxWatchers && n.from[v.Peer] < maxWatchersFrom && n.by[contact] < maxWatchersBy
}

// count counts a watcher that there is now. e.mu is held.
func (e *Engine) count(w *watcher) {
	n := &e.notifier
	n.total++
	n.from[w.peer]++
	n.by[w.relation.contact]++
}

func (e *Engine) refuseWatcher(out *work, ref any, v *mapping.SIPSubscribe, f *mapping.Failure) {
	e.tally.Refused++
	e.log.Debug("a SUBSCRIBE is refused", "dir", "sip-xmpp", "from", v.From, "to", v.RequestURI, "call_id", v.CallID, "reason", f.Status, "err", f)
	a := &mapping.EventAnswer{Expires: mapping.NoExpires}
	if f.Status == 423 {
		a.MinExpires = minExpires
	}
	out.refuseWith(ref, f, a)
}

// failFull means that there are as many subscriptions as there may be. It does not ask to
// stay away: a peer that is asked to does so with messages, too (SIP-30).
func failFull() *mapping.Failure {
	return &mapping.Failure{Status: 503, Condition: mapping.CondResourceConstraint, Type: mapping.TypeWait,
		Text: "There are too many subscriptions."}
}

// watch reads who wants to see whom, if that is allowed. Of users who may not be reached SIP
// is told just that, whatever else is wrong (SEC-13).
func (p *Policy) watch(v *mapping.SIPEvent) (mapping.Watch, *mapping.Failure) {
	if p.Rules.DeniesWatch(p.Access, v) {
		return mapping.Watch{}, mapping.FailForbidden()
	}
	who, err := p.Rules.WatchOf(v)
	if err != nil {
		return mapping.Watch{}, refusalOf(err)
	}
	if p.mode(v.From) == ModeNone || p.blocked(v.From) {
		return mapping.Watch{}, mapping.FailForbidden()
	}
	return who, nil
}

// lets reports whether a user and a contact may know of each other's presence at all,
// whatever they have agreed upon.
func (p *Policy) lets(who pair) bool {
	if !p.Access.Allows(who.user) {
		return false
	}
	contact, err := p.Rules.SIPAddress(who.contact)
	return err == nil && p.mode(contact) != ModeNone && !p.blocked(contact)
}

func refusalOf(err error) *mapping.Failure {
	var f *mapping.Failure
	if errors.As(err, &f) {
		return f
	}
	return mapping.FailInternal(err)
}

// granted reports whether the user lets the contact see him.
func (r *relation) granted() bool { return r.state&WatcherGranted != 0 }

// cloneURI is u without the request around it, which would be kept in memory otherwise.
func cloneURI(u mapping.URI) mapping.URI {
	u.Scheme, u.User, u.Host = strings.Clone(u.Scheme), strings.Clone(u.User), strings.Clone(u.Host)
	u.GR, u.Transport = strings.Clone(u.GR), strings.Clone(u.Transport)
	return u
}
