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
	golden(t, referenceFile, reference())
	golden(t, exampleFile, example())
}

// reference is docs/config.md.
func reference() string {
	var b strings.Builder
	b.WriteString(`# Configuration

<!-- Made from internal/config/schema.go by go generate ./internal/config. Do not edit. -->

stox reads one TOML file, ` + "`/etc/stox/stox.toml` unless `-c` names another. `stox check -c FILE`" + ` says what is wrong with it, all
at once, and prints the values in effect with where each came from. Three keys are enough:

` + "```toml" + `
[xmpp]
domain = "sip.example.com"
secret = "…"
[sip]
domain = "example.net"
` + "```" + `

- **Environment.** Each key outside of ` + "`[[tables]]` can be set there, too: `STOX_` and its path in capitals, with `_` for each dot" + `
  (` + "`STOX_XMPP_SECRET`" + `). The environment wins over the file. Lists are separated by commas. An empty variable counts as set.
- **Secrets** can stand in a file of their own: ` + "`secret_file` in the file, or `STOX_XMPP_SECRET_FILE` in the environment." + `
- **Strict.** An unknown key, an unknown ` + "`STOX_`" + ` name, a value of the wrong type, a duration without a unit and a contradiction are
  errors. So is a key that this version does not have yet; those are listed at the end. stox ends with status 2 then: starting it again
  with the same configuration cannot help.
- Names of keys are written in lower case. Paths in messages count tables from 0: ` + "`sip.route[0]` is the first `[[sip.route]]`." + `
- A change takes effect when stox is started again.
`)
	section := "none"
	for i := range schema {
		k := &schema[i]
		table := k.kind == kindTables
		if !k.built {
			continue
		}
		heading := k.section()
		if table {
			heading = k.path
		}
		if heading != section {
			section = heading
			switch {
			case table:
				fmt.Fprintf(&b, "\n## [[%s]]\n\n%s\n", k.path, k.doc)
			case section == "":
				fmt.Fprintf(&b, "\n## Top level\n\n%s\n", sectionDoc[""])
			default:
				fmt.Fprintf(&b, "\n## [%s]\n\n%s\n", section, sectionDoc[section])
			}
		}
		if table {
			continue
		}
		fmt.Fprintf(&b, "\n### %s\n\n%s\n\n", k.path, k.doc)
		fmt.Fprintf(&b, "- Type: %s", describeType(k))
		if d := describeDefault(k); d != "" {
			fmt.Fprintf(&b, ". %s", d)
		}
		b.WriteString(".\n")
		if k.example != "" && !k.secret {
			fmt.Fprintf(&b, "- Example: `%s = %s`\n", k.name(), k.example)
		}
		if k.env() != "" {
			fmt.Fprintf(&b, "- Environment: `%s`\n", k.env())
		}
	}
	b.WriteString("\n## Not in this version\n\nThese names are kept for what is to come. Setting one is an error.\n\n")
	for i := range schema {
		if k := &schema[i]; !k.built && (tableOf(k.path) == nil || tableOf(k.path).built) {
			name := k.path
			if k.kind == kindTables {
				name = "[[" + name + "]]"
			}
			fmt.Fprintf(&b, "- `%s`: %s\n", name, k.doc)
		}
	}
	return b.String()
}

func describeType(k *key) string {
	s := map[kind]string{kindString: "string", kindBool: "true or false", kindInt: "whole number", kindDuration: "duration, such as `\"500ms\"`, `\"15s\"` or `\"1h30m\"`", kindList: "list of strings"}[k.kind]
	if len(k.values) > 0 {
		var quoted []string
		for _, v := range k.values {
			quoted = append(quoted, "`\""+v+"\"`")
		}
		s = strings.Join(quoted, ", ")
	}
	if k.min != 0 {
		s += fmt.Sprintf(", at least %d", k.min)
	}
	return s
}

func describeDefault(k *key) string {
	switch {
	case k.must:
		return "Required"
	case k.def != nil:
		return "Default: `" + formatTOML(reflect.ValueOf(k.def)) + "`"
	case k.defText != "":
		return "Default: " + k.defText
	}
	return ""
}

// example is contrib/stox.toml: what is required set, all else as a comment.
func example() string {
	var b strings.Builder
	b.WriteString(`# stox.toml - the configuration of stox, with every key of this version.
#
# Made from internal/config/schema.go by go generate ./internal/config.
#
# What has no # in front must be set. Everything else shows its default, or an
# example where it has none. "stox init prosody" or "stox init ejabberd" writes
# a short file with a good secret; "stox check -c stox.toml" tests this one.
`)
	section := ""
	for i := range schema {
		k := &schema[i]
		if !k.built {
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
		if k.must && table == nil || k.secret {
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
// stands and with every line of it switched on.
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
	got := mustParse(t, strings.Replace(plain, exampleSecret, "x", 1))
	want := mustParse(t, strings.Replace(three, "hunter2-is-no-secret", "x", 1))
	want.origin = got.origin
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the example is not the three keys and the defaults:\ngot  %+v\nwant %+v", got, want)
	}

	full := regexp.MustCompile(`(?m)^#(\[\[|[a-z_]+ = )`).ReplaceAllString(plain, "$1")
	full = strings.Replace(full, `secret = "`+exampleSecret+"\"\n", "", 1)
	c := mustParse(t, full)
	if len(c.SIP.Routes) != 1 || len(c.SIP.Peers) != 1 || len(c.Aliases) != 1 || c.XMPP.SecretFile == "" || c.ShutdownTimeout != 15*time.Second {
		t.Errorf("not every line of the example is switched on: %+v", c)
	}
	for i := range schema {
		if k := &schema[i]; k.built && k.kind != kindTables && !k.secret && !regexp.MustCompile(`(?m)^`+k.name()+` = `).MatchString(full) {
			t.Errorf("%s is not in the example", k.path)
		}
	}
}

// TestDefaultsInDocsAreReal: the reference speaks of what Load does.
func TestDefaultsInDocsAreReal(t *testing.T) {
	c := mustParse(t, three)
	for i := range schema {
		k := &schema[i]
		if !k.built || k.def == nil || tableOf(k.path) != nil {
			continue
		}
		if got, want := c.at(k.path).Interface(), k.def; !reflect.DeepEqual(got, want) {
			t.Errorf("%s is %v without being set, the schema says %v", k.path, got, want)
		}
	}
}
