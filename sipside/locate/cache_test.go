package locate

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/stoxgw/stox/internal/dnstest"
)

// An answer is used for its TTL, within bounds, and then asked again.
func TestTTL(t *testing.T) {
	for _, c := range []struct {
		name string
		zone zone
		host string
		want time.Duration
	}{
		{"its own", zone{example: {"300 A 192.0.2.9"}}, example, 300 * time.Second},
		{"the least", zone{example: {"300 A 192.0.2.9", "200 A 192.0.2.10"}}, example, 200 * time.Second},
		{"that of an alias", zone{example: {"20 CNAME a.example."}, "a.example": {"300 A 192.0.2.9"}}, example, 20 * time.Second},
		{"none", zone{example: {"0 A 192.0.2.9"}}, example, time.Second},
		{"a week", zone{example: {"604800 A 192.0.2.9", "604800 AAAA 2001:db8::9"}}, example, time.Hour},
		{"an hour, but only of one kind", zone{example: {"3600 A 192.0.2.9"}}, example, 5 * time.Minute},
		{"highest bit", zone{example: {"4294967295 A 192.0.2.9"}}, example, time.Second},
		{"no such name", zone{"soa": {"60 SOA ns.example. a.example. 1 2 3 4 40"}}, example, 40 * time.Second},
		{"no such name, SOA lives short", zone{"soa": {"20 SOA ns.example. a.example. 1 2 3 4 40"}}, example, 20 * time.Second},
		{"no such name, SOA 0", zone{"soa": {"0 SOA ns.example. a.example. 1 2 3 4 0"}}, example, 5 * time.Second},
		{"no such name, SOA a week", zone{"soa": {"604800 SOA ns.example. a.example. 1 2 3 4 604800"}}, example, 5 * time.Minute},
		{"address", nil, "192.0.2.9", time.Hour},
		{"localhost", nil, "localhost", time.Hour},
	} {
		if c.zone["soa"] == nil && c.zone != nil { // that there is no AAAA lives as long as it may
			c.zone["soa"] = []string{"604800 SOA ns.example. a.example. 1 2 3 4 604800"}
		}
		s, clock := dnstest.New(c.zone), newClock()
		l := newDirect(s, clock)
		q := Query{Host: c.host, Port: 5060, Supports: all}
		a, _ := l.Locate(t.Context(), q)
		if got := a.Until.Sub(clock.now()); got != c.want {
			t.Errorf("%s: for %v, want %v", c.name, got, c.want)
		}
		asked := len(s.Asked())
		clock.forward(a.Until.Sub(clock.now()) - 1)
		if l.Locate(t.Context(), q); len(s.Asked()) != 0 {
			t.Errorf("%s: asked again too early", c.name)
		}
		clock.forward(1)
		l.Locate(t.Context(), q)
		if again := len(s.Asked()); (again == 0) != (asked == 0) {
			t.Errorf("%s: asked %d times, then %d", c.name, asked, again)
		}
	}
}

// An answer lives no longer than the additional records that are used with it.
func TestTTLOfAdditional(t *testing.T) {
	for extra, want := range map[string]time.Duration{"20": 20 * time.Second, "900": 10 * time.Minute} {
		clock := newClock()
		l := newDirect(dnstest.New(zone{"_sip._tcp.example.net": {"600 SRV 0 0 5060 gw.example.net.",
			"+gw.example.net " + extra + " A 192.0.2.9", "+gw.example.net 900 AAAA 2001:db8::9"}}), clock)
		a, err := l.Locate(t.Context(), Query{Host: example, Transport: TCP, Supports: all})
		if err != nil || len(a.Targets) != 2 || a.Until.Sub(clock.now()) != want {
			t.Errorf("%s: %v, %v, for %v", extra, list(a.Targets), err, a.Until.Sub(clock.now()))
		}
	}
}

