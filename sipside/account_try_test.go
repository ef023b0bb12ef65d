package sipside

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stoxgw/stox/internal/siptest"
	"github.com/stoxgw/stox/mapping"
)

// TestTryAccount: what somebody is told who enters an account, and what becomes of the one
// that was there.
func TestTryAccount(t *testing.T) {
	for _, tt := range []struct {
		name    string
		prepare func(x *carriers, a *Account)
		state   string
		status  int
		reason  string
		least   time.Duration
		most    time.Duration
	}{
		{"works", func(*carriers, *Account) {}, "registered", 200, "", 0, 0},
		{"wrong password", func(_ *carriers, a *Account) { a.Password = "wrong" }, "refused", 401, "answered 401", 0, 0},
		{"no such user", func(x *carriers, _ *Account) {
			x.Script(func(_ int, m *siptest.Message) string { return m.Reply(404, "Not Found") })
		}, "refused", 404, "answered 404", 0, 0},
		{"forbidden", func(x *carriers, _ *Account) {
			x.Script(func(_ int, m *siptest.Message) string { return m.Reply(403, "Forbidden") })
		}, "refused", 403, "answered 403", 0, 0},
		{"no answer", func(x *carriers, _ *Account) { x.deaf[otherAt] = true }, "lost", 0, ReasonNoAnswer, 9 * time.Second, 15 * time.Second},
		{"broken", func(x *carriers, _ *Account) {
			x.Script(func(_ int, m *siptest.Message) string { return m.Reply(500, "Server Internal Error") })
		}, "lost", 500, "answered 500", 0, 0},
		{"nobody there", func(x *carriers, a *Account) {
			a.Registrar.Transport = "tcp"
			x.net.Fail(fmt.Errorf("refused"), nil)
		}, "lost", 0, "could not be reached", 0, 5 * time.Second},
		{"no such name", func(x *carriers, _ *Account) { x.net.Fail(nil, fmt.Errorf("no such host")) }, "lost", 0, "no server was found for other.example", 0, 5 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := newCarriers(t, nil)
				first := account("juliet", "provider.example")
				x.knows(first)
				x.ua.SetAccounts([]Account{first})
				after(time.Second)
				a := first
				a.Registrar, a.Token = mapping.URI{Scheme: "sip", Host: "other.example"}, "another-token"
				x.mu.Lock()
				tt.prepare(x, &a)
				x.mu.Unlock()
				s, took := x.try(a)
				if s.State != tt.state || s.Status != tt.status || s.Reason != tt.reason || s.AOR != a.AOR || s.Registered != (tt.state == "registered") {
					t.Errorf("%+v", s)
				}
				between(t, "took", took, tt.least, tt.most)
				want, server := first.Token, "udp 192.0.2.9:5060"
				if s.Registered {
					want, server = a.Token, "udp 192.0.2.10:5060"
				}
				after(time.Second)
				if got := x.contacts(first); !slices.Equal(got, []string{want}) || x.state(first).Server != server {
					t.Errorf("bound: %q, want %s; %+v", got, want, x.state(first))
				}
				x.mu.Lock()
				x.deaf = nil
				x.mu.Unlock()
				x.net.Fail(nil, nil)
				x.Script(nil)
				after(time.Hour)
				if got := x.contacts(first); !slices.Equal(got, []string{want}) || !x.state(first).Registered {
					t.Errorf("bound: %q, want %s; %+v", got, want, x.state(first))
				}
			})
		})
	}
}

// TestTryAccountSameToken: the new form of an account may have the contact of the old one.
func TestTryAccountSameToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newCarriers(t, nil)
		a := account("juliet", "provider.example")
		x.knows(a)
		if s, _ := x.try(a); !s.Registered {
			t.Fatalf("%+v", s)
		}
		wrong := a
		wrong.Password = "wrong"
		if s, _ := x.try(wrong); s.State != "refused" || !x.state(a).Registered {
			t.Errorf("%+v, %+v", s, x.state(a))
		}
		a.Name = "Juliet"
		if s, _ := x.try(a); !s.Registered {
			t.Errorf("%+v", s)
		}
		after(time.Hour)
		if got := x.contacts(a); !slices.Equal(got, []string{a.Token}) || !x.state(a).Registered {
			t.Errorf("bound: %q", got)
		}
		if got := x.told(); !slices.Equal(got, []string{"registered", "registered"}) {
			t.Errorf("told: %q", got)
		}
		x.ua.SetAccounts([]Account{a}) // as it is kept from now on
		after(time.Minute)
		x.stop()
		if got := x.contacts(a); len(got) != 0 {
			t.Errorf("left: %q", got)
		}
	})
}

