package store

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/stoxgw/stox/internal/hist"
)

const (
	sideCount = 256                   // so many deletions, contacts and the like are written …
	seenCount = 1024                  // … or so many outcomes, which are smaller, …
	sideDelay = 40 * time.Millisecond // … or after so long
	sideShare = sideDelay / 2         // with a commit that there is anyway, from then on

	// The trail waits longer: few big batches are found faster than many small ones.
	trailCount = 4096
	trailDelay = time.Second

	maxSpanIDs     = 4096  // deletions of one commit
	maxContactRows = 1024  // contacts of one commit, and as many relations
	maxDialogRows  = 512   // dialogs of one commit
	maxTrailWait   = 65536 // events that wait during a fault
	expireEvery    = time.Minute
	firstBackoff   = 100 * time.Millisecond
	maxBackoff     = 5 * time.Second
	closeUpFrom    = 256 // rows that wait or did
	rowOverhead    = 24  // about what a row costs beside its bytes
)

// spares are slices of commits that are over, for the next ones: two of each kind take turns.
type spares struct {
	put   []Entry
	dead  []uint64
	seen  []Seen
	marks []Mark
}

// spareItems bounds what is kept of each: a backlog must not leave its memory behind.
const spareItems = 4096

// lay clears list and puts it in the place of spare, unless it is too big.
func lay[T any](spare *[]T, list []T) {
	if cap(list) > 0 && cap(list) <= spareItems {
		clear(list)
		*spare = list[:0]
	}
}

// pick takes what is in the place of spare.
func pick[T any](spare *[]T) []T {
	list := *spare
	*spare = nil
	return list
}

// queue is the part of Store that its mutex guards.
type queue struct {
	o      Options
	closed bool
	ran    bool

	rows    rowTable // all but those never written or deleted
	entries int      // rows that live, and their bytes
	bytes   int64

	put      []Entry // ID is 0 where the row was done meanwhile
	waiting  int     // of put, without these
	waitSize int64
	oldest   time.Time

	// What rides along, and when the first of it came.
	dead      []uint64
	seen      []Seen
	contacts  []Contact
	relations []Relation
	dialogs   []Dialog
	accounts  []accountPut
	blocks    []Block
	usage     []Usage
	sideSince time.Time
	trail     trailQueue

	dialogBytes int64 // of dialogs
	accountRows int   // of accounts

	spare spares

	running *work // the commit that runs, for Lookup

	nextExpiry time.Time
	failing    error
	since      time.Time
	retryAt    time.Time
	backoff    time.Duration

	commits, written, skipped, dropped uint64

	// For Stats only.
	begun                  time.Time
	faults                 uint64
	commitTime, commitRows hist.Histogram
}

func (q *queue) init(o Options) {
	q.o = o
	q.trail.off = o.TrailFor < 0
	q.rows = newRowTable()
}

func sizeOf(e *Entry) int32 { return int32(len(e.Data) + len(e.Lane) + rowOverhead) }

// Append takes new rows; their commit starts at once. It returns how many of batch
// it took, always the first ones, and why not all: ErrFull, ErrClosed, ErrBadEntry
// or the fault that the store suffers from at present.
func (s *Store) Append(batch []Entry) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failing != nil {
		return 0, s.failing
	}
	defer s.signalLocked(s.toDo())
	for i := range batch {
		e := &batch[i]
		if err := s.roomLocked(e); err != nil {
			return i, err
		}
		size := sizeOf(e)
		if s.entries >= s.o.MaxEntries || s.bytes+int64(size) > s.o.MaxBytes {
			return i, ErrFull
		}
		if s.rows.get(e.ID).state != none {
			return i, fmt.Errorf("%w: id %d is in use", ErrBadEntry, e.ID)
		}
		s.rows.set(e.ID, row{size: size, item: int32(len(s.put)), state: fresh})
		s.entries++
		s.bytes += int64(size)
		s.pushLocked(e, size)
	}
	return len(batch), nil
}

