package store

import (
	"bytes"
	"maps"
	"slices"
	"sync"
)

// memory is the engine of an empty path.
type memory struct {
	mu    sync.Mutex // guards what follows
	rows  map[uint64]Entry
	seen  []Seen
	trail []TrailEvent
	bytes int64 // of trail

	contacts  map[[2]string]Contact
	relations map[[2]string]Relation
	dialogs   map[string]Dialog
	accounts  map[string]Account
	blocks    map[[2]string]Block
	usage     map[[2]string]Usage
}

func newMemory() *memory {
	return &memory{rows: map[uint64]Entry{}, contacts: map[[2]string]Contact{}, relations: map[[2]string]Relation{}, dialogs: map[string]Dialog{},
		accounts: map[string]Account{}, blocks: map[[2]string]Block{}, usage: map[[2]string]Usage{}}
}

func (m *memory) commit(w *work) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range w.dead {
		delete(m.rows, id)
	}
	for _, e := range w.put {
		e.Read, e.Expire, e.Rev = fromMillis(millis(e.Read)), fromMillis(millis(e.Expire)), 0
		e.Data = bytes.Clone(e.Data) // the rows of a batch share their memory, and one may stay for long
		m.rows[e.ID] = e
	}
	m.putContacts(w.contacts)
	m.putRelations(w.relations)
	m.putDialogs(w.dialogs)
	m.putAccounts(w.accounts)
	m.putBlocks(w.blocks)
	m.putUsage(w.usage)
	for _, v := range w.seen {
		v.At = fromMillis(millis(v.At))
		m.seen = append(m.seen, v)
	}
	for _, t := range w.trail {
		if err := t.each(func(e TrailEvent) {
			m.trail = append(m.trail, e)
			m.bytes += trailBytes(e)
		}); err != nil {
			return err
		}
	}
	if x := w.expire; x != nil {
		maps.DeleteFunc(m.usage, func(_ [2]string, u Usage) bool { return u.Day < x.usageBefore })
		m.seen = slices.DeleteFunc(m.seen, func(v Seen) bool { return v.At.Before(x.seenBefore) })
		if n := len(m.seen) - x.maxSeen; n > 0 {
			m.seen = slices.Delete(m.seen, 0, n)
		}
		m.trail = slices.DeleteFunc(m.trail, func(e TrailEvent) bool {
			old := e.At.Before(x.trailBefore) || m.bytes > x.maxTrailBytes
			if old {
				m.bytes -= trailBytes(e)
			}
			return old
		})
	}
	return nil
}

func trailBytes(e TrailEvent) int64 {
	return int64(len(e.ID) + len(e.Other) + len(e.Kind) + len(e.Detail) + 8)
}

func (m *memory) recover() error    { return nil }
func (m *memory) checkpoint() error { return nil }
func (m *memory) close() error      { return nil }

func (m *memory) index(func(uint64, int)) error { return nil }

func (m *memory) load(f func(Entry) error) error {
	m.mu.Lock()
	ids := slices.Sorted(maps.Keys(m.rows))
	m.mu.Unlock()
	all, err := m.get(ids)
	for _, e := range all {
		if err := f(e); err != nil {
			return err
		}
	}
	return err
}

func (m *memory) page(after uint64, n int) ([]Entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock() // all of it: an empty page says that there are no more
	ids := slices.Sorted(maps.Keys(m.rows))
	first, found := slices.BinarySearch(ids, after)
	if found {
		first++
	}
	return m.pick(ids[first:min(first+n, len(ids))]), nil
}

func (m *memory) get(ids []uint64) ([]Entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.pick(sortedIDs(ids)), nil
}

// pick returns the rows of ids that are there. m.mu is held.
func (m *memory) pick(ids []uint64) (out []Entry) {
	for _, id := range ids {
		if e, ok := m.rows[id]; ok {
			out = append(out, e)
		}
	}
	return out
}

func sortedIDs(ids []uint64) []uint64 {
	out := slices.Clone(ids)
	slices.Sort(out)
	return slices.Compact(out)
}

func (m *memory) loadSeen(f func([]Seen) error) (unreadable int, err error) {
	m.mu.Lock()
	all := slices.Clone(m.seen)
	m.mu.Unlock()
	if len(all) == 0 {
		return 0, nil
	}
	return 0, f(all)
}

func (m *memory) newestTrail(n int) ([]TrailEvent, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.trail[max(len(m.trail)-n, 0):]), nil
}

func (m *memory) lookup(id string, most int) ([]TrailEvent, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []TrailEvent
	for _, e := range m.trail {
		if e.is(id) {
			out = append(out, e)
		}
		if most > 0 && len(out) > most {
			return nil, errMany
		}
	}
	return sortTrail(out), nil
}
