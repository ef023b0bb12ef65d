package component

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"github.com/stoxgw/stox/internal/xmpptest"
	"github.com/stoxgw/stox/mapping"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	testDomain = "sip.example.com"
	testSecret = "correct horse"
)

// sink is a Handler that remembers, and can react.
type sink struct {
	onMessage func(m *mapping.XMPPMessage)
	onInquiry func(v mapping.XMPP)

	mu       sync.Mutex
	cond     *sync.Cond
	messages []*mapping.XMPPMessage
	late     []*mapping.XMPPError
	signals  []mapping.XMPP // receipts, markers and chat states
	others   []mapping.XMPP // presence, and that the link is up
	asked    []mapping.XMPP // commands and registrations
	batches  []int
	outcomes map[any][]mapping.Outcome
	settled  int
}

func newSink() *sink {
	s := &sink{outcomes: make(map[any][]mapping.Outcome)}
	s.cond = sync.NewCond(&s.mu)
	return s
}

func (s *sink) FromXMPP(batch []mapping.XMPP) {
	for _, v := range batch {
		if m, ok := v.(*mapping.XMPPMessage); ok && s.onMessage != nil {
			s.onMessage(m)
		}
		if isInquiry(v) && s.onInquiry != nil {
			s.onInquiry(v)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range batch {
		switch v := v.(type) {
		case *mapping.XMPPMessage:
			s.messages = append(s.messages, v)
		case *mapping.XMPPError:
			s.late = append(s.late, v)
		case *mapping.XMPPPresence, *mapping.XMPPReady:
			s.others = append(s.others, v)
		case *mapping.XMPPCommand, *mapping.XMPPRegister:
			s.asked = append(s.asked, v)
		default:
			s.signals = append(s.signals, v)
		}
	}
	s.batches = append(s.batches, len(batch))
	s.cond.Broadcast()
}

func (s *sink) XMPPOutcomes(batch []mapping.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range batch {
		s.outcomes[r.Ref] = append(s.outcomes[r.Ref], r.Outcome)
		s.settled++
	}
	s.cond.Broadcast()
}

// wait waits until that many messages have come and returns them all.
func (s *sink) wait(messages int) []*mapping.XMPPMessage {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.messages) < messages {
		s.cond.Wait()
	}
	return append([]*mapping.XMPPMessage(nil), s.messages...)
}

func isInquiry(v mapping.XMPP) bool {
	switch v.(type) {
	case *mapping.XMPPCommand, *mapping.XMPPRegister:
		return true
	}
	return false
}

// inquiries returns the commands and registrations that have come since it was called last.
func (s *sink) inquiries() []mapping.XMPP {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.asked
	s.asked = nil
	return out
}

// lateOnes describes the error stanzas that were handed over.
func (s *sink) lateOnes() (out []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.late {
		out = append(out, fmt.Sprint(e.ID, " ", e.From, " ", e.To, " ", e.Failure.Condition))
	}
	return out
}

// waitSettled waits until that many outcomes have come.
func (s *sink) waitSettled(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.settled < n {
		s.cond.Wait()
	}
}

// outcome returns the one outcome of ref; the test fails if there are more or none.
func (s *sink) outcome(t *testing.T, ref any) mapping.Outcome {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if got := s.outcomes[ref]; len(got) == 1 {
		return got[0]
	}
	t.Errorf("%v has the outcomes %v, want exactly one", ref, s.outcomes[ref])
	return mapping.Outcome{}
}

func (s *sink) count() (messages, settled int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.messages), s.settled
}

// logBuffer is a log that can be read while it is written.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// lines returns the lines that contain s.
func (l *logBuffer) lines(s string) (out []string) {
	for line := range strings.Lines(l.String()) {
		if strings.Contains(line, s) {
			out = append(out, line)
		}
	}
	return out
}

// rig is a component that runs against a scripted server.
type rig struct {
	*Component
	srv  *xmpptest.Server
	sink *sink
	log  *logBuffer
	stop func() // ends Run and waits for it
}

