package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/stoxgw/stox/internal/siptest"
)

// Timers of RFC 3261 §17.1.2.
const (
	t1     = 500 * time.Millisecond
	t2     = 4 * time.Second
	timerF = 64 * t1
)

// message sends message n from a SIP user to an XMPP user and sees it through,
// for as long as a sender waits. Over TCP, when the connection ends without an
// answer, the same request is sent again in a new transaction, as a sender that
// does not want to lose it has to.
func (p *peer) message(ctx context.Context, n int, from, to string, tcp bool, copies int) {
	var all sync.WaitGroup
	for i := range copies { // the same request by several ways, as a forking proxy does it
		all.Go(func() {
			if tcp {
				p.byTCP(ctx, n, from, to, i)
			} else {
				p.byUDP(ctx, n, from, to, i)
			}
		})
	}
	all.Wait()
}

func (p *peer) byUDP(ctx context.Context, n int, from, to string, i int) {
	branch, raw, final := p.compose(n, from, to, "UDP", i)
	defer p.forget(branch)
	end := time.NewTimer(timerF)
	defer end.Stop()
	for wait := t1; ; wait = min(2*wait, t2) {
		p.udp.WriteToUDPAddrPort([]byte(raw), p.stox)
		again := time.NewTimer(wait)
		select {
		case <-final:
			again.Stop()
			return
		case <-again.C:
		case <-end.C:
			again.Stop()
			p.book.in(n, func(m *inbound) { m.gaveUp = true })
			return
		case <-ctx.Done():
			again.Stop()
			return
		}
	}
}

func (p *peer) byTCP(ctx context.Context, n int, from, to string, i int) {
	end := time.NewTimer(timerF)
	defer end.Stop()
	for try := 0; ; try++ {
		branch, raw, final := p.compose(n, from, to, "TCP", i+10*try)
		gone, err := p.write(raw)
		if err == nil {
			select {
			case <-final:
				return
			case <-gone:
			case <-end.C:
				p.forget(branch)
				p.book.in(n, func(m *inbound) { m.gaveUp = true })
				return
			case <-ctx.Done():
				p.forget(branch)
				return
			}
			select { // the answer and the end may have come together
			case <-final:
				return
			default:
			}
		}
		p.forget(branch)
		select {
		case <-time.After(redial):
		case <-end.C:
			p.book.in(n, func(m *inbound) { m.gaveUp = true })
			return
		case <-ctx.Done():
			return
		}
	}
}

// write writes to the connection to stox, and makes one if there is none.
func (p *peer) write(raw string) (gone <-chan struct{}, err error) {
	p.mu.Lock()
	c, gone := p.out, p.outGone
	p.mu.Unlock()
	if c != nil {
		select {
		case <-gone:
			c = nil
		default:
		}
	}
	if c == nil {
		if c, err = net.DialTimeout("tcp", p.stox.String(), patience); err != nil {
			return nil, err
		}
		gone = p.adopt(c)
		p.mu.Lock()
		p.out, p.outGone = c, gone
		p.mu.Unlock()
	}
	c.SetWriteDeadline(time.Now().Add(patience))
	_, err = c.Write([]byte(raw))
	return gone, err
}

// compose makes a request and a place for its answer.
func (p *peer) compose(n int, from, to, network string, copy int) (branch, raw string, final <-chan int) {
	branch = fmt.Sprintf("z9hG4bK%d-%d-%x", n, copy, rand.Uint64())
	raw = siptest.Text(body("to-xmpp", n),
		"MESSAGE sip:"+to+"@"+xmppDomain+" SIP/2.0",
		fmt.Sprintf("Via: SIP/2.0/%s 127.0.0.1:%d;branch=%s;rport", network, p.port, branch),
		"Max-Forwards: 70",
		fmt.Sprintf("From: <sip:%s@%s>;tag=t%d", from, sipDomain, n),
		"To: <sip:"+to+"@"+xmppDomain+">",
		fmt.Sprintf("Call-ID: call-%d", n),
		"CSeq: 1 MESSAGE",
		"Content-Type: text/plain;charset=UTF-8")
	c := make(chan int, 1)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting[branch] = c
	return branch, raw, c
}

func (p *peer) forget(branch string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.waiting, branch)
}
