package component

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/internal/xmpptest"
	"github.com/stoxgw/stox/mapping"
)

// The model knows of the component only what the server sees: which stanza came
// before which, and when. From that and from what it did itself it says what the
// outcome of each message must be at every moment.

type modelMessage struct {
	id, track string
	isError   bool
	due       time.Time
	seen      int       // place on the present link; 0: not seen on it
	copies    int       // written so far
	first     time.Time // when a barrier behind it came home
	ripe      time.Time // when the second may be written
	want      mapping.OutcomeKind
	lost      bool // waits for a link
	overdue   bool // an error that has waited for longer than a message would
}

type modelPing struct {
	st   xmpptest.Stanza
	seen int
	at   time.Time
}

type modelTrack struct {
	open      []modelPing
	misses    int
	suspended time.Time
	settle    settle // of our own domain; tested by itself
}

type model struct {
	t       *testing.T
	seed    uint64
	rnd     *rand.Rand
	r       *rig
	settled bool
	msgs    []*modelMessage
	byID    map[string]*modelMessage
	tracks  map[string]*modelTrack
	seen    int
	trace   []string

	mu   sync.Mutex // guards the rest: the server's goroutine appends
	news []modelNews
	conn *xmpptest.Conn
	echo map[*xmpptest.Conn]int
}

type modelNews struct {
	conn *xmpptest.Conn
	st   xmpptest.Stanza
	at   time.Time
}

func (m *model) note(format string, a ...any) {
	m.trace = append(m.trace, fmt.Sprintf("%s ", time.Now().Format("04:05.000000"))+fmt.Sprintf(format, a...))
}

func (m *model) fail(format string, a ...any) {
	m.t.Helper()
	m.t.Fatalf("seed %d: %s\n%s", m.seed, fmt.Sprintf(format, a...), strings.Join(m.trace, "\n"))
}

func (m *model) options() xmpptest.Options {
	note := func(c *xmpptest.Conn, st xmpptest.Stanza) bool {
		m.news = append(m.news, modelNews{c, st, time.Now()})
		m.conn = c
		return true
	}
	return xmpptest.Options{Domain: testDomain, Secret: testSecret,
		OnStanza: func(c *xmpptest.Conn, st xmpptest.Stanza) bool {
			m.mu.Lock()
			defer m.mu.Unlock()
			return note(c, st)
		},
		OnIQ: func(c *xmpptest.Conn, st xmpptest.Stanza) bool {
			if _, kind, _ := strings.Cut(st.ID, "-"); kind[0] != 'b' && kind[0] != 'd' {
				return false
			}
			m.mu.Lock()
			defer m.mu.Unlock()
			if m.echo[c] < xmpptest.LinkCheck {
				m.echo[c]++
				return false
			}
			return note(c, st)
		}}
}

func (m *model) track(name string) *modelTrack {
	if m.tracks[name] == nil {
		m.tracks[name] = &modelTrack{settle: settle{most: settleMost}}
	}
	return m.tracks[name]
}

// observe takes in what the server has read.
func (m *model) observe() {
	m.mu.Lock()
	news := m.news
	m.news = nil
	m.mu.Unlock()
	for _, n := range news {
		m.seen++
		if n.st.Name == "iq" {
			t := m.track(n.st.To)
			t.open = append(t.open, modelPing{n.st, m.seen, n.at})
			m.note("saw ping %s to %s", n.st.ID[len(n.st.ID)-3:], n.st.To)
			continue
		}
		x := m.byID[n.st.ID]
		if x == nil || x.want != 0 && x.copies > 0 {
			m.fail("the server got %s, which is nothing that is open", n.st.Raw)
		}
		if x.copies++; x.copies > 2 || x.copies == 2 && !x.lost {
			m.fail("copy %d of %s", x.copies, x.id)
		}
		if x.copies == 2 {
			x.due = n.at.Add(5 * time.Second)
		}
		x.lost, x.seen, x.first = false, m.seen, time.Time{}
		m.note("saw %s copy %d", x.id, x.copies)
	}
}

func (x *modelMessage) open() bool { return x.want == 0 }

