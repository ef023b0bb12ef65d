package mapping

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// cpimPieces are what makes a value interesting: what is escaped, what looks like an
// escape, and what looks like syntax.
var cpimPieces = []string{
	"a", "Bonjour", " ", "  ", `\`, `\\`, `\n`, `\u0041`, `\ud83d`, `"`, "'", ";", ";lang=fr", "=", ":", ",", "<", ">", "<im:a@example.com>", ".",
	"\r\n", "\r\nTo: <im:x@y>", "\n", "\r", "\t", "\b", "\x00", "\x7f", "\u0085", "\u2028", "é", "😀", "\ufffd", "NS: a <urn:x>", "Content-Type: text/html",
}

func anyCPIMValue() *rapid.Generator[string] {
	return rapid.Map(rapid.OneOf(pieces(cpimPieces, 0, 6), rapid.String()), func(s string) string { return strings.ToValidUTF8(s, "\ufffd") })
}

func anySpace() *rapid.Generator[string] {
	return rapid.SampledFrom([]string{"", "", "", SpaceIMDN, "urn:x", "mid:a,b@example.com", `http://example.com/\n"é`, "imdn", "ns1"})
}

func anyCPIMName() *rapid.Generator[string] {
	return rapid.OneOf(rapid.SampledFrom([]string{"From", "To", "cc", "DateTime", "Subject", "Message-ID"}),
		rapid.StringMatching("[A-Za-z0-9!#$%&'*+^_`|~-]{1,12}"))
}

// anyCPIM is a message/cpim with legal names, in the form in which ParseCPIM gives one.
func anyCPIM() *rapid.Generator[*CPIM] {
	return rapid.Custom(func(t *rapid.T) *CPIM {
		c := &CPIM{Body: rapid.SliceOf(rapid.Byte()).Draw(t, "body")}
		for range rapid.IntRange(0, 8).Draw(t, "headers") {
			h := CPIMHeader{Space: anySpace().Draw(t, "space"), Name: anyCPIMName().Draw(t, "name"), Value: anyCPIMValue().Draw(t, "value"),
				Lang: rapid.SampledFrom([]string{"", "", "fr", "en-GB-x-a1"}).Draw(t, "lang")}
			switch {
			case h.Space == "" && (h.Name == "NS" || isContentName(h.Name)):
				continue
			case rapid.IntRange(0, 5).Draw(t, "require?") == 0:
				h.Space, h.Name, h.Value = "", "Require", ""
				for i := range rapid.IntRange(1, 3).Draw(t, "required") {
					if i > 0 {
						h.Value += ","
					}
					if space := anySpace().Draw(t, "space"); space != "" {
						h.Value += "<" + space + ">"
					}
					h.Value += anyCPIMName().Draw(t, "name")
				}
			}
			c.Headers = append(c.Headers, h)
		}
		typ := Attr{"content-type", rapid.SampledFrom([]string{"text/plain; charset=utf-8", "text/html", "multipart/mixed;boundary=\"a b\""}).Draw(t, "type")}
		for range rapid.IntRange(0, 3).Draw(t, "others") {
			c.Content = append(c.Content, Attr{rapid.SampledFrom([]string{"content-id", "x-y", "content-disposition", "mime-version"}).Draw(t, "name"),
				rapid.StringMatching(`[!-~é][ -~é]{0,8}[!-~é]`).Draw(t, "value")})
		}
		c.Content = slices.Insert(c.Content, rapid.IntRange(0, len(c.Content)).Draw(t, "at"), typ)
		return c
	})
}

// CT-07: whatever is in the values, it reads back as it was written.
func TestCPIMRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := anyCPIM().Draw(t, "message")
		wire := c.Append(nil)
		got, err := ParseCPIM(wire)
		if err != nil {
			t.Fatalf("%v (%v)\n%q", err, err.(*Failure).Err, wire)
		}
		if !reflect.DeepEqual(got.Headers, c.Headers) || !slices.Equal(got.Content, c.Content) || !bytes.Equal(got.Body, c.Body) {
			t.Fatalf("%q\ngot  %q\nwant %q", wire, cpimLine(got), cpimLine(c))
		}
	})
}

