package bridge

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// refusedType is a 415 that says what would be accepted.
func refusedType(accept string) mapping.Outcome {
	o := answered(415)
	o.Accept = accept
	return o
}

// rich sends a message that says more than text/plain can: a subject in another language.
func (r *running) rich(id string) {
	m := fromXMPP(id, "juliet@example.com/x", "romeo@sip.example.com", "text of "+id)
	m.Lang = "en"
	m.Subjects = []mapping.Text{{Lang: "fr", Value: "Bonjour"}, {Lang: "en", Value: "Hello"}}
	r.FromXMPP([]mapping.XMPP{m})
	r.settle()
}

// form is the media type of a request, without its parameters.
func form(m *mapping.SIPMessage) string {
	s, _, _ := strings.Cut(m.ContentType, ";")
	return s
}

// IM-06, RFC 3261 §21.4.13: who takes no text/plain but message/cpim gets that, as a new
// request of the same conversation, and from then on at once, until it is to be learned anew.
func TestOtherFormAfter415(t *testing.T) {
	run(t, func(r *running) {
		r.text("a", "juliet@example.com/x")
		_, first := r.last(1)
		r.answer(refusedType("Message/CPIM, text/html"))
		r.settle()
		_, second := r.last(2)
		if form(first) != typePlain || form(second) != typeCPIM {
			t.Errorf("sent as %s, then as %s", first.ContentType, second.ContentType)
		}
		if second.CallID != first.CallID || second.FromTag != first.FromTag || second.CSeq != first.CSeq+1 {
			t.Errorf("%s %s %d after %s %s %d", second.CallID, second.FromTag, second.CSeq, first.CallID, first.FromTag, first.CSeq)
		}
		r.answer(answered(200))
		r.text("b", "nurse@example.com/x")
		if _, m := r.last(3); form(m) != typeCPIM {
			t.Errorf("the next one was sent as %s", m.ContentType)
		}
		r.answer(answered(200))
		time.Sleep(formatsFor)
		r.text("c", "juliet@example.com/x")
		if _, m := r.last(4); form(m) != typePlain {
			t.Errorf("a day later it was sent as %s", m.ContentType)
		}
		r.answer(answered(200))
		if got := r.errors(); got != "" {
			t.Errorf("told: %s", got)
		}
	})
}

// What was learned about one form ends when its time is over, also if the other one is
// heard of again and again.
func TestFormsAreForgottenOneByOne(t *testing.T) {
	f, c := newFormats(), romeo
	f.noteAccept(c, typeCPIM, then)
	at := then
	for range 3 {
		at = at.Add(formatsFor / 2)
		f.learn(c, &mapping.SIPMessage{ContentType: typeCPIM}, answered(200), at)
	}
	if is := f.known(c, at); is.plain.is != 0 || is.cpim.is != 1 {
		t.Errorf("a day and a half later: plain %d, CPIM %d", is.plain.is, is.cpim.is)
	}
}

// A 415 that the other form would not cure is the end, told once.
func TestNoOtherForm(t *testing.T) {
	for _, accept := range []string{"", "text/plain", "text/plain, message/cpim", "image/png", "message/cpim;q=0"} {
		run(t, func(r *running) {
			r.text("a", "juliet@example.com/x")
			r.answer(refusedType(accept))
			r.settle()
			r.last(1)
			if got := r.errors(); strings.Count(got, "not-acceptable") != 1 {
				t.Errorf("Accept %q: told %q", accept, got)
			}
		})
	}
}

