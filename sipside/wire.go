package sipside

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/stoxgw/stox/mapping"
)

// request/response <-> mapping values. What comes in is read in checks.go and
// answers.go; here is what goes out.

// Methods of the requests that are sent.
const (
	methodMessage  = "MESSAGE"
	methodOptions  = "OPTIONS"
	methodRegister = "REGISTER"

	methodSubscribe = "SUBSCRIBE"
	methodNotify    = "NOTIFY"
	methodPublish   = "PUBLISH"
)

// outRequest is a request that goes out: a MESSAGE, or another one, which has nothing of
// a message but its addresses and identifiers.
type outRequest struct {
	*mapping.SIPMessage
	method string
	accept string // value of Accept, "" leaves it out
	extra  string // complete header lines, of values that were checked
	auth   string // the same, of credentials

	contact func(transport, sentBy string) string // makes the value of Contact; nil: there is none
	probe   *probe                                // it only asks whether somebody is there; nil for all else
	event   *outEvent                             // what a request about events has besides; nil for all else
}

// uri is the Request-URI as it stands on the wire.
func (m *outRequest) uri() string {
	if m.event != nil {
		return m.event.uri
	}
	return m.RequestURI.String()
}

// queryAccept is the form in which an OPTIONS would have a body in its answer. It is
// what every user agent knows and takes for granted (RFC 3261 §11.1, §11.2). What a
// MESSAGE may carry is in the Accept of the answer, whatever stands here.
const queryAccept = "application/sdp"

// requestOf gives the request that a value stands for, false if it stands for none.
func requestOf(v mapping.SIP) (r outRequest, ok bool) {
	switch v := v.(type) {
	case *mapping.SIPMessage:
		return outRequest{SIPMessage: v, method: methodMessage}, true
	case *mapping.SIPQuery:
		m := &mapping.SIPMessage{RequestURI: v.RequestURI, From: v.From, To: v.To, CallID: v.CallID, FromTag: v.FromTag, CSeq: v.CSeq}
		return outRequest{SIPMessage: m, method: methodOptions, accept: queryAccept}, true
	}
	return eventRequestOf(v)
}

// sendable checks a request before anything is done with it: nothing in it may
// end the header it is bound for (SEC-21). mapping has cleaned all of it, so what
// is found here is a fault of ours and refused, not mended.
func (m *outRequest) sendable() *mapping.Failure {
	if m.event == nil && m.plain() {
		return nil
	}
	return m.fault()
}

// fault is sendable for a request that is not plain.
func (m *outRequest) fault() *mapping.Failure {
	for _, v := range [...]struct{ name, value string }{
		{"Request-URI", m.RequestURI.String()}, {"From", m.From.String()}, {"To", m.To.String()},
		{"display name", m.Name}, {"Call-ID", m.CallID}, {"From tag", m.FromTag},
		{"Subject", m.Subject}, {"Content-Language", m.Lang},
		{"Content-Type", m.ContentType},
	} {
		if !headerSafe(v.value) {
			return mapping.FailInternal(fmt.Errorf("sipside: control characters in %s", v.name))
		}
	}
	for _, v := range [...]struct{ name, value string }{
		{"Request-URI", m.RequestURI.String()}, {"From", m.From.String()}, {"To", m.To.String()},
	} {
		if v.value == "" || strings.ContainsAny(v.value, "<>\" ") {
			return mapping.FailInternal(fmt.Errorf("sipside: %s is no URI", v.name))
		}
	}
	if m.CallID == "" || strings.Contains(m.CallID, " ") || !isToken(m.FromTag) || m.CSeq == 0 || m.CSeq >= 1<<31 {
		return mapping.FailInternal(fmt.Errorf("sipside: Call-ID, From tag or CSeq missing"))
	}
	if m.ContentType == "" && len(m.Body) > 0 { // RFC 3261 §20.15
		return mapping.FailInternal(fmt.Errorf("sipside: a body without Content-Type"))
	}
	if m.event != nil {
		return m.event.fault
	}
	return nil
}

// plain reports whether a request is one that sendable has no fault to find with, by looks
// that cost next to nothing: nearly all are. Of the others it says nothing.
func (m *outRequest) plain() bool {
	return plainAddress(&m.RequestURI) && plainAddress(&m.From) && plainAddress(&m.To) &&
		printable(m.Name) && printable(m.Subject) && printable(m.Lang) && printable(m.ContentType) &&
		isToken(m.FromTag) && m.CallID != "" && printable(m.CallID) && strings.IndexByte(m.CallID, ' ') < 0 &&
		m.CSeq != 0 && m.CSeq < 1<<31 && (m.ContentType != "" || len(m.Body) == 0)
}

