package sipside

import (
	"crypto/x509"
	"net/netip"
	"slices"
	"sync/atomic"

	"github.com/stoxgw/stox/mapping"
	"github.com/stoxgw/stox/sipside/locate"
)

// peers knows who may send to us and for whom it may speak (SEC-29): the
// configured peers, then loopback, then the hosts of the routes. Who is none of them may
// still prove to be a configured one by digest: authenticate.go.
type peers struct {
	served     map[string]bool // XMPP domains: no SIP sender is in one (SEC-28)
	sipDomain  string
	phone      string          // the domain that tel: numbers belong to
	own        map[string]bool // SIP domains that have a name of their own
	configured []*peer
	loopback   *peer
	routes     []routePeer
	names      []locate.Query                          // of routes to hosts that are names
	resolved   atomic.Pointer[map[netip.Addr][]string] // address -> names of routes
}

// peer is a source of requests.
type peer struct {
	name      string
	id        string // the same after every start, and nobody else's
	prefixes  []netip.Prefix
	tlsNames  []string        // as configured
	hosts     map[string]bool // the same as mapping.URI has hosts
	domains   map[string]bool // configured; nil: by the rule
	any       bool            // anything but the served domains
	registrar string          // host of the registrar of accounts that it is, and nothing more; "": it is a peer

	share *share
}

// share is what a peer takes up. Under the same name it has the same one after a Reload.
type share struct {
	pending int // unanswered requests; guarded by server.mu
}

// routePeer is a route seen from the other end.
type routePeer struct {
	domain string
	host   string
	addr   netip.Addr // zero if host is a name
	peer   *peer
}

func newPeers(cfg *Config) *peers {
	p := &peers{
		served:    make(map[string]bool),
		sipDomain: canonicalHost(cfg.SIPDomain),
		phone:     canonicalHost(cfg.PhoneDomain),
		loopback:  &peer{name: "loopback", id: "loopback", share: &share{}},
	}
	for _, d := range cfg.XMPPDomains {
		p.served[canonicalHost(d)] = true
	}
	p.own = make(map[string]bool)
	for _, d := range cfg.OwnDomains {
		p.own[canonicalHost(d)] = true
	}
	for _, c := range cfg.Peers {
		q := &peer{name: c.Name, id: c.identity(), prefixes: c.Addresses, tlsNames: c.TLSNames, hosts: make(map[string]bool), share: &share{}}
		for _, name := range c.TLSNames {
			q.hosts[canonicalHost(name)] = true
		}
		for _, d := range c.Domains {
			if d == "*" {
				q.any = true
				continue
			}
			if q.domains == nil {
				q.domains = make(map[string]bool)
			}
			q.domains[canonicalHost(d)] = true
		}
		p.configured = append(p.configured, q)
	}
	hosts := make(map[string]*peer)
	for _, r := range cfg.Routes {
		host := r.Via.Host // "" names nobody as a peer
		if hosts[host] == nil {
			hosts[host] = &peer{name: "route " + host, id: "route " + host, share: &share{}}
		}
		rp := routePeer{domain: "*", host: host, peer: hosts[host]}
		if r.Domain != "*" {
			rp.domain = canonicalHost(r.Domain)
		}
		if a, err := netip.ParseAddr(host); err == nil {
			rp.addr = a.Unmap()
		} else if host != "" {
			if q, ok := queryOf(r.Via, cfg.supports()); ok && !slices.Contains(p.names, q) {
				p.names = append(p.names, q)
			}
		}
		p.routes = append(p.routes, rp)
	}
	p.resolved.Store(&map[netip.Addr][]string{})
	return p
}

// holder gives the first peer that a verified certificate has a name of (SEC-04), nil if
// there is none. Names count whole, a wildcard is none (RFC 5922 §7.2).
func (p *peers) holder(cert *x509.Certificate) *peer {
	for _, q := range p.configured {
		for _, name := range q.tlsNames {
			if locate.Proves(cert, name) {
				return q
			}
		}
	}
	return nil
}

// find gives the peer at addr, nil if nobody is known there.
func (p *peers) find(addr netip.Addr) *peer { return p.of(addr, nil) }

// of gives the peer that sends from addr, over a connection whose client has shown the
// certificate of holder (nil: of nobody). The first table that has the one or the other
// wins; each is enough by itself. What is only known by its address, without a table, comes
// after that.
func (p *peers) of(addr netip.Addr, holder *peer) *peer {
	addr = addr.WithZone("") // no prefix has one
	for _, q := range p.configured {
		if q == holder {
			return q
		}
		for _, pre := range q.prefixes {
			if pre.Contains(addr) {
				return q
			}
		}
	}
	if addr.IsLoopback() {
		return p.loopback
	}
	for i := range p.routes {
		if p.at(&p.routes[i], addr) {
			return p.routes[i].peer
		}
	}
	return nil
}

// at reports whether a route leads to addr.
func (p *peers) at(r *routePeer, addr netip.Addr) bool {
	if r.addr.IsValid() {
		return r.addr == addr
	}
	for _, host := range (*p.resolved.Load())[addr] {
		if host == r.host {
			return true
		}
	}
	return false
}

// maySpeak decides about the From of a request that came from q at addr.
func (p *peers) maySpeak(q *peer, addr netip.Addr, from mapping.URI) bool {
	host := from.Host
	if from.Scheme == "tel" { // has no domain: XMPP will see it as a number of the phone domain
		host = p.phone
	}
	switch {
	case host == "" || p.served[host]:
		return false
	case q.registrar != "":
		return p.providerMaySpeak(q.registrar, host)
	case q.any:
		return true
	case q.domains != nil:
		return q.domains[host]
	case host == p.sipDomain:
		return true
	}
	for i := range p.routes {
		r := &p.routes[i]
		if (r.domain == host || r.domain == "*") && (q == p.loopback || p.leadsTo(r, q, addr)) {
			return true
		}
	}
	return false
}

// leadsTo reports whether a route ends at the peer q, which just wrote from addr.
func (p *peers) leadsTo(r *routePeer, q *peer, addr netip.Addr) bool {
	if p.at(r, addr) || q.hosts[r.host] {
		return true
	}
	for _, pre := range q.prefixes {
		if r.addr.IsValid() && pre.Contains(r.addr) {
			return true
		}
		for a, hosts := range *p.resolved.Load() {
			for _, h := range hosts {
				if h == r.host && pre.Contains(a) {
					return true
				}
			}
		}
	}
	return false
}
