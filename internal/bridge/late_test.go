package bridge

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// lateRig tells late errors in messages.
func lateRig(t *testing.T) *repeatRig {
	return newRepeatRig(t, &ledger{}, func(_ *mapping.RulesConfig, p *Policy, _ *[]string) { p.Late = LateMessage })
}

// deliver has a request answered and returns the stanza that it became.
func (r *repeatRig) deliver(callID, from string, o mapping.Outcome) *mapping.XMPPMessage {
	r.take(callID, fromSIP(callID, from, "sip:juliet@example.com", "secret text"))
	r.settle(o)
	return r.s.stanzas[len(r.s.stanzas)-1].Value.(*mapping.XMPPMessage)
}

// bounce is the error stanza to m.
func bounce(m *mapping.XMPPMessage) *mapping.XMPPError {
	return &mapping.XMPPError{From: m.To, To: m.From, ID: m.ID,
		Failure: mapping.FailureFromStanza(mapping.CondServiceUnavailable, "", "secret text", "")}
}

var processed = mapping.Outcome{Kind: mapping.Processed}

// IM-61, IM-47: a late error counts once for each message that SIP was given a 2xx
// for, and is in the trail.
func TestLateErrorCountsOnce(t *testing.T) {
	for _, c := range []struct {
		name    string
		outcome mapping.Outcome
		change  func(*mapping.XMPPError)
		late    uint64
	}{
		{"processed", processed, nil, 1},
		{"unknown", mapping.Outcome{Kind: mapping.Unknown}, nil, 1},
		{"second copy", mapping.Outcome{Kind: mapping.Processed, Doubtful: true}, nil, 1},
		{"from a device", processed, func(e *mapping.XMPPError) { e.From = mapping.MustParseJID("juliet@example.com/x") }, 1},
		{"bounced", mapping.Outcome{Kind: mapping.Bounced}, nil, 0},
		{"not written", mapping.Outcome{Kind: mapping.NotWritten}, nil, 0},
		{"uncertain", mapping.Outcome{Kind: mapping.Uncertain}, nil, 0},
		{"not ours", processed, func(e *mapping.XMPPError) { e.ID = "m1" }, 0},
		{"never sent", processed, func(e *mapping.XMPPError) { e.ID = stanzaID(testKey(1)) }, 0},
		{"no id", processed, func(e *mapping.XMPPError) { e.ID = "" }, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, how := range []LateErrors{"", LateIMDN, LateNone, LateMessage} {
				r := newRepeatRig(t, &ledger{}, func(_ *mapping.RulesConfig, p *Policy, _ *[]string) { p.Late = how })
				e := bounce(r.deliver("c1", "sip:romeo@pbx.example.net", c.outcome))
				if c.change != nil {
					c.change(e)
				}
				r.FromXMPP([]mapping.XMPP{e, e})
				r.FromXMPP([]mapping.XMPP{e})
				if got := r.Tally().Late; got != c.late {
					t.Errorf("%q: counted %d times, want %d", how, got, c.late)
				}
				var trail []string
				for _, ev := range r.j.events {
					if ev.Kind == "late" {
						trail = append(trail, ev.ID+" "+ev.Detail)
					}
				}
				want := "[]"
				if c.late > 0 {
					want = fmt.Sprintf("[%s sip-xmpp romeo@sip.example.com -> %s service-unavailable]", e.ID, e.From)
				}
				if fmt.Sprint(trail) != want {
					t.Errorf("%q: trail %v, want %s", how, trail, want)
				}
				if got := r.take("again", fromSIP("c1", "sip:romeo@pbx.example.net", "sip:juliet@example.com", "hi")); c.late > 0 && got/100 != 2 {
					t.Errorf("%q: a repeat after it got %d: the answer has changed", how, got)
				}
				if len(r.s.stanzas) > 2 || len(r.s.requests) != 0 {
					t.Errorf("%q: %d stanzas and %d requests followed", how, len(r.s.stanzas)-1, len(r.s.requests))
				}
			}
		})
	}
}

