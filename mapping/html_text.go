package mapping

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// htmlText writes the tree as plain text.
type htmlText struct {
	out   strings.Builder
	links bool // all targets are told
	room  int  // for what is not from the source: marks before lines, targets

	in   []*htmlMark // what the line is in
	was  []*htmlMark // what the last one was in
	line []byte
	gap  bool // a blank line is due
	sp   bool // a space of the source is due
}

// htmlMark is what stands before the lines of a quote or an item.
type htmlMark struct{ first, rest string }

// plainHTML is the tree as a text. size is the length of the source.
func plainHTML(root *htmlNode, links bool, size int) string {
	t := htmlText{links: links, room: 2*size + htmlRoom}
	t.block(root)
	return t.out.String()
}

func (t *htmlText) block(n *htmlNode) {
	switch n.name {
	case "blockquote":
		t.in = append(t.in, &htmlMark{"> ", "> "})
	case "li":
		m := &htmlMark{"- ", "  "}
		if n.numbered {
			m.first = strconv.Itoa(n.number) + ". "
			m.rest = strings.Repeat(" ", len(m.first))
		}
		t.in = append(t.in, m)
	}
	for _, k := range n.nodes {
		if k.name != "p" {
			t.block(k)
			continue
		}
		t.gap = t.gap || k.gap > 1
		t.inline(k)
		t.endLine()
	}
	if n.name == "blockquote" || n.name == "li" {
		t.in = t.in[:len(t.in)-1]
	}
}

func (t *htmlText) inline(n *htmlNode) {
	for _, k := range n.nodes {
		switch k.name {
		case "#":
			if k.pre {
				t.word(string(k.text))
			} else {
				t.text(string(k.text))
			}
		case "br":
			t.endLine()
		case "img":
			t.text(k.attrs[0].Value)
		default:
			t.inline(k)
			if k.wrap.last == k {
				t.target(k.wrap)
			}
		}
	}
}

// text adds a text in which spaces separate. Two that meet where an image had been are
// one.
func (t *htmlText) text(s string) {
	inner := strings.TrimLeft(s, " ")
	t.sp = t.sp || len(inner) < len(s)
	s = strings.TrimRight(inner, " ")
	if s != "" {
		t.word(s)
		t.sp = len(s) < len(inner)
	}
}

func (t *htmlText) word(s string) {
	if t.sp && len(t.line) > 0 {
		t.line = append(t.line, ' ')
	}
	t.sp = false
	t.line = append(t.line, s...)
}

// target adds the target of a link behind its text.
func (t *htmlText) target(w *htmlInline) {
	if w.name != "a" || t.room < len(w.href)+3 {
		return
	}
	text := strings.TrimSpace(string(w.text))
	if text != "" && (sameTarget(text, w.href) || !t.links && frontPage(w.href) && !namesPlace(text)) {
		return
	}
	t.room -= len(w.href) + 3
	due := t.sp && text != "" // otherwise it is from before the link
	if last := len(t.line) - 1; last >= 0 && t.line[last] != ' ' {
		t.line = append(t.line, ' ')
	}
	t.sp = false
	t.word("<" + w.href + ">")
	t.sp = due
}

func (t *htmlText) endLine() {
	end := len(t.line)
	for end > 0 {
		r, n := utf8.DecodeLastRune(t.line[:end])
		if r != ' ' && r != '\t' && r != '\u00a0' {
			break
		}
		end -= n
	}
	line := t.line[:end]
	t.line, t.sp = t.line[:0], false
	if blankText(string(line)) {
		t.gap = true
		return
	}
	if t.out.Len() > 0 {
		t.out.WriteByte('\n')
		if t.gap {
			t.mark(t.common(), true)
			t.out.WriteByte('\n')
		}
	}
	t.gap = false
	t.mark(t.in, false)
	t.out.Write(line)
	t.was = append(t.was[:0], t.in...)
}

// common is what both the last line and this one are in: the blank line between them is
// in that.
func (t *htmlText) common() []*htmlMark {
	n := 0
	for n < len(t.in) && n < len(t.was) && t.in[n] == t.was[n] {
		n++
	}
	return t.in[:n]
}

func (t *htmlText) mark(in []*htmlMark, blank bool) {
	var b strings.Builder
	for _, m := range in {
		if blank {
			b.WriteString(m.rest)
		} else {
			b.WriteString(m.first)
		}
	}
	s := b.String()
	if blank {
		s = strings.TrimRight(s, " ")
	} else {
		for _, m := range in {
			m.first = m.rest
		}
	}
	if t.room >= len(s) {
		t.room -= len(s)
		t.out.WriteString(s)
	}
}
