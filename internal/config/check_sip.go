package config

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
)

// relativeTo makes path start at the directory of file.
func relativeTo(file, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(file), path)
}

func (p *parser) checkListen() {
	s := &p.c.SIP
	if !p.bad["sip.listen"] && len(s.Listen) == 0 {
		p.fault("sip.listen", "is empty: no SIP could come in", "leave it out for udp and tcp on port 5060")
	}
	var hosts []netip.Addr
	var seen []listenURL
	for i, text := range s.Listen {
		at := fmt.Sprintf("sip.listen[%d]", i)
		l, err := parseListen(text)
		if !p.checkShape(at, err) {
			continue
		}
		s.Listen[i] = l.transport + "://" + l.addr.String()
		if slices.Contains(seen, l) && l.addr.Port() != 0 {
			p.fault(at, Quote(text)+" is there twice", "")
		}
		seen = append(seen, l)
		if !slices.Contains(hosts, l.addr.Addr()) {
			hosts = append(hosts, l.addr.Addr())
		}
	}
	switch {
	case p.bad["sip.advertise"]:
	case p.origin["sip.advertise"] != "":
		p.checkShape("sip.advertise", advertiseShape(s.Advertise))
	case len(hosts) == 1 && !hosts[0].IsUnspecified():
		// Without a port: each transport has its own.
		s.Advertise = hosts[0].String()
		if hosts[0].Is6() {
			s.Advertise = "[" + s.Advertise + "]"
		}
		p.derive("sip.advertise", "the address of sip.listen")
	default:
		p.derive("sip.advertise", "in Via the address that this machine sends from, in SIP addresses xmpp.domain")
	}
}

func advertiseShape(s string) error {
	host := s
	if bracketed := strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]"); bracketed {
		host = s[1 : len(s)-1]
	} else if strings.Count(s, ":") > 1 || strings.Contains(s, ":") && !strings.Contains(s, "://") {
		var port int
		var err error
		if _, err := netip.ParseAddr(s); err == nil {
			return shapef("did you mean \"["+s+"]\"?", "%s needs brackets", Quote(s))
		}
		host, port, err = splitHostPort(s, 5060)
		if err != nil {
			return err
		}
		if port == 0 {
			return shapef("", "%s has port 0", Quote(s))
		}
	}
	if a, err := netip.ParseAddr(host); err == nil && a.IsUnspecified() {
		return shapef("write the address or name by which peers reach this machine", "%s is every address, none to answer to", Quote(s))
	}
	return hostShape(host)
}

func (p *parser) checkRoutes() {
	seen := map[string]int{}
	star := -1
	for i := range p.c.SIP.Routes {
		r := &p.c.SIP.Routes[i]
		at := fmt.Sprintf("sip.route[%d]", i)
		if p.bad[at] {
			continue
		}
		if p.required(at+".domain", r.Domain, "a SIP domain, or \"*\" for all of them") && (r.Domain == "*" || p.checkShape(at+".domain", domainShape(r.Domain)) && p.notServed(at+".domain", r.Domain)) {
			text := r.Domain
			r.Domain = normalDomain(r.Domain)
			if star >= 0 && r.Domain != "*" {
				p.fault(at+".domain", fmt.Sprintf("is never reached: sip.route[%d] takes every domain", star), "put the route for \"*\" last")
			} else {
				p.once(at+".domain", text, r.Domain, i, seen, "sip.route")
			}
			if r.Domain == "*" && star < 0 {
				star = i
			}
		}
		if r.Via != "" && !p.bad[at+".via"] {
			p.checkVia(at+".via", r.Via)
		} else if p.origin[at+".via"] != "" && r.Via == "" {
			p.fault(at+".via", "is empty", "leave it out to look the domain up in DNS")
		}
		if r.From == "" {
			r.From = keyAt("sip.route.from").def.(string)
			p.origin[at+".from"] = fromDefault
		}
		if r.Numbers == "" {
			r.Numbers = keyAt("sip.route.numbers").def.(string)
			p.origin[at+".numbers"] = fromDefault
		}
		p.checkCountry(at, r)
		if r.From == "alias" && len(p.c.Aliases) == 0 && !p.bad["alias"] {
			p.fault(at+".from", `"alias" needs an [[alias]], and there is none`, "")
		}
	}
}

