package mapping

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

var blockEnd = regexp.MustCompile(`(</(?:p|ul|ol|blockquote|li)>|<(?:ul|ol|blockquote)(?: style='[^']*')?>|<br/>)`)

// The corpus: texts as mail and chat programs write them, and as attackers do. What is
// made of each is beside it, a page to read:
//
//	-- plain --     the text that goes with the markup
//	-- links --     the text that goes alone, if it is another
//	-- markup --    the XHTML-IM, a line for each block; none if there is no markup
func TestHTMLCorpus(t *testing.T) {
	files, err := filepath.Glob("testdata/html/*.html")
	if err != nil || len(files) < 60 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".html"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			src := string(data)
			if err := checkHTML(src); err != nil {
				t.Fatal(err)
			}
			plain, markup, _ := readHTML(src, false)
			links, _, _ := readHTML(src, true)
			a := &txtar.Archive{Files: []txtar.File{{Name: "plain", Data: []byte(plain + "\n")}}}
			if links != plain {
				a.Files = append(a.Files, txtar.File{Name: "links", Data: []byte(links + "\n")})
			}
			if markup != nil {
				lines := strings.TrimSpace(blockEnd.ReplaceAllString(printXHTML(markup), "$1\n"))
				a.Files = append(a.Files, txtar.File{Name: "markup", Data: []byte(lines + "\n")})
			}
			got, golden := string(txtar.Format(a)), strings.TrimSuffix(file, ".html")+".txtar"
			want, err := os.ReadFile(golden)
			if err == nil && string(want) == got {
				return
			}
			if *updateGolden {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			t.Errorf("the mapping makes\n%s\nif that is right: go test ./mapping -run TestHTMLCorpus -update", got)
		})
	}
}

// CT-03 to CT-05, M-009: the one example that the specification has.
func TestHTMLOfTheSpecification(t *testing.T) {
	plain, markup, _ := readHTML(`<p>Hello <b>Juliet</b>, <script>alert(1)</script><a href="javascript:x()">bad</a> <a href="https://example.net/" onclick="y()">good</a></p>`, false)
	if plain != "Hello Juliet, bad good" {
		t.Errorf("%q", plain)
	}
	if got := printXHTML(markup); got != `<p>Hello <strong>Juliet</strong>, bad <a href='https://example.net/'>good</a></p>` {
		t.Error(got)
	}
}

