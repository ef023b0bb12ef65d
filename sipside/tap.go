package sipside

import (
	"bytes"
	"net/netip"
)

// Tap is shown what goes over the wire, for those who look for a fault. Its methods are called by
// any goroutine, also with locks held: they return at once and call nobody back.
type Tap interface {
	// On reports whether anybody looks. It is asked for each message, so it has to cost nothing.
	On() bool
	// Packet is shown a message of SIP as it has come, before anything is made of it, or as it is
	// put into the queue of its socket or connection, before anybody can send it: so an answer is
	// always shown after its request. transport is udp, tcp, tls, ws or wss. data is only lent.
	Packet(in bool, transport string, local, remote netip.AddrPort, data []byte)
}

// tapped reports whether messages are shown to somebody.
func (u *UA) tapped() bool { return u.cfg.Tap != nil && u.cfg.Tap.On() }

// show shows datagrams to the Tap.
func (s *udpSocket) show(in bool, packets []packet) {
	if !s.u.tapped() {
		return
	}
	for i := range packets {
		if p := &packets[i]; isMessage(p.b) {
			s.u.cfg.Tap.Packet(in, "udp", s.bound, p.to, p.b)
		}
	}
}

// show shows a message to the Tap.
func (s *stream) show(in bool, b []byte) {
	if !s.u.tapped() || !isMessage(b) {
		return
	}
	// A copy, lest what is only appended somewhere has to be on the heap when nobody looks.
	s.u.cfg.Tap.Packet(in, s.transport().String(), addrPortOf(s.conn.LocalAddr()), s.remote, bytes.Clone(b))
}

// show shows what was read from a connection. Datagrams have been shown when they were read.
func (rd *reader) show(b []byte) {
	if rd.stream != nil {
		rd.stream.show(true, b)
	}
}

// isMessage reports whether b is more than what keeps a connection open.
func isMessage(b []byte) bool { return len(bytes.Trim(b, "\r\n\x00")) > 0 }
