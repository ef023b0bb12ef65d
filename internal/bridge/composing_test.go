package bridge

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// isComposing is a request that says whether a contact is typing to juliet; says is the
// state, and with a number behind it the refresh.
func isComposing(callID, from, says string) *mapping.SIPMessage {
	m := fromSIP(callID, from, "sip:juliet@example.com", "")
	state, refresh, _ := strings.Cut(says, " ")
	if refresh != "" {
		refresh = "<refresh>" + refresh + "</refresh>"
	}
	m.ContentType = mapping.TypeComposing
	m.Body = []byte(`<isComposing xmlns="urn:ietf:params:xml:ns:im-iscomposing"><state>` + state + "</state>" + refresh + "</isComposing>")
	return m
}

// sip hands over a request, whose Call-ID is its Ref.
func (r *running) sip(m *mapping.SIPMessage) {
	r.FromSIP([]mapping.Parcel[mapping.SIP]{{Ref: m.CallID, Value: m}})
	r.settle()
}

// state hands over a chat state of juliet.
func (r *running) state(to string, says mapping.ChatState) {
	r.FromXMPP([]mapping.XMPP{&mapping.XMPPState{From: mapping.MustParseJID("juliet@example.com/x"), To: mapping.MustParseJID(to), State: says}})
	r.settle()
}

func (r *running) composingTo(c Composing) {
	p := *r.policy.Load()
	p.Composing = c
	r.SetPolicy(p)
}

// wantTold checks what has been written to XMPP, states by name and texts as "text".
func (r *running) wantTold(want ...string) {
	r.t.Helper()
	r.side.mu.Lock()
	defer r.side.mu.Unlock()
	var got []string
	for _, p := range r.stanzas {
		switch v := p.Value.(type) {
		case *mapping.XMPPState:
			got = append(got, string(v.State))
		case *mapping.XMPPMessage:
			got = append(got, "text")
		default:
			got = append(got, fmt.Sprintf("%T", v))
		}
	}
	if !slices.Equal(got, want) {
		r.t.Errorf("XMPP was told %q, want %q", got, want)
	}
}

// wantSent checks what has been sent to SIP, in the same way.
func (r *running) wantSent(want ...string) {
	r.t.Helper()
	r.side.mu.Lock()
	defer r.side.mu.Unlock()
	var got []string
	for _, p := range r.requests {
		got = append(got, saysOf(p.Value.(*mapping.SIPMessage)))
	}
	if !slices.Equal(got, want) {
		r.t.Errorf("SIP was sent %q, want %q", got, want)
	}
}

// saysOf is active, idle, or text.
func saysOf(m *mapping.SIPMessage) string {
	switch {
	case m.ContentType != mapping.TypeComposing:
		return "text"
	case strings.Contains(string(m.Body), "<state>active</state>"):
		return "active"
	}
	return "idle"
}

// stanzaOutcome gives the last stanza its outcome.
func (r *running) stanzaOutcome(o mapping.Outcome) {
	r.side.mu.Lock()
	p := r.stanzas[len(r.stanzas)-1]
	r.side.mu.Unlock()
	r.XMPPOutcomes([]mapping.Result{{Ref: p.Ref, Outcome: o}})
	r.settle()
}

// wantAnswers checks the statuses that SIP has been answered.
func (r *running) wantAnswers(want ...int) {
	r.t.Helper()
	r.side.mu.Lock()
	defer r.side.mu.Unlock()
	var got []int
	for _, a := range r.answers {
		status, _ := a.Outcome.Final(200)
		got = append(got, status)
	}
	if !slices.Equal(got, want) {
		r.t.Errorf("SIP was answered %v, want %v", got, want)
	}
}

// wantNoTrace checks that nothing of it has reached the disk.
func (r *running) wantNoTrace() {
	r.t.Helper()
	r.disk.mu.Lock()
	defer r.disk.mu.Unlock()
	if len(r.disk.trail)+len(r.disk.seen)+len(r.disk.disk)+len(r.disk.waiting) > 0 {
		r.t.Errorf("left on the disk: %v %v %v", r.disk.trail, r.disk.seen, r.disk.disk)
	}
}

