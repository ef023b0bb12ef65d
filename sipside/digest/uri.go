package digest

import (
	"slices"
	"strings"
)

// sameURI reports whether the uri of credentials is the Request-URI (RFC 3261 §22.4 item 1):
// scheme, host and parameters without regard to case and order, the rest as it stands.
func sameURI(a, b string) bool {
	return a == b || a != "" && normal(a) == normal(b)
}

func normal(s string) string {
	scheme, rest, _ := strings.Cut(s, ":")
	user := ""
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		user, rest = rest[:at+1], rest[at+1:]
	}
	parts := strings.Split(strings.ToLower(rest), ";")
	slices.Sort(parts[1:])
	return strings.ToLower(scheme) + ":" + user + strings.Join(parts, ";")
}

// hostOf is the host of a URI, with its port.
func hostOf(s string) string {
	_, rest, _ := strings.Cut(s, ":")
	rest = rest[strings.LastIndexByte(rest, '@')+1:]
	if end := strings.IndexAny(rest, ";?"); end >= 0 {
		rest = rest[:end]
	}
	return strings.ToLower(rest)
}
