package statuspage

import (
	"math"
	"sync"
	"time"

	"github.com/stoxgw/stox/internal/hist"
)

const (
	sampleEvery = 10 * time.Second
	sampleCount = 360 // an hour
)

// sample is what happened in the ten seconds before At.
type sample struct {
	at                    time.Time
	toSIP, toXMPP, failed float64 // a second
	p50, p99              float64 // seconds that deliveries took; NaN: there were none
	queue                 int
}

// samples is a ring of them.
type samples struct {
	mu   sync.Mutex // guards the following
	ring [sampleCount]sample
	n    int // since the start
	last Counters
	at   time.Time // of last; zero: there is none
}

// add takes the totals of this moment.
func (s *samples) add(now time.Time, c Counters) {
	s.mu.Lock()
	defer s.mu.Unlock()
	gone := now.Sub(s.at).Seconds()
	if !s.at.IsZero() && gone < sampleEvery.Seconds()/2 {
		return // of so short a time a rate would say nothing
	}
	if !s.at.IsZero() {
		v := sample{
			at: now, queue: c.Queue,
			toSIP: rate(s.last.ToSIP, c.ToSIP, gone), toXMPP: rate(s.last.ToXMPP, c.ToXMPP, gone), failed: rate(s.last.Failed, c.Failed, gone),
		}
		v.p50, v.p99 = quantiles(&s.last.Took, &c.Took)
		s.ring[s.n%sampleCount] = v
		s.n++
	}
	s.last, s.at = c, now
}

// all are the samples that there are, the oldest first.
func (s *samples) all() []sample {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]sample, 0, min(s.n, sampleCount))
	for i := max(s.n-sampleCount, 0); i < s.n; i++ {
		out = append(out, s.ring[i%sampleCount])
	}
	return out
}

func rate(before, now uint64, seconds float64) float64 {
	if now < before {
		return 0
	}
	return float64(now-before) / seconds
}

// quantiles are the median and the 99th percentile of what was counted between the two, as
// exactly as the exponential buckets say: a fifth too much at most.
func quantiles(before, now *[2]hist.Histogram) (p50, p99 float64) {
	var fine [hist.Exponential]uint64
	var nothing, n uint64
	for i := range now {
		nothing += now[i].Nothing - before[i].Nothing
		for j := range fine {
			fine[j] += now[i].Fine[j] - before[i].Fine[j]
			n += now[i].Fine[j] - before[i].Fine[j]
		}
	}
	if n += nothing; n == 0 {
		return math.NaN(), math.NaN()
	}
	at := func(q float64) float64 {
		want, sum := uint64(math.Ceil(q*float64(n))), nothing
		if sum >= want {
			return 0
		}
		for j := range fine {
			if sum += fine[j]; sum >= want {
				return hist.Bound(j)
			}
		}
		return math.NaN()
	}
	return at(0.5), at(0.99)
}