// A message that says more than text/plain can has the contact asked, and goes as
// message/cpim to those who take it. A 415 to that has it sent as text/plain, once.
func TestCPIMIfKnown(t *testing.T) {
	for name, c := range map[string]struct {
		learn func(r *running, ask any)
		want  string
	}{
		"it says so": {func(r *running, ask any) {
			o := answered(200)
			o.Accept = "text/plain, message/cpim"
			r.SIPOutcomes([]mapping.Result{{Ref: ask, Outcome: o}})
		}, typeCPIM},
		"it says that it does not": {func(r *running, ask any) {
			o := answered(200)
			o.Accept = "text/plain"
			r.SIPOutcomes([]mapping.Result{{Ref: ask, Outcome: o}})
		}, typePlain},
		"it does not say": {func(r *running, ask any) {
			r.SIPOutcomes([]mapping.Result{{Ref: ask, Outcome: answered(200)}})
		}, typePlain},
		"no answer": {func(r *running, ask any) {
			r.SIPOutcomes([]mapping.Result{{Ref: ask, Outcome: timeout()}})
		}, typePlain},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(r *running) {
				r.rich("a")
				r.side.mu.Lock()
				var ask any
				for _, p := range r.requests {
					if q, ok := p.Value.(*mapping.SIPQuery); ok {
						if ask != nil || q.RequestURI.String() != "sip:romeo@pbx.example.net" || q.CallID == "" || q.FromTag == "" || q.CSeq == 0 {
							t.Errorf("asked %+v", q)
						}
						ask = p.Ref
					} else if m := p.Value.(*mapping.SIPMessage); form(m) != typePlain || m.Subject != "Hello" {
						t.Errorf("sent as %s, subject %q", m.ContentType, m.Subject)
					}
				}
				message := r.requests[len(r.requests)-1].Ref
				if ask == message {
					message = r.requests[0].Ref
				}
				r.side.mu.Unlock()
				if ask == nil {
					r.t.Fatal("nobody was asked")
				}
				c.learn(r, ask)
				r.SIPOutcomes([]mapping.Result{{Ref: message, Outcome: answered(200)}})
				r.rich("b")
				_, m := r.last(3) // and nobody is asked again
				if form(m) != c.want {
					t.Errorf("the next one was sent as %s, want %s", m.ContentType, c.want)
				}
				r.answer(answered(200))
				r.text("c", "juliet@example.com/x")
				if _, m := r.last(4); form(m) != typePlain {
					t.Errorf("a plain one was sent as %s", m.ContentType)
				}
			})
		})
	}
}

// What a contact sends it can read; a 415 or a message that gets too long with all its
// headers has it in the plain form, once.
func TestPlainAfterCPIM(t *testing.T) {
	long := mapping.Outcome{Kind: mapping.NotWritten, Failure: mapping.FailTooLarge(1300)}
	for name, c := range map[string]struct {
		first, second mapping.Outcome
		requests      int
		told          int
	}{
		"415 without Accept": {answered(415), answered(200), 2, 0},
		"415 with Accept":    {refusedType("text/plain"), answered(200), 2, 0},
		"415 twice":          {refusedType("text/plain"), refusedType("message/cpim"), 2, 1},
		"415 to both":        {refusedType("image/png"), mapping.Outcome{}, 1, 1},
		"488":                {answered(488), answered(200), 2, 0},
		"488 to both":        {answered(488), answered(488), 2, 1},
		"too long":           {long, answered(200), 2, 0},
		"too long twice":     {long, long, 2, 1},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(r *running) {
				r.formats.wrote(mapping.MustParseJID("romeo@sip.example.com/desk"), &mapping.SIPMessage{ContentType: "Message/CPIM;x=y"}, time.Now())
				r.rich("a")
				if _, m := r.last(1); form(m) != typeCPIM {
					r.t.Fatalf("sent as %s", m.ContentType)
				}
				r.answer(c.first)
				r.settle()
				if _, m := r.last(c.requests); c.requests == 2 {
					if form(m) != typePlain || string(m.Body) != "text of a" {
						t.Errorf("then sent as %s %q", m.ContentType, m.Body)
					}
					r.answer(c.second)
					r.settle()
				}
				r.last(c.requests)
				if got := r.told(); got != c.told {
					t.Errorf("%d errors: %s", got, r.errors())
				}
			})
		})
	}
}

