package presence

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/stoxgw/stox/mapping"
)

// Whatever users, contacts, servers, clocks and admins do, in whatever order: nobody sees
// what he may not, or is left with what is not true any more; there is one dialog at most;
// every NOTIFY has its answer at once; CSeq grows, also across restarts; if all is well in
// the end everybody sees what there is, and if all has ended nothing is left.
func TestSubscriberModel(t *testing.T) {
	step := rapid.Custom(func(t *rapid.T) modelStep {
		s := modelStep{13}
		n := rapid.Uint64().Draw(t, "step")
		if n == 0 {
			return s // to which the others shrink: nothing happens
		}
		rng := rand.New(rand.NewPCG(n, 1)) // as even as rapid's own numbers are not
		for i := range s {
			s[i] = rng.IntN(1000)
		}
		return s
	})
	did := map[string]int{}
	failed := false
	comeBy(t, did, []string{"subscribed", "available", "unavailable", "unsubscribed", "error", "probe", "notify 200", "notify 481", "notify 500", "notify 400",
		"restart", "retry", "refresh", "end", "poll", "healed"}, func(rt *rapid.T) {
		steps := rapid.SliceOfN(step, 100, 200).Draw(rt, "steps")
		did["steps"] += len(steps)
		var m *subscriberModel
		synctest.Test(t, func(t *testing.T) {
			m = newSubscriberModel(t, did)
			m.play(steps)
		})
		if m.fault != "" {
			if !failed { // time is random: it may not come again
				t.Logf("%s\nafter\n\t%s", m.fault, strings.Join(m.trace, "\n\t"))
			}
			failed = true
			rt.Fatal(m.fault)
		}
	})
}

// modelStep is what happens, and to whom.
type modelStep [5]int

// modelPair is what a user's server believes of a contact, and what is true.
type modelPair struct {
	user, contact string
	asked         bool            // the user wants to see it
	granted       bool            // and was told that he may
	active        bool            // a NOTIFY has said so
	seen          map[string]bool // resources that are there
}

// modelDialog is a dialog as the notifier knows it.
type modelDialog struct {
	*asked
	of   *modelPair
	poll string // who has asked
	last uint32 // CSeq of SUBSCRIBE
}

type subscriberModel struct {
	*harness
	did     map[string]int
	pairs   []*modelPair
	dialogs []*modelDialog
	open    []mapping.Parcel[mapping.SIP]
	none    bool
	polling string // the prober whom the present NOTIFY is for
	trace   []string
	fault   string
}

func newSubscriberModel(t *testing.T, did map[string]int) *subscriberModel {
	m := &subscriberModel{did: did}
	m.harness = newHarness(t, func(o *Options) { o.Policy.Mode = m.mode(false) })
	for _, user := range []string{"juliet@example.com", "nurse@example.com"} {
		for _, contact := range []string{"romeo@example.net", "tybalt@example.net"} {
			m.pairs = append(m.pairs, &modelPair{user: user, contact: contact, seen: map[string]bool{}})
		}
	}
	return m
}

func (m *subscriberModel) mode(none bool) func(mapping.URI) Mode {
	return func(mapping.URI) Mode {
		if none {
			return ModeNone
		}
		return ModeSubscribe
	}
}

func (m *subscriberModel) failf(format string, args ...any) {
	if m.fault == "" {
		m.fault = fmt.Sprintf(format, args...)
	}
}

func (m *subscriberModel) note(format string, args ...any) {
	m.trace = append(m.trace, fmt.Sprintf(format, args...))
}

func (m *subscriberModel) play(steps []modelStep) {
	for _, s := range steps {
		m.step(s)
		if m.look(); m.fault != "" {
			m.stopTimers()
			return
		}
	}
	m.heal()
	if m.fault == "" {
		m.end()
	}
	m.stopTimers()
}

// stopTimers has nothing left that would fail the next run.
func (m *subscriberModel) stopTimers() { m.takeStanzas(); m.takeRequests() }

