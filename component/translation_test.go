package component

import (
	"bytes"
	"encoding/xml"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/stoxgw/stox/mapping"
)

// translatedBodies are bodies of requests, in all types, of which something may become
// of harm to a stream.
var translatedBodies = []struct{ contentType, body string }{
	{"text/plain", "Art thou not Romeo,\r\nand a Montague?"},
	{"text/plain", "]]></body></message><message to='nurse@example.com'><body>&amp;\x00\x0b\x1b\ufffe</body>"},
	{"text/plain;charset=windows-1252", "\x80\x81\x00<"},
	{"text/plain;charset=utf-16", "\xfe\xff\x00<\xd8\x00\x00>"},
	{"text/html", "<p onclick='x()'>a<b>b</p>c</b><script>&lt;/script></script><a href='java\tscript:x()'>d</a><a href=\"http://example.net/?a=b&c='<>\">e</a>"},
	{"text/html", "<body><img src=https://example.net/x.png alt='&#x0;&#1;&#xfffe;\"'><![CDATA[<x>]]><!-- -- --></message></stream:stream>"},
	{"text/html", strings.Repeat("<blockquote>", 300) + "deep"},
	{"message/cpim", "From: <im:a@b>\r\nSubject:;lang=fr l'\u00e9t\u00e9 \\u0000<>\r\nDateTime: 2026-01-15T09:00:00Z\r\n\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<em>a</em>&amp;<br>"},
	{"multipart/alternative;boundary=b", "--b\r\n\r\n<x>\r\n--b\r\nContent-Type: text/html\r\n\r\n<i>&lt;x&gt;</i>\x01\r\n--b--\r\n"},
	{"multipart/mixed;boundary=b", "--b\r\n\r\na\r\n--b\r\n\r\nb\x00\r\n--b--"},
}

// SEC-20, CT-10: whatever SIP sends, what the translation makes of it is one well-formed
// stanza that any parser reads, and it says what the translation meant.
func TestTranslationIsXML(t *testing.T) {
	rules, err := mapping.NewRules(mapping.RulesConfig{GatewayDomain: testDomain, UserDomains: []string{"example.com"}, DefaultSIPDomain: "pbx.example.net"})
	if err != nil {
		t.Fatal(err)
	}
	stanzas, marked := 0, 0
	text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", "<", "'", "\"><x/>", "&", "&#0;", "]]>", "\x00\r\n", "\xff", "\ufffe", "en", "r\u00e9sum\u00e9"}))
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SampledFrom(translatedBodies).Draw(t, "body")
		if rapid.Bool().Draw(t, "another text") {
			b.contentType, b.body = "text/plain", text.Draw(t, "text")
		}
		m := &mapping.SIPMessage{
			RequestURI: mapping.URI{Scheme: "sip", User: "juliet", Host: "example.com", GR: text.Draw(t, "device")},
			From:       mapping.URI{Scheme: "sip", User: rapid.SampledFrom([]string{"romeo", "o'malley", "m&m", "a<b>", "\u00fc", "+1555"}).Draw(t, "user"), Host: rapid.SampledFrom([]string{"pbx.example.net", "example.org"}).Draw(t, "host"), GR: text.Draw(t, "gr")},
			Name:       text.Draw(t, "name"), CallID: text.Draw(t, "call-id"), FromTag: "t", CSeq: 1, Subject: text.Draw(t, "subject"), Lang: text.Draw(t, "lang"),
			ContentType: b.contentType, Body: []byte(b.body), Received: time.Unix(1_800_000_000, 0), Date: time.Unix(rapid.Int64Range(0, 1_900_000_000).Draw(t, "date"), 0),
		}
		values, err := rules.ToXMPP(m)
		if err != nil {
			return
		}
		for _, v := range values {
			meant := v.(*mapping.XMPPMessage)
			meant.ID = text.Draw(t, "id")
			checkStanza(t, meant, appendValue(nil, meant, testDomain, 1<<20))
			if stanzas++; len(meant.Markup) > 0 {
				marked++
			}
		}
	})
	if stanzas < 20 || marked < 3 {
		t.Errorf("only %d stanzas came of it, %d with markup", stanzas, marked)
	}
}

// ours are the namespaces that a stanza of ours may have anything in.
var ours = []string{"", "http://jabber.org/protocol/nick", "http://jabber.org/protocol/xhtml-im", "http://www.w3.org/1999/xhtml", "urn:xmpp:delay"}

func checkStanza(t *rapid.T, meant *mapping.XMPPMessage, b []byte) {
	if !utf8.Valid(b) {
		t.Fatalf("not UTF-8: %q", b)
	}
	d := xml.NewDecoder(bytes.NewReader(b))
	depth, roots := 0, 0
	var path []string
	var body, thread strings.Builder
	for {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("%v in %q", err, b)
		}
		switch token := token.(type) {
		case xml.StartElement:
			if depth++; depth == 1 {
				roots++
			}
			path = append(path, token.Name.Local)
			if !slices.Contains(ours, token.Name.Space) {
				t.Fatalf("an element in %q: %q", token.Name.Space, b)
			}
			if depth == 1 {
				for _, a := range token.Attr {
					switch a.Name.Local {
					case "from", "to":
						if j, err := mapping.ParseJID(a.Value); err != nil || j != meant.From && j != meant.To {
							t.Fatalf("%s is %q, %v", a.Name.Local, a.Value, err)
						}
					case "id", "lang":
					default:
						t.Fatalf("an attribute %v: %q", a, b)
					}
				}
			}
		case xml.EndElement:
			depth--
			path = path[:len(path)-1]
		case xml.CharData:
			switch strings.Join(path, "/") {
			case "message/body":
				body.Write(token)
			case "message/thread":
				thread.Write(token)
			}
		default:
			t.Fatalf("%T in %q", token, b)
		}
	}
	if roots != 1 || depth != 0 {
		t.Fatalf("%d elements: %q", roots, b)
	}
	if len(meant.Bodies) != 1 || body.String() != meant.Bodies[0].Value || thread.String() != meant.Thread {
		t.Fatalf("%q says %q in %q, meant is %+v", b, body.String(), thread.String(), meant)
	}
}
