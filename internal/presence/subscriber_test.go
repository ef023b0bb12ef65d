package presence

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// bubble runs a test with a clock of its own.
func bubble(t *testing.T, f func(t *testing.T, h *harness)) {
	synctest.Test(t, func(t *testing.T) { f(t, newHarness(t)) })
}

// PRES-01, PRES-02, PRES-03, PRES-04: a SUBSCRIBE, whose 200 says nothing, nor does pending;
// the first active NOTIFY gives the subscription, and then what is shown.
func TestSubscribe(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		h.presence(juliet, romeo, mapping.Subscribe)
		d := h.wantSubscribe(3600)
		if got, want := d.RequestURI.String(), "sip:romeo@example.net"; got != want {
			t.Errorf("Request-URI %s, want %s", got, want)
		}
		if d.From.String() != "sip:juliet@example.com" || d.To.String() != "sip:romeo@example.net" || d.ToTag != "" || d.FromTag == "" || d.CallID == "" || d.CSeq != 1 {
			t.Errorf("the dialog is %+v", d.SIPEvent)
		}
		if d.Package != "presence" || d.Contact.User != "juliet" || d.Contact.Host != "" || d.Contact.GR == "" {
			t.Errorf("Event %s, Contact %+v", d.Package, d.Contact)
		}
		h.wantState(WatchPending)
		h.accept(d, 3600)
		h.wantXMPP()
		h.wantStatus(200, d.notify("pending;expires=3599", document("x open")))
		h.wantXMPP()
		v := d.notify("active;expires=3590", `<?xml version="1.0" encoding="UTF-8"?><presence xmlns="urn:ietf:params:xml:ns:pidf" entity="pres:romeo@example.net"><tuple id="ID-dr4hcr0st3lup4c"><status><basic>open</basic><show xmlns="jabber:client">away</show></status><note xml:lang="en">in the garden</note></tuple></presence>`)
		h.wantStatus(200, v)
		h.wantXMPP("subscribed romeo@example.net > juliet@example.com",
			`available romeo@example.net/dr4hcr0st3lup4c > juliet@example.com away en:"in the garden"`)
		h.wantState(WatchGranted)
		h.wantNothingToSIP()
	})
}

// PRES-02: the NOTIFY may come before the answer, and makes the dialog.
func TestNotifyBeforeAnswer(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		h.presence(juliet, romeo, mapping.Subscribe)
		d := h.wantSubscribe(3600)
		h.wantStatus(200, d.notify("active;expires=600", document("x open")))
		h.wantXMPP("subscribed romeo@example.net > juliet@example.com", "available romeo@example.net/x > juliet@example.com")
		h.wait(time.Minute) // timer N is over
		h.outcome(d.ref, mapping.Outcome{Kind: mapping.Unknown, Failure: mapping.FailTimeout()})
		h.wantXMPP()
		h.waitForRequest(10 * time.Minute)
		d.within(t, h.wantSubscribe(3600))
	})
}

// PRES-04: no body means that nothing is known, which is not there.
func TestFirstActiveWithoutBody(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		h.presence(juliet, romeo, mapping.Subscribe)
		d := h.wantSubscribe(3600)
		h.wantStatus(200, d.notify("active;expires=3590", ""))
		h.wantXMPP("subscribed romeo@example.net > juliet@example.com", "unavailable romeo@example.net > juliet@example.com")
		h.wantStatus(200, d.notify("active;expires=3580", document("x open")))
		h.wantXMPP("available romeo@example.net/x > juliet@example.com")
	})
}

// PRES-06: who may never see the contact is told so, and nothing is left.
func TestRefused(t *testing.T) {
	for _, status := range []int{403, 489, 603} {
		bubble(t, func(t *testing.T, h *harness) {
			h.presence(juliet, romeo, mapping.Subscribe)
			h.outcome(h.wantSubscribe(3600).ref, answer(status, nil))
			h.wantXMPP("unsubscribed romeo@example.net > juliet@example.com")
			h.wait(2 * time.Hour)
			h.wantNothingToSIP()
			h.wantNothingLeft()
		})
	}
}

