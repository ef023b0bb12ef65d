package bridge

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// Whatever is typed, written, answered and lost, in whatever order: neither side is told
// the same twice in a row, nobody is seen typing for longer than he said, nothing is said
// after a 415, beside a text or to somebody who has not written, and no text waits.
func TestComposingModel(t *testing.T) {
	did := map[string]int{}
	for seed := range uint64(300) {
		ok := t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, s := newBridge(t)
				start(t, b)
				m := &composingModel{running: &running{b, s, t, s.journal}, rng: rand.New(rand.NewPCG(seed, 3)), did: did, shown: map[pair]*shownModel{}, told: map[pair]*toldModel{},
					refused: map[mapping.JID]time.Time{}, openTexts: map[mapping.JID]int{}}
				m.play()
			})
		})
		if !ok {
			return
		}
	}
	for _, what := range []string{"composing", "active after idle", "active by itself", "failed stanza", "active request", "idle request", "refused", "unanswered", "text beside", "lifted"} {
		if did[what] == 0 {
			t.Errorf("no schedule has come by this: %s", what)
		}
	}
	t.Log(did)
}

type composingModel struct {
	*running
	rng *rand.Rand
	did map[string]int
	n   int // messages so far

	always bool // sip.composing

	shown     map[pair]*shownModel
	told      map[pair]*toldModel
	refused   map[mapping.JID]time.Time
	openTexts map[mapping.JID]int
	open      []mapping.Parcel[mapping.SIP] // requests
	pending   []mapping.Parcel[mapping.XMPP]
	seenR     int // of requests
	seenS     int // of stanzas
}

// shownModel is what a user sees of a contact.
type shownModel struct {
	typing   bool
	id       string    // of the stanza
	deadline time.Time // by what SIP has said
}

// toldModel is what a contact sees of a user.
type toldModel struct {
	heard  bool // the contact has written
	active bool
	since  time.Time
	open   bool
}

func (m *composingModel) at(k pair) (*shownModel, *toldModel) {
	if m.shown[k] == nil {
		m.shown[k], m.told[k] = &shownModel{}, &toldModel{}
	}
	return m.shown[k], m.told[k]
}

func (m *composingModel) play() {
	if m.always = m.rng.IntN(2) == 0; m.always {
		m.composingTo(ComposingAlways)
	}
	for range 150 {
		m.n++
		k := pair{mapping.MustParseJID([]string{"juliet@example.com", "nurse@example.com"}[m.rng.IntN(2)]),
			mapping.MustParseJID([]string{"romeo@sip.example.com", "tybalt@sip.example.com"}[m.rng.IntN(2)])}
		switch m.rng.IntN(10) {
		case 0, 1:
			m.contactSays(k)
		case 2:
			m.contactWrites(k)
		case 3, 4:
			m.userSays(k)
		case 5:
			m.userWrites(k)
		case 6, 7:
			m.answerOne()
		case 8:
			m.outcomeOfOne()
		default:
			time.Sleep(time.Duration(m.rng.IntN(120)) * time.Second)
			m.settle()
		}
		m.look()
	}
	for len(m.pending) > 0 {
		m.outcomeOfOne()
	}
	time.Sleep(2 * time.Hour)
	m.settle()
	m.look()
	for k, s := range m.shown {
		if s.typing {
			m.t.Errorf("%v is seen typing for ever", k)
		}
	}
}

func (m *composingModel) contactSays(k pair) {
	s, told := m.at(k)
	says := []string{"active", "active 30", "active 1000", "idle"}[m.rng.IntN(4)]
	r := isComposing(fmt.Sprint("c", m.n), "sip:"+k.contact.Local()+"@pbx.example.net", says)
	r.RequestURI = mapping.MustParseURI("sip:" + k.user.String())
	lasts := map[string]time.Duration{"active": 120 * time.Second, "active 30": 30 * time.Second, "active 1000": 1000 * time.Second}[says]
	if lasts > 0 {
		s.deadline = time.Now().Add(lasts)
	}
	told.heard = true
	if _, was := m.refused[k.contact]; was {
		m.did["lifted"]++
	}
	delete(m.refused, k.contact)
	typing := s.typing
	m.sip(r)
	m.look()
	if lasts == 0 && s.typing {
		m.t.Errorf("%v has stopped and is seen typing", k)
	} else if lasts == 0 && typing {
		m.did["active after idle"]++
	}
}

func (m *composingModel) contactWrites(k pair) {
	s, told := m.at(k)
	r := fromSIP(fmt.Sprint("c", m.n), "sip:"+k.contact.Local()+"@pbx.example.net", "sip:"+k.user.String(), "hi")
	told.heard, s.typing = true, false
	m.sip(r)
}

func (m *composingModel) userSays(k pair) {
	m.at(k)
	says := []mapping.ChatState{mapping.StateComposing, mapping.StateComposing, mapping.StatePaused, mapping.StateActive, mapping.StateGone}[m.rng.IntN(5)]
	m.FromXMPP([]mapping.XMPP{&mapping.XMPPState{From: k.user, To: k.contact, State: says}})
	m.settle()
}

