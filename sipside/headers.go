package sipside

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// fields are the headers that are looked at, as text. Names are matched without
// regard to case, compact forms are known (SIP-02).
type fields struct {
	vias                   []string // one per row, in order
	from, to, callID, cseq string
	maxForwards            string
	contentType, encoding  string
	disposition            string
	date, expires          string
	subject, language      string
	require                []string
	contacts, warnings     []string
	authorization          []string
	asserted, privacy      []string // P-Asserted-Identity, Privacy
	accept                 string
	retryAfter, timestamp  string
	wwwAuth, proxyAuth     []string // challenges, one per row
	authInfo, proxyInfo    []string // Authentication-Info, Proxy-Authentication-Info
	agent                  string   // User-Agent, of answers also Server
	minExpires, flowTimer  string
	unsupported            []string
	event                  *eventFields // headers of requests about events, nil if there are none
	repeated               bool         // a header that may stand once stands twice
}

// eventFields are headers of requests about events and their answers (RFC 6665, RFC 3903),
// one value per row.
type eventFields struct{ event, state, ifMatch, etag, recordRoute []string }

// ofEvents gives the place for them.
func (f *fields) ofEvents() *eventFields {
	if f.event == nil {
		f.event = new(eventFields)
	}
	return f.event
}

// readFields collects the headers of a message.
func readFields(headers []sip.Header) (f fields) {
	once := func(p *string, v string) {
		f.repeated = f.repeated || *p != ""
		*p = v
	}
	// For what only informs. A proxy may add such a header behind the sender's own.
	first := func(p *string, v string) {
		if *p == "" {
			*p = v
		}
	}
	for _, h := range headers {
		if _, ok := h.(*sip.ContentLengthHeader); ok {
			continue
		}
		var buf [len("proxy-authentication-info")]byte
		name := h.Name()
		if len(name) > len(buf) {
			continue
		}
		lower := buf[:len(name)]
		for i := range lower {
			if c := name[i]; c >= 'A' && c <= 'Z' {
				lower[i] = c + 'a' - 'A'
			} else {
				lower[i] = c
			}
		}
		v := h.Value()
		switch string(lower) {
		case "via", "v":
			if strings.TrimSpace(v) != "" { // a blank one names nobody to answer to
				f.vias = append(f.vias, v)
			}
		case "from", "f":
			once(&f.from, v)
		case "to", "t":
			once(&f.to, v)
		case "call-id", "i":
			once(&f.callID, v)
		case "cseq":
			once(&f.cseq, v)
		case "max-forwards":
			once(&f.maxForwards, v)
		case "content-type", "c":
			once(&f.contentType, v)
		case "content-encoding", "e":
			f.encoding = strings.TrimPrefix(f.encoding+","+v, ",")
		case "content-disposition":
			once(&f.disposition, v)
		case "date":
			first(&f.date, v)
		case "expires":
			first(&f.expires, v)
		case "subject", "s":
			once(&f.subject, v)
		case "content-language":
			first(&f.language, v)
		case "require":
			f.require = append(f.require, v)
		case "contact", "m":
			f.contacts = append(f.contacts, v)
		case "warning":
			f.warnings = append(f.warnings, v)
		case "www-authenticate":
			f.wwwAuth = append(f.wwwAuth, v)
		case "proxy-authenticate":
			f.proxyAuth = append(f.proxyAuth, v)
		case "authentication-info":
			f.authInfo = append(f.authInfo, v)
		case "proxy-authentication-info":
			f.proxyInfo = append(f.proxyInfo, v)
		case "authorization":
			f.authorization = append(f.authorization, v)
		case "p-asserted-identity":
			f.asserted = append(f.asserted, v)
		case "privacy":
			f.privacy = append(f.privacy, v)
		case "accept":
			f.accept = strings.TrimPrefix(f.accept+", "+v, ", ")
		case "user-agent", "server":
			f.agent = v
		case "min-expires":
			f.minExpires = v
		case "flow-timer":
			f.flowTimer = v
		case "unsupported":
			f.unsupported = append(f.unsupported, v)
		case "retry-after":
			f.retryAfter = v
		case "timestamp":
			f.timestamp = v
		case "event", "o":
			e := f.ofEvents()
			e.event = append(e.event, v)
		case "subscription-state":
			e := f.ofEvents()
			e.state = append(e.state, v)
		case "sip-if-match":
			e := f.ofEvents()
			e.ifMatch = append(e.ifMatch, v)
		case "sip-etag":
			e := f.ofEvents()
			e.etag = append(e.etag, v)
		case "record-route":
			e := f.ofEvents()
			e.recordRoute = append(e.recordRoute, v)
		}
	}
	return f
}

// unquoted walks over s and calls f for each byte that is in no quoted string,
// until f says false. It gives the index where it stopped, -1 at the end.
func unquoted(s string, f func(c byte) bool) int {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case !quoted && !f(c):
			return i
		}
	}
	return -1
}

// openQuote reports whether s ends within a quoted string.
func openQuote(s string) bool {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		}
	}
	return quoted
}

// cutList splits off the first element of a comma list; commas in quotes and in
// angle brackets do not count.
func cutList(s string) (first, rest string) {
	angle := false
	i := unquoted(s, func(c byte) bool {
		switch c {
		case '<':
			angle = true
		case '>':
			angle = false
		}
		return c != ',' || angle
	})
	if i < 0 {
		return strings.TrimSpace(s), ""
	}
	return strings.TrimSpace(s[:i]), s[i+1:]
}

