package sipside

import (
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/mapping"
)

// TestKeeper: when a ping is due, and when the other side is gone (RFC 5626 §4.4.1).
func TestKeeper(t *testing.T) {
	var k keeper
	step := func(now, heard time.Duration, wantSend, wantDead bool) time.Duration {
		t.Helper()
		send, dead, wait := k.next(now, heard)
		if send != wantSend || dead != wantDead || !dead && wait <= 0 {
			t.Fatalf("at %v, heard at %v: send %v, dead %v, wait %v", now, heard, send, dead, wait)
		}
		return wait
	}
	first := step(time.Second, 0, false, false) + time.Second
	if first < pingAtLeast || first > pingAtMost {
		t.Errorf("first ping after %v", first)
	}
	heard := 50 * time.Second // puts it off
	if wait := step(first, heard, false, false); first+wait != heard+first {
		t.Errorf("%v more after something was heard %v ago", wait, first-heard)
	}
	pinged := heard + first
	if wait := step(pinged, heard, true, false); wait != pongTimeout {
		t.Errorf("waits %v for a pong", wait)
	}
	if wait := step(pinged+4*time.Second, heard, false, false); wait != 6*time.Second {
		t.Errorf("waits %v more for a pong", wait)
	}
	heard = pinged // at the same moment counts
	second := heard + step(pinged+pongTimeout, heard, false, false) + pongTimeout
	if d := second - heard; d < pingAtLeast || d > pingAtMost {
		t.Errorf("next ping after %v", d)
	}
	step(second, heard, true, false)
	step(second+pongTimeout-1, heard, false, false)
	step(second+pongTimeout, heard, false, true)
}

// TestPingsVary: so that a thousand connections that were made at once do not ping at once.
func TestPingsVary(t *testing.T) {
	seen := map[time.Duration]bool{}
	for range 100 {
		var k keeper
		_, _, wait := k.next(0, 0)
		if wait < pingAtLeast || wait > pingAtMost {
			t.Errorf("ping after %v", wait)
		}
		seen[wait] = true
	}
	if len(seen) < 50 {
		t.Errorf("%d different times in 100", len(seen))
	}
}

// pinged is the far side of a connection that was dialled: it answers requests and, as long
// as it is told to, pings.
type pinged struct {
	mu    sync.Mutex
	mute  bool
	pings []time.Time
	other string // what came that is neither
}

func (p *pinged) serve(c net.Conn) {
	defer c.Close()
	var b []byte
	buf := make([]byte, 4096)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		b = append(b, buf[:n]...)
		for len(b) > 0 {
			var answer string
			if strings.HasPrefix(string(b), ping) {
				p.mu.Lock()
				p.pings = append(p.pings, time.Now())
				mute := p.mute
				p.mu.Unlock()
				b = b[len(ping):]
				if mute {
					continue
				}
				answer = "\r\n"
			} else if m, n, err := siptest.Parse(b); err == nil {
				b = b[n:]
				answer = m.Reply(200, "OK")
			} else {
				p.mu.Lock()
				p.other += string(b)
				p.mu.Unlock()
				b = nil
			}
			if answer != "" {
				io.WriteString(c, answer)
			}
		}
	}
}

func (p *pinged) state() (pings []time.Time, other string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]time.Time(nil), p.pings...), p.other
}

// TestKeepAlive: the connection to a route is pinged while it is idle and outlives the idle
// time; a pong is not taken for half a ping; without pongs it is closed, and what was open
// on it told (SIP-26).
func TestKeepAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBridge(nil)
		cfg := testConfig()
		cfg.Routes = []Route{{Domain: "*", Via: mapping.URI{Scheme: "sip", Host: "192.0.2.9", Transport: "tcp"}}}
		u, _, dialed := memTCP(t, cfg, b)
		u.Deliver(parcel(1, toMem(1)))
		c := <-dialed
		var p pinged
		var far sync.WaitGroup
		began := time.Now()
		far.Go(func() { p.serve(c) })
		time.Sleep(20 * time.Minute)
		synctest.Wait()
		pings, other := p.state()
		if n := len(pings); n < 10 || n > 12 || other != "" {
			t.Errorf("%d pings in 20 minutes, and %q", n, other)
		}
		last := began
		for _, at := range pings {
			if d := at.Sub(last); d < pingAtLeast || d > pingAtMost {
				t.Errorf("a ping after %v", d)
			}
			last = at
		}
		u.Deliver(parcel(2, toMem(2)))
		synctest.Wait()
		if o := b.told()[2]; o.Status != 200 || len(dialed) != 0 {
			t.Errorf("%+v, %d more connections", o, len(dialed))
		}

		p.mu.Lock()
		p.mute = true
		p.mu.Unlock()
		began = time.Now()
		far.Wait() // it is closed
		pings, _ = p.state()
		last = pings[len(pings)-1]
		if d := last.Sub(began); d < pingAtLeast || d > pingAtMost || time.Since(last) != pongTimeout {
			t.Errorf("a ping %v after the last answer, and the end %v after it", d, time.Since(last))
		}
		synctest.Wait()
		u.Deliver(parcel(3, toMem(3)))
		c = <-dialed // anew
		far.Go(func() { p.serve(c) })
		synctest.Wait()
		if o := b.told()[3]; o.Status != 200 {
			t.Errorf("%+v", o)
		}
		c.Close()
		far.Wait()
	})
}

