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
	"time"

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
	b.conn.SetReadDeadline(time.Now().Add(10 * time.Second)) // one is lost
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
		if way.from[0] == '[' && !hasIPv6() {
			t.Log("no IPv6 here")
			continue
		}
		a, calls, b, dest := rawPair(t, way.from, way.to)
		_, other := bindBatch(t, 1, way.to, nil)
		for _, c := range []struct {
			sizes  string // of responses; "?" is something else, "@" elsewhere
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
			{"500? 500? 500 500 500? 400", []uint64{1, 1, 2, 1, 1}},
			{"500 400? 500", []uint64{1, 1, 1}},
			{strings.Repeat("1232 ", 60), []uint64{52, 8}},
			{strings.Repeat("9 ", udpBatch), []uint64{52, 12}},
		} {
			t.Run(fmt.Sprint(way.from, " ", c.sizes), func(t *testing.T) {
				var list, want []packet
				for i, f := range strings.Fields(c.sizes) {
					var size int
					var kind byte
					fmt.Sscanf(f+" ", "%d%c", &size, &kind)
					p := packet{b: bytes.Repeat([]byte{byte(i)}, size), to: dest, response: kind != '?'}
					if kind == '@' {
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

// TestNoPieces: a socket that cannot have its datagrams cut sends them one by one, for a minute.
func TestNoPieces(t *testing.T) {
	a, calls, b, dest := rawPair(t, "127.0.0.1:0", "127.0.0.1:0")
	raw, err := a.conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	checksums := func(without int) {
		t.Helper()
		raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_NO_CHECK, without) })
		if err != nil {
			t.Fatal(err)
		}
	}
	checksums(1) // without them nothing is cut
	list := slices.Repeat([]packet{{b: []byte("xyz"), to: dest, response: true}}, 5)
	for range 2 {
		for _, do := range []func() int{
			func() int { return a.try(list) },
			func() int { mustWriteMore(t, a, list); return len(list) },
		} {
			calls.whole = time.Time{} // the minute is over
			if n := do(); n == 0 {
				mustWriteMore(t, a, list)
			}
			if calls.out.list != len(list) || !calls.whole.After(time.Now()) {
				t.Fatalf("sent in %d pieces, none until %v", calls.out.list, calls.whole)
			}
			arrive(t, b, list)
		}
	}
	checksums(0)
	mustWriteMore(t, a, list)
	if calls.out.list != len(list) {
		t.Errorf("within the minute sent in %d pieces", calls.out.list)
	}
	arrive(t, b, list)
	calls.whole = time.Now()
	mustWriteMore(t, a, list)
	if calls.out.list != 1 {
		t.Errorf("after it sent in %d pieces", calls.out.list)
	}
	arrive(t, b, list)
}

// mustWriteMore is mustWriteAll for who may have to call again.
func mustWriteMore(t *testing.T, b datagrams, list []packet) {
	t.Helper()
	for tries := 0; len(list) > 0; tries++ {
		n, err := b.write(list)
		if err != nil || tries > 2 {
			t.Fatalf("%d, %v, for the %d. time", n, err, tries)
		}
		list = list[n:]
	}
}

// TestNoPiecesTellsErrors: an error that is taken for that of a piece, and is that of an
// earlier datagram, is told nevertheless.
func TestNoPiecesTellsErrors(t *testing.T) {
	told := 0
	a, _ := bindBatch(t, 1, "127.0.0.1:0", func(netip.AddrPort, []byte, error) { told++ })
	calls := a.calls.(*rawBatch)
	gone, nobody := bindBatch(t, 1, "127.0.0.1:0", nil)
	gone.close()
	b, dest := bindBatch(t, 1, "127.0.0.1:0", nil)
	if n := a.try([]packet{{b: []byte("one"), to: nobody}}); n != 1 || told != 0 {
		t.Fatalf("%d tried, %d told", n, told)
	}
	raw, _ := a.conn.SyscallConn()
	raw.Control(func(fd uintptr) { // as if it were another one, which EMSGSIZE may be
		unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
		unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_NO_CHECK, 1)
	})
	list := slices.Repeat([]packet{{b: []byte("xyz"), to: dest, response: true}}, 5)
	mustWriteMore(t, a, list)
	arrive(t, b, list)
	if told != 1 || calls.out.list != len(list) {
		t.Errorf("%d told, sent in %d pieces", told, calls.out.list)
	}
}

// TestUncut: which errors are those of a piece.
func TestUncut(t *testing.T) {
	m := newMmsg(sysSendmmsg())
	list := slices.Repeat([]packet{{b: []byte("xyz"), to: memPeer, response: true}}, 5)
	m.pack(list, true)
	for errno, want := range map[syscall.Errno]bool{0: false, syscall.EINVAL: true, syscall.EMSGSIZE: true, syscall.EIO: true, syscall.EPERM: true,
		syscall.ECONNREFUSED: false, syscall.EAGAIN: false, syscall.ENOBUFS: false} {
		if m.failed = errno; m.uncut() != want {
			t.Errorf("%v: %t", errno, !want)
		}
	}
	m.failed = syscall.EINVAL
	if m.pack(list[:1], true); m.uncut() {
		t.Error("a single datagram was to be cut")
	}
	if m.pack(list, false); m.uncut() || m.list != 5 {
		t.Errorf("in %d pieces though none is to be made", m.list)
	}
}

// TestCanCut: a socket that cannot be asked cannot.
func TestCanCut(t *testing.T) {
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	if !canCut(c) {
		t.Error("the system does not know how")
	}
	c.Close()
	if canCut(c) {
		t.Error("a closed socket does")
	}
}
