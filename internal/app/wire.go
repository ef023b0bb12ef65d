package app

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/stoxgw/stox/component"
	"github.com/stoxgw/stox/internal/admin"
	"github.com/stoxgw/stox/internal/config"
	"github.com/stoxgw/stox/internal/wire"
	"github.com/stoxgw/stox/mapping"
)

// This file is how traces are wired: who shows packets, who names people, who switches them on.

// newWire makes the room that traces are written in. rules are those in force.
func newWire(rules func() *mapping.Rules, a *App) *wire.Room {
	return wire.New(wire.Directory{
		SIP: func(j mapping.JID) (mapping.URI, bool) {
			r := rules()
			if u, err := r.SIPAddress(j); err == nil {
				return u, true
			}
			u, err := r.SIPIdentity(j, "")
			return u, err == nil
		},
		XMPP: func(u mapping.URI) (mapping.JID, bool) {
			j, err := rules().XMPPAddress(u)
			return j, err == nil
		},
	}, a.log)
}

func wireSettings(cfg *config.Config) wire.Settings {
	return wire.Settings{Wire: wire.Mode(cfg.Log.Wire), HEP: cfg.Log.HEP, Texts: cfg.Admin.ShowBodies}
}

// equip gives a component what the rest of the daemon has for it.
func (a *App) equip(c *component.Config, cfg *config.Config) {
	c.Tap = a.wire.XMPP()
	a.announceDesk(c, cfg)
}

var _ admin.Tracer = (*liveQueue)(nil)

// WireOn is admin.Tracer's. Whoever names a domain that a route leads from means the servers
// behind it as well: on a trunk they are all that its packets have in common.
func (q *liveQueue) WireOn(ctx context.Context, w admin.Watch) (admin.Wire, error) {
	mode := wire.Headers
	if w.Full {
		mode = wire.Full
	}
	targets := w.Targets
	if len(targets) <= wire.MaxTargets {
		targets = withServers(ctx, targets, q.config().SIP.Routes)
	}
	err := q.wire.Watch(wire.Watch{Targets: targets, Mode: mode, For: w.For})
	if err != nil {
		return admin.Wire{}, admin.ErrRequest.With(err.Error())
	}
	return q.Wire(ctx)
}

// WireOff is admin.Tracer's.
func (q *liveQueue) WireOff(ctx context.Context) (admin.Wire, error) {
	q.wire.Unwatch()
	return q.Wire(ctx)
}

// Wire is admin.Tracer's.
func (q *liveQueue) Wire(ctx context.Context) (admin.Wire, error) {
	s := q.wire.Status()
	out := admin.Wire{All: string(s.Wire), HEP: s.HEP, HEPTexts: s.Texts && s.HEP != "", Targets: s.Watch.Targets, Mode: string(s.Watch.Mode), Until: s.Until,
		Logged: s.Logged, Copied: s.Copied, Dropped: s.Dropped}
	if !q.log.Enabled(ctx, slog.LevelInfo) {
		out.Quiet = q.config().Log.Level
	}
	return out, nil
}

// lookupTime is what looking for the servers of routes may take.
const lookupTime = 3 * time.Second

// withServers adds the addresses of next hops of routes whose domain, or whose next hop, is named.
// One that is not found is not there.
func withServers(ctx context.Context, targets []string, routes []config.Route) []string {
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	out := targets
	for _, t := range targets {
		t = strings.TrimPrefix(t, "sip:")
		for _, r := range routes {
			via, err := NextHop(r.Via)
			if r.Via == "" || err != nil || t == wire.Everybody || !strings.EqualFold(t, r.Domain) && !strings.EqualFold(t, via.Host) {
				continue
			}
			for _, ip := range addressesOf(ctx, via.Host) {
				if len(out) < wire.MaxTargets {
					out = append(out[:len(out):len(out)], ip.String())
				}
			}
		}
	}
	return out
}

func addressesOf(ctx context.Context, host string) []netip.Addr {
	if ip, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{ip}
	}
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return nil
	}
	return found
}