const (
	romeoSIP  = "sip:romeo@pbx.example.net"
	romeoXMPP = "romeo@sip.example.com"
)

// M-015, IM-50, IM-52, IM-55: who types is seen typing, once, until he stops, writes, or
// has not been heard of for as long as he said.
func TestContactTyping(t *testing.T) {
	run(t, func(r *running) {
		r.sip(isComposing("c1", romeoSIP, "active 90"))
		r.wantAnswers() // not before the server has it
		r.stanzaOutcome(processed)
		r.wantAnswers(200)
		v := r.stanzas[0].Value.(*mapping.XMPPState)
		if v.ID == "" || v.From.String() != romeoXMPP || v.To.String() != "juliet@example.com" {
			t.Errorf("stanza %+v", v)
		}
		time.Sleep(60 * time.Second)
		r.sip(isComposing("c2", romeoSIP, "active 90"))
		r.wantAnswers(200, 200) // it is no news
		time.Sleep(89 * time.Second)
		r.settle()
		r.wantTold("composing")
		time.Sleep(time.Second)
		r.settle()
		r.wantTold("composing", "active")
		if v := r.stanzas[1].Value.(*mapping.XMPPState); v.ID == "" || v.From.String() != romeoXMPP || v.To.String() != "juliet@example.com" {
			t.Errorf("stanza %+v", v)
		}
		r.stanzaOutcome(mapping.Outcome{Kind: mapping.Bounced, Failure: mapping.FailForbidden()})
		r.sip(isComposing("c3", romeoSIP, "idle"))
		r.wantAnswers(200, 200, 200)

		r.sip(isComposing("c4", romeoSIP, "active"))
		r.sip(isComposing("c5", romeoSIP, "resting"))
		r.sip(isComposing("c6", romeoSIP, "idle"))
		r.wantTold("composing", "active", "composing", "active")
		r.wantNoTrace()

		r.sip(isComposing("c7", romeoSIP, "active"))
		r.sip(fromSIP("c8", romeoSIP, "sip:juliet@example.com", "hi"))
		time.Sleep(time.Hour)
		r.settle()
		r.wantTold("composing", "active", "composing", "active", "composing", "text")
		if n := len(r.composing.shown.byPair) + len(r.composing.shown.ofEach) + len(r.composing.shown.byTime); n != 0 {
			t.Errorf("%d are left in the tables", n)
		}
	})
}

// The default is two minutes (RFC 3994 §3.3), and the last word counts.
func TestContactTypingEnds(t *testing.T) {
	for says, after := range map[string]time.Duration{"active": 120 * time.Second, "active 1": 10 * time.Second, "active 86400": time.Hour} {
		run(t, func(r *running) {
			r.sip(isComposing("c1", romeoSIP, says))
			time.Sleep(after - time.Millisecond)
			r.settle()
			r.wantTold("composing")
			time.Sleep(time.Millisecond)
			r.settle()
			r.wantTold("composing", "active")
		})
	}
	run(t, func(r *running) { // sooner than the one before it said
		r.sip(isComposing("c1", romeoSIP, "active 3000"))
		r.sip(isComposing("c2", romeoSIP, "active 60"))
		time.Sleep(time.Minute)
		r.settle()
		r.wantTold("composing", "active")
	})
}

// What becomes of the stanza is the answer, and who was not seen typing does not stop.
func TestContactTypingFails(t *testing.T) {
	for name, c := range map[string]struct {
		outcome mapping.Outcome
		status  int
	}{
		"bounced":     {mapping.Outcome{Kind: mapping.Bounced, Failure: &mapping.Failure{Status: 480, Condition: mapping.CondServiceUnavailable, Type: mapping.TypeCancel}}, 480},
		"not written": {mapping.Outcome{Kind: mapping.NotWritten}, 503},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(r *running) {
				r.sip(isComposing("c1", romeoSIP, "active"))
				r.stanzaOutcome(c.outcome)
				r.wantAnswers(c.status)
				time.Sleep(time.Hour)
				r.settle()
				r.wantTold("composing")
				r.wantNoTrace()
			})
		})
	}
}

