package component

import (
	"strings"
	"testing"

	"github.com/stoxgw/stox/internal/xmpptest"
	"github.com/stoxgw/stox/mapping"
)

// TestIQ: GW-01, GW-11 to GW-16, SEC-13. Every get and set has exactly one answer.
func TestIQ(t *testing.T) {
	r, conn := memory(t, xmpptest.Options{}, func(c *Config) {
		c.Name, c.Version = "Bob's <gateway>", "1.2"
		c.Allow = func(j mapping.JID) bool { return j.Domain() == "example.com" }
	})
	const (
		info  = `<query xmlns='http://jabber.org/protocol/disco#info'/>`
		items = `<query xmlns='http://jabber.org/protocol/disco#items'/>`
		ping  = `<ping xmlns='urn:xmpp:ping'/>`
		ver   = `<query xmlns='jabber:iq:version'/>`
		infoR = `<query xmlns="http://jabber.org/protocol/disco#info"><identity name="Bob&#39;s &lt;gateway&gt;" category="gateway" type="simple"></identity>` +
			`<feature var="http://jabber.org/protocol/disco#info"></feature><feature var="http://jabber.org/protocol/disco#items"></feature>` +
			`<feature var="jabber:iq:version"></feature><feature var="jid\20escaping"></feature><feature var="urn:xmpp:ping"></feature></query>`
	)
	get := func(to, inner string) string {
		return `<iq type='get' id='i1' from='juliet@example.com/b' to='` + to + `'>` + inner + `</iq>`
	}
	for _, tt := range []struct{ name, in, typ, want string }{ // want: payload of a result, type/condition of an error
		{"info", get("sip.example.com", info), "result", infoR},
		{"info of a resource", get("sip.example.com/x", info), "result", infoR},
		{"info of a node", get("sip.example.com", `<query xmlns='http://jabber.org/protocol/disco#info' node='n'/>`), "error", "cancel/item-not-found"},
		{"items", get("sip.example.com", items), "result", `<query xmlns="http://jabber.org/protocol/disco#items"></query>`},
		{"items of a node", get("sip.example.com", `<query xmlns='http://jabber.org/protocol/disco#items' node='http://jabber.org/protocol/commands'/>`), "error", "cancel/item-not-found"},
		{"ping", get("sip.example.com", ping), "result", ""},
		{"version", get("sip.example.com", ver), "result", `<query xmlns="jabber:iq:version"><name>stox</name><version>1.2</version></query>`},
		{"unknown payload", get("sip.example.com", `<query xmlns='urn:odd'/>`), "error", "cancel/service-unavailable"},
		{"vcard", get("sip.example.com", `<vCard xmlns='vcard-temp'/>`), "error", "cancel/service-unavailable"},
		{"set", strings.Replace(get("sip.example.com", ver), "get", "set", 1), "error", "cancel/service-unavailable"},
		{"contact, info", get("romeo@sip.example.com", info), "error", "cancel/service-unavailable"},
		{"contact, ping", get("romeo@sip.example.com/r", ping), "error", "cancel/service-unavailable"},
		{"contact, bad address", get("@sip.example.com", ping), "error", "modify/jid-malformed"},
		{"no child", get("sip.example.com", ""), "error", "modify/bad-request"},
		{"two children", get("sip.example.com", ping+ping), "error", "modify/bad-request"},
		{"text only", get("sip.example.com", "x"), "error", "modify/bad-request"},
		{"no id", strings.Replace(get("sip.example.com", ping), " id='i1'", "", 1), "error", "modify/bad-request"},
		{"no type", strings.Replace(get("sip.example.com", ping), " type='get'", "", 1), "error", "modify/bad-request"},
		{"odd type", strings.Replace(get("sip.example.com", ping), "get", "give", 1), "error", "modify/bad-request"},
		{"result", strings.Replace(get("sip.example.com", ""), "get", "result", 1), "", ""},
		{"error", strings.Replace(get("sip.example.com", ping), "get", "error", 1), "", ""},
		{"stranger", strings.Replace(get("sip.example.com", info), "example.com/b", "evil.example.net/b", 1), "error", "auth/forbidden"},
		{"stranger to a contact", strings.Replace(get("romeo@sip.example.com", info), "example.com/b", "evil.example.net/b", 1), "error", "auth/forbidden"},
		{"stranger, malformed", strings.Replace(get("sip.example.com", ""), "example.com/b", "evil.example.net/b", 1), "error", "auth/forbidden"},
		{"result of a stranger", strings.NewReplacer("example.com/b", "evil.example.net/b", "get", "result").Replace(get("sip.example.com", info)), "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			send(t, conn, tt.in)
			got := fence(t, conn)
			if tt.typ == "" {
				if len(got) != 0 {
					t.Errorf("answered %s", got[0].Raw)
				}
				return
			}
			if len(got) != 1 {
				t.Fatalf("%d answers", len(got))
			}
			st := got[0]
			asked := parse(t, strings.Replace(tt.in, "<iq", "<iq xmlns='jabber:component:accept'", 1))
			if st.Type != tt.typ || st.ID != asked.attr("id") || st.To != asked.attr("from") {
				t.Errorf("answer is %s", st.Raw)
			}
			if to := asked.attr("to"); to != "@sip.example.com" && st.From != to {
				t.Errorf("answer comes from %s", st.From)
			}
			if tt.typ == "error" {
				if s := st.ErrorType + "/" + st.Condition; s != tt.want {
					t.Errorf("got %s, want %s", s, tt.want)
				}
				return
			}
			_, rest, _ := strings.Cut(st.Raw, ">")
			if inner := strings.TrimSuffix(rest, "</iq>"); inner != tt.want {
				t.Errorf("\n got %s\nwant %s", inner, tt.want)
			}
		})
	}
	if n, _ := r.sink.count(); n != 0 {
		t.Error("an iq reached the handler")
	}
}

// A ping from our own name that this link has not sent is answered like any other.
func TestForeignPingFromOurDomain(t *testing.T) {
	_, conn := memory(t, xmpptest.Options{NoEcho: true}, nil)
	send(t, conn, `<iq type='get' from='sip.example.com' to='sip.example.com' id='x-1'><ping xmlns='urn:xmpp:ping'/></iq>`)
	if st := conn.Next(); st.ID != "x-1" || st.Type != "result" || st.To != testDomain {
		t.Errorf("got %s", st.Raw)
	}
}
