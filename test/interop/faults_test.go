//go:build interop

package interop

import (
	"os"
	"strings"
	"testing"

	"github.com/stoxgw/stox/test/stage"
)

// GW-06: stox before its server, and a server that goes and comes back.
func TestServerComesAndGoes(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, server string) {
		w := newPrivateWorld(t, server)
		w.must(w.stox.Configure(w.server.Component, nil, ""))
		w.must(w.stox.Run(w.ctx))
		line, at, err := w.stox.WaitLine(w.ctx, 0, "refused")
		w.must(err)
		if !strings.Contains(line, "is it running") {
			t.Errorf("no remedy in %q", line)
		}
		w.must(w.server.Boot(w.ctx))
		at, err = w.stox.WaitLink(w.ctx, at)
		w.must(err)

		if _, err := w.server.Stop(w.ctx); err != nil {
			t.Fatal(err)
		}
		w.must(w.server.Boot(w.ctx))
		_, err = w.stox.WaitLink(w.ctx, at)
		w.must(err)
		c := w.login(juliet)
		w.sippSend(stage.SIPpSend{Transport: "udp", URI: w.user(juliet), From: "sip:romeo@sip.test", Body: "still here", Expect: handedOver})
		w.await(c, "a message after the restart", stage.WithBody("still here"))

		status, err := w.stox.Stop(w.ctx)
		w.must(err)
		if status != 0 {
			t.Errorf("SIGTERM ended stox with status %d", status)
		}
		w.crossed(passage{w.server.Name, roleServer, transportStream, both, "stox attaches by itself"}, "server that starts after stox", "restart of the server")
	})
}

// SEC-14: a wrong secret is told, with the remedy and without the secret.
func TestWrongSecret(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, server string) {
		w := newWorld(t, server)
		w.must(w.stox.Configure(w.server.Component, nil, ""))
		b, err := os.ReadFile(w.stox.Config)
		w.must(err)
		text := strings.Replace(string(b), `secret = "`, `secret = "WRONG`, 1)
		w.must(os.WriteFile(w.stox.Config, []byte(text), 0o600))
		w.must(w.stox.Run(w.ctx))
		line, _, err := w.stox.WaitLine(w.ctx, 0, "xmpp.secret")
		w.must(err)
		if strings.Contains(strings.Join(w.stox.Lines(), "\n"), "WRONG") {
			t.Errorf("the secret is in the log: %s", line)
		}
		w.crossed(passage{w.server.Name, roleServer, transportStream, toStox, "the log names the remedy"}, "wrong secret")
	})
}

// Without a link SIP is told at once that nothing was written (EL-008, EL-015).
func TestNoServer(t *testing.T) {
	t.Parallel()
	w := newPrivateWorld(t, "prosody") // which is not started
	w.must(w.stox.Configure(w.server.Component, nil, ""))
	w.must(w.stox.Run(w.ctx))
	w.sippSend(stage.SIPpSend{Transport: "udp", URI: w.user(juliet), From: "sip:romeo@sip.test", Body: "hello", Expect: 503})
}
