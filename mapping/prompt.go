package mapping

import "strings"

// Prompt is the contact that a person means who types an address into a client
// (XEP-0100, GW-18):
//
//	sip:romeo@example.org    a URI in any spelling; sips:, im:, pres: and tel: too
//	o'malley@example.org     a SIP address without scheme, nothing encoded
//	+1 (212) 555-0123        a full number
//	030 1234567              a national one, if the route of the phone domain has a country
//	o'malley@example.org@G   a JID of ours, escaped or not, with or without resource
//	xmpp:romeo@G             the IRI of one
//
// All of them may stand in angle brackets behind a name. Percent signs are only
// read in URIs. The JID is bare and the one that answers come from (ADDR-20): for
// another spelling of a contact it is the canonical one.
//
// Whatever leads to no SIP account is an error, and no guess is made (ADDR-12): the
// address of an XMPP user too, who is not named if an alias hides him. The Text of
// the Failure says what to type instead.
func (r *Rules) Prompt(text string) (JID, error) {
	u, f := r.typed(unbracket(text))
	if f != nil {
		return JID{}, f
	}
	j, f := r.typedContact(u)
	return orJID(j, f)
}

// unbracket takes an address out of the angle brackets in which it was copied from a
// header, without the name before them and the parameters behind. Brackets elsewhere
// belong to the address.
func unbracket(text string) string {
	text = strings.TrimSpace(text)
	if i := strings.LastIndexByte(text, '<'); i >= 0 {
		inside, after, closed := strings.Cut(text[i+1:], ">")
		if closed && (after == "" || after[0] == ';') {
			return strings.TrimSpace(inside)
		}
	}
	return text
}

// typed reads what a person typed as a SIP address.
func (r *Rules) typed(text string) (URI, *Failure) {
	scheme, _, hasScheme := strings.Cut(text, ":")
	at := strings.LastIndexByte(text, '@')
	switch {
	case text == "":
		return URI{}, addressFailure(ReasonSyntax, "There is no address.")
	case len(text) > 4*maxPart:
		return URI{}, longPart()
	case hasScheme && strings.EqualFold(scheme, "xmpp"):
		j, ok := parseIRI(text)
		if !ok {
			return URI{}, addressFailure(ReasonJIDMalformed, "This is not the IRI of an XMPP address.")
		}
		if !r.component(j.Domain()) {
			return URI{}, typedXMPPUser()
		}
		return r.typedOurs(j.Domain(), j.Local())
	case hasScheme && isScheme(scheme):
		u, f := parseURI(text)
		if f != nil && ReasonOf(f) == ReasonSIPS { // it was parsed, and only the scheme is refused
			u.Scheme, f = "sip", nil
		}
		return u, f
	case at < 0:
		return r.typedNumber(text)
	}
	// A slash may begin a resource or be a part of the user: first the one that makes a
	// JID of ours.
	if j, err := ParseJID(text); err == nil && r.component(j.Domain()) {
		return r.typedOurs(j.Domain(), j.Local())
	}
	user, hostPort := text[:at], text[at+1:]
	name, _, _ := strings.Cut(hostPort, "/")
	if domain, ok := uDomain(name); ok && r.component(domain) {
		return r.typedOurs(domain, user)
	}
	host, port, ok := splitHostPort(hostPort)
	if ok {
		host, ok = sipHost(host)
	}
	if !ok {
		return URI{}, addressFailure(ReasonBadDomain, "What follows the @ is not a domain.")
	}
	return URI{Scheme: "sip", User: user, Host: host, Port: port}, nil
}

// typedOurs reads a JID of the component whose localpart may have been typed without
// escapes.
func (r *Rules) typedOurs(domain, local string) (URI, *Failure) {
	local, f := foldUser(local)
	if f != nil {
		return URI{}, f
	}
	if local == "" {
		return URI{}, typedGateway()
	}
	return r.contactText(domain, unescapeLocal(local), nil)
}

// typedContact is the contact that a typed address stands for.
func (r *Rules) typedContact(u URI) (JID, *Failure) {
	u, f := r.prepare(u, nil)
	switch {
	case f != nil:
		return JID{}, f
	case u.User == "":
		return JID{}, addressFailure(ReasonSyntax, "The address has no user: a SIP address is user@domain.")
	}
	_, found, f := r.user(u, nil)
	switch {
	case f != nil:
		return JID{}, f
	case found:
		return JID{}, typedXMPPUser()
	case r.loops(u):
		return JID{}, typedGateway()
	}
	return r.contact(u, nil)
}

// loops reports whether a message to the SIP account u would come back to us: at our own
// host are XMPP users only, unless it is a SIP domain as well.
func (r *Rules) loops(u URI) bool {
	if u.Host == r.defaultHost || u.Host == r.phoneHost || r.toXMPP[u.Host] != "" {
		return false
	}
	return u.Host == r.own || u.Host == r.host && u.Port == r.port
}

// typedSeparators are what people put between digits: besides those of RFC 3966 spaces,
// slashes, and the hyphens and narrow spaces of typesetters.
const typedSeparators = separators + " /\t\u00a0\u2009\u202f\u2010\u2011\u2012\u2013"

// typedNumber reads a telephone number that is not a part of an address.
func (r *Rules) typedNumber(text string) (URI, *Failure) {
	number, full := strings.CutPrefix(strings.TrimSpace(text), "+")
	// The zero of "+49 (0)30" is not dialled, and in some countries there is one
	// that is: better asked than guessed.
	zero := strings.Index(strings.ReplaceAll(number, " ", ""), "(0)")
	number = strings.Map(func(c rune) rune {
		if strings.ContainsRune(typedSeparators, c) {
			return -1
		}
		return c
	}, number)
	known := number != "" && strings.Trim(number, digits) == "" && r.phoneHost != ""
	switch {
	case !known:
		return URI{}, r.notTyped()
	case zero > 0:
		return URI{}, addressFailure(ReasonSyntax, "Write the number as it is dialled from abroad, without the zero in brackets.")
	case full:
		// The shortest full numbers have 7 digits (see country.read), the longest 15.
		known = len(number) >= 7 && len(number) <= 15 && number[0] != '0'
		number = "+" + number
	case r.plan.country != nil:
		number, known = r.plan.country.read(number)
	default:
		known = false
	}
	if !known {
		return URI{}, addressFailure(ReasonSyntax, "This is not a full phone number. Write it with + and the country code.")
	}
	return URI{Scheme: "sip", User: number, Host: r.phoneHost}, nil
}

// notTyped says what may be typed.
func (r *Rules) notTyped() *Failure {
	text := "This is neither a SIP address nor a phone number. A SIP address is user@domain."
	if r.defaultHost != "" {
		text = "This is neither a SIP address nor a phone number. The address of a user of " + r.defaultHost + " is user@" + r.defaultHost + "."
	}
	return addressFailure(ReasonSyntax, text)
}

func typedXMPPUser() *Failure {
	return addressFailure(ReasonForbidden, "This is the address of an XMPP user, who is not reached through the gateway.")
}

func typedGateway() *Failure {
	return addressFailure(ReasonGatewayItself, "This is the address of the gateway itself. A SIP address is user@domain.")
}
