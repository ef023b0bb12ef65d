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
	for _, h := range headers {
		if _, ok := h.(*sip.ContentLengthHeader); ok {
			continue
		}
		var buf [maxHeaderName]byte
		if name := h.Name(); len(name) <= len(buf) {
			if is := headerOf(append(buf[:0], name...)); is != otherHeader {
				f.add(is, h.Value())
			}
		}
	}
	return f
}

// add takes the value of one more header.
func (f *fields) add(is header, v string) {
	switch is {
	case viaHeader:
		if strings.TrimSpace(v) != "" { // a blank one names nobody to answer to
			f.vias = append(f.vias, v)
		}
	case fromHeader:
		f.once(&f.from, v)
	case toHeader:
		f.once(&f.to, v)
	case callIDHeader:
		f.once(&f.callID, v)
	case cseqHeader:
		f.once(&f.cseq, v)
	case maxForwardsHeader:
		f.once(&f.maxForwards, v)
	case contentTypeHeader:
		f.once(&f.contentType, v)
	case encodingHeader:
		f.encoding = strings.TrimPrefix(f.encoding+","+v, ",")
	case dispositionHeader:
		f.once(&f.disposition, v)
	case dateHeader:
		first(&f.date, v)
	case expiresHeader:
		first(&f.expires, v)
	case subjectHeader:
		f.once(&f.subject, v)
	case languageHeader:
		first(&f.language, v)
	case requireHeader:
		f.require = append(f.require, v)
	case contactHeader:
		f.contacts = append(f.contacts, v)
	case warningHeader:
		f.warnings = append(f.warnings, v)
	case wwwAuthHeader:
		f.wwwAuth = append(f.wwwAuth, v)
	case proxyAuthHeader:
		f.proxyAuth = append(f.proxyAuth, v)
	case authInfoHeader:
		f.authInfo = append(f.authInfo, v)
	case proxyInfoHeader:
		f.proxyInfo = append(f.proxyInfo, v)
	case authorizationHeader:
		f.authorization = append(f.authorization, v)
	case assertedHeader:
		f.asserted = append(f.asserted, v)
	case privacyHeader:
		f.privacy = append(f.privacy, v)
	case acceptHeader:
		f.accept = strings.TrimPrefix(f.accept+", "+v, ", ")
	case agentHeader:
		f.agent = v
	case minExpiresHeader:
		f.minExpires = v
	case flowTimerHeader:
		f.flowTimer = v
	case unsupportedHeader:
		f.unsupported = append(f.unsupported, v)
	case retryAfterHeader:
		f.retryAfter = v
	case timestampHeader:
		f.timestamp = v
	case eventHeader:
		e := f.ofEvents()
		e.event = append(e.event, v)
	case stateHeader:
		e := f.ofEvents()
		e.state = append(e.state, v)
	case ifMatchHeader:
		e := f.ofEvents()
		e.ifMatch = append(e.ifMatch, v)
	case etagHeader:
		e := f.ofEvents()
		e.etag = append(e.etag, v)
	case recordRouteHeader:
		e := f.ofEvents()
		e.recordRoute = append(e.recordRoute, v)
	}
}

// once is for what may stand once.
func (f *fields) once(p *string, v string) {
	f.repeated = f.repeated || *p != ""
	*p = v
}

// first is for what only informs. A proxy may add such a header behind the sender's own.
func first(p *string, v string) {
	if *p == "" {
		*p = v
	}
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

	plain  bool // see plainVia; then
	filled bool // somebody has filled in where it came from,
	rport  bool // there is an rport,
	at     int  // which is here in params,
	end    int  // up to here
}

// plainVia reads a row that has one value in its usual form: nothing in it is quoted or
// empty, and there is no white space but before sent-by. It says false of all others,
// whatever they are.
func plainVia(row string) (v via, ok bool) {
	const before = "SIP/2.0/"
	if !strings.HasPrefix(row, before) {
		return v, false
	}
	i := len(before)
	for i < len(row) && tokenChar[row[i]] {
		i++
	}
	if i == len(before) || i == len(row) || row[i] != ' ' {
		return v, false
	}
	v.transport = row[len(before):i]
	i++
	host := i
	for i < len(row) && hostChar[row[i]] {
		i++
	}
	if v.host = row[host:i]; v.host == "" {
		return v, false
	}
	if i < len(row) && row[i] == ':' {
		i++
		first, port := i, 0
		for ; i < len(row) && row[i] >= '0' && row[i] <= '9' && i-first < 5; i++ {
			port = port*10 + int(row[i]-'0')
		}
		if port == 0 || port > 65535 {
			return v, false
		}
		v.port = uint16(port)
	}
	v.protocol, v.params = row[:i], row[i:]
	for i, s := 0, v.params; i < len(s); {
		at := i
		if s[i] != ';' {
			return v, false
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
				return v, false
			}
		}
		switch {
		case name == "":
			return v, false
		case len(name) == len("received") && strings.EqualFold(name, "received"):
			v.filled = true
		case len(name) == len("branch") && strings.EqualFold(name, "branch"):
			if v.branch != "" || value == "" {
				return v, false
			}
			v.branch = value
		case len(name) == len("rport") && strings.EqualFold(name, "rport"):
			if v.rport {
				return v, false
			}
			v.rport, v.at, v.end = true, at, i
		}
	}
	v.plain = true
	return v, true
}

