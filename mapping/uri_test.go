package mapping

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var uriTable = []struct {
	in   string
	want URI
	out  string // "" = in
	aor  string // "" = out without parameters
}{
	{"sip:alice@example.com", URI{Scheme: "sip", User: "alice", Host: "example.com"}, "", ""},
	{"SIP:Alice@EXAMPLE.com", URI{Scheme: "sip", User: "Alice", Host: "example.com"}, "sip:Alice@example.com", ""},
	{"sip:example.com", URI{Scheme: "sip", Host: "example.com"}, "", ""},
	{"sip:alice@example.com.", URI{Scheme: "sip", User: "alice", Host: "example.com"}, "sip:alice@example.com", ""},
	{"sip:alice@example.com.:5070", URI{Scheme: "sip", User: "alice", Host: "example.com", Port: 5070}, "sip:alice@example.com:5070", ""},
	{"sip:alice@example.com:05060", URI{Scheme: "sip", User: "alice", Host: "example.com", Port: 5060}, "sip:alice@example.com:5060", ""},
	{"sip:bob@[2001:DB8:0::9]", URI{Scheme: "sip", User: "bob", Host: "2001:db8::9"}, "sip:bob@[2001:db8::9]", ""},
	{"sip:bob@[2001:db8::9]:5070;transport=TCP", URI{Scheme: "sip", User: "bob", Host: "2001:db8::9", Port: 5070, Transport: "tcp"}, "sip:bob@[2001:db8::9]:5070;transport=tcp", "sip:bob@[2001:db8::9]:5070"},
	{"sip:bob@192.0.2.4", URI{Scheme: "sip", User: "bob", Host: "192.0.2.4"}, "", ""},
	{"sip:hans@bücher.example", URI{Scheme: "sip", User: "hans", Host: "xn--bcher-kva.example"}, "sip:hans@xn--bcher-kva.example", ""},
	{"sip:alice:s3cret@example.com;transport=tcp?subject=hi", URI{Scheme: "sip", User: "alice", Host: "example.com", Transport: "tcp"}, "sip:alice@example.com;transport=tcp", "sip:alice@example.com"},
	{"sip:alice:@example.com", URI{Scheme: "sip", User: "alice", Host: "example.com"}, "sip:alice@example.com", ""},
	{"sip:what?;a=b@example.com;lr;maddr=192.0.2.1", URI{Scheme: "sip", User: "what?;a=b", Host: "example.com"}, "sip:what?;a=b@example.com", ""},
	{"sip:f%c3%bc%40x@example.com", URI{Scheme: "sip", User: "fü@x", Host: "example.com"}, "sip:f%C3%BC%40x@example.com", ""},
	{"sip:%61lice@example.com", URI{Scheme: "sip", User: "alice", Host: "example.com"}, "sip:alice@example.com", ""},
	{"sip:%2541@example.com", URI{Scheme: "sip", User: "%41", Host: "example.com"}, "", ""}, // once
	{"sip:a@b;gr=My%20Phone;user=phone", URI{Scheme: "sip", User: "a", Host: "b", GR: "My Phone", Phone: true}, "sip:a@b;user=phone;gr=My%20Phone", "sip:a@b"},
	{"sip:a@b;gr", URI{Scheme: "sip", User: "a", Host: "b"}, "sip:a@b", ""},
	{"sip:a@b;gr=", URI{Scheme: "sip", User: "a", Host: "b"}, "sip:a@b", ""},
	{"sip:a@b;gr=%FF", URI{Scheme: "sip", User: "a", Host: "b"}, "sip:a@b", ""},
	{"sip:a@b;gr=%GG", URI{Scheme: "sip", User: "a", Host: "b"}, "sip:a@b", ""},
	{"sip:a@b;gr=%0D%0A", URI{Scheme: "sip", User: "a", Host: "b"}, "sip:a@b", ""},
	{"sip:a@b;user=ip;;x=%ZZ;y=\"<>\"", URI{Scheme: "sip", User: "a", Host: "b"}, "sip:a@b", ""},
	{"im:first%2Elast@example.com", URI{Scheme: "im", User: "first.last", Host: "example.com"}, "im:first.last@example.com", "sip:first.last@example.com"},
	{"pres:a#{b}@example.com;gr=x?y", URI{Scheme: "pres", User: "a#{b}", Host: "example.com"}, "pres:a%23%7Bb%7D@example.com", "sip:a%23%7Bb%7D@example.com"},
	{"im:a%2Cb%3Fc@example.com", URI{Scheme: "im", User: "a,b?c", Host: "example.com"}, "im:a%2Cb%3Fc@example.com", "sip:a,b?c@example.com"},
	{"tel:+1-(212).555-0123", URI{Scheme: "tel", User: "+12125550123"}, "tel:+12125550123", ""},
	{"tel:7042;phone-context=Example.com", URI{Scheme: "tel", User: "7042;phone-context=example.com"}, "tel:7042;phone-context=example.com", ""},
	{"tel:863-1234;phone-context=+1-914-555", URI{Scheme: "tel", User: "8631234;phone-context=+1914555"}, "tel:8631234;phone-context=+1914555", ""},
	{"TEL:+1;b=2;Ext=4-5;a;ISUB=9", URI{Scheme: "tel", User: "+1;isub=9;ext=45;a;b=2"}, "tel:+1;isub=9;ext=45;a;b=2", ""},
	{"tel:*%2321%23;phone-context=+49", URI{Scheme: "tel", User: "*#21#;phone-context=+49"}, "tel:*#21#;phone-context=+49", ""},
}

