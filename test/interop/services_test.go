//go:build interop

package interop

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stoxgw/stox/test/stage"
)

// What the parts of the report are called here.
const (
	ofGateway = "of the gateway: "
	ofContact = "of a contact: "
)

// GW-11 to GW-16, GW-27, ADDR-24: what a client asks of the gateway and of contacts
// is answered, as the client's own extensions want it.
func TestServices(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, server string) {
		w := newWorld(t, server)
		w.runWith("[access]\nallow = [\"juliet@"+w.domain+"\"]\n", via("*", 9, "udp"))
		c := w.login(juliet)
		contact, elsewhere := "romeo@"+w.component, `romeo\40example.org@`+w.component
		ask := func(what, to, node string) stage.Answer {
			t.Helper()
			a, err := c.Ask(w.ctx, what, to, node)
			w.must(err)
			return a
		}

		info := ask("info", w.component, "")
		if want := []string{"gateway/simple SIP gateway"}; !slices.Equal(info.Identities, want) {
			t.Errorf("the gateway is %q, want %q", info.Identities, want)
		}
		for _, f := range []string{"http://jabber.org/protocol/disco#info", "http://jabber.org/protocol/disco#items", "http://jabber.org/protocol/caps", "jabber:iq:gateway",
			"jabber:iq:last", "jabber:iq:version", `jid\20escaping`, "urn:xmpp:ping", "vcard-temp", "urn:ietf:params:xml:ns:vcard-4.0", nsCommands} {
			if !slices.Contains(info.Features, f) {
				t.Errorf("the gateway does not announce %s", f)
			}
		}
		if slices.Contains(info.Features, "jabber:iq:register") {
			t.Error("the gateway announces registration, which it has not")
		}
		if a := ask("items", w.component, ""); a.Condition != "" || !slices.Equal(a.Items, []string{w.component}) {
			t.Errorf("items: %+v", a) // the list of commands
		}
		if a := ask("items", w.component, nsCommands); a.Condition != "" || len(a.Items) < 2 || len(slices.Compact(a.Items)) != 1 || a.Items[0] != w.component {
			t.Errorf("commands: %+v", a)
		}
		for node, want := range map[string]string{nsCommands: "automation/command-list ", "lookup": "automation/command-node Look up an address"} {
			if a := ask("info", w.component, node); !slices.Equal(a.Identities, []string{want}) || !slices.Equal(a.Features, []string{nsCommands, "jabber:x:data"}) {
				t.Errorf("%s: %+v", node, a)
			}
		}
		for _, what := range []string{"info", "items"} {
			if a := ask(what, w.component, "nothing"); a.Condition != "item-not-found" {
				t.Errorf("%s of a node that is none: %+v", what, a)
			}
		}
		if a := ask("version", w.component, ""); a.Name != "stox" || a.Version == "" || a.OS != "" {
			t.Errorf("version: %+v", a)
		}
		if a := ask("last", w.component, ""); a.Condition != "" || a.Seconds < 0 || a.Seconds > 3600 {
			t.Errorf("last activity: %+v", a)
		}
		if a := ask("vcard", w.component, ""); a.Name != "SIP gateway" {
			t.Errorf("vCard: %+v", a)
		}
		if a := ask("ping", w.component, ""); a.Condition != "" {
			t.Errorf("ping: %+v", a)
		}

		// A contact, under its bare address and under that of a device.
		for _, x := range []struct{ to, identity string }{
			{contact, "account/registered sip:romeo@sip.test"}, {contact + "/phone", "client/phone "},
			{elsewhere, "account/registered sip:romeo@example.org"},
		} {
			a := ask("info", x.to, "")
			if !slices.Equal(a.Identities, []string{x.identity}) || !slices.Contains(a.Features, "urn:xmpp:receipts") || !slices.Contains(a.Features, "urn:xmpp:chat-markers:0") {
				t.Errorf("%s is %q with %q", x.to, a.Identities, a.Features)
			}
		}
		if a := ask("info", contact, "nothing"); a.Condition != "item-not-found" {
			t.Errorf("a node of a contact that is none: %+v", a)
		}
		if a := ask("vcard", contact, ""); a.Name != "romeo@sip.test" || a.URL != "sip:romeo@sip.test" || len(a.Numbers) != 0 {
			t.Errorf("vCard of a contact: %+v", a)
		}
		if a := ask("ping", contact, ""); a.Condition != "" {
			t.Errorf("ping of a contact: %+v", a)
		}
		for _, what := range []string{"version", "last", "items"} {
			if a := ask(what, contact, ""); a.Condition != "service-unavailable" {
				t.Errorf("%s of a contact: %+v", what, a)
			}
		}
		for _, what := range []string{"info", "vcard", "ping"} {
			if a := ask(what, `romeo\40@`+w.component, ""); a.Condition != "jid-malformed" {
				t.Errorf("%s of what is no address: %+v", what, a)
			}
		}

		for _, q := range []struct{ to, ask, want string }{ // what this client has no extension for
			{w.component, "<vcard xmlns='urn:ietf:params:xml:ns:vcard-4.0'/>", "<ns0:fn><ns0:text>SIP gateway</ns0:text></ns0:fn>"},
			{contact, "<vcard xmlns='urn:ietf:params:xml:ns:vcard-4.0'/>", "sip:romeo@sip.test"},
		} {
			if st := w.query(c, "get", q.to, q.ask); st.Type != "result" || !strings.Contains(strings.NewReplacer("ns1:", "", "ns0:", "").Replace(st.Raw), strings.ReplaceAll(q.want, "ns0:", "")) {
				t.Errorf("%s: %s", q.ask, st.Raw)
			}
		}

		// The server shows the gateway to its users.
		if a := ask("items", w.domain, ""); !slices.Contains(a.Items, w.component) {
			t.Errorf("the server lists %q", a.Items)
		}

		// Who may not use the gateway is told that, and nothing else.
		stranger := w.login(romeo)
		for _, to := range []string{w.component, contact, contact + "/phone"} {
			for _, what := range []string{"info", "items", "version", "last", "vcard", "ping"} {
				a, err := stranger.Ask(w.ctx, what, to, "")
				w.must(err)
				if a.Condition != "forbidden" || len(a.Identities)+len(a.Features) > 0 || a.Name != "" {
					t.Errorf("a stranger asks %s for %s: %+v", to, what, a)
				}
			}
		}

		p := passage{stage.XMPPClientName(), roleClient, transportStream, toStox, "answered"}
		for _, what := range []string{"disco", "ping", "version", "last activity", "vcard-temp", "vCard4"} {
			w.crossed(p, ofGateway+what)
		}
		for _, what := range []string{"disco", "ping", "vcard-temp", "vCard4"} {
			w.crossed(p, ofContact+what)
		}
		p.result = "item-not-found"
		w.crossed(p, ofGateway+"disco of an unknown node", ofContact+"disco of an unknown node")
		p.result = "service-unavailable"
		w.crossed(p, ofContact+"version", ofContact+"last activity")
		p.result = "forbidden, and nothing else"
		w.crossed(p, "any of these, from who may not use the gateway")
	})
}