func TestHTMLText(t *testing.T) {
	for _, c := range []struct{ src, want string }{
		{"", ""},
		{" \n ", ""},
		{"plain text", "plain text"},
		{"a<p>b</p>c", "a\n\nb\n\nc"},
		{"<div>a</div><div>b</div>c", "a\nb\nc"},
		{"<p>a<p><br><p>b", "a\n\nb"},
		{"a<br>b<br><br>c<br><br><br><br>d<br>", "a\nb\n\nc\n\nd"},
		{"<p style='margin:0'>a</p><p style='margin:0'>b</p>", "a\nb"},
		{"<p style='margin:0 1em 2em'>a</p><p style='margin:0'>b</p>", "a\n\nb"},
		{"<p class=MsoNormal>a<p class=MsoNormal>&nbsp;<p class=MsoNormal>b", "a\n\nb"},
		{"<ul><li>a<li>b</ul>", "- a\n- b"},
		{"<ol start=9><li>a<p>b</p><li>c</ol>", "9. a\n\n   b\n\n10. c"},
		{"<ul><li>a<ol><li>b</ol><li>c</ul>", "- a\n  1. b\n- c"},
		{"x<blockquote>a<p>b</p></blockquote>y", "x\n\n> a\n>\n> b\n\ny"},
		{"<blockquote><ul><li>a<br>b</ul></blockquote>", "> - a\n>   b"},
		{"<table><tr><td>a<td>b<tr><td>c<td><td>d</table>e", "a | b\nc | d\ne"},
		{"<table><tr><td><p>a</p><p>b</p></td><td>c</td></tr></table>", "a\n\nb\n\nc"},
		{"a<hr>b", "a\n---\nb"},
		{"<pre>\n a\n\tb  c\n</pre>", " a\n\tb  c"},
		{"<pre>a\t\nb \n</pre>", "a\nb"},
		{"a <img alt=' b  c '> d", "a b c d"},
		{"a <img src='cid:x'> d", "a d"},
		{"<a href='https://example.net/a'>text</a>, next", "text <https://example.net/a>, next"},
		{"<a href='https://example.net/a'>text </a>next", "text <https://example.net/a> next"},
		{"<a href='https://example.net/a'>HTTPS://example.net/a</a>", "HTTPS://example.net/a"},
		{"<a href='https://example.net/'>example.net</a>", "example.net"},
		{"<a href='http://example.net/'>https://example.net/</a>", "https://example.net/ <http://example.net/>"},
		{"<a href='https://example.net/'>home</a>", "home <https://example.net/>"},
		{"<a href='https://example.net/'><img src=cid:x></a>", "<https://example.net/>"},
		{"x <a href='https://example.net/'><img src=cid:x></a>, y", "x <https://example.net/>, y"},
		{"<a href='mailto:a@example.net'>a@example.net</a>", "a@example.net"},
		{"<a href='mailto:a@example.net'>Al</a>", "Al <mailto:a@example.net>"},
		{"<a href='tel:+123'>+1 (2) 3</a>", "+1 (2) 3"},
		{"<a href='https://example.net/a'>a</b> <b>b</b></a>", "a b <https://example.net/a>"},
		{"<a href='https://example.net/a'><p>a<p>b</a>", "a\n\nb <https://example.net/a>"},
		{"<style>a</style><title>b</title><!-- c -->d", "d"},
		{"&lt;b&gt; &amp;amp; &eacute;", "<b> &amp; é"},
		{"a&#1;b\x00c\ufffed\xff", "a\ufffdb\ufffdc\ufffdd\ufffd"},
		{"a\fb&#13;c", "a b c"},
	} {
		if got, _, _ := readHTML(c.src, true); got != c.want {
			t.Errorf("%q gives\n%q, not\n%q", c.src, got, c.want)
		}
	}
}

func TestHTMLMarkup(t *testing.T) {
	for _, c := range []struct{ src, want string }{
		{"text", ""},
		{"<p>a<br>b</p><p>c</p>", ""},
		{"<html><body style='color:red'><div class=x>a</div></body></html>", ""},
		{"a<b>b", "<p>a<strong>b</strong></p>"},
		{"<b>a</b><b>b</b>", "<p><strong>ab</strong></p>"},
		{"<b>a<i>b</b>c</i>", "<p><strong>a<em>b</em></strong><em>c</em></p>"},
		{"<b><p>a</p><p>b</p></b>", "<p><strong>a</strong></p><p><strong>b</strong></p>"},
		{"<div style='color:red'>a<p>b</div>c", "<p style='color: red'>a</p><p style='color: red'>b</p><p>c</p>"},
		{"<ul style='color:red'><li>a</ul>", "<ul style='color: red'><li>a</li></ul>"},
		{"<ul>a<li><table><tr><td>b</table>c</ul>", "<ul><li>a</li><li>b<p>c</p></li></ul>"},
		{"<ul><ul><li>a</ul></ul>", "<ul><li><ul><li>a</li></ul></li></ul>"},
		{"<blockquote>a", "<blockquote><p>a</p></blockquote>"},
		{"<pre> a\n\tb  c</pre>", "<p style='font-family: monospace'>\u00a0a<br/>\u00a0\u00a0\u00a0\u00a0b \u00a0c</p>"},
		{"<a href=https://example.net/ type=Text/HTML style='color:red;position:fixed'>a</a>", "<p><a href='https://example.net/' style='color: red' type='text/html'>a</a></p>"},
		{"<a href=https://example.net/>a <a href=cid:x>b</a>", "<p><a href='https://example.net/'>a </a><a href='cid:x'>b</a></p>"},
		{"<a href=cid:x><table><tr><td><a href=cid:y>b</a></table>", "<p><a href='cid:x'>b</a></p>"},
		{"a<br><br><br><b>b", "<p>a<br/><br/><strong>b</strong></p>"},
		{"<img src=cid:x width=1%>", "<p><img alt='' src='cid:x' width='1%'/></p>"},
		{"<img src=cid:x width=1>", ""},
		{"<b></b><i> </i>a", ""},
		{"<u>a</u> <s>b</s>", "<p><span style='text-decoration: underline'>a</span> <span style='text-decoration: line-through'>b</span></p>"},
		{"<b style='font-weight:normal'>a</b>", "<p><span style='font-weight: normal'>a</span></p>"},
		{"<span style='color:red'><span style='color:red'>a</span></span>", "<p><span style='color: red'>a</span></p>"},
		{"<div>&nbsp;</div><div><b>a</b></div><div>&nbsp;</div><div><br></div>", "<p><strong>a</strong></p>"},
		{"<pre><code>a</code></pre>", "<p style='font-family: monospace'>a</p>"},
		{"<h2>a</h2>", "<p><strong>a</strong></p>"},
		{"<div style='color:red'>a<hr>b</div>", "<p style='color: red'>a</p><p style='color: red'>---</p><p style='color: red'>b</p>"},
		{"<div style='color:red'><ul><li>a</ul>b</div>", "<ul style='color: red'><li>a</li></ul><p style='color: red'>b</p>"},
	} {
		_, markup, _ := readHTML(c.src, false)
		if got := printXHTML(markup); got != c.want {
			t.Errorf("%q gives\n%s, not\n%s", c.src, got, c.want)
		}
	}
}

