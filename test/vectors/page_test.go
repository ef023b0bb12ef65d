package vectors

import (
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "write what went over the wire into mapping/testdata/wire")

const pages = "../../mapping/testdata/wire"

// comparePage compares what went over the wire with the page about the vector: the
// comment says what it shows, and a section for each message and each wait follows, in
// their order. Barriers are left out. What is chosen anew each time has a name instead:
// the one that the vector has for it, or ${tag} for the tag that the gateway adds to To. A
// CR in a body stands as ␍, a body that is no text in hexadecimal, and a long run of one
// character as its length.
func (p *player) comparePage(t *testing.T) {
	t.Helper()
	page := &txtar.Archive{Comment: []byte(p.comment())}
	r := p.replacer()
	for _, s := range p.wire {
		text := s.raw
		if s.net == netSIP {
			text = readable(text)
		}
		text = shorten(r.Replace(text))
		if text != "" {
			text += "\n"
		}
		page.Files = append(page.Files, txtar.File{Name: s.net + " " + s.dir, Data: []byte(text)})
	}
	got := string(txtar.Format(page))
	file := filepath.Join(pages, p.v.ID+".txtar")
	have, err := os.ReadFile(file)
	if err == nil && string(have) == got {
		return
	}
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Errorf("over the wire went\n%s\nif that is right: go test ./test/vectors -update", got)
}

func (p *player) comment() string {
	s := p.v.ID + ": " + p.v.Title + "\n" + strings.Join(p.v.Req, " ") + " (" + p.v.Src + ")\n"
	if p.v.Note != "" {
		s += "\n" + p.v.Note + "\n"
	}
	return s + "\n"
}

// random are the placeholders whose values are chosen by the gateway: all but those for
// texts to people and for numbers that matter.
var random = regexp.MustCompile(`^_?(id|tag|ftag|ttag|gr|callid|cid|cseq|branch|imdnid|p)\d*$`)

// replacer puts names in the place of values that are different each time.
func (p *player) replacer() *strings.Replacer {
	values := make(map[string]string) // value -> name
	taken := make(map[string]bool)
	for _, c := range p.seen {
		if !random.MatchString(c.name) || len(c.value) < 8 || values[c.value] != "" {
			continue
		}
		base := strings.TrimPrefix(c.name, "_")
		name := base
		for n := 2; taken[name]; n++ {
			name = fmt.Sprint(base, n)
		}
		taken[name] = true
		values[c.value] = "${" + name + "}"
	}
	var longest []string
	for v := range values {
		longest = append(longest, v)
	}
	slices.SortFunc(longest, func(a, b string) int { return len(b) - len(a) })
	var pairs []string
	for _, v := range longest {
		pairs = append(pairs, v, values[v])
	}
	return strings.NewReplacer(pairs...)
}

// readable is a SIP message with lines as a page has them.
func readable(raw string) string {
	head, body, _ := strings.Cut(raw, "\r\n\r\n")
	head = strings.ReplaceAll(head, "\r\n", "\n")
	if body == "" {
		return head
	}
	text := utf8.ValidString(body) && strings.IndexFunc(body, func(r rune) bool { return r < ' ' && r != '\r' && r != '\n' && r != '\t' }) < 0
	if !text {
		return head + "\n\n(hexadecimal) " + hex.EncodeToString([]byte(body))
	}
	return head + "\n\n" + strings.ReplaceAll(body, "\r", "␍")
}

// shorten tells the length of runs that nobody wants to read.
func shorten(s string) string {
	var b strings.Builder
	for len(s) > 0 {
		_, size := utf8.DecodeRuneInString(s)
		char, end := s[:size], size
		for strings.HasPrefix(s[end:], char) {
			end += size
		}
		if n := end / size; n > 100 {
			fmt.Fprintf(&b, "%s(%d times)", char, n)
		} else {
			b.WriteString(s[:end])
		}
		s = s[end:]
	}
	return b.String()
}

// Every page is about a vector that passes, and no page is left over.
func TestPages(t *testing.T) {
	files, err := filepath.Glob(pages + "/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	want := make(map[string]bool)
	for _, v := range readVectors(t) {
		want[v.ID] = leftOut[v.ID] == ""
	}
	for _, f := range files {
		if id := strings.TrimSuffix(filepath.Base(f), ".txtar"); !want[id] {
			t.Errorf("%s is about nothing that passes", f)
		}
	}
}
