//go:build interop

package interop

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stoxgw/stox/test/stage"
)

func eachTransport(t *testing.T, f func(t *testing.T, transport string)) {
	for _, transport := range []string{"udp", "tcp"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			f(t, transport)
		})
	}
}

// sippRoute makes a world whose route for everything is a SIPp that answers n
// requests.
func sippRoute(t *testing.T, transport string, n, status int, reason string) (*world, *stage.SIPpServer) {
	t.Helper()
	w := newWorld(t, setup{offline: true})
	s, err := w.SIPpServe(w.ctx, transport, n, status, reason)
	w.must(err)
	w.must(w.stox.Configure(w.server.Component, []stage.Route{{Domain: "*", Via: fmt.Sprintf("sip:127.0.0.1:%d;transport=%s", s.Port, transport)}}, ""))
	w.must(w.server.Boot(w.ctx))
	w.must(w.stox.Run(w.ctx))
	_, err = w.stox.WaitLink(w.ctx, 0)
	w.must(err)
	return w, s
}

// IM-01 to IM-05, IM-09, CT-02, CT-10, SEC-20: text, subject, thread and language
// of a real client reach a SIP server as they were.
func TestMessageToSIP(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(t *testing.T, transport string) {
		w, s := sippRoute(t, transport, 1, 200, "OK")
		c := w.login(juliet)
		w.must(c.Send("<message to='romeo@" + component + "' id='m1' type='chat' xml:lang='cs'><subject>Dotaz\n k věci</subject>" +
			"<thread>29377446-0CBB-4296</thread><body>Pročež jsi ty, &lt;Romeo&gt; &amp; spol.?\nnový řádek</body></message>"))
		all, err := s.Requests(w.ctx)
		w.must(err)
		for _, want := range []string{
			"MESSAGE sip:romeo@sip.test SIP/2.0\n",
			"From: <sip:juliet@xmpp.test;gr=", "To: <sip:romeo@sip.test>\n", "Call-ID: 29377446-0CBB-4296\n",
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
	})
}

// ADDR-15, ADDR-18, IM-10 to IM-16, IM-56, ERR-04: from SIP to a real client, and
// the answers for whom nobody is there.
func TestMessageFromSIP(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(t *testing.T, transport string) {
		w := newWorld(t, setup{routes: []stage.Route{{Domain: "sip.test", Via: "sip:127.0.0.1:9"}, {Domain: "other.test", Via: "sip:127.0.0.1:9"}}})
		c := w.login(juliet)
		send := func(from, to, body string, expect int, headers ...string) {
			t.Helper()
			port, err := stage.Port()
			w.must(err)
			w.must(w.SIPpSend(w.ctx, stage.SIPpSend{Transport: transport, To: w.stox.SIP, Port: port, URI: to, From: from, Body: body, Headers: headers, Expect: expect}))
		}
		send("sip:romeo@sip.test", "sip:juliet@xmpp.test", "Neither, fair saint <&> žluť", handedOver, "Subject: Balcony", "Content-Language: en")
		st := w.await(c, "the message", stage.WithBody("Neither, fair saint <&> žluť"))
		if st.From != "romeo@"+component || st.Subject != "Balcony" || st.Lang != "en" || st.Thread == "" || st.ID == "" || st.Type != "" && st.Type != "normal" {
			t.Errorf("the stanza: %s", st.Raw)
		}
		send("sip:mercutio@other.test", "sip:juliet@xmpp.test", "from elsewhere", handedOver)
		if st := w.await(c, "the message", stage.WithBody("from elsewhere")); st.From != `mercutio\40other.test@`+component {
			t.Errorf("from %s", st.From)
		}
		send("sip:romeo@sip.test", "sip:nobody@xmpp.test", "hello", 480)      // ERR-04: the server bounced
		send("sip:romeo@sip.test", "sip:juliet@elsewhere.test", "hello", 404) // SEC-27
		send("sip:tybalt@xmpp.test", "sip:juliet@xmpp.test", "hello", 403)    // SEC-28
	})
}

