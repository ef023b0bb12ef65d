package bridge

import (
	"math/rand/v2"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// What a SIP request came to, and what is done about it (IM-59).
type verdict uint8

const (
	delivered verdict = iota // a 2xx: done
	arrived                  // done, but nothing may be concluded from it (no receipt)
	again                    // the same request once more, at once
	later                    // once more, after a back-off
	failed                   // the sender is told
)

// maxAmbiguous is how often a request may end without a clear answer: the first
// time and two repeats.
const maxAmbiguous = 3

// judge says what is to be done about o after an attempt ended with out, and
// changes o to what the next attempt is to be. The Failure is set unless it has
// arrived.
//
// Once an attempt had no clear end, every further one is the identical request, so
// that whoever got it before can tell; a new CSeq is for a request that has
// certainly been refused.
func (o *outbound) judge(out mapping.Outcome, now time.Time) (verdict, *mapping.Failure) {
	f := out.Report()
	if out.CSeq != 0 { // the number that the next hop has seen last
		o.change().CSeq = out.CSeq
	}
	switch {
	case f == nil:
		return delivered, nil

	case out.Kind == mapping.Answered && out.Status == 482 && o.restart:
		// Nobody knows which of our requests it has seen before.
		return failed, mapping.FailTimeout()
	case out.Kind == mapping.Answered && out.Status == 482 && o.ambiguous > 0:
		return arrived, nil

	case ambiguous(out):
		if o.ambiguous++; o.ambiguous >= maxAmbiguous {
			return failed, o.mayHaveArrived(f)
		}
		o.problem = o.mayHaveArrived(f)
		if out.More {
			o.change().Target++
		}
		return o.orExpired(again, 0, now)

	case o.otherForm(out):
		o.problem = f
		m := o.change()
		m.CSeq = nextCSeq(m.CSeq)
		return o.orExpired(again, 0, now)

	case temporary(out, f):
		o.problem = f
		if o.ambiguous > 0 {
			o.problem = o.mayHaveArrived(f)
		}
		m := o.change()
		if out.More {
			m.Target++
			return o.orExpired(again, 0, now)
		}
		m.Target = 0
		if o.ambiguous == 0 {
			m.CSeq = nextCSeq(m.CSeq)
		}
		return o.orExpired(later, max(backoff(o.attempts), f.RetryAfter), now)

	case out.Kind == mapping.Answered && (out.Status == 500 || out.Status == 504) && out.More && !o.nextTried:
		o.nextTried = true
		o.problem = f
		o.change().Target++
		return o.orExpired(again, 0, now)
	}
	if o.ambiguous > 0 {
		// This copy was refused; of an earlier one nobody knows.
		g := *f
		g.Text = mapping.MayHaveArrived(f.Text)
		f = &g
	}
	return failed, f
}

// orExpired is v, in so much time, or the end if there is not so much left.
func (o *outbound) orExpired(v verdict, wait time.Duration, now time.Time) (verdict, *mapping.Failure) {
	if !now.Add(wait).Before(o.expire) {
		return failed, o.problem
	}
	o.notBefore = time.Time{}
	if wait > 0 {
		o.notBefore = now.Add(wait)
	}
	return v, o.problem
}

// mayHaveArrived is what a sender is told when one of the attempts had no clear
// end; last is what the last one came to.
func (o *outbound) mayHaveArrived(last *mapping.Failure) *mapping.Failure {
	f := mapping.FailTimeout()
	if last != nil && last.Text == f.Text {
		return last
	}
	f.Err = last
	return f
}

// expired is what the sender of a message is told that was not tried any more: what
// the last attempt at it, or at the part that is next, came to.
func (o *outbound) expired() *mapping.Failure {
	if o.problem != nil {
		return o.problem
	}
	if o.arrived > 0 {
		return mapping.FailUnfinished()
	}
	return mapping.FailExpired()
}

// ambiguous: it may have arrived (408, Timer F, a transport error after writing).
func ambiguous(out mapping.Outcome) bool {
	return out.Kind == mapping.Unknown || out.Kind == mapping.Uncertain || out.Kind == mapping.Answered && out.Status == 408
}

// temporary: it has certainly not been delivered, and may be later.
func temporary(out mapping.Outcome, f *mapping.Failure) bool {
	switch out.Kind {
	case mapping.Answered:
		return out.Status == 430 || out.Status == 503
	case mapping.NotWritten:
		return f.Temporary()
	}
	return false
}

// ours: the SIP side itself had no room for it.
func ours(out mapping.Outcome) bool {
	return out.Kind == mapping.NotWritten && out.Failure != nil && out.Failure.Condition == mapping.CondResourceConstraint
}

// tooLong: a shorter message may get there.
func tooLong(out mapping.Outcome) bool {
	return out.Kind == mapping.NotWritten && out.Failure != nil && (out.Failure.Status == 413 || out.Failure.Status == 513)
}

// nextCSeq stays below 2^31 (RFC 3261 §8.1.1.5).
func nextCSeq(n uint32) uint32 { return (n + 1) & 0x7fffffff }

const (
	firstBackoff = 2 * time.Second
	maxBackoff   = time.Minute
)

// backoff is how long to wait after so many attempts: twice as long each time, of
// which a random half is taken off, so that what failed together does not come
// back together.
func backoff(attempts int) time.Duration {
	d := maxBackoff
	if n := attempts - 1; n < 5 {
		d = firstBackoff << max(n, 0)
	}
	return d/2 + rand.N(d/2)
}
