package mapping

// Nearly every address is of lower-case ASCII that means the same on both sides, and in
// normal form as it comes. The functions below know such addresses, and no others: they
// read them in one go, and give back whatever has anything else in it. The whole
// grammar, and every error, is in jid.go, uri.go, domain.go and rules.go; a test compares
// the two.

var (
	// What is of a localpart as it stands, case-mapped: ASCII without what RFC 7622 §3.3
	// forbids.
	localRaw = newCharset(lowerDigits + "!#$%()*+,-.;=?[\\]^_`{|}~")
	// What a user part may have that is the same in a SIP URI, unescaped, and in a
	// localpart, and is not of a form of its own, as a telephone number with a + is.
	plainRaw = newCharset(lowerDigits + "-._~")
	ldhRaw   = newCharset(lowerDigits + "-")
)

const lowerDigits = "abcdefghijklmnopqrstuvwxyz" + digits

// plainJID is ParseJID for a JID that is in normal form and plain.
func plainJID(s string) (j JID, ok bool) {
	at := 0
	for at < len(s) && localRaw[s[at]] {
		at++
	}
	start := 0
	if at < len(s) && s[at] == '@' {
		if at == 0 || at > maxPart {
			return JID{}, false
		}
		j.local, start = uint16(at), at+1
	}
	n, _ := domainSpan(s[start:])
	if n == 0 {
		return JID{}, false
	}
	j.domain = uint16(n)
	if rest := s[start+n:]; rest != "" {
		resource := rest[1:]
		if rest[0] != '/' || resource == "" || len(resource) > maxPart || printable(resource) != len(resource) {
			return JID{}, false
		}
	}
	j.s = s
	return j, true
}

// plainURI is ParseURI for a sip URI with nothing percent-encoded, whose host is a plain
// name.
func plainURI(s string) (u URI, ok bool) {
	if len(s) < 4 || s[:4] != "sip:" {
		return URI{}, false
	}
	u.Scheme, s = s[:3], s[4:]
	at := 0
	for at < len(s) && userRaw[s[at]] {
		at++
	}
	if at < len(s) && s[at] == '@' {
		if at == 0 {
			return URI{}, false
		}
		u.User, s = s[:at], s[at+1:]
	}
	n, last := domainSpan(s)
	if n == 0 || '0' <= s[last] && s[last] <= '9' { // an IPv4 address, if anything
		return URI{}, false
	}
	u.Host, s = s[:n], s[n:]
	if s == "" {
		return u, true
	}
	if s[0] == ':' {
		port, i := 0, 1
		for ; i < len(s) && '0' <= s[i] && s[i] <= '9'; i++ {
			if i > 5 {
				return URI{}, false
			}
			port = 10*port + int(s[i]-'0')
		}
		if port == 0 || port >= 1<<16 {
			return URI{}, false
		}
		u.Port, s = uint16(port), s[i:]
	}
	switch {
	case s == "":
		return u, true
	case s[0] != ';':
		return URI{}, false
	}
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || c == '@' || c == '?' {
			return URI{}, false
		}
	}
	if u.parseParams(s[1:]) != nil {
		return URI{}, false
	}
	return u, true
}

// domainSpan is the length of the domain name with which s begins: one in lower-case ASCII
// without an A-label, in normal form on both sides. last is where its last label begins.
// It is 0 if there is none.
func domainSpan(s string) (n, last int) {
	for ; n < len(s); n++ {
		if ldhRaw[s[n]] {
			continue
		}
		if s[n] != '.' {
			break
		}
		if !plainLabel(s[last:n]) {
			return 0, 0
		}
		last = n + 1
	}
	if n > maxDNSName || !plainLabel(s[last:n]) {
		return 0, 0
	}
	return n, last
}

// plainLabel reports whether s, which is of letters, digits and hyphens, is a label and
// does not begin as an A-label does.
func plainLabel(s string) bool {
	return s != "" && len(s) <= 63 && s[0] != '-' && s[len(s)-1] != '-' && (len(s) < 4 || s[:4] != "xn--")
}

// isPlain reports whether s is a user part that is the localpart, too.
func isPlain(s string) bool { return s != "" && len(s) <= maxPart && plainRaw.all(s) }
