package sipside

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/mapping"
	"github.com/stoxgw/stox/sipside/digest"
)

// A server that was started again knows its nonces no more: it asks again, and is answered,
// though it does not say stale. The same holds for one that takes each nonce once.
func TestNonceEndsWithoutAWord(t *testing.T) {
	p := siptest.Listen(t, "tcp")
	var mu sync.Mutex
	n := 0
	p.Answer(func(m *siptest.Message) string {
		mu.Lock()
		defer mu.Unlock()
		c, err := digest.ParseCredentials(m.Get("Authorization"))
		if err == nil && c.Nonce == fmt.Sprint("n", n) && c.NC == 1 {
			return m.Reply(200, "OK")
		}
		n++
		return m.Reply(401, "No", fmt.Sprintf(`WWW-Authenticate: Digest realm="x", nonce="n%d", qop="auth"`, n))
	})
	u, b, _ := startLogin(t, loginRoute(p))
	for i := range 3 {
		u.Deliver(parcel(i, toExample(i)))
		if o := b.outcome(i); o.Status != 200 {
			t.Fatalf("request %d: %+v", i, o)
		}
	}
	if got, want := steps(p.Requests()), "1, 2 w1, 2 w2, 3 w1, 3 w2, 4 w1"; got != want {
		t.Errorf("sent %s, want %s", got, want)
	}
}

// A nonce has five minutes; the server then says stale, and is answered with the next one.
func TestStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBridge(nil)
		cfg := testConfig()
		cfg.Routes = []Route{{Domain: "*", Via: mapping.MustParseURI("sip:192.0.2.9"), Login: Login{"stox", passphrase}}}
		u, m := memUA(t, cfg, b)
		serve := serveMem(t, m, guarded(newAsker(407, "x")))
		for i, want := range []string{"1, 2 p1", "2 p2", "3 p3, 4 p1"} {
			if i == 2 {
				time.Sleep(6 * time.Minute)
			}
			u.Deliver(parcel(i, toExample(i)))
			if got := steps(serve()); got != want {
				t.Errorf("request %d: sent %s, want %s", i, got, want)
			}
			if o := b.outcome(i); o.Status != 200 {
				t.Errorf("request %d: %+v", i, o)
			}
		}
	})
}

// serveMem gives a function that answers what the UA has sent since the last call, until it
// sends no more.
func serveMem(t *testing.T, m *memNet, answer func(*siptest.Message) string) func() []*siptest.Message {
	seen := 0
	return func() (all []*siptest.Message) {
		for {
			synctest.Wait()
			sent := m.all()[seen:]
			if len(sent) == 0 {
				return all
			}
			for _, p := range sent {
				seen++
				req, _, err := siptest.Parse(p.data)
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, req)
				if raw := answer(req); raw != "" {
					m.in <- packet{b: []byte(raw), to: memPeer}
				}
			}
		}
	}
}

// What a server has asked for holds on a further connection to it.
func TestLoginOverConnections(t *testing.T) {
	p := siptest.Listen(t, "tcp")
	p.Answer(guarded(newAsker(401, "x")))
	u, b, _ := startLogin(t, loginRoute(p))
	for i := range 3 {
		u.Deliver(parcel(i, toExample(i)))
		if o := b.outcome(i); o.Status != 200 {
			t.Errorf("%+v", o)
		}
		p.Hangup()
		p.AwaitHangup()
		awaitNoStreams(u)
	}
	if got, want := steps(p.Requests()), "1, 2 w1, 2 w2, 3 w3"; got != want {
		t.Errorf("sent %s, want %s", got, want)
	}
}

// awaitNoStreams waits until the UA has noticed that its connections are gone.
func awaitNoStreams(u *UA) {
	for {
		u.conns.mu.Lock()
		n := len(u.conns.streams)
		u.conns.mu.Unlock()
		if n == 0 {
			return
		}
		runtime.Gosched()
	}
}

// The server names the nonce for the next request.
func TestNextNonce(t *testing.T) {
	p := siptest.Listen(t, "udp")
	var n atomic.Int32
	p.Answer(func(m *siptest.Message) string {
		want := fmt.Sprint("n", n.Load())
		if c, err := digest.ParseCredentials(m.Get("Authorization")); err == nil && c.Nonce == want && c.NC == 1 {
			return m.Reply(200, "OK", fmt.Sprintf(`authentication-info: nextnonce="n%d"`, n.Add(1)))
		}
		return m.Reply(401, "No", fmt.Sprintf(`WWW-Authenticate: Digest realm="x", nonce="%s", qop="auth"`, want))
	})
	u, b, _ := startLogin(t, loginRoute(p))
	for i := range 3 {
		u.Deliver(parcel(i, toExample(i)))
		if o := b.outcome(i); o.Status != 200 {
			t.Errorf("%+v", o)
		}
	}
	if got, want := steps(p.Requests()), "1, 2 w1, 2 w1, 3 w1"; got != want {
		t.Errorf("sent %s, want %s", got, want)
	}
}
