package sipside

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stoxgw/stox/mapping"
	"github.com/stoxgw/stox/sipside/locate"
)

const (
	idleTimeout  = 5 * time.Minute  // without a byte from the peer; frameTimeout in all if it is none
	frameTimeout = 30 * time.Second // for the rest of a message that has begun
	writeTimeout = 10 * time.Second
	maxUnwritten = 1 << 20 // bytes that a slow peer may let pile up
	minRead      = 4096
)

var (
	errSlowPeer = errors.New("the peer does not read")
	errClosed   = errors.New("connection closed")
)

// stream is a TCP connection, or one of a transport above it (link), accepted or dialled. Reading is sipgo's, through
// sipgoConn; writing goes through a bounded buffer that a goroutine of its own
// empties, so nobody waits for a slow peer.
type stream struct {
	u      *UA
	conn   net.Conn
	link   *link  // conn, if it is more than TCP
	id     string // what sipgo takes for its remote address
	flow   uint64 // its number, see mapping.SIPEvent
	remote netip.AddrPort
	peered bool          // counts as a peer's: see conns.add, and admit. Of the read loop, once it reads
	dialed locate.Target // zero if accepted

	// Of the read loop only.
	rd        reader
	owner     *peer     // whose certificate the client has shown, nil if nobody's ...
	ownerIn   *peers    // ... of these. See holder
	user      string    // that has proved who it is over it; "": nobody
	trustedBy *settings // in which it is a peer's. See trusted
	tries     int       // messages while it was nobody's that we know
	mem       []byte    // what buf is a part of
	buf       []byte    // read and not yet given on
	scanned   int       // headEnd has looked at so much of it
	f         frame     // of the message at its start, if known
	known     bool
	give      []byte // the current message, still to be given to sipgo
	used      int    // bytes of buf that the current message takes up
	begun     time.Time
	deadline  time.Time // that was set for reading
	ended     error     // why there is nothing more to read

	quick *quickTCP // what reads and writes without waiting; nil: nothing does

	mu      sync.Mutex // guards the following
	out     []byte     // not yet taken to be written
	hold    *outBuffer // that out is in; nil: in none
	writing bool       // somebody has taken bytes, and looks at out when they are written
	behind  bool       // what is in out is left to the writer, and all that comes until it is gone
	queued  uint64     // bytes put so far
	taken   uint64     // bytes that may have left
	closed  bool
	last    bool // close once all is written, because of err
	err     error
	wake    chan struct{}

	// Keeping alive: keepalive.go.
	born     time.Time
	kept     atomic.Pointer[watch] // where the route leads that requests go over it to; nil: to none
	heard    atomic.Int64          // when something came last, since born
	asked    atomic.Bool           // a request of ours went over it
	spoke    atomic.Int64          // when a request was put last, since born
	pongs    atomic.Int32          // that are still to come
	bindings atomic.Int32          // that registrations have made over it, and have not lost
	timer    atomic.Int64          // within which the other side wants a ping (Flow-Timer); 0: it does not say
	minds    minded                // what the goroutine that writes knows of that
}

func newStream(u *UA, c net.Conn, id string) *stream {
	s := &stream{u: u, conn: c, id: id, remote: addrPortOf(c.RemoteAddr()), wake: make(chan struct{}, 1), born: time.Now()}
	if s.link, _ = c.(*link); s.link != nil {
		s.link.attach(s.putFrame)
		s.link.shaken = s.shaken
	}
	s.quick = newQuickTCP(c)
	s.rd = reader{u: u, out: s, stream: s, source: s.remote, handled: true}
	return s
}

// read gives sipgo the next message that it has room for.
func (s *stream) read(b []byte) (int, error) {
	for {
		if len(s.give) > 0 {
			n := copy(b, s.give)
			s.give = s.give[n:]
			return n, nil
		}
		s.rd.settle()
		s.rd.raw = nil
		s.discard()
		ready, err := s.next()
		if err != nil {
			s.rd.flush()
			s.ended = err
			return 0, err
		}
		if ready {
			if len(s.give) > len(b) {
				s.rd.parse(s.give)
				s.give = nil
			}
			continue
		}
		s.rd.flush()
		s.push()
		if err := s.more(); err != nil {
			s.ended = err
			return 0, err
		}
	}
}

