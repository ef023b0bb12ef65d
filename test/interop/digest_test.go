//go:build interop

package interop

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stoxgw/stox/test/stage"
)

// outside is an address of this machine that nobody is trusted for.
func outside(t *testing.T) string {
	t.Helper()
	a, err := stage.Outside()
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// listenAt lets stox listen at another address than loopback.
func (w *world) listenAt(host string) {
	w.stox.Env = append(w.stox.Env, fmt.Sprintf("STOX_SIP_LISTEN=udp://%[1]s,tcp://%[1]s", at(host, w.stox.SIP)))
}

// peerTable is a [[sip.peer]] that proves by digest who it is.
func peerTable(a stage.Account, domain string) string {
	return fmt.Sprintf("\n[[sip.peer]]\nname = %[1]q\nusername = %[1]q\npassword = %[2]q\ndomains = [%[3]q]\n", a.Local, a.Password, domain)
}

// roleOutside is a phone whose address says nothing about it.
const roleOutside = "phone, directly, from an address that stox does not know"

// RFC 7616, RFC 8760, SEC-05: who sends from an address that is no peer's says by digest who it
// is. Linphone does so with SHA-256, which stox offers first; baresip with MD5, once it is
// asked with that alone.
func TestPhonesProveThemselves(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(t *testing.T, transport string) {
		w, host := newWorld(t, anyServer), outside(t)
		w.listenAt(host)
		w.runWith(peerTable(linAccount, sipDomain) + peerTable(bobAccount, sipDomain) + peerTable(eveAccount, sipDomain))
		c := w.login(juliet)
		o := stage.PhoneOptions{User: "lin", Domain: sipDomain, Contact: w.user(juliet), Transport: transport, Proxy: at(host, w.stox.SIP), Host: host, Password: linAccount.Password}
		lin, err := w.LinphoneWith(w.ctx, o)
		w.must(err)
		o.User = "bob" // with the password of another
		bob, err := w.LinphoneWith(w.ctx, o)
		w.must(err)
		o.User, o.Password = eveAccount.Local, eveAccount.Password
		eve, err := w.BaresipWith(w.ctx, o)
		w.must(err)

		for i := range 3 {
			text := fmt.Sprintf("%d from lin: žluť, 日本, 🎈", i)
			w.must(lin.Message(text))
			if st := w.await(c, "the phone's message", stage.WithBody(text)); st.From != "lin@"+w.component {
				t.Errorf("from %s", st.From)
			}
		}
		w.delivered(lin)
		w.must(bob.Message("from nobody"))
		if accepted, _, err := bob.AwaitAnswer(w.ctx, 0); accepted || err != nil {
			t.Errorf("with a wrong password: accepted %t, %v", accepted, err)
		}
		// It gives up at a challenge with SHA-256, and after two of them is asked with MD5 alone.
		next := 0
		for range 2 {
			w.must(eve.Message("from nobody"))
			_, next, err = eve.WaitLine(w.ctx, next, "Function not implemented")
			w.must(err)
		}
		w.must(eve.Message("from eve: žluť"))
		if st := w.await(c, "the phone's message", stage.WithBody("from eve: žluť")); st.From != "eve@"+w.component {
			t.Errorf("from %s", st.From)
		}
		w.fence(c, "fence")
		for _, st := range c.Stanzas() {
			if st.Body == "from nobody" {
				t.Errorf("a stranger's message arrived: %s", st.Raw)
			}
		}

		wire, err := lin.Wire()
		w.must(err)
		var challenges, proofs []string // the algorithms of, in order
		for line := range strings.Lines(wire) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
			switch name {
			case "WWW-Authenticate":
				challenges = append(challenges, parameter(value, "algorithm"))
			case "Authorization":
				proofs = append(proofs, parameter(value, "algorithm"))
			}
		}
		if len(challenges) < 2 || !slices.Equal(challenges[:2], []string{"SHA-256", "MD5"}) {
			t.Errorf("Linphone was offered %q", challenges)
		}
		if len(proofs) < 3 || slices.ContainsFunc(proofs, func(a string) bool { return a != "SHA-256" }) {
			t.Errorf("Linphone has proved itself with %q", proofs)
		}
		w.crossed(passage{lin.Name, roleOutside, transport, toXMPP, "arrived"}, "text with a password (SHA-256)", "non-ASCII text with a password (SHA-256)")
		w.crossed(passage{lin.Name, roleOutside, transport, toXMPP, "not delivered, says the phone"}, "text with a wrong password")
		w.crossed(passage{eve.Name, roleOutside, transport, toXMPP, "arrived, from the third on: it reads no challenge beside one with SHA-256"}, "text with a password (MD5)")
		w.keepsSecrets(append(secretsIn(wire), linAccount.Password, bobAccount.Password, eveAccount.Password), 6, nil, c)
	})
}

// Two gateways: one proves to the other who it is, with SHA-256, over the next hop of its route.
func TestGatewayToGateway(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(t *testing.T, transport string) {
		one, two, host := newWorld(t, anyServer), newWorld(t, anyServer), outside(t)
		one.listenAt(host)
		two.listenAt(host)
		two.runWith(peerTable(stoxAccount, one.domain))
		good := stage.Route{Domain: two.domain, Via: fmt.Sprintf("sip:%s;transport=%s", at(host, two.stox.SIP), transport), Login: stoxAccount}
		bad := good
		bad.Domain, bad.Login.Password = "wrong.test", "another-secret"
		one.run(good, bad)
		from, to := one.login(juliet), two.login(romeo)
		for i := range 3 {
			text, id := fmt.Sprintf("%d: žluť, 日本, 🎈", i), fmt.Sprint("g", i)
			one.must(from.Message(id, `romeo\40`+two.domain+"@"+one.component, text))
			if st := one.await(to, "the message", stage.WithBody(text)); !strings.HasPrefix(st.From, `juliet\40`+one.domain+"@"+two.component+"/") {
				t.Errorf("from %s", st.From)
			}
			_, _, err := one.stox.WaitLine(one.ctx, 0, "msg=delivered", "id="+id)
			one.must(err)
		}
		one.must(from.Message("wrong", `romeo\40wrong.test@`+one.component, "with the wrong password"))
		if st := one.await(from, "the error", stage.WithID("wrong")); st.Type != "error" || st.Condition != "not-authorized" {
			t.Errorf("the error: %s", st.Raw)
		}
		if all := one.errors(from); len(all) != 1 {
			t.Errorf("errors: %v", all)
		}
		for _, w := range []*world{one, two} {
			w.keepsSecrets([]string{stoxAccount.Password, "another-secret"}, 2, nil, from, to)
		}
	})
}
