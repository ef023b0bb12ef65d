//go:build amd64 || arm64

package sipside

import (
	"net"
	"net/netip"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Datagrams that follow one another to one place, and are of one length, are given to the
// system as one piece, which it cuts up again at the last moment: where they leave the
// machine, or where they are put into the socket of a peer on this one (UDP_SEGMENT, udp(7)).
// What lies between is gone through once for all of them, and a peer on this machine is woken
// when all of them are there, while it would else interrupt the sender after the first. The
// responses that a barrier releases are such datagrams, as a proxy makes its branches, tags
// and Call-IDs of one length, and so are requests to users of one server. Each arrives by
// itself, in the order of before.
//
// Any response may be in a piece, for nothing depends on what becomes of it: one that is lost
// comes again with its request (RFC 3261 §17.2.2), and one that comes twice is dropped by who
// has sent that (§17.1.2.2).
//
// Of a request it has to be known whether it was read, so requests are in pieces only to loopback
// addresses. A piece that nobody there takes is refused with one ICMP error, about its first
// datagram, while a piece that is cut nevertheless, since the loopback device does so (Linux
// before 5.11) or the address is translated to another host's, may be refused in part, with an
// error about each. An error shows which it is if it quotes more than the first datagram
// (client.wholePiece): requests in pieces are short enough for that, and each knows with which
// others it is (linkPiece).

const (
	// maxSegment is the size of a datagram that goes whole over any link that carries IPv6
	// (RFC 8200 §5). The system refuses to cut a piece into datagrams that do not.
	maxSegment = 1280 - 40 - 8
	// maxQuoted4 and maxQuoted6 are the sizes of a datagram beyond which an ICMP error shows the
	// beginning of the next one: Linux makes errors of 576 octets (RFC 1812 §4.3.2.3) and 1280
	// (RFC 4443 §2.4 (c)).
	maxQuoted4 = 576 - 20 - 8 - 20 - 8 - leastQuoted
	maxQuoted6 = 1280 - 40 - 8 - 40 - 8 - leastQuoted
	// maxPiece is the most that a datagram may have over IPv4, which a piece is until it is cut.
	// All systems take as many parts of it as one call may send datagrams.
	maxPiece = 65535 - 20 - 8
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
// call sends: all of them, from the first on, up to a piece of requests. Such a piece is a call
// of its own, as the system tells only of the first why it is not taken.
func (m *mmsg) pack(packets []packet, pieces bool) {
	m.list = 0
	for i := 0; i < len(packets); m.list++ {
		n := 1
		if pieces {
			n = onePiece(packets[i:])
		}
		requests := n > 1 && packets[i].tx != nil
		if requests && i > 0 {
			return
		}
		linkPiece(packets[i : i+n])
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
		if requests {
			m.list = 1
			return
		}
	}
}

// onePiece tells how many packets, from the first on, are one piece: those that are as long as
// the first, and one that is shorter, which ends it. Responses and requests are not in one.
func onePiece(packets []packet) int {
	first := &packets[0]
	if !first.piece || len(first.b) == 0 || len(first.b) > maxSegment || first.tx != nil && len(first.b) > maxQuoted(first.to) {
		return 1
	}
	most := min(len(packets), maxPiece/len(first.b))
	for n := 1; n < most; n++ {
		p := &packets[n]
		switch {
		case !p.piece || p.to != first.to || (p.tx == nil) != (first.tx == nil) || len(p.b) == 0 || len(p.b) > len(first.b):
			return n
		case len(p.b) < len(first.b):
			return n + 1
		}
	}
	return most
}

// maxQuoted is how long a request to an address may be that is in a piece.
func maxQuoted(to netip.AddrPort) int {
	if to.Addr().Is4() {
		return maxQuoted4
	}
	return maxQuoted6
}

// packets tells how many datagrams the first headers are.
func (m *mmsg) packets(headers int) int {
	n := 0
	for i := range headers {
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

// final reports whether requests that the system does not take as a piece are not sent in another
// way at once: a filter that drops them may have left an ICMP error by which all of them are
// refused, and for want of room, or of size, a part may have left.
func (m *mmsg) final() bool {
	switch m.failed {
	case syscall.EPERM, syscall.EMSGSIZE, syscall.ENOBUFS, syscall.ENOMEM:
		return true
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
