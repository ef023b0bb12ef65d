package config

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode"
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
	for i, text := range s.Listen {
		at := fmt.Sprintf("sip.listen[%d]", i)
		t, addr, err := p.parseListen(text)
		if !p.checkShape(at, err) {
			continue
		}
		s.Listen[i] = t.name + "://" + addr.String()
		p.socket = append(p.socket, socket{at, text, t.tcp, addr})
		if !slices.Contains(hosts, addr.Addr()) {
			hosts = append(hosts, addr.Addr())
		}
	}
	p.checkBeside()
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

// checkBeside warns of UDP without TCP: a peer that has to send what is too long for UDP
// goes to the same port over TCP (SIP-08). It is not added, as another program may have it.
func (p *parser) checkBeside() {
	for _, udp := range p.socket {
		if udp.tcp || udp.addr.Port() == 0 {
			continue
		}
		beside := slices.ContainsFunc(p.c.SIP.Listen, func(text string) bool {
			t, addr, err := p.parseListen(text)
			return err == nil && t.name == "tcp" && addr.Port() == udp.addr.Port() && (addr.Addr() == udp.addr.Addr() || addr.Addr().IsUnspecified())
		})
		if !beside {
			p.warn(udp.path, Quote(udp.text)+" has no TCP beside it: what is too long for UDP cannot come (RFC 3261 §18.2.1)", "add \"tcp://"+udp.addr.String()+"\"")
		}
	}
}

// checkTLS looks for halves: a certificate without its key, a transport that
// needs one and has none.
func (p *parser) checkTLS() {
	s := &p.c.SIP
	cert, key := p.origin["sip.tls_cert"] != "", p.origin["sip.tls_key"] != ""
	switch {
	case cert && !key && !p.bad["sip.tls_key"]:
		p.fault("sip.tls_key", "is missing", "the key of the certificate in sip.tls_cert")
	case key && !cert && !p.bad["sip.tls_cert"]:
		p.fault("sip.tls_cert", "is missing", "the certificate for the key in sip.tls_key")
	case !cert && !key && !p.bad["sip.tls_cert"] && !p.bad["sip.tls_key"]:
		if i := p.listensTLS(); i >= 0 {
			p.fault("sip.tls_cert", "is missing", fmt.Sprintf("sip.listen[%d] (%s) needs a certificate", i, s.Listen[i]))
		}
	}
	p.readable("sip.tls_cert", s.TLSCert)
	p.readable("sip.tls_key", s.TLSKey)
	if key && !p.bad["sip.tls_key"] {
		if _, mode, err := p.readFile(s.TLSKey); err == nil && mode.Perm()&0o027 != 0 {
			p.warn("sip.tls_key", fmt.Sprintf("%s can be read by other users (mode %04o)", Quote(s.TLSKey), mode.Perm()), "chmod 640 "+s.TLSKey+", or 600")
		}
	}
	p.readable("sip.tls_ca", s.TLSCA)
}

// listensTLS is the first entry of sip.listen that takes TLS, -1 if none does.
func (p *parser) listensTLS() int {
	return slices.IndexFunc(p.c.SIP.Listen, func(text string) bool {
		t, _, err := p.parseListen(text)
		return err == nil && (t.name == "tls" || t.name == "wss")
	})
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
		p.checkLogin(at, r.Username, &r.Password, r.PasswordFile)
		if r.Username != "" && r.Via == "" && r.Domain == "*" && !r.Register && !p.bad[at+".via"] {
			p.fault(at+".via", "is missing", at+".username is for servers of a route, and without via a route for all domains leads to strangers")
		}
		if r.Register && r.Username == "" && !p.bad[at+".username"] {
			p.fault(at+".username", "is missing", at+".register needs to say who registers")
		}
		if r.Register && r.Via == "" && !p.bad[at+".via"] {
			p.fault(at+".via", "is missing", at+".register needs to say where")
		}
		p.checkCountry(at, r)
		if r.From == "alias" && len(p.c.Aliases) == 0 && !p.bad["alias"] {
			p.fault(at+".from", `"alias" needs an [[alias]], and there is none`, "")
		}
		if r.From == "account" && r.Domain == "*" && r.Via == "" && !p.bad[at+".via"] {
			p.fault(at+".via", "is missing", `without it, and with from = "account" for all domains, a user could have the gateway register at any host`)
		}
		if r.From == "account" && !p.c.Accounts.Has() && !p.bad["accounts.mode"] {
			p.fault(at+".from", `"account" needs accounts, and accounts.mode is "none"`, `set accounts.mode = "optional" or "required"`)
		}
	}
}

