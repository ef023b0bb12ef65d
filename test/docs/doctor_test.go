//go:build interop

package docs

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/stoxgw/stox/internal/siptest"
)

// doctorFaults are what stox doctor says of faults that the other tables have by what
// they do to messages, and of some that do not show yet.
var doctorFaults = []fault{
	{id: "doctor-secret", what: "The secret is not the one that the server has", remedy: "Make `xmpp.secret` and the server's the same, and restart both.",
		names: []string{"xmpp.secret", "component_secret", "password"}, also: true, plant: func(p *plant) seen {
			p.alive()
			return p.doctor(secretLine, `secret = "another-secret"`)
		}},
	{id: "doctor-port", what: "`xmpp.server` has the port for clients", remedy: "Use the port for components, 5347 unless the server's configuration says otherwise.",
		names: []string{"xmpp.server", "component port"}, also: true, plant: func(p *plant) seen {
			p.alive()
			p.name("127.0.0.1:5222", fmt.Sprintf("127.0.0.1:%d", p.server.C2S))
			return p.doctor(serverLine, `server = "127.0.0.1:5222"`)
		}},
	{id: "doctor-domain", what: "A domain in `xmpp.user_domains` is not at this server", remedy: "Correct the name, or add the domain to the server.",
		names: []string{"xmpp.user_domains", "VirtualHost"}, plant: func(p *plant) seen {
			p.alive()
			return p.doctor(domainLine, domainLine+"\nuser_domains = [\"example.com\", \"exmaple.com\"]")
		}},
	{id: "doctor-link", what: "A daemon runs, and has no link", remedy: "The remedy is the daemon's own; [below](#it-runs-but-has-no-link) are more.",
		names: []string{"its link", "xmpp.secret"}, plant: func(p *plant) seen {
			p.alive()
			p.run(secretLine, `secret = "another-secret"`)
			p.complaint()
			return p.doctor(secretLine, `secret = "another-secret"`)
		}},
	{id: "doctor-socket", what: "Another program has the SIP port", remedy: "Stop it, or give stox another port in `sip.listen`.",
		names: []string{"sip.listen", "udp"}, plant: func(p *plant) seen {
			p.alive()
			c, err := net.ListenPacket("udp", p.sip.String())
			must(p.T, err)
			defer c.Close()
			return p.doctor()
		}},
	{id: "doctor-refused", what: "Nothing listens at the SIP server's address", remedy: "Start the SIP server, or correct `sip.route.via`.",
		names: []string{"sip.route.via", "nobody listens"}, plant: func(p *plant) seen {
			p.name("192.0.2.10:5060", fmt.Sprintf("127.0.0.1:%d", freePort(p.T)))
			return p.doctor(viaLine, `via = "sip:192.0.2.10:5060;transport=tcp"`)
		}},
	{id: "doctor-silent", what: "Nobody answers at the SIP server's address (UDP)", remedy: "Correct `sip.route.via`, or open UDP both ways. A server that answers messages and no OPTIONS looks the same: let it answer those from this machine.", slow: true,
		names: []string{"sip.route.via", "firewall"}, plant: func(p *plant) seen {
			p.peer(nil)
			return p.doctor()
		}},
	{id: "doctor-503", what: "The SIP server is there and has no way on", remedy: "Look into its log.",
		names: []string{"503", "its log"}, plant: func(p *plant) seen {
			p.peer(func(m *siptest.Message) string { return m.Reply(503, "No Destination Available") })
			return p.doctor()
		}},
	{id: "doctor-store", what: "The directory of the store does not exist", remedy: "Make it as the line says.",
		names: []string{"store.path", "install -d"}, plant: func(p *plant) seen {
			p.alive()
			p.name("/srv/stox", filepath.Join(p.s.Dir, "srv"))
			return p.doctor(storeLine, `path = "/srv/stox/stox.db"`)
		}},
}

// alive is a SIP server without a fault.
func (p *plant) alive() {
	p.peer(func(m *siptest.Message) string { return m.Reply(200, "OK") })
}

var (
	took    = regexp.MustCompile(`\b[0-9.]+(?:ns|µs|ms|s)\b`)
	process = regexp.MustCompile(`: [^ :]+, process \d+`)
)

// doctor runs stox doctor with the good configuration, edited, and gives its finding
// about the fault, with the remedy.
func (p *plant) doctor(edits ...string) seen {
	p.Helper()
	p.write("stox.toml", p.edited(edits...), 0o600)
	cmd := exec.CommandContext(p.ctx, stoxBinary, "doctor", "-c", filepath.Join(p.s.Dir, "stox.toml"))
	cmd.Env = append(os.Environ(), p.env...)
	b, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 || strings.Contains(string(b), secretOf(p.id)) || strings.Contains(string(b), "DATA RACE") {
		p.Fatalf("%v:\n%s", err, b)
	}
	finding, all := "", []string(nil)
	for line := range strings.Lines(string(b)) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, "fail "):
			finding = line
		case finding != "" && strings.HasPrefix(line, "           -> "):
			all = append(all, finding+strings.TrimPrefix(line, "          "))
			finding = ""
		}
	}
	i := slices.IndexFunc(all, func(line string) bool {
		return !slices.ContainsFunc(p.want, func(w string) bool { return !strings.Contains(line, w) })
	})
	if i < 0 {
		p.Fatalf("no failure has all of %q:\n%s", p.want, b)
	}
	line := took.ReplaceAllString(process.ReplaceAllString(p.doc(all[i]), ": …, process …"), "…")
	return seen{line: line}
}
