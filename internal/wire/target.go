package wire

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/stoxgw/stox/mapping"
)

// Directory says how one world writes the addresses of the other. Its functions may be nil, and
// report false for what has no such address.
type Directory struct {
	SIP  func(mapping.JID) (mapping.URI, bool)
	XMPP func(mapping.URI) (mapping.JID, bool)
}

// target is whose packets somebody wants to see: one of these.
type target struct {
	all    bool
	hosts  netip.Prefix // that packets come from or go to
	who    string       // user@host, of a JID or a SIP URI
	domain string
}

// Everybody is the target that all packets are of.
const Everybody = "*"

// parseTarget reads a JID, a SIP URI, an IP address or network, or a domain.
func parseTarget(s string) (target, error) {
	if s == Everybody {
		return target{all: true}, nil
	}
	if ip, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		ip = ip.Unmap().WithZone("")
		return target{hosts: netip.PrefixFrom(ip, ip.BitLen())}, nil
	}
	if net, err := netip.ParsePrefix(s); err == nil {
		return target{hosts: net.Masked()}, nil
	}
	if scheme, _, is := strings.Cut(s, ":"); is && !strings.Contains(scheme, "@") {
		u, err := mapping.ParseURI(s)
		switch {
		case err != nil:
			return target{}, fmt.Errorf("%q is no SIP address: %w", s, err)
		case u.User == "" && u.Host == "":
			return target{}, fmt.Errorf("%q names nobody", s)
		case u.User == "":
			return target{domain: u.Host}, nil
		}
		return target{who: person(u)}, nil
	}
	j, err := mapping.ParseJID(s)
	switch {
	case err != nil:
		return target{}, fmt.Errorf("%q is no address: %w", s, err)
	case j.Local() == "":
		return target{domain: j.Domain()}, nil
	}
	return target{who: j.Bare().String()}, nil
}

// person is how a SIP URI is compared, with others and with JIDs.
func person(u mapping.URI) string {
	if u.Host == "" { // tel:
		return u.User
	}
	return u.User + "@" + u.Host
}

// party is who takes part in a packet.
type party struct {
	remote netip.Addr
	people []string // user@host
	hosts  []string
}

func (p *party) add(user, host, whole string) {
	if user != "" {
		p.people = append(p.people, whole)
	}
	if host != "" {
		p.hosts = append(p.hosts, host)
	}
}

func (p *party) addJID(j mapping.JID) { p.add(j.Local(), j.Domain(), j.Bare().String()) }
func (p *party) addURI(u mapping.URI) { p.add(u.User, u.Host, person(u)) }

// ofSIP is who takes part in a SIP packet, under all names.
func (d *Directory) ofSIP(remote netip.AddrPort, p *sipPacket) party {
	who := party{remote: remote.Addr()}
	for _, v := range p.values {
		u, err := mapping.ParseURI(uriOf(v))
		if err != nil {
			continue
		}
		who.addURI(u)
		if d.XMPP == nil {
			continue
		}
		if j, ok := d.XMPP(u); ok {
			who.addJID(j)
		}
	}
	return who
}

// ofStanza is who takes part in a stanza, under all names.
func (d *Directory) ofStanza(remote netip.AddrPort, s *stanza) party {
	who := party{remote: remote.Addr()}
	for _, a := range [...]string{s.from, s.to} {
		j, err := mapping.ParseJID(a)
		if err != nil {
			continue
		}
		who.addJID(j)
		if d.SIP == nil {
			continue
		}
		if u, ok := d.SIP(j); ok {
			who.addURI(u)
		}
	}
	return who
}

// uriOf is the URI of a header like From, or of a Request-URI.
func uriOf(value string) string {
	value = strings.TrimSpace(value)
	if i := strings.LastIndexByte(value, '<'); i >= 0 {
		value, _, _ = strings.Cut(value[i+1:], ">")
		return value
	}
	value, _, _ = strings.Cut(value, ";")
	return value
}

// matches reports whether the packet is one of those that are looked for.
func (t *target) matches(p *party) bool {
	switch {
	case t.all:
		return true
	case t.hosts.IsValid():
		return p.remote.IsValid() && t.hosts.Contains(p.remote.Unmap().WithZone(""))
	case t.who != "":
		for _, who := range p.people {
			if who == t.who {
				return true
			}
		}
	default:
		for _, host := range p.hosts {
			if host == t.domain {
				return true
			}
		}
	}
	return false
}
