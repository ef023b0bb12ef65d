//go:build interop

package interop

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stoxgw/stox/internal/dnstest"
	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/test/stage"
)

// How a SIP proxy behaves is the same whatever XMPP server stox is at: these tests have one.
const anyServer = "prosody"

// contact is a SIP user agent of the test's own that answers every request alike.
func contact(t *testing.T, status int, reason string) *siptest.Peer {
	t.Helper()
	p := siptest.Listen(t, "udp")
	p.Answer(func(m *siptest.Message) string { return m.Reply(status, reason) })
	return p
}

// got are the texts that a contact has got, each request once.
func got(p *siptest.Peer) []string {
	var all []string
	seen := map[string]bool{}
	for _, m := range p.Requests() {
		if !seen[m.Branch()] {
			seen[m.Branch()] = true
			all = append(all, string(m.Body))
		}
	}
	return all
}

// errors are the errors that a client has got, by the id of the message.
func (w *world) errors(c *stage.XMPPClient) map[string]string {
	w.t.Helper()
	w.fence(c, "errors")
	all := map[string]string{}
	for _, st := range c.Stanzas() {
		if st.Kind == "message" && st.Type == "error" {
			all[st.ID] = st.Raw
		}
	}
	return all
}

// RFC 3261 §16.7: a proxy sends a message to both contacts of a user and passes on one answer, the best.
func TestForkingProxy(t *testing.T) {
	t.Parallel()
	w := newWorld(t, anyServer)
	one, two := contact(t, 200, "OK"), contact(t, 200, "OK")
	ill, away, busy := contact(t, 500, "Server Internal Error"), contact(t, 404, "Not Found"), contact(t, 486, "Busy Here")
	at := func(p *siptest.Peer) string { return fmt.Sprintf(`sip:romeo@%s`, p.Addr()) }
	k, err := w.Kamailio(w.ctx, stage.KamailioOptions{Domain: sipDomain, Gateway: w.stox.SIP, Transport: "udp", Script: fmt.Sprintf(`
	switch ($rU) {
	case "both": $ru = "%s"; append_branch("%s"); break;
	case "one":  $ru = "%s"; append_branch("%s"); break;
	case "none": $ru = "%s"; append_branch("%s"); break;
	}
	t_relay();
	exit;`, at(one), at(two), at(ill), at(two), at(away), at(busy))})
	w.must(err)
	w.run(via(sipDomain, k.Port, "udp"))
	c := w.login(juliet)
	for _, to := range []string{"both", "one", "none"} {
		w.must(c.Message(to, to+"@"+w.component, "to "+to))
	}
	for _, id := range []string{"both", "one"} {
		_, _, err := w.stox.WaitLine(w.ctx, 0, "msg=delivered", "id="+id)
		w.must(err)
	}
	st := w.await(c, "the error", stage.WithID("none"))
	if st.Condition != "item-not-found" && st.Condition != "recipient-unavailable" { // Kamailio chooses
		t.Errorf("the error is %s", st.Raw)
	}
	if all := w.errors(c); len(all) != 1 {
		t.Errorf("errors for %v", all)
	}
	two.Await(2)
	twoGot := got(two)
	slices.Sort(twoGot)
	for _, x := range []struct {
		name      string
		got, want []string
	}{
		{"one", got(one), []string{"to both"}}, {"two", twoGot, []string{"to both", "to one"}}, {"ill", got(ill), []string{"to one"}},
		{"away", got(away), []string{"to none"}}, {"busy", got(busy), []string{"to none"}},
	} {
		if !slices.Equal(x.got, x.want) {
			t.Errorf("contact %s got %q, want %q", x.name, x.got, x.want)
		}
	}
	p := passage{k.Name, roleProxy, "udp", toSIP, "delivered"}
	w.crossed(p, "message to two contacts (fork)", "message to two contacts, one of which refuses it")
	p.result = resultError
	w.crossed(p, "message to two contacts that refuse it")
}