// IM-57: a repeat joins, or has the same answer, and is no second word; an error that comes
// late is about nothing that anybody sent.
func TestContactTypingRepeated(t *testing.T) {
	run(t, func(r *running) {
		p := *r.policy.Load()
		p.Late = LateMessage
		r.SetPolicy(p)
		first := isComposing("c1", romeoSIP, "active")
		r.sip(first)
		r.sip(first)
		r.stanzaOutcome(processed)
		r.sip(first)
		r.wantAnswers(200, 200, 200)
		r.sip(isComposing("c2", romeoSIP, "idle"))
		r.stanzaOutcome(processed)
		r.sip(first)
		r.wantTold("composing", "active")
		if tally := r.Tally(); tally.Joined != 1 || tally.Repeated != 2 {
			t.Errorf("%+v", tally)
		}
		for _, s := range r.stanzas {
			v := s.Value.(*mapping.XMPPState)
			r.FromXMPP([]mapping.XMPP{&mapping.XMPPError{From: v.To, To: v.From, ID: v.ID,
				Failure: mapping.FailureFromStanza(mapping.CondServiceUnavailable, "", "", "")}})
		}
		time.Sleep(time.Minute)
		r.settle()
		r.wantSent()
		if tally := r.Tally(); tally.Late != 0 {
			t.Errorf("%+v", tally)
		}
		r.wantNoTrace()
	})
}

// SEC-13: whoever may not be reached is not seen to be there; what is refused leaves no row.
func TestContactTypingRefused(t *testing.T) {
	run(t, func(r *running) {
		to := func(uri, body string) {
			m := isComposing("c", romeoSIP, "active")
			m.RequestURI = mapping.MustParseURI(uri)
			m.Body = append([]byte(body), m.Body...)
			r.sip(m)
		}
		to("sip:eve%40evil.example@sip.example.com", "")
		to("sip:eve%40evil.example@sip.example.com", "<")
		to("sip:juliet@example.com", "<")
		to("sip:juliet@elsewhere.example", "")
		r.wantAnswers(403, 403, 400, 404)
		r.wantTold()
		r.wantNoTrace()
	})
}

// A user sees so many typing and no more, whoever writes; what is beyond that is answered
// and forgotten, and the others are told to stop when the gateway does.
func TestContactsTypingBounded(t *testing.T) {
	run(t, func(r *running) {
		for i := range maxTypistsSeen + 3 {
			r.sip(isComposing(fmt.Sprint(i), fmt.Sprintf("sip:u%d@pbx.example.net", i), "active"))
		}
		if got := r.told(); got != maxTypistsSeen {
			t.Errorf("%d are seen typing, want %d", got, maxTypistsSeen)
		}
		r.wantAnswers(200, 200, 200)
		for _, p := range r.stanzas {
			r.XMPPOutcomes([]mapping.Result{{Ref: p.Ref, Outcome: processed}})
		}
		if err := r.Drain(r.t.Context()); err != nil {
			t.Error(err)
		}
		stopped := map[mapping.JID]int{}
		for _, p := range r.stanzas {
			if v := p.Value.(*mapping.XMPPState); v.State == mapping.StateActive {
				stopped[v.From]++
			}
		}
		if len(stopped) != maxTypistsSeen || r.told() != 2*maxTypistsSeen {
			t.Errorf("%d have stopped, of %d stanzas", len(stopped), r.told())
		}
		r.sip(isComposing("late", romeoSIP, "active"))
		if status, _ := r.answers[len(r.answers)-1].Outcome.Final(200); status != 503 {
			t.Errorf("while stopping: %d", status)
		}
	})
}

