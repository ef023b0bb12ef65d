package component

import (
	"encoding/xml"
	"fmt"
	"io"

	"gosrc.io/xmpp/stanza"
)

// The reader of encoding/xml's tokens that the scanner has taken the place of. It says what
// the trees have to be like.

// byteSource is the reader under the XML decoder. It counts the octets of the
// current stanza and stops at a limit, whatever the decoder is in the middle
// of. It is an io.ByteReader, so the decoder puts no buffer of its own on top:
// what is buffered is known, and with it the end of what was read in one go.
type byteSource struct {
	fill  func([]byte) (int, error) // reads at least one octet or fails; may block
	buf   []byte
	r, w  int
	n     int // octets taken since begin
	limit int
	err   error // what fill or the limit said; the decoder wraps it beyond recognition
}

// begin starts counting anew.
func (s *byteSource) begin(limit int) { s.n, s.limit = 0, limit }

func (s *byteSource) more() error {
	if s.err != nil {
		return s.err
	}
	n, err := s.fill(s.buf)
	if err != nil {
		s.err = err
		return err
	}
	s.r, s.w = 0, n
	return nil
}

// ReadByte implements io.ByteReader.
func (s *byteSource) ReadByte() (byte, error) {
	if s.r == s.w {
		if err := s.more(); err != nil {
			return 0, err
		}
	}
	if s.n >= s.limit {
		s.err = errTooBig
		return 0, s.err
	}
	b := s.buf[s.r]
	s.r++
	s.n++
	return b, nil
}

// Read implements io.Reader; the decoder prefers ReadByte.
func (s *byteSource) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	b, err := s.ReadByte()
	if err != nil {
		return 0, err
	}
	p[0] = b
	return 1, nil
}

// readElement reads the element that start opened, to its end. When it is over
// a soft limit, over says which, and the element has no more than its own name
// and attributes. An error ends the link.
func readElement(d *xml.Decoder, src *byteSource, start xml.StartElement, softBytes int) (e *element, over string, err error) {
	root := newElement(start)
	stack := append(make([]*element, 0, 8), root)
	depth, elements := 1, 1

	// note keeps the first finding; from then on the stanza is only skipped.
	note := func(format string, a ...any) {
		if over == "" {
			over = fmt.Sprintf(format, a...)
			root.children, root.text, stack = nil, nil, nil
		}
	}
	check := func(n, limit int, what string) {
		if n > limit {
			note("more than %d %s", limit, what)
		}
	}
	check(len(start.Attr), maxAttrs, "attributes")
	for {
		if src.n > softBytes {
			note("larger than %d octets", softBytes)
		}
		tok, err := d.Token()
		if err != nil {
			return nil, "", err
		}
		switch t := tok.(type) {
		case xml.StartElement:
			depth++
			elements++
			check(depth, maxDepth, "levels deep")
			check(elements, maxElements, "elements")
			check(len(t.Attr), maxAttrs, "attributes")
			if over == "" {
				c := newElement(t)
				top := stack[len(stack)-1]
				top.children = append(top.children, c)
				stack = append(stack, c)
			}
		case xml.EndElement:
			depth--
			if depth == 0 {
				if src.n > softBytes {
					note("larger than %d octets", softBytes)
				}
				return root, over, nil
			}
			if over == "" {
				stack = stack[:len(stack)-1]
			}
		case xml.CharData:
			if over == "" {
				top := stack[len(stack)-1]
				top.text = append(top.text, t...)
			}
		default: // xml.Comment, xml.ProcInst, xml.Directive
			return nil, "", errRestricted
		}
	}
}

func newElement(t xml.StartElement) *element {
	e := &element{name: t.Name}
	for _, a := range t.Attr {
		e.attrs = append(e.attrs, attr{Attr: a})
	}
	return e
}

// oracle reads streams by it.
type oracle struct {
	src byteSource
	dec *xml.Decoder
}

func newOracle(r io.Reader) *oracle {
	o := &oracle{}
	o.src = byteSource{fill: r.Read, buf: make([]byte, 32<<10)}
	o.dec = xml.NewDecoder(&o.src)
	return o
}

func (o *oracle) header() error {
	o.src.begin(16 << 10)
	for {
		tok, err := o.dec.Token()
		if err != nil {
			return err
		}
		switch t := tok.(type) {
		case xml.StartElement:
			if t.Name.Space != stanza.NSStream || t.Name.Local != "stream" {
				return errNotXMPP
			}
			return nil
		case xml.ProcInst:
		default:
			return errNotXMPP
		}
	}
}

func (o *oracle) stanza(soft int) (e *element, over string, err error) {
	for {
		o.begin(hardLimit(soft))
		tok, err := o.dec.Token()
		if err != nil {
			return nil, "", err
		}
		switch t := tok.(type) {
		case xml.StartElement:
			return readElement(o.dec, &o.src, t, soft)
		case xml.EndElement:
			return nil, "", errStreamEnd
		case xml.CharData:
		default:
			return nil, "", errRestricted
		}
	}
}

// begin starts counting. What the decoder has looked at already, to find the end of a
// text, counts.
func (o *oracle) begin(limit int) {
	o.src.begin(limit)
	if r := o.src.r; r > 0 && o.src.buf[r-1] == '<' {
		o.src.n = 1
	}
}
