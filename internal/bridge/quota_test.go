package bridge

import (
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/stoxgw/stox/mapping"
)

// usageFake is a UsageBook that is a disk.
type usageFake struct {
	mu   sync.Mutex
	kept map[useKey]int
}

func (u *usageFake) PutUsage(batch []Use) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, c := range batch {
		u.kept[useKey{c.Day, c.User}] = c.Sent
	}
}

func (u *usageFake) all() (out []Use) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for k, n := range u.kept {
		out = append(out, Use{User: k.user, Day: k.day, Sent: n})
	}
	return out
}

// counted has a bridge count what is sent to telephones.
func (b *Bridge) counted(zone *time.Location, limit int, prefixes ...string) *usageFake {
	u := &usageFake{kept: make(map[useKey]int)}
	b.mu.Lock() // Run may be there already
	b.usage = u
	b.quota = newQuota(zone, time.Now(), false, true)
	b.mu.Unlock()
	p := *b.policy.Load()
	p.DailyPerUser, p.Prefixes = limit, prefixes
	b.SetPolicy(p)
	return u
}

// dials sends a message to a number.
func (r *running) dials(id, from, number string) {
	r.FromXMPP([]mapping.XMPP{fromXMPP(id, from, number+"@sip.example.com", "text of "+id)})
	r.settle()
}

// usage is what is counted of users, as kept and as told; it fails if these differ.
func (r *running) usage(u *usageFake) string {
	r.t.Helper()
	var told []string
	for _, c := range r.Usage(0) {
		if kept := u.kept[useKey{c.Day, c.User}]; kept != c.Sent {
			r.t.Errorf("%d are kept of %s on %s, and %d counted", kept, c.User, c.Day, c.Sent)
		}
		told = append(told, fmt.Sprintf("%s %d", c.User.Local(), c.Sent))
	}
	return strings.Join(told, ", ")
}

func berlin(t *testing.T) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

const (
	julietY = "juliet@example.com/y"
	nurse   = "nurse@example.com/x"
	number  = "+15551234567"
)

// limits.daily_per_user: so many messages of one user on one day, to telephones and to nobody
// else; at midnight he begins anew.
func TestDailyLimit(t *testing.T) {
	run(t, func(r *running) {
		u := r.counted(berlin(t), 3)
		for i, from := range []string{julietX, julietY, julietX} {
			r.dials(fmt.Sprint("m", i), from, fmt.Sprint(number, i))
			r.answer(answered(200))
		}
		r.dials("m4", julietY, number)
		if got, want := r.texts(), "You have sent 3 of 3 messages to telephone numbers today. You can send again after midnight (00:00 CET)."; got != want {
			t.Errorf("%q, want %q", got, want)
		}
		f := r.stanzas[len(r.stanzas)-1].Value.(*mapping.XMPPError).Failure
		if f.Condition != mapping.CondResourceConstraint || f.Type != mapping.TypeWait || f.RetryAfter != 0 {
			t.Errorf("refused with %+v", f)
		}
		if r.sent() != 3 || len(r.disk.rows()) != 0 {
			t.Errorf("%d requests have left, %d rows are left", r.sent(), len(r.disk.rows()))
		}
		r.text("u", julietX) // a user agent costs nothing
		r.dials("n1", nurse, number)
		if got := r.usage(u); got != "juliet 3, nurse 1" || r.sent() != 5 {
			t.Errorf("%s, %d requests", got, r.sent())
		}
		if got := r.Stats().Denied; got != (Denied{Daily: 1}) {
			t.Errorf("counted: %+v", got)
		}
		// The bubble begins at midnight UTC, which is one o'clock there.
		time.Sleep(23*time.Hour - time.Second)
		r.dials("m5", julietX, number+"5")
		if got := r.sent(); got != 5 {
			t.Errorf("a second before midnight: %d requests", got)
		}
		time.Sleep(time.Second)
		r.dials("m6", julietX, number+"6")
		if got := r.usage(u); got != "juliet 1" || r.sent() != 6 {
			t.Errorf("at midnight: %s, %d requests", got, r.sent())
		}
	})
}

