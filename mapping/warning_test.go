package mapping

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// RFC 3261 §20.43: the text of an answer has that of its warnings.
func TestWarnings(t *testing.T) {
	long := strings.Repeat("ä", 150)
	for _, c := range []struct {
		reason string
		values []string
		want   string
	}{
		{"Not Acceptable", nil, "606 Not Acceptable"},
		{"Not Acceptable", []string{`370 devnull "Insufficient bandwidth (only have ISDN)"`}, "606 Not Acceptable (Insufficient bandwidth (only have ISDN))"},
		{"Not Acceptable", []string{`307 isi.edu:5060 "Session parameter 'foo' not understood", 301 [::1]:5060 "Incompatible network address type 'E.164'"`},
			"606 Not Acceptable (Session parameter 'foo' not understood; Incompatible network address type 'E.164')"},
		{"No", []string{`399 a "one"`, `399 b "two", 399 c "three"`}, "606 No (one; two)"},
		{"No", []string{`399 a "one"`, `399 b "one"`, `399 b "two"`}, "606 No (one; two)"},
		{"No, one", []string{`399 a "one"`}, "606 No, one"},
		{"No", []string{`399 a "x, \"y\" \\", 399 b "z"`}, `606 No (x, "y" \; z)`},
		{"No", []string{" 399 \t a  \t\"x\"\t"}, "606 No (x)"},
		{"No", []string{`399 a "x` + "\r\n\x00\x7f\u2028\xff" + `y"`}, "606 No (x y)"},
		{"No", []string{`392 192.0.2.1:5060 "Noisy feedback tells: pid=7 in_uri=sip:u@10.0.0.1"`}, "606 No"},
		// malformed: passed over, and the good ones count
		{"No", []string{`39 a "x", 3999 a "x", 39a a "x", a "x", 399 "x", 399 a x, 399 a "x" y, 399 a"b "x", "x", , 399 a "", 399 a " "`, `399 a "good"`}, "606 No (good)"},
		{"No", []string{`399 a "never closed, 399 b "x"`, `399 a "closed\"`, `399 a "`, `399 a "\`, "", ",", `"`}, "606 No"},
		// whole characters, at most 200 bytes, and the bracket is closed
		{"No", []string{`399 a "` + long + `"`}, "606 No (" + strings.Repeat("ä", 95) + ")"},
		{long[:120], []string{`399 a "something"`}, "606 " + long[:120] + " (something)"},
		{strings.Repeat("x", 185), []string{`399 a "something"`}, "606 " + strings.Repeat("x", 185)},
		{long, []string{`399 a "something"`}, "606 " + long[:196]},
	} {
		if got := FailureFromStatus(606, c.reason, 0, nil, c.values...).Text; got != c.want || len(got) > maxSentence {
			t.Errorf("%q, %q:\n got %q\nwant %q", c.reason, c.values, got, c.want)
		}
	}
	if f := FailureFromStatus(488, "No", 0, nil, `399 a "x"`); f.Warning != "" || f.Reason != "No" {
		t.Errorf("our own answer would have the peer's warning: %+v", f)
	}
}

// FuzzWarning: whatever a header has, the text is one line for a stanza, begins with status and
// reason, and keeps to its length.
func FuzzWarning(f *testing.F) {
	for _, s := range []string{`370 devnull "Choose a bigger pipe"`, `399 a "x, \"y\" \\", 399 b:5060 "z"`, `399 a "`, `399 a "\`, `,,"`, "399\ta \"\xff\u2028\"", `392 a "x", 399 [::1] "y"`} {
		f.Add(s, `399 b "more"`)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		got := FailureFromStatus(404, "", 0, nil, a, b).Text
		rest, ok := strings.CutPrefix(got, "404 Not Found")
		if !ok || rest != "" && (!strings.HasPrefix(rest, " (") || !strings.HasSuffix(rest, ")")) {
			t.Errorf("%q, %q: %q", a, b, got)
		}
		if got != sentence(got) || !utf8.ValidString(got) {
			t.Errorf("%q, %q: not a sentence: %q", a, b, got)
		}
		if !strings.Contains(a, `"`) && !strings.Contains(b, `"`) && rest != "" {
			t.Errorf("%q, %q: %q out of nothing", a, b, got)
		}
	})
}
