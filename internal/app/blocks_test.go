package app

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/internal/admin"
	"github.com/stoxgw/stox/internal/siptest"
)

func (h *home) block(owner, what string) {
	h.t.Helper()
	if _, err := h.app.operator().Block(h.t.Context(), owner, what); err != nil {
		h.t.Fatal(err)
	}
	synctest.Wait()
}

func (h *home) unblock(owner, what string) {
	h.t.Helper()
	if _, err := h.app.operator().Unblock(h.t.Context(), owner, what); err != nil {
		h.t.Fatal(err)
	}
	synctest.Wait()
}

// What is blocked is blocked at once, whoever has blocked it, and stays so when the
// configuration is read again.
func TestBlocksTakeEffect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHome(t, t.TempDir(), office)
		defer h.stop()
		n := 0
		wants := func(what string, from string, want int) {
			t.Helper()
			n++
			if got := h.fromSIP(neighbour, n, from, juliet, "hi"); got != want {
				t.Errorf("%s: %s gets %d, want %d", what, from, got, want)
			}
		}
		wants("at first", romeo, 200)
		h.block("juliet@example.com", "Romeo@sip.example.com/phone")
		wants("blocked by her", romeo, 480)
		wants("blocked by her", "sip:paris@example.net", 200)
		h.toSIP("romeo", "m1", "hi")
		if e := h.errors(); len(e) != 1 || !strings.Contains(e[0].Raw, `<not-acceptable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>`) ||
			!strings.Contains(e[0].Raw, `<blocked xmlns='urn:xmpp:blocking:errors'/>`) {
			t.Errorf("she writes to him: %v", e)
		}
		if done := h.reload(office, "limits: user_rate=7"); !done.Applied {
			t.Fatal(done)
		}
		wants("after a reload", romeo, 480)
		h.unblock("juliet@example.com", "sip:romeo@example.net")
		wants("unblocked", romeo, 200)

		h.block("", "@example.net")
		wants("a domain", romeo, 403)
		h.unblock("", "@example.net")
		h.block("", "juliet@example.com")
		wants("the user", romeo, 403)
		h.toSIP("paris", "m2", "hi")
		if e := h.errors(); len(e) != 2 || !strings.Contains(e[1].Raw, "<forbidden ") || !strings.Contains(e[1].Raw, "The administrator of this gateway has blocked you.") {
			t.Errorf("she is blocked: %v", e)
		}
		h.unblock("", "juliet@example.com")
		wants("all is as it was", romeo, 200)

		source := netip.MustParseAddrPort("192.0.2.5:5060")
		if got := h.fromSIP(source, 100, romeo, juliet, "hi"); got != 200 {
			t.Errorf("the office gets %d", got)
		}
		h.block("", "192.0.2.0/28")
		if got := h.fromSIP(source, 101, romeo, juliet, "hi"); got != 403 {
			t.Errorf("the office is blocked, and gets %d", got)
		}
		h.unblock("", "192.0.2.7/28")
		if got := h.fromSIP(source, 102, romeo, juliet, "hi"); got != 200 {
			t.Errorf("the office is not blocked any more, and gets %d", got)
		}
	})
}

