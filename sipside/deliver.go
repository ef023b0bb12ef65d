package sipside

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/stoxgw/stox/mapping"
	"github.com/stoxgw/stox/sipside/locate"
)

// departing is how many requests leave with one lock of the client at most.
const departing = udpBatch

// Memory of requests that are over is kept for others: of so many, and each of that many
// bytes at most.
const (
	maxSpare       = 512
	maxSpareWire   = 2048
	maxScratchWire = 8192 // see scratch
)

// deliver begins a transaction for each value.
func (c *client) deliver(batch []mapping.Parcel[mapping.SIP]) {
	for len(batch) > 0 {
		n := min(len(batch), departing)
		c.deliverSome(batch[:n])
		batch = batch[n:]
	}
}

// deliverSome has requests leave together over UDP. Only what is plain takes this way: a
// request without a login, whose target is known at once, and which fits. All else is
// launched, one by one, and so is whatever is found not to be that plain on the way.
func (c *client) deliverSome(batch []mapping.Parcel[mapping.SIP]) {
	var list [departing]*clientTx
	c.draw(list[:len(batch)])
	now, n := time.Now(), 0 // so many of list leave
	for i := range batch {
		p, tx := &batch[i], list[i]
		var f *mapping.Failure
		if m, ok := p.Value.(*mapping.SIPMessage); ok {
			tx.req.SIPMessage, tx.req.method = m, methodMessage
		} else if tx.req, ok = requestOf(p.Value); !ok {
			f = mapping.FailInternal(fmt.Errorf("sipside: no request for %T", p.Value))
		}
		if f == nil {
			f = tx.req.sendable()
		}
		if f == nil {
			tx.hop, f = c.u.hopFor(&tx.req, true)
		}
		if f != nil {
			c.u.outbox.add(p.Ref, notWritten(f))
			continue
		}
		if tx.req.event == nil {
			tx.text = tx.hop.count(tx.req.SIPMessage)
		}
		tx.ref = p.Ref
		if c.prepare(tx, now) {
			list[n] = tx
			n++
		} else {
			tx.to, tx.more, tx.udp, tx.wire = locate.Target{}, false, nil, nil
			c.launch(tx)
		}
	}
	if n > 0 {
		c.depart(list[:n], now)
	}
}

// prepare does for tx what send does, up to the bytes; false if it is not one of those that
// leave together.
func (c *client) prepare(tx *clientTx, now time.Time) bool {
	h := tx.hop
	if h.flow != nil || h.login != nil || tx.req.event != nil {
		return false
	}
	w := h.way(c.u)
	if w != nil {
		tx.to, tx.udp = w.to, w.sock
	} else if !c.choose(tx, now) {
		return false
	}
	if tx.udp == nil || tx.to.Transport != locate.UDP {
		return false
	}
	if room := tx.req.room(); cap(tx.wire) < room {
		tx.wire = make([]byte, 0, room)
	}
	var branch [branchLen]byte
	tx.wire = c.u.appendRequest(tx.wire[:0], &tx.req, h.route, viaTransport(locate.UDP), tx.udp.sentBy, c.appendBranch(branch[:0], tx.id))
	overTCP, _, f := tx.fit(len(tx.wire), false)
	return f == nil && !overTCP
}

// choose finds the target of tx and the socket to it, if that can be done at once.
func (c *client) choose(tx *clientTx, now time.Time) bool {
	h := tx.hop
	var one [1]locate.Target
	targets := one[:]
	if h.addr.IsValid() {
		one[0] = h.direct()
	} else if targets = c.u.names.targets(h.query, now); len(targets) == 0 {
		return false
	}
	if targets = c.u.abroad(h, targets); len(targets) == 0 {
		return false
	}
	tx.to, tx.more = c.health.Pick(c.u.reachable(targets), tx.req.Target, now)
	tx.udp = c.u.udpFor(tx.to.Addr.Addr())
	return !c.u.isSelf(h.query.Host, tx.to)
}

