package store

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestRowsOutliveTheProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stox.db")
	r := start(t, mustOpen(t, path, Options{}))
	var want []Entry
	for id := uint64(1); id <= 1200; id++ {
		want = append(want, entry(id, "text"))
	}
	want[7].Lane, want[7].Data, want[7].Read, want[7].Expire = "", nil, time.Time{}, time.Time{}
	mustAppend(t, r.Store, want...)
	r.committed(1, 1200)
	r.Done([]uint64{3, 4, 5, 900})
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	want = slices.DeleteFunc(want, func(e Entry) bool { return slices.Contains([]uint64{3, 4, 5, 900}, e.ID) })

	s := mustOpen(t, path, Options{})
	defer s.Close()
	got := mustLoad(t, s)
	for i := range got {
		if len(got[i].Data) == 0 {
			got[i].Data = nil
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if st := s.State(); st.Entries != len(want) || st.Bytes == 0 {
		t.Errorf("after Open: %+v", st)
	}
	stop := errors.New("stop")
	n := 0
	if err := s.Load(func(Entry) error { n++; return stop }); !errors.Is(err, stop) || n != 1 {
		t.Errorf("Load went on after an error: %d, %v", n, err)
	}
	some, err := s.Get([]uint64{900, 12, 3, 11, 12, 99999})
	if err != nil || !slices.Equal(idsOf(some), []uint64{11, 12}) {
		t.Errorf("Get: %v, %v", idsOf(some), err)
	}
}

func TestUpdate(t *testing.T) {
	engines(t, func(t *testing.T, path string) {
		r := start(t, mustOpen(t, path, Options{}))
		mustAppend(t, r.Store, entry(1, "one"), entry(2, "two"))
		r.committed(1, 2)
		e := entry(2, "two again, longer")
		e.Rev = 7
		// 3 is unknown, and passed over.
		if n, err := r.Update([]Entry{e, entry(3, "three")}); n != 2 || err != nil {
			t.Fatal(n, err)
		}
		r.await("the new version", func() bool { return slices.Contains(r.marks, Mark{2, 7}) })
		got := mustLoad(t, r.Store)
		if len(got) != 2 || string(got[1].Data) != "two again, longer" {
			t.Errorf("%+v", got)
		}
	})
}

// The commit starts at once; a row done before its commit began is never written,
// one done later is deleted; of several versions only the last is written.
func TestFateOfARow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f := openFlaky(t, Options{})
		f.gate = make(chan struct{})
		r := start(t, s)
		mustAppend(t, s, entry(1, "a"), entry(2, "b")) // begins, and waits at the gate
		synctest.Wait()
		mustAppend(t, s, entry(3, "c"), entry(4, "d"))
		e := entry(4, "d, better")
		e.Rev = 1
		if n, err := s.Update([]Entry{e}); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		s.Done([]uint64{2, 3})
		if st := s.State(); st.Entries != 2 || st.Skipped != 1 || st.Waiting != 1 || st.Unflushed != 1 {
			t.Errorf("%+v", st)
		}
		f.gate <- struct{}{}
		f.gate <- struct{}{}
		synctest.Wait()
		if got := idsOf(mustLoad(t, s)); !slices.Equal(got, []uint64{1, 2, 4}) {
			t.Errorf("before 40 ms: %v", got)
		}
		time.Sleep(sideDelay)
		synctest.Wait()
		if got := idsOf(mustLoad(t, s)); !slices.Equal(got, []uint64{1, 4}) {
			t.Errorf("after 40 ms: %v", got)
		}
		if want := []Mark{{1, 0}, {4, 1}}; !slices.Equal(r.marks, want) {
			t.Errorf("reported %v, want %v", r.marks, want)
		}
		for _, w := range f.commits {
			if slices.Contains(idsOf(w.put), 3) {
				t.Error("a row that was done was written")
			}
		}
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestDeletionsRideAt256(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f := openFlaky(t, Options{})
		r := start(t, s)
		var batch []Entry
		for id := uint64(1); id <= 300; id++ {
			batch = append(batch, entry(id, "x"))
		}
		mustAppend(t, s, batch...)
		synctest.Wait()
		s.Done(idsOf(batch[:255]))
		synctest.Wait()
		if n := len(mustLoad(t, s)); n != 300 {
			t.Errorf("255 deletions did not wait: %d rows", n)
		}
		s.Done([]uint64{256})
		synctest.Wait() // no time passes
		if n := len(mustLoad(t, s)); n != 44 {
			t.Errorf("256 deletions waited: %d rows", n)
		}
		if last := f.commits[len(f.commits)-1]; !slices.Equal(last.spans, []span{{1, 256}}) {
			t.Errorf("spans %v", last.spans)
		}
		_ = r.stop()
	})
}

