package digest

import (
	"sync"
	"time"
)

const (
	maxUses  = 8192 // nonces in each of two generations
	ncWindow = 64   // counts that may come out of order
)

// uses remembers how often nonces were used. Only who knows a password gets a nonce in
// here. What is forgotten for want of room makes every nonce that is not younger useless:
// one that was never used could not be told from it.
type uses struct {
	mu        sync.Mutex // guards the following
	now, old  map[nonceID]*use
	forgotten time.Time
}

// use is the highest count that came, and which of the 64 up to it did: bit 0 is itself.
type use struct {
	highest uint32
	seen    uint64
}

// take enters a use; false if it was entered before, or may have been.
func (u *uses) take(id nonceID, nc uint32) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	e := u.now[id]
	if e == nil {
		if e = u.old[id]; e == nil {
			if !id.time().After(u.forgotten) {
				return false
			}
			e = &use{}
		}
		u.keep(id, e)
	}
	switch {
	case nc > e.highest:
		if by := nc - e.highest; by < ncWindow {
			e.seen = e.seen<<by | 1
		} else {
			e.seen = 1
		}
		e.highest = nc
		return true
	case e.highest-nc >= ncWindow:
		return false
	}
	bit := uint64(1) << (e.highest - nc)
	if e.seen&bit != 0 {
		return false
	}
	e.seen |= bit
	return true
}

// keep puts an entry among the new ones, and forgets the old ones when these are full. The
// lock is held.
func (u *uses) keep(id nonceID, e *use) {
	delete(u.old, id)
	if len(u.now) >= maxUses {
		for id := range u.old {
			if t := id.time(); t.After(u.forgotten) {
				u.forgotten = t
			}
		}
		u.old, u.now = u.now, nil
	}
	if u.now == nil {
		u.now = make(map[nonceID]*use)
	}
	u.now[id] = e
}