func (m *subscriberModel) step(s modelStep) {
	p := m.pairs[s[1]%len(m.pairs)]
	switch s[0] % 14 {
	case 0, 1:
		m.userAsks(p)
	case 2:
		m.note("%s unsubscribes from %s", p.user, p.contact)
		m.presence(p.user, p.contact, mapping.Unsubscribe)
		m.read()
		p.asked, p.granted, p.active = false, false, false
	case 3:
		prober := p.user + []string{"", "/a"}[s[2]%2]
		m.note("%s probes %s", prober, p.contact)
		m.presence(prober, p.contact, mapping.Probe)
	case 4:
		typ := []mapping.PresenceType{mapping.Available, mapping.Unavailable}[s[2]%2]
		m.note("%s is %q to %s", p.user, typ, p.contact)
		m.presence(p.user+[]string{"/a", "/b", ""}[s[3]%3], p.contact, typ)
	case 5, 6, 7:
		m.answerOne(s)
	case 8, 9, 10:
		if len(m.dialogs) > 0 {
			m.notifyOne(m.dialogs[len(m.dialogs)-1-s[1]%min(len(m.dialogs), 4)], s)
		}
	case 11:
		d := []time.Duration{time.Second, 10 * time.Second, 40 * time.Second, 5 * time.Minute, 31 * time.Minute, time.Hour, 13 * time.Hour}[s[2]%7]
		m.note("%v go by", d)
		m.wait(d)
	case 12:
		switch s[2] % 4 {
		case 0:
			m.note("restart")
			m.restart()
			m.did["restart"]++
			m.open = nil
			for _, p := range m.pairs { // what is not known any more cannot be taken back
				clear(p.seen)
			}
		case 1:
			m.note("link up")
			m.stanza(&mapping.XMPPReady{Name: mapping.MustParseJID("example.net")})
		case 2:
			policy := testPolicy(m.t)
			if m.none = s[3]%2 == 0; s[4]%2 == 0 {
				policy.Access = mapping.Access{}
			}
			policy.Mode = m.mode(m.none)
			m.note("policy: none %v, access %v", m.none, s[4]%2 != 0)
			m.SetPolicy(policy)
		case 3:
			m.watcher(p, s[3]%2 == 0)
		}
	default:
		m.calm()
	}
}

// calm is the policy that lets everything pass.
func (m *subscriberModel) calm() {
	m.none = false
	m.note("policy: calm")
	policy := testPolicy(m.t)
	policy.Mode = m.mode(false)
	m.SetPolicy(policy)
}

// watcher has a user let a contact see him, or not any more.
func (m *subscriberModel) watcher(p *modelPair, granted bool) {
	out := m.lock()
	if r := m.relations.find(mapping.MustParseJID(p.user), mapping.MustParseJID(p.contact)); r != nil {
		if granted {
			m.enter(out, r, WatcherGranted, 0)
		} else {
			m.enter(out, r, 0, WatcherGranted)
		}
		m.relations.tidy(r)
	}
	m.unlock(out)
	m.note("%s lets %s see him: %v", p.user, p.contact, granted)
}

func (m *subscriberModel) userAsks(p *modelPair) {
	m.note("%s subscribes to %s", p.user, p.contact)
	p.asked = true
	m.presence(p.user, p.contact, mapping.Subscribe)
}

// answerOne gives a request that is open an outcome.
func (m *subscriberModel) answerOne(s modelStep) {
	if len(m.open) == 0 {
		return
	}
	i := s[1] % len(m.open)
	p := m.open[i]
	m.open = append(m.open[:i:i], m.open[i+1:]...)
	o := []mapping.Outcome{answer(200, &mapping.EventAnswer{Expires: 3600}), answer(200, &mapping.EventAnswer{Expires: 100}), answer(202, nil), answer(481, nil),
		answer(423, &mapping.EventAnswer{MinExpires: 7200}), answer(404, nil), answer(403, nil), answer(500, nil), answer(302, nil),
		{Kind: mapping.Unknown}, {Kind: mapping.NotWritten}, {Kind: mapping.Refused, Failure: mapping.FailBusy(1)}}[s[2]%12]
	if v := p.Value.(*mapping.SIPSubscribe); s[3]%5 == 0 {
		o.CSeq = v.CSeq + 1
	}
	m.note("outcome %d %d of %s", o.Kind, o.Status, p.Value.(*mapping.SIPSubscribe).CallID[:6])
	m.outcome(p.Ref, o)
}

