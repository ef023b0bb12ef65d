//go:build interop

package interop

import (
	"bytes"
	"cmp"
	_ "embed"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stoxgw/stox/test/stage"
)

const reportFile = "../../docs/interop.md"

// What stands in the report before and after the tables.
var (
	//go:embed report_intro.md
	reportIntro string
	//go:embed report_notes.md
	reportNotes string
)

// The words of the report.
const (
	toSIP  = "XMPP to SIP"
	toXMPP = "SIP to XMPP"
	toStox = "to stox"
	both   = "both ways"

	roleServer = "XMPP server"
	roleClient = "XMPP client"
	roleSIPp   = "SIP test tool"
	roleProxy  = "SIP registrar and proxy"

	resultError = "the sender gets an error that names it"

	transportStream = "XMPP stream"
)

// passage is between which programs, and how, something crossed.
type passage struct {
	program   string // with its version
	role      string
	transport string
	direction string
	result    string
}

// crossing is one thing that crossed, at one XMPP server.
type crossing struct {
	passage
	what   string
	server string // with its version
}

// register is all that the tests of this run have seen cross.
type register struct {
	mu       sync.Mutex // guards the following
	seen     map[crossing]bool
	programs map[string]string // name with version: role
}

var crossings = register{seen: map[crossing]bool{}, programs: map[string]string{}}

// crossed notes, if the test succeeds, that things have crossed.
func (w *world) crossed(p passage, what ...string) {
	if len(what) == 0 {
		panic("nothing crossed")
	}
	switch p.transport {
	case "udp", "tcp", "tls":
		p.transport = strings.ToUpper(p.transport)
	}
	server := w.server.Name
	w.t.Cleanup(func() {
		if !w.t.Failed() {
			crossings.add(p, server, what)
		}
	})
}

func (r *register) add(p passage, server string, what []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, item := range what {
		r.seen[crossing{p, item, server}] = true
	}
	r.programs[server] = roleServer
	role, _, _ := strings.Cut(p.role, " at ")
	role, _, _ = strings.Cut(role, ",")
	r.programs[p.program] = role
	r.programs[stage.XMPPClientName()] = roleClient
}

// row is a line of the table: every combination of its values has crossed.
type row struct {
	program, role, result string

	servers, transports, directions, what string // lists
}

// The separators of lists in a row. No value may have one in it.
const (
	listComma     = " and "
	listSemicolon = "; "
)

func (r row) cells() []string {
	return []string{r.program, r.role, r.transports, r.directions, r.what, r.servers, r.result}
}

func (r *register) rows() []row {
	var rows []row
	for c := range r.seen {
		rows = append(rows, row{c.program, c.role, c.result, c.server, c.transport, c.direction, c.what})
	}
	// Rows that differ in one value only become one, value by value.
	for _, m := range []struct {
		value func(*row) *string
		sep   string
	}{
		{func(r *row) *string { return &r.what }, listSemicolon},
		{func(r *row) *string { return &r.servers }, listComma},
		{func(r *row) *string { return &r.transports }, listComma},
		{func(r *row) *string { return &r.directions }, listComma},
	} {
		values := map[row][]string{}
		for _, r := range rows {
			v := m.value(&r)
			was := *v
			*v = ""
			values[r] = append(values[r], was)
		}
		rows = rows[:0]
		for r, all := range values {
			slices.SortFunc(all, simplestFirst)
			*m.value(&r) = strings.Join(all, m.sep)
			rows = append(rows, r)
		}
	}
	slices.SortFunc(rows, func(a, b row) int {
		return cmp.Or(comparePrograms(a.program, b.program), slices.Compare(a.cells(), b.cells()))
	})
	return rows
}

// simplestFirst puts "text" before what is more than that.
func simplestFirst(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) }

func comparePrograms(a, b string) int { return cmp.Compare(strings.ToLower(a), strings.ToLower(b)) }

// report is the whole document.
func (r *register) report() string {
	var b strings.Builder
	b.WriteString(reportIntro)
	b.WriteString("\n## Programs\n\n| program | part |\n|---|---|\n")
	for _, name := range slices.SortedFunc(maps.Keys(r.programs), comparePrograms) {
		fmt.Fprintf(&b, "| %s | %s |\n", name, r.programs[name])
	}
	b.WriteString("\n## What crossed\n\n| program | part | transport | direction | what | XMPP server | result |\n|---|---|---|---|---|---|---|\n")
	for _, row := range r.rows() {
		fmt.Fprintf(&b, "| %s |\n", strings.Join(row.cells(), " | "))
	}
	b.WriteString("\n" + reportNotes)
	return b.String()
}

// write leaves the section where it is that make torture writes.
func (r *register) write(file string) error {
	old, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	doc := r.report()
	if i := bytes.Index(old, []byte("\n<!-- make torture")); i >= 0 {
		doc += string(old[i:])
	}
	return os.WriteFile(file, []byte(doc), 0o644)
}

// check compares the committed report with what has crossed. If all tests have
// run, it may not tell of anything else either. Versions may differ.
func (r *register) check(file string, all bool) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	return r.compare(string(b), all)
}

