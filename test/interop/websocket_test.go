//go:build interop

package interop

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/test/stage"
)

// SIP-03, RFC 7118: a SIP client over WebSocket writes to an XMPP user. What it knows of WebSocket is
// its own, by the letter of RFC 6455.
func TestWebSocket(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, server string) {
		w := newWorld(t, server)
		w.stox.Env = append(w.stox.Env, fmt.Sprintf("STOX_SIP_LISTEN=udp://127.0.0.1:%[1]d,tcp://127.0.0.1:%[1]d,ws://127.0.0.1:%[2]d", w.stox.SIP, w.stox.SIP+1))
		w.run(via(sipDomain, 9, "udp"))
		c := w.login(juliet)
		ws := w.openWebSocket(w.stox.SIP + 1)
		for i, row := range []struct {
			what, to, body string
			status         int
		}{
			{"text", w.user(juliet), "over a WebSocket", handedOver},
			{"non-ASCII text", w.user(juliet), "žluť, 日本, 🎈", handedOver},
			{"text of 3000 bytes", w.user(juliet), strings.Repeat("0123456789", 300), handedOver},
			{"message to an unknown XMPP user", "sip:nobody@" + w.domain, "hello", 480},
		} {
			branch := fmt.Sprintf("z9hG4bKws%d", i)
			ws.send(siptest.Text(row.body, "MESSAGE "+row.to+" SIP/2.0",
				"Via: SIP/2.0/WS df7jal23ls0d.invalid;branch="+branch, "Max-Forwards: 70", "From: <sip:romeo@"+sipDomain+">;tag=ws",
				"To: <"+row.to+">", fmt.Sprintf("Call-ID: ws%d@invalid", i), "CSeq: 1 MESSAGE", "Content-Type: text/plain"))
			answer := ws.answer()
			if answer.Status() != row.status || answer.Branch() != branch {
				t.Errorf("%s: %s for branch %q", row.what, answer.First, answer.Branch())
			}
			result := fmt.Sprint(row.status)
			if row.status == handedOver {
				w.await(c, "the message", stage.WithBody(row.body))
				result = "arrived"
			}
			w.crossed(passage{"WebSocket client of the tests", "SIP client (RFC 7118)", "WS", toXMPP, result}, row.what)
		}
	})
}

// webSocket is a client's end.
type webSocket struct {
	*world
	c net.Conn
	r *bufio.Reader
}

func (w *world) openWebSocket(port int) *webSocket {
	w.t.Helper()
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	c, err := net.Dial("tcp", addr)
	w.must(err)
	w.t.Cleanup(func() { c.Close() })
	w.must(c.SetDeadline(time.Now().Add(time.Minute)))
	const key = "dGhlIHNhbXBsZSBub25jZQ=="
	fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: %s\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: sip\r\n\r\n", addr, key)
	ws := &webSocket{w, c, bufio.NewReader(c)}
	res, err := http.ReadResponse(ws.r, nil)
	w.must(err)
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	if res.StatusCode != http.StatusSwitchingProtocols || res.Header.Get("Sec-WebSocket-Protocol") != "sip" ||
		res.Header.Get("Sec-WebSocket-Accept") != base64.StdEncoding.EncodeToString(sum[:]) {
		w.t.Fatalf("opened with %s %v", res.Status, res.Header)
	}
	return ws
}

// send writes a text frame, masked as those of clients are.
func (ws *webSocket) send(text string) {
	ws.t.Helper()
	frame := []byte{0x81}
	if len(text) < 126 {
		frame = append(frame, 0x80|byte(len(text)))
	} else {
		frame = binary.BigEndian.AppendUint16(append(frame, 0x80|126), uint16(len(text)))
	}
	mask := [4]byte{7, 77, 17, 177}
	frame = append(frame, mask[:]...)
	for i := range len(text) {
		frame = append(frame, text[i]^mask[i%4])
	}
	_, err := ws.c.Write(frame)
	ws.must(err)
}

// answer reads the next final response, which has to be all of one frame (RFC 7118 §4.2).
func (ws *webSocket) answer() *siptest.Message {
	ws.t.Helper()
	for {
		var head [2]byte
		_, err := io.ReadFull(ws.r, head[:])
		ws.must(err)
		n := int(head[1])
		if n == 126 {
			var long [2]byte
			_, err := io.ReadFull(ws.r, long[:])
			ws.must(err)
			n = int(binary.BigEndian.Uint16(long[:]))
		}
		if op := head[0]; n > 1<<16 || op != 0x81 && op != 0x82 {
			ws.t.Fatalf("a frame begins with %x", head)
		}
		b := make([]byte, n)
		_, err = io.ReadFull(ws.r, b)
		ws.must(err)
		m, size, err := siptest.Parse(b)
		ws.must(err)
		if size != len(b) {
			ws.t.Fatalf("%d bytes more in a frame", len(b)-size)
		}
		if m.Status() >= 200 {
			return m
		}
	}
}
