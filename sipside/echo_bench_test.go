package sipside

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/mapping"
)

// swallow is a socket that takes whatever is sent.
type swallow struct{}

func (swallow) read([]packet) (int, error)    { return 0, net.ErrClosed }
func (swallow) write(p []packet) (int, error) { return len(p), nil }
func (swallow) try(p []packet) int            { return len(p) }
func (swallow) close() error                  { return nil }

// BenchmarkAnswer is a request from the table of transactions to its 200 in the socket,
// answered in batches.
func BenchmarkAnswer(b *testing.B) {
	for _, n := range []int{1, 16, 64} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			u := fuzzUA(b)
			s := newUDPSocket(u, swallow{}, memSelf)
			e := echo{path: path{out: s, to: netip.MustParseAddrPort("192.0.2.9:5060")}, via: topVia{row: "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK0000000000;rport", at: 46, end: 52, received: true},
				from: "<sip:romeo@example.net>;tag=vwxyz", to: "<sip:juliet@example.com>", tagged: true, callID: "9E97FB43-85F4-4A00-8751-1124FD4C7B2E", cseq: "1 MESSAGE"}
			p := u.current().peers.loopback
			batch, parcels, now := make([]mapping.Result, n), make([]mapping.Parcel[mapping.SIP], n), time.Now()
			keys := make([]txKey, 1<<16)
			for i := range keys {
				keys[i] = keyOf(i)
			}
			b.ReportAllocs()
			b.ResetTimer()
			k := 0
			for left := b.N; left > 0; left -= n {
				for i := range batch {
					k++
					key := keys[k&(1<<16-1)]
					key[0], key[1], key[8], key[9], key[10] = byte(k>>16), byte(k>>24), byte(k>>16), byte(k>>24), byte(k)
					tx := &serverTx{key: key, peer: p, echo: e, udp: true}
					parcels[i] = mapping.Parcel[mapping.SIP]{Ref: tx}
					batch[i] = mapping.Result{Ref: tx, Outcome: mapping.Outcome{Kind: mapping.Processed}}
				}
				if len(u.server.receive(parcels, now)) != n {
					b.Fatal("known")
				}
				u.Answer(batch)
			}
		})
	}
}

// BenchmarkAnswered is a request that is looked for among those that were answered, and is
// answered sixty others later, at 50,000 a second.
func BenchmarkAnswered(b *testing.B) {
	var a answered
	now := time.Unix(1e9, 0)
	for i := range 1_600_000 {
		a.put(numbered(i), reply{status: 200}, now)
		now = now.Add(20 * time.Microsecond)
	}
	b.ReportAllocs()
	i := 1_600_000
	for b.Loop() {
		if _, ok := a.find(numbered(i), now); ok {
			b.Fatal("known")
		}
		a.put(numbered(i-60), reply{status: 200}, now)
		now = now.Add(20 * time.Microsecond)
		i++
	}
}

// startAccepting runs a UA that answers all with 200, until the benchmark ends.
func startAccepting(b *testing.B) *UA {
	u, err := New(testConfig(), slog.New(slog.DiscardHandler))
	if err == nil {
		err = u.Listen()
	}
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- u.Run(ctx, &accepting{u}) }()
	b.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			b.Error(err)
		}
	})
	return u
}

// BenchmarkUDPEcho is a MESSAGE over the loopback and its 200 back, with so many on the
// way; the far side takes part in it.
func BenchmarkUDPEcho(b *testing.B) {
	for _, window := range []int{1, 16, 64} {
		b.Run(fmt.Sprint(window), func(b *testing.B) {
			u := startAccepting(b)
			c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(addr(u, "udp")))
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			text := []byte(siptest.Text("Art thou not Romeo, and a Montague?", lines("udp", "z9hG4bK0000000000")...))
			at := bytes.Index(text, []byte("z9hG4bK")) + 7
			buf := make([]byte, 4096)
			sent := 0
			send := func() {
				sent++
				copy(text[at:], fmt.Sprintf("%010d", sent))
				if _, err := c.Write(text); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportAllocs()
			b.ResetTimer()
			for range min(window, b.N) {
				send()
			}
			c.SetReadDeadline(time.Now().Add(time.Minute))
			for range b.N {
				if _, err := c.Read(buf); err != nil {
					b.Fatal(err)
				}
				if sent < b.N {
					send()
				}
			}
		})
	}
}

// BenchmarkStreamEcho is the same over one connection.
func BenchmarkStreamEcho(b *testing.B) {
	for _, window := range []int{1, 16, 64} {
		b.Run(fmt.Sprint(window), func(b *testing.B) {
			u := startAccepting(b)
			c, err := net.Dial("tcp", addr(u, "tcp").String())
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			text := []byte(siptest.Text("Art thou not Romeo, and a Montague?", lines("tcp", "z9hG4bK0000000000")...))
			at := bytes.Index(text, []byte("z9hG4bK")) + 7
			buf, out := make([]byte, 64<<10), make([]byte, 0, 256<<10)
			sent := 0
			send := func(n int) {
				out = out[:0]
				for range min(n, b.N-sent) {
					sent++
					copy(text[at:], fmt.Sprintf("%010d", sent))
					out = append(out, text...)
				}
				if _, err := c.Write(out); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportAllocs()
			b.ResetTimer()
			send(window)
			head := []byte("SIP/2.0 200")
			for got := 0; got < b.N; {
				n, err := io.ReadAtLeast(c, buf, 1)
				if err != nil {
					b.Fatal(err)
				}
				k := bytes.Count(buf[:n], head)
				got += k
				send(k)
			}
		})
	}
}
