package commands

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// GW-25: admins have their commands, others neither see them nor may give them.
func TestOnlyAdmins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		theirs := 0
		seen := func(from string, node string) bool {
			return slices.ContainsFunc(w.desk.Items(jid(from), ""), func(i mapping.CommandItem) bool { return i.Node == node && i.Name != "" })
		}
		for _, c := range w.desk.all {
			if c.onlyChat {
				continue
			}
			if !seen(boss, c.node) {
				t.Errorf("%s is hidden from an admin", c.node)
			}
			for _, who := range []string{juliet, "boss@evil.example/desk", "notboss@example.com/desk"} {
				if seen(who, c.node) == c.admin {
					t.Errorf("%s: shown to %s: %v", c.node, who, !c.admin)
				}
				if r := w.begin(who, c.node); (described(r) == "auth/forbidden") != c.admin {
					t.Errorf("%s by %s: %s", c.node, who, described(r))
				}
			}
			if c.admin {
				theirs++
			}
			time.Sleep(time.Second)
		}
		if theirs < 10 {
			t.Errorf("only %d commands of admins", theirs)
		}
		// Who is no admin any more has lost what he has begun.
		r := w.begin(boss, "loglevel")
		w.desk.o.Admin = nil
		if r, _ = w.submit(r, boss, actComplete, "level", "debug"); described(r) != "auth/forbidden" || w.level.Level() != "info" {
			t.Errorf("%s, %s", described(r), w.level.Level())
		}
	})
}

func TestAdminCommands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		now := time.Now()
		w.operator.status = Status{Version: "1.2", Since: now.Add(-26*time.Hour - 3*time.Minute), Queue: 7, Links: []Link{{Name: gateway, Server: "127.0.0.1:5347", State: "up", Since: now}}}
		w.operator.routes = []Route{{Domain: "pbx.example.net", Via: "sip:192.0.2.1", Registration: "refused", Answers: "alive", Reason: "403 Forbidden", RoundTrip: 1234 * time.Microsecond}}
		w.operator.total = 30
		for i := range 25 {
			w.operator.waiting = append(w.operator.waiting, Waiting{ID: uint64(i + 1), From: "juliet@example.com", To: "romeo@sip.example.com", State: "back-off", Attempts: 2, Problem: "503 Later"})
		}
		w.used = []Use{{User: "juliet@example.com", Day: "2026-03-01", Sent: 3, Limit: 20}, {User: "nurse@example.com", Day: "2026-03-01", Sent: 1}}
		w.accounts.of[jid("juliet@example.com")] = Account{User: jid("juliet@example.com"), Address: "sip:juliet@pbx.example.net", State: "refused", Status: 403, Reason: "Forbidden"}
		w.accounts.of[jid("nurse@example.com")] = Account{User: jid("nurse@example.com"), Address: "sip:nurse@pbx.example.net", State: "asleep", Reason: "locked"}
		when := now.Local().Format(english.Labels.Layout)
		for _, c := range []struct{ node, want string }{
			{"status", "completed\nresult \"Gateway: status\"\nversion (text-single) = [\"1.2\"]\nsince (text-single) = [\"" + now.Add(-26*time.Hour-3*time.Minute).Local().Format(english.Labels.Layout) +
				"\"]\nuptime (text-single) = [\"1 d 2 h 3 min\"]\nqueue (text-single) = [\"7\"]\naccounts (text-single) = [\"2\"]\n[\"sip.example.com\" \"127.0.0.1:5347\" \"up\" \"" + when + "\" \"\"]\n"},
			{"routes", "completed\nresult \"Gateway: routes and registrations\"\n[\"pbx.example.net\" \"sip:192.0.2.1\" \"yes\" \"1.2ms\" \"refused\" \"\" \"403 Forbidden\"]\n"},
			{"usage", "completed\nresult \"Gateway: messages to telephones today\"\n[\"juliet@example.com\" \"2026-03-01\" \"3\" \"20\"]\n[\"nurse@example.com\" \"2026-03-01\" \"1\" \"none\"]\n"},
			{"accounts", "completed\nresult \"Gateway: SIP accounts of users\"\n[\"juliet@example.com\" \"sip:juliet@pbx.example.net\" \"refused\" \"\" \"403 Forbidden\"]\n" +
				"[\"nurse@example.com\" \"sip:nurse@pbx.example.net\" \"asleep\" \"\" \"What is stored of this SIP account cannot be read at present.\"]\n"},
			{nodeUsersNum, "completed\nresult \"Get Number of Registered Users\"\nFORM_TYPE (hidden) = [\"http://jabber.org/protocol/admin\"]\nregisteredusersnum (text-single) = [\"2\"]\n"},
		} {
			r := w.begin(boss, c.node)
			if got := described(r) + "\n" + shown(r.Form); got != c.want {
				t.Errorf("%s:\n%s\nwant\n%s", c.node, got, c.want)
			}
		}
		r := w.begin(boss, "queue")
		if described(r) != "completed | info: and 10 more" || len(r.Form.Rows) != shownQueue || r.Form.Rows[0][3] != "waiting for the next attempt" {
			t.Errorf("queue: %s\n%s", described(r), shown(r.Form))
		}

		for want, reloaded := range map[string]Reloaded{
			"info: " + english.Admin.NothingChanged: {Applied: true},
			"info: " + english.Admin.Reloaded:       {Applied: true, Changed: []string{"xmpp.html"}, Waiting: []string{"sip.listen"}},
			"error: " + english.Admin.NotReloaded:   {Faults: []string{"xmpp.html: no"}},
		} {
			w.operator.reloaded = reloaded
			r := w.begin(boss, "reload")
			if described(r) != "completed | "+want || r.Form != nil && (r.Form.Value("changed")+r.Form.Value("faults") == "") {
				t.Errorf("reload: %s\n%s", described(r), shown(r.Form))
			}
		}
		w.operator.fault = errDisk
		for _, node := range []string{"routes", "queue", "reload"} {
			if r := w.begin(boss, node); described(r) != "completed | error: "+english.Session.Failed {
				t.Errorf("%s: %s", node, described(r))
			}
		}
		if !strings.Contains(w.log.String(), errDisk.Error()) || !strings.Contains(w.log.String(), `msg="an admin has given an order" admin=boss@example.com command=reload`) {
			t.Errorf("the log:\n%s", w.log.String())
		}

		r = w.begin(boss, "loglevel")
		r, _ = w.submit(r, boss, actComplete, "level", "WARN")
		if described(r) != "completed | info: The log level is warn, until the next reload or start." || w.level.Level() != "warn" {
			t.Errorf("%s, %s", described(r), w.level.Level())
		}
	})
}

