package mapping

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// RFC 3676 §4.
func TestUnflow(t *testing.T) {
	for _, c := range []struct {
		in, want, del string // del is with DelSp=yes
	}{
		{"", "", ""},
		{"a\nb\n", "a\nb\n", "a\nb\n"},
		{"a \nb\nc", "a b\nc", "ab\nc"},
		{"a  \nb", "a  b", "a b"},
		{"one \n\ntwo", "one \n\ntwo", "one\n\ntwo"},
		{" a\n  b\n >c", "a\n b\n>c", "a\n b\n>c"}, // space-stuffing
		{" From \nRomeo", "From Romeo", "FromRomeo"},
		{">a \n>b\nc", "> a b\nc", "> ab\nc"},
		{"> a \n>> b\n>> c", "> a \n>> b\n>> c", "> a\n>> b\n>> c"}, // the depth changes
		{"a \n> b", "a \n> b", "a\n> b"},
		{"a \n-- \nRomeo", "a \n-- \nRomeo", "a\n-- \nRomeo"},
		{">\n>", ">\n>", ">\n>"},
		{"長い \n文", "長い 文", "長い文"},
		{" ", "", ""},
		{"a ", "a ", "a"},
	} {
		if got := unflow(c.in, false); got != c.want {
			t.Errorf("%q: %q, want %q", c.in, got, c.want)
		}
		if got := unflow(c.in, true); got != c.del {
			t.Errorf("%q, DelSp: %q, want %q", c.in, got, c.del)
		}
	}
	wantBody(t, "text/plain; format=Flowed; DelSp=YES", "", "", "a \r\nb", "ab", 0)
	wantBody(t, "text/plain; format=fixed", "", "", "a \r\nb", "a \nb", 0)
}

// No word is lost or made, and it grows no more than by the space behind the mark of a quote.
func TestUnflowKeepsTheWords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringOf(rapid.SampledFrom([]rune("ab >-é\n \n"))).Draw(t, "s")
		for _, del := range []bool{false, true} {
			got := unflow(s, del)
			if a, b := strings.Count(s, "\n"), strings.Count(got, "\n"); b > a || len(got) > len(s)+a+1 {
				t.Fatalf("%q: %q", s, got)
			}
			letters := func(r rune) bool { return r == 'a' || r == 'b' || r == '-' || r == 'é' }
			if keep(s, letters) != keep(got, letters) {
				t.Fatalf("%q: %q", s, got)
			}
		}
	})
}
