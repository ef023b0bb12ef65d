package sipside

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/stoxgw/stox/mapping"
	"github.com/stoxgw/stox/sipside/locate"
)

// errTooMany is a lack of ours: of places for connections.
var errTooMany = errors.New("too many connections (limits.max_connections)")

const (
	dialers     = 32 // connections being made at once to where DNS leads
	toRoutes    = 8  // and to routes: they do not wait for servers of strangers that are silent
	dialTimeout = 5 * time.Second
	acceptPause = 100 * time.Millisecond
)

// conns has the TCP connections: those that were accepted, and those that were
// dialled, which requests to the same address share (SIP-25).
type conns struct {
	u     *UA
	jobs  chan locate.Target
	first chan locate.Target  // jobs that a request to a route waits for
	layer *sip.TransportLayer // reads the dialled ones
	made  *madeListener
	base  uint64 // what the numbers of flows begin with: another one after each start

	mu       sync.Mutex // guards the following
	streams  map[string]*stream
	flows    map[uint64]*stream // the same by their numbers
	next     uint64
	accepted int
	strange  int                // accepted from hosts that are no peers
	hosts    map[netip.Addr]int // the same, of each of them
	outward  map[locate.Target]*outward
	warned   map[locate.Target]time.Time // servers of routes, when the log was told of them
	closed   bool
}

// leastOfHost is how many connections any host that is no peer may have. One of those may
// log in, or show a certificate: a few hosts must not take all the places there are for it.
const leastOfHost = 4

const (
	warnAgain = 10 * time.Minute // of the same server
	maxWarned = 256
)

// outward is an address that requests go to: a connection, or those who wait for one.
type outward struct {
	stream  *stream
	waiting []*clientTx
	first   bool // is among the jobs that are first
	begun   bool // is being dialled
}

// connTo names the connection that a request to t goes over. A name that was verified
// keeps it apart from those to other names at the same address: what one of them may do
// on it is nobody else's (RFC 5922 §7).
func connTo(t locate.Target) locate.Target {
	if !t.Transport.Secure() {
		t.Name = ""
	}
	return t
}

// viaTransport is what Via calls a transport (RFC 3261 §20.42).
func viaTransport(t locate.Transport) string { return viaTransports[t] }

var viaTransports = [...]string{locate.UDP: "UDP", locate.TCP: "TCP", locate.TLS: "TLS", locate.WS: "WS", locate.WSS: "WSS"}

func newConns(u *UA) *conns {
	c := &conns{u: u, jobs: make(chan locate.Target, u.cfg.MaxPending), first: make(chan locate.Target, u.cfg.MaxPending), streams: make(map[string]*stream),
		hosts: make(map[netip.Addr]int), flows: make(map[uint64]*stream), base: newFlowBase(),
		outward: make(map[locate.Target]*outward)}
	c.layer = newLayer(&u.cfg, u.quiet, c.handle)
	c.made = &madeListener{conns: make(chan net.Conn), done: make(chan struct{})}
	return c
}

// handle finds the connection that sipgo read a message from. sipgo gives all
// connections of a listener the same handler, each on its own goroutine.
func (c *conns) handle(msg sip.Message) {
	c.mu.Lock()
	s := c.streams[msg.Source()]
	c.mu.Unlock()
	if s != nil {
		s.rd.handle(msg)
	}
}

// add starts a connection's writer; its reader is sipgo's, once it gets the
// sipgoConn. nil: there is no room.
func (c *conns) add(conn net.Conn, dialed locate.Target) *sipgoConn {
	remote, set := addrPortOf(conn.RemoteAddr()), c.u.current()
	peered := dialed.Addr.IsValid() || set.peers.find(remote.Addr()) != nil
	c.mu.Lock()
	most := c.u.cfg.MaxConnections
	quarter, host := max(most/4, 1), hostOf(remote.Addr())
	full := c.accepted >= most || !peered && (c.strange >= quarter || c.hosts[host] >= max(quarter/8, leastOfHost))
	if c.closed || (full || c.u.isBlocked(remote.Addr())) && !dialed.Addr.IsValid() {
		c.mu.Unlock()
		conn.Close()
		return nil
	}
	c.next++
	s := newStream(c.u, conn, remote.String()+"#"+strconv.FormatUint(c.next, 10))
	s.dialed, s.peered, s.trustedBy, s.flow = dialed, peered, set, c.base+c.next
	c.streams[s.id], c.flows[s.flow] = s, s
	if !dialed.Addr.IsValid() {
		c.accepted++
		if !peered {
			c.strange++
			c.hosts[host]++
		}
	}
	c.u.wg.Add(2) // the writer; the reader until sipgo closes it
	c.mu.Unlock()
	go func() {
		defer c.u.wg.Done()
		s.write()
	}()
	return &sipgoConn{s: s}
}

