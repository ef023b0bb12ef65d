package house

import (
	"cmp"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the tables of docs/messages.md that are made from the source")

const messagesPage = root + "/docs/messages.md"

// logged are the warnings and errors that the program can log, and what else it logs with a
// remedy, with their levels. Of a text that is put together, … stands for what is put in.
func logged(files map[string]*ast.File) (levels map[string]string, unknown []string) {
	levels = map[string]string{}
	for name, file := range files {
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			sel, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || len(call.Args) == 0 || !isLog(sel.X) {
				return true
			}
			level, text := strings.ToUpper(sel.Sel.Name), call.Args[0]
			switch sel.Sel.Name {
			case "Warn", "Error":
			case "Info", "Debug":
				if !advises(call) {
					return true
				}
			case "Log": // with a level that is chosen at run time
				if !advises(call) {
					return true
				}
				level, text = "INFO", call.Args[2]
			default:
				return true
			}
			message, known := written(text)
			if !known {
				unknown = append(unknown, name)
			}
			levels[message] = level
			return true
		})
	}
	return levels, unknown
}

// advises reports whether a call has a remedy among its attributes.
func advises(call *ast.CallExpr) bool {
	found := false
	ast.Inspect(call, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Value == `"remedy"` {
			found = true
		}
		return true
	})
	return found
}

// isLog reports whether an expression is a logger, by its name: log, u.log, slog.
func isLog(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.Ident:
		return strings.HasSuffix(strings.ToLower(e.Name), "log") || strings.HasSuffix(strings.ToLower(e.Name), "logger")
	case *ast.SelectorExpr:
		return isLog(e.Sel)
	case *ast.CallExpr: // log.With(…)
		sel, ok := e.Fun.(*ast.SelectorExpr)
		return ok && isLog(sel.X)
	}
	return false
}

// written is what an expression says as far as it is written out: what is put in at run time
// is …; known reports whether there is anything else.
func written(e ast.Expr) (text string, known bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		if s, err := strconv.Unquote(e.Value); err == nil {
			return s, s != ""
		}
	case *ast.BinaryExpr:
		a, knowsA := written(e.X)
		b, knowsB := written(e.Y)
		return a + b, knowsA || knowsB
	case *ast.ParenExpr:
		return written(e.X)
	}
	return "…", false
}

var verb = regexp.MustCompile(`%(?:\[\d+\])?[-+# 0]*\d*(?:\.\d+)?[a-zA-Z%]`)

// format is a format with … for what is put in.
func format(s string) string {
	return verb.ReplaceAllStringFunc(s, func(v string) string {
		switch v[len(v)-1] {
		case '%':
			return "%"
		case 'q':
			return `"…"`
		}
		return "…"
	})
}

