package admin

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"path"
	"strings"
	"sync"
	"syscall"
	"time"
)

// maxWebConns at the same time are served; more wait in the kernel. While more than keptWebConns
// are there each has one answer: browsers that ask every few seconds would hold all of them
// between their questions, and programs that ask would wait for good.
const (
	maxWebConns  = 32
	keptWebConns = maxWebConns / 2
)

// Web is the door for programs that watch: an HTTP server on admin.listen, with pages that
// others put there. It answers only where nothing foreign can be behind the question: with
// the token, or the cookie that a person gets for it; or, if there is no token, on loopback
// to who calls us by a name of loopback, which a web page that has made a name of its own
// lead here does not (DNS rebinding). It takes no bodies and redirects nobody, but for the
// form that takes the token.
type Web struct {
	listen string
	token  [sha256.Size]byte
	locked bool // there is a token
	log    *slog.Logger
	mux    *http.ServeMux

	sessions *sessions
	login    func(http.ResponseWriter, *http.Request, Login) // of HandleLogin; nil: there is no form
	pages    map[string]bool                                 // patterns of the mux that are for people
	ending   chan struct{}                                   // closed when Run ends: streams are over

	l        *bounded // of Listen
	loopback bool     // nobody but this machine comes there

	mu     sync.Mutex // guards the following
	denied uint64
	told   time.Time // when the log was told of the last one
}

// Access says who may see a page.
type Access int

// The kinds of access.
const (
	Anybody Access = iota // the page tells by Trusted what it shows
	Guarded               // the token, if there is one
	Locked                // the token, and without one nobody
	Paged                 // Guarded, for people: the cookie does as well, and who has none gets the form
	Plain                 // Anybody, for what belongs to such pages and tells nothing: where they are asked for by another name, it is there as well
)

// NewWeb makes a Web for host:port, with an empty one nobody is answered; token may be
// empty. It opens nothing.
func NewWeb(listen, token string, log *slog.Logger) *Web {
	w := &Web{listen: listen, token: sha256.Sum256([]byte(token)), locked: token != "", log: log, mux: http.NewServeMux(),
		sessions: newSessions(), pages: map[string]bool{"POST /login": true, "POST /logout": true}, ending: make(chan struct{})}
	w.putProfiles()
	return w
}

// Handle puts a page at a path, for GET and HEAD. Call it before Run.
func (w *Web) Handle(path string, a Access, h http.Handler) {
	w.mux.Handle("GET "+path, w.guard(a, h))
	w.pages["GET "+path] = a == Paged || a == Plain
}

var webCauses = []struct {
	err          error
	text, remedy string
}{
	{syscall.EADDRINUSE, "is taken by another program", "ss -lntp shows which: stop it, or set another admin.listen (\"\" turns it off)"},
	{syscall.EACCES, "is not allowed for this user", "take a port above 1023"},
	{syscall.EADDRNOTAVAIL, "is no address of this machine", "ip address shows those it has"},
}

// Listen opens the port, so that the daemon can say what is wrong before it is ready. The
// error says how to mend it.
func (w *Web) Listen() error {
	if w.listen == "" {
		return nil
	}
	l, err := net.Listen("tcp", w.listen)
	if err != nil {
		what, remedy := "cannot be listened on", "see admin.listen"
		for _, c := range webCauses {
			if errors.Is(err, c.err) {
				what, remedy = c.text, c.remedy
			}
		}
		return fmt.Errorf("admin.listen: %s %s: %w; %s", w.listen, what, err, remedy)
	}
	w.l = newBounded(l, maxWebConns)
	w.l.streams = make(chan struct{}, maxStreams)
	a, err := netip.ParseAddrPort(l.Addr().String())
	w.loopback = err == nil && a.Addr().IsLoopback()
	return nil
}

// Addr is where it listens, nil if it does not.
func (w *Web) Addr() net.Addr {
	if w.l == nil {
		return nil
	}
	return w.l.Addr()
}

// Close gives the port of Listen back if Run is not going to be called.
func (w *Web) Close() error {
	if w.l == nil {
		return nil
	}
	return w.l.Close()
}

