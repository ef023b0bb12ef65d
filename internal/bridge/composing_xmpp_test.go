package bridge

import (
	"fmt"
	"hash/maphash"
	"testing"
	"time"

	"github.com/stoxgw/stox/mapping"
)

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
	hash := pairs{maphash.MakeSeed()}
	at := func(i int) uint64 {
		return hash.of(pair{mapping.MustParseJID("juliet@example.com"), mapping.MustParseJID(fmt.Sprintf("u%d@sip.example.com", i))})
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
