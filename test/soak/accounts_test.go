//go:build soak

package soak

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/internal/xmpptest"
	"github.com/stoxgw/stox/test/stage"
)

const (
	accounts   = 1000
	asking     = 4               // users who register at the same time
	granted    = 3600            // seconds, whatever is asked for
	registered = 5 * time.Minute // a daemon that needs more does not come to an end
	thickest   = 60              // REGISTER requests in any second: each is asked for its password once
	accountKey = "3q2+7wABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhs=\n"
)

// TestAccountsLoad has 1,000 users give the gateway a SIP account each, leaves the daemon
// alone with them, and has it start again. All have to be registered each time, and never
// all at once; what it took is reported.
func TestAccountsLoad(t *testing.T) {
	w := newAccountsWorld(t)
	w.run("start")
	empty := w.idle("without accounts")

	before, began := w.look(), time.Now()
	w.register()
	w.all("given", began, before)
	full := w.idle("with 1,000 accounts")
	t.Logf("memory (Pss): %d KiB without, %d KiB with them: %d bytes an account", empty.memory, full.memory, (full.memory-empty.memory)*1024/accounts)

	w.stop()
	if n := w.bound(); n != 0 {
		t.Errorf("after the end of the daemon %d accounts are registered", n)
	}
	began = time.Now()
	w.run("start again")
	w.all("registered after a restart", began, sample{})
	w.idle("after that")

	w.proc.Kill()
	began = time.Now()
	w.forget()
	w.run("start after it was killed")
	w.all("registered after that", began, sample{})
	w.stop()
	if size, err := os.Stat(filepath.Join(w.dir, "stox.db")); err == nil {
		t.Logf("store: %d KiB; %s, %d CPUs", size.Size()>>10, runtime.Version(), runtime.NumCPU())
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, f := range w.faults {
		t.Error(f)
	}
}

// accountsWorld is the daemon with an XMPP server whose users have accounts at a registrar.
type accountsWorld struct {
	t      *testing.T
	dir    string
	bin    string
	stage  *stage.Stage
	proc   *stage.Proc
	server *xmpptest.Server
	conn   *xmpptest.Conn
	sip    netip.AddrPort
	socket *net.UDPConn // of the registrar
	wg     sync.WaitGroup
	done   chan string // what users were answered

	mu       sync.Mutex // guards the following
	faults   []string
	bindings map[int]bool
	seconds  map[int64]int // REGISTER requests in each second
	bytes    int           // of these, and of the answers
	count    int
}

func newAccountsWorld(t *testing.T) *accountsWorld {
	w := &accountsWorld{t: t, dir: t.TempDir(), done: make(chan string, accounts), bindings: make(map[int]bool), seconds: make(map[int64]int)}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var err error
	if w.bin, err = stage.BuildStox(ctx, w.dir, false); err != nil {
		t.Fatal(err)
	}
	w.server = xmpptest.New(t, xmpptest.Options{Domain: component, Secret: secret, OnStanza: w.stanza})
	w.socket = socket(t)
	w.sip = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(freePort(t)))
	key := filepath.Join(w.dir, "accounts.key")
	if err := os.WriteFile(key, []byte(accountKey), 0o600); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf(`
[xmpp]
domain = %[1]q
secret = %[2]q
server = %[3]q
[sip]
domain = "pbx.example.net"
listen = ["udp://%[4]s", "tcp://%[4]s"]
[[sip.route]]
domain = "pbx.example.net"
via = "sip:%[5]s;transport=udp"
from = "account"
[accounts]
mode = "required"
key_file = %[8]q
[limits]
peer_rate = 0
user_rate = 0
[store]
path = %[6]q
[admin]
socket = %[7]q
listen = ""
`, component, secret, w.server.Addr(), w.sip, w.socket.LocalAddr(), filepath.Join(w.dir, "stox.db"), filepath.Join(w.dir, "stox.sock"), key)
	if err := os.WriteFile(filepath.Join(w.dir, "stox.toml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if w.stage, err = stage.New(w.dir); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.stage.Close)
	w.wg.Go(w.read)
	t.Cleanup(func() {
		w.socket.Close()
		w.wg.Wait()
	})
	return w
}

// run starts the daemon, and waits for its link.
func (w *accountsWorld) run(what string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 5*time.Minute)
	defer cancel()
	began := time.Now()
	var err error
	if w.proc, err = w.stage.Start(exec.Command(w.bin, "run", "-c", filepath.Join(w.dir, "stox.toml")), "stox"); err != nil {
		w.t.Fatal(err)
	}
	if _, _, err := w.proc.WaitLine(ctx, 0, "msg=ready"); err != nil {
		w.t.Fatalf("%v\n%s", err, w.proc.Tail(20))
	}
	w.conn = w.server.Accept()
	if !w.conn.Echoed(xmpptest.LinkCheck) {
		w.t.Fatal("the link did not come up")
	}
	w.t.Logf("%s: link up in %v", what, time.Since(began).Round(time.Millisecond))
}

func (w *accountsWorld) stop() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	began := time.Now()
	if code, err := w.proc.Stop(ctx); err != nil || code != 0 {
		w.t.Fatalf("the daemon ended with status %d, %v\n%s", code, err, w.proc.Tail(20))
	}
	w.t.Logf("stopped in %v", time.Since(began).Round(time.Millisecond))
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seconds, w.bytes, w.count = make(map[int64]int), 0, 0 // an end is as quick as it can be
}

