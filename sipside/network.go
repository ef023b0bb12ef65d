package sipside

import (
	"context"
	"net"
	"net/netip"
	"time"
)

// Network makes the sockets of a UA. The names of networks and the forms of addresses
// are those of package net.
type Network interface {
	ListenPacket(network, addr string) (net.PacketConn, error)
	Listen(network, addr string) (net.Listener, error)
	DialContext(ctx context.Context, network, addr string) (net.Conn, error)
}

// systemNetwork is the network of the machine.
type systemNetwork struct{ net.Dialer }

func newSystemNetwork() *systemNetwork {
	keepAlive := net.KeepAliveConfig{Enable: true, Idle: 30 * time.Second, Interval: 10 * time.Second, Count: 4}
	return &systemNetwork{net.Dialer{KeepAliveConfig: keepAlive}}
}

func (*systemNetwork) ListenPacket(network, addr string) (net.PacketConn, error) {
	return net.ListenPacket(network, addr)
}

func (*systemNetwork) Listen(network, addr string) (net.Listener, error) {
	return net.Listen(network, addr)
}

// bindUDP listens for datagrams: in batches and with an ear for ICMP where the socket
// is one of the system's, one by one elsewhere.
func bindUDP(n Network, addr string, refused func(dest netip.AddrPort, wire []byte, err error)) (datagrams, netip.AddrPort, error) {
	conn, err := n.ListenPacket("udp"+family(addr), addr)
	if err != nil {
		return nil, netip.AddrPort{}, err
	}
	bound := addrPortOf(conn.LocalAddr())
	c, ok := conn.(*net.UDPConn)
	if !ok {
		return singleIO{conn}, bound, nil
	}
	// Bursts wait here while the read loop is at work. What the system grants is enough.
	c.SetReadBuffer(4 << 20)
	c.SetWriteBuffer(1 << 20)
	return newBatchIO(c, refused), bound, nil
}

// singleIO reads and writes one datagram at a time.
type singleIO struct{ conn net.PacketConn }

func (s singleIO) read(into []packet) (int, error) {
	n, from, err := s.conn.ReadFrom(into[0].b)
	if err != nil {
		return 0, err
	}
	into[0].b, into[0].to = into[0].b[:n], addrPortOf(from)
	return 1, nil
}

func (s singleIO) write(packets []packet) (int, error) {
	for i, p := range packets {
		if _, err := s.conn.WriteTo(p.b, net.UDPAddrFromAddrPort(p.to)); err != nil {
			return i, err
		}
	}
	return len(packets), nil
}

func (s singleIO) close() error { return s.conn.Close() }
