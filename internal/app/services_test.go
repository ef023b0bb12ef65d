package app

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stoxgw/stox/internal/config"
	"github.com/stoxgw/stox/internal/xmpptest"
)

// What the configuration says reaches the services of each component name: what contacts
// are, what of their messages is mapped (GW-27), where numbers lead to telephones (GW-13),
// and which JID an address is (GW-18).
func TestServicesFollowTheConfiguration(t *testing.T) {
	const info = "<query xmlns='http://jabber.org/protocol/disco#info'/>"
	for _, c := range []struct {
		name              string
		mod               func(*config.Config)
		receipts, states  bool
		phonesOf, phoneAt string
	}{
		{"defaults", func(*config.Config) {}, true, true, "", ""},
		{"nothing but texts", func(c *config.Config) { c.SIP.IMDN, c.SIP.Composing = "never", "never" }, false, false, "", ""},
		{"telephones", func(c *config.Config) { c.SIP.Routes[0].Country = "US" }, true, true, "sip.example.com", "+12125550123@sip.example.com"},
		{"telephones under a name of their own", func(c *config.Config) {
			c.SIP.Routes[0].Country, c.SIP.PhoneDomain, c.SIP.IMDN = "US", "lab.example", "never"
		}, false, true, "lab.example.com", "+12125550123@lab.example.com"},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := newServer(t, "lab.example.com")
			g := newGateway(t, "tcp", func(cfg *config.Config) {
				cfg.Domains = []config.Domain{{XMPP: "lab.example.com", SIP: "lab.example", Server: server.Addr(), Secret: "component secret"}}
				c.mod(cfg)
			})
			g.run()
			for name, conn := range map[string]*xmpptest.Conn{"sip.example.com": g.xmpp, "lab.example.com": linked(t, server, "lab.example.com")} {
				ask := func(typ, to, inner string) string {
					t.Helper()
					if err := conn.Send(fmt.Sprintf("<iq type='%s' from='juliet@example.com/b' to='%s' id='q'>%s</iq>", typ, to, inner)); err != nil {
						t.Fatal(err)
					}
					return conn.Next().Raw
				}
				has := func(answer, what string, want bool) {
					t.Helper()
					if strings.Contains(answer, what) != want {
						t.Errorf("%s: %q %v: %s", name, what, !want, answer)
					}
				}
				own := ask("get", name, info)
				has(own, "type='simple'", true)
				has(own, "type='sms'", name == c.phonesOf)
				has(own, "jabber:iq:gateway", true)
				contact := ask("get", "romeo@"+name, info)
				has(contact, map[string]string{"sip.example.com": "name='sip:romeo@pbx.example.net'", "lab.example.com": "name='sip:romeo@lab.example'"}[name], true)
				has(contact, "urn:xmpp:receipts", c.receipts)
				has(contact, "urn:xmpp:chat-markers:0", c.receipts)
				has(contact, "http://jabber.org/protocol/chatstates", c.states)
				prompt := "<query xmlns='jabber:iq:gateway'><prompt>%s</prompt></query>"
				has(ask("set", name, fmt.Sprintf(prompt, "romeo@lab.example")), "<jid>romeo@lab.example.com</jid>", true)
				if c.phoneAt != "" {
					has(ask("set", name, fmt.Sprintf(prompt, "(212) 555-0123")), "<jid>"+c.phoneAt+"</jid>", true)
				} else {
					has(ask("set", name, fmt.Sprintf(prompt, "(212) 555-0123")), "<not-acceptable", true)
				}
			}
		})
	}
}
