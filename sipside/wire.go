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

// wire builds the bytes of a request; r is the route that it goes by, if it is one with a Via. A
// MESSAGE has no Contact and no Accept (RFC 3428
// §4, IM-09), and an OPTIONS needs no Contact (RFC 3261 §11.1). URIs always stand in
// angle brackets, as their parameters would be the header's otherwise.
func (u *UA) wire(m *outRequest, r *Route, transport, sentBy, branch string) []byte {
	b := make([]byte, 0, 640+len(m.Body))
	line := func(parts ...string) {
		for _, p := range parts {
			b = append(b, p...)
		}
		b = append(b, "\r\n"...)
	}
	line(m.method, " ", m.uri(), " SIP/2.0")
	line("Via: SIP/2.0/", transport, " ", sentBy, ";rport;branch=", branch)
	toTag := ""
	if e := m.event; e != nil {
		for _, r := range e.routes {
			line("Route: <", r, ">")
		}
		if e.toTag != "" {
			toTag = ";tag=" + e.toTag
		}
	}
	if r != nil && r.Loose && (m.event == nil || len(m.event.routes) == 0) {
		line("Route: <", r.Via.String(), ";lr>")
	}
	line("Max-Forwards: 70")
	name := ""
	if m.Name != "" {
		name = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(m.Name) + `" `
	}
	line("From: ", name, "<", m.From.String(), ">;tag=", m.FromTag)
	line("To: <", m.To.String(), ">", toTag)
	line("Call-ID: ", m.CallID)
	line("CSeq: ", strconv.FormatUint(uint64(m.CSeq), 10), " ", m.method)
	if date := formatDate(m.Date); date != "" {
		line("Date: ", date)
	}
	if m.accept != "" {
		line("Accept: ", m.accept)
	}
	if m.contact != nil {
		line("Contact: ", m.contact(transport, sentBy))
	}
	if m.event != nil && m.event.hasContact {
		line("Contact: ", u.ownContact(m.event.contact, transport, sentBy))
	}
	b = append(b, m.extra...)
	b = append(b, m.auth...)
	if m.Subject != "" {
		line("Subject: ", m.Subject)
	}
	if m.Lang != "" {
		line("Content-Language: ", m.Lang)
	}
	if u.cfg.UserAgent != "" {
		line("User-Agent: ", u.cfg.UserAgent)
	}
	if m.ContentType != "" {
		line("Content-Type: ", m.ContentType)
	}
	line("Content-Length: ", strconv.Itoa(len(m.Body)))
	line()
	return append(b, m.Body...)
}
