package sipside

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/mapping"
	"github.com/stoxgw/stox/sipside/locate"
)

// memLinks is a UA that listens with a transport in memory, and has peers at memPeer's host.
func memLinks(t testing.TB, kind locate.Transport, b *bridge, log *siptest.Buffer) (*UA, *memListener) {
	t.Helper()
	ca := siptest.NewCA(t, "Test CA")
	cfg := testConfig()
	cfg.Listen = []string{kind.String() + "://192.0.2.1:5061"}
	cfg.Peers = []Peer{{Name: "mem", Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.9/32")}}}
	cfg.TLS = tlsOf(t, ca, ca.Issue(nil, "gw.example.com"))
	u, err := New(cfg, testLog(t, log))
	if err != nil {
		t.Fatal(err)
	}
	l := &memListener{conns: make(chan any, 10), done: make(chan struct{})}
	u.listenTCP = func(string) (net.Listener, error) { return l, nil }
	return run(t, u, b), l
}

// hello is the first flight of a TLS client.
func hello(t testing.TB) []byte {
	t.Helper()
	here, there := net.Pipe()
	defer here.Close()
	go tls.Client(there, &tls.Config{ServerName: "gw.example.com"}).Handshake()
	b := make([]byte, 4096)
	n, err := here.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return b[:n]
}

// TestSlowHandshake: whoever does not get on with it loses the connection after ten seconds,
// peer or not, and nobody waits for it.
func TestSlowHandshake(t *testing.T) {
	const opening = "GET / HTTP/1.1\r\nHost: gw.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
	for _, kind := range linkKinds {
		t.Run(kind.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u, l := memLinks(t, kind, newBridge(processed), nil)
				first := []byte(opening)
				if kind.Secure() {
					first = hello(t)
				}
				var ends []chan time.Duration
				began := time.Now()
				var writers sync.WaitGroup
				client := func(from netip.AddrPort, write func(c net.Conn)) {
					c, end := l.dial(from), make(chan time.Duration, 1)
					ends = append(ends, end)
					go func() {
						defer c.Close()
						writers.Go(func() { write(c) })
						io.Copy(io.Discard, c)
						end <- time.Since(began)
					}()
				}
				for _, from := range []netip.AddrPort{memPeer, netip.MustParseAddrPort("198.51.100.1:5060")} {
					client(from, func(c net.Conn) {})
					client(from, func(c net.Conn) { c.Write(first[:len(first)/2]) })
					client(from, func(c net.Conn) { c.Write(first) })
					client(from, func(c net.Conn) { // drop by drop
						for i := range first {
							if _, err := c.Write(first[i : i+1]); err != nil {
								return
							}
							time.Sleep(time.Second)
						}
					})
				}
				for i, end := range ends {
					if d := <-end; d != handshakeTimeout {
						t.Errorf("%d: ended after %v", i, d)
					}
				}
				writers.Wait()
				synctest.Wait()
				u.conns.mu.Lock()
				defer u.conns.mu.Unlock()
				if n := len(u.conns.streams); n != 0 || u.conns.accepted != 0 || u.conns.strange != 0 {
					t.Errorf("%d connections are left, %d accepted, %d strange", n, u.conns.accepted, u.conns.strange)
				}
			})
		})
	}
}

// TestStopsInHandshake: a stop does not wait for those who are not done with their handshake.
func TestStopsInHandshake(t *testing.T) {
	for _, kind := range linkKinds {
		t.Run(kind.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var stopping time.Time
				var clients sync.WaitGroup
				t.Cleanup(func() { // the last one: it has stopped, and so hung up
					clients.Wait()
					if d := time.Since(stopping); d > 2*time.Second {
						t.Errorf("took %v", d)
					}
				})
				_, l := memLinks(t, kind, newBridge(processed), nil)
				for range 3 {
					c := l.dial(memPeer)
					clients.Go(func() {
						defer c.Close()
						c.Write([]byte{22, 3, 1})
						io.Copy(io.Discard, c)
					})
				}
				synctest.Wait()
				t.Cleanup(func() { stopping = time.Now() }) // the first one
			})
		})
	}
}

// TestHandshakeGarbage: one line of the log with the remedy if it is a peer, none if it is
// somebody, or only looks whether we are there.
func TestHandshakeGarbage(t *testing.T) {
	const line = `msg="a peer's connection could not be opened"`
	for _, kind := range linkKinds {
		for name, tt := range map[string]struct {
			send string
			from netip.AddrPort
			want int
		}{
			"SIP from a peer":       {"OPTIONS sip:gw.example.com SIP/2.0\r\n\r\n", memPeer, 1},
			"SIP from a stranger":   {"OPTIONS sip:gw.example.com SIP/2.0\r\n\r\n", netip.MustParseAddrPort("198.51.100.1:5060"), 0},
			"nothing from a peer":   {"", memPeer, 0},
			"garbage from a peer":   {strings.Repeat("\x00\xff", 40) + "\r\n\r\n", memPeer, 1},
			"TLS 1.3 of no version": {"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00\r\n\r\n", memPeer, 1},
		} {
			t.Run(kind.String()+" "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var log siptest.Buffer
					_, l := memLinks(t, kind, newBridge(processed), &log)
					c := l.dial(tt.from)
					got := readAll(c)
					io.WriteString(c, tt.send)
					synctest.Wait()
					if tt.send == "" {
						c.Close()
					}
					synctest.Wait()
					if !strings.HasSuffix(got(), "<end>") || strings.Contains(got(), "SIP/2.0") {
						t.Errorf("%q", got())
					}
					if n := strings.Count(log.String(), line); n != tt.want || strings.Count(log.String(), "remedy=") != tt.want {
						t.Errorf("log:\n%s", log.String())
					}
					c.Close()
				})
			})
		}
	}
}

