package component

import (
	"encoding/xml"
	"errors"
	"fmt"

	"gosrc.io/xmpp/stanza"
)

const (
	nsXML     = "http://www.w3.org/XML/1998/namespace"
	nsStanzas = "urn:ietf:params:xml:ns:xmpp-stanzas"
	nsStreams = "urn:ietf:params:xml:ns:xmpp-streams"
)

// errRestricted ends the link: comments, processing instructions and
// declarations have no place in a stream (RFC 6120 §11.1, SEC-26).
var errRestricted = errors.New("restricted XML in the stream")

// Limits for the shape of one stanza. One that is over them is skipped while it
// comes and costs its sender an error; real stanzas stay far below.
const (
	maxDepth    = 32
	maxElements = 1024
	maxAttrs    = 64
)

// element is one element of a stanza.
type element struct {
	name     xml.Name
	attrs    []xml.Attr
	text     []byte // direct character data, in order
	children []*element
}

// attr returns an attribute without namespace, "" if absent.
func (e *element) attr(local string) string { return e.attrNS("", local) }

// lang returns xml:lang, "" if absent.
func (e *element) lang() string { return e.attrNS(nsXML, "lang") }

func (e *element) attrNS(space, local string) string {
	for i := range e.attrs {
		if e.attrs[i].Name.Local == local && e.attrs[i].Name.Space == space {
			return e.attrs[i].Value
		}
	}
	return ""
}

// own reports whether e is the named element of the stanza vocabulary.
func (e *element) own(local string) bool {
	return e.name.Local == local && isStanzaNS(e.name.Space)
}

// child returns the first direct child of the stanza vocabulary with that name.
func (e *element) child(local string) *element {
	for _, c := range e.children {
		if c.own(local) {
			return c
		}
	}
	return nil
}

// has reports whether there is a direct child of that name.
func (e *element) has(space, local string) bool {
	for _, c := range e.children {
		if c.name.Local == local && c.name.Space == space {
			return true
		}
	}
	return false
}

func isStanzaNS(space string) bool {
	return space == stanza.NSComponent || space == stanza.NSClient
}

// readElement reads the element that start opened, to its end. When it is over
// a soft limit, over says which, and the element has no more than its own name
// and attributes. An error ends the link.
func readElement(d *xml.Decoder, src *source, start xml.StartElement, softBytes int) (e *element, over string, err error) {
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
	return &element{name: t.Name, attrs: t.Attr}
}