func TestParseURI(t *testing.T) {
	for _, c := range uriTable {
		u, err := ParseURI(c.in)
		if err != nil || u != c.want {
			t.Errorf("%s: %+v, %v, want %+v", c.in, u, err, c.want)
			continue
		}
		out, aor := c.out, c.aor
		if out == "" {
			out = c.in
		}
		if aor == "" {
			aor = out
		}
		if u.String() != out {
			t.Errorf("%s: printed as %s, want %s", c.in, u, out)
		}
		if u.AOR() != aor {
			t.Errorf("%s: address of record %s, want %s", c.in, u.AOR(), aor)
		}
	}
	if (URI{}).String() != "" || (URI{}).AOR() != "" || !(URI{}).IsZero() {
		t.Error("the zero URI is something")
	}
}

// ADDR-03, ADDR-04, ADDR-12. The texts are for the peer and the log: nothing of
// the password or of a header may be in them.
func TestParseURIErrors(t *testing.T) {
	for in, want := range map[string]Reason{
		"":                                         ReasonSyntax,
		"alice@example.com":                        ReasonSyntax,
		"sip":                                      ReasonSyntax,
		"sip:":                                     ReasonSyntax,
		":alice@example.com":                       ReasonSyntax,
		"s p:alice@example.com":                    ReasonSyntax,
		"sip:@example.com":                         ReasonSyntax,
		"sip::s3cret@example.com":                  ReasonSyntax,
		"sip:alice@":                               ReasonSyntax,
		"sip:alice@:5060":                          ReasonSyntax,
		"sip:a@b@example.com":                      ReasonSyntax,
		"sip:a@example.com?s3cret=x@y":             ReasonSyntax,
		"sip:a:b:s3cret@example.com":               ReasonSyntax,
		"sip:a:s3cret#@example.com":                ReasonSyntax,
		"sip:a b@example.com":                      ReasonSyntax,
		"sip:a@example.com?x=s3cret\r\nVia:":       ReasonSyntax,
		"sip:a\x7f@example.com":                    ReasonSyntax,
		"sip:fü:s3cret@example.com":                ReasonSyntax,
		"sip:#21#@example.com":                     ReasonSyntax,
		"sip:[a]@example.com":                      ReasonSyntax,
		"sip:jul%GGiet:s3cret@example.com":         ReasonSyntax,
		"sip:jul%4@example.com":                    ReasonSyntax,
		"sip:jul%@example.com":                     ReasonSyntax,
		"sip:jul%FFiet@example.com":                ReasonBadUTF8,
		"sip:jul%C3@example.com":                   ReasonBadUTF8,
		"sip:jul%ED%A0%80@example.com":             ReasonBadUTF8,
		"sip:jul%00iet@example.com":                ReasonUnmappable,
		"sip:jul%0D%0Aiet@example.com":             ReasonUnmappable,
		"sip:jul%C2%85iet@example.com":             ReasonUnmappable,
		"sip:a@exa%6Dple.com":                      ReasonSyntax,
		"sip:a@exa_mple.com":                       ReasonSyntax,
		"sip:a@-example.com":                       ReasonSyntax,
		"sip:a@example..com":                       ReasonSyntax,
		"sip:a@1.2.3":                              ReasonSyntax,
		"sip:a@1.2.3.256":                          ReasonSyntax,
		"sip:a@1001":                               ReasonSyntax,
		"sip:a@example.com:":                       ReasonSyntax,
		"sip:a@example.com:0":                      ReasonSyntax,
		"sip:a@example.com:65536":                  ReasonSyntax,
		"sip:a@example.com:+5060":                  ReasonSyntax,
		"sip:a@example.com:000005060":              ReasonSyntax,
		"sip:a@2001:db8::9":                        ReasonSyntax,
		"sip:a@[2001:db8::9":                       ReasonSyntax,
		"sip:a@[2001:db8::9]x":                     ReasonSyntax,
		"sip:a@[fe80::1%25eth0]":                   ReasonSyntax,
		"sip:a@[192.0.2.4]":                        ReasonSyntax,
		"sip:a@b;gr=x;gr=y":                        ReasonSyntax,
		"sip:a@b;transport=":                       ReasonSyntax,
		"sip:a@b;transport=a\"b":                   ReasonSyntax,
		"sip:a@\xff":                               ReasonSyntax,
		"im:a:s3cret@example.com":                  ReasonSyntax,
		"im:a@example.com:5060":                    ReasonSyntax,
		"tel:":                                     ReasonSyntax,
		"tel:+":                                    ReasonSyntax,
		"tel:+-":                                   ReasonSyntax,
		"tel:555-0123":                             ReasonSyntax,
		"tel:+1a":                                  ReasonSyntax,
		"tel:+1;phone-context=+1":                  ReasonSyntax,
		"tel:7042;phone-context=":                  ReasonSyntax,
		"tel:7042;phone-context=a;phone-context=b": ReasonSyntax,
		"tel:+1;ext=x":                             ReasonSyntax,
		"tel:+1;":                                  ReasonSyntax,
		"tel:+1%FF":                                ReasonBadUTF8,
		"tel:+1%0A":                                ReasonUnmappable,
		"sips:juliet@example.com":                  ReasonSIPS,
		"SIPS:juliet:s3cret@example.com:5061":      ReasonSIPS,
		"sips:@example.com":                        ReasonSyntax,
		"http://example.com/s3cret":                ReasonScheme,
		"xmpp:juliet@example.com":                  ReasonScheme,
		"urn:service:sos":                          ReasonScheme,
		"mailto:a@example.com?subject=s3cret":      ReasonScheme,
	} {
		u, err := ParseURI(in)
		f, ok := err.(*Failure)
		if !ok || ReasonOf(err) != want || !u.IsZero() {
			t.Errorf("%q: %+v, %v, want %s", in, u, err, want)
			continue
		}
		if strings.Contains(f.Error()+f.Reason+f.Warning, "s3cret") {
			t.Errorf("%q: %v tells a secret", in, f)
		}
		if f.Status != answerTo[want].status || (f.Warning != "") != (want == ReasonSIPS) {
			t.Errorf("%q: status %d, warning %q", in, f.Status, f.Warning)
		}
	}
	_, err := ParseURI("sips:juliet@example.com")
	// RFC 5630 §5.1.2: warn-code 380, RFC 3261 §20.43: agent and quoted text.
	if f := err.(*Failure); f.Status != 480 || f.Warning != `380 "SIPS Not Allowed"` {
		t.Errorf("sips: %d, %q", f.Status, f.Warning)
	}
}

