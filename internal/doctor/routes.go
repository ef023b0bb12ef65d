package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/stoxgw/stox/internal/config"
	"github.com/stoxgw/stox/mapping"
	"github.com/stoxgw/stox/sipside/locate"
)

// way is where requests go that have the same next hop.
type way struct {
	keys    []string // of the configuration that lead there: "sip.route[0].via"
	domains []string // that take it; "*" is any
	uri     mapping.URI
	byDNS   bool      // there is no via: the domain itself is asked for
	any     bool      // of "*" without via: nobody can say where that leads
	logins  []account // that register there
	err     error
}

// ways are those of all routes, in their order, and of our own domains without one.
func (d *doctor) ways() []way {
	var all []way
	add := func(key, domain, via string, logins ...account) {
		w := way{keys: []string{key}, domains: []string{domain}, logins: logins}
		if via != "" {
			w.uri, w.err = d.NextHop(via)
		} else {
			w.byDNS, w.any = true, domain == "*"
			w.uri = mapping.URI{Scheme: "sip", Host: domain}
		}
		for i := range all {
			// At a number each domain is a name of its own to be shown.
			if o := &all[i]; !w.any && !(isNumber(w.uri.Host) && isSecure(w.uri)) && o.err == nil && w.err == nil && hopOf(o.uri) == hopOf(w.uri) && o.byDNS == w.byDNS {
				o.keys, o.domains, o.logins = append(o.keys, key), append(o.domains, domain), append(o.logins, logins...)
				return
			}
		}
		all = append(all, w)
	}
	routed := func(domain string) bool {
		return slices.ContainsFunc(all, func(w way) bool { return slices.Contains(w.domains, "*") || slices.Contains(w.domains, domain) })
	}
	for i, r := range d.Config.SIP.Routes {
		add(fmt.Sprintf("sip.route[%d]", i), r.Domain, r.Via, d.login(r)...)
	}
	own := [][2]string{{"sip.domain", d.Config.SIP.Domain}, {"sip.phone_domain", d.Config.SIP.PhoneDomain}}
	for i, dom := range d.Config.Domains {
		own = append(own, [2]string{fmt.Sprintf("domain[%d].sip", i), dom.SIP})
	}
	for _, o := range own {
		if !routed(o[1]) {
			add(o[0], o[1], "")
		}
	}
	return all
}

// hopOf is what a next hop is known by.
func hopOf(u mapping.URI) string {
	return fmt.Sprint(u.Scheme, " ", u.Host, " ", u.Port, " ", u.Transport)
}

// name is what the way is called in a finding.
func (w *way) name() string {
	return fmt.Sprintf("%s (%s)", strings.Join(w.keys, ", "), strings.Join(w.domains, ", "))
}

// mend is what to put a hand to if the way leads nowhere.
func (w *way) mend() string {
	if w.byDNS {
		return "give the domain a sip.route.via, or correct its records in DNS"
	}
	return "correct sip.route.via"
}

// most is how many targets of one way are looked at.
const most = 8

// nameServer says what to look at if DNS does not answer.
func (d *doctor) nameServer() string {
	if r := d.Config.SIP.Resolver; r != "" {
		return "does the name server " + r + " work? (sip.resolver)"
	}
	return "does the name server work? /etc/resolv.conf names it (resolvectl status); sip.resolver takes its place"
}

// dns asks for a name, so that it is known whether names can be asked for at all. Which
// name it is does not matter; that of the users is one that everybody could ask for.
func (d *doctor) dns(ctx context.Context) []Finding {
	if slices.ContainsFunc(d.Config.SIP.Routes, func(r config.Route) bool { return r.Domain == "*" && r.Via != "" }) {
		return nil // it is asked for the names in the routes, which say themselves what came of it
	}
	name := d.Config.XMPP.UserDomains[0]
	begin := time.Now()
	a, err := d.locator.Locate(ctx, locate.Query{Host: name, Transport: locate.TCP, Supports: locate.SetOf(locate.TCP)})
	var e *locate.Error
	switch {
	case ended(ctx) != nil:
		return []Finding{outOfTime(checkDNS, "DNS", ended(ctx))}
	case errors.As(err, &e) && e.Reason == locate.Temporary:
		f := bad(Fail, checkDNS, d.nameServer(), "DNS could not be asked, and messages to domains without a route need it")
		for _, s := range a.Steps {
			f.Steps = append(f.Steps, s.String())
		}
		return []Finding{f}
	case slices.ContainsFunc(a.Steps, func(s locate.Step) bool { return strings.HasPrefix(s.Question, "this machine's hosts") }):
		return []Finding{skip(checkDNS, "DNS was not asked for %s, which is in the hosts file of this machine", name)}
	}
	return []Finding{ok(checkDNS, "DNS answers in %s", short(time.Since(begin)))}
}

