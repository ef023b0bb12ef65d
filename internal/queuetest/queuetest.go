// Package queuetest makes the journal of a daemon for tests of those who look into
// it. Its rows are no messages: their data is the description itself, so that a
// test says what there is to see.
package queuetest

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/stoxgw/stox/internal/bridge"
	"github.com/stoxgw/stox/internal/store"
	"github.com/stoxgw/stox/mapping"
)

// Waiting describes a row, Event a step of the trail.
type (
	Waiting = bridge.Waiting
	Event   = store.TrailEvent
)

// Damaged is the State of a row that cannot be read.
const Damaged bridge.WaitingState = "damaged"

// Entry is the row of w, as the store keeps it: from juliet to romeo, read 90 s ago
// and with an hour to go, unless w says otherwise.
func Entry(w Waiting) store.Entry {
	now := time.UnixMilli(time.Now().UnixMilli())
	set(&w.From, mapping.MustParseJID("juliet@example.com/balcony"))
	set(&w.To, mapping.MustParseJID("romeo@sip.example.com"))
	set(&w.Read, now.Add(-90*time.Second))
	set(&w.Expire, now.Add(time.Hour))
	set(&w.Lane, "sip:romeo@example.net")
	data, err := json.Marshal(w)
	if err != nil {
		panic(err)
	}
	if w.State == Damaged {
		data = []byte("rubbish")
	}
	return store.Entry{ID: w.ID, Lane: w.Lane, Data: data, Read: w.Read, Expire: w.Expire}
}

func set[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

// Fill makes the file of a daemon that is stopped. Its trail never expires.
func Fill(path string, rows []Waiting, trail ...Event) error {
	s, err := store.Open(path, store.Options{MaxWaiting: len(rows) + 1, MaxWaitingBytes: 1 << 30, TrailFor: 100 * 365 * 24 * time.Hour})
	if err != nil {
		return err
	}
	entries := make([]store.Entry, len(rows))
	for i, w := range rows {
		entries[i] = Entry(w)
	}
	if _, err := s.Append(entries); err != nil {
		return errors.Join(err, s.Close())
	}
	s.PutTrail(trail)
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // commit what is there and return
	return errors.Join(s.Run(ctx, store.Events{}), s.Close())
}

// Read is bridge.ReadRow of such a row.
func Read(r bridge.Row) (w Waiting, err error) {
	if json.Unmarshal(r.Data, &w) != nil {
		return Waiting{ID: r.ID}, errors.New("not of this version")
	}
	w.ID, w.Read, w.Expire, w.Lane, w.Size = r.ID, r.Read, r.Expire, r.Lane, len(r.Data)
	return w, nil
}

// Retry is bridge.RetryRow.
func Retry(r bridge.Row, now time.Time, expire time.Duration) (bridge.Row, error) {
	r.Expire = now.Add(expire)
	return change(r, func(w *Waiting) { w.State = bridge.Queued })
}

// Drop is bridge.DropRow.
func Drop(r bridge.Row, _ time.Time) (bridge.Row, error) {
	return change(r, func(w *Waiting) { w.State, w.Problem = bridge.Reporting, "dropped by the operator" })
}

func change(r bridge.Row, f func(*Waiting)) (bridge.Row, error) {
	w, err := Read(r)
	if err != nil {
		return r, err
	}
	if w.State == bridge.Reporting {
		return r, bridge.ErrNoRow
	}
	f(&w)
	r.Data, err = json.Marshal(w)
	return r, err
}