func (w *accountsWorld) look() sample {
	w.t.Helper()
	s, err := look(w.proc.PID())
	if err != nil {
		w.t.Fatalf("the daemon is gone: %v\n%s", err, w.proc.Tail(20))
	}
	return s
}

// idle leaves the daemon alone and tells what it uses meanwhile.
func (w *accountsWorld) idle(what string) sample {
	w.t.Helper()
	before, began := w.look(), time.Now()
	end := time.NewTimer(*rest)
	defer end.Stop()
	<-end.C
	after := w.look()
	took, cpu := time.Since(began), after.cpu-before.cpu
	w.t.Logf("at rest %s, %.0f s: CPU %v, %.2f %%; %d KiB, %d threads, %d files", what, took.Seconds(), cpu,
		100*cpu.Seconds()/took.Seconds(), after.memory, after.threads, after.files)
	return after
}

// register has each user fill in the form, a few at a time.
func (w *accountsWorld) register() {
	for i := range accounts + asking {
		if i >= asking {
			if got := <-w.done; got != "result" {
				w.t.Fatalf("a user is answered %s", got)
			}
		}
		if i < accounts {
			if err := w.conn.Send(fmt.Sprintf("<iq type='set' from='u%d@example.com/x' to='%s' id='reg'><query xmlns='jabber:iq:register'><username>s%d@pbx.example.net</username><password>secret-%d</password></query></iq>",
				i, component, i, i)); err != nil {
				w.t.Fatal(err)
			}
		}
	}
}

// all waits until every account is registered.
func (w *accountsWorld) all(what string, began time.Time, before sample) {
	w.t.Helper()
	ticker := time.NewTicker(20 * tick)
	defer ticker.Stop()
	for range ticker.C {
		if w.bound() == accounts {
			break
		}
		if time.Since(began) > registered {
			w.t.Fatalf("%s: only %d accounts after %v\n%s", what, w.bound(), registered, w.proc.Tail(20))
		}
	}
	took, after := time.Since(began), w.look()
	w.mu.Lock()
	defer w.mu.Unlock()
	most := 0
	for _, n := range w.seconds {
		most = max(most, n)
	}
	if before == (sample{}) && most > thickest {
		w.faults = append(w.faults, fmt.Sprintf("%s: %d REGISTER requests in one second, more than %d", what, most, thickest))
	}
	w.t.Logf("%s: all after %.1f s; %d REGISTER requests, %d in the second that had most, %d bytes with their answers; CPU %v; %d KiB", what,
		took.Seconds(), w.count, most, w.bytes, after.cpu-before.cpu, after.memory)
	w.seconds, w.bytes, w.count = make(map[int64]int), 0, 0
}

func (w *accountsWorld) bound() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.bindings)
}

// forget has the registrar lose all bindings.
func (w *accountsWorld) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.bindings, w.seconds, w.bytes, w.count = make(map[int]bool), make(map[int64]int), 0, 0
}

// stanza takes what the daemon writes to the XMPP server.
func (w *accountsWorld) stanza(_ *xmpptest.Conn, st xmpptest.Stanza) bool {
	if st.Name != "iq" {
		return true // the gateway wants to be among the contacts of its users
	}
	if st.ID == "reg" {
		w.done <- st.Type
		return true
	}
	return false
}

func (w *accountsWorld) fault(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.faults) < 10 {
		w.faults = append(w.faults, fmt.Sprintf(format, args...))
	}
}

// read is the registrar.
func (w *accountsWorld) read() {
	b := make([]byte, 65536)
	for {
		n, from, err := w.socket.ReadFromUDPAddrPort(b)
		if err != nil {
			return
		}
		m, _, err := siptest.Parse(b[:n])
		if err != nil {
			w.fault("the daemon sends %v", err)
			continue
		}
		var text string
		switch m.Method() {
		case "REGISTER":
			text = w.answer(m, n)
		case "OPTIONS": // whether it is there, and to keep ways through NAT open
			text = m.Reply(200, "OK")
		default:
			w.fault("the daemon sends %s", m.First)
			continue
		}
		_, _ = w.socket.WriteToUDPAddrPort([]byte(text), from) // what is lost is asked again
	}
}

// answer asks for the password once, and looks for the right user in what it gets.
func (w *accountsWorld) answer(m *siptest.Message, n int) (text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seconds[time.Now().Unix()]++
	w.count++
	defer func() { w.bytes += n + len(text) }()
	user := numberAfter([]byte(m.Get("To")), "<sip:s")
	proof := m.Get("Authorization")
	switch {
	case user < 0:
		return m.Reply(404, "Not Found")
	case proof == "":
		return m.Reply(401, "Unauthorized", fmt.Sprintf(`WWW-Authenticate: Digest realm="pbx.example.net", nonce="n%d", algorithm=MD5, qop="auth"`, user))
	case !strings.Contains(proof, fmt.Sprintf(`username="s%d"`, user)):
		return m.Reply(403, "Forbidden")
	}
	contact := m.Get("Contact")
	if strings.HasSuffix(contact, "expires=0") || m.Get("Expires") == "0" {
		delete(w.bindings, user)
		return m.Reply(200, "OK")
	}
	w.bindings[user] = true
	uri, _, _ := strings.Cut(contact, ">")
	return m.Reply(200, "OK", fmt.Sprintf("Contact: %s>;expires=%d", uri, granted))
}
