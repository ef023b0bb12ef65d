package presence

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// Whatever happens in whatever order - SUBSCRIBE requests that are new, refresh, poll or are
// wrong, stanzas of all types of the right users and of others, answers of all kinds to NOTIFY,
// time, restarts, links that come back, an access list that changes - every SUBSCRIBE has one
// answer, each 200 is followed by a NOTIFY, and nobody is told anything but what is so, and
// what the user lets him see at that moment.
func TestNotifierModel(t *testing.T) {
	did := make(map[string]int)
	for seed := range uint64(300) {
		ok := t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &notifierModel{harness: newHarness(t), rng: rand.New(rand.NewPCG(seed, 9)), did: did, pairs: make(map[pair]*notifierPair)}
				for _, u := range []string{"juliet", "nurse"} {
					for _, c := range []string{"romeo", "tybalt"} {
						p := pair{mapping.MustParseJID(u + "@example.com"), mapping.MustParseJID(c + "@example.net")}
						m.pairs[p] = &notifierPair{pair: p, shown: make(map[string]*notifierDevice), early: make(map[string]mapping.Show)}
						m.order = append(m.order, m.pairs[p])
					}
				}
				m.play()
			})
		})
		if !ok {
			return
		}
	}
	for _, what := range []string{"SUBSCRIBE 200", "SUBSCRIBE 403", "SUBSCRIBE 423", "SUBSCRIBE 481", "SUBSCRIBE 489", "SUBSCRIBE 500", "SUBSCRIBE 503",
		"pending", "active", "active with a body", "terminated timeout", "terminated timeout with a body", "terminated rejected", "terminated noresource",
		"restart", "a second try", "XMPP subscribe", "XMPP probe", "XMPP unavailable", "said to nobody"} {
		if did[what] == 0 {
			t.Errorf("no schedule has come by this: %s", what)
		}
	}
	t.Log(did)
}

// notifierModel plays all others, and knows what may be said.
type notifierModel struct {
	*harness
	rng    *rand.Rand
	did    map[string]int
	pairs  map[pair]*notifierPair
	order  []*notifierPair
	agents []*notifierAgent
	closed bool // access lets nobody
	drains bool
}

// notifierPair is a user and a contact.
type notifierPair struct {
	pair
	granted, declined bool
	asked             time.Time
	shown             map[string]*notifierDevice
	early             map[string]mapping.Show // what was shown before the consent: all of it, whatever is kept
	asking            []any                   // refs of stanzas without an outcome
}

// notifierDevice is a resource that is available, as far as the contact has been told.
type notifierDevice struct {
	show  mapping.Show
	stale time.Time // it may be gone from then on; zero: it is not
}

// notifierAgent is a user agent with one dialog.
type notifierAgent struct {
	*agent
	*notifierPair
	gone     bool // the dialog is over for certain ...
	doubtful bool // ... or maybe
	owed     bool // a 200 was not followed by a NOTIFY yet
	open     any  // ref of the NOTIFY on its way
	last     bool // it is the last one
	over     bool // the last one was taken
	failed   bool // the NOTIFY before was not taken
	until    time.Time
	said     time.Time // when there was a body; zero: one may be said at once
	seq      uint32
}

func (m *notifierModel) pick(n int) int { return m.rng.IntN(n) }

func (m *notifierModel) play() {
	for range 120 {
		m.step()
		m.check()
		if m.t.Failed() {
			m.t.Log("what has happened:\n" + m.log.String())
			return
		}
	}
	m.finish()
}

func (m *notifierModel) step() {
	p := m.order[m.pick(len(m.order))]
	switch m.pick(20) {
	case 0, 1:
		m.begin(p)
	case 2, 3:
		m.resume()
	case 4, 5:
		m.grants(p, mapping.Subscribed)
	case 6:
		m.grants(p, mapping.Unsubscribed)
	case 7, 8, 9, 10:
		m.shows(p)
	case 11, 12, 13, 14, 15:
		m.answers()
	case 16, 17:
		d := []time.Duration{time.Millisecond, time.Second, 6 * time.Second, 40 * time.Second, 20 * time.Minute, 2 * time.Hour}[m.pick(6)]
		m.pass(d)
	case 18:
		m.outcomes(p)
	default:
		m.upheaval()
	}
}

// pass lets time go by, and looks at what is said when it is said; in the middle of a long time
// that is not so precise.
func (m *notifierModel) pass(d time.Duration) {
	for at := time.Duration(0); at < d; {
		step := min(time.Second, d-at)
		if at >= time.Minute && d-at > time.Minute {
			step = min(time.Minute, d-at-time.Minute)
		}
		m.wait(step)
		m.check()
		at += step
	}
}

