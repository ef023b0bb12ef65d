//go:build unix

package component

import (
	"net"
	"os"
	"syscall"
)

// direct writes to a connection what that takes without waiting, which may be nothing. One
// at a time may call it.
type direct func(p []byte) (n int, err error)

// writesAtOnce returns how to write to conn without waiting; nil if that cannot be done with
// such a connection.
//
// It leaves the deadline of conn alone, and goes on while another one waits to write.
func writesAtOnce(conn net.Conn) direct {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil
	}
	var (
		octets []byte
		n      int
		failed error
	)
	try := func(fd uintptr) { n, failed = syscall.Write(int(fd), octets) } // the descriptor never blocks
	return func(p []byte) (int, error) {
		octets, n, failed = p, 0, nil
		err := raw.Control(try)
		octets = nil
		switch {
		case err != nil: // it is closed
			return 0, err
		case failed == nil:
			return n, nil
		case failed == syscall.EAGAIN, failed == syscall.EINTR, failed == syscall.ENOBUFS, failed == syscall.ENOMEM:
			return 0, nil
		}
		return 0, &net.OpError{Op: "write", Net: "tcp", Source: conn.LocalAddr(), Addr: conn.RemoteAddr(), Err: os.NewSyscallError("write", failed)}
	}
}
