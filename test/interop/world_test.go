//go:build interop

package interop

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stoxgw/stox/test/stage"
)

// eachServer runs a test with every XMPP server. The servers are shared by the
// tests of this package; each world has a domain of its own there.
func eachServer(t *testing.T, f func(t *testing.T, server string)) {
	for _, server := range []string{"prosody", "ejabberd"} {
		t.Run(server, func(t *testing.T) {
			t.Parallel()
			f(t, server)
		})
	}
}

// eachTransport runs a test with every SIP transport.
func eachTransport(t *testing.T, f func(t *testing.T, transport string)) {
	for _, transport := range []string{"udp", "tcp"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			f(t, transport)
		})
	}
}

// shared is an XMPP server of all tests.
type shared struct {
	stage  *stage.Stage
	server *stage.XMPPServer

	mu   sync.Mutex // guards free
	free []*world   // those that no test has yet
}

// domains is how many worlds there can be at a server: its configuration has to
// name them before it starts, and stox init takes its time for each.
var domains = map[string]int{"prosody": 80, "ejabberd": 60}

var servers = map[string]func() (*shared, error){
	"prosody":  sync.OnceValues(func() (*shared, error) { return startShared("prosody") }),
	"ejabberd": sync.OnceValues(func() (*shared, error) { return startShared("ejabberd") }),
}

var started struct {
	mu  sync.Mutex
	all []*stage.Stage
}

func closeServers() {
	started.mu.Lock()
	defer started.mu.Unlock()
	for _, r := range started.all {
		r.Close()
	}
}

// startShared starts an XMPP server with what stox init has printed for each of
// its domains.
func startShared(kind string) (*shared, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	r, err := newStage(filepath.Join(workDir, kind))
	if err != nil {
		return nil, err
	}
	started.mu.Lock()
	started.all = append(started.all, r)
	started.mu.Unlock()
	s := &shared{stage: r}
	o := stage.ServerOptions{Users: []stage.Account{juliet, romeo}}
	for i := range domains[kind] {
		w, err := prepare(ctx, kind, filepath.Join(workDir, kind, fmt.Sprint(i)), fmt.Sprintf("x%d.test", i), sipDomain)
		if err != nil {
			return nil, err
		}
		s.free = append(s.free, w)
		if i == 0 {
			o.Domain, o.Snippet = w.domain, w.stox.Snippet
		} else {
			o.More = append(o.More, stage.Host{Domain: w.domain, Snippet: w.stox.Snippet})
		}
	}
	if s.server, err = r.NewServer(ctx, kind, o); err != nil {
		return nil, err
	}
	if err := s.server.Boot(ctx); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, r.Logs())
	}
	return s, nil
}

func newStage(dir string) (*stage.Stage, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	return stage.New(dir)
}

// world is stox at an XMPP server, with a domain and two users there.
type world struct {
	*stage.Stage
	t         *testing.T
	ctx       context.Context
	stox      *stage.Stox
	server    *stage.XMPPServer
	domain    string // of the XMPP users
	component string // of stox
}

// prepare makes a world without a server.
func prepare(ctx context.Context, kind, dir, domain, sipDomain string) (*world, error) {
	r, err := newStage(dir)
	if err != nil {
		return nil, err
	}
	w := &world{Stage: r, domain: domain, component: "sip." + domain}
	if w.stox, err = r.InitStox(ctx, stoxBinary, kind, w.component, sipDomain); err != nil {
		return nil, err
	}
	w.stox.Env = append(w.stox.Env, "STOX_LIMITS_USER_RATE=0") // some send faster than anybody types
	return w, nil
}

// newWorld takes a world at the shared server of a kind. Nothing of it runs yet
// but the server.
func newWorld(t *testing.T, kind string) *world {
	t.Helper()
	s, err := servers[kind]()
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	if len(s.free) == 0 {
		s.mu.Unlock()
		t.Fatal(errors.New("there are more tests than the server has domains"))
	}
	w := s.free[0]
	s.free = s.free[1:]
	s.mu.Unlock()
	w.server = s.server
	w.enter(t, s.stage)
	return w
}

