package component

import (
	"encoding/xml"

	"gosrc.io/xmpp/stanza"
)

const (
	nsXML     = "http://www.w3.org/XML/1998/namespace"
	nsStanzas = "urn:ietf:params:xml:ns:xmpp-stanzas"
	nsBlocked = "urn:xmpp:blocking:errors"
	nsStreams = "urn:ietf:params:xml:ns:xmpp-streams"
)

// element is one element of a stanza. It belongs to the scanner that made it and is
// there until the next stanza is read; its strings may be kept.
type element struct {
	name     xml.Name
	attrs    []xml.Attr
	text     []byte // direct character data, in order
	children []*element
	big      bool // its tag is
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

// What of the elements of one stanza is kept for the next. Real stanzas are below, so
// that reading them makes nothing but their strings; what a big one took is given back.
const (
	keptElements = 64
	keptAttrs    = 16
	keptChildren = 32
	keptText     = 4 << 10
)

// forest makes the elements of one stanza after the other out of the same memory.
type forest struct {
	kept  []*element
	used  int  // of those, for the current stanza
	extra bool // it has some besides
}

// plant returns an empty element.
func (f *forest) plant() *element {
	if f.used < len(f.kept) {
		f.used++
		return f.kept[f.used-1]
	}
	e := &element{}
	if len(f.kept) < keptElements {
		f.kept = append(f.kept, e)
		f.used++
	} else {
		f.extra = true
	}
	return e
}

// clear takes back all elements. The strings in them stay until others take their place:
// they are few and small.
func (f *forest) clear() {
	if f.extra {
		*f = forest{}
	}
	for _, e := range f.kept[:f.used] {
		if e.big || cap(e.attrs) > keptAttrs || cap(e.children) > keptChildren || cap(e.text) > keptText {
			*e = element{}
			continue
		}
		e.attrs, e.children, e.text = e.attrs[:0], e.children[:0], e.text[:0]
	}
	f.used = 0
}
