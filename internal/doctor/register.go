package doctor

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/stoxgw/stox/internal/admin"
	"github.com/stoxgw/stox/internal/config"
	"github.com/stoxgw/stox/mapping"
	"github.com/stoxgw/stox/sipside/digest"
	"github.com/stoxgw/stox/sipside/locate"
)

// login is the account that a route registers, none if it does not.
func (d *doctor) login(r config.Route) []account {
	if !r.Register || r.Username == "" {
		return nil
	}
	domain := r.Domain
	if domain == "*" {
		domain = d.Config.SIP.Domain
	}
	return []account{{mapping.URI{Scheme: "sip", User: r.Username, Host: domain}, r.Password}}
}

// routed is what the daemon can be asked of its routes.
type routed interface {
	Routes(ctx context.Context) ([]admin.Route, error)
}

// registrations tells of those of the daemon, if it is to have some.
func (d *doctor) registrations(ctx context.Context, c routed) (out []Finding) {
	if !slices.ContainsFunc(d.Config.SIP.Routes, func(r config.Route) bool { return r.Register }) {
		return nil
	}
	all, err := c.Routes(ctx)
	if errors.Is(err, admin.ErrUnknown) {
		return []Finding{skip(checkDaemon, "the daemon is of an earlier version and cannot tell of its registrations; journalctl -u stox does")}
	}
	if err != nil {
		return []Finding{skip(checkDaemon, "the daemon does not tell of its registrations: %v", err)}
	}
	for _, r := range all {
		what := fmt.Sprintf("its registration for %s at %s", r.Domain, r.Via)
		why := ""
		if r.Reason != "" {
			why = " (" + said(r.Reason) + ")"
		}
		switch {
		case r.Registration == "":
		case r.Registered:
			out = append(out, ok(checkDaemon, "%s is good until %s; %s sends us what is for it", what, r.Until.Local().Format(time.DateTime), r.Server))
		case r.Registration == "refused":
			out = append(out, bad(Fail, checkDaemon, "journalctl -u stox says what to correct: mostly sip.route.username or sip.route.password", "%s is refused%s", what, why))
		case r.Registration == "trying":
			out = append(out, bad(Warn, checkDaemon, "run stox doctor again in a while; journalctl -u stox says how it goes", "%s is not there yet%s", what, why))
		default:
			out = append(out, bad(Fail, checkDaemon, "does the server at sip.route.via run, and is it reached? The lines on the route say more", "%s is lost for now%s", what, why))
		}
	}
	return out
}

// account is what a route registers, and how it proves that it may.
type account struct {
	uri      mapping.URI
	password config.Secret
}

// registrar asks for the bindings of those who register there, which changes nothing (RFC
// 3261 §10.2.3): so it is seen whether registrations are taken at all, and with this
// password. While a daemon runs it is known from that.
func (d *doctor) registrar(w way, t locate.Target, conn net.Conn) (out []Finding) {
	if d.running {
		return nil
	}
	for _, who := range w.logins {
		r, proved, err := askBindings(conn, t, who)
		if err != nil {
			return append(out, bad(Warn, checkRoute, "does it take registrations, and from this machine? Else take out sip.route.register", "%s does not answer REGISTER: %s", t, why(err)))
		}
		text := fmt.Sprintf("%s answers REGISTER for %s with %d %s", t, who.uri, r.status, said(r.reason))
		switch challenged := r.status == 401 || r.status == 407; {
		case challenged && proved:
			out = append(out, bad(Fail, checkRoute, "correct sip.route.username and sip.route.password: they are those that the server has for this account", "%s: it does not accept the password", text))
		case challenged:
			out = append(out, bad(Fail, checkRoute, "the server has to ask by digest, with MD5, SHA-256 or SHA-512-256; Basic is never answered", "%s: it asks for a password in a way that is not answered", text))
		case r.status/100 == 2 && proved:
			out = append(out, ok(checkRoute, "%s, with the password", text))
		case r.status/100 == 2:
			out = append(out, ok(checkRoute, "%s, without a password", text))
		case r.status == 405 || r.status == 501:
			out = append(out, bad(Fail, checkRoute, "take out sip.route.register, or correct sip.route.via", "%s: it takes no registrations", text))
		case r.status == 404 || r.status == 403:
			out = append(out, bad(Fail, checkRoute, "correct sip.route.username, or sip.route.domain, which is the domain that is registered at; or let the server take registrations from this machine", "%s", text))
		default:
			out = append(out, bad(Warn, checkRoute, "the SIP server's log says why", "%s", text))
		}
	}
	return out
}

// askBindings asks for the bindings of an account, and once more with its password if that
// is wanted: then proved is true.
func askBindings(conn net.Conn, t locate.Target, who account) (r reply, proved bool, err error) {
	q := sipRequest{
		method: "REGISTER", target: mapping.URI{Scheme: "sip", Host: who.uri.Host}.String(), to: who.uri.String(), from: who.uri.String(),
		transport: strings.ToUpper(t.Transport.String()), callID: rand.Text(), tag: rand.Text(), t1: timerT1,
	}
	r, err = askSIP(conn, t.Transport == locate.UDP, q)
	if err != nil || r.status != 401 && r.status != 407 {
		return r, false, err
	}
	var a digest.Attempt
	d := &digest.Request{Server: t.Addr.String(), Method: q.method, URI: q.target}
	if again, _ := digest.NewClient(who.uri.User, who.password.Reveal()).Answer(d, &a, r.www, r.proxy); again != digest.Again {
		return r, false, nil
	}
	q.lines, q.cseq = a.Lines(), 2
	r, err = askSIP(conn, t.Transport == locate.UDP, q)
	return r, true, err
}
