package locate

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// How long a target is avoided.
const (
	firstRest     = 30 * time.Second // after a failure; doubled with each one in a row
	longestRest   = 5 * time.Minute
	longestAsked  = time.Hour        // by Retry-After
	forgetFailure = 10 * time.Minute // since the last rest: the next failure is a first one
	silentRest    = 2 * time.Minute  // at least, after a question: until the next one is decided
)

// Health remembers which targets failed, so that others are tried before them. It only
// ever changes an order: what is avoided stays in every list, behind the rest, and is in
// its place again when its rest is over. It is safe for concurrent use, and
// the time is given by the caller.
type Health struct {
	most int

	some atomic.Int32 // how many are known: without the lock, for those who ask about nothing

	mu    sync.Mutex // guards the following
	known map[server]rest
}

// server is what fails or works. Over TLS the name belongs to it: a server that has no
// certificate for one domain may have one for another.
type server struct {
	transport Transport
	addr      netip.AddrPort
	name      string
}

type rest struct {
	failures int
	until    time.Time
	deaf     bool // has not even answered a question (Silent)
}

// NewHealth makes one that remembers at most so many targets.
func NewHealth(most int) *Health {
	return &Health{most: max(most, 1), known: make(map[server]rest)}
}

func keyOf(t Target) server {
	k := server{transport: t.Transport, addr: t.Addr}
	if t.Transport.Secure() {
		k.name = t.Name
	}
	return k
}

// Failed tells of a transport error, or of a request that had no answer at all in its
// time. It is avoided for 30 s, after the next failure for a minute, up to 5 minutes.
// Failures during a rest are of requests that were on their way already and do not
// lengthen it.
func (h *Health) Failed(t Target, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	k := keyOf(t)
	r := h.known[k]
	if now.Before(r.until) {
		return
	}
	if now.Sub(r.until) > forgetFailure {
		r.failures = 0
	}
	pause := firstRest << min(r.failures, 10)
	r.failures, r.until = r.failures+1, now.Add(min(pause, longestRest))
	h.put(k, r, now)
}

// Unavailable tells of a 503 with a Retry-After (RFC 3261 §21.5.4): the target is avoided
// for that long, an hour at most. Without one (0) nothing is remembered: the next target
// gets this request, and the next request comes here again.
func (h *Health) Unavailable(t Target, retryAfter time.Duration, now time.Time) {
	if retryAfter <= 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	k := keyOf(t)
	r := h.known[k]
	if until := now.Add(min(retryAfter, longestAsked)); until.After(r.until) {
		r.until = until
	}
	h.put(k, r, now)
}

// Worked tells of any other answer: the target is in its place again, and its next
// failure is a first one.
func (h *Health) Worked(t Target) {
	if h.some.Load() == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.forget(keyOf(t))
}

// forget is told that nothing is to be said of a target any more. The lock is held.
func (h *Health) forget(k server) {
	delete(h.known, k)
	h.some.Store(int32(len(h.known)))
}

// Silent tells that a target did not answer a question that only asks whether it is there
// (OPTIONS). If counts it is a failure, and the target is avoided until it has been asked
// again. A server that answers no questions at all may work nevertheless.
func (h *Health) Silent(t Target, counts bool, now time.Time) {
	if counts {
		h.Failed(t, now)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if r, ok := h.known[keyOf(t)]; ok {
		r.deaf = true
		if until := now.Add(silentRest); counts && until.After(r.until) {
			r.until = until
		}
		h.known[keyOf(t)] = r
	}
}

// Answers tells of the answer to such a question. A target that had not even answered those
// is in its place again. One that answers them all along and fails other requests has its
// rest: the answer to a question says nothing about those.
func (h *Health) Answers(t Target) {
	if h.some.Load() == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.known[keyOf(t)].deaf {
		h.forget(keyOf(t))
	}
}

// put remembers r. If there is no room, what is over is forgotten, else what is over
// first.
func (h *Health) put(k server, r rest, now time.Time) {
	if _, ok := h.known[k]; !ok && len(h.known) >= h.most {
		var first server
		var soonest time.Time
		for k, r := range h.known {
			if now.Sub(r.until) > forgetFailure {
				delete(h.known, k)
			} else if soonest.IsZero() || r.until.Before(soonest) {
				first, soonest = k, r.until
			}
		}
		if len(h.known) >= h.most {
			delete(h.known, first)
		}
	}
	h.known[k] = r
	h.some.Store(int32(len(h.known)))
}

// Avoided reports whether t is to be tried after others, and until when.
func (h *Health) Avoided(t Target, now time.Time) (until time.Time, yes bool) {
	if h.some.Load() == 0 {
		return time.Time{}, false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.known[keyOf(t)]
	return r.until, now.Before(r.until)
}

// Order returns the targets with those last that are avoided. The list itself is left as
// it is. It is for who walks the list in one go; who counts tries over a longer time
// uses Pick, since the order changes with what happens in between.
func (h *Health) Order(targets []Target, now time.Time) []Target {
	out := make([]Target, 0, len(targets))
	var last []Target
	for _, t := range targets {
		if _, yes := h.Avoided(t, now); yes {
			last = append(last, t)
		} else {
			out = append(out, t)
		}
	}
	return append(out, last...)
}

// Pick is the target for the n-th try of a request, counted round from 0: the n-th of
// the list, or the next one behind it that is not avoided; if all are, the n-th. A
// request whose tries fail one after the other so comes to every target that is worth a
// try. more is true if there is a target that no try has gone to yet. The list must not
// be empty.
func (h *Health) Pick(targets []Target, n int, now time.Time) (t Target, more bool) {
	at := int(uint(n) % uint(len(targets)))
	more = n >= 0 && n < len(targets)-1
	for i := range targets {
		t := targets[(at+i)%len(targets)]
		if _, yes := h.Avoided(t, now); !yes {
			return t, more
		}
	}
	return targets[at], more
}
