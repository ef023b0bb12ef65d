package mapping

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"pgregory.net/rapid"
)

// PRES-18: each priority comes back, a greater one is greater, and whatever is read is in range.
func TestPriorityBijective(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Int8Range(0, 127).Draw(t, "a"), rapid.Int8Range(0, 127).Draw(t, "b")
		back, ok := readPriority(writePriority(a))
		if back != a || !ok {
			t.Fatalf("%d is %s is %d", a, writePriority(a), back)
		}
		if (a < b) != (len(writePriority(a)) < 5 && a == 0 && b > 0 || writePriority(a) < writePriority(b)) {
			t.Fatalf("%d is %s, and %d %s", a, writePriority(a), b, writePriority(b))
		}
		p := rapid.Float64Range(0, 1).Draw(t, "p")
		if n, ok := readPriority(fmt.Sprintf("%.9f", p)); !ok || n < 0 || float64(n) < p*127-1 || float64(n) > p*127+1.2 {
			t.Fatalf("%f is %d", p, n)
		}
	})
}

func anyStatus() *rapid.Generator[[]Text] {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Text {
		return Text{
			Lang:  rapid.SampledFrom([]string{"", "", "en", "EN", "cs", "zh-Hant-TW", "no language", "x\"y"}).Draw(t, "lang"),
			Value: rapid.OneOf(rapid.StringN(0, 30, 90), pieces([]string{"a", " ", "\n", "\r", "&", "<", "]]>", "\x00", "\ufffe", "é", strings.Repeat("ě", 300)}, 0, 4)).Draw(t, "text"),
		}
	}), 0, 4)
}

func anyStamp() *rapid.Generator[time.Time] {
	return rapid.Custom(func(t *rapid.T) time.Time {
		if rapid.Bool().Draw(t, "none") {
			return time.Time{}
		}
		return time.Unix(rapid.Int64Range(-1e12, 3e11).Draw(t, "seconds"), rapid.Int64Range(0, 999999999).Draw(t, "ns"))
	})
}

func anyPresence() *rapid.Generator[Resource] {
	return rapid.Custom(func(t *rapid.T) Resource {
		r := Resource{
			Open:        rapid.IntRange(0, 3).Draw(t, "open") > 0,
			Show:        Show(rapid.SampledFrom([]string{"", "away", "chat", "dnd", "xa", "asleep", "<"}).Draw(t, "show")),
			Status:      anyStatus().Draw(t, "status"),
			Priority:    rapid.Int8().Draw(t, "priority"),
			HasPriority: rapid.Bool().Draw(t, "prioritised"),
			Idle:        anyStamp().Draw(t, "idle"),
			Since:       anyStamp().Draw(t, "since"),
		}
		name := rapid.OneOf(rapid.StringMatching(`[A-Za-z0-9._-]{0,9}`), rapid.SampledFrom([]string{"", "IDbare", "ID-", "IDx-", "phone"}), pieces(userPieces, 1, 4), rapid.String()).Draw(t, "name")
		if n, f := resourcePart(name); f == nil && name != "" {
			r.Name = n
		}
		return r
	})
}

// comesBack is what is read of what was written of resources: every loss is named here.
func comesBack(resources []Resource) (out []Resource) {
	seen := map[string]bool{}
	for _, r := range resources {
		back := Resource{Name: r.Name, Open: r.Open, Since: stamp(r.Since)}
		if id := TupleID(r.Name); strings.HasPrefix(id, "IDx-") {
			back.Name = id
		}
		if seen[back.Name] {
			continue
		}
		seen[back.Name] = true
		for _, s := range r.Status {
			back.Status = addText(back.Status, s)
		}
		if r.Open {
			back.Show, back.Idle = ParseShow(string(r.Show)), stamp(r.Idle)
			if r.HasPriority && r.Priority >= 0 {
				back.Priority, back.HasPriority = r.Priority, true
			}
		}
		out = append(out, back)
	}
	if out == nil {
		out = []Resource{{}}
	}
	return out
}

// PRES-15 to PRES-21: what is written is a document by the schema of RFC 3863, and is read as
// what was written, with and without activities.
func TestPIDFReadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		resources := rapid.SliceOfN(anyPresence(), 0, 5).Draw(t, "resources")
		entity, err := ParseURI(anyURI().Draw(t, "entity"))
		if err != nil {
			entity = MustParseURI("sip:o'm%26m%3C@example.com")
		}
		options := PIDFOptions{Activities: rapid.Bool().Draw(t, "activities")}
		doc := AppendPIDF(nil, entity, resources, options)
		if err := schemaPIDF(doc); err != nil {
			t.Fatalf("%v: %s", err, doc)
		}
		d, err := ReadPIDF(TypePIDF, doc)
		if err != nil {
			t.Fatalf("%v: %s", err, doc)
		}
		if want := entity.WithScheme("pres"); d.Entity != want {
			if again, err := ParseURI(want.String()); err != nil || d.Entity != again {
				t.Fatalf("about %+v, want %+v: %s", d.Entity, want, doc)
			}
		}
		if diff := cmp.Diff(comesBack(resources), d.Resources()); diff != "" {
			t.Fatalf("%s: %s", diff, doc)
		}
		if again := AppendPIDF(nil, entity, resources, options); string(again) != string(doc) {
			t.Fatalf("%s, and again %s", doc, again)
		}
	})
}