// ERR-02, ERR-11: the answer of SIP reaches the sender, with the id of the message.
func TestErrorsFromSIP(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status               int
		reason               string
		condition, errorType string
	}{
		{404, "Not Found", "item-not-found", "cancel"},
		{486, "Busy Here", "recipient-unavailable", "wait"},
		{503, "Service Unavailable", "internal-server-error", "cancel"},
	} {
		t.Run(fmt.Sprint(c.status), func(t *testing.T) {
			t.Parallel()
			w, _ := sippRoute(t, "udp", 1, c.status, c.reason)
			j := w.login(juliet)
			w.must(j.Message("e1", "romeo@"+component, "hello"))
			st := w.await(j, "the error", stage.WithID("e1"))
			if st.Type != "error" || st.From != "romeo@"+component || st.Condition != c.condition || st.ErrorType != c.errorType {
				t.Errorf("want %s %s: %s", c.condition, c.errorType, st.Raw)
			}
			if want := fmt.Sprintf("%d %s", c.status, c.reason); !strings.Contains(st.ErrorText, want) {
				t.Errorf("the text %q does not say %q", st.ErrorText, want)
			}
		})
	}
}

// ADDR-12, ADDR-20: what is no address is told, and the right one is named.
func TestBadAddresses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{routes: []stage.Route{{Domain: "*", Via: "sip:127.0.0.1:9"}}})
	j := w.login(juliet)
	for i, c := range []struct{ to, condition, text string }{
		{`romeo\40@` + component, "jid-malformed", ""},
		{`romeo\40sip.test@` + component, "item-not-found", "romeo@" + component},
	} {
		id := fmt.Sprint("bad", i)
		w.must(j.Message(id, c.to, "hello"))
		st := w.await(j, "the error", stage.WithID(id))
		if st.Condition != c.condition || !strings.Contains(st.ErrorText, c.text) {
			t.Errorf("%s: %s", c.to, st.Raw)
		}
	}
}

// A hundred messages each way, in order, none lost.
func TestHundredEachWay(t *testing.T) {
	t.Parallel()
	const n = 100
	w, s := sippRoute(t, "tcp", n, 200, "OK")
	c := w.login(juliet)
	for i := range n {
		w.must(c.Message(fmt.Sprint("m", i), "romeo@"+component, fmt.Sprintf("number %d.", i)))
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
	port, err := stage.Port()
	w.must(err)
	w.must(w.SIPpSend(w.ctx, stage.SIPpSend{Transport: "udp", To: w.stox.SIP, Port: port, URI: "sip:juliet@xmpp.test", From: "sip:romeo@sip.test", Body: "back [call_number].", Expect: handedOver, Times: n}))
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
}

// A phone that people use, both ways.
func TestBaresip(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(t *testing.T, transport string) {
		w := newWorld(t, setup{offline: true})
		phone, err := w.Baresip(w.ctx, "bob", sipDomain, w.stox.SIP, transport, "sip:juliet@xmpp.test")
		w.must(err)
		w.must(w.stox.Configure(w.server.Component, []stage.Route{{Domain: sipDomain, Via: fmt.Sprintf("sip:127.0.0.1:%d;transport=%s", phone.Port, transport)}}, ""))
		w.must(w.server.Boot(w.ctx))
		w.must(w.stox.Run(w.ctx))
		_, err = w.stox.WaitLink(w.ctx, 0)
		w.must(err)
		c := w.login(juliet)
		w.must(phone.Message("hello from the phone: žluť"))
		if st := w.await(c, "the phone's message", stage.WithBody("hello from the phone: žluť")); st.From != "bob@"+component {
			t.Errorf("from %s", st.From)
		}
		w.must(c.Message("b1", "bob@"+component, "hello phone: žluť"))
		line, err := phone.Await(w.ctx, "hello phone: žluť")
		w.must(err)
		if !strings.Contains(line, "juliet@xmpp.test") {
			t.Errorf("the phone shows %q", line)
		}
	})
}

// GW-13, GW-15, GW-16: what the gateway says about itself, through a real server.
func TestServices(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	c := w.login(juliet)
	for i, q := range []struct{ to, payload, want string }{
		{component, "<query xmlns='http://jabber.org/protocol/disco#info'/>", "simple"},
		{component, "<query xmlns='http://jabber.org/protocol/disco#items'/>", "disco#items"},
		{component, "<query xmlns='jabber:iq:version'/>", "stox"},
		{component, "<ping xmlns='urn:xmpp:ping'/>", ""},
		{component, "<query xmlns='jabber:iq:unheard-of'/>", "service-unavailable"},
		{"romeo@" + component, "<query xmlns='jabber:iq:last'/>", "service-unavailable"},
	} {
		id := fmt.Sprint("q", i)
		w.must(c.Send(fmt.Sprintf("<iq type='get' to='%s' id='%s'>%s</iq>", q.to, id, q.payload)))
		if st := w.await(c, "an answer", stage.WithID(id)); !strings.Contains(st.Raw, q.want) || st.From != q.to {
			t.Errorf("%s to %s: %s", q.payload, q.to, st.Raw)
		}
	}
}