// checkDialPlans warns of a dial plan that nobody asks: numbers are those of the
// phone domain, and its plan is that of its route.
func (p *parser) checkDialPlans() {
	s := &p.c.SIP
	used := slices.IndexFunc(s.Routes, func(r Route) bool { return r.Domain == "*" || r.Domain == s.PhoneDomain })
	for i, r := range s.Routes {
		for _, name := range []string{"country", "numbers"} {
			at := fmt.Sprintf("sip.route[%d].%s", i, name)
			if i != used && p.origin[at] == fromFile && !p.bad[at] && (name == "country" || r.Numbers != "e164") {
				p.warn(at, "has no effect: numbers belong to sip.phone_domain ("+s.PhoneDomain+"), and this is not its route", "")
			}
		}
	}
}

// checkLogin checks a user name and its password, of which there are both or none.
func (p *parser) checkLogin(at, username string, password *Secret, file string) {
	has := p.origin[at+".password"] != "" || p.origin[at+".password_file"] != ""
	missing := ""
	if strings.ContainsFunc(username, unicode.IsControl) && !p.bad[at+".username"] {
		p.fault(at+".username", Quote(username)+" has more than one line, or control characters", "")
	}
	if p.given(at+".username", username) {
		missing = "the password for " + at + ".username; or set " + at + ".password_file"
	} else if has && p.origin[at+".username"] == "" && !p.bad[at+".username"] && !p.bad[at+".password"] {
		p.fault(at+".username", "is missing", "whose password it is")
	}
	p.secret(at+".password", at+".password_file", password, file, missing)
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
	u, err := p.parseSIPURI(via)
	if err == nil && u.user != "" {
		err = shapef("leave out everything up to the @", "%s is a user, not a next hop", Quote(via))
	}
	if err == nil && u.transport != "" {
		err = p.checkTransport(u.transport, "transport "+Quote(u.transport))
	}
	if err == nil && u.secure && u.transport == "udp" {
		err = shapef("leave out transport=udp", "%s cannot be: there is no sips: over UDP", Quote(via))
	}
	if !p.checkShape(path, err) {
		return
	}
	if ip, err := netip.ParseAddr(u.host); err == nil && ip.Unmap().IsUnspecified() {
		p.fault(path, Quote(via)+" is every address, none to send to", "")
		return
	}
	if own := p.ownAddress(u); own != "" {
		p.fault(path, Quote(via)+" is our own address ("+own+")", "a route leads to another machine or port")
	}
}

// ownAddress says by which key a SIP URI leads to ourselves, "" if it does not
// as far as can be known without asking DNS.
func (p *parser) ownAddress(u sipURI) string {
	port := u.port
	if port == 0 {
		port = 5060
		if t := transportNamed(u.transport); t != nil {
			port = t.port
		}
		if u.secure {
			port = 5061
		}
	}
	for i, text := range p.c.SIP.Listen {
		t, addr, err := p.parseListen(text)
		if err != nil || int(addr.Port()) != port || u.transport != "" && u.transport != t.name {
			continue
		}
		if p.reaches(u.host, addr.Addr()) {
			return fmt.Sprintf("sip.listen[%d], %s", i, text)
		}
	}
	// What is advertised leads here, whatever it is and wherever NAT turns it.
	s := &p.c.SIP
	host, advertised := advertisedHost(s.Advertise)
	if s.Advertise == "" || p.bad["sip.advertise"] || strings.HasPrefix(p.origin["sip.advertise"], derived) || !sameHost(host, u.host) {
		return ""
	}
	if advertised == port || advertised == 0 && slices.ContainsFunc(s.Listen, func(text string) bool {
		t, addr, err := p.parseListen(text)
		return err == nil && int(addr.Port()) == port && (u.transport == "" || u.transport == t.name)
	}) {
		return "sip.advertise"
	}
	return ""
}

// reaches reports whether a host is this machine, at the address that a socket
// listens on.
func (p *parser) reaches(host string, listen netip.Addr) bool {
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return normalDomain(host) == "localhost" && (listen.IsLoopback() || listen.IsUnspecified())
	}
	ip = ip.Unmap()
	return ip == listen || listen.IsUnspecified() && (ip.IsLoopback() || slices.Contains(p.ownAddrs(), ip))
}

// advertisedHost takes sip.advertise apart; port 0 is none.
func advertisedHost(s string) (host string, port int) {
	if host, port, err := splitHostPort(s, 0); err == nil {
		return host, port
	}
	return strings.Trim(s, "[]"), 0
}

