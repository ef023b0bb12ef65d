package mapping

import (
	"encoding/xml"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
)

// The golden pairs of presence are in testdata/pidf/*.txtar.
//
//	-- document --        in: a presence document; its type is application/pidf+xml
//	-- cpim --            in, instead: a message/cpim, its lines ended by CRLF on the wire
//	-- shown --           out: whom it says it is about, and the presence that is shown
//	-- failure --         out, instead: what the sender is told
//
//	-- stanzas --         in: the presence of the resources of juliet@example.com
//	-- written --         out: the document, in one line on the wire as here
//	-- with activities -- out: the same with what the person does
//
//	-- publication --     in: documents of one presentity, the oldest first
//	-- shown --           out: what is shown of all together
//
//	-- before --          in: a document, and then
//	-- now --             in: the next one
//	-- changes --         out: what is to be told of it
func TestPIDFGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/pidf/*.txtar")
	if err != nil || len(files) < 30 {
		t.Fatalf("%d golden pairs, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			have, err := txtar.ParseFile(file)
			if err != nil || len(have.Files) == 0 {
				t.Fatal("no sections", err)
			}
			want := &txtar.Archive{Comment: have.Comment, Files: have.Files[:1:1]}
			in := have.Files[0].Data
			switch have.Files[0].Name {
			case "document":
				want.Files = append(want.Files, goldenShown(ReadPIDF(TypePIDF, in)))
			case "cpim":
				want.Files = append(want.Files, goldenShown(ReadPIDF(TypeCPIM, []byte(fromPage(string(in))))))
			case "stanzas":
				want.Files = append(want.Files, goldenWritten(t, in)...)
			case "publication":
				var all []*Document
				want.Files = nil
				for _, f := range have.Files {
					if f.Name == "publication" {
						want.Files = append(want.Files, f)
						all = append(all, mustReadPIDF(t, string(f.Data)))
					}
				}
				want.Files = append(want.Files, goldenShown(ComposePIDF(all...), nil))
			case "before":
				if len(have.Files) < 2 || have.Files[1].Name != "now" {
					t.Fatal("no section now")
				}
				want.Files = append(have.Files[:2:2], goldenChanges(t, string(in), string(have.Files[1].Data)))
			default:
				t.Fatalf("section %q cannot come in", have.Files[0].Name)
			}
			got := string(txtar.Format(want))
			if got == string(txtar.Format(have)) {
				return
			}
			if *updateGolden {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			t.Errorf("the mapping makes\n%s\nif that is right: go test ./mapping -run TestPIDFGolden -update", got)
		})
	}
}

func mustReadPIDF(t testing.TB, doc string) *Document {
	t.Helper()
	d, err := ReadPIDF(TypePIDF, []byte(doc))
	if err != nil {
		t.Fatalf("%v of %s", err, doc)
	}
	return d
}

func goldenShown(d *Document, err error) txtar.File {
	var f *Failure
	if errors.As(err, &f) {
		s := fmt.Sprintf("SIP/2.0 %d %s\n", f.Status, ReasonPhrase(f.Status))
		if f.Accept != "" {
			s += "Accept: " + f.Accept + "\n"
		}
		return section("failure", s)
	}
	s := "entity: " + d.Entity.String() + "\n"
	for _, r := range d.Resources() {
		s += printPresence("romeo@example.net", "", r) + "\n"
	}
	return section("shown", s)
}

func goldenWritten(t *testing.T, stanzas []byte) []txtar.File {
	var all []Resource
	for _, p := range readPresence(t, stanzas) {
		all = append(all, p.resource())
	}
	entity := MustParseURI("sip:juliet@example.com")
	files := []txtar.File{section("written", string(AppendPIDF(nil, entity, all, PIDFOptions{}))+"\n")}
	if with := string(AppendPIDF(nil, entity, all, PIDFOptions{Activities: true})) + "\n"; with != string(files[0].Data) {
		files = append(files, section("with activities", with))
	}
	return files
}

func goldenChanges(t *testing.T, before, now string) txtar.File {
	c := CompareResources(mustReadPIDF(t, before).Resources(), mustReadPIDF(t, now).Resources())
	var b strings.Builder
	for _, list := range []struct {
		what string
		of   []Resource
	}{{"gone", c.Gone}, {"changed", c.Changed}, {"same", c.Same}} {
		for _, r := range list.of {
			b.WriteString(list.what + ": " + printPresence("romeo@example.net", "", r) + "\n")
		}
	}
	return section("changes", b.String())
}

// printPresence is the stanza that shows r, in the form of the vectors.
func printPresence(from, to string, r Resource) string {
	var b strings.Builder
	elem := func(name, attrs, value string) { fmt.Fprintf(&b, "<%s%s>%s</%s>", name, attrs, escape(value), name) }
	if r.Show != ShowNone {
		elem("show", "", string(r.Show))
	}
	for _, s := range r.Status {
		lang := ""
		if s.Lang != "" {
			lang = " xml:lang='" + s.Lang + "'"
		}
		elem("status", lang, s.Value)
	}
	if r.HasPriority {
		elem("priority", "", fmt.Sprint(r.Priority))
	}
	if !r.Idle.IsZero() {
		fmt.Fprintf(&b, "<idle xmlns='urn:xmpp:idle:1' since='%s'/>", r.Idle.Format(time.RFC3339))
	}
	if !r.Since.IsZero() {
		fmt.Fprintf(&b, "<!-- said %s -->", r.Since.Format(time.RFC3339))
	}
	if r.Name != "" {
		from += "/" + r.Name
	}
	head := "<presence from='" + escape(from) + "'"
	if to != "" {
		head += " to='" + to + "'"
	}
	if !r.Open {
		head += " type='unavailable'"
	}
	if b.Len() == 0 {
		return head + "/>"
	}
	return head + ">" + b.String() + "</presence>"
}

// presence is a presence stanza as the tests read it.
type presence struct {
	From     string `xml:"from,attr"`
	To       string `xml:"to,attr"`
	Type     string `xml:"type,attr"`
	Show     string `xml:"show"`
	Priority *int8  `xml:"priority"`
	Status   []struct {
		Lang  string `xml:"http://www.w3.org/XML/1998/namespace lang,attr"`
		Value string `xml:",chardata"`
	} `xml:"status"`
	Idle *struct {
		Since time.Time `xml:"since,attr"`
	} `xml:"urn:xmpp:idle:1 idle"`
	Delay *struct { // stands for the time when it came
		Stamp time.Time `xml:"stamp,attr"`
	} `xml:"urn:xmpp:delay delay"`
}

func (p *presence) resource() Resource {
	_, name, _ := strings.Cut(p.From, "/")
	r := Resource{Name: name, Open: p.Type == "", Show: Show(p.Show)}
	if p.Priority != nil {
		r.Priority, r.HasPriority = *p.Priority, true
	}
	for _, s := range p.Status {
		r.Status = append(r.Status, Text(s))
	}
	if p.Idle != nil {
		r.Idle = p.Idle.Since
	}
	if p.Delay != nil {
		r.Since = p.Delay.Stamp
	}
	return r
}

func readPresence(t *testing.T, stanzas []byte) []presence {
	t.Helper()
	var all struct {
		Presence []presence `xml:"presence"`
	}
	if err := xml.Unmarshal([]byte("<s>"+string(stanzas)+"</s>"), &all); err != nil || len(all.Presence) == 0 && len(stanzas) > 1 {
		t.Fatal(err)
	}
	return all.Presence
}