// admit counts a connection as a peer's, which its client has proved to be. The goroutine
// that reads it calls this.
func (c *conns) admit(s *stream) {
	if s.peered {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s.peered = true
	if c.streams[s.id] != nil {
		c.unstrange(s)
	}
}

// unstrange counts a connection no more as a stranger's. The lock is held.
func (c *conns) unstrange(s *stream) {
	c.strange--
	host := hostOf(s.remote.Addr())
	if c.hosts[host]--; c.hosts[host] == 0 {
		delete(c.hosts, host)
	}
}

// remove forgets a connection that is closed.
func (c *conns) remove(s *stream) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.streams[s.id] == nil {
		return
	}
	delete(c.streams, s.id)
	delete(c.flows, s.flow)
	if !s.dialed.Addr.IsValid() {
		c.accepted--
		if !s.peered {
			c.unstrange(s)
		}
	} else if t := c.outward[s.dialed]; t != nil && t.stream == s {
		delete(c.outward, s.dialed)
	}
}

// send writes tx to the connection to dest, making one if there is none.
func (c *conns) send(tx *clientTx, dest locate.Target) {
	for {
		c.mu.Lock()
		t := c.outward[dest]
		if t != nil && t.stream != nil {
			s := t.stream
			c.mu.Unlock()
			if c.u.client.sendTCP(tx, s) {
				return
			}
			c.remove(s) // closed meanwhile, nothing was written: make a new one
			continue
		}
		if c.closed {
			c.mu.Unlock()
			c.u.client.fail(tx, notWritten(mapping.FailShutdown()))
			return
		}
		ok := c.await(tx, dest)
		c.mu.Unlock()
		if !ok {
			c.u.client.fail(tx, notWritten(mapping.FailBusy(busySeconds)))
		}
		return
	}
}

// await puts tx among those who wait for a connection to dest, and sees to it that one is
// made; false if there is no room. The lock is held.
func (c *conns) await(tx *clientTx, dest locate.Target) bool {
	t, jobs, first := c.outward[dest], c.jobs, tx.hop.route != nil
	if first {
		jobs = c.first
	}
	if t == nil || first && !t.first && !t.begun {
		select {
		case jobs <- dest:
		default:
			return false
		}
	}
	if t == nil {
		t = &outward{}
		c.outward[dest] = t
	}
	t.first = t.first || first
	t.waiting = append(t.waiting, tx)
	return true
}

// dial makes the connections of jobs until ctx is done.
func (c *conns) dial(ctx context.Context, jobs <-chan locate.Target) {
	for {
		select {
		case <-ctx.Done():
			return
		case dest := <-jobs:
			c.connect(ctx, dest)
		}
	}
}

// connect makes the connection to dest for those who wait for it. If it breaks
// before they have written they are told so, and nothing is dialled again: a peer
// that accepts and hangs up would be dialled for ever.
func (c *conns) connect(ctx context.Context, dest locate.Target) {
	c.mu.Lock()
	t := c.outward[dest]
	if t == nil || t.begun { // it was among both kinds of jobs
		c.mu.Unlock()
		return
	}
	t.begun = true // and so it is nobody's but ours
	ok := t.first || c.room(time.Now())
	c.mu.Unlock()
	var s *stream
	err := errTooMany
	if ok {
		s, err = c.open(ctx, dest)
	}
	c.mu.Lock()
	if setup := (*setupError)(nil); t.first && errors.As(err, &setup) {
		c.warn(dest, setup, time.Now())
	}
	waiting := t.waiting
	t.waiting = nil
	if s != nil && c.streams[s.id] == s {
		t.stream = s
	} else {
		delete(c.outward, dest)
	}
	c.mu.Unlock()
	for _, tx := range waiting {
		if s == nil {
			c.u.client.undialed(tx, err)
		} else if !c.u.client.sendTCP(tx, s) {
			c.u.client.undialed(tx, errClosed)
		}
	}
}

// room reports whether a connection may be dialled that no route asks for. If there are too
// many, the one without a request for longest is closed, if nobody waits for an answer on
// it any more. The lock is held.
func (c *conns) room(now time.Time) bool {
	most := c.u.cfg.MaxConnections
	if len(c.streams)-c.accepted < most {
		return true
	}
	var quiet *stream
	n, since := 0, now.Add(-timerF)
	for _, s := range c.streams {
		if !s.dialed.Addr.IsValid() || s.isKept() {
			continue
		}
		n++
		if used := s.lastUse(); !used.After(since) {
			quiet, since = s, used
		}
	}
	if n < most {
		return true
	}
	if quiet == nil {
		return false
	}
	quiet.finish(errClosed)
	return true
}

