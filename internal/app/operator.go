package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stoxgw/stox/internal/admin"
	"github.com/stoxgw/stox/internal/blocks"
	"github.com/stoxgw/stox/internal/bridge"
	"github.com/stoxgw/stox/internal/config"
	"github.com/stoxgw/stox/internal/history"
	"github.com/stoxgw/stox/internal/store"
	"github.com/stoxgw/stox/internal/wire"
	"github.com/stoxgw/stox/mapping"
	"github.com/stoxgw/stox/sipside"
)

// This file is what an operator sees of the journal, whether a daemon runs
// (liveQueue) or not (FileQueue): rows as the bridge reads them, found by their
// number, the id of the stanza or the Call-ID. A row that cannot be read stays in
// the journal until the operator drops it; there is nobody to tell then.

// liveQueue is the queue of this daemon, for its admin.Server.
type liveQueue struct {
	store   *store.Store
	history *history.Book
	bridge  liveBridge
	links   *links
	sip     *sipside.UA
	blocks  *blocks.Table
	usage   func(n int) []bridge.Use
	watch   *watch
	log     *slog.Logger
	again   func(context.Context) (admin.Reloaded, error) // reads the configuration

	wire   *wire.Room
	config func() *config.Config // in force

	presence livePresence
	rules    func() *mapping.Rules // in force
}

var (
	_ admin.Linked   = (*liveQueue)(nil)
	_ admin.Historic = (*liveQueue)(nil)
	_ admin.Reloader = (*liveQueue)(nil)
)

func (q *liveQueue) Reload(ctx context.Context) (admin.Reloaded, error) { return q.again(ctx) }

// liveBridge is what only the running bridge knows and does.
type liveBridge interface {
	Look(*bridge.Waiting)
	RetryNow(id uint64) (ahead int, err error)
	Drop(id uint64) error
}

func (q *liveQueue) List(_ context.Context, after uint64, n int) (admin.Page, error) {
	rows, err := q.store.Page(after, n)
	if err != nil {
		return admin.Page{}, err
	}
	return admin.Page{Total: q.store.State().Entries, Messages: describe(rows, q.bridge.Look)}, nil
}

func (q *liveQueue) Show(ctx context.Context, id string) (admin.Message, error) {
	return find(ctx, q.store.Page, q.bridge.Look, id)
}

func (q *liveQueue) Retry(ctx context.Context, id string) (admin.Message, error) {
	m, err := q.Show(ctx, id)
	at := time.Now()
	ahead := 0
	switch {
	case err != nil:
	case m.State == admin.Damaged:
		err = errDamaged(id)
	default:
		ahead, err = q.bridge.RetryNow(m.ID)
	}
	if err != nil {
		return admin.Message{}, operatorError(err, id)
	}
	q.note(at, &m, "retry", "it is tried again now")
	if again, err := q.Show(ctx, strconv.FormatUint(m.ID, 10)); err == nil {
		m = again
	} // else it was tried, and is done since
	m.Ahead = ahead
	return m, nil
}

// note leaves a trace of what the operator did to a row.
func (q *liveQueue) note(at time.Time, m *admin.Message, action, what string) {
	q.store.PutTrail([]store.TrailEvent{operatorEvent(at, m, action+": "+what)})
	q.log.Info("the operator has changed the queue", "action", action, "row", m.ID)
}

// operatorEvent is in the trail of a message, or of a number if that is all that is
// known of it.
func operatorEvent(at time.Time, m *admin.Message, detail string) store.TrailEvent {
	e := store.TrailEvent{ID: m.Stanza, Other: m.CallID, At: at, Kind: "operator", Detail: detail}
	if m.State == admin.Damaged {
		e.ID = strconv.FormatUint(m.ID, 10)
	}
	return e
}

func (q *liveQueue) Drop(ctx context.Context, id string) (admin.Message, error) {
	m, err := q.Show(ctx, id)
	at := time.Now()
	switch {
	case err != nil:
	case m.State == admin.Damaged: // the bridge does not have it
		q.store.Done([]uint64{m.ID})
	default:
		err = q.bridge.Drop(m.ID)
	}
	if err != nil {
		return admin.Message{}, operatorError(err, id)
	}
	q.note(at, &m, "drop", "it is given up")
	return m, nil
}

func (q *liveQueue) Trail(ctx context.Context, id string) ([]admin.Step, error) {
	return trail(ctx, q.store.Lookup, q.Show, id)
}

// History tells what the daemon remembers of a message, without its text.
func (q *liveQueue) History(ctx context.Context, id string) ([]history.Message, error) {
	found := q.history.ByID(id)
	if _, notNumber := strconv.ParseUint(id, 10, 63); len(found) == 0 && notNumber == nil {
		if m, err := q.Show(ctx, id); err == nil {
			found = q.history.ByID(m.CallID)
		}
	}
	for i := range found {
		found[i].Body = ""
	}
	return found, nil
}

// Links tells of each component name, the one of xmpp.domain first.
func (q *liveQueue) Links(context.Context) ([]admin.Link, error) {
	out := make([]admin.Link, 0, len(q.links.all))
	for i, c := range q.links.all {
		s := c.Status()
		out = append(out, admin.Link{
			Component: q.links.names[i], Server: q.links.servers[i], State: string(s.State), Since: s.Since,
			Reason: s.Reason, Text: s.Text, RetryAt: s.RetryAt,
		})
	}
	return out, nil
}

