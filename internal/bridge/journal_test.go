package bridge

import (
	"errors"
	"maps"
	"slices"
	"sync"
)

// journalFake is a journal that commits when it is told to, and keeps what it was
// given as a disk would.
type journalFake struct {
	mu      sync.Mutex
	b       *Bridge
	disk    map[uint64]Row // committed
	waiting []Row          // not yet, in order
	done    map[uint64]bool
	fault   error // what Append and Get say; the next commit fails with it as well
	limit   int   // rows that Append takes; 0: any number
	seen    []Seen
	trail   []Event
}

func newJournalFake() *journalFake {
	return &journalFake{disk: map[uint64]Row{}, done: map[uint64]bool{}}
}

var errFull = errors.New("full")

func (j *journalFake) Append(rows []Row) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.fault != nil {
		return 0, j.fault
	}
	for i, r := range rows {
		if j.limit > 0 && len(j.disk)+len(j.waiting) >= j.limit {
			return i, errFull
		}
		r.Data = slices.Clone(r.Data)
		j.waiting = append(j.waiting, r)
	}
	return len(rows), nil
}

func (j *journalFake) Update(rows []Row) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, r := range rows {
		_, kept := j.disk[r.ID]
		known := kept || slices.ContainsFunc(j.waiting, func(w Row) bool { return w.ID == r.ID })
		if known && !j.done[r.ID] {
			r.Data = slices.Clone(r.Data)
			j.waiting = append(j.waiting, r)
		}
	}
	return len(rows), nil
}

func (j *journalFake) Done(ids []uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, id := range ids {
		j.done[id] = true
		delete(j.disk, id)
		j.waiting = slices.DeleteFunc(j.waiting, func(r Row) bool { return r.ID == id })
	}
}

func (j *journalFake) Get(ids []uint64) ([]Row, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.fault != nil {
		return nil, j.fault
	}
	var rows []Row
	for _, id := range ids {
		if r, ok := j.disk[id]; ok {
			r.Rev = 0 // it is not kept
			rows = append(rows, r)
		}
	}
	return rows, nil
}

func (j *journalFake) PutSeen(batch []Seen) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.seen = append(j.seen, batch...)
}

func (j *journalFake) PutTrail(batch []Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.trail = append(j.trail, batch...)
}

func (j *journalFake) Lookup(id string) ([]Event, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return eventsOf(j.trail, id), nil
}

func eventsOf(all []Event, id string) (found []Event) {
	for _, e := range all {
		if e.ID == id || e.Other == id {
			found = append(found, e)
		}
	}
	return found
}

// commit writes everything that waits, until nothing does.
func (j *journalFake) commit() {
	for {
		j.mu.Lock()
		rows, fault := j.waiting, j.fault
		j.waiting = nil
		var marks []Mark
		for _, r := range rows {
			if _, kept := j.disk[r.ID]; fault != nil && kept {
				j.waiting = append(j.waiting, r) // an update is tried until it is on the disk
				continue
			}
			if fault == nil {
				j.disk[r.ID] = r
			}
			marks = append(marks, Mark{r.ID, r.Rev})
		}
		j.mu.Unlock()
		if len(marks) == 0 {
			return
		}
		j.b.Committed(marks, fault)
	}
}

// waits reports whether there is something to commit.
func (j *journalFake) waits() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.waiting) > 0
}

// rows are the rows on the disk, in the order of ID.
func (j *journalFake) rows() []Row {
	j.mu.Lock()
	defer j.mu.Unlock()
	var rows []Row
	for _, id := range slices.Sorted(maps.Keys(j.disk)) {
		rows = append(rows, j.disk[id])
	}
	return rows
}
