package sipside

import (
	"bytes"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// This file looks at raw bytes before sipgo's parser does: where a message ends,
// whether it is within the limits, and whether the parser will accept it. What the
// parser would choke on is answered from here (SIP-02, SIP-03, SIP-29, SEC-26).

// maxRows is the number of header rows a message may have.
const maxRows = 100

// limits bounds one message.
type limits struct{ header, body int }

// frame describes one message in a buffer.
type frame struct {
	head  int    // bytes of start line and headers, with the empty line
	body  int    // bytes of the body that the message claims to have; -1: it does not say
	first string // the start line, empty if it makes no sense at all
	bare  bool   // lines end in a bare LF somewhere: normalise first

	// status is the refusal that the message earns, 0 if it is fine; why is for
	// the log. A fatal fault leaves no way to find the next message in a stream.
	status int
	why    string
	fatal  bool
}

func (f *frame) fault(status int, why string, fatal bool) {
	if f.status == 0 {
		f.status, f.why = status, why
	}
	f.fatal = f.fatal || fatal
}

// response reports whether the start line is that of a response.
func (f *frame) response() bool { return len(f.first) >= 4 && strings.EqualFold(f.first[:4], "SIP/") }

// headEnd finds the end of the header section, the empty line included, looking
// at b[from:] only; -1 if it has not come yet. To go on after more bytes have come
// pass the old len(b)-2.
func headEnd(b []byte, from int) int {
	for i := max(from, 0); ; {
		j := bytes.IndexByte(b[i:], '\n')
		if j < 0 {
			return -1
		}
		i += j + 1
		if i < len(b) && b[i] == '\n' {
			return i + 1
		}
		if i+1 < len(b) && b[i] == '\r' && b[i+1] == '\n' {
			return i + 2
		}
	}
}

// scanFrame reads the header section b, which ends with the empty line. In a
// stream a message has to say how long it is (RFC 3261 §18.3).
func scanFrame(b []byte, stream bool, lim limits) frame {
	f := frame{head: len(b), body: -1}
	if f.head > lim.header {
		f.fault(513, "header section too long", true)
	}
	rows := 0
	for n := 0; len(b) > 0; n++ {
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			i = len(b) - 1
		}
		line := b[:i]
		b = b[i+1:]
		if k := len(line); k > 0 && line[k-1] == '\r' {
			line = line[:k-1]
		} else {
			f.bare = true
		}
		if n == 0 {
			f.startLine(line)
			continue
		}
		if len(line) == 0 {
			break
		}
		if hasControl(line) {
			f.fault(400, "control character in a header", false)
		}
		if line[0] == ' ' || line[0] == '\t' {
			if rows == 0 {
				f.fault(400, "continuation of nothing", false)
			}
			continue
		}
		rows++
		colon := bytes.IndexByte(line, ':')
		if colon < 0 || !isToken(bytes.TrimRight(line[:colon], " \t")) {
			f.fault(400, "header without a name", false)
			continue
		}
		name := bytes.TrimRight(line[:colon], " \t")
		if len(name) == 1 && (name[0] == 'l' || name[0] == 'L') || len(name) == 14 && bytes.EqualFold(name, []byte("Content-Length")) {
			folded := len(b) > 0 && (b[0] == ' ' || b[0] == '\t')
			f.contentLength(bytes.TrimSpace(line[colon+1:]), folded, stream, lim)
		}
	}
	if rows > maxRows {
		f.fault(513, "too many headers", true)
	}
	if stream && f.body < 0 {
		f.fault(400, "no Content-Length in a stream", true)
	}
	return f
}

func (f *frame) contentLength(v []byte, folded, stream bool, lim limits) {
	n, ok := 0, len(v) > 0 && len(v) <= 10 && !folded
	for _, c := range v {
		if ok = ok && c >= '0' && c <= '9'; !ok {
			break
		}
		n = n*10 + int(c-'0')
	}
	if !ok || f.body >= 0 && f.body != n {
		f.fault(400, "bad Content-Length", true)
		return
	}
	if n > lim.body {
		f.fault(413, "body too long", stream)
	}
	f.body = n
}

