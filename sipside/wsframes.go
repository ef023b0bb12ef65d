package sipside

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// wsConn is a WebSocket connection (RFC 6455) after its opening, as a stream of SIP: what
// is read are the messages one after the other, each with a Content-Length.
//
// Text and binary messages are the same to it, in fragments or whole. Whether a text is
// UTF-8 is looked at where all SIP is.
type wsConn struct {
	net.Conn // below: TCP or TLS
	side     ws.State
	lim      limits
	put      func(frame []byte) // has a frame written; nil: nothing is ever said
	closing  atomic.Bool        // a close frame has been made

	// Of the goroutine that reads.
	from     *bufio.Reader
	deadline time.Time // while no message has begun
	begun    time.Time // when the current message, or the control frame, began
	parts    bool      // a fragment has come, and more are to follow
	msg      []byte    // the current message so far
	give     []byte    // of a complete one, still to be given
}

// errClosedByPeer is the end that a close frame makes.
var errClosedByPeer = fmt.Errorf("WebSocket closed: %w", io.EOF)

// Read reads one frame at most, so it may give nothing and no error: after a ping, which
// shows that the peer is there, or a fragment.
func (w *wsConn) Read(b []byte) (int, error) {
	if len(w.give) == 0 {
		if err := w.frame(); err != nil {
			return 0, err
		}
	}
	n := copy(b, w.give)
	if w.give = w.give[n:]; len(w.give) == 0 && cap(w.msg) > 64<<10 && !w.parts {
		w.msg = nil // a big one is rare: do not keep its buffer
	}
	return n, nil
}

// SetReadDeadline is about the time in which nothing begins. What has begun has
// frameTimeout to come, however it is cut up.
func (w *wsConn) SetReadDeadline(t time.Time) error {
	w.deadline = t
	return nil
}

func (w *wsConn) frame() error {
	if !w.parts {
		w.Conn.SetReadDeadline(w.deadline)
		if _, err := w.from.Peek(1); err != nil {
			return err
		}
		w.begun = time.Now()
	}
	w.Conn.SetReadDeadline(w.begun.Add(frameTimeout))
	h, err := ws.ReadHeader(w.from)
	if err != nil {
		return w.broken(err)
	}
	state := w.side
	if w.parts {
		state = state.Set(ws.StateFragmented)
	}
	if err := ws.CheckHeader(h, state); err != nil {
		return w.fail(ws.StatusProtocolError, err)
	}
	if h.OpCode.IsControl() {
		return w.control(h)
	}
	if !w.parts {
		w.msg = w.msg[:0]
	}
	start := len(w.msg)
	if h.Length > int64(w.lim.header+w.lim.body-start) {
		return w.fail(ws.StatusMessageTooBig, errors.New("message too long"))
	}
	// Room is made for what has come, not for what is promised.
	for left := int(h.Length); left > 0; {
		n := min(left, minRead)
		at := len(w.msg)
		w.msg = slices.Grow(w.msg, n)[:at+n]
		if _, err := io.ReadFull(w.from, w.msg[at:]); err != nil {
			return w.broken(err)
		}
		left -= n
	}
	if h.Masked {
		ws.Cipher(w.msg[start:], h.Mask, 0)
	}
	if w.parts = !h.Fin; w.parts {
		return nil
	}
	var ok bool
	if w.give, ok = withLength(w.msg, w.lim); !ok {
		return w.fail(ws.StatusInvalidFramePayloadData, errors.New("not SIP"))
	}
	return nil
}

// broken is an error in the middle of a frame.
func (w *wsConn) broken(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// control deals with a ping, a pong or the close.
func (w *wsConn) control(h ws.Header) error {
	payload := make([]byte, h.Length) // 125 at most
	if _, err := io.ReadFull(w.from, payload); err != nil {
		return w.broken(err)
	}
	if h.Masked {
		ws.Cipher(payload, h.Mask, 0)
	}
	switch h.OpCode {
	case ws.OpPing:
		w.say(ws.OpPong, payload)
	case ws.OpClose:
		if len(payload) > 0 {
			code, why := ws.ParseCloseFrameData(payload)
			if err := ws.CheckCloseFrameData(code, why); err != nil {
				return w.fail(ws.StatusProtocolError, err)
			}
			payload = payload[:2]
		}
		w.sayClose(payload)
		return errClosedByPeer
	}
	return nil
}

// fail ends the connection and tells the peer why.
func (w *wsConn) fail(code ws.StatusCode, err error) error {
	w.sayClose(ws.NewCloseFrameBody(code, ""))
	return fmt.Errorf("WebSocket: %w", err)
}

func (w *wsConn) sayClose(payload []byte) {
	if w.closing.CompareAndSwap(false, true) {
		w.say(ws.OpClose, payload)
	}
}

func (w *wsConn) say(op ws.OpCode, payload []byte) {
	if w.put != nil {
		w.put(w.appendFrame(nil, op, payload))
	}
}

// farewell writes the close frame of an end that we chose. It is for the goroutine that
// writes.
func (w *wsConn) farewell() {
	if w.closing.CompareAndSwap(false, true) {
		w.Write(w.appendFrame(nil, ws.OpClose, ws.NewCloseFrameBody(ws.StatusNormalClosure, "")))
	}
}

// appendMessage appends the frame of one SIP message: text if it is one, since that is what
// the scripts of web pages like best.
func (w *wsConn) appendMessage(dst, msg []byte) []byte {
	op := ws.OpText
	if !utf8.Valid(msg) {
		op = ws.OpBinary
	}
	return w.appendFrame(dst, op, msg)
}

// appendFrame appends a whole frame, masked if we are the client (RFC 6455 §5.3).
func (w *wsConn) appendFrame(dst []byte, op ws.OpCode, payload []byte) []byte {
	var mask byte
	if w.side.ClientSide() {
		mask = 0x80
	}
	dst = append(dst, 0x80|byte(op))
	switch n := len(payload); {
	case n < 126:
		dst = append(dst, mask|byte(n))
	case n < 1<<16:
		dst = binary.BigEndian.AppendUint16(append(dst, mask|126), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, mask|127), uint64(n))
	}
	if mask == 0 {
		return append(dst, payload...)
	}
	var key [4]byte
	rand.Read(key[:])
	dst = append(append(dst, key[:]...), payload...)
	ws.Cipher(dst[len(dst)-len(payload):], key, 0)
	return dst
}

// withLength makes sure that a message says how long it is, which it need not do where it
// has borders of its own (RFC 7118 §5) and has to in a stream. If it says something else, it
// gets a second Content-Length, and is refused for the two of them. ok is false if it has
// no end of headers. It may change msg.
func withLength(msg []byte, lim limits) (with []byte, ok bool) {
	head := bytes.TrimLeft(msg, "\r\n")
	if len(head) == 0 {
		return msg, true // a ping, or a pong
	}
	end := headEnd(head, 0)
	if end < 0 {
		return nil, false
	}
	body := len(head) - end
	if scanFrame(bytes.Clone(head[:end]), false, lim).body == body {
		return head, true
	}
	empty := 1 // bytes of the empty line
	if head[end-2] == '\r' {
		empty = 2
	}
	row := "Content-Length: " + strconv.Itoa(body) + "\r\n"
	return slices.Insert(head, end-empty, []byte(row)...), true
}
