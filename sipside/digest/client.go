package digest

import (
	"crypto/rand"
	"encoding/hex"
	"strings"
	"sync"
)

const (
	maxAnswers  = 3   // challenges to one request that are answered
	maxSessions = 128 // nonces that a client remembers
)

// Reply is what a client makes of a challenge.
type Reply uint8

const (
	// Again: the request is to be sent once more, with Attempt.Lines.
	Again Reply = iota
	// Rejected: the credentials were refused, or the server asks without end.
	Rejected
	// Foreign: only realms ask that are none of this login's.
	Foreign
	// Unsupported: nothing in the response can be answered: no digest, no algorithm or qop
	// that is known, or no challenge at all.
	Unsupported
)

// Client answers the challenges of the servers of one next hop with one login. Its methods
// may be called from several goroutines. It never uses a nonce twice with the same count.
//
// Which realm the login is for nobody says; a realm is what a server calls itself, and a
// response that comes through a proxy may be of somebody behind it. So the first realm
// that asks is the only one that is answered: one for the challenges in WWW-Authenticate, one
// for those in Proxy-Authenticate. To REGISTER nobody but a registrar answers, so any realm
// may ask there: a server that takes over may have another name. The last one of those, and
// the realms that the client was made with, are answered wherever they ask.
type Client struct {
	username, password string
	own                []string

	mu       sync.Mutex // guards the following
	realms   [spaces]*string
	sessions map[sessionKey]*session
}

// What realms are kept apart by.
const (
	spaceWWW = iota
	spaceProxy
	spaceRegister
	spaces
)

// headers are the names of those that credentials stand in.
var headers = [...]string{spaceWWW: "Authorization: ", spaceProxy: "Proxy-Authorization: ", spaceRegister: "Authorization: "}

// sessionKey is who is given credentials unasked: a server, of its own requests to one
// host. A server behind a proxy sees no nonce of another one.
type sessionKey struct {
	server string
	space  int
	host   string
}

// session is a nonce and how often it was used.
type session struct {
	challenge Challenge
	nc        uint32
	cnonce    string // of -sess, which has one for all of the session
}

// Request is what credentials are for. Server names where it is sent.
type Request struct {
	Server      string
	Method, URI string
	Body        []byte
}

func (r *Request) key(space int) sessionKey {
	k := sessionKey{server: r.Server, space: space}
	if space == spaceWWW {
		k.host = hostOf(r.URI)
	}
	return k
}

// www is the space of WWW-Authenticate.
func (r *Request) www() int {
	if r.Method == "REGISTER" {
		return spaceRegister
	}
	return spaceWWW
}

// Attempt is what a request carries, from its first sending to its end. It is not safe for
// use by several goroutines. The zero value carries nothing.
type Attempt struct {
	lines   string
	used    [spaces]*session
	asked   [spaces]bool // used is an answer, not given unasked
	answers int
}

// Lines are complete header lines for the request, "" if it carries no credentials.
func (a *Attempt) Lines() string { return a.lines }

// NewClient makes a client for a login. own are realms that are known to be the login's.
func NewClient(username, password string, own ...string) *Client {
	return &Client{username: username, password: password, own: own, sessions: make(map[sessionKey]*session)}
}

// Begin makes the credentials that a request carries unasked, if its server has asked for
// some before.
func (c *Client) Begin(r *Request, a *Attempt) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, space := range [...]int{r.www(), spaceProxy} {
		a.used[space] = c.sessions[r.key(space)]
	}
	c.write(r, a)
}

// Answer takes the challenges of a 401 or 407 to what a carried: the values of
// WWW-Authenticate and of Proxy-Authenticate. realm says which one was not answered, with
// Foreign. After anything but Again the response is final.
func (c *Client) Answer(r *Request, a *Attempt, www, proxy []string) (reply Reply, realm string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if a.answers == maxAnswers {
		return Rejected, ""
	}
	a.answers++
	reply = Unsupported
	for _, h := range [...]struct {
		space  int
		values []string
	}{{r.www(), www}, {spaceProxy, proxy}} {
		got, name := c.answer(r, a, h.space, h.values)
		switch {
		case got == Rejected, reply == Rejected:
			reply = Rejected
		case got == Again, reply == Again:
			reply = Again
		case got == Foreign:
			reply, realm = Foreign, name
		}
	}
	if reply == Again {
		c.write(r, a)
	}
	return reply, realm
}

