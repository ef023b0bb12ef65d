package bridge

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/stoxgw/stox/mapping"
)

// longText takes three parts where there is room for 40 bytes.
const longText = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen"

// noRoom is what the SIP side says of a request that is too long.
func noRoom(room int) mapping.Outcome {
	return mapping.Outcome{Kind: mapping.NotWritten, Failure: mapping.FailTooLarge(1300), Room: room}
}

// long sends a long text to romeo.
func (r *running) long(id, from, thread string) *mapping.XMPPMessage {
	m := fromXMPP(id, from, "romeo@sip.example.com", longText)
	m.Thread, m.Subjects = thread, []mapping.Text{{Value: "Numbers"}}
	r.FromXMPP([]mapping.XMPP{m})
	r.settle()
	return m
}

// request is the n-th request, counted from 1.
func (r *running) request(n int) *mapping.SIPMessage {
	r.side.mu.Lock()
	defer r.side.mu.Unlock()
	return r.requests[n-1].Value.(*mapping.SIPMessage)
}

// texts are the error texts so far.
func (r *running) texts() string {
	r.side.mu.Lock()
	defer r.side.mu.Unlock()
	var all []string
	for _, p := range r.stanzas {
		if e, ok := p.Value.(*mapping.XMPPError); ok {
			all = append(all, e.Failure.Text)
		}
	}
	return strings.Join(all, "|")
}

// kinds is what the trail says of a message.
func (r *running) kinds(id string) string {
	r.disk.mu.Lock()
	defer r.disk.mu.Unlock()
	var all []string
	for _, e := range r.disk.trail {
		if e.ID == id {
			all = append(all, e.Kind)
		}
	}
	return strings.Join(all, " ")
}

// joined is the text of some requests without the marks of the parts.
func joined(parts []*mapping.SIPMessage) (text string) {
	for _, p := range parts {
		text += partMark.ReplaceAllString(string(p.Body), "")
	}
	return text
}

// IM-62, IM-58: a text that is too long goes in parts that fit, one after the other, each
// a message of its own. Nothing of another sender comes between them.
func TestTooLongGoesInParts(t *testing.T) {
	for _, thread := range []string{"", "a-thread"} {
		run(t, func(r *running) {
			r.long("m", "juliet@example.com/x", thread)
			r.text("other", "nurse@example.com/x")
			// Room is kept for a longer Call-ID.
			r.answer(noRoom(40 + callIDLen - len(r.request(1).CallID)))
			var parts []*mapping.SIPMessage
			tags, numbers, calls := map[string]bool{r.request(1).FromTag: true}, map[uint32]bool{}, map[string]bool{}
			for i := range 3 {
				if i == 0 { // senders have their turns: the whole had its, and the parts have theirs
					_, m := r.last(2)
					if string(m.Body) == "text of other" {
						r.answer(answered(200))
					}
				}
				_, m := r.last(r.sent())
				if len(m.Body) > 40 || tags[m.FromTag] || numbers[m.CSeq] || calls[m.CallID] || (i == 0) != (m.CallID == r.request(1).CallID) {
					t.Errorf("part %d has %d bytes, tag %s, CSeq %d, Call-ID %s", i+1, len(m.Body), m.FromTag, m.CSeq, m.CallID)
				}
				if subject := map[bool]string{true: "Numbers"}[i == 0]; m.Subject != subject {
					t.Errorf("part %d: subject %q", i+1, m.Subject)
				}
				tags[m.FromTag], numbers[m.CSeq], calls[m.CallID] = true, true, true
				parts = append(parts, m)
				before := r.sent()
				if i == 1 { // the row says that a part has left before it does
					ref, _ := r.last(before)
					r.SIPOutcomes([]mapping.Result{{Ref: ref, Outcome: answered(200)}})
					if r.sent() != before {
						t.Error("the last part has left before its row said so")
					}
					r.settle()
				} else {
					r.answer(answered(202))
				}
			}
			if got := joined(parts); got != longText || string(parts[2].Body[:6]) != "(3/3) " {
				t.Errorf("the parts say %q", got)
			}
			if got := r.errors(); got != "" {
				t.Errorf("told: %s", got)
			}
			if got := r.kinds("m"); got != "split part part delivered" {
				t.Errorf("the trail says %s", got)
			}
			for _, e := range r.disk.trail { // what was too long has not left
				if strings.Contains(e.Detail, "request") != (e.Kind == eventSplit) || e.Kind == eventPart && !strings.Contains(e.Detail, "part ") {
					t.Errorf("the trail says %s: %s", e.Kind, e.Detail)
				}
			}
			if rows := r.disk.rows(); len(rows) != 0 || r.lanes.held != (held{}) {
				t.Errorf("left: %d rows, %+v", len(rows), r.lanes.held)
			}
		})
	}
}

