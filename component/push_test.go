package component

import (
	"bytes"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/internal/xmpptest"
	"github.com/stoxgw/stox/mapping"
)

// wire is a connection that takes as many octets at once as it likes, and the server at
// its other end.
type wire struct {
	net.Conn // nil: nothing else is called
	t        *testing.T
	writers  atomic.Int32
	up       chan struct{} // closed when the check of the link is over

	mu       sync.Mutex // guards the following
	rnd      *rand.Rand
	octets   []byte
	news     *sync.Cond
	closed   bool
	directly int
	waiting  int
}

func newWire(t *testing.T, seed uint64) *wire {
	w := &wire{t: t, up: make(chan struct{}), rnd: rand.New(rand.NewPCG(seed, 7))}
	w.news = sync.NewCond(&w.mu)
	return w
}

func (w *wire) put(p []byte, calls *int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.octets = append(w.octets, p...)
	*calls++
	w.news.Broadcast()
}

func (w *wire) alone() func() {
	if w.writers.Add(1) > 1 {
		w.t.Error("two write at the same time")
	}
	return func() { w.writers.Add(-1) }
}

func (w *wire) Write(p []byte) (int, error) {
	defer w.alone()()
	w.put(p, &w.waiting)
	return len(p), nil
}

func (w *wire) SetWriteDeadline(time.Time) error { return nil }

// direct takes all of it, or less, or nothing.
func (w *wire) direct(p []byte) (int, error) {
	defer w.alone()()
	n := len(p)
	w.mu.Lock()
	switch w.rnd.IntN(4) {
	case 0:
		n = w.rnd.IntN(len(p) + 1)
	case 1:
		n = 0
	}
	w.mu.Unlock()
	w.put(p[:n], &w.directly)
	return n, nil
}

// serve gives back the pings in what is written, as the reader of a link would take them,
// and returns the ids of messages in the order in which they came.
func (w *wire) serve(q *queue, h Handler) (ids []string) {
	at := 0
	for {
		w.mu.Lock()
		for at == len(w.octets) && !w.closed {
			w.news.Wait()
		}
		text, closed := string(w.octets[at:]), w.closed
		w.mu.Unlock()
		for {
			end, size := -1, 0
			for _, tag := range []string{"</iq>", "</message>"} {
				if i := strings.Index(text, tag); i >= 0 && (end < 0 || i < end) {
					end, size = i, len(tag)
				}
			}
			if end < 0 {
				break
			}
			stanza := text[:end+size]
			text, at = text[end+size:], at+end+size
			_, id, _ := strings.Cut(stanza, " id='")
			id, _, _ = strings.Cut(id, "'")
			if n, is := strings.CutPrefix(id, "p-b"); is {
				n, err := strconv.ParseUint(n, 10, 64)
				if err != nil {
					w.t.Error(err)
				}
				up, err := q.homecoming(n, time.Now())
				if err != nil {
					w.t.Error(err)
				}
				if up {
					close(w.up)
				}
			} else if id != "p-v" {
				ids = append(ids, id)
			}
		}
		q.turn(h)
		if closed {
			if text != "" {
				w.t.Errorf("at the end there is %q", text)
			}
			return ids
		}
	}
}

// oneAtATime is a Handler that watches over what Handler promises, and answers one stanza
// in ten of what it is told by another one.
type oneAtATime struct {
	t       *testing.T
	c       *Component
	calls   atomic.Int32
	mu      sync.Mutex // guards the following
	settled map[string]mapping.OutcomeKind
	all     *sync.Cond
	want    int
}

func (*oneAtATime) FromXMPP([]mapping.XMPP) {}

func (h *oneAtATime) XMPPOutcomes(batch []mapping.Result) {
	if h.calls.Add(1) > 1 {
		h.t.Error("told by two at the same time")
	}
	defer h.calls.Add(-1)
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range batch {
		id := r.Ref.(string)
		if _, twice := h.settled[id]; twice {
			h.t.Errorf("%s has a second outcome", id)
		}
		if h.settled[id] = r.Outcome.Kind; len(h.settled)%10 == 0 && !strings.HasPrefix(id, "again") {
			h.c.Deliver(parcels(message("again-"+id, "x")))
			h.want++
		}
	}
	h.all.Broadcast()
}

