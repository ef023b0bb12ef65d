package mapping

import "strings"

// sipAddress sets u to the SIP URI of a contact, to none if it has none. ADDR-20: it stands
// only if it reads back as the JID that was asked for.
func (r *Rules) sipAddress(u *URI, j JID, t *trace) *Failure {
	if t == nil && r.plainSIP(j, u) {
		return nil
	}
	*u = URI{}
	found, f := r.contactURI(j, t)
	if f != nil {
		return f
	}
	back, f := r.xmppAddress(found, nil)
	switch {
	case f != nil:
		return addressFailure(ReasonJIDMalformed, "No SIP address can be written like this.")
	case back != j:
		if t != nil {
			t.add("refused: %s answers as %s, which is another JID than this", found, back)
		}
		return addressFailure(ReasonItemNotFound, "This is not an address that could answer. The right one is "+back.String()+".")
	}
	*u = found
	return nil
}

// sipDevice is sipAddress with the resource of j as gr.
func (r *Rules) sipDevice(u *URI, j JID) *Failure {
	f := r.sipAddress(u, j.Bare(), nil)
	if f == nil && u.User != "" {
		u.GR = j.Resource()
	}
	return f
}

// contactURI reads a JID of the component.
func (r *Rules) contactURI(j JID, t *trace) (URI, *Failure) {
	if j.IsZero() {
		return URI{}, addressFailure(ReasonJIDMalformed, "There is no address.")
	}
	text := unescapeLocal(j.Local())
	if t != nil && text != j.Local() {
		t.add("without the escapes of XEP-0106: %s", text)
	}
	return r.contactText(j.Domain(), text, t)
}

// contactText reads a JID of the component whose localpart, without escapes, is text.
func (r *Rules) contactText(domain, text string, t *trace) (URI, *Failure) {
	if host, ok := r.toSIP[domain]; ok {
		if t != nil {
			t.add("[[domain]]: %s is called %s in SIP", domain, host)
		}
		return r.dialled(URI{Scheme: "sip", User: text, Host: host}, t), nil
	}
	if domain != r.gateway {
		return URI{}, addressFailure(ReasonItemNotFound, "This is not an address of the gateway.")
	}
	if text == "" {
		return URI{}, addressFailure(ReasonGatewayItself, "This is the address of the gateway itself.")
	}
	if number, ok := subscriber(text); ok && r.phoneHost != "" {
		if t != nil {
			t.add("a telephone number: it belongs to the phone domain (sip.phone_domain), %s", r.phoneHost)
		}
		return r.dialled(URI{Scheme: "sip", User: number, Host: r.phoneHost}, t), nil
	}
	if at := strings.LastIndexByte(text, '@'); at >= 0 {
		return r.splitAt(text[:at], text[at+1:], t)
	}
	if r.defaultHost == "" {
		return URI{}, addressFailure(ReasonItemNotFound, "There is no such address.")
	}
	if t != nil {
		t.add("default domain: no \\40 in the localpart, so it is a user of sip.domain, %s", r.defaultHost)
	}
	return r.dialled(URI{Scheme: "sip", User: text, Host: r.defaultHost}, t), nil
}

// splitAt reads the form user\40host@G.
func (r *Rules) splitAt(user, hostPort string, t *trace) (URI, *Failure) {
	name, port, ok := splitHostPort(hostPort)
	if !ok || user == "" || name == "" || name[0] != '[' && strings.IndexByte(name, ':') >= 0 {
		return URI{}, addressFailure(ReasonJIDMalformed, `The part before the @ is not user\40domain.`)
	}
	host, ok := sipHost(name)
	switch {
	case !ok && name[0] == '[':
		return URI{}, addressFailure(ReasonJIDMalformed, `What follows \40 in the address is not an IPv6 address.`)
	case !ok:
		return URI{}, addressFailure(ReasonBadDomain, `What follows \40 in the address is not a domain.`)
	}
	if t != nil {
		t.add("split at the last @: user %s at %s", user, hostPort)
	}
	return r.dialled(URI{Scheme: "sip", User: user, Host: host, Port: port}, t), nil
}

