package store

import (
	"bytes"
	"database/sql"
	"slices"
	"strings"
	"time"
)

// Account is the SIP account of a user. A user has one at most, and so has an AOR. What is in
// Data is the caller's business, and he has encrypted it; with none the account is forgotten.
type Account struct {
	User, AOR string
	Since     time.Time // kept in milliseconds
	Data      []byte    // must not be changed after PutAccounts
}

// accountPut are accounts that go to the disk in one commit.
type accountPut struct {
	batch []Account
	done  func(error) // nil: it is tried until it is there
}

// maxAccountsWait bounds what waits. There are fewer accounts.
const maxAccountsWait = 262144

// PutAccounts keeps new versions, which replace older ones: that of the same user, and whoever
// else's has the same AOR. With a done it is tried once: done is called when it is on the disk,
// or with the fault for which it may not be; the caller then says anew what is to be there.
// Without one it is tried until it is. An error says that nothing was taken, and done is not
// called: ErrClosed, ErrFull, ErrBadEntry for an empty batch, or, with a done, the fault that the store suffers from at present.
func (s *Store) PutAccounts(batch []Account, done func(error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case len(batch) == 0:
		return ErrBadEntry
	case s.closed:
		return ErrClosed
	case s.failing != nil && done != nil:
		return s.failing
	case s.accountRows+len(batch) > maxAccountsWait:
		s.dropped += uint64(len(batch))
		return ErrFull
	}
	defer s.signalLocked(s.toDo())
	s.sideLocked()
	s.accounts = append(s.accounts, accountPut{batch, done})
	s.accountRows += len(batch)
	return nil
}

// takeAccountsLocked is what goes with the next commit: whole batches, so that each is there
// or is not.
func (q *queue) takeAccountsLocked() (taken []accountPut) {
	n, rows := 0, 0
	for n < len(q.accounts) && (n == 0 || rows+len(q.accounts[n].batch) <= maxContactRows) {
		rows += len(q.accounts[n].batch)
		n++
	}
	q.accountRows -= rows
	taken, q.accounts = takeFirst(q.accounts, n)
	return taken
}

// accountsBackLocked puts what is tried until it is there before what came meanwhile.
func (q *queue) accountsBackLocked(failed []accountPut) {
	again := slices.DeleteFunc(slices.Clone(failed), func(p accountPut) bool { return p.done != nil })
	q.accounts = append(again, q.accounts...)
	for _, p := range again {
		q.accountRows += len(p.batch)
	}
}

// accountsDone are the callers to be told about a commit.
func (w *work) accountsDone() (all []func(error)) {
	for _, p := range w.accounts {
		if p.done != nil {
			all = append(all, p.done)
		}
	}
	return all
}

// accountRows counts the accounts of a commit.
func (w *work) accountRows() (n int) {
	for _, p := range w.accounts {
		n += len(p.batch)
	}
	return n
}

// LoadAccounts calls f with all accounts on the disk, in batches, in the order of users, and
// stops with the first error. The slice is valid only during the call.
func (s *Store) LoadAccounts(f func([]Account) error) error { return s.b.loadAccounts(f) }

func (b *sqliteStore) putAccounts(w *work) error {
	for _, p := range w.accounts {
		for _, a := range p.batch {
			var err error
			if a.Data == nil {
				err = b.writer.exec("DELETE FROM accounts WHERE user = ?", a.User)
			} else {
				// A fault of the caller, two users with one AOR, must not stop the journal.
				err = b.writer.exec("INSERT OR REPLACE INTO accounts (user, aor, since, data) VALUES (?, ?, ?, ?)", a.User, a.AOR, millis(a.Since), a.Data)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *sqliteStore) loadAccounts(f func([]Account) error) error {
	return loadPages(func(last Account) ([]Account, error) {
		page, err := query(b.reader, func(rows *sql.Rows, a *Account) error {
			var since int64
			err := rows.Scan(&a.User, &a.AOR, &since, &a.Data)
			a.Since = fromMillis(since)
			return err
		}, "SELECT user, aor, since, data FROM accounts WHERE user > ? ORDER BY user LIMIT ?", last.User, readRows)
		if err != nil {
			err = withRemedy(b.path, err)
		}
		return page, err
	}, f)
}

func (m *memory) putAccounts(all []accountPut) {
	for _, p := range all {
		for _, a := range p.batch {
			delete(m.accounts, a.User)
			if a.Data == nil {
				continue
			}
			for user, other := range m.accounts {
				if other.AOR == a.AOR {
					delete(m.accounts, user)
				}
			}
			a.Since, a.Data = fromMillis(millis(a.Since)), bytes.Clone(a.Data)
			m.accounts[a.User] = a
		}
	}
}

func (m *memory) loadAccounts(f func([]Account) error) error {
	m.mu.Lock()
	var all []Account
	for _, a := range m.accounts {
		all = append(all, a)
	}
	m.mu.Unlock()
	if len(all) == 0 {
		return nil
	}
	slices.SortFunc(all, func(a, b Account) int { return strings.Compare(a.User, b.User) })
	return f(all)
}