func TestOutcomesRideAt1024(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f := openFlaky(t, Options{})
		r := start(t, s)
		synctest.Wait()
		before := len(f.commits)
		s.PutSeen(slices.Repeat([]Seen{{Outcome: 200, At: time.Now()}}, 1023))
		synctest.Wait()
		if n := len(f.commits) - before; n != 0 {
			t.Errorf("%d commits for 1023 outcomes before their time", n)
		}
		s.PutSeen([]Seen{{Outcome: 480, At: time.Now()}})
		synctest.Wait() // no time passes
		if n := len(f.commits) - before; n != 1 || len(f.commits[before].seen) != 1024 {
			t.Errorf("1024 outcomes waited: %d commits", n)
		}
		_ = r.stop()
	})
}

// What rides along goes with a commit of rows when it has waited for half of its time, and so
// makes none of its own while rows come.
func TestSidesShareACommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f := openFlaky(t, Options{})
		r := start(t, s)
		mustAppend(t, s, entry(1, "a"))
		synctest.Wait()
		s.Done([]uint64{1})
		time.Sleep(sideShare - time.Millisecond)
		mustAppend(t, s, entry(2, "b"))
		synctest.Wait()
		if last := f.commits[len(f.commits)-1]; len(f.commits) != 2 || len(last.spans) != 0 {
			t.Errorf("%d commits, deleted %v: too early", len(f.commits), last.spans)
		}
		time.Sleep(time.Millisecond)
		mustAppend(t, s, entry(3, "c"))
		synctest.Wait()
		if last := f.commits[len(f.commits)-1]; len(f.commits) != 3 || !slices.Equal(last.spans, []span{{1, 1}}) || len(last.put) != 1 {
			t.Errorf("%d commits, the last one of %d rows, deleted %v; want the third of both", len(f.commits), len(last.put), last.spans)
		}
		time.Sleep(2 * sideDelay)
		synctest.Wait()
		if n := len(f.commits); n != 3 {
			t.Errorf("%d commits, want no further one", n)
		}
		_ = r.stop()
	})
}

func TestBounds(t *testing.T) {
	size := int64(sizeOf(&Entry{Lane: "l", Data: make([]byte, 100)}))
	for _, c := range []struct {
		name string
		o    Options
	}{
		{"entries", Options{MaxEntries: 3}},
		{"bytes", Options{MaxBytes: 3 * size}},
		{"waiting", Options{MaxWaiting: 3}},
		{"waiting bytes", Options{MaxWaitingBytes: 3 * size}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := mustOpen(t, "", c.o)
			defer s.Close()
			var batch []Entry
			for id := uint64(1); id <= 5; id++ {
				batch = append(batch, Entry{ID: id, Lane: "l", Data: make([]byte, 100)})
			}
			if n, err := s.Append(batch); n != 3 || !errors.Is(err, ErrFull) {
				t.Fatalf("took %d: %v", n, err)
			}
			s.Done([]uint64{2})
			if n, err := s.Append(batch[3:]); n != 1 || !errors.Is(err, ErrFull) {
				t.Errorf("after Done took %d: %v", n, err)
			}
		})
	}
}

func TestBadEntries(t *testing.T) {
	s := mustOpen(t, "", Options{})
	defer s.Close()
	mustAppend(t, s, entry(1, "x"))
	for _, e := range []Entry{{}, {ID: 1 << 63}, entry(1, "again"), {ID: 2, Data: make([]byte, maxRow+1)}} {
		if n, err := s.Append([]Entry{e}); n != 0 || !errors.Is(err, ErrBadEntry) {
			t.Errorf("id %d: took %d, %v", e.ID, n, err)
		}
	}
}

func TestAfterTheEnd(t *testing.T) {
	engines(t, func(t *testing.T, path string) {
		r := start(t, mustOpen(t, path, Options{}))
		mustAppend(t, r.Store, entry(1, "x"))
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		r.committed(1) // what was taken is committed by the end
		if n, err := r.Append([]Entry{entry(2, "y")}); n != 0 || !errors.Is(err, ErrClosed) {
			t.Errorf("took %d: %v", n, err)
		}
		if !errors.Is(r.Ready(), ErrClosed) {
			t.Error("ready after the end")
		}
		r.Done([]uint64{1})
		r.PutSeen([]Seen{{}})
		r.PutTrail([]TrailEvent{{ID: "x"}})
	})
}

// The map of rows does not keep the memory of a backlog that is gone.
func TestMapShrinks(t *testing.T) {
	var q queue
	q.init(Options{})
	w := &work{}
	for id := uint64(1); id <= shrinkMapFrom+10; id++ {
		q.rows.set(id, row{state: dead, item: -1})
		w.dead = append(w.dead, id)
	}
	q.finishLocked(w, nil, time.Now())
	if len(q.rows.pages) > 1 || q.rows.len() != 0 {
		t.Errorf("%d pages, %d rows", len(q.rows.pages), q.rows.len())
	}
	// Nor does the map of those whose neighbours are gone.
	q.init(Options{})
	for id := uint64(1); id <= shrinkMapFrom+10; id++ {
		q.rows.set(id*pageRows, row{state: kept, item: -1})
	}
	if len(q.rows.sparse) < shrinkMapFrom {
		t.Fatalf("%d in the map", len(q.rows.sparse))
	}
	for id := uint64(1); id <= shrinkMapFrom+10; id++ {
		q.rows.remove(id * pageRows)
	}
	if q.rows.peak > shrinkMapFrom/16 || q.rows.len() != 0 {
		t.Errorf("peak %d, %d rows", q.rows.peak, q.rows.len())
	}
}

