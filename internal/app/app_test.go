package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/stoxgw/stox/internal/config"
	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/internal/xmpptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// handedOver is the answer to a message that was written to the XMPP server and
// did not bounce.
const handedOver = 200

// gateway is a whole daemon between a scripted XMPP server and a scripted SIP
// peer that is its route for everything.
type gateway struct {
	t      *testing.T
	cfg    *config.Config
	app    *App
	server *xmpptest.Server
	xmpp   *xmpptest.Conn
	peer   *siptest.Peer
	sip    netip.AddrPort // where the daemon listens on the peer's network
	log    *syncBuffer
	stop   func() error
}

func startGateway(t *testing.T, network string, mods ...func(*config.Config)) *gateway {
	t.Helper()
	g := newGateway(t, network, mods...)
	g.run()
	return g
}

// newGateway makes a daemon that does not run yet; its server and its peer do.
func newGateway(t *testing.T, network string, mods ...func(*config.Config)) *gateway {
	t.Helper()
	g := &gateway{t: t, log: newSyncBuffer(t)}
	g.server = newServer(t, "sip.example.com")
	g.peer = siptest.Listen(t, network)
	var err error
	g.cfg, err = config.Parse("stox.toml", []byte(fmt.Sprintf(`
[xmpp]
domain = "sip.example.com"
secret = "component secret"
server = %q
[sip]
domain = "pbx.example.net"
[[sip.route]]
domain = "*"
via = "sip:%s;transport=%s"
[limits]
user_rate = 0 # one user writes for all
[store]
path = %q
[log]
level = "debug"
`, g.server.Addr(), g.peer.Addr(), network, filepath.Join(t.TempDir(), "stox.db"))), nil)
	if err != nil {
		t.Fatal(err)
	}
	g.cfg.SIP.Listen = []string{network + "://127.0.0.1:0"}
	g.cfg.Admin.Listen = "" // there are others beside this one
	for _, mod := range mods {
		mod(g.cfg)
	}
	g.app, err = New(g.cfg, g.log.logger())
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// newServer is an XMPP server for one component. A message that asks for it is
// bounced, before the barrier behind it is seen. Its users have been greeted before and
// know all contacts: what the gateway says to others is passed over.
func newServer(t *testing.T, domain string) *xmpptest.Server {
	return xmpptest.New(t, xmpptest.Options{Domain: domain, Secret: "component secret",
		OnStanza: func(c *xmpptest.Conn, st xmpptest.Stanza) bool {
			if isWelcome(st) || st.Name == "presence" && st.Type == "subscribe" {
				return true
			}
			condition, ok := strings.CutPrefix(st.Body, "bounce with ")
			if ok {
				c.Bounce(st, condition)
			}
			return ok
		}})
}

// isWelcome reports whether the gateway says how it is used.
func isWelcome(st xmpptest.Stanza) bool {
	return st.Name == "message" && !strings.Contains(st.From, "@") && strings.HasPrefix(st.Body, "This is the gateway to SIP.")
}

// run starts the daemon and waits for its link.
func (g *gateway) run() {
	g.t.Helper()
	g.startOnly()
	g.xmpp = linked(g.t, g.server, "sip.example.com")
	g.sip = netip.MustParseAddrPort(g.app.sip.Addrs()[0].String())
}

// startOnly is run without waiting.
func (g *gateway) startOnly() {
	g.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.app.Run(ctx) }()
	g.stop = sync.OnceValue(func() error { cancel(); return <-done })
	g.t.Cleanup(func() {
		if err := g.stop(); err != nil {
			g.t.Errorf("stop: %v", err)
		}
	})
}

// linked waits until a component has a link that is up.
func linked(t *testing.T, server *xmpptest.Server, domain string) *xmpptest.Conn {
	t.Helper()
	c := server.Accept()
	if !c.Echoed(xmpptest.LinkCheck) {
		t.Fatal("the link did not come up")
	}
	// The last barrier is home for the server a moment before it is for us: a ping
	// answered shows that the link is up.
	ping(t, c, domain, "up")
	if st := c.Next(); st.ID != "up" || st.Type != "result" {
		t.Fatalf("answer to a ping: %s", st.Raw)
	}
	return c
}

// ping asks the component: what it has read before has been taken when it answers.
func ping(t *testing.T, c *xmpptest.Conn, domain, id string) {
	t.Helper()
	if err := c.Send(fmt.Sprintf("<iq type='get' from='juliet@example.com/balcony' to='%s' id='%s'><ping xmlns='urn:xmpp:ping'/></iq>", domain, id)); err != nil {
		t.Fatal(err)
	}
}

func (g *gateway) message(id, to, body string) {
	g.t.Helper()
	if err := g.xmpp.Send(fmt.Sprintf("<message from='juliet@example.com/balcony' to='%s' id='%s' type='chat'><body>%s</body></message>", to, id, body)); err != nil {
		g.t.Fatal(err)
	}
}

