package cli

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/stoxgw/stox/internal/app"
	"github.com/stoxgw/stox/internal/config"
	"github.com/stoxgw/stox/mapping"
)

// explain says in sentences what follows from a configuration. It asks the rules
// that messages are mapped by, and nobody else: no DNS, no server.
func explain(cfg *config.Config, rules *mapping.Rules, outward func() (netip.Addr, bool)) string {
	e := &explainer{cfg: cfg, rules: rules}
	e.xmpp()
	e.addresses()
	e.requests()
	e.senders()
	e.ourselves(outward)
	return e.b.String()
}

type explainer struct {
	b     strings.Builder
	cfg   *config.Config
	rules *mapping.Rules
}

func (e *explainer) title(s string) { e.b.WriteString("\n" + s + "\n") }

func (e *explainer) line(format string, a ...any) { fmt.Fprintf(&e.b, "  "+format+"\n", a...) }

// pairs writes two columns.
func (e *explainer) pairs(rows [][2]string, between string) {
	width := 0
	for _, r := range rows {
		width = max(width, len([]rune(r[0])))
	}
	for _, r := range rows {
		e.line("%s%s  %s %s", r[0], strings.Repeat(" ", width-len([]rune(r[0]))), between, r[1])
	}
}

// why says where a value came from: "(from xmpp.domain)".
func (e *explainer) why(path string) string {
	origin := e.cfg.Origin(path)
	if from, ok := strings.CutPrefix(origin, "derived: "); ok {
		return fmt.Sprintf("(%s is not set: %s)", path, from)
	}
	return "(" + path + ")"
}

func (e *explainer) xmpp() {
	x := &e.cfg.XMPP
	e.title("The XMPP side")
	e.line("stox is the component %s of the server at %s.", x.Domain, x.Server)
	e.outside(x.Server)
	for _, d := range e.cfg.Domains {
		e.line("For %s it is the component %s of the server at %s.", d.SIP, d.XMPP, d.Server)
		if d.Server != x.Server {
			e.outside(d.Server)
		}
	}
	e.line("Users of %s are served %s.", strings.Join(x.UserDomains, ", "), e.why("xmpp.user_domains"))
	if slices.Contains(e.cfg.Access.Allow, "*") {
		e.line("Everybody may use the gateway, users of other servers too %s.", e.why("access.allow"))
	} else {
		e.line("The gateway may be used by %s %s.", strings.Join(e.cfg.Access.Allow, ", "), e.why("access.allow"))
	}
}

// outside warns of a link to another machine.
func (e *explainer) outside(server string) {
	if host, _, err := net.SplitHostPort(server); err == nil && !isLoopback(host) {
		e.line("The link leaves this machine, and it is not encrypted.")
	}
}

func isLoopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.Unmap().IsLoopback()
}

// maxExamples bounds what is listed one by one.
const maxExamples = 10

// addresses shows what some addresses are on the other side.
func (e *explainer) addresses() {
	c := e.cfg
	e.title("What SIP calls XMPP users")
	var rows [][2]string
	for _, d := range c.XMPP.UserDomains[:min(len(c.XMPP.UserDomains), maxExamples)] {
		rows = e.identity(rows, "juliet@"+d, "")
	}
	if slices.Contains(c.Access.Allow, "*") {
		rows = e.identity(rows, "nurse@other.example", "")
	}
	for _, a := range c.Aliases[:min(len(c.Aliases), maxExamples)] {
		u, err := mapping.ParseURI(a.SIP)
		if err == nil {
			rows = e.identity(rows, a.XMPP, u.Host)
		}
	}
	e.pairs(rows, "is")
	e.title("What XMPP calls SIP users")
	rows = nil
	uris := []string{"sip:romeo@" + c.SIP.Domain, "sip:+15551234567@" + c.SIP.PhoneDomain + ";user=phone", "sip:romeo@elsewhere.example"}
	for _, d := range c.Domains {
		uris = append(uris, "sip:romeo@"+d.SIP)
	}
	for _, s := range uris {
		u, err := mapping.ParseURI(s)
		if err != nil {
			continue
		}
		if j, err := e.rules.XMPPAddress(u); err == nil {
			sent, err := e.rules.SIPAddress(j)
			row := [2]string{u.String(), j.String()}
			if err == nil && sent != u {
				row[1] += ", and is sent to as " + sent.String()
			}
			rows = append(rows, row)
		}
	}
	e.pairs(rows, "is")
	e.line("stox map ADDRESS explains any other.")
}

