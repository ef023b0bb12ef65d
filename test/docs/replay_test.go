//go:build interop

package docs

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stoxgw/stox/test/stage"
)

// replay does what docs/getting-started.md tells a reader to do, on a machine
// that is made up, and from source (install_test.go does it with the package): its /etc and /usr/bin are in a directory of the test, and some
// of its commands are stand-ins (standins_test.go).
type replay struct {
	*testing.T
	ctx    context.Context
	s      *stage.Stage
	dir    string // the machine
	server string // prosody, ejabberd
	table  []namePair

	env []string

	mu      sync.Mutex // guards the following while commands run: stand-ins change it
	pwd     string     // of the shell
	printed string     // by the last commands

	xmpp     *stage.XMPPServer
	ejabberd *ejabberd
	restarts int // of the XMPP server
	juliet   *stage.XMPPClient
	phone    *stage.Phone
	kamailio int // port of the proxy, if there is one
	stox     *stage.Proc
}

// All of the document is replayed, for each server: with Prosody a Kamailio is
// the PBX, with ejabberd it is the phone itself. At the end a message has crossed
// each way.
func TestGettingStarted(t *testing.T) {
	t.Parallel()
	for _, server := range []string{"prosody", "ejabberd"} {
		t.Run(server, func(t *testing.T) {
			t.Parallel()
			r := newReplay(t, server)
			ran, crossed := 0, 0
			for _, b := range blocks(t, gettingStarted, server, []string{"prosody", "ejabberd", "package"}) {
				switch {
				case b.is("sh"):
					r.shell(b)
					ran++
				case b.is("text", "output"):
					r.output(b)
				case b.is("text", "message"):
					r.message(b)
					crossed++
				case b.is("kamailio"):
					if server == "prosody" {
						r.startKamailio(b)
					}
				case b.arg("append") != "":
					r.append(b)
				default:
					r.Errorf("line %d: nobody knows what to do with %q", b.line, append([]string{b.lang}, b.args...))
				}
			}
			if ran < 5 || crossed < 2 {
				t.Errorf("%d blocks of commands and %d messages: has the document changed its form?", ran, crossed)
			}
		})
	}
}

func newReplay(t *testing.T, server string) *replay {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	r := &replay{T: t, ctx: ctx, s: newStage(t), server: server}
	r.dir = filepath.Join(r.s.Dir, "machine")
	r.pwd = filepath.Join(r.dir, "root")
	for _, d := range []string{"root", "usr/bin", "etc/systemd/system", "etc/prosody/conf.d", "etc/ejabberd"} {
		must(t, os.MkdirAll(filepath.Join(r.dir, d), 0o755))
	}
	sip := freePort(t)
	pbx := &r.kamailio
	proxy := sip
	if server == "prosody" {
		r.kamailio = freePort(t)
		proxy = r.kamailio
	}
	var err error
	r.phone, err = r.s.Baresip(ctx, "romeo", "pbx.example.net", proxy, "udp", "sip:juliet@example.com")
	must(t, err)
	if server == "ejabberd" {
		pbx = &r.phone.Port
	}
	// What the document says, and what that is here.
	r.table = []namePair{
		{"/etc/", r.dir + "/etc/"},
		{"/var/lib/", r.dir + "/var/lib/"},
		{"/usr/bin/", r.dir + "/usr/bin/"},
		{"192.0.2.10:5060", fmt.Sprintf("127.0.0.1:%d", *pbx)},
		{"192.0.2.20:5060", fmt.Sprintf("127.0.0.1:%d", sip)},
	}
	switch server {
	case "prosody":
		r.xmpp, err = r.s.NewProsody(ctx, stage.ServerOptions{Domain: "example.com", Users: []stage.Account{juliet},
			Snippet: fmt.Sprintf("Include %q", r.dir+"/etc/prosody/conf.d/*.cfg.lua")}) // as Debian's configuration ends
		must(t, err)
	case "ejabberd":
		r.ejabberd = newEjabberd(t, r.s, filepath.Join(r.dir, "etc/ejabberd"), "example.com", "")
		r.xmpp = r.ejabberd.XMPPServer
		r.xmpp.Component = freePort(t)
		r.ejabberd.boot(ctx, t, juliet)
	}
	r.env = append(os.Environ(),
		"PATH="+r.standIns()+":"+r.dir+"/usr/bin:"+os.Getenv("PATH"),
		"PROSODY_CONFIG="+filepath.Join(r.s.Dir, "prosody/prosody.cfg.lua"), // where stox init looks
		"EJABBERD_CONFIG_PATH="+filepath.Join(r.dir, "etc/ejabberd/ejabberd.yml"),
		fmt.Sprintf("STOX_XMPP_SERVER=127.0.0.1:%d", r.xmpp.Component), // 5347
		"STOX_STORE_PATH="+r.here("/var/lib/stox/stox.db"),
		"STOX_ADMIN_LISTEN=", // 127.0.0.1:9480
		fmt.Sprintf("STOX_SIP_LISTEN=udp://127.0.0.1:%d,tcp://127.0.0.1:%d", sip, sip),
	)
	return r
}

