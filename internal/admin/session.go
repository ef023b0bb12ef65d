package admin

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"strings"
	"time"
)

// Whoever has shown the token in the form of /login is known by a cookie from then on, for
// sessionFor at most. The cookie is signed with a key that this process has made for itself:
// a restart ends all sessions, and nobody else can make one.

const (
	sessionCookie = "stox_session"
	sessionFor    = 12 * time.Hour
)

// sessions makes and checks cookies.
type sessions struct {
	key [sha256.Size]byte
	now func() time.Time
}

func newSessions() *sessions {
	s := &sessions{now: time.Now}
	_, _ = rand.Read(s.key[:]) // never fails
	return s
}

// begin is the cookie of a new session.
func (s *sessions) begin() *http.Cookie {
	var id [24]byte
	_, _ = rand.Read(id[8:])
	binary.BigEndian.PutUint64(id[:], uint64(s.now().Add(sessionFor).Unix()))
	value := base64.RawURLEncoding.EncodeToString(append(id[:], s.sign(id[:])...))
	return &http.Cookie{Name: sessionCookie, Value: value, Path: "/", MaxAge: int(sessionFor.Seconds()), HttpOnly: true, SameSite: http.SameSiteStrictMode}
}

// end is the cookie that takes the place of one that is given back.
func (s *sessions) end() *http.Cookie {
	return &http.Cookie{Name: sessionCookie, Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteStrictMode}
}

// good reports whether a cookie is one of ours that has not expired.
func (s *sessions) good(value string) bool {
	b, err := base64.RawURLEncoding.Strict().DecodeString(value)
	if err != nil || len(b) != 24+sha256.Size || !hmac.Equal(b[24:], s.sign(b[:24])) {
		return false
	}
	return s.now().Unix() < int64(binary.BigEndian.Uint64(b))
}

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
		http.SetCookie(rw, w.sessions.end())
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
