package mapping

import (
	"encoding/json"
	"strings"
	"testing"

	"golang.org/x/text/secure/precis"
	oracle "mellium.im/xmpp/jid"
	"pgregory.net/rapid"
)

// RFC 7622 §3.5 has most of these; ADDR-08, ADDR-09, ADDR-23.
var jidTable = []struct {
	in, local, domain, resource string // domain "" = an error
}{
	{"juliet@example.com", "juliet", "example.com", ""},
	{"juliet@example.com/foo", "juliet", "example.com", "foo"},
	{"juliet@example.com/foo bar", "juliet", "example.com", "foo bar"},
	{"juliet@example.com/foo@bar", "juliet", "example.com", "foo@bar"},
	{"juliet@example.com/a/b", "juliet", "example.com", "a/b"},
	{`foo\20bar@example.com`, `foo\20bar`, "example.com", ""},
	{"fussball@example.com", "fussball", "example.com", ""},
	{"fußball@example.com", "fußball", "example.com", ""},
	{"π@example.com", "π", "example.com", ""},
	{"Σ@example.com/foo", "σ", "example.com", "foo"},
	{"ς@example.com", "ς", "example.com", ""},
	{"king@example.com/♚", "king", "example.com", "♚"},
	{"example.com", "", "example.com", ""},
	{"example.com/foobar", "", "example.com", "foobar"},
	{"a.example.com/b@example.net", "", "a.example.com", "b@example.net"},
	{"Juliet@EXAMPLE.com/Balcony", "juliet", "example.com", "Balcony"},
	{"juliet@example.com.", "juliet", "example.com", ""},
	{"juliet@xn--bcher-kva.example", "juliet", "bücher.example", ""},
	{"juliet@XN--BCHER-KVA.example", "juliet", "bücher.example", ""},
	{"juliet@BÜCHER.example", "juliet", "bücher.example", ""},
	{"juliet@ｅｘａｍｐｌｅ。com", "juliet", "example.com", ""},
	{"ｊｕｌｉｅｔ@example.com", "juliet", "example.com", ""},
	{"u\u0308@example.com/u\u0308", "ü", "example.com", "ü"},
	{"juliet@example.com/a\u00a0b", "juliet", "example.com", "a b"},
	{"juliet@192.0.2.4", "juliet", "192.0.2.4", ""},
	{"juliet@[2001:DB8:0:0::9]/x", "juliet", "[2001:db8::9]", "x"},
	{"juliet@r3---sn.example", "juliet", "r3---sn.example", ""},
	{"juliet@localhost", "juliet", "localhost", ""},
	{"#1{fan}^|`%[x]\\y@example.com", "#1{fan}^|`%[x]\\y", "example.com", ""},
	{strings.Repeat("a", 1023) + "@example.com", strings.Repeat("a", 1023), "example.com", ""},
	{"a@b/" + strings.Repeat("r", 1023), "a", "b", strings.Repeat("r", 1023)},
	{"שלום@example.com", "שלום", "example.com", ""},

	{in: ""},
	{in: "@example.com"},
	{in: "juliet@"},
	{in: "juliet@example.com/"},
	{in: "/foobar"},
	{in: "a@b@c"},
	{in: "foo bar@example.com"},
	{in: `"juliet"@example.com`},
	{in: "a&b@example.com"},
	{in: "a'b@example.com"},
	{in: "a:b@example.com"},
	{in: "a<b@example.com"},
	{in: "a>b@example.com"},
	{in: "＜b＞@example.com"}, // becomes < and >
	{in: "a\x7f@example.com"},
	{in: "a\n@example.com"},
	{in: "henryⅣ@example.com"},
	{in: "♚@example.com"},
	{in: "a\u200bb@example.com"},
	{in: "אb@example.com"},
	{in: "juliet@example.com/a\x00"},
	{in: "juliet@example.com/\u0085"},
	{in: "juliet@exa mple.com"},
	{in: "juliet@exa_mple.com"},
	{in: "juliet@-example.com"},
	{in: "juliet@example-.com"},
	{in: "juliet@example..com"},
	{in: "juliet@.example.com"},
	{in: "juliet@."},
	{in: "juliet@example.com.."},
	{in: "juliet@xn--.example"},
	{in: "juliet@xn--a.example"},
	{in: "juliet@[2001:db8::9"},
	{in: "juliet@[fe80::1%eth0]"},
	{in: "juliet@[192.0.2.4]"},
	{in: "juliet@2001:db8::9"},
	{in: "\xff@example.com"},
	{in: "a@\xff"},
	{in: "a@b/\xff"},
	{in: strings.Repeat("a", 1024) + "@example.com"},
	{in: "a@b/" + strings.Repeat("r", 1024)},
	{in: "a@" + strings.Repeat("d", 64)},
	{in: "a@" + strings.Repeat("dd.", 100)},
}

