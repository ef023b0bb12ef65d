package blocks

import (
	"errors"
	"net/netip"
	"strings"

	"github.com/stoxgw/stox/mapping"
)

// userPrefix is in front of what is blocked in XMPP.
const userPrefix = "xmpp:"

// maxTyped is longer than any address.
const maxTyped = 4096

// normalForm is what somebody means who types an address. A user means a contact, in whichever
// form (mapping.Rules.Prompt); an admin may mean other things as well.
func normalForm(rules *mapping.Rules, owner mapping.JID, what string) (string, error) {
	what = strings.TrimSpace(what)
	if len(what) > maxTyped {
		return "", typo("The address is too long.")
	}
	admin := owner.IsZero()
	if p, ok := parseSource(what); ok {
		switch {
		case !admin:
			return "", ErrKind
		case p.Bits() == 0, p.Contains(loopback4), p.Contains(loopback6):
			return "", ErrAll // a proxy on this machine brings what all others send
		}
		return sourceText(p), nil
	}
	if host, ok := rules.TypedHost(what); ok {
		if !admin {
			return "", ErrKind
		}
		return "@" + host, nil
	}
	if admin {
		if user, ok, err := typedUser(rules, what); ok || err != nil {
			return user, err
		}
	}
	contact, err := rules.Prompt(what)
	if err != nil {
		return "", err
	}
	u, err := rules.SIPAddress(contact)
	if err != nil {
		return "", err
	}
	who, ok := rules.Identity(u)
	if !ok {
		return "", typo("This is not a SIP address.")
	}
	return who.AOR(), nil
}

var loopback4, loopback6 = netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1")

// typedUser is the XMPP user whom an admin means: one of a domain that is served, or whatever
// has xmpp: in front and is no contact of ours.
func typedUser(rules *mapping.Rules, what string) (normal string, ok bool, err error) {
	text := what
	scheme, rest, has := strings.Cut(what, ":")
	if has = has && strings.EqualFold(scheme, "xmpp"); has {
		text = rest
	}
	j, err := mapping.ParseJID(text)
	switch {
	case err != nil && has:
		return "", false, err
	case err != nil:
		return "", false, nil // a SIP address, perhaps
	}
	if _, err := rules.SIPAddress(j.Bare()); err == nil || errors.Is(err, mapping.ReasonGatewayItself) {
		return "", false, nil // a contact
	}
	if !has && !rules.ServesUser(j) {
		return "", false, nil
	}
	return userPrefix + j.Bare().String(), true, nil
}

// parseSource reads an IP address or a network.
func parseSource(s string) (netip.Prefix, bool) {
	if a, err := netip.ParseAddr(s); err == nil {
		a = a.Unmap().WithZone("")
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, false
	}
	if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	return p.Masked(), true
}

func sourceText(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

func typo(text string) *mapping.Failure {
	return &mapping.Failure{Status: 400, Condition: mapping.CondJIDMalformed, Type: mapping.TypeModify, Text: text}
}
