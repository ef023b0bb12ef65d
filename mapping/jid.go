package mapping

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/text/secure/precis"
)

// maxPart is the longest that each part of a JID may be, in octets of its normal
// form (RFC 7622 §3.1, ADDR-23).
const maxPart = 1023

// JID is an XMPP address in the normal form of RFC 7622. It is an immutable
// value: two JIDs are the same address if and only if they are ==, so it may be
// the key of a map. The zero JID is no address.
//
// Where this differs from the letter of RFC 7622: a domainpart must be a name
// that DNS can have (63 octets a label, 253 in all), and an IPv6 address is
// brought into the form of RFC 5952.
type JID struct {
	s             string // [ local "@" ] domain [ "/" resource ]
	local, domain uint16 // octets
}

// ParseJID parses s and brings it into normal form. The error is a *Failure with
// the reason jid-malformed, too-long or bad-utf8. A JID that is in normal form
// and ASCII is not copied: it shares the memory of s.
func ParseJID(s string) (JID, error) {
	if j, ok := plainJID(s); ok {
		return j, nil
	}
	j, f := parseJID(s)
	return orJID(j, f)
}

func parseJID(s string) (JID, *Failure) {
	// RFC 7622 §3.1: first the first slash, then the first @ before it, both
	// before any mapping, which might produce further ones.
	address, resource, hasResource := strings.Cut(s, "/")
	local, domain, hasLocal := strings.Cut(address, "@")
	if !hasLocal {
		local, domain = "", address
	}
	switch {
	case hasLocal && local == "":
		return JID{}, addressFailure(ReasonJIDMalformed, "The address has nothing before the @.")
	case hasResource && resource == "":
		return JID{}, addressFailure(ReasonJIDMalformed, "The address has nothing after the slash.")
	}
	l, d, r, f := normalParts(local, domain, resource)
	if f != nil {
		return JID{}, f
	}
	if l == local && d == domain && r == resource {
		return JID{s: s, local: uint16(len(l)), domain: uint16(len(d))}, nil
	}
	return makeJID(l, d, r), nil
}

// MustParseJID is ParseJID for tests and constants: it panics on an error.
func MustParseJID(s string) JID {
	j, err := ParseJID(s)
	if err != nil {
		panic("mapping: " + err.Error())
	}
	return j
}

// NewJID makes a JID from its parts, of which local and resource may be empty.
// The error is as for ParseJID.
func NewJID(local, domain, resource string) (JID, error) {
	l, d, r, f := normalParts(local, domain, resource)
	if f != nil {
		return JID{}, f
	}
	return makeJID(l, d, r), nil
}

// makeJID joins parts that are in normal form.
func makeJID(local, domain, resource string) JID {
	j := JID{local: uint16(len(local)), domain: uint16(len(domain))}
	switch {
	case local == "" && resource == "":
		j.s = domain
	case resource == "":
		j.s = local + "@" + domain
	case local == "":
		j.s = domain + "/" + resource
	default:
		j.s = local + "@" + domain + "/" + resource
	}
	return j
}

// at is where the domainpart begins.
func (j JID) at() int {
	if j.local == 0 {
		return 0
	}
	return int(j.local) + 1
}

// end is where it ends.
func (j JID) end() int { return j.at() + int(j.domain) }

// Local is the localpart with its XEP-0106 escapes, "" if there is none.
func (j JID) Local() string { return j.s[:j.local] }

// Domain is the domainpart, with U-labels.
func (j JID) Domain() string { return j.s[j.at():j.end()] }

// Resource is the resourcepart, "" if there is none.
func (j JID) Resource() string {
	if j.IsBare() {
		return ""
	}
	return j.s[j.end()+1:]
}

// Bare is j without its resourcepart.
func (j JID) Bare() JID {
	j.s = j.s[:j.end()]
	return j
}

// IsBare reports whether j has no resourcepart.
func (j JID) IsBare() bool { return j.end() == len(j.s) }

// IsZero reports whether j is the zero JID.
func (j JID) IsZero() bool { return j.s == "" }

// DomainJID is the JID of the domain alone.
func (j JID) DomainJID() JID { return JID{s: j.Domain(), domain: j.domain} }

// WithResource is j with another resourcepart; "" removes it. The error is as
// for ParseJID.
func (j JID) WithResource(resource string) (JID, error) {
	if resource == "" || j.IsZero() {
		return j.Bare(), nil
	}
	r, f := resourcePart(resource)
	if f != nil {
		return JID{}, f
	}
	return makeJID(j.Local(), j.Domain(), r), nil
}

