package sipside

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/gobwas/ws"

	"github.com/stoxgw/stox/sipside/locate"
)

// SIP over WebSocket (RFC 7118): how a connection is opened. What goes over it then is in
// wsframes.go.

const (
	subprotocol     = "sip"
	maxOpeningBytes = 16 << 10 // of the HTTP request or response that opens it
)

var errNoSubprotocol = errors.New("the subprotocol sip was not agreed upon")

// acceptWebSocket makes the server's side of the opening. Any path will do. The client has
// to offer the subprotocol sip (RFC 7118 §4.1).
//
// A request with an Origin comes from a web page. It is refused unless the page is of a host
// of ours: a peer is known by its address, this machine is one, and so any page that
// somebody looks at there could send messages (RFC 6455 §10.2).
func (u *UA) acceptWebSocket(c net.Conn) (*wsConn, error) {
	agreed := false
	up := ws.Upgrader{
		Protocol: func(p []byte) bool {
			agreed = agreed || string(p) == subprotocol
			return string(p) == subprotocol
		},
		OnHeader: func(name, value []byte) error {
			if strings.EqualFold(string(name), "Origin") && !u.ownPage(string(value)) {
				return ws.RejectConnectionError(ws.RejectionStatus(http.StatusForbidden), ws.RejectionReason("not from a page of this host"))
			}
			return nil
		},
		OnBeforeUpgrade: func() (ws.HandshakeHeader, error) {
			if !agreed {
				return nil, ws.RejectConnectionError(ws.RejectionStatus(http.StatusBadRequest), ws.RejectionReason(errNoSubprotocol.Error()))
			}
			return nil, nil
		},
	}
	if _, err := up.Upgrade(bounded{io.LimitReader(c, maxOpeningBytes), c}); err != nil {
		return nil, fmt.Errorf("WebSocket: %w", err)
	}
	return newWSConn(c, c, ws.StateServerSide, u.limits), nil
}

// ownPage reports whether an Origin is of a host of ours: what is advertised, and the
// domains of both sides.
func (u *UA) ownPage(origin string) bool {
	page, err := url.Parse(origin)
	if err != nil || page.Host == "" {
		return false // "null", too
	}
	advertised, _, _ := splitSentBy(u.cfg.Advertise)
	for _, host := range append([]string{advertised, u.cfg.SIPDomain}, u.current().xmppDomains...) {
		if host != "" && canonicalHost(page.Hostname()) == canonicalHost(host) {
			return true
		}
	}
	return false
}

// openWebSocket makes the client's side of the opening, over a connection to t.
func (u *UA) openWebSocket(c net.Conn, t locate.Target) (*wsConn, error) {
	host := t.Name
	if host == "" {
		host = t.Addr.Addr().String()
	}
	if host = strings.Trim(host, "[]"); strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if t.Addr.Port() != t.Transport.DefaultPort() {
		host += ":" + strconv.Itoa(int(t.Addr.Port()))
	}
	d := ws.Dialer{Protocols: []string{subprotocol}}
	early, hs, err := d.Upgrade(bounded{io.LimitReader(c, maxOpeningBytes), c}, &url.URL{Scheme: t.Transport.String(), Host: host, Path: "/"})
	if err == nil && hs.Protocol != subprotocol {
		err = errNoSubprotocol
	}
	if err != nil {
		var status ws.StatusError
		if errors.As(err, &status) {
			err = fmt.Errorf("HTTP status %d", int(status))
		}
		return nil, &setupError{insecure: t.Transport.Secure(), err: fmt.Errorf("what answers there is not SIP over WebSocket: %w", err),
			remedy: "does the server take WebSocket with the subprotocol sip on this port, at the path /? (sip.route.via)"}
	}
	var from io.Reader = c
	if early != nil { // frames that came with the response
		b, _ := early.Peek(early.Buffered())
		from = io.MultiReader(bytes.NewReader(bytes.Clone(b)), c)
		ws.PutReader(early)
	}
	return newWSConn(c, from, ws.StateClientSide, u.limits), nil
}

// bounded is a connection of which only so much can be read.
type bounded struct {
	io.Reader
	io.Writer
}

func newWSConn(c net.Conn, from io.Reader, side ws.State, lim limits) *wsConn {
	return &wsConn{Conn: c, from: bufio.NewReaderSize(from, minRead), side: side, lim: lim}
}