// sameHost compares hosts, IPv6 without brackets.
func sameHost(a, b string) bool {
	ipA, errA := netip.ParseAddr(a)
	ipB, errB := netip.ParseAddr(b)
	if errA == nil && errB == nil {
		return ipA.Unmap() == ipB.Unmap()
	}
	return normalDomain(a) == normalDomain(b)
}

// checkDestinations looks for domains whose requests would come back to us, and
// for a server that is ourselves.
func (p *parser) checkDestinations() {
	s := &p.c.SIP
	type named struct{ path, domain string }
	names := []named{{"sip.domain", s.Domain}, {"sip.phone_domain", s.PhoneDomain}}
	for i, d := range p.c.Domains {
		names = append(names, named{fmt.Sprintf("domain[%d].sip", i), d.SIP})
	}
	for _, d := range names {
		if d.domain == "" || p.bad[d.path] || strings.HasPrefix(p.origin[d.path], derived) || p.badRoutes() {
			continue
		}
		i := slices.IndexFunc(s.Routes, func(r Route) bool { return r.Domain == "*" || r.Domain == d.domain })
		if i >= 0 && s.Routes[i].Via != "" {
			continue
		}
		if own := p.ownAddress(sipURI{host: d.domain}); own != "" {
			p.fault(d.path, Quote(d.domain)+" is our own address ("+own+"), and no route leads away from here", "add a [[sip.route]] with a via, or write the domain of the phones")
		}
	}
	p.checkServer("xmpp.server", p.c.XMPP.Server)
	for i, d := range p.c.Domains {
		if at := fmt.Sprintf("domain[%d].server", i); p.origin[at] == fromFile {
			p.checkServer(at, d.Server)
		}
	}
}

// checkServer: an XMPP server is not ourselves.
func (p *parser) checkServer(path, server string) {
	host, port, err := splitHostPort(server, 0)
	if p.bad[path] || err != nil {
		return
	}
	for _, o := range p.socket {
		if o.tcp && int(o.addr.Port()) == port && p.reaches(host, o.addr.Addr()) {
			p.fault(path, Quote(server)+" is our own address ("+o.path+", "+o.text+")", "write the component port of the XMPP server, mostly 5347")
			return
		}
	}
}

// badRoutes reports whether a route has a fault, so that it is unknown where it
// leads.
func (p *parser) badRoutes() bool {
	for path := range p.bad {
		if strings.HasPrefix(path, "sip.route") {
			return true
		}
	}
	return false
}

func (p *parser) checkAliases() {
	seenSIP, seenXMPP := map[string]int{}, map[string]int{}
	for i := range p.c.Aliases {
		a := &p.c.Aliases[i]
		at := fmt.Sprintf("alias[%d]", i)
		if p.bad[at] {
			continue
		}
		var u sipURI
		var err error
		sipOK := p.required(at+".sip", a.SIP, "for example \"sip:+15551234567@example.net\"")
		if sipOK {
			u, err = p.parseSIPURI(a.SIP)
			if err == nil && u.user == "" {
				err = shapef("", "%s has no user", Quote(a.SIP))
			}
			if err == nil && u.secure {
				err = shapef("use sip:", "%s: an identity is written with sip:", Quote(a.SIP))
			}
			sipOK = p.checkShape(at+".sip", err)
		}
		if sipOK {
			p.once(at+".sip", a.SIP, strings.ToLower(u.user)+"@"+normalDomain(u.host)+":"+strconv.Itoa(u.port), i, seenSIP, "alias")
		}
		xmppOK := p.required(at+".xmpp", a.XMPP, "for example \"juliet@example.com\"") && p.checkShape(at+".xmpp", bareJIDShape(a.XMPP))
		if !xmppOK {
			continue
		}
		local, domain, _ := strings.Cut(a.XMPP, "@")
		if !p.bad["xmpp.user_domains"] && len(p.c.XMPP.UserDomains) > 0 && !slices.Contains(p.c.XMPP.UserDomains, normalDomain(domain)) {
			hint := "add it to xmpp.user_domains"
			if normalDomain(domain) == p.c.XMPP.Domain {
				hint = "that is a SIP user; write the XMPP user's own address"
			}
			p.fault(at+".xmpp", Quote(domain)+" is no XMPP domain that we serve", hint)
		}
		if sipOK { // one user may have an alias in each SIP domain
			p.once(at+".xmpp", a.XMPP, strings.ToLower(local)+"@"+normalDomain(domain)+" "+normalDomain(u.host), i, seenXMPP, "alias")
		}
	}
}
