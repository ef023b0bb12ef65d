package sipside

import (
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/stoxgw/stox/mapping"
)

// Sizes of a request, headers included.
const (
	maxUnrouted = 1300  // without a route (RFC 3428 §8), and over UDP (RFC 3261 §18.1.1)
	maxRouted   = 65536 // over TCP to a route
)

// hop is where a request goes next.
type hop struct {
	route *Route // nil: by the Request-URI
	host  string
	addr  netip.Addr // zero if host is a name
	port  uint16
	tcp   bool
}

// nextHop chooses by the host of the Request-URI: the first route that matches,
// else the host itself.
func (u *UA) nextHop(target mapping.URI) (hop, *mapping.Failure) {
	var h hop
	for i := range u.cfg.Routes {
		if d := u.cfg.Routes[i].Domain; d == "*" || u.routeDomains[i] == target.Host {
			if r := &u.cfg.Routes[i]; !r.Via.IsZero() {
				h.route, target = r, r.Via
			}
			break
		}
	}
	switch target.Transport {
	case "", "udp":
	case "tcp":
		h.tcp = true
	default:
		f := mapping.FailUnreachable()
		f.Err = fmt.Errorf("sipside: transport %q is not in this version", target.Transport)
		return h, f
	}
	if h.host = target.Host; h.host == "" { // tel: without a route
		return h, mapping.FailDNS()
	}
	if h.port = target.Port; h.port == 0 {
		h.port = 5060
	}
	if a, err := netip.ParseAddr(h.host); err == nil {
		h.addr = a.Unmap()
	}
	return h, nil
}

// fit decides whether a request of n bytes goes over TCP, or not at all (EL-005).
// tcp is what its target asks for.
func (h *hop) fit(n int, tcp bool) (bool, *mapping.Failure) {
	switch {
	case h.route == nil && n > maxUnrouted:
		f := mapping.FailTooLarge(maxUnrouted)
		f.Remedy = fmt.Sprintf("a sip.route for the domain lifts the limit to %d bytes, over TCP", maxRouted)
		return false, f
	case n > maxRouted:
		return false, mapping.FailTooLarge(maxRouted)
	}
	// A big request moves to TCP, to the same next hop (SIP-07).
	return tcp || n > maxUnrouted, nil
}

// isSelf reports whether a is one of the addresses that we listen on: a request
// sent there would come back.
func (u *UA) isSelf(a netip.AddrPort) bool {
	for _, l := range u.bound {
		if l.Port() != a.Port() {
			continue
		}
		if l.Addr() == a.Addr() || l.Addr().IsUnspecified() && (u.local[a.Addr()] || a.Addr().IsLoopback() || a.Addr().IsUnspecified()) {
			return true
		}
	}
	return false
}

// localAddrs are the addresses of this machine's interfaces.
func localAddrs() map[netip.Addr]bool {
	m := make(map[netip.Addr]bool)
	addrs, _ := net.InterfaceAddrs()
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok {
			if ip, ok := netip.AddrFromSlice(n.IP); ok {
				m[ip.Unmap()] = true
			}
		}
	}
	return m
}

// sentBy is what Via says for a socket: the advertised name, else its address.
// The port is left out if it is the default one.
func (u *UA) sentByFor(bound netip.AddrPort) string {
	host, port := u.cfg.Advertise, uint16(0)
	if host != "" {
		host, port, _ = splitSentBy(host)
	} else {
		a := bound.Addr()
		if a.IsUnspecified() {
			a = outwardAddr(a)
		}
		host = a.WithZone("").String()
	}
	if port == 0 {
		port = bound.Port()
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if port != 5060 {
		host = fmt.Sprintf("%s:%d", host, port)
	}
	return host
}

// outwardAddr is the address that this machine would send from: of a socket that
// listens on all of them one has to be named. Nothing is sent to find out.
func outwardAddr(a netip.Addr) netip.Addr {
	network, to, fallback := "udp4", "192.0.2.1:5060", netip.AddrFrom4([4]byte{127, 0, 0, 1})
	if c, err := net.Dial(network, to); err == nil {
		defer c.Close()
		if l, ok := c.LocalAddr().(*net.UDPAddr); ok {
			return l.AddrPort().Addr().Unmap()
		}
	}
	if a.Is6() {
		if c, err := net.Dial("udp6", "[2001:db8::1]:5060"); err == nil {
			defer c.Close()
			if l, ok := c.LocalAddr().(*net.UDPAddr); ok {
				return l.AddrPort().Addr()
			}
		}
	}
	return fallback
}

// isOurs reports whether a Via value names us as its sender.
func (u *UA) isOurs(v via) bool {
	port := v.port
	if port == 0 {
		port = 5060
	}
	for _, s := range u.sentBys {
		if s.port == port && strings.EqualFold(s.host, v.host) {
			return true
		}
	}
	return false
}

// maxVias is the number of Via values a request may have: as many as hops are
// counted down from (Max-Forwards 70).
const maxVias = 70

// ownVia reports whether one of the Via values is ours: our name, and a branch
// that we made. The name alone would not do, since another user agent may share
// an address with us. ok is false if there are too many to look at.
func (u *UA) ownVia(rows []string) (own, ok bool) {
	n := 0
	for _, row := range rows {
		for row != "" {
			if n++; n > maxVias {
				return false, false
			}
			v, ok := parseVia(row)
			if ok && u.isOurs(v) {
				if _, made := u.client.parseBranch(v.branch); made {
					return true, true
				}
			}
			row = v.rest
		}
	}
	return false, true
}
