package commands

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/stoxgw/stox/internal/texts"
)

// A text that nobody is told is not to be translated.
func TestEachTextIsSaid(t *testing.T) {
	said := map[string]bool{}
	for _, dir := range []string{".", "../texts", "../bridge", "../app"} {
		files, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if !strings.HasSuffix(file.Name(), ".go") || strings.HasSuffix(file.Name(), "_test.go") {
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, file.Name()), nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(f, func(n ast.Node) bool {
				sel, ok := n.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				switch of := sel.X.(type) {
				case *ast.SelectorExpr: // c.t.Labels.Time
					said[of.Sel.Name+"."+sel.Sel.Name] = true
				case *ast.Ident: // l.Time: see short
					said[of.Name+"."+sel.Sel.Name] = true
				}
				return true
			})
		}
	}
	short := map[string][]string{"Labels": {"l"}, "Account": {"t"}, "Register": {"t"}, "Words": {"w"}}
	all := reflect.TypeFor[texts.Texts]()
	seen := 0
	for i := range all.NumField() {
		part := all.Field(i)
		if part.Type.Kind() != reflect.Struct {
			continue
		}
		for j := range part.Type.NumField() {
			name := part.Type.Field(j).Name
			used := said[part.Name+"."+name]
			for _, s := range short[part.Name] {
				used = used || said[s+"."+name]
			}
			if seen++; !used {
				t.Errorf("%s.%s is never said", part.Name, name)
			}
		}
	}
	if seen < 100 {
		t.Errorf("only %d texts were looked at", seen)
	}
}
