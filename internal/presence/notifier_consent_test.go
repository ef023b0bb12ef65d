package presence

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// A user who has not decided is asked again once a day at most, by whichever dialog.
func TestAskedAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		a := h.agent("c0")
		for i := range 30 {
			a.wants(a.subscribe(3600), 200)
			h.answerAll(200)
			want := []string{"subscribe romeo@example.net > juliet@example.com"}
			if i != 0 && i != 25 { // the first time that a day is over
				want = nil
			}
			h.wantXMPP(want...)
			b := h.agent(fmt.Sprintf("c%d", i+1))
			b.wants(b.subscribe(60), 200)
			h.answerAll(200)
			h.wait(time.Hour - time.Second)
			h.answerAll(200)
			h.wait(time.Second / 2)
		}
	})
}

// What was asked is forgotten when it might be asked again; a late yes counts all the same.
func TestAskedForgotten(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		a := h.watcher("c1")
		a.wants(a.subscribe(0), 200)
		h.wantTold("c1 terminated timeout")
		h.wait(23 * time.Hour)
		if h.Tally().Relations != 1 {
			t.Error("it is forgotten too early")
		}
		h.wait(3 * time.Hour)
		h.wantEmpty()
		h.grant()
		if h.Tally().Relations != 1 {
			t.Error("a late yes is lost")
		}
	})
}

// SEC-13: a stranger does not learn that there is no such user; one whom she had let see her
// does. What the server forbids is told.
func TestBounced(t *testing.T) {
	bounce := func(c mapping.Condition) mapping.Outcome {
		return mapping.Outcome{Kind: mapping.Bounced, Failure: mapping.FailureFromStanza(c, "", "", "")}
	}
	for _, tt := range []struct {
		condition         mapping.Condition
		stranger, granted []string
	}{
		{mapping.CondItemNotFound, nil, []string{"c1 terminated noresource"}},
		{mapping.CondGone, nil, []string{"c1 terminated noresource"}},
		{mapping.CondForbidden, []string{"c1 terminated rejected"}, nil},
		{mapping.CondNotAllowed, []string{"c1 terminated rejected"}, nil},
		{mapping.CondServiceUnavailable, nil, nil},
		{mapping.CondRemoteServerNotFound, nil, nil},
	} {
		t.Run(string(tt.condition), func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *harness) {
				a := h.agent("c1")
				a.wants(a.subscribe(3600), 200)
				h.wantTold("c1 pending 3600")
				h.XMPPOutcomes([]mapping.Result{{Ref: h.takeStanzas()[0].Ref, Outcome: bounce(tt.condition)}})
				h.settle()
				h.wantTold(tt.stranger...)
				h.wantXMPP()
				b := h.agent("c2") // he is not asked again at once
				b.wants(b.subscribe(3600), 200)
				h.wantTold("c2 pending 3600")
				h.wantXMPP()
			})
			inBubble(t, func(t *testing.T, h *harness) {
				h.grant()
				a := h.agent("c1")
				a.wants(a.subscribe(3600), 200)
				h.wantTold("c1 active 3600")
				h.XMPPOutcomes([]mapping.Result{{Ref: h.takeStanzas()[0].Ref, Outcome: bounce(tt.condition)}})
				h.settle()
				h.wantTold(tt.granted...)
			})
			inBubble(t, func(t *testing.T, h *harness) { // as a stanza
				a := h.agent("c1")
				a.wants(a.subscribe(3600), 200)
				h.wantTold("c1 pending 3600")
				h.stanza(&mapping.XMPPPresence{From: mapping.MustParseJID(julietJID), To: mapping.MustParseJID(romeoJID),
					Type: mapping.PresenceError, Failure: bounce(tt.condition).Failure})
				h.wantTold(tt.stranger...)
			})
		})
	}
}

// What has not left because there was no link is asked when there is one (GW-08).
func TestAskedWithoutLink(t *testing.T) {
	for _, kind := range []mapping.OutcomeKind{mapping.NotWritten, mapping.Uncertain} {
		inBubble(t, func(t *testing.T, h *harness) {
			a := h.agent("c1")
			a.wants(a.subscribe(3600), 200)
			h.wantTold("c1 pending 3600")
			h.XMPPOutcomes([]mapping.Result{{Ref: h.takeStanzas()[0].Ref, Outcome: mapping.Outcome{Kind: kind}}})
			h.stanza(&mapping.XMPPReady{Name: mapping.MustParseJID("sip.example.com")}) // another one
			h.wantXMPP()
			h.stanza(&mapping.XMPPReady{Name: mapping.MustParseJID("example.net")})
			h.wantXMPP("subscribe romeo@example.net > juliet@example.com")
			h.stanza(&mapping.XMPPReady{Name: mapping.MustParseJID("example.net")})
			h.wantXMPP()
			h.wantTold()
		})
	}
}

