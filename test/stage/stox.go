package stage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// BuildStox builds the daemon into dir, with the race detector if race.
func BuildStox(ctx context.Context, dir string, race bool) (string, error) {
	bin := filepath.Join(dir, "stox")
	args := []string{"build", "-o", bin}
	if race {
		args = append(args, "-race")
	}
	cmd := exec.CommandContext(ctx, "go", append(args, "github.com/stoxgw/stox/cmd/stox")...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building stox: %w\n%s", err, out)
	}
	return bin, nil
}

// unhurried is for a daemon with the race detector, which otherwise waits for a
// second before it ends, in case that there is more to report.
const unhurried = "GORACE=atexit_sleep_ms=20"

// Stox is the daemon.
type Stox struct {
	*Proc
	Bin     string
	Config  string   // path of stox.toml
	Snippet string   // what stox init printed for the server
	SIP     int      // port, UDP and TCP
	Env     []string // further variables for the daemon, put after the stage's own
	JSON    bool     // it logs JSON
	stage   *Stage
	env     []string
}

// InitStox runs "stox init" as an admin would, for a component of server
// ("prosody", "ejabberd").
func (r *Stage) InitStox(ctx context.Context, bin, server, xmppDomain, sipDomain string) (*Stox, error) {
	s := &Stox{Bin: bin, stage: r, Config: filepath.Join(r.Dir, "stox.toml")}
	cmd := exec.CommandContext(ctx, bin, "init", server, "--xmpp-domain", xmppDomain, "--sip-domain", sipDomain, "--dir", r.Dir)
	cmd.Env = append(os.Environ(), unhurried)
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("stox init: %w\n%s", err, said.String())
	}
	s.Snippet = string(out)
	s.SIP, err = Port()
	return s, err
}

// Route is a [[sip.route]] of a test.
type Route struct {
	Domain, Via string
	// Login is who we are when a server there asks; its Local is the user name.
	Login    Account
	Register bool
}

// Configure points the daemon at the component port and the SIP side at routes.
// more is put at the end of stox.toml as it is.
func (s *Stox) Configure(componentPort int, routes []Route, more string) error {
	s.env = []string{
		unhurried,
		fmt.Sprintf("STOX_XMPP_SERVER=127.0.0.1:%d", componentPort),
		fmt.Sprintf("STOX_SIP_LISTEN=udp://127.0.0.1:%d,tcp://127.0.0.1:%d", s.SIP, s.SIP),
		"STOX_LOG_LEVEL=debug",
		"STOX_ADMIN_LISTEN=", // there are others on this machine
	}
	if s.JSON {
		s.env = append(s.env, "STOX_LOG_FORMAT=json")
	}
	f, err := os.OpenFile(s.Config, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	for _, r := range routes {
		fmt.Fprintf(f, "\n[[sip.route]]\ndomain = %q\nvia = %q\n", r.Domain, r.Via)
		if r.Login.Local != "" {
			fmt.Fprintf(f, "username = %q\npassword = %q\nregister = %t\n", r.Login.Local, r.Login.Password, r.Register)
		}
	}
	fmt.Fprintf(f, "\n%s", more)
	return f.Close()
}

// Run starts the daemon and waits until it says that it is ready.
func (s *Stox) Run(ctx context.Context) error {
	if err := s.Start(); err != nil {
		return err
	}
	_, _, err := s.WaitLine(ctx, 0, "msg=ready")
	return err
}

// Start starts the daemon and does not wait.
func (s *Stox) Start() error {
	// Not of the context: the daemon ends with its stage, or when it is told to.
	cmd := exec.Command(s.Bin, "run", "-c", s.Config)
	cmd.Env = s.Environ()
	p, err := s.stage.Start(cmd, "stox")
	s.Proc = p
	return err
}

// Environ is the environment of the daemon.
func (s *Stox) Environ() []string {
	return append(append(os.Environ(), s.env...), s.Env...)
}

// WaitLine is that of Proc; a word key=value is found in a log of either format.
func (s *Stox) WaitLine(ctx context.Context, from int, words ...string) (string, int, error) {
	if s.JSON {
		words = slices.Clone(words)
		for i, w := range words {
			if m := logged.FindStringSubmatch(w); m != nil {
				words[i] = `"` + m[1] + `":`
				if m[2] != "" {
					words[i] += `"` + m[2]
				}
			}
		}
	}
	return s.Proc.WaitLine(ctx, from, words...)
}

var logged = regexp.MustCompile(`^([a-z_]+)=(.*)$`)

// WaitLink waits until the daemon has a link to the XMPP server, in the lines
// from the from-th on.
func (s *Stox) WaitLink(ctx context.Context, from int) (next int, err error) {
	_, next, err = s.WaitLine(ctx, from, "connected to the XMPP server")
	return next, err
}

// Check runs "stox check" with the daemon's environment.
func (s *Stox) Check(ctx context.Context) (output string, status int, err error) {
	return s.Command(ctx, "check")
}

// Doctor runs "stox doctor" with the daemon's environment, beside it or without it.
func (s *Stox) Doctor(ctx context.Context) (output string, status int, err error) {
	return s.Command(ctx, "doctor")
}

// Command runs a command of stox with the daemon's environment.
func (s *Stox) Command(ctx context.Context, args ...string) (output string, status int, err error) {
	cmd := exec.CommandContext(ctx, s.Bin, append(slices.Clone(args), "-c", s.Config)...)
	cmd.Env = s.Environ()
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return string(out), exit.ExitCode(), nil
	}
	return string(out), 0, err
}