func (r *register) compare(doc string, all bool) error {
	has, had := map[string]bool{}, map[string]bool{}
	for _, row := range r.rows() {
		row.expand(has)
	}
	rows, err := parseRows(doc)
	if err != nil {
		return err
	}
	for _, row := range rows {
		row.expand(had)
	}
	var stale []string
	for line := range has {
		if !had[line] {
			stale = append(stale, "not in it: "+line)
		}
	}
	for line := range had {
		if all && !has[line] {
			stale = append(stale, "did not cross: "+line)
		}
	}
	if all {
		for _, text := range []string{reportIntro, reportNotes} {
			if !strings.Contains(doc, text) {
				stale = append(stale, "its text is not that of test/interop/report_*.md")
				break
			}
		}
	}
	if len(stale) == 0 {
		return nil
	}
	slices.Sort(stale)
	return fmt.Errorf("docs/interop.md is stale (make interop-report writes it):\n%s", strings.Join(stale, "\n"))
}

var version = regexp.MustCompile(`\b(Prosody|ejabberd|slixmpp|SIPp|baresip|Linphone|Kamailio|Profanity) (\d[^ |]*|\(version unknown\))`)

// expand adds every single thing that a row says, without versions.
func (r row) expand(to map[string]bool) {
	for _, server := range strings.Split(r.servers, listComma) {
		for _, transport := range strings.Split(r.transports, listComma) {
			for _, direction := range strings.Split(r.directions, listComma) {
				for _, what := range strings.Split(r.what, listSemicolon) {
					line := strings.Join([]string{r.program, r.role, transport, direction, what, server, r.result}, " | ")
					to[version.ReplaceAllString(line, "$1")] = true
				}
			}
		}
	}
}

// parseRows reads the second table of a report.
func parseRows(doc string) ([]row, error) {
	_, table, _ := strings.Cut(doc, "## What crossed\n")
	table, _, _ = strings.Cut(table, "\n## ")
	var rows []row
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) == 1 || strings.HasPrefix(cells[0], "---") || strings.TrimSpace(cells[0]) == "program" {
			continue
		}
		if len(cells) != 7 {
			return nil, fmt.Errorf("docs/interop.md: this line does not have 7 cells: %s", line)
		}
		for i, c := range cells {
			cells[i] = strings.TrimSpace(c)
		}
		rows = append(rows, row{program: cells[0], role: cells[1], transports: cells[2], directions: cells[3], what: cells[4], servers: cells[5], result: cells[6]})
	}
	return rows, nil
}

// The report can be stale both ways, and other versions do not make it so.
func TestReportCanBeStale(t *testing.T) {
	filled := func() *register {
		r := &register{seen: map[crossing]bool{}, programs: map[string]string{}}
		for _, server := range []string{"Prosody 0.12.3", "ejabberd 23.01"} {
			for _, transport := range []string{"UDP", "TCP"} {
				for _, direction := range []string{toSIP, toXMPP} {
					r.add(passage{"baresip 1.0.0", "phone at Kamailio 5.6.3", transport, direction, "shown"}, server, []string{"text", "non-ASCII text"})
				}
			}
		}
		return r
	}
	r := filled()
	doc := r.report()
	if rows := r.rows(); len(rows) != 1 || rows[0].what != "text; non-ASCII text" || rows[0].transports != "TCP and UDP" {
		t.Errorf("rows: %q", rows)
	}
	newer := strings.NewReplacer("1.0.0", "2.3-rc1", "0.12.3", "13.0", "5.6.3", "6.0").Replace(doc)
	if err := r.compare(newer, true); err != nil {
		t.Errorf("other versions: %v", err)
	}
	more := filled()
	more.add(passage{"baresip 1.0.0", "phone at Kamailio 5.6.3", "TLS", toSIP, "shown"}, "Prosody 0.12.3", []string{"text"})
	if err := more.compare(doc, false); err == nil || !strings.Contains(err.Error(), "not in it: baresip | phone at Kamailio | TLS | XMPP to SIP | text | Prosody | shown") {
		t.Errorf("a row that is missing: %v", err)
	}
	if err := r.compare(more.report(), false); err != nil {
		t.Errorf("a row of a test that did not run: %v", err)
	}
	if err := r.compare(more.report(), true); err == nil || !strings.Contains(err.Error(), "did not cross") {
		t.Errorf("a row that did not cross: %v", err)
	}
}

// The section of another program outlives a new report.
func TestReportKeepsTheRest(t *testing.T) {
	r := &register{seen: map[crossing]bool{}, programs: map[string]string{}}
	rest := "\n<!-- make torture: do not edit -->\n\n## RFC 4475\n"
	file := filepath.Join(t.TempDir(), "interop.md")
	for _, old := range []string{"of old\n", "of old\n" + rest} {
		if err := os.WriteFile(file, []byte(old), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := r.write(file); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if want := r.report() + strings.TrimPrefix(old, "of old\n"); string(b) != want {
			t.Errorf("from %q came %q", old, b)
		}
	}
}
