package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/stoxgw/stox/test/stage"
)

// traffic sends numbered messages both ways at a steady rate. Who sends what to
// whom is drawn from the seed.
type traffic struct {
	w      *world
	rnd    *rand.Rand // of the sending goroutine
	cancel context.CancelFunc
	done   chan struct{}
	open   sync.WaitGroup // senders from SIP that wait for their answer

	repeats int             // so many in a hundred requests are sent two times at once
	users   int             // SIP users for each transport
	ticks   int             // guarded by the ledger's lock
	senders map[int]*client // of messages to SIP; guarded by the ledger's lock
	tybalt  bool            // every third message from SIP comes from him; set before start
}

func newTraffic(w *world, seed uint64) *traffic {
	return &traffic{w: w, rnd: rand.New(rand.NewPCG(seed, 2)), repeats: 5, users: 20, done: make(chan struct{}), senders: make(map[int]*client)}
}

// start begins to send, rate messages a second each way.
func (t *traffic) start(rate int) {
	ctx, cancel := context.WithCancel(t.w.life)
	t.cancel = cancel
	go func() {
		defer close(t.done)
		beat := time.NewTicker(time.Second / time.Duration(rate))
		defer beat.Stop()
		for {
			select {
			case <-beat.C:
			case <-ctx.Done():
				return
			}
			t.outward()
			t.inward()
			t.w.book.note(func() { t.ticks++ })
		}
	}()
}

// stop stops sending; what waits for its answer goes on waiting.
func (t *traffic) stop() {
	if t.cancel == nil {
		return
	}
	t.cancel()
	<-t.done // may be called again
}

// pass waits until so many more messages were sent each way.
func (t *traffic) pass(n int) error {
	limit := time.Minute
	until := 0
	t.w.book.note(func() { until = t.ticks + n })
	if !t.w.book.await(limit, func() bool { return t.ticks >= until }) {
		return fmt.Errorf("%d messages were not sent within %v", n, limit)
	}
	return nil
}

// outward sends a message from XMPP to SIP, if its sender is there.
func (t *traffic) outward() {
	c := t.w.clients[t.rnd.IntN(2)]
	to := fmt.Sprintf("u%d@%s", t.rnd.IntN(t.users), component)
	if t.rnd.IntN(2) == 0 {
		to = fmt.Sprintf(`t%d\40%s@%s`, t.rnd.IntN(t.users), tcpDomain, component)
	}
	t.sendOut(c, to)
}

func (t *traffic) sendOut(c *client, to string) (n int) {
	if !c.up() {
		return -1
	}
	n = t.w.book.newOutbound(to)
	t.w.book.note(func() { t.senders[n] = c })
	c.send(fmt.Sprintf("<message to='%s' id='%s' type='chat'><body>%s</body></message>", stage.Escape(to), outboundID(n), body("to-sip", n)))
	return n
}

// inward sends a message from SIP to XMPP.
func (t *traffic) inward() {
	to := accounts[0].Local
	switch k := t.rnd.IntN(10); {
	case k == 0:
		to = accounts[2].Local // who is offline
	case k < 5:
		to = accounts[1].Local
	}
	tcp := t.rnd.IntN(2) == 0
	copies := 1
	if t.rnd.IntN(100) < t.repeats {
		copies = 2
	}
	from := fmt.Sprintf("s%d", t.rnd.IntN(t.users))
	if t.tybalt && t.rnd.IntN(3) == 0 {
		from, to = "tybalt", accounts[0].Local
	}
	t.sendIn(from, to, tcp, copies)
}

func (t *traffic) sendIn(from, to string, tcp bool, copies int) (n int) {
	n = t.w.book.newInbound(from, to)
	t.open.Go(func() { t.w.peer.message(t.w.life, n, from, to, tcp, copies) })
	return n
}
