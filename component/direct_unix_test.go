//go:build unix

package component

import (
	"bytes"
	"errors"
	"io"
	"net"
	"syscall"
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

// readsFrom gives what comes, and ends as the connection's own Read does.
func TestReadsFrom(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	pair := func() (a, b net.Conn) {
		t.Helper()
		a, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { a.Close() })
		if b, err = ln.Accept(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { b.Close() })
		return a, b
	}
	a, b := pair()
	read := readsFrom(a)
	want := bytes.Repeat([]byte("0123456789"), 50_000)
	sent := make(chan error, 1)
	go func() { _, err := b.Write(want); sent <- err }()
	var got []byte
	for p := make([]byte, 3001); len(got) < len(want); {
		n, err := read(p)
		if err != nil || n == 0 {
			t.Fatal(n, err)
		}
		got = append(got, p[:n]...)
	}
	if err := <-sent; err != nil || !bytes.Equal(got, want) {
		t.Errorf("%v; what came is not what was sent", err)
	}
	a.SetReadDeadline(time.Unix(1, 0))
	op := (*net.OpError)(nil)
	if n, err := read(make([]byte, 1)); n != 0 || !isTimeout(err) || !errors.As(err, &op) || op.Op != "read" {
		t.Errorf("after the deadline: %d, %v", n, err)
	}
	a.SetReadDeadline(time.Time{})
	b.Close()
	if n, err := read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("after the other one's end: %d, %v", n, err)
	}

	a, b = pair()
	read = readsFrom(a)
	b.(*net.TCPConn).SetLinger(0)
	b.Close()
	if n, err := read(make([]byte, 1)); n != 0 || !errors.Is(err, syscall.ECONNRESET) || isTimeout(err) || !errors.As(err, &op) {
		t.Errorf("after a reset: %d, %v", n, err)
	}
	a.Close()
	if n, err := read(make([]byte, 1)); n != 0 || !errors.Is(err, net.ErrClosed) {
		t.Errorf("after our end: %d, %v", n, err)
	}

	here, there := net.Pipe()
	defer here.Close()
	defer there.Close()
	go there.Write([]byte("pipe"))
	p := make([]byte, 9)
	if n, err := readsFrom(here)(p); err != nil || string(p[:n]) != "pipe" {
		t.Errorf("from a pipe: %q, %v", p[:n], err)
	}
}
