//go:build unix

package component

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

// writesAtOnce takes what there is room for, waits for nothing, and tells what is wrong.
func TestWritesAtOnce(t *testing.T) {
	here, there := net.Pipe()
	defer here.Close()
	defer there.Close()
	if writesAtOnce(here) != nil {
		t.Error("a pipe can only be waited for")
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	a, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	b, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	write := writesAtOnce(a)
	if write == nil {
		t.Fatal("not with TCP")
	}
	a.SetWriteDeadline(time.Unix(1, 0)) // is that of the writer
	var sent []byte
	for n := -1; n != 0; {
		p := bytes.Repeat([]byte{byte('a' + len(sent)%26)}, 100_001)
		if n, err = write(p); err != nil {
			t.Fatal(err)
		}
		sent = append(sent, p[:n]...)
	}
	got := make([]byte, len(sent))
	if _, err := io.ReadFull(b, got); err != nil || !bytes.Equal(got, sent) {
		t.Errorf("%v; what came is not what was taken", err)
	}
	b.(*net.TCPConn).SetLinger(0)
	b.Close()
	for err = nil; err == nil; {
		_, err = write([]byte("x"))
	}
	if op, ok := errors.AsType[*net.OpError](err); !ok || op.Op != "write" || isTimeout(err) {
		t.Errorf("after a reset: %v", err)
	}
	a.Close()
	if n, err := write([]byte("x")); n != 0 || !errors.Is(err, net.ErrClosed) {
		t.Errorf("after the end: %d, %v", n, err)
	}
}
