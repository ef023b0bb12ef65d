package sipside

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// This file reads the header section of a plain message: one as nearly every program writes
// them. Lines end in CRLF and none is folded, header names are followed by their colon, there
// is no control character, and it is not long. It reads what frame.go and sipgo's parser
// together would, in one pass and without memory of its own. It refuses nothing: of what is
// not plain, or might be wrong, it says just that, and frame.go and the parser decide.

const (
	maxPlain     = 4096 // bytes of a plain header section
	maxPlainRows = 40   // headers in it that are looked at
)

// plainHead is the header section of a plain message, as places in its bytes.
type plainHead struct {
	size int // bytes of start line and headers, with the empty line
	body int // bytes of the body that the message claims to have; -1: it does not say
	n    int
	rows [maxPlainRows]plainRow
}

// plainRow is a header that is looked at, and where its value is.
type plainRow struct {
	is       header
	from, to uint16
}

// scan reads the header section at the start of b, of which the start line takes up so many
// bytes. It is false if that is not plain.
func (p *plainHead) scan(b []byte, start int, lim limits) bool {
	p.n, p.body = 0, -1
	b = b[:min(len(b), maxPlain, lim.header)]
	for i, rows := start, 0; i+1 < len(b); {
		if b[i] == '\r' && b[i+1] == '\n' {
			p.size = i + 2
			return rows <= maxRows
		}
		rows++
		colon := i
		for colon < len(b) && tokenChar[b[colon]] { // a folded line begins with none
			colon++
		}
		if colon == i || colon == len(b) || b[colon] != ':' {
			return false
		}
		is := headerOf(b[i:colon])
		from := colon + 1
		for from < len(b) && b[from] == ' ' {
			from++
		}
		end := controlAt(b, from)
		if end+1 >= len(b) || b[end] != '\r' || b[end+1] != '\n' {
			return false
		}
		i = end + 2
		if is == otherHeader {
			continue
		}
		for end > from && b[end-1] == ' ' {
			end--
		}
		// The parser takes off what Unicode has of white space, too.
		if v := b[from:end]; len(v) > 0 && (v[0] >= 0x80 || v[len(v)-1] >= 0x80) && len(bytes.TrimSpace(v)) != len(v) {
			return false
		}
		if is == contentLength {
			if !p.length(b[from:end], lim) {
				return false
			}
			continue
		}
		if p.n == len(p.rows) {
			return false
		}
		p.rows[p.n] = plainRow{is, uint16(from), uint16(end)}
		p.n++
	}
	return false
}

// length reads Content-Length, which may stand once.
func (p *plainHead) length(v []byte, lim limits) bool {
	if p.body >= 0 || len(v) > 9 || !isDigits(v) {
		return false
	}
	p.body = 0
	for _, c := range v {
		p.body = p.body*10 + int(c-'0')
	}
	return p.body <= lim.body
}

// content gives the body of the message that begins b; false if that is not there, or if
// there is no telling where it ends.
func (p *plainHead) content(b []byte, stream bool) ([]byte, bool) {
	rest := b[p.size:]
	switch {
	case p.body < 0:
		return rest, !stream
	case p.body > len(rest):
		return nil, false
	}
	return rest[:p.body], true
}

// fields are the headers, cut from text, which is a copy of the header section.
func (p *plainHead) fields(f *fields, text string) {
	for _, r := range p.rows[:p.n] {
		f.add(r.is, text[r.from:r.to])
	}
}

// plainRequest reads the request line of a plain MESSAGE: where its URI ends, and the line;
// false if it is not one. The URI is one that the parser takes: a user or none, a host and
// perhaps a port, and a few parameters. What else may be wrong with it is for the checks.
func plainRequest(b []byte) (uri, size int, ok bool) {
	const before, behind = "MESSAGE sip:", " SIP/2.0\r\n"
	if len(b) < len(before) || string(b[:len(before)]) != before {
		return 0, 0, false
	}
	i := len(before)
	for i < len(b) && (tokenChar[b[i]] && b[i] != '*' || b[i] == '@') { // a host * would be none
		i++
	}
	if i == len(before) {
		return 0, 0, false
	}
	if i < len(b) && b[i] == ':' {
		port := i + 1
		for i++; i < len(b) && b[i] >= '0' && b[i] <= '9'; i++ {
		}
		if i == port || i > port+5 {
			return 0, 0, false
		}
	}
	params := 0
	if i < len(b) && b[i] == ';' {
		for ; i < len(b) && (tokenChar[b[i]] || b[i] == ';' || b[i] == '=' || b[i] == ':'); i++ {
			if b[i] == ';' {
				params++
			}
		}
	}
	if params > 8 || len(b)-i < len(behind) || string(b[i:i+len(behind)]) != behind {
		return 0, 0, false
	}
	return i, i + len(behind), true
}

// plainStatus reads the status line of a plain response: the status, and how long the line
// is; false if it is not one.
func plainStatus(b []byte) (status, size int, ok bool) {
	const before = "SIP/2.0 "
	if len(b) < len(before)+4 || string(b[:len(before)]) != before {
		return 0, 0, false
	}
	for _, c := range b[len(before) : len(before)+3] {
		if c < '0' || c > '9' {
			return 0, 0, false
		}
		status = status*10 + int(c-'0')
	}
	if status < 100 || status > 699 || b[len(before)+3] != ' ' {
		return 0, 0, false
	}
	end := controlAt(b, len(before)+4)
	if end+1 >= len(b) || b[end] != '\r' || b[end+1] != '\n' {
		return 0, 0, false
	}
	return status, end + 2, true
}

// controlAt is the index of the first control character in b from i on, a tab among them,
// or len(b). It looks at eight bytes at a time.
func controlAt(b []byte, i int) int {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	for ; i+8 <= len(b); i += 8 {
		w := binary.LittleEndian.Uint64(b[i:])
		// The lowest top bit set is that of a byte below 0x20, or of a 0x7f. Above it a
		// borrow may have set others.
		del := w ^ 0x7f*ones
		if m := ((w-0x20*ones)&^w | (del-ones)&^del) & tops; m != 0 {
			return i + bits.TrailingZeros64(m)/8
		}
	}
	for i < len(b) && b[i] >= 0x20 && b[i] != 0x7f {
		i++
	}
	return min(i, len(b))
}
