//go:build install && !interop

// With the tag install the package's tests do what docs/getting-started.md says about the
// Debian package, in a Debian that was made for it and boots in a container. make
// install-test builds the package before.
package docs

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/stoxgw/stox/test/stage"
)

// inside is set, to the directory of the run, in the process that has namespaces of its own.
const inside = "STOX_INSTALL_TEST"

// scratch is that directory. In it are the machine's root, newer, with a package of a
// later version, and image, with what a container is made of.
var scratch = os.Getenv(inside)

func TestMain(m *testing.M) {
	if scratch != "" {
		os.Exit(m.Run())
	}
	status, err := prepare()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = 1
	}
	os.Exit(status)
}

// prepare makes the machine, which takes the network, and runs the tests in a second
// process, where there is none: its own network, processes and mounts end with it.
func prepare() (status int, err error) {
	if os.Geteuid() != 0 {
		return 1, fmt.Errorf("these tests make a machine of their own, which only root may")
	}
	err = stage.Install(stage.Missing("debootstrap", "systemd-container", "iproute2", "kamailio", "baresip-core", "python3-slixmpp", "buildah", "ca-certificates"), os.Stdout)
	if err != nil {
		return 1, err
	}
	dir, err := os.MkdirTemp("", "stox-install-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	machine := filepath.Join(dir, "machine")
	for _, step := range []func(string) error{bootstrap, server, fetch, give} {
		if err := step(machine); err != nil {
			return 1, err
		}
	}
	newer := exec.Command("go", "run", "./contrib/release", "-arch", runtime.GOARCH, "-version", laterVersion, "-out", filepath.Join(dir, "newer"))
	newer.Dir = root
	if err := run(newer); err != nil {
		return 1, err
	}
	image := exec.Command("go", "run", "./contrib/release", "-image", runtime.GOARCH, "-out", filepath.Join(dir, "image"))
	image.Dir = root
	if err := run(image); err != nil {
		return 1, err
	}
	cmd := exec.Command("unshare", append([]string{"--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--", os.Args[0]}, os.Args[1:]...)...)
	cmd.Env = append(os.Environ(), inside+"="+dir)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	runtime.LockOSThread() // Pdeathsig is about this thread
	err = cmd.Run()
	if cmd.ProcessState != nil {
		return cmd.ProcessState.ExitCode(), nil
	}
	return 1, err
}

func run(cmd *exec.Cmd) error {
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, out)
	}
	return nil
}

// bootstrap makes a Debian as this one is, with what the page takes for granted.
func bootstrap(machine string) error {
	suite, mirror, err := stage.Mirror()
	if err != nil {
		return err
	}
	return run(exec.Command("debootstrap", "--variant=minbase", "--include=systemd-sysv,man-db", suite, machine, mirror))
}

// apt installs in a machine that does not run.
func apt(machine string, args ...string) error {
	policy := filepath.Join(machine, "usr/sbin/policy-rc.d") // start nothing
	if err := os.WriteFile(policy, []byte("#!/bin/sh\nexit 101\n"), 0o755); err != nil {
		return err
	}
	defer os.Remove(policy)
	cmd := exec.Command("chroot", append([]string{machine, "apt-get", "-q", "-y"}, args...)...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8")
	return run(cmd)
}

// server installs what the page takes for granted: an XMPP server whose users can log in.
// They do without TLS, for which there is no certificate here.
func server(machine string) error {
	if err := apt(machine, "update"); err != nil {
		return err
	}
	if err := apt(machine, "install", "--no-install-recommends", "prosody"); err != nil {
		return err
	}
	err := os.WriteFile(filepath.Join(machine, "etc/prosody/conf.d/example.com.cfg.lua"), []byte(`VirtualHost "example.com"
    c2s_require_encryption = false
    allow_unencrypted_plain_auth = true
`), 0o644)
	if err != nil {
		return err
	}
	return run(exec.Command("chroot", machine, "prosodyctl", "register", juliet.Local, "example.com", juliet.Password))
}

// fetch has apt download what the package asks for: later there is no network.
func fetch(machine string) error {
	// What a person says to apt's question.
	err := os.WriteFile(filepath.Join(machine, "etc/apt/apt.conf.d/yes"), []byte("APT::Get::Assume-Yes \"true\";\n"), 0o644)
	if err != nil {
		return err
	}
	return apt(machine, "install", "--download-only", "adduser", "ca-certificates")
}

// give puts the package where it was downloaded to.
func give(machine string) error {
	deb, err := debOf(root + "/dist")
	if err != nil {
		return fmt.Errorf("%w: make package", err)
	}
	b, err := os.ReadFile(deb)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(machine, "root", filepath.Base(deb)), b, 0o644)
}

// debOf is the package for this machine in dir.
func debOf(dir string) (string, error) {
	found, err := filepath.Glob(filepath.Join(dir, "stox_*_"+runtime.GOARCH+".deb"))
	if err != nil || len(found) != 1 {
		return "", fmt.Errorf("%d packages in %s (%v)", len(found), dir, err)
	}
	return found[0], nil
}

// newStage makes a stage for what is not the machine: phone, proxy, client.
func newStage(ctx context.Context, t *testing.T) *stage.Stage {
	t.Helper()
	dir := filepath.Join(scratch, "world")
	must(t, os.MkdirAll(dir, 0o755))
	s, err := stage.New(dir)
	must(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(s.Logs())
		}
		s.Close()
	})
	return s
}