// What is blocked, and what is counted, outlives the process; and who is stopped is asked
// about it, too.
func TestBlocksAndUsageOutliveTheProcess(t *testing.T) {
	dir := t.TempDir()
	lines := []string{"store: path='FILES/stox.db'", "limits: daily_per_user=2"}
	synctest.Test(t, func(t *testing.T) {
		h := newHome(t, dir, lines...)
		h.block("juliet@example.com", "romeo@sip.example.com")
		h.block("", "198.51.100.0/24")
		h.block("", "mallory@example.com")
		h.unblock("", "mallory@example.com")
		h.toSIP("+15551234567", "m1", "hi")
		h.stop()
	})
	synctest.Test(t, func(t *testing.T) {
		h := newHome(t, dir, lines...)
		defer h.stop()
		if got := h.fromSIP(neighbour, 1, romeo, juliet, "hi"); got != 480 {
			t.Errorf("she has blocked him, and he gets %d", got)
		}
		if got := h.fromSIP(neighbour, 2, romeo, "sip:nurse@example.com", "hi"); got != 200 {
			t.Errorf("nobody else has, and he gets %d", got)
		}
		p, err := h.app.operator().Blocks(t.Context(), "", 0)
		if err != nil || p.Total != 1 || p.Blocks[0].What != "198.51.100.0/24" || p.Blocks[0].Kind != "source" || !p.Blocks[0].Since.Equal(began) {
			t.Errorf("%+v, %v", p, err)
		}
		h.toSIP("+15551234568", "m2", "hi")
		h.toSIP("+15551234569", "m3", "hi")
		if e := h.errors(); len(e) != 1 || e[0].ID != "m3" || !strings.Contains(e[0].Raw, "You have sent 2 of 2 messages to telephone numbers today.") {
			t.Errorf("%v", e)
		}
		u, err := h.app.operator().Usage(t.Context(), "", 0)
		if want := fmt.Sprint([]admin.Use{{User: "juliet@example.com", Day: "2026-01-15", Sent: 2, Limit: 2}}); err != nil || fmt.Sprint(u.Uses) != want {
			t.Errorf("%v, %v", u, err)
		}
		time.Sleep(24 * time.Hour)
		h.toSIP("+15551234569", "m4", "hi")
		u, err = h.app.operator().Usage(t.Context(), "2026-01-15", 0) // from the disk
		if want := fmt.Sprint([]admin.Use{{User: "juliet@example.com", Day: "2026-01-15", Sent: 2}}); err != nil || fmt.Sprint(u.Uses) != want {
			t.Errorf("the day before: %v, %v", u, err)
		}
		if n := len(h.sent("MESSAGE")); n != 2 {
			t.Errorf("%d messages in all", n)
		}
	})
	cfg := presenceConfig(t, dir+"/stox.db")
	q, err := OpenFile(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	if u, err := q.Usage(t.Context(), "2026-01-16", 1); err != nil || len(u.Uses) != 1 || u.Uses[0].Sent != 1 || u.Total != 1 {
		t.Errorf("from the file: %v, %v", u, err)
	}
	if b, err := q.Block(t.Context(), "juliet@example.com", "+49 30 123456"); err != nil || b.What != "tel:+4930123456" {
		t.Errorf("%v, %v", b, err)
	}
	if b, err := q.Unblock(t.Context(), "juliet@example.com", "romeo@sip.example.com"); err != nil || b.What != "sip:romeo@example.net" {
		t.Errorf("%v, %v", b, err)
	}
	if p, err := q.Blocks(t.Context(), "juliet@example.com", 0); err != nil || len(p.Blocks) != 1 || p.Blocks[0].What != "tel:+4930123456" {
		t.Errorf("%v, %v", p, err)
	}
}

// The next hop of the trunk is a way to telephones, too.
func TestPrefixesAtTheNextHop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHome(t, t.TempDir(), "sip: phone_domain='trunk.example'", ": [[sip.route]]\ndomain='trunk.example'\nvia='sip:sbc.trunk.example'\n", "limits: prefixes=['+49']")
		defer h.stop()
		for i, to := range []string{"+15551234567", `+15551234567\40sbc.trunk.example`, `0015551234567\40trunk.example`, `+15551234567\40192.0.2.99`} {
			h.toSIP(to, fmt.Sprint("m", i), "hi")
			if e := h.errors(); len(e) != i+1 || !strings.Contains(e[i].Raw, "Messages can be sent to telephone numbers that begin with +49 only.") {
				t.Errorf("%s: %v", to, e)
			}
		}
		h.toSIP("+4930123456", "m", "hi")
		h.toSIP(`+15551234567\40elsewhere.example`, "m", "hi")
		if got := fmt.Sprint(siptestURIs(h.sent("MESSAGE"))); got != "[sip:+4930123456@trunk.example;user=phone sip:+15551234567@elsewhere.example]" {
			t.Errorf("%s", got)
		}
	})
}

func siptestURIs(all []*siptest.Wire) (out []string) {
	for _, w := range all {
		out = append(out, requestURI(w))
	}
	return out
}

// Users block by commands, each for himself, and nobody sees what others have blocked.
func TestBlocksByCommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHome(t, t.TempDir(), "xmpp: admins=['boss@example.com']")
		defer h.stop()
		ask := func(who, text string) string {
			t.Helper()
			before := len(h.texts())
			h.xmpp("<message from='%s@example.com/x' to='sip.example.com' id='%d' type='chat'><body>%s</body></message>", who, before, text)
			time.Sleep(time.Second)
			synctest.Wait()
			all := h.texts()[before:]
			if len(all) != 1 {
				t.Fatalf("%s: %d answers", text, len(all))
			}
			return all[0].Body
		}
		for _, c := range []struct{ who, text, want string }{
			{"juliet", "block romeo@sip.example.com", "sip:romeo@example.net"},
			{"juliet", "blocked", "sip:romeo@example.net"},
			{"juliet", "block 192.0.2.7", "Only an admin may block this."},
			{"juliet", "unblock paris@sip.example.com", "This is not blocked."},
			{"boss", "ban 0.0.0.0/0", "This would block everybody."},
			{"boss", "ban 198.51.100.9", "198.51.100.9"},
			{"boss", "banned", "198.51.100.9"},
		} {
			if got := ask(c.who, c.text); !strings.Contains(got, c.want) {
				t.Errorf("%s: %q, want %q", c.text, got, c.want)
			}
		}
		for _, who := range []string{"nurse", "boss"} {
			if got := ask(who, "blocked"); strings.Contains(got, "romeo") {
				t.Errorf("%s is shown %q", who, got)
			}
		}
		if got := h.fromSIP(neighbour, 1, romeo, juliet, "hi"); got != 480 {
			t.Errorf("romeo gets %d", got)
		}
		ask("juliet", "unblock romeo@sip.example.com")
		if got := h.fromSIP(neighbour, 2, romeo, juliet, "hi"); got != 200 {
			t.Errorf("unblocked, romeo gets %d", got)
		}
		h.toSIP("+15551234567", "m1", "hi")
		if got := ask("boss", "usage"); !strings.Contains(got, "juliet@example.com") {
			t.Errorf("usage: %q", got)
		}
	})
}
