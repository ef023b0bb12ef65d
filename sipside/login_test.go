package sipside

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/mapping"
	"github.com/stoxgw/stox/sipside/digest"
	"github.com/stoxgw/stox/sipside/locate"
)

// SEC-05: a challenge is answered once, within one Deliver; the next request says at once
// who it is of.
func TestLogin(t *testing.T) {
	for _, network := range []string{"udp", "tcp"} {
		for _, status := range []int{401, 407} {
			t.Run(fmt.Sprint(network, status), func(t *testing.T) {
				p := siptest.Listen(t, network)
				a := newAsker(status, "BroadWorks")
				p.Answer(guarded(a))
				u, b, _ := startLogin(t, loginRoute(p))
				for i := range 3 {
					u.Deliver(parcel(i, toExample(i)))
					want := mapping.Outcome{Kind: mapping.Answered, Status: 200}
					if i == 0 {
						want.CSeq = toExample(0).CSeq + 1
					}
					if o := b.outcome(i); o != want {
						t.Errorf("request %d: %+v", i, o)
					}
				}
				all := p.Await(4)
				by := map[int]string{401: "w", 407: "p"}[status]
				if got, want := steps(all), fmt.Sprintf("1, 2 %s1, 2 %s2, 3 %s3", by, by, by); got != want {
					t.Errorf("sent %s, want %s", got, want)
				}
				first, second := all[0], all[1]
				if first.Branch() == second.Branch() || first.Get("Call-ID") != second.Get("Call-ID") || first.Get("From") != second.Get("From") ||
					!bytes.Equal(first.Body, second.Body) || first.First != second.First || first.Source != second.Source {
					t.Errorf("%v\nwas asked and sent again as\n%v", first, second)
				}
				c, _ := digest.ParseCredentials(second.Get(a.answer))
				if c.Algorithm != "SHA-256" || c.URI != "sip:romeo@example.org" || c.QOP != "auth" {
					t.Errorf("%+v", c)
				}
				if n := u.client.open.count; n != 0 {
					t.Errorf("%d are open", n)
				}
			})
		}
	}
}

// SEC-05: how challenges end that are not simply answered.
func TestChallenges(t *testing.T) {
	const digestOf = `Digest realm="%s", nonce="%s", qop="auth"`
	www := func(status int, values ...string) func(*siptest.Message) string {
		return func(m *siptest.Message) string {
			var lines []string
			for _, v := range values {
				lines = append(lines, "WWW-Authenticate: "+v)
			}
			return m.Reply(status, "No", lines...)
		}
	}
	var n atomic.Int32
	fresh := func(stale bool) func(*siptest.Message) string {
		return func(m *siptest.Message) string {
			return www(401, fmt.Sprintf(digestOf+", stale=%v", "x", fmt.Sprint("n", n.Add(1)), stale))(m)
		}
	}
	for _, tt := range []struct {
		name   string
		answer func(*siptest.Message) string
		edit   func(r *Route)
		status int
		steps  string
		log    string
	}{
		{name: "wrong password", answer: guarded(newAsker(401, "x")), edit: func(r *Route) { r.Login.Password = "wrong" }, status: 401, steps: "1, 2 w1", log: "does not accept who we are"},
		{name: "unknown user", answer: guarded(newAsker(407, "x")), edit: func(r *Route) { r.Login.Username = "stax" }, status: 407, steps: "1, 2 p1", log: "does not accept who we are"},
		{name: "no login", answer: guarded(newAsker(401, "x")), edit: func(r *Route) { r.Login = Login{} }, status: 401, steps: "1"},
		{name: "407 then 401", answer: guarded(newAsker(407, "proxy"), newAsker(401, "server")), status: 200, steps: "1, 2 p1, 3 w1 p2"},
		{name: "401 then 407", answer: guarded(newAsker(401, "server"), newAsker(407, "proxy")), status: 200, steps: "1, 2 w1, 3 w2 p1"},
		{name: "a second realm", answer: guarded(newAsker(401, "one"), newAsker(401, "two")), status: 401, steps: "1, 2 w1", log: "its realm is none"},
		{name: "Basic", answer: www(401, `Basic realm="x"`), status: 401, steps: "1", log: "cannot be answered"},
		{name: "Basic before digest", answer: www(401, `Basic realm="x"`, fmt.Sprintf(digestOf, "x", "n")), status: 401, steps: "1, 2 w1"},
		{name: "no challenge", answer: www(401), status: 401, steps: "1", log: "cannot be answered"},
		{name: "an unknown algorithm", answer: www(401, fmt.Sprintf(digestOf, "x", "n")+", algorithm=SHA3"), status: 401, steps: "1", log: "cannot be answered"},
		{name: "an unknown algorithm first", answer: www(401, fmt.Sprintf(digestOf, "x", "n")+", algorithm=SHA3", fmt.Sprintf(digestOf, "x", "n")), status: 401, steps: "1, 2 w1"},
		{name: "always stale", answer: fresh(true), status: 401, steps: "1, 2 w1, 3 w1, 4 w1", log: "does not accept who we are"},
		{name: "the same nonce, stale", answer: www(401, fmt.Sprintf(digestOf, "x", "n")+", stale=true"), status: 401, steps: "1, 2 w1"},
		{name: "fresh nonces", answer: fresh(false), status: 401, steps: "1, 2 w1"},
		{name: "a challenge with another status", answer: www(403, fmt.Sprintf(digestOf, "x", "n")), status: 403, steps: "1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := siptest.Listen(t, "udp")
			p.Answer(tt.answer)
			r := loginRoute(p)
			if tt.edit != nil {
				tt.edit(&r)
			}
			u, b, log := startLogin(t, r)
			u.Deliver(parcel("x", toExample(0)))
			o := b.outcome("x")
			if o.Kind != mapping.Answered || o.Status != tt.status || (o.Failure == nil) != (tt.status == 200) {
				t.Errorf("%+v", o)
			}
			got := p.Requests()
			if steps := steps(got); steps != tt.steps {
				t.Errorf("sent %s, want %s", steps, tt.steps)
			}
			last := uint32(len(got))
			if last == 1 {
				last = 0
			}
			if o.CSeq != last {
				t.Errorf("CSeq %d of %d", o.CSeq, last)
			}
			if !strings.Contains(log.String(), tt.log) {
				t.Errorf("%q is not in\n%s", tt.log, log)
			}
		})
	}
}

