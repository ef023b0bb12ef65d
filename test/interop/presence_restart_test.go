//go:build interop

package interop

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/test/stage"
)

// userAgent is a SIP user agent that watches and is watched. It keeps its dialogs whatever happens to stox.
type userAgent struct {
	*siptest.Peer
	w      *world
	uri    string
	sent   int         // requests
	forgot atomic.Bool // it knows no dialog any more
}

func newUserAgent(w *world, uri string) *userAgent {
	a := &userAgent{Peer: siptest.Listen(w.t, "udp"), w: w, uri: uri}
	a.Answer(func(m *siptest.Message) string {
		switch {
		case a.forgot.Load() && strings.Contains(m.Get("To"), ";tag="):
			return m.Reply(481, "Subscription does not exist")
		case m.Method() == "SUBSCRIBE":
			return m.Reply(200, "OK", "Expires: "+m.Get("Expires"), "Contact: <"+a.contact()+">")
		}
		return m.Reply(200, "OK")
	})
	return a
}

func (a *userAgent) contact() string { return fmt.Sprintf("sip:ua@%s", a.Addr()) }

// send sends a request and returns the answer.
func (a *userAgent) send(method, uri, from, to, callID, more, body string) *siptest.Message {
	a.w.t.Helper()
	a.sent++
	return a.Request(netip.MustParseAddrPort(fmt.Sprintf("127.0.0.1:%d", a.w.stox.SIP)), fmt.Sprintf("%s %s SIP/2.0\r\n"+
		"Via: SIP/2.0/UDP %s;branch=z9hG4bKua%d;rport\r\nMax-Forwards: 70\r\nFrom: %s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %d %s\r\nContact: <%s>\r\n"+
		"Event: presence\r\n%sContent-Length: %d\r\n\r\n%s", method, uri, a.Addr(), a.sent, from, to, callID, a.sent, method, a.contact(), more, len(body), body))
}

// awaitAfter waits for a request after the first n that match takes.
func (a *userAgent) awaitAfter(n int, match func(*siptest.Message) bool) *siptest.Message {
	a.w.t.Helper()
	for {
		all := a.Await(n + 1)
		if i := slices.IndexFunc(all[n:], match); i >= 0 {
			return all[n+i]
		}
		n = len(all)
	}
}

// dialogs is how many dialogs have been begun with it.
func (a *userAgent) dialogs() (n int) {
	for _, m := range a.Requests() {
		if m.Method() == "SUBSCRIBE" && !strings.Contains(m.Get("To"), ";tag=") {
			n++
		}
	}
	return n
}

// tell sends a NOTIFY in the dialog that a SUBSCRIBE has begun.
func (a *userAgent) tell(subscribe *siptest.Message, state, document string) {
	a.w.t.Helper()
	target := strings.Trim(subscribe.Get("Contact"), "<>")
	typ := ""
	if document != "" {
		typ = "Content-Type: application/pidf+xml\r\n"
	}
	// The tag is that of siptest's answers.
	_, reply, _ := strings.Cut(subscribe.Reply(200, "OK"), "\r\nTo: ")
	to, _, _ := strings.Cut(reply, "\r\n")
	if answer := a.send("NOTIFY", target, to, subscribe.Get("From"), subscribe.Get("Call-ID"), "Subscription-State: "+state+"\r\n"+typ, document); answer.Status() != 200 {
		a.w.t.Fatalf("NOTIFY %s is answered %s", state, answer.First)
	}
}

// watch subscribes to a user's presence with a Call-ID.
func (a *userAgent) watch(user, callID string) {
	a.w.t.Helper()
	if answer := a.send("SUBSCRIBE", user, "<"+a.uri+">;tag=w", "<"+user+">", callID, "Expires: 3600\r\n", ""); answer.Status() != 200 {
		a.w.t.Fatalf("SUBSCRIBE is answered %s", answer.First)
	}
}

// notified matches a NOTIFY of a dialog that has all the words in it.
func notified(callID string, words ...string) func(*siptest.Message) bool {
	return func(m *siptest.Message) bool {
		all := m.Get("Subscription-State") + " " + string(m.Body)
		for _, w := range words {
			if !strings.Contains(all, w) {
				return false
			}
		}
		return m.Method() == "NOTIFY" && m.Get("Call-ID") == callID
	}
}

