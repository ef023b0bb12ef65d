package component

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stoxgw/stox/internal/xmpptest"
	"github.com/stoxgw/stox/mapping"
)

const (
	grantBoth = `<message from='example.com' to='sip.example.com'><privilege xmlns='urn:xmpp:privilege:2'><perm access='message' type='outgoing'/><perm access='roster' type='both'/></privilege></message>`
	grantOld  = `<message from='example.com' to='sip.example.com' id='p'><privilege xmlns='urn:xmpp:privilege:1'><perm access='roster' type='both'/></privilege></message>`
	askBack   = `<presence from='romeo@sip.example.com' to='juliet@example.com' type='subscribe'><nick xmlns='http://jabber.org/protocol/nick'>Romeo</nick></presence>`
)

// introduce has romeo introduced to a user, and returns what the component writes.
func introduce(t *testing.T, r *rig, conn *xmpptest.Conn, user string) xmpptest.Stanza {
	t.Helper()
	r.Deliver([]mapping.Parcel[mapping.XMPP]{{Ref: "i", Value: &mapping.XMPPIntroduction{
		From: mapping.MustParseJID("romeo@sip.example.com"), To: mapping.MustParseJID(user), Nick: "Romeo"}}})
	return conn.Next()
}

// XEP-0356: the contact goes into the roster where the server lets us, unless it is there.
func TestIntoTheRoster(t *testing.T) {
	for _, c := range []struct{ name, grant, roster, set, want string }{
		{"an empty roster", grantBoth, ``, "result", "set"},
		{"older version", grantOld, ``, "result", "set"},
		{"a roster with others", grantBoth, `<item jid='nurse@example.com' subscription='both'/><item jid='romeo@example.com'/><item jid='@@'/><item/>`, "result", "set"},
		{"it is there", grantBoth, `<item jid='ROMEO@sip.example.com' name='My Romeo' subscription='to'><group>Verona</group></item>`, "", ""},
		{"it cannot be put there", grantBoth, ``, "error", "set, subscribe"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, conn := memory(t, xmpptest.Options{}, nil)
			send(t, conn, c.grant)
			fence(t, conn)
			st := introduce(t, r, conn, "juliet@example.com")
			want := fmt.Sprintf(`<iq from='sip.example.com' to='juliet@example.com' id='%s' type='get'><query xmlns='jabber:iq:roster'/></iq>`, st.ID)
			if st.Raw != want {
				t.Fatalf("asked with %s, want %s", st.Raw, want)
			}
			send(t, conn, `<iq type='result' from='juliet@example.com' to='sip.example.com' id='`+st.ID+`'><query xmlns='jabber:iq:roster' ver='7'>`+c.roster+`</query></iq>`)
			var got []string
			for _, st := range fence(t, conn) {
				if st.Type != "set" {
					t.Fatalf("written: %s", st.Raw)
				}
				got = append(got, "set")
				want := fmt.Sprintf(`<iq from='sip.example.com' to='juliet@example.com' id='%s' type='set'><query xmlns='jabber:iq:roster'>`+
					`<item jid='romeo@sip.example.com' name='Romeo' subscription='none'/></query></iq>`, st.ID)
				if st.Raw != want {
					t.Errorf("set with %s, want %s", st.Raw, want)
				}
				send(t, conn, `<iq type='`+c.set+`' from='juliet@example.com' to='sip.example.com' id='`+st.ID+`'/>`)
				for _, st := range fence(t, conn) {
					if st.Raw != askBack {
						t.Errorf("then %s", st.Raw)
					}
					got = append(got, st.Type)
				}
			}
			if s := strings.Join(got, ", "); s != c.want {
				t.Errorf("wrote %q, want %q", s, c.want)
			}
		})
	}
}

