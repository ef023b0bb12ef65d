package component

import (
	"strings"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// The barrier of our own domain says that our server has taken a message, which
// for the users of another domain is not the end of the way: it may have to go to
// another server. So every domain but that of the server has barriers of its own,
// pings to that domain. If it is local after all they do no harm.

const (
	maxDomains   = 1024             // with a track at the same time
	forgetDomain = time.Minute      // a track without anything in it goes after so long
	maxMisses    = 3                // barriers in a row that did not come home in time ...
	suspension   = time.Minute      // ... and for so long nobody waits for that domain
	probeEvery   = 10 * time.Second // while it is suspended
)

// domainHealth is what is known about another domain.
type domainHealth struct {
	misses         int       // barriers in a row
	suspendedUntil time.Time // zero: not suspended
	probeAt        time.Time // suspended: when the next ping is due
	used           time.Time // when the last stanza was appended
}

func (h *domainHealth) suspended() bool { return !h.suspendedUntil.IsZero() }

// trust ends the count of misses, and a suspension. What was appended meanwhile is
// Unknown and needs no barrier.
func (t *track) trust() {
	if t.misses = 0; t.suspended() {
		t.suspendedUntil = time.Time{}
		t.covered = t.last
	}
}

// trackOf is the track whose barrier decides on a stanza to that domain; nil if
// there are too many. For errors that we send our own domain suffices. q.mu is
// held.
func (q *queue) trackOf(a *addressed, now time.Time) *track {
	if q.isOwn(a) {
		return &q.own
	}
	domain := a.to.Domain()
	t := q.recent
	if t == nil || t.domain != domain {
		t = q.domains[domain]
	}
	if t == nil {
		if len(q.domains) >= maxDomains && !q.forgetIdle() {
			return nil
		}
		t = &track{domain: domain, numbers: q.counts.Barriers} // none that a track before it has used
		q.domains[domain] = t
		q.lookAt(now.Add(forgetDomain))
	}
	t.used, q.recent = now, t
	return t
}

// isOwn reports whether the barriers of our own domain decide on a stanza.
func (q *queue) isOwn(a *addressed) bool {
	domain := a.to.Domain()
	return !a.bounces || domain == q.parent || domain == q.domain.Domain()
}

// idle reports whether nothing is under way. The misses of an idle track are
// remembered until its room is needed.
func (t *track) idle() bool { return t.front() == nil && len(t.open) == 0 && !t.suspended() }

// forgetIdle makes room for new tracks.
func (q *queue) forgetIdle() (any bool) {
	for name, t := range q.domains {
		if t.idle() {
			delete(q.domains, name)
			any = true
		}
	}
	q.recent = nil
	return any
}

// answered takes the answer to a ping to another domain: a result (f is nil) or
// an error. The reader calls it in stream order.
func (q *queue) answered(domain string, n uint64, f *mapping.Failure, now time.Time) {
	q.mu.Lock()
	defer q.releaseInTurn()
	t := q.domains[domain]
	if t == nil || !q.alive() {
		return
	}
	at := -1
	for i, b := range t.open {
		if b.n == n {
			at = i
		}
	}
	if at < 0 {
		return // too late, or never written
	}
	b := t.open[at]
	t.open = t.open[:copy(t.open, t.open[at+1:])]
	t.trust()
	switch {
	case at > 0:
		// An older one is missing. The way to that server may have broken between
		// them, and with it what was before.
		q.settleUpTo(t, b.covers, mapping.Unknown, nil)
		t.dropWaves(b.covers)
	case f == nil, f.Condition == mapping.CondServiceUnavailable, f.Condition == mapping.CondFeatureNotImplemented:
		q.confirm(t, &b, now)
	case strings.HasPrefix(string(f.Condition), "remote-server-"), f.Condition == mapping.CondInternalServerError:
		if n := len(t.waves); n > 0 { // an earlier barrier has found them handled
			q.settleUpTo(t, t.waves[n-1].upTo, mapping.Unknown, nil)
		}
		q.settleUpTo(t, b.covers, mapping.Bounced, f)
		t.dropWaves(b.covers)
	default:
		// Somebody would not let the ping pass: that says nothing about messages.
		q.settleUpTo(t, b.covers, mapping.Unknown, nil)
		t.dropWaves(b.covers)
	}
	q.writeBarriers(t, now)
}

// lookAfter does what time demands of another domain's track, and says when to
// look again. q.mu is held.
func (q *queue) lookAfter(t *track, now time.Time) (next time.Time) {
	for len(t.open) > 0 {
		b := t.open[0]
		if b.left.IsZero() {
			break // its time does not run yet
		}
		if late := b.left.Add(q.timeout); now.Before(late) {
			next = late
			break
		}
		// What it covered is older than it is, and Unknown by now.
		t.open = t.open[:copy(t.open, t.open[1:])]
		if t.misses++; t.misses >= maxMisses && !t.suspended() {
			t.suspendedUntil, t.probeAt = now.Add(suspension), now
			for _, p := range t.fifo[t.head:] {
				p.due = now
			}
			q.log.Warn("a domain does not answer pings: for a minute messages to it are not waited for", "to", t.domain)
		}
	}
	if t.suspended() {
		if !now.Before(t.suspendedUntil) {
			t.trust()
		} else {
			next = sooner(next, t.suspendedUntil)
			if len(t.open) == 0 && q.writing() {
				next = sooner(next, later(t.probeAt, now))
			}
		}
	}
	return next
}
