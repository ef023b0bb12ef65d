package store

import (
	"database/sql"
	"slices"
	"strings"
	"time"
)

// Usage is how many messages to telephones a user has sent on a day.
type Usage struct {
	Day  string // of the calendar: "2026-03-01"
	User string
	Sent int
}

func (u Usage) key() [2]string { return [2]string{u.Day, u.User} }

const (
	// usageDays is how many days are kept.
	usageDays = 35
	// maxUsageWait bounds what waits during a fault. Of more, what has a newer version is
	// dropped, then the oldest down to half of it.
	maxUsageWait = 262144
)

// PutUsage keeps new versions, which replace older ones. They are written as contacts are, in
// batches and without a report: a kill of the process costs what came in the 40 ms before it.
// Days are kept for 35 days.
func (s *Store) PutUsage(batch []Usage) {
	s.putSide(len(batch), func() { s.usage = append(s.usage, batch...) })
}

func (q *queue) boundUsageLocked() {
	q.usage = boundSideLocked(q, q.usage, Usage.key, maxUsageWait)
}

// usageBefore is the first day that is kept.
func usageBefore(now time.Time) string { return now.AddDate(0, 0, -usageDays).Format(time.DateOnly) }

// LoadUsage calls f with what is on the disk of one day, in batches, in the order of users, and
// stops with the first error. The slice is valid only during the call.
func (s *Store) LoadUsage(day string, f func([]Usage) error) error { return s.b.loadUsage(day, f) }

func (b *sqliteStore) putUsage(w *work) error {
	for _, u := range w.usage {
		err := b.writer.exec("INSERT INTO usage (day, user, sent) VALUES (?, ?, ?) ON CONFLICT (day, user) DO UPDATE SET sent = excluded.sent", u.Day, u.User, int64(u.Sent))
		if err != nil {
			return err
		}
	}
	return nil
}

func (b *sqliteStore) expireUsage(x *expiry) error {
	return b.writer.exec("DELETE FROM usage WHERE day < ?", x.usageBefore)
}

func (b *sqliteStore) loadUsage(day string, f func([]Usage) error) error {
	return loadPages(func(last Usage) ([]Usage, error) {
		page, err := query(b.reader, func(rows *sql.Rows, u *Usage) error { return rows.Scan(&u.Day, &u.User, &u.Sent) },
			"SELECT day, user, sent FROM usage WHERE day = ? AND user > ? ORDER BY user LIMIT ?", day, last.User, readRows)
		if err != nil {
			err = withRemedy(b.path, err)
		}
		return page, err
	}, f)
}

// Usage is LoadUsage for the file of a daemon that is stopped. That of a version that had none
// has none.
func (r *Reader) Usage(day string, f func([]Usage) error) error {
	if has, err := r.hasTable("usage"); !has {
		return err
	}
	return r.b.loadUsage(day, f)
}

func (m *memory) putUsage(batch []Usage) {
	for _, u := range batch {
		m.usage[u.key()] = u
	}
}

func (m *memory) loadUsage(day string, f func([]Usage) error) error {
	m.mu.Lock()
	var all []Usage
	for _, u := range m.usage {
		if u.Day == day {
			all = append(all, u)
		}
	}
	m.mu.Unlock()
	if len(all) == 0 {
		return nil
	}
	slices.SortFunc(all, func(a, b Usage) int { return strings.Compare(a.User, b.User) })
	return f(all)
}
