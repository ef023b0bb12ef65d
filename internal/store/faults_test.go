package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// faulty stands between the store and SQLite: statements for which fail says so
// return an error instead of, or after, being carried out.
type faulty struct {
	mu    sync.Mutex // guards what follows
	fail  func(query string) error
	after bool
}

func (f *faulty) set(fail func(string) error, after bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail, f.after = fail, after
}

func (f *faulty) check(query string) (error, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail == nil {
		return nil, false
	}
	return f.fail(query), f.after
}

// sqliteConn is what the driver's connections can do and database/sql makes use of.
type sqliteConn interface {
	driver.Conn
	driver.ExecerContext
	driver.QueryerContext
	driver.ConnPrepareContext
	driver.ConnBeginTx
}

type faultyConn struct {
	sqliteConn
	f *faulty
}

func (c *faultyConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	err, after := c.f.check(query)
	if err != nil && !after {
		return nil, err
	}
	res, err2 := c.sqliteConn.ExecContext(ctx, query, args)
	return res, errors.Join(err, err2)
}

func (c *faultyConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	st, err := c.sqliteConn.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	return &faultyStmt{st.(sqliteStmt), c.f, query}, nil
}

type sqliteStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

type faultyStmt struct {
	sqliteStmt
	f     *faulty
	query string
}

func (s *faultyStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	err, after := s.f.check(s.query)
	if err != nil && !after {
		return nil, err
	}
	res, err2 := s.sqliteStmt.ExecContext(ctx, args)
	return res, errors.Join(err, err2)
}

func openFaulty(t *testing.T, path string, o Options) (*Store, *faulty) {
	f := &faulty{}
	o.connector = func(c driver.Connector) driver.Connector { return &faultyConnector{c, f} }
	return mustOpen(t, path, o), f
}

type faultyConnector struct {
	driver.Connector
	f *faulty
}

func (c *faultyConnector) Connect(ctx context.Context) (driver.Conn, error) {
	if err, _ := c.f.check("CONNECT"); err != nil {
		return nil, err
	}
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &faultyConn{conn.(sqliteConn), c.f}, nil
}

func on(word string, err error) func(string) error {
	return func(query string) error {
		if strings.HasPrefix(query, word) {
			return err
		}
		return nil
	}
}

