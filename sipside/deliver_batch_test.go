package sipside

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/mapping"
)

// okTo is the 200 to a request that was sent.
func okTo(p memPacket) packet {
	m, _, err := siptest.Parse(p.data)
	if err != nil {
		panic(err)
	}
	return packet{b: []byte(m.Reply(200, "OK")), to: p.to}
}

// manyMem are n values for Deliver, to as many users.
func manyMem(n int) (batch []mapping.Parcel[mapping.SIP]) {
	for i := range n {
		m := toMem(i + 1)
		m.RequestURI.User = fmt.Sprintf("romeo%d", i)
		m.Body = bytes.Repeat([]byte{'a' + byte(i%26)}, 25*(i%30))
		batch = append(batch, mapping.Parcel[mapping.SIP]{Ref: i, Value: m})
	}
	return batch
}

// A batch of any size is sent whole, each request as it would be alone, and its
// retransmissions are the same bytes again; what is too long for UDP and what has a fault is
// told of and harms no other.
func TestDeliverBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBridge(nil)
		u, m := memUA(t, testConfig(), b)
		batch := manyMem(75)
		batch[7].Value.(*mapping.SIPMessage).CallID = "a b"
		batch[33].Value.(*mapping.SIPMessage).Body = bytes.Repeat([]byte("x"), 1300)
		batch[60].Value.(*mapping.SIPMessage).RequestURI.Host = "192.0.2.1"
		u.Deliver(batch)
		synctest.Wait()
		bad := map[int]bool{7: true, 33: true, 60: true}
		for i := range batch {
			if bad[i] {
				if o, ok := b.told()[i]; !ok || o.Kind != mapping.NotWritten {
					t.Errorf("%d: %+v", i, o)
				}
			}
		}
		first := m.all()
		if len(first) != 72 {
			t.Fatalf("%d were sent", len(first))
		}
		branches := make(map[string]bool)
		at := 0
		for i, p := range batch {
			if bad[i] {
				continue
			}
			got, _, err := siptest.Parse(first[at].data)
			if err != nil {
				t.Fatal(err)
			}
			r, _ := requestOf(p.Value)
			if want := u.wire(&r, nil, "UDP", "192.0.2.1", got.Branch()); string(want) != string(first[at].data) {
				t.Errorf("%d: got\n%s\nwant\n%s", i, first[at].data, want)
			}
			branches[got.Branch()] = true
			at++
		}
		if len(branches) != 72 {
			t.Errorf("%d branches", len(branches))
		}
		for i := 0; i < 72; i += 2 { // half of them are answered
			m.in <- okTo(first[i])
			synctest.Wait()
		}
		more := manyMem(20)
		for i := range more {
			more[i].Ref = 100 + i
		}
		u.Deliver(more) // in the places of those
		time.Sleep(timerT1 + time.Millisecond)
		synctest.Wait()
		again := m.all()[72+20:]
		if len(again) != 36+20 {
			t.Fatalf("%d were sent again", len(again))
		}
		for i := range 36 {
			if want := first[2*i+1].data; string(again[i].data) != string(want) {
				t.Errorf("sent again\n%s\nwant\n%s", again[i].data, want)
			}
		}
	})
}

// The place of a request that is over is given to another one. What still comes for the
// first does not touch the second (SIP-16).
func TestPlaceIsUsedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBridge(nil)
		u, m := memUA(t, testConfig(), b)
		u.Deliver(parcel("first", toMem(1)))
		synctest.Wait()
		first := m.all()[0]
		m.in <- okTo(first)
		synctest.Wait()
		for n := 2; n < 50; n++ {
			u.Deliver(parcel(n, toMem(n)))
			synctest.Wait()
			m.in <- okTo(first)
			u.client.refused(first.to, first.data, nil)
			synctest.Wait()
			if o, ok := b.told()[n]; ok {
				t.Fatalf("an answer to another request ended it: %+v", o)
			}
			m.in <- okTo(m.all()[len(m.all())-1])
			synctest.Wait()
			if o := b.told()[n]; o.Status != 200 {
				t.Fatalf("%d: %+v", n, o)
			}
		}
		if got := u.stats.Unmatched.Load(); got != 48 {
			t.Errorf("%d answers to nothing, want 48", got)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := len(m.all()); n != 49 {
			t.Errorf("%d packets were sent, want 49", n)
		}
	})
}

