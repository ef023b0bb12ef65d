package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/stoxgw/stox/internal/siptest"
)

// peer is the SIP side: it receives what stox sends and answers by plan, and it
// sends, with the retransmissions of RFC 3261 §17.1.2, over UDP and TCP.
type peer struct {
	book *ledger
	stox netip.AddrPort
	udp  *net.UDPConn
	tcp  net.Listener
	port int

	wg sync.WaitGroup

	mu      sync.Mutex // guards the following
	plan    plan
	served  map[string]*served           // transactions of ours as a server, by branch
	known   map[string]bool              // requests that were shown: Call-ID, CSeq, From tag
	tries   map[int]int                  // transactions per message
	waiting map[string]chan int          // transactions of ours as a client, by branch
	conns   map[net.Conn]chan<- struct{} // those over TCP
	out     net.Conn                     // the one that we send by
	outGone <-chan struct{}              // closed when out has ended
	closed  bool
	faults  []error
}

// request is a new transaction that stox has begun.
type request struct {
	n    int    // number of the message
	try  int    // 0 for the first transaction with this message
	user string // in the Request-URI
	tcp  bool
}

// act is what the peer does with a request.
type act struct {
	show       bool // the receiver gets to see it
	status     int  // final answer; 0: none, ever
	retryAfter int  // seconds, in the answer
	deaf       int  // so many transmissions over UDP are not answered
	twice      bool // the answer is sent two times
	strict     bool // a request that was shown before is answered 482 (RFC 3261 §8.2.2.2)
}

// plan says what becomes of a request.
type plan func(request) act

var accept = act{show: true, status: 200}

// served is a transaction as a server.
type served struct {
	act  act
	raw  string // its answer
	seen int    // transmissions
}

func newPeer(book *ledger, stoxPort int) (*peer, error) {
	p := &peer{book: book, stox: netip.MustParseAddrPort(fmt.Sprintf("127.0.0.1:%d", stoxPort)),
		served: make(map[string]*served), known: make(map[string]bool), tries: make(map[int]int),
		waiting: make(map[string]chan int), conns: make(map[net.Conn]chan<- struct{})}
	p.plan = func(request) act { return accept }
	for range 20 { // until a port is free for both
		var err error
		if p.tcp, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			return nil, err
		}
		p.port = p.tcp.Addr().(*net.TCPAddr).Port
		if p.udp, err = net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: p.port}); err == nil {
			p.udp.SetReadBuffer(4 << 20)
			return p, nil
		}
		p.tcp.Close()
	}
	return nil, errors.New("no port is free for UDP and TCP")
}

// follow sets the plan for transactions that begin from now on.
func (p *peer) follow(f plan) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.plan = f
}

// Run serves until ctx is done.
func (p *peer) Run(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.closed = true
		p.udp.Close()
		p.tcp.Close()
		for c := range p.conns {
			c.Close()
		}
	})
	defer stop()
	p.wg.Go(func() { p.readUDP() })
	for {
		c, err := p.tcp.Accept()
		if err != nil {
			break
		}
		p.adopt(c)
	}
	p.wg.Wait()
}

// adopt reads a connection. gone is closed when it has ended.
func (p *peer) adopt(c net.Conn) (gone <-chan struct{}) {
	end := make(chan struct{})
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		c.Close()
		close(end)
		return end
	}
	p.conns[c] = end
	p.wg.Go(func() { p.readTCP(c) })
	return end
}

func (p *peer) readUDP() {
	buf := make([]byte, 65535)
	for {
		n, from, err := p.udp.ReadFromUDPAddrPort(buf)
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			continue // an ICMP error: stox does not run
		}
		m, _, err := siptest.Parse(buf[:n])
		if err != nil {
			p.fault(err)
			continue
		}
		p.take(m, false, func(raw string) { p.udp.WriteToUDPAddrPort([]byte(raw), from) })
	}
}

