package bridge

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/stoxgw/stox/mapping"
)

// batchSide keeps what it is given, by whom it is for.
type batchSide struct {
	*side
	mu       sync.Mutex
	answered map[any]int
	events   []Event
	rows     map[uint64]Row
	done     map[uint64]int
}

type (
	batchSIP  struct{ *batchSide }
	batchXMPP struct{ *batchSide }
)

func (s batchSIP) Deliver(b []mapping.Parcel[mapping.SIP]) { sipFake{s.side}.Deliver(b) }
func (s batchSIP) Answer(b []mapping.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range b {
		if r.Outcome.Kind == mapping.Processed {
			s.answered[r.Ref]++
		}
	}
}
func (s batchXMPP) Up() bool                                 { return true }
func (s batchXMPP) Deliver(b []mapping.Parcel[mapping.XMPP]) { xmppFake{s.side}.Deliver(b) }

func (s *batchSide) Append(rows []Row) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range rows {
		s.rows[r.ID] = r // as it is: nobody may write to Data any more
	}
	return len(rows), nil
}
func (s *batchSide) Update(rows []Row) (int, error) { return s.Append(rows) }
func (s *batchSide) Done(ids []uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		s.done[id]++
	}
}
func (s *batchSide) Get([]uint64) ([]Row, error) { return nil, nil }
func (s *batchSide) PutSeen([]Seen)              {}
func (s *batchSide) PutTrail(b []Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, b...)
}
func (s *batchSide) Lookup(string) ([]Event, error) { return nil, nil }

// Batches of both directions at the same time, whose outcomes come from yet other
// goroutines: every message has one outcome, one row that reads back as it was, and one
// event that says whose it was. What is kept of one batch for the next is never seen in it.
func TestBatchesBesideEachOther(t *testing.T) {
	rules, err := mapping.NewRules(mapping.RulesConfig{GatewayDomain: "sip.example.com", SIPHost: "sip.example.com",
		UserDomains: []string{"example.com"}, DefaultSIPDomain: "pbx.example.net"})
	if err != nil {
		t.Fatal(err)
	}
	access, err := mapping.NewAccess([]string{"example.com"})
	if err != nil {
		t.Fatal(err)
	}
	s := &batchSide{side: &side{}, answered: map[any]int{}, rows: map[uint64]Row{}, done: map[uint64]int{}}
	b := New(batchXMPP{s}, batchSIP{s}, s, Options{Policy: Policy{Rules: rules, Access: access}, Secret: []byte("secret"),
		Limits: Limits{FIFO: 1 << 10, Alone: true}}, slog.New(slog.DiscardHandler))
	const writers, batches = 3, 40
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for n := range batches {
				var batch []mapping.Parcel[mapping.SIP]
				for i := range 1 + (n+w)%9 {
					id := fmt.Sprintf("s-%d-%d-%d", w, n, i)
					batch = append(batch, mapping.Parcel[mapping.SIP]{Ref: id, Value: fromSIP(id, fmt.Sprintf("sip:%s@pbx.example.net", id), "sip:juliet@example.com", id)})
				}
				b.FromSIP(batch)
			}
		})
		all.Go(func() {
			for n := range batches {
				var batch []mapping.XMPP
				for i := range 1 + (n+w)%9 {
					id := fmt.Sprintf("x-%d-%d-%d", w, n, i)
					batch = append(batch, fromXMPP(id, "juliet@example.com/"+id, fmt.Sprintf("contact%d@sip.example.com", i), id))
				}
				b.FromXMPP(batch)
			}
		})
	}
	sent := make(chan struct{})
	go func() { all.Wait(); close(sent) }()
	sum := 0
	for n := range batches {
		for w := range writers {
			sum += 1 + (n+w)%9
		}
	}
	requests, stanzas := 0, 0
	var outcomes sync.WaitGroup
	for requests < sum || stanzas < sum {
		s.side.mu.Lock()
		r, x := s.side.requests, s.side.stanzas
		s.side.requests, s.side.stanzas = nil, nil
		s.side.mu.Unlock()
		requests, stanzas = requests+len(r), stanzas+len(x)
		outcomes.Go(func() {
			var results []mapping.Result
			var marks []Mark
			for _, p := range r {
				results = append(results, mapping.Result{Ref: p.Ref, Outcome: answered(200)})
			}
			s.mu.Lock()
			for id, row := range s.rows {
				marks = append(marks, Mark{id, row.Rev})
			}
			s.mu.Unlock()
			b.Committed(marks, nil)
			b.SIPOutcomes(results)
		})
		outcomes.Go(func() {
			var results []mapping.Result
			for _, p := range x {
				results = append(results, mapping.Result{Ref: p.Ref, Outcome: mapping.Outcome{Kind: mapping.Processed}})
			}
			b.XMPPOutcomes(results)
		})
		outcomes.Wait()
		if len(r)+len(x) == 0 {
			select {
			case <-sent:
				s.side.mu.Lock()
				left := len(s.side.requests) + len(s.side.stanzas)
				s.side.mu.Unlock()
				if left == 0 {
					t.Fatalf("%d requests and %d stanzas left, want %d of each", requests, stanzas, sum)
				}
			default:
			}
		}
	}
	if requests != sum || stanzas != sum || len(s.answered) != sum || len(s.rows) != sum || len(s.done) != sum || len(s.events) != 2*sum {
		t.Errorf("%d requests, %d stanzas, %d answers, %d rows, %d of them ended, %d events; want %d", requests, stanzas, len(s.answered), len(s.rows), len(s.done), len(s.events), sum)
	}
	for ref, n := range s.answered {
		if n != 1 {
			t.Errorf("%v was answered %d times", ref, n)
		}
	}
	for id, n := range s.done {
		if n != 1 {
			t.Errorf("row %d ended %d times", id, n)
		}
	}
	for _, r := range s.rows {
		o, err := decode(r)
		if err != nil || o.from.Resource() != o.id || string(o.message().Body) != o.id {
			t.Errorf("row %d: %+v, %v", r.ID, o, err)
		}
	}
	for _, e := range s.events {
		whose, kind := e.Other, "sip-xmpp sip:"+e.Other+"@pbx.example.net -> juliet@example.com 200 "
		if strings.HasPrefix(e.ID, "x-") {
			whose, kind = e.ID, "xmpp-sip juliet@example.com/"+e.ID+" -> contact"
		}
		if e.Kind != eventDelivered || !strings.HasPrefix(e.Detail, kind) || !strings.HasSuffix(e.Detail, " ms") {
			t.Errorf("event of %s: %+v", whose, e)
		}
	}
}
