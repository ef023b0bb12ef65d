package sipside

import (
	"errors"
	"net/netip"
)

// Sources that an admin has blocked are strangers, whoever they were before: peers, hosts of
// routes, or who could log in. They are answered as strangers are, and have no connections.
// What is sent to them, and what they answer to that, is another matter: access to it has
// whoever may write there.

var errSourceBlocked = errors.New("an admin has blocked the source")

// SetBlocked has requests from these places refused from now on, and closes the connections
// that were opened from there. Nobody changes the slice any more.
func (u *UA) SetBlocked(sources []netip.Prefix) {
	if len(sources) == 0 {
		u.blocked.Store(nil)
		return
	}
	u.blocked.Store(&sources)
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
	if sources == nil {
		return false
	}
	a = a.Unmap().WithZone("")
	for _, p := range *sources {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