// M-016, IM-50, IM-55: the contact is told what changes.
func TestUserTyping(t *testing.T) {
	run(t, func(r *running) {
		r.composingTo(ComposingAlways)
		r.state(romeoXMPP, mapping.StateActive) // nobody has thought otherwise
		r.state(romeoXMPP, mapping.StateComposing)
		r.answer(answered(200))
		r.state(romeoXMPP, mapping.StateComposing)
		r.state(romeoXMPP, mapping.StateGone)
		r.wantSent("active")
		r.state(romeoXMPP, mapping.StatePaused)
		r.answer(answered(202))
		r.state(romeoXMPP, mapping.StateInactive)
		r.wantSent("active", "idle")
		a, b := r.request(1), r.request(2)
		if a.CallID == b.CallID || a.FromTag == b.FromTag || a.CSeq == b.CSeq || a.CallID == "" {
			t.Errorf("identifiers %s %s %d, %s %s %d", a.CallID, a.FromTag, a.CSeq, b.CallID, b.FromTag, b.CSeq)
		}
		r.state(romeoXMPP, mapping.StateComposing)
		r.answer(answered(200))
		time.Sleep(refreshAfter) // the contact does not see it any more
		r.state(romeoXMPP, mapping.StatePaused)
		r.wantSent("active", "idle", "active")
		r.state(romeoXMPP, mapping.StateComposing)
		r.wantSent("active", "idle", "active", "active")
		r.wantTold()
		r.wantNoTrace()
	})
}

// What happens while a request is under way is said after it, the last of it, if it is news.
func TestUserTypingMeanwhile(t *testing.T) {
	run(t, func(r *running) {
		r.composingTo(ComposingAlways)
		r.state(romeoXMPP, mapping.StateComposing)
		r.state(romeoXMPP, mapping.StatePaused)
		r.state(romeoXMPP, mapping.StateComposing)
		r.wantSent("active")
		r.answer(answered(200))
		r.wantSent("active")
		r.state(romeoXMPP, mapping.StatePaused)
		r.state(romeoXMPP, mapping.StateComposing)
		r.wantSent("active", "idle")
		r.answer(answered(200))
		r.wantSent("active", "idle", "active")
		r.state(romeoXMPP, mapping.StatePaused)
		r.answer(answered(200))
		r.wantSent("active", "idle", "active", "idle")
		r.answer(answered(200))
		if n := len(r.composing.told.byPair) + len(r.composing.openOf) + r.composing.open; n != 0 {
			t.Errorf("%d are left in the tables", n)
		}
	})
}

// What waited behind a request is not said after a text.
func TestUserTypingBeforeText(t *testing.T) {
	run(t, func(r *running) {
		r.composingTo(ComposingAlways)
		r.state(romeoXMPP, mapping.StateComposing)
		r.answer(answered(200))
		r.state(romeoXMPP, mapping.StatePaused)
		idle := r.requests[1].Ref
		r.state(romeoXMPP, mapping.StateComposing)
		r.text("m1", "juliet@example.com/x")
		r.answer(answered(200))
		r.SIPOutcomes([]mapping.Result{{Ref: idle, Outcome: answered(200)}})
		r.settle()
		r.wantSent("active", "idle", "text")
	})
}

// A gateway that stops has nothing to say of it.
func TestUserTypingAtTheEnd(t *testing.T) {
	run(t, func(r *running) {
		r.composingTo(ComposingAlways)
		r.state(romeoXMPP, mapping.StateComposing)
		r.state(romeoXMPP, mapping.StatePaused)
		if err := r.Drain(r.t.Context()); err != nil { // does not wait for it
			t.Error(err)
		}
		r.answer(answered(200))
		r.state("tybalt@sip.example.com", mapping.StateComposing)
		r.wantSent("active")
	})
}

// Who has written is known for a day at least and for two at most, and for no more than so
// many conversations.
func TestHeard(t *testing.T) {
	at := func(i int) pair {
		return pair{mapping.MustParseJID("juliet@example.com"), mapping.MustParseJID(fmt.Sprintf("u%d@sip.example.com", i))}
	}
	now := time.Now()
	h := newComposing().heard
	h.note(at(1), now)
	h.note(at(2), now.Add(heardFor-1))
	h.note(at(3), now.Add(heardFor)) // a new generation
	for i, want := range []bool{false, true, true, true} {
		if got := h.has(at(i), now.Add(2*heardFor-1)); got != want {
			t.Errorf("%d: %t", i, got)
		}
	}
	for i, want := range []bool{false, false, false, true} {
		if got := h.has(at(i), now.Add(2*heardFor)); got != want {
			t.Errorf("a day later %d: %t", i, got)
		}
	}
	if h.has(at(3), now.Add(3*heardFor)) {
		t.Error("it is known for ever")
	}
	for i := range 3 * maxHeard {
		h.note(at(i), now.Add(4*heardFor))
	}
	if len(h.young) > maxHeard || len(h.old) > maxHeard || h.has(at(0), now.Add(4*heardFor)) || !h.has(at(3*maxHeard-1), now.Add(4*heardFor)) {
		t.Errorf("%d and %d are known", len(h.young), len(h.old))
	}
}

