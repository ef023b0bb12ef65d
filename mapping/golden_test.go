package mapping

import (
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
)

var updateGolden = flag.Bool("update", false, "write what the mapping makes into testdata/*.txtar")

// The golden pairs are in testdata/*.txtar, each a page to read: the comment says
// what it shows, the first section is what comes in, the following ones what
// becomes of it.
//
//	-- stanza --          in: a message stanza
//	-- request --         out: the MESSAGE request; "(chosen by the bridge)" is what ToSIP leaves empty
//	-- answer --          and back: the stanza, if the contact sends the same request in return
//
//	-- request --         in: a MESSAGE request
//	-- stanza --          out: the message stanza
//
//	-- failure --         out, instead: what either side is told
//	-- nothing --         out, instead: no value and no error
//
// Control characters in a body stand as their pictures: ␍ is a CR, ␀ a NUL. The
// rules are those of testRules. What a request has for its content and its time is in
// golden_content_test.go.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) < 15 {
		t.Fatalf("%d golden pairs, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			have, err := txtar.ParseFile(file)
			if err != nil || len(have.Files) == 0 {
				t.Fatal("no sections", err)
			}
			in := have.Files[0]
			want := &txtar.Archive{Comment: have.Comment, Files: []txtar.File{in}}
			switch in.Name {
			case "stanza":
				want.Files = append(want.Files, goldenToSIP(t, readStanza(t, in.Data))...)
			case "request":
				want.Files = append(want.Files, goldenToXMPP(t, readRequest(t, in.Data))...)
			default:
				t.Fatalf("section %q cannot come in", in.Name)
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
			t.Errorf("the mapping makes\n%s\nif that is right: go test ./mapping -run TestGolden -update", got)
		})
	}
}

func goldenToSIP(t *testing.T, m *XMPPMessage) []txtar.File {
	r := testRules(t)
	out, err := r.ToSIP(m)
	if f := unsaid(len(out), err); f != nil {
		return f
	}
	var files []txtar.File
	for _, v := range out {
		m := v.(*SIPMessage)
		files = append(files, section("request", printRequest(m)))
		reply := *m
		reply.RequestURI, reply.From, reply.To = m.From, m.RequestURI, m.From
		back, err := r.ToXMPP(&reply)
		if err != nil || len(back) != 1 {
			t.Fatalf("the answer does not come back: %v %v", back, err)
		}
		files = append(files, section("answer", printStanza(back[0].(*XMPPMessage))))
	}
	return files
}

func goldenToXMPP(t *testing.T, m *SIPMessage) []txtar.File {
	out, err := testRules(t).ToXMPP(m)
	if f := unsaid(len(out), err); f != nil {
		return f
	}
	var files []txtar.File
	for _, v := range out {
		switch v := v.(type) {
		case *XMPPMessage:
			files = append(files, section("stanza", printStanza(v)))
		case *IMDN:
			files = append(files, section("notification", fmt.Sprintf("%s -> %s: message %s: %s\n", v.From, v.To, v.MessageID, v.Says)))
		case *XMPPState:
			files = append(files, section("state", printState(v)))
		default:
			t.Fatalf("%T", v)
		}
	}
	return files
}

// unsaid is the section that stands for an error or for nothing at all, else nil.
func unsaid(values int, err error) []txtar.File {
	var f *Failure
	switch {
	case errors.As(err, &f):
		reason := f.Reason
		if reason == "" {
			reason = ReasonPhrase(f.Status)
		}
		// The sentence is left out: wording is not what these pages are about.
		s := fmt.Sprintf("SIP/2.0 %d %s\n<error type='%s'><%s/></error>\n", f.Status, reason, f.Type, f.Condition)
		if f.Warning != "" {
			s += "Warning: " + f.Warning + "\n"
		}
		if f.Accept != "" {
			s += "Accept: " + f.Accept + "\n"
		}
		if f.AcceptEncoding != "" {
			s += "Accept-Encoding: " + f.AcceptEncoding + "\n"
		}
		return []txtar.File{section("failure", s)}
	case values == 0:
		return []txtar.File{section("nothing", "")}
	}
	return nil
}

func section(name, data string) txtar.File { return txtar.File{Name: name, Data: []byte(data)} }

