//go:build amd64 || arm64

package sipside

import (
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// rawBatch are batchCalls that the runtime is not told of (rawio_linux.go), and that
// allocate nothing. The library's are for destinations with a zone.
//
// What is unsafe of it is in mmsg.call.
type rawBatch struct {
	raw     syscall.RawConn
	local   net.Addr
	in, out *mmsg
	cut     cutting // of pieces that are sent
	denied  error   // why the piece of requests was not taken that the first unsent packets are; nil: they are none
	zoned   *netBatch
	zones   zoneNames
}

// newBatchCalls gives the calls for a socket.
func newBatchCalls(c *net.UDPConn) batchCalls {
	if !unannounced {
		return newNetBatch(c)
	}
	b, err := newRawBatch(c)
	if err != nil {
		return newNetBatch(c)
	}
	return b
}

func newRawBatch(c *net.UDPConn) (*rawBatch, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	return &rawBatch{raw: raw, local: c.LocalAddr(), in: newMmsg(syscall.SYS_RECVMMSG), out: newMmsg(sysSendmmsg()),
		cut: cutting{can: canCut(c)}, zoned: newNetBatch(c)}, nil
}

// sysSendmmsg is the number of sendmmsg, which package syscall lacks for amd64.
func sysSendmmsg() uintptr {
	if runtime.GOARCH == "amd64" {
		return 307
	}
	return 269
}

func (b *rawBatch) receive(into []packet) (int, error) {
	m := b.in
	m.list = len(into[:min(len(into), udpBatch)])
	for i := range m.list {
		m.set(i, into[i].b)
		m.hdr[i].Namelen = sizeName
	}
	m.wait = true
	if err := b.raw.Read(m.call); err != nil { // it is closed, or its deadline is over
		return 0, err
	}
	if m.failed != 0 {
		return 0, &net.OpError{Op: "read", Net: "udp", Source: b.local, Err: os.NewSyscallError("recvmmsg", m.failed)}
	}
	for i := range m.done {
		into[i].b = into[i].b[:m.hdr[i].n]
		into[i].to = b.address(&m.name[i])
	}
	return m.done, nil
}

func (b *rawBatch) send(packets []packet, flags int) (n int, err error) {
	packets, wait := packets[:min(len(packets), udpBatch)], flags&syscall.MSG_DONTWAIT == 0
	if b.denied == nil && slices.ContainsFunc(packets, packet.zoned) {
		b.cut.doubt = 0
		for i := range packets {
			linkPiece(packets[i : i+1])
		}
		return b.zoned.send(packets, flags)
	}
	for b.denied == nil && n < len(packets) {
		sent, packed, err := b.sendPacked(packets[n:], wait && n == 0)
		n += sent
		if err != nil && n == 0 {
			return 0, err
		}
		if err != nil || sent < packed {
			break // the next call tells why
		}
	}
	if n > 0 || b.denied == nil {
		return n, nil
	}
	denied := b.denied
	if wait { // else who writes is told, too, and deals with it
		b.denied = nil
	}
	return 0, denied
}

// sendPacked makes one call for packets from the first on, and tells how many were sent of how
// many that it was for. If they are a piece that is not to be sent again, it sets denied.
func (b *rawBatch) sendPacked(packets []packet, wait bool) (sent, packed int, err error) {
	m := b.out
	m.pack(packets, b.cut.allowed())
	m.wait = wait
	packed = m.packets(m.list)
	if err := b.raw.Write(m.call); err != nil {
		return 0, packed, err
	}
	if m.failed != 0 {
		err = &net.OpError{Op: "write", Net: "udp", Source: b.local, Err: os.NewSyscallError("sendmmsg", m.failed)}
	}
	if packed > 1 && packets[0].tx != nil && m.uncut() && m.final() {
		b.cut.until = time.Now().Add(wholeFor)
		b.denied = &pieceError{packed, m.failed != syscall.EPERM, err}
		return 0, packed, nil
	}
	if b.cut.learn(m) {
		return 0, packed, nil
	}
	return m.packets(m.done), packed, err
}

// mmsg is what one call of recvmmsg or sendmmsg is about. It lives on the heap, and so
// does all that it points to: the collector sees it by hdr and iov.
type mmsg struct {
	number uintptr // of the call
	list   int     // how many of hdr it is about
	wait   bool    // for the first one
	call   func(fd uintptr) bool

	done   int
	failed syscall.Errno

	hdr  [udpBatch]mmsghdr
	iov  [udpBatch]syscall.Iovec
	name [udpBatch][sizeName]byte // struct sockaddr_in or sockaddr_in6
	size [udpBatch]segmentSize    // of pieces that are sent
}

// mmsghdr is struct mmsghdr of recvmmsg(2).
type mmsghdr struct {
	syscall.Msghdr
	n uint32
}

const sizeName = syscall.SizeofSockaddrInet6

func newMmsg(number uintptr) *mmsg {
	m := &mmsg{number: number}
	m.call = m.now
	for i := range m.hdr {
		m.hdr[i].Name = &m.name[i][0]
		m.hdr[i].Iov, m.hdr[i].Iovlen = &m.iov[i], 1
		m.size[i].Level, m.size[i].Type = unix.IPPROTO_UDP, unix.UDP_SEGMENT
		m.size[i].SetLen(unix.CmsgLen(2))
	}
	return m
}

// set has the i-th datagram read into b, or sent from there.
func (m *mmsg) set(i int, b []byte) {
	m.iov[i].Base = unsafe.SliceData(b)
	m.iov[i].SetLen(len(b))
}

// now makes the call, and says no if it is to be made again when the socket is ready.
//
// This is the fence around what is unsafe. The system reads and writes, behind Go's back,
// hdr[:list] and what that points to, and only until the call returns:
//   - It has pointers to m and to the packets' bytes. Memory on the heap does not move, and
//     m, which is kept alive until after the call, holds real pointers to all of it. The one
//     address that is a number is made in the call's own list of arguments.
//   - It writes no more than the lengths allow: those of slices that are in use as such, and
//     of names as long as the longest address of a UDP socket. It reads no more than the
//     lengths of slices, names and size, in which m has what is said of pieces.
//   - Nobody else uses any of it meanwhile: one call at a time, and packets are the caller's.
//   - The call does not wait, whatever mode the descriptor is in (MSG_DONTWAIT), so nothing
//     that the runtime wants of this thread waits longer than udpBatch datagrams take.
func (m *mmsg) now(fd uintptr) bool {
	for {
		n, _, errno := syscall.RawSyscall6(m.number, fd, uintptr(unsafe.Pointer(&m.hdr[0])), uintptr(m.list), syscall.MSG_DONTWAIT, 0, 0)
		runtime.KeepAlive(m)
		switch {
		case errno == syscall.EINTR:
			continue
		case errno == syscall.EAGAIN && m.wait:
			return false
		case errno != 0:
			n = 0
		}
		m.done, m.failed = int(n), errno
		return true
	}
}

// putAddress writes an address without a zone as the system has it, and gives its length.
func putAddress(name *[sizeName]byte, to netip.AddrPort) uint32 {
	binary.BigEndian.PutUint16(name[2:], to.Port())
	ip := to.Addr().Unmap()
	if ip.Is4() {
		binary.NativeEndian.PutUint16(name[:], syscall.AF_INET)
		as4 := ip.As4()
		copy(name[4:], as4[:])
		return syscall.SizeofSockaddrInet4
	}
	binary.NativeEndian.PutUint16(name[:], syscall.AF_INET6)
	clear(name[4:8]) // flow label
	as16 := ip.As16()
	copy(name[8:], as16[:])
	clear(name[24:]) // zone
	return sizeName
}

// address reads an address; IPv4 in IPv6 becomes IPv4.
func (b *rawBatch) address(name *[sizeName]byte) netip.AddrPort {
	port := binary.BigEndian.Uint16(name[2:])
	switch binary.NativeEndian.Uint16(name[:]) {
	case syscall.AF_INET:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(name[4:8])), port)
	case syscall.AF_INET6:
		ip := netip.AddrFrom16([16]byte(name[8:24])).Unmap()
		if zone := binary.NativeEndian.Uint32(name[24:]); zone != 0 {
			ip = ip.WithZone(b.zones.name(zone))
		}
		return netip.AddrPortFrom(ip, port)
	}
	return netip.AddrPort{}
}

// zoneNames are the names of interfaces by their numbers, as of zoneAge ago at most. The
// system gives only numbers of interfaces that it has, so there are not many.
type zoneNames struct {
	names map[uint32]string
	since time.Time
}

const zoneAge = time.Minute

func (z *zoneNames) name(number uint32) string {
	if z.names == nil || time.Since(z.since) > zoneAge {
		z.names, z.since = make(map[uint32]string), time.Now()
	}
	name, known := z.names[number]
	if !known {
		name = strconv.FormatUint(uint64(number), 10)
		if i, err := net.InterfaceByIndex(int(number)); err == nil {
			name = i.Name
		}
		z.names[number] = name
	}
	return name
}
