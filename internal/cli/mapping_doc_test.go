package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stoxgw/stox/internal/app"
	"github.com/stoxgw/stox/mapping"
)

const mappingDoc = "../../docs/mapping.md"

// The examples of docs/mapping.md are true for the configuration that stands there: its
// tables that say so, and what "stox map" prints.
func TestMappingDocument(t *testing.T) {
	b, file, rules := mappingDocument(t)
	if n := checkTables(t, rules, string(b)); n < 25 {
		t.Errorf("only %d examples found in the tables", n)
	}

	// What a shell would see of each command.
	var now strings.Builder
	blocks := strings.SplitAfter(string(b), "```console\n")
	now.WriteString(blocks[0])
	for _, rest := range blocks[1:] {
		block, after, ok := strings.Cut(rest, "```")
		command, _, _ := strings.Cut(block, "\n")
		addr, isMap := strings.CutPrefix(command, "$ stox map ")
		if !ok || !isMap {
			t.Fatalf("not understood: %q", command)
		}
		io, out, errOut := std("")
		Main([]string{"map", strings.Trim(addr, "'"), "-c", file}, io)
		now.WriteString(command + "\n" + out.String() + errOut.String() + "```" + after)
	}
	if len(blocks) < 3 {
		t.Errorf("only %d commands found", len(blocks)-1)
	}
	golden(t, mappingDoc, now.String())
}

// mappingDocument is that document, with the configuration in it as a file and as rules.
func mappingDocument(t *testing.T) (text []byte, file string, rules *mapping.Rules) {
	t.Helper()
	b, err := os.ReadFile(mappingDoc)
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "stox.toml")
	if err := os.WriteFile(file, []byte(excerpt(t, string(b), "```toml\n", "```")), 0o600); err != nil {
		t.Fatal(err)
	}
	io, _, _ := std("")
	cfg, err := load(file, io)
	if err != nil {
		t.Fatal(err)
	}
	if rules, err = app.BuildRules(cfg); err != nil {
		t.Fatal(err)
	}
	return b, file, rules
}

// The addresses in docs/users.md are true for the same configuration, whose domains it has.
func TestUsersDocument(t *testing.T) {
	_, _, rules := mappingDocument(t)
	b, err := os.ReadFile("../../docs/users.md")
	if err != nil {
		t.Fatal(err)
	}
	if n := checkTables(t, rules, string(b)); n < 5 {
		t.Errorf("only %d addresses found", n)
	}
}

// checkTables goes through the tables behind a "checked" mark and counts their rows.
func checkTables(t *testing.T, rules *mapping.Rules, text string) (rows int) {
	t.Helper()
	for _, part := range strings.Split(text, "<!-- checked: ")[1:] {
		way, part, _ := strings.Cut(part, " -->")
		for line := range strings.Lines(strings.TrimLeft(part, "\n")) {
			if !strings.HasPrefix(line, "|") {
				break
			}
			cells := strings.Split(line, "|")
			left, right := strings.TrimSpace(cells[1]), strings.TrimSpace(cells[2])
			if !strings.HasPrefix(left, "`") {
				continue // the head
			}
			rows++
			left, right = strings.Trim(left, "`"), strings.Trim(right, "`")
			if e := rules.Explain(left); e.Result != right {
				t.Errorf("%s is %q, %v; the document says %s", left, e.Result, e.Err, right)
			}
			switch way {
			case "both":
				if e := rules.Explain(right); e.Result != left {
					t.Errorf("%s is %q, %v; the document says %s", right, e.Result, e.Err, left)
				}
			case "to-xmpp":
			default:
				t.Fatalf("checked %q?", way)
			}
		}
	}
	return rows
}

func excerpt(t *testing.T, s, open, shut string) string {
	t.Helper()
	_, rest, ok := strings.Cut(s, open)
	inner, _, end := strings.Cut(rest, shut)
	if !ok || !end {
		t.Fatalf("no %q", open)
	}
	return inner
}