// query asks for something and waits for the answer.
func (w *world) query(c *stage.XMPPClient, typ, to, payload string) stage.Stanza {
	w.t.Helper()
	id := fmt.Sprint("query", len(c.Stanzas()))
	w.must(c.Send(fmt.Sprintf("<iq type='%s' to='%s' id='%s'>%s</iq>", typ, stage.Escape(to), id, payload)))
	return w.await(c, "an answer", stage.WithID(id))
}

// GW-17, GW-18, ADDR-20: whatever people type for an address, the gateway names the one
// that answers come from.
func TestGatewayPrompt(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, server string) {
		w := newWorld(t, server)
		w.runWith("[[sip.route]]\ndomain = \"sip.test\"\nvia = \"sip:127.0.0.1:9\"\nnumbers = \"nanp10\"\ncountry = \"US\"\n[[sip.route]]\ndomain = \"*\"\nvia = \"sip:127.0.0.1:9\"\n")
		c := w.login(juliet)
		if st := w.query(c, "get", w.component, "<query xmlns='jabber:iq:gateway'/>"); st.Type != "result" || !strings.Contains(st.Raw, "prompt>SIP address<") {
			t.Errorf("what to ask for: %s", st.Raw)
		}
		if a, err := c.Ask(w.ctx, "info", w.component, ""); err != nil || !slices.ContainsFunc(a.Identities, func(s string) bool { return strings.HasPrefix(s, "gateway/sms ") }) {
			t.Errorf("a gateway to telephones is %q %v", a.Identities, err)
		}
		set := func(typed string) stage.Stanza {
			t.Helper()
			return w.query(c, "set", w.component, "<query xmlns='jabber:iq:gateway'><prompt>"+stage.Escape(typed)+"</prompt></query>")
		}
		for typed, want := range map[string]string{
			"romeo@sip.test":                      "romeo@",
			"sip:romeo@sip.test;transport=tcp":    "romeo@",
			"sips:romeo@example.org":              `romeo\40example.org@`,
			"romeo@example.org":                   `romeo\40example.org@`,
			"im:o'malley@example.org":             `o\27malley\40example.org@`,
			"+1 (202) 555-0123":                   "+12025550123@",
			"tel:+1-202-555-0123":                 "+12025550123@",
			"202 555 0123":                        "+12025550123@",
			`romeo\40sip.test@` + w.component:     "romeo@",
			"romeo@" + w.component:                "romeo@",
			" mercutio@example.org:5070 ":         `mercutio\40example.org\3a5070@`,
			"sip:%72omeo@example.org?subject=%20": `romeo\40example.org@`,
		} {
			st := set(typed)
			_, jid, _ := strings.Cut(st.Raw, "jid>")
			jid, _, _ = strings.Cut(jid, "<")
			if st.Type != "result" || jid != want+w.component {
				t.Errorf("%q is %s, want %s\n%s", typed, jid, want+w.component, st.Raw)
			}
		}
		for _, typed := range []string{"", "@", "romeo@", "http://example.org/", "sip:", "12"} {
			if st := set(typed); st.Type != "error" || st.Condition != "not-acceptable" || st.ErrorType != "modify" || st.ErrorText == "" {
				t.Errorf("%q: %s", typed, st.Raw)
			}
		}
		for _, payload := range []string{"<query xmlns='jabber:iq:gateway'/>", "<query xmlns='jabber:iq:gateway'><prompt>a@b</prompt><prompt>c@d</prompt></query>"} {
			if st := w.query(c, "set", w.component, payload); st.Condition != "bad-request" {
				t.Errorf("%s: %s", payload, st.Raw)
			}
		}
		p := passage{stage.XMPPClientName(), roleClient, transportStream, toStox, "answered with the address of the contact"}
		w.crossed(p, "jabber:iq:gateway with a SIP URI", "jabber:iq:gateway with user@host", "jabber:iq:gateway with a telephone number", "jabber:iq:gateway with the address of a contact")
		p.result = "not-acceptable, with the reason"
		w.crossed(p, "jabber:iq:gateway with what is no address")
	})
}

