package sipside

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stoxgw/stox/mapping"
)

const (
	minBurst   = 10      // requests that any source may send at once
	maxSources = 4096    // that are counted
	maxDenied  = 1 << 16 // requests beyond the rate in each generation that copies are known of
)

// rates bounds the requests a second of each source (SEC-24): a second's worth at once, at
// least minBurst. Only peers are counted, so that the table is theirs; when more addresses
// than it has room for are peers, some begin anew.
type rates struct {
	most atomic.Int64 // a second; 0: any number

	mu      sync.Mutex // guards the following
	buckets map[netip.Addr]*bucket
	source  netip.Addr            // that was counted last,
	last    *bucket               // and its bucket; nil: there is none
	denied  [2]map[txKey]struct{} // the newer first
	turned  time.Time             // when the newer one began
	told    time.Time             // when the log was
	over    uint64                // requests since then that were too many
}

// bucket is what a source may still send at once, and when that was so.
type bucket struct {
	left float64
	at   time.Time
}

// newRates has no limit with 0.
func newRates(perSecond int) *rates {
	r := &rates{buckets: make(map[netip.Addr]*bucket)}
	r.limit(perSecond)
	return r
}

// limit changes how many requests a second there may be. What a source has used up counts on.
func (r *rates) limit(perSecond int) { r.most.Store(int64(max(perSecond, 0))) }

// off reports whether there is no limit.
func (r *rates) off() bool { return r.most.Load() == 0 }

// take counts a request; false if it is one too many.
func (r *rates) take(source netip.Addr, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.count(source, now)
}

// takeNew is take for a request over UDP; denied says that it is a copy of one that was one
// too many, which is not counted.
func (r *rates) takeNew(k txKey, source netip.Addr, now time.Time) (ok, denied bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.isDenied(k, now) {
		return false, true
	}
	return r.count(source, now), false
}

// giveBack takes back what was counted last of a source: it was a copy of a request.
func (r *rates) giveBack(source netip.Addr) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if b := r.buckets[hostOf(source)]; b != nil {
		b.left++
	}
}

// count counts a request. The lock is held.
func (r *rates) count(source netip.Addr, now time.Time) bool {
	most := r.most.Load()
	if most == 0 {
		return true
	}
	perSecond, burst := float64(most), float64(max(most, minBurst))
	if r.last == nil || r.source != source {
		host := hostOf(source)
		r.source, r.last = source, r.buckets[host]
		if r.last == nil {
			makeRoom(r.buckets, maxSources)
			r.last = &bucket{burst, now}
			r.buckets[host] = r.last
		}
	}
	return r.last.take(perSecond, burst, now)
}

func (b *bucket) take(perSecond, burst float64, now time.Time) bool {
	if passed := now.Sub(b.at); passed > 0 {
		b.left, b.at = min(b.left+passed.Seconds()*perSecond, burst), now
	}
	if b.left < 1 {
		return false
	}
	b.left--
	return true
}

// deny remembers a request over UDP that was one too many. It stays that: else a copy of
// it, under way already when its sender was told so, would be let in.
func (r *rates) deny(k txKey, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turn(now)
	if len(r.denied[0]) >= maxDenied {
		r.denied[1], r.denied[0], r.turned = r.denied[0], nil, now
	}
	if r.denied[0] == nil {
		r.denied[0] = make(map[txKey]struct{})
	}
	r.denied[0][k] = struct{}{}
}

// wasDenied reports whether a request is a copy of one that was one too many.
func (r *rates) wasDenied(k txKey, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.isDenied(k, now)
}

// isDenied is wasDenied with the lock held.
func (r *rates) isDenied(k txKey, now time.Time) bool {
	if len(r.denied[0]) == 0 && len(r.denied[1]) == 0 {
		return false
	}
	r.turn(now)
	for _, d := range r.denied {
		if _, ok := d[k]; ok {
			return true
		}
	}
	return false
}

