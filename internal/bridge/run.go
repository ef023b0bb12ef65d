package bridge

import (
	"context"
	"fmt"
	"time"
)

// rowLoad is how many rows are read from the store at a time.
const rowLoad = 256

// tryStoreAgain is how long after a failed read or a refused update the next try
// comes.
const tryStoreAgain = time.Second

// Run does what time demands - back-off, expiry, errors to be told again, messages
// that wait in the store - until ctx is done. Call it once, after Restore; the
// sides and the store outlive it.
func (b *Bridge) Run(ctx context.Context) error {
	if b.uncertain > 0 {
		b.log.Warn("uncertain: these messages may have left before the last stop; they are sent once more, and may arrive twice", "dir", "xmpp-sip", "count", b.uncertain, "ids", b.uncertainIDs)
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		load, next := b.tick()
		if len(load) > 0 {
			b.load(load)
			continue
		}
		if next.IsZero() {
			timer.Stop()
		} else {
			timer.Reset(time.Until(next))
		}
		select {
		case <-b.wake:
		case <-timer.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// tick does everything that is due, and tells which rows are to be read and when
// to look again.
func (b *Bridge) tick() (load []uint64, next time.Time) {
	out := work{now: time.Now()}
	b.mu.Lock()
	b.next = time.Time{}
	for {
		f, at := b.lanes.due(out.now)
		if f == nil {
			b.wakeAt(&out, at)
			break
		}
		b.stir(&out, f)
	}
	if !b.retryUpdates.IsZero() && !out.now.Before(b.retryUpdates) {
		b.retryUpdates = time.Time{}
		for o := range b.refused {
			delete(b.refused, o)
			b.update(&out, o)
		}
	}
	b.wakeAt(&out, b.retryUpdates)
	b.retell(&out)
	b.wakeAt(&out, b.reports.at)
	for f := range b.wanted {
		switch {
		case len(f.queue) == 0 || f.queue[0].o != nil:
			delete(b.wanted, f)
		case b.lanes.waiting+len(load) >= b.lanes.limits.Total:
			b.wakeAt(&out, out.now.Add(tryStoreAgain))
		case len(load) < rowLoad:
			load = append(load, f.queue[0].row)
		}
	}
	load = append(load, out.load...)
	out.wake = false // whoever called looks at b.next
	b.unlock(&out)

	b.mu.Lock() // what the sides did meanwhile may have brought something nearer
	next = b.next
	b.mu.Unlock()
	return load, next
}

// wakeAt has Run look at that time; the zero time: never. b.mu is held.
func (b *Bridge) wakeAt(out *work, at time.Time) {
	if at.IsZero() || !b.next.IsZero() && !at.Before(b.next) {
		return
	}
	b.next = at
	out.wake = true
}

// fetch has the first message of f read from the store.
func (b *Bridge) fetch(f *fifo) {
	b.lanes.setAlarm(f, time.Time{})
	b.wanted[f] = true
	b.poke()
}

func (b *Bridge) poke() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// load reads rows and puts each where it is wanted.
func (b *Bridge) load(ids []uint64) {
	rows, err := b.journal.Get(ids)
	if err != nil {
		b.log.Warn("the journal cannot be read; what waits in it waits on", "err", err)
	}
	found := make(map[uint64]Row, len(rows))
	for _, r := range rows {
		found[r.ID] = r
	}
	asked := make(map[uint64]bool, len(ids))
	for _, id := range ids {
		asked[id] = true
	}
	out := work{now: time.Now()}
	b.mu.Lock()
	for f := range b.wanted {
		if len(f.queue) == 0 || f.queue[0].o != nil || !asked[f.queue[0].row] {
			continue
		}
		id := f.queue[0].row
		delete(b.wanted, f)
		delete(asked, id)
		if err != nil {
			b.alarmAt(&out, f, out.now.Add(tryStoreAgain))
			continue
		}
		b.loaded(&out, f, found[id])
	}
	if b.reports.loading {
		b.loadedReports(&out, ids, asked, found, err)
	}
	b.unlock(&out)
}

// loaded puts the first message of f into memory.
func (b *Bridge) loaded(out *work, f *fifo, r Row) {
	e := f.queue[0]
	o, err := decode(r)
	if err == nil && o.reported != nil {
		err = errRow
	}
	if r.ID == 0 || err != nil {
		b.log.Error("a message of the journal cannot be read; it stays there and is not sent", "row", e.row, "err", err)
		b.lanes.remove(f, 0)
		b.stir(out, f)
		return
	}
	// Versions are counted anew: nothing of the old ones is under way.
	o.rev, o.kept = 1, 1
	b.lanes.unpark(f, o)
	b.rows[o.row] = o
	if e.restored && o.sent {
		// It may have left before this process was started.
		o.restart, o.sent = true, false
		o.ambiguous++
		o.problem = o.mayHaveArrived(o.problem)
	}
	if e.hurry {
		o.notBefore = time.Time{}
	}
	f.queue[0].restored, f.queue[0].hurry = false, false
	b.stir(out, f)
}

// loadedReports takes the rows among found that were read to be reported.
func (b *Bridge) loadedReports(out *work, ids []uint64, asked map[uint64]bool, found map[uint64]Row, err error) {
	b.reports.loading = false
	for _, id := range ids {
		if !asked[id] {
			continue
		}
		if err != nil {
			b.reports.stored = append(b.reports.stored, id)
			b.retellAt(out, out.now.Add(tryStoreAgain))
			continue
		}
		o, err := decode(found[id])
		if err != nil || o.reported == nil {
			b.log.Error("a message of the journal cannot be read; its sender is not told", "row", id, "err", err)
			continue
		}
		o.rev, o.kept, o.over = 1, 1, true
		b.rows[o.row] = o
		b.tell(out, &report{o: o, taken: true})
	}
}

// Restore takes a row that an earlier run has left, in the order of ID. Call it
// before Run and before either side runs. A row that cannot be read is reported as
// an error and stays where it is.
func (b *Bridge) Restore(r Row) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.nextRow = max(b.nextRow, r.ID)
	o, err := decode(r)
	if err != nil {
		return fmt.Errorf("row %d: %w", r.ID, err)
	}
	if o.reported != nil {
		b.reports.stored = append(b.reports.stored, r.ID)
		b.reports.at = time.Now()
		return nil
	}
	if o.sent {
		b.uncertain++
		ev := work{now: time.Now()}
		ev.trail(o, "uncertain", mayHaveLeft)
		b.journal.PutTrail(ev.events)
		if len(b.uncertainIDs) < listIDs {
			b.uncertainIDs = append(b.uncertainIDs, o.id)
		}
	}
	f := b.lanes.pushStored(o.lane, o.sender, entry{row: r.ID, expire: r.Expire, restored: true})
	if len(f.queue) == 1 {
		b.wanted[f] = true
	}
	return nil
}
