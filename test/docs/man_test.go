//go:build interop

package docs

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Those who read manual pages have nothing to complain about in ours.
func TestManualPagesLint(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob(root + "/docs/man/*.[1-8]")
	must(t, err)
	if len(pages) < 2 {
		t.Fatalf("pages: %q", pages)
	}
	for _, page := range pages {
		for _, lint := range [][]string{
			{"mandoc", "-T", "lint", "-W", "warning"},
			{"groff", "-ww", "-man", "-Tutf8", "-z"},
			{"groff", "-ww", "-man", "-Tps", "-z"},
		} {
			out, err := exec.Command(lint[0], append(slices.Clone(lint[1:]), page)...).CombinedOutput()
			if _, ended := err.(*exec.ExitError); err != nil && !ended {
				t.Fatal(err)
			}
			for line := range strings.Lines(string(out)) {
				// A page that is made from the source has no date of its own.
				if !strings.Contains(line, "missing date") {
					t.Errorf("%s: %s", lint[0], line)
				}
			}
		}
	}
}

var (
	overstrike = regexp.MustCompile(`.\x08`)
	subcommand = regexp.MustCompile(`(?m)^  ([a-z]+) +\S`)
	option     = regexp.MustCompile(`(?m)^ +(?:-\w, )?(--[a-z-]+)`)
)

// stox(1), as it is shown, has every command of the program and every option that its help
// has, in the section of the command.
func TestManualPageIsWhole(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("mandoc", "-T", "ascii", "-O", "width=200", root+"/docs/man/stox.1").Output()
	must(t, err)
	sections := map[string]string{} // by the words of the command
	name := ""
	for line := range strings.Lines(overstrike.ReplaceAllString(string(out), "")) {
		if strings.HasPrefix(line, "   stox ") && !strings.HasPrefix(line, "    ") {
			words := strings.Fields(line)
			name = strings.Join(slices.DeleteFunc(words, func(w string) bool { return !regexp.MustCompile(`^[a-z]+$`).MatchString(w) }), " ")
		} else if line != "\n" && !strings.HasPrefix(line, " ") {
			name = ""
		}
		sections[name] += line
	}
	commands, options := 0, 0
	var look func(words ...string)
	look = func(words ...string) {
		cmd := exec.Command(stoxBinary, append(slices.Clone(words), "--help")...)
		cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
		help, err := cmd.Output()
		must(t, err)
		text := string(help)
		if _, list, ok := strings.Cut(text, "Available Commands:\n"); ok {
			list, _, _ = strings.Cut(list, "\n\n")
			for _, m := range subcommand.FindAllStringSubmatch(list, -1) {
				if m[1] != "help" && m[1] != "completion" {
					look(append(slices.Clone(words), m[1])...)
				}
			}
			return
		}
		commands++
		section := sections["stox "+strings.Join(words, " ")]
		if section == "" {
			t.Errorf("stox(1) has no section on stox %s", strings.Join(words, " "))
			return
		}
		_, flags, _ := strings.Cut(text, "Flags:\n")
		for _, m := range option.FindAllStringSubmatch(flags, -1) {
			if m[1] == "--help" {
				continue
			}
			options++
			if !strings.Contains(section, m[1]) {
				t.Errorf("stox(1) has no %s of stox %s", m[1], strings.Join(words, " "))
			}
		}
	}
	look()
	if commands < 10 || options < 10 {
		t.Errorf("only %d commands and %d options found", commands, options)
	}
}
