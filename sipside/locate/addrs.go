package locate

import (
	"cmp"
	"net"
	"net/netip"
	"slices"
)

// policy is the table of RFC 6724 §2.1, longest prefix first.
var policy = []struct {
	prefix            netip.Prefix
	precedence, label int
}{
	{netip.MustParsePrefix("::1/128"), 50, 0},
	{netip.MustParsePrefix("::ffff:0:0/96"), 35, 4},
	{netip.MustParsePrefix("::/96"), 1, 3},
	{netip.MustParsePrefix("2001::/32"), 5, 5},
	{netip.MustParsePrefix("2002::/16"), 30, 2},
	{netip.MustParsePrefix("3ffe::/16"), 1, 12},
	{netip.MustParsePrefix("fec0::/10"), 1, 11},
	{netip.MustParsePrefix("fc00::/7"), 3, 13},
	{netip.MustParsePrefix("::/0"), 40, 1},
}

func policyOf(a netip.Addr) (precedence, label int) {
	a = netip.AddrFrom16(a.As16()) // IPv4 is in the table as ::ffff:0:0/96
	for _, p := range policy {
		if p.prefix.Contains(a) {
			return p.precedence, p.label
		}
	}
	return 0, -1
}

// scope is that of RFC 6724 §3.1.
func scope(a netip.Addr) int {
	switch {
	case a.IsLoopback(), a.IsLinkLocalUnicast():
		return 2
	case a.Is6() && netip.MustParsePrefix("fec0::/10").Contains(a):
		return 5
	default:
		return 14
	}
}

// byPreference sorts the addresses of a host as RFC 6724 §6 has it: those that this
// machine has no way to last (rule 1), then by scope (2), label (5), precedence (6) and
// smaller scope (8); what is equal keeps its order (10). The rules about mobile and
// deprecated addresses need what a program is not told, and rule 9 would defeat the
// order in which a name server spreads load.
//
// source is the address that would be sent from, the zero one if there is no way.
func byPreference(addrs []netip.Addr, source func(netip.Addr) netip.Addr) []netip.Addr {
	if len(addrs) < 2 {
		return addrs
	}
	type candidate struct {
		addr                        netip.Addr
		unusable, otherScope, label int // 0 is better
		precedence, scope           int
	}
	list := make([]candidate, len(addrs))
	for i, a := range addrs {
		c := candidate{addr: a, scope: scope(a)}
		var label int
		c.precedence, label = policyOf(a)
		src := source(a)
		switch {
		case !src.IsValid():
			c.unusable, c.otherScope, c.label = 1, 1, 1
		default:
			if scope(src) != c.scope {
				c.otherScope = 1
			}
			if _, l := policyOf(src); l != label {
				c.label = 1
			}
		}
		list[i] = c
	}
	slices.SortStableFunc(list, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.unusable, b.unusable), cmp.Compare(a.otherScope, b.otherScope), cmp.Compare(a.label, b.label),
			cmp.Compare(b.precedence, a.precedence), cmp.Compare(a.scope, b.scope))
	})
	out := make([]netip.Addr, len(list))
	for i, c := range list {
		out[i] = c.addr
	}
	return out
}

// sourceOf asks the system which address it would send from. Nothing is sent.
func sourceOf(to netip.Addr) netip.Addr {
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(to, 5060)))
	if err != nil {
		return netip.Addr{}
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
}

// keepOrder brings addrs into the order of old; new ones come behind. A name server
// gives them in another order each time.
func keepOrder(addrs, old []netip.Addr) {
	place := func(a netip.Addr) int {
		if i := slices.Index(old, a); i >= 0 {
			return i
		}
		return len(old)
	}
	slices.SortStableFunc(addrs, func(a, b netip.Addr) int { return cmp.Compare(place(a), place(b)) })
}
