package accounts

import (
	"maps"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// Whoever may have the gateway try passwords may not do so for ever: after a few that failed
// the user has to wait. It is counted by user and not by address, so that nobody can keep
// another one from his own; and one that works takes back none of those before, or whoever has
// an account would use it to go on guessing at that of another.
const (
	mostTries = 5
	triesFor  = 10 * time.Minute
	maxTriers = 10000
)

type tries struct{ of map[mapping.JID]tried }

type tried struct {
	n     int
	until time.Time
}

// wait is how long a user has to wait, 0 if he need not.
func (t *tries) wait(user mapping.JID, now time.Time) time.Duration {
	if one := t.of[user]; one.n >= mostTries {
		return max(0, one.until.Sub(now))
	}
	return 0
}

// failed counts one.
func (t *tries) failed(user mapping.JID, now time.Time) {
	one := t.of[user]
	if !now.Before(one.until) {
		one = tried{until: now.Add(triesFor)}
	}
	if one.n == 0 {
		t.makeRoom(now)
	}
	one.n++
	t.of[user] = one
}

// makeRoom keeps the table in its bound.
func (t *tries) makeRoom(now time.Time) {
	if len(t.of) < maxTriers {
		return
	}
	maps.DeleteFunc(t.of, func(_ mapping.JID, one tried) bool { return !now.Before(one.until) })
	for user := range t.of { // any one: he has a few more
		if len(t.of) < maxTriers {
			return
		}
		delete(t.of, user)
	}
}
