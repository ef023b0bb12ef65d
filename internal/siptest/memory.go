package siptest

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/stoxgw/stox/sipside/locate"
)

// Memory is a network in memory with one user agent on it; everybody else on it is the
// test. Every host name leads to the test, and every address that is dialled. Nothing in
// it waits for anything outside of the process, so it may be used in a testing/synctest
// bubble that it is made in.
type Memory struct {
	t     testing.TB
	hosts netip.Addr
	wg    sync.WaitGroup

	telling  sync.Mutex // one at a time
	received func(*Wire)

	mu       sync.Mutex // guards the following
	udp      *memSocket
	tcp      *memListener
	inward   map[netip.AddrPort]net.Conn // connections that the test has made, by where they come from
	all      []net.Conn
	dialled  uint16
	refused  error
	nameless error
	finished bool
}

// Wire is a message of the user agent as it went over the wire.
type Wire struct {
	*Message
	Network string // "udp" or "tcp"
	Raw     string
	conn    net.Conn // over TCP
}

// NewMemory makes a network; it ends with its test. Host names have the address hosts.
// received gets each message that the user agent sends, one at a time and in the order of
// its socket or connection; it must not block.
func NewMemory(t testing.TB, hosts netip.Addr, received func(*Wire)) *Memory {
	m := &Memory{t: t, hosts: hosts, received: received, inward: make(map[netip.AddrPort]net.Conn)}
	t.Cleanup(m.Close)
	return m
}

// Close ends all connections and waits for the goroutines of the network.
func (m *Memory) Close() {
	m.mu.Lock()
	m.finished = true
	for _, c := range m.all {
		c.Close()
	}
	m.mu.Unlock()
	m.wg.Wait()
}

// Fail lets connections of the user agent fail from now on, and its look-ups of host
// names, with these errors; nil lets them work.
func (m *Memory) Fail(dial, lookup error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.refused, m.nameless = dial, lookup
}

// Locate finds every host at one address, over UDP unless the query has a transport.
func (m *Memory) Locate(_ context.Context, q locate.Query) (locate.Answer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	soon := time.Now().Add(5 * time.Second)
	if m.nameless != nil {
		return locate.Answer{Until: soon}, m.nameless
	}
	t := locate.Target{Transport: max(q.Transport, locate.UDP), Name: q.Host}
	port := q.Port
	if port == 0 {
		port = t.Transport.DefaultPort()
	}
	t.Addr = netip.AddrPortFrom(m.hosts, port)
	return locate.Answer{Targets: []locate.Target{t}, Until: soon}, nil
}

// ListenPacket opens the one UDP socket of the user agent.
func (m *Memory) ListenPacket(_, addr string) (net.PacketConn, error) {
	self, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, err
	}
	s := &memSocket{m: m, self: self, in: make(chan memDatagram, 256), done: make(chan struct{})}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.udp = s
	return s, nil
}

// Listen opens the one TCP socket of the user agent.
func (m *Memory) Listen(_, addr string) (net.Listener, error) {
	self, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, err
	}
	l := &memListener{self: self, conns: make(chan net.Conn, 16), done: make(chan struct{})}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tcp = l
	return l, nil
}

// DialContext connects the user agent to the test.
func (m *Memory) DialContext(_ context.Context, network, addr string) (net.Conn, error) {
	remote, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.finished || m.tcp == nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: net.ErrClosed}
	}
	if m.refused != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: m.refused}
	}
	m.dialled++
	theirs, _ := m.pipe(netip.AddrPortFrom(m.tcp.self.Addr(), 40000+m.dialled), remote)
	return theirs, nil
}

// pipe makes a connection and reads the end that is the test's. The lock is held.
func (m *Memory) pipe(ua, test netip.AddrPort) (theirs, ours net.Conn) {
	here, there := net.Pipe()
	theirs, ours = memConn{there, ua, test}, memConn{here, test, ua}
	m.all = append(m.all, ours)
	m.wg.Go(func() { m.read(ours) })
	return theirs, ours
}

