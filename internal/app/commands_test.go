package app

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/internal/bridge"
	"github.com/stoxgw/stox/internal/config"
	"github.com/stoxgw/stox/internal/texts"
	"github.com/stoxgw/stox/internal/xmpptest"
	"github.com/stoxgw/stox/mapping"
)

// ask has juliet ask the gateway for something, and returns what it answers.
func (h *home) ask(typ, inner string) xmpptest.Stanza {
	h.t.Helper()
	before := len(h.replies())
	h.xmpp("<iq type='%s' from='juliet@example.com/balcony' to='sip.example.com' id='ask%d' xml:lang='en'>%s</iq>", typ, before, inner)
	all := h.replies()
	if len(all) != before+1 || all[before].ID != fmt.Sprint("ask", before) {
		h.t.Fatalf("%s is answered by %d stanzas", inner, len(all)-before)
	}
	return all[before]
}

func (h *home) replies() []xmpptest.Stanza {
	return h.written(func(st xmpptest.Stanza) bool {
		return st.Name == "iq" && (st.Type == "result" || st.Type == "error") && strings.HasPrefix(st.ID, "ask")
	})
}

// command is a step of a command of juliet's: its attributes besides the node, and what is in
// it.
func (h *home) command(node, attrs string, inner ...string) xmpptest.Stanza {
	h.t.Helper()
	return h.ask("set", fmt.Sprintf("<command xmlns='http://jabber.org/protocol/commands' node='%s' %s>%s</command>", node, attrs, strings.Join(inner, "")))
}

// write has juliet write to the gateway itself, and returns what it says.
func (h *home) say(text string) string {
	h.t.Helper()
	before := len(h.texts())
	h.xmpp("<message from='juliet@example.com/balcony' to='sip.example.com' id='m%d' type='chat'><body>%s</body></message>", before, text)
	all := h.texts()
	if len(all) != before+1 {
		h.t.Fatalf("%q is answered by %d messages", text, len(all)-before)
	}
	return all[before].Body
}

// attr cuts the value of an attribute out of what was written.
func attr(raw, name string) string {
	_, rest, _ := strings.Cut(raw, " "+name+"='")
	v, _, _ := strings.Cut(rest, "'")
	return v
}

// GW-24, GW-25: what users and admins ask reaches the daemon, and what it says reaches them, as
// forms and in a chat.
func TestCommandsOverTheWire(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		conf := []string{"xmpp: admins=['juliet@example.com']", ": [[sip.route]]\ndomain='a.example'\nvia='sip:192.0.2.7'\n"}
		h := newHome(t, dir, conf...)
		defer h.stop()
		has := func(what, in string, want ...string) {
			t.Helper()
			for _, s := range want {
				if !strings.Contains(in, s) {
					t.Errorf("%s: %q is not in %s", what, s, in)
				}
			}
		}
		has("the list", h.ask("get", "<query xmlns='http://jabber.org/protocol/disco#items' node='http://jabber.org/protocol/commands'/>").Raw,
			"node='lookup'", "name='Look up an address'", "node='status'", "node='reload'")
		has("the status", h.command("status", "").Raw, "status='completed'", "var='queue'", "memory.invalid:5347", "<value>up</value>")
		has("the routes", h.command("routes", "action='execute'").Raw, "a.example", "192.0.2.7")
		has("the queue", h.command("queue", "").Raw, "No message waits.")

		asked := h.command("lookup", "").Raw
		has("a form", asked, "status='executing'", "jabber:x:data", "var='address'", "<complete/>")
		has("its answer", h.command("lookup", "sessionid='"+attr(asked, "sessionid")+"'",
			"<x xmlns='jabber:x:data' type='submit'><field var='address'><value>sip:romeo@example.net</value></field></x>").Raw, "status='completed'", "romeo@sip.example.com")
		has("another session", h.command("lookup", "sessionid='nonsense'").Raw, "<bad-request", "<bad-sessionid xmlns='http://jabber.org/protocol/commands'/>")
		has("no such command", h.command("frobnicate", "").Raw, "<item-not-found")
		has("no account", h.command("account", "").Raw, "<item-not-found")
		has("no registration", h.ask("get", "<query xmlns='jabber:iq:register'/>").Raw, "<service-unavailable")
		has("the prompt in German", strings.ReplaceAll(h.ask("get", "<query xmlns='jabber:iq:gateway' xml:lang='de'/>").Raw, "\n", ""), "prompt")

		has("in a chat", h.say("lookup romeo@example.net"), "romeo@sip.example.com", "sip:romeo@example.net")
		time.Sleep(time.Minute)
		has("German help", h.say("hilfe"), "Dies ist das Gateway zu SIP.", "nachschlagen, ", "zustand, ")
		has("the language", h.say("language German"), "Ich spreche Deutsch mit Ihnen.")
		time.Sleep(time.Minute)
		has("help from then on", h.say("help"), "Dies ist das Gateway zu SIP.")

		asked = h.command("loglevel", "").Raw
		has("the log level", asked, "<value>info</value>", "<value>debug</value>")
		h.command("loglevel", "sessionid='"+attr(asked, "sessionid")+"' action='complete'", "<x xmlns='jabber:x:data' type='submit'><field var='level'><value>error</value></field></x>")
		level := func() string {
			h.mu.Lock()
			defer h.mu.Unlock()
			return h.logging.Level
		}
		if level() != "error" {
			t.Errorf("the log level is %q", level())
		}
		has("reload", h.command("reload", "").Raw, "status='completed'", "neu gelesen")
		if level() != "info" {
			t.Errorf("after a reload the log level is %q", level())
		}
		if done := h.reload(append(conf[1:], "log: level='warn'")...); !done.Applied {
			t.Errorf("%+v", done)
		}
		has("no admin any more", h.command("loglevel", "").Raw, "<forbidden")
	})
}