// IM-62: where characters are counted a part has as many as it may, however few or many
// bytes they are.
func TestPartsByCharacters(t *testing.T) {
	run(t, func(r *running) {
		text := strings.Repeat("漢", 60)
		r.FromXMPP([]mapping.XMPP{fromXMPP("m", "juliet@example.com/x", "+15551234567@sip.example.com", text)})
		r.settle()
		o := noRoom(900)
		o.Chars = 30
		r.answer(o)
		var parts []*mapping.SIPMessage
		for range 3 {
			_, m := r.last(r.sent())
			if n := utf8.RuneCount(m.Body); n > 30 {
				t.Errorf("%d characters: %s", n, m.Body)
			}
			parts = append(parts, m)
			r.answer(answered(202))
		}
		if got := joined(parts); got != text || r.errors() != "" || r.sent() != 4 {
			t.Errorf("%d requests say %q; told %q", r.sent(), got, r.errors())
		}
	})
}

// IM-62, IM-60: there is one error for the whole message, and it says how much of it has
// arrived.
func TestPartFails(t *testing.T) {
	for _, c := range []struct {
		answers []mapping.Outcome
		want    string
	}{
		{[]mapping.Outcome{answered(404)}, "404 Not Found"},
		{[]mapping.Outcome{answered(200), answered(404)}, "404 Not Found. The first of 3 parts arrived."},
		{[]mapping.Outcome{answered(200), answered(202), answered(486)}, "486 Busy Here. The first 2 of 3 parts arrived."},
		{[]mapping.Outcome{answered(200), timeout(), timeout(), timeout()},
			"No answer came in time. The message may have arrived all the same. The first of 3 parts arrived."},
		{[]mapping.Outcome{timeout(), answered(482), noRoom(30)}, "The message is too long: 1300 bytes are the limit, headers included. The first of 3 parts arrived."},
	} {
		run(t, func(r *running) {
			r.long("m", "juliet@example.com/x", "")
			r.answer(noRoom(40))
			for _, o := range c.answers {
				r.answer(o)
			}
			if got := r.texts(); got != c.want {
				t.Errorf("told %q, want %q", got, c.want)
			}
			if n := 1 + len(c.answers); r.sent() != n {
				t.Errorf("%d requests, want %d", r.sent(), n)
			}
		})
	}
}

// IM-59: a part that is refused for now, or has no clear end, is tried again by itself.
func TestPartIsTriedAgain(t *testing.T) {
	run(t, func(r *running) {
		r.long("m", "juliet@example.com/x", "")
		r.answer(noRoom(40))
		r.answer(answered(200))
		second := r.request(3)
		r.answer(answered(503))
		if r.sent() != 3 {
			t.Fatal("no back-off")
		}
		time.Sleep(maxBackoff)
		r.settle()
		_, m := r.last(4)
		if string(m.Body) != string(second.Body) || m.CSeq != second.CSeq+1 || m.FromTag != second.FromTag {
			t.Errorf("after 503: CSeq %d, tag %s, %q", m.CSeq, m.FromTag, m.Body)
		}
		r.answer(timeout())
		if _, same := r.last(5); same.CSeq != m.CSeq || same.FromTag != m.FromTag || string(same.Body) != string(m.Body) {
			t.Errorf("after no answer: CSeq %d, tag %s, %q", same.CSeq, same.FromTag, same.Body)
		}
		r.answer(answered(482)) // it had arrived
		r.answer(answered(200))
		if got := r.errors(); got != "" || r.sent() != 6 || !strings.HasPrefix(string(r.request(6).Body), "(3/3) ") {
			t.Errorf("%d requests, told %q", r.sent(), got)
		}
	})
}

