package mapping

import (
	"reflect"
	"strings"
	"testing"
)

// mime is a multipart with boundary b. A part is "type[; more]|body", or with more header
// lines in front: "Name: value|...|type|body".
func mime(parts ...string) string { return bounded("b", parts...) }

func bounded(boundary string, parts ...string) string {
	var b strings.Builder
	for _, p := range parts {
		fields := strings.Split(p, "|")
		n := len(fields)
		b.WriteString("--" + boundary + "\r\n")
		for _, h := range fields[:n-2] {
			b.WriteString(h + "\r\n")
		}
		if fields[n-2] != "" {
			b.WriteString("Content-Type: " + fields[n-2] + "\r\n")
		}
		b.WriteString("\r\n" + fields[n-1] + "\r\n")
	}
	return b.String() + "--" + boundary + "--\r\n"
}

// CT-09, CT-14.
func TestMultiparts(t *testing.T) {
	const optional = "Content-Disposition: attachment;handling=optional|"
	for _, c := range []struct {
		name, typ, body, want string
		status                int
	}{
		{"the last", "alternative", mime("text/plain|a", "text/plain|b"), "b", 0},
		{"the last understood", "alternative", mime("text/plain|a", "image/png|b"), "a", 0},
		{"the last that says anything", "alternative", mime("text/plain|a", "text/plain|"), "a", 0},
		{"the last that is sound", "alternative", mime("text/plain|a", "text/plain;charset=utf-8|\xff", "text/plain;charset=x-no|c"), "a", 0},
		{"the last that is not a picture", "alternative", mime("text/plain|a", "text/html|<img src=cid:x>"), "a", 0},
		{"the last that is not blank", "alternative", mime("text/plain|a", "text/plain| \r\n"), "a", 0},
		{"the last with headers", "alternative", "--b\r\n\r\na\r\n--b\r\nx\r\n--b--", "a", 0},
		{"none", "alternative", mime("image/png|a", "image/gif|b"), "", 415},
		{"none, and nothing said", "alternative", mime("image/png|a", "text/plain|"), "", 0},
		{"the last says why", "alternative", mime("text/plain|\xff", "image/gif|b"), "", 415},
		{"the last says why", "alternative", mime("image/gif|b", "text/plain|\xff"), "", 400},
		{"encrypted", "alternative", mime("application/pkcs7-mime|a"), "", 493},
		{"for something else", "alternative", mime("text/plain|a", "Content-Disposition: icon|text/plain|b"), "a", 0},
		{"type in capitals", "ALTERNATIVE", mime("text/plain|a", "text/plain|b"), "b", 0},

		{"all", "mixed", mime("text/plain|a", "|b", "text/plain|c"), "a\n\nb\n\nc", 0},
		{"one blank line", "mixed", mime("text/plain|a\r\n\r\n", "text/plain|\r\nb\r\n"), "a\n\nb", 0},
		{"what is blank", "mixed", mime("text/plain|a", "text/plain| \r\n", "text/plain|"), "a", 0},
		{"nothing", "mixed", mime("text/plain|"), "", 0},
		{"required by default", "mixed", mime("text/plain|a", "image/png|b"), "", 415},
		{"required", "mixed", mime("text/plain|a", "Content-Disposition: render;handling=required|image/png|b"), "", 415},
		{"optional", "mixed", mime("text/plain|a", optional+"image/png|b"), "a", 0},
		{"optional, encrypted", "mixed", mime(optional+"application/pkcs7-mime|b", "text/plain|a"), "a", 0},
		{"optional, encoding", "mixed", mime("text/plain|a", "Content-Encoding: br|"+optional+"text/plain|b"), "a", 0},
		{"optional, but understood", "mixed", mime("text/plain|a", optional+"text/plain|b"), "a\n\nb", 0},
		{"optional, but broken", "mixed", mime("text/plain|a", optional+"text/plain|\xff"), "", 400},
		{"only optional", "mixed", mime(optional + "image/png|b"), "", 415},
		{"optional, and the others say nothing", "mixed", mime("text/plain|", "text/plain| \r\n", optional+"image/png|b"), "", 415},
		{"for something else", "mixed", mime("text/plain|a", "Content-Disposition: icon|text/plain|b"), "", 415},
		{"for something else, optional", "mixed", mime("text/plain|a", "Content-Disposition: Icon;Handling=OPTIONAL|text/plain|b"), "a", 0},
		{"attached", "mixed", mime("text/plain|a", `Content-Disposition: attachment; filename="b.txt"|text/plain|b`), "a\n\nb", 0},
		{"broken disposition", "mixed", mime("text/plain|a", "Content-Disposition: ;|text/plain|b"), "", 400},
		{"broken type", "mixed", mime("text/plain|a", "x|b"), "", 400},
		{"broken headers", "mixed", "--b\r\nx\r\n\r\na\r\n--b--", "", 400},
		{"charsets", "mixed", mime("text/plain;charset=latin1|caf\xe9", "text/plain;charset=koi8-r|\xf0"), "café\n\nП", 0},
		{"unknown", "x-unknown", mime("text/plain|a", "text/plain|b"), "a\n\nb", 0},
		{"parallel", "parallel", mime("text/plain|a", "text/plain|b"), "a\n\nb", 0},
		{"digest", "digest", mime("|a"), "", 415},
		{"digest", "digest", mime("text/plain|a"), "a", 0},

		{"the first", "related", mime("text/plain|a", "image/png|b"), "a", 0},
		{"the root", `related; start="<1@x>"`, mime("Content-ID: <2@x>|image/png|b", "Content-ID: <1@x>|text/plain|a"), "a", 0},
		{"no such root", `related; start="<3@x>"`, mime("Content-ID: <2@x>|text/plain|b", "Content-ID: <1@x>|text/plain|a"), "b", 0},
		{"not understood", "related", mime("image/png|b", "text/plain|a"), "", 415},

		{"signed", "signed", mime("text/plain|a", "application/pgp-signature|b"), "a", 0},
		{"signed picture", "signed", mime("image/png|a", "application/pgp-signature|b"), "", 493},
		{"signed, and no headers of the signature", "signed", "--b\r\n\r\na\r\n--b\r\nx\r\n--b--", "a", 0},
		{"signed and broken", "signed", mime("text/plain|\xff", "application/pgp-signature|b"), "", 400},
		{"encrypted", "encrypted", mime("application/pgp-encrypted|a", "application/octet-stream|b"), "", 493},

		{"nested", "mixed", mime("text/plain|a", "multipart/alternative;boundary=c|"+bounded("c", "text/plain|b", "text/plain|c")), "a\n\nc", 0},
		{"nested, prefix", "mixed", mime("text/plain|a", "multipart/alternative;boundary=bb|"+bounded("bb", "text/plain|b", "text/plain|c")), "a\n\nc", 0},
		{"LF", "mixed", strings.ReplaceAll(mime("text/plain|a", "text/plain|b\r\nc"), "\r\n", "\n"), "a\n\nb\nc", 0},
		{"cut off", "mixed", strings.TrimSuffix(mime("text/plain|a", "text/plain|b"), "--\r\n"), "", 400},
		{"text", "mixed", "hello", "", 400},
	} {
		t.Run(c.typ+"/"+c.name, func(t *testing.T) {
			wantBody(t, "multipart/"+c.typ+`;boundary="b"`, "", "", c.body, c.want, c.status)
		})
	}
	wantBody(t, "multipart/mixed", "", "", mime("text/plain|a"), "", 400)
	wantBody(t, `multipart/mixed;boundary="b"`, "gzip", "", deflated(t, "gzip", mime("text/plain|a")), "a", 0)
}

