package sipside

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/mapping"
)

const many = 1000

func manyAccounts(host string) (all []Account) {
	for i := range many {
		all = append(all, account(fmt.Sprintf("u%03d", i), host))
	}
	return all
}

// TestManyAccounts: a thousand accounts register a few at a time, refresh spread over their
// time, and are taken back at once at the end; of all that the log has a few lines.
func TestManyAccounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newCarriers(t, nil)
		all := manyAccounts("provider.example")
		x.ua.SetAccounts(all)
		after(10 * time.Second)
		if n := len(x.Bindings()); n < 190 || n > 205 {
			t.Errorf("%d registered after ten seconds", n)
		}
		after(50 * time.Second)
		if n := x.ua.Accounts()[0]; n != many || len(x.Bindings()) != many {
			t.Fatalf("%d registered", n)
		}
		if n := x.perSecond(0); n > 20 {
			t.Errorf("%d REGISTERs in a second at the start", n)
		}
		x.mu.Lock()
		begin := len(x.at)
		x.mu.Unlock()
		after(time.Hour)
		x.mu.Lock()
		n := len(x.at) - begin
		x.mu.Unlock()
		if n < 6*many || n > 8*many {
			t.Errorf("%d REGISTERs in an hour", n)
		}
		if n := x.perSecond(begin); n > 50 { // chance decides; all of them within a minute at the worst
			t.Errorf("%d REGISTERs in a second later", n)
		}
		x.mu.Lock()
		asked := 0
		for _, w := range x.sent {
			if w.Method() == "OPTIONS" {
				asked++
			}
		}
		x.mu.Unlock()
		if asked > 160 { // one in 24 to 29 seconds
			t.Errorf("%d OPTIONS for one server", asked)
		}
		began := time.Now()
		x.stop()
		if d := time.Since(began); len(x.Bindings()) != 0 || d > 5*time.Second {
			t.Errorf("%d are left after %v", len(x.Bindings()), d)
		}
		if n := strings.Count(x.log.String(), "\n"); n > 2 {
			t.Errorf("%d lines:\n%s", n, x.log)
		}
	})
}

// TestManyAccountsLeave: at most so many are being taken back at once, and a registrar that
// says nothing does not hold up the end.
func TestManyAccountsLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newCarriers(t, nil)
		x.ua.SetAccounts(manyAccounts("provider.example"))
		after(time.Minute)
		x.mu.Lock()
		x.hold, x.open = true, 0
		x.mu.Unlock()
		stopped := make(chan time.Time, 1)
		began := time.Now()
		go func() { x.stop(); stopped <- time.Now() }()
		time.Sleep(100 * time.Millisecond) // before anything is sent again
		synctest.Wait()
		x.mu.Lock()
		if x.open != exits {
			t.Errorf("%d are being taken back at once", x.open)
		}
		x.mu.Unlock()
		between(t, "the stop", (<-stopped).Sub(began), 5*time.Second, 6*time.Second)
		if n := x.logged("were not taken back"); n != 1 || x.logged(fmt.Sprint("accounts=", many)) < 1 {
			t.Errorf("%s", x.log)
		}
	})
}