// IM-61: what has overtaken the outcome waits for it, if it can belong to it.
func TestLateErrorBeforeTheOutcome(t *testing.T) {
	for _, c := range []struct {
		name    string
		outcome mapping.Outcome
		from    string
		to      string
		late    uint64
	}{
		{"processed", processed, "juliet@example.com/x", "romeo@sip.example.com", 1},
		{"by the server", processed, "example.com", "romeo@sip.example.com", 1},
		{"by somebody else", processed, "eve@example.com", "romeo@sip.example.com", 0},
		{"to somebody else", processed, "juliet@example.com", "mercutio@sip.example.com", 0},
		{"bounced", mapping.Outcome{Kind: mapping.Bounced}, "juliet@example.com", "romeo@sip.example.com", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := lateRig(t)
			r.take("tx", hi())
			e := bounce(r.s.stanzas[0].Value.(*mapping.XMPPMessage))
			e.From, e.To = mapping.MustParseJID(c.from), mapping.MustParseJID(c.to)
			r.FromXMPP([]mapping.XMPP{e, e})
			if got := r.Tally().Late; got != 0 {
				t.Errorf("counted before SIP was told anything")
			}
			if answers := r.settle(c.outcome); len(answers) != 1 || answers[0].Outcome.Kind != c.outcome.Kind {
				t.Errorf("answers %+v, want one %v", answers, c.outcome.Kind)
			}
			if got := r.Tally().Late; got != c.late || len(r.late.queue) != int(c.late) {
				t.Errorf("counted %d times, and %d wait to be told; want %d", got, len(r.late.queue), c.late)
			}
			r.FromXMPP([]mapping.XMPP{bounce(r.s.stanzas[0].Value.(*mapping.XMPPMessage))})
			want := uint64(0)
			if c.outcome.Accepted() {
				want = 1 // that before the outcome, or this one
			}
			if got := r.Tally().Late; got != want {
				t.Errorf("counted %d times after another one, want %d", got, want)
			}
		})
	}
}

// sent is what has gone to SIP so far.
func (r *repeatRig) sent() []mapping.Parcel[mapping.SIP] {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	return slices.Clone(r.s.requests)
}

// IM-61, late_errors = message: half a minute later the sender gets a message from
// the gateway itself, without the text of anybody.
func TestLateMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := lateRig(t)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- r.Run(ctx) }()
		m := r.deliver("c1", "sip:romeo@example.net;gr=phone", processed)
		time.Sleep(time.Minute)
		r.FromXMPP([]mapping.XMPP{bounce(m)})
		time.Sleep(30*time.Second - time.Nanosecond)
		synctest.Wait()
		if len(r.sent()) != 0 {
			t.Fatal("told before a receipt could come")
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		sent := r.sent()
		if len(sent) != 1 {
			t.Fatalf("%d requests, want 1", len(sent))
		}
		got := sent[0].Value.(*mapping.SIPMessage)
		if got.RequestURI.String() != "sip:romeo@example.net" || got.To != got.RequestURI || got.From.String() != "sip:gw.example.com:5070" {
			t.Errorf("from %s to %s (%s)", got.From, got.To, got.RequestURI)
		}
		if got.CallID == "" || got.CallID == "c1" || got.FromTag == "" || got.CSeq == 0 || got.ContentType != "text/plain;charset=utf-8" {
			t.Errorf("%+v", got)
		}
		const text = "Your message to juliet@example.com may not have arrived: the XMPP server had taken it and reported an error later (service-unavailable)."
		if string(got.Body) != text {
			t.Errorf("it says %q", got.Body)
		}
		r.SIPOutcomes([]mapping.Result{{Ref: sent[0].Ref, Outcome: retryAfter(503, time.Second)}})
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(r.s.stanzas) != 1 || len(r.sent()) != 1 {
			t.Errorf("%d stanzas and %d requests follow", len(r.s.stanzas)-1, len(r.sent())-1)
		}
		if got := r.Tally(); got.Late != 1 || got.LateTold != 1 {
			t.Errorf("counts %+v", got)
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

// answerAll takes what has been sent, and lets it arrive.
func (r *repeatRig) answerAll() []mapping.Parcel[mapping.SIP] {
	sent := r.sent()
	r.s.requests = nil
	for _, p := range sent {
		r.SIPOutcomes([]mapping.Result{{Ref: p.Ref, Outcome: answered(200)}})
	}
	return sent
}

// told is to whom late errors have been told since the last call.
func (r *repeatRig) told() string {
	r.tick()
	var out []string
	for _, p := range r.answerAll() {
		out = append(out, p.Value.(*mapping.SIPMessage).RequestURI.User)
	}
	return strings.Join(out, " ")
}

// IM-61: at most one message for each sender and minute.
func TestLateMessagesAreFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := lateRig(t)
		late := func(n int, user string) {
			r.FromXMPP([]mapping.XMPP{bounce(r.deliver(fmt.Sprint("c", n), "sip:"+user+"@pbx.example.net", processed))})
		}
		late(1, "romeo")
		late(2, "romeo")
		late(3, "mercutio")
		late(4, "ROMEO")
		time.Sleep(30 * time.Second)
		if got := r.told(); got != "romeo mercutio" {
			t.Errorf("told %q", got)
		}
		time.Sleep(30*time.Second - time.Millisecond)
		late(5, "romeo")
		time.Sleep(time.Millisecond)
		late(6, "romeo")
		time.Sleep(30*time.Second - time.Millisecond)
		if got := r.told(); got != "" {
			t.Errorf("told %q within a minute", got)
		}
		time.Sleep(time.Millisecond)
		if got := r.told(); got != "romeo" {
			t.Errorf("told %q after a minute", got)
		}
		if got := r.Tally(); got.Late != 6 || got.LateTold != 3 {
			t.Errorf("counts %+v", got)
		}
	})
}

