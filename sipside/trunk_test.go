package sipside

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/internal/siptest"
)

// breaks are ways in which a header may be wrong; they get its name.
var breaks = []struct{ name, line string }{
	{"empty", "%s:"},
	{"blank", "%s: \t "},
	{"no colon", "%s"},
	{"a space before the name", " %s: x"},
	{"a control character", "%s: \x01"},
	{"NUL", "%s: a\x00b"},
	{"a bare CR", "%s: a\rb"},
	{"an open quote", "%s: \"a"},
	{"an open bracket", "%s: <sip:a@b"},
	{"only separators", "%s: ;,;=<>"},
	{"not UTF-8", "%s: \xff\xfe"},
	{"a number too large", "%s: 99999999999999999999"},
	{"negative", "%s: -1"},
	{"twice", "%[1]s: a\r\n%[1]s: b"},
	{"a fold and nothing", "%s: a\r\n "},
	{"long", "%s: " + strings.Repeat("x", 8000)},
}

// headers are those that are read, and one that is not.
var brokenHeaders = []string{"Via", "From", "To", "Call-ID", "CSeq", "Max-Forwards", "Content-Type", "Content-Encoding",
	"Content-Disposition", "Content-Language", "Date", "Expires", "Subject", "Require", "Contact", "Accept", "Warning", "User-Agent",
	"Retry-After", "Timestamp", "Route", "Authorization", "X-Unknown"}

// TestTrunkSurvives: a trunk has the messages of many on one connection. One with a header
// that is wrong costs itself: as long as its length can be told, those before and behind it
// are answered as if it were not there (RFC 3261 §18.3).
func TestTrunkSurvives(t *testing.T) {
	u := start(t, testConfig(), newBridge(processed))
	to := addr(u, "tcp")
	try := func(t *testing.T, name, bad string) {
		first, last := message("tcp"), message("tcp")
		got := exchange(t, to, first+bad+last)
		var branches []string
		for rest := got; rest != ""; {
			m, n, err := siptest.Parse([]byte(rest))
			if err != nil {
				t.Fatalf("%s: %v in %q", name, err, rest)
			}
			if rest = rest[n:]; m.Status() == 200 {
				branches = append(branches, m.Branch())
			}
		}
		for _, good := range []string{first, last} {
			_, branch, _ := strings.Cut(good, "branch=")
			branch, _, _ = strings.Cut(branch, "\r\n")
			if !slices.Contains(branches, branch) {
				t.Errorf("%s: a good one beside it was not answered: %q", name, got)
			}
		}
		if n := strings.Count(got, "SIP/2.0 "); n < 2 || n > 3 {
			t.Errorf("%s: %d answers to three messages", name, n)
		}
	}
	response := func(raw string) string {
		return strings.Replace(raw, "MESSAGE sip:juliet@example.com SIP/2.0", "SIP/2.0 200 OK", 1)
	}
	for _, header := range brokenHeaders {
		t.Run(header, func(t *testing.T) {
			for _, b := range breaks {
				// The row is taken out and another one put in: it may have no name to go by.
				raw := strings.Replace(message("tcp", "-"+header), "\r\n", "\r\n"+fmt.Sprintf(b.line, header)+"\r\n", 1)
				try(t, b.name, raw)
				try(t, b.name+", in a response", response(raw))
			}
		})
	}
	for name, line := range map[string]string{
		"method in small letters": "message sip:juliet@example.com SIP/2.0", "no method": " sip:juliet@example.com SIP/2.0",
		"no URI": "MESSAGE  SIP/2.0", "a URI that is none": "MESSAGE <> SIP/2.0", "two URIs": "MESSAGE sip:a@b sip:c@d SIP/2.0",
		"another version": "MESSAGE sip:juliet@example.com SIP/9.9", "no SIP": "MESSAGE sip:juliet@example.com HTTP/1.1",
		"a status that is none": "SIP/2.0 abc OK", "a status that is too large": "SIP/2.0 4294967301 OK", "no status": "SIP/2.0",
	} {
		raw := strings.Replace(message("tcp"), "MESSAGE sip:juliet@example.com SIP/2.0", line, 1)
		if !tokenChar[line[0]] || !strings.Contains(line, "SIP/") || line == "SIP/2.0" {
			// This is no SIP at all, and what follows may be anything.
			if got := statuses(t, exchange(t, to, message("tcp")+raw+message("tcp"))); len(got) == 0 || got[0] != 200 || len(got) > 2 {
				t.Errorf("%s: %v", name, got)
			}
			continue
		}
		try(t, name, raw)
	}
}

