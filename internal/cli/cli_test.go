package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"

	"github.com/stoxgw/stox/contrib"
	"github.com/stoxgw/stox/internal/config"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"stox": func() {
		std := System()
		os.Exit(Main(os.Args[1:], std))
	}})
}

// TestScript runs the command line as a process, as a shell would.
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"status": cmdStatus,
			"mode":   cmdMode,
			"daemon": cmdDaemon,
			"rows":   cmdRows, "relations": cmdRelations,
		},
	})
}

// cmdStatus runs a command that must end with the status given.
func cmdStatus(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status CODE command...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var e *exec.ExitError
		if !errors.As(err, &e) {
			ts.Fatalf("%v", err)
		}
		got = e.ExitCode()
	}
	if got != want {
		ts.Fatalf("status %d, want %d", got, want)
	}
}

// cmdMode checks who may read a file.
func cmdMode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: mode OCTAL file")
	}
	want, err := strconv.ParseUint(args[0], 8, 32)
	ts.Check(err)
	info, err := os.Stat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := info.Mode().Perm(); got != fs.FileMode(want) {
		ts.Fatalf("%s has mode %04o, want %04o", args[1], got, want)
	}
}

// std is an IO that collects what is printed.
func std(in string) (IO, *bytes.Buffer, *bytes.Buffer) {
	var out, errOut bytes.Buffer
	return IO{In: strings.NewReader(in), Out: &out, Err: &errOut, Exit: func(int) {}}, &out, &errOut
}

// TestInitAsks: with a person at the terminal, init asks for what is missing,
// and what it prints and what it writes have the same secret.
func TestInitAsks(t *testing.T) {
	dir := t.TempDir()
	s, out, errOut := std("\n sip.example.com \n")
	s.Terminal = true
	if code := Main([]string{"init", "prosody", "--root", dir, "--sip-domain", "example.net", "-o", dir}, s); code != 0 {
		t.Fatalf("status %d: %s", code, errOut)
	}
	const question = "Name of the gateway, below your XMPP domain (for example sip.example.com): "
	if !strings.HasPrefix(errOut.String(), question+question+"\nWrote ") {
		t.Errorf("asked\n%s", errOut)
	}
	cfg, err := config.Load(filepath.Join(dir, "stox.toml"), nil)
	if err != nil {
		t.Fatal(err)
	}
	secret := cfg.XMPP.Secret.Reveal()
	if len(secret) < 26 { // 26 letters of base32 are 130 bits
		t.Errorf("the secret has %d letters", len(secret))
	}
	if want := strings.Replace(contrib.Prosody, "change-me", secret, 1); out.String() != want {
		t.Errorf("printed\n%s\nwant\n%s", out, want)
	}
	if strings.Contains(errOut.String(), secret) {
		t.Error("the secret is on standard error")
	}
	if len(cfg.Warnings) > 0 {
		t.Errorf("warnings %v", cfg.Warnings)
	}

	s, _, errOut = std("")
	s.Terminal = true
	if code := Main([]string{"init", "prosody", "--root", dir, "-o", t.TempDir()}, s); code != exitFailure || !strings.HasSuffix(errOut.String(), "stox: no answer for --xmpp-domain; see stox init --help\n") {
		t.Errorf("without an answer: status %d, %s", code, errOut)
	}
}

