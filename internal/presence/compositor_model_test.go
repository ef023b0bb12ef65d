package presence

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/stoxgw/stox/mapping"
)

// drawSteps draws what a model does: numbers that are as even as rapid's own are not.
func drawSteps(rt *rapid.T, least, most int) [][4]int {
	step := rapid.Custom(func(t *rapid.T) (s [4]int) {
		n := rapid.Uint64().Draw(t, "step")
		if n == 0 {
			return [4]int{-1} // to which the others shrink: nothing happens
		}
		rng := rand.New(rand.NewPCG(n, 1))
		for i := range s {
			s[i] = rng.IntN(1000)
		}
		return s
	})
	return rapid.SliceOfN(step, least, most).Draw(rt, "steps")
}

// comeBy plays random runs until each of wanted has happened, as counted in did: what is rare
// does not happen in every hundred runs.
func comeBy(t *testing.T, did map[string]int, wanted []string, run func(rt *rapid.T)) {
	t.Helper()
	var missing []string
	for range 10 {
		rapid.Check(t, run)
		missing = slices.DeleteFunc(slices.Clone(wanted), func(what string) bool { return did[what] > 0 })
		if len(missing) == 0 || t.Failed() {
			break
		}
	}
	t.Log(did)
	if len(missing) > 0 {
		t.Errorf("no run has come by this: %s", strings.Join(missing, ", "))
	}
}

