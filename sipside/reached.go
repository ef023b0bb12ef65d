package sipside

import (
	"net/netip"
	"strings"

	"github.com/stoxgw/stox/mapping"
)

// reached says by what way a request for an address has come to us, where that alone does
// not say whom it is for: who has registered is sent requests for the contact that it gave.
func (u *UA) reached(to mapping.URI, r *request) (here bool, routes []string) {
	if r.set.peers.served[to.Host] || strings.IndexByte(to.User, '@') >= 0 {
		return false, nil
	}
	return u.isOurs(via{host: to.Host, port: to.Port}), r.routes()
}

// routesTo are the domains of the routes that end at the peer q, which just wrote from addr.
func (p *peers) routesTo(q *peer, addr netip.Addr) (domains []string) {
	for i := range p.routes {
		if r := &p.routes[i]; p.leadsTo(r, q, addr) {
			domains = append(domains, r.domain)
		}
	}
	return domains
}