func TestParseJID(t *testing.T) {
	for _, c := range jidTable {
		j, err := ParseJID(c.in)
		if c.domain == "" {
			if err == nil || !j.IsZero() {
				t.Errorf("%q: %q and no error", c.in, j)
			}
			continue
		}
		if err != nil || j.Local() != c.local || j.Domain() != c.domain || j.Resource() != c.resource {
			t.Errorf("%q: %q %q %q, %v", c.in, j.Local(), j.Domain(), j.Resource(), err)
		}
		if got := string(j.AppendTo([]byte("<"))); got != "<"+j.String() {
			t.Errorf("%s appended as %s", j, got)
		}
		if again, err := ParseJID(j.String()); err != nil || again != j {
			t.Errorf("%q -> %q -> %q, %v", c.in, j, again, err)
		}
	}
}

// The reasons of ADDR-12, ADDR-23; every error is a *Failure.
func TestParseJIDReasons(t *testing.T) {
	for in, want := range map[string]Reason{
		"@example.com":                           ReasonJIDMalformed,
		"juliet@":                                ReasonJIDMalformed,
		"a b@example.com":                        ReasonJIDMalformed,
		"a@b c":                                  ReasonJIDMalformed,
		"\xff@example.com":                       ReasonBadUTF8,
		"a@\xff":                                 ReasonBadUTF8,
		"a@b/\xff":                               ReasonBadUTF8,
		strings.Repeat("a", 1024) + "@b":         ReasonTooLong,
		strings.Repeat("ü", 512) + "@b":          ReasonTooLong,
		strings.Repeat("ü", 99999) + "@b":        ReasonTooLong,
		"a@" + strings.Repeat("b", 1024):         ReasonTooLong,
		"a@b/" + strings.Repeat("c", 1024):       ReasonTooLong,
		"a@b/" + strings.Repeat("c", 1022) + "ü": ReasonTooLong,
	} {
		_, err := ParseJID(in)
		f, ok := err.(*Failure)
		if !ok || ReasonOf(err) != want || f.Condition != CondJIDMalformed || f.Type != TypeModify {
			t.Errorf("%.20q: %v, want %s", in, err, want)
		}
	}
}

func TestJIDParts(t *testing.T) {
	full := MustParseJID("juliet@example.com/balcony")
	if got := full.Bare(); got != MustParseJID("juliet@example.com") || !got.IsBare() || full.IsBare() {
		t.Errorf("bare: %q", got)
	}
	if got := full.DomainJID(); got != MustParseJID("example.com") || !got.IsBare() {
		t.Errorf("domain: %q", got)
	}
	if got := MustParseJID("example.com/x").Bare(); got != MustParseJID("example.com") {
		t.Errorf("bare domain: %q", got)
	}
	for _, c := range []struct{ j, resource, want string }{
		{"juliet@example.com/balcony", "chamber", "juliet@example.com/chamber"},
		{"juliet@example.com", "a\u00a0b", "juliet@example.com/a b"},
		{"juliet@example.com/balcony", "", "juliet@example.com"},
		{"example.com", "x", "example.com/x"},
	} {
		got, err := MustParseJID(c.j).WithResource(c.resource)
		if err != nil || got != MustParseJID(c.want) {
			t.Errorf("%s with %q: %q, %v", c.j, c.resource, got, err)
		}
	}
	if got, err := full.WithResource("\n"); err == nil || !got.IsZero() {
		t.Errorf("%q, %v", got, err)
	}
	// Parts that only look alike when they are joined are different addresses.
	if j, err := NewJID("", "a@b", ""); err == nil {
		t.Errorf("%q", j)
	}
	if j, err := NewJID("a", "b", "c"); err != nil || j != MustParseJID("a@b/c") || !j.Equal(MustParseJID("A@b/c")) {
		t.Errorf("%q, %v", j, err)
	}
	var zero JID
	if zero.String() != "" || zero.Local() != "" || zero.Domain() != "" || zero.Resource() != "" ||
		!zero.Bare().IsZero() || !zero.DomainJID().IsZero() || !zero.IsZero() {
		t.Error("the zero JID is something")
	}
}

