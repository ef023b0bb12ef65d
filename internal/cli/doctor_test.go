package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stoxgw/stox/internal/doctor"
	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/internal/xmpptest"
)

// TestDoctor: status 0 if nothing failed, and a summary if something did.
func TestDoctor(t *testing.T) {
	srv := xmpptest.New(t, xmpptest.Options{Domain: "sip.example.com", Secret: "the-secret"})
	peer := siptest.Listen(t, "udp")
	peer.Answer(func(m *siptest.Message) string { return m.Reply(200, "\x1b[2JHello", "Server: \u202eevil") })
	dir := t.TempDir()
	file := filepath.Join(dir, "stox.toml")
	text := fmt.Sprintf(`[xmpp]
domain = "sip.example.com"
secret = "the-secret"
server = %q
[sip]
domain = "pbx.example.net"
listen = ["udp://127.0.0.1:0"]
[[sip.route]]
domain = "*"
via = "sip:%s"
[limits]
max_connections = 1
[store]
path = "stox.db"
[admin]
listen = ""
`, srv.Addr(), peer.Addr())
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s, out, errOut := std("")
	if code := Main([]string{"doctor", "-c", file}, s); code != 0 || errOut.String() != "" {
		t.Errorf("status %d: %s\n%s", code, errOut, out)
	}
	// Whatever a server says of itself, it does nothing to a terminal.
	if !strings.Contains(out.String(), `answers OPTIONS with 200 \x1b[2JHello in `) || !strings.Contains(out.String(), `(\u202eevil)`) || strings.ContainsAny(out.String(), "\x1b\u202e") {
		t.Errorf("%q", out)
	}
	s, out, errOut = std("")
	if code := Main([]string{"doctor", "--json", "-c", file}, s); code != 0 || strings.ContainsAny(out.String(), "\x1b\u202e") {
		t.Errorf("status %d: %s\n%q", code, errOut, out)
	}
	peer.Answer(func(m *siptest.Message) string { return m.Reply(503, "Busy") })
	s, _, errOut = std("")
	if code := Main([]string{"doctor", "-c", file}, s); code != 1 || errOut.String() != "stox: 1 check failed\n" {
		t.Errorf("status %d: %s", code, errOut)
	}
	// Who interrupts it is not told that all is well.
	signals := make(chan os.Signal, 1)
	signals <- syscall.SIGTERM
	peer.Answer(nil)
	s, _, errOut = std("")
	s.Signals = signals
	if code := Main([]string{"doctor", "-c", file}, s); code != 1 || errOut.String() != "stox: interrupted\n" {
		t.Errorf("status %d: %s", code, errOut)
	}
}

func TestFindingText(t *testing.T) {
	f := doctor.Finding{Level: doctor.Fail, Check: "route", Text: "what\nnow", Remedy: "so", Steps: []string{"A x: y"}}
	const want = "fail  route   what\\nnow\n              A x: y\n           -> so\n"
	if got := findingText(f); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
