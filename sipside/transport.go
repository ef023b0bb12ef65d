package sipside

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/netip"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/stoxgw/stox/sipside/locate"
)

const (
	// handshakeTimeout is for all that comes before the first byte of SIP on a connection
	// that was accepted: TLS, and the opening of WebSocket.
	handshakeTimeout = 10 * time.Second
	// farewellTimeout is for saying that a connection ends.
	farewellTimeout = time.Second
)

// link is a connection of a transport that is more than TCP. A stream writes and reads it
// like any other.
//
// One that was accepted makes its handshake in the first Read, so on the goroutine that is
// its own: whoever is slow there holds up nobody, and counts as a connection all the while.
// One that was dialled has made it already.
//
// Close is abrupt and never waits. What TLS and WebSocket have to say before the end is in
// farewell, which the writer calls.
type link struct {
	net.Conn // TCP
	kind     locate.Transport
	shake    func(raw net.Conn) (net.Conn, *x509.Certificate, error) // nil once it is done
	failed   func(remote net.Addr, kind locate.Transport, err error)

	shaken   func()            // is called when the handshake is done, unless it was before
	put      func(b []byte)    // gives bytes to the writer of the stream
	deadline time.Time         // of reading
	verified *x509.Certificate // that the client has proved to have, after the handshake
	inner    atomic.Pointer[net.Conn]
}

// Read is called by one goroutine only.
func (l *link) Read(b []byte) (int, error) {
	if l.shake != nil {
		if err := l.open(); err != nil {
			return 0, err
		}
	}
	return (*l.inner.Load()).Read(b)
}

func (l *link) open() error {
	l.Conn.SetDeadline(time.Now().Add(handshakeTimeout))
	c, cert, err := l.shake(l.Conn)
	if err != nil {
		l.failed(l.RemoteAddr(), l.kind, err)
		return err
	}
	l.shake, l.verified = nil, cert
	l.Conn.SetDeadline(time.Time{})
	l.become(c)
	if l.shaken != nil {
		l.shaken()
	}
	return c.SetReadDeadline(l.deadline)
}

func (l *link) become(c net.Conn) {
	if w, ok := c.(*wsConn); ok {
		w.put = l.put
	}
	l.inner.Store(&c)
}

// Write writes what encode has made. Nothing can be written before the handshake is done.
func (l *link) Write(b []byte) (int, error) {
	c := l.inner.Load()
	if c == nil {
		return 0, net.ErrClosed
	}
	return (*c).Write(b)
}

// SetReadDeadline is for Read, and called by the goroutine that reads.
func (l *link) SetReadDeadline(t time.Time) error {
	l.deadline = t
	if c := l.inner.Load(); c != nil {
		return (*c).SetReadDeadline(t)
	}
	return nil
}

// attach tells how the link can have something written that is no message. It comes before
// the first Read.
func (l *link) attach(put func(b []byte)) {
	l.put = put
	if c := l.inner.Load(); c != nil {
		l.become(*c)
	}
}

// encode appends a message to dst as it goes over the wire. Of WebSocket each message is a
// frame, so that what is written in one go is still so many messages.
func (l *link) encode(dst, msg []byte) []byte {
	if c := l.inner.Load(); c != nil {
		if w, ok := (*c).(*wsConn); ok {
			return w.appendMessage(dst, msg)
		}
	}
	return append(dst, msg...)
}

// farewell says to the other side that this is the end, if it can be said quickly. Close
// breaks it off.
func (l *link) farewell() {
	c := l.inner.Load()
	if c == nil {
		return
	}
	l.SetWriteDeadline(time.Now().Add(farewellTimeout))
	below := *c
	if w, ok := below.(*wsConn); ok {
		w.farewell()
		below = w.Conn
	}
	if t, ok := below.(*tls.Conn); ok {
		t.CloseWrite()
	}
}

