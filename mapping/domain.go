package mapping

import (
	"net/netip"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// A domain has two normal forms: with U-labels in a JID (RFC 7622 §3.2), with
// A-labels in a SIP URI (RFC 3261 §25.1). Lower case and no trailing dot in
// both; an IPv6 address as RFC 5952 writes it, in brackets in a JID and without
// in a URI value (ADDR-09).

// domainNames does the mapping of RFC 5895 and the checks of RFC 5891. Names in
// ASCII without an A-label do not come here, because RFC 5891 §4.2.3.1 forbids
// hyphens as in "r3---sn.example", and such names exist in DNS.
var domainNames = idna.New(idna.MapForLookup(), idna.Transitional(false), idna.BidiRule(), idna.VerifyDNSLength(true))

const maxDNSName = 253

// isLDH reports whether s is a domain name of letters, digits and hyphens in
// lower case (RFC 1123 §2.1), and whether one of its labels is an A-label or
// pretends to be one.
func isLDH(s string) (ok, aLabels bool) {
	if s == "" || len(s) > maxDNSName {
		return false, false
	}
	start := 0
	for i := 0; i <= len(s); i++ {
		if i < len(s) && s[i] != '.' {
			if c := s[i]; !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-') {
				return false, false
			}
			continue
		}
		label := s[start:i]
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false, false
		}
		if len(label) > 4 && label[:4] == "xn--" {
			aLabels = true
		}
		start = i + 1
	}
	return true, aLabels
}

// aDomain is the normal form with A-labels of a domain name in any form.
func aDomain(s string) (string, bool) {
	a, _, ok := aName(strings.TrimSuffix(s, "."))
	return a, ok
}

// aName is aDomain without the trailing dot, and whether there is an A-label.
func aName(s string) (a string, aLabels, ok bool) {
	if n, _ := domainSpan(s); n > 0 && n == len(s) {
		return s, false, true
	}
	s = lower(s)
	if ldh, aLabels := isLDH(s); ldh && !aLabels {
		return s, false, true
	}
	if len(s) > maxPart || !utf8.ValidString(s) {
		return "", false, false
	}
	a, err := domainNames.ToASCII(s)
	if err != nil {
		return "", false, false
	}
	ok, aLabels = isLDH(a)
	return a, aLabels, ok
}

// uDomain is the normal form of a JID's domainpart: a name with U-labels, or an
// address.
func uDomain(s string) (string, bool) {
	s = strings.TrimSuffix(s, ".")
	if strings.HasPrefix(s, "[") {
		ip, ok := ipv6(s)
		return "[" + ip + "]", ok
	}
	a, aLabels, ok := aName(s)
	if !ok || !aLabels {
		return a, ok
	}
	u, err := domainNames.ToUnicode(a)
	if err != nil {
		return "", false
	}
	// Only what leads back to the same name is its name.
	if again, err := domainNames.ToASCII(u); err != nil || again != a {
		return "", false
	}
	return u, true
}

// sipHost is the normal form of the host of a SIP URI: a name with A-labels, an
// IPv4 address, or an IPv6 address, which must come in brackets and leaves
// without.
func sipHost(s string) (string, bool) {
	if strings.HasPrefix(s, "[") {
		return ipv6(s)
	}
	a, ok := aDomain(s)
	if !ok {
		return "", false
	}
	// RFC 3261 §25.1: the last label of a name begins with a letter, otherwise it
	// is an IPv4 address.
	if c := a[strings.LastIndexByte(a, '.')+1]; '0' <= c && c <= '9' {
		if ip, err := netip.ParseAddr(a); err != nil || !ip.Is4() {
			return "", false
		}
	}
	return a, true
}

// ipv6 is the normal form, without brackets, of an IPv6 address in brackets.
func ipv6(s string) (string, bool) {
	if len(s) < 2 || s[len(s)-1] != ']' {
		return "", false
	}
	ip, err := netip.ParseAddr(s[1 : len(s)-1])
	if err != nil || !ip.Is6() || ip.Zone() != "" {
		return "", false
	}
	return ip.String(), true
}
