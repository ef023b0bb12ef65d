package mapping

import "strings"

// The same short way for addresses under the rules (see plain.go): a user part that is plain
// needs no escapes and is of no form of its own, so that it goes by the host alone which of
// the forms of Rules an address has, and whether the way back leads to it; and a number that
// is known in full belongs to the phone domain. Whether it is an alias is asked still. What is
// not plain, and what is refused, goes the whole way.

// plainDomain is what a domain stands for on the other side, for plain users.
type plainDomain struct {
	role plainRole
	name string // on the other side; "" if only the form with an escaped @ is possible
}

type plainRole uint8

const (
	plainElse    plainRole = iota // the rules do not know the domain
	plainUser                     // it is one of UserDomains
	plainContact                  // it is one of the component's
)

// setPlain prepares the tables of the short way; all else of r is there.
func (r *Rules) setPlain() {
	r.plainHosts, r.plainNames = make(map[string]plainDomain), make(map[string]plainDomain)
	for domain, host := range r.users {
		if r.served[host] == domain && !r.component(domain) {
			r.plainHosts[host], r.plainNames[domain] = plainDomain{plainUser, domain}, plainDomain{plainUser, host}
		}
	}
	for domain, host := range r.toSIP {
		r.plainHosts[host], r.plainNames[domain] = plainDomain{plainContact, domain}, plainDomain{plainContact, host}
	}
	r.numbersOf = r.gateway
	if name, ok := r.toXMPP[r.phoneHost]; ok {
		r.numbersOf = name
	}
	if r.plainNames[r.gateway] = (plainDomain{plainContact, r.defaultHost}); r.defaultHost != "" {
		r.plainHosts[r.defaultHost] = plainDomain{plainContact, r.gateway}
	}
}

// plainUserOf is the XMPP user that u stands for, if that is a plain matter.
func (r *Rules) plainUserOf(u *URI) (JID, bool) {
	d := r.plainHosts[u.Host]
	if d.role != plainUser || !r.isPlain(u) {
		return JID{}, false
	}
	return makeJID(u.User, d.name, u.GR), true
}

// plainContactOf is the contact that u stands for, if that is a plain matter.
func (r *Rules) plainContactOf(u *URI) (JID, bool) {
	if number, ok := r.plainNumber(u); ok {
		return makeJID(number, r.numbersOf, u.GR), true
	}
	d := r.plainHosts[u.Host]
	if d.role == plainUser || u.Port != 0 || !r.isPlain(u) {
		return JID{}, false
	}
	if d.role == plainContact {
		return makeJID(u.User, d.name, u.GR), true
	}
	local := len(u.User) + len(`\40`) + len(u.Host)
	if u.GR != "" || local > maxPart || !isPlain(u.Host) {
		return JID{}, false
	}
	return JID{s: u.User + `\40` + u.Host + "@" + r.gateway, local: uint16(local), domain: uint16(len(r.gateway))}, true
}

// plainSIP sets u to the SIP address of the contact j, a bare JID, if that is a plain
// matter.
func (r *Rules) plainSIP(j JID, u *URI) bool {
	d := r.plainNames[j.Domain()]
	if d.role != plainContact {
		return false
	}
	*u = URI{Scheme: "sip", User: j.Local(), Host: d.name}
	if isE164(u.User) && r.phoneHost != "" && j.Domain() == r.numbersOf {
		u.Host = r.phoneHost
		if r.isAlias(u) {
			return false
		}
		u.User, u.Phone = r.plan.dial(u.User), true // what it is dialled as, is read as the same number
		return true
	}
	if at := strings.IndexByte(u.User, '\\'); at > 0 && strings.HasPrefix(u.User[at:], `\40`) && j.Domain() == r.gateway {
		u.User, u.Host = u.User[:at], u.User[at+len(`\40`):]
		n, last := domainSpan(u.Host)
		if n == 0 || n != len(u.Host) || '0' <= u.Host[last] && u.Host[last] <= '9' || r.plainHosts[u.Host].role != plainElse {
			return false
		}
	}
	return u.Host != "" && isPlain(u.User) && !r.isSpecial(u)
}

// plainIdentity sets u to the SIP address of the XMPP user j, if that is a plain matter. It
// may have a resource of any kind.
func (r *Rules) plainIdentity(j JID, u *URI) bool {
	d := r.plainNames[j.Domain()]
	if d.role != plainUser || len(r.known) > 0 && len(r.known[j.Bare()]) > 0 {
		return false
	}
	*u = URI{Scheme: "sip", User: j.Local(), Host: d.name, GR: j.Resource()}
	return isPlain(u.User) && !r.isSpecial(u)
}

// plainNumber is the number of a contact, if u is one that is known in full.
func (r *Rules) plainNumber(u *URI) (string, bool) {
	if u.User == "" || u.User[0] != '+' && ('0' > u.User[0] || u.User[0] > '9') || u.Host != r.phoneHost || u.Port != 0 || u.Scheme != "sip" ||
		len(u.User) > maxPart || !plainResource(u.GR) {
		return "", false
	}
	number, ok := r.plan.read(u.User)
	if !ok || !isE164(number) || r.isAlias(&URI{User: number, Host: u.Host}) {
		return "", false
	}
	return number, true
}

// isPlain reports whether user and resource of u are plain, and the user is none of those
// who go by other rules than their host does.
func (r *Rules) isPlain(u *URI) bool {
	return u.Scheme == "sip" && isPlain(u.User) && !r.isSpecial(u) && plainResource(u.GR)
}

// plainResource reports whether a gr parameter is the resource as it stands, or none.
func plainResource(gr string) bool { return len(gr) <= maxPart && printable(gr) == len(gr) }

// isSpecial reports whether the plain user of u is an alias, or may be a number.
func (r *Rules) isSpecial(u *URI) bool {
	return r.isAlias(u) || r.plan.country != nil && u.Host == r.phoneHost && phoneDigits.all(u.User)
}

func (r *Rules) isAlias(u *URI) bool {
	if len(r.aliases) == 0 {
		return false
	}
	_, ok := r.aliases[keyOf(*u)]
	return ok
}
