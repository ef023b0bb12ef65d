package accounts

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/stoxgw/stox/mapping"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeLines is a SIP side that does as it is told. Trials wait until a test ends them.
type fakeLines struct {
	mu      sync.Mutex
	lines   map[mapping.URI]Line
	trials  []trial
	over    []func() // trials that are over, and the engine is not told yet
	dropped []mapping.URI
	at      func(Line) LineState // not nil: trials end at once by it, in goroutines of their own
	before  func()               // called when a list comes, nil: nothing
	onDrop  func()               // called when a line was dropped, nil: nothing
	running sync.WaitGroup
}

type trial struct {
	line Line
	done func(LineState)
}

func newLines() *fakeLines { return &fakeLines{lines: map[mapping.URI]Line{}} }

func (f *fakeLines) SetAccounts(all []Line) {
	if f.before != nil {
		f.before()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.lines)
	for _, l := range all {
		if _, twice := f.lines[l.AOR]; twice {
			panic("an AOR stands twice in a list")
		}
		f.lines[l.AOR] = l
	}
}

func (f *fakeLines) TryAccount(l Line, done func(LineState)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.at == nil {
		f.trials = append(f.trials, trial{l, done})
		return
	}
	s := f.at(l)
	f.running.Go(func() { f.finish(trial{l, done}, s) })
}

func (f *fakeLines) finish(t trial, s LineState) {
	s.AOR = t.line.AOR
	if s.Registered {
		f.mu.Lock()
		f.lines[t.line.AOR] = t.line
		f.mu.Unlock()
	}
	t.done(s)
}

func (f *fakeLines) DropAccount(aor mapping.URI, done func()) {
	f.mu.Lock()
	delete(f.lines, aor)
	f.dropped = append(f.dropped, aor)
	f.mu.Unlock()
	if f.onDrop != nil {
		f.onDrop()
	}
	done()
}

// end ends the first trial that waits.
func (f *fakeLines) end(s LineState) {
	f.answer(s)
	f.tell()
}

// answer is what the registrar says to the first trial. The engine is told by tell.
func (f *fakeLines) answer(s LineState) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.trials[0]
	f.trials = f.trials[1:]
	s.AOR = t.line.AOR
	if s.Registered {
		f.lines[t.line.AOR] = t.line
	}
	f.over = append(f.over, func() { t.done(s) })
}

func (f *fakeLines) tell() {
	f.mu.Lock()
	told := f.over[0]
	f.over = f.over[1:]
	f.mu.Unlock()
	told()
}

func (f *fakeLines) registered() map[mapping.URI]Line {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.lines)
}

// fakeBook is a disk. What is to be written waits until a test commits it.
type fakeBook struct {
	mu      sync.Mutex
	disk    map[mapping.JID]Record
	waiting []put
	full    bool // takes nothing that somebody waits for
	now     bool // commits at once, in goroutines of their own
	running sync.WaitGroup
}

type put struct {
	batch []Record
	done  func(error)
}

var errDisk = errors.New("disk full")

func newBook() *fakeBook { return &fakeBook{disk: map[mapping.JID]Record{}} }

func (b *fakeBook) PutAccounts(batch []Record, done func(error)) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.full && done != nil {
		return errDisk
	}
	b.waiting = append(b.waiting, put{slices.Clone(batch), done})
	if b.now {
		b.running.Go(func() { b.commit(nil, true) })
	}
	return nil
}

// commit writes the first batch that waits. With an error it may be on the disk or not.
func (b *fakeBook) commit(err error, written bool) {
	b.mu.Lock()
	p := b.waiting[0]
	b.waiting = b.waiting[1:]
	if err == nil || written || p.done == nil {
		for _, r := range p.batch {
			if r.Sealed == nil {
				delete(b.disk, r.User)
				continue
			}
			for user, other := range b.disk {
				if other.AOR == r.AOR && user != r.User {
					panic("two users have one address on the disk")
				}
			}
			b.disk[r.User] = r
		}
	}
	b.mu.Unlock()
	if p.done != nil {
		p.done(err)
	}
}

