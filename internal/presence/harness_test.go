package presence

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/stoxgw/stox/mapping"
)

// Whoever starts Run waits for it.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// harness is a running engine between two sides that only write down what they are given,
// and a book that a restart finds again. It belongs into a bubble of synctest, whose clock
// it follows.
type harness struct {
	*Engine
	t    *testing.T
	side *fakeSide
	book *fakeBook
	log  *logBuffer

	options Options
	stop    func()
	n       int // requests that were handed over
}

// fakeSide is both sides.
type fakeSide struct {
	mu       sync.Mutex // guards the following, which a test takes out
	stanzas  []mapping.Parcel[mapping.XMPP]
	requests []mapping.Parcel[mapping.SIP]
	answers  []mapping.Result
}

type fakeXMPP struct{ *fakeSide }

func (s fakeXMPP) Deliver(batch []mapping.Parcel[mapping.XMPP]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stanzas = append(s.stanzas, batch...)
}

type fakeSIP struct{ *fakeSide }

func (s fakeSIP) Deliver(batch []mapping.Parcel[mapping.SIP]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, batch...)
}

func (s fakeSIP) Answer(batch []mapping.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers = append(s.answers, batch...)
}

// fakeBook is a book that is never behind.
type fakeBook struct {
	mu        sync.Mutex // guards the following
	relations map[pair]Relation
	dialogs   map[string]Dialog
	writes    int
}

func newFakeBook() *fakeBook {
	return &fakeBook{relations: make(map[pair]Relation), dialogs: make(map[string]Dialog)}
}

func (b *fakeBook) PutRelations(batch []Relation) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.writes += len(batch)
	for _, r := range batch {
		if r.State == 0 {
			delete(b.relations, pair{r.User, r.Contact})
		} else {
			b.relations[pair{r.User, r.Contact}] = r
		}
	}
}

func (b *fakeBook) PutDialogs(batch []Dialog) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.writes += len(batch)
	for _, d := range batch {
		if len(d.Data) == 0 {
			delete(b.dialogs, d.Key)
		} else {
			d.Data = bytes.Clone(d.Data)
			b.dialogs[d.Key] = d
		}
	}
}

// kept is what the next run finds, in an order that is always the same.
func (b *fakeBook) kept() (rs []Relation, ds []Dialog) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.relations {
		rs = append(rs, r)
	}
	slices.SortFunc(rs, func(a, b Relation) int {
		return strings.Compare(a.User.String()+a.Contact.String(), b.User.String()+b.Contact.String())
	})
	for _, key := range slices.Sorted(maps.Keys(b.dialogs)) {
		ds = append(ds, b.dialogs[key])
	}
	return rs, ds
}

