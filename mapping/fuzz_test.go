package mapping

import (
	"strings"
	"testing"
)

// The parsers that have no file of tests of their own to be fuzzed in.

// FuzzIRI: an address that is read from an IRI is written as one that reads the same, in
// characters that RFC 5122 has.
func FuzzIRI(f *testing.F) {
	for _, s := range []string{"xmpp:juliet@example.com", "xmpp:o%5C27malley@example.com/a%20b", "XMPP://guest@example.com/juliet@example.com?message#x",
		"xmpp:[2001:db8::9]", "xmpp:%zz", "xmpp:%", "xmpp:j\u00fcl@b\u00fccher.example", "sip:a@b", "xmpp:", "xmpp://x", "xmpp:a%00@b", "xmpp:%ff@b", "xmpp:a@b/%2F%3F%23"} {
		f.Add(s)
	}
	r := testRules(f)
	f.Fuzz(func(t *testing.T, s string) {
		j, ok := parseIRI(s)
		if !ok {
			return
		}
		checkJID(t, j.String())
		written := iri(j)
		if back, ok := parseIRI(written); !ok || back != j {
			t.Fatalf("%q is %s, written %s, read as %s", s, j, written, back)
		}
		if strings.ContainsAny(written, " \"<>\\^`{|}") || hasControl(written) {
			t.Fatalf("%q is written %q", s, written)
		}
		// A redirect to it never has a Contact that is no URI.
		told := r.FailureToSIP(FailureFromStanza(CondRedirect, "", "", s), "example.net")
		if _, err := ParseURI(told.Alternate); told.Alternate != "" && err != nil || (told.Alternate == "") != (told.Status == 480) {
			t.Fatalf("%q: %+v, %v", s, told, err)
		}
	})
}

// FuzzContact: whatever a redirect says, what XMPP is told is an address or nothing, and
// no header can be put into it.
func FuzzContact(f *testing.F) {
	for _, s := range []string{"<sip:romeo@example.net>", `"a <b>" <sip:romeo@example.net;gr=x>;q=0.5, <sip:b@c>`, "sip:a@b;q=1", "*", "<sip:a@b?Subject=x>", "<mailto:a@b>",
		"<", "<>", "<sip:a@b>;q=", "<sip:a@b>;q=NaN", "<sip:a@b>;q=+Inf", "<sip:a@b>;Q=0.9;q=0.1", `399 b "x", 380 gw.example.com "SIPS \"Not\" Allowed"`, "sip:a@b\r\nX: y", "<xmpp:juliet@example.com>"} {
		f.Add(s, "<sip:second@example.net>;q=0.3", 302)
	}
	r := testRules(f)
	f.Fuzz(func(t *testing.T, first, second string, status int) {
		failure := FailureFromStatus(status, first, 0, []string{first, second}, second, first)
		told := r.FailureToXMPP(failure)
		mustFailure(t, told, 0)
		if hasControl(told.Text) || hasControl(told.Reason) || illegalXML(told.Text) >= 0 || len(told.Text) > maxSentence {
			t.Fatalf("%+v", told)
		}
		if told.Alternate == "" {
			return
		}
		if hasControl(told.Alternate) || illegalXML(told.Alternate) >= 0 || strings.ContainsAny(told.Alternate, " <>\"") {
			t.Fatalf("%q: %q", first, told.Alternate)
		}
		if _, ok := parseIRI(told.Alternate); !ok {
			if _, err := ParseURI(told.Alternate); err != nil {
				t.Fatalf("%q: %q, %v", first, told.Alternate, err)
			}
		}
	})
}

// FuzzNumbers: a number has one spelling, and however it is dialled it is read back as
// that (ADDR-16, ADDR-26).
func FuzzNumbers(f *testing.F) {
	for _, s := range []string{"+12125550123", "2125550123", "(212)555-0123", "+1;EXT=12-3;isub=A/B", "70-42;z;phone-context=Example.com.", "030901820", "004930901820",
		"011442079460123", "*#;phone-context=+1", "+", "", "+1;ext=", ";phone-context=+1", "810442079460123", "0"} {
		for _, iso := range []string{"US", "DE", "IT", "RU", ""} {
			f.Add(s, iso)
		}
	}
	f.Fuzz(func(t *testing.T, s, iso string) {
		if number, ok := subscriber(s); ok {
			if again, ok := subscriber(number); !ok || again != number || number != lower(number) {
				t.Fatalf("%q is %q is %q", s, number, again)
			}
		}
		for _, numbers := range []string{"e164", "national", "nanp10"} {
			p := dialPlan{country: countries[iso], numbers: numbers}
			number, ok := p.read(s)
			if !ok {
				continue
			}
			if again, ok := p.read(number); !ok || again != number {
				t.Fatalf("%s: %q is %q is %q", iso, s, number, again)
			}
			if back, ok := p.read(p.dial(number)); !ok || back != number {
				t.Fatalf("%s: %q is %q, dialled %q, read as %q", iso, s, number, p.dial(number), back)
			}
		}
	})
}

// FuzzWords: what says "fit for a header" is, and says so of what it gave.
func FuzzWords(f *testing.F) {
	for _, s := range []string{"en", "zh-Hant-TW, en", "x-", "-", "29377446-0CBB@example.net", "a@b@c", "a b", "\r\n", "text/plain;charset=utf-8, text/*;q=0.5", "*/*", ",", "a/b;q=\"x,y\""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if tag := LanguageTag(s); LanguageTag(tag) != tag || strings.Trim(tag, alphanum+"-") != "" || len(tag) > maxLang {
			t.Fatalf("%q: the language is %q", s, tag)
		}
		if ValidCallID(s) && (s == "" || len(s) > maxCallID || strings.ContainsAny(s, " ,;=\r\n\t\x00") || hasControl(s)) {
			t.Fatalf("%q as a Call-ID", s)
		}
		// A type that is refused outright is not accepted by a range.
		if Accepts(s+", text/plain;q=0", "text/plain") && !Accepts(s, "text/plain") {
			t.Fatalf("%q accepts text/plain, as long as it is refused", s)
		}
		if !Accepts("text/plain, "+s, "text/plain") && !strings.Contains(s, "q") && !strings.Contains(s, "Q") && !strings.Contains(s, "\"") {
			t.Fatalf("%q takes away text/plain", s)
		}
	})
}
