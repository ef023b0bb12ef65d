package bridge

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// asking is a message whose sender wants a receipt and a marker.
func asking(id string) *mapping.XMPPMessage {
	m := fromXMPP(id, julietX, romeoX, "secret text")
	m.Type, m.WantReceipt, m.Markable = "chat", true, true
	return m
}

func (r *running) ask(m *mapping.XMPPMessage) *mapping.SIPMessage {
	r.t.Helper()
	r.FromXMPP([]mapping.XMPP{m})
	r.settle()
	_, sent := r.last(r.sent())
	return sent
}

// with changes the policy.
func (r *running) with(imdn IMDN) *running {
	p := *r.policy.Load()
	p.IMDN = imdn
	r.SetPolicy(p)
	return r
}

// messageID is the identifier under which m asks for notifications, "" if it does not.
func messageID(m *mapping.SIPMessage) string {
	_, rest, _ := strings.Cut(string(m.Body), "imdn.Message-ID: ")
	id, _, _ := strings.Cut(rest, "\r\n")
	return id
}

const (
	saysDelivered = "<delivery-notification><status><delivered/></status></delivery-notification>"
	saysDisplayed = "<display-notification><status><displayed/></status></display-notification>"
	saysFailed    = "<delivery-notification><status><failed/></status></delivery-notification>"
	saysError     = "<delivery-notification><status><error/></status></delivery-notification>"
	saysForbidden = "<display-notification><status><forbidden/></status></display-notification>"
)

var notices int // of all tests: each is a request of its own

// imdn is a notification, bare as some user agents send it.
func imdn(from, about, says string) *mapping.SIPMessage {
	notices++
	m := fromSIP(fmt.Sprint("notice-", notices), from, "sip:juliet@example.com;gr=x",
		`<imdn xmlns="urn:ietf:params:xml:ns:imdn"><message-id>`+about+"</message-id>"+says+"</imdn>")
	m.ContentType = mapping.TypeIMDN
	return m
}

// notify hands over a notification and returns what it was answered; the stanza that it
// becomes, if any, has the outcome o.
func (r *running) notify(m *mapping.SIPMessage, o mapping.Outcome) int {
	r.t.Helper()
	told := r.told()
	r.side.mu.Lock()
	r.answers = nil
	r.side.mu.Unlock()
	r.FromSIP([]mapping.Parcel[mapping.SIP]{{Ref: m.CallID, Value: m}})
	r.settle()
	if r.told() > told {
		r.outcome(o)
	}
	r.side.mu.Lock()
	defer r.side.mu.Unlock()
	if len(r.answers) != 1 || r.answers[0].Ref != m.CallID {
		r.t.Fatalf("%d answers to a notification", len(r.answers))
	}
	status, _ := r.answers[0].Outcome.Final(200)
	return status
}

// heard is what XMPP users were told, "id received", "id displayed" or "id condition".
func (r *running) heard() string {
	r.side.mu.Lock()
	defer r.side.mu.Unlock()
	var all []string
	for _, p := range r.stanzas {
		switch v := p.Value.(type) {
		case *mapping.XMPPReceipt:
			if v.To.String() != julietX || v.From.Bare().String() != romeoX || v.ID == "" || v.Type != "chat" {
				r.t.Errorf("receipt %+v", v)
			}
			kind := " received"
			if v.Read {
				kind = " displayed"
			}
			all = append(all, v.About+kind)
		case *mapping.XMPPError:
			if v.To.String() != julietX || v.From.String() != romeoX {
				r.t.Errorf("error %+v", v)
			}
			all = append(all, v.ID+" "+string(v.Failure.Condition))
		}
	}
	return strings.Join(all, ", ")
}

// learnsCPIM lets romeo be known to take a message/cpim.
func (r *running) learnsCPIM() {
	r.formats.noteAccept(mapping.MustParseJID(romeoX), "text/plain, message/cpim", time.Now())
}

// IM-40, IM-43, IM-45: who is asked for notifications, and how.
func TestWhoIsAskedForNotifications(t *testing.T) {
	for _, c := range []struct {
		imdn          IMDN
		accept        string // what romeo is known to take
		marked, asked bool
		form          string
		options       bool
	}{
		{"", "", true, false, typePlain, true},
		{IMDNIfKnown, "", true, false, typePlain, true},
		{IMDNIfKnown, "", false, false, typePlain, false},
		{IMDNIfKnown, "text/plain, message/cpim", true, true, typeCPIM, false},
		{IMDNIfKnown, "text/plain, message/cpim", false, false, typePlain, false},
		{IMDNIfKnown, "text/plain", true, false, typePlain, false},
		{IMDNAlways, "", true, true, typeCPIM, false},
		{IMDNAlways, "", false, false, typePlain, false},
		{IMDNAlways, "text/plain", true, false, typePlain, false},
		{IMDNNever, "", true, false, typePlain, false},
		{IMDNNever, "text/plain, message/cpim", true, false, typePlain, false},
		{IMDNNever, "message/cpim", true, false, typeCPIM, false},
	} {
		run(t, func(r *running) {
			r.with(c.imdn)
			if c.accept != "" {
				r.formats.noteAccept(mapping.MustParseJID(romeoX), c.accept, time.Now())
			}
			m := asking("a")
			m.WantReceipt, m.Markable = c.marked, c.marked
			r.FromXMPP([]mapping.XMPP{m})
			r.settle()
			var sent *mapping.SIPMessage
			options := false
			for _, p := range r.requests {
				switch v := p.Value.(type) {
				case *mapping.SIPMessage:
					sent = v
				case *mapping.SIPQuery:
					options = true
				}
			}
			id := messageID(sent)
			if form(sent) != c.form || (id != "") != c.asked || options != c.options {
				t.Errorf("%+v: sent as %s, identifier %q, asked by OPTIONS %t", c, sent.ContentType, id, options)
			}
			if c.asked {
				body := string(sent.Body)
				if len(id) < 13 || !strings.Contains(body, "Disposition-Notification: positive-delivery, negative-delivery, display\r\n") || strings.Count(body, "DateTime: ") != 1 {
					t.Errorf("%s", body)
				}
			}
		})
	}
}