// RFC 3261 §8.1.3.4, RFC 7247 §7: stox does not go where a proxy redirects it; the sender is told the address
// that the proxy likes best, as one to write to.
func TestRedirectingProxy(t *testing.T) {
	t.Parallel()
	w := newWorld(t, anyServer)
	elsewhere := contact(t, 200, "OK")
	k, err := w.Kamailio(w.ctx, stage.KamailioOptions{Domain: sipDomain, Gateway: w.stox.SIP, Transport: "udp", Script: fmt.Sprintf(`
	if ($rU == "nowhere") { sl_send_reply("302", "Moved Temporarily"); exit; }
	append_to_reply("Contact: <sip:tybalt@%s>;q=0.5, <sip:mercutio@other.test>;q=0.9\r\n");
	if ($rU == "moved") { sl_send_reply("301", "Moved Permanently"); exit; }
	sl_send_reply("302", "Moved Temporarily");
	exit;`, elsewhere.Addr())})
	w.must(err)
	w.run(via("*", k.Port, "udp"))
	c := w.login(juliet)
	newAddress := `xmpp:mercutio%5C40other.test@` + w.component
	for _, row := range []struct{ local, condition, address, what string }{
		{"away", "redirect", newAddress, "answer 302 with two addresses"},
		{"moved", "gone", newAddress, "answer 301 with two addresses"},
		{"nowhere", "recipient-unavailable", "", "answer 302 without an address"},
	} {
		w.must(c.Message(row.local, row.local+"@"+w.component, "where art thou"))
		st := w.await(c, "the error", stage.WithID(row.local))
		if st.Type != "error" || st.Condition != row.condition || !strings.Contains(st.Raw, row.address) {
			t.Errorf("want %s %q: %s", row.condition, row.address, st.Raw)
		}
		result := "the sender gets an error with the address of the highest q"
		if row.address == "" {
			result = resultError
		}
		w.crossed(passage{k.Name, roleProxy, "udp", toSIP, result}, row.what)
	}
	if n := len(elsewhere.Requests()); n != 0 {
		t.Errorf("%d requests went to the new address", n)
	}
}

// RFC 3263 §4.3, SIP-05: two proxies behind SRV records. The first one answers 503, and the second one
// gets the message at once; and so it does when nobody is at the port of the first.
func TestNextProxy(t *testing.T) {
	t.Parallel()
	for _, transport := range []string{"udp", "tcp"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, anyServer)
			romeo := contact(t, 200, "OK")
			first, err := w.Kamailio(w.ctx, stage.KamailioOptions{Domain: sipDomain, Gateway: w.stox.SIP, Transport: transport, Script: `
	xlog("L_NOTICE", "STAGE refused $ci\n");
	sl_send_reply("503", "Service Unavailable");
	exit;`})
			w.must(err)
			second, err := w.Kamailio(w.ctx, stage.KamailioOptions{Domain: sipDomain, Gateway: w.stox.SIP, Transport: transport, Script: fmt.Sprintf(`
	xlog("L_NOTICE", "STAGE relayed $hdr(Content-Type) | $hdr(Content-Encoding) | $proto | $ci\n");
	$du = "sip:%s";
	t_relay();
	exit;`, romeo.Addr())})
			w.must(err)
			nobody, err := stage.Port()
			w.must(err)
			zone := dnstest.Zone{"k1.test": {"300 A 127.0.0.1"}, "k2.test": {"300 A 127.0.0.1"}}
			var routes []stage.Route
			for domain, port := range map[string]int{"refused.test": first.Port, "gone.test": nobody} {
				service := "_sip._" + transport + "." + domain
				zone[domain] = []string{fmt.Sprintf(`300 NAPTR 10 10 "s" "SIP+D2%s" "" %s.`, strings.ToUpper(transport[:1]), service)}
				zone[service] = []string{fmt.Sprintf("300 SRV 10 0 %d k1.test.", port), fmt.Sprintf("300 SRV 20 0 %d k2.test.", second.Port)}
				routes = append(routes, stage.Route{Domain: domain, Via: "sip:" + domain})
			}
			w.resolver(zone)
			w.run(routes...)
			c := w.login(juliet)
			for _, id := range []string{"refused", "gone"} {
				w.must(c.Message(id, `romeo\40`+id+".test@"+w.component, id))
				_, _, err := w.stox.WaitLine(w.ctx, 0, "msg=delivered", "id="+id)
				w.must(err)
			}
			_, _, err = first.WaitLine(w.ctx, 0, "STAGE refused")
			w.must(err)
			if want := []string{"refused", "gone"}; !slices.Equal(got(romeo), want) {
				t.Errorf("arrived: %q, want %q", got(romeo), want)
			}
			for _, m := range second.Relayed() {
				if m.Transport != transport {
					t.Errorf("the second one got a MESSAGE over %s", m.Transport)
				}
			}
			if all := w.errors(c); len(all) != 0 {
				t.Errorf("errors: %v", all)
			}
			w.crossed(passage{second.Name, roleProxy, transport, toSIP, "delivered by the second"}, "two proxies (SRV), the first answers 503", "two proxies (SRV), nobody is at the first")
		})
	}
}