// What has certainly not left is not counted; what has is, whatever came of it.
func TestWhatHasNotLeftIsNotCounted(t *testing.T) {
	for name, c := range map[string]struct {
		outcome mapping.Outcome
		want    string
	}{
		"delivered":      {answered(200), "juliet 1"},
		"refused":        {answered(403), "juliet 1"},
		"no such domain": {mapping.Outcome{Kind: mapping.NotWritten, Failure: mapping.FailDNS()}, ""},
		"too long":       {mapping.Outcome{Kind: mapping.NotWritten, Failure: mapping.FailTooLarge(1300)}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(r *running) {
				u := r.counted(time.UTC, 3)
				r.dials("m", julietX, number)
				if got := r.usage(u); got != "juliet 1" {
					t.Errorf("while it is under way: %s", got)
				}
				r.answer(c.outcome)
				r.settle()
				if got := r.usage(u); got != c.want {
					t.Errorf("%s; want %s", got, c.want)
				}
			})
		})
	}
	// A trunk that is down: tried again and again, also by the row alone, and given up.
	run(t, func(r *running) {
		u := r.counted(time.UTC, 3)
		down := mapping.Outcome{Kind: mapping.NotWritten, Failure: mapping.FailUnreachable()}
		r.dials("m", julietX, number)
		r.dials("n", nurse, number)
		over := 0
		for n := 1; r.texts() == "" && n < 1000; n++ {
			for ; r.sent() > over; over++ {
				ref := r.requests[over].Ref
				r.SIPOutcomes([]mapping.Result{{Ref: ref, Outcome: down}})
				r.settle()
			}
			time.Sleep(time.Second)
			r.settle()
		}
		time.Sleep(time.Minute)
		r.settle()
		if got := r.usage(u); got != "" || r.sent() < 4 {
			t.Errorf("after %d attempts: %q", r.sent(), got)
		}
	})
}

// Each part counts, also of a message that was counted as one; and where not all of them may be
// sent, none is.
func TestPartsAreCounted(t *testing.T) {
	toNumber := func(r *running, id string) {
		r.FromXMPP([]mapping.XMPP{fromXMPP(id, julietX, number+"@sip.example.com", longText)})
		r.settle()
		r.answer(noRoom(40 + callIDLen - len(r.request(r.sent()).CallID)))
	}
	run(t, func(r *running) {
		u := r.counted(time.UTC, 4)
		toNumber(r, "m")
		if got := r.usage(u); got != "juliet 3" {
			t.Fatalf("in parts: %s", got)
		}
		r.answer(answered(200))
		r.answer(answered(403)) // the third does not leave
		if got := r.usage(u); got != "juliet 2" || r.sent() != 3 {
			t.Errorf("two parts have left: %s, %d requests", got, r.sent())
		}
		toNumber(r, "n")
		if got := r.usage(u); got != "juliet 2" || r.sent() != 4 || !strings.Contains(r.texts(), "The message is so long that it counts as 3, and you have sent 2 of 4 messages") {
			t.Errorf("three more: %s, %d requests, %s", got, r.sent(), r.texts())
		}
		r.dials("o", julietX, number)
		r.answer(answered(200))
		r.dials("p", julietX, number)
		r.answer(answered(200))
		if got := r.usage(u); got != "juliet 4" {
			t.Errorf("what was left: %s", got)
		}
	})
}

// The next run goes on counting.
func TestDailyLimitAcrossARestart(t *testing.T) {
	run(t, func(r *running) {
		u := r.counted(time.UTC, 2)
		r.dials("m", julietX, number)
		r.answer(answered(200))
		b, s := newBridge(t)
		again := b.counted(time.UTC, 2)
		b.RestoreUsage(u.all())
		maps.Copy(again.kept, u.kept)
		next := &running{b, s, r.t, s.journal}
		next.dials("n", julietX, number)
		next.dials("o", julietX, number)
		if got := next.usage(again); got != "juliet 2" || next.sent() != 1 {
			t.Errorf("%s, %d requests", got, next.sent())
		}
	})
}

// Two devices at once cannot send more than one may.
func TestDailyLimitOfDevicesAtOnce(t *testing.T) {
	b, s := newBridge(t)
	u := b.counted(time.UTC, 50)
	var wg sync.WaitGroup
	for d := range 4 {
		wg.Go(func() {
			for i := range 40 {
				to := fmt.Sprintf("+1555%d%03d@sip.example.com", d, i)
				b.FromXMPP([]mapping.XMPP{fromXMPP(to, fmt.Sprint("juliet@example.com/", d), to, "hi")})
			}
		})
	}
	wg.Wait()
	if used := b.Usage(0); len(s.requests) != 50 || len(used) != 1 || used[0].Sent != 50 || used[0].Limit != 50 {
		t.Errorf("%d requests have left; %+v", len(s.requests), used)
	}
	if all := u.all(); len(all) != 1 || all[0].Sent != 50 {
		t.Errorf("kept: %+v", all)
	}
}