// discard drops the message that has been dealt with from the buffer.
func (s *stream) discard() {
	if s.used == 0 {
		return
	}
	s.buf = s.buf[s.used:]
	s.used, s.begun = 0, time.Time{}
	if len(s.buf) == 0 {
		if len(s.mem) > 64<<10 {
			s.mem = nil // a big one is rare: do not keep its buffer
		}
		s.buf = s.mem[:0]
	}
}

// next looks for a complete message at the start of the buffer and prepares it.
// An error ends the connection.
func (s *stream) next() (ready bool, err error) {
	for {
		if !s.known {
			if ping, ok := s.blank(); !ok || ping {
				if ping && s.stranger() {
					return false, errors.New("ping from no peer")
				}
				return ping, nil
			}
			if len(s.buf) == 0 {
				return false, nil
			}
			if !tokenChar[s.buf[0]] {
				return false, errors.New("not SIP")
			}
			end := headEnd(s.buf, s.scanned-2)
			s.scanned = len(s.buf)
			if end < 0 {
				if len(s.buf) <= s.u.limits.header {
					return false, nil
				}
				end = len(s.buf)
			} else if n := s.direct(); n > 0 {
				s.scanned, s.used = 0, n
				s.discard()
				continue
			}
			s.f, s.known = scanFrame(s.buf[:end], true, s.u.limits), true
			if s.stranger() && !s.mayProve() {
				// One answer, and before its body is even read: else a few hundred
				// connections that never read what they asked for fill the memory.
				s.f.fault(403, "not from a peer", true)
			}
		}
		if f := s.f; f.status != 0 && f.fatal {
			s.rd.flush() // what came before gets its answer
			s.show(true, s.buf[:min(f.head, len(s.buf))])
			if f.first != "" && !f.response() {
				s.rd.refuseFrame(s.buf[:f.head], f, s.remote)
			} else {
				s.u.stats.Malformed.Add(1)
			}
			s.finish(errors.New("not SIP")) // there is no way to go on
			return false, io.EOF
		}
		size := s.f.head + s.f.body
		if len(s.buf) < size {
			return false, nil
		}
		f := s.f
		s.known, s.scanned, s.used = false, 0, size
		s.show(true, s.buf[:size])
		if f.status != 0 {
			if f.first == "" {
				return false, errors.New("not SIP")
			}
			if f.response() {
				s.u.stats.Malformed.Add(1)
			} else {
				s.rd.refuseFrame(s.buf[:f.head], f, s.remote)
			}
			s.discard()
			continue
		}
		s.give = s.buf[:size]
		if f.bare {
			s.give = append(normalise(s.buf[:f.head]), s.buf[f.head:size]...)
		}
		s.rd.begin(s.give, f.first, s.remote)
		return true, nil
	}
}

// direct is reader.direct for the start of the buffer.
func (s *stream) direct() int {
	if s.stranger() {
		return 0
	}
	return s.rd.direct(s.buf, s.remote)
}

// blank deals with line ends between messages. CRLFCRLF is a ping, which sipgo
// answers when it is given just that (SIP-26); a single one is a pong, or stray.
// ok is false if more has to come before that can be told.
func (s *stream) blank() (ping, ok bool) {
	for len(s.buf) > 0 {
		switch {
		case len(s.buf) >= 4 && string(s.buf[:4]) == "\r\n\r\n":
			s.give, s.used = s.buf[:4:4], 4
			return true, true
		case len(s.buf) >= 2 && string(s.buf[:2]) == "\r\n" && s.pong():
			s.buf = s.buf[2:]
		case s.buf[0] == '\n':
			s.buf = s.buf[1:]
		case s.buf[0] != '\r':
			return false, true
		case len(s.buf) < 4 && string(s.buf) == "\r\n\r\n"[:len(s.buf)]:
			return false, false
		case len(s.buf) >= 2 && s.buf[1] == '\n':
			s.buf = s.buf[2:]
		default:
			return false, true // a lone CR: no token, so not SIP
		}
	}
	return false, true
}

