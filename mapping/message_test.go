package mapping

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// testRules are those of the golden pairs: the users of example.com, SIP's
// example.net under its own name, everything else behind sip.example.com.
func testRules(t testing.TB) *Rules {
	t.Helper()
	r, err := NewRules(RulesConfig{
		GatewayDomain:    "sip.example.com",
		SIPHost:          "gw.example.com",
		UserDomains:      []string{"example.com"},
		DefaultSIPDomain: "voip.example",
		Domains:          []DomainPair{{XMPP: "example.net", SIP: "example.net"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func xmppMessage(body string) *XMPPMessage {
	return &XMPPMessage{From: MustParseJID("juliet@example.com/balcony"), To: MustParseJID("romeo@example.net"),
		ID: "m1", Bodies: []Text{{Value: body}}}
}

func sipMessage(body string) *SIPMessage {
	return &SIPMessage{RequestURI: MustParseURI("sip:juliet@example.com"), To: MustParseURI("sip:juliet@example.com"),
		From: MustParseURI("sip:romeo@example.net"), CallID: "c1", FromTag: "t", CSeq: 1,
		ContentType: "text/plain", Body: []byte(body)}
}

// Nothing to say is no error and no value, in both directions.
func TestNothingToSay(t *testing.T) {
	r := testRules(t)
	none := xmppMessage("")
	none.Bodies, none.Subjects = nil, []Text{{Value: "only a subject"}}
	bounce := xmppMessage("hi")
	bounce.Type = "error" // M-026, IM-08, ERR-11
	toNobody := xmppMessage("")
	toNobody.To = MustParseJID("sip.example.com")
	for _, v := range []XMPP{xmppMessage(""), none, bounce, toNobody, &XMPPError{Failure: FailForbidden()}} {
		if got, err := r.ToSIP(v); len(got) != 0 || err != nil {
			t.Errorf("%+v: %v, %v", v, got, err)
		}
	}
	for _, contentType := range []string{"", "text/plain", "image/png"} {
		m := sipMessage("")
		m.ContentType = contentType
		if got, err := r.ToXMPP(m); len(got) != 0 || err != nil {
			t.Errorf("empty %s: %v, %v", contentType, got, err)
		}
	}
}

// IM-08, M-031.
func TestGroupchatIsRefused(t *testing.T) {
	m := xmppMessage("hi")
	m.Type = "groupchat"
	_, err := testRules(t).ToSIP(m)
	if f := failure(t, err); f.Condition != CondServiceUnavailable || f.Type != TypeCancel {
		t.Errorf("%v", f)
	}
}

// IM-16: the Request-URI decides, To only informs. IM-15: no type.
func TestRequestURIDecides(t *testing.T) {
	m := sipMessage("hi")
	m.To = MustParseURI("sip:somebody@elsewhere.example")
	got, err := testRules(t).ToXMPP(m)
	if err != nil || len(got) != 1 {
		t.Fatal(got, err)
	}
	if x := got[0].(*XMPPMessage); x.To.String() != "juliet@example.com" || x.Type != "" || x.ID != "" {
		t.Errorf("%+v", x)
	}
}

// CT-01, CT-02, CT-10, CT-12: what may be in a body, and what is answered else.
func TestBodies(t *testing.T) {
	r := testRules(t)
	for _, c := range []struct {
		contentType, charset, body string
		want                       string
		status                     int
	}{
		{"text/plain", "", "hi", "hi", 0},
		{"", "", "hi", "hi", 0},
		{"text/plain", "utf-8", "Pročež\r\nne\rx\n", "Pročež\nne\nx\n", 0},
		{"text/plain", "us-ascii", "hi", "hi", 0},
		{"text/plain", "utf-8", " ", " ", 0},
		{"text/plain", "", "a\x00b\x0cc\tD\uFFFE", "a\uFFFDb\uFFFDc\tD\uFFFD", 0},
		{"text/plain", "", "<b>&amp;]]>", "<b>&amp;]]>", 0}, // text, not markup
		{"text/plain", "", "caf\xe9", "", 400},
		{"text/plain", "us-ascii", "caf\xe9", "café", 0},
		{"text/plain", "", "\xed\xa0\x80", "", 400},
		{"text/plain", "x-nonsense", "hi", "", 415},
		{"text/plain", "iso-8859-1", "caf\xe9", "café", 0},
		{"image/png", "", "%PNG", "", 415},
	} {
		m := sipMessage(c.body)
		m.ContentType = c.contentType
		if c.charset != "" {
			m.ContentType += ";charset=" + c.charset
		}
		got, err := r.ToXMPP(m)
		if c.status != 0 {
			if f := failure(t, err); f.Status != c.status || len(got) != 0 {
				t.Errorf("%s %s %q: %v, want %d", c.contentType, c.charset, c.body, f, c.status)
			}
			continue
		}
		if err != nil || len(got) != 1 {
			t.Errorf("%s %s %q: %v %v", c.contentType, c.charset, c.body, got, err)
			continue
		}
		if b := got[0].(*XMPPMessage).Bodies; len(b) != 1 || b[0].Value != c.want {
			t.Errorf("%s %s %q: %q, want %q", c.contentType, c.charset, c.body, b, c.want)
		}
	}
}

// Addresses are looked at before the content (RFC 3261 §8.2): SEC-27, SEC-28,
// M-040, M-041, and ADDR-12 on the way out.
func TestAddressFailures(t *testing.T) {
	r := testRules(t)
	for _, c := range []struct {
		from, to string
		status   int
	}{
		{"sip:nurse@example.com", "sip:juliet@example.com", 403},
		{"sip:romeo@example.net", "sip:x@elsewhere.example", 404},
		{"sip:nurse@example.com", "sip:x@elsewhere.example", 403},
	} {
		for _, contentType := range []string{"text/plain", "image/png"} {
			m := sipMessage("hi")
			m.From, m.RequestURI, m.ContentType = MustParseURI(c.from), MustParseURI(c.to), contentType
			got, err := r.ToXMPP(m)
			if f := failure(t, err); f.Status != c.status || len(got) != 0 {
				t.Errorf("%s -> %s: %v, want %d", c.from, c.to, f, c.status)
			}
		}
	}
	for to, want := range map[string]Condition{
		`romeo\40@sip.example.com`:                    CondJIDMalformed,
		`hans\40bücher.example@sip.example.com`:       CondItemNotFound,
		`romeo\40example.net@sip.example.com/balcony`: CondItemNotFound, // ADDR-20
	} {
		m := xmppMessage("hi")
		m.To = MustParseJID(to)
		got, err := r.ToSIP(m)
		if f := failure(t, err); f.Condition != want || len(got) != 0 {
			t.Errorf("%s: %v, want %s", to, f, want)
		}
	}
}

// An error is always a *Failure with both forms, whatever comes in.
func TestErrorsAreFailures(t *testing.T) {
	r := testRules(t)
	users := []string{"juliet@example.com/b", "juliet@elsewhere.example", "example.com", "romeo@example.net/x", "sip.example.com",
		`romeo\40@sip.example.com`, `a\40b\40c@sip.example.com`, "+49@sip.example.com", "romeo@example.org", `x\40sip.example.com@sip.example.com`}
	uris := []string{"sip:romeo@example.net", "sip:juliet@example.com;gr=x", "sip:example.com", "tel:+491234567", "im:juliet@example.com",
		"sip:gw.example.com", "sip:juliet%40elsewhere.example@gw.example.com", "sip:a%40@gw.example.com", "sip:%20@example.com", "sip:x@[2001:db8::1]:5070"}
	rapid.Check(t, func(t *rapid.T) {
		x := &XMPPMessage{
			From: rapid.OneOf(rapid.Just(JID{}), rapid.Map(rapid.SampledFrom(users), MustParseJID)).Draw(t, "from"),
			To:   rapid.OneOf(rapid.Just(JID{}), rapid.Map(rapid.SampledFrom(users), MustParseJID)).Draw(t, "to"),
			Type: rapid.SampledFrom([]string{"", "chat", "normal", "headline", "error", "groupchat", "x"}).Draw(t, "type"),
			Lang: rapid.String().Draw(t, "lang"), Thread: rapid.String().Draw(t, "thread"),
			Bodies:   []Text{{Value: rapid.String().Draw(t, "body")}},
			Subjects: []Text{{Value: rapid.String().Draw(t, "subject")}},
		}
		uri := func(name string) URI {
			return rapid.OneOf(rapid.Just(URI{}), rapid.Map(rapid.SampledFrom(uris), MustParseURI),
				rapid.Map(rapid.String(), func(s string) URI { return URI{Scheme: "sip", User: s, Host: "example.net", GR: s} })).Draw(t, name)
		}
		s := &SIPMessage{RequestURI: uri("ruri"), From: uri("from"), To: uri("to"),
			CallID: rapid.String().Draw(t, "callid"), Subject: rapid.String().Draw(t, "subject"), Lang: rapid.String().Draw(t, "lang"),
			ContentType: rapid.SampledFrom([]string{"", "text/plain", "text/html", "*/*"}).Draw(t, "type") +
				rapid.SampledFrom([]string{"", ";charset=utf-8", ";charset=us-ascii", ";charset=x"}).Draw(t, "charset"),
			Body: rapid.SliceOf(rapid.Byte()).Draw(t, "body")}

		sips, err := r.ToSIP(x)
		mustFailure(t, err, len(sips))
		for _, v := range sips {
			m := v.(*SIPMessage)
			if m.CallID != "" && !ValidCallID(m.CallID) || m.Subject != HeaderText(m.Subject) || m.Lang != LanguageTag(m.Lang) ||
				m.FromTag != "" || m.CSeq != 0 || len(m.Body) == 0 {
				t.Fatalf("%+v", m)
			}
		}
		xs, err := r.ToXMPP(s)
		mustFailure(t, err, len(xs))
		for _, v := range xs {
			m := v.(*XMPPMessage)
			if m.Type != "" || len(m.Bodies) != 1 || m.Bodies[0].Value == "" || illegalXML(m.Bodies[0].Value) >= 0 ||
				illegalXML(m.Thread) >= 0 || m.Lang != LanguageTag(m.Lang) {
				t.Fatalf("%+v", m)
			}
			for _, s := range m.Subjects {
				if s.Value == "" || illegalXML(s.Value) >= 0 || HeaderText(s.Value) != s.Value {
					t.Fatalf("%+v", m)
				}
			}
		}
	})
	for _, v := range []XMPP{nil, (XMPP)(nil)} {
		_, err := r.ToSIP(v)
		failure(t, err)
	}
	_, err := r.ToXMPP(nil)
	failure(t, err)
	if f := asFailure(fmt.Errorf("wrapped: %w", FailForbidden())); f.Status != 403 {
		t.Errorf("%v", f)
	}
	if f := asFailure(errors.New("x")); f.Status != 500 {
		t.Errorf("%v", f)
	}
}

// A text comes back as it was sent, whatever is in it (IM-01, IM-10, CT-02): only
// line ends and what XML forbids change, and those only once. A byte order mark in
// front is none of the text.
func TestBodyThereAndBack(t *testing.T) {
	r := testRules(t)
	rapid.Check(t, func(t *rapid.T) {
		body := "a" + rapid.StringN(0, 200, -1).Draw(t, "body")
		if rapid.Bool().Draw(t, "mark") {
			body = "\ufeff" + body
		}
		sips, err := r.ToSIP(xmppMessage(body))
		if err != nil || len(sips) != 1 {
			t.Fatal(sips, err)
		}
		m := sipMessage("")
		m.Body, m.ContentType = sips[0].(*SIPMessage).Body, sips[0].(*SIPMessage).ContentType
		xs, err := r.ToXMPP(m)
		if err != nil || len(xs) != 1 {
			t.Fatal(xs, err)
		}
		got := xs[0].(*XMPPMessage).Bodies[0].Value
		if want := fromCRLF([]byte(XMLText(strings.TrimPrefix(body, "\ufeff")))); got != want {
			t.Fatalf("%q came back as %q", body, got)
		}
	})
}

// The values that come in are left alone: a journal may still hold them.
func TestInputsAreLeftAlone(t *testing.T) {
	r := testRules(t)
	m := sipMessage("a\r\nb\x00")
	if _, err := r.ToXMPP(m); err != nil || !bytes.Equal(m.Body, []byte("a\r\nb\x00")) {
		t.Errorf("%q %v", m.Body, err)
	}
	x := xmppMessage("a\nb")
	x.Lang = "de"
	if _, err := r.ToSIP(x); err != nil || x.Bodies[0] != (Text{Value: "a\nb"}) {
		t.Errorf("%q %v", x.Bodies, err)
	}
}

// The text of a message is in no error.
func TestErrorsDoNotQuote(t *testing.T) {
	r := testRules(t)
	m := sipMessage("s3cret\xff")
	_, err := r.ToXMPP(m)
	if f := failure(t, err); strings.Contains(f.Error()+f.Text+f.Reason, "s3cret") {
		t.Errorf("%v", f)
	}
}

func failure(t *testing.T, err error) *Failure {
	t.Helper()
	mustFailure(t, err, 0)
	if err == nil {
		t.Fatal("no error")
	}
	return err.(*Failure)
}

func mustFailure(t fataler, err error, values int) {
	if err == nil {
		return
	}
	f, ok := err.(*Failure)
	if !ok || f == nil {
		t.Fatalf("%T %v is not a *Failure", err, err)
	}
	if values > 0 || f.Status < 300 || f.Status > 699 || passable(f.Status) != f.Status || !f.Condition.Known() || !f.Type.Known() {
		t.Fatalf("%d values with %+v", values, f)
	}
}

func BenchmarkToSIP(b *testing.B) {
	r := testRules(b)
	m := xmppMessage("Art thou not Romeo,\nand a Montague?")
	m.Thread, m.Subjects, m.Lang = "29377446-0CBB-4296-8958-590D79094C50", []Text{{Value: "Prosím"}}, "cs"
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.ToSIP(m); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkToXMPP(b *testing.B) {
	r := testRules(b)
	m := sipMessage("Neither, fair saint,\r\nif either thee dislike.")
	m.CallID, m.Subject, m.Lang = "9E97FB43-85F4-4A00-8751-1124FD4C7B2E", "Prosím", "cs"
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.ToXMPP(m); err != nil {
			b.Fatal(err)
		}
	}
}