func readStanza(t *testing.T, data []byte) *XMPPMessage {
	t.Helper()
	type text struct {
		Lang  string `xml:"http://www.w3.org/XML/1998/namespace lang,attr"`
		Value string `xml:",chardata"`
	}
	var s struct {
		From   string `xml:"from,attr"`
		To     string `xml:"to,attr"`
		ID     string `xml:"id,attr"`
		Type   string `xml:"type,attr"`
		Lang   string `xml:"http://www.w3.org/XML/1998/namespace lang,attr"`
		Thread string `xml:"thread"`

		Subjects []text `xml:"subject"`
		Bodies   []text `xml:"body"`

		// As component reads them; the rest of it is tested there.
		Delay *struct {
			Stamp time.Time `xml:"stamp,attr"`
		} `xml:"urn:xmpp:delay delay"`
		URLs      []string  `xml:"jabber:x:oob x>url"`
		Encrypted *struct{} `xml:"urn:xmpp:eme:0 encryption"`
	}
	if err := xml.Unmarshal(data, &s); err != nil {
		t.Fatal(err)
	}
	m := &XMPPMessage{From: MustParseJID(s.From), To: MustParseJID(s.To), ID: s.ID, Type: s.Type, Lang: s.Lang, Thread: s.Thread}
	for _, x := range s.Subjects {
		m.Subjects = append(m.Subjects, Text(x))
	}
	for _, x := range s.Bodies {
		m.Bodies = append(m.Bodies, Text(x))
	}
	if s.Delay != nil {
		m.Delay = s.Delay.Stamp
	}
	m.URLs, m.Encrypted = s.URLs, s.Encrypted != nil
	return m
}

func printStanza(m *XMPPMessage) string {
	var b strings.Builder
	attr := func(name, val string) {
		if val != "" {
			fmt.Fprintf(&b, " %s='%s'", name, escape(val))
		}
	}
	elem := func(name, lang, val string) {
		b.WriteString("\n  <" + name)
		attr("xml:lang", lang)
		b.WriteString(">" + escape(val) + "</" + name + ">")
	}
	b.WriteString("<message")
	attr("from", m.From.String())
	attr("to", m.To.String())
	attr("id", m.ID)
	attr("type", m.Type)
	attr("xml:lang", m.Lang)
	b.WriteString(">")
	for _, x := range m.Subjects {
		elem("subject", x.Lang, x.Value)
	}
	if m.Thread != "" {
		elem("thread", "", m.Thread)
	}
	for _, x := range m.Bodies {
		elem("body", x.Lang, x.Value)
	}
	printExtensions(&b, m)
	return b.String() + "\n</message>\n"
}

func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "'", "&apos;").Replace(s)
}

const chosen = "(chosen by the bridge)"

// readRequest reads the few headers that the mapping looks at.
func readRequest(t *testing.T, data []byte) *SIPMessage {
	t.Helper()
	head, body, _ := strings.Cut(strings.TrimSuffix(string(data), "\n"), "\n\n")
	lines := strings.Split(head, "\n")
	uri, ok := strings.CutPrefix(strings.TrimSuffix(lines[0], " SIP/2.0"), "MESSAGE ")
	if !ok {
		t.Fatalf("start line %q", lines[0])
	}
	m := &SIPMessage{RequestURI: mustURI(t, uri), CSeq: 1, FromTag: "t", Body: []byte(fromPictures(body))}
	for _, line := range lines[1:] {
		name, val, ok := strings.Cut(line, ": ")
		if !ok {
			t.Fatalf("header %q", line)
		}
		switch name {
		case "From":
			display, addr, _ := strings.Cut(val, "<")
			m.Name = strings.Trim(display, `" `)
			m.From = mustURI(t, strings.TrimSuffix(addr, ">"))
		case "To":
			m.To = mustURI(t, strings.Trim(val, "<>"))
		case "Call-ID":
			m.CallID = val
		case "Subject":
			m.Subject = val
		case "Content-Language":
			m.Lang = val
		case "Content-Type":
			m.ContentType = val
		default:
			readContentHeader(t, m, name, val)
		}
	}
	if m.Encoding != "" {
		m.Body = fromHex(t, body)
	}
	return m
}

func mustURI(t *testing.T, s string) URI {
	t.Helper()
	u, err := ParseURI(s)
	if err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return u
}

func printRequest(m *SIPMessage) string {
	var b strings.Builder
	header := func(name, val string) {
		if val != "" {
			fmt.Fprintf(&b, "%s: %s\n", name, val)
		}
	}
	fmt.Fprintf(&b, "MESSAGE %s SIP/2.0\n", m.RequestURI)
	header("From", "<"+m.From.String()+">") // ToSIP sets no display name
	header("To", "<"+m.To.String()+">")
	callID := m.CallID
	if callID == "" {
		callID = chosen
	}
	header("Call-ID", callID)
	if !m.Date.IsZero() {
		header("Date", m.Date.Format("Mon, 02 Jan 2006 15:04:05 GMT"))
	}
	header("Subject", m.Subject)
	header("Content-Language", m.Lang)
	header("Content-Type", m.ContentType)
	return b.String() + "\n" + toPictures(string(m.Body)) + "\n"
}

// toPictures shows controls, all but LF, as their Control Pictures (U+2400 ...).
func toPictures(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 && r != '\n' {
			return r + 0x2400
		}
		return r
	}, s)
}

func fromPictures(s string) string {
	return strings.Map(func(r rune) rune {
		if 0x2400 <= r && r < 0x2420 {
			return r - 0x2400
		}
		return r
	}, s)
}
