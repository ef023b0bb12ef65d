//go:build interop

package interop

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stoxgw/stox/test/stage"
)

const nsReceipts, nsMarkers = "urn:xmpp:receipts", "urn:xmpp:chat-markers:0"

// The time of the messages that SIPp plays; it stands again in what is said of them.
const imdnTime = "2026-05-04T10:11:12Z"

// asking is a text that asks for notifications, in the form in which Linphone with a screen
// sends it (RFC 5438 §6).
func asking(from, to, id, text string) string {
	return fmt.Sprintf(`From: <%s>
To: <%s>
DateTime: %s
NS: imdn <urn:ietf:params:imdn>
imdn.Message-ID: %s
imdn.Disposition-Notification: positive-delivery, negative-delivery, display

Content-Type: text/plain; charset=UTF-8
Content-Length: %d

%s`, from, to, imdnTime, id, len(text), text)
}

// notifying is a notification (RFC 5438 §7.2.1) about a message; about is "delivery" or
// "display".
func notifying(from, to, id, time, about, status string) string {
	return fmt.Sprintf(`From: <%[1]s>
To: <%[2]s>
NS: imdn <urn:ietf:params:imdn>
imdn.Message-ID: n-%[6]s

Content-Type: message/imdn+xml
Content-Disposition: notification

<?xml version="1.0" encoding="UTF-8"?>
<imdn xmlns="urn:ietf:params:xml:ns:imdn">
<message-id>%[3]s</message-id>
<datetime>%[4]s</datetime>
<recipient-uri>%[1]s</recipient-uri>
<original-recipient-uri>%[1]s</original-recipient-uri>
<%[5]s-notification><status><%[6]s/></status></%[5]s-notification>
</imdn>`, from, to, id, time, about, status)
}

// IM-40, IM-41, IM-43 to IM-45, SEC-22: what devices say of a message from SIP is told once,
// and what others say of it, or what is said of a message that never was, is not.
func TestReceiptsToSIP(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, server string) {
		eachTransport(t, func(t *testing.T, transport string) {
			w := newWorld(t, server)
			s, err := w.SIPpServe(w.ctx, transport, 4, 200, "OK")
			w.must(err)
			w.run(via("*", s.Port, transport))
			phone, tablet, stranger := w.login(juliet), w.login(juliet), w.login(romeo)
			const from, id = "sip:mercutio@verona.test", "~zKf2bqXw"
			contact := `mercutio\40verona.test@` + w.component
			w.sippSend(stage.SIPpSend{
				Transport: transport, URI: w.user(juliet), From: from, ContentType: "message/cpim",
				Body: asking(from, w.user(juliet), id, "a plague, žluť"), Expect: handedOver,
			})
			st := w.await(phone, "the message", stage.WithBody("a plague, žluť"))
			if !strings.Contains(st.Raw, nsReceipts) || !strings.Contains(st.Raw, nsMarkers) || st.ID == "" {
				t.Fatalf("the message does not ask for receipts: %s", st.Raw)
			}
			w.await(tablet, "the message", stage.WithBody("a plague, žluť"))

			say := func(c *stage.XMPPClient, ns, element, about string) {
				t.Helper()
				w.must(c.Send(fmt.Sprintf("<message to='%s' type='chat' id='r'><%s xmlns='%s' id='%s'/></message>", contact, element, ns, about)))
			}
			say(stranger, nsReceipts, "received", st.ID)
			say(stranger, nsMarkers, "displayed", st.ID)
			say(phone, nsReceipts, "received", "no-such-message")
			say(phone, nsReceipts, "received", id) // what it is called in SIP is nothing to XMPP
			say(phone, nsReceipts, "received", st.ID)
			w.fence(phone, "first")
			say(tablet, nsReceipts, "received", st.ID)
			say(tablet, nsMarkers, "displayed", st.ID)
			w.fence(tablet, "second")
			say(phone, nsMarkers, "displayed", st.ID)
			w.must(phone.Message("last", contact, "last of juliet"))
			w.must(stranger.Message("last", contact, "last of romeo"))
			all, err := s.Requests(w.ctx)
			w.must(err)

			seen := map[string]int{}
			for _, r := range all {
				switch {
				case strings.Contains(r, "\n\nlast of "):
					seen["text"]++
				case strings.Contains(r, "<delivery-notification><status><delivered/>"):
					seen["delivered"]++
				case strings.Contains(r, "<display-notification><status><displayed/>"):
					seen["displayed"]++
				default:
					t.Errorf("a request:\n%s", r)
				}
				if !strings.Contains(r, "<imdn") {
					continue
				}
				for _, want := range []string{
					"MESSAGE " + from + " SIP/2.0\n", "From: <sip:juliet@" + w.domain, "Content-Type: message/cpim\n",
					"<message-id>" + id + "</message-id>", "<datetime>" + imdnTime + "</datetime>", "Content-Disposition: notification\n",
				} {
					if !strings.Contains(r, want) {
						t.Errorf("a notification has no %q:\n%s", want, r)
					}
				}
				if strings.Contains(r, "Disposition-Notification") {
					t.Errorf("a notification asks for one:\n%s", r)
				}
			}
			if seen["text"] != 2 || seen["delivered"] != 1 || seen["displayed"] != 1 {
				t.Errorf("requests: %v", seen)
			}
			for _, c := range []*stage.XMPPClient{phone, tablet, stranger} {
				w.fence(c, "end")
				for _, st := range c.Stanzas() {
					if st.Type == "error" {
						t.Errorf("%s got %s", c.JID, st.Raw)
					}
				}
			}
			p := passage{stage.SIPpName(), roleSIPp, transport, toSIP, "notified once"}
			w.crossed(p, "receipt of two devices", "marker of two devices")
			p.result = "nobody is told"
			w.crossed(p, "receipt of who has not got the message", "receipt for a message that never was")
		})
	})
}