// TestPingIsDueWhileSomebodyWrites: whoever writes what it has brought wakes nobody when all
// of it has left, so it must not take the writer's timer with it.
func TestPingIsDueWhileSomebodyWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u, err := New(testConfig(), slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		near, far := net.Pipe()
		s := newStream(u, near, "a")
		s.kept.Store(new(watch))
		var writer sync.WaitGroup
		writer.Go(s.write)
		synctest.Wait() // it waits until a ping is due
		s.mu.Lock()
		s.writing = true
		s.mu.Unlock()
		for put := false; !put && time.Since(s.born) < 2*pingAtMost; {
			time.Sleep(time.Second)
			synctest.Wait()
			s.mu.Lock()
			put = len(s.out) > 0
			s.mu.Unlock()
		}
		s.mu.Lock()
		s.writing = false
		s.mu.Unlock()
		s.push()
		far.SetReadDeadline(time.Now().Add(2 * pingAtMost))
		b := make([]byte, len(ping))
		if _, err := io.ReadFull(far, b); err != nil || string(b) != ping {
			t.Errorf("%q, %v", b, err)
		}
		s.close(nil)
		writer.Wait()
	})
}

// TestDeadConnection: what waits for an answer when the other side turns out to be gone is
// told as uncertain, long before its own time is up if it was sent late.
func TestDeadConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBridge(nil)
		cfg := testConfig()
		cfg.Routes = []Route{{Domain: "*", Via: mapping.URI{Scheme: "sip", Host: "192.0.2.9", Transport: "tcp"}}}
		u, _, dialed := memTCP(t, cfg, b)
		u.Deliver(parcel(1, toMem(1)))
		c := <-dialed
		var far sync.WaitGroup
		pings := make(chan time.Time, 1)
		far.Go(func() { // reads and is mute
			defer c.Close()
			buf := make([]byte, 4096)
			for {
				n, err := c.Read(buf)
				if err != nil {
					return
				}
				if string(buf[:n]) == ping {
					pings <- time.Now()
				}
			}
		})
		at := <-pings
		u.Deliver(parcel(2, toMem(2)))
		far.Wait()
		synctest.Wait()
		if o := b.told()[2]; o.Kind != mapping.Unknown || time.Since(at) != pongTimeout {
			t.Errorf("%v after the ping: %+v", time.Since(at), o)
		}
	})
}

// TestNoPingsWithoutARoute: nobody has agreed to them (RFC 6223); the connection ends when
// it has been idle for long enough.
func TestNoPingsWithoutARoute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBridge(processed)
		u, l, dialed := memTCP(t, testConfig(), b)
		m := toMem(1)
		m.RequestURI = mapping.URI{Scheme: "sip", User: "romeo", Host: "192.0.2.9", Transport: "tcp"}
		u.Deliver(parcel(1, m))
		out, in := <-dialed, l.dial(memPeer)
		var p, q pinged
		var far sync.WaitGroup
		began := time.Now()
		far.Go(func() { p.serve(out) })
		far.Go(func() { q.serve(in) })
		far.Wait()
		for _, p := range []*pinged{&p, &q} {
			if pings, other := p.state(); len(pings) != 0 || other != "" || time.Since(began) != idleTimeout {
				t.Errorf("%d pings, %q, ended after %v", len(pings), other, time.Since(began))
			}
		}
	})
}

// TestPongs: line ends that come one by one or in one go, with a ping of ours out or not.
func TestPongs(t *testing.T) {
	for _, tt := range []struct {
		out           int32 // pings of ours that are out
		in            []string
		answers, out2 int32
	}{
		{0, []string{"\r\n\r\n"}, 1, 0},
		{0, []string{"\r\n", "\r\n"}, 1, 0}, // a ping in two pieces
		{0, []string{"\r\n"}, 0, 0},
		{1, []string{"\r\n"}, 0, 0},
		{1, []string{"\r", "\n"}, 0, 0},
		{1, []string{"\r\n", "\r\n\r\n"}, 1, 0},
		{1, []string{"\r\n\r\n"}, 1, 1},
		{1, []string{"\r\n\r\n", "\r\n"}, 1, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			u, l, _ := memTCP(t, testConfig(), newBridge(processed))
			c := l.dial(memPeer)
			defer c.Close()
			synctest.Wait()
			var s *stream
			u.conns.mu.Lock()
			for _, s = range u.conns.streams {
				s.pongs.Store(tt.out)
			}
			u.conns.mu.Unlock()
			got := readAll(c)
			for _, in := range tt.in {
				io.WriteString(c, in)
				synctest.Wait()
			}
			if got() != strings.Repeat("\r\n", int(tt.answers)) || s.pongs.Load() != tt.out2 {
				t.Errorf("%+v: answered %q, %d pongs to come", tt, got(), s.pongs.Load())
			}
		})
	}
}
