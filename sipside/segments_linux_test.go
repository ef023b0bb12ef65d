//go:build amd64 || arm64

package sipside

import (
	"bytes"
	"errors"
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
				if got := pieceSizes(calls.out); !slices.Equal(got, c.pieces) {
					t.Errorf("in pieces of %d, want %d", got, c.pieces)
				}
				arrive(t, a, b, dest, want)
			})
		}
	}
}

// pieceSizes tells how many datagrams each header of the last call was.
func pieceSizes(m *mmsg) (sizes []uint64) {
	for _, h := range m.hdr[:m.list] {
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

// TestLinks: requests know which piece they are in, also when they are sent again without, and
// each piece of requests is a call of its own.
func TestLinks(t *testing.T) {
	m := newMmsg(sysSendmmsg())
	var list []packet
	for i, f := range strings.Fields("r r a a r r r - r r@ r@ r") { // requests, answers; "-" is a request to be sent by itself, "@" elsewhere
		p := packet{b: []byte("one"), to: memPeer, piece: f[0] != '-'}
		if f[0] != 'a' {
			p.tx = &clientTx{id: uint64(i + 1)}
		}
		if strings.HasSuffix(f, "@") {
			p.to = memSelf
		}
		list = append(list, p)
	}
	send := func(packets []packet, pieces bool) (sizes [][]uint64, first, next []uint64) {
		for rest := packets; len(rest) > 0; rest = rest[m.packets(m.list):] {
			m.pack(rest, pieces)
			sizes = append(sizes, pieceSizes(m))
		}
		for _, p := range packets {
			if p.tx != nil {
				first = append(first, p.tx.piece.first.Load())
				next = append(next, p.tx.piece.next.Load())
			}
		}
		return sizes, first, next
	}
	equal := func(what string, got, want any) {
		t.Helper()
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %d, want %d", what, got, want)
		}
	}
	sizes, first, next := send(list, true)
	equal("calls", sizes, [][]uint64{{2}, {2}, {3}, {1, 1}, {2}, {1}})
	equal("first", first, []uint64{1, 1, 5, 5, 5, 0, 0, 10, 10, 0})
	equal("next", next, []uint64{2, 0, 6, 7, 0, 0, 0, 11, 0, 0})
	sizes, first, next = send(list[5:], true) // the others are not sent yet
	equal("calls for the rest", sizes, [][]uint64{{2}, {1, 1}, {2}, {1}})
	equal("first of the rest", first, []uint64{6, 6, 0, 0, 10, 10, 0})
	equal("next of the rest", next, []uint64{7, 0, 0, 0, 11, 0, 0})
	sizes, first, next = send(list[4:], false)
	equal("calls without pieces", sizes, [][]uint64{{1, 1, 1, 1, 1, 1, 1, 1}})
	equal("first without pieces", first, make([]uint64, 8))
	equal("next without pieces", next, make([]uint64, 8))
}

// TestPiecesOfRequests: they arrive in their order among others, also if the system does not
// take them as a piece.
func TestPiecesOfRequests(t *testing.T) {
	a, calls, b, dest := rawPair(t, "127.0.0.1:0", "127.0.0.1:0")
	list := threes(12, dest)
	for i := range list {
		if i%6 > 1 {
			list[i].tx = &clientTx{id: uint64(i + 1)}
		}
	}
	if n := a.try(list); n != len(list) {
		t.Fatalf("%d tried", n)
	}
	if got := pieceSizes(calls.out); !slices.Equal(got, []uint64{4}) {
		t.Errorf("the last call is pieces of %d", got)
	}
	arrive(t, a, b, dest, list)
	withoutChecksums(t, a, 1)
	mustWriteAll(t, a, list[2:])
	if got := pieceSizes(calls.out); !slices.Equal(got, []uint64{1, 1, 1, 1, 1, 1, 1, 1, 1, 1}) {
		t.Errorf("after one that was not taken, pieces of %d", got)
	}
	for _, p := range list[2:] {
		if p.tx != nil && p.tx.piece.first.Load() != 0 {
			t.Error("one that is sent by itself is said to be in a piece")
		}
	}
	arrive(t, a, b, dest, list[2:])
}

// TestUntaken: a piece of requests that the system may have taken in part, or that a filter has
// dropped, is not given to it again, by whom and after whatever it was tried; what follows is sent,
// for a minute by itself. That it fails is told to who writes.
func TestUntaken(t *testing.T) {
	for why, want := range map[syscall.Errno]struct{ ends, lost bool }{
		syscall.EINVAL: {false, false}, syscall.EIO: {false, false}, syscall.EPERM: {true, false},
		syscall.EMSGSIZE: {true, true}, syscall.ENOBUFS: {true, true}, syscall.ENOMEM: {true, true},
	} {
		for before := range 2 {
			for _, tried := range []bool{false, true} {
				t.Run(fmt.Sprintf("%v, %d before, tried first: %t", why, before, tried), func(t *testing.T) {
					a, calls, b, dest := rawPair(t, "127.0.0.1:0", "127.0.0.1:0")
					list := threes(before+5, dest)
					for i := range list[before : before+3] {
						list[before+i].tx = &clientTx{id: uint64(i + 1)}
					}
					system, failed := calls.out.call, 0
					calls.out.call = func(fd uintptr) bool {
						if calls.out.hdr[0].Iovlen == 3 {
							calls.out.done, calls.out.failed = 0, why
							failed++
							return true
						}
						return system(fd)
					}
					rest := list
					if tried {
						if n := a.try(rest); n != before {
							t.Fatalf("%d tried", n)
						}
						rest = rest[before:]
					}
					var errs []error
					for len(rest) > 0 {
						n, err := a.write(rest)
						if rest = rest[n:]; err != nil {
							errs = append(errs, err)
							rest = rest[packetsOf(err):]
						}
					}
					if failed != 1 {
						t.Errorf("the piece was given to the system %d times", failed)
					}
					arriving := list
					if want.ends {
						arriving = slices.Concat(list[:before], list[before+3:])
						if len(errs) != 1 || packetsOf(errs[0]) != 3 || !errors.Is(errs[0], why) || isLoss(errs[0]) != want.lost {
							t.Errorf("told %v", errs)
						}
						if wait := time.Until(calls.cut.until); wait <= 0 || wait > wholeFor {
							t.Errorf("no pieces for %v", wait)
						}
					} else if errs != nil {
						t.Errorf("told %v", errs)
					}
					arrive(t, a, b, dest, arriving)
				})
			}
		}
	}
}

// TestQuoted: requests are in a piece only if an ICMP error shows where the second one begins.
func TestQuoted(t *testing.T) {
	v6 := netip.MustParseAddrPort("[2001:db8::9]:5060")
	for _, c := range []struct {
		to   netip.AddrPort
		size int
		want int
	}{{memPeer, 512, 3}, {memPeer, 513, 1}, {v6, 1176, 3}, {v6, 1177, 1}} {
		var list []packet
		for range 3 {
			list = append(list, packet{b: make([]byte, c.size), to: c.to, piece: true, tx: new(clientTx)})
		}
		if got := onePiece(list); got != c.want {
			t.Errorf("%d octets to %v: a piece of %d, want %d", c.size, c.to, got, c.want)
		}
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
		if got := pieceSizes(calls.out); !slices.Equal(got, want) {
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
