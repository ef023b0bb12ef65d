package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The functions in this file judge the shape of a value: whether it could be a
// domain, a JID, a SIP URI. Whether it is one, mapping knows. An error says what
// is wrong in words that fit behind "…: ".

// shapeError is what is wrong with a value and how to write it.
type shapeError struct{ text, hint string }

func (e *shapeError) Error() string { return e.text }

func shapef(hint, format string, args ...any) error {
	return &shapeError{fmt.Sprintf(format, args...), hint}
}

// checkShape notes the fault, if there is one.
func (p *parser) checkShape(path string, err error) bool {
	var s *shapeError
	if errors.As(err, &s) {
		p.fault(path, s.text, s.hint)
	}
	return err == nil
}

// normalDomain is the spelling in which domains are compared here.
func normalDomain(s string) string { return strings.ToLower(strings.TrimSuffix(s, ".")) }

// domainShape accepts a DNS name, with or without letters outside ASCII, and an
// IPv4 address. It keeps out what would break the server's configuration when
// stox init writes it there.
func domainShape(s string) error {
	q := Quote(s)
	switch {
	case s == "":
		return shapef("", "is empty")
	case strings.Contains(s, "://"):
		return shapef("leave out the "+Quote(s[:strings.Index(s, "://")+3]), "%s is a URL, not a domain", q)
	case strings.Contains(s, "@"):
		return shapef(domainHint(s[strings.LastIndexByte(s, '@')+1:]), "%s is an address, not a domain", q)
	case strings.Contains(s, ":"):
		return shapef(domainHint(s[:strings.IndexByte(s, ':')]), "%s is not a domain; a port or a scheme does not belong here", q)
	case !utf8.ValidString(s) || len(s) > 253+1:
		return shapef("", "is not a domain: too long or not UTF-8")
	}
	for _, label := range strings.Split(strings.TrimSuffix(s, "."), ".") {
		if label == "" || len(label) > 63 || strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-") {
			return shapef("", "%s is not a domain: each part between the dots has 1 to 63 letters, digits or hyphens, no hyphen at its ends", q)
		}
		for _, r := range label {
			if !(r == '-' || unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r)) {
				return shapef("", "%s is not a domain: %q does not belong there", q, r)
			}
		}
	}
	return nil
}

func domainHint(s string) string {
	if domainShape(s) != nil {
		return ""
	}
	return "did you mean " + Quote(s) + "?"
}

// splitHostPort takes host:port apart, with the port as a number.
func splitHostPort(s string, defaultPort int) (host string, port int, err error) {
	q := Quote(s)
	host, p, splitErr := net.SplitHostPort(s)
	if splitErr != nil {
		want := s + ":" + strconv.Itoa(defaultPort)
		if strings.Count(s, ":") > 1 && !strings.HasPrefix(s, "[") {
			want = "[" + s + "]:" + strconv.Itoa(defaultPort)
		}
		if _, _, err := net.SplitHostPort(want); err != nil || s == "" || strings.HasSuffix(s, ":") {
			return "", 0, shapef("", "%s is not host:port", q)
		}
		return "", 0, shapef("did you mean "+Quote(want)+"?", "%s is not host:port", q)
	}
	n, err := strconv.ParseUint(p, 10, 16)
	if err != nil {
		return "", 0, shapef("", "%s has no port between 0 and 65535", q)
	}
	if host == "" {
		return "", 0, shapef("", "%s has no host", q)
	}
	return host, int(n), nil
}

// hostShape accepts a domain or an IP address, IPv6 without brackets.
func hostShape(host string) error {
	if a, err := netip.ParseAddr(host); err == nil {
		if a.Zone() != "" {
			return shapef("", "%s has a zone", Quote(host))
		}
		return nil
	}
	return domainShape(host)
}