// Whatever step fails, the new rows are reported with the fault and are gone, the
// rest is done later, and the store recovers by itself.
func TestFaultAtEachStep(t *testing.T) {
	boom := errors.New("boom")
	for _, c := range []struct {
		name  string
		fail  func(string) error
		after bool
		size  int // of the rows: small ones are in slots, large ones in the table journal
	}{
		{"begin", on("BEGIN", boom), false, 0},
		{"begin, large", on("BEGIN", boom), false, slotSize},
		{"slot", on("REPLACE INTO slots", boom), false, 0},
		{"slot done, error all the same", on("REPLACE INTO slots", boom), true, 0},
		{"insert", on("INSERT INTO journal", boom), false, slotSize},
		{"insert done, error all the same", on("INSERT INTO journal", boom), true, slotSize},
		{"delete", on("DELETE FROM journal", boom), false, slotSize},
		{"commit", on("COMMIT", boom), false, 0},
		{"commit, large", on("COMMIT", boom), false, slotSize},
		{"commit done, error all the same", on("COMMIT", boom), true, 0},
		{"commit done, error all the same, large", on("COMMIT", boom), true, slotSize},
		{"everything", func(string) error { return boom }, false, 0},
	} {
		entry := func(id uint64, data string) Entry { return entry(id, data+strings.Repeat(" ", c.size)) }
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "stox.db")
			s, f := openFaulty(t, path, Options{})
			r := start(t, s)
			mustAppend(t, s, entry(1, "one"), entry(2, "two"))
			r.committed(1, 2)
			r.flushed()
			f.set(c.fail, c.after)
			now := time.Now()
			s.PutSeen(slices.Repeat([]Seen{{Outcome: 200, At: now}}, seenCount))
			s.Done([]uint64{1})
			e := entry(2, "two, better")
			e.Rev = 1
			if n, err := s.Update([]Entry{e}); n != 1 || err != nil {
				t.Fatal(n, err)
			}
			n, err := s.Append([]Entry{entry(3, "three"), entry(4, "four")})
			r.await("the store fails", func() bool { return r.State().Failing != nil })
			want := []uint64{2, 6}
			apart := false // the new rows were committed before the deletion was tried, which only that step allows
			if n == 2 {
				r.await("the rows are reported", func() bool {
					apart = c.name == "delete" && slices.Contains(r.marks, Mark{3, 0}) && slices.Contains(r.marks, Mark{4, 0})
					return len(r.failed) == 2 || apart
				})
			}
			switch {
			case apart:
				want = []uint64{2, 3, 4, 6}
			case n == 2:
				if !slices.Equal(r.failed, []Mark{{3, 0}, {4, 0}}) || !errors.Is(r.errs[0], ErrIO) || !errors.Is(r.errs[0], boom) {
					t.Errorf("reported %v, %v", r.failed, r.errs)
				}
			case !errors.Is(err, boom):
				t.Errorf("Append: %v", err)
			}
			if n, err := s.Append([]Entry{entry(5, "five")}); n != 0 || !errors.Is(err, ErrIO) || !errors.Is(s.Ready(), ErrIO) {
				t.Errorf("during the fault: %d, %v, ready %v", n, err, s.Ready())
			}

			f.set(nil, false)
			r.await("the store recovers", func() bool { return s.Ready() == nil })
			r.await("the update is there", func() bool { return slices.Contains(r.marks, Mark{2, 1}) })
			mustAppend(t, s, entry(6, "six"))
			r.committed(6)
			r.await("both changes of state", func() bool {
				return len(r.states) >= 2 && r.states[0].Failing != nil && r.states[len(r.states)-1].Failing == nil
			})
			if err := r.stop(); err != nil {
				t.Fatal(err)
			}
			s.Close()
			s = mustOpen(t, path, Options{})
			defer s.Close()
			got := mustLoad(t, s)
			if !slices.Equal(idsOf(got), want) || strings.TrimRight(string(got[0].Data), " ") != "two, better" {
				t.Errorf("at last: %v", idsOf(got))
			}
			seen := 0
			if _, err := s.LoadSeen(func(b []Seen) error { seen += len(b); return nil }); err != nil {
				t.Error(err)
			}
			if seen < seenCount { // twice, if the commit happened all the same
				t.Errorf("%d outcomes of %d", seen, seenCount)
			}
		})
	}
}

// While the file cannot even be opened there is nothing to take deleted text from.
func TestCheckpointWithoutFile(t *testing.T) {
	s, f := openFaulty(t, filepath.Join(t.TempDir(), "stox.db"), Options{})
	defer s.Close()
	boom := errors.New("boom")
	f.set(on("CONNECT", boom), false)
	if err := s.b.recover(); !errors.Is(err, boom) {
		t.Fatalf("recover: %v", err)
	}
	if err := s.b.checkpoint(); err == nil {
		t.Error("a checkpoint of a file that is not open")
	}
	f.set(nil, false)
	if err := errors.Join(s.b.recover(), s.b.checkpoint()); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// Outcomes and trail that could not be written are written later, bounded.
func TestSidesSurviveAFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f := openFlaky(t, Options{MaxSeen: 1000})
		r := start(t, s)
		synctest.Wait()
		f.set(errors.New("boom"))
		now := time.Now()
		for i := range 1500 {
			s.PutSeen([]Seen{{Outcome: uint16(i), At: now}})
		}
		for i := range maxTrailWait + 100 {
			s.PutTrail([]TrailEvent{{ID: fmt.Sprint(i), At: now, Kind: "sent"}})
		}
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if st := s.State(); st.Failing == nil || st.Dropped != 600 || st.Unflushed != 1000+maxTrailWait {
			t.Errorf("%+v", st)
		}
		// The wait between attempts grows to its bound and no further.
		before, _, _ := f.count()
		time.Sleep(10 * maxBackoff)
		synctest.Wait()
		if after, _, _ := f.count(); after-before != 10 {
			t.Errorf("%d attempts in %v", after-before, 10*maxBackoff)
		}
		f.set(nil)
		time.Sleep(maxBackoff)
		synctest.Wait()
		if len(f.seen) != 1000 || f.seen[0].Outcome != 500 || len(f.trail) != maxTrailWait || f.trail[0].ID != "100" {
			t.Errorf("%d outcomes, %d events", len(f.seen), len(f.trail))
		}
		_ = r.stop()
	})
}

