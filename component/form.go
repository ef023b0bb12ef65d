package component

import (
	"strings"

	"github.com/stoxgw/stox/mapping"
)

const nsForm = "jabber:x:data" // XEP-0004

// maxFields is how many fields a form of somebody else may have.
const maxFields = 100

// formIn finds the form among the children of e, nil if there is none. ok is false if there
// is more than one, or one that cannot be read.
func formIn(e *element) (f *mapping.Form, ok bool) {
	for _, c := range e.children {
		if c.name.Space != nsForm || c.name.Local != "x" {
			continue
		}
		if f != nil {
			return nil, false
		}
		if f = readForm(c); f == nil {
			return nil, false
		}
	}
	return f, true
}

// readForm reads a form that was filled in, or was not going to be (XEP-0004 §3.1): fields and
// their values. Labels, options and whatever else stands in it came from us. It returns nil if
// it is another kind of form, or one that no form of ours can become.
func readForm(x *element) *mapping.Form {
	f := &mapping.Form{Type: mapping.FormType(x.attr("type"))}
	if f.Type != mapping.FormSubmit && f.Type != mapping.FormCancel {
		return nil
	}
	for _, c := range x.children {
		if c.name.Space != nsForm || c.name.Local != "field" {
			continue
		}
		if len(f.Fields) >= maxFields {
			return nil
		}
		field := mapping.Field{Var: c.attr("var"), Type: mapping.FieldType(c.attr("type"))}
		for _, v := range c.children {
			if v.name.Space != nsForm || v.name.Local != "value" {
				continue
			}
			if len(v.children) > 0 {
				return nil
			}
			field.Values = append(field.Values, string(v.text))
		}
		f.Fields = append(f.Fields, field)
	}
	return f
}

// writable reports whether a form can be written; that there is none can.
func writable(f *mapping.Form) bool {
	if f == nil {
		return true
	}
	switch f.Type {
	case mapping.FormToFill, mapping.FormSubmit, mapping.FormCancel, mapping.FormResult:
		return true
	}
	return false
}

// appendForm appends a form that is writable.
func appendForm(b []byte, f *mapping.Form) []byte {
	b = append(b, "<x xmlns='"+nsForm+"'"...)
	b = appendAttr(b, "type", string(f.Type))
	b = append(b, '>')
	if f.Title != "" {
		b = appendTextElement(b, "title", "", f.Title)
	}
	for _, line := range f.Instructions {
		b = appendTextElement(b, "instructions", "", line)
	}
	for i := range f.Fields {
		b = appendField(b, &f.Fields[i])
	}
	if len(f.Columns) > 0 {
		b = append(b, "<reported>"...)
		for i := range f.Columns {
			b = append(appendFieldOpen(b, &f.Columns[i]), "/>"...)
		}
		b = append(b, "</reported>"...)
	}
	for _, row := range f.Rows {
		b = append(b, "<item>"...)
		for i, value := range row[:min(len(row), len(f.Columns))] {
			b = append(b, "<field"...)
			b = appendAttr(b, "var", f.Columns[i].Var)
			b = append(b, '>')
			b = appendTextElement(b, "value", "", value)
			b = append(b, "</field>"...)
		}
		b = append(b, "</item>"...)
	}
	return append(b, "</x>"...)
}

func appendField(b []byte, f *mapping.Field) []byte {
	b = append(appendFieldOpen(b, f), '>')
	if f.Desc != "" {
		b = appendTextElement(b, "desc", "", f.Desc)
	}
	if f.Required {
		b = append(b, "<required/>"...)
	}
	for _, v := range f.Values {
		if f.Type != mapping.FieldLines {
			b = appendTextElement(b, "value", "", v)
			continue
		}
		for line := range strings.SplitSeq(v, "\n") { // XEP-0004 §3.3: no line breaks in one
			b = appendTextElement(b, "value", "", strings.TrimSuffix(line, "\r"))
		}
	}
	for _, o := range f.Options {
		b = append(b, "<option"...)
		b = appendOptAttr(b, "label", o.Label)
		b = append(b, '>')
		b = appendTextElement(b, "value", "", o.Value)
		b = append(b, "</option>"...)
	}
	return append(b, "</field>"...)
}

// appendFieldOpen appends the start tag of a field without its end.
func appendFieldOpen(b []byte, f *mapping.Field) []byte {
	b = append(b, "<field"...)
	b = appendOptAttr(b, "var", f.Var)
	b = appendOptAttr(b, "type", string(f.Type))
	return appendOptAttr(b, "label", f.Label)
}
