package mapping

import "strings"

// Rules is the address book of the gateway: an immutable value, swapped whole on
// reload. It may be used from several goroutines.
//
// A SIP address is read in one of two roles:
//
//	an XMPP user      sip:juliet@example.com                   a domain of UserDomains
//	                  sip:juliet%40elsewhere.example@SIPHost   any other XMPP domain (ADDR-17)
//	                  sip:7001@pbx.example.net                 an alias (ADDR-25)
//	a SIP account     everything else
//
// A SIP account is a contact in XMPP: a JID of the component, in the first of
// these forms that applies (G is the GatewayDomain):
//
//	user@mapped-domain    its SIP domain has a component name of its own (ADDR-14)
//	+E164@G               a number at the phone domain (ADDR-16, ADDR-26)
//	user@G                the default SIP domain (ADDR-18)
//	user\40sip-domain@G   any other (ADDR-15)
//
// For every form the address that answers is the address that was written to:
// a JID whose SIP address would come back as another bare JID is refused, and the
// Text of the Failure names the right one (ADDR-20).
//
// All errors of the methods are *Failure; ReasonOf has the reason.
type Rules struct {
	gateway string // domainpart of the component
	own     string // the same as a host in SIP; "" if that is a SIP domain as well
	host    string // where SIP reaches us, as URI.Host has it ...
	port    uint16 // ... and the port, 0 if none is said

	served map[string]string // host in SIP -> XMPP domain whose users we serve
	users  map[string]string // the reverse
	toXMPP map[string]string // SIP domain with a component name of its own -> that name
	toSIP  map[string]string // the reverse

	defaultHost string
	phoneHost   string
	plan        dialPlan // of the phone domain's route
	phones      bool     // that route leads to telephones: see Numbers
	phoneRoute  int      // its place in routes, -1 if there is none ...
	phoneHop    string   // ... and its next hop, "" if DNS says that

	routes  []routeFrom
	aliases map[aliasKey]JID
	known   map[JID][]URI // aliases by bare JID, in the order of the configuration

	accounts     []account     // see RecipientOf
	aliasDomains []aliasDomain // in the order of the configuration

	lines    Accounts // of the users; nil where nobody is one of them
	required bool     // only who has one may use the gateway

	plainOnly, refuseExpired bool // see RulesConfig

	// What is known of domains for the short way of plain addresses, see rules_plain.go.
	plainHosts map[string]plainDomain // by the host in SIP
	plainNames map[string]plainDomain // by the XMPP domain
	numbersOf  string                 // the XMPP domain of telephone numbers
}

// routeFrom is what a route says about the sender's address.
type routeFrom struct {
	host           string // "*" is any
	alias, account bool
	plan           dialPlan
}

// aliasKey is a SIP address as aliases are compared: numbers folded, the user
// case-mapped like a localpart, since SIP addresses that are one JID are one
// alias.
type aliasKey struct {
	user, host string
	port       uint16
}

func keyOf(u URI) aliasKey { return aliasKey{u.User, u.Host, u.Port} }

// XMPPAddress is the JID under which XMPP knows u, in whichever role: an XMPP
// user or a contact. It says nothing about who may use it. See Sender and
// Recipient for the two addresses of a request.
func (r *Rules) XMPPAddress(u URI) (JID, error) {
	j, f := r.xmppAddress(u, nil)
	return orJID(j, f)
}

// Sender is the contact for the From of a request that came from SIP. Only a SIP
// account may be that: any address that stands for an XMPP user, be it in a
// served domain, at our own host or by an alias, is refused with 403 (SEC-28).
func (r *Rules) Sender(u URI) (JID, error) {
	j, f := r.sender(u)
	return orJID(j, f)
}

// Recipient is the XMPP user for the Request-URI of a request that came from SIP.
// Whatever is no XMPP user's address gets 404, reason not-served; our own host
// without a user the reason gateway-itself. The port is not looked at: the
// request has reached us. See RecipientOf for one that has come to us as a registered user
// agent.
//
// At our own host users of any XMPP domain can be addressed; whether they may is
// the business of Access.
func (r *Rules) Recipient(u URI) (JID, error) {
	j, f := r.recipient(u)
	return orJID(j, f)
}

// SIPAddress is the SIP URI that the contact JID j stands for, without regard to
// its resource. A JID that is not of the component's domains gets item-not-found,
// the component itself the reason gateway-itself.
func (r *Rules) SIPAddress(j JID) (URI, error) {
	var u URI
	f := r.sipAddress(&u, j.Bare(), nil)
	return orURI(u, f)
}

// SIPDevice is SIPAddress for a JID whose resource is known to have come from a
// GRUU: it becomes the gr parameter. No other resource may (ADDR-19).
func (r *Rules) SIPDevice(j JID) (URI, error) {
	var u URI
	f := r.sipDevice(&u, j)
	return orURI(u, f)
}

// SIPIdentity is the SIP URI of the XMPP user j toward the SIP domain of the other
// party: an alias where one holds, without resource since the domain of the alias
// knows nothing of it; otherwise the user's own address, with the resource as gr.
// toward may be "". Toward a route with from = "account" it is the user's SIP account, if he has
// one; who has none and needs one gets the reason unregistered.
func (r *Rules) SIPIdentity(j JID, toward string) (URI, error) {
	var u URI
	f := r.sipIdentity(&u, j, toward, nil)
	return orURI(u, f)
}

