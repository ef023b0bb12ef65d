package mapping

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// The looks at eight octets at a time see what a look at each character sees.
func checkScan(t fataler, s string) {
	n := 0
	for n < len(s) && ' ' <= s[n] && s[n] < 0x7f {
		n++
	}
	if got := printable(s); got != n {
		t.Fatalf("%q: %d octets are printable, want %d", s, got, n)
	}
	illegal := -1
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size == 1 || !legalXML(r) {
			illegal = i
			break
		}
		i += size
	}
	if got := illegalXML(s); got != illegal {
		t.Fatalf("%q: XML forbids what is at %d, want %d", s, got, illegal)
	}
	if got, want := isLine(s), isOneLine(s, breaksLine); got != want {
		t.Fatalf("%q: a line %v, want %v", s, got, want)
	}
	if got, want := HeaderText(s), oneLine(s, breaksLine); got != want {
		t.Fatalf("%q: %q, want %q", s, got, want)
	}
	if got, want := lineXML(s), XMLText(oneLine(s, breaksLine)); got != want {
		t.Fatalf("%q: %q, want %q", s, got, want)
	}
	if got, want := string(toCRLF(s)), allCRLF.Replace(s); got != want {
		t.Fatalf("%q: %q, want %q", s, got, want)
	}
	if got, want := fromCRLF([]byte(s)), allLF.Replace(s); got != want {
		t.Fatalf("%q: %q, want %q", s, got, want)
	}
	text, f := decodeUTF8([]byte(s))
	if want := XMLText(allLF.Replace(strings.TrimPrefix(s, "\ufeff"))); (f == nil) != utf8.ValidString(s) || f == nil && text != want {
		t.Fatalf("%q: %q, %v, want %q", s, text, f, want)
	}
}

var (
	allCRLF = strings.NewReplacer("\r\n", "\r\n", "\r", "\r\n", "\n", "\r\n")
	allLF   = strings.NewReplacer("\r\n", "\n", "\r", "\n")
)

func TestScan(t *testing.T) {
	// Each octet at each place of a word of eight, and of what is left over behind it.
	for at := range 20 {
		for c := range 256 {
			for _, around := range []string{"aaaaaaaaaaaaaaaaaaaa", "éééééééééé", "\x1f\xff~ \x7f\x80\x9f\xa0\xc2\xc2\xdf\xbf\xe2\x80\xa8\xe2\x80\xa9~~"} {
				b := []byte(around)
				b[at] = byte(c)
				checkScan(t, string(b))
				checkScan(t, string(b[:at+1]))
			}
		}
	}
	for r := rune(0); r < 0x11000; r++ {
		checkScan(t, "a"+string(r)+"b")
	}
	rapid.Check(t, func(t *rapid.T) {
		checkScan(t, rapid.OneOf(
			rapid.String(),
			rapid.StringOf(rapid.SampledFrom([]rune(" \t\r\n\x00\x1f\x7e\x7f\u0080\u009f\u00a0\u07ff\u0800\u2028\u2029\uFFFD\uFFFE\uFEFF\"<>%aaaaaaaaaaé🎭"))),
			rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }),
		).Draw(t, "s"))
	})
}

func FuzzScan(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, s string) { checkScan(t, s) })
}