func (b *fakeBook) waits() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.waiting)
}

// all has everything written.
func (b *fakeBook) all() {
	for b.waits() > 0 {
		b.commit(nil, true)
	}
}

func (b *fakeBook) records() []Record {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Collect(maps.Values(b.disk))
}

// world is an engine between a SIP side and a disk.
type world struct {
	*Engine
	lines *fakeLines
	book  *fakeBook
	log   *syncBuffer
	keys  Keys
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

type failer interface {
	Helper()
	Fatalf(string, ...any)
}

func keysOf(t failer, names ...string) Keys {
	t.Helper()
	keys, err := ReadKeys([]byte(keyFile(names...)))
	if err != nil {
		t.Fatalf("%v", err)
	}
	return keys
}

// routes that users have accounts by: one by DNS, one with a next hop.
func rulesFor(t failer, e *Engine, required bool) *mapping.Rules {
	t.Helper()
	r, err := mapping.NewRules(mapping.RulesConfig{
		GatewayDomain: "sip.example.com", SIPHost: "gw.example.com", UserDomains: []string{"example.com"}, DefaultSIPDomain: "pbx.example.net",
		Routes:   []mapping.RouteRule{{Domain: "pbx.example.net", From: "account", Account: "stox"}, {Domain: "dns.example", From: "account"}, {Domain: "other.example"}},
		Aliases:  []mapping.Alias{{SIP: mapping.MustParseURI("sip:7001@pbx.example.net"), XMPP: mapping.MustParseJID("nurse@example.com")}},
		Accounts: e, AccountsRequired: required,
	})
	if err != nil {
		t.Fatalf("%v", err)
	}
	return r
}

func (w *world) policyFor(t failer, mode Mode, allow ...string) Policy {
	t.Helper()
	access, err := mapping.NewAccess(allow)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return Policy{Mode: mode, Rules: rulesFor(t, w.Engine, mode == ModeRequired), Access: access, Keys: w.keys,
		Via: func(domain string) bool { return domain == "pbx.example.net" }}
}

// newWorld is one that has started with what is on the disk of another one, or with nothing.
func newWorld(t failer, book *fakeBook, keys Keys, mode Mode) *world {
	t.Helper()
	if book == nil {
		book = newBook()
	}
	w := &world{lines: newLines(), book: book, log: &syncBuffer{}, keys: keys}
	w.Engine = New(w.lines, book, slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	w.SetPolicy(w.policyFor(t, mode, "example.com"))
	w.Restore(book.records())
	w.Start()
	return w
}

var (
	juliet = mapping.MustParseJID("juliet@example.com")
	romeo  = mapping.MustParseJID("romeo@example.com")
	good   = LineState{State: "registered", Registered: true, Status: 200}
	wrong  = LineState{State: "refused", Status: 403}
)

// answer is what a done was called with.
type answer struct {
	n   int
	err error
}

func (a *answer) done(err error) { a.n, a.err = a.n+1, err }

// kind is what it says: "" while it was not called, "ok", or a Kind.
func (a *answer) kind() string {
	var p *Problem
	switch {
	case a.n == 0:
		return ""
	case a.n > 1:
		return "twice"
	case a.err == nil:
		return "ok"
	case errors.As(a.err, &p):
		return string(p.Kind)
	}
	return fmt.Sprint(a.err)
}

func details(aor, password string) Details { return Details{AOR: aor, Password: password} }

// must gives a user an account.
func (w *world) must(t *testing.T, user mapping.JID, d Details) {
	t.Helper()
	var a answer
	w.Set(user, d, a.done)
	if a.n == 0 {
		w.lines.end(good)
		w.book.all()
	}
	if a.kind() != "ok" {
		t.Fatalf("%s: %s", user, a.kind())
	}
}

// keyFile is a key file with a key for each name.
func keyFile(names ...string) string {
	var b strings.Builder
	for _, n := range names {
		b.WriteString("# " + n + "\n" + keyLine(n) + "\n\n")
	}
	return b.String()
}
