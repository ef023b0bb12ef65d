package sipside

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
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

var linkKinds = []locate.Transport{locate.TLS, locate.WS, locate.WSS}

// listening is a UA that listens with one transport, with a certificate of ca for this
// machine. It takes what comes as example.com, and answers 200.
func listening(t testing.TB, ca *siptest.CA, kind locate.Transport, host string) (*UA, *bridge) {
	t.Helper()
	b := newBridge(processed)
	cfg := testConfig()
	cfg.Listen = []string{kind.String() + "://" + net.JoinHostPort(host, "0")}
	cfg.SIPDomain, cfg.XMPPDomains = "example.com", []string{"example.org"}
	cfg.TLS = tlsOf(t, ca, ca.Issue(nil, "127.0.0.1", "::1", "gw.example.com"))
	return start(t, cfg, b), b
}

// routed is the configuration of a UA that sends everything to one place.
func routedTo(to netip.AddrPort, kind locate.Transport, tl *TLS) Config {
	cfg := testConfig()
	cfg.TLS = tl
	cfg.Routes = []Route{{Domain: "*", Via: mapping.URI{Scheme: "sip", Host: to.Addr().String(), Port: to.Port(), Transport: kind.String()}}}
	return cfg
}

// TestTransports: messages of all lengths go over each transport and both families, all over
// one connection.
func TestTransports(t *testing.T) {
	ca := siptest.NewCA(t, "Test CA")
	for _, kind := range append(linkKinds, locate.TCP) {
		for _, host := range []string{"127.0.0.1", "::1"} {
			t.Run(kind.String()+" "+host, func(t *testing.T) {
				far, got := listening(t, ca, kind, host)
				b := newBridge(nil)
				u := start(t, routedTo(far.bound[0], kind, tlsOf(t, ca, siptest.Cert{})), b)
				var bodies []string
				for i := range 30 {
					m := toExample(i)
					m.Body = bytes.Repeat([]byte{"x\xff"[i%2]}, 1+(i*i*i)%40000)
					if i%2 > 0 {
						m.ContentType = "application/octet-stream"
					}
					bodies = append(bodies, string(m.Body))
					u.Deliver(parcel(i, m))
				}
				for i := range 30 {
					if o := b.outcome(i); o.Kind != mapping.Answered || o.Status != 200 {
						t.Fatalf("%d: %+v", i, o)
					}
				}
				for _, m := range got.requests {
					if want := bodies[m.CSeq-1]; string(m.Body) != want {
						t.Errorf("%d: %d bytes, want %d", m.CSeq, len(m.Body), len(want))
					}
				}
				far.conns.mu.Lock()
				defer far.conns.mu.Unlock()
				if far.conns.accepted != 1 || len(got.requests) != 30 {
					t.Errorf("%d connections, %d requests", far.conns.accepted, len(got.requests))
				}
			})
		}
	}
}

func toExample(n int) *mapping.SIPMessage {
	return &mapping.SIPMessage{
		RequestURI: mapping.URI{Scheme: "sip", User: "romeo", Host: "example.org"}, To: mapping.URI{Scheme: "sip", User: "romeo", Host: "example.org"},
		From:   mapping.URI{Scheme: "sip", User: "juliet", Host: "example.com"},
		CallID: fmt.Sprintf("call-%d", n), FromTag: "tag", CSeq: uint32(n + 1), ContentType: "text/plain;charset=utf-8", Body: []byte("hi"),
	}
}

// TestOnTheWire: what a server sees that is not ours: Via, and one message in each frame.
func TestOnTheWire(t *testing.T) {
	ca := siptest.NewCA(t, "Test CA")
	cert := ca.Issue(nil, "127.0.0.1")
	const messages = 5
	for _, kind := range linkKinds {
		t.Run(kind.String(), func(t *testing.T) {
			got := make(chan string, messages)
			at := serve(t, func(c net.Conn) {
				var rw io.ReadWriter = c
				if kind.Secure() {
					rw = tls.Server(c, &tls.Config{Certificates: []tls.Certificate{cert.Certificate}})
				}
				if kind == locate.TLS {
					r := bufio.NewReader(rw)
					for b := []byte(nil); ; {
						m, n, err := siptest.Parse(b)
						if err == nil {
							got <- string(b[:n])
							b = b[n:]
							fmt.Fprintf(rw, "%s", m.Reply(200, "OK"))
							continue
						}
						x, err := r.ReadByte()
						if err != nil {
							return
						}
						b = append(b, x)
					}
				}
				var asked string
				up := ws.Upgrader{Protocol: func(p []byte) bool { return string(p) == "sip" },
					OnHost:    func(h []byte) error { asked += string(h); return nil },
					OnRequest: func(uri []byte) error { asked = string(uri) + " "; return nil }}
				if _, err := up.Upgrade(rw); err != nil || asked != "/ "+c.LocalAddr().String() {
					got <- fmt.Sprint(asked, err)
					return
				}
				for {
					b, op, err := wsutil.ReadClientData(rw)
					if err != nil {
						return
					}
					if op != ws.OpText { // which the scripts of web pages like best
						b = nil
					}
					got <- string(b)
					if m, _, err := siptest.Parse(b); err == nil {
						wsutil.WriteServerText(rw, []byte(m.Reply(200, "OK")))
					}
				}
			})
			b := newBridge(nil)
			cfg := routedTo(at, kind, tlsOf(t, ca, cert))
			cfg.Listen = append(cfg.Listen, kind.String()+"://127.0.0.1:0")
			u := start(t, cfg, b)
			for i := range messages {
				u.Deliver(parcel(i, toExample(i)))
			}
			for i := range messages {
				if o := b.outcome(i); o.Status != 200 {
					t.Errorf("%d: %+v", i, o)
				}
				raw := <-got
				m, n, err := siptest.Parse([]byte(raw))
				if err != nil || n != len(raw) {
					t.Fatalf("%q: %v", raw, err)
				}
				want := fmt.Sprintf("SIP/2.0/%s %s;", strings.ToUpper(kind.String()), u.bound[2])
				if via := m.Get("Via"); !strings.HasPrefix(via, want) {
					t.Errorf("Via: %s, want %s", via, want)
				}
			}
		})
	}
}

