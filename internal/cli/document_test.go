package cli

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// documents are the texts for admins, by their names.
func documents(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, pattern := range []string{"*.md", "docs/*.md"} {
		names, err := filepath.Glob(filepath.Join("../..", pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			all[strings.TrimPrefix(filepath.ToSlash(name), "../../")] = string(b)
		}
	}
	if len(all) < 10 {
		t.Fatalf("only %d documents found", len(all))
	}
	return all
}

// fenced is a block of code in a document.
type fenced struct {
	line int
	info []string // what stands behind the fence
	text string
}

// fencedIn are the blocks of a document; the rest is the text without them, in which each
// line has its number still.
func fencedIn(text string) (blocks []fenced, rest string) {
	var b strings.Builder
	inside := false
	for i, line := range strings.Split(text, "\n") {
		info, fence := strings.CutPrefix(line, "```")
		switch {
		case fence && !inside:
			blocks = append(blocks, fenced{line: i + 1, info: strings.Fields(info)})
			inside = true
		case fence:
			inside = false
		case inside:
			blocks[len(blocks)-1].text += line + "\n"
		default:
			b.WriteString(line)
		}
		b.WriteString("\n")
	}
	return blocks, b.String()
}

// minimum is a configuration that others are added to, as stox init writes it, and the same
// in the environment.
const minimum = `[xmpp]
domain = "sip.example.com"
secret = "the-secret"

[sip]
domain = "pbx.example.net"

`

var minimumEnviron = []string{"STOX_XMPP_DOMAIN=sip.example.com", "STOX_XMPP_SECRET=the-secret", "STOX_SIP_DOMAIN=pbx.example.net"}

// Each configuration in the documents has no faults: as it stands; if the block says that it
// goes to the end of a file, behind the minimum; and if it is marked as a fragment, which may
// have any section, with the minimum in the environment.
func TestConfigurationsInDocuments(t *testing.T) {
	tables := regexp.MustCompile(`(?m)^[ \t]+\[\[?(?:xmpp|sip|domain|alias|access|limits|queue|store|admin|log)\b[a-z.]*\]\]?$`)
	whole, parts := 0, 0
	for name, text := range documents(t) {
		blocks, rest := fencedIn(text)
		if m := tables.FindString(rest); m != "" {
			t.Errorf("%s: a configuration (%s) that is not in a toml block", name, strings.TrimSpace(m))
		}
		for _, b := range blocks {
			if len(b.info) == 0 || b.info[0] != "toml" {
				continue
			}
			config, environ := b.text, []string{"STOX_STORE_PATH="} // the directory of the store is that of the machine
			switch {
			case len(b.info) == 1:
				whole++
			case strings.HasPrefix(b.info[1], "append="):
				config = minimum + b.text
				parts++
			case b.info[1] == "fragment":
				environ = append(environ, minimumEnviron...)
				parts++
			default:
				t.Errorf("%s:%d: what is %q?", name, b.line, b.info[1])
			}
			dir := t.TempDir()
			file := filepath.Join(dir, "stox.toml")
			key := base64.StdEncoding.EncodeToString(make([]byte, 32)) // as the page on accounts has one made
			if err := errors.Join(os.WriteFile(file, []byte(config), 0o600), os.WriteFile(filepath.Join(dir, "accounts.key"), []byte(key), 0o600)); err != nil {
				t.Fatal(err)
			}
			io, out, errOut := std("")
			io.Environ = environ
			if status := Main([]string{"check", "-c", file}, io); status != exitOK || !strings.Contains(out.String(), "has no faults") {
				t.Errorf("%s:%d: %s%s", name, b.line, errOut, b.text)
			}
		}
	}
	if whole < 4 || parts < 3 {
		t.Errorf("only %d configurations and %d parts of some found", whole, parts)
	}
}

var (
	promptOf   = regexp.MustCompile(`(?m)^\$ (.+)$`)
	ourCommand = regexp.MustCompile(`^(?:[A-Z_]+=\S+ )*(?:sudo -u stox )?stox(?: |$)`)
	indented   = regexp.MustCompile(`^ {4,}(?:\$ )?(stox(?: \S+)+)(?:  .*)?$`) // two spaces, and what it is for
	codeSpan   = regexp.MustCompile("`([^`\n]+)`")
	logLines   = regexp.MustCompile(`(?s)<!-- log -->.*?<!-- end -->`) // some of them begin like a command
)

// Each command line in the documents is one that stox takes: in blocks of commands, behind
// the prompt in what a terminal shows, and in the text. A command that is only named in the
// text may lack its arguments.
func TestCommandsInDocuments(t *testing.T) {
	shown, mentioned := 0, 0
	for name, text := range documents(t) {
		blocks, rest := fencedIn(logLines.ReplaceAllStringFunc(text, func(lines string) string { return strings.Repeat("\n", strings.Count(lines, "\n")) }))
		for _, b := range blocks {
			if len(b.info) == 0 {
				t.Errorf("%s:%d: nobody says what this block is", name, b.line)
				continue
			}
			var lines []string
			switch b.info[0] {
			case "sh":
				lines = strings.Split(b.text, "\n")
			case "text", "console":
				for _, m := range promptOf.FindAllStringSubmatch(b.text, -1) {
					lines = append(lines, m[1])
				}
			}
			for _, line := range lines {
				if !ourCommand.MatchString(line) {
					continue
				}
				shown++
				if err := takes(line, true); err != nil {
					t.Errorf("%s:%d: %s: %v", name, b.line, line, err)
				}
			}
		}
		for i, line := range strings.Split(rest, "\n") {
			if m := indented.FindStringSubmatch(line); m != nil {
				shown++
				if err := takes(m[1], true); err != nil {
					t.Errorf("%s:%d: %s: %v", name, i+1, m[1], err)
				}
				continue
			}
			for _, m := range codeSpan.FindAllStringSubmatch(line, -1) {
				if !ourCommand.MatchString(m[1]) {
					continue
				}
				mentioned++
				if err := takes(m[1], false); err != nil {
					t.Errorf("%s:%d: %s: %v", name, i+1, m[1], err)
				}
			}
		}
	}
	if shown < 15 || mentioned < 40 {
		t.Errorf("only %d command lines found, and %d in the text", shown, mentioned)
	}
}

// takes reports why stox would not take a command line, nil if it would. Words joined by |
// are to be taken each. What the shell does with the output, and other commands, are left out.
func takes(line string, whole bool) error {
	words, err := shellWords(line)
	if err != nil {
		return err
	}
	for strings.Contains(words[0], "=") {
		words = words[1:]
	}
	if words[0] == "sudo" {
		words = words[len([]string{"sudo", "-u", "stox"}):]
	}
	for i, w := range words {
		if alternatives := strings.Split(w, "|"); len(alternatives) > 1 {
			for _, a := range alternatives {
				if err := takesWords(slices.Concat(words[1:i], []string{a}, words[i+1:]), false); err != nil {
					return err
				}
			}
			return nil
		}
	}
	return takesWords(words[1:], whole)
}

func takesWords(words []string, whole bool) error {
	top := root(IO{})
	top.InitDefaultHelpFlag()
	cmd, args, err := top.Find(words)
	if err != nil {
		return err
	}
	cmd.InitDefaultHelpFlag()
	if err := cmd.ParseFlags(args); err != nil {
		return err
	}
	args = cmd.Flags().Args()
	if help, err := cmd.Flags().GetBool("help"); err == nil && help {
		return nil
	}
	if cmd.HasSubCommands() {
		if len(args) > 0 || whole {
			return fmt.Errorf("%s has no command %q", cmd.CommandPath(), args)
		}
		return nil
	}
	if len(args) == 0 && !whole {
		return nil
	}
	return validate(cmd, args)
}

func validate(cmd *cobra.Command, args []string) error {
	if err := cmd.ValidateArgs(args); err != nil {
		return err
	}
	return cmd.ValidateRequiredFlags()
}

// shellWords are the words of the first command of a line, as a shell would make them, as
// far as the documents need it.
func shellWords(line string) (words []string, err error) {
	var word strings.Builder
	inWord, quote := false, rune(0)
	end := func() {
		if inWord {
			words = append(words, word.String())
			word.Reset()
			inWord = false
		}
	}
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			quote, inWord = r, true
		case r == ' ':
			end()
		case (r == '|' || r == '>' || r == ';' || r == '&') && !inWord:
			return words, nil
		default:
			inWord = true
			word.WriteRune(r)
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("a quote has no end")
	}
	end()
	return words, nil
}

func TestTakes(t *testing.T) {
	for line, want := range map[string]bool{
		"stox check -c FILE":                             true,
		"STOX_LOG_LEVEL=debug stox run -c stox.toml":     true,
		"sudo -u stox stox queue list":                   true,
		"stox queue list --json | jq -r .id":             true,
		"stox queue list|show|retry|drop":                true,
		`stox map 'sip:a;b@example.net' -c stox.toml`:    true,
		"stox init prosody --xmpp-domain a.example > /x": true,
		"stox --help":          true,
		"stox":                 false,
		"stox chek":            false,
		"stox check --fiel x":  false,
		"stox check too many":  false,
		"stox map":             false,
		"stox map 'x":          false,
		"stox queue list|shwo": false,
		"stox queue shwo 1":    false,
	} {
		if err := takes(line, true); (err == nil) != want {
			t.Errorf("%s: %v", line, err)
		}
	}
	if err := takes("stox map", false); err != nil {
		t.Error(err)
	}
}
