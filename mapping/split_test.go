package mapping

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestSplit(t *testing.T) {
	const family = "👩\u200d👩\u200d👧\u200d👦" // 25 bytes
	rep := strings.Repeat
	for _, c := range []struct {
		name, text string
		room       int
		want       []string // nil: it cannot be
	}{
		{"it fits", "Art thou not Romeo?", 19, []string{"Art thou not Romeo?"}},
		{"nothing", "", 0, []string{""}},
		{"words", "Neither, fair saint, if either thee dislike.", 30, []string{"(1/2) Neither, fair saint, if ", "(2/2) either thee dislike."}},
		{"the last word goes on", "Neither, my fair saint, if either thee dislike.", 30, []string{"(1/2) Neither, my fair saint, ", "(2/2) if either thee dislike."}},
		{"a word fills the part", rep("x", 24) + " and more", 30, []string{"(1/2) " + rep("x", 24), "(2/2)  and more"}},
		{"no spaces", rep("y", 50), 30, []string{"(1/3) " + rep("y", 24), "(2/3) " + rep("y", 24), "(3/3) yy"}},
		{"a word for which any part is too short", "Look: " + rep("y", 40), 30, []string{"(1/2) Look: " + rep("y", 18), "(2/2) " + rep("y", 22)}},
		{"the same, near the end", "Look at this page: " + rep("y", 40), 30, []string{"(1/3) Look at this page: ", "(2/3) " + rep("y", 24), "(3/3) " + rep("y", 16)}},
		{"a word for which one part is long enough", "Look: " + rep("y", 24) + "! Yes.", 31, []string{"(1/3) Look: ", "(2/3) " + rep("y", 24) + "!", "(3/3)  Yes."}},
		{"line ends", "Neither, fair saint,,,\r\nif either thee dislike.", 30, []string{"(1/2) Neither, fair saint,,,\r\n", "(2/2) if either thee dislike."}},
		{"not within CRLF", rep("x", 21) + "\r\n\r\nx and more", 30, []string{"(1/2) " + rep("x", 21) + "\r\n", "(2/2) \r\nx and more"}},
		{"not at a space that holds", "a b c d " + rep("0", 8) + "\u00a0" + rep("1", 8), 24, []string{"(1/2) a b c d ", "(2/2) " + rep("0", 8) + "\u00a0" + rep("1", 8)}},
		{"not within a code point", rep("ü", 16), 27, []string{"(1/2) " + rep("ü", 10), "(2/2) " + rep("ü", 6)}},
		{"not between a letter and its accent", rep("e\u0301", 12), 29, []string{"(1/2) " + rep("e\u0301", 7), "(2/2) " + rep("e\u0301", 5)}},
		{"not within a family", family + family, 49, []string{"(1/2) " + family, "(2/2) " + family}},
		{"not within a flag", rep("🇩🇪", 5), 36, []string{"(1/2) " + rep("🇩🇪", 3), "(2/2) " + rep("🇩🇪", 2)}},
		{"nor after a letter", "x" + rep("🇩🇪", 5), 39, []string{"(1/2) x" + rep("🇩🇪", 4), "(2/2) 🇩🇪"}},
		{"not between a hand and its colour", rep("👍🏽", 5), 34, []string{"(1/2) " + rep("👍🏽", 3), "(2/2) " + rep("👍🏽", 2)}},
		{"not within a keycap", rep("1\ufe0f\u20e3", 5), 32, []string{"(1/2) " + rep("1\ufe0f\u20e3", 3), "(2/2) " + rep("1\ufe0f\u20e3", 2)}},
		{"not within a syllable of Devanagari", rep("स्ते", 3), 34, []string{"(1/2) " + rep("स्ते", 2), "(2/2) स्ते"}},
		{"not within one of Hangul", rep("\u1112\u1161\u11ab", 5), 38, []string{"(1/2) " + rep("\u1112\u1161\u11ab", 3), "(2/2) " + rep("\u1112\u1161\u11ab", 2)}},
		{"a character longer than a part", "e" + rep("\u0301", 20), 29, []string{"(1/2) e" + rep("\u0301", 11), "(2/2) " + rep("\u0301", 9)}},
		{"a space with an accent", " \u0301" + rep("y", 40), 30, []string{"(1/2)  \u0301" + rep("y", 21), "(2/2) " + rep("y", 19)}},
		{"bytes that are no text", rep("\x80", 40), 30, []string{"(1/2) " + rep("\x80", 24), "(2/2) " + rep("\x80", 16)}},
		{"it looks like a part", "(1/2) Neither, fair saint,", 24, []string{"(1/2) (1/2) Neither, ", "(2/2) fair saint,"}},
		{"nine parts", rep("y", 9*24), 30, marked(30, 9*24)},
		{"ten parts", rep("y", 9*24+1), 30, marked(30, 9*24+1)},
		{"99 parts", rep("y", 9*1293+90*1292), 1300, marked(1300, 9*1293+90*1292)},
		{"100 parts", rep("y", 9*1293+90*1292+1), 1300, nil},
		{"the least room", rep("y", 30), 22, marked(22, 30)},
		{"too little room", rep("y", 30), 21, nil},
		{"no room at all", "y", -1, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, ok := Split(c.text, c.room, 0)
			if !slices.Equal(got, c.want) || ok != (c.want != nil) {
				t.Errorf("%q, %v\nwant %q", got, ok, c.want)
			}
			checkParts(t, c.text, c.room, 0, got)
		})
	}
}

