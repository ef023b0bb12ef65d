package stage

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// Packages are the Debian packages that tests and demo use, with a file that
// shows that each is there.
var Packages = []struct{ Name, File string }{
	{"prosody", "/usr/bin/prosody"},
	{"python3-slixmpp", "/usr/lib/python3/dist-packages/slixmpp/__init__.py"},
	{"ejabberd", "/usr/sbin/ejabberdctl"},
	{"sip-tester", "/usr/bin/sipp"},
	{"baresip-core", "/usr/bin/baresip"},
	{"linphone-cli", "/usr/bin/linphone-daemon"},
	{"kamailio", "/usr/sbin/kamailio"},
	{"kamailio-tls-modules", "/usr/share/doc/kamailio-tls-modules"},
	{"profanity", "/usr/bin/profanity"},
	{"tmux", "/usr/bin/tmux"},
	{"strace", "/usr/bin/strace"},
	{"prometheus", "/usr/bin/prometheus"},
	{"sqlite3", "/usr/bin/sqlite3"},
	{"gcc", "/usr/bin/gcc"}, // for go test -race
	{"libc6-dev", "/usr/include/stdio.h"},
}

// Missing are those of the named packages (all, if none is named) that are not there.
func Missing(names ...string) []string {
	var missing []string
	for _, p := range Packages {
		wanted := len(names) == 0
		for _, n := range names {
			wanted = wanted || n == p.Name
		}
		if _, err := os.Stat(p.File); wanted && err != nil {
			missing = append(missing, p.Name)
		}
	}
	return missing
}

// Install installs Debian packages, as root or by sudo, after saying which. It
// keeps the services in them from being started: stox's tests run their own.
func Install(names []string, say io.Writer) error {
	if len(names) == 0 {
		return nil
	}
	command := "apt-get install --no-install-recommends " + strings.Join(names, " ")
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fmt.Errorf("these programs are missing: %s; install them with your system's package manager (Debian's names are given)", strings.Join(names, ", "))
	}
	var prefix []string
	if os.Geteuid() != 0 {
		if _, err := exec.LookPath("sudo"); err != nil {
			return fmt.Errorf("these packages are missing; as root: %s", command)
		}
		prefix = []string{"sudo"}
	}
	fmt.Fprintf(say, "Installing Debian packages: %s\n", strings.Join(names, " "))
	// invoke-rc.d starts nothing while this file says 101.
	const policy = "/usr/sbin/policy-rc.d"
	script := `set -e
made=
if [ ! -e ` + policy + ` ]; then printf '#!/bin/sh\nexit 101\n' >` + policy + `; chmod 755 ` + policy + `; made=1; fi
trap '[ -z "$made" ] || rm -f ` + policy + `' EXIT
export DEBIAN_FRONTEND=noninteractive
apt-get install -qq -y --no-install-recommends "$@" || { apt-get update -qq; apt-get install -qq -y --no-install-recommends "$@"; }`
	args := append(append(prefix, "sh", "-c", script, "sh"), names...)
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	if err != nil {
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		return fmt.Errorf("%s: %w\n%s", command, err, strings.Join(lines[max(0, len(lines)-10):], "\n"))
	}
	if left := Missing(names...); len(left) > 0 {
		return fmt.Errorf("installed, but not found: %s", strings.Join(left, ", "))
	}
	return nil
}

// packageVersion is the upstream version of an installed Debian package.
func packageVersion(name string) string {
	out, err := exec.Command("dpkg-query", "-W", "-f", "${Version}", name).Output()
	if err != nil {
		return "(version unknown)"
	}
	version, _, _ := strings.Cut(string(out), "-")
	if _, v, ok := strings.Cut(version, ":"); ok { // an epoch
		version = v
	}
	return version
}
