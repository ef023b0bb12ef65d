//go:build unix

package sipside

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
)

// quickTCP makes system calls on a TCP connection that a net.Conn has no method for: a write
// that does not wait, and a read that needs a buffer only when there is something to read.
// So a connection that is idle has none, and one that is busy a large one.
type quickTCP struct {
	conn *net.TCPConn
	raw  syscall.RawConn

	// Of the one that writes.
	out    []byte
	sent   int
	outErr error
	doSend func(fd uintptr) bool

	// Of the one that reads.
	s      *stream
	lent   *readBuffer // what s.mem is; nil: of its own
	small  []byte      // holds the beginning of a message while its rest is waited for
	got    int
	inErr  error
	doRead func(fd uintptr) bool
}

const (
	readAhead = 32 << 10 // of one read
	smallRest = 2 << 10  // a beginning that is so short waits in a buffer of its own
)

// readBuffer is what is read into, by whoever has something to read.
type readBuffer [readAhead]byte

var readBuffers = sync.Pool{New: func() any { return new(readBuffer) }}

// newQuickTCP gives nil if c is no TCP connection of the system.
func newQuickTCP(c net.Conn) *quickTCP {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil
	}
	q := &quickTCP{conn: tcp, raw: raw}
	q.doSend, q.doRead = q.send, q.receive
	return q
}

// write writes what the system takes at once. An error is one of the connection; that it
// takes no more is none. One goroutine at a time calls it.
func (q *quickTCP) write(b []byte) (n int, err error) {
	q.out, q.sent, q.outErr = b, 0, nil
	err = q.raw.Write(q.doSend)
	q.out = nil
	switch {
	case q.outErr != nil:
		err = q.failed("write", os.NewSyscallError("write", q.outErr))
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = nil // that of an earlier write; the next one sets its own
	case err != nil:
		err = q.failed("write", cause(err))
	}
	return q.sent, err
}

func (q *quickTCP) send(fd uintptr) (done bool) {
	for q.sent < len(q.out) {
		n, err := writeNow(fd, q.out[q.sent:])
		switch {
		case err == syscall.EINTR:
		case err == syscall.EAGAIN:
			return true
		case err != nil:
			q.outErr = err
			return true
		default:
			q.sent += n
		}
	}
	return true
}

// read appends to s.buf what one read gives, and waits for it until the deadline of the
// connection. Only the goroutine that reads calls it.
func (q *quickTCP) read(s *stream) (n int, err error) {
	q.s, q.got, q.inErr = s, 0, nil
	err = q.raw.Read(q.doRead)
	switch {
	case q.inErr != nil:
		return 0, q.failed("read", os.NewSyscallError("read", q.inErr))
	case err != nil:
		return 0, q.failed("read", cause(err))
	case q.got == 0:
		return 0, io.EOF
	}
	return q.got, nil
}

func (q *quickTCP) receive(fd uintptr) (done bool) {
	s := q.s
	q.borrow()
	for {
		n, err := readNow(fd, s.buf[len(s.buf):cap(s.buf)])
		switch {
		case err == syscall.EINTR:
		case err == syscall.EAGAIN:
			q.giveBack()
			return false
		case err != nil:
			q.inErr = err
			return true
		default:
			q.got = n
			s.buf = s.buf[:len(s.buf)+n]
			return true
		}
	}
}

// borrow sees to it that the buffer has room for a read.
func (q *quickTCP) borrow() {
	s := q.s
	if q.lent != nil || len(s.buf) > smallRest {
		s.makeRoom()
		if q.lent != nil && &s.mem[0] != &q.lent[0] { // outgrown
			readBuffers.Put(q.lent)
			q.lent = nil
		}
		return
	}
	q.lent = readBuffers.Get().(*readBuffer)
	s.mem = q.lent[:]
	s.buf = s.mem[:copy(s.mem, s.buf)]
}

// giveBack returns the buffer, unless there is much in it.
func (q *quickTCP) giveBack() {
	s := q.s
	if q.lent == nil || len(s.buf) > smallRest {
		return
	}
	begun := s.buf
	s.mem, s.buf = nil, nil
	if len(begun) > 0 {
		q.small = append(q.small[:0], begun...)
		s.buf = q.small
	}
	readBuffers.Put(q.lent)
	q.lent = nil
}

// failed is the error that the connection's own methods would have given.
func (q *quickTCP) failed(op string, err error) error {
	return &net.OpError{Op: op, Net: "tcp", Source: q.conn.LocalAddr(), Addr: q.conn.RemoteAddr(), Err: err}
}

// cause is what an error of a raw connection is about.
func cause(err error) error {
	if op := (*net.OpError)(nil); errors.As(err, &op) {
		return op.Err
	}
	return err
}