// turn forgets what is older than Timer J. The lock is held.
func (r *rates) turn(now time.Time) {
	for i := 0; i < 2 && now.Sub(r.turned) >= timerJ; i++ {
		r.denied[1], r.denied[0], r.turned = r.denied[0], nil, r.turned.Add(timerJ)
	}
	if now.Sub(r.turned) >= timerJ {
		r.turned = now
	}
}

// inRate counts a request of a peer; false if it is one too many. A copy of one that is
// known is none of its own. This machine is not counted, unless a table has its address:
// the proxy that runs here brings what all others send. Nor is who has yet to prove for the
// first time to be a peer, and gets a few answers only; and what may prove it is counted
// when that is known: inRateAs.
func (u *UA) inRate(r *request) bool {
	switch {
	case u.rates.off() || r.peer == r.set.peers.loopback:
		return true
	case r.peer != nil:
		return u.within(u.rates, r)
	case !u.authenticator.isKnown(r.source.Addr(), r.read):
		return true
	case len(r.f.authorization) > 0 && r.method != "CANCEL": // but a copy stays what it was
		return !r.udp || !u.rates.wasDenied(r.key, r.read)
	}
	return u.within(u.unproved, r)
}

// inRateAs counts a request that had to prove of whom it is, once that was looked at. What
// proves nothing is counted by itself: whoever shares an address with a peer, or writes it
// on what it sends, takes nothing of what that may send.
func (u *UA) inRateAs(r *request) bool {
	switch {
	case u.rates.off():
		return true
	case r.peer != nil:
		return u.within(u.rates, r)
	case len(r.f.authorization) == 0 || !u.authenticator.isKnown(r.source.Addr(), r.read):
		return true // it was counted, or need not be
	}
	return u.within(u.unproved, r)
}

// within counts a request; false if it is one too many.
func (u *UA) within(s *rates, r *request) bool {
	if !r.udp {
		return s.take(r.source.Addr(), r.read)
	}
	ok, denied := s.takeNew(r.key, r.source.Addr(), r.read)
	switch {
	case denied:
		return false
	case ok: // the server gives it back if it turns out to be a copy
		r.counted = s == u.rates
		return true
	}
	r.rd.enter() // which may give something back
	switch {
	case u.server.knows(r.key, r.read):
		return true
	case s.take(r.source.Addr(), r.read):
		r.counted = s == u.rates
		return true
	}
	s.deny(r.key, r.read)
	return false
}

// tellRate tells the log that a peer sends too much, every ten minutes at most.
func (u *UA) tellRate(source netip.AddrPort, p *peer, now time.Time) {
	s := u.rates
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over++
	if !s.told.IsZero() && now.Sub(s.told) < tellAgain {
		return
	}
	name := "unknown"
	if p != nil {
		name = p.name
	}
	u.log.Warn("a SIP peer sends more requests than it may, and gets 503", "dir", "sip-xmpp", "peer", name, "from", source, "requests", s.over,
		"remedy", failRate().Remedy)
	s.told, s.over = now, 0
}

// failRate is for a source that sends too much. There is no Retry-After in it (SIP-30).
func failRate() *mapping.Failure {
	f := mapping.FailBusy(1)
	f.Remedy = "limits.peer_rate says how many requests a second one source may send"
	return f
}

// makeRoom forgets an entry of a table, whichever, if there are as many as there may be.
func makeRoom[K comparable, V any](table map[K]V, most int) {
	for k := range table {
		if len(table) >= most {
			delete(table, k)
		}
		return
	}
}

// hostOf is the address that a source is counted by: of IPv6 the network, as a host has as
// many addresses in it as it likes.
func hostOf(a netip.Addr) netip.Addr {
	a = a.WithZone("")
	if a.Is4() || a.Is4In6() {
		return a.Unmap()
	}
	p, _ := a.Prefix(64)
	return p.Addr()
}
