package sipside

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/stoxgw/stox/mapping"
)

// request/response <-> mapping values. What comes in is read in checks.go and
// client.go; here is what goes out.

// sendable checks a message before anything is done with it: nothing in it may
// end the header it is bound for (SEC-21). mapping has cleaned all of it, so what
// is found here is a fault of ours and refused, not mended.
func sendable(m *mapping.SIPMessage) *mapping.Failure {
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
	return nil
}

// message builds a MESSAGE request (RFC 3428 §4): no Contact, no Accept (IM-09).
// URIs always stand in angle brackets, as their parameters would be the header's
// otherwise.
func (u *UA) message(m *mapping.SIPMessage, r *Route, transport, sentBy, branch string) []byte {
	b := make([]byte, 0, 640+len(m.Body))
	line := func(parts ...string) {
		for _, p := range parts {
			b = append(b, p...)
		}
		b = append(b, "\r\n"...)
	}
	line("MESSAGE ", m.RequestURI.String(), " SIP/2.0")
	line("Via: SIP/2.0/", transport, " ", sentBy, ";rport;branch=", branch)
	if r != nil && r.Loose {
		line("Route: <", r.Via.String(), ";lr>")
	}
	line("Max-Forwards: 70")
	name := ""
	if m.Name != "" {
		name = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(m.Name) + `" `
	}
	line("From: ", name, "<", m.From.String(), ">;tag=", m.FromTag)
	line("To: <", m.To.String(), ">")
	line("Call-ID: ", m.CallID)
	line("CSeq: ", strconv.FormatUint(uint64(m.CSeq), 10), " MESSAGE")
	if m.Subject != "" {
		line("Subject: ", m.Subject)
	}
	if m.Lang != "" {
		line("Content-Language: ", m.Lang)
	}
	if u.cfg.UserAgent != "" {
		line("User-Agent: ", u.cfg.UserAgent)
	}
	line("Content-Type: ", m.ContentType)
	line("Content-Length: ", strconv.Itoa(len(m.Body)))
	line()
	return append(b, m.Body...)
}