// The first part goes to the target that it was cut for, and the others to the first one
// that there is, like any message.
func TestTargetsOfParts(t *testing.T) {
	run(t, func(r *running) {
		r.long("m", "juliet@example.com/x", "")
		r.answer(more(answered(503)))
		r.answer(noRoom(40))
		if _, m := r.last(3); m.Target != 1 {
			t.Errorf("the first part goes to target %d", m.Target)
		}
		r.answer(answered(200))
		if _, m := r.last(4); m.Target != 0 {
			t.Errorf("the second part goes to target %d", m.Target)
		}
	})
}

// What cannot be cut comes back as too long: too little room, too many parts, something
// that is no text, a request of which a copy may have arrived.
func TestNotInParts(t *testing.T) {
	for name, c := range map[string]struct {
		before []mapping.Outcome
		last   mapping.Outcome
	}{
		"the route does not allow it": {last: noRoom(0)},
		"too little room":             {last: noRoom(len("(1/3) ") + 15)},
		"it has left":                 {before: []mapping.Outcome{timeout()}, last: noRoom(40)},
		"the server says it":          {last: mapping.Outcome{Kind: mapping.Answered, Status: 413, Failure: mapping.FailureFromStatus(413, "", 0, nil), Room: 40}},
	} {
		run(t, func(r *running) {
			r.long("m", "juliet@example.com/x", "")
			for _, o := range c.before {
				r.answer(o)
			}
			n := r.sent()
			r.answer(c.last)
			if got := r.errors(); got != "m policy-violation" || r.sent() != n {
				t.Errorf("%s: told %q after %d requests", name, got, r.sent())
			}
		})
	}
	run(t, func(r *running) {
		m := fromXMPP("m", "juliet@example.com/x", "romeo@sip.example.com", strings.Repeat("y", 3000))
		r.FromXMPP([]mapping.XMPP{m})
		r.settle()
		r.answer(noRoom(36)) // 100 parts and more
		if got := r.errors(); got != "m policy-violation" || r.sent() != 1 {
			t.Errorf("more than 99 parts: told %q after %d requests", got, r.sent())
		}
	})
}

// A message/cpim is taken out of its wrapping first, and cut only if that is not enough.
func TestCPIMInParts(t *testing.T) {
	run(t, func(r *running) {
		r.formats.note(mapping.MustParseJID("romeo@sip.example.com"), -1, 1, time.Now())
		r.long("m", "juliet@example.com/x", "")
		if m := r.request(1); form(m) != typeCPIM {
			t.Fatalf("sent as %s", m.ContentType)
		}
		r.answer(noRoom(40))
		if _, m := r.last(2); form(m) != typePlain || string(m.Body) != longText {
			t.Fatalf("%s %q", m.ContentType, m.Body)
		}
		r.answer(noRoom(40))
		if _, m := r.last(3); form(m) != typePlain || string(m.Body) != "(1/3) one two three four five six seven " {
			t.Fatalf("%s %q", m.ContentType, m.Body)
		}
	})
}

// A user agent that takes a second request with the same Call-ID for a repeat gets each
// part with its own, whether it is known for that or not; and a Call-ID that is longer
// than the one of the thread does not make the part too long.
func TestOwnCallIDsOfParts(t *testing.T) {
	for _, known := range []bool{true, false} {
		run(t, func(r *running) {
			if known {
				r.formats.noteOwnCallID(mapping.MustParseJID("romeo@sip.example.com"), time.Now())
			}
			m := r.long("m", "juliet@example.com/x", "t")
			const room = 60
			r.answer(noRoom(room))
			whole, ids, n := r.request(1), map[string]bool{}, 0
			for r.errors() == "" && r.lanes.held.open > 0 && n < 9 {
				_, part := r.last(2 + n)
				if ids[part.CallID] {
					t.Errorf("known %t: Call-ID %s comes again", known, part.CallID)
				}
				ids[part.CallID] = true
				if len(part.CallID)+len(part.Body) > len(whole.CallID)+room {
					t.Errorf("known %t: Call-ID and body have %d bytes, and there is room for %d", known, len(part.CallID)+len(part.Body), len(whole.CallID)+room)
				}
				o := answered(200)
				o.Agent = "Linphone/5.1"
				r.answer(o)
				n++
			}
			if n < 2 {
				t.Errorf("known %t: %d parts", known, n)
			}
			back := &mapping.XMPPMessage{From: m.To, To: m.From.Bare()}
			for id := range ids {
				back.Thread = id
				if r.talks.incoming(back, time.Now()); back.Thread != "t" {
					t.Errorf("known %t: an answer to a part is not in the thread but in %s", known, back.Thread)
				}
			}
		})
	}
}

