package bridge

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/stoxgw/stox/mapping"
)

var (
	schedules = flag.Int("schedules", 800, "random schedules that the bridge is tried with")
	firstSeed = flag.Uint64("seed", 1, "the first of their seeds")
	showSteps = flag.Bool("steps", false, "say what they do")
)

// The way from XMPP to SIP under everything that may happen to it: random answers
// and delays, commits that come late or fail, a store that is full or cannot be read,
// a link that is down, crashes, restarts, an operator. What has to hold is in
// model_check_test.go (IM-32, IM-58, IM-59, IM-60, SEC-30).
func TestModel(t *testing.T) {
	var sum counts
	for seed := *firstSeed; seed < *firstSeed+uint64(*schedules); seed++ {
		ok := t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, seed)
				w.run()
				sum.add(w.counts)
			})
		})
		if !ok {
			t.Fatalf("to see it again: go test -run TestModel ./internal/bridge -schedules 1 -steps -seed %d", seed)
		}
	}
	t.Logf("%+v", sum)
	if *schedules >= 200 {
		sum.demand(t)
	}
}

// counts says what the schedules have come by: a model that never gets somewhere
// proves nothing about it.
type counts struct {
	messages, requests, delivered, errors, retries, repeats, crashes, restarts, lostRows, restored, parked, dropped, starved, arrived, notices, cuts, cutsDone, yields int
}

func (c *counts) add(d counts) {
	for _, p := range []struct {
		sum *int
		n   int
	}{
		{&c.messages, d.messages}, {&c.requests, d.requests}, {&c.delivered, d.delivered}, {&c.errors, d.errors}, {&c.retries, d.retries},
		{&c.repeats, d.repeats}, {&c.crashes, d.crashes}, {&c.restarts, d.restarts}, {&c.lostRows, d.lostRows}, {&c.restored, d.restored},
		{&c.parked, d.parked}, {&c.dropped, d.dropped}, {&c.starved, d.starved}, {&c.arrived, d.arrived}, {&c.notices, d.notices}, {&c.cuts, d.cuts}, {&c.cutsDone, d.cutsDone}, {&c.yields, d.yields},
	} {
		*p.sum += p.n
	}
}

func (c *counts) demand(t *testing.T) {
	for name, n := range map[string]int{"delivered": c.delivered, "errors": c.errors, "retries": c.retries, "repeats": c.repeats, "crashes": c.crashes,
		"restarts": c.restarts, "lost rows": c.lostRows, "restored": c.restored, "parked": c.parked, "dropped": c.dropped, "starved": c.starved,
		"arrived by a 482": c.arrived, "notices": c.notices,
		"cut into parts": c.cuts, "delivered in parts": c.cutsDone, "a part that gave up the slot": c.yields} {
		if n == 0 {
			t.Errorf("no schedule has come by this: %s", name)
		}
	}
}

// world is a bridge and everything around it. The test's goroutine does everything
// but what Run does.
type world struct {
	*testing.T
	rng    *rand.Rand
	seed   uint64
	policy Policy
	limits Limits
	b      *Bridge
	disk   *disk
	stop   func() // ends Run and waits for it
	calm   float64

	mu       sync.Mutex // guards the following: Run delivers, too
	epoch    int
	requests []*request
	stanzas  []stanza
	msgs     map[string]*model
	order    []*model
	faults   []string // what has been seen that must not be, outside of the test's goroutine
	linkDown bool
	closing  bool
	counts
}

// request is one without an answer.
type request struct {
	epoch int
	ref   any
	o     *outbound // of ref
	m     *model
	sip   *mapping.SIPMessage
}

type stanza struct {
	epoch  int
	ref    any
	m      *model
	notice bool
}

// model is what is expected of one message.
type model struct {
	id, lane string
	sender   mapping.JID
	seq      int
	row      uint64
	parts    []mapping.SIP // as journaled
	text     string        // as written
	cut      bool          // it was one request, and too long
	read     time.Time
	expire   time.Time

	part    int  // the next one
	sent    int  // requests of this part in this epoch
	open    bool // one of them has no answer
	last    *mapping.SIPMessage
	next    *mapping.SIPMessage // what the next one has to be, nil if anything goes
	amb     int                 // ambiguous ends
	restart bool
	tried   bool // the next target after a 500
	wait    time.Time
	longest time.Time // wait may not be later than this

	got []string // the bodies that SIP has accepted

	delivered, told, toldBefore, toldOK, toldLost, notices int
	appended, committed, gone, shaken                      bool
	ended                                                  bool
}

