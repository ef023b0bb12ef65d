package sipside

import (
	"bytes"
	"io"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stoxgw/stox/internal/siptest"
)

// fuzzUA is a UA whose read loops are driven by hand, in the test's goroutine.
func fuzzUA(tb testing.TB) *UA { return fuzzUAWith(tb, testConfig()) }

func fuzzUAWith(tb testing.TB, cfg Config) *UA {
	cfg.MaxPending = 1 << 20
	u, err := New(cfg, testLog(tb, nil))
	if err != nil {
		tb.Fatal(err)
	}
	b := newBridge(processed)
	b.ua = u
	u.handler = b
	u.tcpSentBy = "gw.example.com"
	return u
}

// seeds are messages that are good, or wrong in one way.
func seeds() (all []string) {
	for _, edits := range [][]string{
		nil, {"CSeq: 1 INVITE"}, {"-Via"}, {"-Call-ID"}, {"Via: SIP/2.0/UDP a, SIP/2.0/UDP b;branch=x"}, {"From: \"a\\\" <sip:a@b>;tag=x"},
		{"ACK sip:a SIP/2.0", "CSeq: 1 ACK"}, {"OPTIONS sip:a@b SIP/2.0", "CSeq: 1 OPTIONS"}, {"CANCEL sip:a@b SIP/2.0", "CSeq: 1 CANCEL"},
		{"Require: a, b"}, {"Content-Length: 2\r\nl: 2"}, {"Content-Length: -1"}, {"X: y\r\n z"}, {" x: y"}, {"MESSAGE sip:a@b;x=\"y\" SIP/7.0"},
		{"Via: SIP/2.0/TCP [::1]:5060;rport;received=1.2.3.4;branch=z9hG4bKx"}, {"Subject: \x00\xff"}, {"To: <sip:a@b>;tag=x"}, {"MESSAGE tel:+123 SIP/2.0"},
		{"Date: Thu, 15 Jan 2026 09:50:00 GMT", "Expires: 0"}, {"Date: Fri, 01 Jan 2010 16:00:00 EST", "Expires: 99999999999999999999"},
		{"Date: Thursday, 15-Jan-26\r\n 09:50:00.9 GMT\r\nDate: x", "Expires: 4294967296 (never);x=y\r\nExpires: -1"},
		{"Content-Type: multipart/mixed;\r\n\tboundary=\"a,;\\\"b\"", "Content-Disposition: render;handling=optional", "Content-Encoding: gzip\r\ne: deflate"},
		{"MESSAGE sips:a@b SIP/2.0"}, {"Accept: a/b\r\nAccept: ", "Warning: 399 a \"b"},
		{"Content-Type: text/plain;charset=\"utf-8\""}, {"SIP/2.0 200 OK"}, {"SIP/2.0 200 SIP/2.0"},
	} {
		branch := "z9hG4bKseed"
		all = append(all, siptest.Text("hi", lines("udp", branch, edits...)...))
	}
	for _, method := range []string{"SUBSCRIBE", "NOTIFY", "PUBLISH"} {
		for _, edits := range [][]string{
			nil, {"-Event"}, {"Event: dialog"}, {"Event: presence;id=\"a;b\""}, {"-Event", "o: presence;id=x"}, {"Event: presence\r\nEvent: presence"},
			{"-Contact"}, {"Contact: *"}, {"m: <sip:a@b;line=x?y=z>;q=\"<,>\""}, {"Contact: <sip:a@x.invalid;transport=ws>, <sip:c@d>"},
			{"Record-Route: <sip:p;lr>, \"a,<b>\" <sip:q;lr=on>;x=y\r\nRecord-Route: <sip:r>"}, {"Record-Route: " + strings.Repeat("<sip:p;lr>,", 20)},
			{"Subscription-State: terminated;reason=rejected;retry-after=5"}, {"Subscription-State: "}, {"Expires: 0"}, {"Expires: -1"},
			{"SIP-If-Match: a"}, {"SIP-If-Match: a b"}, {"SIP-ETag: a"}, {"To: <sip:juliet@example.com>;tag=t1"}, {"Accept: application/xpidf+xml"}, {"Allow-Events: presence\r\nu: dialog"},
		} {
			all = append(all, eventText("udp", method, "z9hG4bKseed", edits...))
		}
	}
	for _, c := range torture() {
		all = append(all, wire(c.text, "udp", "MESSAGE"))
	}
	first := all[0]
	return append(all, first+first, "\r\n\r\n"+first, strings.ReplaceAll(first, "\r\n", "\n"), first[:50], "\x00", "\r\n", "GET / HTTP/1.1\r\n\r\n",
		"MESSAGE  SIP/2.0\r\n\r\n", "SIP/2.0  \r\n\r\n", "M sip:a SIP/\r\nVia: SIP/2.0/UDP a\r\n\r\n")
}

