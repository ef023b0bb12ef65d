package mapping

import (
	"strconv"
	"strings"
)

// URI is a SIP (or tel:, im:, pres:) address as far as stox looks at it. It is
// comparable, but == is not the comparison of addresses: AOR is the key for that.
//
// Values come from ParseURI or hold fields as it leaves them. String encodes User
// and GR whatever they are; Scheme, Host and Transport it takes as they stand.
type URI struct {
	Scheme    string // sip, tel, im or pres
	User      string // percent-decoded, no control characters; tel: the whole subscriber in canonical form
	Host      string // lower case, A-label; IPv6 without brackets; "" only for tel
	Port      uint16 // 0 = none
	Phone     bool   // user=phone
	GR        string // value of the gr parameter, decoded; "" also for a temporary GRUU (ADDR-11)
	Transport string // transport parameter in lower case
}

// ParseURI parses a SIP, tel, im or pres URI (RFC 3261 §19.1, RFC 3966, RFC 3860,
// RFC 3859). Password, headers and all parameters but gr, user and transport are
// dropped (ADDR-03); no error text has any of them.
//
// The error is a *Failure with one of the reasons syntax, bad-utf8, unmappable
// (control characters), sips and scheme. A sips URI is parsed, so that its faults
// are told first, and refused.
//
// It differs from RFC 3261 in that a host may be written with U-labels, and in
// that it does not look at the parameters which it drops.
func ParseURI(s string) (URI, error) {
	if u, ok := plainURI(s); ok {
		return u, nil
	}
	u, f := parseURI(s)
	return orURI(u, f)
}

// MustParseURI is ParseURI for tests and constants: it panics on an error.
func MustParseURI(s string) URI {
	u, err := ParseURI(s)
	if err != nil {
		panic("mapping: " + err.Error())
	}
	return u
}

func parseURI(s string) (URI, *Failure) {
	scheme, rest, ok := strings.Cut(s, ":")
	if !ok || !isScheme(scheme) {
		return URI{}, addressFailure(ReasonSyntax, "The address is not a URI.")
	}
	for i := range len(rest) {
		if rest[i] <= ' ' || rest[i] == 0x7f {
			return URI{}, addressFailure(ReasonSyntax, "The address has a space or a control character.")
		}
	}
	u := URI{Scheme: lower(scheme)}
	var f *Failure
	switch u.Scheme {
	case "tel":
		f = u.parseTel(rest)
	case "sip", "sips", "im", "pres":
		f = u.parseSIP(rest)
	default:
		f = addressFailure(ReasonScheme, "Addresses of this kind are not understood: it takes a sip: address.")
	}
	if f == nil && u.Scheme == "sips" {
		f = refuseSIPS()
	}
	return u, f
}

func refuseSIPS() *Failure {
	return addressFailure(ReasonSIPS, "The gateway does not take sips: addresses.")
}

// parseSIP parses what follows the scheme of sip, sips, im and pres.
func (u *URI) parseSIP(rest string) *Failure {
	user, host, hasUser := strings.Cut(rest, "@")
	if !hasUser {
		user, host = "", rest
	}
	if strings.IndexByte(host, '@') >= 0 {
		return addressFailure(ReasonSyntax, "The address has more than one @.")
	}
	if hasUser {
		if f := u.parseUser(user); f != nil {
			return f
		}
	}
	if i := strings.IndexByte(host, '?'); i >= 0 {
		host = host[:i]
	}
	host, params, _ := strings.Cut(host, ";")
	if f := u.parseHost(host); f != nil {
		return f
	}
	return u.parseParams(params)
}

