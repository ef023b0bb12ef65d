package app

import (
	"strings"
	"testing"

	"github.com/stoxgw/stox/internal/config"
	"github.com/stoxgw/stox/internal/presence"
	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/internal/xmpptest"
	"github.com/stoxgw/stox/mapping"
)

// The routes that publish, and under which name of the gateway users agree to it.
func TestPresenceServers(t *testing.T) {
	cfg := &config.Config{XMPP: config.XMPP{Domain: "sip.example.com"}, Domains: []config.Domain{{XMPP: "lab.example.com", SIP: "lab.example"}}}
	cfg.SIP.Routes = []config.Route{
		{Domain: "pbx.example", Presence: "subscribe"},
		{Domain: "Lab.Example", Via: "sip:10.0.0.1", Presence: "publish"},
		{Domain: "trunk.example", Presence: "none"},
		{Domain: "other.example", Presence: "publish"},
		{Domain: "*", Via: "sip:10.0.0.1", Presence: "publish"},
	}
	want := []presence.Server{
		{Domain: "lab.example", Hop: "sip:10.0.0.1", Name: mapping.MustParseJID("lab.example.com")},
		{Domain: "other.example", Hop: "other.example", Name: mapping.MustParseJID("sip.example.com")},
		{Domain: "*", Hop: "sip:10.0.0.1", Name: mapping.MustParseJID("sip.example.com")},
	}
	got := presenceServers(cfg)
	if len(got) != len(want) {
		t.Fatalf("%+v, want %+v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("the server %d is %+v, want %+v", i, got[i], want[i])
		}
	}
}

// PRES-29, PRES-25: the whole daemon publishes the presence of a user who lets it, at the next
// hop of the route, and withdraws it when he takes that back.
func TestPublishingThroughTheDaemon(t *testing.T) {
	eachNetwork(t, func(t *testing.T, network string) {
		g := newGateway(t, network)
		g.server = xmpptest.New(t, xmpptest.Options{Domain: "sip.example.com", Secret: "component secret"}) // passes nothing over
		g.cfg.XMPP.Server = g.server.Addr()
		g.cfg.SIP.Routes[0].Presence = "publish"
		var err error
		if g.app, err = New(g.cfg, g.log.logger()); err != nil {
			t.Fatal(err)
		}
		published := make(chan *siptest.Message, 8)
		g.peer.Answer(func(m *siptest.Message) string {
			published <- m
			return m.Reply(200, "OK", "SIP-ETag: e-"+m.Branch(), "Expires: "+m.Get("Expires"))
		})
		g.run()
		send := func(text string) {
			t.Helper()
			if err := g.xmpp.Send(text); err != nil {
				t.Fatal(err)
			}
		}
		send(`<presence type='subscribe' from='juliet@example.com' to='sip.example.com'/>`)
		for asked := false; !asked; {
			st := g.xmpp.Next()
			asked = st.Name == "presence" && st.Type == "subscribe" && st.From == "sip.example.com" && st.To == "juliet@example.com"
		}
		send(`<presence type='subscribed' from='juliet@example.com' to='sip.example.com'/>` +
			`<presence from='juliet@example.com/balcony' to='sip.example.com'><show>away</show></presence>`)
		m := <-published
		if !strings.HasPrefix(m.First, "PUBLISH sip:juliet@example.com SIP/2.0") || m.Get("Event") != "presence" || m.Get("Expires") != "3600" ||
			m.Get("SIP-If-Match") != "" || m.Get("Contact") != "" || m.Get("Route") != "" {
			t.Errorf("the first one is %+v", m)
		}
		if d, err := mapping.ReadPIDF(m.Get("Content-Type"), []byte(m.Body)); err != nil {
			t.Error(err)
		} else if rs := d.Resources(); len(rs) != 1 || rs[0].Name != "balcony" || !rs[0].Open || rs[0].Show != mapping.ShowAway {
			t.Errorf("%+v is published", rs)
		}
		send(`<presence type='unsubscribed' from='juliet@example.com' to='sip.example.com'/>`)
		first := m.Branch()
		for m = <-published; m.Branch() == first; m = <-published { // over UDP it may come twice
		}
		if m.Method() != "PUBLISH" || m.Get("Expires") != "0" || m.Get("SIP-If-Match") != "e-"+first || len(m.Body) != 0 {
			t.Errorf("the last one is %+v", m)
		}
	})
}