var modelUsers = []string{"anna@example.com/a", "anna@example.com/b", "bert@example.com/x", "cora@example.org/x", "dora@example.org/y"}

func newWorld(t *testing.T, seed uint64) *world {
	rng := rand.New(rand.NewPCG(seed, 1))
	rules, err := mapping.NewRules(mapping.RulesConfig{GatewayDomain: "sip.example.com", SIPHost: "sip.example.com",
		UserDomains: []string{"example.com", "example.org"}, DefaultSIPDomain: "pbx.example.net"})
	if err != nil {
		t.Fatal(err)
	}
	access, err := mapping.NewAccess([]string{"example.com", "example.org"})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{T: t, rng: rng, seed: seed, disk: newDisk(rng), msgs: map[string]*model{}, calm: rng.Float64()}
	w.policy = Policy{Rules: rules, Access: access, Notice: true, Expire: time.Duration(20+rng.IntN(280)) * time.Second}
	w.limits = Limits{FIFO: 1 + rng.IntN(8), Lane: 3 + rng.IntN(10), Total: 4 + rng.IntN(60), Stored: 20 + rng.IntN(100), Open: 1 + rng.IntN(24)}
	w.start()
	return w
}

// start makes a bridge of what is on the disk.
func (w *world) start() {
	w.mu.Lock()
	w.epoch++
	w.closing = false
	w.mu.Unlock()
	w.b = New(modelXMPP{w, w.epoch}, modelSIP{w, w.epoch}, w.disk, Options{Policy: w.policy, Secret: []byte("secret"), Limits: w.limits,
		Full: func(err error) bool { return err == errFull }}, slog.New(slog.DiscardHandler))
	w.b.ahead = 1 + int(w.seed%6) // less than there are messages in a lane
	if err := w.disk.restore(w.b); err != nil {
		w.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := w.b.Run(ctx); err != nil {
			panic(err)
		}
	}()
	w.stop = func() {
		cancel()
		<-done
	}
	synctest.Wait()
}

// say tells what happens, for whoever looks into a schedule that fails.
func (w *world) say(format string, args ...any) {
	if *showSteps {
		w.Logf(format, args...)
	}
}

func (w *world) run() {
	for range 20 + w.rng.IntN(120) {
		w.step()
		synctest.Wait()
		w.check()
		if w.Failed() {
			w.stop()
			return
		}
	}
	w.heal()
	w.stop()
}

// step lets one thing happen.
func (w *world) step() {
	if w.rng.Float64() < 0.5 { // what happens all the time
		switch w.rng.IntN(8) {
		case 0, 1:
			w.write()
		case 2, 3:
			w.answer(w.outcome)
		case 4:
			w.confirm()
		case 5:
			w.disk.begin()
		case 6:
			w.finishCommit()
		case 7:
			w.disk.report(w.b)
		}
		return
	}
	if w.rng.Float64() < w.calm {
		switch w.rng.IntN(3) {
		case 0:
			w.settleDisk()
		case 1:
			time.Sleep(time.Duration(w.rng.IntN(3000)) * time.Millisecond)
		case 2:
			w.answer(func() mapping.Outcome { return answered(200) })
		}
		return
	}
	switch w.rng.IntN(16) {
	case 0:
		w.disk.mu.Lock()
		w.disk.broken = !w.disk.broken && w.rng.IntN(2) == 0
		w.disk.mu.Unlock()
	case 1:
		w.disk.mu.Lock()
		w.disk.full = max(w.rng.IntN(6)-4, -1)
		w.disk.mu.Unlock()
	case 2:
		w.disk.mu.Lock()
		w.disk.refuse = !w.disk.refuse && w.rng.IntN(2) == 0
		w.disk.mu.Unlock()
	case 3:
		w.disk.mu.Lock()
		w.disk.blind = !w.disk.blind && w.rng.IntN(2) == 0
		w.disk.mu.Unlock()
	case 4:
		w.linkDown = !w.linkDown && w.rng.IntN(2) == 0
	case 5:
		w.operate()
	case 6:
		if w.rng.IntN(3) == 0 {
			w.crash()
		}
	case 7:
		if w.rng.IntN(3) == 0 {
			w.restart()
		}
	case 8:
		w.disk.flush()
	case 9:
		time.Sleep(time.Duration(w.rng.IntN(40)) * time.Second)
	case 10, 11:
		w.settleDisk()
	default:
		time.Sleep(time.Duration(w.rng.IntN(1500)) * time.Millisecond)
	}
}

