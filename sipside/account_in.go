package sipside

import (
	"net/netip"
	"strings"

	"github.com/stoxgw/stox/mapping"
)

// callee finds the account that a request was sent to: it came for the contact of one of
// ours, from where that is registered. A registrar that is no peer is one for that request,
// and for no other. Whoever else knows the contact has nothing of it, nor has one that an admin
// has blocked.
func (ls *accountLines) callee(r *request) {
	token := userPart(r.target)
	if token == "" || ls.u.isBlocked(r.source.Addr()) {
		return
	}
	ls.mu.RLock()
	defer ls.mu.RUnlock()
	l := ls.byToken[token]
	if l == nil || !l.registeredAt(r) {
		return
	}
	to, err := mapping.ParseURI(r.target)
	if err != nil || to.User != token || !ls.u.isOurs(via{host: to.Host, port: to.Port}) {
		return
	}
	r.account = l.reg.aor
	if r.peer == nil {
		r.peer = &l.provider.peer
	}
}

// userPart is the user of a sip: URI as it is written, "" if it has none.
func userPart(uri string) string {
	if len(uri) < 4 || !strings.EqualFold(uri[:4], "sip:") {
		return ""
	}
	user, _, ok := strings.Cut(uri[4:], "@")
	if !ok {
		return ""
	}
	return user
}

// registeredAt reports whether a request came from where the line is registered: over the
// same connection, from a server of its registrar, or from a peer that its route leads to.
// The lock is held.
func (l *line) registeredAt(r *request) bool {
	addr := r.source.Addr().WithZone("") // no target has one
	for _, a := range l.hosts {
		if a == addr {
			return true
		}
	}
	if l.reg.madeAt(addr, r.flow) {
		return true
	}
	p := r.set.peers
	if r.peer == nil || l.to.route == nil {
		return false
	}
	for i := range p.routes {
		if p.routes[i].host == l.to.route.Via.Host && p.leadsTo(&p.routes[i], r.peer, addr) {
			return true
		}
	}
	return false
}

// madeOver is the connection that the binding was made over, nil if there is none.
func (r *registration) madeOver() *stream {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.flow
}

// madeAt reports whether the binding was made at an address, or over the connection of that
// number.
func (r *registration) madeAt(a netip.Addr, flow uint64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.to.Addr.Addr() == a || r.flow != nil && r.flow.flow == flow
}

// providerMaySpeak is maySpeak for a registrar that is no peer: for anybody but those whom it
// is for others to speak for. What a user has entered must not be a way to write in the name
// of somebody whom another user trusts.
func (p *peers) providerMaySpeak(registrar, host string) bool {
	ours := host == p.sipDomain || host == p.phone || p.own[host]
	for i := range p.routes {
		r := &p.routes[i]
		if r.domain == host && r.host != "" { // it leads elsewhere, or the registrar would be a peer
			return false
		}
		ours = ours || r.domain == host
	}
	for _, q := range p.configured {
		if q.domains[host] {
			return false
		}
	}
	return !ours || host == registrar // which is where DNS says that the domain is
}
