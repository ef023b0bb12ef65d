package mapping

import (
	"bytes"
	"encoding/xml"
)

// PIDFOptions are what may be in a document beside what RFC 8048 asks for.
type PIDFOptions struct {
	// Activities has it say of the person what show says of the resources (RFC 4479, RFC
	// 4480): phones know that better than an element of XMPP.
	Activities bool
}

// AppendPIDF appends the document that shows resources, one tuple for each in their order
// (RFC 8048 Table 1, PRES-15, PRES-20). entity is whose they are, as a SIP, im or pres
// address. Of two with one name the first counts, and there are 64 at most.
//
// A document has all that is known, so a resource that it does not have is not there. Without
// any it has one tuple that is closed, as there must not be none (RFC 3922 §6.3.2, PRES-21).
func AppendPIDF(dst []byte, entity URI, resources []Resource, o PIDFOptions) []byte {
	if len(resources) == 0 {
		resources = []Resource{{}}
	}
	w := pidfWriter{bytes.NewBuffer(dst)}
	w.WriteString(`<?xml version="1.0" encoding="UTF-8"?><presence xmlns="` + nsPIDF + `"`)
	w.attr("entity", entity.WithScheme("pres").String())
	w.WriteString(">")
	contact := entity.WithScheme("im").String()
	written := make(map[string]bool, len(resources))
	for i := range resources {
		id := TupleID(resources[i].Name)
		if written[id] || len(written) == maxTuples {
			continue
		}
		written[id] = true
		w.tuple(id, &resources[i], contact)
	}
	if o.Activities {
		w.person(personShow(resources))
	}
	w.WriteString("</presence>")
	return w.Bytes()
}

// pidfWriter writes elements in the order that the schema of RFC 3863 §4.4 has. Writing to a
// Buffer does not fail.
type pidfWriter struct{ *bytes.Buffer }

// tuple writes one. A priority is that of a contact, and a negative one is not to be said
// (PRES-18).
func (w pidfWriter) tuple(id string, r *Resource, contact string) {
	w.WriteString("<tuple")
	w.attr("id", id)
	if !r.Open {
		w.WriteString("><status><basic>closed</basic></status>")
	} else {
		w.WriteString("><status><basic>open</basic>")
		if show := ParseShow(string(r.Show)); show != ShowNone {
			w.text("show", string(show), "xmlns", nsClient)
		}
		w.WriteString("</status>")
		if idle := stamp(r.Idle); !idle.IsZero() {
			w.text("user-input", "idle", "xmlns", nsRPID, "last-input", idle.Format(stampLayout))
		}
		if r.HasPriority && r.Priority >= 0 {
			w.text("contact", contact, "priority", writePriority(r.Priority))
		}
	}
	var notes []Text
	for _, t := range r.Status {
		notes = addText(notes, t)
	}
	for _, t := range notes {
		w.text("note", t.Value, "xml:lang", t.Lang)
	}
	if since := stamp(r.Since); !since.IsZero() {
		w.text("timestamp", since.Format(stampLayout))
	}
	w.WriteString("</tuple>")
}

// person writes what the person does, if there is anything to be said of it.
func (w pidfWriter) person(show Show) {
	if what := activityOf[show]; what != "" {
		w.WriteString(`<person xmlns="` + nsModel + `" id="p1"><activities xmlns="` + nsRPID + `"><` + what + `/></activities></person>`)
	}
}

// text writes an element with these attributes, name and value in turn.
func (w pidfWriter) text(name, value string, attrs ...string) {
	w.WriteString("<" + name)
	for i := 0; i < len(attrs); i += 2 {
		w.attr(attrs[i], attrs[i+1])
	}
	w.WriteString(">")
	xml.EscapeText(w, []byte(value))
	w.WriteString("</" + name + ">")
}

// attr writes an attribute, unless its value is "".
func (w pidfWriter) attr(name, value string) {
	if value == "" {
		return
	}
	w.WriteString(" " + name + `="`)
	xml.EscapeText(w, []byte(value))
	w.WriteString(`"`)
}
