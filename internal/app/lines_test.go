package app

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/internal/accounts"
	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/internal/xmpptest"
	"github.com/stoxgw/stox/mapping"
)

const accountPassword = "nights-cloak-4711"

// accountsHome is a home with a registrar next door, which refuses passwords of a kind.
func accountsHome(t *testing.T, dir, mode string, registrar *siptest.Registrar) *home {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "accounts.key"), []byte("# a key\n"+keyOne+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return startAccounts(t, dir, mode, registrar)
}

func startAccounts(t *testing.T, dir, mode string, registrar *siptest.Registrar) *home {
	t.Helper()
	h := newHomeWith(t, dir, registrar.Answer, withAccounts(filepath.Join(dir, "stox.db"), mode)...)
	return h
}

// set gives a user an account, and says what came of it.
func (h *home) set(user string, d accounts.Details) string {
	h.t.Helper()
	told := make(chan error, 1)
	h.app.accounts.Set(mapping.MustParseJID(user), d, func(err error) { told <- err })
	return kindOf(h.t, <-told)
}

func kindOf(t *testing.T, err error) string {
	var p *accounts.Problem
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &p):
		return string(p.Kind)
	}
	t.Errorf("%v", err)
	return ""
}

// An account from beginning to end: registered, used both ways beside the phone, there after a
// restart, sealed with another key, ended. Its password is in no file and in no log.
func TestAccountOfAUser(t *testing.T) {
	dir := t.TempDir()
	registrar := &siptest.Registrar{}
	const aor, phone = "sip:capulet@example.net", "sip:capulet@192.0.2.77"
	registrar.Bind(aor, phone)
	logs := ""
	contact := func(t *testing.T) string {
		t.Helper()
		for _, uri := range registrar.BindingsOf(aor) {
			if uri != phone {
				return uri
			}
		}
		return ""
	}
	var first string
	synctest.Test(t, func(t *testing.T) {
		h := accountsHome(t, dir, "optional", registrar)
		defer func() { h.stop(); logs += h.log.String() }()
		if got := h.set("juliet@example.com", accounts.Details{AOR: "capulet@example.net", Password: accountPassword, Name: "Juliet"}); got != "ok" {
			t.Fatalf("%s\n%s", got, h.log.String())
		}
		if first = contact(t); first == "" {
			t.Fatalf("bindings: %v", registrar.Bindings())
		}
		if a, has := h.app.accounts.Of(mapping.MustParseJID("juliet@example.com")); !has || a.State != "registered" {
			t.Errorf("%+v", a)
		}
		h.toSIP("romeo", "m1", "from the account")
		all := h.sent("MESSAGE")
		if len(all) != 1 || !strings.Contains(all[0].Get("From"), `"Juliet" <`+aor+">") {
			t.Fatalf("%d messages were sent", len(all))
		}
		if got := h.fromSIP(neighbour, 1, romeo, first, "to the contact"); got != 200 {
			t.Errorf("to the contact: %d", got)
		}
		if got := h.fromSIP(neighbour, 2, romeo, aor, "to the address"); got != 200 {
			t.Errorf("to the address: %d", got)
		}
		// The phone beside it writes to a user of XMPP.
		if got := h.fromSIP(neighbour, 3, aor, "sip:nurse@example.com", "from the phone"); got != 200 {
			t.Errorf("from the phone: %d", got)
		}
		var got []string
		for _, st := range h.texts() {
			got = append(got, st.From+" "+st.To+" "+st.Body)
		}
		want := "[romeo@sip.example.com juliet@example.com to the contact romeo@sip.example.com juliet@example.com to the address capulet@sip.example.com nurse@example.com from the phone]"
		if fmt.Sprint(got) != want {
			t.Errorf("delivered %v\nwant %s", got, want)
		}
		if got := h.set("nurse@example.com", accounts.Details{AOR: "Capulet@example.net", Password: accountPassword}); got != string(accounts.KindTaken) {
			t.Errorf("the same for another user: %s", got)
		}
		// The key is changed while it runs.
		h.write("accounts.key", keyTwo+"\n"+keyOne+"\n")
		if out := h.reload(withAccounts(filepath.Join(dir, "stox.db"), "optional")...); !out.Applied {
			t.Errorf("%v", out.Faults)
		}
		time.Sleep(time.Second)
		if !strings.Contains(h.log.String(), "SIP accounts are sealed with the first key of accounts.key_file from now on") {
			t.Errorf("the log\n%s", h.log.String())
		}
		h.write("accounts.key", "no key\n")
		if out := h.reload(withAccounts(filepath.Join(dir, "stox.db"), "optional")...); out.Applied || !strings.Contains(strings.Join(out.Faults, ""), "accounts.key_file") || !strings.Contains(strings.Join(out.Faults, ""), "line 1 is not base64 of 32 octets") {
			t.Errorf("a key file that is none: %+v", out)
		}
	})
	if len(registrar.BindingsOf(aor)) != 1 {
		t.Errorf("after the stop there are %v", registrar.BindingsOf(aor))
	}
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(began.Add(time.Hour)))
		if err := os.WriteFile(filepath.Join(dir, "accounts.key"), []byte(keyTwo+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		h := startAccounts(t, dir, "required", registrar)
		defer func() { h.stop(); logs += h.log.String() }()
		time.Sleep(time.Minute)
		if got := contact(t); got != first {
			t.Errorf("the next run has the contact %s, and not %s", got, first)
		}
		h.toSIP("romeo", "m2", "again")
		if all := h.sent("MESSAGE"); len(all) != 1 || !strings.Contains(all[0].Get("From"), "<"+aor+">") {
			t.Errorf("%d messages were sent", len(all))
		}
		// GW-21: who has none.
		h.xmpp("<message from='nurse@example.com/a' to='romeo@sip.example.com' id='n1' type='chat'><body>hi</body></message>")
		h.xmpp("<presence from='nurse@example.com' to='romeo@sip.example.com' id='n2' type='subscribe'/>")
		for _, id := range []string{"n1", "n2"} {
			if len(h.written(func(st xmpptest.Stanza) bool {
				return st.ID == id && st.Type == "error" && strings.Contains(st.Raw, "registration-required")
			})) != 1 {
				t.Errorf("%s: %v", id, h.errors())
			}
		}
		if got := h.fromSIP(neighbour, 11, romeo, "sip:nurse@example.com", "hi"); got != 480 {
			t.Errorf("to who has none: %d", got)
		}
		told := make(chan error, 1)
		h.app.accounts.Remove(mapping.MustParseJID("juliet@example.com"), func(err error) { told <- err })
		if got := kindOf(t, <-told); got != "ok" {
			t.Errorf("removed: %s", got)
		}
		time.Sleep(5 * time.Second)
		if got := contact(t); got != "" || len(registrar.BindingsOf(aor)) != 1 {
			t.Errorf("bound after the end: %v", registrar.BindingsOf(aor))
		}
		if got := h.fromSIP(neighbour, 12, romeo, first, "too late"); got == 200 {
			t.Error("what comes to the contact after the end is delivered")
		}
	})
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) < 3 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, name := range files {
		if text, err := os.ReadFile(name); err == nil && strings.Contains(string(text), accountPassword) {
			t.Errorf("the password is in %s", name)
		}
	}
	if strings.Contains(logs, accountPassword) || !strings.Contains(logs, "a user has a SIP account") {
		t.Errorf("the log\n%s", logs)
	}
}

