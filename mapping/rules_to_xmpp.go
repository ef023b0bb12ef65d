package mapping

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/text/secure/precis"
	"golang.org/x/text/unicode/norm"
)

// user reads a prepared SIP address as that of an XMPP user. found is false if it
// is none; a failure means that it is one or would be, but not a possible one.
func (r *Rules) user(u URI, t *trace) (j JID, found bool, f *Failure) {
	if len(r.aliases) > 0 {
		if j, ok := r.aliases[keyOf(u)]; ok {
			if t != nil {
				t.add("[[alias]]: this is the XMPP user %s", j)
			}
			return j, true, nil
		}
	}
	if r.ours(u.Host) {
		switch {
		case u.User == "":
			return JID{}, false, addressFailure(ReasonGatewayItself, "This is the address of the gateway itself.")
		case hasAt(u.User):
			j, f := r.guest(u.User, t)
			return j, f == nil, f
		}
	}
	domain, ok := r.served[u.Host]
	if !ok {
		return JID{}, false, nil
	}
	if t != nil {
		t.add("%s is an XMPP domain that we serve (xmpp.user_domains)", domain)
	}
	if u.User == "" {
		return makeJID("", domain, ""), true, nil
	}
	local, f := localFrom(u.User, t)
	if f != nil {
		return JID{}, false, f
	}
	return makeJID(local, domain, ""), true, nil
}

// ours reports whether SIP to host ends at the gateway itself: its advertised
// host, or the component's name unless that is a SIP domain as well.
func (r *Rules) ours(host string) bool {
	return host == r.host || host == r.own
}

// guest reads user%40domain at our own host (ADDR-17). Its domain cannot be one
// of the component's own: SIP would reach SIP through us (SEC-27).
func (r *Rules) guest(text string, t *trace) (JID, *Failure) {
	at := strings.LastIndexByte(text, '@')
	user, name := text[:at], text[at+1:]
	if user == "" || name == "" {
		return JID{}, addressFailure(ReasonJIDMalformed, "The user part of the address is not user%40domain.")
	}
	domain, ok := uDomain(name)
	if !ok {
		return JID{}, addressFailure(ReasonBadDomain, "What follows %40 in the address is not a domain.")
	}
	if r.component(domain) {
		return JID{}, notServed()
	}
	if t != nil {
		t.add("user%%40domain at our own host: the user %s of the XMPP domain %s", user, domain)
	}
	local, f := localFrom(user, t)
	if f != nil {
		return JID{}, f
	}
	return makeJID(local, domain, ""), nil
}

// component reports whether an XMPP domain is one of the component's own.
func (r *Rules) component(domain string) bool {
	if domain == r.gateway {
		return true
	}
	_, ok := r.toSIP[domain]
	return ok
}

// contact gives a prepared SIP address the first of the component's forms that
// applies.
func (r *Rules) contact(u URI, t *trace) (JID, *Failure) {
	mapped, isMapped := r.toXMPP[u.Host]
	isMapped = isMapped && u.Port == 0
	if u.User == "" {
		if !isMapped {
			return JID{}, addressFailure(ReasonUnmappable, "The address has no user.")
		}
		if t != nil {
			t.add("[[domain]]: %s is called %s in XMPP", u.Host, mapped)
		}
		return makeJID("", mapped, ""), nil
	}
	domain := r.gateway
	switch {
	case isMapped:
		domain = mapped
		if t != nil {
			t.add("[[domain]]: %s is called %s in XMPP", u.Host, mapped)
		}
	case u.Phone:
		if t != nil {
			t.add("a number at the phone domain (sip.phone_domain) is +number@%s in XMPP", domain)
		}
	case u.Host == r.defaultHost && u.Port == 0 && !r.otherForm(u.User):
		if t != nil {
			t.add("default domain: sip.domain is %s, so the short form applies", u.Host)
		}
	default:
		return r.escapedAt(u, t)
	}
	local, f := localFrom(u.User, t)
	if f != nil {
		return JID{}, f
	}
	return makeJID(local, domain, ""), nil
}

// otherForm reports whether a user part of the default domain would, as user@G,
// be read as another form.
func (r *Rules) otherForm(user string) bool {
	if hasAt(user) {
		return true
	}
	_, number := subscriber(user)
	return number
}

// escapedAt is the form user\40host@G. The host is written with A-labels.
func (r *Rules) escapedAt(u URI, t *trace) (JID, *Failure) {
	var room [128]byte
	b := xepEscapes(room[:0], u.User)
	b = append(b, `\40`...)
	if u.Port == 0 && strings.IndexByte(u.Host, ':') < 0 {
		b = append(b, u.Host...)
	} else {
		b = xepEscapes(b, string(appendHostPort(nil, u.Host, u.Port)))
	}
	local, f := checkLocal(string(b))
	if f != nil {
		return JID{}, f
	}
	if t != nil {
		if u.Host == r.defaultHost && u.Port == 0 {
			t.add("the short form of sip.domain would be read as another address: the @ is escaped as \\40 (XEP-0106)")
		} else {
			t.add("%s is neither sip.domain nor a [[domain]]: the @ is escaped as \\40 (XEP-0106)", appendHostPort(nil, u.Host, u.Port))
		}
	}
	return makeJID(local, r.gateway, ""), nil
}

// foldProfile does to a user part what UsernameCaseMapped will do to the
// localpart. It must come before the escaping (XEP-0106), and that profile
// cannot be used yet: it would refuse the space, which is about to be escaped.
var foldProfile = precis.NewFreeform(precis.FoldWidth, precis.LowerCase(), precis.Norm(norm.NFC))

// foldUser case-maps a user part (ADDR-08).
func foldUser(s string) (string, *Failure) {
	ascii, upper := true, false
	for i := range len(s) {
		switch c := s[i]; {
		case c >= utf8.RuneSelf:
			ascii = false
		case 'A' <= c && c <= 'Z':
			upper = true
		case c < ' ' || c == 0x7f:
			return "", unmappableUser()
		}
	}
	if !ascii {
		return enforce(foldProfile, s, unmappableUser)
	}
	if len(s) > maxPart { // escaping makes it longer still
		return "", longPart()
	}
	if upper {
		s = lower(s)
	}
	return s, nil
}

// localFrom is the localpart for a case-mapped user part.
func localFrom(text string, t *trace) (string, *Failure) {
	local, f := checkLocal(escapeLocal(text))
	if f == nil && t != nil && local != text {
		t.add("XEP-0106 escapes what a JID cannot have: %s", local)
	}
	return local, f
}

// checkLocal lets only that pass which is a localpart as it stands. If PRECIS
// changes it the escapes would no longer mean what they did: a combining mark,
// for example, can join the last letter of one.
func checkLocal(local string) (string, *Failure) {
	// XEP-0106 §4: \20 may not be at either end.
	if strings.HasPrefix(local, `\20`) || strings.HasSuffix(local, `\20`) {
		return "", unmappableUser()
	}
	normal, f := localPart(local)
	switch {
	case f != nil && ReasonOf(f) == ReasonTooLong:
		return "", f
	case f != nil || normal != local:
		return "", unmappableUser()
	}
	return local, nil
}

func unmappableUser() *Failure {
	return addressFailure(ReasonUnmappable, "The user name cannot be written as an XMPP address.")
}
