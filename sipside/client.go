package sipside

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"math"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/stoxgw/stox/mapping"
	"github.com/stoxgw/stox/sipside/digest"
	"github.com/stoxgw/stox/sipside/locate"
)

// client has the client transactions (RFC 3261 §17.1.2).
type client struct {
	u      *UA
	seed   maphash.Seed   // keys the part of a branch that says it is ours
	health *locate.Health // of targets
	sizes  sizeLog

	scratches sync.Pool

	mu       sync.Mutex // guards the following
	ids      ids
	spare    []*clientTx      // that were pooled, and are over
	results  []mapping.Result // of endPlain
	open     openTable
	held     map[hopKey]*holding // of open, by next hop
	lastHeld *holding            // the last one that was counted in; never nil
	events   int                 // of open, those about events
	accounts int                 // of open, those that keep the accounts of users
	steps    [len(timerE)]delays[*clientTx]
	expire   delays[*clientTx] // Timer F
	closed   bool
}

// clientTx is a request until its outcome is told: one of Deliver, or one of ours. It belongs
// to whoever sends it until sent is set. The fields from id on are guarded by client.mu,
// and cseq.
type clientTx struct {
	ref  any     // of Deliver
	done ownDone // of ours; nil for those of Deliver
	req  outRequest
	hop  *hop     // that of others, too: not changed
	text textSize // what count says of the text

	login   *login         // who we are there, nil: nobody
	attempt digest.Attempt // what the request says of it
	cseq    uint32         // of the request, if it was sent again for it

	id         uint64
	to         locate.Target // which target it goes to
	more       bool          // there is a target that the request has not been tried at
	moved      bool          // to TCP, for its size
	fallback   locate.Target // where it goes if there is no TCP; zero: nowhere
	sent       bool          // given to a socket
	dest       netip.AddrPort
	udp        *udpSocket
	stream     *stream
	start      uint64 // TCP: where in the stream the request begins
	wire       []byte // UDP: for retransmission; memory that stays with a request that is pooled
	pooled     bool   // nobody but the table, the timers and the socket's queue knows it
	holding    *holding
	step       int  // index in timerE
	repeated   bool // UDP: transmitted more than once
	proceeding bool
	ended      bool
	piece      pieceLinks         // of whoever sends it
	again      delayed[*clientTx] // Timer E
	giveUp     delayed[*clientTx] // Timer F
}

func newClient(u *UA) *client {
	c := &client{u: u, seed: maphash.MakeSeed(), health: locate.NewHealth(maxNames), sizes: sizeLog{log: u.log}, held: make(map[hopKey]*holding), lastHeld: new(holding)}
	for i := range c.steps {
		c.steps[i].after = timerE[i]
	}
	c.expire.after = timerF
	return c
}

// launch begins the transaction of tx. Its outcome is told in any case, and may be before
// launch returns.
func (c *client) launch(tx *clientTx) {
	tx.start = math.MaxUint64
	if f := c.begin(tx); f != nil {
		o := notWritten(f)
		c.tell(tx, &o, nil)
		return
	}
	if s := tx.hop.flow; s != nil && (c.sendFlow(tx, s) || !c.unflow(tx)) {
		return
	}
	tx.login = tx.hop.login
	if tx.hop.addr.IsValid() {
		c.send(tx, []locate.Target{tx.hop.direct()})
		return
	}
	c.u.names.lookup(tx.hop.query, func(n *name) {
		if n.failure != nil {
			c.fail(tx, notWritten(n.failure))
			return
		}
		c.send(tx, n.targets)
	})
}

// tell says what became of a request, with the headers of the final response if there was one.
func (c *client) tell(tx *clientTx, o *mapping.Outcome, f *fields) {
	switch {
	case tx.done != nil:
	case o.Kind == mapping.Answered: // by a read loop, which tells it before it reads on
		c.u.outbox.put(tx.ref, o)
		return
	default:
		c.u.outbox.add(tx.ref, *o)
		return
	}
	tx.done(ownAnswer{*o, f, tx.to, tx.stream})
}

