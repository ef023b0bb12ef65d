//go:build interop

package interop

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stoxgw/stox/internal/dnstest"
	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/test/stage"
)

var (
	bobAccount  = stage.Account{Local: "bob", Password: "bob-secret"}
	linAccount  = stage.Account{Local: "lin", Password: "lin-secret"}
	eveAccount  = stage.Account{Local: "eve", Password: "eve-secret"}
	stoxAccount = stage.Account{Local: "stox", Password: "gateway-secret"}
)

// roleRegistrar is a proxy that lets in nobody without a password and sends to stox where that has
// registered.
const roleRegistrar = roleProxy + ", asks stox for a password"

// SEC-05, RFC 3261 §10 and §22: stox is a user of a registrar and proxy like the phones there. It
// registers, it is asked for its password, and it gets what is for XMPP where it has registered.
func TestRegisteredAtProxy(t *testing.T) {
	t.Parallel()
	for _, transport := range []string{"udp", "tcp", "tls"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, anyServer)
			o := stage.KamailioOptions{
				Domain: sipDomain, Users: []stage.Account{bobAccount, linAccount, stoxAccount}, Strict: true, GatewayUser: stoxAccount.Local,
				// Who writes to romeo asks the proxy to vouch for him and says no name of his own (RFC 3325), or
				// asks it not to tell that either (RFC 3323).
				Script: `
	if (is_method("MESSAGE") && from_uri==myself && $rU == "romeo") {
		append_hf("P-Asserted-Identity: <sip:$fU@` + sipDomain + `>\r\n");
		uac_replace_from("sip:anonymous@` + sipDomain + `");
		if (search_body("nameless")) { append_hf("Privacy: id\r\n"); }
	}`,
			}
			host := loopback
			switch transport {
			case "tcp":
				o.SHA256 = true // of the phones only Linphone knows that
			case "tls":
				ca := siptest.NewCA(t, "Authority of the test")
				theirs := files(t, ca, ca.Issue(nil, proxyName, sipDomain, loopback, "localhost"))
				theirs.Anybody = true // phones have no certificate
				w.listenTLS(files(t, ca, ca.Issue(nil, w.component)))
				w.resolver(dnstest.Zone{proxyName: {"300 A 127.0.0.1"}})
				o.TLS, host, w.stox.JSON = &theirs, proxyName, true
			}
			k, err := w.Kamailio(w.ctx, o)
			w.must(err)
			r := &registered{world: w, proxy: k, transport: transport, algorithm: "MD5"}
			if o.SHA256 {
				r.algorithm = "SHA-256"
			}
			good := stage.Route{Domain: sipDomain, Via: fmt.Sprintf("sip:%s:%d;transport=%s", host, k.PortOf(transport), transport), Login: stoxAccount, Register: true}
			bad := good
			bad.Domain, bad.Login.Password, bad.Register = "wrong.test", "another-secret", false
			w.run(good, bad)
			r.do()
		})
	}
}

// registered is a world in which stox is a user of a proxy.
type registered struct {
	*world
	proxy     *stage.Kamailio
	transport string
	algorithm string // of passwords
	client    *stage.XMPPClient
	romeo     *stage.XMPPClient
	bob       *stage.Phone // nil if it does not know the algorithm
	lin       *stage.Linphone
	proofs    []string // of what the proxy was told before it was started anew
}

// do takes the steps, in order.
func (r *registered) do() {
	r.client = r.login(juliet)
	r.contact()
	var err error
	if r.algorithm == "MD5" {
		r.bob, err = r.BaresipAt(r.ctx, r.proxy, "bob", r.transport, r.user(juliet))
		r.must(err)
	}
	r.lin, err = r.LinphoneAt(r.ctx, r.proxy, "lin", r.transport, r.user(juliet))
	r.must(err)
	r.texts()
	r.asserted()
	r.wrongPassword()
	if r.transport != "udp" { // over UDP nothing tells of it until the next refresh
		r.restarted()
	}
	r.secrets()
	r.stopped()
}

func (r *registered) proxyCrossed(direction, result string, what ...string) {
	r.crossed(passage{r.proxy.Name, roleRegistrar, r.transport, direction, result}, what...)
}

// contact: the registration is for where stox listens.
func (r *registered) contact() {
	contact, _, _, err := r.proxy.AwaitRegistered(r.ctx, 0, stoxAccount.Local)
	r.must(err)
	want := at(loopback, r.stox.SIP)
	switch r.transport {
	case "tcp":
		want += ";transport=tcp"
	case "tls":
		want = at(loopback, r.stox.SIP+1) + ";transport=tls"
	}
	if !strings.Contains(contact, "@"+want) {
		r.t.Errorf("stox is registered at %s, want %s", contact, want)
	}
	r.proxyCrossed(both, "stox is registered", "REGISTER with a password ("+r.algorithm+")")
}

