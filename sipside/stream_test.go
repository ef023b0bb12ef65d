package sipside

import (
	"bufio"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/mapping"
	"github.com/stoxgw/stox/sipside/locate"
)

// exchange writes raw bytes to a new connection, half-closes it, and gives all
// that comes back until the other side closes.
func exchange(t *testing.T, to netip.AddrPort, raw string) string {
	t.Helper()
	c, err := net.Dial("tcp", to.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, raw); err != nil {
		t.Fatal(err)
	}
	c.(*net.TCPConn).CloseWrite()
	b, err := io.ReadAll(c)
	if err != nil && !strings.Contains(err.Error(), "reset") {
		t.Fatal(err)
	}
	return string(b)
}

// statuses are the codes of the responses in raw.
func statuses(t *testing.T, raw string) (all []int) {
	t.Helper()
	for raw != "" {
		m, n, err := siptest.Parse([]byte(raw))
		if err != nil {
			t.Fatalf("%v in %q", err, raw)
		}
		all = append(all, m.Status())
		raw = raw[n:]
	}
	return all
}

// TestFraming: what ends a connection and what does not (SIP-03, SIP-26, SIP-29).
// A good message before is always answered.
func TestFraming(t *testing.T) {
	b := newBridge(processed)
	cfg := testConfig()
	cfg.MaxBodyBytes = 1000
	u := start(t, cfg, b)
	good := func() string { return message("tcp") }
	longer := strings.Repeat("x", 1001)
	for _, tt := range []struct {
		name string
		raw  string
		want []int
	}{
		{"two at once", good() + good(), []int{200, 200}},
		{"CRLF between", "\r\n" + good() + "\r\n\r\n\r\n" + good() + "\n", []int{200, 200}},
		{"bare LF", strings.ReplaceAll(good(), "\r\n", "\n") + good(), []int{200, 200}},
		{"bad header", message("tcp", "Nonsense") + good(), []int{400, 200}},
		{"bad request line", message("tcp", "MESSAGE sip:a b SIP/2.0") + good(), []int{400, 200}},
		{"bad URI", message("tcp", "MESSAGE sip:a@b:c SIP/2.0") + good(), []int{400, 200}},
		{"bad Via", message("tcp", "Via: nonsense;branch=z9hG4bKq") + good(), []int{400, 200}},
		{"version", message("tcp", "MESSAGE sip:a@b SIP/3.0") + good(), []int{505, 200}},
		{"evil reason", strings.Replace(good(), "MESSAGE sip:juliet@example.com SIP/2.0", "SIP/2.0 200 SIPped", 1) + good(), []int{200}},
		{"odd status line", strings.Replace(good(), "MESSAGE sip:juliet@example.com SIP/2.0", "SIP/2.0 2000 OK", 1) + good(), []int{200}},
		{"no Via", message("tcp", "-Via") + good(), []int{200}},
		{"no Content-Length", good() + strings.Replace(good(), "Content-Length: 2\r\n", "", 1) + good(), []int{200, 400}},
		{"negative Content-Length", good() + message("tcp", "Content-Length: -1") + good(), []int{200, 400}},
		{"conflicting Content-Length", good() + message("tcp", "Content-Length: 2\r\nContent-Length: 3") + good(), []int{200, 400}},
		{"equal Content-Lengths", message("tcp", "Content-Length: 2\r\nl: 2") + good(), []int{200, 200}},
		{"huge Content-Length", good() + message("tcp", "Content-Length: 99999999999"), []int{200, 400}},
		{"body too long", good() + siptest.Text(longer, lines("tcp", fresh())...), []int{200, 413}},
		{"header too long", good() + message("tcp", "X: "+strings.Repeat("y", 17<<10)) + good(), []int{200, 513}},
		{"header without end", good() + strings.TrimSuffix(message("tcp", "X: "+strings.Repeat("y", 17<<10)), "\r\n\r\nhi"), []int{200, 513}},
		{"too many rows", good() + message("tcp", strings.Repeat("X: y\r\n", 101)+"X: y"), []int{200, 513}},
		{"HTTP", good() + "GET / HTTP/1.1\r\nHost: x\r\n\r\n" + good(), []int{200}},
		{"TLS", good() + "\x16\x03\x01\x02\x00\x01\x00" + good(), []int{200}},
		{"cut in the middle", good() + good()[:100], []int{200}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := exchange(t, addr(u, "tcp"), tt.raw)
			got = strings.TrimPrefix(got, "\r\n") // pongs
			same := statuses(t, strings.ReplaceAll(got, "\r\n\r\n\r\nSIP", "\r\n\r\nSIP"))
			if len(same) != len(tt.want) {
				t.Fatalf("answers %v, want %v", same, tt.want)
			}
			for i := range same {
				if same[i] != tt.want[i] {
					t.Errorf("answers %v, want %v", same, tt.want)
				}
			}
		})
	}
	if got := exchange(t, addr(u, "tcp"), "\r\n\r\n"); got != "\r\n" {
		t.Errorf("ping got %q (SIP-26)", got)
	}
	if got := exchange(t, addr(u, "tcp"), "\r\n"); got != "" {
		t.Errorf("pong got %q", got)
	}
}

