package contrib

import (
	"os"
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
