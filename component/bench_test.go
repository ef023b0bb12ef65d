package component

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stoxgw/stox/internal/xmpptest"
	"github.com/stoxgw/stox/mapping"
)

// mirror is a server that does nothing but give back pings, as quickly as it can: what is
// measured in front of it is the component.
func mirror(c net.Conn) bool {
	const begin, end = "<iq from='" + testDomain + "' to='" + testDomain + "'", "</iq>"
	fmt.Fprintf(c, streamHeader+"\n")
	buf, have, shaken := make([]byte, 256<<10), 0, false
	for {
		n, err := c.Read(buf[have:])
		if err != nil {
			return false
		}
		rest := buf[:have+n]
		if !shaken {
			at := bytes.Index(rest, []byte("</handshake>"))
			if at < 0 {
				have += n
				continue
			}
			shaken = true
			rest = rest[at+len("</handshake>"):]
			io.WriteString(c, "<handshake/>")
		}
		var out []byte
		for {
			at := bytes.Index(rest, []byte(begin))
			if at < 0 {
				rest = rest[max(0, len(rest)-len(begin)):]
				break
			}
			rest = rest[at:]
			to := bytes.Index(rest, []byte(end))
			if to < 0 {
				break
			}
			out = append(out, rest[:to+len(end)]...)
			rest = rest[to+len(end):]
		}
		if len(out) > 0 {
			if _, err := c.Write(out); err != nil {
				return false
			}
		}
		have = copy(buf, rest)
	}
}

// counter is a Handler that says when so many outcomes have come.
type counter struct {
	want, got int
	up, done  chan struct{}
	bad       int
}

// FromXMPP is called for nothing but the news that the link is up.
func (c *counter) FromXMPP([]mapping.XMPP) { close(c.up) }

func (c *counter) XMPPOutcomes(batch []mapping.Result) {
	for i := range batch {
		if batch[i].Outcome.Kind != mapping.Processed {
			c.bad++
		}
	}
	if c.got += len(batch); c.got == c.want {
		c.got = 0
		c.done <- struct{}{}
	}
}

func benchMessages(n int) []mapping.Parcel[mapping.XMPP] {
	out := make([]mapping.Parcel[mapping.XMPP], n)
	for i := range out {
		m := message(fmt.Sprintf("k3jx7ql2m5c4v9tzwp8n%06d", i), strings.Repeat("x", 100))
		out[i] = mapping.Parcel[mapping.XMPP]{Ref: m, Value: m}
	}
	return out
}

// BenchmarkDeliver delivers batches over TCP, the next when all of the one before are
// processed. One iteration is one message.
func BenchmarkDeliver(b *testing.B) {
	for _, size := range []int{1, 16, 256} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			srv := xmpptest.New(b, xmpptest.Options{Domain: testDomain, Secret: testSecret, Handshake: mirror})
			cfg := testConfig(srv)
			cfg.Barrier = BarrierSingle
			c, err := New(cfg, slog.New(slog.DiscardHandler))
			if err != nil {
				b.Fatal(err)
			}
			h := &counter{want: size, up: make(chan struct{}), done: make(chan struct{})}
			ctx, cancel := context.WithCancel(context.Background())
			ended := make(chan struct{})
			go func() { defer close(ended); c.Run(ctx, h) }()
			<-h.up
			batch := benchMessages(size)
			b.ReportAllocs()
			b.ResetTimer()
			for n := 0; n < b.N; n += size {
				c.Deliver(batch)
				<-h.done
			}
			b.StopTimer()
			if h.bad > 0 {
				b.Errorf("%d were not processed", h.bad)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
			srv.Close()
			cancel()
			<-ended
		})
	}
}

// BenchmarkQueue is what a message costs without connection and goroutines: into the
// buffer, out of it, its barrier home, its outcome told.
func BenchmarkQueue(b *testing.B) {
	for _, size := range []int{1, 16, 256} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			c, err := New(Config{Server: "x:1", Domain: testDomain, Secret: "s", Barrier: BarrierSingle}, nil)
			if err != nil {
				b.Fatal(err)
			}
			q, home := c.q, uint64(0)
			q.open("p")
			var buf []byte
			var results []mapping.Result
			turn := func() {
				buf, _, _ = q.take(buf)
				now := time.Now()
				q.wrote(len(buf), now)
				for ; home < q.own.numbers; home++ {
					if _, err := q.homecoming(home+1, now); err != nil {
						b.Fatal(err)
					}
				}
				results, _ = q.collect(results, now)
			}
			turn()
			batch := benchMessages(size)
			b.ReportAllocs()
			b.ResetTimer()
			for n := 0; n < b.N; n += size {
				q.deliver(batch)
				turn()
				if len(results) != size {
					b.Fatalf("%d outcomes of %d", len(results), size)
				}
			}
		})
	}
}

func BenchmarkAppendEscaped(b *testing.B) {
	for _, tt := range []struct{ name, s string }{
		{"id", "k3jx7ql2m5c4v9tzwp8n000000"},
		{"text", strings.Repeat("The quick brown fox, it's said, jumps. ", 3)},
		{"markup", strings.Repeat("a < b && c > d; ", 7)},
		{"wide", strings.Repeat("naïve café — 日本 ", 5)},
	} {
		b.Run(tt.name, func(b *testing.B) {
			buf := make([]byte, 0, 1024)
			b.ReportAllocs()
			for b.Loop() {
				buf = appendEscaped(buf[:0], tt.s, true)
			}
		})
	}
}
