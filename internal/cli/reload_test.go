package cli

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/stoxgw/stox/internal/siptest"
)

// TestRunReload: SIGHUP makes the daemon show a new certificate, and keep the old one if the
// new one cannot be used; and log as it is told to.
func TestRunReload(t *testing.T) {
	defer goleak.VerifyNone(t)
	ca := siptest.NewCA(t, "Test CA")
	first, second := ca.Issue(nil, "first.example"), ca.Issue(nil, "second.example")
	dir := t.TempDir()
	write := func(name string, text []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("cert.pem", first.PEM)
	write("key.pem", first.KeyPEM)
	write("stox.toml", []byte(`
[xmpp]
domain = "sip.example.com"
server = "127.0.0.1:1"
secret = "hunter2-hunter2"
[sip]
domain = "example.net"
listen = ["tls://127.0.0.1:0"]
tls_cert = "cert.pem"
tls_key = "key.pem"
[store]
path = ""
[admin]
listen = ""
[log]
format = "json"
`))
	pr, pw := io.Pipe()
	signals := make(chan os.Signal, 1)
	s, _, _ := std("")
	s.Err, s.Signals = pw, signals
	code := make(chan int, 1)
	go func() {
		code <- Main([]string{"run", "-c", filepath.Join(dir, "stox.toml")}, s)
		pw.Close()
	}()

	var address string
	shown := func(want string) {
		t.Helper()
		c, err := tls.Dial("tcp", address, &tls.Config{RootCAs: ca.Pool(), ServerName: want})
		if err != nil {
			t.Errorf("looking for %s: %v", want, err)
			return
		}
		c.Close()
	}
	const (
		loaded = "certificate for SIP"
		kept   = "the configuration stays as it was, since the new one has faults"
		noted  = "the configuration is another one from now on"
	)
	var story []string // of those lines
	lines := bufio.NewScanner(pr)
	for lines.Scan() {
		var event struct {
			Msg, Names, Err, Expires string
			SIP                      []struct {
				IP   string
				Port int
			}
		}
		if err := json.Unmarshal(lines.Bytes(), &event); err != nil {
			t.Fatalf("%s: %v", lines.Text(), err)
		}
		switch event.Msg {
		case loaded:
			story = append(story, event.Names)
			if event.Expires == "" {
				t.Errorf("does not say when it ends: %s", lines.Text())
			}
		case "ready":
			if len(event.SIP) != 1 {
				t.Fatalf("where does it listen? %s", lines.Text())
			}
			address = net.JoinHostPort(event.SIP[0].IP, strconv.Itoa(event.SIP[0].Port))
			shown("first.example")
			write("cert.pem", second.PEM) // and the key of the first
			signals <- syscall.SIGHUP
		case kept:
			story = append(story, "kept")
			shown("first.example")
			write("key.pem", second.KeyPEM)
			signals <- syscall.SIGHUP
		case noted:
			shown("second.example")
			signals <- syscall.SIGTERM
		}
	}
	if c := <-code; c != exitOK {
		t.Errorf("status %d, want 0", c)
	}
	if got := strings.Join(story, " "); got != "first.example kept second.example" {
		t.Errorf("the log told of %s", got)
	}
}
