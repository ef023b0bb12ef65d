package mapping

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Whatever comes, the markup is of the whitelist and both forms keep their promises.
func FuzzHTML(f *testing.F) {
	files, err := filepath.Glob("testdata/html/*.html")
	if err != nil || len(files) == 0 {
		f.Fatal(len(files), err)
	}
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(src))
	}
	f.Fuzz(func(t *testing.T, src string) {
		if err := checkHTML(src); err != nil {
			t.Error(err)
		}
	})
}

// soupPieces are what a text of tags is made of that no editor wrote.
var soupPieces = []string{
	"<p>", "</p>", "<div>", "</div>", "<div style='color:red'>", "<b>", "</b>", "<i>", "</i>", "<u>", "</u>", "<s>", "</s>", "<span style='font-size:10pt'>",
	"<span style=\"color: blue; background: url(x)\">", "</span>", "<font color=red size=+1>", "</font>", "<a href='https://example.net/a b'>", "<a href=javascript:x>",
	"<a href='mailto:a@example.net'>", "</a>", "<ul>", "</ul>", "<ol start=9>", "</ol>", "<li>", "</li>", "<li value=3>", "<blockquote>", "</blockquote>", "<table>", "</table>",
	"<tr>", "</tr>", "<td>", "</td>", "<th>", "<tbody>", "</tbody>", "<pre>", "</pre>", "<h1>", "</h2>", "<br>", "</br>", "<br/>", "<hr>", "<img src='cid:x' alt='a  b'>",
	"<img src=https://example.net/a.png width=10>", "<img alt='picture'>", "<img>", "<q>", "</q>", "<cite>", "</cite>", "<code>", "</code>", "<dl>", "<dt>", "<dd>", "</dl>", "<center>",
	"<script>", "</script>", "<style>", "</style>", "<svg>", "</svg>", "<object>", "</object>", "<head>", "</head>", "<body style='color:red'>", "<title>", "</title>",
	"<div style='display:none'>", "<span hidden>", "<p class=MsoNormal>", "<p style='margin:0'>", "<b style='font-weight:normal'>", "<i style='color:green'>",
	strings.Repeat("<blockquote>", 12), strings.Repeat("<ul>", 7), strings.Repeat("<b><u><span style='color:#123'><s><i><code>", 3),
	"<!--", "-->", "<![CDATA[", "]]>", "<!DOCTYPE html>", "<?xml?>", "<", ">", "&", "&amp;", "&lt;", "&nbsp;", "&#0;", "&#xFFFE;", "&#13;", "&#8203;", " ", "  ", "\n", "\t", "\f",
	"a", "word", "two words", "ü", "ש", "\u202e", "\x00", "\xff", "\ufffe", "'", "\"", "=", "/", "<div style='white-space:pre'>", "<span style='text-decoration:underline'>", "|", "- ", "> ",
}

func TestTagSoup(t *testing.T) {
	soup := pieces(soupPieces, 0, 40)
	rapid.Check(t, func(t *rapid.T) {
		if err := checkHTML(soup.Draw(t, "soup")); err != nil {
			t.Fatal(err)
		}
	})
}

// A text that has no tags in it comes out as it is.
func TestTextIsKept(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOfN(rapid.StringMatching(`[^\s\x00-\x20\x7f-\xad\p{Cf}]{1,8}`), 1, 10).Draw(t, "words")
		want := strings.Join(words, " ")
		if blankText(want) {
			return
		}
		plain, markup, _ := readHTML(strings.NewReplacer("&", "&amp;", "<", "&lt;").Replace(strings.Join(words, " \n\t ")), false)
		if plain != XMLText(want) || markup != nil {
			t.Fatalf("%q, %v of %q", plain, markup, want)
		}
	})
}
