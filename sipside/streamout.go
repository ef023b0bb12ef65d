package sipside

import (
	"errors"
	"io"
	"sync"
	"time"
)

// What is written to a stream. Of a TCP connection it is written by whoever has brought
// something and finds that nobody is writing, as long as the system takes it at once: to
// wake a goroutine for it would take longer. The rest, and all of other connections, is
// left to the goroutine of write, so nobody waits for a slow peer.

const (
	maxRounds = 4        // how often push looks whether others have brought more meanwhile
	keptOut   = 64 << 10 // larger buffers are rare and not kept
)

// outBuffer is what bytes are put in until they are written. A connection that has nothing
// to write has none.
type outBuffer struct{ b []byte }

var outBuffers = sync.Pool{New: func() any { return &outBuffer{make([]byte, 0, 4<<10)} }}

// lastUse is when a request was put last. What the other side sends is no use of ours.
func (s *stream) lastUse() time.Time { return s.born.Add(time.Duration(s.spoke.Load())) }

// put has bytes written and tells where in the stream they begin. It never blocks, and
// calls nobody back. A peer that lets too much pile up loses the connection. b is one
// message, or a ping or pong.
func (s *stream) put(b []byte) (start uint64, ok bool) {
	start, ok = s.add(b, s.link)
	s.push()
	return start, ok
}

// putFrame is put for what is no message: it goes over the wire as it is.
func (s *stream) putFrame(b []byte) {
	s.add(b, nil)
	s.push()
}

// add is put for what leaves when push is called next, by whomever.
func (s *stream) add(b []byte, encode *link) (start uint64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.takes(len(b)) {
		return 0, false
	}
	if encode != nil || s.link == nil {
		s.show(false, b)
	}
	if encode != nil {
		return s.grown(encode.encode(s.out, b)), true
	}
	return s.grown(append(s.out, b...)), true
}

// respond implements sender.
func (s *stream) respond(e *echo, r reply) bool {
	if s.link != nil || s.u.tapped() {
		_, ok := s.add(e.response(r), s.link)
		return ok
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.out
	if s.takes(0) {
		b = e.appendTo(s.out, r)
	}
	if len(b) == len(s.out) || !s.takes(len(b)-len(s.out)) {
		return false
	}
	s.grown(b)
	return true
}

// takes reports whether n bytes more can be put. If they are too many for what the peer
// has left unread, the connection is closed. The lock is held.
func (s *stream) takes(n int) bool {
	if s.closed || s.last {
		return false
	}
	if len(s.out)+n > maxUnwritten {
		s.shut(errSlowPeer)
		return false
	}
	if s.out == nil {
		s.hold = outBuffers.Get().(*outBuffer)
		s.out = s.hold.b
	}
	return true
}

// grown is told of out with something appended to it, and tells where that begins in the
// stream. The lock is held.
func (s *stream) grown(out []byte) (start uint64) {
	start = s.queued
	s.queued += uint64(len(out) - len(s.out))
	s.out = out
	return start
}

// push implements sender.
func (s *stream) push() {
	s.mu.Lock()
	if s.writing || s.behind || len(s.out) == 0 || s.closed {
		s.mu.Unlock() // whoever writes looks again
		return
	}
	if s.quick == nil {
		s.mu.Unlock()
		s.signal()
		return
	}
	s.writing = true
	for round := 0; round < maxRounds && len(s.out) > 0 && !s.closed; round++ {
		out, hold := s.take()
		s.mu.Unlock()
		n, err := s.quick.write(out)
		s.mu.Lock()
		if rest := out[n:]; len(rest) > 0 {
			s.taken -= uint64(len(rest))
			rest = append(append(make([]byte, 0, len(rest)+len(s.out)), rest...), s.out...)
			recycle(s.out, s.hold)
			s.out, s.hold = rest, nil
			if err != nil {
				s.shut(err)
			}
		}
		recycle(out, hold)
		if n < len(out) {
			break
		}
	}
	s.writing, s.behind = false, len(s.out) > 0
	wake := s.behind || s.closed || s.last || s.stirs()
	s.mu.Unlock()
	if wake {
		s.signal()
	}
}

// take gives all that is to be written. From now on it may have left. The lock is held,
// and writing is set.
func (s *stream) take() (out []byte, hold *outBuffer) {
	out, hold = s.out, s.hold
	s.out, s.hold = nil, nil
	s.taken += uint64(len(out))
	return out, hold
}

// recycle gives back the buffer that out is in, or has outgrown.
func recycle(out []byte, hold *outBuffer) {
	if hold != nil && cap(out) <= keptOut {
		hold.b = out[:0]
		outBuffers.Put(hold)
	}
}

func (s *stream) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// write is the goroutine that writes what push has left, and pings. When it ends the
// connection is closed and whoever had something on it has been told.
func (s *stream) write() {
	var keep keeper
	for {
		s.mu.Lock()
		if s.writing { // it wakes us if something is left; if nothing is, pings are still ours
			s.mu.Unlock()
			s.rest(&keep)
			continue
		}
		if s.closed {
			s.mu.Unlock()
			break
		}
		if len(s.out) == 0 {
			if s.last {
				s.mu.Unlock()
				if s.link != nil {
					s.link.farewell()
				}
				s.close(nil)
				break
			}
			s.mu.Unlock()
			s.rest(&keep)
			continue
		}
		s.writing = true
		before := s.taken
		out, hold := s.take()
		s.mu.Unlock()

		s.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
		n, err := s.conn.Write(out)
		if s.quick != nil && err == nil {
			s.conn.SetWriteDeadline(time.Time{}) // or it would pass, and nothing be taken at once
		}
		s.mu.Lock()
		s.writing, s.behind = false, len(s.out) > 0
		if err != nil {
			s.taken = before + uint64(n)
			s.shut(err)
			s.mu.Unlock()
			break
		}
		s.mu.Unlock()
		recycle(out, hold)
	}
	s.mu.Lock()
	taken, err := s.taken, s.err
	s.mu.Unlock()
	s.u.conns.remove(s)
	s.u.client.lost(s, taken, err)
	s.u.flowLost(s)
}

// shut closes the connection at once. The lock is held.
func (s *stream) shut(err error) {
	if s.closed {
		return
	}
	s.closed = true
	if s.err == nil {
		s.err = err
	}
	s.conn.Close()
	s.signal()
}

// close closes the connection; what was not written is lost.
func (s *stream) close(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shut(err)
}

// finish closes the connection once what was put so far is written; err says why.
func (s *stream) finish(err error) {
	if err == nil || errors.Is(err, io.EOF) {
		err = errClosed
	}
	s.mu.Lock()
	s.last = true
	if s.err == nil {
		s.err = err
	}
	s.mu.Unlock()
	s.signal()
}