// However much a message says, what Wrap makes of it can be read again: a message that cannot
// be sent so could not be sent at all otherwise.
func TestWrapWhatIsTooMuch(t *testing.T) {
	for name, subjects := range map[string][]Text{
		"many": slices.Repeat([]Text{{Lang: "fr", Value: "Bonjour"}}, 100),
		"long": {{Lang: "fr", Value: strings.Repeat("Bonjour ", 2000)}, {Lang: "en", Value: "Hello"}},
	} {
		m := &SIPMessage{From: URI{Scheme: "sip", User: "a", Host: "b.example"}, To: URI{Scheme: "sip", User: "c", Host: "d.example"},
			ContentType: plainUTF8, Body: []byte("hi"), Subjects: subjects}
		w := m.Wrap()
		if got, ok := w.Unwrap(); !ok || string(got.Body) != "hi" {
			t.Errorf("%s: not to be unwrapped", name)
		}
		if c, err := ParseCPIM(w.Body); err != nil || len(c.Subjects()) == 0 {
			t.Errorf("%s: no subject: %v", name, err)
		}
	}
}

// Unwrap undoes Wrap, and what is between the two says what the request did.
func TestWrapUnwrap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &SIPMessage{
			RequestURI: MustParseURI("sip:romeo@example.net;transport=tcp"), To: MustParseURI("sip:romeo@example.net"),
			From:   URI{Scheme: "sip", User: rapid.StringMatching(`[a-zé<>";@\\ ]{1,8}`).Draw(t, "user"), Host: "example.com", Port: 5070, GR: "balcony"},
			CallID: "c1", FromTag: "t1", CSeq: 3, Target: 1, Lang: "en", Subject: HeaderText(anyCPIMValue().Draw(t, "subject")),
			ContentType: rapid.SampledFrom([]string{plainUTF8, "text/html;charset=utf-8", "message/imdn+xml"}).Draw(t, "type"),
			Disposition: rapid.SampledFrom([]string{"", "notification"}).Draw(t, "disposition"),
			Body:        rapid.SliceOf(rapid.Byte()).Draw(t, "body"),
		}
		if rapid.Bool().Draw(t, "date?") {
			m.Date = time.Unix(rapid.Int64Range(0, 1<<32).Draw(t, "date"), 0).UTC()
		}
		for range rapid.IntRange(0, 2).Draw(t, "subjects") {
			m.Subjects = append(m.Subjects, Text{rapid.SampledFrom([]string{"", "fr"}).Draw(t, "lang"), anyCPIMValue().Draw(t, "subject")})
		}
		before, id := *m, CPIMHeader{Space: SpaceIMDN, Name: "Message-ID", Value: anyCPIMValue().Draw(t, "id")}
		w := m.Wrap(id)
		if !reflect.DeepEqual(*m, before) {
			t.Fatalf("the message itself has changed: %+v", m)
		}
		back, ok := w.Unwrap()
		if !ok || !bytes.Equal(back.Body, m.Body) {
			t.Fatalf("%q: %t %+v", w.Body, ok, back)
		}
		back.Body = m.Body
		if !reflect.DeepEqual(back, m) {
			t.Fatalf("%q\ngot  %+v\nwant %+v", w.Body, back, m)
		}

		c, err := ParseCPIM(w.Body)
		if err != nil || w.ContentType != TypeCPIM || w.Disposition != "" || !slices.Contains(c.Headers, id) {
			t.Fatalf("%v %+v", err, w)
		}
		_, from, ok := c.Headers[0].Address()
		if u, err := ParseURI(from); !ok || err != nil || u != m.From.WithScheme("im") {
			t.Fatalf("From %+v: %v %v", c.Headers[0], u, err)
		}
		if at, ok := c.DateTime(); ok == m.Date.IsZero() || ok && !at.Equal(m.Date) {
			t.Fatalf("%v, not %v", at, m.Date)
		}
		var subjects []Text
		for _, s := range m.Subjects {
			if s.Value = HeaderText(s.Value); s.Value != "" {
				subjects = append(subjects, s)
			}
		}
		if len(m.Subjects) == 0 && m.Subject != "" {
			subjects = []Text{{Value: m.Subject}}
		}
		if got := c.Subjects(); !slices.Equal(got, subjects) {
			t.Fatalf("%q, not %q", got, subjects)
		}
	})
}

