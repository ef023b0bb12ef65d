package store

import (
	"database/sql/driver"
	"errors"
	"io"
)

// writer is the connection that writes. It belongs to the goroutine that commits, and goes to
// the driver directly: database/sql would lock, copy and check each argument of each
// statement, and prepare BEGIN and COMMIT anew every time.
type writer struct {
	conn  driver.Conn
	stmts map[string]statement // what was run once is run again
	args  []driver.NamedValue
}

// statement is what the driver's statements can do.
type statement interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

func openWriter(c driver.Connector) (*writer, error) {
	conn, err := c.Connect(bg)
	if err != nil {
		return nil, err
	}
	return &writer{conn: conn, stmts: map[string]statement{}}, nil
}

// prepare returns the statement of a query. There are as many as there are different
// queries, so these must not have values in them.
func (w *writer) prepare(query string) (statement, error) {
	if st := w.stmts[query]; st != nil {
		return st, nil
	}
	p, ok := w.conn.(driver.ConnPrepareContext)
	if !ok {
		return nil, errDriver
	}
	got, err := p.PrepareContext(bg, query)
	if err != nil {
		return nil, err
	}
	st, ok := got.(statement)
	if !ok {
		return nil, errors.Join(errDriver, got.Close())
	}
	w.stmts[query] = st
	return st, nil
}

var errDriver = errors.New("the driver cannot do what it could")

// exec runs a statement that returns no rows. Values are int64, string or []byte.
func (w *writer) exec(query string, values ...driver.Value) error {
	st, err := w.prepare(query)
	if err != nil {
		return err
	}
	return w.run(st, values...)
}

// set runs a PRAGMA that changes a setting. Some of these take effect when they are prepared,
// not when they run, so they are prepared every time, whatever SQLite does about that by itself.
func (w *writer) set(pragma string) error {
	c, ok := w.conn.(driver.ExecerContext)
	if !ok {
		return errDriver
	}
	_, err := c.ExecContext(bg, pragma, nil)
	return err
}

// run is exec of a statement at hand.
func (w *writer) run(st statement, values ...driver.Value) error {
	_, err := st.ExecContext(bg, w.named(values))
	clear(w.args) // what was written may go
	return err
}

// query calls f with each row until it returns false. The values are valid until it returns.
func (w *writer) query(f func([]driver.Value) bool, query string, values ...driver.Value) (err error) {
	st, err := w.prepare(query)
	if err != nil {
		return err
	}
	rows, err := st.QueryContext(bg, w.named(values))
	clear(w.args)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	row := make([]driver.Value, len(rows.Columns()))
	for {
		if err := rows.Next(row); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if !f(row) {
			return nil
		}
	}
}

func (w *writer) named(values []driver.Value) []driver.NamedValue {
	w.args = w.args[:0]
	for i, v := range values {
		w.args = append(w.args, driver.NamedValue{Ordinal: i + 1, Value: v})
	}
	return w.args
}

func (w *writer) close() error {
	var errs []error
	for _, st := range w.stmts {
		errs = append(errs, st.Close())
	}
	return errors.Join(append(errs, w.conn.Close())...)
}
