//go:build unix

package component

import (
	"errors"
	"io"
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
	try := func(fd uintptr) { n, failed = writeNow(fd, octets) } // the descriptor never blocks
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

// readsFrom returns conn.Read, or what does the same at a lower price. One at a time may
// call it.
func readsFrom(conn net.Conn) func(p []byte) (int, error) {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return conn.Read
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return conn.Read
	}
	var (
		room   []byte
		n      int
		failed error
	)
	try := func(fd uintptr) bool {
		for {
			switch n, failed = readNow(fd, room); failed {
			case syscall.EINTR:
			case syscall.EAGAIN:
				return false
			default:
				return true
			}
		}
	}
	fault := func(err error) error {
		return &net.OpError{Op: "read", Net: "tcp", Source: conn.LocalAddr(), Addr: conn.RemoteAddr(), Err: err}
	}
	return func(p []byte) (int, error) {
		room, n, failed = p, 0, nil
		err := raw.Read(try)
		room = nil
		switch {
		case err != nil: // it is closed, or its deadline is over
			if op := (*net.OpError)(nil); errors.As(err, &op) {
				err = op.Err
			}
			return 0, fault(err)
		case failed != nil:
			return 0, fault(os.NewSyscallError("read", failed))
		case n == 0 && len(p) > 0:
			return 0, io.EOF
		}
		return n, nil
	}
}
