package mapping

import (
	"encoding/xml"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// The table of XEP-0071 §7 and what the specification adds to it, written down here once
// more: none of it is taken from what is tested.
var (
	whitelistedAttrs = map[string][]string{
		"a":          {"href", "style", "type"},
		"blockquote": {"style"},
		"br":         {},
		"cite":       {"style"},
		"em":         {},
		"img":        {"alt", "height", "src", "style", "width"},
		"li":         {"style"},
		"ol":         {"style"},
		"p":          {"style"},
		"span":       {"style"},
		"strong":     {},
		"ul":         {"style"},
	}
	whitelistedHref   = regexp.MustCompile("^((https?://[^/?#\\s]+)|(mailto|xmpp|sip|tel|cid):)[^\\s\"<>\\\\^`{|}\\x00-\\x20\\x7f-\\x9f]*$")
	whitelistedSrc    = regexp.MustCompile("^(https://[^/?#\\s]+|cid:)[^\\s\"<>\\\\^`{|}\\x00-\\x20\\x7f-\\x9f]*$")
	whitelistedType   = regexp.MustCompile("^[a-z0-9.!%*_+`'~-]+/[a-z0-9.!%*_+`'~-]+$")
	whitelistedLength = regexp.MustCompile(`^[0-9]{1,5}%?$`)
	whitelistedStyle  = map[string]*regexp.Regexp{
		"background-color": regexp.MustCompile(`^(#[0-9a-f]{3}|#[0-9a-f]{6}|[a-z]+|(rgb|hsl)a?\([0-9., %]+\))$`),
		"color":            regexp.MustCompile(`^(#[0-9a-f]{3}|#[0-9a-f]{6}|[a-z]+|(rgb|hsl)a?\([0-9., %]+\))$`),
		"font-family":      regexp.MustCompile(`^([A-Za-z-][A-Za-z0-9-]*|'[\pL0-9 -]+')(, ([A-Za-z-][A-Za-z0-9-]*|'[\pL0-9 -]+'))*$`),
		"font-size":        regexp.MustCompile(`^([0-9.]+(px|pt|em|rem|ex|ch|%|in|cm|mm|pc)|(xx?-)?(small|large)|medium|smaller|larger)$`),
		"font-style":       regexp.MustCompile(`^(normal|italic|oblique)$`),
		"font-weight":      regexp.MustCompile(`^(normal|bold|bolder|lighter|[1-9]00)$`),
		"margin-left":      regexp.MustCompile(`^[0-9.]+(px|pt|em|rem|ex|ch|%|in|cm|mm|pc)?$`),
		"margin-right":     regexp.MustCompile(`^[0-9.]+(px|pt|em|rem|ex|ch|%|in|cm|mm|pc)?$`),
		"text-align":       regexp.MustCompile(`^(left|right|center|justify)$`),
		"text-decoration":  regexp.MustCompile(`^(none|(underline|overline|line-through)( (overline|line-through))*)$`),
	}
	// XHTML 1.0: what may be in what. body stands for the element around it all.
	blocks, inlineElements = "blockquote ol p ul", "a br cite em img span strong"
	contentModels          = map[string]string{
		"body": blocks, "blockquote": blocks, "ul": "li", "ol": "li", "li": blocks + " " + inlineElements + " #",
		"p": inlineElements + " #", "a": inlineElements + " #", "cite": inlineElements + " #", "em": inlineElements + " #",
		"span": inlineElements + " #", "strong": inlineElements + " #", "br": "", "img": "",
	}
)

const deepestXHTML = 20

func inModel(outer, inner string) bool {
	return strings.Contains(" "+contentModels[outer]+" ", " "+inner+" ")
}

// printXHTML is a serialiser of a few lines. That in component is tested there.
func printXHTML(nodes []Node) string {
	var b strings.Builder
	escape := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "'", "&apos;", `"`, "&quot;")
	var walk func([]Node)
	walk = func(nodes []Node) {
		for _, n := range nodes {
			if n.Name == "" {
				b.WriteString(escape.Replace(n.Text))
				continue
			}
			b.WriteString("<" + n.Name)
			for _, a := range n.Attrs {
				b.WriteString(" " + a.Name + "='" + escape.Replace(a.Value) + "'")
			}
			if len(n.Nodes) == 0 {
				b.WriteString("/>")
				continue
			}
			b.WriteString(">")
			walk(n.Nodes)
			b.WriteString("</" + n.Name + ">")
		}
	}
	walk(nodes)
	return b.String()
}