// logBuffer is a log that can be read while it is written.
type logBuffer struct {
	mu sync.Mutex // guards b
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

// testRules know example.com as the domain of users, example.net as that of contacts, and
// gw.example.com as our own host in SIP.
func testRules(t testing.TB) *mapping.Rules {
	t.Helper()
	rules, err := mapping.NewRules(mapping.RulesConfig{
		GatewayDomain:    "sip.example.com",
		SIPHost:          "gw.example.com",
		UserDomains:      []string{"example.com"},
		DefaultSIPDomain: "voip.example",
		Domains:          []mapping.DomainPair{{XMPP: "example.net", SIP: "example.net"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

func testPolicy(t testing.TB) Policy {
	t.Helper()
	access, err := mapping.NewAccess([]string{"*"})
	if err != nil {
		t.Fatal(err)
	}
	return Policy{Rules: testRules(t), Access: access, Alone: true}
}

// newHarness starts an engine that ends with the test.
func newHarness(t *testing.T, change ...func(*Options)) *harness {
	t.Helper()
	h := &harness{t: t, side: &fakeSide{}, book: newFakeBook(), log: &logBuffer{}}
	h.options = Options{Policy: testPolicy(t), Book: h.book}
	for _, f := range change {
		f(&h.options)
	}
	h.start()
	t.Cleanup(func() { h.stop() })
	return h
}

// start makes an engine of what the book has, and runs it.
func (h *harness) start() {
	h.Engine = New(fakeXMPP{h.side}, fakeSIP{h.side}, h.options, slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	h.Restore(h.book.kept())
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.Run(ctx)
	}()
	h.stop = func() {
		cancel()
		<-done
	}
	h.settle()
}

// restart ends the engine, as a crash would, and starts the next. What it has given to the
// sides and was not taken out is lost.
func (h *harness) restart() {
	h.stop()
	h.side.mu.Lock()
	h.side.stanzas, h.side.requests, h.side.answers = nil, nil, nil
	h.side.mu.Unlock()
	h.start()
}

// settle waits until everything has been done that can be done now.
func (h *harness) settle() { synctest.Wait() }

// wait lets time go by.
func (h *harness) wait(d time.Duration) {
	time.Sleep(d)
	h.settle()
}

// presence hands over a stanza.
func (h *harness) presence(from, to string, typ mapping.PresenceType) {
	h.stanza(&mapping.XMPPPresence{From: mapping.MustParseJID(from), To: mapping.MustParseJID(to), Type: typ})
}

func (h *harness) stanza(v mapping.XMPP) {
	h.FromXMPP([]mapping.XMPP{v})
	h.settle()
}

// fromSIP hands over a request, and gives the answer that it had at once.
func (h *harness) fromSIP(v mapping.SIP) mapping.Outcome {
	h.t.Helper()
	h.n++
	ref := h.n
	h.FromSIP([]mapping.Parcel[mapping.SIP]{{Ref: ref, Value: v}})
	h.settle()
	h.side.mu.Lock()
	defer h.side.mu.Unlock()
	var found []mapping.Outcome
	h.side.answers = slices.DeleteFunc(h.side.answers, func(r mapping.Result) bool {
		if r.Ref == ref {
			found = append(found, r.Outcome)
		}
		return r.Ref == ref
	})
	if len(found) != 1 {
		h.t.Fatalf("%T has got %d answers, want exactly one", v, len(found))
	}
	return found[0]
}

// statusOf is the status of an answer of ours.
func statusOf(o mapping.Outcome) int {
	if o.Kind == mapping.Refused {
		return o.Failure.Status
	}
	return o.Status
}

// outcome tells what became of a request of ours.
func (h *harness) outcome(ref any, o mapping.Outcome) {
	h.SIPOutcomes([]mapping.Result{{Ref: ref, Outcome: o}})
	h.settle()
}

// answer is the outcome of a request that was answered so.
func answer(status int, e *mapping.EventAnswer) mapping.Outcome {
	o := mapping.Outcome{Kind: mapping.Answered, Status: status, Event: e}
	if status >= 300 {
		o.Failure = mapping.FailureFromStatus(status, "", 0, nil)
	}
	return o
}

// takeRequests are the requests that were handed to SIP since the last time.
func (h *harness) takeRequests() []mapping.Parcel[mapping.SIP] {
	h.side.mu.Lock()
	defer h.side.mu.Unlock()
	all := h.side.requests
	h.side.requests = nil
	return all
}

// takeStanzas are the stanzas that were handed to XMPP since the last time.
func (h *harness) takeStanzas() []mapping.Parcel[mapping.XMPP] {
	h.side.mu.Lock()
	defer h.side.mu.Unlock()
	all := h.side.stanzas
	h.side.stanzas = nil
	return all
}

// wantXMPP checks what XMPP has been told since the last time, as written by describe.
func (h *harness) wantXMPP(want ...string) {
	h.t.Helper()
	var got []string
	for _, p := range h.takeStanzas() {
		got = append(got, describe(p.Value))
	}
	if !slices.Equal(got, want) {
		h.t.Errorf("XMPP was told\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// wantNothingToSIP checks that no request was sent since the last time.
func (h *harness) wantNothingToSIP() {
	h.t.Helper()
	for _, p := range h.takeRequests() {
		h.t.Errorf("SIP was sent %T %+v, want nothing", p.Value, p.Value)
	}
}

// describe writes a presence stanza in one line: type, from and to, then what it shows.
func describe(v mapping.XMPP) string {
	p, ok := v.(*mapping.XMPPPresence)
	if !ok {
		return fmt.Sprintf("%T", v)
	}
	typ := string(p.Type)
	if typ == "" {
		typ = "available"
	}
	s := fmt.Sprintf("%s %s > %s", typ, p.From, p.To)
	if p.Nick != "" {
		s += " nick=" + p.Nick
	}
	if p.Failure != nil {
		s += fmt.Sprintf(" id=%s %s %s", p.ID, p.Failure.Condition, p.Failure.Type)
	}
	if r := p.Shows; r != nil {
		if r.Show != "" {
			s += " " + string(r.Show)
		}
		for _, t := range r.Status {
			s += fmt.Sprintf(" %s:%q", t.Lang, t.Value)
		}
		if r.HasPriority {
			s += fmt.Sprintf(" priority=%d", r.Priority)
		}
	}
	return s
}

// wantEmpty checks that the engine remembers nothing, and that no timer is left.
func (h *harness) wantEmpty() {
	h.t.Helper()
	h.settle()
	h.mu.Lock()
	defer h.mu.Unlock()
	if n := len(h.relations.all); n > 0 {
		h.t.Errorf("%d relations are left", n)
	}
	if n := len(h.relations.of) + len(h.relations.towards) + len(h.relations.byDomain); n > 0 {
		h.t.Errorf("%d counts of relations are left", n)
	}
	if n := len(h.timers.heap); n > 0 {
		h.t.Errorf("%d timers are left", n)
	}
	if rs, ds := h.book.kept(); len(rs)+len(ds) > 0 {
		h.t.Errorf("the book has %v %v", rs, ds)
	}
}