// beginWatcher has a new user agent subscribe, or poll, or ask for what is not to be had.
func (m *notifierModel) begin(p *notifierPair) {
	alive := 0
	for _, a := range m.agents {
		if a.notifierPair == p && !a.gone {
			alive++
		}
	}
	if alive >= maxWatchersOfPair-1 {
		return
	}
	a := &notifierAgent{notifierPair: p, agent: m.agent(fmt.Sprintf("c%d", len(m.agents)), func(v *mapping.SIPSubscribe) {
		v.RequestURI = mapping.MustParseURI("sip:" + p.user.String())
		v.To, v.From = v.RequestURI, mapping.MustParseURI("sip:"+p.contact.String())
		v.FromTag = fmt.Sprintf("t%d", len(m.agents))
	})}
	a.next.Expires = []int{60, 600, 3600, 3600, 7200, 0, 0, 30}[m.pick(8)]
	if m.pick(12) == 0 {
		a.next.Package = "dialog"
	}
	a.next.CSeq = 1
	v := a.next
	o := m.fromSIP(&v)
	switch {
	case v.Package != "presence":
		m.wantStatus(o, 489)
	case v.Expires == 30:
		m.wantStatus(o, 423)
	case m.drains:
		m.wantStatus(o, 503)
	case m.closed:
		m.wantStatus(o, 403)
	default:
		m.wantStatus(o, 200)
		a.next.ToTag = o.Event.Tag
		a.accepted(o.Event.Expires)
		a.gone = v.Expires == 0 || p.declined
		m.agents = append(m.agents, a)
	}
}

func (a *notifierAgent) accepted(expires int) {
	a.owed, a.said = true, time.Time{}
	a.until = time.Now().Add(time.Duration(expires) * time.Second)
}

func (m *notifierModel) wantStatus(o mapping.Outcome, status ...int) {
	m.t.Helper()
	got := statusOf(o)
	fmt.Fprintln(m.log, "SUBSCRIBE", got)
	m.did[fmt.Sprint("SUBSCRIBE ", got)]++
	if !slices.Contains(status, got) {
		m.t.Errorf("answered %d, want %v", got, status)
	}
	if got == 200 && (o.Event == nil || o.Event.Tag == "" || o.Event.Contact.GR == "" || o.Event.Expires < 0 || o.Event.Expires > 3600) {
		m.t.Errorf("a 200 says %+v", o.Event)
	}
}

// resumeWatcher has a user agent refresh, or end, or somebody else try to.
func (m *notifierModel) resume() {
	if len(m.agents) == 0 {
		return
	}
	a := m.agents[m.pick(len(m.agents))]
	v := a.next
	v.CSeq++
	v.Expires = []int{60, 600, 3600, 0}[m.pick(4)]
	alive := !a.gone && time.Now().Before(a.until)
	switch m.pick(8) {
	case 0:
		v.Peer = "somebody.else"
		m.wantStatus(m.fromSIP(&v), 481)
		return
	case 1:
		v.FromTag = "guessed"
		m.wantStatus(m.fromSIP(&v), 481)
		return
	case 2:
		v.CSeq--
		if o := m.fromSIP(&v); alive && !a.doubtful && !m.closed {
			m.wantStatus(o, 500)
		} else {
			m.wantStatus(o, 500, 481)
		}
		return
	}
	a.next.CSeq = v.CSeq
	o := m.fromSIP(&v)
	switch {
	case !alive:
		m.wantStatus(o, 481)
	case m.drains && v.Expires > 0:
		m.wantStatus(o, 503, 481)
	case a.doubtful:
		m.wantStatus(o, 200, 481)
	default:
		m.wantStatus(o, 200)
	}
	switch statusOf(o) {
	case 200:
		a.accepted(v.Expires)
		a.gone, a.doubtful = v.Expires == 0, false
	case 481:
		a.gone = true
	case 503:
		a.next.CSeq-- // it was not looked at
	}
}

