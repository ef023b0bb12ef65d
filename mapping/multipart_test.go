package mapping

import (
	"bytes"
	"mime/multipart"
	"net/textproto"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// RFC 2046 §5.1.1.
func TestSplitParts(t *testing.T) {
	for _, c := range []struct {
		boundary, in string
		want         []string
		status       int
	}{
		{"b", "--b\r\n\r\nx\r\n--b--\r\n", []string{"\r\nx"}, 0},
		{"b", "--b\n\nx\n--b--", []string{"\nx"}, 0},
		{"b", "preamble\r\n--b\r\nx\r\n\r\n--b \t\r\ny\r\n--b-- \r\nepilogue\r\n--b\r\nz", []string{"x\r\n", "y"}, 0},
		{"b", "--b\r\n--b\r\n\r\n--b\r\nx\r\n--b--", []string{"", "", "x"}, 0},
		{"b", "--b\r\nx\r\n--bb\r\n--bx--\r\n --b\r\n-b\r\n--\r\n--b--", []string{"x\r\n--bb\r\n--bx--\r\n --b\r\n-b\r\n--"}, 0},
		{"b", "--b\r\nx--b--\r\n--b--", []string{"x--b--"}, 0},
		{"b--", "--b--\r\nx\r\n--b----", []string{"x"}, 0},
		{"a b'()+_,-./:=?", "--a b'()+_,-./:=?\nx\n--a b'()+_,-./:=?--", []string{"x"}, 0},
		{"b", "--b\rx\r\n--b--", nil, 400}, // a lone CR is no line end
		{"b", "", nil, 400}, {"b", "x", nil, 400}, {"b", "--b--", nil, 400}, {"b", "--b\r\nx", nil, 400}, {"b", "--b\r\nx\r\n--b\r\n", nil, 400}, {"B", "--b\r\nx\r\n--b--", nil, 400},
		{"", "--\r\nx\r\n----", nil, 400}, {strings.Repeat("b", 71), "x", nil, 400}, {"b\nc", "--b\nc\nx\n--b\nc--", nil, 400},
		{"b", strings.Repeat("--b\nx\n", maxParts) + "--b--", slices.Repeat([]string{"x"}, maxParts), 0},
		{"b", strings.Repeat("--b\nx\n", maxParts+1) + "--b--", nil, 413},
	} {
		got, f := splitParts([]byte(c.in), c.boundary, maxParts)
		status := 0
		if f != nil {
			status = f.Status
		}
		if !slices.Equal(texts(got), c.want) || status != c.status {
			t.Errorf("%q %q: %q, %v, want %q, %d", c.boundary, c.in, got, f, c.want, c.status)
		}
	}
}

func texts(parts [][]byte) (out []string) {
	for _, p := range parts {
		out = append(out, string(p))
	}
	return out
}

// RFC 2046 §5.1, RFC 2045 §3.
func TestParsePart(t *testing.T) {
	for _, c := range []struct {
		in   string
		want entity
		ok   bool
	}{
		{"", entity{typ: "x/y"}, true},
		{"\r\n", entity{typ: "x/y"}, true},
		{"\r\nhi\r\n", entity{typ: "x/y", data: []byte("hi\r\n")}, true},
		{"\nContent-Type: text/html\n\nhi", entity{typ: "x/y", data: []byte("Content-Type: text/html\n\nhi")}, true},
		{"CONTENT-TYPE:text/html\r\nX-Other: a:b\r\n\r\nhi", entity{typ: "text/html", data: []byte("hi")}, true},
		{"Content-Type: text/html", entity{typ: "text/html"}, true},
		{"Content-Type : text/html;\r\n\tcharset=x\r\n  ;y=z\r\n\r\n", entity{typ: "text/html; charset=x ;y=z"}, true},
		{"X: y\r\n folded\r\nContent-Type: a/b\r\nContent-Type: c/d\r\n folded\r\n\r\n", entity{typ: "a/b"}, true},
		{"Content-Type:\r\n\r\nhi", entity{typ: "", data: []byte("hi")}, true},
		{"Content-Encoding: gzip\nContent-Transfer-Encoding: base64\nContent-Disposition: inline\nContent-Language: de\nContent-ID: <1@x>\n\n",
			entity{typ: "x/y", encoding: "gzip", transfer: "base64", disposition: "inline", lang: "de", id: "<1@x>"}, true},
		{strings.Repeat("X: y\n", maxPartHeaders) + "\nhi", entity{typ: "x/y", data: []byte("hi")}, true},
		{strings.Repeat("X: y\n", maxPartHeaders+1) + "\nhi", entity{}, false},
		{"no header\n\nhi", entity{}, false}, {" folded\n\nhi", entity{}, false}, {": x\n\nhi", entity{}, false}, {"a b: x\n\nhi", entity{}, false}, {"hi", entity{}, false},
	} {
		got := parsePart([]byte(c.in), "x/y")
		if f := got.broken; f != nil {
			if c.ok || f.Status != 400 {
				t.Errorf("%q: %v", c.in, f)
			}
			continue
		}
		if !c.ok || string(got.data) != string(c.want.data) {
			t.Errorf("%q: %+v", c.in, got)
		}
		got.data, c.want.data = nil, nil
		if got.typ != c.want.typ || got.encoding != c.want.encoding || got.transfer != c.want.transfer ||
			got.disposition != c.want.disposition || got.lang != c.want.lang || got.id != c.want.id {
			t.Errorf("%q: %+v, want %+v", c.in, got, c.want)
		}
	}
}

// What the standard library writes is read part for part.
func TestPartsAreWhatWasWritten(t *testing.T) {
	body := rapid.Map(rapid.SliceOf(rapid.SampledFrom([]string{"a", "--", "--b", "--b--", "\r\n", "\n", "\r", " ", ":", "é", "\x00"})), func(s []string) string { return strings.Join(s, "") })
	rapid.Check(t, func(t *rapid.T) {
		var b bytes.Buffer
		w := multipart.NewWriter(&b)
		if err := w.SetBoundary("b-1"); err != nil {
			t.Fatal(err)
		}
		var want []string
		for range rapid.IntRange(1, 5).Draw(t, "parts") {
			want = append(want, body.Draw(t, "body"))
			p, err := w.CreatePart(textproto.MIMEHeader{"Content-Type": {"text/x"}, "Content-Id": {"<1>"}})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := p.Write([]byte(want[len(want)-1])); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		parts, f := splitParts(b.Bytes(), "b-1", maxParts)
		if f != nil || len(parts) != len(want) {
			t.Fatalf("%q: %q, %v", b.String(), parts, f)
		}
		for i := range parts {
			e := parsePart(parts[i], "")
			if e.broken != nil || string(e.data) != want[i] || e.typ != "text/x" || e.id != "<1>" {
				t.Fatalf("%q: %+v, want %q", parts[i], e, want[i])
			}
		}
	})
}
