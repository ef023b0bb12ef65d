package mapping

import (
	"net/netip"
	"strings"
)

// leastDialled is how many digits a user part has at least that is taken for a telephone
// number although its country is not known: extensions have fewer.
const leastDialled = 7

// Telephone reports whether what is sent to u may be dialled, and so may cost something, and
// gives the number in full ("+4930123456"), "" if the digits do not tell that. It is about
// addresses as they stand in requests, and about these ways to telephones:
//
//   - the phone domain, with any port;
//   - every domain that has the sip.route of the phone domain, as with "*", or one with a
//     country, as a second trunk has;
//   - the next hop of that route, and IP addresses, in the place of a domain.
//
// On these whatever is a telephone number is one, and so are seven digits and more. Where the
// phone domain is no domain of SIP users, and its route leads to telephones, there is nothing
// else at it: short codes are dialled there, too.
func (r *Rules) Telephone(u URI) (number string, is bool) {
	host := u.Host
	if u.Scheme == "tel" {
		host = r.phoneHost
	}
	if u.User == "" || r.phoneHost == "" || letter(u.User[0]) && host != r.phoneHost {
		return "", false
	}
	plan, dials := r.dials(host)
	if !dials {
		return "", false
	}
	if number, ok := plan.read(u.User); ok {
		if number, _, _ = strings.Cut(number, ";"); isE164(number) {
			return number, true
		}
		return "", true // a local number: it says where it is dialled
	}
	all := host == r.phoneHost && r.phones && r.phoneHost != r.defaultHost
	return "", all || dialled(u.User)
}

// dials reports whether numbers at a host are dialled, and how they are read there.
func (r *Rules) dials(host string) (dialPlan, bool) {
	if host == r.phoneHost || r.phoneHop != "" && host == r.phoneHop {
		return r.plan, true
	}
	for i, route := range r.routes {
		if route.host != "*" && route.host != host {
			continue
		}
		if i == r.phoneRoute || route.plan.country != nil {
			return route.plan, true
		}
		break
	}
	if host == "" || letter(host[len(host)-1]) && strings.IndexByte(host, ':') < 0 { // as nearly all names do
		return r.plan, false
	}
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return r.plan, err == nil
}

func letter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// dialled reports whether a user part has enough digits to be dialled, and no letters. What else
// stands between digits many a PBX leaves out before it dials.
func dialled(user string) bool {
	user, _, _ = strings.Cut(user, ";")
	n := 0
	for i := 0; i < len(user); i++ {
		switch c := user[i]; {
		case '0' <= c && c <= '9':
			n++
		case letter(c):
			return false
		}
	}
	return n >= leastDialled
}

// Identity is u in the form by which whoever it is can be told apart from others, however the
// address was written: a number at the phone domain is a tel URI, anything else a sip URI,
// case-mapped, without port, device and transport. A host has no user, and is one too. It is
// false if u is no SIP address.
func (r *Rules) Identity(u URI) (URI, bool) {
	if u.Scheme == "sips" {
		u.Scheme = "sip"
	}
	u.Port = 0
	if u.User == "" {
		return URI{Scheme: "sip", Host: u.Host}, u.Host != ""
	}
	if r.phoneHost == "" && u.Scheme == "tel" {
		return URI{Scheme: "tel", User: u.User}, true
	}
	u, f := r.prepare(u, nil)
	switch {
	case f != nil:
		return URI{}, false
	case u.Phone:
		return URI{Scheme: "tel", User: u.User}, true
	}
	return URI{Scheme: "sip", User: u.User, Host: u.Host}, true
}

// TypedHost is the domain that a person means who types one where an address might stand:
// "@example.org" or "sip:example.org". It is false for anything else.
func (r *Rules) TypedHost(text string) (host string, ok bool) {
	text = strings.TrimSpace(text)
	name, at := strings.CutPrefix(text, "@")
	if !at {
		scheme, rest, found := strings.Cut(text, ":")
		if !found || !strings.EqualFold(scheme, "sip") && !strings.EqualFold(scheme, "sips") || strings.ContainsAny(rest, "@;?") {
			return "", false
		}
		name = rest
	}
	if host, _, ok = splitHostPort(name); ok {
		host, ok = sipHost(host)
	}
	return host, ok
}

// ServesUser reports whether j is a user of one of the XMPP domains that are served.
func (r *Rules) ServesUser(j JID) bool {
	_, served := r.users[j.Domain()]
	return served && j.Local() != ""
}