// begin gives tx a place in the table (SEC-30) and its id. No next hop may have
// more than a quarter of the places, so that a dead one leaves room for others. Requests of
// ours are few, and find a place where messages would have to wait: without them none comes.
// Requests about events have a quarter as many places beside those of messages, of which a
// next hop has a quarter: however many there are, no message waits for one of them. Those that
// keep the accounts of users are not counted among messages, either: each account has one at most.
func (c *client) begin(tx *clientTx) *mapping.Failure {
	c.mu.Lock()
	defer c.mu.Unlock()
	tx.id = c.ids.next()
	return c.enter(tx)
}

// enter is begin for a request that has an id. The lock is held.
func (c *client) enter(tx *clientTx) *mapping.Failure {
	if c.closed {
		return mapping.FailShutdown()
	}
	most, key := c.u.cfg.MaxPending, tx.hop.key()
	count := c.open.count - c.events - c.accounts
	if tx.hop.events {
		most, count = max(most/4, 1), c.events
	}
	open := 0
	h := c.holdingOf(key)
	if h != nil {
		open = h.open
	}
	full := count >= most || open >= max(most/4, 1)
	if full && tx.done == nil || c.open.get(tx.id) != nil {
		return mapping.FailBusy(busySeconds)
	}
	c.open.put(tx)
	c.hold(tx, key, h)
	if tx.hop.events {
		c.events++
	}
	if tx.hop.account {
		c.accounts++
	}
	return nil
}

// send builds the request for its target and gives it to a socket. targets are those of
// the next hop, one at least.
func (c *client) send(tx *clientTx, targets []locate.Target) {
	if targets = c.u.abroad(tx.hop, targets); len(targets) == 0 {
		c.fail(tx, notWritten(failNear()))
		return
	}
	targets = c.u.reachable(targets)
	to, more := c.health.Pick(targets, tx.req.Target, time.Now())
	sock := c.u.udpFor(to.Addr.Addr())
	over, sentBy := viaTransport(to.Transport), c.u.streamSentBy(to.Transport)
	if sock != nil && to.Transport == locate.UDP {
		sentBy = sock.sentBy
	}
	// A NOTIFY goes on to the other end of the dialog, with all that is in it, and hardly
	// anybody on the way asks who it is of: credentials wait until somebody does.
	if tx.login != nil && tx.cseq == 0 && tx.req.method != methodNotify {
		tx.login.begin(tx, to)
	}
	scratch := c.scratch()
	defer c.keepScratch(scratch)
	wire := c.build(scratch, tx, over, sentBy)
	stream, room, f := tx.fit(len(wire), to.Transport != locate.UDP)
	moved := f == nil && stream && to.Transport == locate.UDP
	if (f != nil || moved) && tx.cseq == 0 && tx.req.auth != "" {
		// What nobody has asked for yet is no reason to go another way. How long it is was
		// up to the last server that asked, which may be one behind the next hop.
		tx.login.bare(tx)
		wire = c.build(scratch, tx, over, sentBy)
		stream, room, f = tx.fit(len(wire), to.Transport != locate.UDP)
		moved = f == nil && stream && to.Transport == locate.UDP
	}
	var fallback locate.Target
	if moved { // to TCP, for its size, with the Via that it has there
		if tx.req.event != nil && len(wire) <= maxDatagram {
			fallback = to
		}
		to, more = c.health.Pick(locate.OverTCP(targets), tx.req.Target, time.Now())
		n := len(wire) + len(viaTransport(to.Transport)) - len(over) + len(c.u.streamSentBy(to.Transport)) - len(sentBy)
		_, room, f = tx.fit(n, true)
	}
	// Another target, to which a part goes when this one fails, may see a longer Via.
	room = max(room-(c.u.maxSentBy-len(sentBy)), 0)
	if tx.login != nil && room > 0 { // and what it may be asked there
		room = max(room-tx.login.room(tx, to), 0)
	}
	c.sizes.note(tx, len(wire), moved, room, f)
	c.mu.Lock()
	if tx.cseq != 0 { // to the target that has asked, and not to another one
		more, moved = tx.more, moved || tx.moved
	}
	tx.to, tx.more, tx.moved, tx.fallback = to, more, moved, fallback
	c.mu.Unlock()
	switch dest := to.Addr; {
	case f != nil:
		o := notWritten(f)
		o.Room, o.Chars = room, tx.text.chars
		c.fail(tx, o)
	case c.u.isSelf(tx.hop.query.Host, to):
		c.fail(tx, notWritten(mapping.FailLoop()))
	case stream:
		c.u.conns.send(tx, connTo(to))
	case sock == nil:
		c.fail(tx, unreached(fmt.Errorf("sipside: no UDP socket that reaches %s", dest)))
	default:
		c.sendUDP(tx, sock, dest, bytes.Clone(wire))
	}
}

