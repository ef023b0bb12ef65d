package config

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
)

// check judges what the values mean and fills in what is derived from others. A
// value whose type was wrong is not judged again. What belongs to keys that are
// not built is zero, and zero is never at fault.
func (p *parser) check() {
	p.tableDefaults()
	p.paths()
	if p.running != nil {
		p.hold(p.running)
	}
	p.checkXMPP()
	p.checkSIPNames()
	p.checkListen()
	p.checkTLS()
	p.checkRoutes()
	p.checkDialPlans()
	p.checkPeers()
	p.checkDomains()
	p.checkAliases()
	p.checkAccess()
	p.checkAccounts()
	p.checkLimits()
	p.checkStore()
	p.checkAdmin()
	p.checkLog()
	p.checkSockets()
	p.checkDestinations()
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

// given reports whether a key is set and its value may be judged. An empty
// string is no value, and a fault.
func (p *parser) given(path, value string) bool {
	if p.bad[path] || p.origin[path] == "" {
		return false
	}
	if value == "" {
		p.fault(path, "is empty", "leave it out for the default")
		return false
	}
	return true
}

// derive notes that the value of path was made from something else.
func (p *parser) derive(path, from string) { p.origin[path] = derived + from }

// tableDefaults gives the fields of tables their defaults; viper does so for the
// other keys.
func (p *parser) tableDefaults() {
	for i := range schema {
		k := &schema[i]
		table := tableOf(k.path)
		if table == nil || k.def == nil || !p.built(k) {
			continue
		}
		list := p.c.at(table.path)
		for j := range list.Len() {
			at := fmt.Sprintf("%s[%d].%s", table.path, j, k.name())
			if p.origin[at] == "" && !p.bad[at] {
				fieldByKey(list.Index(j), k.name()).Set(reflect.ValueOf(k.def))
				p.origin[at] = fromDefault
			}
		}
	}
}

// paths makes relative paths start at the directory of the file. One from the
// environment stays: it starts at the working directory.
func (p *parser) paths() {
	for i := range schema {
		k := &schema[i]
		if !k.file || p.envOf[k.path] != "" {
			continue
		}
		if table := tableOf(k.path); table != nil {
			list := p.c.at(table.path)
			for j := range list.Len() {
				field := fieldByKey(list.Index(j), k.name())
				field.SetString(relativeTo(p.file, field.String()))
			}
			continue
		}
		field := p.c.at(k.path)
		field.SetString(relativeTo(p.file, field.String()))
	}
}

// readable notes a file that is named and cannot be read.
func (p *parser) readable(path, file string) {
	if !p.given(path, file) {
		return
	}
	if _, _, err := p.readFile(file); err != nil {
		p.fault(path, Quote(file)+" "+cannotRead(err), "it must exist and be readable by the user that stox runs as")
	}
}

// hostPort checks host:port where both have to be said.
func (p *parser) hostPort(path, value string, defaultPort int) bool {
	host, port, err := splitHostPort(value, defaultPort)
	if err == nil {
		err = hostShape(host)
	}
	if err == nil && port == 0 {
		err = shapef("", "has port 0")
	}
	return p.checkShape(path, err)
}

func (p *parser) checkXMPP() {
	x := &p.c.XMPP
	if !p.bad["xmpp.server"] && p.hostPort("xmpp.server", x.Server, 5347) {
		if _, port, _ := splitHostPort(x.Server, 0); port == 5222 || port == 5223 || port == 5269 {
			p.warn("xmpp.server", fmt.Sprintf("%d is the port for clients or other servers", port), "components have one of their own, mostly 5347")
		}
	}
	p.secret("xmpp.secret", "xmpp.secret_file", &x.Secret, x.SecretFile, "the secret that the XMPP server has for this component; or set xmpp.secret_file")
	domainOK := p.required("xmpp.domain", x.Domain, "the component's own name, for example \"sip.example.com\"") &&
		p.checkShape("xmpp.domain", domainShape(x.Domain))
	if domainOK {
		x.Domain = normalDomain(x.Domain)
	}
	p.checkUserDomains(domainOK)
	if p.origin["xmpp.admins"] != "" && !p.bad["xmpp.admins"] {
		p.each("xmpp.admins", x.Admins, bareJIDShape)
	}
}

func (p *parser) checkUserDomains(domainOK bool) {
	x := &p.c.XMPP
	const path = "xmpp.user_domains"
	switch {
	case p.bad[path]:
	case p.origin[path] == "":
		if !domainOK {
			return
		}
		_, parent, ok := strings.Cut(x.Domain, ".")
		if !ok {
			p.fault(path, "is missing, and "+Quote(x.Domain)+" has no parent to take instead", "list the XMPP domains whose users are served")
			return
		}
		x.UserDomains = []string{parent}
		p.derive(path, "the parent of xmpp.domain")
		if !strings.Contains(parent, ".") && parent != "localhost" {
			p.warn("xmpp.domain", fmt.Sprintf("the users served are those of %s, its parent", Quote(parent)), "if "+Quote(x.Domain)+" is the domain of your users, the component needs a name of its own, such as "+Quote("sip."+x.Domain))
		}
	default:
		x.UserDomains = p.domains(path, x.UserDomains, false)
		if i := slices.Index(x.UserDomains, x.Domain); i >= 0 && domainOK {
			p.fault(fmt.Sprintf("%s[%d]", path, i), Quote(x.Domain)+" is the component itself (xmpp.domain)", "list the domains of the users")
		}
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

// each checks the values of a list: none is there twice, each has the shape.
func (p *parser) each(path string, list []string, shape func(string) error) {
	if len(list) == 0 {
		p.fault(path, "is empty", "leave it out for the default")
	}
	for i, s := range list {
		at := fmt.Sprintf("%s[%d]", path, i)
		if p.checkShape(at, shape(s)) && slices.Contains(list[:i], s) {
			p.fault(at, Quote(s)+" is there twice", "")
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
	if p.given("sip.resolver", s.Resolver) && p.hostPort("sip.resolver", s.Resolver, 53) {
		if a, err := netip.ParseAddrPort(s.Resolver); err != nil || a.Addr().Zone() != "" {
			p.fault("sip.resolver", Quote(s.Resolver)+" must have an IP address for its host", "nobody could be asked where a name server with a name is")
		}
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
		return
	}
	p.each("access.allow", a.Allow, func(s string) error {
		switch {
		case s == "*":
			return nil
		case strings.Contains(s, "@"):
			return bareJIDShape(s)
		}
		return domainShape(s)
	})
	for i, s := range a.Allow {
		_, domain, ok := strings.Cut(s, "@")
		if !ok {
			domain = s
		}
		if key := p.componentKey(normalDomain(domain)); key != "" {
			p.fault(fmt.Sprintf("access.allow[%d]", i), Quote(s)+" is of the component itself ("+key+")", "list XMPP users and their domains")
		}
	}
}

func (p *parser) checkAccounts() {
	a := &p.c.Accounts
	const path = "accounts.key_file"
	p.readable(path, a.KeyFile)
	if p.given(path, a.KeyFile) {
		if _, mode, err := p.readFile(a.KeyFile); err == nil && mode.Perm()&0o027 != 0 {
			p.warn(path, fmt.Sprintf("%s can be read by other users (mode %04o)", Quote(a.KeyFile), mode.Perm()), "chmod 600 "+a.KeyFile)
		}
	}
	if !a.Has() || p.bad["accounts.mode"] {
		return
	}
	if p.origin[path] == "" && !p.bad[path] {
		p.fault(path, "is missing: accounts.mode "+Quote(a.Mode)+" stores passwords, which must be encrypted", "make one with: head -c32 /dev/urandom | base64 > accounts.key; chmod 600 accounts.key")
	}
	if !p.badRoutes() && !slices.ContainsFunc(p.c.SIP.Routes, func(r Route) bool { return r.From == "account" }) {
		hint := `set from = "account" on the [[sip.route]] to the domain where they have their accounts`
		if a.Mode == "required" {
			p.fault("accounts.mode", "is \"required\", and no route lets users have accounts", hint)
		} else {
			p.warn("accounts.mode", "has no effect: no route lets users have accounts", hint)
		}
	}
}

func (p *parser) checkLimits() {
	if p.origin["limits.prefixes"] == "" || p.bad["limits.prefixes"] {
		return
	}
	p.each("limits.prefixes", p.c.Limits.Prefixes, func(s string) error {
		if digits, ok := strings.CutPrefix(s, "+"); !ok || digits == "" || len(digits) > 15 || strings.Trim(digits, "0123456789") != "" {
			return shapef("write for example \"+49\"", "%s is no prefix of an international number", Quote(s))
		}
		return nil
	})
}

// socket is something that we listen on.
type socket struct {
	path string // of the key
	text string // as it is written
	tcp  bool
	addr netip.AddrPort
}

// overlaps reports whether two sockets cannot both be opened. A wildcard of
// either family takes all addresses of both.
func (s socket) overlaps(o socket) bool {
	a, b := s.addr, o.addr
	return s.tcp == o.tcp && a.Port() == b.Port() && a.Port() != 0 &&
		(a.Addr() == b.Addr() || a.Addr().IsUnspecified() || b.Addr().IsUnspecified())
}

// checkSockets looks for two that take the same port.
func (p *parser) checkSockets() {
	for i, s := range p.socket {
		for _, o := range p.socket[:i] {
			if !s.overlaps(o) {
				continue
			}
			if s.addr == o.addr && strings.HasPrefix(s.path, "sip.listen") && s.text[:3] == o.text[:3] {
				p.fault(s.path, Quote(s.text)+" is there twice", "")
				break
			}
			hint := "each needs a port of its own"
			if s.addr.Addr() != o.addr.Addr() && (s.addr.Addr().IsUnspecified() || o.addr.Addr().IsUnspecified()) {
				hint = "0.0.0.0 is every IPv4 address of the machine, [::] every address: keep one of the two"
			}
			p.fault(s.path, Quote(s.text)+" takes the same port as "+Quote(o.text)+" ("+o.path+")", hint)
			break
		}
	}
}
