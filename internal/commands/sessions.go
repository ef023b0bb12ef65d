package commands

import (
	"crypto/rand"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// Bounds of sessions (XEP-0050 §3.3).
const (
	sessionTime   = 5 * time.Minute // after the last step
	maxSessions   = 1024
	maxSessionsOf = 8                // of one user; beyond that his oldest ends
	maxExpired    = 1024             // of those that are over it is remembered that they were
	expiredTime   = 10 * time.Minute // for so long
)

// session is a command that waits for its next step. Desk.mu guards it.
type session struct {
	id      string
	owner   mapping.JID // the full JID of the device that has begun it
	command *command    // nil: it has expired
	path    []string    // the stages that were asked, the last one at the end
	last    bool        // the answer completes the command
	shown   []string    // see question
	busy    bool        // a step is under way
	until   time.Time
}

// sessions are all of them. The zero value is not of use.
type sessions struct{ byID map[string]*session }

func newSessions() sessions { return sessions{byID: make(map[string]*session)} }

func (s *sessions) live() (n int) {
	for _, one := range s.byID {
		if one.command != nil {
			n++
		}
	}
	return n
}

// begin makes a session for a device, nil if there are too many.
func (s *sessions) begin(owner mapping.JID, c *command, now time.Time) *session {
	s.sweep(now)
	live, own := 0, 0
	var oldest *session
	for _, one := range s.byID {
		if one.command == nil {
			continue
		}
		live++
		if one.owner.Bare() != owner.Bare() {
			continue
		}
		own++
		if !one.busy && (oldest == nil || one.until.Before(oldest.until)) {
			oldest = one
		}
	}
	if own >= maxSessionsOf && oldest != nil {
		oldest.expire(now)
		live--
	}
	if live >= maxSessions {
		return nil
	}
	one := &session{id: rand.Text(), owner: owner, command: c}
	s.byID[one.id] = one
	return one
}

// find is the session of a device, nil if it has none of that id. It may have expired.
func (s *sessions) find(owner mapping.JID, id string, now time.Time) *session {
	one := s.byID[id]
	if one == nil || one.owner != owner {
		return nil
	}
	if one.command != nil && !one.busy && !now.Before(one.until) {
		one.expire(now)
	}
	return one
}

func (s *sessions) end(one *session) { delete(s.byID, one.id) }

// expire ends a session, so that its device is told why.
func (one *session) expire(now time.Time) {
	one.command, one.path, one.shown, one.until = nil, nil, nil, now.Add(expiredTime)
}

// sweep ends what has expired, and forgets what has been over for long.
func (s *sessions) sweep(now time.Time) {
	expired := 0
	for id, one := range s.byID {
		switch {
		case one.busy || now.Before(one.until):
		case one.command != nil:
			one.expire(now)
		default:
			delete(s.byID, id)
			continue
		}
		if one.command == nil {
			expired++
		}
	}
	for id, one := range s.byID {
		if expired <= maxExpired {
			return
		}
		if one.command == nil {
			delete(s.byID, id)
			expired--
		}
	}
}
