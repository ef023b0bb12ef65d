package mapping

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// RulesConfig is what the address rules are made from. Domains may be written
// with U-labels or A-labels.
type RulesConfig struct {
	GatewayDomain    string   // the component's own name (xmpp.domain)
	SIPHost          string   // host[:port] at which SIP reaches us (sip.advertise), for user%40domain@host; "" = GatewayDomain
	UserDomains      []string // the XMPP domains served: SIP for them leads to us
	DefaultSIPDomain string   // "" only in tests
	PhoneDomain      string   // "" = DefaultSIPDomain
	Domains          []DomainPair
	Routes           []RouteRule // first match wins
	Aliases          []Alias

	Accounts         Accounts // whose SIP accounts there are; nil: nobody's
	AccountsRequired bool     // only who has one may use the gateway (accounts.mode = "required")

	PlainOnly     bool // text/html becomes a plain body alone (xmpp.html = "plain")
	RefuseExpired bool // a request that has expired is refused (sip.expired = "refuse")
}

// DomainPair gives a SIP domain a component name of its own.
type DomainPair struct{ XMPP, SIP string }

// RouteRule is the part of a [[sip.route]] that addresses depend on. Country and
// Numbers matter at the phone domain only: elsewhere a number is a user part like
// any other.
type RouteRule struct {
	Domain  string // a SIP domain or "*"
	Country string // ISO 3166 code; "" reads no national numbers
	Numbers string // "e164" (default), "national", "nanp10"
	From    string // "user" (default), "alias", "account"
	Hop     string // the host of its next hop; "": DNS says
	Account string // the user name of the registration that is kept there; "" if there is none
}

// Alias pairs a SIP identity with an XMPP user. The identity is compared with
// numbers folded and without regard to case, and sent as it is written here.
type Alias struct {
	SIP  URI
	XMPP JID
}

// NewRules checks c and prepares it. The error joins all faults (errors.Join);
// each begins with the path of its key in the configuration, such as
// alias[1].sip, counted from 0.
func NewRules(c RulesConfig) (*Rules, error) {
	b := builder{r: &Rules{
		served: make(map[string]string), users: make(map[string]string),
		toXMPP: make(map[string]string), toSIP: make(map[string]string),
		plainOnly: c.PlainOnly, refuseExpired: c.RefuseExpired, phoneRoute: -1,
	}}
	b.gateway(c)
	b.userDomains(c.UserDomains)
	b.sipDomains(c)
	b.domains(c.Domains)
	b.routes(c.Routes)
	b.aliases(c.Aliases)
	if len(b.faults) > 0 {
		return nil, errors.Join(b.faults...)
	}
	b.r.setOwn()
	b.r.setPlain()
	b.r.setAccounts(c)
	return b.r, nil
}

type builder struct {
	r      *Rules
	faults []error
}

func (b *builder) fault(path, format string, args ...any) {
	b.faults = append(b.faults, fmt.Errorf("%s: %s", path, fmt.Sprintf(format, args...)))
}

func (b *builder) gateway(c RulesConfig) {
	var ok bool
	if b.r.gateway, ok = uDomain(c.GatewayDomain); !ok {
		b.fault("xmpp.domain", "%q is not a domain", c.GatewayDomain)
	}
	if c.SIPHost == "" {
		c.SIPHost = c.GatewayDomain
	}
	var host string
	if host, b.r.port, ok = splitHostPort(c.SIPHost); ok {
		b.r.host, ok = sipHost(host)
	}
	if !ok {
		b.fault("sip.advertise", "%q is not host or host:port", c.SIPHost)
	}
}

// setOwn decides whether the component's name is our own host in SIP, too.
func (r *Rules) setOwn() {
	host, ok := guestDomain(r.gateway)
	if _, mapped := r.toXMPP[host]; ok && !mapped && host != r.defaultHost && host != r.phoneHost {
		r.own = strings.Trim(host, "[]")
	}
}

func (b *builder) userDomains(list []string) {
	for i, s := range list {
		path := fmt.Sprintf("xmpp.user_domains[%d]", i)
		domain, ok := uDomain(s)
		host, inSIP := sipHost(s)
		switch {
		case !ok:
			b.fault(path, "%q is not a domain", s)
		case !inSIP:
			b.fault(path, "%q is not a domain that SIP could have", s)
		case domain == b.r.gateway:
			b.fault(path, "%q is the component itself (xmpp.domain)", s)
		default:
			b.r.users[domain], b.r.served[host] = host, domain
		}
	}
}

// sipDomain is the host for a SIP domain. It cannot be a served XMPP domain as
// well: an address in it would be two users', and nobody could send from it
// (SEC-28).
func (b *builder) sipDomain(path, s string) (string, bool) {
	host, ok := sipHost(s)
	switch {
	case !ok:
		b.fault(path, "%q is not a domain", s)
	case b.r.served[host] != "":
		b.fault(path, "%q is an XMPP domain that we serve (xmpp.user_domains)", s)
		ok = false
	}
	return host, ok
}

func (b *builder) sipDomains(c RulesConfig) {
	if c.DefaultSIPDomain != "" {
		b.r.defaultHost, _ = b.sipDomain("sip.domain", c.DefaultSIPDomain)
	}
	b.r.phoneHost = b.r.defaultHost
	if c.PhoneDomain != "" {
		b.r.phoneHost, _ = b.sipDomain("sip.phone_domain", c.PhoneDomain)
	}
}

