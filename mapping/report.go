package mapping

// Final is what a SIP sender is answered when o is what became of its message on
// the XMPP side (IM-56): the final status, and the Failure behind it unless the
// status is 2xx. accept is the status for success, 200 or 202.
//
// The Failure of NotWritten is honoured; without one it is a 503.
//
// 202 is also the answer where the message was handed over and nothing more is
// known: 200 would claim too much, and 503 would make the sender repeat it.
func (o Outcome) Final(accept int) (status int, f *Failure) {
	switch o.Kind {
	case Processed:
		if accept != 202 {
			accept = 200
		}
		return accept, nil
	case Unknown:
		return 202, nil
	case Bounced:
		if f = o.Failure; f == nil {
			f = FailureFromStanza(CondUndefinedCondition, "", "", "")
		}
	case Refused:
		if f = o.Failure; f == nil {
			f = FailInternal(nil)
		}
	case NotWritten:
		if f = o.Failure; f == nil {
			f = FailNoLink()
		}
	case Uncertain:
		f = FailLinkLost()
		if o.Failure != nil {
			f.Err = o.Failure
		}
	default: // Answered is no outcome of the XMPP side
		f = FailInternal(nil)
	}
	return f.final()
}

// final returns f with a status that may be sent as a final answer.
func (f *Failure) final() (int, *Failure) {
	status := passable(f.Status)
	if status < 300 || status > 699 {
		status = 500
	}
	if status != f.Status {
		g := *f
		g.Status, g.Reason = status, ""
		f = &g
	}
	return status, f
}

// Report is what an XMPP sender is told when o is what became of its message on
// the SIP side: nil if nothing, because it was accepted, else the Failure for
// the one error stanza of the message (IM-60).
func (o Outcome) Report() *Failure {
	switch {
	case o.Accepted():
		return nil
	case o.Kind == Unknown, o.Kind == Uncertain:
		// Whatever the cause says, the sender must learn that it may have arrived.
		f := FailTimeout()
		if o.Failure != nil && o.Failure.Text == f.Text {
			f.Err = o.Failure.Err // itself says nothing more
		} else if o.Failure != nil {
			f.Err = o.Failure
		}
		return f
	case o.Failure != nil:
		return o.Failure
	case o.Kind == NotWritten:
		return FailUnreachable()
	case o.Kind == Answered:
		return FailureFromStatus(o.Status, "", 0, nil)
	}
	return FailInternal(nil)
}
