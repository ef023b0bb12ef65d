//go:build unix

package sipside

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// tcpPair is a stream over the loopback, with what it writes to. Its goroutines are not
// running.
func tcpPair(t testing.TB) (s *stream, far *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	here, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); here.Close() })
	u, err := New(testConfig(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s = newStream(u, here, "a")
	if s.quick == nil {
		t.Fatal("a TCP connection of the system is written by its goroutine only")
	}
	return s, c.(*net.TCPConn)
}

// TestPushWrites: what is put on a connection leaves from where it is put, all of it and in
// order, with no goroutine to help.
func TestPushWrites(t *testing.T) {
	s, far := tcpPair(t)
	var want bytes.Buffer
	for i := range 100 {
		b := bytes.Repeat([]byte{byte('a' + i%26)}, i)
		want.Write(b)
		start, ok := s.put(b)
		if !ok || start != uint64(want.Len()-i) {
			t.Fatalf("%d begins at %d, %v", i, start, ok)
		}
	}
	if s.taken != uint64(want.Len()) || s.out != nil || len(s.wake) != 0 {
		t.Errorf("%d of %d bytes taken, %d left, the writer is woken %d times", s.taken, want.Len(), len(s.out), len(s.wake))
	}
	got := make([]byte, want.Len())
	if _, err := io.ReadFull(far, got); err != nil || !bytes.Equal(got, want.Bytes()) {
		t.Errorf("%v, %q", err, got)
	}
}

// TestPushNeverWaits: a peer that does not read holds up nobody, and what it has not been
// given is known to the byte. What it lets pile up is bounded.
func TestPushNeverWaits(t *testing.T) {
	s, far := tcpPair(t)
	b := bytes.Repeat([]byte("0123456789abcdef"), 1<<10)
	var last uint64
	for s.taken == s.queued { // until the system has its fill
		var ok bool
		if last, ok = s.put(b); !ok {
			t.Fatal("refused while everything leaves")
		}
	}
	if s.closed || len(s.wake) != 1 {
		t.Fatalf("closed: %v; the rest is left to nobody", s.closed)
	}
	taken := s.taken
	if taken < last || taken+uint64(len(s.out)) != s.queued {
		t.Fatalf("%d taken, %d left of %d", taken, len(s.out), s.queued)
	}
	n := 0
	for ; ; n++ {
		if _, ok := s.put(b); !ok {
			break
		}
		if len(s.out) > maxUnwritten {
			t.Fatalf("%d bytes are waiting", len(s.out))
		}
	}
	if n < maxUnwritten/len(b)-2 || !s.closed || s.err != errSlowPeer {
		t.Errorf("closed after %d more: %v, %v", n, s.closed, s.err)
	}
	if s.taken != taken {
		t.Errorf("%d taken, then %d", taken, s.taken)
	}
	got, _ := io.ReadAll(far)
	if uint64(len(got)) != taken { // closed with nothing unread of its own: all that left arrives
		t.Errorf("%d bytes arrived, %d were taken", len(got), taken)
	}
}

// TestPushToTheDead: a connection that is reset is closed by whoever finds that out.
func TestPushToTheDead(t *testing.T) {
	s, far := tcpPair(t)
	far.SetLinger(0)
	far.Close()
	if n, err := s.readSome(); err == nil || n > 0 || !strings.HasPrefix(err.Error(), "read tcp 127.0.0.1:") {
		t.Errorf("read %d, %v", n, err)
	}
	for range 3 {
		s.put([]byte("x"))
	}
	if !s.closed || s.err == nil || s.taken != 0 || !strings.HasPrefix(s.err.Error(), "write tcp 127.0.0.1:") {
		t.Errorf("closed: %v, %v, %d taken", s.closed, s.err, s.taken)
	}
	if _, ok := s.put([]byte("x")); ok || len(s.wake) != 1 {
		t.Errorf("put: %v, the writer is woken %d times", ok, len(s.wake))
	}
}

// TestPushes: many put at once, with a writer and a reader that is slow at times.
// Every message arrives whole and in the order of its sender.
func TestPushes(t *testing.T) {
	s, far := tcpPair(t)
	const senders, each = 4, 400
	var all, writer, reader sync.WaitGroup
	var got bytes.Buffer
	far.SetReadBuffer(4 << 10)
	writer.Go(s.write)
	reader.Go(func() { io.Copy(&got, far) })
	for i := range senders {
		all.Go(func() {
			for n := range each {
				b := bytes.Repeat([]byte{byte('a' + i)}, 100+n%7)
				b[len(b)-1] = '\n'
				if _, ok := s.put(b); !ok {
					t.Errorf("%d of %d refused", n, i)
					return
				}
			}
		})
	}
	all.Wait()
	s.finish(nil)
	writer.Wait()
	reader.Wait()
	lines := strings.Split(strings.TrimSuffix(got.String(), "\n"), "\n")
	next := make([]int, senders)
	for _, l := range lines {
		i := int(l[0] - 'a')
		if len(l) != 99+next[i]%7 || strings.Trim(l, l[:1]) != "" {
			t.Fatalf("message %d of %d is %q", next[i], i, l)
		}
		next[i]++
	}
	for i, n := range next {
		if n != each {
			t.Errorf("%d of %d arrived", n, i)
		}
	}
}

// TestIdleHasNoBuffer: a connection that waits holds no more than the little that it has
// got of a message, and goes on with it.
func TestIdleHasNoBuffer(t *testing.T) {
	s, far := tcpPair(t)
	for _, tt := range []struct {
		name  string
		parts []string
		most  int // bytes held while more is waited for
	}{
		{"a beginning", []string{"MESSAGE ", "sip:a"}, 2 * smallRest},
		{"byte by byte", strings.Split("MESSAGE sip:juliet@example.com", ""), 2 * smallRest},
		{"a long one", []string{strings.Repeat("x", 3000), strings.Repeat("y", 60_000), "z"}, 256 << 10},
	} {
		want := ""
		for _, p := range tt.parts {
			want += p
			if _, err := io.WriteString(far, p); err != nil {
				t.Fatal(err)
			}
			for len(s.buf) < len(want) {
				if n, err := s.readSome(); n == 0 || err != nil {
					t.Fatal(n, err)
				}
			}
			if string(s.buf) != want {
				t.Fatalf("%s: read %q", tt.name, s.buf)
			}
			waitABit(t, s)
			if string(s.buf) != want {
				t.Fatalf("%s: %q is left of it", tt.name, s.buf)
			}
			if held := cap(s.buf) + len(s.mem); held > tt.most {
				t.Errorf("%s: %d bytes are held", tt.name, held)
			}
		}
		s.known, s.used, s.give = false, len(s.buf), nil
		s.discard()
		if waitABit(t, s); s.quick.lent != nil || s.mem != nil || cap(s.buf) > 0 {
			t.Errorf("%s: an idle connection has a buffer of %d bytes", tt.name, cap(s.buf)+len(s.mem))
		}
	}
}

// waitABit waits for bytes until a deadline that has passed by the time that there are none.
func waitABit(t *testing.T, s *stream) {
	t.Helper()
	s.setDeadline(time.Now().Add(time.Millisecond))
	if n, err := s.readSome(); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("read %d, %v", n, err)
	}
	s.setDeadline(time.Time{})
}

