package sipside

import (
	"net"
	"net/netip"

	"golang.org/x/net/ipv4"
)

// batchIO reads and writes several datagrams per system call (recvmmsg,
// sendmmsg), and listens to what ICMP says of them (refused_linux.go).
// ipv4.PacketConn serves sockets of either family.
type batchIO struct {
	conn    *net.UDPConn
	pc      *ipv4.PacketConn
	refused func(dest netip.AddrPort, wire []byte, err error)

	in   []ipv4.Message
	out  []ipv4.Message
	addr []net.UDPAddr
}

// newBatchIO takes over a socket. refused is called for datagrams of which an ICMP
// error says that their destination could not be reached, by whoever reads or writes.
// wire is what the error shows of them, and is only lent.
func newBatchIO(c *net.UDPConn, refused func(dest netip.AddrPort, wire []byte, err error)) *batchIO {
	askForErrors(c)
	b := &batchIO{conn: c, pc: ipv4.NewPacketConn(c), refused: refused, in: make([]ipv4.Message, udpBatch),
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
	for ; err != nil; n, err = b.pc.ReadBatch(b.in[:len(into)], 0) {
		readErrors(b.conn, b.refused)
		if !isRefusal(err) {
			return 0, err
		}
	}
	for i := range n {
		a := b.in[i].Addr.(*net.UDPAddr).AddrPort()
		into[i].b = into[i].b[:b.in[i].N]
		into[i].to = netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
	}
	return n, nil
}

func (b *batchIO) write(packets []packet) (int, error) {
	n := b.load(packets)
	tried := 0
	sent, err := b.pc.WriteBatch(b.out[:n], 0)
	for ; err != nil && isRefusal(err) && tried < writeTries; sent, err = b.pc.WriteBatch(b.out[:n], 0) {
		readErrors(b.conn, b.refused)
		tried++
	}
	if err == nil && sent < n {
		readErrors(b.conn, b.refused) // may be why
	}
	return max(sent, 0), err // -1 if the first one failed
}

// load prepares to send packets from the first on, and tells how many.
func (b *batchIO) load(packets []packet) int {
	n := min(len(packets), udpBatch)
	for i := range packets[:n] {
		p := &packets[i]
		b.out[i].Buffers[0] = p.b
		a := &b.addr[i]
		a.Port, a.Zone = int(p.to.Port()), p.to.Addr().Zone()
		if ip := p.to.Addr(); ip.Is4() {
			as4 := ip.As4()
			a.IP = append(a.IP[:0], as4[:]...)
		} else {
			as16 := ip.As16()
			a.IP = append(a.IP[:0], as16[:]...)
		}
	}
	return n
}

// writeTries is how often a write is tried again that has failed because an earlier
// datagram was refused. It may also be its own failure, which comes each time.
const writeTries = 8

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
