package bridge

import (
	"fmt"
	"time"
)

// This file reads from the journal what is not in memory: messages whose turn comes,
// errors that are to be told, and all that an earlier run has left.

// rowLoad is how many rows are read from the store at a time.
const rowLoad = 256

// So many of those that want to be read are looked at in one go, and the next so much
// later if none had room.
const (
	wantedScan  = 4096
	lookFurther = 10 * time.Millisecond
)

// loads are rows that are to be read, and what for.
type loads struct {
	fifos   []*fifo  // the first message of each ...
	rows    []uint64 // ... which has this row
	reports []uint64
}

func (l *loads) empty() bool { return len(l.fifos)+len(l.reports) == 0 }

// fetch has the first message of f read from the store.
func (b *Bridge) fetch(f *fifo) {
	b.lanes.setAlarm(f, time.Time{})
	if !f.wanted {
		f.wanted, f.loaded = true, true
		b.wanted = append(b.wanted, f)
	}
	b.poke()
}

// nextLoads takes out what is to be read now: no more than memory has room for, in
// all and for the domain of the sender (SEC-30). b.mu is held.
func (b *Bridge) nextLoads(out *work) loads {
	l := loads{reports: b.storedReports()}
	left := len(b.wanted)
	for n := min(left, wantedScan); n > 0 && len(l.fifos) < rowLoad; n-- {
		f := b.wanted[0]
		b.wanted[0] = nil
		b.wanted = b.wanted[1:]
		left--
		f.wanted = false
		if len(f.queue) == 0 || f.queue[0].o != nil {
			continue
		}
		more := len(l.fifos) + 1
		if !b.lanes.room(f.sender.Domain(), held{waiting: more, stored: -more, bytes: 1}) {
			f.wanted = true
			b.wanted = append(b.wanted, f)
			continue
		}
		l.fifos = append(l.fifos, f)
		l.rows = append(l.rows, f.queue[0].row)
	}
	switch {
	case len(l.fifos) > 0: // Run comes back at once
	case left > 0:
		b.wakeAt(out, out.now.Add(lookFurther))
	case len(b.wanted) > 0:
		b.wakeAt(out, out.now.Add(tryStoreAgain))
	}
	return l
}

// load reads rows and puts each where it is wanted.
func (b *Bridge) load(l loads) {
	rows, err := b.journal.Get(append(l.rows[:len(l.rows):len(l.rows)], l.reports...))
	if err != nil {
		b.log.Warn("the journal cannot be read; what waits in it waits on", "err", err)
	}
	found := make(map[uint64]Row, len(rows))
	for _, r := range rows {
		found[r.ID] = r
	}
	out := work{now: time.Now()}
	b.mu.Lock()
	b.reading = false
	for i, f := range l.fifos {
		switch {
		case len(f.queue) == 0 || f.queue[0].o != nil: // the operator was quicker
		case f.queue[0].row != l.rows[i]:
			b.fetch(f)
		case err != nil:
			b.alarmAt(&out, f, out.now.Add(tryStoreAgain))
		default:
			b.loaded(&out, f, found[l.rows[i]])
		}
	}
	for _, id := range l.reports {
		if err != nil {
			b.storeReport(&out, id)
			continue
		}
		b.loadedReport(&out, found[id], id)
	}
	b.unlock(&out)
}

// loaded puts the first message of f into memory.
func (b *Bridge) loaded(out *work, f *fifo, r Row) {
	e := f.queue[0]
	o, err := decode(r)
	if err == nil {
		o.number = r.ID
		out.note(o, noteLoaded)
	}
	if err == nil && o.reported != nil {
		err = errRow
	}
	if r.ID == 0 || err != nil {
		b.log.Error("a message of the journal cannot be read; it stays there and is not sent", "row", e.row, "err", err)
		b.lanes.remove(f, 0)
		b.stir(out, f)
		return
	}
	b.adopt(o)
	if out.now.Before(f.lane.until) && out.now.Before(e.expire) && !o.hasArrived() {
		b.stir(out, f) // the circuit has opened meanwhile
		return
	}
	b.lanes.unpark(f, o)
	b.rows[o.row] = o
	if o.hasArrived() {
		b.stir(out, f)
		return
	}
	f.queue[0].restored, f.queue[0].hurry = false, false
	if e.hurry {
		o.notBefore = time.Time{}
	}
	if e.restored && (o.sent || o.ambiguous > 0) {
		// It may have left before this process was started. The row has to say so before
		// it is left to the store again.
		o.restart = true
		if o.sent {
			o.sent = false
			o.ambiguous++
		}
		o.problem = o.mayHaveArrived(o.problem)
		b.update(out, o)
		if o.ambiguous >= maxAmbiguous {
			b.lanes.remove(f, 0)
			b.giveUp(out, o, o.problem)
		}
	} else if !o.sent && o.ambiguous == 0 && b.formats.ownCallID(o.to, out.now) {
		b.renewAll(o, out.now)
		b.update(out, o)
	}
	b.stir(out, f)
}

// loadedReport tells the error that a row says.
func (b *Bridge) loadedReport(out *work, r Row, id uint64) {
	o, err := decode(r)
	if err != nil || o.reported == nil {
		b.log.Error("a message of the journal cannot be read; it stays there, and its sender is not told", "row", id, "err", err)
		return
	}
	o.over, o.number = true, r.ID
	b.rows[o.row] = o
	b.tell(out, &report{o: o, taken: true})
}

// Restore takes a row that an earlier run has left, in the order of ID. Call it
// before Run and before either side runs. A row that cannot be read is reported as
// an error and stays where it is.
func (b *Bridge) Restore(r Row) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.nextRow = max(b.nextRow, r.ID) // also of one that cannot be read: it stays
	o, err := decode(r)
	if err != nil {
		return fmt.Errorf("row %d: %w", r.ID, err)
	}
	if o.reported != nil {
		b.reports.stored = append(b.reports.stored, r.ID)
		b.reports.storedAt = time.Now()
		return nil
	}
	if o.sent || o.ambiguous > 0 {
		b.uncertain++
		ev := work{now: time.Now()}
		ev.trail(o, eventUncertain, mayHaveLeft)
		b.journal.PutTrail(ev.details())
		if len(b.uncertainIDs) < listIDs {
			b.uncertainIDs = append(b.uncertainIDs, o.id)
		}
	}
	f := b.lanes.pushStored(o.lane, o.sender, entry{row: r.ID, expire: r.Expire, restored: true})
	if len(f.queue) == 1 {
		b.fetch(f)
	}
	return nil
}
