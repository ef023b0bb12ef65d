//go:build install && !interop

package docs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stoxgw/stox/test/stage"
)

// The two ends of the wire, as the page has them.
const (
	here  = "192.0.2.20" // the machine
	world = "192.0.2.10" // what the tests themselves are on
)

// machine is a Debian that runs: its own processes, mounts and network, and a wire to ours.
type machine struct {
	*testing.T
	ctx    context.Context
	dir    string // its root
	leader string // process id of its systemd
}

// boot starts the machine and waits until its services are up.
func boot(ctx context.Context, t *testing.T, s *stage.Stage) *machine {
	m := &machine{T: t, ctx: ctx, dir: filepath.Join(scratch, "machine")}
	cmd := exec.Command("systemd-nspawn", "--directory", m.dir, "--boot", "--register=no", "--keep-unit", "--private-network",
		"--resolv-conf=off", "--timezone=off", "--link-journal=no", "--console=read-only", "--quiet")
	cmd.Env = append(os.Environ(), "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1")
	nspawn, err := s.Start(cmd, "systemd-nspawn")
	must(t, err)
	m.until("the machine has a first process", func() (bool, string) {
		select {
		case <-nspawn.Done():
			t.Fatalf("systemd-nspawn has ended\n%s", nspawn.Tail(10))
		default:
			m.leader = leaderOf(nspawn.PID())
		}
		return m.leader != "", ""
	})
	m.until("the machine is up", func() (bool, string) {
		out, err := m.try("systemctl is-system-running --wait")
		var exit *exec.ExitError // of a machine that lacks something that has to do with hardware
		return err == nil || errors.As(err, &exit) && strings.TrimSpace(out) == "degraded", out
	})
	m.local("ip", "link", "set", "lo", "up")
	m.local("ip", "link", "add", "world", "type", "veth", "peer", "name", "gateway", "netns", m.leader)
	m.local("ip", "address", "add", world+"/24", "dev", "world")
	m.local("ip", "link", "set", "world", "up")
	m.local("nsenter", "--target", m.leader, "--net", "ip", "address", "add", here+"/24", "dev", "gateway")
	m.local("nsenter", "--target", m.leader, "--net", "ip", "link", "set", "gateway", "up")
	return m
}

// leaderOf is the process below pid that is the machine's systemd.
func leaderOf(pid int) string {
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", pid))
	if err != nil {
		return ""
	}
	for _, child := range strings.Fields(string(children)) {
		if name, err := os.ReadFile("/proc/" + child + "/comm"); err == nil && strings.TrimSpace(string(name)) == "systemd" {
			return child
		}
	}
	return ""
}

// local runs a command outside of the machine.
func (m *machine) local(args ...string) {
	m.Helper()
	must(m.T, run(exec.CommandContext(m.ctx, args[0], args[1:]...)))
}

// try runs commands in a root shell of the machine.
func (m *machine) try(script string) (output string, err error) {
	cmd := exec.CommandContext(m.ctx, "nsenter", "--target", m.leader, "--mount", "--uts", "--ipc", "--net", "--pid", "--root", "--wd",
		"env", "-i", "HOME=/root", "LANG=C.UTF-8", "TERM=dumb", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"bash", "-e", "-o", "pipefail", "-c", "cd /root\n"+script)
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// sh is try for what has to work.
func (m *machine) sh(script string) string {
	m.Helper()
	out, err := m.try(script)
	if err != nil {
		m.Fatalf("%v\n%s\n%s", err, script, out)
	}
	return out
}

// until asks until done says yes; its text is shown if it never does.
func (m *machine) until(what string, done func() (bool, string)) {
	m.Helper()
	ctx, cancel := context.WithTimeout(m.ctx, time.Minute)
	defer cancel()
	t := time.NewTicker(100 * time.Millisecond)
	defer t.Stop()
	for {
		ok, text := done()
		if ok {
			return
		}
		select {
		case <-ctx.Done():
			m.Fatalf("%s: never\n%s", what, text)
		case <-t.C:
		}
	}
}

// property is what systemd says of the unit.
func (m *machine) property(name string) string {
	m.Helper()
	return strings.TrimSpace(m.sh("systemctl show --value -p " + name + " stox"))
}

// exists reports whether there is something at a path of the machine.
func (m *machine) exists(path string) bool {
	_, err := os.Lstat(filepath.Join(m.dir, path))
	return err == nil
}
