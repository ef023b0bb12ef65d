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
		isToken(m.FromTag) && m.CallID != "" && visible(m.CallID) &&
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
	host := u.Host
	for i := 0; i < len(host); i++ {
		if !tokenChar[host[i]] && host[i] != ':' {
			return false
		}
	}
	return u.Transport == "" || isToken(u.Transport)
}

// printable reports whether s has nothing but the printable characters of ASCII, and visible
// whether there is no space among them, either.
func printable(s string) bool { return within(s, ' ') }
func visible(s string) bool   { return within(s, '!') }

// within reports whether s has nothing but characters of ASCII from first to '~'. It looks at
// eight bytes at a time, and at some of the last ones twice.
func within(s string, first byte) bool {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	if len(s) < 8 {
		for i := 0; i < len(s); i++ {
			if s[i]-first > '~'-first {
				return false
			}
		}
		return true
	}
	for i := 0; ; i = min(i+8, len(s)-8) {
		// A byte of which the top bit is not set has it set by what is added if it is 0x7f. What
		// is below first borrows it; so do others only above such a one.
		w := eightBytes(s[i:])
		if (w|(w+ones)|(w-uint64(first)*ones))&tops != 0 {
			return false
		}
		if i == len(s)-8 {
			return true
		}
	}
}

// eightBytes are the first ones of s, as a number.
func eightBytes(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
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
	b = append(b, branch...)
	if e != nil {
		for _, r := range e.routes {
			b = append(append(append(b, "\r\nRoute: <"...), r...), '>')
		}
	}
	if r != nil && r.Loose && (e == nil || len(e.routes) == 0) {
		b = append(r.Via.AppendTo(append(b, "\r\nRoute: <"...)), ";lr>"...)
	}
	if m.Name == "" {
		b = append(b, "\r\nMax-Forwards: 70\r\nFrom: <"...)
	} else {
		b = append(append(append(b, "\r\nMax-Forwards: 70\r\nFrom: \""...), quotedPairs.Replace(m.Name)...), `" <`...)
	}
	b = append(m.From.AppendTo(b), ">;tag="...)
	b = append(append(b, m.FromTag...), "\r\nTo: <"...)
	b = m.To.AppendTo(b)
	if e != nil && e.toTag != "" {
		b = append(append(append(b, ">;tag="...), e.toTag...), "\r\nCall-ID: "...)
	} else {
		b = append(b, ">\r\nCall-ID: "...)
	}
	b = append(append(b, m.CallID...), "\r\nCSeq: "...)
	b = append(append(strconv.AppendUint(b, uint64(m.CSeq), 10), ' '), m.method...)
	if date := formatDate(m.Date); date != "" {
		b = append(append(b, "\r\nDate: "...), date...)
	}
	if m.accept != "" {
		b = append(append(b, "\r\nAccept: "...), m.accept...)
	}
	if m.contact != nil {
		b = append(append(b, "\r\nContact: "...), m.contact(transport, sentBy)...)
	}
	if e != nil && e.hasContact {
		b = append(append(b, "\r\nContact: "...), u.ownContact(e.contact, transport, sentBy)...)
	}
	b = appendLines(appendLines(b, m.extra), m.auth)
	if m.Subject != "" {
		b = append(append(b, "\r\nSubject: "...), m.Subject...)
	}
	if m.Lang != "" {
		b = append(append(b, "\r\nContent-Language: "...), m.Lang...)
	}
	if u.cfg.UserAgent != "" {
		b = append(append(b, "\r\nUser-Agent: "...), u.cfg.UserAgent...)
	}
	if m.ContentType != "" {
		b = append(append(b, "\r\nContent-Type: "...), m.ContentType...)
	}
	b = strconv.AppendUint(append(b, "\r\nContent-Length: "...), uint64(len(m.Body)), 10)
	return append(append(b, "\r\n\r\n"...), m.Body...)
}

// appendLines appends complete header lines behind a line of which the end is not there yet.
func appendLines(b []byte, lines string) []byte {
	if lines == "" {
		return b
	}
	return append(append(b, "\r\n"...), strings.TrimSuffix(lines, "\r\n")...)
}