// XEP-0356 §7: only a server may say what we may do, only of its own users, and only one
// that we know; and only the user's own server answers for his roster.
func TestWhoLetsUsIntoRosters(t *testing.T) {
	from := func(jid string) string {
		return strings.Replace(grantBoth, "from='example.com'", "from='"+jid+"'", 1)
	}
	for _, c := range []struct {
		name, said, user string
		asked            bool
	}{
		{"nobody said anything", " ", "juliet@example.com", false},
		{"our server", from("example.com"), "juliet@example.com", true},
		{"our server, of others", from("example.com"), "mercutio@example.org", false},
		{"a server whose users may all use us", from("example.org"), "mercutio@example.org", true},
		{"a server whose users may not", from("evil.example"), "eve@evil.example", false},
		{"a user", from("eve@example.com"), "juliet@example.com", false},
		{"a resource of the server", from("example.com/x"), "juliet@example.com", false},
		{"no sender", from(""), "juliet@example.com", false},
		{"to a contact", strings.Replace(grantBoth, "to='sip", "to='romeo@sip", 1), "juliet@example.com", false},
		{"an error", strings.Replace(grantBoth, "<message", "<message type='error'", 1), "juliet@example.com", false},
		{"may only look", strings.Replace(grantBoth, "'both'", "'get'", 1), "juliet@example.com", false},
		{"may only write", strings.Replace(grantBoth, "'both'", "'set'", 1), "juliet@example.com", false},
		{"withdrawn", grantBoth + strings.Replace(grantBoth, "'both'", "'none'", 1), "juliet@example.com", false},
		{"another namespace", strings.Replace(grantBoth, "privilege:2", "privilege:x", 1), "juliet@example.com", false},
		{"inside of something", `<message from='example.com' to='sip.example.com'><x xmlns='urn:x'><privilege xmlns='urn:xmpp:privilege:2'><perm access='roster' type='both'/></privilege></x></message>`, "juliet@example.com", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, conn := memory(t, xmpptest.Options{}, func(c *Config) {
				c.Allow = func(j mapping.JID) bool {
					return j.Domain() == "example.org" || j.Local() == "juliet" || j.Local() == "fence"
				}
			})
			send(t, conn, c.said)
			if st := fence(t, conn); len(st) != 0 {
				t.Errorf("answered: %s", st[0].Raw)
			}
			st := introduce(t, r, conn, c.user)
			if asked := st.Name == "iq"; asked != c.asked || st.To != c.user {
				t.Errorf("introduced with %s", st.Raw)
			}
		})
	}
}

// Other servers cannot take the place of the one that we are connected to.
func TestManyServersLetUsIn(t *testing.T) {
	r, conn := memory(t, xmpptest.Options{}, nil)
	for i := range maxGranted + 1 {
		send(t, conn, strings.Replace(grantBoth, "from='example.com'", fmt.Sprintf("from='d%d.example'", i), 1))
	}
	send(t, conn, grantBoth)
	fence(t, conn)
	for user, want := range map[string]string{
		"juliet@example.com": "iq", "u@d0.example": "iq", fmt.Sprintf("u@d%d.example", maxGranted): "presence",
	} {
		if st := introduce(t, r, conn, user); st.Name != want {
			t.Errorf("introduced with %s, want %s", st.Raw, want)
		}
	}
}

// Answers of others, answers to nothing, and what cannot be read.
func TestRosterAnswers(t *testing.T) {
	for _, c := range []struct{ name, from, answer, want string }{
		{"of the user's device", "juliet@example.com/b", `type='result'`, ""},
		{"of somebody else", "eve@example.com", `type='result'`, ""},
		{"of the server", "example.com", `type='result'`, ""},
		{"error", "juliet@example.com", `type='error'`, "subscribe"},
		{"nothing in it", "juliet@example.com", `type='result'`, "set"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, conn := memory(t, xmpptest.Options{}, nil)
			send(t, conn, grantBoth)
			fence(t, conn)
			st := introduce(t, r, conn, "juliet@example.com")
			answer := fmt.Sprintf(`<iq from='%s' to='sip.example.com' id='%s' %s/>`, c.from, st.ID, c.answer)
			send(t, conn, answer+answer)
			var got []string
			for _, st := range fence(t, conn) {
				got = append(got, st.Type)
			}
			if s := strings.Join(got, ", "); s != c.want {
				t.Errorf("wrote %q, want %q", s, c.want)
			}
		})
	}

	t.Run("a roster that is too big", func(t *testing.T) {
		r, conn := memory(t, xmpptest.Options{}, nil)
		send(t, conn, grantBoth)
		fence(t, conn)
		st := introduce(t, r, conn, "juliet@example.com")
		send(t, conn, `<iq type='result' from='juliet@example.com' to='sip.example.com' id='`+st.ID+`'><query xmlns='jabber:iq:roster'>`+
			strings.Repeat("<item jid='a@example.com'/>", maxElements)+`</query></iq>`)
		if got := fence(t, conn); len(got) != 1 || got[0].Raw != askBack {
			t.Errorf("wrote %v, want a subscription request", got)
		}
	})

	t.Run("questions are bounded, and end with the link", func(t *testing.T) {
		r, conn := memory(t, xmpptest.Options{}, nil)
		send(t, conn, grantBoth)
		fence(t, conn)
		first := introduce(t, r, conn, "juliet@example.com")
		var last xmpptest.Stanza
		for i := range maxAsked {
			last = introduce(t, r, conn, fmt.Sprintf("user%d@example.com", i))
		}
		for _, c := range []struct {
			st   xmpptest.Stanza
			want int
		}{{first, 0}, {last, 1}} {
			send(t, conn, `<iq type='error' from='`+c.st.To+`' to='sip.example.com' id='`+c.st.ID+`'/>`)
			if got := fence(t, conn); len(got) != c.want {
				t.Errorf("%s: wrote %v, want %d", c.st.To, got, c.want)
			}
		}
		conn.Drop()
		conn = accept(t, r.srv)
		if st := introduce(t, r, conn, "juliet@example.com"); st.Raw != askBack {
			t.Errorf("a new link has the rights of the old one: %s", st.Raw)
		}
	})
}