// TestByteByByte: framing does not depend on how TCP cuts the stream.
func TestByteByByte(t *testing.T) {
	b := newBridge(processed)
	u := start(t, testConfig(), b)
	c, err := net.Dial("tcp", addr(u, "tcp").String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r := bufio.NewReader(c)
	for _, raw := range []string{message("tcp"), "\r\n" + message("tcp", "Subject: a\r\n b")} {
		for i := range len(raw) {
			if _, err := c.Write([]byte{raw[i]}); err != nil {
				t.Fatal(err)
			}
		}
		if l, err := r.ReadString('\n'); err != nil || l != "SIP/2.0 200 OK\r\n" {
			t.Fatalf("%q, %v", l, err)
		}
		for l := ""; l != "\r\n"; l, _ = r.ReadString('\n') {
		}
	}
}

// TestStreamTimers: 100 at 3.5 s, no Timer J, idle connections are closed, one
// that stops in the middle of a message sooner (SIP-13).
func TestStreamTimers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBridge(nil)
		u, l, _ := memTCP(t, testConfig(), b)
		c := l.dial(memPeer)
		defer c.Close()
		got := readAll(c)
		io.WriteString(c, message("tcp"))
		time.Sleep(3499 * time.Millisecond)
		synctest.Wait()
		if got() != "" {
			t.Errorf("early: %q", got())
		}
		time.Sleep(2 * time.Millisecond)
		synctest.Wait()
		if s := got(); !strings.HasPrefix(s, "SIP/2.0 100 Trying\r\n") || strings.Contains(s, "To: <sip:juliet@example.com>;tag") {
			t.Errorf("%q", s)
		}
		u.Answer([]mapping.Result{{Ref: b.refs[0], Outcome: processed(nil)}})
		synctest.Wait()
		if !strings.Contains(got(), "SIP/2.0 200 OK\r\n") {
			t.Errorf("%q", got())
		}
		if n := u.server.answered.count(); n != 0 {
			t.Errorf("%d answers over TCP are kept", n)
		}
		time.Sleep(idleTimeout - 4*time.Second)
		synctest.Wait()
		if strings.Contains(got(), "<end>") {
			t.Error("closed before it was idle long enough")
		}
		time.Sleep(4 * time.Second)
		synctest.Wait()
		if !strings.Contains(got(), "<end>") {
			t.Error("an idle connection stays open")
		}
		c2 := l.dial(memPeer)
		defer c2.Close()
		got2 := readAll(c2)
		for range 5 { // a byte now and then does not help
			io.WriteString(c2, "MESSAGE")
			time.Sleep(6 * time.Second)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if !strings.Contains(got2(), "<end>") {
			t.Error("half a message holds a connection")
		}
		// Continuous traffic with a message always half there is no such thing.
		c3 := l.dial(memPeer)
		defer c3.Close()
		got3 := readAll(c3)
		raw := ""
		for range 20 {
			raw += message("tcp")
			io.WriteString(c3, raw[:len(raw)-10])
			raw = raw[len(raw)-10:]
			time.Sleep(3 * time.Second)
		}
		synctest.Wait()
		if strings.Contains(got3(), "<end>") {
			t.Error("a busy connection was closed")
		}
	})
}

