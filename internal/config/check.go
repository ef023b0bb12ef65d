package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// check judges what the values mean and fills in what is derived from others. A
// value whose type was wrong is not judged again.
func (p *parser) check() {
	p.checkXMPP()
	p.checkSIPNames()
	p.checkListen()
	p.checkRoutes()
	p.checkPeers()
	p.checkAliases()
	p.checkAccess()
}

// required notes a key that is not set. It is false when there is nothing to go
// on with.
func (p *parser) required(path, value, hint string) bool {
	if p.bad[path] {
		return false
	}
	if value == "" {
		p.fault(path, "is missing", hint)
		return false
	}
	return true
}

// derive notes that the value of path was made from something else.
func (p *parser) derive(path, from string) { p.origin[path] = derived + from }

func (p *parser) checkXMPP() {
	x := &p.c.XMPP
	if !p.bad["xmpp.server"] {
		host, port, err := splitHostPort(x.Server, 5347)
		if err == nil {
			err = hostShape(host)
		}
		if err == nil && port == 0 {
			err = shapef("", "has port 0")
		}
		p.checkShape("xmpp.server", err)
	}
	p.checkSecret()
	if d := x.BarrierTimeout; !p.bad["xmpp.barrier_timeout"] && (d < 100*time.Millisecond || d > 10*time.Second) {
		// Written twice it may take twice as long, and SIP waits for no more than 32 s.
		p.fault("xmpp.barrier_timeout", "is "+d.String(), "it must be from 100ms to 10s")
	}
	if s := p.c.SIP.Accept; !p.bad["sip.accept_status"] && s != 200 && s != 202 {
		p.fault("sip.accept_status", "is "+strconv.Itoa(s), "it must be 200 or 202")
	}
	domainOK := p.required("xmpp.domain", x.Domain, "the component's own name, for example \"sip.example.com\"") &&
		p.checkShape("xmpp.domain", domainShape(x.Domain))
	if domainOK {
		x.Domain = normalDomain(x.Domain)
	}
	if p.bad["xmpp.user_domains"] {
		return
	}
	if p.origin["xmpp.user_domains"] == "" {
		if !domainOK {
			return
		}
		_, parent, ok := strings.Cut(x.Domain, ".")
		if !ok {
			p.fault("xmpp.user_domains", "is missing, and "+Quote(x.Domain)+" has no parent to take instead", "list the XMPP domains whose users are served")
			return
		}
		x.UserDomains = []string{parent}
		p.derive("xmpp.user_domains", "the parent of xmpp.domain")
		return
	}
	x.UserDomains = p.domains("xmpp.user_domains", x.UserDomains, false)
	if i := slices.Index(x.UserDomains, x.Domain); i >= 0 && domainOK {
		p.fault(fmt.Sprintf("xmpp.user_domains[%d]", i), Quote(x.Domain)+" is the component itself (xmpp.domain)", "list the domains of the users")
	}
}

// domains checks a list of domains and returns it in normal spelling.
func (p *parser) domains(path string, list []string, star bool) []string {
	if len(list) == 0 {
		p.fault(path, "is empty", "leave it out for the default")
	}
	out := make([]string, len(list))
	for i, d := range list {
		at := fmt.Sprintf("%s[%d]", path, i)
		out[i] = normalDomain(d)
		if star && d == "*" {
			continue
		}
		if p.checkShape(at, domainShape(d)) && slices.Contains(out[:i], out[i]) {
			p.fault(at, Quote(d)+" is there twice", "")
		}
	}
	return out
}

