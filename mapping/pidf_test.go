package mapping

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/encoding/unicode"
)

// onePIDF is a document with one open tuple and a note.
func onePIDF(note string) string {
	return `<presence xmlns="urn:ietf:params:xml:ns:pidf"><tuple id="a"><status><basic>open</basic></status><note>` + note + `</note></tuple></presence>`
}

func utf16(t *testing.T, s string, order unicode.Endianness, mark unicode.BOMPolicy) string {
	t.Helper()
	b, err := unicode.UTF16(order, mark).NewEncoder().String(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// SEC-26, CT-15: in what a document may come, and what is refused.
func TestReadPIDFForms(t *testing.T) {
	const note = "zahradě"
	doc := onePIDF(note)
	declared := func(name string) string { return `<?xml version="1.0" encoding="` + name + `"?>` }
	latin := strings.ReplaceAll(onePIDF("caf\xe9"), "\n", "")
	for name, c := range map[string]struct {
		typ, body string
		want      string // the note
		status    int
	}{
		"plain":                     {TypePIDF, doc, note, 0},
		"type in capitals":          {`Application/PIDF+XML; Charset="UTF-8"`, doc, note, 0},
		"byte order mark":           {TypePIDF, "\xef\xbb\xbf" + declared("UTF-8") + doc, note, 0},
		"UTF-16, big":               {TypePIDF, utf16(t, declared("UTF-16")+doc, unicode.BigEndian, unicode.UseBOM), note, 0},
		"UTF-16, little":            {TypePIDF, utf16(t, doc, unicode.LittleEndian, unicode.UseBOM), note, 0},
		"UTF-16 without a mark":     {TypePIDF, utf16(t, doc, unicode.LittleEndian, unicode.IgnoreBOM), note, 0},
		"and the other way round":   {TypePIDF, utf16(t, doc, unicode.BigEndian, unicode.IgnoreBOM), note, 0},
		"UTF-16 in name only":       {TypePIDF, declared("utf-16") + doc, note, 0},
		"ISO-8859-1":                {TypePIDF, "\r\n<?xml version='1.0' encoding = 'ISO-8859-1'?>" + latin, "café", 0},
		"ISO-8859-1 by the header":  {TypePIDF + ";charset=iso-8859-1", declared("UTF-8") + latin, "café", 0},
		"charset nobody knows":      {TypePIDF, declared("x-no") + doc, "", 415},
		"not UTF-8":                 {TypePIDF, latin, "", 400},
		"half a declaration":        {TypePIDF, `<?xml encoding=`, "", 400},
		"declaration without value": {TypePIDF, `<?xml encoding?>` + doc, note, 0},
		"NUL at the end":            {TypePIDF, doc + "\x00", note, 0},
		"control":                   {TypePIDF, onePIDF("a\x01b"), "a\ufffdb", 0},
		"control as reference":      {TypePIDF, onePIDF("a&#1;b"), "", 400},
		"references":                {TypePIDF, onePIDF("&lt;&#x61;&amp;"), "<a&", 0},
		"CDATA":                     {TypePIDF, onePIDF("<![CDATA[<b>]]>"), "<b>", 0},
		"line ends":                 {TypePIDF, onePIDF("\r\n a\r\nb "), "a\nb", 0},
		"entity":                    {TypePIDF, onePIDF("&x;"), "", 400},
		"DTD":                       {TypePIDF, "<!DOCTYPE presence>" + doc, "", 400},
		"half":                      {TypePIDF, doc[:90], "", 400},
		"no end":                    {TypePIDF, doc[:len(doc)-3], "", 400},
		"two":                       {TypePIDF, doc + doc, "", 400},
		"text":                      {TypePIDF, "open", "", 400},
		"other root":                {TypePIDF, "<watcherinfo xmlns='urn:ietf:params:xml:ns:watcherinfo'/>", "", 400},
		"a stanza":                  {TypePIDF, "<presence xmlns='jabber:client'/>", "", 400},
		"deep":                      {TypePIDF, onePIDF(strings.Repeat("<a>", 20) + strings.Repeat("</a>", 20)), "", 413},
		"many elements":             {TypePIDF, onePIDF(strings.Repeat("<a/>", pidfDocument.nodes)), "", 413},
		"long":                      {TypePIDF, onePIDF(strings.Repeat(" ", pidfDocument.bytes)), "", 413},
		"long when decoded":         {TypePIDF + ";charset=iso-8859-1", onePIDF(strings.Repeat("\xe9", pidfDocument.bytes*3/4)), "", 413},
		"no type":                   {"", doc, "", 415},
		"broken type":               {"application/", doc, "", 415},
		"xpidf":                     {"application/xpidf+xml", doc, "", 415},
		"text/xml":                  {"text/xml", doc, "", 415},
		"cpim":                      {TypeCPIM, inCPIM("", "Content-Type: application/pidf+xml", doc), note, 0},
		"cpim that requires":        {TypeCPIM, inCPIM("Require: X", "Content-Type: application/pidf+xml", doc), "", 415},
		"cpim with a text":          {TypeCPIM, inCPIM("", "Content-Type: text/plain", doc), "", 415},
		"cpim in cpim":              {TypeCPIM, inCPIM("", "Content-Type: message/cpim", doc), "", 415},
		"no cpim":                   {TypeCPIM, "hi", "", 400},
	} {
		d, err := ReadPIDF(c.typ, []byte(c.body))
		var f *Failure
		switch {
		case errors.As(err, &f):
			if f.Status != c.status || d != nil {
				t.Errorf("%s: %v (%d), want %d", name, err, f.Status, c.status)
			}
			if f.Status == 415 && f.Accept != TypePIDF {
				t.Errorf("%s: Accept: %s", name, f.Accept)
			}
			if strings.Contains(fmt.Sprint(f.Err, f.Text, f.Reason), "zahrad") {
				t.Errorf("%s: the error has the note: %v", name, f)
			}
		case err != nil || c.status != 0:
			t.Errorf("%s: %v, want %d", name, err, c.status)
		default:
			if got := d.Resources(); len(got) != 1 || len(got[0].Status) != 1 || got[0].Status[0].Value != c.want {
				t.Errorf("%s: %+v, want %q", name, got, c.want)
			}
		}
	}
}

// PRES-17: the id of a tuple is a resource that a JID can have, the same each time.
func TestTupleResource(t *testing.T) {
	for id, want := range map[string]string{
		"ID-orchard":              "orchard",
		" ID-orchard\n":           "orchard",
		"orchard":                 "orchard",
		"id-orchard":              "id-orchard",
		"ID-":                     "ID-",
		"ID-ID-x":                 "ID-x",
		"IDbare":                  "",
		"ID-IDbare":               "IDbare",
		"":                        "",
		"IDx-00":                  "IDx-00",
		"my desk":                 "my desk",
		"sip:romeo@192.0.2.1/x;y": "sip:romeo@192.0.2.1/x;y",
		"a\u0308":                 "ä",
		"a\u3000b":                "a b",
		"a\x01b":                  hashID("a\x01b"),
		"ID-\u200f":               hashID("ID-\u200f"),
		"\ufffe":                  hashID("\ufffe"),
		strings.Repeat("x", 1023): strings.Repeat("x", 1023),
		strings.Repeat("x", 1024): hashID(strings.Repeat("x", 1024)),
	} {
		got := tupleResource(id)
		if got != want {
			t.Errorf("%q is %q, want %q", id, got, want)
		}
		if _, err := NewJID("romeo", "example.net", got); err != nil {
			t.Errorf("%q: %v", id, err)
		}
	}
	if a, b := TupleID("my phone"), TupleID("My phone"); a == b || !strings.HasPrefix(a, "IDx-") || len(a) != 36 {
		t.Errorf("%s, %s", a, b)
	}
}

// A document is kept within bounds, and what is left of it is sound.
func TestPIDFLimits(t *testing.T) {
	tuple := func(i int, more string) string {
		return fmt.Sprintf(`<tuple id="t%d"><status><basic>open</basic></status>%s</tuple>`, i, more)
	}
	var many, notes strings.Builder
	for i := range maxTuples + 9 {
		many.WriteString(tuple(i, ""))
	}
	for i := range maxStatusLang + 9 {
		fmt.Fprintf(&notes, `<note xml:lang="x-%d">a</note>`, i)
	}
	wrap := func(s string) string { return `<presence xmlns="urn:ietf:params:xml:ns:pidf">` + s + `</presence>` }
	all := mustReadPIDF(t, wrap(many.String())).Resources()
	if len(all) != maxTuples || all[0].Name != "t0" {
		t.Errorf("%d tuples", len(all))
	}
	other := mustReadPIDF(t, wrap(tuple(1000, "")))
	if both := ComposePIDF(mustReadPIDF(t, wrap(many.String())), other).Resources(); len(both) != maxTuples || both[0].Name != "t1000" {
		t.Errorf("%d tuples, the first is %s", len(both), both[0].Name)
	}
	if got := mustReadPIDF(t, wrap(tuple(0, notes.String()))).Resources()[0].Status; len(got) != maxStatusLang {
		t.Errorf("%d notes", len(got))
	}
	long := strings.Repeat("a", maxStatus-1) + "ěb"
	got := mustReadPIDF(t, onePIDF(long)).Resources()[0].Status
	if want := []Text{{"", long[:maxStatus-1]}}; !slices.Equal(got, want) {
		t.Errorf("%d bytes of a note", len(got[0].Value))
	}
	written := AppendPIDF(nil, MustParseURI("sip:juliet@example.com"), []Resource{{Open: true, Status: []Text{{"", long}, {"", "b"}, {"de", "\x00"}, {"!", "c"}}}}, PIDFOptions{})
	want := []Text{{"", long[:maxStatus-1]}, {"de", "\ufffd"}}
	if got := mustReadPIDF(t, string(written)).Resources()[0].Status; !slices.Equal(got, want) {
		t.Errorf("%+v", got)
	}
	resources := make([]Resource, maxTuples+9)
	for i := range resources {
		resources[i] = Resource{Name: fmt.Sprint(i), Open: true}
	}
	written = AppendPIDF(nil, MustParseURI("sip:juliet@example.com"), resources, PIDFOptions{})
	twice := `<timestamp>2026-01-15T10:00:00Z</timestamp><timestamp>2026-01-15T11:00:00Z</timestamp>`
	if r := mustReadPIDF(t, wrap(tuple(0, twice))).Resources()[0]; r.Since.Hour() != 10 {
		t.Errorf("said %s", r.Since)
	}
	if n := strings.Count(string(written), "<tuple "); n != maxTuples {
		t.Errorf("%d tuples written", n)
	}
}

// What the person does is said of the most reachable resource, the first of those.
func TestPersonShow(t *testing.T) {
	away, xa, dnd := Resource{Open: true, Show: ShowAway}, Resource{Open: true, Show: ShowXA}, Resource{Open: true, Show: ShowDND}
	low, gone := Resource{Open: true, Show: ShowDND, Priority: -5, HasPriority: true}, Resource{Priority: 9}
	for _, c := range []struct {
		of   []Resource
		want Show
	}{
		{nil, ShowNone}, {[]Resource{gone}, ShowNone}, {[]Resource{xa}, ShowXA}, {[]Resource{away, dnd}, ShowAway}, {[]Resource{dnd, away}, ShowDND},
		{[]Resource{low, away, gone}, ShowAway}, {[]Resource{away, {Open: true}}, ShowNone}, {[]Resource{{Open: true, Show: ShowChat}, dnd}, ShowNone},
	} {
		if got := personShow(c.of); got != c.want {
			t.Errorf("%+v: %q, want %q", c.of, got, c.want)
		}
	}
}

// Timestamps as they come, and what none is.
func TestReadStamp(t *testing.T) {
	const at = "2026-01-15T10:00:00Z"
	for s, want := range map[string]string{
		at:                              at,
		"2026-01-15t10:00:00z":          at,
		" 2026-01-15T10:00:00Z\n":       at,
		"2026-01-15 10:00:00Z":          at,
		"2026-01-15T10:00:00":           at,
		"2026-01-15T10:00:00.987":       at,
		"2026-01-15T10:00:00,987Z":      at,
		"2026-01-15T11:00:00+01:00":     at,
		"2026-01-15T05:00:00-0500":      at,
		"2002-05-31T23:59:59Z":          "", // before there was SIP
		"1970-01-01T00:00:00Z":          "",
		"0000-00-00T00:00:00Z":          "",
		"9999-12-31T23:59:59-01:00":     "", // the year 10000
		"2026-01-15":                    "",
		"10:00":                         "",
		"1768471200":                    "",
		"":                              "",
		at + strings.Repeat("\x01", 64): "",
	} {
		got := ""
		if t := readStamp(s); !t.IsZero() {
			got = t.Format(time.RFC3339)
		}
		if got != want {
			t.Errorf("%q: %q, want %q", s, got, want)
		}
	}
}

// PRES-18: what is a priority, and what is none.
func TestReadPriority(t *testing.T) {
	for s, want := range map[string]int8{
		"0": 0, "0.0004": 0, "0.0005": 1, ".5": 64, " 0.8 ": 102, "1.": 127, "0.9995": 127, "00.5": 64,
		"0." + strings.Repeat("9", 999): 127,
		"":                              -1, ".": -1, "-0": -1, "-0.1": -1, "+0.1": -1, "1e-1": -1, "0x1p-1": -1, "NaN": -1, "Inf": -1, "1_0": -1, "0,5": -1, "1.0001": -1,
		"0.1.2": -1, strings.Repeat("9", 999): -1,
	} {
		got, ok := readPriority(s)
		if !ok {
			got--
		}
		if got != want {
			t.Errorf("%.20q is %d, want %d", s, got, want)
		}
	}
}

// The text in the language of who reads it, else the first.
func TestStatusIn(t *testing.T) {
	r := Resource{Status: []Text{{"cs", "na balkoně"}, {"en", "on the balcony"}, {"", "?"}}}
	for lang, want := range map[string]string{"EN": "on the balcony", "cs": "na balkoně", "": "?", "de": "na balkoně"} {
		if got, ok := r.StatusIn(lang); got.Value != want || !ok {
			t.Errorf("%q: %+v", lang, got)
		}
	}
	if got, ok := (&Resource{}).StatusIn("en"); ok {
		t.Errorf("%+v", got)
	}
}

// Everything that is shown counts as a change, and nothing else does.
func TestCompareResources(t *testing.T) {
	at := time.Date(2026, 1, 15, 10, 0, 0, 0, time.UTC)
	base := Resource{Name: "a", Open: true, Show: ShowAway, Status: []Text{{"en", "x"}}, Priority: 5, HasPriority: true, Idle: at, Since: at}
	for what, change := range map[string]func(r *Resource){
		"open":         func(r *Resource) { r.Open = false },
		"show":         func(r *Resource) { r.Show = ShowXA },
		"status":       func(r *Resource) { r.Status = []Text{{"en", "y"}} },
		"language":     func(r *Resource) { r.Status = []Text{{"de", "x"}} },
		"no status":    func(r *Resource) { r.Status = nil },
		"priority":     func(r *Resource) { r.Priority = 6 },
		"no priority":  func(r *Resource) { r.HasPriority = false },
		"idle":         func(r *Resource) { r.Idle = at.Add(time.Second) },
		"not idle":     func(r *Resource) { r.Idle = time.Time{} },
		"said again":   func(r *Resource) { r.Since = at.Add(time.Hour) },
		"other zone":   func(r *Resource) { r.Idle = at.In(time.FixedZone("x", 3600)) },
		"other memory": func(r *Resource) { r.Status = slices.Clone(r.Status) },
	} {
		now := base
		change(&now)
		same := strings.HasPrefix(what, "other") || what == "said again"
		c := CompareResources([]Resource{base}, []Resource{now})
		if len(c.Gone) != 0 || len(c.Same) != 0 != same || len(c.Changed) != 0 == same {
			t.Errorf("%s: %+v", what, c)
		}
	}
	closed := Resource{Name: "closed"}
	c := CompareResources([]Resource{base, closed, base}, nil)
	if len(c.Gone) != 1 || c.Gone[0].Name != "a" || c.Gone[0].Open || c.Gone[0].Show != ShowNone || c.Changed != nil || c.Same != nil {
		t.Errorf("%+v", c)
	}
	if c = CompareResources(nil, []Resource{closed}); len(c.Changed) != 1 {
		t.Errorf("%+v", c) // who asks for the first time is told, too
	}
}

// Nothing composed of nothing is a document that says nothing, and what goes in stays as it is.
func TestComposePIDF(t *testing.T) {
	if got := ComposePIDF().Resources(); len(got) != 1 || got[0].Open || got[0].Name != "" {
		t.Errorf("%+v", got)
	}
	const device = `<dm:device xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" id="d"><dm:deviceID>urn:x:1</dm:deviceID><dm:note>%s</dm:note></dm:device>`
	doc := func(id, note string) *Document {
		return mustReadPIDF(t, `<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model"><tuple id="`+id+`"><status><basic>open</basic></status><dm:deviceID>urn:x:1</dm:deviceID></tuple>`+fmt.Sprintf(device, note)+`</presence>`)
	}
	first, second := doc("a", "old"), doc("b", "new")
	for _, r := range ComposePIDF(first, second).Resources() {
		if r.Status[0].Value != "new" {
			t.Errorf("%+v", r)
		}
	}
	if got := first.Resources(); len(got) != 1 || got[0].Status[0].Value != "old" {
		t.Errorf("%+v", got)
	}
	person := func(activity, note string) *Document {
		return mustReadPIDF(t, `<presence xmlns="urn:ietf:params:xml:ns:pidf"><dm:person xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model"><activities xmlns="urn:ietf:params:xml:ns:pidf:rpid"><`+activity+`/></activities></dm:person><note>`+note+`</note></presence>`)
	}
	got := ComposePIDF(person("away", "old"), person("busy", "new"), person("unknown", ""))
	if r := got.Resources()[0]; r.Show != ShowDND || r.Status[0].Value != "new" {
		t.Errorf("%+v", r)
	}
}

// PRES-16, PRES-34: what counts of all that is said of a tuple, its device and the person.
func TestPIDFResources(t *testing.T) {
	const (
		basicOpen  = "<status><basic>open</basic></status>"
		device     = "<dm:deviceID>urn:x:1</dm:deviceID>"
		idle       = `<r:user-input last-input="2026-01-15T10:00:00Z">idle</r:user-input>`
		personIdle = `<dm:person id="p"><r:user-input last-input="2026-01-15T11:00:00Z">idle</r:user-input></dm:person>`
	)
	for name, c := range map[string]struct{ doc, want string }{
		"show before all":                     {`<tuple id="a"><status><basic>open</basic><r:activities><r:busy/></r:activities><im:im>chat</im:im><c:show>xa</c:show></status></tuple>`, "/a open xa"},
		"im before activities":                {`<tuple id="a"><status><basic>open</basic><r:activities><r:busy/></r:activities><im:im>away</im:im></status></tuple>`, "/a open away"},
		"the first that says it":              {`<tuple id="a">` + basicOpen + `<r:activities><r:lunch/><r:away/><r:busy/></r:activities></tuple>`, "/a open away"},
		"activities in two places":            {`<tuple id="a"><status><basic>open</basic><r:activities><r:busy/></r:activities></status><r:activities><r:away/></r:activities></tuple>`, "/a open dnd"},
		"unknown show":                        {`<tuple id="a"><status><basic>open</basic><c:show>out</c:show></status></tuple><dm:person><r:activities><r:away/></r:activities></dm:person>`, "/a open away"},
		"show of another":                     {`<tuple id="a"><status><basic>open</basic><x:show>dnd</x:show><x:y><c:show>dnd</c:show></x:y></status></tuple>`, "/a open "},
		"an activity that means nothing here": {`<tuple id="a"><r:activities><r:lunch/></r:activities></tuple>`, "/a open "},
		"an unknown one":                      {`<tuple id="a"><r:activities><r:unknown/></r:activities></tuple>`, "/a closed "},
		"idle":                                {`<tuple id="a">` + basicOpen + idle + `</tuple>` + personIdle, "/a open  idle 10:00"},
		"idle person":                         {`<tuple id="a">` + basicOpen + `</tuple>` + personIdle, "/a open  idle 11:00"},
		"active":                              {`<tuple id="a">` + basicOpen + `<r:user-input> Active </r:user-input></tuple>` + personIdle, "/a open "},
		"device":                              {`<tuple id="a">` + basicOpen + device + `</tuple><dm:device id="d">` + device + idle + `<r:activities><r:away/></r:activities></dm:device>` + personIdle, "/a open away idle 10:00"},
		"device of another":                   {`<tuple id="a">` + basicOpen + `</tuple><dm:device id="d">` + device + idle + `</dm:device><dm:device id="e">` + idle + `</dm:device>`, "/a open "},
		"closed":                              {`<tuple id="a"><status><basic>closed</basic><c:show>dnd</c:show></status>` + idle + `<contact priority="1"/></tuple>`, "/a closed "},
		"person without tuples":               {`<dm:person><status><basic>closed</basic></status><r:activities><r:away/></r:activities></dm:person>`, " closed "},
		"and open":                            {`<dm:person><status><basic>open</basic></status></dm:person>`, " open "},
		"tuple and person":                    {`<tuple id="a"/><dm:person><r:activities><r:away/></r:activities></dm:person>`, "/a open away"},
		"both ids":                            {`<tuple id="ID-a"><status><basic>closed</basic></status></tuple><tuple id="a">` + basicOpen + `</tuple>`, "/a open "},
		"no ids":                              {`<tuple>` + basicOpen + `</tuple><tuple><status><basic>closed</basic></status></tuple>`, " open "},
		"a tuple elsewhere":                   {`<x:y><tuple id="a">` + basicOpen + `</tuple></x:y><tuple id="b">` + basicOpen + `<tuple id="c"/></tuple>`, "/b open "},
		"basic elsewhere":                     {`<tuple id="a"><basic>open</basic><x:y><status><basic>open</basic></status></x:y></tuple>`, "/a closed "},
		"show in show":                        {`<tuple id="a"><status><basic>open</basic><c:show>dnd<c:show>xa</c:show></c:show></status></tuple>`, "/a open dnd"},
		"two contacts":                        {`<tuple id="a">` + basicOpen + `<contact/><contact priority="0"/><contact priority="x"/></tuple>`, "/a open  priority"},
		"note on a mood":                      {`<tuple id="a"/><dm:person><r:mood><r:note>love</r:note><note>love</note></r:mood></dm:person>`, "/a closed "},
		"two of one id":                       {`<tuple id="a">` + basicOpen + `</tuple><tuple id="a">` + basicOpen + idle + `</tuple>`, "/a open "},
		"other words":                         {`<tuple id="a"><status><basic>in-use</basic></status></tuple>`, "/a closed "},
	} {
		d := mustReadPIDF(t, `<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" xmlns:r="urn:ietf:params:xml:ns:pidf:rpid" xmlns:im="urn:ietf:params:xml:ns:pidf:im" xmlns:c="jabber:client" xmlns:x="urn:x">`+c.doc+`</presence>`)
		got := ""
		for _, r := range d.Resources() {
			if r.Name != "" {
				got += "/" + r.Name
			}
			got += map[bool]string{true: " open ", false: " closed "}[r.Open] + string(r.Show)
			if r.HasPriority {
				got += " priority"
			}
			if !r.Idle.IsZero() {
				got += " idle " + r.Idle.Format("15:04")
			}
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
