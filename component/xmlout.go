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
func appendEscaped(b []byte, s string, attr bool) []byte {
	last := 0
	for i := 0; i < len(s); {
		c := s[i]
		size, esc := 1, ""
		switch {
		case c >= utf8.RuneSelf:
			var r rune
			r, size = utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 || r == 0xFFFE || r == 0xFFFF {
				esc = replacement
			}
		case c == '&':
			esc = "&amp;"
		case c == '<':
			esc = "&lt;"
		case c == '>':
			esc = "&gt;"
		case c == '\'' && attr:
			esc = "&apos;"
		case c == '\t' && attr:
			esc = "&#9;"
		case c == '\n' && attr:
			esc = "&#10;"
		case c == '\t', c == '\n':
		case c == '\r':
			esc = "&#13;"
		case c < ' ':
			esc = replacement
		}
		if esc != "" {
			b = append(b, s[last:i]...)
			b = append(b, esc...)
			last = i + size
		}
		i += size
	}
	return append(b, s[last:]...)
}
