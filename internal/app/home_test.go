package app

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/internal/admin"
	"github.com/stoxgw/stox/internal/config"
	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/internal/xmpptest"
)

// home is a daemon in a bubble, on networks in memory, whose configuration is in a file.
type home struct {
	t      *testing.T
	dir    string
	file   string
	app    *App
	server *xmpptest.Server
	conn   *xmpptest.Conn
	sip    *siptest.Memory
	log    siptest.Buffer
	ended  chan struct{} // Run has returned
	stop   func()

	mu      sync.Mutex // guards the following
	silent  bool       // barriers of the daemon do not come home
	wires   []*siptest.Wire
	stanzas []xmpptest.Stanza
	reply   func(m *siptest.Message) string // to its requests; "": nothing
	logging config.Log
}

// began is when a home is there.
var began = time.Date(2026, 1, 15, 10, 0, 0, 0, time.UTC)

var (
	elsewhere = netip.MustParseAddr("192.0.2.99")            // where every name leads
	neighbour = netip.MustParseAddrPort("127.0.0.1:5070")    // a proxy on the same machine
	abroad    = netip.MustParseAddrPort("198.51.100.9:5060") // nobody's
)

// toml makes a configuration of lines with their section in front, such as "sip: imdn='never'";
// those that begin with ": " are tables, and come last.
func toml(lines ...string) string {
	sections := map[string][]string{
		"admin": {"listen=''"}, // a real socket would keep the clock from going on
		"xmpp":  {"domain='sip.example.com'", "secret='component secret'", "server='memory.invalid:5347'"},
		"sip":   {"domain='example.net'", "listen=['udp://192.0.2.1:5060', 'tcp://192.0.2.1:5060']", "advertise='gw.example.com'"},
	}
	for _, l := range lines {
		section, line, _ := strings.Cut(l, ": ")
		sections[section] = append(sections[section], line)
	}
	if sections["store"] == nil || !strings.HasPrefix(sections["store"][0], "path") {
		sections["store"] = append(sections["store"], "path=''") // nothing is kept
	}
	text := strings.Join(sections["top"], "\n") + "\n"
	for _, s := range []string{"xmpp", "sip", "access", "limits", "queue", "store", "admin", "log"} {
		text += "[" + s + "]\n" + strings.Join(sections[s], "\n") + "\n"
	}
	return text + strings.Join(sections[""], "\n") + "\n"
}

// newHome starts a daemon whose configuration is in dir, and waits for its link. It must be
// called in a synctest bubble. FILES in a line is that directory.
func newHome(t *testing.T, dir string, lines ...string) *home {
	t.Helper()
	return newHomeWith(t, dir, func(m *siptest.Message) string { return m.Reply(200, "OK") }, lines...)
}

// newHomeWith is newHome where the others in SIP say something else from the beginning.
func newHomeWith(t *testing.T, dir string, reply func(m *siptest.Message) string, lines ...string) *home {
	t.Helper()
	return newHomeOn(t, Network{}, dir, reply, lines...)
}

