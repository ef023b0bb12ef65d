package commands

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// What is a command and what is not, in which language it is answered, and that an answer is
// never taken for one (SEC-10).
func TestChat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		for _, c := range []struct{ from, text, lang, want string }{
			{juliet, "blocked", "", english.Blocks.None},
			{juliet, " /Blocked!\n", "", english.Blocks.None},
			{juliet, "blocked", "de", german.Blocks.None},
			{juliet, "gesperrt", "", german.Blocks.None},
			{juliet, "gesperrt", "en", german.Blocks.None},
			{juliet, "gesperrt", "fr", german.Blocks.None},
			{juliet, "lookup", "", `Write "lookup ADDRESS".`},
			{juliet, "nachschlagen", "", "Schreiben Sie „nachschlagen ADRESSE“."},
			{juliet, "help me, Friar", "", "not taken"},
			{juliet, "Hilfe, wo ist mein Romeo?", "", "not taken"},
			{juliet, "hello?", "", "not taken"},
			{juliet, "", "", "not taken"},
			{juliet, "I am away until Monday.", "", "not taken"},
			{juliet, "status", "", "forbidden"},
			{juliet, "Status quo, that is what I like", "", "not taken"},
			{boss, "banned", "", "Nobody is blocked for all."},
			{boss, "loglevel loud", "", "There is no log level loud."},
			{boss, "protokoll debug", "", "Bis zum nächsten Neuladen oder Start ist die Stufe des Protokolls debug."},
			{"example.com", "blocked", "", "not taken"},
		} {
			if got := w.text(c.from, c.text, c.lang); got != c.want {
				t.Errorf("%s: %q in %q: %q, want %q", c.from, c.text, c.lang, got, c.want)
			}
			time.Sleep(time.Second)
		}
		if w.level.Level() != "debug" {
			t.Errorf("the log level is %s", w.level.Level())
		}
		help, hilfe := w.text(juliet, " Help! ", ""), w.text(juliet, "hilfe", "en")
		if !strings.HasPrefix(help, english.Help.Intro) || !strings.Contains(help, "account, messages, lookup, ") || strings.Contains(help, "reload") ||
			!strings.HasPrefix(hilfe, german.Help.Intro) || !strings.Contains(hilfe, "konto, nachrichten, nachschlagen, ") {
			t.Errorf("the help is\n%s\nand\n%s", help, hilfe)
		}
		if help := w.text(boss, "help", ""); !strings.Contains(help, " reload, ") {
			t.Errorf("the help of an admin is\n%s", help)
		}
		mine, theirs := w.text(juliet, "commands", ""), w.text(boss, "befehle", "")
		if !strings.Contains(mine, "\naccount [set ADDRESS PASSWORD | remove]: ") || strings.Contains(mine, "reload") || !strings.Contains(theirs, "\nneuladen: ") {
			t.Errorf("the commands are\n%s\nand\n%s", mine, theirs)
		}
		if r := w.begin(juliet, "commands"); described(r) != "cancel/item-not-found" {
			t.Errorf("as a form: %s", described(r))
		}
		_, all := w.chat(juliet, "blocked", "")
		if got := bodies(all); len(got) != 2 || !strings.HasPrefix(got[0], "received q") {
			t.Errorf("no receipt: %q", got)
		}
		m := &mapping.XMPPMessage{From: jid(juliet), To: jid(gateway + "/x"), ID: "m", Bodies: []mapping.Text{{Value: "blocked"}}}
		w.desk.Chat(m)
		if all := w.next(); len(all) != 1 || all[0].(*mapping.XMPPMessage).From != jid(gateway) || all[0].(*mapping.XMPPMessage).Type != "chat" {
			t.Errorf("to a resource: %+v", all)
		}
	})
}

