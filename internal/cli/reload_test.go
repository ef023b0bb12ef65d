package cli

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/stoxgw/stox/internal/admin"
	"github.com/stoxgw/stox/internal/config"
	"github.com/stoxgw/stox/internal/siptest"
)

// TestRunReload: SIGHUP makes the daemon show a new certificate, and keep the old one if the
// new one cannot be used.
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

// reloadable is a daemon that answers stox reload.
type reloadable struct {
	daemonQueue
	done admin.Reloaded
	err  error
}

func (r *reloadable) Reload(context.Context) (admin.Reloaded, error) { return r.done, r.err }

// TestReload: what the command prints and the status it ends with.
func TestReload(t *testing.T) {
	dir, file := queueConfig(t)
	for _, tt := range []struct {
		name     string
		done     admin.Reloaded
		err      error
		out, bad string
		status   int
	}{
		{name: "nothing", done: admin.Reloaded{File: file, Applied: true}, out: "nothing has changed\n"},
		{name: "some", done: admin.Reloaded{File: file, Applied: true, Changed: []string{"sip.imdn", "sip.route[0].via"}, Waiting: []string{"sip.listen"}},
			out: "sip.imdn has changed\nsip.route[0].via has changed\nsip.listen takes effect at the next start\n"},
		{name: "another file", done: admin.Reloaded{File: "/else/stox.toml", Applied: true}, out: "nothing has changed\n",
			bad: "stox: the daemon has read /else/stox.toml, which it was started with, and not " + file + "\n"},
		{name: "faults", done: admin.Reloaded{File: file, Faults: []string{"stox.toml: a.b: is bad", "stox.toml: c: is worse"}}, status: exitConfig,
			bad: "stox: stox.toml: a.b: is bad\nstox: stox.toml: c: is worse\nstox: the daemon keeps the configuration that it has\n"},
		{name: "it stops", err: errors.New("stox is stopping"), status: exitFailure, bad: "stox: stox is stopping\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			stop, err := startDaemon(filepath.Join(dir, "stox.sock"), &reloadable{done: tt.done, err: tt.err})
			if err != nil {
				t.Fatal(err)
			}
			defer stop()
			s, out, bad := std("")
			if code := Main([]string{"reload", "-c", file}, s); code != tt.status || out.String() != tt.out || bad.String() != tt.bad {
				t.Errorf("status %d, %q, %q", code, out, bad)
			}
			s, out, _ = std("")
			code := Main([]string{"reload", "--json", "-c", file}, s)
			var got admin.Reloaded
			if err := json.Unmarshal(out.Bytes(), &got); tt.err == nil && (err != nil || code != tt.status || !reflect.DeepEqual(got, tt.done)) {
				t.Errorf("status %d, %v: %s", code, err, out)
			}
		})
	}
	t.Run("an older daemon", func(t *testing.T) {
		stop, err := startDaemon(filepath.Join(dir, "stox.sock"), &daemonQueue{})
		if err != nil {
			t.Fatal(err)
		}
		defer stop()
		s, _, bad := std("")
		if code := Main([]string{"reload", "-c", file}, s); code != exitFailure || !strings.Contains(bad.String(), "nothing to read again") {
			t.Errorf("status %d, %s", code, bad)
		}
	})
	t.Run("no daemon", func(t *testing.T) {
		s, _, bad := std("")
		if code := Main([]string{"reload", "-c", file}, s); code != exitFailure || !strings.Contains(bad.String(), "no daemon answers at") {
			t.Errorf("status %d, %s", code, bad)
		}
	})
	for name, text := range map[string]string{"no TOML": "[xmpp\n", "nothing at all": ""} {
		t.Run(name, func(t *testing.T) {
			other := filepath.Join(t.TempDir(), "stox.toml")
			if text != "" {
				if err := os.WriteFile(other, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			s, _, bad := std("")
			if code := Main([]string{"reload", "-c", other}, s); code != exitConfig || !strings.Contains(bad.String(), other) || !strings.Contains(bad.String(), "the daemon keeps") {
				t.Errorf("status %d, %s", code, bad)
			}
		})
	}
}

// TestReloadOfARunningDaemon: from the file to what is logged and back to the command, also
// where the command does not have the daemon's environment.
func TestReloadOfARunningDaemon(t *testing.T) {
	defer goleak.VerifyNone(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "stox.toml")
	write := func(log string) {
		t.Helper()
		text := "xmpp={domain='sip.example.com',server='127.0.0.1:1'}\nsip={domain='example.net',listen=['udp://127.0.0.1:0']}\nstore={path='stox.db'}\nlog={" + log + "}\n"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("level='info'")
	pr, pw := io.Pipe()
	signals := make(chan os.Signal, 1)
	daemon, _, _ := std("")
	daemon.Err, daemon.Signals, daemon.Environ = pw, signals, []string{"STOX_XMPP_SECRET=hunter2-hunter2"}
	code := make(chan int, 1)
	go func() {
		code <- Main([]string{"run", "-c", file}, daemon)
		pw.Close()
	}()
	reload := make(chan string)
	var asked sync.WaitGroup
	ask := func() { // beside the reading of the log
		asked.Go(func() {
			s, out, bad := std("")
			status := Main([]string{"reload", "-c", file}, s)
			reload <- fmt.Sprintf("%d %s%s", status, out, bad)
		})
	}
	var story []string
	lines := bufio.NewScanner(pr)
	for lines.Scan() {
		text := lines.Text()
		switch {
		case strings.Contains(text, `msg=ready`):
			write("level='info',format='json'")
			ask()
		case strings.HasPrefix(text, "{") && strings.Contains(text, "another one from now on"):
			story = append(story, "json")
			go func() {
				if got := <-reload; got != "0 log.format has changed\n" {
					t.Errorf("the first time: %q", got)
				}
				write("level='loud'")
				ask()
			}()
		case strings.HasPrefix(text, "{") && strings.Contains(text, "has faults"):
			story = append(story, "faults")
			go func() {
				if got := <-reload; !strings.HasPrefix(got, "2 stox: "+file+": log.level: ") || !strings.HasSuffix(got, "the daemon keeps the configuration that it has\n") {
					t.Errorf("the second time: %q", got)
				}
				signals <- syscall.SIGTERM
			}()
		}
	}
	asked.Wait()
	if c := <-code; c != exitOK || strings.Join(story, " ") != "json faults" {
		t.Errorf("status %d, the log told of %q", c, story)
	}
}

// TestLogging: a logger that is there writes as it is said now, with what was added to it.
func TestLogging(t *testing.T) {
	var b bytes.Buffer
	l := newLogging(config.Log{Level: "info", Format: "text"}, &b)
	log := l.logger().With("side", "sip").WithGroup("g").With("a", 1)
	line := func() string {
		defer b.Reset()
		_, after, _ := strings.Cut(b.String(), "INFO")
		return after
	}
	log.Debug("no")
	log.Info("one", "b", 2)
	if got := line(); got != " msg=one side=sip g.a=1 g.b=2\n" {
		t.Errorf("%q", got)
	}
	for range 2 {
		l.change(config.Log{Level: "info", Format: "json"})
		log.Info("two", "b", 2)
		if got := line(); got != `","msg":"two","side":"sip","g":{"a":1,"b":2}}`+"\n" {
			t.Errorf("%q", got)
		}
	}
	l.change(config.Log{Level: "error", Format: "json"})
	log.Info("three")
	if b.Len() > 0 || log.Enabled(t.Context(), slog.LevelWarn) || !log.Enabled(t.Context(), slog.LevelError) {
		t.Errorf("%q", b.String())
	}
}
