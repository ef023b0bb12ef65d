package sipside

import (
	"net/netip"
	"slices"
	"sync"
	"time"
)

const (
	strangerWindow  = time.Minute
	strangerAnswers = 3                // to one address over UDP, in that time
	strangerGuesses = 10               // wrong passwords from one address, in that time
	maxStrangers    = 4096             // addresses that are counted
	strangerBeyond  = 200              // answers a second to more addresses than that, where peers log in
	tellAgain       = 10 * time.Minute // the log
)

// strangers is what is known of sources that are no peers. Whatever they send, they get a
// few answers only: over UDP nobody knows who asked for them, and scanners come back to
// where there are some.
type strangers struct {
	mu       sync.Mutex // guards the following
	open     bool       // one of them may be a peer that has yet to log in
	answered tally
	beyond   bucket
	guessed  tally

	// Not yet in the log.
	told     time.Time
	requests uint64
	guesses  uint64 // wrong passwords
	hosts    map[netip.Addr]struct{}
}

// tally counts by address within a window of time, which is the same for all of them.
type tally struct {
	began time.Time
	n     map[netip.Addr]int
}

// expect says whether there are peers that log in.
func (s *strangers) expect(open bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open = open
}

// count enters one more, and tells how many there are now; false if there is no room to
// count it.
func (t *tally) count(a netip.Addr, now time.Time) (n int, ok bool) {
	if t.full(a, now) {
		return 0, false
	}
	t.n[a]++
	return t.n[a], true
}

// full reports whether there is no room to count a.
func (t *tally) full(a netip.Addr, now time.Time) bool {
	t.turn(now)
	return t.n[a] == 0 && len(t.n) >= maxStrangers
}

func (t *tally) turn(now time.Time) {
	if t.n == nil || now.Sub(t.began) >= strangerWindow {
		t.began, t.n = now, make(map[netip.Addr]int)
	}
}

// mayAnswer reports whether a source that is no peer gets one more answer over UDP. When
// too many sources are counted already, a new one gets none; but where peers log in a number
// of them take the place of others. Sources can be made up, and so keep no peer from being
// asked who it is; nor are we of much use to who makes them up to have others answered.
func (s *strangers) mayAnswer(a netip.Addr, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open && s.answered.full(hostOf(a), now) && s.beyond.take(strangerBeyond, strangerBeyond, now) {
		makeRoom(s.answered.n, maxStrangers)
	}
	n, ok := s.answered.count(hostOf(a), now)
	return ok && n <= strangerAnswers
}

// guess notes a wrong password. Who gives one has read a challenge of ours at this address.
func (s *strangers) guess(a netip.Addr, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.guesses++
	s.guessed.turn(now)
	makeRoom(s.guessed.n, maxStrangers)
	s.guessed.count(hostOf(a), now)
}

// mayGuess reports whether a password from that address is looked at.
func (s *strangers) mayGuess(a netip.Addr, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.guessed.turn(now)
	return s.guessed.n[hostOf(a)] < strangerGuesses
}

// notice counts a request from a source that is no peer, and tells the log of it: at once,
// and then of all that came meanwhile, every ten minutes at most.
func (u *UA) notice(r *request) {
	u.stats.Strangers.Add(1)
	if u.isBlocked(r.source.Addr()) {
		return // that is known
	}
	s := &u.strangers
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	if s.hosts == nil {
		s.hosts = make(map[netip.Addr]struct{})
	}
	if len(s.hosts) < maxStrangers {
		s.hosts[hostOf(r.source.Addr())] = struct{}{}
	}
	if !s.told.IsZero() && r.read.Sub(s.told) < tellAgain {
		return
	}
	args := []any{"dir", "sip-xmpp", "requests", s.requests, "sources", len(s.hosts), "last", r.source}
	if s.guesses > 0 {
		args = append(args, "wrong_passwords", s.guesses)
	}
	u.log.Info("SIP requests refused: they came from no peer", append(args, "remedy", strangerRemedy(r.set))...)
	s.told, s.requests, s.guesses = r.read, 0, 0
	clear(s.hosts)
}

func strangerRemedy(set *settings) string {
	remedy := "if one is a peer, list its address in sip.peer.addresses"
	if slices.ContainsFunc(set.peers.configured, func(p *peer) bool { return len(p.tlsNames) > 0 }) {
		remedy += ", or have it show a certificate for a name in sip.peer.tls_names that sip.tls_ca has signed"
	}
	if set.logsIn() {
		remedy += ", or have it log in as sip.peer.username"
	}
	return remedy
}

// worthAnswer reports whether a request of no peer gets an answer at all: over UDP only a
// few do. refused is the refusal, nil for a CANCEL that goes on.
func (u *UA) worthAnswer(r *request, refused *reply) bool {
	known := r.set.logsIn() && u.authenticator.isKnown(r.source.Addr(), r.read) && !u.isBlocked(r.source.Addr())
	answer := !r.udp || known || u.strangers.mayAnswer(r.source.Addr(), r.read)
	// Being asked for a password is how a peer that has one begins.
	if challenged := refused != nil && refused.status == 401; !answer || r.wrong || !challenged && !known {
		u.notice(r)
	}
	return answer
}

// stranger reports whether the connection is nobody's that we know, of whom nothing is even
// read. The registrar of an account is known: some of what it sends may be for that. Having been nobody's
// when it was accepted is not the last word: its client may have proved to be a peer, and
// the name of a route's host may have been looked up meanwhile. Of the read loop.
func (s *stream) stranger() bool {
	p := s.u.current().peers
	return !s.trusted() && p.find(s.remote.Addr()) == nil && s.holder(p) == nil && !s.u.lines.at(s.remote.Addr())
}

// trusted reports whether the connection is one of ours, or one that counts as a peer's. What
// it was made with, and has proved, stays good for it as long as there is that peer. Of the
// read loop.
func (s *stream) trusted() bool {
	set := s.u.current()
	switch {
	case s.dialed.Addr.IsValid(), s.peered && s.trustedBy == set:
		return true
	case !s.peered, set.users[s.user] == nil && set.peers.find(s.remote.Addr()) == nil && s.holder(set.peers) == nil:
		return false
	}
	s.trustedBy = set
	return true
}

// shaken finds out whose certificate the client has shown. Of the read loop.
func (s *stream) shaken() {
	if s.holder(s.u.current().peers) != nil {
		s.u.conns.admit(s)
		s.link.deadline = time.Now().Add(idleTimeout)
	}
}

// holder is the peer whose certificate the client has shown, nil if it is nobody's. Of the
// read loop.
func (s *stream) holder(p *peers) *peer {
	if s.link == nil || s.link.verified == nil {
		return nil
	}
	if s.ownerIn != p {
		s.owner, s.ownerIn = p.holder(s.link.verified), p
	}
	return s.owner
}

// mayProve reports whether one more message of a stranger is read, so that it may log in.
// After a few there is an end: each may be a password, or fill our memory. Where a peer has
// proved to be lately there may be more, as it may have many to send when it comes back.
func (s *stream) mayProve() bool {
	l := s.u.authenticator
	if !s.u.current().logsIn() {
		return false
	}
	s.tries++
	return s.tries <= loginTries || s.tries <= returnTries && l.isKnown(s.remote.Addr(), s.rd.readAt())
}
