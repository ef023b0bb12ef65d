package mapping

import "time"

// staleAfter is the age from which on it is said when a message was written (IM-24).
const staleAfter = time.Minute

// sipBorn is when RFC 3261 came out: a date before it is that of a clock which was never set.
var sipBorn = time.Date(2002, time.June, 1, 0, 0, 0, 0, time.UTC)

// delay is the time to be told for a request that says it was written at sent (zero if
// it does not say): zero if there is nothing to tell (M-029, M-057). It is a Failure if
// the request has expired, and the rules are that such are refused (IM-25, M-058).
//
// A date in the future, or one that no SIP clock can have shown, is none.
func (r *Rules) delay(m *SIPMessage, sent time.Time) (time.Time, *Failure) {
	if m.Received.IsZero() || sent.Before(sipBorn) || sent.After(m.Received) {
		// Without a date Expires counts from reception: what has just come has time left.
		return time.Time{}, nil
	}
	age := m.Received.Sub(sent)
	late := m.Expires > 0 && age >= m.Expires
	switch {
	case late && r.refuseExpired:
		return time.Time{}, FailLate()
	case late || age > staleAfter:
		return sent.UTC(), nil
	}
	return time.Time{}, nil
}