// Update replaces rows whole: it has the effect of Append for rows that have not
// begun their commit, and passes over ids that are unknown or done. What it took is
// tried until it is on the disk. It returns as Append does, but not for a fault.
func (s *Store) Update(batch []Entry) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.signalLocked(s.toDo())
	for i := range batch {
		e := &batch[i]
		r := s.rows.get(e.ID)
		if r.state == none || r.state == dead {
			continue
		}
		size := sizeOf(e)
		if r.item >= 0 { // not begun: this version instead of that one
			if s.closed {
				return i, ErrClosed
			}
			if len(e.Data)+len(e.Lane) > maxRow {
				return i, ErrBadEntry
			}
			was := &s.put[r.item]
			s.waitSize += int64(size - sizeOf(was))
			*was = *e
		} else {
			if err := s.roomLocked(e); err != nil {
				return i, err
			}
			r.item = int32(len(s.put))
			s.pushLocked(e, size)
		}
		s.bytes += int64(size - r.size)
		r.size = size
		s.rows.set(e.ID, r)
	}
	return len(batch), nil
}

func (q *queue) roomLocked(e *Entry) error {
	switch {
	case q.closed:
		return ErrClosed
	case e.ID == 0 || e.ID > math.MaxInt64:
		return fmt.Errorf("%w: id %d", ErrBadEntry, e.ID)
	case len(e.Data)+len(e.Lane) > maxRow:
		return fmt.Errorf("%w: %d bytes", ErrBadEntry, len(e.Data))
	case q.waiting >= q.o.MaxWaiting || q.waitSize+int64(sizeOf(e)) > q.o.MaxWaitingBytes:
		return ErrFull
	}
	return nil
}

func (q *queue) pushLocked(e *Entry, size int32) {
	if q.waiting == 0 {
		q.oldest = time.Now()
	}
	q.put = append(q.put, *e)
	q.waiting++
	q.waitSize += int64(size)
}

// Done ends rows. A row whose first commit has not begun is never written; any
// other is deleted. Unknown ids are passed over.
func (s *Store) Done(ids []uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.signalLocked(s.toDo())
	for _, id := range ids {
		r := s.rows.get(id)
		if r.state == none || r.state == dead {
			continue
		}
		s.entries--
		s.bytes -= int64(r.size)
		if r.item >= 0 {
			s.voidLocked(r.item)
		}
		if r.state == fresh {
			s.skipped++
			s.rows.remove(id)
			continue
		}
		s.buryLocked(id)
	}
	s.closeUpLocked()
}

func (q *queue) voidLocked(i int32) {
	e := &q.put[i]
	q.waiting--
	q.waitSize -= int64(sizeOf(e))
	*e = Entry{}
}

// closeUpLocked removes what was done from put once it is most of it: a commit may take long, and
// what is skipped meanwhile must not add up.
func (q *queue) closeUpLocked() {
	if len(q.put) < closeUpFrom || q.waiting > len(q.put)/2 {
		return
	}
	q.put = slices.DeleteFunc(q.put, func(e Entry) bool { return e.ID == 0 })
	for i := range q.put {
		r := q.rows.get(q.put[i].ID)
		r.item = int32(i)
		q.rows.set(q.put[i].ID, r)
	}
}

func (q *queue) buryLocked(id uint64) {
	q.rows.set(id, row{item: -1, state: dead})
	q.sideLocked()
	q.dead = append(q.dead, id)
}

// sides counts what rides along beside the trail.
func (q *queue) sides() int {
	return len(q.dead) + len(q.seen) + len(q.contacts) + len(q.relations) + len(q.dialogs) + q.accountRows + len(q.blocks) + len(q.usage)
}

// sidesFull reports whether that is enough for a commit.
func (q *queue) sidesFull() bool {
	return q.sides()-len(q.seen) >= sideCount || len(q.seen) >= seenCount
}

// sideLocked notes the time when the first of what rides along comes.
func (q *queue) sideLocked() {
	if q.sides() == 0 {
		q.sideSince = time.Now()
	}
}

// toDo is what there is to do, for signalLocked.
type toDo struct {
	waiting, sides int
	full           bool
}

func (q *queue) toDo() toDo { return toDo{q.waiting, q.sides(), q.sidesFull()} }

// signalLocked wakes Run if there is more to do than was, and so much that it has to look: for the
// first row, since what comes before Run has looked goes with it; for the first of what
// rides along, to wait for its time, and when there is enough of that. A goroutine
// that wakes up for nothing costs more than all else that a caller does here.
func (s *Store) signalLocked(was toDo) {
	if was.waiting == 0 && s.waiting > 0 {
		s.signal()
		return
	}
	if is := s.toDo(); is.sides > 0 && (was.sides == 0 || is.full && !was.full) {
		s.signal()
	}
}

