package component

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stoxgw/stox/internal/xmpptest"
	"github.com/stoxgw/stox/mapping"
)

// withCommands is withServices with commands, of which an admin has one more, and registration.
func withCommands(t testing.TB) func(*Config) {
	return func(c *Config) {
		withServices(t)(c)
		c.Register = true
		c.Commands = func(from mapping.JID, lang string) []mapping.CommandItem {
			items := []mapping.CommandItem{{Node: "account", Name: "Your <account>"}, {Node: "lookup", Name: "Look up"}}
			if strings.HasPrefix(lang, "de") {
				items[1].Name = "Nachschlagen"
			}
			if from.Local() == "admin" {
				items = append(items, mapping.CommandItem{Node: "http://jabber.org/protocol/admin#get-registered-users-num", Name: "Users"})
			}
			return items
		}
	}
}

const commandNS = ` xmlns='http://jabber.org/protocol/commands'`

// command is a whole iq with a command.
func command(id, attrs, inner string) string {
	return fmt.Sprintf(`<iq type='set' from='%s' to='%s' id='%s'><command%s%s>%s</command></iq>`, iqFrom, gateway, id, commandNS, attrs, inner)
}

// TestCommandRead: GW-24. What of a command reaches the handler.
func TestCommandRead(t *testing.T) {
	r, conn := memory(t, xmpptest.Options{}, withCommands(t))
	me, us := mapping.MustParseJID(iqFrom), mapping.MustParseJID(gateway)
	for _, c := range []struct {
		name, in string
		want     mapping.XMPPCommand
	}{
		{"bare", command("c1", ` node='account'`, ""), mapping.XMPPCommand{ID: "c1", Node: "account", Action: "execute"}},
		{"with all", `<iq type='set' xml:lang='fr' from='` + iqFrom + `' to='` + gateway + `' id='c2'><command` + commandNS + ` node='account' sessionid='s 1' action='next' status='executing' xml:lang='de-AT'>
			<note type='info'>x</note><actions><next/></actions>
			<x xmlns='jabber:x:data' type='submit'><title>t</title><field var='FORM_TYPE' type='hidden'><value>urn:x</value></field>
			<field var='lines'><value>one</value><value> two </value></field><field var='none'/><field var='list'><option label='l'><value>no</value></option><value>yes</value></field>
			<x xmlns='urn:odd'/></x><x xmlns='urn:odd'/></command></iq>`,
			mapping.XMPPCommand{ID: "c2", Lang: "de-AT", Node: "account", Session: "s 1", Action: "next", Form: &mapping.Form{Type: "submit", Fields: []mapping.Field{
				{Var: "FORM_TYPE", Type: "hidden", Values: []string{"urn:x"}}, {Var: "lines", Values: []string{"one", " two "}}, {Var: "none"}, {Var: "list", Values: []string{"yes"}},
			}}}},
		{"language of the stanza", `<iq type='set' xml:lang='de' from='` + iqFrom + `' to='` + gateway + `' id='c3'><command` + commandNS + ` node='n' action='cancel'/></iq>`,
			mapping.XMPPCommand{ID: "c3", Lang: "de", Node: "n", Action: "cancel"}},
		{"prev", command("c4", ` node='n' sessionid='s' action='prev'`, ""), mapping.XMPPCommand{ID: "c4", Node: "n", Session: "s", Action: "prev"}},
		{"complete", command("c5", ` node='n' action='complete'`, `<x xmlns='jabber:x:data' type='cancel'/>`), mapping.XMPPCommand{ID: "c5", Node: "n", Action: "complete", Form: &mapping.Form{Type: "cancel"}}},
		{"values keep their white space and markup", command("c6", ` node='n'`, "<x xmlns='jabber:x:data' type='submit'><field var='p'><value> &lt;p&amp;\u202e\n </value></field></x>"),
			mapping.XMPPCommand{ID: "c6", Node: "n", Action: "execute", Form: &mapping.Form{Type: "submit", Fields: []mapping.Field{{Var: "p", Values: []string{" <p&\u202e\n "}}}}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			send(t, conn, c.in)
			if got := fence(t, conn); len(got) != 0 {
				t.Fatalf("answered %s", got[0].Raw)
			}
			c.want.From, c.want.To = me, us
			if d := cmp.Diff([]mapping.XMPP{&c.want}, r.sink.inquiries(), cmp.Comparer(func(a, b mapping.JID) bool { return a == b })); d != "" {
				t.Errorf("-want +got\n%s", d)
			}
			reply := &mapping.XMPPCommandReply{From: us, To: me, ID: c.want.ID, Node: "n", Status: "completed"}
			r.Deliver(parcels(reply))
			if got := conn.Next(); got.ID != c.want.ID || got.Type != "result" {
				t.Errorf("got %s", got.Raw)
			}
		})
	}
}

