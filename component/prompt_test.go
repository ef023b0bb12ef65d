package component

import (
	"errors"
	"strings"
	"testing"

	"github.com/stoxgw/stox/internal/xmpptest"
	"github.com/stoxgw/stox/mapping"
)

// TestGatewayPrompt: GW-17, GW-18. What is asked for, and what comes of the answer; the
// addresses themselves are tested in mapping.
func TestGatewayPrompt(t *testing.T) {
	r, conn := memory(t, xmpptest.Options{}, withServices(t))
	set := func(inner string) string {
		return `<iq type='set'><query xmlns='jabber:iq:gateway'>` + inner + `</query></iq>`
	}
	prompt := func(text string) string { return set(`<prompt>` + text + `</prompt>`) }
	jid := func(j string) string { return `<query xmlns='jabber:iq:gateway'><jid>` + j + `</jid></query>` }
	for _, c := range []iqCase{
		{"get", gateway, askPrompt, "result", `<query xmlns='jabber:iq:gateway' xml:lang='en'><desc>Enter the SIP address or phone number.</desc><prompt>SIP address</prompt></query>`},
		{"get with a prompt", gateway, `<query xmlns='jabber:iq:gateway'><prompt>x</prompt></query>`, "result",
			`<query xmlns='jabber:iq:gateway' xml:lang='en'><desc>Enter the SIP address or phone number.</desc><prompt>SIP address</prompt></query>`},
		{"address", gateway, prompt("o'malley@example.org"), "result", jid(`o\27malley\40example.org@sip.example.com`)},
		{"URI", gateway, prompt("\n sip:m&amp;m@pbx.example.net\n"), "result", jid(`m\26m@sip.example.com`)},
		{"number", gateway, prompt("(212) 555-0123"), "result", jid("+12125550123@sip.example.com")},
		{"contact", gateway, prompt(romeo), "result", jid(romeo)},
		{"of another component", gateway, prompt("romeo@example.net"), "result", jid("romeo@net.sip.example.com")},
		{"in CDATA", gateway, prompt("<![CDATA[romeo@pbx.example.net]]>"), "result", jid(romeo)},
		{"beside what is unknown", gateway, set(`<x xmlns='urn:odd'/><prompt>romeo@pbx.example.net</prompt>`), "result", jid(romeo)},
		{"no address", gateway, prompt("hello"), "error", "modify/not-acceptable"},
		{"empty", gateway, prompt(""), "error", "modify/not-acceptable"},
		{"XMPP user", gateway, prompt("juliet@example.com"), "error", "modify/not-acceptable"},
		{"alias", gateway, prompt("+12125550100"), "error", "modify/not-acceptable"},
		{"gateway itself", gateway, prompt(gateway), "error", "modify/not-acceptable"},
		{"sips is taken", gateway, prompt("sips:romeo@pbx.example.net"), "result", jid(romeo)},
		{"no prompt", gateway, set(""), "error", "modify/bad-request"},
		{"prompt of another namespace", gateway, set(`<prompt xmlns='urn:odd'>romeo@pbx.example.net</prompt>`), "error", "modify/bad-request"},
		{"two prompts", gateway, set(`<prompt>romeo@pbx.example.net</prompt><prompt>a@b.example</prompt>`), "error", "modify/bad-request"},
		{"markup", gateway, prompt("romeo<b/>@pbx.example.net"), "error", "modify/bad-request"},
		{"contact has none", romeo, prompt("romeo@pbx.example.net"), "error", "cancel/service-unavailable"},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, conn) })
	}

	send(t, conn, `<iq type='set' id='t' from='juliet@example.com/b' to='sip.example.com'><query xmlns='jabber:iq:gateway'><prompt>s3cret words</prompt></query></iq>`)
	got := fence(t, conn)
	if len(got) != 1 || !strings.Contains(got[0].Raw, "The address of a user of pbx.example.net is user@pbx.example.net.") {
		t.Errorf("no help: %v", got)
	}
	if strings.Contains(r.log.String(), "s3cret") {
		t.Error("what was typed is in the log (SEC-14)")
	}
}

// An error that is no Failure has no text for the user.
func TestGatewayPromptFault(t *testing.T) {
	_, conn := memory(t, xmpptest.Options{}, func(c *Config) {
		c.Prompt = func(string) (mapping.JID, error) { return mapping.JID{}, errors.New("s3cret") }
		c.Contact = func(mapping.JID) (mapping.URI, error) { return mapping.URI{}, errors.New("s3cret") }
	})
	for in, want := range map[string]string{
		`<iq type='set' id='t' from='juliet@example.com/b' to='sip.example.com'><query xmlns='jabber:iq:gateway'><prompt>x</prompt></query></iq>`: "not-acceptable",
		`<iq type='get' id='t' from='juliet@example.com/b' to='romeo@sip.example.com'><ping xmlns='urn:xmpp:ping'/></iq>`:                         "internal-server-error",
	} {
		send(t, conn, in)
		if got := fence(t, conn); len(got) != 1 || got[0].Condition != want || strings.Contains(got[0].Raw, "s3cret") {
			t.Errorf("got %v, want %s", got, want)
		}
	}
}