// checkCountry checks the code and that the form of the numbers has one.
func (p *parser) checkCountry(at string, r *Route) {
	if p.bad[at+".country"] {
		return
	}
	if p.origin[at+".country"] != "" {
		code := strings.ToUpper(r.Country)
		if len(code) != 2 || strings.Trim(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
			p.fault(at+".country", Quote(r.Country)+" is no ISO 3166 code", "two letters, for example \"DE\"")
			return
		}
		r.Country = code
	}
	if r.Numbers == "national" && r.Country == "" {
		p.fault(at+".numbers", `"national" needs a country`, "set "+at+".country")
	}
}

// checkVia checks a next hop, and that it is not ourselves: what we send there
// would come back for ever.
func (p *parser) checkVia(path, via string) {
	u, err := parseSIPURI(via)
	if err == nil && u.user != "" {
		err = shapef("leave out everything up to the @", "%s is a user, not a next hop", Quote(via))
	}
	if err == nil && u.transport != "" && u.transport != "udp" && u.transport != "tcp" {
		err = shapef("use udp or tcp", "transport %s is %s", Quote(u.transport), notBuilt)
	}
	if !p.checkShape(path, err) {
		return
	}
	port := u.port
	if port == 0 {
		port = 5060
	}
	ip, ipErr := netip.ParseAddr(u.host)
	if ipErr == nil {
		ip = ip.Unmap()
	}
	if ipErr == nil && ip.IsUnspecified() {
		p.fault(path, Quote(via)+" is every address, none to send to", "")
		return
	}
	local := ipErr == nil && (ip.IsLoopback() || slices.Contains(p.ownAddrs(), ip)) ||
		ipErr != nil && (normalDomain(u.host) == "localhost" || normalDomain(u.host) == normalDomain(advertisedHost(p.c.SIP.Advertise)))
	for _, text := range p.c.SIP.Listen {
		l, err := parseListen(text)
		if err != nil || int(l.addr.Port()) != port || u.transport != "" && u.transport != l.transport {
			continue
		}
		wildcard := l.addr.Addr().IsUnspecified()
		if ipErr == nil && l.addr.Addr() == ip || wildcard && local || ipErr != nil && local && l.addr.Addr().IsLoopback() {
			p.fault(path, Quote(via)+" is our own address (sip.listen "+text+")", "a route leads to another machine or port")
			return
		}
	}
}

// advertisedHost is the host of sip.advertise.
func advertisedHost(s string) string {
	if host, _, err := splitHostPort(s, 0); err == nil {
		return host
	}
	return strings.Trim(s, "[]")
}

func (p *parser) checkPeers() {
	names, addresses := map[string]int{}, map[string]int{}
	for i := range p.c.SIP.Peers {
		peer := &p.c.SIP.Peers[i]
		at := fmt.Sprintf("sip.peer[%d]", i)
		if p.bad[at] {
			continue
		}
		if p.required(at+".name", peer.Name, "a name for the log") {
			p.once(at+".name", peer.Name, peer.Name, i, names, "sip.peer")
		}
		if !p.bad[at+".addresses"] && len(peer.Addresses) == 0 {
			p.fault(at+".addresses", "is missing", "the IP addresses and networks from which this peer sends")
		}
		for j, text := range peer.Addresses {
			path := fmt.Sprintf("%s.addresses[%d]", at, j)
			prefix, err := parsePrefix(text)
			if p.checkShape(path, err) {
				p.once(path, text, prefix.String(), i, addresses, "sip.peer")
			}
		}
		if p.origin[at+".domains"] == "" || p.bad[at+".domains"] {
			continue
		}
		peer.Domains = p.domains(at+".domains", peer.Domains, true)
		for j, d := range peer.Domains {
			p.notServed(fmt.Sprintf("%s.domains[%d]", at, j), d)
		}
	}
}

// parsePrefix reads an address or a network.
func parsePrefix(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		return netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), nil
	}
	n, err := netip.ParsePrefix(s)
	if err != nil {
		return n, shapef("names are not looked up here; write for example \"192.0.2.10\" or \"198.51.100.0/24\"", "%s is no IP address and no network", Quote(s))
	}
	if n != n.Masked() {
		return n, shapef("did you mean "+Quote(n.Masked().String())+" or "+Quote(n.Addr().String())+"?", "%s is an address with the length of a network", Quote(s))
	}
	return n, nil
}
