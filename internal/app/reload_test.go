package app

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/internal/config"
	"github.com/stoxgw/stox/internal/siptest"
)

// inHome runs f with a daemon in a bubble.
func inHome(t *testing.T, f func(t *testing.T, h *home), lines ...string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range secretsOf(t) {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		h := newHome(t, dir, lines...)
		defer h.stop()
		f(t, h)
	})
}

// A configuration with faults of whatever kind leaves all as it was, and each fault is said
// with its path: in the answer and in the log, and without a secret.
func TestReloadWithFaults(t *testing.T) {
	before := []string{loginA + "register=true\n", aliasOne, byLogin}
	change := "sip: accept_status=202" // would show
	for _, tt := range []struct {
		name  string
		text  func(h *home) string
		paths []string
	}{
		{"no TOML", func(*home) string { return "[xmpp\n" }, []string{"stox.toml:1:"}},
		{"a secret without quotes", func(*home) string { return toml(change) + "password = hunter2\n" }, []string{"stox.toml:"}},
		{"an unknown key", func(*home) string { return toml(change, "sip: imnd='never'") }, []string{"sip.imnd"}},
		{"a wrong type", func(*home) string { return toml(change, "queue: expire=300") }, []string{"queue.expire"}},
		{"out of bounds", func(*home) string { return toml(change, "xmpp: barrier_timeout='1h'") }, []string{"xmpp.barrier_timeout"}},
		{"what is required is missing", func(*home) string {
			return strings.Replace(toml(change), "domain='example.net'", "", 1)
		}, []string{"sip.domain"}},
		{"not in this version", func(*home) string { return toml(change, "accounts: ") + "[accounts]\nmode='optional'\n" }, []string{"accounts.mode"}},
		{"two at once", func(*home) string { return toml(change, "log: level='loud'", "sip: imdn='perhaps'") }, []string{"sip.imdn", "log.level"}},
		{"what an address means", func(*home) string { return toml(change, with(aliasOne, "juliet@example.com", "juliet@example..com")) }, []string{"alias[0].xmpp"}},
		{"a route that leads nowhere", func(*home) string {
			return toml(change, with(routeA, "sip:192.0.2.7", "sip:192.0.2.7;transport=sctp"))
		}, []string{"sip.route[0].via"}},
		{"a file that is not there", func(*home) string {
			return toml(change, with(loginA, "password='one'", "password_file='missing'"))
		}, []string{"sip.route[0].password_file"}},
		{"a certificate without its key", func(h *home) string {
			return toml(change, "sip: tls_cert='"+h.dir+"/one.cert'", "sip: tls_key='"+h.dir+"/two.key'")
		}, []string{"sip.tls_key"}},
		{"a contradiction to what runs", func(*home) string {
			return strings.Replace(toml(change, "xmpp: user_domains=['sip.example.com']"), "domain='sip.example.com'", "domain='gate.example.com'", 1)
		}, []string{"xmpp.user_domains[0]"}},
		{"not there", nil, []string{"stox.toml: "}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inHome(t, func(t *testing.T, h *home) {
				if tt.text == nil {
					if err := os.Remove(h.file); err != nil {
						t.Fatal(err)
					}
				} else {
					h.write("stox.toml", tt.text(h))
				}
				running, policy, requests := h.app.config(), h.app.sip.Routes(), len(h.sent("REGISTER"))
				done, err := h.app.Reload(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if done.Applied || len(done.Changed)+len(done.Waiting) > 0 || len(done.Faults) != len(tt.paths) {
					t.Errorf("%+v", done)
				}
				for i, path := range tt.paths {
					if i < len(done.Faults) && !strings.Contains(done.Faults[i], path) {
						t.Errorf("%q, want %q", done.Faults[i], path)
					}
					if !strings.Contains(h.log.String(), path) {
						t.Errorf("%q is not in the log", path)
					}
				}
				time.Sleep(time.Second)
				synctest.Wait()
				if h.app.config() != running || len(h.app.sip.Routes()) != len(policy) || len(h.sent("REGISTER")) != requests || h.logging != (config.Log{}) {
					t.Error("something has changed")
				}
				if got := h.fromSIP(neighbour, 1, romeo, "sip:+15550001111@example.net", "hi"); got != 200 {
					t.Errorf("status %d", got)
				}
				if text := h.log.String() + strings.Join(done.Faults, ""); strings.Contains(text, "hunter2") || strings.Contains(text, "component secret") {
					t.Error("a secret shows")
				}
			}, before...)
		})
	}
}

