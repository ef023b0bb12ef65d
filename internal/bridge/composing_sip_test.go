package bridge

import (
	"fmt"
	"testing"
	"time"

	"github.com/stoxgw/stox/mapping"
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