// IM-59: a request of which a copy may have arrived is not changed any more.
func TestAmbiguousKeepsItsForm(t *testing.T) {
	run(t, func(r *running) {
		r.text("a", "juliet@example.com/x")
		r.answer(timeout())
		r.settle()
		r.last(2)
		r.answer(refusedType("message/cpim"))
		r.settle()
		r.last(2)
		if got := r.told(); got != 1 || !strings.Contains(r.errors(), "not-acceptable") {
			t.Errorf("%d errors: %s", got, r.errors())
		}
	})
}

// What is remembered of contacts is bounded, as is the number of open questions.
func TestFormatsAreBounded(t *testing.T) {
	f := newFormats()
	asked := 0
	for i := range 3 * maxFormats {
		c := mapping.MustParseJID(fmt.Sprintf("u%d@sip.example.com", i))
		if f.ask(c, then) {
			asked++
		}
		f.note(c, 0, 1, then)
	}
	if n := len(f.young) + len(f.old); n > 2*maxFormats+1 || asked != maxQueries {
		t.Errorf("%d contacts, %d questions", n, asked)
	}
}

// threaded sends a message of a thread.
func (r *running) threaded(id, from, thread string) {
	m := fromXMPP(id, from, "romeo@sip.example.com", "text of "+id)
	m.Thread = thread
	r.FromXMPP([]mapping.XMPP{m})
	r.settle()
}

// There are user agents that take a second request with the same Call-ID for a repeat,
// answer 200 and show nothing. As soon as the first answer says who it is, everything to
// it has a Call-ID of its own, also what waits already, and each leads back to its thread.
func TestOwnCallIDs(t *testing.T) {
	linphone := answered(200)
	linphone.Agent = "LinphoneiOS/5.2.2 (iPhone) LinphoneSDK/5.3.47 (belle-sip)"
	run(t, func(r *running) {
		seen := make(map[string]bool)
		for i, from := range []string{"juliet@example.com/x", "nurse@example.com/x", "juliet@example.com/x"} {
			r.threaded(fmt.Sprint("waiting", i), from, "thread-1")
		}
		for n := 1; n <= 5; n++ {
			if n == 3 {
				r.threaded("later", "juliet@example.com/x", "thread-1")
				r.threaded("illegal", "juliet@example.com/x", "thread 2")
			}
			_, m := r.last(n)
			if seen[m.CallID] || !mapping.ValidCallID(m.CallID) {
				t.Errorf("request %d has the Call-ID %q", n, m.CallID)
			}
			seen[m.CallID] = true
			want := "thread-1"
			if string(m.Body) == "text of illegal" {
				want = "thread 2"
			}
			user, _, _ := strings.Cut(strings.TrimPrefix(m.From.String(), "sip:"), ";")
			back := &mapping.XMPPMessage{From: mapping.MustParseJID("romeo@sip.example.com"), To: mapping.MustParseJID(user), Thread: m.CallID}
			if r.talks.incoming(back, time.Now()); back.Thread != want {
				t.Errorf("request %d: an answer to it is in the thread %q, want %q", n, back.Thread, want)
			}
			r.answer(linphone)
			r.settle()
		}
		if got := r.errors(); got != "" {
			t.Errorf("told: %s", got)
		}
	})
}

// The same for a message that was being read when the first answer came.
func TestOwnCallIDsOfWhatIsRead(t *testing.T) {
	b, s := newBridge(t)
	linphone := answered(200)
	linphone.Agent = "Linphone"
	hello := func(id string) *mapping.XMPPMessage {
		m := fromXMPP(id, "juliet@example.com/x", "romeo@sip.example.com", "hi")
		m.Thread = "thread-1"
		return m
	}
	b.FromXMPP([]mapping.XMPP{hello("a")})
	known := b.formats.owners.Load()
	out := work{now: time.Now()}
	o := b.takeXMPP(&out, b.policy.Load(), hello("b"))
	b.SIPOutcomes([]mapping.Result{{Ref: s.requests[0].Ref, Outcome: linphone}})
	b.mu.Lock()
	b.enqueue(&out, []*outbound{o}, known)
	b.unlock(&out)
	if got := s.requests[1].Value.(*mapping.SIPMessage).CallID; got == "thread-1" {
		t.Errorf("the second request has the Call-ID of the first, %q", got)
	}
	back := &mapping.XMPPMessage{From: romeo, To: juliet, Thread: o.callID()}
	if b.talks.incoming(back, time.Now()); back.Thread != "thread-1" {
		t.Errorf("an answer to it is in the thread %q", back.Thread)
	}
}