// checkHTML holds both forms of an HTML text against what is promised of them.
func checkHTML(src string) error {
	plain, markup, _ := readHTML(src, false)
	if err := checkPlain(src, plain); err != nil {
		return fmt.Errorf("plain: %w\n%q", err, plain)
	}
	all, _, _ := readHTML(src, true)
	if err := checkPlain(src, all); err != nil {
		return fmt.Errorf("plain, with links: %w\n%q", err, all)
	}
	if markup == nil {
		return nil
	}
	printed := printXHTML(markup)
	if len(printed) > 4*len(src)+1024 {
		return fmt.Errorf("%d bytes of markup from %d", len(printed), len(src))
	}
	if err := checkNodes("body", markup); err != nil {
		return fmt.Errorf("%w\n%s", err, printed)
	}
	if err := checkWhitelist(printed); err != nil {
		return fmt.Errorf("%w\n%s", err, printed)
	}
	if plain == "" && !strings.Contains(printed, "<img ") {
		return fmt.Errorf("markup without text: %s", printed)
	}
	if _, again, _ := readHTML(printed, false); !reflect.DeepEqual(again, markup) {
		return fmt.Errorf("read once more\n%s\nis\n%s", printed, printXHTML(again))
	}
	return nil
}

// checkPlain is about the form of a plain text.
func checkPlain(src, s string) error {
	switch {
	case s != XMLText(s):
		return fmt.Errorf("it has what XML forbids")
	case len(s) > 6*len(src)+2048:
		return fmt.Errorf("%d bytes from %d", len(s), len(src))
	case strings.ContainsRune(s, '\r'):
		return fmt.Errorf("it has a CR")
	case strings.HasPrefix(s, "\n"), strings.HasSuffix(s, "\n"):
		return fmt.Errorf("a blank line is at an end")
	case strings.Contains(s, "\n\n\n"):
		return fmt.Errorf("two blank lines")
	}
	for line := range strings.SplitSeq(s, "\n") {
		if strings.TrimRight(line, " \t\u00a0") != line {
			return fmt.Errorf("spaces are at the end of %q", line)
		}
	}
	return nil
}

// checkNodes finds what the printed form does not show.
func checkNodes(outer string, nodes []Node) error {
	for i, n := range nodes {
		switch {
		case n.Name != "" && n.Text != "":
			return fmt.Errorf("an element %s that is also a text", n.Name)
		case n.Name == "" && (n.Text == "" || len(n.Nodes) > 0 || len(n.Attrs) > 0):
			return fmt.Errorf("in %s a node that is nothing: %+v", outer, n)
		case n.Name == "" && i > 0 && nodes[i-1].Name == "":
			return fmt.Errorf("in %s two texts side by side: %q, %q", outer, nodes[i-1].Text, n.Text)
		case n.Name != "" && n.Name != "br" && n.Name != "img" && len(n.Nodes) == 0:
			return fmt.Errorf("in %s an empty %s", outer, n.Name)
		case n.Name == "span" && len(n.Attrs) == 0:
			return fmt.Errorf("in %s a span that says nothing", outer)
		}
		if err := checkNodes(n.Name, n.Nodes); err != nil {
			return err
		}
	}
	return nil
}

// checkWhitelist reads the markup as an XML parser does and holds it against the table.
func checkWhitelist(printed string) error {
	d := xml.NewDecoder(strings.NewReader("<body>" + printed + "</body>"))
	var open []string
	for {
		tok, err := d.Token()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			name := tok.Name.Local
			if len(open) > 0 {
				if err := checkElement(open, tok); err != nil {
					return err
				}
			}
			if open = append(open, name); len(open) > deepestXHTML {
				return fmt.Errorf("too deep: %v", open)
			}
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			if len(tok) > 0 && !inModel(open[len(open)-1], "#") {
				return fmt.Errorf("a text %q in %v", tok, open)
			}
		default:
			return fmt.Errorf("a %T", tok)
		}
	}
}

