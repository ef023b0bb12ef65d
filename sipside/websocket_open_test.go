package sipside

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/mapping"
	"github.com/stoxgw/stox/sipside/locate"
)

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