func (p *peer) readTCP(c net.Conn) {
	defer func() {
		c.Close()
		p.mu.Lock()
		close(p.conns[c])
		delete(p.conns, c)
		p.mu.Unlock()
	}()
	var have []byte
	buf := make([]byte, 65536)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		have = append(have, buf[:n]...)
		for {
			have = bytes.TrimLeft(have, "\r\n") // keepalives
			end := bytes.Index(have, []byte("\r\n\r\n"))
			if end < 0 {
				break
			}
			m, size, err := siptest.Parse(have)
			if err != nil {
				if len(have) < 64<<10 && bytes.Contains(have[:end], []byte("Content-Length")) {
					break // the body is not there yet
				}
				p.fault(err)
				return
			}
			have = have[size:]
			p.take(m, true, func(raw string) { c.Write([]byte(raw)) })
		}
	}
}

func (p *peer) fault(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = append(p.faults, err)
}

// take handles one message from stox.
func (p *peer) take(m *siptest.Message, tcp bool, reply func(string)) {
	if status := m.Status(); status != 0 {
		if status >= 200 {
			p.final(m, status)
		}
		return
	}
	if m.Method() != "MESSAGE" {
		reply(m.Reply(405, "Method Not Allowed", "Allow: MESSAGE"))
		return
	}
	n, ok := number(string(m.Body), "to-sip")
	if !ok {
		p.book.note(func() { p.book.strays = append(p.book.strays, "a request without a number") })
		reply(m.Reply(200, "OK"))
		return
	}
	p.mu.Lock()
	s := p.served[m.Branch()]
	if s == nil {
		s = p.begin(m, n, tcp)
		p.served[m.Branch()] = s
	}
	s.seen++
	raw := s.raw
	if s.seen <= s.act.deaf && !tcp { // over TCP nothing is sent again
		raw = ""
	}
	p.mu.Unlock()
	if raw == "" {
		return
	}
	if s.act.show && s.act.status/100 == 2 || s.act.status == 482 {
		now := time.Now()
		p.book.out(n, func(o *outbound) {
			if o.accepted.IsZero() {
				o.accepted = now
			}
			o.last = now
		})
	}
	reply(raw)
	if s.act.twice {
		reply(raw)
	}
}

// begin decides about a new transaction. p.mu is held.
func (p *peer) begin(m *siptest.Message, n int, tcp bool) *served {
	_, user, _ := strings.Cut(m.First, "sip:")
	user, _, _ = strings.Cut(user, "@")
	a := p.plan(request{n: n, try: p.tries[n], user: user, tcp: tcp})
	p.tries[n]++
	_, tag, _ := strings.Cut(m.Get("From"), ";tag=")
	identity := m.Get("Call-ID") + " " + m.Get("CSeq") + " " + tag
	if a.strict && p.known[identity] {
		a.show, a.status = false, 482
	}
	s := &served{act: a}
	if a.status != 0 {
		var lines []string
		if a.retryAfter > 0 {
			lines = append(lines, fmt.Sprintf("Retry-After: %d", a.retryAfter))
		}
		s.raw = m.Reply(a.status, reasons[a.status], lines...)
	}
	if a.show {
		p.known[identity] = true
	}
	show := showing{time.Now(), m.Get("Call-ID"), m.Get("CSeq"), m.Branch()}
	p.book.out(n, func(o *outbound) {
		if a.show {
			o.shown = append(o.shown, show)
		} else {
			o.unshown++
		}
	})
	return s
}

var reasons = map[int]string{200: "OK", 480: "Temporarily Unavailable", 482: "Loop Detected", 486: "Busy Here", 500: "Server Internal Error", 503: "Service Unavailable"}

// final takes a final response to a request of ours.
func (p *peer) final(m *siptest.Message, status int) {
	branch := m.Branch()
	if n, ok := number(m.Get("Call-ID"), "call"); ok {
		p.book.in(n, func(in *inbound) { in.answers = append(in.answers, answer{time.Now(), branch, status}) })
	}
	p.mu.Lock()
	c := p.waiting[branch]
	delete(p.waiting, branch)
	p.mu.Unlock()
	if c != nil {
		c <- status // has room for one
	}
}

// secret is in every text: it must never be seen in a log.
const secret = "unspeakable"

// body is the text of message n; number reads the number from such a text, or
// from an id that was made alike.
func body(kind string, n int) string { return fmt.Sprintf("%s-%d %s", kind, n, secret) }

func number(s, kind string) (int, bool) {
	s, _, _ = strings.Cut(s, " ")
	s, ok := strings.CutPrefix(s, kind+"-")
	n, err := strconv.Atoi(s)
	return n, ok && err == nil
}