// IM-40 to IM-45, SEC-22: what the contact says of a message from XMPP becomes one receipt,
// one marker or one error, for the device that has sent it.
func TestReceiptsFromSIP(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, server string) {
		eachTransport(t, func(t *testing.T, transport string) {
			w := newWorld(t, server)
			const from, other = "sip:benvolio@verona.test", "sip:tybalt@verona.test"
			contact := `benvolio\40verona.test@` + w.component
			notice := func(from, id, time, about, status string) stage.SIPpSend {
				return stage.SIPpSend{
					Transport: transport, URI: w.user(juliet), From: from, ContentType: "message/cpim",
					Body: notifying(from, w.user(juliet), id, time, about, status), Expect: handedOver,
				}
			}
			s, err := w.SIPpReply(w.ctx, notice(from, "[$id]", "[$time]", "delivery", "delivered"), notice(from, "[$id]", "[$time]", "delivery", "delivered"),
				notice(from, "[$id]", "[$time]", "display", "displayed"), notice(from, "[$id]", "[$time]", "delivery", "failed"))
			w.must(err)
			w.stox.Env = append(w.stox.Env, "STOX_SIP_IMDN=always")
			silent, err := w.SIPpServe(w.ctx, transport, 1, 200, "OK")
			w.must(err)
			w.run(via("verona.test", s.Port, transport), via("mantua.test", silent.Port, transport))
			phone, tablet := w.login(juliet), w.login(juliet)
			send := func(to, id string) {
				t.Helper()
				w.must(phone.Send(fmt.Sprintf("<message to='%s' id='%s' type='chat'><body>%[2]s</body><request xmlns='%s'/><markable xmlns='%s'/></message>", to, id, nsReceipts, nsMarkers)))
			}
			got := func(c *stage.XMPPClient, id string) (all []string) { // what was said of a message
				for _, st := range c.Stanzas() {
					switch {
					case st.Kind != "message", st.From == w.component: // it welcomes its users
					case st.Type == "error":
						all = append(all, st.From+" error "+st.Condition+" "+st.ID)
					case strings.Contains(st.Raw, `id="`+id+`"`) && strings.Contains(st.Raw, nsReceipts):
						all = append(all, st.From+" received")
					case strings.Contains(st.Raw, `id="`+id+`"`) && strings.Contains(st.Raw, nsMarkers):
						all = append(all, st.From+" displayed")
					default:
						all = append(all, st.Raw)
					}
				}
				return all
			}
			send(contact, "want")
			if _, err := s.Requests(w.ctx); err != nil { // all notifications are answered
				t.Fatal(err)
			}
			w.fence(phone, "end")
			if g, want := fmt.Sprint(got(phone, "want")), fmt.Sprint([]string{contact + " received", contact + " displayed"}); g != want {
				t.Errorf("the device that has sent it got %s, want %s", g, want)
			}
			w.fence(tablet, "end")
			if g := got(tablet, "want"); len(g) > 0 {
				t.Errorf("another device got %s", g)
			}

			// A 200 is no receipt of somebody who was asked for one, and others do not speak for him.
			send(`benvolio\40mantua.test@`+w.component, "failing")
			all, err := silent.Requests(w.ctx)
			w.must(err)
			_, id, _ := strings.Cut(all[0], "imdn.Message-ID: ")
			id, _, _ = strings.Cut(id, "\n")
			_, time, _ := strings.Cut(all[0], "DateTime: ")
			time, _, _ = strings.Cut(time, "\n")
			before := len(got(phone, "failing"))
			for _, n := range []stage.SIPpSend{
				notice(other, id, time, "delivery", "delivered"), notice("sip:tybalt@mantua.test", id, time, "display", "displayed"),
				notice("sip:benvolio@mantua.test", "no-such-message", time, "delivery", "delivered"),
			} {
				w.sippSend(n)
			}
			w.fence(phone, "forged")
			if g := got(phone, "failing"); len(g) != before {
				t.Errorf("the user was told %s", g[before:])
			}
			w.sippSend(notice("sip:benvolio@mantua.test", id, time, "delivery", "failed"))
			w.sippSend(notice("sip:benvolio@mantua.test", id, time, "delivery", "delivered"))
			w.fence(phone, "failed")
			if g, want := fmt.Sprint(got(phone, "failing")[before:]), `[benvolio\40mantua.test@`+w.component+" error recipient-unavailable failing]"; g != want {
				t.Errorf("the user was told %s, want %s", g, want)
			}
			p := passage{stage.SIPpName(), roleSIPp, transport, toXMPP, "told once, to the device that has sent the message"}
			w.crossed(p, "notification delivered", "notification displayed")
			p.result = resultError
			w.crossed(p, "notification failed")
			p.result = "200, nobody is told"
			w.crossed(p, "notification of who has not got the message", "notification about a message that never was")
		})
	})
}