// grants has a user decide.
func (m *notifierModel) grants(p *notifierPair, typ mapping.PresenceType) {
	known := p.granted || !p.asked.IsZero() || slices.ContainsFunc(m.agents, func(a *notifierAgent) bool { return a.notifierPair == p && !a.gone })
	if typ == mapping.Subscribed {
		if !m.closed {
			m.consents(p)
			p.granted, p.declined = true, false
			p.asked = time.Time{} // who is let in and then is not known any more may ask anew
		}
	} else if known {
		m.h(p, func(r *relation) { p.declined = !p.granted || r == nil || r.devices.answers.index == 0 })
		p.granted = false
		clear(p.shown)
		for _, a := range m.agents {
			if a.notifierPair == p {
				a.gone = true
			}
		}
	}
	m.presence(p.user.String(), p.contact.String(), typ)
	m.h(p, func(r *relation) { p.declined = r != nil && r.state&WatcherDeclined != 0 })
}

// consents has what is kept from before the consent be what is shown. Less of it than there was may be
// kept, but nothing else.
func (m *notifierModel) consents(p *notifierPair) {
	if p.granted {
		return
	}
	m.h(p, func(r *relation) {
		if r == nil {
			return
		}
		for _, d := range r.devices.known {
			show, shown := p.early[d.Name]
			if d.Open && (!shown || show != d.Show) {
				m.t.Errorf("%s is kept as %q, but was shown as %q (%v)", d.Name, d.Show, show, shown)
			}
			if d.Open {
				m.did["shown before the consent"]++
				p.shown[d.Name] = &notifierDevice{show: d.Show}
			}
		}
	})
	clear(p.early)
}

// h looks at what the engine knows of a pair.
func (m *notifierModel) h(p *notifierPair, f func(r *relation)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f(m.relations.find(p.user, p.contact))
}

// shows has a user show a device, whose name says to whom; or a stranger, who has no say.
func (m *notifierModel) shows(p *notifierPair) {
	if m.pick(10) == 0 {
		m.presence("stranger@example.com/x", p.contact.String(), mapping.Available)
		m.presence("stranger@example.com", p.contact.String(), mapping.PresenceType([]mapping.PresenceType{mapping.Subscribed, mapping.Unsubscribed, mapping.PresenceError}[m.pick(3)]))
		m.presence("stranger@example.com", p.contact.String(), mapping.Unsubscribed)
		return
	}
	name := fmt.Sprintf("%s.%s.%d", p.user.Local(), p.contact.Local(), m.pick(3))
	v := &mapping.XMPPPresence{From: mapping.MustParseJID(p.user.String() + "/" + name), To: p.contact,
		Shows: &mapping.Resource{Show: []mapping.Show{mapping.ShowAway, mapping.ShowDND, ""}[m.pick(3)]}}
	switch m.pick(5) {
	case 0, 1:
		v.Type = mapping.Unavailable
	case 2:
		if m.pick(3) == 0 {
			v.Type, v.From = mapping.Unavailable, p.user
		}
	}
	switch {
	case m.closed:
		m.did["said to nobody"]++
	case !p.granted && v.Type == mapping.Available:
		p.early[name] = v.Shows.Show
	case !p.granted && v.From.IsBare():
		clear(p.early)
	case !p.granted:
		delete(p.early, name)
	case v.Type == mapping.Available:
		p.shown[name] = &notifierDevice{show: v.Shows.Show}
	case v.From.IsBare():
		clear(p.shown)
	default:
		delete(p.shown, name)
	}
	fmt.Fprintln(m.log, "stanza", describe(v))
	m.stanza(v)
}

// answers has a NOTIFY come to an end.
func (m *notifierModel) answers() {
	var open []*notifierAgent
	for _, a := range m.agents {
		if a.open != nil {
			open = append(open, a)
		}
	}
	if len(open) == 0 {
		return
	}
	a := open[m.pick(len(open))]
	ref := a.open
	a.open = nil
	o := answer(200, nil)
	switch m.pick(14) {
	case 0:
		o = failure(481, 0)
	case 1:
		o = failure([]int{404, 480, 489, 604}[m.pick(4)], 0)
	case 2:
		o = failure([]int{500, 403, 401, 300}[m.pick(4)], 0)
	case 3:
		o = failure(503, time.Duration(m.pick(100))*time.Minute)
	case 4:
		o = mapping.Outcome{Kind: mapping.Unknown}
	case 5:
		o = mapping.Outcome{Kind: mapping.NotWritten, Failure: []*mapping.Failure{mapping.FailTransport(), mapping.FailBusy(1)}[m.pick(2)]}
	case 6:
		o = mapping.Outcome{Kind: mapping.Refused, Failure: mapping.FailDNS()}
	}
	if m.pick(10) == 0 {
		o.CSeq = a.seq + 1
		a.seq++
	}
	a.failed = o.Status/100 != 2
	switch {
	case !a.failed:
		a.over = a.over || a.last
	case o.Kind == mapping.Refused || endsSubscription(o.Status):
		a.gone, a.over, a.owed = true, true, false
	default:
		a.doubtful = true
		a.owed = false // it will be told some time, or never
	}
	fmt.Fprintln(m.log, "answer", a.next.CallID, o.Kind, o.Status)
	m.outcome(ref, o)
}

