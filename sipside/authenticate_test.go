package sipside

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/mapping"
	"github.com/stoxgw/stox/sipside/digest"
	"github.com/stoxgw/stox/sipside/locate"
)

const loginPassword = "correct horse battery"

// loginConfig has a peer that logs in, and may speak for its own domain only.
func loginConfig() Config {
	cfg := testConfig()
	cfg.Peers = []Peer{
		{Name: "branch office", Login: Login{"branch", loginPassword}, Domains: []string{"branch.example"}},
		{Name: "other office", Login: Login{"other", "another password"}, Domains: []string{"other.example"}},
	}
	return cfg
}

// asks are the challenges of a 401; the test fails if it is something else.
func asks(t testing.TB, res *siptest.Message) []string {
	t.Helper()
	all := res.All("WWW-Authenticate")
	if res.Status() != 401 || len(all) != 2 || !strings.Contains(all[0], "SHA-256") || !strings.Contains(all[1], "MD5") ||
		!strings.Contains(all[0], `realm="example.net"`) || len(res.All("Proxy-Authenticate")) != 0 {
		t.Fatalf("%s with %q, want the challenges of a 401", res.First, all)
	}
	return all
}

// credentials is the header line with which a user answers challenges.
func credentials(t testing.TB, user, password, method string, challenges ...string) string {
	t.Helper()
	var a digest.Attempt
	r := &digest.Request{Server: "gw", Method: method, URI: "sip:juliet@example.com", Body: []byte("hi")}
	if reply, _ := digest.NewClient(user, password).Answer(r, &a, challenges, nil); reply != digest.Again {
		t.Fatalf("%v to %q", reply, challenges)
	}
	return strings.TrimSuffix(a.Lines(), "\r\n")
}

const branchFrom = "From: <sip:romeo@branch.example>;tag=1"

// TestPeerLogin: a source that is nobody's is asked who it is, and is the peer that it proves to
// be, for this one request (SEC-29, RFC 3261 §22, RFC 8760).
func TestPeerLogin(t *testing.T) {
	options := []string{"OPTIONS sip:juliet@example.com SIP/2.0", "CSeq: 1 OPTIONS"}
	for name, tt := range map[string]struct {
		user, password string
		method         string
		first          int // which challenge is answered
		edits          []string
		want           int
	}{
		"SHA-256":              {user: "branch", password: loginPassword, edits: []string{branchFrom}, want: 200},
		"MD5":                  {user: "branch", password: loginPassword, first: 1, edits: []string{branchFrom}, want: 200},
		"OPTIONS":              {user: "branch", password: loginPassword, method: "OPTIONS", edits: options, want: 200},
		"the other":            {user: "other", password: "another password", edits: []string{"From: <sip:x@other.example>;tag=1"}, want: 200},
		"wrong password":       {user: "branch", password: "another password", edits: []string{branchFrom}, want: 401},
		"unknown user":         {user: "nobody", password: loginPassword, edits: []string{branchFrom}, want: 401},
		"for another method":   {user: "branch", password: loginPassword, method: "OPTIONS", edits: []string{branchFrom}, want: 401},
		"another's domain":     {user: "branch", password: loginPassword, edits: []string{"From: <sip:x@other.example>;tag=1"}, want: 403},
		"the default domain":   {user: "branch", password: loginPassword, edits: []string{"From: <sip:romeo@example.net>;tag=1"}, want: 403},
		"a served domain":      {user: "branch", password: loginPassword, edits: []string{"From: <sip:juliet@example.com>;tag=1"}, want: 403},
		"asserted, its own":    {user: "branch", password: loginPassword, edits: []string{"From: <sip:anonymous@anonymous.invalid>;tag=1", "P-Asserted-Identity: <sip:romeo@branch.example>"}, want: 200},
		"asserted, another's":  {user: "branch", password: loginPassword, edits: []string{"From: <sip:anonymous@anonymous.invalid>;tag=1", "P-Asserted-Identity: <sip:x@other.example>"}, want: 403},
		"syntax before":        {user: "branch", password: loginPassword, edits: []string{branchFrom, "-Call-ID"}, want: 400},
		"hops before":          {user: "branch", password: loginPassword, edits: []string{branchFrom, "Max-Forwards: 0"}, want: 483},
		"unknown method after": {user: "branch", password: loginPassword, method: "FROB", edits: []string{"FROB sip:juliet@example.com SIP/2.0", "CSeq: 1 FROB"}, want: 501},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBridge(processed)
				var log siptest.Buffer
				u, m := memUA(t, loginConfig(), b)
				u.log = testLog(t, &log)
				if tt.method == "" {
					tt.method = "MESSAGE"
				}
				challenges := asks(t, m.one(t, from(stranger)))
				line := credentials(t, tt.user, tt.password, tt.method, challenges[tt.first])
				if got := m.status(t, from(stranger, append(tt.edits, line)...)); got != tt.want {
					t.Errorf("%d, want %d", got, tt.want)
				}
				if n := b.count(); (n == 1) != (tt.want == 200 && tt.method == "MESSAGE") {
					t.Errorf("%d messages", n)
				}
				// It was for that one request.
				if got := m.status(t, from(stranger, tt.edits...)); got == 200 {
					t.Error("the next one did not have to prove anything")
				}
				c, _ := digest.ParseCredentials(strings.TrimPrefix(line, "Authorization: "))
				for _, secret := range []string{loginPassword, "another password", c.Response, c.Nonce, c.CNonce} {
					if strings.Contains(log.String(), secret) {
						t.Errorf("the log has %q:\n%s", secret, log.String())
					}
				}
			})
		})
	}
}