// texts: a nonce is good for more than one request, each with a count that is one higher, so that not
// every message goes twice.
func (r *registered) texts() {
	r.bothWays(r.client, r.lin.Phone, "lin")
	r.relayed(r.proxy, textsEach)
	first := len(r.proxy.Challenges("MESSAGE", r.domain))
	if first > 1 {
		r.t.Errorf("%d messages to one phone were challenged", first)
	}
	phones := []*stage.Phone{r.lin.Phone}
	if r.bob != nil {
		r.bothWays(r.client, r.bob, "bob")
		phones = append(phones, r.bob)
	}
	r.relayed(r.proxy, textsEach*len(phones))
	r.delivered(r.lin)
	if n := len(r.proxy.Challenges("MESSAGE", r.domain)); n != first {
		r.t.Errorf("%d messages were challenged after the first one", n-first)
	}
	counts := map[string]bool{}
	for _, proof := range r.proxy.Proofs() {
		if !strings.Contains(proof, `username="`+stoxAccount.Local+`"`) {
			continue
		}
		if a := parameter(proof, "algorithm"); a != r.algorithm && (a != "" || r.algorithm != "MD5") { // RFC 7616 §3.3
			r.t.Errorf("stox proved who it is with %q", a)
		}
		use := parameter(proof, "nonce") + " " + parameter(proof, "nc")
		if counts[use] {
			r.t.Errorf("a nonce was used twice with the count %s", parameter(proof, "nc"))
		}
		counts[use] = true
	}
	if want := 1 + (textsEach-1)*len(phones); len(counts) < want { // a REGISTER, and all texts but those of the phones
		r.t.Errorf("stox proved who it is %d times, want %d", len(counts), want)
	}
	for _, m := range r.proxy.Relayed() {
		if m.Transport != r.transport {
			r.t.Errorf("%s got a MESSAGE over %s", r.proxy.Name, m.Transport)
		}
	}
	for _, phone := range phones {
		p := passage{phone.Name, "phone at " + r.proxy.Name + " that asks stox for a password", r.transport, toXMPP, "arrived"}
		r.crossed(p, "text", "non-ASCII text")
		p.direction, p.result = toSIP, "shown"
		r.crossed(p, "text", "non-ASCII text", inARow)
	}
	r.proxyCrossed(toSIP, "asked once, then the nonce serves on", "password for messages (407, "+r.algorithm+")")
	r.proxyCrossed(toXMPP, "they come to where stox has registered", "text", "non-ASCII text")
}

// parameter is that of credentials, without quotes.
func parameter(credentials, name string) string {
	for _, p := range strings.Split(credentials, ",") {
		k, v, _ := strings.Cut(strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(p), "Digest ")), "=")
		if k == name {
			return strings.Trim(v, `"`)
		}
	}
	return ""
}

// asserted: whom the proxy vouches for is the sender, whatever From says (RFC 3325), unless the
// sender does not want to be known.
func (r *registered) asserted() {
	r.romeo = r.login(romeo)
	for _, row := range []struct{ text, from, what, result string }{
		{"vouched for", "lin", "sender in P-Asserted-Identity, From is anonymous", "the sender is the asserted one"},
		{"nameless", "anonymous", "sender in P-Asserted-Identity, with Privacy: id", "the sender is that of From"},
	} {
		r.must(r.lin.MessageTo(r.user(romeo), row.text))
		if st := r.await(r.romeo, "the message", stage.WithBody(row.text)); st.From != row.from+"@"+r.component {
			r.t.Errorf("%s: from %s", row.what, st.From)
		}
		r.proxyCrossed(toXMPP, row.result, row.what)
	}
}

// wrongPassword: the sender gets one error, and the log says what to do. The login of another route
// to the same server is of no use there.
func (r *registered) wrongPassword() {
	r.must(r.client.Message("wrong", `lin\40wrong.test@`+r.component, "with the wrong password"))
	st := r.await(r.client, "the error", stage.WithID("wrong"))
	if st.Type != "error" || st.Condition != "registration-required" && st.Condition != "not-authorized" {
		r.t.Errorf("the error: %s", st.Raw)
	}
	if _, _, err := r.stox.WaitLine(r.ctx, 0, "level=WARN", "sip.route.username", "password"); err != nil {
		r.t.Error(err)
	}
	if all := r.errors(r.client); len(all) != 1 {
		r.t.Errorf("errors: %v", all)
	}
	if n := len(r.proxy.Challenges("MESSAGE", r.domain)); n > 2 {
		r.t.Errorf("%d messages were challenged", n)
	}
	r.proxyCrossed(toSIP, resultError+", the log says what to do", "wrong password")
}

// restarted: a proxy that has forgotten the registration and every nonce.
func (r *registered) restarted() {
	r.proofs = r.proxy.Proofs()
	_, err := r.proxy.Stop(r.ctx)
	r.must(err)
	r.must(r.proxy.Boot(r.ctx))
	_, _, _, err = r.proxy.AwaitRegistered(r.ctx, 0, stoxAccount.Local)
	r.must(err)
	r.must(r.client.Message("after", "nobody@"+r.component, "after the restart"))
	if st := r.await(r.client, "the answer", stage.WithID("after")); st.Condition != "item-not-found" { // 404: it was let in
		r.t.Errorf("the error: %s", st.Raw)
	}
	r.proxyCrossed(both, "stox registers again by itself, and is let in", "restart of the proxy")
}

func (r *registered) secrets() {
	proofs := strings.Join(append(r.proofs, r.proxy.Proofs()...), "\n")
	secrets := append(secretsIn(proofs), stoxAccount.Password, "another-secret")
	r.keepsSecrets(secrets, 15, []string{"to-lin", "wrong"}, r.client, r.romeo)
}

// stopped: the registration is taken back.
func (r *registered) stopped() {
	from := len(r.proxy.Lines())
	status, err := r.stox.Stop(r.ctx)
	r.must(err)
	if status != 0 {
		r.t.Errorf("SIGTERM ended stox with status %d", status)
	}
	contact, expires, _, err := r.proxy.AwaitRegistered(r.ctx, from, stoxAccount.Local)
	r.must(err)
	if expires != "0" && !strings.Contains(contact, "expires=0") {
		r.t.Errorf("the last REGISTER has Contact %s and Expires %s", contact, expires)
	}
	r.proxyCrossed(both, "the registration is taken back", "stop of stox")
}
