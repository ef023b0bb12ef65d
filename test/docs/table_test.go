//go:build interop

package docs

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const troubleshooting = root + "/docs/troubleshooting.md"

// Every fault is planted; what is seen of it names its remedy, and the tables of
// docs/troubleshooting.md show just that (SEC-14: never a secret).
func TestPlantedFaults(t *testing.T) {
	t.Parallel()
	var ids []string
	count := 0
	for _, s := range symptoms {
		for _, f := range s.faults {
			ids = append(ids, f.id)
			count++
		}
	}
	if count < 20 {
		t.Errorf("only %d faults", count)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	w := startServers(t, ctx, ids)

	results := map[string]seen{}
	var mu sync.Mutex // guards results
	t.Run("plant", func(t *testing.T) {
		var all sync.WaitGroup
		room := make(chan struct{}, 6) // not t.Parallel: those that only wait would take the places of others
		for _, s := range symptoms {
			for _, f := range s.faults {
				all.Go(func() {
					if !f.slow {
						room <- struct{}{}
						defer func() { <-room }()
					}
					t.Run(f.id, func(t *testing.T) {
						got := f.plant(newPlant(t, w, w.prosody, f))
						f.check(t, got)
						mu.Lock()
						results[f.id] = got
						mu.Unlock()
					})
					if f.also {
						t.Run(f.id+" with ejabberd", func(t *testing.T) {
							f.check(t, f.plant(newPlant(t, w, w.ejabberd, f)))
						})
					}
				})
			}
		}
		all.Wait()
	})
	if t.Failed() {
		return
	}
	old, err := os.ReadFile(troubleshooting)
	must(t, err)
	text := string(old)
	for _, s := range symptoms {
		text = replaceTable(t, text, s.marker, s.faults, results)
	}
	switch {
	case text == string(old):
	case *update:
		must(t, os.WriteFile(troubleshooting, []byte(text), 0o644))
	default:
		t.Errorf("docs/troubleshooting.md is not what is seen any more; run: go test -tags interop ./test/docs -run TestPlantedFaults -update\n%s", firstDifference(string(old), text))
	}
}

// A key, and what else an admin can put a hand to: a command, a variable, a
// setting of Prosody, a line of the file, a setting of the phone.
var (
	keyName = regexp.MustCompile(`\b(?:xmpp|sip|domain|access|limits|queue|store|admin|log)(?:\.[a-z_]+)+|\bshutdown_timeout\b`)
	command = regexp.MustCompile(`\bstox (?:init|check|map|run)\b|\bss -|\bip address\b|\bSTOX_[A-Z_]+\b|\bcomponent_conflict_resolve\b|\bstox\.toml:\d+:|\btext/plain\b`)
)

// check sees to it that the line names the remedy, and that the remedy is there.
func (f fault) check(t *testing.T, got seen) {
	t.Helper()
	for _, n := range f.names {
		if !strings.Contains(got.line, n) {
			t.Errorf("no %q in %s", n, got.line)
		}
	}
	reference, err := os.ReadFile(root + "/docs/config.md")
	must(t, err)
	documented := func(k string) bool {
		return strings.Contains(string(reference), "\n### "+k+"\n") || strings.Contains(string(reference), "\n## [["+k+"]]\n") || strings.Contains(string(reference), "- `"+k+"`: ")
	}
	if !f.harmless && !slices.ContainsFunc(keyName.FindAllString(got.line, -1), documented) && !command.MatchString(got.line) {
		t.Errorf("neither a key nor a command in %s", got.line)
	}
	for _, text := range append(slices.Clone(f.names), f.remedy) {
		for _, k := range keyName.FindAllString(strings.ReplaceAll(text, "sip.example.com", ""), -1) {
			if !documented(k) {
				t.Errorf("docs/config.md knows no %s, which is in %q", k, text)
			}
		}
	}
	if f.remedy == "" || f.what == "" {
		t.Error("no words about it")
	}
}

// replaceTable puts a table between its markers.
func replaceTable(t *testing.T, text, marker string, faults []fault, results map[string]seen) string {
	t.Helper()
	begin, end := "<!-- faults: "+marker+" -->\n", "<!-- end -->\n"
	head, rest, ok := strings.Cut(text, begin)
	table, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("docs/troubleshooting.md has no %s", strings.TrimSpace(begin))
	}
	kept := map[string]string{} // rows by their first cell, for what could not be planted here
	for line := range strings.Lines(table) {
		if cells := strings.Split(line, " | "); len(cells) == 3 {
			kept[cells[0]] = line
		}
	}
	var b strings.Builder
	b.WriteString("\n| what is wrong | what you see | remedy |\n|---|---|---|\n")
	for _, f := range faults {
		got, ok := results[f.id]
		if !ok {
			b.WriteString(kept["| "+f.what])
			continue
		}
		sees := code(got.line)
		if got.answer != "" {
			sees = "the sender: " + code(got.answer) + "<br>the log: " + sees
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", f.what, sees, f.remedy)
	}
	return head + begin + b.String() + "\n" + end + tail
}

// code is a line as code in a cell of a table.
func code(s string) string {
	s = strings.ReplaceAll(s, "|", `\|`)
	if strings.Contains(s, "`") {
		return "`` " + s + " ``"
	}
	return "`" + s + "`"
}

func firstDifference(old, new string) string {
	a, b := strings.Split(old, "\n"), strings.Split(new, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return fmt.Sprintf("line %d is\n%s\nand would be\n%s", i+1, a[i], b[i])
		}
	}
	return fmt.Sprintf("%d lines instead of %d", len(b), len(a))
}