// identity adds a row for an XMPP user toward a SIP domain.
func (e *explainer) identity(rows [][2]string, user, toward string) [][2]string {
	j, err := mapping.ParseJID(user)
	if err != nil {
		return rows
	}
	u, err := e.rules.SIPIdentity(j, toward)
	if err != nil {
		return rows
	}
	text := u.String()
	if toward != "" {
		text += " ([[alias]])"
	}
	return append(rows, [2]string{j.String(), text})
}

// requests says where a request for each SIP domain goes.
func (e *explainer) requests() {
	s := &e.cfg.SIP
	e.title("Where messages for SIP go")
	var rows [][2]string
	listed := map[string]bool{}
	add := func(domain, label string) {
		if !listed[domain] {
			listed[domain] = true
			rows = append(rows, [2]string{label, e.destination(domain)})
		}
	}
	add(s.Domain, s.Domain+" (sip.domain)")
	if s.PhoneDomain != "" {
		add(s.PhoneDomain, s.PhoneDomain+" (sip.phone_domain)")
	}
	for _, d := range e.cfg.Domains {
		add(d.SIP, d.SIP+" ([[domain]])")
	}
	for _, r := range s.Routes {
		if r.Domain != "*" {
			add(r.Domain, r.Domain)
		}
	}
	add("*", "any other domain")
	e.pairs(rows, "->")
}

// destination says where requests for a domain go; "*" is one without a route of
// its own.
func (e *explainer) destination(domain string) string {
	for i, r := range e.cfg.SIP.Routes {
		if r.Domain != "*" && r.Domain != domain {
			continue
		}
		text := e.byDNS(domain) + noRoute
		if r.Via != "" {
			u, err := app.NextHop(r.Via)
			if err != nil {
				continue
			}
			text = nextHop(u)
			if _, err := netip.ParseAddr(u.Host); err != nil {
				text += " (its address from DNS)"
			}
		}
		text += fmt.Sprintf(", sip.route[%d]", i)
		switch {
		case domain != e.cfg.SIP.PhoneDomain: // elsewhere a number is a user like any other
		case r.Numbers == "national":
			text += ", numbers dialled as within " + r.Country
		case r.Numbers == "nanp10":
			text += ", numbers dialled with ten digits"
		}
		if r.From == "alias" {
			text += ", from the user's alias"
		}
		switch {
		case r.Register:
			text += ", registered there as " + r.Username + "@" + strings.Replace(r.Domain, "*", e.cfg.SIP.Domain, 1)
		case r.Username != "":
			text += ", as " + r.Username + " when it asks for a password"
		}
		return text
	}
	return e.byDNS(domain) + noRoute + "; there is no route"
}

// noRoute is what holds for requests without a next hop of their own.
const noRoute = ", no more than 1300 bytes"

// byDNS is the way without a next hop.
func (e *explainer) byDNS(domain string) string {
	if _, err := netip.ParseAddr(domain); err == nil {
		return net.JoinHostPort(domain, "5060") + " over UDP"
	}
	if domain == "*" {
		return "the host in the address, its address from DNS, port 5060 over UDP"
	}
	return net.JoinHostPort(domain, "5060") + " over UDP (its address from DNS)"
}

func nextHop(u mapping.URI) string {
	return net.JoinHostPort(u.Host, strconv.Itoa(int(app.Port(u)))) + " over " + strings.ToUpper(cmp.Or(u.Transport, "udp"))
}

