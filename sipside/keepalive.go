package sipside

import (
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// A connection that requests to a route go over is kept alive by pings when nothing comes
// over it (RFC 5626 §3.5.1): NAT does not forget it, and that the other side is gone shows
// before a message is lost. That a route is configured is the agreement that RFC 6223 asks
// for, and so is a registration; elsewhere where DNS leads there are no pings, and none on
// connections that were accepted.
const (
	pingAtLeast = 95 * time.Second
	pingAtMost  = 120 * time.Second
	pongTimeout = 10 * time.Second
)

const ping = "\r\n\r\n"

var errNoPong = errors.New("the peer does not answer a ping")

// keeper decides when to ping. Times count from the beginning of the connection.
type keeper struct {
	every  time.Duration // of silence until the next ping, drawn anew for each; 0: not yet
	pinged time.Duration // when the ping left that nothing has come after; 0: there is none
	within time.Duration // what the other side asks for (Flow-Timer); 0: nothing
}

// next tells what to do at now, when something has come at heard for the last time: send a
// ping, give up, or look again after wait.
func (k *keeper) next(now, heard time.Duration) (send, dead bool, wait time.Duration) {
	if k.pinged > 0 {
		switch {
		case heard >= k.pinged:
			k.pinged = 0
		case now-k.pinged >= pongTimeout:
			return false, true, 0
		default:
			return false, false, pongTimeout - (now - k.pinged)
		}
	}
	if k.every == 0 || k.within > 0 && k.every > k.within {
		k.every = pingAtLeast + rand.N(pingAtMost-pingAtLeast)
		if k.within > 0 {
			k.every = mostOf(k.within)
		}
	}
	if silence := now - heard; silence < k.every {
		return false, false, k.every - silence
	}
	k.pinged, k.every = now, 0
	return true, false, pongTimeout
}

// mostOf is 80 to 100 % of d, drawn anew each time (RFC 5626 §4.4.1).
func mostOf(d time.Duration) time.Duration { return d - rand.N(d/5+1) }

// isKept reports whether the connection is worth pings: requests to a route go over it, or
// what is for somebody who is registered comes over it.
func (s *stream) isKept() bool {
	if s.bindings.Load() > 0 {
		return true
	}
	w := s.kept.Load()
	return w != nil && !w.over.Load()
}

// minded is what the goroutine that writes has seen of what it keeps alive. It is not woken
// by what is written, so whoever writes compares.
type minded struct {
	kept  atomic.Bool
	timer atomic.Int64
}

// stirs reports whether there is something about keeping the connection alive that the
// goroutine that writes does not know.
func (s *stream) stirs() bool {
	return s.isKept() != s.minds.kept.Load() || s.timer.Load() != s.minds.timer.Load()
}

// rest waits until there may be something to write. It belongs to the goroutine that writes.
func (s *stream) rest(k *keeper) {
	kept, timer := s.isKept(), s.timer.Load()
	s.minds.kept.Store(kept)
	s.minds.timer.Store(timer)
	if !kept {
		<-s.wake
		return
	}
	k.within = time.Duration(timer)
	send, dead, wait := k.next(time.Since(s.born), time.Duration(s.heard.Load()))
	switch {
	case dead:
		s.close(errNoPong)
		return
	case send:
		s.pongs.Add(1)
		s.put([]byte(ping))
		return
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-s.wake:
	case <-t.C:
	}
}

// pong reports whether a line end at the start of what was read answers a ping of ours, and
// counts it.
func (s *stream) pong() bool {
	for {
		n := s.pongs.Load()
		if n == 0 {
			return false
		}
		if s.pongs.CompareAndSwap(n, n-1) {
			return true
		}
	}
}
