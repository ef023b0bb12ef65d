package mapping

import (
	"strings"
	"testing"
)

// SEC-28, SEC-27, SEC-16: who may be the sender of a request and who its recipient.
func TestSenderAndRecipient(t *testing.T) {
	rules := eachRules(t)
	for _, c := range []struct {
		config, uri       string
		sender, recipient string // a JID or a reason
	}{
		{"vectors", "sip:romeo@voip.example", "romeo@sip.example.com", "not-served"},
		{"vectors", "sip:romeo@example.net;gr=phone", "romeo@net.sip.example.com/phone", "not-served"},
		{"vectors", "sip:juliet@example.com", "forbidden", "juliet@example.com"},
		{"vectors", "sip:juliet@example.com:5070;gr=balcony", "forbidden", "juliet@example.com/balcony"},
		{"vectors", "sip:juliet@xn--bcher-kva.example", "forbidden", "juliet@bücher.example"},
		{"vectors", "im:juliet@example.com", "forbidden", "juliet@example.com"},
		{"vectors", "sip:example.com", "forbidden", "example.com"},
		{"vectors", "sip:%20@example.com", "forbidden", "unmappable"},
		{"vectors", "sip:juliet@sub.example.com", `juliet\40sub.example.com@sip.example.com`, "not-served"},
		{"vectors", "sip:juliet%40elsewhere.example@sip.example.com", "forbidden", "juliet@elsewhere.example"},
		{"vectors", "sip:juliet%40elsewhere.example@sip.example.com:5090;gr=x", "forbidden", "juliet@elsewhere.example/x"},
		{"vectors", "sip:juliet%40B%C3%9CCHER.example.@sip.example.com", "forbidden", "juliet@bücher.example"},
		{"vectors", "sip:a%40b%40elsewhere.example@sip.example.com", "forbidden", `a\40b@elsewhere.example`},
		{"vectors", "sip:romeo%40sip.example.com@sip.example.com", "forbidden", "not-served"},
		{"vectors", "sip:romeo%40net.sip.example.com@sip.example.com", "forbidden", "not-served"},
		{"vectors", "sip:%40elsewhere.example@sip.example.com", "forbidden", "jid-malformed"},
		{"vectors", "sip:juliet%40@sip.example.com", "forbidden", "jid-malformed"},
		{"vectors", "sip:juliet%40a..b@sip.example.com", "forbidden", "bad-domain"},
		{"vectors", "sip:sip.example.com", "forbidden", "gateway-itself"},
		{"vectors", "sip:romeo@sip.example.com", `romeo\40sip.example.com@sip.example.com`, "not-served"},
		{"vectors", "sip:voip.example", "unmappable", "not-served"},
		{"vectors", "tel:+12125550123", "+12125550123@sip.example.com", "not-served"},
		{"vectors", "sip:romeo@example.net;gr=%00", "romeo@net.sip.example.com", "not-served"},
		{"vectors", "sip:romeo@example.net;gr=" + strings.Repeat("x", 1024), "too-long", "not-served"},
		{"vectors", "sip:juliet@example.com;gr=" + strings.Repeat("x", 1024), "forbidden", "too-long"},
		{"vectors", "sip:" + strings.Repeat("@", 0) + strings.Repeat("%40", 400) + "@voip.example", "too-long", "not-served"},
		{"vectors", "sip:%D7%90@voip.example", "א@sip.example.com", "not-served"},
		{"vectors", "sip:%D7%90@example.org", "unmappable", "not-served"}, // right to left and left to right
		{"vectors", "sip:x/%CC%87@voip.example", "unmappable", "not-served"},
		{"vectors", "sip:%EF%BC%A1%EF%BC%A0b@voip.example", `a\40b\40voip.example@sip.example.com`, "not-served"},

		{"phone", "sip:7001@pbx.example.net", "forbidden", "juliet@example.com"},
		{"phone", "sip:7001@pbx.example.net;gr=x", "forbidden", "juliet@example.com"},
		{"phone", "sip:7001@pbx.example.net:5070", `7001\40pbx.example.net\3a5070@sip.example.com`, "not-served"},
		{"phone", "sip:2125550100@pstn.example.net", "forbidden", "juliet@example.com"},
		{"phone", "tel:+1-212-555-0100", "forbidden", "juliet@example.com"},
		{"phone", "sip:011442079460123@pstn.example.net", "+442079460123@sip.example.com", "not-served"},
		{"phone", "sip:+12125550123@pstn.example.net:5070", `+12125550123\40pstn.example.net\3a5070@sip.example.com`, "not-served"},
		{"phone", "sip:juliet%40elsewhere.example@192.0.2.4", "forbidden", "juliet@elsewhere.example"},
		{"phone", "sip:juliet%40elsewhere.example@sip.example.com", "forbidden", "juliet@elsewhere.example"}, // the component's name leads to us, too
		{"phone", "sip:192.0.2.4", "forbidden", "gateway-itself"},
		{"phone", "sip:romeo@192.0.2.4", `romeo\40192.0.2.4@sip.example.com`, "not-served"}, // a PBX on the same machine
		{"national", "sip:juliet%40elsewhere.example@[2001:db8::9]:5060", "forbidden", "juliet@elsewhere.example"},
		{"national", "sip:1001@voip.example", "forbidden", "juliet@elsewhere.example"},
		{"national", "sip:030-1001@voip.example", "forbidden", "a@example.com"},
		{"national", "sip:030/1002@voip.example", `030\2f1002@sip.example.com`, "not-served"},
		{"national", "sip:(030)1002@voip.example", "+49301002@sip.example.com", "not-served"},
		{"mapped phone domain", "tel:+1", "+1@tel.example.com", "not-served"},
		{"mapped phone domain", "sip:06123456@pstn.example.net", "+3906123456@tel.example.com", "not-served"},
		{"identity", "sip:romeo@example.net", "romeo@example.net", "not-served"},
		{"identity", "sip:example.net", "forbidden", "gateway-itself"},
		{"identity", "sip:juliet%40elsewhere.example@example.net", "forbidden", "juliet@elsewhere.example"},
		{"no default", "sip:juliet%40elsewhere.example@xn--bcher-kva.example", "forbidden", "juliet@elsewhere.example"},
		{"no default", "sip:xn--mnchen-3ya.example", "münchen.example", "not-served"},
		{"no default", "tel:+1", "not-served", "not-served"},
	} {
		r, u := rules[c.config], MustParseURI(c.uri)
		for want, f := range map[string]func(URI) (JID, error){"s " + c.sender: r.Sender, "r " + c.recipient: r.Recipient} {
			j, err := f(u)
			got := j.String()
			if err != nil {
				got = string(ReasonOf(err))
			}
			if got != want[2:] {
				t.Errorf("%s: %.80s: %s, want %s", c.config, c.uri, got, want)
			}
		}
	}
	for _, u := range []URI{{}, {Scheme: "sip"}, {Scheme: "sips", Host: "example.com"}, {Scheme: "http", Host: "example.com"}} {
		checkRaw(t, rules["vectors"], u)
	}
	if _, err := rules["vectors"].Recipient(URI{Scheme: "sips", User: "a", Host: "example.com"}); ReasonOf(err) != ReasonSIPS {
		t.Errorf("sips: %v", err)
	}
	_, err := rules["vectors"].Sender(MustParseURI("sip:juliet@example.com"))
	if f := err.(*Failure); f.Status != 403 || f.Condition != CondForbidden || f.Type != TypeAuth {
		t.Errorf("%+v", f)
	}
}

