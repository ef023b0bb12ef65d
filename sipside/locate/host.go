package locate

import (
	"net/netip"
	"strings"
)

// numeric reads a host that is an address. An IPv6 one may stand in brackets.
func numeric(host string) (netip.Addr, bool) {
	if n := len(host); n > 2 && host[0] == '[' && host[n-1] == ']' {
		a, err := netip.ParseAddr(host[1 : n-1])
		return a.Unmap(), err == nil && a.Is6()
	}
	a, err := netip.ParseAddr(host)
	return a.Unmap(), err == nil
}

// hostName brings a name into the one form that is asked for: lower case, without a
// dot at the end. It is false for what cannot be a host: labels are letters, digits,
// hyphens and underscores, and the last one is no number (RFC 3261 §25.1, toplabel),
// so that a mistyped address is not asked for.
func hostName(host string) (string, bool) {
	host = strings.TrimSuffix(host, ".")
	const longest = 253
	if host == "" || len(host) > longest {
		return "", false
	}
	var last string
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > 63 {
			return "", false
		}
		for i := range len(label) {
			c := label[i] | 0x20
			if !('a' <= c && c <= 'z' || '0' <= label[i] && label[i] <= '9' || label[i] == '-' || label[i] == '_') {
				return "", false
			}
		}
		last = label
	}
	if strings.Trim(last, "0123456789") == "" {
		return "", false
	}
	return strings.ToLower(host), true
}

// Sendable reports whether a request may be sent to an address: not to a
// group, and not to the unspecified one, which reaches whatever listens here.
func Sendable(a netip.Addr) bool {
	return a.IsValid() && !a.IsUnspecified() && !a.IsMulticast() && a != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}