// IM-54: a text never waits for it, and it never goes beside a text, whoever wrote that.
func TestUserTypingAndTexts(t *testing.T) {
	run(t, func(r *running) {
		r.composingTo(ComposingAlways)
		r.state(romeoXMPP, mapping.StateComposing)
		active := r.requests[0].Ref
		r.text("m1", "juliet@example.com/x")
		r.wantSent("active", "text") // at once, beside the other one
		r.text("m2", "juliet@example.com/x")
		r.state(romeoXMPP, mapping.StatePaused) // the text has said so
		r.SIPOutcomes([]mapping.Result{{Ref: active, Outcome: answered(200)}})
		r.settle()
		r.wantSent("active", "text")
		r.state(romeoXMPP, mapping.StateComposing) // there is a text under way, and one behind it
		r.wantSent("active", "text")
		r.answer(answered(200))
		r.wantSent("active", "text", "text")
		r.answer(answered(200))
		r.wantSent("active", "text", "text")
		r.state(romeoXMPP, mapping.StateComposing)
		r.wantSent("active", "text", "text", "active")
		r.answer(answered(200))

		r.text("m3", "nurse@example.com/x")
		r.state(romeoXMPP, mapping.StatePaused)
		r.wantSent("active", "text", "text", "active", "text")
		r.answer(answered(200))
		r.state(romeoXMPP, mapping.StatePaused) // it was not said
		r.wantSent("active", "text", "text", "active", "text", "idle")
	})
}

// In one read: a text takes back what was said before it, and what comes behind it is too
// early.
func TestUserTypingInOneRead(t *testing.T) {
	composing := func(to string) mapping.XMPP {
		return &mapping.XMPPState{From: mapping.MustParseJID("juliet@example.com/x"), To: mapping.MustParseJID(to), State: mapping.StateComposing}
	}
	run(t, func(r *running) {
		r.composingTo(ComposingAlways)
		r.FromXMPP([]mapping.XMPP{composing("tybalt@sip.example.com"), composing(romeoXMPP), fromXMPP("a", "juliet@example.com/y", romeoXMPP, "hi"), composing(romeoXMPP)})
		r.settle()
		r.wantSent("text", "active")
		if to := r.request(2).RequestURI.User; to != "tybalt" {
			t.Errorf("%s was told", to)
		}
	})
}

// IM-53: after a 415 nothing more, for a day or until the contact says it itself.
func TestUserTypingRefused(t *testing.T) {
	for _, status := range []int{415, 488} {
		run(t, func(r *running) {
			r.composingTo(ComposingAlways)
			r.state(romeoXMPP, mapping.StateComposing)
			r.state(romeoXMPP, mapping.StatePaused)
			r.answer(answered(status))
			r.state(romeoXMPP, mapping.StateComposing)
			time.Sleep(23 * time.Hour)
			r.state(romeoXMPP, mapping.StateComposing)
			r.sip(fromSIP("c1", romeoSIP, "sip:juliet@example.com", "hi")) // a text says nothing about it
			r.state(romeoXMPP, mapping.StateComposing)
			r.wantSent("active")
			r.sip(isComposing("c2", romeoSIP, "active"))
			r.state(romeoXMPP, mapping.StateComposing)
			r.wantSent("active", "active")
			r.answer(answered(status))
			time.Sleep(formatsFor)
			r.state(romeoXMPP, mapping.StateComposing)
			r.wantSent("active", "active", "active")
			r.state("tybalt@sip.example.com", mapping.StateComposing)
			r.wantSent("active", "active", "active", "active") // another contact
			r.wantTold("text", "composing", "active")
		})
	}
}