// Rows that wait behind a failing commit fail with it, in order, and nothing overtakes.
func TestOrderInAFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f := openFlaky(t, Options{})
		f.gate = make(chan struct{})
		r := start(t, s)
		mustAppend(t, s, entry(1, "a"))
		synctest.Wait()
		mustAppend(t, s, entry(2, "b"), entry(3, "c"))
		s.Done([]uint64{2})
		f.set(errors.New("boom"))
		f.gate <- struct{}{}
		synctest.Wait()
		if !slices.Equal(r.failed, []Mark{{1, 0}, {3, 0}}) {
			t.Errorf("failed: %v", r.failed)
		}
		if st := s.State(); st.Entries != 0 || st.Bytes != 0 || st.Waiting != 0 || st.WaitingBytes != 0 {
			t.Errorf("%+v", st)
		}
		f.set(nil)
		time.Sleep(maxBackoff)
		mustAppend(t, s, entry(4, "d"))
		f.gate <- struct{}{}
		synctest.Wait()
		if got := idsOf(mustLoad(t, s)); !slices.Equal(got, []uint64{4}) {
			t.Errorf("at last: %v", got)
		}
		_ = r.stop()
	})
}

// A fault that lasts until the end is told by Run.
func TestFaultAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f := openFlaky(t, Options{})
		r := start(t, s)
		synctest.Wait()
		f.set(fault(ErrDiskFull, errors.New("boom")))
		mustAppend(t, s, entry(1, "a"))
		synctest.Wait()
		if err := r.stop(); !errors.Is(err, ErrDiskFull) {
			t.Errorf("Run: %v", err)
		}
	})
}

func TestDiskFull(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stox.db")
	r := start(t, mustOpen(t, path, Options{MaxPages: 60}))
	var ids []uint64
	id := uint64(0)
	r.await("the file is full", func() bool {
		for range 4 {
			id++
			if n, _ := r.Append([]Entry{entry(id, strings.Repeat("x", 4000))}); n == 1 {
				ids = append(ids, id)
			}
		}
		return len(r.errs) > 0
	})
	if !errors.Is(r.errs[0], ErrDiskFull) {
		t.Fatalf("%v", r.errs[0])
	}
	// Every row was told of exactly once.
	r.await("all are told of", func() bool { return len(r.marks)+len(r.failed) >= len(ids) })
	var told []uint64
	for _, m := range append(slices.Clone(r.marks), r.failed...) {
		told = append(told, m.ID)
	}
	slices.Sort(told)
	if !slices.Equal(told, ids) {
		t.Errorf("told of %v, taken %v", told, ids)
	}
	// Deleting makes room, and the store finds out by itself.
	var kept []uint64
	for _, m := range r.marks {
		kept = append(kept, m.ID)
	}
	r.Done(kept)
	r.await("recovery", func() bool { return r.Ready() == nil && r.State().Unflushed == 0 })
	mustAppend(t, r.Store, entry(id+1, strings.Repeat("y", 4000)))
	r.committed(id + 1)
	if got := idsOf(mustLoad(t, r.Store)); !slices.Equal(got, []uint64{id + 1}) {
		t.Errorf("at last: %v", got)
	}
}

func TestLockedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stox.db")
	r := start(t, mustOpen(t, path, Options{BusyTimeout: 10 * time.Millisecond}))
	mustAppend(t, r.Store, entry(1, "x"))
	r.committed(1)
	other, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	conn, err := other.Conn(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.ExecContext(context.Background(), "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, r.Store, entry(2, "y"))
	r.await("the fault is told", func() bool { return len(r.errs) == 1 })
	if !errors.Is(r.errs[0], ErrLocked) || !slices.Equal(r.failed, []Mark{{2, 0}}) {
		t.Errorf("%v %v", r.failed, r.errs)
	}
	if _, err := conn.ExecContext(context.Background(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	r.await("recovery", func() bool { return r.Ready() == nil })
	mustAppend(t, r.Store, entry(3, "z"))
	r.committed(3)
	if got := idsOf(mustLoad(t, r.Store)); !slices.Equal(got, []uint64{1, 3}) {
		t.Errorf("at last: %v", got)
	}
}
