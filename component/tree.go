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
	attrs    []attr
	values   []byte // of attrs, where nobody has asked for one yet
	text     []byte // direct character data, in order
	children []*element
	big      bool // its tag is
}

// attr is an attribute.
type attr struct {
	xml.Attr     // without its value as long as that is among those of its element
	from, to int // where it is there; 0 if it is not
}

// cutValues gives the attributes their values, as parts of one string. That is put off until
// somebody asks for one, which nobody does of most elements.
func (e *element) cutValues() {
	if e.values == nil {
		return
	}
	all := string(e.values)
	e.values = nil
	for i := range e.attrs {
		if a := &e.attrs[i]; a.to > 0 {
			a.Value = all[a.from:a.to]
		}
	}
}

// attr returns an attribute without namespace, "" if absent.
func (e *element) attr(local string) string { return e.attrNS("", local) }

// lang returns xml:lang, "" if absent.
func (e *element) lang() string { return e.attrNS(nsXML, "lang") }

func (e *element) attrNS(space, local string) string {
	for i := range e.attrs {
		a := &e.attrs[i]
		if a.Name.Local != local || a.Name.Space != space {
			continue
		}
		if a.to > 0 {
			e.cutValues()
		}
		return a.Value
	}
	return ""
}

// head is what the tag of a stanza says, "" what it does not.
type head struct{ from, to, id, typ, lang string }

// head reads the tag of a stanza as attr and lang do, in one go.
func (e *element) head() (h head) {
	e.cutValues()
	for i := len(e.attrs) - 1; i >= 0; i-- { // of two alike the first counts
		a := &e.attrs[i]
		switch {
		case a.Name.Space == nsXML && a.Name.Local == "lang":
			h.lang = a.Value
		case a.Name.Space != "":
		case a.Name.Local == "from":
			h.from = a.Value
		case a.Name.Local == "to":
			h.to = a.Value
		case a.Name.Local == "id":
			h.id = a.Value
		case a.Name.Local == "type":
			h.typ = a.Value
		}
	}
	return h
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
		e.attrs, e.values, e.children, e.text = e.attrs[:0], nil, e.children[:0], e.text[:0]
	}
	f.used = 0
}
