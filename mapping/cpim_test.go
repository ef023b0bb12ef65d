package mapping

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// crlf turns the LF of a raw string into CRLF.
func crlf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

func mustParseCPIM(t *testing.T, wire string) *CPIM {
	t.Helper()
	c, err := ParseCPIM([]byte(wire))
	if err != nil {
		t.Fatalf("%v: %v\n%q", err, errors.Unwrap(err), wire)
	}
	return c
}

// What deviates from RFC 3862 §2, and is read all the same.
func TestCPIMTolerance(t *testing.T) {
	const (
		from  = `From="<im:a@example.com>"`
		plain = "content-type=text/plain;charset=utf-8"
	)
	for _, c := range []struct{ name, wire, want string }{
		{"as it should be", "From: <im:a@example.com>\r\n\r\nContent-Type: text/html\r\n\r\nhi", from + " | content-type=text/html | hi"},
		{"LF", "From: <im:a@example.com>\n\nContent-Type: text/html\n\nhi\r\nho", from + " | content-type=text/html | hi\r\nho"},
		{"no first empty line, as in RFC 5438", "From: <im:a@example.com>\r\nContent-type: text/html\r\nContent-length: 2\r\n\r\nhi", from + " | content-type=text/html content-length=2 | hi"},
		{"no space after the colon", "From:<im:a@example.com>\r\nSubject:;lang=fr\r\n\r\nContent-Type:text/html\r\n\r\nhi", from + ` Subject;fr="" | content-type=text/html | hi`},
		{"several spaces", "Subject:  x\r\n\r\nContent-Type:  text/html \r\n\r\nhi", `Subject=" x" | content-type=text/html | hi`},
		{"folded MIME header", "From: <im:a@example.com>\r\n\r\nContent-Type: text/html;\r\n\tcharset=utf-8\r\n \r\n\r\nhi", from + " | content-type=text/html; charset=utf-8 | hi"},
		{"MIME header that is no Content-*", "From: <im:a@example.com>\r\n\r\nX-Y: z\r\nCONTENT-TYPE: text/html\r\n\r\nhi", from + " | x-y=z content-type=text/html | hi"},
		{"MIME header that is none, folded", "\r\nX-Y: a\r\n b c\r\nContent-Type: text/html\r\n\r\nhi", " | x-y=a b c content-type=text/html | hi"},
		{"an indented text", "From: <im:a@example.com>\r\n\r\n hi\r\nContent-Type: x\r\n\r\n", from + " | " + plain + " |  hi\r\nContent-Type: x\r\n\r\n"},
		{"no Content-Type", "From: <im:a@example.com>\r\n\r\nContent-ID: <1@example.com>\r\n\r\nhi", from + " | content-id=<1@example.com> " + plain + " | hi"},
		{"empty Content-Type", "From: <im:a@example.com>\r\n\r\nContent-Type: \r\n\r\nhi", from + " | " + plain + " | hi"},
		{"no MIME headers, but their end", "From: <im:a@example.com>\r\n\r\n\r\nhi\r\n\r\nho", from + " | " + plain + " | hi\r\n\r\nho"},
		{"no MIME headers at all", "From: <im:a@example.com>\r\n\r\nhi\r\nContent-Type: x\r\n", from + " | " + plain + " | hi\r\nContent-Type: x\r\n"},
		{"a text that looks like headers", "From: <im:a@example.com>\r\n\r\nNote: bring milk\r\nAlso: bread\r\n\r\nbye", from + " | " + plain + " | Note: bring milk\r\nAlso: bread\r\n\r\nbye"},
		{"nothing after the headers", "From: <im:a@example.com>\r\n\r\n", from + " | " + plain + " | "},
		{"nothing after the MIME headers", "From: <im:a@example.com>\r\n\r\nContent-Type: text/html", from + " | content-type=text/html | "},
		{"no message headers", "\r\nContent-Type: text/html\r\n\r\nhi", " | content-type=text/html | hi"},
		{"only MIME headers", "Content-Type: text/html\r\n\r\nhi", " | content-type=text/html | hi"},
		{"a content that is not UTF-8", "\r\nContent-Type: text/plain;charset=iso-8859-1\r\n\r\n\xfc", " | content-type=text/plain;charset=iso-8859-1 | \xfc"},
		{"imdn that nobody declared", "imdn.Message-ID: 1\r\n\r\nContent-Type: text/html\r\n\r\nhi", `<urn:ietf:params:imdn>Message-ID="1" | content-type=text/html | hi`},
		{"a tab in a value", "Subject: a\tb\r\n\r\nContent-Type: text/html\r\n\r\nhi", `Subject="a\tb" | content-type=text/html | hi`},
	} {
		wire := []byte(c.wire)
		got, err := ParseCPIM(wire)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if line := cpimLine(got); line != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.name, line, c.want)
		}
		if string(wire) != c.wire { // it is the body of a request, which is still needed
			t.Errorf("%s: reading made it %q", c.name, wire)
		}
	}
}

