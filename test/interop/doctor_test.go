//go:build interop

package interop

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stoxgw/stox/internal/dnstest"
	"github.com/stoxgw/stox/internal/siptest"
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

// The doctor finds nothing to say against proxies that are found by DNS, one of them over TLS,
// and every transport that can be listened on.
func TestDoctorOfProxies(t *testing.T) {
	t.Parallel()
	w := newWorld(t, anyServer)
	ca := siptest.NewCA(t, "Authority of the test")
	theirs := files(t, ca, ca.Issue(nil, proxyName))
	secure, err := w.Kamailio(w.ctx, stage.KamailioOptions{Domain: proxyName, Gateway: w.stox.SIP + 1, Transport: "tls", TLS: &theirs})
	w.must(err)
	first, err := w.Kamailio(w.ctx, stage.KamailioOptions{Domain: sipDomain, Gateway: w.stox.SIP, Transport: "udp"})
	w.must(err)
	second, err := w.Kamailio(w.ctx, stage.KamailioOptions{Domain: sipDomain, Gateway: w.stox.SIP, Transport: "udp", UDPOnly: true})
	w.must(err)
	w.listenTLS(files(t, ca, ca.Issue(nil, "localhost")))
	ws, err := stage.Port()
	w.must(err)
	w.stox.Env = append(w.stox.Env, "STOX_SIP_ADVERTISE=localhost",
		fmt.Sprintf("STOX_SIP_LISTEN=udp://127.0.0.1:%[1]d,tcp://127.0.0.1:%[1]d,tls://127.0.0.1:%[2]d,ws://127.0.0.1:%[3]d,wss://127.0.0.1:%[4]d", w.stox.SIP, w.stox.SIP+1, ws, ws+1))
	w.resolver(dnstest.Zone{
		proxyName: {"300 A 127.0.0.1"}, "k1.test": {"300 A 127.0.0.1"}, "k2.test": {"300 A 127.0.0.1"},
		sipDomain:                {`300 NAPTR 10 10 "s" "SIP+D2U" "" _sip._udp.` + sipDomain + "."},
		"_sip._udp." + sipDomain: {fmt.Sprintf("300 SRV 10 0 %d k1.test.", first.Port), fmt.Sprintf("300 SRV 20 0 %d k2.test.", second.Port)},
	})
	w.must(w.stox.Configure(w.server.Component, []stage.Route{
		{Domain: "secure.test", Via: fmt.Sprintf("sip:%s:%d;transport=tls", proxyName, secure.Port+1)},
		{Domain: "*", Via: "sip:" + sipDomain},
	}, ""))
	for _, state := range []string{"is free", "is the daemon's"} {
		if state != "is free" {
			w.must(w.stox.Run(w.ctx))
			_, err := w.stox.WaitLink(w.ctx, 0)
			w.must(err)
		}
		out := w.doctor(0)
		for _, want := range []string{
			fmt.Sprintf("ok    listen  tls://127.0.0.1:%d %s", w.stox.SIP+1, state),
			fmt.Sprintf("ok    listen  ws://127.0.0.1:%d %s", ws, state),
			fmt.Sprintf("ok    listen  wss://127.0.0.1:%d %s", ws+1, state),
			fmt.Sprintf("ok    route   tls 127.0.0.1:%d answers OPTIONS with 200 ", secure.Port+1),
			fmt.Sprintf("ok    route   udp 127.0.0.1:%d answers OPTIONS with 200 ", first.Port),
			fmt.Sprintf("ok    route   udp 127.0.0.1:%d answers OPTIONS with 200 ", second.Port),
		} {
			if !strings.Contains(out, want) {
				t.Errorf("no %q in\n%s", want, out)
			}
		}
		for line := range strings.Lines(out) {
			slow := strings.Contains(line, "to keep what is written") // the disk of a busy machine is
			if strings.HasPrefix(line, "fail") || strings.HasPrefix(line, "warn") && !slow {
				t.Errorf("%s\n%s", line, out)
			}
		}
	}
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