// TestPeerLoginCopies: a retransmission over UDP is answered like the first one, and its nonce
// does not count twice (SIP-14); a request that is another one may not use it again.
func TestPeerLoginCopies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, method := range []string{"MESSAGE", "OPTIONS"} {
			b := newBridge(nil) // which answers later
			_, m := memUA(t, loginConfig(), b)
			line := credentials(t, "branch", loginPassword, method, asks(t, m.one(t, from(stranger)))...)
			edits := []string{method + " sip:juliet@example.com SIP/2.0", "CSeq: 1 " + method, branchFrom, line}
			p := from(stranger, edits...)
			first := m.status(t, p)
			again := m.status(t, p)
			if method == "MESSAGE" {
				if first != 0 || again != 0 || b.count() != 1 {
					t.Fatalf("%s: %d, %d before there is an answer; %d messages", method, first, again, b.count())
				}
				b.ua.Answer([]mapping.Result{{Ref: b.refs[0], Outcome: mapping.Outcome{Kind: mapping.Processed}}})
				synctest.Wait()
				again = m.status(t, p)
			}
			if again != 200 || b.count() > 1 {
				t.Errorf("%s: the copy gets %d; %d messages", method, again, b.count())
			}
			// Another request with the credentials of the first.
			res := m.one(t, from(stranger, edits...))
			if res.Status() != 401 || !strings.Contains(res.Get("WWW-Authenticate"), "stale=true") || b.count() > 1 {
				t.Errorf("%s: a replay gets %s, %q", method, res.First, res.Get("WWW-Authenticate"))
			}
			line = credentials(t, "branch", loginPassword, method, asks(t, res)...)
			m.ask(from(stranger, edits[0], edits[1], edits[2], line))
			if method == "MESSAGE" && b.count() != 2 {
				t.Errorf("%d messages after a fresh nonce", b.count())
			}
		}
	})
}

// TestPeerLoginElsewhere: what was proved from one address counts there only.
func TestPeerLoginElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBridge(processed)
		_, m := memUA(t, loginConfig(), b)
		line := credentials(t, "branch", loginPassword, "MESSAGE", asks(t, m.one(t, from(stranger)))...)
		elsewhere := netip.MustParseAddrPort("198.51.100.2:5060")
		asks(t, m.one(t, from(elsewhere, branchFrom, line)))
		if got := m.status(t, from(netip.AddrPortFrom(stranger.Addr(), 1024), branchFrom, line)); got != 200 || b.count() != 1 {
			t.Errorf("from another port: %d, %d messages", got, b.count())
		}
	})
}

