//go:build install && !interop

package docs

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// rights: nobody but root writes the configuration, nobody but the daemon reads what it keeps.
func (r *install) rights() {
	for path, want := range map[string]string{
		"/etc/stox":             "root:stox 750",
		"/etc/stox/stox.toml":   "root:stox 640",
		"/var/lib/stox":         "stox:stox 700",
		"/var/lib/stox/stox.db": "stox:stox 600",
		"/usr/bin/stox":         "root:root 755",
	} {
		if got := strings.TrimSpace(r.sh("stat -c '%U:%G %a' " + path)); got != want {
			r.Errorf("%s is %s, want %s", path, got, want)
		}
	}
	if got := strings.TrimSpace(r.sh("stat -c %U /proc/" + r.property("MainPID"))); got != "stox" {
		r.Errorf("the daemon runs as %q", got)
	}
	if got := r.sh("getent passwd stox"); !strings.Contains(got, ":/usr/sbin/nologin") {
		r.Errorf("the user can log in: %s", got)
	}
}

// manual: what came beside the program can be used, and what must not be open is not.
func (r *install) manual() {
	for _, c := range []struct{ command, want string }{
		{"zcat /usr/share/man/man1/stox.1.gz", "stox health"},
		{"zcat /usr/share/man/man5/stox.toml.5.gz", "xmpp.domain"},
		{"zcat /usr/share/doc/stox/THIRD-PARTY.gz", "modernc.org/sqlite"},
		{"zcat /usr/share/doc/stox/changelog.gz", "# Changelog"},
		{"source /usr/share/bash-completion/completions/stox && complete -p stox", "stox"},
		{"(umask 077; sed 's/change-me/a-long-secret-of-ours/' /usr/share/doc/stox/examples/stox.toml > s) && stox check -c s", `domain = "sip.example.com"`},
		{"systemd-analyze verify /usr/lib/systemd/system/stox.service && echo sound", "sound"},
	} {
		if got := r.sh(c.command); !strings.Contains(got, c.want) {
			r.Errorf("%s: no %q in\n%s", c.command, c.want, got)
		}
	}
	if got := r.sh("dpkg -L stox | xargs -d '\\n' -I{} find {} -maxdepth 0 -perm /022"); got != "" {
		r.Errorf("others may write to\n%s", got)
	}
}

// exposure is the most that systemd-analyze security may say of the unit, of 10. What is
// left is the network and its own files; docs/security.md has each line.
const exposure = 1.5

// hardening: the service manager says how much of the machine the unit can reach, and the
// unit itself that it keeps its word.
func (r *install) hardening() {
	out := r.sh("systemd-analyze security --no-pager stox.service")
	m := regexp.MustCompile(`Overall exposure level for stox.service: ([0-9.]+)`).FindStringSubmatch(out)
	if m == nil {
		r.Fatalf("no level in\n%s", out)
	}
	r.Logf("exposure level %s", m[1])
	if level, err := strconv.ParseFloat(m[1], 64); err != nil || level > exposure {
		r.Errorf("exposure level %s\n%s", m[1], out)
	}
	// As the daemon sees it: in its mounts, with its capabilities.
	status := r.sh("cat /proc/" + r.property("MainPID") + "/status")
	for _, want := range []string{"CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"} {
		if !strings.Contains(status, want+"\n") {
			r.Errorf("no %q in\n%s", want, status)
		}
	}
	for _, path := range []string{"/etc/stox", "/usr/bin", "/root", "/home", "/boot"} {
		out, err := r.try("nsenter --target " + r.property("MainPID") + " --mount runuser -u stox -- touch " + path + "/x")
		if err == nil {
			r.Errorf("it can write to %s\n%s", path, out)
		}
	}
	r.sh("nsenter --target " + r.property("MainPID") + " --mount runuser -u stox -- touch /var/lib/stox/x && rm /var/lib/stox/x")
}

// credential: the secret can be root's alone, as docs/security.md says.
func (r *install) credential() {
	done := false
	for _, b := range blocks(r.T, root+"/docs/security.md", "credential", []string{"credential"}) {
		if b.is("sh", "credential") {
			r.sh(b.text)
			done = true
		}
	}
	if !done {
		r.Fatal("docs/security.md has no commands for it")
	}
	if out, err := r.try("grep -r '^secret = ' /etc/stox"); err == nil {
		r.Errorf("the configuration still has it\n%s", out)
	}
	if out, err := r.try("runuser -u stox -- cat /etc/credstore/stox.xmpp-secret"); err == nil {
		r.Errorf("the user can read it\n%s", out)
	}
	r.still("with a credential")
}