// Run answers until ctx is done, lets answers that are being given end, within bounds, and
// waits for everything it started. Call it once, after Listen.
func (w *Web) Run(ctx context.Context) error {
	if w.l == nil {
		<-ctx.Done()
		return nil
	}
	defer w.l.Close()
	stop := context.AfterFunc(ctx, func() { close(w.ending) })
	defer stop()
	return serveOn(ctx, w.l, w, w.log)
}

// ServeHTTP answers one request.
func (w *Web) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	h := rw.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	if w.l != nil && len(w.l.room) > keptWebConns {
		h.Set("Connection", "close")
	}
	switch {
	case w.loopback && !ownName(r.Host) && !w.hasToken(r) && !(w.locked && w.isPage(r)):
		w.deny(r)
		http.Error(rw, "This is for programs on this machine: call it by 127.0.0.1 or localhost, or show the token (admin.token).", http.StatusForbidden)
	case !clean(r.URL.Path): // the mux would redirect to what it takes for the right spelling
		http.NotFound(rw, r)
	default:
		w.mux.ServeHTTP(rw, r)
	}
}

// isPage reports whether a request is for a page for people.
func (w *Web) isPage(r *http.Request) bool {
	_, pattern := w.mux.Handler(r)
	return w.pages[pattern]
}

// clean reports whether a path is spelled as the mux wants it.
func clean(p string) bool {
	c := path.Clean(p)
	return p == c || p == c+"/"
}

// ownName reports whether a Host header is a name that only leads to loopback.
func ownName(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	a, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return host == "" || host == "localhost" || err == nil && a.Unmap().IsLoopback()
}

// Trusted reports whether who asks may see more than that we are there.
func (w *Web) Trusted(r *http.Request) bool {
	return w.hasToken(r) || !w.locked && w.loopback
}

// hasToken reports whether a request shows the token: as a Bearer token, or as the password
// of whatever user.
func (w *Web) hasToken(r *http.Request) bool {
	if !w.locked {
		return false
	}
	given, ok := "", false
	if scheme, rest, found := strings.Cut(r.Header.Get("Authorization"), " "); found && strings.EqualFold(scheme, "Bearer") {
		given, ok = strings.TrimSpace(rest), true
	} else {
		_, given, ok = r.BasicAuth()
	}
	return ok && w.isToken(given)
}

func (w *Web) isToken(given string) bool {
	sum := sha256.Sum256([]byte(given)) // so that not even the length shows in the time it takes
	return w.locked && subtle.ConstantTimeCompare(sum[:], w.token[:]) == 1
}

func (w *Web) guard(a Access, h http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		switch {
		case a == Anybody, a == Plain, (a == Guarded || a == Paged) && w.Trusted(r), a == Locked && w.hasToken(r), a == Paged && w.HasSession(r):
			h.ServeHTTP(rw, r)
		case a == Paged && w.locked && w.login != nil:
			w.login(rw, r, Login{Status: http.StatusUnauthorized, Next: local(r.URL.RequestURI())})
		case !w.locked:
			w.deny(r)
			http.Error(rw, "This needs a token: set admin.token or admin.token_file.", http.StatusForbidden)
		default:
			w.deny(r)
			rw.Header().Set("WWW-Authenticate", `Bearer realm="stox"`)
			http.Error(rw, "The token (admin.token) is missing or wrong.", http.StatusUnauthorized)
		}
	})
}

// denyEvery is how often the log is told of those who were refused.
const denyEvery = time.Minute

func (w *Web) deny(r *http.Request) {
	now := time.Now()
	w.mu.Lock()
	w.denied++
	n, tell := w.denied, w.told.IsZero() || now.Sub(w.told) >= denyEvery
	if tell {
		w.told = now
	}
	w.mu.Unlock()
	if tell {
		w.log.Warn("a request to admin.listen was refused: it has not shown the token, or has called us by a strange name", "from", r.RemoteAddr, "count", n)
	}
}

// Denied is how many requests were refused.
func (w *Web) Denied() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.denied
}
