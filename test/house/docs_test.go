// Package house keeps the documents true to the tree.
package house

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const root = "../.."

var tableRow = regexp.MustCompile(`^\| ([^|]+) \| ([^|]+) \|([^|]*)\|`)

// Every standard that docs/specs.md calls done names where, and that is there.
func TestSpecsNameTheirFiles(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(root, "docs/specs.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for line := range strings.Lines(string(b)) {
		m := tableRow.FindStringSubmatch(line)
		if m == nil || m[1] == "document" || strings.HasPrefix(m[1], "-") {
			continue
		}
		rows++
		document, status, where := m[1], m[2], strings.TrimSpace(m[3])
		switch status {
		case "yes", "partial":
			if where == "" {
				t.Errorf("%s: %s, but not where", document, status)
			}
			for _, f := range strings.Split(where, ", ") {
				if _, err := os.Stat(filepath.Join(root, f)); where != "" && err != nil {
					t.Errorf("%s: %v", document, err)
				}
			}
		case "no", "not in this version":
		default:
			t.Errorf("%s: %q is no status", document, status)
		}
	}
	if rows < 30 {
		t.Errorf("only %d rows found: has the table changed its form?", rows)
	}
}

// Requirement ids in tests and comments are rows of docs/requirements.md.
func TestRequirementIDsExist(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(root, "docs/requirements.md"))
	if err != nil {
		t.Fatal(err)
	}
	id := regexp.MustCompile(`\b(?:ADDR|IM|CT|ERR|GW|SIP|SEC|PRES|CHAT|GC)-\d\d\b`)
	known := map[string]bool{}
	for line := range strings.Lines(string(b)) {
		if strings.HasPrefix(line, "| ") {
			known[id.FindString(line)] = true
		}
	}
	cited := 0
	err = filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == ".git" || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, found := range id.FindAllString(string(src), -1) {
			cited++
			if !known[found] {
				t.Errorf("%s cites %s, which is no requirement", path, found)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if cited < 100 {
		t.Errorf("only %d citations found", cited)
	}
}