// senders says who may send requests to us, and for whom.
func (e *explainer) senders() {
	s := &e.cfg.SIP
	e.title("Who may send from SIP")
	var rows [][2]string
	for _, p := range s.Peers {
		var marks []string
		marks = append(marks, p.Addresses...)
		for _, name := range p.TLSNames {
			marks = append(marks, "certificate of "+name)
		}
		if p.Username != "" {
			marks = append(marks, "user "+p.Username)
		}
		domains := anyBut(p.Domains)
		if len(p.Domains) == 0 {
			domains = e.domainsOf(p.Addresses, p.TLSNames)
		}
		rows = append(rows, [2]string{p.Name + " (" + strings.Join(marks, ", ") + ")", domains})
	}
	all := []string{s.Domain}
	hosts := map[string][]string{}
	var order []string
	for _, r := range s.Routes {
		all = appendNew(all, r.Domain)
		u, err := app.NextHop(r.Via)
		if r.Via == "" || err != nil || e.isPeer(u.Host) {
			continue
		}
		if hosts[u.Host] == nil {
			order = append(order, u.Host)
			hosts[u.Host] = []string{s.Domain}
		}
		hosts[u.Host] = appendNew(hosts[u.Host], r.Domain)
	}
	loopback := "this machine (loopback)"
	if e.isPeer("127.0.0.1") {
		loopback = "this machine (other loopback addresses)"
	}
	rows = append(rows, [2]string{loopback, anyBut(all)})
	for _, host := range order {
		rows = append(rows, [2]string{host + " (host of a route)", anyBut(hosts[host])})
	}
	e.pairs(rows, "for")
	e.line("Nobody else, and nobody for the domains of XMPP users.")
}

// isPeer reports whether a host is an address of a [[sip.peer]], whose table then
// holds for it.
func (e *explainer) isPeer(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && slices.ContainsFunc(e.cfg.SIP.Peers, func(p config.Peer) bool {
		return slices.ContainsFunc(p.Addresses, func(a string) bool { return within(ip, a) })
	})
}

// domainsOf is for whom a peer with these addresses and names may speak by default.
func (e *explainer) domainsOf(addresses, names []string) string {
	s := &e.cfg.SIP
	domains := []string{s.Domain}
	var unsure []string
	for _, r := range s.Routes {
		u, err := app.NextHop(r.Via)
		if r.Via == "" || err != nil {
			continue
		}
		ip, err := netip.ParseAddr(u.Host)
		switch {
		case err != nil && slices.Contains(names, u.Host):
			domains = appendNew(domains, r.Domain)
		case err != nil && !slices.Contains(domains, r.Domain) && len(addresses) > 0:
			unsure = appendNew(unsure, fmt.Sprintf("%s if %s is one of these addresses", anyBut([]string{r.Domain}), u.Host))
		case err == nil && slices.ContainsFunc(addresses, func(a string) bool { return within(ip, a) }):
			domains = appendNew(domains, r.Domain)
		}
	}
	if slices.Contains(domains, "*") {
		return anyBut(domains)
	}
	return strings.Join(append([]string{anyBut(domains)}, unsure...), ", ")
}

func within(ip netip.Addr, addressOrNet string) bool {
	if a, err := netip.ParseAddr(addressOrNet); err == nil {
		return a.Unmap() == ip.Unmap()
	}
	n, err := netip.ParsePrefix(addressOrNet)
	return err == nil && n.Contains(ip.Unmap())
}

func appendNew(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

// anyBut writes a list of domains of which one may be "*".
func anyBut(domains []string) string {
	if slices.Contains(domains, "*") {
		return "any domain"
	}
	return strings.Join(domains, ", ")
}

// ourselves says by what address SIP knows us.
func (e *explainer) ourselves(outward func() (netip.Addr, bool)) {
	s := &e.cfg.SIP
	e.title("Our own address in SIP")
	e.line("stox listens at %s.", strings.Join(s.Listen, ", "))
	switch {
	case s.Advertise != "":
		e.line("Via says %s %s.", s.Advertise, e.why("sip.advertise"))
	default:
		now := ""
		if outward != nil {
			if a, ok := outward(); ok {
				now = ", " + a.String() + " for now"
			}
		}
		e.line("Via says the address that this machine sends from%s. If SIP sees", now)
		e.line("another one, because of NAT or a container, set sip.advertise.")
	}
	domains := strings.Join(e.cfg.XMPP.UserDomains, ", ")
	e.line("From says the XMPP user's own address: for answers to come, the SIP side has to")
	e.line("send what is for %s here.", domains)
	e.line("Users of other domains are user%%40domain@%s there %s.", cmp.Or(s.Advertise, e.cfg.XMPP.Domain), e.hostWhy())
}

func (e *explainer) hostWhy() string {
	if e.cfg.SIP.Advertise == "" {
		return "(sip.advertise is not set: xmpp.domain)"
	}
	return e.why("sip.advertise")
}