// ADDR-21: the key neither is a plain comparison nor that of RFC 3261 §19.1.4.
func TestAOR(t *testing.T) {
	same := []string{"sip:a&b@example.com", "sip:a%26b@EXAMPLE.com.", "sip:a&b:pw@example.com;gr=x;transport=tcp?h=v", "im:a&b@example.com"}
	for _, s := range same {
		if got := MustParseURI(s).AOR(); got != "sip:a&b@example.com" {
			t.Errorf("%s: %s", s, got)
		}
	}
	for _, s := range []string{"sip:A&b@example.com", "sip:a&b@example.com:5060", "sip:example.com"} {
		if got := MustParseURI(s).AOR(); got == "sip:a&b@example.com" {
			t.Errorf("%s: %s", s, got)
		}
	}
}

// ADDR-13.
func TestWithScheme(t *testing.T) {
	u := MustParseURI("sip:tsch%C3%BCss,x@example.com:5060;user=phone;transport=tcp;gr=y")
	for scheme, want := range map[string]string{
		"im":   "im:tsch%C3%BCss%2Cx@example.com",
		"pres": "pres:tsch%C3%BCss%2Cx@example.com",
		"sip":  u.String(),
	} {
		if got := u.WithScheme(scheme); got.String() != want || MustParseURI(want) != got {
			t.Errorf("%s: %s, want %s", scheme, got, want)
		}
	}
	if tel := MustParseURI("tel:+1"); tel.WithScheme("im") != tel {
		t.Error("a telephone number has no im: form")
	}
}

