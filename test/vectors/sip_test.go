package vectors

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stoxgw/stox/internal/siptest"
)

// shownSIP is a SIP message as a vector has it.
type shownSIP struct {
	first  string
	fields []siptest.Field
	body   string
}

func readSIP(s step) (*shownSIP, error) {
	head, body, ok := strings.Cut(s.Data, "\r\n\r\n")
	tail, err := hex.DecodeString(s.BodyHex)
	if !ok || err != nil {
		return nil, fmt.Errorf("the vector is no SIP message: %v", err)
	}
	lines := strings.Split(head, "\r\n")
	m := &shownSIP{first: lines[0], body: body + string(tail)}
	for _, l := range lines[1:] {
		name, value, ok := strings.Cut(l, ": ")
		if !ok || strings.ContainsAny(l, "\r\n") {
			return nil, fmt.Errorf("header %q", l)
		}
		m.fields = append(m.fields, siptest.Field{Name: name, Value: value})
	}
	return m, nil
}

func (m *shownSIP) isResponse() bool { return strings.HasPrefix(m.first, "SIP/2.0 ") }

// all are the values of a header.
func (m *shownSIP) all(name string) (values []string) {
	for _, f := range m.fields {
		if strings.EqualFold(f.Name, name) {
			values = append(values, f.Value)
		}
	}
	return values
}

// copied are the headers that a response has of its request (RFC 3261 §8.2.6.2).
var copied = []string{"Via", "From", "To", "Call-ID", "CSeq"}

// lists are headers of which a vector shows the members that must be there.
var lists = []string{"Allow", "Accept", "Accept-Encoding", "Supported", "Allow-Events"}

// matchSIP compares a message with what a vector shows, and says where they differ.
// later are members of lists that are not to be there yet; requests are those that the
// gateway has been sent.
func (n *names) matchSIP(s step, got *siptest.Message, later map[string][]string, requests []*siptest.Message) error {
	want, err := readSIP(s)
	if err != nil {
		return err
	}
	if !n.match(want.first, got.First) {
		return fmt.Errorf("%q, want %q", got.First, want.first)
	}
	done := make(map[string]bool)
	for _, f := range want.fields {
		name := strings.ToLower(f.Name)
		if done[name] {
			continue
		}
		done[name] = true
		if err := n.matchHeader(f.Name, want, got, later[f.Name]); err != nil {
			return err
		}
	}
	for name, missing := range later {
		for _, m := range missing {
			if slices.Contains(members(got.All(name)), strings.ToLower(m)) {
				return fmt.Errorf("%s has %s already: take it out of the table", name, m)
			}
		}
	}
	if err := n.matchBody(want, got); err != nil {
		return err
	}
	if want.isResponse() {
		if err := n.answers(want, got, requests); err != nil {
			return err
		}
	}
	return forbidden(want, got)
}

func (n *names) matchHeader(name string, want *shownSIP, got *siptest.Message, later []string) error {
	shown, have := want.all(name), got.All(name)
	switch {
	case slices.Contains(lists, name):
		for _, m := range members(shown) {
			isLater := slices.ContainsFunc(later, func(l string) bool { return strings.EqualFold(l, m) })
			if !isLater && !slices.Contains(members(have), m) {
				return fmt.Errorf("%s: %s, want %s in it", name, have, m)
			}
		}
		return nil
	case name == "Content-Length":
		// What is there is the real length, or it would be no message; what is shown is
		// right if the body is.
		if len(have) != 1 || !strings.Contains(want.body, "${") && have[0] != shown[0] {
			return fmt.Errorf("Content-Length: %s, want %s", have, shown)
		}
		return nil
	}
	if len(shown) != len(have) {
		return fmt.Errorf("%s: %q, want %q", name, have, shown)
	}
	for i := range shown {
		w, h := shown[i], have[i]
		if name == "Content-Type" || name == "Content-Disposition" {
			w, h = plainMedia(w), plainMedia(h)
		}
		if name == "Via" && !want.isResponse() && !strings.Contains(w, ";rport") {
			h = strings.Replace(h, ";rport;", ";", 1) // asks for our port, any request may (RFC 3581 §3)
		}
		if !n.match(w, h) {
			return fmt.Errorf("%s: %q, want %q", name, h, w)
		}
	}
	return nil
}