// write has users write to contacts.
func (w *world) write() {
	var batch []mapping.XMPP
	for range 1 + w.rng.IntN(4) {
		from := modelUsers[w.rng.IntN(len(modelUsers))]
		to := fmt.Sprintf("c%d@sip.example.com", min(w.rng.IntN(8), w.rng.IntN(8)))
		id := fmt.Sprint("m", len(w.order))
		jid := mapping.MustParseJID(from)
		m := &model{id: id, sender: jid.Bare(), seq: len(w.order), read: time.Now(), expire: time.Now().Add(w.policy.Expire)}
		w.mu.Lock()
		w.msgs[id] = m
		w.order = append(w.order, m)
		w.messages++
		w.mu.Unlock()
		if w.rng.IntN(8) == 0 {
			w.b.FromXMPP(batch)
			batch = nil
			w.writeParts(m, from, to)
		} else {
			m.text = "text of " + id
			for range w.rng.IntN(3) * w.rng.IntN(30) {
				m.text += " " + strings.Repeat("é", w.rng.IntN(8)) + fmt.Sprint(w.rng.IntN(1000))
			}
			batch = append(batch, fromXMPP(id, from, to, m.text))
		}
	}
	w.b.FromXMPP(batch)
	w.learn()
}

// writeParts has a message go in several requests.
func (w *world) writeParts(m *model, from, to string) {
	o := &outbound{id: m.id, from: mapping.MustParseJID(from), to: mapping.MustParseJID(to), sender: m.sender, read: m.read, expire: m.expire}
	for i := range 2 + w.rng.IntN(2) {
		parts, err := w.policy.Rules.ToSIP(fromXMPP(m.id, from, to, fmt.Sprint("part ", i, " of ", m.id)))
		if err != nil {
			w.Fatal(err)
		}
		m.text += fmt.Sprint("part ", i, " of ", m.id)
		w.b.ids.fill(parts[0].(*mapping.SIPMessage))
		o.parts = append(o.parts, parts[0])
	}
	o.measure()
	out := work{now: time.Now()}
	w.b.mu.Lock()
	w.b.enqueue(&out, []*outbound{o}, w.b.formats.owners.Load())
	w.b.unlock(&out)
}

// learn looks at what the journal was given: which messages were taken, and as what.
func (w *world) learn() {
	w.disk.mu.Lock()
	defer w.disk.mu.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.disk.put {
		o, err := decode(r)
		if err != nil {
			w.Fatal(err)
		}
		if m := w.msgs[o.id]; !m.appended {
			m.appended, m.lane, m.parts, m.row = true, o.lane, o.parts, r.ID
			w.say("%s of %s is taken, for %s", m.id, m.sender, m.lane)
		}
	}
}

func (w *world) finishCommit() {
	w.disk.finish()
	w.learnCommits()
}

func (w *world) settleDisk() {
	w.disk.settle(w.b)
	w.learnCommits()
}

// learnCommits notes what has got to the disk.
func (w *world) learnCommits() {
	w.disk.mu.Lock()
	defer w.disk.mu.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.disk.rows {
		if o, err := decode(r); err != nil {
			w.Error(err)
		} else {
			w.msgs[o.id].committed = true
		}
	}
}

// outcome is what may become of a request.
func (w *world) outcome() mapping.Outcome {
	more := w.rng.IntN(3) == 0
	kinds := []int{200, 200, 200, 202, 404, 408, 430, 482, 482, 486, 500, 503, 503, 504, -1, -1, -2, -3, -3, -4, -4}
	status := kinds[w.rng.IntN(len(kinds))]
	switch status {
	case -1:
		return mapping.Outcome{Kind: mapping.NotWritten, More: more}
	case -2:
		return mapping.Outcome{Kind: mapping.NotWritten, Failure: mapping.FailDNS(), More: more}
	case -3:
		return mapping.Outcome{Kind: mapping.Unknown, More: more}
	case -4: // how much room there is, answer says
		return mapping.Outcome{Kind: mapping.NotWritten, Failure: mapping.FailTooLarge(1300), Room: 1, More: more}
	}
	o := mapping.Outcome{Kind: mapping.Answered, Status: status, More: more && status >= 300}
	if status >= 300 {
		var after time.Duration
		if w.rng.IntN(3) == 0 {
			after = time.Duration(1+w.rng.IntN(100)) * time.Second
		}
		o.Failure = mapping.FailureFromStatus(status, "", after, nil)
	}
	return o
}

