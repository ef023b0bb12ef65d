//go:build interop

package interop

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stoxgw/stox/test/stage"
)

// presenceOf matches presence of a type from an address.
func presenceOf(typ, from string) func(stage.Stanza) bool {
	return func(s stage.Stanza) bool { return s.Kind == "presence" && s.Type == typ && s.From == from }
}

// GW-22, GW-23, GW-30: a user adds the gateway and a contact, asks the one how it is used
// and writes to the other, and removes both; the gateway says when it goes and when it is
// back.
func TestAddingAContact(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, server string) {
		w := newWorld(t, server)
		s, err := w.SIPpPresence(w.ctx, "udp", stage.SIPpState{State: "active;expires=3600", PIDF: pidf("romeo@"+sipDomain, "open", "", "")},
			stage.SIPpState{}, stage.SIPpState{State: "terminated;reason=timeout"})
		w.must(err)
		w.run(via("*", s.Port, "udp"))
		c := w.login(juliet)
		gateway, contact := w.component, "romeo@"+w.component
		presence := func(typ, to string) { w.must(c.Send(fmt.Sprintf("<presence type='%s' to='%s'/>", typ, to))) }
		roster := func(id, jid string) string {
			w.must(c.Send("<iq type='get' id='" + id + "'><query xmlns='jabber:iq:roster'/></iq>"))
			raw := w.await(c, "the roster", stage.WithID(id)).Raw
			for item := range strings.SplitSeq(raw, "<") {
				if strings.Contains(item, "jid=\""+jid+"\"") {
					return item
				}
			}
			return ""
		}

		presence("subscribe", gateway)
		w.await(c, "the gateway's consent", presenceOf("subscribed", gateway))
		st := w.await(c, "the gateway's presence", presenceOf("", gateway))
		if !strings.Contains(st.Raw, "http://jabber.org/protocol/caps") {
			t.Errorf("no caps: %s", st.Raw)
		}
		help := func(s stage.Stanza) bool {
			return s.Kind == "message" && s.From == gateway && strings.Contains(s.Body, contact)
		}
		if st := w.await(c, "the welcome", help); st.Nick == "" {
			t.Errorf("no nick: %s", st.Raw)
		}
		presence("subscribe", contact)
		w.await(c, "the contact's consent", presenceOf("subscribed", contact))
		w.fence(c, "f1")
		if item := roster("r1", contact); !strings.Contains(item, `subscription="to"`) {
			t.Errorf("the contact is not in the roster: %s", item)
		}
		presence("subscribe", "no\\40body\\40@"+w.component)
		// The servers take the contact for one that declines; only some pass on why.
		w.must(c.Message("h1", gateway, "help"))
		w.await(c, "help", func(s stage.Stanza) bool { return help(s) && s.To == c.JID })

		_, err = w.stox.Stop(w.ctx)
		w.must(err)
		w.await(c, "that it goes", presenceOf("unavailable", gateway))
		w.must(w.stox.Run(w.ctx))
		gone := false // stanzas are looked at in the order in which they came
		back := func(s stage.Stanza) bool {
			gone = gone || presenceOf("unavailable", gateway)(s)
			return gone && presenceOf("", gateway)(s)
		}
		w.await(c, "that it is back", back)

		w.must(c.Send("<iq type='set' id='rm'><query xmlns='jabber:iq:roster'><item jid='" + contact + "' subscription='remove'/></query></iq>"))
		w.await(c, "the removal", stage.WithID("rm"))
		w.fence(c, "f2")
		if item := roster("r2", contact); item != "" {
			t.Errorf("the contact is still in the roster: %s", item)
		}
		all, err := s.Requests(w.ctx)
		w.must(err)
		if len(all) != 2 || header(all[1], "Expires") != "0" || header(all[1], "Call-ID") != header(all[0], "Call-ID") {
			t.Errorf("SIP was asked %q", all)
		}
	})
}

// XEP-0356, as far as ejabberd 23.01 has it: it lets us look into rosters, so that a contact
// that the user has is left as it is, and breaks down where one is to be put there
// (module_not_loaded, mended in 24.10), so that the other asks for a subscription.
func TestRosterThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	w := newPrivateWorld(t, "ejabberd", func(o *stage.ServerOptions) { o.Rosters = true })
	w.must(w.server.Boot(w.ctx))
	w.run(via("*", 9, "tcp"))
	c, other := w.login(juliet), w.login(romeo) // a user is asked once a minute
	w.must(other.Send("<iq type='set' id='mine'><query xmlns='jabber:iq:roster'><item jid='bob@" + w.component + "' name='My Bob'><group>Friends</group></item></query></iq>"))
	w.await(other, "the contact", stage.WithID("mine"))
	for _, m := range []struct {
		from string
		to   stage.Account
		c    *stage.XMPPClient
	}{{"bob", romeo, other}, {"alice", juliet, c}} {
		w.sippSend(stage.SIPpSend{Transport: "udp", URI: w.user(m.to), From: "sip:" + m.from + "@" + sipDomain, Expect: handedOver, Body: "hello from " + m.from})
		w.await(m.c, "the message", stage.WithBody("hello from "+m.from))
	}
	w.await(c, "a subscription request", presenceOf("subscribe", "alice@"+w.component))
	_, _, err := w.stox.WaitLine(w.ctx, 0, "may=true")
	w.must(err)
	w.fence(other, "f1")
	w.fence(other, "f2")
	w.must(other.Send("<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>"))
	all := w.await(other, "the roster", stage.WithID("roster")).Raw
	if !strings.Contains(all, `name="My Bob"`) || !strings.Contains(all, "Friends") {
		t.Errorf("the user's own entry was changed: %s", all)
	}
	for _, s := range other.Stanzas() {
		if presenceOf("subscribe", "bob@"+w.component)(s) {
			t.Errorf("a contact that is there asks: %s", s.Raw)
		}
	}
}
