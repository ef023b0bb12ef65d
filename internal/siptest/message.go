package siptest

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// Message is a SIP message as it was on the wire. Parsing is by the letter of RFC
// 3261 §7 and independent of the code under test: no compact forms, no folding,
// no bare line feeds, and a Content-Length that is right.
type Message struct {
	First  string // the start line
	Fields []Field
	Body   []byte
	Source netip.AddrPort // where it came from
}

// Field is a header row.
type Field struct{ Name, Value string }

// errShort says that more bytes are needed.
var errShort = errors.New("siptest: message is not complete")

// Parse reads one message from the start of b and tells how long it is.
func Parse(b []byte) (*Message, int, error) {
	end := bytes.Index(b, []byte("\r\n\r\n"))
	if end < 0 {
		return nil, 0, errShort
	}
	lines := strings.Split(string(b[:end]), "\r\n")
	m := &Message{First: lines[0]}
	if err := m.checkFirst(); err != nil {
		return nil, 0, err
	}
	for _, l := range lines[1:] {
		name, value, ok := strings.Cut(l, ":")
		if !ok || name == "" || strings.ContainsAny(name, " \t") || strings.ContainsAny(l, "\r\n\x00") {
			return nil, 0, fmt.Errorf("siptest: header line %q", l)
		}
		m.Fields = append(m.Fields, Field{name, strings.Trim(value, " \t")})
	}
	n, err := strconv.Atoi(m.Get("Content-Length"))
	if err != nil || n < 0 {
		return nil, 0, fmt.Errorf("siptest: Content-Length %q", m.Get("Content-Length"))
	}
	if len(b) < end+4+n {
		return nil, 0, errShort
	}
	m.Body = bytes.Clone(b[end+4 : end+4+n])
	return m, end + 4 + n, nil
}

// readStream gives the messages that come over a connection, with their text, until it
// ends. The error is about one that is bad.
func readStream(c net.Conn, take func(m *Message, raw []byte)) error {
	var have []byte
	buf := make([]byte, 65536)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return nil
		}
		have = append(have, buf[:n]...)
		for {
			for bytes.HasPrefix(have, []byte("\r\n")) { // keepalives
				have = have[2:]
			}
			m, size, err := Parse(have)
			if err == errShort {
				break
			}
			if err != nil {
				return fmt.Errorf("%w\n%s", err, have)
			}
			take(m, have[:size])
			have = have[size:]
		}
	}
}

func (m *Message) checkFirst() error {
	a, rest, _ := strings.Cut(m.First, " ")
	b, c, ok := strings.Cut(rest, " ")
	if !ok || strings.ContainsAny(m.First, "\r\n\x00") {
		return fmt.Errorf("siptest: start line %q", m.First)
	}
	if a == "SIP/2.0" {
		if n, err := strconv.Atoi(b); err != nil || n < 100 || n > 699 {
			return fmt.Errorf("siptest: status line %q", m.First)
		}
		return nil
	}
	if c != "SIP/2.0" {
		return fmt.Errorf("siptest: request line %q", m.First)
	}
	return nil
}

// Get is the first value of a header, "" if there is none.
func (m *Message) Get(name string) string {
	if all := m.All(name); len(all) > 0 {
		return all[0]
	}
	return ""
}

// All are the values of a header, one per row.
func (m *Message) All(name string) []string {
	var all []string
	for _, f := range m.Fields {
		if strings.EqualFold(f.Name, name) {
			all = append(all, f.Value)
		}
	}
	return all
}

// Status is the code of a response, 0 for a request.
func (m *Message) Status() int {
	if !strings.HasPrefix(m.First, "SIP/") {
		return 0
	}
	n, _ := strconv.Atoi(strings.Fields(m.First)[1])
	return n
}

// Method is that of CSeq.
func (m *Message) Method() string {
	_, method, _ := strings.Cut(m.Get("CSeq"), " ")
	return method
}

// Branch is that of the first Via.
func (m *Message) Branch() string { return branch(m.Get("Via")) }

// branch is the first branch parameter in s.
func branch(s string) string {
	_, b, _ := strings.Cut(s, ";branch=")
	if i := strings.IndexAny(b, ";, \r\n"); i >= 0 {
		b = b[:i]
	}
	return b
}

// Reply makes a response to a request. lines are further headers, such as
// "Retry-After: 5".
func (m *Message) Reply(status int, reason string, lines ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "SIP/2.0 %d %s\r\n", status, reason)
	for _, f := range m.Fields {
		switch f.Name {
		case "Via", "From", "Call-ID", "CSeq":
			fmt.Fprintf(&b, "%s: %s\r\n", f.Name, f.Value)
		case "To":
			fmt.Fprintf(&b, "To: %s;tag=peer\r\n", f.Value)
		}
	}
	for _, l := range lines {
		b.WriteString(l + "\r\n")
	}
	b.WriteString("Content-Length: 0\r\n\r\n")
	return b.String()
}

// Text makes raw text of lines: each gets a CRLF, an empty line and the body
// follow, and Content-Length is added unless a line has it.
func Text(body string, lines ...string) string {
	var b strings.Builder
	length := false
	for _, l := range lines {
		length = length || strings.HasPrefix(strings.ToLower(l), "content-length:") || strings.HasPrefix(l, "l:")
		b.WriteString(l + "\r\n")
	}
	if !length {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(body))
	}
	return b.String() + "\r\n" + body
}