// TestManyAccountsLoseTheirRegistrar: when the registrar of a thousand accounts goes there is
// a line in the log, and another one when it is back; it is not asked too often, and neither
// those of another registrar nor messages notice anything.
func TestManyAccountsLoseTheirRegistrar(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newCarriers(t, func(x *carriers) {
			x.cfg.Routes = []Route{{Domain: "pbx.example", Via: mapping.MustParseURI("sip:192.0.2.11")}}
			x.cfg.MaxPending = 64
		})
		other := account("nurse", "other.example")
		x.ua.SetAccounts(append(manyAccounts("provider.example"), other))
		after(2 * time.Minute)
		before := x.logged("\n")
		x.mu.Lock()
		x.deaf[providerAt] = true
		begin := len(x.at)
		x.mu.Unlock()
		for ref := range 30 {
			after(time.Minute)
			if !x.state(other).Registered {
				t.Fatalf("%+v", x.state(other))
			}
			m := toMem(1)
			m.RequestURI = mapping.MustParseURI("sip:friend@pbx.example")
			x.ua.Deliver(parcel(ref, m))
			synctest.Wait()
			if o := x.bridge.outcome(ref); o.Status != 200 {
				t.Fatalf("a message: %+v", o)
			}
		}
		m := toMem(2) // nor do accounts take the places of messages to the same host
		m.RequestURI = mapping.MustParseURI("sip:friend@provider.example")
		x.ua.Deliver(parcel("silent", m))
		after(timerF)
		if o := x.bridge.outcome("silent"); o.Kind != mapping.Unknown {
			t.Errorf("a message: %+v", o)
		}
		n := x.ua.Accounts()
		if n[1] != many || n[0] != 1 {
			t.Errorf("%v", n)
		}
		if lines := x.logged("accounts of users are not registered"); lines < 1 || lines > 3 || x.logged("\n")-before != lines {
			t.Errorf("%d lines:\n%s", lines, x.log)
		}
		// Each is sent eleven times over UDP; at most twenty begin in a second.
		if n := x.perSecond(begin); n > 11*20 {
			t.Errorf("%d packets in a second", n)
		}
		x.mu.Lock()
		x.deaf = nil
		x.mu.Unlock()
		after(time.Hour)
		if n := x.ua.Accounts(); n[0] != many+1 {
			t.Errorf("%v", n)
		}
		if n := x.logged("accounts of users have been registered"); n < 2 || n > 8 {
			t.Errorf("%d lines say that they are registered again:\n%s", n, x.log)
		}
	})
}

// TestManyAccountsOnOneConnection: all that was registered over a connection is registered
// again when that breaks, a few at a time.
func TestManyAccountsOnOneConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newCarriers(t, func(x *carriers) {
			x.cfg.Routes = []Route{{Domain: "provider.example", Via: mapping.MustParseURI("sip:192.0.2.9;transport=tcp")}}
		})
		x.ua.SetAccounts(manyAccounts("provider.example"))
		after(time.Minute)
		x.mu.Lock()
		begin := len(x.at)
		x.mu.Unlock()
		x.ua.conns.mu.Lock()
		for _, s := range x.ua.conns.streams {
			if n := s.bindings.Load(); n != many {
				t.Errorf("%d bindings", n)
			}
			s.conn.Close()
		}
		x.ua.conns.mu.Unlock()
		synctest.Wait()
		after(55 * time.Second)
		if n := x.ua.Accounts(); n[0] != many {
			t.Errorf("%v", n)
		}
		lost := 0
		for _, a := range manyAccounts("provider.example") {
			if !x.state(a).Registered {
				lost++
			}
		}
		if n := x.perSecond(begin); n > 20 || lost > 0 {
			t.Errorf("%d REGISTERs in a second, %d without a binding", n, lost)
		}
	})
}

// TestAccountMemory bounds what an account takes up: a goroutine and its tables.
func TestAccountMemory(t *testing.T) {
	measure := func() (heap, stacks uint64) {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc, m.StackInuse
	}
	synctest.Test(t, func(t *testing.T) {
		x := newCarriers(t, func(x *carriers) { x.brief = true })
		all := manyAccounts("provider.example")
		heap, stacks := measure()
		x.ua.SetAccounts(all)
		after(2 * time.Minute)
		if n := x.ua.Accounts(); n[0] != many {
			t.Fatalf("%v", n)
		}
		h, s := measure()
		each, stack := (int64(h)-int64(heap))/many, (int64(s)-int64(stacks))/many
		t.Logf("%d bytes of memory and %d of stack for an account", each, stack)
		if each+stack > 64<<10 {
			t.Errorf("an account takes up %d bytes", each+stack)
		}
	})
}

// TestAccountsModel does at random what users, registrars and the operator may do, and looks
// at times whether what there is is what there should be: a binding for each account whose
// registrar works, with the token that it has now, and none for others.
func TestAccountsModel(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { accountsModel(t, rand.New(rand.NewPCG(seed, 1))) })
		})
	}
}

