package bridge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// side is a fake of either side: it keeps what it is given.
type side struct {
	mu        sync.Mutex
	requests  []mapping.Parcel[mapping.SIP]
	answers   []mapping.Result
	stanzas   []mapping.Parcel[mapping.XMPP]
	handed    []string // to Presences
	overheard []string // the same, to the gateway itself
	journal   *journalFake
	serial    int // of messages that write made
}

type sipFake struct{ *side }
type xmppFake struct{ *side }

func (s sipFake) Deliver(b []mapping.Parcel[mapping.SIP]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, b...)
}
func (s sipFake) Answer(b []mapping.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers = append(s.answers, b...)
}
func (s xmppFake) Up() bool { return true }
func (s xmppFake) Deliver(b []mapping.Parcel[mapping.XMPP]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stanzas = append(s.stanzas, b...)
}

func newBridge(t *testing.T) (*Bridge, *side) {
	t.Helper()
	rules, err := mapping.NewRules(mapping.RulesConfig{
		GatewayDomain:    "sip.example.com",
		SIPHost:          "sip.example.com",
		UserDomains:      []string{"example.com"},
		DefaultSIPDomain: "pbx.example.net",
	})
	if err != nil {
		t.Fatal(err)
	}
	access, err := mapping.NewAccess([]string{"example.com"})
	if err != nil {
		t.Fatal(err)
	}
	s := &side{journal: newJournalFake()}
	s.journal.b = New(xmppFake{s}, sipFake{s}, s.journal, Options{
		Policy: Policy{Rules: rules, Access: access},
		Secret: []byte("secret"),
		Limits: Limits{FIFO: 2},
		Now:    time.Unix(1_700_000_000, 0),
		Full:   func(err error) bool { return errors.Is(err, errFull) },
	}, slog.New(slog.DiscardHandler))
	return s.journal.b, s
}

func fromXMPP(id, from, to, body string) *mapping.XMPPMessage {
	return &mapping.XMPPMessage{ID: id, From: mapping.MustParseJID(from), To: mapping.MustParseJID(to), Bodies: []mapping.Text{{Value: body}}}
}

// key is the identity of a request to that user.
func (g *ids) key(m *mapping.SIPMessage, to mapping.JID) stanzaKey {
	return g.identity(m, m.From.String(), to)
}

func fromSIP(callID, from, to, body string) *mapping.SIPMessage {
	u := mapping.MustParseURI(to)
	return &mapping.SIPMessage{RequestURI: u, To: u, From: mapping.MustParseURI(from), CallID: callID, FromTag: "t1", CSeq: 1,
		ContentType: "text/plain", Body: []byte(body)}
}

func answered(status int) mapping.Outcome {
	o := mapping.Outcome{Kind: mapping.Answered, Status: status}
	if status >= 300 {
		o.Failure = mapping.FailureFromStatus(status, "", 0, nil)
	}
	return o
}

// IM-01, IM-06, IM-09, IM-58: one request at a time to one destination, each
// with identifiers of its own.
func TestXMPPToSIP(t *testing.T) {
	b, s := newBridge(t)
	b.FromXMPP([]mapping.XMPP{
		fromXMPP("a", "juliet@example.com/x", "romeo@sip.example.com", "one"),
		fromXMPP("b", "juliet@example.com/x", "romeo@sip.example.com", "two"),
		fromXMPP("c", "juliet@example.com/x", "mercutio@sip.example.com", "three"),
	})
	if len(s.requests) != 2 {
		t.Fatalf("%d requests left at once, want 2: one for each destination", len(s.requests))
	}
	first := s.requests[0].Value.(*mapping.SIPMessage)
	if first.RequestURI.String() != "sip:romeo@pbx.example.net" || string(first.Body) != "one" {
		t.Errorf("first request: %s %q", first.RequestURI, first.Body)
	}
	if first.CallID == "" || len(first.FromTag) < 8 || first.CSeq == 0 {
		t.Errorf("identifiers not filled in: %q %q %d", first.CallID, first.FromTag, first.CSeq)
	}
	s.journal.commit()
	b.SIPOutcomes([]mapping.Result{{Ref: s.requests[0].Ref, Outcome: answered(200)}})
	if len(s.requests) != 3 {
		t.Fatalf("%d requests after the first answer, want 3", len(s.requests))
	}
	second := s.requests[2].Value.(*mapping.SIPMessage)
	if string(second.Body) != "two" || second.FromTag == first.FromTag || second.CSeq <= first.CSeq {
		t.Errorf("second request: body %q tag %q cseq %d after tag %q cseq %d", second.Body, second.FromTag, second.CSeq, first.FromTag, first.CSeq)
	}
	if len(s.stanzas) != 0 {
		t.Errorf("a delivered message said something to its sender: %v", s.stanzas)
	}
}

