//go:build interop

package docs

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/test/stage"
)

// good is a configuration without a fault, with the names and addresses of the
// documents. A fault is an edit of it, or of the world around it.
const good = `[xmpp]
domain = "sip.example.com"
secret = "the-secret"
server = "127.0.0.1:5347"

[sip]
domain = "pbx.example.net"
listen = ["udp://192.0.2.20:5060", "tcp://192.0.2.20:5060"]

[[sip.route]]
domain = "pbx.example.net"
via = "sip:192.0.2.10:5060;transport=udp"

[store]
path = "/var/lib/stox/stox.db"

[admin]
listen = ""

[queue]
expire = "1s" # so that nothing is tried again: the sender learns at the first failure

[log]
level = "debug"
`

var (
	juliet = stage.Account{Local: "juliet", Password: "juliet-secret"}
	nurse  = stage.Account{Local: "nurse", Password: "nurse-secret"}
)

// servers are the XMPP servers that the faults share: each fault has a component
// of its own there.
type servers struct {
	prosody, ejabberd *stage.XMPPServer
	juliet            *stage.XMPPClient // a user of Prosody
}

func componentOf(id string) string { return id + ".example.com" }
func secretOf(id string) string    { return "planted-" + id }

func startServers(t *testing.T, ctx context.Context, ids []string) *servers {
	t.Helper()
	s := newStage(t)
	w := &servers{}
	// What goes into Prosody's configuration is what stox init prints.
	first, err := s.InitStox(ctx, stoxBinary, "prosody", "sip.example.com", "pbx.example.net")
	must(t, err)
	conf, err := os.ReadFile(first.Config)
	must(t, err)
	secret := regexp.MustCompile(`(?m)^secret = "(.+)"$`).FindSubmatch(conf)
	if secret == nil {
		t.Fatalf("no secret in\n%s", conf)
	}
	var snippets, hosts strings.Builder
	for _, id := range ids {
		snippets.WriteString(strings.NewReplacer("sip.example.com", componentOf(id), string(secret[1]), secretOf(id)).Replace(first.Snippet) + "\n")
		fmt.Fprintf(&hosts, "      %s:\n        password: %s\n", componentOf(id), secretOf(id))
	}
	// The two take their time to start: at once.
	booted := make(chan error, 1)
	defer func() { must(t, <-booted) }()
	w.ejabberd, err = s.NewEjabberd(ctx, stage.ServerOptions{Domain: "example.com", Snippet: `
listen:
  -
    port: 5347
    ip: "127.0.0.1"
    module: ejabberd_service
    global_routes: false
    hosts:
` + hosts.String()})
	must(t, err)
	go func() { booted <- w.ejabberd.Boot(ctx) }()
	w.prosody, err = s.NewProsody(ctx, stage.ServerOptions{Domain: "example.com", Snippet: snippets.String(), Users: []stage.Account{juliet, nurse}})
	must(t, err)
	must(t, w.prosody.Boot(ctx))
	w.juliet, err = s.Login(ctx, w.prosody, juliet)
	must(t, err)
	return w
}

// plant is one fault while it is planted.
type plant struct {
	*testing.T
	ctx    context.Context
	id     string
	want   []string // what the line names
	s      *stage.Stage
	all    *servers
	server *stage.XMPPServer
	sip    netip.AddrPort // where stox listens
	env    []string
	as     *syscall.Credential
	stox   *stage.Proc

	mu    sync.Mutex // guards names
	names []namePair
}

// namePair is a name of the documents and what stands for it in the test.
type namePair struct{ doc, real string }

func newPlant(t *testing.T, all *servers, server *stage.XMPPServer, f fault) *plant {
	id := f.id
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	t.Cleanup(cancel)
	p := &plant{T: t, ctx: ctx, id: id, want: f.names, s: newStage(t), all: all, server: server}
	p.sip = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(freePort(t)))
	p.name("/etc/stox", p.s.Dir)
	p.name("/var/lib/stox", filepath.Join(p.s.Dir, "lib"))
	must(t, os.Mkdir(filepath.Join(p.s.Dir, "lib"), 0o700))
	p.name("sip.example.com", componentOf(id))
	p.name("the-secret", secretOf(id))
	p.name("192.0.2.20:5060", p.sip.String())
	p.name("127.0.0.1:5347", fmt.Sprintf("127.0.0.1:%d", server.Component))
	p.name("juliet@example.com/phone", all.juliet.JID)
	p.name("m1", p.messageID())
	return p
}

func (p *plant) messageID() string { return "message-" + p.id }

// name says what stands for a name of the documents; the last word counts.
func (p *plant) name(doc, real string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.names = slices.DeleteFunc(p.names, func(n namePair) bool { return n.doc == doc })
	p.names = append(p.names, namePair{doc, real})
}

