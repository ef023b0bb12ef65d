//go:build install && !interop

package docs

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stoxgw/stox/test/stage"
)

const laterVersion = "v99.0.0"

var juliet = stage.Account{Local: "juliet", Password: "juliet-secret"}

// install does what the page says, on the machine.
type install struct {
	*machine
	s       *stage.Stage
	last    block  // of commands
	printed string // by it
	juliet  *stage.XMPPClient
	phone   *stage.Phone
}

// From apt install to a message each way, as the page has it, letter by letter; then what
// comes later in the life of a package: its user, its rights, upgrades, removal.
func TestInstall(t *testing.T) {
	// Not of the test: the machine is still asked for its log when that has failed.
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	t.Cleanup(cancel)
	s := newStage(ctx, t)
	r := &install{s: s, machine: boot(ctx, t, s)}
	t.Cleanup(func() {
		if t.Failed() {
			out, _ := r.try("journalctl -n 60 --no-pager -u stox")
			t.Log(out)
		}
	})
	for _, step := range []struct {
		name string
		do   func()
	}{
		{"page", r.page},
		{"rights", r.rights},
		{"manual", r.manual},
		{"hardening", r.hardening},
		{"credential", r.credential},
		{"watchdog", r.watchdog},
		{"again", r.again},
		{"upgrade", r.upgrade},
		{"remove", r.remove},
		{"purge", r.purge},
	} {
		if !t.Run(step.name, func(t *testing.T) { r.T = t; step.do() }) {
			break // each begins where the one before has ended
		}
	}
	r.T = t
}

func (r *install) page() {
	ran, crossed := 0, 0
	for _, b := range blocks(r.T, gettingStarted, "prosody", []string{"prosody", "ejabberd", "source", "container"}) {
		switch {
		case b.is("sh"):
			r.last, r.printed = b, r.sh(b.text)
			if b.is("sh", "package") {
				r.untouched()
			}
			ran++
		case b.is("text", "output"):
			r.output(b)
		case b.is("text", "message"):
			r.message(b)
			crossed++
		case b.is("kamailio"):
			r.pbx(b.text)
		case b.arg("append") != "":
			f, err := os.OpenFile(filepath.Join(r.dir, b.arg("append")), os.O_APPEND|os.O_WRONLY, 0) // it must be there
			must(r.T, err)
			_, err = f.WriteString("\n" + b.text)
			must(r.T, err)
			must(r.T, f.Close())
		default:
			r.Errorf("line %d: nobody knows what to do with %q", b.line, append([]string{b.lang}, b.args...))
		}
	}
	if ran < 5 || crossed < 2 {
		r.Errorf("%d blocks of commands and %d messages: has the document changed its form?", ran, crossed)
	}
}

// untouched: what has just been installed neither runs nor will at the next start.
func (r *install) untouched() {
	r.Helper()
	if got := r.property("ActiveState") + " " + r.property("UnitFileState"); got != "inactive disabled" {
		r.Errorf("the unit is %s", got)
	}
	// Nothing is set: whoever starts it hears why it does not run, once.
	if out, err := r.try("systemctl start stox"); err == nil {
		r.Errorf("it runs without a configuration\n%s", out)
	}
	log := r.sh("journalctl --no-pager -o cat -u stox")
	if !strings.Contains(log, "xmpp.domain: is missing") || strings.Contains(log, "Scheduled restart job") {
		r.Errorf("the log says\n%s", log)
	}
	r.sh("systemctl reset-failed stox")
}