// IM-62: so many characters are the most that a part may have, its mark included,
// however many bytes they are. What a reader takes for one character may be several.
func TestSplitCharacters(t *testing.T) {
	rep := strings.Repeat
	for _, c := range []struct {
		name, text  string
		room, chars int
		want        []string // nil: it cannot be
	}{
		{"it fits", rep("y", 160), 1300, 160, []string{rep("y", 160)}},
		{"it fits, in many bytes", rep("漢", 160), 1300, 160, []string{rep("漢", 160)}},
		{"one more", rep("y", 161), 1300, 160, []string{"(1/2) " + rep("y", 154), "(2/2) " + rep("y", 7)}},
		{"one more, in many bytes", rep("漢", 161), 1300, 160, []string{"(1/2) " + rep("漢", 154), "(2/2) " + rep("漢", 7)}},
		{"the bytes are fewer", rep("漢", 50), 60, 160, []string{"(1/3) " + rep("漢", 18), "(2/3) " + rep("漢", 18), "(3/3) " + rep("漢", 14)}},
		{"words", "Neither, fair saint, if either thee dislike.", 1300, 30, []string{"(1/2) Neither, fair saint, if ", "(2/2) either thee dislike."}},
		{"a word of many bytes that one part can hold", rep("y", 10) + " " + rep("漢", 24), 1300, 30, []string{"(1/2) " + rep("y", 10) + " ", "(2/2) " + rep("漢", 24)}},
		{"a word of few bytes that no part can hold", rep("漢", 4) + " " + rep("y", 30), 1300, 30, []string{"(1/2) " + rep("漢", 4) + " " + rep("y", 19), "(2/2) " + rep("y", 11)}},
		{"not between a letter and its accent", rep("e\u0301", 24), 1300, 31, []string{"(1/2) " + rep("e\u0301", 12), "(2/2) " + rep("e\u0301", 12)}},
		{"not within CRLF", rep("x", 23) + "\r\n" + rep("x", 20), 1300, 30, []string{"(1/2) " + rep("x", 23), "(2/2) \r\n" + rep("x", 20)}},
		{"nine parts", rep("y", 9*154), 1300, 160, marked(160, 9*154)},
		{"ten parts", rep("y", 9*154+1), 1300, 160, marked(160, 9*154+1)},
		{"99 parts", rep("y", 9*153+90*152), 1300, 160, marked(160, 9*153+90*152)},
		{"100 parts", rep("y", 9*153+90*152+1), 1300, 160, nil},
		{"too few characters", rep("y", 30), 1300, 21, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, ok := Split(c.text, c.room, c.chars)
			if !slices.Equal(got, c.want) || ok != (c.want != nil) {
				t.Errorf("%q, %v\nwant %q", got, ok, c.want)
			}
			checkParts(t, c.text, c.room, c.chars, got)
		})
	}
}