// With the markup beside it the text is spared the front pages, but not those whose text
// says something else.
func TestHTMLFrontPages(t *testing.T) {
	for _, c := range []struct{ src, want string }{
		{"<a href='https://example.net/'>Montague Ltd.</a>", "Montague Ltd."},
		{"<a href='https://example.net'>Dr. M</a>", "Dr. M"},
		{"<a href='https://example.net/a'>Montague Ltd.</a>", "Montague Ltd. <https://example.net/a>"},
		{"<a href='https://example.net?a'>Montague Ltd.</a>", "Montague Ltd. <https://example.net?a>"},
		{"<a href='https://evil.example/'>https://bank.example/</a>", "https://bank.example/ <https://evil.example/>"},
		{"<a href='https://evil.example/'>my bank.example</a>", "my bank.example <https://evil.example/>"},
		{"<a href='https://evil.example/'>http://localhost</a>", "http://localhost <https://evil.example/>"},
		{"<a href='https://example.net/'><img src=cid:x></a>", "<https://example.net/>"},
		{"<a href='xmpp:romeo@example.net'>chat</a>", "chat <xmpp:romeo@example.net>"},
	} {
		if got, _, _ := readHTML(c.src, false); got != c.want {
			t.Errorf("%q gives %q, not %q", c.src, got, c.want)
		}
	}
}

// What is open beyond the limit is closed by tags of its own, and not by those of others.
func TestHTMLDeeperThanTheLimit(t *testing.T) {
	deep := maxHTMLOpen + 50
	src := strings.Repeat("<div style='color:red'>", deep) + "a" + strings.Repeat("</div>", maxHTMLOpen+20) + "b" + strings.Repeat("</div>", 30) + "c"
	_, markup, _ := readHTML(src, false)
	if got := printXHTML(markup); got != "<p style='color: red'>a</p><p style='color: red'>b</p><p>c</p>" {
		t.Error(got)
	}
}

