// Package queuetest makes the journal of a daemon for tests of those who look into
// it. Its rows are what a bridge writes of messages with the fate that a test asks for.
package queuetest

import (
	"context"
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
// and with an hour to go, unless w says otherwise. Every attempt but one that is under
// way has come to Problem. Lane, Next and Size are what the bridge makes of it.
func Entry(w Waiting) store.Entry {
	now := time.UnixMilli(time.Now().UnixMilli())
	set(&w.From, mapping.MustParseJID("juliet@example.com/balcony"))
	set(&w.To, mapping.MustParseJID("romeo@sip.example.com"))
	set(&w.Read, now.Add(-90*time.Second))
	set(&w.Expire, now.Add(time.Hour))
	row := bridge.Row{Lane: "sip:romeo@example.net", Data: []byte("rubbish")}
	if w.State != Damaged {
		row = rowOf(w)
	}
	return store.Entry{ID: w.ID, Lane: row.Lane, Data: row.Data, Read: w.Read, Expire: w.Expire}
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

// Relation is who of a user and a contact may see the other.
type Relation = store.Relation

// FillPresence makes the file of a daemon that is stopped, or adds to it.
func FillPresence(path string, relations ...Relation) error {
	s, err := store.Open(path, store.Options{})
	if err != nil {
		return err
	}
	s.PutRelations(relations)
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // commit what is there and return
	return errors.Join(s.Run(ctx, store.Events{}), s.Close())
}