// ADDR-17, ADDR-20, ADDR-25, ADDR-26: the way out, where the vectors have no row.
func TestOutward(t *testing.T) {
	rules := eachRules(t)
	for _, c := range []struct{ config, jid, toward, want string }{
		{"vectors", "juliet@example.com/balcony", "", "sip:juliet@example.com;gr=balcony"},
		{"vectors", "example.com", "", "sip:example.com"},
		{"vectors", "example.com/x", "", "sip:example.com"},
		{"vectors", "elsewhere.example", "", "unmappable"},
		{"vectors", "juliet@münchen.example", "", "sip:juliet%40xn--mnchen-3ya.example@sip.example.com"},
		{"vectors", "juliet@[2001:db8::9]", "", "sip:juliet%40%5B2001%3Adb8%3A%3A9%5D@sip.example.com"},
		{"vectors", `foo\5cbar@example.com`, "", "unmappable"}, // would come back as foo\bar
		{"vectors", `a\20@example.com`, "", "unmappable"},
		{"vectors", "romeo@1.2.3", "", "sip:romeo%401.2.3@sip.example.com"},
		{"phone", "juliet@elsewhere.example", "", "sip:juliet%40elsewhere.example@192.0.2.4:5070"},
		{"phone", "juliet@example.com/x", "pbx.example.net", "sip:7001@pbx.example.net"},
		{"phone", "juliet@example.com/x", "PBX.example.net.", "sip:7001@pbx.example.net"},
		{"phone", "juliet@example.com/x", "pstn.example.net", "sip:+12125550100@pstn.example.net;user=phone"},
		{"phone", "juliet@example.com/x", "example.org", "sip:juliet@example.com;gr=x"},
		{"phone", "nurse@example.com", "pbx.example.net", "sip:nurse@example.com"},
		{"national", "a@example.com", "example.org", "sip:+49301001@voip.example;user=phone"},
		{"national", "a@example.com", "sub.example.org", "sip:a@example.com"},
		{"national", "juliet@elsewhere.example", "example.org", "sip:1001@voip.example"},
	} {
		u, err := rules[c.config].SIPIdentity(MustParseJID(c.jid), c.toward)
		if got := orReason(u, err); got != c.want {
			t.Errorf("%s: the user %s toward %q: %s, want %s", c.config, c.jid, c.toward, got, c.want)
		}
	}
	for _, c := range []struct{ config, jid, want string }{
		{"vectors", "romeo@elsewhere.example", "item-not-found"},
		{"vectors", "sip.example.com/x", "gateway-itself"},
		{"vectors", "net.sip.example.com/x", "sip:example.net"},
		{"vectors", `x\40exa_mple@sip.example.com`, "bad-domain"},
		{"vectors", `x\40a\3a0@sip.example.com`, "jid-malformed"},
		{"vectors", `x\40[\3a\3a1@sip.example.com`, "jid-malformed"},
		{"vectors", `x\40[1]@sip.example.com`, "jid-malformed"},
		{"vectors", `x\20\40example.org@sip.example.com`, "sip:x%20@example.org"},
		{"vectors", `x\20@sip.example.com`, "jid-malformed"},
		{"vectors", `x\5cy@sip.example.com`, `x\y@sip.example.com`},
		{"vectors", `juliet\40example.com@sip.example.com`, "juliet@example.com"},
		{"vectors", `juliet\40elsewhere.example\40sip.example.com@sip.example.com`, "juliet@elsewhere.example"},
		{"vectors", `bob\40[2001\3adb8\3a0\3a\3a9]@sip.example.com`, `bob\40[2001\3adb8\3a\3a9]@sip.example.com`},
		{"vectors", `bob\40example.org\3a05070@sip.example.com`, `bob\40example.org\3a5070@sip.example.com`},
		{"vectors", "+1-212-555-0123@sip.example.com", "+12125550123@sip.example.com"},
		{"vectors", "+12125550123;ext=5@sip.example.com", "sip:+12125550123;ext=5@voip.example;user=phone"},
		{"phone", "+442079460123@sip.example.com", "sip:011442079460123@pstn.example.net;user=phone"},
		{"phone", "+1212555@sip.example.com", "sip:+1212555@pstn.example.net;user=phone"}, // no full number: not dialled otherwise
		{"phone", `7001\40pbx.example.net@sip.example.com`, "juliet@example.com"},
		{"phone", `2125550100\40pstn.example.net@sip.example.com`, "juliet@example.com"},
		{"national", "+4930123456@sip.example.com", "sip:030123456@voip.example;user=phone"},
		{"national", "+442079460123@sip.example.com", "sip:00442079460123@voip.example;user=phone"},
		{"national", "1001@sip.example.com", "juliet@elsewhere.example"},
		{"national", "1002@sip.example.com", "sip:1002@voip.example"},
		{"national", "030123456@sip.example.com", "+4930123456@sip.example.com"},
		{"mapped phone domain", "+3906123456@sip.example.com", "+3906123456@tel.example.com"},
		{"mapped phone domain", "+3906123456@tel.example.com", "sip:06123456@pstn.example.net;user=phone"},
		{"no default", `a\40b.example@bücher.example`, "sip:a@b.example"},
		{"no default", "+1@bücher.example", "item-not-found"},
	} {
		u, err := rules[c.config].SIPAddress(MustParseJID(c.jid))
		got := orReason(u, err)
		if got == "item-not-found" && strings.Contains(c.want, "@") {
			got, _ = strings.CutPrefix(err.(*Failure).Text, "This is not an address that could answer. The right one is ")
			got = strings.TrimSuffix(got, ".")
		}
		if got != c.want {
			t.Errorf("%s: %s: %s, want %s", c.config, c.jid, got, c.want)
		}
	}
}

