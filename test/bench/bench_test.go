package bench

import (
	"fmt"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// text is a body of so many octets.
func text(octets int) string {
	return strings.Repeat("Art thou not Romeo, and a Montague? ", octets/36+1)[:octets]
}

// BenchmarkSIPToXMPP is a request to its 200, which comes behind the barrier.
func BenchmarkSIPToXMPP(b *testing.B) {
	for _, network := range []string{"udp", "tcp"} {
		for _, window := range []int{16, 256} {
			b.Run(fmt.Sprintf("%s/%d", network, window), func(b *testing.B) {
				w := start(b)
				c := w.caller(network, 100, text(100))
				w.fromSIP(c, 1000, window)
				w.measure(b, func() { w.fromSIP(c, b.N, window) })
			})
		}
	}
}

// BenchmarkXMPPToSIP is a message to the answer of the phone, with the journal.
func BenchmarkXMPPToSIP(b *testing.B) {
	for _, window := range []int{16, 256} {
		b.Run(fmt.Sprint(window), func(b *testing.B) {
			w := start(b)
			w.fromXMPP(1000, window, 100, text(100))
			w.measure(b, func() { w.fromXMPP(b.N, window, 100, text(100)) })
		})
	}
}

// Cost has to grow with the messages and not with the number of those who write, of
// connections, or faster than the texts.

func BenchmarkUsers(b *testing.B) {
	for _, users := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprint("sip-xmpp/", users), func(b *testing.B) {
			w := start(b)
			c := w.caller("udp", users, text(100))
			w.fromSIP(c, users, 64)
			w.measure(b, func() { w.fromSIP(c, b.N, 64) })
		})
		b.Run(fmt.Sprint("xmpp-sip/", users), func(b *testing.B) {
			w := start(b)
			w.fromXMPP(users, 64, users, text(100))
			w.measure(b, func() { w.fromXMPP(b.N, 64, users, text(100)) })
		})
	}
}

func BenchmarkBody(b *testing.B) {
	for _, octets := range []int{100, 1000, 10_000} {
		b.Run(fmt.Sprint(octets), func(b *testing.B) {
			w := start(b)
			c := w.caller("tcp", 100, text(octets))
			w.fromSIP(c, 1000, 64)
			b.SetBytes(int64(octets))
			w.measure(b, func() { w.fromSIP(c, b.N, 64) })
		})
	}
}

func BenchmarkConnections(b *testing.B) {
	for _, n := range []int{1, 100} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			w := start(b)
			var all []*caller
			for range n {
				all = append(all, w.caller("tcp", 100, text(100)))
			}
			w.fromAll(all, 1000, 128)
			w.measure(b, func() { w.fromAll(all, b.N, 128) })
		})
	}
}

// BenchmarkRate is what a message costs when they come steadily, so many a second: the fewer
// there are, the fewer share a batch.
func BenchmarkRate(b *testing.B) {
	for _, rate := range []int{100, 1000, 20_000} {
		b.Run(fmt.Sprint(rate), func(b *testing.B) {
			w := start(b)
			c := w.caller("udp", 100, text(100))
			w.fromSIP(c, 1000, 16)
			w.measure(b, func() {
				const tick = 10 * time.Millisecond
				each := max(rate/int(time.Second/tick), 1)
				clock := time.NewTicker(time.Duration(each) * time.Second / time.Duration(rate))
				defer clock.Stop()
				for left := b.N; left > 0; left -= each {
					<-clock.C
					w.fromSIP(c, min(each, left), each)
				}
			})
		})
	}
}

// fromSIP has n messages come from SIP and checks that the XMPP server has got each.
func (w *world) fromSIP(c *caller, n, window int) {
	before := w.server.messages.Load()
	if err := c.run(n, window); err != nil {
		w.tb.Fatal(err)
	}
	if got := w.server.messages.Load() - before; got != int64(n) {
		w.tb.Fatalf("%d messages have come of %d", got, n)
	}
}

// fromAll shares n messages among connections that have a share of the window each.
func (w *world) fromAll(all []*caller, n, window int) {
	share := (n + len(all) - 1) / len(all)
	ended := make(chan error, len(all))
	for _, c := range all {
		go func() { ended <- c.run(share, max(window/len(all), 1)) }()
	}
	for range all {
		if err := <-ended; err != nil {
			w.tb.Fatal(err)
		}
	}
}

// fromXMPP has n messages come from XMPP, of which as many as window are under way.
func (w *world) fromXMPP(n, window, users int, body string) {
	errors := w.server.errors.Load()
	room := make(chan struct{}, window)
	for range window {
		room <- struct{}{}
	}
	answered := func() { room <- struct{}{} }
	w.phone.each.Store(&answered)
	for i := 0; i < n; {
		<-room
		k := 1
		for k < min(window, n-i) && len(room) > 0 {
			<-room
			k++
		}
		w.server.send(i, k, users, body)
		i += k
	}
	for range window {
		<-room
	}
	if got := w.server.errors.Load(); got != errors {
		w.tb.Fatalf("%d messages have failed", got-errors)
	}
}

// measure runs what has b.N messages and reports what one of them takes.
func (w *world) measure(b *testing.B, run func()) {
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	cpu, began := processTime(b), time.Now()
	b.ResetTimer()
	run()
	b.StopTimer()
	took := time.Since(began)
	cpu = processTime(b) - cpu
	runtime.ReadMemStats(&after)
	n := float64(b.N)
	b.ReportMetric(n/took.Seconds(), "msg/s")
	b.ReportMetric(float64(after.Mallocs-before.Mallocs)/n, "allocs/msg")
	b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/n, "B/msg")
	b.ReportMetric(float64(cpu.Nanoseconds())/n, "cpu-ns/msg") // of the peers, too
}

// processTime is the CPU time of this process.
func processTime(tb testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
