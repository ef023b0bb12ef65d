package cli

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/stoxgw/stox/internal/config"
)

//go:generate go test . -run TestManual|TestExplain -update

var manual = filepath.Join("..", "..", "docs", "man")

// TestManual: the manual pages are what the commands and the schema say.
func TestManual(t *testing.T) {
	golden(t, filepath.Join(manual, "stox.1"), commandPage())
	golden(t, filepath.Join(manual, "stox.toml.5"), configPage())
}

// TestManualIsRoff: no line is read as a command that is none, and all is ASCII. What
// programs that read such pages say of them is tested in test/docs.
func TestManualIsRoff(t *testing.T) {
	for _, page := range []string{commandPage(), configPage()} {
		for line := range strings.Lines(page) {
			if strings.ContainsFunc(line, func(r rune) bool { return r > '~' }) || strings.HasPrefix(line, "'") {
				t.Errorf("a line that roff reads otherwise: %q", line)
			}
		}
	}
}

// roff writes a manual page.
type roff struct{ strings.Builder }

func (r *roff) macro(name string, args ...string) {
	r.WriteString("." + name)
	for _, a := range args {
		a = strings.ReplaceAll(escape(a), `"`, `\(dq`)
		if a == "" || strings.Contains(a, " ") {
			a = `"` + a + `"`
		}
		r.WriteString(" " + a)
	}
	r.WriteString("\n")
}

// text writes a paragraph's lines. What is between backquotes or double stars is
// set in bold.
func (r *roff) text(s string) {
	s = strings.ReplaceAll(s, "**", "`")
	var b strings.Builder
	for i, part := range strings.Split(s, "`") {
		if i%2 == 1 {
			part = `\fB` + escape(part) + `\fR`
		} else {
			part = escape(part)
		}
		b.WriteString(part)
	}
	for line := range strings.Lines(b.String()) {
		r.line(line)
	}
	r.WriteString("\n")
}

// line writes one line of text, which may begin with what would be a macro.
func (r *roff) line(s string) {
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		s = `\&` + s
	}
	r.WriteString(s)
}

// literal writes lines as they stand.
func (r *roff) literal(s string) {
	r.macro("PP")
	r.macro("RS", "4")
	r.macro("nf")
	for line := range strings.Lines(strings.Trim(s, "\n")) {
		r.line(escape(strings.TrimRight(line, " \n")) + "\n")
	}
	r.macro("fi")
	r.macro("RE")
}

// escape writes text so that it is shown as it is.
func escape(s string) string {
	var b strings.Builder
	for _, c := range s {
		switch {
		case c == '\\':
			b.WriteString(`\e`)
		case c == '-':
			b.WriteString(`\-`)
		case c == '\'':
			b.WriteString(`\(aq`)
		case c > '~':
			fmt.Fprintf(&b, `\[u%04X]`, c)
		default:
			b.WriteRune(c)
		}
	}
	return b.String()
}

// commandPage is stox(1).
func commandPage() string {
	r := &roff{}
	r.WriteString(".\\\" Made from the commands in internal/cli by go generate ./internal/cli. Do not edit.\n")
	r.macro("TH", "STOX", "1", "", "stox", "User Commands")
	top := root(IO{})
	r.macro("SH", "NAME")
	r.text("stox - " + strings.ToLower(top.Short[:1]) + top.Short[1:])
	r.macro("SH", "SYNOPSIS")
	for i, cmd := range leaves(top) {
		if i > 0 {
			r.macro("br")
		}
		r.text("`" + cmd.CommandPath() + "`" + strings.TrimPrefix(cmd.UseLine(), cmd.CommandPath()))
	}
	r.macro("SH", "DESCRIPTION")
	r.text(top.Long)
	r.macro("PP")
	r.text("Results go to standard output, everything else to standard error.")
	r.macro("SH", "COMMANDS")
	for _, cmd := range leaves(top) {
		r.command(cmd)
	}
	r.macro("SH", "EXIT STATUS")
	for _, s := range [][2]string{{"0", "All went well."}, {"1", "It did not."}, {"2", "The configuration is at fault: starting again with the same one cannot help."}} {
		r.macro("TP")
		r.text(s[0])
		r.text(s[1])
	}
	r.macro("SH", "ENVIRONMENT")
	r.text("Every key of the configuration outside of a `[[table]]` can be set there, too; see `stox.toml`(5).")
	r.macro("SH", "FILES")
	r.macro("TP")
	r.text("`" + defaultConfig + "`")
	r.text("The configuration, unless `-c` names another.")
	r.macro("SH", "SEE ALSO")
	r.text("`stox.toml`(5), `prosody`(8), `ejabberdctl`(8)")
	return r.String()
}

