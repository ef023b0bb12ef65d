package app

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stoxgw/stox/internal/admin"
	"github.com/stoxgw/stox/internal/config"
	"github.com/stoxgw/stox/internal/siptest"
)

// watched has the daemon serve programs that watch.
func watched(cfg *config.Config) { cfg.Admin.Listen = "127.0.0.1:0" }

// page gives a page of admin.listen.
func (g *gateway) page(path string, header ...string) (status int, text string) {
	g.t.Helper()
	req, err := http.NewRequestWithContext(g.t.Context(), http.MethodGet, "http://"+g.app.web.Addr().String()+path, nil)
	if err != nil {
		g.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	h := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := h.Do(req)
	if err != nil {
		g.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		g.t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// measured waits until the metrics have all these lines, and gives them.
func (g *gateway) measured(lines ...string) (all string) {
	g.t.Helper()
	for patience := time.Now().Add(20 * time.Second); ; {
		_, all = g.page("/metrics")
		missing := slices.DeleteFunc(slices.Clone(lines), func(l string) bool { return strings.Contains(all, "\n"+l+"\n") })
		if len(missing) == 0 {
			return all
		}
		if time.Now().After(patience) { // it never comes
			g.t.Fatalf("missing %q in\n%s", missing, all)
		}
		runtime.Gosched()
	}
}

// SEC-14: who writes to whom, from where, and what, is nowhere in the metrics and in what is
// said of the health; how much of it there was is.
func TestMetricsNameNobody(t *testing.T) {
	eachNetwork(t, func(t *testing.T, network string) {
		g := startGateway(t, network, watched, func(cfg *config.Config) {
			cfg.XMPP.FailureNotice = false
			cfg.SIP.IMDN, cfg.SIP.Composing = "never", "always"
			cfg.Admin.Token = ""
		})
		g.peer.Answer(func(m *siptest.Message) string {
			if strings.Contains(m.First, "mercutio") {
				return m.Reply(404, "No Quarter For Tybalt", "Contact: <sip:laurence@cell.example>", "Server: Verona-UA")
			}
			return m.Reply(200, "OK")
		})
		const from = "juliet@example.com/quixotic-balcony"
		send := func(format string, a ...any) {
			t.Helper()
			if err := g.xmpp.Send(fmt.Sprintf(format, a...)); err != nil {
				t.Fatal(err)
			}
		}
		write := func(from, to, id, more string) {
			t.Helper()
			send("<message from='%s' to='%s' id='%s' type='chat'>%s</message>", from, to, id, more)
		}
		write(from, `benvolio\40capulet-clan.example@sip.example.com`, "stanza-xyzzy", "<body>wherefore art thou</body><request xmlns='urn:xmpp:receipts'/>")
		write(from, "+15550107777@sip.example.com", "stanza-number", "<body>by telephone</body>")
		write(from, "mercutio@sip.example.com", "stanza-gone", "<body>a plague</body>")
		write("tybalt@foreign-house.example/sword", "romeo@sip.example.com", "stanza-foe", "<body>villain</body>")
		write(from, "paris@sip.example.com", "stanza-typing", "<composing xmlns='http://jabber.org/protocol/chatstates'/>")
		g.xmpp.NextN(3) // two errors and the receipt that a 200 stands for

		for i, c := range []struct {
			from, to, body string
			status         int
		}{
			{"sip:friarjohn@pbx.example.net", "sip:juliet@example.com", "thus with a kiss", 200},
			{"sip:friarjohn@pbx.example.net", "sip:juliet@example.com", "bounce with forbidden", 403},
			{"sip:friarjohn@pbx.example.net", "sip:nobody@unserved-house.example", "hello", 404},
		} {
			branch, raw := g.requestFrom(c.from, 7100+i, c.to, c.body)
			g.peer.Send(g.sip, raw)
			if got := g.peer.Final(branch).Status(); got != c.status {
				t.Errorf("%s: %d, want %d", c.body, got, c.status)
			}
		}

		all := g.measured(
			`stox_messages_total{direction="xmpp-sip",outcome="delivered"} 2`,
			`stox_messages_total{direction="xmpp-sip",outcome="failed"} 1`,
			`stox_messages_total{direction="xmpp-sip",outcome="refused"} 1`,
			`stox_messages_total{direction="sip-xmpp",outcome="delivered"} 1`,
			`stox_messages_total{direction="sip-xmpp",outcome="failed"} 1`,
			`stox_messages_total{direction="sip-xmpp",outcome="unknown"} 0`,
			`stox_message_failures_total{direction="xmpp-sip",reason="item-not-found"} 1`,
			`stox_message_failures_total{direction="xmpp-sip",reason="forbidden"} 1`,
			`stox_message_failures_total{direction="sip-xmpp",reason="forbidden"} 1`,
			`stox_message_failures_total{direction="sip-xmpp",reason="gone"} 0`,
			`stox_message_delivery_seconds_count{direction="xmpp-sip"} 2`,
			`stox_messages_early_total 3`,
			`stox_typing_total{direction="xmpp-sip"} 1`,
			`stox_receipts_total{direction="sip-xmpp",kind="delivered"} 1`,
			`stox_sip_responses_received_total{class="4xx",method="MESSAGE"} 1`,
			`stox_sip_responses_sent_total{class="2xx",method="MESSAGE"} 1`,
			`stox_sip_responses_sent_total{class="4xx",method="MESSAGE"} 2`,
			`stox_xmpp_link_up{component="sip.example.com"} 1`,
			`stox_xmpp_link_connects_total{component="sip.example.com"} 1`,
			`stox_xmpp_link_state{component="sip.example.com",state="up"} 1`,
			`stox_xmpp_link_state{component="sip.example.com",state="down"} 0`,
			`stox_check_ok{check="process"} 1`, `stox_check_ok{check="link"} 1`, `stox_check_ok{check="journal"} 1`, `stox_check_ok{check="routes"} 1`,
			`stox_journal_writable 1`, `stox_queue_messages 0`, `stox_lanes{state="busy"} 0`,
		)
		if n := strings.Count(all, "\nstox_route_state{domain=\"*\",route=\"0\","); n != 3 {
			t.Errorf("the route has %d states", n)
		}
		_, ready := g.page("/readyz?format=json")
		_, vars := g.page("/healthz")
		for _, secret := range []string{
			"juliet", "benvolio", "capulet-clan", "mercutio", "tybalt", "foreign-house", "paris", "friarjohn", "unserved-house", "nobody", "romeo",
			"5550107777", "xyzzy", "stanza-", "quixotic", "wherefore", "plague", "villain", "kiss", "Quarter", "laurence", "cell.example", "Verona",
			"call-71", "z9hG4bK", "component secret", "127.0.0.1", strconv.Itoa(int(g.peer.Addr().Port())) + `"`,
		} {
			if strings.Contains(all, secret) {
				t.Errorf("the metrics have %q", secret)
			}
			if secret != "127.0.0.1" && strings.Contains(ready+vars, secret) {
				t.Errorf("the health has %q", secret)
			}
		}
		// What labels there are says nothing of anybody by its kind.
		allowed := []string{"direction", "outcome", "reason", "component", "state", "check", "method", "class", "route", "domain", "side", "opened_by", "place", "file", "kind", "of", "watcher", "version", "goversion", "le", "quantile"}
		for _, m := range regexp.MustCompile(`(\w+)="`).FindAllStringSubmatch(all, -1) {
			if !slices.Contains(allowed, m[1]) {
				t.Errorf("label %s", m[1])
			}
		}
	})
}

// A default that is taken costs the metrics and not the daemon; what was asked for is had or
// said to be missing.
func TestPortOfMetricsIsTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	g := newGateway(t, "udp", func(cfg *config.Config) { cfg.Admin.Listen = l.Addr().String() }) // the key is not in the file
	g.run()
	g.log.await("level=WARN", "there are no metrics and no status page: their port cannot be opened", "is taken by another program", "set admin.listen")
	g.peer.Answer(func(m *siptest.Message) string { return m.Reply(200, "OK") })
	g.message("m1", "romeo@sip.example.com", "hello")
	g.peer.Await(1)

	cfg, err := config.Parse("stox.toml", []byte(fmt.Sprintf("xmpp={domain='sip.example.com',secret='component secret'}\nsip={domain='pbx.example.net',listen=['udp://127.0.0.1:0']}\nstore.path=''\nadmin.listen=%q\n", l.Addr())), nil)
	if err != nil {
		t.Fatal(err)
	}
	a, err := New(cfg, newSyncBuffer(t).logger())
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "admin.listen: "+l.Addr().String()+" is taken by another program") {
		t.Errorf("%v", err)
	}
}

// A wrong token learns nothing, and is not in the log.
func TestMetricsWantTheToken(t *testing.T) {
	const token = "open sesame 12345"
	g := startGateway(t, "udp", watched, func(cfg *config.Config) { cfg.Admin.Token = token })
	for _, path := range []string{"/metrics", "/debug/pprof/heap", "/debug/pprof/"} {
		if status, text := g.page(path, "Authorization", "Bearer open sesame 12346"); status != 401 || strings.Contains(text, "stox_") || strings.Contains(text, "heap") {
			t.Errorf("%s: %d %.100s", path, status, text)
		}
	}
	status, text := g.page("/metrics", "Authorization", "Bearer "+token)
	if status != 200 || !strings.Contains(text, "\nstox_admin_requests_denied_total 3\n") {
		t.Errorf("%d %.100s", status, text)
	}
	if strings.Contains(text, "sesame") {
		t.Error("the token is in the metrics")
	}
	if status, text := g.page("/readyz"); status != 200 || text != "ok\n" {
		t.Errorf("%d %q", status, text)
	}
	if log := g.log.String(); strings.Contains(log, "sesame") {
		t.Errorf("the log has the token: %s", log)
	}
}

// What is wrong with the disk is told, and why, and nothing else ends for it.
func TestHealthOfAFullDisk(t *testing.T) {
	g := newGateway(t, "tcp", watched)
	g.app.options.MaxPages = 64
	g.run()
	if status, text := g.page("/readyz"); status != 200 || !strings.Contains(text, "ok journal: it is written\n") {
		t.Errorf("%d %s", status, text)
	}
	// It may come and go: what is refused leaves room for a trial.
	status, text := 200, ""
	for i := 0; status == 200; i++ {
		g.message(fmt.Sprint("m", i), fmt.Sprintf("u%d@sip.example.com", i), strings.Repeat("x", 900))
		ping(t, g.xmpp, "sip.example.com", "p")
		for st := g.xmpp.Next(); st.ID != "p"; st = g.xmpp.Next() {
			runtime.Gosched()
		}
		status, text = g.page("/readyz")
	}
	if status != 503 || !strings.Contains(text, "fail journal: it has not been written for ") || !strings.Contains(text, "disk full") || !strings.Contains(text, "ok link: ") {
		t.Errorf("%d %s", status, text)
	}
	if strings.Contains(text, "xxxx") || strings.Contains(text, "juliet") {
		t.Errorf("a message is in %s", text)
	}
	if status, _ := g.page("/healthz"); status != 200 {
		t.Errorf("the process is called dead: %d", status)
	}
	// SIP takes what waits; that makes room.
	g.peer.Answer(func(m *siptest.Message) string { return m.Reply(200, "OK") })
	for _, m := range g.peer.Requests() {
		g.peer.Send(m.Source, m.Reply(200, "OK"))
	}
	all := g.measured("stox_journal_writable 1", `stox_check_ok{check="journal"} 1`)
	if strings.Contains(all, "\nstox_journal_commit_failures_total 0\n") {
		t.Error("no commit has failed")
	}
}

// Without a link nothing can be carried; the socket says the same.
func TestHealthWithoutALink(t *testing.T) {
	g := startGateway(t, "udp", watched, func(cfg *config.Config) { cfg.Admin.Socket = sockOf(t) })
	g.peer.Answer(func(m *siptest.Message) string { return m.Reply(200, "OK") })
	g.measured(`stox_check_ok{check="link"} 1`)
	g.server.Refuse(nil)
	g.server.Close()
	<-g.xmpp.Closed
	g.measured(`stox_check_ok{check="link"} 0`, `stox_xmpp_link_up{component="sip.example.com"} 0`)
	status, text := g.page("/readyz?format=json")
	var h admin.Health
	if err := json.Unmarshal([]byte(text), &h); err != nil || status != 503 || h.Ready || !h.Alive {
		t.Errorf("%v, %d %s", err, status, text)
	}
	c, err := admin.Dial(t.Context(), g.cfg.Admin.Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	same, err := c.Health(t.Context())
	if err != nil || same.Ready || !same.Alive || len(same.Checks) != len(h.Checks) {
		t.Errorf("%v, %+v", err, same)
	}
}

func sockOf(t *testing.T) string { return t.TempDir() + "/stox.sock" }

// While the daemon ends it still says how it does, and that it ends; who asks at the last
// moment is answered or turned away, and holds up nothing.
func TestScrapeWhileStopping(t *testing.T) {
	g := startGateway(t, "udp", watched, func(cfg *config.Config) { cfg.ShutdownTimeout = time.Minute })
	g.peer.Answer(func(m *siptest.Message) string { return "" }) // so that the drain has to wait
	g.message("m1", "romeo@sip.example.com", "hello")
	request := g.peer.Await(1)[0]
	g.measured(`stox_lanes{state="busy"} 1`)
	addr := g.app.web.Addr().String()
	stopped := make(chan error, 1)
	go func() { stopped <- g.stop() }()
	g.measured(`stox_check_ok{check="stop"} 0`)
	if status, text := g.page("/readyz"); status != 503 || !strings.Contains(text, "fail stop: stox is being stopped\n") {
		t.Errorf("%d %s", status, text)
	}
	if status, text := g.page("/healthz"); status != 200 {
		t.Errorf("%d %s", status, text)
	}
	idle, err := net.Dial("tcp", addr) // asks for nothing
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	g.peer.Send(g.sip, request.Reply(200, "OK"))
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if c, err := net.Dial("tcp", addr); err == nil {
		c.Close()
		t.Error("it still listens")
	}
}

// A part that does not answer, or is behind, is named; nobody is asked any more then.
func TestStuckPart(t *testing.T) {
	g := newGateway(t, "udp")
	w := newWatch(g.app)
	hold, asked := make(chan struct{}), make(chan struct{})
	w.parts = []part{{"the first", func() time.Duration { return 0 }}, {"the second", func() time.Duration { close(asked); <-hold; return 0 }}}
	done := make(chan struct{})
	go func() { defer close(done); w.round() }()
	<-asked
	now := time.Now()
	if !w.alive() || w.stuck(now.Add(stuckAfter/2)) != "" {
		t.Error("dead at once")
	}
	h := w.health(now.Add(2 * stuckAfter))
	if h.Alive || h.Ready || len(h.Checks) != 1 || !strings.HasPrefix(h.Checks[0].Text, "the second has not answered for 1m0s") {
		t.Errorf("%+v", h)
	}
	close(hold)
	<-done
	w.parts = []part{{"the first", func() time.Duration { return time.Hour }}, {"the second", func() time.Duration { return time.Second }}}
	if w.round(); w.alive() || w.stuck(time.Now()) != "the first is behind with its work by 1h0m0s" {
		t.Errorf("%q", w.stuck(time.Now()))
	}
	w.stopping.Store(true)
	if !w.alive() {
		t.Error("a daemon that stops is called dead")
	}
	w.stopping.Store(false)
	w.parts = nil
	if w.round(); !w.alive() {
		t.Error("it does not recover")
	}
}