// TestDeadlineIsNotEarly: a deadline that was set for something else does not end the
// waiting for what has another one.
func TestDeadlineIsNotEarly(t *testing.T) {
	s, far := tcpPair(t)
	s.setDeadline(time.Now().Add(time.Millisecond))
	var writer sync.WaitGroup
	early := s.deadline
	writer.Go(func() {
		for !time.Now().After(early) { // it has passed before anything comes
			runtime.Gosched()
		}
		io.WriteString(far, "x")
	})
	if n, err := s.readBefore(time.Now().Add(time.Hour)); n != 1 || err != nil {
		t.Errorf("read %d, %v", n, err)
	}
	writer.Wait()
	if n, err := s.readBefore(time.Now().Add(time.Millisecond)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read %d, %v after a deadline that is earlier than the one that was set", n, err)
	}
}

// TestKeptIsNoticed: the goroutine that writes, which is not woken for what is written, is
// for the first thing that makes the connection worth pings.
func TestKeptIsNoticed(t *testing.T) {
	s, _ := tcpPair(t)
	s.put([]byte("x"))
	if len(s.wake) != 0 {
		t.Error("woken for a message")
	}
	s.kept.Store(new(watch))
	s.put([]byte("x"))
	if len(s.wake) != 1 {
		t.Error("not woken")
	}
	<-s.wake
	s.minds.kept.Store(true)
	s.timer.Store(int64(20 * time.Second))
	s.put([]byte("x"))
	if len(s.wake) != 1 {
		t.Error("not woken for a Flow-Timer")
	}
}
