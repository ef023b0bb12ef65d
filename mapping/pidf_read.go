package mapping

import (
	"bytes"
	"encoding/xml"
	"errors"
	"slices"
	"strings"
	"time"
)

// pidfDocument is one: real ones have one to three KB and some twenty elements, that of a
// user with many devices ten times as much.
var pidfDocument = func() xmlDocument {
	d := newXMLDocument(TypePIDF, nsPIDF, "presence")
	d.spaces = map[string]string{
		nsClient:                         "client:",
		nsModel:                          "dm:",
		nsRPID:                           "rpid:",
		"urn:ietf:params:xml:ns:pidf:im": "im:", // RFC 3922 §5

		// Those of the drafts that became RFC 4479 and RFC 4480: Asterisk, FreeSWITCH, eXosip
		// and Cisco still have them.
		"urn:ietf:params:xml:ns:pidf:person":                  "dm:",
		"urn:ietf:params:xml:ns:pidf:rpid:rpid-person":        "rpid:",
		"urn:ietf:params:xml:ns:pidf:rpid:status:rpid-status": "rpid:",
		"urn:ietf:params:xml:ns:pidf:status:rpid-status":      "rpid:",
		"urn:ietf:params:xml:ns:pidf:status:rpid":             "rpid:",
		"urn:ietf:params:xml:ns:pidf:rpid-person":             "rpid:",
		"urn:cisco:params:xml:ns:pidf:rpid":                   "rpid:",
	}
	d.unspaced, d.bytes, d.depth, d.nodes = true, 65536, 16, 8192
	return d
}()

// nsXML is the namespace of xml:lang, as encoding/xml has it.
const nsXML = "http://www.w3.org/XML/1998/namespace"

// ReadPIDF reads a presence document. contentType is that of the body: application/pidf+xml,
// or a message/cpim around one, which gateways of RFC 3922 send.
//
// The error is a *Failure: 415 for another type or charset, 413 for a document that is too
// big, 400 for what is none. What is not known in a document is passed over, and what it has
// to say of anybody's identity is nobody's: the request around it says whose presence it is.
func ReadPIDF(contentType string, body []byte) (*Document, error) {
	typ, ok := parseMedia(contentType)
	if ok && typ.name == TypeCPIM {
		m, err := ParseCPIM(body)
		if err != nil {
			return nil, err
		}
		if len(m.Refused()) > 0 { // CT-15
			return nil, refusePIDF()
		}
		typ, ok = parseMedia(m.ContentHeader("content-type"))
		body = m.Body
	}
	if !ok || typ.name != TypePIDF {
		return nil, refusePIDF()
	}
	r := pidfReader{doc: &Document{}}
	b, f := pidfText(body, typ.param("charset"))
	if f == nil {
		if err := pidfDocument.read(b, &r); errors.Is(err, pidfDocument.big) {
			f = FailTooLarge(0)
		} else if err != nil {
			f = FailBadRequest(TypePIDF)
			f.Err = err
		}
	}
	if f != nil {
		return nil, f
	}
	return r.doc, nil
}

// refusePIDF says what would be understood instead.
func refusePIDF() *Failure {
	f := FailUnsupportedType()
	f.Text, f.Remedy, f.Accept = "Presence of this kind is not understood.", "", TypePIDF
	return f
}

// pidfText is a document in UTF-8, without the declaration that says what it was in. Who says
// that is a byte order mark, else the header, else the declaration (RFC 3023 §3.2): there are
// some in ISO-8859-1.
func pidfText(b []byte, charset string) ([]byte, *Failure) {
	if len(b) > pidfDocument.bytes {
		return nil, FailTooLarge(0)
	}
	b = bytes.TrimLeft(b, " \t\r\n")
	switch {
	case charset != "":
	case bytes.HasPrefix(b, []byte("<\x00")): // XML 1.0 appendix F
		charset = "utf-16le"
	case bytes.HasPrefix(b, []byte("\x00<")):
		charset = "utf-16be"
	default:
		charset = declaredCharset(b)
	}
	s, f := decodeText(b, charset)
	if f != nil {
		if f.Status == 415 {
			f = refusePIDF()
		}
		return nil, f
	}
	if strings.HasPrefix(s, "<?xml") {
		_, s, _ = strings.Cut(s, "?>")
	}
	return []byte(s), nil
}

// declaredCharset is the encoding that the declaration at the beginning of b names, "" if it
// names none, or one in which it could not be read like this.
func declaredCharset(b []byte) string {
	declaration, _, ok := bytes.Cut(bytes.TrimPrefix(b, bomUTF8), []byte("?>"))
	if !ok || !bytes.HasPrefix(declaration, []byte("<?xml")) {
		return ""
	}
	_, after, ok := strings.Cut(string(declaration), "encoding")
	after = strings.TrimLeft(after, " \t\r\n=")
	if !ok || after == "" {
		return ""
	}
	name, _, _ := strings.Cut(after[1:], after[:1])
	if strings.HasPrefix(lower(name), "utf-16") {
		return ""
	}
	return name
}

// pidfReader takes a document as it comes. What is said twice counts once, as it was said
// first.
type pidfReader struct {
	doc   *Document
	about *part    // the tuple, person or device that is open, nil if none is
	langs []string // the language of each open element

	at    int // how deep the element is whose text is being taken, 0 if there is none
	taken strings.Builder

	// An extension that has something in it which must be understood and is not says
	// nothing (RFC 3863 §4.2.3): what it says is kept apart until it ends.
	extension int // how deep it is, 0 if none is open
	refused   bool
	says      part
}

