package mapping

import (
	"bytes"
	"compress/gzip"
	"strings"
	"sync"
	"testing"
	"time"
)

// The functions that a message goes through, each by itself. Those of addresses are in
// jid_test.go, uri_test.go and rules_test.go, whole messages in message_test.go. The
// figures are in docs/performance.md.

func bench(b *testing.B, name string, f func()) {
	b.Run(name, func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			f()
		}
	})
}

func BenchmarkAddresses(b *testing.B) {
	r := eachRules(b)["phone"]
	fail := func(err error) {
		if err != nil {
			b.Fatal(err)
		}
	}
	juliet, number, other := MustParseJID("juliet@example.com/balcony"), MustParseJID("+12125550123@sip.example.com"), MustParseJID("mercutio@example.com/phone")
	local, alias, escaped := MustParseURI("sip:2125550123@pstn.example.net;user=phone"), MustParseURI("sip:7001@pbx.example.net"), MustParseURI("sip:f%C3%BC@example.net")
	bench(b, "XMPPAddress/number", func() { _, err := r.XMPPAddress(local); fail(err) })
	bench(b, "Recipient/alias", func() { _, err := r.Recipient(alias); fail(err) })
	bench(b, "Sender/not ASCII", func() { _, err := r.Sender(escaped); fail(err) })
	bench(b, "SIPAddress/number", func() { _, err := r.SIPAddress(number); fail(err) })
	bench(b, "SIPIdentity/alias", func() { _, err := r.SIPIdentity(juliet, "pbx.example.net"); fail(err) })
	bench(b, "SIPIdentity/none", func() { _, err := r.SIPIdentity(other, "pbx.example.net"); fail(err) })
	bench(b, "Explain", func() { fail(r.Explain("sip:2125550123@pstn.example.net").Err) })
	bench(b, "URI.String", func() { sink = local.String() })
}

// Addresses are not cached. This is what a cache would cost at its best: one lock, one
// look-up, always a hit.
func BenchmarkAddressCache(b *testing.B) {
	r := eachRules(b)["vectors"]
	u := MustParseURI("sip:romeo@voip.example")
	j, err := r.Sender(u)
	if err != nil {
		b.Fatal(err)
	}
	var mu sync.RWMutex
	byURI, byJID := map[URI]JID{}, map[JID]URI{}
	for i := range 1000 {
		other := URI{Scheme: "sip", User: strings.Repeat("u", 4) + string(rune('a'+i%26)) + string(rune('a'+i/26)), Host: "voip.example"}
		byURI[other] = j
	}
	byURI[u], byJID[j] = j, u
	bench(b, "hit/URI", func() {
		mu.RLock()
		_, ok := byURI[u]
		mu.RUnlock()
		if !ok {
			b.Fatal("no hit")
		}
	})
	bench(b, "hit/JID", func() {
		mu.RLock()
		_, ok := byJID[j]
		mu.RUnlock()
		if !ok {
			b.Fatal("no hit")
		}
	})
	bench(b, "Sender", func() {
		if _, err := r.Sender(u); err != nil {
			b.Fatal(err)
		}
	})
	bench(b, "SIPAddress", func() {
		if _, err := r.SIPAddress(j); err != nil {
			b.Fatal(err)
		}
	})
}

