// Package siptest is a scripted SIP peer for tests: raw text in, raw text out,
// over UDP or TCP on a loopback port of its own.
package siptest

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"
)

// patience is how long a peer waits for what has to come. It only ever passes
// when a test fails.
const patience = 20 * time.Second

// Peer is a SIP peer. It is closed when its test ends.
type Peer struct {
	t       testing.TB
	network string
	udp     *net.UDPConn
	tcp     net.Listener
	wg      sync.WaitGroup

	mu       sync.Mutex // guards the following
	cond     *sync.Cond
	conns    map[netip.AddrPort]net.Conn
	answer   func(*Message) string
	requests []*Message
	finals   map[string][]*Message // final responses by branch
	closed   bool
}

// Listen starts a peer; network is "udp" or "tcp". Requests get no answer until
// Answer says which.
func Listen(t testing.TB, network string) *Peer {
	t.Helper()
	p := &Peer{t: t, network: network, conns: make(map[netip.AddrPort]net.Conn), finals: make(map[string][]*Message)}
	p.cond = sync.NewCond(&p.mu)
	var err error
	if network == "udp" {
		p.udp, err = net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err == nil {
			p.udp.SetReadBuffer(4 << 20)
			p.wg.Go(p.readUDP)
		}
	} else {
		p.tcp, err = net.Listen("tcp", "127.0.0.1:0")
		if err == nil {
			p.wg.Go(p.accept)
		}
	}
	if err != nil {
		t.Fatalf("siptest: %v", err)
	}
	t.Cleanup(p.Close)
	return p
}

// Close ends the peer; its test does so anyway.
func (p *Peer) Close() {
	p.mu.Lock()
	p.closed = true
	for _, c := range p.conns {
		c.Close()
	}
	p.cond.Broadcast()
	p.mu.Unlock()
	if p.udp != nil {
		p.udp.Close()
	} else {
		p.tcp.Close()
	}
	p.wg.Wait()
}

// Addr is where the peer listens.
func (p *Peer) Addr() netip.AddrPort {
	if p.udp != nil {
		return p.udp.LocalAddr().(*net.UDPAddr).AddrPort()
	}
	return p.tcp.Addr().(*net.TCPAddr).AddrPort()
}

// Network is "udp" or "tcp".
func (p *Peer) Network() string { return p.network }

// Answer sets how requests are answered from now on: f gives the raw response,
// or "" for none.
func (p *Peer) Answer(f func(*Message) string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = f
}

// Send writes raw text to an address: over UDP, or the TCP connection to it,
// which is made if need be.
func (p *Peer) Send(to netip.AddrPort, raw string) {
	p.t.Helper()
	if err := p.write(to, []byte(raw)); err != nil {
		p.t.Errorf("siptest: send: %v", err)
	}
}

func (p *Peer) write(to netip.AddrPort, b []byte) error {
	if p.udp != nil {
		_, err := p.udp.WriteToUDPAddrPort(b, to)
		return err
	}
	c, err := p.connect(to)
	if err != nil {
		return err
	}
	_, err = c.Write(b)
	return err
}

func (p *Peer) connect(to netip.AddrPort) (net.Conn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c := p.conns[to]; c != nil {
		return c, nil
	}
	c, err := net.Dial("tcp", to.String())
	if err != nil {
		return nil, err
	}
	p.serve(c)
	return c, nil
}

// serve reads a connection. The lock is held.
func (p *Peer) serve(c net.Conn) {
	if p.closed {
		c.Close()
		return
	}
	remote := c.RemoteAddr().(*net.TCPAddr).AddrPort()
	p.conns[remote] = c
	p.wg.Go(func() { p.readTCP(c, remote) })
}

// Request sends a request and waits for its final response. The request must
// have a Via with a branch of its own.
func (p *Peer) Request(to netip.AddrPort, raw string) *Message {
	p.t.Helper()
	p.Send(to, raw)
	return p.Final(branch(raw))
}

// Final waits for the first final response with that branch.
func (p *Peer) Final(branch string) *Message {
	p.t.Helper()
	var m *Message
	p.wait("the final response with branch "+branch, func() bool {
		if all := p.finals[branch]; len(all) > 0 {
			m = all[0]
		}
		return m != nil
	})
	return m
}

// Finals waits for n final responses with that branch.
func (p *Peer) Finals(branch string, n int) (all []*Message) {
	p.t.Helper()
	p.wait("final responses with branch "+branch, func() bool {
		all = append(all[:0], p.finals[branch]...)
		return len(all) >= n
	})
	return all
}

// Await waits until n requests have come and gives all that came so far.
func (p *Peer) Await(n int) []*Message {
	p.t.Helper()
	p.wait("requests", func() bool { return len(p.requests) >= n })
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]*Message(nil), p.requests...)
}

// Requests gives what came so far; retransmissions count.
func (p *Peer) Requests() []*Message {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]*Message(nil), p.requests...)
}

// Hangup closes the TCP connections.
func (p *Peer) Hangup() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		c.Close()
	}
}

// AwaitHangup waits until no TCP connection is left.
func (p *Peer) AwaitHangup() {
	p.t.Helper()
	p.wait("the end of all connections", func() bool { return len(p.conns) == 0 })
}

func (p *Peer) wait(what string, done func() bool) {
	p.t.Helper()
	late := false
	timer := time.AfterFunc(patience, func() {
		p.mu.Lock()
		late = true
		p.cond.Broadcast()
		p.mu.Unlock()
	})
	defer timer.Stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	for !done() {
		if late || p.closed {
			p.t.Fatalf("siptest: waited in vain for %s", what)
		}
		p.cond.Wait()
	}
}

func (p *Peer) readUDP() {
	buf := make([]byte, 65535)
	for {
		n, from, err := p.udp.ReadFromUDPAddrPort(buf)
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			continue
		}
		m, _, err := Parse(buf[:n])
		if err != nil {
			p.t.Errorf("siptest: bad message from %v: %v\n%s", from, err, buf[:n])
			continue
		}
		m.Source = from
		p.take(m)
	}
}

func (p *Peer) accept() {
	for {
		c, err := p.tcp.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		p.serve(c)
		p.mu.Unlock()
	}
}

func (p *Peer) readTCP(c net.Conn, remote netip.AddrPort) {
	defer func() {
		c.Close()
		p.mu.Lock()
		delete(p.conns, remote)
		p.cond.Broadcast()
		p.mu.Unlock()
	}()
	err := readStream(c, func(m *Message, _ []byte) {
		m.Source = remote
		p.take(m)
	})
	if err != nil {
		p.t.Errorf("siptest: bad message from %v: %v", remote, err)
	}
}

// take keeps a message and answers it if it is a request.
func (p *Peer) take(m *Message) {
	p.mu.Lock()
	answer := p.answer
	switch s := m.Status(); {
	case s == 0:
		p.requests = append(p.requests, m)
	case s >= 200:
		p.finals[m.Branch()] = append(p.finals[m.Branch()], m)
	}
	p.cond.Broadcast()
	p.mu.Unlock()
	if m.Status() == 0 && answer != nil {
		if raw := answer(m); raw != "" {
			p.write(m.Source, []byte(raw))
		}
	}
}