const nsCommands = "http://jabber.org/protocol/commands"

// noCommand is the answer to a command that there is not, and badCommand that to one that
// makes no sense: only the gateway itself has any.
func noCommand(gateway bool) string {
	if gateway {
		return "item-not-found"
	}
	return "service-unavailable"
}

func badCommand(gateway bool) string {
	if gateway {
		return "bad-request"
	}
	return "service-unavailable"
}

// GW-24: a client goes through a command, as its own extension reads it.
func TestCommandSteps(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, server string) {
		w := newWorld(t, server)
		w.run(via("*", 9, "udp"))
		c := w.login(juliet)
		step := func(s stage.Step) stage.StepAnswer {
			t.Helper()
			s.To = w.component
			a, err := c.Command(w.ctx, s)
			w.must(err)
			return a
		}
		first := step(stage.Step{Node: "lookup"})
		if first.Condition != "" || first.Status != "executing" || first.Session == "" || first.Form == nil || len(first.Actions) == 0 {
			t.Fatalf("the first step: %+v", first)
		}
		field := first.Form.Vars[len(first.Form.Vars)-1]
		if first.Form.Types[field] != "text-single" || first.Form.Labels[field] == "" || first.Form.Title == "" {
			t.Errorf("the form: %+v", first.Form)
		}
		if a := step(stage.Step{Node: "lookup", Session: first.Session, Action: "dance"}); a.Condition != "bad-request" || a.More != "{"+nsCommands+"}malformed-action" {
			t.Errorf("an odd action: %+v", a)
		}
		last := step(stage.Step{Node: "lookup", Session: first.Session, Action: first.Actions[0], Fields: map[string][]string{field: {"sip:o'malley@example.org"}}})
		if last.Condition != "" || last.Status != "completed" || last.Form == nil || !strings.Contains(fmt.Sprint(last.Form.Values), `o\27malley\40example.org@`+w.component) {
			t.Errorf("the last step: %+v", last)
		}
		if a := step(stage.Step{Node: "lookup", Session: last.Session, Action: "complete"}); a.Condition == "" || a.More == "" {
			t.Errorf("a session that is over: %+v", a)
		}
		again := step(stage.Step{Node: "lookup", Lang: "de"})
		if again.Form == nil || again.Form.Title == first.Form.Title {
			t.Errorf("in German: %+v", again.Form)
		}
		if a := step(stage.Step{Node: "lookup", Session: again.Session, Action: "cancel"}); a.Status != "canceled" {
			t.Errorf("canceled: %+v", a)
		}
		w.crossed(passage{stage.XMPPClientName(), roleClient, transportStream, toStox, "answered"}, "commands: steps, languages, errors")
	})
}

