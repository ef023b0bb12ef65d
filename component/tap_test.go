package component

import (
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stoxgw/stox/internal/xmpptest"
)

// tapped is a Tap that remembers.
type tapped struct {
	off  atomic.Bool
	mu   sync.Mutex
	in   []string
	out  []string
	from netip.AddrPort
}

func (t *tapped) On() bool { return !t.off.Load() }

func (t *tapped) Stanzas(in bool, component string, server netip.AddrPort, data []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.from = server; component != testDomain {
		panic(component)
	}
	if in {
		t.in = append(t.in, string(data))
	} else {
		t.out = append(t.out, string(data))
	}
}

func (t *tapped) seen() (in, out []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.in), slices.Clone(t.out)
}

// TestTap: the whole of a stream is shown, from its beginning to its end, each stanza that was
// read by itself, and what was written as the server has it.
func TestTap(t *testing.T) {
	var tap tapped
	r, conn := loopback(t, xmpptest.Options{}, func(c *Config) { c.Tap = &tap })
	long := "<message from='juliet@example.com/a' to='romeo@sip.example.com' id='long'><body>" + strings.Repeat("wherefore &amp; ", 10000) + "</body></message>"
	short := "<message from='juliet@example.com/a' to='romeo@sip.example.com' id='short'><body>hi</body></message>"
	send(t, conn, "\n "+short+" \n"+long+short)
	r.sink.wait(3)
	r.Deliver(parcels(message("m1", "out")))
	r.sink.waitSettled(1)
	var written strings.Builder
	for _, st := range fence(t, conn) {
		written.WriteString(st.Raw)
	}
	r.stop()

	in, out := tap.seen()
	if !strings.HasPrefix(in[0], "<?xml") && !strings.HasPrefix(in[0], "<stream:stream ") || !strings.HasPrefix(in[1], "<handshake") {
		t.Errorf("it begins with %q", in[:2])
	}
	for _, want := range []string{short, long} {
		if !slices.Contains(in, want) {
			t.Errorf("%.100q is not among what was read", want)
		}
	}
	if n := len(slices.DeleteFunc(slices.Clone(in), func(s string) bool { return s != short })); n != 2 {
		t.Errorf("%d copies of a stanza that came twice", n)
	}
	if last := in[len(in)-1]; last != "</stream:stream>" {
		t.Errorf("it ends with %q", last)
	}
	all := strings.Join(out, "")
	if !strings.HasPrefix(all, "<?xml version='1.0'?><stream:stream ") || !strings.Contains(all, "<handshake>") || !strings.HasSuffix(all, "</stream:stream>") {
		t.Errorf("%.300q ... %q", all, all[len(all)-50:])
	}
	if !strings.Contains(all, written.String()) || !strings.Contains(written.String(), ">out<") {
		t.Errorf("%q is not in %q", written.String(), all)
	}
	if tap.from.String() != r.srv.Addr() {
		t.Errorf("server %v, not %s", tap.from, r.srv.Addr())
	}
}

// TestTapInPieces: however the octets of a stream come, its stanzas are shown as they are; one that
// is begun when somebody begins to look is not shown in part.
func TestTapInPieces(t *testing.T) {
	one := "<message from='a@b' to='c@sip.example.com'><body>" + strings.Repeat("x", 100) + "</body></message>"
	text := "<stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' id='1'>" + one + " <iq/>\n" + one
	want := []string{"<stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' id='1'>", one, "<iq/>", one}
	for _, size := range []int{len(text) + 1, 512, 64, 16} {
		for step := 1; step < len(text)+7; step += 1 + step/3 {
			var tap tapped
			src := source{buf: make([]byte, size)}
			rest := text
			s := scanner{source: src}
			s.fill = func(b []byte) (int, error) {
				n := copy(b, rest[:min(step, len(rest))])
				if rest = rest[n:]; n == 0 {
					return 0, errLinkEnded
				}
				return n, nil
			}
			s.tape.tapped = tap.On
			var got []string
			s.begin(16 << 10)
			if _, _, err := s.header(); err != nil {
				t.Fatal(err)
			}
			got = append(got, string(s.played()))
			for {
				if _, _, err := s.stanza(1 << 20); err != nil {
					break
				}
				got = append(got, string(s.played()))
			}
			if !slices.Equal(got, want) {
				t.Fatalf("buffer %d, step %d: %q", size, step, got)
			}
			if n := len(s.played()); n != 0 {
				t.Errorf("%d octets after the end", n)
			}
		}
	}
}

