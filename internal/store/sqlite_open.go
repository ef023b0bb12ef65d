package store

import (
	"database/sql"
	"database/sql/driver"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

//go:embed migrations/*.sql
var migrations embed.FS

const (
	applicationID = 1937010552 // "stox"
	versionTable  = "goose_db_version"
	lockSuffix    = ".lock"
)

// wrapConnector lets tests stand between the store and the driver.
type wrapConnector func(driver.Connector) driver.Connector

// openSQLite locks the file, looks into it without touching it, brings its schema
// up to date and opens it for the one writer and the readers.
func openSQLite(path string, o Options) (_ *sqliteStore, err error) {
	path, err = resolve(path)
	if err != nil {
		return nil, err
	}
	lock, err := lockFile(path + lockSuffix)
	if err != nil {
		return nil, err
	}
	b := &sqliteStore{path: path, o: o, lock: lock}
	defer func() {
		if err != nil {
			b.close()
		}
	}()
	if err := prepareFile(path, o); err != nil {
		return nil, err
	}
	if err := b.openWriter(); err != nil {
		return nil, err
	}
	if err := b.migrate(); err != nil {
		return nil, fmt.Errorf("store: %s: cannot bring the schema up to date: %w", path, classify(err))
	}
	b.forgetExpired(time.Now())
	if err := b.knowSlots(); err != nil {
		return nil, withRemedy(path, classify(err))
	}
	_ = b.drain(true)
	_ = b.checkpoint() // after a kill what is done is in slots or the log, and is not to stay there
	if err := b.openReader("rw"); err != nil {
		return nil, err
	}
	if err := b.count(); err != nil {
		return nil, err
	}
	return b, nil
}

// resolve returns the real path, so that the lock is the same by whatever name.
func resolve(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("store: %w", err)
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real, nil
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("store: the directory %s does not exist; make it, owned by the user that stox runs as, mode 0700", filepath.Dir(path))
	}
	if err != nil {
		return "", fmt.Errorf("store: %w", err)
	}
	return filepath.Join(dir, filepath.Base(path)), nil
}

// prepareFile makes the file if there is none, with mode 0600 (SQLite gives its
// companions -wal and -shm the same), or finds out whether it is one of ours.
func prepareFile(path string, o Options) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err == nil {
		return f.Close()
	}
	if !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("store: %w", err)
	}
	st, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	if !st.Mode().IsRegular() {
		return fmt.Errorf("store: %s is not a file", path)
	}
	if st.Size() > 0 {
		if err := inspect(path, "ro", o); err != nil {
			return err
		}
	}
	if st.Mode().Perm()&0o077 != 0 {
		if err := os.Chmod(path, 0o600); err != nil {
			return fmt.Errorf("store: %s can be read by others: %w", path, err)
		}
	}
	return nil
}

// inspect finds out whether the file is sound and ours, without changing it.
func inspect(path, mode string, o Options) error {
	db, err := openDB(path, mode, o, "query_only(1)")
	if err != nil {
		return err
	}
	defer db.Close()
	var app, tables int
	err = db.QueryRow("SELECT application_id, (SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name NOT IN (?, 'sqlite_sequence')) FROM pragma_application_id", versionTable).Scan(&app, &tables)
	if err != nil {
		return withRemedy(path, classify(err))
	}
	if app == 0 && tables == 0 {
		return nil // made, but nothing came into it
	}
	if app != applicationID {
		return withRemedy(path, fault(ErrForeign, fmt.Errorf("its application_id is %d", app)))
	}
	var version int64
	if err := db.QueryRow("SELECT max(version_id) FROM " + versionTable).Scan(&version); err != nil {
		return withRemedy(path, classify(err))
	}
	if known := schemaVersion(); version > known {
		return withRemedy(path, fault(ErrNewer, fmt.Errorf("its schema is %d, this version knows up to %d", version, known)))
	}
	var finding string
	has, err := hasSlots(db)
	if err != nil {
		return withRemedy(path, classify(err))
	}
	names := []string{"journal"}
	if has {
		names = append(names, "slots")
	}
	for _, table := range names {
		if err := db.QueryRow("PRAGMA quick_check(" + table + ")").Scan(&finding); err != nil {
			return withRemedy(path, classify(err))
		}
		if finding != "ok" {
			return withRemedy(path, fault(ErrCorrupt, errors.New(finding)))
		}
	}
	return nil
}

