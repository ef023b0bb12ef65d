package store

import (
	"bytes"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// makeFile leaves a closed file with two rows and a trail.
func makeFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a dir? #1 100%", "stox.db")
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	r := start(t, mustOpen(t, path, Options{}))
	mustAppend(t, r.Store, entry(1, "one"), entry(2, "two"))
	r.PutTrail([]TrailEvent{{ID: "id-1", At: time.Now(), Kind: "read", Detail: "juliet@example.com"}})
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSecondStoreIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stox.db")
	s := mustOpen(t, path, Options{})
	link := filepath.Join(t.TempDir(), "link.db")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{path, link} {
		_, err := Open(p, Options{})
		if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), "two daemons cannot share a store") {
			t.Errorf("%s: %v", p, err)
		}
	}
	s.Close()
	mustOpen(t, link, Options{}).Close()
}

func exec(t *testing.T, path string, stmts ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(path))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, q := range stmts {
		if _, err := db.Exec(q); err != nil {
			t.Fatal(err)
		}
	}
}

// What is not ours, newer or damaged is refused with the remedy, and not touched.
func TestFilesThatAreRefused(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(t *testing.T, path string)
		want   error
		text   string
	}{
		{"not a database", func(t *testing.T, path string) {
			if err := os.WriteFile(path, bytes.Repeat([]byte("no database "), 1000), 0o600); err != nil {
				t.Fatal(err)
			}
		}, ErrCorrupt, "backup"},
		{"a page of the journal overwritten", func(t *testing.T, path string) {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			i := bytes.Index(b, []byte("sip:romeo@"))
			if i < 0 {
				t.Fatal("no row found")
			}
			page := b[i-i%4096:]
			copy(page[:64], bytes.Repeat([]byte{0xff}, 64))
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}, ErrCorrupt, "backup"},
		{"newer", func(t *testing.T, path string) {
			exec(t, path, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, 1)", "CREATE TABLE later (x)")
		}, ErrNewer, "run the newer version"},
		{"of another program", func(t *testing.T, path string) {
			exec(t, path, "PRAGMA application_id = 5")
		}, ErrForeign, "a file of its own"},
		{"of another program, without a mark", func(t *testing.T, path string) {
			os.Remove(path)
			exec(t, path, "CREATE TABLE addresses (name TEXT)")
		}, ErrForeign, "a file of its own"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := makeFile(t)
			c.change(t, path)
			before, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			_, err = Open(path, Options{})
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) || !strings.Contains(err.Error(), path) {
				t.Errorf("%v", err)
			}
			if _, err := OpenReadOnly(path); !errors.Is(err, c.want) {
				t.Errorf("read only: %v", err)
			}
			after, err := os.ReadFile(path)
			if err != nil || !bytes.Equal(before, after) {
				t.Errorf("the file was touched (%v)", err)
			}
		})
	}
}

func TestPathsThatCannotBe(t *testing.T) {
	dir := t.TempDir()
	for path, text := range map[string]string{
		filepath.Join(dir, "no", "such", "stox.db"): "does not exist; make it",
		dir: "is not a file",
	} {
		if _, err := Open(path, Options{}); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := OpenReadOnly(filepath.Join(dir, "none.db")); err == nil || !strings.Contains(err.Error(), "has not run") {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "none.db")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("reading made a file: %v", err)
	}
}

// A start that was interrupted before the schema was there is taken up again.
func TestInterruptedFirstStart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stox.db")
	exec(t, path, "PRAGMA journal_mode = WAL", "CREATE TABLE goose_db_version (id INTEGER PRIMARY KEY AUTOINCREMENT, version_id INTEGER NOT NULL, is_applied INTEGER NOT NULL, tstamp TIMESTAMP DEFAULT (datetime('now')))",
		"INSERT INTO goose_db_version (version_id, is_applied) VALUES (0, 1)")
	r := start(t, mustOpen(t, path, Options{}))
	mustAppend(t, r.Store, entry(1, "x"))
	r.committed(1)
}

func TestReadOnly(t *testing.T) {
	path := makeFile(t)
	check := func(t *testing.T, path string) {
		t.Helper()
		before, _ := os.ReadFile(path)
		rd, err := OpenReadOnly(path)
		if err != nil {
			t.Fatal(err)
		}
		defer rd.Close()
		if got := idsOf(mustLoad(t, rd)); !slices.Equal(got, []uint64{1, 2}) {
			t.Errorf("rows %v", got)
		}
		if got, err := rd.Get([]uint64{2}); err != nil || len(got) != 1 || string(got[0].Data) != "two" {
			t.Errorf("%v, %v", got, err)
		}
		ev, err := rd.Lookup("id-1")
		if err != nil || len(ev) != 1 || ev[0].Detail != "juliet@example.com" {
			t.Errorf("trail %v, %v", ev, err)
		}
		after, _ := os.ReadFile(path)
		if !bytes.Equal(before, after) {
			t.Error("reading changed the file")
		}
	}
	t.Run("stopped", func(t *testing.T) { check(t, path) })
	t.Run("killed", func(t *testing.T) {
		// The image of a process that was killed: rows only in the log.
		src := filepath.Join(t.TempDir(), "stox.db")
		r := start(t, mustOpen(t, src, Options{}))
		mustAppend(t, r.Store, entry(1, "one"), entry(2, "two"))
		r.PutTrail([]TrailEvent{{ID: "id-1", At: time.Now(), Kind: "read", Detail: "juliet@example.com"}})
		r.committed(1, 2)
		r.flushed()
		check(t, copyImage(t, src))
	})
	t.Run("running", func(t *testing.T) {
		s := mustOpen(t, path, Options{})
		defer s.Close()
		check(t, path)
	})
	t.Run("in a directory that cannot be written", func(t *testing.T) {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		p := filepath.Join(dir, "stox.db")
		if err := os.WriteFile(p, b, 0o400); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, 0o500); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.Chmod(dir, 0o700) })
		check(t, p)
	})
}

// copyImage copies the file and its log as a kill would leave them.
func copyImage(t *testing.T, path string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "image.db")
	for _, suffix := range []string{"", "-wal"} {
		b, err := os.ReadFile(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to+suffix, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

func TestRunTwice(t *testing.T) {
	r := start(t, mustOpen(t, "", Options{}))
	mustAppend(t, r.Store, entry(1, "x"))
	r.committed(1)
	if err := r.Run(t.Context(), Events{}); err == nil {
		t.Error("a second Run was not refused")
	}
}
