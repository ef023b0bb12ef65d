package store

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"
)

func contactsIn(t *testing.T, s *Store) (all []Contact) {
	t.Helper()
	if err := s.LoadContacts(func(batch []Contact) error { all = append(all, batch...); return nil }); err != nil {
		t.Fatal(err)
	}
	return all
}

// The last version of a contact is kept, across restarts where there is a file, and what
// has no marks goes.
func TestContacts(t *testing.T) {
	engines(t, func(t *testing.T, path string) {
		s := mustOpen(t, path, Options{})
		if got := contactsIn(t, s); len(got) != 0 {
			t.Errorf("a new store has %v", got)
		}
		r := start(t, s)
		r.PutContacts([]Contact{{"a@x", "r@g", 1}, {"b@x", "r@g", 1}})
		r.flushed()
		r.PutContacts([]Contact{{"a@x", "r@g", 3}, {"a@x", "g", 65535}, {"b@x", "r@g", 0}, {"c@x", "r@g", 0}})
		var want []Contact
		for i := range 2*readRows + 1 { // several reads
			want = append(want, Contact{fmt.Sprintf("u%06d@x", i), "g", 4})
		}
		r.PutContacts(want)
		r.PutContacts(nil)
		want = append([]Contact{{"a@x", "g", 65535}, {"a@x", "r@g", 3}}, want...)
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
		if got := contactsIn(t, s); !slices.Equal(got, want) {
			t.Errorf("%d contacts, want %d: %v", len(got), len(want), got[:min(len(got), 5)])
		}
	})
}

// A commit that fails takes no contact with it, nor the order of their versions.
func TestContactsOutliveAFault(t *testing.T) {
	s := mustOpen(t, "", Options{})
	defer s.Close()
	s.mu.Lock()
	s.contacts = []Contact{{"a@x", "g", 1}}
	w, _ := s.takeLocked(s.nextExpiry, true)
	s.contacts = append(s.contacts, Contact{"a@x", "g", 2})
	s.failLocked(w, errRow, s.nextExpiry)
	got := slices.Clone(s.contacts)
	for i := range maxContactsWait {
		s.contacts = append(s.contacts, Contact{"b@x", "g", uint16(i % 2)})
	}
	s.boundLocked()
	newest := slices.Clone(s.contacts)
	for i := range maxContactsWait {
		s.contacts = append(s.contacts, Contact{fmt.Sprintf("c%d@x", i), "g", 1})
	}
	s.boundLocked()
	left, dropped := len(s.contacts), s.dropped
	last := s.contacts[left-1]
	s.mu.Unlock()
	if !slices.Equal(newest, []Contact{{"a@x", "g", 2}, {"b@x", "g", 1}}) {
		t.Errorf("of a user who changes his mind and another one are left: %v", newest)
	}
	if !slices.Equal(got, []Contact{{"a@x", "g", 1}, {"a@x", "g", 2}}) {
		t.Errorf("waiting: %v", got)
	}
	if left != maxContactsWait/2 || dropped != maxContactsWait/2+2 || last != (Contact{fmt.Sprintf("c%d@x", maxContactsWait-1), "g", 1}) {
		t.Errorf("%d wait, %d dropped; the last is %v", left, dropped, last)
	}
}

// What has gathered during a fault is written a part at a time, so that no message waits
// behind all of it, and all of it in the end.
func TestManyContactsAreNotOneCommit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stox.db")
	s := mustOpen(t, path, Options{})
	const n = 3*maxContactRows + 1
	for i := range n {
		s.PutContacts([]Contact{{fmt.Sprintf("c%d@x", i), "g", 1}})
	}
	s.mu.Lock()
	w, _ := s.takeLocked(s.nextExpiry, true)
	if len(w.contacts) != maxContactRows {
		t.Errorf("%d in one commit, want %d", len(w.contacts), maxContactRows)
	}
	s.failLocked(w, errRow, s.nextExpiry)
	s.mu.Unlock()
	if err := start(t, s).stop(); err != nil {
		t.Fatal(err)
	}
	if got := len(contactsIn(t, s)); got != n {
		t.Errorf("%d on the disk, want %d", got, n)
	}
}

// A file of the first version gets the table and keeps its rows.
func TestContactsInAnOldFile(t *testing.T) {
	path := makeFile(t)
	exec(t, path, "DROP TABLE contacts", "DROP TABLE relations", "DROP TABLE dialogs", "DROP TABLE accounts", "DROP TABLE blocks", "DROP TABLE usage", "DROP TABLE slots", "DELETE FROM goose_db_version WHERE version_id >= 2")
	if ro, err := OpenReadOnly(path); err != nil {
		t.Errorf("read only: %v", err)
	} else {
		if got := idsOf(mustLoad(t, ro)); !slices.Equal(got, []uint64{1, 2}) {
			t.Errorf("rows %v", got)
		}
		ro.Close()
	}
	r := start(t, mustOpen(t, path, Options{}))
	r.PutContacts([]Contact{{"a@x", "g", 1}})
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	if got := contactsIn(t, r.Store); !slices.Equal(got, []Contact{{"a@x", "g", 1}}) {
		t.Errorf("contacts %v", got)
	}
	if got := idsOf(mustLoad(t, r.Store)); !slices.Equal(got, []uint64{1, 2}) {
		t.Errorf("rows %v", got)
	}
}
