package sipside

import (
	"bufio"
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/mapping"
)

// TestAcceptSurvives: an accept error such as EMFILE does not end the listener.
func TestAcceptSurvives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBridge(processed)
		_, l, _ := memTCP(t, testConfig(), b)
		for range 5 {
			l.conns <- errors.New("too many open files")
		}
		c := l.dial(memPeer)
		defer c.Close()
		got := readAll(c)
		io.WriteString(c, message("tcp"))
		time.Sleep(time.Second)
		synctest.Wait()
		if !strings.HasPrefix(got(), "SIP/2.0 200 OK") {
			t.Errorf("%q", got())
		}
	})
}

// TestSlowPeer: one that does not read loses its connection and holds up nobody.
// What was not written is told as NotWritten, what may have left as Unknown.
func TestSlowPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBridge(processed)
		cfg := testConfig()
		cfg.Routes = []Route{{Domain: "*", Via: mapping.URI{Scheme: "sip", Host: "192.0.2.9", Transport: "tcp"}}}
		u, l, dialed := memTCP(t, cfg, b)
		for i := range 40 {
			m := toMem(i + 1)
			m.Body = []byte(strings.Repeat("x", 40000))
			u.Deliver(parcel(i, m))
			synctest.Wait()
			if i == 0 {
				<-dialed // and never read from it
			}
		}
		// No time has passed: it is not the write deadline that ended it.
		if o, ok := b.outcomes[5]; !ok || o.Kind != mapping.NotWritten {
			t.Errorf("a megabyte is waiting and it goes on: %+v", o)
		}
		other := l.dial(memPeer)
		defer other.Close()
		got := readAll(other)
		io.WriteString(other, message("tcp"))
		synctest.Wait()
		if !strings.HasPrefix(got(), "SIP/2.0 200 OK") {
			t.Error("another connection waits for the slow one")
		}
		time.Sleep(33 * time.Second)
		synctest.Wait()
		kinds := make(map[mapping.OutcomeKind]int)
		for _, o := range b.outcomes {
			kinds[o.Kind]++
		}
		// The first was being written; the rest stayed in the buffer until it ran
		// over, and what came afterwards had a new connection, as mute as the first.
		if len(b.outcomes) != 40 || b.outcomes[0].Kind == mapping.Answered || kinds[mapping.NotWritten] == 0 {
			t.Errorf("%d outcomes: %v", len(b.outcomes), kinds)
		}
	})
}

// TestConnectionLost: the same with a connection that breaks.
func TestConnectionLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBridge(nil)
		cfg := testConfig()
		cfg.Routes = []Route{{Domain: "*", Via: mapping.URI{Scheme: "sip", Host: "192.0.2.9", Transport: "tcp"}}}
		u, _, dialed := memTCP(t, cfg, b)
		u.Deliver(parcel("read", toMem(1)))
		c := <-dialed
		req, err := bufio.NewReader(c).ReadString('\n')
		if err != nil || !strings.HasPrefix(req, "MESSAGE ") {
			t.Fatalf("%q, %v", req, err)
		}
		synctest.Wait()
		u.Deliver(parcel("unread", toMem(2)))
		synctest.Wait()
		u.Deliver(parcel("behind", toMem(3)))
		synctest.Wait()
		c.Close()
		synctest.Wait()
		for ref, want := range map[string]mapping.OutcomeKind{"read": mapping.Unknown, "unread": mapping.NotWritten, "behind": mapping.NotWritten} {
			if o := b.outcomes[ref]; o.Kind != want || o.Failure == nil {
				t.Errorf("%s: %+v", ref, o)
			}
		}
		u.Deliver(parcel("again", toMem(4))) // dials anew
		c = <-dialed
		got := readAll(c)
		synctest.Wait()
		if !strings.HasPrefix(got(), "MESSAGE ") {
			t.Errorf("%q", got())
		}
		c.Close()
	})
}

// TestClosedWithoutAnswer: a peer that has read the request and hangs up. It may have
// taken the message; the log says that this is why nobody waited on.
func TestClosedWithoutAnswer(t *testing.T) {
	b := newBridge(nil)
	u := start(t, testConfig(), b)
	p := siptest.Listen(t, "tcp")
	u.Deliver(parcel("x", outgoing(p, 1)))
	p.Await(1)
	p.Hangup()
	o := b.outcome("x")
	if o.Kind != mapping.Unknown || o.Failure == nil || o.Failure.Err == nil || o.Failure.Err.Error() != "connection closed" {
		t.Errorf("%+v %v", o, o.Failure)
	}
	if want := mapping.FailTimeout().Text; o.Failure.Text != want {
		t.Errorf("the sender is told %q, want %q", o.Failure.Text, want)
	}
}

// TestConnectionStillborn: one that breaks before anything was written on it. Who
// waited for it is told, once, and nobody keeps dialling.
func TestConnectionStillborn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBridge(nil)
		cfg := testConfig()
		cfg.Routes = []Route{{Domain: "*", Via: mapping.URI{Scheme: "sip", Host: "192.0.2.9", Transport: "tcp"}}}
		u, err := New(cfg, testLog(t, nil))
		if err != nil {
			t.Fatal(err)
		}
		dials := 0
		u.dial = func(_ context.Context, _, addr string) (net.Conn, error) {
			dials++
			here, there := net.Pipe()
			t.Cleanup(func() { here.Close() })
			return pipeConn{there, memSelf, netip.MustParseAddrPort(addr)}, nil
		}
		b.ua = u
		u.Deliver(parcel("x", toMem(1)))
		go u.conns.connect(context.Background(), <-u.conns.first)
		synctest.Wait() // it is made, and nobody reads from it yet
		u.conns.mu.Lock()
		open := slices.Collect(maps.Values(u.conns.streams))
		u.conns.mu.Unlock()
		for _, s := range open {
			s.close(errors.New("reset"))
		}
		synctest.Wait() // it is gone again
		sc := <-u.conns.made.conns
		synctest.Wait()
		if len(u.outbox.list) != 1 || u.outbox.list[0].Outcome.Kind != mapping.NotWritten {
			t.Errorf("outcomes %+v", u.outbox.list)
		}
		if dials != 1 || len(u.conns.first) != 0 || len(u.conns.outward) != 0 {
			t.Errorf("dialled %d times, %d to come, %d targets", dials, len(u.conns.first), len(u.conns.outward))
		}
		sc.Close()
	})
}