func (p *plant) replace(s string, from, to func(namePair) string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	pairs := slices.Clone(p.names)
	slices.SortFunc(pairs, func(a, b namePair) int { return cmp.Compare(len(from(b)), len(from(a))) }) // the longest first
	var list []string
	for _, n := range pairs {
		list = append(list, from(n), to(n))
	}
	return strings.NewReplacer(list...).Replace(s)
}

func docName(n namePair) string  { return n.doc }
func realName(n namePair) string { return n.real }

// real puts what the test has in the place of the names of the documents.
func (p *plant) real(s string) string { return p.replace(s, docName, realName) }

var (
	logTime   = regexp.MustCompile(`^time=\S+ `)
	retryIn   = regexp.MustCompile(`retry_in=\S+`)
	ephemeral = regexp.MustCompile(`127\.0\.0\.1:\d+->`)
	serverSay = regexp.MustCompile(`(stream error [a-z-]+): [^"]+`)                  // differs from version to version
	hungUp    = regexp.MustCompile(`err="read tcp [^"]*: connection reset by peer"`) // if the server had not read all
	stanzaID  = regexp.MustCompile(` id=[a-z2-7]{26} `)                              // ours: of a message from SIP
	callID    = regexp.MustCompile(` call_id=[A-Z2-7]{26} `)                         // ours: of a message to SIP
	holder    = regexp.MustCompile(`process \d+ holds`)
	leftover  = regexp.MustCompile(`127\.0\.0\.1:[1-9]\d{4}|/tmp/`)
)

// doc is a line as the documents show it.
func (p *plant) doc(s string) string {
	s = p.replace(s, realName, docName)
	s = logTime.ReplaceAllString(s, "")
	s = retryIn.ReplaceAllString(s, "retry_in=…")
	s = ephemeral.ReplaceAllString(s, "127.0.0.1:…->")
	s = hungUp.ReplaceAllString(s, "err=EOF")
	s = serverSay.ReplaceAllString(s, "$1: …")
	s = holder.ReplaceAllString(s, "process … holds")
	s = stanzaID.ReplaceAllString(s, " id=… ")
	s = callID.ReplaceAllString(s, " call_id=… ")
	if l := leftover.FindString(s); l != "" {
		p.Errorf("%s has no name in the documents: %s", l, s)
	}
	return s
}

// write writes a file next to the configuration.
func (p *plant) write(name, text string, mode os.FileMode) {
	p.Helper()
	path := filepath.Join(p.s.Dir, name)
	must(p.T, os.WriteFile(path, []byte(p.real(text)), mode))
	must(p.T, os.Chmod(path, mode))
}

// edited is the good configuration with replacements: old, new, old, new ...
func (p *plant) edited(edits ...string) string {
	p.Helper()
	text := good
	for i := 0; i < len(edits); i += 2 {
		if strings.Count(text, edits[i]) != 1 {
			p.Fatalf("%q is not there once:\n%s", edits[i], text)
		}
		text = strings.Replace(text, edits[i], edits[i+1], 1)
	}
	return text
}

// run starts the daemon with the good configuration, edited.
func (p *plant) run(edits ...string) {
	p.Helper()
	p.write("stox.toml", p.edited(edits...), 0o644)
	p.runFile("stox.toml")
}

func (p *plant) runFile(name string) {
	p.Helper()
	cmd := exec.Command(stoxBinary, "run", "-c", filepath.Join(p.s.Dir, name))
	cmd.Env = append(os.Environ(), p.env...)
	if p.as != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.as}
	}
	var err error
	p.stox, err = p.s.Start(cmd, "stox "+p.id)
	must(p.T, err)
	stox := p.stox
	p.Cleanup(func() {
		if log := strings.Join(stox.Lines(), "\n"); strings.Contains(log, "DATA RACE") || strings.Contains(log, "panic") || strings.Contains(log, secretOf(p.id)) {
			p.Errorf("a race, a panic or the secret:\n%s", log)
		}
	})
}

// linked is run, and waits for the link to the XMPP server.
func (p *plant) linked(edits ...string) {
	p.Helper()
	p.run(edits...)
	_, _, err := p.stox.WaitLine(p.ctx, 0, "connected to the XMPP server")
	must(p.T, err)
}

// refused waits for the daemon to end with a status, and gives its line about the
// fault: there may be one about a consequence, too.
func (p *plant) refused(status int) seen {
	p.Helper()
	got, err := p.stox.Wait(p.ctx)
	must(p.T, err)
	lines := p.stox.Lines()
	if got != status || len(lines) == 0 {
		p.Fatalf("status %d, want %d:\n%s", got, status, strings.Join(lines, "\n"))
	}
	for _, line := range lines {
		if !slices.ContainsFunc(p.want, func(w string) bool { return !strings.Contains(line, w) }) {
			return seen{line: p.doc(line)}
		}
	}
	return seen{line: p.doc(lines[len(lines)-1])}
}