// More than anybody's message is 413, in whichever part it comes.
func TestMultipartLimits(t *testing.T) {
	nest := func(depth int) string {
		typ, body := "text/plain", "a"
		for i := depth; i > 1; i-- {
			boundary := strings.Repeat("b", i)
			typ, body = "multipart/mixed;boundary="+boundary, bounded(boundary, typ+"|"+body)
		}
		return mime(typ + "|" + body)
	}
	wantBody(t, "multipart/mixed;boundary=b", "", "", nest(maxDepth), "a", 0)
	wantBody(t, "multipart/mixed;boundary=b", "", "", nest(maxDepth+1), "", 413)
	wantBody(t, "multipart/alternative;boundary=b", "", "", strings.Replace(nest(maxDepth+1), "--b\r\n", "--b\r\n\r\nb\r\n--b\r\n", 1), "", 413)

	many := strings.TrimSuffix(strings.Repeat("a\n\n", maxParts), "\n\n")
	wantBody(t, "multipart/mixed;boundary=b", "", "", strings.Repeat("--b\n\na\n", maxParts)+"--b--", many, 0)
	wantBody(t, "multipart/mixed;boundary=b", "", "", strings.Repeat("--b\n\na\n", maxParts+1)+"--b--", "", 413)
	// Those of nested ones count together.
	inner := "multipart/mixed;boundary=c|" + strings.Repeat("--c\n\na\n", maxParts/2) + "--c--"
	wantBody(t, "multipart/mixed;boundary=b", "", "", mime(inner, inner), "", 413)
	// A part that is too much is no alternative to one that is not understood.
	bomb := "Content-Encoding: gzip|text/plain|" + strings.ReplaceAll(deflated(t, "gzip", strings.Repeat("x", maxInflated+1)), "|", "")
	wantBody(t, "multipart/alternative;boundary=b", "", "", mime("text/plain|a", bomb), "", 413)
}

// The markup of a whole is that of all its parts.
func TestTogether(t *testing.T) {
	strong := []Node{{Name: "p", Nodes: []Node{{Name: "strong", Nodes: []Node{{Text: "b"}}}}}}
	br := Node{Name: "br"}
	for _, c := range []struct {
		in   []content
		want content
	}{
		{[]content{{text: "a"}, {text: "b\nc"}}, content{text: "a\n\nb\nc"}},
		{[]content{{text: "a\n", lang: "de"}, {text: "b", markup: strong, lang: "DE"}, {text: "c\n\nd", lang: "de"}},
			content{text: "a\n\nb\n\nc\n\nd", lang: "de", markup: []Node{
				{Name: "p", Nodes: []Node{{Text: "a"}}}, strong[0], {Name: "p", Nodes: []Node{{Text: "c"}, br, br, {Text: "d"}}}}}},
		{[]content{{text: "a", lang: "de", subjects: []Text{{"", "s"}}}, {text: "b", lang: "en"}}, content{text: "a\n\nb"}},
	} {
		if got := together(c.in); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%+v: %+v, want %+v", c.in, got, c.want)
		}
	}
}
