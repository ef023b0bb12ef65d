package component

import "encoding/xml"

// attributes reads attributes up to the end of a tag, before whose ">" may be that last
// octet, and counts them. e gets them as they are written, but for the values, of which
// keepValues gives it the octets.
func (s *scanner) attributes(e *element, last byte) (n int, found bool, err error) {
	values := len(s.values)
	for {
		spaced, c, err := s.space()
		switch {
		case err != nil:
			return n, false, err
		case c == '>' && last == '/':
			s.r++
			return n, false, nil
		case c == last:
			s.r++
			if c, err := s.next(); err != nil || c != '>' {
				return n, false, orElse(err, errTag)
			}
			return n, true, nil
		case !spaced:
			return n, false, errTag
		}
		n++
		if err := s.attribute(e, values); err != nil {
			return n, false, err
		}
	}
}

func orElse(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

// attribute reads one attribute. The values of its tag begin there in s.values.
func (s *scanner) attribute(e *element, values int) error {
	raw, colon, err := s.name()
	if err != nil {
		return err
	}
	keep := e != nil
	var name xml.Name
	if keep {
		name.Local = s.word(raw[colon:])
		if colon > 0 {
			name.Space = s.word(raw[:colon-1])
		}
		for i := range e.attrs {
			if e.attrs[i].Name == name {
				return errDuplicate
			}
		}
		keep = len(e.attrs) < maxAttrs || isAddressing(name)
	}
	if _, c, err := s.space(); err != nil || c != '=' {
		return orElse(err, errTag)
	}
	s.r++
	_, quote, err := s.space()
	if err != nil || quote != '\'' && quote != '"' {
		return orElse(err, errTag)
	}
	s.r++
	if !keep {
		s.raw, err = s.value(s.raw[:0], quote, false)
		return err
	}
	from := len(s.values)
	if s.values, err = s.value(s.values, quote, true); err != nil {
		return err
	}
	e.attrs = append(e.attrs, attr{})
	a := &e.attrs[len(e.attrs)-1]
	a.Name = name
	switch got := s.values[from:]; {
	case len(got) == 0:
	case name.Local == "xmlns", name.Space == "xmlns", name.Local == "type", name.Local == "lang":
		a.Value = s.word(got)
		s.values = s.values[:from]
	default:
		a.from, a.to = from-values, len(s.values)-values
	}
	return nil
}

// isAddressing reports whether an attribute is one that an answer to its stanza needs, or
// the header of a stream.
func isAddressing(name xml.Name) bool {
	switch name.Local {
	case "from", "to", "id", "type", "xmlns":
		return name.Space == ""
	case "lang":
		return name.Space == "xml"
	}
	return false
}

// keepValues gives e the values of its attributes, which are in s.values from there on: its
// tag has so many octets. They will be parts of one string, unless that may be so long that
// whoever keeps a part would keep too much.
func (s *scanner) keepValues(e *element, from, tag int) {
	e.values, e.big = s.values[from:], tag > smallTag
	if !e.big {
		return
	}
	for i := range e.attrs {
		if a := &e.attrs[i]; a.to > 0 {
			a.Value = string(e.values[a.from:a.to])
			a.to = 0
		}
	}
	e.values, s.values = nil, s.values[:from]
}