// TestTapOfTheBad: what is no XML ends the link, and is shown as it came.
func TestTapOfTheBad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tap tapped
		r, conn := memory(t, xmpptest.Options{}, func(c *Config) { c.Tap = &tap })
		send(t, conn, "<message><body>x</bod></message>")
		synctest.Wait()
		in, _ := tap.seen()
		if last := in[len(in)-1]; !strings.HasPrefix("<message><body>x</bod></message>", last) || !strings.HasPrefix(last, "<message><body>x</bod") {
			t.Errorf("%q", last)
		}
		r.stop()
	})
}

// TestTapOff: nothing is shown and nothing kept while nobody looks, and a stanza is shown whole or
// not at all.
func TestTapOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tap tapped
		tap.off.Store(true)
		r, conn := memory(t, xmpptest.Options{}, func(c *Config) { c.Tap = &tap })
		send(t, conn, "<message from='juliet@example.com/a' to='romeo@sip.example.com'><bo")
		synctest.Wait()
		tap.off.Store(false)
		send(t, conn, "dy>one</body></message>")
		synctest.Wait()
		if in, _ := tap.seen(); len(in) > 0 {
			t.Errorf("%q of a stanza that had begun", in)
		}
		two := "<message from='juliet@example.com/a' to='romeo@sip.example.com'><body>two</body></message>"
		send(t, conn, two)
		synctest.Wait()
		if in, _ := tap.seen(); len(in) != 1 || in[0] != two {
			t.Errorf("%q", in)
		}
		tap.off.Store(true)
		send(t, conn, two)
		synctest.Wait()
		if in, _ := tap.seen(); len(in) != 1 {
			t.Errorf("%q while nobody looks", in)
		}
		r.stop()
	})
}

// TestTapHugeStanza: of a stanza beyond all bounds so much is kept and no more, and the next one
// is shown as ever.
func TestTapHugeStanza(t *testing.T) {
	var tap tapped
	src := source{buf: make([]byte, readSize)}
	text := "<message>" + strings.Repeat("x", 3<<20) + "</message><iq/>"
	src.fill = func(b []byte) (int, error) {
		n := copy(b, text)
		text = text[n:]
		return n, nil
	}
	s := scanner{source: src}
	s.tape.tapped = tap.On
	if _, over, err := s.stanza(1 << 20); err != nil || over == "" {
		t.Fatal(over, err)
	}
	if n := len(s.played()); n != maxTape {
		t.Errorf("%d octets are kept", n)
	}
	if _, _, err := s.stanza(1 << 20); err != nil || string(s.played()) != "<iq/>" || cap(s.tape.kept) > keepTape {
		t.Errorf("%v, %q, %d octets", err, s.played(), cap(s.tape.kept))
	}
}

// BenchmarkTap compares a reader that nobody looks at with one that has no Tap at all.
func BenchmarkTap(b *testing.B) {
	var tap tapped
	tap.off.Store(true)
	one := []byte("<message from='juliet@example.com/a' to='romeo@sip.example.com' id='1' type='chat'><body>hi</body></message>")
	for _, with := range []bool{false, true} {
		b.Run(fmt.Sprint("tap=", with), func(b *testing.B) {
			cfg := Config{Server: "x:1", Domain: testDomain, Secret: "s"}
			if with {
				cfg.Tap = &tap
			}
			c, err := New(cfg, slog.New(slog.DiscardHandler))
			if err != nil {
				b.Fatal(err)
			}
			l := &link{cfg: &c.cfg, q: c.q}
			l.rd = newReader(l, newSink())
			l.rd.scan.fill = func(p []byte) (int, error) { return copy(p, one), nil }
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := l.rd.next(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