// No answer of the desk begins with a command: a program that says again whatever it hears
// stops at once.
func TestAnEchoEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.recent[jid("boss@example.com")] = []Message{{At: time.Unix(1, 0), Contact: "romeo@sip.example.com", Outcome: "delivered"}}
		w.operator.routes = []Route{{Domain: "pbx.example.net", Via: "sip:192.0.2.1", Answers: "alive"}}
		w.operator.status.Links = []Link{{Name: gateway, State: "up"}}
		w.operator.waiting, w.operator.total = []Waiting{{ID: 1, From: juliet, To: "romeo@sip.example.com", State: "sent"}}, 2
		w.used = []Use{{User: "juliet@example.com", Sent: 1}}
		said := 0
		for _, lang := range []string{"en", "de"} {
			for _, c := range w.desk.all {
				// Lists have something in them.
				w.blocks.of = map[mapping.JID][]string{{}: {"@example.org"}, jid("boss@example.com"): {"tybalt@pbx.example.net"}}
				w.accounts.of[jid("boss@example.com")] = Account{User: jid("boss@example.com"), Address: "boss@pbx.example.net", State: "registered"}
				for _, words := range [][]string{english.Commands[c.node].Words, german.Commands[c.node].Words} {
					for _, word := range words {
						for _, rest := range []string{"", " set", " set romeo@pbx.example.net " + secret, " romeo@pbx.example.net", " remove", " remove yes", " entfernen ja", " debug", " de", " auto", " nonsense of many words"} {
							if c.node == nodeHelp && rest != "" {
								continue
							}
							answer := w.text(boss, word+rest, lang)
							time.Sleep(time.Second)
							said++
							if got := w.text(boss, answer, lang); got != "not taken" {
								t.Errorf("%s%s: the answer %q is a command, answered with %q", word, rest, answer, got)
							}
						}
					}
				}
			}
		}
		if said < 300 {
			t.Errorf("only %d answers", said)
		}
	})
}

// An error says in which language its sentence is, also at the end.
func TestErrorsSayTheirLanguage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		is := func(all []mapping.XMPP, text string) {
			t.Helper()
			if e, ok := all[0].(*mapping.XMPPError); !ok || e.Lang != "de" || e.Failure.Text != text {
				t.Errorf("%+v, want %q", all[0], text)
			}
		}
		_, all := w.chat(juliet, "zustand", "")
		is(all, german.Session.Forbidden)
		w.end()
		_, all = w.chat(juliet, "gesperrt", "")
		is(all, german.Session.Stopping)
		if r, _ := w.step(&mapping.XMPPCommand{From: jid(juliet), Node: "help", Lang: "de"}); r.Lang != "de" || r.Failure == nil || r.Failure.Text != german.Session.Stopping {
			t.Errorf("%+v", r)
		}
	})
}

// Who writes too fast is told so by an error, which ends the conversation of a program.
func TestChatRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(o *Options) { o.Rate = func() int { return 2 } })
		answered, refused := 0, 0
		for range 100 {
			switch w.text(juliet, "blocked", "") {
			case english.Blocks.None:
				answered++
			case "resource-constraint":
				refused++
			}
		}
		if answered != 20 || refused != 80 {
			t.Errorf("%d answered, %d refused", answered, refused)
		}
		if got := w.text(nurse, "blocked", ""); got != english.Blocks.None {
			t.Errorf("somebody else: %q", got)
		}
	})
}

