package component

import (
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/stoxgw/stox/mapping"
)

const (
	nsReactions = "urn:xmpp:reactions:0" // XEP-0444
	nsFallback  = "urn:xmpp:fallback:0"  // XEP-0428
)

// withoutReaction returns the bodies but for those that only stand in for a reaction, a
// smiley below an earlier message, which SIP has no form for. A body that says something
// of its own stays as it is.
func withoutReaction(st *element, bodies []mapping.Text) []mapping.Text {
	if !st.has(nsReactions, "reactions") {
		return bodies
	}
	return slices.DeleteFunc(bodies, func(t mapping.Text) bool {
		of := measure(t.Value)
		for _, c := range st.children {
			if c.name.Space == nsFallback && c.name.Local == "fallback" && isFallback(c, of) {
				return true
			}
		}
		return false
	})
}

// isFallback reports whether a fallback mark says of all of a body that it stands in for
// reactions. A mark without "for", as in older versions of XEP-0428, is for whatever
// there is.
func isFallback(mark *element, of span) bool {
	if what := mark.attr("for"); what != "" && what != nsReactions {
		return false
	}
	if len(mark.children) == 0 {
		return true
	}
	for _, c := range mark.children {
		if c.name.Space != nsFallback || c.name.Local != "body" {
			continue
		}
		start := position(c.attr("start"), 0, of.chars)
		end := position(c.attr("end"), of.chars, of.chars)
		if start <= end && start <= of.first && end >= of.last {
			return true
		}
	}
	return false
}

// span is how many characters a body has, and where what it says begins and ends: outside
// of first to last there is only white space. It is measured once, however many marks
// there are.
type span struct{ chars, first, last int }

func measure(body string) span {
	chars := utf8.RuneCountInString(body)
	said := strings.TrimLeftFunc(body, unicode.IsSpace)
	if said == "" {
		return span{chars: chars, first: chars}
	}
	first := chars - utf8.RuneCountInString(said)
	return span{chars, first, first + utf8.RuneCountInString(strings.TrimRightFunc(said, unicode.IsSpace))}
}

// position reads the place of a character: fallback if none is given, or limit if there
// are fewer characters. What is no number marks nothing.
func position(s string, fallback, limit int) int {
	if s == "" {
		return fallback
	}
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil {
		return fallback
	}
	return min(int(n), limit)
}
