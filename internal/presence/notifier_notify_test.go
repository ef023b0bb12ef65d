package presence

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// failure is the outcome of a NOTIFY that has failed.
func failure(status int, retryAfter time.Duration) mapping.Outcome {
	return mapping.Outcome{Kind: mapping.Answered, Status: status, Failure: mapping.FailureFromStatus(status, "", retryAfter, nil)}
}

// PRES-33: what ends a subscription ends it at once. The user is told that the contact is
// gone, and keeps it authorised.
func TestNotifyEnds(t *testing.T) {
	for _, status := range []int{404, 405, 410, 416, 480, 481, 482, 483, 484, 485, 489, 501, 604} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *harness) {
				a := h.watcher("c1")
				h.grant()
				h.wantTold("c1 active 3600")
				h.show("a", mapping.Available, nil)
				sent := h.takeRequests()
				h.outcome(sent[0].Ref, failure(status, 0))
				h.wantXMPP("unavailable romeo@example.net > juliet@example.com")
				h.wait(2 * time.Hour)
				h.wantTold()
				a.wants(a.subscribe(600), 481)
				if r := h.relations.find(mapping.MustParseJID(julietJID), mapping.MustParseJID(romeoJID)); r == nil || r.state != WatcherGranted {
					t.Errorf("the authorisation is lost: %+v", r)
				}
				if n := h.Tally().Watchers; n != 0 {
					t.Errorf("%d watchers are left", n)
				}
			})
		})
	}
}

// What does not end it is tried again, some times, with what is so then.
func TestNotifyAgain(t *testing.T) {
	notWritten := mapping.Outcome{Kind: mapping.NotWritten, Failure: mapping.FailTransport()}
	busy := mapping.Outcome{Kind: mapping.NotWritten, Failure: mapping.FailBusy(1)}
	unknown := mapping.Outcome{Kind: mapping.Unknown}
	for _, tt := range []struct {
		name  string
		o     mapping.Outcome
		waits []time.Duration // before it is tried again; in the end it is not, unless it goes on
		goes  bool
	}{
		{"an error", failure(500, 0), []time.Duration{30 * time.Second, 30 * time.Second, 30 * time.Second}, false},
		{"come later", failure(503, 70*time.Second), []time.Duration{70 * time.Second, 70 * time.Second, 70 * time.Second, 70 * time.Second, 70 * time.Second}, true},
		{"come at once", failure(503, time.Second), []time.Duration{10 * time.Second, 10 * time.Second}, true},
		{"no answer", unknown, []time.Duration{10 * time.Second}, false},
		{"not written", notWritten, []time.Duration{10 * time.Second, 20 * time.Second, 30 * time.Second}, false},
		{"no room here", busy, []time.Duration{10 * time.Second, 10 * time.Second, 10 * time.Second, 10 * time.Second, 10 * time.Second}, true},
		{"refused", mapping.Outcome{Kind: mapping.Refused, Failure: mapping.FailDNS()}, nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *harness) {
				h.watcher("c1")
				h.grant()
				h.wantTold("c1 active 3600")
				h.show("a", mapping.Available, nil)
				sent := h.takeRequests()
				seq := sent[0].Value.(*mapping.SIPNotify).CSeq
				for i, wait := range tt.waits {
					h.outcome(sent[0].Ref, tt.o)
					h.show("a", mapping.Available, &mapping.Resource{Show: mapping.ShowAway}) // is said then
					h.wait(wait - time.Millisecond)
					h.wantTold()
					h.wait(time.Millisecond)
					if sent = h.takeRequests(); len(sent) != 1 {
						t.Fatalf("%d. time: %d requests", i+2, len(sent))
					}
					n := sent[0].Value.(*mapping.SIPNotify)
					if tuples := readPIDF(t, n.Body).Tuples; len(tuples) != 1 || tuples[0].Show != "away" || n.CSeq <= seq {
						t.Errorf("%d. time: told %v under CSeq %d, after %d", i+2, tuples, n.CSeq, seq)
					}
					seq = n.CSeq
				}
				h.wantXMPP()
				h.outcome(sent[0].Ref, tt.o)
				if tt.goes {
					h.wait(70 * time.Second)
					sent = h.takeRequests()
					h.outcome(sent[0].Ref, answer(200, nil))
					h.wantXMPP()
					return
				}
				h.wantXMPP("unavailable romeo@example.net > juliet@example.com")
				h.wait(2 * time.Hour)
				h.wantTold()
			})
		})
	}
}