// What is read can be written, and reads the same again; nothing brings it down.
func FuzzCPIM(f *testing.F) {
	for _, s := range []string{
		"From: MR SANDERS <im:piglet@100akerwood.com>\r\nSubject:;lang=fr beau temps\r\nNS: MyFeatures <mid:MessageFeatures@id.foo.com>\r\nRequire: MyFeatures.Vital, To\r\nMyFeatures.Vital: x\r\n\r\nContent-type: text/xml; charset=utf-8\r\nContent-ID: <1234567890@foo.com>\r\n\r\n<body>\r\n",
		"From: \"a \\\"b\\\"\" <im:alice@example.com>\nNS: imdn <urn:ietf:params:imdn>\nimdn.Message-ID: 34jk324j\nDateTime: 2006-04-04T12:16:49-05:00\nContent-type: text/plain\nContent-length: 12\n\nHello World",
		"NS: <urn:x>\r\nNS: c <urn:ietf:params:cpim-headers:>\r\nc.Subject: \\u00e9\\ud83d\\ude00\\q\\\r\nimdn.a:x\r\nRequire: imdn.b,y\r\n\r\nhello",
		"\r\nX-Y: z\r\nContent-Type: text/plain;\r\n\tcharset=utf-8\r\n \r\n\r\nhi",
		"Content-Type: message/cpim\r\n\r\nFrom: <im:a@b>\r\n\r\n\r\n",
		"Subject:;lang=fr;x=\"a \\\" b\";y=1 text\r\n\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := ParseCPIM(b)
		if err != nil {
			if f, ok := err.(*Failure); !ok || f.Status != 400 || c != nil {
				t.Fatalf("%v", err)
			}
			return
		}
		if c.ContentHeader("content-type") == "" {
			t.Fatalf("%q has no Content-Type", b)
		}
		c.Subjects()
		c.DateTime()
		c.Refused()
		for _, h := range c.Headers {
			name, uri, ok := h.Address()
			if ok != (uri != "") || !strings.Contains(h.Value, name) || !strings.Contains(h.Value, uri) {
				t.Fatalf("%q is %q and %q", h.Value, name, uri)
			}
		}
		wire := c.Append(nil)
		again, err := ParseCPIM(wire)
		if err != nil {
			t.Fatalf("%q does not come back: %v (%v)", wire, err, err.(*Failure).Err)
		}
		if !reflect.DeepEqual(again.Headers, c.Headers) || !slices.Equal(again.Content, c.Content) || !bytes.Equal(again.Body, c.Body) {
			t.Fatalf("%q\nis %q\nnow %q", wire, cpimLine(c), cpimLine(again))
		}
		if twice := again.Append(nil); !bytes.Equal(twice, wire) {
			t.Fatalf("%q\nthen %q", wire, twice)
		}
	})
}

const cpimExample = "From: <im:juliet@example.com>\r\nTo: <im:romeo@example.net>\r\nDateTime: 2026-01-15T10:00:00Z\r\nNS: imdn <urn:ietf:params:imdn>\r\n" +
	"imdn.Message-ID: Xa9fK2mQ0pLz\r\nimdn.Disposition-Notification: positive-delivery, negative-delivery, display\r\n\r\n" +
	"Content-Type: text/plain; charset=utf-8\r\n\r\nWhat man art thou ...?"

func BenchmarkParseCPIM(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseCPIM([]byte(cpimExample)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkWrap(b *testing.B) {
	m := &SIPMessage{From: MustParseURI("sip:juliet@example.com;gr=balcony"), To: MustParseURI("sip:romeo@example.net"),
		Date: time.Unix(1768471200, 0), ContentType: plainUTF8, Body: []byte("What man art thou ...?")}
	id := CPIMHeader{Space: SpaceIMDN, Name: "Message-ID", Value: "Xa9fK2mQ0pLz"}
	ask := CPIMHeader{Space: SpaceIMDN, Name: "Disposition-Notification", Value: "positive-delivery, negative-delivery, display"}
	b.ReportAllocs()
	for b.Loop() {
		if w := m.Wrap(id, ask); len(w.Body) != len(cpimExample) {
			b.Fatalf("%q", w.Body)
		}
	}
}