// What makes no sense is refused here; the condition of XEP-0050 §4.4 stands behind ours.
func TestCommandRefused(t *testing.T) {
	r, conn := memory(t, xmpptest.Options{}, withCommands(t))
	form := func(inner string) string {
		return `<iq type='set'><command` + commandNS + ` node='n'>` + inner + `</command></iq>`
	}
	for _, c := range []struct {
		iqCase
		app string
	}{
		{iqCase{"odd action", gateway, `<iq type='set'><command` + commandNS + ` node='n' action='dance'/></iq>`, "error", "modify/bad-request"}, "malformed-action"},
		{iqCase{"action in capitals", gateway, `<iq type='set'><command` + commandNS + ` node='n' action='Execute'/></iq>`, "error", "modify/bad-request"}, "malformed-action"},
		{iqCase{"no node", gateway, `<iq type='set'><command` + commandNS + `/></iq>`, "error", "modify/bad-request"}, ""},
		{iqCase{"get", gateway, `<command` + commandNS + ` node='n'/>`, "error", "modify/bad-request"}, ""},
		{iqCase{"form to fill in", gateway, form(`<x xmlns='jabber:x:data' type='form'/>`), "error", "modify/bad-request"}, "bad-payload"},
		{iqCase{"form without a type", gateway, form(`<x xmlns='jabber:x:data'/>`), "error", "modify/bad-request"}, "bad-payload"},
		{iqCase{"two forms", gateway, form(strings.Repeat(`<x xmlns='jabber:x:data' type='submit'/>`, 2)), "error", "modify/bad-request"}, "bad-payload"},
		{iqCase{"elements in a value", gateway, form(`<x xmlns='jabber:x:data' type='submit'><field var='v'><value>a<b/></value></field></x>`), "error", "modify/bad-request"}, "bad-payload"},
		{iqCase{"101 fields", gateway, form(`<x xmlns='jabber:x:data' type='submit'>` + strings.Repeat(`<field var='v'/>`, 101) + `</x>`), "error", "modify/bad-request"}, "bad-payload"},
		{iqCase{"1000 fields", gateway, form(`<x xmlns='jabber:x:data' type='submit'>` + strings.Repeat(`<field var='v'/>`, 1000) + `</x>`), "error", "modify/bad-request"}, "bad-payload"},
		{iqCase{"a huge value", gateway, form(`<x xmlns='jabber:x:data' type='submit'><field var='v'><value>` + strings.Repeat("x", 256<<10) + `</value></field></x>`), "error", "modify/policy-violation"}, ""},
		{iqCase{"another namespace", gateway, `<iq type='set'><command xmlns='urn:odd' node='n'/></iq>`, "error", "cancel/service-unavailable"}, ""},
		{iqCase{"resource", gateway + "/x", form(""), "error", "cancel/service-unavailable"}, ""},
		{iqCase{"contact", romeo, form(""), "error", "cancel/service-unavailable"}, ""},
		{iqCase{"device of a contact", romeo + "/r", form(""), "error", "cancel/service-unavailable"}, ""},
		{iqCase{"two commands", gateway, `<iq type='set'><command` + commandNS + ` node='n'/><command` + commandNS + ` node='n'/></iq>`, "error", "modify/bad-request"}, ""},
		{iqCase{"result", gateway, `<iq type='result'><command` + commandNS + ` node='n'/></iq>`, "", ""}, ""},
		{iqCase{"error", gateway, `<iq type='error'><command` + commandNS + ` node='n'/></iq>`, "", ""}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.run(t, conn)
			if c.app == "" {
				return
			}
			send(t, conn, strings.Replace(c.in, "<iq ", `<iq from='`+iqFrom+`' to='`+gateway+`' id='i2' `, 1))
			if got := conn.Next(); !strings.HasSuffix(got.Raw, "</text><"+c.app+commandNS+"/></error></iq>") {
				t.Errorf("got %s", got.Raw)
			}
		})
	}
	t.Run("no id", func(t *testing.T) {
		checkAnswer(t, conn, `<iq type='set' from='`+iqFrom+`' to='`+gateway+`'><command`+commandNS+` node='n'/></iq>`, iqCase{typ: "error", want: "modify/bad-request"})
	})
	t.Run("2000 fields", func(t *testing.T) {
		send(t, conn, command("i3", ` node='n'`, `<x xmlns='jabber:x:data' type='submit'>`+strings.Repeat(`<field var='v'/>`, 2000)+`</x>`))
		if got := fence(t, conn); len(got) != 1 || got[0].ID != "i3" || got[0].Condition != "policy-violation" {
			t.Errorf("got %v", got)
		}
	})
	for _, in := range []string{form(""), `<iq type='get'><query xmlns='jabber:iq:register'/></iq>`, `<iq type='set'><query xmlns='jabber:iq:register'><remove/></query></iq>`} {
		checkAnswer(t, conn, strings.Replace(in, "<iq ", `<iq from='mallory@evil.example/b' to='`+gateway+`' id='s' `, 1), iqCase{typ: "error", want: "auth/forbidden"})
	}
	if got := r.sink.inquiries(); len(got) != 0 {
		t.Errorf("the handler was given %+v", got[0])
	}
}

