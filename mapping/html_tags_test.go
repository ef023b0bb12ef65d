package mapping

import (
	"strings"
	"testing"
)

// A hundred octets of gzip are 64 KiB of tags, each of which takes its microseconds: they
// are counted before anything is made of them (CT-13, SEC-24).
func TestHTMLTags(t *testing.T) {
	full := func(s string) string { return strings.Repeat(s, maxInflated/len(s)) }
	for _, c := range []struct {
		name, src string
		status    int
	}{
		{"as many as may be", strings.Repeat("<p>x</p>", maxHTMLTags/2), 0},
		{"and much text", strings.Repeat("<p>x</p>", maxHTMLTags/2) + strings.Repeat("x", 50<<10), 0},
		{"one more", strings.Repeat("<p>x</p>", maxHTMLTags/2) + "<br>", 413},
		{"headings", full("<h1>x"), 413},
		{"items", full("<ul><li>x"), 413},
		{"lines", full("x<br>"), 413},
		{"ends", full("</b>"), 413},
		{"capitals", full("<B>x"), 413},
		{"signs that begin nothing", full("1 < 2 "), 0},
		{"at the end", "x<", 0},
		{"comments", "x" + full("<!-- -->")[8:], 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, encoding := range []string{"", "gzip"} {
				body := c.src
				if encoding != "" {
					body = deflated(t, encoding, c.src)
				}
				if _, f := readBody(t, "text/html", encoding, "", body); c.status == 0 && f != nil || c.status != 0 && (f == nil || f.Status != c.status) {
					t.Errorf("%q: %v, want %d", encoding, f, c.status)
				}
			}
		})
	}
}

// The bound is that of all parts together.
func TestHTMLTagsOfAllParts(t *testing.T) {
	part := "--b\r\nContent-Type: text/html\r\n\r\n" + strings.Repeat("<p>x", maxHTMLTags/10) + "\r\n"
	for parts, status := range map[int]int{10: 0, 11: 413} {
		_, f := readBody(t, "multipart/mixed;boundary=b", "", "", strings.Repeat(part, parts)+"--b--")
		if status == 0 && f != nil || status != 0 && (f == nil || f.Status != status) {
			t.Errorf("%d parts: %v, want %d", parts, f, status)
		}
	}
}

// BenchmarkHostileGzip is what a request of a hundred octets can cost at most, by what we
// know.
func BenchmarkHostileGzip(b *testing.B) {
	r := testRules(b)
	some := func(s string) string {
		tags := strings.Repeat(s, maxHTMLTags/strings.Count(s, "<"))
		return tags + strings.Repeat("x", maxInflated-len(tags))
	}
	for _, c := range []struct{ name, typ, src string }{
		{"text", "text/plain", strings.Repeat("x", maxInflated)},
		{"charset", "text/plain;charset=iso-2022-jp", strings.Repeat("\xff", maxInflated)},
		{"controls", "text/html", strings.Repeat("\f", maxInflated)},
		{"headings", "text/html", some("<h1>x")},
		{"quotes", "text/html", some("<blockquote>x")},
		{"styles", "text/html", some(`<p style="margin:0;color:red">x`)},
		{"too many tags", "text/html", strings.Repeat("<h1>x", maxInflated/5)},
	} {
		m := &SIPMessage{ContentType: c.typ, Encoding: "gzip", Body: []byte(deflated(b, "gzip", c.src))}
		bench(b, c.name, func() {
			content, _ := r.readContent(m)
			sink = content.text
		})
	}
}