func TestJIDText(t *testing.T) {
	type both struct {
		J JID
		U URI
	}
	in := both{MustParseJID(`a\20b@bücher.example/♚`), MustParseURI("sip:a%40b@[2001:db8::9]:5070;user=phone;gr=x%3By")}
	b, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	var out both
	if err := json.Unmarshal(b, &out); err != nil || out != in {
		t.Errorf("%s: %+v, %v", b, out, err)
	}
	if err := json.Unmarshal([]byte(`{"J":"","U":""}`), &out); err != nil || out != (both{}) {
		t.Errorf("%+v, %v", out, err)
	}
	for _, bad := range []string{`{"J":"a@"}`, `{"U":"http://x"}`} {
		if err := json.Unmarshal([]byte(bad), &out); err == nil {
			t.Errorf("%s: no error", bad)
		}
	}
}

// divergesFrom says why mellium.im/xmpp/jid may give another result than we do.
//
// We are stricter: a domain must be a name that DNS can have, so no empty labels,
// none over 63 octets, 253 in all; a label that claims to be an A-label must lead
// back to itself; what PRECIS has not settled is applied again. We are laxer: two
// hyphens may be anywhere inside a label, if the name is ASCII. And an IPv6 address is written as RFC
// 5952 has it, also one with an IPv4 address in it.
func divergesFrom(s string) string {
	address, _, _ := strings.Cut(s, "/")
	if _, d, ok := strings.Cut(address, "@"); ok {
		address = d
	}
	switch {
	case strings.Contains(address, "["):
		return "IPv6"
	case strings.Contains(address, "--"), strings.Contains(strings.ToLower(address), "xn"):
		return "hyphens and A-labels"
	}
	ascii, err := domainNames.ToASCII(strings.TrimSuffix(address, "."))
	if ok, _ := isLDH(ascii); err != nil || !ok {
		return "not in DNS"
	}
	return ""
}

func compareWithOracle(s string) string {
	if divergesFrom(s) != "" {
		return ""
	}
	j, err := ParseJID(s)
	o, oracleErr := oracle.Parse(s)
	if oracleErr == nil {
		// One pass of PRECIS may leave work for a second.
		if second, err := oracle.Parse(o.String()); err != nil || second.String() != o.String() {
			return ""
		}
	}
	switch {
	case (err == nil) != (oracleErr == nil):
		return "ours: " + j.String() + ", " + errText(err) + "; mellium: " + o.String() + ", " + errText(oracleErr)
	case err == nil && (j.String() != o.String() || j.Local() != o.Localpart() || j.Domain() != o.Domainpart() || j.Resource() != o.Resourcepart()):
		return "ours: " + j.String() + "; mellium: " + o.String()
	}
	return ""
}

func errText(err error) string {
	if err == nil {
		return "no error"
	}
	return err.Error()
}

func TestOracle(t *testing.T) {
	compared := 0
	for _, c := range jidTable {
		if divergesFrom(c.in) == "" {
			compared++
		}
		if diff := compareWithOracle(c.in); diff != "" {
			t.Errorf("%q: %s", c.in, diff)
		}
	}
	if compared < 40 {
		t.Errorf("only %d of %d rows compared", compared, len(jidTable))
	}
	rapid.Check(t, func(t *rapid.T) {
		s := anyJID().Draw(t, "jid")
		if diff := compareWithOracle(s); diff != "" {
			t.Fatalf("%q: %s", s, diff)
		}
	})
}

