package sipside

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"

	"github.com/stoxgw/stox/mapping"
	"github.com/stoxgw/stox/sipside/locate"
)

// hop is where a request goes next: a route, or the host of its Request-URI.
type hop struct {
	flow    *stream // the connection that it goes over; nil: it goes to a target
	events  bool    // the request is about events
	account bool    // it keeps the registration of a user's account
	route   *Route  // nil: by the Request-URI
	rule    *Route  // whose Size and MaxBytes count: route, or one without Via; nil if there is none
	query   locate.Query
	addr    netip.Addr // zero if the host is a name
	name    string     // what the server has to show in TLS if the host is a number
	login   *login     // who we are there, nil: nobody
	watch   *watch     // what is known of the servers there, nil without route
	only    *onlyWay   // of a route: see way; nil: it is not remembered
}

// onlyWay is where a hop whose host is a number leads, which is the same for all requests
// once the sockets are bound.
type onlyWay struct {
	once sync.Once
	to   locate.Target
	sock *udpSocket // nil: it is not reached over UDP, or leads to ourselves
}

// way is the only one there is along the hop of a route, nil if that has to be found out for
// each request.
func (h *hop) way(u *UA) *onlyWay {
	w := h.only
	if w != nil {
		w.once.Do(func() {
			if w.to = h.direct(); w.to.Transport == locate.UDP && !u.isSelf(h.query.Host, w.to) {
				w.sock = u.udpFor(w.to.Addr.Addr())
			}
		})
	}
	return w
}

// nextHop chooses by the host of the Request-URI: the first route that matches, else the
// host itself. The hop may be that of others, too, and is not changed; it is there in any case.
func (u *UA) nextHop(uri *mapping.URI) (*hop, *mapping.Failure) {
	set := u.current()
	for i, r := range set.routes {
		switch {
		case r.Domain != "*" && set.routeDomains[i] != uri.Host:
			continue
		case set.routeHops[i].route != nil:
			return &set.routeHops[i], nil
		case !r.Via.IsZero():
			return u.towards(&hop{rule: r, login: set.logins[r], route: r, watch: set.watches[r]}, &r.Via)
		}
		return u.towards(&hop{rule: r, login: set.logins[r]}, uri)
	}
	return u.towards(&hop{}, uri)
}

// towards makes h go to the host of a URI, if it has one: of tel: only a route does.
func (u *UA) towards(h *hop, target *mapping.URI) (*hop, *mapping.Failure) {
	if target.Host == "" {
		return h, mapping.FailDNS()
	}
	return h, h.lead(*target, u.supported)
}

// hopOf is the next hop of a route with a Via, whatever the Request-URI.
func (u *UA) hopOf(r *Route, l *login) (h hop, f *mapping.Failure) {
	h = hop{route: r, rule: r, login: l}
	return h, h.lead(r.Via, u.supported)
}

// lead makes h go to the host of a URI.
func (h *hop) lead(target mapping.URI, supported locate.Set) *mapping.Failure {
	var ok bool
	if h.query, ok = queryOf(target, supported); !ok || h.query.Transport != locate.Any && !supported.Has(h.query.Transport) {
		f := mapping.FailTransport()
		f.Err = fmt.Errorf("sipside: transport %q", target.Transport)
		return f
	}
	if a, err := parseHostAddr(target.Host); err == nil {
		if !locate.Sendable(a.Unmap()) {
			f := mapping.FailDNS()
			f.Err = fmt.Errorf("sipside: nothing can be sent to %s", a)
			return f
		}
		h.addr, h.name = a.Unmap(), target.Host
		if h.route != nil {
			h.name = tlsName(canonicalHost(h.route.Domain), target.Host)
		}
	}
	return nil
}

var errName = errors.New("sipside: a name, no address")

// parseHostAddr is netip.ParseAddr, which makes an error of what it is asked for: nearly all
// hosts are names, and nobody wants to know why.
func parseHostAddr(host string) (netip.Addr, error) {
	if n := len(host); n > 0 && (host[n-1] < '0' || host[n-1] > '9') && strings.IndexByte(host, ':') < 0 {
		return netip.Addr{}, errName // of the numbers only those of IPv6 end otherwise
	}
	return netip.ParseAddr(host)
}

// queryOf asks for the servers that a URI means. ok is false if it wants a transport that
// there is not.
func queryOf(u mapping.URI, supports locate.Set) (q locate.Query, ok bool) {
	q = locate.Query{Host: u.Host, Port: u.Port, Supports: supports}
	switch u.Scheme {
	case "im":
		q.Scheme = locate.IM
	case "pres":
		q.Scheme = locate.Pres
	}
	q.Transport, ok = locate.ParseTransport(u.Transport)
	return q, ok
}

// direct is the one target of a hop whose host is a number (RFC 3263 §4.1, §4.2).
func (h *hop) direct() locate.Target {
	t := locate.Target{Transport: h.query.Transport, Name: h.name}
	if t.Transport == locate.Any {
		t.Transport = locate.UDP
		if !h.query.Supports.Has(locate.UDP) {
			t.Transport = locate.TCP
		}
	}
	port := h.query.Port
	if port == 0 {
		port = t.Transport.DefaultPort()
	}
	t.Addr = netip.AddrPortFrom(h.addr, port)
	return t
}

// isSelf reports whether a target, of a next hop with that host, is one of the sockets that
// we listen on: a request sent there would come back. The same port of the other kind, UDP
// or TCP, may be another program's.
func (u *UA) isSelf(host string, t locate.Target) bool {
	a := t.Addr
	for i, l := range u.bound {
		if (u.listen[i].network == "udp") != (t.Transport == locate.UDP) {
			continue
		}
		if s := u.sentBys[i]; s.port == a.Port() && strings.EqualFold(s.host, host) {
			return true
		}
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
