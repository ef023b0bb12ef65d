package statuspage

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// shown is what others have chosen, fit to be looked at: what cannot be printed, or would
// turn the direction of what stands beside it, is shown as its code. It is no HTML.
func shown(s string) string {
	ok := utf8.ValidString(s)
	for _, r := range s {
		ok = ok && unicode.IsPrint(r)
	}
	if ok {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if unicode.IsPrint(r) && r != utf8.RuneError {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// lines is shown for a text of several lines.
func lines(s string) string {
	all := strings.Split(strings.ReplaceAll(s, "\r\n", "\n"), "\n")
	for i := range all {
		all[i] = shown(strings.ReplaceAll(all[i], "\t", " "))
	}
	return strings.Join(all, "\n")
}

// clock is a time as it is read, machine is the same for programs.
func clock(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

func machine(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// ago is how long something is past.
func ago(t, now time.Time) string {
	switch d := now.Sub(t).Round(time.Second); {
	case t.IsZero():
		return "never"
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	default:
		return fmt.Sprintf("%d days", int(d.Hours()/24))
	}
}
