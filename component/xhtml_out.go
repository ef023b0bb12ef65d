package component

import (
	"strings"

	"github.com/stoxgw/stox/mapping"
)

const (
	nsXHTMLIM = "http://jabber.org/protocol/xhtml-im" // XEP-0071
	nsXHTML   = "http://www.w3.org/1999/xhtml"
)

// maxMarkupDepth is how many levels of markup are written. What is below is missing in
// the markup only: the body has the whole text.
const maxMarkupDepth = 24

// appendXHTML appends a text as XHTML-IM. What may be in it is for mapping to say
// (XEP-0071 §7); here, as everywhere on the way out, well-formed XML comes of whatever
// goes in.
func appendXHTML(b []byte, nodes []mapping.Node) []byte {
	b = append(b, "<html xmlns='"+nsXHTMLIM+"'><body xmlns='"+nsXHTML+"'>"...)
	b = appendNodes(b, nodes, maxMarkupDepth)
	return append(b, "</body></html>"...)
}

// appendNodes appends nodes and so many levels below them. Of an element whose name will
// not do only the content is written.
func appendNodes(b []byte, nodes []mapping.Node, levels int) []byte {
	for i := range nodes {
		n := &nodes[i]
		switch {
		case n.Name == "":
			b = appendEscaped(b, n.Text, false)
		case levels == 0:
		case !isMarkupName(n.Name):
			b = appendNodes(b, n.Nodes, levels-1)
		default:
			b = appendElement(b, n, levels)
		}
	}
	return b
}

func appendElement(b []byte, n *mapping.Node, levels int) []byte {
	b = append(b, '<')
	b = append(b, n.Name...)
	for i, a := range n.Attrs {
		if isMarkupAttr(a.Name) && !named(n.Attrs[:i], a.Name) {
			b = appendAttr(b, a.Name, a.Value)
		}
	}
	if len(n.Nodes) == 0 {
		return append(b, "/>"...)
	}
	b = append(b, '>')
	b = appendNodes(b, n.Nodes, levels-1)
	b = append(b, "</"...)
	b = append(b, n.Name...)
	return append(b, '>')
}

// isMarkupName reports whether s may stand as the name of an element: those of XHTML are
// a few small letters, and perhaps a digit.
func isMarkupName(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9' || i == 0) {
			return false
		}
	}
	return s != "" && !strings.HasPrefix(s, "xml") // XML 1.0 §2.3
}

// isMarkupAttr is isMarkupName for attributes, none of which declares a namespace.
func isMarkupAttr(s string) bool { return isMarkupName(s) || s == "xml:lang" }

// named reports whether one of the attributes has the name: XML has each only once.
func named(attrs []mapping.Attr, name string) bool {
	for i := range attrs {
		if attrs[i].Name == name {
			return true
		}
	}
	return false
}
