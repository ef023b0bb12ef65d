package component

import "time"

// The bounce that a user's own session makes (of a message from somebody who is
// blocked, on ejabberd) may come after the first barrier, and nothing says when it
// has to. So the second barrier waits, in three steps:
//
//   - It waits slowTrips times the longest round trip of a barrier, or lateFactor
//     times the longest time that a bounce came after its first barrier, if that is
//     more; what was seen counts half as much after each settleHalf.
//   - It waits settleTime at least, and coldSettle until a bounce has come after its
//     first barrier on this link, since the first refusal after its start takes a
//     server much longer; and never more than settleMost or a share of the time
//     after which nobody waits any more.
//   - A bounce that comes after its first barrier puts off the second for its own
//     message and those after it, since a session that is behind works in order.
//
// That is about the server and its sessions: another domain's pings do not learn.
const (
	settleTime = 20 * time.Millisecond  // 2 ms are enough for an idle ejabberd only
	coldSettle = 300 * time.Millisecond // seen: 5 to 200 ms; SIP over UDP sends again after 500
	settleMost = time.Second
	settleHalf = 5 * time.Second

	slowTrips   = 4
	lateFactor  = 2
	settleShare = 5 // of the barrier timeout
)

// settle is what a link has shown of its server's sessions. Each link begins anew.
// The queue's mutex guards it.
type settle struct {
	most  time.Duration
	warm  bool          // a bounce has come after its first barrier
	long  time.Duration // how long to wait because of what was seen
	seen  time.Time     // when that was
	until time.Time     // no wave is ripe before the one ahead of it
}

// ownTrack is the track of our own domain.
func ownTrack(domain string, timeout time.Duration) track {
	return track{domain: domain, home: true, settle: settle{most: mostOf(timeout)}}
}

// mostOf is the longest that a second barrier waits.
func mostOf(timeout time.Duration) time.Duration { return min(settleMost, timeout/settleShare) }

// wait is how long a second barrier waits.
func (s *settle) wait(now time.Time) time.Duration {
	least := settleTime
	if !s.warm {
		least = coldSettle
	}
	return min(max(least, s.rest(now)), s.most)
}

// rest is what still counts of what was seen. A caller that had to wait for the lock
// may be behind the one that saw it.
func (s *settle) rest(now time.Time) time.Duration {
	return s.long >> max(0, now.Sub(s.seen)/settleHalf)
}

func (s *settle) see(d time.Duration, now time.Time) {
	if d = min(d, s.most); d >= s.rest(now) {
		s.long, s.seen = d, now
	}
}

// trip takes note of the round trip of a barrier.
func (s *settle) trip(d time.Duration, now time.Time) { s.see(slowTrips*d, now) }

// late takes note that a bounce has come so long after its first barrier, and says
// until when what is behind that barrier has to wait.
func (s *settle) late(d time.Duration, now time.Time) (until time.Time) {
	s.warm = true
	d = min(lateFactor*d, s.most)
	s.see(d, now)
	until = now.Add(d)
	s.until = later(s.until, until)
	return until
}

// ripeAt is when a wave is ripe whose first barrier comes home now.
func (t *track) ripeAt(now time.Time) time.Time {
	if !t.home {
		return now.Add(settleTime)
	}
	t.settle.until = later(t.settle.until, now.Add(t.settle.wait(now)))
	return t.settle.until
}

// refused takes note of the bounce of a message that is pending at that position.
func (t *track) refused(pos uint64, now time.Time) {
	for i := range t.waves {
		if pos > t.waves[i].upTo {
			continue
		}
		until := t.settle.late(now.Sub(t.waves[i].since), now)
		for j := i; j < len(t.waves); j++ {
			t.waves[j].ripe = later(t.waves[j].ripe, until)
		}
		return
	}
}
