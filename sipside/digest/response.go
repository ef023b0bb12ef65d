package digest

import (
	"crypto/md5"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"hash"
	"strings"
)

// algorithm is a hash and whether its key is made once for a session.
type algorithm struct {
	name string
	new  func() hash.Hash
	sess bool
}

var algorithms = []algorithm{
	{"MD5", md5.New, false}, {"MD5-sess", md5.New, true},
	{"SHA-256", sha256.New, false}, {"SHA-256-sess", sha256.New, true},
	{"SHA-512-256", sha512.New512_256, false}, {"SHA-512-256-sess", sha512.New512_256, true},
}

// algorithmOf finds an algorithm by its name, which is MD5 if there is none; nil if it is
// not known.
func algorithmOf(name string) *algorithm {
	if name == "" {
		return &algorithms[0]
	}
	for i := range algorithms {
		if strings.EqualFold(algorithms[i].name, name) {
			return &algorithms[i]
		}
	}
	return nil
}

// The values of qop that are known; "" is none.
const (
	qopAuth    = "auth"
	qopAuthInt = "auth-int"
)

// proof is what a response is made of.
type proof struct {
	username, realm, password string
	method, uri               string
	body                      []byte // for auth-int
	nonce, cnonce, qop        string
	nc                        uint32
}

// response computes it (RFC 7616 §3.4.1).
func (a *algorithm) response(p *proof) string {
	h := a.new()
	join := func(parts ...string) string {
		h.Reset()
		for i, s := range parts {
			if i > 0 {
				h.Write([]byte{':'})
			}
			h.Write([]byte(s))
		}
		return hex.EncodeToString(h.Sum(nil))
	}
	ha1 := join(p.username, p.realm, p.password)
	if a.sess {
		ha1 = join(ha1, p.nonce, p.cnonce)
	}
	var ha2 string
	if p.qop == qopAuthInt {
		ha2 = join(p.method, p.uri, join(string(p.body)))
	} else {
		ha2 = join(p.method, p.uri)
	}
	if p.qop == "" {
		return join(ha1, p.nonce, ha2)
	}
	return join(ha1, p.nonce, fmt.Sprintf("%08x", p.nc), p.cnonce, p.qop, ha2)
}
