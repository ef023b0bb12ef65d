package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"
)

var (
	self = netip.MustParseAddrPort("192.0.2.1:5060")
	peer = netip.MustParseAddrPort("192.0.2.9:5060")
)

// script is a network in memory on which one peer says what it has to say and is then
// silent. It implements sipside.Network.
type script struct {
	done chan struct{}
	once sync.Once

	mu      sync.Mutex // guards the following
	cond    *sync.Cond
	says    [][]byte // datagrams, or what a connection reads in one go
	heard   []byte   // all that was said to the peer
	ended   bool     // the connection was closed ...
	toldEnd bool     // ... after the peer had said that there is nothing more to come
}

func newScript(says ...[]byte) *script {
	s := &script{says: says, done: make(chan struct{})}
	s.cond = sync.NewCond(&s.mu)
	return s
}

// next is what the peer says next.
func (s *script) next() ([]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.says) == 0 {
		return nil, false
	}
	b := s.says[0]
	s.says = s.says[1:]
	return b, true
}

func (s *script) hear(b []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heard = append(s.heard, b...)
	s.cond.Broadcast()
}

// wait blocks until done, which is called with what the peer has heard.
func (s *script) wait(done func(heard []byte) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !done(s.heard) {
		s.cond.Wait()
	}
}

func (s *script) ListenPacket(string, string) (net.PacketConn, error) { return &packetConn{s: s}, nil }
func (s *script) Listen(string, string) (net.Listener, error)         { return &listener{s: s}, nil }
func (s *script) DialContext(context.Context, string, string) (net.Conn, error) {
	return nil, errors.New("nobody is there")
}

func (s *script) close() error { s.once.Do(func() { close(s.done) }); return nil }

// packetConn is the socket for UDP. What has no deadline needs none here.
type packetConn struct {
	net.PacketConn
	s *script
}

func (c *packetConn) ReadFrom(b []byte) (int, net.Addr, error) {
	if said, ok := c.s.next(); ok {
		return copy(b, said), net.UDPAddrFromAddrPort(peer), nil
	}
	<-c.s.done
	return 0, nil, net.ErrClosed
}

func (c *packetConn) WriteTo(b []byte, _ net.Addr) (int, error) {
	c.s.hear(b)
	return len(b), nil
}
func (c *packetConn) LocalAddr() net.Addr { return net.UDPAddrFromAddrPort(self) }
func (c *packetConn) Close() error        { return c.s.close() }

// listener has the one connection of the peer.
type listener struct {
	s    *script
	once sync.Once
}

func (l *listener) Accept() (c net.Conn, err error) {
	l.once.Do(func() { c = &conn{s: l.s} })
	if c == nil {
		<-l.s.done
		return nil, net.ErrClosed
	}
	return c, nil
}
func (l *listener) Close() error   { return l.s.close() }
func (l *listener) Addr() net.Addr { return net.TCPAddrFromAddrPort(self) }

// conn is that connection. The peer ends it when all is said.
type conn struct {
	s    *script
	left []byte
}

func (c *conn) Read(b []byte) (int, error) {
	if len(c.left) == 0 {
		said, ok := c.s.next()
		if !ok {
			c.s.mu.Lock()
			defer c.s.mu.Unlock()
			c.s.toldEnd = !c.s.ended
			return 0, io.EOF
		}
		c.left = said
	}
	n := copy(b, c.left)
	c.left = c.left[n:]
	return n, nil
}

func (c *conn) Write(b []byte) (int, error) {
	c.s.hear(b)
	return len(b), nil
}

func (c *conn) Close() error {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	c.s.ended = true
	c.s.cond.Broadcast()
	return nil
}

func (*conn) LocalAddr() net.Addr              { return net.TCPAddrFromAddrPort(self) }
func (*conn) RemoteAddr() net.Addr             { return net.TCPAddrFromAddrPort(peer) }
func (*conn) SetDeadline(time.Time) error      { return nil }
func (*conn) SetReadDeadline(time.Time) error  { return nil }
func (*conn) SetWriteDeadline(time.Time) error { return nil }
