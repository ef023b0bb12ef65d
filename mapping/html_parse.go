package mapping

import (
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/html"
)

// htmlParser takes the tags of a source in turn. What is open is a flat list, so that
// tags that end in a wrong order, or not at all, do what they do in a browser.
type htmlParser struct {
	tree htmlTree
	open []htmlOpen
	over int    // how many are open beyond maxHTMLOpen
	tore int    // how many elements were ended before those in them
	rest string // what of the source is behind the tag that is read
	head bool   // there was a head; as in a browser, others do not count

	// unsaid is what a reader would see that is no text: the address of an image, "" if
	// it has none, and for all else.
	unsaid []string
}

// htmlOpen is an element that is open. The second half is what holds for the text in it,
// by itself and those around it.
type htmlOpen struct {
	name   string
	def    *htmlElement
	own    []*htmlInline // what it wraps its text in
	style  cssStyle      // of blocks, for the paragraphs in it
	styled bool
	ends   bool // the paragraph around it does not go on in it and behind it
	bottom int  // the lines of its lower end
	row    int  // of a row: what htmlTree.lines was before it
	is     htmlHere

	htmlHere
}

// htmlHere is what holds at one place. In htmlOpen.is it is what the element alone says.
type htmlHere struct {
	hidden bool
	pre    bool
	box    *htmlNode     // the block element of the markup that it is in, nil for the root
	wraps  []*htmlInline // the inline elements around it, outermost first
	blocks cssStyle      // the style of the elements around it that are nothing in the markup, for the blocks in them to say
}

func parseHTML(src string) (tree *htmlNode, unsaid []string) {
	p := htmlParser{rest: src}
	p.tree.begin(&p)
	z := html.NewTokenizer(strings.NewReader(src))
	for {
		typ := z.Next()
		if typ == html.ErrorToken {
			break
		}
		p.rest = p.rest[min(len(z.Raw()), len(p.rest)):]
		switch typ {
		case html.TextToken:
			if here := p.here(); !here.hidden {
				p.tree.text(string(z.Text()), here)
			}
		case html.StartTagToken, html.SelfClosingTagToken: // as in a browser, <p/> is <p>
			name, more := z.TagName()
			if def := htmlElements[string(name)]; def != nil {
				p.start(string(name), def, more, z)
			}
		case html.EndTagToken:
			name, _ := z.TagName()
			if def := htmlElements[string(name)]; def != nil {
				p.end(string(name), def)
			}
		}
	}
	p.popTo(0)
	return p.tree.finish(), p.unsaid
}

func (p *htmlParser) here() *htmlHere {
	if n := len(p.open); n > 0 {
		return &p.open[n-1].htmlHere
	}
	return &p.tree.outside
}

func (p *htmlParser) start(name string, def *htmlElement, more bool, z *html.Tokenizer) {
	p.endsBefore(name, def)
	if def.kind == htmlRoot {
		return // it holds for all, and what holds for all says nothing about a part
	}
	if def.kind == htmlHead {
		first := !p.head
		p.head = true
		if !first || !headEnds(p.rest) {
			return // only scripts and the like are hidden then
		}
	}
	var a htmlAttrs
	if more {
		a = readHTMLAttrs(z)
	}
	said := readStyle(a.style)
	here := p.here()
	hidden := here.hidden || said.hidden || a.hidden
	switch def.kind {
	case htmlBreak:
		if !hidden {
			p.tree.lineBreak()
		}
		return
	case htmlRule:
		if !hidden {
			p.tree.boundary(1, true)
			p.tree.text("---", &htmlHere{box: here.box, blocks: here.blocks})
			p.tree.boundary(1, true)
		}
		return
	case htmlImage:
		if !hidden {
			p.image(&a, &said, here)
		}
		return
	}
	e := htmlOpen{name: name, def: def, bottom: def.lines}
	e.is.hidden = said.hidden || a.hidden || def.kind == htmlHidden || def.kind == htmlHead
	e.is.pre = def.pre
	switch said.space {
	case "pre", "pre-wrap", "break-spaces":
		e.is.pre = true
	}
	if !hidden && def.media {
		p.leaveUnsaid("")
	}
	if !hidden && !e.is.hidden {
		p.layout(&e, &a, &said)
	}
	if len(p.open) >= maxHTMLOpen && (!e.is.hidden || here.hidden) {
		p.over++
		return
	}
	p.push(e)
	if name == "q" && !p.here().hidden {
		p.tree.text("“", p.here())
	}
}

// layout finds out what an element is in the markup, and begins a line for it.
func (p *htmlParser) layout(e *htmlOpen, a *htmlAttrs, said *cssSaid) {
	def := e.def
	style := said.style.over(&def.style)
	if p.here().pre && def == htmlElements["code"] {
		return // that it is in pre says it
	}
	if !def.block() || def.wrap != "" {
		e.own = inlines(def, a, &style)
	}
	if !def.block() {
		return
	}
	top := e.bottom
	switch def.kind {
	case htmlTable:
		p.tree.unjoin()
	case htmlRow:
		p.tree.boundary(1, false)
		e.row = p.tree.lines
		return
	case htmlSection:
		e.bottom = 1
		p.tree.boundary(1, false)
		return
	case htmlCell:
		p.cell()
		return
	case htmlPara:
		tight := strings.Contains(a.class, "MsoNormal") || strings.Contains(a.class, "MsoListParagraph")
		if said.top || tight {
			top = 1
		}
		if said.bottom || tight {
			e.bottom = 1
		}
	case htmlList:
		if p.list() != nil {
			top, e.bottom = 1, 1
		}
	}
	if v := oneOf(lower(a.align), "left", "right", "center", "justify"); v != "" && style[cssTextAlign] == "" {
		style[cssTextAlign] = v
	}
	if def.box == "" {
		for _, margin := range []int{cssMarginLeft, cssMarginRight} {
			if cssZero(style[margin]) {
				style[margin] = ""
			}
		}
	}
	e.style, e.styled = style, style != cssStyle{}
	e.ends = def.kind != htmlBlock || e.styled
	p.tree.boundary(top, e.ends)
	if def.box != "" {
		p.box(e, a)
	}
}