// Serves returns the XMPP domain whose users have their SIP addresses at host: one of
// UserDomains. Unlike Recipient it does not ask whether a user part is possible.
func (r *Rules) Serves(host string) (JID, bool) {
	domain, ok := r.served[host]
	if !ok {
		return JID{}, false
	}
	return makeJID("", domain, ""), true
}

// Numbers reports whether telephone numbers are contacts of the component name domain,
// and lead to telephones: the route of the phone domain has a country, which all but
// "numbers" = "e164" need, or there is one for the phone domain alone, which then is no
// domain of SIP users. A phone domain without such a route says nothing: it is
// sip.domain unless it is set.
func (r *Rules) Numbers(domain JID) bool {
	if !r.phones {
		return false
	}
	if name, ok := r.toXMPP[r.phoneHost]; ok {
		return domain.Domain() == name
	}
	return domain.Domain() == r.gateway
}

// Itself is the SIP address under which the gateway says something of its own: our
// own host, without a user. It can be nobody else's, and what is sent to it is
// refused with the reason gateway-itself.
func (r *Rules) Itself() URI { return URI{Scheme: "sip", Host: r.host, Port: r.port} }

// orJID makes an error of f; a nil *Failure in an error would not be nil.
func orJID(j JID, f *Failure) (JID, error) {
	if f != nil {
		return JID{}, f
	}
	return j, nil
}

func orURI(u URI, f *Failure) (URI, error) {
	if f != nil {
		return URI{}, f
	}
	return u, nil
}

func (r *Rules) xmppAddress(u URI, t *trace) (JID, *Failure) {
	if t == nil {
		if j, ok := r.plainUserOf(&u); ok {
			return j, nil
		}
		if j, ok := r.plainContactOf(&u); ok {
			return j, nil
		}
	}
	u, f := r.prepare(u, t)
	if f != nil {
		return JID{}, f
	}
	j, found, f := r.user(u, t)
	if !found && f == nil {
		j, f = r.contact(u, t)
	}
	return r.withGR(j, u, f, t)
}

func (r *Rules) sender(u URI) (JID, *Failure) {
	if j, ok := r.plainContactOf(&u); ok {
		return j, nil
	}
	u, f := r.prepare(u, nil)
	if f != nil {
		return JID{}, f
	}
	if _, found, f := r.user(u, nil); found || f != nil {
		return JID{}, addressFailure(ReasonForbidden, "Nobody may send under this address from SIP.")
	}
	j, f := r.contact(u, nil)
	return r.withGR(j, u, f, nil)
}

func (r *Rules) recipient(u URI) (JID, *Failure) {
	if j, ok := r.plainUserOf(&u); ok {
		return j, nil
	}
	u, f := r.prepare(u, nil)
	if f != nil {
		return JID{}, f
	}
	j, found, f := r.user(u, nil)
	if !found && f == nil {
		f = notServed()
	}
	return r.withGR(j, u, f, nil)
}

func notServed() *Failure {
	f := FailNotServed()
	f.Err = ReasonNotServed
	return f
}

// prepare brings a SIP address into the one form that is looked at from here on:
// scheme sip, the user case-mapped (ADDR-08), a number at the phone domain in its
// canonical form, and Phone set for such numbers and for nothing else.
func (r *Rules) prepare(u URI, t *trace) (URI, *Failure) {
	switch u.Scheme {
	case "sips":
		return u, refuseSIPS()
	case "tel":
		if r.phoneHost == "" {
			return u, notServed()
		}
		u = URI{Scheme: "sip", User: u.User, Host: r.phoneHost}
		if t != nil {
			t.add("tel: a telephone number belongs to the phone domain (sip.phone_domain): %s", u)
		}
	case "sip", "im", "pres":
		if u.Host == "" {
			return u, addressFailure(ReasonSyntax, "The address has no valid host.")
		}
		u.Scheme = "sip"
	default:
		return u, addressFailure(ReasonScheme, "Addresses of this kind are not understood: it takes a sip: address.")
	}
	text, f := foldUser(u.User)
	if f != nil {
		return u, f
	}
	if t != nil && text != u.User {
		t.add("case-mapped user part, since XMPP knows no case: %s", text)
	}
	u.User, u.Phone = text, false
	if u.Host == r.phoneHost && u.Port == 0 {
		if number, ok := r.plan.read(u.User); ok {
			if t != nil && number != u.User {
				t.add("the number in full: %s", number)
			}
			u.User, u.Phone = number, true
		}
	}
	return u, nil
}

// withGR adds the resource that the gr parameter stands for. A value that no
// resource can have is dropped, as is that of a host, which has no devices, and
// that of an alias, whose devices are not ours to know.
func (r *Rules) withGR(j JID, u URI, f *Failure, t *trace) (JID, *Failure) {
	if f != nil || u.GR == "" || u.User == "" {
		return j, f
	}
	if _, ok := r.aliases[keyOf(u)]; ok {
		return j, nil
	}
	full, err := j.WithResource(u.GR)
	switch {
	case err == nil:
		if t != nil {
			t.add("the gr parameter names the device: resource %s", full.Resource())
		}
		return full, nil
	case ReasonOf(err) == ReasonTooLong:
		return JID{}, longPart()
	}
	if t != nil {
		t.add("the gr parameter cannot be a resource: dropped")
	}
	return j, nil
}

// hasAt reports whether a user part has an @.
func hasAt(user string) bool { return strings.IndexByte(user, '@') >= 0 }