func orReason(u URI, err error) string {
	if err != nil {
		return string(ReasonOf(err))
	}
	return u.String()
}

// The common cases cost at most one string for what comes out.
func TestRulesAllocs(t *testing.T) {
	r := eachRules(t)["vectors"]
	var (
		contact = MustParseURI("sip:romeo@voip.example")
		other   = MustParseURI("sip:romeo@example.org")
		user    = MustParseURI("sip:juliet@example.com")
		escaped = MustParseJID(`romeo\40example.org@sip.example.com`)
		short   = MustParseJID("romeo@sip.example.com")
		juliet  = MustParseJID("juliet@example.com/balcony")
	)
	for name, c := range map[string]struct {
		f    func() error
		want float64
	}{
		"Sender":             {func() error { _, err := r.Sender(contact); return err }, 1},
		"Recipient":          {func() error { _, err := r.Recipient(user); return err }, 1},
		"Sender escaped":     {func() error { _, err := r.Sender(other); return err }, 1},
		"SIPAddress":         {func() error { _, err := r.SIPAddress(short); return err }, 0},
		"SIPAddress escaped": {func() error { _, err := r.SIPAddress(escaped); return err }, 0},
		"SIPIdentity":        {func() error { _, err := r.SIPIdentity(juliet, "voip.example"); return err }, 0},
	} {
		if got := testing.AllocsPerRun(100, func() {
			if err := c.f(); err != nil {
				t.Fatal(err)
			}
		}); got > c.want {
			t.Errorf("%s: %v allocations, want %v", name, got, c.want)
		}
	}
}

