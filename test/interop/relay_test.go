//go:build interop

package interop

import (
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/stoxgw/stox/internal/siptest"
)

// relay passes datagrams on between stox and another SIP program, badly: it loses some, sends some
// twice, and holds each up for a time of its own, so that they overtake each other. Each side
// takes it for the other one.
type relay struct {
	left, right relayEnd // toward stox; toward the other program

	mu      sync.Mutex // guards the following
	random  *rand.Rand
	pending sync.WaitGroup // datagrams that are held up
	closed  bool
	counts  relayCounts
	brought [][]byte // to the other program
}

// relayCounts tell that a relay has been bad.
type relayCounts struct{ passed, lost, doubled, overtaken int }

type relayEnd struct {
	conn *net.UDPConn
	to   netip.AddrPort // who is there
	sent int            // the highest number of a datagram that went there
	next int
}

func (e *relayEnd) port() int { return e.conn.LocalAddr().(*net.UDPAddr).Port }

// What becomes of a datagram.
const (
	lossPercent   = 8
	doublePercent = 10
	longestDelay  = 60 * time.Millisecond
)

// newRelay makes a relay between two ports of this machine. A port of 0 can be said later,
// before anything is sent. The seed decides, as far as the programs are alike.
func newRelay(t *testing.T, stoxPort, otherPort int, seed uint64) *relay {
	t.Helper()
	r := &relay{random: rand.New(rand.NewPCG(seed, seed))}
	var wg sync.WaitGroup
	for _, e := range []struct {
		end  *relayEnd
		port int
	}{{&r.left, stoxPort}, {&r.right, otherPort}} {
		var err error
		if e.end.conn, err = net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}); err != nil {
			t.Fatal(err)
		}
		e.end.conn.SetReadBuffer(4 << 20)
		e.end.to = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(e.port))
	}
	wg.Go(func() { r.run(&r.left, &r.right) })
	wg.Go(func() { r.run(&r.right, &r.left) })
	t.Cleanup(func() {
		r.mu.Lock()
		r.closed = true
		r.mu.Unlock()
		r.left.conn.Close()
		r.right.conn.Close()
		wg.Wait()
		r.pending.Wait()
	})
	return r
}

// other says where the other program is.
func (r *relay) other(port int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.right.to = netip.AddrPortFrom(r.right.to.Addr(), uint16(port))
}

// run passes on what comes from one side.
func (r *relay) run(from, to *relayEnd) {
	buf := make([]byte, 65535)
	for {
		n, _, err := from.conn.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			r.take(to, append([]byte(nil), buf[:n]...))
		}
	}
}

func (r *relay) take(to *relayEnd, b []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	if r.random.IntN(100) < lossPercent {
		r.counts.lost++
		return
	}
	times := 1
	if r.random.IntN(100) < doublePercent {
		r.counts.doubled++
		times = 2
	}
	to.next++
	number := to.next
	for range times {
		r.pending.Add(1)
		time.AfterFunc(time.Duration(r.random.Int64N(int64(longestDelay))), func() {
			defer r.pending.Done()
			r.send(to, number, b)
		})
	}
}

func (r *relay) send(to *relayEnd, number int, b []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	if number < to.sent {
		r.counts.overtaken++
	}
	to.sent = max(to.sent, number)
	r.counts.passed++
	if to == &r.right {
		r.brought = append(r.brought, b)
	}
	to.conn.WriteToUDPAddrPort(b, to.to)
}

// requests are those that were brought to the other program, copies too, by their texts.
func (r *relay) requests(t *testing.T) map[string][]*siptest.Message {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	all := map[string][]*siptest.Message{}
	for _, b := range r.brought {
		m, _, err := siptest.Parse(b)
		if err != nil {
			t.Fatal(err)
		}
		if m.Status() == 0 {
			all[string(m.Body)] = append(all[string(m.Body)], m)
		}
	}
	return all
}

// wasBad fails if the relay has not done all that it is there for.
func (r *relay) wasBad(t *testing.T) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if c := r.counts; c.passed == 0 || c.lost == 0 || c.doubled == 0 || c.overtaken == 0 {
		t.Errorf("the relay was too good: %+v", c)
	}
}