// TestPeerLoginPatience: over UDP nobody is asked more often than a stranger is answered, but for
// who has proved lately to be there; passwords cannot be tried for long.
func TestPeerLoginPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBridge(processed)
		cfg := loginConfig()
		u, m := memUA(t, cfg, b)
		var first []string
		for range strangerAnswers {
			first = asks(t, m.one(t, from(stranger)))
		}
		if got := m.status(t, from(stranger)); got != 0 {
			t.Fatalf("asked once more: %d", got)
		}
		wrong := from(stranger, branchFrom, credentials(t, "branch", "wrong", "MESSAGE", first...))
		if got := m.status(t, wrong); got != 0 {
			t.Errorf("a wrong password gets %d", got)
		}
		// Who has an answer to give is heard.
		if got := m.status(t, from(stranger, branchFrom, credentials(t, "branch", loginPassword, "MESSAGE", first...))); got != 200 {
			t.Fatalf("the right password gets %d", got)
		}
		for range 20 {
			asks(t, m.one(t, from(stranger)))
		}
		time.Sleep(loginKnown + time.Second)
		for range strangerAnswers {
			asks(t, m.one(t, from(stranger)))
		}
		if got := m.status(t, from(stranger)); got != 0 {
			t.Errorf("an hour later it is still known: %d", got)
		}

		// Passwords are tried, each with a challenge of ours.
		time.Sleep(strangerWindow)
		first = asks(t, m.one(t, from(stranger)))
		for i := range strangerGuesses {
			m.ask(from(stranger, branchFrom, credentials(t, "branch", fmt.Sprint(i), "MESSAGE", first...)))
		}
		before := b.count()
		if got := m.status(t, from(stranger, branchFrom, credentials(t, "branch", loginPassword, "MESSAGE", first...))); got != 0 || b.count() != before {
			t.Errorf("after %d wrong ones the right password gets %d", strangerGuesses, got)
		}
		other := netip.MustParseAddrPort("198.51.100.2:5060")
		right := credentials(t, "branch", loginPassword, "MESSAGE", asks(t, m.one(t, from(other)))...)
		if got := m.status(t, from(other, branchFrom, right)); got != 200 {
			t.Errorf("from another address meanwhile: %d", got)
		}
		time.Sleep(strangerWindow)
		right = credentials(t, "branch", loginPassword, "MESSAGE", asks(t, m.one(t, from(stranger)))...)
		if got := m.status(t, from(stranger, branchFrom, right)); got != 200 {
			t.Errorf("a minute later: %d", got)
		}
		if n := u.stats.Panics.Load(); n != 0 {
			t.Errorf("%d panics", n)
		}
	})
}

// TestForgedGuesses: who only sends in another's name, and so has read no challenge, cannot
// have it shut out.
func TestForgedGuesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBridge(processed)
		_, m := memUA(t, loginConfig(), b)
		right := credentials(t, "branch", loginPassword, "MESSAGE", asks(t, m.one(t, from(stranger)))...)
		attacker := netip.MustParseAddrPort("198.51.100.66:5060")
		theirs := asks(t, m.one(t, from(attacker)))
		for i := range 3 * strangerGuesses {
			m.ask(from(stranger, branchFrom, credentials(t, "branch", fmt.Sprint(i), "MESSAGE", theirs...)))
			m.ask(from(stranger, branchFrom, credentials(t, "branch", fmt.Sprint(i), "MESSAGE", `Digest realm="example.net", nonce="made up", qop="auth"`)))
			m.ask(from(stranger, branchFrom, `Authorization: Digest username="branch", realm="example.net", nonce="made up", uri="x", response="y"`))
		}
		if got := m.status(t, from(stranger, branchFrom, right)); got != 200 || b.count() != 1 {
			t.Errorf("the right password gets %d, %d messages", got, b.count())
		}
	})
}