// TestInitSuggests: a name that fits the server on this machine; Enter takes it.
func TestInitSuggests(t *testing.T) {
	dir := t.TempDir()
	s, out, errOut := std("\nexample.net\n")
	s.Terminal = true
	if code := Main([]string{"init", "ejabberd", "--root", tree(t, serviceThere), "-o", dir}, s); code != 0 {
		t.Fatalf("status %d: %s", code, errOut)
	}
	if !strings.HasPrefix(errOut.String(), "Name of the gateway, below your XMPP domain [sip.example.com]: SIP domain of your phones or provider (for example example.net): \nWrote ") {
		t.Errorf("asked\n%s", errOut)
	}
	cfg, err := config.Load(filepath.Join(dir, "stox.toml"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if cfg.XMPP.Domain != "sip.example.com" || cfg.XMPP.Server != "127.0.0.1:5349" {
		t.Errorf("%+v", cfg.XMPP)
	}
	// The snippet fits the list that it goes into.
	item := out.String()[strings.Index(out.String(), "\nlisten:\n")+1:]
	item = strings.Replace(item, cfg.XMPP.Secret.Reveal(), "SECRET", 1)
	want := `listen:
-
  port: 5349
  ip: "127.0.0.1"
  module: ejabberd_service
  global_routes: false
  hosts:
    "sip.example.com":
      password: "SECRET"
`
	if item != want {
		t.Errorf("printed\n%s\nwant\n%s", item, want)
	}

	// Nobody to ask: it is said.
	s, _, errOut = std("")
	if code := Main([]string{"init", "ejabberd", "--root", tree(t, serviceThere), "-o", dir}, s); code != exitFailure ||
		errOut.String() != "stox: missing --xmpp-domain and --sip-domain (ejabberd here has users at example.com, example.org: sip.example.com would do); see stox init --help\n" {
		t.Errorf("status %d, %s", code, errOut)
	}
}

// TestInitNames: the component's name is seen beside the domains that are there.
func TestInitNames(t *testing.T) {
	root := tree(t, serviceThere)
	s, out, errOut := std("")
	if code := Main([]string{"init", "ejabberd", "--root", root, "--xmpp-domain", "Example.org", "--sip-domain", "example.net", "-o", t.TempDir()}, s); code != exitFailure || out.Len() > 0 ||
		errOut.String() != "stox: --xmpp-domain: example.org has users of its own on this ejabberd (/etc/ejabberd/ejabberd.yml:1); the gateway needs a name that is free, such as sip.example.org\n" {
		t.Errorf("status %d, %s", code, errOut)
	}
	s, _, errOut = std("")
	if code := Main([]string{"init", "ejabberd", "--root", root, "--xmpp-domain", "sip.example.net", "--sip-domain", "pbx.example.net", "-o", t.TempDir()}, s); code != exitOK ||
		!strings.Contains(errOut.String(), "Note: ejabberd here has users at example.com, example.org, and not at example.net, whose users stox serves unless xmpp.user_domains says otherwise.\n") {
		t.Errorf("status %d, %s", code, errOut)
	}
}

// TestInitSecretsDiffer: each secret is fresh.
func TestInitSecretsDiffer(t *testing.T) {
	seen := map[string]bool{}
	for range 20 {
		s, out, errOut := std("")
		if code := Main([]string{"init", "ejabberd", "--root", t.TempDir(), "--xmpp-domain", "sip.example.com", "--sip-domain", "example.net", "-o", t.TempDir()}, s); code != 0 {
			t.Fatal(errOut)
		}
		if seen[out.String()] {
			t.Fatal("the same secret twice")
		}
		seen[out.String()] = true
	}
}

// TestInitEjabberd: what init prints is the file in contrib with other values.
func TestInitEjabberd(t *testing.T) {
	s, out, _ := std("")
	Main([]string{"init", "ejabberd", "--root", t.TempDir(), "--xmpp-domain", "gw.example.org", "--sip-domain", "example.net", "-o", t.TempDir()}, s)
	got := regexp.MustCompile(`password: "[A-Z2-7]+"`).ReplaceAllString(out.String(), `password: "change-me"`)
	if want := strings.Replace(contrib.Ejabberd, "sip.example.com", "gw.example.org", 1); got != want {
		t.Errorf("printed\n%s\nwant\n%s", got, want)
	}
}

func TestNewLogger(t *testing.T) {
	for _, tt := range []struct {
		config       config.Config
		level, lower slog.Level
	}{
		{config.Config{Log: config.Log{Level: "debug", Format: "text"}}, slog.LevelDebug, slog.LevelDebug - 1},
		{config.Config{Log: config.Log{Level: "info", Format: "text"}}, slog.LevelInfo, slog.LevelDebug},
		{config.Config{Log: config.Log{Level: "warn", Format: "text"}}, slog.LevelWarn, slog.LevelInfo},
		{config.Config{Log: config.Log{Level: "error", Format: "json"}}, slog.LevelError, slog.LevelWarn},
	} {
		var b bytes.Buffer
		log := newLogging(tt.config.Log, &b).logger()
		log.Log(t.Context(), tt.lower, "unseen")
		log.Log(t.Context(), tt.level, "seen")
		if strings.Contains(b.String(), "unseen") || !strings.Contains(b.String(), "seen") {
			t.Errorf("%v: %s", tt.config.Log, b.String())
		}
		if isJSON := json.Valid(b.Bytes()); isJSON != (tt.config.Log.Format == "json") {
			t.Errorf("%v: %s", tt.config.Log, b.String())
		}
	}
}

// TestSignals: the first signal cancels, the second ends the process.
func TestSignals(t *testing.T) {
	defer goleak.VerifyNone(t)
	ch := make(chan os.Signal)
	exited := make(chan int, 1)
	var b bytes.Buffer
	ctx, stop := stopOnSignal(context.Background(), IO{Signals: ch, Exit: func(code int) { exited <- code }}, slog.New(slog.NewTextHandler(&b, nil)), nil)
	ch <- syscall.SIGTERM
	<-ctx.Done()
	ch <- os.Interrupt
	if code := <-exited; code != exitFailure {
		t.Errorf("exit %d, want %d", code, exitFailure)
	}
	stop()
	if got := b.String(); !strings.Contains(got, `reason="signal: terminated"`) || !strings.Contains(got, `reason="second signal: interrupt"`) {
		t.Errorf("log\n%s", got)
	}

	ctx, stop = stopOnSignal(context.Background(), IO{Signals: ch}, slog.New(slog.DiscardHandler), nil)
	stop()
	if ctx.Err() == nil {
		t.Error("stop does not cancel")
	}
}

// TestHangup: SIGHUP has the configuration read again and stops nothing.
func TestHangup(t *testing.T) {
	defer goleak.VerifyNone(t)
	ch := make(chan os.Signal)
	exited := make(chan int, 1)
	var b bytes.Buffer
	reloaded := 0
	ctx, stop := stopOnSignal(context.Background(), IO{Signals: ch, Exit: func(code int) { exited <- code }}, slog.New(slog.NewTextHandler(&b, nil)), func() { reloaded++ })
	ch <- syscall.SIGHUP
	ch <- syscall.SIGHUP // taken only when the first is done with
	if ctx.Err() != nil {
		t.Error("SIGHUP stops the daemon")
	}
	ch <- syscall.SIGTERM // the first one that stops
	<-ctx.Done()
	stop()
	if len(exited) > 0 {
		t.Errorf("ended with %d", <-exited)
	}
	if reloaded != 2 {
		t.Errorf("reloaded %d times", reloaded)
	}
}

// TestRun: the daemon starts without its server, says so in its log and nowhere
// else, and a signal stops it with status 0.
func TestRun(t *testing.T) {
	defer goleak.VerifyNone(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "stox.toml")
	const secret = "hunter2-hunter2"
	text := `
[xmpp]
domain = "sip.example.com"
server = "127.0.0.1:1"
secret = "` + secret + `"
[sip]
domain = "example.net"
listen = ["udp://127.0.0.1:0", "tcp://127.0.0.1:0"]
[store]
path = "stox.db"
[admin]
listen = ""
[log]
level = "debug"
format = "json"
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	pr, pw := io.Pipe()
	signals := make(chan os.Signal, 1)
	s, out, _ := std("")
	s.Err, s.Signals = pw, signals
	code := make(chan int, 1)
	go func() {
		code <- Main([]string{"run", "-c", file}, s)
		pw.Close()
	}()
	ready := false
	lines := bufio.NewScanner(pr)
	for lines.Scan() {
		var event struct{ Msg string }
		if err := json.Unmarshal(lines.Bytes(), &event); err != nil {
			t.Errorf("not a log line: %s", lines.Text())
		}
		if strings.Contains(lines.Text(), secret) {
			t.Errorf("the secret is in the log: %s", lines.Text())
		}
		if event.Msg == "ready" && !ready {
			ready = true
			signals <- syscall.SIGTERM
		}
	}
	if c := <-code; c != exitOK {
		t.Errorf("status %d, want 0", c)
	}
	if !ready {
		t.Error("never ready")
	}
	if out.Len() > 0 {
		t.Errorf("printed %q", out)
	}
}

// TestRunPortTaken: a fault that a restart may mend is one log line and status 1.
func TestRunPortTaken(t *testing.T) {
	defer goleak.VerifyNone(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	file := filepath.Join(t.TempDir(), "stox.toml")
	text := "xmpp={domain='sip.example.com',secret='x',server='127.0.0.1:1'}\nsip={domain='example.net',listen=['tcp://" + taken.Addr().String() + "']}\nstore={path='stox.db'}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s, out, errOut := std("")
	s.Signals = make(chan os.Signal)
	if code := Main([]string{"run", "-c", file}, s); code != exitFailure {
		t.Errorf("status %d, want %d", code, exitFailure)
	}
	if n := strings.Count(errOut.String(), "level=ERROR"); n != 1 || !strings.Contains(errOut.String(), taken.Addr().String()) || out.Len() > 0 {
		t.Errorf("%d errors logged:\n%s%s", n, errOut, out)
	}
}