// valueChar are the characters of a plain value of a parameter.
var valueChar = func() (t [256]bool) {
	for c := range t {
		t[c] = tokenChar[c]
	}
	for _, c := range "=:[]/@$&?" {
		t[c] = true
	}
	return t
}()

// hostChar are the characters of a host that is no IPv6 address.
var hostChar = func() (t [256]bool) {
	for c := range t {
		t[c] = tokenChar[c] && strings.IndexByte("!%*+`'~", byte(c)) < 0
	}
	return t
}()

// parseVia reads the first value of a Via row.
func parseVia(row string) (v via, ok bool) {
	if v, ok := plainVia(row); ok {
		return v, true
	}
	return parseAnyVia(row)
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

// received gives the row again as it has to stand in a response: with received if
// sent-by is not the source, and rport filled in (RFC 3261 §18.2.1, RFC 3581 §4).
// What the sender itself claims to be is dropped.
func (v *via) received(src netip.AddrPort) string {
	return string(v.appendReceived(nil, src))
}

// appendReceived appends what received gives.
func (v *via) appendReceived(b []byte, src netip.AddrPort) []byte {
	b = append(b, v.protocol...)
	rport := v.rport
	switch {
	case !v.plain || v.filled:
		b, rport = appendParams(b, v.params, src.Port())
	case rport:
		b = append(append(b, v.params[:v.at]...), ";rport="...)
		b = append(strconv.AppendUint(b, uint64(src.Port()), 10), v.params[v.end:]...)
	default:
		b = append(b, v.params...)
	}
	if a, err := v.addr(rport); rport || err != nil || a.Unmap() != src.Addr() {
		b = src.Addr().WithZone("").AppendTo(append(b, ";received="...))
	}
	if v.rest != "" {
		b = append(append(b, ','), v.rest...)
	}
	return b
}

// addr is the host as an address, which need not be known if there is an rport.
func (v *via) addr(rport bool) (netip.Addr, error) {
	if rport {
		return netip.Addr{}, nil
	}
	return netip.ParseAddr(v.host)
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
	if n, ok := plainAddr(s); ok {
		return n, true
	}
	return parseAnyAddr(s)
}

// plainAddr reads the usual form of it: an address in angle brackets, without a name, and no
// parameter but a tag. It says false of all others.
func plainAddr(s string) (n nameAddr, ok bool) {
	shut := strings.IndexByte(s, '>')
	if shut < 2 || s[0] != '<' {
		return n, false
	}
	n.uri, n.params = s[1:shut], s[shut+1:]
	for i := 0; i < len(n.uri); i++ {
		if c := n.uri[i]; !valueChar[c] && c != ';' {
			return n, false
		}
	}
	if n.params == "" {
		return n, true
	}
	const tag = ";tag="
	if !strings.HasPrefix(n.params, tag) {
		return n, false
	}
	n.tag = n.params[len(tag):]
	return n, isToken(n.tag)
}

func parseAnyAddr(s string) (n nameAddr, ok bool) {
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
	if n, method, ok = plainCSeq(s); ok {
		return n, method, true
	}
	return parseAnyCSeq(s)
}

func parseAnyCSeq(s string) (n uint32, method string, ok bool) {
	number, method, found := strings.Cut(strings.ReplaceAll(s, "\t", " "), " ")
	v, err := strconv.ParseUint(number, 10, 31)
	method = strings.TrimSpace(method)
	return uint32(v), method, found && err == nil && isToken(method) && number[0] != '+'
}

// plainCSeq reads the usual form of it: few digits, a space, a method. It says false of all
// others.
func plainCSeq(s string) (n uint32, method string, ok bool) {
	i := 0
	for ; i < len(s) && i < 9 && s[i] >= '0' && s[i] <= '9'; i++ {
		n = n*10 + uint32(s[i]-'0')
	}
	if i == 0 || i == len(s) || s[i] != ' ' {
		return 0, "", false
	}
	method = s[i+1:]
	return n, method, isToken(method)
}
