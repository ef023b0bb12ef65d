package store

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func dialogsIn(t *testing.T, s interface {
	LoadDialogs(func([]Dialog) error) error
}) map[string]string {
	t.Helper()
	all := map[string]string{}
	last := ""
	err := s.LoadDialogs(func(batch []Dialog) error {
		for _, d := range batch {
			if d.Key <= last {
				return fmt.Errorf("%q comes after %q", d.Key, last)
			}
			last = d.Key
			all[d.Key] = string(d.Data)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// The last version of a dialog is kept, across restarts where there is a file, and what has
// no data goes, as does what has expired.
func TestDialogs(t *testing.T) {
	engines(t, func(t *testing.T, path string) {
		s := mustOpen(t, path, Options{})
		if got := dialogsIn(t, s); len(got) != 0 {
			t.Errorf("a new store has %v", got)
		}
		r := start(t, s)
		later := time.Now().Add(time.Hour)
		put := func(key, data string, expires time.Time) {
			r.PutDialogs([]Dialog{{Key: key, Expires: expires, Data: []byte(data)}})
		}
		put("a", "one", later)
		put("b", "one", later)
		r.flushed()
		put("a", "two", later)
		put("b", "", later)
		put("c", "", later)
		put("past", "x", time.Now().Add(-time.Second))
		put("small", "x", later)
		r.flushed()
		put("small", string(bytes.Repeat([]byte("x"), maxDialogData+1)), later) // not any more
		want := map[string]string{"a": "two", "big": string(bytes.Repeat([]byte("x"), maxDialogData))}
		put("big", want["big"], later)
		for i := range 2*readRows + 1 {
			key := fmt.Sprint("k", i)
			put(key, key, later)
			want[key] = key
		}
		r.PutDialogs(nil)
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		if d := r.State().Dropped; d != 1 {
			t.Errorf("%d dropped, want the one that is too big", d)
		}
		if path != "" {
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			ro, err := OpenReadOnly(path)
			if err != nil {
				t.Fatal(err)
			}
			if got := dialogsIn(t, ro); !maps.Equal(got, want) {
				t.Errorf("at rest: %d dialogs, want %d", len(got), len(want))
			}
			ro.Close()
			s = mustOpen(t, path, Options{})
			defer s.Close()
		}
		if got := dialogsIn(t, s); !maps.Equal(got, want) {
			t.Errorf("%d dialogs, want %d", len(got), len(want))
		}
		if err := s.LoadDialogs(func(batch []Dialog) error {
			for _, d := range batch {
				if millis(d.Expires) != millis(later) {
					return fmt.Errorf("%s expires at %v, want %v", d.Key, d.Expires, later)
				}
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
	})
}

// What has expired leaves the disk at the next start, and is not returned before either.
func TestExpiredDialogsGo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stox.db")
	r := start(t, mustOpen(t, path, Options{}))
	now := time.Now()
	r.PutDialogs([]Dialog{{Key: "gone", Expires: now.Add(-time.Millisecond), Data: []byte("x")}, {Key: "there", Expires: now.Add(time.Hour), Data: []byte("x")}})
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	rows := func(s *Store) (n int) {
		t.Helper()
		if err := s.b.(*sqliteStore).reader.QueryRow("SELECT count(*) FROM dialogs").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	want := map[string]string{"there": "x"}
	if got := dialogsIn(t, r.Store); rows(r.Store) != 2 || !maps.Equal(got, want) {
		t.Errorf("before: %v, %d rows", got, rows(r.Store))
	}
	r.Close()
	// A disk that takes nothing at the start is no reason not to start.
	o := Options{}
	o.setDefaults()
	b, err := openSQLite(path, o)
	if err != nil {
		t.Fatal(err)
	}
	b.close()
	exec(t, path, "INSERT INTO dialogs VALUES ('gone', 1, 'x')", "CREATE TRIGGER full BEFORE DELETE ON dialogs BEGIN SELECT raise(ABORT, 'boom'); END")
	s := mustOpen(t, path, Options{})
	if got := dialogsIn(t, s); rows(s) != 2 || !maps.Equal(got, want) {
		t.Errorf("with a disk that takes nothing: %v, %d rows", got, rows(s))
	}
	s.Close()
	exec(t, path, "DROP TRIGGER full")
	s = mustOpen(t, path, Options{})
	defer s.Close()
	if got := dialogsIn(t, s); rows(s) != 1 || !maps.Equal(got, want) {
		t.Errorf("after: %v, %d rows", got, rows(s))
	}
}

// While the disk fails at most so many dialogs, and so much of them, wait; the newest are left.
func TestDialogsThatWaitAreBounded(t *testing.T) {
	for name, c := range map[string]struct {
		data  int
		left  int
		limit int64
	}{
		"many": {1, maxDialogsWait / 2, maxDialogsWaitBytes},
		"big":  {maxDialogData, 0, maxDialogsWaitBytes},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, f := openFlaky(t, Options{})
				r := start(t, s)
				synctest.Wait()
				f.set(fault(ErrDiskFull, errors.New("boom")))
				later := time.Now().Add(time.Hour)
				data := make([]byte, c.data)
				put := func(key string) {
					s.PutDialogs([]Dialog{{Key: key, Expires: later, Data: data}})
				}
				put("first")
				time.Sleep(time.Second)
				synctest.Wait()
				for range maxDialogsWait + 1 { // the same one again and again pushes nobody out
					put("same")
				}
				time.Sleep(time.Minute)
				synctest.Wait()
				if st := s.State(); st.Dropped != 0 || st.Failing == nil {
					t.Fatalf("%+v", st)
				}
				n := 0
				for s.State().Dropped == 0 {
					put(fmt.Sprint("k", n))
					n++
					if s.dialogBytes > c.limit {
						t.Fatalf("%d bytes wait", s.dialogBytes)
					}
				}
				if s.dialogBytes != sizeOfDialogs(s.dialogs) {
					t.Errorf("%d bytes are counted, %d wait", s.dialogBytes, sizeOfDialogs(s.dialogs))
				}
				left := s.State().Unflushed
				if c.left > 0 && left != c.left || left > maxDialogsWait/2 || s.dialogBytes > c.limit/2 {
					t.Errorf("%d wait of %d, %d bytes", left, n, s.dialogBytes)
				}
				f.set(nil)
				if err := r.stop(); err != nil {
					t.Fatal(err)
				}
				got := dialogsIn(t, s)
				if _, first := got["first"]; first || len(got) != left || got[fmt.Sprint("k", n-1)] == "" || s.dialogBytes != 0 {
					t.Errorf("%d on the disk, %d had waited, %d bytes wait now", len(got), left, s.dialogBytes)
				}
			})
		})
	}
}

// A disk that is full takes neither rows nor dialogs; when there is room again, the newest
// versions are there, in a file that a limit of pages has kept from growing.
func TestPresenceOutlivesAFullDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stox.db")
	r := start(t, mustOpen(t, path, Options{MaxPages: 120}))
	later := time.Now().Add(time.Hour)
	big := make([]byte, 4000)
	r.PutRelations([]Relation{{"a@x", "r@g", 8, time.Time{}}})
	r.flushed()
	n := 0
	r.await("the file is full", func() bool {
		r.PutDialogs([]Dialog{{Key: fmt.Sprintf("fill%03d", n), Expires: later, Data: big}})
		n++
		return r.State().Failing != nil
	})
	if err := r.State().Failing; !errors.Is(err, ErrDiskFull) {
		t.Fatal(err)
	}
	r.PutRelations([]Relation{{"a@x", "r@g", 0, time.Time{}}, {"b@x", "r@g", 2, time.Time{}}})
	var gone []Dialog
	for i := range n {
		gone = append(gone, Dialog{Key: fmt.Sprintf("fill%03d", i)})
	}
	r.PutDialogs(gone)
	r.PutDialogs([]Dialog{{Key: "left", Expires: later, Data: []byte("x")}})
	s := r.Store
	r.await("recovery", func() bool { return r.Ready() == nil && r.State().Unflushed == 0 })
	if got := dialogsIn(t, s); !maps.Equal(got, map[string]string{"left": "x"}) {
		t.Errorf("%d dialogs: %v", len(got), slices.Collect(maps.Keys(got)))
	}
	if got := relationsIn(t, s); !slices.Equal(got, []Relation{{"b@x", "r@g", 2, time.Time{}}}) {
		t.Errorf("relations %v", got)
	}
}