// dialled gives a number at the phone domain the form of its route (ADDR-26).
func (r *Rules) dialled(u URI, t *trace) URI {
	if u.Host != r.phoneHost || u.Port != 0 {
		return u
	}
	number, ok := subscriber(u.User)
	if !ok {
		return u
	}
	u.User, u.Phone = r.plan.dial(number), true
	if t != nil && u.User != number {
		t.add("dialled as the route of the phone domain wants it: %s", u.User)
	}
	return u
}

// sipIdentity sets u to the SIP URI of an XMPP user toward a domain, to none if he has none.
func (r *Rules) sipIdentity(u *URI, j JID, toward string, t *trace) *Failure {
	if r.lines != nil {
		if found, f := r.accountIdentity(u, j, toward, t); found || f != nil {
			if f != nil {
				*u = URI{}
			}
			return f
		}
	}
	return r.userAddress(u, j, toward, t)
}

// userAddress is sipIdentity without regard to accounts.
func (r *Rules) userAddress(u *URI, j JID, toward string, t *trace) *Failure {
	if t == nil && r.plainIdentity(j, u) {
		return nil
	}
	*u = URI{}
	switch {
	case j.IsZero():
		return addressFailure(ReasonJIDMalformed, "There is no address.")
	case r.component(j.Domain()):
		return addressFailure(ReasonItemNotFound, "This is not the address of an XMPP user.")
	}
	bare := j.Bare()
	if len(r.known) > 0 {
		if alias, ok := r.alias(bare, toward); ok {
			if t != nil {
				t.add("[[alias]]: toward %s the user is %s", toward, alias)
			}
			*u = alias
			return nil
		}
	}
	text := unescapeLocal(j.Local())
	if t != nil && text != j.Local() {
		t.add("without the escapes of XEP-0106: %s", text)
	}
	v := URI{Scheme: "sip", User: text}
	var served bool
	if v.Host, served = r.users[j.Domain()]; served {
		if t != nil {
			t.add("%s is an XMPP domain that we serve (xmpp.user_domains): the user has the same address in SIP", j.Domain())
		}
	} else {
		name, ok := guestDomain(j.Domain())
		if !ok {
			return addressFailure(ReasonBadDomain, "The domain of the address cannot be written in SIP.")
		}
		if text == "" {
			return addressFailure(ReasonUnmappable, "The address has no user, and its domain is not served here.")
		}
		v.User, v.Host, v.Port = text+"@"+name, r.host, r.port
		if t != nil {
			t.add("%s is not in xmpp.user_domains: SIP reaches the user as user%%40domain at our own host", j.Domain())
		}
	}
	// ADDR-20: the answer must come back to the user who wrote.
	p, f := r.prepare(v, nil)
	if f == nil {
		var back JID
		if back, _, f = r.user(p, nil); f == nil && back != bare {
			f = unmappableUser()
		}
	}
	if f != nil {
		return addressFailure(ReasonUnmappable, "This XMPP address cannot be written as a SIP address that would answer to it.")
	}
	if v.User != "" {
		v.GR = j.Resource()
	}
	*u = v
	return nil
}

// guestDomain is an XMPP domain as it stands behind %40: with A-labels.
func guestDomain(domain string) (string, bool) {
	if strings.HasPrefix(domain, "[") {
		return domain, true
	}
	return aDomain(domain)
}

// hostOf is a domain as hosts are compared; of an IPv6 address also without brackets, as
// URI.Host has it.
func hostOf(domain string) (string, bool) {
	host, ok := sipHost(domain)
	if !ok && strings.IndexByte(domain, ':') >= 0 {
		host, ok = ipv6("[" + domain + "]")
	}
	return host, ok
}

// alias is the address that an alias gives the user: one in the SIP domain of the
// other party, or the first of all if the route there wants one.
func (r *Rules) alias(user JID, toward string) (URI, bool) {
	list := r.known[user]
	if len(list) == 0 {
		return URI{}, false
	}
	host, ok := hostOf(toward)
	if !ok {
		return URI{}, false
	}
	for _, u := range list {
		if u.Host == host {
			return u, true
		}
	}
	for _, route := range r.routes {
		if route.host == host || route.host == "*" {
			return list[0], route.alias
		}
	}
	return URI{}, false
}
