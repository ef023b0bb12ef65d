package sipside

import (
	"strings"

	"github.com/stoxgw/stox/mapping"
)

// Requests about events: SUBSCRIBE and NOTIFY (RFC 6665), and PUBLISH (RFC 3903). Which
// dialogs and publications there are is known to whoever takes the values; here is what can
// be told of one request. What comes in is read in events_in.go, what goes out is made in
// events_out.go, answers of both kinds are in events_answer.go, and events_hop.go says where
// a request goes that is in a dialog.

// The event package that there is (RFC 3856 §6.1); its documents are PIDF.
const (
	presencePackage = "presence"
	allowEventsLine = "Allow-Events: " + presencePackage + "\r\n"
)

// What a peer may have us keep of a dialog. It is repeated in every request of it.
const (
	maxTarget     = 1024 // octets of a remote target
	maxRoutes     = 16   // URIs of a route set ...
	maxRouteBytes = 4096 // ... and their octets
	maxEventToken = 256  // octets of an event id, an entity-tag, a tag
)

// aboutEvents reports whether requests of a method are about events.
func aboutEvents(method string) bool {
	return method == methodSubscribe || method == methodNotify || method == methodPublish
}

// smallToken reports whether s is a token that may be kept.
func smallToken(s string) bool { return isToken(s) && len(s) <= maxEventToken }

// readTarget reads the value of a Contact that requests of a dialog are to go to: one SIP URI
// (RFC 3261 §12.1.1), and its text without headers, which no Request-URI has (§19.1.1).
func readTarget(rows []string) (u mapping.URI, literal string, f *mapping.Failure) {
	bad := mapping.FailBadRequest("Contact")
	if len(rows) != 1 || tooMany(rows[0], maxParams) {
		return u, "", bad
	}
	value, rest := cutList(rows[0])
	n, ok := parseNameAddr(value)
	if !ok || strings.TrimSpace(rest) != "" {
		return u, "", bad
	}
	u, err := mapping.ParseURI(n.uri)
	if err != nil {
		if f := asFailure(err); f.Status == 480 { // sips (SEC-02)
			return mapping.URI{}, "", f
		}
		return mapping.URI{}, "", bad
	}
	literal = withoutHeaders(n.uri)
	if u.Scheme != "sip" || !plainURI(literal) || len(literal) > maxTarget {
		return mapping.URI{}, "", bad
	}
	return u, literal, nil
}

// readRoutes reads the rows of Record-Route: the URIs in their order, with all their
// parameters (RFC 3261 §12.1.1). They always stand in brackets (§20.30).
func readRoutes(rows []string) (routes []string, ok bool) {
	size := 0
	for _, row := range rows {
		for more := true; more; {
			var value string
			value, row = cutList(row)
			more = row != ""
			n, ok := parseNameAddr(value)
			if size += len(n.uri); !ok || len(routes) == maxRoutes || size > maxRouteBytes || strings.IndexByte(value, '<') < 0 || !isRoute(n.uri) {
				return nil, false
			}
			routes = append(routes, n.uri)
		}
	}
	return routes, true
}

// isRoute reports whether s can stand in a Route header.
func isRoute(s string) bool {
	u, err := mapping.ParseURI(s)
	return err == nil && u.Scheme == "sip" && plainURI(s) && !tooMany(s, maxParams)
}

// plainURI reports whether s has nothing but what URIs are written with, so that it can
// stand in a start line and in brackets as it is.
func plainURI(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c <= ' ' || c > '~' || strings.IndexByte("<>\"\\^`{|}", c) >= 0 {
			return false
		}
	}
	return s != ""
}

// withoutHeaders is a URI without what follows its question mark. One in the user part is
// part of that.
func withoutHeaders(uri string) string {
	host := strings.IndexByte(uri, '@') + 1
	if i := strings.IndexByte(uri[host:], '?'); i >= 0 {
		return uri[:host+i]
	}
	return uri
}

// isLoose reports whether the owner of a route's URI does as RFC 3261 §16 says ("lr"), and
// not as RFC 2543.
func isLoose(uri string) bool {
	host := strings.IndexByte(uri, '@') + 1
	if i := strings.IndexByte(uri[host:], ';'); i >= 0 {
		_, ok := param(withoutHeaders(uri)[host+i:], "lr")
		return ok
	}
	return false
}

// ownContact is the value of a Contact of ours in what goes by a transport, under the name
// that we have there. The transport is said where the peer would not find it: a URI without
// one leads to UDP, or to what DNS says of the name (RFC 3263 §4.1).
func (u *UA) ownContact(c mapping.URI, transport, sentBy string) string {
	if c.Host == "" {
		user, gr := c.User, c.GR
		c = contactURI(user, transport, sentBy)
		c.GR = gr
		if transport == "TCP" && u.hasUDP(sentBy) {
			c.Transport = ""
		}
	}
	return "<" + c.String() + ">"
}

// hasUDP reports whether a UDP socket has that name.
func (u *UA) hasUDP(sentBy string) bool {
	for _, s := range u.udp {
		if s.sentBy == sentBy {
			return true
		}
	}
	return false
}
