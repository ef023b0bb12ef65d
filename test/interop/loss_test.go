//go:build interop

package interop

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/test/stage"
)

// What crosses a bad line.
const (
	badLine      = "200 messages over a line that loses, delays, reorders and doubles datagrams"
	badLinePhone = "50 messages over a line that loses, delays, reorders and doubles datagrams"
)

// RFC 3261 §17: over a bad line between stox and a proxy, in both directions, nothing is
// lost, nothing is shown twice, and nobody is told an error.
func TestBadLineToProxy(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, server string) {
		const contacts, each = 20, 10
		const n = contacts * each
		w := newWorld(t, server)
		phones := contact(t, 200, "OK")
		line := newRelay(t, w.stox.SIP, 0, 6)
		k, err := w.Kamailio(w.ctx, stage.KamailioOptions{
			Domain: sipDomain, Gateway: line.right.port(), Transport: "udp",
			// It gives up after 30 s, as RFC 3261 has it, and answers are to come back over the line.
			Script: fmt.Sprintf(`
	if (uri==myself) { $du = "sip:%s"; t_relay(); exit; }
	add_local_rport();
	t_set_fr(0, 30000);
	$du = "@GATEWAY@";
	t_relay();
	exit;`, phones.Addr())})
		w.must(err)
		line.other(k.Port)
		w.run(via(sipDomain, line.left.port(), "udp"))
		c := w.login(juliet)
		text := func(direction string, i int) string { return fmt.Sprintf("%s %d.", direction, i) }
		id := func(i int) string { return fmt.Sprintf("m%d.", i) }
		for i := range n {
			w.must(c.Message(id(i), fmt.Sprintf("c%d@%s", i%contacts, w.component), text("to SIP", i)))
		}
		// At most as many at once as Kamailio's socket surely holds: that line is a good one.
		proxy := netip.AddrPortFrom(phones.Addr().Addr(), uint16(k.Port))
		for i := 0; i < n; i += contacts {
			for j := i; j < i+contacts; j++ {
				phones.Send(proxy, siptest.Text(text("to XMPP", j), "MESSAGE "+w.user(juliet)+" SIP/2.0",
					fmt.Sprintf("Via: SIP/2.0/UDP %s;branch=z9hG4bKline%d", phones.Addr(), j), "Max-Forwards: 70",
					fmt.Sprintf("From: <sip:c%d@%s>;tag=line", j%contacts, sipDomain), "To: <"+w.user(juliet)+">", fmt.Sprintf("Call-ID: line%d", j),
					"CSeq: 1 MESSAGE", "Content-Type: text/plain"))
			}
			for j := i; j < i+contacts; j++ {
				if m := phones.Final(fmt.Sprintf("z9hG4bKline%d", j)); m.Status() != handedOver {
					t.Errorf("message %d is answered %s", j, m.First)
				}
			}
		}
		for i := range n {
			_, _, err := w.stox.WaitLine(w.ctx, 0, "msg=delivered", "id="+id(i)+" ")
			w.must(err)
		}
		w.fence(c, "fence")

		shown, arrived := map[string]int{}, map[string]int{}
		for _, st := range c.Stanzas() {
			if st.Kind == "message" {
				shown[st.Type+st.Body]++
			}
		}
		for _, body := range got(phones) {
			arrived[body]++
		}
		for i := range n {
			if got := shown[text("to XMPP", i)]; got != 1 {
				t.Errorf("%q was shown %d times", text("to XMPP", i), got)
			}
			if got := arrived[text("to SIP", i)]; got != 1 {
				t.Errorf("%q arrived %d times", text("to SIP", i), got)
			}
		}
		if len(shown) != n || len(arrived) != n {
			t.Errorf("%d different texts were shown and %d arrived, want %d", len(shown), len(arrived), n)
		}
		if log := strings.Join(w.stox.Lines(), "\n"); strings.Contains(log, "uncertain") {
			t.Errorf("something was uncertain:\n%s", w.stox.Tail(40))
		}
		line.wasBad(t)
		w.crossed(passage{k.Name, roleProxy, "udp", toSIP, "each arrived once"}, badLine)
		w.crossed(passage{k.Name, roleProxy, "udp", toXMPP, "each arrived once"}, badLine)
	})
}

// RFC 3261 §17: a bad line between stox and a phone that people use. This one takes a copy of
// a request, the same branch, for another request: it answers with a tag of its own and shows
// the text again. So each text may be shown as often as the line has brought the very request,
// and stox may not have made two of one message.
func TestBadLineToPhone(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, server string) {
		const n = 50
		w := newWorld(t, server)
		line := newRelay(t, w.stox.SIP, 0, 26)
		phone, err := w.Baresip(w.ctx, "bob", sipDomain, line.right.port(), "udp", w.user(juliet))
		w.must(err)
		line.other(phone.Port)
		w.run(via(sipDomain, line.left.port(), "udp"))
		c := w.login(juliet)
		up := func(i int) string { return fmt.Sprintf("up %d.", i) }
		down := func(i int) string { return fmt.Sprintf("down %d.", i) }
		for i := range n {
			w.must(c.Message(down(i), "bob@"+w.component, down(i)))
			w.must(phone.Message(up(i)))
		}
		for i := range n {
			_, err := phone.Await(w.ctx, down(i))
			w.must(err)
			w.await(c, up(i), stage.WithBody(up(i)))
			_, _, err = w.stox.WaitLine(w.ctx, 0, "msg=delivered", fmt.Sprintf("id=%q ", down(i)))
			w.must(err)
		}
		w.fence(c, "fence")
		stanzas, display := map[string]int{}, strings.Join(phone.Shown(), "\n")
		for _, st := range c.Stanzas() {
			if st.Kind == "message" {
				stanzas[st.Type+st.Body]++
			}
		}
		brought := line.requests(t)
		for i := range n {
			if got := stanzas[up(i)]; got != 1 {
				t.Errorf("%q was shown %d times", up(i), got)
			}
			copies := brought[down(i)]
			if got := strings.Count(display, down(i)); got < 1 || got > len(copies) {
				t.Errorf("%s shows %q %d times, and was brought it %d times", phone.Name, down(i), got, len(copies))
			}
			for _, m := range copies {
				if first := copies[0]; m.Branch() != first.Branch() || m.Get("Call-ID") != first.Get("Call-ID") || m.Get("CSeq") != first.Get("CSeq") {
					t.Errorf("%q went out in two requests:\n%+v\n%+v", down(i), first, m)
				}
			}
		}
		if len(stanzas) != n {
			t.Errorf("%d different texts, want %d", len(stanzas), n)
		}
		line.wasBad(t)
		w.crossed(passage{phone.Name, "phone, directly", "udp", toSIP, "shown, again for each copy that the line makes"}, badLinePhone)
		w.crossed(passage{phone.Name, "phone, directly", "udp", toXMPP, "each arrived once"}, badLinePhone)
	})
}