// onceIO gives one datagram.
type onceIO struct {
	b    []byte
	from netip.AddrPort
	done bool
}

func (o *onceIO) read(into []packet) (int, error) {
	if o.done {
		return 0, net.ErrClosed
	}
	o.done = true
	into[0].b = into[0].b[:copy(into[0].b, o.b)]
	into[0].to = o.from
	return 1, nil
}
func (o *onceIO) write(p []packet) (int, error) { return len(p), nil }
func (o *onceIO) close() error                  { return nil }

// responses parses what was written and complains about what a peer would not
// understand.
func responses(t *testing.T, raw []byte) (all []*siptest.Message) {
	t.Helper()
	for len(raw) > 0 {
		if bytes.HasPrefix(raw, []byte("\r\n")) { // pong
			raw = raw[2:]
			continue
		}
		m, n, err := siptest.Parse(raw)
		if err != nil {
			t.Fatalf("%v in our response:\n%q", err, raw)
		}
		if m.Status() == 0 || m.Get("Via") == "" {
			t.Fatalf("not a response: %q", raw)
		}
		all = append(all, m)
		raw = raw[n:]
	}
	return all
}

// FuzzPacket: any datagram. Nothing panics, at most one response comes, and it is
// one that a strict parser reads.
func FuzzPacket(f *testing.F) {
	for _, s := range seeds() {
		f.Add([]byte(s))
	}
	u := fuzzUA(f)
	s := newUDPSocket(u, nil, netip.MustParseAddrPort("127.0.0.1:5060"))
	taken := u.handler.(*bridge)
	f.Fuzz(func(t *testing.T, b []byte) {
		taken.requests, taken.refs, taken.events = nil, nil, nil
		s.io, s.queue = &onceIO{b: b, from: netip.MustParseAddrPort("127.0.0.1:9")}, nil
		s.serve()
		if len(s.queue) > 1 {
			t.Fatalf("%d responses to one datagram", len(s.queue))
		}
		for _, p := range s.queue {
			responses(t, p.b)
			if p.to.Addr() != netip.MustParseAddr("127.0.0.1") {
				t.Errorf("the response goes to %v", p.to)
			}
		}
		for _, m := range taken.requests {
			if hasControl(m.ContentType+m.Encoding+m.Disposition) || m.Expires < 0 || m.Expires > maxExpires*time.Second || m.Received.IsZero() ||
				!m.Date.IsZero() && !parseDate(formatDate(m.Date)).Equal(m.Date) {
				t.Errorf("%+v", m)
			}
		}
		for _, v := range taken.events {
			answersBack(t, u, v)
		}
		if u.stats.Panics.Load() > 0 {
			t.Fatal("a panic was caught")
		}
	})
}

// chunkConn is a connection that delivers a stream in chunks.
type chunkConn struct {
	net.Conn
	r     io.Reader
	chunk int
}

func (c *chunkConn) Read(b []byte) (int, error)       { return c.r.Read(b[:min(len(b), c.chunk)]) }
func (c *chunkConn) Close() error                     { return nil }
func (c *chunkConn) SetReadDeadline(time.Time) error  { return nil }
func (c *chunkConn) SetWriteDeadline(time.Time) error { return nil }
func (c *chunkConn) LocalAddr() net.Addr              { return net.TCPAddrFromAddrPort(memSelf) }
func (c *chunkConn) RemoteAddr() net.Addr {
	return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9}
}

