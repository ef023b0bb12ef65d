package sipside

import (
	"net/netip"
	"strconv"
	"strings"
)

// via is the topmost Via value of a message.
type via struct {
	protocol  string // "SIP/2.0/UDP sent-by" as it came, up to the parameters
	transport string
	host      string // sent-by; IPv6 without brackets
	port      uint16 // 0 if none
	params    string // from the first semicolon on
	branch    string
	rest      string // what follows in the same row, "" or the further values

	plain  bool // see plainRow; then
	filled bool // somebody has filled in where it came from,
	rport  bool // there is an rport,
	at     int  // which is here in params,
	end    int  // up to here
}

// plainRow reads a row that has one value in its usual form: nothing in it is quoted or
// empty, and there is no white space but before sent-by. v is zero. It says false of all others,
// whatever they are; then some of v is not zero any more.
func (v *via) plainRow(row string) bool {
	const before = "SIP/2.0/"
	if !strings.HasPrefix(row, before) {
		return false
	}
	i := len(before)
	for i < len(row) && tokenChar[row[i]] {
		i++
	}
	if i == len(before) || i == len(row) || row[i] != ' ' {
		return false
	}
	v.transport = row[len(before):i]
	i++
	host := i
	for i < len(row) && hostChar[row[i]] {
		i++
	}
	if v.host = row[host:i]; v.host == "" {
		return false
	}
	if i < len(row) && row[i] == ':' {
		i++
		first, port := i, 0
		for ; i < len(row) && row[i] >= '0' && row[i] <= '9' && i-first < 5; i++ {
			port = port*10 + int(row[i]-'0')
		}
		if port == 0 || port > 65535 {
			return false
		}
		v.port = uint16(port)
	}
	v.protocol, v.params = row[:i], row[i:]
	for i, s := 0, v.params; i < len(s); {
		at := i
		if s[i] != ';' {
			return false
		}
		i++
		for i < len(s) && tokenChar[s[i]] {
			i++
		}
		name, value := s[at+1:i], ""
		if i < len(s) && s[i] == '=' {
			first := i + 1
			for i++; i < len(s) && valueChar[s[i]]; i++ {
			}
			if value = s[first:i]; value == "" {
				return false
			}
		}
		switch {
		case name == "branch" && v.branch == "" && value != "": // as nearly all write it
			v.branch = value
		case name == "":
			return false
		case len(name) == len("received") && strings.EqualFold(name, "received"):
			v.filled = true
		case len(name) == len("branch") && strings.EqualFold(name, "branch"):
			if v.branch != "" || value == "" {
				return false
			}
			v.branch = value
		case len(name) == len("rport") && strings.EqualFold(name, "rport"):
			if v.rport {
				return false
			}
			v.rport, v.at, v.end = true, at, i
		}
	}
	v.plain = true
	return true
}

// hostChar are the characters of a host that is no IPv6 address.
var hostChar = func() (t [256]bool) {
	for c := range t {
		t[c] = tokenChar[c] && strings.IndexByte("!%*+`'~", byte(c)) < 0
	}
	return t
}()

// parseVia reads the first value of a Via row.
func parseVia(row string) (v via, ok bool) {
	ok = v.parse(row)
	return v, ok
}

// parse is parseVia into v, which is zero.
func (v *via) parse(row string) (ok bool) {
	if ok = v.plainRow(row); !ok {
		*v, ok = parseAnyVia(row)
	}
	return ok
}

func parseAnyVia(row string) (v via, ok bool) {
	if openQuote(row) {
		return v, false
	}
	first, rest := cutList(row)
	v.rest = rest
	i := unquoted(first, func(c byte) bool { return c != ';' })
	if i >= 0 {
		first, v.params = strings.TrimSpace(first[:i]), first[i:]
	}
	v.protocol = first
	name, s, ok1 := strings.Cut(first, "/")
	version, s, ok2 := strings.Cut(s, "/")
	s = strings.TrimLeft(s, " \t")
	j := strings.IndexAny(s, " \t")
	if !ok1 || !ok2 || j < 0 || !strings.EqualFold(strings.TrimSpace(name), "SIP") || strings.TrimSpace(version) != "2.0" {
		return v, false
	}
	v.transport = s[:j]
	if v.host, v.port, ok = splitSentBy(s[j:]); !ok || !isToken(v.transport) {
		return v, false
	}
	v.branch, _ = param(v.params, "branch")
	return v, true
}