// marked are the parts of n times y, made from the number of them.
func marked(room, n int) (parts []string) {
	count := (n + room - 7) / (room - 6)
	if count > 9 {
		rest := n - 9*(room-7)
		count = 9 + (rest+room-9)/(room-8)
	}
	for i := 1; n > 0; i++ {
		mark := "(" + strconv.Itoa(i) + "/" + strconv.Itoa(count) + ") "
		k := min(n, room-len(mark))
		parts, n = append(parts, mark+strings.Repeat("y", k)), n-k
	}
	return parts
}

// checkParts is what holds for every text that was split.
func checkParts(t fataler, text string, room, chars int, parts []string) {
	if len(parts) == 0 {
		return
	}
	if chars == 0 {
		chars = math.MaxInt
	}
	if len(parts) == 1 {
		if parts[0] != text || len(text) > max(room, 0) || utf8.RuneCountInString(text) > chars {
			t.Fatalf("%q in %d: one part, %q", text, room, parts)
		}
		return
	}
	var joined strings.Builder
	for i, p := range parts {
		rest, ok := strings.CutPrefix(p, "("+strconv.Itoa(i+1)+"/"+strconv.Itoa(len(parts))+") ")
		if !ok || rest == "" || len(p) > room || utf8.RuneCountInString(p) > chars || len(parts) > maxSplit {
			t.Fatalf("%q in %d: part %d is %q", text, room, i, p)
		}
		joined.WriteString(rest)
		at := joined.Len()
		if at == len(text) {
			continue
		}
		if utf8.ValidString(text) && !utf8.RuneStart(text[at]) || text[at-1:at+1] == "\r\n" {
			t.Fatalf("%q in %d: cut within a character, after %q", text, room, p)
		}
		// A word that every part could hold is whole.
		before := text[:at][strings.LastIndexAny(text[:at], " \r\n")+1:]
		after, _, _ := strings.Cut(text[at:], " ")
		after, _, _ = strings.Cut(after, "\r")
		if plainText(text) && before != "" && after != "" && len(before)+len(after) <= room-8 && utf8.RuneCountInString(before+after) <= chars-8 {
			t.Fatalf("%q in %d: a word is cut, %q from %q", text, room, before, after)
		}
	}
	if joined.String() != text {
		t.Fatalf("%q in %d came back as %q", text, room, joined.String())
	}
}

// plainText reports whether all characters are one code point, and all spaces ASCII.
func plainText(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return r >= utf8.RuneSelf && !unicode.Is(unicode.Latin, r) || r < ' ' && r != '\r' && r != '\n'
	}) && !strings.Contains(strings.ReplaceAll(s, "\r\n", ""), "\r") && !strings.Contains(strings.ReplaceAll(s, "\r\n", ""), "\n")
}

var splitPieces = []string{"a", "thou", "Montague", "saint,", " ", "  ", "\r\n", "\r\n\r\n", "é", "e\u0301", "\u0301\u0301\u0301", "👩\u200d👩\u200d👧", "🇩🇪", "🇩", "👍🏽",
	"1\ufe0f\u20e3", "स्ते", "각", "\u1112\u1161", "漢字", "\u3000", "\u00a0", "\u200d", "(1/2) ", "https://example.net/a/long/path?with=a&query=of%20many#words", "\xff", "\r", "\n", "\t"}

// IM-62: the parts fit, are marked, and make up the text.
func TestSplitProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(
			rapid.StringN(0, 400, -1),
			pieces(splitPieces, 0, 120),
			pieces([]string{"thou", "art", "a", "Montague", " ", " ", "\r\n", "fürwahr", strings.Repeat("y", 30)}, 0, 120),
		).Draw(t, "text")
		room := rapid.IntRange(-1, 120).Draw(t, "room")
		chars := rapid.OneOf(rapid.Just(0), rapid.IntRange(1, 60)).Draw(t, "chars")
		parts, ok := Split(text, room, chars)
		checkParts(t, text, room, chars, parts)
		// Half of every part may stay empty, and a mark has 8 bytes.
		least := room
		if chars > 0 {
			least = min(room, chars)
		}
		if worst := (least - 8) / 2; ok != (len(parts) > 0) || !ok && least >= 8+2*minPartText && len(text) < 9*worst {
			t.Fatalf("%q in %d bytes, %d characters: %v, %q", text, room, chars, ok, parts)
		}
		// A text that is normal stays so: no accent has gone astray.
		if plainText(text) && len(parts) > 1 {
			return
		}
		for _, p := range parts[min(1, len(parts)):] {
			_, rest, _ := strings.Cut(p, " ")
			if r, n := utf8.DecodeRuneInString(rest); extends(r) && len(strings.TrimLeftFunc(rest[n:], extends))+least-8 < len(rest) {
				t.Fatalf("%q in %d: %q begins within a character", text, room, p)
			}
		}
	})
}

