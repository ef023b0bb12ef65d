package config

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
)

// Files that are made from the schema; go generate writes them.
var (
	referenceFile = filepath.Join("..", "..", "docs", "config.md")
	exampleFile   = filepath.Join("..", "..", "contrib", "stox.toml")
)

func TestGenerated(t *testing.T) {
	golden(t, referenceFile, markdown(false))
	golden(t, exampleFile, example(false))
}

// markdown is docs/config.md.
func markdown(all bool) string {
	var b strings.Builder
	b.WriteString(`# Configuration

<!-- Made from internal/config/keys.go by go generate ./internal/config. Do not edit. -->

stox reads one TOML file, ` + "`/etc/stox/stox.toml` unless `-c` names another. `stox check -c FILE`" + ` says what is wrong with it, all
at once, prints the values in effect with where each came from, and explains what follows from them. Three keys are enough:

` + "```toml" + `
[xmpp]
domain = "sip.example.com"
secret = "…"
[sip]
domain = "example.net"
` + "```" + `

`)
	for _, text := range append(append([]string{}, Preface...), Reloading()) {
		b.WriteString("- " + text + "\n")
	}
	sections, planned := reference(all)
	for _, s := range sections {
		heading := s.Heading
		if heading == "" {
			heading = "Top level"
		}
		fmt.Fprintf(&b, "\n## %s\n\n%s\n", heading, s.Doc)
		for _, k := range s.Keys {
			fmt.Fprintf(&b, "\n### %s\n\n%s\n\n", k.Path, k.Doc)
			fmt.Fprintf(&b, "- Type: %s.", k.Type)
			if k.Default != "" {
				b.WriteString(" " + k.Default + ".")
			}
			b.WriteString("\n")
			if len(k.NotYet) > 0 {
				fmt.Fprintf(&b, "- Not in this version: `%s`\n", strings.Join(k.NotYet, "`, `"))
			}
			if k.Example != "" {
				fmt.Fprintf(&b, "- Example: `%s`\n", k.Example)
			}
			if k.Env != "" {
				fmt.Fprintf(&b, "- Environment: `%s`\n", k.Env)
			}
			if k.Live && Reloads {
				b.WriteString("- Takes effect on reload.\n")
			}
		}
	}
	if len(planned) > 0 {
		b.WriteString("\n## Not in this version\n\nThese names are kept for what is to come. Setting one is an error.\n\n")
	}
	for _, k := range planned {
		fmt.Fprintf(&b, "- `%s`: %s\n", k.Path, k.Doc)
	}
	return b.String()
}

// example is contrib/stox.toml: what is required set, all else as a comment.
func example(all bool) string {
	var b strings.Builder
	b.WriteString(`# stox.toml - the configuration of stox, with every key of this version.
#
# Made from internal/config/keys.go by go generate ./internal/config.
#
# What has no # in front must be set. Everything else shows its default, or an
# example where it has none. "stox init prosody" or "stox init ejabberd" writes
# a short file with a good secret; "stox check -c stox.toml" tests this one.
`)
	section := ""
	for i := range schema {
		k := &schema[i]
		if !all && !k.built {
			continue
		}
		table := tableOf(k.path)
		if s := k.section(); s != section && k.kind != kindTables && table == nil {
			section = s
			fmt.Fprintf(&b, "\n[%s]\n", s)
		}
		b.WriteString("\n")
		comment(&b, k.doc)
		if k.kind == kindTables {
			fmt.Fprintf(&b, "#[[%s]]\n", k.path)
			continue
		}
		value := k.example
		if k.def != nil {
			value = formatTOML(reflect.ValueOf(k.def))
		}
		mark := "#"
		if (k.must || k.secret && len(k.oneOf) > 0) && table == nil {
			mark = ""
		}
		fmt.Fprintf(&b, "%s%s = %s\n", mark, k.name(), value)
	}
	return b.String()
}

