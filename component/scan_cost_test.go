package component

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stoxgw/stox/mapping"
)

// What is visible when the scanner waits for more is what it looks at again: three octets
// of a character at most, whatever it is in the middle of. So the cost of a stanza is
// linear in its length, however the server cuts it.
func TestScanLooksOnce(t *testing.T) {
	for _, seed := range append(scanSeeds,
		`<a `+strings.Repeat("x", 5000)+`='`+strings.Repeat("žy", 5000)+`'>`+strings.Repeat("👍", 5000)+`<![CDATA[`+strings.Repeat("]", 5000)+strings.Repeat("ž", 5000)+`]]></a>`) {
		in := iotest.OneByteReader(strings.NewReader(streamHeader + seed))
		var s *scanner
		most := 0
		s = &scanner{source: source{buf: make([]byte, readSize), fill: func(p []byte) (int, error) {
			most = max(most, readSize-len(p))
			return in.Read(p)
		}}}
		s.begin(16 << 10)
		if _, _, err := s.header(); err != nil {
			t.Fatal(err)
		}
		if _, err := readAllTrees(s, 1<<20); err == nil {
			t.Fatal("no end")
		}
		if most > 3 {
			t.Errorf("%.100q: %d octets are looked at again", seed, most)
		}
	}
}

// A prefix is looked up, not looked for: stanzas are read for nothing else.
func TestScanManyPrefixes(t *testing.T) {
	var b strings.Builder
	b.WriteString(streamHeader)
	for range 30 {
		b.WriteString("<a")
		for i := range maxAttrs {
			b.WriteString(" xmlns:p" + strings.Repeat("x", i) + "='u'")
		}
		b.WriteString(">")
	}
	s := newScanner(t, strings.NewReader(b.String()+strings.Repeat("<p:b p:c=''/>", 900)+strings.Repeat("</a>", 30)+"<c/>"))
	e, over, err := s.stanza(1 << 20)
	if err != nil || over != "" {
		t.Fatal(over, err)
	}
	for len(e.children) == 1 {
		e = e.children[0]
	}
	if n := len(e.children); n != 900 || e.children[n-1].name.Space != "u" || e.children[n-1].attrs[0].Name.Space != "u" {
		t.Errorf("%d children, %+v", n, e.children[n-1])
	}
	if len(s.prefixes) != 1 || len(s.undo) != 1 { // the stream's own
		t.Errorf("%d prefixes are left, %d to be undone", len(s.prefixes), len(s.undo))
	}
	if e, _, err := s.stanza(1 << 20); err != nil || e.name.Local != "c" {
		t.Error(e, err)
	}
}

// What one stanza took is given back when the next is read.
func TestScanForgetsBigStanzas(t *testing.T) {
	big := []string{
		`<a b='` + strings.Repeat("x", 1<<20) + `'/>`,
		`<a>` + strings.Repeat("x", 1<<20) + `</a>`,
		`<a>` + strings.Repeat("&lt;", 1<<18) + `<![CDATA[` + strings.Repeat("x", 1<<18) + `]]></a>`,
		`<a` + manyAttrs(10000) + `/>`,
		`<` + strings.Repeat("a", 1<<20) + `/>`,
		`<a ` + strings.Repeat("b", 1<<20) + `=''/>`,
		strings.Repeat(`<a>`, 1<<18) + strings.Repeat(`</a>`, 1<<18),
		`<a>` + strings.Repeat(`<b>x</b>`, 1000) + `</a>`,
	}
	for _, soft := range []int{1 << 10, 2 << 20} {
		s := newScanner(t, strings.NewReader(streamHeader+strings.Join(big, "")+"<c/>"))
		for range big {
			if _, _, err := s.stanza(soft); err != nil {
				t.Fatal(err)
			}
		}
		if e, over, err := s.stanza(soft); err != nil || over != "" || e.name.Local != "c" {
			t.Fatal(e, over, err)
		}
		total := cap(s.raw) + cap(s.values) + cap(s.names) + 24*cap(s.open) + 8*cap(s.path)
		for _, e := range s.kept {
			total += 128 + cap(e.text) + 64*cap(e.attrs) + 8*cap(e.children)
		}
		if total > 128<<10 {
			t.Errorf("limit %d: %d octets are kept", soft, total)
		}
		if len(s.path) > 1 || len(s.open) != 1 || s.used != 1 {
			t.Errorf("limit %d: %d on the path, %d open, %d elements", soft, len(s.path), len(s.open), s.used)
		}
	}
}

// The room for a long name is given back with the next stanza, also if that is all there is:
// whoever sends one must not have it copied for everybody who comes after.
func TestScanForgetsLongName(t *testing.T) {
	for _, tag := range []string{"<%s/>", "<a %s=''/>", "<a><%s/></a>", "%s<a/>"} {
		s := newScanner(t, strings.NewReader(streamHeader+strings.ReplaceAll(tag, "%s", strings.Repeat("b", 1<<18))+"<c/><c/>"))
		for range 3 {
			if _, _, err := s.stanza(1 << 10); err != nil {
				t.Fatal(err)
			}
		}
		if kept := cap(s.raw) + cap(s.values) + cap(s.names); kept > 3*bigScratch {
			t.Errorf("%s: %d octets are kept", tag, kept)
		}
	}
}

