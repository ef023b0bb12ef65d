package sipside

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
)

// gate is a socket that takes so many datagrams at once, and all others when it is waited for.
type gate struct {
	swallow
	mu    sync.Mutex
	open  int // that are taken at once; negative: all
	tried int
	sent  []string
	waits []string // of sent, those that were waited for
	err   error    // of the first write
	busy  int      // goroutines at it
}

func (g *gate) enter() {
	g.mu.Lock()
	if g.busy++; g.busy > 1 {
		panic("two send at once")
	}
}

func (g *gate) leave() { g.busy--; g.mu.Unlock() }

func (g *gate) try(p []packet) (n int) {
	g.enter()
	defer g.leave()
	g.tried++
	for ; n < len(p) && g.open != 0; n++ {
		g.open--
		g.sent = append(g.sent, string(p[n].b))
	}
	return n
}

func (g *gate) write(p []packet) (int, error) {
	g.enter()
	defer g.leave()
	if err := g.err; err != nil {
		g.err = nil
		return 0, err
	}
	g.sent = append(g.sent, string(p[0].b))
	g.waits = append(g.waits, string(p[0].b))
	return 1, nil
}

func (g *gate) all() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return strings.Join(g.sent, " ")
}

func gated(t *testing.T, g *gate) *udpSocket {
	t.Helper()
	u, err := New(testConfig(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return newUDPSocket(u, g, memSelf)
}

func datagramsOf(names ...string) (list []packet) {
	for _, n := range names {
		list = append(list, packet{b: []byte(n), to: memPeer})
	}
	return list
}

// TestPushDatagrams: what the system takes leaves at once, and the rest after it in the same
// order, with all that comes later, when the writer has waited for room.
func TestPushDatagrams(t *testing.T) {
	g := &gate{open: 4}
	s := gated(t, g)
	if n := s.putAll(datagramsOf("a", "b")); n != 2 || g.all() != "" {
		t.Fatalf("%d taken, sent %q before push", n, g.all())
	}
	s.push()
	if g.all() != "a b" || len(s.wake) != 0 {
		t.Fatalf("sent %q, the writer is woken %d times", g.all(), len(s.wake))
	}
	s.putAll(datagramsOf("c", "d", "e", "f"))
	s.push()
	s.put(datagramsOf("g")[0])
	if g.all() != "a b c d" || len(s.wake) != 1 || g.tried != 2 {
		t.Fatalf("sent %q in %d tries, the writer is woken %d times", g.all(), g.tried, len(s.wake))
	}
	g.open, g.err = -1, errors.New("no")
	var writer sync.WaitGroup
	writer.Go(s.write)
	s.closeWriter()
	writer.Wait()
	if g.all() != "a b c d f g" || s.u.stats.Dropped.Load() != 1 { // e is what could not be sent
		t.Errorf("sent %q, %d dropped", g.all(), s.u.stats.Dropped.Load())
	}
	if s.put(datagramsOf("h")[0]) || s.u.stats.Dropped.Load() != 2 {
		t.Error("taken after the end")
	}
}

// TestQueueIsBounded: where nothing leaves, so many packets wait and no more.
func TestQueueIsBounded(t *testing.T) {
	s := gated(t, &gate{})
	e := echo{path: path{out: s, to: memPeer}, cseq: "1 MESSAGE"}
	n := 0
	for s.respond(&e, reply{status: 200}) {
		if n++; n%100 == 0 {
			s.push()
		}
	}
	if n != maxOutgoing || s.putAll(datagramsOf("a")) != 0 || s.u.stats.Dropped.Load() != 2 {
		t.Errorf("%d wait, %d dropped", n, s.u.stats.Dropped.Load())
	}
}

// TestResponsesKeepTheirBytes: a response is not written over while it waits, or while it
// is being sent, and those that outgrow the slab are whole.
func TestResponsesKeepTheirBytes(t *testing.T) {
	g := &gate{open: -1}
	s := gated(t, g)
	var want []string
	for i := range 500 {
		e := echo{path: path{out: s, to: memPeer}, callID: strings.Repeat("x", i*37%5000), cseq: fmt.Sprint(i, " MESSAGE")}
		want = append(want, string(e.response(reply{status: 200})))
		e.answer(reply{status: 200})
		if i%50 == 49 {
			s.push()
		}
	}
	for i, w := range want {
		if g.sent[i] != w {
			t.Fatalf("%d is %q, want %q", i, g.sent[i], w)
		}
	}
}

// TestPushesOfMany: each goroutine's packets leave once and in order, whoever sends them,
// and the end waits for whoever is at it.
func TestPushesOfMany(t *testing.T) {
	g := &gate{open: 300}
	s := gated(t, g)
	var senders, writer sync.WaitGroup
	writer.Go(s.write)
	const each = 300
	for i := range 4 {
		senders.Go(func() {
			for n := range each {
				if n%3 == 0 {
					s.putAll(datagramsOf(fmt.Sprint(i, ":", n)))
					s.push()
				} else {
					s.put(datagramsOf(fmt.Sprint(i, ":", n))[0])
				}
			}
		})
	}
	senders.Wait()
	s.closeWriter()
	writer.Wait()
	var next [4]int
	for _, p := range g.sent {
		var i, n int
		if _, err := fmt.Sscanf(p, "%d:%d", &i, &n); err != nil || next[i] != n {
			t.Fatalf("%q, want number %d of it, %v", p, next[i], err)
		}
		next[i]++
	}
	if next != [4]int{each, each, each, each} || len(g.waits) == 0 {
		t.Errorf("%v arrived, the writer has sent %d", next, len(g.waits))
	}
}