// Keys that are not live are named, in the answer and in the log, and nothing comes of them;
// neither does anything of a second reload.
func TestReloadOfWhatIsNotLive(t *testing.T) {
	inHome(t, func(t *testing.T, h *home) {
		for range 2 {
			done := h.reload("limits: max_connections=7", "sip: resolver='192.0.2.53:53'", "log: level='warn'")
			if !done.Applied || strings.Join(done.Waiting, " ") != "sip.resolver limits.max_connections" || done.File != h.file {
				t.Errorf("%+v", done)
			}
		}
		log := h.log.String()
		if n := strings.Count(log, `msg="some of the configuration takes effect at the next start" keys="sip.resolver, limits.max_connections" remedy="restart stox"`); n != 2 {
			t.Errorf("%d lines of what waits\n%s", n, log)
		}
		if n := strings.Count(log, `msg="the configuration is another one from now on" changed=log.level`); n != 1 {
			t.Errorf("%d lines of what has changed\n%s", n, log)
		}
		if c := h.app.config(); c.Limits.MaxConnections != 1000 || c.SIP.Resolver != "" {
			t.Errorf("%+v", c.Limits)
		}
	})
}

// Who sees the gateway is told when it becomes something else: a route with numbers makes it
// one to telephones.
func TestReloadAnnouncesWhatTheGatewayIs(t *testing.T) {
	inHome(t, func(t *testing.T, h *home) {
		h.xmpp("<presence from='juliet@example.com' to='sip.example.com' type='subscribe' id='s'/>")
		told := func() (all []string) {
			for _, st := range h.written(isGateway) {
				_, ver, _ := strings.Cut(st.Raw, "ver='")
				ver, _, _ = strings.Cut(ver, "'")
				all = append(all, ver)
			}
			return all
		}
		if n := len(told()); n != 1 {
			t.Fatalf("told %d times that it is there", n)
		}
		h.reload("sip: accept_status=202")
		if n := len(told()); n != 1 {
			t.Errorf("told %d times, though it is what it was", n)
		}
		h.reload(with(routeA, "a.example", "*") + "country='DE'\n")
		if all := told(); len(all) != 2 || all[0] == all[1] {
			t.Errorf("told %q", all)
		}
	})
}

// However many want the configuration read at once, it is read by one at a time, and all are
// answered.
func TestReloadsComeOneAfterTheOther(t *testing.T) {
	const callers = 20
	inHome(t, func(t *testing.T, h *home) {
		var inside, most, reads atomic.Int32
		h.app.source.Logging = func(config.Log) {
			most.Store(max(most.Load(), inside.Add(1)))
			reads.Add(1)
			time.Sleep(time.Second)
			inside.Add(-1)
		}
		var all sync.WaitGroup
		for range callers {
			all.Go(func() {
				h.app.RequestReload()
				if done, err := h.app.Reload(t.Context()); err != nil || !done.Applied {
					t.Errorf("%+v, %v", done, err)
				}
			})
		}
		all.Wait()
		synctest.Wait()
		time.Sleep(2 * time.Second)
		if most.Load() != 1 || reads.Load() <= callers || reads.Load() > 2*callers {
			t.Errorf("%d at once, %d in all", most.Load(), reads.Load())
		}
		h.stop()
		if _, err := h.app.Reload(t.Context()); err != errStopping {
			t.Errorf("after the stop: %v", err)
		}
		h.app.RequestReload() // and nothing comes of it
	})
}

// Without a file there is nothing to read again.
func TestReloadWithoutAFile(t *testing.T) {
	inHome(t, func(t *testing.T, h *home) {
		h.app.source.File = ""
		if done, err := h.app.Reload(t.Context()); err != errNoSource || done.Applied {
			t.Errorf("%+v, %v", done, err)
		}
	})
}

