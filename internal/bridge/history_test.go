package bridge

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stoxgw/stox/mapping"
)

// historyFake keeps notes by message, as "kind" or "kind=outcome".
type historyFake struct {
	notes map[uint64][]Note
	order []uint64
}

func (h *historyFake) Put(batch []Note) {
	for _, n := range batch {
		if h.notes[n.Key] == nil {
			h.order = append(h.order, n.Key)
		}
		h.notes[n.Key] = append(h.notes[n.Key], n)
	}
}

// life is what was told of the i-th message.
func (h *historyFake) life(i int) string {
	var all []string
	for _, n := range h.notes[h.order[i]] {
		s := n.Kind
		if n.Status != 0 {
			s += fmt.Sprint(" ", n.Status)
		}
		if n.Outcome != "" {
			s += "=" + n.Outcome
		}
		all = append(all, s)
	}
	return strings.Join(all, ", ")
}

func newTold(t *testing.T) (*Bridge, *side, *historyFake) {
	b, s := newBridge(t)
	h := &historyFake{notes: make(map[uint64][]Note)}
	b.history = h
	return b, s, h
}

// What the history is told of a message from XMPP, and in which order.
func TestHistoryOfXMPP(t *testing.T) {
	for _, c := range []struct {
		name string
		to   string
		play func(b *Bridge, s *side)
		want string
	}{
		{"delivered before its commit", "romeo@sip.example.com", func(b *Bridge, s *side) {
			b.SIPOutcomes([]mapping.Result{{Ref: s.requests[0].Ref, Outcome: answered(200)}})
		}, "read, early, answer 200=delivered"},
		{"delivered", "romeo@sip.example.com", func(b *Bridge, s *side) {
			s.journal.commit()
			b.SIPOutcomes([]mapping.Result{{Ref: s.requests[0].Ref, Outcome: answered(200)}})
		}, "read, early, journaled, answer 200=delivered"},
		{"refused by SIP", "romeo@sip.example.com", func(b *Bridge, s *side) {
			s.journal.commit()
			b.SIPOutcomes([]mapping.Result{{Ref: s.requests[0].Ref, Outcome: answered(404)}})
			b.XMPPOutcomes([]mapping.Result{{Ref: s.stanzas[0].Ref, Outcome: mapping.Outcome{Kind: mapping.Processed}}})
		}, "read, early, journaled, answer 404, =failed, told, reported"},
		{"tried again", "romeo@sip.example.com", func(b *Bridge, s *side) {
			s.journal.commit()
			b.SIPOutcomes([]mapping.Result{{Ref: s.requests[0].Ref, Outcome: answered(503)}})
		}, "read, early, journaled, answer 503, retry"},
		{"no way", "romeo@sip.example.com", func(b *Bridge, s *side) {
			b.SIPOutcomes([]mapping.Result{{Ref: s.requests[0].Ref, Outcome: mapping.Outcome{Kind: mapping.NotWritten, Failure: mapping.FailDNS()}}})
		}, "read, early, not-sent, =failed, told"},
		{"no address", `romeo\40@sip.example.com`, func(*Bridge, *side) {}, "refused=refused"},
	} {
		b, s, h := newTold(t)
		b.FromXMPP([]mapping.XMPP{fromXMPP("a", "juliet@example.com/x", c.to, "some text")})
		c.play(b, s)
		if len(h.order) != 1 || h.life(0) != c.want {
			t.Errorf("%s: %d messages, %q", c.name, len(h.order), h.life(0))
			continue
		}
		for _, n := range h.notes[h.order[0]] {
			if n.FromSIP || n.User != "juliet@example.com/x" || n.ID != "a" || n.Read.IsZero() || n.At.Before(n.Read) || n.Body != "" {
				t.Errorf("%s: %+v", c.name, n)
			}
		}
	}
}

