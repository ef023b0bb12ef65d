//go:build interop

package interop

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stoxgw/stox/test/stage"
)

// IM-01 to IM-05, IM-09, CT-02, CT-10, SEC-20: text, subject, thread and language
// of a real client reach a SIP server as they were.
func TestMessageToSIP(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, server string) {
		eachTransport(t, func(t *testing.T, transport string) {
			w, s := sippRoute(t, server, transport, 1, 200, "OK")
			c := w.login(juliet)
			w.must(c.Send("<message to='romeo@" + w.component + "' id='m1' type='chat' xml:lang='cs'><subject>Dotaz\n k věci</subject>" +
				"<thread>29377446-0CBB-4296</thread><body>Pročež jsi ty, &lt;Romeo&gt; &amp; spol.?\nnový řádek</body></message>"))
			all, err := s.Requests(w.ctx)
			w.must(err)
			for _, want := range []string{
				"MESSAGE sip:romeo@sip.test SIP/2.0\n",
				"From: <sip:juliet@" + w.domain + ";gr=", "To: <sip:romeo@sip.test>\n", "Call-ID: 29377446-0CBB-4296\n",
				"Subject: Dotaz k věci\n", "Content-Language: cs\n", "Content-Type: text/plain;charset=utf-8\n", "Max-Forwards: 70\n",
				"\n\nPročež jsi ty, <Romeo> & spol.?\nnový řádek",
			} {
				if !strings.Contains(all[0], want) {
					t.Errorf("the request has no %q:\n%s", want, all[0])
				}
			}
			for _, not := range []string{"\nContact:", "\nAccept:"} {
				if strings.Contains(all[0], not) {
					t.Errorf("the request has %q (IM-09)", not)
				}
			}
			w.crossed(passage{stage.SIPpName(), roleSIPp, transport, toSIP, "arrived"}, "text", "non-ASCII text", "subject", "thread", "language")
		})
	})
}

// ADDR-15, ADDR-18, IM-10 to IM-16, IM-56, ERR-04: from SIP to a real client, and
// the answers for whom nobody is there.
func TestMessageFromSIP(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, server string) {
		w := newWorld(t, server)
		w.run(via("sip.test", 9, "udp"), via("other.test", 9, "udp"))
		c := w.login(juliet)
		for _, transport := range []string{"udp", "tcp"} { // one after the other: they share a client
			send := func(from, to, body string, expect int, headers ...string) {
				t.Helper()
				w.sippSend(stage.SIPpSend{Transport: transport, URI: to, From: from, Body: body + " " + transport, Headers: headers, Expect: expect})
			}
			send("sip:romeo@sip.test", w.user(juliet), "Neither, fair saint <&> žluť", handedOver, "Subject: Balcony", "Content-Language: en")
			st := w.await(c, "the message", stage.WithBody("Neither, fair saint <&> žluť "+transport))
			if st.From != "romeo@"+w.component || st.Subject != "Balcony" || st.Lang != "en" || st.Thread == "" || st.ID == "" || st.Type != "" && st.Type != "normal" {
				t.Errorf("the stanza: %s", st.Raw)
			}
			send("sip:mercutio@other.test", w.user(juliet), "from elsewhere", handedOver)
			if st := w.await(c, "the message", stage.WithBody("from elsewhere "+transport)); st.From != `mercutio\40other.test@`+w.component {
				t.Errorf("from %s", st.From)
			}
			send("sip:romeo@sip.test", "sip:nobody@"+w.domain, "hello", 480)      // ERR-04: the server bounced
			send("sip:romeo@sip.test", "sip:juliet@elsewhere.test", "hello", 404) // SEC-27
			send("sip:tybalt@"+w.domain, w.user(juliet), "hello", 403)            // SEC-28
			p := passage{stage.SIPpName(), roleSIPp, transport, toXMPP, "arrived"}
			w.crossed(p, "text", "non-ASCII text", "subject", "thread", "language", "sender of another SIP domain")
			p.result = "480"
			w.crossed(p, "message to an unknown XMPP user")
			p.result = "404"
			w.crossed(p, "message to a foreign XMPP domain")
			p.result = "403"
			w.crossed(p, "sender who claims to be an XMPP user")
		}
	})
}