// cpimLine is all of c in one line, as the tests write it down.
func cpimLine(c *CPIM) string {
	var head, content []string
	for _, h := range c.Headers {
		s := h.Name
		if h.Space != "" {
			s = "<" + h.Space + ">" + s
		}
		if h.Lang != "" {
			s += ";" + h.Lang
		}
		head = append(head, fmt.Sprintf("%s=%q", s, h.Value))
	}
	for _, a := range c.Content {
		content = append(content, a.Name+"="+a.Value)
	}
	return strings.Join(head, " ") + " | " + strings.Join(content, " ") + " | " + string(c.Body)
}

func TestCPIMRefused(t *testing.T) {
	const end = "\r\nContent-Type: text/plain\r\n\r\nhi"
	for name, wire := range map[string]string{
		"nothing":                         "",
		"no end":                          "From: <im:a@example.com>",
		"no end after a line":             "From: <im:a@example.com>\r\n",
		"no header":                       "hello\r\n" + end,
		"no name":                         ": x\r\n" + end,
		"space in the name":               "From : <im:a@example.com>\r\n" + end,
		"slash in the name":               "a/b: x\r\n" + end,
		"name of two dots":                "a.b.c: x\r\n" + end,
		"prefix without name":             "a.: x\r\n" + end,
		"name without prefix":             ".a: x\r\n" + end,
		"name too long":                   strings.Repeat("a", 257) + ": x\r\n" + end,
		"folding (RFC 3862 §2.2)":         "Subject: a\r\n b\r\n" + end,
		"CR in a value":                   "Subject: a\rb\r\n" + end,
		"NUL in a value":                  "Subject: a\x00b\r\n" + end,
		"DEL in a value":                  "Subject: a\x7fb\r\n" + end,
		"parameter without value":         "Subject:;lang x\r\n" + end,
		"parameter without name":          "Subject:;=fr x\r\n" + end,
		"quotes without end":              "Subject:;x=\"fr x\r\n" + end,
		"value too long":                  "Subject: " + strings.Repeat("x", 8193) + "\r\n" + end,
		"too many headers":                strings.Repeat("a: x\r\n", 65) + end,
		"NS without URI":                  "NS: imdn\r\n" + end,
		"NS without end":                  "NS: imdn <urn:x\r\n" + end,
		"NS with text behind":             "NS: imdn <urn:x> y\r\n" + end,
		"NS with an empty URI":            "NS: imdn <>\r\n" + end,
		"NS with a space in it":           "NS: imdn <urn:x y>\r\n" + end,
		"NS with a line in it":            "NS: imdn <urn:\\n>\r\n" + end,
		"NS with two prefixes":            "NS: a b <urn:x>\r\n" + end,
		"NS too long":                     "NS: a <" + strings.Repeat("x", 1025) + ">\r\n" + end,
		"Require before NS":               "Require: a.b\r\nNS: a <urn:x>\r\n" + end,
		"Require of no name":              "Require: a b\r\n" + end,
		"Require too long when unfolded":  "NS: a <urn:" + strings.Repeat("x", 1000) + ">\r\nRequire: " + strings.Repeat("a.b,", 10) + "\r\n" + end,
		"MIME header without colon":       "Subject: x\r\n\r\nContent-type text/xml\r\n\r\nhi",
		"MIME header with a bad name":     "Subject: x\r\n\r\nContent-Type : text/xml\r\n\r\nhi",
		"MIME header with a long name":    "Subject: x\r\n\r\nContent-" + strings.Repeat("x", 256) + ": x\r\n\r\nhi",
		"two types":                       "Subject: x\r\n\r\nContent-Type: text/xml\r\nContent-Type: text/plain\r\n\r\nhi",
		"too many MIME headers":           "Subject: x\r\n\r\n" + strings.Repeat("Content-X: x\r\n", 65) + "\r\nhi",
		"too many for a type":             "Subject: x\r\n\r\n" + strings.Repeat("Content-X: x\r\n", 64) + "\r\nhi",
		"MIME header too long":            "Subject: x\r\n\r\nContent-Type: " + strings.Repeat("x", 8193) + "\r\n\r\nhi",
		"MIME header too long unfolded":   "Subject: x\r\n\r\nContent-Type: " + strings.Repeat("x\r\n ", 5000) + "\r\n\r\nhi",
		"too many with imdn not declared": "imdn.a: x\r\n" + strings.Repeat("a: x\r\n", 63) + end,
	} {
		_, err := ParseCPIM([]byte(wire))
		var f *Failure
		if !errors.As(err, &f) || f.Status != 400 || f.Reason != "Bad Request (message/cpim)" || f.Err == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, wire := range map[string]string{
		"header":         "Subject: \xff\r\n" + end,
		"name":           "S\xff: x\r\n" + end,
		"MIME header":    "Subject: x\r\n\r\nContent-Type: \xff\r\n\r\nhi",
		"folded, broken": "Subject: x\r\n\r\nContent-Type: text/plain\r\n \xff\r\n\r\nhi",
	} {
		_, err := ParseCPIM([]byte(wire))
		var f *Failure
		if !errors.As(err, &f) || f.Status != 400 || f.Reason != "Bad Request (text is not valid UTF-8)" {
			t.Errorf("%s that is not UTF-8: %v", name, err)
		}
	}
}

// The limits are the last that is taken.
func TestCPIMLimits(t *testing.T) {
	wire := strings.Repeat("a: x\r\n", 63) + "Subject: " + strings.Repeat(`\u0041`, 8192) + "\r\n\r\n" +
		strings.Repeat("Content-X: x\r\n", 63) + "Content-Type: text/html\r\n\r\nhi"
	c := mustParseCPIM(t, wire)
	if len(c.Headers) != 64 || len(c.Headers[63].Value) != 8192 || len(c.Content) != 64 || string(c.Body) != "hi" {
		t.Errorf("%d headers, %d of the content, %q", len(c.Headers), len(c.Content), c.Body)
	}
}

// No word of the message reaches an error: it goes to the log.
func TestCPIMErrorsAreSilent(t *testing.T) {
	const secret = "swordfish"
	for _, wire := range []string{secret, secret + "\r\n\r\n", "Subject: " + secret + "\x01\r\n\r\n", "NS: " + secret + "\r\n\r\n", "Require: " + secret + ".x\r\n\r\n",
		"a: b\r\n\r\nContent-" + secret + "\r\n\r\n", "a: " + secret + "\xff\r\n\r\n"} {
		_, err := ParseCPIM([]byte(wire))
		if err == nil {
			t.Errorf("%q is read", wire)
			continue
		}
		if s := fmt.Sprintf("%v %+v %v", err, err, errors.Unwrap(err)); strings.Contains(s, secret) {
			t.Errorf("%q: %s", wire, s)
		}
	}
}

// RFC 3862 §2.3.
func TestCPIMEscapes(t *testing.T) {
	for _, c := range []struct{ wire, value, again string }{
		{`a`, "a", `a`},
		{`\\ \" \' \b\t\n\r`, "\\ \" ' \b\t\n\r", `\\ " ' \b\t\n\r`},
		{`\u0007\u007F\u0085`, "\a\x7f\u0085", `\u0007\u007f\u0085`},
		{`\u00e9\u20AC`, "é€", "é€"},
		{`\ud83d\ude00`, "😀", "😀"},
		{`\ud83d \ude00 \ud83d\u0041`, "\ufffd \ufffd \ufffdA", "\ufffd \ufffd \ufffdA"},
		{`\ude00\ud83d`, "\ufffd\ufffd", "\ufffd\ufffd"},
		{`\ud83d\n\ud83d\ud83d\ude00`, "\ufffd\n\ufffd😀", `` + "\ufffd" + `\n` + "\ufffd😀"},
		{`\ud83d\uff01 \uff01\ude00`, "\ufffd！ ！\ufffd", "\ufffd！ ！\ufffd"},
		{`\x\u12\u12g4\u+123`, "xu12u12g4u+123", "xu12u12g4u+123"},
		{`end\`, `end\`, `end\\`},
		{`\ü`, "ü", "ü"},
		{`\u000d\u000aTo: <im:x@y>`, "\r\nTo: <im:x@y>", `\r\nTo: <im:x@y>`},
	} {
		got := mustParseCPIM(t, "Subject: "+c.wire+"\r\n\r\n")
		if v := got.Headers[0].Value; len(got.Headers) != 1 || v != c.value {
			t.Errorf("%s: %q, not %q", c.wire, v, c.value)
		}
		if out := string(got.Append(nil)); !strings.HasPrefix(out, "Subject: "+c.again+"\r\n\r\nContent-Type: ") {
			t.Errorf("%s is written as %q", c.wire, out)
		}
	}
}

func TestCPIMParameters(t *testing.T) {
	for wire, want := range map[string]string{
		`Subject:;lang=fr Bonjour`:                 `Subject;fr="Bonjour"`,
		`Subject:;x=1;lang=fr-CA;y="a \"b\"; c" d`: `Subject;fr-CA="d"`,
		`Subject:;lang="fr" Bonjour`:               `Subject;fr="Bonjour"`,
		`Subject:;lang=f_r Bonjour`:                `Subject="Bonjour"`,
		`Subject:;lang= Bonjour`:                   `Subject="Bonjour"`,
		`Subject: ;-)`:                             `Subject=";-)"`,
		`Subject: ;lang=fr Bonjour`:                `Subject=";lang=fr Bonjour"`,
		`X-Y:;lang=fr a`:                           `X-Y;fr="a"`,
	} {
		if got, _, _ := strings.Cut(cpimLine(mustParseCPIM(t, wire+"\r\n\r\n")), " | "); got != want {
			t.Errorf("%s: %s, not %s", wire, got, want)
		}
	}
}

// RFC 3862 §3.4.
func TestCPIMNamespaces(t *testing.T) {
	for _, c := range []struct{ name, wire, want string }{
		{"a prefix means nothing by itself", "NS: i <urn:ietf:params:imdn>\ni.Message-ID: 1", `<urn:ietf:params:imdn>Message-ID="1"`},
		{"without a space", "NS: i<urn:x>\ni.a: 1", `<urn:x>a="1"`},
		{"it must come before", "a.b: 1\nNS: a <urn:x>\na.b: 2", `<urn:x>b="2"`},
		{"the last one counts", "NS: a <urn:x>\na.b: 1\nNS: a <urn:y>\na.b: 2", `<urn:x>b="1" <urn:y>b="2"`},
		{"imdn may be something else", "NS: imdn <urn:x>\nimdn.Message-ID: 1", `<urn:x>Message-ID="1"`},
		{"not declared", "a.b: 1\nSubject: x", `Subject="x"`},
		{"the default", "Subject: a\nNS: <urn:x>\nSubject: b", `Subject="a" <urn:x>Subject="b"`},
		{"the default and back", "NS: <urn:x>\nNS: <urn:ietf:params:cpim-headers:>\nSubject: b", `Subject="b"`},
		{"the core by a prefix", "NS: c <urn:ietf:params:cpim-headers:>\nc.Subject: a\nc.NS: d <urn:x>\nd.e: f", `Subject="a" <urn:x>e="f"`},
		{"Require is what it is", "NS: <urn:x>\nNS: a <urn:y>\nRequire: a.b, c", `Require="<urn:y>b,<urn:x>c"`},
		{"case counts", "NS: a <urn:x>\nA.b: 1\na.B: 2\nsubject: x", `<urn:x>B="2" subject="x"`},
	} {
		if got, _, _ := strings.Cut(cpimLine(mustParseCPIM(t, crlf(c.wire)+"\r\n\r\n")), " | "); got != c.want {
			t.Errorf("%s: %s, not %s", c.name, got, c.want)
		}
	}
}

// CT-15.
func TestCPIMRequire(t *testing.T) {
	for wire, want := range map[string][2]string{
		"Subject: x":                  {},
		"Require: Subject":            {"Subject", ""},
		"Require: From,To, cc ,":      {"From To cc", ""},
		"Require:":                    {},
		"NS: a <urn:x>\na.Require: b": {},
		"Require: X-Y":                {"X-Y", "X-Y"},
		"Require: subject":            {"subject", "subject"},
		"NS: a <mid:b,c@d>\nRequire: a.E,Subject,a.F":                                              {"<mid:b,c@d>E Subject <mid:b,c@d>F", "<mid:b,c@d>E <mid:b,c@d>F"},
		"NS: i <urn:ietf:params:imdn>\nRequire: i.Message-ID\nRequire: i.Disposition-Notification": {"<urn:ietf:params:imdn>Message-ID <urn:ietf:params:imdn>Disposition-Notification", ""},
		"NS: i <urn:ietf:params:imdn>\nRequire: i.IMDN-Record-Route,i.Original-To,i.X":             {"<urn:ietf:params:imdn>IMDN-Record-Route <urn:ietf:params:imdn>Original-To <urn:ietf:params:imdn>X", "<urn:ietf:params:imdn>X"},
		"NS: <urn:x>\nRequire: Subject":                                                            {"<urn:x>Subject", "<urn:x>Subject"},
	} {
		c := mustParseCPIM(t, crlf(wire)+"\r\n\r\n")
		if got := strings.Join(c.Required(), " "); got != want[0] {
			t.Errorf("%s requires %q, not %q", wire, got, want[0])
		}
		if got := strings.Join(c.Refused(), " "); got != want[1] {
			t.Errorf("%s: %q is refused, not %q", wire, got, want[1])
		}
		again := mustParseCPIM(t, string(c.Append(nil)))
		if !slices.Equal(again.Required(), c.Required()) {
			t.Errorf("%s: %q, and %q after a round", wire, c.Required(), again.Required())
		}
	}
}

func TestCPIMHelpers(t *testing.T) {
	c := mustParseCPIM(t, crlf(`From:  <im:a@example.com>
To: <im:b@example.com>
To: <im:c@example.com>
DateTime:  2000-12-13T13:40:00.5-08:00
Subject: one\ntwo
Subject: \t
Subject:;lang=fr  trois
NS: x <urn:x>
x.Subject: none of ours

Content-Encoding: gzip
Content-Encoding: deflate

`))
	if got := c.Subjects(); !slices.Equal(got, []Text{{"", "one two"}, {"fr", "trois"}}) {
		t.Errorf("subjects %q", got)
	}
	if got, ok := c.DateTime(); !ok || !got.Equal(time.Date(2000, 12, 13, 21, 40, 0, 5e8, time.UTC)) {
		t.Errorf("%v %v", got, ok)
	}
	if v, ok := c.Header("", "To"); v != "<im:b@example.com>" || !ok {
		t.Errorf("To %q %t", v, ok)
	}
	if v, ok := c.Header("", "From"); v != "<im:a@example.com>" || !ok {
		t.Errorf("From %q %t", v, ok)
	}
	if v, ok := c.Header("urn:x", "Subject"); v != "none of ours" || !ok {
		t.Errorf("x.Subject %q %t", v, ok)
	}
	if v, ok := c.Header("", "cc"); v != "" || ok {
		t.Errorf("cc %q %t", v, ok)
	}
	if got := c.ContentHeader("content-encoding"); got != "gzip, deflate" {
		t.Error(got)
	}
	for s, want := range map[string]bool{"": false, "yesterday": false, "2000-12-13": false, "Wed, 13 Dec 2000 21:40:00 GMT": false, "2000-12-13t21:40:00z": true, "2000-13-13T21:40:00Z": false} {
		c := CPIM{Headers: []CPIMHeader{{Name: "DateTime", Value: s}}}
		if got, ok := c.DateTime(); ok != want || got.IsZero() == want {
			t.Errorf("%q: %v %t", s, got, ok)
		}
	}
	if got, ok := (&CPIM{}).DateTime(); ok || !got.IsZero() {
		t.Errorf("no DateTime: %v", got)
	}
}

// RFC 3862 §4.1: an optional formal name, tokens or a String.
func TestCPIMAddress(t *testing.T) {
	for _, c := range []struct {
		wire, name, uri string
		ok              bool
	}{
		{`Winnie the Pooh <im:pooh@100akerwood.com>`, "Winnie the Pooh", "im:pooh@100akerwood.com", true},
		{`"Depressed Donkey"<im:eeyore@100akerwood.com>`, "Depressed Donkey", "im:eeyore@100akerwood.com", true},
		{`"a \"b\" <c>" <im:d@e>`, `a "b" <c>`, "im:d@e", true},
		{`<im:tigger@100akerwood.com>`, "", "im:tigger@100akerwood.com", true},
		{`"" <im:a@b>`, "", "im:a@b", true},
		{`" <im:a@b>`, `"`, "im:a@b", true},
		{`im:a@b`, "", "", false},
		{`<im:a@b> x`, "", "", false},
		{`x <>`, "x", "", false},
		{``, "", "", false},
	} {
		m := mustParseCPIM(t, "From: "+c.wire+"\r\n\r\n")
		name, uri, ok := m.Headers[0].Address()
		if name != c.name || uri != c.uri || ok != c.ok {
			t.Errorf("%s: %q %q %t", c.wire, name, uri, ok)
		}
		if out := string(m.Append(nil)); !strings.HasPrefix(out, "From: "+c.wire+"\r\n") {
			t.Errorf("%s is written as %q", c.wire, out)
		}
	}
}
