package mapping

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// CT-10: what XML 1.0 forbids becomes U+FFFD, one for one; the rest stays.
func TestXMLText(t *testing.T) {
	for in, want := range map[string]string{
		"":                          "",
		"plain\ttext\r\n":           "plain\ttext\r\n",
		"a\x00b\x0cc\tD":            "a\uFFFDb\uFFFDc\tD", // M-025
		"\x7f\u0085\u2028":          "\x7f\u0085\u2028",   // odd, but legal
		"\uFFFE\uFFFF\uFFFD":        "\uFFFD\uFFFD\uFFFD",
		"\xff\xc3":                  "\uFFFD\uFFFD",
		"\xed\xa0\x80":              "\uFFFD\uFFFD\uFFFD", // a surrogate
		"Pročež 🎭 \U0010FFFF\x1b[m": "Pročež 🎭 \U0010FFFF\uFFFD[m",
	} {
		if got := XMLText(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// IM-03, SEC-21, M-030.
func TestHeaderText(t *testing.T) {
	for in, want := range map[string]string{
		"":                                 "",
		" \r\n\t ":                         "",
		"hi\nRoute: <sip:evil.example>":    "hi Route: <sip:evil.example>",
		"  two  spaces  stay  ":            "two  spaces  stay",
		"a \r\n\t b":                       "a b",
		"a\x00\x1f\x7f\u0085\u2028\u2029b": "a b",
		"\x01 a":                           "a",
		"Prosím":                           "Prosím",
		"a\xffb":                           "a\uFFFDb",
	} {
		if got := HeaderText(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	// No length and no character makes it slow.
	long := strings.Repeat("\uFFFD", 1<<20)
	if HeaderText(long) != long {
		t.Error("U+FFFD does not stay")
	}
}

// ERR-08, RFC 3261 §25.1.
func TestReasonText(t *testing.T) {
	for in, want := range map[string]string{
		"Not Found":                     "Not Found",
		"a;b/c?d:e@f&g=h+i$j,k-l_m.n":   "a;b/c?d:e@f&g=h+i$j,k-l_m.n",
		"!~*'()":                        "!~*'()",
		"\"<>#%[]{}\\^|`\r\n\t":         "",
		"100% \"sure\"":                 "100 sure",
		"Nicht verfügbar":               "Nicht verfügbar",
		strings.Repeat("ü", 100):        strings.Repeat("ü", 64),
		strings.Repeat("x", 127) + "ü":  strings.Repeat("x", 127),
		strings.Repeat("x", 127) + " y": strings.Repeat("x", 127),
		strings.Repeat("x", 128):        strings.Repeat("x", 128),
	} {
		if got := ReasonText(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// IM-05, IM-14.
func TestLanguageTag(t *testing.T) {
	for in, want := range map[string]string{
		"cs": "cs", "de-CH-1996": "de-CH-1996", "zh-Hant-TW": "zh-Hant-TW", "i-klingon": "i-klingon", "x-a-1": "x-a-1",
		" cs ": "cs", "cs, en": "cs", "\ten,de": "en",
		"": "", ",en": "", "-": "", "en-": "", "-en": "", "en--us": "", "en_US": "", "123": "", "1en": "",
		"abcdefghi": "", "en-abcdefghi": "", "č": "", "en\r\nX: y": "", "en;q=1": "",
		"a" + strings.Repeat("-abcdefgh", 8): "",
	} {
		if got := LanguageTag(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// IM-04, IM-06: RFC 3261 §25.1 callid.
func TestValidCallID(t *testing.T) {
	for in, want := range map[string]bool{
		"29377446-0CBB-4296-8958-590D79094C50": true,
		"a@b":                                  true,
		"-.!%*_+`'~()<>:\\\"/[]?{}":            true,
		strings.Repeat("x", 255):               true,
		strings.Repeat("x", 256):               false,
		"":                                     false,
		"@":                                    false,
		"a@":                                   false,
		"@b":                                   false,
		"a@b@c":                                false,
		"my thread; é":                         false,
		"a b":                                  false,
		"a,b":                                  false,
		"a;b":                                  false,
		"a=b":                                  false,
		"a&b":                                  false,
		"a\r\nVia: x":                          false,
		"a\x00":                                false,
	} {
		if got := ValidCallID(in); got != want {
			t.Errorf("%q: %v, want %v", in, got, want)
		}
	}
}

// im.md §1 [P]: one body of several.
func TestChoose(t *testing.T) {
	en, de, none, empty := Text{"en", "hello"}, Text{"DE", "hallo"}, Text{"", "x"}, Text{"de", ""}
	for _, c := range []struct {
		texts        []Text
		lang, around string
		want         Text
		ok           bool
	}{
		{nil, "", "", Text{}, false},
		{[]Text{empty}, "de", "de", Text{}, false},
		{[]Text{en, de}, "de", "de", de, true},
		{[]Text{en, empty, de}, "de", "de", de, true},
		{[]Text{en, de}, "fr", "fr", en, true},
		{[]Text{en, none}, "cs", "cs", Text{"cs", "x"}, true},
		{[]Text{en, none}, "", "", none, true},
		{[]Text{en, none}, "en", "cs", en, true},
	} {
		if got, ok := choose(c.texts, c.lang, c.around); got != c.want || ok != c.ok {
			t.Errorf("%v, %q in %q: %v %v, want %v", c.texts, c.lang, c.around, got, ok, c.want)
		}
	}
}

// CT-02: line ends.
func TestLineEnds(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "a": "a", "a\nb": "a\r\nb", "a\r\nb": "a\r\nb", "a\rb": "a\r\nb", "\n\r\n\r": "\r\n\r\n\r\n", "\r\r\n\n": "\r\n\r\n\r\n",
	} {
		if got := string(toCRLF(in)); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringOf(rapid.SampledFrom([]rune("ab\r\n\r\né"))).Draw(t, "s")
		wire := toCRLF(s)
		if again := toCRLF(string(wire)); string(again) != string(wire) {
			t.Fatalf("%q: %q, again %q", s, wire, again)
		}
		if bare := strings.ReplaceAll(string(wire), "\r\n", ""); strings.ContainsAny(bare, "\r\n") {
			t.Fatalf("%q: a lone CR or LF in %q", s, wire)
		}
		back := fromCRLF(wire)
		if strings.Contains(back, "\r") || back != fromCRLF([]byte(s)) {
			t.Fatalf("%q: came back as %q", s, back)
		}
	})
}

// The same properties hold for rapid's strings and for whatever the fuzzer finds.
func TestTextProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(
			rapid.String(),
			rapid.StringOf(rapid.SampledFrom([]rune(" \t\r\n\x00\x7f\u0085\u2028\uFFFD\uFFFE\"<>%aé🎭"))),
			rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }),
		).Draw(t, "s")
		checkXMLText(t, s)
		checkHeaderText(t, s)
		checkReasonText(t, s)
		checkSentence(t, s)
	})
}

func FuzzXMLText(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, s string) { checkXMLText(t, s) })
}

func FuzzHeaderText(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, s string) { checkHeaderText(t, s); checkSentence(t, s) })
}