// DNS fails: the last good answer is used for an hour more, and asked again each 30 s.
// That there was nothing is not worth keeping.
func TestStale(t *testing.T) {
	s, clock := dnstest.New(plainZone), newClock()
	l := newDirect(s, clock)
	none := plainQuery
	none.Host = "none.example"
	must := func(q Query, want string, reason Reason, stale bool) Answer {
		t.Helper()
		a, err := l.Locate(t.Context(), q)
		if list(a.Targets) != want || reasonOf(t, err) != reason || a.Stale != stale {
			t.Errorf("got %q, %v, stale %v; want %q, %v, %v\n%s", list(a.Targets), err, a.Stale, want, reason, stale, steps(a))
		}
		return a
	}
	must(plainQuery, plainTarget, 0, false)
	must(none, "", NotFound, false)
	s.Fault("", dnstest.ServFail)
	clock.forward(time.Minute)
	a := must(plainQuery, plainTarget, 0, true)
	if got := a.Until.Sub(clock.now()); got != failureTTL { // of AAAA, which was not there
		t.Errorf("for %v", got)
	}
	if !strings.Contains(steps(a), "A example.net: 192.0.2.9 (an old answer: 192.0.2.53:53: SERVFAIL)") {
		t.Errorf("the steps do not tell:\n%s", steps(a))
	}
	must(none, "", Temporary, false)
	s.Asked()
	clock.forward(staleTTL - 1)
	must(plainQuery, plainTarget, 0, true)
	if asked := dnstest.Only(s.Asked(), "A"); len(asked) != 0 {
		t.Errorf("asked again too early: %v", asked)
	}
	clock.forward(1)
	a = must(plainQuery, plainTarget, 0, true)
	if n := strings.Count(steps(a), "an old answer"); n != 1 || len(dnstest.Only(s.Asked(), "A")) != 1 {
		t.Errorf("asked again? %d remarks:\n%s", n, steps(a))
	}
	s.Fault("", dnstest.None)
	clock.forward(staleTTL)
	must(plainQuery, plainTarget, 0, false)
	s.Fault("", dnstest.ServFail)
	clock.forward(time.Minute + staleFor - 1)
	must(plainQuery, plainTarget, 0, true)
	clock.forward(staleTTL)
	must(plainQuery, "", Temporary, false)
	clock.forward(failureTTL)
	s.Fault("", dnstest.None)
	s.Set(nil)
	must(plainQuery, "", NotFound, false)
}

// The old answer is used as well if it is our own time that is over.
func TestStaleWhenTimeIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := dnstest.New(plainZone)
		cfg := testConfig(nil, nowhere)
		cfg.Now = time.Now
		l := New(cfg)
		l.servers.exchange = direct(s)
		if _, err := l.Locate(t.Context(), plainQuery); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		s.Fault("", dnstest.Silent)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		a, err := l.Locate(ctx, plainQuery)
		if err != nil || list(a.Targets) != plainTarget || !a.Stale {
			t.Errorf("%v, %v", list(a.Targets), err)
		}
	})
}

// However many ask, each question is on its way once; who gives up does not take the
// answer from the others.
func TestOneQuestionAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := dnstest.New(plainZone)
		cfg := testConfig(nil, nowhere)
		cfg.Now = time.Now
		l := New(cfg)
		l.servers.exchange = func(ctx context.Context, a netip.AddrPort, n string, q *dns.Msg) (*dns.Msg, error) {
			select {
			case <-time.After(time.Second):
				return direct(s)(ctx, a, n, q)
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		impatient, cancel := context.WithCancel(t.Context())
		errs := make(chan error, 100)
		go func() {
			_, err := l.Locate(impatient, plainQuery)
			if !errors.Is(err, context.Canceled) {
				t.Errorf("who gave up got %v", err)
			}
			errs <- nil
		}()
		synctest.Wait() // it asks for all
		for range 98 {
			go func() {
				a, err := l.Locate(t.Context(), plainQuery)
				if err == nil && list(a.Targets) != plainTarget {
					err = errors.New(list(a.Targets))
				}
				errs <- err
			}()
		}
		go func() { // one that waits only
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			if _, err := l.Locate(ctx, plainQuery); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("who had no time got %v", err)
			}
			errs <- nil
		}()
		time.Sleep(500 * time.Millisecond)
		cancel()
		for range 100 {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		if asked := s.Asked(); len(asked) != 2 {
			t.Errorf("asked %v", asked)
		}
		if len(l.flights) != 0 || len(l.atOnce) != 0 {
			t.Errorf("%d flights, %d at once are left", len(l.flights), len(l.atOnce))
		}
	})
}

// Questions are asked in bounded number.
func TestQuestionsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := testConfig(nil, nowhere)
		cfg.Now = time.Now
		l := New(cfg)
		running, most := make(chan struct{}, 1000), 0
		s := dnstest.New(nil)
		l.servers.exchange = func(ctx context.Context, a netip.AddrPort, n string, q *dns.Msg) (*dns.Msg, error) {
			running <- struct{}{}
			time.Sleep(time.Second)
			<-running
			return direct(s)(ctx, a, n, q)
		}
		done := make(chan error, 300)
		for i := range 300 {
			go func() {
				_, err := l.Locate(t.Context(), Query{Host: fmt.Sprintf("d%d.example", i), Port: 1, Supports: all})
				done <- err
			}()
		}
		for n := 0; n < 300; {
			synctest.Wait()
			most = max(most, len(running))
			if err := <-done; reasonOf(t, err) != NotFound {
				t.Error(err)
			}
			n++
		}
		if most != maxAtOnce {
			t.Errorf("%d questions at once", most)
		}
	})
}

