package presence

import "github.com/stoxgw/stox/mapping"

// info is what an operator is told of a user's dialog with a contact, if there is one, or
// one is asked for. e.mu is held.
func (s *subscription) info() (DialogInfo, bool) {
	d := DialogInfo{Direction: Watches, Expires: s.expires}
	switch {
	case s.remoteTag == "":
		return d, s.callID != ""
	case s.active:
		d.State = mapping.StateActiveSub
	case s.theirs > 0 && !s.sent.IsZero(): // else it was restored, and has not been heard of
		d.State = mapping.StatePending
	}
	if s.timer.index > 0 && s.timer.at.Before(s.expires) {
		d.Refresh = s.timer.at
	}
	return d, true
}

// info is the same of a dialog with a user agent of the contact. e.mu is held.
func (w *watcher) info() DialogInfo {
	return DialogInfo{Direction: Watched, State: w.state(), Expires: w.until}
}
