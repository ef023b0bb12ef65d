package component

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stoxgw/stox/internal/xmpptest"
	"github.com/stoxgw/stox/mapping"
)

// presences describes the presence that was handed over since the last call.
func (s *sink) presences() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, v := range s.others {
		if p, ok := v.(*mapping.XMPPPresence); ok {
			out = append(out, fmt.Sprintf("%s %s>%s#%s", p.Type, p.From, p.To, p.ID))
		}
	}
	s.others = nil
	return strings.Join(out, "; ")
}

// RFC 6121 §3, §4; GW-29: what is handed over, and what is answered at once.
func TestPresenceIn(t *testing.T) {
	r, conn := memory(t, xmpptest.Options{}, func(c *Config) {
		c.Allow = func(j mapping.JID) bool { return j.Domain() == "example.com" }
	})
	r.sink.presences()
	const from = `from='juliet@example.com/b'`
	for _, c := range []struct{ name, in, handed, answer string }{
		{"available", `<presence ` + from + ` to='sip.example.com'><show>away</show><c xmlns='http://jabber.org/protocol/caps'/></presence>`, " juliet@example.com/b>sip.example.com#", ""},
		{"unavailable", `<presence type='unavailable' ` + from + ` to='romeo@sip.example.com'/>`, "unavailable juliet@example.com/b>romeo@sip.example.com#", ""},
		{"subscribe", `<presence type='subscribe' id='s' from='juliet@example.com' to='romeo@sip.example.com'/>`, "subscribe juliet@example.com>romeo@sip.example.com#s", ""},
		{"the others", `<presence type='subscribed' ` + from + ` to='a@sip.example.com'/><presence type='unsubscribe' ` + from + ` to='a@sip.example.com'/>` +
			`<presence type='unsubscribed' ` + from + ` to='a@sip.example.com'/><presence type='probe' ` + from + ` to='a@sip.example.com'/>`,
			"subscribed juliet@example.com/b>a@sip.example.com#; unsubscribe juliet@example.com/b>a@sip.example.com#; unsubscribed juliet@example.com/b>a@sip.example.com#; probe juliet@example.com/b>a@sip.example.com#", ""},
		{"error", `<presence type='error' ` + from + ` to='romeo@sip.example.com'><error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>`, "error juliet@example.com/b>romeo@sip.example.com#", ""},
		{"error, bad to", `<presence type='error' ` + from + ` to='a@b@sip.example.com'/>`, "", ""},
		{"unknown type", `<presence type='invisible' ` + from + ` to='romeo@sip.example.com'/>`, "", ""},
		{"another namespace", `<presence xmlns='urn:x' ` + from + ` to='romeo@sip.example.com'/>`, "", ""},
		{"no from", `<presence type='subscribe' to='romeo@sip.example.com'/>`, "", ""},
		{"no to", `<presence type='subscribe' id='s' ` + from + `/>`, "", "juliet@example.com/b modify/bad-request"},
		{"bad to", `<presence type='subscribe' id='s' ` + from + ` to='a@b@sip.example.com'/>`, "", "juliet@example.com/b modify/jid-malformed"},
		{"bad to, no question", `<presence ` + from + ` to='a@b@sip.example.com'/>`, "", ""},
		{"other domain", `<presence type='subscribe' id='s' ` + from + ` to='a@other.example.com'/>`, "", "juliet@example.com/b cancel/item-not-found"},
		{"other domain, by a stranger", `<presence type='subscribe' id='s' from='eve@evil.example' to='a@other.example.com'/>`, "", "eve@evil.example auth/forbidden"},
		{"too big", `<presence type='subscribe' id='s' ` + from + ` to='romeo@sip.example.com'>` + strings.Repeat("<a/>", maxElements) + `</presence>`, "", "juliet@example.com/b modify/policy-violation"},
		{"too big, no question", `<presence ` + from + ` to='romeo@sip.example.com'>` + strings.Repeat("<a/>", maxElements) + `</presence>`, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			send(t, conn, c.in)
			var answers []string
			for _, st := range fence(t, conn) {
				if st.Name != "presence" || st.Type != "error" || st.ID != "s" {
					t.Errorf("answer: %s", st.Raw)
				}
				answers = append(answers, st.To+" "+st.ErrorType+"/"+st.Condition)
			}
			if got := strings.Join(answers, "; "); got != c.answer {
				t.Errorf("answered %q, want %q", got, c.answer)
			}
			if got := r.sink.presences(); got != c.handed {
				t.Errorf("handed over %q, want %q", got, c.handed)
			}
		})
	}
}

