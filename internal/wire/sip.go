package wire

import (
	"bytes"
	"regexp"
	"strings"
)

// sipPacket is what a SIP packet looks like to those who may not see all of it.
type sipPacket struct {
	start  string // its first line, masked
	head   []byte // start line, headers and the empty line, masked
	body   []byte // as it came
	callID string
	values []string // of the headers that name somebody, and the Request-URI first if there is one
}

// Headers whose values prove who somebody is, or help to find that out.
var credentials = map[string]bool{
	"authorization": true, "proxy-authorization": true, "www-authenticate": true, "proxy-authenticate": true,
	"authentication-info": true, "proxy-authentication-info": true,
}

// Headers that name somebody, with their short forms (RFC 3261 §7.3.3).
var naming = map[string]bool{
	"from": true, "f": true, "to": true, "t": true, "contact": true, "m": true,
	"p-asserted-identity": true, "p-preferred-identity": true,
}

// maxValues is how many headers that name somebody are looked at.
const maxValues = 16

// readSIP takes a packet apart and masks its headers; texts says that those which users write may
// be seen. ok is false for what does not begin as SIP does.
//
// It is no parser of SIP: each CR and each LF ends a line, and the first empty line ends the
// headers. No parser sees a header where this one sees none, and what is no header is hidden.
func readSIP(b []byte, texts bool) (p sipPacket, ok bool) {
	b = bytes.TrimLeft(b, "\r\n")
	line, rest := cutLine(b)
	start := string(line)
	if !strings.HasPrefix(start, "SIP/2.0 ") && !strings.HasSuffix(start, " SIP/2.0") {
		return p, false
	}
	if method, uri, is := strings.Cut(start, " "); is && method != "SIP/2.0" {
		p.values = append(p.values, strings.TrimSuffix(uri, " SIP/2.0"))
	}
	p.start = maskURIs(start)
	p.head = append(append(make([]byte, 0, len(b)), p.start...), "\r\n"...)
	for len(rest) > 0 {
		line, rest = cutLine(rest)
		if len(line) == 0 {
			break
		}
		for len(rest) > 0 && (rest[0] == ' ' || rest[0] == '\t') { // the rest of a header in lines of its own
			var more []byte
			more, rest = cutLine(rest)
			line = append(append(bytes.Clone(line), "\r\n"...), more...)
		}
		p.header(string(line), texts)
	}
	p.head = append(p.head, "\r\n"...)
	p.body = rest
	return p, true
}

// header takes one header with all of its lines.
func (p *sipPacket) header(line string, texts bool) {
	name, value, is := strings.Cut(line, ":")
	key := strings.ToLower(strings.TrimRight(name, " \t"))
	switch {
	case !is || !isToken(key):
		line = stars(line)
	case credentials[key]:
		line = name + ": " + maskCredentials(value)
	case (key == "subject" || key == "s") && !texts:
		line = name + ":" + stars(value)
	case key == "call-id" || key == "i":
		p.callID = strings.TrimSpace(value)
	case naming[key] && len(p.values) < maxValues:
		p.values = append(p.values, value)
	}
	p.head = append(append(p.head, maskURIs(line)...), "\r\n"...)
}

// cutLine cuts off a line, with what ends it: CRLF, LF or CR.
func cutLine(b []byte) (line, rest []byte) {
	i := bytes.IndexAny(b, "\r\n")
	if i < 0 {
		return b, nil
	}
	if b[i] == '\r' && i+1 < len(b) && b[i+1] == '\n' {
		return b[:i], b[i+2:]
	}
	return b[:i], b[i+1:]
}

// stars are as many as s has octets: what counts them finds as many as before.
func stars(s string) string { return strings.Repeat("*", len(s)) }

// Passwords in SIP URIs (RFC 3261 §19.1.1), and headers in them.
var (
	uriPassword = regexp.MustCompile(`(?i)(sips?:[^\s:@<>"]*):[^\s<>"]*@`)
	uriHeaders  = regexp.MustCompile(`(?i)(authorization|authenticate|authentication-info)=[^\s&<>"']*`)
)

// maskURIs hides the passwords that are in URIs of s.
func maskURIs(s string) string {
	if strings.Contains(s, "@") {
		s = uriPassword.ReplaceAllString(s, "$1:***@")
	}
	if strings.Contains(s, "?") || strings.Contains(s, "&") {
		s = uriHeaders.ReplaceAllString(s, "$1=***")
	}
	return s
}

// Parameters of digest authentication (RFC 7616) that are no secret and help nobody to find one.
var harmless = map[string]bool{
	"username": true, "realm": true, "uri": true, "algorithm": true, "qop": true, "nc": true, "stale": true, "domain": true,
	"userhash": true, "charset": true,
}

// maskCredentials hides all of the value of a header like Authorization but its scheme and what
// is known to be harmless.
func maskCredentials(value string) string {
	const hidden = "***"
	rest := strings.TrimLeft(value, " \t\r\n")
	var out []byte
	if scheme, after, is := strings.Cut(rest, " "); is && isToken(strings.ToLower(scheme)) {
		out = append(out, scheme...)
		if rest = after; !strings.EqualFold(scheme, "digest") {
			return string(out) + " " + hidden
		}
		out = append(out, ' ')
	}
	for first := true; ; first = false {
		name, raw, after, ok := cutParameter(rest)
		switch {
		case !ok:
			return string(append(out, hidden...))
		case !first:
			out = append(out, ", "...)
		}
		out = append(append(out, name...), '=')
		if harmless[strings.ToLower(name)] {
			out = append(out, raw...)
		} else {
			out = append(out, hidden...)
		}
		if after == "" {
			return string(out)
		}
		rest = after[1:]
	}
}

// cutParameter cuts off name=value, up to a comma or the end.
func cutParameter(s string) (name, raw, rest string, ok bool) {
	s = strings.TrimLeft(s, " \t\r\n")
	name, s, ok = strings.Cut(s, "=")
	name = strings.TrimRight(name, " \t\r\n")
	if !ok || !isToken(strings.ToLower(name)) {
		return "", "", "", false
	}
	s = strings.TrimLeft(s, " \t\r\n")
	end := 0
	if strings.HasPrefix(s, `"`) {
		for end = 1; end < len(s) && s[end] != '"'; end++ {
			if s[end] == '\\' {
				end++
			}
		}
		if end++; end > len(s) {
			return "", "", "", false
		}
	} else {
		for end < len(s) && isToken(s[end:end+1]) {
			end++
		}
	}
	raw, rest = s[:end], strings.TrimLeft(s[end:], " \t\r\n")
	return name, raw, rest, end > 0 && (rest == "" || rest[0] == ',')
}

// isToken reports whether s is a token of RFC 3261 §25.1.
func isToken(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-.!%*_+`'~", c) >= 0) {
			return false
		}
	}
	return s != ""
}