// source are the files of the program below a folder, by their paths.
func source(t *testing.T, folder string) map[string]*ast.File {
	t.Helper()
	files := map[string]*ast.File{}
	set := token.NewFileSet()
	err := filepath.WalkDir(filepath.Join(root, folder), func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == ".git" || d.Name() == "testdata" || name == filepath.Join(root, "test") || name == filepath.Join(root, "contrib")) {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(set, name, nil, 0)
		files[filepath.ToSlash(strings.TrimPrefix(name, root+"/"))] = f
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// Every warning and error of the log, and every other line with a remedy, is in docs/messages.md
// with its level, and nothing else.
func TestMessagesOfTheLog(t *testing.T) {
	b, err := os.ReadFile(messagesPage)
	if err != nil {
		t.Fatal(err)
	}
	_, text, ok := strings.Cut(string(b), "<!-- log -->\n")
	text, _, ok2 := strings.Cut(text, "<!-- end -->\n")
	if !ok || !ok2 {
		t.Fatal("docs/messages.md has no table of the log")
	}
	documented := map[string]string{}
	row := regexp.MustCompile("(?m)^\\| `([^`]+)` \\| (ERROR|WARN|INFO|DEBUG) \\| [^|]+ \\| [^|]+ \\|$")
	for _, m := range row.FindAllStringSubmatch(text, -1) {
		if documented[m[1]] != "" {
			t.Errorf("docs/messages.md has %q twice", m[1])
		}
		documented[m[1]] = m[2]
	}
	levels, unknown := logged(source(t, "."))
	for text, level := range levels {
		switch {
		case text == "…": // the texts of internal/config, which are in the first table of the page
		case documented[text] != level:
			t.Errorf("docs/messages.md has no row | `%s` | %s |", text, level)
		}
	}
	for text, level := range documented {
		if levels[text] == "" {
			t.Errorf("nobody logs %q (%s) any more", text, level)
		}
	}
	for _, name := range unknown {
		if name != "internal/app/certificates.go" {
			t.Errorf("%s logs a text that cannot be looked up", name)
		}
	}
	if len(levels) < 30 {
		t.Errorf("only %d found", len(levels))
	}
}

// link is what the log says of the link to the XMPP server, by its reason.
type linkFault struct{ reason, level, text string }

// linkFaults are those that component/fault.go tells apart.
func linkFaults(t *testing.T) (all []linkFault) {
	t.Helper()
	file := source(t, "component")["component/fault.go"]
	if file == nil {
		t.Fatal("component/fault.go is gone")
	}
	var around []ast.Node
	ast.Inspect(file, func(n ast.Node) bool {
		if n == nil {
			around = around[:len(around)-1]
			return true
		}
		around = append(around, n)
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) < 2 {
			return true
		}
		var clause *ast.CaseClause
		for _, a := range around {
			if c, ok := a.(*ast.CaseClause); ok {
				clause = c
			}
		}
		level := "WARN"
		if clause != nil && alarms(clause) {
			level = "ERROR"
		}
		switch f := call.Fun.(type) {
		case *ast.Ident: // set(reason, format, …)
			if text, known := written(call.Args[1]); f.Name == "set" && known {
				reason, ok := written(call.Args[0])
				if !ok {
					reason = "split" // a constant
				}
				all = append(all, linkFault{reason, level, format(text)})
			}
		case *ast.SelectorExpr: // f.text = fmt.Sprintf(format, …), of the conditions of the case
			if text, known := written(call.Args[0]); f.Sel.Name == "Sprintf" && known && clause != nil {
				var reasons []string
				for _, e := range clause.List {
					reason, _ := written(e)
					reasons = append(reasons, reason)
				}
				all = append(all, linkFault{cmp.Or(strings.Join(reasons, "`, `"), "any other word"), level, format(text)})
			}
		}
		return true
	})
	if len(all) < 20 {
		t.Errorf("only %d found", len(all))
	}
	return all
}

func alarms(clause *ast.CaseClause) bool {
	found := false
	for _, s := range clause.Body {
		assign, ok := s.(*ast.AssignStmt)
		if !ok {
			continue
		}
		for _, left := range assign.Lhs {
			if sel, ok := left.(*ast.SelectorExpr); ok && sel.Sel.Name == "alarm" {
				found = true
			}
		}
	}
	return found
}

// finding is something that stox doctor can find fault with.
type finding struct{ check, level, text, remedy string }

func findings(t *testing.T) (all []finding) {
	t.Helper()
	for _, file := range source(t, "internal/doctor") {
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if f, ok := call.Fun.(*ast.Ident); !ok || f.Name != "bad" || len(call.Args) < 4 {
				return true
			}
			text, known := written(call.Args[3])
			text = format(text)
			if !known || strings.Trim(text, "…: ") == "" {
				return true // the words of somebody else
			}
			f := finding{level: "warn or fail", text: text}
			if l, ok := call.Args[0].(*ast.Ident); ok && (l.Name == "Warn" || l.Name == "Fail") {
				f.level = strings.ToLower(l.Name)
			}
			if c, ok := call.Args[1].(*ast.Ident); ok {
				f.check = strings.ToLower(strings.TrimPrefix(c.Name, "check"))
			}
			f.remedy, known = written(call.Args[2])
			if !known {
				f.remedy = "the line says it"
			}
			all = append(all, f)
			return true
		})
	}
	if len(all) < 40 {
		t.Errorf("only %d found", len(all))
	}
	slices.SortFunc(all, func(a, b finding) int {
		return cmp.Or(cmp.Compare(a.check, b.check), cmp.Compare(strings.TrimLeft(a.text, "…: "), strings.TrimLeft(b.text, "…: ")), cmp.Compare(a.text, b.text))
	})
	return slices.Compact(all)
}

// The tables of docs/messages.md about the link and the doctor are what the source says.
func TestMessagesThatSayTheirRemedy(t *testing.T) {
	b, err := os.ReadFile(messagesPage)
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	var link, doctor strings.Builder
	link.WriteString("\n| reason | level | what the line says |\n|---|---|---|\n")
	for _, f := range linkFaults(t) {
		fmt.Fprintf(&link, "| `%s` | %s | %s |\n", f.reason, f.level, cell(f.text))
	}
	doctor.WriteString("\n| check | | what it finds | what to do |\n|---|---|---|---|\n")
	for _, f := range findings(t) {
		fmt.Fprintf(&doctor, "| `%s` | %s | %s | %s |\n", f.check, f.level, cell(f.text), cell(f.remedy))
	}
	for marker, table := range map[string]string{"link": link.String(), "doctor": doctor.String()} {
		head, rest, ok := strings.Cut(text, "<!-- made: "+marker+" -->\n")
		_, tail, ok2 := strings.Cut(rest, "<!-- end -->\n")
		if !ok || !ok2 {
			t.Fatalf("docs/messages.md has no place for the table %s", marker)
		}
		text = head + "<!-- made: " + marker + " -->\n" + table + "\n<!-- end -->\n" + tail
	}
	switch {
	case text == string(b):
	case *update:
		if err := os.WriteFile(messagesPage, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Error("docs/messages.md is not what the source says; run: go test ./test/house -update")
	}
}

// cell is a text in a table: nothing in it is Markdown.
func cell(s string) string {
	return strings.NewReplacer("|", `\|`, "<", "&lt;", "*", `\*`, "_", `\_`, "[", `\[`, "`", "'").Replace(s)
}
