//go:build amd64 || arm64

package sipside

import (
	"net"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Datagrams that follow one another to one place, and are of one length, are given to the
// system as one piece, which it cuts up again at the last moment: where they leave the
// machine, or where they are put into the socket of a peer on this one (UDP_SEGMENT, udp(7)).
// What lies between is gone through once for all of them, and a peer on this machine is woken
// when all of them are there: it would else interrupt the sender after the first. The answers
// of one barrier are such datagrams, as proxies make branches and Call-IDs of one length.
//
// Each arrives by itself, in the order of before. A capture of what leaves shows the piece.

const (
	// maxSegment is the size of a datagram that goes whole over any link that carries IPv6
	// (RFC 8200 §5). The system refuses to cut a piece into datagrams that do not.
	maxSegment = 1280 - 40 - 8
	// maxSegments is how many fit into a piece, whatever their size; systems take 64.
	maxSegments = 65000 / maxSegment
)

// segmentSize is the control message that says where a piece is cut.
type segmentSize struct {
	syscall.Cmsghdr
	octets uint16
	_      [6]byte
}

// segments reports whether the system knows how to cut for this socket.
func segments(c *net.UDPConn) bool {
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	known := false
	raw.Control(func(fd uintptr) {
		known = unix.SetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_SEGMENT, 0) == nil
	})
	return known
}

// pack makes packets, of which there are udpBatch at most, what the next call sends. No
// address of theirs has a zone.
func (m *mmsg) pack(packets []packet, pieces bool) {
	m.list = 0
	for i := 0; i < len(packets); m.list++ {
		n := 1
		if pieces {
			n = onePiece(packets[i:])
		}
		h := &m.hdr[m.list]
		h.Namelen = putAddress(&m.name[m.list], packets[i].to)
		h.Iov, h.Iovlen = &m.iov[i], uint64(n)
		h.Control, h.Controllen = nil, 0
		if n > 1 {
			c := &m.size[m.list]
			c.octets = uint16(len(packets[i].b))
			h.Control, h.Controllen = (*byte)(unsafe.Pointer(c)), uint64(unsafe.Sizeof(*c))
		}
		for range n {
			m.set(i, packets[i].b)
			i++
		}
	}
}

// onePiece tells how many packets, from the first on, can be one piece: those of its length, and
// one shorter one.
func onePiece(packets []packet) int {
	first := &packets[0]
	if len(first.b) == 0 || len(first.b) > maxSegment || first.alone() {
		return 1
	}
	for n := 1; n < min(len(packets), maxSegments); n++ {
		p := &packets[n]
		switch {
		case p.to != first.to || p.alone() || len(p.b) == 0 || len(p.b) > len(first.b):
			return n
		case len(p.b) < len(first.b):
			return n + 1
		}
	}
	return min(len(packets), maxSegments)
}

// alone reports whether a packet must not be part of a piece. A piece that nobody on this
// machine takes is refused as one, by one ICMP error about its first datagram, and requests
// that nobody has read are to be known as such. So they share one only with an answer of that
// place lately: when it goes away, those of the last piece are what nothing is known of, as is
// all that waited in its socket.
func (p *packet) alone() bool { return p.tx != nil && !p.sure }

// packets tells how many datagrams the headers are that the call has sent.
func (m *mmsg) packets() int {
	n := 0
	for i := range m.done {
		n += int(m.hdr[i].Iovlen)
	}
	return n
}

// uncut reports whether the last call may have failed because it was to cut its first piece:
// a route for smaller datagrams only, or a device that leaves checksums to the system.
func (m *mmsg) uncut() bool {
	switch m.failed {
	case syscall.EINVAL, syscall.EMSGSIZE, syscall.EIO:
		return m.hdr[0].Iovlen > 1
	}
	return false
}
