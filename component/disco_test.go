package component

import (
	"strings"
	"testing"

	"github.com/stoxgw/stox/internal/xmpptest"
)

// features is how a list of them is written.
func features(names ...string) (s string) {
	for _, n := range names {
		s += "<feature var='" + n + "'/>"
	}
	return s
}

// TestDisco: GW-13, GW-14, GW-27, ADDR-24. What the gateway and its contacts say they are.
func TestDisco(t *testing.T) {
	r, conn := memory(t, xmpptest.Options{}, withServices(t))
	const (
		open  = `<query xmlns='http://jabber.org/protocol/disco#info'`
		items = `<query xmlns='http://jabber.org/protocol/disco#items'/>`
	)
	node := func(ns, node string) string {
		return `<query xmlns='http://jabber.org/protocol/` + ns + `' node='` + node + `'/>`
	}
	own := `><identity category='gateway' type='simple' name='Bob&apos;s &lt;gateway&gt;'/><identity category='gateway' type='sms' name='Bob&apos;s &lt;gateway&gt;'/>` +
		features(`http://jabber.org/protocol/caps`, `http://jabber.org/protocol/disco#info`, `http://jabber.org/protocol/disco#items`, `jabber:iq:gateway`,
			`jabber:iq:last`, `jabber:iq:version`, `jid\20escaping`, `urn:ietf:params:xml:ns:vcard-4.0`, `urn:xmpp:ping`, `vcard-temp`) + `</query>`
	mapped := []string{"http://jabber.org/protocol/chatstates", "http://jabber.org/protocol/disco#info", "urn:ietf:params:xml:ns:vcard-4.0", "urn:xmpp:chat-markers:0"}
	account := func(name string) string {
		return open + `><identity category='account' type='registered' name='` + name + `'/>` + features(append(mapped, "urn:xmpp:ping", "urn:xmpp:receipts", "vcard-temp")...) + `</query>`
	}
	client := `><identity category='client' type='phone'/>` + features(append(mapped, "urn:xmpp:receipts", "vcard-temp")...) + `</query>`
	ownNode := capsNode + "#" + r.Component.srv.Load().gatewayVer

	for _, c := range []iqCase{
		{"gateway", gateway, askInfo, "result", open + own},
		{"gateway, resource", gateway + "/x", askInfo, "result", open + own},
		{"gateway, its capabilities", gateway, node("disco#info", ownNode), "result", open + ` node='` + ownNode + `'` + own},
		{"gateway, other capabilities", gateway, node("disco#info", ownNode+"x"), "error", "cancel/item-not-found"},
		{"gateway, its software", gateway, node("disco#info", capsNode), "error", "cancel/item-not-found"},
		{"gateway, unknown node", gateway, node("disco#info", "n"), "error", "cancel/item-not-found"},
		{"gateway, set", gateway, "<iq type='set'>" + askInfo + "</iq>", "error", "cancel/service-unavailable"},
		{"items", gateway, askItems, "result", items},
		{"items of a resource", gateway + "/x", askItems, "result", items},
		{"items of a page", gateway, `<query xmlns='http://jabber.org/protocol/disco#items'><set xmlns='http://jabber.org/protocol/rsm'><max>lots</max></set></query>`, "result", items},
		{"items of a node", gateway, node("disco#items", "http://jabber.org/protocol/commands"), "error", "cancel/item-not-found"},

		{"contact", romeo, askInfo, "result", account("sip:romeo@pbx.example.net")},
		{"contact with markup in its name", `o\27malley\26\40example.org@sip.example.com`, askInfo, "result", account("sip:o&apos;malley&amp;@example.org")},
		{"contact, number", "+12125550123@sip.example.com", askInfo, "result", account("sip:2125550123@pstn.example.net;user=phone")},
		{"contact, device", romeo + "/r", askInfo, "result", open + client},
		{"contact, capabilities", romeo, node("disco#info", ownNode), "error", "cancel/item-not-found"},
		{"contact, unknown node", romeo + "/r", node("disco#info", "n"), "error", "cancel/item-not-found"},
		{"contact, no address", `romeo\40@sip.example.com`, askInfo, "error", "modify/jid-malformed"},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, conn) })
	}
}

