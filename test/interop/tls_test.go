//go:build interop

package interop

import (
	"crypto/x509"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stoxgw/stox/internal/dnstest"
	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/test/stage"
)

// proxyName is the host of a route by name, which is what a proxy's certificate is for.
const proxyName = "proxy.test"

// files puts a certificate of an authority where a program can read it.
func files(t *testing.T, ca *siptest.CA, c siptest.Cert) stage.KamailioTLS {
	t.Helper()
	return stage.KamailioTLS{
		Cert: siptest.WriteFile(t, "cert.pem", c.PEM),
		Key:  siptest.WriteFile(t, "key.pem", c.KeyPEM),
		CA:   siptest.WriteFile(t, "ca.pem", ca.PEM),
	}
}

// listenTLS lets stox listen with TLS, too, on the port above the others.
func (w *world) listenTLS(f stage.KamailioTLS) {
	w.stox.Env = append(w.stox.Env,
		fmt.Sprintf("STOX_SIP_LISTEN=udp://127.0.0.1:%[1]d,tcp://127.0.0.1:%[1]d,tls://127.0.0.1:%[2]d", w.stox.SIP, w.stox.SIP+1),
		"STOX_SIP_TLS_CERT="+f.Cert, "STOX_SIP_TLS_KEY="+f.Key, "STOX_SIP_TLS_CA="+f.CA)
}

// resolver is a name server of the test's own, which stox asks.
func (w *world) resolver(zone dnstest.Zone) *dnstest.Server {
	w.t.Helper()
	s := dnstest.Listen(w.t, zone)
	w.stox.Env = append(w.stox.Env, "STOX_SIP_RESOLVER="+s.Addr.String())
	return s
}

// SIP-02, SEC-03, SEC-25, RFC 5922: a phone behind a proxy, and TLS between the proxy and stox in both
// directions, each of which has to show a certificate.
func TestTLSToProxy(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, server string) {
		w := newWorld(t, server)
		ca := siptest.NewCA(t, "Authority of the test")
		ours, theirs := files(t, ca, ca.Issue(nil, w.component)), files(t, ca, ca.Issue(nil, proxyName, sipDomain))
		k, err := w.Kamailio(w.ctx, stage.KamailioOptions{
			Domain: sipDomain, Users: []stage.Account{{Local: "bob", Password: "bob-secret"}},
			Gateway: w.stox.SIP + 1, Transport: "tls", TLS: &theirs,
		})
		w.must(err)
		w.listenTLS(ours)
		w.resolver(dnstest.Zone{proxyName: {"300 A 127.0.0.1"}})
		w.run(stage.Route{Domain: sipDomain, Via: fmt.Sprintf("sip:%s:%d;transport=tls", proxyName, k.Port+1)})
		c := w.login(juliet)
		bob, err := w.BaresipAt(w.ctx, k, "bob", "tcp", w.user(juliet))
		w.must(err)
		w.bothWays(c, bob, "bob")
		w.relayed(k, textsEach)
		over := map[string]int{}
		for _, m := range k.Relayed() {
			over[m.Transport]++
		}
		if over["tls"] != 4 || over["tcp"] != 1 { // three and one from stox, one from the phone
			t.Errorf("%s got its MESSAGEs over %v", k.Name, over)
		}
		p := passage{k.Name, roleProxy, "TLS", toSIP, "passed on"}
		w.crossed(p, "text", "non-ASCII text", inARow)
		p.direction = toXMPP
		w.crossed(p, "text", "non-ASCII text")
	})
}

// EL-004, RFC 5922 §7.3: a proxy that does not prove who it is gets nothing, and the sender and the
// operator learn why.
func TestTLSRefused(t *testing.T) {
	t.Parallel()
	ca, other := siptest.NewCA(t, "Authority of the test"), siptest.NewCA(t, "Somebody else")
	old := func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().Add(-48*time.Hour), time.Now().Add(-24*time.Hour)
	}
	const noSecure = "There is no secure connection to the SIP server of this address at the moment."
	w := newWorld(t, "prosody")
	w.listenTLS(files(t, ca, ca.Issue(nil, w.component)))
	zone := dnstest.Zone{} // known before the server is
	rows := []struct {
		local, what     string
		cert            siptest.Cert
		condition, text string
		log             string
	}{
		{"name", "certificate for another name", ca.Issue(nil, "elsewhere.test", "*.test"), "remote-server-not-found",
			"The SIP server of this address does not prove that it is the right one.", "and shows one for"},
		{"expired", "certificate that has expired", ca.Issue(old, "expired.test"), "remote-server-timeout", noSecure, "has it been renewed there"},
		{"signed", "certificate of another authority", other.Issue(nil, "signed.test"), "remote-server-timeout", noSecure, "put the authority"},
	}
	var routes []stage.Route
	var proxies []*stage.Kamailio
	for _, r := range rows {
		domain := r.local + ".test"
		zone[domain] = []string{"300 A 127.0.0.1"}
		theirs := files(t, ca, r.cert)
		k, err := w.Kamailio(w.ctx, stage.KamailioOptions{Domain: domain, Gateway: w.stox.SIP, Transport: "udp", TLS: &theirs})
		w.must(err)
		proxies = append(proxies, k)
		routes = append(routes, stage.Route{Domain: domain, Via: fmt.Sprintf("sip:%s:%d;transport=tls", domain, k.Port+1)})
	}
	w.resolver(zone)
	w.runWith("[queue]\nexpire = \"1s\"\n", routes...) // too short to try again
	c := w.login(juliet)
	for i, r := range rows {
		w.must(c.Message(r.local, `romeo\40`+r.local+`.test@`+w.component, "not for everybody"))
		st := w.await(c, "the error", stage.WithID(r.local))
		if st.Type != "error" || st.Condition != r.condition || !strings.Contains(st.ErrorText, r.text) {
			t.Errorf("%s: want %s %q: %s", r.what, r.condition, r.text, st.Raw)
		}
		if _, _, err := w.stox.WaitLine(w.ctx, 0, "id="+r.local, "remedy=", r.log); err != nil {
			t.Errorf("%s: %v", r.what, err)
		}
		if n := len(proxies[i].Relayed()); n != 0 {
			t.Errorf("%s: the proxy got %d messages", r.what, n)
		}
		w.crossed(passage{proxies[i].Name, roleProxy, "TLS", toSIP, "not sent; the sender gets an error that says why"}, r.what)
	}
}