// pidfTexts reports whether the text of an element is taken, by what it is in, its name and
// how deep it is: a note may also be on a mood, and then says nothing here.
func pidfTexts(in, name string, depth int) bool {
	switch name {
	case "basic":
		return in == "status"
	case "note", "dm:note", "rpid:note":
		return depth <= 3 || in == "rpid:activities"
	case "timestamp", "dm:timestamp", "dm:deviceID":
		return depth == 3
	case "rpid:activity": // of a draft, with the name of the activity as text
		return in == "rpid:activities"
	}
	return pidfExtension(name) && name != "rpid:activities"
}

// pidfExtension reports whether an element is an extension that is understood. show belongs
// to jabber:client, which some forget to say.
func pidfExtension(name string) bool {
	switch name {
	case "client:show", "show", "im:im", "rpid:activities", "rpid:user-input":
		return true
	}
	return false
}

func (r *pidfReader) opened(path []string, attrs []xml.Attr) {
	n := len(path)
	name, in, lang := path[n-1], "", ""
	if n > 1 {
		in, lang = path[n-2], r.langs[n-2]
	}
	for _, a := range attrs {
		if a.Name.Local == "lang" && a.Name.Space == nsXML {
			lang = LanguageTag(a.Value)
		}
	}
	r.langs = append(r.langs[:n-1], lang)
	if name == "" && mustUnderstand(attrs) {
		r.refused = true // the extension that is open, if there is one
	}
	switch {
	case slices.Contains(path, ""): // within something that is not known
		return
	case n == 1:
		if u, err := ParseURI(strings.TrimSpace(plainAttr(attrs, "entity"))); err == nil {
			r.doc.Entity = u
		}
		return
	case n == 2:
		r.begin(name, attrs)
	case r.about == nil:
		return
	case name == "contact" && n == 3 && !r.about.hasPriority:
		r.about.priority, r.about.hasPriority = readPriority(plainAttr(attrs, "priority"))
	}
	if r.extension == 0 && r.about != nil && pidfExtension(name) {
		r.extension, r.refused, r.says = n, false, part{}
		if name == "rpid:user-input" {
			r.says.idle = readStamp(plainAttr(attrs, "last-input"))
		}
	}
	if activity, ok := strings.CutPrefix(name, "rpid:"); ok && in == "rpid:activities" && r.extension == n-1 {
		r.says.activity(activity)
	}
	if r.at == 0 && pidfTexts(in, name, n) {
		r.at = n
		r.taken.Reset()
	}
}

// begin is for a child of the root. All that is said of persons is of one.
func (r *pidfReader) begin(name string, attrs []xml.Attr) {
	switch name {
	case "tuple":
		r.about = &part{name: tupleResource(plainAttr(attrs, "id"))}
	case "dm:person":
		r.about = &r.doc.person
	case "dm:device":
		r.about = &part{}
	}
}

func (r *pidfReader) text(path []string, data []byte) {
	if len(path) == r.at {
		r.taken.Write(data)
	}
}

func (r *pidfReader) closed(path []string) {
	n := len(path)
	name := path[n-1]
	if n == r.at {
		r.take(name, r.taken.String(), r.langs[n-1])
		r.at = 0
	}
	if n == r.extension {
		if !r.refused {
			r.about.add(&r.says)
		}
		r.extension = 0
	}
	if n != 2 || r.about == nil {
		return
	}
	switch name {
	case "tuple":
		r.doc.addTuple(r.about)
	case "dm:device":
		if len(r.doc.devices) < maxTuples && r.about.device != "" {
			r.doc.devices = append(r.doc.devices, *r.about)
		}
	}
	r.about = nil
}

// take has the text of an element. Outside of a part there are notes only.
func (r *pidfReader) take(name, s, lang string) {
	p := r.about
	switch {
	case p == nil && name == "note":
		r.doc.Notes = addText(r.doc.Notes, Text{lang, s})
		return
	case p == nil:
		return
	case r.extension > 0:
		p = &r.says
	}
	switch name {
	case "basic":
		p.setBasic(s)
	case "note", "dm:note", "rpid:note":
		p.notes = addText(p.notes, Text{lang, s})
	case "timestamp", "dm:timestamp":
		if p.since.IsZero() {
			p.since = readStamp(s)
		}
	case "dm:deviceID":
		p.device = strings.TrimSpace(s)
	case "client:show", "show":
		p.show = ParseShow(s)
	case "im:im":
		if p.im = ParseShow(s); p.im == ShowNone {
			p.im = readActivity(s)
		}
	case "rpid:activity":
		p.activity(strings.TrimSpace(s))
	case "rpid:user-input":
		if lower(strings.TrimSpace(s)) == "active" {
			p.idle, p.active = time.Time{}, true
		}
	}
}

// plainAttr is the value of an attribute without a namespace, "" if it is not there.
func plainAttr(attrs []xml.Attr, name string) string {
	for _, a := range attrs {
		if a.Name.Local == name && a.Name.Space == "" {
			return a.Value
		}
	}
	return ""
}

// mustUnderstand reports whether an element is marked so (RFC 3863 §4.2.3); some write the
// mark without its namespace.
func mustUnderstand(attrs []xml.Attr) bool {
	for _, a := range attrs {
		if a.Name.Local == "mustUnderstand" && (a.Name.Space == nsPIDF || a.Name.Space == "") {
			return a.Value == "1" || a.Value == "true"
		}
	}
	return false
}
