package mapping

import "slices"

// Where stox keeps a registration (RFC 3261 §10) it is a user agent to whoever it is
// registered with, and not a domain: requests come to the contact that it gave, and what
// stands in them besides is up to the registrar. A trunk writes the number that was dialled
// into the Request-URI, or the name of the account there and the number into To, or the
// number nowhere if the account has one only; and the host is that of the contact, or what
// the registrar takes for it behind a NAT. So the user part decides, and the host of To
// never does.

// account is a registration that is kept.
type account struct {
	user  string // case-mapped
	route string // its domain
}

// aliasDomain is a SIP domain in which there are aliases.
type aliasDomain struct {
	host  string
	port  uint16
	route string // the domain of the route that leads there, "" if there is none
	only  JID    // whose aliases they are, zero if they are several users'
}

// RecipientOf is Recipient for a request as it came: one that reaches us as the contact of a
// registration, or at an address of ours, is for the alias with its user part.
//
//   - An alias in a domain of the routes that lead to the sender goes before one in
//     another domain.
//   - A request for the account itself is for the alias with the user part of To, of those
//     on the way of its route; if there is none such, for the only one there is.
//   - Where that leaves more than one user, or none, it gets 404, reason not-served.
//   - What came to the contact of a user's own account, or under its address, is for him.
//   - A user who has no account and needs one gets 480, reason unregistered.
//
// Who the sender is counts only if m has Routes.
func (r *Rules) RecipientOf(m *SIPMessage) (JID, error) {
	j, f := r.recipientOf(m)
	return orJID(j, f)
}

func (r *Rules) recipientOf(m *SIPMessage) (JID, *Failure) {
	j, f := r.addressed(m)
	if f == nil {
		f = r.reachable(j)
	}
	if f != nil {
		return JID{}, f
	}
	return j, nil
}

// addressed is recipientOf, whether the user may be reached or not.
func (r *Rules) addressed(m *SIPMessage) (JID, *Failure) {
	if r.lines != nil {
		if j, found, f := r.accountUser(m); found {
			return j, f
		}
	}
	if j, ok := r.plainUserOf(&m.RequestURI); ok {
		return j, nil
	}
	u, f := r.prepare(m.RequestURI, nil)
	if f != nil {
		return JID{}, f
	}
	j, found, f := r.user(u, nil)
	if !found && f == nil {
		return r.atContact(u, m)
	}
	return r.withGR(j, u, f, nil)
}

// atContact finds the user for a prepared Request-URI that is nobody's address.
func (r *Rules) atContact(u URI, m *SIPMessage) (JID, *Failure) {
	here := (m.Here || r.ours(u.Host)) && !r.sipDomain(u.Host)
	if u.User == "" {
		return JID{}, notServed()
	}
	if a, ok := r.account(u.User, m.Routes, here); ok {
		return r.ofAccount(a, u, m)
	}
	if len(r.aliases) == 0 || !here && (r.sipDomain(u.Host) || !r.registrar(m.Routes)) {
		return JID{}, notServed()
	}
	near := func(d aliasDomain) bool { return d.route != "" && slices.Contains(m.Routes, d.route) }
	all := func(aliasDomain) bool { return true }
	for _, in := range [...]func(aliasDomain) bool{near, all} {
		switch users := r.aliasesOf(u.User, in); len(users) {
		case 0:
		case 1:
			return users[0], nil
		default:
			return JID{}, notOne("several [[alias]] of different users have this user part, and the routes do not say which is meant: have the sender write the domain of the alias into the Request-URI")
		}
	}
	return JID{}, notOne("an [[alias]] whose sip has this user part says which XMPP user it is")
}

// ofAccount finds the user for a request to the account of a registration.
func (r *Rules) ofAccount(a account, u URI, m *SIPMessage) (JID, *Failure) {
	in := func(d aliasDomain) bool { return d.route == a.route }
	for _, user := range [...]string{m.To.User, u.User} {
		if users := r.aliasesOf(user, in); len(users) == 1 {
			return users[0], nil
		}
	}
	var only JID
	for _, d := range r.aliasDomains {
		switch {
		case !in(d) || d.only == only && !only.IsZero():
		case d.only.IsZero() || !only.IsZero():
			return JID{}, notOne("the account of this registration has an [[alias]] for each of several users, and neither the Request-URI nor To has the number of one: have the trunk send it there, or register once for each number")
		default:
			only = d.only
		}
	}
	if only.IsZero() {
		return JID{}, notOne("an [[alias]] in the domain of the sip.route says which XMPP user the messages to its account are for")
	}
	return only, nil
}

func notOne(remedy string) *Failure {
	f := notServed()
	f.Remedy = remedy
	return f
}

// account is the registration with that user name: of a route that leads to the sender, or
// the only one, if the request came to an address of ours.
func (r *Rules) account(user string, routes []string, here bool) (found account, ok bool) {
	n := 0
	for _, a := range r.accounts {
		if a.user != user {
			continue
		}
		if slices.Contains(routes, a.route) {
			return a, true
		}
		found = a
		n++
	}
	return found, here && n == 1
}

// registrar reports whether there is a registration on one of the routes.
func (r *Rules) registrar(routes []string) bool {
	return slices.ContainsFunc(r.accounts, func(a account) bool { return slices.Contains(routes, a.route) })
}

// sipDomain reports whether a host is a SIP domain with accounts of its own.
func (r *Rules) sipDomain(host string) bool {
	_, mapped := r.toXMPP[host]
	return mapped || host == r.defaultHost || host == r.phoneHost
}

// aliasesOf are the users whose aliases have a user part, in some of the domains.
func (r *Rules) aliasesOf(user string, in func(aliasDomain) bool) (users []JID) {
	if user == "" {
		return nil
	}
	for _, d := range r.aliasDomains {
		if !in(d) {
			continue
		}
		u, f := r.prepare(URI{Scheme: "sip", User: user, Host: d.host, Port: d.port}, nil)
		if f != nil {
			continue
		}
		if j, ok := r.aliases[keyOf(u)]; ok && !slices.Contains(users, j) {
			users = append(users, j)
		}
	}
	return users
}

// routeOf is the domain of the first route for a host, "" if there is none.
func (r *Rules) routeOf(host string) string {
	for _, route := range r.routes {
		if route.host == "*" || route.host == host {
			return route.host
		}
	}
	return ""
}

// addAlias notes an alias for RecipientOf.
func (r *Rules) addAlias(host string, port uint16, user JID) {
	for i := range r.aliasDomains {
		if d := &r.aliasDomains[i]; d.host == host && d.port == port {
			if d.only != user {
				d.only = JID{}
			}
			return
		}
	}
	r.aliasDomains = append(r.aliasDomains, aliasDomain{host, port, r.routeOf(host), user})
}