// GW-12, GW-29: every wrong form of a question has one answer, and what is no question none.
func TestWrongQuestions(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, server string) {
		w := newWorld(t, server)
		w.run(via("*", 9, "udp"))
		c := w.login(juliet)
		for _, to := range []string{w.component, "romeo@" + w.component, "romeo@" + w.component + "/phone", w.component + "/x"} {
			for i, q := range []struct{ typ, payload, condition string }{
				{"get", "<query xmlns='urn:unknown'/>", "service-unavailable"},
				{"set", "<query xmlns='http://jabber.org/protocol/disco#info'/>", "service-unavailable"},
				{"get", "<query xmlns='jabber:iq:register'/>", "service-unavailable"},
				{"set", "<command xmlns='http://jabber.org/protocol/commands' node='n' action='execute'/>", noCommand(to == w.component)},
				{"set", "<command xmlns='http://jabber.org/protocol/commands' node='n' action='dance'/>", badCommand(to == w.component)},
				{"get", "<command xmlns='http://jabber.org/protocol/commands' node='n'/>", badCommand(to == w.component)},
				{"get", "<pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:xmpp:avatar:metadata'/></pubsub>", "service-unavailable"},
			} {
				if st := w.query(c, q.typ, to, q.payload); st.Type != "error" || st.Condition != q.condition || st.From != to {
					t.Errorf("%s, question %d: %s", to, i, st.Raw)
				}
			}
			before := len(c.Stanzas())
			w.must(c.Send("<iq type='result' id='no-question' to='" + to + "'/>"))
			w.must(c.Send("<iq type='error' id='no-question' to='" + to + "'><error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"))
			w.fence(c, "fence "+to)
			for _, st := range c.Stanzas()[before:] {
				if st.ID == "no-question" {
					t.Errorf("an answer was answered: %s", st.Raw)
				}
			}
		}
		// vCards of others are not for changing.
		for _, to := range []string{w.component, "romeo@" + w.component} {
			if st := w.query(c, "set", to, "<vCard xmlns='vcard-temp'><FN>Mallory</FN></vCard>"); st.Condition != "not-allowed" {
				t.Errorf("a vCard of %s: %s", to, st.Raw)
			}
		}
		p := passage{stage.XMPPClientName(), roleClient, transportStream, toStox, "service-unavailable"}
		w.crossed(p, "question that nobody answers")
		p.result = "not-allowed"
		w.crossed(p, "setting the vCard of another")
	})
}
