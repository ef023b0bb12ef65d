package bench

import (
	"bytes"
	"fmt"
	"hash/maphash"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
)

// phone answers each request over UDP with 200.
type phone struct {
	conn *net.UDPConn
	each atomic.Pointer[func()] // is called behind the first answer to a request

	seed maphash.Seed
	seen [1 << 16]uint64 // hashes of branches, to know copies by: on a busy machine there are some
}

func newPhone(tb testing.TB) *phone {
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		tb.Fatal(err)
	}
	c.SetReadBuffer(4 << 20)
	p := &phone{conn: c, seed: maphash.MakeSeed()}
	var gone sync.WaitGroup
	gone.Go(p.serve)
	tb.Cleanup(func() { c.Close(); gone.Wait() })
	return p
}

func (p *phone) addr() string { return p.conn.LocalAddr().String() }

func (p *phone) serve() {
	in, out := make([]byte, 64<<10), make([]byte, 0, 4096)
	for {
		n, from, err := p.conn.ReadFromUDPAddrPort(in)
		if err != nil {
			return
		}
		out = append(out[:0], "SIP/2.0 200 OK\r\n"...)
		isCopy := false
		for line := range bytes.Lines(in[:n]) {
			for _, name := range [...]string{"Via:", "From:", "To:", "Call-ID:", "CSeq:"} {
				if len(line) > len(name) && string(line[:len(name)]) == name {
					out = append(out, line...)
					switch name {
					case "Via:":
						isCopy = p.isCopy(line)
					case "To:":
						out = append(out[:len(out)-2], ";tag=phone\r\n"...)
					}
				}
			}
			if len(line) <= 2 {
				break
			}
		}
		out = append(out, "Content-Length: 0\r\n\r\n"...)
		p.conn.WriteToUDPAddrPort(out, from)
		if each := p.each.Load(); each != nil && !isCopy {
			(*each)()
		}
	}
}

// isCopy reports whether there was a request with this Via lately.
func (p *phone) isCopy(via []byte) bool {
	h := maphash.Bytes(p.seed, via)
	place := &p.seen[h%uint64(len(p.seen))]
	had := *place == h
	*place = h
	return had
}

// caller sends requests from contacts to the users of the same numbers, over one connection.
type caller struct {
	conn    net.Conn
	stream  bool
	users   int
	body    string
	out     []byte
	in      []byte
	have    int
	sent    int
	answers int
	other   int // answers that were no 200
	host    string
}

func (w *world) caller(network string, users int, body string) *caller {
	c, err := net.Dial(network, w.sip.String())
	if err != nil {
		w.tb.Fatal(err)
	}
	w.tb.Cleanup(func() { c.Close() })
	if u, ok := c.(*net.UDPConn); ok {
		u.SetReadBuffer(4 << 20)
	}
	return &caller{conn: c, stream: network == "tcp", users: users, body: body, in: make([]byte, 1<<20), host: c.LocalAddr().String()}
}

// send sends so many requests, of a stream in one piece.
func (c *caller) send(count int) {
	transport := "UDP"
	if c.stream {
		transport = "TCP"
	}
	c.out = c.out[:0]
	for range count {
		n, u := int64(c.sent), int64(c.sent%c.users)
		b := c.out
		b = append(strconv.AppendInt(append(b, "MESSAGE sip:juliet"...), u, 10), "@"+domain+" SIP/2.0\r\nVia: SIP/2.0/"...)
		b = append(append(append(append(b, transport...), ' '), c.host...), ";rport;branch=z9hG4bKbench"...)
		b = append(strconv.AppendInt(b, n, 10), "\r\nMax-Forwards: 70\r\nFrom: <sip:romeo"...)
		b = append(strconv.AppendInt(b, u, 10), "@"+sipDomain+">;tag=t"...)
		b = append(strconv.AppendInt(b, n, 10), "\r\nTo: <sip:juliet"...)
		b = append(strconv.AppendInt(b, u, 10), "@"+domain+">\r\nCall-ID: bench"...)
		b = append(append(append(strconv.AppendInt(b, n, 10), '@'), c.host...), "\r\nCSeq: 1 MESSAGE\r\nContent-Type: text/plain\r\nContent-Length: "...)
		b = append(strconv.AppendInt(b, int64(len(c.body)), 10), "\r\n\r\n"...)
		c.out = append(b, c.body...)
		c.sent++
		if !c.stream {
			c.conn.Write(c.out)
			c.out = c.out[:0]
		}
	}
	if c.stream {
		c.conn.Write(c.out)
	}
}

// read waits for answers and tells how many came.
func (c *caller) read() (int, error) {
	n, err := c.conn.Read(c.in[c.have:])
	if err != nil {
		return 0, err
	}
	c.have += n
	count := 0
	for b := c.in[:c.have]; ; {
		end := bytes.Index(b, []byte("\r\n\r\n"))
		if end < 0 { // answers have no body
			c.have = copy(c.in, b)
			break
		}
		count++
		if !bytes.HasPrefix(b, []byte("SIP/2.0 200 ")) {
			c.other++
		}
		b = b[end+4:]
	}
	c.answers += count
	return count, nil
}

// run sends n requests of which as many as window are open at once, to their last answer.
func (c *caller) run(n, window int) error {
	c.send(min(n, window))
	left := n - min(n, window)
	for want := c.answers + n; c.answers < want; {
		got, err := c.read()
		if err != nil {
			return err
		}
		more := min(got, left)
		left -= more
		c.send(more)
	}
	if c.other > 0 {
		return fmt.Errorf("%d answers were no 200", c.other)
	}
	return nil
}
