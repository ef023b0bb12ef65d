package digest

import (
	"fmt"
	"strconv"
	"strings"
)

// Credentials are one value of Authorization or Proxy-Authorization.
type Credentials struct {
	Username, Realm, Nonce, URI, Response string
	Algorithm                             string // as it came; "" is MD5
	CNonce, Opaque                        string
	QOP                                   string
	NC                                    uint32 // how often the nonce has been used; 0 without qop

	hasOpaque bool
}

// ParseCredentials reads a value.
func ParseCredentials(s string) (c Credentials, err error) {
	rest, ok := cutScheme(s)
	if !ok {
		return c, ErrScheme
	}
	required, nc := 0, ""
	ok = params(rest, func(name, value string) {
		switch name {
		case "username":
			c.Username = value
		case "realm":
			c.Realm = value
		case "nonce":
			c.Nonce = value
		case "uri":
			c.URI = value
		case "response":
			c.Response = value
		case "algorithm":
			c.Algorithm = value
		case "cnonce":
			c.CNonce = value
		case "opaque":
			c.Opaque, c.hasOpaque = value, true
		case "qop":
			c.QOP = strings.ToLower(value)
		case "nc":
			nc = value
		}
		switch name {
		case "username", "realm", "nonce", "uri", "response":
			required++
		}
	})
	if nc != "" {
		n, err := strconv.ParseUint(nc, 16, 32)
		ok = ok && err == nil && len(nc) == 8
		c.NC = uint32(n)
	}
	if !ok || required != 5 { // each stands once
		return Credentials{}, ErrMalformed
	}
	return c, nil
}

// String is the value of the header.
func (c *Credentials) String() string {
	var b strings.Builder
	b.WriteString("Digest username=" + quote(c.Username) + ", realm=" + quote(c.Realm) + ", nonce=" + quote(c.Nonce) +
		", uri=" + quote(c.URI) + ", response=" + quote(c.Response))
	if c.Algorithm != "" {
		b.WriteString(", algorithm=" + c.Algorithm)
	}
	if c.CNonce != "" {
		b.WriteString(", cnonce=" + quote(c.CNonce))
	}
	if c.Opaque != "" || c.hasOpaque {
		b.WriteString(", opaque=" + quote(c.Opaque))
	}
	if c.QOP != "" {
		fmt.Fprintf(&b, ", qop=%s, nc=%08x", c.QOP, c.NC)
	}
	return b.String()
}