// describe turns rows into what an operator sees of them; look may be nil.
func describe(entries []store.Entry, look func(*bridge.Waiting)) []admin.Message {
	out := make([]admin.Message, 0, len(entries))
	for i := range entries {
		out = append(out, describeOne(&entries[i], look))
	}
	return out
}

func describeOne(e *store.Entry, look func(*bridge.Waiting)) admin.Message {
	m := admin.Message{ID: e.ID, Lane: e.Lane, Read: e.Read, Expire: e.Expire, Size: len(e.Data)}
	w, err := bridge.ReadRow(rowOf(*e))
	if err != nil {
		m.State, m.Problem = admin.Damaged, strings.TrimPrefix(err.Error(), "bridge: ")
		return m
	}
	if look != nil {
		look(&w)
	}
	m.Stanza, m.CallID, m.From, m.To = w.Stanza, w.CallID, w.From.String(), w.To.String()
	m.Part, m.Parts = w.Part, w.Parts
	m.State, m.Attempts, m.Next, m.Problem = string(w.State), w.Attempts, w.Next, w.Problem
	if !w.Expire.IsZero() {
		m.Expire = w.Expire
	}
	return m
}

const (
	searchPage = 512 // rows
	maxNamed   = 5   // rows that an ambiguous id is said to mean
)

// find returns the row that an id means: a number, else the id of a stanza or a
// Call-ID, for which all rows have to be read.
func find(ctx context.Context, page func(uint64, int) ([]store.Entry, error), look func(*bridge.Waiting), id string) (admin.Message, error) {
	if n, err := strconv.ParseUint(id, 10, 63); err == nil && n > 0 {
		rows, err := page(n-1, 1)
		if err != nil {
			return admin.Message{}, err
		}
		if len(rows) > 0 && rows[0].ID == n {
			return describeOne(&rows[0], look), nil
		}
	}
	var found []store.Entry
	for after, more := uint64(0), true; more; {
		if err := ctx.Err(); err != nil {
			return admin.Message{}, err
		}
		rows, err := page(after, searchPage)
		if err != nil {
			return admin.Message{}, err
		}
		for i := range rows {
			if w, err := bridge.ReadRow(rowOf(rows[i])); err == nil && (w.Stanza == id || w.CallID == id) {
				found = append(found, rows[i])
			}
		}
		if more = len(rows) > 0 && len(found) <= maxNamed; more {
			after = rows[len(rows)-1].ID
		}
	}
	switch len(found) {
	case 0:
		return admin.Message{}, operatorError(bridge.ErrNoRow, id)
	case 1:
		return describeOne(&found[0], look), nil
	}
	return admin.Message{}, ambiguous(id, found)
}

func ambiguous(id string, found []store.Entry) error {
	var numbers []string
	for _, e := range found[:min(len(found), maxNamed)] {
		numbers = append(numbers, strconv.FormatUint(e.ID, 10))
	}
	if len(found) > maxNamed {
		numbers = append(numbers, "...")
	}
	return admin.ErrAmbiguous.With(fmt.Sprintf("%+q means several messages, say which by its number: %s", id, strings.Join(numbers, ", ")))
}

func errDamaged(id string) error {
	return admin.ErrFailed.With(fmt.Sprintf("message %+q cannot be read, so it cannot be sent: drop it, or start the version of stox that wrote it", id))
}

// operatorError says in words for an operator what the bridge refused.
func operatorError(err error, id string) error {
	switch {
	case errors.Is(err, bridge.ErrNoRow):
		return admin.ErrNotFound.With(fmt.Sprintf("no message %+q in the queue (any more)", id))
	case errors.Is(err, bridge.ErrReporting):
		return admin.ErrUnderWay.With(fmt.Sprintf("message %+q is given up already, and its sender is being told", id))
	case errors.Is(err, bridge.ErrUnderWay):
		return admin.ErrUnderWay.With(fmt.Sprintf("message %+q is under way at this moment, its answer decides: try again in half a minute", id))
	}
	return err
}

// trail looks up an id, or the message that a number means.
func trail(ctx context.Context, lookup func(string) ([]store.TrailEvent, error), show func(context.Context, string) (admin.Message, error), id string) ([]admin.Step, error) {
	events, err := lookup(id)
	if err != nil {
		return nil, err
	}
	if _, notNumber := strconv.ParseUint(id, 10, 63); len(events) == 0 && notNumber == nil {
		m, err := show(ctx, id)
		if errors.Is(err, admin.ErrNotFound) || errors.Is(err, admin.ErrAmbiguous) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		if events, err = lookup(m.CallID); err != nil {
			return nil, err
		}
		if own, err := lookup(m.Stanza); err != nil {
			return nil, err
		} else if len(events) == 0 {
			events = own
		}
	}
	steps := make([]admin.Step, 0, len(events))
	for _, e := range events {
		steps = append(steps, admin.Step{At: e.At, Kind: e.Kind, Detail: e.Detail, Stanza: e.ID, CallID: e.Other})
	}
	slices.SortStableFunc(steps, func(a, b admin.Step) int { return a.At.Compare(b.At) })
	return steps, nil
}