// ERR-02, ERR-11: the answer of SIP reaches the sender, with the id of the message.
func TestErrorsFromSIP(t *testing.T) {
	t.Parallel()
	answers := []struct {
		status               int
		reason               string
		condition, errorType string
	}{
		{404, "Not Found", "item-not-found", "cancel"},
		{486, "Busy Here", "recipient-unavailable", "wait"},
		{503, "Service Unavailable", "internal-server-error", "cancel"},
	}
	eachServer(t, func(t *testing.T, server string) {
		w := newWorld(t, server)
		var routes []stage.Route
		for _, a := range answers {
			s, err := w.SIPpServe(w.ctx, "udp", 1, a.status, a.reason)
			w.must(err)
			routes = append(routes, via(fmt.Sprintf("e%d.test", a.status), s.Port, "udp"))
		}
		w.runWith("[queue]\nexpire = \"1s\"\n", routes...) // too short to try again
		j := w.login(juliet)
		for _, a := range answers {
			to, id := fmt.Sprintf(`romeo\40e%d.test@%s`, a.status, w.component), fmt.Sprint("e", a.status)
			w.must(j.Message(id, to, "hello"))
			st := w.await(j, "the error", stage.WithID(id))
			if st.Type != "error" || st.From != to || st.Condition != a.condition || st.ErrorType != a.errorType {
				t.Errorf("want %s %s: %s", a.condition, a.errorType, st.Raw)
			}
			if want := fmt.Sprintf("%d %s", a.status, a.reason); !strings.Contains(st.ErrorText, want) {
				t.Errorf("the text %q does not say %q", st.ErrorText, want)
			}
			w.crossed(passage{stage.SIPpName(), roleSIPp, "udp", toSIP, resultError}, fmt.Sprint("answer ", a.status))
		}
	})
}

// ADDR-12, ADDR-20: what is no address is told, and the right one is named.
func TestBadAddresses(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, server string) {
		w := newWorld(t, server)
		w.run(via("*", 9, "udp"))
		j := w.login(juliet)
		for i, c := range []struct{ to, condition, text string }{
			{`romeo\40@` + w.component, "jid-malformed", ""},
			{`romeo\40sip.test@` + w.component, "item-not-found", "romeo@" + w.component},
		} {
			id := fmt.Sprint("bad", i)
			w.must(j.Message(id, c.to, "hello"))
			st := w.await(j, "the error", stage.WithID(id))
			if st.Condition != c.condition || !strings.Contains(st.ErrorText, c.text) {
				t.Errorf("%s: %s", c.to, st.Raw)
			}
		}
		w.crossed(passage{stage.XMPPClientName(), roleClient, transportStream, toStox, "refused, with the right address where there is one"}, "address that is none", "address in the wrong form")
	})
}

// A hundred messages each way, in order, none lost.
func TestHundredEachWay(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, server string) {
		const n = 100
		w, s := sippRoute(t, server, "tcp", n, 200, "OK")
		c := w.login(juliet)
		for i := range n {
			w.must(c.Message(fmt.Sprint("m", i), "romeo@"+w.component, fmt.Sprintf("number %d.", i)))
			if i%50 == 49 { // a queue to one address holds 64
				_, _, err := w.stox.WaitLine(w.ctx, 0, "msg=delivered", fmt.Sprintf("id=m%d", i))
				w.must(err)
			}
		}
		all, err := s.Requests(w.ctx)
		w.must(err)
		if len(all) != n {
			t.Fatalf("%d requests arrived, want %d", len(all), n)
		}
		for i, m := range all {
			if !strings.HasSuffix(strings.TrimRight(m, "\n"), fmt.Sprintf("\nnumber %d.", i)) {
				t.Fatalf("request %d is not number %d:\n%s", i, i, m)
			}
		}
		w.crossed(passage{stage.SIPpName(), roleSIPp, "tcp", toSIP, "arrived"}, "100 messages in order")

		w.sippSend(stage.SIPpSend{Transport: "udp", URI: w.user(juliet), From: "sip:romeo@sip.test", Body: "back [call_number].", Expect: handedOver, Times: n})
		w.await(c, "the last one", stage.WithBody(fmt.Sprintf("back %d.", n)))
		inOrder := 0
		for _, st := range c.Stanzas() {
			if st.Kind == "message" && st.Body == fmt.Sprintf("back %d.", inOrder+1) {
				inOrder++
			}
		}
		if inOrder != n {
			t.Errorf("%d of %d came back in order", inOrder, n)
		}
		if log := strings.Join(w.stox.Lines(), "\n"); strings.Contains(log, "number 7") || strings.Contains(log, "back 7") {
			t.Error("the text of a message is in the log (SEC-14)")
		}
		w.crossed(passage{stage.SIPpName(), roleSIPp, "udp", toXMPP, "arrived"}, "100 messages in order")
	})
}
