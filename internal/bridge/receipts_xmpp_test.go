package bridge

import (
	"strings"
	"testing"
	"time"

	"github.com/stoxgw/stox/mapping"
)

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
