package sipside

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// server has the server transactions (RFC 3261 §17.2.2) of requests that are handed over.
type server struct {
	alarm      *alarm
	rates      *rates       // by which requests over UDP were counted
	accept     atomic.Int32 // the status for a message that was processed
	maxPending int
	keys       txKeys

	mu       sync.Mutex // guards the following
	pending  map[txKey]*serverTx
	answered answered
	trying   delays[*serverTx] // 100 is due (RFC 4320 §4.1)
	forget   delays[*serverTx] // from then on: its client has given up
	provided int               // of pending, those of registrars that are no peers
	draining bool
	idle     chan struct{} // closed when draining and nothing is pending
}

// serverTx is a request that waits for its answer. It is the Ref of its Parcel.
type serverTx struct {
	key     txKey
	echo    echo
	peer    *peer
	event   string // the method, if it is one of those about events
	udp     bool
	counted bool               // it counts as one of its source
	tried   bool               // 100 was sent; guarded by server.mu
	ended   bool               // guarded by server.mu
	timer   delayed[*serverTx] // in trying, then in forget
}

// messageTx is a MESSAGE and its transaction, which come and go together.
type messageTx struct {
	serverTx
	value mapping.SIPMessage
}

func newServer(cfg *Config, a *alarm, r *rates) *server {
	s := &server{alarm: a, rates: r, maxPending: cfg.MaxPending, pending: make(map[txKey]*serverTx), keys: newTxKeys(),
		trying: delays[*serverTx]{after: tryingAfter}, forget: delays[*serverTx]{after: timerF - tryingAfter}, idle: make(chan struct{})}
	s.accept.Store(int32(cfg.Accept))
	return s
}

// receive begins the transactions of requests that were read at a time, the Refs of a batch,
// and gives those of them that are to be handed over. What is a retransmission, and what there
// is no room for, has been dealt with.
func (s *server) receive(batch []mapping.Parcel[mapping.SIP], now time.Time) []mapping.Parcel[mapping.SIP] {
	begun, due := s.receiveAll(batch, now)
	clear(batch[len(begun):])
	if !due.IsZero() {
		s.alarm.at(due)
	}
	return begun
}

func (s *server) receiveAll(batch []mapping.Parcel[mapping.SIP], now time.Time) (begun []mapping.Parcel[mapping.SIP], due time.Time) {
	begun = batch[:0]
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range batch {
		tx := batch[i].Ref.(*serverTx)
		if r, known := s.copyOf(tx.key, now); known {
			if tx.counted { // a copy is none of its own
				s.rates.giveBack(tx.echo.path.to.Addr())
			}
			tx.echo.again(r)
			continue
		}
		if f := s.full(tx.peer); f != nil {
			r := refusal(f)
			if tx.udp { // or a copy of the request that comes later would be let in
				s.answered.put(tx.key, r, now)
			}
			tx.echo.answer(r)
			continue
		}
		s.pending[tx.key] = tx
		tx.peer.share.pending++
		if tx.peer.registrar != "" {
			s.provided++
		}
		due = s.trying.push(&tx.timer, tx, now)
		begun = append(begun, batch[i])
	}
	return begun, due
}

// repeated deals with a retransmission of a request that is pending or answered; false if
// it is none.
func (s *server) repeated(k txKey, e *echo, now time.Time) bool {
	s.mu.Lock()
	r, known := s.copyOf(k, now)
	s.mu.Unlock()
	if known {
		e.again(r)
	}
	return known
}

// copyOf tells what a retransmission gets: the answer that was given, 100 if that was all so
// far, or nothing, which is the zero reply. The lock is held.
func (s *server) copyOf(k txKey, now time.Time) (r reply, known bool) {
	if r, ok := s.answered.find(k, now); ok {
		return r, true
	}
	tx := s.pending[k]
	if tx != nil && tx.tried {
		r.status = 100
	}
	return r, tx != nil
}

// remember keeps the answer to a request over UDP that had no transaction, for its copies.
func (s *server) remember(k txKey, r reply, now time.Time) {
	s.mu.Lock()
	s.answered.put(k, r, now)
	due := s.answered.turns
	s.mu.Unlock()
	s.alarm.at(due)
}