// fit decides about the size of tx: see hop.fit.
func (tx *clientTx) fit(n int, stream bool) (overTCP bool, room int, f *mapping.Failure) {
	if tx.req.event == nil {
		return tx.hop.fit(n, len(tx.req.Body), stream, tx.text.long)
	}
	overTCP, f = tx.hop.fitWhole(n, stream)
	return overTCP, 0, f
}

// sendTCP writes the request to a connection; false if that is closed by now and
// nothing was written.
func (c *client) sendTCP(tx *clientTx, s *stream) bool {
	scratch := c.scratch()
	defer c.keepScratch(scratch)
	wire := c.build(scratch, tx, viaTransport(tx.to.Transport), c.u.streamSentBy(tx.to.Transport))
	now := time.Now()
	c.mu.Lock()
	if tx.ended {
		c.mu.Unlock()
		return true
	}
	if tx.hop.watch != nil {
		s.kept.Store(tx.hop.watch)
	}
	s.asked.Store(true)
	s.spoke.Store(int64(now.Sub(s.born)))
	start, ok := s.put(wire)
	if !ok {
		c.mu.Unlock()
		return false
	}
	tx.sent, tx.stream, tx.start, tx.dest = true, s, start, s.remote
	due := c.expire.push(&tx.giveUp, tx, now)
	c.mu.Unlock()
	c.u.alarm.at(due)
	return true
}

// end takes tx out and tells its outcome. The lock is held.
func (c *client) end(tx *clientTx, o mapping.Outcome) { c.endWith(tx, &o, nil) }

// endWith is end with the headers of the final response. The lock is held. tx may be of
// another request when it returns.
func (c *client) endWith(tx *clientTx, o *mapping.Outcome, f *fields) {
	if tx.ended {
		return
	}
	c.takeOut(tx, o)
	c.tell(tx, o, f)
	c.recycle(tx, o)
}

// takeOut takes out what has ended, and completes its outcome. The lock is held.
func (c *client) takeOut(tx *clientTx, o *mapping.Outcome) {
	tx.ended = true
	c.open.remove(tx.id)
	c.let(tx)
	if tx.hop.events {
		c.events--
	}
	if tx.hop.account {
		c.accounts--
	}
	switch o.Kind {
	case mapping.Unknown:
		c.u.stats.unanswered[methodIndex(tx.req.method)].Add(1)
	case mapping.NotWritten:
		c.u.stats.unsent[methodIndex(tx.req.method)].Add(1)
	}
	o.More = tx.more && !o.Accepted()
	o.CSeq = tx.cseq
	c.judge(tx, o)
	tx.again.stop()
	tx.giveUp.stop()
}

// recycle gives the memory of what has ended to another request, if that can be. The lock is
// held.
func (c *client) recycle(tx *clientTx, o *mapping.Outcome) {
	if !tx.pooled || o.Kind != mapping.Answered {
		return
	}
	// Its only packet that knows it has left, or there would be no answer: the socket will
	// not come back to it. One that repeats it may still wait there.
	if tx.repeated {
		tx.wire = nil
	}
	c.freeTx(tx)
}

