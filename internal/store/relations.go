package store

import (
	"cmp"
	"database/sql"
	"database/sql/driver"
	"slices"
	"strings"
	"time"
)

// Relation is who of a user and a contact may see whose presence. What the State means is
// the caller's business; with none it is forgotten.
type Relation struct {
	User, Contact string
	State         uint16
	Since         time.Time // kept in milliseconds; zero: not known
}

func (r Relation) key() [2]string { return [2]string{r.User, r.Contact} }

// Bounds of what waits during a fault. What is more is looked through, which leaves half of
// it at most.
const (
	maxRelationsWait   = 262144
	maxRelationsWaitOf = 1024 // of one user, once the bound is reached
)

// PutRelations keeps new versions, which replace older ones. They are written as contacts
// are, in batches and without a report; during a fault at most 262144 wait. Of more, what has
// a newer version is dropped first, then what one user has beyond the last 1024, then the
// oldest down to 131072: nobody, however often he changes his mind, pushes out that another
// one has taken back what he had granted.
func (s *Store) PutRelations(batch []Relation) {
	s.putSide(len(batch), func() { s.relations = append(s.relations, batch...) })
}

func (q *queue) boundRelationsLocked() {
	if len(q.relations) <= maxRelationsWait {
		return
	}
	q.relations = newest(q.relations, Relation.key)
	had := len(q.relations)
	if had > maxRelationsWait/2 {
		q.relations = fewOf(q.relations)
		q.relations = dropOldest(q.relations, len(q.relations)-maxRelationsWait/2)
	}
	q.dropped += uint64(had - len(q.relations))
}

// fewOf drops what one user has beyond his last maxRelationsWaitOf.
func fewOf(list []Relation) []Relation {
	of := make(map[string]int)
	for _, r := range list {
		of[r.User]++
	}
	return slices.DeleteFunc(list, func(r Relation) bool {
		of[r.User]--
		return of[r.User] >= maxRelationsWaitOf
	})
}

// LoadRelations calls f with all relations on the disk, in batches, in the order of users and
// contacts, and stops with the first error. The slice is valid only during the call.
func (s *Store) LoadRelations(f func([]Relation) error) error { return s.b.loadRelations(f) }

// RelationQuery asks for a page of relations.
type RelationQuery struct {
	User, Contact string    // of these only; "" is any
	After         [2]string // user and contact of the last one of the page before
	N             int       // so many at most
}

// Relations returns the next relations in the order of users and contacts; none at the end.
// The file of a version that had none has none.
func (r *Reader) Relations(q RelationQuery) ([]Relation, error) {
	if has, err := r.hasTable("relations"); !has {
		return nil, err
	}
	page, err := r.b.relations(q)
	return page, r.remedy(err)
}

// CountRelations returns how many there are of a user and a contact; "" is any.
func (r *Reader) CountRelations(user, contact string) (n int, err error) {
	if has, err := r.hasTable("relations"); !has {
		return 0, err
	}
	err = r.b.reader.QueryRow("SELECT count(*) FROM relations WHERE (?1 = '' OR user = ?1) AND (?2 = '' OR contact = ?2)", user, contact).Scan(&n)
	if err != nil {
		return 0, r.remedy(classify(err))
	}
	return n, nil
}

// hasTable tells whether the file has a table of a later version.
func (r *Reader) hasTable(name string) (has bool, err error) {
	err = r.b.reader.QueryRow("SELECT count(*) > 0 FROM sqlite_master WHERE type = 'table' AND name = ?", name).Scan(&has)
	if err != nil {
		return false, r.remedy(classify(err))
	}
	return has, nil
}

func (r *Reader) remedy(err error) error {
	if err == nil {
		return nil
	}
	return withRemedy(r.b.path, err)
}

func (b *sqliteStore) putRelations(w *work) error {
	for _, r := range w.relations {
		query, args := "DELETE FROM relations WHERE user = ? AND contact = ?", []driver.Value{r.User, r.Contact}
		if r.State != 0 {
			query = "INSERT INTO relations (user, contact, state, since) VALUES (?, ?, ?, ?) ON CONFLICT (user, contact) DO UPDATE SET state = excluded.state, since = excluded.since"
			args = append(args, int64(r.State), millis(r.Since))
		}
		if err := b.writer.exec(query, args...); err != nil {
			return err
		}
	}
	return nil
}

func (b *sqliteStore) loadRelations(f func([]Relation) error) error {
	return loadPages(func(last Relation) ([]Relation, error) {
		page, err := b.relations(RelationQuery{After: last.key(), N: readRows})
		if err != nil {
			err = withRemedy(b.path, err)
		}
		return page, err
	}, f)
}

func (b *sqliteStore) relations(q RelationQuery) ([]Relation, error) {
	where, args := "(user, contact) > (?, ?)", []any{q.After[0], q.After[1]}
	if q.User != "" {
		where, args = where+" AND user = ?", append(args, q.User)
	}
	if q.Contact != "" {
		where, args = where+" AND contact = ?", append(args, q.Contact)
	}
	return query(b.reader, func(rows *sql.Rows, r *Relation) error {
		var since int64
		err := rows.Scan(&r.User, &r.Contact, &r.State, &since)
		r.Since = fromMillis(since)
		return err
	}, "SELECT user, contact, state, since FROM relations WHERE "+where+" ORDER BY user, contact LIMIT ?", append(args, min(q.N, readRows))...)
}

func (m *memory) putRelations(batch []Relation) {
	for _, r := range batch {
		if r.State == 0 {
			delete(m.relations, r.key())
			continue
		}
		r.Since = fromMillis(millis(r.Since))
		m.relations[r.key()] = r
	}
}

func (m *memory) loadRelations(f func([]Relation) error) error {
	m.mu.Lock()
	var all []Relation
	for _, r := range m.relations {
		all = append(all, r)
	}
	m.mu.Unlock()
	if len(all) == 0 {
		return nil
	}
	slices.SortFunc(all, func(a, b Relation) int {
		return cmp.Or(strings.Compare(a.User, b.User), strings.Compare(a.Contact, b.Contact))
	})
	return f(all)
}
