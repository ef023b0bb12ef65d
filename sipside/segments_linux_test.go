//go:build amd64 || arm64

package sipside

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// rawPair is a socket that makes pieces and one that they are sent to.
func rawPair(t *testing.T, from, to string) (a *batchIO, calls *rawBatch, b *batchIO, dest netip.AddrPort) {
	t.Helper()
	const raw = 1
	a, _ = bindBatch(t, raw, from, nil)
	b, dest = bindBatch(t, raw, to, nil)
	calls = a.calls.(*rawBatch)
	if !calls.pieces {
		t.Fatal("the system cannot cut datagrams")
	}
	return a, calls, b, dest
}

// arrive reads what must be all of want, in this order.
func arrive(t *testing.T, b *batchIO, want []packet) {
	t.Helper()
	for i := 0; i < len(want); {
		in := make([]packet, udpBatch)
		for k := range in {
			in[k].b = make([]byte, 2048)
		}
		n, err := b.read(in)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range in[:n] {
			if i == len(want) || !bytes.Equal(p.b, want[i].b) {
				t.Fatalf("datagram %d of %d has %d octets, or is another one", i+1, len(want), len(p.b))
			}
			i++
		}
	}
}

// TestPieces: which datagrams are given to the system as one, and that they arrive as they
// would by themselves.
func TestPieces(t *testing.T) {
	for _, way := range []struct{ from, to string }{{"127.0.0.1:0", "127.0.0.1:0"}, {"[::]:0", "127.0.0.1:0"}, {"[::1]:0", "[::1]:0"}} {
		if strings.Contains(way.from, ":") && way.from[0] == '[' && !hasIPv6() {
			t.Log("no IPv6 here")
			continue
		}
		a, calls, b, dest := rawPair(t, way.from, way.to)
		_, other := bindBatch(t, 1, way.to, nil)
		first := new(clientTx)
		for _, c := range []struct {
			sizes  string // of datagrams; "!" is a request, "?" one that may be refused, "@" elsewhere
			pieces []uint64
		}{
			{"5", []uint64{1}},
			{"500 500 500", []uint64{3}},
			{"500 500 499 499 500", []uint64{3, 1, 1}},
			{"500 400 300", []uint64{2, 1}},
			{"400 500 500", []uint64{1, 2}},
			{"0 0 5 0 5", []uint64{1, 1, 1, 1, 1}},
			{"1232 1232 1233 1233", []uint64{2, 1, 1}},
			{"500 500@ 500 500", []uint64{1, 1, 2}},
			{"500! 500! 500! 400!", []uint64{4}},
			{"500! 500 500! 500", []uint64{4}},
			{"500? 500? 500! 500! 500? 400", []uint64{1, 1, 2, 1, 1}},
			{strings.Repeat("1232 ", 60), []uint64{52, 8}},
			{strings.Repeat("9 ", udpBatch), []uint64{52, 12}},
		} {
			t.Run(fmt.Sprint(way.from, " ", c.sizes), func(t *testing.T) {
				var list, want []packet
				for i, f := range strings.Fields(c.sizes) {
					var size int
					var kind byte
					fmt.Sscanf(f+" ", "%d%c", &size, &kind)
					p := packet{b: bytes.Repeat([]byte{byte(i)}, size), to: dest}
					switch kind {
					case '!':
						p.tx, p.sure = first, true
					case '?':
						p.tx = first
					case '@':
						p.to = other
					}
					if list = append(list, p); p.to == dest {
						want = append(want, p)
					}
				}
				if n, err := a.write(list); n != len(list) || err != nil {
					t.Fatalf("%d sent, %v", n, err)
				}
				var got []uint64
				for _, h := range calls.out.hdr[:calls.out.list] {
					got = append(got, h.Iovlen)
				}
				if !slices.Equal(got, c.pieces) {
					t.Errorf("in pieces of %d, want %d", got, c.pieces)
				}
				arrive(t, b, want)
			})
		}
	}
}

// TestNoPieces: where a socket cannot have its datagrams cut, they are sent one by one, for
// good if the device is why.
func TestNoPieces(t *testing.T) {
	a, calls, b, dest := rawPair(t, "127.0.0.1:0", "127.0.0.1:0")
	raw, err := a.conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) { // without checksums nothing is cut
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_NO_CHECK, 1)
	})
	if err != nil {
		t.Fatal(err)
	}
	list := slices.Repeat([]packet{{b: []byte("xyz"), to: dest}}, 5)
	for range 2 {
		if n, err := a.write(list); n != 5 || err != nil || calls.out.list != 5 {
			t.Fatalf("%d sent in %d pieces, %v", n, calls.out.list, err)
		}
		if n := a.try(list); n != 5 {
			t.Fatalf("%d sent", n)
		}
		arrive(t, b, slices.Concat(list, list))
	}
	m := calls.out
	m.pack(list, true)
	for errno, want := range map[syscall.Errno]bool{0: false, syscall.EINVAL: true, syscall.EMSGSIZE: true, syscall.EIO: true,
		syscall.ECONNREFUSED: false, syscall.EAGAIN: false, syscall.ENOBUFS: false} {
		if m.failed = errno; m.uncut() != want {
			t.Errorf("%v: %t", errno, !want)
		}
	}
	if m.pack(list[:1], true); m.uncut() {
		t.Error("a single datagram was to be cut")
	}
}

// TestSegmentsUnknown: a socket of another kind is not asked to cut.
func TestSegmentsUnknown(t *testing.T) {
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	if !segments(c) {
		t.Error("the system does not know how")
	}
	c.Close()
	if segments(c) {
		t.Error("a closed socket does")
	}
}
