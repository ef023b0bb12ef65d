package mapping

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// charset is a set of ASCII characters. It is as long as there are octets, so that it can be
// asked about each of them without a comparison.
type charset [256]bool

func newCharset(chars string) *charset {
	var c charset
	for i := range len(chars) {
		c[chars[i]] = true
	}
	return &c
}

func (c *charset) has(b byte) bool { return c[b] }

// all reports whether s consists of characters of c.
func (c *charset) all(s string) bool {
	for i := range len(s) {
		if !c.has(s[i]) {
			return false
		}
	}
	return true
}

const (
	digits   = "0123456789"
	alphanum = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" + digits
	marks    = "-_.!~*'()" // RFC 3261 §25.1 mark
)

// What may stand raw, that is, without percent-encoding.
var (
	// RFC 3261 §25.1: unreserved and user-unreserved.
	userRaw = newCharset(alphanum + marks + "&=+$,;?/")
	// RFC 3261 §25.1: a password is read over and dropped.
	passwordRaw = newCharset(alphanum + marks + "&=+$,%")
	// RFC 3261 §25.1, RFC 3966 §3: paramchar.
	paramRaw = newCharset(alphanum + marks + "[]/:&+$")
	// RFC 3966 §3: a telephone-subscriber with its parameters.
	telRaw = newCharset(alphanum + marks + "[]/:&+$;=#")
	// What is written raw in im: and pres:, a mailbox of RFC 5322 inside a URI of
	// RFC 3986: only what is free of meaning in both. "." too, although RFC 7247
	// §6.5 lists it: to encode it changes nothing (RFC 3986 §6.2.2.2).
	mailboxRaw = newCharset(alphanum + "-_.~!$&'*+/=")
	// What is taken raw there: everything that RFC 7247 Table 1 leaves raw, and
	// what a SIP user may have.
	mailboxTaken = newCharset(alphanum + marks + "&=+$,;?/#^`{|}")
	// RFC 3261 §25.1: token, for the transport parameter.
	tokenRaw = newCharset(alphanum + "-.!%*_+`'~")
)

// appendPercent appends s with every octet outside raw percent-encoded. The hex
// digits are upper case (RFC 3986 §2.1, ADDR-07).
func appendPercent(b []byte, s string, raw *charset) []byte {
	const hex = "0123456789ABCDEF"
	if raw.all(s) { // nearly always
		return append(b, s...)
	}
	for i := range len(s) {
		if c := s[i]; raw.has(c) {
			b = append(b, c)
		} else {
			b = append(b, '%', hex[c>>4], hex[c&15])
		}
	}
	return b
}

// percentDecode undoes appendPercent, once (ADDR-04). Whatever is neither in raw
// nor a triplet of percent sign and two hex digits is an error of syntax; the
// result must be UTF-8 and free of control characters.
func percentDecode(s string, raw *charset) (string, Reason) {
	escapes := 0
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '%':
			if i+2 >= len(s) || unhex(s[i+1]) < 0 || unhex(s[i+2]) < 0 {
				return "", ReasonSyntax
			}
			escapes++
			i += 2
		case !raw.has(s[i]):
			return "", ReasonSyntax
		}
	}
	if escapes == 0 {
		return s, ""
	}
	var room [128]byte
	b := room[:0]
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b = append(b, s[i])
			continue
		}
		b = append(b, byte(unhex(s[i+1])<<4|unhex(s[i+2])))
		i += 2
	}
	t := string(b)
	switch {
	case !utf8.ValidString(t):
		return "", ReasonBadUTF8
	case hasControl(t):
		return "", ReasonUnmappable
	}
	return t, ""
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

func hasControl(s string) bool { return strings.ContainsFunc(s, unicode.IsControl) }

// escapes are the characters for which xepEscapes may have something else.
var escapes = newCharset(" \"&'/:<>@\\")

// xepEscape is the XEP-0106 escape of c without its backslash, "" if c has none.
// The backslash itself is escaped only where it would begin an escape.
func xepEscape(c byte) string {
	switch c {
	case ' ':
		return "20"
	case '"':
		return "22"
	case '&':
		return "26"
	case '\'':
		return "27"
	case '/':
		return "2f"
	case ':':
		return "3a"
	case '<':
		return "3c"
	case '>':
		return "3e"
	case '@':
		return "40"
	}
	return ""
}

// xepChar is the character that the two hex digits of an escape stand for, 0 if
// they are none of the ten. Only lower case counts.
func xepChar(s string) byte {
	if len(s) < 2 {
		return 0
	}
	switch s[:2] {
	case "20":
		return ' '
	case "22":
		return '"'
	case "26":
		return '&'
	case "27":
		return '\''
	case "2f":
		return '/'
	case "3a":
		return ':'
	case "3c":
		return '<'
	case "3e":
		return '>'
	case "40":
		return '@'
	case "5c":
		return '\\'
	}
	return 0
}

// xepEscapes appends to b the form of text that a localpart can have (XEP-0106).
// text must have been case-mapped before: \3A would become an escape afterwards.
func xepEscapes(b []byte, text string) []byte {
	for i := range len(text) {
		c := text[i]
		if e := xepEscape(c); e != "" {
			b = append(append(b, '\\'), e...)
			continue
		}
		b = append(b, c)
		if c == '\\' && xepChar(text[i+1:]) != 0 {
			b = append(b, "5c"...)
		}
	}
	return b
}

// escapeLocal is xepEscapes for a string; it copies only if there is something
// to escape.
func escapeLocal(text string) string {
	for i := range len(text) {
		if escapes.has(text[i]) {
			var room [128]byte
			return string(xepEscapes(room[:0], text))
		}
	}
	return text
}

// unescapeLocal undoes escapeLocal: one pass from the left, the ten sequences and
// nothing else (ADDR-06).
func unescapeLocal(local string) string {
	first := strings.IndexByte(local, '\\')
	if first < 0 {
		return local
	}
	var room [128]byte
	b := append(room[:0], local[:first]...)
	for i := first; i < len(local); i++ {
		if local[i] == '\\' {
			if c := xepChar(local[i+1:]); c != 0 {
				b = append(b, c)
				i += 2
				continue
			}
		}
		b = append(b, local[i])
	}
	return string(b)
}
