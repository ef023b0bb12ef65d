package store

import (
	"cmp"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"slices"
	"time"
)

// Readers take so many rows at a time: a long read would keep deleted text in the log.
const readRows = 512

// count takes the sizes of the tables that have a bound.
func (b *sqliteStore) count() error {
	err := b.reader.QueryRow("SELECT (SELECT coalesce(sum(size), 0) FROM seen), (SELECT coalesce(sum(size), 0) FROM trail)").Scan(&b.seen, &b.trail)
	if err != nil {
		return withRemedy(b.path, classify(err))
	}
	return nil
}

// index is part of Open, when the writer has nothing else to do: a row costs two thirds of what
// it costs through database/sql.
func (b *sqliteStore) index(f func(id uint64, size int)) error {
	err := b.writer.query(func(row []driver.Value) bool {
		f(uint64(integer(row[0])), int(integer(row[1])))
		return true
	}, "SELECT id, length(row) FROM journal")
	if err != nil {
		return withRemedy(b.path, classify(err))
	}
	inSlots, _, err := b.both(0, 0)
	if err != nil {
		return withRemedy(b.path, err)
	}
	for _, r := range inSlots {
		f(r.id, len(r.row))
	}
	return nil
}

func (b *sqliteStore) load(f func(Entry) error) error {
	for after := uint64(0); ; {
		batch, err := b.page(after, readRows)
		if err != nil {
			return withRemedy(b.path, err)
		}
		for _, e := range batch {
			if err := f(e); err != nil {
				return err
			}
		}
		if len(batch) < readRows {
			return nil
		}
		after = batch[len(batch)-1].ID
	}
}

func (b *sqliteStore) page(after uint64, n int) ([]Entry, error) {
	if after > math.MaxInt64 {
		return nil, nil
	}
	n = min(n, readRows)
	inSlots, rows, err := b.both(after, n)
	if err != nil {
		return nil, err
	}
	var out []Entry
	for len(out) < n && len(inSlots)+len(rows) > 0 {
		from := &rows
		if len(rows) == 0 || len(inSlots) > 0 && inSlots[0].id < rows[0].id {
			from = &inSlots
		}
		r := (*from)[0]
		*from = (*from)[1:]
		if r.id > after {
			out = append(out, readRow(r.id, r.row))
		}
	}
	return out, nil
}

func (b *sqliteStore) get(ids []uint64) ([]Entry, error) {
	ids = sortedIDs(ids)
	inSlots, err := b.among(ids)
	if err != nil {
		return nil, err
	}
	out, err := b.getFrom(inSlots, ids)
	if err != nil || len(out) == len(ids) || b.ranges.empty() {
		return out, err
	}
	// What is missing may have been written anew, into another slot.
	if inSlots, _, err = b.both(0, 0); err != nil {
		return nil, err
	}
	return b.getFrom(inSlots, ids)
}

// getFrom looks for rows in what was read of slots, and then in the table: rows move from there to the table, and
// never back.
func (b *sqliteStore) getFrom(inSlots []slotRow, ids []uint64) ([]Entry, error) {
	st, err := b.reader.Prepare("SELECT row FROM journal WHERE id = ?")
	if err != nil {
		return nil, classify(err)
	}
	defer st.Close()
	var out []Entry
	for _, id := range ids {
		if at, ok := slices.BinarySearchFunc(inSlots, id, func(r slotRow, id uint64) int { return cmp.Compare(r.id, id) }); ok {
			out = append(out, readRow(id, inSlots[at].row))
			continue
		}
		var data []byte
		err := st.QueryRow(int64(id)).Scan(&data)
		if errors.Is(err, sql.ErrNoRows) {
			continue
		}
		if err != nil {
			return nil, classify(err)
		}
		out = append(out, readRow(id, data))
	}
	return out, nil
}

func (b *sqliteStore) loadSeen(f func([]Seen) error) (unreadable int, err error) {
	rows, err := b.reader.Query("SELECT data FROM seen ORDER BY batch")
	if err != nil {
		return 0, classify(err)
	}
	defer rows.Close()
	for rows.Next() {
		var data []byte
		if err := rows.Scan(&data); err != nil {
			return unreadable, classify(err)
		}
		seen, err := unpackSeen(data)
		if err != nil {
			unreadable++
			continue
		}
		if err := f(seen); err != nil {
			return unreadable, err
		}
	}
	if err := rows.Err(); err != nil {
		return unreadable, classify(err)
	}
	return unreadable, nil
}

