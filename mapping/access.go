package mapping

import (
	"errors"
	"fmt"
	"strings"
)

// Access is the list of XMPP users that may send through the gateway and be
// reached from SIP (access.allow). It is immutable; the zero Access allows
// nobody.
type Access struct {
	all bool
	set map[string]struct{} // bare JIDs, and domains
	not func(JID) bool      // whom it does not allow all the same; nil: nobody
}

// Except is a without those of whom not reports true, which is asked each time.
func (a Access) Except(not func(JID) bool) Access {
	a.not = not
	return a
}

// NewAccess makes an Access from entries: a JID allows that user, whatever the
// resource; a domain allows its users and itself, but not its subdomains; "*"
// allows everybody. The error names every entry that is none of these.
func NewAccess(entries []string) (Access, error) {
	a := Access{set: make(map[string]struct{}, len(entries))}
	var errs []error
	for _, e := range entries {
		if e == "*" {
			a.all = true
			continue
		}
		j, err := ParseJID(e)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("%q is neither a JID nor a domain nor %q: %s", e, "*", asFailure(err).Text))
		case strings.Contains(j.Local(), "*") || strings.Contains(j.Domain(), "*"):
			errs = append(errs, fmt.Errorf("%q: there are no patterns; a domain alone allows all of its users", e))
		default:
			a.set[j.Bare().String()] = struct{}{}
		}
	}
	if len(errs) > 0 {
		return Access{}, errors.Join(errs...)
	}
	return a, nil
}

// Allows reports whether j may use the gateway.
func (a Access) Allows(j JID) bool {
	if j.IsZero() || a.not != nil && a.not(j) {
		return false
	}
	if a.all {
		return true
	}
	if _, ok := a.set[j.Domain()]; ok {
		return true
	}
	_, ok := a.set[j.Bare().String()]
	return ok
}

// Denies reports whether access closes the Request-URI of a request: that of a user who may
// not be reached, or one in a domain of which not everybody may, and which is nobody's. SIP is
// told just that, whatever else is wrong with the request (SEC-13).
func (r *Rules) Denies(a Access, m *SIPMessage) bool {
	if m.RequestURI.Scheme == "sips" {
		copied := *m
		m = &copied
		m.RequestURI.Scheme = "sip" // refused as such only where the user may be reached
	}
	j, f := r.addressed(m)
	if f != nil {
		var served bool
		if j, served = r.Serves(m.RequestURI.Host); !served {
			return false
		}
	}
	return !a.Allows(j)
}
