package presence

import (
	"slices"
	"testing"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// PRES-10, PRES-11, PRES-23, PRES-28 (P-007): a stranger is told 200 and that it is pending,
// the user is asked, and what she then shows is said.
func TestApproved(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		a := h.agent("c1")
		a.next.Name = "Romeo M."
		o := a.subscribe(mapping.NoExpires)
		if o.Kind != mapping.Answered || o.Status != 200 || o.Event == nil || o.Event.Expires != 3600 || o.Event.Tag == "" {
			t.Fatalf("answered %+v %+v", o, o.Event)
		}
		if c := o.Event.Contact; c.User != "juliet" || c.Host != "" || c.GR == "" {
			t.Errorf("Contact %+v is no GRUU of ours", c)
		}
		sent := h.takeRequests()
		if len(sent) != 1 {
			t.Fatalf("%d requests", len(sent))
		}
		n := sent[0].Value.(*mapping.SIPNotify)
		if got := describeNotify(t, n); got != "c1 pending 3600" {
			t.Errorf("told %s", got)
		}
		if n.RequestURI != a.next.Contact || n.From.String() != "sip:juliet@example.com" || n.To.String() != "sip:romeo@example.net" ||
			n.FromTag != o.Event.Tag || n.ToTag != "xfg9" || n.Package != "presence" || n.Contact != o.Event.Contact || n.CSeq == 0 {
			t.Errorf("NOTIFY is %+v", n.SIPEvent)
		}
		stanza := h.takeStanzas()
		if len(stanza) != 1 || describe(stanza[0].Value) != "subscribe romeo@example.net > juliet@example.com nick=Romeo M." {
			t.Fatalf("XMPP was told %v", stanza)
		}
		h.grant()
		h.wantNothingToSIP() // one at a time
		h.outcome(sent[0].Ref, answer(200, nil))
		h.wantTold("c1 active 3600")
		h.stanza(&mapping.XMPPPresence{From: mapping.MustParseJID(julietJID + "/yn0cl4bnw0yr3vym"), To: mapping.MustParseJID(romeoJID),
			Lang: "en", Shows: &mapping.Resource{Show: mapping.ShowDND, Status: []mapping.Text{{Value: "busy"}}, Priority: 13, HasPriority: true}})
		sent = h.takeRequests()
		n = sent[0].Value.(*mapping.SIPNotify)
		if got := describeNotify(t, n); got != "c1 active 3600 ID-yn0cl4bnw0yr3vym=opendndbusy" || n.Lang != "en" {
			t.Errorf("told %s in %q", got, n.Lang)
		}
		if d := readPIDF(t, n.Body); d.Entity != "pres:juliet@example.com" {
			t.Errorf("about %s", d.Entity)
		}
		if n.CSeq <= 2 {
			t.Errorf("CSeq %d has not increased", n.CSeq)
		}
		h.wantXMPP()
	})
}

// PRES-11 (P-008): who is declined is told so, once, and the user is not asked again.
func TestDeclined(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		a := h.agent("c1")
		a.wants(a.subscribe(3600), 200)
		h.wantTold("c1 pending 3600")
		h.wantXMPP("subscribe romeo@example.net > juliet@example.com")
		h.presence(julietJID, romeoJID, mapping.Unsubscribed)
		h.wantTold("c1 terminated rejected")
		a.wants(a.subscribe(3600), 481)
		h.wait(60 * 24 * time.Hour)
		for _, id := range []string{"c2", "c3"} {
			b := h.agent(id)
			b.wants(b.subscribe(600), 200)
			h.wantTold(id + " terminated rejected")
			b.wants(b.subscribe(600), 481)
		}
		h.wantXMPP()
		h.grant() // she has changed her mind
		b := h.agent("c4")
		b.wants(b.subscribe(600), 200)
		h.wantTold("c4 active 600")
		h.wantXMPP("probe romeo@example.net > juliet@example.com")
	})
}