// ERR-11, IM-60: exactly one error stanza, from the address written to, with the
// id of the message; SEC-13: who may not send learns only that.
func TestXMPPToSIPFailures(t *testing.T) {
	for _, c := range []struct {
		name, from, to string
		outcome        mapping.Outcome
		condition      mapping.Condition
	}{
		{"404", "juliet@example.com/x", "romeo@sip.example.com", answered(404), "item-not-found"},
		{"486", "juliet@example.com/x", "romeo@sip.example.com", answered(486), "recipient-unavailable"},
		{"no such domain", "juliet@example.com/x", "romeo@sip.example.com", mapping.Outcome{Kind: mapping.NotWritten, Failure: mapping.FailDNS()}, "remote-server-not-found"},
		{"stranger", "eve@evil.example/x", "romeo@sip.example.com", mapping.Outcome{}, "forbidden"},
		{"stranger, bad address", "eve@evil.example/x", `romeo\40@sip.example.com`, mapping.Outcome{}, "forbidden"},
		{"bad address", "juliet@example.com/x", `romeo\40@sip.example.com`, mapping.Outcome{}, "jid-malformed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, s := newBridge(t)
			b.FromXMPP([]mapping.XMPP{fromXMPP("m1", c.from, c.to, "hello")})
			if c.outcome.Kind != 0 {
				b.SIPOutcomes([]mapping.Result{{Ref: s.requests[0].Ref, Outcome: c.outcome}})
			} else if len(s.requests) != 0 {
				t.Fatalf("a refused message left")
			}
			if len(s.stanzas) != 1 {
				t.Fatalf("%d stanzas to the sender, want 1", len(s.stanzas))
			}
			e := s.stanzas[0].Value.(*mapping.XMPPError)
			if e.ID != "m1" || e.From.String() != c.to || e.To.String() != c.from || e.Failure.Condition != c.condition {
				t.Errorf("error stanza id=%s from=%s to=%s condition=%s, want m1 %s %s %s", e.ID, e.From, e.To, e.Failure.Condition, c.to, c.from, c.condition)
			}
		})
	}
}

// GW-35, EL-006: a full queue refuses with a condition that says wait.
func TestXMPPToSIPQueueFull(t *testing.T) {
	b, s := newBridge(t)
	var batch []mapping.XMPP
	for i := range 4 { // one open, two waiting, one too many
		batch = append(batch, fromXMPP(fmt.Sprint(i), "juliet@example.com/x", "romeo@sip.example.com", "hello"))
	}
	b.FromXMPP(batch)
	if len(s.stanzas) != 1 {
		t.Fatalf("%d refusals, want 1", len(s.stanzas))
	}
	e := s.stanzas[0].Value.(*mapping.XMPPError)
	if e.ID != "3" || e.Failure.Condition != "resource-constraint" || e.Failure.Type != mapping.TypeWait {
		t.Errorf("refusal id=%s %s %s, want 3 resource-constraint wait", e.ID, e.Failure.Condition, e.Failure.Type)
	}
}

