package locate

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

func targets(n int) (list []Target) {
	for i := range n {
		list = append(list, Target{UDP, netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)}), 5060), example})
	}
	return list
}

// names are the last numbers of the addresses.
func names(list []Target) (s string) {
	for _, t := range list {
		s += fmt.Sprint(t.Addr.Addr().As4()[3])
	}
	return s
}

func TestHealthOrder(t *testing.T) {
	now := newClock().now()
	h, list := NewHealth(10), targets(4)
	want := func(when string, s string) {
		t.Helper()
		if got := names(h.Order(list, now)); got != s {
			t.Errorf("%s: %s, want %s", when, got, s)
		}
	}
	want("at first", "1234")
	h.Failed(list[0], now)
	h.Failed(list[2], now)
	want("two failed", "2413")
	if names(list) != "1234" {
		t.Error("the list itself was changed")
	}
	h.Worked(list[2])
	want("one works again", "2341")
	for _, t := range list {
		h.Failed(t, now)
	}
	want("all failed", "1234")
	now = now.Add(firstRest)
	want("after the rest", "1234")
	if got := h.Order(nil, now); len(got) != 0 {
		t.Error(got)
	}
}

// The rest doubles with each failure in a row up to five minutes; what fails during a
// rest does not count; success and a long silence begin anew.
func TestHealthRests(t *testing.T) {
	now := newClock().now()
	h, one := NewHealth(10), targets(1)[0]
	rest := func() time.Duration {
		until, yes := h.Avoided(one, now)
		if !yes {
			return 0
		}
		return until.Sub(now)
	}
	for i, want := range []time.Duration{30, 60, 120, 240, 300, 300, 300} {
		h.Failed(one, now)
		h.Failed(one, now.Add(time.Second))
		if got := rest(); got != want*time.Second {
			t.Errorf("failure %d: %v, want %v", i, got, want*time.Second)
		}
		now = now.Add(rest())
		if rest() != 0 {
			t.Error("the rest does not end")
		}
	}
	for range 100 {
		h.Failed(one, now)
		now = now.Add(rest())
	}
	h.Failed(one, now)
	if got := rest(); got != longestRest {
		t.Errorf("after a hundred failures: %v", got)
	}
	h.Worked(one)
	if h.Failed(one, now); rest() != firstRest {
		t.Errorf("after a success: %v", rest())
	}
	now = now.Add(firstRest)
	h.Failed(one, now)
	now = now.Add(2*firstRest + forgetFailure + 1)
	if h.Failed(one, now); rest() != firstRest {
		t.Errorf("after a long silence: %v", rest())
	}
}

func TestHealthRetryAfter(t *testing.T) {
	now := newClock().now()
	h, one := NewHealth(10), targets(1)[0]
	h.Unavailable(one, 0, now)
	h.Unavailable(one, -time.Second, now)
	if _, yes := h.Avoided(one, now); yes {
		t.Error("503 without Retry-After is remembered")
	}
	h.Unavailable(one, 2*time.Minute, now)
	h.Unavailable(one, time.Second, now)
	h.Failed(one, now)
	if until, _ := h.Avoided(one, now); until != now.Add(2*time.Minute) {
		t.Errorf("until %v", until)
	}
	h.Unavailable(one, 1<<62, now)
	if until, _ := h.Avoided(one, now); until != now.Add(time.Hour) {
		t.Errorf("a year: until %v", until)
	}
}

// A failure is of a server: over UDP for all domains, over TLS for the one whose name it
// has to show.
func TestHealthKey(t *testing.T) {
	now := newClock().now()
	for _, c := range []struct {
		transport Transport
		avoided   bool
	}{{UDP, true}, {TCP, true}, {WS, true}, {TLS, false}, {WSS, false}} {
		h := NewHealth(10)
		a := Target{c.transport, netip.MustParseAddrPort("192.0.2.1:5060"), "a.example"}
		b := a
		b.Name = "b.example"
		h.Failed(a, now)
		if _, yes := h.Avoided(b, now); yes != c.avoided {
			t.Errorf("%v: %v", c.transport, yes)
		}
		b = a
		b.Transport = UDP + (c.transport % WSS)
		if _, yes := h.Avoided(b, now); yes {
			t.Errorf("%v failed, %v is avoided", c.transport, b.Transport)
		}
	}
}

// A request that fails everywhere comes to every target once before it comes to one
// twice, whatever happens to others meanwhile.
func TestHealthPick(t *testing.T) {
	now := newClock().now()
	h, list := NewHealth(10), targets(3)
	var got []Target
	for n := range 3 {
		target, more := h.Pick(list, n, now)
		if more != (n < 2) {
			t.Errorf("try %d: more is %v", n, more)
		}
		got = append(got, target)
		h.Failed(target, now)
	}
	if names(got) != "123" {
		t.Errorf("came to %s", names(got))
	}
	for n := range 7 { // all are avoided: as if none were
		if target, _ := h.Pick(list, n, now); target != list[n%3] {
			t.Errorf("try %d at %v", n, target)
		}
	}
	h.Worked(list[1])
	for n := range 3 {
		if target, _ := h.Pick(list, n, now); target != list[1] {
			t.Errorf("try %d at %v: only the second is well", n, target)
		}
	}
	if _, more := h.Pick(list, -1, now); more {
		t.Error("more of a number below 0")
	}
}

func TestHealthIsBounded(t *testing.T) {
	now := newClock().now()
	h, list := NewHealth(3), targets(9)
	h.Unavailable(list[0], time.Hour, now)
	for i, target := range list[1:] {
		h.Failed(target, now.Add(time.Duration(i)*time.Second))
		if len(h.known) > 3 {
			t.Fatalf("%d are remembered", len(h.known))
		}
	}
	if got := names(h.Order(list, now.Add(10*time.Second))); got != "234567189" {
		t.Errorf("those whose rest ends first are forgotten first: %s", got)
	}
	now = now.Add(3 * time.Hour)
	h.Failed(list[0], now)
	if len(h.known) != 3 {
		t.Errorf("%d are remembered", len(h.known))
	}
	h.Failed(list[1], now)
	if len(h.known) != 2 {
		t.Errorf("what is long over is still remembered: %d", len(h.known))
	}
	if NewHealth(0).most != 1 {
		t.Error("a memory for nothing")
	}
}

// TestQuestions: silence to a mere question counts only for a server that answers those, and
// the answer to one ends the rest of a server that had been silent to it, of no other one.
func TestQuestions(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	target := Target{Transport: UDP, Addr: netip.MustParseAddrPort("192.0.2.9:5060")}
	h := NewHealth(4)
	avoided := func(want bool, what string) {
		t.Helper()
		if _, yes := h.Avoided(target, now); yes != want {
			t.Errorf("%s: avoided %v", what, yes)
		}
	}
	h.Silent(target, false, now)
	avoided(false, "silent, as always")
	h.Silent(target, true, now)
	avoided(true, "silent")
	now = now.Add(100 * time.Second)
	avoided(true, "not asked again yet")
	h.Silent(target, true, now)
	now = now.Add(100 * time.Second)
	avoided(true, "silent again")
	h.Answers(target)
	avoided(false, "answers again")
	h.Failed(target, now)
	h.Answers(target)
	avoided(true, "answers questions, and failed a request")
	h.Silent(target, false, now)
	avoided(true, "silent, too")
	h.Answers(target)
	avoided(false, "back")
	h.Unavailable(target, time.Minute, now)
	h.Answers(target)
	avoided(true, "answers, and wants to be left alone")
	h.Worked(target)
	avoided(false, "works")
}