// watchdog: a daemon that stands still is started again, and goes on.
func (r *install) watchdog() {
	// Half a minute is what the unit says; the test is not that patient.
	r.sh("mkdir -p /run/systemd/system/stox.service.d && printf '[Service]\\nWatchdogSec=2\\nTimeoutAbortSec=1\\n' > /run/systemd/system/stox.service.d/soon.conf && systemctl daemon-reload && systemctl restart stox")
	before := r.property("MainPID")
	r.sh("kill -STOP " + before)
	r.until("another process", func() (bool, string) {
		now := r.property("MainPID")
		return now != before && now != "0" && r.property("ActiveState") == "active", now
	})
	r.sh("rm -r /run/systemd/system/stox.service.d && systemctl daemon-reload && systemctl restart stox")
	if log := r.sh("journalctl --no-pager -o cat -u stox"); !strings.Contains(log, "Watchdog timeout") {
		r.Errorf("nothing of it in the log\n%s", log)
	}
	r.still("after the watchdog")
}

// again: the same package a second time changes nothing, but the daemon is a new one.
func (r *install) again() {
	before, config := r.property("MainPID"), r.sh("cat /etc/stox/stox.toml")
	r.sh("apt-get install --reinstall ./stox_*.deb")
	if now := r.property("MainPID"); now == before || now == "0" {
		r.Errorf("process %s, then %s", before, now)
	}
	if r.sh("cat /etc/stox/stox.toml") != config {
		r.Error("the configuration is another one")
	}
	// The scripts of a package may be run at any time.
	r.sh("/var/lib/dpkg/info/stox.postinst configure 1.0-1 && /var/lib/dpkg/info/stox.postinst abort-remove && /var/lib/dpkg/info/stox.prerm upgrade 2.0-1")
	r.rights()
	r.still("reinstalled")
}

// upgrade: a later version takes the place of the one that runs, and asks nothing.
func (r *install) upgrade() {
	deb, err := debOf(filepath.Join(scratch, "newer"))
	must(r.T, err)
	must(r.T, run(exec.Command("cp", deb, filepath.Join(r.dir, "root/newer.deb"))))
	r.sh("chown stox: /etc/stox/stox.toml && chmod 600 /etc/stox/stox.toml") // an administrator's own idea
	before, config := r.property("MainPID"), r.sh("cat /etc/stox/stox.toml")
	r.sh("apt install ./newer.deb")
	now := r.property("MainPID")
	if now == before || now == "0" {
		r.Errorf("process %s, then %s", before, now)
	}
	if got := r.sh("/proc/" + now + "/exe version"); !strings.Contains(got, laterVersion) {
		r.Errorf("what runs is %s", got)
	}
	if r.sh("cat /etc/stox/stox.toml") != config || strings.TrimSpace(r.sh("stat -c %U:%a /etc/stox/stox.toml")) != "stox:600" {
		r.Error("the configuration is another one, or another's")
	}
	if got := r.property("UnitFileState"); got != "enabled" {
		r.Errorf("the unit is %s", got)
	}
	r.still("upgraded")
	// A daemon that the administrator has stopped stays so.
	r.sh("systemctl stop stox && apt-get install --reinstall ./newer.deb")
	if got := r.property("ActiveState"); got != "inactive" {
		r.Errorf("it was stopped, and is %s", got)
	}
	r.sh("systemctl start stox")
}

// remove: the daemon ends, what it needs to go on later stays.
func (r *install) remove() {
	r.sh("apt-get remove stox")
	if got, err := r.try("ls -l /proc/[0-9]*/exe | grep /usr/bin/stox"); err == nil {
		r.Errorf("it still runs: %s", got)
	}
	for path, want := range map[string]bool{"usr/bin/stox": false, "usr/lib/systemd/system/stox.service": false, "etc/stox/stox.toml": true, "var/lib/stox/stox.db": true, "run/stox": false} {
		if r.exists(path) != want {
			r.Errorf("%s is there: %t", path, !want)
		}
	}
	r.sh("apt-get install ./newer.deb && systemctl start stox")
	r.still("removed and installed")
}

// purge: what stox has kept is gone; what an administrator has put beside it is not.
func (r *install) purge() {
	must(r.T, os.WriteFile(filepath.Join(r.dir, "etc/stox/key.pem"), nil, 0o600))
	r.sh("apt-get purge stox")
	for path, want := range map[string]bool{"etc/stox/stox.toml": false, "etc/stox/key.pem": true, "var/lib/stox": false, "etc/systemd/system/multi-user.target.wants/stox.service": false, "var/lib/systemd/deb-systemd-helper-enabled/stox.service.dsh-also": false} {
		if r.exists(path) != want {
			r.Errorf("%s is there: %t", path, !want)
		}
	}
	r.sh("rm -r /etc/stox && apt-get install ./newer.deb && cp /var/lib/dpkg/info/stox.postrm postrm && apt-get purge stox && ./postrm purge")
	if r.exists("etc/stox") {
		r.Error("/etc/stox is there")
	}
	if got := strings.TrimSpace(r.sh("find /etc /var /usr /run -name '*stox*' ! -path '/var/log/*' ! -path '/var/cache/*' ! -path '/etc/prosody/*' ! -path '/etc/systemd/system/stox.service.d*' ! -path '/etc/credstore*'")); got != "" {
		r.Errorf("this is left:\n%s", got)
	}
}
