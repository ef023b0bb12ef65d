package bridge

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// What users send to telephones costs money (limits.prefixes, limits.daily_per_user). Which
// addresses those are mapping knows (Rules.Telephone).
//
// What is counted is requests: a text that goes in three parts counts three times, and a
// request that is tried again counts once. A message is counted when it is accepted, so that
// two devices cannot send more than one may; and what has certainly not left when it is given
// up is given back. Receipts, and that somebody is typing, are not counted.
//
// A day is one of the calendar, where this machine is. When it ends everybody begins anew. A
// clock that is set back gives nobody anything: the day before is remembered, and what is
// older goes on with what has been counted so far.

// maxQuotaUsers bounds the users that are counted on one day; those of one domain are half of
// them at most, if there are others.
const maxQuotaUsers = 100_000

// Use is how many messages to telephones a user has sent on a day.
type Use struct {
	User  mapping.JID // bare
	Day   string      // as time.DateOnly
	Sent  int
	Limit int // of the policy in force; 0 is none. It is not kept
}

// UsageBook keeps what has been counted. Nothing here waits for the disk.
type UsageBook interface {
	// PutUsage takes new counts, which replace older ones.
	PutUsage(batch []Use)
}

// daily is what is counted on one day.
type daily struct {
	day      string
	sent     map[mapping.JID]int
	byDomain map[string]int // users
}

func newDaily(day string) *daily {
	return &daily{day: day, sent: make(map[mapping.JID]int), byDomain: make(map[string]int)}
}

// quota counts for all users. It is safe for concurrent use; its mutex is taken last.
type quota struct {
	zone *time.Location

	mu    sync.Mutex // guards the following
	alone bool
	today *daily
	other *daily              // the day before, or, while the clock is set back, the day after
	dirty map[useKey]struct{} // counts that are to be kept; nil if nobody keeps them
}

type useKey struct {
	day  string
	user mapping.JID
}

func newQuota(zone *time.Location, now time.Time, alone, kept bool) *quota {
	if zone == nil {
		zone = time.Local
	}
	q := &quota{zone: zone, alone: alone}
	if kept {
		q.dirty = make(map[useKey]struct{})
	}
	q.today, q.other = newDaily(q.dayOf(now)), newDaily(q.dayBefore(now))
	return q
}

func (q *quota) dayBefore(at time.Time) string {
	y, m, d := at.In(q.zone).Date()
	return time.Date(y, m, d-1, 12, 0, 0, 0, q.zone).Format(time.DateOnly) // there is a noon on every day
}

func (q *quota) setAlone(alone bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.alone = alone
}

// count sets how many requests of a user are counted. q.mu is held.
func (q *quota) count(d *daily, user mapping.JID, sent int) {
	d.sent[user] = sent
	q.note(d, user)
}

// note has a count kept. q.mu is held.
func (q *quota) note(d *daily, user mapping.JID) {
	if q.dirty != nil {
		q.dirty[useKey{d.day, user}] = struct{}{}
	}
}

func (q *quota) dayOf(at time.Time) string { return at.In(q.zone).Format(time.DateOnly) }

// midnight is when the next day begins. Where clocks are put forward at midnight that is at
// one o'clock.
func (q *quota) midnight(now time.Time) time.Time {
	now = now.In(q.zone)
	y, m, d := now.Date()
	at := time.Date(y, m, d+1, 0, 0, 0, 0, q.zone)
	for at.Day() == now.Day() {
		at = at.Add(30 * time.Minute)
	}
	return at
}

// turn makes the day of now that which is counted. q.mu is held.
func (q *quota) turn(now time.Time) *daily {
	switch day := q.dayOf(now); {
	case day == q.today.day:
	case day == q.other.day:
		q.today, q.other = q.other, q.today
	case day > q.today.day:
		q.today, q.other = newDaily(day), q.today
	default: // set back, further than is remembered
		q.today.day = day
		for user := range q.today.sent {
			q.note(q.today, user)
		}
	}
	return q.today
}

// take counts n more requests of a user, if he may send so many: limit is how many a day, 0 for
// any number. first: they are a message, and not further parts of one.
func (q *quota) take(user mapping.JID, n, limit int, now time.Time, first bool) *mapping.Failure {
	q.mu.Lock()
	defer q.mu.Unlock()
	d := q.turn(now)
	sent, known := d.sent[user]
	switch {
	case limit > 0 && sent+n > limit && first:
		return mapping.FailDaily(sent, limit, q.midnight(now))
	case limit > 0 && sent+n > limit:
		return mapping.FailDailyParts(n+1, sent-1, limit, q.midnight(now))
	case known:
	case len(d.sent) >= maxQuotaUsers, !q.alone && d.byDomain[user.Domain()] >= maxQuotaUsers/2:
		if limit > 0 {
			return mapping.FailDailyRoom()
		}
		return nil // nobody has to be counted
	default:
		d.byDomain[user.Domain()]++
	}
	q.count(d, user, sent+n)
	return nil
}