// A user who asks for the presence of a contact may be asked in return, whatever was before.
func TestDeclinedAndWanted(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		h.watcher("c1")
		h.presence(julietJID, romeoJID, mapping.Unsubscribed)
		h.wantTold("c1 terminated rejected")
		h.presence(julietJID, romeoJID, mapping.Subscribe)
		h.answerAll(404)
		h.takeStanzas()
		a := h.agent("c2")
		a.wants(a.subscribe(600), 200)
		h.wantTold("c2 pending 600")
		h.wantXMPP("subscribe romeo@example.net > juliet@example.com")
	})
}

// PRES-25, RFC 3922 §6.5: what has been taken back is not said any more, be it that it was
// due already.
func TestTakenBack(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		h.watcher("c1")
		h.grant()
		h.wantTold("c1 active 3600")
		h.show("a", mapping.Available, nil)
		h.wantTold("c1 active 3600 ID-a=open")
		h.show("b", mapping.Available, nil) // due in 5 s
		h.presence(julietJID, romeoJID, mapping.Unsubscribed)
		h.wantTold("c1 terminated rejected")
		h.wait(time.Minute)
		h.wantTold()
		h.wantXMPP()
		// Not even by who is let in again.
		h.grant()
		a := h.agent("c2")
		a.wants(a.subscribe(600), 200)
		h.wantTold("c2 active 600")
	})
}

// PRES-12 (P-009): who may see the user already is told so at once, and she is asked how she
// is if that is not known.
func TestAuthorised(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		h.grant()
		a := h.agent("c1")
		a.wants(a.subscribe(3600), 200)
		h.wantTold("c1 active 3600")
		h.wantXMPP("probe romeo@example.net > juliet@example.com")
		h.show("a", mapping.Available, nil)
		h.wantTold("c1 active 3600 ID-a=open")
		b := h.agent("c2")
		b.wants(b.subscribe(3600), 200)
		h.wantTold("c2 active 3600 ID-a=open")
		h.wantXMPP()
	})
}

// PRES-12: a refresh is answered with all that is known, and the target is where its user
// agent is now.
func TestWatchersRefresh(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		a := h.watcher("c1", func(v *mapping.SIPSubscribe) { v.Routes, v.EventID = []string{"sip:proxy.example.net;lr"}, "7" })
		h.grant()
		h.show("a", mapping.Available, nil)
		h.wait(10 * time.Second)
		h.answerAll(200)
		a.next.Contact = mapping.MustParseURI("sip:romeo@192.0.2.7:5062")
		a.next.RemoteTarget = "sip:romeo@192.0.2.7:5062;line=7"
		a.next.Flow = 9
		o := a.subscribe(1800)
		a.wants(o, 200)
		if o.Event.Expires != 1800 {
			t.Errorf("Expires %d", o.Event.Expires)
		}
		sent := h.takeRequests()
		n := sent[0].Value.(*mapping.SIPNotify)
		if got := describeNotify(t, n); got != "c1 active 1800 ID-a=open" {
			t.Errorf("told %s", got)
		}
		if n.RequestURI != a.next.Contact || n.RemoteTarget != a.next.RemoteTarget || n.Flow != 9 || n.EventID != "7" || !slices.Equal(n.Routes, []string{"sip:proxy.example.net;lr"}) {
			t.Errorf("sent to %+v", n.SIPEvent)
		}
		h.outcome(sent[0].Ref, answer(200, nil))
		h.wait(1799 * time.Second)
		h.wantTold()
		h.wait(time.Second)
		h.wantTold("c1 terminated timeout ID-a=closed")
	})
}