func FuzzSplit(f *testing.F) {
	f.Add("Neither, fair saint, if either thee dislike.", 30, 0)
	f.Add(strings.Join(splitPieces, " "), 40, 0)
	f.Add(strings.Join(splitPieces, ""), 24, 0)
	f.Add(strings.Join(splitPieces, " "), 400, 30)
	f.Add(strings.Repeat("🇩", 99), 33, 160)
	f.Add("\u0301"+strings.Repeat("\u0301", 99), 25, 25)
	f.Fuzz(func(t *testing.T, text string, room, chars int) {
		chars = max(chars, 0)
		parts, _ := Split(text, room, chars)
		checkParts(t, text, room, chars, parts)
	})
}

// IM-62: the parts of a request.
func TestSplitMessage(t *testing.T) {
	date := time.Date(2026, 1, 15, 9, 0, 0, 0, time.UTC)
	whole := SIPMessage{
		RequestURI: MustParseURI("sip:romeo@example.net"), To: MustParseURI("sip:romeo@example.net"), From: MustParseURI("sip:juliet@example.com;gr=b"),
		CallID: "c", FromTag: "t", CSeq: 7, Subject: "Balcony", Subjects: []Text{{"en", "Balcony"}, {"de", "Balkon"}}, Lang: "en", Date: date,
		ContentType: plainUTF8, Body: []byte("Neither, fair saint,\r\nif either thee dislike."),
	}
	m := whole
	parts, ok := m.Split(30, 0)
	if !ok || len(parts) != 2 {
		t.Fatal(parts, ok)
	}
	for i, p := range parts {
		if p.RequestURI != m.RequestURI || p.To != m.To || p.From != m.From || p.CallID != "c" || p.FromTag != "" || p.CSeq != 0 || p.Lang != "en" || !p.Date.Equal(date) || p.ContentType != plainUTF8 {
			t.Errorf("part %d: %+v", i, p)
		}
	}
	if p := parts[0]; p.Subject != "Balcony" || len(p.Subjects) != 2 || string(p.Body) != "(1/2) Neither, fair saint,\r\n" {
		t.Errorf("%+v", p)
	}
	if p := parts[1]; p.Subject != "" || p.Subjects != nil || string(p.Body) != "(2/2) if either thee dislike." {
		t.Errorf("%+v", p)
	}
	if string(m.Body) != string(whole.Body) || m.Subject != whole.Subject || m.CSeq != 7 {
		t.Errorf("the message itself was changed: %+v", m)
	}
	if parts, ok := m.Split(46, 0); !ok || len(parts) != 1 || parts[0] != &m {
		t.Errorf("what fits: %v, %v", parts, ok)
	}
	if parts, ok := m.Split(10, 0); ok || parts != nil {
		t.Errorf("no room: %v, %v", parts, ok)
	}
	if parts, ok := m.Split(46, 30); !ok || len(parts) != 2 || string(parts[0].Body) != "(1/2) Neither, fair saint,\r\n" {
		t.Errorf("too many characters: %v, %v", parts, ok)
	}
	m.ContentType = "message/cpim"
	if parts, ok := m.Split(30, 0); ok || parts != nil {
		t.Errorf("no text: %v, %v", parts, ok)
	}
	// What the sender is told then, on either side (IM-31, IM-34).
	for _, limit := range []int{0, 1300} {
		f := FailTooLarge(limit)
		if f.Status != 413 || f.Condition != CondPolicyViolation || f.Type != TypeModify || f.Temporary() {
			t.Errorf("%+v", f)
		}
	}
}

func BenchmarkSplit(b *testing.B) {
	for name, text := range map[string]string{
		"words": strings.Repeat("Neither, fair saint, if either thee dislike. ", 100),
		"CJK":   strings.Repeat("漢字", 750),
		"flags": strings.Repeat("🇩🇪", 560),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				if _, ok := Split(text, 1000, 0); !ok {
					b.Fatal("no parts")
				}
			}
		})
	}
}
