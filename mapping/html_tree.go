package mapping

import (
	"strings"
	"unicode"
)

// htmlNode is a piece of the text on its way to its two forms. Blocks are in blocks and
// in the root, which is one without name; paragraphs are in blocks; what a paragraph has
// is inline. A list has items only.
type htmlNode struct {
	name  string
	nodes []*htmlNode

	// Blocks and paragraphs.

	parent   *htmlNode
	depth    int
	inTree   bool
	style    *cssStyle // nil if it has none
	implied  bool      // a list that the source does not have
	next     int       // of a list: the number of its next item
	number   int       // of an item
	numbered bool
	gap      int  // of a paragraph: 2 if a blank line is before it
	bare     bool // of a paragraph: the source has none here

	// Inline.

	wrap  *htmlInline // if it is one
	attrs []Attr      // of an image
	text  []byte      // of a text, which is a node with the name "#"
	pre   bool        // of a text: its spaces are kept
}

// htmlTree puts together the tree: lines and paragraphs begin when there is something to
// put into them, and white space is written when something comes after it. So nothing in
// the tree is empty.
type htmlTree struct {
	parser  *htmlParser
	root    *htmlNode
	outside htmlHere // what holds outside of all elements

	para  *htmlNode     // where the last text went, nil if there was none
	box   *htmlNode     // what para is in
	open  []*htmlInline // the elements that are open in para,
	nodes []*htmlNode   // and their nodes
	lines int           // how many were begun

	// What is due before the next text.

	breaks int           // line ends
	ends   bool          // the end of para
	cell   bool          // the sign between two cells
	space  bool          // a space
	within []*htmlInline // what the space is in
}

func (t *htmlTree) begin(p *htmlParser) {
	t.parser = p
	t.root = &htmlNode{inTree: true}
}

// finish returns the whole.
func (t *htmlTree) finish() *htmlNode {
	t.root.prune()
	return t.root
}

// lineBreak ends the line, even an empty one.
func (t *htmlTree) lineBreak() {
	if !t.cell {
		t.breaks = min(t.breaks+1, 2)
		t.space = false
	}
}

// boundary is between two blocks: the next text is so many lines further down. ends says
// that it is in another paragraph.
func (t *htmlTree) boundary(lines int, ends bool) {
	if !t.cell { // what begins in a cell begins where the cell does
		t.breaks = max(t.breaks, lines)
		t.ends = t.ends || ends
		t.space = false
	}
}

// join lets the next cell go on in the line of the one before it. before is what lines
// was at the start of the row.
func (t *htmlTree) join(before int, here *htmlHere) {
	switch {
	case t.lines == before: // nothing is in the row yet
	case t.lines == before+1 && t.box == t.block(here):
		t.breaks, t.ends, t.space, t.cell = 0, false, false, true
	default:
		t.unjoin()
		t.boundary(1, false)
	}
}

// unjoin takes join back: what comes needs lines of its own.
func (t *htmlTree) unjoin() {
	if t.cell {
		t.cell = false
		t.boundary(1, false)
	}
}

// text adds a text as it is in the source.
func (t *htmlTree) text(s string, here *htmlHere) {
	if here.pre {
		t.preformatted(s, here)
		return
	}
	for i := 0; i < len(s); {
		start := i
		for i < len(s) && isHTMLSpace(s[i]) {
			i++
		}
		if i > start && !t.space && t.breaks == 0 && !t.ends && !t.cell && t.para != nil && t.box == t.block(here) {
			t.space, t.within = true, here.wraps
		}
		start = i
		for i < len(s) && !isHTMLSpace(s[i]) {
			i++
		}
		if i > start {
			t.ready(here)
			t.write(XMLText(s[start:i]), false, here.wraps)
		}
	}
}

func isHTMLSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' }

var preLines = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\f", " ")

func (t *htmlTree) preformatted(s string, here *htmlHere) {
	for i, line := range strings.Split(preLines.Replace(s), "\n") {
		if i > 0 {
			t.lineBreak()
		}
		if line != "" {
			t.ready(here)
			t.write(XMLText(line), true, here.wraps)
		}
	}
}

// image adds an image that may be in the markup.
func (t *htmlTree) image(alt string, attrs []Attr, here *htmlHere) {
	t.ready(here)
	in := t.inside(here.wraps)
	in.nodes = append(in.nodes, &htmlNode{name: "img", attrs: attrs})
	for _, w := range here.wraps {
		if w.name == "a" {
			w.text = append(w.text, alt...)
		}
	}
}

// block is what a paragraph at a place would be in.
func (t *htmlTree) block(here *htmlHere) *htmlNode {
	if here.box == nil {
		return t.root
	}
	return here.box
}

