package queuetest

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/stoxgw/stox/internal/bridge"
	"github.com/stoxgw/stox/mapping"
)

// rowOf has a bridge of its own write the row of a message.
func rowOf(w Waiting) bridge.Row {
	s := &sides{}
	s.bridge = bridge.New(noXMPP{}, s, s, bridge.Options{Policy: policy, Secret: []byte("component secret")}, slog.New(slog.DiscardHandler))
	batch := []mapping.XMPP{message(w)}
	if w.State == bridge.Queued && w.Attempts == 0 {
		batch = append(batch, message(w)) // behind another one, and its turn does not come
	}
	s.bridge.FromXMPP(batch)
	s.commit()
	if len(batch) > 1 {
		over, end := context.WithCancel(context.Background())
		end()
		_ = s.bridge.Drain(over) // the other one has no answer
	}
	for n := 1; n < w.Attempts; n++ {
		s.answer(w.Problem)
		must(s.bridge.RetryNow(s.row.ID))
		s.commit()
	}
	row := s.row
	switch w.State {
	case bridge.Sent:
	case bridge.Backoff:
		s.answer(w.Problem)
		row = s.row
	case bridge.Queued:
		if w.Attempts > 0 {
			s.answer(w.Problem)
			row = must(bridge.RetryRow(s.row, time.Now(), time.Hour))
		}
	case bridge.Reporting:
		row = must(bridge.DropRow(s.row, time.Now()))
	default:
		panic("no row is " + w.State)
	}
	got := must(bridge.ReadRow(row))
	if got.State != w.State || got.Stanza != w.Stanza || w.CallID != "" && got.CallID != w.CallID ||
		w.State != bridge.Reporting && (got.Problem != w.Problem || got.Attempts != max(w.Attempts, attempts(w.State))) {
		panic(fmt.Sprintf("%+v became %+v", w, got))
	}
	return row
}

// attempts is how many there have been at least.
func attempts(s bridge.WaitingState) int {
	if s == bridge.Queued {
		return 0
	}
	return 1
}

func message(w Waiting) mapping.XMPP {
	return &mapping.XMPPMessage{ID: w.Stanza, From: w.From, To: w.To, Thread: w.CallID, Bodies: []mapping.Text{{Value: "the text of a message"}}}
}

// policy lets everybody write to everybody.
var policy = bridge.Policy{
	Rules: must(mapping.NewRules(mapping.RulesConfig{
		GatewayDomain: "sip.example.com", SIPHost: "sip.example.com", UserDomains: []string{"example.com"},
		DefaultSIPDomain: "example.net", PhoneDomain: "example.net",
	})),
	Access: must(mapping.NewAccess([]string{"*"})),
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// sides are both sides and the journal of a bridge: they keep the row of
// the last message, and the last request.
type sides struct {
	bridge *bridge.Bridge
	row    bridge.Row
	marks  []bridge.Mark // not yet told to be committed
	sent   any           // Ref of the request that is under way
}

func (s *sides) Append(rows []bridge.Row) (int, error) { return s.Update(rows) }

func (s *sides) Update(rows []bridge.Row) (int, error) {
	for _, r := range rows {
		if r.ID >= s.row.ID {
			s.row = r
		}
		s.marks = append(s.marks, bridge.Mark{ID: r.ID, Rev: r.Rev})
	}
	return len(rows), nil
}

func (s *sides) Get([]uint64) ([]bridge.Row, error) { return []bridge.Row{s.row}, nil }

func (s *sides) commit() {
	for len(s.marks) > 0 {
		marks := s.marks
		s.marks = nil
		s.bridge.Committed(marks, nil)
	}
}

// answer refuses the request that is under way for now.
func (s *sides) answer(problem string) {
	f := mapping.FailureFromStatus(503, "", 0, nil)
	f.Text = problem
	s.bridge.SIPOutcomes([]mapping.Result{{Ref: s.sent, Outcome: mapping.Outcome{Kind: mapping.Answered, Status: 503, Failure: f}}})
	s.commit()
}

// Deliver is that of the SIP side.
func (s *sides) Deliver(batch []mapping.Parcel[mapping.SIP]) {
	for _, p := range batch {
		s.sent = p.Ref
	}
}

// noXMPP is an XMPP side that nothing is for.
type noXMPP struct{}

func (noXMPP) Deliver([]mapping.Parcel[mapping.XMPP]) {}
func (noXMPP) Up() bool                               { return true }

func (s *sides) Answer([]mapping.Result)               {}
func (s *sides) Done([]uint64)                         {}
func (s *sides) PutSeen([]bridge.Seen)                 {}
func (s *sides) PutTrail([]bridge.Event)               {}
func (s *sides) Lookup(string) ([]bridge.Event, error) { return nil, nil }
