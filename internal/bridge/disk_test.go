package bridge

import (
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
)

// disk is a journal with all liberties that the real one has: commits begin, end and
// are told at any time, may fail, and a crash loses what they had not written and
// brings back what had been done a moment ago.
type disk struct {
	mu   sync.Mutex
	rng  *rand.Rand // of the test's goroutine only
	rows map[uint64]Row

	state   map[uint64]diskState // of rows that are not done
	dead    map[uint64]bool      // done, and not yet off the disk
	put     []Row                // waits for a commit
	writing []Row                // the commit that runs
	busy    bool                 // there is one
	told    []commitReport       // not yet told
	lost    []uint64             // rows whose commit failed
	losses  int
	events  []Event

	broken  bool // commits fail, and then nothing new is taken
	failing bool // the last commit failed
	full    int  // so many rows of an Append are taken; negative: all
	refuse  bool // there is no room for updates
	blind   bool // Get fails
}

type diskState uint8

const (
	fresh diskState = iota + 1 // not in a commit yet
	inCommit
	kept
)

type commitReport struct {
	marks []Mark
	err   error
}

var errDisk = errors.New("disk")

func newDisk(rng *rand.Rand) *disk {
	return &disk{rng: rng, rows: map[uint64]Row{}, state: map[uint64]diskState{}, dead: map[uint64]bool{}, full: -1}
}

func (d *disk) Append(rows []Row) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failing {
		return 0, errDisk
	}
	for i, r := range rows {
		if d.full >= 0 && i >= d.full {
			return i, errFull
		}
		if d.state[r.ID] != 0 || d.dead[r.ID] || r.Rev == 0 {
			panic("a row is appended twice")
		}
		d.state[r.ID] = fresh
		d.put = append(d.put, r)
	}
	return len(rows), nil
}

func (d *disk) Update(rows []Row) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, r := range rows {
		if d.state[r.ID] == 0 {
			continue
		}
		if j := d.waiting(r.ID); j >= 0 {
			d.put[j] = r
		} else if d.refuse {
			return i, errFull
		} else {
			d.put = append(d.put, r)
		}
	}
	return len(rows), nil
}

func (d *disk) waiting(id uint64) int {
	return slices.IndexFunc(d.put, func(r Row) bool { return r.ID == id })
}

func (d *disk) Done(ids []uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, id := range ids {
		st := d.state[id]
		if st == 0 {
			continue
		}
		d.drop(id)
		delete(d.state, id)
		if st != fresh {
			d.dead[id] = true
		}
	}
}

func (d *disk) drop(id uint64) {
	d.put = slices.DeleteFunc(d.put, func(r Row) bool { return r.ID == id })
}

func (d *disk) Get(ids []uint64) ([]Row, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.blind {
		return nil, errDisk
	}
	var rows []Row
	for _, id := range slices.Sorted(slices.Values(ids)) {
		if r, ok := d.rows[id]; ok {
			r.Rev = 0
			rows = append(rows, r)
		}
	}
	return rows, nil
}

func (d *disk) PutSeen([]Seen) {}

func (d *disk) PutTrail(batch []Event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.events = append(d.events, batch...)
}

func (d *disk) Lookup(id string) ([]Event, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return eventsOf(d.events, id), nil
}

// begin starts a commit of what waits.
func (d *disk) begin() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.busy || len(d.put) == 0 {
		return
	}
	d.busy, d.writing, d.put = true, d.put, nil
	for _, r := range d.writing {
		if d.state[r.ID] == fresh {
			d.state[r.ID] = inCommit
		}
	}
}

// finish ends the commit that runs.
func (d *disk) finish() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.busy {
		return
	}
	rows := d.writing
	d.busy, d.writing = false, nil
	if d.broken {
		d.failed(rows)
		return
	}
	d.failing = false
	var marks []Mark
	for _, r := range rows {
		d.rows[r.ID] = r
		if st := d.state[r.ID]; st == 0 {
			continue
		} else if st == inCommit {
			d.state[r.ID] = kept
		}
		marks = append(marks, Mark{r.ID, r.Rev})
	}
	d.tell(marks, nil)
}

func (d *disk) failed(rows []Row) {
	d.failing = true
	var marks []Mark
	again := d.put
	d.put = nil
	for _, r := range rows {
		switch d.state[r.ID] {
		case inCommit:
			marks = append(marks, Mark{r.ID, r.Rev})
			again = slices.DeleteFunc(again, func(w Row) bool { return w.ID == r.ID })
			delete(d.state, r.ID)
			d.lost, d.losses = append(d.lost, r.ID), d.losses+1
			if d.dead[r.ID] = true; d.rng.IntN(4) == 0 {
				d.rows[r.ID] = r // it is there all the same, until it is deleted
			}
		case kept:
			if !slices.ContainsFunc(again, func(w Row) bool { return w.ID == r.ID }) {
				d.put = append(d.put, r)
			}
		}
	}
	for _, r := range again {
		if d.state[r.ID] == fresh {
			marks = append(marks, Mark{r.ID, r.Rev})
			delete(d.state, r.ID)
			d.lost, d.losses = append(d.lost, r.ID), d.losses+1
			continue
		}
		d.put = append(d.put, r)
	}
	d.tell(marks, errDisk)
}

func (d *disk) tell(marks []Mark, err error) {
	if len(marks) > 0 {
		d.told = append(d.told, commitReport{marks, err})
	}
}

// report tells b of the oldest commit that it does not know of.
func (d *disk) report(b *Bridge) bool {
	d.mu.Lock()
	if len(d.told) == 0 {
		d.mu.Unlock()
		return false
	}
	r := d.told[0]
	d.told = d.told[1:]
	d.mu.Unlock()
	b.Committed(r.marks, r.err)
	return true
}

// flush takes from the disk what is done.
func (d *disk) flush() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.busy || d.broken {
		return
	}
	d.failing = false
	for id := range d.dead {
		delete(d.rows, id)
	}
	clear(d.dead)
}

// settle commits everything and tells of it, until nothing is left to be written.
func (d *disk) settle(b *Bridge) {
	for range 100 {
		d.begin()
		d.finish()
		told := d.report(b)
		for d.report(b) {
		}
		if !told {
			break
		}
	}
	d.flush()
}

// crash leaves what a crash leaves.
func (d *disk) crash() {
	if d.rng.IntN(2) == 0 {
		d.finish() // it just made it, and nobody was told
	}
	if d.rng.IntN(2) == 0 {
		d.flush()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reopen()
}

func (d *disk) reopen() {
	d.put, d.writing, d.busy, d.told, d.failing = nil, nil, false, nil, false
	clear(d.dead)
	clear(d.state)
	for id := range d.rows {
		d.state[id] = kept
	}
}

// restore gives b what is on the disk.
func (d *disk) restore(b *Bridge) error {
	for _, r := range d.all() {
		if err := b.Restore(r); err != nil {
			return err
		}
	}
	return nil
}

// all are the rows on the disk, in the order of ID.
func (d *disk) all() []Row {
	d.mu.Lock()
	defer d.mu.Unlock()
	var rows []Row
	for _, id := range slices.Sorted(maps.Keys(d.rows)) {
		r := d.rows[id]
		r.Rev = 0
		rows = append(rows, r)
	}
	return rows
}

// quiet reports whether the bridge knows of everything that it gave.
func (d *disk) quiet() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.put) == 0 && !d.busy && len(d.told) == 0
}
