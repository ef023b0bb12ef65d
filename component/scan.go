package component

import (
	"errors"
	"fmt"
	"slices"
)

// What is wrong with a stream. None of these quotes it.
var (
	// errRestricted ends the link: comments, processing instructions and
	// declarations have no place in a stream (RFC 6120 §11.1, SEC-26).
	errRestricted = errors.New("restricted XML in the stream")

	errSyntax    = errors.New("XML syntax error") // all below are one
	errTag       = fmt.Errorf("%w: a tag", errSyntax)
	errName      = fmt.Errorf("%w: a name", errSyntax)
	errNesting   = fmt.Errorf("%w: the wrong end tag", errSyntax)
	errDuplicate = fmt.Errorf("%w: an attribute comes twice", errSyntax)
	errReference = fmt.Errorf("%w: a reference", errSyntax)
	errChar      = fmt.Errorf("%w: a character", errSyntax)
	errUTF8      = fmt.Errorf("%w: not UTF-8", errSyntax)
	errBrackets  = fmt.Errorf("%w: ]]> in a text", errSyntax)
)

// Limits for the shape of one stanza. One that is over them is skipped while it
// comes and costs its sender an error; real stanzas stay far below.
const (
	maxDepth    = 32
	maxElements = 1024
	maxAttrs    = 64
)

// smallTag is how many octets a tag may have for its values to be parts of one string. It
// bounds what somebody keeps by keeping one of them.
const smallTag = 512

// bigScratch is how much of a scratch is kept for the next stanza.
const bigScratch = 16 << 10

// scanner reads the elements of a stream. It knows what RFC 6120 leaves of XML: elements,
// attributes, texts, CDATA, references to characters and the five entities, namespaces.
// It is stricter than encoding/xml where XML 1.0 is: each difference is in
// TestScanIsStrict. Like that it is more lenient where servers are: a prefix that nothing
// declares stands for itself, colons may stand at the ends of a name, attributes are the
// same if they are written alike, and white space in their values stays what it is.
//
// It reads straight on: where the octets of one read end, it waits for more, whatever it
// is in the middle of. So each octet is looked at once, or twice where quickTag has given up.
type scanner struct {
	source
	forest
	lexicon

	open     []frame
	names    []byte            // of the open elements, as they are written
	ns       string            // the namespace of names without a prefix
	prefixes map[string]string // the others
	undo     []binding         // what prefixes stood for before

	path []*element // from a stanza to where the scanner is

	raw    []byte // a name in pieces; what is read and not kept
	values []byte // of the attributes of a stanza
}

// frame is an open element.
type frame struct {
	name int    // where it is in names
	ns   string // what names without a prefix meant around it
	undo int    // how much was in undo
}

type binding struct {
	prefix, ns string
	had        bool
}

// header reads the start of the stream: its declaration, if any, and the start tag of its
// root.
func (s *scanner) header() (root *element, empty bool, err error) {
	s.forest.clear()
	s.values = s.values[:0]
	for first := true; ; first = false {
		_, c, err := s.space()
		switch {
		case err != nil:
			return nil, false, err
		case c != '<':
			return nil, false, errNotXMPP
		}
		s.r++
		switch c, err = s.peek(); {
		case err != nil:
			return nil, false, err
		case c == '!', c == '?' && !first:
			return nil, false, errRestricted
		case c == '?':
			if err := s.declaration(); err != nil {
				return nil, false, err
			}
			continue
		}
		root = s.plant()
		_, how, err := s.startTag(root, false)
		return root, how == void, err
	}
}

// declaration reads an XML declaration from its question mark on.
func (s *scanner) declaration() error {
	s.r++
	raw, _, err := s.name()
	switch {
	case err != nil:
		return err
	case string(raw) != "xml":
		return errRestricted
	}
	d := s.plant()
	if _, _, err := s.attributes(d, '?'); err != nil {
		return err
	}
	s.keepValues(d, 0, 0)
	d.cutValues()
	return checkDeclaration(d)
}

// stanza reads the next child of the stream. When it is over a soft limit, over says
// which, and the element has no more than its own name and attributes; of more than
// maxAttrs of those, only the ones that addressing knows. An error ends the link; at the
// end of the stream it is errStreamEnd.
func (s *scanner) stanza(soft int) (root *element, over string, err error) {
	s.tidy()
	for {
		if err := s.skipSpace(); err != nil {
			return nil, "", err
		}
		s.begin(hardLimit(soft))
		c, err := s.peek()
		if err != nil {
			return nil, "", err
		}
		if c != '<' {
			// Nobody may write text here; it hurts nobody either.
			if s.raw, err = s.text(s.raw[:0], false); err != nil {
				return nil, "", err
			}
			continue
		}
		s.r++
		switch c, err := s.peek(); {
		case err != nil:
			return nil, "", err
		case c == '/':
			s.r++
			if err := s.endTag(); err != nil {
				return nil, "", err
			}
			return nil, "", errStreamEnd
		case c == '?':
			return nil, "", errRestricted
		case c == '!':
			if s.raw, err = s.cdata(s.raw[:0], false); err != nil {
				return nil, "", err
			}
			continue
		}
		return s.tree(soft)
	}
}

