package presence

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/stoxgw/stox/mapping"
)

// Whatever users show and decide, and whatever becomes of requests and of the server's memory:
// nothing is published of who does not want it, nothing else than what he shows at that
// moment, nothing more often than every five seconds; and when all goes well the server has
// what users show, and nothing of those who are not there.
func TestPublisherModel(t *testing.T) {
	did := map[string]int{}
	comeBy(t, did, []string{"initial", "refresh", "modify", "remove", "answer 200", "answer 412", "answer 423", "answer 503", "answer 403", "no answer", "lost memory",
		"restart", "link", "policy", "healed", "revoked"}, func(rt *rapid.T) {
		steps := drawSteps(rt, 60, 150)
		var m *publisherModel
		synctest.Test(t, func(t *testing.T) {
			m = newPublisherModel(t, did)
			for i, s := range steps {
				m.step(s)
				if m.fault != "" {
					m.fault = fmt.Sprintf("step %d of %d: %s", i+1, len(steps), m.fault)
					break
				}
			}
			if m.fault == "" {
				m.end()
			}
		})
		if m.fault != "" {
			rt.Fatalf("%s\nafter\n\t%s", m.fault, strings.Join(m.trace, "\n\t"))
		}
	})
}

// exposedModel is a user as his own server knows him.
type exposedModel struct {
	jid     string
	granted bool
	shows   map[string]string // what the devices show, by resource
}

// serverEntry is a publication as the presence server has it.
type serverEntry struct {
	entity string
	until  time.Time
	tuples string
}

type publisherModel struct {
	*harness
	did    map[string]int
	users  []*exposedModel
	server map[string]*serverEntry // by entity-tag
	ghosts map[string]bool         // entity-tags that the gateway was never told
	tags   int
	least  int // seconds, for which the server takes something
	on     bool
	closed bool // SIP is not answered

	open   map[string]mapping.Parcel[mapping.SIP] // by user
	sent   map[string]time.Time                   // not earlier than that
	looked time.Time                              // when there was nothing that had been sent
	knows  map[string]string                      // the entity-tag that the gateway was told last

	trace []string
	fault string
}

func newPublisherModel(t *testing.T, did map[string]int) *publisherModel {
	m := &publisherModel{did: did, server: map[string]*serverEntry{}, ghosts: map[string]bool{}, least: 60, on: true,
		open: map[string]mapping.Parcel[mapping.SIP]{}, sent: map[string]time.Time{}, knows: map[string]string{}}
	m.harness = newPublisherHarness(t, presenceAt)
	for _, user := range []string{"juliet", "nurse", "peter"} {
		m.users = append(m.users, &exposedModel{jid: user + "@example.com", shows: map[string]string{}})
	}
	m.linkUp()
	m.take()
	return m
}

func (m *publisherModel) failf(format string, args ...any) {
	if m.fault == "" {
		m.fault = fmt.Sprintf(format, args...)
	}
}

func (m *publisherModel) note(what, format string, args ...any) {
	m.did[what]++
	m.trace = append(m.trace, fmt.Sprintf("%s %s", what, fmt.Sprintf(format, args...)))
}

func (m *publisherModel) step(s [4]int) {
	if s[0] < 0 {
		return
	}
	u := m.users[s[1]%3]
	device := []string{"balcony", "garden"}[s[2]%2]
	switch k := s[0] % 20; {
	case k < 6:
		show := []string{"open", "away", "dnd", "xa", ""}[s[3]%5]
		m.note("show", "%s/%s %s", u.jid, device, show)
		if show == "" {
			delete(u.shows, device)
		} else {
			u.shows[device] = show
		}
		if u.granted || s[3]%3 == 0 { // who has not agreed may show himself to us all the same
			m.device(u.jid+"/"+device, show)
		}
	case k < 8:
		m.grant(u)
	case k == 8:
		m.note("revoked", "%s", u.jid)
		u.granted = false
		m.presence(u.jid, gatewayName, mapping.Unsubscribed)
	case k < 14:
		d := time.Duration(s[3]*s[3]*s[3]/100) * time.Millisecond // up to 10000 s
		m.note("wait", "%v", d)
		m.wait(d)
	case k == 14 && s[3]%4 == 0:
		m.note("restart", "")
		m.restart()
		clear(m.open)
		clear(m.sent)
		m.setPolicy()
		m.take()
		m.linkUp()
	case k == 15 && s[3]%3 == 0:
		m.note("link", "")
		m.linkUp()
	case k == 16 && s[3]%3 == 0:
		m.note("lost memory", "")
		clear(m.server)
	case k == 17 && s[3]%4 == 0:
		m.on = !m.on
		m.note("policy", "%v", m.on)
		m.setPolicy()
	case k == 18:
		m.least = []int{60, 3600, 5400, 7200}[s[3]%4]
	case k == 19:
		m.closed = s[3]%3 == 0
	}
	m.take()
	m.answerOpen(s[2] ^ s[3])
	m.take()
}

