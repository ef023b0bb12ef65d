package sipside

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"slices"
	"syscall"
)

// Nobody tells an unconnected UDP socket that a datagram was refused, unless it asks
// for an error queue (ip(7), IP_RECVERR). An ICMP error then does two things: the
// datagram comes back through that queue with what is wrong with it, and the next
// system call of the socket fails once, whatever it was about. batchIO therefore
// looks at the queue when a call has failed, and tries that call again.

// Of struct sock_extended_err in linux/errqueue.h.
const (
	sizeExtendedErr = 16
	originICMP      = 2
	originICMP6     = 3
)

// Types of "destination unreachable".
const (
	unreachable4 = 3 // RFC 792
	unreachable6 = 1 // RFC 4443
)

// askForErrors gives the socket an error queue. If the system refuses, what nobody
// takes ends by Timer F.
func askForErrors(c *net.UDPConn) {
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	raw.Control(func(fd uintptr) {
		// The one that is not of the socket's family fails; [::] takes both.
		syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, syscall.IP_RECVERR, 1)
		syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IPV6, syscall.IPV6_RECVERR, 1)
	})
}

// readErrors empties the error queue and tells of each datagram that its host, or a
// router on the way, has refused. It does not wait. Several goroutines may call it.
func readErrors(c *net.UDPConn, refused func(dest netip.AddrPort, wire []byte, err error)) {
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	wire, oob := make([]byte, 1500), make([]byte, 512)
	for {
		var n, oobn int
		var from syscall.Sockaddr
		err := syscall.EBADF
		raw.Control(func(fd uintptr) {
			var e error
			n, oobn, _, from, e = syscall.Recvmsg(int(fd), wire, oob, syscall.MSG_ERRQUEUE|syscall.MSG_DONTWAIT)
			err, _ = e.(syscall.Errno)
		})
		if err == syscall.EINTR {
			continue
		}
		if err != 0 {
			return
		}
		if cause := unreachable(oob[:oobn]); cause != 0 {
			refused(sockaddr(from), wire[:n], cause)
		}
	}
}

// isRefusal reports whether a system call failed with what an ICMP error may have
// left on the socket. Reading has no such failure of its own, writing has.
func isRefusal(err error) bool {
	var e syscall.Errno
	return errors.As(err, &e) && slices.Contains(icmpErrors, e)
}

var icmpErrors = []syscall.Errno{
	syscall.ECONNREFUSED, syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.EHOSTDOWN, syscall.ENONET,
	syscall.ENOPROTOOPT, syscall.EOPNOTSUPP, syscall.EMSGSIZE, syscall.EPROTO, syscall.EACCES,
}

// unreachable reads the control messages of an error: why the destination could not
// be reached, 0 if it is about something else.
func unreachable(oob []byte) syscall.Errno {
	all, err := syscall.ParseSocketControlMessage(oob)
	if err != nil {
		return 0
	}
	for _, m := range all {
		v4 := m.Header.Level == syscall.IPPROTO_IP && m.Header.Type == syscall.IP_RECVERR
		v6 := m.Header.Level == syscall.IPPROTO_IPV6 && m.Header.Type == syscall.IPV6_RECVERR
		if !v4 && !v6 || len(m.Data) < sizeExtendedErr {
			continue
		}
		origin, typ := m.Data[4], m.Data[5]
		if origin == originICMP && typ != unreachable4 || origin == originICMP6 && typ != unreachable6 || origin != originICMP && origin != originICMP6 {
			return 0
		}
		switch cause := syscall.Errno(binary.NativeEndian.Uint32(m.Data)); cause {
		case syscall.ECONNREFUSED, syscall.EHOSTUNREACH, syscall.ENETUNREACH:
			return cause
		}
	}
	return 0
}

// sockaddr reads an address; IPv4 in IPv6 becomes IPv4.
func sockaddr(a syscall.Sockaddr) netip.AddrPort {
	switch a := a.(type) {
	case *syscall.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *syscall.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), uint16(a.Port))
	}
	return netip.AddrPort{}
}