func (u *URI) parseUser(s string) *Failure {
	raw := userRaw
	if u.mailbox() {
		raw = mailboxTaken
	} else if i := strings.IndexByte(s, ':'); i >= 0 {
		if !passwordRaw.all(s[i+1:]) {
			return addressFailure(ReasonSyntax, "The part of the address before the @ has a character that must be percent-encoded.")
		}
		s = s[:i]
	}
	if s == "" {
		return addressFailure(ReasonSyntax, "The address has nothing before the @.")
	}
	var reason Reason
	u.User, reason = percentDecode(s, raw)
	switch reason {
	case "":
		return nil
	case ReasonBadUTF8:
		return addressFailure(reason, "The user name is not valid UTF-8.")
	case ReasonUnmappable:
		return addressFailure(reason, "The user name has a control character.")
	}
	return addressFailure(reason, "The part of the address before the @ has a character that must be percent-encoded.")
}

// parseHost parses a host and port.
func (u *URI) parseHost(s string) *Failure {
	host, port, ok := splitHostPort(s)
	if ok && host != "" {
		u.Host, ok = sipHost(host)
	}
	if !ok || host == "" || u.mailbox() && port != 0 {
		return addressFailure(ReasonSyntax, "The address has no valid host.")
	}
	u.Port = port
	return nil
}

// splitHostPort splits "host", "host:port", "[v6]" and "[v6]:port"; the brackets
// stay. The port is 0 if there is none.
func splitHostPort(s string) (host string, port uint16, ok bool) {
	i := strings.LastIndexByte(s, ':')
	if i < strings.LastIndexByte(s, ']') {
		i = -1 // a colon of the address itself
	}
	if i < 0 {
		return s, 0, true
	}
	if len(s)-i > 6 {
		return "", 0, false
	}
	for _, c := range []byte(s[i+1:]) {
		if c < '0' || c > '9' {
			return "", 0, false
		}
	}
	n, err := strconv.ParseUint(s[i+1:], 10, 16)
	return s[:i], uint16(n), err == nil && n != 0
}

func (u *URI) parseParams(s string) *Failure {
	var gr, user, transport, wrong bool
	for s != "" && !wrong {
		var p string
		p, s, _ = strings.Cut(s, ";")
		name, value, _ := strings.Cut(p, "=")
		switch {
		case strings.EqualFold(name, "gr"):
			wrong, gr = gr, true
			// What cannot be decoded is dropped like a parameter that is not known.
			if gr, reason := percentDecode(value, paramRaw); reason == "" && u.Scheme == "sip" {
				u.GR = gr
			}
		case strings.EqualFold(name, "user"):
			wrong, user = user, true
			u.Phone = u.Scheme == "sip" && strings.EqualFold(value, "phone")
		case strings.EqualFold(name, "transport"):
			wrong, transport = transport || value == "" || !tokenRaw.all(value), true
			// A token may have characters that no URI has (RFC 3986 §2); no transport is
			// named so.
			if u.Scheme == "sip" && !strings.ContainsAny(value, "`%") {
				u.Transport = lower(value)
			}
		}
	}
	if wrong {
		return addressFailure(ReasonSyntax, "A parameter of the address is wrong or there twice.")
	}
	return nil
}

// parseTel parses what follows tel: (RFC 3966 §3). Headers, which that scheme
// does not have, are dropped as for the others.
func (u *URI) parseTel(rest string) *Failure {
	if i := strings.IndexByte(rest, '?'); i >= 0 {
		rest = rest[:i]
	}
	number, reason := percentDecode(rest, telRaw)
	if reason != "" {
		return addressFailure(reason, "The address is not a telephone number.")
	}
	number, ok := subscriber(number)
	if !ok {
		return addressFailure(ReasonSyntax, "The address is not a telephone number: it must begin with + or have a phone-context.")
	}
	u.User = number
	return nil
}

// isScheme reports whether s is a scheme by RFC 3986 §3.1.
func isScheme(s string) bool {
	for i := range len(s) {
		c := s[i] | 0x20
		if letter := 'a' <= c && c <= 'z'; !letter && (i == 0 || strings.IndexByte(digits+"+-.", s[i]) < 0) {
			return false
		}
	}
	return s != ""
}