// wsOpened opens a WebSocket connection in memory, as a client that is not ours.
func wsOpened(t testing.TB, l *memListener, from netip.AddrPort) net.Conn {
	t.Helper()
	c := l.dial(from)
	if _, _, err := (ws.Dialer{Protocols: []string{"sip"}}).Upgrade(c, &url.URL{Host: "gw.example.com", Path: "/"}); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestWSIdle: a ping keeps a connection, silence ends it; a message that has begun comes
// soon or not at all.
func TestWSIdle(t *testing.T) {
	request := masked(ws.NewFrame(ws.OpText, false, []byte("MESSAGE ")))
	for name, tt := range map[string]struct {
		drive func(c net.Conn) // until the connection ends
		after time.Duration    // that
	}{
		"silent":     {func(c net.Conn) {}, idleTimeout},
		"with pings": {func(c net.Conn) { repeat(c, masked(ws.NewPingFrame(nil)), 4*time.Minute, 5) }, 16*time.Minute + idleTimeout},
		"a frame that stays half": {func(c net.Conn) { c.Write(masked(ws.NewTextFrame([]byte("MESSAGE")))[:7]) },
			frameTimeout},
		"fragments without end": {func(c net.Conn) {
			repeat(c, request, 0, 1)
			repeat(c, masked(ws.NewFrame(ws.OpContinuation, false, []byte("x"))), time.Second, 1000)
		},
			frameTimeout},
		"pings in between": {func(c net.Conn) { repeat(c, request, 0, 1); repeat(c, masked(ws.NewPingFrame(nil)), time.Second, 1000) },
			frameTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, l := memLinks(t, locate.WS, newBridge(processed), nil)
				c := wsOpened(t, l, memPeer)
				defer c.Close()
				began := time.Now()
				var driver sync.WaitGroup
				driver.Go(func() { tt.drive(c) })
				io.Copy(io.Discard, c)
				if d := time.Since(began); d != tt.after {
					t.Errorf("ended after %v, want %v", d, tt.after)
				}
				c.Close()
				driver.Wait()
			})
		})
	}
}

func repeat(c net.Conn, b []byte, every time.Duration, times int) {
	for i := range times {
		if i > 0 {
			time.Sleep(every)
		}
		if _, err := c.Write(b); err != nil {
			return
		}
	}
}

// TestStrangerOverWebSocket: who is no peer gets one answer and the close.
func TestStrangerOverWebSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, l := memLinks(t, locate.WS, newBridge(processed), nil)
		c := wsOpened(t, l, netip.MustParseAddrPort("198.51.100.1:5060"))
		defer c.Close()
		go c.Write(masked(ws.NewTextFrame([]byte(message("ws")))))
		frames, err := framesOf(c)
		if err != nil || len(frames) != 2 || !strings.HasPrefix(string(frames[0].Payload), "SIP/2.0 403 ") || frames[1].Header.OpCode != ws.OpClose {
			t.Errorf("%+v, %v", frames, err)
		}
	})
}

// TestWrongLengthOverWebSocket: a message that claims another length than it has is refused,
// and does not swallow the next one.
func TestWrongLengthOverWebSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBridge(processed)
		_, l := memLinks(t, locate.WS, b, nil)
		c := wsOpened(t, l, memPeer)
		defer c.Close()
		long := strings.Replace(message("ws"), "Content-Length: 2", "Content-Length: 500", 1)
		go c.Write(masked(ws.NewTextFrame([]byte(long)), ws.NewTextFrame([]byte(message("ws")))))
		frames, err := framesOf(c)
		if err != nil || len(frames) != 2 || !strings.HasPrefix(string(frames[0].Payload), "SIP/2.0 400 ") || b.count() != 0 {
			t.Errorf("%+v, %v, %d requests", frames, err, b.count())
		}
	})
}