// plainAddress reports whether nothing in a URI may end what it stands in. User and GR are
// encoded, whatever they are (mapping.URI); the rest is taken as it stands, so it is looked at.
func plainAddress(u *mapping.URI) bool {
	switch {
	case u.Scheme == "tel":
		return u.User != "" && u.Host == "" && u.Transport == ""
	case u.Scheme != "sip" || u.Host == "":
		return false
	}
	for i := 0; i < len(u.Host); i++ {
		if c := u.Host[i]; !tokenChar[c] && c != ':' {
			return false
		}
	}
	return u.Transport == "" || isToken(u.Transport)
}

// printable reports whether s has nothing but the printable characters of ASCII.
func printable(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i]-' ' > '~'-' ' {
			return false
		}
	}
	return true
}

// wire gives the bytes of a request: see appendRequest.
func (u *UA) wire(m *outRequest, r *Route, transport, sentBy, branch string) []byte {
	var place [2 * branchLen]byte // so that the copy of branch is not allocated
	return u.appendRequest(make([]byte, 0, m.room()), m, r, transport, sentBy, append(place[:0], branch...))
}

// room is about how many bytes a request has. It is not exact: what is too little costs time.
func (m *outRequest) room() int {
	n := 320 + len(m.Name) + len(m.CallID) + len(m.FromTag) + len(m.Subject) + len(m.ContentType) + len(m.extra) + len(m.auth) + len(m.Body)
	for _, u := range [...]*mapping.URI{&m.RequestURI, &m.From, &m.To} {
		n += len(u.Host) + 2*(len(u.User)+len(u.GR)) // some of it is encoded
	}
	return n
}

// quotedPairs are of a quoted string (RFC 3261 §25.1).
var quotedPairs = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

// appendRequest appends the bytes of a request; r is the route that it goes by, if it is one
// with a Via. A MESSAGE has no Contact and no Accept (RFC 3428
// §4, IM-09), and an OPTIONS needs no Contact (RFC 3261 §11.1). URIs always stand in
// angle brackets, as their parameters would be the header's otherwise.
func (u *UA) appendRequest(b []byte, m *outRequest, r *Route, transport, sentBy string, branch []byte) []byte {
	e := m.event
	b = append(append(b, m.method...), ' ')
	if e != nil {
		b = append(b, e.uri...)
	} else {
		b = m.RequestURI.AppendTo(b)
	}
	b = append(append(b, " SIP/2.0\r\nVia: SIP/2.0/"...), transport...)
	b = append(append(append(b, ' '), sentBy...), ";rport;branch="...)
	b = append(append(b, branch...), "\r\n"...)
	if e != nil {
		for _, r := range e.routes {
			b = append(append(append(b, "Route: <"...), r...), ">\r\n"...)
		}
	}
	if r != nil && r.Loose && (e == nil || len(e.routes) == 0) {
		b = append(r.Via.AppendTo(append(b, "Route: <"...)), ";lr>\r\n"...)
	}
	b = append(b, "Max-Forwards: 70\r\nFrom: "...)
	if m.Name != "" {
		b = append(append(append(b, '"'), quotedPairs.Replace(m.Name)...), `" `...)
	}
	b = append(m.From.AppendTo(append(b, '<')), ">;tag="...)
	b = append(append(b, m.FromTag...), "\r\nTo: <"...)
	b = append(m.To.AppendTo(b), '>')
	if e != nil && e.toTag != "" {
		b = append(append(b, ";tag="...), e.toTag...)
	}
	b = appendLine(append(b, "\r\n"...), "Call-ID: ", m.CallID)
	b = strconv.AppendUint(append(b, "CSeq: "...), uint64(m.CSeq), 10)
	b = append(append(append(b, ' '), m.method...), "\r\n"...)
	if date := formatDate(m.Date); date != "" {
		b = appendLine(b, "Date: ", date)
	}
	if m.accept != "" {
		b = appendLine(b, "Accept: ", m.accept)
	}
	if m.contact != nil {
		b = appendLine(b, "Contact: ", m.contact(transport, sentBy))
	}
	if e != nil && e.hasContact {
		b = appendLine(b, "Contact: ", u.ownContact(e.contact, transport, sentBy))
	}
	b = append(b, m.extra...)
	b = append(b, m.auth...)
	if m.Subject != "" {
		b = appendLine(b, "Subject: ", m.Subject)
	}
	if m.Lang != "" {
		b = appendLine(b, "Content-Language: ", m.Lang)
	}
	if u.cfg.UserAgent != "" {
		b = appendLine(b, "User-Agent: ", u.cfg.UserAgent)
	}
	if m.ContentType != "" {
		b = appendLine(b, "Content-Type: ", m.ContentType)
	}
	b = strconv.AppendInt(append(b, "Content-Length: "...), int64(len(m.Body)), 10)
	return append(append(b, "\r\n\r\n"...), m.Body...)
}

// appendLine appends a header line.
func appendLine(b []byte, name, value string) []byte {
	return append(append(append(b, name...), value...), "\r\n"...)
}
