package mapping

import "strings"

// xhtml is the tree as XHTML-IM: nil if it says no more than a plain text, or is longer
// than room.
func xhtml(root *htmlNode, room int) []Node {
	w := xhtmlWriter{room: room}
	nodes := w.blocks(root)
	if w.room < 0 || !w.says {
		return nil
	}
	return nodes
}

type xhtmlWriter struct {
	room int  // for the rest
	says bool // there is more than paragraphs, lines and text
}

func (w *xhtmlWriter) blocks(n *htmlNode) (out []Node) {
	lone := false // the last paragraph has gone without its element
	for _, k := range n.nodes {
		if w.room < 0 {
			return nil
		}
		if k.name != "p" {
			lone = false
			w.says = true
			out = append(out, w.element(k.name, styled(nil, k.style), w.blocks(k)))
			continue
		}
		inner := w.inline(k.nodes)
		// In an item a text may stand by itself.
		if lone = n.name == "li" && k.bare && !lone && k.style == nil; lone {
			out = append(out, inner...)
			continue
		}
		attrs := styled(nil, k.style)
		w.says = w.says || len(attrs) > 0
		out = append(out, w.element("p", attrs, inner))
	}
	return out
}

func (w *xhtmlWriter) inline(nodes []*htmlNode) (out []Node) {
	for i := 0; i < len(nodes) && w.room >= 0; {
		if nodes[i].name == "#" {
			var text string
			text, i = joinTexts(nodes, i)
			w.room -= escapedLen(text)
			out = append(out, Node{Text: text})
			continue
		}
		k := nodes[i]
		i++
		switch k.name {
		case "br":
			out = append(out, w.element("br", nil, nil))
		case "img":
			w.says = true
			out = append(out, w.element("img", k.attrs, nil))
		default:
			w.says = true
			out = append(out, w.element(k.name, k.wrap.attrs(), w.inline(k.nodes)))
		}
	}
	return out
}

func (w *xhtmlWriter) element(name string, attrs []Attr, nodes []Node) Node {
	w.room -= 2*len(name) + len("<></>")
	for _, a := range attrs {
		w.room -= len(a.Name) + escapedLen(a.Value) + len(" =''")
	}
	return Node{Name: name, Attrs: attrs, Nodes: nodes}
}

// attrs are the attributes of an inline element.
func (w *htmlInline) attrs() (out []Attr) {
	if w.name == "a" {
		out = append(out, Attr{"href", w.href})
	}
	if w.name == "a" || w.name == "span" || w.name == "cite" {
		out = styled(out, &w.style)
	}
	if w.typ != "" {
		out = append(out, Attr{"type", w.typ})
	}
	return out
}

func styled(attrs []Attr, s *cssStyle) []Attr {
	if s == nil || *s == (cssStyle{}) {
		return attrs
	}
	return append(attrs, Attr{"style", s.String()})
}

// joinTexts is the text that begins with node i, and the index of what is behind it.
// Spaces that XHTML would not keep are such that do not break.
func joinTexts(nodes []*htmlNode, i int) (string, int) {
	var b strings.Builder
	for ; i < len(nodes) && nodes[i].name == "#"; i++ {
		s := string(nodes[i].text)
		if !nodes[i].pre || !strings.ContainsAny(s, " \t") {
			b.WriteString(s)
			continue
		}
		for j := range len(s) {
			switch c := s[j]; {
			case c == '\t':
				b.WriteString("\u00a0\u00a0\u00a0\u00a0")
			case c == ' ' && (j == 0 || j == len(s)-1 || s[j-1] == ' ' || s[j-1] == '\t'):
				b.WriteString("\u00a0")
			default:
				b.WriteByte(c)
			}
		}
	}
	return b.String(), i
}

// escapedLen is the length of a text or a value in XML.
func escapedLen(s string) int {
	n := len(s)
	for _, c := range []byte(s) {
		switch c {
		case '<', '>', '&', '\'', '"':
			n += len("&quot;") - 1
		}
	}
	return n
}
