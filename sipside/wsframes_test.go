package sipside

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/gobwas/ws"
)

// bytesConn is a connection from which given bytes come. Written to it is nothing.
type bytesConn struct {
	net.Conn
	io.Reader
}

func (c bytesConn) Read(b []byte) (int, error)       { return c.Reader.Read(b) }
func (bytesConn) SetReadDeadline(time.Time) error    { return nil }
func (bytesConn) Write([]byte) (int, error)          { return 0, errors.New("written") }
func cutUp(b []byte) io.Reader                       { return iotest.OneByteReader(bytes.NewReader(b)) }
func whole(b []byte) io.Reader                       { return bytes.NewReader(b) }
func parsed(b []byte) (frames []ws.Frame, err error) { return framesOf(bytes.NewReader(b)) }

func framesOf(r io.Reader) (frames []ws.Frame, err error) {
	for {
		f, err := ws.ReadFrame(r)
		if errors.Is(err, io.EOF) {
			return frames, nil
		}
		if err != nil {
			return frames, err
		}
		if f.Header.Masked {
			f = ws.UnmaskFrame(f)
			f.Header.Masked = true
		}
		frames = append(frames, f)
	}
}

// wsRead reads what b is to one side: the SIP in it, what is said to the peer, and the end.
func wsRead(b []byte, side ws.State, lim limits, cut func([]byte) io.Reader) (sip string, said []byte, w *wsConn, err error) {
	c := bytesConn{Reader: cut(b)}
	w = newWSConn(c, c, side, lim)
	w.put = func(b []byte) { said = append(said, b...) }
	var got strings.Builder
	buf := make([]byte, 100)
	for {
		n, err := w.Read(buf)
		got.Write(buf[:n])
		if err != nil {
			return got.String(), said, w, err
		}
	}
}

var wsLimits = limits{header: 600, body: 1000}

// masked are frames as a client sends them.
func masked(frames ...ws.Frame) (b []byte) {
	for _, f := range frames {
		b = append(b, ws.MustCompileFrame(ws.MaskFrameWith(f, [4]byte{1, 2, 3, 4}))...)
	}
	return b
}