// Strangers do not fill the screen of a user: who is not asked now may be with a refresh.
func TestAsksOfOneUser(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		var all []*agent
		for i := range 40 {
			a := h.agent(fmt.Sprintf("c%d", i), func(v *mapping.SIPSubscribe) {
				v.From = mapping.MustParseURI(fmt.Sprintf("sip:u%d@example.net", i))
			})
			a.wants(a.subscribe(3600), 200)
			all = append(all, a)
		}
		if n := len(h.answerAll(200)); n != 40 {
			t.Errorf("%d have been told that they are pending", n)
		}
		if n := len(h.takeStanzas()); n != 16 {
			t.Errorf("she was asked %d times", n)
		}
		h.wait(30 * time.Minute)
		for _, a := range all {
			a.wants(a.subscribe(3600), 200)
		}
		if n := len(h.takeStanzas()); n != 3 {
			t.Errorf("she was asked %d times in half an hour", n)
		}
		if got := h.Tally(); got.Asks != 19 || got.NotAsked != 24+21 {
			t.Errorf("counted %+v", got)
		}
	})
}

// A server that knows of no subscription says unsubscribed to a probe: the user has decided
// nothing, and may be asked.
func TestSubscriptionLapsed(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		h.grant()
		h.watcher("c1")
		h.presence(julietJID, romeoJID, mapping.Unsubscribed)
		h.wantTold("c1 terminated rejected")
		h.wantEmpty()
		a := h.agent("c2")
		a.wants(a.subscribe(3600), 200)
		h.wantTold("c2 pending 3600")
		h.wantXMPP("subscribe romeo@example.net > juliet@example.com")
	})
}

// There is an end to all that is remembered: what there is no room for is refused, without
// asking the peer to stay away (SIP-30), and what is over makes room.
func TestWatchersLimits(t *testing.T) {
	refused := func(t *testing.T, o mapping.Outcome) {
		t.Helper()
		if statusOf(o) != 503 || o.Failure.RetryAfter != 0 {
			t.Errorf("answered %+v", o)
		}
	}
	t.Run("of a pair", func(t *testing.T) {
		inBubble(t, func(t *testing.T, h *harness) {
			for i := range maxWatchersOfPair {
				h.watcher(fmt.Sprintf("c%d", i), func(v *mapping.SIPSubscribe) {
					v.Contact = mapping.MustParseURI(fmt.Sprintf("sip:romeo@192.0.2.%d", i))
				})
			}
			a := h.agent("x")
			refused(t, a.subscribe(600))
			a = h.agent("y", func(v *mapping.SIPSubscribe) { v.Contact = mapping.MustParseURI("sip:romeo@192.0.2.3") })
			a.wants(a.subscribe(600), 200) // the same user agent, which has begun anew
			h.wantTold("y pending 600")
			if n := h.Tally().Watchers; n != maxWatchersOfPair {
				t.Errorf("%d watchers", n)
			}
		})
	})
	t.Run("of a contact", func(t *testing.T) {
		inBubble(t, func(t *testing.T, h *harness) {
			at := func(i int) func(v *mapping.SIPSubscribe) {
				return func(v *mapping.SIPSubscribe) {
					v.RequestURI = mapping.MustParseURI(fmt.Sprintf("sip:u%d@example.com", i))
				}
			}
			for i := range maxWatchersBy {
				h.watcher(fmt.Sprintf("c%d", i), at(i))
			}
			a := h.agent("x", at(maxWatchersBy))
			refused(t, a.subscribe(600))
			refused(t, a.subscribe(0))
			h.wait(time.Hour)
			h.answerAll(200)
			a.wants(a.subscribe(600), 200)
		})
	})
	t.Run("of a peer", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := newHarness(t)
			h.mu.Lock()
			h.notifier.from["greedy"] = maxWatchersFrom
			h.mu.Unlock()
			a := h.agent("x", func(v *mapping.SIPSubscribe) { v.Peer = "greedy" })
			refused(t, a.subscribe(600))
			b := h.agent("y")
			b.wants(b.subscribe(600), 200)
		})
	})
	t.Run("in all", func(t *testing.T) {
		inBubble(t, func(t *testing.T, h *harness) {
			h.mu.Lock()
			h.notifier.total = maxWatchers
			h.mu.Unlock()
			a := h.agent("x")
			refused(t, a.subscribe(600))
		})
	})
	t.Run("of relations", func(t *testing.T) {
		inBubble(t, func(t *testing.T, h *harness) {
			h.mu.Lock()
			for i := range maxRelationsOf / 2 {
				r := h.relations.add(pair{mapping.MustParseJID(julietJID), mapping.MustParseJID(fmt.Sprintf("u%d@example.net", i))})
				r.state = WatcherAsked
			}
			h.mu.Unlock()
			a := h.agent("x")
			refused(t, a.subscribe(600))
			h.mu.Lock()
			for _, r := range h.relations.all {
				r.state = WatcherDeclined
			}
			h.mu.Unlock()
			a.wants(a.subscribe(600), 200) // the memory of one that was declined makes room
		})
	})
	t.Run("of resources", func(t *testing.T) {
		inBubble(t, func(t *testing.T, h *harness) {
			h.watcher("c1")
			h.grant()
			for i := range maxShown + 5 {
				h.show(fmt.Sprintf("r%d", i), mapping.Available, nil)
			}
			if got := h.Tally(); got.Devices != maxShown || got.Unseen != 5 {
				t.Errorf("counted %+v", got)
			}
		})
	})
}