func checkElement(open []string, e xml.StartElement) error {
	name := e.Name.Local
	allowed, ok := whitelistedAttrs[name]
	if !ok || e.Name.Space != "" {
		return fmt.Errorf("element %v", e.Name)
	}
	if !inModel(open[len(open)-1], name) {
		return fmt.Errorf("%s in %v", name, open)
	}
	if name == "a" && strings.Contains(strings.Join(open, " ")+" ", " a ") {
		return fmt.Errorf("a link in a link")
	}
	have := map[string]bool{}
	for _, a := range e.Attr {
		if !strings.Contains(" "+strings.Join(allowed, " ")+" ", " "+a.Name.Local+" ") || a.Name.Space != "" || have[a.Name.Local] {
			return fmt.Errorf("%s with %v", name, a.Name)
		}
		have[a.Name.Local] = true
		switch ok := true; a.Name.Local {
		case "href":
			ok = whitelistedHref.MatchString(a.Value)
			fallthrough
		case "src":
			if a.Name.Local == "src" {
				ok = whitelistedSrc.MatchString(a.Value)
			}
			if !ok {
				return fmt.Errorf("%s %q", a.Name.Local, a.Value)
			}
		case "type":
			if !whitelistedType.MatchString(a.Value) {
				return fmt.Errorf("type %q", a.Value)
			}
		case "width", "height":
			if !whitelistedLength.MatchString(a.Value) {
				return fmt.Errorf("%s %q", a.Name.Local, a.Value)
			}
		case "style":
			if err := checkStyle(a.Value); err != nil {
				return err
			}
		}
	}
	if name == "a" && !have["href"] || name == "img" && !(have["src"] && have["alt"]) {
		return fmt.Errorf("%s with no more than %v", name, e.Attr)
	}
	return nil
}

func checkStyle(s string) error {
	have := map[string]bool{}
	for one := range strings.SplitSeq(s, "; ") {
		name, value, _ := strings.Cut(one, ": ")
		form := whitelistedStyle[name]
		if form == nil || !form.MatchString(value) || have[name] {
			return fmt.Errorf("style %q", one)
		}
		have[name] = true
	}
	return nil
}

// A check that lets everything pass would be of no use.
func TestWhitelistIsChecked(t *testing.T) {
	for _, bad := range []string{
		`<b>x</b>`, `<p><p>x</p></p>`, `x`, `<p onclick='x'>x</p>`, `<p><a href='javascript:x'>x</a></p>`, `<p><a>x</a></p>`,
		`<p><a href='http:x'>x</a></p>`, `<p><a href='https://x y'>x</a></p>`, `<p><img src='http://x/' alt=''/></p>`, `<p><img src='cid:x'/></p>`,
		`<ul>x</ul>`, `<ul><p>x</p></ul>`, `<p><ul><li>x</li></ul></p>`, `<p style='background:red'>x</p>`, `<p style='color: url(x)'>x</p>`,
		`<p style='color: red; color: red'>x</p>`, `<p style=''>x</p>`, `<p><em style='color: red'>x</em></p>`, `<script>x</script>`, `<p>`, `<p>&nbsp;</p>`,
		`<p><a href='cid:x'><em><a href='cid:x'>x</a></em></a></p>`, `<!-- x -->`, `<p>` + strings.Repeat("<em>", 20) + "x" + strings.Repeat("</em>", 20) + `</p>`,
		`<p><img src='cid:x' alt='' width='1e9'/></p>`, `<p xml:lang='de'>x</p>`, `<p style='font-family: "a"'>x</p>`,
	} {
		if err := checkWhitelist(bad); err == nil {
			t.Errorf("%s passes", bad)
		}
	}
	if err := checkWhitelist(`<p style='color: red; text-decoration: underline'>a <a href='https://example.net/?a=1&amp;b=2' type='text/html'>b</a><br/>` +
		`<img alt='' src='cid:x' width='50%'/></p><ul><li>a<ol><li><p>b</p></li></ol></li></ul><blockquote><p>c</p></blockquote>`); err != nil {
		t.Error(err)
	}
}