// IM-41, IM-42, IM-48: what the contact's user agent says is told once, to the device that
// has sent the message, in whichever form it comes.
func TestNotificationBecomesReceipt(t *testing.T) {
	for _, cpim := range []bool{true, false} {
		run(t, func(r *running) {
			if cpim {
				r.learnsCPIM()
			} else {
				r.with(IMDNNever).formats.noteNotifies(mapping.MustParseJID(romeoX), time.Now())
			}
			sent := r.ask(asking("a"))
			name := sent.CallID
			if cpim {
				name = messageID(sent)
			}
			r.answer(answered(200))
			for _, c := range []struct {
				from, name, says, heard string
			}{
				{"sip:tybalt@pbx.example.net", name, saysDelivered, ""},
				{romeoAt, name + "x", saysDelivered, ""},
				{romeoAt, name, saysForbidden, ""},
				{romeoAt, name, "", ""},
				{romeoAt, "", saysDelivered, ""},
				{romeoAt + ";gr=phone", name, saysDelivered, "a received"},
				{romeoAt, name, saysDelivered, "a received"},
				{romeoAt, name, saysFailed, "a received"},
				{romeoAt, name, saysDisplayed, "a received, a displayed"},
				{romeoAt, name, saysDisplayed, "a received, a displayed"},
				{romeoAt, name, saysError, "a received, a displayed"},
			} {
				if status := r.notify(imdn(c.from, c.name, c.says), processed); status != 200 {
					t.Errorf("%s by %s was answered %d", c.says, c.from, status)
				}
				if got := r.heard(); got != c.heard {
					t.Errorf("after %s of %q by %s: heard %q, want %q", c.says, c.name, c.from, got, c.heard)
				}
			}
			if r.sent() != 1 {
				t.Errorf("%d requests followed", r.sent()-1)
			}
		})
	}
}

// A notification that nobody has asked for is nothing to anybody (IM-45).
func TestNotificationsThatNobodyWants(t *testing.T) {
	for name, change := range map[string]func(*mapping.XMPPMessage){
		"no request": func(m *mapping.XMPPMessage) { m.WantReceipt, m.Markable = false, false },
		"no id":      func(m *mapping.XMPPMessage) { m.ID = "" },
		"a long id":  func(m *mapping.XMPPMessage) { m.ID = strings.Repeat("i", maxWantedID+1) },
		"a long address": func(m *mapping.XMPPMessage) {
			m.From = mapping.MustParseJID("juliet@example.com/" + strings.Repeat("x", maxDeviceLen+1))
		},
	} {
		run(t, func(r *running) {
			r.learnsCPIM()
			m := asking("a")
			change(m)
			sent := r.ask(m)
			if messageID(sent) != "" {
				t.Errorf("%s: notifications are asked for", name)
			}
			r.answer(answered(200))
			for _, says := range []string{saysDelivered, saysDisplayed, saysFailed} {
				if status := r.notify(imdn(romeoAt, sent.CallID, says), processed); status != 200 || r.told() != 0 {
					t.Errorf("%s: answered %d, and %d stanzas followed", name, status, r.told())
				}
			}
		})
	}
}

// IM-47, IM-48: that it was not delivered after all is an error, once, and nothing comes
// after it.
func TestFailedNotification(t *testing.T) {
	for _, says := range []string{saysFailed, saysError} {
		for _, early := range []bool{false, true} {
			run(t, func(r *running) {
				r.learnsCPIM()
				id := messageID(r.ask(asking("a")))
				if early {
					if r.notify(imdn(romeoAt, id, says), processed); r.told() != 0 {
						t.Error("told before the answer, which may have it sent in another form")
					}
				}
				r.answer(answered(200))
				for _, next := range []string{says, saysDelivered, saysDisplayed, saysFailed} {
					if status := r.notify(imdn(romeoAt, id, next), processed); status != 200 {
						t.Errorf("answered %d", status)
					}
				}
				if got := r.heard(); got != "a recipient-unavailable" {
					t.Errorf("heard %q", got)
				}
			})
		}
	}
}

