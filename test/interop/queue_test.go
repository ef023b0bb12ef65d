//go:build interop

package interop

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stoxgw/stox/internal/siptest"
)

// GW-36, IM-59: a message that SIP cannot take for now waits in the queue, also while
// stox is stopped, and is delivered when SIP takes it. The operator sees it wait, and
// finds what became of it, without its text.
func TestQueueOutlivesRestart(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, server string) {
		w := newWorld(t, server)
		var ready atomic.Bool
		peer := siptest.Listen(t, "udp")
		peer.Answer(func(m *siptest.Message) string {
			if !ready.Load() {
				return m.Reply(503, "Service Unavailable", "Retry-After: 1")
			}
			return m.Reply(200, "OK")
		})
		w.run(via("*", int(peer.Addr().Port()), "udp"))
		j := w.login(juliet)
		const text = "kept for later"
		w.must(j.Message("kept", "romeo@"+w.component, text))
		first := peer.Await(1)[0]

		waits := func(where string) {
			t.Helper()
			var row struct {
				Stanza, To string
				CallID     string `json:"call_id"`
			}
			var out string
			for out == "" { // the disk may take its time: the first request did not wait for it
				out = w.operator("queue", "list", "--json")
			}
			if err := json.Unmarshal([]byte(out), &row); err != nil {
				t.Fatalf("%s: queue list: %v: %s", where, err, out)
			}
			if row.Stanza != "kept" || row.CallID != first.Get("Call-ID") || row.To != "romeo@"+w.component {
				t.Errorf("%s: queue list: %s", where, out)
			}
			if strings.Contains(out+w.operator("queue", "show", "kept"), text) {
				t.Errorf("%s: the operator is shown the text", where)
			}
		}
		waits("running")
		status, err := w.stox.Stop(w.ctx)
		w.must(err)
		if status != 0 {
			t.Errorf("exit status %d", status)
		}
		waits("stopped")

		before := len(peer.Requests())
		ready.Store(true)
		w.must(w.stox.Run(w.ctx))
		_, err = w.stox.WaitLink(w.ctx, 0)
		w.must(err)
		last := peer.Await(before + 1)[before]
		if last.Get("Call-ID") != first.Get("Call-ID") || string(last.Body) != text {
			t.Errorf("another request: %s %q", last.Get("Call-ID"), last.Body)
		}
		for _, id := range []string{"kept", first.Get("Call-ID")} {
			for out := ""; !strings.Contains(out, "delivered"); {
				if out = w.operator("trail", id); strings.Contains(out, text) {
					t.Fatalf("the text is in the trail: %s", out)
				}
				w.must(w.ctx.Err())
			}
		}
		if out := w.operator("queue", "list"); strings.Contains(out, "romeo@") {
			t.Errorf("still in the queue: %s", out)
		}
		w.crossed(passage{w.server.Name, roleServer, transportStream, toSIP, "arrived"}, "message that waited through a restart of stox")
	})
}

// operator runs one of stox's commands with the configuration of the daemon.
func (w *world) operator(args ...string) string {
	w.t.Helper()
	cmd := exec.CommandContext(w.ctx, w.stox.Bin, append(args, "-c", w.stox.Config)...)
	cmd.Env = w.stox.Environ()
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		w.must(fmt.Errorf("stox %s: %w: %s", strings.Join(args, " "), err, said.String()))
	}
	return string(out)
}
