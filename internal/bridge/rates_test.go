package bridge

import (
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/stoxgw/stox/mapping"
)

// limited is a bridge with limits.user_rate.
func limited(t *testing.T, rate int) (*Bridge, *side) {
	t.Helper()
	b, s := newBridge(t)
	b.setRate(rate)
	return b, s
}

func (b *Bridge) setRate(rate int) {
	p := *b.policy.Load()
	p.UserRate = rate
	b.SetPolicy(p)
}

// write sends messages of a user, each to a contact of its own, and gives the errors that
// come at once.
func (s *side) write(from string, count int) (refused []*mapping.XMPPError) {
	before := len(s.stanzas)
	for range count {
		s.serial++
		id := fmt.Sprint("m", s.serial)
		s.journal.b.FromXMPP([]mapping.XMPP{fromXMPP(id, from, id+"@sip.example.com", "hi")})
	}
	for _, p := range s.stanzas[before:] {
		refused = append(refused, p.Value.(*mapping.XMPPError))
	}
	return refused
}

// secondsIn is the number in the text of a refusal.
func secondsIn(t *testing.T, f *mapping.Failure) (n int) {
	t.Helper()
	if _, err := fmt.Sscanf(f.Text, "You send too many messages. Try again in %d s.", &n); err != nil || n < 1 {
		t.Errorf("text %q: %v", f.Text, err)
	}
	return n
}

// GW-35, SEC-24: ten times the rate at once, then so many a second; what is refused leaves
// nothing behind, and after the seconds in its text there is room.
func TestUserRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := limited(t, 3)
		const juliet = "juliet@example.com/x"
		if refused := s.write(juliet, 30); len(refused) != 0 {
			t.Fatalf("%d of the first thirty were refused: %v", len(refused), refused[0].Failure)
		}
		sent, rows := len(s.requests), len(s.journal.rows())
		for n := range 3 {
			refused := s.write("juliet@example.com/other device", 2) // one user, whatever the device
			if len(refused) != 2 {
				t.Fatalf("round %d: %d of 2 were refused", n, len(refused))
			}
			f := refused[0].Failure
			if f.Condition != mapping.CondResourceConstraint || f.Type != mapping.TypeWait || f.RetryAfter != 0 {
				t.Errorf("refused with %+v", f)
			}
			if len(s.requests) != sent || len(s.journal.rows()) != rows {
				t.Errorf("a refused message left %d requests and %d rows", len(s.requests)-sent, len(s.journal.rows())-rows)
			}
			time.Sleep(time.Duration(secondsIn(t, f)) * time.Second)
			if refused := s.write(juliet, 3); len(refused) != 0 {
				t.Fatalf("round %d: %d of 3 were refused after a second", n, len(refused))
			}
			sent, rows = len(s.requests), len(s.journal.rows())
		}
		if refused := s.write("nurse@example.com/x", 30); len(refused) != 0 {
			t.Errorf("another user was refused: %v", refused[0].Failure)
		}
		time.Sleep(burstTime)
		if refused := s.write(juliet, 31); len(refused) != 1 {
			t.Errorf("after a pause %d of 31 were refused, want 1", len(refused))
		}
		if b.setRate(0); len(s.write(juliet, 100)) != 0 {
			t.Error("without a limit messages were refused")
		}
		b.setRate(100)
		time.Sleep(50 * time.Millisecond)
		if len(s.write(juliet, 5)) != 0 {
			t.Error("a higher rate has no effect")
		}
	})
}

// Whatever the rate and whenever somebody writes: never more than the rate and its burst,
// never less than the rate, and the wait that is told is long enough and not a moment more.
func TestBucketModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.IntRange(1, 50).Draw(t, "rate")
		every := time.Second / time.Duration(rate)
		var b buckets
		start := time.Now()
		now, passed := start, 0
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 500).Draw(t, "ms")) * time.Millisecond)
			wait := b.take(1, every, now)
			if wait == 0 {
				passed++
			} else if b.take(1, every, now.Add(wait-1)) == 0 {
				t.Fatal("there was room before that")
			} else if now = now.Add(wait); b.take(1, every, now) != 0 {
				t.Fatal("after the wait there is no room")
			} else {
				passed++
			}
			if most := 10*rate + int(math.Ceil(float64(now.Sub(start))/float64(every))); passed > most {
				t.Fatalf("%d passed in %v, at most %d may", passed, now.Sub(start), most)
			}
		}
	})
}

