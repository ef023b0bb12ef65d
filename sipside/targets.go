package sipside

import (
	"context"
	"errors"
	"net/netip"

	"github.com/stoxgw/stox/mapping"
)

// target is one of the places where the next hop takes requests (RFC 3263 §4).
type target struct {
	addr netip.AddrPort
	tcp  bool
}

// targets appends to list where a request may go whose next hop has the given
// addresses, in the order in which they are to be tried: the addresses of a host
// with the port and the transport of the hop. Those that no socket of ours
// reaches are left out, unless there are no others. Over TCP they come last:
// whether one is reached is known only when it is tried.
//
// The order is that of addrs, so the list stays the same while the answer that
// addrs come from is remembered: SIPMessage.Target counts in it.
func (u *UA) targets(list []target, h *hop, addrs []netip.Addr) []target {
	add := func(reached bool) {
		for _, a := range addrs {
			if (u.udpFor(a) != nil) == reached {
				list = append(list, target{netip.AddrPortFrom(a, h.port), h.tcp})
			}
		}
	}
	add(true)
	if len(list) == 0 || h.tcp {
		add(false)
	}
	return list
}

// pick is the target for the n-th try of a request, counted round, and whether
// there is one that no try has gone to yet.
func pick(list []target, n int) (t target, more bool) {
	return list[uint(n)%uint(len(list))], n >= 0 && n < len(list)-1
}

// hopKey names a next hop in the count of open transactions: a route, or the host
// of requests without one.
type hopKey struct {
	route *Route
	host  string
}

func (h *hop) key() hopKey {
	if h.route != nil {
		return hopKey{route: h.route}
	}
	return hopKey{host: h.host}
}

// unconnected says why a request does not go to a target that no TCP connection was
// made to. moved says that it would have gone over UDP, but is too big for that:
// RFC 3261 §18.1.1 would have it sent over UDP all the same if TCP is refused, but a
// MESSAGE of that size must not be (RFC 3428 §8).
func unconnected(moved bool, err error) (f *mapping.Failure) {
	switch {
	case errors.Is(err, context.Canceled): // we are stopping
		f = mapping.FailShutdown()
	case isShortage(err):
		f = mapping.FailBusy(busySeconds)
	case moved:
		f = mapping.FailNeedsTCP(maxUnrouted)
	default:
		f = mapping.FailUnreachable()
	}
	f.Err = err
	return f
}