// Linphone refuses a message/cpim with 488 and says so in a notification too: what counts is
// what becomes of the plain text.
func TestFailedNotificationOfARefusedForm(t *testing.T) {
	run(t, func(r *running) {
		r.learnsCPIM()
		id := messageID(r.ask(asking("a")))
		r.notify(imdn(romeoAt, id, saysFailed), processed)
		r.answer(answered(488))
		r.notify(imdn(romeoAt, id, saysFailed), processed)
		_, plain := r.last(2)
		if form(plain) != typePlain {
			t.Fatalf("sent as %s", plain.ContentType)
		}
		r.answer(answered(200))
		r.notify(imdn(romeoAt, id, saysFailed), processed)
		r.notify(imdn(romeoAt, plain.CallID, saysDelivered), processed)
		if got := r.heard(); got != "a received" {
			t.Errorf("heard %q", got)
		}
	})
}

// IM-46, IM-22, IM-59: a 200 is a receipt where nothing better is to be had; 202 is none,
// nor is a 482 that says that the message had arrived.
func TestReceiptByA200(t *testing.T) {
	for name, c := range map[string]struct {
		imdn    IMDN
		prepare func(r *running)
		change  func(m *mapping.XMPPMessage)
		answers []mapping.Outcome
		want    string
	}{
		"200":                      {answers: []mapping.Outcome{answered(200)}, want: "a received"},
		"200, never":               {imdn: IMDNNever, answers: []mapping.Outcome{answered(200)}, want: "a received"},
		"202":                      {imdn: IMDNNever, answers: []mapping.Outcome{answered(202)}},
		"another 2xx":              {imdn: IMDNNever, answers: []mapping.Outcome{answered(299)}},
		"482 to a repeat":          {imdn: IMDNNever, answers: []mapping.Outcome{answered(408), answered(482)}},
		"200 to a repeat":          {imdn: IMDNNever, answers: []mapping.Outcome{answered(408), answered(200)}, want: "a received"},
		"refused":                  {answers: []mapping.Outcome{answered(404)}, want: "a item-not-found"},
		"a marker only":            {change: func(m *mapping.XMPPMessage) { m.WantReceipt = false }, answers: []mapping.Outcome{answered(200)}},
		"nothing":                  {change: func(m *mapping.XMPPMessage) { m.WantReceipt, m.Markable = false, false }, answers: []mapping.Outcome{answered(200)}},
		"notifications were asked": {imdn: IMDNAlways, answers: []mapping.Outcome{answered(200)}},
		"asked, and 415":           {imdn: IMDNAlways, answers: []mapping.Outcome{answered(415), answered(200)}, want: "a received"},
		"it sends notifications": {prepare: func(r *running) { r.notify(imdn(romeoAt, "x", saysDelivered), processed) },
			answers: []mapping.Outcome{answered(200)}},
	} {
		run(t, func(r *running) {
			r.with(c.imdn)
			if c.prepare != nil {
				c.prepare(r)
			}
			m := asking("a")
			if c.change != nil {
				c.change(m)
			}
			r.FromXMPP([]mapping.XMPP{m})
			r.settle()
			for _, o := range c.answers {
				r.side.mu.Lock()
				var ref any
				for _, p := range r.requests {
					if _, ok := p.Value.(*mapping.SIPMessage); ok {
						ref = p.Ref
					}
				}
				r.side.mu.Unlock()
				r.SIPOutcomes([]mapping.Result{{Ref: ref, Outcome: o}})
				r.settle()
				time.Sleep(time.Minute)
				r.settle()
			}
			if got := r.heard(); got != c.want {
				t.Errorf("%s: heard %q, want %q", name, got, c.want)
			}
		})
	}
}

// A text in parts has one receipt, when the last part has arrived, and only if there was a
// 200 to all of them.
func TestReceiptOfParts(t *testing.T) {
	for first, want := range map[int]string{200: "a received", 202: ""} {
		run(t, func(r *running) {
			r.with(IMDNNever)
			m := asking("a")
			m.Bodies[0].Value = strings.Repeat("word ", 60)
			r.ask(m)
			r.answer(mapping.Outcome{Kind: mapping.NotWritten, Failure: mapping.FailTooLarge(1300), Room: 200})
			_, one := r.last(2)
			if status := r.notify(imdn(romeoAt, one.CallID, saysDelivered), processed); status != 200 || r.heard() != "" {
				t.Errorf("the first part: answered %d, heard %q", status, r.heard())
			}
			r.answer(answered(first))
			if r.heard() != "" {
				t.Errorf("heard %q before the last part has left", r.heard())
			}
			_, last := r.last(3)
			r.notify(imdn(romeoAt, last.CallID, saysDisplayed), processed)
			r.answer(answered(200))
			r.notify(imdn(romeoAt, last.CallID, saysDelivered), processed)
			if first == 200 {
				want = "a displayed, a received"
			}
			if got := r.heard(); got != want {
				t.Errorf("first part %d: heard %q, want %q", first, got, want)
			}
		})
	}
}

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
			if got := r.Tally().Late; got != 0 || r.incoming != 0 || len(r.repeats.pending) != 0 {
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
