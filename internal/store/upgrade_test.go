package store

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pressly/goose/v3"
)

// fileOfSchema leaves a closed file with that version of the schema, and two rows and a trail
// if it has room for them; 0 is one into which nothing has come.
func fileOfSchema(t *testing.T, version int64) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "stox.db")
	if version == 0 {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	db, err := openDB(path, "rwc", Options{}, "journal_mode(WAL)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, sub, goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.UpTo(t.Context(), version); err != nil {
		t.Fatal(err)
	}
	for _, e := range []Entry{entry(1, "one"), entry(2, "two")} {
		if _, err := db.Exec("INSERT INTO journal (id, row) VALUES (?, ?)", e.ID, appendRow(nil, &e)); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// isWhole opens a file, and looks whether its schema is that of this version and all is there.
func isWhole(t *testing.T, path string, from int64) {
	t.Helper()
	s, err := Open(path, Options{})
	if err != nil {
		t.Error(err)
		return
	}
	defer s.Close()
	var want []uint64
	if from > 0 {
		want = []uint64{1, 2}
	}
	if got := idsOf(mustLoad(t, s)); !slices.Equal(got, want) {
		t.Errorf("rows %v, want %v", got, want)
	}
	r := start(t, s)
	mustAppend(t, s, entry(9, "nine"))
	s.PutContacts([]Contact{{"juliet@example.com", "romeo@sip.example.com", 1}})
	s.PutTrail([]TrailEvent{{ID: "id", At: time.Now(), Kind: "read"}})
	if err := r.stop(); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := inspect(path, "ro", Options{}); err != nil {
		t.Error(err)
	}
	db, err := openDB(path, "ro", Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var version, rows, contacts, trail int64
	if err := db.QueryRow("SELECT (SELECT max(version_id) FROM goose_db_version), (SELECT count(*) FROM journal), (SELECT count(*) FROM contacts), (SELECT count(*) FROM trail)").Scan(&version, &rows, &contacts, &trail); err != nil {
		t.Fatal(err)
	}
	if version != schemaVersion() || rows != int64(len(want))+1 || contacts != 1 || trail != 1 {
		t.Errorf("schema %d, %d rows, %d contacts, %d batches of the trail", version, rows, contacts, trail)
	}
}

// A start that ends while it brings the schema up to date, at whatever moment, is made good
// by the next one: from the file as it is between any two statements, and after an error of
// any of them, unless that could be made up for at once.
func TestUpgradeIsCutOff(t *testing.T) {
	cut := errors.New("cut off")
	for from := int64(0); from <= schemaVersion(); from++ {
		t.Run(fmt.Sprint("from schema ", from), func(t *testing.T) {
			open := func(path string, hook func(query string) error) error {
				f := &faulty{}
				f.set(hook, false)
				s, err := Open(path, Options{connector: func(c driver.Connector) driver.Connector { return &faultyConnector{c, f} }})
				if err == nil {
					s.Close()
				}
				return err
			}
			path, dir := fileOfSchema(t, from), t.TempDir()
			var copies []string
			if err := open(path, func(string) error {
				at := filepath.Join(dir, fmt.Sprint(len(copies)), "stox.db")
				copies = append(copies, at)
				return errors.Join(os.Mkdir(filepath.Dir(at), 0o700), copyFile(path, at), copyFile(path+"-wal", at+"-wal"))
			}); err != nil {
				t.Fatal(err)
			}
			isWhole(t, path, from)
			if from < schemaVersion() && len(copies) < 4 {
				t.Errorf("only %d statements", len(copies))
			}
			for _, at := range copies {
				isWhole(t, at, from)
			}
			for i := range copies {
				path, n := fileOfSchema(t, from), 0
				err := open(path, func(string) error {
					if n++; n == i+1 {
						return cut
					}
					return nil
				})
				if err != nil && !errors.Is(err, cut) {
					t.Errorf("statement %d: %v", i, err)
				}
				isWhole(t, path, from)
			}
		})
	}
}

func copyFile(from, to string) error {
	b, err := os.ReadFile(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return errors.Join(err, os.WriteFile(to, b, 0o600))
}

// A file of a newer version is refused in one line, which says the versions and what to do,
// and is left as it is; so it is by every version before it.
func TestNewerFileSaysWhatToDo(t *testing.T) {
	path := makeFile(t)
	newer := schemaVersion() + 1
	exec(t, path, fmt.Sprintf("INSERT INTO goose_db_version (version_id, is_applied) VALUES (%d, 1)", newer))
	_, err := Open(path, Options{})
	if !errors.Is(err, ErrNewer) {
		t.Fatal(err)
	}
	for _, part := range []string{path, fmt.Sprintf("its schema is %d", newer), fmt.Sprintf("up to %d", newer-1), "run the newer version of stox again", "backup", "docs/upgrading.md"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("more than one line: %q", err)
	}
}
