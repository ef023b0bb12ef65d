package bridge

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// What the bridge itself costs for each message, between two sides and a journal that
// answer at once and allocate nothing. The translation is part of it; BenchmarkTranslation
// says how much.

// benchSide keeps what it is given until the benchmark answers it.
type benchSide struct {
	requests []mapping.Result
	stanzas  []mapping.Result
	marks    []Mark
	answered int
	kept     int
}

type (
	benchSIP  struct{ *benchSide }
	benchXMPP struct{ *benchSide }
)

func (s benchSIP) Answer(b []mapping.Result) { s.answered += len(b) }
func (s benchSIP) Deliver(b []mapping.Parcel[mapping.SIP]) {
	for _, p := range b {
		s.requests = append(s.requests, mapping.Result{Ref: p.Ref, Outcome: mapping.Outcome{Kind: mapping.Answered, Status: 200}})
	}
}
func (s benchXMPP) Up() bool { return true }
func (s benchXMPP) Deliver(b []mapping.Parcel[mapping.XMPP]) {
	for _, p := range b {
		s.stanzas = append(s.stanzas, mapping.Result{Ref: p.Ref, Outcome: mapping.Outcome{Kind: mapping.Processed}})
	}
}

func (s *benchSide) Append(rows []Row) (int, error) {
	for _, r := range rows {
		s.marks = append(s.marks, Mark{r.ID, r.Rev})
	}
	return len(rows), nil
}
func (s *benchSide) Update(rows []Row) (int, error) { return s.Append(rows) }
func (s *benchSide) Done(ids []uint64)              { s.kept += len(ids) }
func (s *benchSide) Get([]uint64) ([]Row, error)    { return nil, nil }
func (s *benchSide) PutSeen(b []Seen)               { s.kept += len(b) }
func (s *benchSide) PutTrail(b []Event)             { s.kept += len(b) }
func (s *benchSide) PutContacts(b []Contact)        { s.kept += len(b) }
func (s *benchSide) Lookup(string) ([]Event, error) { return nil, nil }
func (s *benchSide) Put(b []Note)                   { s.kept += len(b) }

func newBenchBridge(b *testing.B) (*Bridge, *benchSide) {
	b.Helper()
	rules, err := mapping.NewRules(mapping.RulesConfig{
		GatewayDomain:    "sip.example.com",
		SIPHost:          "sip.example.com",
		UserDomains:      []string{"example.com"},
		DefaultSIPDomain: "pbx.example.net",
	})
	if err != nil {
		b.Fatal(err)
	}
	access, err := mapping.NewAccess([]string{"example.com"})
	if err != nil {
		b.Fatal(err)
	}
	s := &benchSide{}
	return New(benchXMPP{s}, benchSIP{s}, s, Options{
		Policy: Policy{Rules: rules, Access: access, Expire: 5 * time.Minute, Notice: true, Late: LateIMDN, IMDN: IMDNIfKnown,
			Composing: ComposingReplyOnly, UserRate: 1_000_000},
		Secret:   []byte("secret"),
		Limits:   Limits{Alone: true},
		Contacts: s,
		History:  s,
	}, slog.New(slog.DiscardHandler)), s
}

const benchUsers = 100

// benchText is as long as the messages of the load lab.
const benchText = "Neither borrower nor lender be; for loan oft loses both itself and friend, and borrowing dulls the edge."

// benchFromSIP are requests of so many users, each to a user of his own.
func benchFromSIP(n int) []mapping.Parcel[mapping.SIP] {
	batch := make([]mapping.Parcel[mapping.SIP], n)
	for i := range batch {
		to := mapping.MustParseURI(fmt.Sprintf("sip:user%d@example.com", i%benchUsers))
		batch[i] = mapping.Parcel[mapping.SIP]{Ref: i, Value: &mapping.SIPMessage{RequestURI: to, To: to,
			From:   mapping.MustParseURI(fmt.Sprintf("sip:contact%d@pbx.example.net", i%benchUsers)),
			CallID: fmt.Sprintf("c8a7f%010d@192.0.2.10", i), FromTag: "8f4c1a2b", CSeq: 1,
			ContentType: "text/plain", Body: []byte(benchText)}}
	}
	return batch
}

