package bridge

import (
	"hash/maphash"
	"sync"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// How much one XMPP user may send (limits.user_rate, SEC-24): so many messages a second,
// and ten times that at once. Beyond it a message is refused, with the seconds to wait,
// before anything of it is kept (GW-35). Receipts and chat states, of which a client sends
// several for each message, have ten times as much for themselves, and beyond that are
// dropped without a word. What the gateway itself has to say counts for nobody.
//
// A bucket is the time at which it will be full again: nothing has to be done while time
// passes, and one that is full is like one that was never there.

const (
	burstTime   = 10 * time.Second // what a full bucket has: as much as comes in this time
	signalTimes = 10               // receipts and chat states for each message
	signalRate  = 100              // messages a second that they are measured by where those have no limit
	maxBuckets  = 1 << 14          // users; those that come when there are so many share one
	sweepEvery  = time.Second
)

// rates has the buckets of all users. It is safe for concurrent use.
type rates struct {
	seed maphash.Seed

	mu                sync.Mutex // guards the following
	messages, signals buckets
}

func newRates() *rates { return &rates{seed: maphash.MakeSeed()} }

// message takes one message of user out of what comes at that many a second. It gives
// how long to wait if there is none left; 0: it may pass.
func (r *rates) message(user mapping.JID, rate int, now time.Time) time.Duration {
	return r.take(&r.messages, user, rate, now)
}

// signal is message for a receipt or a chat state, by the rate of messages. These have a
// limit of their own even where messages have none.
func (r *rates) signal(user mapping.JID, rate int, now time.Time) time.Duration {
	if rate <= 0 {
		rate = signalRate
	}
	return r.take(&r.signals, user, signalTimes*rate, now)
}

func (r *rates) take(from *buckets, user mapping.JID, rate int, now time.Time) time.Duration {
	if rate <= 0 {
		return 0
	}
	key := maphash.String(r.seed, user.Bare().String())
	r.mu.Lock()
	defer r.mu.Unlock()
	return from.take(key, max(time.Second/time.Duration(rate), 1), now)
}

// buckets are those of users, by a hash of their address. The zero value is empty.
type buckets struct {
	full    map[uint64]time.Time // when each is full again
	sweepAt time.Time
}

// take takes what every so often comes out of a bucket.
func (b *buckets) take(key uint64, every time.Duration, now time.Time) (wait time.Duration) {
	if b.full == nil {
		b.full = make(map[uint64]time.Time)
	}
	full, ok := b.full[key]
	if !ok && len(b.full) >= maxBuckets {
		if b.sweep(now); len(b.full) >= maxBuckets {
			key = 0
			full = b.full[key]
		}
	}
	if full.Before(now) {
		full = now
	}
	full = full.Add(every)
	if wait = full.Sub(now) - burstTime; wait > 0 {
		return wait
	}
	b.full[key] = full
	return 0
}

// sweep forgets the buckets that are full.
func (b *buckets) sweep(now time.Time) {
	if now.Before(b.sweepAt) {
		return
	}
	b.sweepAt = now.Add(sweepEvery)
	for key, full := range b.full {
		if !full.After(now) {
			delete(b.full, key)
		}
	}
}

// tooMany reports whether v is a receipt or chat state beyond what its sender may send.
// Strangers have no bucket: what they send is not heard anyway.
func (b *Bridge) tooMany(p *Policy, v mapping.XMPP, now time.Time) bool {
	var from mapping.JID
	switch v := v.(type) {
	case *mapping.XMPPReceipt:
		from = v.From
	case *mapping.XMPPState:
		from = v.From
	default:
		return false
	}
	if !p.Access.Allows(from) || b.rates.signal(from, p.UserRate, now) == 0 {
		return false
	}
	b.log.Debug("a receipt or chat state is dropped: its sender sends too many", "dir", "xmpp-sip", "from", from)
	return true
}

// tooFast is the Failure of a message beyond what its sender may send, nil if it may pass.
func (b *Bridge) tooFast(p *Policy, from mapping.JID, now time.Time) *mapping.Failure {
	wait := b.rates.message(from, p.UserRate, now)
	if wait <= 0 {
		return nil
	}
	return mapping.FailTooFast(int((wait + time.Second - 1) / time.Second))
}