// signal wakes Run. It never blocks.
func (s *Store) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// takeLocked returns the next commit, or nil and how long to wait for one (negative:
// until something comes). With all set nothing is left for later.
func (q *queue) takeLocked(now time.Time, all bool) (*work, time.Duration) {
	if q.failing != nil && !all {
		if wait := q.retryAt.Sub(now); wait > 0 {
			return nil, wait
		}
	}
	w := &work{probe: q.failing != nil}
	wait := time.Duration(-1)
	if q.waiting > 0 {
		w.put = slices.DeleteFunc(q.put, func(e Entry) bool { return e.ID == 0 })
		q.put = pick(&q.spare.put)
		for i := range w.put {
			r := q.rows.get(w.put[i].ID)
			r.item = -1
			if r.state == fresh {
				r.state = writing
			}
			q.rows.set(w.put[i].ID, r)
		}
	}
	q.put, q.waiting, q.waitSize = q.put[:0], 0, 0

	all = all || q.failing != nil
	if q.sides() > 0 {
		waited := now.Sub(q.sideSince)
		wait = sideDelay - waited
		if all || q.sidesFull() || wait <= 0 || len(w.put) > 0 && waited >= sideShare {
			q.takeSidesLocked(w)
		}
	}
	var left time.Duration
	if w.trail, left = q.trail.take(now, all); left > 0 && (wait < 0 || left < wait) {
		wait = left
	}
	if !now.Before(q.nextExpiry) || all {
		q.nextExpiry = now.Add(expireEvery)
		w.expire = &expiry{
			seenBefore: now.Add(-q.o.SeenFor), maxSeen: q.o.MaxSeen,
			trailBefore: now.Add(-q.o.TrailFor), maxTrailBytes: q.o.MaxTrailBytes,
			usageBefore: usageBefore(now),
		}
	}
	if w.empty() {
		if idle := q.nextExpiry.Sub(now); wait < 0 || idle < wait {
			wait = idle
		}
		return nil, wait
	}
	q.running, q.begun = w, now
	return w, 0
}

func (q *queue) takeSidesLocked(w *work) {
	w.dead, q.dead = q.dead, pick(&q.spare.dead)
	if len(w.dead) > maxSpanIDs {
		w.dead, q.dead = takeFirst(w.dead, maxSpanIDs)
	}
	slices.Sort(w.dead)
	w.spans = spans(w.dead, func(id uint64) bool {
		r := q.rows.get(id)
		return r.state != none && r.state != dead
	})
	w.seen, q.seen = q.seen, pick(&q.spare.seen)
	w.contacts, q.contacts = takeFirst(q.contacts, maxContactRows)
	w.relations, q.relations = takeFirst(q.relations, maxContactRows)
	w.dialogs, q.dialogs = takeFirst(q.dialogs, maxDialogRows)
	q.dialogBytes -= sizeOfDialogs(w.dialogs)
	w.accounts = q.takeAccountsLocked()
	w.blocks, q.blocks = takeFirst(q.blocks, maxContactRows)
	w.usage, q.usage = takeFirst(newest(q.usage, Usage.key), maxContactRows) // who sends a lot is written once
}

// finishLocked takes note of the end of a commit and returns what to report.
func (q *queue) finishLocked(w *work, err error, now time.Time) []Mark {
	q.commitTime.Took(now.Sub(q.begun))
	if len(w.put) > 0 {
		q.commitRows.Add(float64(len(w.put)), hist.Sizes)
	}
	q.running, q.begun = nil, time.Time{}
	if err != nil {
		q.faults++
		return q.failLocked(w, err, now)
	}
	q.commits++
	q.written += uint64(len(w.put))
	q.failing, q.since, q.retryAt = nil, time.Time{}, time.Time{}
	if len(w.put) > 0 {
		q.backoff = 0 // a probe alone may pass where rows do not
	}
	if w.expire != nil && w.expire.more {
		q.nextExpiry = now.Add(sideDelay)
	}
	q.trail.reuse(w.trail)
	w.trail = nil
	marks := slices.Grow(pick(&q.spare.marks), len(w.put))
	for i := range w.put {
		e := &w.put[i]
		r := q.rows.get(e.ID)
		if r.state == dead {
			continue
		}
		if r.state == writing {
			r.state = kept
			q.rows.set(e.ID, r)
		}
		marks = append(marks, Mark{e.ID, e.Rev})
	}
	if len(marks) == 0 { // nothing is reported
		lay(&q.spare.marks, marks)
		marks = nil
	}
	for _, id := range w.dead {
		q.rows.remove(id)
	}
	lay(&q.spare.put, w.put)
	lay(&q.spare.dead, w.dead)
	lay(&q.spare.seen, w.seen)
	w.put, w.dead, w.seen = nil, nil, nil
	return marks
}

