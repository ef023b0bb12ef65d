//go:build amd64 || arm64

package sipside

import (
	"net"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Responses that follow one another to one place, and are of one length, are given to the
// system as one piece, which it cuts up again at the last moment: where they leave the
// machine, or where they are put into the socket of a peer on this one (UDP_SEGMENT, udp(7)).
// What lies between is gone through once for all of them, and a peer on this machine is woken
// when all of them are there, while it would else interrupt the sender after the first. The
// responses that a barrier releases are such datagrams, as a proxy makes its branches, tags
// and Call-IDs of one length. Each arrives by itself, in the order of before.
//
// It is for responses only. A piece that nobody on this machine takes is refused as one, with
// one ICMP error about its first datagram, and a system may report an error for a piece of
// which a part has left. For a request it has to be known whether it was read
// (client.refused). A response that is lost comes again with its request (RFC 3261 §17.2.2),
// and one that comes twice is dropped by who has sent that (§17.1.2.2).

const (
	// maxSegment is the size of a datagram that goes whole over any link that carries IPv6
	// (RFC 8200 §5). The system refuses to cut a piece into datagrams that do not.
	maxSegment = 1280 - 40 - 8
	// maxPiece is the most that a datagram may have over IPv4, which a piece is until it is cut.
	// All systems take as many parts of it as one call may send datagrams.
	maxPiece = 65535 - 20 - 8
	// wholeFor is for how long a socket makes no pieces after one was not taken whose first
	// datagram was taken by itself, unless it was for want of room, which passes.
	wholeFor = time.Minute
)

// segmentSize is the control message that says where a piece is cut.
type segmentSize struct {
	syscall.Cmsghdr
	octets uint16
	_      [6]byte
}

// canCut reports whether the system knows how to cut for this socket. It is asked, for there
// are systems that allow any option to be set, and ignore it.
func canCut(c *net.UDPConn) bool {
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	known := false
	raw.Control(func(fd uintptr) {
		_, err := unix.GetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_SEGMENT)
		known = err == nil
	})
	return known
}

// pack makes packets, of which there are udpBatch at most and none has a zone, what the next
// call sends.
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
			size := &m.size[m.list]
			size.octets = uint16(len(packets[i].b))
			h.Control, h.Controllen = (*byte)(unsafe.Pointer(size)), uint64(unsafe.Sizeof(*size))
		}
		for range n {
			m.set(i, packets[i].b)
			i++
		}
	}
}

// onePiece tells how many packets, from the first on, are one piece: those that are as long as
// the first, and one that is shorter, which ends it.
func onePiece(packets []packet) int {
	first := &packets[0]
	if !first.piece || len(first.b) == 0 || len(first.b) > maxSegment {
		return 1
	}
	most := min(len(packets), maxPiece/len(first.b))
	for n := 1; n < most; n++ {
		p := &packets[n]
		switch {
		case !p.piece || p.to != first.to || len(p.b) == 0 || len(p.b) > len(first.b):
			return n
		case len(p.b) < len(first.b):
			return n + 1
		}
	}
	return most
}

// packets tells how many datagrams the headers are that the call has sent.
func (m *mmsg) packets() int {
	n := 0
	for i := range m.done {
		n += int(m.hdr[i].Iovlen)
	}
	return n
}

// uncut reports whether the call may have failed because its first header is a piece: the
// route is for smaller datagrams, the device or IPsec wants each by itself, a filter looks
// at the length of what it takes for one packet, or so much does not fit into a queue. It may
// also be what an ICMP error about an earlier datagram has left (EMSGSIZE).
func (m *mmsg) uncut() bool {
	switch m.failed {
	case syscall.EINVAL, syscall.EMSGSIZE, syscall.EIO, syscall.EPERM, syscall.ENOBUFS, syscall.ENOMEM:
		return m.list > 0 && m.hdr[0].Iovlen > 1
	}
	return false
}

// cutting says whether a socket makes pieces.
type cutting struct {
	can   bool
	doubt syscall.Errno // why the last piece was not taken; the next call shows if its datagrams are
	until time.Time     // no pieces are made before; zero: they are
}

// allowed reports whether the next call is to make pieces.
func (c *cutting) allowed() bool {
	if !c.until.IsZero() && !time.Now().Before(c.until) {
		c.until = time.Time{}
	}
	return c.can && c.doubt == 0 && c.until.IsZero()
}

// learn is told what became of a call, and reports whether it is to be made again, without pieces.
func (c *cutting) learn(m *mmsg) (again bool) {
	if m.uncut() {
		c.doubt = m.failed
		return true
	}
	if c.doubt != 0 && m.done > 0 && !isShortage(c.doubt) {
		c.until = time.Now().Add(wholeFor)
	}
	c.doubt = 0
	return false
}
