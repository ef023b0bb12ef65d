package sipside

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

const (
	maxOutgoing = 8192     // packets that wait to be sent over a socket
	maxPushed   = 256      // packets that one call of push sends
	slabSize    = 32 << 10 // responses are built in slabs of that size
	slabRoom    = 2 << 10  // that nearly all of them fit in
	keptPackets = 1024     // the longest list that is kept for the next packets
)

// sendQueue is what waits to be sent over a UDP socket.
//
// It is sent by whoever has brought something and finds that nobody is sending: to wake
// a goroutine for it would take longer than to send it. Whoever that is must not wait,
// and may be amid something that an error is told to, so push leaves to the goroutine of
// write what the system does not take at once, for whatever reason, and what others bring
// without end.
type sendQueue struct {
	mu      sync.Mutex // guards the following
	queue   []packet
	slab    []byte // what responses in queue are built in; what is before its length is theirs
	sending bool   // somebody has taken packets, and looks at queue when they are sent
	behind  bool   // what is in queue is left to write, and all that comes until it is gone
	closing bool
	wake    chan struct{}
	singly  atomic.Int64 // requests are in no piece before (Unix time in ns); not guarded by mu

	// Kept for the next packets, as long as nobody is sending.
	emptyQueue []packet
	emptySlab  []byte
}

// prompt are datagrams that can be sent without waiting.
type prompt interface {
	// try sends from the first on, until one of them is not taken at once. It calls nobody back.
	try(packets []packet) (n int)
}

// put has a packet sent. It never blocks, and calls nobody back, so locks may be held;
// false: it will not be sent.
func (s *udpSocket) put(p packet) bool {
	ok := s.putAll([]packet{p}) == 1
	s.push()
	return ok
}

// putAll is put for several packets, which leave when push is called next, by whomever:
// so a lock that is held here need not be held while the system sends. It tells how many
// were taken, from the first on; the others will not be sent. The packets are copied, the
// bytes of each are the socket's from now on.
func (s *udpSocket) putAll(list []packet) int {
	s.mu.Lock()
	n := min(len(list), s.room())
	s.queue = append(s.queue, list[:n]...)
	s.show(false, list[:n])
	s.mu.Unlock()
	if n < len(list) {
		s.u.stats.Dropped.Add(uint64(len(list) - n))
	}
	return n
}

// putFirst is putAll for requests that are sent first.
func (s *udpSocket) putFirst(list []*clientTx, now time.Time) int {
	pieces := !s.u.cfg.NoGSO && now.UnixNano() >= s.singly.Load()
	s.mu.Lock()
	n := min(len(list), s.room())
	before := len(s.queue)
	for _, tx := range list[:n] {
		s.queue = append(s.queue, packet{b: tx.wire, to: tx.dest, tx: tx, piece: pieces && tx.dest.Addr().IsLoopback()})
	}
	s.show(false, s.queue[before:])
	s.mu.Unlock()
	if n < len(list) {
		s.u.stats.Dropped.Add(uint64(len(list) - n))
	}
	return n
}

// respond implements sender.
func (s *udpSocket) respond(e *echo, r reply) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.room() == 0 {
		s.u.stats.Dropped.Add(1)
		return false
	}
	if cap(s.slab)-len(s.slab) < slabRoom {
		s.slab = make([]byte, 0, slabSize) // the old one is that of the packets in it
	}
	used := len(s.slab)
	b := e.appendTo(s.slab[used:used], r)
	if used+len(b) <= cap(s.slab) { // else it has outgrown it
		s.slab = s.slab[:used+len(b)]
	}
	s.queue = append(s.queue, packet{b: b, to: e.path.to, piece: !s.u.cfg.NoGSO})
	s.show(false, s.queue[len(s.queue)-1:])
	return true
}

// room tells how many packets can be put. The lock is held.
func (s *udpSocket) room() int {
	if s.closing {
		return 0
	}
	return max(maxOutgoing-len(s.queue), 0)
}

// push sees to it that what was put is sent. It never blocks, and calls nobody back.
func (s *udpSocket) push() {
	s.mu.Lock()
	if len(s.queue) == 0 || s.sending || s.behind {
		s.mu.Unlock()
		return
	}
	quick, ok := s.io.(prompt)
	if !ok {
		s.mu.Unlock()
		s.signal()
		return
	}
	s.sending = true
	for left := maxPushed; left > 0 && len(s.queue) > 0; {
		out, slab := s.take()
		s.mu.Unlock()
		n := quick.try(out[:min(left, len(out))])
		s.mu.Lock()
		left -= n
		if n < len(out) {
			s.queue = append(append(make([]packet, 0, len(out)-n+len(s.queue)), out[n:]...), s.queue...)
			break
		}
		s.recycle(out, slab)
	}
	s.sending, s.behind = false, len(s.queue) > 0
	wake := s.behind || s.closing
	s.mu.Unlock()
	if wake {
		s.signal()
	}
}

// take gives all that waits. The lock is held, and sending is set.
func (s *udpSocket) take() (out []packet, slab []byte) {
	out, slab = s.queue, s.slab
	s.queue, s.slab = s.emptyQueue, s.emptySlab
	s.emptyQueue, s.emptySlab = nil, nil
	return out, slab
}

// recycle keeps what held packets that are sent. The lock is held.
func (s *udpSocket) recycle(out []packet, slab []byte) {
	if cap(out) > keptPackets {
		return
	}
	clear(out)
	s.emptyQueue, s.emptySlab = out[:0], slab[:0]
}

func (s *udpSocket) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// write is the goroutine that sends what push has left. It ends once closeWriter was
// called and all is sent.
func (s *udpSocket) write() {
	for {
		s.mu.Lock()
		if s.sending || len(s.queue) == 0 {
			done := s.closing && !s.sending
			s.mu.Unlock()
			if done {
				return
			}
			<-s.wake
			continue
		}
		s.sending = true
		out, slab := s.take()
		s.mu.Unlock()
		s.writeAll(out)
		s.mu.Lock()
		s.recycle(out, slab)
		s.sending, s.behind = false, len(s.queue) > 0
		s.mu.Unlock()
	}
}

// writeAll sends packets one after the other, waiting for room where there is none.
func (s *udpSocket) writeAll(rest []packet) {
	for len(rest) > 0 {
		n, err := s.io.write(rest)
		if err != nil {
			untaken := rest[n:min(n+packetsOf(err), len(rest))]
			for _, p := range untaken {
				s.drop(p, err)
			}
			n += len(untaken)
		}
		rest = rest[n:]
	}
}

// noPieces has requests leave in no pieces for a while: one was refused, which may have been too
// long for somebody.
func (s *udpSocket) noPieces() { s.singly.Store(time.Now().Add(wholeFor).UnixNano()) }

// drop is told why a packet could not be sent.
func (s *udpSocket) drop(p packet, err error) {
	s.u.stats.Dropped.Add(1)
	s.u.log.LogAttrs(context.Background(), slog.LevelDebug, "cannot send a SIP packet",
		slog.Any("to", p.to), slog.Any("err", err))
	if p.tx != nil && !isLoss(err) { // else Timer E repeats it; it may be answered, and be another request by now
		s.u.client.unsent(p.tx, err)
	}
}

func (s *udpSocket) closeWriter() {
	s.mu.Lock()
	s.closing = true
	s.mu.Unlock()
	s.signal()
}

func (s *udpSocket) isClosing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing
}
