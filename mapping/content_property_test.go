package mapping

import (
	"errors"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Whatever the headers and the body are, a request becomes one whole message that may be
// written to XMPP, or a Failure, or nothing.
func checkToXMPP(t fataler, r *Rules, m *SIPMessage) {
	got, err := r.ToXMPP(m)
	mustFailure(t, err, len(got))
	if f, _ := err.(*Failure); f != nil {
		switch f.Status {
		case 400, 413, 480, 493:
		case 415:
			if f.Accept == "" && f.AcceptEncoding == "" {
				t.Fatalf("%v without what is accepted", f)
			}
		default:
			t.Fatalf("%v is no answer to a body", f)
		}
		return
	}
	if len(got) > 1 || len(m.Body) == 0 && len(got) > 0 {
		t.Fatalf("%d stanzas", len(got))
	}
	for _, v := range got {
		x := v.(*XMPPMessage)
		checkStanza(t, x)
		if r.plainOnly && x.Markup != nil {
			t.Fatalf("markup %+v", x.Markup)
		}
		if !x.Delay.IsZero() && (x.Delay.Before(sipBorn) || x.Delay.After(m.Received)) {
			t.Fatalf("delay %s", x.Delay)
		}
	}
}

// checkStanza says once more, in other words than the code's, what may go to XMPP.
func checkStanza(t fataler, m *XMPPMessage) {
	if m.ID != "" || m.Type != "" || len(m.Bodies) != 1 || m.Bodies[0].Value == "" || m.Bodies[0].Lang != "" {
		t.Fatalf("%+v", m)
	}
	if text := m.Bodies[0].Value; illegalXML(text) >= 0 || strings.Contains(text, "\r") {
		t.Fatalf("body %q", text)
	}
	if m.Lang != LanguageTag(m.Lang) || illegalXML(m.Thread) >= 0 || len(m.Subjects) > maxSubjects {
		t.Fatalf("%+v", m)
	}
	langs := map[string]bool{}
	for _, s := range m.Subjects {
		if lang := strings.ToLower(s.Lang); s.Lang != LanguageTag(s.Lang) || langs[lang] {
			t.Fatalf("subjects %+v", m.Subjects)
		} else {
			langs[lang] = true
		}
		if s.Value == "" || illegalXML(s.Value) >= 0 || HeaderText(s.Value) != s.Value {
			t.Fatalf("subject %q", s.Value)
		}
	}
	checkNick(t, m.Nick)
	if err := errors.Join(checkNodes("body", m.Markup), checkWhitelist(printXHTML(m.Markup))); err != nil {
		t.Fatalf("%v", err)
	}
}

var (
	someTypes = []string{"", "text/plain", "text/plain;charset=utf-8", "text/plain;format=flowed;delsp=yes", "text/html", "message/cpim", "image/png",
		"multipart/mixed;boundary=b", "multipart/alternative;boundary=b", "multipart/related;boundary=b;start=\"<1>\"", "multipart/signed;boundary=c",
		"multipart/mixed;boundary=c", "multipart/digest;boundary=b", "multipart/x;boundary=c", "application/pkcs7-mime", "x", "text/plain;charset=\""}
	someCharsets  = []string{"utf-16", "koi8-r", "iso-2022-jp", "big5", "gb18030", "us-ascii", "x-user-defined", "replacement", "x", "euc-kr", "shift_jis", "\x00"}
	someEncodings = []string{"", "", "", "identity", "gzip", "deflate", "deflate, gzip", "br", ","}
	someUses      = []string{"", "", "", "render", "attachment", "icon", "icon;handling=optional", ";", "render;handling=optional"}
	somePieces    = []string{"--b\r\n", "--c\r\n", "--b--\r\n", "--c--\r\n", "\r\n", "\n", "\r", "Content-Type: ", "text/plain", "text/html", "message/cpim",
		"multipart/mixed;boundary=c", "multipart/alternative; boundary=b", "Content-Transfer-Encoding: base64\r\n", "Content-Transfer-Encoding: quoted-printable\r\n",
		"Content-Disposition: icon;handling=optional\r\n", "Content-Language: de\r\n", "Content-ID: <1>\r\n", "Content-Encoding: gzip\r\n", "Subject:;lang=fr ", "Subject: ",
		"DateTime: 2026-01-15T09:50:00Z\r\n", "From: <im:a@b>\r\n", "Require: x\r\n", "aGk=", "=41", "hi", "a ", "> ", "<p>", "<b>x</b>", "é", "\xff", "\x00", "\ufffe",
		"\x1f\x8b\x08", "x\x9c", "\x1b$B", "\xef\xbb\xbf", "\xff\xfe"}
)

func TestWhateverComesIsWholeOrRefused(t *testing.T) {
	received := time.Date(2026, 1, 15, 10, 0, 0, 0, time.UTC)
	// A text in each form that there is: so that not all that is drawn is refused.
	sound := rapid.Custom(func(t *rapid.T) string {
		s := rapid.SampledFrom([]string{"\r\n", "Content-Type: text/html\r\n\r\n", "Content-Transfer-Encoding: quoted-printable\r\n\r\n"}).Draw(t, "head")
		return "--b\r\n" + s + rapid.StringOf(rapid.SampledFrom([]rune("ab \r\n<>&é\x01"))).Draw(t, "text") + "\r\n"
	})
	rules := *testRules(t)
	delivered := 0
	rapid.Check(t, func(t *rapid.T) {
		r := &rules
		r.plainOnly, r.refuseExpired = rapid.Bool().Draw(t, "plain"), rapid.Bool().Draw(t, "refuse")
		m := sipMessage(rapid.OneOf(
			rapid.String(),
			rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }),
			pieces(somePieces, 0, 30),
			rapid.Map(rapid.SliceOfN(sound, 1, 4), func(s []string) string { return strings.Join(s, "") + "--b--" }),
		).Draw(t, "body"))
		m.ContentType = rapid.OneOf(rapid.SampledFrom(someTypes), rapid.SampledFrom(someTypes), rapid.Map(rapid.SampledFrom(someCharsets), func(s string) string { return "text/plain;charset=" + s }), rapid.String()).Draw(t, "type")
		m.Encoding, m.Disposition = rapid.SampledFrom(someEncodings).Draw(t, "encoding"), rapid.SampledFrom(someUses).Draw(t, "disposition")
		m.Name, m.Subject, m.Lang, m.CallID = rapid.String().Draw(t, "name"), rapid.String().Draw(t, "subject"), rapid.String().Draw(t, "lang"), rapid.String().Draw(t, "call-id")
		m.Date = time.Unix(rapid.Int64().Draw(t, "date"), 0)
		if rapid.Bool().Draw(t, "near") {
			m.Date = received.Add(time.Duration(rapid.Int32().Draw(t, "before")) * time.Second)
		}
		m.Expires = time.Duration(rapid.Int64().Draw(t, "expires"))
		if rapid.Bool().Draw(t, "clock") {
			m.Received = received
		}
		checkToXMPP(t, r, m)
		if got, _ := r.ToXMPP(m); len(got) > 0 {
			delivered++
		}
	})
	if delivered == 0 {
		t.Error("nothing that was drawn was delivered")
	}
}

