//go:build interop

package interop

import (
	"fmt"
	"testing"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/test/stage"
)

// at is an address of this machine.
func at(host string, port int) string { return fmt.Sprintf("%s:%d", host, port) }

const loopback = "127.0.0.1"

// Linphone without a registrar, both ways. It sends no delivery notifications then.
func TestLinphoneDirectly(t *testing.T) {
	t.Parallel()
	eachTransport(t, func(t *testing.T, transport string) {
		w := newWorld(t, anyServer)
		lin, err := w.LinphoneWith(w.ctx, stage.PhoneOptions{
			User: "lin", Domain: sipDomain, Contact: w.user(juliet), Transport: transport, Proxy: at(loopback, w.stox.SIP),
		})
		w.must(err)
		w.run(via(sipDomain, lin.Port, transport))
		c := w.login(juliet)
		w.bothWays(c, lin.Phone, "lin")
		w.delivered(lin)
		p := passage{lin.Name, "phone, directly", transport, toXMPP, "arrived"}
		w.crossed(p, "text", "non-ASCII text")
		p.direction, p.result = toSIP, "shown"
		w.crossed(p, "text", "non-ASCII text", inARow)
	})
}

// delivered fails unless the phone is told that its first message is.
func (w *world) delivered(lin *stage.Linphone) {
	w.t.Helper()
	accepted, _, err := lin.AwaitAnswer(w.ctx, 0)
	w.must(err)
	if !accepted {
		w.t.Errorf("%s was told that its message is not delivered", lin.Name)
	}
}

// Phones that speak TLS with stox and nobody between. baresip takes TLS connections, too; Linphone
// takes none, and stox sends to nobody over a connection that a phone has made (RFC 5923).
func TestPhonesOverTLS(t *testing.T) {
	t.Parallel()
	w := newWorld(t, anyServer)
	ca := siptest.NewCA(t, "Authority of the test")
	theirs := files(t, ca, ca.Issue(nil, sipDomain, loopback))
	w.listenTLS(files(t, ca, ca.Issue(nil, w.component, "localhost", loopback)))
	o := stage.PhoneOptions{User: "bob", Domain: sipDomain, Contact: w.user(juliet), Transport: "tls", Proxy: at(loopback, w.stox.SIP+1), TLS: &theirs}
	bob, err := w.BaresipWith(w.ctx, o)
	w.must(err)
	w.run(via(sipDomain, bob.Port+1, "tls"))
	o.User, o.Proxy = "lin", at("localhost", w.stox.SIP+1)
	lin, err := w.LinphoneWith(w.ctx, o)
	w.must(err)
	c := w.login(juliet)
	w.bothWays(c, bob, "bob")
	up := "hello from lin: žluť, 日本, 🎈"
	w.must(lin.Message(up))
	if st := w.await(c, "the phone's message", stage.WithBody(up)); st.From != "lin@"+w.component {
		t.Errorf("from %s", st.From)
	}
	w.delivered(lin)
	for _, phone := range []*stage.Phone{bob, lin.Phone} {
		w.crossed(passage{phone.Name, "phone, directly", "TLS", toXMPP, "arrived"}, "text", "non-ASCII text")
	}
	w.crossed(passage{bob.Name, "phone, directly", "TLS", toSIP, "shown"}, "text", "non-ASCII text", inARow)
}