// TestWSFrames: RFC 6455 §5, §7 and RFC 7118 §5, frame by frame.
func TestWSFrames(t *testing.T) {
	msg := message("ws")
	bare := strings.Replace(msg, "Content-Length: 2\r\n", "", 1)
	part := func(op ws.OpCode, fin bool, s string) ws.Frame { return ws.NewFrame(op, fin, []byte(s)) }
	text := func(s string) ws.Frame { return part(ws.OpText, true, s) }
	raw := func(b ...byte) []byte { return b }
	closed := func(code ws.StatusCode) ws.Frame { return ws.NewCloseFrame(ws.NewCloseFrameBody(code, "")) }
	const protocol, tooBig, invalid = ws.StatusProtocolError, ws.StatusMessageTooBig, ws.StatusInvalidFramePayloadData
	for name, tt := range map[string]struct {
		in   []byte
		side ws.State // a server's if not set
		sip  string
		said []ws.Frame
		err  string // a part of it
	}{
		"text":                    {in: masked(text(msg)), sip: msg, err: "EOF"},
		"binary":                  {in: masked(part(ws.OpBinary, true, msg)), sip: msg, err: "EOF"},
		"two":                     {in: masked(text(msg), text(msg)), sip: msg + msg, err: "EOF"},
		"from a server":           {in: ws.MustCompileFrame(text(msg)), side: ws.StateClientSide, sip: msg, err: "EOF"},
		"no length":               {in: masked(text(bare)), sip: strings.Replace(bare, "\r\n\r\nhi", "\r\nContent-Length: 2\r\n\r\nhi", 1), err: "EOF"},
		"wrong length":            {in: masked(text(msg + "more")), sip: strings.Replace(msg, "\r\n\r\nhi", "\r\nContent-Length: 6\r\n\r\nhimore", 1), err: "EOF"},
		"pings of SIP":            {in: masked(text("\r\n\r\n"), text("\r\n"), text("\r\n"+msg)), sip: "\r\n\r\n\r\n" + msg, err: "EOF"},
		"empty":                   {in: masked(text(""), text(msg)), sip: msg, err: "EOF"},
		"fragments":               {in: masked(part(ws.OpText, false, msg[:7]), part(ws.OpContinuation, false, ""), part(ws.OpContinuation, false, msg[7:50]), part(ws.OpContinuation, true, msg[50:])), sip: msg, err: "EOF"},
		"a ping between":          {in: masked(part(ws.OpText, false, msg[:7]), ws.NewPingFrame([]byte("hello")), part(ws.OpContinuation, true, msg[7:])), sip: msg, said: []ws.Frame{ws.NewPongFrame([]byte("hello"))}, err: "EOF"},
		"ping, pong":              {in: masked(ws.NewPingFrame(nil), ws.NewPongFrame([]byte("x")), text(msg)), sip: msg, said: []ws.Frame{ws.NewPongFrame(nil)}, err: "EOF"},
		"ping to a client":        {in: ws.MustCompileFrame(ws.NewPingFrame([]byte("hello"))), side: ws.StateClientSide, said: []ws.Frame{ws.NewPongFrame([]byte("hello"))}, err: "EOF"},
		"close":                   {in: masked(closed(ws.StatusGoingAway), text(msg)), said: []ws.Frame{closed(ws.StatusGoingAway)}, err: "WebSocket closed"},
		"close, and why":          {in: masked(ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusNormalClosure, "bye"))), said: []ws.Frame{closed(ws.StatusNormalClosure)}, err: "WebSocket closed"},
		"close without a code":    {in: masked(ws.NewCloseFrame(nil)), said: []ws.Frame{ws.NewCloseFrame(nil)}, err: "WebSocket closed"},
		"half a code":             {in: masked(ws.NewCloseFrame([]byte{3})), said: []ws.Frame{closed(protocol)}, err: "status code"},
		"a code for nobody":       {in: masked(closed(1005)), said: []ws.Frame{closed(protocol)}, err: "status code"},
		"not masked":              {in: ws.MustCompileFrame(text(msg)), said: []ws.Frame{closed(protocol)}, err: "must be masked"},
		"masked by a server":      {in: masked(text(msg)), side: ws.StateClientSide, said: []ws.Frame{closed(protocol)}, err: "must be not masked"},
		"compressed":              {in: raw(0xC1, 0x80, 0, 0, 0, 0), said: []ws.Frame{closed(protocol)}, err: "rsv"},
		"unknown opcode":          {in: raw(0x83, 0x80, 0, 0, 0, 0), said: []ws.Frame{closed(protocol)}, err: "op code"},
		"continues nothing":       {in: masked(part(ws.OpContinuation, true, msg)), said: []ws.Frame{closed(protocol)}, err: "continuation"},
		"begins in the middle":    {in: masked(part(ws.OpText, false, msg), text(msg)), said: []ws.Frame{closed(protocol)}, err: "continuation"},
		"ping in parts":           {in: masked(part(ws.OpPing, false, "x")), said: []ws.Frame{closed(protocol)}, err: "final"},
		"long ping":               {in: masked(part(ws.OpPing, true, strings.Repeat("x", 126))), said: []ws.Frame{closed(protocol)}, err: "control"},
		"no end of headers":       {in: masked(text(strings.TrimSuffix(bare, "\r\n\r\nhi"))), said: []ws.Frame{closed(invalid)}, err: "not SIP"},
		"too long":                {in: masked(text(strings.Repeat("x", 1601))), said: []ws.Frame{closed(tooBig)}, err: "too long"},
		"too long in parts":       {in: masked(part(ws.OpText, false, strings.Repeat("x", 1000)), part(ws.OpContinuation, true, strings.Repeat("x", 601))), said: []ws.Frame{closed(tooBig)}, err: "too long"},
		"promises much":           {in: raw(0x81, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0), said: []ws.Frame{closed(tooBig)}, err: "too long"},
		"promises the impossible": {in: raw(0x81, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0), err: "header error"},
		"breaks off in a head":    {in: masked(text(msg))[:1], err: "unexpected EOF"},
		"breaks off in a body":    {in: masked(text(msg))[:100], err: "unexpected EOF"},
		"breaks off in a ping":    {in: masked(ws.NewPingFrame([]byte("hello")))[:8], err: "unexpected EOF"},
		"nothing":                 {err: "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			if tt.side == 0 {
				tt.side = ws.StateServerSide
			}
			for _, cut := range []func([]byte) io.Reader{whole, cutUp} {
				sip, said, _, err := wsRead(bytes.Clone(tt.in), tt.side, wsLimits, cut)
				if sip != tt.sip {
					t.Errorf("read %q\nwant %q", sip, tt.sip)
				}
				if !strings.Contains(err.Error(), tt.err) {
					t.Errorf("ends with %v, want %s", err, tt.err)
				}
				frames, err := parsed(said)
				if err != nil || len(frames) != len(tt.said) {
					t.Fatalf("said %v, %v, want %v", frames, err, tt.said)
				}
				for i, f := range frames {
					if f.Header.OpCode != tt.said[i].Header.OpCode || !f.Header.Fin || f.Header.Masked != (tt.side == ws.StateClientSide) || !bytes.Equal(f.Payload, tt.said[i].Payload) {
						t.Errorf("said %+v, want %+v", f, tt.said[i])
					}
				}
			}
		})
	}
}