// GW-07: after a crash the message goes on at the part that was under way, as one that may
// have arrived; what had arrived before is not said again.
func TestRestartWithinParts(t *testing.T) {
	restored(t, Limits{}, func(s *side, b *Bridge) {
		stored(t, s, b, 1, "m", "juliet@example.com/x", "romeo@sip.example.com", func(o *outbound) {
			whole := *o.message()
			whole.Body = []byte(longText)
			parts, _ := whole.Split(40, 0)
			o.parts = nil
			for _, p := range parts[1:] {
				b.ids.fill(p)
				o.parts = append(o.parts, p)
			}
			o.arrived, o.sent, o.attempts = 1, true, 1
		})
	}, func(r *running) {
		w, err := ReadRow(r.disk.rows()[0])
		if err != nil || w.Part != 2 || w.Parts != 3 || w.State != Sent {
			t.Errorf("an operator sees %+v, %v; want part 2 of 3", w, err)
		}
		r.settle()
		_, m := r.last(1)
		if !strings.HasPrefix(string(m.Body), "(2/3) ") {
			t.Fatalf("it goes on with %q", m.Body)
		}
		r.answer(answered(200))
		r.answer(answered(486))
		if got := r.texts(); got != "486 Busy Here. The first 2 of 3 parts arrived." {
			t.Errorf("told %q", got)
		}
		if got := r.kinds("m"); !strings.HasPrefix(got, "uncertain part failed") {
			t.Errorf("the trail says %s", got)
		}
	})
}

// A message that may have left before the start, and is too long for its way, has not left
// that way: it goes in parts. So does one in a message/cpim.
func TestTooLongAfterRestart(t *testing.T) {
	for _, wrapped := range []bool{false, true} {
		restored(t, Limits{}, func(s *side, b *Bridge) {
			stored(t, s, b, 1, "m", "juliet@example.com/x", "romeo@sip.example.com", func(o *outbound) {
				o.message().Body = []byte(longText)
				if wrapped {
					o.parts[0] = o.message().Wrap()
				}
				sent(o)
			})
		}, func(r *running) {
			r.settle()
			if wrapped {
				r.answer(noRoom(40))
			}
			r.answer(noRoom(40))
			if _, m := r.last(r.sent()); !strings.HasPrefix(string(m.Body), "(1/3) ") || r.errors() != "" {
				t.Errorf("wrapped %t: %q, told %q", wrapped, m.Body, r.texts())
			}
		})
	}
}

// A store that takes no rows holds up the next part, but for a while only the others for
// that destination.
func TestPartGivesUpTheSlot(t *testing.T) {
	run(t, func(r *running) {
		r.long("m", "juliet@example.com/x", "")
		r.answer(noRoom(40))
		r.text("other", "nurse@example.com/x") // its row is on the disk
		if r.sent() != 2 {
			t.Fatalf("%d requests", r.sent())
		}
		ref, _ := r.last(2)
		// Nothing is committed from here on.
		r.SIPOutcomes([]mapping.Result{{Ref: ref, Outcome: answered(200)}})
		time.Sleep(maxPartWait - time.Millisecond)
		if r.sent() != 2 {
			t.Errorf("the slot was given up after less than %v", maxPartWait)
		}
		time.Sleep(2 * time.Millisecond)
		if _, m := r.last(3); string(m.Body) != "text of other" {
			t.Fatalf("what left is %q", m.Body)
		}
		r.answer(answered(200)) // and the disk works again
		if _, m := r.last(4); !strings.HasPrefix(string(m.Body), "(2/3) ") {
			t.Fatalf("what left is %q", m.Body)
		}
		r.answer(answered(200))
		r.answer(answered(200))
		if got := r.errors(); got != "" || r.lanes.held != (held{}) || len(r.waiting) != 0 {
			t.Errorf("told %q, left %+v, %d wait", got, r.lanes.held, len(r.waiting))
		}
	})
}