// A wrong password is told, leaves nothing, and is not kept in any file.
func TestAccountIsRefused(t *testing.T) {
	dir := t.TempDir()
	registrar := &siptest.Registrar{}
	registrar.Script(func(_ int, m *siptest.Message) string {
		if strings.Contains(m.Get("To"), "silent") {
			return "-"
		}
		return m.Reply(403, "Forbidden")
	})
	synctest.Test(t, func(t *testing.T) {
		h := accountsHome(t, dir, "optional", registrar)
		defer h.stop()
		for who, want := range map[string]accounts.Kind{"capulet": accounts.KindWrongPassword, "silent": accounts.KindNoAnswer} {
			if got := h.set("juliet@example.com", accounts.Details{AOR: who + "@example.net", Password: accountPassword}); got != string(want) {
				t.Errorf("%s: %s", who, got)
			}
		}
		if all := h.app.accounts.All(); len(all) > 0 || len(registrar.Bindings()) > 0 {
			t.Errorf("%v, %v", all, registrar.Bindings())
		}
		if strings.Contains(h.log.String(), accountPassword) {
			t.Errorf("the log\n%s", h.log.String())
		}
	})
}

// While an admin has blocked a user his account sleeps, from that moment on and after a start,
// and it is there again when he takes the block back.
func TestAccountOfWhoIsBlocked(t *testing.T) {
	dir := t.TempDir()
	registrar := &siptest.Registrar{}
	juliet := mapping.MustParseJID("juliet@example.com")
	h := (*home)(nil)
	state := func(t *testing.T, want string, bindings int) {
		t.Helper()
		time.Sleep(time.Minute)
		if a, _ := h.app.accounts.Of(juliet); a.State != want || len(registrar.Bindings()) != bindings {
			t.Errorf("the account is %q, and bound are %v", a.State, registrar.Bindings())
		}
	}
	synctest.Test(t, func(t *testing.T) {
		h = accountsHome(t, dir, "optional", registrar)
		defer h.stop()
		if got := h.set("juliet@example.com", accounts.Details{AOR: "capulet@example.net", Password: accountPassword}); got != "ok" {
			t.Fatal(got)
		}
		if _, err := h.app.blocks.Block(mapping.JID{}, "juliet@example.com"); err != nil {
			t.Fatal(err)
		}
		state(t, accounts.StateAsleep, 0)
	})
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(began.Add(time.Hour)))
		h = startAccounts(t, dir, "optional", registrar)
		defer h.stop()
		state(t, accounts.StateAsleep, 0)
		if _, err := h.app.blocks.Unblock(mapping.JID{}, "juliet@example.com"); err != nil {
			t.Fatal(err)
		}
		state(t, "registered", 1)
	})
}