// parseListen reads one address of sip.listen.
func (p *parser) parseListen(s string) (t *transport, addr netip.AddrPort, err error) {
	q := Quote(s)
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		return nil, addr, shapef("write for example \"udp://0.0.0.0:5060\"", "%s is not a URL", q)
	}
	if err := p.checkTransport(scheme, scheme+"://"); err != nil {
		return nil, addr, err
	}
	t = transportNamed(scheme)
	rest = strings.TrimSuffix(rest, "/")
	if strings.HasPrefix(rest, ":") {
		return nil, addr, shapef("for every address write \""+scheme+"://0.0.0.0"+rest+"\"", "%s has no host", q)
	}
	host, port, err := splitHostPort(rest, t.port)
	if err != nil {
		var s *shapeError
		errors.As(err, &s)
		return nil, addr, shapef(strings.Replace(s.hint, `"`, `"`+scheme+"://", 1), "%s", strings.Replace(s.text, Quote(rest), q, 1))
	}
	ip, err := netip.ParseAddr(host)
	if err != nil || ip.Zone() != "" {
		return nil, addr, shapef("names can change, addresses to listen on cannot", "%s must have an IP address for its host", q)
	}
	return t, netip.AddrPortFrom(ip.Unmap(), uint16(port)), nil
}

// checkTransport accepts the name of a transport that is built; what is how it
// is written.
func (p *parser) checkTransport(name, what string) error {
	var built []string
	for _, t := range transports {
		if p.all || t.built {
			built = append(built, t.name)
		}
	}
	hint := "use " + strings.Join(built, " or ")
	if strings.HasSuffix(what, "://") {
		hint = "use " + strings.Join(built, ":// or ") + "://"
	}
	switch {
	case transportNamed(name) == nil:
		return shapef(hint, "%s is no transport that stox knows", what)
	case !slices.Contains(built, name):
		return shapef(hint, "%s is %s", what, notBuilt)
	}
	return nil
}

// sipURI is as much of a SIP URI as this package looks at.
type sipURI struct {
	secure    bool   // sips:
	user      string // as written
	host      string // without brackets
	port      int    // 0 = none
	transport string // lower case; "" = none
}

func (p *parser) parseSIPURI(s string) (u sipURI, err error) {
	q := Quote(s)
	scheme, rest, ok := strings.Cut(s, ":")
	switch {
	case ok && strings.EqualFold(scheme, "sips"):
		if p.checkTransport("tls", "") != nil {
			return u, shapef("use sip:", "sips: is %s", notBuilt)
		}
		u.secure = true
	case !ok || !strings.EqualFold(scheme, "sip"):
		return u, shapef("write for example \"sip:192.0.2.10:5060\"", "%s is not a SIP URI", q)
	}
	for _, r := range rest {
		if r <= ' ' || r == 0x7f || strings.ContainsRune(`<>"`, r) {
			return u, shapef("", "%s is not a SIP URI: %q does not belong there", q, r)
		}
	}
	if user, host, ok := strings.Cut(rest, "@"); ok {
		u.user, rest = user, host
		if user == "" || strings.Contains(host, "@") {
			return u, shapef("", "%s is not a SIP URI: one user and one @", q)
		}
		if strings.Contains(user, ":") {
			// Not quoted: what stands behind the colon is a password.
			return u, shapef("", "a SIP URI with a password is not accepted")
		}
	}
	if strings.Contains(rest, "?") {
		return u, shapef("leave out everything from the ? on", "%s has headers", q)
	}
	hostPort, params, _ := strings.Cut(rest, ";")
	for _, param := range strings.Split(params, ";") {
		if name, value, _ := strings.Cut(param, "="); strings.EqualFold(name, "transport") {
			u.transport = strings.ToLower(value)
		}
	}
	if _, after, ok := strings.Cut(hostPort, "]"); strings.HasPrefix(hostPort, "[") && ok && after == "" || !strings.Contains(hostPort, ":") {
		u.host = strings.Trim(hostPort, "[]")
	} else if u.host, u.port, err = splitHostPort(hostPort, 5060); err != nil {
		return u, shapef("", "%s is not a SIP URI: no host and port", q)
	} else if u.port == 0 {
		return u, shapef("", "%s has port 0", q)
	}
	if hostShape(u.host) != nil {
		return u, shapef("", "%s is not a SIP URI: no host", q)
	}
	return u, nil
}

// bareJIDShape accepts user@domain.
func bareJIDShape(s string) error {
	q := Quote(s)
	if strings.Contains(s, "/") {
		return shapef("leave out everything from the / on", "%s has a resource", q)
	}
	local, domain, ok := strings.Cut(s, "@")
	if !ok || local == "" || len(local) > 1023 || strings.ContainsAny(local, "\"&'/:<> \t\r\n") || domainShape(domain) != nil {
		return shapef("write for example \"juliet@example.com\"", "%s is not a JID", q)
	}
	return nil
}