// TestStrangerStream: a host that is no peer gets one answer, before its body is
// read, and no more: what it asks for and never reads must not pile up (SEC-24,
// SEC-29).
func TestStrangerStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBridge(processed)
		_, l, _ := memTCP(t, testConfig(), b)
		whole := message("tcp")
		for _, tt := range []struct {
			name, raw string
			wait      time.Duration
			want      string // what comes first
			n         int    // responses
		}{
			{"two", whole + message("tcp"), 0, "SIP/2.0 403 Forbidden\r\n", 1},
			{"headers only", strings.TrimSuffix(whole, "hi"), 0, "SIP/2.0 403 Forbidden\r\n", 1},
			{"malformed", message("tcp", "Nonsense") + whole, 0, "SIP/2.0 400 Bad Request", 1},
			{"ACK", message("tcp", "ACK sip:juliet@example.com SIP/2.0", "CSeq: 1 ACK") + whole, 0, "<end>", 0},
			{"response", strings.Replace(whole, "MESSAGE sip:juliet@example.com SIP/2.0", "SIP/2.0 200 OK", 1) + whole, 0, "<end>", 0},
			{"ping", "\r\n\r\n", 0, "<end>", 0},
			{"silence", "", frameTimeout, "<end>", 0},
		} {
			c := l.dial(netip.MustParseAddrPort("198.51.100.1:9"))
			got := readAll(c)
			go io.WriteString(c, tt.raw)
			synctest.Wait()
			if tt.wait > 0 && got() != "" {
				t.Errorf("%s: at once %q", tt.name, got())
			}
			time.Sleep(tt.wait)
			synctest.Wait()
			s := got()
			if !strings.HasPrefix(s, tt.want) || !strings.HasSuffix(s, "<end>") || strings.Count(s, "SIP/2.0 4") != tt.n {
				t.Errorf("%s: %q", tt.name, s)
			}
			c.Close()
		}
		if b.count() != 0 {
			t.Error("a stranger's message was handed over")
		}
	})
}

// TestStrangerStays: who is no peer has its connection for a while and no longer, whatever
// it sends that asks for nothing. Else a few hosts could keep all the places that there are
// for those that we have yet to know.
func TestStrangerStays(t *testing.T) {
	stranger := netip.MustParseAddrPort("198.51.100.1:5060")
	drip := masked(ws.NewPingFrame(nil), ws.NewPingFrame(nil))
	for name, tt := range map[string]struct {
		open  func(t *testing.T) net.Conn
		write func(c net.Conn)
	}{
		"line ends": {
			func(t *testing.T) net.Conn {
				_, l, _ := memTCP(t, testConfig(), newBridge(processed))
				return l.dial(stranger)
			},
			func(c net.Conn) { repeat(c, []byte("\n"), 7*time.Second, 1000) },
		},
		"WebSocket pings": {
			func(t *testing.T) net.Conn {
				_, l := memLinks(t, locate.WS, newBridge(processed), nil)
				return wsOpened(t, l, stranger)
			},
			func(c net.Conn) { repeat(c, masked(ws.NewPingFrame(nil)), 7*time.Second, 1000) },
		},
		"WebSocket pings in halves": { // something is always there to be read
			func(t *testing.T) net.Conn {
				_, l := memLinks(t, locate.WS, newBridge(processed), nil)
				return wsOpened(t, l, stranger)
			},
			func(c net.Conn) {
				c.Write(drip[:3])
				repeat(c, append(drip[3:len(drip):len(drip)], drip[:3]...), 7*time.Second, 1000)
			},
		},
		"WebSocket messages of nothing": {
			func(t *testing.T) net.Conn {
				_, l := memLinks(t, locate.WS, newBridge(processed), nil)
				return wsOpened(t, l, stranger)
			},
			func(c net.Conn) { repeat(c, masked(ws.NewTextFrame(nil)), 7*time.Second, 1000) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := tt.open(t)
				defer c.Close()
				began := time.Now()
				var driver sync.WaitGroup
				driver.Go(func() { tt.write(c) })
				io.Copy(io.Discard, c)
				if d := time.Since(began); d < frameTimeout || d > 2*frameTimeout {
					t.Errorf("ended after %v", d)
				}
				c.Close()
				driver.Wait()
			})
		})
	}
}
