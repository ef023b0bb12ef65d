// Package xmpptest has a scripted XMPP server for tests: the component port of
// XEP-0114, nothing behind it. It shakes hands, sends what the test wants sent,
// collects what the component writes, and misbehaves on request.
//
// New listens on 127.0.0.1:0. NewMemory connects by net.Pipe instead; then a test
// may run the component in a testing/synctest bubble, provided that the Server is
// made inside of it.
//
//	srv := xmpptest.New(t, xmpptest.Options{Domain: "sip.example.com", Secret: "s"})
//	// component with Server: srv.Addr(), Dial: srv.Dial
//	conn := srv.Accept()                      // handshake is over
//	conn.Send(`<message from='juliet@example.com' to='romeo@sip.example.com'><body>hi</body></message>`)
//	st := conn.Next()                         // the next stanza from the component
//	conn.Bounce(st, "service-unavailable")
package xmpptest

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
)

// Options say how the server behaves. Fields are not to be changed after New.
type Options struct {
	Domain string // the component that is known here
	Secret string

	// StreamID is the id of the stream header; "" stands for "3BF96D32".
	StreamID string

	// Handshake replaces what happens on a fresh connection, from the first octet
	// on; it gets the bare connection and nothing else is done with it. It
	// returns true if the connection is to be served on as one that has shaken
	// hands.
	Handshake func(c net.Conn) bool

	// OnStanza sees every stanza that the component writes, on the goroutine that
	// reads the connection. Returning true keeps it from Next.
	OnStanza func(c *Conn, st Stanza) bool

	// OnIQ sees every iq get that the component sends under its own name (barriers,
	// pings, the question what the server is), before anything else does and on the
	// goroutine that reads the connection. Returning true keeps the server from
	// answering it.
	OnIQ func(c *Conn, st Stanza) bool

	// NoEcho keeps the server from routing iq stanzas that the component sends to
	// its own domain back to it (the idle ping, the barrier), but for the first
	// LinkCheck of a connection. They then come out of Next like everything else.
	NoEcho bool

	// Software is what the server says it is (XEP-0092): "" stands for Prosody.
	// SoftwareNone leaves the question without an answer.
	Software string
}

const (
	// LinkCheck is how many pings to itself a component sends on a new link.
	LinkCheck = 16
	// SoftwareNone is no name at all.
	SoftwareNone = "none"
)

// Server is a scripted component port.
type Server struct {
	t    testing.TB
	opt  Options
	addr string
	ln   net.Listener // nil in memory

	mem    chan net.Conn
	ready  chan *Conn
	done   chan struct{}
	finish sync.Once
	wg     sync.WaitGroup

	mu      sync.Mutex // guards the rest
	refuse  error
	dials   int
	open    map[*Conn]struct{}
	closing bool
}

// New starts a server on a free port of the loopback interface. It ends with
// the test.
func New(t testing.TB, opt Options) *Server {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(t, opt)
	s.ln, s.addr = ln, ln.Addr().String()
	s.wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			s.start(c)
		}
	})
	return s
}

// NewMemory starts a server that only Dial reaches.
func NewMemory(t testing.TB, opt Options) *Server {
	t.Helper()
	s := newServer(t, opt)
	s.addr = "memory.invalid:5347"
	s.wg.Go(func() {
		for {
			select {
			case c := <-s.mem:
				s.start(c)
			case <-s.done:
				return
			}
		}
	})
	return s
}

func newServer(t testing.TB, opt Options) *Server {
	if opt.StreamID == "" {
		opt.StreamID = "3BF96D32"
	}
	s := &Server{
		t: t, opt: opt, mem: make(chan net.Conn), ready: make(chan *Conn, 64),
		done: make(chan struct{}), open: make(map[*Conn]struct{}),
	}
	t.Cleanup(s.Close)
	return s
}

// Addr is the address of the server.
func (s *Server) Addr() string { return s.addr }

// Dial connects to the server, whatever address says, unless Refuse was called.
func (s *Server) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	s.mu.Lock()
	refuse := s.refuse
	s.dials++
	s.mu.Unlock()
	if refuse != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: refuse}
	}
	if s.ln != nil {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", s.addr)
	}
	here, there := net.Pipe()
	select {
	case s.mem <- there:
		return here, nil
	case <-s.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Refuse lets Dial fail with err from now on; nil lets it work again.
func (s *Server) Refuse(err error) {
	s.mu.Lock()
	s.refuse = err
	s.mu.Unlock()
}

// Dials is how often Dial was called.
func (s *Server) Dials() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dials
}

// Accept waits for the next connection that has shaken hands.
func (s *Server) Accept() *Conn {
	s.t.Helper()
	select {
	case c := <-s.ready:
		return c
	case <-s.done:
	case <-s.t.Context().Done():
	}
	s.t.Fatal("xmpptest: no connection")
	return nil
}

// Close ends all connections and waits for the goroutines of the server. The
// end of the test does it too; a synctest bubble has to.
func (s *Server) Close() {
	s.finish.Do(func() {
		close(s.done)
		if s.ln != nil {
			s.ln.Close()
		}
		s.mu.Lock()
		s.closing = true
		for c := range s.open {
			c.nc.Close()
			c.Resume()
		}
		s.mu.Unlock()
	})
	s.wg.Wait()
}

func (s *Server) start(nc net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		nc.Close()
		return
	}
	c := newConn(s, nc)
	s.open[c] = struct{}{}
	s.wg.Go(func() {
		defer func() {
			nc.Close()
			s.mu.Lock()
			delete(s.open, c)
			s.mu.Unlock()
			close(c.Closed)
		}()
		s.serve(c)
	})
}

func (s *Server) serve(c *Conn) {
	if s.opt.Handshake != nil {
		if !s.opt.Handshake(c.nc) {
			return
		}
		c.plain() // whatever was read, the header of the component is behind us
	} else if err := s.handshake(c); err != nil {
		return
	}
	select {
	case s.ready <- c:
		c.read()
	case <-s.done:
	}
}

var errHandshake = errors.New("xmpptest: handshake failed")

func (s *Server) handshake(c *Conn) error {
	to, err := c.header()
	if err != nil {
		return err
	}
	if to != s.opt.Domain {
		c.write(fmt.Sprintf(streamHeader, to, "") + streamError("host-unknown"))
		return errHandshake
	}
	if err := c.write(fmt.Sprintf(streamHeader, to, escape(s.opt.StreamID))); err != nil {
		return err
	}
	st, err := c.stanza()
	if err != nil {
		return err
	}
	sum := sha1.Sum([]byte(s.opt.StreamID + s.opt.Secret))
	if st.Name != "handshake" || st.Text != hex.EncodeToString(sum[:]) {
		c.write(streamError("not-authorized"))
		return errHandshake
	}
	return c.write("<handshake/>")
}

const streamHeader = `<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' from='%s' id='%s'>`

func streamError(cond string) string {
	return `<stream:error><` + cond + ` xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>`
}