// PRES-16, PRES-34: what is read of a resource. What is none of its values is not said.
func TestPresenceShows(t *testing.T) {
	r, conn := memory(t, xmpptest.Options{}, nil)
	r.sink.presences()
	for _, c := range []struct {
		in   string
		want *mapping.Resource
	}{
		{``, nil},
		{`<c xmlns='http://jabber.org/protocol/caps'/><show/><status/><priority>high</priority><priority>200</priority><idle xmlns='urn:xmpp:idle:1' since='yesterday'/>`, nil},
		{`<c xmlns='http://jabber.org/protocol/caps'/>`, nil},
		{`<show> away </show><show>dnd</show><status>one</status><status xml:lang='de'>eins</status><priority> -5 </priority><priority>7</priority>`,
			&mapping.Resource{Show: mapping.ShowAway, Status: []mapping.Text{{Value: "one"}, {Lang: "de", Value: "eins"}}, Priority: -5, HasPriority: true}},
		{`<show>lunch</show><priority>127</priority>`, &mapping.Resource{Priority: 127, HasPriority: true}},
		{`<idle xmlns='urn:xmpp:idle:1' since='2026-11-21T09:08:07Z'/><delay xmlns='urn:xmpp:delay' stamp='2026-11-21T10:00:00Z'/>`,
			&mapping.Resource{Idle: time.Date(2026, 11, 21, 9, 8, 7, 0, time.UTC), Since: time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)}},
		{strings.Repeat(`<status>x</status>`, maxStatuses+1), &mapping.Resource{Status: slices.Repeat([]mapping.Text{{Value: "x"}}, maxStatuses)}},
		{`<show xmlns='urn:x'>away</show><x xmlns='urn:x'><show xmlns='jabber:component:accept'>away</show></x>`, nil},
	} {
		send(t, conn, `<presence xml:lang='en' from='juliet@example.com/b' to='romeo@sip.example.com'>`+c.in+`</presence>`)
		fence(t, conn)
		r.sink.mu.Lock()
		others := r.sink.others
		r.sink.others = nil
		r.sink.mu.Unlock()
		if len(others) != 1 {
			t.Fatalf("%s: %d values", c.in, len(others))
		}
		got := others[0].(*mapping.XMPPPresence)
		if got.Lang != "en" {
			t.Errorf("%s: the language is %q", c.in, got.Lang)
		}
		if diff := cmp.Diff(c.want, got.Shows); diff != "" {
			t.Errorf("%s: %s", c.in, diff)
		}
	}
}