func BenchmarkRules(b *testing.B) {
	r := eachRules(b)["vectors"]
	u := func(s string) URI { return MustParseURI(s) }
	j := func(s string) JID { return MustParseJID(s) }
	romeo, other, juliet := u("sip:romeo@voip.example"), u("sip:romeo@example.org"), u("sip:juliet@example.com")
	short, escaped, sender := j("romeo@sip.example.com"), j(`romeo\40example.org@sip.example.com`), j("juliet@example.com/balcony")
	for _, c := range []struct {
		name string
		f    func() error
	}{
		{"Sender", func() error { _, err := r.Sender(romeo); return err }},
		{"SenderEscapedAt", func() error { _, err := r.Sender(other); return err }},
		{"Recipient", func() error { _, err := r.Recipient(juliet); return err }},
		{"SIPAddress", func() error { _, err := r.SIPAddress(short); return err }},
		{"SIPAddressEscapedAt", func() error { _, err := r.SIPAddress(escaped); return err }},
		{"SIPIdentity", func() error { _, err := r.SIPIdentity(sender, "voip.example"); return err }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := c.f(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// ADDR-12, SEC-13: which hosts are those of users, and which address is the
// gateway's own. Nobody else can be there.
func TestServesAndItself(t *testing.T) {
	rules := eachRules(t)
	for _, c := range []struct{ config, host, domain string }{
		{"vectors", "example.com", "example.com"},
		{"vectors", "xn--bcher-kva.example", "bücher.example"},
		{"vectors", "sub.example.com", ""},
		{"vectors", "sip.example.com", ""},
		{"vectors", "voip.example", ""},
		{"vectors", "", ""},
	} {
		j, ok := rules[c.config].Serves(c.host)
		if j.String() != c.domain || ok != (c.domain != "") {
			t.Errorf("%s: %q belongs to %q, %v; want %q", c.config, c.host, j, ok, c.domain)
		}
	}
	for name, r := range rules {
		u := r.Itself()
		if again, err := ParseURI(u.String()); err != nil || again != u {
			t.Errorf("%s: %s is read as %s, %v", name, u, again, err)
		}
		if j, err := r.Recipient(u); ReasonOf(err) != ReasonGatewayItself {
			t.Errorf("%s: %s is %s, %v; want gateway-itself", name, u, j, err)
		}
	}
}