// RFC 8048 §5, PRES-13: each party is started anew in the middle. What has been decided stays, dialogs go on,
// and who has lost one begins another.
func TestPresenceOutlivesRestarts(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, server string) {
		w := newPrivateWorld(t, server)
		w.must(w.server.Boot(w.ctx))
		const who = "mercutio@verona.test"
		a := newUserAgent(w, "sip:"+who)
		w.run(via("verona.test", int(a.Addr().Port()), "udp"))
		c := w.login(juliet)
		contact := `mercutio\40verona.test@` + w.component
		shown := func(c *stage.XMPPClient, typ, show string) {
			t.Helper()
			w.await(c, "presence "+typ+show, func(s stage.Stanza) bool { return presenceOf(typ, contact+"/desk")(s) && s.Show == show })
		}
		isSubscribe := func(m *siptest.Message) bool { return m.Method() == "SUBSCRIBE" }

		w.present(c, "subscribe", contact)
		dialog := a.awaitAfter(0, isSubscribe)
		a.tell(dialog, "active;expires=3600", pidf(who, "open", showing("away"), ""))
		w.await(c, "that it is granted", presenceOf("subscribed", contact))
		shown(c, "", "away")
		a.watch(w.user(juliet), "first")
		w.await(c, "that it is asked", presenceOf("subscribe", contact))
		a.awaitAfter(0, notified("first", "pending"))
		w.present(c, "subscribed", contact)
		a.awaitAfter(0, notified("first", "active", "<basic>open</basic>"))
		asked := 0
		for _, s := range c.Stanzas() {
			if presenceOf("subscribe", contact)(s) {
				asked++
			}
		}

		// stox
		_, err := w.stox.Stop(w.ctx)
		w.must(err)
		w.must(w.stox.Run(w.ctx))
		_, err = w.stox.WaitLink(w.ctx, 0)
		w.must(err)
		a.tell(dialog, "active;expires=3500", pidf(who, "open", showing("dnd"), ""))
		shown(c, "", "dnd")
		n := len(a.Requests())
		w.must(c.Send("<presence><show>xa</show></presence>"))
		a.awaitAfter(n, notified("first", "active", ">xa</show>"))
		if n := a.dialogs(); n != 1 {
			t.Errorf("%d dialogs after a restart of stox", n)
		}
		for _, s := range c.Stanzas() {
			if presenceOf("subscribe", contact)(s) {
				asked--
			}
		}
		if asked != 0 {
			t.Error("the user was asked again after a restart of stox")
		}
		p := passage{w.server.Name, roleServer, transportStream, both, "subscriptions and dialogs go on, nobody is asked again"}
		w.crossed(p, "presence, restart of stox")

		// the XMPP server
		lines := len(w.stox.Lines())
		_, err = w.server.Stop(w.ctx)
		w.must(err)
		w.must(w.server.Boot(w.ctx))
		_, err = w.stox.WaitLink(w.ctx, lines)
		w.must(err)
		n = len(a.Requests())
		c = w.login(juliet)
		shown(c, "", "dnd")
		w.must(c.Send("<presence><show>chat</show></presence>"))
		a.awaitAfter(n, notified("first", "active", ">chat</show>"))
		if n := a.dialogs(); n != 1 {
			t.Errorf("%d dialogs after a restart of the XMPP server", n)
		}
		p.result = "contacts are shown again, dialogs go on"
		w.crossed(p, "presence, restart of the server")

		// the SIP side
		a.tell(dialog, "terminated;reason=deactivated", "")
		a.forgot.Store(true)
		n = len(a.Requests())
		next := a.awaitAfter(0, func(m *siptest.Message) bool { return isSubscribe(m) && m.Get("Call-ID") != dialog.Get("Call-ID") })
		a.tell(next, "active;expires=3600", pidf(who, "open", showing("xa"), ""))
		shown(c, "", "xa")
		w.must(c.Send("<presence><show>away</show></presence>"))
		a.awaitAfter(n, notified("first", ">away</show>")) // it knows nothing of that
		a.forgot.Store(false)
		n = len(a.Requests())
		a.watch(w.user(juliet), "second")
		a.awaitAfter(n, notified("second", "active", ">away</show>"))
		for _, s := range c.Stanzas() {
			if presenceOf("subscribe", contact)(s) || presenceOf("subscribed", contact)(s) {
				t.Errorf("after a restart of the SIP side the user got %s", s.Raw)
			}
		}
		p.result = "another dialog, nobody is asked again"
		w.crossed(p, "presence, restart of the SIP side")
	})
}