// answer takes the challenges of one header. The lock is held.
func (c *Client) answer(r *Request, a *Attempt, space int, values []string) (reply Reply, realm string) {
	reply = Unsupported
	for _, v := range values[:min(len(values), maxHeaders)] {
		ch, err := ParseChallenge(v)
		if err != nil || !ch.Supported() {
			continue
		}
		if !c.knows(space, ch.Realm) {
			reply, realm = Foreign, ch.Realm
			continue
		}
		if before := a.used[space]; before != nil {
			// A nonce that was not asked for may have ended without a word: its server was
			// started again, or takes each only once.
			same := before.challenge.Nonce == ch.Nonce
			if c.sessions[r.key(space)] == before {
				delete(c.sessions, r.key(space))
			}
			if same || a.asked[space] && !ch.Stale {
				return Rejected, ""
			}
		}
		s := &session{challenge: ch}
		c.keep(r.key(space), s)
		a.used[space], a.asked[space] = s, true
		return Again, ""
	}
	return reply, realm
}

// knows reports whether a realm is answered, and remembers it if it is the one to be. The lock is held.
func (c *Client) knows(space int, realm string) bool {
	for _, own := range c.own {
		if strings.EqualFold(own, realm) {
			return true
		}
	}
	if last := c.realms[spaceRegister]; last != nil && *last == realm {
		return true
	}
	if c.realms[space] == nil || space == spaceRegister {
		c.realms[space] = &realm
	}
	return *c.realms[space] == realm
}

// keep remembers a session for further requests. The lock is held.
func (c *Client) keep(k sessionKey, s *session) {
	if c.sessions[k] == nil && len(c.sessions) >= maxSessions {
		for other := range c.sessions {
			delete(c.sessions, other)
			break
		}
	}
	c.sessions[k] = s
}

// write makes the lines of a from what it uses. The lock is held.
func (c *Client) write(r *Request, a *Attempt) {
	var b strings.Builder
	for space, s := range a.used {
		if s != nil {
			b.WriteString(headers[space] + c.credentials(r, s) + "\r\n")
		}
	}
	a.lines = b.String()
}

// credentials are those for the next use of a session. The lock is held.
func (c *Client) credentials(r *Request, s *session) string {
	ch := &s.challenge
	a := algorithmOf(ch.Algorithm)
	qop, _ := ch.qop()
	out := Credentials{Username: c.username, Realm: ch.Realm, Nonce: ch.Nonce, URI: r.URI, Algorithm: ch.Algorithm,
		Opaque: ch.Opaque, hasOpaque: ch.hasOpaque, QOP: qop}
	s.nc++
	if qop != "" {
		out.NC = s.nc
	}
	if qop != "" || a.sess {
		if out.CNonce = s.cnonce; out.CNonce == "" {
			var b [8]byte
			rand.Read(b[:])
			out.CNonce = hex.EncodeToString(b[:])
		}
		if a.sess {
			s.cnonce = out.CNonce
		}
	}
	out.Response = a.response(&proof{username: c.username, realm: ch.Realm, password: c.password, method: r.Method, uri: r.URI,
		body: r.Body, nonce: ch.Nonce, cnonce: out.CNonce, qop: qop, nc: out.NC})
	return out.String()
}

// Learn takes the values of Authentication-Info and Proxy-Authentication-Info of the
// response that ended a: they may name the nonce for the next request.
func (c *Client) Learn(r *Request, a *Attempt, www, proxy []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, h := range [...]struct {
		space  int
		values []string
	}{{r.www(), www}, {spaceProxy, proxy}} {
		used, k := a.used[h.space], r.key(h.space)
		if used == nil || len(h.values) != 1 || c.sessions[k] != used {
			continue
		}
		next := ""
		if params(h.values[0], func(name, value string) {
			if name == "nextnonce" {
				next = value
			}
		}) && next != "" {
			s := &session{challenge: used.challenge}
			s.challenge.Nonce = next
			c.sessions[k] = s
		}
	}
}

// Room is how many bytes more than a has now its credentials may take in the end, where
// nobody has asked yet: an estimate, on the high side.
func (c *Client) Room(r *Request, a *Attempt) int {
	const usual = 512 // the longest response, a realm, nonce and opaque of common length, and names
	return max(usual+len(c.username)+len(r.URI)-len(a.lines), 0)
}
