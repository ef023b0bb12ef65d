package sipside

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/maphash"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/stoxgw/stox/mapping"
)

// client has the client transactions (RFC 3261 §17.1.2).
type client struct {
	u    *UA
	seed maphash.Seed // keys the part of a branch that says it is ours

	mu     sync.Mutex // guards the following
	open   map[uint64]*clientTx
	steps  [len(timerE)]delays[*clientTx]
	expire delays[*clientTx] // Timer F
	closed bool
}

// clientTx is a request from Deliver until its Result. All but the first three
// fields are guarded by client.mu.
type clientTx struct {
	ref any
	msg *mapping.SIPMessage
	hop hop

	id         uint64
	sent       bool // given to a socket
	dest       netip.AddrPort
	udp        *udpSocket
	stream     *stream
	start      uint64 // TCP: where in the stream the request begins
	wire       []byte // UDP: for retransmission
	step       int    // index in timerE
	proceeding bool
	ended      bool
	again      delayed[*clientTx] // Timer E
	giveUp     delayed[*clientTx] // Timer F
}

func newClient(u *UA) *client {
	c := &client{u: u, seed: maphash.MakeSeed(), open: make(map[uint64]*clientTx)}
	for i := range c.steps {
		c.steps[i].after = timerE[i]
	}
	c.expire.after = timerF
	return c
}

// A branch is the magic cookie, 64 random bits, and 32 bits of a keyed hash of
// them, by which a Via of ours is known when it comes back (SIP-15, SEC-12).
func (c *client) branch(id uint64) string {
	var b [12]byte
	binary.BigEndian.PutUint64(b[:], id)
	binary.BigEndian.PutUint32(b[8:], uint32(maphash.Bytes(c.seed, b[:8])))
	return sip.RFC3261BranchMagicCookie + hex.EncodeToString(b[:])
}

// parseBranch gives the transaction's id if the branch is one of ours.
func (c *client) parseBranch(s string) (id uint64, ok bool) {
	const cookie = len(sip.RFC3261BranchMagicCookie)
	if len(s) != cookie+24 || !strings.EqualFold(s[:cookie], sip.RFC3261BranchMagicCookie) {
		return 0, false
	}
	var b [12]byte
	if _, err := hex.Decode(b[:], []byte(s[cookie:])); err != nil {
		return 0, false
	}
	if uint32(maphash.Bytes(c.seed, b[:8])) != binary.BigEndian.Uint32(b[8:]) {
		return 0, false
	}
	return binary.BigEndian.Uint64(b[:]), true
}

// deliver begins a transaction for each value.
func (c *client) deliver(batch []mapping.Parcel[mapping.SIP]) {
	for _, p := range batch {
		m, ok := p.Value.(*mapping.SIPMessage)
		if !ok {
			c.u.outbox.add(p.Ref, notWritten(mapping.FailInternal(fmt.Errorf("sipside: no request for %T", p.Value))))
			continue
		}
		f := sendable(m)
		var h hop
		if f == nil {
			h, f = c.u.nextHop(m)
		}
		if f != nil {
			c.u.outbox.add(p.Ref, notWritten(f))
			continue
		}
		tx := &clientTx{ref: p.Ref, msg: m, hop: h, start: math.MaxUint64}
		if f := c.begin(tx); f != nil {
			c.u.outbox.add(p.Ref, notWritten(f))
			continue
		}
		if h.addr.IsValid() {
			c.send(tx, h.addr)
			continue
		}
		c.u.names.lookup(h.host, func(n *name) {
			if n.failure != nil {
				c.fail(tx, notWritten(n.failure))
				return
			}
			c.send(tx, c.u.reachable(n.addrs))
		})
	}
}

// begin gives tx a place in the table (SEC-30) and its id.
func (c *client) begin(tx *clientTx) *mapping.Failure {
	var b [8]byte
	rand.Read(b[:])
	tx.id = binary.BigEndian.Uint64(b[:])
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return mapping.FailShutdown()
	}
	if len(c.open) >= c.u.cfg.MaxPending || c.open[tx.id] != nil {
		return mapping.FailBusy(5)
	}
	c.open[tx.id] = tx
	return nil
}

// send builds the request for addr and gives it to a socket.
func (c *client) send(tx *clientTx, addr netip.Addr) {
	dest := netip.AddrPortFrom(addr, tx.hop.port)
	if c.u.isSelf(dest) || c.u.isOurs(via{host: tx.hop.host, port: tx.hop.port}) {
		c.fail(tx, notWritten(mapping.FailLoop()))
		return
	}
	sock := c.u.udpFor(addr)
	sentBy := c.u.tcpSentBy
	if sock != nil && !tx.hop.tcp {
		sentBy = sock.sentBy
	}
	wire := c.u.message(tx.msg, tx.hop.route, "UDP", sentBy, c.branch(tx.id))
	tcp, f := tx.hop.fit(len(wire))
	switch {
	case f != nil:
		c.fail(tx, notWritten(f))
	case tcp:
		c.u.conns.send(tx, dest)
	case sock == nil:
		f := mapping.FailUnreachable()
		f.Err = fmt.Errorf("sipside: no UDP socket that reaches %s", dest)
		c.fail(tx, notWritten(f))
	default:
		c.sendUDP(tx, sock, dest, wire)
	}
}

