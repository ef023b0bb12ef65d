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

const rolePresence = roleProxy + ", presence server"

// publish publishes a document at a presence server, in place of the one with an entity tag unless
// that is "", and returns the tag of it.
func (w *world) publish(peer *siptest.Peer, k *stage.Kamailio, user, tag, document string) string {
	w.t.Helper()
	match := ""
	if tag != "" {
		match = "SIP-If-Match: " + tag + "\r\n"
	}
	uri := "sip:" + user + "@" + k.Domain
	answer := peer.Request(netip.MustParseAddrPort(fmt.Sprintf("%s:%d", k.Host, k.Port)), fmt.Sprintf("PUBLISH %[1]s SIP/2.0\r\n"+
		"Via: SIP/2.0/UDP %[2]s;branch=z9hG4bKp%[3]s;rport\r\nMax-Forwards: 70\r\nFrom: <%[1]s>;tag=p%[3]s\r\nTo: <%[1]s>\r\nCall-ID: p%[3]s@%[2]s\r\n"+
		"CSeq: 1 PUBLISH\r\nEvent: presence\r\nExpires: 600\r\n%[4]sContent-Type: application/pidf+xml\r\nContent-Length: %[5]d\r\n\r\n%[6]s",
		uri, peer.Addr(), user+tag, match, len(document), document))
	if answer.Status() != 200 || answer.Get("SIP-ETag") == "" {
		w.t.Fatalf("%s answers PUBLISH with %s", k.Name, answer.First)
	}
	return answer.Get("SIP-ETag")
}

// RFC 3856, RFC 3903, PRES-16: a presence server between the two: what a phone publishes there the user
// sees, and what the user lets the gateway see is published there for those who watch.
func TestPresenceServer(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, server string) {
		w := newWorld(t, server)
		k, err := w.Kamailio(w.ctx, stage.KamailioOptions{Domain: sipDomain, Gateway: w.stox.SIP, Transport: "udp", Presence: true})
		w.must(err)
		w.runWith(fmt.Sprintf("[[sip.route]]\ndomain = %q\nvia = \"sip:127.0.0.1:%d;transport=udp\"\npresence = \"publish\"\n", sipDomain, k.Port))
		c := w.login(juliet)
		bob, at := "bob@"+w.component, len(k.Lines())
		phone := siptest.Listen(t, "udp")

		w.present(c, "subscribe", bob)
		w.await(c, "that it is granted", presenceOf("subscribed", bob))
		_, _, err = k.WaitLine(w.ctx, at, "STAGE presence SUBSCRIBE sip:bob@"+sipDomain+" 3600")
		w.must(err)
		tag := w.publish(phone, k, "bob", "", pidf("bob@"+sipDomain, "open", "", `<note xml:lang="en">at my desk</note>`))
		w.await(c, "what is published", func(s stage.Stanza) bool {
			return presenceOf("", bob+"/desk")(s) && s.Show == "" && s.Statuses == "en: at my desk"
		})
		tag = w.publish(phone, k, "bob", tag, pidf("bob@"+sipDomain, "open", showing("dnd"), `<note xml:lang="en">in a meeting</note>`))
		w.await(c, "what is published next", func(s stage.Stanza) bool {
			return presenceOf("", bob+"/desk")(s) && s.Show == "dnd" && s.Statuses == "en: in a meeting"
		})
		w.publish(phone, k, "bob", tag, pidf("bob@"+sipDomain, "closed", "", ""))
		w.await(c, "that it has gone", presenceOf("unavailable", bob+"/desk"))
		w.present(c, "unsubscribe", bob)
		_, _, err = k.WaitLine(w.ctx, at, "STAGE presence SUBSCRIBE", " 0 ")
		w.must(err)
		w.crossed(passage{k.Name, rolePresence, "udp", toXMPP, "shown as it is published"}, "presence of a contact")

		w.present(c, "subscribe", w.component)
		w.await(c, "that the gateway asks", presenceOf("subscribe", w.component))
		port, err := stage.Port()
		w.must(err)
		watcher, err := w.SIPpWatch(stage.SIPpWatch{To: k.Port, URI: w.user(juliet), From: "sip:bob@" + sipDomain, Expires: 600, Port: port})
		w.must(err)
		_, next, err := watcher.AwaitRequest(w.ctx, 0, "Subscription-State: active")
		w.must(err)
		w.must(c.Send("<presence><show>away</show><status xml:lang='en'>on the balcony</status></presence>"))
		w.fence(c, "before it is granted")
		if all, _, err := watcher.AwaitRequest(w.ctx, 0, "Subscription-State"); err != nil || strings.Contains(all, "balcony") {
			t.Errorf("before the user lets the gateway see it, SIP sees %s %v", all, err)
		}
		w.present(c, "subscribed", w.component)
		_, next, err = watcher.AwaitRequest(w.ctx, next, "<basic>open</basic>", ">away</show>", ">on the balcony</note>")
		w.must(err)
		w.must(c.Send("<presence><show>dnd</show></presence>"))
		_, next, err = watcher.AwaitRequest(w.ctx, next, "<basic>open</basic>", ">dnd</show>")
		w.must(err)
		w.present(c, "unsubscribed", w.component)
		_, _, err = k.WaitLine(w.ctx, at, "STAGE presence PUBLISH "+w.user(juliet)+" 0 ")
		w.must(err)
		request, _, err := watcher.AwaitRequest(w.ctx, next, "NOTIFY ")
		w.must(err)
		if strings.Contains(request, ">open<") {
			t.Errorf("after the user has taken it back SIP sees\n%s", request)
		}
		w.crossed(passage{k.Name, rolePresence, "udp", toSIP, "published when the user lets the gateway see it, until he takes it back"}, "presence of a user (PUBLISH)")
	})
}