// A part that still waits for its row when the daemon stops has not left, and its row says
// so at the next start; with a journal that keeps nothing its sender is told.
func TestPartWaitsWhileDraining(t *testing.T) {
	for name, volatile := range map[string]bool{"kept": false, "not kept": true} {
		run(t, func(r *running) {
			r.long("m", "juliet@example.com/x", "")
			r.answer(noRoom(40))
			r.volatile = volatile
			ref, _ := r.last(2)
			drained := make(chan error, 1)
			go func() { drained <- r.Drain(r.t.Context()) }()
			synctest.Wait()
			// Nothing is committed from here on.
			r.SIPOutcomes([]mapping.Result{{Ref: ref, Outcome: answered(200)}})
			time.Sleep(maxPartWait + time.Millisecond)
			r.settle()
			if volatile {
				if got := r.texts(); !strings.HasSuffix(got, " The first of 3 parts arrived.") || !strings.HasPrefix(got, strings.TrimSuffix(mapping.FailShutdown().Text, ".")) {
					t.Errorf("%s: told %q", name, got)
				}
				return
			}
			if err := <-drained; err != nil || r.errors() != "" {
				t.Errorf("%s: %v, told %q", name, err, r.errors())
			}
			w, err := ReadRow(r.disk.rows()[0])
			if err != nil || w.Part != 2 || w.Parts != 3 || w.State != Queued || w.Attempts != 0 || r.sent() != 2 {
				t.Errorf("%s: %d requests, and the row says %+v, %v", name, r.sent(), w, err)
			}
		})
	}
}

// queue.expire counts for all parts together: none of them is begun after it.
func TestPartsExpireTogether(t *testing.T) {
	run(t, func(r *running) {
		r.long("m", "juliet@example.com/x", "")
		r.answer(noRoom(40))
		r.answer(answered(200))
		time.Sleep(5 * time.Minute)
		r.answer(answered(200))
		if got := r.texts(); got != "There was no time left for the rest of the message. The first 2 of 3 parts arrived." || r.sent() != 3 {
			t.Errorf("%d requests, told %q", r.sent(), got)
		}
	})
}

// What is not in the journal is not sent in parts, and its sender is not told that it is
// too long: the next try may find the journal working.
func TestNoPartsWithoutJournal(t *testing.T) {
	run(t, func(r *running) {
		r.FromXMPP([]mapping.XMPP{fromXMPP("m", "juliet@example.com/x", "romeo@sip.example.com", longText)})
		r.disk.mu.Lock()
		r.disk.fault = fmt.Errorf("no space left")
		r.disk.mu.Unlock()
		r.settle()
		r.answer(noRoom(40))
		if got := r.errors(); got != "m resource-constraint" || r.sent() != 1 {
			t.Errorf("told %q after %d requests", got, r.sent())
		}
	})
}

// The operator's word ends a message between its parts, too.
func TestDropWithinParts(t *testing.T) {
	run(t, func(r *running) {
		r.long("m", "juliet@example.com/x", "")
		r.answer(noRoom(40))
		r.answer(answered(200))
		row := r.disk.rows()[0]
		if err := r.Drop(row.ID); err != ErrUnderWay {
			t.Errorf("dropped under way: %v", err)
		}
		r.answer(answered(503))
		if err := r.Drop(row.ID); err != nil {
			t.Fatal(err)
		}
		if got := r.texts(); got != "The message was dropped by the operator of the gateway. The first of 3 parts arrived." {
			t.Errorf("told %q", got)
		}
		stopped, err := DropRow(row, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if w, err := ReadRow(stopped); err != nil || !strings.HasSuffix(w.Problem, "The first of 3 parts arrived.") || w.Parts != 0 {
			t.Errorf("of a stopped daemon: %+v, %v", w, err)
		}
	})
}
