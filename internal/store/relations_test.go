package store

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func relationsIn(t *testing.T, s *Store) (all []Relation) {
	t.Helper()
	if err := s.LoadRelations(func(batch []Relation) error { all = append(all, batch...); return nil }); err != nil {
		t.Fatal(err)
	}
	return all
}

// The last version of a relation is kept, across restarts where there is a file, in order,
// and what has no state goes.
func TestRelations(t *testing.T) {
	engines(t, func(t *testing.T, path string) {
		s := mustOpen(t, path, Options{})
		if got := relationsIn(t, s); len(got) != 0 {
			t.Errorf("a new store has %v", got)
		}
		r := start(t, s)
		at := time.UnixMilli(1_800_000_000_123)
		r.PutRelations([]Relation{{"a@x", "r@g", 1, at}, {"b@x", "r@g", 1, at}})
		r.flushed()
		r.PutRelations([]Relation{{"a@x", "r@g", 2, at.Add(time.Second + time.Microsecond)}, {"a@x", "g", 65535, time.Time{}}, {"b@x", "r@g", 0, at}, {"c@x", "r@g", 0, at}})
		var want []Relation
		for i := range 2*readRows + 1 { // several reads
			want = append(want, Relation{fmt.Sprintf("u%06d@x", i), "g", 4, at})
		}
		r.PutRelations(want)
		r.PutRelations(nil)
		want = append([]Relation{{"a@x", "g", 65535, time.Time{}}, {"a@x", "r@g", 2, at.Add(time.Second)}}, want...)
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		if path != "" {
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			s = mustOpen(t, path, Options{})
			defer s.Close()
		}
		if got := relationsIn(t, s); !slices.Equal(got, want) {
			t.Errorf("%d relations, want %d: %v", len(got), len(want), got[:min(len(got), 5)])
		}
		boom := errors.New("boom")
		calls := 0
		if err := s.LoadRelations(func([]Relation) error { calls++; return boom }); !errors.Is(err, boom) || calls != 1 {
			t.Errorf("after an error of the callee: %v, %d calls", err, calls)
		}
	})
}

// A file at rest is read in pages, of all or of some.
func TestRelationsOfAReader(t *testing.T) {
	path := makeFile(t)
	r := start(t, mustOpen(t, path, Options{}))
	at := time.UnixMilli(1_800_000_000_123)
	var all []Relation
	for i := range 7 {
		for j := range 3 {
			all = append(all, Relation{fmt.Sprintf("u%d@x", i), fmt.Sprintf("c%d@g", j), 2, at})
		}
	}
	r.PutRelations(all)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	r.Close()
	ro, err := OpenReadOnly(path)
	if err != nil {
		t.Fatal(err)
	}
	defer ro.Close()
	for _, c := range []struct {
		user, contact string
		n             int
	}{{"", "", 21}, {"u3@x", "", 3}, {"", "c2@g", 7}, {"u3@x", "c2@g", 1}, {"u3@x", "none@g", 0}} {
		var want, got []Relation
		for _, r := range all {
			if (c.user == "" || r.User == c.user) && (c.contact == "" || r.Contact == c.contact) {
				want = append(want, r)
			}
		}
		q := RelationQuery{User: c.user, Contact: c.contact, N: 2}
		for {
			page, err := ro.Relations(q)
			if err != nil || len(page) > 2 {
				t.Fatal(page, err)
			}
			if len(page) == 0 {
				break
			}
			got = append(got, page...)
			q.After = page[len(page)-1].key()
		}
		n, err := ro.CountRelations(c.user, c.contact)
		if !slices.Equal(got, want) || n != c.n || len(want) != c.n || err != nil {
			t.Errorf("%q %q: %v, %d, %v; want %v", c.user, c.contact, got, n, err, want)
		}
	}
}

// What users and contacts had agreed upon before there were relations becomes relations, and
// stays where it is (PRES-01).
func TestRelationsFromContacts(t *testing.T) {
	path := makeFile(t)
	r := start(t, mustOpen(t, path, Options{}))
	contacts := []Contact{
		{"a@x", "both@g", 1 | 4 | 8}, {"a@x", "declined@g", 2 | 16}, {"a@x", "from@g", 2 | 8},
		{"a@x", "g", 1 | 8 | 32}, // the gateway itself
		{"a@x", "to@g", 1}, {"b@x", "asked@g", 4}, {"b@x", `ro\40me@g`, 1},
	}
	r.PutContacts(contacts)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	r.Close()
	exec(t, path, "DROP TABLE relations", "DROP TABLE dialogs", "DROP TABLE accounts", "DROP TABLE blocks", "DROP TABLE usage", "DROP TABLE slots", "DELETE FROM goose_db_version WHERE version_id >= 3")

	ro, err := OpenReadOnly(path)
	if err != nil {
		t.Fatal(err)
	}
	page, err := ro.Relations(RelationQuery{N: 10})
	n, err2 := ro.CountRelations("", "")
	err3 := ro.LoadDialogs(func([]Dialog) error { return errors.New("a dialog") })
	if err := errors.Join(err, err2, err3, ro.Close()); len(page) != 0 || n != 0 || err != nil {
		t.Errorf("of a file that has none: %v, %d, %v", page, n, err)
	}
	want := []Relation{{"a@x", "both@g", 2 | 8, time.Time{}}, {"a@x", "from@g", 8, time.Time{}}, {"a@x", "to@g", 2, time.Time{}}, {"b@x", `ro\40me@g`, 2, time.Time{}}}
	for range 2 { // once only
		s := mustOpen(t, path, Options{})
		if got := relationsIn(t, s); !slices.Equal(got, want) {
			t.Errorf("relations %v, want %v", got, want)
		}
		if got := contactsIn(t, s); !slices.Equal(got, contacts) {
			t.Errorf("contacts %v, want %v", got, contacts)
		}
		if got := idsOf(mustLoad(t, s)); !slices.Equal(got, []uint64{1, 2}) {
			t.Errorf("rows %v", got)
		}
		s.Close()
	}
}