// IM-10, IM-12, IM-16, IM-56: the outcome on the XMPP side is the answer.
func TestSIPToXMPP(t *testing.T) {
	b, s := newBridge(t)
	b.FromSIP([]mapping.Parcel[mapping.SIP]{{Ref: "tx1", Value: fromSIP("c1", "sip:romeo@pbx.example.net", "sip:juliet@example.com", "hi")}})
	if len(s.stanzas) != 1 || len(s.answers) != 0 {
		t.Fatalf("%d stanzas, %d answers; want one stanza and no answer before its outcome", len(s.stanzas), len(s.answers))
	}
	m := s.stanzas[0].Value.(*mapping.XMPPMessage)
	if m.From.String() != "romeo@sip.example.com" || m.To.String() != "juliet@example.com" || m.ID == "" || m.Thread != "c1" {
		t.Errorf("stanza from=%s to=%s id=%q thread=%q", m.From, m.To, m.ID, m.Thread)
	}
	bounce := &mapping.Failure{Status: 480, Condition: "service-unavailable", Type: mapping.TypeCancel}
	b.XMPPOutcomes([]mapping.Result{{Ref: s.stanzas[0].Ref, Outcome: mapping.Outcome{Kind: mapping.Bounced, Failure: bounce}}})
	if len(s.answers) != 1 || s.answers[0].Ref != "tx1" || s.answers[0].Outcome.Failure != bounce {
		t.Errorf("answers %+v, want the bounce for tx1", s.answers)
	}
}

// ADDR-12, SEC-13, SEC-28: what is refused is answered at once and reaches nobody.
func TestSIPToXMPPRefused(t *testing.T) {
	for _, c := range []struct {
		name, from, to, body string
		status               int
	}{
		{"foreign domain", "sip:romeo@pbx.example.net", "sip:juliet@not-ours.example", "hi", 404},
		{"a user who may not be reached", "sip:romeo@pbx.example.net", "sip:eve%40evil.example@sip.example.com", "hi", 403},
		{"spoofed", "sip:romeo@example.com", "sip:juliet@example.com", "hi", 403},
		{"bad UTF-8", "sip:romeo@pbx.example.net", "sip:juliet@example.com", "\xff", 400},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, s := newBridge(t)
			b.FromSIP([]mapping.Parcel[mapping.SIP]{{Ref: 1, Value: fromSIP("c1", c.from, c.to, c.body)}})
			if len(s.stanzas) != 0 || len(s.answers) != 1 {
				t.Fatalf("%d stanzas, %d answers; want 0 and 1", len(s.stanzas), len(s.answers))
			}
			if got, _ := s.answers[0].Outcome.Final(200); got != c.status {
				t.Errorf("status %d, want %d", got, c.status)
			}
		})
	}
	t.Run("empty body", func(t *testing.T) {
		b, s := newBridge(t)
		b.FromSIP([]mapping.Parcel[mapping.SIP]{{Ref: 1, Value: fromSIP("c1", "sip:romeo@pbx.example.net", "sip:juliet@example.com", "")}})
		if len(s.stanzas) != 0 || len(s.answers) != 1 || s.answers[0].Outcome.Kind != mapping.Processed {
			t.Errorf("%d stanzas, answers %+v; want nothing delivered and a 200", len(s.stanzas), s.answers)
		}
	})
}