// What a user chooses is spoken with him from then on, whatever his client says.
func TestLanguage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		r := w.begin(juliet, "language")
		if described(r) != "executing | complete" || shown(r.Form) != "form \"Language\"\n  Which language shall I speak with you?\nlanguage (list-single) * = [\"auto\"]\n" ||
			!slices.Equal(r.Form.Fields[0].Options, []mapping.Option{{Label: "The one of my client", Value: "auto"}, {Label: "English", Value: "en"}, {Label: "Deutsch", Value: "de"}}) {
			t.Errorf("%s\n%s", described(r), shown(r.Form))
		}
		r, _ = w.submit(r, juliet, actComplete, "language", "de")
		if described(r) != "completed | info: "+german.Language.Done || r.Lang != "de" {
			t.Errorf("%s in %s", described(r), r.Lang)
		}
		if got := w.text(phone, "blocked", "en"); got != german.Blocks.None {
			t.Errorf("another device, English: %q", got)
		}
		if items := w.desk.Items(jid(juliet), "en"); items[0].Name != "Mein SIP-Konto" {
			t.Errorf("the list: %+v", items)
		}
		if got := w.text(nurse, "blocked", ""); got != english.Blocks.None {
			t.Errorf("somebody else: %q", got)
		}
		for _, c := range []struct{ text, lang, want string }{
			{"language klingon", "en", "Diese Sprache kenne ich nicht. Ich kenne: English, Deutsch."},
			{"sprache englisch", "de", english.Language.Done},
			{"blocked", "de", english.Blocks.None},
			{"language Deutsch", "", german.Language.Done},
			{"sprache automatisch", "en", english.Language.Done},
			{"blocked", "de", german.Blocks.None},
		} {
			if got := w.text(juliet, c.text, c.lang); got != c.want {
				t.Errorf("%s: %q, want %q", c.text, got, c.want)
			}
		}
		if w.languages[jid("juliet@example.com")] != "" {
			t.Errorf("still %v", w.languages)
		}
	})
}

// Every command is answered in German to a German client: nothing of it is in English.
func TestGerman(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		for _, c := range w.desk.all {
			if c.onlyChat {
				continue
			}
			r, _ := w.step(&mapping.XMPPCommand{From: jid(boss), Node: c.node, Lang: "de-CH"})
			if r.Lang != "de" || r.Failure != nil {
				t.Errorf("%s: %+v", c.node, r)
			}
			for _, n := range r.Notes {
				for _, s := range []string{" the ", " you ", "There "} {
					if strings.Contains(n.Text, s) {
						t.Errorf("%s: %q", c.node, n.Text)
					}
				}
			}
			if r.Form != nil && c.node != nodeDelete && r.Form.Title != "" && r.Form.Title == english.Commands[c.node].Title {
				t.Errorf("%s: %q", c.node, r.Form.Title)
			}
			time.Sleep(time.Second)
		}
	})
}

// A user sees his own messages and nobody else's.
func TestMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.Local)
		w.recent[jid("juliet@example.com")] = []Message{
			{At: at, Sent: true, Contact: "romeo@sip.example.com", Outcome: "failed", Reason: "404 Not Found"},
			{At: at.Add(-time.Minute), Contact: "romeo@sip.example.com", Outcome: "delivered"},
		}
		const want = "result \"Your last messages\"\n" +
			`["2026-03-01 12:00:00" "to" "romeo@sip.example.com" "not delivered" "404 Not Found"]` + "\n" +
			`["2026-03-01 11:59:00" "from" "romeo@sip.example.com" "delivered" ""]` + "\n"
		if r := w.begin(phone, "messages"); shown(r.Form) != want {
			t.Errorf("%s", shown(r.Form))
		}
		if r := w.begin(nurse, "messages"); r.Form != nil || described(r) != "completed | info: "+english.Messages.None {
			t.Errorf("somebody else: %s", described(r))
		}
		got := w.text(juliet, "nachrichten", "")
		if !strings.Contains(got, "Ergebnis: nicht zugestellt\nGrund: 404 Not Found") || !strings.HasPrefix(got, german.Messages.Title) {
			t.Errorf("in a chat: %q", got)
		}
	})
}