// limits.prefixes: what is dialled begins with one of them, however it is written.
func TestPrefixes(t *testing.T) {
	const to1 = "Messages can be sent to telephone numbers that begin with +1555, +49 only."
	const full = to1 + " Write the number in full, with + and the code of the country."
	for to, want := range map[string]string{
		"+15551234567":                         "",
		"+4930123456":                          "",
		"+15561234567":                         to1,
		"+9005551234":                          to1,
		"009005551234":                         full,
		"9005551234":                           full,
		`+4930123456\40192.0.2.1`:              "",
		`+9005551234\40192.0.2.1`:              to1,
		`+9005551234\40pbx.example.net\3a5070`: to1,
		"7001":                                 "",
		"romeo":                                "",
	} {
		b, s := newBridge(t)
		b.counted(time.UTC, 0, "+1555", "+49")
		b.FromXMPP([]mapping.XMPP{fromXMPP("m", julietX, to+"@sip.example.com", "hi")})
		var got string
		for _, p := range s.stanzas {
			e := p.Value.(*mapping.XMPPError)
			if got = e.Failure.Text; e.Failure.Condition != mapping.CondNotAllowed || e.Failure.Type != mapping.TypeCancel {
				t.Errorf("%s: %+v", to, e.Failure)
			}
		}
		if got != want || (len(s.requests) == 1) != (want == "") {
			t.Errorf("%s: %q, %d requests; want %q", to, got, len(s.requests), want)
		}
	}
}

// A clock that is put back, by whomever, gives nobody more than he may send.
func TestClockThatIsPutBack(t *testing.T) {
	juliet := mapping.MustParseJID("juliet@example.com")
	noon := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	q := newQuota(time.UTC, noon, true, true)
	take := func(at time.Time) string {
		if f := q.take(juliet, 1, 2, at, true); f != nil {
			return "refused"
		}
		return fmt.Sprint(q.today.day, " ", q.today.sent[juliet])
	}
	for i, c := range []struct {
		at   time.Time
		want string
	}{
		{noon, "2026-03-02 1"}, {noon, "2026-03-02 2"}, {noon, "refused"},
		{noon.AddDate(0, 0, 1), "2026-03-03 1"},
		{noon, "refused"},                       // put back by a day: what was counted then counts
		{noon.AddDate(0, 0, 1), "2026-03-03 2"}, // and so does this
		{noon.AddDate(0, 0, -1), "refused"},     // put back further: the day goes on
		{noon, "refused"},
		{noon.AddDate(1, 0, 0), "2027-03-02 1"}, // far ahead, and put right
		{noon.AddDate(0, 0, 5), "2026-03-07 2"},
		{noon.AddDate(0, 0, 5), "refused"},
		{noon.AddDate(0, 0, 6), "2026-03-08 1"},
	} {
		if got := take(c.at); got != c.want {
			t.Errorf("%d, %s: %s, want %s", i, c.at.Format(time.DateTime), got, c.want)
		}
	}
}

// Days have 23 to 25 hours, and somewhere they begin at one o'clock.
func TestMidnight(t *testing.T) {
	for zone, cases := range map[string]map[string]string{
		"Europe/Berlin":     {"2026-03-29 00:30": "2026-03-30 00:00 CEST", "2026-03-28 23:59": "2026-03-29 00:00 CET", "2026-10-25 12:00": "2026-10-26 00:00 CET", "2026-12-31 23:59": "2027-01-01 00:00 CET"},
		"America/Sao_Paulo": {"2018-11-03 12:00": "2018-11-04 01:00 -02"},
		"Asia/Beirut":       {"2022-03-26 23:30": "2022-03-27 01:00 EEST"},
		"UTC":               {"2024-02-29 00:00": "2024-03-01 00:00 UTC"},
	} {
		loc, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		for at, want := range cases {
			now, err := time.ParseInLocation("2006-01-02 15:04", at, loc)
			if err != nil {
				t.Fatal(err)
			}
			q := newQuota(loc, now, true, false)
			if got := q.midnight(now).Format("2006-01-02 15:04 MST"); got != want {
				t.Errorf("%s, %s: %s, want %s", zone, at, got, want)
			}
			if q.dayOf(q.midnight(now)) == q.dayOf(now) || q.dayOf(q.midnight(now).Add(-time.Nanosecond)) != q.dayOf(now) {
				t.Errorf("%s, %s: the day is not over at midnight, or before", zone, at)
			}
		}
	}
}

