//go:build interop

package interop

import (
	"fmt"
	"testing"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/test/stage"
)

// roleOutsideProxy is a proxy whose address says nothing about it.
const roleOutsideProxy = roleProxy + ", at an address that stox does not know"

// SEC-04, SEC-29, RFC 5922: a proxy whose address says nothing about it is known by the name in its
// certificate, and by nothing less than that.
func TestProxyKnownByCertificate(t *testing.T) {
	t.Parallel()
	w, host := newWorld(t, anyServer), outside(t)
	ca, other := siptest.NewCA(t, "Authority of the test"), siptest.NewCA(t, "Somebody else")
	ours, theirs := files(t, ca, ca.Issue(nil, w.component, host)), files(t, ca, ca.Issue(nil, proxyName))

	// stox listens at several ports, so that one proxy shows a certificate of its own at each.
	const theirDomain = "pbx.test"
	rows := []struct {
		to, what string
		shows    *stage.KamailioTLS // nil: the proxy's own
		none     bool               // shows no certificate
		status   int
	}{
		{to: "juliet", what: "text, with a certificate for the peer's name", status: handedOver},
		{to: "name", what: "text, with a certificate for another name", shows: certificate(t, ca, "elsewhere.test"), status: 403},
		{to: "wildcard", what: "text, with a certificate for a wildcard", shows: certificate(t, ca, "*.test"), status: 403},
		{to: "signed", what: "text, with a certificate of another authority", shows: certificate(t, other, proxyName), status: 403},
		{to: "none", what: "text, without a certificate", none: true, status: 403},
	}
	var listen, script string
	for i := range rows {
		r := &rows[i]
		port, err := stage.Port()
		w.must(err)
		listen += fmt.Sprintf(",tls://%s", at(host, port))
		script += fmt.Sprintf("\tif ($rU == \"%[1]s\") { $du = \"sip:%[2]s;transport=tls\"; $xavp(tls=>server_id) = \"%[1]s\"; }\n", r.to, at(host, port))
		section := fmt.Sprintf("[client:any]\nserver_id = %[1]s\nserver_name = %[1]s.test\nmethod = TLSv1.2+\nca_list = %[2]s\nverify_certificate = yes\n", r.to, theirs.CA)
		switch {
		case r.shows != nil:
			theirs.More += section + fmt.Sprintf("private_key = %s\ncertificate = %s\n", r.shows.Key, r.shows.Cert)
		case r.none:
			theirs.More += section
		}
	}
	k, err := w.Kamailio(w.ctx, stage.KamailioOptions{Domain: sipDomain, Host: host, Gateway: w.stox.SIP, Transport: "tls", TLS: &theirs, Script: script + "\tt_relay();\n\texit;\n"})
	w.must(err)
	w.stox.Env = append(w.stox.Env, "STOX_SIP_LISTEN=tcp://"+at(host, w.stox.SIP)+listen, "STOX_SIP_TLS_CERT="+ours.Cert, "STOX_SIP_TLS_KEY="+ours.Key, "STOX_SIP_TLS_CA="+ours.CA)
	w.runWith(fmt.Sprintf("[[sip.peer]]\nname = \"pbx\"\ntls_names = [%q]\ndomains = [%q]\n", proxyName, theirDomain))
	c := w.login(juliet)
	send := func(to, from, text string, status int) {
		t.Helper()
		m := stage.SIPpSend{Transport: "tcp", Host: host, To: k.Port, URI: "sip:" + to + "@" + w.domain, From: from, Body: text, Expect: status}
		m.Port, err = stage.Port()
		w.must(err)
		w.must(w.SIPpSend(w.ctx, m))
	}
	for _, r := range rows {
		send(r.to, "sip:romeo@"+theirDomain, r.what, r.status)
		if r.status == handedOver {
			if st := w.await(c, "the message", stage.WithBody(r.what)); st.From != `romeo\40`+theirDomain+"@"+w.component {
				t.Errorf("from %s", st.From)
			}
		}
		result := "arrived"
		if r.status != handedOver {
			result = "403"
		}
		w.crossed(passage{k.Name, roleOutsideProxy, "TLS", toXMPP, result}, r.what)
	}
	send("juliet", "sip:romeo@"+sipDomain, "for a domain that is not the peer's", 403)
	send("juliet", "sip:romeo@"+w.domain, "as an XMPP user", 403)
	w.crossed(passage{k.Name, roleOutsideProxy, "TLS", toXMPP, "403"}, "sender of a domain that is not the peer's", "sender who claims to be an XMPP user")
	if _, _, err := w.stox.WaitLine(w.ctx, 0, "they came from no peer", "remedy=", "a certificate for a name in sip.peer.tls_names"); err != nil {
		t.Error(err)
	}
	w.fence(c, "fence")
	for _, st := range c.Stanzas() {
		if st.Kind == "message" && st.Body != rows[0].what {
			t.Errorf("the user got %s", st.Raw)
		}
	}
}

// certificate is one for a name, in files.
func certificate(t *testing.T, ca *siptest.CA, name string) *stage.KamailioTLS {
	t.Helper()
	f := files(t, ca, ca.Issue(nil, name))
	return &f
}