// PRES-06, ERR-02: there is no such contact.
func TestUnknownContact(t *testing.T) {
	for status, want := range map[int]string{404: "item-not-found cancel", 604: "item-not-found cancel", 410: "gone cancel", 484: "item-not-found cancel", 485: "item-not-found cancel"} {
		bubble(t, func(t *testing.T, h *harness) {
			h.stanza(&mapping.XMPPPresence{From: mapping.MustParseJID(juliet), To: mapping.MustParseJID(romeo), Type: mapping.Subscribe, ID: "s9"})
			h.outcome(h.wantSubscribe(3600).ref, answer(status, nil))
			h.wantXMPP("error romeo@example.net > juliet@example.com id=s9 " + want)
			h.wait(2 * time.Hour)
			h.wantNothingToSIP()
			h.wantNothingLeft()
		})
	}
}

// Other failures: the user is told once, and it is tried again, less and less often.
func TestFailedIsTriedAgain(t *testing.T) {
	for _, o := range []mapping.Outcome{answer(500, nil), answer(401, nil), answer(480, nil), answer(302, nil),
		{Kind: mapping.Unknown}, {Kind: mapping.NotWritten, Failure: mapping.FailDNS()}, {Kind: mapping.Refused, Failure: mapping.FailBusy(1)}} {
		bubble(t, func(t *testing.T, h *harness) {
			h.stanza(&mapping.XMPPPresence{From: mapping.MustParseJID(juliet), To: mapping.MustParseJID(romeo), Type: mapping.Subscribe, ID: "s1"})
			first := h.wantSubscribe(3600)
			h.outcome(first.ref, o)
			told := h.takeStanzas()
			if len(told) != 1 || told[0].Value.(*mapping.XMPPPresence).Type != mapping.PresenceError || told[0].Value.(*mapping.XMPPPresence).ID != "s1" {
				t.Errorf("%+v: told %v, want an error", o, told)
			}
			var waits []time.Duration
			for range 9 {
				waits = append(waits, h.waitForRequest(2*time.Hour))
				again := h.wantSubscribe(3600)
				if again.CallID == first.CallID || again.FromTag == first.FromTag {
					t.Error("the next attempt is in the same dialog")
				}
				h.outcome(again.ref, o)
			}
			for i, w := range waits {
				least := min(time.Minute<<i, time.Hour)
				if w < least || w > least*5/4+2*time.Second {
					t.Errorf("attempt %d came after %v, want %v and at most a quarter more", i+2, w, least)
				}
			}
			h.wantXMPP()
			h.wantState(WatchPending)
		})
	}
}

// PRES-32: without a NOTIFY in 32 s there is no subscription; what comes later is 481.
func TestTimerN(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		h.presence(juliet, romeo, mapping.Subscribe)
		d := h.wantSubscribe(3600)
		h.accept(d, 3600)
		h.wait(31 * time.Second)
		h.wantXMPP()
		h.wait(2 * time.Second)
		h.wantXMPP("error romeo@example.net > juliet@example.com id= remote-server-timeout wait")
		h.wantStatus(481, d.notify("active;expires=3600", document("x open")))
		h.wantXMPP()
		h.waitForRequest(2 * time.Minute)
		h.wantStatus(200, h.wantSubscribe(3600).notify("active;expires=3600", document("x open")))
		h.wantXMPP("subscribed romeo@example.net > juliet@example.com", "available romeo@example.net/x > juliet@example.com")
	})
}