// A request that was repeated is answered while the repetition still waits to be sent: that is
// not overwritten by the next request.
func TestRepeatedWhileAnswered(t *testing.T) {
	u := fuzzUA(t)
	u.handler = &keeping{}
	io := &gate{open: 1}
	s := newUDPSocket(u, io, memSelf)
	u.udp, u.bound, u.listen, u.sentBys = []*udpSocket{s}, []netip.AddrPort{memSelf}, u.listen[:1], []sentBy{{"192.0.2.1", 5060}}
	u.Deliver(parcel("first", toMem(1)))
	first := io.all()
	if _, socks := u.client.retransmit(time.Now().Add(timerT1)); len(socks) != 1 {
		t.Fatal("not repeated")
	}
	m, _, err := siptest.Parse([]byte(first))
	if err != nil {
		t.Fatal(err)
	}
	s.screen([]byte(m.Reply(200, "OK")), memPeer)
	s.rd.flush()
	if u.client.open.count != 0 {
		t.Fatal("not answered")
	}
	u.Deliver(parcel("second", toMem(2)))
	if len(s.queue) != 2 || string(s.queue[0].b) != first || string(s.queue[1].b) == first {
		t.Errorf("%d wait: %q", len(s.queue), s.queue[0].b)
	}
}

// SEC-30: within a batch, too, no next hop gets more than its share of the places.
func TestShareInBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBridge(nil)
		cfg := testConfig()
		cfg.MaxPending = 40
		u, m := memUA(t, cfg, b)
		batch := manyMem(30)
		for i := 20; i < 30; i++ {
			batch[i].Value.(*mapping.SIPMessage).RequestURI.Host = "192.0.2.10"
		}
		u.Deliver(batch)
		synctest.Wait()
		if n := len(m.all()); n != 20 {
			t.Errorf("%d were sent, want 10 to each", n)
		}
		for i := 10; i < 20; i++ {
			if o := b.told()[i]; o.Kind != mapping.NotWritten || o.Failure.Condition != mapping.CondResourceConstraint {
				t.Errorf("%d: %+v", i, o)
			}
		}
		for _, p := range m.all() {
			m.in <- okTo(p)
		}
		synctest.Wait()
		if len(u.client.held) != 0 || u.client.open.count != 0 {
			t.Errorf("%d open, %v", u.client.open.count, u.client.held)
		}
	})
}

// What the queue of the socket has no room for is told of at once, and forgotten.
func TestSocketFullInBatch(t *testing.T) {
	u := fuzzUA(t)
	told := &keeping{}
	u.handler = told
	s := newUDPSocket(u, &echoIO{}, memSelf)
	u.udp, u.bound, u.listen, u.sentBys = []*udpSocket{s}, []netip.AddrPort{memSelf}, u.listen[:1], []sentBy{{"192.0.2.1", 5060}}
	s.putAll(make([]packet, maxOutgoing-5))
	u.Deliver(manyMem(8))
	u.outbox.tell(u)
	if len(told.results) != 3 || u.client.open.count != 5 {
		t.Fatalf("%d outcomes, %d open", len(told.results), u.client.open.count)
	}
	for i, r := range told.results {
		if r.Ref != 5+i || r.Outcome.Kind != mapping.NotWritten || r.Outcome.Failure.Condition != mapping.CondResourceConstraint {
			t.Errorf("%+v", r)
		}
	}
}

// chain is a handler that sends the next message when it is told of one, from within.
type chain struct {
	t     *testing.T
	u     *UA
	next  func(n int) *mapping.SIPMessage
	total int32

	sent, told atomic.Int32
	within     atomic.Int32 // calls of SIPOutcomes
	done       chan struct{}
}

func (c *chain) FromSIP([]mapping.Parcel[mapping.SIP]) {}