// newPrivateWorld makes a world with a server of its own, which does not run yet. mods may
// change what the server is to be.
func newPrivateWorld(t *testing.T, kind string, mods ...func(*stage.ServerOptions)) *world {
	t.Helper()
	return newNamedWorld(t, kind, "xmpp.test", sipDomain, mods...)
}

// newNamedWorld is newPrivateWorld with the domains of its users on both sides.
func newNamedWorld(t *testing.T, kind, domain, sipDomain string, mods ...func(*stage.ServerOptions)) *world {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	w, err := prepare(ctx, kind, t.TempDir(), domain, sipDomain)
	if err != nil {
		t.Fatal(err)
	}
	w.enter(t)
	o := stage.ServerOptions{Domain: w.domain, Snippet: w.stox.Snippet, Users: []stage.Account{juliet, romeo}}
	for _, mod := range mods {
		mod(&o)
	}
	w.server, err = w.NewServer(ctx, kind, o)
	w.must(err)
	return w
}

// enter makes the world that of a test, which then sees the logs of others, too,
// if it fails.
func (w *world) enter(t *testing.T, others ...*stage.Stage) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	w.t, w.ctx = t, ctx
	t.Cleanup(func() {
		if t.Failed() {
			for _, r := range append(others, w.Stage) {
				t.Log(r.Logs())
			}
		}
		w.Close()
		if w.stox.Proc != nil {
			if log := strings.Join(w.stox.Lines(), "\n"); strings.Contains(log, "DATA RACE") || strings.Contains(log, "panic:") {
				t.Errorf("stox:\n%s", log)
			}
		}
	})
}

// run starts stox and waits until it is connected.
func (w *world) run(routes ...stage.Route) {
	w.t.Helper()
	w.runWith("", routes...)
}

// runWith is run with more at the end of stox.toml.
func (w *world) runWith(more string, routes ...stage.Route) {
	w.t.Helper()
	w.must(w.stox.Configure(w.server.Component, routes, more))
	w.must(w.stox.Run(w.ctx))
	_, err := w.stox.WaitLink(w.ctx, 0)
	w.must(err)
}

// via is a route to a port of this machine.
func via(domain string, port int, transport string) stage.Route {
	return stage.Route{Domain: domain, Via: fmt.Sprintf("sip:127.0.0.1:%d;transport=%s", port, transport)}
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) login(a stage.Account) *stage.XMPPClient {
	w.t.Helper()
	c, err := w.LoginAt(w.ctx, w.server, w.domain, a)
	w.must(err)
	return c
}

func (w *world) await(c *stage.XMPPClient, what string, match func(stage.Stanza) bool) stage.Stanza {
	w.t.Helper()
	st, err := c.Await(w.ctx, what, match)
	w.must(err)
	return st
}

// fence returns when the client has got everything that the server had for it:
// one stream keeps its order.
func (w *world) fence(c *stage.XMPPClient, id string) {
	w.t.Helper()
	w.must(c.Send(fmt.Sprintf("<iq type='get' to='%s' id='%s'><ping xmlns='urn:xmpp:ping'/></iq>", w.component, id)))
	w.await(c, "a pong", stage.WithID(id))
}

// user is the URI by which a SIP peer writes to an XMPP user.
func (w *world) user(a stage.Account) string { return "sip:" + a.Local + "@" + w.domain }

// sippSend sends a MESSAGE by SIPp.
func (w *world) sippSend(m stage.SIPpSend) {
	w.t.Helper()
	var err error
	m.To = w.stox.SIP
	m.Port, err = stage.Port()
	w.must(err)
	w.must(w.SIPpSend(w.ctx, m))
}

// sippRoute makes a world whose route for everything is a SIPp that answers n
// requests, and runs it.
func sippRoute(t *testing.T, kind, transport string, n, status int, reason string) (*world, *stage.SIPpServer) {
	t.Helper()
	w := newWorld(t, kind)
	s, err := w.SIPpServe(w.ctx, transport, n, status, reason)
	w.must(err)
	w.run(via("*", s.Port, transport))
	return w, s
}
