package presence

import "time"

// Tally counts what has happened since New.
type Tally struct {
	Relations int // there are now
	Watched   int // dialogs that were begun for users, or are being ended, and are there now
	Waiting   int // SUBSCRIBE requests that wait for their turn now
	Watchers  int // dialogs of SIP users who watch, be it for a last NOTIFY only
	Devices   int // of users, as they are known to contacts

	Subscribes  uint64 // SUBSCRIBE requests that were sent ...
	Failed      uint64 // ... and those that were not accepted
	Notifies    uint64 // NOTIFY requests that were taken ...
	Stale       uint64 // ... and those that belonged to nothing
	Notified    uint64 // NOTIFY requests that were sent ...
	NotNotified uint64 // ... and those that were not accepted
	Asks        uint64 // subscription requests to users ...
	NotAsked    uint64 // ... and those that were not sent, because there were too many
	Probes      uint64 // probes of users
	Unseen      uint64 // what users have shown and there was no room for
	Refused     uint64 // requests from SIP that were refused

	Published    int    // publications of contacts that there are now
	Publications int    // ... and of users, be it that they are still to be made
	Publishes    uint64 // PUBLISH requests that were sent ...
	NotPublished uint64 // ... and those that have failed

	Behind time.Duration // how long something has been due that Run has not seen to; 0 as a rule
}

// Tally gives the counts.
func (e *Engine) Tally() Tally {
	now := time.Now()
	e.mu.Lock()
	defer e.mu.Unlock()
	t := e.tally
	t.Published, t.Publications = e.compositor.all, e.publisher.all
	t.Relations = len(e.relations.all)
	t.Watched, t.Waiting = len(e.subscriber.byCall), e.subscriber.pace.waiting
	t.Watchers, t.Devices = e.notifier.total, e.notifier.cache.all
	if first := e.timers.first(); !e.ticked.IsZero() && !first.IsZero() {
		// What was due before Run looked for the last time is due since then: an earlier run
		// may have left it.
		t.Behind = max(min(now.Sub(first), now.Sub(e.ticked)), 0)
	}
	return t
}