// So many users that there are no more buckets share one; who is known keeps his own, and
// a bucket that is full makes room.
func TestBucketsFull(t *testing.T) {
	var b buckets
	now := time.Now()
	for key := range uint64(maxBuckets) {
		b.take(key+1, time.Second, now)
	}
	passed := 0
	for key := range uint64(100) {
		if b.take(maxBuckets+1+key, time.Second, now) == 0 {
			passed++
		}
	}
	if passed != 10 || len(b.full) != maxBuckets+1 {
		t.Errorf("%d newcomers passed, want 10, the burst of one; %d buckets", passed, len(b.full))
	}
	if b.take(1, time.Second, now) != 0 {
		t.Error("a user with a bucket was refused for others")
	}
	now = now.Add(burstTime + sweepEvery)
	if b.take(maxBuckets+1, time.Second, now) != 0 || len(b.full) != 1 {
		t.Errorf("%d buckets are left when all are full, want the new one", len(b.full))
	}
}

// Receipts and chat states have a cap of their own: beyond it they are dropped and counted,
// and neither takes from the messages. Those of strangers count for nobody.
func TestSignalRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := limited(t, 1)
		signals := func(from string, n int) {
			for range n / 2 {
				j, romeo := mapping.MustParseJID(from), mapping.MustParseJID("romeo@sip.example.com")
				b.FromXMPP([]mapping.XMPP{&mapping.XMPPState{From: j, To: romeo, State: mapping.StateComposing},
					&mapping.XMPPReceipt{From: j, To: romeo, About: "x"}})
			}
		}
		signals("juliet@example.com/x", 100)
		if got := b.Tally().Signals; got != 0 {
			t.Errorf("%d of a hundred were dropped", got)
		}
		signals("juliet@example.com/y", 20)
		if got := b.Tally().Signals; got != 20 {
			t.Errorf("%d dropped, want 20", got)
		}
		signals("eve@evil.example/x", 200)
		if got := b.Tally().Signals; got != 20 || len(b.rates.signals.full) != 1 {
			t.Errorf("strangers are counted: %d dropped, %d buckets", got, len(b.rates.signals.full))
		}
		if refused := s.write("juliet@example.com/x", 10); len(refused) != 0 {
			t.Errorf("receipts have taken from the messages: %v", refused[0].Failure)
		}
		time.Sleep(time.Second)
		if signals("juliet@example.com/x", 10); b.Tally().Signals != 20 {
			t.Error("after a second there is no room for ten")
		}
	})
}

// Where messages have no limit receipts and chat states still have one.
func TestSignalRateWithoutLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := limited(t, 0)
		const most = 10 * signalTimes * signalRate // in a burst
		batch := make([]mapping.XMPP, most+7)
		for i := range batch {
			batch[i] = &mapping.XMPPReceipt{From: mapping.MustParseJID("juliet@example.com/x"), To: mapping.MustParseJID("romeo@sip.example.com"), About: "x"}
		}
		b.FromXMPP(batch)
		if got := b.Tally().Signals; got != 7 {
			t.Errorf("%d dropped, want 7", got)
		}
		if refused := s.write("juliet@example.com/x", 1000); slices.ContainsFunc(refused, func(e *mapping.XMPPError) bool {
			return e.Failure.Text == mapping.FailTooFast(1).Text
		}) {
			t.Errorf("messages have a limit: %v", refused[0].Failure)
		}
	})
}

// SEC-13: who may not send is told just that, at whatever rate, and takes no bucket.
func TestRateOfStrangers(t *testing.T) {
	b, s := limited(t, 1)
	for _, e := range s.write("eve@evil.example/x", 20) {
		if e.Failure.Condition != mapping.CondForbidden {
			t.Errorf("a stranger was told %v", e.Failure)
		}
	}
	if n := len(b.rates.messages.full); n != 0 {
		t.Errorf("%d buckets for strangers", n)
	}
}

// However many write at a time: what a bucket has is given out once.
func TestRatesTogether(t *testing.T) {
	r := newRates()
	juliet, now := mapping.MustParseJID("juliet@example.com/x"), time.Now()
	var passed atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 100 {
				if r.message(juliet, 20, now) == 0 {
					passed.Add(1)
				}
				r.signal(juliet, 20, now)
			}
		})
	}
	all.Wait()
	if n := passed.Load(); n != 200 {
		t.Errorf("%d passed, want 200", n)
	}
}
