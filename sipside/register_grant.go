package sipside

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// What a registrar says, and when to ask it again. Nothing here has any state but paces.

// regVerdict is what the answer to a REGISTER means for the next one.
type regVerdict uint8

const (
	regAccepted regVerdict = iota
	regNext                // another server may do it; else it is tried again soon
	regWait                // it is tried again soon, and no other server would do better
	regRefused             // somebody has to mend something
)

// judgeRegister reads an outcome. To register twice does no harm, so what is uncertain goes
// to the next server, too.
func judgeRegister(o *mapping.Outcome) regVerdict {
	switch {
	case o.Accepted():
		return regAccepted
	case o.Kind != mapping.Answered && o.Failure != nil && o.Failure.Condition == mapping.CondResourceConstraint:
		return regWait
	case o.Kind != mapping.Answered:
		return regNext
	}
	switch o.Status {
	case 408, 430, 480, 500, 502, 503, 504:
		return regNext
	case 429, 482, 486, 491, 600, 603:
		return regWait
	}
	return regRefused
}

// grant is what a registrar has granted.
type grant struct {
	expires   time.Duration
	flowTimer time.Duration // within which it wants to hear of us (RFC 5626 §4.4); 0: it does not say
	outbound  bool          // it does as RFC 5626 says
}

// maxBindings is how many bindings of an answer are looked at: there may be those of other
// user agents.
const maxBindings = 2000

// readGrant finds our binding in a 2xx (RFC 3261 §10.2.4); false if it is not there. ours is
// the Contact that was sent, asked what it was to last. A border element on the way may have
// changed it, so a binding with our instance is ours (RFC 5626 §4.2), and one of the user's
// that is the only one; or any of the user's, if unique says that nobody else's has it.
func readGrant(f *fields, ours mapping.URI, instance string, asked time.Duration, unique bool) (g grant, ok bool) {
	if f == nil {
		return g, false
	}
	n, best := 0, 0
	var found nameAddr
	for _, row := range f.contacts {
		for row != "" && n < maxBindings {
			var one string
			if one, row = cutList(row); one == "" {
				continue
			}
			n++
			b, ok := parseNameAddr(one)
			if !ok {
				continue
			}
			if rank := likeness(&b, ours, instance, unique); rank > best {
				best, found = rank, b
			}
		}
	}
	if best == 0 || best == sameUser && n > 1 {
		return g, false
	}
	g.expires = asked
	if d, ok := parseExpiry(f.expires); ok {
		g.expires = d
	}
	if v, has := param(found.params, "expires"); has {
		if d, ok := parseExpiry(unquote(v)); ok {
			g.expires = d
		}
	}
	for _, row := range f.require {
		for row != "" {
			var tag string
			tag, row = cutList(row)
			g.outbound = g.outbound || strings.EqualFold(tag, "outbound")
		}
	}
	if d, ok := parseExpiry(f.flowTimer); ok && d > 0 {
		g.flowTimer = min(max(d, leastFlow), mostFlow)
	}
	return g, g.expires > 0
}

// How much a binding is like ours.
const (
	sameUser = iota + 1
	sameInstance
	sameContact
)

func likeness(b *nameAddr, ours mapping.URI, instance string, unique bool) int {
	u, err := mapping.ParseURI(b.uri)
	if err == nil && unique && u.User == ours.User {
		return sameContact
	}
	if err == nil && u.User == ours.User && u.Host == ours.Host && portOf(u) == portOf(ours) && transportOf(u) == transportOf(ours) {
		return sameContact
	}
	if v, has := param(b.params, "+sip.instance"); has && instance != "" && strings.EqualFold(unquote(v), "<"+instance+">") {
		return sameInstance
	}
	if err == nil && u.User == ours.User {
		return sameUser
	}
	return 0
}

func portOf(u mapping.URI) uint16 {
	switch {
	case u.Port != 0:
		return u.Port
	case u.Transport == "tls":
		return 5061
	}
	return 5060
}

func transportOf(u mapping.URI) string {
	if u.Transport == "" {
		return "udp"
	}
	return u.Transport
}

// parseExpiry reads delta-seconds. More than a day is a day.
func parseExpiry(s string) (time.Duration, bool) {
	s = strings.TrimSpace(s)
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if most := uint64(longestBinding / time.Second); err != nil || n > most {
		n = most
	}
	return time.Duration(n) * time.Second, true
}

const (
	leastFlow = 10 * time.Second
	mostFlow  = time.Hour

	shortBinding  = 2 * time.Minute // shorter ones are made anew at half their time
	leastRefresh  = 5 * time.Second
	spareTime     = timerF + 8*time.Second // for a request that is not answered, before the end
	shortestPause = 30 * time.Second       // between attempts that fail (RFC 5626 §4.5)
	longestPause  = 30 * time.Minute
	shortestMend  = 10 * time.Minute // after a refusal
	longestMend   = 2 * time.Hour
	longestLater  = time.Hour // that Retry-After may ask for
)

// refreshAfter is how long a binding is left alone: 80 to 90 % of its time, so that not all
// come at once and there is time for another try. Short ones are left alone for half of it.
func refreshAfter(granted time.Duration) time.Duration {
	if granted < shortBinding {
		return max(granted/2, leastRefresh)
	}
	wait := granted * 8 / 10
	return min(wait+rand.N(granted/10), granted-spareTime)
}

// atOnce is a moment, not the same for everybody whose connection has just broken.
func atOnce() time.Duration { return 100*time.Millisecond + rand.N(1900*time.Millisecond) }

// paces are the pauses between attempts that come to nothing (RFC 5626 §4.5).
type paces struct {
	failures, refusals int // in a row
}

func (p *paces) worked() { *p = paces{} }

// failed is the pause after a failure: half a minute, doubled with each one in a row up to
// half an hour, less up to a half that chance decides. later is what Retry-After asks for.
func (p *paces) failed(later time.Duration) time.Duration {
	p.failures++
	p.refusals = 0
	wait := min(shortestPause<<min(p.failures-1, 10), longestPause)
	return max(wait-rand.N(wait/2), min(later, longestLater))
}

// refused is the pause after a refusal: ten minutes, doubled with each one in a row up to
// two hours, and up to a tenth more.
func (p *paces) refused() time.Duration {
	p.refusals++
	p.failures = 0
	wait := min(shortestMend<<min(p.refusals-1, 10), longestMend)
	return wait + rand.N(wait/10)
}