func (m *publisherModel) setPolicy() {
	p := testPolicy(m.t)
	if m.on {
		p.Publish = []Server{presenceAt}
	}
	m.SetPolicy(p)
	m.settle()
}

// grant has a user agree; his server then tells how he is.
func (m *publisherModel) grant(u *exposedModel) {
	m.note("granted", "%s", u.jid)
	u.granted = true
	m.presence(u.jid, gatewayName, mapping.Subscribed)
	m.tell(u)
}

func (m *publisherModel) tell(u *exposedModel) {
	for _, d := range slices.Sorted(maps.Keys(u.shows)) {
		m.harness.device(u.jid+"/"+d, u.shows[d])
	}
}

// take takes what was sent, and checks it, until nothing comes any more; probes are answered
// as a server does.
func (m *publisherModel) take() {
	for range 20 {
		stanzas, requests := m.takeStanzas(), m.takeRequests()
		if len(stanzas)+len(requests) == 0 {
			m.looked = time.Now()
			return
		}
		for _, r := range requests {
			m.takePublish(r)
		}
		for _, p := range stanzas {
			v := p.Value.(*mapping.XMPPPresence)
			u := m.user(v.To.Local())
			switch {
			case v.From.String() != gatewayName || v.Type != mapping.Probe && v.Type != mapping.Subscribe:
				m.failf("XMPP is told %s", describe(v))
			case v.Type == mapping.Subscribe:
				if u.granted { // his server says so without asking him
					m.presence(u.jid, gatewayName, mapping.Subscribed)
					m.tell(u)
				}
			case !u.granted:
				m.presence(u.jid, gatewayName, mapping.Unsubscribed)
			case len(u.shows) == 0:
				m.harness.device(u.jid, "")
			default:
				m.tell(u)
			}
		}
	}
	m.failf("it does not end")
}

func (m *publisherModel) user(name string) *exposedModel {
	return m.users[slices.IndexFunc(m.users, func(u *exposedModel) bool { return strings.HasPrefix(u.jid, name+"@") })]
}

func (m *publisherModel) takePublish(r mapping.Parcel[mapping.SIP]) {
	v := r.Value.(*mapping.SIPPublish)
	u := m.user(v.RequestURI.User)
	kind := "initial"
	switch {
	case v.Expires == 0:
		kind = "remove"
	case v.IfMatch != "" && len(v.Body) == 0:
		kind = "refresh"
	case v.IfMatch != "":
		kind = "modify"
	}
	m.note(kind, "%s if %q", u.jid, v.IfMatch)
	if _, is := m.open[u.jid]; is {
		m.failf("two requests are on their way")
	}
	m.open[u.jid] = r
	if v.IfMatch != "" && v.IfMatch != m.knows[u.jid] {
		m.failf("it is published under %q, and the server has said %q", v.IfMatch, m.knows[u.jid])
	}
	if d := time.Since(m.sent[u.jid]); d < publishSpacing && (kind != "remove" || u.granted && m.on) {
		m.failf("a request comes %v after the last one", d)
	}
	m.sent[u.jid] = m.looked
	if kind == "remove" {
		if v.IfMatch == "" {
			m.failf("it is not said what is withdrawn")
		}
		return
	}
	if !u.granted {
		m.failf("%s does not want it", u.jid)
	}
	if !m.on {
		m.failf("nothing is to be published there")
	}
	if (len(v.Body) == 0) != (kind == "refresh") {
		m.failf("a body of %d bytes", len(v.Body))
	}
	if len(v.Body) > 0 {
		for tuple := range strings.SplitSeq(tuplesOf(m.t, v), ", ") { // of what he is just telling some may be missing
			if !slices.Contains(strings.Split(u.said(), ", "), tuple) {
				m.failf("%s is published to show %q, and does %q", u.jid, tuple, u.said())
			}
		}
	}
}

// said is what a user shows, as tuplesOf has it.
func (u *exposedModel) said() string {
	var all []string
	for _, d := range slices.Sorted(maps.Keys(u.shows)) {
		all = append(all, strings.TrimSpace(d+" open "+strings.TrimPrefix(u.shows[d], "open")))
	}
	return strings.Join(all, ", ")
}