func (c *chain) SIPOutcomes(batch []mapping.Result) {
	if c.within.Add(1) != 1 {
		c.t.Error("SIPOutcomes was called within another call of it")
	}
	pcs := make([]uintptr, 200)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs)])
	for f, more := frames.Next(); more; f, more = frames.Next() {
		if strings.HasSuffix(f.Function, ".Deliver") {
			c.t.Error("SIPOutcomes was called from within Deliver")
		}
	}
	var more []mapping.Parcel[mapping.SIP]
	for range batch {
		if n := c.sent.Add(1); n <= c.total {
			more = append(more, mapping.Parcel[mapping.SIP]{Ref: n, Value: c.next(int(n))})
		}
	}
	c.u.Deliver(more)
	c.within.Add(-1)
	if c.told.Add(int32(len(batch))) == c.total {
		close(c.done)
	}
}

// The promises of Handler hold when each outcome leads to the next request, whether that is
// answered at once or fails at once: one call at a time, never from within Deliver, and all
// are told.
func TestOutcomesLeadToRequests(t *testing.T) {
	const total, window = 4000, 16
	for _, network := range []string{"udp", "tcp"} {
		t.Run(network, func(t *testing.T) {
			p := siptest.Listen(t, network)
			p.Answer(func(m *siptest.Message) string { return m.Reply(200, "OK") })
			u, err := New(testConfig(), testLog(t, nil))
			if err != nil {
				t.Fatal(err)
			}
			c := &chain{t: t, u: u, total: total, done: make(chan struct{})}
			c.next = func(n int) *mapping.SIPMessage {
				m := outgoing(p, n)
				switch n % 10 {
				case 3:
					m.FromTag = "" // a fault of ours: told at once
				case 7:
					m.RequestURI.Host = "nowhere.invalid"
				}
				return m
			}
			if err := u.Listen(); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			ended := make(chan error, 1)
			go func() { ended <- u.Run(ctx, c) }()
			for range window {
				n := c.sent.Add(1)
				u.Deliver(parcel(n, c.next(int(n))))
			}
			<-c.done
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}

// FuzzPlain: what is taken for plain without looking closely has no fault, and its header
// section has the lines that it should have and no other (SEC-21).
func FuzzPlain(f *testing.F) {
	f.Add("sip", "romeo", "example.net", "tcp", "b", "O \"R\"", "c1", "t1", "s", "en", "text/plain")
	f.Add("tel", "+15551234", "", "", "", "", "a@b", "t.2", "", "", "")
	f.Add("sip", "f\xc3\xbc\r\n", "::1", "", "\x00", "", "c", "t", "", "", "a/b;c=\"d\"")
	f.Add("im", "r", "example.net\r\nEvil: 1", "tcp\n", "", "a\nb", "c d", "t;x", "\x7f", "\xff", "\t")
	u := fuzzUA(f)
	f.Fuzz(func(t *testing.T, scheme, user, host, transport, gr, name, callID, tag, subject, lang, typ string) {
		uri := mapping.URI{Scheme: scheme, User: user, Host: host, Transport: transport, GR: gr}
		m := &mapping.SIPMessage{RequestURI: uri, From: uri, To: uri, Name: name, CallID: callID, FromTag: tag, CSeq: 1, Subject: subject, Lang: lang, ContentType: typ}
		r, _ := requestOf(m)
		if !r.plain() {
			return
		}
		if fault := r.fault(); fault != nil {
			t.Fatalf("%+v is plain, but %v", m, fault.Err)
		}
		head := string(u.wire(&r, nil, "UDP", "gw.example.com", "z9hG4bKx"))
		want := 10
		for _, v := range []string{subject, lang, typ} {
			if v != "" {
				want++
			}
		}
		if got := strings.Count(head, "\r\n"); got != want || strings.Count(head, "\n") != want || strings.Count(head, "\r") != want {
			t.Errorf("%d lines, want %d:\n%q", got, want, head)
		}
	})
}

// FuzzHostAddr: what is taken for a name is no number.
func FuzzHostAddr(f *testing.F) {
	for _, s := range []string{"192.0.2.1", "::1", "fe80::1%eth0", "example.com", "a.1", "", "1.2.3.4.", "::ffff:1.2.3.4", "::"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, host string) {
		want, err := netip.ParseAddr(host)
		got, err2 := parseHostAddr(host)
		if got != want || (err == nil) != (err2 == nil) {
			t.Errorf("%q: %v %v, want %v %v", host, got, err2, want, err)
		}
	})
}

// A request that has a provisional response may be open for long: it is sent again as it was,
// whatever becomes of those that it was sent with.
func TestProvisionalResponseInBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u, m := memUA(t, testConfig(), newBridge(nil))
		u.Deliver(manyMem(8))
		synctest.Wait()
		sent := m.all()
		trying, _, err := siptest.Parse(sent[3].data)
		if err != nil {
			t.Fatal(err)
		}
		m.in <- packet{b: []byte(trying.Reply(100, "Trying")), to: sent[3].to}
		synctest.Wait()
		id, _ := u.client.parseBranch(trying.Branch())
		u.client.mu.Lock()
		for _, tx := range u.client.open.all() {
			if tx.proceeding != (tx.id == id) {
				t.Errorf("proceeding: %v", tx.proceeding)
			}
		}
		u.client.mu.Unlock()
		for i, p := range sent {
			if i != 3 {
				m.in <- okTo(p)
			}
		}
		synctest.Wait()
		more := manyMem(8) // in the places of those
		for i := range more {
			more[i].Ref = 100 + i
		}
		u.Deliver(more)
		synctest.Wait()
		for _, p := range m.all()[8:] {
			m.in <- okTo(p)
		}
		time.Sleep(timerT2 + time.Millisecond)
		synctest.Wait()
		if again := m.all()[16:]; len(again) != 1 || string(again[0].data) != string(sent[3].data) {
			t.Errorf("%d were sent again", len(again))
		}
	})
}