// feed reads all of b as one connection and gives what was written to it.
func (u *UA) feed(b []byte, chunk int) []byte {
	return u.feedConn(&chunkConn{r: bytes.NewReader(b), chunk: chunk})
}

func (u *UA) feedConn(c net.Conn) []byte { return newStream(u, c, "fuzz").feed() }

// feed reads all that comes over a connection and gives what was written to it.
func (s *stream) feed() []byte {
	u := s.u
	u.conns.streams[s.id] = s
	l := &madeListener{conns: make(chan net.Conn, 1), done: make(chan struct{})}
	l.conns <- &sipgoConn{s: s}
	u.wg.Add(1)
	served := make(chan struct{})
	go func() { u.conns.layer.ServeTCP(l); close(served) }()
	u.wg.Wait()
	l.Close()
	<-served
	return s.out
}

// FuzzStream: any stream, however TCP cuts it. Nothing panics, all responses are
// readable, and they do not depend on the cuts.
func FuzzStream(f *testing.F) {
	for _, s := range seeds() {
		f.Add([]byte(s), uint16(7))
	}
	u := fuzzUA(f)
	f.Fuzz(func(t *testing.T, b []byte, chunk uint16) {
		var distinct [2][]string
		for i, n := range []int{1 << 20, int(chunk)%1500 + 1} {
			set := make(map[string]bool)
			for _, m := range responses(t, u.feed(b, n)) {
				// A request that stands twice in the stream is absorbed or answered twice, as
				// its answer was quick; then what the copies have of their own may differ, in
				// To for example. The tag is that of the transaction.
				to := m.Get("To")
				set[m.First+to[max(strings.LastIndex(to, ";tag="), 0):]] = true
			}
			distinct[i] = slices.Sorted(maps.Keys(set))
		}
		if !slices.Equal(distinct[0], distinct[1]) {
			t.Errorf("in one piece %q\ncut at %d %q", distinct[0], chunk, distinct[1])
		}
		if u.stats.Panics.Load() > 0 {
			t.Fatal("a panic was caught")
		}
	})
}

// FuzzVia: what is sent back in a response reads like what came.
func FuzzVia(f *testing.F) {
	for _, s := range []string{"SIP/2.0/UDP a;branch=x;rport", "SIP/2.0/TCP [::1]:5060;received=x, SIP/2.0/UDP b", `SIP / 2.0 / UDP a : 5 ;x="y;\"z,";branch = q`} {
		f.Add(s)
	}
	src := netip.MustParseAddrPort("192.0.2.4:5070")
	f.Fuzz(func(t *testing.T, s string) {
		v, ok := parseVia(s)
		if !ok || hasControl(s) {
			return
		}
		w, ok := parseVia(v.received(src))
		if !ok || w.host != v.host || w.port != v.port || w.branch != v.branch || w.transport != v.transport || w.rest != v.rest {
			t.Fatalf("%q became %q: %+v, %+v", s, v.received(src), v, w)
		}
		if again := w.received(src); again != v.received(src) {
			t.Errorf("%q, then %q", v.received(src), again)
		}
	})
}

// FuzzNameAddr: no panic, and a bracketed address is found whatever is around it.
func FuzzNameAddr(f *testing.F) {
	for _, s := range []string{`"a \" <b>" <sip:a@b;x=y>;tag=c`, "sip:a@b;tag=c", "A B <sip:a@b>", `"`, "<", ";tag=x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, ok := parseNameAddr(s)
		if !ok {
			return
		}
		if strings.ContainsAny(n.uri, "<>") && strings.Contains(n.uri, ">") {
			t.Errorf("%q has the URI %q", s, n.uri)
		}
		if m, ok := parseNameAddr("<" + n.uri + ">" + n.params); !ok || m.uri != n.uri || m.tag != n.tag {
			t.Errorf("%q: %+v, %+v", s, n, m)
		}
	})
}

// received is the row of v as it stands in a response.
func (v *via) received(src netip.AddrPort) string {
	top := v.top(v.protocol+v.params, src)
	return string(top.append(nil, src))
}