// leaves are the commands that do something themselves.
func leaves(cmd *cobra.Command) []*cobra.Command {
	if !cmd.HasSubCommands() {
		return []*cobra.Command{cmd}
	}
	var all []*cobra.Command
	for _, sub := range cmd.Commands() {
		all = append(all, leaves(sub)...)
	}
	return all
}

func (r *roff) command(cmd *cobra.Command) {
	r.macro("SS", cmd.UseLine())
	text := cmd.Long
	if text == "" {
		text = cmd.Short + "."
	}
	for i, paragraph := range strings.Split(text, "\n\n") {
		if i > 0 {
			r.macro("PP")
		}
		r.text(paragraph)
	}
	if flags := cmd.LocalFlags().FlagUsages(); flags != "" {
		r.literal(flags)
	}
	if cmd.Example != "" {
		r.macro("PP")
		r.text("Examples:")
		r.literal(cmd.Example)
	}
}

// configPage is stox.toml(5).
func configPage() string {
	r := &roff{}
	r.WriteString(".\\\" Made from internal/config/keys.go by go generate ./internal/cli. Do not edit.\n")
	r.macro("TH", "STOX.TOML", "5", "", "stox", "File Formats")
	r.macro("SH", "NAME")
	r.text("stox.toml - the configuration of stox")
	r.macro("SH", "DESCRIPTION")
	r.text("`stox`(1) reads one TOML file, `" + defaultConfig + "` unless `-c` names another. `stox check` says what is wrong with it, all at once, prints the values in effect with where each came from, and explains what follows from them. Three keys are enough:")
	r.literal("[xmpp]\ndomain = \"sip.example.com\"\nsecret = \"...\"\n[sip]\ndomain = \"example.net\"")
	for _, text := range append(append([]string{}, config.Preface...), config.Reloading()) {
		r.macro("PP")
		r.text(text)
	}
	sections, planned := config.Reference()
	for _, s := range sections {
		heading := s.Heading
		if heading == "" {
			heading = "TOP LEVEL"
		}
		r.macro("SH", heading)
		r.text(s.Doc)
		for _, k := range s.Keys {
			r.key(k)
		}
	}
	if len(planned) > 0 {
		r.macro("SH", "NOT IN THIS VERSION")
		r.text("These names are kept for what is to come. Setting one is an error.")
		for _, k := range planned {
			r.macro("TP")
			r.text("`" + k.Path + "`")
			r.text(k.Doc)
		}
	}
	r.macro("SH", "SEE ALSO")
	r.text("`stox`(1)")
	return r.String()
}

func (r *roff) key(k config.Key) {
	r.macro("TP")
	r.text("`" + k.Path + "`")
	r.text(k.Doc)
	facts := "Type: " + k.Type + "."
	if k.Default != "" {
		facts += " " + k.Default + "."
	}
	if len(k.NotYet) > 0 {
		facts += " Not in this version: " + strings.Join(k.NotYet, ", ") + "."
	}
	if k.Example != "" {
		facts += " Example: `" + k.Example + "`."
	}
	if k.Env != "" {
		facts += " Environment: `" + k.Env + "`."
	}
	if k.Live && config.Reloads {
		facts += " Takes effect on reload."
	}
	r.macro("sp", "0.5")
	r.text(facts)
}
