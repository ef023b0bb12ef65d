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
	if !calls.cut.can {
		t.Fatal("the system cannot cut datagrams")
	}
	return a, calls, b, dest
}

// arrive reads what must be want, in this order, and no more.
func arrive(t *testing.T, a, b *batchIO, dest netip.AddrPort, want []packet) {
	t.Helper()
	end := packet{b: []byte("the end"), to: dest}
	mustWriteAll(t, a, []packet{end})
	b.conn.SetReadDeadline(time.Now().Add(10 * time.Second)) // one is lost
	for i := 0; ; {
		in := make([]packet, udpBatch)
		for k := range in {
			in[k].b = make([]byte, 2048)
		}
		n, err := b.read(in)
		if err != nil {
			t.Fatalf("%d of %d came: %v", i, len(want), err)
		}
		for _, p := range in[:n] {
			if bytes.Equal(p.b, end.b) {
				if i != len(want) {
					t.Fatalf("%d of %d came", i, len(want))
				}
				return
			}
			if i == len(want) || !bytes.Equal(p.b, want[i].b) {
				t.Fatalf("datagram %d of %d has %d octets, or is another one", i+1, len(want), len(p.b))
			}
			i++
		}
	}
}

// threes are n responses of three octets, each another one.
func threes(n int, dest netip.AddrPort) (list []packet) {
	for i := range n {
		list = append(list, packet{b: fmt.Appendf(nil, "%03d", i), to: dest, piece: true})
	}
	return list
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
			{strings.Repeat("1232 ", 60), []uint64{53, 7}},
			{strings.Repeat("9 ", udpBatch), []uint64{udpBatch}},
		} {
			t.Run(fmt.Sprint(way.from, " ", c.sizes), func(t *testing.T) {
				var list, want []packet
				for i, f := range strings.Fields(c.sizes) {
					var size int
					var kind byte
					fmt.Sscanf(f+" ", "%d%c", &size, &kind)
					p := packet{b: bytes.Repeat([]byte{byte(i)}, size), to: dest, piece: kind != '?'}
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
				if got := pieceSizes(calls); !slices.Equal(got, c.pieces) {
					t.Errorf("in pieces of %d, want %d", got, c.pieces)
				}
				arrive(t, a, b, dest, want)
			})
		}
	}
}

// pieceSizes tells how many datagrams each header of the last call was.
func pieceSizes(calls *rawBatch) (sizes []uint64) {
	for _, h := range calls.out.hdr[:calls.out.list] {
		sizes = append(sizes, h.Iovlen)
	}
	return sizes
}

// withoutChecksums has a socket send without them, which the system does not cut.
func withoutChecksums(t *testing.T, b *batchIO, without int) {
	t.Helper()
	raw, err := b.conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_NO_CHECK, without) })
	if err != nil {
		t.Fatal(err)
	}
}

// TestNoPieces: a socket that cannot have its datagrams cut sends them one by one, for a minute.
func TestNoPieces(t *testing.T) {
	a, calls, b, dest := rawPair(t, "127.0.0.1:0", "127.0.0.1:0")
	list := threes(5, dest)
	single, one := []uint64{1, 1, 1, 1, 1}, []uint64{5}
	send := func(want []uint64) {
		t.Helper()
		mustWriteAll(t, a, list)
		if got := pieceSizes(calls); !slices.Equal(got, want) {
			t.Errorf("sent in pieces of %d, want %d", got, want)
		}
		arrive(t, a, b, dest, list)
	}
	send(one)
	withoutChecksums(t, a, 1)
	send(single)
	if wait := time.Until(calls.cut.until); wait <= 0 || wait > wholeFor {
		t.Errorf("no pieces for %v", wait)
	}
	withoutChecksums(t, a, 0)
	send(single)
	calls.cut.until = time.Now() // the minute is over
	send(one)
	withoutChecksums(t, a, 1)
	if n := a.try(list); n != 0 { // it is left to who writes
		t.Errorf("%d tried", n)
	}
	send(single)
	calls.cut = cutting{}
	withoutChecksums(t, a, 0)
	send(single)
}

// TestDoubt: pieces end for a minute only if it was the piece that was not taken.
func TestDoubt(t *testing.T) {
	m := newMmsg(sysSendmmsg())
	list := threes(5, memPeer)
	for _, c := range []struct {
		name         string
		piece, alone syscall.Errno // what the calls end with, 0: sent
		stop         bool
	}{
		{"a device that cannot", syscall.EIO, 0, true},
		{"a filter", syscall.EPERM, 0, true},
		{"a destination that nothing reaches", syscall.EINVAL, syscall.EINVAL, false},
		{"a full queue", syscall.ENOBUFS, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			cut := cutting{can: true}
			m.pack(list, cut.allowed())
			m.failed, m.done = c.piece, 0
			if m.list != 1 || !cut.learn(m) {
				t.Fatal("it is not sent again")
			}
			m.pack(list, cut.allowed())
			if m.failed, m.done = c.alone, 0; c.alone == 0 {
				m.done = 5
			}
			if m.list != 5 || cut.learn(m) {
				t.Fatal("it is sent for the third time")
			}
			if cut.allowed() == c.stop {
				t.Errorf("pieces: %t", !c.stop)
			}
		})
	}
}

// TestNoPiecesTellsErrors: an error that is taken for that of a piece, and is that of an
// earlier datagram, is told nevertheless.
func TestNoPiecesTellsErrors(t *testing.T) {
	told := 0
	a, _ := bindBatch(t, 1, "127.0.0.1:0", func(netip.AddrPort, []byte, error) { told++ })
	gone, nobody := bindBatch(t, 1, "127.0.0.1:0", nil)
	b, dest := bindBatch(t, 1, "127.0.0.1:0", nil)
	gone.close()
	if n := a.try([]packet{{b: []byte("one"), to: nobody}}); n != 1 || told != 0 {
		t.Fatalf("%d tried, %d told", n, told)
	}
	awaitError(t, a)
	raw, _ := a.conn.SyscallConn()
	raw.Control(func(fd uintptr) { // as if the call of a piece had taken it, as it does an EMSGSIZE
		unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
	})
	withoutChecksums(t, a, 1)
	list := threes(5, dest)
	mustWriteAll(t, a, list)
	arrive(t, a, b, dest, list)
	if told != 1 {
		t.Errorf("%d told", told)
	}
}

// TestUncut: which errors are those of a piece.
func TestUncut(t *testing.T) {
	m := newMmsg(sysSendmmsg())
	list := threes(5, memPeer)
	if m.failed = syscall.EINVAL; m.uncut() {
		t.Error("nothing was to be cut")
	}
	m.pack(list, true)
	for errno, want := range map[syscall.Errno]bool{0: false, syscall.EINVAL: true, syscall.EMSGSIZE: true, syscall.EIO: true, syscall.EPERM: true,
		syscall.ECONNREFUSED: false, syscall.EAGAIN: false, syscall.ENOBUFS: true} {
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