// dialTransport makes a connection to t over its transport, within ctx. The name that a
// server of TLS and WSS has to prove is t.Name. Where TCP was fine and the rest was not,
// the error is a *setupError.
func (u *UA) dialTransport(ctx context.Context, t locate.Target) (net.Conn, error) {
	raw, err := u.dial(ctx, "tcp", t.Addr.String())
	if err != nil {
		return nil, err
	}
	if t.Transport != locate.TLS && t.Transport != locate.WS && t.Transport != locate.WSS {
		return raw, nil
	}
	broken := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		raw.SetDeadline(time.Unix(1, 0))
		close(broken)
	})
	c, err := u.opened(raw, t)
	if !stop() {
		<-broken
		if err == nil || errors.Is(ctx.Err(), context.Canceled) {
			err = ctx.Err()
		}
	}
	if err != nil {
		raw.Close()
		return nil, err
	}
	raw.SetDeadline(time.Time{})
	l := &link{Conn: raw, kind: t.Transport}
	l.become(c)
	return l, nil
}

// opened makes the client's side of the handshakes.
func (u *UA) opened(c net.Conn, t locate.Target) (net.Conn, error) {
	if t.Transport.Secure() {
		s := tls.Client(c, u.cfg.TLS.client(t.Name))
		if err := s.Handshake(); err != nil {
			return nil, handshakeFailed(err)
		}
		c = s
	}
	if t.Transport == locate.TLS {
		return c, nil
	}
	return u.openWebSocket(c, t)
}

// listenTransport listens for connections of a transport: "tcp", "tls", "ws" or "wss".
func (u *UA) listenTransport(network, addr string) (net.Listener, error) {
	l, err := u.listenTCP(addr)
	if err != nil {
		return nil, err
	}
	kind, _ := locate.ParseTransport(network)
	if kind == locate.TCP {
		return l, nil
	}
	return &linkListener{l, u, kind}, nil
}

// linkListener gives links. Their handshakes are yet to be made, so Accept waits for nobody.
type linkListener struct {
	net.Listener
	u    *UA
	kind locate.Transport
}

func (l *linkListener) Accept() (net.Conn, error) {
	raw, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	keepAlive(raw)
	return &link{Conn: raw, kind: l.kind, failed: l.u.shakeFailed, shake: func(c net.Conn) (net.Conn, *x509.Certificate, error) {
		return l.u.accepted(c, l.kind)
	}}, nil
}

// accepted makes the server's side of the handshakes.
func (u *UA) accepted(c net.Conn, kind locate.Transport) (net.Conn, *x509.Certificate, error) {
	var cert *x509.Certificate
	if kind.Secure() {
		s := tls.Server(c, u.cfg.TLS.server)
		if err := s.Handshake(); err != nil {
			return nil, nil, err
		}
		cert = u.cfg.TLS.verifiedClient(s.ConnectionState())
		c = s
	}
	if kind == locate.TLS {
		return c, cert, nil
	}
	w, err := u.acceptWebSocket(c)
	if err != nil {
		return nil, nil, err
	}
	return w, cert, nil
}

// shakeFailed notes a connection that was no use. Anybody can make one, so only what a peer
// does is worth a line, and not one that hangs up at once, as the checks of load balancers do.
func (u *UA) shakeFailed(remote net.Addr, kind locate.Transport, err error) {
	u.stats.Malformed.Add(1)
	gone := errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.ECONNRESET)
	if gone || u.current().peers.find(addrPortOf(remote).Addr()) == nil {
		return
	}
	remedy := "does the peer speak this transport, TLS 1.2 or 1.3, and does it trust our certificate? (sip.listen, sip.tls_cert)"
	if kind == locate.WS {
		remedy = "does the peer speak WebSocket with the subprotocol sip? (sip.listen)"
	}
	u.log.Warn("a peer's connection could not be opened", "transport", kind.String(), "addr", remote.String(), "err", err, "remedy", remedy)
}

// ownSentBy is what Via says for a socket of a transport that is more than TCP. Its port is
// always there: the one in sip.advertise is of UDP and TCP.
func (u *UA) ownSentBy(bound netip.AddrPort) string {
	host, _, _ := splitSentBy(u.sentByFor(bound))
	return net.JoinHostPort(host, strconv.Itoa(int(bound.Port())))
}

// streamSentBy is what Via says in requests over a transport: the name of a socket of that
// kind if there is one, else of one that takes connections at all.
func (u *UA) streamSentBy(t locate.Transport) string {
	if name := u.sentByOf[t]; name != "" {
		return name
	}
	return u.tcpSentBy
}