// box gives an element a block of its own in the markup, unless there are too many
// around it.
func (p *htmlParser) box(e *htmlOpen, a *htmlAttrs) {
	list := p.list()
	parent := p.tree.block(p.here())
	n := &htmlNode{name: e.def.box, parent: parent, depth: parent.depth + 1, next: 1}
	if (n.name == "li") != parent.isList() {
		n.depth++ // there will be a list, or an item, between
	}
	if n.depth > maxHTMLBlocks {
		return
	}
	style := e.style.over(&p.here().blocks)
	n.style = style.orNil()
	switch {
	case e.name == "ol":
		if start, err := strconv.Atoi(a.start); err == nil && start >= 0 && start < 1e6 {
			n.next = start
		}
	case e.def.kind == htmlItem && list != nil && list.name == "ol":
		if v, err := strconv.Atoi(a.value); err == nil && v >= 0 && v < 1e6 {
			list.next = v
		}
		n.number, n.numbered = list.next, true
		list.next++
	}
	e.is.box = n
}

// list is the list around the place, nil if there is none that it can be an item of.
func (p *htmlParser) list() *htmlNode {
	for i := len(p.open) - 1; i >= 0; i-- {
		switch p.open[i].def.kind {
		case htmlList:
			return p.open[i].is.box
		case htmlCell, htmlQuote:
			return nil
		}
	}
	return nil
}

// cell begins a cell: on the line of the one before it, if that has one line.
func (p *htmlParser) cell() {
	i := p.find(htmlRow)
	if i < 0 {
		p.push(htmlOpen{name: "tr", def: htmlElements["tr"]})
		i = len(p.open) - 1
		p.tree.boundary(1, false)
		p.open[i].row = p.tree.lines
	}
	p.tree.join(p.open[i].row, p.here())
}

func (p *htmlParser) image(a *htmlAttrs, said *cssSaid, here *htmlHere) {
	width, height := imageLength(a.width), imageLength(a.height)
	for _, l := range []string{width, height} {
		if l == "0" || l == "1" {
			return // it is there to be fetched, not to be seen
		}
	}
	alt := XMLText(strings.Join(strings.Fields(a.alt), " "))
	if alt == "" {
		p.leaveUnsaid(cleanURL(a.src, "http", "https"))
	}
	src := imageSource(a.src)
	if src == "" {
		p.tree.text(alt, here)
		return
	}
	attrs := []Attr{{"alt", alt}}
	if height != "" {
		attrs = append(attrs, Attr{"height", height})
	}
	attrs = append(attrs, Attr{"src", src})
	if said.style != (cssStyle{}) {
		attrs = append(attrs, Attr{"style", said.style.String()})
	}
	if width != "" {
		attrs = append(attrs, Attr{"width", width})
	}
	p.tree.image(alt, attrs, here)
}

// leaveUnsaid notes something to be seen that is no text.
func (p *htmlParser) leaveUnsaid(url string) {
	if len(p.unsaid) < maxHTMLImages && !slices.Contains(p.unsaid, url) {
		p.unsaid = append(p.unsaid, url)
	}
}

// push opens an element.
func (p *htmlParser) push(e htmlOpen) {
	p.open = append(p.open, e)
	p.inherit(len(p.open) - 1)
}

// inherit finds out anew what holds in the elements from i on.
func (p *htmlParser) inherit(i int) {
	for ; i < len(p.open); i++ {
		around := &p.tree.outside
		if i > 0 {
			around = &p.open[i-1].htmlHere
		}
		e := &p.open[i]
		e.htmlHere = *around
		e.hidden = around.hidden || e.is.hidden
		e.pre = around.pre || e.is.pre
		if e.is.box != nil {
			e.box, e.blocks = e.is.box, cssStyle{}
		} else if e.styled {
			e.blocks = e.style.over(&around.blocks)
		}
		for _, w := range e.own {
			e.wraps = wrapIn(e.wraps, w)
		}
	}
}

// barePlace reports whether a text here is in no paragraph that the source has: none
// between it and the list item or quote around it.
func (p *htmlParser) barePlace() bool {
	for i := len(p.open) - 1; i >= 0; i-- {
		e := &p.open[i]
		if e.is.box != nil {
			return true
		}
		if e.def.kind == htmlPara || e.styled {
			return false
		}
	}
	return true
}

// popTo ends all elements from i on.
func (p *htmlParser) popTo(i int) {
	for n := len(p.open) - 1; n >= i; n-- {
		e := p.open[n]
		if !e.hidden {
			if e.name == "q" {
				p.tree.text("”", &e.htmlHere)
			}
			if e.def.block() && e.def.kind != htmlCell {
				p.tree.boundary(e.bottom, e.ends)
			}
		}
		p.open = p.open[:n]
	}
}

// remove ends the element i and leaves open what was opened after it. That costs a look at
// all of them, so it is done only as often as anybody can need it.
func (p *htmlParser) remove(i int) {
	if i == len(p.open)-1 || p.open[i].is.hidden || p.tore == maxHTMLRepairs {
		p.popTo(i)
		return
	}
	p.tore++
	p.open = slices.Delete(p.open, i, i+1)
	p.inherit(i)
}
