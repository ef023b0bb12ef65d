package store

import (
	"database/sql"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// A row that this version cannot read stands in nobody's way: it is there with its
// number, it stays as it is, and those beside it are served.
func TestRowThatCannotBeRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stox.db")
	r := start(t, mustOpen(t, path, Options{}))
	mustAppend(t, r.Store, entry(1, "one"), entry(2, "two"), entry(3, "three"), entry(4, "four"))
	r.committed(4)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	r.Close()
	exec(t, path, "UPDATE journal SET row = x'02ff' WHERE id = 2")
	exec(t, path, "UPDATE journal SET row = x'' WHERE id = 3")

	type reader interface {
		Load(func(Entry) error) error
		Page(uint64, int) ([]Entry, error)
		Get([]uint64) ([]Entry, error)
	}
	check := func(what string, s reader) {
		t.Helper()
		page, err := s.Page(0, 10)
		if err != nil {
			t.Fatalf("%s: page: %v", what, err)
		}
		some, err := s.Get([]uint64{4, 3, 2, 1})
		if err != nil {
			t.Fatalf("%s: get: %v", what, err)
		}
		for name, got := range map[string][]Entry{"load": mustLoad(t, s), "page": page, "get": some} {
			if !slices.Equal(idsOf(got), []uint64{1, 2, 3, 4}) {
				t.Fatalf("%s: %s: %v", what, name, idsOf(got))
			}
			if string(got[0].Data) != "one" || string(got[3].Data) != "four" || got[3].Lane == "" {
				t.Errorf("%s: %s: the rows beside it are %+v, %+v", what, name, got[0], got[3])
			}
			for _, e := range got[1:3] {
				if len(e.Data) != 0 || e.Lane != "" || !e.Read.IsZero() || !e.Expire.IsZero() {
					t.Errorf("%s: %s: something was read: %+v", what, name, e)
				}
			}
		}
	}
	file, err := OpenReadOnly(path)
	if err != nil {
		t.Fatal(err)
	}
	check("at rest", file)
	if err := file.Close(); err != nil {
		t.Error(err)
	}

	r = start(t, mustOpen(t, path, Options{}))
	check("opened", r.Store)
	r.Done([]uint64{3})
	r.flushed()
	if got := idsOf(mustLoad(t, r.Store)); !slices.Equal(got, []uint64{1, 2, 4}) {
		t.Errorf("after Done: %v", got)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	r.Close()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var row []byte
	if err := db.QueryRow("SELECT row FROM journal WHERE id = 2").Scan(&row); err != nil || string(row) != "\x02\xff" {
		t.Errorf("the row is %x, %v", row, err)
	}
}

// A batch of outcomes that cannot be read is passed over and counted.
func TestOutcomesThatCannotBeRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stox.db")
	r := start(t, mustOpen(t, path, Options{}))
	for i := range 3 {
		r.PutSeen([]Seen{{Key: [16]byte{byte(i)}, Outcome: uint16(200 + i), At: time.Now()}})
		r.flushed()
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	r.Close()
	exec(t, path, "UPDATE seen SET data = x'ff' || data WHERE batch = 2")

	s := mustOpen(t, path, Options{})
	defer s.Close()
	var got []uint16
	unreadable, err := s.LoadSeen(func(batch []Seen) error {
		for _, v := range batch {
			got = append(got, v.Outcome)
		}
		return nil
	})
	if err != nil || unreadable != 1 || !slices.Equal(got, []uint16{200, 202}) {
		t.Errorf("%v, %d unreadable, %v", got, unreadable, err)
	}
}