// benchFromXMPP are the same the other way.
func benchFromXMPP(n int, receipts bool) []mapping.XMPP {
	batch := make([]mapping.XMPP, n)
	for i := range batch {
		m := fromXMPP(fmt.Sprintf("b81f4c9e-%06d", i), fmt.Sprintf("user%d@example.com/balcony", i%benchUsers), fmt.Sprintf("contact%d@sip.example.com", i%benchUsers), benchText)
		m.Type, m.WantReceipt, m.Markable = "chat", receipts, receipts
		batch[i] = m
	}
	return batch
}

var benchBatches = []int{1, 16, 256}

func BenchmarkSIPToXMPP(b *testing.B) {
	for _, n := range benchBatches {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			br, s := newBenchBridge(b)
			batch := benchFromSIP(n)
			next := uint32(0)
			pass := func() {
				next++
				for i := range batch {
					batch[i].Value.(*mapping.SIPMessage).CSeq = next
				}
				br.FromSIP(batch)
				br.XMPPOutcomes(s.stanzas)
				s.stanzas = s.stanzas[:0]
			}
			for range 2 * benchUsers {
				pass() // everybody has been introduced
			}
			s.answered = 0
			b.ReportAllocs()
			b.ResetTimer()
			passes := 0
			for i := 0; i < b.N; i += n {
				passes++
				pass()
			}
			if s.answered != passes*n {
				b.Fatalf("%d of %d requests were answered", s.answered, passes*n)
			}
		})
	}
}

func BenchmarkXMPPToSIP(b *testing.B) {
	run := func(b *testing.B, n int, receipts, commit bool) {
		br, s := newBenchBridge(b)
		batch := benchFromXMPP(n, receipts)
		sent := 0
		pass := func() {
			br.FromXMPP(batch)
			for len(s.requests) > 0 || len(s.marks) > 0 {
				if commit && len(s.marks) > 0 {
					marks := s.marks
					s.marks = nil
					br.Committed(marks, nil)
					s.marks = append(marks[:0], s.marks...)
				}
				requests := s.requests
				s.requests = nil
				sent += len(requests)
				br.SIPOutcomes(requests)
				if s.requests == nil {
					s.requests = requests[:0]
				}
				if !commit && len(s.requests) == 0 && len(s.marks) > 0 {
					marks := s.marks
					s.marks = nil
					br.Committed(marks, nil)
					s.marks = append(marks[:0], s.marks...)
				}
			}
			s.stanzas = s.stanzas[:0]
		}
		for range 2 * benchUsers {
			pass()
		}
		sent = 0
		b.ReportAllocs()
		b.ResetTimer()
		passes := 0
		for i := 0; i < b.N; i += n {
			passes++
			pass()
		}
		if sent != passes*n {
			b.Fatalf("%d of %d requests were sent", sent, passes*n)
		}
	}
	for _, n := range benchBatches {
		b.Run(fmt.Sprintf("answered-first/%d", n), func(b *testing.B) { run(b, n, false, false) })
	}
	for _, n := range benchBatches {
		b.Run(fmt.Sprintf("committed-first/%d", n), func(b *testing.B) { run(b, n, false, true) })
	}
	b.Run("receipts/16", func(b *testing.B) { run(b, 16, true, false) })
}

// BenchmarkTranslation is what of the two above is not the bridge's own.
func BenchmarkTranslation(b *testing.B) {
	br, _ := newBenchBridge(b)
	p := br.policy.Load()
	b.Run("SIPToXMPP", func(b *testing.B) {
		batch := benchFromSIP(16)
		b.ReportAllocs()
		for i := range b.N {
			if v, err := p.Rules.ToXMPP(batch[i%16].Value); err != nil || len(v) != 1 {
				b.Fatal(v, err)
			}
		}
	})
	b.Run("XMPPToSIP", func(b *testing.B) {
		batch := benchFromXMPP(16, false)
		b.ReportAllocs()
		for i := range b.N {
			if v, err := p.Rules.ToSIP(batch[i%16]); err != nil || len(v) != 1 {
				b.Fatal(v, err)
			}
		}
	})
}

func BenchmarkIdentity(b *testing.B) {
	g := newIDs([]byte("secret"), time.Now())
	m := benchFromSIP(1)[0].Value.(*mapping.SIPMessage)
	to, from := mapping.MustParseJID("user1@example.com"), m.From.String()
	for b.Loop() {
		g.identity(m, from, to)
	}
}

func BenchmarkFill(b *testing.B) {
	g := newIDs([]byte("secret"), time.Now())
	var m mapping.SIPMessage
	b.ReportAllocs()
	for b.Loop() {
		m.CallID = ""
		g.fill(&m)
	}
}