// schemaVersion is that of the last migration.
func schemaVersion() (last int64) {
	files, _ := fs.Glob(migrations, "migrations/*.sql")
	for _, f := range files {
		if v, err := goose.NumericComponent(f); err == nil {
			last = max(last, v)
		}
	}
	return last
}

func withRemedy(path string, err error) error {
	var hint string
	switch {
	case errors.Is(err, ErrNewer):
		hint = "run the newer version of stox again, or restore the backup that was made before the upgrade (docs/upgrading.md), or move the file away; the messages that wait in it are then lost"
	case errors.Is(err, ErrForeign):
		hint = "set store.path to a file of its own"
	case errors.Is(err, ErrCorrupt):
		hint = "nothing was changed; restore the file and its -wal from a backup, or save what can be read (sqlite3 " +
			path + " .recover), then move it away; the messages that wait in it are then lost"
	default:
		return fmt.Errorf("%w (%s)", err, path)
	}
	return fmt.Errorf("%w (%s): %s", err, path, hint)
}

// openDB opens the file; mode is that of SQLite's URI, pragmas come after the usual ones.
func openDB(path, mode string, o Options, pragmas ...string) (*sql.DB, error) {
	c, err := connectorOf(path, mode, o, pragmas...)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(c)
	db.SetConnMaxLifetime(0)
	return db, nil
}

func connectorOf(path, mode string, o Options, pragmas ...string) (driver.Connector, error) {
	q := url.Values{"mode": {mode}, "_pragma": append([]string{
		"busy_timeout(" + strconv.FormatInt(o.BusyTimeout.Milliseconds(), 10) + ")",
		"trusted_schema(0)",
	}, pragmas...)}
	if mode == "ro-immutable" { // a file at rest in a place that cannot be written
		q.Set("mode", "ro")
		q.Set("immutable", "1")
	}
	dsn := "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode()
	c, err := sqlite.NewConnector(dsn)
	if err != nil {
		return nil, fmt.Errorf("store: %s: %w", path, err)
	}
	if o.connector != nil {
		c = o.connector(c)
	}
	return c, nil
}

// writerPragmas are those of a connection that writes.
func (b *sqliteStore) writerPragmas() []string {
	pragmas := []string{"journal_mode(WAL)", "synchronous(FULL)", "secure_delete(ON)", "temp_store(MEMORY)"}
	if b.o.MaxPages > 0 {
		pragmas = append(pragmas, "max_page_count("+strconv.FormatInt(b.o.MaxPages, 10)+")")
	}
	return pragmas
}

func (b *sqliteStore) openWriter() error {
	c, err := connectorOf(b.path, "rw", b.o, b.writerPragmas()...)
	if err != nil {
		return err
	}
	if b.writer, err = openWriter(c); err != nil {
		return withRemedy(b.path, classify(err))
	}
	return nil
}

func (b *sqliteStore) openReader(mode string) error {
	db, err := openDB(b.path, mode, b.o, "query_only(1)")
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(2)
	db.SetConnMaxIdleTime(time.Minute)
	b.reader = db
	return nil
}

func (b *sqliteStore) migrate() error {
	db, err := openDB(b.path, "rw", b.o, b.writerPragmas()...)
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, sub,
		goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return err
	}
	_, err = p.Up(bg)
	return err
}

// classify says which fault an error of the engine is.
func classify(err error) error {
	class := ErrIO
	var e *sqlite.Error
	if errors.As(err, &e) {
		switch e.Code() & 0xff {
		case sqlite3.SQLITE_FULL:
			class = ErrDiskFull
		case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
			class = ErrLocked
		case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
			class = ErrCorrupt
		}
	} else if errors.Is(err, errRow) {
		class = ErrCorrupt
	}
	return fault(class, err)
}