func (p *parser) checkSecret() {
	x := &p.c.XMPP
	if p.bad["xmpp.secret"] || p.bad["xmpp.secret_file"] {
		return
	}
	hasSecret, hasFile := p.origin["xmpp.secret"] != "", p.origin["xmpp.secret_file"] != ""
	switch {
	case hasSecret && hasFile:
		p.fault("xmpp.secret_file", "contradicts xmpp.secret", "keep one of the two")
		return
	case hasFile:
		path := x.SecretFile
		if p.envOf["xmpp.secret_file"] == "" {
			path = relativeTo(p.file, path)
		}
		if path == "" {
			p.fault("xmpp.secret_file", "is empty", "")
			return
		}
		b, mode, err := p.readFile(path)
		if err != nil {
			p.fault("xmpp.secret_file", Quote(path)+" "+cannotRead(err), "it must exist and be readable by the user that stox runs as")
			return
		}
		if mode.Perm()&0o027 != 0 {
			p.warn("xmpp.secret_file", fmt.Sprintf("%s can be read by other users (mode %04o)", Quote(path), mode.Perm()), "chmod 600 "+path)
		}
		x.Secret = Secret(strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r"))
		p.secret("xmpp.secret_file", x.Secret)
	case hasSecret:
		p.secret("xmpp.secret", x.Secret)
	default:
		p.fault("xmpp.secret", "is missing", "the secret that the XMPP server has for this component; or set xmpp.secret_file")
	}
}

// secret judges a secret without ever quoting it.
func (p *parser) secret(path string, s Secret) {
	switch {
	case s == "":
		p.fault(path, "the secret is empty", "")
	case s == exampleSecret:
		p.fault(path, "the secret is the one of the example", "stox init makes a good one")
	case strings.ContainsFunc(string(s), unicode.IsControl):
		p.fault(path, "the secret has more than one line, or control characters", "")
	case strings.TrimSpace(string(s)) != string(s):
		p.warn(path, "the secret begins or ends with a space", "the server must have it so, too")
	}
}

func (p *parser) checkSIPNames() {
	s := &p.c.SIP
	domainOK := p.required("sip.domain", s.Domain, "the SIP domain of your phones or provider, for example \"example.net\"") &&
		p.checkShape("sip.domain", domainShape(s.Domain)) && p.notServed("sip.domain", s.Domain)
	if domainOK {
		s.Domain = normalDomain(s.Domain)
	}
	switch {
	case p.bad["sip.phone_domain"]:
	case p.origin["sip.phone_domain"] == "":
		s.PhoneDomain = s.Domain
		p.derive("sip.phone_domain", "sip.domain")
	case p.checkShape("sip.phone_domain", domainShape(s.PhoneDomain)):
		s.PhoneDomain = normalDomain(s.PhoneDomain)
		p.notServed("sip.phone_domain", s.PhoneDomain)
	}
}

// notServed notes a SIP domain that is an XMPP domain: an address in it could
// not be told to be the one or the other.
func (p *parser) notServed(path, domain string) bool {
	if !slices.Contains(p.c.XMPP.UserDomains, normalDomain(domain)) {
		return true
	}
	p.fault(path, Quote(domain)+" is an XMPP domain that we serve (xmpp.user_domains)", "an address in it could mean two users; SIP users need a domain of their own")
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
			u, err = parseSIPURI(a.SIP)
			if err == nil && u.user == "" {
				err = shapef("", "%s has no user", Quote(a.SIP))
			}
			sipOK = p.checkShape(at+".sip", err)
		}
		if sipOK {
			p.once(at+".sip", a.SIP, u.user+"@"+normalDomain(u.host)+":"+strconv.Itoa(u.port), i, seenSIP, "alias")
		}
		xmppOK := p.required(at+".xmpp", a.XMPP, "for example \"juliet@example.com\"") && p.checkShape(at+".xmpp", bareJIDShape(a.XMPP))
		if !xmppOK {
			continue
		}
		local, domain, _ := strings.Cut(a.XMPP, "@")
		if !p.bad["xmpp.user_domains"] && len(p.c.XMPP.UserDomains) > 0 && !slices.Contains(p.c.XMPP.UserDomains, normalDomain(domain)) {
			p.fault(at+".xmpp", Quote(domain)+" is no XMPP domain that we serve", "add it to xmpp.user_domains")
		}
		if sipOK { // one user may have an alias in each SIP domain
			p.once(at+".xmpp", a.XMPP, strings.ToLower(local)+"@"+normalDomain(domain)+" "+normalDomain(u.host), i, seenXMPP, "alias")
		}
	}
}

// once notes a value that an earlier table of the same name has already.
func (p *parser) once(path, value, key string, i int, seen map[string]int, table string) {
	if first, ok := seen[key]; ok {
		p.fault(path, fmt.Sprintf("%s is in %s[%d] already", Quote(value), table, first), "")
		return
	}
	seen[key] = i
}

func (p *parser) checkAccess() {
	a := &p.c.Access
	if p.bad["access.allow"] {
		return
	}
	if p.origin["access.allow"] == "" {
		a.Allow = slices.Clone(p.c.XMPP.UserDomains)
		p.derive("access.allow", "xmpp.user_domains")
		return
	}
	if len(a.Allow) == 0 {
		p.fault("access.allow", "is empty: nobody could use the gateway", "leave it out to allow all of xmpp.user_domains")
	}
	for i, s := range a.Allow {
		at := fmt.Sprintf("access.allow[%d]", i)
		switch {
		case s == "*":
		case strings.Contains(s, "@"):
			p.checkShape(at, bareJIDShape(s))
		default:
			p.checkShape(at, domainShape(s))
		}
		if slices.Contains(a.Allow[:i], s) {
			p.fault(at, Quote(s)+" is there twice", "")
		}
	}
}
