package house

import (
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// page is a document: its links, and the anchors that its headings make.
type page struct {
	links   []link
	anchors map[string]bool
}

type link struct {
	line int
	to   string
}

var (
	linkTo   = regexp.MustCompile(`\]\(([^()\s]*)\)`)
	heading  = regexp.MustCompile(`^#{1,6} +(.+?) *#*$`)
	codeSpan = regexp.MustCompile("`+[^`]*`+")
	linkText = regexp.MustCompile(`!?\[([^\]]*)\]\([^)]*\)`)
	comment  = regexp.MustCompile(`<!--.*?-->`)
	named    = regexp.MustCompile(`\bdocs/[A-Za-z0-9_-]+\.(?:md|svg)\b`)
)

// read takes a document apart. What is in a block of code is no link and no heading.
func read(text string) (p page, err error) {
	p.anchors = map[string]bool{}
	times := map[string]int{}
	fence := ""
	for i, line := range strings.Split(text, "\n") {
		trimmed := strings.TrimSpace(line)
		switch {
		case fence != "":
			if trimmed == fence {
				fence = ""
			}
			continue
		case strings.HasPrefix(trimmed, "```"):
			fence = "```"
			continue
		case strings.HasPrefix(line, "    "):
			continue
		}
		if m := heading.FindStringSubmatch(line); m != nil {
			a := anchor(m[1])
			if n := times[a]; n > 0 {
				p.anchors[fmt.Sprintf("%s-%d", a, n)] = true
			} else {
				p.anchors[a] = true
			}
			times[a]++
		}
		for _, m := range linkTo.FindAllStringSubmatch(codeSpan.ReplaceAllString(comment.ReplaceAllString(line, ""), "code"), -1) {
			p.links = append(p.links, link{i + 1, m[1]})
		}
	}
	if fence != "" {
		return p, fmt.Errorf("a block of code has no end")
	}
	return p, nil
}

// anchor is what a forge makes of a heading: letters, digits, hyphens and underscores, in
// lower case, with a hyphen for each space.
func anchor(text string) string {
	text = linkText.ReplaceAllString(text, "$1")
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
			return unicode.ToLower(r)
		case r == ' ':
			return '-'
		}
		return -1
	}, text)
}

// pages are the documents of the tree, by their paths from its top. (What lies beside the
// source is a part of one of them, and written for its place in that.)
func pages(t *testing.T) map[string]page {
	t.Helper()
	all := map[string]page{}
	add := func(file string) error {
		b, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		p, err := read(string(b))
		if err != nil {
			return fmt.Errorf("%s: %w", rel, err)
		}
		all[filepath.ToSlash(rel)] = p
		return nil
	}
	top, err := filepath.Glob(filepath.Join(root, "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range top {
		if err := add(file); err != nil {
			t.Fatal(err)
		}
	}
	for _, folder := range []string{"docs", "contrib"} {
		err := filepath.WalkDir(filepath.Join(root, folder), func(file string, d fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(file, ".md") {
				return err
			}
			return add(file)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// target is the path and the anchor that a link in a file leads to; elsewhere says that
// this is not in the tree.
func target(file, to string) (name, anchor string, elsewhere bool, err error) {
	u, err := url.Parse(to)
	switch {
	case err != nil:
		return "", "", false, err
	case u.Scheme != "" && (u.Scheme != "https" || u.Host == ""):
		return "", "", false, fmt.Errorf("not an https link")
	case u.Scheme != "":
		return "", "", true, nil
	case u.Host != "" || strings.HasPrefix(u.Path, "/"):
		return "", "", false, fmt.Errorf("not a relative link")
	case u.Path == "":
		return file, u.Fragment, false, nil
	}
	return path.Join(path.Dir(file), u.Path), u.Fragment, false, nil
}

// Links in the documents lead to files and headings that are there.
func TestLinksLeadSomewhere(t *testing.T) {
	all := pages(t)
	links, anchors := 0, 0
	for file, p := range all {
		for _, l := range p.links {
			links++
			name, anchor, elsewhere, err := target(file, l.to)
			if elsewhere {
				continue
			}
			if err == nil {
				_, err = os.Stat(filepath.Join(root, name))
			}
			if err != nil {
				t.Errorf("%s:%d: %s: %v", file, l.line, l.to, err)
				continue
			}
			if anchor == "" {
				continue
			}
			anchors++
			if to, ok := all[name]; !ok || !to.anchors[anchor] {
				t.Errorf("%s:%d: %s has no heading %q", file, l.line, name, anchor)
			}
		}
	}
	if links < 100 || anchors < 50 {
		t.Errorf("only %d links found, %d of them to headings", links, anchors)
	}
}

// Every document can be reached from README.md, and every page of the manual is in its
// table of contents.
func TestManualIsWhole(t *testing.T) {
	all := pages(t)
	leads := func(file string) (to []string) {
		for _, l := range all[file].links {
			if name, _, elsewhere, err := target(file, l.to); err == nil && !elsewhere {
				to = append(to, name)
			}
		}
		return to
	}
	reached := map[string]bool{"README.md": true}
	for next := []string{"README.md"}; len(next) > 0; next = next[1:] {
		for _, name := range leads(next[0]) {
			if _, ok := all[name]; ok && !reached[name] {
				reached[name] = true
				next = append(next, name)
			}
		}
	}
	contents := leads("docs/README.md")
	for file := range all {
		if !reached[file] {
			t.Errorf("nothing leads from README.md to %s", file)
		}
		if path.Dir(file) == "docs" && file != "docs/README.md" && !slices.Contains(contents, file) {
			t.Errorf("docs/README.md does not have %s", file)
		}
	}
}

// What the texts of the program, the comments and the documents call docs/… is there.
func TestNamedDocumentsExist(t *testing.T) {
	found := 0
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == ".git" || d.Name() == "testdata" || d.Name() == "bin") {
			return filepath.SkipDir
		}
		if ext := filepath.Ext(file); ext != ".go" && ext != ".md" && ext != ".service" && d.Name() != "Makefile" {
			return nil
		}
		b, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		for _, name := range named.FindAllString(string(b), -1) {
			found++
			if _, err := os.Stat(filepath.Join(root, name)); err != nil {
				t.Errorf("%s names %s: %v", file, name, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if found < 50 {
		t.Errorf("only %d found", found)
	}
}

func TestAnchor(t *testing.T) {
	for heading, want := range map[string]string{
		"The queue":                    "the-queue",
		"Is everything in order?":      "is-everything-in-order",
		"[[sip.peer]]":                 "sippeer",
		"sip.route.max_message_bytes":  "siproutemax_message_bytes",
		"message/cpim":                 "messagecpim",
		"See [the `trail`](x.md#y) ž":  "see-the-trail-ž",
		"SMS trunks, and PBXs with it": "sms-trunks-and-pbxs-with-it",
	} {
		if got := anchor(heading); got != want {
			t.Errorf("%q: %q, not %q", heading, got, want)
		}
	}
	p, err := read("# One\n```sh\n# no heading [no](link)\n```\n## One\n    [no](link)\n`[no](link)` [`a`](b.md#c)\n")
	if err != nil || !p.anchors["one"] || !p.anchors["one-1"] || len(p.anchors) != 2 || len(p.links) != 1 || p.links[0] != (link{7, "b.md#c"}) {
		t.Errorf("%+v, %v", p, err)
	}
	if _, err := read("```sh\nls\n"); err == nil {
		t.Error("a block without an end is not noticed")
	}
}
