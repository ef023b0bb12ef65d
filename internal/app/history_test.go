package app

import (
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stoxgw/stox/internal/commands"
	"github.com/stoxgw/stox/internal/config"
	"github.com/stoxgw/stox/internal/history"
	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/internal/texts"
	"github.com/stoxgw/stox/mapping"
)

// remembered waits until the history has a message with that id that has had these steps.
func (g *gateway) remembered(id string, steps ...string) history.Message {
	g.t.Helper()
	for patience := time.Now().Add(20 * time.Second); ; runtime.Gosched() {
		found := g.app.history.ByID(id)
		var got []string
		if len(found) == 1 {
			for _, s := range found[0].Steps {
				got = append(got, s.Kind)
			}
			if !slices.ContainsFunc(steps, func(want string) bool { return !slices.Contains(got, want) }) {
				return found[0]
			}
		}
		if time.Now().After(patience) { // it never comes
			g.t.Fatalf("%d messages are %s, with the steps %q, want %q", len(found), id, got, steps)
		}
	}
}

// What the daemon remembers of messages both ways, and what is left of it after a restart.
func TestHistory(t *testing.T) {
	g := startGateway(t, "udp", func(c *config.Config) { c.Admin.ShowBodies = true })
	g.peer.Answer(func(m *siptest.Message) string {
		if strings.Contains(m.Get("To"), "nobody") {
			return m.Reply(404, "Not Here")
		}
		return m.Reply(200, "OK")
	})
	g.message("m1", "romeo@sip.example.com", "the text")
	m := g.remembered("m1", history.Read, history.Answer)
	if m.Outcome != history.Delivered || m.User != "juliet@example.com/balcony" || m.SIP != "sip:romeo@pbx.example.net" || m.Body != "the text" || m.Size != len("the text") || m.CallID == "" {
		t.Errorf("%+v", m)
	}
	g.message("m2", "nobody@sip.example.com", "x")
	m = g.remembered("m2", history.Read, history.Answer, history.Told, history.Reported)
	if m.Outcome != history.Failed || m.Status != 404 || !strings.Contains(m.Reason, "Not Here") || m.Remedy == "" {
		t.Errorf("%+v", m)
	}
	branch, raw := g.request(1, "sip:juliet@example.com", "hello")
	g.peer.Send(g.sip, raw)
	g.peer.Final(branch)
	in := g.remembered("call-1", history.Read, history.Sent, history.Processed, history.Answered)
	if in.Outcome != history.Delivered || in.Status != 200 || !in.FromSIP || in.User != "juliet@example.com" || in.Body != "hello" {
		t.Errorf("%+v", in)
	}
	if got := g.app.history.OfUser(mapping.MustParseJID("juliet@example.com"), 10); len(got) != 3 || got[0].CallID != "call-1" {
		t.Errorf("%+v", got)
	}
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}

	// The link to a message from SIP holds; the texts are gone, and of steps there are few.
	next := startGateway(t, "udp", func(c *config.Config) { c.Store.Path = g.cfg.Store.Path })
	again, ok := next.app.history.Get(in.Key)
	if !ok || again.Outcome != history.Delivered || again.Known || again.Body != "" || again.User != in.User || again.CallID != in.CallID {
		t.Errorf("%v %+v", ok, again)
	}
	if m := next.remembered("m2", history.Told, history.Reported); m.Outcome != history.Failed || !strings.Contains(m.Reason, "Not Here") {
		t.Errorf("%+v", m)
	}
	if since, n := next.app.history.Since(); n != 3 || since.After(m.Read.Add(time.Minute)) {
		t.Errorf("%d since %v", n, since)
	}
}

// Texts are remembered only if they are to be shown, and forgotten when they are not to be
// any more.
func TestTextsAreNotRemembered(t *testing.T) {
	g := startGateway(t, "udp")
	g.peer.Answer(func(m *siptest.Message) string { return m.Reply(200, "OK") })
	g.message("m1", "romeo@sip.example.com", "the text")
	branch, raw := g.request(1, "sip:juliet@example.com", "hello")
	g.peer.Send(g.sip, raw)
	g.peer.Final(branch)
	for _, m := range []history.Message{g.remembered("m1", history.Answer), g.remembered("call-1", history.Answered)} {
		if m.Body != "" || m.Size == 0 {
			t.Errorf("%+v", m)
		}
	}
}

// The command "my last messages" has what is remembered, in its own words.
func TestMessagesOfUser(t *testing.T) {
	at := time.Unix(1_800_000_000, 0)
	book := history.NewBook(at)
	for i, n := range []history.Note{
		{Contact: "romeo@sip.example.com", SIP: "sip:romeo@pbx.example.net", Outcome: history.Delivered},
		{FromSIP: true, SIP: "sip:romeo@pbx.example.net", Outcome: history.Unknown},
		{Contact: "nobody@sip.example.com", Outcome: history.Denied, Text: "no such address"},
	} {
		n.Key, n.User, n.Read, n.At, n.Kind = uint64(i+1), "juliet@example.com/balcony", at, at, history.Read
		book.Put([]history.Note{n})
	}
	want := []commands.Message{
		{At: at, Sent: true, Contact: "nobody@sip.example.com", Outcome: "failed", Reason: "no such address"},
		{At: at, Contact: "sip:romeo@pbx.example.net", Outcome: "unconfirmed"},
		{At: at, Sent: true, Contact: "romeo@sip.example.com", Outcome: "delivered"},
	}
	if got := (deskRecent{book}).OfUser(mapping.MustParseJID("juliet@example.com"), 10); !slices.Equal(got, want) {
		t.Errorf("%+v", got)
	}
	for _, m := range want {
		if words := texts.For("en").State(m.Outcome); words == m.Outcome && m.Outcome != "delivered" {
			t.Errorf("there are no words for %q", m.Outcome)
		}
	}
}
