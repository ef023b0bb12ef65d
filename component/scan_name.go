package component

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// name takes a name. What is behind its colon is its local part: colon is 0 if there is
// no prefix. The octets are there until the scanner goes on.
func (s *scanner) name() (raw []byte, colon int, err error) {
	i, buf := s.r, s.buf[:s.end]
	var has uint8
	for i < len(buf) && classes[buf[i]]&inName != 0 {
		has |= classes[buf[i]]
		i++
	}
	if i < len(buf) {
		raw = buf[s.r:i]
		s.r = i
	} else {
		if raw, err = s.longName(); err != nil {
			return nil, 0, err
		}
		has = isColon | isWide // who knows
	}
	if len(raw) == 0 || classes[raw[0]]&startsName == 0 || has&isWide != 0 && !isName(raw) {
		return nil, 0, errName
	}
	if has&isColon == 0 {
		return raw, 0, nil
	}
	at := bytes.IndexByte(raw, ':')
	if at >= 0 && bytes.IndexByte(raw[at+1:], ':') >= 0 {
		return nil, 0, errName
	}
	if at > 0 && at+1 < len(raw) {
		colon = at + 1
	}
	return raw, colon, nil
}

// longName takes what is left of a name that goes on behind what is visible, or may.
func (s *scanner) longName() ([]byte, error) {
	s.raw = s.raw[:0]
	for {
		i := s.r
		for i < s.end && classes[s.buf[i]]&inName != 0 {
			i++
		}
		s.raw = append(s.raw, s.buf[s.r:i]...)
		if s.r = i; i < s.end {
			return s.raw, nil
		}
		if err := s.more(); err != nil {
			return nil, err
		}
	}
}

// isName reports whether b is a name (XML 1.0, fifth edition, §2.3), which is more than
// the editions before it allow.
func isName(b []byte) bool {
	for i := 0; i < len(b); {
		c, size := utf8.DecodeRune(b[i:])
		switch {
		case c == utf8.RuneError && size == 1:
			return false
		case c < utf8.RuneSelf:
			if classes[c]&inName == 0 || i == 0 && classes[c]&startsName == 0 {
				return false
			}
		case nameStart(c):
		case i > 0 && (c == 0xB7 || 0x300 <= c && c <= 0x36F || 0x203F <= c && c <= 0x2040):
		default:
			return false
		}
		i += size
	}
	return len(b) > 0
}

// nameStart reports whether a character beyond ASCII may begin a name.
func nameStart(c rune) bool {
	switch {
	case c < 0x300:
		return c >= 0xC0 && c != 0xD7 && c != 0xF7
	case c < 0x2000:
		return c >= 0x370 && c != 0x37E
	case c < 0x3001:
		return 0x200C <= c && c <= 0x200D || 0x2070 <= c && c <= 0x218F || 0x2C00 <= c && c <= 0x2FEF
	case c < 0x10000:
		return c <= 0xD7FF || 0xF900 <= c && c <= 0xFDCF || 0xFDF0 <= c && c <= 0xFFFD
	}
	return c <= 0xEFFFF
}

// bind takes in what the attributes of a tag say about namespaces, and gives the other
// attributes theirs.
func (s *scanner) bind(e *element) {
	prefixed := false
	for i := range e.attrs {
		switch a := &e.attrs[i]; {
		case a.Name.Space == "" && a.Name.Local == "xmlns":
			s.ns = a.Value
		case a.Name.Space == "xmlns":
			if s.prefixes == nil {
				s.prefixes = make(map[string]string)
			}
			before, had := s.prefixes[a.Name.Local]
			s.undo = append(s.undo, binding{a.Name.Local, before, had})
			s.prefixes[a.Name.Local] = a.Value
		case a.Name.Space != "":
			prefixed = true
		}
	}
	if !prefixed {
		return
	}
	for i := range e.attrs {
		if a := &e.attrs[i]; a.Name.Space != "" {
			a.Name.Space = s.meaning(a.Name.Space)
		}
	}
}

// meaning is the namespace that a prefix stands for. One that stands for nothing is its
// own: it is not ours, and some servers pass on what was declared elsewhere.
func (s *scanner) meaning(prefix string) string {
	switch prefix {
	case "xml":
		return nsXML
	case "xmlns":
		return prefix
	}
	if ns, ok := s.prefixes[prefix]; ok {
		return ns
	}
	return prefix
}

// unbind makes prefixes stand for what they stood for when undo had n entries.
func (s *scanner) unbind(n int) {
	for len(s.undo) > n {
		b := s.undo[len(s.undo)-1]
		s.undo[len(s.undo)-1] = binding{}
		s.undo = s.undo[:len(s.undo)-1]
		if b.had {
			s.prefixes[b.prefix] = b.ns
		} else {
			delete(s.prefixes, b.prefix)
		}
	}
}

// checkDeclaration looks at what an XML declaration says (XML 1.0 §2.8): RFC 6120 §11.6
// has UTF-8 and nothing else.
func checkDeclaration(e *element) error {
	for _, a := range e.attrs {
		switch {
		case a.Name.Space != "":
			return errTag
		case a.Name.Local == "version" && a.Value == "1.0":
		case a.Name.Local == "encoding" && strings.EqualFold(a.Value, "utf-8"):
		case a.Name.Local == "standalone":
		default:
			return errTag
		}
	}
	return nil
}