// pidfOrder is the order of the children of each element that has any (RFC 3863 §4.4), by
// name. A "*" stands behind what may be there several times.
var pidfOrder = map[string][]string{
	"presence":   {"tuple*", "note*", "person"},
	"tuple":      {"status", "user-input", "contact", "note*", "timestamp"},
	"status":     {"basic", "show"},
	"person":     {"activities"},
	"activities": {"away", "busy"},
}

// pidfSpace is whose elements they are; all others are of PIDF itself.
var pidfSpace = map[string]string{"show": nsClient, "user-input": nsRPID, "activities": nsRPID, "away": nsRPID, "busy": nsRPID, "person": nsModel}

// schemaPIDF reports what is wrong with a document that is to be strict.
func schemaPIDF(doc []byte) error {
	dec := xml.NewDecoder(strings.NewReader(string(doc)))
	type element struct {
		name string
		at   int // how far in the order it is
	}
	var open []element
	ids := map[string]bool{}
	for {
		tok, err := dec.Token()
		if errors.Is(err, io.EOF) {
			if len(ids) == 0 {
				return errors.New("no tuple")
			}
			return nil
		}
		if err != nil {
			return err
		}
		switch tok := tok.(type) {
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.StartElement:
			name := tok.Name.Local
			space := pidfSpace[name]
			if space == "" {
				space = nsPIDF
			}
			if tok.Name.Space != space {
				return fmt.Errorf("%v", tok.Name)
			}
			if len(open) > 0 {
				parent := &open[len(open)-1]
				order := pidfOrder[parent.name]
				i := slices.IndexFunc(order, func(s string) bool { return strings.TrimSuffix(s, "*") == name })
				if i < 0 || i < parent.at {
					return fmt.Errorf("%s in %s", name, parent.name)
				}
				if parent.at = i; !strings.HasSuffix(order[i], "*") {
					parent.at++
				}
			}
			for _, a := range tok.Attr {
				if a.Name.Local != "id" {
					continue
				}
				first := strings.Trim(a.Value[:1], "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_")
				if first != "" || strings.Trim(a.Value, alphanum+"._-") != "" || ids[a.Value] {
					return fmt.Errorf("id %q", a.Value)
				}
				ids[a.Value] = true
			}
			open = append(open, element{name: name})
		}
	}
}

// FuzzPIDF: whatever comes is a document or an error; what is shown of it is what stanzas can
// say; and written anew it reads as the same.
func FuzzPIDF(f *testing.F) {
	files, err := filepath.Glob("testdata/pidf/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		a, err := txtar.ParseFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for _, s := range a.Files {
			f.Add(s.Data)
		}
	}
	f.Add([]byte("<\x00p\x00/\x00>\x00"))
	f.Add([]byte("\xfe\xff\x00<\x00p\x00/\x00>"))
	entity := MustParseURI("sip:juliet@example.com")
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := ReadPIDF(TypePIDF, b)
		if err != nil {
			var f *Failure
			if !errors.As(err, &f) || f.Status < 400 || d != nil {
				t.Fatalf("%v", err)
			}
			return
		}
		resources := d.Resources()
		checkShown(t, resources)
		if c := CompareResources(resources, d.Resources()); len(c.Changed)+len(c.Gone) > 0 || len(c.Same) != len(resources) {
			t.Fatalf("changed by itself: %+v", c)
		}
		twice := ComposePIDF(d, d).Resources()
		if diff := cmp.Diff(resources, twice); diff != "" {
			t.Fatal(diff)
		}
		for _, o := range []PIDFOptions{{}, {Activities: true}} {
			written := AppendPIDF(nil, entity, resources, o)
			if err := schemaPIDF(written); err != nil {
				t.Fatalf("%v: %s", err, written)
			}
			if diff := cmp.Diff(comesBack(resources), mustReadPIDF(t, string(written)).Resources()); diff != "" {
				t.Fatalf("%s: %s", diff, written)
			}
		}
	})
}

// checkShown reports what is no presence that a stanza can show.
func checkShown(t *testing.T, resources []Resource) {
	t.Helper()
	names := map[string]bool{}
	for _, r := range resources {
		j, err := NewJID("romeo", "example.net", r.Name)
		if err != nil || j.Resource() != r.Name || names[r.Name] {
			t.Fatalf("%q: %v", r.Name, err)
		}
		names[r.Name] = true
		if ParseShow(string(r.Show)) != r.Show || r.Priority < 0 || r.Priority != 0 && !r.HasPriority || len(r.Status) > maxStatusLang {
			t.Fatalf("%+v", r)
		}
		if !r.Open && (r.Show != ShowNone || r.HasPriority || !r.Idle.IsZero()) {
			t.Fatalf("%+v", r)
		}
		for i, s := range r.Status {
			if s.Value == "" || len(s.Value) > maxStatus || illegalXML(s.Value) >= 0 || LanguageTag(s.Lang) != s.Lang || hasLang(r.Status[:i], s.Lang) {
				t.Fatalf("%+v", s)
			}
		}
	}
	if len(resources) == 0 || len(resources) > maxTuples {
		t.Fatalf("%d resources", len(resources))
	}
}