// ADDR-04, ADDR-07: one undoes the other, and nothing raw leaves that may not.
func TestPercentInverse(t *testing.T) {
	sets := map[string]*charset{"user": userRaw, "param": paramRaw, "tel": telRaw, "mailbox": mailboxRaw}
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(rapid.String(), anyUser()).Draw(t, "s")
		for name, raw := range sets {
			encoded := string(appendPercent(nil, s, raw))
			for i := range len(encoded) {
				if c := encoded[i]; c != '%' && !raw.has(c) {
					t.Fatalf("%s: %q leaves %q raw", name, s, c)
				}
			}
			got, reason := percentDecode(encoded, raw)
			if hasControl(s) && reason == ReasonUnmappable {
				continue
			}
			if reason != "" || got != s {
				t.Fatalf("%s: %q -> %q -> %q %s", name, s, encoded, got, reason)
			}
		}
	})
}

// ADDR-05, ADDR-06.
func TestEscapeInverse(t *testing.T) {
	for text, want := range map[string]string{
		"space cadet": `space\20cadet`, `call me "ishmael"`: `call\20me\20\22ishmael\22`, "at&t guy": `at\26t\20guy`, "d'artagnan": `d\27artagnan`,
		"/.fanboy": `\2f.fanboy`, "::foo::": `\3a\3afoo\3a\3a`, "<foo>": `\3cfoo\3e`, "user@host": `user\40host`, `c:\net`: `c\3a\net`,
		`c:\\net`: `c\3a\\net`, `c:\cool stuff`: `c\3a\cool\20stuff`, `c:\5commas`: `c\3a\5c5commas`, `\3and\2is\5cool`: `\5c3and\2is\5c5cool`,
		`\\`: `\\`, `\ `: `\\20`, `\2F`: `\2F`, `\ba`: `\ba`, `\5c`: `\5c5c`, `\2`: `\2`, "": "",
	} {
		if got := escapeLocal(text); got != want && text != `\3and\2is\5cool` {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
		if got := unescapeLocal(escapeLocal(text)); got != text {
			t.Errorf("%q came back as %q", text, got)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(rapid.String(), anyUser()).Draw(t, "s")
		escaped := escapeLocal(s)
		if strings.ContainsAny(escaped, notInLocal+" ") {
			t.Fatalf("%q: %q is not escaped", s, escaped)
		}
		if got := unescapeLocal(escaped); got != s {
			t.Fatalf("%q -> %q -> %q", s, escaped, got)
		}
	})
}

func FuzzParseURI(f *testing.F) {
	for _, c := range uriTable {
		f.Add(c.in)
	}
	for _, v := range readAddresses(f).Vectors {
		f.Add(v.In)
		if v.Out != nil {
			f.Add(*v.Out)
		}
	}
	f.Fuzz(func(t *testing.T, s string) { checkURI(t, s) })
}

func TestAnyURI(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { checkURI(t, anyURI().Draw(t, "uri")) })
}

