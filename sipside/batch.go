package sipside

import (
	"net"
	"net/netip"

	"golang.org/x/net/ipv4"
)

// netBatch are batchCalls by the library, for every system; those that have no such calls
// get one datagram at a time. ipv4.PacketConn serves sockets of either family.
type netBatch struct {
	pc   *ipv4.PacketConn
	in   []ipv4.Message
	out  []ipv4.Message
	addr []net.UDPAddr
}

func newNetBatch(c *net.UDPConn) *netBatch {
	b := &netBatch{pc: ipv4.NewPacketConn(c), in: make([]ipv4.Message, udpBatch),
		out: make([]ipv4.Message, udpBatch), addr: make([]net.UDPAddr, udpBatch)}
	for i := range udpBatch {
		b.in[i].Buffers = make([][]byte, 1)
		b.out[i].Buffers = make([][]byte, 1)
		b.out[i].Addr = &b.addr[i]
	}
	return b
}

func (b *netBatch) receive(into []packet) (int, error) {
	into = into[:min(len(into), udpBatch)]
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

func (b *netBatch) send(packets []packet, flags int) (int, error) {
	n, err := b.pc.WriteBatch(b.out[:b.load(packets)], flags)
	return max(n, 0), err // -1 if the first one failed
}

// load prepares to send packets from the first on, and tells how many.
func (b *netBatch) load(packets []packet) int {
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
