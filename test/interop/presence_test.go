//go:build interop

package interop

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stoxgw/stox/test/stage"
)

// pidf is a document of one tuple. what stands within its status and behind it.
func pidf(entity, basic, status, notes string) string {
	return `<?xml version="1.0" encoding="UTF-8"?><presence xmlns="urn:ietf:params:xml:ns:pidf" entity="pres:` + entity + `"><tuple id="ID-desk"><status><basic>` + basic +
		`</basic>` + status + `</status>` + notes + `</tuple></presence>`
}

// showing is a show as XMPP has it, within the status of a tuple (RFC 8048 §4.2).
func showing(show string) string { return `<show xmlns="jabber:client">` + show + `</show>` }

// present sends presence to somebody.
func (w *world) present(c *stage.XMPPClient, typ, to string) {
	w.t.Helper()
	w.must(c.Send(fmt.Sprintf("<presence type='%s' to='%s'/>", typ, to)))
}

// RFC 8048 §5.2, PRES-01 to PRES-08, PRES-16, PRES-17, PRES-20: a user watches a contact, sees what
// it shows, and stops; and a contact who does not want it.
func TestUserWatchesContact(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, server string) {
		eachTransport(t, func(t *testing.T, transport string) {
			w := newWorld(t, server)
			const who = "mercutio@verona.test"
			var ends stage.SIPpState
			s, err := w.SIPpPresence(w.ctx, transport,
				stage.SIPpState{State: "pending;expires=3600"},
				stage.SIPpState{State: "active;expires=3600", PIDF: pidf(who, "open", showing("away"), `<note xml:lang="en">in the garden</note><note xml:lang="de">im Garten, žluť</note>`)},
				stage.SIPpState{State: "active;expires=3600", PIDF: pidf(who, "open", showing("dnd"), `<note xml:lang="en">at the table</note>`)},
				stage.SIPpState{State: "active;expires=3600", PIDF: pidf(who, "open", showing("dnd"), `<note xml:lang="en">at the table</note>`)},
				stage.SIPpState{State: "active;expires=3600", PIDF: pidf(who, "closed", "", "")},
				stage.SIPpState{State: "active;expires=3600", PIDF: pidf(who, "open", "", "")},
				ends, stage.SIPpState{State: "terminated;reason=timeout"})
			w.must(err)
			declines, err := w.SIPpPresence(w.ctx, transport, stage.SIPpState{State: "pending;expires=3600"}, stage.SIPpState{State: "terminated;reason=rejected"})
			w.must(err)
			w.run(via("verona.test", s.Port, transport), via("capulet.test", declines.Port, transport))
			c := w.login(juliet)
			contact, other := `mercutio\40verona.test@`+w.component, `tybalt\40capulet.test@`+w.component

			w.present(c, "subscribe", contact)
			w.await(c, "that it is granted", presenceOf("subscribed", contact))
			from := contact + "/desk"
			shows := func(typ, show, statuses string) func(stage.Stanza) bool {
				return func(st stage.Stanza) bool {
					return presenceOf(typ, from)(st) && st.Show == show && st.Statuses == statuses
				}
			}
			w.await(c, "that it is away", shows("", "away", "de: im Garten, žluť\nen: in the garden"))
			w.await(c, "that it is busy", shows("", "dnd", "en: at the table"))
			w.await(c, "that it has gone", shows("unavailable", "", ""))
			w.await(c, "that it is back", shows("", "", ""))

			w.present(c, "unsubscribe", contact)
			end, _, err := s.AwaitRequest(w.ctx, 1, "SUBSCRIBE ", "\nExpires: 0\n")
			w.must(err)
			if first, err := s.Requests(w.ctx); err != nil || len(first) != 2 || header(first[0], "Call-ID") != header(end, "Call-ID") {
				t.Errorf("the requests are %q, %v", first, err)
			}
			w.fence(c, "gone")
			var got []string
			for _, st := range c.Stanzas() {
				if st.Kind == "presence" && strings.HasPrefix(st.From, contact) && st.Type != "subscribe" {
					got = append(got, st.Type+"/"+st.Show)
				}
			}
			if told := strings.Join(got, " "); !strings.HasPrefix(told, "subscribed/ /away /dnd unavailable/ / unavailable/") {
				t.Errorf("the user was told %q", told)
			}

			w.present(c, "subscribe", other)
			w.await(c, "that it is declined", presenceOf("unsubscribed", other))
			_, err = declines.Requests(w.ctx)
			w.must(err)
			w.crossed(passage{stage.SIPpName(), roleSIPp, transport, toXMPP, "subscribed, then each change is shown; the end is told to SIP"},
				"presence of a contact: pending, away, dnd, in two languages, closed")
			w.crossed(passage{stage.SIPpName(), roleSIPp, transport, toXMPP, "unsubscribed"}, "presence of a contact who declines")
		})
	})
}

