package mapping

import (
	"fmt"
	"strings"
	"testing"
)

// readBody is what the body of a request says in XMPP.
func readBody(t testing.TB, typ, encoding, disposition string, body string) (content, *Failure) {
	t.Helper()
	m := sipMessage(body)
	m.ContentType, m.Encoding, m.Disposition = typ, encoding, disposition
	return testRules(t).readContent(m)
}

// wantBody checks one body: its text, or the status of its refusal.
func wantBody(t *testing.T, typ, encoding, disposition, body, want string, status int) {
	t.Helper()
	c, f := readBody(t, typ, encoding, disposition, body)
	got := 0
	if f != nil {
		got = f.Status
	}
	if c.text != want || got != status {
		t.Errorf("%q %q %q %.80q: %.80q, %v; want %.80q, %d", typ, encoding, disposition, body, c.text, f, want, status)
	}
}

// CT-01, CT-02, CT-14: by the headers alone.
func TestContentTypes(t *testing.T) {
	for _, c := range []struct {
		typ    string
		status int
	}{
		{"Text/Plain", 0}, {"text / plain ; Charset = UTF-8", 0}, {`text/plain;x="a;b\"c";charset="utf-8"`, 0}, {"text/plain;", 0},
		{"text/html", 0},
		{"image/png", 415}, {"text/calendar", 415}, {"application/octet-stream", 415}, {"application/vnd.3gpp.sms", 415}, {"message/rfc822", 415},
		{"message/imdn+xml", 400}, {"application/im-iscomposing+xml", 400}, {"application/sdp", 415}, {"*/*", 415},
		{"application/pkcs7-mime", 493}, {"application/x-PKCS7-mime;smime-type=signed-data", 493}, {"multipart/encrypted;boundary=b", 493},
		{"text", 400}, {"/plain", 400}, {"text/", 400}, {"text/pl ain", 400}, {"text/plain;charset", 0}, {"text/plain;charset=", 400}, {`text/plain;charset="utf-8`, 400},
		{"text/plain;charset=utf-8;" + strings.Repeat("a=b;", 32), 400}, {"text/plain, text/html", 400},
	} {
		want := ""
		if c.status == 0 {
			want = "hi"
		}
		wantBody(t, c.typ, "", "", "hi", want, c.status)
	}
}

// RFC 3261 §20.11: what the body is for. handling=optional does not make 2xx of a message
// that nobody sees.
func TestDispositions(t *testing.T) {
	for disposition, status := range map[string]int{
		"render": 0, "Render;handling=required": 0, "inline": 0, "attachment;filename=a.txt": 0, "render;handling=optional": 0,
		"session": 415, "icon": 415, "notification": 415, "recipient-list;handling=required": 415, "icon;handling=optional": 415,
		";handling=optional": 400, `render;x="`: 400, "a b": 400,
	} {
		want := "hi"
		if status != 0 {
			want = ""
		}
		wantBody(t, "text/plain", "", disposition, "hi", want, status)
	}
}

// CT-08: each of the types that a 415 lists is read, and what the list does not have is not.
func TestAcceptListsAreTrue(t *testing.T) {
	for typ := range strings.SplitSeq(AcceptTypes, ", ") {
		d := &reading{}
		if read, f := d.reader(typ, 0); f != nil || read == nil {
			t.Errorf("%s: %v", typ, f)
		}
		if !Accepts(AcceptTypes, typ) {
			t.Errorf("%s is not in the list", typ)
		}
	}
	for encoding := range strings.SplitSeq(AcceptEncodings, ", ") {
		if _, f := readBody(t, "text/plain", encoding, "", "x"); f != nil && f.Status != 400 {
			t.Errorf("%s: %v", encoding, f)
		}
	}
	_, f := readBody(t, "image/png", "", "", "x")
	if f.Accept != AcceptTypes || f.AcceptEncoding != "" {
		t.Errorf("%+v", f)
	}
	_, f = readBody(t, "text/plain", "br", "", "x")
	if f.Accept != "" || f.AcceptEncoding != AcceptEncodings {
		t.Errorf("%+v", f)
	}
}