// A phone that people use, without a server: it lets itself be watched, and watches (PRES-01, PRES-09).
func TestPhonePresence(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, server string) {
		w := newWorld(t, server)
		port, err := stage.Port()
		w.must(err)
		w.run(via(sipDomain, port, "tcp"))
		c := w.login(juliet)
		bob := "bob@" + w.component
		phone, err := w.BaresipWith(w.ctx, stage.PhoneOptions{User: "bob", Domain: sipDomain, Contact: w.user(juliet), Transport: "tcp",
			Proxy: fmt.Sprintf("127.0.0.1:%d", w.stox.SIP), Port: port, Presence: true, Watches: true})
		w.must(err)
		w.present(c, "subscribe", bob)
		w.await(c, "that it is granted", presenceOf("subscribed", bob))
		// In this order; it begins with being away.
		from, left := bob+"/", []string{"unavailable", "", "unavailable"}
		for i, online := range []bool{true, false} {
			w.must(phone.Online(online))
			n := 0
			w.await(c, fmt.Sprint("that the phone is online: ", online), func(s stage.Stanza) bool {
				if s.Kind == "presence" && strings.HasPrefix(s.From, from) && n < len(left) && s.Type == left[n] {
					n++
				}
				return n == i+2
			})
		}
		p := passage{phone.Name, "phone, directly", "tcp", toXMPP, "shown: it is online, or it is not"}
		w.crossed(p, "presence of a contact")

		w.await(c, "that the phone asks", presenceOf("subscribe", bob))
		w.must(phone.AwaitContact(w.ctx, "Unknown"))
		w.present(c, "subscribed", bob)
		w.must(phone.AwaitContact(w.ctx, "Online"))
		w.present(c, "unsubscribed", bob)
		w.must(phone.AwaitContact(w.ctx, "Unknown"))
		p.direction, p.result = toSIP, "Online in its contacts, until it is revoked"
		w.crossed(p, "presence of a user, watched from SIP")
	})
}
