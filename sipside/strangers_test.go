package sipside

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/mapping"
)

// TestSilence: over UDP an address that is nobody's gets three answers a minute, whatever it
// sends, and the log one line (SEC-24, SEC-29).
func TestSilence(t *testing.T) {
	head := "MESSAGE sip:juliet@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.1:5060;rport;branch=z9hG4bKx\r\n"
	raw := func(s string) packet { return packet{b: []byte(s), to: stranger} }
	for name, tt := range map[string]struct {
		p    func() packet
		want int
	}{
		"MESSAGE":        {func() packet { return from(stranger) }, 403},
		"OPTIONS":        {func() packet { return from(stranger, "OPTIONS sip:juliet@example.com SIP/2.0", "CSeq: 1 OPTIONS") }, 403},
		"INVITE":         {func() packet { return from(stranger, "INVITE sip:juliet@example.com SIP/2.0", "CSeq: 1 INVITE") }, 403},
		"CANCEL":         {func() packet { return from(stranger, "CANCEL sip:juliet@example.com SIP/2.0", "CSeq: 1 CANCEL") }, 403},
		"unknown method": {func() packet { return from(stranger, "FROB sip:juliet@example.com SIP/2.0", "CSeq: 1 FROB") }, 403},
		"bad syntax":     {func() packet { return from(stranger, "-Call-ID") }, 400},
		"version":        {func() packet { return from(stranger, "MESSAGE sip:juliet@example.com SIP/9.0") }, 505},
		"no headers":     {func() packet { return raw(head + "\r\n") }, 400},
		"no empty line":  {func() packet { return raw(head) }, 400},
		"too short":      {func() packet { return raw(head + "Content-Length: 50\r\n\r\n") }, 400},
		"for sipgo":      {func() packet { return raw(head + "Content-Length: x\r\n\r\n") }, 400},
		"too many Vias":  {func() packet { return raw(head + strings.Repeat("Via: SIP/2.0/UDP a\r\n", 200) + "\r\n") }, 513},
		"ACK":            {func() packet { return from(stranger, "ACK sip:juliet@example.com SIP/2.0", "CSeq: 1 ACK") }, 0},
		"a response": {func() packet {
			return raw("SIP/2.0 200 OK\r\n" + head[len("MESSAGE sip:juliet@example.com SIP/2.0\r\n"):] + "\r\n")
		}, 0},
		"nothing of SIP": {func() packet { return raw("hello") }, 0},
		"with a password": {func() packet {
			return from(stranger, `Authorization: Digest username="a", realm="example.net", nonce="x", uri="x", response="x"`)
		}, 403},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBridge(processed)
				var log siptest.Buffer
				u, m := memUA(t, testConfig(), b)
				u.log = testLog(t, &log)
				for round := range 2 {
					for i := range 10 {
						want := tt.want
						if i >= strangerAnswers {
							want = 0
						}
						if got := m.status(t, tt.p()); got != want {
							t.Errorf("round %d: request %d gets %d, want %d", round, i, got, want)
						}
					}
					// Others are not concerned.
					if got := m.status(t, fromMem(fresh())); got != 200 {
						t.Fatalf("a peer gets %d", got)
					}
					time.Sleep(strangerWindow)
				}
				lines := strings.Count(log.String(), "\n")
				counted := u.stats.Strangers.Load()
				if answerable := tt.want != 0; answerable != (counted == 20) || answerable != (lines == 1) {
					t.Errorf("%d counted, %d lines in the log:\n%s", counted, lines, log.String())
				}
				if b.count() != 2 {
					t.Errorf("%d messages", b.count())
				}
			})
		})
	}
}

// TestManyStrangers: the table of those who get an answer is bounded, and when it is full new
// ones get none. IPv6 hosts are counted by their network.
func TestManyStrangers(t *testing.T) {
	var s strangers
	now := time.Unix(1e9, 0)
	first := netip.MustParseAddr("198.51.100.1")
	for i := range strangerAnswers + 1 {
		if got := s.mayAnswer(first, now); got != (i < strangerAnswers) {
			t.Errorf("answer %d: %t", i, got)
		}
	}
	other := netip.MustParseAddr("198.51.100.2")
	s.mayAnswer(other, now)
	a := netip.MustParseAddr("10.0.0.0")
	answered := 0
	for range 3 * maxStrangers {
		a = a.Next()
		if s.mayAnswer(a, now) {
			answered++
		}
	}
	if answered != maxStrangers-2 || len(s.answered.n) != maxStrangers {
		t.Errorf("%d of the new ones were answered, %d are in the table", answered, len(s.answered.n))
	}
	if !s.mayAnswer(other, now) {
		t.Error("one that was counted before is not answered")
	}
	if s.mayAnswer(first, now.Add(strangerWindow-1)) || !s.mayAnswer(first, now.Add(strangerWindow)) {
		t.Error("not one minute")
	}

	v6 := netip.MustParseAddr("2001:db8::")
	answered = 0
	for range 100 {
		v6 = v6.Next()
		if s.mayAnswer(v6, now.Add(strangerWindow)) {
			answered++
		}
	}
	if answered != strangerAnswers {
		t.Errorf("%d answers to one network", answered)
	}
	for range 3 * maxStrangers {
		a = a.Next()
		s.guess(a, now)
		if n := len(s.guessed.n); n > maxStrangers {
			t.Fatalf("%d who guess are in the table", n)
		}
	}
	for range strangerGuesses {
		if !s.mayGuess(first, now) {
			t.Error("may not guess")
		}
		s.guess(first, now)
	}
	if s.mayGuess(first, now) {
		t.Error("may guess for ever")
	}
}