// judge remembers how the target of a request did. What ended for a lack of ours, or
// before there was a target, says nothing about it.
func (c *client) judge(tx *clientTx, o *mapping.Outcome) {
	switch {
	case tx.hop.account: // what becomes of it is up to what a user has entered
		if o.Kind == mapping.Answered && o.Status != 503 {
			c.health.Answers(tx.to)
			tx.hop.watch.heard()
		}
		return
	case tx.req.probe != nil:
		c.judgeProbe(tx, o)
		return
	}
	switch {
	case !tx.to.Addr.IsValid():
	case o.Kind == mapping.Answered && o.Status == 503:
		c.health.Unavailable(tx.to, o.Failure.RetryAfter, time.Now())
	case o.Kind == mapping.Answered:
		c.health.Worked(tx.to)
		tx.hop.watch.heard()
	case c.closed:
	case o.Kind == mapping.Unknown && tx.req.event != nil && tx.req.event.within:
		// It is the other end of the dialog that is gone, as like as not, and not a server
		// on the way: a dialog ends so each time somebody pulls a plug.
	case o.Kind == mapping.Unknown && !tx.proceeding, o.Kind == mapping.NotWritten && o.Failure.Condition == mapping.CondRemoteServerTimeout:
		c.health.Failed(tx.to, time.Now())
	}
}

func (c *client) fail(tx *clientTx, o mapping.Outcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.end(tx, o)
}

// undialed is told that no connection to the target of a request could be made.
func (c *client) undialed(tx *clientTx, err error) {
	if !errors.Is(err, context.Canceled) && c.overUDP(tx) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.end(tx, notWritten(unconnected(tx.moved, err)))
}

// unsent is told that the first transmission of a UDP request failed locally, for good:
// not for want of room (isLoss). A later one may be on its way by now.
func (c *client) unsent(tx *clientTx, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !tx.repeated && !tx.proceeding {
		c.end(tx, unreached(err))
	}
}

// lost ends what is open on a connection that is gone. Of its bytes all before
// taken may have left; what begins after them has not.
func (c *client) lost(s *stream, taken uint64, err error) {
	if !s.asked.Load() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, tx := range c.open.all() {
		switch {
		case tx.stream != s:
		case tx.start >= taken:
			c.end(tx, unreached(err))
		default:
			c.end(tx, unknown(err))
		}
	}
}

// tick retransmits and gives up, and tells when something is due next.
func (c *client) tick(now time.Time) (next time.Time) {
	next, socks := c.retransmit(now)
	for _, s := range socks {
		s.push()
	}
	return next
}

// retransmit is tick; socks have got something to send.
func (c *client) retransmit(now time.Time) (next time.Time, socks []*udpSocket) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for { // Timer F first: it beats a last retransmission
		e, due := c.expire.pop(now)
		if e == nil {
			next = due
			break
		}
		c.end(e.item, unknown(nil))
	}
	for i := range c.steps {
		for {
			e, due := c.steps[i].pop(now)
			if e == nil {
				next = earliest(next, due)
				break
			}
			tx := e.item
			tx.repeated = true
			tx.udp.putAll([]packet{{b: tx.wire, to: tx.dest}})
			if !slices.Contains(socks, tx.udp) {
				socks = append(socks, tx.udp)
			}
			tx.step = min(tx.step+1, len(timerE)-1)
			next = earliest(next, c.steps[tx.step].push(&tx.again, tx, now))
		}
	}
	return next, socks
}

// close ends what is open; nothing new begins.
func (c *client) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for _, tx := range c.open.all() {
		if tx.sent {
			c.end(tx, unknown(nil))
		} else {
			c.end(tx, notWritten(mapping.FailShutdown()))
		}
	}
}

func notWritten(f *mapping.Failure) mapping.Outcome {
	return mapping.Outcome{Kind: mapping.NotWritten, Failure: f}
}

// unreached: nobody has read the request, since err kept it from its target.
func unreached(err error) mapping.Outcome {
	f := mapping.FailUnreachable()
	f.Err = err
	return notWritten(f)
}

// unknown: the request may have arrived (EL-001).
func unknown(err error) mapping.Outcome {
	f := mapping.FailTimeout()
	f.Err = err
	return mapping.Outcome{Kind: mapping.Unknown, Failure: f}
}
