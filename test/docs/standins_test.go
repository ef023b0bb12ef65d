//go:build interop

package docs

import (
	"bufio"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/stoxgw/stox/test/stage"
)

// standIn takes the place of a command that would change this machine, or needs
// more of it than there is. Everything else that the document calls is real.
type standIn func(r *replay, args []string) (output string, err error)

var standIns = map[string]standIn{
	"apt-get":     accept, // make needs has installed what the tests need
	"useradd":     accept, // all runs as the user who runs the test
	"chown":       onFiles,
	"chgrp":       onFiles,
	"git":         clone,       // the tree under test
	"systemctl":   systemctl,   // there is no service manager
	"journalctl":  journalctl,  //
	"ejabberdctl": ejabberdctl, // of the private ejabberd
}

func accept(*replay, []string) (string, error) { return "", nil }

func onFiles(_ *replay, args []string) (string, error) {
	args = slices.DeleteFunc(args, func(a string) bool { return strings.HasPrefix(a, "-") })
	for _, f := range args[1:] {
		if _, err := os.Stat(f); err != nil {
			return "", err
		}
	}
	return "", nil
}

// clone copies the tree into the shell's directory.
func clone(r *replay, args []string) (string, error) {
	if len(args) != 2 || args[0] != "clone" {
		return "", fmt.Errorf("git: only clone has a stand-in")
	}
	to := filepath.Join(r.pwd, path.Base(args[1]))
	return "", filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		if d.IsDir() {
			if rel == ".git" || rel == "bin" || d.Name() == "testdata" {
				return filepath.SkipDir
			}
			return os.MkdirAll(filepath.Join(to, rel), 0o755)
		}
		b, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), b, 0o644)
	})
}

// systemctl knows the XMPP server and stox, which it starts as its unit file says.
func systemctl(r *replay, args []string) (string, error) {
	switch strings.Join(args, " ") {
	case "daemon-reload":
		return "", nil
	case "restart prosody":
		if r.restarts++; r.restarts > 1 {
			if _, err := r.xmpp.Stop(r.ctx); err != nil {
				return "", err
			}
		}
		return "", r.xmpp.Boot(r.ctx)
	case "enable --now stox", "restart stox":
		if r.stox != nil {
			if status, err := r.stox.Stop(r.ctx); err != nil || status != 0 {
				return "", fmt.Errorf("stox stopped with %d, %v", status, err)
			}
		}
		unit, err := os.ReadFile(r.here("/etc/systemd/system/stox.service"))
		if err != nil {
			return "", err
		}
		start := regexp.MustCompile(`(?m)^ExecStart=(.+)$`).FindSubmatch(unit)
		if start == nil {
			return "", fmt.Errorf("the unit has no ExecStart")
		}
		words := strings.Fields(r.here(string(start[1])))
		cmd := exec.Command(words[0], words[1:]...)
		cmd.Env = r.env
		if r.stox, err = r.s.Start(cmd, "stox"); err != nil {
			return "", err
		}
		_, _, err = r.stox.WaitLine(r.ctx, 0, "msg=ready") // Type=notify
		return "", err
	}
	return "", fmt.Errorf("systemctl: no stand-in for %q", args)
}

// journalctl shows the daemon's log, as somebody reads it who is not in a hurry.
func journalctl(r *replay, args []string) (string, error) {
	if !slices.Contains(args, "stox") || r.stox == nil {
		return "", fmt.Errorf("journalctl: no stand-in for %q", args)
	}
	_, _, err := r.stox.WaitLine(r.ctx, 0, "side=xmpp")
	return strings.Join(r.stox.Lines(), "\n") + "\n", err
}

func ejabberdctl(r *replay, args []string) (string, error) {
	if r.ejabberd == nil {
		return "", fmt.Errorf("ejabberdctl: there is no ejabberd")
	}
	// The port in what stox init printed is taken on a machine with other tests.
	snippet := r.here("/etc/ejabberd/stox.yml")
	b, err := os.ReadFile(snippet)
	if err != nil {
		return "", err
	}
	b = regexp.MustCompile(`(?m)port: 5347$`).ReplaceAll(b, fmt.Appendf(nil, "port: %d", r.xmpp.Component))
	if err := os.WriteFile(snippet, b, 0o644); err != nil {
		return "", err
	}
	out, err := r.ejabberd.command(args...).CombinedOutput()
	if err != nil {
		return string(out), err
	}
	return string(out), stage.WaitTCP(r.ctx, fmt.Sprintf("127.0.0.1:%d", r.xmpp.Component))
}

// standIns makes the directory with the commands. Each hands its arguments to the
// test and ends as the test says.
func (r *replay) standIns() (dir string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(r.T, err)
	var wg sync.WaitGroup
	wg.Go(func() {
		for { // one at a time: they are called from one shell
			c, err := l.Accept()
			if err != nil {
				return
			}
			r.standIn(c)
		}
	})
	r.Cleanup(func() { l.Close(); wg.Wait() })
	dir = filepath.Join(r.s.Dir, "stand-ins")
	must(r.T, os.MkdirAll(dir, 0o755))
	for name := range standIns {
		must(r.T, os.WriteFile(filepath.Join(dir, name), fmt.Appendf(nil, `#!/bin/bash
exec 3<>/dev/tcp/127.0.0.1/%d
printf '%%s\n' "$PWD" %s "$@" "" >&3
read -r status <&3
if [ "$status" = 0 ]; then cat <&3; else cat <&3 >&2; fi
exit "$status"
`, l.Addr().(*net.TCPAddr).Port, name), 0o755))
	}
	return dir
}

func (r *replay) standIn(c net.Conn) {
	defer c.Close()
	var words []string
	for s := bufio.NewScanner(c); s.Scan() && s.Text() != ""; {
		words = append(words, s.Text())
	}
	if len(words) < 2 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pwd = words[0]
	out, err := standIns[words[1]](r, words[2:])
	status := 0
	if err != nil {
		status, out = 1, out+err.Error()+"\n"
	}
	fmt.Fprintf(c, "%d\n%s", status, out)
}
