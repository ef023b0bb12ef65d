package presence

import (
	"time"

	"github.com/stoxgw/stox/mapping"
)

// takeNotify takes a NOTIFY. It is answered at once, whatever it is: nothing waits for XMPP.
// e.mu is held.
func (e *Engine) takeNotify(out *work, ref any, v *mapping.SIPNotify) {
	if v.Package != eventPackage {
		e.tally.Stale++
		out.refuse(ref, mapping.FailEvent())
		return
	}
	s := e.subscriber.byCall[v.CallID]
	switch {
	case s == nil, v.ToTag != s.tag, v.EventID != "", v.FromTag == "":
		s = nil
	case s.remoteTag == "": // the first one makes the dialog, whatever was answered to SUBSCRIBE
		s.remoteTag, s.peer = v.FromTag, v.Peer
		e.reserve(out, s)
	case v.FromTag != s.remoteTag, v.Peer != s.peer:
		s = nil // a fork that came second (PRES-27), or somebody else (PRES-30)
	case v.CSeq <= s.theirs: // RFC 3261 §12.2.2; what is sent again comes from the SIP side only once
		e.tally.Stale++
		out.refuse(ref, outOfOrder())
		return
	}
	if s == nil {
		e.tally.Stale++
		out.refuse(ref, mapping.FailNoSubscription())
		return
	}
	e.tally.Notifies++
	s.theirs = v.CSeq
	e.target(out, s, v)
	var f *mapping.Failure
	switch {
	case s.ended:
		if v.State == mapping.StateTerminated {
			e.ended(out, s)
		}
	case !s.prober.IsZero():
		f = e.polledNotify(out, s, v)
	case v.State == mapping.StateTerminated:
		e.terminated(out, s, v)
	default:
		f = e.notifiedOf(out, s, v)
	}
	if f != nil {
		out.refuse(ref, f)
		return
	}
	out.accept(ref, nil)
}

// target takes where the requests of the dialog go from now on: the NOTIFY says so, not the
// answer to SUBSCRIBE (RFC 6665 §4.4.1). e.mu is held.
func (e *Engine) target(out *work, s *subscription, v *mapping.SIPNotify) {
	s.flow = v.Flow
	first := s.routes == nil
	if first {
		s.routes = append([]string{}, v.Routes...) // the route set does not change (RFC 3261 §12.2)
	}
	remote := v.RemoteTarget
	if remote == "" {
		remote = v.Contact.String()
	}
	if remote != "" && remote != s.remote {
		s.remote = remote
		if !first {
			e.keep(out, s)
		}
	}
}

// notifiedOf takes a NOTIFY of a subscription that goes on. What cannot be read changes
// nothing but that the dialog is there. e.mu is held.
func (e *Engine) notifiedOf(out *work, s *subscription, v *mapping.SIPNotify) *mapping.Failure {
	active := v.State == mapping.StateActiveSub
	var document []mapping.Resource
	var f *mapping.Failure
	if active && len(v.Body) > 0 {
		document, f = readDocument(v)
	}
	e.valid(out, s, v.Expires)
	if f != nil {
		e.log.Debug("a presence document cannot be read", "dir", dirFromSIP, "from", s.contact, "to", s.user,
			"call_id", s.callID, "reason", f.Condition, "err", f)
		return f
	}
	r := s.relation
	if !active || !out.policy.tells(r.pair) {
		// Nothing is to be told of who is pending (PRES-03), of an unknown state, to who may
		// not use us any more (SEC-13), or where presence is not exchanged any more.
		s.active = false
		e.show(out, s, nil, "")
		s.known = false
		return nil
	}
	s.active = true
	if r.state&WatchGranted == 0 {
		e.enter(out, r, WatchGranted, WatchPending)
		out.say(r.contact, r.user, mapping.Subscribed)
		e.log.Info("a contact lets a user see it", "dir", dirFromSIP, "from", r.contact, "to", r.user)
		s.owed, s.id = false, ""
	}
	switch {
	case len(v.Body) > 0:
		e.show(out, s, document, v.Lang)
	case !s.known && len(s.shown) == 0: // unknown is closed (PRES-04)
		e.show(out, s, []mapping.Resource{{}}, "")
	default:
		s.known = true // what was shown last holds (RFC 3856 §6.8)
	}
	return nil
}

// terminated takes the end of a dialog, for the reason that is given (RFC 6665 §4.1.3).
// e.mu is held.
func (e *Engine) terminated(out *work, s *subscription, v *mapping.SIPNotify) {
	e.log.Debug("a subscription was ended", "dir", dirFromSIP, "from", s.contact, "to", s.user, "call_id", s.callID, "reason", v.Reason)
	if s.relation.state&WatchGranted != 0 && s.active && len(v.Body) > 0 && out.policy.tells(s.pair) {
		if document, f := readDocument(v); f == nil {
			e.show(out, s, document, v.Lang)
		}
	}
	after := time.Duration(min(max(v.RetryAfter, 0), int(longestRetry/time.Second))) * time.Second
	switch v.Reason {
	case "rejected", "noresource":
		e.refused(out, s)
		return
	case "invariant": // as it is it stays
		e.hurry(out, s)
		e.clear(out, s)
		s.still = true
		return
	case "deactivated", "timeout":
		after = 0
	case "probation":
		if after == 0 {
			e.later(out, s, 0)
			return
		}
	}
	if after > 0 {
		e.later(out, s, after)
		return
	}
	e.soon(out, s)
}

// outOfOrder is for a request that has been overtaken by a later one.
func outOfOrder() *mapping.Failure {
	return &mapping.Failure{Status: 500, Condition: mapping.CondUnexpectedRequest, Type: mapping.TypeCancel,
		Text: "A later request of the dialog has come before."}
}
