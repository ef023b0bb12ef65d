package app

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/stoxgw/stox/mapping"
	"github.com/stoxgw/stox/sipside/locate"
)

// NextHop reads the via of a route. One that is written with sips: is the same with sip: and
// a transport over TLS: that it is secure is asked of the way to it and no more.
func NextHop(via string) (mapping.URI, error) {
	rest, secure := via, false
	if scheme, after, ok := strings.Cut(via, ":"); ok && strings.EqualFold(scheme, "sips") {
		rest, secure = "sip:"+after, true
	}
	u, err := mapping.ParseURI(rest)
	if err == nil && secure {
		switch t := u.Transport; t {
		case "", "tcp", "tls":
			u.Transport = "tls"
		case "ws", "wss":
			u.Transport = "wss"
		default: // RFC 3261 §26.2.2
			return mapping.URI{}, fmt.Errorf("sips: does not go over %.20q", t)
		}
	}
	return u, err
}

// Port is the one that a next hop is reached at if DNS says no other.
func Port(u mapping.URI) uint16 {
	t, _ := locate.ParseTransport(cmp.Or(u.Transport, "udp"))
	return cmp.Or(u.Port, t.DefaultPort())
}
