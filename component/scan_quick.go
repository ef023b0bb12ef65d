package component

import "bytes"

// quickTag is startTag for a tag as nearly all are: it is visible to its end, and small; its
// names are ASCII, with no prefix but xml; before each attribute is one space, and nothing
// around its equals sign; and no value has a reference, or anything but ASCII. It does what
// startTag would do. Where a tag is not like that, or is wrong, it does nothing and reports
// false: startTag finds out what it is.
func (s *scanner) quickTag(e *element, leaf bool) (attrs int, how shape, ok bool) {
	buf := s.buf[s.r:min(s.end, s.r+smallTag)]
	n := plainName(buf)
	if n == 0 {
		return 0, open, false
	}
	values := len(s.values)
	ns, empty, taken := s.quickAttributes(e, buf[n:])
	if taken == 0 {
		e.attrs, s.values = e.attrs[:0], s.values[:values]
		return 0, open, false
	}
	e.name.Space, e.name.Local = ns, s.word(buf[:n])
	e.values = s.values[values:]
	s.r += n + taken
	if leaf && (empty || s.quickText(e, buf[:n])) {
		return len(e.attrs), whole, true
	}
	s.open = append(s.open, frame{name: len(s.names), ns: s.ns, undo: len(s.undo)})
	s.names = append(s.names, buf[:n]...)
	s.ns = ns
	if empty {
		how = void
	}
	return len(e.attrs), how, true
}

// quickText reads what is in an element of that name, and its end tag, if that is all visible
// and nothing but a text that stands for itself. If not, it does nothing and reports false.
func (s *scanner) quickText(e *element, name []byte) bool {
	rest := s.buf[s.r:s.end]
	n := leading(rest, inText)
	end := rest[n:]
	if len(end) < len(name)+3 || end[0] != '<' || end[1] != '/' || end[len(name)+2] != '>' || string(end[2:len(name)+2]) != string(name) {
		return false
	}
	e.text = append(e.text, rest[:n]...)
	s.r += n + len(name) + 3
	return true
}

// quickAttributes reads what is behind the name of a tag, as attributes does, and returns
// what names without a prefix mean within, and how many octets it has read: 0 if the tag is
// not one for it.
func (s *scanner) quickAttributes(e *element, buf []byte) (ns string, empty bool, n int) {
	ns = s.ns
	values := len(s.values)
	for i := 0; ; {
		spaced := i < len(buf) && buf[i] == ' '
		if spaced {
			i++
		}
		switch {
		case i+1 < len(buf) && buf[i] == '/' && buf[i+1] == '>':
			return ns, true, i + 2
		case i < len(buf) && buf[i] == '>':
			return ns, false, i + 1
		case !spaced || len(e.attrs) == maxAttrs:
			return "", false, 0
		}
		space := ""
		if bytes.HasPrefix(buf[i:], []byte("xml:")) {
			space = nsXML
			i += len("xml:")
		}
		size := plainName(buf[i:])
		if size == 0 || len(buf)-i-size < 3 || buf[i+size] != '=' {
			return "", false, 0
		}
		local := s.word(buf[i : i+size])
		i += size + 2
		quote := buf[i-1]
		if size = bytes.IndexByte(buf[i:], quote); size < 0 || quote != '\'' && quote != '"' {
			return "", false, 0
		}
		value := buf[i : i+size]
		i += size + 1
		if leading(value, inValue) < size {
			return "", false, 0
		}
		for k := range e.attrs {
			if e.attrs[k].Name.Local == local && e.attrs[k].Name.Space == space {
				return "", false, 0
			}
		}
		at := len(e.attrs)
		e.attrs = append(e.attrs, attr{})
		a := &e.attrs[at]
		a.Name.Space, a.Name.Local = space, local
		switch {
		case local == "xmlns":
			if a.Value = s.word(value); space == "" {
				ns = a.Value
			}
		case local == "type", local == "lang":
			a.Value = s.word(value)
		case size > 0:
			a.from = len(s.values) - values
			s.values = append(s.values, value...)
			a.to = len(s.values) - values
		}
	}
}

// plainName is how long the name is that b begins with, of ASCII and without a colon: 0 if it
// does not begin with such a one.
func plainName(b []byte) int {
	if len(b) == 0 || classes[b[0]]&(startsName|isPlain) != startsName|isPlain {
		return 0
	}
	n := 1
	for n < len(b) && classes[b[n]]&isPlain != 0 {
		n++
	}
	return n
}
