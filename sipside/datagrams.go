package sipside

import (
	"net"
	"net/netip"

	"golang.org/x/net/ipv4"
)

// batchIO reads and writes several datagrams per system call (recvmmsg,
// sendmmsg). ipv4.PacketConn serves sockets of either family.
type batchIO struct {
	conn *net.UDPConn
	pc   *ipv4.PacketConn
	in   []ipv4.Message
	out  []ipv4.Message
	addr []net.UDPAddr
}

func newBatchIO(c *net.UDPConn) *batchIO {
	b := &batchIO{conn: c, pc: ipv4.NewPacketConn(c), in: make([]ipv4.Message, udpBatch),
		out: make([]ipv4.Message, udpBatch), addr: make([]net.UDPAddr, udpBatch)}
	for i := range udpBatch {
		b.in[i].Buffers = make([][]byte, 1)
		b.out[i].Buffers = make([][]byte, 1)
		b.out[i].Addr = &b.addr[i]
	}
	return b
}

func (b *batchIO) read(into []packet) (int, error) {
	for i := range into {
		b.in[i].Buffers[0] = into[i].b
	}
	n, err := b.pc.ReadBatch(b.in[:len(into)], 0)
	if err != nil {
		return 0, err
	}
	for i := range n {
		a := b.in[i].Addr.(*net.UDPAddr).AddrPort()
		into[i].b = into[i].b[:b.in[i].N]
		into[i].to = netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
	}
	return n, nil
}

func (b *batchIO) write(packets []packet) (int, error) {
	n := min(len(packets), udpBatch)
	for i, p := range packets[:n] {
		b.out[i].Buffers[0] = p.b
		b.addr[i] = net.UDPAddr{IP: append(b.addr[i].IP[:0], p.to.Addr().AsSlice()...), Port: int(p.to.Port()), Zone: p.to.Addr().Zone()}
	}
	n, err := b.pc.WriteBatch(b.out[:n], 0)
	return max(n, 0), err // -1 if the first one failed
}

func (b *batchIO) close() error { return b.conn.Close() }

// addrPortOf reads a net.Addr; IPv4 in IPv6 becomes IPv4.
func addrPortOf(a net.Addr) netip.AddrPort {
	var p netip.AddrPort
	switch a := a.(type) {
	case *net.UDPAddr:
		p = a.AddrPort()
	case *net.TCPAddr:
		p = a.AddrPort()
	default:
		p, _ = netip.ParseAddrPort(a.String())
	}
	return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
}
