package mapping

import (
	"strings"
	"testing"
	"time"
)

// CT-07: whatever a value has in it, it stays a value, and what has no legal form is left out.
func TestCPIMNothingEndsALine(t *testing.T) {
	const evil = "x\r\nTo: <im:evil@example.com>\r\n\r\nContent-Type: text/html\r\n\r\n"
	c := CPIM{
		Headers: []CPIMHeader{
			{Name: "Subject", Value: evil}, {Name: evil, Value: "a"}, {Space: evil, Name: "a", Value: "b"}, {Name: "Subject", Lang: evil, Value: "c"},
			{Name: "Require", Value: evil}, {Name: "Require", Value: "<" + evil + ">a,<urn:x>" + evil}, {Name: "NS", Value: "imdn <urn:x>"},
			{Name: "Content-Type", Value: "text/html"}, {Name: "", Value: "d"}, {Name: "a.b", Value: "e"}, {Space: "a<b", Name: "f", Value: "g"},
			{Name: "From", Value: `"` + evil + `" <im:a@b>`}, {Name: "Subject", Value: "\xff"},
		},
		Content: []Attr{{evil, "a"}, {"content-type", "text/plain" + evil}, {"content-type", "text/html"}, {"content-id", ""}, {"", "b"}},
		Body:    []byte("hi"),
	}
	const want = `Subject: x\r\nTo: <im:evil@example.com>\r\n\r\nContent-Type: text/html\r\n\r\n
Subject: c
From: "x\r\nTo: <im:evil@example.com>\r\n\r\nContent-Type: text/html\r\n\r\n" <im:a@b>
Subject: ` + "\ufffd" + `

Content-Type: text/plainx To: <im:evil@example.com> Content-Type: text/html

hi`
	if got := string(c.Append(nil)); got != crlf(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestCPIMAppendsToWhatIsThere(t *testing.T) {
	c := CPIM{Body: []byte("hi")}
	if got := string(c.Append([]byte("before"))); got != "before\r\nContent-Type: text/plain;charset=utf-8\r\n\r\nhi" {
		t.Errorf("%q", got)
	}
}

// RFC 3862 §3.4: a prefix is declared once, and before it is used.
func TestCPIMPrefixes(t *testing.T) {
	c := CPIM{
		Headers: []CPIMHeader{
			{Space: "urn:x", Name: "a", Value: "1"}, {Space: SpaceIMDN, Name: "Message-ID", Value: "2"}, {Space: "urn:x", Name: "b", Value: "3"},
			{Name: "Require", Value: "<urn:y,z>c, Subject,<urn:x>b"}, {Space: "urn:y,z", Name: "c", Lang: "en", Value: "4"},
			{Space: spaceCore, Name: "Subject", Value: "5"},
			{Space: "urn:x", Name: "From", Value: `"a" "b"`},
		},
		Content: []Attr{{"content-type", "text/plain"}},
	}
	const want = `NS: ns1 <urn:x>
ns1.a: 1
NS: imdn <urn:ietf:params:imdn>
imdn.Message-ID: 2
ns1.b: 3
NS: ns3 <urn:y,z>
Require: ns3.c,Subject,ns1.b
ns3.c:;lang=en 4
Subject: 5
ns1.From: "a" "b"

Content-Type: text/plain

`
	if got := string(c.Append(nil)); got != crlf(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestNewDateTime(t *testing.T) {
	at := time.Date(2026, 1, 15, 11, 0, 0, 7e8, time.FixedZone("", 3600))
	if h := NewDateTime(at); h.Value != "2026-01-15T10:00:00Z" || h.Name != "DateTime" || h.Space != "" {
		t.Errorf("%+v", h)
	}
}

// RFC 3922 §4.1: im: URIs, with the characters that a mailbox has raw.
func TestCPIMAddresses(t *testing.T) {
	for uri, want := range map[string]string{
		"sip:juliet@example.com;gr=balcony;transport=tcp": "<im:juliet@example.com>",
		"sip:j.c@example.com:5070":                        "<im:j.c@example.com>",
		"sip:+12125550123@voip.example;user=phone":        "<im:+12125550123@voip.example>",
		"sip:7042;phone-context=example.com@voip.example": "<im:7042%3Bphone-context=example.com@voip.example>",
		"sip:juliet%40elsewhere.example@sip.example.com":  "<im:juliet%40elsewhere.example@sip.example.com>",
		"sip:f%C3%BC,x%20%22@example.com":                 "<im:f%C3%BC%2Cx%20%22@example.com>",
		"sip:bob@[2001:db8::9]:5070":                      "<im:bob@[2001:db8::9]>",
		"im:juliet@example.com":                           "<im:juliet@example.com>",
		"sip:gw.example.com:5070;transport=tcp":           "<sip:gw.example.com:5070>",
		"tel:+1-212-555-0123":                             "<tel:+12125550123>",
	} {
		got := cpimAddress(MustParseURI(uri))
		if got != want {
			t.Errorf("%s: %s, not %s", uri, got, want)
		}
		if _, err := ParseURI(strings.Trim(got, "<>")); err != nil {
			t.Errorf("%s: %v", got, err)
		}
	}
}

func TestUnwrap(t *testing.T) {
	wrapped := "From: <im:a@b>\r\n\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Encoding: gzip\r\nContent-Disposition: render\r\n\r\nhi"
	m := &SIPMessage{CallID: "c1", Subject: "s", ContentType: "Message/CPIM;charset=utf-8", Body: []byte(wrapped)}
	got, ok := m.Unwrap()
	if !ok || got.ContentType != plainUTF8 || string(got.Body) != "hi" || got.Encoding != "gzip" || got.Disposition != "render" || got.CallID != "c1" || got.Subject != "s" {
		t.Errorf("%+v %t", got, ok)
	}
	if string(m.Body) != wrapped || m.ContentType != "Message/CPIM;charset=utf-8" {
		t.Errorf("the message itself has changed: %+v", m)
	}
	for _, m := range []*SIPMessage{
		{ContentType: plainUTF8, Body: []byte(wrapped)}, {ContentType: "", Body: []byte(wrapped)}, {ContentType: "message/", Body: []byte(wrapped)},
		{ContentType: TypeCPIM, Body: []byte("hi")}, {ContentType: TypeCPIM, Encoding: "gzip", Body: []byte(wrapped)},
	} {
		if got, ok := m.Unwrap(); ok || got != nil {
			t.Errorf("%+v: %+v", m, got)
		}
	}
}
