package mapping

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
)

// xmlDocument is a kind of small XML document in the body of a request: what its root is, and
// how much of one is read. There is no DTD and no entity in it but those of XML itself
// (SEC-26).
type xmlDocument struct {
	space, root string
	spaces      map[string]string // the other namespaces that are known: what the names of their elements begin with
	unspaced    bool              // elements without a namespace are taken for its own
	bytes       int
	depth       int
	nodes       int // elements, texts, comments

	syntax, big, other error // what is wrong with one; none of them has a word of it
}

// newXMLDocument is a document without limits yet.
func newXMLDocument(mediaType, space, root string) xmlDocument {
	return xmlDocument{space: space, root: root,
		syntax: errors.New("mapping: " + mediaType + ": it is not well-formed"),
		big:    errors.New("mapping: " + mediaType + ": it is too big"),
		other:  errors.New("mapping: " + mediaType + ": it is another document"),
	}
}

// xmlReader takes what is in a document, in its order. path are the names of the open
// elements, the root first, "" for those of other namespaces. attrs are those of the element
// that has just been opened, and valid until the next call.
type xmlReader interface {
	opened(path []string, attrs []xml.Attr)
	text(path []string, data []byte)
	closed(path []string) // path still has the element
}

// read gives r what is in b.
func (d *xmlDocument) read(b []byte, r xmlReader) error {
	if len(b) > d.bytes {
		return d.big
	}
	dec := xml.NewDecoder(bytes.NewReader(b))
	var path []string
	rooted := false
	for nodes := 0; ; nodes++ {
		tok, err := dec.Token()
		switch {
		case errors.Is(err, io.EOF) && rooted:
			return nil
		case errors.Is(err, io.EOF):
			return d.other
		case err != nil:
			return d.syntax // the text of the error may have some of the document in it
		case nodes == d.nodes:
			return d.big
		}
		switch tok := tok.(type) {
		case xml.Directive:
			return d.syntax
		case xml.StartElement:
			name := d.name(tok.Name)
			switch {
			case len(path) == 0 && (rooted || name != d.root):
				return d.other
			case len(path) == d.depth:
				return d.big
			}
			rooted = true
			path = append(path, name)
			r.opened(path, tok.Attr)
		case xml.EndElement:
			r.closed(path)
			path = path[:len(path)-1]
		case xml.CharData:
			r.text(path, tok)
		}
	}
}

// name is the name of an element in a path.
func (d *xmlDocument) name(n xml.Name) string {
	if n.Space == d.space || d.unspaced && n.Space == "" {
		return n.Local
	}
	if prefix := d.spaces[n.Space]; prefix != "" {
		return prefix + n.Local
	}
	return ""
}