// As long as there are no commands there is no word of them.
func TestNoCommands(t *testing.T) {
	r, conn := memory(t, xmpptest.Options{}, withServices(t))
	for _, c := range []iqCase{
		{"command", gateway, `<iq type='set'><command` + commandNS + ` node='n'/></iq>`, "error", "cancel/service-unavailable"},
		{"get of a command", gateway, `<command` + commandNS + ` node='n'/>`, "error", "cancel/service-unavailable"},
		{"registration", gateway, `<iq type='set'><query xmlns='jabber:iq:register'><remove/></query></iq>`, "error", "cancel/service-unavailable"},
		{"the list", gateway, `<query xmlns='http://jabber.org/protocol/disco#info' node='http://jabber.org/protocol/commands'/>`, "error", "cancel/item-not-found"},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, conn) })
	}
	if got := r.sink.inquiries(); len(got) != 0 {
		t.Errorf("the handler was given %+v", got[0])
	}
}

// TestCommandDisco: GW-13, GW-14, GW-25. Everybody sees his own commands and no other.
func TestCommandDisco(t *testing.T) {
	_, conn := memory(t, xmpptest.Options{}, withCommands(t))
	const (
		items = `<query xmlns='http://jabber.org/protocol/disco#items'`
		info  = `<query xmlns='http://jabber.org/protocol/disco#info'`
		list  = ` node='http://jabber.org/protocol/commands'`
		adm   = ` node='http://jabber.org/protocol/admin#get-registered-users-num'`
		item  = `<item jid='sip.example.com'`
	)
	own := item + ` node='account' name='Your &lt;account&gt;'/>` + item + ` node='lookup' name='`
	command := `<feature var='http://jabber.org/protocol/commands'/><feature var='jabber:x:data'/></query>`
	for _, c := range []struct{ name, from, lang, to, in, want string }{
		{"items", "juliet", "", gateway, items + `/>`, items + `>` + item + list + `/></query>`},
		{"items of a resource", "juliet", "", gateway + "/x", items + list + `/>`, items + list + `>` + own + `Look up'/></query>`},
		{"list", "juliet", "", gateway, items + list + `/>`, items + list + `>` + own + `Look up'/></query>`},
		{"list in German", "juliet", "de-CH", gateway, items + list + `/>`, items + list + `>` + own + `Nachschlagen'/></query>`},
		{"list of an admin", "admin", "", gateway, items + list + `/>`, items + list + `>` + own + `Look up'/>` + item + adm + ` name='Users'/></query>`},
		{"the list itself", "juliet", "", gateway, info + list + `/>`, info + list + `><identity category='automation' type='command-list'/>` + command},
		{"a command", "juliet", "de", gateway, info + ` node='lookup'/>`, info + ` node='lookup'><identity category='automation' type='command-node' name='Nachschlagen'/>` + command},
		{"an admin's command", "admin", "", gateway, info + adm + `/>`, info + adm + `><identity category='automation' type='command-node' name='Users'/>` + command},
		{"an admin's command for others", "juliet", "", gateway, info + adm + `/>`, ""},
		{"no command", "juliet", "", gateway, info + ` node='accoun'/>`, ""},
		{"items of a command", "juliet", "", gateway, items + ` node='lookup'/>`, ""},
		{"of a contact", "juliet", "", romeo, info + list + `/>`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := fmt.Sprintf(`<iq type='get' from='%s@example.com/b' to='%s' id='i' xml:lang='%s'>%s</iq>`, c.from, c.to, c.lang, c.in)
			want := iqCase{typ: "result", want: c.want}
			if c.want == "" {
				want = iqCase{typ: "error", want: "cancel/item-not-found"}
			}
			checkAnswer(t, conn, in, want)
		})
	}
	send(t, conn, `<iq type='get' id='i' from='juliet@example.com' to='sip.example.com'>`+askInfo+`</iq>`)
	if got := conn.Next(); !strings.Contains(got.Raw, features("http://jabber.org/protocol/commands")) || !strings.Contains(got.Raw, features("jabber:iq:register")) {
		t.Errorf("features: %s", got.Raw)
	}
}