// header is the value of a header of a request.
func header(request, name string) string {
	_, after, _ := strings.Cut(request, "\n"+name+": ")
	value, _, _ := strings.Cut(after, "\n")
	return value
}

// RFC 8048 §5.3, PRES-09 to PRES-15: a SIP user watches an XMPP user, who is asked, lets himself be
// seen on two devices, and revokes it; and who only wants to know once.
func TestContactWatchesUser(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, server string) {
		w := newWorld(t, server)
		// A NOTIFY goes to who has subscribed; on this machine that has to be a host of a route.
		var ports []int
		var routes []stage.Route
		for _, domain := range []string{"verona.test", "ua1.test", "ua2.test", "ua3.test"} {
			port, err := stage.Port()
			w.must(err)
			ports, routes = append(ports, port), append(routes, via(domain, port, "udp"))
		}
		w.run(routes...)
		c, second := w.login(juliet), w.login(juliet)
		const watcher = "sip:mercutio@verona.test"
		contact := `mercutio\40verona.test@` + w.component
		watch := func(from string, expires int) *stage.SIPpServer {
			t.Helper()
			s, err := w.SIPpWatch(stage.SIPpWatch{To: w.stox.SIP, URI: w.user(juliet), From: from, Expires: expires, Port: ports[0]})
			w.must(err)
			ports = ports[1:]
			return s
		}
		poll := func(from string) string {
			t.Helper()
			all, err := watch(from, 0).Requests(w.ctx)
			w.must(err)
			if len(all) != 1 || !strings.HasPrefix(header(all[0], "Subscription-State"), "terminated;reason=timeout") {
				w.t.Fatalf("a poll is told %q", all)
			}
			return all[0]
		}
		s := watch(watcher, 600)
		w.await(c, "that it is asked", presenceOf("subscribe", contact))
		first, at, err := s.AwaitRequest(w.ctx, 0, "Subscription-State: pending;expires=")
		w.must(err)
		if at != 1 || strings.Contains(first, "<tuple") {
			t.Errorf("NOTIFY %d, before anything is decided, is\n%s", at, first)
		}

		w.present(c, "subscribed", contact)
		var request string
		for request = ""; strings.Count(request, "<tuple") != 2; {
			request, at, err = s.AwaitRequest(w.ctx, at, "Subscription-State: active;expires=", "<basic>open</basic>")
			w.must(err)
		}
		if header(request, "Content-Type") != "application/pidf+xml" || !strings.Contains(request, "pres:"+juliet.Local+"@"+w.domain) {
			t.Errorf("the document is\n%s", request)
		}

		// Of many changes in a short time the last one is told.
		for _, show := range []string{"xa", "away", "chat", "xa", "away", "chat", "xa", "away"} {
			w.must(c.Send("<presence><show>" + show + "</show></presence>"))
		}
		w.must(c.Send("<presence><show>dnd</show><status xml:lang='en'>wooing</status><status xml:lang='de'>Wozu denn?</status></presence>"))
		before := at
		request, at, err = s.AwaitRequest(w.ctx, at, ">dnd</show>", ">wooing</note>", ">Wozu denn?</note>")
		w.must(err)
		if n := at - before; n > 2 {
			t.Errorf("%d NOTIFYs for changes at one time", n)
		}
		if strings.Count(request, "<tuple") != 2 {
			t.Errorf("of the two devices is told\n%s", request)
		}
		if once := poll(watcher); !strings.Contains(once, ">dnd</show>") || strings.Count(once, "<tuple") != 2 {
			t.Errorf("a poll of who may see is told\n%s", once)
		}
		if once := poll("sip:paris@verona.test"); strings.Contains(once, "dnd") || strings.Contains(once, "open") {
			t.Errorf("a poll of a stranger is told\n%s", once)
		}
		w.must(second.Send("<presence type='unavailable'/>"))
		_, at, err = s.AwaitRequest(w.ctx, at, ">dnd</show>", "Subscription-State: active")
		w.must(err)

		w.present(c, "unsubscribed", contact)
		request, _, err = s.AwaitRequest(w.ctx, at, "Subscription-State: terminated;reason=rejected")
		w.must(err)
		if strings.Contains(request, "dnd") || strings.Contains(request, "open") {
			t.Errorf("who may not see any more is told\n%s", request)
		}
		status, err := s.Wait(w.ctx)
		if err != nil || status != 0 {
			t.Errorf("SIPp ends with %d, %v", status, err)
		}
		// Who was declined is not asked about again.
		if all, err := watch(watcher, 600).Requests(w.ctx); err != nil || len(all) != 1 || !strings.Contains(all[0], "Subscription-State: terminated;reason=rejected") {
			t.Errorf("who was declined is told %q, %v", all, err)
		}
		p := passage{stage.SIPpName(), roleSIPp, "udp", toSIP, "pending, then active with what both devices show; rejected when it is revoked"}
		w.crossed(p, "presence of a user, watched from SIP")
		p.result = "told what the user shows, if it may see it"
		w.crossed(p, "poll for the presence of a user")
	})
}