// tick does what time demands.
func (m *model) tick() {
	now := time.Now()
	for _, x := range m.msgs {
		switch {
		case !x.open() || now.Before(x.due):
		case x.lost:
			x.want = mapping.Uncertain
		case x.isError:
			x.overdue = true // and waits on
		default:
			x.want = mapping.Unknown
		}
	}
	for name, t := range m.tracks {
		if name == testDomain {
			continue
		}
		for len(t.open) > 0 && !now.Before(t.open[0].at.Add(5*time.Second)) {
			t.open = t.open[1:]
			if t.misses++; t.misses >= 3 && t.suspended.IsZero() {
				t.suspended = now.Add(time.Minute)
				for _, x := range m.msgs {
					if x.open() && x.track == name && !x.lost {
						x.want = mapping.Unknown
					}
				}
			}
		}
		if !t.suspended.IsZero() && !now.Before(t.suspended) {
			t.misses, t.suspended = 0, time.Time{}
		}
	}
}

// next is the nearest time at which something happens by itself.
func (m *model) next(limit time.Time) time.Time {
	now := time.Now()
	consider := func(at time.Time) {
		if at.After(now) && at.Before(limit) {
			limit = at
		}
	}
	for _, x := range m.msgs {
		if x.open() {
			consider(x.due)
			if !x.first.IsZero() {
				consider(x.ripe)
			}
		}
	}
	for _, t := range m.tracks {
		for _, p := range t.open {
			consider(p.at.Add(5 * time.Second))
		}
		if !t.suspended.IsZero() { // it is probed every now and then
			consider(t.suspended)
			consider(now.Add(time.Second))
		}
	}
	consider(m.r.Status().RetryAt)
	return limit
}

func (m *model) sleep(d time.Duration) {
	m.note("sleep %v", d)
	for end := time.Now().Add(d); time.Now().Before(end); {
		time.Sleep(time.Until(m.next(end)))
		m.check()
	}
}

// check waits until nothing moves and compares.
func (m *model) check() {
	synctest.Wait()
	m.tick()
	m.observe()
	now := time.Now()
	up := m.r.Status().State == StateUp
	for name, t := range m.tracks {
		if len(t.open) > maxOpen {
			m.fail("%d barriers open to %s", len(t.open), name)
		}
	}
	m.r.sink.mu.Lock()
	defer m.r.sink.mu.Unlock()
	for _, x := range m.msgs {
		got := m.r.sink.outcomes[x.id]
		if x.open() && len(got) != 0 || !x.open() && (len(got) != 1 || got[0].Kind != x.want) {
			m.fail("%s is %v, want %v (copies %d, lost %v)", x.id, got, x.want, x.copies, x.lost)
		}
		if !x.open() {
			continue
		}
		if up && x.lost {
			m.fail("%s was not written again", x.id)
		}
		t := m.track(x.track)
		if !up || len(t.open) >= maxOpen {
			continue
		}
		covered, second := false, x.first.IsZero() || now.Before(x.ripe)
		for _, p := range t.open {
			covered = covered || p.seen > x.seen
			second = second || !p.at.Before(x.ripe)
		}
		if x.first.IsZero() && !covered || !second {
			m.fail("%s waits for a barrier that was not written", x.id)
		}
	}
}

func (m *model) deliver() {
	up := m.r.Status().State == StateUp
	var batch []mapping.Parcel[mapping.XMPP]
	for range 1 + m.rnd.IntN(4) {
		x := &modelMessage{id: fmt.Sprint("m", len(m.msgs)), track: testDomain, due: time.Now().Add(5 * time.Second), isError: m.rnd.IntN(6) == 0}
		domain := []string{"example.com", "example.com", "example.net", "example.org"}[m.rnd.IntN(4)]
		var v mapping.XMPP = to(x.id, "juliet@"+domain)
		if x.isError {
			v = &mapping.XMPPError{From: message("", "").From, To: mapping.MustParseJID("juliet@" + domain), ID: x.id, Failure: mapping.FailDNS()}
		} else if domain != "example.com" {
			x.track = domain
		}
		switch {
		case !up:
			x.want = mapping.NotWritten
		case !m.track(x.track).suspended.IsZero():
			x.want = mapping.Unknown
		}
		m.msgs, m.byID[x.id] = append(m.msgs, x), x
		batch = append(batch, mapping.Parcel[mapping.XMPP]{Ref: x.id, Value: v})
		m.note("deliver %s to %s, error %v, up %v", x.id, domain, x.isError, up)
	}
	m.r.Deliver(batch)
}

