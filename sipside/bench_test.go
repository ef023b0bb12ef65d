package sipside

import (
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/mapping"
)

// manyIO gives n datagrams, each with a number of its own.
type manyIO struct {
	n     int
	made  int
	text  []byte
	at    int    // of the ten digits of the number
	begin func() // if set: called for each
}

var manyFrom = netip.MustParseAddrPort("127.0.0.1:9")

func (m *manyIO) read(into []packet) (int, error) {
	if m.made == m.n {
		return (&onceIO{done: true}).read(nil)
	}
	i := 0
	for ; i < len(into) && m.made < m.n; i++ {
		m.number()
		into[i].b = into[i].b[:copy(into[i].b, m.text)]
		into[i].to = manyFrom
	}
	return i, nil
}

// number gives the text the next number.
func (m *manyIO) number() {
	for n, at := m.made, m.at+9; at >= m.at; n, at = n/10, at-1 {
		m.text[at] = byte('0' + n%10)
	}
	m.made++
	if m.begin != nil {
		m.begin()
	}
}

func (m *manyIO) write(p []packet) (int, error) { return len(p), nil }
func (m *manyIO) try(p []packet) int            { return len(p) }
func (m *manyIO) close() error                  { return nil }

// BenchmarkReceive is a MESSAGE from the datagram to the handler and its 200 back
// to the socket, without system calls: one that is understood from its bytes, the
// same of a peer whose rate is counted and that has routes, the first again after half a
// minute of 50,000 a second, and with a folded line, for which it takes the parser.
func BenchmarkReceive(b *testing.B) {
	for _, way := range []struct{ name, edit string }{{"direct", "Subject: x y"}, {"peer", "Subject: x y"}, {"busy", "Subject: x y"}, {"parser", "Subject: x\r\n y"}} {
		b.Run(way.name, func(b *testing.B) {
			cfg := testConfig()
			cfg.PeerRate = 1e9
			if way.name == "peer" {
				cfg.Peers = []Peer{{Name: "proxy", Addresses: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}}
				cfg.Routes = []Route{{Domain: "example.net", Via: mapping.URI{Scheme: "sip", Host: "127.0.0.1"}}, {Domain: "*", Via: mapping.URI{Scheme: "sip", Host: "127.0.0.1"}}}
			}
			u := fuzzUAWith(b, cfg)
			u.handler = &accepting{u}
			if way.name == "busy" {
				now := time.Now()
				for i := range 1_600_000 {
					u.server.answered.put(numbered(i), reply{status: 200}, now.Add(time.Duration(i-1_600_000)*20*time.Microsecond))
				}
			}
			s := newUDPSocket(u, nil, memSelf)
			text := siptest.Text("Art thou not Romeo, and a Montague?", lines("udp", "z9hG4bK0000000000", way.edit)...)
			s.io = &manyIO{n: b.N, text: []byte(text), at: strings.Index(text, "z9hG4bK") + 7}
			b.ReportAllocs()
			b.ResetTimer()
			s.serve()
		})
	}
}

// BenchmarkResponse is a response to a request of ours from the datagram to its outcome.
// A provisional one leaves the request open; for a final one there is a new one each time.
func BenchmarkResponse(b *testing.B) {
	for _, status := range []string{"100 Trying", "486 Busy Here"} {
		b.Run(status[:3], func(b *testing.B) {
			u := fuzzUA(b)
			u.sentBys = []sentBy{{"gw.example.com", 5060}}
			s := newUDPSocket(u, nil, memSelf)
			tx := &clientTx{ref: "x", req: outRequest{method: methodMessage}, id: 7, udp: s, hop: &hop{}}
			text := "SIP/2.0 " + status + "\r\nVia: SIP/2.0/UDP gw.example.com;branch=" + u.client.branch(tx.id) + ";rport=5060;received=192.0.2.1\r\n" +
				"From: <sip:juliet@example.com>;tag=0000000000\r\nTo: <sip:romeo@example.net>;tag=vwxyz\r\n" +
				"Call-ID: 9E97FB43-85F4-4A00-8751-1124FD4C7B2E\r\nCSeq: 1 MESSAGE\r\nServer: phone/1.0\r\nContent-Length: 0\r\n\r\n"
			s.io = &manyIO{n: b.N, text: []byte(text), at: strings.Index(text, "0000000000\r"), begin: func() {
				tx.ended, tx.sent = false, true
				if u.client.open.get(tx.id) == nil {
					u.client.open.put(tx)
				}
				u.outbox.list = u.outbox.list[:0]
			}}
			b.ReportAllocs()
			b.ResetTimer()
			s.serve()
		})
	}
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

// manyConn is a connection over which a message comes n times, each with a number of its own.
type manyConn struct {
	chunkConn
	many manyIO
	left []byte
}

func (c *manyConn) Read(b []byte) (n int, err error) {
	for n < len(b) {
		if len(c.left) == 0 {
			if c.many.made == c.many.n {
				break
			}
			c.many.number()
			c.left = c.many.text
		}
		k := copy(b[n:], c.left)
		n, c.left = n+k, c.left[k:]
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// BenchmarkStream is BenchmarkReceive over one connection that is busy.
func BenchmarkStream(b *testing.B) {
	u := fuzzUA(b)
	u.handler = &accepting{u}
	text := siptest.Text("Art thou not Romeo, and a Montague?", lines("tcp", "z9hG4bK0000000000", "Subject: x y")...)
	c := &manyConn{many: manyIO{n: b.N, text: []byte(text), at: strings.Index(text, "z9hG4bK") + 7}}
	s := newStream(u, c, "bench")
	c.many.begin = func() { s.out = s.out[:0] }
	b.ReportAllocs()
	b.ResetTimer()
	s.feed()
}