// The same of a message from SIP.
func TestHistoryOfSIP(t *testing.T) {
	for _, c := range []struct {
		name    string
		outcome mapping.Outcome
		want    string
	}{
		{"processed", mapping.Outcome{Kind: mapping.Processed}, "read, sent, processed, answered 200=delivered"},
		{"bounced", mapping.Outcome{Kind: mapping.Bounced, Failure: mapping.FailureFromStanza("service-unavailable", "", "", "")}, "read, sent, bounced, answered 480=failed"},
		{"no link", mapping.Outcome{Kind: mapping.NotWritten}, "read, sent, unwritten, answered 503=failed"},
		{"no barrier", mapping.Outcome{Kind: mapping.Unknown}, "read, sent, unproved, answered 202=unknown"},
		{"link lost", mapping.Outcome{Kind: mapping.Uncertain}, "read, sent, link-lost, answered 503=uncertain"},
	} {
		b, s, h := newTold(t)
		p := *b.policy.Load()
		p.Texts = true
		b.SetPolicy(p)
		m := fromSIP("c1", "sip:romeo@pbx.example.net", "sip:juliet@example.com", "some text")
		b.FromSIP([]mapping.Parcel[mapping.SIP]{{Ref: 1, Value: m}})
		b.XMPPOutcomes([]mapping.Result{{Ref: s.stanzas[0].Ref, Outcome: c.outcome}})
		if len(h.order) != 1 || h.life(0) != c.want {
			t.Errorf("%s: %d messages, %q", c.name, len(h.order), h.life(0))
			continue
		}
		first := h.notes[h.order[0]][0]
		if !first.FromSIP || first.User != "juliet@example.com" || first.SIP != "sip:romeo@pbx.example.net" || first.CallID != "c1" || first.Size != 9 || first.Body != "some text" {
			t.Errorf("%s: %+v", c.name, first)
		}
	}
}

// A repeat is about the same message; who may not be reached is nobody's message.
func TestHistoryOfRepeats(t *testing.T) {
	b, s, h := newTold(t)
	m := fromSIP("c1", "sip:romeo@pbx.example.net", "sip:juliet@example.com", "some text")
	b.FromSIP([]mapping.Parcel[mapping.SIP]{{Ref: 1, Value: m}})
	again := *m
	b.FromSIP([]mapping.Parcel[mapping.SIP]{{Ref: 2, Value: &again}})
	b.XMPPOutcomes([]mapping.Result{{Ref: s.stanzas[0].Ref, Outcome: mapping.Outcome{Kind: mapping.Processed}}})
	third := *m
	b.FromSIP([]mapping.Parcel[mapping.SIP]{{Ref: 3, Value: &third}})
	if want := "read, sent, joined, processed, answered 200=delivered, repeated 200"; len(h.order) != 1 || h.life(0) != want {
		t.Errorf("%d messages, %q", len(h.order), h.life(0))
	}
	b.FromSIP([]mapping.Parcel[mapping.SIP]{{Ref: 4, Value: fromSIP("c2", "sip:romeo@pbx.example.net", "sip:juliet@evil.example", "x")}})
	if len(h.order) != 2 || !strings.HasPrefix(h.life(1), "refused ") || h.notes[h.order[1]][0].User != "sip:juliet@evil.example" {
		t.Errorf("%v", h.notes[h.order[len(h.order)-1]])
	}
	// Of strangers nothing is told.
	b.FromXMPP([]mapping.XMPP{fromXMPP("a", "eve@evil.example/x", "romeo@sip.example.com", "x")})
	if len(h.order) != 2 {
		t.Errorf("told of a stranger: %v", h.life(2))
	}
}

// Messages that are refused, for whatever reason, are messages of their own.
func TestHistoryOfRefusals(t *testing.T) {
	b, _, h := newTold(t)
	p := *b.policy.Load()
	p.Prefixes = []string{"+49"}
	b.SetPolicy(p)
	b.FromXMPP([]mapping.XMPP{
		fromXMPP("a", "juliet@example.com/x", "+15551234567@sip.example.com", "x"),
		fromXMPP("b", "nurse@example.com/x", "+15551234567@sip.example.com", "x"),
		fromXMPP("c", "nurse@example.com/x", `romeo\40@sip.example.com`, "x"),
	})
	for i := range h.order {
		if n := h.notes[h.order[i]]; len(n) != 1 || n[0].Key == 0 || n[0].Outcome != eventRefused || n[0].ID != string(rune('a'+i)) {
			t.Errorf("%d: %+v", i, n)
		}
	}
	if len(h.order) != 3 {
		t.Errorf("%d messages", len(h.order))
	}
}