func FuzzContent(f *testing.F) {
	for _, c := range [][4]string{
		{"text/plain", "", "", "hi"},
		{"text/plain; charset=koi8-r; format=flowed; delsp=yes", "", "render", "\xf0 \r\n> a"},
		{"text/plain;charset=utf-16", "", "", "\xff\xfeh\x00i\x00"},
		{"text/plain;charset=iso-2022-jp", "", "", "\x1b$B%m\x1b(B"},
		{"text/html", "", "", "<p>Hello <b>Juliet</b>, <a href='https://example.net/'>good</a></p>"},
		{"message/cpim", "", "", "From: <im:a@example.net>\r\nSubject:;lang=fr Bonjour\r\nDateTime: 2026-01-15T09:50:00Z\r\n\r\nContent-Type: text/plain\r\n\r\nhi"},
		{"message/cpim", "", "", "From: <im:a@example.net>\r\n\r\nContent-Type: multipart/mixed;boundary=b\r\n\r\n" + mime("text/plain|a", "text/html|<i>b")},
		{"multipart/mixed;boundary=b", "", "", mime("text/plain|a", "Content-Transfer-Encoding: base64|text/html|PGI+Yg==")},
		{"multipart/alternative;boundary=b", "", "", mime("text/plain|a", "multipart/related;boundary=c|"+bounded("c", "text/html|b"))},
		{"text/plain", "gzip", "", deflated(f, "gzip", "hi")},
		{"text/plain", "deflate, gzip", "", deflated(f, "gzip", deflated(f, "deflate", "hi"))},
		{"multipart/mixed;boundary=b", "", "", mime("Content-Encoding: deflate|text/plain|" + deflated(f, "raw", "hi"))},
	} {
		f.Add(c[0], c[1], c[2], []byte(c[3]))
	}
	r := testRules(f)
	received := time.Date(2026, 1, 15, 10, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, typ, encoding, disposition string, body []byte) {
		m := sipMessage(string(body))
		m.ContentType, m.Encoding, m.Disposition, m.Received = typ, encoding, disposition, received
		checkToXMPP(t, r, m)
		if string(m.Body) != string(body) {
			t.Fatalf("the body was changed")
		}
	})
}