func BenchmarkText(b *testing.B) {
	const plain, other = "Art thou not Romeo, and a Montague?", "Neither,\tfair saint,\r\nif either thee dislike.\u2028"
	accents := strings.Repeat("Prosím ", 10)
	texts := []Text{{"en", plain}, {"cs", accents}, {"de", plain}}
	wire := []byte("Neither, fair saint,\r\nif either thee dislike.")
	bench(b, "XMLText/ASCII", func() { sink = XMLText(plain) })
	bench(b, "XMLText/not ASCII", func() { sink = XMLText(accents) })
	bench(b, "XMLText/illegal", func() { sink = XMLText("a\x00b") })
	bench(b, "HeaderText/as it is", func() { sink = HeaderText(plain) })
	bench(b, "HeaderText/cleaned", func() { sink = HeaderText(other) })
	bench(b, "ReasonText", func() { sink = ReasonText("User \"romeo\" is not online.") })
	bench(b, "LanguageTag", func() { sink = LanguageTag("zh-Hant-TW, en") })
	bench(b, "ValidCallID", func() {
		if !ValidCallID("9E97FB43-85F4-4A00-8751-1124FD4C7B2E@example.net") {
			b.Fatal("not valid")
		}
	})
	bench(b, "choose", func() {
		if _, ok := choose(texts, "de", "en"); !ok {
			b.Fatal("no text")
		}
	})
	bench(b, "toCRLF", func() { toCRLF("Neither, fair saint,\nif either thee dislike.") })
	bench(b, "fromCRLF", func() { sink = fromCRLF(wire) })
	bench(b, "escapeLocal/as it is", func() { sink = escapeLocal("romeo") })
	bench(b, "escapeLocal/escaped", func() { sink = escapeLocal("o'malley & son@example.org") })
	bench(b, "unescapeLocal", func() { sink = unescapeLocal(`o\27malley\20\26\20son\40example.org`) })
	bench(b, "subscriber", func() {
		if _, ok := subscriber("+1-212-555-0123"); !ok {
			b.Fatal("no number")
		}
	})
}

func BenchmarkFailure(b *testing.B) {
	r := testRules(b)
	gone := FailureFromStanza(CondGone, TypeCancel, "", "xmpp:nurse@example.com")
	moved := FailureFromStatus(301, "", 0, []string{"<sip:romeo@example.net>"})
	bench(b, "Status", func() {
		if Default.Status(CondItemNotFound, false, false) != 404 {
			b.Fatal("not 404")
		}
	})
	bench(b, "Condition", func() {
		if c, _ := Default.Condition(404); c != CondItemNotFound {
			b.Fatal(c)
		}
	})
	bench(b, "FailureFromStanza", func() { FailureFromStanza(CondServiceUnavailable, TypeCancel, "User is not online", "") })
	bench(b, "FailureFromStatus", func() { FailureFromStatus(480, "Temporarily Unavailable", 5*time.Second, nil) })
	bench(b, "FailureFromStatus/redirect", func() { FailureFromStatus(302, "", 0, []string{"<sip:a@b>;q=0.5", "\"B\" <sip:romeo@example.net>"}) })
	bench(b, "FailureToSIP", func() { r.FailureToSIP(gone, "example.net") })
	bench(b, "FailureToXMPP", func() { r.FailureToXMPP(moved) })
}

// A whole message from SIP, by what is in it.
func BenchmarkContent(b *testing.B) {
	r := testRules(b)
	const text = "Neither, fair saint,\r\nif either thee dislike."
	const html = `<html><body><p>Neither, <b>fair</b> saint,<br>if either <a href="https://example.net/a">thee</a> dislike.</p></body></html>`
	cpim := "From: <im:romeo@example.net>\r\nTo: <im:juliet@example.com>\r\nDateTime: 2026-01-15T09:00:00Z\r\nSubject: Balcony\r\n\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + text
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	z.Write([]byte(text))
	z.Close()
	for _, c := range []struct{ name, typ, encoding, body string }{
		{"plain", "text/plain", "", text},
		{"windows-1252", "text/plain;charset=windows-1252", "", text},
		{"Shift_JIS", "text/plain;charset=shift_jis", "", "\x83\x8d\x83\x7e\x83\x49"},
		{"flowed", "text/plain;format=flowed", "", "Neither, fair saint, \r\nif either thee dislike."},
		{"html", "text/html", "", html},
		{"cpim", "message/cpim", "", cpim},
		{"alternative", "multipart/alternative;boundary=b", "", "--b\r\n\r\n" + text + "\r\n--b\r\nContent-Type: text/html\r\n\r\n" + html + "\r\n--b--\r\n"},
		{"gzip", "text/plain", "gzip", zipped.String()},
	} {
		m := sipMessage(c.body)
		m.ContentType, m.Encoding = c.typ, c.encoding
		bench(b, c.name, func() {
			if got, err := r.ToXMPP(m); err != nil || len(got) != 1 {
				b.Fatal(got, err)
			}
		})
	}
}