// Whoever writes, at once or not: every message is written once, those of each goroutine
// in its order, and each has one outcome, which is told by one at a time.
func TestPushMixed(t *testing.T) {
	const givers, each = 4, 400
	w := newWire(t, 1)
	c, err := New(Config{Server: "x:1", Domain: testDomain, Secret: "s", Barrier: BarrierSingle}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	q := c.q
	l := &link{cfg: &c.cfg, q: q, srv: &c.srv, log: c.log, conn: w, dead: make(chan struct{}), pingID: "p"}
	h := &oneAtATime{t: t, c: c, settled: make(map[string]mapping.OutcomeKind), want: givers * each}
	h.all = sync.NewCond(&h.mu)
	q.openOver(l.pingID, w.direct)

	var wg sync.WaitGroup
	stop, written := make(chan struct{}), make(chan error, 1)
	var ids []string
	wg.Go(func() { q.tell(h, stop) })
	wg.Go(func() { ids = w.serve(q, h) })
	go func() { written <- l.write() }()
	<-w.up
	var givings sync.WaitGroup
	for g := range givers {
		givings.Go(func() {
			for i := 0; i < each; {
				var batch []mapping.XMPP
				for n := 1 + i%7; n > 0 && i < each; n, i = n-1, i+1 {
					batch = append(batch, message(fmt.Sprintf("g%d-%d", g, i), strings.Repeat("x", i%300)))
				}
				c.Deliver(parcels(batch...))
			}
		})
	}
	givings.Wait()
	h.mu.Lock()
	for len(h.settled) < h.want {
		h.all.Wait()
	}
	h.mu.Unlock()
	q.drain()
	if err := <-written; err != nil {
		t.Errorf("the writer ended with %v", err)
	}
	w.mu.Lock()
	w.closed = true
	w.news.Broadcast()
	w.mu.Unlock()
	close(stop)
	wg.Wait()

	next, seen := make(map[string]int), make(map[string]bool)
	for _, id := range ids {
		if seen[id] {
			t.Errorf("%s was written twice", id)
		}
		seen[id] = true
		if h.settled[id] != mapping.Processed {
			t.Errorf("%s is %v", id, h.settled[id])
		}
		if g, n, ok := strings.Cut(id, "-"); ok && g != "again" {
			if n != strconv.Itoa(next[g]) {
				t.Errorf("%s after %d others of %s", id, next[g], g)
			}
			next[g]++
		}
	}
	if len(ids) != h.want || len(h.settled) != h.want {
		t.Errorf("%d written and %d settled, want %d", len(ids), len(h.settled), h.want)
	}
	if q.written != q.end || q.written != uint64(len(w.octets)) || q.busy || len(q.rest) > 0 || q.telling || len(q.results) > 0 {
		t.Errorf("%d octets of %d written, %d have come; busy %v, %d left; telling %v, %d untold",
			q.written, q.end, len(w.octets), q.busy, len(q.rest), q.telling, len(q.results))
	}
	if w.directly == 0 || w.waiting == 0 {
		t.Errorf("%d were written at once and %d by the writer: that shows nothing", w.directly, w.waiting)
	}
	q.close(endClean)
}

// A link may end while somebody writes to it: what that was is known before it is said
// what has become of the messages.
func TestLinkEndsWhilePushing(t *testing.T) {
	for _, tt := range []struct {
		takes int // octets short of all
		how   string
		want  mapping.OutcomeKind // zero: written again
	}{
		{0, "stopped", 0},
		{0, "dead", 0},
		{1, "dead", mapping.NotWritten},
	} {
		synctest.Test(t, func(t *testing.T) {
			c, err := New(Config{Server: "x:1", Domain: testDomain, Secret: "s", Barrier: BarrierSingle}, nil)
			if err != nil {
				t.Fatal(err)
			}
			q, out := c.q, newWire(t, 1)
			l := &link{cfg: &c.cfg, q: q, srv: &c.srv, log: c.log, conn: out, dead: make(chan struct{}), pingID: "p"}
			entered, leave := make(chan struct{}), make(chan struct{})
			q.openOver("p", func(p []byte) (int, error) {
				if !bytes.Contains(p, []byte("<message")) {
					return len(p), nil
				}
				close(entered)
				<-leave
				return bytes.Index(p, []byte("</message>")) + len("</message>") - tt.takes, nil
			})
			for n := range uint64(linkCheck) {
				if _, err := q.homecoming(n+1, time.Now()); err != nil {
					t.Fatal(err)
				}
			}
			q.turn(discard{})
			done := make(chan error, 1)
			go func() { done <- l.write() }()
			go c.Deliver(parcels(message("m", "x")))
			<-entered
			c.Deliver(parcels(message("behind", "x"))) // does not wait for the other one
			q.stop()
			if tt.how == "dead" {
				close(l.dead)
			}
			synctest.Wait()
			select {
			case err := <-done:
				t.Errorf("the writer has ended with %v before the other one was through", err)
			default:
			}
			close(leave)
			<-done
			synctest.Wait()
			q.close(endLost)
			got := make(map[any]mapping.OutcomeKind)
			for _, r := range q.results {
				got[r.Ref] = r.Outcome.Kind
			}
			if got["m"] != tt.want || got["behind"] != mapping.NotWritten || (tt.want == 0) != (len(q.again) == 1) {
				t.Errorf("%s, %d octets short: %v, %d to be written again; want %v", tt.how, tt.takes, got, len(q.again), tt.want)
			}
		})
	}
}

// A server that does not read holds up nobody who delivers. When it reads again it gets
// everything that was taken, once and in order, however that was written.
func TestSlowServer(t *testing.T) {
	read := make(chan struct{})
	srv := xmpptest.New(t, xmpptest.Options{Domain: testDomain, Secret: testSecret, OnStanza: func(c *xmpptest.Conn, st xmpptest.Stanza) bool {
		if st.ID == "stop" {
			<-read
		}
		return false
	}})
	r := start(t, srv, func(c *Config) {
		c.BarrierTimeout, c.QueueBytes = time.Minute, 256<<10
	})
	conn := accept(t, srv)
	r.Deliver(parcels(message("stop", "x")))
	n := 0
	for refused := 0; refused == 0; {
		for range 100 {
			r.Deliver(parcels(message(fmt.Sprint(n), strings.Repeat("x", n%5000))))
			n++
		}
		r.sink.mu.Lock()
		for _, o := range r.sink.outcomes {
			if o[0].Kind == mapping.NotWritten {
				refused++
			}
		}
		r.sink.mu.Unlock()
	}
	close(read)
	r.sink.waitSettled(n + 1)
	want := []string{"stop"}
	for i := range n {
		switch o := r.sink.outcome(t, fmt.Sprint(i)); o.Kind {
		case mapping.Processed:
			want = append(want, fmt.Sprint(i))
		case mapping.NotWritten:
		default:
			t.Errorf("%d is %v", i, o)
		}
	}
	for _, id := range want {
		if st := conn.Next(); st.ID != id {
			t.Fatalf("the server got %s, want %s", st.ID, id)
		}
	}
	r.stop()
	if conn.Waiting() > 0 {
		t.Errorf("%d more were written", conn.Waiting())
	}
}

// What a barrier settles is told by the reader, before it hands over what it has read with
// it: a receipt finds the outcome of what it is about.
func TestToldByTheReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h held
		r, conn := memory(t, h.options(), mode(BarrierSingle))
		told := make(chan int, 1)
		r.sink.onMessage = func(*mapping.XMPPMessage) {
			_, settled := r.sink.count()
			told <- settled
		}
		r.Deliver(parcels(message("m", "x")))
		b := h.takeN(t, 1)[0]
		send(t, conn, b.Raw+`<message from='juliet@example.com/b' to='romeo@sip.example.com'><body>hi</body></message>`)
		if n := <-told; n != 1 {
			t.Errorf("%d outcomes were told when the next message came, want 1", n)
		}
		r.expect(t, "home", map[string]mapping.OutcomeKind{"m": mapping.Processed})
		r.stop()
	})
}