// ERR-10: what the sender is told of a challenge that ends a request.
func TestChallengeIsAFailure(t *testing.T) {
	for status, want := range map[int]mapping.Condition{401: mapping.CondNotAuthorized, 407: mapping.CondRegistrationRequired} {
		p := siptest.Listen(t, "udp")
		p.Answer(guarded(newAsker(status, "x")))
		r := loginRoute(p)
		r.Login.Password = "wrong"
		u, b, _ := startLogin(t, r)
		u.Deliver(parcel("x", toExample(0)))
		if o := b.outcome("x"); o.Failure.Condition != want || o.Failure.Status != 403 || !strings.Contains(o.Failure.Remedy, "sip.route.username") {
			t.Errorf("%d: %+v", status, o.Failure)
		}
	}
}

// The domain of the route is answered wherever it asks; a stranger's realm is not, and no
// longer in the log than it has to be.
func TestRealmsOfARoute(t *testing.T) {
	p := siptest.Listen(t, "udp")
	var realm atomic.Pointer[string]
	p.Answer(func(m *siptest.Message) string { return guarded(newAsker(407, *realm.Load()))(m) })
	r := loginRoute(p)
	r.Domain = "example.org"
	u, b, log := startLogin(t, r)
	for i, tt := range []struct {
		realm  string
		status int
	}{{"first", 200}, {"Example.Org", 200}, {"example.net", 200}, {"127.0.0.1", 200}, {strings.Repeat("evil", 100), 407}, {"first", 200}} {
		realm.Store(&tt.realm)
		u.Deliver(parcel(i, toExample(i)))
		if o := b.outcome(i); o.Status != tt.status {
			t.Errorf("%s: %+v", tt.realm, o)
		}
	}
	if n := strings.Count(log.String(), "evil"); n == 0 || n > 25 {
		t.Errorf("evil is %d times in\n%s", n, log)
	}
}

// A server that somebody's message leads to behind our next hop can ask whatever it likes:
// others still get through.
func TestChallengeOfAStranger(t *testing.T) {
	p := siptest.Listen(t, "udp")
	trunk := newAsker(407, "trunk")
	long := fmt.Sprintf(`: Digest realm="trunk", nonce="%s", qop="auth", stale=true`, strings.Repeat("n", 1500))
	p.Answer(func(m *siptest.Message) string {
		if raw := trunk.ask(m, time.Now()); raw != "" {
			return raw
		}
		if strings.Contains(m.First, "evil") {
			return m.Reply(407, "No", "Proxy-Authenticate"+long, "WWW-Authenticate"+long)
		}
		return m.Reply(200, "OK")
	})
	r := loginRoute(p)
	r.Size = SizeReject
	u, b, _ := startLogin(t, r)
	for i := range 4 {
		m := toExample(i)
		if i%2 == 0 {
			m.RequestURI.Host = "evil.example"
		}
		u.Deliver(parcel(i, m))
		if o := b.outcome(i); (o.Status == 200) != (i%2 == 1) {
			t.Errorf("request %d: %+v", i, o)
		}
	}
}

