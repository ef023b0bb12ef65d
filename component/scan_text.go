package component

import (
	"encoding/binary"
	"unicode/utf8"
)

// What an octet may be. Octets beyond ASCII are parts of characters, and are looked at
// as such.
const (
	startsName = 1 << iota
	inName     // or beyond ASCII
	isColon
	isWide  // not ASCII
	isPlain // in a name, and none of these two
	inText  // stands for itself, between tags and in CDATA
	inValue // stands for itself, in an attribute
)

var classes = func() (t [256]uint8) {
	for c := range 256 {
		switch {
		case 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z', c == '_', c == ':':
			t[c] |= startsName | inName | isPlain
		case '0' <= c && c <= '9', c == '-', c == '.':
			t[c] |= inName | isPlain
		case c >= utf8.RuneSelf:
			t[c] |= startsName | inName | isWide
		}
		if c >= ' ' && c < utf8.RuneSelf || c == '\t' || c == '\n' {
			t[c] |= inText | inValue
		}
	}
	t[':'] |= isColon
	t[':'] &^= isPlain
	for _, c := range "<&>" {
		t[c] &^= inText
	}
	for _, c := range `<&'"` {
		t[c] &^= inValue
	}
	return t
}()

// leading is how many octets at the beginning of b are of a class that has all of ASCII that
// stands for itself between tags. Nearly always there are many, so they are looked at eight at
// a time; those among which there may be another are gone through one by one.
func leading(b []byte, class uint8) int {
	for i := 0; i < len(b); {
		if len(b)-i >= 8 && marks(binary.LittleEndian.Uint64(b[i:])) == 0 {
			i += 8
			continue
		}
		for end := min(i+8, len(b)); i < end; i++ {
			if classes[b[i]]&class == 0 {
				return i
			}
		}
	}
	return len(b)
}

// text reads character data up to the next "<", which is not taken, and appends it to dst.
// Unless it is to be kept, dst is a scratch.
func (s *scanner) text(dst []byte, keep bool) ([]byte, error) {
	brackets := 0 // just before
	for {
		if n := leading(s.buf[s.r:s.end], inText); n > 0 {
			last := n
			for last > 0 && s.buf[s.r+last-1] == ']' {
				last--
			}
			if last > 0 {
				brackets = 0
			}
			brackets += n - last
			dst = s.takeTo(s.r+n, dst, keep)
		}
		c, err := s.peek()
		if err != nil {
			return dst, err
		}
		switch {
		case c == '<':
			return dst, nil
		case c == '>':
			if brackets >= 2 {
				return dst, errBrackets // XML 1.0 §2.4
			}
			dst = s.takeTo(s.r+1, dst, keep)
		case c == '&':
			s.r++
			dst, err = s.reference(dst)
		case classes[c]&inText == 0:
			dst, err = s.other(dst)
		default:
			continue // what was waited for stands for itself
		}
		if err != nil {
			return dst, err
		}
		brackets = 0
		if !keep {
			dst = dst[:0]
		}
	}
}

// cdata reads a CDATA section from its exclamation mark on (XML 1.0 §2.7), and appends
// what is in it to dst, as text does.
func (s *scanner) cdata(dst []byte, keep bool) ([]byte, error) {
	s.r++
	for i, want := range []byte("[CDATA[") {
		switch c, err := s.next(); {
		case err != nil:
			return dst, err
		case c != want && i == 0:
			return dst, errRestricted
		case c != want:
			return dst, errTag
		}
	}
	brackets := 0 // just before, not in dst yet
	for {
		c, err := s.peek()
		if err != nil {
			return dst, err
		}
		switch {
		case c == ']':
			s.r++
			brackets++
			continue
		case c == '>' && brackets >= 2:
			s.r++
			return appendBrackets(dst, brackets-2, keep), nil
		}
		dst = appendBrackets(dst, brackets, keep)
		brackets = 0
		i, buf := s.r, s.buf[:s.end]
		for i < len(buf) && (classes[buf[i]]&inText != 0 && buf[i] != ']' || buf[i] == '<' || buf[i] == '&' || buf[i] == '>') {
			i++
		}
		if i > s.r {
			dst = s.takeTo(i, dst, keep)
			continue
		}
		if dst, err = s.other(dst); err != nil {
			return dst, err
		}
		if !keep {
			dst = dst[:0]
		}
	}
}

func appendBrackets(dst []byte, n int, keep bool) []byte {
	for ; keep && n > 0; n-- {
		dst = append(dst, ']')
	}
	return dst
}