// XEP-0133 §4.1, §4.18, §4.11.
func TestServiceAdministration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		for i := range 60 {
			user := jid(fmt.Sprintf("u%02d@example.com", i))
			w.accounts.of[user] = Account{User: user, Address: "sip:x@pbx.example.net"}
		}
		r := w.begin(boss, nodeUsers)
		if r.Form.Value("FORM_TYPE") != nsAdmin || len(r.Form.Fields[1].Options) != len(sizes) || r.Form.Fields[1].Options[len(sizes)-1] != (mapping.Option{Label: "all", Value: "none"}) {
			t.Errorf("%s", shown(r.Form))
		}
		for size, want := range map[string]int{"25": 25, "none": 60, "100": 60} {
			r := w.begin(boss, nodeUsers)
			r, _ = w.submit(r, boss, actComplete, "FORM_TYPE", nsAdmin, "max_items", size)
			if got := r.Form.All("registereduserjids"); len(got) != want || got[0] != "u00@example.com" {
				t.Errorf("%s: %d users", size, len(got))
			}
		}
		if r, _ := w.submit(r, boss, actComplete, "max_items", "many"); described(r) != "modify/bad-request+bad-payload" {
			t.Errorf("many: %s", described(r))
		}

		users := func(all ...string) *mapping.Form {
			return &mapping.Form{Type: mapping.FormSubmit, Fields: []mapping.Field{{Var: "accountjids", Values: all}}}
		}
		r = w.begin(boss, nodeDelete)
		r, also := w.step(&mapping.XMPPCommand{From: jid(boss), Node: nodeDelete, Session: r.Session, Form: users("u01@example.com/x", "nobody@example.com", "u02@example.com")})
		if described(r) != "completed | info: SIP accounts that were removed: 2. | warn: Not removed: nobody@example.com" || len(w.accounts.All()) != 58 {
			t.Errorf("%s; %d are left", described(r), len(w.accounts.All()))
		}
		if got := bodies(also); len(got) != 6 || got[0] != "sip.example.com>u01@example.com unsubscribe" {
			t.Errorf("they are told: %q", got)
		}
		for _, bad := range []*mapping.Form{users(), users("@"), users("  "), submitted()} {
			r := w.begin(boss, nodeDelete)
			if r, _ := w.step(&mapping.XMPPCommand{From: jid(boss), Node: nodeDelete, Session: r.Session, Form: bad}); described(r) != "modify/bad-request+bad-payload" {
				t.Errorf("%+v: %s", bad, described(r))
			}
		}

		list := func(all ...string) *mapping.Form {
			return &mapping.Form{Type: mapping.FormSubmit, Fields: []mapping.Field{{Var: "blacklistjids", Values: all}}}
		}
		edit := func(form *mapping.Form, want string, left ...string) {
			t.Helper()
			time.Sleep(time.Second)
			r := w.begin(boss, nodeBlack)
			if got := r.Form.All("blacklistjids"); !slices.Equal(got, w.blocks.of[mapping.JID{}]) {
				t.Errorf("the form has %q", got)
			}
			r, _ = w.step(&mapping.XMPPCommand{From: jid(boss), Node: nodeBlack, Session: r.Session, Form: form})
			if got := w.blocks.of[mapping.JID{}]; described(r) != want || !slices.Equal(got, left) {
				t.Errorf("%s, and blocked are %q", described(r), got)
			}
		}
		edit(list("Mallory@example.com", "192.0.2.1", "", "mallory@example.com"), "completed | info: Blocked: 2. Unblocked: 0.", "mallory@example.com", "192.0.2.1")
		edit(list("192.0.2.1\n@evil.example\n"), "completed | info: Blocked: 1. Unblocked: 1.", "192.0.2.1", "@evil.example")
		edit(list("192.0.2.1", "nobody"), "completed | error: nobody: This is neither a SIP address nor a phone number.", "192.0.2.1", "@evil.example")
		edit(submitted(), "modify/bad-request+bad-payload", "192.0.2.1", "@evil.example")
		edit(list(), "completed | info: Blocked: 0. Unblocked: 2.")

		// Somebody else blocks and unblocks while the form is shown.
		edit(list("192.0.2.1", "@evil.example"), "completed | info: Blocked: 2. Unblocked: 0.", "192.0.2.1", "@evil.example")
		r = w.begin(boss, nodeBlack)
		w.blocks.of[mapping.JID{}] = []string{"@evil.example", "mallory@example.com"}
		r, _ = w.step(&mapping.XMPPCommand{From: jid(boss), Node: nodeBlack, Session: r.Session, Form: list("192.0.2.1", "@new.example")})
		if got := w.blocks.of[mapping.JID{}]; described(r) != "completed | info: Blocked: 1. Unblocked: 1." || !slices.Equal(got, []string{"mallory@example.com", "@new.example"}) {
			t.Errorf("%s, and blocked are %q", described(r), got)
		}
		delete(w.blocks.of, mapping.JID{})
		for i := range maxBlacklist + 1 {
			w.blocks.of[mapping.JID{}] = append(w.blocks.of[mapping.JID{}], fmt.Sprintf("u%d@example.com", i))
		}
		if r := w.begin(boss, nodeBlack); described(r) != "completed | error: "+english.Blocks.TooMany {
			t.Errorf("too many: %s", described(r))
		}
		if r := w.begin(boss, "banned"); len(r.Form.All("entry")) != maxListed || described(r) != fmt.Sprintf("completed | info: and %d more", maxBlacklist+1-maxListed) {
			t.Errorf("listed: %s", described(r))
		}
	})
}