// TestStrangersInLog: one line at once, then one every ten minutes for all that came.
func TestStrangersInLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log siptest.Buffer
		u, m := memUA(t, loginConfig(), newBridge(processed))
		u.log = testLog(t, &log)
		begun := time.Now()
		for i := range 7 * 100 { // two every six seconds, from 50 addresses
			for range 2 {
				m.ask(from(netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(i % 50)}), 5060), "-Call-ID"))
			}
			time.Sleep(6 * time.Second)
		}
		lines := strings.Split(strings.TrimSpace(log.String()), "\n")
		if want := int(time.Since(begun) / tellAgain); len(lines) != want {
			t.Fatalf("%d lines, want %d:\n%s", len(lines), want, log.String())
		}
		if !strings.Contains(lines[0], "requests=1 sources=1 last=198.51.100.0:5060 ") || !strings.Contains(lines[1], "requests=200 sources=50 ") {
			t.Errorf("%s\n%s", lines[0], lines[1])
		}
		for _, has := range []string{"level=INFO", "sip.peer.addresses", "sip.peer.username"} {
			if !strings.Contains(lines[0], has) {
				t.Errorf("no %s in %s", has, lines[0])
			}
		}
		if n := u.stats.Strangers.Load(); n != 2*7*100 {
			t.Errorf("%d are counted", n)
		}
		time.Sleep(tellAgain)
		first := asks(t, m.one(t, from(stranger))) // no line for who is only asked
		if strings.Count(log.String(), "\n") != len(lines) {
			t.Errorf("%s", log.String())
		}
		m.ask(from(stranger, branchFrom, credentials(t, "branch", "wrong", "MESSAGE", first...)))
		if s := log.String(); !strings.HasSuffix(s, "\n") || !strings.Contains(s[strings.LastIndex(s[:len(s)-1], "\n"):], "wrong_passwords=1 ") {
			t.Errorf("%s", s)
		}
	})
}

// TestStrangersOverStreams: a refusal over a connection counts, too.
func TestStrangersOverStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u, l, _ := memTCP(t, testConfig(), newBridge(processed))
		for i := range 5 {
			c := l.dial(stranger)
			got := readAll(c)
			fmt.Fprint(c, message("tcp"))
			synctest.Wait()
			if s := got(); !strings.HasPrefix(s, "SIP/2.0 403 ") || !strings.HasSuffix(s, "<end>") {
				t.Errorf("%d: %q", i, s)
			}
			c.Close()
		}
		if n := u.stats.Strangers.Load(); n != 5 {
			t.Errorf("%d are counted", n)
		}
	})
}

// TestNoBareChallenge: no 401 or 407 leaves without a challenge (ERR-10).
func TestNoBareChallenge(t *testing.T) {
	for _, status := range []int{401, 407} {
		if r := replyTo(status, &mapping.Failure{Status: status}); r.status != 403 {
			t.Errorf("%d is sent as %d", status, r.status)
		}
		if r := replyTo(status, &mapping.Failure{Status: status}, "WWW-Authenticate: Digest realm=\"x\"\r\n"); r.status != status {
			t.Errorf("%d with a challenge is sent as %d", status, r.status)
		}
	}
}

// TestManyStrangersBesideLogins: where peers log in, made-up sources keep none from being asked
// who it is, and get no more answers than a few.
func TestManyStrangersBesideLogins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u, m := memUA(t, loginConfig(), newBridge(processed))
		a := netip.MustParseAddr("10.0.0.0")
		flood := func(n int) (answered int) {
			for range n {
				a = a.Next()
				if u.strangers.mayAnswer(a, time.Now()) {
					answered++
				}
			}
			return answered
		}
		if n := flood(2 * maxStrangers); n != maxStrangers+strangerBeyond {
			t.Errorf("%d are answered at once", n)
		}
		if n := len(u.strangers.answered.n); n != maxStrangers {
			t.Errorf("%d are in the table", n)
		}
		for range 5 {
			time.Sleep(time.Second)
			flood(strangerBeyond - 1)
		}
		challenges := asks(t, m.one(t, from(stranger)))
		if got := m.status(t, from(stranger, branchFrom, credentials(t, "branch", loginPassword, "MESSAGE", challenges...))); got != 200 {
			t.Errorf("%d", got)
		}
		time.Sleep(time.Second)
		if n := flood(10 * strangerBeyond); n != strangerBeyond {
			t.Errorf("%d are answered in a second", n)
		}
	})
}