// here puts what is here in the place of what the document says; doc goes back.
func (r *replay) here(s string) string {
	var list []string
	for _, n := range r.table {
		list = append(list, n.doc, n.real)
	}
	return strings.NewReplacer(list...).Replace(s)
}

func (r *replay) doc(s string) string {
	var list []string
	for _, n := range r.table {
		list = append(list, n.real, n.doc)
	}
	return strings.NewReplacer(list...).Replace(s)
}

// shell runs commands; the next ones start in the directory where these end.
func (r *replay) shell(b block) {
	r.Helper()
	cmd := exec.CommandContext(r.ctx, "bash", "-e", "-o", "pipefail", "-c", r.here(b.text)+"\npwd >"+r.dir+"/pwd")
	r.mu.Lock()
	cmd.Dir, cmd.Env, cmd.WaitDelay = r.pwd, r.env, 5*time.Second
	r.mu.Unlock()
	out, err := cmd.CombinedOutput()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.printed = r.doc(string(out))
	if err != nil {
		r.Fatalf("line %d: %v\n%s\n%s", b.line, err, b.text, r.printed)
	}
	pwd, err := os.ReadFile(r.dir + "/pwd")
	must(r.T, err)
	r.pwd = strings.TrimSpace(string(pwd))
}

// output compares what the document promises with what was printed: each line is
// part of one, in this order.
func (r *replay) output(b block) {
	r.Helper()
	rest := strings.Split(r.printed, "\n")
	for want := range strings.Lines(b.text) {
		want = strings.TrimSpace(want)
		found := false
		for !found && len(rest) > 0 {
			found = matches(rest[0], want)
			rest = rest[1:]
		}
		if !found {
			r.Errorf("line %d: no %q in\n%s", b.line, want, r.printed)
			return
		}
	}
}

func (r *replay) append(b block) {
	r.Helper()
	f, err := os.OpenFile(r.here(b.arg("append")), os.O_APPEND|os.O_WRONLY, 0) // it must be there
	must(r.T, err)
	_, err = f.WriteString("\n" + r.here(b.text))
	must(r.T, err)
	must(r.T, f.Close())
}

// message sends a message from a real client and waits for it at the other one.
func (r *replay) message(b block) {
	r.Helper()
	ctx, cancel := context.WithTimeout(r.ctx, 30*time.Second)
	defer cancel()
	f := map[string]string{}
	for line := range strings.Lines(b.text) {
		key, value, _ := strings.Cut(line, ":")
		f[strings.TrimSpace(key)] = strings.TrimSpace(value)
	}
	if r.juliet == nil {
		var err error
		r.juliet, err = r.s.Login(ctx, r.xmpp, juliet)
		must(r.T, err)
	}
	switch user := juliet.Local + "@example.com"; {
	case f["from"] == user:
		must(r.T, r.juliet.Message("first", f["to"], f["text"]))
		line, err := r.phone.Await(ctx, f["text"])
		must(r.T, err)
		if !strings.Contains(line, f["arrives from"]) {
			r.Errorf("line %d: the phone shows %s", b.line, line)
		}
	case f["from"] == r.phone.URI && f["to"] == "sip:"+user:
		must(r.T, r.phone.Message(f["text"]))
		st, err := r.juliet.Await(ctx, "the phone's message", stage.WithBody(f["text"]))
		must(r.T, err)
		if st.From != f["arrives from"] {
			r.Errorf("line %d: it came from %s", b.line, st.From)
		}
	default:
		r.Errorf("line %d: nobody here is %s or %s", b.line, f["from"], f["to"])
	}
}

// startKamailio starts a Kamailio with the document's lines in it, as the PBX: the
// phone is behind it.
func (r *replay) startKamailio(b block) {
	r.Helper()
	dir := filepath.Join(r.s.Dir, "kamailio")
	must(r.T, os.MkdirAll(dir, 0o755))
	cfg := filepath.Join(dir, "kamailio.cfg")
	must(r.T, os.WriteFile(cfg, []byte(fmt.Sprintf(`#!KAMAILIO
debug=1
log_stderror=yes
children=1
tcp_children=1
auto_aliases=no
listen=udp:127.0.0.1:%[1]d
listen=tcp:127.0.0.1:%[1]d
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "textops.so"
loadmodule "siputils.so"
request_route {
	remove_hf("Route");
%[2]s
	$du = "sip:127.0.0.1:%[3]d";
	t_relay();
}
`, r.kamailio, r.here(b.text), r.phone.Port)), 0o644))
	_, err := r.s.Start(exec.Command("kamailio", "-DD", "-E", "-m", "32", "-M", "4", "-Y", dir, "-P", filepath.Join(dir, "pid"), "-f", cfg), "kamailio")
	must(r.T, err)
	must(r.T, stage.WaitTCP(r.ctx, fmt.Sprintf("127.0.0.1:%d", r.kamailio)))
}
