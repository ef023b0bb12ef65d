//go:build interop

package interop

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stoxgw/stox/test/stage"
)

// isComposing is a document of RFC 3994 as Linphone with a screen sends it.
func isComposing(state string) string {
	return `<?xml version="1.0" encoding="UTF-8" standalone="no" ?>
<isComposing xmlns="urn:ietf:params:xml:ns:im-iscomposing">
  <contenttype>text/plain</contenttype>
  <refresh>60</refresh>
  <state>` + state + `</state>
</isComposing>
`
}

// state has a client say whether its user is typing (XEP-0085).
func (w *world) state(c *stage.XMPPClient, to, state string) {
	w.t.Helper()
	w.must(c.Send(fmt.Sprintf("<message to='%s' type='chat'><%s xmlns='http://jabber.org/protocol/chatstates'/></message>", to, state)))
}

// IM-50 to IM-55: who is typing is told as it changes, to whom it is of use, and a text
// means that its author has stopped.
func TestTyping(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, server string) {
		eachTransport(t, func(t *testing.T, transport string) {
			w := newWorld(t, server)
			const texts, states = 2, 2
			s, err := w.SIPpServe(w.ctx, transport, texts+states, 200, "OK")
			w.must(err)
			w.run(via("*", s.Port, transport))
			c := w.login(juliet)
			const from = "sip:mercutio@verona.test"
			contact := `mercutio\40verona.test@` + w.component

			// Who has not written, and was not seen typing, is not told.
			w.state(c, contact, "composing")
			w.state(c, contact, "paused")
			w.must(c.Message("first", contact, "first"))
			_, err = s.AwaitRequests(w.ctx, 1)
			w.must(err)

			send := func(typ, body string) {
				t.Helper()
				w.sippSend(stage.SIPpSend{Transport: transport, URI: w.user(juliet), From: from, ContentType: typ, Body: body, Expect: handedOver})
			}
			const typ = "application/im-iscomposing+xml"
			for _, state := range []string{"idle", "active", "active", "idle", "idle", "active"} {
				send(typ, isComposing(state))
			}
			send("text/plain", "a scratch")
			w.fence(c, "after the states")
			var got []string
			for _, st := range c.Stanzas() {
				if from, _, _ := strings.Cut(st.From, "/"); st.Kind != "message" || from != contact {
					continue
				}
				switch {
				case st.Body != "":
					got = append(got, st.Body)
				case strings.Contains(st.Raw, "chatstates") && strings.Contains(st.Raw, ":composing"):
					got = append(got, "composing")
				case strings.Contains(st.Raw, "chatstates") && strings.Contains(st.Raw, ":active"):
					got = append(got, "active")
				default:
					t.Errorf("the user got %s", st.Raw)
				}
			}
			if want := []string{"composing", "active", "composing", "a scratch"}; !slices.Equal(got, want) {
				t.Errorf("the user got %q, want %q", got, want)
			}

			for i, step := range []struct{ state, request string }{{"composing", "active"}, {"paused", "idle"}} {
				w.state(c, contact, step.state)
				all, err := s.AwaitRequests(w.ctx, i+2)
				w.must(err)
				if r := all[i+1]; !strings.Contains(r, "\nContent-Type: "+typ+"\n") || !strings.Contains(r, "<state>"+step.request+"</state>") {
					t.Errorf("%s is\n%s", step.state, r)
				}
			}
			for _, state := range []string{"paused", "inactive", "gone"} {
				w.state(c, contact, state)
			}
			w.must(c.Message("last", contact, "last"))
			all, err := s.Requests(w.ctx)
			w.must(err)
			if !strings.HasSuffix(all[0], "\n\nfirst") || !strings.HasSuffix(all[texts+states-1], "\n\nlast") {
				t.Errorf("the first request is\n%s\nand the last\n%s", all[0], all[texts+states-1])
			}
			p := passage{stage.SIPpName(), roleSIPp, transport, toXMPP, "shown, each change once"}
			w.crossed(p, "typing")
			p.direction, p.result = toSIP, "told, each change once, to who has written"
			w.crossed(p, "typing")
		})
	})
}

// IM-54: a phone that does not know of typing is not asked twice, and gets every text.
func TestTypingToPhone(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, server string) {
		w := newWorld(t, server)
		phone, err := w.Baresip(w.ctx, "bob", sipDomain, w.stox.SIP, "tcp", w.user(juliet))
		w.must(err)
		w.run(via(sipDomain, phone.Port, "tcp"))
		c := w.login(juliet)
		w.must(phone.Message("here I am"))
		w.await(c, "the phone's message", stage.WithBody("here I am"))
		for i := range 3 {
			w.state(c, "bob@"+w.component, "composing")
			text := fmt.Sprint("text ", i)
			w.must(c.Message(fmt.Sprint("t", i), "bob@"+w.component, text))
			_, err := phone.Await(w.ctx, text)
			w.must(err)
		}
		w.fence(c, "end")
		for _, st := range c.Stanzas() {
			if st.Type == "error" {
				t.Errorf("the user got %s", st.Raw)
			}
		}
		w.crossed(passage{phone.Name, "phone, directly", "tcp", toSIP, "415, the texts are shown"}, "typing")
	})
}