// Without a next hop a route for all domains leads to strangers: they are told nothing. One
// for a domain is for that domain.
func TestLoginWithoutNextHop(t *testing.T) {
	for domain, want := range map[string]string{"*": "1", "127.0.0.1": "1, 2 w1"} {
		p := siptest.Listen(t, "udp")
		p.Answer(guarded(newAsker(401, "x")))
		u, b, _ := startLogin(t, Route{Domain: domain, Login: Login{"stox", passphrase}})
		u.Deliver(parcel("x", outgoing(p, 0)))
		b.outcome("x")
		if got := steps(p.Requests()); got != want {
			t.Errorf("%s: sent %s, want %s", domain, got, want)
		}
	}
}

// What a route says over TLS it does not say without.
func TestLoginOnlyOverTLS(t *testing.T) {
	r := &Route{Domain: "*", Via: mapping.MustParseURI("sip:192.0.2.9;transport=tls"), Login: Login{"stox", passphrase}}
	cfg := testConfig()
	cfg.Routes = []Route{*r}
	u, err := New(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	l := u.current().logins[u.current().routes[0]]
	f := &fields{wwwAuth: []string{`Digest realm="x", nonce="n", qop="auth"`}}
	for _, kind := range []locate.Transport{locate.TLS, locate.WSS, locate.UDP, locate.TCP, locate.WS} {
		want := kind.Secure()
		req, _ := requestOf(toExample(0))
		tx := &clientTx{req: req, login: l, to: locate.Target{Transport: kind, Addr: memPeer}}
		if got := l.answer(tx, 401, f); got != want || (tx.attempt.Lines() != "") != want {
			t.Errorf("%v: %v", kind, got)
		}
		next := &clientTx{req: req, login: l}
		if l.begin(next, tx.to); (next.req.auth != "") != want {
			t.Errorf("%v: %q unasked", kind, next.req.auth)
		}
	}
}

// A request of ours is answered below whoever sent it.
func TestLoginOfOurs(t *testing.T) {
	p := siptest.Listen(t, "udp")
	p.Answer(guarded(newAsker(401, "x")))
	u, _, _ := startLogin(t, loginRoute(p))
	h, f := u.hopOf(u.current().routes[0], u.current().logins[u.current().routes[0]])
	if f != nil {
		t.Fatal(f)
	}
	req, _ := requestOf(toExample(0))
	req.method, req.SIPMessage.ContentType, req.SIPMessage.Body = methodRegister, "", nil
	done := make(chan mapping.Outcome, 2)
	u.client.ask(req, h, func(a ownAnswer) { done <- a.Outcome })
	if o := <-done; o.Status != 200 || o.CSeq != 2 {
		t.Errorf("%+v", o)
	}
	if got := p.Requests(); steps(got) != "1, 2 w1" || got[1].Get("CSeq") != "2 REGISTER" {
		t.Errorf("sent %s", steps(got))
	}
}

// CSeq stays below 2^31: the last number cannot be followed (RFC 3261 §8.1.1.5).
func TestLastCSeq(t *testing.T) {
	p := siptest.Listen(t, "udp")
	p.Answer(guarded(newAsker(401, "x")))
	u, b, _ := startLogin(t, loginRoute(p))
	for n, want := range map[uint32]int{1<<31 - 2: 200, 1<<31 - 1: 401} {
		m := toExample(0)
		m.RequestURI.User, m.CSeq = fmt.Sprint(n), n
		m.RequestURI.Host = fmt.Sprint("h", n, ".example") // nothing is said unasked there
		u.Deliver(parcel(n, m))
		if o := b.outcome(n); o.Status != want {
			t.Errorf("%d: %+v", n, o)
		}
	}
}

// Many at once: each use of a nonce has a count of its own, and each request one outcome.
func TestManyLogins(t *testing.T) {
	p := siptest.Listen(t, "tcp")
	a := newAsker(407, "x")
	var mu sync.Mutex
	used := make(map[string]bool)
	p.Answer(func(m *siptest.Message) string {
		if c, err := digest.ParseCredentials(m.Get(a.answer)); err == nil {
			mu.Lock()
			defer mu.Unlock()
			key := fmt.Sprint(c.Nonce, c.NC)
			if used[key] {
				t.Errorf("%s twice", key)
			}
			used[key] = true
		}
		return guarded(a)(m)
	})
	u, b, _ := startLogin(t, loginRoute(p))
	var wg sync.WaitGroup
	const n = 200
	for i := range 4 {
		wg.Go(func() {
			for j := range n / 4 {
				u.Deliver(parcel(i*n/4+j, toExample(i*n/4+j)))
			}
		})
	}
	wg.Wait()
	for i := range n {
		if o := b.outcome(i); o.Status != 200 {
			t.Errorf("%d: %+v %v", i, o, o.Failure)
		}
	}
}

// SEC-14: no log line, outcome or counter has a password, a nonce or a response.
func TestLoginIsNotLogged(t *testing.T) {
	p := siptest.Listen(t, "udp")
	var mu sync.Mutex
	var secrets []string
	good := newAsker(401, "x")
	other := newAsker(407, "y\\\"z")
	p.Answer(func(m *siptest.Message) string {
		raw := guarded(good, other)(m)
		if m.Get("Subject") == "odd" {
			raw = m.Reply(401, "No", `WWW-Authenticate: Digest realm="odd", nonce="oddnonce", opaque="oddopaque"`, `WWW-Authenticate: Digest realm="x`, "WWW-Authenticate: Basic oddbasic")
		}
		mu.Lock()
		defer mu.Unlock()
		for _, h := range []string{"Authorization", "Proxy-Authorization"} {
			if c, err := digest.ParseCredentials(m.Get(h)); err == nil {
				secrets = append(secrets, c.Nonce, c.Response, c.CNonce)
			}
		}
		return raw
	})
	r := loginRoute(p)
	var logs string
	for i, password := range []string{passphrase, "wrong battery"} {
		r.Login.Password = password
		u, b, log := startLogin(t, r)
		for j, subject := range []string{"", "odd"} {
			m := toExample(2*i + j)
			m.Subject = subject
			u.Deliver(parcel(j, m))
			o := b.outcome(j)
			logs += fmt.Sprintf("%+v %+v", o, o.Failure)
		}
		logs += log.String() + fmt.Sprintf("%v %+v %#v", *u.current().routes[0], *u.current().routes[0], *u.current().routes[0])
	}
	mu.Lock()
	defer mu.Unlock()
	if len(secrets) < 9 {
		t.Fatalf("only %d secrets were seen", len(secrets))
	}
	for _, s := range append(secrets, passphrase, "wrong battery", "oddnonce", "oddopaque", "oddbasic") {
		if strings.Contains(logs, s) {
			t.Errorf("%q is in\n%s", s, logs)
		}
	}
	if !strings.Contains(logs, "does not accept who we are") || !strings.Contains(logs, "realm=odd") {
		t.Errorf("the operator is not told:\n%s", logs)
	}
}

// A challenge is answered at the server that has asked, and what it asked for is said to no
// other one. Whether there is another one to try is as before.
func TestChallengeStaysWithItsServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := testConfig()
		cfg.Locator = fixed(addrs("192.0.2.7", "192.0.2.8"))
		cfg.Routes = []Route{{Domain: "trunk.example", Via: mapping.MustParseURI("sip:trunk.example"), Login: Login{"stox", passphrase}}}
		b := newBridge(nil)
		u, m := memUA(t, cfg, b)
		challenge := `WWW-Authenticate: Digest realm="x", nonce="n", qop="auth"`
		for i, tt := range []struct {
			target int // of a new request; -1: the next one that the last answer has brought about
			to     string
			carry  string
			status int
			more   bool
		}{
			{0, "192.0.2.7:5060", "1", 401, true},
			{-1, "192.0.2.7:5060", "2 w1", 503, true},
			{1, "192.0.2.8:5060", "3", 401, false},
			{-1, "192.0.2.8:5060", "4 w1", 404, false},
		} {
			if tt.target >= 0 {
				v := toExample(i)
				v.RequestURI.Host, v.Target = "trunk.example", tt.target
				u.Deliver(parcel(i, v))
				synctest.Wait()
			}
			sent := m.all()
			if len(sent) != i+1 {
				t.Fatalf("step %d: %d packets", i, len(sent))
			}
			req, _, err := siptest.Parse(sent[i].data)
			target := locate.Target{Transport: locate.UDP, Addr: sent[i].to, Name: "trunk.example"}
			if tt.status == 401 {
				u.client.health.Failed(target, time.Now())
			}
			if err != nil || sent[i].to.String() != tt.to || steps([]*siptest.Message{req}) != tt.carry {
				t.Fatalf("step %d: %s to %v, %v", i, steps([]*siptest.Message{req}), sent[i].to, err)
			}
			m.in <- packet{b: []byte(req.Reply(tt.status, "Why", challenge)), to: sent[i].to}
			synctest.Wait()
			if tt.status == 401 {
				if b.ready(i) {
					t.Errorf("step %d: %+v", i, b.outcome(i))
				}
				if _, avoided := u.client.health.Avoided(target, time.Now()); avoided {
					t.Errorf("step %d: a server that asks is taken for a dead one", i)
				}
			} else if o := b.outcome(i - 1); o.Status != tt.status || o.More != tt.more || o.CSeq != uint32(i+1) {
				t.Errorf("step %d: %+v", i, o)
			}
		}
	})
}
