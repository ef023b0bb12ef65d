package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
)

// socket is one entry of sip.listen.
type socket struct {
	network string // udp or tcp
	addr    netip.AddrPort
}

func parseSocket(listen string) (socket, bool) {
	transport, rest, _ := strings.Cut(listen, "://")
	a, err := netip.ParseAddrPort(rest)
	s := socket{"tcp", a}
	if transport == "udp" {
		s.network = "udp"
	}
	return s, err == nil
}

// bind opens the socket and closes it at once.
func (s socket) bind() error {
	network := s.network
	if s.addr.Addr().Is4() {
		network += "4" // 0.0.0.0 alone would be both families
	}
	if s.network == "udp" {
		c, err := net.ListenPacket(network, s.addr.String())
		if err != nil {
			return err
		}
		return c.Close()
	}
	l, err := net.Listen(network, s.addr.String())
	if err != nil {
		return err
	}
	return l.Close()
}

// taken reports whether somebody has the i-th socket.
func (d *doctor) taken(i int) bool {
	s, known := parseSocket(d.Config.SIP.Listen[i])
	return known && s.addr.Port() != 0 && errors.Is(s.bind(), syscall.EADDRINUSE)
}

// listen tries whether the i-th socket can be had, or whether the daemon has it.
func (d *doctor) listen(i int) []Finding {
	what := d.Config.SIP.Listen[i]
	s, known := parseSocket(what)
	switch {
	case !known:
		return []Finding{skip(checkListen, "%s is not an address that can be tried", what)}
	case s.addr.Port() == 0:
		return []Finding{ok(checkListen, "%s takes a free port", what)}
	}
	err := s.bind()
	holder := ""
	pid := 0
	if errors.Is(err, syscall.EADDRINUSE) {
		if p, program, found := holderOf(s); found {
			pid, holder = p, fmt.Sprintf("%s, process %d", program, p)
		}
	}
	return []Finding{d.bound(what, s, err, pid, holder)}
}

// bound says what the try to bind came to. pid and holder are who has the socket, if
// that is known.
func (d *doctor) bound(what string, s socket, err error, pid int, holder string) Finding {
	find := fmt.Sprintf("ss -lnptu 'sport = :%d' shows which", s.addr.Port())
	switch {
	case err == nil && d.running && d.process != 0:
		return bad(Fail, checkListen, "if sip.listen has been changed, restart the daemon: systemctl restart stox; else its log says more: journalctl -u stox", "a daemon runs, but %s is free", what)
	case err == nil:
		return ok(checkListen, "%s is free", what)
	case errors.Is(err, syscall.EADDRINUSE) && d.running && (pid == 0 || d.process == 0):
		return ok(checkListen, "%s is in use, by the daemon if by nobody else (%s)", what, find)
	case errors.Is(err, syscall.EADDRINUSE) && d.running && pid == d.process:
		return ok(checkListen, "%s is the daemon's", what)
	case errors.Is(err, syscall.EADDRINUSE) && holder != "":
		return bad(Fail, checkListen, "stop that program, or change sip.listen", "%s is taken by another program: %s", what, holder)
	case errors.Is(err, syscall.EADDRINUSE):
		return bad(Fail, checkListen, find+": stop it, or change sip.listen", "%s is taken by another program", what)
	case errors.Is(err, syscall.EACCES):
		return bad(Fail, checkListen, "give stox the capability (systemctl edit stox: [Service] AmbientCapabilities=CAP_NET_BIND_SERVICE and CapabilityBoundingSet= the same), or take a port above 1023 in sip.listen", "%s is not allowed for this user", what)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return bad(Fail, checkListen, "ip address shows those it has: correct sip.listen", "%s: %s is no address of this machine", what, s.addr.Addr())
	}
	return bad(Fail, checkListen, "correct sip.listen", "%s cannot be had: %s", what, why(err))
}

