package sipside

import (
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/stoxgw/stox/sipside/digest"
)

// There are phones that know MD5 alone, and give up where a challenge with SHA-256 stands
// beside one with MD5 (RFC 8760 §2.3 has both, the better one first). Whoever does not
// answer the two is asked with MD5 alone the next time. What is remembered is one user agent
// at one address, for a day at most, then it is asked with both again. Somebody who forges
// what is asked for here gets no more than MD5, which is accepted anyhow.

const (
	askedBoth = 2              // challenges that were not answered, before it is asked with MD5 alone
	askedFor  = time.Hour      // since the last request, how long that is remembered,
	askedMost = 24 * time.Hour // and since the first
	maxAsked  = 4096           // that are remembered; one of them goes when there are more
	maxAgent  = 64             // bytes of the name of a user agent
)

// agentAt is a user agent that is asked who it is: an address, and what it calls itself there.
type agentAt struct {
	addr  netip.Addr
	agent string
}

func agentOf(r *request) agentAt {
	return agentAt{r.source.Addr(), strings.Clone(r.f.agent[:min(len(r.f.agent), maxAgent)])} // or all of the header would be kept
}

// unanswered counts the challenges that user agents have not answered.
type unanswered struct {
	mu   sync.Mutex // guards the following
	seen map[agentAt]silence
}

type silence struct {
	n     int   // requests without credentials, up to one more than are asked with both
	last  txKey // the last of them
	began time.Time
	until time.Time
}

// silent is the entry after one more request.
func silent(n int, last txKey, began, now time.Time) silence {
	until := now.Add(askedFor)
	if most := began.Add(askedMost); most.Before(until) {
		until = most
	}
	return silence{n, last, began, until}
}

// again notes a request that answers no challenge, and reports whether it is asked with MD5
// alone. A copy of the last one is none of its own: who sends it has seen no challenge.
func (u *unanswered) again(a agentAt, k txKey, now time.Time) bool {
	if a.agent == "" { // could be anybody there
		return false
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	s, ok := u.seen[a]
	if !ok || !now.Before(s.until) {
		s.n, s.began = 0, now
	}
	if !ok {
		makeRoom(u.seen, maxAsked)
	}
	if s.n == 0 || s.last != k {
		s.n = min(s.n+1, askedBoth+1)
	}
	u.seen[a] = silent(s.n, k, s.began, now)
	return s.n > askedBoth
}

// weak reports whether a is asked with MD5 alone.
func (u *unanswered) weak(a agentAt, now time.Time) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	s, ok := u.seen[a]
	return ok && s.n >= askedBoth && now.Before(s.until)
}

// answered notes that a has proved who it is: with MD5 if it can do no better, so that it
// goes on being asked that way.
func (u *unanswered) answered(a agentAt, algorithm string, now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	s, ok := u.seen[a]
	switch {
	case !ok:
	case s.n >= askedBoth && algorithm == "MD5":
		u.seen[a] = silent(s.n, s.last, s.began, now)
	default:
		delete(u.seen, a)
	}
}

// challenges are those of a 401 to r. stale is as in digest.Server.Challenges.
func (l *authenticator) challenges(r *request, verdict digest.Verdict) []string {
	a := agentOf(r)
	weak := false
	if len(r.f.authorization) == 0 {
		weak = l.unanswered.again(a, r.key, r.read)
	} else {
		weak = l.unanswered.weak(a, r.read)
	}
	all := l.server.Challenges(a.addr.String(), verdict == digest.Stale, r.read)
	if weak {
		return all[len(all)-1:]
	}
	return all
}