// pick is a track with pings, and its name.
func (m *model) pick() (string, *modelTrack) {
	for _, name := range []string{testDomain, "example.net", "example.org", testDomain}[m.rnd.IntN(3):] {
		if t := m.tracks[name]; t != nil && len(t.open) > 0 {
			return name, t
		}
	}
	return "", nil
}

// answer lets a ping come home: the oldest, or the younger of two.
func (m *model) answer(younger bool) {
	name, t := m.pick()
	if t == nil || younger && len(t.open) < 2 {
		return
	}
	i := 0
	if younger {
		i = 1
	}
	p := t.open[i]
	m.note("answer ping %s of %s, younger %v", p.st.ID[len(p.st.ID)-3:], name, younger)
	if name == testDomain {
		m.conn.Echo(p.st)
		t.settle.trip(time.Since(p.at), time.Now())
	} else {
		m.conn.Result(p.st)
		t.misses, t.suspended = 0, time.Time{}
	}
	t.open = t.open[i+1:]
	if younger && name == testDomain {
		m.lose(mapping.Unknown)
		return
	}
	ripe := m.ripe(name)
	for _, x := range m.msgs {
		if !x.open() || x.lost || x.track != name || x.seen > p.seen {
			continue
		}
		switch {
		case younger:
			x.want = mapping.Unknown
		case !m.settled:
			x.want = mapping.Processed
		case x.first.IsZero():
			x.first, x.ripe = time.Now(), ripe
		case !p.at.Before(x.ripe):
			x.want = mapping.Processed
		case x.first.Equal(time.Now()):
			x.ripe = ripe // one wave
		}
	}
}

// ripe is when the second barrier may be written of what the first confirms now.
func (m *model) ripe(name string) time.Time {
	now := time.Now()
	if name != testDomain {
		return now.Add(settleTime)
	}
	s := &m.track(name).settle
	s.until = later(s.until, now.Add(s.wait(now)))
	return s.until
}

// late notes that x has bounced after its first barrier.
func (m *model) late(x *modelMessage) {
	until := m.track(testDomain).settle.late(time.Since(x.first), time.Now())
	for _, y := range m.msgs {
		if y.open() && !y.lost && y.track == testDomain && !y.first.IsZero() && !y.first.Before(x.first) {
			y.ripe = later(y.ripe, until)
		}
	}
}

// refuse answers a domain's ping with an error.
func (m *model) refuse() {
	name, t := m.pick()
	if t == nil || name == testDomain {
		return
	}
	p := t.open[0]
	t.open, t.misses, t.suspended = t.open[1:], 0, time.Time{}
	m.note("%s cannot be reached", name)
	m.conn.Bounce(p.st, "remote-server-timeout")
	for _, x := range m.msgs {
		if x.open() && !x.lost && x.track == name && x.seen < p.seen {
			x.want = mapping.Bounced
			if !x.first.IsZero() {
				x.want = mapping.Unknown
			}
		}
	}
}

func (m *model) bounce() {
	if len(m.msgs) == 0 || m.conn == nil || m.r.Status().State != StateUp {
		return
	}
	x := m.msgs[max(0, len(m.msgs)-1-m.rnd.IntN(8))]
	if x.copies == 0 || x.isError {
		return
	}
	m.note("bounce %s", x.id)
	domain := x.track
	if domain == testDomain {
		domain = "example.com"
	}
	m.conn.Bounce(xmpptest.Stanza{Name: "message", From: "romeo@" + testDomain, To: "juliet@" + domain, ID: x.id}, "service-unavailable")
	if x.open() && !x.lost {
		x.want = mapping.Bounced
		if m.settled && x.track == testDomain && !x.first.IsZero() {
			m.late(x)
		}
	}
}