// Somebody who has no command is not told of a list.
func TestNobodysCommands(t *testing.T) {
	_, conn := memory(t, xmpptest.Options{}, func(c *Config) {
		c.Commands = func(mapping.JID, string) []mapping.CommandItem { return nil }
	})
	const items = `<query xmlns='http://jabber.org/protocol/disco#items'`
	iqCase{"items", gateway, items + `/>`, "result", items + `></query>`}.run(t, conn)
	iqCase{"list", gateway, items + ` node='http://jabber.org/protocol/commands'/>`, "result", items + ` node='http://jabber.org/protocol/commands'></query>`}.run(t, conn)
}

// What is announced follows a change, and so does what is taken.
func TestChangeOfCommands(t *testing.T) {
	var cfg Config
	r, conn := memory(t, xmpptest.Options{}, func(c *Config) { withServices(t)(c); cfg = *c })
	ask := func(in string) xmpptest.Stanza {
		t.Helper()
		send(t, conn, `<iq from='`+iqFrom+`' to='`+gateway+`' id='i' `+in+`</iq>`)
		return conn.Next()
	}
	before := r.Component.srv.Load().gatewayVer
	withCommands(t)(&cfg)
	cfg.PromptTexts = func(lang string) (string, string) { return "Adresse <" + lang + ">", "SIP-Adresse" }
	if !r.Change(cfg) || r.Component.srv.Load().gatewayVer == before {
		t.Error("commands and registration are no other gateway")
	}
	if got := ask(`type='get'>` + askInfo); !strings.Contains(got.Raw, nsCommands) || !strings.Contains(got.Raw, nsRegister) {
		t.Errorf("features: %s", got.Raw)
	}
	if got := ask(`type='get' xml:lang='de'>` + askPrompt); !strings.Contains(got.Raw, `<query xmlns='jabber:iq:gateway'><desc>Adresse &lt;de&gt;</desc><prompt>SIP-Adresse</prompt></query>`) {
		t.Errorf("prompt: %s", got.Raw)
	}
	send(t, conn, command("c", ` node='n'`, ""))
	fence(t, conn)
	if got := r.sink.inquiries(); len(got) != 1 {
		t.Errorf("%d commands", len(got))
	}
	cfg.Commands = nil
	if !r.Change(cfg) {
		t.Error("the gateway is said to be the same without commands")
	}
	if got := ask(`type='set'><command` + commandNS + ` node='n'/>`); got.Condition != "service-unavailable" {
		t.Errorf("command: %s", got.Raw)
	}
	// What was taken before is still answered.
	r.Deliver(parcels(&mapping.XMPPCommandReply{From: mapping.MustParseJID(gateway), To: mapping.MustParseJID(iqFrom), ID: "c", Node: "n", Status: "completed"}))
	if got := conn.Next(); got.ID != "c" || got.Type != "result" {
		t.Errorf("got %s", got.Raw)
	}
	cfg.Register = false
	if !r.Change(cfg) {
		t.Error("the gateway is said to be the same without registration")
	}
	if got := ask(`type='get'><query xmlns='jabber:iq:register'/>`); got.Condition != "service-unavailable" {
		t.Errorf("registration: %s", got.Raw)
	}
}