// The quick way for common headers is the way for all.
func TestPlainTypesAreNoExceptions(t *testing.T) {
	for _, typ := range []string{"", "text/plain", "text/plain;charset=utf-8", "text/plain; charset=utf-8", "text/plain;charset=UTF-8", "text/plain; charset=UTF-8",
		`text/plain;charset="utf-8"`, `text/plain;charset="UTF-8"`} {
		if !isPlainUTF8(typ) {
			t.Errorf("%q is not taken for plain text", typ)
		}
		for _, body := range []string{"hi", "a\r\nb\x00", "\xef\xbb\xbfhi", "caf\xe9", "\xef\xbb\xbf", "\xff\xfeh\x00"} {
			quick, f1 := readBody(t, typ, "", "", body)
			whole, f2 := readBody(t, typ, "identity", "render", body)
			if quick.text != whole.text || fmt.Sprint(f1) != fmt.Sprint(f2) {
				t.Errorf("%q %q: %q %v, %q %v", typ, body, quick.text, f1, whole.text, f2)
			}
		}
	}
}

// The language of the content is that of the part that is shown, else of the request.
func TestContentLanguage(t *testing.T) {
	for _, c := range []struct{ typ, body, want string }{
		{"text/plain", "hi", "en"},
		{"multipart/mixed;boundary=b", "--b\nContent-Language: de, fr\n\nhallo\n--b--", "de"},
		{"multipart/mixed;boundary=b", "--b\nContent-Language: de\n\nhallo\n--b\nContent-Language: DE\n\nWelt\n--b--", "de"},
		{"multipart/mixed;boundary=b", "--b\nContent-Language: de\n\nhallo\n--b\n\nworld\n--b--", "en"},
		{"multipart/alternative;boundary=b", "--b\nContent-Language: de\n\nhallo\n--b\nContent-Language: fr\n\nsalut\n--b--", "fr"},
		{"multipart/mixed;boundary=b", "--b\nContent-Language: not_a_tag\n\nhallo\n--b--", "en"},
	} {
		m := sipMessage(c.body)
		m.ContentType, m.Lang = c.typ, "en"
		got, err := testRules(t).ToXMPP(m)
		if err != nil || len(got) != 1 || got[0].(*XMPPMessage).Lang != c.want {
			t.Errorf("%q: %+v, %v, want %s", c.body, got, err, c.want)
		}
	}
}

// CT-03, xmpp.html: markup beside the text, or the text alone, in which the links are then.
func TestHTMLContents(t *testing.T) {
	const src = `<p>Hello <b>Juliet</b>, <a href="https://example.net/a">look</a></p>`
	r := testRules(t)
	m := sipMessage(src)
	m.ContentType = "text/html;charset=utf-8"
	got, err := r.ToXMPP(m)
	if err != nil || len(got) != 1 || got[0].(*XMPPMessage).Markup == nil {
		t.Fatalf("%+v, %v", got, err)
	}
	checkStanza(t, got[0].(*XMPPMessage))
	r.plainOnly = true
	got, err = r.ToXMPP(m)
	if err != nil || len(got) != 1 || got[0].(*XMPPMessage).Markup != nil || got[0].(*XMPPMessage).Bodies[0].Value != "Hello Juliet, look <https://example.net/a>" {
		t.Fatalf("%+v, %v", got, err)
	}
	for _, c := range []struct {
		typ, body, want string
		status          int
	}{
		{"text/html;charset=koi8-r", "<p>\xf0</p>", "П", 0},
		{"text/html", "\xef\xbb\xbf<p>hi", "hi", 0},
		{"text/html", "<meta charset=koi8-r><p>\xf0", "", 400}, // the header says UTF-8
		{"text/html;charset=x-no", "hi", "", 415},
		{"text/html", "<p></p><script>x()</script>", "", 0},
		{"text/html", "<img src=cid:a>", "", 415},
		{"text/html", "<img src='https://example.net/a.jpg'>", "https://example.net/a.jpg", 0},
		{"text/html", "a\x00b", "a\ufffdb", 0},
	} {
		wantBody(t, c.typ, "", "", c.body, c.want, c.status)
	}
}