// The memory is bounded, and what leads somewhere stays longer than what does not.
func TestEviction(t *testing.T) {
	s, clock := dnstest.New(plainZone), newClock()
	l := newDirect(s, clock)
	if _, err := l.Locate(t.Context(), plainQuery); err != nil {
		t.Fatal(err)
	}
	nothing := failed(NotFound, maxNegativeTTL, "none")
	for i := range maxEntries + 1000 {
		l.remember(question{fmt.Sprintf("n%d.example.", i), dns.TypeA}, nothing)
		if len(l.entries) > maxEntries {
			t.Fatalf("%d entries", len(l.entries))
		}
	}
	s.Asked()
	if a, err := l.Locate(t.Context(), plainQuery); err != nil || list(a.Targets) != plainTarget {
		t.Fatal(err)
	}
	if slices.Contains(s.Asked(), "udp A example.net") {
		t.Error("a good answer was dropped for names that do not exist")
	}
}

// The order of targets stays as it is while the records do, for two minutes: longer
// than the TTL, and than Timer F.
func TestOrderIsKept(t *testing.T) {
	z := zone{}
	for i := range 6 {
		host := fmt.Sprintf("h%d.example.net", i)
		z["_sip._udp.example.net"] = append(z["_sip._udp.example.net"], fmt.Sprintf("1 SRV 0 10 5060 %s.", host))
		z[host] = []string{fmt.Sprintf("1 A 192.0.2.%d", 2*i+1), fmt.Sprintf("1 A 192.0.2.%d", 2*i+2)}
	}
	s, clock := dnstest.New(z), newClock()
	l := newDirect(s, clock)
	l.intn = func(n int) int { return n - 1 } // the last of the list
	query := Query{Host: example, Supports: all}
	first, err := l.Locate(t.Context(), query)
	if err != nil || len(first.Targets) != 12 {
		t.Fatalf("%v, %v", list(first.Targets), err)
	}
	turned := zone{}
	for name, texts := range z { // as name servers do
		turned[name] = append(slices.Clone(texts[1:]), texts[0])
	}
	s.Set(turned)
	l.intn = func(int) int { return 0 } // another draw
	for range 3 {
		clock.forward(35 * time.Second)
		if a, err := l.Locate(t.Context(), query); err != nil || list(a.Targets) != list(first.Targets) {
			t.Errorf("%v\n%v, %v", list(first.Targets), list(a.Targets), err)
		}
	}
	clock.forward(35 * time.Second) // 140 s
	later, err := l.Locate(t.Context(), query)
	if err != nil || list(later.Targets) == list(first.Targets) {
		t.Errorf("the order is kept for ever: %v, %v", list(later.Targets), err)
	}
	// Another weight is a new draw at once, and so is another record.
	kept := list(later.Targets)
	s.Set(z)
	clock.forward(35 * time.Second)
	if a, err := l.Locate(t.Context(), query); err != nil || list(a.Targets) != kept {
		t.Errorf("%v\n%v, %v", kept, list(a.Targets), err)
	}
	heavy := zone{}
	for name, texts := range z {
		heavy[name] = texts
	}
	heavy["_sip._udp.example.net"] = append(slices.Clone(z["_sip._udp.example.net"][:5]), "1 SRV 0 20 5060 h5.example.net.")
	s.Set(heavy)
	l.intn = func(n int) int { return n - 1 }
	clock.forward(35 * time.Second)
	if a, err := l.Locate(t.Context(), query); err != nil || a.Targets[0].Addr.Addr().As4()[3] < 11 {
		t.Errorf("another weight, the same order: %v, %v", list(a.Targets), err)
	}
	s.Set(turned)
	// One that has gone leaves the rest in order; a new address comes behind the known ones.
	turned["_sip._udp.example.net"] = turned["_sip._udp.example.net"][:1]
	turned["h1.example.net"] = append([]string{"1 A 192.0.2.77"}, turned["h1.example.net"]...)
	clock.forward(35 * time.Second)
	a, err := l.Locate(t.Context(), query)
	if want := "udp 192.0.2.4:5060, udp 192.0.2.3:5060, udp 192.0.2.77:5060"; err != nil || list(a.Targets) != want {
		t.Errorf("got %v, %v; want %v", list(a.Targets), err, want)
	}
}
