package mapping

import (
	"slices"
	"strings"
	"unicode"
)

// The CSS properties of the markup (XEP-0071 §7), in the order in which they are written.
const (
	cssBackground = iota
	cssColor
	cssFontFamily
	cssFontSize
	cssFontStyle
	cssFontWeight
	cssMarginLeft
	cssMarginRight
	cssTextAlign
	cssDecoration
	cssProperties
)

var cssNames = [cssProperties]string{"background-color", "color", "font-family", "font-size", "font-style", "font-weight",
	"margin-left", "margin-right", "text-align", "text-decoration"}

// cssStyle has a value for each property that is set, "" for others. A value is made of
// letters, digits, spaces and "#%.,()-'" and has no function but rgb, rgba, hsl and hsla.
type cssStyle [cssProperties]string

// maxStyle is how much of a style attribute is read, and maxFonts how many names a list
// of fonts has.
const (
	maxStyle = 4096
	maxFonts = 8
)

// String is the value of the attribute.
func (s *cssStyle) String() string {
	var b strings.Builder
	for p, v := range s {
		if v != "" {
			if b.Len() > 0 {
				b.WriteString("; ")
			}
			b.WriteString(cssNames[p])
			b.WriteString(": ")
			b.WriteString(v)
		}
	}
	return b.String()
}

// orNil is a copy of s to be kept, nil if nothing is said. Most of a text has no style, and
// a style is larger than all else that is kept of a piece of it.
func (s *cssStyle) orNil() *cssStyle {
	if *s == (cssStyle{}) {
		return nil
	}
	kept := *s
	return &kept
}

// over is s where it says something, and below where not. Lines under and through a text
// add up.
func (s *cssStyle) over(below *cssStyle) cssStyle {
	out := *s
	for p, v := range below {
		if out[p] == "" {
			out[p] = v
		}
	}
	out[cssDecoration] = joinDecorations(s[cssDecoration], below[cssDecoration])
	return out
}

func joinDecorations(a, b string) string {
	switch {
	case a == b, b == "", b == "none":
		return a
	case a == "", a == "none":
		return b
	}
	return cssLines(a + " " + b)
}

// inline is s without what is said of blocks only.
func (s *cssStyle) inline() cssStyle {
	out := *s
	out[cssMarginLeft], out[cssMarginRight], out[cssTextAlign] = "", "", ""
	return out
}

// cssSaid is what a style attribute says: the style of the markup, and what changes the
// text itself.
type cssSaid struct {
	style       cssStyle
	top, bottom bool   // there is no margin above, below
	hidden      bool   // it is not shown at all
	space       string // white-space, "" if not said
}

// readStyle reads a style attribute. A declaration that is not plainly one of the
// whitelist is left out, the others count.
func readStyle(s string) (said cssSaid) {
	if len(s) > maxStyle {
		s = s[:maxStyle]
		s = s[:strings.LastIndexByte(s, ';')+1]
	}
	for s != "" {
		var one string
		one, s = cutDeclaration(s)
		name, value, ok := strings.Cut(one, ":")
		if !ok {
			continue
		}
		said.declare(lower(strings.TrimSpace(name)), strings.TrimSpace(value))
	}
	return said
}

// cutDeclaration takes what is before the first semicolon outside of quotes and brackets.
func cutDeclaration(s string) (one, rest string) {
	var quote byte
	depth := 0
	for i := range len(s) {
		switch c := s[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '(':
			depth++
		case c == ')':
			depth = max(depth-1, 0)
		case c == ';' && depth == 0:
			return s[:i], s[i+1:]
		}
	}
	return s, ""
}

func (said *cssSaid) declare(name, value string) {
	low := lower(value)
	switch name {
	case "display":
		said.hidden = low == "none"
	case "mso-hide":
		said.hidden = said.hidden || low == "all"
	case "white-space":
		said.space = low
	case "margin":
		sides := strings.Fields(low)
		if n := len(sides); n > 0 && n <= 4 {
			said.top, said.bottom = cssZero(sides[0]), cssZero(sides[0])
			if n > 2 {
				said.bottom = cssZero(sides[2])
			}
		}
	case "margin-top":
		said.top = cssZero(low)
	case "margin-bottom":
		said.bottom = cssZero(low)
	case "background":
		name = "background-color"
	case "text-decoration-line":
		name = "text-decoration"
	}
	p := slices.Index(cssNames[:], name)
	if p < 0 {
		return
	}
	switch p {
	case cssBackground, cssColor:
		value = cssColour(low)
	case cssFontFamily:
		value = cssFonts(value)
	case cssFontSize:
		value = cssSize(low)
	case cssFontStyle:
		value = oneOf(low, "normal", "italic", "oblique")
	case cssFontWeight:
		value = oneOf(low, "normal", "bold", "bolder", "lighter", "100", "200", "300", "400", "500", "600", "700", "800", "900")
	case cssMarginLeft, cssMarginRight:
		value = cssLength(low)
	case cssTextAlign:
		value = oneOf(low, "left", "right", "center", "justify")
	case cssDecoration:
		value = cssLines(low)
	}
	if value != "" {
		said.style[p] = value
	}
}

