package store

import (
	"database/sql"
	"slices"
)

// newest keeps the last version of each of list, in their order. It overwrites list.
func newest[T any, K comparable](list []T, key func(T) K) []T {
	last := make(map[K]int, len(list))
	for i, v := range list {
		last[key(v)] = i
	}
	kept := list[:0]
	for i, v := range list {
		if last[key(v)] == i {
			kept = append(kept, v)
		}
	}
	clear(list[len(kept):])
	return kept
}

// dropOldest drops the first n of list, and returns what is left in the place of list.
func dropOldest[T any](list []T, n int) []T {
	if n <= 0 {
		return list
	}
	return slices.Delete(list, 0, n)
}

// takeFirst splits list after most at most, so that what has gathered during a fault is
// written a part at a time and does not hold up the rows of messages.
func takeFirst[T any](list []T, most int) (first, rest []T) {
	if len(list) <= most {
		return list, nil
	}
	return list[:most:most], list[most:]
}

// loadPages calls f with one page after the other. page gets the last one of the page
// before, at first the zero value, and returns none at the end.
func loadPages[T any](page func(last T) ([]T, error), f func([]T) error) error {
	var last T
	for {
		batch, err := page(last)
		if err != nil || len(batch) == 0 {
			return err
		}
		last = batch[len(batch)-1]
		if err := f(batch); err != nil {
			return err
		}
	}
}

// query reads all rows of a query.
func query[T any](db *sql.DB, scan func(*sql.Rows, *T) error, q string, args ...any) ([]T, error) {
	rows, err := db.Query(q, args...)
	if err != nil {
		return nil, classify(err)
	}
	defer rows.Close()
	var out []T
	for rows.Next() {
		var v T
		if err := scan(rows, &v); err != nil {
			return nil, classify(err)
		}
		out = append(out, v)
	}
	if err := rows.Err(); err != nil {
		return nil, classify(err)
	}
	return out, nil
}
