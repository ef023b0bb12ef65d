package sipside

import (
	"net/netip"
	"strings"

	"github.com/stoxgw/stox/mapping"
)

// reached says of a request by what way it has come to us, where the address alone does not
// say whom it is for: who has registered is sent requests for the contact that it gave.
func (u *UA) reached(m *mapping.SIPMessage, r *request) {
	to := m.RequestURI
	if r.set.peers.served[to.Host] || strings.IndexByte(to.User, '@') >= 0 {
		return
	}
	m.Here = u.isOurs(via{host: to.Host, port: to.Port})
	m.Routes = r.set.peers.routesTo(r.peer, r.source.Addr())
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