// Rows that are done while a commit takes long leave nothing behind, and those that are not
// stay what they are.
func TestSkippedRowsLeaveNothing(t *testing.T) {
	s := mustOpen(t, "", Options{})
	defer s.Close()
	var want []uint64
	for id := uint64(1); id <= 100_000; id++ {
		mustAppend(t, s, entry(id, "first"))
		if id%1000 == 0 {
			want = append(want, id)
			continue
		}
		s.Done([]uint64{id})
	}
	for _, id := range want {
		if n, err := s.Update([]Entry{entry(id, fmt.Sprint("second of ", id))}); n != 1 || err != nil {
			t.Fatal(n, err)
		}
	}
	if len(s.put) > 2*closeUpFrom || s.waiting != len(want) {
		t.Errorf("%d places, %d wait", len(s.put), s.waiting)
	}
	r := start(t, s)
	r.committed(want...)
	got := mustLoad(t, s)
	if !slices.Equal(idsOf(got), want) {
		t.Errorf("%v", idsOf(got))
	}
	for _, e := range got {
		if string(e.Data) != fmt.Sprint("second of ", e.ID) {
			t.Errorf("%d: %s", e.ID, e.Data)
		}
	}
}

func TestSpans(t *testing.T) {
	lives := func(id uint64) bool { return id == 20 }
	got := spans([]uint64{1, 2, 3, 7, 19, 21, 21 + maxGap, 200}, lives)
	want := []span{{1, 19}, {21, 21 + maxGap}, {200, 200}}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// Everything of the store has mode 0600, also a file that had another one.
func TestModes(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "stox.db")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	r := start(t, mustOpen(t, path, Options{}))
	mustAppend(t, r.Store, entry(1, "x"))
	r.committed(1)
	files, err := os.ReadDir(dir)
	if err != nil || len(files) < 4 { // the file, -wal, -shm, .lock
		t.Fatal(files, err)
	}
	for _, f := range files {
		st, err := f.Info()
		if err != nil {
			t.Fatal(err)
		}
		if st.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %o", f.Name(), st.Mode().Perm())
		}
	}
}

// The queue can be read in pages while it changes.
func TestPage(t *testing.T) {
	engines(t, func(t *testing.T, path string) {
		s := mustOpen(t, path, Options{})
		r := start(t, s)
		var batch []Entry
		for id := uint64(1); id <= 2000; id++ {
			batch = append(batch, entry(2*id, fmt.Sprint(id)))
		}
		mustAppend(t, s, batch...)
		r.committed(batch[len(batch)-1].ID)
		all := func(n int) (ids []uint64) {
			t.Helper()
			for after := uint64(0); ; {
				page, err := r.Page(after, n)
				if err != nil || len(page) > n {
					t.Fatalf("%d rows, %v", len(page), err)
				}
				if len(page) == 0 {
					return ids
				}
				ids = append(ids, idsOf(page)...)
				after = ids[len(ids)-1]
			}
		}
		want := idsOf(batch)
		for _, n := range []int{7, readRows, 5000} {
			if got := all(n); !slices.Equal(got, want) {
				t.Errorf("pages of %d: %d rows, want %d", n, len(got), len(want))
			}
		}
		page, err := r.Page(4, 1)
		if err != nil || len(page) != 1 || page[0].ID != 6 || string(page[0].Data) != "3" {
			t.Errorf("after 4: %v, %v", page, err)
		}
		if page, err := r.Page(math.MaxUint64, 1); err != nil || len(page) != 0 {
			t.Errorf("after all: %v, %v", page, err)
		}
		// What is done is not shown, whether or not it is deleted already.
		r.Done(want[:1500])
		if got := all(100); !slices.Equal(got, want[1500:]) {
			t.Errorf("%d rows, want the last 500", len(got))
		}
		if path == "" {
			return
		}
		if err := errors.Join(r.stop(), s.Close()); err != nil {
			t.Fatal(err)
		}
		rd, err := OpenReadOnly(path)
		if err != nil {
			t.Fatal(err)
		}
		defer rd.Close()
		page, err = rd.Page(want[1999]-4, 10)
		if n, err2 := rd.Count(); err != nil || err2 != nil || n != 500 || !slices.Equal(idsOf(page), want[1998:]) {
			t.Errorf("%d rows, %v, %v %v", n, page, err, err2)
		}
	})
}
