package sipside

import (
	"strings"
	"testing"
	"time"
)

// IM-24: the form of RFC 3261 §20.17, and what HTTP has besides.
func TestDate(t *testing.T) {
	at := time.Date(2026, 1, 5, 9, 50, 0, 0, time.UTC)
	for value, want := range map[string]time.Time{
		"Mon, 05 Jan 2026 09:50:00 GMT":             at,
		" \tMon, 05 Jan 2026 09:50:00 GMT ":         at,
		"mon,  5 jan 2026  09:50:00 GMT":            at,
		"Sun, 05 Jan 2026 09:50:00 GMT":             at, // the day of the week adds nothing
		"Monday, 05-Jan-26 09:50:00 GMT":            at,
		"Mon Jan  5 09:50:00 2026":                  at,
		"Mon, 05 Jan 2026 09:50:00.999 GMT":         at, // whole seconds
		"Sat, 13 Nov 2010 23:29:00 GMT":             time.Date(2010, 11, 13, 23, 29, 0, 0, time.UTC),
		"Sunday, 06-Nov-94 08:49:37 GMT":            time.Date(1994, 11, 6, 8, 49, 37, 0, time.UTC),
		"Fri, 31 Dec 9999 23:59:59 GMT":             time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
		"Fri, 01 Jan 2010 16:00:00 EST":             {}, // as in RFC 4475 §3.1.2.12, and there it is an error
		"Mon, 05 Jan 2026 09:50:00":                 {},
		"Mon, 05 Jan 2026 09:50:00 +0100":           {},
		"Mon, 31 Feb 2026 09:50:00 GMT":             {},
		"Mon, 05 Jan 2026 24:00:00 GMT":             {},
		"Mon, 05 Jan 20260 09:50:00 GMT":            {},
		"Mon, 05 Jan 2026 09:50:00 GMT, ":           {},
		"Mon, 05 Jan 2026 09:50:00 GMT;a=b":         {},
		"2026-01-05T09:50:00Z":                      {},
		"":                                          {},
		" ":                                         {},
		"GMT":                                       {},
		"Mon, 05 Jan 2026 09:50:00 GMT\xff":         {},
		strings.Repeat("Mon, 05 Jan 2026 09", 1000): {},
	} {
		if got := parseDate(value); !got.Equal(want) || got.Location() != time.UTC {
			t.Errorf("%q: %v, want %v", value, got, want)
		}
	}
}

// IM-26, M-037: GMT, whole seconds, rounded down; nothing where there is no form.
func TestFormatDate(t *testing.T) {
	east := time.FixedZone("", 14*3600)
	for _, tt := range []struct {
		at   time.Time
		want string
	}{
		{time.Date(2026, 1, 15, 9, 0, 0, 5e8, time.UTC), "Thu, 15 Jan 2026 09:00:00 GMT"},
		{time.Date(2026, 1, 5, 9, 0, 0, 999999999, east), "Sun, 04 Jan 2026 19:00:00 GMT"},
		{time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), "Fri, 31 Dec 9999 23:59:59 GMT"},
		{time.Date(9999, 12, 31, 23, 59, 59, 0, time.FixedZone("", -3600)), ""},
		{time.Date(12026, 1, 15, 9, 0, 0, 0, time.UTC), ""},
		{time.Date(-1, 1, 15, 9, 0, 0, 0, time.UTC), ""},
		{time.Time{}, ""},
	} {
		if got := formatDate(tt.at); got != tt.want {
			t.Errorf("%v: %q, want %q", tt.at, got, tt.want)
		}
	}
}

// FuzzDate: what can be read can be said again, and is the same.
func FuzzDate(f *testing.F) {
	for _, s := range []string{"Mon, 05 Jan 2026 09:50:00 GMT", "Monday, 05-Jan-26 09:50:00.5 GMT", "Mon Jan  5 09:50:00 2026", "Sat, 01 Jan 0001 00:00:00 GMT"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		at := parseDate(s)
		if at.IsZero() {
			return
		}
		if said := formatDate(at); !parseDate(said).Equal(at) || !headerSafe(said) {
			t.Errorf("%q is %v, said again %q", s, at, said)
		}
	})
}

// IM-25: RFC 3261 §20.19. What says anything says a second at least.
func TestExpires(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"5":                             5 * time.Second,
		" 3600 ":                        time.Hour,
		"60 (a minute)":                 time.Minute,
		"60;x=y":                        time.Minute,
		"0":                             time.Second,
		"000":                           time.Second,
		"4294967295":                    maxExpires * time.Second,
		"4294967296":                    maxExpires * time.Second,
		"18446744073709551616":          maxExpires * time.Second,
		"99999999999999999999999":       maxExpires * time.Second,
		"":                              0,
		"-1":                            0,
		"+1":                            0,
		"1.5":                           0,
		"1h":                            0,
		"never":                         0,
		"٥":                             0,
		"Thu, 01 Dec 1994 16:00:00 GMT": 0, // of RFC 2543
	} {
		if got := parseExpires(value); got != want || got < 0 {
			t.Errorf("%q: %v, want %v", value, got, want)
		}
	}
}