func testConfig(srv *xmpptest.Server) Config {
	return Config{Server: srv.Addr(), Domain: testDomain, Secret: testSecret, Dial: srv.Dial}
}

// start runs a component against srv; mod may change the configuration.
func start(t *testing.T, srv *xmpptest.Server, mod func(*Config)) *rig {
	t.Helper()
	cfg := testConfig(srv)
	if mod != nil {
		mod(&cfg)
	}
	r := &rig{srv: srv, sink: newSink(), log: &logBuffer{}}
	c, err := New(cfg, slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		t.Fatal(err)
	}
	c.rand = func() float64 { return 0.5 } // no jitter
	r.Component = c
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := c.Run(ctx, r.sink); err != nil {
			t.Errorf("Run: %v", err)
		}
	}()
	var once sync.Once
	r.stop = func() { once.Do(func() { cancel(); <-done }) }
	t.Cleanup(r.stop)
	return r
}

// memory starts a server without network and a component that is connected to it.
func memory(t *testing.T, opt xmpptest.Options, mod func(*Config)) (*rig, *xmpptest.Conn) {
	t.Helper()
	opt.Domain, opt.Secret = testDomain, testSecret
	r := start(t, xmpptest.NewMemory(t, opt), mod)
	return r, accept(t, r.srv)
}

// loopback is memory over TCP.
func loopback(t *testing.T, opt xmpptest.Options, mod func(*Config)) (*rig, *xmpptest.Conn) {
	t.Helper()
	opt.Domain, opt.Secret = testDomain, testSecret
	r := start(t, xmpptest.New(t, opt), mod)
	return r, accept(t, r.srv)
}

// accept waits until the link is up: until all barriers of the check are home.
func accept(t *testing.T, srv *xmpptest.Server) *xmpptest.Conn {
	t.Helper()
	conn := srv.Accept()
	if !conn.Echoed(xmpptest.LinkCheck) {
		t.Fatal("the link did not come up")
	}
	if st := fence(t, conn); len(st) != 0 {
		t.Errorf("the component begins with %s", st[0].Raw)
	}
	return conn
}

// stall lets the server end the read that is under way, and read no further. In a
// bubble there is one for certain.
func stall(c *xmpptest.Conn) {
	synctest.Wait()
	c.Stall()
}

// send writes to the component; the connection must be there.
func send(t *testing.T, c *xmpptest.Conn, text string) {
	t.Helper()
	if err := c.Send(text); err != nil {
		t.Fatal(err)
	}
}

// fence sends a ping and returns what the component wrote before its answer. The
// reader answers in stream order, so nothing to what was sent before can follow.
func fence(t *testing.T, c *xmpptest.Conn) (before []xmpptest.Stanza) {
	t.Helper()
	send(t, c, `<iq type='get' from='fence@example.com' to='sip.example.com' id='fence'><ping xmlns='urn:xmpp:ping'/></iq>`)
	for {
		st := c.Next()
		if st.Name == "iq" && st.ID == "fence" {
			return before
		}
		before = append(before, st)
	}
}

func message(id, text string) *mapping.XMPPMessage {
	return &mapping.XMPPMessage{
		From: mapping.MustParseJID("romeo@sip.example.com"), To: mapping.MustParseJID("juliet@example.com"),
		ID: id, Type: "chat", Bodies: []mapping.Text{{Value: text}},
	}
}

func parcels(values ...mapping.XMPP) []mapping.Parcel[mapping.XMPP] {
	out := make([]mapping.Parcel[mapping.XMPP], len(values))
	for i, v := range values {
		ref := fmt.Sprint("ref", i)
		if m, ok := v.(*mapping.XMPPMessage); ok && m != nil && m.ID != "" {
			ref = m.ID
		}
		out[i] = mapping.Parcel[mapping.XMPP]{Ref: ref, Value: v}
	}
	return out
}