// A contact who does not answer is left alone for a minute, and nobody is told.
func TestUserTypingUnanswered(t *testing.T) {
	for name, o := range map[string]mapping.Outcome{"404": answered(404), "408": answered(408), "503": answered(503), "unknown": {Kind: mapping.Unknown},
		"not written": {Kind: mapping.NotWritten, Failure: mapping.FailUnreachable()}} {
		t.Run(name, func(t *testing.T) {
			run(t, func(r *running) {
				r.composingTo(ComposingAlways)
				r.state(romeoXMPP, mapping.StateComposing)
				r.state(romeoXMPP, mapping.StatePaused)
				r.answer(o)
				r.state(romeoXMPP, mapping.StateComposing)
				time.Sleep(quietFor - time.Second)
				r.state(romeoXMPP, mapping.StateComposing)
				r.wantSent("active")
				time.Sleep(time.Second)
				r.state(romeoXMPP, mapping.StateComposing)
				r.wantSent("active", "active")
				r.text("m1", "juliet@example.com/x")
				r.wantSent("active", "active", "text")
				r.wantTold()
			})
		})
	}
}

// sip.composing, access, and those who are never told.
func TestUserTypingToWhom(t *testing.T) {
	run(t, func(r *running) {
		type word struct {
			from, to string
		}
		say := func(words ...word) {
			for _, w := range words {
				r.FromXMPP([]mapping.XMPP{&mapping.XMPPState{From: mapping.MustParseJID(w.from), To: mapping.MustParseJID(w.to), State: mapping.StateComposing}})
			}
			r.settle()
		}
		const juliet, number = "juliet@example.com/x", "+12125550123@sip.example.com"
		r.composingTo(ComposingNever)
		say(word{juliet, romeoXMPP})
		r.composingTo(ComposingAlways)
		say(word{"eve@evil.example/x", romeoXMPP}, word{juliet, number}, word{juliet, `romeo\40@sip.example.com`})
		r.wantSent()

		r.composingTo("") // reply-only
		r.sip(fromSIP("c1", "sip:+12125550123@pbx.example.net;user=phone", "sip:juliet@example.com", "hi"))
		say(word{juliet, romeoXMPP}, word{juliet, number})
		r.wantSent()
		r.sip(fromSIP("c2", romeoSIP, "sip:juliet@example.com", "hi"))
		say(word{"nurse@example.com/x", romeoXMPP}) // not to whom he has written
		r.wantSent()
		say(word{juliet, romeoXMPP})
		r.wantSent("active")
		say(word{juliet, "tybalt@sip.example.com"})
		r.sip(isComposing("c3", "sip:tybalt@pbx.example.net", "idle"))
		say(word{juliet, "tybalt@sip.example.com"})
		r.wantSent("active", "active")
		time.Sleep(2 * heardFor)
		say(word{juliet, romeoXMPP})
		r.wantSent("active", "active")
	})
}

// It has few requests under way, and none while texts need them.
func TestUserTypingBounded(t *testing.T) {
	run(t, func(r *running) {
		r.composingTo(ComposingAlways)
		for i := range maxSaying {
			r.FromXMPP([]mapping.XMPP{&mapping.XMPPState{From: mapping.MustParseJID(fmt.Sprintf("u%d@example.com/x", i)),
				To: mapping.MustParseJID(fmt.Sprintf("v%d@sip.example.com", i)), State: mapping.StateComposing}})
		}
		if got := r.sent(); got != maxSaying/4 {
			t.Errorf("%d requests under way, want %d", got, maxSaying/4)
		}
		r.lanes.limits.Alone = true
		r.lanes.limits.Open = 2
		r.text("m1", "juliet@example.com/x")
		n := r.sent()
		r.state("other@sip.example.com", mapping.StateComposing)
		if got := r.sent(); got != n {
			t.Error("it was said while half of the slots are taken")
		}
		r.lanes.limits.Open = 4
		r.state("other@sip.example.com", mapping.StateComposing)
		if got := r.sent(); got != n+1 {
			t.Error("it was not said although there was room")
		}
	})
}