// endless gives one text again and again.
type endless struct {
	text []byte
	at   int
}

func (r *endless) Read(p []byte) (int, error) {
	n := copy(p, r.text[r.at:])
	r.at = (r.at + n) % len(r.text)
	return n, nil
}

const (
	plainMessage = `<message from='juliet@example.com/balcony' to='romeo@sip.example.com' id='abcdef' type='chat'><body>` +
		`Wherefore art thou, Romeo? Deny thy father and refuse thy name; or if thou wilt not, be but sworn my love.</body></message>`
	clientMessage = `<message to='romeo@sip.example.com' type='chat' from='juliet@example.com/balcony' id='5d0a3b9e-5d2f-4a83-8d1e-8a7c0c3f2a11' xml:lang='en'><body>` +
		`Wherefore art thou, Romeo? Deny thy father and refuse thy name; or if thou wilt not, be but sworn my love.</body>` +
		`<request xmlns='urn:xmpp:receipts'/><markable xmlns='urn:xmpp:chat-markers:0'/><origin-id xmlns='urn:xmpp:sid:0' id='5d0a3b9e-5d2f-4a83-8d1e-8a7c0c3f2a11'/><active xmlns='http://jabber.org/protocol/chatstates'/></message>`
	barrierHome = `<iq type='get' to='sip.example.com' from='sip.example.com' id='K3QGH7TJ4XZM2VNC5RWYB6DPLA-b123456'><ping xmlns='urn:xmpp:ping'/></iq>`
)

// A message costs its value, the string of its addresses and id, and its text.
func TestScanAllocates(t *testing.T) {
	for _, tt := range []struct {
		stanza string
		want   float64
	}{{plainMessage, 3}, {clientMessage, 3}, {barrierHome, 1}} {
		s := newScanner(t, io.MultiReader(strings.NewReader(streamHeader), &endless{text: []byte(tt.stanza)}))
		got := testing.AllocsPerRun(1000, func() {
			e, _, err := s.stanza(1 << 16)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := mapping.ParseJID(e.attr("from")); err != nil {
				t.Fatal(err)
			}
			if e.name.Local == "message" {
				messageOf(e)
			}
		})
		if got > tt.want {
			t.Errorf("%.30s: %v allocations, want %v", tt.stanza, got, tt.want)
		}
	}
}

// Header: the declaration is read if it is one, and nothing else goes before the root.
func TestScanHeader(t *testing.T) {
	const root = `<stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' id='1'`
	for _, tt := range []struct {
		text string
		err  error
	}{
		{root + `>`, nil},
		{" \r\n" + root + `  >`, nil},
		{`<?xml version='1.0'?>` + root + `>`, nil},
		{"<?xml version=\"1.0\" encoding=\"UTF-8\" standalone='yes' ?>\n" + root + `>`, nil},
		{`<?xml version='1.0' encoding='latin1'?>` + root + `>`, errTag},
		{`<?xml version='1.1'?>` + root + `>`, errTag},
		{`<?xml version='1.0'>` + root + `>`, errSyntax},
		{`<?xml version='1.0'?><?xml version='1.0'?>` + root + `>`, errRestricted},
		{`<?php version='1.0'?>` + root + `>`, errRestricted},
		{`<!-- -->` + root + `>`, errRestricted},
		{`<!DOCTYPE x>` + root + `>`, errRestricted},
		{`x` + root + `>`, errNotXMPP},
		{"\uFEFF" + root + `>`, errNotXMPP},
		{"HTTP/1.1 400 Bad Request\r\n", errNotXMPP},
		{`</stream:stream>`, errName},
		{root, io.EOF},
		{strings.Repeat(" ", 17<<10) + root + `>`, errTooBig},
		{root + ` x='` + strings.Repeat("x", 16<<10), errTooBig},
	} {
		s := &scanner{source: source{fill: strings.NewReader(tt.text).Read, buf: make([]byte, readSize)}}
		s.begin(16 << 10)
		e, empty, err := s.header()
		if !errors.Is(err, tt.err) || (err == nil) != (tt.err == nil) {
			t.Errorf("%.60q: %v, want %v", tt.text, err, tt.err)
		}
		if err == nil && (e.attr("id") != "1" || e.name.Local != "stream" || empty) {
			t.Errorf("%.60q: %s", tt.text, describe(e))
		}
	}
}

// A stream may be over with its header.
func TestEmptyStream(t *testing.T) {
	for _, end := range []string{"/>", "></stream:stream>"} {
		h := newSink()
		_, err := readAll([]byte(strings.TrimSuffix(streamHeader, ">")+end+plainMessage), 1<<20, 1<<16, h)
		if !errors.Is(err, errStreamEnd) || len(h.messages) != 0 {
			t.Errorf("%s: %v, %d messages", end, err, len(h.messages))
		}
	}
}

func BenchmarkScan(b *testing.B) {
	for name, text := range map[string]string{"message": plainMessage, "client": clientMessage, "iq": barrierHome} {
		b.Run(name, func(b *testing.B) {
			s := newScanner(b, io.MultiReader(strings.NewReader(streamHeader), &endless{text: bytes.Repeat([]byte(text), 100)}))
			b.ReportAllocs()
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				if _, _, err := s.stanza(1 << 16); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