// request is a MESSAGE from the peer; n makes its identifiers.
func (g *gateway) request(n int, to, body string) (branch, raw string) {
	return g.requestFrom("sip:romeo@pbx.example.net", n, to, body)
}

func (g *gateway) requestFrom(from string, n int, to, body string) (branch, raw string) {
	branch = fmt.Sprintf("z9hG4bKtest%d", n)
	return branch, siptest.Text(body,
		"MESSAGE "+to+" SIP/2.0",
		fmt.Sprintf("Via: SIP/2.0/%s %s;branch=%s;rport", strings.ToUpper(g.peer.Network()), g.peer.Addr(), branch),
		"Max-Forwards: 70",
		"From: \"Romeo\" <"+from+">;tag=t"+fmt.Sprint(n),
		"To: <"+to+">",
		fmt.Sprintf("Call-ID: call-%d", n),
		"CSeq: 1 MESSAGE",
		"Content-Type: text/plain;charset=UTF-8")
}

func eachNetwork(t *testing.T, f func(t *testing.T, network string)) {
	for _, network := range []string{"udp", "tcp"} {
		t.Run(network, func(t *testing.T) { f(t, network) })
	}
}

// 10,000 messages each way: none is lost, none comes twice, every sender is told.
func TestNothingIsLost(t *testing.T) {
	const n, window = 10_000, 500
	eachNetwork(t, func(t *testing.T, network string) {
		g := startGateway(t, network)
		g.peer.Answer(func(m *siptest.Message) string { return m.Reply(200, "OK") })
		var both sync.WaitGroup
		both.Go(func() { // XMPP to SIP
			for i := range n {
				g.message(fmt.Sprint("m", i), fmt.Sprintf("u%d@sip.example.com", i%500), fmt.Sprint("text ", i))
				if (i+1)%window == 0 {
					g.peer.Await(i + 1)
				}
			}
		})
		both.Go(func() { // SIP to XMPP
			for i := 0; i < n; i += window {
				var branches []string
				for j := i; j < i+window; j++ {
					branch, raw := g.request(j, "sip:juliet@example.com", fmt.Sprint("text ", j))
					g.peer.Send(g.sip, raw)
					branches = append(branches, branch)
				}
				for _, b := range branches {
					if got := g.peer.Final(b).Status(); got != handedOver {
						t.Errorf("%s was answered %d, want %d", b, got, handedOver)
					}
				}
			}
		})
		both.Wait()

		arrived := map[string]int{}
		seen := map[string]bool{}
		for _, m := range g.peer.Requests() {
			if branch := m.Branch(); !seen[branch] { // else a retransmission: this machine is slow
				seen[branch] = true
				arrived[string(m.Body)]++
			}
		}
		for _, st := range g.xmpp.NextN(n) {
			if st.From != "romeo@sip.example.com" || st.To != "juliet@example.com" {
				t.Fatalf("not a message from the phone: %s", st.Raw)
			}
			arrived["from sip "+st.Body]++
		}
		for i := range n {
			for _, text := range []string{fmt.Sprint("text ", i), fmt.Sprint("from sip text ", i)} {
				if arrived[text] != 1 {
					t.Errorf("%q arrived %d times", text, arrived[text])
				}
			}
		}
		if err := g.stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
		if more := g.xmpp.Waiting(); more != 0 {
			t.Errorf("%d stanzas nobody asked for", more)
		}
		if strings.Contains(g.log.String(), "text 1") {
			t.Error("the text of a message is in the log (SEC-14)")
		}
	})
}

// IM-13, IM-60, ERR-11, ERR-12: an error of either side reaches the sender on the
// other, with its id and in its terms.
func TestErrorsReachTheSender(t *testing.T) {
	eachNetwork(t, func(t *testing.T, network string) {
		g := startGateway(t, network)
		g.peer.Answer(func(m *siptest.Message) string {
			switch to := m.Get("To"); {
			case strings.Contains(to, "gone"):
				return m.Reply(301, "Moved Permanently", "Contact: <sip:new@pbx.example.net>")
			case strings.Contains(to, "busy"):
				return m.Reply(486, "Busy Here")
			}
			return m.Reply(404, "Not Found")
		})
		for _, c := range []struct{ to, condition, errorType string }{
			{"nobody@sip.example.com", "item-not-found", "cancel"},
			{"busy@sip.example.com", "recipient-unavailable", "wait"},
			{"gone@sip.example.com", "gone", "cancel"},
		} {
			g.message("id-"+c.to, c.to, "hello")
			st := g.xmpp.Next()
			if st.Type != "error" || st.ID != "id-"+c.to || st.From != c.to || st.To != "juliet@example.com/balcony" {
				t.Errorf("%s: %s", c.to, st.Raw)
			}
			if st.Condition != c.condition || st.ErrorType != c.errorType || st.ErrorText == "" {
				t.Errorf("%s: condition %q type %q text %q, want %q %q and some text", c.to, st.Condition, st.ErrorType, st.ErrorText, c.condition, c.errorType)
			}
			if c.condition == "gone" && !strings.Contains(st.Raw, "xmpp:new@sip.example.com") {
				t.Errorf("the new address is missing (M-050): %s", st.Raw)
			}
		}
		for i, c := range []struct {
			condition string
			status    int
		}{{"service-unavailable", 480}, {"item-not-found", 404}, {"forbidden", 403}} {
			branch, raw := g.request(i, "sip:juliet@example.com", "bounce with "+c.condition)
			g.peer.Send(g.sip, raw)
			if got := g.peer.Final(branch).Status(); got != c.status {
				t.Errorf("%s became %d, want %d", c.condition, got, c.status)
			}
		}
	})
}