// cutParam splits off the first parameter of ";a=b;c", without its semicolon.
func cutParam(s string) (name, value string, has bool, rest string) {
	s = strings.TrimPrefix(strings.TrimLeft(s, " \t"), ";")
	i := unquoted(s, func(c byte) bool { return c != ';' })
	if i >= 0 {
		s, rest = s[:i], s[i:]
	}
	name, value, has = strings.Cut(s, "=")
	return strings.TrimSpace(name), strings.TrimSpace(value), has, rest
}

// param finds a parameter in ";a=b;c"; names are case-insensitive (RFC 3261 §7.3.1).
func param(s, name string) (string, bool) {
	for s != "" {
		n, v, _, rest := cutParam(s)
		if strings.EqualFold(n, name) {
			return v, true
		}
		s = rest
	}
	return "", false
}

// strayParam reports whether ";a=b;;c" has a semicolon without a parameter. One at the
// very end is let pass.
func strayParam(s string) bool {
	for s != "" {
		name, _, has, rest := cutParam(s)
		if name == "" && !has && rest != "" {
			return true
		}
		s = rest
	}
	return false
}

// via is the topmost Via value of a message.
type via struct {
	protocol  string // "SIP/2.0/UDP sent-by" as it came, up to the parameters
	transport string
	host      string // sent-by; IPv6 without brackets
	port      uint16 // 0 if none
	params    string // from the first semicolon on
	branch    string
	rest      string // what follows in the same row, "" or the further values
}

// parseVia reads the first value of a Via row.
func parseVia(row string) (v via, ok bool) {
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
			if c := host[i]; !tokenChar[c] || strings.IndexByte("!%*+`'~", c) >= 0 {
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

// received gives the row again as it has to stand in a response: with received if
// sent-by is not the source, and rport filled in (RFC 3261 §18.2.1, RFC 3581 §4).
// What the sender itself claims to be is dropped.
func (v via) received(src netip.AddrPort) string {
	var b strings.Builder
	b.WriteString(v.protocol)
	rport := false
	for s := v.params; s != ""; {
		name, value, has, rest := cutParam(s)
		s = rest
		switch {
		case strings.EqualFold(name, "received"), name == "" && !has, rport && strings.EqualFold(name, "rport"):
			continue // a second rport would only make the response longer than the request
		case strings.EqualFold(name, "rport"):
			rport = true
			b.WriteString(";rport=" + strconv.Itoa(int(src.Port())))
			continue
		}
		b.WriteString(";" + name)
		if has {
			b.WriteString("=" + value)
		}
	}
	if a, err := netip.ParseAddr(v.host); rport || err != nil || a.Unmap() != src.Addr() {
		b.WriteString(";received=" + src.Addr().WithZone("").String())
	}
	if v.rest != "" {
		b.WriteString("," + v.rest)
	}
	return b.String()
}

// hasRport reports whether the sender wants the response at its source port.
func (v via) hasRport() bool {
	_, ok := param(v.params, "rport")
	return ok
}

// nameAddr is the value of From, To or Contact.
type nameAddr struct {
	name   string // display name, unquoted
	uri    string
	params string
	tag    string
}

// parseNameAddr reads name-addr or addr-spec with its header parameters. Without
// angle brackets all parameters are the header's (RFC 3261 §20).
func parseNameAddr(s string) (n nameAddr, ok bool) {
	s = strings.TrimSpace(s)
	if openQuote(s) {
		return n, false
	}
	open := unquoted(s, func(c byte) bool { return c != '<' })
	if open < 0 {
		n.uri = s
		if i := strings.IndexByte(s, ';'); i >= 0 {
			n.uri, n.params = strings.TrimSpace(s[:i]), s[i:]
		}
		if strings.ContainsAny(n.uri, " \t\",<>?") { // addr-spec with these needs brackets
			return n, false
		}
	} else {
		n.name = strings.TrimSpace(s[:open])
		shut := strings.IndexByte(s[open:], '>')
		if shut < 0 {
			return n, false
		}
		n.uri = strings.TrimSpace(s[open+1 : open+shut])
		n.params = strings.TrimSpace(s[open+shut+1:])
		if n.params != "" && n.params[0] != ';' {
			return n, false
		}
		if n.name != "" && n.name[0] == '"' {
			if len(n.name) < 2 || n.name[len(n.name)-1] != '"' {
				return n, false
			}
			n.name = unquote(n.name)
		}
	}
	n.tag, _ = param(n.params, "tag")
	return n, n.uri != ""
}

// unquote takes the quotes off a quoted-string and resolves its escapes.
func unquote(s string) string {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return s
	}
	s = s[1 : len(s)-1]
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// parseCSeq reads "number METHOD"; numbers are below 2^31 (RFC 3261 §8.1.1.5).
func parseCSeq(s string) (n uint32, method string, ok bool) {
	number, method, found := strings.Cut(strings.ReplaceAll(s, "\t", " "), " ")
	v, err := strconv.ParseUint(number, 10, 31)
	method = strings.TrimSpace(method)
	return uint32(v), method, found && err == nil && isToken(method) && number[0] != '+'
}