// The day before is that of the calendar, also where it has begun at one o'clock.
func TestDayBefore(t *testing.T) {
	for zone, cases := range map[string]map[string]string{
		"America/Sao_Paulo": {"2018-11-05 00:30": "2018-11-04", "2018-11-04 01:00": "2018-11-03"},
		"Europe/Berlin":     {"2026-03-30 02:30": "2026-03-29", "2026-10-25 02:30": "2026-10-24", "2026-03-01 00:00": "2026-02-28"},
	} {
		loc, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		for at, want := range cases {
			now, err := time.ParseInLocation("2006-01-02 15:04", at, loc)
			if err != nil {
				t.Fatal(err)
			}
			if got := newQuota(loc, now, true, false).dayBefore(now); got != want {
				t.Errorf("%s, %s: %s, want %s", zone, at, got, want)
			}
		}
	}
}

// Whatever happens - midnights, changes of the clocks, a clock that is put back by less than a
// day, restarts - nobody sends more on one day than he may, and what is kept is what was sent.
func TestQuotaModel(t *testing.T) {
	zone := berlin(t)
	users := []mapping.JID{mapping.MustParseJID("juliet@example.com"), mapping.MustParseJID("nurse@example.com")}
	rapid.Check(t, func(t *rapid.T) {
		type taken struct {
			user mapping.JID
			n    int
			at   time.Time
		}
		const limit = 5
		now := time.Date(2026, 3, 28, 22, 0, 0, 0, zone) // the night before clocks are put forward
		disk := &usageFake{kept: make(map[useKey]int)}
		q := newQuota(zone, now, true, true)
		sent := make(map[useKey]int)
		latest := now
		var open []taken
		t.Repeat(map[string]func(*rapid.T){
			"take": func(t *rapid.T) {
				v := taken{rapid.SampledFrom(users).Draw(t, "user"), rapid.IntRange(1, 3).Draw(t, "n"), now}
				k := useKey{q.dayOf(now), v.user}
				fits := sent[k]+v.n <= limit
				if f := q.take(v.user, v.n, limit, now, true); (f == nil) != fits {
					t.Fatalf("%d more than %d on %s: %v", v.n, sent[k], k.day, f)
				} else if f == nil {
					sent[k] += v.n
					open = append(open, v)
				}
			},
			"give back": func(t *rapid.T) {
				if len(open) == 0 {
					t.Skip("nothing is open")
				}
				v := open[len(open)-1]
				open = open[:len(open)-1]
				if latest.Sub(v.at) > 20*time.Hour {
					return // nobody keeps a message so long that it is of a day that is forgotten
				}
				q.giveBack(v.user, v.n, v.at)
				sent[useKey{q.dayOf(v.at), v.user}] -= v.n
			},
			"time": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(0, 600).Draw(t, "minutes")) * time.Minute)
				if now.After(latest) {
					latest = now
				}
				q.used(0, now)
			},
			"put back": func(t *rapid.T) {
				back := now.Add(-time.Duration(rapid.IntRange(1, 60).Draw(t, "minutes")) * time.Minute)
				if latest.Sub(back) > 20*time.Hour {
					t.Skip("further than is remembered")
				}
				now = back
				q.used(0, now)
			},
			"restart": func(t *rapid.T) {
				// Of a day that has not begun the next run knows nothing.
				for k := range sent {
					if k.day > q.dayOf(now) {
						t.Skip("the clock was put back over midnight")
					}
				}
				disk.PutUsage(q.changed())
				q = newQuota(zone, now, true, true)
				for _, u := range disk.all() {
					if d := q.dayOf(now); u.Day == d || u.Day == now.AddDate(0, 0, -1).Format(time.DateOnly) {
						q.restore(u, now)
					}
				}
			},
			"": func(t *rapid.T) {
				disk.PutUsage(q.changed())
				for _, u := range q.used(0, now) {
					if want := sent[useKey{u.Day, u.User}]; u.Sent != want || disk.kept[useKey{u.Day, u.User}] != want || want > limit {
						t.Fatalf("%d are counted of %s on %s, %d were sent, %d are kept", u.Sent, u.User, u.Day, want, disk.kept[useKey{u.Day, u.User}])
					}
				}
			},
		})
	})
}
