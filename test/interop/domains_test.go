//go:build interop

package interop

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stoxgw/stox/test/stage"
)

// ADDR-14, ADDR-20: a further component name at the same server, each with its
// link: the users of its SIP domain are written to, answer and fail under it.
func TestFurtherDomain(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, server string) {
		const further, sip = "lab.xmpp.test", "lab.test"
		w, err := prepare(t.Context(), server, t.TempDir(), "xmpp.test", sipDomain)
		if err != nil {
			t.Fatal(err)
		}
		w.enter(t)
		conf, err := os.ReadFile(w.stox.Config)
		w.must(err)
		secret := regexp.MustCompile(`(?m)^secret = "(.+)"$`).FindSubmatch(conf)
		if secret == nil {
			t.Fatalf("no secret in\n%s", conf)
		}
		snippet := strings.NewReplacer(w.component, further, string(secret[1]), "a-secret-of-its-own").Replace(w.stox.Snippet)
		w.server, err = w.NewServer(w.ctx, server, stage.ServerOptions{Domain: w.domain, Snippet: w.stox.Snippet, Users: []stage.Account{juliet},
			More: []stage.Host{{Domain: "more.test", Snippet: snippet}}})
		w.must(err)
		w.must(w.server.Boot(w.ctx))
		phone, err := w.SIPpServe(w.ctx, "udp", 1, 200, "OK")
		w.must(err)
		w.must(w.stox.Configure(w.server.Component, []stage.Route{via(sip, phone.Port, "udp"), via("*", 9, "udp")},
			"[[domain]]\nxmpp = \""+further+"\"\nsip = \""+sip+"\"\nsecret = \"a-secret-of-its-own\"\n"))
		w.must(w.stox.Run(w.ctx))
		for _, name := range []string{w.component, further} {
			_, _, err := w.stox.WaitLine(w.ctx, 0, "connected to the XMPP server", "component="+name)
			w.must(err)
		}
		c := w.login(juliet)
		w.must(c.Message("there", "romeo@"+further, "hello"))
		all, err := phone.Requests(w.ctx)
		w.must(err)
		if !strings.HasPrefix(all[0], "MESSAGE sip:romeo@"+sip+" SIP/2.0\n") {
			t.Errorf("the request:\n%s", all[0])
		}
		for from, want := range map[string]string{"sip:romeo@" + sip: "romeo@" + further, "sip:romeo@" + sipDomain: "romeo@" + w.component} {
			w.sippSend(stage.SIPpSend{Transport: "udp", URI: w.user(juliet), From: from, Body: "from " + from, Expect: handedOver})
			if st := w.await(c, "the message", stage.WithBody("from "+from)); st.From != want {
				t.Errorf("%s came as %s, want %s", from, st.From, want)
			}
			w.sippSend(stage.SIPpSend{Transport: "udp", URI: "sip:nobody@" + w.domain, From: from, Body: "hello", Expect: 480})
		}
		w.must(c.Message("wrong", `romeo\40`+sip+"@"+w.component, "hello"))
		st := w.await(c, "the error", stage.WithID("wrong"))
		if st.Type != "error" || st.Condition != "item-not-found" || !strings.Contains(st.ErrorText, "romeo@"+further) {
			t.Errorf("the long form of a mapped domain: %s", st.Raw)
		}
	})
}
