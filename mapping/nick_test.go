package mapping

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// M-006, XEP-0172.
func TestNick(t *testing.T) {
	romeo, phone := MustParseURI("sip:romeo@example.net"), MustParseURI("tel:+49301234567")
	for _, c := range []struct {
		name string
		from URI
		want string
	}{
		{"", romeo, ""},
		{"Romeo M.", romeo, "Romeo M."},
		{` "Romeo" `, romeo, ""}, // the user part, in other letters
		{`"Romeo M."`, romeo, "Romeo M."}, {"„Romeo M.“", romeo, "Romeo M."}, {"Romeo 'Mon' Tague", romeo, "Romeo 'Mon' Tague"},
		{"a\r\n b\x00", romeo, "a b"}, {"a\uffffb\xff", romeo, "a\ufffdb\ufffd"},
		{"ROMEO", romeo, ""}, {"romeo@example.net", romeo, ""}, {"Romeo@Example.NET", romeo, ""}, {"<sip:romeo@example.net>", romeo, ""}, {"sip:romeo", romeo, ""},
		{"romeo@example.org", romeo, "romeo@example.org"},
		{"+49301234567", phone, ""}, {"tel:+49301234567", phone, ""}, {"Balcony", phone, "Balcony"},
		{" \t\u00a0\u3000", romeo, ""}, {`""`, romeo, ""}, {"'' \"", romeo, ""}, {"\u200b\u200d", romeo, ""},
		{"🎭", romeo, "🎭"},
		{strings.Repeat("é", 100), romeo, strings.Repeat("é", 100)},
		{strings.Repeat("é", 101), romeo, strings.Repeat("é", 100)},
		{strings.Repeat("é", 99) + " é", romeo, strings.Repeat("é", 99)},
	} {
		if got := nick(c.name, &c.from); got != c.want {
			t.Errorf("%q: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestNickIsAName(t *testing.T) {
	from := MustParseURI("sip:romeo@example.net")
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(rapid.String(), rapid.StringMatching(`[a-zA-Z0-9 .'@:<>-]{1,12}`),
			rapid.SampledFrom([]string{"romeo", "Romeo@example.net", "sip:romeo", "tel:romeo", "im:ROMEO@EXAMPLE.NET", "romeo@example.org", strings.Repeat("a", 100), strings.Repeat("a", 101)}), rapid.StringOf(rapid.SampledFrom([]rune("a \"'\x00\r\n\ufffe\u200dé")))).Draw(t, "name")
		got := nick(s, &from)
		checkNick(t, got)
		if want := trimNick(XMLText(HeaderText(s)), &from); got != want {
			t.Fatalf("%q: %q, want %q", s, got, want)
		}
	})
}

func checkNick(t fataler, got string) {
	if got != "" && (got != strings.TrimSpace(got) || HeaderText(got) != got || illegalXML(got) >= 0 || utf8.RuneCountInString(got) > maxNick) {
		t.Fatalf("nick %q", got)
	}
}