// depart enters requests in the table and gives them to their sockets.
func (c *client) depart(list []*clientTx, now time.Time) {
	var place [4]*udpSocket // there are seldom more
	socks, sent := place[:0], 0
	c.mu.Lock()
	for _, tx := range list {
		if f := c.enter(tx); f != nil {
			c.u.outbox.add(tx.ref, notWritten(f))
			continue
		}
		tx.sent, tx.pooled, tx.dest = true, true, tx.to.Addr
		c.steps[0].push(&tx.again, tx, now)
		c.expire.push(&tx.giveUp, tx, now)
		list[sent] = tx
		sent++
	}
	for i, j := 0, 0; i < sent; i = j {
		s := list[i].udp
		for j = i + 1; j < sent && list[j].udp == s; j++ {
		}
		for k := i + s.putFirst(list[i:j], now); k < j; k++ {
			c.end(list[k], notWritten(mapping.FailBusy(1)))
		}
		socks = append(socks, s)
	}
	c.mu.Unlock()
	// From here on a request may have been answered, and its place be another one's.
	for _, s := range socks {
		s.push()
	}
	c.u.alarm.at(now.Add(timerT1))
}

// build gives the bytes of tx, in scratch.
func (c *client) build(scratch *[]byte, tx *clientTx, transport, sentBy string) []byte {
	var branch [branchLen]byte
	*scratch = c.u.appendRequest((*scratch)[:0], &tx.req, tx.hop.route, transport, sentBy, c.appendBranch(branch[:0], tx.id))
	return *scratch
}

// scratch gives memory for a request whose length is to be known, or whose bytes are copied.
// Who has it gives it back by keepScratch.
func (c *client) scratch() *[]byte {
	if b, ok := c.scratches.Get().(*[]byte); ok {
		return b
	}
	return new(make([]byte, 0, 1024))
}

func (c *client) keepScratch(b *[]byte) {
	if cap(*b) <= maxScratchWire { // longer ones are rare
		c.scratches.Put(b)
	}
}

// draw gives requests with nothing in them, each with an id.
func (c *client) draw(list []*clientTx) {
	c.mu.Lock()
	defer c.mu.Unlock()
	kept := len(c.spare) - min(len(list), len(c.spare))
	n := copy(list, c.spare[kept:])
	clear(c.spare[kept:])
	c.spare = c.spare[:kept]
	for i := range list {
		if i >= n {
			list[i] = new(clientTx)
		}
		list[i].id = c.ids.next()
	}
}

// freeTx takes back a request. Nobody may know it any more. The lock is held.
func (c *client) freeTx(tx *clientTx) {
	if len(c.spare) == maxSpare {
		return
	}
	wire := tx.wire
	if cap(wire) > maxSpareWire { // it is rare
		wire = nil
	}
	*tx = clientTx{}
	tx.wire = wire[:0]
	c.spare = append(c.spare, tx)
}

// holding is how many requests are open to a next hop.
type holding struct {
	key  hopKey
	open int
}

// holdingOf is that of a next hop, nil if nothing is open to it. The lock is held. Who is
// sent to most is asked for most.
func (c *client) holdingOf(key hopKey) *holding {
	if h := c.lastHeld; h.open > 0 && h.key == key {
		return h
	}
	return c.held[key]
}

// hold counts tx for its next hop, of which h is what holdingOf says. The lock is held.
func (c *client) hold(tx *clientTx, key hopKey, h *holding) {
	if h == nil {
		if h = c.lastHeld; h.open > 0 {
			h = new(holding)
		}
		h.key = key
		c.held[key] = h
	}
	c.lastHeld = h
	h.open++
	tx.holding = h
}

// let counts it no more. The lock is held.
func (c *client) let(tx *clientTx) {
	h := tx.holding
	if h == nil {
		return
	}
	tx.holding = nil
	if h.open--; h.open == 0 {
		delete(c.held, h.key)
	}
}

// sendUDP gives a request to a socket.
func (c *client) sendUDP(tx *clientTx, sock *udpSocket, dest netip.AddrPort, wire []byte) {
	now := time.Now()
	c.mu.Lock()
	if tx.ended {
		c.mu.Unlock()
		return
	}
	if sock.putAll([]packet{{b: wire, to: dest, tx: tx}}) == 0 {
		c.end(tx, notWritten(mapping.FailBusy(1)))
		c.mu.Unlock()
		return
	}
	tx.sent, tx.udp, tx.dest, tx.wire = true, sock, dest, wire
	due := c.steps[0].push(&tx.again, tx, now)
	c.expire.push(&tx.giveUp, tx, now)
	c.mu.Unlock()
	sock.push()
	c.u.alarm.at(due)
}
