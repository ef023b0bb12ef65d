package sipside

import (
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/stoxgw/stox/mapping"
)

// What our answers list (SIP-20, SIP-21; im.md: 415 has to name the types).
const (
	allowed        = "OPTIONS, MESSAGE, SUBSCRIBE, NOTIFY, PUBLISH"
	acceptLines    = "Accept: " + mapping.AcceptTypes + "\r\nAccept-Encoding: " + mapping.AcceptEncodings + "\r\n"
	allowLine      = "Allow: " + allowed + "\r\n"
	optionsHeaders = allowLine + allowEventsLine + "Accept: " + mapping.AcceptTypes + ", " + mapping.TypePIDF + "\r\n" +
		"Accept-Encoding: " + mapping.AcceptEncodings + "\r\nAccept-Language: *\r\nSupported: \r\n"
)

// echo is what a response repeats of its request, as it came (RFC 3261 §8.2.6.2),
// and where the response goes.
type echo struct {
	path             path
	via              topVia
	from, to, callID string
	cseq             string
	more             *moreEcho // nil if there is no more
	sent             *classes  // where responses to that method are counted; nil: nowhere
	tag              txTag     // for To,
	tagged           bool      // if the request had none
}

// moreEcho is what few requests have.
type moreEcho struct {
	vias      []string // the rows behind the first
	timestamp string
}

// topVia is the first Via row of a request, and how to fill it in for a response.
type topVia struct {
	row      string // as it came, or as it goes; "": there is none
	at, end  uint16 // where in it rport is, if it is to be filled in
	received bool   // where the request came from has to follow
}

// path is the way a response goes: the socket or connection its request came by.
type path struct {
	out sender
	to  netip.AddrPort // the source; over UDP the port that the response goes to
}

// sender is a socket or connection that bytes can be given to.
type sender interface {
	// respond takes the response r to the request of e, which leaves when push is called
	// next. It never blocks. false: it is closed or its buffer is full, nothing will leave.
	respond(e *echo, r reply) bool
	// push sees to it that what was taken leaves. It never blocks, and calls nobody back.
	push()
	// name is what we call ourselves there: sent-by of a Via, host [":" port].
	name() string
	// contact is the value of a Contact of ours by which requests come back this way.
	contact(c mapping.URI) string
}

// reply is a response without what is repeated from the request.
type reply struct {
	status int
	reason string // "" is the standard phrase
	extra  string // complete header lines
	tag    string // for To, "" takes that of the echo
	warn   string // code and quoted text of a Warning, "" if none
	remedy string // for our log
}

// plain reports whether the status alone says it all.
func (r reply) plain() bool { return r.reason == "" && r.extra == "" && r.tag == "" && r.warn == "" }

// replyTo turns the final status and failure of an outcome into a response. It has the
// headers without which a response of its status must not be sent, or is of no use (RFC
// 3261 §21: Contact in a 3xx, Allow in a 405, Accept in a 415, Unsupported in a 420 ...).
// extra are those that no Failure has. Where one is missing, the status is another one.
func replyTo(status int, f *mapping.Failure, extra ...string) reply {
	r := reply{status: status}
	if f == nil {
		return r
	}
	r.reason, r.remedy = mapping.ReasonText(f.Reason), f.Remedy
	r.extra = strings.Join(extra, "")
	switch {
	case status/100 == 3:
		// What is not plainly a URI would be an injection into our own header.
		if f.Alternate != "" && headerSafe(f.Alternate) && !strings.ContainsAny(f.Alternate, "<>\" ") {
			r.extra += "Contact: <" + f.Alternate + ">\r\n"
		} else if r.status, r.reason = 480, ""; status == 301 {
			r.status = 410
		}
	case status == 401 || status == 407: // ERR-10: whose challenge would it be?
		if r.extra == "" {
			r.status, r.reason = 403, ""
		}
	case status == 405:
		r.extra += allowLine
	case status == 415:
		r.extra += accepted(f)
	case status == 420 || status == 421 || status == 423 || status == 489:
		if r.extra == "" {
			r.status, r.reason = 400, ""
		}
	case status == 503:
		// Only in a 503 and short (SIP-30): a peer that sees it stops sending everything.
		if f.RetryAfter > 0 {
			s := (f.RetryAfter + time.Second - 1) / time.Second
			r.extra += "Retry-After: " + strconv.Itoa(int(min(max(s, 1), 10))) + "\r\n"
		}
	}
	if headerSafe(f.Warning) {
		r.warn = f.Warning
	}
	return r
}

