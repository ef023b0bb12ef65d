package store

import (
	"cmp"
	"database/sql"
	"database/sql/driver"
	"slices"
	"strings"
	"time"
)

// Block is an address that somebody does not want to hear of. What it looks like is the
// caller's business; one without Since is taken back.
type Block struct {
	Owner, What string    // Owner "" is an admin
	Since       time.Time // kept in milliseconds
}

func (b Block) key() [2]string { return [2]string{b.Owner, b.What} }

// maxBlocksWait bounds what waits during a fault. Of more, what has a newer version is dropped,
// then the oldest down to half of it.
const maxBlocksWait = 262144

// PutBlocks keeps new versions, which replace older ones. They are written as contacts are, in
// batches and without a report.
func (s *Store) PutBlocks(batch []Block) {
	s.putSide(len(batch), func() { s.blocks = append(s.blocks, batch...) })
}

func (q *queue) boundBlocksLocked() {
	q.blocks = boundSideLocked(q, q.blocks, Block.key, maxBlocksWait)
}

// LoadBlocks calls f with all blocks on the disk, in batches, in the order of owners, and stops
// with the first error. The slice is valid only during the call.
func (s *Store) LoadBlocks(f func([]Block) error) error { return s.b.loadBlocks(f) }

func (b *sqliteStore) putBlocks(w *work) error {
	for _, v := range w.blocks {
		query, args := "DELETE FROM blocks WHERE owner = ? AND what = ?", []driver.Value{v.Owner, v.What}
		if !v.Since.IsZero() {
			query = "INSERT INTO blocks (owner, what, since) VALUES (?, ?, ?) ON CONFLICT (owner, what) DO UPDATE SET since = excluded.since"
			args = append(args, millis(v.Since))
		}
		if err := b.writer.exec(query, args...); err != nil {
			return err
		}
	}
	return nil
}

func (b *sqliteStore) loadBlocks(f func([]Block) error) error {
	// Of an admin "" is the owner, and no What is "": so is the beginning.
	return loadPages(func(last Block) ([]Block, error) {
		page, err := query(b.reader, func(rows *sql.Rows, v *Block) error {
			var since int64
			err := rows.Scan(&v.Owner, &v.What, &since)
			v.Since = fromMillis(since)
			return err
		}, "SELECT owner, what, since FROM blocks WHERE (owner, what) > (?, ?) ORDER BY owner, what LIMIT ?", last.Owner, last.What, readRows)
		if err != nil {
			err = withRemedy(b.path, err)
		}
		return page, err
	}, f)
}

// Blocks is LoadBlocks for the file of a daemon that is stopped. That of a version that had
// none has none.
func (r *Reader) Blocks(f func([]Block) error) error {
	if has, err := r.hasTable("blocks"); !has {
		return err
	}
	return r.b.loadBlocks(f)
}

func (m *memory) putBlocks(batch []Block) {
	for _, v := range batch {
		if v.Since.IsZero() {
			delete(m.blocks, v.key())
			continue
		}
		v.Since = fromMillis(millis(v.Since))
		m.blocks[v.key()] = v
	}
}

func (m *memory) loadBlocks(f func([]Block) error) error {
	m.mu.Lock()
	var all []Block
	for _, v := range m.blocks {
		all = append(all, v)
	}
	m.mu.Unlock()
	if len(all) == 0 {
		return nil
	}
	slices.SortFunc(all, func(a, b Block) int {
		return cmp.Or(strings.Compare(a.Owner, b.Owner), strings.Compare(a.What, b.What))
	})
	return f(all)
}