func FuzzMultipart(f *testing.F) {
	for _, s := range []string{mime("text/plain|a", "text/html|b"), "--b\n\nx\n--b--", "--b\r\n--b\r\n--b--", "x\r\n--b \t\r\nA: b\r\n c\r\n\r\n\r\n--b--x\r\n--b--\r\ny", strings.Repeat("--b\n", 40) + "--b--"} {
		f.Add([]byte(s), "b")
	}
	f.Fuzz(func(t *testing.T, b []byte, boundary string) {
		parts, f := splitParts(b, boundary, maxParts)
		if f != nil {
			if len(parts) != 0 || f.Status != 400 && f.Status != 413 {
				t.Fatalf("%q, %v", parts, f)
			}
			return
		}
		if len(parts) == 0 || len(parts) > maxParts {
			t.Fatalf("%d parts", len(parts))
		}
		// Joined again they are the same parts.
		var again strings.Builder
		for _, p := range parts {
			again.WriteString("--" + boundary + "\r\n" + string(p) + "\r\n")
			e := parsePart(p, "text/plain")
			if e.broken != nil && e.broken.Status != 400 || len(e.data) > len(p) {
				t.Fatalf("%q: %+v", p, e)
			}
		}
		same, f := splitParts([]byte(again.String()+"--"+boundary+"--"), boundary, maxParts)
		if f != nil || strings.Join(texts(same), "\x00|") != strings.Join(texts(parts), "\x00|") {
			t.Fatalf("%q, again %q, %v", parts, same, f)
		}
	})
}

func FuzzMediaType(f *testing.F) {
	for _, s := range []string{"text/plain", `Text / Plain ; charset="utf-8" ; x=y;`, `attachment; filename="a\"b;c"`, "render;handling=optional", "multipart/mixed;boundary==", ";", "a/b;;;c", `a;b="`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m, ok := parseMedia(s)
		if !ok {
			return
		}
		if major, minor, slash := strings.Cut(m.name, "/"); !isToken(major) || slash && !isToken(minor) || m.name != lower(m.name) || len(m.params) > maxMediaParams {
			t.Fatalf("%q: %+v", s, m)
		}
		again := m.name
		for _, p := range m.params {
			if !isToken(p.Name) || p.Name != lower(p.Name) {
				t.Fatalf("%q: %+v", s, m)
			}
			again += `; ` + p.Name + `="` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(p.Value) + `"`
		}
		n, ok := parseMedia(again)
		if !ok || n.name != m.name || len(n.params) != len(m.params) {
			t.Fatalf("%q: %+v, again %+v", s, m, n)
		}
		for i := range n.params {
			if n.params[i] != m.params[i] {
				t.Fatalf("%q: %+v, again %+v", s, m, n)
			}
		}
	})
}
