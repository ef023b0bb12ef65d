package component

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stoxgw/stox/internal/xmpptest"
	"github.com/stoxgw/stox/mapping"
)

// show is a signal in one line.
func show(v mapping.XMPP) string {
	switch v := v.(type) {
	case *mapping.XMPPReceipt:
		what := "received"
		if v.Read {
			what = "displayed"
		}
		return fmt.Sprintf("%s -> %s %q %q: %s %s", v.From, v.To, v.ID, v.Type, what, v.About)
	case *mapping.XMPPState:
		return fmt.Sprintf("%s -> %s %q: %s", v.From, v.To, v.ID, v.State)
	}
	return fmt.Sprintf("%T", v)
}

// IM-41, IM-42, SEC-10: what stanzas without a text say, and that they are never answered,
// whatever is wrong with them.
func TestSignals(t *testing.T) {
	const (
		way       = "juliet@example.com/b -> romeo@sip.example.com"
		received  = `<received xmlns='urn:xmpp:receipts' id='m1'/>`
		displayed = `<displayed xmlns='urn:xmpp:chat-markers:0' id='m1'/>`
		composing = `<composing xmlns='http://jabber.org/protocol/chatstates'/>`
	)
	for name, tt := range map[string]struct {
		attrs, in string
		want      []string
	}{
		"receipt":                {"id='i' type='chat'", received, []string{way + ` "i" "chat": received m1`}},
		"receipt without an id":  {"", received, []string{way + ` "" "": received m1`}},
		"marker":                 {"id='i'", displayed + `<store xmlns='urn:xmpp:hints'/>`, []string{way + ` "i" "": displayed m1`}},
		"state":                  {"id='i' type='chat'", composing, []string{way + ` "i": composing`}},
		"receipt and marker":     {"id='i'", received + displayed, []string{way + ` "i" "": received m1`, way + ` "i" "": displayed m1`}},
		"state before a marker":  {"id='i'", `<active xmlns='http://jabber.org/protocol/chatstates'/>` + displayed, []string{way + ` "i" "": displayed m1`}},
		"several":                {"id='i'", received + strings.ReplaceAll(received, "m1", "m2") + strings.Repeat(displayed, 3), []string{way + ` "i" "": received m1`, way + ` "i" "": displayed m1`}},
		"several states":         {"id='i'", composing + `<paused xmlns='http://jabber.org/protocol/chatstates'/>`, []string{way + ` "i": composing`}},
		"one without id first":   {"id='i'", `<received xmlns='urn:xmpp:receipts'/>` + received, []string{way + ` "i" "": received m1`}},
		"strange id":             {"id='i'", `<received xmlns='urn:xmpp:receipts' id='&lt;a&amp;b&gt; é'/>`, []string{way + ` "i" "": received <a&b> é`}},
		"empty body":             {"id='i'", `<body/>` + received, []string{way + ` "i" "": received m1`}},
		"about nothing":          {"id='i'", `<received xmlns='urn:xmpp:receipts'/><received xmlns='urn:xmpp:receipts' id=''/>`, nil},
		"request":                {"id='i'", `<request xmlns='urn:xmpp:receipts'/><markable xmlns='urn:xmpp:chat-markers:0'/>`, nil},
		"crossed":                {"id='i'", `<displayed xmlns='urn:xmpp:receipts' id='m1'/><received xmlns='urn:xmpp:chat-markers:0' id='m1'/>`, nil},
		"other namespaces":       {"id='i'", `<received xmlns='urn:xmpp:carbons:2' id='m1'/><received id='m1'/><composing/>`, nil},
		"acknowledged":           {"id='i'", `<acknowledged xmlns='urn:xmpp:chat-markers:0' id='m1'/>`, nil},
		"unknown state":          {"id='i'", `<sleeping xmlns='http://jabber.org/protocol/chatstates'/>`, nil},
		"of a room":              {"id='i' type='groupchat'", received + displayed + composing, nil},
		"error":                  {"id='i' type='error'", received + `<error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>`, nil},
		"forwarded":              {"id='i'", `<forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'>` + received + `</message></forwarded>`, nil},
		"carbon copied":          {"id='i'", `<sent xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'>` + received + `</message></forwarded></sent>`, nil},
		"in an unknown element":  {"id='i'", `<x xmlns='urn:x'>` + received + displayed + composing + `</x>`, nil},
		"to the gateway":         {"id='i' to='sip.example.com'", received, nil},
		"to no address":          {"id='i' to='@sip.example.com'", received, nil},
		"from no address":        {"id='i' from='@'", received, nil},
		"to a domain of others":  {"id='i' to='romeo@example.net'", received, nil},
		"and a text, which wins": {"id='i'", `<body>x</body>` + received + composing, nil},
	} {
		t.Run(name, func(t *testing.T) {
			r, conn := memory(t, xmpptest.Options{}, nil)
			attrs := tt.attrs
			if !strings.Contains(attrs, " to=") {
				attrs += " to='romeo@sip.example.com'"
			}
			if !strings.Contains(attrs, " from=") {
				attrs += " from='juliet@example.com/b'"
			}
			send(t, conn, "<message "+attrs+">"+tt.in+"</message>")
			messages := 1
			if strings.Contains(tt.in, "<body>x") {
				messages++
			}
			send(t, conn, `<message from='juliet@example.com/b' to='romeo@sip.example.com' id='last'><body>hi</body></message>`)
			if got := r.sink.wait(messages); got[messages-1].ID != "last" {
				t.Fatalf("%+v", got)
			}
			var got []string
			for _, v := range r.sink.signals {
				got = append(got, show(v))
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("handed over\n%s, want\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
			if answers := fence(t, conn); len(answers) != 0 {
				t.Errorf("answered with %v", answers)
			}
		})
	}
}

// IM-40: what the sender of a text wants to be told.
func TestReadWishes(t *testing.T) {
	for in, want := range map[string][2]bool{
		markable:                               {true, true},
		``:                                     {},
		`<request xmlns='urn:xmpp:receipts'/>`: {true, false},
		`<markable xmlns='urn:xmpp:chat-markers:0'/>`:                       {false, true},
		`<markable xmlns='urn:xmpp:receipts'/><request/>`:                   {},
		`<received xmlns='urn:xmpp:receipts' id='m1'/>`:                     {},
		`<x xmlns='urn:x'><request xmlns='urn:xmpp:receipts'/></x>`:         {},
		`<request xmlns='urn:xmpp:chat-markers:0'/>` + omemoKey + forwarded: {},
	} {
		m := messageOf(parse(t, `<message xmlns='jabber:component:accept'><body>x</body>`+in+`</message>`))
		if m.WantReceipt != want[0] || m.Markable != want[1] {
			t.Errorf("%s: receipt %t, marker %t; want %v", in, m.WantReceipt, m.Markable, want)
		}
	}
}

// IM-41, IM-42, SEC-20: receipts and markers as they are on the wire; they want no receipt
// themselves (IM-45).
func TestSignalsOut(t *testing.T) {
	from, to := mapping.MustParseJID("ohara@sip.example.com"), mapping.MustParseJID("juliet@example.com/a&b")
	for _, tt := range []struct {
		v    mapping.XMPP
		want string
	}{
		{&mapping.XMPPReceipt{From: from, To: to, ID: "i", Type: "chat", About: "<m'1>"},
			`<message from='ohara@sip.example.com' to='juliet@example.com/a&amp;b' id='i' type='chat'><received xmlns='urn:xmpp:receipts' id='&lt;m&apos;1&gt;'/></message>`},
		{&mapping.XMPPReceipt{From: from, To: to, ID: "i", About: "m1", Read: true},
			`<message from='ohara@sip.example.com' to='juliet@example.com/a&amp;b' id='i'><displayed xmlns='urn:xmpp:chat-markers:0' id='m1'/></message>`},
	} {
		if err := address(tt.v, new(addressed)); err != nil {
			t.Error(err)
		}
		if got := string(appendValue(nil, tt.v, "", 1<<20)); got != tt.want {
			t.Errorf("\n got %s\nwant %s", got, tt.want)
		}
	}
	m := message("i", "x")
	m.WantReceipt, m.Markable = true, true
	if got := string(appendMessage(nil, m, 1<<20)); !strings.Contains(got, "<body>x</body><request xmlns='urn:xmpp:receipts'/><markable xmlns='urn:xmpp:chat-markers:0'/></message>") {
		t.Error(got)
	}
	for _, v := range []mapping.XMPP{&mapping.XMPPReceipt{From: from, To: to}, (*mapping.XMPPReceipt)(nil), &mapping.XMPPReceipt{From: from, About: "m1"}, &mapping.IMDN{From: from, To: to}} {
		if err := address(v, new(addressed)); err == nil {
			t.Errorf("%+v is taken", v)
		}
	}
}