// checkURI is what holds for every string.
func checkURI(t fataler, s string) {
	u, err := ParseURI(s)
	if err != nil {
		mustFailure(t, err, 0)
		if ReasonOf(err) == "" {
			t.Fatalf("%q: no reason in %v", s, err)
		}
		return
	}
	for _, printed := range []string{u.String(), u.AOR()} {
		for i := range len(printed) {
			if c := printed[i]; c <= ' ' || c >= 0x7f || strings.IndexByte("\"<>\\^`{|}", c) >= 0 {
				t.Fatalf("%q: %q in %q", s, c, printed)
			}
		}
	}
	if got := string(u.AppendTo([]byte("<"))); got != "<"+u.String() {
		t.Fatalf("%q: %s appended as %s", s, u, got)
	}
	if got := string(u.AppendAOR([]byte("<"))); got != "<"+u.AOR() {
		t.Fatalf("%q: %s appended as %s", s, u.AOR(), got)
	}
	again, err := ParseURI(u.String())
	if err != nil || again != u {
		t.Fatalf("%q: %+v printed as %s, parsed as %+v, %v", s, u, u, again, err)
	}
	if key, err := ParseURI(u.AOR()); err != nil || key.AOR() != u.AOR() {
		t.Fatalf("%q: address of record %s, %v", s, u.AOR(), err)
	}
}

func TestParseURIAllocs(t *testing.T) {
	for s, want := range map[string]float64{
		"sip:romeo@example.org":                           0,
		"sip:+12125550123@voip.example:5070;user=phone":   0,
		"sip:juliet@example.com;gr=balcony;transport=udp": 0,
		"sip:juliet%40elsewhere.example@sip.example.com":  1,
		"tel:+12125550123":                                0,
	} {
		if got := testing.AllocsPerRun(100, func() {
			if _, err := ParseURI(s); err != nil {
				t.Fatal(err)
			}
		}); got > want {
			t.Errorf("%s: %v allocations, want %v", s, got, want)
		}
	}
	u := MustParseURI("sip:romeo@example.org;gr=x")
	if got := testing.AllocsPerRun(100, func() { sink = u.AOR() }); got > 1 {
		t.Errorf("AOR: %v allocations", got)
	}
	if got := testing.AllocsPerRun(100, func() { sink = u.String() }); got > 1 {
		t.Errorf("String: %v allocations", got)
	}
	b := make([]byte, 0, 200)
	if got := testing.AllocsPerRun(100, func() { b = u.AppendAOR(u.AppendTo(b[:0])) }); got > 0 {
		t.Errorf("AppendTo: %v allocations", got)
	}
}

var sink string

func BenchmarkParseURI(b *testing.B) {
	for name, s := range map[string]string{
		"plain":   "sip:romeo@example.org",
		"params":  "sip:romeo@example.org:5060;transport=udp;gr=x",
		"escaped": "sip:juliet%40elsewhere.example@sip.example.com",
		"ipv6":    "sip:bob@[2001:db8::9]:5070",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ParseURI(s); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAppendTo(b *testing.B) {
	u := MustParseURI("sip:romeo@example.org;gr=x")
	out := make([]byte, 0, 200)
	b.ReportAllocs()
	for b.Loop() {
		out = u.AppendTo(out[:0])
	}
}

func BenchmarkAOR(b *testing.B) {
	u := MustParseURI("sip:romeo@example.org;gr=x")
	b.ReportAllocs()
	for b.Loop() {
		sink = u.AOR()
	}
}