// Design: not written is 503, and it says so at once.
func TestNoLink(t *testing.T) {
	g := startGateway(t, "udp")
	g.server.Refuse(errors.New("down")) // only for dials through it; the address goes away too:
	g.server.Close()
	<-g.xmpp.Closed
	// The daemon notices the end of its stream on its own time: ask until it has.
	for n := 0; ; n++ {
		branch, raw := g.request(n, "sip:juliet@example.com", "hello")
		g.peer.Send(g.sip, raw)
		if final := g.peer.Final(branch); final.Status() == 503 {
			break
		} else if n > 50 {
			t.Fatalf("still %d without a link", final.Status())
		}
	}
}

// A stop in the middle of everything, with nothing to keep it in: every sender is
// told, and then the stream is closed. The errors are more than the room that
// messages have.
func TestStopTellsEverySender(t *testing.T) {
	const destinations, each = 60, 50
	eachNetwork(t, func(t *testing.T, network string) {
		g := startGateway(t, network, func(cfg *config.Config) {
			cfg.ShutdownTimeout = time.Millisecond
			cfg.Store.Path = ""
		})
		g.peer.Answer(func(*siptest.Message) string { return "" })
		long := strings.Repeat("x", 2000)
		for i := range destinations * each {
			g.message(fmt.Sprint(long, i), fmt.Sprintf("u%d@sip.example.com", i%destinations), "hello")
		}
		g.peer.Await(destinations) // under way; the others wait behind them
		g.xmpp.Send("<iq type='get' from='juliet@example.com/balcony' to='sip.example.com' id='read'><ping xmlns='urn:xmpp:ping'/></iq>")
		if st := g.xmpp.Next(); st.ID != "read" {
			t.Fatalf("before the stop: %s", st.Raw)
		}
		if err := g.stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
		told := map[string]int{}
		for _, st := range g.xmpp.NextN(destinations * each) {
			if st.Type != "error" || st.ErrorType != "wait" {
				t.Fatalf("not an error that says wait: %s", st.Raw)
			}
			told[st.ID]++
		}
		for i := range destinations * each {
			if id := fmt.Sprint(long, i); told[id] != 1 {
				t.Errorf("message %d was told %d times", i, told[id])
			}
		}
		if !g.xmpp.WaitEnd() {
			t.Error("the stream was not closed")
		}
	})
}

// A configuration that cannot work is a *config.Error, however deep it was found.
func TestFaultsOfTheConfiguration(t *testing.T) {
	for _, c := range []struct{ name, toml, path string }{
		{"alias that is no JID", "[[alias]]\nsip=\"sip:7001@pbx.example.net\"\nxmpp=\"ju@li@et@example.com\"\n", "alias[0].xmpp"},
		{"access", "[access]\nallow=[\"*.example.com\"]\n", "access.allow"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg, err := config.Parse("stox.toml", []byte("[xmpp]\ndomain=\"sip.example.com\"\nsecret=\"component secret\"\n[sip]\ndomain=\"pbx.example.net\"\n"+c.toml), nil)
			if err == nil {
				_, err = New(cfg, slog.New(slog.DiscardHandler))
			}
			var faults *config.Error
			if !errors.As(err, &faults) || !strings.HasPrefix(faults.Faults[0].Path, c.path) {
				t.Errorf("got %v, want a fault of %s", err, c.path)
			}
		})
	}
}

// syncBuffer is a log that a test may read and wait for.
type syncBuffer struct {
	t    *testing.T
	mu   sync.Mutex
	cond *sync.Cond
	b    bytes.Buffer
}

func newSyncBuffer(t *testing.T) *syncBuffer {
	b := &syncBuffer{t: t}
	b.cond = sync.NewCond(&b.mu)
	return b
}

func (b *syncBuffer) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cond.Broadcast()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// await waits for a line with all of these in it. Only a test that fails waits
// for long.
func (b *syncBuffer) await(parts ...string) string {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), time.Minute)
	defer cancel()
	defer context.AfterFunc(ctx, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.cond.Broadcast()
	})()
	b.mu.Lock()
	defer b.mu.Unlock()
	for {
		for line := range strings.Lines(b.b.String()) {
			if !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(line, p) }) {
				return line
			}
		}
		if ctx.Err() != nil {
			b.t.Fatalf("no line with %q in\n%s", parts, b.b.String())
		}
		b.cond.Wait()
	}
}
