package component

import (
	"maps"
	"slices"
	"time"

	"github.com/stoxgw/stox/internal/hist"
)

// Counts are totals since New.
type Counts struct {
	Barriers    uint64 // written
	Uncertain   uint64 // stanzas that were unconfirmed when a link was lost; whatever became of them then
	Rewritten   uint64 // of these, written once more
	LateBounces uint64 // error stanzas that belong to nothing pending: late, or forged
}

// Stats is how a Component does, for metrics and diagnosis. It names nobody but the
// component itself.
type Stats struct {
	Counts
	Connected uint64            // links that came up
	Failures  map[string]uint64 // links that broke or never came up, by one of Reasons
	Trips     hist.Histogram    // round trips of the barriers of our own domain, in seconds

	Pending   int           // stanzas without an outcome
	Unwritten int           // octets that the kernel has not taken
	Suspended int           // domains that do not answer pings, and are not waited for
	Behind    time.Duration // how long something has been due that nobody has seen to; 0 as a rule
}

// Reasons are what Stats.Failures is counted by: our own words of Status.Reason, the stream
// errors of RFC 6120 §4.9.3, and "other" for all that the other end may make up. In the
// order of the alphabet.
var Reasons = []string{
	"bad-format", "bad-namespace-prefix", "bad-xml", "closed", "conflict", "connect", "connection-timeout", "dns", "dropped", "handshake-dropped",
	"handshake-timeout", "host-gone", "host-unknown", "improper-addressing", "internal-server-error", "invalid-from", "invalid-namespace", "invalid-xml",
	"lost", "not-a-component-port", "not-authorized", "not-well-formed", "other", "policy-violation", "refused", "remote-connection-failed", "reset",
	"resource-constraint", "restricted-xml", "see-other-host", "silent", reasonSplit, "stalled", "system-shutdown", "timeout", "too-big", "unanswered",
	"undefined-condition", "unreachable", "unsupported-encoding", "unsupported-feature", "unsupported-stanza-type", "unsupported-version",
}

// knownReason is reason, if it is one of Reasons.
func knownReason(reason string) string {
	if _, ok := slices.BinarySearch(Reasons, reason); ok {
		return reason
	}
	return "other"
}

// Counts reports what has been counted so far.
func (c *Component) Counts() Counts {
	c.q.mu.Lock()
	defer c.q.mu.Unlock()
	return c.q.counts
}

// Stats reports how the component does at this moment.
func (c *Component) Stats() Stats {
	s := c.q.stats(time.Now())
	c.mu.Lock()
	defer c.mu.Unlock()
	s.Connected, s.Failures = c.connected, maps.Clone(c.failures)
	return s
}

func (q *queue) stats(now time.Time) Stats {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := Stats{Counts: q.counts, Trips: q.trips, Pending: q.pending.open, Unwritten: int(q.end - q.written)}
	for _, t := range q.domains {
		if t.suspended() {
			s.Suspended++
		}
	}
	if !q.due.IsZero() {
		s.Behind = max(now.Sub(q.due), 0)
	}
	return s
}