func (q *queue) failLocked(w *work, err error, now time.Time) []Mark {
	if q.failing == nil {
		q.since = now
	}
	q.failing = err
	q.backoff = min(max(2*q.backoff, firstBackoff), maxBackoff)
	q.retryAt = now.Add(q.backoff)

	// New rows are gone, those of the commit first. They may have reached the disk
	// although the commit failed, so they are deleted as well.
	var marks []Mark
	var again []Entry
	for i := range w.put {
		e := w.put[i]
		switch r := q.rows.get(e.ID); {
		case r.state == writing:
			if r.item >= 0 {
				q.voidLocked(r.item)
			}
			marks = append(marks, Mark{e.ID, e.Rev})
			q.entries--
			q.bytes -= int64(r.size)
			q.buryLocked(e.ID)
		case r.state == kept && r.item < 0:
			again = append(again, e)
		}
	}
	for _, e := range q.put {
		if e.ID == 0 {
			continue
		}
		if r := q.rows.get(e.ID); r.state == fresh {
			marks = append(marks, Mark{e.ID, e.Rev})
			q.entries--
			q.bytes -= int64(r.size)
			q.rows.remove(e.ID)
			continue
		}
		again = append(again, e)
	}
	clear(q.put)
	q.put, q.waiting, q.waitSize = q.put[:0], 0, 0
	for i := range again {
		e := &again[i]
		r := q.rows.get(e.ID)
		r.item = int32(len(q.put))
		q.rows.set(e.ID, r)
		q.pushLocked(e, sizeOf(e))
	}

	// What rode along rides again, before what came meanwhile.
	q.sideLocked()
	q.dead = append(w.dead, q.dead...)
	q.seen = append(w.seen, q.seen...)
	q.contacts = append(w.contacts, q.contacts...)
	// Of these the newest versions alone: what is forgotten meanwhile needs no room.
	q.relations = newest(append(w.relations, q.relations...), Relation.key)
	q.dialogs = newest(append(w.dialogs, q.dialogs...), Dialog.key)
	q.dialogBytes = sizeOfDialogs(q.dialogs)
	q.accountsBackLocked(w.accounts)
	q.blocks = newest(append(w.blocks, q.blocks...), Block.key)
	q.usage = newest(append(w.usage, q.usage...), Usage.key)
	q.trail.giveBack(w.trail, now)
	q.boundLocked()
	return marks
}

// boundLocked drops the oldest of what rides along if too much waits.
func (q *queue) boundLocked() {
	if n := len(q.seen) - q.o.MaxSeen; n > 0 {
		q.dropped += uint64(n)
		q.seen = q.seen[n:] // not moved: during a fault that would be all of them each time
	}
	q.boundContactsLocked()
	q.boundRelationsLocked()
	q.boundDialogsLocked()
	q.boundBlocksLocked()
	q.boundUsageLocked()
}

func (q *queue) stateLocked() State {
	events, dropped := q.trail.state()
	st := State{
		Failing: q.failing, Since: q.since, Entries: q.entries, Bytes: q.bytes,
		Waiting: q.waiting, WaitingBytes: q.waitSize,
		Unflushed: q.sides() + events,
		Commits:   q.commits, Written: q.written, Skipped: q.skipped, Dropped: q.dropped + dropped,
	}
	if q.waiting > 0 {
		st.Oldest = q.oldest
	}
	if w := q.running; w != nil {
		st.Unflushed += len(w.dead) + w.beside()
	}
	return st
}