// warn tells the log that the server of a route is none to be talked to, and what may be
// done about it: that is the admin's business, who else would hear of it from the senders
// only. Of strangers' servers it is not told. c.mu is held.
func (c *conns) warn(dest locate.Target, why *setupError, now time.Time) {
	if last, told := c.warned[dest]; told && now.Sub(last) < warnAgain {
		return
	}
	if c.warned == nil || len(c.warned) >= maxWarned {
		c.warned = make(map[locate.Target]time.Time)
	}
	c.warned[dest] = now
	c.u.log.Warn("the SIP server of a route is not one to be talked to", "server", dest.String(), "err", why.err, "remedy", why.failure().Remedy)
}

// open dials dest and starts the connection.
func (c *conns) open(ctx context.Context, dest locate.Target) (*stream, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := c.u.dialTransport(ctx, dest)
	if err != nil {
		return nil, err
	}
	sc := c.add(conn, dest)
	if sc == nil {
		return nil, net.ErrClosed
	}
	if !c.made.give(sc) {
		sc.Close()
		return nil, net.ErrClosed
	}
	return sc.s, nil
}

// close closes all connections, each when what was put is written, but within a
// second. The returned function ends the waiting for that second.
func (c *conns) close() (done func() bool) {
	c.mu.Lock()
	c.closed = true
	all := make([]*stream, 0, len(c.streams))
	for _, s := range c.streams {
		all = append(all, s)
	}
	c.mu.Unlock()
	for _, s := range all {
		s.finish(net.ErrClosed)
	}
	c.made.Close()
	return time.AfterFunc(time.Second, func() {
		for _, s := range all {
			s.close(net.ErrClosed)
		}
	}).Stop
}

// tcpSocket is a listening TCP socket. Accept gives sipgo connections of ours, and
// survives what would end sipgo's loop for good, such as too many open files.
type tcpSocket struct {
	net.Listener
	u      *UA
	layer  *sip.TransportLayer
	warned time.Time // when the log was told that nothing can be accepted; of the loop only
}

func newTCPSocket(u *UA, l net.Listener) *tcpSocket {
	return &tcpSocket{Listener: l, u: u, layer: newLayer(&u.cfg, u.quiet, u.conns.handle)}
}

func (t *tcpSocket) Accept() (net.Conn, error) {
	for {
		conn, err := t.Listener.Accept()
		switch {
		case err == nil:
			keepAlive(conn)
			if sc := t.u.conns.add(conn, locate.Target{}); sc != nil {
				return sc, nil
			}
			t.u.stats.Dropped.Add(1)
		case errors.Is(err, net.ErrClosed):
			return nil, err
		default:
			t.u.stats.Dropped.Add(1)
			if now := time.Now(); t.warned.IsZero() || now.Sub(t.warned) >= warnAgain {
				t.warned = now
				t.u.log.Warn("cannot accept SIP connections for the moment, trying on", "addr", t.Addr().String(), "err", err,
					"remedy", "if there are too many open files: raise LimitNOFILE of the service, or lower limits.max_connections (stox doctor says how many are needed)")
			}
			if !t.u.pause(acceptPause) {
				return nil, net.ErrClosed
			}
		}
	}
}

func (t *tcpSocket) serve() {
	if err := t.layer.ServeTCP(t); !errors.Is(err, net.ErrClosed) {
		t.u.log.Error("the SIP socket is not served", "addr", t.Addr().String(), "err", err)
	}
}

func keepAlive(conn net.Conn) {
	if c, ok := conn.(*net.TCPConn); ok {
		c.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: 30 * time.Second, Interval: 10 * time.Second, Count: 4})
	}
}

// madeListener is a net.Listener whose connections are the ones that we dialled,
// so that sipgo reads them too.
type madeListener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (l *madeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// give hands a connection to sipgo; false if it takes no more.
func (l *madeListener) give(c net.Conn) bool {
	select {
	case l.conns <- c:
		return true
	case <-l.done:
		return false
	}
}

func (l *madeListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *madeListener) Addr() net.Addr { return oneSource }

// bindError says in one line what is wrong with an entry of sip.listen.
func bindError(a listenAddr, err error) error {
	what, remedy := "cannot be listened on", "see sip.listen"
	for _, c := range bindCauses {
		if errors.Is(err, c.err) {
			what, remedy = c.text, c.remedy
		}
	}
	return fmt.Errorf("%s %s %s: %w; %s", a.network, a.addr, what, err, remedy)
}
