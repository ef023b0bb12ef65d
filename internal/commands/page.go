package commands

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/stoxgw/stox/mapping"
)

// Types of notes (XEP-0050 §4.3).
const (
	noteInfo  = "info"
	noteWarn  = "warn"
	noteError = "error"
)

// page is an answer, which is a form or a text.
type page struct {
	title    string
	note     string
	kind     string // of note; "" is noteInfo
	warning  string // said besides
	formType string // FORM_TYPE of the form (XEP-0068), "" if it has none
	pairs    []pair
	columns  []column
	rows     [][]string // beside columns
	more     string     // what is below the rows
}

type pair struct {
	name, label string
	values      []string
	typ         mapping.FieldType
}

type column struct{ name, label string }

// add adds what is known.
func (p *page) add(name, label, value string) {
	if value != "" {
		// Of a field without a type some clients show the label only.
		p.pairs = append(p.pairs, pair{name: name, label: label, values: []string{value}, typ: mapping.FieldText})
	}
}

// notes are what is said besides the form.
func (p *page) notes() (out []mapping.Note) {
	if p.note != "" {
		kind := p.kind
		if kind == "" {
			kind = noteInfo
		}
		out = append(out, mapping.Note{Type: kind, Text: p.note})
	}
	if p.warning != "" {
		out = append(out, mapping.Note{Type: noteWarn, Text: p.warning})
	}
	if p.more != "" {
		out = append(out, mapping.Note{Type: noteInfo, Text: p.more})
	}
	return out
}

// form is nil if there is nothing to be put in one.
func (p *page) form() *mapping.Form {
	if len(p.pairs) == 0 && len(p.rows) == 0 {
		return nil
	}
	f := &mapping.Form{Type: mapping.FormResult, Title: p.title}
	if p.formType != "" {
		f.Fields = append(f.Fields, hidden(p.formType))
	}
	for _, one := range p.pairs {
		f.Fields = append(f.Fields, mapping.Field{Var: one.name, Label: one.label, Values: one.values, Type: one.typ})
	}
	if len(p.rows) > 0 {
		for _, c := range p.columns {
			f.Columns = append(f.Columns, mapping.Field{Var: c.name, Label: c.label})
		}
		f.Rows = p.rows
	}
	return f
}

// text is the page as a message. The lines of a row are its cells: a client may show them in
// any font and width.
func (p *page) text() string {
	var b strings.Builder
	line := func(s string) { b.WriteString(s + "\n") }
	if p.title != "" && (len(p.pairs) > 0 || len(p.rows) > 0) {
		line(p.title)
	}
	if p.note != "" {
		line(p.note)
	}
	for _, one := range p.pairs {
		line(one.label + ": " + strings.Join(one.values, "\n    "))
	}
	for _, row := range p.rows {
		var cells []string
		for i, cell := range row {
			if cell != "" {
				cells = append(cells, p.columns[i].label+": "+cell)
			}
		}
		line("\n" + strings.Join(cells, "\n"))
	}
	if p.more != "" {
		line(p.more)
	}
	if p.warning != "" {
		line("\n" + p.warning)
	}
	return strings.TrimSpace(b.String())
}

// question is what a step asks for.
type question struct {
	title    string
	above    []string // sentences above the fields
	problem  string   // what was wrong with the answer before
	formType string
	fields   []mapping.Field
	last     bool     // its answer completes the command, else another step may follow
	shown    []string // what was there when it was asked, for a list that is to be edited
}

func (q *question) form() *mapping.Form {
	f := &mapping.Form{Type: mapping.FormToFill, Title: q.title}
	if q.problem != "" { // some clients show no notes beside a form
		f.Instructions = append(f.Instructions, q.problem)
	}
	f.Instructions = append(f.Instructions, q.above...)
	if q.formType != "" {
		f.Fields = append(f.Fields, hidden(q.formType))
	}
	f.Fields = append(f.Fields, q.fields...)
	return f
}

func (q *question) notes() []mapping.Note {
	if q.problem == "" {
		return nil
	}
	return []mapping.Note{{Type: noteError, Text: q.problem}}
}

func hidden(formType string) mapping.Field {
	return mapping.Field{Var: "FORM_TYPE", Type: mapping.FieldHidden, Values: []string{formType}}
}

// value is the values of a field that has one, none for "".
func value(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

// maxShown is how much is shown of what somebody else has written.
const maxShown = 500

// clip is s, or its beginning.
func clip(s string) string {
	if len(s) <= maxShown {
		return s
	}
	n := maxShown
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

// sprintf is fmt.Sprintf with a text of a language, whose placeholders a test has seen to.
func sprintf(text string, args ...any) string { return fmt.Sprintf(text, args...) }