// TestWSMessages: what one side makes of messages the other one reads, whatever their length.
func TestWSMessages(t *testing.T) {
	lim := limits{header: 600, body: 100000}
	for _, n := range []int{0, 1, 125, 126, 65535, 65536, 100000} {
		for _, filler := range []string{"x", "\xff"} {
			msg := strings.Replace(message("ws"), "Content-Length: 2", "X: "+strings.Repeat("y", n%64), 1) + strings.Repeat(filler, n)
			want, ok := withLength([]byte(msg), lim)
			if !ok {
				t.Fatal("no length")
			}
			for _, side := range []ws.State{ws.StateClientSide, ws.StateServerSide} {
				other := ws.StateClientSide + ws.StateServerSide - side
				out := newWSConn(nil, nil, side, lim).appendMessage([]byte("before"), []byte(msg))
				sip, said, _, err := wsRead(out[len("before"):], other, lim, whole)
				if sip != string(want) || len(said) != 0 || !errors.Is(err, io.EOF) {
					t.Errorf("%d bytes came as %d, said %x, %v", len(want), len(sip), said, err)
				}
				frames, err := parsed(out[len("before"):])
				if err != nil || len(frames) != 1 || (frames[0].Header.OpCode == ws.OpText) != (filler == "x" || n == 0) {
					t.Errorf("%d frames, %v", len(frames), err)
				}
			}
		}
	}
}

// TestWSMemory: a peer gets memory for what it has sent, not for what it says will come.
func TestWSMemory(t *testing.T) {
	lim := limits{header: 16 << 10, body: 64 << 10}
	head := []byte{0x82, 0xFF, 0, 0, 0, 0, 0, 1, 0x30, 0, 1, 2, 3, 4} // 77824 bytes
	_, _, w, err := wsRead(append(head, 'x'), ws.StateServerSide, lim, whole)
	if !errors.Is(err, io.ErrUnexpectedEOF) || cap(w.msg) > 2*minRead {
		t.Errorf("%d bytes kept, %v", cap(w.msg), err)
	}
}

