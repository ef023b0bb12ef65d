package config

import (
	"cmp"
	"fmt"
	"slices"
)

// checkDomains looks for component names and SIP domains that are there twice:
// each has exactly one counterpart.
func (p *parser) checkDomains() {
	built := p.built(keyAt("domain"))
	xmpp, sip := map[string]int{}, map[string]int{}
	for i := range p.c.Domains {
		d := &p.c.Domains[i]
		at := fmt.Sprintf("domain[%d]", i)
		if p.bad[at] {
			continue
		}
		if built {
			p.secret(at+".secret", at+".secret_file", &d.Secret, d.SecretFile, "the secret that the XMPP server has for this component; or set "+at+".secret_file")
			p.required(at+".xmpp", d.XMPP, "the component's name, for example \"pbx.example.com\"")
			p.required(at+".sip", d.SIP, "the SIP domain, for example \"pbx.example.org\"")
		}
		if !p.bad[at+".xmpp"] && d.XMPP != "" && p.checkShape(at+".xmpp", domainShape(d.XMPP)) {
			p.checkDomainXMPP(i, xmpp)
		}
		if !p.bad[at+".sip"] && d.SIP != "" && p.checkShape(at+".sip", domainShape(d.SIP)) && p.notServed(at+".sip", d.SIP) {
			p.checkDomainSIP(i, sip)
		}
		switch server := at + ".server"; {
		case p.origin[server] == "" && !p.bad[server]:
			d.Server = p.c.XMPP.Server
			p.derive(server, "xmpp.server")
		case p.given(server, d.Server):
			p.hostPort(server, d.Server, 5347)
		}
	}
}

// checkDomainXMPP: a component name is neither that of another component nor a
// domain of users.
func (p *parser) checkDomainXMPP(i int, seen map[string]int) {
	d, at := &p.c.Domains[i], fmt.Sprintf("domain[%d].xmpp", i)
	text := d.XMPP
	d.XMPP = normalDomain(text)
	switch {
	case d.XMPP == p.c.XMPP.Domain:
		p.fault(at, Quote(text)+" is the component itself (xmpp.domain)", "its SIP domain is sip.domain")
	case slices.Contains(p.c.XMPP.UserDomains, d.XMPP):
		p.fault(at, Quote(text)+" is a domain of users (xmpp.user_domains)", "the component needs a name of its own")
	default:
		p.once(at, text, d.XMPP, i, seen, "domain")
	}
}

// checkDomainSIP: a SIP domain has one name in XMPP, and somebody who may send
// from it.
func (p *parser) checkDomainSIP(i int, seen map[string]int) {
	d, at := &p.c.Domains[i], fmt.Sprintf("domain[%d].sip", i)
	text := d.SIP
	d.SIP = normalDomain(text)
	switch {
	case d.SIP == p.c.SIP.Domain:
		p.fault(at, Quote(text)+" is mapped to "+cmp.Or(p.c.XMPP.Domain, "xmpp.domain")+" already: it is sip.domain", "a SIP domain has one name in XMPP")
	default:
		p.once(at, text, d.SIP, i, seen, "domain")
	}
	if !p.bad[at] && p.built(keyAt("domain")) && !p.badRoutes() && !p.spokenFor(d.SIP) {
		p.warn(at, "no other machine may send from "+Quote(d.SIP)+": no [[sip.route]] with a via leads to it, and no [[sip.peer]] lists it", "add one of them")
	}
}

// spokenFor reports whether a peer may speak for a SIP domain that is not
// sip.domain: because it lists the domain, or because a route leads there.
func (p *parser) spokenFor(domain string) bool {
	names := func(d string) bool { return d == "*" || normalDomain(d) == domain }
	return slices.ContainsFunc(p.c.SIP.Routes, func(r Route) bool { return r.Via != "" && names(r.Domain) }) ||
		slices.ContainsFunc(p.c.SIP.Peers, func(q Peer) bool { return slices.ContainsFunc(q.Domains, names) })
}

// componentKey is the key that makes a domain one of the component's names, ""
// if it is none.
func (p *parser) componentKey(domain string) string {
	if domain != "" && domain == p.c.XMPP.Domain {
		return "xmpp.domain"
	}
	for i, d := range p.c.Domains {
		if domain != "" && domain == d.XMPP {
			return fmt.Sprintf("domain[%d].xmpp", i)
		}
	}
	return ""
}
