package store

import (
	"bytes"
	"context"
	"database/sql/driver"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const secret = "wherefore art thou"

// secretsIn counts the secret in the file and its companions.
func secretsIn(t *testing.T, path string) int {
	t.Helper()
	files, err := filepath.Glob(path + "*")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	n := 0
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		n += bytes.Count(b, []byte(secret))
	}
	return n
}

// The text of a message is on the disk until it is done, and then nowhere in the
// files: rows of all sizes, deleted in any order, updated, in pages that were split
// and merged.
func TestTextIsErased(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stox.db")
	r := start(t, mustOpen(t, path, Options{}))
	rng := rand.New(rand.NewPCG(1, 2))
	text := func() string {
		n := rng.IntN(400)
		if rng.IntN(10) == 0 {
			n = rng.IntN(20000)
		}
		return secret + strings.Repeat("x", n) + secret
	}
	var ids []uint64
	id := uint64(0)
	for range 40 {
		var batch []Entry
		for range 50 {
			id += 1 + uint64(rng.IntN(3))
			batch = append(batch, entry(id, text()))
			ids = append(ids, id)
		}
		mustAppend(t, r.Store, batch...)
		r.committed(id)
		var up []Entry
		for _, id := range ids {
			if rng.IntN(5) == 0 {
				up = append(up, entry(id, text()))
			}
		}
		if n, err := r.Update(up); n != len(up) {
			t.Fatal(n, err)
		}
		rng.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
		n := rng.IntN(len(ids))
		r.Done(ids[:n])
		ids = slices.Delete(ids, 0, n)
		r.flushed()
	}
	if secretsIn(t, path) == 0 {
		t.Fatal("the text is not even there while it should be: the test sees nothing")
	}
	r.Done(ids)
	r.flushed()
	r.await("the log is emptied", func() bool {
		st, err := os.Stat(path + "-wal")
		return err == nil && st.Size() == 0
	})
	if n := secretsIn(t, path); n != 0 {
		t.Errorf("the text is there %d times while the store runs", n)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	r.Close()
	if n := secretsIn(t, path); n != 0 {
		t.Errorf("the text is there %d times after the end", n)
	}
}

// What was deleted before a kill leaves the disk with the next start's first quiet moment.
func TestErasedAfterAKill(t *testing.T) {
	src := filepath.Join(t.TempDir(), "stox.db")
	r := start(t, mustOpen(t, src, Options{}))
	for id := uint64(1); id < 100; id++ {
		mustAppend(t, r.Store, entry(id, fmt.Sprint(secret, id)))
	}
	r.committed(99)
	image := copyImage(t, src)
	if secretsIn(t, image) == 0 {
		t.Fatal("no text in the image")
	}
	r = start(t, mustOpen(t, image, Options{}))
	r.Done(idsOf(mustLoad(t, r.Store)))
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	if n := secretsIn(t, image); n != 0 {
		t.Errorf("the text is there %d times", n)
	}
}

// Deleted text leaves the disk in the first quiet moment, and under steady load twice
// a minute; a reader in the way only puts it off.
func TestCheckpoints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f := openFlaky(t, Options{})
		r := start(t, s)
		expect := func(when string, n int) {
			t.Helper()
			synctest.Wait()
			f.mu.Lock()
			defer f.mu.Unlock()
			if f.checkpoints != n {
				t.Errorf("%s: %d checkpoints, want %d", when, f.checkpoints, n)
			}
			f.checkpoints = 0
		}
		id := uint64(0)
		message := func() {
			id++
			mustAppend(t, s, entry(id, "x"))
			synctest.Wait()
			s.Done([]uint64{id})
		}
		mustAppend(t, s, entry(1<<40, "x"))
		time.Sleep(time.Hour)
		expect("nothing was deleted", 0)
		message()
		time.Sleep(sideDelay + checkpointIdle + checkpointIdle/2)
		expect("a quiet moment", 1)
		time.Sleep(time.Hour)
		expect("quiet for an hour", 0)
		for range 1000 {
			message()
			time.Sleep(100 * time.Millisecond)
		}
		expect("100 s of load", 3)
		time.Sleep(2 * checkpointIdle)
		expect("after it", 1)
		reader := func(there bool) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.busy = there
		}
		reader(true)
		message()
		time.Sleep(sideDelay + 4*checkpointIdle + checkpointIdle/2)
		reader(false)
		expect("a reader for 4 moments", 4)
		time.Sleep(time.Hour)
		expect("the reader is gone", 1)
		_ = r.stop()
	})
}

// What the promises rest on is really set, also after a fault.
func TestSettings(t *testing.T) {
	o := Options{}
	o.setDefaults()
	b, err := openSQLite(filepath.Join(t.TempDir(), "stox.db"), o)
	if err != nil {
		t.Fatal(err)
	}
	defer b.close()
	for range 2 {
		for pragma, want := range map[string]string{
			"journal_mode": "wal", "synchronous": "2", "secure_delete": "1", "busy_timeout": "1000", "application_id": "1937010552",
		} {
			var got string
			err := b.writer.query(func(row []driver.Value) bool {
				got = fmt.Sprint(row[0])
				return true
			}, "PRAGMA "+pragma)
			if err != nil || got != want {
				t.Errorf("%s is %s, want %s (%v)", pragma, got, want, err)
			}
		}
		if err := b.recover(); err != nil {
			t.Fatal(err)
		}
	}
}

// A checkpoint does not wait for readers, the second as little as the first, and commits wait as
// long as they should afterwards. What busy_timeout is during a checkpoint is asked when
// SQLite is about to run it.
func TestCheckpointsDoNotWait(t *testing.T) {
	var b *sqliteStore
	timeout := func() (ms string) {
		st, err := b.writer.conn.(driver.ConnPrepareContext).PrepareContext(bg, "PRAGMA busy_timeout")
		if err != nil {
			t.Fatal(err)
		}
		defer st.Close()
		rows, err := st.(driver.StmtQueryContext).QueryContext(bg, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		row := make([]driver.Value, 1)
		if err := rows.Next(row); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(row[0])
	}
	var during []string
	o := Options{connector: func(c driver.Connector) driver.Connector {
		return &watchedConnector{c, func(query string) {
			if b != nil && strings.HasPrefix(query, "PRAGMA wal_checkpoint") { // not that of the start
				during = append(during, timeout())
			}
		}}
	}}
	o.setDefaults()
	b, err := openSQLite(filepath.Join(t.TempDir(), "stox.db"), o)
	if err != nil {
		t.Fatal(err)
	}
	defer b.close()
	for range 3 {
		if err := b.checkpoint(); err != nil {
			t.Fatal(err)
		}
		if got := timeout(); got != "1000" {
			t.Errorf("commits wait %s ms", got)
		}
	}
	if !slices.Equal(during, []string{"0", "0", "0"}) {
		t.Errorf("checkpoints wait %v ms", during)
	}
}

// watchedConnector tells of each query of a statement before it is run.
type watchedConnector struct {
	driver.Connector
	tell func(query string)
}

func (c *watchedConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &watchedConn{conn.(sqliteConn), c.tell}, nil
}

type watchedConn struct {
	sqliteConn
	tell func(query string)
}

func (c *watchedConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	st, err := c.sqliteConn.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	return &watchedStmt{st.(sqliteStmt), c.tell, query}, nil
}

type watchedStmt struct {
	sqliteStmt
	tell  func(query string)
	query string
}

func (s *watchedStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	s.tell(s.query)
	return s.sqliteStmt.QueryContext(ctx, args)
}