// The last NOTIFY waits for the one on its way, and is tried some times.
func TestLastNotify(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		h.watcher("c1")
		h.grant()
		sent := h.takeRequests()
		h.presence(julietJID, romeoJID, mapping.Unsubscribed)
		h.wantTold()
		h.outcome(sent[0].Ref, failure(500, 0))
		h.wait(30 * time.Second)
		for range notifyFails - 1 {
			if sent = h.takeRequests(); len(sent) != 1 || describeNotify(t, sent[0].Value) != "c1 terminated rejected" {
				t.Fatalf("told %v", sent)
			}
			h.outcome(sent[0].Ref, failure(503, time.Minute))
			h.wait(time.Minute)
		}
		h.wantTold()
		if n := h.Tally().Watchers; n != 0 {
			t.Errorf("%d watchers are left", n)
		}
	})
	inBubble(t, func(t *testing.T, h *harness) {
		h.watcher("c1")
		h.grant()
		sent := h.takeRequests()
		h.presence(julietJID, romeoJID, mapping.Unsubscribed)
		h.outcome(sent[0].Ref, failure(481, 0)) // it knows already
		h.wait(time.Minute)
		h.wantTold()
		if n := h.Tally().Watchers; n != 0 {
			t.Errorf("%d watchers are left", n)
		}
	})
}

// A request that was sent again under another CSeq, to prove who we are, counts.
func TestNotifyCSeqOfLogin(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		h.watcher("c1")
		h.grant()
		sent := h.takeRequests()
		seq := sent[0].Value.(*mapping.SIPNotify).CSeq
		o := answer(200, nil)
		o.CSeq = seq + 1
		h.outcome(sent[0].Ref, o)
		h.show("a", mapping.Available, nil)
		if got := h.takeRequests()[0].Value.(*mapping.SIPNotify).CSeq; got != seq+2 {
			t.Errorf("CSeq %d after %d", got, seq+1)
		}
	})
}

// NOTIFY requests of one peer keep to the rate, and those of another do not wait for them.
func TestNotifyRate(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		var batch []mapping.Parcel[mapping.SIP]
		add := func(id, contact, peer string) {
			a := h.agent(id, func(v *mapping.SIPSubscribe) {
				v.From, v.Peer, v.Expires = mapping.MustParseURI("sip:"+contact), peer, 0
			})
			batch = append(batch, mapping.Parcel[mapping.SIP]{Ref: id, Value: &a.next})
		}
		for i := range 2 * notifyBurst {
			add(fmt.Sprintf("many%d", i), fmt.Sprintf("u%d@example.net", i), "greedy")
		}
		add("one", romeoJID, "modest")
		h.FromSIP(batch)
		h.settle()
		first := h.takeRequests()
		if len(first) != notifyBurst {
			t.Errorf("%d at once", len(first))
		}
		if got := first[1].Value.(*mapping.SIPNotify).CallID; got != "one" {
			t.Errorf("%s has its turn before the other peer", got)
		}
		h.wait(time.Second)
		second := h.takeRequests()
		if len(second) != int(time.Second/notifyEvery) {
			t.Errorf("%d in a second", len(second))
		}
		h.wait(time.Minute)
		if third := h.takeRequests(); len(first)+len(second)+len(third) != len(batch) {
			t.Errorf("%d of %d", len(first)+len(second)+len(third), len(batch))
		}
	})
}

// What somebody waits for goes before what is merely new.
func TestNotifyUrgent(t *testing.T) {
	box := newOutbox()
	push := func(id string, urgent bool) {
		w := &watcher{callID: id}
		if urgent {
			box.urgent.push("p", w)
		} else {
			box.rest.push("p", w)
		}
	}
	for i := range 3 {
		push(fmt.Sprintf("r%d", i), false)
	}
	for i := range 5 {
		push(fmt.Sprintf("u%d", i), true)
	}
	order := ""
	for !box.empty() {
		order += box.pop().callID + " "
	}
	if want := "u0 u1 u2 r0 u3 u4 r1 r2 "; order != want {
		t.Errorf("order %s, want %s", order, want)
	}
}

// A user whom the policy closes is not seen any more, and who watches him is told so at once.
// When it opens again, what was known of him is not taken to be so still.
func TestPolicyChange(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(t *testing.T, p *Policy)
	}{
		{"access", func(t *testing.T, p *Policy) { p.Access = mapping.Access{} }},
		{"mode", func(t *testing.T, p *Policy) { p.Mode = func(mapping.URI) Mode { return ModeNone } }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHarness(t)
				a, b := h.watcher("c1"), h.watcher("c2")
				h.grant()
				h.show("a", mapping.Available, nil)
				h.answerAll(200)
				h.show("b", mapping.Available, nil) // due in 5 s
				h.takeStanzas()
				p := h.options.Policy
				tt.change(t, &p)
				h.SetPolicy(p)
				h.settle()
				h.wantTold("c1 terminated rejected", "c2 terminated rejected")
				a.wants(a.subscribe(600), 481)
				h.show("a", mapping.Available, &mapping.Resource{Show: mapping.ShowAway})
				b.wants(b.subscribe(600), 481)
				c := h.agent("c3")
				c.wants(c.subscribe(600), 403)
				h.show("a", mapping.Unavailable, nil)
				h.show("b", mapping.Unavailable, nil)
				h.wait(time.Minute)
				h.wantTold()
				h.wantXMPP()
				h.SetPolicy(h.options.Policy)
				d := h.agent("c4")
				d.wants(d.subscribe(600), 200)
				h.wantTold("c4 active 600")
				h.wantXMPP("probe romeo@example.net > juliet@example.com")
			})
		})
	}
}