// lower is strings.ToLower for ASCII: it leaves everything else alone, so that no
// Unicode character can turn into a letter of a keyword.
func lower(s string) string {
	for i := range len(s) {
		if 'A' <= s[i] && s[i] <= 'Z' {
			b := []byte(s)
			for i, c := range b {
				if 'A' <= c && c <= 'Z' {
					b[i] = c + 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return s
}

// mailbox reports whether u is of a scheme that has user and domain only
// (ADDR-13).
func (u URI) mailbox() bool { return u.Scheme == "im" || u.Scheme == "pres" }

// WithScheme is u as an im: or pres: URI: user and domain, without the resource,
// which only SIP has a place for (RFC 7247 §6.5 step 8). For "sip" it is u as a
// SIP URI. A tel URI has no domain and stays what it is.
func (u URI) WithScheme(scheme string) URI {
	if u.Scheme == "tel" {
		return u
	}
	u.Scheme = scheme
	if u.mailbox() {
		return URI{Scheme: scheme, User: u.User, Host: u.Host}
	}
	return u
}

// AOR is the canonical address of record: the key under which addresses are
// stored and compared, and the lane of a message (ADDR-21). It is a sip: URI of
// user, host and, if there is one, port, without any parameter; of a tel URI it
// is the tel URI. The user's case counts, as it does in SIP.
func (u URI) AOR() string {
	var room [96]byte
	return string(u.AppendAOR(room[:0]))
}

// AppendAOR appends the AOR to b.
func (u *URI) AppendAOR(b []byte) []byte {
	if u.IsZero() {
		return b
	}
	if u.Scheme != "tel" {
		return u.appendAddress(append(b, "sip:"...), userRaw)
	}
	return u.appendAddress(append(b, "tel:"...), telRaw)
}

// String is the URI as it stands in SIP; "" for the zero URI. In From, To and
// Contact it belongs in angle brackets (ADDR-22).
func (u URI) String() string {
	var room [128]byte
	return string(u.AppendTo(room[:0]))
}

// AppendTo appends the String to b.
func (u *URI) AppendTo(b []byte) []byte {
	if u.IsZero() {
		return b
	}
	raw := userRaw
	switch u.Scheme {
	case "tel":
		raw = telRaw
	case "im", "pres":
		raw = mailboxRaw
	}
	b = u.appendAddress(append(append(b, u.Scheme...), ':'), raw)
	if u.Phone {
		b = append(b, ";user=phone"...)
	}
	if u.Transport != "" {
		b = append(append(b, ";transport="...), u.Transport...)
	}
	if u.GR != "" {
		b = appendPercent(append(b, ";gr="...), u.GR, paramRaw)
	}
	return b
}

// appendAddress appends u without its scheme and its parameters.
func (u *URI) appendAddress(b []byte, raw *charset) []byte {
	b = appendPercent(b, u.User, raw)
	if u.Scheme == "tel" {
		return b
	}
	if u.User != "" {
		b = append(b, '@')
	}
	return appendHostPort(b, u.Host, u.Port)
}

// appendHostPort appends a host in the form of URI.Host, and the port unless it
// is 0.
func appendHostPort(b []byte, host string, port uint16) []byte {
	if strings.IndexByte(host, ':') >= 0 {
		b = append(append(append(b, '['), host...), ']')
	} else {
		b = append(b, host...)
	}
	if port != 0 {
		b = strconv.AppendUint(append(b, ':'), uint64(port), 10)
	}
	return b
}

// IsZero reports whether u is the zero URI.
func (u URI) IsZero() bool { return u.Scheme == "" && u == URI{} }

// MarshalText implements encoding.TextMarshaler. The zero URI is empty text.
func (u URI) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (u *URI) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*u = URI{}
		return nil
	}
	p, err := ParseURI(string(b))
	if err != nil {
		return err
	}
	*u = p
	return nil
}
