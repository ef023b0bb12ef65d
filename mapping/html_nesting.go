package mapping

import "strings"

// What ends what, as far as it matters to a text (HTML Living Standard §13.2.6).

// end is for an end tag.
func (p *htmlParser) end(name string, def *htmlElement) {
	if n := len(p.open); p.over > 0 && !(p.open[n-1].is.hidden && p.open[n-1].name == name) {
		p.over--
		if def.block() && !p.here().hidden {
			p.tree.boundary(max(def.lines, 1), def.kind == htmlPara)
		}
		return
	}
	switch def.kind {
	case htmlRoot, htmlRule, htmlImage:
		return
	case htmlBreak: // as in a browser, </br> is <br>
		if !p.here().hidden {
			p.tree.lineBreak()
		}
		return
	}
	heading := def == htmlElements["h1"]
	for i := len(p.open) - 1; i >= 0; i-- {
		e := &p.open[i]
		if e.name == name || heading && e.def == def {
			if def.block() || e.is.hidden {
				p.popTo(i)
			} else {
				p.remove(i)
			}
			return
		}
		if e.def.kind == htmlTable || e.def.kind == htmlCell && def.kind < htmlTable {
			break
		}
	}
	if name == "p" && !p.here().hidden { // as in a browser, a lone </p> is <p></p>
		p.tree.boundary(def.lines, true)
	}
}

// endsBefore ends what a start tag ends.
func (p *htmlParser) endsBefore(name string, def *htmlElement) {
	shown := def.block() || def.kind == htmlBreak || def.kind == htmlImage || def.wrap == "strong" || def.wrap == "em"
	if n := len(p.open); n > 0 && p.open[n-1].hidden {
		for i := n - 1; i >= 0; i-- {
			open := &p.open[i]
			if open.def.kind == htmlHead && def.kind == htmlRoot && name == "body" {
				p.popTo(i)
				break
			}
			if (open.name == "svg" || open.name == "math") && shown {
				p.popTo(i)
				break
			}
		}
	}
	switch def.kind {
	case htmlItem:
		for i := len(p.open) - 1; i >= 0; i-- {
			if k := p.open[i].def.kind; k == htmlItem {
				p.popTo(i)
				break
			} else if k == htmlList || k == htmlQuote || k >= htmlTable || k == htmlHidden {
				break
			}
		}
	case htmlSection, htmlRow, htmlCell:
		for i := len(p.open) - 1; i >= 0; i-- {
			k := p.open[i].def.kind
			if k == htmlTable || k == htmlHidden || def.kind > k && k >= htmlTable {
				break
			}
			if k == def.kind {
				p.popTo(i)
				break
			}
		}
	}
	if name == "dt" || name == "dd" {
		p.endOpen(func(e *htmlOpen) bool { return e.name == "dt" || e.name == "dd" }, func(e *htmlOpen) bool { return e.name == "dl" })
	}
	if def.block() {
		p.endOpen(func(e *htmlOpen) bool { return e.name == "p" }, func(e *htmlOpen) bool { return false })
	}
	if def.wrap == "a" {
		for i := len(p.open) - 1; i >= 0 && !p.open[i].closesScope(); i-- {
			if p.open[i].def.wrap == "a" {
				p.remove(i)
				break
			}
		}
	}
}

// endOpen ends the innermost element that is meant, if none that stops is around the
// place before it.
func (p *htmlParser) endOpen(meant, stops func(*htmlOpen) bool) {
	for i := len(p.open) - 1; i >= 0; i-- {
		e := &p.open[i]
		if meant(e) {
			p.popTo(i)
			return
		}
		if stops(e) || e.closesScope() {
			return
		}
	}
}

// closesScope reports whether tags in e end nothing around it.
func (e *htmlOpen) closesScope() bool { return e.def.kind >= htmlTable || e.def.kind == htmlHidden }

// find is the index of the row around the place, -1 if it is in none.
func (p *htmlParser) find(kind htmlKind) int {
	for i := len(p.open) - 1; i >= 0; i-- {
		if k := p.open[i].def.kind; k == kind {
			return i
		} else if k == htmlTable {
			break
		}
	}
	return -1
}

// headEnds reports whether a head that begins before src has an end: otherwise it has
// the text in it.
func headEnds(src string) bool {
	for i := 0; ; {
		next := strings.IndexByte(src[i:], '<')
		if next < 0 {
			return false
		}
		i += next + 1
		if rest := lower(src[i:min(i+5, len(src))]); rest == "/head" || strings.HasPrefix(rest, "body") {
			return true
		}
	}
}