// PRES-13 (P-010): a watcher that ends its dialog, or does not refresh it, is told that the
// user is closed; the user is told that the contact is gone, and asked for nothing.
func TestWatcherEnds(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(h *harness, a *agent)
	}{
		{"Expires 0", func(h *harness, a *agent) {
			o := a.subscribe(0)
			a.wants(o, 200)
			if o.Event.Expires != 0 {
				h.t.Errorf("Expires %d", o.Event.Expires)
			}
		}},
		{"expired", func(h *harness, a *agent) { h.wait(time.Hour) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *harness) {
				a := h.watcher("c1")
				h.grant()
				h.show("a", mapping.Available, &mapping.Resource{Show: mapping.ShowAway})
				h.answerAll(200)
				tt.end(h, a)
				h.wantTold("c1 terminated timeout ID-a=closed")
				h.wantXMPP("unavailable romeo@example.net > juliet@example.com")
				a.wants(a.subscribe(600), 481)
				b := h.agent("c2") // the authorisation is kept
				b.wants(b.subscribe(600), 200)
				h.wantTold("c2 active 600 ID-a=openaway")
			})
		})
	}
}

// Only the last of several user agents is the contact's end, and one that was never let in is
// nobody's.
func TestWatcherEndsQuietly(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		h.grant()
		a, b := h.watcher("c1"), h.watcher("c2")
		a.wants(a.subscribe(0), 200)
		h.wantTold("c1 terminated timeout IDbare=closed")
		h.wantXMPP()
		b.wants(b.subscribe(0), 200)
		h.wantTold("c2 terminated timeout IDbare=closed")
		h.wantXMPP("unavailable romeo@example.net > juliet@example.com")
	})
	inBubble(t, func(t *testing.T, h *harness) {
		a := h.watcher("c1")
		a.wants(a.subscribe(0), 200)
		h.wantTold("c1 terminated timeout")
		h.wantXMPP()
	})
}

// PRES-14 (P-012): a poll is answered once, by what is known. What is not known is asked, for
// the next one; by a stranger nothing is asked, and nothing remembered.
func TestWatchersPoll(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		a := h.agent("c1")
		o := a.subscribe(0)
		a.wants(o, 200)
		if o.Event.Expires != 0 || o.Event.Contact.GR == "" || o.Event.Tag == "" {
			t.Errorf("answered %+v", o.Event)
		}
		h.wantTold("c1 terminated timeout")
		h.wantXMPP()
		h.wantEmpty()

		h.grant()
		a = h.agent("c2")
		a.wants(a.subscribe(0), 200)
		h.wantTold("c2 terminated timeout")
		h.wantXMPP("probe romeo@example.net > juliet@example.com")
		h.show("a", mapping.Available, nil)
		h.wantTold()
		a = h.agent("c3")
		a.wants(a.subscribe(0), 200)
		h.wantTold("c3 terminated timeout ID-a=open")
		h.wantXMPP()
		a.wants(a.subscribe(0), 481)
	})
}

// Whose name was asserted is watched for under that name; the dialog is in the one that he
// has written (RFC 3325, RFC 3261 §12.1.1).
func TestAssertedName(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		h.grant()
		a := h.agent("c1")
		a.next.Written = mapping.MustParseURI("sip:anonymous@anonymous.invalid")
		a.wants(a.subscribe(600), 200)
		if n := h.takeRequests()[0].Value.(*mapping.SIPNotify); n.To != a.next.Written || n.State != mapping.StateActiveSub {
			t.Errorf("NOTIFY %s to %s", n.State, n.To)
		}
	})
}

// Who has ended his dialog and is there all the same, as his own presence says, is not said to
// be gone.
func TestWatcherEndsAndIsThere(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		h.presence(julietJID, romeoJID, mapping.Subscribe)
		d := h.wantSubscribe(3600)
		h.outcome(d.ref, answer(200, &mapping.EventAnswer{Tag: d.tag, Expires: 3600}))
		h.fromSIP(d.notify("active;expires=3600", `<?xml version="1.0"?><presence xmlns="urn:ietf:params:xml:ns:pidf" entity="pres:romeo@example.net"><tuple id="ID-a"><status><basic>open</basic></status></tuple></presence>`))
		h.grant()
		h.takeStanzas()
		a := h.watcher("c1")
		a.wants(a.subscribe(0), 200)
		h.wantTold("c1 terminated timeout IDbare=closed")
		h.wantXMPP()
	})
}