// TestPeerLoginStream: a connection of nobody's has a few requests and half a minute to prove
// whose it is. Then it is a peer's, but each request still proves who sends it.
func TestPeerLoginStream(t *testing.T) {
	open := func(t *testing.T, cfg Config, b *bridge) (*UA, net.Conn, func() string) {
		u, l, _ := memTCPWith(t, cfg, b)
		c := l.dial(stranger)
		t.Cleanup(func() { c.Close() })
		return u, c, readAll(c)
	}
	last := func(t *testing.T, got func() string) *siptest.Message {
		t.Helper()
		s := got()
		res, _, err := siptest.Parse([]byte(s[strings.LastIndex(s, "SIP/2.0 401"):]))
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	t.Run("in time", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBridge(processed)
			u, c, got := open(t, loginConfig(), b)
			io.WriteString(c, message("tcp", branchFrom))
			synctest.Wait()
			line := credentials(t, "branch", loginPassword, "MESSAGE", asks(t, last(t, got))...)
			io.WriteString(c, message("tcp", branchFrom, line))
			synctest.Wait()
			if s := got(); !strings.Contains(s, "SIP/2.0 200 ") || b.count() != 1 {
				t.Fatalf("%q, %d messages", s, b.count())
			}
			time.Sleep(2 * frameTimeout)
			for range 3 * loginTries {
				io.WriteString(c, message("tcp", branchFrom)+"\r\n\r\n")
			}
			synctest.Wait()
			s := got()
			if n := strings.Count(s, "SIP/2.0 401 "); n != 1+3*loginTries || b.count() != 1 || strings.Contains(s, "<end>") {
				t.Errorf("%d times 401, %d messages: %q", n, b.count(), s)
			}
			u.conns.mu.Lock()
			if u.conns.strange != 0 || u.conns.accepted != 1 {
				t.Errorf("%d connections, %d of strangers", u.conns.accepted, u.conns.strange)
			}
			u.conns.mu.Unlock()
			c.Close()
			synctest.Wait()
			u.conns.mu.Lock()
			defer u.conns.mu.Unlock()
			if u.conns.strange != 0 || u.conns.accepted != 0 {
				t.Errorf("after the end %d connections, %d of strangers", u.conns.accepted, u.conns.strange)
			}
		})
	})
	for name, raw := range map[string]string{
		"never":          message("tcp", branchFrom),
		"never, OPTIONS": message("tcp", "OPTIONS sip:juliet@example.com SIP/2.0", "CSeq: 1 OPTIONS"),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBridge(processed)
				_, c, got := open(t, loginConfig(), b)
				go func() {
					for range 10 {
						io.WriteString(c, raw)
					}
				}()
				synctest.Wait()
				s := got()
				if n := strings.Count(s, "SIP/2.0 401 "); n != loginTries || strings.Count(s, "SIP/2.0 403 ") != 1 || !strings.HasSuffix(s, "<end>") || b.count() != 0 {
					t.Errorf("%d times 401, %d messages: %q", n, b.count(), s)
				}
			})
		})
	}
	t.Run("too slowly", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			_, c, got := open(t, loginConfig(), newBridge(processed))
			io.WriteString(c, message("tcp", branchFrom))
			time.Sleep(frameTimeout - time.Second)
			synctest.Wait()
			if s := got(); strings.HasSuffix(s, "<end>") {
				t.Fatalf("%q", s)
			}
			time.Sleep(2 * time.Second)
			synctest.Wait()
			if s := got(); !strings.HasSuffix(s, "<end>") {
				t.Errorf("%q", s)
			}
		})
	})
	t.Run("pings", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			_, c, got := open(t, loginConfig(), newBridge(processed))
			io.WriteString(c, "\r\n\r\n")
			synctest.Wait()
			if s := got(); s != "<end>" {
				t.Errorf("%q", s)
			}
		})
	})
}

// TestPeerLoginAndMore: an address or a certificate is enough; who has one is not asked.
func TestPeerLoginAndMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := siptest.NewCA(t, "Test CA")
		cfg := loginConfig()
		cfg.Peers[0].Addresses = []netip.Prefix{netip.MustParsePrefix("203.0.113.1/32")}
		cfg.Peers[0].TLSNames = []string{"branch.example"}
		b := newBridge(processed)
		_, l := secured(t, locate.TLS, cfg, ca, b, nil)
		for i, c := range []net.Conn{
			tlsClient(t, l, netip.MustParseAddrPort("203.0.113.1:5060")),
			tlsClient(t, l, stranger, ca.Issue(nil, "branch.example").Certificate),
		} {
			defer c.Close()
			got := readAll(c)
			io.WriteString(c, message("tls", branchFrom))
			synctest.Wait()
			if s := got(); !strings.HasPrefix(s, "SIP/2.0 200 ") || b.count() != i+1 {
				t.Errorf("%d: %q", i, s)
			}
		}
		c := tlsClient(t, l, stranger, ca.Issue(nil, "evil.example").Certificate)
		defer c.Close()
		got := readAll(c)
		io.WriteString(c, message("tls", branchFrom))
		synctest.Wait()
		if s := got(); !strings.HasPrefix(s, "SIP/2.0 401 ") {
			t.Errorf("%q", s)
		}
	})
}

