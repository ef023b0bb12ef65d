package sipside

import (
	"bytes"
	"fmt"
	"net/netip"
	"time"

	"github.com/stoxgw/stox/mapping"
	"github.com/stoxgw/stox/sipside/locate"
)

// departing is how many requests leave with one lock of the client at most.
const departing = udpBatch

// departure is a few requests that leave over UDP together. Only what is plain takes this
// way: a request without a login, whose target is known at once, and which fits. All else
// is launched, one by one, and so is whatever is found not to be that plain on the way.
type departure struct {
	now  time.Time
	list [departing]*clientTx
	n    int
	slab []byte // the requests stand in it one behind the other
}

// Requests of a batch share memory: so many, and only those that do not take much of it. It
// is there until the last of them has been answered, or for half a second: see unshare.
const (
	sharing   = 8
	maxShared = 2048
)

// unshare gives a request that is slow memory of its own: it keeps nothing of the others.
// The lock is held.
func (tx *clientTx) unshare() {
	if tx.shared {
		tx.wire, tx.shared = bytes.Clone(tx.wire), false
	}
}

// deliver begins a transaction for each value.
func (c *client) deliver(batch []mapping.Parcel[mapping.SIP]) {
	for len(batch) > 0 {
		n := min(len(batch), departing)
		c.deliverSome(batch[:n])
		batch = batch[n:]
	}
}

func (c *client) deliverSome(batch []mapping.Parcel[mapping.SIP]) {
	d := departure{now: time.Now()}
	for i := range batch {
		p := &batch[i]
		tx := c.newTx()
		var ok bool
		if tx.req, ok = requestOf(p.Value); !ok {
			c.u.outbox.add(p.Ref, notWritten(mapping.FailInternal(fmt.Errorf("sipside: no request for %T", p.Value))))
			c.freeTx(tx)
			continue
		}
		f := tx.req.sendable()
		if f == nil {
			tx.hop, f = c.u.hopFor(&tx.req, true)
		}
		if f != nil {
			c.u.outbox.add(p.Ref, notWritten(f))
			c.freeTx(tx)
			continue
		}
		if tx.req.event == nil {
			tx.hop.count(tx.req.SIPMessage)
		}
		tx.ref = p.Ref
		if !c.prepare(&d, tx, len(batch)-i) {
			c.launch(tx)
		}
	}
	if d.n > 0 {
		c.depart(&d)
	}
}

// prepare does for tx what send does, up to the bytes, and enters it in d; false if it is
// not one of those that leave together. left is how many are still to come, with it.
func (c *client) prepare(d *departure, tx *clientTx, left int) bool {
	h := &tx.hop
	if h.flow != nil || h.login != nil || tx.req.event != nil {
		return false
	}
	var one [1]locate.Target
	targets := one[:]
	if h.addr.IsValid() {
		one[0] = h.direct()
	} else if targets = c.u.names.targets(h.query, d.now); len(targets) == 0 {
		return false
	}
	if targets = c.u.abroad(h, targets); len(targets) == 0 {
		return false
	}
	targets = c.u.reachable(targets)
	to, more := c.health.Pick(targets, tx.req.Target, d.now)
	sock := c.u.udpFor(to.Addr.Addr())
	if to.Transport != locate.UDP || sock == nil || c.u.isSelf(h.query.Host, to) {
		return false
	}
	tx.id = c.ids.next()
	var branch [branchLen]byte
	room := tx.req.room()
	if cap(d.slab)-len(d.slab) < room {
		n := 1
		if room <= maxShared {
			n = min(left, sharing)
		}
		d.slab = make([]byte, 0, n*room)
	}
	begin := len(d.slab)
	d.slab = c.u.appendRequest(d.slab, &tx.req, h.route, viaTransport(locate.UDP), sock.sentBy, c.appendBranch(branch[:0], tx.id))
	wire := d.slab[begin:len(d.slab):len(d.slab)]
	if overTCP, _, f := tx.fit(len(wire), false); f != nil || overTCP {
		d.slab = d.slab[:begin]
		return false
	}
	tx.to, tx.more, tx.udp, tx.dest, tx.wire, tx.shared = to, more, sock, to.Addr, wire, true
	d.list[d.n] = tx
	d.n++
	return true
}

// depart enters requests in the table and gives them to their sockets.
func (c *client) depart(d *departure) {
	var (
		packets [departing]packet
		socks   [departing]*udpSocket
		sent    int
		due     time.Time
	)
	now := time.Now()
	c.mu.Lock()
	for _, tx := range d.list[:d.n] {
		if f := c.enter(tx); f != nil {
			c.u.outbox.add(tx.ref, notWritten(f))
			continue
		}
		tx.sent, tx.pooled = true, true
		due = earliest(due, c.steps[0].push(&tx.again, tx, now))
		c.expire.push(&tx.giveUp, tx, now)
		d.list[sent] = tx
		packets[sent] = packet{b: tx.wire, to: tx.dest, tx: tx}
		socks[sent] = tx.udp
		sent++
	}
	for i := 0; i < sent; {
		j := i + 1
		for j < sent && socks[j] == socks[i] {
			j++
		}
		for k := i + socks[i].putAll(packets[i:j]); k < j; k++ {
			c.end(d.list[k], notWritten(mapping.FailBusy(1)))
		}
		i = j
	}
	c.mu.Unlock()
	// From here on a request may have been answered, and its place be another one's.
	for i, s := range socks[:sent] {
		if i == 0 || s != socks[i-1] {
			s.push()
		}
	}
	if sent > 0 {
		c.u.alarm.at(due)
	}
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
	if cap(*b) <= 4*maxShared { // longer ones are rare
		c.scratches.Put(b)
	}
}

// newTx gives a clientTx with nothing in it.
func (c *client) newTx() *clientTx {
	if tx, ok := c.spare.Get().(*clientTx); ok {
		return tx
	}
	return new(clientTx)
}

// freeTx takes back what newTx gave. Nobody may know it any more.
func (c *client) freeTx(tx *clientTx) {
	*tx = clientTx{}
	c.spare.Put(tx)
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

// hold counts tx for its next hop. The lock is held.
func (c *client) hold(tx *clientTx, key hopKey) {
	h := c.holdingOf(key)
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
