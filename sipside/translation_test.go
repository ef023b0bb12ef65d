package sipside

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"
	"pgregory.net/rapid"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/mapping"
)

// headersOut are all that a MESSAGE of ours may have (IM-09).
var headersOut = []string{"Via", "Max-Forwards", "From", "To", "Call-ID", "CSeq", "Subject", "Date", "Content-Language", "User-Agent", "Content-Type", "Content-Length"}

// SEC-21: whatever XMPP sends, what the translation makes of it is one request that a
// strict parser reads, with no header but those that are meant, and sipgo's parser and
// our own find the same in it.
func TestTranslationIsSIP(t *testing.T) {
	rules, err := mapping.NewRules(mapping.RulesConfig{GatewayDomain: "sip.example.com", SIPHost: "gw.example.com", UserDomains: []string{"example.com"}, DefaultSIPDomain: "pbx.example.net"})
	if err != nil {
		t.Fatal(err)
	}
	u := fuzzUA(t)
	text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", "en", "\r\nTo: <sip:a@b>", "\n", "x\r\n\r\nMESSAGE", "\x00", "\u2028", "\u0085", "\xff", "<sip:x>;tag=y", "\"", "a;b=c", "29377446-0CBB", "a@b@c", "Pros\u00edm"}))
	requests := 0
	rapid.Check(t, func(t *rapid.T) {
		user := rapid.SampledFrom([]string{"juliet@example.com", "juliet@elsewhere.example", `o\27malley@example.com`, "m\u00fcller@b\u00fccher.example"}).Draw(t, "user")
		from, err := mapping.MustParseJID(user).WithResource(text.Draw(t, "resource"))
		if err != nil {
			from = mapping.MustParseJID(user)
		}
		to := rapid.SampledFrom([]string{"romeo@sip.example.com", `a\20b\40example.org@sip.example.com`, "+15555550123@sip.example.com", `x\3ay\40[2001\3adb8\3a\3a9]\3a5070@sip.example.com`,
			"a;b=c@sip.example.com", "f\u00fc@sip.example.com", "!$%*+,-.=?_~[]{}|^`#@sip.example.com"}).Draw(t, "to")
		values, err := rules.ToSIP(&mapping.XMPPMessage{
			From: from, To: mapping.MustParseJID(to), Type: "chat", Lang: text.Draw(t, "lang"), Thread: text.Draw(t, "thread"),
			Subjects: []mapping.Text{{Value: text.Draw(t, "subject")}}, Bodies: []mapping.Text{{Value: text.Draw(t, "body") + "."}},
			URLs: []string{text.Draw(t, "url")}, Delay: time.Unix(rapid.Int64Range(-1, 2_000_000_000).Draw(t, "delay"), 5), Device: rapid.Bool().Draw(t, "device"),
		})
		if err != nil || len(values) != 1 {
			t.Fatal(values, err)
		}
		m := values[0].(*mapping.SIPMessage)
		m.FromTag, m.CSeq = "t", 7
		if m.CallID == "" {
			m.CallID = "chosen"
		}
		if rapid.Bool().Draw(t, "wrapped") {
			m = m.Wrap()
		}
		out, ok := requestOf(m)
		if f := out.sendable(); !ok || f != nil {
			t.Fatal(ok, f)
		}
		requests++
		checkRequest(t, m, u.wire(&out, nil, "UDP", "gw.example.com", "z9hG4bKx"))
	})
	if requests < 50 {
		t.Errorf("only %d requests came of it", requests)
	}
}

func checkRequest(t *rapid.T, m *mapping.SIPMessage, b []byte) {
	got, n, err := siptest.Parse(b)
	if err != nil || n != len(b) {
		t.Fatalf("%d of %d bytes, %v: %q", n, len(b), err, b)
	}
	if got.First != "MESSAGE "+m.RequestURI.String()+" SIP/2.0" || !bytes.Equal(got.Body, m.Body) || got.Get("Content-Length") != strconv.Itoa(len(m.Body)) {
		t.Fatalf("%q is not %+v", b, m)
	}
	seen := map[string]bool{}
	for _, f := range got.Fields {
		if !slices.Contains(headersOut, f.Name) || seen[f.Name] || strings.ContainsFunc(f.Value, func(r rune) bool { return r < ' ' || 0x7f <= r && r <= 0x9f }) {
			t.Fatalf("a header %s: %q", f.Name, f.Value)
		}
		seen[f.Name] = true
	}
	for name, uri := range map[string]mapping.URI{"From": m.From, "To": m.To} {
		addr, ok := parseNameAddr(got.Get(name))
		if back, err := mapping.ParseURI(addr.uri); !ok || err != nil || back != uri {
			t.Fatalf("%s: %q is %v, %v; meant is %v", name, got.Get(name), back, err, uri)
		}
	}
	if got.Get("Call-ID") != m.CallID || got.Get("Subject") != m.Subject || got.Get("Content-Language") != m.Lang {
		t.Fatalf("%q is not %+v", b, m)
	}

	msg, err := sip.NewParser().ParseSIP(b)
	if err != nil {
		t.Fatalf("sipgo: %v: %q", err, b)
	}
	req, ok := msg.(*sip.Request)
	if !ok || req.Method != sip.MESSAGE || !bytes.Equal(req.Body(), m.Body) || req.CallID() == nil || req.CallID().Value() != m.CallID {
		t.Fatalf("sipgo reads %v of %q", msg, b)
	}
	for _, c := range []struct {
		what  string
		got   sip.Uri
		meant mapping.URI
	}{{"Request-URI", req.Recipient, m.RequestURI}, {"From", req.From().Address, m.From}, {"To", req.To().Address, m.To}} {
		// sipgo leaves the percent-encoding as it is.
		if back, err := mapping.ParseURI(c.got.String()); err != nil || back.AOR() != c.meant.AOR() {
			t.Fatalf("sipgo: %s is %s, meant is %s", c.what, c.got.String(), c.meant)
		}
	}
}