// A signal that comes before the daemon is ready is served when it is.
func TestReloadBeforeItIsReady(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		h := newHome(t, dir)
		h.stop()
		a, err := NewFrom(h.app.source, Network{DialXMPP: h.server.Dial, SIP: h.sip, Locator: h.sip}, h.app.config(), slog.New(slog.NewTextHandler(&h.log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		h.write("stox.toml", toml("sip: accept_status=202"))
		a.RequestReload()
		if a.config().SIP.AcceptStatus != 200 {
			t.Error("changed before it runs")
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- a.Run(ctx) }()
		synctest.Wait()
		if a.config().SIP.AcceptStatus != 202 {
			t.Error("not read")
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// Messages go both ways while the configuration changes fifty times: each arrives exactly
// once, and the link stays.
func TestReloadUnderLoad(t *testing.T) {
	const reloads, each = 50, 40
	inHome(t, func(t *testing.T, h *home) {
		h.answering(func(m *siptest.Message) string { return m.Reply(200, "OK") })
		one := []string{"limits: user_rate=0", "limits: peer_rate=0", with(routeA, "a.example", "*") + "country='DE'\n", office, "xmpp: barrier_timeout='5s'"}
		two := []string{"limits: user_rate=0", "limits: peer_rate=0", with(routeA, "a.example", "b.example"), ": [[sip.route]]\ndomain='*'\nvia='sip:192.0.2.8'\nsize='reject'\nusername='u'\npassword='p'\nregister=true\n",
			byLogin, aliasOne, "sip: accept_status=202", "xmpp: barrier_timeout='2s'", "queue: max_messages=5000", "sip: imdn='never'", "xmpp: user_domains=['example.com', 'example.org']"}
		n := 0
		for i := range reloads {
			var all sync.WaitGroup
			all.Go(func() {
				for j := range each {
					if err := h.conn.Send(fmt.Sprintf("<message from='juliet@example.com/b' to='u%d@sip.example.com' id='m%d' type='chat'><body>to sip %d</body></message>", j%7, n+j, n+j)); err != nil {
						t.Error(err)
					}
				}
			})
			all.Go(func() {
				for j := range each {
					source := netip.AddrPortFrom(neighbour.Addr(), uint16(6000+j%5))
					if err := h.sip.Send("udp", source, request(source, n+j, fmt.Sprintf("sip:u%d@example.net", j%7), juliet, fmt.Sprint("from sip ", n+j))); err != nil {
						t.Error(err)
					}
				}
			})
			lines := one
			if i%2 == 0 {
				lines = two
			}
			if done := h.reload(lines...); !done.Applied || len(done.Changed) == 0 {
				t.Errorf("%+v", done)
			}
			all.Wait()
			n += each
			time.Sleep(10 * time.Millisecond)
			synctest.Wait()
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		arrived := make(map[string]int)
		for _, w := range h.sent("MESSAGE") {
			arrived[string(w.Body)]++
		}
		for _, st := range h.texts() {
			arrived[st.Body]++
		}
		finals := make(map[string]int)
		h.mu.Lock()
		for _, w := range h.wires {
			if w.Status() >= 200 {
				finals[fmt.Sprint(w.Branch(), " ", w.Status()/100)]++
			}
		}
		h.mu.Unlock()
		for i := range n {
			for _, what := range []string{"to sip ", "from sip "} {
				if got := arrived[fmt.Sprint(what, i)]; got != 1 {
					t.Errorf("%s%d arrived %d times", what, i, got)
				}
			}
			if got := finals[fmt.Sprintf("z9hG4bKhome%d 2", i)]; got != 1 {
				t.Errorf("request %d: %d final answers that say yes", i, got)
			}
		}
		if len(h.errors()) > 0 || h.server.Dials() != 1 {
			t.Errorf("%d errors, %d connections", len(h.errors()), h.server.Dials())
		}
	})
}

// A message waits while its route goes: it is tried by the routes of the time.
func TestReloadWhileAMessageWaits(t *testing.T) {
	inHome(t, func(t *testing.T, h *home) {
		h.answering(func(m *siptest.Message) string {
			if strings.Contains(m.First, "a.example") && m.Source.Addr() == netip.MustParseAddr("192.0.2.7") {
				return m.Reply(503, "Later")
			}
			return m.Reply(200, "OK")
		})
		h.toSIP(`romeo\40a.example`, "m1", "hi")
		if all := h.sent("MESSAGE"); len(all) != 1 || destination(all[0]) != "192.0.2.7:5060" {
			t.Fatalf("%d requests", len(all))
		}
		h.reload(with(routeA, "192.0.2.7", "192.0.2.8"))
		time.Sleep(time.Minute)
		synctest.Wait()
		all := h.sent("MESSAGE")
		if last := all[len(all)-1]; destination(last) != "192.0.2.8:5060" || last.Get("Call-ID") != all[0].Get("Call-ID") || len(h.errors()) > 0 {
			t.Errorf("to %s, %d errors", destination(last), len(h.errors()))
		}
	}, routeA)
}

// The service manager knows when the configuration is being read, with the time by which it
// tells this reload from an earlier one (sd_notify(3)).
func TestReloadTellsTheServiceManager(t *testing.T) {
	addr := &net.UnixAddr{Name: filepath.Join(t.TempDir(), "notify"), Net: "unixgram"}
	manager, err := net.ListenUnixgram("unixgram", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	g := newGateway(t, "udp")
	g.app.source.File = filepath.Join(t.TempDir(), "gone.toml")
	t.Setenv("NOTIFY_SOCKET", addr.Name)
	if done, err := g.app.reload(); err != nil || done.Applied {
		t.Errorf("%+v, %v", done, err)
	}
	for _, want := range []*regexp.Regexp{regexp.MustCompile(`^RELOADING=1\nMONOTONIC_USEC=[1-9]\d+\n$`), regexp.MustCompile(`^READY=1$`)} {
		b := make([]byte, 4096)
		n, err := manager.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		if !want.Match(b[:n]) {
			t.Errorf("told %q, want %s", b[:n], want)
		}
	}
}