// String is the address as it stands in a stanza; "" for the zero JID.
func (j JID) String() string { return j.s }

// AppendTo appends the String to b.
func (j JID) AppendTo(b []byte) []byte { return append(b, j.s...) }

// Equal is ==.
func (j JID) Equal(o JID) bool { return j == o }

// MarshalText implements encoding.TextMarshaler. The zero JID is empty text.
func (j JID) MarshalText() ([]byte, error) { return []byte(j.s), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (j *JID) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*j = JID{}
		return nil
	}
	p, err := ParseJID(string(b))
	if err != nil {
		return err
	}
	*j = p
	return nil
}

// normalParts brings the three parts into normal form. Empty stands for absent.
func normalParts(local, domain, resource string) (l, d, r string, f *Failure) {
	if local != "" {
		if l, f = localPart(local); f != nil {
			return "", "", "", f
		}
	}
	if d, f = domainPart(domain); f != nil {
		return "", "", "", f
	}
	if resource != "" {
		if r, f = resourcePart(resource); f != nil {
			return "", "", "", f
		}
	}
	return l, d, r, nil
}

// domainPart is RFC 7622 §3.2.
func domainPart(s string) (string, *Failure) {
	d, ok := uDomain(s)
	switch {
	case ok:
		return d, nil
	case !utf8.ValidString(s):
		return "", addressFailure(ReasonBadUTF8, "The domain of the address is not valid UTF-8.")
	case len(s) > maxPart:
		return "", addressFailure(ReasonTooLong, "The domain of the address is too long.")
	case s == "":
		return "", addressFailure(ReasonJIDMalformed, "The address has no domain.")
	}
	return "", addressFailure(ReasonJIDMalformed, "The domain of the address is not a domain name.")
}

// The characters that a localpart may not have besides what its profile
// disallows (RFC 7622 §3.3.1). The space is among those.
const notInLocal = "\"&'/:<>@"

// localPart is RFC 7622 §3.3.
func localPart(s string) (string, *Failure) {
	if len(s) <= maxPart && localRaw.all(s) {
		return s, nil
	}
	ascii, upper := true, false
	for i := range len(s) {
		switch c := s[i]; {
		case c >= utf8.RuneSelf:
			ascii = false
		case 'A' <= c && c <= 'Z':
			upper = true
		case c <= ' ' || c == 0x7f || strings.IndexByte(notInLocal, c) >= 0:
			return "", badLocal()
		}
	}
	if !ascii {
		t, f := enforce(precis.UsernameCaseMapped, s, badLocal)
		if f == nil && strings.ContainsAny(t, notInLocal) {
			return "", badLocal() // the width mapping makes < of a fullwidth <
		}
		return t, f
	}
	if len(s) > maxPart {
		return "", longPart()
	}
	if upper {
		s = lower(s)
	}
	return s, nil
}

// resourcePart is RFC 7622 §3.4.
func resourcePart(s string) (string, *Failure) {
	for i := range len(s) {
		switch c := s[i]; {
		case c >= utf8.RuneSelf:
			return enforce(precis.OpaqueString, s, badResource)
		case c < ' ' || c == 0x7f:
			return "", badResource()
		}
	}
	if len(s) > maxPart {
		return "", longPart()
	}
	return s, nil
}

// enforce applies a PRECIS profile until the result is stable. RFC 8264 §7 has
// the rules in an order in which one pass need not be enough; what three further
// passes do not settle is refused, as RFC 8266 §2.1 advises.
func enforce(p *precis.Profile, s string, bad func() *Failure) (string, *Failure) {
	if !utf8.ValidString(s) {
		return "", addressFailure(ReasonBadUTF8, "The address is not valid UTF-8.")
	}
	if len(s) > 4*maxPart { // no mapping makes text shorter than a quarter
		return "", longPart()
	}
	for range 4 {
		t, err := p.String(s)
		if err != nil || t == "" {
			return "", bad()
		}
		if t == s {
			if len(s) > maxPart {
				return "", longPart()
			}
			return s, nil
		}
		s = t
	}
	return "", bad()
}

func badLocal() *Failure {
	return addressFailure(ReasonJIDMalformed, "The user name has a character that an XMPP address may not have.")
}

func badResource() *Failure {
	return addressFailure(ReasonJIDMalformed, "The part after the slash has a character that an XMPP address may not have.")
}

func longPart() *Failure {
	return addressFailure(ReasonTooLong, "The address is too long: each part of it may have 1023 octets.")
}
