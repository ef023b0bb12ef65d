//go:build interop

// Package interop runs stox between real programs.
package interop

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stoxgw/stox/test/stage"
)

// handedOver is what SIP is answered for a message that the XMPP server has
// processed and that did not bounce.
const handedOver = 200

const (
	xmppDomain = "xmpp.test"
	component  = "sip.xmpp.test"
	sipDomain  = "sip.test"
)

var (
	juliet = stage.Account{Local: "juliet", Password: "juliet-secret"}
	romeo  = stage.Account{Local: "romeo", Password: "romeo-secret"}
)

var stoxBinary string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if err := stage.Install(stage.Missing(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	dir, err := os.MkdirTemp("", "stox-interop-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if stoxBinary, err = stage.BuildStox(context.Background(), dir, true); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// world is an XMPP server with stox attached.
type world struct {
	*stage.Stage
	t      *testing.T
	ctx    context.Context
	stox   *stage.Stox
	server *stage.XMPPServer
}

// setup is what a test wants to be different.
type setup struct {
	routes  []stage.Route
	more    string // of stox.toml
	offline bool   // start nothing
}

func newWorld(t *testing.T, o setup) *world {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	r, err := stage.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w := &world{Stage: r, t: t, ctx: ctx}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(r.Logs())
		}
		r.Close()
		if w.stox.Proc != nil {
			if log := strings.Join(w.stox.Lines(), "\n"); strings.Contains(log, "DATA RACE") || strings.Contains(log, "panic:") {
				t.Errorf("stox:\n%s", log)
			}
		}
	})
	w.stox, err = r.InitStox(ctx, stoxBinary, "prosody", component, sipDomain)
	w.must(err)
	w.server, err = r.NewProsody(ctx, stage.ServerOptions{Domain: xmppDomain, Snippet: w.stox.Snippet, Users: []stage.Account{juliet, romeo}})
	w.must(err)
	w.must(w.stox.Configure(w.server.Component, o.routes, o.more))
	if !o.offline {
		w.must(w.server.Boot(ctx))
		w.must(w.stox.Run(ctx))
		_, err = w.stox.WaitLink(ctx, 0)
		w.must(err)
	}
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) login(a stage.Account) *stage.XMPPClient {
	w.t.Helper()
	c, err := w.Login(w.ctx, w.server, a)
	w.must(err)
	return c
}

func (w *world) await(c *stage.XMPPClient, what string, match func(stage.Stanza) bool) stage.Stanza {
	w.t.Helper()
	st, err := c.Await(w.ctx, what, match)
	w.must(err)
	return st
}
