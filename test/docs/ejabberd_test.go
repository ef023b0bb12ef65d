//go:build interop

package docs

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stoxgw/stox/test/stage"
)

// ejabberd is a private ejabberd. It runs as the user who runs the test, without
// the port mapper of Erlang, so that several can run beside each other.
type ejabberd struct {
	*stage.XMPPServer
	s      *stage.Stage
	script string // ejabberdctl
	dir    string // with ejabberd.yml
}

// newEjabberd writes the configuration of an ejabberd for the users of a domain;
// more is put at its end.
func newEjabberd(t *testing.T, s *stage.Stage, dir, domain, more string) *ejabberd {
	t.Helper()
	e := &ejabberd{s: s, dir: dir, script: filepath.Join(dir, "ejabberdctl"),
		XMPPServer: &stage.XMPPServer{Name: "ejabberd", Domain: domain, C2S: freePort(t)}}
	must(t, os.MkdirAll(dir, 0o755))
	// The script of the package insists on a user of its own.
	script, err := os.ReadFile("/usr/sbin/ejabberdctl")
	must(t, err)
	script = bytes.Replace(script, []byte("\nINSTALLUSER=ejabberd\n"), []byte("\nINSTALLUSER=\n"), 1)
	must(t, os.WriteFile(e.script, script, 0o755))
	e.write(t, "ejabberdctl.cfg", fmt.Sprintf("ERL_DIST_PORT=%d\nINET_DIST_INTERFACE=127.0.0.1\nERLANG_NODE=stox%d@localhost\nSPOOL_DIR=%s/db\nLOGS_DIR=%s/log\n",
		freePort(t), e.C2S, dir, dir))
	e.write(t, "inetrc", "")
	e.write(t, "ejabberd.yml", fmt.Sprintf(`loglevel: warning
hosts:
  - %s
listen:
  -
    port: %d
    ip: "127.0.0.1"
    module: ejabberd_c2s
modules:
  mod_roster: {}
  mod_ping: {}
`+more, domain, e.C2S))
	return e
}

func (e *ejabberd) write(t *testing.T, name, text string) {
	t.Helper()
	must(t, os.WriteFile(filepath.Join(e.dir, name), []byte(text), 0o644))
}

func (e *ejabberd) boot(ctx context.Context, t *testing.T, users ...stage.Account) {
	t.Helper()
	var err error
	e.Proc, err = e.s.Start(e.command("foreground"), "ejabberd")
	must(t, err)
	must(t, stage.WaitTCP(ctx, fmt.Sprintf("127.0.0.1:%d", e.C2S)))
	for _, u := range users {
		out, err := e.command("register", u.Local, e.Domain, u.Password).CombinedOutput()
		if err != nil {
			t.Fatalf("ejabberdctl register: %v\n%s", err, out)
		}
	}
}

// command is ejabberdctl of this ejabberd.
func (e *ejabberd) command(args ...string) *exec.Cmd {
	return exec.Command("/bin/bash", append([]string{e.script, "--config-dir", e.dir}, args...)...)
}