// full says why one more request of p cannot be taken (SEC-30). The lock is held.
func (s *server) full(p *peer) *mapping.Failure {
	switch {
	case s.draining:
		return mapping.FailShutdown()
	case len(s.pending) >= s.maxPending:
		return mapping.FailOverloaded(2 * time.Second)
	case p.share.pending >= max(s.maxPending/4, 1):
		return mapping.FailBusy(1)
	case p.registrar != "" && (p.share.pending >= max(s.maxPending/16, 1) || s.provided >= max(s.maxPending/4, 1)):
		return mapping.FailBusy(1) // whom users have brought takes nothing of what peers need
	}
	return nil
}

// end takes a transaction out. The lock is held.
func (s *server) end(tx *serverTx) {
	tx.ended = true
	delete(s.pending, tx.key)
	tx.peer.share.pending--
	if tx.peer.registrar != "" {
		s.provided--
	}
	tx.timer.stop()
	if s.draining && len(s.pending) == 0 {
		s.closeIdle()
	}
}

// answer ends the transactions of a batch and sends their responses: under one lock, and
// those that go the same way in one go.
func (s *server) answer(batch []mapping.Result) {
	var to pushes
	due := s.answerAll(batch, &to)
	to.push()
	if !due.IsZero() {
		s.alarm.at(due)
	}
}

func (s *server) answerAll(batch []mapping.Result, to *pushes) (due time.Time) {
	now, accept := time.Now(), int(s.accept.Load())
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range batch {
		tx, ok := batch[i].Ref.(*serverTx)
		if !ok || tx.ended {
			continue
		}
		r := tx.reply(&batch[i].Outcome, accept)
		// Before end tells a waiting drain that nothing is left.
		tx.echo.answer(r)
		to.add(tx.echo.path.out)
		s.end(tx)
		if tx.udp {
			s.answered.put(tx.key, r, now)
		}
	}
	return s.answered.turns
}

// pushes are the senders that have something to send, each of them once as long as they
// are few. It must not be held on to.
type pushes struct {
	first sender
	more  []sender
}

func (p *pushes) add(s sender) {
	switch {
	case p.first == s:
	case p.first == nil:
		p.first = s
	case len(p.more) < 16 && slices.Contains(p.more, s), len(p.more) > 0 && p.more[len(p.more)-1] == s:
	default:
		p.more = append(p.more, s)
	}
}

// push lets all of them send. No lock is held.
func (p *pushes) push() {
	if p.first != nil {
		p.first.push()
	}
	for _, s := range p.more {
		s.push()
	}
}

// knows reports whether there is a transaction k, pending or answered.
func (s *server) knows(k txKey, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, known := s.copyOf(k, now)
	return known
}

// knowsAny reports whether there is a transaction that a CANCEL is for.
func (s *server) knowsAny(r *request) bool {
	of := *r
	for _, of.method = range [...]string{methodMessage, methodSubscribe, methodNotify, methodPublish} {
		if key, _ := s.keys.of(&of); s.knows(key, r.read) {
			return true
		}
	}
	return false
}

func (s *server) isDraining() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.draining
}

// drain refuses new requests; the channel is closed when no old one is pending.
func (s *server) drain() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draining = true
	if len(s.pending) == 0 {
		s.closeIdle()
	}
	return s.idle
}

func (s *server) closeIdle() {
	select {
	case <-s.idle:
	default:
		close(s.idle)
	}
}

// tick does what is due and tells when something is due next.
func (s *server) tick(now time.Time) time.Time {
	var to pushes
	next := s.tickAll(now, &to)
	to.push()
	return next
}

func (s *server) tickAll(now time.Time, to *pushes) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	var next time.Time
	for {
		e, due := s.trying.pop(now)
		if e == nil {
			next = due
			break
		}
		e.item.tried = true
		e.item.echo.answer(reply{status: 100})
		to.add(e.item.echo.path.out)
		s.forget.push(e, e.item, e.due)
	}
	for {
		e, due := s.forget.pop(now)
		if e == nil {
			next = earliest(next, due)
			break
		}
		s.end(e.item) // too late for any answer (RFC 4320 §4.2: never 408)
	}
	return earliest(next, s.answered.turn(now))
}
