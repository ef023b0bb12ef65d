package bridge

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// inParts queues a message that went into several requests.
func inParts(b *Bridge, id string, texts ...string) {
	o := &outbound{id: id, from: mapping.MustParseJID("juliet@example.com/x"), to: mapping.MustParseJID("romeo@sip.example.com")}
	o.sender = o.from.Bare()
	for _, text := range texts {
		o.parts = append(o.parts, fromSIP("", "sip:juliet@example.com", "sip:romeo@pbx.example.net", text))
	}
	o.read = time.Now()
	o.expire = o.read.Add(time.Hour)
	for _, p := range o.parts {
		b.ids.fill(p.(*mapping.SIPMessage))
	}
	o.measure()
	out := work{now: o.read}
	b.mu.Lock()
	b.enqueue(&out, []*outbound{o}, b.formats.owners.Load())
	b.unlock(&out)
}

// IM-32, IM-62: the parts of a message go one after the other, with nothing
// between them; what fails ends the rest with the one error of the message.
func TestPartsToSIP(t *testing.T) {
	for _, c := range []struct {
		name    string
		answers []int
		sent    string
		errors  string
	}{
		{"all arrive", []int{200, 202, 200, 200}, "[1 2 3 next]", "[]"},
		{"the first fails", []int{404, 200}, "[1 next]", "[m item-not-found]"},
		{"the second fails", []int{200, 486, 200}, "[1 2 next]", "[m recipient-unavailable]"},
		{"the last fails", []int{200, 200, 500, 200}, "[1 2 3 next]", "[m internal-server-error]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, s := newBridge(t)
			inParts(b, "m", "1", "2", "3")
			b.FromXMPP([]mapping.XMPP{fromXMPP("n", "nurse@example.com/x", "romeo@sip.example.com", "next")})
			for i, status := range c.answers {
				s.journal.commit()
				if len(s.requests) != i+1 {
					t.Fatalf("%d requests after %d answers: one is pending to a destination", len(s.requests), i)
				}
				b.SIPOutcomes([]mapping.Result{{Ref: s.requests[i].Ref, Outcome: answered(status)}})
			}
			sent := []string{}
			tags := map[string]bool{}
			for _, p := range s.requests {
				m := p.Value.(*mapping.SIPMessage)
				sent = append(sent, string(m.Body))
				tags[m.FromTag] = true
			}
			if fmt.Sprint(sent) != c.sent {
				t.Errorf("sent %v, want %v", sent, c.sent)
			}
			if len(tags) != len(sent) {
				t.Error("two requests have one From tag (IM-06)")
			}
			told := []string{}
			for _, p := range s.stanzas {
				e := p.Value.(*mapping.XMPPError)
				told = append(told, e.ID, string(e.Failure.Condition))
			}
			if fmt.Sprint(told) != c.errors {
				t.Errorf("errors %v, want %v", told, c.errors)
			}
			if b.lanes.held != (held{}) {
				t.Errorf("left in the lanes: %+v", b.lanes.held)
			}
		})
	}
}

// IM-56: a request that became several stanzas has one answer, after the last of
// them, and the worst outcome makes it.
func TestPartsToXMPP(t *testing.T) {
	bounced := mapping.Outcome{Kind: mapping.Bounced, Failure: mapping.FailureFromStanza(mapping.CondItemNotFound, "", "", "")}
	processed, unknown := mapping.Outcome{Kind: mapping.Processed}, mapping.Outcome{Kind: mapping.Unknown}
	uncertain, notWritten := mapping.Outcome{Kind: mapping.Uncertain}, mapping.Outcome{Kind: mapping.NotWritten}
	for _, c := range []struct {
		parts []mapping.Outcome
		want  int
	}{
		{[]mapping.Outcome{processed, processed}, 200},
		{[]mapping.Outcome{processed, bounced}, 404},
		{[]mapping.Outcome{bounced, processed}, 404},
		{[]mapping.Outcome{unknown, bounced}, 404},
		{[]mapping.Outcome{processed, unknown}, 202},
		{[]mapping.Outcome{unknown, processed}, 202},
		{[]mapping.Outcome{unknown, uncertain}, 503},
		{[]mapping.Outcome{notWritten, bounced}, 503},
	} {
		b, s := newBridge(t)
		in := &incoming{ref: "tx", left: len(c.parts)}
		b.incoming++
		for i, o := range c.parts {
			if len(s.answers) != 0 {
				t.Fatalf("answered after %d of %d outcomes", i, len(c.parts))
			}
			b.XMPPOutcomes([]mapping.Result{{Ref: b.handed.to(in), Outcome: o}})
		}
		if len(s.answers) != 1 || s.answers[0].Ref != "tx" {
			t.Fatalf("answers %+v, want one for tx", s.answers)
		}
		if got, _ := s.answers[0].Outcome.Final(200); got != c.want {
			t.Errorf("%v: %d, want %d", c.parts, got, c.want)
		}
	}
}

// A fault in the translation costs the one message: its sender is told, the
// others go on, and its text is not in the log (SEC-14).
func TestPanicInTranslation(t *testing.T) {
	b, s := newBridge(t)
	var log bytes.Buffer
	b.log = slog.New(slog.NewTextHandler(&log, nil))
	good := *b.policy.Load()
	b.SetPolicy(Policy{Access: good.Access}) // without rules every translation panics
	b.FromXMPP([]mapping.XMPP{fromXMPP("m1", "juliet@example.com/x", "romeo@sip.example.com", "private")})
	b.FromSIP([]mapping.Parcel[mapping.SIP]{{Ref: "tx1", Value: fromSIP("c1", "sip:romeo@pbx.example.net", "sip:juliet@example.com", "private")}})
	b.SetPolicy(good)
	b.FromXMPP([]mapping.XMPP{fromXMPP("m2", "juliet@example.com/x", "romeo@sip.example.com", "hello")})
	if len(s.stanzas) != 1 || len(s.answers) != 1 || len(s.requests) != 1 {
		t.Fatalf("%d errors, %d answers, %d requests; want one of each", len(s.stanzas), len(s.answers), len(s.requests))
	}
	if e := s.stanzas[0].Value.(*mapping.XMPPError); e.ID != "m1" || e.Failure.Condition != mapping.CondInternalServerError {
		t.Errorf("error stanza id=%s %s", e.ID, e.Failure.Condition)
	}
	if got, _ := s.answers[0].Outcome.Final(200); s.answers[0].Ref != "tx1" || got != 500 {
		t.Errorf("%v was answered %d, want 500 for tx1", s.answers[0].Ref, got)
	}
	if n := strings.Count(log.String(), "level=ERROR"); n != 2 || strings.Contains(log.String(), "private") {
		t.Errorf("%d error lines, want 2 without the text:\n%s", n, log.String())
	}
}

// A value that nobody knows is answered too.
func TestUnknownValueFromSIP(t *testing.T) {
	b, s := newBridge(t)
	b.FromSIP([]mapping.Parcel[mapping.SIP]{{Ref: "tx", Value: nil}})
	if len(s.answers) != 1 || s.answers[0].Ref != "tx" {
		t.Fatalf("answers %+v, want one for tx", s.answers)
	}
	if got, _ := s.answers[0].Outcome.Final(200); got != 500 {
		t.Errorf("answered %d, want 500", got)
	}
}
