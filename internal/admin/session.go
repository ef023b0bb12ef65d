package admin

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Whoever has shown the token in the form of /login is known by a cookie from then on, for
// sessionFor at most. The cookie is signed with a key that this process has made for itself:
// a restart ends all sessions, and nobody else can make one.

const (
	sessionCookie = "stox_session"
	sessionFor    = 12 * time.Hour

	maxEnded = 1024 // sessions that were ended before their time and are remembered
)

// sessionID is when a session ends, and what no other one has.
type sessionID [24]byte

func (id sessionID) until() int64 { return int64(binary.BigEndian.Uint64(id[:])) }

// sessions makes and checks cookies.
type sessions struct {
	now func() time.Time

	mu    sync.Mutex // guards the following
	key   [sha256.Size]byte
	ended map[sessionID]bool // before their time
}

func newSessions() *sessions {
	s := &sessions{now: time.Now}
	s.renew()
	return s
}

// renew ends all sessions. mu is held, or nobody else has s.
func (s *sessions) renew() {
	_, _ = rand.Read(s.key[:]) // never fails
	s.ended = make(map[sessionID]bool)
}

// begin is the cookie of a new session.
func (s *sessions) begin() *http.Cookie {
	var id sessionID
	_, _ = rand.Read(id[8:])
	binary.BigEndian.PutUint64(id[:], uint64(s.now().Add(sessionFor).Unix()))
	s.mu.Lock()
	defer s.mu.Unlock()
	value := base64.RawURLEncoding.EncodeToString(append(id[:], s.sign(id[:])...))
	return &http.Cookie{Name: sessionCookie, Value: value, Path: "/", MaxAge: int(sessionFor.Seconds()), HttpOnly: true, SameSite: http.SameSiteStrictMode}
}

// end ends the session of a cookie, wherever else a copy of it may be, and gives the cookie that
// takes its place.
func (s *sessions) end(value string) *http.Cookie {
	s.mu.Lock()
	defer s.mu.Unlock()
	if id, ok := s.read(value); ok {
		maps.DeleteFunc(s.ended, func(id sessionID, _ bool) bool { return s.now().Unix() >= id.until() })
		if len(s.ended) >= maxEnded { // each of them has shown the token
			s.renew()
		} else {
			s.ended[id] = true
		}
	}
	return &http.Cookie{Name: sessionCookie, Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteStrictMode}
}

// good reports whether a cookie is one of ours that has not ended.
func (s *sessions) good(value string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.read(value)
	return ok
}

// read is the session of a cookie. mu is held.
func (s *sessions) read(value string) (id sessionID, ok bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(value)
	if err != nil || len(b) != len(id)+sha256.Size || !hmac.Equal(b[len(id):], s.sign(b[:len(id)])) {
		return id, false
	}
	id = sessionID(b[:len(id)])
	return id, s.now().Unix() < id.until() && !s.ended[id]
}

// sign is the signature of an id. mu is held.
func (s *sessions) sign(id []byte) []byte {
	mac := hmac.New(sha256.New, s.key[:])
	mac.Write(id)
	return mac.Sum(nil)
}

// HasSession reports whether a request has the cookie of one who has shown the token.
func (w *Web) HasSession(r *http.Request) bool {
	if !w.locked {
		return false
	}
	c, err := r.Cookie(sessionCookie)
	return err == nil && w.sessions.good(c.Value)
}

// Login is what the form of /login needs to know.
type Login struct {
	Status int    // to be written
	Next   string // the page that was asked for
	Wrong  bool   // a token was given that is not ours
}

// HandleLogin puts the form there that takes the token and gives a cookie for it. show writes
// it. Call it before Run.
func (w *Web) HandleLogin(show func(http.ResponseWriter, *http.Request, Login)) {
	w.login = show
	same := http.NewCrossOriginProtection() // the only requests that change anything
	w.mux.Handle("POST /login", same.Handler(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		next := local(r.PostFormValue("next"))
		switch {
		case !w.locked:
			http.NotFound(rw, r)
		case !w.isToken(strings.TrimSpace(r.PostFormValue("token"))):
			w.deny(r)
			show(rw, r, Login{Status: http.StatusUnauthorized, Next: next, Wrong: true})
		default:
			http.SetCookie(rw, w.sessions.begin())
			http.Redirect(rw, r, next, http.StatusSeeOther)
		}
	})))
	w.mux.Handle("POST /logout", same.Handler(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		value := ""
		if c, err := r.Cookie(sessionCookie); err == nil {
			value = c.Value
		}
		http.SetCookie(rw, w.sessions.end(value))
		http.Redirect(rw, r, "/", http.StatusSeeOther)
	})))
}

// local is a path of ours, "/" for whatever else somebody has put into a form.
func local(next string) string {
	if len(next) > 512 || !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\r\n\t") {
		return "/"
	}
	return next
}