// PRES-29: whatever user agents publish, with whatever entity-tags and for however long,
// whoever watches the contact sees what RFC 3903 §6 says is published, and nobody else sees
// anything.
func TestCompositorModel(t *testing.T) {
	did := map[string]int{}
	comeBy(t, did, []string{"initial 200", "refresh 200", "modify 200", "remove 200", "initial 400", "initial 423", "refresh 412", "modify 412", "remove 412",
		"restart", "expired", "watching 480", "watching 200", "ended", "displaced"}, func(rt *rapid.T) {
		steps := drawSteps(rt, 50, 120)
		var m *compositorModel
		synctest.Test(t, func(t *testing.T) {
			m = &compositorModel{harness: newHarness(t), did: did, of: map[string]*modelPublisher{}, seen: map[string]map[string]string{}}
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

// modelPublisher is a contact as RFC 3903 says that it is published.
type modelPublisher struct {
	live   []*modelPublication // the one that was changed last is the last
	old    []string            // entity-tags that are of no use any more
	memory time.Time           // until when it counts as one that publishes
}

type modelPublication struct {
	etag    string
	until   time.Time
	touched int
	tuples  []string // as document takes them
}

type compositorModel struct {
	*harness
	did   map[string]int
	of    map[string]*modelPublisher
	seen  map[string]map[string]string // by "user contact": show by resource
	n     int
	trace []string
	fault string
}

func (m *compositorModel) failf(format string, args ...any) {
	if m.fault == "" {
		m.fault = fmt.Sprintf(format, args...)
	}
}

func (m *compositorModel) note(format string, args ...any) {
	m.trace = append(m.trace, fmt.Sprintf(format, args...))
}

var (
	modelContacts = []string{"romeo@example.net", "tybalt@example.net"}
	modelUsers    = []string{"juliet@example.com", "nurse@example.com"}
	modelTuples   = []string{"home", "work", "car"}
	modelShows    = []string{"open", "open away", "open dnd", "closed"}
)

func (m *compositorModel) step(s [4]int) {
	if s[0] < 0 {
		return
	}
	contact, user := modelContacts[s[1]%2], modelUsers[s[1]/2%2]
	switch s[0] % 16 {
	case 0, 1, 2:
		m.note("wait")
		m.wait(time.Duration(s[2]*s[2]*s[2]/100) * time.Millisecond) // up to 10000 s
	case 3:
		m.watch(user, contact)
	case 4:
		if _, is := m.seen[user+" "+contact]; is {
			m.note("%s watches %s no more", user, contact)
			m.presence(user, contact, mapping.Unsubscribe)
			delete(m.seen, user+" "+contact)
		}
	case 5:
		if s[2]%4 == 0 {
			m.note("restart")
			m.did["restart"]++
			m.restart()
			clear(m.of)
			for k := range m.seen { // what an earlier run has shown is not this one's
				m.seen[k] = map[string]string{}
			}
		}
	case 6: // user agents that forget what they have published
		for i := range 2 + s[2]%10 {
			m.publish(contact, [4]int{0, s[1], 9, 3 + 35*(i+s[3]%8)})
		}
	default:
		m.publish(contact, s)
	}
	m.settleUp(s[3])
	m.check()
}

func (m *compositorModel) watch(user, contact string) {
	m.note("%s watches %s", user, contact)
	if m.seen[user+" "+contact] == nil {
		m.seen[user+" "+contact] = map[string]string{}
	}
	m.presence(user, contact, mapping.Subscribe)
}

// publish has a user agent publish, and the oracle do what RFC 3903 §6 says.
func (m *compositorModel) publish(contact string, s [4]int) {
	m.expire()
	of := m.of[contact]
	if of == nil {
		of = &modelPublisher{}
	}
	var p *modelPublication
	etag := ""
	switch k := s[2] % 10; {
	case k < 4 && len(of.live) > 0:
		p = of.live[s[2]/10%len(of.live)]
		etag = p.etag
	case k < 5 && len(of.old) > 0:
		etag = of.old[s[2]/10%len(of.old)]
	case k == 5:
		etag = "nonsense"
	}
	expires := []int{mapping.NoExpires, 30, 600, 3600, 7200, 60, 0}[s[3]%7]
	var tuples []string
	body := ""
	if s[3]/7%5 < 3 {
		for i, name := range modelTuples {
			if k := s[3] / 35 >> i; k%2 == 1 || i == s[1]/4%3 {
				tuples = append(tuples, name+" "+modelShows[(s[3]+i)%4])
			}
		}
		body = document(tuples...)
	}
	kind := "initial"
	switch {
	case etag != "" && expires == 0:
		kind = "remove"
	case etag != "" && body != "":
		kind = "modify"
	case etag != "":
		kind = "refresh"
	}
	granted := expires
	if granted < 0 || granted > 3600 {
		granted = 3600
	}
	want := 200
	switch {
	case etag != "" && p == nil:
		want = 412
	case granted > 0 && granted < 60:
		want = 423
	case etag == "" && body == "" && granted > 0:
		want = 400
	}
	o := m.fromSIP(publishOf(contact, etag, expires, body))
	m.note("%s: %s %d %q, %v", contact, kind, expires, tuples, statusOf(o))
	m.did[fmt.Sprintf("%s %d", kind, want)]++
	if statusOf(o) != want {
		m.failf("%s is answered %d, want %d", kind, statusOf(o), want)
		return
	}
	if want != 200 {
		return
	}
	if o.Event.ETag == "" || o.Event.ETag == etag || o.Event.Expires != granted || slices.Contains(of.old, o.Event.ETag) {
		m.failf("%s is answered with %+v", kind, o.Event)
	}
	m.n++
	if p != nil {
		of.old = append(of.old, p.etag)
	}
	if granted == 0 {
		if p != nil {
			of.drop(p)
		}
		return
	}
	if p == nil {
		if len(of.live) == maxPublishedOf {
			oldest := slices.MinFunc(of.live, func(a, b *modelPublication) int { return a.touched - b.touched })
			of.old = append(of.old, oldest.etag)
			of.drop(oldest)
			m.did["displaced"]++
		}
		p = &modelPublication{}
		m.of[contact] = of
		of.live = append(of.live, p)
	}
	p.etag, p.touched, p.until = o.Event.ETag, m.n, time.Now().Add(time.Duration(granted)*time.Second)
	if body != "" {
		p.tuples = tuples
		of.live = append(slices.DeleteFunc(of.live, func(o *modelPublication) bool { return o == p }), p)
	}
}

// drop ends a publication, after the last of which the contact counts as publishing for a day.
func (of *modelPublisher) drop(p *modelPublication) {
	of.live = slices.DeleteFunc(of.live, func(o *modelPublication) bool { return o == p })
	of.memory = time.Now().Add(publishesFor)
}

// expire ends what has run out.
func (m *compositorModel) expire() {
	for contact, of := range m.of {
		for _, p := range slices.Clone(of.live) {
			if !time.Now().Before(p.until) {
				of.old = append(of.old, p.etag)
				of.drop(p)
				of.memory = p.until.Add(publishesFor)
				m.did["expired"]++
			}
		}
		if len(of.live) == 0 && !time.Now().Before(of.memory) {
			delete(m.of, contact)
		}
	}
}

// shows is what is published, by resource.
func (of *modelPublisher) shows() map[string]string {
	all := map[string]string{}
	for _, p := range of.live {
		for _, t := range p.tuples {
			name, show, _ := strings.Cut(t, " ")
			all[name] = show
		}
	}
	maps.DeleteFunc(all, func(_, show string) bool { return show == "closed" })
	return all
}

// settleUp answers whatever is asked of SIP, waits until everything is shown, and takes what
// users see.
func (m *compositorModel) settleUp(n int) {
	for range 3 {
		m.wait(1100 * time.Millisecond)
		for _, r := range m.takeRequests() {
			v := r.Value.(*mapping.SIPSubscribe)
			contact := v.To.User + "@" + v.To.Host
			m.expire()
			switch {
			case v.Expires == 0:
				m.did["ended"]++
				m.outcome(r.Ref, answer(200, &mapping.EventAnswer{}))
			case m.of[contact] != nil:
				m.failf("%s publishes, and is asked", contact)
			case n%3 == 0:
				m.did["watching 480"]++
				m.outcome(r.Ref, answer(480, nil))
			default:
				m.did["watching 200"]++
				d := &asked{SIPSubscribe: v, ref: r.Ref, tag: "ffd2"}
				m.accept(d, v.Expires)
				if v.ToTag == "" {
					m.fromSIP(d.notify("active;expires=3600", document("direct open")))
				}
			}
		}
	}
	for _, p := range m.takeStanzas() {
		v := p.Value.(*mapping.XMPPPresence)
		seen := m.seen[v.To.String()+" "+v.From.Bare().String()]
		switch {
		case v.Type == mapping.Subscribed || v.Type == mapping.Unsubscribed || v.Type == mapping.PresenceError:
		case v.Type == mapping.Unavailable:
			delete(seen, v.From.Resource())
		case seen == nil:
			m.failf("%s, who does not watch", describe(v))
		case v.Type == mapping.Available:
			seen[v.From.Resource()] = strings.TrimSpace("open " + showOf(v))
		default:
			m.failf("%s", describe(v))
		}
	}
}

func showOf(v *mapping.XMPPPresence) string {
	if v.Shows == nil {
		return ""
	}
	return string(v.Shows.Show)
}

func (m *compositorModel) check() {
	m.expire()
	for _, k := range slices.Sorted(maps.Keys(m.seen)) {
		_, contact, _ := strings.Cut(k, " ")
		seen := m.seen[k]
		if of := m.of[contact]; of != nil {
			if want := of.shows(); !maps.Equal(seen, want) {
				m.failf("%s sees %v, want %v", k, seen, want)
			}
			continue
		}
		for _, name := range modelTuples {
			if seen[name] != "" {
				m.failf("%s sees %s, which is not published", k, name)
			}
		}
	}
}

// end has everything end, after which nothing is left.
func (m *compositorModel) end() {
	for k := range m.seen {
		user, contact, _ := strings.Cut(k, " ")
		m.presence(user, contact, mapping.Unsubscribe)
	}
	clear(m.seen)
	for range 30 {
		m.settleUp(0)
		m.wait(time.Hour)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	c := &m.compositor
	if n := len(m.relations.all) + len(m.relations.first) + len(c.of) + c.all + len(c.from) + len(m.timers.heap); n != 0 {
		m.failf("in the end there are %d relations, %d contacts, %d publications and %d timers", len(m.relations.all), len(c.of), c.all, len(m.timers.heap))
	}
}
