package bridge

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// What a notification says counts more than what the proxies on the way make of the
// request: no error is told of a message that has arrived, and it is not sent again.
func TestNotificationBeforeTheAnswer(t *testing.T) {
	for name, o := range map[string]mapping.Outcome{"200": answered(200), "404": answered(404), "408": answered(408), "503": answered(503), "timeout": timeout()} {
		for _, late := range []bool{false, true} {
			run(t, func(r *running) {
				r.learnsCPIM()
				id := messageID(r.ask(asking("a")))
				if late && (name == "200" || name == "404") {
					return // that is the end
				}
				if late {
					r.answer(o)
				}
				sent := r.sent()
				r.notify(imdn(romeoAt, id, saysDelivered), processed)
				if l := len(r.lanes.byKey); l > 0 {
					r.answer(o)
				}
				time.Sleep(10 * time.Minute)
				r.settle()
				if got := r.heard(); got != "a received" || r.sent() != sent {
					t.Errorf("%s, late %t: heard %q, %d requests more", name, late, got, r.sent()-sent)
				}
				if len(r.disk.rows()) != 0 || r.lanes.open+r.lanes.waiting+r.lanes.stored != 0 {
					t.Errorf("%s: it is still there", name)
				}
			})
		}
	}
}

// After the error that a message has not arrived nothing says that it has (IM-48).
func TestNotificationAfterTheError(t *testing.T) {
	run(t, func(r *running) {
		r.learnsCPIM()
		id := messageID(r.ask(asking("a")))
		for range 3 {
			r.answer(answered(408))
		}
		for _, says := range []string{saysDelivered, saysDisplayed, saysFailed} {
			if status := r.notify(imdn(romeoAt, id, says), processed); status != 200 {
				t.Errorf("answered %d", status)
			}
		}
		if got := r.heard(); got != "a remote-server-timeout" {
			t.Errorf("heard %q", got)
		}
	})
}

// What becomes of the receipt is the answer to the notification, but a bounce is no error
// of it; what was not written is taken when it comes again.
func TestOutcomeOfANotification(t *testing.T) {
	for _, c := range []struct {
		o      mapping.Outcome
		status int
		heard  string // after it has come again
	}{
		{processed, 200, "a received"},
		{mapping.Outcome{Kind: mapping.Unknown}, 202, "a received"},
		{mapping.Outcome{Kind: mapping.Bounced, Failure: mapping.FailForbidden()}, 200, "a received"},
		{mapping.Outcome{Kind: mapping.NotWritten}, 503, "a received, a received"},
		{mapping.Outcome{Kind: mapping.Uncertain}, 503, "a received"},
	} {
		run(t, func(r *running) {
			r.learnsCPIM()
			id := messageID(r.ask(asking("a")))
			r.answer(answered(200))
			n := imdn(romeoAt, id, saysDelivered)
			if status := r.notify(n, c.o); status != c.status {
				t.Errorf("%+v: answered %d, want %d", c.o, status, c.status)
			}
			if status := r.notify(n, processed); status != 200 || r.heard() != c.heard {
				t.Errorf("%+v: the repeat was answered %d, heard %q", c.o, status, r.heard())
			}
			late := &mapping.XMPPError{From: mapping.MustParseJID(julietX), To: mapping.MustParseJID(romeoX), ID: stanzaID(r.ids.key(n, mapping.MustParseJID("juliet@example.com"))),
				Failure: mapping.FailForbidden()}
			r.FromXMPP([]mapping.XMPP{late})
			if got := r.Tally().Late; got != 0 || r.incoming != 0 || r.repeats.pending.n != 0 {
				t.Errorf("%+v: an error to a receipt was taken for one to a message", c.o)
			}
		})
	}
}

// A repeat of a notification that waits for the trail joins it.
func TestNotificationJoins(t *testing.T) {
	b, s := newBridge(t) // nobody reads the trail
	n := imdn(romeoAt, "nobody's", saysDelivered)
	for i := range 3 {
		b.FromSIP([]mapping.Parcel[mapping.SIP]{{Ref: i, Value: n}})
	}
	if len(s.answers) != 0 || b.incoming != 1 {
		t.Fatalf("%d answers, %d open", len(s.answers), b.incoming)
	}
	b.found(<-b.lookups, nil)
	if len(s.answers) != 3 || b.incoming != 0 || len(s.stanzas) != 0 {
		t.Errorf("%d answers, %d open, %d stanzas", len(s.answers), b.incoming, len(s.stanzas))
	}
	for i := range maxLookupsOf + 10 { // when too many wait, the others are silence
		s.answers = nil
		b.FromSIP([]mapping.Parcel[mapping.SIP]{{Ref: i, Value: imdn(romeoAt, fmt.Sprint("unknown", i), saysDelivered)}})
		if got := len(s.answers); got != max(0, min(1, i-maxLookupsOf+1)) {
			t.Fatalf("notification %d has %d answers", i, got)
		}
	}
}

// SEC-13: whoever may not be reached is not reached by notifications either.
func TestNotificationForAStranger(t *testing.T) {
	b, s := newBridge(t)
	m := imdn(romeoAt, "x", saysDelivered)
	m.RequestURI = mapping.MustParseURI("sip:eve%40evil.example@sip.example.com")
	b.FromSIP([]mapping.Parcel[mapping.SIP]{{Ref: 1, Value: m}})
	if status, _ := s.answers[0].Outcome.Final(200); status != 403 {
		t.Errorf("answered %d", status)
	}
}

