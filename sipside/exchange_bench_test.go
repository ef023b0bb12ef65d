package sipside

import (
	"bytes"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/mapping"
)

// answeringIO is a socket to a server that answers 200 to each request, in the order in which
// they have come, when it is let.
type answeringIO struct {
	waiting [][branchLen]byte
	let     int // how many of them may be answered now
	text    []byte
	at      int // of the branch in text
}

func newAnsweringIO(sentBy string) *answeringIO {
	branch := strings.Repeat("x", branchLen)
	text := "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP " + sentBy + ";rport=5060;received=192.0.2.1;branch=" + branch + "\r\n" +
		"From: <sip:juliet@example.com>;tag=8fd7a2c1b4e5\r\nTo: <sip:romeo@example.net>;tag=vwxyz\r\n" +
		"Call-ID: 9E97FB43-85F4-4A00-8751-1124FD4C7B2E\r\nCSeq: 1 MESSAGE\r\nServer: phone/1.0\r\nContent-Length: 0\r\n\r\n"
	return &answeringIO{text: []byte(text), at: strings.Index(text, branch)}
}

// try implements prompt.
func (a *answeringIO) try(p []packet) int {
	for i := range p {
		at := bytes.Index(p[i].b, []byte(";branch=")) + len(";branch=")
		a.waiting = append(a.waiting, [branchLen]byte(p[i].b[at:]))
	}
	return len(p)
}

func (a *answeringIO) write(p []packet) (int, error) { return a.try(p), nil }

func (a *answeringIO) read(into []packet) (int, error) {
	n := min(len(into), a.let, len(a.waiting))
	for i := range n {
		copy(a.text[a.at:], a.waiting[i][:])
		into[i].b, into[i].to = into[i].b[:copy(into[i].b, a.text)], memPeer
	}
	a.let -= n
	a.waiting = a.waiting[:copy(a.waiting, a.waiting[n:])]
	if n == 0 {
		return 0, net.ErrClosed
	}
	return n, nil
}

func (a *answeringIO) close() error { return nil }

// exchangeOf are n messages of 100 octets, from and to 100 users each.
func exchangeOf(n int) (batch []mapping.Parcel[mapping.SIP]) {
	for i := range n {
		m := toMem(i + 1)
		m.RequestURI = mapping.URI{Scheme: "sip", User: fmt.Sprintf("romeo%d", i%100), Host: "example.net"}
		m.From = mapping.URI{Scheme: "sip", User: fmt.Sprintf("juliet%d", i/7%100), Host: "example.com"}
		m.To, m.CallID, m.FromTag, m.ContentType = m.RequestURI, fmt.Sprintf("9E97FB43-85F4-4A00-8751-%012d", i), fmt.Sprintf("8fd7a2c1b4e5%d", i), "text/plain"
		m.Body = bytes.Repeat([]byte("a"), 100)
		batch = append(batch, mapping.Parcel[mapping.SIP]{Ref: m, Value: m})
	}
	return batch
}

// BenchmarkExchange is a MESSAGE from Deliver to the socket, and the datagram that answers it
// from there to the handler, without system calls: so many at a time, so many open.
func BenchmarkExchange(b *testing.B) {
	for _, c := range []struct{ n, open int }{{1, 16}, {4, 16}, {16, 256}, {64, 256}} {
		b.Run(fmt.Sprintf("%d-%d", c.n, c.open), func(b *testing.B) {
			r := newClientRig(b)
			r.u.cfg.MaxPending = 4096
			io := newAnsweringIO(r.sock.sentBy)
			r.sock.io = io
			batch := exchangeOf(4096)
			buf := make([]byte, 65535)
			next := 0
			send := func(n int) {
				if next+n > len(batch) {
					next = 0
				}
				r.u.Deliver(batch[next : next+n])
				next += n
			}
			for range c.open / c.n {
				send(c.n)
			}
			b.ReportAllocs()
			b.ResetTimer()
			sent := 0
			for ; sent < b.N; sent += c.n {
				io.let = c.n
				if _, _, err := r.sock.ReadFrom(buf); err == nil {
					b.Fatal("read something")
				}
				send(c.n)
			}
			if r.h.delivered != sent {
				b.Fatalf("%d of %d were delivered", r.h.delivered, sent)
			}
		})
	}
}

// What the benchmark takes for an answer is one.
func TestAnsweringIO(t *testing.T) {
	m, _, err := siptest.Parse(newAnsweringIO("192.0.2.1").text)
	if err != nil || m.Branch() != strings.Repeat("x", branchLen) {
		t.Fatal(m, err)
	}
}
