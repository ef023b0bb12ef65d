package trunk

import (
	"os"
	"strings"
	"testing"

	"github.com/stoxgw/stox/internal/app"
	"github.com/stoxgw/stox/internal/config"
	"github.com/stoxgw/stox/mapping"
)

// document is docs/trunks.md.
func document(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("../../docs/trunks.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// examples are the configurations that stand in a document.
func examples(text string) (all []string) {
	for _, rest := range strings.Split(text, "```toml\n")[1:] {
		one, _, _ := strings.Cut(rest, "```")
		all = append(all, one)
	}
	return all
}

// rows are the cells of the table behind a mark, without quotes.
func rows(t *testing.T, text, mark string) (all [][]string) {
	t.Helper()
	_, rest, ok := strings.Cut(text, "<!-- "+mark+" -->\n\n")
	if !ok {
		t.Fatalf("no table %q", mark)
	}
	for i, line := range strings.Split(rest, "\n") {
		if !strings.HasPrefix(line, "|") {
			break
		}
		if i < 2 {
			continue // the head
		}
		var cells []string
		for _, c := range strings.Split(strings.Trim(line, "| "), " | ") {
			cells = append(cells, strings.Trim(strings.TrimSpace(c), "`"))
		}
		all = append(all, cells)
	}
	return all
}

// What docs/trunks.md says of addresses is so, with the configuration that stands there; all
// of its configurations are good.
func TestDocument(t *testing.T) {
	text := document(t)
	all := examples(text)
	if len(all) != 2 {
		t.Fatalf("%d examples", len(all))
	}
	var rules []*mapping.Rules
	for _, example := range all {
		cfg, err := config.Parse("stox.toml", []byte(example), nil)
		if err != nil {
			t.Fatalf("%v\n%s", err, example)
		}
		r, err := app.BuildRules(cfg)
		if err != nil {
			t.Fatal(err)
		}
		rules = append(rules, r)
	}

	sent := rows(t, text, "sent")
	for _, c := range sent {
		got, err := rules[0].ToSIP(&mapping.XMPPMessage{From: mapping.MustParseJID(c[0]), To: mapping.MustParseJID(c[1]), Bodies: []mapping.Text{{Value: "hi"}}})
		if err != nil {
			t.Errorf("%v: %v", c, err)
			continue
		}
		if m := got[0].(*mapping.SIPMessage); m.RequestURI.String() != c[2] || m.From.String() != c[3] {
			t.Errorf("%v: %s from %s", c, m.RequestURI, m.From)
		}
	}
	received := rows(t, text, "received")
	for _, c := range received {
		m := &mapping.SIPMessage{RequestURI: mapping.MustParseURI(c[0]), To: mapping.MustParseURI("sip:s@asterisk"), Routes: []string{"trunk.example"}}
		if c[1] != "anything" {
			m.To = mapping.MustParseURI(c[1])
		}
		j, err := rules[0].RecipientOf(m)
		if c[2] == "404" && mapping.ReasonOf(err) != mapping.ReasonNotServed || c[2] != "404" && (err != nil || j.String() != c[2]) {
			t.Errorf("%v: %s, %v", c, j, err)
		}
	}
	if len(sent) < 3 || len(received) < 6 {
		t.Errorf("%d rows sent, %d received", len(sent), len(received))
	}
}
