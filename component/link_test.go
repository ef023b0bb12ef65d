package component

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/internal/xmpptest"
	"github.com/stoxgw/stox/mapping"
)

// GW-03.
func TestHandshakeHash(t *testing.T) {
	if got, want := handshakeHash("3BF96D32", "test"), "aaee83c26aeeafcbabeabfcbcd50df997e0a2a1e"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestHandshakeWire looks at every octet up to the first stanza: GW-02, GW-03,
// GW-04. The stream id is unescaped before it is hashed.
func TestHandshakeWire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rigs := make(chan *rig, 1)
		srv := xmpptest.NewMemory(t, xmpptest.Options{Domain: testDomain, Handshake: func(c net.Conn) bool {
			r := bufio.NewReader(c)
			const want = `<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' to='sip.example.com'>`
			if got := readN(t, r, len(want)); got != want {
				t.Errorf("header is %s", got)
			}
			io.WriteString(c, `<stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' from='sip.example.com' id='a&amp;b'>`)
			shake := "<handshake>" + handshakeHash("a&b", testSecret) + "</handshake>"
			if got := readN(t, r, len(shake)); got != shake {
				t.Errorf("handshake is %s, want %s", got, shake)
			}
			rig := <-rigs
			rig.Deliver(parcels(message("early", "too soon")))
			c.SetReadDeadline(time.Now().Add(5 * time.Second)) // fake time: all that could come has come
			if b, err := r.ReadByte(); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("read %q, %v before <handshake/>", b, err)
			}
			c.SetReadDeadline(time.Time{})
			io.WriteString(c, "<handshake/>")
			return true
		}})
		rig := start(t, srv, nil)
		rigs <- rig
		conn := srv.Accept()
		synctest.Wait()
		if o := rig.sink.outcome(t, "early"); o.Kind != mapping.NotWritten {
			t.Errorf("early message is %v, want NotWritten", o)
		}
		rig.Deliver(parcels(message("m1", "now")))
		if st := conn.Next(); st.ID != "m1" {
			t.Errorf("first stanza is %s", st.Raw)
		}
		rig.stop()
	})
}

func readN(t *testing.T, r io.Reader, n int) string {
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		t.Errorf("read: %v", err)
	}
	return string(b)
}

// The deadline covers connect, header and handshake together.
func TestOneDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := xmpptest.NewMemory(t, xmpptest.Options{Handshake: func(c net.Conn) bool {
			go io.Copy(io.Discard, c)
			for _, b := range `<stream:stream xmlns='jabber:component:accept' id='1'` { // a drip every second
				time.Sleep(time.Second)
				if _, err := c.Write([]byte{byte(b)}); err != nil {
					return false
				}
			}
			return false
		}})
		r := start(t, srv, func(cfg *Config) {
			cfg.Dial = func(ctx context.Context, n, a string) (net.Conn, error) {
				time.Sleep(4 * time.Second)
				return srv.Dial(ctx, n, a)
			}
		})
		begin := time.Now()
		for r.Status().State != StateDown {
			time.Sleep(time.Millisecond)
		}
		if d := time.Since(begin); d < 10*time.Second || d > 10*time.Second+10*time.Millisecond {
			t.Errorf("gave up after %v, want 10 s", d)
		}
		r.stop()
	})
}

// The end of the context ends a handshake that hangs.
func TestStopDuringHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := xmpptest.NewMemory(t, xmpptest.Options{Handshake: func(c net.Conn) bool { io.Copy(io.Discard, c); return false }})
		r := start(t, srv, nil)
		time.Sleep(time.Second)
		begin := time.Now()
		r.stop()
		if d := time.Since(begin); d != 0 {
			t.Errorf("took %v", d)
		}
	})
}

