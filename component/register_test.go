package component

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stoxgw/stox/internal/xmpptest"
	"github.com/stoxgw/stox/mapping"
)

// TestRegisterRead: GW-19, GW-20. What of a registration reaches the handler.
func TestRegisterRead(t *testing.T) {
	r, conn := memory(t, xmpptest.Options{}, withCommands(t))
	me, us := mapping.MustParseJID(iqFrom), mapping.MustParseJID(gateway)
	field := func(name, value string) mapping.Field { return mapping.Field{Var: name, Values: []string{value}} }
	for _, c := range []struct {
		name, typ, inner string
		want             mapping.XMPPRegister
	}{
		{"get", "get", "", mapping.XMPPRegister{}},
		{"get with something in it", "get", "<username>x</username>", mapping.XMPPRegister{}},
		{"set of nothing", "set", "", mapping.XMPPRegister{Set: true}},
		{"fields", "set", "<username> juliet@example.org </username><password> s3 &lt;cret </password><odd/><x xmlns='urn:odd'/><email/>", mapping.XMPPRegister{Set: true, More: true,
			Fields: []mapping.Field{field("username", " juliet@example.org "), field("password", " s3 <cret "), field("email", "")}}},
		{"form", "set", "<x xmlns='jabber:x:data' type='submit'><field var='username'><value>j</value></field></x>", mapping.XMPPRegister{Set: true, More: true,
			Form: &mapping.Form{Type: "submit", Fields: []mapping.Field{field("username", "j")}}}},
		{"form that was put away", "set", "<x xmlns='jabber:x:data' type='cancel'/>", mapping.XMPPRegister{Set: true, More: true, Form: &mapping.Form{Type: "cancel"}}},
		{"remove", "set", "<remove/>", mapping.XMPPRegister{Set: true, Remove: true}},
		{"remove and more", "set", "<remove/><username>j</username>", mapping.XMPPRegister{Set: true, Remove: true, More: true, Fields: []mapping.Field{field("username", "j")}}},
		{"remove and something else", "set", "<x xmlns='urn:odd'/><remove/>", mapping.XMPPRegister{Set: true, Remove: true, More: true}},
		{"another namespace", "set", "<remove xmlns='urn:odd'/><username xmlns='urn:odd'>j</username>", mapping.XMPPRegister{Set: true, More: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			send(t, conn, `<iq type='`+c.typ+`' xml:lang='de' from='`+iqFrom+`' to='`+gateway+`' id='r1'><query xmlns='jabber:iq:register'>`+c.inner+`</query></iq>`)
			if got := fence(t, conn); len(got) != 0 {
				t.Fatalf("answered %s", got[0].Raw)
			}
			c.want.From, c.want.To, c.want.ID, c.want.Lang = me, us, "r1", "de"
			if d := cmp.Diff([]mapping.XMPP{&c.want}, r.sink.inquiries(), cmp.Comparer(func(a, b mapping.JID) bool { return a == b })); d != "" {
				t.Errorf("-want +got\n%s", d)
			}
			r.Deliver(parcels(&mapping.XMPPRegisterReply{From: us, To: me, ID: "r1"}))
			if got := conn.Next(); got.Raw != `<iq from='sip.example.com' to='juliet@example.com/b' id='r1' type='result'></iq>` {
				t.Errorf("got %s", got.Raw)
			}
		})
	}
	if strings.Contains(r.log.String(), "s3 ") {
		t.Error("a password is in the log (SEC-14)")
	}
}

// What makes no sense is refused here.
func TestRegisterRefused(t *testing.T) {
	r, conn := memory(t, xmpptest.Options{}, withCommands(t))
	set := func(inner string) string {
		return `<iq type='set'><query xmlns='jabber:iq:register'>` + inner + `</query></iq>`
	}
	for _, c := range []iqCase{
		{"a field twice", gateway, set("<username>a</username><username>b</username>"), "error", "modify/bad-request"},
		{"elements in a field", gateway, set("<password>a<b/></password>"), "error", "modify/bad-request"},
		{"two forms", gateway, set(strings.Repeat("<x xmlns='jabber:x:data' type='submit'/>", 2)), "error", "modify/bad-request"},
		{"form to fill in", gateway, set("<x xmlns='jabber:x:data' type='form'/>"), "error", "modify/bad-request"},
		{"contact", romeo, set("<username>a</username>"), "error", "cancel/service-unavailable"},
		{"contact, get", romeo, "<query xmlns='jabber:iq:register'/>", "error", "cancel/service-unavailable"},
		{"resource", gateway + "/x", "<query xmlns='jabber:iq:register'/>", "error", "cancel/service-unavailable"},
		{"another name", gateway, "<register xmlns='jabber:iq:register'/>", "error", "cancel/service-unavailable"},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, conn) })
	}
	if got := r.sink.inquiries(); len(got) != 0 {
		t.Errorf("the handler was given %+v", got[0])
	}
}