// way finds the targets of a way and looks at each.
func (d *doctor) way(ctx context.Context, w way) []Finding {
	switch {
	case w.any:
		return []Finding{skip(checkRoute, "%s: each domain is looked up when a message goes there; nothing can be tried before (stox map --dns ADDRESS shows one)", w.name())}
	case w.err != nil:
		return []Finding{bad(Fail, checkRoute, w.mend(), "%s: via is no SIP URI", w.name())}
	}
	transport, known := locate.ParseTransport(w.uri.Transport)
	if !known {
		return []Finding{bad(Fail, checkRoute, "take udp, tcp, tls, ws or wss for the transport in sip.route.via", "%s: stox has no transport %s", w.name(), said(w.uri.Transport))}
	}
	scheme := map[string]locate.Scheme{"im": locate.IM, "pres": locate.Pres}[w.uri.Scheme]
	answer, err := d.locator.Locate(ctx, locate.Query{
		Host: w.uri.Host, Port: w.uri.Port, Transport: transport, Scheme: scheme, Supports: d.supports(),
	})
	var steps []string
	for _, s := range answer.Steps {
		steps = append(steps, s.String())
	}
	if err != nil {
		f := d.notFound(ctx, w, err)
		f.Steps = steps
		return []Finding{f}
	}
	targets, more := slices.Clone(answer.Targets), 0
	if name := shownFor(w); name != "" {
		for i := range targets {
			targets[i].Name = name
		}
	}
	if len(targets) > most {
		targets, more = targets[:most], len(targets)-most
	}
	var names []string
	for _, t := range targets {
		names = append(names, t.String())
	}
	first := ok(checkRoute, "%s leads to %s", w.name(), strings.Join(names, ", "))
	if more > 0 {
		first.Text += fmt.Sprintf(", and %d more, which are not looked at", more)
	}
	first.Steps = steps
	return append([]Finding{first}, d.targets(ctx, w, targets)...)
}

// supports is what requests are sent over: UDP only from a socket that we listen on.
func (d *doctor) supports() locate.Set {
	all := []locate.Transport{locate.TCP, locate.TLS, locate.WS, locate.WSS}
	if slices.ContainsFunc(d.Config.SIP.Listen, func(l string) bool { return strings.HasPrefix(l, "udp:") }) {
		all = append(all, locate.UDP)
	}
	return locate.SetOf(all...)
}

// shownFor is the name that a server has to show in TLS if its own host is a number: the
// domain that is sent there; of a route for all domains the number itself. "" leaves it as
// it is.
func shownFor(w way) string {
	if !isNumber(w.uri.Host) || w.domains[0] == "*" {
		return ""
	}
	return w.domains[0]
}

func isSecure(u mapping.URI) bool {
	t, _ := locate.ParseTransport(u.Transport)
	return t.Secure()
}