// complaint waits for the first line of the daemon that is a warning or an error.
func (p *plant) complaint() seen {
	p.Helper()
	line, _, err := p.stox.WaitLine(p.ctx, 0, "side=xmpp", "retry_in=")
	must(p.T, err)
	if !strings.Contains(line, "level=WARN") && !strings.Contains(line, "level=ERROR") {
		p.Errorf("nobody reads %q", line)
	}
	return seen{line: p.doc(line)}
}

// peer is a SIP server, the one at 192.0.2.10 in the documents.
func (p *plant) peer(answer func(*siptest.Message) string) {
	q := siptest.Listen(p.T, "udp")
	q.Answer(answer)
	p.name("192.0.2.10:5060", q.Addr().String())
}

// fromXMPP sends a message of juliet's and gives the error she gets.
func (p *plant) fromXMPP(to, body string) seen {
	p.Helper()
	must(p.T, p.all.juliet.Message(p.messageID(), p.real(to), body))
	st, err := p.all.juliet.Await(p.ctx, "the error", stage.WithID(p.messageID()))
	must(p.T, err)
	if st.Type != "error" {
		p.Fatalf("no error: %s", st.Raw)
	}
	line, _, err := p.stox.WaitLine(p.ctx, 0, "not delivered", " id="+p.messageID()+" ")
	must(p.T, err)
	return seen{answer: p.doc(st.Condition + ": " + st.ErrorText), line: p.doc(line)}
}

// fromSIP sends a MESSAGE from an address of this machine and gives the answer.
func (p *plant) fromSIP(source netip.Addr, to, from string, headers ...string) seen {
	p.Helper()
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(source, 0)))
	must(p.T, err)
	defer c.Close()
	here := c.LocalAddr().String()
	if source.IsLoopback() {
		p.name("192.0.2.10:5060", here)
	} else {
		p.name("198.51.100.7:5060", here)
	}
	if len(headers) == 0 {
		headers = []string{"Content-Type: text/plain"}
	}
	raw := siptest.Text("hello", append([]string{
		"MESSAGE " + p.real(to) + " SIP/2.0", "Via: SIP/2.0/UDP " + here + ";branch=z9hG4bK" + p.id + ";rport", "Max-Forwards: 70",
		"From: <" + p.real(from) + ">;tag=1", "To: <" + p.real(to) + ">", "Call-ID: " + p.messageID(), "CSeq: 1 MESSAGE",
	}, headers...)...)
	_, err = c.WriteToUDPAddrPort([]byte(raw), netip.AddrPortFrom(source, p.sip.Port()))
	must(p.T, err)
	must(p.T, c.SetReadDeadline(time.Now().Add(20*time.Second)))
	buf := make([]byte, 65535)
	for {
		n, err := c.Read(buf)
		must(p.T, err)
		m, _, err := siptest.Parse(buf[:n])
		must(p.T, err)
		if m.Status() < 200 {
			continue
		}
		what := []string{"level=DEBUG", "call_id=" + p.messageID(), "remedy="}
		if !source.IsLoopback() { // no peer: one line for all that such sources send
			what = []string{"level=INFO", "they came from no peer", "last=" + here}
		}
		line, _, err := p.stox.WaitLine(p.ctx, 0, what...)
		must(p.T, err)
		return seen{answer: p.doc(m.First), line: p.doc(line)}
	}
}

var loopback = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// listen takes a TCP port and does with each connection what serve says.
func (p *plant) listen(serve func(net.Conn)) (addr string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(p.T, err)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.Cleanup(func() { c.Close() })
			serve(c)
		}
	})
	p.Cleanup(func() { l.Close(); wg.Wait() })
	return l.Addr().String()
}

// blackhole is an address where connections are neither taken nor refused, as
// behind a firewall that drops packets: a listener whose queue is full.
func (p *plant) blackhole() (addr string) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	must(p.T, err)
	p.Cleanup(func() { syscall.Close(fd) })
	must(p.T, syscall.Bind(fd, &syscall.SockaddrInet4{Addr: loopback.As4()}))
	must(p.T, syscall.Listen(fd, 0))
	name, err := syscall.Getsockname(fd)
	must(p.T, err)
	addr = fmt.Sprintf("127.0.0.1:%d", name.(*syscall.SockaddrInet4).Port)
	for range 16 {
		c, err := net.DialTimeout("tcp", addr, 300*time.Millisecond)
		if err != nil {
			return addr
		}
		p.Cleanup(func() { c.Close() })
	}
	p.Fatal("the queue of the listener does not get full")
	return ""
}