// lose ends what the model knows of the link; fate is that of what was open on
// it, zero if it is written again.
func (m *model) lose(fate mapping.OutcomeKind) {
	for _, x := range m.msgs {
		if !x.open() || x.lost {
			continue
		}
		switch {
		case fate != 0:
			x.want = fate
		case x.copies == 2:
			x.want = mapping.Uncertain
		default:
			x.lost = true
		}
	}
	clear(m.tracks)
}

func (m *model) drop() {
	if m.r.Status().State != StateUp || m.conn == nil {
		return
	}
	m.note("drop")
	m.lose(0)
	m.conn.Drop()
}

func (m *model) run(steps int) {
	defer m.r.stop()
	for range steps {
		switch n := m.rnd.IntN(100); {
		case n < 30:
			m.deliver()
		case n < 60:
			m.answer(false)
		case n < 70:
			m.bounce()
		case n < 74:
			m.refuse()
		case n < 76:
			m.answer(true)
		case n < 79:
			m.drop()
		case n < 81:
			err := error(nil)
			if m.rnd.IntN(2) == 0 {
				err = fmt.Errorf("down")
			}
			m.r.srv.Refuse(err)
		case n < 95:
			m.sleep([]time.Duration{time.Millisecond, 2 * time.Millisecond, 3 * time.Millisecond, 50 * time.Millisecond}[m.rnd.IntN(4)])
		default:
			m.sleep([]time.Duration{time.Second, 2 * time.Second, 5 * time.Second, 20 * time.Second, 70 * time.Second}[m.rnd.IntN(5)])
		}
		m.check()
	}
	m.r.stop()
	if p := &m.r.q.pending; p.entries != 0 || p.open != 0 || p.held != 0 || p.ids != 0 {
		m.fail("left behind: %d entries, %d open, %d octets, %d ids", p.entries, p.open, p.held, p.ids)
	}
	for _, x := range m.msgs {
		o := m.r.sink.outcome(m.t, x.id)
		if x.open() && o.Kind != mapping.Unknown && o.Kind != mapping.Uncertain || !x.open() && o.Kind != x.want {
			m.fail("%s is %v at the end, want %v", x.id, o.Kind, x.want)
		}
	}
}

// TestModel: random schedules (messages, bounces before and after their barrier,
// barriers that come home late, never or out of order, domains that fail, links
// that break and return) end as the model says: GW-07, GW-33, GW-34, IM-56.
func TestModel(t *testing.T) {
	schedules := 2000
	if testing.Short() {
		schedules = 200
	}
	kinds, overdue := make(map[mapping.OutcomeKind]int), make(map[mapping.OutcomeKind]int)
	second := 0
	for seed := range uint64(schedules) {
		synctest.Test(t, func(t *testing.T) {
			m := &model{t: t, seed: seed, rnd: rand.New(rand.NewPCG(seed, 1)), settled: seed%2 == 1,
				byID: make(map[string]*modelMessage), tracks: make(map[string]*modelTrack), echo: make(map[*xmpptest.Conn]int)}
			m.r = start(t, xmpptest.NewMemory(t, m.options()), func(c *Config) {
				c.PingTimeout = 100 * time.Hour
				if c.Barrier = BarrierSingle; m.settled {
					c.Barrier = BarrierSettled
				}
			})
			synctest.Wait()
			m.run(60)
			for _, x := range m.msgs {
				kinds[x.want]++
				if x.overdue {
					overdue[x.want]++
				}
				if x.copies == 2 {
					second++
				}
			}
		})
		if t.Failed() {
			return
		}
	}
	t.Logf("outcomes %v, of errors that waited long %v, second copies %d", kinds, overdue, second)
	for _, k := range []mapping.OutcomeKind{mapping.Processed, mapping.Bounced, mapping.NotWritten, mapping.Unknown, mapping.Uncertain} {
		if kinds[k] < schedules/10 {
			t.Errorf("only %d outcomes are %v: the schedules show nothing about it", kinds[k], k)
		}
	}
	for _, k := range []mapping.OutcomeKind{mapping.Processed, mapping.Uncertain} {
		if overdue[k] < schedules/10 {
			t.Errorf("only %d outcomes of errors that waited long are %v", overdue[k], k)
		}
	}
	if second < schedules/20 {
		t.Errorf("only %d second copies", second)
	}
}