// tree reads an element, of which "<" has been taken, to its end.
func (s *scanner) tree(soft int) (root *element, over string, err error) {
	outside := len(s.open)
	root = s.plant()
	attrs, how, err := s.startTag(root, false)
	if err != nil {
		return nil, "", err
	}
	s.path = append(s.path[:0], root)
	elements := 1

	// note keeps the first finding; from then on the stanza is only skipped.
	note := func(n, limit int, what string) {
		if n > limit && over == "" {
			over = fmt.Sprintf(what, limit)
			root.children, root.text = root.children[:0], nil
		}
	}
	const tooDeep, tooMany, tooRich, tooLong = "more than %d levels deep", "more than %d elements", "more than %d attributes", "larger than %d octets"
	note(attrs, maxAttrs, tooRich)
	for len(s.open) > outside {
		note(s.taken(), soft, tooLong)
		if how == void {
			how = open
			s.shut()
			s.leave()
			continue
		}
		c, err := s.peek()
		if err != nil {
			return nil, "", err
		}
		if c != '<' {
			if over != "" {
				s.raw, err = s.text(s.raw[:0], false)
			} else {
				top := s.path[len(s.path)-1]
				top.text, err = s.text(top.text, true)
			}
			if err != nil {
				return nil, "", err
			}
			note(s.taken()+1, soft, tooLong) // whatever follows has an octet
			continue
		}
		s.r++
		switch c, err = s.peek(); {
		case err != nil:
		case c == '/':
			s.r++
			err = s.endTag()
			s.leave()
		case c == '?':
			err = errRestricted
		case c == '!' && over != "":
			s.raw, err = s.cdata(s.raw[:0], false)
		case c == '!':
			top := s.path[len(s.path)-1]
			top.text, err = s.cdata(top.text, true)
		case over != "":
			_, how, err = s.startTag(nil, false)
		default:
			child := s.plant()
			depth := len(s.open) + 1 - outside
			attrs, how, err = s.startTag(child, true)
			elements++
			note(depth, maxDepth, tooDeep)
			note(elements, maxElements, tooMany)
			note(attrs, maxAttrs, tooRich)
			if over == "" {
				top := s.path[len(s.path)-1]
				top.children = append(top.children, child)
				if how != whole {
					s.path = append(s.path, child)
				}
			}
		}
		if err != nil {
			return nil, "", err
		}
	}
	note(s.taken(), soft, tooLong)
	return root, over, nil
}

// leave goes from an element to the one around it.
func (s *scanner) leave() {
	if n := len(s.path); n > 0 { // while a stanza is skipped there is no path
		s.path = s.path[:n-1]
	}
}

// tidy forgets the stanza before, and the room that an unusual one took.
func (s *scanner) tidy() {
	s.forest.clear()
	s.path, s.values = s.path[:0], s.values[:0]
	for _, b := range []*[]byte{&s.raw, &s.values} {
		if cap(*b) > bigScratch {
			*b = nil
		}
	}
	if cap(s.names) > bigScratch {
		s.names = slices.Clone(s.names) // the root's is in it
	}
	if cap(s.open) > 8*maxDepth {
		s.open = slices.Clone(s.open)
	}
	if cap(s.path) > maxDepth {
		s.path = nil
	}
}

// shape is what startTag has read.
type shape uint8

const (
	open  shape = iota // the start tag of an element that goes on
	void               // the tag of one that has nothing in it, and has to be closed
	whole              // an element to its end, which was never opened
)

// startTag reads a start tag, of which "<" has been taken, and opens its element. e gets
// its name and attributes, unless it is nil. If leaf is set, it may read all of an element that
// has no children.
func (s *scanner) startTag(e *element, leaf bool) (attrs int, how shape, err error) {
	if e != nil {
		if attrs, how, ok := s.quickTag(e, leaf); ok {
			return attrs, how, nil
		}
	}
	before, values := s.taken(), len(s.values)
	raw, colon, err := s.name()
	if err != nil {
		return 0, open, err
	}
	at := len(s.names)
	s.names = append(s.names, raw...)
	s.open = append(s.open, frame{name: at, ns: s.ns, undo: len(s.undo)})
	attrs, empty, err := s.attributes(e, '/')
	if empty {
		how = void
	}
	if err != nil || e == nil {
		return attrs, how, err
	}
	s.keepValues(e, values, s.taken()-before)
	s.bind(e)
	e.name.Space, e.name.Local = s.ns, s.word(s.names[at+colon:])
	if colon > 0 {
		e.name.Space = s.meaning(s.word(s.names[at : at+colon-1]))
	}
	return attrs, how, nil
}

// endTag reads an end tag, of which "</" has been taken, and closes its element.
func (s *scanner) endTag() error {
	want := s.names[s.open[len(s.open)-1].name:]
	if rest := s.buf[s.r:s.end]; len(rest) > len(want) && rest[len(want)] == '>' && string(rest[:len(want)]) == string(want) {
		s.r += len(want) + 1 // as everybody writes it
		s.shut()
		return nil
	}
	raw, _, err := s.name()
	if err != nil {
		return err
	}
	if string(raw) != string(want) {
		return errNesting
	}
	if _, c, err := s.space(); err != nil || c != '>' {
		return orElse(err, errTag)
	}
	s.r++
	s.shut()
	return nil
}

// shut closes the innermost element.
func (s *scanner) shut() {
	last := len(s.open) - 1
	f := s.open[last]
	s.open = s.open[:last]
	s.names = s.names[:f.name]
	s.ns = f.ns
	s.unbind(f.undo)
}
