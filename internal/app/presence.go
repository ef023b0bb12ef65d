package app

import (
	"github.com/stoxgw/stox/component"
	"github.com/stoxgw/stox/internal/bridge"
	"github.com/stoxgw/stox/internal/config"
	"github.com/stoxgw/stox/internal/presence"
	"github.com/stoxgw/stox/mapping"
	"github.com/stoxgw/stox/sipside"
)

// middle is who the two sides work for: the bridge, which has the messages, the presence
// engine, and the desk. The bridge sees the presence stanzas first, since it says who may use
// the gateway, and hands on those that are for contacts.
type middle struct {
	bridge   *bridge.Bridge
	presence *presence.Engine
	desk     desk // nil: then the components are told to take nothing that is for it
}

// desk is where users ask the gateway itself for something. Its methods return at once; of
// each command and registration it hands one answer to the XMPP side.
type desk interface {
	Command(*mapping.XMPPCommand)
	Register(*mapping.XMPPRegister)
	Outcome(mapping.Result) // of what it has handed to the XMPP side
}

// deskRef is what the Ref of a value of the desk is known by.
type deskRef interface{ OfDesk() }

var (
	_ component.Handler = middle{}
	_ sipside.Handler   = middle{}
	_ bridge.Presences  = (*presence.Engine)(nil)
)

// FromXMPP implements component.Handler.
func (m middle) FromXMPP(batch []mapping.XMPP) {
	inTurn(batch, forDesk, m.toDesk, m.bridge.FromXMPP)
}

// toDesk gives a value to the desk.
func (m middle) toDesk(v mapping.XMPP) {
	if m.desk == nil {
		return
	}
	switch v := v.(type) {
	case *mapping.XMPPCommand:
		m.desk.Command(v)
	case *mapping.XMPPRegister:
		m.desk.Register(v)
	}
}

// XMPPOutcomes implements component.Handler.
func (m middle) XMPPOutcomes(batch []mapping.Result) {
	if m.desk != nil {
		var asked []mapping.Result
		asked, batch = split(batch, ofDesk)
		for i := range asked {
			m.desk.Outcome(asked[i])
		}
	}
	mine, others := split(batch, ofPresence)
	give(m.bridge.XMPPOutcomes, others)
	give(m.presence.XMPPOutcomes, mine)
}

// FromSIP implements sipside.Handler.
func (m middle) FromSIP(batch []mapping.Parcel[mapping.SIP]) {
	mine, others := split(batch, func(p *mapping.Parcel[mapping.SIP]) bool { return aboutEvents(p.Value) })
	give(m.bridge.FromSIP, others)
	give(m.presence.FromSIP, mine)
}

// SIPOutcomes implements sipside.Handler.
func (m middle) SIPOutcomes(batch []mapping.Result) {
	mine, others := split(batch, ofPresence)
	give(m.bridge.SIPOutcomes, others)
	give(m.presence.SIPOutcomes, mine)
}

func ofPresence(r *mapping.Result) bool {
	_, ok := r.Ref.(presence.Ref)
	return ok
}

func ofDesk(r *mapping.Result) bool {
	_, ok := r.Ref.(deskRef)
	return ok
}

func forDesk(v mapping.XMPP) bool {
	switch v.(type) {
	case *mapping.XMPPCommand, *mapping.XMPPRegister:
		return true
	}
	return false
}

func aboutEvents(v mapping.SIP) bool {
	switch v.(type) {
	case *mapping.SIPSubscribe, *mapping.SIPNotify, *mapping.SIPPublish:
		return true
	}
	return false
}

// split takes out of a batch what is of a kind; both keep their order. Nearly every batch is
// of one kind, and is given back as it is.
func split[V any](batch []V, is func(*V) bool) (mine, others []V) {
	n := 0
	for i := range batch {
		if is(&batch[i]) {
			n++
		}
	}
	switch n {
	case 0:
		return nil, batch
	case len(batch):
		return batch, nil
	}
	mine, others = make([]V, 0, n), make([]V, 0, len(batch)-n)
	for i := range batch {
		if is(&batch[i]) {
			mine = append(mine, batch[i])
		} else {
			others = append(others, batch[i])
		}
	}
	return mine, others
}

// inTurn hands on what is of a kind one by one, and what is between that as it is: whoever
// takes either has got what was in front of it.
func inTurn[V any](batch []V, is func(V) bool, one func(V), others func([]V)) {
	from := 0
	for i, v := range batch {
		if is(v) {
			give(others, batch[from:i])
			one(v)
			from = i + 1
		}
	}
	give(others, batch[from:])
}

func give[V any](to func([]V), batch []V) {
	if len(batch) > 0 {
		to(batch)
	}
}

// presencePolicy is what the presence engine goes by.
func presencePolicy(cfg *config.Config, p bridge.Policy) presence.Policy {
	return presence.Policy{Rules: p.Rules, Access: p.Access, Mode: presenceMode(cfg), Publish: presenceServers(cfg), Alone: oneDomain(cfg)}
}

// presenceServers are those that users' presence is published at: whoever the routes that
// publish lead to. The name that users let see them for it is the one under which they know
// the contacts behind that route.
func presenceServers(cfg *config.Config) (all []presence.Server) {
	for _, r := range cfg.SIP.Routes {
		if presence.Mode(r.Presence) != presence.ModePublish {
			continue
		}
		name := cfg.XMPP.Domain
		for _, d := range cfg.Domains {
			if canonicalDomain(d.SIP) == canonicalDomain(r.Domain) {
				name = d.XMPP
			}
		}
		j, err := mapping.ParseJID(name)
		if err != nil {
			continue // config has checked it
		}
		s := presence.Server{Domain: canonicalDomain(r.Domain), Hop: r.Via, Name: j.DomainJID()}
		if s.Hop == "" {
			s.Hop = s.Domain
		}
		all = append(all, s)
	}
	return all
}

// canonicalDomain is a domain as hosts are compared.
func canonicalDomain(domain string) string {
	if u, err := mapping.ParseURI("sip:" + domain); err == nil && u.Host != "" {
		return u.Host
	}
	return domain
}

// presenceMode tells the mode of the route to an address: as with requests the first whose
// domain matches. Without a route it is that of subscriptions.
func presenceMode(cfg *config.Config) func(mapping.URI) presence.Mode {
	type route struct {
		domain string
		mode   presence.Mode
	}
	routes := make([]route, 0, len(cfg.SIP.Routes))
	for _, r := range cfg.SIP.Routes {
		routes = append(routes, route{canonicalDomain(r.Domain), presence.Mode(r.Presence)})
	}
	return func(u mapping.URI) presence.Mode {
		for _, r := range routes {
			if r.domain == "*" || r.domain == u.Host {
				return r.mode
			}
		}
		return presence.ModeSubscribe
	}
}