// What ends in a wrong order is put right as often as any text needs it, and then what is
// in it ends with it: to put it right costs a look at all that is open.
func TestHTMLRepairsAreCounted(t *testing.T) {
	const once = "<b><i>a</b>b</i>"
	_, markup, _ := readHTML(strings.Repeat(once, maxHTMLRepairs+1), false)
	want := "<p>" + strings.Repeat("<strong><em>a</em></strong><em>b</em>", maxHTMLRepairs) + "<strong><em>a</em></strong>b</p>"
	if got := printXHTML(markup); got != want {
		t.Errorf("%d bytes, not %d: ... %s", len(got), len(want), got[max(0, len(got)-200):])
	}
}

// A picture without a word is not nothing: its address is told, and if it has none that
// anybody could follow that is not delivered as an empty text.
func TestHTMLWithoutText(t *testing.T) {
	for _, c := range []struct {
		src, want string
		ok        bool
	}{
		{"<img src='https://example.net/a.jpg'>", "https://example.net/a.jpg", true},
		{"<img src=' HTTP://example.net/a b.jpg'>", "http://example.net/a%20b.jpg", true},
		{"<p><img src='https://example.net/a'><img src='cid:x'><img src='https://example.net/b'><img src='https://example.net/a'></p>",
			"https://example.net/a\nhttps://example.net/b", true},
		{"<img src='https://example.net/a.jpg'><p>text", "text", true},
		{"<img src='https://example.net/a.jpg' alt='a rose'>", "a rose", true},
		{"<img src='https://example.net/a.jpg' width=1>", "", true},
		{"<div hidden><img src='https://example.net/a.jpg'><video></video></div>", "", true},
		{"<img src='cid:x'>", "", false},
		{"<img src='data:image/png;base64,AAAA'>", "", false},
		{"<img src='javascript:x()'>", "", false},
		{"<img>", "", false},
		{"<video src='https://example.net/a'></video>", "", false},
		{"<svg><path/></svg>", "", false},
		{"<svg><path/></svg>text", "text", true},
		{"<script>x()</script><title>t</title><p>&nbsp;</p>", "", true},
		{strings.Repeat("<img>", maxHTMLImages) + "<img src='https://example.net/a'>", "https://example.net/a", true},
	} {
		for _, links := range []bool{false, true} {
			if got, _, ok := readHTML(c.src, links); got != c.want || ok != c.ok {
				t.Errorf("%q gives %q, %t, not %q, %t", c.src, got, ok, c.want, c.ok)
			}
		}
	}
	var many strings.Builder
	for i := range 2 * maxHTMLImages {
		fmt.Fprintf(&many, "<img src='https://example.net/%d'>", i)
	}
	if got, _, _ := readHTML(many.String(), false); strings.Count(got, "\n") != maxHTMLImages-1 {
		t.Errorf("%q", got)
	}
}

// A target that is much longer than what it was made of is left out of the text.
func TestHTMLTextHasARoom(t *testing.T) {
	plain, _, _ := readHTML("<a href='https://example.net/"+strings.Repeat("<", 5000)+"'>text</a>", true)
	if plain != "text" {
		t.Errorf("%d bytes", len(plain))
	}
}

// Markup of which there would be too much is left out, and the text is there.
func TestHTMLMarkupHasARoom(t *testing.T) {
	style := "<div style='font-family:" + strings.Repeat("abcdefghij,", 8) + "'>"
	plain, markup, _ := readHTML(style+strings.Repeat("<p>x", 2000), false)
	if markup != nil || plain != strings.TrimSuffix(strings.Repeat("x\n\n", 2000), "\n\n") {
		t.Errorf("%d nodes, %d bytes", len(markup), len(plain))
	}
	if _, markup, _ = readHTML(style+strings.Repeat("<p>x", 10), false); len(markup) != 10 {
		t.Errorf("%d nodes", len(markup))
	}
}