// The same for what waits in the store only, as it does after a restart or while the
// phone is away; but not for what may have left.
func TestOwnCallIDsOfTheStored(t *testing.T) {
	linphone := answered(200)
	linphone.Agent = "Linphone"
	const n = 4
	restored(t, Limits{}, func(s *side, b *Bridge) {
		for i := range uint64(n) {
			stored(t, s, b, 1+i, fmt.Sprint(i), "juliet@example.com/x", "romeo@sip.example.com", func(o *outbound) {
				o.message().CallID = "thread-1"
				if i == n-1 {
					sent(o)
				}
			})
		}
	}, func(r *running) {
		seen := make(map[string]bool)
		for i := 1; i <= n; i++ {
			r.settle()
			_, m := r.last(i)
			if i < n && seen[m.CallID] || i == n && m.CallID != "thread-1" {
				t.Errorf("request %d has the Call-ID %q", i, m.CallID)
			}
			seen[m.CallID] = true
			r.answer(linphone)
		}
		if rows := r.disk.rows(); len(rows) != 0 {
			t.Errorf("%d rows are left", len(rows))
		}
	})
}

func TestNeedsOwnCallID(t *testing.T) {
	for agent, want := range map[string]bool{
		"": false, "linphon": false, "Asterisk PBX 20.6.0": false, "Line phone/1": false,
		"LinphoneiOS/5.2.2 (iPhone) LinphoneSDK/5.3.47": true, "Phone (belle-sip/5.1)": true, "LINPHONE": true, "x Belle-SIP": true,
	} {
		if needsOwnCallID(agent) != want {
			t.Errorf("%q: %t", agent, !want)
		}
	}
	if n := testing.AllocsPerRun(1, func() { needsOwnCallID("Asterisk PBX 20.6.0") }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// The same where it has written before it is written to.
func TestOwnCallIDsOfWhoWrote(t *testing.T) {
	b, s := newBridge(t)
	m := fromSIP("c1", "sip:romeo@pbx.example.net", "sip:juliet@example.com", "hello")
	m.Agent = "Linphone-CLI/5.1.65 (belle-sip/5.1.65)"
	b.FromSIP([]mapping.Parcel[mapping.SIP]{{Ref: 1, Value: m}})
	first, second := sentCallID(t, b, s, "a", "c1"), sentCallID(t, b, s, "b", "c1")
	if first == second || first == "c1" || second == "c1" {
		t.Errorf("Call-IDs %q and %q", first, second)
	}
}

// IM-06: a repeat of what may have arrived keeps its Call-ID, whoever answers.
func TestRepeatKeepsItsCallID(t *testing.T) {
	linphone := answered(200)
	linphone.Agent = "Linphone"
	run(t, func(r *running) {
		r.threaded("a", "juliet@example.com/x", "thread-1")
		r.threaded("b", "nurse@example.com/x", "thread-1")
		r.answer(timeout())
		r.settle()
		for n := 2; n <= 3; n++ { // the repeat, and the other one, whichever comes first
			_, m := r.last(n)
			if repeat := string(m.Body) == "text of a"; repeat && m.CallID != "thread-1" || !repeat && n == 3 && m.CallID == "thread-1" {
				t.Errorf("request %d, %s, has the Call-ID %q", n, m.Body, m.CallID)
			}
			r.answer(linphone)
			r.settle()
		}
	})
}

// Of addresses that nobody has nothing is kept, since each would take the room of many, and
// none is asked again and again for want of a place to note it.
func TestLongAddressesAreNotRemembered(t *testing.T) {
	long := mapping.MustParseJID(strings.Repeat("u", maxAddress) + "@sip.example.com")
	f := newFormats()
	if f.ask(long, then) {
		t.Error("asked, with no place to note it")
	}
	f.note(long, -1, 1, then)
	f.noteOwnCallID(long, then)
	c := newTalks()
	id := c.callID(juliet, long, "a thread", false, then)
	if id != c.callID(juliet, long, "a thread", false, then) || id == c.another(juliet, long, id, then) {
		t.Error("a thread has two Call-IDs, or another one is the same")
	}
	c.told(juliet, long, "Long", then)
	c.told(long, juliet, "Juliet", then)
	device, err := romeo.WithResource(strings.Repeat("d", maxDeviceLen+1))
	if err != nil {
		t.Fatal(err)
	}
	c.incoming(&mapping.XMPPMessage{From: device, To: juliet}, then)
	if len(f.young) != 0 || len(c.young) != 0 || c.n != 0 {
		t.Errorf("remembered: %v, %v", f.young, c.young)
	}
}

// Linphone tells of every text by a message/imdn+xml of its own that names the Call-ID, and
// shows one message of a Call-ID: after the first of these each message has its own, also
// within a thread, and a thread comes back in answers to any of them. One in a message/cpim
// names an id that is nothing to do with the Call-ID.
func TestOwnCallIDsOfWhoNotifies(t *testing.T) {
	for _, c := range []struct {
		notification string
		alone        bool
	}{{"message/imdn+xml", true}, {"Message/IMDN+XML;charset=utf-8", true}, {"message/cpim", false}, {"text/plain", false}} {
		for _, name := range []string{"legal-thread", "no Call-ID; é"} {
			b, s := newBridge(t)
			first := sentCallID(t, b, s, "a", name)
			if again := sentCallID(t, b, s, "b", name); again != first {
				t.Errorf("%s: a thread became %q and %q", name, first, again)
			}
			m := fromSIP("n1", "sip:romeo@pbx.example.net;gr=x", "sip:juliet@example.com", "From: <im:a@b>\r\n\r\nContent-Type: message/imdn+xml\r\n\r\n<imdn/>")
			m.ContentType = c.notification
			b.FromSIP([]mapping.Parcel[mapping.SIP]{{Ref: "n1", Value: m}})
			seen := map[string]bool{first: true}
			for i := range 3 {
				id := sentCallID(t, b, s, fmt.Sprint("c", i), name)
				if seen[id] == c.alone || !mapping.ValidCallID(id) {
					t.Errorf("%s, %s: message %d has the Call-ID %q after %v", c.notification, name, i, id, seen)
				}
				seen[id] = true
			}
			for id := range seen {
				n := len(s.stanzas)
				b.FromSIP([]mapping.Parcel[mapping.SIP]{{Ref: id, Value: fromSIP(id, "sip:romeo@pbx.example.net", "sip:juliet@example.com", "hello")}})
				if got := s.stanzas[n].Value.(*mapping.XMPPMessage).Thread; got != name {
					t.Errorf("%s: the answer to %q has the thread %q, want %q", c.notification, id, got, name)
				}
			}
		}
	}
}

// A telephone number gets text/plain whatever there is to say and whatever it has said of
// itself, and is never asked.
func TestNumbersGetText(t *testing.T) {
	run(t, func(r *running) {
		const number = "+15551234567@sip.example.com"
		r.formats.noteAccept(mapping.MustParseJID(number), typeCPIM, time.Now())
		m := fromXMPP("a", "juliet@example.com/x", number, "text of a")
		m.Lang = "en"
		m.Subjects = []mapping.Text{{Lang: "fr", Value: "Bonjour"}, {Lang: "en", Value: "Hello"}}
		r.FromXMPP([]mapping.XMPP{m})
		r.settle()
		_, sent := r.last(1)
		if form(sent) != typePlain || !sent.RequestURI.Phone || sent.Subject != "Hello" {
			t.Errorf("sent to %s as %s, subject %q", sent.RequestURI, sent.ContentType, sent.Subject)
		}
		r.answer(refusedType(typeCPIM))
		r.settle()
		r.last(1)
		if got := r.errors(); strings.Count(got, "not-acceptable") != 1 {
			t.Errorf("told %q", got)
		}
	})
}
