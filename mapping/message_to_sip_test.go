package mapping

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// What the header Subject cannot say is in Subjects (RFC 3862 §3.4): several subjects, or
// one in another language than the text.
func TestSubjects(t *testing.T) {
	r := testRules(t)
	texts := func(s ...string) (out []Text) {
		for i := 0; i < len(s); i += 2 {
			out = append(out, Text{Lang: s[i], Value: s[i+1]})
		}
		return out
	}
	for _, c := range []struct {
		name, lang, bodyLang string
		subjects             []Text
		header               string
		all                  []Text
	}{
		{"none", "cs", "", nil, "", nil},
		{"one, no language anywhere", "", "", texts("", "s"), "s", nil},
		{"one in the language of the stanza", "cs", "", texts("", "s"), "s", nil},
		{"one in the language of the text", "cs", "EN", texts("en", "s"), "s", nil},
		{"one in another language", "cs", "", texts("fr", "s"), "s", texts("fr", "s")},
		{"one in the language of the stanza, the text in another", "cs", "en", texts("", "s"), "s", texts("cs", "s")},
		{"one in a language, the text in none", "", "", texts("fr", "s"), "s", texts("fr", "s")},
		{"one without a language, the text in one", "", "en", texts("", "s"), "s", nil},
		{"one in a language that is none", "cs", "", texts("c s", "s"), "s", nil},
		{"several", "de", "", texts("en", "Question", "", "Frage"), "Frage", texts("en", "Question", "de", "Frage")},
		{"several in no language", "", "", texts("", "a", "", "b"), "a", texts("", "a", "", "b")},
		{"one and empty ones", "", "", texts("fr", "", "", "s", "en", ""), "s", nil},
		{"controls", "cs", "", texts("", "hi\r\nRoute: <sip:evil>", "en", "\t\x00\n"), "hi Route: <sip:evil>", texts("cs", "hi Route: <sip:evil>")},
	} {
		m := xmppMessage("x")
		m.Lang, m.Bodies[0].Lang, m.Subjects = c.lang, c.bodyLang, c.subjects
		got, err := r.ToSIP(m)
		if err != nil || len(got) != 1 {
			t.Fatal(c.name, got, err)
		}
		s := got[0].(*SIPMessage)
		if d := cmp.Diff(c.all, s.Subjects); d != "" || s.Subject != c.header {
			t.Errorf("%s: header %q, want %q; -want +got\n%s", c.name, s.Subject, c.header, d)
		}
	}
}

// M-037, IM-26: whole seconds, cut and not rounded, in UTC.
func TestDelayToDate(t *testing.T) {
	r := testRules(t)
	at := time.Date(2026, 1, 15, 9, 0, 0, 0, time.UTC)
	for _, c := range []struct{ delay, want time.Time }{
		{time.Time{}, time.Time{}},
		{at, at},
		{at.Add(999_999_999), at},
		{at.Add(500 * time.Millisecond).In(time.FixedZone("", -5*3600)), at},
	} {
		m := xmppMessage("old")
		m.Delay = c.delay
		got, err := r.ToSIP(m)
		if err != nil || len(got) != 1 {
			t.Fatal(got, err)
		}
		if d := got[0].(*SIPMessage).Date; d != c.want {
			t.Errorf("%v: %v, want %v", c.delay, d, c.want)
		}
	}
}

// ADDR-19: the resource of a contact is its GRUU only if it is known to have been one.
func TestDevice(t *testing.T) {
	r := testRules(t)
	for device, want := range map[bool]string{true: "sip:romeo@example.net;gr=orchard", false: "sip:romeo@example.net"} {
		m := xmppMessage("hi")
		m.To, m.Device = MustParseJID("romeo@example.net/orchard"), device
		got, err := r.ToSIP(m)
		if err != nil || len(got) != 1 {
			t.Fatal(got, err)
		}
		if s := got[0].(*SIPMessage); s.RequestURI.String() != want || s.To.String() != want {
			t.Errorf("device %t: %s, To %s", device, s.RequestURI, s.To)
		}
	}
}

// FuzzMessageToSIP: whatever a stanza says, it becomes one whole request, nothing, or a
// refusal (CT-02, SEC-21). What is in the request cannot end a line or a header, and a
// text that is sent is sent whole.
func FuzzMessageToSIP(f *testing.F) {
	f.Add("Art thou not Romeo?", "cs", "Dotaz\n k věci", "en", "https://e.example/a", "t1", int64(1768467600500), false, false)
	f.Add("", "", "", "", " xmpp:a@b?join ", "a@b", int64(0), false, true)
	f.Add("?OTRv23?", "x-y", "", "", "aesgcm://e.example/a#k", "<>", int64(-1), false, false)
	f.Add("see https://e.example/ab, https://e.example/a.", "de", "\x00\ufffe\xff", "de", "https://e.example/a", "", int64(1), true, true)
	r := testRules(f)
	f.Fuzz(func(t *testing.T, body, lang, subject, subjectLang, link, thread string, delay int64, encrypted, device bool) {
		x := &XMPPMessage{From: MustParseJID("juliet@example.com/b"), To: MustParseJID("romeo@example.net/x"), Lang: lang, Thread: thread,
			Bodies: []Text{{Value: body}}, Subjects: []Text{{Value: subject}, {Lang: subjectLang, Value: subject}},
			URLs: []string{link}, Encrypted: encrypted, Device: device, Delay: time.UnixMilli(delay)}
		got, err := r.ToSIP(x)
		if err != nil {
			failure(t, err)
			return
		}
		if len(got) != 1 || encrypted {
			t.Fatalf("%d requests, encrypted %t", len(got), encrypted)
		}
		m := got[0].(*SIPMessage)
		text := string(m.Body)
		if text == "" || illegalXML(text) >= 0 || strings.Contains(strings.ReplaceAll(text, "\r\n", ""), "\n") || strings.Contains(strings.ReplaceAll(text, "\r\n", ""), "\r") {
			t.Errorf("text %q", text)
		}
		if want := string(toCRLF(XMLText(body))); strings.TrimSpace(body) != "" && !strings.HasPrefix(text, want) {
			t.Errorf("%q became %q", body, text)
		}
		if clean := cleanLink(link); isLink(clean) && !strings.Contains(text, XMLText(clean)) {
			t.Errorf("%q is not in %q", clean, text)
		}
		if m.Subject != HeaderText(m.Subject) || m.Lang != LanguageTag(m.Lang) || m.CallID != "" && m.CallID != thread ||
			!m.Date.Equal(m.Date.Truncate(time.Second)) || m.Date.Location() != time.UTC || m.RequestURI != m.To || (m.To.GR != "") != device {
			t.Errorf("%+v", m)
		}
		for _, s := range m.Subjects {
			if s.Value == "" || s.Value != HeaderText(s.Value) || s.Lang != LanguageTag(s.Lang) {
				t.Errorf("subject %+v", s)
			}
		}
	})
}
