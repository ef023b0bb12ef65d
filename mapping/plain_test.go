package mapping

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Whatever the short ways for plain addresses take, the whole grammar takes, with the same
// result.
func checkPlainAddress(t fataler, s string) {
	if j, ok := plainJID(s); ok {
		if want, f := parseJID(s); f != nil || j != want {
			t.Fatalf("%q: plain %+v, by the grammar %+v, %v", s, j, want, f)
		}
	}
	if u, ok := plainURI(s); ok {
		if want, f := parseURI(s); f != nil || u != want {
			t.Fatalf("%q: plain %+v, by the grammar %+v, %v", s, u, want, f)
		}
	}
	if n, last := domainSpan(s); n > 0 {
		if ok, aLabels := isLDH(s[:n]); !ok || aLabels || last != strings.LastIndexByte(s[:n], '.')+1 {
			t.Fatalf("%q: %q, its last label at %d", s, s[:n], last)
		}
	}
	if isPlain(s) {
		back, f := localPart(s)
		folded, f2 := foldUser(s)
		if f != nil || f2 != nil || back != s || folded != s || escapeLocal(s) != s || unescapeLocal(s) != s || percentOf(s) != s {
			t.Fatalf("%q is not the same everywhere", s)
		}
		if number, ok := subscriber(s); ok {
			t.Fatalf("%q is the number %q", s, number)
		}
	}
}

func percentOf(s string) string { return string(appendPercent(nil, s, userRaw)) }

func TestPlainAddresses(t *testing.T) {
	// What must not take the long way, or nothing is gained.
	for _, s := range []string{
		"juliet@example.com", "juliet@example.com/balcony and chamber", `romeo\40example.org@sip.example.com/x`, "example.com", "localhost/x",
		"+12125550123@sip.example.com", "juliet@192.0.2.4", strings.Repeat("a", 1023) + "@" + strings.Repeat("b", 63) + ".c/" + strings.Repeat("d", 1023),
	} {
		if _, ok := plainJID(s); !ok {
			t.Errorf("%q is not plain", s)
		}
		checkPlainAddress(t, s)
	}
	for _, s := range []string{
		"sip:romeo@example.org", "sip:example.org", "sip:+12125550123@voip.example:5070;user=phone", "sip:Romeo@a--b.example;gr=balcony;transport=udp;x=y;lr",
		"sip:a@b:1", "sip:a@b:65535;", "sip:a@b:00065",
	} {
		if _, ok := plainURI(s); !ok {
			t.Errorf("%q is not plain", s)
		}
		checkPlainAddress(t, s)
	}
	// What must.
	for _, s := range []string{
		"", "@example.com", "juliet@", "juliet@example.com/", "juliet@example.com.", "Juliet@example.com", "juliet@a@b", "ju liet@example.com", "jülièt@example.com",
		"juliet@xn--bcher-kva.example", "juliet@-a.example", "juliet@a-.example", "juliet@a..b", "juliet@[::1]", "juliet@example.com/\x7f", "juliet@example.com/♚", "a<b@example.com",
		strings.Repeat("a", 1024) + "@b", "a@" + strings.Repeat("b", 64), "a@" + strings.Repeat("b.", 127), "a@b/" + strings.Repeat("d", 1024), "a@b@c/d", "a@b\x00",
	} {
		if j, ok := plainJID(s); ok {
			t.Errorf("%q is plain: %+v", s, j)
		}
		checkPlainAddress(t, s)
	}
	for _, s := range []string{
		"", "sip:", "sips:a@b", "SIP:a@b", "tel:+1", "sip:@b", "sip:a@", "sip:a@b@c", "sip:a%20b@c", "sip:a:secret@b", "sip:a@B", "sip:a@192.0.2.4", "sip:a@[::1]", "sip:a@b:",
		"sip:a@b:0", "sip:a@b:005060", "sip:a@b:000005060", "sip:a@b:65536", "sip:a@b:99999999999999999999", "sip:a@b:5060x", "sip:a@b?subject=x", "sip:a@b;x?y", "sip:a@b;x@y", "sip:a@b;x\x7f", "sip:a@b; gr=x",
		"sip:a@b;gr=x;gr=y", "sip:a@b;transport=", "sip:a@b;gr=ü", "sip:a@b.1", "sip:a@b.", "sip:a b@c",
	} {
		if u, ok := plainURI(s); ok {
			t.Errorf("%q is plain: %+v", s, u)
		}
		checkPlainAddress(t, s)
	}
	rapid.Check(t, func(t *rapid.T) {
		checkPlainAddress(t, rapid.OneOf(anyJID(), anyURI(), anyUser(), anyDomain(),
			rapid.StringMatching(`(sip:)?[a-z0-9.@_+-]{0,12}@?[a-z0-9.-]{1,12}(:[0-9]{0,6})?([;/?@][a-z=;%&]{0,8}){0,2}`)).Draw(t, "s"))
	})
}

func FuzzPlain(f *testing.F) {
	for _, c := range jidTable {
		f.Add(c.in)
	}
	for _, c := range uriTable {
		f.Add(c.in)
	}
	f.Fuzz(func(t *testing.T, s string) { checkPlainAddress(t, s) })
}
