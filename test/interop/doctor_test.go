//go:build interop

package interop

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stoxgw/stox/test/stage"
)

// The doctor finds nothing wrong with a gateway between real servers, without a daemon
// and beside one, whose link it leaves alone; and it finds a wrong secret (SEC-14).
func TestDoctor(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, server string) {
		w := newWorld(t, server)
		k, err := w.Kamailio(w.ctx, stage.KamailioOptions{Domain: sipDomain, Gateway: w.stox.SIP, Transport: "udp"})
		w.must(err)
		at := fmt.Sprintf("sip:127.0.0.1:%d;transport=", k.Port)
		w.must(w.stox.Configure(w.server.Component, []stage.Route{{Domain: sipDomain, Via: at + "udp"}, {Domain: "*", Via: at + "tcp"}}, ""))
		name, _, _ := strings.Cut(w.server.Name, " ")

		out := w.doctor(0)
		for _, want := range []string{
			"ok    daemon  no daemon answers at ",
			fmt.Sprintf("ok    xmpp    127.0.0.1:%d accepts us as %s (", w.server.Component, w.component),
			"ok    xmpp    barriers of " + w.component + " come home in ",
			"ok    xmpp    " + w.domain + ", of xmpp.user_domains, answers (" + name,
			fmt.Sprintf("ok    listen  udp://127.0.0.1:%d is free", w.stox.SIP),
			fmt.Sprintf("ok    route   udp 127.0.0.1:%d answers OPTIONS with 200 ", k.Port),
			fmt.Sprintf("ok    route   tcp 127.0.0.1:%d answers OPTIONS with 200 ", k.Port),
			"ok    clock   the clock agrees with that of ",
		} {
			if !strings.Contains(out, want) {
				t.Errorf("no %q in\n%s", want, out)
			}
		}
		if strings.Contains(out, "fail") {
			t.Errorf("%s", out)
		}

		w.must(w.stox.Run(w.ctx))
		next, err := w.stox.WaitLink(w.ctx, 0)
		w.must(err)
		out = w.doctor(0)
		for _, want := range []string{
			"ok    daemon  a daemon answers at ",
			fmt.Sprintf("ok    daemon  its link as %s to 127.0.0.1:%d is up since ", w.component, w.server.Component),
			fmt.Sprintf("skip  xmpp    127.0.0.1:%d takes connections (", w.server.Component),
			fmt.Sprintf("ok    listen  udp://127.0.0.1:%d is the daemon's", w.stox.SIP),
			fmt.Sprintf("ok    listen  tcp://127.0.0.1:%d is the daemon's", w.stox.SIP),
		} {
			if !strings.Contains(out, want) {
				t.Errorf("no %q in\n%s", want, out)
			}
		}
		c := w.login(juliet)
		w.sippSend(stage.SIPpSend{Transport: "udp", URI: w.user(juliet), From: "sip:romeo@" + sipDomain, Body: "still there", Expect: handedOver})
		w.await(c, "a message after the visit", stage.WithBody("still there"))
		if later := strings.Join(w.stox.Lines()[next:], "\n"); strings.Contains(later, "level=WARN") || strings.Contains(later, "level=ERROR") {
			t.Errorf("the daemon has noticed the doctor:\n%s", later)
		}
		status, err := w.stox.Stop(w.ctx)
		w.must(err)
		if status != 0 {
			t.Errorf("SIGTERM ended stox with status %d", status)
		}

		b, err := os.ReadFile(w.stox.Config)
		w.must(err)
		w.must(os.WriteFile(w.stox.Config, []byte(strings.Replace(string(b), `secret = "`, `secret = "WRONG`, 1)), 0o600))
		out = w.doctor(1)
		for _, want := range []string{"does not accept our secret for " + w.component, "           -> make xmpp.secret equal to component_secret (Prosody) or password (ejabberd)", "stox: 1 check failed"} {
			if !strings.Contains(out, want) {
				t.Errorf("no %q in\n%s", want, out)
			}
		}
		if strings.Contains(out, "WRONG") {
			t.Errorf("the secret is in\n%s", out)
		}
	})
}

// doctor runs the doctor, which has to end with a status.
func (w *world) doctor(want int) string {
	w.t.Helper()
	out, status, err := w.stox.Doctor(w.ctx)
	w.must(err)
	if status != want {
		w.t.Errorf("status %d, want %d:\n%s", status, want, out)
	}
	return out
}