// TestManySources: nothing is kept of an address that something came from. Addresses can be
// made up.
func TestManySources(t *testing.T) {
	const sources = 20_000
	for name, edits := range map[string][]string{
		"a message": nil, "broken": {"-From"}, "no message": {"Content-Length: x"}, "a response": {"SIP/2.0 200 OK"},
	} {
		t.Run(name, func(t *testing.T) {
			u := fuzzUA(t)
			raw := []byte(siptest.Text("hi", lines("udp", "z9hG4bKsource", edits...)...))
			if edits != nil && strings.HasPrefix(edits[0], "SIP/2.0") {
				raw = append([]byte("SIP/2.0 200 OK\r\n"), raw[strings.Index(string(raw), "\r\n")+2:]...)
			}
			from := 0
			s := newUDPSocket(u, nil, netip.MustParseAddrPort("127.0.0.1:5060"))
			var before, after uint64
			look := func(n int) { // while the socket is being read: what is kept of sources may go with it
				s.mu.Lock()
				s.queue = nil
				s.mu.Unlock()
				switch {
				case n >= 2000 && before == 0:
					before = heap()
				case n == 2000+sources:
					after = heap()
				}
			}
			s.io = &sourcesIO{raw: raw, n: 2000 + sources, next: &from, look: look}
			s.serve()
			if before == 0 || after == 0 || after > before+512<<10 {
				t.Errorf("%d KiB are kept of %d sources", (after-before)>>10, sources)
			}
			if n := u.handler.(*bridge).count(); n > 0 {
				t.Errorf("%d messages of strangers were handed over", n)
			}
		})
	}
}

// sourcesIO gives one datagram n times, each from another address.
type sourcesIO struct {
	raw  []byte
	n    int
	next *int
	look func(sources int) // called now and then, with how many there were
}

func (s *sourcesIO) read(into []packet) (int, error) {
	s.look(*s.next)
	i := 0
	for ; i < min(len(into), 8) && s.n > 0; i, s.n = i+1, s.n-1 {
		*s.next++
		a := netip.AddrFrom4([4]byte{198, byte(18 + *s.next>>16), byte(*s.next >> 8), byte(*s.next)})
		into[i].b = into[i].b[:copy(into[i].b, s.raw)]
		into[i].to = netip.AddrPortFrom(a, 5060)
	}
	if i == 0 {
		return 0, net.ErrClosed
	}
	return i, nil
}
func (s *sourcesIO) write(p []packet) (int, error) { return len(p), nil }
func (s *sourcesIO) close() error                  { return nil }

// TestSlowSenders: a thousand connections on which the headers come byte by byte. Each is
// closed when the time for one message is over, whatever it sends; nobody else waits for
// them, and nothing of them is left.
func TestSlowSenders(t *testing.T) {
	const slow = 1000
	synctest.Test(t, func(t *testing.T) {
		b := newBridge(processed)
		cfg := testConfig()
		cfg.MaxConnections = slow + 10
		u, l, _ := memTCP(t, cfg, b)
		good := l.dial(memPeer)
		defer good.Close()
		answers := readAll(good)
		raw := message("tcp", "Subject: "+strings.Repeat("x", 200))
		var writers sync.WaitGroup
		ends := make(chan time.Duration, slow)
		began := time.Now()
		for range slow {
			c := l.dial(memPeer)
			writers.Go(func() {
				defer c.Close()
				for i := range len(raw) {
					if _, err := io.WriteString(c, raw[i:i+1]); err != nil {
						break
					}
					time.Sleep(time.Second)
				}
				ends <- time.Since(began)
			})
		}
		synctest.Wait()
		for i := range 20 {
			io.WriteString(good, message("tcp"))
			time.Sleep(time.Second)
			synctest.Wait()
			if n := strings.Count(answers(), "SIP/2.0 200"); n != i+1 {
				t.Fatalf("%d of %d messages were answered beside the slow ones", n, i+1)
			}
		}
		writers.Wait()
		close(ends)
		for d := range ends {
			if d < frameTimeout || d > frameTimeout+5*time.Second {
				t.Errorf("one had %v", d)
			}
		}
		synctest.Wait()
		u.conns.mu.Lock()
		defer u.conns.mu.Unlock()
		if n := len(u.conns.streams); n != 1 || u.conns.accepted != 1 {
			t.Errorf("%d connections are left, %d accepted", n, u.conns.accepted)
		}
	})
}

// TestPilesUp: a peer that asks and asks and never reads the answers. They pile up to a
// bound, then the connection is closed, and what was kept for it is given back.
func TestPilesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u, l, _ := memTCP(t, testConfig(), newBridge(processed))
		c := l.dial(memPeer)
		defer c.Close()
		var writer sync.WaitGroup
		sent := 0
		writer.Go(func() {
			for {
				raw := message("tcp")
				if _, err := io.WriteString(c, raw); err != nil {
					return
				}
				sent += len(raw)
			}
		})
		writer.Wait() // no time passes: it is the bound that ends it, not a deadline
		synctest.Wait()
		if sent < maxUnwritten/2 || sent > 4*maxUnwritten {
			t.Errorf("it was cut off after %d bytes of requests", sent)
		}
		u.conns.mu.Lock()
		defer u.conns.mu.Unlock()
		if len(u.conns.streams) != 0 || u.conns.accepted != 0 {
			t.Errorf("%d connections are left", len(u.conns.streams))
		}
	})
}

// TestConnectionsAreSmall: what a connection costs that has had a message and waits for the
// next one. Others decide how many there are, up to limits.max_connections.
func TestConnectionsAreSmall(t *testing.T) {
	const n, most = 300, 40 << 10
	u := start(t, testConfig(), newBridge(processed))
	before := heap()
	for range n {
		c, err := net.Dial("tcp", addr(u, "tcp").String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := io.WriteString(c, message("tcp")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, make([]byte, len("SIP/2.0 200 OK\r\n"))); err != nil {
			t.Fatal(err)
		}
	}
	if each := (heap() - before) / n; each > most {
		t.Errorf("%d bytes each, want %d at most", each, most)
	}
}
