//go:build amd64 || arm64

package sipside

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// batches are both implementations of batchCalls.
var batches = []struct {
	name string
	of   func(*net.UDPConn) (batchCalls, error)
}{
	{"library", func(c *net.UDPConn) (batchCalls, error) { return newNetBatch(c), nil }},
	{"raw", func(c *net.UDPConn) (batchCalls, error) { return newRawBatch(c) }},
}

// bindBatch is bindUDP with one of batches.
func bindBatch(t *testing.T, i int, addr string, refused func(netip.AddrPort, []byte, error)) (*batchIO, netip.AddrPort) {
	t.Helper()
	d, bound, err := bindUDP(newSystemNetwork(), addr, refused)
	if err != nil {
		t.Fatal(err)
	}
	b := d.(*batchIO)
	t.Cleanup(func() { b.close() })
	if b.calls, err = batches[i].of(b.conn); err != nil {
		t.Fatal(err)
	}
	return b, bound
}

func mustWriteAll(t *testing.T, b datagrams, list []packet) {
	t.Helper()
	for len(list) > 0 {
		n, err := b.write(list)
		if err != nil || n == 0 {
			t.Fatalf("%d, %v", n, err)
		}
		list = list[n:]
	}
}

// hasIPv6 reports whether loopback has it.
func hasIPv6() bool {
	c, err := net.ListenPacket("udp6", "[::1]:0")
	if err == nil {
		c.Close()
	}
	return err == nil
}