// splitSentBy reads host [":" port].
func splitSentBy(s string) (host string, port uint16, ok bool) {
	s = strings.TrimSpace(s)
	end := strings.IndexByte(s, ':')
	if strings.HasPrefix(s, "[") {
		end = strings.IndexByte(s, ']') + 1
		if a, err := netip.ParseAddr(s[min(1, end):max(end-1, min(1, end))]); err != nil || !a.Is6() {
			return "", 0, false
		}
		host = s[1 : end-1]
	} else {
		if end < 0 {
			end = len(s)
		}
		host = strings.TrimSpace(s[:end])
		for i := 0; i < len(host); i++ {
			if !hostChar[host[i]] {
				return "", 0, false
			}
		}
	}
	if rest := strings.TrimSpace(s[end:]); rest != "" {
		n, err := strconv.ParseUint(strings.TrimSpace(strings.TrimPrefix(rest, ":")), 10, 16)
		if rest[0] != ':' || err != nil || n == 0 {
			return "", 0, false
		}
		port = uint16(n)
	}
	return host, port, host != ""
}

// top prepares the row of the topmost Via, of which v is the first value, for a response to
// src: it has to have received if sent-by is not the source, and rport filled in (RFC 3261
// §18.2.1, RFC 3581 §4). What the sender itself claims to be is dropped.
func (v *via) top(row string, src netip.AddrPort) topVia {
	if v.plain && !v.filled && len(row) <= maxPlain {
		t := topVia{row: row, received: v.rport || !v.isHost(src.Addr())}
		if v.rport {
			t.at, t.end = uint16(len(v.protocol)+v.at), uint16(len(v.protocol)+v.end)
		}
		return t
	}
	b, rport := appendParams([]byte(v.protocol), v.params, src.Port())
	if rport || !v.isHost(src.Addr()) {
		b = appendSource(b, src.Addr())
	}
	if v.rest != "" {
		b = append(append(b, ','), v.rest...)
	}
	return topVia{row: string(b)}
}

// append appends the row as it goes to src.
func (t *topVia) append(b []byte, src netip.AddrPort) []byte {
	if t.end > 0 {
		b = append(append(b, t.row[:t.at]...), ";rport="...)
		b = append(strconv.AppendUint(b, uint64(src.Port()), 10), t.row[t.end:]...)
	} else {
		b = append(b, t.row...)
	}
	if t.received {
		b = appendSource(b, src.Addr())
	}
	return b
}

func appendSource(b []byte, a netip.Addr) []byte {
	return a.WithZone("").AppendTo(append(b, ";received="...))
}

// isHost reports whether the sender calls itself by that address.
func (v *via) isHost(a netip.Addr) bool {
	if n := len(v.host); v.plain && (v.host[n-1] < '0' || v.host[n-1] > '9') {
		return false // a name
	}
	host, err := netip.ParseAddr(v.host)
	return err == nil && host.Unmap() == a
}

// appendParams appends the parameters of a Via with rport filled in, and reports whether
// that is among them.
func appendParams(b []byte, s string, port uint16) (_ []byte, rport bool) {
	for s != "" {
		name, value, has, rest := cutParam(s)
		s = rest
		switch {
		case strings.EqualFold(name, "received"), name == "" && !has, rport && strings.EqualFold(name, "rport"):
			continue // a second rport would only make the response longer than the request
		case strings.EqualFold(name, "rport"):
			rport = true
			b = strconv.AppendUint(append(b, ";rport="...), uint64(port), 10)
			continue
		}
		b = append(append(b, ';'), name...)
		if has {
			b = append(append(b, '='), value...)
		}
	}
	return b, rport
}

// hasRport reports whether the sender wants the response at its source port.
func (v *via) hasRport() bool {
	if v.plain {
		return v.rport
	}
	_, ok := param(v.params, "rport")
	return ok
}

// stray reports whether there is a semicolon without a parameter.
func (v *via) stray() bool { return !v.plain && strayParam(v.params) }