// plainMedia is a media type with its parameters in one way of writing.
func plainMedia(s string) string {
	parts := strings.Split(s, ";")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return strings.ToLower(strings.Join(parts, ";"))
}

// members are the members of a header's lists, without their parameters.
func members(rows []string) (all []string) {
	for _, row := range rows {
		for _, m := range strings.Split(row, ",") {
			m, _, _ = strings.Cut(m, ";")
			all = append(all, strings.ToLower(strings.TrimSpace(m)))
		}
	}
	return all
}

func (n *names) matchBody(want *shownSIP, got *siptest.Message) error {
	typ, _, _ := strings.Cut(plainMedia(got.Get("Content-Type")), ";")
	if strings.HasSuffix(typ, "+xml") || typ == "text/xml" {
		w, err := readXML(want.body, "")
		if err != nil {
			return fmt.Errorf("the vector: %w", err)
		}
		g, err := readXML(string(got.Body), "")
		if err != nil {
			return fmt.Errorf("the body is not XML: %w", err)
		}
		return n.matchElement(w, g, "/"+w.name.Local)
	}
	if !n.match(want.body, string(got.Body)) {
		return fmt.Errorf("the body is %q, want %q", got.Body, want.body)
	}
	return nil
}

// answers checks that a response is one to a request that was sent: what it copies is
// the request's, but for what is added to the first Via and for the tag in To.
func (n *names) answers(want *shownSIP, got *siptest.Message, requests []*siptest.Message) error {
	at := slices.IndexFunc(requests, func(r *siptest.Message) bool { return r.Branch() == got.Branch() })
	if at < 0 {
		return fmt.Errorf("answers nothing that was sent: %s", got.Get("Via"))
	}
	req := requests[at]
	for _, name := range copied {
		w, g := req.All(name), got.All(name)
		if len(w) != len(g) {
			return fmt.Errorf("%s: %q, want that of the request, %q", name, g, w)
		}
		for i := range w {
			added, ok := strings.CutPrefix(g[i], w[i])
			switch {
			case name == "Via" && i == 0:
				ok = ok && (added == "" || strings.HasPrefix(added, ";"))
			case name == "To" && got.Status() > 100 && !strings.Contains(w[i], ";tag="):
				var tag string
				if tag, ok = strings.CutPrefix(added, ";tag="); ok && tag != "" {
					n.seen = append(n.seen, capture{"tag", tag})
				}
				ok = ok && tag != ""
			default:
				ok = ok && added == ""
			}
			if !ok {
				return fmt.Errorf("%s: %q, want that of the request, %q", name, g[i], w[i])
			}
		}
	}
	return nil
}

// forbidden are headers that a requirement keeps out of a message unless the vector shows
// them. All others may be added.
func forbidden(want *shownSIP, got *siptest.Message) error {
	var not []string
	switch {
	case !want.isResponse() && got.Method() == "MESSAGE":
		not = []string{"Contact", "Accept", "Record-Route", // IM-09
			"Subject", "Content-Language", "Content-Encoding", "Content-Disposition", "Expires"} // nobody said so: IM-03, IM-05
	case want.isResponse():
		not = []string{"Retry-After"} // SIP-30
		if got.Status() < 300 {
			not = append(not, "Contact") // IM-20
		}
	}
	for _, name := range not {
		if len(got.All(name)) > 0 && len(want.all(name)) == 0 {
			return fmt.Errorf("has %s: %s", name, got.Get(name))
		}
	}
	return nil
}