// The stop of the daemon answers what is under way, and ends the desk.
func TestTheDeskStops(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		h := newHome(t, dir)
		h.stop()
		h.app.desk.Command(&mapping.XMPPCommand{From: mapping.MustParseJID("juliet@example.com/x"), To: mapping.MustParseJID("sip.example.com"), ID: "c", Node: "help"})
		if s := h.app.desk.Stats(); s.Refused != 1 || s.Open != 0 {
			t.Errorf("after the stop: %+v", s)
		}
	})
}

// xmpp.admins has users, each in any spelling of his address.
func TestAdmins(t *testing.T) {
	cfg := &config.Config{}
	cfg.XMPP.Admins = []string{"Juliet@EXAMPLE.com", "bücher@example.com"}
	all, err := buildAdmins(cfg)
	if err != nil || len(all) != 2 || !all[mapping.MustParseJID("juliet@example.com")] {
		t.Errorf("%v, %v", all, err)
	}
	cfg.XMPP.Admins = []string{"juliet@example.com", "nurse@@example.com"}
	if _, err := buildAdmins(cfg); err == nil || !strings.HasPrefix(err.Error(), "xmpp.admins[1]: ") {
		t.Errorf("%v", err)
	}
}

// Which language a user has chosen outlives the process, one at a time and up to a bound.
func TestLanguages(t *testing.T) {
	for _, in := range texts.Languages() {
		if languageMarks[in.Lang] == 0 {
			t.Errorf("%s cannot be kept", in.Name)
		}
	}
	kept := map[mapping.JID]bridge.ContactMarks{}
	keep := func(user mapping.JID, set, clear bridge.ContactMarks) { kept[user] = kept[user]&^clear | set }
	l := newLanguages(keep)
	u, v := mapping.MustParseJID("u@example.com"), mapping.MustParseJID("v@example.com")
	l.SetLanguage(u, "de")
	l.SetLanguage(u, "en")
	l.SetLanguage(v, "de")
	l.SetLanguage(v, "")
	again := newLanguages(keep)
	again.restore([]bridge.Contact{{User: u, Marks: kept[u] | bridge.MarkWelcomed}, {User: v, Marks: kept[v] | bridge.MarkSubscribed}})
	if again.Language(u) != "en" || again.Language(v) != "" || len(again.of) != 1 {
		t.Errorf("after a restart: %v", again.of)
	}
	for i := range maxLanguages + 10 {
		l.SetLanguage(mapping.MustParseJID(fmt.Sprintf("u%d@example.com", i)), "de")
	}
	if last := mapping.MustParseJID(fmt.Sprintf("u%d@example.com", maxLanguages+9)); len(l.of) != maxLanguages || l.Language(last) != "" || kept[last] != 0 {
		t.Errorf("%d users", len(l.of))
	}
}

// The same with a store on the disk: from one run of the daemon to the next.
func TestLanguageIsKept(t *testing.T) {
	dir := t.TempDir()
	path := "store: path='" + filepath.Join(dir, "stox.db") + "'"
	for i, want := range []string{"Ich spreche Deutsch mit Ihnen.", "Schreiben Sie „nachschlagen ADRESSE“."} {
		synctest.Test(t, func(t *testing.T) {
			h := newHome(t, dir, path)
			defer h.stop()
			if got := h.say([]string{"language german", "lookup"}[i]); got != want {
				t.Errorf("%q, want %q", got, want)
			}
		})
	}
}

// What was asked is counted by its kind, without a word on who has asked.
func TestMetricsOfCommands(t *testing.T) {
	eachNetwork(t, func(t *testing.T, network string) {
		g := startGateway(t, network, watched, func(cfg *config.Config) { cfg.Admin.Token, cfg.Limits.UserRate = "", 1 })
		send := func(format string, a ...any) {
			t.Helper()
			if err := g.xmpp.Send(fmt.Sprintf(format, a...)); err != nil {
				t.Fatal(err)
			}
		}
		send("<iq type='set' from='juliet@example.com/b' to='sip.example.com' id='q1'><command xmlns='http://jabber.org/protocol/commands' node='lookup'/></iq>")
		send("<message type='chat' from='juliet@example.com/b' to='sip.example.com' id='m1'><body>language german</body></message>")
		g.xmpp.NextN(2)
		for i := range 40 { // too much, however slow this machine is: a burst is of ten
			send("<message type='chat' from='juliet@example.com/b' to='sip.example.com' id='n%d'><body>lookup romeo@pbx.example.net</body></message>", i)
			g.xmpp.Next()
		}
		all := g.measured(`stox_commands_total{kind="form"} 1`, `stox_commands_total{kind="registration"} 0`, `stox_command_sessions 1`, `stox_commands_open 0`)
		if strings.Contains(all, "juliet") || !strings.Contains(all, `stox_commands_total{kind="chat"} `) || strings.Contains(all, "\nstox_commands_refused_total 0\n") {
			t.Errorf("%s", all)
		}
	})
}