// TestAnotherName: a server that is not the one that was asked for gets nothing, and the
// sender EL-004. What is behind the same address under its own name is not harmed.
func TestAnotherName(t *testing.T) {
	ca := siptest.NewCA(t, "Test CA")
	far, got := listening(t, ca, locate.TLS, "127.0.0.1")
	b := newBridge(nil)
	cfg := routedTo(far.bound[0], locate.TLS, tlsOf(t, ca, siptest.Cert{}))
	wrong := cfg.Routes[0]
	wrong.Domain = "wrong.example" // which is what its server has to prove, as its next hop has no name
	cfg.Routes = []Route{wrong, cfg.Routes[0]}
	u := start(t, cfg, b)
	m := toExample(1)
	m.RequestURI.Host = "wrong.example"
	u.Deliver(parcel("wrong", m))
	u.Deliver(parcel("right", toExample(2)))
	if o := b.outcome("right"); o.Status != 200 {
		t.Errorf("%+v", o)
	}
	o := b.outcome("wrong")
	if o.Kind != mapping.NotWritten || o.Failure.Condition != mapping.CondRemoteServerNotFound || !strings.Contains(o.Failure.Remedy, `for "wrong.example", and shows one for "gw.example.com"`) {
		t.Errorf("%+v", o)
	}
	u.Deliver(parcel("again", toExample(3)))
	if o := b.outcome("again"); o.Status != 200 || got.count() != 2 {
		t.Errorf("%+v, %d requests", o, got.count())
	}
}

