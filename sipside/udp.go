package sipside

import (
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/stoxgw/stox/mapping"
)

// Datagrams per system call: as many as came of late.
const (
	udpBatch = 64
	udpFew   = 4
)

// udpSocket is a listening UDP socket. To sipgo it is a net.PacketConn.
//
// sipgo enters every source address into a table that never shrinks, and makes a
// string of it per datagram. It is therefore told that everything comes from one
// and the same address; the true one is kept in reader.source, which is read in
// the same goroutine before the next ReadFrom.
type udpSocket struct {
	u      *UA
	io     datagrams
	bound  netip.AddrPort
	sentBy string
	layer  *sip.TransportLayer

	rd    reader   // of the read loop
	in    []packet // read and not yet looked at
	bufs  []packet
	reads int // how many of bufs the next read may fill

	sendQueue // what is to be sent
}

// packet is a datagram. tx is set for the first transmission of a request.
type packet struct {
	b     []byte
	to    netip.AddrPort // where to, or where from
	tx    *clientTx
	piece bool // may be handed to the system in one piece with others (segments_linux.go)
}

// zoned reports whether the destination is an address with a zone.
func (p packet) zoned() bool { return p.to.Addr().Zone() != "" }

// datagrams is the socket proper: batches where the system has them.
type datagrams interface {
	// read waits for datagrams; b of the packets given is overwritten.
	read(into []packet) (n int, err error)
	// write sends from the first on; err is why packets[n], or packetsOf(err) from there on, could
	// not be sent.
	write(packets []packet) (n int, err error)
	close() error
}

// oneSource is the address that sipgo sees for all datagrams.
var oneSource net.Addr = &net.UDPAddr{IP: net.IPv4zero, Port: 5060}

func newUDPSocket(u *UA, io datagrams, bound netip.AddrPort) *udpSocket {
	s := &udpSocket{u: u, io: io, bound: bound, sentBy: u.sentByFor(bound)}
	s.wake = make(chan struct{}, 1)
	s.rd = reader{u: u, out: s, handled: true}
	s.bufs, s.reads = make([]packet, udpBatch), udpFew
	s.layer = newLayer(&u.cfg, u.quiet, s.rd.handle)
	return s
}

// ReadFrom gives sipgo the next datagram that its parser will accept.
func (s *udpSocket) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		s.rd.settle()
		for len(s.in) > 0 {
			p := s.in[0]
			s.in = s.in[1:]
			msg := s.screen(p.b, p.to)
			switch {
			case msg == nil:
			case len(msg) > len(b):
				s.rd.parse(msg)
				s.rd.settle()
			default:
				return copy(b, msg), oneSource, nil
			}
		}
		s.rd.raw = nil
		s.rd.flush()
		s.push()
		if err := s.fill(); err != nil {
			return 0, nil, err
		}
	}
}

// fill waits for datagrams. Only closing the socket ends it.
//
// To offer the system more than it fills has a price, and so have the buffers: there are
// as many as a burst has ever filled, and a page or two of each is ever touched.
func (s *udpSocket) fill() error {
	bufs := s.bufs[:s.reads]
	for i := range bufs {
		if b := &bufs[i]; b.b == nil {
			b.b = make([]byte, 65535)
		} else {
			b.b = b.b[:cap(b.b)]
		}
	}
	for {
		n, err := s.io.read(bufs)
		if err == nil {
			s.in = bufs[:n]
			s.show(true, s.in)
			switch {
			case n == s.reads:
				s.reads = min(2*n, udpBatch)
			case n < s.reads/4:
				s.reads /= 2
			}
			return nil
		}
		if errors.Is(err, net.ErrClosed) || s.isClosing() {
			return net.ErrClosed
		}
		s.u.log.Warn("cannot read from the SIP socket, trying on", "addr", s.bound, "err", err)
		s.u.pause(100 * time.Millisecond)
	}
}

// screen checks a datagram and gives what the parser may see of it, nil for
// nothing. Keepalives and what does not begin like SIP are dropped.
func (s *udpSocket) screen(b []byte, source netip.AddrPort) []byte {
	for len(b) > 0 && (b[0] == '\r' || b[0] == '\n') {
		b = b[1:]
	}
	if len(b) < 4 || !tokenChar[b[0]] || s.rd.direct(b, source) > 0 {
		return nil
	}
	end := headEnd(b, 0)
	cut := end < 0
	if cut {
		end = len(b)
	}
	f := scanFrame(b[:end], false, s.u.limits)
	if cut {
		f.fault(400, "no empty line after the headers", false)
	}
	rest := b[end:]
	if f.body > len(rest) {
		f.fault(400, "shorter than its Content-Length", false)
	}
	if f.status != 0 {
		if f.first != "" && !f.response() {
			s.rd.refuseFrame(b, f, source)
		} else {
			s.u.stats.Malformed.Add(1)
		}
		return nil
	}
	if f.body >= 0 {
		rest = rest[:f.body] // what is beyond is ignored (RFC 3261 §18.3)
	}
	msg := b[:end+len(rest)]
	if f.bare {
		msg = append(normalise(b[:end]), rest...)
	}
	s.rd.begin(msg, f.first, source)
	return msg
}

// serve lets sipgo read until the socket is closed.
func (s *udpSocket) serve() {
	if err := s.layer.ServeUDP(s); err != nil {
		s.u.log.Error("the SIP socket is not served", "addr", s.bound, "err", err)
	}
	s.rd.flush()
	s.push()
}

// name implements sender.
func (s *udpSocket) name() string { return s.sentBy }

// contact implements sender.
func (s *udpSocket) contact(c mapping.URI) string { return s.u.ownContact(c, "UDP", s.sentBy) }

// The rest of net.PacketConn. sipgo closes nothing that it was given to serve,
// and we do not write through it.

func (s *udpSocket) LocalAddr() net.Addr                       { return net.UDPAddrFromAddrPort(s.bound) }
func (s *udpSocket) Close() error                              { return nil }
func (s *udpSocket) WriteTo(b []byte, _ net.Addr) (int, error) { return len(b), nil }
func (s *udpSocket) SetDeadline(time.Time) error               { return nil }
func (s *udpSocket) SetReadDeadline(time.Time) error           { return nil }
func (s *udpSocket) SetWriteDeadline(time.Time) error          { return nil }