// While the disk fails at most so much waits, and who changes his mind again and again, or
// about many contacts, does not push out what another one has taken back.
func TestRelationsThatWaitAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f := openFlaky(t, Options{})
		r := start(t, s)
		s.PutRelations([]Relation{{"a@x", "r@g", 8, time.Time{}}, {"b@x", "r@g", 8, time.Time{}}})
		time.Sleep(time.Second)
		synctest.Wait()
		f.set(fault(ErrDiskFull, errors.New("boom")))
		s.PutRelations([]Relation{{"a@x", "r@g", 0, time.Time{}}}) // taken back
		time.Sleep(time.Second)
		synctest.Wait()
		for i := range maxRelationsWait {
			s.PutRelations([]Relation{{"b@x", "r@g", uint16(i%2) + 1, time.Time{}}})
		}
		if n := s.State().Unflushed; n != 2 {
			t.Errorf("of one who changes his mind %d wait, want 2", n)
		}
		for i := range 2 * maxRelationsWait {
			s.PutRelations([]Relation{{"b@x", fmt.Sprintf("c%d@g", i), 1, time.Time{}}})
			if n := s.State().Unflushed; n > maxRelationsWait {
				t.Fatalf("%d wait", n)
			}
		}
		if st := s.State(); st.Dropped < maxRelationsWait/2 {
			t.Errorf("%d dropped", st.Dropped)
		}
		f.set(nil)
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		got := relationsIn(t, s)
		if slices.ContainsFunc(got, func(r Relation) bool { return r.User == "a@x" }) {
			t.Error("what was taken back is there")
		}
		if last := (Relation{"b@x", fmt.Sprintf("c%d@g", 2*maxRelationsWait-1), 1, time.Time{}}); !slices.Contains(got, last) {
			t.Error("the last one is not there")
		}
	})
}

// Of many users the newest versions are left.
func TestRelationsOfManyUsersAreBounded(t *testing.T) {
	s := mustOpen(t, "", Options{})
	defer s.Close()
	for i := range maxRelationsWait + 1 {
		s.PutRelations([]Relation{{fmt.Sprintf("u%d@x", i), "g", 1, time.Time{}}})
	}
	if st := s.State(); st.Unflushed != maxRelationsWait/2 || st.Dropped != maxRelationsWait/2+1 {
		t.Errorf("%d wait, %d dropped", st.Unflushed, st.Dropped)
	}
	if err := start(t, s).stop(); err != nil {
		t.Fatal(err)
	}
	if got := relationsIn(t, s); len(got) != maxRelationsWait/2 || slices.ContainsFunc(got, func(r Relation) bool { return r.User == "u0@x" }) {
		t.Errorf("%d on the disk", len(got))
	}
}

// What has gathered during a fault is written a part at a time, and all of it in the end.
func TestManyRelationsAreNotOneCommit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stox.db")
	s := mustOpen(t, path, Options{})
	const n = 2*maxContactRows + 1
	for i := range n {
		s.PutRelations([]Relation{{fmt.Sprintf("c%d@x", i), "g", 1, time.Time{}}})
		s.PutDialogs([]Dialog{{Key: fmt.Sprint(i), Expires: time.Now().Add(time.Hour), Data: []byte("x")}})
	}
	s.mu.Lock()
	w, _ := s.takeLocked(s.nextExpiry, true)
	if len(w.relations) != maxContactRows || len(w.dialogs) != maxDialogRows {
		t.Errorf("%d relations and %d dialogs in one commit", len(w.relations), len(w.dialogs))
	}
	s.failLocked(w, errRow, s.nextExpiry)
	s.mu.Unlock()
	if err := start(t, s).stop(); err != nil {
		t.Fatal(err)
	}
	if r, d := len(relationsIn(t, s)), len(dialogsIn(t, s)); r != n || d != n || s.dialogBytes != 0 {
		t.Errorf("%d relations and %d dialogs on the disk, want %d; %d bytes wait", r, d, n, s.dialogBytes)
	}
}