// giveBack counts n requests less that were counted at that time.
func (q *quota) giveBack(user mapping.JID, n int, at time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, d := range [...]*daily{q.today, q.other} {
		if d.day == q.dayOf(at) {
			if sent := d.sent[user]; sent > 0 {
				q.count(d, user, max(sent-n, 0))
			}
			return
		}
	}
}

// changed are the counts that are others than before.
func (q *quota) changed() (out []Use) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.dirty) == 0 {
		return nil
	}
	for k := range q.dirty {
		for _, d := range [...]*daily{q.today, q.other} {
			if d.day == k.day {
				out = append(out, Use{User: k.user, Day: k.day, Sent: d.sent[k.user]})
			}
		}
	}
	clear(q.dirty)
	return out
}

// restore takes a count of an earlier run.
func (q *quota) restore(u Use, now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	d := q.turn(now)
	if u.Day == q.other.day {
		d = q.other
	} else if u.Day != d.day {
		return
	}
	if _, known := d.sent[u.User]; !known {
		if u.Sent <= 0 || len(d.sent) >= maxQuotaUsers {
			return
		}
		d.byDomain[u.User.Domain()]++
	}
	d.sent[u.User] = u.Sent
}

// used are the users who have sent most on this day, n at most, or all of them.
func (q *quota) used(n int, now time.Time) []Use {
	q.mu.Lock()
	d := q.turn(now)
	out := make([]Use, 0, len(d.sent))
	for user, sent := range d.sent {
		if sent > 0 {
			out = append(out, Use{User: user, Day: d.day, Sent: sent})
		}
	}
	q.mu.Unlock()
	slices.SortFunc(out, func(a, b Use) int {
		return cmp.Or(b.Sent-a.Sent, strings.Compare(a.User.String(), b.User.String()))
	})
	if n > 0 && len(out) > n {
		out = out[:n]
	}
	return out
}

// Usage returns the users who have sent most to telephones on this day, n at most; 0 is all
// of them.
func (b *Bridge) Usage(n int) []Use {
	limit := b.policy.Load().DailyPerUser
	out := b.quota.used(n, time.Now())
	for i := range out {
		out[i].Limit = limit
	}
	return out
}

// RestoreUsage takes what an earlier run has counted on UsageDays. Call it before Run and before either side runs.
func (b *Bridge) RestoreUsage(batch []Use) {
	now := time.Now()
	for _, u := range batch {
		b.quota.restore(u, now)
	}
}

// UsageDays are the days that RestoreUsage wants to know of.
func (b *Bridge) UsageDays() [2]string {
	now := time.Now()
	return [2]string{b.quota.dayOf(now), b.quota.dayBefore(now)}
}

// dial is the Failure of a message to a telephone that may not be sent, nil if it may; then it
// is counted.
func (b *Bridge) dial(out *work, p *Policy, o *outbound) *mapping.Failure {
	number, is := p.Rules.Telephone(o.message().RequestURI)
	if !is {
		return nil
	}
	if len(p.Prefixes) > 0 && !slices.ContainsFunc(p.Prefixes, func(prefix string) bool { return strings.HasPrefix(number, prefix) }) {
		out.denied.Prefix++
		return mapping.FailPrefix(p.Prefixes, number != "")
	}
	if f := b.quota.take(o.sender, len(o.parts), p.DailyPerUser, out.now, true); f != nil {
		out.denied.Daily++
		return f
	}
	return nil
}

// dialParts is dial for a message that is going to have n parts more.
func (b *Bridge) dialParts(out *work, o *outbound, n int) *mapping.Failure {
	p := b.policy.Load()
	if _, is := p.Rules.Telephone(o.message().RequestURI); !is || o.silent {
		return nil
	}
	f := b.quota.take(o.sender, n, p.DailyPerUser, out.now, false)
	if f != nil {
		out.denied.Daily++
	}
	return f
}

// notDialled gives back what was counted of o and has not left.
func (b *Bridge) notDialled(o *outbound) {
	n := len(o.parts)
	if n == 0 || o.silent {
		return
	}
	if _, is := b.policy.Load().Rules.Telephone(o.message().RequestURI); !is {
		return
	}
	if o.left {
		n--
	}
	if n > 0 {
		b.quota.giveBack(o.sender, n, o.read)
	}
}
