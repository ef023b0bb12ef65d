package bridge

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// wrapped is a notification in a message/cpim, which does not show that its sender takes
// each Call-ID once.
func wrapped(m *mapping.SIPMessage) *mapping.SIPMessage {
	m.ContentType = mapping.TypeCPIM
	m.Body = append([]byte("Subject: x\r\n\r\nContent-Type: message/imdn+xml\r\n\r\n"), m.Body...)
	return m
}

// IM-48: a notification that names a Call-ID may be about any message with that: also one
// whose sender wants no receipt, before or after the one whose sender does. It is no
// receipt of either.
func TestSharedCallIDOfAnotherDevice(t *testing.T) {
	for name, wants := range map[string][]bool{"the one before": {false, true}, "the one after": {true, false}} {
		run(t, func(r *running) {
			r.with(IMDNNever)
			r.formats.mu.Lock()
			r.formats.put(mapping.MustParseJID(romeoX), format{notifies: belief{1, time.Now()}}, time.Now())
			r.formats.mu.Unlock()
			for n, want := range wants {
				m := asking(fmt.Sprint("m", n))
				m.WantReceipt, m.Markable, m.Thread = want, want, "thread"
				if !want {
					m.From = mapping.MustParseJID("juliet@example.com/other")
				}
				r.ask(m)
				r.answer(answered(200))
			}
			for life := range 2 {
				for _, says := range []string{saysDelivered, saysDisplayed, saysFailed} {
					r.notify(wrapped(imdn(romeoAt, "thread", says)), processed)
				}
				if got := r.heard(); got != "" {
					t.Errorf("%s, life %d: heard %q", name, life, got)
				}
				r.restart()
			}
		})
	}
}

// IM-40: whoever refuses a message/cpim as what it is gets the text: the message is not lost
// for what its sender wanted to know.
func TestRefusalsOfANotificationRequest(t *testing.T) {
	for _, status := range []int{400, 406, 415, 488, 606} {
		run(t, func(r *running) {
			r.learnsCPIM()
			if form(r.ask(asking("a"))) != typeCPIM {
				t.Fatal("not sent as message/cpim")
			}
			r.answer(answered(status))
			_, again := r.last(2)
			if form(again) != typePlain {
				t.Errorf("%d: then sent as %s", status, form(again))
			}
			r.answer(answered(200))
			if form(r.ask(asking("b"))) != typePlain {
				t.Errorf("%d: the next one is a message/cpim again", status)
			}
		})
	}
}

// GW-35: what is refused for its rate leaves nothing in the trail, which others need.
func TestRateLeavesNoTrail(t *testing.T) {
	run(t, func(r *running) {
		p := *r.policy.Load()
		p.UserRate = 1
		r.SetPolicy(p)
		for n := range 100 {
			r.FromXMPP([]mapping.XMPP{fromXMPP(fmt.Sprint("m", n), julietX, romeoX, "secret text")})
		}
		r.settle()
		refused := 0
		for _, e := range r.disk.trail {
			if e.Kind == eventRefused {
				refused++
			}
		}
		if r.told() < 90 || refused > 10 {
			t.Errorf("%d refusals in the trail of %d, of which 90 are for the rate", refused, r.told())
		}
	})
}

// IM-48: a notification that says so before the answer ends in an error that is kept until
// it has been told, whatever happens to the link.
func TestFailedNotificationIsToldForSure(t *testing.T) {
	run(t, func(r *running) {
		r.learnsCPIM()
		id := messageID(r.ask(asking("a")))
		r.notify(imdn(romeoAt, id, saysFailed), processed)
		r.answer(answered(202))
		if got := r.heard(); got != "a recipient-unavailable" {
			t.Fatalf("heard %q", got)
		}
		r.outcome(mapping.Outcome{Kind: mapping.NotWritten, Failure: mapping.FailShutdown()})
		r.restart()
		if got := r.heard(); got != "a recipient-unavailable" {
			t.Errorf("after a restart heard %q", got)
		}
		r.notify(imdn(romeoAt, id, saysDelivered), processed)
		if got := r.heard(); got != "a recipient-unavailable" {
			t.Errorf("and then %q", got)
		}
	})
}

// SEC-30: whoever asks for messages that never were does not take the room of others, and
// has it again when the answers are there.
func TestLookupsAreShared(t *testing.T) {
	b, _ := newBridge(t)
	ask := func(from string) bool {
		return b.find(lookup{id: "x", receipt: &mapping.XMPPReceipt{From: mapping.MustParseJID(from), To: mapping.MustParseJID(romeoX), About: "x"}})
	}
	for range 2 {
		taken := 0
		for n := range maxLookups {
			if ask(fmt.Sprintf("juliet@example.com/%d", n)) {
				taken++
			}
		}
		if taken != maxLookupsOf || !ask("nurse@example.com/x") {
			t.Fatalf("one sender has %d of %d places", taken, maxLookups)
		}
		for range taken + 1 {
			b.found(<-b.lookups, nil)
		}
		if len(b.lookupsOf) != 0 {
			t.Errorf("%d senders still ask", len(b.lookupsOf))
		}
	}
}

// SEC-30: a contact who types to everybody does not take the room of the others.
func TestContactTypingToAll(t *testing.T) {
	run(t, func(r *running) {
		for i := range maxTypistsSeen + 10 {
			m := isComposing(fmt.Sprint(i), romeoAt, "active 3600")
			m.RequestURI = mapping.MustParseURI(fmt.Sprintf("sip:u%d@example.com", i))
			m.To = m.RequestURI
			r.sip(m)
		}
		if got := r.told(); got != maxTypistsSeen {
			t.Errorf("one contact is seen typing by %d, want %d", got, maxTypistsSeen)
		}
		r.sip(isComposing("other", "sip:tybalt@pbx.example.net", "active"))
		if got := r.told(); got != maxTypistsSeen+1 {
			t.Error("another one is not")
		}
	})
}

// IM-48: a message of which its sender was told that it has arrived is not dropped with an
// error, though its row is still there.
func TestDropOfWhatHasArrived(t *testing.T) {
	run(t, func(r *running) {
		r.learnsCPIM()
		id := messageID(r.ask(asking("a")))
		r.notify(imdn(romeoAt, id, saysDelivered), processed)
		rows := r.disk.rows()
		if len(rows) != 1 {
			t.Fatalf("%d rows", len(rows))
		}
		if _, err := DropRow(rows[0], time.Now()); !errors.Is(err, ErrArrived) {
			t.Errorf("dropped: %v", err)
		}
	})
}