// Whole messages of 100 octets, by what they are made of. The lab's are those of "ASCII".
func BenchmarkMessages(b *testing.B) {
	const ascii, other = "Art thou not Romeo, and a Montague? Neither, fair saint, if either thee dislike. How camest thou here", "Nejsi Romeo, a Montague? Ani jeden, krásná světice, jestli se ti oba nelíbí. Jak jsi sem přiše"
	several := func(m *XMPPMessage) {
		m.Thread, m.Subjects, m.Lang = "29377446-0CBB-4296-8958-590D79094C50", []Text{{Value: "Prosím"}}, "cs"
	}
	jid := func(from, to string) func(*XMPPMessage) {
		return func(m *XMPPMessage) { m.From, m.To = MustParseJID(from), MustParseJID(to) }
	}
	toSIP := func(name string, r *Rules, body string, set ...func(*XMPPMessage)) {
		m := xmppMessage(body)
		for _, f := range set {
			f(m)
		}
		bench(b, "ToSIP/"+name, func() {
			if got, err := r.ToSIP(m); err != nil || len(got) != 1 {
				b.Fatal(got, err)
			}
		})
	}
	said := func(m *SIPMessage) {
		m.CallID, m.Subject, m.Lang, m.Name = "9E97FB43-85F4-4A00-8751-1124FD4C7B2E", "Prosím", "cs", "Romeo Montague"
	}
	uri := func(from, to string) func(*SIPMessage) {
		return func(m *SIPMessage) { m.From, m.RequestURI = MustParseURI(from), MustParseURI(to) }
	}
	toXMPP := func(name string, r *Rules, body string, set ...func(*SIPMessage)) {
		m := sipMessage(body)
		m.Received = time.Date(2026, 1, 15, 9, 0, 0, 0, time.UTC)
		for _, f := range set {
			f(m)
		}
		bench(b, "ToXMPP/"+name, func() {
			if got, err := r.ToXMPP(m); err != nil || len(got) != 1 {
				b.Fatal(got, err)
			}
		})
	}
	all := eachRules(b)
	plain, phone := all["vectors"], all["phone"]
	short := jid("juliet@example.com/balcony", "romeo@sip.example.com")
	toSIP("ASCII", plain, ascii, short)
	toSIP("UTF-8", plain, other, short)
	toSIP("lines", plain, strings.ReplaceAll(ascii, ", ", ",\n"), short)
	toSIP("subject, thread, language", plain, other, short, several)
	toSIP("any domain", plain, ascii, jid("juliet@example.com/balcony", `romeo\40example.org@sip.example.com`))
	toSIP("escapes", plain, ascii, jid(`o\27malley@example.com/balcony`, `romeo\20montague@sip.example.com`))
	toSIP("guest", plain, ascii, jid("juliet@elsewhere.example/balcony", "romeo@sip.example.com"))
	toSIP("number, alias", phone, ascii, jid("juliet@example.com/balcony", "+12125550123@sip.example.com"))
	user := uri("sip:romeo@voip.example", "sip:juliet@example.com")
	toXMPP("ASCII", plain, ascii, user)
	toXMPP("UTF-8", plain, other, user)
	toXMPP("lines", plain, strings.ReplaceAll(ascii, ", ", ",\r\n"), user)
	toXMPP("subject, name, language", plain, other, user, said)
	toXMPP("any domain", plain, ascii, uri("sip:romeo@example.org", "sip:juliet@example.com"))
	toXMPP("escapes", plain, ascii, uri("sip:romeo%20montague@voip.example", "sip:o'malley@example.com"))
	toXMPP("guest", plain, ascii, uri("sip:romeo@voip.example", "sip:juliet%40elsewhere.example@sip.example.com"))
	toXMPP("number, alias", phone, ascii, uri("sip:2125550123@pstn.example.net;user=phone", "sip:7001@pbx.example.net"))
}