// TestBatchChosen: the runtime is not told, but where the race detector looks on.
func TestBatchChosen(t *testing.T) {
	d, _, err := bindUDP(newSystemNetwork(), "127.0.0.1:0", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	if _, is := d.(*batchIO).calls.(*rawBatch); is != unannounced {
		t.Errorf("%T", d.(*batchIO).calls)
	}
}

// TestBatchesAlike: whichever sends and whichever receives, the same datagrams come, of
// any size, cut to the room there is, from the same address.
func TestBatchesAlike(t *testing.T) {
	random := bytes.Repeat([]byte("0123456789abcdef"), 4096)
	sizes := [][]int{{0}, {1}, {0, 1, 0, 200, 1300, 0}, {9000}, {65507}, slices.Repeat([]int{500, 0, 1}, udpBatch)}
	for _, way := range []struct{ receiver, sender, to, from string }{
		{"127.0.0.1:0", "127.0.0.1:0", "127.0.0.1", "127.0.0.1"},
		{"127.0.0.1:0", "[::]:0", "127.0.0.1", "127.0.0.1"},
		{"127.0.0.1:0", "[::]:0", "::ffff:127.0.0.1", "127.0.0.1"},
		{"[::]:0", "127.0.0.1:0", "127.0.0.1", "127.0.0.1"},
		{"[::1]:0", "[::1]:0", "::1", "::1"},
		{"[::]:0", "[::1]:0", "::1", "::1"},
		{"[::1]:0", "[::]:0", "::1%lo", "::1"},
	} {
		if (way.receiver + way.sender)[0] == '[' && !hasIPv6() {
			t.Log("no IPv6 here")
			continue
		}
		for i, sends := range batches {
			for j, receives := range batches {
				t.Run(fmt.Sprintf("%s to %s, %s to %s", way.sender, way.to, sends.name, receives.name), func(t *testing.T) {
					a, from := bindBatch(t, i, way.sender, nil)
					b, bound := bindBatch(t, j, way.receiver, nil)
					dest := netip.AddrPortFrom(netip.MustParseAddr(way.to), bound.Port())
					source := netip.AddrPortFrom(netip.MustParseAddr(way.from), from.Port())
					for _, room := range []int{65535, 100} {
						for _, list := range sizes {
							var out []packet
							for k, size := range list {
								out = append(out, packet{b: random[k%16:][:size], to: dest})
							}
							mustWriteAll(t, a, out)
							for k := 0; k < len(out); {
								in := make([]packet, 10)
								for l := range in {
									in[l].b = make([]byte, room)
								}
								n, err := b.read(in)
								if err != nil || n == 0 {
									t.Fatalf("%d, %v", n, err)
								}
								for l := range n {
									want := out[k].b[:min(room, len(out[k].b))]
									if !bytes.Equal(in[l].b, want) || in[l].to != source {
										t.Fatalf("the %d. of %d: %d octets from %v, want %d from %v", k, len(out), len(in[l].b), in[l].to, len(want), source)
									}
									k++
								}
								for _, p := range in[n:] {
									if len(p.b) != room || p.to.IsValid() {
										t.Fatal("changed without need")
									}
								}
							}
						}
					}
				})
			}
		}
	}
}

// TestBatchLinkLocal: zones have the names of interfaces, both ways.
func TestBatchLinkLocal(t *testing.T) {
	var addrs []string
	all, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range all {
		list, _ := i.Addrs()
		for _, a := range list {
			if n, ok := a.(*net.IPNet); ok && n.IP.To4() == nil && n.IP.IsLinkLocalUnicast() && i.Flags&net.FlagUp != 0 {
				addrs = append(addrs, n.IP.String()+"%"+i.Name)
			}
		}
	}
	t.Logf("link-local: %v", addrs)
	for _, addr := range addrs {
		for i, sends := range batches {
			for j, receives := range batches {
				a, from := bindBatch(t, i, "["+addr+"]:0", nil)
				b, to := bindBatch(t, j, "["+addr+"]:0", nil)
				mustWriteAll(t, a, []packet{{b: []byte("x"), to: to}, {b: []byte("y"), to: to}})
				for _, want := range []string{"x", "y"} {
					in := []packet{{b: make([]byte, 9)}}
					if n, err := b.read(in); n != 1 || err != nil || string(in[0].b) != want || in[0].to != from {
						t.Errorf("%s to %s: %d, %v, %v, want from %v", sends.name, receives.name, n, err, in[0], from)
					}
				}
			}
		}
	}
}

// TestZoneNames: numbers that no interface has stay numbers.
func TestZoneNames(t *testing.T) {
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	var z zoneNames
	for range 2 {
		if got := z.name(uint32(lo.Index)); got != "lo" {
			t.Errorf("%d is %q", lo.Index, got)
		}
		if got := z.name(4294967295); got != "4294967295" {
			t.Errorf("got %q", got)
		}
		z.since = z.since.Add(-2 * zoneAge)
	}
	b := rawBatch{}
	var name [sizeName]byte
	want := netip.MustParseAddrPort("[fe80::1]:5060")
	if n := putAddress(&name, want); n != sizeName || b.address(&name) != want {
		t.Errorf("%d octets, %v", n, b.address(&name))
	}
	binary.NativeEndian.PutUint32(name[24:], uint32(lo.Index))
	if got := b.address(&name).String(); got != "[fe80::1%lo]:5060" {
		t.Errorf("got %s", got)
	}
}

// TestBatchFaults: what cannot be sent is the first of the rest, for as long as it is there.
func TestBatchFaults(t *testing.T) {
	for i, calls := range batches {
		t.Run(calls.name, func(t *testing.T) {
			a, _ := bindBatch(t, i, "127.0.0.1:0", func(netip.AddrPort, []byte, error) {})
			_, dest := bindBatch(t, i, "127.0.0.1:0", nil)
			good := packet{b: []byte("x"), to: dest}
			huge := packet{b: make([]byte, 65508), to: dest}
			far := packet{b: []byte("x"), to: netip.MustParseAddrPort("192.0.2.77:9")} // not from a socket on loopback
			six := packet{b: []byte("x"), to: netip.MustParseAddrPort("[::1]:9")}      // the socket is of IPv4
			for _, c := range []struct {
				list []packet
				n    int
				err  error
			}{
				{[]packet{good, huge, good}, 1, nil},
				{[]packet{huge, good}, 0, syscall.EMSGSIZE},
				{[]packet{good, good, far}, 2, nil},
				{[]packet{far, good}, 0, syscall.EINVAL},
				{[]packet{good, six, good}, 1, nil},
				{[]packet{six, good}, 0, syscall.EAFNOSUPPORT},
				{slices.Repeat([]packet{good}, udpBatch+9), udpBatch, nil},
				{nil, 0, nil},
			} {
				if n, err := a.write(c.list); n != c.n || !errors.Is(err, c.err) {
					t.Errorf("written: %d, %v, want %d, %v", n, err, c.n, c.err)
				}
				if n := a.try(c.list); n != c.n && len(c.list) <= udpBatch || len(c.list) > udpBatch && n != len(c.list) {
					t.Errorf("tried: %d of %d", n, len(c.list))
				}
			}
		})
	}
}

// TestBatchRefused: an ICMP error is told, whoever sends.
func TestBatchRefused(t *testing.T) {
	for i, calls := range batches {
		t.Run(calls.name, func(t *testing.T) {
			var told []string
			a, _ := bindBatch(t, i, "127.0.0.1:0", func(dest netip.AddrPort, wire []byte, err error) {
				told = append(told, fmt.Sprint(dest, " ", string(wire), ": ", err))
			})
			gone, nobody := bindBatch(t, i, "127.0.0.1:0", nil)
			alive, dest := bindBatch(t, i, "127.0.0.1:0", nil)
			gone.close()
			mustWriteAll(t, a, []packet{{b: []byte("one"), to: nobody}, {b: []byte("two"), to: nobody}, {b: []byte("x"), to: dest}})
			in := []packet{{b: make([]byte, 9)}}
			if n, err := alive.read(in); n != 1 || err != nil || string(in[0].b) != "x" {
				t.Errorf("%d, %v, %q", n, err, in[0].b)
			}
			want := []string{nobody.String() + " one: connection refused", nobody.String() + " two: connection refused"}
			if !slices.Equal(told, want) {
				t.Errorf("told %q, want %q", told, want)
			}
		})
	}
}

// awaitError waits until the next call of b will fail because of an ICMP error.
func awaitError(t *testing.T, b *batchIO) {
	t.Helper()
	raw, err := b.conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) {
		p := []unix.PollFd{{Fd: int32(fd)}} // of errors it always tells
		var n int
		if n, err = unix.Poll(p, 10_000); n != 1 && err == nil {
			err = errors.New("no error came")
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestBatchRefusedInTry: what ends a try, and is not there for the next call any more, is told
// when the rest is written.
func TestBatchRefusedInTry(t *testing.T) {
	for i, calls := range batches {
		t.Run(calls.name, func(t *testing.T) {
			told := 0
			a, _ := bindBatch(t, i, "127.0.0.1:0", func(netip.AddrPort, []byte, error) { told++ })
			gone, nobody := bindBatch(t, i, "127.0.0.1:0", nil)
			_, dest := bindBatch(t, i, "127.0.0.1:0", nil)
			gone.close()
			a.try([]packet{{b: []byte("one"), to: nobody}})
			awaitError(t, a)
			list := []packet{{b: []byte("x"), to: dest}}
			if n := a.try(list); n != 0 || told != 0 {
				t.Fatalf("%d tried, %d told", n, told)
			}
			if n, err := a.write(list); n != 1 || err != nil || told != 1 {
				t.Errorf("%d written, %v, %d told", n, err, told)
			}
		})
	}
}

// TestBatchEnds: closing the socket ends a read that waits, and all that follows; a
// deadline ends a read as net has it.
func TestBatchEnds(t *testing.T) {
	for i, calls := range batches {
		t.Run(calls.name, func(t *testing.T) {
			a, own := bindBatch(t, i, "127.0.0.1:0", nil)
			room := []packet{{b: make([]byte, 9)}}
			a.conn.SetReadDeadline(time.Unix(1, 0))
			if n, err := a.read(room); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("after the deadline: %d, %v", n, err)
			}
			a.conn.SetReadDeadline(time.Time{})
			mustWriteAll(t, a, []packet{{b: []byte("x"), to: own}})
			if n, err := a.read(room); n != 1 || err != nil || string(room[0].b) != "x" || room[0].to != own {
				t.Errorf("to itself: %d, %v, %v", n, err, room[0])
			}
			a.conn.SetWriteDeadline(time.Unix(1, 0))
			if n, err := a.write([]packet{{b: []byte("x"), to: own}}); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("written after the deadline: %d, %v", n, err)
			}
			ended := make(chan error)
			go func() {
				_, err := a.read([]packet{{b: make([]byte, 9)}})
				ended <- err
			}()
			a.close()
			if err := <-ended; !errors.Is(err, net.ErrClosed) {
				t.Errorf("a read that waited: %v", err)
			}
			if n, err := a.read(room); n != 0 || !errors.Is(err, net.ErrClosed) {
				t.Errorf("read: %d, %v", n, err)
			}
			if n, err := a.write([]packet{{b: []byte("x"), to: own}}); n != 0 || !errors.Is(err, net.ErrClosed) {
				t.Errorf("written: %d, %v", n, err)
			}
			if n := a.try([]packet{{b: []byte("x"), to: own}}); n != 0 {
				t.Errorf("tried: %d", n)
			}
		})
	}
}

// TestMmsgFull: a socket that takes no more ends a call that does not wait; one that waits
// goes on when there is room. (Sockets of UDP on loopback are never full: those of a pair are.)
func TestMmsgFull(t *testing.T) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_DGRAM|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	var raw [2]syscall.RawConn
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "pair")
		c, err := net.FileConn(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if raw[i], err = c.(*net.UnixConn).SyscallConn(); err != nil {
			t.Fatal(err)
		}
	}
	in, out := newMmsg(syscall.SYS_RECVMMSG), newMmsg(sysSendmmsg())
	for i := range udpBatch {
		out.hdr[i].Name = nil
		in.set(i, make([]byte, 9))
		in.hdr[i].Namelen = sizeName
	}
	for i := range 4 {
		out.set(i, []byte{byte(i)})
	}
	out.list, in.list = 4, udpBatch
	sent := 0
	for ; out.failed == 0; sent += out.done {
		if err := raw[0].Write(out.call); err != nil {
			t.Fatal(err)
		}
	}
	if out.failed != syscall.EAGAIN || out.done != 0 || sent == 0 {
		t.Fatalf("%v after %d", out.failed, sent)
	}
	out.wait = true
	got := make(chan error)
	go func() { got <- raw[0].Write(out.call) }()
	in.wait = true
	received := 0
	receive := func() {
		for received < sent {
			if err := raw[1].Read(in.call); err != nil || in.failed != 0 || in.done == 0 {
				t.Fatal(err, in.failed, in.done)
			}
			received += in.done
		}
	}
	receive() // of all: whoever waits is told of room when there is plenty
	if err := <-got; err != nil || out.failed != 0 || out.done == 0 {
		t.Fatalf("%v, %v, %d", err, out.failed, out.done)
	}
	sent += out.done
	receive()
	if received != sent || in.hdr[0].n != 1 {
		t.Errorf("%d came of %d, of %d octets", received, sent, in.hdr[0].n)
	}
}
