package contrib

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The unit makes the machine read-only but for the directories of the documented
// paths, and says what to do for others.
func TestUnitCanWriteWhereItIsToldTo(t *testing.T) {
	unit, err := os.ReadFile("stox.service")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(unit), "\n")
	for _, want := range []string{
		"ProtectSystem=strict", "#ReadWritePaths=/srv/stox",
		"StateDirectory=stox", "StateDirectoryMode=0700", // /var/lib/stox/stox.db
		"RuntimeDirectory=stox", "RuntimeDirectoryMode=0700", // /run/stox/stox.sock
	} {
		if !slices.Contains(lines, want) {
			t.Errorf("the unit lacks %s", want)
		}
	}
}

// Each line by which the unit keeps something away, and each that it has for the daemon's
// own files and secrets, is told of in docs/security.md; and nothing that is not there.
func TestUnitIsExplained(t *testing.T) {
	unit, err := os.ReadFile("stox.service")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	// How it is started, run and stopped is in the unit's own comments.
	life := []string{"Type", "ExecStart", "ExecReload", "Restart", "RestartSec", "RestartPreventExitStatus", "WatchdogSec", "TimeoutStopSec", "TimerSlackNSec", "CPUSchedulingPolicy"}
	_, section, _ := strings.Cut(string(unit), "[Service]\n")
	section, _, _ = strings.Cut(section, "[Install]\n")
	var set []string
	for line := range strings.Lines(section) {
		key, _, ok := strings.Cut(line, "=")
		if ok && key[0] != '#' && !slices.Contains(life, key) && !slices.Contains(set, key) {
			set = append(set, key)
		}
	}
	var told []string
	_, table, _ := strings.Cut(string(page), "\n## The unit\n")
	for line := range strings.Lines(table) {
		if strings.HasPrefix(line, "## ") {
			break
		}
		if keys, _, ok := strings.Cut(strings.TrimPrefix(line, "| "), " | "); ok && strings.HasPrefix(line, "| `") {
			for _, m := range regexp.MustCompile("`(\\w+)=`").FindAllStringSubmatch(keys, -1) {
				told = append(told, m[1])
			}
		}
	}
	slices.Sort(set)
	slices.Sort(told)
	if len(set) < 20 || !slices.Equal(set, told) {
		t.Errorf("the unit has\n%q\ndocs/security.md explains\n%q", set, told)
	}
}

func TestSnippet(t *testing.T) {
	for name, text := range map[string]string{"prosody": Prosody, "ejabberd": Ejabberd} {
		got, err := Snippet(text, "gw.example.org", "s3cret")
		if err != nil {
			t.Fatal(err)
		}
		if strings.Count(got, `"gw.example.org"`) != 1 || strings.Count(got, `"s3cret"`) != 1 {
			t.Errorf("%s: not each value once in\n%s", name, got)
		}
		if strings.Contains(got, exampleDomain) || strings.Contains(got, exampleSecret) {
			t.Errorf("%s: the example is still in\n%s", name, got)
		}
	}
	for _, bad := range []string{"a\"b", "a\\b", "a\nb", "a\rb"} {
		if _, err := Snippet(Prosody, bad, "x"); err == nil {
			t.Errorf("domain %q is written into Lua", bad)
		}
		if _, err := Snippet(Prosody, "x", bad); err == nil || strings.Contains(err.Error(), bad) {
			t.Errorf("secret %q: %v", bad, err)
		}
	}
}
