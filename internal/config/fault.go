package config

import (
	"strings"
	"unicode/utf8"
)

// Fault is one thing that is wrong with the configuration.
type Fault struct {
	// Path names what has to be mended, never empty: a key ("sip.route[0].via"),
	// a variable of the environment ("STOX_XMPP_SERVER"), or the file itself, with
	// line and column if the text is not TOML.
	Path string
	Text string // what is wrong with it; never contains a secret
	Hint string // how to mend it; may be empty
}

// String is the fault as one line.
func (f Fault) String() string {
	s := f.Path + ": " + f.Text
	if f.Hint != "" {
		s += "; " + f.Hint
	}
	return s
}

// Error is what Load returns: every fault of a configuration.
type Error struct {
	File   string // "" when the faults do not come from a file
	Faults []Fault
}

// Error is one line for each fault.
func (e *Error) Error() string {
	var b strings.Builder
	for i, f := range e.Faults {
		if i > 0 {
			b.WriteByte('\n')
		}
		if e.File != "" && !strings.HasPrefix(f.Path, e.File) && !strings.HasPrefix(f.Path, envPrefix) {
			b.WriteString(e.File + ": ")
		}
		b.WriteString(f.String())
	}
	return b.String()
}

// ExitCode is the status the process ends with: 2, since starting again with
// the same configuration cannot help.
func (e *Error) ExitCode() int { return 2 }

// didYouMean is a hint for a name that is not in names, or "" if none is near.
// Near is: the same but for case and separators, or a few letters away.
func didYouMean(name string, names []string) string {
	if best := nearest(name, names); best != "" {
		return "did you mean " + best + "?"
	}
	return ""
}

// nearest is the one of names that is near, "" if none is.
func nearest(name string, names []string) string {
	best, bestDistance := "", 1+min(3, len(name)/3)
	folded := foldName(name)
	for _, n := range names {
		d := distance(folded, foldName(n), bestDistance)
		if d < bestDistance {
			best, bestDistance = n, d
		}
	}
	return best
}

// foldName removes what people get wrong without thinking: case, and how the
// words of a name are joined.
func foldName(s string) string {
	return strings.NewReplacer("-", "", "_", "", ".", "").Replace(strings.ToLower(s))
}

// distance is the number of letters to add, drop, change or swap to come from a
// to b, or limit if it is not below that.
func distance(a, b string, limit int) int {
	ra, rb := []rune(a), []rune(b)
	if d := len(ra) - len(rb); d >= limit || -d >= limit || utf8.RuneCountInString(a) > 100 {
		return limit
	}
	// Three rows of the usual table: two back for swaps, one back, and this one.
	back2, back1, row := make([]int, len(rb)+1), make([]int, len(rb)+1), make([]int, len(rb)+1)
	for j := range back1 {
		back1[j] = j
	}
	for i := 1; i <= len(ra); i++ {
		row[0] = i
		for j := 1; j <= len(rb); j++ {
			change := 1
			if ra[i-1] == rb[j-1] {
				change = 0
			}
			row[j] = min(back1[j]+1, row[j-1]+1, back1[j-1]+change)
			if i > 1 && j > 1 && ra[i-1] == rb[j-2] && ra[i-2] == rb[j-1] {
				row[j] = min(row[j], back2[j-2]+1)
			}
		}
		back2, back1, row = back1, row, back2
	}
	return min(back1[len(rb)], limit)
}
