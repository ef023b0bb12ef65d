package mapping

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
)

// The golden pairs of message/cpim are in testdata/cpim/*.txtar.
//
//	-- message --         in: a message/cpim, its lines ended by CRLF on the wire
//	-- read --            out: what it says; values in Go syntax, a namespace in angle brackets
//	-- written --         out: how stox writes the same, if not as it came
//	-- failure --         out, instead: what the sender is told
//
//	-- request --         in: what Wrap looks at of a request; Subjects: language and text
//	-- more --            in: further headers
//	-- message --         out: the body of what Wrap makes of it
//
// Controls stand as their pictures.
func TestCPIMGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/cpim/*.txtar")
	if err != nil || len(files) < 15 {
		t.Fatalf("%d golden pairs, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			have, err := txtar.ParseFile(file)
			if err != nil || len(have.Files) == 0 {
				t.Fatal("no sections", err)
			}
			want := &txtar.Archive{Comment: have.Comment}
			switch have.Files[0].Name {
			case "message":
				want.Files = append(have.Files[:1:1], goldenRead(t, have.Files[0].Data)...)
			case "request":
				if len(have.Files) < 2 || have.Files[1].Name != "more" {
					t.Fatal("no section more")
				}
				want.Files = append(have.Files[:2:2], goldenWrap(t, have.Files[0].Data, have.Files[1].Data))
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
			t.Errorf("the mapping makes\n%s\nif that is right: go test ./mapping -run TestCPIMGolden -update", got)
		})
	}
}

func goldenRead(t *testing.T, data []byte) []txtar.File {
	in := fromPage(string(data))
	c, err := ParseCPIM([]byte(in))
	var f *Failure
	if errors.As(err, &f) {
		return []txtar.File{section("failure", fmt.Sprintf("SIP/2.0 %d %s\n", f.Status, f.Reason))}
	}
	var b strings.Builder
	for _, h := range c.Headers {
		if h.Space != "" {
			b.WriteString("<" + h.Space + ">")
		}
		fmt.Fprintf(&b, "%s: ", h.Name)
		if h.Lang != "" {
			fmt.Fprintf(&b, "(%s) ", h.Lang)
		}
		fmt.Fprintf(&b, "%q\n", h.Value)
	}
	for _, name := range c.Refused() {
		fmt.Fprintf(&b, "refused: %s\n", name)
	}
	b.WriteString("\n")
	for _, a := range c.Content {
		fmt.Fprintf(&b, "%s: %s\n", a.Name, a.Value)
	}
	b.WriteString("\n" + toPage(string(c.Body)))
	files := []txtar.File{section("read", b.String())}
	if out := string(c.Append(nil)); out != in {
		files = append(files, section("written", toPage(out)))
	}
	return files
}

func goldenWrap(t *testing.T, request, more []byte) txtar.File {
	head, body, _ := strings.Cut(string(request), "\n\n")
	m := &SIPMessage{Body: []byte(fromPage(body))}
	for line := range strings.SplitSeq(head, "\n") {
		name, value, _ := strings.Cut(fromPictures(line), ": ")
		switch name {
		case "From":
			m.From = mustURI(t, value)
		case "To":
			m.To = mustURI(t, value)
		case "Date":
			at, err := time.Parse(time.RFC3339, value)
			if err != nil {
				t.Fatal(err)
			}
			m.Date = at
		case "Subject":
			m.Subject = value
		case "Subjects":
			lang, text, _ := strings.Cut(value, " ")
			m.Subjects = append(m.Subjects, Text{lang, text})
		case "Content-Type":
			m.ContentType = value
		case "Content-Disposition":
			m.Disposition = value
		default:
			t.Fatalf("header %q", line)
		}
	}
	var headers []CPIMHeader
	for line := range strings.Lines(string(more)) {
		name, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		if !ok {
			t.Fatalf("header %q", line)
		}
		h := CPIMHeader{Name: name, Value: value}
		if space, name, ok := strings.Cut(name, ">"); ok {
			h.Space, h.Name = strings.TrimPrefix(space, "<"), name
		}
		headers = append(headers, h)
	}
	return section("message", toPage(string(m.Wrap(headers...).Body)))
}

// fromPage is the text of a section as it is on the wire; the LF at its end belongs to
// the page.
func fromPage(s string) string { return fromPictures(crlf(strings.TrimSuffix(s, "\n"))) }

// toPage undoes it.
func toPage(s string) string { return toPictures(strings.ReplaceAll(s, "\r\n", "\n")) + "\n" }