func oneOf(s string, words ...string) string {
	if slices.Contains(words, s) {
		return s
	}
	return ""
}

// cssColour is the value of a colour: a name, #rgb, #rrggbb or the numbers.
func cssColour(s string) string {
	all := func(s, chars string) bool { return strings.Trim(s, chars) == "" }
	const letters, digits = "abcdefghijklmnopqrstuvwxyz", "0123456789"
	if hex, ok := strings.CutPrefix(s, "#"); ok {
		if (len(hex) == 3 || len(hex) == 6) && all(hex, digits+"abcdef") {
			return s
		}
		return ""
	}
	if f, args, ok := strings.Cut(s, "("); ok {
		inner, closed := strings.CutSuffix(args, ")")
		if closed && oneOf(f, "rgb", "rgba", "hsl", "hsla") != "" && len(inner) <= 40 && inner != "" && all(inner, digits+".,% ") {
			return s
		}
		return ""
	}
	// Of the words that are no colour, some hide the text, others mean what is around it.
	if s == "" || len(s) > 20 || !all(s, letters) || oneOf(s, "transparent", "inherit", "initial", "unset", "revert", "none", "windowtext", "expression") != "" {
		return ""
	}
	return s
}

// cssFonts is a list of fonts, each quoted if it has to be.
func cssFonts(s string) string {
	var out []string
	for name := range strings.SplitSeq(s, ",") {
		name = strings.TrimSpace(name)
		if n := len(name); n >= 2 && (name[0] == '\'' || name[0] == '"') && name[n-1] == name[0] {
			name = name[1 : n-1]
		}
		name = strings.Join(strings.Fields(name), " ")
		bare := true
		for i, r := range name {
			switch {
			case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z':
			case unicode.IsLetter(r), i == 0 && '0' <= r && r <= '9', r == ' ':
				bare = false
			case '0' <= r && r <= '9', r == '-':
			default:
				return ""
			}
		}
		if name == "" || len(name) > 60 || len(out) == maxFonts {
			continue
		}
		if !bare {
			name = "'" + name + "'"
		}
		out = append(out, name)
	}
	return strings.Join(out, ", ")
}

// cssSize is the value of font-size.
func cssSize(s string) string {
	if w := oneOf(s, "xx-small", "x-small", "small", "medium", "large", "x-large", "xx-large", "larger", "smaller"); w != "" {
		return w
	}
	if s = cssLength(s); s == "" || cssZero(s) {
		return ""
	}
	return s
}

// cssLength is a number and its unit; 0 needs none. Negative ones would move a text over
// another.
func cssLength(s string) string {
	number := strings.TrimRight(s, "abcdefghijklmnopqrstuvwxyz%")
	unit := s[len(number):]
	whole, part, dot := strings.Cut(number, ".")
	if len(whole) > 3 || len(part) > 4 || whole+part == "" || dot && part == "" || strings.Trim(whole+part, "0123456789") != "" {
		return ""
	}
	if unit == "" && !cssZero(s) || unit != "" && oneOf(unit, "px", "pt", "em", "rem", "ex", "ch", "%", "in", "cm", "mm", "pc") == "" {
		return ""
	}
	return s
}

// cssZero reports whether a length is none at all, or none to speak of: Word has 0.0001pt.
func cssZero(s string) bool {
	whole, part, _ := strings.Cut(strings.TrimRight(s, "abcdefghijklmnopqrstuvwxyz%"), ".")
	return whole+part != "" && strings.Trim(whole, "0") == "" && (strings.Trim(part, "0") == "" || strings.HasPrefix(part, "00"))
}

// cssLines is the value of text-decoration: the lines it has, in one order.
func cssLines(s string) string {
	words := strings.Fields(s)
	if len(words) == 1 && words[0] == "none" {
		return "none"
	}
	for _, w := range words {
		if oneOf(w, "underline", "overline", "line-through") == "" {
			return ""
		}
	}
	var out []string
	for _, w := range []string{"underline", "overline", "line-through"} {
		if slices.Contains(words, w) {
			out = append(out, w)
		}
	}
	return strings.Join(out, " ")
}