// The comparison lets through what is the same and nothing else.
func TestMatchSIP(t *testing.T) {
	const (
		via     = "Via: SIP/2.0/TCP gw.example.com;branch=z9hG4bK"
		rest    = "From: <sip:a@b>;tag=t\r\nTo: <sip:c@d>\r\nCall-ID: i\r\nCSeq: 1 MESSAGE\r\n"
		request = "MESSAGE sip:c@d SIP/2.0\r\n" + via + "${_b}\r\n" + rest + "Content-Type: text/plain;charset=utf-8\r\nContent-Length: 2\r\n\r\nhi"
		actual  = "MESSAGE sip:c@d SIP/2.0\r\n" + via + "1\r\n" + rest + "Content-Type: text/plain; charset=UTF-8\r\nContent-Length: 2\r\n\r\nhi"
		refusal = "SIP/2.0 415 Unsupported Media Type\r\nAccept: text/plain, text/html\r\nContent-Length: 0\r\n\r\n"
		refused = "SIP/2.0 415 Unsupported Media Type\r\n" + via + "1;received=192.0.2.9\r\nFrom: <sip:a@b>;tag=t\r\nTo: <sip:c@d>;tag=u\r\nCall-ID: i\r\nCSeq: 1 MESSAGE\r\n" +
			"Accept: text/html;q=0.5\r\nAccept: message/cpim,text/plain\r\nContent-Length: 0\r\n\r\n"
	)
	swap := func(s, old, new string) string {
		if !strings.Contains(s, old) {
			t.Fatalf("no %q in %s", old, s)
		}
		return strings.Replace(s, old, new, 1)
	}
	parse := func(raw string) *siptest.Message {
		m, _, err := siptest.Parse([]byte(raw))
		if err != nil {
			t.Fatalf("%v\n%s", err, raw)
		}
		return m
	}
	asked := []*siptest.Message{parse(actual)}
	for name, c := range map[string]struct {
		want, got string
		ok        bool
	}{
		"the same":             {request, actual, true},
		"more":                 {request, swap(actual, "From:", "User-Agent: x\r\nFrom:"), true},
		"rport":                {request, swap(actual, ";branch", ";rport;branch"), true},
		"maddr":                {request, swap(actual, ";branch", ";maddr=192.0.2.9;branch"), false},
		"order":                {request, swap(swap(actual, "Call-ID: i\r\n", ""), "From:", "call-id: i\r\nFrom:"), true},
		"other address":        {request, swap(actual, "sip:c@d SIP", "sip:c@e SIP"), false},
		"other transport":      {request, swap(actual, "TCP", "UDP"), false},
		"other charset":        {request, swap(actual, "UTF-8", "latin1"), false},
		"no branch":            {request, swap(actual, "z9hG4bK1", "z9hG4bK"), false},
		"second Via":           {request, swap(actual, "From:", via+"2\r\nFrom:"), false},
		"Contact":              {request, swap(actual, "From:", "Contact: <sip:a@b>\r\nFrom:"), false},
		"Subject":              {request, swap(actual, "From:", "Subject: x\r\nFrom:"), false},
		"no Call-ID":           {request, swap(actual, "Call-ID: i\r\n", ""), false},
		"other text":           {request, swap(actual, "\r\n\r\nhi", "\r\n\r\nho"), false},
		"longer":               {request, swap(actual, "2\r\n\r\nhi", "3\r\n\r\nhi!"), false},
		"an answer":            {refusal, refused, true},
		"a member less":        {refusal, swap(refused, ",text/plain", ""), false},
		"other status":         {refusal, swap(refused, "415", "416"), false},
		"Retry-After":          {refusal, swap(refused, "From:", "Retry-After: 1\r\nFrom:"), false},
		"no tag":               {refusal, swap(refused, ";tag=u", ""), false},
		"other From":           {refusal, swap(refused, "tag=t", "tag=v"), false},
		"to another request":   {refusal, swap(refused, "z9hG4bK1", "z9hG4bK2"), false},
		"CSeq of another":      {refusal, swap(refused, "CSeq: 1", "CSeq: 2"), false},
		"text of another":      {refusal, swap(refused, "0\r\n\r\n", "2\r\n\r\nhi"), false},
		"a request, no answer": {refusal, actual, false},
	} {
		if err := newNames().matchSIP(step{Data: c.want}, parse(c.got), nil, asked); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	later := map[string][]string{"Accept": {"text/html"}}
	if err := newNames().matchSIP(step{Data: refusal}, parse(refused), later, asked); err == nil {
		t.Error("what is not to be there yet is there, and nobody says so")
	}
	if err := newNames().matchSIP(step{Data: refusal}, parse(swap(refused, "Accept: text/html;q=0.5\r\n", "")), later, asked); err != nil {
		t.Error(err)
	}
}