// startLine checks what sipgo's parser wants of a start line, and a little more.
// It may repair the line in place.
func (f *frame) startLine(line []byte) {
	first, rest, ok := bytes.Cut(line, []byte(" "))
	middle, last, ok2 := bytes.Cut(rest, []byte(" "))
	if !ok || !ok2 {
		f.fault(400, "start line", false)
		return
	}
	if len(first) >= 4 && bytes.EqualFold(first[:4], []byte("SIP/")) { // a response
		copy(first, "SIP")
		f.first = string(line)
		if len(middle) != 3 || middle[0] < '1' || middle[0] > '6' || !isDigits(middle) || hasControl(line) {
			f.fault(400, "status line", false)
		}
		// sipgo takes "SIP/2.0 200 SIPped" for a request; the true reason is in f.first.
		if len(last) >= 3 && bytes.EqualFold(last[:3], []byte("SIP")) {
			last[0] = '-'
		}
		return
	}
	// A request line has exactly two spaces and ends in the version. Take the last
	// word for the version even if there are more, or some behind it, so as to answer 400.
	last = bytes.TrimRight(last, " ")
	version := last[bytes.LastIndexByte(last, ' ')+1:]
	if len(version) < 4 || !bytes.EqualFold(version[:4], []byte("SIP/")) || !isToken(first) {
		f.fault(400, "start line", false)
		return
	}
	copy(version, "SIP")
	f.first = string(line)
	letterScheme(middle) // the true one is in f.first
	var u sip.Uri
	if len(version) != len(last) || line[len(line)-1] == ' ' || hasControl(line) || tooMany(middle, maxParams) ||
		sip.ParseUri(string(middle), &u) != nil || u.Wildcard {
		f.fault(400, "request line", false)
	}
}

// letterScheme makes a scheme of letters of one that has others too, as sipgo takes no
// such URI. It stays one that nobody knows.
func letterScheme(uri []byte) {
	scheme, _, _ := bytes.Cut(uri, []byte(":"))
	for i, c := range scheme {
		switch letter := 'a' <= c|0x20 && c|0x20 <= 'z'; {
		case !letter && (i == 0 || !(c >= '0' && c <= '9') && c != '+' && c != '-' && c != '.'):
			return // no scheme (RFC 3261 §25.1)
		case !letter:
			scheme[i] = 'x'
		}
	}
}

// normalise gives a copy of the header section with all lines ended by CRLF.
func normalise(head []byte) []byte {
	out := make([]byte, 0, len(head)+maxRows)
	for line := range bytes.Lines(head) {
		line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
		out = append(append(out, line...), '\r', '\n')
	}
	return out
}

// salvage makes a request of whatever lines b has that look like headers, for
// refusing it. It is nil if the start line is not one of a request.
func salvage(b []byte) *sip.Request {
	var req *sip.Request
	var name string
	var value []byte // so that each of many continuations costs its own length only
	add := func() {
		if name != "" {
			req.AppendHeader(sip.NewHeader(name, string(value)))
		}
		name = ""
	}
	rows := 0
	for raw := range bytes.Lines(b) {
		line := clean(bytes.TrimRight(raw, "\r\n"))
		if req == nil {
			method, rest, ok := strings.Cut(line, " ")
			rest = strings.TrimRight(rest, " ")
			i := strings.LastIndexByte(rest, ' ')
			if !ok || i < 0 || !isToken(method) || len(rest)-i < 5 || !strings.EqualFold(rest[i+1:i+5], "SIP/") {
				return nil
			}
			req = sip.NewRequest(sip.RequestMethod(strings.ToUpper(method)), sip.Uri{})
			continue
		}
		if line == "" || rows > maxRows {
			break
		}
		if line[0] == ' ' {
			value = append(append(value, ' '), strings.TrimLeft(line, " ")...)
			continue
		}
		add()
		if n, v, ok := strings.Cut(line, ":"); ok {
			name, value = strings.TrimRight(n, " "), append(value[:0], strings.TrimSpace(v)...)
			rows++
		}
	}
	if req != nil {
		add()
	}
	return req
}

// clean replaces control characters by spaces.
func clean(b []byte) string {
	if !hasControl(b) && bytes.IndexByte(b, '\t') < 0 {
		return string(b)
	}
	return string(bytes.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f {
			return ' '
		}
		return r
	}, b))
}

// hasControl reports whether b has a control character other than a tab.
func hasControl[T string | []byte](b T) bool {
	for i := 0; i < len(b); i++ {
		if c := b[i]; c < 0x20 && c != '\t' || c == 0x7f {
			return true
		}
	}
	return false
}

func isDigits(b []byte) bool {
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(b) > 0
}

// isToken reports whether b is a token (RFC 3261 §25.1).
func isToken[T string | []byte](b T) bool {
	for i := 0; i < len(b); i++ {
		if !tokenChar[b[i]] {
			return false
		}
	}
	return len(b) > 0
}

var tokenChar = func() (t [256]bool) {
	for c := '0'; c <= '9'; c++ {
		t[c] = true
	}
	for c := 'a'; c <= 'z'; c++ {
		t[c], t[c-'a'+'A'] = true, true
	}
	for _, c := range "-.!%*_+`'~" {
		t[c] = true
	}
	return t
}()
