package sipside

import (
	"errors"
	"net/netip"
	"slices"
)

// Sources that an admin has blocked are strangers, whoever they were before: peers, hosts of
// routes, or who could log in. They are answered as strangers are, and have no connections.
// What is sent to them, and what they answer to that, is another matter: access to it has
// whoever may write there.

var errSourceBlocked = errors.New("an admin has blocked the source")

// SetBlocked has requests from these places refused from now on, and closes the connections
// that were opened from there.
func (u *UA) SetBlocked(sources []netip.Prefix) {
	if len(sources) == 0 {
		u.blocked.Store(nil)
		return
	}
	u.blocked.Store(newSources(sources))
	u.conns.mu.Lock()
	var shut []*stream
	for _, s := range u.conns.streams {
		if !s.dialed.Addr.IsValid() && u.isBlocked(s.remote.Addr()) {
			shut = append(shut, s)
		}
	}
	u.conns.mu.Unlock()
	for _, s := range shut {
		s.close(errSourceBlocked)
	}
}

// isBlocked reports whether an admin has blocked an address.
func (u *UA) isBlocked(a netip.Addr) bool {
	sources := u.blocked.Load()
	return sources != nil && sources.has(a)
}

// sources are networks. What it takes to look for an address does not depend on how many there
// are, only on how many sizes of them: it is asked for each packet, and lists of attackers are long.
type sources struct {
	all    map[netip.Prefix]struct{}
	v4, v6 []int // the sizes that there are, in bits
}

func newSources(list []netip.Prefix) *sources {
	s := &sources{all: make(map[netip.Prefix]struct{}, len(list))}
	for _, p := range list {
		s.all[p.Masked()] = struct{}{}
		sizes := &s.v6
		if p.Addr().Is4() {
			sizes = &s.v4
		}
		if !slices.Contains(*sizes, p.Bits()) {
			*sizes = append(*sizes, p.Bits())
		}
	}
	return s
}

func (s *sources) has(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	sizes := s.v6
	if a.Is4() {
		sizes = s.v4
	}
	for _, bits := range sizes {
		if p, err := a.Prefix(bits); err == nil {
			if _, has := s.all[p]; has {
				return true
			}
		}
	}
	return false
}