// Looking up says what addresses mean, and does not say who is behind an alias (SEC-14).
func TestLookup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		look := func(from, typed string) string {
			t.Helper()
			r := w.begin(from, "lookup")
			r, _ = w.submit(r, from, actComplete, "address", typed)
			s := described(r) + " "
			if r.Form != nil {
				s += r.Form.Value("jid") + " = " + r.Form.Value("sip")
			}
			return s
		}
		for _, c := range []struct{ from, typed, want string }{
			{juliet, "romeo@pbx.example.net", "completed romeo@sip.example.com = sip:romeo@pbx.example.net"},
			{juliet, "Romeo <sip:romeo@example.org>", `completed romeo\40example.org@sip.example.com = sip:romeo@example.org`},
			{juliet, "romeo@sip.example.com", "completed romeo@sip.example.com = sip:romeo@pbx.example.net"},
			{juliet, "juliet@example.com", "completed juliet@example.com = sip:juliet@example.com"},
			{juliet, "nurse@example.com", "completed | error: There is no such address. This is the address of an XMPP user, who is not reached through the gateway. "},
			{juliet, "sip:+15550001111@pbx.example.net", "completed | error: There is no such address. This is the address of an XMPP user, who is not reached through the gateway. "},
			{boss, "nurse@example.com", "completed nurse@example.com = sip:nurse@example.com"},
			{boss, "romeo@sip.example.com", "completed romeo@sip.example.com = sip:romeo@pbx.example.net"},
		} {
			if got := look(c.from, c.typed); got != c.want {
				t.Errorf("%s looks up %s: %q, want %q", c.from, c.typed, got, c.want)
			}
			if strings.Contains(look(juliet, c.typed), "nurse") && c.typed != "nurse@example.com" {
				t.Errorf("%s says who is behind an alias", c.typed)
			}
			time.Sleep(time.Second)
		}
		if got := w.text(juliet, "lookup romeo@pbx.example.net", ""); !strings.Contains(got, "XMPP address: romeo@sip.example.com\nSIP address: sip:romeo@pbx.example.net\nWhy: ") {
			t.Errorf("in a chat: %q", got)
		}
	})
}

// Blocking is by user; what is blocked for all is the admins' business.
func TestBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		r := w.begin(juliet, "block")
		r, _ = w.submit(r, juliet, actComplete, "address", "Tybalt@pbx.example.net")
		if described(r) != "completed | info: tybalt@pbx.example.net is blocked." {
			t.Errorf("blocked: %s", described(r))
		}
		if got := w.text(juliet, "block paris@pbx.example.net", ""); got != "paris@pbx.example.net is blocked." {
			t.Error(got)
		}
		if got := w.text(juliet, "block who", ""); got != "This is neither a SIP address nor a phone number." {
			t.Error(got)
		}
		if r := w.begin(juliet, "blocked"); shown(r.Form) != "result \"Contacts that you have blocked\"\nentry (text-multi) = [\"tybalt@pbx.example.net\" \"paris@pbx.example.net\"]\n" {
			t.Errorf("listed: %s", shown(r.Form))
		}
		if r := w.begin(nurse, "blocked"); r.Form != nil {
			t.Errorf("somebody else: %s", shown(r.Form))
		}
		if r := w.begin(nurse, "unblock"); described(r) != "completed | info: "+english.Blocks.None {
			t.Errorf("nothing to unblock: %s", described(r))
		}
		r = w.begin(juliet, "unblock")
		if len(r.Form.Fields[0].Options) != 2 {
			t.Errorf("to choose from: %s", shown(r.Form))
		}
		r, _ = w.submit(r, juliet, actComplete, "address", "tybalt@pbx.example.net")
		if described(r) != "completed | info: tybalt@pbx.example.net may reach you again." {
			t.Errorf("unblocked: %s", described(r))
		}
		if got := w.text(juliet, "unblock tybalt@pbx.example.net", ""); got != english.Problems["not-blocked"] {
			t.Error(got)
		}
		if len(w.blocks.of[mapping.JID{}]) != 0 {
			t.Errorf("blocked for all: %v", w.blocks.of)
		}
		if got := w.text(boss, "ban 192.0.2.0/24", ""); got != "192.0.2.0/24 is blocked." || len(w.blocks.of[mapping.JID{}]) != 1 {
			t.Errorf("%s: %v", got, w.blocks.of)
		}
		if got := w.text(boss, "unban 192.0.2.0/24", ""); got != "192.0.2.0/24 is not blocked any more." {
			t.Error(got)
		}
	})
}
