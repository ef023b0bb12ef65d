package accounts

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/stoxgw/stox/mapping"
)

// Details are an account as a person types it.
type Details struct {
	AOR       string // sip:user@domain, or user@domain
	Username  string // "": the user part of AOR
	Password  string
	Registrar string // a host or its SIP URI; "": the domain of AOR
	Name      string // the display name; "": none
}

// Format keeps the password out of whatever prints one.
func (d Details) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "********") }

// Bounds of what a person may type.
const (
	maxAddress = 1024 // octets
	maxLogin   = 256
	maxName    = 64 // characters
)

// checked is what Details come to.
type checked struct {
	aor, key mapping.URI
	secret   secret // without a token
}

// check judges details by themselves and by the policy, without asking who has what.
func (p *Policy) check(d Details) (c checked, kind Kind) {
	address := strings.TrimSpace(d.AOR)
	if address == "" || d.Password == "" {
		return c, KindIncomplete
	}
	u, ok := readAddress(address)
	if !ok {
		return c, KindBadAddress
	}
	aor, key, fault := p.Rules.AccountAddress(u)
	if fault != "" {
		return c, kindOf(fault)
	}
	c.aor, c.key = aor, key
	c.secret.Username, c.secret.Password = d.Username, d.Password
	if c.secret.Username == "" {
		c.secret.Username = aor.User
	}
	if !isLogin(c.secret.Username) || !isLogin(c.secret.Password) {
		return c, KindBadLogin
	}
	c.secret.Name = strings.TrimSpace(d.Name)
	if !isName(c.secret.Name) {
		return c, KindBadName
	}
	host, ok := registrarHost(d.Registrar)
	if !ok || !p.registrar(aor, host) {
		return c, KindBadRegistrar
	}
	if host != aor.Host {
		c.secret.Registrar = host
	}
	return c, ""
}

// readAddress reads user@domain with or without sip: before it.
func readAddress(s string) (mapping.URI, bool) {
	if len(s) > maxAddress {
		return mapping.URI{}, false
	}
	scheme, _, hasScheme := strings.Cut(s, ":")
	if !hasScheme || strings.Contains(scheme, "@") || strings.Contains(scheme, "[") {
		s = "sip:" + s
	}
	u, err := mapping.ParseURI(s)
	return u, err == nil
}

// registrarHost reads a host or a SIP URI of one. A port is for the route to say, or for DNS.
func registrarHost(s string) (string, bool) {
	s = strings.TrimSpace(s)
	if s == "" {
		return "", true
	}
	u, ok := readAddress(s)
	return u.Host, ok && u.Scheme == "sip" && u.User == "" && u.Port == 0 && u.Host != ""
}

// registrar reports whether an account may be registered at a host, "" being that of its
// address. It may not be just any: whoever can name one has the gateway connect to the hosts of
// the network that it is in. Where a route says the next hop, the host is but a name.
func (p *Policy) registrar(aor mapping.URI, host string) bool {
	switch {
	case host == "" || host == aor.Host:
		return true
	case p.Via == nil || p.Via(aor.Host):
		return false
	}
	return strings.HasSuffix(host, "."+aor.Host)
}

func isLogin(s string) bool {
	return s != "" && len(s) <= maxLogin && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

func isName(s string) bool {
	return utf8.ValidString(s) && utf8.RuneCountInString(s) <= maxName && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}