// A Call-ID that is that of several messages names none of them.
func TestSharedCallID(t *testing.T) {
	run(t, func(r *running) {
		r.with(IMDNNever)
		r.formats.mu.Lock()
		r.formats.put(mapping.MustParseJID(romeoX), format{notifies: belief{1, time.Now()}}, time.Now())
		r.formats.mu.Unlock()
		for _, id := range []string{"a", "b"} {
			m := asking(id)
			m.Thread = "thread"
			r.ask(m)
			r.answer(answered(200))
		}
		for range 2 {
			r.notify(imdn("sip:mercutio@pbx.example.net", "thread", saysDelivered), processed)
			for _, says := range []string{saysDelivered, saysFailed, saysDisplayed} {
				m := imdn(romeoAt, "thread", says)
				m.ContentType = mapping.TypeCPIM // does not show that it takes each Call-ID once
				m.Body = append([]byte("Subject: x\r\n\r\nContent-Type: message/imdn+xml\r\n\r\n"), m.Body...)
				r.notify(m, processed)
			}
			if got := r.heard(); got != "" {
				t.Errorf("heard %q", got)
			}
			r.restart()
		}
	})
}

// IM-48: what was told, and what is waited for, outlives the process, whether the message
// had been answered or not.
func TestNotificationsAfterARestart(t *testing.T) {
	for name, c := range map[string]struct {
		before func(r *running, id string)
		heard  string // in the second life
		sent   int    // requests in it
	}{
		"answered": {func(r *running, _ string) { r.answer(answered(200)) }, "a received, a displayed", 0},
		"answered and told": {func(r *running, id string) {
			r.answer(answered(200))
			r.notify(imdn(romeoAt, id, saysDelivered), processed)
		}, "a displayed", 0},
		"answered and failed": {func(r *running, id string) {
			r.answer(answered(200))
			r.notify(imdn(romeoAt, id, saysFailed), processed)
		}, "", 0},
		"not answered":       {func(*running, string) {}, "a received, a displayed", 1},
		"told, not answered": {func(r *running, id string) { r.notify(imdn(romeoAt, id, saysDelivered), processed) }, "a displayed", 0},
	} {
		run(t, func(r *running) {
			r.learnsCPIM()
			id := messageID(r.ask(asking("a")))
			c.before(r, id)
			for _, e := range r.disk.trail {
				if strings.Contains(e.Detail, "secret") {
					t.Errorf("trail: %s", e.Detail)
				}
			}
			r.restart()
			if r.sent() != c.sent {
				t.Errorf("%s: %d requests after the restart, want %d", name, r.sent(), c.sent)
			}
			for range 2 {
				r.notify(imdn("sip:tybalt@pbx.example.net", id, saysDisplayed), processed)
				r.notify(imdn(romeoAt, id, saysDelivered), processed)
				r.notify(imdn(romeoAt, id, saysFailed), processed)
				r.notify(imdn(romeoAt, id, saysDisplayed), processed)
			}
			if got := r.heard(); got != c.heard {
				t.Errorf("%s: heard %q after the restart, want %q", name, got, c.heard)
			}
		})
	}
}

// What was told of a message of an earlier run says nothing about another one with the same
// Call-ID, which could not be journaled.
func TestReceiptOfAnotherMessage(t *testing.T) {
	run(t, func(r *running) {
		r.with(IMDNNever)
		first := asking("a")
		first.Thread = "thread"
		r.ask(first)
		r.answer(answered(200))
		r.restart()
		m := imdn(romeoAt, "thread", saysDisplayed)
		m.ContentType = mapping.TypeCPIM // does not show that it takes each Call-ID once
		m.Body = append([]byte("Subject: x\r\n\r\nContent-Type: message/imdn+xml\r\n\r\n"), m.Body...)
		r.notify(m, processed)

		r.text("b", julietX)
		next := asking("c")
		next.Thread = "thread"
		r.FromXMPP([]mapping.XMPP{next})
		r.disk.mu.Lock()
		r.disk.fault = errDisk
		r.disk.mu.Unlock()
		r.settle()
		if got := r.heard(); got != "a displayed, c resource-constraint" {
			t.Errorf("heard %q", got)
		}
	})
}

// A message that waits in the store only, since its destination fails again and again, ends
// when a notification says that it has arrived, and stays so after a restart.
func TestNotificationOfAParkedMessage(t *testing.T) {
	run(t, func(r *running) {
		r.learnsCPIM()
		id := messageID(r.ask(asking("a")))
		for r.lanes.stored == 0 {
			if r.lanes.open > 0 {
				r.answer(answered(503))
			}
			time.Sleep(100 * time.Millisecond)
			r.settle()
		}
		r.notify(imdn(romeoAt, id, saysDelivered), processed)
		if n := len(r.disk.rows()); n != 0 || r.lanes.stored != 0 {
			t.Errorf("%d rows are left, %d wait", n, r.lanes.stored)
		}
		told := r.heard()
		r.restart()
		time.Sleep(10 * time.Minute)
		r.settle()
		if r.sent() != 0 || told != "a received" || r.heard() != "" {
			t.Errorf("heard %q, and after a restart %q; %d requests", told, r.heard(), r.sent())
		}
	})
}