func (m *Memory) read(c net.Conn) {
	defer c.Close()
	err := readStream(c, func(msg *Message, raw []byte) {
		msg.Source = c.RemoteAddr().(*net.TCPAddr).AddrPort()
		m.tell(&Wire{Message: msg, Network: "tcp", Raw: string(raw), conn: c})
	})
	if err != nil {
		m.t.Errorf("siptest: bad message over TCP: %v", err)
	}
}

func (m *Memory) tell(w *Wire) {
	m.telling.Lock()
	defer m.telling.Unlock()
	m.received(w)
}

// Send brings raw text to the user agent from an address of the test: as a datagram, or
// over the TCP connection from there, which is made if there is none.
func (m *Memory) Send(network string, from netip.AddrPort, raw string) error {
	m.mu.Lock()
	udp, tcp, c := m.udp, m.tcp, m.inward[from]
	m.mu.Unlock()
	switch {
	case network == "udp" && udp != nil:
		return udp.deliver(memDatagram{from, []byte(raw)})
	case network != "tcp" || tcp == nil:
		return fmt.Errorf("siptest: the user agent has no socket for %q", network)
	}
	if c == nil {
		m.mu.Lock()
		theirs, ours := m.pipe(tcp.self, from)
		m.inward[from] = ours
		m.mu.Unlock()
		c = ours
		tcp.conns <- theirs
	}
	_, err := c.Write([]byte(raw))
	return err
}

// Answer brings raw text to the user agent the way that w came from it.
func (m *Memory) Answer(w *Wire, raw string) error {
	if w.conn == nil {
		return m.Send("udp", w.Source, raw)
	}
	_, err := w.conn.Write([]byte(raw))
	return err
}

type memDatagram struct {
	addr netip.AddrPort
	b    []byte
}

// memSocket is a UDP socket. It has no deadlines.
type memSocket struct {
	m    *Memory
	self netip.AddrPort
	in   chan memDatagram
	done chan struct{}
	once sync.Once
}

func (s *memSocket) deliver(d memDatagram) error {
	select {
	case s.in <- d:
		return nil
	default:
		return fmt.Errorf("siptest: the user agent does not read its datagrams")
	}
}

func (s *memSocket) ReadFrom(b []byte) (int, net.Addr, error) {
	select {
	case d := <-s.in:
		return copy(b, d.b), net.UDPAddrFromAddrPort(d.addr), nil
	case <-s.done:
		return 0, nil, net.ErrClosed
	}
}

func (s *memSocket) WriteTo(b []byte, to net.Addr) (int, error) {
	msg, n, err := Parse(b)
	if err != nil || n != len(b) {
		s.m.t.Errorf("siptest: bad datagram (%d of %d bytes are a message): %v\n%s", n, len(b), err, b)
		return len(b), nil
	}
	msg.Source = to.(*net.UDPAddr).AddrPort() // to whom it is: an answer comes from there
	s.m.tell(&Wire{Message: msg, Network: "udp", Raw: string(b)})
	return len(b), nil
}

func (s *memSocket) Close() error        { s.once.Do(func() { close(s.done) }); return nil }
func (s *memSocket) LocalAddr() net.Addr { return net.UDPAddrFromAddrPort(s.self) }

func (s *memSocket) SetDeadline(time.Time) error      { return nil }
func (s *memSocket) SetReadDeadline(time.Time) error  { return nil }
func (s *memSocket) SetWriteDeadline(time.Time) error { return nil }

type memListener struct {
	self  netip.AddrPort
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (l *memListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *memListener) Close() error   { l.once.Do(func() { close(l.done) }); return nil }
func (l *memListener) Addr() net.Addr { return net.TCPAddrFromAddrPort(l.self) }

// memConn is one end of a pipe, with addresses.
type memConn struct {
	net.Conn
	local, remote netip.AddrPort
}

func (c memConn) LocalAddr() net.Addr  { return net.TCPAddrFromAddrPort(c.local) }
func (c memConn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.remote) }
