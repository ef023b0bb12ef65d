package component

import "unicode/utf8"

// The appender below is the only way to the stream. Whatever string goes in,
// well-formed XML comes out (SEC-20): markup is escaped, and what XML 1.0 §2.2
// forbids or is not UTF-8 becomes U+FFFD. That is a last line of defence;
// mapping has done it before for the texts of messages.

const replacement = "\uFFFD"

// appendAttr appends ` name='value'`.
func appendAttr(b []byte, name, value string) []byte {
	b = append(b, ' ')
	b = append(b, name...)
	b = append(b, '=', '\'')
	b = appendEscaped(b, value, true)
	return append(b, '\'')
}

// appendOptAttr is appendAttr unless value is "".
func appendOptAttr(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	return appendAttr(b, name, value)
}

// appendTextElement appends <name>text</name>, with xml:lang unless lang is "".
func appendTextElement(b []byte, name, lang, text string) []byte {
	b = append(b, '<')
	b = append(b, name...)
	b = appendOptAttr(b, "xml:lang", lang)
	b = append(b, '>')
	b = appendEscaped(b, text, false)
	b = append(b, '<', '/')
	b = append(b, name...)
	return append(b, '>')
}

// appendEscaped appends s so that a parser reads s again, as text or as the
// value of an attribute in single quotes. CR, and in attributes LF and TAB too,
// become references, since a parser would fold them (XML 1.0 §2.11, §3.3.3).
//
// Nearly all that is written has nothing to escape: unescaped finds that out.
func appendEscaped(b []byte, s string, attr bool) []byte {
	if i := unescaped(s); i < len(s) {
		return appendFrom(b, s, i, attr)
	}
	return append(b, s...)
}

// appendFrom is appendEscaped of an s that has nothing to escape before i.
func appendFrom(b []byte, s string, i int, attr bool) []byte {
	last := 0
	for ; i < len(s); i += unescaped(s[i:]) {
		for end := min(i+8, len(s)); i < end; {
			size, esc := 1, ""
			if c := s[i]; c < utf8.RuneSelf {
				if esc = escapes[c]; esc == "" || !attr && (c == '\'' || c == '\t' || c == '\n') {
					i++
					continue
				}
			} else {
				var r rune
				if r, size = utf8.DecodeRuneInString(s[i:]); (r != utf8.RuneError || size > 1) && r != 0xFFFE && r != 0xFFFF {
					i += size
					continue
				}
				esc = replacement
			}
			b = append(b, s[last:i]...)
			b = append(b, esc...)
			i += size
			last = i
		}
	}
	return append(b, s[last:]...)
}

// unescaped is how many octets at the beginning of s certainly stay as they are, looked at
// eight at a time.
func unescaped(s string) int {
	if len(s) < 8 {
		for i := range len(s) {
			if c := s[i]; c >= utf8.RuneSelf || escapes[c] != "" {
				return i
			}
		}
		return len(s)
	}
	i := 0
	for ; len(s)-i >= 8; i += 8 {
		if marks(word(s[i:])) != 0 {
			return i
		}
	}
	if marks(word(s[len(s)-8:])) != 0 { // the rest, and something of what is before it
		return i
	}
	return len(s)
}

// escapes is what is written in an attribute in place of an ASCII character; "": itself.
var escapes = func() (t [utf8.RuneSelf]string) {
	for c := range byte(' ') {
		t[c] = replacement
	}
	t['&'], t['<'], t['>'], t['\''] = "&amp;", "&lt;", "&gt;", "&apos;"
	t['\t'], t['\n'], t['\r'] = "&#9;", "&#10;", "&#13;"
	return t
}()

// each has that octet eight times if it is multiplied by it.
const each = 0x0101010101010101

// word is the eight octets of s as a number.
func word(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// marks is 0 if eight octets stay as they are, in texts and attributes: all are ASCII from
// the space on, and none is & or ' or < or >. A difference has the highest bit of an octet if
// that was too small, or if it had that bit before and is no ASCII, or if what is below it was
// too small: so there may be a mark too many behind one, but never one too few.
func marks(w uint64) uint64 {
	small := w - each*' '
	quote := ((w | each*('&'^'\'')) ^ each*('&'|'\'')) - each // of 0 where it is one of the two
	angle := ((w | each*('<'^'>')) ^ each*('<'|'>')) - each
	return (w | small | quote | angle) & (each * 0x80)
}