// output compares what the page promises with what was printed, line by line. The last
// command may show a log: that is read again until all of it is there, in whatever order the
// daemon's parts have come to write it.
func (r *install) output(b block) {
	r.Helper()
	commands := strings.Split(strings.TrimSpace(r.last.text), "\n")
	last := commands[len(commands)-1]
	isLog := strings.HasPrefix(last, "journalctl")
	r.until(fmt.Sprintf("line %d: %s", b.line, b.text), func() (bool, string) {
		rest := strings.Split(r.printed, "\n")
		for want := range strings.Lines(b.text) {
			i := slices.IndexFunc(rest, func(line string) bool { return matches(line, strings.TrimSpace(want)) })
			switch {
			case i >= 0 && !isLog:
				rest = rest[i+1:]
			case i < 0 && isLog:
				shown := r.printed
				r.printed = r.sh(last)
				return false, shown
			case i < 0:
				r.Fatalf("line %d: no %q in\n%s", b.line, want, r.printed)
			}
		}
		return true, ""
	})
}

// pbx starts the SIP server of the page with its lines in it, and a phone behind it.
func (r *install) pbx(lines string) {
	r.Helper()
	var err error
	r.phone, err = r.s.BaresipWith(r.ctx, stage.PhoneOptions{User: "romeo", Domain: "pbx.example.net", Contact: "sip:juliet@example.com", Transport: "udp", Proxy: world + ":5060"})
	must(r.T, err)
	dir := filepath.Join(r.s.Dir, "kamailio")
	must(r.T, os.MkdirAll(dir, 0o755))
	cfg := filepath.Join(dir, "kamailio.cfg")
	must(r.T, os.WriteFile(cfg, fmt.Appendf(nil, `#!KAMAILIO
debug=1
log_stderror=yes
children=1
tcp_children=1
auto_aliases=no
listen=udp:%[1]s:5060
listen=tcp:%[1]s:5060
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
`, world, lines, r.phone.Port), 0o644))
	_, err = r.s.Start(exec.Command("kamailio", "-DD", "-E", "-m", "32", "-M", "4", "-Y", dir, "-P", filepath.Join(dir, "pid"), "-f", cfg), "kamailio")
	must(r.T, err)
	must(r.T, stage.WaitTCP(r.ctx, world+":5060"))
}

func (r *install) message(b block) {
	r.Helper()
	f := map[string]string{}
	for line := range strings.Lines(b.text) {
		key, value, _ := strings.Cut(line, ":")
		f[strings.TrimSpace(key)] = strings.TrimSpace(value)
	}
	if r.juliet == nil {
		var err error
		r.juliet, err = r.s.Login(r.ctx, &stage.XMPPServer{Domain: "example.com", Host: here, C2S: 5222}, juliet)
		must(r.T, err)
	}
	switch user := juliet.Local + "@example.com"; {
	case f["from"] == user:
		r.toPhone(f["to"], f["text"], f["arrives from"])
	case f["from"] == r.phone.URI && f["to"] == "sip:"+user:
		r.fromPhone(f["text"], f["arrives from"])
	default:
		r.Errorf("line %d: nobody here is %s or %s", b.line, f["from"], f["to"])
	}
}

func (r *install) toPhone(to, text, from string) {
	r.Helper()
	ctx, cancel := context.WithTimeout(r.ctx, time.Minute)
	defer cancel()
	must(r.T, r.juliet.Message(text, to, text))
	line, err := r.phone.Await(ctx, text)
	must(r.T, err)
	if !strings.Contains(line, from) {
		r.Errorf("the phone shows %s", line)
	}
}

func (r *install) fromPhone(text, from string) {
	r.Helper()
	ctx, cancel := context.WithTimeout(r.ctx, time.Minute)
	defer cancel()
	must(r.T, r.phone.Message(text))
	st, err := r.juliet.Await(ctx, "the phone's message", stage.WithBody(text))
	must(r.T, err)
	if st.From != from {
		r.Errorf("it came from %s", st.From)
	}
}

// still: the daemon, whichever it is now, carries messages.
func (r *install) still(text string) {
	r.Helper()
	r.until("it is connected", func() (bool, string) {
		out, err := r.try("stox health")
		return err == nil, out
	})
	r.toPhone("romeo@sip.example.com", text+" to SIP", "sip:juliet@example.com")
	r.fromPhone(text+" to XMPP", "romeo@sip.example.com")
}