// IM-13, IM-57: the id is made from the request's identity and from nothing
// else, and cannot be made without the secret.
func TestStanzaID(t *testing.T) {
	juliet := mapping.MustParseJID("juliet@example.com")
	base := func() *mapping.SIPMessage {
		return fromSIP("c1", "sip:romeo@pbx.example.net", "sip:juliet@example.com", "hi")
	}
	g, other := newIDs([]byte("secret"), time.Time{}), newIDs([]byte("other"), time.Time{})
	want := stanzaID(g.key(base(), juliet))
	same := base()
	same.Body, same.Subject = []byte("other text"), "other"
	if got := stanzaID(g.key(same, juliet)); got != want {
		t.Errorf("a repeat has another id: %s, %s", got, want)
	}
	written := base().From
	same.From, same.Written = mapping.MustParseURI("sip:+15551234567@trunk.example"), &written
	if got := stanzaID(g.key(same, juliet)); got != want {
		t.Errorf("a repeat whose path asserts another identity has another id: %s, %s", got, want)
	}
	if got := stanzaID(newIDs([]byte("secret"), time.Unix(5, 0)).key(base(), juliet)); got != want {
		t.Errorf("another start has another id: %s, %s", got, want)
	}
	if stanzaID(other.key(base(), juliet)) == want {
		t.Error("the id does not depend on the secret")
	}
	for name, change := range map[string]func(*mapping.SIPMessage){
		"Call-ID":  func(m *mapping.SIPMessage) { m.CallID = "c2" },
		"CSeq":     func(m *mapping.SIPMessage) { m.CSeq = 2 },
		"From tag": func(m *mapping.SIPMessage) { m.FromTag = "t2" },
		"From":     func(m *mapping.SIPMessage) { m.From = mapping.MustParseURI("sip:r@pbx.example.net") },
		"shifted":  func(m *mapping.SIPMessage) { m.CallID, m.FromTag = "c1t", "1" },
	} {
		m := base()
		change(m)
		if stanzaID(g.key(m, juliet)) == want {
			t.Errorf("%s is not part of the identity", name)
		}
	}
	if stanzaID(g.key(base(), mapping.MustParseJID("romeo@example.com"))) == want {
		t.Error("the mapped Request-URI is not part of the identity")
	}
}

func TestDrain(t *testing.T) {
	t.Run("waits for what is open", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b, s := newBridge(t)
			b.FromXMPP([]mapping.XMPP{fromXMPP("a", "juliet@example.com/x", "romeo@sip.example.com", "one")})
			b.FromSIP([]mapping.Parcel[mapping.SIP]{{Ref: 1, Value: fromSIP("c1", "sip:romeo@pbx.example.net", "sip:juliet@example.com", "hi")}})
			done := make(chan error, 1)
			go func() { done <- b.Drain(context.Background()) }()
			synctest.Wait()
			b.SIPOutcomes([]mapping.Result{{Ref: s.requests[0].Ref, Outcome: answered(404)}})
			synctest.Wait()
			b.XMPPOutcomes([]mapping.Result{{Ref: s.stanzas[0].Ref, Outcome: mapping.Outcome{Kind: mapping.Processed}}})
			synctest.Wait()
			select {
			case <-done:
				t.Fatal("Drain did not wait for the error stanza")
			default:
			}
			b.XMPPOutcomes([]mapping.Result{{Ref: s.stanzas[1].Ref, Outcome: mapping.Outcome{Kind: mapping.Processed}}})
			if err := <-done; err != nil {
				t.Errorf("Drain: %v", err)
			}
		})
	})
	t.Run("is not held up by what it refuses", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b, s := newBridge(t)
			b.FromXMPP([]mapping.XMPP{fromXMPP("a", "juliet@example.com/x", "romeo@sip.example.com", "one")})
			done := make(chan error, 1)
			go func() { done <- b.Drain(context.Background()) }()
			synctest.Wait()
			b.FromXMPP([]mapping.XMPP{fromXMPP("b", "juliet@example.com/x", "romeo@sip.example.com", "two")})
			b.SIPOutcomes([]mapping.Result{{Ref: s.requests[0].Ref, Outcome: answered(200)}})
			synctest.Wait()
			select {
			case err := <-done:
				if err != nil {
					t.Errorf("Drain: %v", err)
				}
			default:
				t.Fatal("Drain waits for the refusal of a message that came after it began")
			}
			if len(s.stanzas) != 1 {
				t.Fatalf("%d errors, want 1", len(s.stanzas))
			}
			b.XMPPOutcomes([]mapping.Result{{Ref: s.stanzas[0].Ref, Outcome: mapping.Outcome{Kind: mapping.Unknown}}})
			if b.reports.open != 0 {
				t.Errorf("%d reports are open", b.reports.open)
			}
		})
	})
	t.Run("leaves what waits to the journal", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b, s := newBridge(t)
			b.FromXMPP([]mapping.XMPP{
				fromXMPP("a", "juliet@example.com/x", "romeo@sip.example.com", "one"),
				fromXMPP("b", "juliet@example.com/x", "romeo@sip.example.com", "two"),
			})
			s.journal.commit()
			done := make(chan error, 1)
			go func() { done <- b.Drain(context.Background()) }()
			synctest.Wait()
			b.SIPOutcomes([]mapping.Result{{Ref: s.requests[0].Ref, Outcome: answered(200)}})
			if err := <-done; err != nil {
				t.Errorf("Drain: %v", err)
			}
			b.Seal()
			b.FromXMPP([]mapping.XMPP{fromXMPP("c", "juliet@example.com/x", "carol@sip.example.com", "three")})
			s.journal.commit()
			var left []string
			for _, r := range s.journal.rows() {
				w, err := ReadRow(r)
				if err != nil {
					t.Fatal(err)
				}
				left = append(left, w.Stanza)
			}
			if fmt.Sprint(left) != "[b c]" || len(s.requests) != 1 || len(s.stanzas) != 0 {
				t.Errorf("left in the journal: %v, %d requests, %d errors; want [b c], 1 and 0", left, len(s.requests), len(s.stanzas))
			}
		})
	})
	t.Run("refuses what is new and reports what would be lost", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b, s := newBridge(t)
			b.volatile = true
			b.FromXMPP([]mapping.XMPP{
				fromXMPP("a", "juliet@example.com/x", "romeo@sip.example.com", "one"),
				fromXMPP("b", "juliet@example.com/x", "romeo@sip.example.com", "two"),
			})
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			done := make(chan error, 1)
			go func() { done <- b.Drain(ctx) }()
			synctest.Wait()
			b.FromXMPP([]mapping.XMPP{fromXMPP("c", "juliet@example.com/x", "carol@sip.example.com", "three")})
			b.FromSIP([]mapping.Parcel[mapping.SIP]{{Ref: 1, Value: fromSIP("c1", "sip:romeo@pbx.example.net", "sip:juliet@example.com", "hi")}})
			if err := <-done; !errors.Is(err, ErrDrain) {
				t.Errorf("Drain: %v, want ErrDrain", err)
			}
			var ids []string
			for _, p := range s.stanzas {
				ids = append(ids, p.Value.(*mapping.XMPPError).ID)
			}
			if fmt.Sprint(ids) != "[b c]" || len(s.requests) != 1 {
				t.Errorf("errors for %v and %d requests, want [b c] and 1", ids, len(s.requests))
			}
			if got, _ := s.answers[0].Outcome.Final(200); got != 503 {
				t.Errorf("a request while stopping got %d, want 503", got)
			}
		})
	})
}

