package sipside

import (
	"context"
	"errors"
	"slices"

	"github.com/stoxgw/stox/mapping"
	"github.com/stoxgw/stox/sipside/locate"
)

// reachable is list without what no socket of ours reaches, unless there is nothing else.
// Streams come last then: whether one is reached is known only when it is tried.
//
// The order of what is left is that of list, so it stays the same while the answer that
// the list comes from is remembered: SIPMessage.Target counts in it.
func (u *UA) reachable(list []locate.Target) []locate.Target {
	reached := func(t locate.Target) bool { return u.udpFor(t.Addr.Addr()) != nil }
	if !slices.ContainsFunc(list, func(t locate.Target) bool { return !reached(t) }) {
		return list
	}
	var first, last []locate.Target
	for _, t := range list {
		switch {
		case reached(t):
			first = append(first, t)
		case t.Transport != locate.UDP:
			last = append(last, t)
		}
	}
	if len(first)+len(last) == 0 {
		return list
	}
	return append(first, last...)
}

// abroad is list without this machine and its link, if nobody but a stranger has said
// that a request goes there: see Config.Local.
func (u *UA) abroad(h *hop, list []locate.Target) []locate.Target {
	// A route for "*" without a next hop does not say that this machine is meant.
	meant := h.route != nil || h.rule != nil && h.rule.Domain != "*"
	if u.cfg.Local || meant || h.query.Host == u.sipDomain || h.query.Host == u.current().phoneDomain {
		return list
	}
	near := func(t locate.Target) bool {
		a := t.Addr.Addr()
		return a.IsLoopback() || a.IsLinkLocalUnicast()
	}
	if !slices.ContainsFunc(list, near) {
		return list
	}
	return slices.DeleteFunc(slices.Clone(list), near)
}

// failNear is for an address that leads here.
func failNear() *mapping.Failure {
	f := mapping.FailDNS()
	f.Err = errors.New("sipside: the address leads to this machine")
	f.Remedy = "a sip.route for the domain allows requests to go to this machine"
	return f
}

// hopKey names a next hop in the count of open transactions: a route, or the host
// of requests without one.
type hopKey struct {
	route   *Route
	host    string
	events  bool // requests about events have places of their own
	account bool // and so have those that register accounts
}

func (h *hop) key() hopKey {
	if h.route != nil {
		return hopKey{route: h.route, events: h.events, account: h.account}
	}
	return hopKey{host: h.query.Host, events: h.events, account: h.account}
}

// unconnected says why a request does not go to a target that no TCP connection was
// made to. moved says that it would have gone over UDP, but is too big for that:
// RFC 3261 §18.1.1 would have it sent over UDP all the same if TCP is refused, but a
// MESSAGE of that size must not be (RFC 3428 §8).
func unconnected(moved bool, err error) (f *mapping.Failure) {
	var setup *setupError
	switch {
	case errors.Is(err, context.Canceled): // we are stopping
		f = mapping.FailShutdown()
	case errors.As(err, &setup):
		f = setup.failure()
	case isShortage(err), errors.Is(err, errTooMany):
		f = mapping.FailBusy(busySeconds)
	case moved:
		f = mapping.FailNeedsTCP(maxUnrouted)
	default:
		f = mapping.FailUnreachable()
	}
	f.Err = err
	return f
}
