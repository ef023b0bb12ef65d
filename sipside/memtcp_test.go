package sipside

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
)

// pipeConn is one end of a net.Pipe with addresses.
type pipeConn struct {
	net.Conn
	local, remote netip.AddrPort
}

func (p pipeConn) LocalAddr() net.Addr  { return net.TCPAddrFromAddrPort(p.local) }
func (p pipeConn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(p.remote) }

// memListener hands out pipes, or errors.
type memListener struct {
	conns chan any
	done  chan struct{}
	once  sync.Once
}

func (l *memListener) Accept() (net.Conn, error) {
	select {
	case v := <-l.conns:
		if err, ok := v.(error); ok {
			return nil, err
		}
		return v.(net.Conn), nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}
func (l *memListener) Close() error   { l.once.Do(func() { close(l.done) }); return nil }
func (l *memListener) Addr() net.Addr { return net.TCPAddrFromAddrPort(memSelf) }

func (l *memListener) dial(from netip.AddrPort) net.Conn {
	here, there := net.Pipe()
	l.conns <- pipeConn{there, memSelf, from}
	return here
}

// memTCP is a UA with a TCP socket in memory; what it dials ends in the channel.
func memTCP(t testing.TB, cfg Config, b *bridge) (*UA, *memListener, chan net.Conn) {
	t.Helper()
	cfg.Peers = []Peer{{Name: "mem", Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.9/32")}}}
	return memTCPWith(t, cfg, b)
}

// memTCPWith is memTCP with the peers of cfg.
func memTCPWith(t testing.TB, cfg Config, b *bridge) (*UA, *memListener, chan net.Conn) {
	t.Helper()
	cfg.Listen = []string{"tcp://192.0.2.1:5060"}
	u, err := New(cfg, testLog(t, nil))
	if err != nil {
		t.Fatal(err)
	}
	l := &memListener{conns: make(chan any, 10), done: make(chan struct{})}
	u.listenTCP = func(string) (net.Listener, error) { return l, nil }
	dialed := make(chan net.Conn, 10)
	u.dial = func(_ context.Context, _, addr string) (net.Conn, error) {
		here, there := net.Pipe()
		dialed <- here
		return pipeConn{there, memSelf, netip.MustParseAddrPort(addr)}, nil
	}
	return run(t, u, b), l, dialed
}

// readAll collects what comes over a connection until it ends.
func readAll(c net.Conn) func() string {
	var mu sync.Mutex
	var got strings.Builder
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := c.Read(buf)
			mu.Lock()
			got.Write(buf[:n])
			if err != nil {
				got.WriteString("<end>")
			}
			mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return func() string { mu.Lock(); defer mu.Unlock(); return got.String() }
}
