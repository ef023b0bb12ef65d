//go:build interop

package docs

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stoxgw/stox/internal/queuetest"
)

// The commands of docs/upgrading.md, in their order, make a copy that a version of before the
// upgrade can go on with: the newer file is refused with the words of the document.
func TestUpgrading(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "stox.db")
	must(t, queuetest.Fill(path, []queuetest.Waiting{{ID: 1, Stanza: "waits", State: "queued"}}, queuetest.Event{ID: "waits", At: time.Now(), Kind: "retry"}))
	conf := filepath.Join(dir, "stox.toml")
	must(t, os.WriteFile(conf, []byte("xmpp={domain='sip.example.com',secret='hunter2-hunter2',server='127.0.0.1:1'}\nsip={domain='example.net',listen=['udp://127.0.0.1:0']}\nstore={path='stox.db'}\n"), 0o600))
	stox := func(args ...string) (string, error) {
		out, err := exec.CommandContext(t.Context(), stoxBinary, append(args, "-c", conf)...).CombinedOutput()
		return string(out), err
	}
	const file = root + "/docs/upgrading.md"
	ran, refused := 0, false
	for _, b := range blocks(t, file, "", nil) {
		switch {
		case b.is("text"):
			out, err := stox("run")
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != 2 {
				t.Fatalf("a newer file: %v\n%s", err, out)
			}
			got := strings.ReplaceAll(out, dir, "/var/lib/stox")
			want := regexp.QuoteMeta(strings.TrimSpace(b.text))
			want = strings.Replace(want, "is 3, this version knows up to 2", `is 99, this version knows up to \d+`, 1)
			if !regexp.MustCompile(want).MatchString(got) {
				t.Errorf("the document says\n%s\nand stox\n%s", b.text, got)
			}
			refused = true
		case b.is("sh"):
			// What would be done to the machine is left out.
			text := strings.NewReplacer("/var/lib/stox", dir, "install -o stox -g stox", "install").Replace(b.text)
			out, err := exec.CommandContext(t.Context(), "sh", "-euc", "systemctl() { :; }\n"+text).CombinedOutput()
			if err != nil {
				t.Fatalf("line %d: %v\n%s", b.line, err, out)
			}
			ran++
			if strings.TrimSpace(b.text) == "systemctl start stox" && !refused { // the new version runs
				db := exec.CommandContext(t.Context(), "sqlite3", path, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, 1); DELETE FROM journal;")
				if out, err := db.CombinedOutput(); err != nil {
					t.Fatalf("%v\n%s", err, out)
				}
			}
		default:
			t.Errorf("line %d: nobody knows what to do with %q", b.line, b.lang)
		}
	}
	if ran < 4 || !refused {
		t.Errorf("%d blocks of commands: has the document changed its form?", ran)
	}
	list, err := stox("queue", "list", "--json")
	must(t, err)
	trail, err := stox("trail", "waits", "--json")
	must(t, err)
	if !strings.Contains(list, `"stanza":"waits"`) || !strings.Contains(trail, `"kind":"retry"`) {
		t.Errorf("what was put back has\n%s\n%s", list, trail)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if info, err := os.Stat(filepath.Join(dir, "before-upgrade.db")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the copy: %v, %v", info.Mode(), err)
	}
}