// outcomes has a question to a user come to an end.
func (m *notifierModel) outcomes(p *notifierPair) {
	if len(p.asking) == 0 {
		return
	}
	ref := p.asking[0].(*asking)
	p.asking = p.asking[1:]
	o := mapping.Outcome{Kind: mapping.Processed}
	switch m.pick(6) {
	case 0:
		o.Kind = mapping.NotWritten
		if !ref.how {
			p.asked = time.Time{}
		}
	case 1:
		o = mapping.Outcome{Kind: mapping.Bounced, Failure: mapping.FailureFromStanza([]mapping.Condition{mapping.CondItemNotFound,
			mapping.CondForbidden, mapping.CondServiceUnavailable}[m.pick(3)], "", "", "")}
		cond := o.Failure.Condition
		if cond == mapping.CondItemNotFound && p.granted || cond == mapping.CondForbidden && !p.granted {
			for _, a := range m.agents {
				if a.notifierPair == p {
					a.gone = true
				}
			}
			clear(p.shown)
		}
	}
	m.XMPPOutcomes([]mapping.Result{{Ref: ref, Outcome: o}})
	m.settle()
}

// upheaval is what happens seldom.
func (m *notifierModel) upheaval() {
	switch m.pick(5) {
	case 0, 1:
		m.did["restart"]++
		m.drains = false
		for _, p := range m.order {
			clear(p.shown)
			p.asking = nil
		}
		for _, a := range m.agents {
			a.open, a.said = nil, time.Time{}
			// What is over is not told by the next run.
			if a.gone {
				a.owed, a.over = false, true
			}
			a.owed = false
		}
		m.options.Policy = *m.policy.Load()
		m.restart()
	case 2:
		for _, p := range m.order {
			for _, d := range p.shown {
				if d.stale.IsZero() {
					d.stale = time.Now()
				}
			}
		}
		m.stanza(&mapping.XMPPReady{Name: mapping.MustParseJID("example.net")})
	case 3:
		p := *m.policy.Load()
		m.closed = !m.closed
		access := []string{"*"}
		if m.closed {
			access = []string{"paris@example.com"}
			for _, p := range m.order {
				clear(p.shown) // what they show from now on is not looked at
			}
			for _, a := range m.agents {
				a.gone = true
			}
		}
		p.Access, _ = mapping.NewAccess(access)
		m.SetPolicy(p)
	case 4:
		if !m.drains {
			m.drains = true
			m.Drain()
		}
	}
}

// finish ends everything. Nothing is left.
func (m *notifierModel) finish() {
	m.drains, m.closed = false, false
	m.options.Policy = testPolicy(m.t)
	for _, a := range m.agents {
		a.open, a.owed, a.said = nil, false, time.Time{}
		a.over = a.over || a.gone
	}
	for _, p := range m.order {
		clear(p.shown)
		p.asking = nil
	}
	m.restart()
	m.check()
	for _, p := range m.order {
		m.grants(p, mapping.Unsubscribed)
	}
	for range 100 {
		m.check()
		for _, a := range m.agents {
			if a.open != nil {
				ref := a.open
				a.open = nil
				a.over = a.over || a.last
				m.outcome(ref, answer(200, nil))
			}
		}
		m.wait(time.Minute)
	}
	m.wait(time.Hour)
	m.check()
	m.stanza(&mapping.XMPPReady{Name: mapping.MustParseJID("example.net")})
	// That somebody was declined is for good, until somebody takes it back.
	out := m.lock()
	for _, r := range m.relations.all {
		if r.state&WatcherDeclined != 0 {
			m.enter(out, r, 0, WatcherDeclined)
			m.relations.tidy(r)
		}
	}
	m.unlock(out)
	m.wait(26 * time.Hour)
	m.wantEmpty()
	if got := m.Tally(); got.Watchers != 0 || got.Devices != 0 {
		m.t.Errorf("left: %+v", got)
	}
	n := &m.notifier
	if len(n.dialogs)+len(n.from)+len(n.by)+len(n.cache.of)+n.cache.text+len(n.probes.queue) > 0 || !n.outbox.empty() {
		m.t.Errorf("left: %+v", n)
	}
}