func (c *client) sendUDP(tx *clientTx, sock *udpSocket, dest netip.AddrPort, wire []byte) {
	now := time.Now()
	c.mu.Lock()
	if tx.ended {
		c.mu.Unlock()
		return
	}
	if !sock.put(packet{b: wire, to: dest, tx: tx}) {
		c.end(tx, notWritten(mapping.FailBusy(1)))
		c.mu.Unlock()
		return
	}
	tx.sent, tx.udp, tx.dest, tx.wire = true, sock, dest, wire
	due := c.steps[0].push(&tx.again, tx, now)
	c.expire.push(&tx.giveUp, tx, now)
	c.mu.Unlock()
	c.u.alarm.at(due)
}

// sendTCP writes the request to a connection; false if that is closed by now and
// nothing was written.
func (c *client) sendTCP(tx *clientTx, s *stream) bool {
	wire := c.u.message(tx.msg, tx.hop.route, "TCP", c.u.tcpSentBy, c.branch(tx.id))
	now := time.Now()
	c.mu.Lock()
	if tx.ended {
		c.mu.Unlock()
		return true
	}
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
func (c *client) end(tx *clientTx, o mapping.Outcome) {
	if tx.ended {
		return
	}
	tx.ended = true
	delete(c.open, tx.id)
	tx.again.stop()
	tx.giveUp.stop()
	c.u.outbox.add(tx.ref, o)
}

func (c *client) fail(tx *clientTx, o mapping.Outcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.end(tx, o)
}

// unsent is told that the first transmission of a UDP request failed locally.
func (c *client) unsent(tx *clientTx, err error) {
	f := mapping.FailUnreachable()
	f.Err = err
	c.fail(tx, notWritten(f))
}

// lost ends what is open on a connection that is gone. Of its bytes all before
// taken may have left; what begins after them has not.
func (c *client) lost(s *stream, taken uint64, err error) {
	if !s.dialed.IsValid() {
		return // no request of ours goes out on it
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, tx := range c.open {
		switch {
		case tx.stream != s:
		case tx.start >= taken:
			f := mapping.FailUnreachable()
			f.Err = err
			c.end(tx, notWritten(f))
		default:
			c.end(tx, unknown(err))
		}
	}
}

// response takes a response from a read loop. Those that match nothing are
// dropped: late ones (Timer K), and those that were never asked for (SIP-16).
func (c *client) response(rd *reader, res *sip.Response) {
	f := readFields(res.Headers())
	if len(f.vias) != 1 {
		c.u.stats.Unmatched.Add(1)
		return
	}
	v, ok := parseVia(f.vias[0])
	id, made := c.parseBranch(v.branch)
	_, method, ok2 := parseCSeq(f.cseq)
	if !ok || v.rest != "" || !made || !ok2 || method != "MESSAGE" || !c.u.isOurs(v) {
		c.u.stats.Unmatched.Add(1)
		return
	}
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	tx := c.open[id]
	// Over UDP the source is not looked at (RFC 3261 §17.1.3): a server with several
	// addresses may answer from another one, and who knows the branch has seen the
	// request.
	if tx == nil || !tx.sent || tx.stream != rd.stream {
		c.u.stats.Unmatched.Add(1)
		return
	}
	if res.StatusCode < 200 {
		if tx.udp != nil && !tx.proceeding {
			tx.proceeding, tx.step = true, len(timerE)-1 // from now on every T2
			tx.again.stop()
			c.steps[tx.step].push(&tx.again, tx, now)
		}
		return
	}
	c.end(tx, finalOutcome(res, rd.first, &f))
}

// finalOutcome reads a final response. The first line is taken as it came.
func finalOutcome(res *sip.Response, first string, f *fields) mapping.Outcome {
	o := mapping.Outcome{Kind: mapping.Answered, Status: res.StatusCode}
	if res.StatusCode < 300 {
		return o
	}
	_, reason, _ := strings.Cut(first, " ")
	_, reason, _ = strings.Cut(reason, " ")
	var contacts []string
	for _, row := range f.contacts {
		for row != "" && len(contacts) < maxRows {
			var one string
			one, row = cutList(row)
			contacts = append(contacts, one)
		}
	}
	var after time.Duration
	digits := strings.TrimSpace(f.retryAfter)
	if i := strings.IndexFunc(digits, func(r rune) bool { return r < '0' || r > '9' }); i >= 0 {
		digits = digits[:i]
	}
	if n, err := strconv.ParseUint(digits, 10, 32); err == nil {
		after = time.Duration(min(n, 24*3600)) * time.Second
	}
	o.Failure = mapping.FailureFromStatus(res.StatusCode, reason, after, contacts)
	return o
}

// tick retransmits and gives up, and tells when something is due next.
func (c *client) tick(now time.Time) (next time.Time) {
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
			tx.udp.put(packet{b: tx.wire, to: tx.dest})
			tx.step = min(tx.step+1, len(timerE)-1)
			next = earliest(next, c.steps[tx.step].push(&tx.again, tx, now))
		}
	}
	return next
}

// close ends what is open; nothing new begins.
func (c *client) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for _, tx := range c.open {
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

// unknown: the request may have arrived (EL-001).
func unknown(err error) mapping.Outcome {
	f := mapping.FailTimeout()
	f.Err = err
	return mapping.Outcome{Kind: mapping.Unknown, Failure: f}
}