func (m *composingModel) userWrites(k pair) {
	_, told := m.at(k)
	told.active = false
	free := m.openTexts[k.contact] == 0
	if told.open {
		m.did["text beside"]++
	}
	m.FromXMPP([]mapping.XMPP{fromXMPP(fmt.Sprint("m", m.n), k.user.String()+"/x", k.contact.String(), "hi")})
	before := m.openTexts[k.contact]
	m.look()
	if free && m.openTexts[k.contact] != before+1 {
		m.t.Errorf("a text to %s waits although none is under way", k.contact)
	}
	m.settle()
}

// answerOne gives a request its answer.
func (m *composingModel) answerOne() {
	if len(m.open) == 0 {
		return
	}
	i := m.rng.IntN(len(m.open))
	p := m.open[i]
	m.open = slices.Delete(m.open, i, i+1)
	r := p.Value.(*mapping.SIPMessage)
	k := pairOf(r)
	if saysOf(r) == "text" {
		m.openTexts[k.contact]--
		m.SIPOutcomes([]mapping.Result{{Ref: p.Ref, Outcome: answered([]int{200, 404}[m.rng.IntN(2)])}})
		m.settle()
		return
	}
	_, told := m.at(k)
	told.open = false
	o := answered([]int{200, 200, 200, 200, 415, 480}[m.rng.IntN(6)])
	switch o.Status {
	case 415:
		m.refused[k.contact] = time.Now()
		m.did["refused"]++
		told.active = false
	case 480:
		m.did["unanswered"]++
		told.active = false
	}
	m.SIPOutcomes([]mapping.Result{{Ref: p.Ref, Outcome: o}})
	m.settle()
}

// outcomeOfOne gives a stanza its outcome.
func (m *composingModel) outcomeOfOne() {
	if len(m.pending) == 0 {
		return
	}
	i := m.rng.IntN(len(m.pending))
	p := m.pending[i]
	m.pending = slices.Delete(m.pending, i, i+1)
	o := []mapping.Outcome{processed, processed, processed, {Kind: mapping.Unknown}, {Kind: mapping.NotWritten}, {Kind: mapping.Bounced, Failure: mapping.FailForbidden()}}[m.rng.IntN(6)]
	if v, ok := p.Value.(*mapping.XMPPState); ok && (o.Kind == mapping.NotWritten || o.Kind == mapping.Bounced) && v.State == mapping.StateComposing {
		if s, _ := m.at(pair{v.To.Bare(), v.From.Bare()}); s.id == v.ID {
			s.typing = false
			m.did["failed stanza"]++
		}
	}
	m.XMPPOutcomes([]mapping.Result{{Ref: p.Ref, Outcome: o}})
	m.settle()
}

func pairOf(r *mapping.SIPMessage) pair {
	return pair{mapping.MustParseJID(r.From.User + "@example.com"), mapping.MustParseJID(r.RequestURI.User + "@sip.example.com")}
}

// look takes in what either side was told.
func (m *composingModel) look() {
	m.side.mu.Lock()
	requests, stanzas := slices.Clone(m.requests[m.seenR:]), slices.Clone(m.stanzas[m.seenS:])
	m.seenR, m.seenS = len(m.requests), len(m.stanzas)
	m.side.mu.Unlock()
	for _, p := range stanzas {
		v, ok := p.Value.(*mapping.XMPPState)
		if !ok {
			m.pending = append(m.pending, p)
			continue
		}
		k := pair{v.To.Bare(), v.From.Bare()}
		s, _ := m.at(k)
		if typing := v.State == mapping.StateComposing; typing == s.typing {
			m.t.Errorf("%v: %s twice in a row", k, v.State)
		} else if s.typing, s.id = typing, v.ID; typing {
			m.did["composing"]++
		}
		if _, own := p.Ref.(stopped); !own {
			m.pending = append(m.pending, p)
		} else if m.did["active by itself"]++; time.Now().Before(s.deadline) {
			m.t.Errorf("%v: stopped %v early", k, time.Until(s.deadline))
		}
	}
	for k, s := range m.shown {
		if s.typing && time.Now().After(s.deadline) {
			m.t.Errorf("%v is seen typing %v too long", k, time.Since(s.deadline))
		}
	}
	for _, p := range requests {
		m.open = append(m.open, p)
		r := p.Value.(*mapping.SIPMessage)
		k, says := pairOf(r), saysOf(r)
		_, told := m.at(k)
		if says == "text" {
			if m.openTexts[k.contact]++; m.openTexts[k.contact] > 1 {
				m.t.Errorf("two texts to %s at a time", k.contact)
			}
			continue
		}
		m.did[says+" request"]++
		at, refused := m.refused[k.contact]
		sees := told.active && time.Since(told.since) < refreshAfter
		switch {
		case told.open:
			m.t.Errorf("%v: two states under way", k)
		case m.openTexts[k.contact] > 0:
			m.t.Errorf("%v: %s beside a text", k, says)
		case refused && time.Since(at) < formatsFor:
			m.t.Errorf("%v: %s after a 415", k, says)
		case !told.heard && !m.always:
			m.t.Errorf("%v: %s to somebody who has not written", k, says)
		case sees == (says == "active"):
			m.t.Errorf("%v: %s twice in a row", k, says)
		}
		told.open, told.active, told.since = true, says == "active", time.Now()
	}
}