// notifyOne has a notifier say something, right or wrong.
func (m *subscriberModel) notifyOne(d *modelDialog, s modelStep) {
	says := []string{"active;expires=3600", "active;expires=3600", "active", "active;expires=5", "pending;expires=3600", "moon", "terminated;reason=rejected",
		"terminated;reason=deactivated", "terminated;reason=timeout", "terminated;reason=probation;retry-after=100", "terminated;reason=giveup", "terminated;reason=invariant", "terminated"}[s[2]%13]
	body := []string{"", document("x open"), document("x open away", "y open"), document("y open", "z closed"), document(), document("x closed"), "<nonsense"}[s[3]%7]
	v := d.notify(says, body)
	switch s[4] % 12 {
	case 0:
		v.CSeq, d.cseq = d.cseq-1, d.cseq-1 // the last one again
	case 1:
		v.FromTag = "fork"
	case 2:
		v.Peer = "a stranger"
	case 3:
		v.CSeq += 5
		d.cseq += 5
	}
	m.says(d, v)
}

// says hands over a NOTIFY.
func (m *subscriberModel) says(d *modelDialog, v *mapping.SIPNotify) {
	m.look()
	m.polling = d.poll
	status := statusOf(m.fromSIP(v))
	m.did[fmt.Sprint("notify ", status)]++
	m.note("NOTIFY %s %s %s %d: %d", v.CallID[:6], v.State, v.Reason, v.CSeq, status)
	if status == 200 || status == 400 { // whoever comes first is the notifier
		d.tag, d.peer = v.FromTag, v.Peer
	}
	if status == 200 && v.State == mapping.StateActiveSub && d.poll == "" && d.of.asked {
		d.of.active = true
	}
	m.read()
	m.polling = ""
}

// heal has everything go well for a while: then everybody sees what there is.
func (m *subscriberModel) heal() {
	m.calm()
	m.note("all is well from now on")
	for _, p := range m.pairs {
		m.userAsks(p)
		m.presence(p.user+"/a", p.contact, mapping.Available)
		m.look()
	}
	for range 450 {
		for range 3 {
			open := m.open
			m.open = nil
			for _, p := range open {
				v := p.Value.(*mapping.SIPSubscribe)
				m.outcome(p.Ref, answer(200, &mapping.EventAnswer{Expires: v.Expires}))
				for _, d := range m.dialogs {
					if d.CallID == v.CallID {
						if v.Expires == 0 {
							m.says(d, d.notify("terminated;reason=timeout", ""))
						} else {
							m.says(d, d.notify("active;expires=3600", document("x open")))
						}
					}
				}
			}
			m.look()
		}
		m.wait(20 * time.Second) // before timer N
		if m.look(); m.fault != "" {
			return
		}
	}
	for _, p := range m.pairs {
		m.mu.Lock()
		r := m.relations.find(mapping.MustParseJID(p.user), mapping.MustParseJID(p.contact))
		still := r != nil && r.watch != nil && r.watch.still
		m.mu.Unlock()
		if still {
			continue
		}
		if !p.granted || fmt.Sprint(p.seen) != "map[x:true]" {
			m.failf("in the end %s sees %v of %s, granted %v: %+v", p.user, p.seen, p.contact, p.granted, r)
			if r != nil && r.watch != nil {
				m.note("%+v at %v", r.watch, time.Now())
			}
		}
		m.did["healed"]++
	}
}

// end has everybody unsubscribe: then nothing is left.
func (m *subscriberModel) end() {
	for _, p := range m.pairs {
		m.watcher(p, false)
		m.presence(p.user, p.contact, mapping.Unsubscribe)
		m.look()
	}
	for range 3 {
		for _, p := range m.open {
			m.outcome(p.Ref, answer(200, nil))
		}
		m.open = nil
		m.look()
	}
	for _, p := range m.pairs {
		if p.asked || len(p.seen) > 0 {
			m.failf("%s is left with %s: asked %v, seen %v", p.user, p.contact, p.asked, p.seen)
		}
	}
	m.wantNothingLeft()
	if m.t.Failed() {
		m.failf("something is left")
	}
}