// While the gateway stops nothing new is begun, but what ends may end.
func TestWatchersDraining(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		a, b := h.watcher("c1"), h.watcher("c2")
		h.Drain()
		c := h.agent("c3")
		c.wants(c.subscribe(600), 503)
		a.wants(a.subscribe(600), 503)
		b.wants(b.subscribe(0), 200)
		h.wantTold("c2 terminated timeout")
		h.restart()
		a.wants(a.subscribe(600), 200)
		h.wantTold("c1 pending 600")
	})
}

// What an operator sees of those who watch, and that he ends it as the user would.
func TestWatchersOfOperator(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		h.watcher("c1")
		look := func() DialogInfo {
			t.Helper()
			page, _ := h.List(Filter{N: 10})
			if len(page) != 1 || len(page[0].Dialogs) != 1 {
				t.Fatalf("the list is %+v", page)
			}
			return page[0].Dialogs[0]
		}
		until := time.Now().Add(time.Hour)
		if d := look(); d.Direction != Watched || d.State != mapping.StatePending || !d.Expires.Equal(until) {
			t.Errorf("listed %+v", d)
		}
		h.grant()
		h.wantTold("c1 active 3600")
		if d := look(); d.State != mapping.StateActiveSub {
			t.Errorf("listed %+v", d)
		}
		if _, err := h.Cancel(mapping.MustParseJID(julietJID), mapping.MustParseJID(romeoJID), ""); err != nil {
			t.Error(err)
		}
		h.settle()
		h.wantTold("c1 terminated rejected")
		h.wantXMPP("unsubscribe romeo@example.net > juliet@example.com")
		a := h.agent("c2")
		a.wants(a.subscribe(600), 200)
		h.wantTold("c2 terminated rejected")
	})
}

// RFC 6120 §10.1: what one device of a user shows may come before the consent that another one
// has given. It is told with that, and to nobody before it (PRES-25).
func TestShownBeforeConsent(t *testing.T) {
	for name, tt := range map[string]struct {
		between func(h *harness, a *agent)
		want    []string // with the consent
	}{
		"told with it":            {func(*harness, *agent) {}, []string{"c1 active 3600 ID-b=openaway"}},
		"the latest counts":       {func(h *harness, _ *agent) { h.show("b", mapping.Available, nil) }, []string{"c1 active 3600 ID-b=open"}},
		"another device":          {func(h *harness, _ *agent) { h.show("c", mapping.Available, nil) }, []string{"c1 active 3600 ID-b=openaway ID-c=open"}},
		"gone again":              {func(h *harness, _ *agent) { h.show("b", mapping.Unavailable, nil) }, []string{"c1 active 3600 ID-b=closed"}},
		"a new link knows better": {func(h *harness, _ *agent) { h.stanza(&mapping.XMPPReady{Name: mapping.MustParseJID("example.net")}) }, []string{"c1 active 3600"}},
		"nobody waits for it any more": {func(h *harness, a *agent) {
			a.wants(a.subscribe(0), 200)
			h.wantTold("c1 terminated timeout")
			if c := h.notifier.cache; c.all != 0 || len(c.of) != 0 {
				h.t.Errorf("%d devices are kept for nobody", c.all)
			}
		}, nil},
		"declined": {func(h *harness, _ *agent) {
			h.presence(julietJID, romeoJID, mapping.Unsubscribed)
			h.wantTold("c1 terminated rejected")
			if c := h.notifier.cache; c.all != 0 || len(c.of) != 0 {
				h.t.Errorf("%d devices are kept of who is not to be seen", c.all)
			}
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *harness) {
				h.show("early", mapping.Available, nil) // nobody has asked
				a := h.watcher("c1")
				h.show("x", mapping.Unavailable, nil)
				h.show("b", mapping.Available, &mapping.Resource{Show: mapping.ShowAway})
				h.wantTold()
				tt.between(h, a)
				h.wantTold()
				h.grant()
				h.wantTold(tt.want...)
			})
		})
	}
}

// What is kept goes when its device goes, also after it has turned out that the user was not asked.
func TestGoneBeforeConsent(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		a := h.agent("c1")
		a.wants(a.subscribe(3600), 200)
		h.wantTold("c1 pending 3600")
		ask := h.takeStanzas()[0].Ref
		h.show("b", mapping.Available, nil)
		h.XMPPOutcomes([]mapping.Result{{Ref: ask, Outcome: mapping.Outcome{Kind: mapping.NotWritten}}})
		h.settle()
		h.show("b", mapping.Unavailable, nil)
		h.grant()
		h.wantTold("c1 active 3600 ID-b=closed")
	})
}
