package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"

	"github.com/stoxgw/stox/component"
	"github.com/stoxgw/stox/internal/bridge"
	"github.com/stoxgw/stox/internal/config"
	"github.com/stoxgw/stox/mapping"
)

// links are the component names of the gateway, the one of xmpp.domain first. Each
// has a link, a supervisor and barriers of its own, so one that is down holds up
// nobody else's. Together they are the XMPP side of the bridge.
type links struct {
	all     []*component.Component
	names   []string
	jids    []mapping.JID
	servers []string
	byName  map[string]int // domainpart -> place in all
	offer   offer
}

// offer sets what a component says that the gateway itself may be asked for.
type offer func(*component.Config, *config.Config)

var _ bridge.XMPPSide = (*links)(nil)

// dialer connects to a server; nil is the system's.
type dialer func(ctx context.Context, network, address string) (net.Conn, error)

func newLinks(cfg *config.Config, policy bridge.Policy, dial dialer, desk offer, log *slog.Logger) (*links, error) {
	l := &links{byName: make(map[string]int), offer: desk}
	log = log.With("side", "xmpp")
	add := func(path, server, domain string, secret config.Secret) error {
		jid, err := mapping.ParseJID(domain)
		if err != nil {
			return fmt.Errorf("%s: %w", path, plain(err))
		}
		log := log
		if len(cfg.Domains) > 0 { // which of them it is
			log = log.With("component", domain)
		}
		one := componentConfig(cfg, server, domain, secret, policy)
		one.Dial, one.Numbers = dial, policy.Rules.Numbers(jid)
		desk(&one, cfg)
		c, err := component.New(one, log)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		l.byName[jid.Domain()] = len(l.all)
		l.all, l.names, l.servers, l.jids = append(l.all, c), append(l.names, domain), append(l.servers, server), append(l.jids, jid)
		return nil
	}
	errs := []error{add("xmpp.domain", cfg.XMPP.Server, cfg.XMPP.Domain, cfg.XMPP.Secret)}
	for i, d := range cfg.Domains {
		errs = append(errs, add(fmt.Sprintf("domain[%d].xmpp", i), d.Server, d.XMPP, d.Secret))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return l, nil
}

// Deliver hands each value to the component that its sender is of. The values of
// one component stay in their order.
func (l *links) Deliver(batch []mapping.Parcel[mapping.XMPP]) {
	if len(batch) == 0 {
		return
	}
	first, same := l.of(batch[0].Value), 1
	for same < len(batch) && l.of(batch[same].Value) == first {
		same++
	}
	if same == len(batch) {
		l.all[first].Deliver(batch)
		return
	}
	parts := make([][]mapping.Parcel[mapping.XMPP], len(l.all))
	parts[first] = append(parts[first], batch[:same]...)
	for _, p := range batch[same:] {
		i := l.of(p.Value)
		parts[i] = append(parts[i], p)
	}
	for i, part := range parts {
		l.all[i].Deliver(part)
	}
}

// of is the component that writes v. What is of none goes to the first, which
// refuses it and says so (SEC-16).
func (l *links) of(v mapping.XMPP) int {
	if len(l.all) == 1 {
		return 0
	}
	switch v := v.(type) {
	case *mapping.XMPPMessage:
		return l.byName[v.From.Domain()]
	case *mapping.XMPPError:
		return l.byName[v.From.Domain()]
	case *mapping.XMPPReceipt:
		return l.byName[v.From.Domain()]
	case *mapping.XMPPState:
		return l.byName[v.From.Domain()]
	case *mapping.XMPPPresence:
		return l.byName[v.From.Domain()]
	case *mapping.XMPPIntroduction:
		return l.byName[v.From.Domain()]
	case *mapping.XMPPCommandReply:
		return l.byName[v.From.Domain()]
	case *mapping.XMPPRegisterReply:
		return l.byName[v.From.Domain()]
	}
	return 0
}

// Up reports whether any link takes messages.
func (l *links) Up() bool {
	for _, c := range l.all {
		if c.Status().State == component.StateUp {
			return true
		}
	}
	return false
}