// The memory of a request is another one's as soon as it has been answered, which may be while
// others of its batch are being sent: each leaves with its own bytes, and has its own answer.
func TestBytesWhileAnswered(t *testing.T) {
	const senders, each = 4, 500
	text := func(n int) string { return fmt.Sprintf("%d %s", n, strings.Repeat(string(rune('a'+n%26)), n%600)) }
	var mu sync.Mutex
	seen := make(map[string]string) // by branch
	status := make(map[string]int)  // by Call-ID
	p := siptest.Listen(t, "udp")
	p.Answer(func(m *siptest.Message) string {
		mu.Lock()
		defer mu.Unlock()
		n, _ := strconv.Atoi(strings.TrimPrefix(m.Get("Call-ID"), "call-"))
		all := fmt.Sprintf("%s %s %s", m.First, m.Fields, m.Body)
		if old, again := seen[m.Branch()]; again && old != all || string(m.Body) != text(n) {
			t.Errorf("sent as %d:\n%s\nand before:\n%s", n, all, old)
		}
		final := [...]int{200, 200, 202, 486}[n%4]
		seen[m.Branch()], status[m.Get("Call-ID")] = all, final
		return m.Reply(final, "Text")
	})
	b := newBridge(nil)
	u := start(t, testConfig(), b)
	var all sync.WaitGroup
	for s := range senders {
		all.Go(func() {
			for i := 0; i < each; {
				var batch []mapping.Parcel[mapping.SIP]
				for range min(1+i%90, each-i) {
					m := outgoing(p, s*each+i)
					m.Body = []byte(text(s*each + i))
					batch = append(batch, mapping.Parcel[mapping.SIP]{Ref: m.CallID, Value: m})
					i++
				}
				u.Deliver(batch)
				b.outcome(batch[len(batch)/2].Ref) // others are still open
			}
		})
	}
	all.Wait()
	b.wait(func() bool { return len(b.outcomes) == senders*each })
	mu.Lock()
	defer mu.Unlock()
	for ref, o := range b.told() {
		if o.Kind != mapping.Answered || o.Status != status[ref.(string)] {
			t.Errorf("%s: %+v, answered %d", ref, o, status[ref.(string)])
		}
	}
}