// GW-10: what is queued is written, then our end of the stream, then we wait for
// the server's; what it still sends is handed over.
func TestCleanClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, conn := memory(t, xmpptest.Options{}, nil)
		stall(conn)
		r.Deliver(parcels(message("m0", "taken by the read under way")))
		synctest.Wait()
		r.Deliver(parcels(message("m1", "last words")))
		stopped := make(chan struct{})
		go func() { r.stop(); close(stopped) }()
		synctest.Wait()
		send(t, conn, `<message from='juliet@example.com/b' to='romeo@sip.example.com' id='late'><body>wait</body></message>`)
		r.Deliver(parcels(message("m2", "too late")))
		conn.Resume()
		<-stopped
		if ids := []string{conn.Next().ID, conn.Next().ID}; ids[0] != "m0" || ids[1] != "m1" {
			t.Errorf("written: %v", ids)
		}
		if !conn.WaitEnd() {
			t.Error("the stream was not closed")
		}
		if got := r.sink.wait(1); got[0].ID != "late" {
			t.Errorf("got %v", got[0])
		}
		// The barrier behind it was waited for.
		if o := r.sink.outcome(t, "m1"); o.Kind != mapping.Processed {
			t.Errorf("m1 is %v, want Processed", o)
		}
		if o := r.sink.outcome(t, "m2"); o.Kind != mapping.NotWritten {
			t.Errorf("m2 is %v, want NotWritten", o)
		}
	})
}

// A server that does not read to our end is not waited for longer than 10 s.
func TestCloseTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, conn := memory(t, xmpptest.Options{}, nil)
		stall(conn)
		r.Deliver(parcels(message("m0", "x"), message("m1", "y")))
		synctest.Wait()
		r.Deliver(parcels(message("m2", "stuck")))
		synctest.Wait()
		begin := time.Now()
		r.stop()
		if d := time.Since(begin); d != 10*time.Second {
			t.Errorf("took %v, want 10 s", d)
		}
		if o := r.sink.outcome(t, "m2"); o.Kind != mapping.NotWritten {
			t.Errorf("m2 is %v, want NotWritten", o)
		}
		conn.Resume()
	})
}

// GW-09: a ping after 60 s of silence; the link is lost 30 s later if nothing comes.
func TestIdlePing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, conn := memory(t, xmpptest.Options{NoEcho: true}, nil)
		begin := time.Now()
		st := conn.Next()
		if d := time.Since(begin); d != time.Minute || st.Name != "iq" || st.Type != "get" || st.To != testDomain || st.From != testDomain {
			t.Errorf("after %v: %s", d, st.Raw)
		}
		time.Sleep(29 * time.Second)
		send(t, conn, st.Raw) // it comes home, and is not answered
		time.Sleep(59 * time.Second)
		if conn.Waiting() != 0 {
			t.Errorf("wrote %s", conn.Next().Raw)
		}
		again := conn.Next()
		if again.ID == st.ID {
			t.Error("ping ids repeat")
		}
		time.Sleep(30*time.Second + time.Millisecond)
		if st := r.Status(); st.Reason != "silent" {
			t.Errorf("status %+v", st)
		}
		r.stop()
	})
}

// White space counts as a sign of life.
func TestWhitespaceKeepsAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, conn := memory(t, xmpptest.Options{NoEcho: true}, nil)
		for range 20 {
			time.Sleep(45 * time.Second)
			send(t, conn, " ")
		}
		if n := conn.Waiting(); n != 0 || r.Status().State != StateUp {
			t.Errorf("%d stanzas written, status %+v", n, r.Status())
		}
		begin := time.Now() // the deadline of an earlier wait ends in between
		if st := conn.Next(); time.Since(begin) != time.Minute || st.Name != "iq" {
			t.Errorf("after %v: %s", time.Since(begin), st.Raw)
		}
		r.stop()
	})
}

