package sipside

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"

	"github.com/stoxgw/stox/mapping"
	"github.com/stoxgw/stox/sipside/locate"
)

// hopFor is where a request goes next, and who we are there: what is of an account is the
// account's at its own servers.
func (u *UA) hopFor(m *outRequest, overFlow bool) (h *hop, f *mapping.Failure) {
	if m.event == nil {
		h, f = u.nextHop(&m.RequestURI)
	} else {
		h, f = u.leadFor(m, overFlow)
	}
	if f == nil && u.lines.some.Load() {
		h = u.lines.identify(&m.From, h)
	}
	return h, f
}

// leadFor is where a request about events goes next. One that is in a dialog, or that has a
// route set, goes to whom its first Route names, else to its remote target (RFC 3261
// §12.2.1.1):
//
//   - by the route whose next hop that is, or whose domain, so that it goes as all else does
//     that goes there, and shows the route's login;
//   - else over the connection that the other side has come by: behind NAT, or in a browser,
//     there may be no other way (RFC 5626, RFC 7118 §5);
//   - else where its host leads, which a route for all domains may decide.
func (u *UA) leadFor(m *outRequest, overFlow bool) (*hop, *mapping.Failure) {
	h, f := u.leadOf(m.event, overFlow)
	h.events = true
	return &h, f
}

func (u *UA) leadOf(e *outEvent, overFlow bool) (h hop, f *mapping.Failure) {
	if !e.within && len(e.routes) == 0 {
		h, f := u.nextHop(&e.next)
		return *h, f
	}
	set := u.current()
	for _, r := range set.routes {
		if u.leadsTo(r, e.next) {
			h.route, h.rule, h.login, h.watch = r, r, set.logins[r], set.watches[r]
			next := e.next
			if r.Via.Transport == "tls" { // what the operator has encrypted no peer has sent in the clear
				next.Transport = "tls"
			}
			return h, h.lead(next, u.supported)
		}
	}
	next, f := u.nextHop(&e.next)
	h = *next
	if h.route != nil && h.route.Domain != "*" {
		return h, f
	}
	if len(e.routes) == 0 && overFlow {
		if s := u.conns.ofFlow(e.flow); s != nil {
			return hop{flow: s, query: locate.Query{Host: s.remote.Addr().String()}}, nil
		}
	}
	if f == nil && h.route == nil && isInvalid(e.next.Host) {
		f = mapping.FailUnreachable()
		f.Err = fmt.Errorf("sipside: the connection of %s is gone, and there is no other way", e.next.Host)
	}
	return h, f
}

// leadsTo reports whether the next hop of a route is the server that uri names.
func (u *UA) leadsTo(r *Route, uri mapping.URI) bool {
	via := r.Via
	if via.Host == "" {
		return false
	}
	port := portOf(uri)
	if uri.Host == via.Host {
		return port == portOf(via)
	}
	a, err := netip.ParseAddr(uri.Host)
	if err != nil {
		return false
	}
	q, ok := queryOf(via, u.supported)
	return ok && u.names.leadsTo(q, netip.AddrPortFrom(a.Unmap(), port))
}

// isInvalid reports whether a host is one that never leads anywhere: it stands for a way that
// has no address (RFC 2606 §2, RFC 7118 §5).
func isInvalid(host string) bool { return host == "invalid" || strings.HasSuffix(host, ".invalid") }

// leadsTo reports whether one of the targets of a route's name, as they were found last, is at
// addr.
func (n *names) leadsTo(q locate.Query, addr netip.AddrPort) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	e := n.routes[q]
	if e == nil {
		return false
	}
	for _, t := range e.targets {
		if t.Addr == addr {
			return true
		}
	}
	return false
}

// newFlowBase makes the numbers of flows ones that nobody has kept from an earlier run.
func newFlowBase() uint64 {
	var b [8]byte
	rand.Read(b[:])
	return binary.BigEndian.Uint64(b[:])>>1 | 1
}

// ofFlow is the connection with a number, nil if it is gone.
func (c *conns) ofFlow(flow uint64) *stream {
	if flow == 0 {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.flows[flow]
}

// sendFlow sends tx over the connection that its dialog has come by, false if that is closed
// by now and nothing was written.
func (c *client) sendFlow(tx *clientTx, s *stream) bool {
	c.mu.Lock()
	tx.to = locate.Target{Transport: s.transport()}
	c.mu.Unlock()
	return c.sendTCP(tx, s)
}

// unflow gives tx, whose connection is gone, the next hop that it has without it; false if it
// has none, or has ended.
func (c *client) unflow(tx *clientTx) bool {
	h, f := c.u.hopFor(&tx.req, false)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case tx.ended:
		return false
	case f != nil:
		c.end(tx, notWritten(f))
		return false
	}
	c.let(tx)
	tx.hop, tx.to = h, locate.Target{}
	key := h.key()
	c.hold(tx, key, c.holdingOf(key))
	return true
}

// maxDatagram is the most that goes into a UDP packet, over IPv4.
const maxDatagram = 65507

// fitWhole is fit for a request that cannot be cut and has no other way to say what it says:
// what is too long for UDP goes over TCP, and over UDP all the same where no connection can
// be made (RFC 3261 §18.1.1) or the route wants no other transport. Only a limit that the
// operator has set keeps it from going.
func (h *hop) fitWhole(n int, stream bool) (overTCP bool, f *mapping.Failure) {
	limit, size := maxRouted, SizeTCP
	if h.rule != nil {
		if h.rule.MaxBytes > 0 {
			limit = h.rule.MaxBytes
		}
		if h.rule.Size != "" {
			size = h.rule.Size
		}
	}
	overTCP = stream || n > maxUnrouted && size == SizeTCP
	switch {
	case overTCP:
	case size == SizeReject:
		limit = min(limit, maxUnrouted)
	default:
		limit = min(limit, maxDatagram)
	}
	if n <= limit {
		return overTCP, nil
	}
	f = mapping.FailTooLarge(limit)
	f.Remedy = "sip.route.max_message_bytes and size say how long a request may be"
	return false, f
}

// overUDP sends a request over UDP that was to go over TCP for its size, and could not.
func (c *client) overUDP(tx *clientTx) bool {
	to := tx.fallback
	sock := c.u.udpFor(to.Addr.Addr())
	if !to.Addr.IsValid() || sock == nil {
		return false
	}
	c.mu.Lock()
	tx.to, tx.moved = to, false
	c.mu.Unlock()
	wire := c.u.wire(&tx.req, tx.hop.route, viaTransport(to.Transport), sock.sentBy, c.branch(tx.id))
	c.sendUDP(tx, sock, to.Addr, wire)
	return true
}
