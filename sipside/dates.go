package sipside

import (
	"strconv"
	"strings"
	"time"
)

// Times in headers: SIP-date and delta-seconds (RFC 3261 §25.1). They only inform, so
// what cannot be read says nothing and is no reason to refuse a request.

// sipDateForm is the only form that is sent, and that RFC 3261 §20.17 has.
const sipDateForm = "Mon, 02 Jan 2006 15:04:05 GMT"

// dateForms are those that are read: the three of HTTP (RFC 9110 §5.6.7), of which
// the one of SIP is the first. A day of one digit is understood.
var dateForms = [...]string{
	"Mon, 2 Jan 2006 15:04:05 GMT",
	"Monday, 2-Jan-06 15:04:05 GMT",
	"Mon Jan _2 15:04:05 2006",
}

// maxDate is more than any date needs.
const maxDate = 64

// parseDate reads the value of a Date header, to the whole second; zero if it cannot
// be read.
func parseDate(s string) time.Time {
	if s == "" || len(s) > maxDate {
		return time.Time{}
	}
	s = strings.Trim(s, " \t")
	for _, form := range dateForms {
		if t, err := time.Parse(form, s); err == nil {
			return t.Truncate(time.Second)
		}
	}
	return time.Time{}
}

// formatDate gives the value of a Date header, rounded down; "" for the zero time and
// for a year that does not have four digits.
func formatDate(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	if t = t.UTC(); t.Year() < 0 || t.Year() > 9999 {
		return ""
	}
	return t.Format(sipDateForm)
}

// maxExpires is the most that Expires can say (RFC 3261 §20.19): 136 years.
const maxExpires = 1<<32 - 1

// parseExpires reads Expires; 0 if it cannot be read, else one second at least: whatever
// is of use for no time at all (Expires: 0) is late a second after it was sent.
func parseExpires(s string) time.Duration { return parseSeconds(s, maxExpires) }

// parseSeconds reads delta-seconds, which a comment and parameters may follow. 0 if
// there are none, else from a second to most.
func parseSeconds(s string, most uint64) time.Duration {
	s = strings.Trim(s, " \t")
	digits := s
	if i := strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' }); i >= 0 {
		if !strings.ContainsRune(" \t(;", rune(s[i])) {
			return 0
		}
		digits = s[:i]
	}
	if digits == "" {
		return 0
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil {
		n = most // more digits than that
	}
	return time.Duration(min(max(n, 1), most)) * time.Second
}