// Sources that are made to be expensive.
var hostileHTML = []struct{ name, once string }{
	{"bold", "<b>"},
	{"bold text", "<b>a"},
	{"closed", "<b></b>"},
	{"divs", "<div>"},
	{"quotes", "<blockquote>a"},
	{"lists", "<ul><li>a"},
	{"items", "<li>a"},
	{"tables", "<table><tr><td>a"},
	{"cells", "<td>a"},
	{"rows", "<tr>"},
	{"paragraphs", "<p>a"},
	{"styled", "<div style='color:red'><span style='color:blue'>a"},
	{"links", "<a href='https://example.net/a'>a"},
	{"spans", "a<span style=color:red>b</span>"},
	{"misnested", "<b><i>a</b></i>"},
	{"ends", "</p></b></td></ul></a>"},
	{"comments", "a<!-- -->"},
	{"open comments", "<!--"},
	{"heads", "<head>"},
	{"vectors", "<svg><p>"},
	{"hidden", "<div hidden>"},
	{"lines", "<br>a"},
	{"ampersands", "&amp;&"},
	{"less", "<"},
	{"brackets", "<![CDATA["},
	{"white", "a \n "},
	{"alternating", "<span style='white-space:pre'>a </span>b "},
	{"quotations", "<q>"},
	{"images", "<img src=cid:x alt='a b'>"},
}

// Each hostile source, 5000 times over, is read like any other.
func TestHostileHTML(t *testing.T) {
	for _, c := range hostileHTML {
		t.Run(c.name, func(t *testing.T) {
			if err := checkHTML(strings.Repeat(c.once, 5000)); err != nil {
				t.Error(firstBytes(err.Error()))
			}
		})
	}
	for _, c := range []struct{ name, src string }{
		{"attributes", "<p " + strings.Repeat("a=b ", 20_000) + "style='color:red'>x"},
		{"declarations", "<p style='" + strings.Repeat("color:red;", 20_000) + "'>x"},
		{"brackets", "<p style='" + strings.Repeat("(", 20_000) + "'>x"},
		{"address", "<a href='https://example.net/" + strings.Repeat("<", 20_000) + "'>x</a>"},
		{"fonts", "<p style='font-family:" + strings.Repeat("a,", 2000) + "'>x"},
		{"text", strings.Repeat("<i>x</i> ", 20_000)},
		{"unclosed", "<p title='" + strings.Repeat("<p>", 20_000)},
		{"preformatted", "<pre>" + strings.Repeat(" \t\n", 20_000) + "x"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := checkHTML(c.src); err != nil {
				t.Error(firstBytes(err.Error()))
			}
		})
	}
}

func firstBytes(s string) string { return s[:min(len(s), 500)] }

func TestHTMLNestedWithoutEnd(t *testing.T) {
	for _, c := range []struct{ open, end, plain, markup string }{
		{"<b>", "</b>", "deep", "<p><strong>deep</strong></p>"},
		{"<div>", "</div>", "deep", ""},
		{"<svg>", "", "", ""},
	} {
		plain, markup, _ := readHTML(strings.Repeat(c.open, 100_000)+"deep"+strings.Repeat(c.end, 100_000), false)
		if plain != c.plain || printXHTML(markup) != c.markup {
			t.Errorf("%s: %q, %s", c.open, firstBytes(plain), firstBytes(printXHTML(markup)))
		}
	}
}

// Eight times the source is at most some eight times the memory, which is written as
// often as it is asked for.
func TestHTMLIsLinear(t *testing.T) {
	for _, c := range hostileHTML {
		small, large := allocated(strings.Repeat(c.once, 1000)), allocated(strings.Repeat(c.once, 8000))
		if large > 16*small+1<<16 {
			t.Errorf("%s: %d bytes for 1000, %d for 8000", c.name, small, large)
		}
	}
}

func allocated(src string) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	readHTML(src, true)
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func BenchmarkReadHTML(b *testing.B) {
	word, err := os.ReadFile("testdata/html/mail-outlook-word.html")
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct{ name, src string }{
		{"small", `<p>Hello <b>Juliet</b>, see <a href="https://example.net/a">this</a></p>`},
		{"mail", string(word)},
		{"large", strings.Repeat(string(word), 64*1024/len(word))},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(c.src)))
			for b.Loop() {
				readHTML(c.src, false)
			}
		})
	}
}
