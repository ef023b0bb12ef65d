package sipside

import (
	"crypto/rand"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/stoxgw/stox/mapping"
	"github.com/stoxgw/stox/sipside/digest"
)

const (
	loginTries  = 4         // requests over a connection before one has proved who sends
	returnTries = 100       // the same, where a peer has proved to be
	loginKnown  = time.Hour // for how long an address is known that a peer has proved to be at
	maxLogins   = 4096      // such addresses
)

// authenticator has the peers that prove by digest who they are (RFC 3261 §22, RFC 8760): those of
// which no address and no certificate is known. Each of their requests does, over
// connections too: a proxy may share one among many.
type authenticator struct {
	server *digest.Server

	unanswered unanswered

	mu     sync.Mutex // guards the following
	known  map[netip.Addr]time.Time
	proved map[netip.AddrPort]time.Time // the same, with the port
}

// newAuthenticator is for the peers that u has settings of, now and later.
func newAuthenticator(u *UA) *authenticator {
	l := &authenticator{known: make(map[netip.Addr]time.Time), proved: make(map[netip.AddrPort]time.Time),
		unanswered: unanswered{seen: make(map[agentAt]silence)}}
	key := make([]byte, 32)
	rand.Read(key)
	l.server = digest.NewServer(u.cfg.SIPDomain, key, func(username string) (string, bool) {
		password, ok := u.current().passwords[username]
		return password, ok
	})
	return l
}

// isKnown reports whether a peer has proved lately to be at an address. It only says whom
// to answer, not whom to believe.
func (l *authenticator) isKnown(a netip.Addr, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	until, ok := l.known[a]
	return ok && now.Before(until)
}

func (l *authenticator) know(a netip.Addr, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.known[a]; !ok {
		makeRoom(l.known, maxLogins)
	}
	l.known[a] = now.Add(loginKnown)
}

// prove notes that a peer has proved to be at a source. It is not shut out with those who
// share its address, and try passwords there, unless it gives a wrong one itself.
func (l *authenticator) prove(source netip.AddrPort, now time.Time) {
	l.know(source.Addr(), now)
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.proved[source]; !ok {
		makeRoom(l.proved, maxLogins)
	}
	l.proved[source] = now.Add(loginKnown)
}

func (l *authenticator) hasProved(source netip.AddrPort, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	until, ok := l.proved[source]
	return ok && now.Before(until)
}

func (l *authenticator) doubt(source netip.AddrPort) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.proved, source)
}

// authenticate finds out which peer sent a request from an address that is nobody's, and
// sets r.peer. Otherwise it gives the refusal: a challenge, or the end of patience. A
// gateway is a UAS: 401, not 407.
func (u *UA) authenticate(r *request) *reply {
	l, addr := u.authenticator, r.source.Addr()
	if len(r.f.authorization) > 0 && !u.strangers.mayGuess(addr, r.read) && !l.hasProved(r.source, r.read) {
		refused := refusal(mapping.FailForbidden())
		return &refused
	}
	user, algorithm, verdict := l.server.Verify(r.method, r.target, r.f.authorization, r.body, addr.String(), r.read)
	if verdict == digest.OK && r.set.users[user] == nil { // it is one since a moment ago
		verdict = digest.Stale
	}
	switch verdict {
	case digest.OK:
		l.prove(r.source, r.read)
		l.unanswered.answered(agentOf(r), algorithm, r.read)
		r.peer, r.user = r.set.users[user], user
		return nil
	case digest.Wrong:
		r.wrong = true
		l.doubt(r.source)
		u.strangers.guess(addr, r.read)
		u.stats.Guesses.Add(1)
	}
	// ERR-10: never a 401 without a challenge.
	var extra strings.Builder
	for _, c := range l.challenges(r, verdict) {
		extra.WriteString("WWW-Authenticate: " + c + "\r\n")
	}
	return &reply{status: 401, extra: extra.String()}
}
