package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/stoxgw/stox/internal/admin"
	"github.com/stoxgw/stox/internal/bridge"
	"github.com/stoxgw/stox/internal/config"
	"github.com/stoxgw/stox/internal/store"
	"github.com/stoxgw/stox/mapping"
)

// FileQueue is the queue of a daemon that is not running: its file. To read it is
// to leave it as it is, and needs no lock; so it may also be read while a daemon
// has it. Changes are made under the lock of the store.
type FileQueue struct {
	path   string
	o      store.Options
	expire time.Duration
	cfg    *config.Config
	rules  *mapping.Rules // built when needed

	reader *store.Reader // opened when needed, closed for a change
	total  int           // rows when it was opened: to count them takes reading them all
}

// OpenFile opens the file that cfg names. An error says what is wrong and how to
// mend it; fs.ErrNotExist if there is no file.
func OpenFile(cfg *config.Config) (*FileQueue, error) {
	q := &FileQueue{
		path:   cfg.Store.Path,
		o:      storeOptions(cfg),
		expire: cfg.Queue.Expire,
		cfg:    cfg,
	}
	f, err := os.Open(q.path) // the engine would not say why
	if errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("%s: permission denied: run this as root or as the user that stox runs as", q.path)
	}
	if err != nil {
		return nil, err
	}
	_ = f.Close()
	if err := q.open(); err != nil {
		return nil, err
	}
	return q, nil
}

func (q *FileQueue) open() error {
	if q.reader != nil {
		return nil
	}
	r, err := store.OpenReadOnly(q.path)
	if err != nil {
		return err
	}
	if q.total, err = r.Count(); err != nil {
		return errors.Join(err, r.Close())
	}
	q.reader = r
	return nil
}

// Close closes the file.
func (q *FileQueue) Close() error {
	if q.reader == nil {
		return nil
	}
	err := q.reader.Close()
	q.reader = nil
	return err
}

// List is that of admin.Queue, as are the other methods.
func (q *FileQueue) List(_ context.Context, after uint64, n int) (admin.Page, error) {
	if err := q.open(); err != nil {
		return admin.Page{}, err
	}
	rows, err := q.reader.Page(after, n)
	if err != nil {
		return admin.Page{}, err
	}
	return admin.Page{Total: q.total, Messages: describe(rows, nil)}, nil
}

// Show finds one row.
func (q *FileQueue) Show(ctx context.Context, id string) (admin.Message, error) {
	if err := q.open(); err != nil {
		return admin.Message{}, err
	}
	return find(ctx, q.reader.Page, nil, id)
}

// Trail looks up what became of a message.
func (q *FileQueue) Trail(ctx context.Context, id string) ([]admin.Step, error) {
	if err := q.open(); err != nil {
		return nil, err
	}
	return trail(ctx, q.reader.Lookup, q.Show, id)
}

// Retry has a row tried at once when the daemon starts, with queue.expire from now.
// Those of the same sender before it go first, when they may.
func (q *FileQueue) Retry(ctx context.Context, id string) (admin.Message, error) {
	m, err := q.Show(ctx, id)
	if err != nil {
		return admin.Message{}, err
	}
	if m.State == admin.Damaged {
		return admin.Message{}, errDamaged(id)
	}
	ahead, err := q.ahead(ctx, &m)
	if err != nil {
		return admin.Message{}, err
	}
	m, err = q.change(ctx, strconv.FormatUint(m.ID, 10), "retry: it is tried again when stox starts", func(r bridge.Row, now time.Time) (bridge.Row, error) {
		return bridge.RetryRow(r, now, q.expire)
	})
	m.Ahead = ahead
	return m, err
}

// ahead counts the rows that the bridge will put before m: older ones of its sender,
// to the same lane.
func (q *FileQueue) ahead(ctx context.Context, m *admin.Message) (n int, err error) {
	if m.State == string(bridge.Reporting) {
		return 0, nil
	}
	sender, _, _ := strings.Cut(m.From, "/")
	for after := uint64(0); ; {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		rows, err := q.reader.Page(after, searchPage)
		if err != nil {
			return 0, err
		}
		for i := range rows {
			if rows[i].ID >= m.ID {
				return n, nil
			}
			if rows[i].Lane != m.Lane {
				continue
			}
			if w, err := bridge.ReadRow(rowOf(rows[i])); err == nil && w.State != bridge.Reporting && w.From.Bare().String() == sender {
				n++
			}
		}
		if len(rows) == 0 {
			return n, nil
		}
		after = rows[len(rows)-1].ID
	}
}

// Drop has the sender told when the daemon starts.
func (q *FileQueue) Drop(ctx context.Context, id string) (admin.Message, error) {
	return q.change(ctx, id, "drop: it is given up when stox starts", func(r bridge.Row, now time.Time) (bridge.Row, error) {
		if _, err := bridge.ReadRow(r); err != nil { // there is nobody to tell
			return bridge.Row{}, nil
		}
		return bridge.DropRow(r, now)
	})
}

// change replaces one row, or deletes it if f returns none, and notes in the trail
// what the operator did.
func (q *FileQueue) change(ctx context.Context, id, what string, f func(bridge.Row, time.Time) (bridge.Row, error)) (admin.Message, error) {
	m, err := q.Show(ctx, id)
	if err != nil {
		return admin.Message{}, err
	}
	if err := q.Close(); err != nil { // or the log of the file would stay
		return admin.Message{}, err
	}
	s, err := store.Open(q.path, q.o)
	if errors.Is(err, store.ErrLocked) {
		return admin.Message{}, fmt.Errorf("a daemon has %s, and it does not answer: is admin.socket the one that it was started with? (%w)", q.path, err)
	}
	if err != nil {
		return admin.Message{}, err
	}
	defer s.Close()
	rows, err := s.Get([]uint64{m.ID})
	if err != nil {
		return admin.Message{}, err
	}
	if len(rows) == 0 {
		return admin.Message{}, operatorError(bridge.ErrNoRow, id)
	}
	now := time.Now()
	row, err := f(rowOf(rows[0]), now)
	if err != nil {
		return admin.Message{}, operatorError(err, id)
	}
	if row.ID == 0 {
		s.Done([]uint64{m.ID})
	} else {
		changed := []store.Entry{store.Entry(row)}
		if _, err := s.Update(changed); err != nil {
			return admin.Message{}, err
		}
		m = describeOne(&changed[0], nil)
	}
	s.PutTrail([]store.TrailEvent{operatorEvent(now, &m, what)})
	over, end := context.WithCancel(ctx)
	end() // Run commits what is there and returns
	return m, s.Run(over, store.Events{})
}