// Whatever is not mapped is not announced, and nothing is announced twice (XEP-0030 §3.1).
func TestContactFeatures(t *testing.T) {
	for _, c := range []struct {
		mapped []string
		want   string
	}{
		{nil, features("http://jabber.org/protocol/disco#info", "urn:ietf:params:xml:ns:vcard-4.0", "vcard-temp")},
		{[]string{FeatureReceipts, FeatureReceipts}, features("http://jabber.org/protocol/disco#info", "urn:ietf:params:xml:ns:vcard-4.0", "urn:xmpp:receipts", "vcard-temp")},
	} {
		_, conn := memory(t, xmpptest.Options{}, func(cfg *Config) {
			withServices(t)(cfg)
			cfg.ContactFeatures, cfg.Numbers = c.mapped, false
		})
		iqCase{"contact", romeo + "/r", askInfo, "result", `<query xmlns='http://jabber.org/protocol/disco#info'><identity category='client' type='phone'/>` + c.want + `</query>`}.run(t, conn)
		send(t, conn, `<iq type='get' id='i' from='juliet@example.com' to='sip.example.com'>`+askInfo+`</iq>`)
		if got := fence(t, conn); len(got) != 1 || strings.Contains(got[0].Raw, "sms") || strings.Contains(got[0].Raw, "pstn") {
			t.Errorf("a gateway without telephones says %v", got)
		}
	}
}

// The verification strings of XEP-0115 §5.2 and §5.3.
func TestCaps(t *testing.T) {
	shuffled := []string{"http://jabber.org/protocol/muc", "http://jabber.org/protocol/disco#items", "http://jabber.org/protocol/caps", "http://jabber.org/protocol/disco#info"}
	simple := discoInfo{identities: []discoIdentity{{"client", "pc", "", "Exodus 0.9.1"}}, features: shuffled}
	if got := simple.ver(); got != "QgayPKawpkPSDYmwT/WM94uAlu0=" {
		t.Errorf("the simple example is %s, of %q", got, simple.capsInput())
	}
	complex := discoInfo{identities: []discoIdentity{{"client", "pc", "en", "Psi 0.11"}, {"client", "pc", "el", "Ψ 0.11"}}, features: shuffled}
	const form = "urn:xmpp:dataforms:softwareinfo<ip_version<ipv4<ipv6<os<Mac<os_version<10.5.1<software<Psi<software_version<0.11<"
	if got := capsHash(complex.capsInput() + form); got != "q07IKJEyjvHSyhy//CH0CxmKi8w=" {
		t.Errorf("the complex example is %s, of %q", got, complex.capsInput())
	}
	if shuffled[0] != "http://jabber.org/protocol/muc" || complex.identities[0].lang != "en" {
		t.Error("the hash has reordered what it is of")
	}
}

// What presence says is the hash of what disco#info answers.
func TestCapsOfOurs(t *testing.T) {
	r, conn := memory(t, xmpptest.Options{}, withServices(t))
	for _, from := range []string{gateway, gateway + "/x"} {
		c := parse(t, string(r.Component.srv.Load().caps(nil)))
		if c.name.Space != "http://jabber.org/protocol/caps" || c.name.Local != "c" || c.attr("hash") != "sha-1" {
			t.Errorf("%s announces %+v", from, c)
		}
		send(t, conn, `<iq type='get' id='i' from='juliet@example.com' to='`+from+`'><query xmlns='http://jabber.org/protocol/disco#info' node='`+c.attr("node")+"#"+c.attr("ver")+`'/></iq>`)
		got := fence(t, conn)
		if len(got) != 1 || got[0].Type != "result" {
			t.Fatalf("%s: %v", from, got)
		}
		var said discoInfo
		for _, e := range parse(t, got[0].Raw).children[0].children {
			switch e.name.Local {
			case "identity":
				said.identities = append(said.identities, discoIdentity{e.attr("category"), e.attr("type"), e.lang(), e.attr("name")})
			case "feature":
				said.features = append(said.features, e.attr("var"))
			}
		}
		if said.ver() != c.attr("ver") {
			t.Errorf("%s announces %s, and answers %s: %+v", from, c.attr("ver"), said.ver(), said)
		}
	}
}