// answerOpen has the server answer what has reached it, or not.
func (m *publisherModel) answerOpen(n int) {
	for _, jid := range slices.Sorted(maps.Keys(m.open)) {
		r := m.open[jid]
		if n%7 == 0 && m.closed {
			continue // it takes its time
		}
		delete(m.open, jid)
		v := r.Value.(*mapping.SIPPublish)
		switch {
		case m.closed && n%7 == 1:
			m.note("answer 503", "")
			m.outcome(r.Ref, answer(503, nil))
		case m.closed && n%7 == 2:
			m.note("answer 403", "")
			m.outcome(r.Ref, answer(403, nil))
		case m.closed && n%7 == 3:
			m.note("no answer", "though it was taken")
			if o := m.serve(v); o.Status == 200 {
				m.ghosts[o.Event.ETag] = true
			}
			m.outcome(r.Ref, mapping.Outcome{Kind: mapping.Unknown, Failure: mapping.FailTimeout()})
		case m.closed:
			m.note("no answer", "")
			m.outcome(r.Ref, mapping.Outcome{Kind: mapping.NotWritten})
		default:
			o := m.serve(v)
			m.note(fmt.Sprintf("answer %d", o.Status), "")
			if o.Status == 200 {
				m.knows[jid] = o.Event.ETag
			}
			m.outcome(r.Ref, o)
		}
		m.take()
	}
}

// serve is RFC 3903 §6.
func (m *publisherModel) serve(v *mapping.SIPPublish) mapping.Outcome {
	m.forget()
	old := m.server[v.IfMatch]
	switch {
	case v.IfMatch != "" && (old == nil || old.entity != v.RequestURI.String()):
		return answer(412, nil)
	case v.Expires > 0 && v.Expires < m.least:
		return answer(423, &mapping.EventAnswer{MinExpires: m.least})
	}
	e := &serverEntry{entity: v.RequestURI.String(), until: time.Now().Add(time.Duration(v.Expires) * time.Second)}
	if len(v.Body) > 0 {
		got := strings.Split(tuplesOf(m.t, v), ", ")
		slices.Sort(got)
		e.tuples = strings.Join(got, ", ")
	} else if old != nil {
		e.tuples = old.tuples
	}
	delete(m.server, v.IfMatch)
	m.tags++
	tag := fmt.Sprintf("e%d", m.tags)
	if v.Expires > 0 {
		m.server[tag] = e
	}
	return answer(200, &mapping.EventAnswer{ETag: tag, Expires: v.Expires})
}

func (m *publisherModel) forget() {
	maps.DeleteFunc(m.server, func(_ string, e *serverEntry) bool { return !time.Now().Before(e.until) })
}

// end has all go well for a while, and looks what the server has; then all users take back
// what they have agreed to, and nothing is left.
func (m *publisherModel) end() {
	m.closed, m.on, m.least = false, true, 60
	m.setPolicy()
	m.take()
	for _, u := range m.users { // who was not heard of while nothing was to be published is now
		m.presence(u.jid+"/balcony", gatewayName, mapping.Probe)
	}
	m.take()
	m.heal()
	m.forget()
	m.note("healed", "")
	for _, u := range m.users {
		var has []string
		for tag, e := range m.server {
			if e.entity == "sip:"+u.jid && !m.ghosts[tag] {
				has = append(has, e.tuples)
			}
		}
		want := []string{}
		if u.granted && len(u.shows) > 0 {
			want = append(want, u.said())
		}
		if !slices.Equal(has, want) && len(has)+len(want) > 0 {
			m.failf("of %s the server has %q, want %q", u.jid, has, want)
		}
	}
	for _, u := range m.users {
		u.granted = false
		m.presence(u.jid, gatewayName, mapping.Unsubscribed)
	}
	m.heal()
	m.forget()
	for tag, e := range m.server {
		if !m.ghosts[tag] {
			m.failf("in the end the server has %v", e)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if p := &m.publisher; len(p.users)+p.all+p.text+p.probes.queue.Len()+len(m.timers.heap) != 0 {
		m.failf("in the end there are %d users, %d publications, %d bytes and %d timers", len(p.users), p.all, p.text, len(m.timers.heap))
	}
	if _, ds := m.book.kept(); len(ds) != 0 {
		m.failf("in the end the book has %v", ds)
	}
}

// heal lets all that was put off be done.
func (m *publisherModel) heal() {
	for range 400 {
		m.wait(30 * time.Second)
		m.take()
		m.answerOpen(0)
		m.take()
	}
}