// accepted are the headers of a 415 that say what would be understood (RFC 3261 §8.2.3):
// those that the Failure has, or everything.
func accepted(f *mapping.Failure) (lines string) {
	if f.Accept != "" && headerSafe(f.Accept) {
		lines = "Accept: " + f.Accept + "\r\n"
	}
	if f.AcceptEncoding != "" && headerSafe(f.AcceptEncoding) {
		lines += "Accept-Encoding: " + f.AcceptEncoding + "\r\n"
	}
	if lines == "" {
		return acceptLines
	}
	return lines
}

// refusal is replyTo for a Failure that is an answer by itself.
func refusal(f *mapping.Failure, extra ...string) reply {
	status, f := mapping.Outcome{Kind: mapping.Refused, Failure: f}.Final(200)
	return replyTo(status, f, extra...)
}

// response builds the bytes of a response.
func (e *echo) response(r reply) []byte { return e.appendTo(make([]byte, 0, 512), r) }

// appendTo appends the bytes of a response. Only 100 has no tag of ours.
func (e *echo) appendTo(b []byte, r reply) []byte {
	b = append(b, "SIP/2.0 "...)
	b = strconv.AppendInt(b, int64(r.status), 10)
	b = append(b, ' ')
	switch {
	case r.status == 100:
		b = append(b, "Trying"...)
	case r.reason != "":
		b = append(b, r.reason...)
	default:
		b = append(b, mapping.ReasonPhrase(r.status)...)
	}
	b = append(b, "\r\n"...)
	if e.via.row != "" {
		b = append(e.via.append(append(b, "Via: "...), e.path.to), "\r\n"...)
	}
	if e.more != nil {
		for _, v := range e.more.vias {
			b = appendHeader(b, "Via: ", v)
		}
	}
	b = appendHeader(b, "From: ", e.from)
	if e.to != "" {
		b = append(append(b, "To: "...), e.to...)
		switch {
		case !e.tagged || r.status == 100:
		case r.tag != "":
			b = append(append(b, ";tag="...), r.tag...)
		default:
			b = e.tag.append(append(b, ";tag="...))
		}
		b = append(b, "\r\n"...)
	}
	b = appendHeader(b, "Call-ID: ", e.callID)
	b = appendHeader(b, "CSeq: ", e.cseq)
	if r.status == 100 && e.more != nil {
		b = appendHeader(b, "Timestamp: ", e.more.timestamp)
	}
	b = append(b, r.extra...)
	if code, text, ok := strings.Cut(r.warn, " "); ok {
		b = append(append(append(b, "Warning: "...), code...), ' ')
		b = append(append(append(b, warnAgent(e.path.out.name())...), ' '), text...)
		b = append(b, "\r\n"...)
	}
	return append(b, "Content-Length: 0\r\n\r\n"...)
}

// warnAgent is the host of a sent-by: who says so in a Warning (RFC 3261 §20.43).
func warnAgent(sentBy string) string {
	host, _, _ := splitSentBy(sentBy)
	if strings.Contains(host, ":") {
		return "[" + host + "]"
	}
	return host
}

// answer has the response sent, with all others at the next push of its sender. Whoever
// calls it sees to that: a read loop before it waits for more. A peer that cannot take the
// response now has to ask again.
func (e *echo) answer(r reply) bool {
	e.sent.add(r.status) // first, so that whoever has it finds it counted
	// By their types, as what is given to an interface would have to be on the heap.
	switch out := e.path.out.(type) {
	case *udpSocket:
		return out.respond(e, r)
	case *stream:
		return out.respond(e, r)
	}
	return false
}

// again answers a retransmission, for which the zero reply is none.
func (e *echo) again(r reply) {
	if r.status != 0 {
		e.answer(r)
	}
}

// appendHeader leaves out what a malformed request did not have.
func appendHeader(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	return append(append(append(b, name...), value...), "\r\n"...)
}

// headerSafe reports whether s can stand in a header: it must not be able to end
// it (SEC-21). mapping cleans what it makes; this is the last line of defence.
func headerSafe(s string) bool {
	return utf8.ValidString(s) && !hasControl(s) && strings.IndexByte(s, '\t') < 0
}