func accountsModel(t *testing.T, r *rand.Rand) {
	hosts := []string{"provider.example", "other.example"}
	steady := r.IntN(2) == 0 // no registrar is ever away: then no binding is left anywhere
	x := newCarriers(t, nil)
	x.guard()
	there := make(map[mapping.URI]Account) // what there should be
	var mu sync.Mutex
	tries, told := 0, 0
	tokens := 0
	fresh := func() Account {
		tokens++
		a := account(fmt.Sprint("u", r.IntN(6)), hosts[r.IntN(2)])
		a.Token = fmt.Sprint("token", tokens)
		return a
	}
	set := func() {
		var all []Account
		for _, a := range there {
			all = append(all, a)
		}
		x.ua.SetAccounts(all)
	}
	for i := range 6 {
		x.mu.Lock()
		x.passwords[fmt.Sprint("u", i)] = password
		x.mu.Unlock()
	}
	routes := []Route(nil)
	for range 60 {
		switch r.IntN(9) {
		case 0, 1: // somebody enters an account, perhaps a wrong one, and waits or does not
			a := fresh()
			if r.IntN(3) == 0 {
				a.Password = "wrong"
			}
			tries++
			done := make(chan AccountState, 1)
			x.ua.TryAccount(a, func(s AccountState) {
				mu.Lock()
				told++
				mu.Unlock()
				done <- s
			})
			s := <-done
			if s.Registered {
				there[a.AOR] = a
				if a.Password != password {
					t.Fatalf("registered with a wrong password: %+v", s)
				}
			}
		case 2: // two at once
			a := fresh()
			b := a
			b.Token += "b"
			tries += 2
			states := make(chan [2]any, 2)
			for _, one := range []Account{a, b} {
				x.ua.TryAccount(one, func(s AccountState) {
					mu.Lock()
					told++
					mu.Unlock()
					states <- [2]any{one, s}
				})
			}
			for range 2 {
				if got := <-states; got[1].(AccountState).Registered {
					there[a.AOR] = got[0].(Account)
				}
			}
		case 3:
			a := fresh()
			delete(there, a.AOR)
			x.ua.DropAccount(a.AOR, func() {})
		case 4: // the accounts as they are kept
			if r.IntN(2) == 0 {
				a := fresh()
				there[a.AOR] = a
			}
			set()
		case 5: // a registrar goes, or comes back
			if steady {
				continue
			}
			x.mu.Lock()
			a := places[hosts[r.IntN(2)]]
			x.deaf[a] = !x.deaf[a]
			x.mu.Unlock()
		case 6:
			x.Forget() // started again
		case 7:
			if routes = nil; r.IntN(2) == 0 {
				routes = []Route{{Domain: hosts[0], Via: mapping.MustParseURI("sip:192.0.2.11;transport=" + []string{"udp", "tcp"}[r.IntN(2)])}}
			}
			cfg := x.cfg
			cfg.Routes = routes
			if err := x.ua.Reload(cfg); err != nil {
				t.Fatal(err)
			}
		case 8:
			synctest.Wait()
			x.ua.conns.mu.Lock()
			for _, s := range x.ua.conns.streams {
				s.conn.Close()
			}
			x.ua.conns.mu.Unlock()
		}
		if r.IntN(3) > 0 {
			after(time.Duration(r.Int64N(int64(2 * time.Minute))))
		}
	}
	x.mu.Lock()
	x.deaf = make(map[netip.Addr]bool)
	x.mu.Unlock()
	after(3 * time.Hour) // longer than any pause
	for _, a := range there {
		if s := x.state(a); !s.Registered {
			t.Errorf("%s: %+v", a, s)
		}
	}
	for _, host := range hosts {
		for i := range 6 {
			a := account(fmt.Sprint("u", i), host)
			var want []string
			if has, ok := there[a.AOR]; ok {
				want = []string{has.Token}
			}
			got := x.contacts(a)
			if steady && !slices.Equal(got, want) || len(want) > 0 && !slices.Contains(got, want[0]) {
				t.Errorf("%s: bound %q, want %q", a, got, want)
			}
		}
	}
	mu.Lock()
	if told != tries {
		t.Errorf("%d of %d trials were told", told, tries)
	}
	mu.Unlock()
	ls := x.ua.lines
	ls.mu.Lock()
	if len(ls.byAOR) != len(there) || len(ls.byToken) != len(there) || len(ls.trials)+len(ls.leaving) != 0 {
		t.Errorf("%d accounts, %d tokens, %d trials, %d leaving; want %d", len(ls.byAOR), len(ls.byToken), len(ls.trials), len(ls.leaving), len(there))
	}
	ls.mu.Unlock()
	x.stop()
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if len(ls.hosts)+len(ls.providers)+len(ls.nat.flows) != 0 || x.ua.client.accounts != 0 {
		t.Errorf("left: %v, %d registrars, %d flows, %d requests", ls.hosts, len(ls.providers), len(ls.nat.flows), x.ua.client.accounts)
	}
}