func FuzzReason(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, s string) { checkReasonText(t, s) })
}

func seeds(f *testing.F) {
	for _, s := range []string{
		"", "plain", " a \r\n b ", "hi\nRoute: <sip:evil.example>", "a\x00b\x0cc", "\xff\xfe", "\xed\xa0\x80", "\uFFFE\uFFFF",
		"Pročež 🎭", strings.Repeat("ü", 120), "100% \"sure\" [x]", "\u0085\u2028\u2029",
	} {
		f.Add(s)
	}
}

type fataler interface{ Fatalf(string, ...any) }

func checkXMLText(t fataler, s string) {
	got := XMLText(s)
	if illegalXML(got) >= 0 || !utf8.ValidString(got) {
		t.Fatalf("%q: %q is not for XML", s, got)
	}
	if XMLText(got) != got {
		t.Fatalf("%q: %q changes again", s, got)
	}
	if utf8.RuneCountInString(got) != utf8.RuneCountInString(s) {
		t.Fatalf("%q: characters lost in %q", s, got)
	}
	if utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !legalXML(r) }) && got != s {
		t.Fatalf("%q: was legal, became %q", s, got)
	}
}

func checkHeaderText(t fataler, s string) {
	got := HeaderText(s)
	noLineBreak(t, s, got)
	if HeaderText(got) != got {
		t.Fatalf("%q: %q changes again", s, got)
	}
	word := func(r rune) bool { return r != ' ' && !breaksLine(r) }
	if keep(got, word) != keep(strings.ToValidUTF8(s, ""), word) && utf8.ValidString(s) {
		t.Fatalf("%q: more than space lost in %q", s, got)
	}
}

func checkReasonText(t fataler, s string) {
	got := ReasonText(s)
	noLineBreak(t, s, got)
	if ReasonText(got) != got || len(got) > 128 {
		t.Fatalf("%q: %q, %d bytes, again %q", s, got, len(got), ReasonText(got))
	}
	for _, r := range got { // the grammar once more, in other words than the code's
		if r < 0x80 && strings.ContainsRune("\"<>#%[]{}\\^|`", r) {
			t.Fatalf("%q: %q in %q", s, r, got)
		}
	}
}

func checkSentence(t fataler, s string) {
	got := sentence(s)
	noLineBreak(t, s, got)
	if sentence(got) != got || len(got) > 200 || illegalXML(got) >= 0 {
		t.Fatalf("%q: %q, %d bytes", s, got, len(got))
	}
}

func noLineBreak(t fataler, s, got string) {
	if !utf8.ValidString(got) || got != strings.Trim(got, " ") {
		t.Fatalf("%q: %q", s, got)
	}
	for _, r := range got {
		if r < 0x20 || r == 0x7F || 0x80 <= r && r < 0xA0 || r == 0x2028 || r == 0x2029 {
			t.Fatalf("%q: %q gets out in %q (SEC-21)", s, r, got)
		}
	}
}

func keep(s string, f func(rune) bool) string {
	return strings.Map(func(r rune) rune {
		if f(r) {
			return r
		}
		return -1
	}, s)
}
