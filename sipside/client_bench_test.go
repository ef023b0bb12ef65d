package sipside

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/stoxgw/stox/mapping"
	"github.com/stoxgw/stox/sipside/locate"
)

// echoIO keeps the branches of what is sent, from which benchmarks make its answers.
type echoIO struct{ branches [][]byte }

func (e *echoIO) read([]packet) (int, error) { return (&onceIO{done: true}).read(nil) }
func (e *echoIO) close() error               { return nil }

func (e *echoIO) write(p []packet) (int, error) {
	for i := range p {
		at := bytes.Index(p[i].b, []byte(";branch=")) + len(";branch=")
		e.branches = append(e.branches, p[i].b[at:at+branchLen])
	}
	return len(p), nil
}

// counting is a handler that counts outcomes.
type counting struct{ told, delivered int }

func (c *counting) FromSIP([]mapping.Parcel[mapping.SIP]) {}

func (c *counting) SIPOutcomes(batch []mapping.Result) {
	c.told += len(batch)
	for i := range batch {
		if batch[i].Outcome.Delivered() {
			c.delivered++
		}
	}
}

// clientRig is the client side of a UA without goroutines and system calls: what is sent is
// swallowed, and answered when the benchmark says so.
type clientRig struct {
	u      *UA
	io     *echoIO
	sock   *udpSocket
	h      *counting
	fields fields
}

func newClientRig(b *testing.B) *clientRig {
	cfg := testConfig()
	cfg.Routes = []Route{{Domain: "*", Via: mapping.MustParseURI("sip:192.0.2.9:5070")}}
	r := &clientRig{u: fuzzUAWith(b, cfg), io: &echoIO{}, h: &counting{}}
	r.u.handler = r.h
	r.sock = newUDPSocket(r.u, r.io, memSelf)
	r.u.udp, r.u.bound = append(r.u.udp, r.sock), append(r.u.bound, memSelf)
	r.u.listen, r.u.maxSentBy = r.u.listen[:1], len(r.sock.sentBy)
	r.u.sentBys = append(r.u.sentBys, sentBy{"192.0.2.1", 5060})
	r.fields = fields{vias: []string{""}, cseq: "1 MESSAGE", callID: "x", from: "<sip:a@b>;tag=x", to: "<sip:a@b>;tag=y"}
	return r
}

// swallow has the socket write what was put.
func (r *clientRig) swallow() {
	r.sock.closing = true
	r.sock.write()
	r.sock.closing = false
}

// answer gives the client a 200 to each request that was sent, and tells the outcomes.
func (r *clientRig) answer() {
	for _, branch := range r.io.branches {
		id, ok := r.u.client.parseBranch(string(branch))
		if !ok {
			panic("a branch that is not ours")
		}
		r.u.client.match(&r.sock.rd, 200, "SIP/2.0 200 OK", id, methodMessage, &r.fields)
	}
	r.io.branches = r.io.branches[:0]
	r.sock.rd.flush()
}

func batchOf(n int) (batch []mapping.Parcel[mapping.SIP]) {
	for i := range n {
		m := toMem(i + 1)
		m.RequestURI.User, m.RequestURI.Port = fmt.Sprintf("romeo%d", i), 0
		m.RequestURI.Host = "example.net"
		batch = append(batch, mapping.Parcel[mapping.SIP]{Ref: m, Value: m})
	}
	return batch
}

// BenchmarkSend is a batch of MESSAGEs from Deliver to the socket, which swallows them, and
// their 200s to the handler. send-ns is what Deliver takes of it, for each of them.
func BenchmarkSend(b *testing.B) {
	for _, n := range []int{1, 16, 64} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			r := newClientRig(b)
			batch := batchOf(n)
			b.ReportAllocs()
			b.ResetTimer()
			sent := 0
			var sending time.Duration
			for sent = 0; sent < b.N; sent += n {
				begin := time.Now()
				r.u.Deliver(batch)
				sending += time.Since(begin)
				r.swallow()
				r.answer()
			}
			b.ReportMetric(float64(sending)/float64(sent), "send-ns/op")
			if r.h.delivered != sent {
				b.Fatalf("%d of %d were delivered", r.h.delivered, sent)
			}
		})
	}
}

// BenchmarkSendWays is a batch of 16 by other ways: to an address without a route, to a name
// that is known, and by a route with a login that nobody asks for.
func BenchmarkSendWays(b *testing.B) {
	for _, way := range []string{"address", "name", "login"} {
		b.Run(way, func(b *testing.B) {
			r := newClientRig(b)
			u := r.u
			batch := batchOf(16)
			switch way {
			case "login":
				route := u.current().routes[0]
				route.Login = Login{Username: "gw", Password: "secret"}
				u.settleLogins(u.current(), &settings{})
				u.current().routeHops[0].login = u.current().logins[route]
			default:
				cfg := testConfig()
				u.set.Store(u.settle(&cfg, nil))
			}
			for i := range batch {
				switch m := batch[i].Value.(*mapping.SIPMessage); way {
				case "address":
					m.RequestURI.Host = "192.0.2.9"
				case "name":
					q, _ := queryOf(m.RequestURI, u.supported)
					u.names.known[q] = &name{targets: []locate.Target{{Transport: locate.UDP, Addr: memPeer}}, until: time.Now().Add(time.Hour)}
				}
			}
			b.ReportAllocs()
			b.ResetTimer()
			sent := 0
			for sent = 0; sent < b.N; sent += len(batch) {
				u.Deliver(batch)
				r.swallow()
				r.answer()
			}
			if r.h.delivered != sent {
				b.Fatalf("%d of %d were delivered", r.h.delivered, sent)
			}
		})
	}
}
