package component

import (
	"testing"

	"github.com/stoxgw/stox/internal/xmpptest"
)

// vCards say what the address says, in both forms, and nobody can change one.
func TestVCard(t *testing.T) {
	_, conn := memory(t, xmpptest.Options{}, withServices(t))
	old := func(inner string) string { return `<vCard xmlns='vcard-temp'>` + inner + `</vCard>` }
	v4 := func(inner string) string {
		return `<vcard xmlns='urn:ietf:params:xml:ns:vcard-4.0'>` + inner + `</vcard>`
	}
	for _, c := range []iqCase{
		{"gateway", gateway, askVCard, "result", old(`<FN>Bob's &lt;gateway&gt;</FN>`)},
		{"gateway, vCard4", gateway, askVCard4, "result", v4(`<fn><text>Bob's &lt;gateway&gt;</text></fn>`)},
		{"user", romeo, askVCard, "result", old(`<FN>romeo@pbx.example.net</FN><JABBERID>romeo@sip.example.com</JABBERID><URL>sip:romeo@pbx.example.net</URL>`)},
		{"user, vCard4", romeo, askVCard4, "result", v4(`<fn><text>romeo@pbx.example.net</text></fn><impp><uri>sip:romeo@pbx.example.net</uri></impp>`)},
		{"device", romeo + "/r", askVCard, "result", old(`<FN>romeo@pbx.example.net</FN><JABBERID>romeo@sip.example.com</JABBERID><URL>sip:romeo@pbx.example.net</URL>`)},
		{"number", "+12125550123@sip.example.com", askVCard, "result", old(`<FN>+12125550123</FN><TEL><NUMBER>+12125550123</NUMBER></TEL>` +
			`<JABBERID>+12125550123@sip.example.com</JABBERID><URL>sip:2125550123@pstn.example.net;user=phone</URL>`)},
		{"number, vCard4", "+12125550123@sip.example.com", askVCard4, "result", v4(`<fn><text>+12125550123</text></fn><tel><uri>tel:+12125550123</uri></tel>` +
			`<impp><uri>sip:2125550123@pstn.example.net;user=phone</uri></impp>`)},
		{"number with an extension", "+12125550123;ext=5@sip.example.com", askVCard, "result", old(`<FN>+12125550123;ext=5@pstn.example.net</FN>` +
			`<JABBERID>+12125550123;ext=5@sip.example.com</JABBERID><URL>sip:+12125550123;ext=5@pstn.example.net;user=phone</URL>`)},
		{"plus elsewhere", `+12125550123\40example.org@sip.example.com`, askVCard4, "result", v4(`<fn><text>+12125550123@example.org</text></fn><impp><uri>sip:+12125550123@example.org</uri></impp>`)},
		{"escapes", `o\27malley\26\40example.org@sip.example.com`, askVCard, "result", old(`<FN>o'malley&amp;@example.org</FN>` +
			`<JABBERID>o\27malley\26\40example.org@sip.example.com</JABBERID><URL>sip:o'malley&amp;@example.org</URL>`)},
		{"address and port", `b\40[2001\3adb8\3a\3a9]\3a5070@sip.example.com`, askVCard, "result", old(`<FN>b@[2001:db8::9]:5070</FN>` +
			`<JABBERID>b\40[2001\3adb8\3a\3a9]\3a5070@sip.example.com</JABBERID><URL>sip:b@[2001:db8::9]:5070</URL>`)},
		{"no address", `romeo\40@sip.example.com`, askVCard, "error", "modify/jid-malformed"},
		{"another spelling", `romeo\40pbx.example.net@sip.example.com`, askVCard, "error", "cancel/item-not-found"},
		{"set", romeo, "<iq type='set'>" + askVCard + "</iq>", "error", "cancel/not-allowed"},
		{"set, vCard4", romeo, "<iq type='set'>" + askVCard4 + "</iq>", "error", "cancel/not-allowed"},
		{"set, gateway", gateway, "<iq type='set'>" + askVCard + "</iq>", "error", "cancel/not-allowed"},
		{"set, gateway, vCard4", gateway, "<iq type='set'>" + askVCard4 + "</iq>", "error", "cancel/not-allowed"},
		{"names have a case", romeo, `<vcard xmlns='vcard-temp'/>`, "error", "cancel/service-unavailable"},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, conn) })
	}
}