// TestFarewell: at a stop TLS and WebSocket end as they should, so that nobody takes it for
// an attack or a fault.
func TestFarewell(t *testing.T) {
	ca := siptest.NewCA(t, "Test CA")
	for _, kind := range linkKinds {
		t.Run(kind.String(), func(t *testing.T) {
			var c net.Conn
			var rw io.ReadWriter
			var raw recorder
			t.Run("until the stop", func(t *testing.T) {
				u, _ := listening(t, ca, kind, "127.0.0.1")
				var err error
				if c, err = net.Dial("tcp", u.bound[0].String()); err != nil {
					t.Fatal(err)
				}
				rw = c
				if kind.Secure() {
					raw.Conn = c
					rw = tls.Client(&raw, &tls.Config{RootCAs: ca.Pool(), ServerName: "gw.example.com", MaxVersion: tls.VersionTLS12})
				}
				if kind != locate.TLS {
					if _, _, err := (ws.Dialer{Protocols: []string{"sip"}}).Upgrade(rw, &url.URL{Host: "gw.example.com", Path: "/"}); err != nil {
						t.Fatal(err)
					}
				} else if err := rw.(*tls.Conn).Handshake(); err != nil {
					t.Fatal(err)
				}
				// A ping and its pong, so that the other side is done with the handshake too.
				ping, pong := "\r\n\r\n", "\r\n"
				if kind != locate.TLS {
					ping, pong = string(masked(ws.NewTextFrame([]byte(ping)))), string(ws.MustCompileFrame(ws.NewTextFrame([]byte(pong))))
				}
				io.WriteString(rw, ping)
				b := make([]byte, len(pong))
				if _, err := io.ReadFull(rw, b); err != nil || string(b) != pong {
					t.Fatalf("%q, %v", b, err)
				}
			})
			defer c.Close()
			rest, err := io.ReadAll(rw)
			if err != nil {
				t.Error(err)
			}
			if kind.Secure() && !raw.endsInAlert() {
				t.Errorf("no close_notify in %d bytes", len(raw.got))
			}
			want := ""
			if kind != locate.TLS {
				want = string(ws.MustCompileFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusNormalClosure, ""))))
			}
			if string(rest) != want {
				t.Errorf("%q, want %q", rest, want)
			}
		})
	}
}

// recorder keeps what has been read.
type recorder struct {
	net.Conn
	got []byte
}

func (r *recorder) Read(b []byte) (int, error) {
	n, err := r.Conn.Read(b)
	r.got = append(r.got, b[:n]...)
	return n, err
}

// endsInAlert reports whether the last TLS record is an alert.
func (r *recorder) endsInAlert() bool {
	last := byte(0)
	for b := r.got; len(b) >= 5; {
		last = b[0]
		b = b[min(len(b), 5+int(b[3])<<8+int(b[4])):]
	}
	return last == 21
}

// TestClientSideEnds: the same for a connection that we have dialled, and requests on one
// that the server ends are told of.
func TestClientSideEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBridge(nil)
		cfg := routedTo(memPeer, locate.WS, nil)
		cfg.Listen = []string{"tcp://192.0.2.1:5060"}
		u, err := New(cfg, testLog(t, nil))
		if err != nil {
			t.Fatal(err)
		}
		u.listenTCP = func(string) (net.Listener, error) {
			return &memListener{conns: make(chan any), done: make(chan struct{})}, nil
		}
		dialed := make(chan net.Conn, 1)
		u.dial = func(_ context.Context, _, addr string) (net.Conn, error) {
			here, there := net.Pipe()
			dialed <- here
			return pipeConn{there, memSelf, netip.MustParseAddrPort(addr)}, nil
		}
		run(t, u, b)
		u.Deliver(parcel("a", toExample(1)))
		c := <-dialed
		defer c.Close()
		if _, err := (ws.Upgrader{Protocol: func([]byte) bool { return true }}).Upgrade(c); err != nil {
			t.Fatal(err)
		}
		req, err := wsutil.ReadClientText(c)
		if err != nil || !strings.HasPrefix(string(req), "MESSAGE ") {
			t.Fatalf("%q, %v", req, err)
		}
		ws.WriteFrame(c, ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusGoingAway, "")))
		frames, err := framesOf(c)
		if err != nil || len(frames) != 1 || frames[0].Header.OpCode != ws.OpClose || !frames[0].Header.Masked {
			t.Errorf("%v, %v", frames, err)
		}
		synctest.Wait()
		if o := b.outcomes["a"]; o.Kind != mapping.Unknown {
			t.Errorf("%+v", o)
		}
	})
}

// TestHealthChecks: load balancers look whether a port is open and hang up, some of them with
// a reset. That is no news, however often they do it.
func TestHealthChecks(t *testing.T) {
	for _, kind := range linkKinds {
		t.Run(kind.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log siptest.Buffer
				u, l := memLinks(t, kind, newBridge(processed), &log)
				here, there := net.Pipe()
				defer here.Close()
				l.conns <- resetConn{pipeConn{there, memSelf, memPeer}}
				synctest.Wait()
				if n := u.stats.Malformed.Load(); n != 1 || strings.Contains(log.String(), "could not be opened") {
					t.Errorf("%d noted; log:\n%s", n, log.String())
				}
			})
		})
	}
}

// resetConn is a connection that the other side has reset.
type resetConn struct{ pipeConn }

func (resetConn) Read([]byte) (int, error) {
	return 0, &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ECONNRESET)}
}