// A failed hand-over is never silent: 10,000 messages each way, every one with
// exactly one end.
func TestEveryMessageEndsOnce(t *testing.T) {
	b, s := newBridge(t)
	const n = 10_000
	answerAll := func() {
		s.journal.commit()
		open := s.requests
		s.requests = nil
		for _, p := range open {
			b.SIPOutcomes([]mapping.Result{{Ref: p.Ref, Outcome: answered(404)}})
		}
	}
	for i := range n {
		b.FromXMPP([]mapping.XMPP{fromXMPP(fmt.Sprint(i), "juliet@example.com/x", fmt.Sprintf("u%d@sip.example.com", i%500), "hello")})
		if i%3 == 0 {
			answerAll()
		}
	}
	for len(s.requests) > 0 {
		answerAll()
	}
	seen := map[string]int{}
	for _, p := range s.stanzas {
		seen[p.Value.(*mapping.XMPPError).ID]++
	}
	for i := range n {
		if seen[fmt.Sprint(i)] != 1 {
			t.Fatalf("message %d ended %d times", i, seen[fmt.Sprint(i)])
		}
	}
	if b.lanes.open != 0 || b.lanes.waiting != 0 || len(b.lanes.byKey) != 0 {
		t.Errorf("left behind: %d open, %d waiting, %d lanes", b.lanes.open, b.lanes.waiting, len(b.lanes.byKey))
	}
}