func (b *sqliteStore) lookup(id string, most int) ([]TrailEvent, error) {
	var out []TrailEvent
	for after := int64(0); ; {
		batches, last, err := b.trailBatches(after, id)
		if err != nil {
			return nil, err
		}
		for _, batch := range batches {
			var data []byte
			err := b.reader.QueryRow("SELECT data FROM trail WHERE batch = ?", batch).Scan(&data)
			if errors.Is(err, sql.ErrNoRows) {
				continue // expired meanwhile
			}
			if err != nil {
				return nil, classify(err)
			}
			err = unpackTrail(data, func(e TrailEvent) {
				if e.is(id) {
					out = append(out, e)
				}
			})
			if err != nil {
				return nil, classify(fmt.Errorf("trail, batch %d: %w", batch, err))
			}
			if most > 0 && len(out) > most {
				return nil, errMany
			}
		}
		if last == 0 {
			return sortTrail(out), nil
		}
		after = last
	}
}

func (b *sqliteStore) newestTrail(n int) ([]TrailEvent, error) {
	rows, err := b.reader.Query("SELECT data FROM trail ORDER BY batch DESC")
	if err != nil {
		return nil, classify(err)
	}
	defer rows.Close()
	var batches [][]TrailEvent
	for found := 0; found < n && rows.Next(); {
		var data sql.RawBytes
		if err := rows.Scan(&data); err != nil {
			return nil, classify(err)
		}
		var batch []TrailEvent
		if err := unpackTrail(data, func(e TrailEvent) { batch = append(batch, e) }); err != nil {
			continue
		}
		found += len(batch)
		batches = append(batches, batch)
	}
	if err := rows.Err(); err != nil {
		return nil, classify(err)
	}
	slices.Reverse(batches)
	all := slices.Concat(batches...)
	return all[max(len(all)-n, 0):], nil
}

// trailBatches returns which of the next batches may hold the id, and the last
// batch looked at; 0 if there are no more.
func (b *sqliteStore) trailBatches(after int64, id string) (found []int64, last int64, err error) {
	rows, err := b.reader.Query("SELECT batch, filter FROM trail WHERE batch > ? ORDER BY batch LIMIT ?", after, readRows)
	if err != nil {
		return nil, 0, classify(err)
	}
	defer rows.Close()
	for rows.Next() {
		var filter sql.RawBytes
		if err := rows.Scan(&last, &filter); err != nil {
			return nil, 0, classify(err)
		}
		if mayHold(filter, id) {
			found = append(found, last)
		}
	}
	if err := rows.Err(); err != nil {
		return nil, 0, classify(err)
	}
	return found, last, nil
}

// Reader looks into the file of a daemon, best one that is not running.
type Reader struct{ b *sqliteStore }

// OpenReadOnly opens an existing file and changes nothing in it. What the daemon had
// not yet committed when it was killed is not there.
func OpenReadOnly(path string) (*Reader, error) {
	path, err := resolve(path)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("store: %s does not exist: stox has not run with this store.path", path)
	} else if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	o := Options{BusyTimeout: time.Second}
	mode := "ro"
	err = inspect(path, mode, o)
	if err != nil && atRest(path) {
		// Without its companions the file can only be read where these can be made.
		if err2 := inspect(path, "ro-immutable", o); err2 == nil {
			mode, err = "ro-immutable", nil
		}
	}
	if err != nil {
		return nil, err
	}
	b := &sqliteStore{path: path, o: o}
	if err := b.openReader(mode); err != nil {
		return nil, err
	}
	has, err := hasSlots(b.reader)
	if err != nil {
		return nil, errors.Join(withRemedy(path, classify(err)), b.close())
	}
	b.ranges.unknown = has
	return &Reader{b}, nil
}

// atRest says that the last daemon closed the file.
func atRest(path string) bool {
	st, err := os.Stat(path + "-wal")
	return errors.Is(err, fs.ErrNotExist) || err == nil && st.Size() == 0
}

// Load is Store.Load.
func (r *Reader) Load(f func(Entry) error) error { return r.b.load(f) }

// Page is Store.Page.
func (r *Reader) Page(after uint64, n int) ([]Entry, error) {
	page, err := r.b.page(after, n)
	if err != nil {
		return nil, withRemedy(r.b.path, err)
	}
	return page, nil
}

// Count returns how many rows there are.
func (r *Reader) Count() (n int, err error) {
	inSlots, counted, err := r.b.slotsAnd("SELECT count(*), NULL, 0 FROM journal")
	if err != nil {
		return 0, withRemedy(r.b.path, err)
	}
	for _, c := range counted { // there is one
		n += int(c.id)
	}
	return n + len(inSlots), nil
}

// Get is Store.Get.
func (r *Reader) Get(ids []uint64) ([]Entry, error) { return r.b.get(ids) }

// Lookup is Store.Lookup.
func (r *Reader) Lookup(id string) ([]TrailEvent, error) {
	if id == "" {
		return nil, nil
	}
	return r.b.lookup(clip(id, maxTrailID), 0)
}

// Close closes the file.
func (r *Reader) Close() error { return r.b.close() }