// XEP-0115, XEP-0172: what presence of ours looks like.
func TestPresenceOut(t *testing.T) {
	r, conn := memory(t, xmpptest.Options{}, nil)
	name, contact, user := mapping.MustParseJID("sip.example.com"), mapping.MustParseJID("romeo@sip.example.com"), mapping.MustParseJID("juliet@example.com")
	caps := string(r.Component.srv.Load().caps(nil))
	if !strings.Contains(caps, "http://jabber.org/protocol/caps") {
		t.Fatalf("no caps: %s", caps)
	}
	shows := &mapping.Resource{Show: mapping.ShowDND, Status: []mapping.Text{{Value: "busy & <so>"}, {Lang: "de", Value: "da"}}, Priority: -3, HasPriority: true,
		Idle: time.Date(2026, 11, 21, 9, 8, 7, 0, time.UTC), Since: time.Date(2026, 11, 21, 10, 0, 0, 5e8, time.UTC)}
	failure := &mapping.Failure{Condition: mapping.CondItemNotFound, Type: mapping.TypeCancel, Text: "Nobody <here>."}
	for _, c := range []struct {
		v    mapping.XMPP
		want string
	}{
		{&mapping.XMPPPresence{From: name, To: user, Nick: "Gate"}, `<presence from='sip.example.com' to='juliet@example.com'>` + caps + `</presence>`},
		{&mapping.XMPPPresence{From: name, To: user, Type: mapping.Unavailable}, `<presence from='sip.example.com' to='juliet@example.com' type='unavailable'></presence>`},
		{&mapping.XMPPPresence{From: contact, To: user, Lang: "en", Shows: shows}, `<presence from='romeo@sip.example.com' to='juliet@example.com' xml:lang='en'>` +
			`<show>dnd</show><status>busy &amp; &lt;so&gt;</status><status xml:lang='de'>da</status><priority>-3</priority><idle xmlns='urn:xmpp:idle:1' since='2026-11-21T09:08:07Z'/>` +
			`<delay xmlns='urn:xmpp:delay' from='romeo@sip.example.com' stamp='2026-11-21T10:00:00.5Z'/></presence>`},
		{&mapping.XMPPPresence{From: contact, To: user, Type: mapping.Unavailable, Shows: shows},
			`<presence from='romeo@sip.example.com' to='juliet@example.com' type='unavailable'><status>busy &amp; &lt;so&gt;</status><status xml:lang='de'>da</status></presence>`},
		{&mapping.XMPPPresence{From: contact, To: user, Shows: &mapping.Resource{Show: "lunch"}}, `<presence from='romeo@sip.example.com' to='juliet@example.com'></presence>`},
		{&mapping.XMPPPresence{From: contact, To: user, Type: mapping.Subscribe, Nick: "R<3 & Co"},
			`<presence from='romeo@sip.example.com' to='juliet@example.com' type='subscribe'><nick xmlns='http://jabber.org/protocol/nick'>R&lt;3 &amp; Co</nick></presence>`},
		{&mapping.XMPPPresence{From: contact, To: user, Type: mapping.Subscribed, Nick: "R"}, `<presence from='romeo@sip.example.com' to='juliet@example.com' type='subscribed'></presence>`},
		{&mapping.XMPPPresence{From: contact, To: user, ID: "s", Type: mapping.PresenceError, Failure: failure},
			`<presence from='romeo@sip.example.com' to='juliet@example.com' id='s' type='error'><error type='cancel' by='sip.example.com'>` +
				`<item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/><text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas' xml:lang='en'>Nobody &lt;here&gt;.</text></error></presence>`},
		{&mapping.XMPPIntroduction{From: contact, To: user, Nick: "R"},
			`<presence from='romeo@sip.example.com' to='juliet@example.com' type='subscribe'><nick xmlns='http://jabber.org/protocol/nick'>R</nick></presence>`},
	} {
		r.Deliver(parcels(c.v))
		if got := conn.Next().Raw; got != c.want {
			t.Errorf("%+v:\n got %s\nwant %s", c.v, got, c.want)
		}
	}
	r.sink.waitSettled(9)
	for i, v := range []mapping.XMPP{
		&mapping.XMPPPresence{From: name, To: user, Type: "invisible"},
		&mapping.XMPPPresence{From: name, To: user, Type: mapping.PresenceError},
		&mapping.XMPPPresence{From: name, To: user, Failure: failure},
		&mapping.XMPPPresence{From: name},
		(*mapping.XMPPPresence)(nil),
		(*mapping.XMPPIntroduction)(nil),
		&mapping.XMPPIntroduction{From: contact},
		&mapping.XMPPPresence{From: user, To: contact}, // SEC-16
	} {
		ref := fmt.Sprint("bad", i)
		r.Deliver([]mapping.Parcel[mapping.XMPP]{{Ref: ref, Value: v}})
		r.sink.waitSettled(10 + i)
		if got := r.sink.outcome(t, ref); got.Kind != mapping.Refused {
			t.Errorf("%+v: %v", v, got.Kind)
		}
	}
	if st := fence(t, conn); len(st) != 0 {
		t.Errorf("written: %s", st[0].Raw)
	}
}

// GW-08: that the link is up is told once for each link, under the name that it has.
func TestReady(t *testing.T) {
	r, conn := memory(t, xmpptest.Options{}, nil)
	ready := func() (n int) {
		r.sink.mu.Lock()
		defer r.sink.mu.Unlock()
		for _, v := range r.sink.others {
			if up, ok := v.(*mapping.XMPPReady); ok && up.Name.String() == testDomain {
				n++
			}
		}
		return n
	}
	if n := ready(); n != 1 {
		t.Errorf("told %d times, want once", n)
	}
	conn.Drop()
	accept(t, r.srv)
	if n := ready(); n != 2 {
		t.Errorf("told %d times with the second link, want twice", n)
	}
}

// A message to the gateway itself is for the handler; nobody answers a headline.
func TestMessageToTheGateway(t *testing.T) {
	r, conn := memory(t, xmpptest.Options{}, nil)
	send(t, conn, `<message from='juliet@example.com/b' to='sip.example.com' id='1' type='headline'><body>news</body></message>`+
		`<message from='juliet@example.com/b' to='sip.example.com' id='2' type='groupchat'><body>all</body></message>`+
		`<message from='juliet@example.com/b' to='sip.example.com' id='3' type='chat'><received xmlns='urn:xmpp:receipts' id='x'/></message>`+
		`<message from='juliet@example.com/b' to='sip.example.com/x' id='4' type='chat'><body>help</body></message>`)
	var got []string
	for _, st := range fence(t, conn) {
		got = append(got, st.ID+" "+st.Condition)
	}
	if s := strings.Join(got, "; "); s != "2 service-unavailable" {
		t.Errorf("answers: %s", s)
	}
	if m := r.sink.wait(1); len(m) != 1 || m[0].ID != "4" || m[0].To.String() != "sip.example.com/x" {
		t.Errorf("handed over: %+v", m)
	}
}