// TestTryAccountBusy: one trial of an account at a time, and not too many in all.
func TestTryAccountBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newCarriers(t, func(x *carriers) { x.deaf[otherAt] = true })
		told := make(map[string]int)
		count := func(s AccountState) {
			x.mu.Lock()
			defer x.mu.Unlock()
			told[s.State+" "+s.Reason]++
		}
		a := account("juliet", "other.example")
		x.ua.TryAccount(a, count)
		x.ua.TryAccount(a, count)
		for i := range maxTrials {
			x.ua.TryAccount(account(fmt.Sprint("u", i), "other.example"), count)
		}
		twice := account("romeo", "provider.example")
		twice.Token = a.Token
		x.ua.TryAccount(twice, count)
		after(15 * time.Second)
		x.mu.Lock()
		defer x.mu.Unlock()
		if told["lost busy"] != 2 || told["lost no answer"] != maxTrials || told["refused "+ReasonTwice] != 1 || len(told) != 3 {
			t.Errorf("%v", told)
		}
	})
}

// TestTryAccountLate: an answer that nobody has waited for any more has made a binding, which
// is taken back.
func TestTryAccountLate(t *testing.T) {
	for _, dropped := range []bool{false, true} {
		t.Run(fmt.Sprint(dropped), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := newCarriers(t, func(x *carriers) { x.hold = true })
				a := account("juliet", "provider.example")
				var got AccountState
				x.ua.TryAccount(a, func(s AccountState) { got = s })
				synctest.Wait()
				want := ReasonNoAnswer
				if dropped {
					want = ReasonDropped
					ended := make(chan bool, 2)
					x.ua.DropAccount(a.AOR, func() { ended <- true })
					<-ended
				} else {
					after(tryPatience + time.Second)
				}
				synctest.Wait()
				if got.State != "lost" || got.Reason != want {
					t.Errorf("%+v", got)
				}
				if s, ok := x.ua.AccountState(a.AOR); ok {
					t.Errorf("it is one: %+v", s)
				}
				x.mu.Lock()
				held := x.held
				x.hold = false
				x.mu.Unlock()
				x.reply(held[0])
				synctest.Wait()
				all := x.Requests()
				if last := all[len(all)-1]; len(x.Bindings()) != 0 || last.Get("Expires") != "0" {
					t.Errorf("bound: %q; the last of %d requests: %+v", x.Bindings(), len(all), last)
				}
			})
		})
	}
}

// TestTryAccountAtTheEnd: whoever asks is told, also before Run, at its end and after it, and
// no binding is left.
func TestTryAccountAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		early, err := New(testConfig(), testLog(t, nil))
		if err != nil {
			t.Fatal(err)
		}
		a := account("juliet", "provider.example")
		told := make(chan AccountState, 9)
		say := func(s AccountState) { told <- s }
		early.TryAccount(a, say)
		x := newCarriers(t, func(x *carriers) { x.deaf[otherAt] = true })
		x.ua.TryAccount(account("romeo", "other.example"), say)
		synctest.Wait()
		x.stop()
		x.ua.TryAccount(a, say)
		for range 3 {
			if s := <-told; s.State != "lost" || s.Reason != ReasonStopping {
				t.Errorf("%+v", s)
			}
		}
		dropped := 0
		x.ua.DropAccount(a.AOR, func() { dropped++ })
		early.DropAccount(a.AOR, func() { dropped++ })
		if len(x.Bindings()) != 0 || dropped != 2 {
			t.Errorf("%q, %d", x.Bindings(), dropped)
		}
	})
}

// TestDropAccount: the binding is taken back before done is called, and a registrar that says
// nothing does not hold that up for ever.
func TestDropAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newCarriers(t, nil)
		a := account("juliet", "provider.example")
		for _, deaf := range []bool{false, true} {
			if s, _ := x.try(a); !s.Registered {
				t.Fatalf("%+v", s)
			}
			x.mu.Lock()
			x.deaf[providerAt] = deaf
			x.mu.Unlock()
			began, done := time.Now(), make(chan []string, 2)
			x.ua.DropAccount(a.AOR, func() { done <- x.contacts(a) })
			if _, ok := x.ua.AccountState(a.AOR); ok {
				t.Error("it is still an account")
			}
			x.ua.DropAccount(a.AOR, func() { done <- nil })
			left := <-done
			<-done
			most := time.Duration(0)
			if deaf {
				most = 45 * time.Second
			}
			between(t, "took", time.Since(began), 0, most)
			if (len(left) > 0) != deaf {
				t.Errorf("left: %q", left)
			}
		}
		x.mu.Lock()
		x.deaf[providerAt] = false
		x.mu.Unlock()
		if s, _ := x.try(a); !s.Registered || !slices.Equal(x.contacts(a), []string{a.Token}) {
			t.Errorf("%+v, %q", s, x.contacts(a))
		}
		after(time.Minute)
		if x.logged("were not taken back") != 1 {
			t.Errorf("%s", x.log)
		}
	})
}