func isNumber(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

// notFound says why there are no targets.
func (d *doctor) notFound(ctx context.Context, w way, err error) Finding {
	if err := ended(ctx); err != nil {
		return outOfTime(checkRoute, w.name(), err)
	}
	var e *locate.Error
	if !errors.As(err, &e) {
		return bad(Fail, checkRoute, w.mend(), "%s: %s", w.name(), why(err))
	}
	switch e.Reason {
	case locate.NotFound:
		return bad(Fail, checkRoute, w.mend(), "%s: DNS knows no SIP server and no address for %s", w.name(), w.uri.Host)
	case locate.NotOffered:
		return bad(Fail, checkRoute, w.mend(), "%s: %s says in DNS that it has no such service", w.name(), w.uri.Host)
	case locate.Unsupported:
		return bad(Fail, checkRoute, w.mend(), "%s: %s is to be reached in no way that stox has", w.name(), w.uri.Host)
	case locate.Temporary:
		return bad(Fail, checkRoute, d.nameServer()+"; an address in sip.route.via needs none", "%s: DNS could not be asked about %s", w.name(), w.uri.Host)
	}
	return bad(Fail, checkRoute, w.mend(), "%s: what DNS says about %s makes no sense", w.name(), w.uri.Host)
}

// targets looks at all of them at once. What is wrong with one is a warning only as long
// as another one works: messages go there.
func (d *doctor) targets(ctx context.Context, w way, targets []locate.Target) []Finding {
	found := make([][]Finding, len(targets))
	var all sync.WaitGroup
	for i, t := range targets {
		all.Go(func() {
			select {
			case d.room <- struct{}{}:
				defer func() { <-d.room }()
				found[i] = d.target(ctx, w, t)
			case <-ctx.Done():
				found[i] = []Finding{outOfTime(checkRoute, t.String(), ctx.Err())}
			}
		})
	}
	all.Wait()
	failed := func(f Finding) bool { return f.Level == Fail }
	works := slices.ContainsFunc(found, func(one []Finding) bool {
		return !slices.ContainsFunc(one, failed) && slices.ContainsFunc(one, func(f Finding) bool { return f.Level == OK })
	})
	out := slices.Concat(found...)
	for i := range out {
		if works && failed(out[i]) {
			out[i].Level = Warn
			out[i].Text += "; messages go to the next target"
		}
	}
	return out
}

// target looks at one.
func (d *doctor) target(ctx context.Context, w way, t locate.Target) []Finding {
	if d.isSelf(t.Addr, t.Transport == locate.UDP) {
		return []Finding{bad(Fail, checkRoute, w.mend()+": it must lead to another program than stox", "%s is our own address (sip.listen)", t)}
	}
	tctx, cancel := context.WithTimeout(ctx, d.Patience)
	defer cancel()
	network := "tcp"
	if t.Transport == locate.UDP {
		network = "udp"
	}
	conn, err := (&net.Dialer{}).DialContext(tctx, network, t.Addr.String())
	if err != nil {
		return []Finding{d.unreachable(ctx, w, t, err)}
	}
	defer conn.Close()
	stop := context.AfterFunc(tctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	var out []Finding
	if t.Transport.Secure() {
		var secure *tls.Conn
		if secure, out = d.secure(ctx, w, t, conn); secure == nil {
			return out
		}
		conn = secure
	}
	if t.Transport == locate.WS || t.Transport == locate.WSS {
		return append(out, ok(checkRoute, "%s takes connections; what is behind the WebSocket was not asked", t))
	}
	r, err := askSIP(conn, network == "udp", sipRequest{target: w.target(), from: d.ourselves(), transport: strings.ToUpper(t.Transport.String()), t1: timerT1})
	if err != nil {
		return append(out, d.unreachable(ctx, w, t, err))
	}
	if r.hasDate {
		d.saw(t.Addr.Addr().String(), r.ahead)
	}
	text := fmt.Sprintf("%s answers OPTIONS with %d %s in %s", t, r.status, said(r.reason), short(r.took))
	if r.server != "" {
		text += " (" + said(r.server) + ")"
	}
	if r.status == 503 {
		return append(out, bad(Fail, checkRoute, "the SIP server is overloaded, being restarted, or has no way on: its log says which; "+w.mend()+" if it is the wrong one", "%s", text))
	}
	return append(append(out, Finding{Level: OK, Check: checkRoute, Text: text}), d.registrar(w, t, conn)...)
}

// target is the URI that is asked for its options.
func (w *way) target() string {
	return mapping.URI{Scheme: "sip", Host: w.uri.Host, Port: w.uri.Port}.String()
}

// ourselves is who asks: the gateway's own address.
func (d *doctor) ourselves() string {
	if a := d.Config.SIP.Advertise; a != "" {
		return "sip:" + a
	}
	return "sip:" + d.Config.XMPP.Domain
}

// unreachable says why a target gave no answer.
func (d *doctor) unreachable(ctx context.Context, w way, t locate.Target, err error) Finding {
	var notSIP *notSIPError
	said, refused := alert(err)
	switch {
	case ended(ctx) != nil:
		return outOfTime(checkRoute, t.String(), ended(ctx))
	case refused:
		return bad(Fail, checkRoute, "the SIP server's log says what it misses; if it wants a certificate of ours, set sip.tls_cert and sip.tls_key", "%s refuses TLS with us: %s", t, said)
	case errors.As(err, &notSIP):
		return bad(Fail, checkRoute, w.mend()+": give the port for SIP over "+t.Transport.String(), "what answers at %s does not speak SIP", t)
	case errors.Is(err, syscall.ECONNREFUSED):
		return bad(Fail, checkRoute, "is the SIP server running, and does it listen for "+t.Transport.String()+" there? Else "+w.mend(), "nobody listens at %s", t)
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		return bad(Fail, checkRoute, "check the network (ip route get "+t.Addr.Addr().String()+"), or "+w.mend(), "there is no way to %s", t)
	case why(err) == "no answer in time" && t.Transport == locate.UDP:
		return bad(Fail, checkRoute, "is it the right address, does a firewall let UDP through both ways, and does the server answer OPTIONS from this machine? Else "+w.mend(), "%s does not answer OPTIONS", t)
	case why(err) == "no answer in time":
		return bad(Fail, checkRoute, "is it the right address, and does a firewall let us through? Else "+w.mend(), "%s does not answer", t)
	}
	return bad(Fail, checkRoute, "the SIP server's log may say why; else "+w.mend(), "%s broke the connection off: %s", t, why(err))
}
