package vectors

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// names are the placeholders of a vector and what they stand for. A name that begins
// with _ stands for anything, each time anew, and is not kept.
type names struct {
	bound map[string]string
	seen  []capture // every value that a placeholder has had, in order
}

type capture struct{ name, value string }

func newNames() *names { return &names{bound: make(map[string]string)} }

var placeholder = regexp.MustCompile(`\$\{(\w+)\}`)

// match compares a text with one that may have placeholders, and binds those that are
// new. Nothing is bound if the texts differ.
func (n *names) match(want, got string) bool {
	if !strings.Contains(want, "${") {
		return want == got
	}
	var b strings.Builder
	var order []string
	b.WriteString(`(?s)\A`)
	rest := want
	for {
		at := placeholder.FindStringSubmatchIndex(rest)
		if at == nil {
			break
		}
		b.WriteString(regexp.QuoteMeta(rest[:at[0]]))
		name := rest[at[2]:at[3]]
		if v, ok := n.bound[name]; ok {
			b.WriteString(regexp.QuoteMeta(v))
		} else {
			b.WriteString(`(.+)`)
			order = append(order, name)
		}
		rest = rest[at[1]:]
	}
	b.WriteString(regexp.QuoteMeta(rest) + `\z`)
	found := regexp.MustCompile(b.String()).FindStringSubmatch(got)
	if found == nil {
		return false
	}
	fresh := make(map[string]string)
	for i, name := range order {
		v := found[i+1]
		if old, ok := fresh[name]; ok && old != v && name[0] != '_' {
			return false
		}
		fresh[name] = v
	}
	for i, name := range order {
		n.seen = append(n.seen, capture{name, found[i+1]})
		if name[0] != '_' {
			n.bound[name] = found[i+1]
		}
	}
	return true
}

// fill puts the values in the place of the placeholders.
func (n *names) fill(s string) (string, error) {
	var unknown string
	s = placeholder.ReplaceAllStringFunc(s, func(p string) string {
		v, ok := n.bound[p[2:len(p)-1]]
		if !ok {
			unknown = p
		}
		return v
	})
	if unknown != "" {
		return "", fmt.Errorf("%s has no value yet", unknown)
	}
	return s, nil
}

func TestPlaceholders(t *testing.T) {
	n := newNames()
	for _, c := range []struct {
		want, got string
		ok        bool
	}{
		{"plain", "plain", true},
		{"plain", "plainer", false},
		{"a${x}b", "a1.b", true},
		{"${x}", "1.", true},
		{"${x}", "1x", false}, // the value is no pattern
		{"${_any}", "1x", true},
		{"${_any}", "", false},
		{"${_any}", "other\r\nline", true},
		{"${y}-${y}", "1-2", false},
		{"${y}-${_y}", "1-2", true},
		{"${y}", "1", true},
	} {
		if got := n.match(c.want, c.got); got != c.ok {
			t.Errorf("%q, %q: %t", c.want, c.got, got)
		}
	}
	if s, err := n.fill("<${x}${y}>"); s != "<1.1>" || err != nil {
		t.Errorf("%q, %v", s, err)
	}
	if _, err := n.fill("${_any}"); err == nil {
		t.Error("what is not kept was filled in")
	}
}
