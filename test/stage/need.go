package stage

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Package is a Debian package, with a file that shows that it is there.
type Package struct{ Name, File string }

// Packages are the Debian packages that tests and demo use.
var Packages = []Package{
	{"prosody", "/usr/bin/prosody"},
	{"python3-slixmpp", "/usr/lib/python3/dist-packages/slixmpp/__init__.py"},
	{"ejabberd", "/usr/sbin/ejabberdctl"},
	{"sip-tester", "/usr/bin/sipp"},
	{"baresip-core", "/usr/bin/baresip"},
	{"linphone-cli", "/usr/bin/linphone-daemon"},
	{"kamailio", "/usr/sbin/kamailio"},
	{"kamailio-tls-modules", "/usr/share/doc/kamailio-tls-modules"},
	{"kamailio-presence-modules", "/usr/share/doc/kamailio-presence-modules"},
	{"profanity", "/usr/bin/profanity"},
	{"tmux", "/usr/bin/tmux"},
	{"mandoc", "/usr/bin/mandoc"},
	{"groff-base", "/usr/bin/groff"},
	{"strace", "/usr/bin/strace"},
	{"prometheus", "/usr/bin/prometheus"},
	{"sqlite3", "/usr/bin/sqlite3"},
	{"chromium", "/usr/bin/chromium"},
	{"fonts-dejavu-core", "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"},
	{"nodejs", "/usr/bin/node"},
	{"npm", "/usr/bin/npm"},
	{"gcc", "/usr/bin/gcc"}, // for go test -race
	{"libc6-dev", "/usr/include/stdio.h"},
}

// Packaging are those that only the tests of stox's own packages use.
var Packaging = []Package{
	{"debootstrap", "/usr/sbin/debootstrap"},
	{"systemd-container", "/usr/bin/systemd-nspawn"},
	{"iproute2", "/usr/bin/ip"},
	{"lintian", "/usr/bin/lintian"},
	{"buildah", "/usr/bin/buildah"},
	{"ca-certificates", "/etc/ssl/certs/ca-certificates.crt"},
}

// Missing are those of the named packages (all of Packages, if none is named) that are
// not there.
func Missing(names ...string) []string {
	var missing []string
	list := Packages
	if len(names) > 0 {
		list = slices.Concat(Packages, Packaging)
	}
	for _, p := range list {
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

// Mirror is where this machine gets its Debian from, and which that is.
func Mirror() (suite, url string, err error) {
	release, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return "", "", err
	}
	if m := regexp.MustCompile(`(?m)^VERSION_CODENAME="?(\w+)"?$`).FindSubmatch(release); m != nil {
		suite = string(m[1])
	}
	lists, err := filepath.Glob("/etc/apt/sources.list.d/*")
	if err != nil {
		return "", "", err
	}
	// Of either form of such files, a line that names the suite itself or a block of them.
	line := regexp.MustCompile(`(?m)^deb (?:\[[^]]*\] )?(\S+) ` + suite + ` `)
	block := regexp.MustCompile(`(?ms)^URIs: (\S+)\nSuites: (?:\S+ )*` + suite + `[ \n]`)
	for _, file := range append([]string{"/etc/apt/sources.list"}, lists...) {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		for _, form := range []*regexp.Regexp{line, block} {
			if m := form.FindSubmatch(text); m != nil {
				return suite, string(m[1]), nil
			}
		}
	}
	return "", "", fmt.Errorf("this machine's lists of packages do not say where Debian %q comes from", suite)
}
