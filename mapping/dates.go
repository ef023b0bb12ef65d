package mapping

import "time"

// staleAfter is the age from which on it is said when a message was written (IM-24).
const staleAfter = time.Minute

// sipBorn is when RFC 3261 came out: a date before it is that of a clock which was never set.
var sipBorn = time.Date(2002, time.June, 1, 0, 0, 0, 0, time.UTC)

// delay is the time to be told for a request whose content says it was written at
// written (zero if it does not say; then Date says it): zero if there is nothing to tell
// (M-029, M-057). It is a Failure if the request has expired, and the rules are that such
// are refused (IM-25, M-058).
//
// Expires counts from Date alone (RFC 3428 §7): both are of the request, which may have
// been made long after what is in it. Without a date it counts from reception, and what
// has just come has time left.
func (r *Rules) delay(m *SIPMessage, written time.Time) (time.Time, *Failure) {
	dated := m.tells(m.Date)
	late := dated && m.Expires > 0 && m.Received.Sub(m.Date) >= m.Expires
	if late && r.refuseExpired {
		return time.Time{}, FailLate()
	}
	if !m.tells(written) {
		if !dated {
			return time.Time{}, nil
		}
		written = m.Date
	}
	if late || m.Received.Sub(written) > staleAfter {
		return written.UTC(), nil
	}
	return time.Time{}, nil
}

// tells reports whether a date says anything: one in the future, or one that no SIP clock
// can have shown, does not.
func (m *SIPMessage) tells(date time.Time) bool {
	return !m.Received.IsZero() && !date.Before(sipBorn) && !date.After(m.Received)
}