// IM-61, M-056: a receipt before the error or within half a minute after it
// outweighs it.
func TestReceiptOutweighsLateError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := lateRig(t)
		receipt := func(m *mapping.XMPPMessage) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.received(m.ID, time.Now())
		}
		before := r.deliver("c1", "sip:before@pbx.example.net", processed)
		after := r.deliver("c2", "sip:after@pbx.example.net", processed)
		never := r.deliver("c3", "sip:never@pbx.example.net", processed)
		receipt(before)
		r.FromXMPP([]mapping.XMPP{bounce(before), bounce(after), bounce(never)})
		time.Sleep(30*time.Second - time.Millisecond)
		receipt(after)
		receipt(&mapping.XMPPMessage{ID: "m1"})
		time.Sleep(time.Millisecond)
		if got := r.told(); got != "never" {
			t.Errorf("told %q, want never", got)
		}
		if got := r.Tally().Late; got != 2 {
			t.Errorf("%d late errors, want 2", got)
		}
		if got := r.take("again", fromSIP("c1", "sip:before@pbx.example.net", "sip:juliet@example.com", "hi")); got != 200 {
			t.Errorf("a repeat got %d", got)
		}
	})
}

// A late error that may not be told any more when its time has come is not.
func TestLateMessageNotTold(t *testing.T) {
	for name, change := range map[string]func(r *repeatRig){
		"another policy": func(r *repeatRig) { p := *r.policy.Load(); p.Late = LateNone; r.SetPolicy(p) },
		"stopping":       func(r *repeatRig) { r.Drain(context.Background()) },
	} {
		synctest.Test(t, func(t *testing.T) {
			r := lateRig(t)
			r.FromXMPP([]mapping.XMPP{bounce(r.deliver("c1", "sip:romeo@pbx.example.net", processed))})
			change(r)
			time.Sleep(time.Minute)
			if got := r.told(); got != "" {
				t.Errorf("%s: told %q", name, got)
			}
		})
	}
}

// However many late errors come, what is remembered of them is bounded, and goes.
func TestLateErrorsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := lateRig(t)
		told := 0
		for round := range 6 {
			for n := range maxLate + 10 {
				from := fmt.Sprintf("sip:u%d-%d@pbx.example.net", round, n)
				r.FromXMPP([]mapping.XMPP{bounce(r.deliver(fmt.Sprint(round, "-", n), from, processed))})
			}
			if len(r.late.queue) != maxLate || len(r.late.waiting) != maxLate {
				t.Errorf("%d, %d wait", len(r.late.queue), len(r.late.waiting))
			}
			time.Sleep(receiptTime)
			r.tick()
			told += len(r.answerAll())
			if len(r.late.told) > maxToldSender || len(r.late.queue) != 0 || len(r.late.waiting) != 0 {
				t.Errorf("%d senders are remembered, %d and %d wait", len(r.late.told), len(r.late.queue), len(r.late.waiting))
			}
		}
		// Six rounds in three minutes: the senders of a minute and more ago have gone.
		if told != 6*maxLate {
			t.Errorf("%d were told, want %d", told, 6*maxLate)
		}
	})
}

// Run is woken when something is due, and never while there is nothing: an idle
// daemon sleeps.
func TestTickSleeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := lateRig(t)
		if _, next := r.tick(); !next.IsZero() {
			t.Errorf("with nothing to do it wakes at %v", next)
		}
		soon := func() (woken bool) {
			select {
			case <-r.wake:
				return true
			default:
				return false
			}
		}
		m := r.deliver("c1", "sip:romeo@pbx.example.net", processed)
		if !soon() {
			t.Error("nobody is told that there is an outcome to forget")
		}
		begin := time.Now()
		if _, next := r.tick(); !next.Equal(begin.Add(seenFor)) {
			t.Errorf("the outcome is forgotten after %v", next.Sub(begin))
		}
		time.Sleep(time.Minute)
		r.FromXMPP([]mapping.XMPP{bounce(m)})
		if !soon() {
			t.Error("nobody is told that there is a late error")
		}
		if _, next := r.tick(); !next.Equal(begin.Add(time.Minute + receiptTime)) {
			t.Errorf("the error is told after %v", next.Sub(begin))
		}
		for n := 0; ; n++ {
			_, next := r.tick()
			if next.IsZero() {
				break
			}
			if n == 10 || !next.After(time.Now()) {
				t.Fatalf("turn %d: called at %v, it asks for %v", n, time.Now(), next)
			}
			time.Sleep(time.Until(next))
		}
		if entries, octets := r.repeats.seen.size(); entries != 0 || octets != 0 {
			t.Errorf("left are %d outcomes in %d octets", entries, octets)
		}
		r.deliver("c2", "sip:romeo@pbx.example.net", processed)
		if !soon() {
			t.Error("nobody is told that there is an outcome to forget again")
		}
	})
}
