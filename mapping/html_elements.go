package mapping

// htmlKind is what an element is to the layout.
type htmlKind uint8

const (
	htmlFlow    htmlKind = iota
	htmlRoot             // html and body: nothing but the end of the head
	htmlHead             // hidden, if it has an end
	htmlHidden           // not shown, or not text
	htmlBreak            // br
	htmlRule             // hr
	htmlImage            // img
	htmlBlock            // lines of its own
	htmlPara             // a paragraph of its own
	htmlList             // ul, ol
	htmlItem             // li
	htmlQuote            // blockquote
	htmlTable            // table
	htmlSection          // thead, tbody, tfoot
	htmlRow              // tr
	htmlCell             // td, th
)

// htmlElement is what is known about the elements of one name.
type htmlElement struct {
	kind  htmlKind
	box   string   // the block element of the markup, "" if it has none but the paragraph
	wrap  string   // the inline element of the markup, "" if none
	style cssStyle // the style that is as good as the element
	lines int      // blocks: 1 if others stand on the next line, 2 if a blank line is between
	pre   bool     // white space is kept
	media bool     // something is to be seen there that is no text
}

func htmlStyle(property int, value string) (s cssStyle) {
	s[property] = value
	return s
}

// htmlElements has every element that is more than its content. As a browser does, others
// are passed over and their content is kept.
var htmlElements = newHTMLElements()

func newHTMLElements() map[string]*htmlElement {
	mono := htmlStyle(cssFontFamily, "monospace")
	m := map[string]*htmlElement{
		"html": {kind: htmlRoot}, "body": {kind: htmlRoot}, "head": {kind: htmlHead},
		"br": {kind: htmlBreak}, "hr": {kind: htmlRule}, "img": {kind: htmlImage},

		"p":          {kind: htmlPara, lines: 2},
		"pre":        {kind: htmlPara, lines: 2, pre: true, style: mono},
		"center":     {kind: htmlBlock, lines: 1, style: htmlStyle(cssTextAlign, "center")},
		"dd":         {kind: htmlBlock, lines: 1, style: htmlStyle(cssMarginLeft, "2em")},
		"ul":         {kind: htmlList, box: "ul", lines: 2},
		"ol":         {kind: htmlList, box: "ol", lines: 2},
		"li":         {kind: htmlItem, box: "li", lines: 1},
		"blockquote": {kind: htmlQuote, box: "blockquote", lines: 2},
		"table":      {kind: htmlTable, lines: 1},
		"tr":         {kind: htmlRow, lines: 1},
		"td":         {kind: htmlCell},
		"th":         {kind: htmlCell, wrap: "strong"},

		"a":    {wrap: "a"},
		"span": {wrap: "span"},
		"font": {wrap: "span"},
		"q":    {wrap: "span"},
		"cite": {wrap: "cite"},
		"mark": {wrap: "span", style: htmlStyle(cssBackground, "yellow")},

		"big":   {wrap: "span", style: htmlStyle(cssFontSize, "larger")},
		"small": {wrap: "span", style: htmlStyle(cssFontSize, "smaller")},
	}
	add := func(e *htmlElement, names ...string) {
		for _, n := range names {
			m[n] = e
		}
	}
	add(&htmlElement{kind: htmlHidden}, "script", "style", "title", "template", "noscript", "noembed", "noframes", "frameset",
		"select", "datalist", "progress", "meter", "xml")
	add(&htmlElement{kind: htmlHidden, media: true}, "iframe", "object", "applet", "svg", "math", "audio", "video", "canvas")
	add(&htmlElement{kind: htmlBlock, lines: 1}, "address", "article", "aside", "caption", "details", "dialog", "div", "dt",
		"fieldset", "figcaption", "footer", "form", "header", "hgroup", "legend", "main", "nav", "section", "summary")
	add(&htmlElement{kind: htmlBlock, lines: 2}, "dl", "figure")
	add(&htmlElement{kind: htmlPara, lines: 2, wrap: "strong"}, "h1", "h2", "h3", "h4", "h5", "h6")
	add(m["pre"], "listing", "xmp", "plaintext", "textarea")
	add(m["ul"], "menu", "dir")
	add(&htmlElement{kind: htmlSection}, "thead", "tbody", "tfoot")
	add(&htmlElement{wrap: "strong"}, "b", "strong")
	add(&htmlElement{wrap: "em"}, "i", "em", "dfn", "var")
	add(&htmlElement{wrap: "span", style: mono}, "code", "tt", "kbd", "samp")
	add(&htmlElement{wrap: "span", style: htmlStyle(cssDecoration, "underline")}, "u", "ins")
	add(&htmlElement{wrap: "span", style: htmlStyle(cssDecoration, "line-through")}, "s", "strike", "del")
	return m
}

// block reports whether the element stands on lines of its own.
func (e *htmlElement) block() bool { return e.kind >= htmlBlock || e.kind == htmlRule }
