package component

import (
	"net"
	"net/netip"
)

// Tap is shown what goes over the links, for those who look for a fault. Its methods are called by
// any goroutine, also with locks held: they return at once and call nobody back.
type Tap interface {
	// On reports whether anybody looks. It is asked for each stanza, so it has to cost nothing.
	On() bool
	// Stanzas is shown what has been read, before anything is made of it, or is about to be
	// written: whole children of the stream, or the beginning or end of that. What was read and
	// is no XML, or is too long, is not whole. data is only lent.
	Stanzas(in bool, component string, server netip.AddrPort, data []byte)
}

// tapped reports whether stanzas are shown to somebody.
func (l *link) tapped() bool { return l.cfg.Tap != nil && l.cfg.Tap.On() }

// show shows stanzas to the Tap.
func (l *link) show(in bool, b []byte) {
	if len(b) > 0 && l.tapped() {
		l.cfg.Tap.Stanzas(in, l.cfg.Domain, addrPortOf(l.conn.RemoteAddr()), b)
	}
}

// addrPortOf is the zero value for what is no address of IP.
func addrPortOf(a net.Addr) netip.AddrPort {
	if tcp, ok := a.(*net.TCPAddr); ok {
		p := tcp.AddrPort()
		return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
	}
	return netip.AddrPort{}
}

// tape keeps the octets of the stanza that is being read, while somebody looks. It belongs to the
// reader, as the source does that it is a part of.
type tape struct {
	tapped func() bool // nil: nobody ever looks
	runs   bool        // this stanza is kept
	kept   []byte      // what has left the buffer of it
	from   int         // where the rest of it begins there
}

const (
	maxTape  = 1 << 20  // octets of a stanza that are kept; one that is longer is not shown whole
	keepTape = 64 << 10 // a bigger one is left to the collector
)

// rewind begins anew where the source is.
func (t *tape) rewind(at int) {
	t.runs = t.tapped != nil && t.tapped()
	if t.kept = t.kept[:0]; cap(t.kept) > keepTape {
		t.kept = nil
	}
	t.from = at
}

// roll keeps what was taken of buf up to r, which is going to be its beginning.
func (t *tape) roll(buf []byte, r int) {
	if t.runs {
		t.kept = append(t.kept, buf[t.from:min(r, t.from+maxTape-len(t.kept))]...)
		t.from = 0
	}
}

// played is what was taken since rewind, nothing if nobody looked then. It is there until the
// source goes on.
func (s *source) played() []byte {
	if !s.tape.runs {
		return nil
	}
	if len(s.tape.kept) == 0 {
		return s.buf[s.tape.from:s.r]
	}
	s.tape.roll(s.buf, s.r)
	s.tape.runs = false
	return s.tape.kept
}
