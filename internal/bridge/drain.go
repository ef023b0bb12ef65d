package bridge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/stoxgw/stox/mapping"
)

// ErrDrain is returned by Drain when its time was up: what was still open has been
// left to the journal as far as that was possible.
var ErrDrain = errors.New("bridge: not everything was finished in time")

// Drain refuses everything new, sends nothing more, and waits until what is under
// way has ended, with the errors to the senders, and those who are subscribed to the
// gateway have been told that it goes (GW-10), or ctx is done. What waits stays in
// the journal; if that keeps nothing, the senders are told. Call it once, while Run,
// the store and both sides still run.
func (b *Bridge) Drain(ctx context.Context) error {
	b.mu.Lock()
	b.closing = true
	stored := b.storedOnly()
	b.mu.Unlock()
	rows := b.readAll(stored)

	b.mu.Lock()
	b.idle = make(chan struct{})
	out := work{now: time.Now()}
	for _, l := range b.lanes.byKey {
		for _, f := range l.fifos {
			if b.volatile {
				b.dismiss(&out, f, rows)
			} else {
				b.unmark(&out, f)
			}
		}
	}
	b.endStates(&out)
	b.farewell(&out)
	idle := b.idle
	b.unlock(&out)

	select {
	case <-idle:
		return nil
	case <-ctx.Done():
	}
	b.mu.Lock()
	open, incoming, errs := b.lanes.open, b.incoming, b.reports.open
	b.mu.Unlock()
	return fmt.Errorf("%w: %d messages to SIP without an answer, %d messages from SIP without an outcome, %d errors unconfirmed",
		ErrDrain, open, incoming, errs)
}

// Seal has messages that are read from now on journaled for the next start, and errors
// that do not get there any more, since nobody can be told. Call it after Drain,
// before the stream is closed.
func (b *Bridge) Seal() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sealed = true
	for _, r := range b.reports.again {
		b.keep(r)
	}
}

// storedOnly are the rows that wait in the journal only, if that keeps nothing. b.mu is
// held.
func (b *Bridge) storedOnly() (ids []uint64) {
	if !b.volatile {
		return nil
	}
	for _, l := range b.lanes.byKey {
		for _, f := range l.fifos {
			for _, e := range f.queue {
				if e.o == nil {
					ids = append(ids, e.row)
				}
			}
		}
	}
	return ids
}

func (b *Bridge) readAll(ids []uint64) map[uint64]Row {
	found := make(map[uint64]Row, len(ids))
	for some := range slices.Chunk(ids, rowLoad) {
		rows, err := b.journal.Get(some)
		if err != nil {
			b.log.Error("the journal cannot be read; the senders of what waits in it are not told", "err", err, "count", len(some))
		}
		for _, r := range rows {
			found[r.ID] = r
		}
	}
	return found
}

// dismiss tells the senders of what waits in f that it will not be sent. rows has
// those messages that are not in memory.
func (b *Bridge) dismiss(out *work, f *fifo, rows map[uint64]Row) {
	for len(f.queue) > 0 {
		e := f.queue[0]
		b.lanes.remove(f, 0)
		o := e.o
		if o == nil {
			var err error
			if o, err = decode(rows[e.row]); err != nil || o.reported != nil {
				b.log.Error("a message of the journal cannot be read; its sender is not told", "row", e.row, "err", err)
				continue
			}
			b.rows[o.row] = o
		}
		b.giveUp(out, o, mapping.FailShutdown())
	}
	b.lanes.tidy(f)
}

// unmark has the rows of what waits in f say that it has not left: they were written
// ahead of their turn, which does not come any more.
func (b *Bridge) unmark(out *work, f *fifo) {
	for _, e := range f.queue {
		if e.o != nil && e.o.sent {
			e.o.sent = false
			e.o.attempts--
			b.update(out, e.o)
		}
	}
}

// wakeDrain ends Drain's wait when nothing is open any more. b.mu is held.
func (b *Bridge) wakeDrain() {
	if b.idle == nil || b.lanes.open > 0 || b.incoming > 0 || b.reports.open > 0 || len(b.contacts.rounds) > 0 {
		return
	}
	select {
	case <-b.idle:
	default:
		close(b.idle)
	}
}
