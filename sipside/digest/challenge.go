package digest

import (
	"errors"
	"strings"
)

// What can be wrong with a value. None of these says what stood in it.
var (
	ErrScheme    = errors.New("digest: another scheme")
	ErrMalformed = errors.New("digest: malformed")
)

// Challenge is one value of WWW-Authenticate or Proxy-Authenticate.
type Challenge struct {
	Realm, Nonce, Opaque string
	Algorithm            string // as it came; "" is MD5
	QOP                  []string
	Stale                bool // the credentials were right, but for the age of their nonce

	hasOpaque bool
}

// ParseChallenge reads a value. An algorithm or qop that is not known is no error: see
// Supported.
func ParseChallenge(s string) (c Challenge, err error) {
	rest, ok := cutScheme(s)
	if !ok {
		return c, ErrScheme
	}
	realm := false
	ok = params(rest, func(name, value string) {
		switch name {
		case "realm":
			c.Realm, realm = value, true
		case "nonce":
			c.Nonce = value
		case "opaque":
			c.Opaque, c.hasOpaque = value, true
		case "algorithm":
			c.Algorithm = value
		case "stale":
			c.Stale = strings.EqualFold(value, "true")
		case "qop":
			for q := range strings.SplitSeq(value, ",") {
				if q = strings.ToLower(strings.Trim(q, " \t")); q != "" {
					c.QOP = append(c.QOP, q)
				}
			}
		}
	})
	if !ok || !realm || c.Nonce == "" {
		return Challenge{}, ErrMalformed
	}
	return c, nil
}

// Supported reports whether the challenge can be answered.
func (c *Challenge) Supported() bool {
	_, ok := c.qop()
	return ok && algorithmOf(c.Algorithm) != nil
}

// qop is the one that is taken; false if none of those offered is known.
func (c *Challenge) qop() (string, bool) {
	if len(c.QOP) == 0 {
		return "", true
	}
	found := ""
	for _, q := range c.QOP {
		if q == qopAuth || q == qopAuthInt && found == "" {
			found = q
		}
	}
	return found, found != ""
}

// String is the value of the header.
func (c *Challenge) String() string {
	var b strings.Builder
	b.WriteString("Digest realm=" + quote(c.Realm) + ", nonce=" + quote(c.Nonce))
	if c.Opaque != "" || c.hasOpaque {
		b.WriteString(", opaque=" + quote(c.Opaque))
	}
	if c.Stale {
		b.WriteString(", stale=true")
	}
	if c.Algorithm != "" {
		b.WriteString(", algorithm=" + c.Algorithm)
	}
	if len(c.QOP) > 0 {
		b.WriteString(", qop=" + quote(strings.Join(c.QOP, ",")))
	}
	return b.String()
}
