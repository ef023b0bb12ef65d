package mapping

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// The limits of texts that go into a line of their own, in bytes of UTF-8.
const (
	maxReason   = 128 // Reason-Phrase
	maxSentence = 200 // text of a stanza error
	maxCallID   = 255
	maxLang     = 64
)

// XMLText returns s with every character that XML 1.0 forbids, and every byte
// that is not UTF-8, replaced by U+FFFD (CT-10): one such character ends a
// component's stream for everybody.
func XMLText(s string) string {
	i := illegalXML(s)
	if i < 0 {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 8)
	b.WriteString(s[:i])
	for _, r := range s[i:] { // a byte that is not UTF-8 comes as U+FFFD
		if !legalXML(r) {
			r = utf8.RuneError
		}
		b.WriteRune(r)
	}
	return b.String()
}

// legalXML reports whether r is a Char of XML 1.0 §2.2. Surrogates need no word
// here: Go decodes them as U+FFFD.
func legalXML(r rune) bool {
	switch {
	case r < 0x20:
		return r == '\t' || r == '\n' || r == '\r'
	case r == 0xFFFE || r == 0xFFFF:
		return false
	}
	return true
}

// HeaderText makes a text fit for the value of a SIP header, or for a subject
// (IM-03, SEC-21): each run of line breaks, tabs and other controls, with the
// spaces around it, becomes one space, and spaces at both ends go. Bytes that
// are not UTF-8 become U+FFFD. The length is left alone.
func HeaderText(s string) string {
	if isLine(s) {
		return s
	}
	return oneLine(s, breaksLine)
}

// lineXML is a text in one line (HeaderText) without what XML forbids.
func lineXML(s string) string {
	if n := printable(s); n == len(s) && (n == 0 || s[0] != ' ' && s[n-1] != ' ') {
		return s
	}
	return XMLText(HeaderText(s))
}

// ReasonText makes a text fit for a Reason-Phrase (RFC 3261 §25.1, ERR-08): like
// HeaderText, and each ASCII character that the grammar does not have becomes a
// space. At most 128 bytes are kept, whole characters only.
func ReasonText(s string) string { return cut(oneLine(s, notInReason), maxReason) }

// sentence makes a text fit for the <text/> of a stanza error: one line without
// anything that XML forbids, at most 200 bytes.
func sentence(s string) string {
	s = strings.ToValidUTF8(s, "")
	s = strings.Map(func(r rune) rune {
		if r == 0xFFFE || r == 0xFFFF {
			return -1
		}
		return r
	}, s)
	return cut(oneLine(s, breaksLine), maxSentence)
}

// oneLine replaces each run of characters for which breaks holds, together with
// the spaces around it, by one space and trims spaces from both ends.
func oneLine(s string, breaks func(rune) bool) string {
	if isOneLine(s, breaks) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	spaces, broken := 0, false // what is pending between two words
	for _, r := range s {
		switch {
		case r == ' ':
			spaces++
			continue
		case breaks(r):
			broken = true
			continue
		}
		if broken {
			spaces = 1
		}
		if b.Len() > 0 {
			for range spaces {
				b.WriteByte(' ')
			}
		}
		spaces, broken = 0, false
		b.WriteRune(r)
	}
	return b.String()
}

func isOneLine(s string, breaks func(rune) bool) bool {
	if s == "" {
		return true
	}
	if s[0] == ' ' || s[len(s)-1] == ' ' || !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if breaks(r) {
			return false
		}
	}
	return true
}

// breaksLine reports whether r ends a line somewhere, or is a control of any kind.
func breaksLine(r rune) bool {
	return r < 0x20 || r >= 0x7F && r <= 0x9F || r == 0x2028 || r == 0x2029
}

// notInReason reports whether r has no place in a Reason-Phrase. HTAB would have
// one; it is left out because a control is of no use there.
func notInReason(r rune) bool {
	switch {
	case breaksLine(r):
		return true
	case r >= utf8.RuneSelf, r == ' ', 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
		return false
	}
	return !strings.ContainsRune(";/?:@&=+$,-_.!~*'()", r)
}

// cut shortens s to at most n bytes, between two characters.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return strings.TrimRight(s[:n], " ")
}

// toCRLF turns every kind of line end into CRLF, that of the text media types
// (RFC 2046 §4.1.1, CT-02).
func toCRLF(s string) []byte {
	n := strings.Count(s, "\n")
	cr := strings.IndexByte(s, '\r') >= 0
	if n == 0 && !cr {
		return []byte(s)
	}
	b := make([]byte, 0, len(s)+n)
	if !cr {
		for ; n > 0; n-- {
			i := strings.IndexByte(s, '\n')
			b = append(append(b, s[:i]...), '\r', '\n')
			s = s[i+1:]
		}
		return append(b, s...)
	}
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\r':
			b = append(b, '\r', '\n')
			if i+1 < len(s) && s[i+1] == '\n' {
				i++
			}
		case '\n':
			b = append(b, '\r', '\n')
		default:
			b = append(b, s[i])
		}
	}
	return b
}

// fromCRLF turns every kind of line end into LF, as XML does (XML 1.0 §2.11).
func fromCRLF(b []byte) string {
	i := bytes.IndexByte(b, '\r')
	if i < 0 {
		return string(b)
	}
	var out strings.Builder
	out.Grow(len(b))
	for ; i >= 0; i = bytes.IndexByte(b, '\r') {
		out.Write(b[:i])
		out.WriteByte('\n')
		if b = b[i+1:]; len(b) > 0 && b[0] == '\n' {
			b = b[1:]
		}
	}
	out.Write(b)
	return out.String()
}

// LanguageTag returns s, the first tag of it if it is a list, without spaces
// around it, or "" if that does not have the shape of a BCP 47 tag: letters
// first, then groups of letters and digits, 1 to 8 each, joined by hyphens.
func LanguageTag(s string) string {
	if s == "" || isLanguage(s) { // nearly always
		return s
	}
	s, _, _ = strings.Cut(s, ",")
	if s = strings.Trim(s, " \t"); isLanguage(s) {
		return s
	}
	return ""
}

func isLanguage(s string) bool {
	if len(s) > maxLang {
		return false
	}
	group, first := 0, true
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9' && !first:
			if group++; group > 8 {
				return false
			}
		case c == '-' && group > 0:
			group, first = 0, false
		default:
			return false
		}
	}
	return group > 0
}

// ValidCallID reports whether s may stand as a Call-ID (RFC 3261 §25.1: a word,
// or two joined by "@") and is not longer than 255 octets.
func ValidCallID(s string) bool {
	if s == "" || len(s) > maxCallID {
		return false
	}
	left, right, at := strings.Cut(s, "@")
	return isWord(left) && (!at || isWord(right))
}

// RFC 3261 §25.1: word.
var wordChars = newCharset(alphanum + "-.!%*_+`'~()<>:\\\"/[]?{}")

func isWord(s string) bool { return s != "" && wordChars.all(s) }

// choose picks one text of several. It is the first that is in
// the language lang, else simply the first; empty ones do not count. around is
// the language of those that name none, that of the stanza. The result names
// its language.
func choose(texts []Text, lang, around string) (Text, bool) {
	var first Text
	found := false
	for _, t := range texts {
		if t.Value == "" {
			continue
		}
		if t.Lang == "" {
			t.Lang = around
		}
		if strings.EqualFold(t.Lang, lang) {
			return t, true
		}
		if !found {
			first, found = t, true
		}
	}
	return first, found
}