// more waits for more bytes.
func (s *stream) more() error {
	now := time.Now()
	deadline := now.Add(idleTimeout)
	switch {
	case s.trusted():
	case s.stranger(): // has this long in all, whatever it does that asks for nothing
		deadline = s.born.Add(frameTimeout)
	default:
		deadline = now.Add(frameTimeout)
	}
	if len(s.buf) > 2 { // a message has begun
		if s.begun.IsZero() {
			s.begun = now
		}
		deadline = s.begun.Add(frameTimeout)
	} else {
		s.begun = time.Time{}
	}
	if !now.Before(deadline) { // of what is buffered below no deadline knows
		return os.ErrDeadlineExceeded
	}
	n, err := s.readBefore(deadline)
	if err == nil {
		s.heard.Store(int64(time.Since(s.born)))
	}
	if n > 0 {
		return nil
	}
	return err
}

// readBefore reads what there is, and waits for something until the deadline.
//
// To set a deadline costs as much as to read. What is set is therefore never later than
// it has to be, but may be earlier, and is set anew when it turns out to have been. Links
// are told each time: what is half read when it passes is lost to them.
func (s *stream) readBefore(deadline time.Time) (n int, err error) {
	if s.link != nil || s.deadline.IsZero() || s.deadline.After(deadline) {
		err = s.setDeadline(deadline)
	}
	for err == nil {
		n, err = s.readSome()
		if n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) || !s.deadline.Before(deadline) {
			return n, err
		}
		err = s.setDeadline(deadline)
	}
	return 0, err
}

func (s *stream) setDeadline(t time.Time) error {
	s.deadline = t
	return s.conn.SetReadDeadline(t)
}

// readSome appends to buf what one read gives.
func (s *stream) readSome() (n int, err error) {
	if s.quick != nil {
		return s.quick.read(s)
	}
	s.makeRoom()
	n, err = s.conn.Read(s.buf[len(s.buf):cap(s.buf)])
	s.buf = s.buf[:len(s.buf)+n]
	return n, err
}

// makeRoom sees to it that buf has room for a read.
func (s *stream) makeRoom() {
	if cap(s.buf)-len(s.buf) >= minRead {
		return
	}
	if len(s.mem)-len(s.buf) < 2*minRead {
		s.mem = make([]byte, max(2*len(s.buf), 4*minRead))
	}
	s.buf = s.mem[:copy(s.mem, s.buf)]
}

// name implements sender.
func (s *stream) name() string { return s.u.tcpSentBy }

// transport is that of the connection.
func (s *stream) transport() locate.Transport {
	if s.link != nil {
		return s.link.kind
	}
	return locate.TCP
}

// contact implements sender.
func (s *stream) contact(c mapping.URI) string {
	t := s.transport()
	return s.u.ownContact(c, viaTransport(t), s.u.streamSentBy(t))
}

// sipgoConn is the net.Conn that sipgo serves. sipgo calls Close exactly when its
// read loop ends, which is how we learn that.
type sipgoConn struct {
	s    *stream
	once sync.Once
}

func (c *sipgoConn) Read(b []byte) (int, error) { return c.s.read(b) }

// Write is used by sipgo for the answer to a ping only.
func (c *sipgoConn) Write(b []byte) (int, error) {
	if _, ok := c.s.put(b); !ok {
		return 0, net.ErrClosed
	}
	return len(b), nil
}

func (c *sipgoConn) Close() error {
	c.once.Do(func() {
		c.s.rd.settle() // if it is the parser that gave up
		c.s.rd.flush()
		// The peer may have closed its half only: it still gets what was put so far.
		c.s.finish(c.s.ended)
		c.s.u.wg.Done()
	})
	return nil
}

func (c *sipgoConn) LocalAddr() net.Addr              { return c.s.conn.LocalAddr() }
func (c *sipgoConn) RemoteAddr() net.Addr             { return streamAddr(c.s.id) }
func (c *sipgoConn) SetDeadline(time.Time) error      { return nil }
func (c *sipgoConn) SetReadDeadline(time.Time) error  { return nil }
func (c *sipgoConn) SetWriteDeadline(time.Time) error { return nil }

// streamAddr names a connection to sipgo, which hands it back as the source of
// each message. Unlike an address it is never used twice.
type streamAddr string

func (streamAddr) Network() string  { return "tcp" }
func (a streamAddr) String() string { return string(a) }