// value reads the value of an attribute up to its closing quote, which it takes, and
// appends it to dst. White space in it stays what it is: servers do not escape it.
func (s *scanner) value(dst []byte, quote byte, keep bool) ([]byte, error) {
	for {
		i, buf := s.r, s.buf[:s.end]
		for i < len(buf) && classes[buf[i]]&inValue != 0 {
			i++
		}
		dst = s.takeTo(i, dst, keep)
		c, err := s.peek()
		if err != nil {
			return dst, err
		}
		switch {
		case c == quote:
			s.r++
			return dst, nil
		case c == '\'' || c == '"':
			dst = s.takeTo(s.r+1, dst, keep)
		case c == '<':
			return dst, errTag
		case c == '&':
			s.r++
			dst, err = s.reference(dst)
		case classes[c]&inValue == 0:
			dst, err = s.other(dst)
		}
		if err != nil {
			return dst, err
		}
		if !keep {
			dst = dst[:0]
		}
	}
}

// takeTo takes what is visible up to i.
func (s *scanner) takeTo(i int, dst []byte, keep bool) []byte {
	if keep {
		dst = append(dst, s.buf[s.r:i]...)
	}
	s.r = i
	return dst
}

// other takes what does not stand for itself or is not ASCII: characters as long as such
// are visible, or a line end (XML 1.0 §2.2, §2.11).
func (s *scanner) other(dst []byte) ([]byte, error) {
	switch c := s.buf[s.r]; {
	case c == '\r':
		s.r++
		if c, err := s.peek(); err != nil {
			return dst, err
		} else if c == '\n' {
			s.r++
		}
		return append(dst, '\n'), nil
	case c < utf8.RuneSelf:
		return dst, errChar
	}
	from := s.r
	for s.r < s.end && s.buf[s.r] >= utf8.RuneSelf {
		char, size := utf8.DecodeRune(s.buf[s.r:s.end])
		if char == utf8.RuneError && size == 1 {
			if utf8.FullRune(s.buf[s.r:s.end]) {
				return dst, errUTF8
			}
			dst = append(dst, s.buf[from:s.r]...)
			err := s.more()
			from = s.r
			if err != nil {
				return dst, err
			}
			continue
		}
		if !isChar(char) {
			return dst, errChar
		}
		s.r += size
	}
	return append(dst, s.buf[from:s.r]...), nil
}

// isChar reports whether XML may have a character (XML 1.0 §2.2).
func isChar(c rune) bool {
	return c == '\t' || c == '\n' || c == '\r' || c >= ' ' && c <= 0xD7FF ||
		c >= 0xE000 && c <= 0xFFFD || c >= 0x10000 && c <= utf8.MaxRune
}

// reference reads a reference (XML 1.0 §4.1), of which "&" has been taken, and appends
// what it stands for.
func (s *scanner) reference(dst []byte) ([]byte, error) {
	c, err := s.next()
	if err != nil {
		return dst, err
	}
	if c == '#' {
		char, err := s.number()
		if err != nil {
			return dst, err
		}
		return utf8.AppendRune(dst, char), nil
	}
	var name [4]byte
	n := 0
	for c != ';' {
		if n == len(name) {
			return dst, errReference
		}
		name[n] = c
		n++
		if c, err = s.next(); err != nil {
			return dst, err
		}
	}
	switch string(name[:n]) {
	case "lt":
		c = '<'
	case "gt":
		c = '>'
	case "amp":
		c = '&'
	case "apos":
		c = '\''
	case "quot":
		c = '"'
	default:
		return dst, errReference
	}
	return append(dst, c), nil
}

// number reads the number of a character, of whose reference "&#" has been taken.
func (s *scanner) number() (rune, error) {
	base, digits, char := rune(10), 0, rune(0)
	for {
		c, err := s.next()
		if err != nil {
			return 0, err
		}
		var d rune
		switch {
		case '0' <= c && c <= '9':
			d = rune(c - '0')
		case base == 16 && 'a' <= c && c <= 'f':
			d = rune(c-'a') + 10
		case base == 16 && 'A' <= c && c <= 'F':
			d = rune(c-'A') + 10
		case c == 'x' && base == 10 && digits == 0:
			base = 16
			continue
		case c == ';' && digits > 0:
			if !isChar(char) {
				return 0, errChar
			}
			return char, nil
		default:
			return 0, errReference
		}
		digits = 1
		char = min(char*base+d, utf8.MaxRune+1)
	}
}
