package app

import (
	"strings"
	"testing"

	"github.com/stoxgw/stox/internal/config"
	"github.com/stoxgw/stox/internal/history"
	"github.com/stoxgw/stox/internal/siptest"
)

// The pages of a whole daemon: how it does, the messages, one of them, and what the trail has
// of one that is not remembered.
func TestStatusPages(t *testing.T) {
	g := startGateway(t, "udp", watched, func(c *config.Config) { c.Admin.ShowBodies = true })
	g.peer.Answer(func(m *siptest.Message) string {
		if strings.Contains(m.Get("To"), "nobody") {
			return m.Reply(404, "<b>Not Here</b>")
		}
		return m.Reply(200, "OK")
	})
	g.message("m1", "romeo@sip.example.com", "the &lt;b&gt;text")
	m1 := g.remembered("m1", history.Answer)
	g.message("m2", "nobody@sip.example.com", "x")
	m2 := g.remembered("m2", history.Reported)
	check := func(path string, want int, parts ...string) {
		t.Helper()
		status, page := g.page(path)
		if status != want {
			t.Errorf("%s: %d", path, status)
		}
		for _, p := range parts {
			if !strings.Contains(page, p) {
				t.Errorf("%s has no %q:\n%s", path, p, page)
			}
		}
		if strings.Contains(page, "<b>") {
			t.Errorf("%s has the markup of others", path)
		}
	}
	check("/", 200, "All is well", "sip.example.com", "romeo@sip.example.com"[:5], "404 &lt;b&gt;Not Here&lt;/b&gt;", "/m/"+m2.Key)
	check("/messages?user=juliet", 200, "/m/"+m1.Key, "/m/"+m2.Key, "not delivered")
	check("/messages?outcome=delivered", 200, "/m/"+m1.Key)
	check("/m/"+m1.Key, 200, "delivered", "SIP answers 200", "the &lt;b&gt;text", "sip:romeo@pbx.example.net")
	check("/m/zzzz?id="+m2.CallID, 200, "What the trail has", "404 &lt;b&gt;Not Here&lt;/b&gt;")
	check("/m/zzzz?id=nothing", 404, "This message is not known")
	check("/style.css", 200, "prefers-color-scheme")
}