// A server that stops reading is given up after the write deadline.
func TestStalledWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, conn := memory(t, xmpptest.Options{}, nil)
		stall(conn)
		r.Deliver(parcels(message("m0", "taken by the read under way")))
		synctest.Wait()
		begin := time.Now()
		r.Deliver(parcels(message("m1", "stuck")))
		synctest.Wait()
		// Reading goes on meanwhile.
		send(t, conn, `<message from='juliet@example.com/b' to='romeo@sip.example.com' id='in'><body>hi</body></message>`)
		r.sink.wait(1)
		r.sink.waitSettled(2)
		if d := time.Since(begin); d != 10*time.Second {
			t.Errorf("gave up after %v", d)
		}
		synctest.Wait()
		if st := r.Status(); st.Reason != "stalled" {
			t.Errorf("status %+v", st)
		}
		if o := r.sink.outcome(t, "m1"); o.Kind != mapping.NotWritten {
			t.Errorf("m1 is %v: not one octet of it had been taken", o)
		}
		conn.Resume()
		r.stop()
	})
}

// GW-35: the reader pauses for want of reply slots and of nothing else; the link
// goes if none gets free within the write deadline.
func TestReplySlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, conn := memory(t, xmpptest.Options{}, func(c *Config) { c.ReplySlots = 4; c.WriteTimeout = 10 * time.Second })
		stall(conn)
		r.Deliver(parcels(message("m0", "taken by the read under way")))
		synctest.Wait()
		ping := `<iq type='get' from='juliet@example.com/b' to='sip.example.com' id='p'><ping xmlns='urn:xmpp:ping'/></iq>`
		send(t, conn, strings.Repeat(ping, 6))
		msg := `<message from='juliet@example.com/b' to='romeo@sip.example.com'><body>hi</body></message>`
		go conn.Send(msg)
		synctest.Wait()
		if n, _ := r.sink.count(); n != 0 {
			t.Fatal("the reader went on without a slot")
		}
		time.Sleep(9 * time.Second)
		conn.Resume() // slots get free: everything is answered
		conn.Next()
		for range 6 {
			if st := conn.Next(); st.Type != "result" || st.ID != "p" {
				t.Errorf("got %s", st.Raw)
			}
		}
		r.sink.wait(1)

		stall(conn)
		go conn.Send(strings.Repeat(ping, 12))
		time.Sleep(10*time.Second + time.Millisecond)
		if st := r.Status(); st.State != StateDown || st.Reason != "stalled" {
			t.Errorf("status %+v", st)
		}
		conn.Resume()
		r.stop()
	})
}

// GW-34: a lost link is reset, so that the server forgets it at once.
func TestLostLinkIsReset(t *testing.T) {
	ended := make(chan error, 1)
	srv := xmpptest.New(t, xmpptest.Options{Handshake: func(c net.Conn) bool {
		io.WriteString(c, `<stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' id='1'><handshake/><a></b>`)
		for b := make([]byte, 4096); ; {
			if _, err := c.Read(b); err != nil {
				select {
				case ended <- err:
				default:
				}
				return false
			}
		}
	}})
	r := start(t, srv, nil)
	if err := <-ended; !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the server saw %v, want a reset", err)
	}
	r.stop()
}

func TestNewChecks(t *testing.T) {
	good := Config{Server: "127.0.0.1:5347", Domain: testDomain, Secret: "s"}
	if _, err := New(good, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	for name, mod := range map[string]func(*Config){
		"server": func(c *Config) { c.Server = "localhost" },
		"domain": func(c *Config) { c.Domain = "user@sip.example.com" },
		"secret": func(c *Config) { c.Secret = "" },
		"limit":  func(c *Config) { c.QueueBytes = -1 },
		"time":   func(c *Config) { c.WriteTimeout = -1 },
	} {
		cfg := good
		mod(&cfg)
		if _, err := New(cfg, nil); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	c, _ := New(good, nil)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := c.Run(ctx, newSink()); err != nil {
		t.Error(err)
	}
	if err := c.Run(ctx, newSink()); err == nil {
		t.Error("a second Run works")
	}
}
