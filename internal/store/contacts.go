package store

import (
	"database/sql"
	"database/sql/driver"
	"slices"
	"strings"
)

// Contact is what is remembered of a user and a contact. What the marks mean is the
// caller's business; without any it is forgotten.
type Contact struct {
	User, Contact string
	Marks         uint16
}

func (c Contact) key() [2]string { return [2]string{c.User, c.Contact} }

// maxContactsWait bounds what waits during a fault. What is more is looked through, which
// leaves half of it at most.
const maxContactsWait = 131072

// PutContacts keeps new versions, which replace older ones. They are written like
// outcomes, in batches and without a report; during a fault at most 131072 wait. Of more, what
// has a newer version is dropped, then the oldest down to 65536.
func (s *Store) PutContacts(batch []Contact) {
	s.putSide(len(batch), func() { s.contacts = append(s.contacts, batch...) })
}

// boundContactsLocked drops what is too much to wait. Whoever changes his mind again and
// again does not push out what there is of others.
func (q *queue) boundContactsLocked() {
	q.contacts = boundSideLocked(q, q.contacts, Contact.key, maxContactsWait)
}

// LoadContacts calls f with all contacts on the disk, in batches, and stops with the first
// error. The slice is valid only during the call.
func (s *Store) LoadContacts(f func([]Contact) error) error { return s.b.loadContacts(f) }

func (b *sqliteStore) putContacts(w *work) error {
	for _, c := range w.contacts {
		query, args := "DELETE FROM contacts WHERE user = ? AND contact = ?", []driver.Value{c.User, c.Contact}
		if c.Marks != 0 {
			query = "INSERT INTO contacts (user, contact, marks) VALUES (?, ?, ?) ON CONFLICT (user, contact) DO UPDATE SET marks = excluded.marks"
			args = append(args, int64(c.Marks))
		}
		if err := b.writer.exec(query, args...); err != nil {
			return err
		}
	}
	return nil
}

func (b *sqliteStore) loadContacts(f func([]Contact) error) error {
	return loadPages(func(last Contact) ([]Contact, error) {
		page, err := query(b.reader, func(rows *sql.Rows, c *Contact) error { return rows.Scan(&c.User, &c.Contact, &c.Marks) },
			"SELECT user, contact, marks FROM contacts WHERE (user, contact) > (?, ?) ORDER BY user, contact LIMIT ?", last.User, last.Contact, readRows)
		if err != nil {
			err = withRemedy(b.path, err)
		}
		return page, err
	}, f)
}

func (m *memory) putContacts(batch []Contact) {
	for _, c := range batch {
		if c.Marks == 0 {
			delete(m.contacts, c.key())
		} else {
			m.contacts[c.key()] = c
		}
	}
}

func (m *memory) loadContacts(f func([]Contact) error) error {
	m.mu.Lock()
	var all []Contact
	for _, c := range m.contacts {
		all = append(all, c)
	}
	m.mu.Unlock()
	if len(all) == 0 {
		return nil
	}
	slices.SortFunc(all, func(a, b Contact) int {
		if c := strings.Compare(a.User, b.User); c != 0 {
			return c
		}
		return strings.Compare(a.Contact, b.Contact)
	})
	return f(all)
}
