package sipside

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/mapping"
)

// manyIO gives n datagrams, each with a branch of its own.
type manyIO struct {
	n    int
	made int
	text []byte
	at   int // of the branch's digits
}

func (m *manyIO) read(into []packet) (int, error) {
	if m.made == m.n {
		return (&onceIO{done: true}).read(nil)
	}
	i := 0
	for ; i < len(into) && m.made < m.n; i++ {
		copy(m.text[m.at:], fmt.Sprintf("%010d", m.made))
		into[i].b = into[i].b[:copy(into[i].b, m.text)]
		into[i].to = netip.MustParseAddrPort("127.0.0.1:9")
		m.made++
	}
	return i, nil
}
func (m *manyIO) write(p []packet) (int, error) { return len(p), nil }
func (m *manyIO) close() error                  { return nil }

// BenchmarkReceive is a MESSAGE from the datagram to the handler and its 200 back
// to the writer's queue, without system calls.
func BenchmarkReceive(b *testing.B) {
	u := fuzzUA(b)
	u.handler = &accepting{u}
	s := newUDPSocket(u, nil, memSelf)
	text := siptest.Text("Art thou not Romeo, and a Montague?", lines("udp", "z9hG4bK0000000000")...)
	at := 0
	for at = range text {
		if text[at:at+7] == "z9hG4bK" {
			break
		}
	}
	b.ReportAllocs()
	s.io = &manyIO{n: b.N, text: []byte(text), at: at + 7}
	s.serve() // the queue fills up and then drops: that costs the same
}

// accepting answers all with 200 and keeps nothing.
type accepting struct{ u *UA }

func (a *accepting) FromSIP(batch []mapping.Parcel[mapping.SIP]) {
	res := make([]mapping.Result, len(batch))
	for i, p := range batch {
		res[i] = mapping.Result{Ref: p.Ref, Outcome: mapping.Outcome{Kind: mapping.Processed}}
	}
	a.u.Answer(res)
}
func (a *accepting) SIPOutcomes([]mapping.Result) {}

// BenchmarkRequest is the bytes of a request.
func BenchmarkRequest(b *testing.B) {
	u := fuzzUA(b)
	m, _ := requestOf(toMem(1))
	b.ReportAllocs()
	for b.Loop() {
		u.wire(&m, nil, "UDP", "gw.example.com", "z9hG4bK00000000000000000000000000")
	}
}