// comment writes doc as a comment of at most 78 columns.
func comment(b *strings.Builder, doc string) {
	line := "#"
	for _, word := range strings.Fields(strings.ReplaceAll(doc, "`", "")) {
		if len(line)+1+len(word) > 78 {
			b.WriteString(line + "\n")
			line = "#"
		}
		line += " " + word
	}
	b.WriteString(line + "\n")
}

// TestExample: the example is refused for its secret and for nothing else, as it
// stands and with every line of it switched on; also with what is to come.
func TestExample(t *testing.T) {
	b, err := os.ReadFile(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	plain := string(b)
	const refused = "xmpp.secret: the secret is the one of the example; stox init makes a good one"
	if _, err := parse(t, plain); faultLines(err) != refused {
		t.Errorf("faults %q, want %q", faultLines(err), refused)
	}
	got := mustParse(t, strings.Replace(plain, exampleSecret, "hunter2-is-no-secret", 1))
	want := mustParse(t, three)
	want.origin = got.origin
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the example is not the three keys and the defaults:\ngot  %+v\nwant %+v", got, want)
	}

	for _, all := range []bool{false, true} {
		// Of a secret and its file, of the database's path and its URL, one can be set.
		full := regexp.MustCompile(`(?m)^#(\[\[|[a-z_]+ = )`).ReplaceAllString(example(all), "$1")
		for i := range schema {
			k := &schema[i]
			if (all || k.built) && k.kind != kindTables && !regexp.MustCompile(`(?m)^`+k.name()+` = `).MatchString(full) {
				t.Errorf("%s is not in the example", k.path)
			}
		}
		full = regexp.MustCompile(`(?m)^(secret|password|token|url) = .*\n`).ReplaceAllString(full, "")
		l := testLoader(map[string]string{"/etc/stox/stox.toml": full})
		l.all, l.readFile = all, everyFile(l.readFile)
		c, err := l.load("/etc/stox/stox.toml", nil)
		if err != nil {
			t.Fatalf("all %v: %v", all, err)
		}
		if len(c.SIP.Routes) != 1 || len(c.SIP.Peers) != 1 || len(c.Aliases) != 1 || c.XMPP.SecretFile == "" || c.ShutdownTimeout != 15*time.Second || (all || keyAt("domain").built) != (len(c.Domains) == 1) {
			t.Errorf("not every line of the example is switched on: %+v", c)
		}
	}
}

// TestDefaultsInDocsAreReal: the reference speaks of what Load does.
func TestDefaultsInDocsAreReal(t *testing.T) {
	c := mustParse(t, three)
	whole := allParse(t, three)
	for i := range schema {
		k := &schema[i]
		if k.def == nil || tableOf(k.path) != nil {
			continue
		}
		if got, want := whole.at(k.path).Interface(), k.def; !reflect.DeepEqual(got, want) {
			t.Errorf("%s is %v without being set, the schema says %v", k.path, got, want)
		}
		if got := c.at(k.path); got.IsZero() == k.built && !reflect.ValueOf(k.def).IsZero() {
			t.Errorf("%s: built %v, the value is %v", k.path, k.built, got)
		}
	}
}

// TestReferenceSpeaksOfEveryKey: once, built or planned.
func TestReferenceSpeaksOfEveryKey(t *testing.T) {
	for _, all := range []bool{false, true} {
		sections, planned := reference(all)
		n := map[string]int{}
		for _, s := range sections {
			n[strings.Trim(s.Heading, "[]")]++
			for _, k := range s.Keys {
				n[k.Path]++
			}
		}
		for _, k := range planned {
			n[strings.Trim(k.Path, "[]")]++
		}
		for i := range schema {
			k := &schema[i]
			want := 1
			if table := tableOf(k.path); table != nil && !table.built && !all {
				want = 0
			}
			if n[k.path] != want {
				t.Errorf("all %v: %s is there %d times, want %d", all, k.path, n[k.path], want)
			}
		}
		if all && len(planned) > 0 {
			t.Errorf("planned although all is built: %v", planned)
		}
	}
}