// PRES-06, PRES-23: 423 is obeyed once, with the same Call-ID and tag.
func TestTooBrief(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		h.presence(juliet, romeo, mapping.Subscribe)
		d := h.wantSubscribe(3600)
		h.outcome(d.ref, answer(423, &mapping.EventAnswer{MinExpires: 7200}))
		again := h.wantSubscribe(7200)
		if again.CallID != d.CallID || again.FromTag != d.FromTag || again.CSeq != d.CSeq+1 {
			t.Errorf("the second one is %+v", again.SIPEvent)
		}
		h.wantXMPP()
		h.outcome(again.ref, answer(423, &mapping.EventAnswer{MinExpires: 9000}))
		h.wantNothingToSIP()
		if n := len(h.takeStanzas()); n != 1 {
			t.Errorf("%d stanzas after a second 423, want an error", n)
		}
	})
}

// A Min-Expires of more than a day, or of less than was asked for, is no reason to go on.
func TestAbsurdMinExpires(t *testing.T) {
	for _, seconds := range []int{0, 3600, 86401, 1 << 40} {
		bubble(t, func(t *testing.T, h *harness) {
			h.presence(juliet, romeo, mapping.Subscribe)
			h.outcome(h.wantSubscribe(3600).ref, answer(423, &mapping.EventAnswer{MinExpires: seconds}))
			h.wantNothingToSIP()
		})
	}
}

// PRES-08, PRES-09: Expires 0 in the dialog; unsubscribed after the answer; silence.
func TestUnsubscribe(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		d := h.watching("x open")
		h.presence(juliet, romeo, mapping.Unsubscribe)
		h.wantXMPP("unavailable romeo@example.net/x > juliet@example.com")
		end := d.within(t, h.wantSubscribe(0))
		if got, want := end.RequestURI.String(), "sip:romeo@pres.example.net;gr=p1"; got != want {
			t.Errorf("Request-URI %s, want the remote target %s", got, want)
		}
		if end.RemoteTarget != "sip:romeo@pres.example.net;gr=p1;line=7" || !slices.Equal(end.Routes, []string{"<sip:proxy.example.net;lr>"}) {
			t.Errorf("the way is %q %q", end.RemoteTarget, end.Routes)
		}
		h.wantStatus(200, end.notify("active;expires=10", document("y open"))) // was on its way
		h.wantXMPP()
		h.accept(end, 0)
		h.wantXMPP("unsubscribed romeo@example.net > juliet@example.com")
		h.presence(juliet, romeo, mapping.Unsubscribe) // GW-30
		h.wantStatus(200, end.notify("terminated;reason=timeout", document("y open")))
		h.wantStatus(481, end.notify("terminated;reason=timeout", ""))
		h.wantXMPP()
		h.wantNothingToSIP()
		h.wantNothingLeft()
	})
}

// PRES-08: whatever becomes of that request, the user is told once, and it all ends.
func TestUnsubscribeUnanswered(t *testing.T) {
	for _, o := range []mapping.Outcome{answer(481, nil), answer(503, nil), {Kind: mapping.Unknown}, {Kind: mapping.NotWritten}} {
		bubble(t, func(t *testing.T, h *harness) {
			h.watching("x closed")
			h.presence(juliet, romeo, mapping.Unsubscribe)
			h.outcome(h.wantSubscribe(0).ref, o)
			h.wantXMPP("unsubscribed romeo@example.net > juliet@example.com")
			h.wait(time.Minute)
			h.wantXMPP()
			h.wantNothingLeft()
		})
	}
}

// Without a dialog there is nothing to be waited for.
func TestUnsubscribeBeforeDialog(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		h.presence(juliet, romeo, mapping.Subscribe)
		d := h.wantSubscribe(3600)
		h.presence(juliet, romeo, mapping.Unsubscribe)
		h.wantXMPP("unsubscribed romeo@example.net > juliet@example.com")
		h.accept(d, 3600)
		h.wantStatus(481, d.notify("active;expires=3600", document("x open")))
		h.wantXMPP()
		h.wantNothingLeft()
	})
}