// ready makes what is due before the next text.
func (t *htmlTree) ready(here *htmlHere) {
	box := t.block(here)
	if t.para == nil || t.ends || t.box != box {
		t.box = box
		t.para = &htmlNode{name: "p", gap: t.breaks, bare: t.parser.barePlace(), style: here.blocks.orNil()}
		t.open, t.nodes = t.open[:0], t.nodes[:0]
		into := t.attach(box)
		if into.isList() {
			into = into.item()
		}
		into.nodes = append(into.nodes, t.para)
		t.lines++
	} else if t.breaks > 0 {
		in := t.common(here.wraps)
		for range t.breaks {
			in.nodes = append(in.nodes, &htmlNode{name: "br"})
		}
		t.lines++
	} else if t.cell {
		t.write(" | ", false, nil)
	} else if t.space {
		t.write(" ", false, t.within)
	}
	t.breaks, t.ends, t.cell, t.space = 0, false, false, false
}

// common closes what is open in the paragraph and not in wraps, and returns the
// innermost that stays.
func (t *htmlTree) common(wraps []*htmlInline) *htmlNode {
	n := 0
	for n < len(t.open) && n < len(wraps) && t.open[n].like(wraps[n]) {
		n++
	}
	t.open, t.nodes = t.open[:n], t.nodes[:n]
	if n == 0 {
		return t.para
	}
	return t.nodes[n-1]
}

// inside is common, and then opens the others of wraps.
func (t *htmlTree) inside(wraps []*htmlInline) *htmlNode {
	in := t.common(wraps)
	for _, w := range wraps[len(t.open):] {
		n := &htmlNode{name: w.name, wrap: w}
		w.last = n
		in.nodes = append(in.nodes, n)
		in = n
		t.open, t.nodes = append(t.open, w), append(t.nodes, n)
	}
	return in
}

func (t *htmlTree) write(s string, pre bool, wraps []*htmlInline) {
	in := t.inside(wraps)
	var n *htmlNode
	if last := len(in.nodes) - 1; last >= 0 && in.nodes[last].name == "#" && in.nodes[last].pre == pre {
		n = in.nodes[last]
	} else {
		n = &htmlNode{name: "#", pre: pre}
		in.nodes = append(in.nodes, n)
	}
	n.text = append(n.text, s...)
	for _, w := range wraps {
		if w.name == "a" {
			w.text = append(w.text, s...)
		}
	}
}

func (n *htmlNode) isList() bool { return n.name == "ul" || n.name == "ol" }

// attach puts a block into the tree, unless it is there.
func (t *htmlTree) attach(n *htmlNode) *htmlNode {
	if n.inTree {
		return n
	}
	n.inTree = true
	into := t.attach(n.parent)
	switch {
	case n.name == "li" && !into.isList():
		into = into.impliedList()
	case n.name != "li" && into.isList():
		into = into.item()
	}
	into.nodes = append(into.nodes, n)
	return n
}

// item is the last item of a list, one more if it has none.
func (n *htmlNode) item() *htmlNode {
	if len(n.nodes) == 0 {
		li := &htmlNode{name: "li", parent: n, inTree: true, number: n.next, numbered: n.name == "ol"}
		n.next++
		n.nodes = append(n.nodes, li)
	}
	return n.nodes[len(n.nodes)-1]
}

// impliedList is the list at the end of n that the source does not have.
func (n *htmlNode) impliedList() *htmlNode {
	if last := len(n.nodes) - 1; last >= 0 && n.nodes[last].implied {
		return n.nodes[last]
	}
	list := &htmlNode{name: "ul", parent: n, inTree: true, implied: true}
	n.nodes = append(n.nodes, list)
	return list
}

// prune removes paragraphs in which nothing can be seen, and the blocks that have
// nothing else. They leave a blank line.
func (n *htmlNode) prune() {
	kept, gap := n.nodes[:0], 0
	for _, k := range n.nodes {
		if k.name == "p" {
			if !k.visible() {
				gap = 2
				continue
			}
			k.trim()
			k.gap = max(k.gap, gap)
		} else {
			k.prune()
			if len(k.nodes) == 0 {
				continue
			}
		}
		kept, gap = append(kept, k), 0
	}
	n.nodes = kept
}

// trim removes empty lines from both ends of a paragraph.
func (n *htmlNode) trim() {
	empty := func(line, end *htmlNode) bool {
		return end.name == "br" && line.name == "#" && blankText(string(line.text))
	}
	for ns := n.nodes; len(ns) > 1; n.nodes = ns {
		switch last := len(ns) - 1; {
		case ns[0].name == "br":
			ns = ns[1:]
		case ns[last].name == "br":
			ns = ns[:last]
		case empty(ns[0], ns[1]):
			ns = ns[2:]
		case empty(ns[last], ns[last-1]):
			ns = ns[:last-1]
		default:
			return
		}
	}
}

// visible reports whether there is something to be seen in a part of a paragraph.
func (n *htmlNode) visible() bool {
	switch n.name {
	case "img":
		return true
	case "#":
		return !blankText(string(n.text))
	}
	for _, k := range n.nodes {
		if k.visible() {
			return true
		}
	}
	return false
}

// blankText reports whether nothing in s can be seen.
func blankText(s string) bool {
	for _, r := range s {
		if !unicode.IsSpace(r) && !unicode.Is(unicode.Cf, r) && r != 0x34F { // U+034F: what newsletters fill previews with
			return false
		}
	}
	return true
}
