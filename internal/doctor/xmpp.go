package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/stoxgw/stox/component"
	"github.com/stoxgw/stox/internal/config"
	"github.com/stoxgw/stox/mapping"
)

// name is one component name.
type name struct {
	domain, server string
	secret         config.Secret
	table          string // of its keys: "xmpp", "domain[0]"
}

func namesOf(cfg *config.Config) []name {
	out := []name{{cfg.XMPP.Domain, cfg.XMPP.Server, cfg.XMPP.Secret, "xmpp"}}
	for i, d := range cfg.Domains {
		out = append(out, name{d.XMPP, d.Server, d.Secret, fmt.Sprintf("domain[%d]", i)})
	}
	return out
}

// key is what a key of [xmpp] is called in the name's own table.
func (n name) key(text string) string {
	if n.table == "xmpp" {
		return text
	}
	return strings.NewReplacer("xmpp.domain", n.table+".xmpp", "xmpp.server", n.table+".server", "xmpp.secret", n.table+".secret").Replace(text)
}

// xmpp looks at a component name. The user domains are asked over the first one.
func (d *doctor) xmpp(ctx context.Context, i int) []Finding {
	n := d.names[i]
	if d.running {
		return []Finding{d.port(ctx, n)}
	}
	c, err := component.New(component.Config{
		Server: n.server, Domain: n.domain, Secret: n.secret.Reveal(),
		// As long as the daemon waits for a busy server: else we found what it does not suffer from.
		ConnectTimeout: 2 * d.Patience, BarrierTimeout: d.Patience, CloseTimeout: d.Patience,
		MaxStanzaBytes: d.Config.Limits.MaxStanzaBytes,
	}, nil)
	if err != nil {
		return []Finding{bad(Fail, checkXMPP, n.key("correct xmpp.domain and xmpp.server"), "%v", err)}
	}
	var domains []string
	if i == 0 {
		domains = d.Config.XMPP.UserDomains
	}
	x, err := c.Examine(ctx, domains)
	var out []Finding
	if x.Handshake > 0 {
		out = append(out, ok(checkXMPP, "%s accepts us as %s (%s)", n.server, n.domain, short(x.Handshake)))
	}
	if err != nil {
		return append(out, d.linkFault(n, err))
	}
	slices.Sort(x.Barriers)
	out = append(out, d.barriers(n, x.Barriers))
	for _, u := range x.Domains {
		out = append(out, d.userDomain(n, u))
		if u.HasTime {
			d.saw("the XMPP server of "+u.Domain, u.Clock)
		}
	}
	return out
}

// linkFault is what the daemon would log of it, taken apart.
func (d *doctor) linkFault(n name, err error) Finding {
	var f *component.Fault
	if !errors.As(err, &f) {
		return outOfTime(checkXMPP, "the XMPP server at "+n.server, err)
	}
	what, remedy, _ := strings.Cut(f.Text, ": ")
	switch f.Reason {
	case "conflict":
		what += fmt.Sprintf(", though no daemon answers at %s", orNone(d.Config.Admin.Socket))
	case "unanswered":
		what = fmt.Sprintf("the XMPP server at %s has not given back a ping of ours for %s", n.server, short(d.Patience))
	}
	if remedy == "" {
		remedy = "its log may say why (xmpp.server)"
	}
	return bad(Fail, checkXMPP, n.key(remedy), "%s", n.key(what))
}

func orNone(socket string) string {
	if socket == "" {
		return "any socket (admin.socket is not set)"
	}
	return socket
}

// slowBarrier is the round trip of which every answer to SIP would notice.
const slowBarrier = 250 * time.Millisecond

func (d *doctor) barriers(n name, sorted []time.Duration) Finding {
	half, most := sorted[len(sorted)/2], sorted[len(sorted)-1]
	text := fmt.Sprintf("barriers of %s come home in %s, %s at most of %d", n.domain, short(half), short(most), len(sorted))
	if half > slowBarrier {
		return bad(Warn, checkXMPP, n.key("SIP waits for each of its messages as long as that: is the XMPP server busy, or far away? (xmpp.server)"), "%s", text)
	}
	return Finding{Level: OK, Check: checkXMPP, Text: text}
}

func (d *doctor) userDomain(n name, u component.DomainDiagnosis) Finding {
	const remedy = "correct xmpp.user_domains, or have the XMPP server serve the domain (Prosody: VirtualHost %[1]q; ejabberd: hosts)"
	what := ""
	switch {
	case u.Name != "" && u.Version != "":
		what = fmt.Sprintf(" (%s %s)", said(u.Name), said(u.Version))
	case u.Name != "":
		what = fmt.Sprintf(" (%s)", said(u.Name))
	case d.Config.XMPP.Barrier == string(component.BarrierAuto) && strings.HasSuffix(n.domain, "."+u.Domain):
		what = "; it does not say what it is (Prosody: mod_version), so xmpp.barrier = \"auto\" waits as for ejabberd"
	}
	switch f := u.Failure; {
	case !u.Reached:
		return bad(Fail, checkXMPP, fmt.Sprintf(remedy, u.Domain), "%s, of xmpp.user_domains, does not answer through %s", u.Domain, n.server)
	case f == nil:
		return ok(checkXMPP, "%s, of xmpp.user_domains, answers%s", u.Domain, what)
	case f.Condition == mapping.CondServiceUnavailable, f.Condition == mapping.CondFeatureNotImplemented, f.Condition == mapping.CondForbidden:
		return ok(checkXMPP, "%s, of xmpp.user_domains, is there%s", u.Domain, what) // and keeps to itself
	default: // remote-server-not-found; not-allowed, of a server that knows no others
		return bad(Fail, checkXMPP, fmt.Sprintf(remedy, u.Domain), "%s, of xmpp.user_domains, cannot be reached through %s: %s", u.Domain, n.server, f.Condition)
	}
}

// port looks at a server without speaking to it: a daemon has the stream.
func (d *doctor) port(ctx context.Context, n name) Finding {
	dctx, cancel := context.WithTimeout(ctx, d.Patience)
	defer cancel()
	begin := time.Now()
	conn, err := (&net.Dialer{}).DialContext(dctx, "tcp", n.server)
	if err != nil {
		if err := ended(ctx); err != nil {
			return outOfTime(checkXMPP, "the XMPP server at "+n.server, err)
		}
		return bad(Fail, checkXMPP, n.key("is the XMPP server running, is its component port open, and does a firewall let us through? (xmpp.server)"), "cannot connect to %s: %s", n.server, why(err))
	}
	took := time.Since(begin)
	conn.Close()
	return skip(checkXMPP, "%s takes connections (%s); handshake, barriers and user domains of %s were not tried, for a second connection would take the daemon's place: stop stox for that", n.server, short(took), n.domain)
}

// why is an error of the network without the addresses, which stand in front.
func why(err error) string {
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	var t interface{ Timeout() bool }
	if errors.Is(err, context.DeadlineExceeded) || errors.As(err, &t) && t.Timeout() {
		return "no answer in time"
	}
	return strings.TrimPrefix(strings.TrimPrefix(err.Error(), "connect: "), "bind: ")
}

// outOfTime is the finding of a check that was not allowed to end.
func outOfTime(check, what string, err error) Finding {
	if errors.Is(err, context.Canceled) {
		return skip(check, "%s: interrupted", what)
	}
	return skip(check, "%s: no time was left for it", what)
}
