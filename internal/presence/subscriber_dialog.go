package presence

import (
	"container/list"
	"crypto/rand"
	mathrand "math/rand/v2"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// The times of a subscription.
const (
	timerN        = 32 * time.Second // 64*T1: how long a NOTIFY may let itself be waited for (RFC 6665 §4.1.2.4)
	askFor        = 3600             // seconds, the default of the package (RFC 3856 §6.4)
	longest       = 24 * 3600        // whatever a notifier says
	refreshBefore = time.Minute      // the end, at the latest
	refreshAfter  = 30 * time.Second // the last SUBSCRIBE, at the earliest
	endWithin     = 5 * time.Minute  // the end of a dialog has its turn, or is not said
	firstRetry    = time.Minute      // after a failure, then twice as long each time ...
	lastRetry     = time.Hour        // ... up to this
	leastRetry    = 30 * time.Second // whatever Retry-After says ...
	longestRetry  = 24 * time.Hour   // ... and at most
)

// subscription is a user's subscription to a contact as SIP sees it: the dialog there is,
// or what is awaited. A poll is one, too, which has no relation.
type subscription struct {
	relation *relation // nil: a poll, or the user has ended it
	pair
	prober mapping.JID // of a poll: who is told

	// The dialog; callID is "" while there is none and none is asked for.
	callID, tag string
	gr          string // of our Contact
	from, to    mapping.URI
	remoteTag   string // "": no NOTIFY has come, so there is no dialog yet
	remote      string // the remote target, to the letter
	routes      []string
	flow        uint64
	peer        string // who notifies
	cseq        uint32 // of the last SUBSCRIBE
	reserved    uint32 // the book knows that CSeq may be as high
	theirs      uint32 // CSeq of the last NOTIFY
	asked       int    // seconds ...
	answered    int    // ... and those of the answer, 0 if not said

	began   time.Time // when the dialog was first asked for
	sent    time.Time // when the last SUBSCRIBE was sent
	expires time.Time // zero: not known yet
	kept    int64     // the expiry that the book knows, in seconds; 0: it knows nothing
	timer   timer     // for whatever comes next
	open    *subscribing
	queued  *list.Element // it waits for its turn ...
	at      *destination  // ... there
	fails   uint8         // one after the other

	ended     bool // by the user: the last NOTIFY is awaited
	still     bool // the contact does not change any more: there is no dialog, and none is wanted
	published bool // still, because the contact publishes what it shows
	active    bool // by the last NOTIFY
	known     bool // there is something to tell: shown is what the contact shows
	brief     bool // a 423 has been obeyed
	lapsing   bool // the user is not there: it is not refreshed
	asking    bool // the user is asked whether he is there
	owed      bool // the user has asked, and is told once if that fails ...
	id        string

	shown []mapping.Resource // to the user
	lang  string             // of the texts in it
	count uint8              // of changes shown ...
	since time.Time          // ... since then
	later *later             // what is to be shown soon
}

// begin asks for a dialog, in the place of whatever there was. What is shown of the contact
// stays, until this has failed. e.mu is held.
func (e *Engine) begin(out *work, s *subscription) {
	e.clear(out, s)
	p := out.policy
	to, err := p.Rules.SIPAddress(s.contact)
	var from mapping.URI
	if err == nil {
		from, err = p.Rules.SIPIdentity(s.user, to.Host)
	}
	if e.closing || err != nil || !p.asks(to) || !p.tells(s.pair) {
		e.lapse(out, s)
		return
	}
	if e.publishes(out, s) {
		return
	}
	s.callID, s.tag, s.gr = rand.Text(), rand.Text()[:16], rand.Text()[:16]
	s.from, s.to = from, to
	s.began, s.asked = out.now, askFor
	if !s.prober.IsZero() {
		s.asked = 0
	}
	if wait := e.turn(out, s.user); wait > 0 {
		e.at(out, &s.timer, out.now.Add(wait), func(out *work) { e.enqueue(out, s) })
		return
	}
	e.enqueue(out, s)
}

// clear lets go of the dialog, or the wish for one. e.mu is held.
func (e *Engine) clear(out *work, s *subscription) {
	if s.callID != "" {
		e.forgetDialog(out, s)
		delete(e.subscriber.byCall, s.callID)
	}
	e.timers.stop(&s.timer)
	e.dequeue(s)
	s.callID, s.remoteTag, s.remote, s.routes, s.flow, s.peer, s.open = "", "", "", nil, 0, "", nil
	s.cseq, s.reserved, s.theirs, s.answered, s.expires = 0, 0, 0, 0, time.Time{}
	s.active, s.brief, s.lapsing, s.asking, s.still = false, false, false, false, false
	s.published = false
}

// drop ends s without a word. e.mu is held.
func (e *Engine) drop(out *work, s *subscription) {
	e.clear(out, s)
	if s.later != nil {
		e.timers.stop(&s.later.timer)
		s.later = nil
	}
	if e.subscriber.ending[s.pair] == s {
		delete(e.subscriber.ending, s.pair)
	}
	e.endPoll(out, s)
	if r := s.relation; r != nil && r.watch == s {
		r.watch = nil
		e.relations.tidy(r)
	}
	s.relation = nil
}

// lapse lets go of a subscription that is of no use at present: what the user may stays as
// it is, and when he asks again it begins anew. e.mu is held.
func (e *Engine) lapse(out *work, s *subscription) {
	e.hide(out, s)
	e.drop(out, s)
}

// send sends a SUBSCRIBE, whose turn it is: the one that begins a dialog, or one within it.
// e.mu is held.
func (e *Engine) send(out *work, s *subscription, to *destination) {
	s.cseq++
	s.sent = out.now
	v := &mapping.SIPSubscribe{
		SIPEvent: mapping.SIPEvent{
			RequestURI: s.target(), From: s.from, To: s.to, CallID: s.callID, FromTag: s.tag, ToTag: s.remoteTag, CSeq: s.cseq,
			RemoteTarget: s.remote,
			Package:      eventPackage, Contact: mapping.URI{Scheme: "sip", User: s.from.User, GR: s.gr}, Routes: s.routes, Flow: s.flow,
		},
		Expires: s.asked,
	}
	switch {
	case s.ended:
		s.asked, v.Expires = 0, 0
		e.at(out, &s.timer, out.now.Add(2*timerN), func(out *work) { e.ended(out, s) })
	case s.remoteTag == "":
		e.subscriber.byCall[s.callID] = s
		e.at(out, &s.timer, out.now.Add(timerN), func(out *work) { e.unnotified(out, s) })
	default:
		e.reserve(out, s)
		e.at(out, &s.timer, s.expires, func(out *work) { e.expired(out, s) })
	}
	s.open = &subscribing{s, to}
	out.request(s.open, v)
	e.tally.Subscribes++
}

// target is where requests of the dialog go, or the one that begins it.
func (s *subscription) target() mapping.URI {
	if u, err := mapping.ParseURI(s.remote); err == nil {
		return u
	}
	return s.to
}

// eventPackage is the only one that there is.
const eventPackage = "presence"

// valid takes how long the dialog is valid from now on, which is never longer than was
// asked for. e.mu is held.
func (e *Engine) valid(out *work, s *subscription, seconds int) {
	if seconds < 0 {
		if !s.expires.IsZero() {
			return
		}
		if seconds = s.asked; s.answered > 0 {
			seconds = s.answered
		}
	}
	end := out.now.Add(time.Duration(min(seconds, s.asked, longest)) * time.Second)
	if d := end.Sub(s.expires); !s.expires.IsZero() && -2*time.Second < d && d < 2*time.Second {
		return // the same, counted down
	}
	s.expires = end
	if s.remoteTag == "" {
		return
	}
	if d := end.Unix() - s.kept; d > 60 || d < -60 {
		e.keep(out, s)
	}
	if s.open == nil && s.queued == nil {
		e.plan(out, s)
	} else { // the answer plans
		e.at(out, &s.timer, s.expires, func(out *work) { e.expired(out, s) })
	}
}

// plan sets the time of the next refresh: about half of the interval, at the latest a
// minute before its end, and not at the same time as everybody else's. e.mu is held.
func (e *Engine) plan(out *work, s *subscription) {
	s.asking = false
	left := s.expires.Sub(out.now)
	when := out.now.Add(left/2 - jitter(left/10))
	if last := s.expires.Add(-refreshBefore); left > 2*refreshBefore && when.After(last) {
		when = last
	}
	if first := s.sent.Add(refreshAfter); when.Before(first) {
		when = first
	}
	if s.lapsing || !when.Before(s.expires) {
		e.at(out, &s.timer, s.expires, func(out *work) { e.expired(out, s) })
		return
	}
	e.at(out, &s.timer, when, func(out *work) { e.due(out, s) })
}

// isHis reports whether the dialog is of who its user is in SIP. He may have got another
// address there since it began, or that one may be somebody else's by now: then it must not go
// on under it.
func (s *subscription) isHis(p *Policy) bool {
	from, err := p.Rules.SIPIdentity(s.user, s.to.Host)
	return err == nil && from.String() == s.from.String()
}

// due refreshes the dialog, if its user is there. e.mu is held.
func (e *Engine) due(out *work, s *subscription) {
	switch e.presence(out, s) {
	case isThere:
		s.asking = false
		if !s.isHis(out.policy) {
			e.begin(out, s)
			return
		}
		e.at(out, &s.timer, s.expires, func(out *work) { e.expired(out, s) })
		e.enqueue(out, s)
	case isAsked:
		wait := out.now.Add(answerWithin)
		if s.expires.Before(wait) {
			wait = s.expires
		}
		e.at(out, &s.timer, wait, func(out *work) { e.due(out, s) })
	case isAway:
		s.lapsing, s.asking = true, false
		e.plan(out, s)
	}
}

// expired takes that the time of the dialog has run out. e.mu is held.
func (e *Engine) expired(out *work, s *subscription) {
	if s.lapsing {
		e.lapse(out, s)
		return
	}
	e.soon(out, s)
}

// soon asks for a new dialog: at once if the last one has held for a while, or else as
// after a failure. e.mu is held.
func (e *Engine) soon(out *work, s *subscription) {
	if out.now.Sub(s.began) >= firstRetry {
		s.fails = 0
	}
	if s.fails > 0 {
		e.later(out, s, 0)
		return
	}
	s.fails++
	e.retry(out, s)
}

// retry begins anew, if the user is there. e.mu is held.
func (e *Engine) retry(out *work, s *subscription) {
	switch e.presence(out, s) {
	case isThere:
		e.begin(out, s)
	case isAsked:
		asking := s.asking
		e.clear(out, s)
		s.asking = asking
		e.at(out, &s.timer, out.now.Add(answerWithin), func(out *work) { e.retry(out, s) })
	case isAway:
		e.lapse(out, s)
	}
}

// later has it tried again after a while, or after as long as the other side wants. What is
// shown of the contact is not known to be true any more. e.mu is held.
func (e *Engine) later(out *work, s *subscription, after time.Duration) {
	e.hide(out, s)
	e.clear(out, s)
	wait := min(firstRetry<<min(s.fails, 6), lastRetry)
	if after > 0 { // nobody has us ask every second
		wait = min(max(after, leastRetry), longestRetry)
	}
	if s.fails < 255 {
		s.fails++
	}
	e.at(out, &s.timer, out.now.Add(wait+jitter(wait/4)), func(out *work) { e.retry(out, s) })
}

// unnotified takes that no NOTIFY has come (PRES-32). e.mu is held.
func (e *Engine) unnotified(out *work, s *subscription) {
	e.tally.Failed++
	if !s.prober.IsZero() {
		e.drop(out, s)
		return
	}
	e.fail(out, s, 0, noAnswer())
}

// endInTime has the end of a dialog said when it is its turn. Where that does not come it ends
// all the same, so that ends do not pile up behind a destination that does not answer: the
// notifier learns of it by what its next NOTIFY is answered. e.mu is held.
func (e *Engine) endInTime(out *work, s *subscription) {
	e.at(out, &s.timer, out.now.Add(endWithin), func(out *work) { e.ended(out, s) })
	e.enqueue(out, s)
}

// ended takes the end of a dialog that the user has ended: he is told so, once. e.mu is held.
func (e *Engine) ended(out *work, s *subscription) {
	if e.subscriber.ending[s.pair] == s {
		out.say(s.contact, s.user, mapping.Unsubscribed)
	}
	e.drop(out, s)
}

// jitter is a random time up to d.
func jitter(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return mathrand.N(d)
}