// TestKnownLogins: the addresses at which peers were are remembered up to a number.
func TestKnownLogins(t *testing.T) {
	l := &authenticator{known: make(map[netip.Addr]time.Time)}
	now := time.Unix(1e9, 0)
	a := netip.MustParseAddr("10.0.0.0")
	for range 2 * maxLogins {
		a = a.Next()
		l.know(a, now)
		if !l.isKnown(a, now.Add(loginKnown-1)) || l.isKnown(a, now.Add(loginKnown)) {
			t.Fatal("not known for an hour")
		}
	}
	if n := len(l.known); n != maxLogins {
		t.Errorf("%d are known", n)
	}
}

// TestGuessesOfNeighbours: who shares an address with a peer, behind NAT, and tries passwords
// there, does not shut out the peer, whose port is another one.
func TestGuessesOfNeighbours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBridge(processed)
		_, m := memUA(t, loginConfig(), b)
		right := func(source netip.AddrPort) packet {
			return from(source, branchFrom, credentials(t, "branch", loginPassword, "MESSAGE", asks(t, m.one(t, from(source)))...))
		}
		if got := m.status(t, right(stranger)); got != 200 {
			t.Fatalf("%d", got)
		}
		neighbour := netip.AddrPortFrom(stranger.Addr(), 40000)
		theirs := asks(t, m.one(t, from(neighbour)))
		for i := range 2 * strangerGuesses {
			m.ask(from(neighbour, branchFrom, credentials(t, "branch", fmt.Sprint(i), "MESSAGE", theirs...)))
		}
		if got := m.status(t, right(neighbour)); got != 403 {
			t.Errorf("the neighbour may go on: %d", got)
		}
		if got := m.status(t, right(stranger)); got != 200 || b.count() != 2 {
			t.Errorf("the peer gets %d, %d messages", got, b.count())
		}
		// With the first wrong one it is a source like others.
		m.ask(from(stranger, branchFrom, credentials(t, "branch", "wrong", "MESSAGE", theirs...)))
		if got := m.status(t, right(stranger)); got != 403 {
			t.Errorf("after a wrong password of its own it gets %d", got)
		}
	})
}

// TestRefusedLoginCopies: a copy of a request that proved who sent it, and was refused, gets the
// same refusal, and is not asked again.
func TestRefusedLoginCopies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, m := memUA(t, loginConfig(), newBridge(processed))
		line := credentials(t, "branch", loginPassword, "MESSAGE", asks(t, m.one(t, from(stranger)))...)
		p := from(stranger, "From: <sip:x@other.example>;tag=1", line)
		for i := range 3 {
			if got := m.status(t, p); got != 403 {
				t.Errorf("copy %d gets %d, want 403", i, got)
			}
		}
	})
}

// TestProvedSources: they are remembered up to a number, too.
func TestProvedSources(t *testing.T) {
	l := &authenticator{known: make(map[netip.Addr]time.Time), proved: make(map[netip.AddrPort]time.Time)}
	now := time.Unix(1e9, 0)
	for i := range 2 * maxLogins {
		s := netip.AddrPortFrom(stranger.Addr(), uint16(i+1))
		l.prove(s, now)
		if !l.hasProved(s, now.Add(loginKnown-1)) || l.hasProved(s, now.Add(loginKnown)) {
			t.Fatal("not known for an hour")
		}
	}
	if n := len(l.proved); n != maxLogins {
		t.Errorf("%d are known", n)
	}
}

// TestPeerReturns: a peer that comes back over another connection may send all that it has
// before it is asked who it is.
func TestPeerReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBridge(processed)
		_, l, _ := memTCPWith(t, loginConfig(), b)
		open := func() (net.Conn, func() string) {
			c := l.dial(stranger)
			t.Cleanup(func() { c.Close() })
			return c, readAll(c)
		}
		c, got := open()
		io.WriteString(c, message("tcp", branchFrom))
		synctest.Wait()
		res, _, err := siptest.Parse([]byte(got()))
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, message("tcp", branchFrom, credentials(t, "branch", loginPassword, "MESSAGE", asks(t, res)...)))
		synctest.Wait()
		if b.count() != 1 {
			t.Fatalf("%q", got())
		}
		c, got = open()
		go func() {
			for range returnTries + 2 {
				io.WriteString(c, message("tcp", branchFrom))
			}
		}()
		synctest.Wait()
		s := got()
		if n, m := strings.Count(s, "SIP/2.0 401 "), strings.Count(s, "SIP/2.0 403 "); n != returnTries || m != 1 || !strings.HasSuffix(s, "<end>") {
			t.Errorf("%d times 401, %d times 403", n, m)
		}
	})
}
