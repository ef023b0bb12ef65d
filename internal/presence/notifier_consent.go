package presence

import (
	"slices"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// What users decide: whether a contact may see them. It holds until they decide otherwise,
// whatever becomes of dialogs.
//
// Whether there is such a user a stranger does not learn (SEC-13). His subscription stays
// pending when the server says that there is no such user, just as it does while one thinks
// about it; only a contact that the user had let see him is told that there is none any
// more. That a user may not be asked (forbidden, not-allowed) the contact is told.

const (
	askAgain = 24 * time.Hour // a user who has not decided is asked again by a later SUBSCRIBE
	askSweep = time.Hour      // between looking who may be asked again, so that nothing is to be remembered
)

// asks has how often users are asked, besides that: strangers do not fill anybody's screen.
type asks struct {
	of    quota[mapping.JID] // one user
	by    quota[mapping.JID] // for one contact
	from  quota[string]      // for a peer
	sweep timer
}

func newAsks() asks {
	return asks{
		of:   newQuota[mapping.JID](10*time.Minute, 16, 1<<14),
		by:   newQuota[mapping.JID](time.Minute, 32, 1<<14),
		from: newQuota[string](100*time.Millisecond, 256, 1<<10),
	}
}

// askUser has the user asked whether w may see him, unless he was, or has said no. e.mu is held.
func (e *Engine) askUser(out *work, r *relation, w *watcher) {
	ds, a := &r.devices, &e.notifier.asks
	asked := ds.asked
	if asked.IsZero() && r.state&WatcherAsked != 0 {
		asked = r.since // by an earlier run, and not after that
	}
	if e.closing || r.state&(WatcherGranted|WatcherDeclined) != 0 || out.policy.ignores(r.pair) || !asked.IsZero() && lately(out.now, asked, askAgain) {
		return
	}
	if !out.policy.lets(r.pair) || !a.of.has(r.user, out.now) || !a.by.has(r.contact, out.now) || !a.from.has(w.peer, out.now) {
		e.tally.NotAsked++
		e.log.Debug("a user is not asked whether a contact may see him: he, or others for it, were just before", "from", r.contact, "to", r.user)
		return
	}
	a.of.take(r.user, out.now)
	a.by.take(r.contact, out.now)
	a.from.take(w.peer, out.now)
	ds.asked = out.now
	e.enter(out, r, WatcherAsked, 0)
	e.tally.Asks++
	e.log.Info("a user is asked whether a contact may see him", "dir", "sip-xmpp", "from", r.contact, "to", r.user)
	out.stanzas = append(out.stanzas, mapping.Parcel[mapping.XMPP]{Ref: &asking{relation: r},
		Value: &mapping.XMPPPresence{From: r.contact, To: r.user, Type: mapping.Subscribe, Nick: w.nick}})
}

// approved takes that a user lets a contact see him, be it that nobody has asked: it is his
// own presence. e.mu is held.
func (e *Engine) approved(out *work, v *mapping.XMPPPresence) {
	if v.To.Local() == "" || !out.policy.lets(pair{v.From.Bare(), v.To.Bare()}) {
		return
	}
	r := e.relations.get(v.From, v.To, false)
	if r == nil {
		e.log.Debug("there is no room to remember that a user lets a contact see him", "from", v.From, "to", v.To)
		return
	}
	if r.granted() {
		return
	}
	e.log.Debug("a user lets a contact see him", "dir", "xmpp-sip", "from", r.user, "to", r.contact)
	e.enter(out, r, WatcherGranted, WatcherAsked|WatcherDeclined)
	for _, w := range r.watchers {
		if r.sees(out.policy) {
			e.activateWatcher(out, w)
		}
	}
}

// declined takes that he does not, or no longer. Nothing that he has shown is said from now
// on (RFC 3922 §6.5). e.mu is held.
func (e *Engine) declined(out *work, v *mapping.XMPPPresence) {
	r := e.relations.find(v.From, v.To)
	if r == nil || r.state&(WatcherAsked|WatcherGranted) == 0 && len(r.watchers) == 0 {
		return
	}
	e.log.Debug("a user does not let a contact see him", "dir", "xmpp-sip", "from", r.user, "to", r.contact)
	said := WatcherDeclined
	if r.granted() && r.devices.answers.index > 0 {
		// A server says this to a probe, too, if it knows nothing of a subscription: then the
		// user has decided nothing, and may be asked.
		said = 0
	}
	e.unknown(r)
	e.enter(out, r, said, WatcherAsked|WatcherGranted)
	e.endAll(out, r, reasonRejected)
	e.relations.tidy(r)
}

// wantedByUser takes that a user asks for the presence of a contact: he has changed his mind about
// one that he has declined before, and is asked by its next SUBSCRIBE. e.mu is held.
func (e *Engine) wantedByUser(out *work, v *mapping.XMPPPresence) {
	if r := e.relations.find(v.From, v.To); r != nil && r.state&WatcherDeclined != 0 {
		e.enter(out, r, 0, WatcherDeclined)
		r.devices.asked = time.Time{}
		e.relations.tidy(r)
	}
}

// unreachable takes the error that answers a stanza of ours. e.mu is held.
func (e *Engine) unreachable(out *work, v *mapping.XMPPPresence) {
	if r := e.relations.find(v.From, v.To); r != nil {
		e.askedInVain(out, r, v.Failure)
	}
}

// askedInVain takes that a user could not be asked. e.mu is held.
func (e *Engine) askedInVain(out *work, r *relation, f *mapping.Failure) {
	if f == nil {
		return
	}
	switch f.Condition {
	case mapping.CondItemNotFound, mapping.CondGone:
		if r.granted() {
			e.unknown(r)
			e.endAll(out, r, reasonNoResource)
		}
	case mapping.CondForbidden, mapping.CondNotAllowed:
		if !r.granted() {
			e.endAll(out, r, reasonRejected)
		}
	}
}

// endAll ends all dialogs of a relation. e.mu is held.
func (e *Engine) endAll(out *work, r *relation, reason string) {
	for _, w := range slices.Clone(r.watchers) {
		e.endWatcher(out, w, reason)
	}
}

// expireAsked has it forgotten some time that a user was asked, if no dialog waits for what he
// says. e.mu is held.
func (e *Engine) expireAsked(out *work, r *relation) {
	if r.state&WatcherAsked != 0 && r.contact.Local() != "" && e.notifier.asks.sweep.index == 0 {
		e.at(out, &e.notifier.asks.sweep, out.now.Add(askSweep), e.sweepAsked)
	}
}

// sweepAsked forgets those who have been asked so long ago that they might be asked again: what
// they say is taken all the same. e.mu is held.
func (e *Engine) sweepAsked(out *work) {
	left := false
	for _, r := range e.relations.all {
		if r.state&WatcherAsked == 0 || len(r.watchers) > 0 || r.contact.Local() == "" {
			continue
		}
		asked := r.devices.asked
		if asked.IsZero() {
			asked = r.since
		}
		if lately(out.now, asked, askAgain) {
			left = true
			continue
		}
		e.enter(out, r, 0, WatcherAsked)
		e.relations.tidy(r)
	}
	if left {
		e.at(out, &e.notifier.asks.sweep, out.now.Add(askSweep), e.sweepAsked)
	}
}
