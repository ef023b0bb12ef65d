package bench

import (
	"bytes"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
)

// server is the component port of an XMPP server that calls itself Prosody. It counts the
// messages that come, and answers what is asked of it.
type server struct {
	net.Listener
	up chan struct{} // closed when the link has shown that it is ours alone

	mu   sync.Mutex // guards writing to conn
	conn net.Conn
	out  []byte

	messages atomic.Int64 // that have come, errors apart
	errors   atomic.Int64
	barriers int
	gone     sync.WaitGroup
}

func listen(tb testing.TB) *server {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	s := &server{Listener: l, up: make(chan struct{})}
	s.gone.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.serve(c)
		}
	})
	tb.Cleanup(func() { l.Close(); s.gone.Wait() })
	return s
}

const streamHeader = `<?xml version='1.0'?><stream:stream xmlns:stream='http://etherx.jabber.org/streams' xmlns='jabber:component:accept' from='` + component + `' id='bench'>`

func (s *server) serve(c net.Conn) {
	defer c.Close()
	s.mu.Lock()
	s.conn = c
	s.mu.Unlock()
	buf := make([]byte, 1<<20)
	n, began := 0, false
	for {
		m, err := c.Read(buf[n:])
		if err != nil {
			return
		}
		n += m
		s.mu.Lock()
		used := 0
		if !began {
			end := bytes.Index(buf[:n], []byte("component:accept"))
			if end < 0 || bytes.IndexByte(buf[end:n], '>') < 0 {
				s.mu.Unlock()
				continue
			}
			used = end + bytes.IndexByte(buf[end:n], '>') + 1
			s.out, began = append(s.out, streamHeader...), true
		}
		for {
			size := s.stanza(buf[used:n])
			if size == 0 {
				break
			}
			used += size
		}
		n = copy(buf, buf[used:n])
		if len(s.out) > 0 {
			c.Write(s.out)
			s.out = s.out[:0]
		}
		s.mu.Unlock()
	}
}

// stanza deals with the first stanza of b and tells how long it is; 0 if it is not whole.
func (s *server) stanza(b []byte) int {
	for _, kind := range [...]string{"message", "iq", "presence", "handshake"} {
		if len(b) < 1+len(kind) || string(b[1:1+len(kind)]) != kind {
			continue
		}
		size := whole(b, kind)
		if size == 0 {
			return 0
		}
		st := b[:size]
		switch kind {
		case "handshake":
			s.out = append(s.out, "<handshake/>"...)
		case "message":
			if string(attr(st, " type='")) == "error" {
				s.errors.Add(1)
			} else {
				s.messages.Add(1)
			}
		case "iq":
			s.iq(st)
		}
		return size
	}
	if i := bytes.Index(b, []byte("</stream:stream>")); i == 0 {
		s.out = append(s.out, "</stream:stream>"...)
		return len("</stream:stream>")
	}
	return 0
}

// whole is how long the stanza at the start of b is, 0 if its end has not come.
func whole(b []byte, kind string) int {
	head := bytes.IndexByte(b, '>')
	if head < 0 {
		return 0
	}
	if b[head-1] == '/' {
		return head + 1
	}
	var end [16]byte
	mark := append(append(append(end[:0], "</"...), kind...), '>')
	i := bytes.Index(b, mark)
	if i < 0 {
		return 0
	}
	return i + len(mark)
}

// attr is the value of an attribute, which name opens; nil if there is none.
func attr(b []byte, name string) []byte {
	i := bytes.Index(b, []byte(name))
	if i < 0 {
		return nil
	}
	b = b[i+len(name):]
	return b[:bytes.IndexByte(b, '\'')]
}

func (s *server) iq(st []byte) {
	if kind := string(attr(st, " type='")); kind != "get" && kind != "set" {
		return
	}
	open := func(kind string) {
		s.out = append(append(s.out, "<iq type='"...), kind...)
		s.out = append(append(s.out, "' id='"...), attr(st, " id='")...)
		s.out = append(append(s.out, "' from='"...), attr(st, " to='")...)
		s.out = append(append(s.out, "' to='"...), attr(st, " from='")...)
		s.out = append(s.out, "'"...)
	}
	switch {
	case bytes.Contains(st, []byte("urn:xmpp:ping")):
		if string(attr(st, " to='")) != component {
			open("result")
			s.out = append(s.out, "/>"...)
			return
		}
		// A ping to itself comes back, and its answer, too: the daemon answers neither.
		s.out = append(s.out, st...)
		if s.barriers++; s.barriers == 16 { // then the link is up
			close(s.up)
		}
	case bytes.Contains(st, []byte("jabber:iq:version")):
		open("result")
		s.out = append(s.out, "><query xmlns='jabber:iq:version'><name>Prosody</name><version>0.12.3</version></query></iq>"...)
	default:
		open("error")
		s.out = append(s.out, "><error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"...)
	}
}

// send has the users from first on write one message each to the contacts of the same
// numbers; ids are their numbers.
func (s *server) send(first, count, users int, body string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := first; i < first+count; i++ {
		u := int64(i % users)
		s.out = strconv.AppendInt(append(s.out, "<message type='chat' from='juliet"...), u, 10)
		s.out = strconv.AppendInt(append(s.out, "@"+domain+"/balcony' to='romeo"...), u, 10)
		s.out = strconv.AppendInt(append(s.out, "@"+component+"' id='m"...), int64(i), 10)
		s.out = append(append(append(s.out, "'><body>"...), body...), "</body></message>"...)
	}
	s.conn.Write(s.out)
	s.out = s.out[:0]
}

func (s *server) String() string {
	return fmt.Sprintf("%d messages, %d errors", s.messages.Load(), s.errors.Load())
}
