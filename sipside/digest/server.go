package digest

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"time"
)

// nonceLife is how long a nonce may be used.
const nonceLife = 5 * time.Minute

// maxHeaders is how many values of Authorization a request may have that are looked at.
const maxHeaders = 8

// Verdict is what credentials prove.
type Verdict uint8

// Of all but OK the request is to be challenged.
const (
	None  Verdict = iota // there are none for our realm
	OK                   // they are those of the user
	Stale                // their nonce is not one to be used: it is too old, not ours for this source, or was used before
	Wrong                // they are not, for a nonce that is
)

func (v Verdict) String() string { return [...]string{"none", "ok", "stale", "wrong"}[v] }

// Server asks users of one realm who they are. Its methods may be called from several
// goroutines.
type Server struct {
	realm  string
	key    []byte
	lookup func(username string) (password string, ok bool)
	opaque string
	uses   uses
}

// NewServer makes a server. key has to be secret, random, and another one each time: with
// the key of an earlier server what was said to that could be said again. lookup gives the
// password of a user; it must not block, and is called from several goroutines.
func NewServer(realm string, key []byte, lookup func(username string) (password string, ok bool)) *Server {
	s := &Server{realm: realm, key: append([]byte(nil), key...), lookup: lookup}
	s.opaque = hex.EncodeToString(s.mac("opaque", nil)[:8])
	return s
}

// Challenges are the values of WWW-Authenticate of a 401, best first. source is where the
// request came from: credentials count from there only. stale says that those that came
// were right but for their nonce.
func (s *Server) Challenges(source string, stale bool, now time.Time) []string {
	nonce := s.nonce(source, now)
	c := Challenge{Realm: s.realm, Nonce: nonce, Opaque: s.opaque, Stale: stale, Algorithm: "SHA-256", QOP: []string{qopAuth}}
	best := c.String()
	c.Algorithm = "MD5"
	return []string{best, c.String()}
}

// Verify looks at the values of Authorization of a request, of which uri is the
// Request-URI. The name of the user, and the algorithm it was proved with, are given only
// with OK. Each use of a nonce counts once, so a retransmission has to be known before.
func (s *Server) Verify(method, uri string, authorization []string, body []byte, source string, now time.Time) (username, algorithm string, verdict Verdict) {
	for _, value := range authorization[:min(len(authorization), maxHeaders)] {
		c, err := ParseCredentials(value)
		if err != nil || c.Realm != s.realm {
			continue
		}
		if verdict = s.verify(&c, method, uri, body, source, now); verdict == OK {
			return c.Username, algorithmOf(c.Algorithm).name, OK
		}
		return "", "", verdict
	}
	return "", "", None
}

func (s *Server) verify(c *Credentials, method, uri string, body []byte, source string, now time.Time) Verdict {
	// Before anything else, so that Wrong is said only of what was asked of this source: with
	// a nonce of one's own making nobody learns whether a password is right.
	id, ours := s.parse(c.Nonce, source)
	if age := now.Sub(id.time()); !ours || age < 0 || age >= nonceLife {
		return Stale
	}
	a := algorithmOf(c.Algorithm)
	if a == nil || c.QOP != qopAuth && c.QOP != qopAuthInt || c.CNonce == "" || c.NC == 0 || !sameURI(c.URI, uri) {
		return Wrong
	}
	password, known := s.lookup(c.Username)
	if !known { // as much work as for one that is known, and the same answer
		password = hex.EncodeToString(s.mac("password", []byte(c.Username)))
	}
	right := a.response(&proof{username: c.Username, realm: c.Realm, password: password, method: method, uri: c.URI, body: body,
		nonce: c.Nonce, cnonce: c.CNonce, qop: c.QOP, nc: c.NC})
	if subtle.ConstantTimeCompare([]byte(right), []byte(strings.ToLower(c.Response))) != 1 || !known {
		return Wrong
	}
	if !s.uses.take(id, c.NC) {
		return Stale
	}
	return OK
}

// nonceID is what a nonce is known by: the time of its making and some random bits.
type nonceID [16]byte

func (id nonceID) time() time.Time { return time.UnixMilli(int64(binary.BigEndian.Uint64(id[:8]))) }

// nonce makes one (RFC 7616 §3.3): the id, and what only we can make of it.
func (s *Server) nonce(source string, now time.Time) string {
	var id nonceID
	binary.BigEndian.PutUint64(id[:], uint64(now.UnixMilli()))
	rand.Read(id[8:])
	return base64.RawURLEncoding.EncodeToString(append(id[:], s.seal(id, source)...))
}

// parse reads a nonce; false if it is not ours, or not for source.
func (s *Server) parse(nonce, source string) (id nonceID, ok bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(nonce)
	if err != nil || len(b) != 32 {
		return id, false
	}
	copy(id[:], b)
	return id, hmac.Equal(b[16:], s.seal(id, source))
}

func (s *Server) seal(id nonceID, source string) []byte {
	return s.mac("nonce", append(id[:], s.realm+"\x00"+source...))[:16]
}

func (s *Server) mac(use string, b []byte) []byte {
	h := hmac.New(sha256.New, s.key)
	h.Write([]byte(use + "\x00"))
	h.Write(b)
	return h.Sum(nil)
}
