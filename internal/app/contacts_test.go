package app

import (
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/internal/xmpptest"
)

// A user meets the gateway, behind which presence is not exchanged: the whole daemon, and
// what of it the next one remembers (GW-08, GW-10, GW-22).
func TestBeingAContact(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stox.db")
	start := func() *gateway {
		g := newGateway(t, "tcp", storeAt(path))
		g.server = xmpptest.New(t, xmpptest.Options{Domain: "sip.example.com", Secret: "component secret"}) // passes nothing over
		g.cfg.XMPP.Server = g.server.Addr()
		g.cfg.SIP.Routes[0].Presence = "none"
		var err error
		if g.app, err = New(g.cfg, g.log.logger()); err != nil {
			t.Fatal(err)
		}
		g.peer.Answer(func(m *siptest.Message) string { return m.Reply(200, "OK") })
		return g
	}
	g := start()
	g.run()
	send := func(text string) {
		t.Helper()
		if err := g.xmpp.Send(text); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(what, from, typ, part string) {
		t.Helper()
		st := g.xmpp.Next()
		if got := st.Name + " " + st.Type; got != typ || st.From != from || !strings.HasPrefix(st.To, "juliet@example.com") || !strings.Contains(st.Raw, part) {
			t.Fatalf("%s: %s; want %s of %s with %q", what, st.Raw, typ, from, part)
		}
	}
	nothing := func(what string) {
		t.Helper()
		ping(t, g.xmpp, "sip.example.com", "quiet")
		if st := g.xmpp.Next(); st.ID != "quiet" {
			t.Fatalf("%s: %s", what, st.Raw)
		}
	}
	const gw, romeo = "sip.example.com", "romeo@sip.example.com"

	send(`<presence type='subscribe' from='juliet@example.com' to='sip.example.com'/>`)
	expect("the gateway is added", gw, "presence subscribed", "")
	expect("the gateway is there", gw, "presence ", "http://jabber.org/protocol/caps")
	expect("it says how it is used", gw, "message chat", "romeo@sip.example.com")
	send(`<presence type='subscribe' from='juliet@example.com' to='romeo@sip.example.com'/>`)
	expect("a contact is added", romeo, "presence subscribed", "")
	send(`<presence type='subscribe' id='bad' from='juliet@example.com' to='romeo\40@sip.example.com'/>`)
	expect("what is no address", `romeo\40@sip.example.com`, "presence error", "jid-malformed")
	g.message("m1", romeo, "hello")
	g.peer.Await(1)
	nothing("after a message")

	branch, raw := g.requestFrom("sip:tybalt@pbx.example.net", 1, "sip:juliet@example.com", "hi")
	g.peer.Send(g.sip, raw)
	expect("a message from SIP", "tybalt@sip.example.com", "message ", "hi")
	if got := g.peer.Final(branch).Status(); got != 200 {
		t.Fatalf("answered %d", got)
	}
	expect("its sender is introduced", "tybalt@sip.example.com", "presence subscribe", "")

	nothing("after the introduction, whose barrier the server has now answered")
	nothing("and that answer has been read")
	g.xmpp.Drop()
	g.xmpp = linked2(t, g.server)
	expect("the link is back", gw, "presence ", "http://jabber.org/protocol/caps")
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	expect("the gateway goes", gw, "presence unavailable", "")
	if !g.xmpp.WaitEnd() || g.xmpp.Waiting() != 0 {
		t.Error("it did not end with that")
	}

	g = start()
	g.startOnly()
	g.xmpp = linked2(t, g.server)
	g.sip = netip.MustParseAddrPort(g.app.sip.Addrs()[0].String())
	expect("after a restart", gw, "presence ", "http://jabber.org/protocol/caps")
	branch, raw = g.requestFrom("sip:tybalt@pbx.example.net", 2, "sip:juliet@example.com", "hi again")
	g.peer.Send(g.sip, raw)
	expect("it writes again", "tybalt@sip.example.com", "message ", "hi again")
	g.peer.Final(branch)
	g.message("m2", romeo, "hello")
	g.peer.Await(1)
	nothing("who is known is not told anything again")
}

// linked2 waits for a link, and takes nothing of what is said on it.
func linked2(t *testing.T, server *xmpptest.Server) *xmpptest.Conn {
	t.Helper()
	c := server.Accept()
	if !c.Echoed(xmpptest.LinkCheck) {
		t.Fatal("the link did not come up")
	}
	return c
}