func (b *builder) domains(list []DomainPair) {
	first := make(map[string]int) // SIP domain -> its pair
	for i, p := range list {
		path := fmt.Sprintf("domain[%d]", i)
		domain, ok := uDomain(p.XMPP)
		switch {
		case !ok:
			b.fault(path+".xmpp", "%q is not a domain", p.XMPP)
		case domain == b.r.gateway:
			b.fault(path+".xmpp", "%q is the component itself (xmpp.domain)", p.XMPP)
		case b.r.users[domain] != "":
			b.fault(path+".xmpp", "%q is a domain of users (xmpp.user_domains)", p.XMPP)
		case b.r.toSIP[domain] != "":
			b.fault(path+".xmpp", "%q is mapped twice: it is domain[%d].xmpp already", p.XMPP, first[b.r.toSIP[domain]])
			ok = false // the first one stands
		}
		host, hostOK := b.sipDomain(path+".sip", p.SIP)
		switch {
		case !hostOK:
		case host == b.r.defaultHost:
			b.fault(path+".sip", "%q is mapped already: it is sip.domain", p.SIP)
		case b.r.toXMPP[host] != "":
			b.fault(path+".sip", "%q is mapped twice: it is domain[%d].sip already", p.SIP, first[host])
		case ok:
			b.r.toSIP[domain], b.r.toXMPP[host], first[host] = host, domain, i
		}
	}
}

func (b *builder) routes(list []RouteRule) {
	planned := false
	for i, rule := range list {
		path := fmt.Sprintf("sip.route[%d]", i)
		host, ok := "*", true
		if rule.Domain != "*" {
			if host, ok = sipHost(rule.Domain); !ok {
				b.fault(path+".domain", "%q is neither a domain nor \"*\"", rule.Domain)
			}
		}
		if !slices.Contains([]string{"", "user", "alias", "account"}, rule.From) {
			b.fault(path+".from", "%q is none of \"user\", \"alias\", \"account\"", rule.From)
		}
		plan := b.plan(path, rule)
		b.r.routes = append(b.r.routes, routeFrom{host: host, alias: rule.From == "alias", account: rule.From == "account", plan: plan})
		if rule.Account != "" {
			if user, f := foldUser(rule.Account); f == nil { // else nobody can be written to under it
				b.r.accounts = append(b.r.accounts, account{user, host})
			}
		}
		if !planned && ok && (host == "*" || host == b.r.phoneHost) {
			b.r.plan, planned = plan, true
			b.r.phoneRoute = i
			b.r.phoneHop, _ = sipHost(rule.Hop)
			b.r.phones = plan.country != nil || host == b.r.phoneHost && host != b.r.defaultHost
		}
	}
}

func (b *builder) plan(path string, rule RouteRule) dialPlan {
	p := dialPlan{numbers: rule.Numbers}
	if rule.Country != "" {
		if p.country = countries[rule.Country]; p.country == nil {
			b.fault(path+".country", "no numbering plan is known for %q (ISO 3166 code, two capital letters)", rule.Country)
			return p
		}
	}
	switch rule.Numbers {
	case "", "e164":
		p.numbers = "e164"
	case "national":
		if p.country == nil {
			b.fault(path+".numbers", "\"national\" needs a country")
		}
	case "nanp10":
		if p.country == nil {
			p.country = nanp
		}
		if p.country != nanp {
			b.fault(path+".numbers", "\"nanp10\" is for countries with the code +1, %q is none", rule.Country)
		}
	default:
		b.fault(path+".numbers", "%q is none of \"e164\", \"national\", \"nanp10\"", rule.Numbers)
	}
	return p
}

func (b *builder) aliases(list []Alias) {
	if len(list) == 0 {
		return
	}
	b.r.aliases, b.r.known = make(map[aliasKey]JID), make(map[JID][]URI)
	for i, a := range list {
		path := fmt.Sprintf("alias[%d]", i)
		switch {
		case a.XMPP.Local() == "":
			b.fault(path+".xmpp", "%q is not an XMPP user", a.XMPP)
		case !a.XMPP.IsBare():
			b.fault(path+".xmpp", "%q has a resource: an alias is for the user, not for a device", a.XMPP)
		case b.r.component(a.XMPP.Domain()):
			b.fault(path+".xmpp", "%q is a SIP user: its domain is the component's", a.XMPP)
		}
		b.aliasSIP(path+".sip", a)
	}
}

func (b *builder) aliasSIP(path string, a Alias) {
	if a.SIP.Scheme != "sip" && a.SIP.Scheme != "tel" || a.SIP.User == "" {
		b.fault(path, "%q is not a SIP user", a.SIP)
		return
	}
	p, f := b.r.prepare(a.SIP, nil)
	if f == nil {
		_, f = checkLocal(escapeLocal(p.User))
	}
	if f != nil {
		b.fault(path, "%q: %s", a.SIP, f.Text)
		return
	}
	key := keyOf(p)
	if _, ok := b.r.aliases[key]; ok {
		b.fault(path, "%q is the alias of two users", a.SIP)
		return
	}
	user := a.XMPP.Bare()
	for _, u := range b.r.known[user] {
		if u.Host == p.Host {
			b.fault(path, "%q has two aliases at %s", user, p.Host)
			return
		}
	}
	b.r.aliases[key] = user
	b.r.addAlias(p.Host, p.Port, user)
	// Sent as written: whoever pairs a number of ten digits has a reason.
	b.r.known[user] = append(b.r.known[user], URI{Scheme: "sip", User: a.SIP.User, Host: p.Host, Port: p.Port, Phone: p.Phone})
}
