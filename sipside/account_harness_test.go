package sipside

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/mapping"
	"github.com/stoxgw/stox/sipside/digest"
	"github.com/stoxgw/stox/sipside/locate"
)

// carriers is a UA in memory with the registrars of accounts around it: provider.example,
// other.example and the next hop of a route, pbx.example, each at an address of its own. It
// belongs into a synctest bubble.
type carriers struct {
	siptest.Registrar
	t      *testing.T
	net    *siptest.Memory
	ua     *UA
	bridge *bridge
	log    *siptest.Buffer
	cfg    Config
	stop   func()

	mu        sync.Mutex
	asks      *digest.Server // registrars want a password if there is one
	passwords map[string]string
	deaf      map[netip.Addr]bool // servers that say nothing
	at        []time.Time         // of all REGISTERs
	to        []netip.AddrPort    // where they went
	open      int                 // REGISTERs without an answer
	hold      bool                // answers are kept back
	brief     bool                // nothing is kept of what comes
	held      []*siptest.Wire
	sent      []*siptest.Wire    // other requests
	answers   []*siptest.Message // responses of the UA
	states    []AccountState
}

const password = "pass phrase"

var (
	providerAt = netip.MustParseAddr("192.0.2.9")
	otherAt    = netip.MustParseAddr("192.0.2.10")
	pbxAt      = netip.MustParseAddr("192.0.2.11")
	places     = map[string]netip.Addr{"provider.example": providerAt, "other.example": otherAt, "pbx.example": pbxAt}
)

// atPlaces finds each host at its address.
type atPlaces struct{ *siptest.Memory }

func (l atPlaces) Locate(ctx context.Context, q locate.Query) (locate.Answer, error) {
	a, err := l.Memory.Locate(ctx, q)
	for i := range a.Targets {
		addr := places[q.Host]
		if !addr.IsValid() {
			addr = netip.MustParseAddr("192.0.2.99")
		}
		a.Targets[i].Addr = netip.AddrPortFrom(addr, a.Targets[i].Addr.Port())
	}
	return a, err
}