// An end that is answered late is not taken for that of the next subscription.
func TestSubscribeAgainAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		h.watching("x open")
		h.presence(juliet, romeo, mapping.Unsubscribe)
		end := h.wantSubscribe(0)
		h.takeStanzas()
		h.presence(juliet, romeo, mapping.Subscribe)
		d := h.wantSubscribe(3600)
		h.accept(end, 0)
		h.wantXMPP()
		h.wantStatus(200, d.notify("active;expires=3600", document("x open")))
		h.wantXMPP("subscribed romeo@example.net > juliet@example.com", "available romeo@example.net/x > juliet@example.com")
		h.wantStatus(200, end.within2("terminated;reason=timeout"))
		h.wantXMPP()
		h.wantState(WatchGranted)
	})
}

// within2 is a NOTIFY far ahead in the dialog.
func (d *asked) within2(says string) *mapping.SIPNotify {
	d.cseq += 100
	return d.notify(says, "")
}

// GW-30: who asks again for what he has gets it again, with what is known.
func TestSubscribeTwice(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		h.watching("x open", "y closed")
		h.presence(juliet, romeo, mapping.Subscribe)
		h.wantXMPP("subscribed romeo@example.net > juliet@example.com", "available romeo@example.net/x > juliet@example.com")
		h.wantNothingToSIP()
	})
	bubble(t, func(t *testing.T, h *harness) { // pending
		h.presence(juliet, romeo, mapping.Subscribe)
		h.wantSubscribe(3600)
		h.presence(juliet, romeo, mapping.Subscribe)
		h.wantXMPP()
		h.wantNothingToSIP()
	})
}

// What cannot be an address is told so, and nothing is kept of it.
func TestSubscribeToNobody(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		h.presence(juliet, "romeo@elsewhere.example", mapping.Subscribe)
		h.wantXMPP("error romeo@elsewhere.example > juliet@example.com id= item-not-found cancel")
		h.wantNothingToSIP()
		h.wantNothingLeft()
	})
}

// There is only so much room for one user.
func TestNoRoom(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		h.mu.Lock()
		h.relations.of[mapping.MustParseJID(juliet)] = maxRelationsOf
		h.mu.Unlock()
		h.presence(juliet, romeo, mapping.Subscribe)
		h.wantXMPP("error romeo@example.net > juliet@example.com id= resource-constraint wait")
		h.wantNothingToSIP()
		h.mu.Lock()
		delete(h.relations.of, mapping.MustParseJID(juliet))
		h.mu.Unlock()
		h.wantNothingLeft()
	})
}

// A telephone number has no presence: whoever adds it is not told that it has declined.
func TestTelephoneNumber(t *testing.T) {
	bubble(t, func(t *testing.T, h *harness) {
		const number = "+15551234567@sip.example.com"
		h.presence(juliet, number, mapping.Subscribe)
		h.wantXMPP("subscribed " + number + " > juliet@example.com")
		h.presence(juliet+"/balcony", number, mapping.Probe)
		h.wantXMPP("unavailable " + number + " > juliet@example.com/balcony")
		h.presence(juliet, number, mapping.Unsubscribe)
		h.wantXMPP("unsubscribed " + number + " > juliet@example.com")
		h.wantNothingToSIP()
	})
}

// sip.route.presence = "none": the subscription is given at once, and nothing is known.
func TestModeNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, func(o *Options) { o.Policy.Mode = func(mapping.URI) Mode { return ModeNone } })
		h.presence(juliet, romeo, mapping.Subscribe)
		h.wantXMPP("subscribed romeo@example.net > juliet@example.com")
		h.presence(juliet, romeo, mapping.Probe)
		h.wantXMPP("unavailable romeo@example.net > juliet@example.com")
		h.presence(juliet+"/x", romeo, mapping.Available)
		h.wait(24 * time.Hour)
		h.presence(juliet, romeo, mapping.Unsubscribe)
		h.wantXMPP("unsubscribed romeo@example.net > juliet@example.com")
		h.wantNothingToSIP()
		h.wantNothingLeft()
	})
}