// TestOpenWebSocket: how a client may open a connection, and how not.
func TestOpenWebSocket(t *testing.T) {
	ca := siptest.NewCA(t, "Test CA")
	cfg := testConfig()
	cfg.Listen, cfg.Advertise = []string{"ws://127.0.0.1:0"}, "gw.example.com:5060"
	cfg.TLS = tlsOf(t, ca, siptest.Cert{})
	u := start(t, cfg, newBridge(processed))
	base := []string{"GET / HTTP/1.1", "Host: gw.example.com", "Upgrade: websocket", "Connection: keep-alive, Upgrade", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Protocol: sip"}
	edit := func(line int, with ...string) []string {
		return slices.Concat(base[:line], with, base[line+1:])
	}
	for name, tt := range map[string]struct {
		lines  []string
		status string // "": hung up
	}{
		"good":                    {base, "101"},
		"any path":                {edit(0, "GET /some/where?x=y HTTP/1.1"), "101"},
		"several subprotocols":    {edit(6, "Sec-WebSocket-Protocol: chat, sip"), "101"},
		"extensions":              {edit(0, base[0], "Sec-WebSocket-Extensions: permessage-deflate"), "101"},
		"our page":                {append(base, "Origin: https://GW.example.com:8443"), "101"},
		"page of an XMPP domain":  {append(base, "Origin: https://example.com"), "101"},
		"any page":                {append(base, "Origin: https://evil.example"), "403"},
		"page at the same host":   {append(edit(1, "Host: evil.example"), "Origin: http://evil.example"), "403"},
		"page of nobody":          {append(base, "origin: null"), "403"},
		"page that is close":      {append(base, "Origin: https://gw.example.com.evil.example"), "403"},
		"no subprotocol":          {edit(6), "400"},
		"other subprotocol":       {edit(6, "Sec-WebSocket-Protocol: xmpp"), "400"},
		"old version":             {edit(5, "Sec-WebSocket-Version: 8"), "426"},
		"no key":                  {edit(4), "400"},
		"not an upgrade":          {edit(2), "400"},
		"POST":                    {edit(0, "POST / HTTP/1.1"), "405"},
		"HTTP/1.0":                {edit(0, "GET / HTTP/1.0"), "505"},
		"SIP":                     {[]string{"OPTIONS sip:gw.example.com SIP/2.0"}, ""},
		"headers without an end":  {append(base, "X: "+strings.Repeat("x", maxOpeningBytes)), ""},
		"more headers than there": {append(base, strings.Fields(strings.Repeat("X:x ", maxOpeningBytes/4))...), ""},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := net.Dial("tcp", u.bound[0].String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(20 * time.Second)) // for a test that fails
			io.WriteString(c, strings.Join(tt.lines, "\r\n")+"\r\n\r\n")
			res, err := http.ReadResponse(bufio.NewReader(c), nil)
			if tt.status == "" {
				if err == nil {
					t.Errorf("%s", res.Status)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if !strings.HasPrefix(res.Status, tt.status) {
				t.Errorf("%s, want %s", res.Status, tt.status)
			}
			if tt.status != "101" {
				if _, err := io.ReadAll(c); err != nil {
					t.Errorf("still open: %v", err)
				}
				return
			}
			if res.Header.Get("Sec-WebSocket-Protocol") != "sip" || res.Header.Get("Sec-WebSocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" || len(res.Header.Values("Sec-WebSocket-Extensions")) > 0 {
				t.Errorf("%v", res.Header)
			}
			// And the answer comes the same way.
			wsutil.WriteClientText(c, []byte(message("ws")))
			b, _, err := wsutil.ReadServerData(c)
			if err != nil || !strings.HasPrefix(string(b), "SIP/2.0 200 OK\r\nVia: SIP/2.0/WS ") {
				t.Errorf("%q, %v", b, err)
			}
		})
	}
}

// TestNoWebSocketThere: what else may answer where WebSocket was to be.
func TestNoWebSocketThere(t *testing.T) {
	answer := func(s string) func(net.Conn) {
		return func(c net.Conn) {
			http.ReadRequest(bufio.NewReader(c))
			io.WriteString(c, s)
		}
	}
	for name, tt := range map[string]struct {
		server func(net.Conn)
		want   string
	}{
		"a web server":       {answer("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"), "HTTP status 404"},
		"SIP":                {answer("SIP/2.0 400 Bad Request\r\n\r\n"), "not SIP over WebSocket"},
		"silence":            {answer(""), "EOF"},
		"endless":            {func(c net.Conn) { http.ReadRequest(bufio.NewReader(c)); io.Copy(c, zeros{}) }, "EOF"},
		"another WebSocket":  {func(c net.Conn) { ws.Upgrader{}.Upgrade(c); io.ReadAll(c) }, "the subprotocol sip was not agreed upon"},
		"foreign WebSocket":  {func(c net.Conn) { chat(c); io.ReadAll(c) }, "protocol"},
		"a key of its own":   {answer("HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: sip\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"), "not SIP over WebSocket"},
		"forced compression": {answer("HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"), "not SIP over WebSocket"},
	} {
		t.Run(name, func(t *testing.T) {
			u := dialerOf(t, nil)
			_, err := u.dialTransport(t.Context(), locate.Target{Transport: locate.WS, Addr: serve(t, tt.server)})
			var setup *setupError
			if !errors.As(err, &setup) || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("%v, want %s", err, tt.want)
			}
			if f := unconnected(false, err); f.Condition != mapping.CondRemoteServerTimeout || !strings.Contains(f.Remedy, "does the server take WebSocket") {
				t.Errorf("%s %q", f.Condition, f.Remedy)
			}
		})
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

// chat answers an opening with a subprotocol that nobody has asked for.
func chat(c net.Conn) {
	req, err := http.ReadRequest(bufio.NewReader(c))
	if err != nil {
		return
	}
	req.Header.Set("Sec-WebSocket-Protocol", "chat")
	var buf bytes.Buffer
	req.Write(&buf)
	ws.Upgrader{Protocol: func(p []byte) bool { return true }}.Upgrade(struct {
		io.Reader
		io.Writer
	}{&buf, c})
}

// TestEarlyFrame: a frame that comes in one go with the response to the opening is not lost.
func TestEarlyFrame(t *testing.T) {
	at := serve(t, func(c net.Conn) {
		var res bytes.Buffer
		ws.Upgrader{Protocol: func([]byte) bool { return true }}.Upgrade(struct {
			io.Reader
			io.Writer
		}{c, &res})
		c.Write(append(res.Bytes(), ws.MustCompileFrame(ws.NewTextFrame([]byte("\r\n\r\n")))...))
		wsutil.WriteServerText(c, []byte("\r\n"))
		io.ReadAll(c)
	})
	c, err := dialerOf(t, nil).dialTransport(t.Context(), locate.Target{Transport: locate.WS, Addr: at, Name: "example.net"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	b := make([]byte, 6)
	if _, err := io.ReadFull(c, b); err != nil || string(b) != "\r\n\r\n\r\n" {
		t.Errorf("%q, %v", b, err)
	}
}

// memLinks is a UA that listens with a transport in memory, and has peers at memPeer's host.
func memLinks(t testing.TB, kind locate.Transport, b *bridge, log *lockedBuffer) (*UA, *memListener) {
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
					var log lockedBuffer
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
				var log lockedBuffer
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