// TestConnectionLimits: a bound on all, a closer one on hosts that are no peers.
func TestConnectionLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBridge(processed)
		cfg := testConfig()
		cfg.MaxConnections = 8
		u, l, _ := memTCP(t, cfg, b)
		open := func(from string, n int) (all []func() string) {
			for range n {
				c := l.dial(netip.MustParseAddrPort(from))
				t.Cleanup(func() { c.Close() })
				all = append(all, readAll(c))
			}
			synctest.Wait()
			return all
		}
		ended := func(all []func() string) (n int) {
			for _, f := range all {
				if strings.Contains(f(), "<end>") {
					n++
				}
			}
			return n
		}
		if n := ended(open("198.51.100.1:9", 5)); n != 3 {
			t.Errorf("%d of 5 strangers were turned away, want 3", n)
		}
		if n := ended(open("192.0.2.9:9", 7)); n != 1 {
			t.Errorf("%d of 7 connections of a peer were turned away, want 1", n)
		}
		time.Sleep(idleTimeout + time.Second)
		synctest.Wait()
		u.conns.mu.Lock()
		defer u.conns.mu.Unlock()
		if u.conns.accepted != 0 || u.conns.strange != 0 || len(u.conns.streams) != 0 {
			t.Errorf("after all are gone: %d, %d, %d", u.conns.accepted, u.conns.strange, len(u.conns.streams))
		}
	})
}

// TestConnectionsToStrangers: users choose whom they write to, so the connections that are
// made without a route are bounded. One that is quiet makes room; routes need none.
func TestConnectionsToStrangers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBridge(nil)
		cfg := testConfig()
		cfg.MaxConnections = 4
		cfg.Routes = []Route{{Domain: "example.org", Via: mapping.URI{Scheme: "sip", Host: "192.0.2.9", Transport: "tcp"}}}
		u, _, dialed := memTCP(t, cfg, b)
		var drips sync.WaitGroup
		defer drips.Wait()
		send := func(ref, host string) (open bool) {
			v := toMem(1)
			v.RequestURI.Host, v.RequestURI.Transport = host, "tcp"
			u.Deliver(parcel(ref, v))
			synctest.Wait()
			if len(dialed) == 0 {
				return false
			}
			c := <-dialed
			t.Cleanup(func() { c.Close() })
			readAll(c)
			drips.Go(func() { repeat(c, []byte("\n"), time.Second, 50) }) // which is no use of ours
			return true
		}
		for _, host := range []string{"198.51.100.1", "198.51.100.2", "198.51.100.3", "198.51.100.4"} {
			if !send(host, host) {
				t.Fatalf("no connection to %s", host)
			}
			time.Sleep(time.Second)
		}
		if send("too many", "198.51.100.5") {
			t.Error("there is no bound")
		} else if o := b.outcome("too many"); o.Kind != mapping.NotWritten || o.Failure.Condition != mapping.CondResourceConstraint {
			t.Errorf("%+v", o)
		}
		if !send("route", "example.org") {
			t.Error("no connection to the route")
		}
		time.Sleep(timerF - 4*time.Second) // the first has been waited for, the others are not yet
		if !send("in time", "198.51.100.5") || send("early", "198.51.100.6") {
			t.Error("a connection does not make room, or one that is in use does")
		}
		u.conns.mu.Lock()
		defer u.conns.mu.Unlock()
		for to := range u.conns.outward {
			if to.Addr.String() == "198.51.100.1:5060" {
				t.Error("the one that was quiet is still there")
			}
		}
		if n := len(u.conns.outward); n != 5 {
			t.Errorf("%d connections", n)
		}
	})
}

// TestConnectionsOfOneStranger: one host that is no peer does not take all the places there are
// for those that have yet to show that they are peers.
func TestConnectionsOfOneStranger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := testConfig()
		cfg.MaxConnections = 320 // 80 of them strangers'
		u, l, _ := memTCP(t, cfg, newBridge(processed))
		ended := 0
		for _, tt := range []struct {
			from    string
			n, most int
		}{{"198.51.100.1:9", 100, 10}, {"198.51.100.2:9", 1, 1}, {"[2001:db8::1]:9", 8, 8}, {"[2001:db8::2]:9", 8, 2}} {
			var all []func() string
			for range tt.n {
				c := l.dial(netip.MustParseAddrPort(tt.from))
				t.Cleanup(func() { c.Close() })
				all = append(all, readAll(c))
			}
			synctest.Wait()
			open := 0
			for _, f := range all {
				if !strings.Contains(f(), "<end>") {
					open++
				}
			}
			if open != tt.most {
				t.Errorf("%s has %d connections, want %d", tt.from, open, tt.most)
			}
			ended += tt.n - open
		}
		time.Sleep(idleTimeout)
		synctest.Wait()
		u.conns.mu.Lock()
		defer u.conns.mu.Unlock()
		if ended == 0 || u.conns.strange != 0 || len(u.conns.hosts) != 0 {
			t.Errorf("%d turned away; in the end %d are strangers', of %d hosts", ended, u.conns.strange, len(u.conns.hosts))
		}
	})
}
