package mapping

import (
	"slices"
	"strings"

	"golang.org/x/net/html"
)

// htmlInline is an inline element of the markup around a text. Two that are equal, and
// no links, are one where they meet.
type htmlInline struct {
	name  string // a, cite, em, span, strong
	style cssStyle
	href  string
	typ   string

	// Of links.

	text []byte    // what is in it
	last *htmlNode // where it ends in the tree
}

func (w *htmlInline) like(v *htmlInline) bool {
	return w == v || w.name == v.name && w.name != "a" && w.style == v.style
}

// htmlAttrs is what is looked at in a tag.
type htmlAttrs struct {
	style, class, align, start, value  string
	href, typ, src, alt, width, height string
	color, face, size                  string // of font
	hidden                             bool
}

func readHTMLAttrs(z *html.Tokenizer) (a htmlAttrs) {
	fields := [...]struct {
		name  string
		field *string
	}{{"style", &a.style}, {"class", &a.class}, {"align", &a.align}, {"start", &a.start}, {"value", &a.value}, {"href", &a.href},
		{"type", &a.typ}, {"src", &a.src}, {"alt", &a.alt}, {"width", &a.width}, {"height", &a.height}, {"color", &a.color},
		{"face", &a.face}, {"size", &a.size}}
	for more, n := true, 0; more && n < maxHTMLAttrs; n++ {
		var key, value []byte
		key, value, more = z.TagAttr()
		if string(key) == "hidden" {
			a.hidden = true
		}
		for _, f := range fields {
			if string(key) == f.name && *f.field == "" { // of two the first counts
				*f.field = string(value)
			}
		}
	}
	return a
}

// inlines are the elements of the markup that stand for one of the source.
func inlines(def *htmlElement, a *htmlAttrs, style *cssStyle) (out []*htmlInline) {
	own := style.inline()
	fontStyle(&own, a)
	wrap := def.wrap
	switch wrap {
	case "a":
		if href := linkTarget(a.href); href != "" {
			return []*htmlInline{{name: "a", href: href, typ: linkType(a.typ), style: own}}
		}
	case "cite":
		return []*htmlInline{{name: "cite", style: own}}
	case "strong":
		// Some editors write <b style="font-weight:normal"> around everything.
		if w := own[cssFontWeight]; w == "" || w > "500" && w < "a" || strings.HasPrefix(w, "bold") {
			own[cssFontWeight] = ""
			out = append(out, &htmlInline{name: "strong"})
		}
	case "em":
		if w := own[cssFontStyle]; w != "normal" {
			own[cssFontStyle] = ""
			out = append(out, &htmlInline{name: "em"})
		}
	}
	if def.block() {
		return out // the paragraph has the style
	}
	if own != (cssStyle{}) {
		out = append(out, &htmlInline{name: "span", style: own})
	}
	return out
}

// fontStyle adds what a font element says in attributes.
func fontStyle(s *cssStyle, a *htmlAttrs) {
	set := func(p int, v string) {
		if s[p] == "" {
			s[p] = v
		}
	}
	if a.color != "" {
		set(cssColor, cssColour(lower(strings.TrimSpace(a.color))))
	}
	if a.face != "" {
		set(cssFontFamily, cssFonts(a.face))
	}
	switch size := strings.TrimSpace(a.size); {
	case size == "":
	case size[0] == '+':
		set(cssFontSize, "larger")
	case size[0] == '-':
		set(cssFontSize, "smaller")
	case len(size) == 1 && '1' <= size[0] && size[0] <= '7':
		set(cssFontSize, [...]string{"x-small", "small", "medium", "large", "x-large", "xx-large", "xx-large"}[size[0]-'1'])
	}
}

// wrapIn is wraps with one more around the text, unless that would say nothing new. Where
// there are enough, styles are put together, and a link is worth more than a style.
func wrapIn(wraps []*htmlInline, w *htmlInline) []*htmlInline {
	var around cssStyle
	for _, v := range wraps {
		if v.name == w.name && w.name != "span" {
			return wraps
		}
		if w.name == "span" {
			around = v.style.over(&around)
		}
	}
	if w.name == "span" && w.style.over(&around) == around {
		return wraps
	}
	if len(wraps) < maxHTMLInlines {
		return append(slices.Clip(wraps), w)
	}
	last := wraps[len(wraps)-1]
	switch {
	case w.name == "span" && last.name == "span":
		w = &htmlInline{name: "span", style: w.style.over(&last.style)}
	case w.name != "a" || last.name == "a":
		return wraps
	}
	return append(slices.Clone(wraps[:len(wraps)-1]), w)
}
