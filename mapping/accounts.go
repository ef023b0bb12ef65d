package mapping

import "slices"

// A user may have a SIP account of his own: an address of record at a PBX or a provider, with
// which the gateway registers in his name beside his phone. Toward the servers of a route
// with from = "account" he is that address, and requests for it that come to the gateway are
// for him.
//
// It is an alias one way only. The same address is his phone's as well, so that a request
// from it is one of a SIP account like any other: it is delivered as from the contact that
// the address is in XMPP, and an answer to that contact goes back to the PBX, which gives it to
// his phone and to us (ADDR-20). So Sender, XMPPAddress and SIPAddress know nothing of
// accounts.

// Accounts tells whose SIP accounts there are. The answers change while the rules stay as
// they are. It is asked for each message, from several goroutines, and must not block.
type Accounts interface {
	// AccountOf is the address of record of a user, a bare JID, as it is sent.
	AccountOf(user JID) (URI, bool)
	// UserOf is the user whose account it is, a bare JID. aor is the key that AccountAddress
	// has given for its address.
	UserOf(aor URI) (JID, bool)
}

// AccountNames is what Accounts may be besides.
type AccountNames interface {
	// NameOf is the display name that a user, a bare JID, has given his account; "" if none.
	NameOf(user JID) string
}

// AccountFault says why an address cannot be that of a user's account.
type AccountFault string

// The faults of AccountAddress.
const (
	AccountBadAddress AccountFault = "bad-address"        // not the address of a SIP user
	AccountNotAllowed AccountFault = "not-allowed-domain" // no route with from = "account" leads to its domain
	AccountTaken      AccountFault = "taken"              // somebody has it by the configuration
)

// AccountAddress judges the address of a user's account: aor is what is sent, key what accounts
// are compared by, without regard to case and to how a number is written. The fault is ""
// if it can be one.
//
//   - The first route that matches its host has from = "account".
//   - It is that of a contact in XMPP, so that who is written to from it can answer.
//   - It has no port, is no alias, and not the account of a route that registers.
func (r *Rules) AccountAddress(u URI) (aor, key URI, fault AccountFault) {
	if u.Scheme != "sip" || u.User == "" || u.Host == "" || u.Port != 0 {
		return URI{}, URI{}, AccountBadAddress
	}
	p, f := r.prepare(u, nil)
	if f != nil {
		return URI{}, URI{}, AccountBadAddress
	}
	aor = URI{Scheme: "sip", User: u.User, Host: p.Host, Phone: p.Phone}
	key = accountKey(p)
	if r.isAlias(&p) || r.isRegistration(p) {
		return aor, key, AccountTaken
	}
	if r.ours(p.Host) || r.served[p.Host] != "" || !r.fromAccount(p.Host) {
		return aor, key, AccountNotAllowed
	}
	if j, f := r.contact(p, nil); f != nil || j.Local() == "" {
		return aor, key, AccountBadAddress
	}
	return aor, key, ""
}

// setAccounts prepares the lookup of accounts; all else of r is there. Where nothing depends on
// them nobody is asked.
func (r *Rules) setAccounts(c RulesConfig) {
	r.required = c.AccountsRequired
	if r.required || slices.ContainsFunc(r.routes, func(route routeFrom) bool { return route.account }) {
		r.lines = c.Accounts
	}
	if r.required && r.lines == nil {
		r.lines = noAccounts{}
	}
}

// noAccounts is nobody's.
type noAccounts struct{}

func (noAccounts) AccountOf(JID) (URI, bool) { return URI{}, false }
func (noAccounts) UserOf(URI) (JID, bool)    { return JID{}, false }

// accountKey is what accounts are compared by, of a prepared address.
func accountKey(p URI) URI { return URI{Scheme: "sip", User: p.User, Host: p.Host} }

// isRegistration reports whether a prepared address is the account of a route that registers.
func (r *Rules) isRegistration(p URI) bool {
	route := r.routeOf(p.Host)
	for _, a := range r.accounts {
		if a.user == p.User && a.route == route {
			return true
		}
	}
	return false
}

// fromAccount reports whether users are their accounts toward a host.
func (r *Rules) fromAccount(host string) bool {
	for _, route := range r.routes {
		if route.host == "*" || route.host == host {
			return route.account
		}
	}
	return false
}

// accountIdentity sets u to the address of the account of an XMPP user toward a domain, if
// that is who he is there. It fails for who has none and needs one (GW-21).
func (r *Rules) accountIdentity(u *URI, j JID, toward string, t *trace) (found bool, f *Failure) {
	if r.component(j.Domain()) || j.Local() == "" {
		return false, nil
	}
	aor, ok := r.lines.AccountOf(j.Bare())
	switch {
	case !ok && r.required:
		return false, unregistered()
	case !ok:
		return false, nil
	}
	host, isHost := hostOf(toward)
	if !isHost || !r.fromAccount(host) {
		return false, nil
	}
	if t != nil {
		t.add("from = \"account\": toward %s the user is his SIP account, %s", toward, aor)
	}
	*u = aor
	return true, nil
}

// displayName is what a user is called in From, if that is the address of his account.
func (r *Rules) displayName(j JID, from *URI) string {
	names, ok := r.lines.(AccountNames)
	if !ok {
		return ""
	}
	if aor, ok := r.lines.AccountOf(j.Bare()); !ok || aor != *from {
		return ""
	}
	return HeaderText(names.NameOf(j.Bare()))
}

// accountUser is the user to whom a request goes that came to his account: to the contact
// that was registered for it, or under its address. found is false if it did not.
func (r *Rules) accountUser(m *SIPMessage) (j JID, found bool, f *Failure) {
	u := m.RequestURI
	if m.Account != nil {
		u = *m.Account
	} else if u.Scheme != "sip" || u.User == "" || u.Port != 0 || !r.fromAccount(u.Host) {
		return JID{}, false, nil
	}
	p, f := r.prepare(u, nil)
	if f == nil {
		j, found = r.lines.UserOf(accountKey(p))
	}
	if !found && m.Account != nil { // it has just ended
		return JID{}, true, notServed()
	}
	return j, found, nil
}

// accountOwner is the user whose account has that key.
func (r *Rules) accountOwner(key URI) (JID, bool) {
	if r.lines == nil {
		return JID{}, false
	}
	return r.lines.UserOf(key)
}

// reachable refuses what is for a user who has no account and needs one: as if there were
// no such user, since neither has one (SEC-13).
func (r *Rules) reachable(j JID) *Failure {
	if !r.required || j.Local() == "" {
		return nil
	}
	if _, ok := r.lines.AccountOf(j.Bare()); ok {
		return nil
	}
	f := unregistered()
	f.Text = "The user cannot be reached."
	return f
}

func unregistered() *Failure {
	f := addressFailure(ReasonUnregistered, "This needs a SIP account of your own: register with the gateway first.")
	f.Remedy = `accounts.mode is "required": the user registers his account, or an admin sets it to "optional"`
	return f
}