// newHomeOn is newHomeWith with what of n is not in memory anyhow.
func newHomeOn(t *testing.T, n Network, dir string, reply func(m *siptest.Message) string, lines ...string) *home {
	t.Helper()
	h := &home{t: t, dir: dir, ended: make(chan struct{}), reply: reply}
	h.file = filepath.Join(h.dir, "stox.toml")
	time.Sleep(max(0, time.Until(began))) // a bubble begins before there was SIP
	h.write("stox.toml", toml(lines...))
	source := Source{File: h.file, Logging: func(l config.Log) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.logging = l
	}}
	cfg, err := config.Load(h.file, nil, judge)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Admin.Socket = "" // in a bubble nobody may wait for what is outside
	h.server = xmpptest.NewMemory(t, xmpptest.Options{Domain: "sip.example.com", Secret: "component secret", OnIQ: h.onIQ, OnStanza: h.onStanza})
	h.sip = siptest.NewMemory(t, elsewhere, h.onSIP)
	n.DialXMPP, n.SIP, n.Locator = h.server.Dial, h.sip, h.sip
	h.app, err = NewFrom(source, n, cfg, slog.New(slog.NewTextHandler(&h.log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		defer close(h.ended)
		if err := h.app.Run(ctx); err != nil {
			t.Errorf("stop: %v", err)
		}
	}()
	h.stop = sync.OnceFunc(func() {
		h.mu.Lock()
		h.silent = false
		h.mu.Unlock()
		cancel()
		<-h.ended
		h.sip.Close()
		h.server.Close()
	})
	h.conn = h.server.Accept()
	if !h.conn.Echoed(xmpptest.LinkCheck) {
		t.Fatal("no link")
	}
	synctest.Wait()
	return h
}

func (h *home) write(name, text string) {
	h.t.Helper()
	if err := os.WriteFile(filepath.Join(h.dir, name), []byte(strings.ReplaceAll(text, "FILES", h.dir)), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

// reload writes the configuration anew and has it read.
func (h *home) reload(lines ...string) admin.Reloaded {
	h.t.Helper()
	h.write("stox.toml", toml(lines...))
	done, err := h.app.Reload(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	synctest.Wait()
	return done
}

func (h *home) onIQ(*xmpptest.Conn, xmpptest.Stanza) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.silent
}

func (h *home) onStanza(_ *xmpptest.Conn, st xmpptest.Stanza) bool {
	if isWelcome(st) || st.Name == "presence" && st.Type == "subscribe" {
		return true
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stanzas = append(h.stanzas, st)
	return true
}

func (h *home) onSIP(w *siptest.Wire) {
	if w.Status() == 0 && w.Method() == "OPTIONS" {
		h.answer(w, w.Reply(200, "OK"))
		return
	}
	h.mu.Lock()
	h.wires = append(h.wires, w)
	reply := h.reply
	h.mu.Unlock()
	if w.Status() != 0 {
		return
	}
	if text := reply(w.Message); text != "" {
		h.answer(w, text)
	}
}

func (h *home) answer(w *siptest.Wire, text string) {
	if err := h.sip.Answer(w, text); err != nil {
		h.t.Error(err)
	}
}

// answering sets what the others in SIP say to requests.
func (h *home) answering(reply func(m *siptest.Message) string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.reply = reply
}

// xmpp has a stanza come from the server, and waits a moment.
func (h *home) xmpp(format string, a ...any) {
	h.t.Helper()
	if err := h.conn.Send(fmt.Sprintf(format, a...)); err != nil {
		h.t.Fatal(err)
	}
	synctest.Wait()
}

// toSIP has juliet write to a contact.
func (h *home) toSIP(to, id, body string) {
	h.t.Helper()
	h.xmpp("<message from='juliet@example.com/balcony' to='%s@sip.example.com' id='%s' type='chat'><body>%s</body></message>", to, id, body)
}

// sent are the requests of a method that have gone to SIP.
func (h *home) sent(method string) (all []*siptest.Wire) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, w := range h.wires {
		if w.Status() == 0 && w.Method() == method {
			all = append(all, w)
		}
	}
	return all
}

// written are the stanzas that f likes.
func (h *home) written(f func(xmpptest.Stanza) bool) (all []xmpptest.Stanza) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, st := range h.stanzas {
		if f(st) {
			all = append(all, st)
		}
	}
	return all
}

// texts are the messages that have been written to users.
func (h *home) texts() []xmpptest.Stanza {
	return h.written(func(st xmpptest.Stanza) bool { return st.Name == "message" && st.Type != "error" && st.Body != "" })
}

func (h *home) errors() []xmpptest.Stanza {
	return h.written(func(st xmpptest.Stanza) bool { return st.Type == "error" })
}

// request is a MESSAGE to the daemon; n makes its identifiers.
func request(source netip.AddrPort, n int, from, to, body string, lines ...string) string {
	if !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, "Content-Type:") }) {
		lines = append(lines, "Content-Type: text/plain")
	}
	return siptest.Text(body, append([]string{
		"MESSAGE " + to + " SIP/2.0",
		fmt.Sprintf("Via: SIP/2.0/UDP %s;branch=z9hG4bKhome%d", source, n),
		"Max-Forwards: 70",
		"From: <" + from + ">;tag=t" + fmt.Sprint(n),
		"To: <" + to + ">",
		fmt.Sprintf("Call-ID: home-%d", n),
		"CSeq: 1 MESSAGE",
	}, lines...)...)
}

// fromSIP sends a MESSAGE from a source and returns the status of the final answer, 0 if
// there is none within a minute.
func (h *home) fromSIP(source netip.AddrPort, n int, from, to, body string, lines ...string) int {
	h.t.Helper()
	if m := h.final(source, n, request(source, n, from, to, body, lines...)); m != nil {
		return m.Status()
	}
	return 0
}

// final sends a request and waits for its final answer.
func (h *home) final(source netip.AddrPort, n int, raw string) *siptest.Message {
	h.t.Helper()
	if err := h.sip.Send("udp", source, raw); err != nil {
		h.t.Fatal(err)
	}
	for range 600 {
		synctest.Wait()
		h.mu.Lock()
		for _, w := range h.wires {
			if w.Status() >= 200 && w.Branch() == fmt.Sprintf("z9hG4bKhome%d", n) {
				h.mu.Unlock()
				return w.Message
			}
		}
		h.mu.Unlock()
		time.Sleep(100 * time.Millisecond)
	}
	return nil
}

// isGateway reports whether the gateway says that it is there.
func isGateway(st xmpptest.Stanza) bool {
	return st.Name == "presence" && st.Type == "" && st.From == "sip.example.com"
}