// The fast path for ASCII does exactly what PRECIS does.
func TestASCIIPath(t *testing.T) {
	check := func(s string) string {
		want, err := precis.UsernameCaseMapped.String(s)
		bad := err != nil || strings.ContainsAny(want, notInLocal)
		if got, f := localPart(s); (f != nil) != bad || f == nil && got != want {
			return "localpart " + got + ", PRECIS " + want
		}
		want, err = precis.OpaqueString.String(s)
		if got, f := resourcePart(s); (f != nil) != (err != nil) || f == nil && got != want {
			return "resourcepart " + got + ", PRECIS " + want
		}
		return ""
	}
	for c := range 128 {
		for _, s := range []string{string(rune(c)), "a" + string(rune(c)) + "B"} {
			if diff := check(s); diff != "" {
				t.Errorf("%q: %s", s, diff)
			}
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringOfN(rapid.RuneFrom(nil, asciiTable), 1, 40, -1).Draw(t, "s")
		if diff := check(s); diff != "" {
			t.Fatalf("%q: %s", s, diff)
		}
		d := rapid.StringMatching(`[a-zA-Z0-9.]{1,80}`).Draw(t, "domain")
		slow, err := domainNames.ToASCII(strings.TrimSuffix(d, "."))
		slowOK, _ := isLDH(slow)
		if got, ok := aDomain(d); ok != (err == nil && slowOK) || ok && got != slow {
			t.Fatalf("%q: %q %v, IDNA %q %v", d, got, ok, slow, err)
		}
	})
}

func FuzzParseJID(f *testing.F) {
	for _, c := range jidTable {
		f.Add(c.in)
	}
	for _, v := range readAddresses(f).Vectors {
		f.Add(v.In)
		if v.Out != nil {
			f.Add(*v.Out)
		}
	}
	f.Fuzz(func(t *testing.T, s string) {
		checkJID(t, s)
		if diff := compareWithOracle(s); diff != "" {
			t.Errorf("%q: %s", s, diff)
		}
	})
}

// checkJID is what holds for every string.
func checkJID(t fataler, s string) {
	j, err := ParseJID(s)
	if err != nil {
		mustFailure(t, err, 0)
		if ReasonOf(err) == "" {
			t.Fatalf("%q: no reason in %v", s, err)
		}
		return
	}
	again, err := ParseJID(j.String())
	if err != nil || again != j || again.String() != j.String() {
		t.Fatalf("%q -> %q -> %q, %v", s, j, again, err)
	}
	n, err := NewJID(j.Local(), j.Domain(), j.Resource())
	if err != nil || n != j {
		t.Fatalf("%q: parts %q %q %q make %q, %v", s, j.Local(), j.Domain(), j.Resource(), n, err)
	}
	if strings.ContainsAny(j.Local(), notInLocal+" ") || hasControl(j.String()) || j.Domain() == "" ||
		len(j.Local()) > maxPart || len(j.Domain()) > maxPart || len(j.Resource()) > maxPart {
		t.Fatalf("%q: %q is no JID", s, j)
	}
}

// The part of the promise that ParseJID makes about memory: none for what comes
// in normal form from an XMPP server.
func TestParseJIDAllocs(t *testing.T) {
	for s, want := range map[string]float64{
		"juliet@example.com":                     0,
		"juliet@example.com/balcony and chamber": 0,
		`romeo\40example.org@sip.example.com/x`:  0,
		"example.com":                            0,
		"+12125550123@sip.example.com":           0,
		"juliet@192.0.2.4":                       0,
		"juliet@example.com.":                    1,
		"Juliet@example.com/Balcony":             2,
	} {
		if got := testing.AllocsPerRun(100, func() {
			j, err := ParseJID(s)
			if err != nil || j.Bare().String() == "" || j.DomainJID().IsZero() || j.Local() == "x" || j.Resource() == "y" {
				t.Fatal(err)
			}
		}); got > want {
			t.Errorf("%s: %v allocations, want %v", s, got, want)
		}
	}
}

func BenchmarkParseJID(b *testing.B) {
	for name, s := range map[string]string{
		"ascii":   "juliet@example.com/balcony",
		"escaped": `romeo\40example.org@sip.example.com`,
		"upper":   "Juliet@Example.com/balcony",
		"unicode": "jülièt@bücher.example/♚",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ParseJID(s); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