// answer ends one of the requests that are open.
func (w *world) answer(outcome func() mapping.Outcome) {
	w.mu.Lock()
	if len(w.requests) == 0 {
		w.mu.Unlock()
		return
	}
	i := w.rng.IntN(len(w.requests))
	r := w.requests[i]
	w.requests = append(w.requests[:i], w.requests[i+1:]...)
	out := outcome()
	if out.Room > 0 {
		out.Room = w.rng.IntN(len(r.sip.Body))
		if w.rng.IntN(4) == 0 { // the way to an SMS trunk
			out.Room, out.Chars = len(r.sip.Body), w.rng.IntN(utf8.RuneCount(r.sip.Body)-1)+1
		}
	}
	w.mu.Unlock()
	w.say("%s to %s: answer %v %d, more %v", r.m.id, r.m.lane, out.Kind, out.Status, out.More)
	want := w.expect(r, out)
	w.b.SIPOutcomes([]mapping.Result{{Ref: r.ref, Outcome: out}})
	if want == cuts {
		w.learnParts(r, out.Room, out.Chars)
	}
	w.compare(r.m, want, out)
}

// learnParts looks at what the text of a request that was too long was cut into.
func (w *world) learnParts(r *request, room, chars int) {
	o := r.o
	w.b.mu.Lock()
	parts := slices.Clone(o.parts)
	w.b.mu.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	m := r.m
	w.cuts++
	texts, _ := mapping.Split(string(r.sip.Body), room, chars)
	tags := map[string]bool{r.sip.FromTag: true}
	var bodies []string
	calls := map[string]bool{}
	for i, p := range parts {
		s := p.(*mapping.SIPMessage)
		bodies = append(bodies, string(s.Body))
		if tags[s.FromTag] || calls[s.CallID] || (i == 0) != (s.CallID == r.sip.CallID) {
			w.fault(m, "a part has the From tag or the Call-ID of another one, or the first one not that of the whole")
		}
		tags[s.FromTag], calls[s.CallID] = true, true
	}
	if !slices.Equal(bodies, texts) {
		w.fault(m, "is cut into %q, want %q", bodies, texts)
	}
	m.parts, m.cut = parts, true
	m.part, m.sent, m.amb, m.restart, m.tried, m.last = 0, 0, 0, false, false, nil
}

// confirm tells what became of one of the stanzas.
func (w *world) confirm() {
	w.mu.Lock()
	if len(w.stanzas) == 0 {
		w.mu.Unlock()
		return
	}
	i := w.rng.IntN(len(w.stanzas))
	s := w.stanzas[i]
	w.stanzas = append(w.stanzas[:i], w.stanzas[i+1:]...)
	kinds := []mapping.OutcomeKind{mapping.Processed, mapping.Processed, mapping.Bounced}
	if w.linkDown {
		kinds = []mapping.OutcomeKind{mapping.NotWritten, mapping.Uncertain, mapping.Unknown}
	}
	k := kinds[w.rng.IntN(len(kinds))]
	switch {
	case w.linkDown:
		s.m.toldLost++
	case !s.notice:
		s.m.toldOK++
	}
	w.mu.Unlock()
	w.say("%s: stanza %v", s.m.id, k)
	w.b.XMPPOutcomes([]mapping.Result{{Ref: s.ref, Outcome: mapping.Outcome{Kind: k}}})
}

// operate has the operator do something to one of the rows.
func (w *world) operate() {
	rows := w.disk.all()
	if len(rows) == 0 {
		return
	}
	r := rows[w.rng.IntN(len(rows))]
	got, err := ReadRow(r)
	if err != nil {
		w.Fatal(err)
	}
	m := w.msgs[got.Stanza]
	if w.rng.IntN(2) == 0 {
		w.say("%s: drop", m.id)
		ended := m.ended
		w.mu.Lock()
		givenUp := m.told > 0 || got.State == Reporting
		w.mu.Unlock()
		m.ended = true // what comes after it may leave at once
		if w.b.Drop(r.ID) == nil {
			w.dropped++
			if givenUp { // the operator does not want it told
				w.mu.Lock()
				m.toldOK++
				w.mu.Unlock()
			}
		} else {
			m.ended = ended
		}
		return
	}
	w.say("%s: try now", m.id)
	w.mu.Lock()
	for _, o := range w.order { // the first of its FIFO need not wait
		if o.lane == m.lane && o.sender == m.sender {
			o.wait = time.Time{}
		}
	}
	w.mu.Unlock()
	if _, err := w.b.RetryNow(r.ID); err != nil && err != ErrNoRow && err != ErrUnderWay && err != ErrReporting && err != errDisk {
		w.Error(err)
	}
}