// RFC 3261 §18.1.1, sip.route.size: what becomes of a text that is too long for UDP at a proxy that speaks nothing else.
func TestProxyOfUDPOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t, anyServer)
	romeo := contact(t, 200, "OK")
	k, err := w.Kamailio(w.ctx, stage.KamailioOptions{Domain: sipDomain, Gateway: w.stox.SIP, UDPOnly: true, Transport: "udp", Script: fmt.Sprintf(`
	$du = "sip:%s";
	t_relay();
	exit;`, romeo.Addr())})
	w.must(err)
	more := "[queue]\nexpire = \"1s\"\n" // too short to try again
	for _, size := range []string{"tcp", "split", "reject"} {
		more += fmt.Sprintf("[[sip.route]]\ndomain = \"%[1]s.test\"\nvia = \"sip:127.0.0.1:%[2]d;transport=udp\"\nsize = \"%[1]s\"\n", size, k.Port)
	}
	w.runWith(more)
	c := w.login(juliet)
	long := strings.Repeat("žluťoučký kůň ", 160) + "."
	for _, row := range []struct{ size, condition, text string }{
		{"tcp", "remote-server-timeout", "The message is too long for UDP, and the SIP server of this address takes no TCP connection at the moment."},
		{"reject", "policy-violation", "The message is too long: 1300 bytes are the limit, headers included."},
	} {
		w.must(c.Message(row.size, `romeo\40`+row.size+`.test@`+w.component, long))
		st := w.await(c, "the error", stage.WithID(row.size))
		if st.Type != "error" || st.Condition != row.condition || !strings.Contains(st.ErrorText, row.text) {
			t.Errorf("size = %s: want %s %q: %s", row.size, row.condition, row.text, st.Raw)
		}
	}
	if n := len(romeo.Requests()); n != 0 {
		t.Errorf("%d requests came", n)
	}
	w.must(c.Message("split", `romeo\40split.test@`+w.component, long))
	_, _, err = w.stox.WaitLine(w.ctx, 0, "msg=delivered", "id=split")
	w.must(err)
	parts := got(romeo)
	joined := ""
	mark := regexp.MustCompile(`^\((\d+)/(\d+)\) `)
	for i, part := range parts {
		m := mark.FindStringSubmatch(part)
		if m == nil || m[1] != fmt.Sprint(i+1) || m[2] != fmt.Sprint(len(parts)) {
			t.Errorf("part %d of %d begins with %.20q", i+1, len(parts), part)
			continue
		}
		joined += part[len(m[0]):]
	}
	if joined != long || len(parts) < 3 {
		t.Errorf("%d parts:\n%q\nare joined not\n%q", len(parts), parts, long)
	}
	for _, m := range romeo.Requests() {
		if n := len(m.Body); n > 1300 {
			t.Errorf("a part of %d bytes", n)
		}
	}
	if all := w.errors(c); len(all) != 2 {
		t.Errorf("errors: %v", all)
	}
	p := passage{k.Name, roleProxy, "udp", toSIP, resultError}
	w.crossed(p, "text of 3000 bytes to a proxy without TCP, size = tcp", "text of 3000 bytes to a proxy without TCP, size = reject")
	p.result = "the parts arrive, in order, and are the text"
	w.crossed(p, "text of 3000 bytes to a proxy without TCP, size = split")
}
