package cli

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/stoxgw/stox/internal/admin"
)

// table writes rows of the queue in columns.
type table struct {
	out  io.Writer
	now  time.Time
	grid grid
}

var heading = []string{"ID", "AGE", "EXPIRES IN", "STATE", "ATTEMPTS", "FROM", "TO", "PROBLEM"}

func (t *table) add(page []admin.Message) {
	t.grid.out, t.grid.heading = t.out, heading
	rows := make([][]string, 0, len(page))
	for _, m := range page {
		rows = append(rows, []string{
			strconv.FormatUint(m.ID, 10), between(m.Read, t.now), between(t.now, m.Expire),
			dash(m.State), strconv.Itoa(m.Attempts), dash(m.From), dash(m.To), dash(m.Problem),
		})
	}
	t.grid.add(rows)
}

// grid writes rows in columns. Widths grow from page to page, so that none has to be held.
type grid struct {
	out     io.Writer
	heading []string
	width   []int // of all columns but the last; nil before the first page
}

// maxWidth is how far a column pushes the ones behind it; longer values are not cut.
const maxWidth = 40

func (g *grid) add(rows [][]string) {
	if g.width == nil {
		g.width = make([]int, len(g.heading)-1)
		rows = append([][]string{g.heading}, rows...)
	}
	for _, row := range rows {
		for i := range g.width {
			g.width[i] = min(max(g.width[i], utf8.RuneCountInString(row[i])), maxWidth)
		}
	}
	for _, row := range rows {
		var b strings.Builder
		for i, s := range row {
			if i > 0 {
				b.WriteString("  ")
			}
			b.WriteString(s)
			if i < len(g.width) {
				b.WriteString(strings.Repeat(" ", max(0, g.width[i]-utf8.RuneCountInString(s))))
			}
		}
		fmt.Fprintln(g.out, b.String())
	}
}

// dash keeps an empty column countable.
func dash(s string) string {
	if s == "" {
		return "-"
	}
	return printable(s)
}

// showText is one message in words.
func showText(m admin.Message, now time.Time) string {
	var b strings.Builder
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%-9s %s\n", name, value)
		}
	}
	state := m.State
	switch m.State {
	case "queued":
		state += ": it has never been sent, or the last attempt has failed for certain"
	case "sent":
		state += ": a request is under way, or was when stox ended"
	case "back-off":
		state += ": it is tried again"
		if !m.Next.IsZero() {
			state += " at " + when(m.Next, now)
		}
	case "reporting":
		state += ": given up, its sender has not got the error yet"
	case admin.Damaged:
		state += ": the row cannot be read; drop deletes it"
	}
	line("id", strconv.FormatUint(m.ID, 10))
	line("stanza", printable(m.Stanza))
	line("Call-ID", printable(m.CallID))
	line("from", printable(m.From))
	line("to", printable(m.To))
	line("lane", printable(m.Lane))
	line("read", when(m.Read, now))
	line("expires", when(m.Expire, now))
	line("state", printable(state))
	if m.Parts > 1 {
		line("part", fmt.Sprintf("%d of %d", m.Part, m.Parts))
	}
	line("attempts", strconv.Itoa(m.Attempts))
	line("problem", printable(m.Problem))
	line("size", strconv.Itoa(m.Size)+" bytes")
	return b.String()
}

// stamp is a time for people, where they are.
func stamp(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05.000") }

// when is the same with how long that is from now.
func when(t, now time.Time) string {
	switch {
	case t.IsZero():
		return "-"
	case t.After(now):
		return stamp(t) + ", in " + span(t.Sub(now))
	}
	return stamp(t) + ", " + span(now.Sub(t)) + " ago"
}

// between is the time from one moment to another, if both are known.
func between(from, to time.Time) string {
	if from.IsZero() || to.IsZero() {
		return "-"
	}
	return span(to.Sub(from))
}

// span is a duration for people: two units at most, and none below a second.
func span(d time.Duration) string {
	s := int64(d / time.Second)
	switch {
	case s < 0:
		return "-" + span(-d)
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	case s < 86400:
		return fmt.Sprintf("%dh%02dm", s/3600, s%3600/60)
	}
	return fmt.Sprintf("%dd%02dh", s/86400, s%86400/3600)
}

// shortDuration is a duration as the configuration writes it: 168h.
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// printable makes what others chose - ids, reasons - harmless on a terminal: what
// cannot be printed, or changes the direction of a line, is written as in Go.
func printable(s string) string {
	if !hasUnprintable(s) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if unicode.IsPrint(r) {
			b.WriteRune(r)
			continue
		}
		b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
	}
	return b.String()
}

// printableJSON does the same for JSON, where this occurs in strings only.
func printableJSON(s string) string {
	if !hasUnprintable(s) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if unicode.IsPrint(r) {
			b.WriteRune(r)
			continue
		}
		for _, u := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&b, `\u%04x`, u)
		}
	}
	return b.String()
}

func hasUnprintable(s string) bool {
	if !utf8.ValidString(s) {
		return true
	}
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return true
		}
	}
	return false
}