// TestWithLength: a length is put in where there is none, and a wrong one made worse.
func TestWithLength(t *testing.T) {
	const request = "MESSAGE sip:a@b SIP/2.0\r\nTo: x\r\n"
	for _, tt := range []struct{ in, want string }{
		{request + "\r\n", request + "Content-Length: 0\r\n\r\n"},
		{request + "\r\nhi", request + "Content-Length: 2\r\n\r\nhi"},
		{request + "l: 2\r\n\r\nhi", request + "l: 2\r\n\r\nhi"},
		{request + "l: 3\r\n\r\nhi", request + "l: 3\r\nContent-Length: 2\r\n\r\nhi"},
		{request + "l: x\r\n\r\nhi", request + "l: x\r\nContent-Length: 2\r\n\r\nhi"},
		{"MESSAGE sip:a@b SIP/2.0\nTo: x\n\nhi", "MESSAGE sip:a@b SIP/2.0\nTo: x\nContent-Length: 2\r\n\nhi"},
		{"\r\n\r\n" + request + "\r\n", request + "Content-Length: 0\r\n\r\n"},
		{"\r\n\r\n", "\r\n\r\n"},
		{"\r\n", "\r\n"},
		{"", ""},
	} {
		got, ok := withLength([]byte(tt.in), wsLimits)
		if !ok || string(got) != tt.want {
			t.Errorf("%q: %q, want %q", tt.in, got, tt.want)
		}
	}
	for _, in := range []string{"x", request, "MESSAGE", "\r\n\r\nx\r\n"} {
		if got, ok := withLength([]byte(in), wsLimits); ok {
			t.Errorf("%q: %q", in, got)
		}
	}
}

// FuzzWSFrames: however frames come and are cut up, the same is made of them, within bounds.
func FuzzWSFrames(f *testing.F) {
	f.Add(masked(ws.NewTextFrame([]byte(message("ws"))), ws.NewPingFrame([]byte("x")), ws.NewCloseFrame([]byte{3, 232})), true)
	f.Add(ws.MustCompileFrame(ws.NewFrame(ws.OpBinary, false, []byte("OPTIONS sip:a SIP/2.0\r\n\r\n"))), false)
	f.Fuzz(func(t *testing.T, in []byte, server bool) {
		side := ws.StateClientSide
		if server {
			side = ws.StateServerSide
		}
		sip, said, w, err := wsRead(bytes.Clone(in), side, wsLimits, whole)
		again, saidAgain, _, errAgain := wsRead(bytes.Clone(in), side, wsLimits, cutUp)
		if sip != again || err.Error() != errAgain.Error() {
			t.Errorf("%q %v\nin pieces %q %v", sip, err, again, errAgain)
		}
		if cap(w.msg) > 8*(wsLimits.header+wsLimits.body) || len(sip) > 8*len(in) {
			t.Errorf("%d bytes came, %d are kept, %d given", len(in), cap(w.msg), len(sip))
		}
		frames, err := parsed(said)
		if err != nil || len(said) != len(saidAgain) {
			t.Errorf("said %x, %v", said, err)
		}
		for i, f := range frames {
			if err := ws.CheckHeader(f.Header, 0); err != nil || f.Header.OpCode == ws.OpClose && i != len(frames)-1 {
				t.Errorf("said %+v, %v", frames, err)
			}
		}
	})
}

// FuzzWithLength: of a message over WebSocket nothing is left over in the stream, and nothing
// of the next one is taken for its.
func FuzzWithLength(f *testing.F) {
	f.Add([]byte(message("ws")))
	f.Add([]byte("OPTIONS sip:a SIP/2.0\nl: 3\n\nhi"))
	f.Fuzz(func(t *testing.T, in []byte) {
		out, ok := withLength(bytes.Clone(in), wsLimits)
		if !ok || len(bytes.Trim(out, "\r\n")) == 0 {
			return
		}
		end := headEnd(out, 0)
		if end < 0 {
			t.Fatalf("%q has no end of headers", out)
		}
		fr := scanFrame(bytes.Clone(out[:end]), true, limits{header: 1 << 30, body: 1 << 30})
		if !fr.fatal && fr.head+fr.body != len(out) {
			t.Errorf("%q\nis %d bytes, and says %d", out, len(out), fr.head+fr.body)
		}
	})
}
