package component

import (
	"slices"
	"strconv"
	"strings"

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
		for _, c := range st.children {
			if c.name.Space == nsFallback && c.name.Local == "fallback" && isFallback(c, t.Value) {
				return true
			}
		}
		return false
	})
}

// isFallback reports whether a fallback mark says of all of a body that it stands in for
// reactions. A mark without "for", as in older versions of XEP-0428, is for whatever
// there is.
func isFallback(mark *element, body string) bool {
	if of := mark.attr("for"); of != "" && of != nsReactions {
		return false
	}
	if len(mark.children) == 0 {
		return true
	}
	chars := []rune(body)
	for _, c := range mark.children {
		if c.name.Space != nsFallback || c.name.Local != "body" {
			continue
		}
		start := position(c.attr("start"), 0, len(chars))
		end := position(c.attr("end"), len(chars), len(chars))
		if start <= end && strings.TrimSpace(string(chars[:start])+string(chars[end:])) == "" {
			return true
		}
	}
	return false
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