// newCarriers starts all of it; edit may be nil.
func newCarriers(t *testing.T, edit func(x *carriers)) *carriers {
	t.Helper()
	x := &carriers{t: t, bridge: newBridge(processed), log: &siptest.Buffer{}, passwords: make(map[string]string), deaf: make(map[netip.Addr]bool)}
	x.net = siptest.NewMemory(t, providerAt, x.received)
	x.cfg = testConfig()
	x.cfg.Listen = []string{"udp://192.0.2.1:5060", "tcp://192.0.2.1:5060"}
	x.cfg.Network, x.cfg.Locator = x.net, atPlaces{x.net}
	x.cfg.Advertise, x.cfg.Instance, x.cfg.DrainTimeout = "gw.example.org", testInstance, 5*time.Second
	x.cfg.OnAccount = func(s AccountState) {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.states = append(x.states, s)
	}
	if edit != nil {
		edit(x)
	}
	u, err := New(x.cfg, slog.New(slog.NewTextHandler(x.log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	if err := u.Listen(); err != nil {
		t.Fatal(err)
	}
	x.ua, x.bridge.ua = u, u
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- u.Run(ctx, x.bridge) }()
	x.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(func() {
		x.stop()
		for _, secret := range []string{password, "wrong", `response="`} {
			if strings.Contains(x.log.String(), secret) {
				t.Errorf("%q is in the log", secret)
			}
		}
	})
	synctest.Wait()
	return x
}

// guard has the registrars want a password from now on.
func (x *carriers) guard() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.asks = digest.NewServer("sip", []byte("key"), func(user string) (string, bool) {
		p, ok := x.passwords[user]
		return p, ok
	})
}

func (x *carriers) received(w *siptest.Wire) {
	x.mu.Lock()
	if x.brief && w.Status() == 0 {
		x.mu.Unlock()
		if err := x.net.Answer(w, w.Reply(200, "OK", "Contact: "+w.Get("Contact"))); err != nil {
			x.t.Error(err)
		}
		return
	}
	if w.Status() != 0 {
		x.answers = append(x.answers, w.Message)
		x.mu.Unlock()
		return
	}
	if w.Method() != "REGISTER" {
		x.sent = append(x.sent, w)
	} else {
		x.at, x.to = append(x.at, time.Now()), append(x.to, w.Source)
		x.open++
		if strings.Contains(w.Get("Contact"), "*") || w.Get("Contact") == "" {
			x.t.Errorf("a REGISTER with the Contact %q", w.Get("Contact"))
		}
		if x.hold {
			x.held = append(x.held, w)
			x.mu.Unlock()
			return
		}
	}
	deaf := x.deaf[w.Source.Addr()]
	x.mu.Unlock()
	if !deaf {
		x.reply(w)
	}
}

// reply answers a request as its server does.
func (x *carriers) reply(w *siptest.Wire) {
	x.mu.Lock()
	asks := x.asks
	if w.Method() == "REGISTER" {
		x.open--
	}
	x.mu.Unlock()
	answer := ""
	if asks != nil && w.Method() != "OPTIONS" {
		_, _, verdict := asks.Verify(w.Method(), strings.Fields(w.First)[1], w.All("Authorization"), w.Body, "", time.Now())
		switch verdict {
		case digest.OK:
		default:
			var lines []string
			for _, c := range asks.Challenges("", verdict == digest.Stale, time.Now()) {
				lines = append(lines, "WWW-Authenticate: "+c)
			}
			answer = w.Reply(401, "Unauthorized", lines...)
		}
	}
	if answer == "" {
		answer = x.Answer(w.Message)
	}
	if answer != "" {
		if err := x.net.Answer(w, answer); err != nil && !strings.Contains(err.Error(), "closed") {
			x.t.Error(err)
		}
	}
}

// account is user@host with a password that is right, and a token that nobody guesses.
func account(user, host string) Account {
	return Account{AOR: mapping.URI{Scheme: "sip", User: user, Host: host}, Password: password, Token: "tok-" + user + "-" + host}
}

// knows has the registrars know who has accounts.
func (x *carriers) knows(all ...Account) {
	x.guard()
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, a := range all {
		x.passwords[a.username()] = password
	}
}

// try is TryAccount, with what came of it and how long that took.
func (x *carriers) try(a Account) (s AccountState, took time.Duration) {
	x.t.Helper()
	told, began := make(chan AccountState, 2), time.Now()
	x.ua.TryAccount(a, func(s AccountState) { told <- s })
	s = <-told
	took = time.Since(began)
	synctest.Wait()
	if len(told) > 0 {
		x.t.Error("told twice")
	}
	return s, took
}

// state is that of an account.
func (x *carriers) state(a Account) AccountState {
	x.t.Helper()
	s, ok := x.ua.AccountState(a.AOR)
	if !ok {
		x.t.Fatalf("%s is no account", a)
	}
	return s
}

// contacts are the tokens that are bound for an address.
func (x *carriers) contacts(a Account) (tokens []string) {
	for _, uri := range x.BindingsOf(a.AOR.String()) {
		tokens = append(tokens, userPart(uri))
	}
	slices.Sort(tokens)
	return tokens
}

// call sends a request to the UA from an address, and gives the status of its answer, 0 if
// there is none, and the account that it was taken to be for.
func (x *carriers) call(network string, from netip.Addr, method, target, sender string, more ...string) (status int, account string) {
	x.t.Helper()
	source := netip.AddrPortFrom(from, 5060)
	callID := fresh()
	l := append([]string{
		method + " " + target + " SIP/2.0",
		fmt.Sprintf("Via: SIP/2.0/%s %s;rport;branch=%s", strings.ToUpper(network), source, fresh()),
		"Max-Forwards: 70", "To: <" + target + ">", "From: <" + sender + ">;tag=1", "Call-ID: " + callID, "CSeq: 1 " + method,
		"Content-Type: text/plain"}, more...)
	x.bridge.mu.Lock()
	before := len(x.bridge.requests)
	x.bridge.mu.Unlock()
	if err := x.net.Send(network, source, siptest.Text("hi", l...)); err != nil {
		x.t.Logf("send: %v", err)
	}
	synctest.Wait()
	x.mu.Lock()
	for _, m := range x.answers {
		if m.Get("Call-ID") == callID {
			status = m.Status()
		}
	}
	x.mu.Unlock()
	x.bridge.mu.Lock()
	defer x.bridge.mu.Unlock()
	if len(x.bridge.requests) > before {
		switch v := x.bridge.last().(type) {
		case *mapping.SIPMessage:
			if v.Account != nil {
				account = shown(*v.Account)
			}
		case *mapping.SIPSubscribe:
			account = shown(v.Account)
		case *mapping.SIPNotify:
			account = shown(v.Account)
		case *mapping.SIPPublish:
			account = shown(v.Account)
		}
	}
	return status, account
}

// last is the request that came last. The lock is held.
func (b *bridge) last() mapping.SIP {
	m := b.requests[len(b.requests)-1]
	for _, e := range b.events {
		if common(e).CallID == m.CallID {
			return e
		}
	}
	return m
}

// contact is the URI that requests for an account are sent to.
func (a Account) contact() string { return "sip:" + a.Token + "@gw.example.org" }

// registers counts the REGISTERs that went to an address.
func (x *carriers) registers(at netip.Addr) (n int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, to := range x.to {
		if to.Addr() == at {
			n++
		}
	}
	return n
}

// perSecond is the most REGISTERs within a second, and past how many there were in all, from
// the n-th on.
func (x *carriers) perSecond(from int) (most int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	at := x.at[from:]
	for i, j := 0, 0; i < len(at); i++ {
		for at[i].Sub(at[j]) >= time.Second {
			j++
		}
		most = max(most, i-j+1)
	}
	return most
}

func (x *carriers) logged(s string) int { return strings.Count(x.log.String(), s) }

func shown(u mapping.URI) string {
	if u.IsZero() {
		return ""
	}
	return u.String()
}
