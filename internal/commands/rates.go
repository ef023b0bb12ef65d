package commands

import (
	"time"

	"github.com/stoxgw/stox/mapping"
)

// burstTime is how much a user may ask for at once: what comes in that time.
const burstTime = 10 * time.Second

// maxRates bounds the users who are counted. Those that come when there are so many share one
// count.
const maxRates = 4096

// rates has for each user when he may ask for a full burst again. One that is in the past is
// like one that is not there.
type rates map[mapping.JID]time.Time

// take counts one command of a user who may give so many a second. It says how long to wait if
// there is none left for him; 0: he may.
func (r rates) take(user mapping.JID, rate int, now time.Time) time.Duration {
	full, ok := r[user]
	if !ok && len(r) >= maxRates {
		for who, at := range r {
			if !at.After(now) {
				delete(r, who)
			}
		}
		if len(r) >= maxRates {
			user = mapping.JID{}
			full = r[user]
		}
	}
	if full.Before(now) {
		full = now
	}
	full = full.Add(max(time.Second/time.Duration(rate), 1))
	if wait := full.Sub(now) - burstTime; wait > 0 {
		return wait
	}
	r[user] = full
	return 0
}
