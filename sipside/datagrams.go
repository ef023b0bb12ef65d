package sipside

import (
	"errors"
	"net"
	"net/netip"
)

// batchIO reads and writes several datagrams per system call, and listens to what ICMP
// says of them (refused_linux.go).
type batchIO struct {
	conn    *net.UDPConn
	calls   batchCalls
	refused func(dest netip.AddrPort, wire []byte, err error)
	stopped bool // try did, and has not looked why; of who may call send
}

// batchCalls are recvmmsg and sendmmsg of a socket. Of each, one at a time may be called.
type batchCalls interface {
	// receive waits for datagrams, up to udpBatch; b of the packets given is overwritten.
	receive(into []packet) (n int, err error)
	// send sends from the first on, up to udpBatch. Unless flags say otherwise it waits
	// until the first one is taken. err is why that one, or packetsOf(err) from there on, were
	// not; if there is none, and nothing was sent, it is to be called again, and does it in
	// another way.
	send(packets []packet, flags int) (n int, err error)
}

// pieceError is why a piece of requests was not taken. It is not sent again.
type pieceError struct {
	packets int
	lost    bool // a part may have left
	err     error
}

func (e *pieceError) Error() string { return e.err.Error() }
func (e *pieceError) Unwrap() error { return e.err }

// packetsOf tells of how many packets, from the first that was not sent, err says why.
func packetsOf(err error) int {
	if e := (*pieceError)(nil); errors.As(err, &e) {
		return e.packets
	}
	return 1
}

// isLoss reports whether what failed with err counts as sent, and lost on its way.
func isLoss(err error) bool {
	e := (*pieceError)(nil)
	return isShortage(err) || errors.As(err, &e) && e.lost
}

// newBatchIO takes over a socket. refused is called for datagrams of which an ICMP
// error says that their destination could not be reached, by whoever reads or writes.
// wire is what the error shows of them, and is only lent.
func newBatchIO(c *net.UDPConn, refused func(dest netip.AddrPort, wire []byte, err error)) *batchIO {
	askForErrors(c)
	return &batchIO{conn: c, calls: newBatchCalls(c), refused: refused}
}

func (b *batchIO) read(into []packet) (int, error) {
	n, err := b.calls.receive(into)
	for ; err != nil; n, err = b.calls.receive(into) {
		readErrors(b.conn, b.refused)
		if !isRefusal(err) {
			return 0, err
		}
	}
	return n, nil
}

func (b *batchIO) write(packets []packet) (int, error) {
	if b.stopped { // the error that has ended that call is not there for the next one
		b.stopped = false
		readErrors(b.conn, b.refused)
	}
	for tried := 0; ; {
		sent, err := b.calls.send(packets, 0)
		if err == nil && sent == min(len(packets), udpBatch) {
			return sent, nil
		}
		readErrors(b.conn, b.refused) // may be why
		if sent > 0 || err != nil && (!isRefusal(err) || packetsOf(err) > 1 || tried == writeTries) {
			return sent, err
		}
		if err != nil {
			tried++
		}
	}
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