// advertise looks whether what SIP peers are told leads to this machine.
func (d *doctor) advertise(ctx context.Context) []Finding {
	what := d.Config.SIP.Advertise
	if what == "" {
		return nil
	}
	host := what
	if h, _, err := net.SplitHostPort(what); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	var addrs []netip.Addr
	if a, err := netip.ParseAddr(host); err == nil {
		if d.listensAt(a) { // whether it can be bound has been tried
			return nil
		}
		addrs = []netip.Addr{a}
	} else {
		rctx, cancel := context.WithTimeout(ctx, d.Patience)
		defer cancel()
		addrs, err = d.Resolve(rctx, "ip", host)
		if err == nil && len(addrs) == 0 {
			err = errors.New("it has no address")
		}
		if err != nil {
			return []Finding{bad(Fail, checkListen, "correct sip.advertise, or have the name in DNS: SIP peers answer to it", "sip.advertise: %s cannot be resolved: %s", host, resolveFault(err))}
		}
	}
	for i := range addrs {
		addrs[i] = addrs[i].Unmap()
	}
	own := d.Machine.Addresses()
	is := strings.Join(texts(addrs), ", ")
	if is != host {
		is = host + " (" + is + ")"
	}
	switch {
	case slices.ContainsFunc(addrs, func(a netip.Addr) bool { return a.IsUnspecified() }):
		return []Finding{bad(Fail, checkListen, "set sip.advertise to the address at which SIP peers reach us", "sip.advertise: %s is no address that anybody could send to", is)}
	case !slices.ContainsFunc(addrs, func(a netip.Addr) bool { return !a.IsLoopback() }) && d.reachesOut():
		return []Finding{bad(Warn, checkListen, "set sip.advertise to an address that SIP peers can reach", "sip.advertise: %s leads other machines to themselves", is)}
	case slices.ContainsFunc(addrs, func(a netip.Addr) bool { return slices.Contains(own, a) }):
		return []Finding{ok(checkListen, "sip.advertise: %s is this machine", is)}
	case !slices.ContainsFunc(addrs, func(a netip.Addr) bool { return !a.IsPrivate() && !a.IsLinkLocalUnicast() }):
		return []Finding{bad(Warn, checkListen, "unless that is a NAT which hands the SIP ports on to this machine, correct sip.advertise (ip address shows what this machine has)", "sip.advertise: %s is a private address, and not of this machine", is)}
	}
	return []Finding{ok(checkListen, "sip.advertise: %s is no address of this machine: a NAT there has to hand the SIP ports on to it", is)}
}

// reachesOut reports whether some socket hears other machines.
func (d *doctor) reachesOut() bool {
	return slices.ContainsFunc(d.Config.SIP.Listen, func(l string) bool {
		s, known := parseSocket(l)
		return known && !s.addr.Addr().IsLoopback()
	})
}

// listensAt reports whether some socket has that very address.
func (d *doctor) listensAt(a netip.Addr) bool {
	return slices.ContainsFunc(d.Config.SIP.Listen, func(l string) bool {
		s, known := parseSocket(l)
		return known && s.addr.Addr() == a && !a.IsUnspecified()
	})
}

// isSelf reports whether a is one of the sockets of sip.listen.
func (d *doctor) isSelf(a netip.AddrPort, udp bool) bool {
	for _, l := range d.Config.SIP.Listen {
		s, known := parseSocket(l)
		if !known || s.addr.Port() != a.Port() || (s.network == "udp") != udp {
			continue
		}
		if s.addr.Addr() == a.Addr() || s.addr.Addr().IsUnspecified() && (a.Addr().IsLoopback() || slices.Contains(d.Machine.Addresses(), a.Addr())) {
			return true
		}
	}
	return false
}

func texts(addrs []netip.Addr) (out []string) {
	for _, a := range addrs {
		out = append(out, a.String())
	}
	return out
}

func resolveSystem(ctx context.Context, network, host string) ([]netip.Addr, error) {
	return net.DefaultResolver.LookupNetIP(ctx, network, host)
}

// resolveFault is the resolver's error without what stands in front of it.
func resolveFault(err error) string {
	var dns *net.DNSError
	if errors.As(err, &dns) {
		if dns.IsTimeout {
			return "the resolver does not answer"
		}
		return dns.Err
	}
	return why(err)
}
